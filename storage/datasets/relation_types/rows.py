"""Relations' types as rows of a table, for a terminal or a page."""

from collections.abc import Iterator, Sequence

from storage.datasets.relation_types.relation_type import (
    Property,
    RelationSide,
    RelationType,
)

HEADER = ("relation", "facts", "tails of a head", "heads of a tail", "is", "heads are", "tails are")
DETAILS_HEADER = ("property", "value", "stated or learned", "counts")

STATED_MARK = "*"
"""What stands behind a value that is stated."""

_WORDS = {True: "yes", False: "no", None: "unknown"}


def rows_of(types: Sequence[RelationType]) -> list[tuple[str, ...]]:
    """Return the rows of a table under `HEADER`, one for each relation; what is stated is marked.

    In brackets stands the mean of the facts. That a relation is not symmetric or not reflexive is
    named where it is stated: most are neither.
    """
    return [
        (
            it.relation,
            f"{it.evidence.num_facts:,}",
            f"{it.tails_per_head}{_mark(it, 'tails_per_head')} ({it.evidence.mean_tails:.2f})",
            f"{it.heads_per_tail}{_mark(it, 'heads_per_tail')} ({it.evidence.mean_heads:.2f})",
            ", ".join(_properties(it)),
            f"{_members(it.domain, it.heads_are)}{_mark(it, 'domain')}",
            f"{_members(it.range, it.tails_are)}{_mark(it, 'range')}",
        )
        for it in types
    ]


def details_of(it: RelationType) -> list[tuple[str, ...]]:
    """Return the rows of a table under `DETAILS_HEADER`: all that is known of one relation."""
    found = it.evidence
    tails = f"{found.mean_tails:.2f}; {found.heads_with_several:,} of {found.num_heads:,} heads"
    heads = f"{found.mean_heads:.2f}; {found.tails_with_several:,} of {found.num_tails:,} tails"
    pairs = f"{found.pairs_both_ways:,} of {found.num_pairs:,} pairs both ways"
    rows: list[tuple[Property, str, str, str]] = [
        ("tails_per_head", "tails of a head", it.tails_per_head, f"{tails} have several"),
        ("heads_per_tail", "heads of a tail", it.heads_per_tail, f"{heads} have several"),
        ("symmetric", "symmetric", _WORDS[it.symmetric], pairs),
        ("reflexive", "reflexive", _WORDS[it.reflexive], f"{found.num_loops:,} loops"),
        ("inverse_of", "inverse of", it.inverse_of or "", ""),
        ("domain", "heads are", _members(it.domain, it.heads_are), ""),
        ("range", "tails are", _members(it.range, it.tails_are), ""),
    ]
    return [
        (label, value, "stated" if it.is_stated(name) else "learned", counts)
        for name, label, value, counts in rows
    ]


def _mark(it: RelationType, name: Property) -> str:
    return STATED_MARK if it.is_stated(name) else ""


def _properties(it: RelationType) -> Iterator[str]:
    """Yield what is known of a relation's facts and their reverse."""
    values: tuple[tuple[Property, bool | None], ...] = (
        ("symmetric", it.symmetric),
        ("reflexive", it.reflexive),
    )
    for name, value in values:
        if value or it.is_stated(name):
            yield f"{'' if value else 'not '}{name}{_mark(it, name)}"
    if it.inverse_of is not None:
        yield f"inverse of {it.inverse_of}{_mark(it, 'inverse_of')}"


def _members(kinds: tuple[str, ...], sides: tuple[RelationSide, ...]) -> str:
    """Return the kinds of a side's members, or else what other facts they have."""
    return ", ".join(kinds or map(str, sides))
