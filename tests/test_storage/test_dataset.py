"""Reading dataset folders: what comes out, and what is said about broken ones."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from storage.datasets.dataset import Dataset, Item, ItemKind, read_dataset
from storage.datasets.graph import SPLITS
from storage.errors import DatasetError


def test_entities_keep_their_order_names_and_lines(folder: Path) -> None:
    dataset = read_dataset(folder)
    assert dataset.graph.entities == ("cat", "dog", "ant", "naïve owl")
    assert dataset.graph.names == ("Cat", "dog", "ant", "naïve owl")
    assert [entity.line for entity in dataset.entities] == [1, 2, 3, 4]
    assert dataset.entities[1].fields == {
        "text": "barks",
        "image": "dog.png",
        "numeric": {"legs": 4},
    }


def test_triples_are_head_relation_tail_and_relations_sorted(folder: Path) -> None:
    graph = read_dataset(folder).graph
    assert graph.relations == ("bites", "chases", "eats")
    np.testing.assert_array_equal(graph.train, [[0, 1, 1], [1, 1, 0], [2, 2, 3]])
    np.testing.assert_array_equal(graph.valid, [[0, 2, 2]])
    np.testing.assert_array_equal(graph.test, [[1, 0, 0]])
    assert graph.train.dtype == np.int64


def test_byte_order_mark_crlf_and_blank_lines_change_nothing(folder: Path) -> None:
    expected = read_dataset(folder)
    for file in folder.iterdir():
        lines = file.read_bytes().replace(b"\n", b"\r\n")
        file.write_bytes(b"\xef\xbb\xbf" + lines + b"\r\n")
    assert read_dataset(folder).graph.digest == expected.graph.digest
    assert [e.fields for e in read_dataset(folder).entities] == [
        e.fields for e in expected.entities
    ]


def test_unicode_line_separators_do_not_end_a_line(folder: Path) -> None:
    with (folder / "entities.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"id": "x\u2028y", "text": "a\u0085b"}')
    assert read_dataset(folder).graph.entities[-1] == "x\u2028y"


@pytest.mark.parametrize("name", ["", None])
def test_empty_name_is_the_id(folder: Path, name: str | None) -> None:
    literal = "null" if name is None else '""'
    (folder / "entities.jsonl").write_text(
        "".join(
            f'{{"id": "{i}", "name": {literal}}}\n' for i in ("cat", "dog", "ant", "naïve owl")
        ),
        encoding="utf-8",
    )
    assert read_dataset(folder).graph.names == ("cat", "dog", "ant", "naïve owl")


def test_triples_alone_are_split_whatever_their_order_and_duplicates(folder: Path) -> None:
    lines = [f"{h}\tr{r}\t{t}\n" for h in ("cat", "dog") for t in ("ant", "cat") for r in range(5)]
    for split in SPLITS:
        (folder / f"{split}.tsv").unlink()
    (folder / "triples.tsv").write_text("".join(lines))
    first = read_dataset(folder).graph
    lines = lines[::-3] + lines[::-1]
    (folder / "triples.tsv").write_text("".join(lines))
    assert read_dataset(folder).graph.digest == first.digest
    assert [len(first.split(split)) for split in SPLITS] == [17, 1, 2]
    assert first.split_by_hash
    other = read_dataset(folder, split_salt="other").graph
    assert sum(len(other.split(split)) for split in SPLITS) == 20
    assert other.test.tolist() != first.test.tolist()


class TestItems:
    @pytest.mark.parametrize(
        ("fields", "kind", "expected"),
        [
            (["text"], "text", [(0, "purrs"), (0, "meows"), (1, "barks")]),
            (["id"], "text", [(0, "cat"), (1, "dog"), (2, "ant"), (3, "naïve owl")]),
            (
                ["name", "text"],
                "text",
                [(0, "Cat. purrs. meows"), (1, "dog. barks"), (2, "ant"), (3, "naïve owl")],
            ),
            (["image"], "file", [(0, "cat 1.png"), (1, "dog.png")]),
            (["image", "image"], "file", [(0, "cat 1.png")] * 2 + [(1, "dog.png")] * 2),
            (["numeric"], "numbers", [(1, {"legs": 4})]),
        ],
    )
    def test_items(
        self, folder: Path, fields: list[str], kind: ItemKind, expected: list[tuple[int, object]]
    ) -> None:
        assert read_dataset(folder).items(fields, kind) == [Item(*pair) for pair in expected]

    def test_number_fields_are_merged_and_bad_values_left_to_the_extractor(
        self, folder: Path
    ) -> None:
        dataset = _with_entity(folder, '"size": {"cm": "tall"}, "count": {"legs": 4, "eyes": NaN}')
        (item,) = dataset.items(["size", "count"], "numbers")
        assert list(item.content) == ["cm", "legs", "eyes"]

    @pytest.mark.parametrize(
        ("entity", "field", "kind", "found", "allowed"),
        [
            ('"image": ["/etc/passwd"]', "image", "file", "'/etc/passwd'", "inside the dataset"),
            ('"image": ["a/../../b.png"]', "image", "file", "'a/../../b.png'", "without '..'"),
            ('"image": [""]', "image", "file", "string ''", "not empty"),
            ('"image": ["."]', "image", "file", "string '.'", "not empty"),
            ('"image": ["a\\u0000b"]', "image", "file", "'a\\x00b'", "a path inside"),
            ('"image": 7', "image", "file", "number 7", "a list of paths, or a path"),
            ('"image": ["a.png", null]', "image", "file", "null", "a list of paths, or a path"),
            ('"image": {"a": 1}', "image", "file", "object {'a': 1}", "a list of paths"),
            ('"text": 3.5', "text", "text", "number 3.5", "a string, or a list of strings"),
            ('"text": ["a", ["b"]]', "text", "text", "list ['b']", "a list of strings"),
            ('"text": true', "text", "text", "boolean True", "a string"),
            ('"numeric": [1, 2]', "numeric", "numbers", "list [1, 2]", "an object: attribute"),
            ('"numeric": 4', "numeric", "numbers", "number 4", "an object: attribute"),
        ],
    )
    def test_wrong_field_names_file_line_field_found_and_allowed(
        self, folder: Path, entity: str, field: str, kind: ItemKind, found: str, allowed: str
    ) -> None:
        dataset = _with_entity(folder, entity)
        with pytest.raises(DatasetError) as caught:
            dataset.items([field], kind)
        place, rest = str(caught.value).split(": found ", 1)
        assert place == f"{folder / 'entities.jsonl'}, line 5, field '{field}'"
        assert found in rest.split("; allowed: ")[0]
        assert allowed in rest.split("; allowed: ")[1]

    def test_misspelt_field_names_the_fields_there_are(self, folder: Path) -> None:
        with pytest.raises(DatasetError) as caught:
            read_dataset(folder).items(["imgae"], "file")
        message = str(caught.value)
        assert "'imgae' (did you mean 'image'?)" in message
        assert "'image', 'numeric', 'text'" in message

    def test_name_is_no_field_of_files(self, folder: Path) -> None:
        with pytest.raises(DatasetError, match="no entity with a field 'name'"):
            read_dataset(folder).items(["name"], "file")


def _with_entity(folder: Path, fields: str) -> Dataset:
    with (folder / "entities.jsonl").open("a", encoding="utf-8") as file:
        file.write(f'{{"id": "new", {fields}}}\n')
    return read_dataset(folder)


class Broken(NamedTuple):
    """A way to break the good folder, and what the message must say."""

    file: str
    content: bytes | None
    line: int | None
    found: str
    allowed: str


ENTITIES = b'{"id": "cat"}\n{"id": "dog"}\n'
BROKEN = {
    "no entities file": Broken("entities.jsonl", None, None, "neither entities.jsonl", "either"),
    "no train": Broken("train.tsv", None, None, "no such file", "head<TAB>relation<TAB>tail"),
    "no valid": Broken("valid.tsv", None, None, "no such file", "head<TAB>relation<TAB>tail"),
    "no test": Broken("test.tsv", None, None, "no such file", "head<TAB>relation<TAB>tail"),
    "empty entities": Broken("entities.jsonl", b"", None, "an empty file", "one JSON object"),
    "blank entities": Broken("entities.jsonl", b"\n \n", None, "an empty file", "one JSON object"),
    "not UTF-8": Broken("entities.jsonl", ENTITIES + b'{"id": "\xff"}', 3, "0xff", "UTF-8"),
    "UTF-16": Broken("entities.jsonl", '{"id": "a"}'.encode("utf-16"), 1, "0xff", "UTF-8"),
    "not JSON": Broken("entities.jsonl", ENTITIES + b"{id: x}", 3, "no JSON", "a JSON object"),
    "cut off": Broken("entities.jsonl", ENTITIES + b'{"id": "x', 3, "no JSON", "a JSON object"),
    "nested too deep": Broken("entities.jsonl", b"[" * 200_000, 1, "no JSON", "a JSON object"),
    "not an object": Broken("entities.jsonl", ENTITIES + b'["x"]', 3, "list ['x']", "a JSON obj"),
    "a JSON array file": Broken("entities.jsonl", b"[\n]", 1, "no JSON", "a JSON object"),
    "half surrogate": Broken(
        "entities.jsonl", b'{"id": "\\uD800"}', 1, "half of a surrogate pair", "UTF-8"
    ),
    "no id": Broken("entities.jsonl", ENTITIES + b'{"name": "x"}', 3, "no id", "a string"),
    "empty id": Broken("entities.jsonl", ENTITIES + b'{"id": ""}', 3, "string ''", "not empty"),
    "number as id": Broken("entities.jsonl", ENTITIES + b'{"id": 5}', 3, "number 5", "a string"),
    "tab in id": Broken("entities.jsonl", b'{"id": "a\\tb"}', 1, "'a\\tb'", "no tab"),
    "newline in id": Broken("entities.jsonl", b'{"id": "a\\nb"}', 1, "'a\\nb'", "no line break"),
    "duplicate id": Broken(
        "entities.jsonl", ENTITIES + b'{"id": "cat"}', 3, "'cat', which line 1 has", "unique ids"
    ),
    "number as name": Broken(
        "entities.jsonl", b'{"id": "cat", "name": 3}', 1, "number 3", "a string"
    ),
    "two columns": Broken("train.tsv", b"cat\tchases", 1, "2 columns", "head<TAB>relation<TAB>"),
    "five columns": Broken("valid.tsv", b"cat\teats\tant\t1\t1", 1, "5 columns", "head<TAB>"),
    "spaces for tabs": Broken(
        "test.tsv",
        b"cat eats ant",
        1,
        "1 column in string 'cat eats ant', separated by sp",
        "<TAB>",
    ),
    "commas for tabs": Broken(
        "test.tsv", b"New York,is in,USA", 1, "separated by commas", "separated by tabs"
    ),
    "a header": Broken("train.tsv", b"head\trelation\ttail\n", 1, "'head'", "an id of entities"),
    "a header of RDF": Broken(
        "test.tsv", b"Subject\tpredicate\tOBJECT\n", 1, "a header line", "no header line"
    ),
    "a header with confidence": Broken(
        "test.tsv", b"head_id\trelation\ttail_id\tconfidence\n", 1, "a header", "no header line"
    ),
    "a header of Neo4j": Broken(
        "test.tsv", b":START_ID\t:TYPE\t:END_ID\n", 1, "a header line", "no header line"
    ),
    "unknown head": Broken(
        "train.tsv", b"cat\tchases\tdog\ncta\teats\tant", 2, "'cta' (did you mean 'cat'?)", "an id"
    ),
    "unknown tail": Broken("test.tsv", b"cat\teats\t12345", 1, "entity '12345'", "an id of entit"),
    "no relation": Broken("test.tsv", b"cat\t\tdog", 1, "nothing", "a relation's name"),
    "unknown tail without end": Broken(
        "test.tsv", b"cat\teats\t" + b"x" * 10**6, 1, f"entity '{'x' * 60}...'", "an id of entit"
    ),
    "key twice": Broken(
        *("entities.jsonl", b'{"id": "a", "text": ["b"], "text": []}', 1),
        *("no JSON (the key 'text' stands twice in an object)", "a JSON object"),
    ),
    "key twice within": Broken(
        *("entities.jsonl", b'{"id": "a", "numeric": {"legs": 4, "legs": 2}}', 1),
        *("the key 'legs' stands twice", "a JSON object"),
    ),
    "empty train": Broken("train.tsv", b"", None, "no triples", "at least one"),
    "empty valid": Broken("valid.tsv", b"\n\n", None, "no triples", "at least one"),
    "empty test": Broken("test.tsv", b"\r\n", None, "no triples", "at least one"),
    "test not UTF-8": Broken("test.tsv", b"cat\teats\tdog\nd\xe9g", 2, "0xe9 at column 2", "UTF-8"),
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN.keys())
def test_broken_folder_gets_a_precise_message(folder: Path, broken: Broken) -> None:
    file = folder / broken.file
    if broken.content is None:
        file.unlink()
    else:
        file.write_bytes(broken.content)
    with pytest.raises(DatasetError) as caught:
        read_dataset(folder)
    place, rest = str(caught.value).split(": found ", 1)
    found, allowed = rest.split("; allowed: ", 1)
    at_fault = folder if broken.file == "entities.jsonl" and broken.content is None else file
    expected = str(at_fault) + (f", line {broken.line}" if broken.line else "")
    assert place == expected or place.startswith(f"{expected}, field ")
    assert broken.found in found
    assert broken.allowed in allowed
    assert "\n" not in str(caught.value)


def _remove(folder: Path) -> Path:
    return folder / "absent"


def _a_file(folder: Path) -> Path:
    return folder / "train.tsv"


def _both_forms(folder: Path) -> Path:
    (folder / "entity2id.txt").write_text("1\na 0\n")
    return folder


@pytest.mark.parametrize(
    ("prepare", "found"),
    [(_remove, "no such folder"), (_a_file, "a file"), (_both_forms, "a folder with both forms")],
)
def test_what_is_no_dataset_at_all(
    folder: Path, prepare: Callable[[Path], Path], found: str
) -> None:
    path = prepare(folder)
    with pytest.raises(DatasetError) as caught:
        read_dataset(path)
    assert str(caught.value).startswith(f"{path}: found {found}; allowed: a folder with either")


@pytest.mark.parametrize("split", SPLITS)
def test_triples_beside_a_split_are_ambiguous(folder: Path, split: str) -> None:
    for other in set(SPLITS) - {split}:
        (folder / f"{other}.tsv").unlink()
    (folder / "triples.tsv").write_text("cat\tchases\tdog\n")
    with pytest.raises(DatasetError) as caught:
        read_dataset(folder)
    assert str(caught.value) == (
        f"{folder / f'{split}.tsv'}: found a split beside triples.tsv; "
        "allowed: either train.tsv, valid.tsv, test.tsv or triples.tsv"
    )


def test_triples_that_cannot_be_split(folder: Path) -> None:
    for split in SPLITS:
        (folder / f"{split}.tsv").unlink()
    (folder / "triples.tsv").write_text("cat\tchases\tdog\nant\teats\tnaïve owl\n", "utf-8")
    with pytest.raises(DatasetError, match="2 distinct triples, too few for 3 splits; allowed"):
        read_dataset(folder)


def test_stamps(stamps: Path) -> None:
    dataset = read_dataset(stamps)
    kinds: dict[str, ItemKind] = {"image": "file", "audio": "file", "video": "file"}
    kinds |= {"text": "text", "numeric": "numbers"}
    counts = {field: len(dataset.items([field], kind)) for field, kind in kinds.items()}
    assert counts == {"image": 950, "audio": 135, "video": 134, "text": 4065, "numeric": 3113}
    assert len(dataset.items(["name", "text"], "text")) == dataset.graph.num_entities == 4210
    assert sum(len(dataset.graph.split(split)) for split in SPLITS) == 5543
