"""Names that no entity and no relation of a dataset has: all of them, not the first alone."""

import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from storage.errors import DatasetError
from storage.words.suggestion import Suggestions, did_you_mean
from storage.words.visible import quoted, shortened

NamedThing = Literal["entity", "relation"]
Known = Mapping[NamedThing, Collection[str]]

HEADER = ("unknown", "name", "did you mean", "first in", "lines")

_PLURALS: Mapping[NamedThing, str] = {"entity": "entities", "relation": "relations"}
_MOST_NAMES = 100_000  # a file of millions of bad lines must not fill the memory
_MOST_CHARACTERS = 2**26  # of all names together
_MOST_COMPARISONS = 20_000_000  # of an unknown name and a known one; a few seconds
_LEAST_SUGGESTIONS = 20


class Sighting(NamedTuple):
    """An unknown name in one place.

    Attributes:
        of: What the name should be the name of.
        field: The column or field.
        name: The name.
        allowed: What may stand there.
    """

    of: NamedThing
    field: str
    name: str
    allowed: str


@dataclass
class _Found:
    file: Path
    line: int
    sighting: Sighting
    num_lines: int = 1


class UnknownNamesError(DatasetError):
    """A dataset whose files name entities or relations that it does not have.

    Args:
        found: The unknown names, in the order in which they were found; not empty.
        num_lines: How many lines name any.
        has_more: Whether there are more names than were kept.
        known: The names that there are.
        root: The dataset's folder.
    """

    def __init__(
        self, found: Sequence[_Found], num_lines: int, has_more: bool, known: Known, root: Path
    ) -> None:
        first = found[0]
        sighting = first.sighting
        self._found, self._known = found, known
        self.num_lines, self.has_more = num_lines, has_more
        super().__init__(
            first.file,
            line=first.line,
            field=sighting.field,
            found=f"the unknown {sighting.of} {quoted(sighting.name)}"
            f"{did_you_mean(sighting.name, known[sighting.of])}{self._rest(root)}",
            allowed=sighting.allowed,
        )

    def _rest(self, root: Path) -> str:
        """Say how many more unknown names there are, and how many lines name any."""
        if self.num_lines == 1 and len(self._found) == 1:
            return ""
        more = []
        for of, plural in _PLURALS.items():
            num = sum(it.sighting.of == of for it in self._found[1:])
            if num:
                at_least = "at least " * self.has_more
                more.append(f"{at_least}{num} more unknown {of if num == 1 else plural}")
        lines = f"in {self.num_lines} line{'s' * (self.num_lines != 1)}"
        command = f"mocme audit {shlex.quote(str(root))}"
        return f"{''.join(f' and {it}' for it in more)} {lines}: `{command}` lists them"

    def to_list(self) -> list[dict[str, Any]]:
        """Return a JSON object for each name: of, name, suggestion, file, line, field, lines.

        Where there are very many, `suggestion` is null for all but the first.
        """
        suggestions = {of: Suggestions(names) for of, names in self._known.items()}
        num_known = 1 + max(map(len, self._known.values()))
        most = max(_LEAST_SUGGESTIONS, _MOST_COMPARISONS // num_known)
        return [
            {
                "of": it.sighting.of,
                "name": it.sighting.name,
                "suggestion": suggestions[it.sighting.of].closest(it.sighting.name)
                if place < most
                else None,
                "file": it.file.name,
                "line": it.line,
                "field": it.sighting.field,
                "lines": it.num_lines,
            }
            for place, it in enumerate(self._found)
        ]


def rows_of(names: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """Return the rows of a table under `HEADER`, given `UnknownNamesError.to_list()`."""
    return [
        (
            it["of"],
            shortened(it["name"]),
            shortened(it["suggestion"] or ""),
            f"{it['file']}, line {it['line']}",
            f"{it['lines']:,}",
        )
        for it in names
    ]


class UnknownNames:
    """Collects the unknown names of all files of a dataset while they are read."""

    def __init__(self) -> None:
        self._found: dict[tuple[NamedThing, str], _Found] = {}
        self._num_characters = 0
        self._num_lines = 0
        self._has_more = False

    def add(self, file: Path, line: int, sightings: Sequence[Sighting]) -> None:
        """Take in the unknown names of one line.

        Args:
            file: The file.
            line: Line number, counted from 1.
            sightings: The unknown names; one that stands there twice counts once.
        """
        self._num_lines += 1
        for key in dict.fromkeys((it.of, it.name) for it in sightings):
            if key in self._found:
                self._found[key].num_lines += 1
            elif not self._found or self._has_room(key[1]):
                self._num_characters += len(key[1])
                sighting = next(it for it in sightings if (it.of, it.name) == key)
                self._found[key] = _Found(file, line, sighting)
            else:
                self._has_more = True

    def _has_room(self, name: str) -> bool:
        is_small = self._num_characters + len(name) <= _MOST_CHARACTERS
        return is_small and len(self._found) < _MOST_NAMES

    def raise_if_any(self, known: Known, root: Path) -> None:
        """Raise what was collected.

        Args:
            known: The names of entities and relations that there are.
            root: The dataset's folder.

        Raises:
            UnknownNamesError: If there was any.
        """
        if self._found:
            found = tuple(self._found.values())
            raise UnknownNamesError(found, self._num_lines, self._has_more, known, root)
