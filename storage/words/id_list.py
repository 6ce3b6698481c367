"""Lists of ids as text: one a line; if a line cannot hold one of them, each as a JSON string."""

import json
from collections.abc import Sequence


def ids_text(ids: Sequence[str]) -> str:
    """Return the text of a file that `read_ids` reads back.

    The ids stand as they are, unless one is blank, holds a line break of any kind, or has white
    space or a byte order mark at an end; then each stands in double quotes, as JSON writes it.
    """
    as_json = not all(map(_is_line, ids)) or all(map(_is_json, ids))
    return "".join(f"{json.dumps(it) if as_json else it}\n" for it in ids)


def read_ids(lines: Sequence[str]) -> tuple[str, ...]:
    """Return the ids that lines hold: the lines without white space around, or what JSON says."""
    ids = tuple(line.strip() for line in lines)
    return tuple(map(json.loads, ids)) if all(map(_is_json, ids)) else ids


def _is_line(text: str) -> bool:
    return text.splitlines() == [text] and text.strip() == text and not text.startswith("\ufeff")


def _is_json(text: str) -> bool:
    if not (text.startswith('"') and text.endswith('"')):
        return False
    try:
        return isinstance(json.loads(text), str)
    except ValueError:
        return False
