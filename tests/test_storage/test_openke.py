"""Reading the OpenKE form."""

from pathlib import Path

import numpy as np
import pytest

from storage.datasets.dataset import read_dataset
from storage.datasets.graph import SPLITS
from storage.datasets.reading.openke import read_names, readable_name
from storage.errors import DatasetError


def test_rows_are_head_tail_relation_and_names_hold_spaces(openke_folder: Path) -> None:
    dataset = read_dataset(openke_folder)
    graph = dataset.graph
    assert graph.entities == (
        "<http://dbpedia.org/resource/HIV/AIDS>",
        "organic compound",
        "北京 大学",
    )
    assert graph.names == ("HIV/AIDS", "organic compound", "北京 大学")
    assert graph.relations == ("causes", "0")
    np.testing.assert_array_equal(graph.train, [[0, 0, 1], [1, 1, 2], [2, 1, 0]])
    np.testing.assert_array_equal(graph.valid, [[2, 0, 1]])
    np.testing.assert_array_equal(graph.test, [[1, 1, 0]])
    assert [entity.line for entity in dataset.entities] == [3, 2, 4]
    assert dataset.form == "openke"


def test_byte_order_mark_crlf_and_no_last_line_end_change_nothing(openke_folder: Path) -> None:
    expected = read_dataset(openke_folder).graph.digest
    for file in openke_folder.iterdir():
        lines = file.read_bytes().rstrip(b"\n").replace(b"\n", b"\r\n")
        file.write_bytes(b"\xef\xbb\xbf" + lines)
    assert read_dataset(openke_folder).graph.digest == expected


def test_names_are_the_only_texts(openke_folder: Path) -> None:
    dataset = read_dataset(openke_folder)
    contents = [item.content for item in dataset.items(["name"], "text")]
    assert contents == ["HIV/AIDS", "organic compound", "北京 大学"]
    with pytest.raises(DatasetError) as caught:
        dataset.items(["image"], "file")
    assert str(caught.value) == (
        f"{openke_folder / 'entity2id.txt'}: found no entity with a field 'image'; "
        "allowed: a field of some entity: none here; for texts also 'id', 'name'"
    )


@pytest.mark.parametrize(
    ("name", "readable"),
    [
        ("<http://dbpedia.org/resource/Alliance_'90/The_Greens>", "Alliance '90/The Greens"),
        ("http://www.wikidata.org/entity/Q370252", "Q370252"),
        ("<http://www.w3.org/2000/01/rdf-schema#seeAlso>", "seeAlso"),
        ("http://example.org/a/S%C3%A3o_Paulo", "São Paulo"),
        ("http://example.org/a/", "a/"),
        ("Gilles_Mbang_Ondo", "Gilles Mbang Ondo"),
        ("AC/DC", "AC/DC"),
        ("欧式家具", "欧式家具"),
        ("___", "___"),
        ("a < b", "a < b"),
    ],
)
def test_readable_name(name: str, readable: str) -> None:
    assert readable_name(name) == readable


@pytest.mark.parametrize(
    ("file", "content", "line", "found", "allowed"),
    [
        ("relation2id.txt", None, None, "no such file", "the number of rows that follow"),
        ("test2id.txt", None, None, "no such file", "three indices: head, tail, relation"),
        ("entity2id.txt", "", 1, "nothing", "the number of rows"),
        ("entity2id.txt", "a 0\nb 1\n", 1, "'a 0'", "the number of rows"),
        ("entity2id.txt", "-1\n", 1, "'-1'", "the number of rows"),
        ("entity2id.txt", "9" * 5000, 1, "'999", "the number of rows"),
        ("entity2id.txt", "0\n", 1, "a count of 0", "at least one row"),
        ("entity2id.txt", "4\na 0\nb 1\nc 2\n", 1, "a count of 4 before 3 rows", "the number"),
        ("entity2id.txt", "2\na 0\nb 1\nc 2\n", 1, "a count of 2 before 3 rows", "the number"),
        ("entity2id.txt", "3\na 0\nb\nc 2\n", 3, "'b'", "a name and its index"),
        ("entity2id.txt", "3\na 0\nb 1_0\nc 2\n", 3, "'b 1_0'", "a name and its index"),
        ("entity2id.txt", "3\na 0\nb -1\nc 2\n", 3, "'b -1'", "a name and its index"),
        ("entity2id.txt", "3\na 0\nb\tb 1\nc 2\n", 3, "'b\\tb 1'", "a name and its index"),
        ("entity2id.txt", "3\na 0\nb 0\nc 2\n", 3, "the index 0, which line 2", "each index once"),
        ("entity2id.txt", "3\na 0\na 1\nc 2\n", 3, "the name 'a', which line 2", "each name once"),
        ("entity2id.txt", "3\na 0\nb 1\nc 3\n", 4, "the index 3 of 'c'", "from 0 to 2 once"),
        ("relation2id.txt", "2\ncauses 1\nis 2\n", 3, "the index 2 of 'is'", "from 0 to 1"),
        ("train2id.txt", "2\n0 1 0\n", 1, "a count of 2 before 1 rows", "the number of rows"),
        ("train2id.txt", "0\n", 1, "a count of 0", "at least one row"),
        ("valid2id.txt", "1\n0 1\n", 2, "'0 1'", "three indices"),
        ("valid2id.txt", "1\n0 1 0 5\n", 2, "'0 1 0 5'", "three indices"),
        ("valid2id.txt", "1\n0 1 x\n", 2, "'0 1 x'", "three indices"),
        ("valid2id.txt", "1\n0 1 -1\n", 2, "'0 1 -1'", "three indices"),
        ("test2id.txt", "2\n0 1 0\n3 1 0\n", 3, "3", "an index from 0 to 2"),
        ("test2id.txt", "1\n0 3 0\n", 2, "3", "an index from 0 to 2"),
        ("test2id.txt", "1\n0 1 2\n", 2, "2", "an index from 0 to 1"),
    ],
)
def test_broken_folder_gets_a_precise_message(
    openke_folder: Path, file: str, content: str | None, line: int | None, found: str, allowed: str
) -> None:
    path = openke_folder / file
    if content is None:
        path.unlink()
    else:
        path.write_text(content)
    with pytest.raises(DatasetError) as caught:
        read_dataset(openke_folder)
    place, rest = str(caught.value).split(": found ", 1)
    expected = str(path) + (f", line {line}" if line else "")
    assert place == expected or place.startswith(f"{expected}, field ")
    assert found in rest.split("; allowed: ", 1)[0]
    assert allowed in rest.split("; allowed: ", 1)[1]


@pytest.mark.parametrize(
    ("name", "num_entities", "num_relations", "lines", "first_train_line"),
    [
        ("DB15K", 12842, 279, (79222, 9904, 9902), (11208, 117, 6404)),
        ("MKG-W", 15000, 169, (34196, 4276, 4274), (0, 0, 1)),
        ("MKG-Y", 15000, 28, (21310, 2665, 2663), (0, 0, 1)),
        ("KVC16K", 16015, 4, (180190, 22523, 22525), (1000, 2, 7283)),
        ("TIVA", 11858, 16, (20071, 2000, 2000), (0, 0, 1)),
    ],
)
def test_published_graphs(
    benchmarks: Path,
    name: str,
    num_entities: int,
    num_relations: int,
    lines: tuple[int, ...],
    first_train_line: tuple[int, ...],
) -> None:
    dataset = read_dataset(benchmarks / name)
    graph = dataset.graph
    assert (graph.num_entities, graph.num_relations) == (num_entities, num_relations)
    assert tuple(len(graph.split(split)) for split in SPLITS) == lines
    assert tuple(graph.train[0].tolist()) == first_train_line
    assert len(dataset.items(["name"], "text")) == num_entities


def test_names_keep_white_space_that_separates_nothing(tmp_path: Path) -> None:
    file = tmp_path / "entity2id.txt"
    names = ["a\xa0", "a", "\u2028b\x85", "c\rd", " e"]
    rows = "".join(f"{name}\t{index}\n" for index, name in enumerate(names))
    file.write_text(f"{len(names)}\n{rows}", encoding="utf-8", newline="\n")
    assert [name for name, _ in read_names(file)] == names
