"""docs/formats.md, the JSON schemas and the readers say the same."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from storage.datasets.dataset import Dataset, read_dataset
from storage.datasets.graph import SPLITS
from storage.datasets.items import ItemKind
from storage.errors import DatasetError

_DOCS = Path(__file__).parents[2] / "docs"
_EXAMPLE = re.compile(r"^`(\w+)/([\w.]+)`:\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)

SCHEMAS: Mapping[str, dict[str, Any]] = {
    name: json.loads((_DOCS / "schemas" / f"{name}.schema.json").read_text("utf-8"))
    for name in ("entity", "further")
}
FIELDS: Mapping[str, ItemKind] = {
    **{"text": "text", "kind": "text", "name": "text"},
    **{"image": "file", "audio": "file", "video": "file", "numeric": "numbers"},
}


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    """A folder with the datasets of the page."""
    found = _EXAMPLE.findall((_DOCS / "formats.md").read_text("utf-8"))
    for folder, name, text in found:
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / name).write_text(text, encoding="utf-8")
    assert len(found) == 11
    return tmp_path


def test_the_examples_of_the_page_are_datasets(examples: Path) -> None:
    zoo, openke = (read_dataset(examples / name) for name in ("zoo", "openke"))
    _read_fields(zoo)
    _read_fields(openke, "text", "numeric")
    assert zoo.graph.names[:3] == ("Lion", "Fox", "wolf")
    assert zoo.graph.kinds[:4] == (("animal",), ("animal", "pest"), (), ("family",))
    lives = np.array([[0, zoo.graph.relations.index("lives_in"), 5]])
    assert zoo.graph.confidence(lives) == [np.float32(0.4)]
    assert len(zoo.graph.negatives) == 2
    assert openke.graph.names == ("Red fox", "organic compound", "Lion")
    assert len(openke.graph.negatives) == 1


def test_a_table_with_a_header_becomes_triples(
    examples: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zoo = examples / "zoo"
    expected = read_dataset(zoo).graph.digest
    rows = (zoo / "triples.tsv").read_text("utf-8").replace("\t", ",")
    (zoo / "triples.csv").write_text(f"\ufeffhead,relation,tail\r\n{rows}", encoding="utf-8")
    (zoo / "triples.tsv").unlink()
    monkeypatch.chdir(zoo)
    exec(_block("python", "triples.csv"), {})  # noqa: S102 - it is the page's
    assert read_dataset(zoo).graph.digest == expected


def test_a_table_of_things_becomes_a_dataset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [f"L{i},,,,static,C;Lisp\n" for i in range(20)]
    table = _block("csv", "Reads like English") + "".join(rows)
    (tmp_path / "languages.csv").write_text(table, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    exec(_block("python", "languages.csv"), {})  # noqa: S102 - it is the page's
    dataset = read_dataset(tmp_path)
    python, first, *_ = dataset.entities
    assert python.fields["image"] == ["logos/python.png"]
    assert python.fields["numeric"] == {"year": 1991.0}
    assert (first.id, first.fields["numeric"]) == ("C", {"year": 1972.0})
    assert dataset.graph.relations == ("influenced_by", "typing")
    num_triples = sum(len(dataset.graph.split(split)) for split in SPLITS)
    assert num_triples == 2 + 1 + 3 * 20 + 2


def _block(language: str, mark: str) -> str:
    """Return the page's block of code that holds a mark."""
    page = (_DOCS / "formats.md").read_text("utf-8")
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    (found,) = (it for it in blocks if mark in it)
    return str(found)


def test_the_examples_follow_the_schemas(examples: Path) -> None:
    for file in examples.glob("*/*.jsonl"):
        name = "entity" if file.name == "entities.jsonl" else "further"
        for line in file.read_text("utf-8").splitlines():
            Draft202012Validator(SCHEMAS[name]).validate(json.loads(line))


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)
def test_a_schema_is_one_and_the_page_links_it(schema: dict[str, Any]) -> None:
    Draft202012Validator.check_schema(schema)
    for name in SCHEMAS:
        assert f"(schemas/{name}.schema.json)" in (_DOCS / "formats.md").read_text("utf-8")


def test_both_schemas_say_the_same_of_fields() -> None:
    entity, further = SCHEMAS.values()
    assert entity["$defs"] == further["$defs"]
    fields = ({**schema["properties"], "id": None} for schema in (entity, further))
    assert len({json.dumps(it, sort_keys=True) for it in fields}) == 1


_paths = st.lists(
    st.sampled_from(["a", ".", "..", "/", "/", "\n", "\0", "...", "é", " "]), max_size=5
).map("".join)
_strings = st.one_of(st.sampled_from(["", " ", "a", "\t", "\n", "a\n", "lion"]), st.text(), _paths)
_scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), _strings)
_values = st.one_of(
    _scalars,
    st.lists(st.one_of(_strings, _scalars), max_size=3),
    st.dictionaries(_strings, _scalars, max_size=2),
)
_objects = st.dictionaries(
    st.one_of(st.sampled_from(sorted(FIELDS)), st.text()).filter(lambda it: it != "id"),
    _values,
    max_size=4,
)


@given(fields=_objects, entity_id=st.one_of(_strings, _scalars, st.just("absent")))
@example(fields={}, entity_id="a\n")
@example(fields={"kind": []}, entity_id="a")
@example(fields={"image": ["./."]}, entity_id="a")
@example(fields={"image": ["..\n", "a/..b"]}, entity_id="a")
@example(fields={"numeric": {"x": "y"}}, entity_id="a")
@settings(max_examples=300, deadline=None)
def test_a_line_of_entities_is_read_if_and_only_if_it_follows_the_schema(
    tmp_path_factory: pytest.TempPathFactory, fields: dict[str, object], entity_id: object
) -> None:
    made = fields if entity_id == "absent" else {**fields, "id": entity_id}
    folder = _folder(tmp_path_factory)
    with (folder / "entities.jsonl").open("a") as file:
        file.write(json.dumps(made) + "\n")
    follows = Draft202012Validator(SCHEMAS["entity"]).is_valid(made)
    assert _is_read(folder, made) == follows


@given(fields=_objects, entity_id=st.one_of(st.just("first"), st.just("second"), _scalars))
@settings(max_examples=200, deadline=None)
def test_a_line_of_a_further_file_is_read_if_and_only_if_it_follows_the_schema(
    tmp_path_factory: pytest.TempPathFactory, fields: dict[str, object], entity_id: object
) -> None:
    made = {"id": entity_id, **fields}
    folder = _folder(tmp_path_factory)
    (folder / "more.jsonl").write_text(json.dumps(made) + "\n")
    follows = Draft202012Validator(SCHEMAS["further"]).is_valid(made)
    is_known = entity_id in ("first", "second")  # a schema cannot say it
    assert _is_read(folder, made) == (follows and is_known)


def _folder(factory: pytest.TempPathFactory) -> Path:
    """Return a dataset's folder of two entities with nothing but ids."""
    folder = factory.mktemp("schema")
    (folder / "entities.jsonl").write_text('{"id": "first"}\n{"id": "second"}\n')
    for split in ("train", "valid", "test"):
        (folder / f"{split}.tsv").write_text("first\tnext\tsecond\n")
    return folder


def _is_read(folder: Path, made: Mapping[str, object]) -> bool:
    """Whether a dataset is read, and the fields of an object as modalities read them."""
    try:
        _read_fields(read_dataset(folder), *(set(made) & set(FIELDS)))
    except DatasetError:
        return False
    return True


def _read_fields(dataset: Dataset, *fields: str) -> None:
    for field in fields or FIELDS:
        if field == "video" and not fields:
            continue
        if field == "name" or any(field in entity.fields for entity in dataset.entities):
            dataset.items([field], FIELDS[field])
