"""Text that came from a user's files, shown so that it cannot act on what shows it.

A name may hold characters that a terminal obeys (ESC, C1), that reorder or hide what stands beside
them (bidirectional controls, zero-width characters), or that end a line. They are shown as Python's
escapes, so that a reader sees them and nothing is lost. Letters of every script, combining marks
and emoji stay as they are; so do the joiners and selectors within them.
"""

import json
import re
from typing import Any

# Control characters, line separators, surrogates and noncharacters; and what Unicode calls
# Default_Ignorable_Code_Point (DerivedCoreProperties.txt): it has no shape of its own.
_RANGES = (
    "\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    "\u2028-\u202e\u2060-\u206f\u3164\ud800-\udfff\ufdd0-\ufdef\ufe00-\ufe0f\ufeff\uffa0"
    "\ufff0-\ufffb\ufffe\uffff\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff"
)
_FLAG = "\U0001f3f4[\U000e0030-\U000e007a]{2,6}\U000e007f"  # of a region, such as Scotland
HIDDEN = re.compile(f"[{_RANGES}]")
"""One hidden character."""
_LINE = re.compile(f"{_FLAG}|[{_RANGES}]")
_TEXT = re.compile(f"{_FLAG}|(?![\n\t])[{_RANGES}]")
_VARIATION = re.compile("[\u180b-\u180d\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef]")
_JOINERS = "\u200c\u200d"  # within words of Persian and Indic scripts, and within emoji
_EMOJI_STYLE = "\ufe0f"
_LAST_OF_LATIN = "\u02ff"
_MARKUP = re.compile(r"[\\`*\[\]|~]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
_BLOCK = re.compile(r"^(\s*\d*)([#>+=.)-])")  # a heading, quotation, list or rule begins so
_LONGEST_SHOWN = 60  # characters of a name or value that a message shows
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def visible(text: str) -> str:
    """Return a text of several lines with its hidden characters as escapes.

    Line breaks (LF) and tabs stay: they are the layout of the text.
    """
    return _TEXT.sub(_escape, text)


def visible_line(text: str) -> str:
    """Return a text that stays on one line, with its hidden characters as escapes."""
    return _LINE.sub(_escape, text)


def shortened(text: str) -> str:
    """Return a text without its end if it is too long for a message."""
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."


def quoted(text: str) -> str:
    """Return a name in quotes for a message, without its end if it is too long for one."""
    return repr(shortened(text))


def json_text(value: Any, *, only_ascii: bool = False) -> str:
    """Return a JSON value as one line of text, with its hidden characters as JSON's escapes.

    Reading it gives back `value` exactly.

    Args:
        value: The value.
        only_ascii: Whether to escape the letters of all other scripts, too.
    """
    text = json.dumps(value, ensure_ascii=only_ascii)
    return HIDDEN.sub(lambda found: json.dumps(found[0])[1:-1], text)


def _escape(found: re.Match[str]) -> str:
    character, start = found[0], found.start()
    if len(character) > 1 or (start and _shapes(character, found.string[start - 1])):
        return character
    point = ord(character)
    if point < 0x100:
        return _SHORT.get(character, f"\\x{point:02x}")
    return f"\\u{point:04x}" if point < 0x10000 else f"\\U{point:08x}"


def _shapes(character: str, before: str) -> bool:
    """Whether a joiner or selector stands where scripts and emoji have it: behind what it shapes.

    One behind another, or a joiner behind a Latin letter, shapes nothing and could hide a message.
    """
    if _VARIATION.match(character):
        return not HIDDEN.match(before)
    may_join = before == _EMOJI_STYLE or (before > _LAST_OF_LATIN and not HIDDEN.match(before))
    return character in _JOINERS and may_join


def plain_markdown(text: str) -> str:
    """Return a text as one line of Markdown that shows it and nothing else."""
    plain = visible_line(text).replace("&", "&amp;").replace("<", "&lt;")
    return _BLOCK.sub(r"\1\\\2", _MARKUP.sub(r"\\\g<0>", plain))
