"""Nodes of a graph in Neo4j: kinds as labels; texts, numbers and paths of media as properties.

Source: Neo4j's operations manual, "CSV header format": `name:type`, arrays as `name:type[]`, their
elements and the labels of a node separated by one character, which no element can hold.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from mocme.exporting.entity_content import EntityContent, Number, Strings
from mocme.exporting.property_names import DELIMITERS, distinct_names, label, property_name
from storage.datasets.graph import Graph

NODE_COLUMNS = ("id:ID", "name", ":LABEL")
LABEL_OF_ALL = "Entity"

_OWN_NAMES = ("id", "name")
_RARE = range(0xE000, 0xF900)  # for private use
_LONG = 2**63

Row = tuple[Any, ...]


@dataclass(frozen=True)
class _Column:
    """A property: its header, and its cell by entity id."""

    header: str
    cells: Mapping[str, Any]


class NodeTable:
    """The rows of `nodes.csv`.

    Attributes:
        array_delimiter: What separates labels, and the elements of a list: `;` unless one holds it.

    Args:
        graph: Whose entities are the nodes.
        content: What they list.
    """

    def __init__(self, graph: Graph, content: EntityContent) -> None:
        self._graph = graph
        self._labels = _labels(graph)
        sources = [*content.texts, *content.paths, *content.numbers]
        names = distinct_names(sources, property_name, _OWN_NAMES)
        self._renamed = dict(zip(sources, names, strict=True))
        several = [texts for texts in content.texts.values() if _has_several(texts)]
        self.array_delimiter = _delimiter([*several, *content.paths.values()])
        named = iter(names)
        self._columns = [
            *(self._of_texts(next(named), texts) for texts in content.texts.values()),
            *(self._of_lists(next(named), paths) for paths in content.paths.values()),
            *(_of_numbers(next(named), numbers) for numbers in content.numbers.values()),
        ]

    @property
    def header(self) -> list[str]:
        """The first line."""
        return [*NODE_COLUMNS, *(column.header for column in self._columns)]

    @property
    def renamed(self) -> dict[str, str]:
        """Fields, attributes and kinds that have another name in Neo4j, and that name."""
        both = {**self._labels, **self._renamed}
        return {text: name for text, name in both.items() if text != name}

    def rows(self) -> Iterator[Row]:
        """Yield a row for each entity."""
        graph = self._graph
        kinds: Sequence[Sequence[str]] = graph.kinds or ((),) * graph.num_entities
        for entity, name, of_entity in zip(graph.entities, graph.names, kinds, strict=True):
            labels = dict.fromkeys((LABEL_OF_ALL, *(self._labels[it] for it in of_entity)))
            cells = (column.cells.get(entity, "") for column in self._columns)
            yield entity, name, self.array_delimiter.join(labels), *cells

    def _of_texts(self, name: str, texts: Strings) -> _Column:
        """Return a string for each entity where none has several, else an array."""
        if _has_several(texts):
            return self._of_lists(name, texts)
        return _Column(name, {entity: text for entity, (text,) in texts.items()})

    def _of_lists(self, name: str, lists: Strings) -> _Column:
        cells = {entity: self.array_delimiter.join(them) for entity, them in lists.items()}
        return _Column(f"{name}:string[]", cells)


def _labels(graph: Graph) -> dict[str, str]:
    """Return the label of each kind."""
    kinds = sorted(set(chain.from_iterable(graph.kinds)) - {LABEL_OF_ALL})
    labels = distinct_names(kinds, label, (LABEL_OF_ALL,))
    return {LABEL_OF_ALL: LABEL_OF_ALL, **dict(zip(kinds, labels, strict=True))}


def _has_several(texts: Strings) -> bool:
    return any(len(of_entity) > 1 for of_entity in texts.values())


def _of_numbers(name: str, numbers: Mapping[str, Number]) -> _Column:
    return _Column(f"{name}:{_number_type(list(numbers.values()))}", numbers)


def _number_type(numbers: Sequence[Number]) -> str:
    """Return the type that holds numbers exactly: `double` if it does."""
    if all(isinstance(it, float) or _is_exact_in_double(it) for it in numbers):
        return "double"
    if all(isinstance(it, int) and -_LONG <= it < _LONG for it in numbers):
        return "long"
    return "string"


def _is_exact_in_double(number: int) -> bool:
    try:
        return int(float(number)) == number
    except OverflowError:
        return False


def _delimiter(lists: Iterable[Strings]) -> str:
    """Return the first character that no element of a list holds: `;` if it can be."""
    used: set[str] = set()
    for strings in lists:
        for of_entity in strings.values():
            used.update(*of_entity)
    return next(it for it in chain(DELIMITERS, map(chr, _RARE)) if it not in used)
