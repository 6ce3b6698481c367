"""Datasets for the tests of reading, splitting and auditing."""

import os
from pathlib import Path

import pytest

_SHARED = Path(os.environ.get("MOCME_SHARED", Path(__file__).parents[3] / "shared"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A good dataset folder of four entities, whose files a test may overwrite."""
    root = tmp_path / "dataset"
    root.mkdir()
    (root / "entities.jsonl").write_text(
        '{"id": "cat", "name": "Cat", "text": ["purrs", "meows"], "image": ["cat 1.png"]}\n'
        '{"id": "dog", "text": "barks", "image": "dog.png", "numeric": {"legs": 4}}\n'
        '{"id": "ant", "text": " ", "image": [], "numeric": {}}\n'
        '{"id": "naïve owl", "text": null, "image": null, "numeric": null}\n',
        encoding="utf-8",
    )
    (root / "train.tsv").write_text(
        "cat\tchases\tdog\ndog\tchases\tcat\nant\teats\tnaïve owl\n", encoding="utf-8"
    )
    (root / "valid.tsv").write_text("cat\teats\tant\n")
    (root / "test.tsv").write_text("dog\tbites\tcat\n")
    return root


@pytest.fixture
def openke_folder(tmp_path: Path) -> Path:
    """A good OpenKE folder of three entities, whose files a test may overwrite."""
    root = tmp_path / "openke"
    root.mkdir()
    (root / "entity2id.txt").write_text(
        "3\norganic compound\t1\n<http://dbpedia.org/resource/HIV/AIDS> 0\n北京 大学 2\n",
        encoding="utf-8",
    )
    (root / "relation2id.txt").write_text("2\ncauses 0\n0\t1\n")
    (root / "train2id.txt").write_text("3\n0 1 0\n1 2 1\n2\t0\t1\n")
    (root / "valid2id.txt").write_text("1\n2 1 0\n")
    (root / "test2id.txt").write_text("1\n1 0 1\n")
    return root


@pytest.fixture
def benchmarks() -> Path:
    """The five published graphs."""
    path = _SHARED / "benchmarks"
    if not path.is_dir():
        pytest.skip(f"the published graphs are not at {path}; MOCME_SHARED can say where")
    return path


@pytest.fixture
def stamps() -> Path:
    """The real dataset folder."""
    path = _SHARED / "stamps"
    if not path.is_dir():
        pytest.skip(f"the stamps are not at {path}; MOCME_SHARED can say where")
    return path
