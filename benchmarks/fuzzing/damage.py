"""Ways to damage a file: bytes, words, JSON values, and what stands at its path.

All draw from a `random.Random`, so a case is repeated by its seed.
"""

import json
import os
import random
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

Damage = Callable[[random.Random, Path], None]

WORDS = (
    *("", "\0", "\r", "\n", "\t", "\x1b]0;title\x1b\\", "\x1b[31m", "\x85", "\u2028", "\u202e"),
    *("\ufeff", "\u200b", "e\u0301", "é", "\U0001f98a", "=1+1", "[red]", "</script>", "'\"", "%n"),
    *("../../outside/thesis.tex", "/etc/passwd", "~nosuchuser/x", "file:///etc/passwd", "{}", "[]"),
    *("NaN", "-inf", "1e999", "010", "0x" + "f" * 99, "9" * 400, "-1", "true", "null", "1:30"),
    *("2024-13-45", "!!python/object/apply:os.system [id]", "&a [*a]", "<<: *a", "x" * 5000),
)

_FLIPS = (1, 3, 50)
_LENGTHS = (1, 7, 64, 4096)


def flip_bits(draw: random.Random, path: Path) -> None:
    """Flip one, a few or many bits."""
    content = bytearray(path.read_bytes())
    for _ in range(draw.choice(_FLIPS) if content else 0):
        content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    path.write_bytes(content)


def cut_off(draw: random.Random, path: Path) -> None:
    """Cut the file's end off."""
    os.truncate(path, draw.randrange(path.stat().st_size + 1))


def fill(draw: random.Random, path: Path) -> None:
    """Overwrite a piece by zeros, by ones or by anything."""
    content = bytearray(path.read_bytes())
    start = draw.randrange(len(content) + 1)
    length = min(draw.choice(_LENGTHS), len(content) - start)
    content[start : start + length] = draw.choice(
        (bytes(length), b"\xff" * length, draw.randbytes(length))
    )
    path.write_bytes(content)


def insert_bytes(draw: random.Random, path: Path) -> None:
    """Insert a piece of the file itself, or of nothing that belongs there."""
    content = path.read_bytes()
    at, start = draw.randrange(len(content) + 1), draw.randrange(len(content) + 1)
    piece = draw.choice((content[start : start + 64], draw.randbytes(16)))
    path.write_bytes(content[:at] + piece + content[at:])


def insert_word(draw: random.Random, path: Path) -> None:
    """Put a word that means something elsewhere into a line, or in a value's place."""
    lines = path.read_bytes().split(b"\n")
    number = draw.randrange(len(lines))
    words = draw.choice(WORDS).encode("utf-8", "surrogatepass")
    cells = lines[number].split(draw.choice((b"\t", b":", b" ", b'"')))
    cells[draw.randrange(len(cells))] = words
    lines[number] = draw.choice((b"\t", b": ", b" ", b'"')).join(cells)
    path.write_bytes(b"\n".join(lines))


def shuffle_lines(draw: random.Random, path: Path) -> None:
    """Drop, double or exchange lines."""
    lines = path.read_bytes().split(b"\n")
    first, second = draw.randrange(len(lines)), draw.randrange(len(lines))
    lines[first : first + draw.randrange(3)] = [lines[second]] * draw.randrange(3)
    path.write_bytes(b"\n".join(lines))


def replace_value(draw: random.Random, path: Path) -> None:
    """Exchange a value somewhere in a file of JSON for one of another type or kind."""
    try:
        whole = json.loads(path.read_bytes())
    except ValueError:
        insert_word(draw, path)
        return
    place = _somewhere(draw, whole)
    values = (None, True, -1, 1e308, 10**30, "", [], {}, [[]], {"a": 1}, draw.choice(WORDS))
    if place is None:
        whole = draw.choice(values)
    else:
        place[0][place[1]] = draw.choice(values)
    path.write_text(json.dumps(whole))


def replace_file(draw: random.Random, path: Path) -> None:
    """Put something else where the file was: nothing, a FIFO, a folder, a link."""
    outside = path.parent / draw.choice(("../outside/thesis.tex", "../../outside/thesis.tex"))
    path.unlink()
    draw.choice(
        (
            lambda: None,
            lambda: path.touch(),
            lambda: os.mkfifo(path),
            lambda: path.mkdir(),
            lambda: path.symlink_to(path.name),
            lambda: path.symlink_to("/dev/zero"),
            lambda: path.symlink_to(outside),
        )
    )()


def swap_files(draw: random.Random, path: Path) -> None:
    """Give the file the content of another one beside it."""
    others = [other for other in sorted(path.parent.iterdir()) if other.is_file()]
    shutil.copyfile(draw.choice(others), path.with_name(".swapped"))
    path.with_name(".swapped").replace(path)


BYTES: Sequence[Damage] = (flip_bits, cut_off, fill, insert_bytes)
TEXTS: Sequence[Damage] = (*BYTES, insert_word, insert_word, insert_word, shuffle_lines)
PLACES: Sequence[Damage] = (replace_file, swap_files)


def _somewhere(draw: random.Random, whole: Any) -> tuple[Any, Any] | None:
    """Return a container within a value, and a key or position of it."""
    places: list[tuple[Any, Any]] = []
    waiting = [whole]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            places += [(value, key) for key in value]
            waiting += value.values()
        elif isinstance(value, list):
            places += [(value, position) for position in range(len(value))]
            waiting += value
    return draw.choice(places) if places else None
