"""The notebook runs from top to bottom, in a folder of its own, and fills the table's gaps."""

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[2] / "examples/quickstart.ipynb"


def read() -> Any:
    return nbformat.read(NOTEBOOK, as_version=4)


def outputs(notebook: Any, start: str) -> str:
    """Return what the cell printed and showed whose source begins so."""
    (cell,) = [it for it in notebook.cells if it.source.startswith(start)]
    shown = (it.get("text") or it["data"]["text/plain"] for it in cell.outputs)
    return "".join(shown)


def test_it_is_kept_without_outputs() -> None:
    notebook = read()
    nbformat.validate(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert not cell.outputs
            assert cell.execution_count is None
            assert len(cell.source.splitlines()) <= 20 or cell.source.startswith("TABLE")


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """The notebook with its outputs, and the folder that it ran in."""
    folder, notebook = tmp_path_factory.mktemp("a reader's"), read()
    resources = {"metadata": {"path": str(folder)}}
    with pytest.MonkeyPatch.context() as patch:
        for name in ("JUPYTER_DATA_DIR", "IPYTHONDIR"):  # no kernel or profile of the user's
            patch.setenv(name, str(tmp_path_factory.mktemp(name)))
        NotebookClient(notebook, timeout=280, kernel_name="python3", resources=resources).execute()
    return notebook, folder


def test_its_commands_do_their_job(executed: tuple[Any, Path]) -> None:
    notebook, folder = executed
    assert "50 instruments, 10 gaps" in outputs(notebook, "TABLE")
    assert "distinct triples" in outputs(notebook, '!"{sys.executable}" -m mocme audit')
    run = outputs(notebook, '!"{sys.executable}" -m mocme run')
    assert "Hits@10" in run
    assert "\x1b" not in run, "no moving bars in a notebook"
    assert "report.html" in outputs(notebook, '!"{sys.executable}" -m mocme report')
    assert (folder / "data/quickstart/data/runs/newest/report.html").is_file()
    assert [path.name for path in folder.iterdir()] == ["data"]


def test_the_gaps_are_filled(executed: tuple[Any, Path]) -> None:
    notebook, _ = executed
    rows = outputs(notebook, "import pandas").splitlines()[1:]
    assert len(rows) == 10
    found = " ".join(" ".join(rows).split())
    # Those that table and texts leave no doubt of.
    for sure in ("mandolin family strings", "bassoon played_with breath"):
        assert sure in found
    assert "True" in outputs(notebook, 'predictor.predict(relation="played_with"')
