"""Draws a thing: its shape in its colour, with its marking, two eyes and a shadow."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from extractors.sample.outlines import EYES, HOLES, OUTLINES, Outline
from extractors.sample.vocabulary import COLOURS, Colour
from extractors.sample.world import Thing

SIZE = 96
"""Width and height of a picture, in pixels."""

_CANVAS = 3 * SIZE
"""Width and height of what is drawn, before edges are smoothed by reducing it."""

_WHITE: Colour = (255, 255, 255)
_INK: Colour = (24, 20, 28)


class _Placement:
    """Where a body stands, how large and how far it is turned."""

    def __init__(self, rng: np.random.Generator) -> None:
        turn = np.deg2rad(rng.uniform(-18, 18))
        self.scale = _CANVAS * rng.uniform(0.27, 0.34)
        self._rotation = np.array(
            [[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]], dtype=np.float64
        )
        self._middle = _CANVAS * rng.uniform(0.44, 0.56, size=2)

    def pixels(self, outline: Outline) -> list[tuple[float, float]]:
        """Map an outline to the canvas."""
        return [(x, y) for x, y in outline @ self._rotation * self.scale + self._middle]


def draw_picture(thing: Thing, rng: np.random.Generator) -> Image.Image:
    """Draw a thing: each time turned, lit and set before its ground anew.

    Returns:
        An RGB picture of `SIZE` by `SIZE` pixels.
    """
    shape = thing.traits["shape"]
    colour = _vary(COLOURS[thing.traits["colour"]], 9, rng)
    placement = _Placement(rng)
    outlines = [of_shape[shape] for of_shape in (OUTLINES, HOLES) if shape in of_shape]
    body = Image.new("L", (_CANVAS, _CANVAS))
    for outline, fill in zip(outlines, (255, 0), strict=False):
        ImageDraw.Draw(body).polygon(placement.pixels(outline), fill=fill)
    picture = _draw_ground(body, rng)
    picture.paste(_draw_skin(thing.traits["marking"], colour, placement), mask=body)
    pen = ImageDraw.Draw(picture)
    for outline in outlines:
        closed = placement.pixels(np.concatenate([outline, outline[:2]]))
        pen.line(closed, fill=_blend(colour, _INK, 0.5), width=7, joint="curve")
    _draw_eyes(pen, placement, EYES[shape])
    return _photograph(picture, rng)


def _draw_ground(body: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Draw a pale ground of a random tint, darker below, with the body's shadow on it."""
    tint = _vary((232, 230, 226), 12, rng)
    shades = (_blend(tint, _WHITE, 0.4), _blend(tint, _INK, 0.12))
    ground = _gradient(*shades).copy()
    shadow = body.filter(ImageFilter.GaussianBlur(9)).point(lambda value: value * 0.35)
    moved = Image.new("L", body.size)
    moved.paste(shadow, (10, 14))
    ground.paste(_blend(tint, _INK, 0.75), mask=moved)
    return ground


def _draw_skin(marking: str, colour: Colour, placement: _Placement) -> Image.Image:
    """Draw a canvas of the colour, lit from above, with bands or spots of its paler shade."""
    skin = _gradient(_blend(colour, _WHITE, 0.14), _blend(colour, _INK, 0.14))
    pen = ImageDraw.Draw(skin)
    paler = _blend(colour, _WHITE, 0.5)
    if marking == "striped":
        for x in np.arange(-1.35, 1.4, 0.45):
            band = np.array([(x, -1.5), (x + 0.2, -1.5), (x + 0.2, 1.5), (x, 1.5)])
            pen.polygon(placement.pixels(band), fill=paler)
    elif marking == "spotted":
        rows, columns = np.mgrid[-3:4, -3:4]
        spots = np.stack([columns + 0.5 * (rows % 2), rows], axis=-1).reshape(-1, 2) * 0.42
        for spot in placement.pixels(spots):
            pen.circle(spot, 0.12 * placement.scale, fill=paler)
    return skin


def _draw_eyes(
    pen: ImageDraw.ImageDraw, placement: _Placement, between: tuple[float, float]
) -> None:
    x, y = between
    for eye in placement.pixels(np.array([(x - 0.19, y), (x + 0.19, y)])):
        pen.circle(eye, 0.17 * placement.scale, fill=_WHITE, outline=_INK, width=3)
        pen.circle(eye, 0.08 * placement.scale, fill=_INK)


def _photograph(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Reduce the canvas to a picture, with the grain and the exposure of a camera."""
    small = np.asarray(picture.resize((SIZE, SIZE), Image.Resampling.BOX), dtype=np.float64)
    exposed = small * rng.uniform(0.92, 1.06) + rng.normal(0, 3, size=small.shape)
    return Image.fromarray(np.clip(exposed, 0, 255).astype(np.uint8))


def _gradient(top: Colour, bottom: Colour) -> Image.Image:
    """Fill a canvas from one colour above to another below."""
    share = np.linspace(0, 1, _CANVAS)[:, None]
    column: NDArray[np.float64] = (1 - share) * np.array(top) + share * np.array(bottom)
    rows = np.repeat(column[:, None, :], _CANVAS, axis=1)
    return Image.fromarray(rows.astype(np.uint8))


def _blend(colour: Colour, other: Colour, share: float) -> Colour:
    """Mix a colour with a share of another."""
    red, green, blue = (
        round((1 - share) * a + share * b) for a, b in zip(colour, other, strict=True)
    )
    return red, green, blue


def _vary(colour: Colour, spread: float, rng: np.random.Generator) -> Colour:
    """Shift each channel at random, within the range that a channel has."""
    red, green, blue = np.clip(np.array(colour) + rng.normal(0, spread, size=3), 0, 255).tolist()
    return round(red), round(green), round(blue)
