"""Python children and this process import nothing from the working folder."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from storage import isolation
from storage.isolation import isolate_process, python_command, python_environment

ROOT = Path(isolation.__file__).parents[1]
PLANTED = ("random.py", "sitecustomize.py", "usercustomize.py", "storage/__init__.py")
SHOW_PATH = """
import json, os, sys
import storage.isolation
storage.isolation.isolate_process()
print(json.dumps([sys.path, os.environ["PYTHONPATH"], os.environ["PYTHONSAFEPATH"]]))
"""


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder whose modules would say so."""
    for name in PLANTED:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("print('PLANTED')")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("entry", ["", ".", "relative"])
def test_a_child_imports_nothing_from_the_working_folder(
    planted: Path, monkeypatch: pytest.MonkeyPatch, entry: str
) -> None:
    monkeypatch.setattr(sys, "path", [entry, str(ROOT), *sys.path])
    monkeypatch.setenv("PYTHONPATH", f"{entry}:/nowhere")
    code = "import random, storage.isolation; print(storage.isolation.__file__)"
    done = subprocess.run(
        python_command("-c", code), env=python_environment(), capture_output=True, text=True
    )
    assert done.stdout.split() == [isolation.__file__], done.stderr


def test_a_childs_own_children_are_as_safe(planted: Path) -> None:
    code = "import subprocess, sys; subprocess.run([sys.executable, '-m', 'random'])"
    done = subprocess.run(
        python_command("-c", code), env=python_environment(), capture_output=True, text=True
    )
    assert "PLANTED" not in done.stdout + done.stderr


def test_variables_are_laid_on_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEPT", "1")
    found = python_environment(OMP_NUM_THREADS="3")
    assert (found["KEPT"], found["OMP_NUM_THREADS"], found["PYTHONSAFEPATH"]) == ("1", "3", "1")


@pytest.mark.parametrize("given", ["", ":/nowhere", "/nowhere:", "lib:/nowhere", ".:/nowhere"])
def test_this_process_forgets_relative_entries(tmp_path: Path, given: str) -> None:
    (tmp_path / "lib").mkdir()
    environment = {**os.environ, "PYTHONPATH": f"{given}:{ROOT}"}
    done = subprocess.run(
        [sys.executable, "-c", SHOW_PATH], cwd=tmp_path, env=environment, capture_output=True
    )
    path, variable, safe = json.loads(done.stdout)
    assert not [entry for entry in path if Path(entry).is_relative_to(tmp_path)]
    assert variable.split(":") == [it for it in ("/nowhere",) if it in given] + [str(ROOT)]
    assert safe == "1"


def test_folders_that_a_user_names_or_this_project_is_in_stay(tmp_path: Path) -> None:
    for folder, given in ((tmp_path, f"{tmp_path}:{ROOT}"), (ROOT, "")):
        done = subprocess.run(
            [sys.executable, "-c", SHOW_PATH],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": given},
            capture_output=True,
        )
        assert str(folder) in json.loads(done.stdout)[0]


def test_packages_that_read_the_working_folder_are_imported_in_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "library" / "reader_of_folders"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("import os; found = os.getcwd()")
    monkeypatch.setattr(isolation, "_READERS", ("reader_of_folders",))
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    monkeypatch.setattr(os, "environ", os.environ.copy())
    monkeypatch.setattr(sys, "path", [str(package.parent), *sys.path])
    monkeypatch.chdir(tmp_path)
    isolate_process()
    import reader_of_folders  # type: ignore[import-not-found]

    assert reader_of_folders.found == str(package)
    assert Path.cwd() == tmp_path
    assert type(reader_of_folders.__loader__).__name__ == "SourceFileLoader"
