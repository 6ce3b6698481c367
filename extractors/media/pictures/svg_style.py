"""Style of SVG: what resvg would leave out without a word is refused, and references are found.

resvg reads CSS 2 with a few selectors of CSS 3. It skips all else, so that shapes become black or
vanish. What does not matter in a still picture on a screen, such as `:hover`, may be skipped.
"""

import re
from collections.abc import Iterator, Mapping
from xml.etree import ElementTree

from extractors.base import MediaError

_PROPERTIES = (
    "fill|stroke|color|stop-color|flood-color|lighting-color|filter|mask|clip-path|marker(?:-\\w+)?"
)
_UNREAD_VALUE = re.compile(
    r"(?<![-\w])(?:var|calc|oklch|oklab|lab|lch|hwb|color|color-mix|light-dark)\(|rgba?\([^)]*/"
    r"|rebeccapurple"
)
_UNREAD_RULE = re.compile(
    r"@(?:supports|layer|container)|@media|[\w*]\|\w"
    r"|:root\s*\{\s*(?!--|\}|color-scheme)"
    r"|:(?:nth-|not\(|is\(|where\(|has\(|first-of-|last-|only-|empty)"
)
_GEOMETRY = re.compile(r"(?:^|[{;])\s*(cx|cy|r|rx|ry|x|y|d)\s*:")
_SIZE = re.compile(r"(?:^|;)\s*(width|height)\s*:")
_SHAPES = {"rect", "circle", "ellipse", "path", "image"}
_IS_PROPERTY = re.compile(_PROPERTIES)
_REFERENCE = re.compile(r"url\(\s*['\"]?\s*#([^'\")]+)")
_FOREIGN = re.compile(
    rf"(?<![-\w])(?:{_PROPERTIES})\s*:[^;}}]*?url\(\s*['\"]?\s*((?!data:)[^#'\")\s][^'\")]*)"
)
_MEANT_FOR_OTHERS = re.compile(r"\s*icc-color\([^)]*\)|<!--|-->")
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_IDLE_BLOCK = re.compile(  # of what is printed, preferred, or moves
    r"@(?:[-\w]*keyframes|media\s*print|media\s*\(prefers)[^{}]*\{(?:[^{}]*\{[^{}]*\})*[^{}]*\}"
)
_RULE = re.compile(r"([^{}]+)\{([^{}]*)\}")
_ATTRIBUTE = re.compile(r"\[[^\]]*\]")
_LAST_NAME = re.compile(r"([.#]?[^\s>+~.#:*]+)[^\s>+~]*\s*$")


def settle(element: ElementTree.Element, name: str) -> list[str]:
    """Take from an element's style what only other programs read. Returns the files it refers to.

    Args:
        element: The element; changed in place.
        name: Its name without the namespace.

    Raises:
        MediaError: If resvg would draw it in other colours or at another place.
    """
    if name == "style":
        sheet = _COMMENT.sub("", _MEANT_FOR_OTHERS.sub("", element.text or ""))
        element.text = _IDLE_BLOCK.sub("", sheet)
        _refuse(_UNREAD_RULE.search(element.text), _GEOMETRY.search(element.text))
        return _settled(element.text)
    foreign = []
    for key, value in list(element.items()):
        if key == "style" or _IS_PROPERTY.fullmatch(key):
            element.set(key, _MEANT_FOR_OTHERS.sub("", value))
            foreign += _settled(element.get(key, "") if key == "style" else f"{key}:{value}")
    if name in _SHAPES:
        style = element.get("style", "")
        found = (*_GEOMETRY.finditer(style), *_SIZE.finditer(style))
        _refuse(*(match for match in found if match[1] not in element.attrib))
    return foreign


def references_of(value: str) -> list[str]:
    """Return the ids that a property refers to."""
    return [name.strip() for name in _REFERENCE.findall(value)]


class StyleReferences:
    """What the rules of a drawing's style sheets make its elements refer to, and perhaps more.

    Args:
        root: The drawing.
    """

    def __init__(self, root: ElementTree.Element) -> None:
        self._by_selector: dict[str, list[str]] = {}
        sheets = (part.text or "" for part in root.iter() if part.tag.endswith("style"))
        for selectors, body in (rule for sheet in sheets for rule in _RULE.findall(sheet)):
            names = references_of(body)
            for selector in _ATTRIBUTE.sub("", selectors).split(",") if names else ():
                last = _LAST_NAME.search(selector)
                self._by_selector.setdefault(last[1] if last else "*", []).extend(names)

    def of(self, name: str, attributes: Mapping[str, str]) -> Iterator[str]:
        """Yield the ids that an element may refer to; of a selector the last part counts."""
        if self._by_selector:
            classes = (f".{it}" for it in attributes.get("class", "").split())
            for selector in ("*", name, f"#{attributes.get('id')}", *classes):
                yield from self._by_selector.get(selector, ())


def _settled(declarations: str) -> list[str]:
    _refuse(_UNREAD_VALUE.search(declarations))
    return _FOREIGN.findall(declarations)


def _refuse(*found: re.Match[str] | None) -> None:
    for match in filter(None, found):
        raise MediaError(f"an SVG with the style '{match[0].strip()[:40]}', which is not read")
