"""SVG: drawn as a browser draws it as a picture, from itself alone, within bounds."""

import gzip
import io
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

import pytest
from corpus_pictures import drawing
from media_files import draw_picture, png_header
from PIL import Image

from extractors.base import MediaError
from extractors.image_clip import central_box
from extractors.loading import Failure
from extractors.media.picture import read_picture
from extractors.media.pictures.svg import MAX_BYTES, SIDE
from extractors.media.pictures.svg_expansion import MAX_DEPTH, MAX_ELEMENTS
from extractors.media.scaling import Scaling
from extractors.thumbnail import Copier, copy_picture
from storage.files.file_access import FileSignature, ListedFile

RED, WHITE = (255, 0, 0), (255, 255, 255)
FILLED = '<rect width="100%" height="100%" fill="red"/>'
UNFILLED = FILLED.replace('fill="red"', "")
RED_PNG = io.BytesIO()
Image.new("RGB", (4, 2), "red").save(RED_PNG, "PNG")


def read(folder: Path, content: str | bytes) -> Image.Image:
    path = folder / "picture"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_picture(path)


def middle(picture: Image.Image) -> object:
    return picture.getpixel((picture.width // 2, picture.height // 2))


def data_uri(content: bytes, mime: str = "image/png") -> str:
    return f"data:{mime};base64,{b64encode(content).decode()}"


@pytest.mark.parametrize(
    ("attributes", "size"),
    [
        ('width="40" height="20"', (SIDE, SIDE // 2)),
        ('width="2in" height="4in"', (SIDE // 2, SIDE)),
        ('viewBox="0 0 16 16"', (SIDE, SIDE)),
        ('width="100%" height="100%" viewBox="0 0 4 1"', (SIDE, SIDE // 4)),
        ('width="1e9" height="1e9"', (SIDE, SIDE)),
        ('viewBox="0 0 1000000 1"', (SIDE, 1)),
    ],
)
def test_the_longer_side_has_one_length(
    tmp_path: Path, attributes: str, size: tuple[int, int]
) -> None:
    picture = read(tmp_path, drawing(FILLED, attributes))
    assert (picture.mode, picture.size, middle(picture)) == ("RGB", size, RED)


@pytest.mark.parametrize(
    "content",
    [
        drawing(FILLED).encode("utf-8-sig"),
        f'<?xml version="1.0" encoding="UTF-16"?>{drawing(FILLED)}'.encode("utf-16"),
        f'<?xml version="1.0" encoding="ISO-8859-1"?>{drawing(FILLED + "<desc>é</desc>")}'.encode(
            "latin-1"
        ),
        b'\n <!-- --> <!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://localhost:1/svg.dtd">'
        + drawing(FILLED).encode(),
        b'<!DOCTYPE svg [<!ENTITY colour "red">]>'
        + drawing(FILLED.replace("red", "&colour;")).encode(),
        gzip.compress(drawing(FILLED).encode(), mtime=0),
        FILLED.join(("<svg width='9' height='9'>", "</svg>")).encode(),
    ],
    ids=["mark", "UTF-16", "Latin-1", "prologue", "entity", "gzip", "no namespace"],
)
def test_it_is_told_by_its_content(tmp_path: Path, content: bytes) -> None:
    assert middle(read(tmp_path, content)) == RED


@pytest.mark.parametrize(
    "content",
    [
        f"<html><body>{drawing(FILLED)}</body></html>",
        f"<!doctype html><p>{drawing(FILLED)}",
        '<kml xmlns="http://www.opengis.net/kml/2.2"/>',
        "< is less",
        gzip.compress(b"an archive" * 99, mtime=0),
    ],
)
def test_other_text_is_no_picture(tmp_path: Path, content: str | bytes) -> None:
    with pytest.raises(MediaError, match="not a picture of a known format"):
        read(tmp_path, content)


@pytest.mark.parametrize(
    ("body", "colour"),
    [
        ('<rect width="1" height="1"/>', WHITE),
        ('<rect width="64" height="48" fill="red" opacity="0.5"/>', (255, 127, 127)),
        (f"<script>document.rootElement.remove()</script>{FILLED}", RED),
        (FILLED.replace("/>", '><set attributeName="fill" to="blue"/></rect>'), RED),
        (f"<style>@import url(/etc/a.css); rect {{fill: red}}</style>{UNFILLED}", RED),
        ('<path d="M0 0h64v48" stroke="red" stroke-width="1in"/>', RED),
        (f'<image href="{data_uri(RED_PNG.getvalue())}" width="64" height="48"/>', RED),
        (f'<a href="https://example.org/">{FILLED}</a>', RED),
        (f'<g id="r">{FILLED}</g><g id="a"><use xlink:href="#a"/></g>', RED),
        ('<text y="90" font-size="120" font-family="Times" fill="red">██</text>', RED),
    ],
    ids=[
        "empty",
        "alpha",
        "script",
        "animation",
        "style",
        "inches",
        "data",
        "link",
        "circle",
        "text",
    ],
)
def test_it_is_drawn_as_a_still_picture_on_white(
    tmp_path: Path, body: str, colour: tuple[int, ...]
) -> None:
    assert middle(read(tmp_path, drawing(body))) == pytest.approx(colour, abs=1)


@pytest.mark.parametrize("attribute", ["href", "xlink:href"])
@pytest.mark.parametrize("element", ["image", "feImage", "use", "tref", "pattern"])
@pytest.mark.parametrize("where", ["{}", "red.png", "file://{}", "http://localhost:1/a.png"])
def test_what_lies_elsewhere_is_not_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, attribute: str, element: str, where: str
) -> None:
    monkeypatch.chdir(tmp_path)
    target = where.format(draw_picture(tmp_path / "red.png", "red", "rectangle"))
    body = f'<{element} {attribute}="{target}" width="64" height="48"/>'
    with pytest.raises(
        MediaError, match=r"an SVG that refers to '.*'; allowed: elements of its own"
    ):
        read(tmp_path, drawing(body))


@pytest.mark.parametrize(
    "content",
    [
        '<!DOCTYPE svg [<!ENTITY x "/etc/passwd">]>' + drawing('<image href="&x;"/>'),
        '<!DOCTYPE svg [<!ENTITY x SYSTEM "/etc/passwd">]>' + drawing("<text>&x;</text>"),
        drawing('<rect width="9" height="9" fill="url(other.svg#a) red"/>'),
        drawing(f'<image href="{data_uri(drawing(FILLED).encode(), "image/svg+xml")}"/>'),
        drawing(f'<image href="{data_uri(drawing(FILLED).encode())}"/>'),
        drawing(f'<image href="{data_uri(png_header(60_000, 60_000))}"/>'),
        drawing(f'<image href="{data_uri(RED_PNG.getvalue()[:40])}"/>'),
        drawing('<image href="data:,"/>'),
    ],
)
def test_what_cannot_be_drawn_whole_is_refused(tmp_path: Path, content: str) -> None:
    with pytest.raises(MediaError):
        read(tmp_path, content)


DOCTYPE = "<!DOCTYPE svg [<!ENTITY i 'urn:i'>]>"


@pytest.mark.parametrize(
    "body",
    [
        FILLED.replace('fill="red"', 'style="cursor: url(a.cur); fill: red"'),
        FILLED.replace('fill="red"', 'fill="#f00 icc-color(a, 1, 0, 0)"'),
        f'{FILLED}<color-profile xlink:href="a.icc"/><font-face-uri xlink:href="a.svg#b"/>',
        f'{FILLED}<animate xlink:href="http://localhost:1/a.svg#b"/><video href="a.mp4"/>',
        f"<style><![CDATA[<!-- rect {{fill: red}} -->]]></style>{UNFILLED}",
        f"<style>@media (prefers-color-scheme: dark) {{:root {{fill: blue}}}}</style>{FILLED}",
        f"<style>@keyframes a {{from {{r: 1px}} to {{x: 2px}}}} rect:hover {{fill: blue}}</style>"
        f"{FILLED}",
        f"<i:pgf i:style='var(--a)'/><g data-a='url(a.png)'>{FILLED}</g>",
    ],
)
def test_what_does_not_show_does_not_matter(tmp_path: Path, body: str) -> None:
    content = drawing(body, 'xmlns:i="&i;" width="64" height="48"')
    assert middle(read(tmp_path, DOCTYPE + content)) == RED


@pytest.mark.parametrize(
    "style",
    [
        *("fill: var(--a, red)", "fill: rgb(255 0 0 / 50%)", "fill: oklch(62% 0.25 29)"),
        *("fill: light-dark(red, blue)", "fill: rebeccapurple", "stop-color: color(srgb 1 0 0)"),
    ],
)
def test_colours_that_would_become_black_are_refused(tmp_path: Path, style: str) -> None:
    name, _, value = style.partition(": ")
    for part in (f'{name}="{value}"', f'style="{style}"'):
        with pytest.raises(MediaError, match=r"an SVG with the style .*, which is not read"):
            read(tmp_path, drawing(f"<g {part}>{UNFILLED}</g>"))
    with pytest.raises(MediaError, match=r"an SVG with the style .*, which is not read"):
        read(tmp_path, drawing(f"<style>rect {{{style}}}</style>{UNFILLED}"))


@pytest.mark.parametrize(
    "sheet",
    [
        *("@media screen {rect {fill: red}}", "@supports (fill: red) {rect {fill: red}}"),
        *("rect:nth-child(2) {fill: red}", "rect:not(.a) {fill: red}", ":root {fill: red}"),
        *("svg|rect {fill: red}", "rect {fill: red; x: 5px}", "circle {r: 5px}"),
        *("rect {fill: url(other.svg#a)}", "rect {mask: url('other.svg#a')}"),
    ],
)
def test_rules_that_would_be_skipped_are_refused(tmp_path: Path, sheet: str) -> None:
    with pytest.raises(MediaError, match=r"an SVG (with the style|that refers to)"):
        read(tmp_path, drawing(f"<style>{sheet}</style>{UNFILLED}"))


def test_a_size_of_css_is_refused_where_it_is_the_only_one(tmp_path: Path) -> None:
    sized = '<rect style="width: 64px; height: 48px; fill: red"'
    with pytest.raises(MediaError, match="'width:', which is not read"):
        read(tmp_path, drawing(f"{sized}/>"))
    assert middle(read(tmp_path, drawing(f'{sized} width="64" height="48"/>'))) == RED


def used_by_tens(levels: int) -> str:
    uses = [f"<use href='#a{level}'/>" * 10 for level in range(levels)]
    groups = "".join(f"<g id='a{level + 1}'>{tens}</g>" for level, tens in enumerate(uses))
    return drawing(f"<rect id='a0' width='9' height='9'/>{groups}")


def patterns_by_tens(levels: int) -> str:
    fills = [f"<rect width='1' height='1' fill='url(#p{n + 1})'/>" * 10 for n in range(levels)]
    return drawing("".join(f"<pattern id='p{n}'>{tens}</pattern>" for n, tens in enumerate(fills)))


def nested_by_style(levels: int, property_name: str, element: str) -> str:
    """Refer from each mask or pattern to the next, by the last part of selectors of every kind."""
    selectors = [".a{0}", "#r{0}", "g > .b.a{0}", "rect[class='b  a{0}']#r{0}"]
    rules = [
        f"{selectors[n % 4].format(n)} {{{property_name}: url( '#p{n + 1} ' )}}"
        for n in range(levels)
    ]
    parts = "".join(
        f"<{element} id='p{n}'><rect id='r{n}' class='b a{n}' width='1' height='1'/></{element}>"
        for n in range(levels)
    )
    return drawing(f"<style>{''.join(rules)}</style>{parts}")


def markers(num_vertices: int) -> str:
    marker = f'<marker id="m">{FILLED * 100}</marker>'
    path = f'<path d="M0 0{"h1" * num_vertices}" style="marker-mid: url(#m)"/>'
    return drawing(marker + path)


ENTITIES = "".join(
    f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)
TOO_MANY, TOO_DEEP = f"more than {MAX_ELEMENTS} elements", f"more than {MAX_DEPTH} elements inside"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (lambda: drawing("<g/>" * MAX_ELEMENTS), TOO_MANY),
        (lambda: used_by_tens(8), TOO_MANY),
        (lambda: patterns_by_tens(8), TOO_MANY),
        (lambda: markers(100_000), TOO_MANY),
        (lambda: nested_by_style(200, "mask", "mask"), TOO_DEEP),
        (lambda: nested_by_style(200, "fill", "pattern"), TOO_DEEP),
        (lambda: used_by_tens(8).replace("</svg>", "<g id='a7'/><g id='a6'/></svg>"), TOO_MANY),
        (lambda: drawing("<g>" * 50_000 + "</g>" * 50_000), TOO_DEEP),
        (lambda: drawing(" " * MAX_BYTES), f"more than {MAX_BYTES} bytes"),
        (
            lambda: gzip.compress(b"<svg>" + bytes(MAX_BYTES * 4), mtime=0),
            f"more than {MAX_BYTES} bytes",
        ),
        (lambda: f'<!DOCTYPE svg [<!ENTITY a "lol">{ENTITIES}]>{drawing("&i;")}', "amplification"),
    ],
    ids=[
        *("many", "uses", "patterns", "markers", "masks by style", "patterns by style"),
        *("ids that occur twice", "deep", "bytes", "gzip", "entities"),
    ],
)
def test_what_draws_without_end_is_refused(
    tmp_path: Path, content: Callable[[], str | bytes], reason: str
) -> None:
    with pytest.raises(MediaError, match=reason):
        read(tmp_path, content())


def test_a_pattern_of_terabytes_ends_its_own_process(tmp_path: Path) -> None:
    pattern = '<pattern id="p" patternUnits="userSpaceOnUse" width="30000" height="30000">'
    (tmp_path / "a.svg").write_text(
        drawing(f'{pattern}{FILLED}</pattern><rect width="9" height="9" fill="url(#p)"/>')
    )
    with Copier("image", timeout_seconds=20) as copier:
        listed = ListedFile(str(tmp_path), "a.svg", FileSignature.at(tmp_path / "a.svg"))
        found = copier.copy(listed)
    assert isinstance(found, Failure)
    assert found.reason.startswith("crashed the decoder")


def test_what_makes_resvg_panic_is_a_failure(tmp_path: Path) -> None:
    dashes = '<circle r="1e9" stroke="red" stroke-dasharray="1e-9"/>'
    with pytest.raises(MediaError, match="resvg gave up on it"):
        read(tmp_path, drawing(dashes, 'viewBox="0 0 1e-9 1e-9"'))


def test_noise_without_end_ends(tmp_path: Path) -> None:
    noise = '<filter id="f"><feTurbulence baseFrequency="0.05" numOctaves="999999"/></filter>'
    read(tmp_path, drawing(noise + '<rect width="4" height="4" filter="url(#f)"/>'))


def test_backbones_and_small_copies_get_their_sizes(tmp_path: Path) -> None:
    picture = read(tmp_path, drawing(FILLED, 'viewBox="0 0 300 1"'))
    pixels = Scaling(size=224).apply(picture.crop(central_box(*picture.size)))
    assert pixels.shape == (3, 224, 224)
    copy = copy_picture(tmp_path / "picture")
    assert max(Image.open(io.BytesIO(copy.content)).size) == 128
