"""Kinds, and further files that add fields to entities by id."""

import json
import os
from pathlib import Path

import pytest

from storage.datasets.clean import write_clean
from storage.datasets.dataset import read_dataset
from storage.datasets.unread import unread_files
from storage.errors import DatasetError


def _write(file: Path, *objects: dict[str, object]) -> None:
    lines = (json.dumps(it, ensure_ascii=False) + "\n" for it in objects)
    file.write_text("".join(lines), encoding="utf-8")


def _message(folder: Path) -> str:
    with pytest.raises(DatasetError) as caught:
        read_dataset(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_kinds_are_a_field_and_a_part_of_the_graph(folder: Path) -> None:
    plain = read_dataset(folder).graph
    assert plain.kinds == ()
    entities = folder / "entities.jsonl"
    entities.write_text(
        entities.read_text("utf-8").replace('"id": "cat"', '"id": "cat", "kind": ["a", "b", "a"]')
        + '{"id": "cow", "kind": "animal"}\n{"id": "tree", "kind": null}\n',
        encoding="utf-8",
    )
    dataset = read_dataset(folder)
    assert dataset.graph.kinds == (("a", "b"), (), (), (), ("animal",), ())
    texts = [item.content for item in dataset.items(["name", "kind"], "text")]
    assert texts[0] == "Cat. a. b. a"
    assert texts[4] == "cow. animal"


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        ('""', "string ''"),
        ("3", "number 3"),
        ("[]", "list []"),
        ('["a", ""]', "string ''"),
        ('["a", null]', "null"),
        ("{}", "object {}"),
        ("false", "boolean False"),
    ],
)
@pytest.mark.parametrize("name", ["entities.jsonl", "more.jsonl"])
def test_what_is_no_kind(folder: Path, name: str, kind: str, found: str) -> None:
    new = "new" if name == "entities.jsonl" else "cat"
    with (folder / name).open("a", encoding="utf-8") as file:
        file.write(f'{{"id": "{new}", "kind": {kind}}}\n')
    line = 5 if name == "entities.jsonl" else 1
    assert _message(folder) == (
        f"{folder / name}, line {line}, field 'kind': found {found}; "
        "allowed: a string that is not empty, or a list of such strings"
    )


def test_fields_come_by_id_and_null_is_not_given(folder: Path) -> None:
    _write(
        folder / "b.jsonl", {"id": "dog", "name": "Dog", "kind": "pet"}, {"id": "cat", "legs": 4}
    )
    _write(
        folder / "a.jsonl",
        {"id": "naïve owl", "numeric": {"wings": 2}, "text": "flies"},
        {"id": "cat", "name": None, "text": None},
        {"id": "naïve owl", "image": "owl.png"},
    )
    dataset = read_dataset(folder)
    assert dataset.further.read == ("a.jsonl", "b.jsonl")
    assert dataset.graph.names == ("Cat", "Dog", "ant", "naïve owl")
    assert dataset.graph.kinds == ((), ("pet",), (), ())
    assert dataset.entities[0].fields["text"] == ["purrs", "meows"]
    assert dataset.entities[0].fields["legs"] == 4
    assert [item.content for item in dataset.items(["numeric"], "numbers")][-1] == {"wings": 2}
    assert dataset.items(["text"], "text")[-1].content == "flies"
    assert dataset.items(["image"], "file")[-1].content == "owl.png"


def test_numbers_beside_openke(openke_folder: Path, tmp_path: Path) -> None:
    _write(
        openke_folder / "numbers.jsonl",
        {"id": "organic compound", "numeric": {"a": 1}, "kind": "thing", "name": "Compound"},
    )
    dataset = read_dataset(openke_folder)
    assert dataset.items(["numeric"], "numbers")[0].entity == 1
    assert dataset.graph.names == ("HIV/AIDS", "Compound", "北京 大学")
    assert dataset.graph.kinds == ((), ("thing",), ())
    graph = write_clean(dataset, tmp_path / "clean")
    again = read_dataset(tmp_path / "clean")
    assert again.graph.digest == graph.digest
    assert again.entities == dataset.entities


def test_published_numbers_are_a_modality(benchmarks: Path) -> None:
    if not (benchmarks / "DB15K" / "numbers.jsonl").is_file():
        pytest.skip("the numbers of DB15K are not here")
    assert len(read_dataset(benchmarks / "DB15K").items(["numeric"], "numbers")) == 11241


def test_the_clean_variant_has_the_further_files_and_their_media(
    folder: Path, tmp_path: Path
) -> None:
    (folder / "owl.png").write_bytes(b"a picture")
    _write(folder / "more.jsonl", {"id": "naïve owl", "image": "owl.png"})
    _write(folder / "answers.jsonl", {"head": "cat"})
    dataset = read_dataset(folder)
    write_clean(dataset, tmp_path / "clean")
    assert read_dataset(tmp_path / "clean").entities == dataset.entities
    assert (tmp_path / "clean" / "owl.png").is_file()
    assert not (tmp_path / "clean" / "answers.jsonl").exists()


@pytest.mark.parametrize(
    ("objects", "place", "earlier"),
    [
        ([{"id": "cat", "text": "x"}], "line 1, field 'text'", "entities.jsonl, line 1"),
        ([{"id": "cat", "name": "x"}], "line 1, field 'name'", "entities.jsonl, line 1"),
        (
            [{"id": "ant", "x": 1}, {"id": "ant", "y": 1, "x": 1}],
            "line 2, field 'x'",
            "more.jsonl, line 1",
        ),
        ([{"id": "dog", "other": 2}], "line 1, field 'other'", "a.jsonl, line 1"),
        ([{"id": "dog", "name": "D"}], "line 1, field 'name'", "a.jsonl, line 1"),
    ],
)
def test_a_field_is_given_once(
    folder: Path, objects: list[dict[str, object]], place: str, earlier: str
) -> None:
    _write(folder / "a.jsonl", {"id": "dog", "name": "Doggy", "other": 1})
    _write(folder / "more.jsonl", *objects)
    message = _message(folder)
    assert message.startswith(f"{folder / 'more.jsonl'}, {place}: found a second value for ")
    assert earlier in message
    assert "; allowed: each field of an entity once over all files" in message


def test_numbers_of_several_files_are_one_object_if_their_attributes_differ(folder: Path) -> None:
    _write(folder / "a.jsonl", {"id": "dog", "numbers": {"weight": 9}})
    _write(folder / "b.jsonl", {"id": "dog", "numbers": {"age": 3}})
    (item,) = read_dataset(folder).items(["numbers"], "numbers")
    assert item.content == {"weight": 9, "age": 3}
    _write(folder / "c.jsonl", {"id": "dog", "numbers": {"height": 1, "age": 4}})
    place = f"{folder / 'c.jsonl'}, line 1, field 'numbers'"
    assert _message(folder).startswith(f"{place}: found a second value for 'dog'; b.jsonl, line 1")


def test_errors_of_values_name_the_file_that_they_are_from(folder: Path) -> None:
    _write(folder / "more.jsonl", {"id": "dog"}, {"id": "ant", "sound": [7]})
    with pytest.raises(DatasetError) as caught:
        read_dataset(folder).items(["sound"], "file")
    place = f"{folder / 'more.jsonl'}, line 2, field 'sound': found number 7"
    assert str(caught.value).startswith(place)


@pytest.mark.parametrize(
    ("content", "place", "found"),
    [
        ("{\n}", ", line 1", "no JSON"),
        ('"id","text"\n', ", line 1", "no JSON"),
        ('[{"id": "cat"}]', ", line 1", "list"),
        ('{"id": "cat", "x": 1}\n{"x": 2}', ", line 2, field 'id'", "no id"),
        ('{"id": "cat", "x": 1}\n{"id": 3}', ", line 2, field 'id'", "number 3"),
        ('{"id": ""}', ", line 1, field 'id'", "string ''"),
        ('{"id": "cat", "x": 1, "x": 2}', ", line 1", "'x' stands twice"),
        ('{"id": "cat", "name": 3}', ", line 1, field 'name'", "number 3"),
    ],
)
def test_broken_further_files(folder: Path, content: str, place: str, found: str) -> None:
    (folder / "more.jsonl").write_text(content)
    message = _message(folder)
    assert message.startswith(f"{folder / 'more.jsonl'}{place}: found ")
    assert found in message


def test_what_is_not_the_datasets_is_named(folder: Path) -> None:
    expected = read_dataset(folder)
    _write(folder / "questions.jsonl", {"head": "cat"}, {"id": "no entity"})
    _write(folder / ".hidden.jsonl", {"id": "no entity"})
    (folder / "empty.jsonl").write_text("\n")
    (folder / "folder.jsonl").mkdir()
    os.mkfifo(folder / "pipe.jsonl")
    (folder / "negative.tsv").write_text("cat\teats\tcat\n")
    dataset = read_dataset(folder)
    assert dataset.entities == expected.entities
    assert dataset.graph.digest == expected.graph.digest
    unread = unread_files(dataset)
    assert set(unread) == {"questions.jsonl", "folder.jsonl", "pipe.jsonl", "negative.tsv"}
    assert unread["questions.jsonl"] == "its first line is no object with an 'id'"
    assert unread["pipe.jsonl"] == "no regular file"
    assert "negatives are read from negatives.tsv" in unread["negative.tsv"]


@pytest.mark.parametrize("content", ["buy milk\n", "[\n]", "name,text\n", "[1, 2]", "7", "{}"])
def test_notes_are_nobodys_error(folder: Path, content: str) -> None:
    (folder / "notes.jsonl").write_text(content)
    assert unread_files(read_dataset(folder)) == {
        "notes.jsonl": "its first line is no object with an 'id'"
    }


@pytest.mark.parametrize(
    "name",
    [
        *("numbers.json", "Numbers.JSONL", "facts.xlsx", "facts.parquet", "train.txt"),
        *("entities.jsonl~", "#train.tsv#", "train.tsv.bak", "numbers.jsonl.zip"),
        *("a\nb.csv", "\udcff.csv"),
    ],
)
@pytest.mark.parametrize("form", ["folder", "openke_folder"])
def test_what_may_be_meant_and_is_not_read_is_named(
    request: pytest.FixtureRequest, form: str, name: str
) -> None:
    root: Path = request.getfixturevalue(form)
    assert unread_files(read_dataset(root)) == {}
    (root / name).write_text("x")
    (root / "README.md").write_text("x")
    assert set(unread_files(read_dataset(root))) == {name}


def test_the_counts_of_a_clean_variant_are_not_taken_for_a_table(
    folder: Path, tmp_path: Path
) -> None:
    write_clean(read_dataset(folder), tmp_path / "clean")
    assert unread_files(read_dataset(tmp_path / "clean")) == {}


def test_a_folder_that_cannot_be_listed_is_an_error(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", refuse)
    assert _message(folder) == (
        f"{folder}: found permission denied; allowed: a folder that can be listed"
    )


def test_a_link_out_of_the_folder_is_refused(folder: Path, tmp_path: Path) -> None:
    _write(tmp_path / "outside.jsonl", {"id": "cat", "secret": "x"})
    (folder / "more.jsonl").symlink_to(tmp_path / "outside.jsonl")
    assert "a symbolic link that leaves the dataset's folder" in _message(folder)


def test_all_unknown_ids_of_a_file_are_told(folder: Path) -> None:
    objects: list[dict[str, object]] = [{"id": f"x{i % 12}", "y": i} for i in range(40)]
    _write(folder / "more.jsonl", {"id": "cat", "y": 1}, *objects)
    message = _message(folder)
    assert f"{folder / 'more.jsonl'}, line 2, field 'id': found the unknown entity 'x0'" in message
    assert f" and 11 more unknown entities in 40 lines: `mocme audit {folder}` lists" in message
    assert "allowed: an id of entities.jsonl; move a file that is not the dataset's away" in message


def test_a_field_that_is_missing_names_the_files_that_were_not_read(folder: Path) -> None:
    _write(folder / "sounds.jsonl", {"entity": "cat", "sound": "purr.ogg"})
    with pytest.raises(DatasetError) as caught:
        read_dataset(folder).items(["sound"], "file")
    assert str(caught.value).endswith(
        "for texts also 'id', 'name'; not read, for the first line is no object with an 'id': "
        "'sounds.jsonl'"
    )
