"""Predicted triples as N-Triples: the triple itself, and what is known of it as a statement.

Source: https://www.w3.org/TR/n-triples/; statements as in RDF 1.1 Schema, section 5.3, so it is
RDF without extensions.
"""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from model.prediction.answers import PredictedTriple

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
RDFS_LABEL = "<http://www.w3.org/2000/01/rdf-schema#label>"
DOUBLE = "<http://www.w3.org/2001/XMLSchema#double>"
VOCABULARY = "urn:mocme:"
_SCHEMES = ("http://", "https://", "urn:")
_OF_IRIS = ":/?#[]@!$&'()*+,;=%~-._"  # what may stand in an IRI as it is, beside letters and digits


def iri(kind: str, name: str) -> str:
    """Return an id as an IRI: itself if it is one, else below `urn:mocme:`.

    Args:
        kind: `entity`, `relation` or `weight`.
        name: The id.
    """
    if name.startswith(_SCHEMES):
        return f"<{quote(name, safe=_OF_IRIS)}>"
    return f"<{VOCABULARY}{kind}:{quote(name, safe='')}>"


def lines_of(triples: Iterable["PredictedTriple"]) -> Iterator[list[str]]:
    """Yield the lines of each triple: itself, its statement, and the names of its entities.

    The statement has the predicates `urn:mocme:probability`, `urn:mocme:weight:<modality>` and,
    where a rule leads to the triple, `urn:mocme:rule` and `urn:mocme:rule_confidence`.
    """
    named: set[str] = set()
    for number, triple in enumerate(triples):
        head, tail = iri("entity", triple.head), iri("entity", triple.tail)
        relation, statement = iri("relation", triple.relation), f"_:t{number}"
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
    for character, escaped in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("\r", "\\r")):
        value = value.replace(character, escaped)
    return f'"{value}"'
