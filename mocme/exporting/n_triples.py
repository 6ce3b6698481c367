"""Predicted triples as N-Triples: each a statement with what is known of it, and no fact.

Source: https://www.w3.org/TR/n-triples/; statements as in RDF 1.1 Schema, section 5.3, so it is
RDF without extensions: an `rdf:Statement` about a triple does not assert it.
"""

import json
import re
from collections.abc import Iterable, Iterator, Set
from typing import TYPE_CHECKING

from mocme.exporting.iris import VOCABULARY, iri
from storage.words.visible import HIDDEN

if TYPE_CHECKING:
    from model.prediction.answers import PredictedTriple

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
RDFS_LABEL = "<http://www.w3.org/2000/01/rdf-schema#label>"
DOUBLE = "<http://www.w3.org/2001/XMLSchema#double>"


def lines_of(
    triples: Iterable["PredictedTriple"],
    entities: Set[str] = frozenset(),
    relations: Set[str] = frozenset(),
    *,
    asserts: bool = False,
    labels: bool = True,
) -> Iterator[list[str]]:
    """Yield the lines of each triple: its statement, and the names of its entities.

    The statement has the predicates `urn:mocme:probability`, `urn:mocme:weight:<modality>` and,
    where a rule leads to the triple, `urn:mocme:rule` and `urn:mocme:rule_confidence`.

    Args:
        triples: The triples.
        entities: Ids of all entities, whose IRIs must differ.
        relations: Ids of all relations.
        asserts: Whether the triple itself comes first, as a fact.
        labels: Whether to name the entities.
    """
    named: set[str] = set()
    for number, triple in enumerate(triples):
        head, tail = (iri("entity", it, entities) for it in (triple.head, triple.tail))
        terms = head, iri("relation", triple.relation, relations), tail
        found = [" ".join(terms)] if asserts else []
        found += statement(f"_:t{number}", terms)
        found += _evidence(f"_:t{number}", triple)
        for entity, name in ((head, triple.head_name), (tail, triple.tail_name)):
            if labels and entity not in named:
                named.add(entity)
                found.append(f"{entity} {RDFS_LABEL} {text_literal(name)}")
        yield [f"{line} ." for line in found]


def statement(node: str, terms: tuple[str, str, str]) -> list[str]:
    """Return the lines, without their dots, that make a node a statement about a triple.

    Args:
        node: The blank node.
        terms: Subject, predicate and object.
    """
    parts = zip(("subject", "predicate", "object"), terms, strict=True)
    return [
        f"{node} <{RDF}type> <{RDF}Statement>",
        *(f"{node} <{RDF}{part}> {term}" for part, term in parts),
    ]


def _evidence(node: str, triple: "PredictedTriple") -> list[str]:
    found = [f"{node} <{VOCABULARY}probability> {double_literal(triple.probability)}"]
    for modality, weight in triple.modality_weights.items():
        found.append(f"{node} {iri('weight', modality)} {double_literal(weight)}")
    if triple.rule:
        confidence = double_literal(triple.rule.confidence)
        found.append(f"{node} <{VOCABULARY}rule> {text_literal(str(triple.rule))}")
        found.append(f"{node} <{VOCABULARY}rule_confidence> {confidence}")
    return found


def double_literal(value: float) -> str:
    """Return a number as a literal of `xsd:double`."""
    return f'"{value!r}"^^{DOUBLE}'


def text_literal(value: str) -> str:
    r"""Return a literal; hidden characters are `\uXXXX` in it, and `\UXXXXXXXX`."""
    return HIDDEN.sub(_escape, json.dumps(value, ensure_ascii=False))


def _escape(found: re.Match[str]) -> str:
    point = ord(found[0])
    return f"\\u{point:04X}" if point < 0x10000 else f"\\U{point:08X}"
