"""Predicted triples as N-Triples: the triple itself, and what is known of it as a statement.

Source: https://www.w3.org/TR/n-triples/; statements as in RDF 1.1 Schema, section 5.3, so it is
RDF without extensions.
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
) -> Iterator[list[str]]:
    """Yield the lines of each triple: itself, its statement, and the names of its entities.

    The statement has the predicates `urn:mocme:probability`, `urn:mocme:weight:<modality>` and,
    where a rule leads to the triple, `urn:mocme:rule` and `urn:mocme:rule_confidence`.

    Args:
        triples: The triples.
        entities: Ids of all entities, whose IRIs must differ.
        relations: Ids of all relations.
    """
    named: set[str] = set()
    for number, triple in enumerate(triples):
        head, tail = (iri("entity", it, entities) for it in (triple.head, triple.tail))
        relation, statement = iri("relation", triple.relation, relations), f"_:t{number}"
        found = [
            f"{head} {relation} {tail}",
            f"{statement} <{RDF}type> <{RDF}Statement>",
            f"{statement} <{RDF}subject> {head}",
            f"{statement} <{RDF}predicate> {relation}",
            f"{statement} <{RDF}object> {tail}",
            f"{statement} <{VOCABULARY}probability> {_number(triple.probability)}",
        ]
        for modality, weight in triple.modality_weights.items():
            found.append(f"{statement} {iri('weight', modality)} {_number(weight)}")
        if triple.rule:
            found.append(f"{statement} <{VOCABULARY}rule> {_text(str(triple.rule))}")
            confidence = _number(triple.rule.confidence)
            found.append(f"{statement} <{VOCABULARY}rule_confidence> {confidence}")
        for entity, name in ((head, triple.head_name), (tail, triple.tail_name)):
            if entity not in named:
                named.add(entity)
                found.append(f"{entity} {RDFS_LABEL} {_text(name)}")
        yield [f"{line} ." for line in found]


def _number(value: float) -> str:
    return f'"{value!r}"^^{DOUBLE}'


def _text(value: str) -> str:
    r"""Return a literal; hidden characters are `\uXXXX` in it, and `\UXXXXXXXX`."""
    return HIDDEN.sub(_escape, json.dumps(value, ensure_ascii=False))


def _escape(found: re.Match[str]) -> str:
    point = ord(found[0])
    return f"\\u{point:04X}" if point < 0x10000 else f"\\U{point:08X}"
