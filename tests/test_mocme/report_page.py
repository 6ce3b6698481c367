"""A report's page, taken apart without a browser."""

import re
from base64 import b64decode
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

VOID = {"meta", "link", "img", "input", "br", "hr"}
_DATA_URI = re.compile(r"data:(\w+/\w+);base64,([A-Za-z0-9+/=]+)")


@dataclass
class Element:
    """An element, and the text right within it."""

    tag: str
    attributes: dict[str, str | None]
    text: str = ""


@dataclass
class ParsedPage(HTMLParser):
    """Elements of a page in their order; tags that do not match are an error."""

    elements: list[Element] = field(default_factory=list)
    text: str = ""

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._open: list[Element] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(Element(tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(self.elements[-1])

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(Element(tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop().tag == tag, self.getpos()

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._open:
            self._open[-1].text += data

    def all(self, tag: str) -> list[Element]:
        return [element for element in self.elements if element.tag == tag]

    def texts(self, tag: str) -> list[str]:
        return [element.text.strip() for element in self.all(tag)]


def parse(html: str) -> ParsedPage:
    page = ParsedPage()
    page.feed(html)
    page.close()
    assert not page._open, page._open
    return page


def media_of(html: str) -> list[tuple[str, bytes]]:
    """Return type and bytes of all media in a page."""
    return [(mime, b64decode(content, validate=True)) for mime, content in _DATA_URI.findall(html)]


def whole_folder(run_dir: Path) -> dict[str, bytes]:
    """Return what a report has left in a run's folder."""
    files = [run_dir / "report.html", *sorted((run_dir / "report").iterdir())]
    return {path.name: path.read_bytes() for path in files}
