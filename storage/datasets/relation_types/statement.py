"""What a user states of a relation: an entry of the config's `relation_types`.

Nothing here imports numpy, so that a config can be checked at start-up cost.
"""

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from storage.errors import MocmeError
from storage.words.suggestion import did_you_mean
from storage.words.visible import quoted, visible_line

if TYPE_CHECKING:
    from storage.datasets.graph import Graph

_MOST_LISTED = 20  # names in a message


class RelationTypeError(MocmeError):
    """A statement about a relation that does not fit the graph."""


class StatedRelationType(BaseModel):
    """What is stated of one relation; what is not stated is learned."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    single: bool | None = Field(
        None, description="Whether a head has one tail at most, as a country has one capital."
    )
    single_head: bool | None = Field(
        None, description="Whether a tail has one head at most, as a capital has one country."
    )
    symmetric: bool | None = Field(
        None, description="Whether the reverse of every fact is true, too, as for borders."
    )
    reflexive: bool | None = Field(
        None, description="Whether entities are related to themselves; false = never."
    )
    inverse_of: str | None = Field(
        None, description="The relation whose facts are the reverse of this one's."
    )
    domain: tuple[str, ...] = Field(
        (), description="Kinds of the heads; each head with a kind is of one of them."
    )
    range: tuple[str, ...] = Field(
        (), description="Kinds of the tails; each tail with a kind is of one of them."
    )


Statements = Mapping[str, StatedRelationType]
"""What is stated, by relation."""


def check_statements(graph: "Graph", stated: Statements) -> None:
    """Refuse statements about relations and kinds that a graph does not have.

    Raises:
        RelationTypeError: If there is one; it names what is near.
    """
    kinds = list(dict.fromkeys(chain.from_iterable(graph.kinds))) if stated else []
    for relation, statement in stated.items():
        _check_known("", relation, graph.relations, "relations of the dataset")
        place = f".{relation}"
        inverse = statement.inverse_of
        if inverse is not None:
            others = [it for it in graph.relations if it != relation]
            _check_known(f"{place}.inverse_of", inverse, others, "other relations of the dataset")
        for end in ("domain", "range"):
            for kind in getattr(statement, end):
                _check_known(f"{place}.{end}", kind, kinds, "kinds of its entities")


def _check_known(place: str, found: str, known: Sequence[str], what: str) -> None:
    if found in known:
        return
    listed = ", ".join(map(quoted, known[:_MOST_LISTED])) or "none here"
    more = f" and {len(known) - _MOST_LISTED} more" * (len(known) > _MOST_LISTED)
    raise RelationTypeError(
        visible_line(
            f"'relation_types{place}': found {quoted(found)}{did_you_mean(found, known)}; "
            f"allowed: {what}: {listed}{more}"
        )
    )
