"""Texts that look the same and are not: other normalisation, white space, width, hidden characters.

Source of the forms: Unicode Standard Annex 15.
"""

import re
import unicodedata
from collections.abc import Collection, Iterable, Sequence

from storage.words.visible import HIDDEN

_LOOKING_ALIKE = tuple(
    f"<{form}>"
    for form in ("wide", "narrow", "noBreak", "compat", "initial", "medial", "final", "isolated")
)
_USUAL = re.compile(r"[!-~]+(?: [!-~]+)*")  # ASCII, single spaces within
_MOST_SHOWN = 4  # characters of a difference
_LONGEST = 1000  # characters; to put n marks of one letter in order takes n * n steps


def look_of(text: str) -> str:
    """Return what all texts have in common that look like this one.

    Letters are composed (NFC) and of usual width; what is hidden is left out, and white space at
    the ends; within, one space stands for all of it. Upper and lower case stay. A text of more than
    1,000 characters looks like itself alone.
    """
    if len(text) > _LONGEST or _USUAL.fullmatch(text) or _is_usual(text):
        return text
    usual = "".join(map(_usual_form, unicodedata.normalize("NFC", text)))
    bare = HIDDEN.sub(lambda it: " " if it[0].isspace() else "", usual)
    return " ".join(unicodedata.normalize("NFC", bare).split())


def lookalikes(texts: Collection[str]) -> list[tuple[str, ...]]:
    """Return the groups of different texts that look alike, each in the order of `texts`."""
    looks = {text: look for text in texts if (look := look_of(text)) != text}
    wanted = set(looks.values())
    groups: dict[str, list[str]] = {}
    for text in texts:
        look = looks.get(text, text)
        if look in wanted:
            groups.setdefault(look, []).append(text)
    return [tuple(dict.fromkeys(group)) for group in groups.values() if len(set(group)) > 1]


def find_lookalike(text: str, known: Iterable[str]) -> str | None:
    """Return the first known text that looks like another, if there is one."""
    look = look_of(text)
    return next((it for it in known if it != text and look_of(it) == look), None)


def difference(one: str, other: str) -> str:
    """Say where two texts differ, in code points: `U+00E9 against U+0065 U+0301`."""
    start = _common(one, other)
    while start and (_is_mark(one[start : start + 1]) or _is_mark(other[start : start + 1])):
        start -= 1
    ends = one[start:][::-1], other[start:][::-1]
    end = _common(*ends)
    parts = (text[start : len(text) - end] for text in (one, other))
    return " against ".join(map(_points, parts))


def _is_usual(text: str) -> bool:
    """Whether a quick look finds nothing that could be otherwise."""
    is_composed = unicodedata.is_normalized("NFKC", text)
    return is_composed and not HIDDEN.search(text) and " ".join(text.split()) == text


def _usual_form(character: str) -> str:
    if character < "\x80":
        return character
    is_alike = unicodedata.decomposition(character).startswith(_LOOKING_ALIKE)
    return unicodedata.normalize("NFKC", character) if is_alike else character


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    """Return the length of the common beginning."""
    shorter = min(len(one), len(other))
    return next((at for at in range(shorter) if one[at] != other[at]), shorter)


def _is_mark(character: str) -> bool:
    return bool(character) and unicodedata.combining(character) > 0


def _points(text: str) -> str:
    if not text:
        return "nothing"
    points = " ".join(f"U+{ord(it):04X}" for it in text[:_MOST_SHOWN])
    return points if len(text) <= _MOST_SHOWN else f"{points} ..."
