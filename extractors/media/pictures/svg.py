"""SVG drawings, rasterised by resvg.

resvg runs no scripts and uses no network, but it opens the files that a drawing names, and a few
lines can make it draw for hours. So it is given the drawing as rewritten here: references lead to
elements of the drawing or to pictures inside it, and their number is bounded. Filters and patterns
too large for the memory allowed end the process, which is a decoding worker's.
"""

import gzip
import resource
import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes
from xml.etree import ElementTree

from extractors.base import MediaError
from extractors.media.pictures import svg_style
from extractors.media.pictures.svg_expansion import Expansion, local_name, refuse_beyond

if TYPE_CHECKING:
    from PIL import Image

SIDE = 1024
"""Pixels of a drawing's longer side; a drawing has no pixels of its own, icons are often of 16."""

MAX_BYTES = 16 * 2**20
"""Of a drawing, once decompressed."""

MAX_INNER_PIXELS = 2**25
"""Of a picture inside a drawing."""

MAX_MEMORY = 2**31
"""Bytes to draw with: filters and patterns of a few lines can take terabytes."""

_MAX_OCTAVES = "10"  # of noise; further ones are finer than a pixel, and take time without bound
_INNER_FORMATS = ("PNG", "JPEG", "GIF", "WEBP")
_WITH_PICTURES = {"image", "feImage"}
_REFERRING = {
    *_WITH_PICTURES,
    *("use", "tref", "textPath", "pattern", "linearGradient", "radialGradient", "filter"),
}
"""Elements that are drawn by what they refer to."""

_NAMESPACES = {"", "{http://www.w3.org/2000/svg}"}
_PANICS = "pyo3_runtime"  # whose exceptions are no `Exception`
_DPI = 96.0  # of CSS; resvg_py's default takes inches and millimetres for nothing
_FONT = "DejaVu Sans"
_FONT_FILES = "DejaVuSans*.ttf"
_GZIP = b"\x1f\x8b"
_STARTS = (b"<", b"\xef\xbb\xbf<", b"\xff\xfe<\0", b"\xfe\xff\0<", b"\0<", _GZIP)


class NotADrawingError(Exception):
    """A file that is no SVG at all."""


def may_be_drawing(start: bytes) -> bool:
    """Return whether a file that starts like this is XML or compressed."""
    return start.lstrip(b" \t\r\n").startswith(_STARTS)


def read_drawing(path: Path) -> "Image.Image":
    """Rasterise an SVG or SVGZ, told by its content.

    Text is drawn in DejaVu Sans, which comes along, so that every machine draws the same.

    Args:
        path: The file.

    Returns:
        A picture of mode RGBA, `SIDE` pixels on its longer side.

    Raises:
        NotADrawingError: If it is another kind of file.
        MediaError: If it is damaged, refers to other files, or exceeds a limit.
    """
    from PIL import Image

    root = _parse(_read(path))
    texts = _detach(root)
    Expansion(root).check()
    drawn = Image.open(BytesIO(_rasterise(root, texts)), formats=("PNG",))
    drawn.load()
    return drawn


def _rasterise(root: ElementTree.Element, texts: bool) -> bytes:
    """Draw a rewritten SVG as a PNG that just fits a square of `SIDE` pixels."""
    import resvg_py

    fonts = _fonts() if texts else []
    try:
        with _bounded_memory():
            return bytes(
                resvg_py.svg_to_bytes(
                    svg_string=ElementTree.tostring(root, encoding="unicode"),
                    width=SIDE,
                    height=SIDE,
                    dpi=_DPI,
                    skip_system_fonts=True,
                    font_files=fonts,
                    languages=["en"],
                    font_family=_FONT,
                    serif_family=_FONT,
                    sans_serif_family=_FONT,
                    cursive_family=_FONT,
                    fantasy_family=_FONT,
                    monospace_family=_FONT,
                )
            )
    except ValueError as error:
        raise MediaError(f"cannot decode the picture: {error}") from None
    except BaseException as error:
        if type(error).__module__ != _PANICS:
            raise
        raise MediaError("cannot decode the picture: resvg gave up on it") from None


@contextmanager
def _bounded_memory() -> Iterator[None]:
    """Let this process, which ends beyond that, take no more than `MAX_MEMORY` further bytes."""
    found = Path("/proc/self/statm")
    if not found.exists():  # Linux has it
        yield
        return
    before = resource.getrlimit(resource.RLIMIT_AS)
    wanted = int(found.read_text().split()[0]) * resource.getpagesize() + MAX_MEMORY
    allowed = wanted if before[0] == resource.RLIM_INFINITY else min(wanted, before[0])
    resource.setrlimit(resource.RLIMIT_AS, (allowed, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


@lru_cache
def _fonts() -> list[str]:
    """Return the font files that come with matplotlib."""
    found = find_spec("matplotlib")
    if found is None or found.origin is None:
        raise ImportError("matplotlib, whose fonts draw the text of an SVG, is not installed")
    folder = Path(found.origin).parent / "mpl-data" / "fonts" / "ttf"
    return sorted(map(str, folder.glob(_FONT_FILES)))


def _read(path: Path) -> bytes:
    """Read a file, inflated if it is compressed, within bounds."""
    with path.open("rb") as file:
        compressed = file.read(2) == _GZIP
        file.seek(0)
        try:
            content = (gzip.GzipFile(fileobj=file) if compressed else file).read(MAX_BYTES + 1)
        except (EOFError, gzip.BadGzipFile, zlib.error):
            raise MediaError("cannot decode the picture: damaged gzip") from None
    if len(content) > MAX_BYTES:
        raise MediaError(f"XML of more than {MAX_BYTES} bytes")
    return content


class _Builder(ElementTree.TreeBuilder):
    """Builds the tree of an SVG; stops at the first element of anything else."""

    def __init__(self) -> None:
        super().__init__()
        self.depth = self.count = 0

    def start(self, tag: str, attributes: dict[str, str]) -> ElementTree.Element:
        """Open an element."""
        if self.count == 0 and local_name(tag) != "svg":
            raise NotADrawingError
        self.depth += 1
        self.count += 1
        refuse_beyond(self.depth, self.count)
        return super().start(tag, attributes)

    def end(self, tag: str) -> ElementTree.Element:
        """Close an element."""
        self.depth -= 1
        return super().end(tag)


def _parse(content: bytes) -> ElementTree.Element:
    """Parse an SVG. Expat follows no external entity, and bounds what internal ones expand to."""
    builder = _Builder()
    parser = ElementTree.XMLParser(target=builder)  # noqa: S314 - see the docstring
    try:
        parser.feed(content)
        root: ElementTree.Element = parser.close()
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        if builder.count == 0:
            raise NotADrawingError from None
        raise MediaError(f"cannot decode the picture: {error}") from None
    return root


def _detach(root: ElementTree.Element) -> bool:
    """Leave no reference that leads out of the drawing. Returns whether it has text.

    Raises:
        MediaError: If what it refers to would be drawn.
    """
    names = set()
    for element in root.iter():
        name = local_name(element.tag)
        names.add(name)
        drawn = name in _REFERRING and element.tag.removesuffix(name) in _NAMESPACES
        _refuse_foreign(*svg_style.settle(element, name))
        if name == "feTurbulence" and len(element.get("numOctaves", "")) > 1:
            element.set("numOctaves", _MAX_OCTAVES)
        for key, value in list(element.items()):
            if local_name(key) != "href":
                continue
            if not drawn:
                del element.attrib[key]
            elif value.strip().startswith("data:") and name in _WITH_PICTURES:
                element.set(key, _inner_picture(value.strip()))
            elif not value.strip().startswith("#"):
                _refuse_foreign(value.strip())
    return "text" in names


def _refuse_foreign(*targets: str) -> None:
    """Refuse references that are not empty, since they lead out of the drawing."""
    for target in filter(None, targets):
        raise MediaError(
            f"an SVG that refers to '{target[:80]}'; allowed: elements of its own, and "
            f"{', '.join(_INNER_FORMATS)} inside it"
        )


def _inner_picture(uri: str) -> str:
    """Decode a data URI's picture. Returns a URI of the very bytes that were decoded."""
    from PIL import Image

    header, _, data = uri.partition(",")
    content = unquote_to_bytes(data)
    try:
        if header.endswith(";base64"):
            content = b64decode(b"".join(content.split()))
        with Image.open(BytesIO(content), formats=_INNER_FORMATS) as image:
            if image.width * image.height > MAX_INNER_PIXELS:
                raise MediaError(f"an SVG with a picture of more than {MAX_INNER_PIXELS} pixels")
            image.load()
            mime = image.get_format_mimetype()
    except MediaError:
        raise
    except Exception as error:  # plugins raise anything
        raise MediaError("an SVG with a picture inside it that cannot be decoded") from error
    return f"data:{mime};base64,{b64encode(content).decode()}"
