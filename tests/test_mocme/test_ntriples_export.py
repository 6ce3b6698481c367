"""What an RDF store gets, by an independent parser: facts, and statements of what is predicted."""

import re
import tempfile
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote, urlparse

import pytest
import rdflib
from hypothesis import example, given, settings
from hypothesis import strategies as st
from odd_graph import ENTITIES, NAMES, odd_dataset, odd_graph, predicted
from rdflib import FOAF, RDF, RDFS, Graph, Literal, URIRef
from small_runs import mocme

from mocme.exporting.entity_content import EntityContent
from mocme.exporting.graph_n_triples import NTriplesError, write_graph
from mocme.exporting.n_triples import lines_of
from storage.files.owned import ForeignFileError

CAPITAL_OF = URIRef("urn:mocme:relation:capital%20of")
PROBABILITY = URIRef("urn:mocme:probability")


def entity(number: int) -> URIRef:
    return URIRef(f"urn:mocme:entity:e{number}")


def parsed(path: Path) -> Graph:
    return Graph().parse(path, format="nt")


@pytest.fixture
def exported(tmp_path: Path) -> Graph:
    content = odd_dataset(tmp_path / "a folder/data")
    assert write_graph(tmp_path / "out.nt", odd_graph(), predicted(), content) == 1
    return parsed(tmp_path / "out.nt")


def test_entities_have_what_they_list(exported: Graph, tmp_path: Path) -> None:
    for number, name in enumerate(NAMES):
        assert list(exported.objects(entity(number), RDFS.label)) == [Literal(name)]
    kinds = list(exported.objects(entity(0), RDF.type))
    assert {str(exported.value(kind, RDFS.label)) for kind in kinds} == {"Country", "a;b"}
    text, motto = (URIRef(f"urn:mocme:text:{it}") for it in ("text", "motto"))
    assert str(exported.value(entity(1), text)) == ENTITIES[1]["text"]
    assert {str(it) for it in exported.objects(entity(1), motto)} == set(ENTITIES[1]["motto"])
    assert (text, RDFS.subPropertyOf, RDFS.comment) in exported
    pictures = [urlparse(str(it)) for it in exported.objects(entity(0), FOAF.depiction)]
    root = tmp_path / "a folder/data"
    assert {unquote(it.path) for it in pictures} == {str(root / it) for it in ENTITIES[0]["image"]}
    assert {it.scheme for it in pictures} == {"file"}
    assert not any(it.fragment or it.query for it in pictures)
    assert exported.value(entity(2), URIRef("urn:mocme:audio:audio")) is not None
    assert list(exported.predicate_objects(entity(4))) == [(RDFS.label, Literal(NAMES[4]))]


def test_numbers_are_exact(exported: Graph) -> None:
    def number(of: int, attribute: str) -> Literal:
        return exported.value(entity(of), URIRef(f"urn:mocme:numeric:{attribute}"))

    assert number(0, "population") == Literal(67_391_582)
    assert number(0, "population").datatype == rdflib.XSD.integer
    assert number(1, "huge").toPython() == 2**70 + 1
    assert number(0, "area%20%28km2%29") == Literal(0.1)
    assert number(2, "a%20b").toPython() == 1e-7
    assert number(2, "a%20b").datatype == rdflib.XSD.double
    assert number(1, "a%3Ab").toPython() == -3


def test_facts_are_asserted_and_guesses_are_not(exported: Graph) -> None:
    facts = set(exported.subject_objects(CAPITAL_OF))
    assert facts == {(entity(0), entity(1)), (entity(1), entity(2))}
    (guess,) = exported.subjects(PROBABILITY)
    assert exported.value(guess, RDF.type) == RDF.Statement
    parts = (RDF.subject, RDF.predicate, RDF.object)
    assert [exported.value(guess, it) for it in parts] == [entity(4), CAPITAL_OF, entity(5)]
    assert exported.value(guess, PROBABILITY) == Literal(0.25)
    (uncertain,) = exported.subjects(URIRef("urn:mocme:confidence"))
    assert [exported.value(uncertain, it) for it in parts] == [entity(1), CAPITAL_OF, entity(2)]
    assert exported.value(uncertain, URIRef("urn:mocme:confidence")) == Literal(0.7)


def test_what_describes_entities_has_a_name(exported: Graph) -> None:
    for name, label in (
        ("relation:capital%20of", "capital of"),
        ("numeric:area%20%28km2%29", "area (km2)"),
        ("kind:a%3Bb", "a;b"),
    ):
        assert str(exported.value(URIRef(f"urn:mocme:{name}"), RDFS.label)) == label


def test_the_query_of_the_documentation_finds_guesses(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs/exports.md").read_text(encoding="utf-8")
    (query,) = re.findall(r"```sparql\n(.*?)```", text, re.DOTALL)
    triples = [replace(it, probability=0.75) for it in predicted(("eats",))]
    write_graph(tmp_path / "x.nt", odd_graph(("eats",)), triples, EntityContent())
    assert list(parsed(tmp_path / "x.nt").query(query)) == [(entity(4), entity(5), Literal(0.75))]


def test_asserted_guesses_are_facts_with_a_statement(tmp_path: Path) -> None:
    write_graph(tmp_path / "x.nt", odd_graph(), predicted(), EntityContent(), asserts=True)
    graph = parsed(tmp_path / "x.nt")
    assert (entity(4), CAPITAL_OF, entity(5)) in graph
    assert len(list(graph.subjects(PROBABILITY))) == 1


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=8), min_size=6, max_size=6))
@example(['"\\"', "\r\n\t\b\f\0", "\x7f\x85\u2028", "\U000e0041🦊", "\\u0041", "\ufeff "])
def test_names_come_back(names: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x.nt")
        graph = replace(odd_graph(), names=tuple(names), kinds=((names[0] or "k",),) * 6)
        write_graph(path, graph, predicted(), EntityContent())
        found = parsed(path)
    # Not by Literal's equality, which rdflib normalizes.
    assert [str(found.value(entity(number), RDFS.label)) for number in range(6)] == names
    (kind,) = found.objects(entity(0), RDF.type)
    assert str(found.value(kind, RDFS.label)) == (names[0] or "k")


def test_predictions_alone_are_read_by_a_parser_too(tmp_path: Path) -> None:
    for asserts in (False, True):
        text = "\n".join(line for lines in lines_of(predicted(), asserts=asserts) for line in lines)
        graph = Graph().parse(data=text, format="nt")
        assert ((entity(4), CAPITAL_OF, entity(5)) in graph) == asserts
        assert str(graph.value(entity(4), RDFS.label)) == NAMES[4]


def test_it_replaces_its_own_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "x.nt"
    for _ in range(2):
        write_graph(path, odd_graph(), predicted(), EntityContent())
    path.write_text("<urn:a> <urn:b> <urn:c> .\n")
    with pytest.raises(ForeignFileError, match=r"x\.nt: found another file; allowed: another name"):
        write_graph(path, odd_graph(), predicted(), EntityContent())
    assert path.read_text() == "<urn:a> <urn:b> <urn:c> .\n"
    with pytest.raises(NTriplesError, match=r"found the suffix '\.ttl'; allowed: \.nt"):
        write_graph(tmp_path / "x.ttl", odd_graph(), predicted(), EntityContent())


def test_a_run_as_n_triples(project: Path, tmp_path: Path) -> None:
    run, out = project / "data/runs/newest", tmp_path / "out.nt"
    command = mocme("export", "ntriples", out, "--run", run, "-k", 2, "--json")
    assert command.exit_code == 0, command.stderr
    graph = parsed(out)
    guesses = list(graph.subjects(PROBABILITY))
    assert len(guesses) == command.json["predicted"] > 0
    for guess in guesses:
        parts = (RDF.subject, RDF.predicate, RDF.object)
        assert tuple(graph.value(guess, it) for it in parts) not in graph
    pictures = [Path(unquote(urlparse(str(it)).path)) for it in graph.objects(None, FOAF.depiction)]
    assert pictures
    assert {path.name for path in pictures if not path.is_file()} == {"lost.jpg"}, "as listed"

    again = mocme("export", "ntriples", out, "--run", run, "-k", 2, "--assert")
    assert again.exit_code == 0, again.stderr
    graph = parsed(out)
    guesses = list(graph.subjects(PROBABILITY))
    assert guesses
    for guess in guesses:
        parts = (RDF.subject, RDF.predicate, RDF.object)
        assert tuple(graph.value(guess, it) for it in parts) in graph


def test_predict_asserts_what_it_is_asked_to(project: Path, tmp_path: Path) -> None:
    run, out = project / "data/runs/newest", tmp_path / "found.nt"
    for words, asserted in ([], False), (["--assert"], True), ([], False):
        command = mocme("predict", "--run", run, "--out", out, "-k", 2, *words)
        assert command.exit_code == 0, command.stderr
        graph = parsed(out)
        (guess, *_) = graph.subjects(PROBABILITY)
        parts = (RDF.subject, RDF.predicate, RDF.object)
        assert (tuple(graph.value(guess, it) for it in parts) in graph) == asserted


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["predict", "--out", "x.csv", "--assert"], "--assert is for --out FILE.nt"),
        (["export", "ntriples", "x.rdf"], "x.rdf: found the suffix '.rdf'; allowed: .nt"),
        (["export", "ntriples", "none/x.nt"], "none/x.nt: found No such file or directory"),
        (["export", "ntriples", "mine.nt"], "mine.nt: found another file; allowed: another name"),
    ],
)
def test_bad_places_are_one_line(
    project: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], reason: str
) -> None:
    monkeypatch.chdir(project)
    (project / "mine.nt").write_text("# mine\n")
    before = set(project.iterdir())
    command = mocme(*words, "--run", "data/runs/newest")
    assert command.exit_code == 2
    assert reason in command.stderr.replace("\n", " ")
    assert set(project.iterdir()) == before
    assert (project / "mine.nt").read_text() == "# mine\n"
