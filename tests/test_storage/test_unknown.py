"""Unknown names, all at once, and files whose names are nearly right."""

from pathlib import Path

import pytest

from storage.datasets.dataset import read_dataset
from storage.datasets.reading import unknown
from storage.datasets.reading.unknown import UnknownNamesError, rows_of
from storage.errors import DatasetError


def _unknown(folder: Path) -> UnknownNamesError:
    with pytest.raises(UnknownNamesError) as caught:
        read_dataset(folder)
    return caught.value


def test_all_files_are_read_before_unknown_names_are_told(folder: Path) -> None:
    with (folder / "train.tsv").open("a") as file:
        file.write("cta\teats\tcta\ncta\teats\tdog\n")
    (folder / "test.tsv").write_text("zebra\teats\tdgo\n")
    (folder / "negatives.tsv").write_text("cat\teat\tcta\n")
    (folder / "more.jsonl").write_text('{"id": "unicorn", "text": "x"}\n')
    error = _unknown(folder)
    assert str(error) == (
        f"{folder / 'more.jsonl'}, line 1, field 'id': found the unknown entity 'unicorn' "
        "and 3 more unknown entities and 1 more unknown relation in 5 lines: "
        f"`mocme audit {folder}` lists them; allowed: an id of entities.jsonl; "
        "move a file that is not the dataset's away"
    )
    assert rows_of(error.to_list()) == [
        ("entity", "unicorn", "", "more.jsonl, line 1", "1"),
        ("entity", "cta", "cat", "train.tsv, line 4", "3"),
        ("entity", "zebra", "", "test.tsv, line 1", "1"),
        ("entity", "dgo", "dog", "test.tsv, line 1", "1"),
        ("relation", "eat", "eats", "negatives.tsv, line 1", "1"),
    ]


def test_one_unknown_entity_in_many_lines(folder: Path) -> None:
    (folder / "train.tsv").write_text("cta\teats\tdog\n" * 40)
    assert "'cta' (did you mean 'cat'?) in 40 lines: `mocme audit" in str(_unknown(folder))


def test_millions_of_unknown_names_do_not_fill_the_memory(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unknown, "_MOST_NAMES", 10)
    monkeypatch.setattr(unknown, "_MOST_CHARACTERS", 1000)
    lines = [f"x{i}\teats\tdog\n" for i in range(50)]
    (folder / "train.tsv").write_text("".join(lines))
    error = _unknown(folder)
    assert len(error.to_list()) == 10
    assert error.has_more
    assert "and at least 9 more unknown entities in 50 lines" in str(error)
    (folder / "train.tsv").write_text("y" * 2000 + "\teats\tdog\n" + "z" * 999 + "\tr\tdog\n")
    assert len(_unknown(folder).to_list()) == 1


@pytest.mark.parametrize(
    "name",
    [
        "triples.csv",
        "facts.csv",
        "Triples.tsv",
        "triples.txt",
        "train.csv",
        "triples.tsv.txt",
        "tripels.tsv",
        "triples",
        "triples.tsv.gz",
        "data.csv",
        "Facts 2.TSV",
        "train.tsv.bak.csv",
    ],
)
def test_a_file_that_is_nearly_triples_is_named(folder: Path, name: str) -> None:
    for split in ("train", "valid", "test"):
        (folder / f"{split}.tsv").unlink()
    (folder / name).write_text("head,relation,tail\n")
    with pytest.raises(DatasetError) as caught:
        read_dataset(folder)
    found, allowed = str(caught.value).split("; allowed: ", 1)
    assert found == f"{folder}: found neither triples.tsv nor train.tsv, but {name!r}"
    assert "triples.tsv" in allowed
    assert "separated by tabs, without a header line" in allowed


@pytest.mark.parametrize("name", ["valid.csv", "validation.tsv", "dev.tsv", "Valid.tsv"])
def test_a_file_that_is_nearly_a_split_is_named(folder: Path, name: str) -> None:
    (folder / "valid.tsv").rename(folder / name)
    with pytest.raises(DatasetError) as caught:
        read_dataset(folder)
    assert str(caught.value).startswith(
        f"{folder / 'valid.tsv'}: found no such file, but {name!r}; allowed: train.tsv, valid.tsv"
    )


@pytest.mark.parametrize(
    "name",
    [
        "entities.json",
        "entities.csv",
        "entities.jsonl.gz",
        "Entities.jsonl",
        "entity.jsonl",
        "nodes.csv",
        "entities.ndjson",
        "entities.jsonl.txt",
    ],
)
def test_a_file_that_is_nearly_entities_is_named(folder: Path, name: str) -> None:
    (folder / "entities.jsonl").rename(folder / name)
    with pytest.raises(DatasetError) as caught:
        read_dataset(folder)
    found, allowed = str(caught.value).split("; allowed: ", 1)
    assert found == f"{folder}: found neither entities.jsonl nor entity2id.txt, but {name!r}"
    assert "a folder with either entities.jsonl" in allowed


@pytest.mark.parametrize(
    ("names", "named"),
    [
        (["triples.csv"], "'triples.csv'"),
        (["entities.csv", "facts.csv"], "'entities.csv' and 'facts.csv'"),
        (["train.csv", "valid.csv"], "'train.csv' and 'valid.csv'"),
        (["train2id.txt", "relation2id.txt", "data.csv"], "'data.csv'"),
    ],
)
def test_tables_are_named_where_nothing_is_as_it_should_be(
    tmp_path: Path, names: list[str], named: str
) -> None:
    for name in names:
        (tmp_path / name).write_text("head,relation,tail\n")
    with pytest.raises(DatasetError) as caught:
        read_dataset(tmp_path)
    assert f"nor entity2id.txt, but {named}; allowed: " in str(caught.value)


def test_what_is_nothing_like_it_is_not_named(folder: Path) -> None:
    (folder / "entities.jsonl").unlink()
    (folder / "cat.png").write_bytes(b"x")
    (folder / "README.md").write_text("x")
    with pytest.raises(DatasetError, match=r"nor entity2id\.txt; allowed"):
        read_dataset(folder)


@pytest.mark.parametrize("name", ["train.tsv", "negatives.tsv"])
def test_a_header_of_any_words_is_thought_of(folder: Path, name: str) -> None:
    (folder / name).write_text("animal\tdoes\tto whom\ncat\teats\tdog\n")
    assert str(_unknown(folder)).endswith("allowed: an id of entities.jsonl, and no header line")
