"""What an SVG becomes when every reference is followed: a few lines can draw for hours."""

import re
from collections.abc import Iterator
from xml.etree import ElementTree

from extractors.base import MediaError
from extractors.media.pictures.svg_style import StyleReferences, references_of

MAX_DEPTH = 100
"""Elements inside one another, references followed; every one may take a canvas of its own."""

MAX_ELEMENTS = 200_000
"""Elements drawn, references followed: each takes about a kilobyte."""

_MARKS_VERTICES = re.compile(r"\bmarker(-mid)?\s*[:=]")
_MIN_CHARACTERS = 2  # that describe a vertex of an outline


class Expansion:
    """What a drawing becomes when every reference is replaced by what it refers to.

    Args:
        root: The drawing.
    """

    def __init__(self, root: ElementTree.Element) -> None:
        self._root = root
        self._by_id: dict[str | None, list[ElementTree.Element]] = {}
        for element in root.iter():
            self._by_id.setdefault(element.get("id"), []).append(element)
        self._styles = StyleReferences(root)
        self._measured: dict[ElementTree.Element, tuple[int, int]] = {}

    def check(self) -> None:
        """Refuse a drawing of a few lines that draws without end."""
        self._measure(self._root, 1)
        markers = [part for part in self._root.iter() if local_name(part.tag) == "marker"]
        if markers and _MARKS_VERTICES.search(ElementTree.tostring(self._root, "unicode")):
            largest = max(self._measure(marker, 1)[0] for marker in markers)
            outlines = (part.get("d", "") + part.get("points", "") for part in self._root.iter())
            refuse_beyond(1, largest * sum(map(len, outlines)) // _MIN_CHARACTERS)

    def _measure(self, element: ElementTree.Element, depth: int) -> tuple[int, int]:
        """Return how many elements one becomes, and how deep they lie in one another."""
        if element not in self._measured:
            self._measured[element] = (0, 0)  # of a circle of references, which is not drawn
            refuse_beyond(depth, 0)
            parts = [self._measure(part, depth + 1) for part in self._parts(element)]
            count = 1 + sum(count for count, _ in parts)
            self._measured[element] = count, 1 + max((height for _, height in parts), default=0)
        count, height = self._measured[element]
        refuse_beyond(depth + height - 1, count)
        return count, height

    def _parts(self, element: ElementTree.Element) -> Iterator[ElementTree.Element]:
        """Yield an element's children and what it refers to."""
        yield from element
        names = [*self._styles.of(local_name(element.tag), element.attrib)]
        for key, value in element.items():
            is_link = local_name(key) == "href"
            names += [value.strip()[1:]] if is_link else references_of(value)
        for name in names:
            yield from self._by_id.get(name, ())


def refuse_beyond(depth: int, count: int) -> None:
    """Refuse a drawing that exceeds `MAX_DEPTH` or `MAX_ELEMENTS`."""
    if depth > MAX_DEPTH:
        raise MediaError(f"an SVG of more than {MAX_DEPTH} elements inside one another")
    if count > MAX_ELEMENTS:
        raise MediaError(f"an SVG that draws more than {MAX_ELEMENTS} elements")


def local_name(name: object) -> str:
    """Return a name without its namespace."""
    return str(name).rpartition("}")[2]
