"""Suggestions for misspelt names, so that an error message can say what was probably meant."""

from collections.abc import Iterable, Sequence

from storage.words.lookalike import difference, find_lookalike, look_of
from storage.words.visible import quoted

_LEAST_SIMILARITY = 60.0  # percent; below it a suggestion misleads more often than it helps
_LONGEST = 300  # characters of a name; comparing takes as many steps as the lengths multiplied


def did_you_mean(found: str, known: Iterable[str]) -> str:
    """Return ` (did you mean 'cat'?)` for the known name closest to `found`, or nothing.

    Of two names that look the same it says how they differ.

    Args:
        found: The name that is not known.
        known: The names that are.
    """
    names = [name for name in known if len(name) <= _LONGEST]
    if len(found) > _LONGEST:
        return ""
    if (alike := find_lookalike(found, names)) is not None:
        return (
            f" (did you mean {quoted(alike)}? It looks the same and has other characters: "
            f"{difference(found, alike)})"
        )
    best = _closest_spelling(found, names)
    return "" if best is None else f" (did you mean {quoted(best)}?)"


class Suggestions:
    """Suggests known names for many that are not known, as `did_you_mean` does for one.

    Args:
        known: The names that are known.
    """

    def __init__(self, known: Iterable[str]) -> None:
        self._names = [name for name in known if len(name) <= _LONGEST]
        self._looks: dict[str, str] = {}
        for name in self._names:
            self._looks.setdefault(look_of(name), name)

    def closest(self, found: str) -> str | None:
        """Return the known name closest to `found`; None if none is close to it."""
        if len(found) > _LONGEST:
            return None
        return self._looks.get(look_of(found)) or _closest_spelling(found, self._names)


def _closest_spelling(found: str, names: Sequence[str]) -> str | None:
    from rapidfuzz import fuzz, process  # only an error pays for the import

    best = process.extractOne(found, names, scorer=fuzz.ratio, score_cutoff=_LEAST_SIMILARITY)
    return None if best is None else str(best[0])
