"""The examples are configs that load, and what they say of their data holds."""

from pathlib import Path

import pytest

from flows.configs.pipeline_config import load_config
from storage.datasets.dataset import read_dataset

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.yaml"))


@pytest.mark.parametrize("path", EXAMPLES, ids=[path.stem for path in EXAMPLES])
class TestExample:
    def test_is_a_config_that_says_its_command(self, path: Path) -> None:
        config = load_config(path)
        assert f"mocme run examples/{path.name}" in path.read_text()
        assert config.runs.name == path.stem

    def test_its_data_can_be_read(self, path: Path) -> None:
        config = load_config(path)
        if not config.dataset.is_dir():
            pytest.skip(f"{config.dataset} is not here")
        dataset = read_dataset(config.dataset)
        assert all(len(dataset.graph.split(split)) for split in ("train", "valid", "test"))  # type: ignore[arg-type]


def test_every_graph_with_names_has_an_example_of_each_kind() -> None:
    names = {path.stem for path in EXAMPLES}
    numbers = {"db15k-numbers"}
    plain = {name for name in names if not name.endswith("-bert")} - numbers
    assert plain == {"stamps", "db15k", "mkg-w", "mkg-y", "kvc16k", "tiva"}
    assert names - plain - numbers == {f"{name}-bert" for name in plain - {"mkg-w"}}
