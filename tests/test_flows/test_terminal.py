"""What leaves the program: no name acts on a terminal, any encoding will do, no end is a crash.

Every command goes through the same streams and consoles, so the quickest ones stand for all.
"""

import json
import logging
import os
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

import flows.server.artifacts
from flows.terminal.console import VisibleConsole
from flows.terminal.logs import VisibleRecord
from flows.terminal.output import print_json
from flows.terminal.streams import CheckedStream, VisibleStream
from mocme.tables import table
from storage.words.visible import plain_markdown

HOSTILE = "a\x1b]0;t\x07\x9b31m\u202eb\r\u200b"
ESCAPED = r"a\x1b]0;t\x07\x9b31m\u202eb\r\u200b"


def run(
    *words: str | bytes, shell: str = '"$@"', environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run the command line in a process of its own, as words of a line of shell."""
    command = ["bash", "-c", shell, "bash", sys.executable, "-m", "mocme", *words]
    root = str(Path(__file__).parents[2])
    return subprocess.run(
        command,
        capture_output=True,
        env={**os.environ, "PYTHONPATH": root, **(environment or {})},
        timeout=100,
    )


def dataset(folder: Path, relation: str) -> Path:
    """Write a dataset with one odd relation."""
    (folder / "entities.jsonl").write_text('{"id": "x"}\n{"id": "y"}\n')
    for split in ("train", "valid", "test"):
        (folder / f"{split}.tsv").write_text(f"x\t{relation}\ty\n", encoding="utf-8")
    return folder


class TestHostileNames:
    @pytest.mark.parametrize(
        "words",
        [
            ("audit", HOSTILE),  # an error of ours
            ("predict", f"--{HOSTILE}"),  # of usage, which repeats the word
        ],
    )
    def test_arguments_are_shown(self, words: tuple[str, ...]) -> None:
        done = run(*words)
        assert done.returncode == 2
        shown = done.stderr.decode()
        assert r"\x1b]0;t\x07" in shown
        assert all(it.isprintable() or it == "\n" for it in shown)

    def test_a_relation_in_a_table_and_in_json(self, tmp_path: Path) -> None:
        odd = HOSTILE.replace("\r", "") + "[red]:smile:[/]"
        folder = str(dataset(tmp_path, odd))
        done = run("audit", folder, environment={"COLUMNS": "200"})
        shown = done.stdout.decode()
        assert ESCAPED.replace(r"\r", "") + "[red]:smile:[/]" in shown
        assert all(it.isprintable() or it == "\n" for it in shown)
        written = run("audit", folder, "--json").stdout
        assert list(json.loads(written)["relations"]) == [odd]
        assert written.count(b"\n") == 1
        assert all(it.isprintable() for it in written.decode().rstrip("\n"))


@pytest.mark.parametrize(
    "words",
    [
        ("audit",),
        pytest.param(("sample",), marks=pytest.mark.slow),
        pytest.param(("store", "stats"), marks=pytest.mark.slow),
    ],
)
def test_a_name_too_long_is_one_line(words: tuple[str, ...]) -> None:
    name = "x" * 300
    done = run(*words, name)
    assert done.returncode == 2
    (line,) = done.stderr.decode().splitlines()
    assert line.startswith("error: ")
    assert name in line


def test_no_columns_at_all_hide_nothing(tmp_path: Path) -> None:
    done = run("audit", str(dataset(tmp_path, "likes")), environment={"COLUMNS": "0"})
    assert "likes" in done.stdout.decode()


@pytest.mark.parametrize("encoding", ["latin-1", "ascii"])
def test_any_encoding_will_do(tmp_path: Path, encoding: str) -> None:
    folder = str(dataset(tmp_path, "é🦊"))
    environment = {"PYTHONIOENCODING": encoding, "COLUMNS": "120"}
    done = run("audit", folder, environment=environment)
    assert (done.returncode, done.stderr) == (0, b"")
    shown = "é🦊".encode(encoding, "backslashreplace").decode(encoding)
    assert shown in done.stdout.decode(encoding)
    written = run("audit", folder, "--json", environment=environment).stdout
    assert list(json.loads(written.decode(encoding))["relations"]) == ["é🦊"]
    assert written.isascii()


@pytest.mark.parametrize(
    ("shell", "code", "stderr"),
    [
        ('"$@" > /dev/full', 1, b"error: standard output: found No space left on device; "),
        ('"$@" >&-', 1, b"error: standard output: found a closed file; "),
        ('"$@" | (exec <&-); exit ${PIPESTATUS[0]}', 1, b""),
        ('"$@" 2>&-', 0, b""),
        ('"$@" nonsense 2>/dev/full', 1, b""),
        ('"$@" nonsense >&- 2>&- <&-', 2, b""),
    ],
)
def test_a_lost_stream_is_one_line(tmp_path: Path, shell: str, code: int, stderr: bytes) -> None:
    done = run("audit", str(dataset(tmp_path, "r")), "--json", shell=shell)
    assert done.returncode == code
    assert done.stderr.startswith(stderr)
    assert done.stderr.count(b"\n") == bool(stderr)


def test_a_console_shows_names_as_they_are() -> None:
    console = VisibleConsole()
    console.file = StringIO()
    console.print(table("[b]t[/b]", ["[i]c"], [["[/] :fox: \x1b[8m\nx"]]))
    console.print("[red]:fox:[/red]\x9b")
    with console.status("importing [/x]\x1b"):
        pass
    shown = console.file.getvalue()
    for wanted in ("[b]t[/b]", "[i]c", r"[/] :fox: \x1b[8m\nx", r"[red]:fox:[/red]\x9b"):
        assert wanted in shown


def test_json_of_a_console_without_unicode(monkeypatch: pytest.MonkeyPatch) -> None:
    class Latin(StringIO):
        encoding = "latin-1"

    stream = Latin()
    monkeypatch.setattr(sys, "stdout", stream)
    print_json({"é": "🦊"})
    assert stream.getvalue().isascii()
    assert json.loads(stream.getvalue()) == {"é": "🦊"}


def test_what_libraries_write_is_escaped_and_no_terminal() -> None:
    raw = StringIO()
    stream = VisibleStream(CheckedStream(raw, "x"))
    assert stream.write("a\x1b[31m\n\tb") == 9
    assert raw.getvalue() == "a\\x1b[31m\n\tb"
    assert not stream.isatty()
    assert not hasattr(stream, "buffer")


def test_log_records_and_their_tracebacks_are_escaped() -> None:
    stream = StringIO()
    handler = logging.StreamHandler(stream)
    try:
        raise ValueError(HOSTILE)
    except ValueError:
        record = VisibleRecord("n", 40, "p", 1, "found %s", (HOSTILE,), sys.exc_info())
    handler.handle(record)
    assert f"found {ESCAPED}" in stream.getvalue()
    assert f"ValueError: {ESCAPED}" in stream.getvalue()
    assert "\x1b" not in stream.getvalue()


def test_artifacts_are_escaped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made: list[Any] = []
    monkeypatch.setattr(
        flows.server.artifacts, "create_table_artifact", lambda **it: made.append(it)
    )
    monkeypatch.setattr(
        flows.server.artifacts, "create_link_artifact", lambda *it, **_: made.append(it)
    )
    row = {"a": HOSTILE, "b": 1, "c": "![](http://x/y.png)"}
    flows.server.artifacts._publish("x", [row], "of <b>[x](y)")
    flows.server.artifacts._link("x", tmp_path / "a) [b](c", "what")
    shown, (address, text) = made
    cells = {"a": plain_markdown(HOSTILE), "b": 1, "c": r"!\[\](http://x/y.png)"}
    assert shown["table"] == [cells]
    assert shown["description"] == r"of &lt;b>\[x\](y)"
    assert ")" not in address
    assert text.endswith(r"a) \[b\](c")
