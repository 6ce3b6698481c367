"""A run in a folder of somebody else's: nothing there runs, and nothing there configures it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from small_runs import SMALL, settings

from extractors.sample import write_sample
from flows.server import surroundings
from flows.server.proxies import set_proxies_right
from flows.server.surroundings import prepare_environment, scratch_folder
from mocme.drawing import plain_style

MODULES = ("uvicorn", "random", "numpy", "sitecustomize", "usercustomize", "evil", "_ops")
PACKAGES = ("mocme", "flows", "model", "storage", "extractors", "prefect", "torch", "matplotlib")
LOGGING = """
version: 1
handlers: {planted: {class: evil.Handler}}
root: {handlers: [planted]}
"""


def plant(folder: Path) -> None:
    """Write files that Python, Prefect or matplotlib would run or read in a working folder."""
    told = f"open({str(folder / 'RAN')!r}, 'a').write(__file__ + chr(10))"
    for name in MODULES:
        (folder / f"{name}.py").write_text(told)
    for name in PACKAGES:
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text(told)
    log, home = folder / "logging.yml", folder / "planted-home"
    log.write_text(LOGGING)
    url = "http://127.0.0.1:9/api"
    (folder / ".env").write_text(
        f"PREFECT_API_URL={url}\nPREFECT_HOME={home}\nPREFECT_LOGGING_SETTINGS_PATH={log}\n"
    )
    table = f'home = "{home}"\n[{{0}}api]\nurl = "{url}"\n[{{0}}logging]\nconfig_path = "{log}"\n'
    (folder / "prefect.toml").write_text(table.format(""))
    (folder / "pyproject.toml").write_text("[tool.prefect]\n" + table.format("tool.prefect."))
    (folder / "matplotlibrc").write_text("backend: module://evil\nfont.size: 66\nnonsense\n")


def outside_of_tests() -> dict[str, str]:
    """Return the environment of a user without a server, and with the tests' Prefect home."""
    ours = {"PREFECT_API_URL", "PREFECT_API_AUTH_STRING", "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"}
    return {name: value for name, value in os.environ.items() if name not in ours}


def test_a_run_among_planted_files(tmp_path: Path) -> None:
    write_sample(tmp_path, num_things=60)
    plant(tmp_path)
    before = {path.name for path in tmp_path.iterdir()}
    mocme = Path(sys.executable).with_name("mocme")
    quick = ("modalities={image: {extractor: image_stats}}", "train.final=selected")
    run = ["run", "mocme.yaml", *settings(*SMALL, *quick)]
    for words in (run, ["report", "data/runs/newest"]):
        done = subprocess.run(
            [mocme, *words], cwd=tmp_path, env=outside_of_tests(), capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert "matplotlib" not in done.stderr
    assert {path.name for path in tmp_path.iterdir()} - before == {"data"}
    (figure,) = tmp_path.glob("data/runs/newest/report/metrics.svg")
    assert "66px" not in figure.read_text()


def test_figures_are_alike_whatever_matplotlib_was_told() -> None:
    from matplotlib import rc_context, rcParams, rcParamsDefault

    with rc_context({"font.size": 66.0, "axes.grid": True}):
        with plain_style({"svg.hashsalt": "x"}):
            assert rcParams["font.size"] == rcParamsDefault["font.size"]
            assert not rcParams["axes.grid"]
            assert rcParams["svg.hashsalt"] == "x"
        assert rcParams["font.size"] == 66.0


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """An environment that a test may change."""
    changed = os.environ.copy()
    monkeypatch.setattr(os, "environ", changed)
    return changed


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({}, "127.0.0.1,localhost,::1"),
        ({"NO_PROXY": "a.example"}, "a.example,127.0.0.1,localhost,::1"),
        ({"no_proxy": "a.example, localhost"}, "a.example,localhost,127.0.0.1,::1"),
        ({"NO_PROXY": "*"}, "*,127.0.0.1,localhost,::1"),
    ],
)
def test_this_machine_is_reached_without_a_proxy(
    environment: dict[str, str], given: dict[str, str], found: str
) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        environment.pop(name, None)
    environment.update(given, HTTP_PROXY="http://proxy.example:3128")
    assert set_proxies_right() == []
    assert environment["NO_PROXY"] == environment["no_proxy"] == found
    assert environment["HTTP_PROXY"] == "http://proxy.example:3128"


@pytest.mark.parametrize(
    "proxy", ["socks5://u:secret@127.0.0.1:9", "foo://u:secret@x", "http://u:secret@x:port"]
)
@pytest.mark.parametrize("name", ["ALL_PROXY", "https_proxy"])
def test_a_proxy_that_cannot_be_used_stops_nothing_and_is_not_passed(
    environment: dict[str, str], name: str, proxy: str
) -> None:
    environment[name] = proxy
    (line,) = set_proxies_right()
    assert line.startswith(f"{name}: found ")
    assert "secret" not in line
    assert environment[name].endswith(".invalid:9")


def test_a_home_that_cannot_be_written_is_replaced(environment: dict[str, str]) -> None:
    environment.update(PREFECT_HOME="/proc/x", PREFECT_API_URL="", HF_HOME="weights")
    prepare_environment()
    assert Path(environment["PREFECT_HOME"]).parent == scratch_folder()
    assert "PREFECT_API_URL" not in environment
    assert environment["HF_HOME"] == str(Path("weights").absolute())


def test_a_tilde_is_the_home_and_no_folder_of_that_name(environment: dict[str, str]) -> None:
    environment.update(HOME="/home/me", HF_HOME="~/weights", PREFECT_HOME="~")
    prepare_environment()
    assert environment["HF_HOME"] == "/home/me/weights"


@pytest.mark.parametrize(
    ("given", "path"),
    [("mine.db", "{}/mine.db"), ("./a/b.db", "{}/a/b.db"), ("/x/y.db", "/x/y.db")]
    + [(named, named) for named in (":memory:", "file::memory:?uri=true")],
)
def test_a_named_database_is_relative_to_where_the_user_stands(
    environment: dict[str, str], given: str, path: str
) -> None:
    variable = "PREFECT_SERVER_DATABASE_CONNECTION_URL"
    environment[variable] = f"sqlite+aiosqlite:///{given}"
    prepare_environment()
    assert environment[variable] == f"sqlite+aiosqlite:///{path.format(Path.cwd())}"


def test_a_user_without_a_home_gets_one(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_home() -> Path:
        if "HOME" in environment:
            return Path(environment["HOME"])
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(surroundings.Path, "home", no_home)
    environment.pop("HOME")
    environment.pop("PREFECT_HOME")
    prepare_environment()
    assert Path(environment["HOME"]) == scratch_folder()
