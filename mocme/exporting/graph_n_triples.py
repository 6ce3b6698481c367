"""A whole graph as N-Triples: entities with all that they list, facts, and predictions apart.

Facts are triples. A fact whose confidence is stated, and a predicted triple, have an
`rdf:Statement` as in `mocme.exporting.n_triples`; a predicted one is not asserted unless wanted.

| Of an entity | predicate | object |
| name | `rdfs:label` | literal |
| kind | `rdf:type` | `urn:mocme:kind:<kind>` |
| text | `urn:mocme:text:<field>`, a sub-property of `rdfs:comment` | literal |
| number | `urn:mocme:numeric:<attribute>` | `xsd:integer` or `xsd:double` |
| picture | `foaf:depiction` | `file:` IRI |
| sound, clip | `urn:mocme:<modality>:<field>` | `file:` IRI |

Kinds, attributes and relations have their names as `rdfs:label`. Names that are absolute IRIs stand
for themselves: see `mocme.exporting.iris`.
"""

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from mocme.exporting.entity_content import EntityContent, Number
from mocme.exporting.iris import VOCABULARY, iri
from mocme.exporting.known_triples import known_triples
from mocme.exporting.n_triples import (
    RDF,
    RDFS_LABEL,
    double_literal,
    lines_of,
    statement,
    text_literal,
)
from mocme.exporting.prior_file import require_own_text
from storage.atomic import replacing
from storage.datasets.graph import Graph
from storage.errors import MocmeError

if TYPE_CHECKING:
    from model.prediction.answers import PredictedTriple

FIRST_LINE = "# A graph, written by mocme export ntriples."

_RDF_TYPE = f"<{RDF}type>"
_SUB_PROPERTY = "<http://www.w3.org/2000/01/rdf-schema#subPropertyOf>"
_COMMENT = "<http://www.w3.org/2000/01/rdf-schema#comment>"
_DEPICTION = "<http://xmlns.com/foaf/0.1/depiction>"
_INTEGER = "<http://www.w3.org/2001/XMLSchema#integer>"
_CONFIDENCE = f"<{VOCABULARY}confidence>"


class NTriplesError(MocmeError):
    """A graph that cannot be written."""


def check_place(path: Path) -> None:
    """Refuse a file that is not to be one of N-Triples, or that another program has written.

    Raises:
        NTriplesError: If the suffix is not `.nt`.
        ForeignFileError: If another file stands there.
    """
    if path.suffix != ".nt":
        raise NTriplesError(f"{path}: found the suffix '{path.suffix}'; allowed: .nt")
    require_own_text(path, FIRST_LINE)


def write_graph(
    path: Path,
    graph: Graph,
    triples: Iterable["PredictedTriple"],
    content: EntityContent,
    *,
    asserts: bool = False,
) -> int:
    """Write a graph's entities, its triples, and predicted ones; the file whole or not at all.

    Args:
        path: The file.
        graph: The graph.
        triples: What it lacks.
        content: What its entities list.
        asserts: Whether predicted triples stand there as facts, too, beside their statements.

    Returns:
        How many predicted triples there were.

    Raises:
        NTriplesError: If the file cannot be written, or its suffix is not `.nt`.
        ForeignFileError: If another file stands there.
    """
    check_place(path)
    writer, num_predicted = _GraphLines(graph, content), 0
    try:
        with (
            replacing(path) as temporary,
            temporary.open("w", encoding="utf-8", newline="\n") as file,
        ):
            file.write(f"{FIRST_LINE}\n")
            for line in writer.known():
                file.write(f"{line} .\n")
            for lines in writer.predicted(triples, asserts=asserts):
                num_predicted += 1
                file.writelines(f"{line}\n" for line in lines)
    except OSError as error:
        raise NTriplesError(
            f"{path}: found {error.strerror}; allowed: a file in a folder that can be written to"
        ) from error
    return num_predicted


class _GraphLines:
    """The lines of a graph, without the dots that end them."""

    def __init__(self, graph: Graph, content: EntityContent) -> None:
        self._graph, self._content = graph, content
        self._entities, self._relations = frozenset(graph.entities), frozenset(graph.relations)
        self._kinds = frozenset(chain.from_iterable(graph.kinds))
        self._attributes = frozenset(content.numbers)
        self._fields = frozenset({*content.texts, *content.paths})

    @property
    def _vocabulary(self) -> dict[str, frozenset[str]]:
        """What entities are described by, whose IRIs need a name to be read."""
        return {
            "relation": self._relations,
            "kind": self._kinds,
            "numeric": self._attributes,
        }

    def known(self) -> Iterator[str]:
        """Yield what the dataset says."""
        for field in self._content.texts:
            yield f"{self._field('text', field)} {_SUB_PROPERTY} {_COMMENT}"
        for name, ids in self._vocabulary.items():
            for it in sorted(ids):
                yield f"{iri(name, it, ids)} {RDFS_LABEL} {text_literal(it)}"
        yield from self._of_entities()
        yield from self._facts()

    def predicted(
        self, triples: Iterable["PredictedTriple"], *, asserts: bool
    ) -> Iterator[list[str]]:
        """Yield the lines of each predicted triple, with their dots."""
        return lines_of(triples, self._entities, self._relations, asserts=asserts, labels=False)

    def _of_entities(self) -> Iterator[str]:
        graph = self._graph
        for row, (entity, name) in enumerate(zip(graph.entities, graph.names, strict=True)):
            subject = iri("entity", entity, self._entities)
            yield f"{subject} {RDFS_LABEL} {text_literal(name)}"
            for kind in dict.fromkeys(graph.kinds[row]) if graph.kinds else ():
                yield f"{subject} {_RDF_TYPE} {iri('kind', kind, self._kinds)}"
            for said in self._listed(entity):
                yield f"{subject} {said}"

    def _listed(self, entity: str) -> Iterator[str]:
        """Yield predicates and objects of what an entity lists."""
        content = self._content
        for field, texts in content.texts.items():
            for text in texts.get(entity, ()):
                yield f"{self._field('text', field)} {text_literal(text)}"
        for attribute, numbers in content.numbers.items():
            if entity in numbers:
                predicate = iri("numeric", attribute, self._attributes)
                yield f"{predicate} {_number_literal(numbers[entity])}"
        for field, paths in content.paths.items():
            modality = content.media[field]
            predicate = _DEPICTION if modality == "image" else self._field(modality, field)
            for path in paths.get(entity, ()):
                yield f"{predicate} <{(content.root / path).as_uri()}>"

    def _field(self, modality: str, field: str) -> str:
        return iri(modality, field, self._fields)

    def _facts(self) -> Iterator[str]:
        for number, triple in enumerate(known_triples(self._graph)):
            head, tail = (iri("entity", it, self._entities) for it in (triple.head, triple.tail))
            terms = head, iri("relation", triple.relation, self._relations), tail
            yield " ".join(terms)
            if triple.confidence is not None:
                node = f"_:f{number}"
                yield from statement(node, terms)
                yield f"{node} {_CONFIDENCE} {double_literal(triple.confidence)}"


def _number_literal(value: Number) -> str:
    if isinstance(value, int):
        return f'"{value}"^^{_INTEGER}'
    return double_literal(value)
