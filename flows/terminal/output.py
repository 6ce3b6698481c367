"""What a program prints: results on standard output, all else on standard error."""

from collections.abc import Iterable
from typing import Any

from rich.console import Console

from flows.terminal.console import VisibleConsole
from storage.words.visible import json_text, visible_line

STDOUT = VisibleConsole()
STDERR = VisibleConsole(stderr=True)


def print_line(line: str) -> None:
    """Print one line on standard output, however long."""
    STDOUT.print(visible_line(line), soft_wrap=True)


def print_note(line: str) -> None:
    """Print one line on standard error, however long."""
    STDERR.print(visible_line(line), soft_wrap=True)


def print_json(value: Any) -> None:
    """Print one JSON object on standard output, for scripts."""
    only_ascii = not STDOUT.encoding.startswith("utf")
    STDOUT.file.write(json_text(value, only_ascii=only_ascii) + "\n")
    STDOUT.file.flush()


def print_error(message: str) -> None:
    """Print an error, each of its lines as one."""
    for line in message.split("\n"):
        STDERR.print(f"error: {visible_line(line)}", style="red", soft_wrap=True)


def print_warnings(console: Console, warnings: Iterable[str]) -> None:
    """Print what a run's success must not hide, a line each."""
    for line in warnings:
        console.print(f"warning: {visible_line(line)}", style="red", soft_wrap=True)


def print_warning(message: str) -> None:
    """Print what does not stop a command, on standard error."""
    print_warnings(STDERR, [message])
