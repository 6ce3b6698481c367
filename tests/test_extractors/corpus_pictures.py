"""The corpus's pictures, and what stands where a picture is listed."""

import gzip
import io
import os
import socket
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from corpus import Case, Encoded, Failed, Make, content, cut, edited, zeroed_middle
from media_files import png_header, sine, write_gray_clip
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from extractors.media.picture import MAX_PIXELS

_HEIGHT, _WIDTH = 48, 64
_UPRIGHT_BY_ORIENTATION = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""How to store an upright picture so that each EXIF orientation makes it upright again."""


def scene() -> NDArray[np.uint8]:
    """Draw a picture that no turn leaves as it is. Shape: (48, 64, 3)."""
    pixels = np.full((_HEIGHT, _WIDTH, 3), 255, dtype=np.uint8)
    pixels[4:20, 4:40] = (200, 30, 40)
    pixels[24:44, 8:16] = (20, 60, 220)
    pixels[30:36, 30:60] = (10, 150, 60)
    pixels[46:, :] = 0
    return pixels


SCENE = Image.fromarray(scene())
GRAY = SCENE.convert("L")
NOISE = Image.fromarray(
    np.random.default_rng(0).integers(0, 255, (_HEIGHT, _WIDTH, 3), dtype=np.uint8)
)
ALPHA = np.tile(np.linspace(0, 255, _WIDTH).astype(np.uint8), (_HEIGHT, 1))
TRANSPARENT_LEVEL = int(np.asarray(GRAY)[10, 10])


def saved(picture: Image.Image, **options: object) -> Make:
    """Return what saves a picture in the format that the file's extension says."""
    return lambda path: picture.save(path, **options)


def saved_as(picture: Image.Image, file_format: str, **options: object) -> Make:
    """Return what saves a picture in a format, whatever the file's extension says."""
    return lambda path: picture.save(path, file_format, **options)


def turned(orientation: int, **options: object) -> Make:
    """Return what saves the scene turned, with the EXIF orientation that undoes it."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = SCENE.transpose(_UPRIGHT_BY_ORIENTATION[orientation])
    return saved(stored, exif=exif, **options)


def on_white(pixels: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> Image.Image:
    """Lay pixels on white. Shapes: (height, width, 3), (height, width)."""
    share = alpha[..., np.newaxis] / 255
    return Image.fromarray(np.rint(pixels * share + 255 * (1 - share)).astype(np.uint8))


def palette_with_alpha(path: Path) -> None:
    """Save the scene by a palette whose every colour is half transparent."""
    picture = SCENE.quantize(16)
    picture.save(path, transparency=bytes([128] * 16))


def gray_without_level() -> Image.Image:
    pixels = np.array(GRAY)
    pixels[pixels == TRANSPARENT_LEVEL] = 255
    return Image.fromarray(pixels)


def png(raw: NDArray[np.generic], depth: int, colour_type: int, *chunks: bytes) -> bytes:
    """Write a PNG by hand. Shape of its samples: (height, width) or (height, width, channels)."""
    header = struct.pack(">IIBBBBB", raw.shape[1], raw.shape[0], depth, colour_type, 0, 0, 0)
    rows = b"".join(b"\0" + row.tobytes() for row in raw)
    parts = [chunk(b"IHDR", header), *chunks, chunk(b"IDAT", zlib.compress(rows))]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts) + chunk(b"IEND", b"")


def chunk(name: bytes, data: bytes) -> bytes:
    """Return one chunk of a PNG."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def wide(pixels: NDArray[np.uint8]) -> NDArray[np.generic]:
    """Widen 8-bit samples to 16 bits, high byte first."""
    return (pixels.astype(np.uint16) * 257).astype(">u2")


def comment(text: str) -> PngInfo:
    """Return a compressed comment for a PNG."""
    info = PngInfo()
    info.add_text("Comment", text, zip=True)
    return info


def insert_chunk(extra: bytes) -> Callable[[bytes], bytes]:
    """Return what puts a chunk behind the header of a PNG."""
    return lambda whole: whole[:33] + extra + whole[33:]


def ico_with_png(inside: bytes) -> bytes:
    """Wrap a PNG as the only picture of an icon, whose header tells nothing of its size."""
    entry = struct.pack("<BBBBHHII", 0, 0, 0, 0, 1, 32, len(inside), 22)
    return struct.pack("<HHH", 0, 1, 1) + entry + inside


def endless_jpeg(path: Path) -> None:
    """Repeat the last pass of a progressive JPEG: 3 MB that take minutes to decode."""
    whole = io.BytesIO()
    Image.new("L", (4000, 4000), 128).save(whole, "JPEG", progressive=True)
    passes = whole.getvalue()[:-2]
    last_pass = passes[passes.rindex(b"\xff\xda") :]
    path.write_bytes(passes + last_pass * 60_000 + b"\xff\xd9")


def enlarge_screen(whole: bytes) -> bytes:
    """Have a GIF claim the largest screen."""
    return whole[:6] + b"\xff" * 4 + whole[10:]


def animated(*, first: Image.Image, **options: object) -> Make:
    """Return what saves a picture followed by another."""
    return saved(first, save_all=True, append_images=[NOISE], **options)


def linked(target: str) -> Make:
    """Return what makes a symbolic link."""
    return lambda path: path.symlink_to(target)


def bound_socket(path: Path) -> None:
    """Make a socket; its path may be too long to be bound directly."""
    with socket.socket(socket.AF_UNIX) as listening:
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            listening.bind(f"/proc/self/fd/{directory}/{path.name}")
        finally:
            os.close(directory)


def with_hole(path: Path) -> None:
    """Make a file of 1 TiB that takes no disk."""
    with path.open("wb") as file:
        file.truncate(2**40)


def in_linked_folder(path: Path) -> None:
    """Save a picture beside the dataset, and link the folder that it is in."""
    outside = path.parents[2].with_name("outside")
    outside.mkdir()
    SCENE.save(outside / path.name)
    path.parent.symlink_to(outside)


def in_subfolder(make: Make) -> Make:
    """Return what makes the folder of a file first."""

    def make_in_subfolder(path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        make(path)

    return make_in_subfolder


def drawing(body: str, attributes: str = 'viewBox="0 0 64 48"') -> str:
    """Return an SVG."""
    links = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    return f"<svg {links} {attributes}>{body}</svg>"


SCENE_DRAWN = drawing(
    '<rect x="4" y="4" width="36" height="16" fill="#c81e28"/>'
    '<rect x="8" y="24" width="8" height="20" fill="#143cdc"/>'
    '<rect x="30" y="30" width="30" height="6" fill="#0a963c"/>'
    '<rect y="46" width="64" height="2"/>'
)
ELSEWHERE = "an SVG that refers to '.*'; allowed: .*"

TOO_LARGE = rf".*larger than {MAX_PIXELS} pixels"
UNKNOWN = "not a picture of a known format"
TRUNCATED = r"cannot decode the picture: image file is truncated.*"
UNDECODABLE = r"cannot decode the picture: \S.*"

REFERENCES = [
    Case("scene.png", Encoded(), saved(SCENE)),
    Case("gray.png", Encoded(), saved(GRAY)),
    Case("white.png", Encoded(), saved(Image.new("RGB", (_WIDTH, _HEIGHT), "white"))),
    Case("lossy.jpg", Encoded("scene.png", 0.2), saved(SCENE, quality=95)),
    Case("faded.png", Encoded(), saved(on_white(scene(), ALPHA))),
    Case("half.png", Encoded(), saved(on_white(scene(), np.full_like(ALPHA, 128)))),
    Case("gray-holes.png", Encoded(), saved(gray_without_level())),
    Case("square.png", Encoded(), saved(Image.new("RGB", (64, 64), "teal"))),
    Case("wide.png", Encoded(), saved(Image.new("RGB", (3000, 20), "teal"))),
    Case("tall.png", Encoded(), saved(Image.new("RGB", (20, 3000), "teal"))),
]

SIZES = [
    Case("1x1.png", Encoded("square.png"), saved(Image.new("RGB", (1, 1), "teal"))),
    Case("30000x20.png", Encoded("wide.png"), saved(Image.new("RGB", (30_000, 20), "teal"))),
    Case("20x30000.png", Encoded("tall.png"), saved(Image.new("RGB", (20, 30_000), "teal"))),
    Case("0x4.png", Failed(UNKNOWN), content(png(np.empty((4, 0, 3), np.uint8), 8, 2))),
    Case("bomb.png", Failed(TOO_LARGE), content(png_header(60_000, 50_000))),
    Case("bomb.gif", Failed(TOO_LARGE), edited(saved(SCENE), enlarge_screen)),
    Case("bomb.ico", Failed(TOO_LARGE), content(ico_with_png(png_header(60_000, 60_000)))),
    Case(
        "bomb-in-a-comment.png",
        Failed("cannot decode the picture: Decompressed data too large.*"),
        edited(saved(SCENE), insert_chunk(chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(10**8))))),
    ),
]

MODES = [
    Case("cmyk.tif", Encoded("scene.png"), saved(SCENE.convert("CMYK"))),
    Case("cmyk.jpg", Encoded("scene.png", 0.1), saved(SCENE.convert("CMYK"), quality=95)),
    Case("ycbcr.tif", Encoded("scene.png", 0.05), saved(SCENE.convert("YCbCr"))),
    Case(
        "gray16.png", Encoded("gray.png"), saved(Image.fromarray(wide(np.array(GRAY)).astype("u2")))
    ),
    Case(
        "gray16.tif", Encoded("gray.png"), saved(Image.fromarray(wide(np.array(GRAY)).astype("u2")))
    ),
    Case("rgb16.png", Encoded("scene.png"), content(png(wide(scene()), 16, 2))),
    Case(
        "gray16-with-a-transparent-level.png",
        Encoded("gray-holes.png"),
        content(
            png(
                wide(np.array(GRAY)),
                16,
                0,
                chunk(b"tRNS", struct.pack(">H", TRANSPARENT_LEVEL * 257)),
            )
        ),
    ),
    Case("gray-float.tif", Encoded("gray.png"), saved(GRAY.convert("F"))),
    Case(
        "gray-int32.tif",
        Encoded("gray.png"),
        saved(Image.fromarray(np.array(GRAY, np.int32) * 257)),
    ),
    Case("bilevel.png", Encoded("white.png"), saved(Image.new("1", (_WIDTH, _HEIGHT), 1))),
    Case("palette.gif", Encoded("scene.png"), saved(SCENE)),
    Case("palette-with-alpha.png", Encoded("half.png", 0.02), palette_with_alpha),
    Case(
        "rgba.png",
        Encoded("faded.png", 0.02),
        saved(Image.fromarray(np.dstack([scene(), ALPHA]))),
    ),
    Case("rgba-of-nothing.png", Encoded("white.png"), saved(Image.new("RGBA", (_WIDTH, _HEIGHT)))),
    Case("gray-with-alpha.png", Encoded("white.png"), saved(Image.new("LA", (_WIDTH, _HEIGHT)))),
    Case(
        "not-a-number.tif",
        Failed("holds pixels that are not finite numbers"),
        saved(Image.fromarray(np.full((8, 8), np.nan, np.float32))),
    ),
    Case(
        "infinite.tif",
        Failed("holds pixels that are not finite numbers"),
        saved(Image.fromarray(np.array([[0, np.inf]], np.float32))),
    ),
]

TURNED = [
    *(
        Case(f"orientation{number}.png", Encoded("scene.png"), turned(number))
        for number in _UPRIGHT_BY_ORIENTATION
    ),
    Case("orientation6.jpg", Encoded("lossy.jpg", 0.1), turned(6, quality=95)),
    Case("orientation8.webp", Encoded("scene.png"), turned(8, lossless=True)),
    Case(
        "damaged-exif.jpg",
        Encoded("lossy.jpg"),
        saved(SCENE, quality=95, exif=b"Exif\x00\x00MM\x00*\xff\xff\xff\xff\x00garbage"),
    ),
]

SEVERAL = [
    Case("animated.gif", Encoded("scene.png"), animated(first=SCENE)),
    Case("animated.png", Encoded("scene.png"), animated(first=SCENE)),
    Case("animated.webp", Encoded("scene.png"), animated(first=SCENE, lossless=True)),
    Case("pages.tif", Encoded("scene.png"), animated(first=SCENE)),
    Case("cut-after-the-first-frame.gif", Encoded("scene.png"), cut(animated(first=SCENE), 0.7)),
]

CONTAINERS = [
    Case("windows.bmp", Encoded("scene.png"), saved(SCENE)),
    Case("targa.tga", Encoded("scene.png"), saved(SCENE)),
    Case("jpeg2000.jp2", Encoded("scene.png"), saved(SCENE)),
    Case("a-png-named.jpg", Encoded("scene.png"), saved_as(SCENE, "PNG")),
    Case("no-extension", Encoded("scene.png"), saved_as(SCENE, "PNG")),
    Case(
        "junk-behind.png",
        Encoded("scene.png"),
        edited(saved(SCENE), lambda whole: whole + b"junk" * 999),
    ),
    Case("no-end.png", Encoded("scene.png"), edited(saved(SCENE), lambda whole: whole[:-12])),
    Case(
        "with-text.png",
        Encoded("scene.png"),
        saved(SCENE, pnginfo=comment("ein Bild" * 99)),
    ),
]

DAMAGED = [
    *(
        Case(f"cut.{suffix}", Failed(TRUNCATED), cut(saved(NOISE)))
        for suffix in ("png", "jpg", "gif", "bmp")
    ),
    Case("cut.tif", Failed(UNDECODABLE), cut(saved(NOISE))),
    Case("cut.webp", Failed(UNDECODABLE), cut(saved(NOISE))),
    Case("cut.jp2", Failed(UNDECODABLE), cut(saved(NOISE))),
    Case("zeros-inside.png", Failed(UNDECODABLE), edited(saved(NOISE), zeroed_middle(100))),
    Case("no-palette.png", Failed(UNDECODABLE), content(png(np.zeros((4, 4), np.uint8), 8, 3))),
    Case("signature.png", Failed(UNKNOWN), content(b"\x89PNG\r\n\x1a\n")),
    Case("endless.jpg", Failed("not decoded within .* s"), endless_jpeg),
]

DRAWINGS = [
    Case("drawing.svg", Encoded("scene.png", 0.15), content(SCENE_DRAWN)),
    Case("drawing.svgz", Encoded("drawing.svg"), content(gzip.compress(SCENE_DRAWN.encode()))),
    Case("drawing.png", Encoded("drawing.svg"), content("<!-- -->" + SCENE_DRAWN)),
    Case("empty.svg", Encoded("white.png"), content(drawing(""))),
    Case("link-out.svg", Failed(ELSEWHERE), content(drawing('<image href="scene.png"/>'))),
    Case("cut.svg", Failed(UNDECODABLE), content(SCENE_DRAWN[:200])),
    Case("no-size.svg", Failed(UNDECODABLE), content(drawing("", 'width="0" height="9"'))),
]

NO_PICTURES = [
    Case("empty.png", Failed(UNKNOWN), content(b"")),
    Case("text.png", Failed(UNKNOWN), content("I am no picture")),
    Case("error-page.jpg", Failed(UNKNOWN), content("<!doctype html><title>404</title>")),
    Case("page.html", Failed(UNKNOWN), content("<html><body>" + drawing("") + "</body></html>")),
    Case("script.eps", Failed(UNKNOWN), content("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9")),
    Case("zeros.png", Failed(UNKNOWN), content(bytes(4096))),
    Case("a-clip.mp4", Failed(UNKNOWN), lambda path: write_gray_clip(path, [10, 20])),
    Case("samples.png", Failed(UNKNOWN), content(sine(440, 1, 16_000).tobytes())),
]

PATHS = [
    Case("absent.png", Failed("absent"), lambda path: None),
    Case("folder.png", Failed("a directory, not a file"), Path.mkdir),
    Case("fifo.png", Failed("a FIFO, not a file"), os.mkfifo),
    Case("socket.png", Failed("a socket, not a file"), bound_socket),
    Case("1-tib.png", Failed("1099511627776 bytes; allowed: at most 68719476736"), with_hole),
    Case("link.png", Encoded("scene.png"), linked("scene.png")),
    Case(
        "link-out.png",
        Failed("a symbolic link that leaves the dataset's folder"),
        linked("/etc/hosts"),
    ),
    Case(
        "link-to-zeros.png",
        Failed("a symbolic link that leaves the dataset's folder"),
        linked("/dev/zero"),
    ),
    Case("link-to-fifo.png", Failed("a FIFO, not a file"), linked("fifo.png")),
    Case("link-to-nothing.png", Failed("absent"), linked("nothing.png")),
    Case(
        "link-to-itself.png",
        Failed("cannot be read: Too many.*links"),
        linked("link-to-itself.png"),
    ),
    Case(
        "out/linked.png", Failed("its folder is a symbolic link that leaves .*"), in_linked_folder
    ),
    Case("scene.png/inside.png", Failed("cannot be read: Not a directory"), lambda path: None),
    Case(f"{'x' * 300}.png", Failed("cannot be read: File name too long"), lambda path: None),
    Case("name with spaces, ümläute, 狐 and\na line break.png", Encoded("scene.png"), saved(SCENE)),
    Case("deep/er/scene.png", Encoded("scene.png"), in_subfolder(saved(SCENE))),
]


PICTURES = [
    *REFERENCES,
    *SIZES,
    *MODES,
    *TURNED,
    *SEVERAL,
    *CONTAINERS,
    *DAMAGED,
    *DRAWINGS,
    *NO_PICTURES,
    *PATHS,
]
