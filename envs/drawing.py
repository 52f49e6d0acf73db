"""The transcript as a picture, drawn with Pillow: customer and world on the left, the agent on the right."""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from .blocks import Block, wrap

WIDTH, HEIGHT = 960, 720
HEADER = 48
MARGIN, GAP = 20, 10
LABEL = 18
INDENT = 8
"""Pixels of a leading space: Pillow's own font is proportional, and its spaces are too narrow to indent JSON."""
PAD_X, PAD_Y = 14, 9
MAX_ROWS = 26
"""The rows of one bubble; what is longer ends in dots."""
MAX_CHARS = 4000
BACKGROUND, BAR, PALE, FAINT = "#eef1f5", "#1f2937", "#f9fafb", "#6b7280"


class Look(NamedTuple):
    """How a speaker's bubble is drawn; `at` is 0 for left, 1 for right."""

    at: float
    share: float
    size: int
    fill: str
    edge: str
    ink: str


LOOKS = {
    "customer": Look(0.0, 0.66, 17, "#ffffff", "#d5dae1", "#111827"),
    "agent": Look(1.0, 0.74, 16, "#dbeafe", "#b6d3fb", "#1e3a8a"),
    "world": Look(0.0, 0.86, 15, "#fef6d8", "#f0dfa0", "#713f12"),
    "system": Look(0.5, 0.90, 13, BACKGROUND, BACKGROUND, FAINT),
}


class Bubble(NamedTuple):
    """A block, measured and ready to be drawn."""

    who: str
    rows: list[str]
    width: int
    height: int


def picture(blocks: Sequence[Block], title: str, caption: str) -> npt.NDArray[np.uint8]:
    """The newest blocks that fit, in order, under a header."""
    image = Image.new("RGB", (WIDTH, HEIGHT), BACKGROUND)
    canvas = ImageDraw.Draw(image)
    bubbles, height = _newest(blocks)
    # A short conversation begins at the top; a long one ends at the bottom and scrolls off under the header.
    top = min(HEADER + GAP, HEIGHT - height)
    for index, bubble in enumerate(bubbles):
        named = index == 0 or bubbles[index - 1].who != bubble.who
        top += _draw(canvas, bubble, top, named)
    _header(canvas, title, caption)
    return np.asarray(image).copy()


def _newest(blocks: Sequence[Block]) -> tuple[list[Bubble], int]:
    """The last bubbles that fill the picture, and the height they take."""
    bubbles: list[Bubble] = []
    height = 0
    for block in reversed(blocks):
        if height > HEIGHT - HEADER:
            break
        bubbles.insert(0, _bubble(block))
        height += bubbles[0].height
    return bubbles, height


def _bubble(block: Block) -> Bubble:
    look = LOOKS[block.who]
    room = WIDTH * look.share - 2 * (MARGIN + PAD_X)
    rows = wrap(drawable(block.text[:MAX_CHARS]), room, lambda text: _measure(text, look.size))
    if len(rows) > MAX_ROWS:
        rows = [*rows[: MAX_ROWS - 1], "..."]
    width = int(max(_measure(row, look.size) for row in rows)) + 2 * PAD_X
    return Bubble(block.who, rows, width, LABEL + len(rows) * _pitch(look) + 2 * PAD_Y + GAP)


def _draw(canvas: ImageDraw.ImageDraw, bubble: Bubble, top: int, named: bool) -> int:
    """Draw one bubble with its speaker's name above it; the height that it took is returned."""
    look = LOOKS[bubble.who]
    left = int(MARGIN + look.at * (WIDTH - 2 * MARGIN - bubble.width))
    body = top + LABEL
    bottom = top + bubble.height - GAP
    canvas.rounded_rectangle((left, body, left + bubble.width, bottom), 12, look.fill, look.edge)
    if named and bubble.who != "system":
        font = _font(13)
        x = left + 4 + look.at * (bubble.width - 8 - font.getlength(bubble.who))
        canvas.text((x, top + 1), bubble.who, FAINT, font)
    for number, row in enumerate(bubble.rows):
        indent = _indent(row)
        place = (left + PAD_X + indent * INDENT, body + PAD_Y + number * _pitch(look))
        canvas.text(place, row[indent:], look.ink, _font(look.size))
    return bubble.height


def _header(canvas: ImageDraw.ImageDraw, title: str, caption: str) -> None:
    canvas.rectangle((0, 0, WIDTH, HEADER), BAR)
    canvas.text((MARGIN, HEADER / 2), drawable(title), PALE, _font(20), anchor="lm")
    canvas.text((WIDTH - MARGIN, HEADER / 2), drawable(caption), "#cbd5e1", _font(15), anchor="rm")


def _measure(text: str, size: int) -> float:
    indent = _indent(text)
    return indent * INDENT + _font(size).getlength(text[indent:])


def _indent(text: str) -> int:
    return len(text) - len(text.lstrip(" "))


def _pitch(look: Look) -> int:
    """From one row to the next."""
    return look.size + 6


@functools.cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)
    return font


def drawable(text: str) -> str:
    """A text of characters that Pillow's own font has; accents are dropped, and what is left over becomes a box."""
    return text if text.isascii() else "".join(map(_drawable, text))


@functools.lru_cache(maxsize=4096)
def _drawable(mark: str) -> str:
    spelt = _SPELT.get(ord(mark), mark)
    plain = "".join(part for part in unicodedata.normalize("NFKD", spelt) if part in _KNOWN)
    return spelt if spelt in _KNOWN else plain or "\N{REPLACEMENT CHARACTER}"


_KNOWN = frozenset(map(chr, range(32, 127))) | frozenset("\n\u2018\u2019\u201c\u201d\u2026")
_SPELT = {0x2013: "-", 0x2014: "-", 0x2192: "->", 0x20AC: "EUR ", 0xA3: "GBP ", 0xD7: "x", 0xDF: "ss"}
_SPELT |= {0xE6: "ae", 0xC6: "AE", 0xF8: "o", 0xD8: "O", 0x142: "l", 0x141: "L", 0x111: "d", 0x110: "D"}
