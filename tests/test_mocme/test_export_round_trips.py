"""Every export reads back as it was, by its format's own reader, whatever ids and names hold."""

import csv
import json
import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pandas
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from extractors.imported import Imported, ImportedConfig
from flows.stages.predictions import PredictionFileError, read_predictions
from mocme.exporting.iris import iri
from mocme.exporting.n_triples import lines_of
from mocme.exporting.neo4j import NODES, RELATIONSHIPS, write_graph
from mocme.exporting.prediction_files import write_predictions
from model.prediction.answers import AppliedRule, NearFact, PredictedTriple
from storage.datasets.graph import Graph
from storage.features.export import ExportedFeatures, write_features
from storage.files.separated import without_formula

ODD = "a \r\n\t\"',;|\\\0\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0\u2028\u2029\ufeff\u202e\u200b<>éé=🦊#%:/"
TEXTS = st.one_of(st.text(st.sampled_from(ODD), max_size=6), st.text(max_size=6))
IDS = TEXTS.filter(bool)
NAMED = st.tuples(IDS, TEXTS, IDS, IDS, TEXTS)
QUICK = settings(max_examples=60, deadline=None)
HARD = [("first\rsecond", "a\r\nb", "r\r", '"', "\ufeff"), (" ", "\x85", "\u2028", "\0", "\x1c")]


def triples_of(rows: Sequence[tuple[str, ...]]) -> list[PredictedTriple]:
    """Make triples, every second with a fact and a rule."""
    return [
        PredictedTriple(
            *(head, head_name, relation, tail, tail_name, 0.25, {"text": 1.0}, {}),
            (NearFact(tail, "", head, "", 0.5),) if number % 2 else (),
            AppliedRule((relation,), 0.5) if number % 2 else None,
        )
        for number, (head, head_name, relation, tail, tail_name) in enumerate(rows)
    ]


def columns(rows: Sequence[dict[str, Any]]) -> list[tuple[Any, ...]]:
    names = ("head", "head_name", "relation", "tail", "tail_name")
    return [tuple(row[name] for name in names) for row in rows]


@QUICK
@given(st.lists(NAMED, min_size=1, max_size=4))
@example(HARD)
def test_predictions(rows: list[tuple[str, ...]]) -> None:
    triples = triples_of(rows)
    with tempfile.TemporaryDirectory() as folder:
        for suffix in (".csv", ".tsv", ".jsonl", ".parquet"):
            path = Path(folder, f"x{suffix}")
            assert write_predictions(path, triples) == len(rows)
            assert [columns(list(found)) for found in read_by_all(path)] == [rows] * len(
                list(read_by_all(path))
            )
        found = read_predictions(Path(folder, "x.tsv"))
        assert [(it.head, it.relation, it.tail) for it in found] == [
            (row[0], row[2], row[3]) for row in rows
        ]
        assert [it.nearest and it.nearest[:2] for it in found] == [
            (row[3], row[0]) if number % 2 else None for number, row in enumerate(rows)
        ]


def read_by_all(path: Path) -> Iterator[list[dict[str, Any]]]:
    """Yield the rows as each of a format's readers has them."""
    if path.suffix == ".parquet":
        yield parquet.read_table(path).to_pylist()
    elif path.suffix == ".jsonl":
        text = path.read_text(encoding="utf-8")
        yield [json.loads(line) for line in text.splitlines()]
        yield pandas.read_json(path, lines=True, dtype=False, convert_dates=False).to_dict(
            "records"
        )
    else:
        dialect, separator = ("excel", ",") if path.suffix == ".csv" else ("excel-tab", "\t")
        with path.open(encoding="utf-8", newline="") as file:
            yield list(csv.DictReader(file, dialect=dialect))
        if "\0" not in path.read_text(encoding="utf-8"):  # which ends pandas' cells
            frame = pandas.read_csv(path, sep=separator, dtype=str, keep_default_na=False)
            yield frame.to_dict("records")


@QUICK
@given(st.lists(IDS, min_size=2, max_size=4, unique=True), st.lists(TEXTS, min_size=4, max_size=4))
@example(["first\rsecond", "a\r\nb", '"', "\x85"], ["\r", "", "a,b", "\n"])
def test_neo4j(ids: list[str], names: list[str]) -> None:
    train = np.array([[0, 0, 1]])
    graph = Graph(tuple(ids), tuple(names[: len(ids)]), (names[0],), train, train, train)
    predicted = triples_of([(ids[1], "", names[1], ids[0], "")])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        assert write_graph(folder, graph, predicted, asserts=True) == 1
        found = {}
        for file in (NODES, RELATIONSHIPS):
            with (folder / file).open(encoding="utf-8", newline="") as opened:
                found[file] = list(csv.reader(opened))[1:]
    assert [row[:2] for row in found[NODES]] == [list(it) for it in zip(ids, names, strict=False)]
    assert [row[:3] for row in found[RELATIONSHIPS]] == [
        [ids[0], ids[1], names[0]],
        [ids[1], ids[0], names[1]],
    ]


@QUICK
@given(st.lists(IDS, min_size=1, max_size=4, unique=True))
@example(['"a"', '"b"'])
@example(["\ufeffa", " b ", "c\rd", "e\u2028"])
@example(["plain", "words with spaces", '"half'])
def test_features_and_their_ids(ids: list[str]) -> None:
    rows = np.arange(len(ids), dtype=np.float32)[:, np.newaxis]
    with tempfile.TemporaryDirectory() as name:
        file, list_file = write_features(Path(name, "x.npy"), ExportedFeatures(ids, rows))
        imported = Imported(ImportedConfig(file=file, ids=list_file))
        imported.prepare(ids)
        assert [imported.load(it)[0] for it in ids] == list(range(len(ids)))
        lines = list_file.read_text(encoding="utf-8").splitlines()
        assert len(lines) == len(ids)
        write_features(Path(name, "x.parquet"), ExportedFeatures(ids, rows))
        assert parquet.read_table(Path(name, "x.parquet"))["id"].to_pylist() == ids


CODE = r"\\u[0-9A-Fa-f]{4}|\\U[0-9A-Fa-f]{8}"
LITERAL = re.compile(rf'"((?:[^\x22\x5C\x0A\x0D]|\\[tbnrf"\'\\]|{CODE})*)"')


@QUICK
@given(TEXTS)
@example("\U000e0041\\u0041\r\n\t\b\f\x7f")
def test_labels_of_n_triples(name: str) -> None:
    (lines,) = lines_of(triples_of([("a", name, "r", "b", "")]))
    text = "\n".join(lines)
    assert text.splitlines() == lines
    (line,) = [line for line in lines if line.startswith("<urn:mocme:entity:a> <http")]
    literal = LITERAL.fullmatch(line.split(" ", 2)[2].removesuffix(" ."))
    assert literal is not None
    simple = {"t": "\t", "b": "\b", "n": "\n", "r": "\r", "f": "\f"}

    def unescaped(found: re.Match[str]) -> str:
        code = found[1]
        return chr(int(code[1:], 16)) if len(code) > 1 else simple.get(code, code)

    assert re.sub(r"\\(u.{4}|U.{8}|.)", unescaped, literal[1]) == name


IRI = re.compile(r"<[^\x00-\x20<>\"{}|^`\\]*>")
WEB = st.builds("".join, st.lists(st.sampled_from(["http://x/", "<", ">", "a", " ", "%20", "é"])))


@QUICK
@given(st.sets(st.one_of(WEB, TEXTS, WEB.map(lambda it: f"<http://x/{it}>")), max_size=6))
@example({"http://x/a b", "<http://x/a b>", "http://x/a%20b", "<http://x/a%20b>"})
@example({"a", "urn:mocme:entity:a", "<urn:mocme:entity:a>", "URN:MOCME:entity:a"})
@example({"http://x", "<http://x>", "http://x ", "<http://x >"})
def test_each_id_has_an_iri_of_its_own(ids: set[str]) -> None:
    found = {iri("entity", it, ids): it for it in ids}
    assert len(found) == len(ids)
    for written, name in found.items():
        assert IRI.fullmatch(written)
        bare = written[1:-1]
        if bare.startswith("urn:mocme:entity:"):
            assert unquote(bare.removeprefix("urn:mocme:entity:")) == name
        else:
            given_bare = name[1:-1] if re.fullmatch("<.*>", name, re.DOTALL) else name
            assert given_bare in (bare, unquote(bare))


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("<http://dbpedia.org/resource/E4>", "<http://dbpedia.org/resource/E4>"),
        (
            "http://de.dbpedia.org/resource/Köln_(Stadt)",
            "<http://de.dbpedia.org/resource/Köln_(Stadt)>",
        ),
        ('<http://dbpedia.org/resource/"X"_Y>', "<http://dbpedia.org/resource/%22X%22_Y>"),
        ("http://[::1]:80/a?b=c#d", "<http://[::1]:80/a?b=c#d>"),
        ("file:///a", "<file:///a>"),
        ("<mailto:a@b>", "<mailto:a@b>"),
        ("film:title", "<urn:mocme:entity:film%3Atitle>"),
        ("http://me:you@x:80/y", "<http://me:you@x:80/y>"),
        ("http://x:80y/", "<urn:mocme:entity:http%3A%2F%2Fx%3A80y%2F>"),
        ("http://x/100%", "<urn:mocme:entity:http%3A%2F%2Fx%2F100%25>"),
        ("http://x/\u202e", "<http://x/%E2%80%AE>"),
    ],
)
def test_what_is_an_iri_by_rfc_3987(name: str, wanted: str) -> None:
    assert iri("entity", name, {name}) == wanted


def test_a_spreadsheet_computes_nothing(tmp_path: Path) -> None:
    rows = [("=1+1", "+a", "-r", "@t", "\tb"), ("\rc", "plain", "a=b", "1-2", "＝1")]
    triples = triples_of(rows)
    write_predictions(tmp_path / "x.csv", triples)
    with (tmp_path / "x.csv").open(newline="") as file:
        assert columns(list(csv.DictReader(file))) == rows
    write_predictions(tmp_path / "x.csv", triples, for_spreadsheet=True)
    with (tmp_path / "x.csv").open(newline="") as file:
        found = list(csv.DictReader(file))
    assert columns(found) == [tuple(map(without_formula, row)) for row in rows]
    assert columns(found)[0] == ("'=1+1", "'+a", "'-r", "'@t", "'\tb")
    assert columns(found)[1] == ("'\rc", "plain", "a=b", "1-2", "'＝1")
    assert found[0]["probability"] == "0.25"
    with pytest.raises(PredictionFileError, match=r"\.jsonl.*allowed: \.csv, \.tsv"):
        write_predictions(tmp_path / "x.jsonl", triples, for_spreadsheet=True)


def test_a_name_of_any_length_is_read(tmp_path: Path) -> None:
    write_predictions(tmp_path / "x.tsv", triples_of([("a" * 200_000, "", "r", "b", "")]))
    (found,) = read_predictions(tmp_path / "x.tsv")
    assert found.head == "a" * 200_000
