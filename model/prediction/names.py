"""Entities and relations as people type them: by id or by name, and helped where they misspell."""

from storage.datasets.graph import Graph
from storage.errors import MocmeError
from storage.words.suggestion import did_you_mean
from storage.words.visible import quoted, shortened

_MOST_NAMED = 20  # relations that a message lists


class UnknownNameError(MocmeError):
    """An entity or relation that the graph does not have, or a name that several entities have.

    Args:
        message: What to say of it where nothing but the graph is known.
        part: What was asked for: `head`, `tail` or `relation`.
        name: The name that was given.
        is_absent: Whether nothing in the graph has that name.
    """

    def __init__(self, message: str, *, part: str, name: str, is_absent: bool) -> None:
        super().__init__(message)
        self.part, self.name, self.is_absent = part, name, is_absent


def find_entity(graph: Graph, name: str, part: str) -> str:
    """Return the id of an entity.

    Args:
        graph: The graph.
        name: Its id, or its name if no other entity is called so.
        part: What it is of the question, `head` or `tail`, for messages.

    Raises:
        UnknownNameError: If there is no such entity, or several.
    """
    if name in graph.entities:
        return name
    called = entities_called(graph, name)
    if len(called) == 1:
        return called[0]
    if called:
        raise UnknownNameError(
            f"{part}: found {quoted(name)}, the name of {len(called)} entities; "
            f"allowed: an id, such as {', '.join(map(shortened, called[:5]))}",
            part=part,
            name=name,
            is_absent=False,
        )
    suggestion = did_you_mean(name, [*graph.names, *graph.entities])
    raise UnknownNameError(
        f"{part}: found {quoted(name)}{suggestion}; "
        f"allowed: the id or name of one of the graph's {graph.num_entities} entities",
        part=part,
        name=name,
        is_absent=True,
    )


def entities_called(graph: Graph, name: str) -> list[str]:
    """Return the ids of the entities that have a name, whatever its case."""
    wanted = name.casefold()
    return [
        entity
        for entity, own_name in zip(graph.entities, graph.names, strict=True)
        if own_name.casefold() == wanted
    ]


def find_relation(graph: Graph, name: str) -> str:
    """Return a relation's id.

    Raises:
        UnknownNameError: If there is no such relation.
    """
    if name in graph.relations:
        return name
    raise UnknownNameError(
        f"relation: found {quoted(name)}{did_you_mean(name, graph.relations)}; "
        f"allowed: {some_relations(graph)}",
        part="relation",
        name=name,
        is_absent=True,
    )


def some_relations(graph: Graph) -> str:
    """Return the names of a graph's relations for a message, and of very many how many more."""
    rest = len(graph.relations) - _MOST_NAMED
    more = f" and {rest} more" if rest > 0 else ""
    return f"{', '.join(map(shortened, graph.relations[:_MOST_NAMED]))}{more}"
