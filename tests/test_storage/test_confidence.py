"""Triples with a confidence, and negatives: what is read, refused, looked up and written."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from storage.datasets.audit import audit
from storage.datasets.clean import clean_splits, selection_splits, write_clean
from storage.datasets.contradictions import find_contradictions
from storage.datasets.dataset import read_dataset
from storage.datasets.graph import SPLITS
from storage.errors import DatasetError


def test_lines_with_and_without_a_confidence_are_mixed(folder: Path) -> None:
    plain = read_dataset(folder).graph
    (folder / "valid.tsv").write_text("cat\teats\tant\t0.25\n")
    (folder / "test.tsv").write_text("dog\tbites\tcat\t1\n")
    graph = read_dataset(folder).graph
    np.testing.assert_array_equal(graph.valid, plain.valid)
    np.testing.assert_array_equal(graph.confidence(graph.train), [1, 1, 1])
    np.testing.assert_array_equal(graph.confidence(graph.valid), [0.25])
    np.testing.assert_array_equal(graph.confidence(graph.test), [1])
    np.testing.assert_array_equal(graph.uncertain, graph.valid)
    assert graph.confidence(graph.valid).dtype == np.float32
    assert graph.confidence(graph.valid[:0]).shape == (0,)
    assert graph.digest != plain.digest


def test_certain_triples_are_the_graph_without_confidences(folder: Path) -> None:
    plain = read_dataset(folder).graph
    (folder / "valid.tsv").write_text("cat\teats\tant\t1.000\n")
    assert read_dataset(folder).graph.digest == plain.digest


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["0.2", "0.7", "0.5"], 0.7),
        (["0.2", None], 1),
        ([None, "0"], 1),
        (["0", "0.0"], 0),
        (["1e-3"], 0.001),
        ([".5"], 0.5),
        (["+1."], 1),
        (["0." + "9" * 30], 1),
    ],
)
def test_the_highest_confidence_counts(
    folder: Path, lines: list[str | None], expected: float
) -> None:
    texts = ["cat\teats\tdog" + ("" if it is None else f"\t{it}") for it in lines]
    (folder / "valid.tsv").write_text("cat\teats\tant\n" + "\n".join(texts))
    graph = read_dataset(folder).graph
    np.testing.assert_array_equal(graph.confidence(graph.valid[1:2]), [np.float32(expected)])
    assert len(graph.uncertain) == (np.float32(expected) < 1)


def test_the_highest_counts_over_all_splits(folder: Path) -> None:
    (folder / "valid.tsv").write_text("cat\tchases\tdog\t0.1\ncat\teats\tant\t0.3\n")
    (folder / "test.tsv").write_text("cat\teats\tant\t0.4\n")
    graph = read_dataset(folder).graph
    np.testing.assert_array_equal(graph.confidence(graph.valid), np.float32([1, 0.4]))


@pytest.mark.parametrize(
    "text",
    [
        "nan",
        "inf",
        "-inf",
        "1e400",
        "",
        " ",
        "0,5",
        "1.01",
        "-0.1",
        "-0",
        "0x1",
        "1_0",
        "٠",
        "high",
        "0.5 ",
        "50%",
    ],
)
def test_what_is_no_confidence_is_refused(folder: Path, text: str) -> None:
    (folder / "valid.tsv").write_text(f"cat\teats\tant\ncat\teats\tdog\t{text}\n")
    with pytest.raises(DatasetError) as caught:
        read_dataset(folder)
    message = str(caught.value)
    assert message.startswith(f"{folder / 'valid.tsv'}, line 2, field 'confidence': found ")
    assert message.endswith(
        "allowed: a decimal number from 0 to 1, such as 0.8, or no fourth column"
    )


def test_confidences_survive_a_split_and_whatever_becomes_of_the_splits(folder: Path) -> None:
    lines = [
        f"{head}\tr{relation}\t{tail}\t0.{relation}5\n"
        for head in ("cat", "dog")
        for tail in ("ant", "cat")
        for relation in range(10)
    ]
    for split in SPLITS:
        (folder / f"{split}.tsv").unlink()
    (folder / "triples.tsv").write_text("".join(lines))
    graph = read_dataset(folder).graph
    for other in (graph, clean_splits(graph), selection_splits(graph)):
        for split in SPLITS:
            triples = other.split(split)
            stated = [float(f"0.{graph.relations[r][1:]}5") for r in triples[:, 1]]
            np.testing.assert_array_equal(other.confidence(triples), np.float32(stated))
    shuffled = dataclasses.replace(graph, train=graph.train[::-1])
    np.testing.assert_array_equal(
        shuffled.confidence(shuffled.train), graph.confidence(graph.train)[::-1]
    )
    (folder / "triples.tsv").write_text("".join(lines[::-1]))
    assert read_dataset(folder).graph.digest == graph.digest


def test_confidences_and_negatives_are_in_the_clean_variant(folder: Path, tmp_path: Path) -> None:
    (folder / "train.tsv").write_text(
        "cat\tchases\tdog\t0.1\ncat\tchases\tdog\t0.3\nant\teats\tnaïve owl\t0.1234567\n"
    )
    (folder / "negatives.tsv").write_text("dog\teats\tdog\nant\tbites\tcat\n")
    dataset = read_dataset(folder)
    graph = write_clean(dataset, tmp_path / "clean")
    again = read_dataset(tmp_path / "clean").graph
    assert again.digest == graph.digest
    np.testing.assert_array_equal(again.confidence(again.train), np.float32([0.3, 0.1234567]))
    np.testing.assert_array_equal(again.negatives, dataset.graph.negatives)
    assert (tmp_path / "clean" / "train.tsv").read_text() == (
        "cat\tchases\tdog\t0.3\nant\teats\tnaïve owl\t0.1234567\n"
    )


def test_negatives_are_distinct_and_in_no_split(folder: Path) -> None:
    plain = read_dataset(folder).graph
    (folder / "negatives.tsv").write_text("dog\teats\tdog\r\ncat\tbites\tdog\r\ndog\teats\tdog")
    graph = read_dataset(folder).graph
    assert sorted(graph.negatives.tolist()) == [[0, 0, 1], [1, 2, 1]]
    for split in SPLITS:
        np.testing.assert_array_equal(graph.split(split), plain.split(split))
    (folder / "negatives.tsv").write_text("cat\tbites\tdog\ndog\teats\tdog\n")
    assert read_dataset(folder).graph.digest == graph.digest


def test_an_empty_file_of_negatives_is_none(folder: Path) -> None:
    plain = read_dataset(folder).graph
    (folder / "negatives.tsv").write_text("\n")
    assert read_dataset(folder).graph.digest == plain.digest


@pytest.mark.parametrize(
    ("line", "place", "found", "allowed"),
    [
        ("cta\teats\tdog", ", field 'head'", "entity 'cta' (did you mean 'cat'?)", "an id of ent"),
        ("cat\teats\tdgo", ", field 'tail'", "entity 'dgo' (did you mean 'dog'?)", "an id of ent"),
        ("cat\teat\tdog", ", field 'relation'", "relation 'eat' (did you mean 'eats'?)", "a rel"),
        ("cat\t\tdog", ", field 'relation'", "nothing", "a relation's name"),
        ("cat\teats\tdog\t0.5", "", "4 columns", "three columns, for a negative has no confidence"),
        ("cat,eats,dog", "", "1 column in string 'cat,eats,dog', separated by commas", "by tabs"),
        ("head\trelation\ttail", "", "a header line", "no header line"),
    ],
)
def test_wrong_negatives(folder: Path, line: str, place: str, found: str, allowed: str) -> None:
    (folder / "negatives.tsv").write_text(f"{line}\n")
    with pytest.raises(DatasetError) as caught:
        read_dataset(folder)
    where, rest = str(caught.value).split(": found ", 1)
    assert where == f"{folder / 'negatives.tsv'}, line 1{place}"
    assert found in rest.split("; allowed: ")[0]
    assert allowed in rest.split("; allowed: ")[1]


def test_the_audit_counts_negatives_that_are_stated(folder: Path) -> None:
    (folder / "negatives.tsv").write_text("cat\tchases\tdog\ndog\teats\tdog\ndog\tbites\tcat\n")
    found = audit(read_dataset(folder).graph)
    assert found.to_dict()["negatives"] == {"distinct": 3, "train": 1, "valid": 0, "test": 1}
    assert ("of 3 negatives stand here", "1", "0", "1") in found.summary_rows()


def test_negatives_that_are_stated_are_named_with_their_splits(folder: Path) -> None:
    with (folder / "valid.tsv").open("a") as file:
        file.write("\ncat\tchases\tdog\n")
    assert find_contradictions(read_dataset(folder).graph) == []
    (folder / "negatives.tsv").write_text("cat\tchases\tdog\ndog\teats\tdog\ndog\tbites\tcat\n")
    found = find_contradictions(read_dataset(folder).graph)
    assert {it[:3]: it.splits for it in found} == {
        ("cat", "chases", "dog"): ("train", "valid"),
        ("dog", "bites", "cat"): ("test",),
    }


def test_negatives_beside_openke_go_by_name(openke_folder: Path, tmp_path: Path) -> None:
    (openke_folder / "negatives.tsv").write_text(
        "<http://dbpedia.org/resource/HIV/AIDS>\tcauses\t北京 大学\n", encoding="utf-8"
    )
    dataset = read_dataset(openke_folder)
    np.testing.assert_array_equal(dataset.graph.negatives, [[0, 0, 2]])
    graph = write_clean(dataset, tmp_path / "clean")
    assert read_dataset(tmp_path / "clean").graph.digest == graph.digest
    (openke_folder / "negatives.tsv").write_text("HIV/AIDS\tcause\torganic compound\n")
    with pytest.raises(DatasetError) as caught:
        read_dataset(openke_folder)
    assert "an id of entity2id.txt" in str(caught.value)
    assert "and 1 more unknown relation in 1 line" in str(caught.value)
