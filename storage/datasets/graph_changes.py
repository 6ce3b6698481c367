"""In what two graphs differ, counted: what a reason or a report says of a graph that changed."""

from collections.abc import Iterator, Sequence
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from storage.datasets.graph import SPLITS, Graph, Triples

_PLURALS = {"entity": "entities", "triple": "triples", "relation": "relations", "name": "names"}


def graph_changes(old: Graph, new: Graph) -> list[str]:
    """Count what one graph has and another has not, as `12 triples of train more`.

    Args:
        old: The one.
        new: The other.

    Returns:
        A phrase for each kind of difference; empty if the graphs are the same.
    """
    return [
        *_compared("entity", old.entities, new.entities),
        *_compared("relation", old.relations, new.relations),
        *_renamed(old, new),
        *_of_triples(old, new),
        *_of_optional_parts(old, new),
    ]


def _compared(what: str, old: Sequence[str], new: Sequence[str]) -> Iterator[str]:
    more, gone = set(new) - set(old), set(old) - set(new)
    yield from _counted(what, len(more), "more")
    yield from _counted(what, len(gone), "gone")
    if not more and not gone and tuple(old) != tuple(new):
        yield f"{_PLURALS[what]} in another order"


def _renamed(old: Graph, new: Graph) -> Iterator[str]:
    names = dict(zip(old.entities, old.names, strict=True))
    changed = sum(
        names.get(entity, name) != name
        for entity, name in zip(new.entities, new.names, strict=True)
    )
    yield from _counted("name", changed, "changed")


def _of_triples(old: Graph, new: Graph) -> Iterator[str]:
    code = _Codes(old, new)
    for split in SPLITS:
        before, after = code.of_old(old.split(split)), code.of_new(new.split(split))
        yield from _compared_triples(f"of {split} ", before, after)


def _compared_triples(
    which: str, before: NDArray[np.int64], after: NDArray[np.int64]
) -> Iterator[str]:
    more, gone = len(np.setdiff1d(after, before)), len(np.setdiff1d(before, after))
    yield from _counted("triple", more, f"{which}more")
    yield from _counted("triple", gone, f"{which}gone")
    if more or gone or np.array_equal(before, after):
        return
    repeated = len(after) - len(before)
    if repeated:
        yield from _counted("triple", abs(repeated), f"{which}repeated {_more_often(repeated)}")
    else:
        yield f"triples {which}in another order, or repeated otherwise"


def _more_often(count: int) -> str:
    return "more often" if count > 0 else "less often"


def _of_optional_parts(old: Graph, new: Graph) -> Iterator[str]:
    before, after = _kinds(old), _kinds(new)
    changed = sum(before[entity] != kinds for entity, kinds in after.items() if entity in before)
    yield from _counted("entity", changed, "of other kinds")
    if not (
        np.array_equal(old.uncertain, new.uncertain)
        and np.array_equal(old.confidences, new.confidences)
    ):
        yield "confidences changed"
    if old.split_by_hash != new.split_by_hash:
        yield f"splits made by {'mocme' if new.split_by_hash else 'the dataset'}"


def _kinds(graph: Graph) -> dict[str, tuple[str, ...]]:
    """Return the kinds of each entity, also of a graph in which none has any."""
    return dict(zip(graph.entities, graph.kinds or repeat(()), strict=False))


def _counted(what: str, count: int, how: str) -> Iterator[str]:
    if count:
        yield f"{count} {what if count == 1 else _PLURALS[what]} {how}"


class _Codes:
    """Numbers triples of two graphs alike, so that they can be compared as arrays.

    Args:
        old: The one graph.
        new: The other.
    """

    def __init__(self, old: Graph, new: Graph) -> None:
        entities = {it: row for row, it in enumerate(dict.fromkeys((*new.entities, *old.entities)))}
        relations = {
            it: row for row, it in enumerate(dict.fromkeys((*new.relations, *old.relations)))
        }
        self._shape = (len(entities), len(relations), len(entities))
        self._old = _rows(old.entities, entities), _rows(old.relations, relations)
        self._new = _rows(new.entities, entities), _rows(new.relations, relations)

    def of_old(self, triples: Triples) -> NDArray[np.int64]:
        """Return a number for each triple of the old graph. Shape: (num_triples,)."""
        return self._numbered(triples, *self._old)

    def of_new(self, triples: Triples) -> NDArray[np.int64]:
        """Return a number for each triple of the new graph. Shape: (num_triples,)."""
        return self._numbered(triples, *self._new)

    def _numbered(
        self, triples: Triples, entities: NDArray[np.int64], relations: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        head, relation, tail = (
            rows[column]
            for rows, column in zip((entities, relations, entities), triples.T, strict=True)
        )
        _, num_relations, num_entities = self._shape
        numbered: NDArray[np.int64] = (head * num_relations + relation) * num_entities + tail
        return numbered


def _rows(names: Sequence[str], row_of: dict[str, int]) -> NDArray[np.int64]:
    return np.array([row_of[name] for name in names], dtype=np.int64)
