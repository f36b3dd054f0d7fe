# SPDX-License-Identifier: GPL-2.0
"""Drawing with Pillow: a page, and axes with logarithmic scales on it.

Everything is drawn larger than it is shown and then made smaller, which is what
makes lines smooth. Pillow's own font has no more than ASCII.
"""

import math

from PIL import Image, ImageDraw, ImageFont

OVERSIZE = 3
INK, FAINT, PALE = "#222222", "#777777", "#e4e4e4"
DASHES = {"solid": None, "dashed": (7, 4), "dotted": (1.5, 3)}


class Page:
    """A white page; all measures are in pixels of what comes out."""

    def __init__(self, width, height):
        self.size = width, height
        self.image = Image.new("RGB", (width * OVERSIZE, height * OVERSIZE), "white")
        self.draw = ImageDraw.Draw(self.image)
        self.fonts = {}

    def font(self, size):
        """Pillow's own, in that size."""
        if size not in self.fonts:
            self.fonts[size] = ImageFont.load_default(size * OVERSIZE)
        return self.fonts[size]

    def text(self, at, words, size=13, anchor="la", color=INK):
        """`anchor` is Pillow's: left, middle, right; ascender, middle, bottom."""
        self.draw.text(_scaled(at), words, font=self.font(size), anchor=anchor, fill=color)

    def text_up(self, at, words, size=13, color=INK):
        """Words that run upwards, with their middle at `at`."""
        length = math.ceil(self.font(size).getlength(words)) + 4
        image = Image.new("RGB", (length, size * OVERSIZE * 2), "white")
        ImageDraw.Draw(image).text((2, size * OVERSIZE), words, font=self.font(size), anchor="lm", fill=color)
        image = image.rotate(90, expand=True)
        x, y = _scaled(at)
        self.image.paste(image, (int(x - image.width / 2), int(y - image.height / 2)))

    def line(self, points, color=INK, width=1.0, style="solid"):
        """A line through all points."""
        points = [_scaled(point) for point in points]
        pieces = [points] if DASHES[style] is None else _dashes(points, *DASHES[style])
        for piece in pieces:
            self.draw.line(piece, fill=color, width=max(1, round(width * OVERSIZE)), joint="curve")

    def box(self, left, top, right, bottom, color=INK, fill=None):
        """A rectangle."""
        self.draw.rectangle([_scaled((left, top)), _scaled((right, bottom))], outline=color, fill=fill,
                            width=OVERSIZE)

    def marker(self, at, number, color, radius=3.5):
        """One of some shapes, by number."""
        x, y = _scaled(at)
        r = radius * OVERSIZE
        corners = {1: [(-1, -1), (1, -1), (1, 1), (-1, 1)], 2: [(0, -1.3), (1.2, 0.9), (-1.2, 0.9)],
                   3: [(0, -1.35), (1.35, 0), (0, 1.35), (-1.35, 0)],
                   4: [(0, 1.3), (1.2, -0.9), (-1.2, -0.9)]}.get(number % 5)
        if corners:
            self.draw.polygon([(x + a * r * 0.9, y + b * r * 0.9) for a, b in corners], fill=color)
        else:
            self.draw.ellipse([x - r, y - r, x + r, y + r], fill=color)

    def save(self, path):
        """Write it as PNG."""
        self.image.resize(self.size, Image.LANCZOS).save(path, optimize=True)


def _scaled(point):
    return point[0] * OVERSIZE, point[1] * OVERSIZE


def _dashes(points, on, off):
    """Pieces of a line; the pattern goes on around corners."""
    on, off = on * OVERSIZE, off * OVERSIZE
    pieces, drawing, left = [], True, on
    piece = [points[0]]
    for (x0, y0), (x1, y1) in zip(points, points[1:]):
        length, done = math.hypot(x1 - x0, y1 - y0), 0.0
        while length - done > left:
            done += left
            at = x0 + (x1 - x0) * done / length, y0 + (y1 - y0) * done / length
            if drawing:
                pieces.append(piece + [at])
            drawing, left, piece = not drawing, off if drawing else on, [at]
        left -= length - done
        if drawing:
            piece = piece + [(x1, y1)]
    if drawing and len(piece) > 1:
        pieces.append(piece)
    return pieces


class Axes:
    """A panel with logarithmic scales."""

    LEFT, BOTTOM, TOP = 62, 46, 26

    def __init__(self, page, box, x_range, y_range):
        left, top, right, bottom = box
        self.page = page
        self.left, self.right = left + self.LEFT, right
        self.top, self.bottom = top + self.TOP, bottom - self.BOTTOM
        self.x_range, self.y_range = x_range, y_range

    def at(self, x, y):
        """Where a point lies on the page; one that is out of range lies on the edge."""
        return (self.left + _part(x, self.x_range) * (self.right - self.left),
                self.bottom - _part(y, self.y_range) * (self.bottom - self.top))

    def frame(self, title, x_label, y_label, x_ticks, y_ticks):
        """Everything but the lines. Ticks are pairs of a value and words."""
        page = self.page
        for value, words in x_ticks:
            x, _ = self.at(value, self.y_range[0])
            page.line([(x, self.top), (x, self.bottom)], PALE)
            page.text((x, self.bottom + 6), words, 12, "ma", FAINT)
        for value, words in y_ticks:
            _, y = self.at(self.x_range[0], value)
            page.line([(self.left, y), (self.right, y)], PALE)
            page.text((self.left - 6, y), words, 12, "rm", FAINT)
        page.box(self.left, self.top, self.right, self.bottom, FAINT)
        page.text((self.left, self.top - 7), title, 15, "ls")
        page.text(((self.left + self.right) / 2, self.bottom + 24), x_label, 12, "ma", FAINT)
        if y_label:
            page.text_up((self.left - self.LEFT + 4, (self.top + self.bottom) / 2), y_label, 12, FAINT)

    def series(self, points, color, marker=0, style="solid", width=1.8):
        """A line with a marker at each point."""
        places = [self.at(x, y) for x, y in points]
        if len(places) > 1:
            self.page.line(places, color, width, style)
        for place in places:
            self.page.marker(place, marker, color)

    def level(self, y, color=INK, style="solid", width=1.4):
        """A line from side to side."""
        self.page.line([self.at(self.x_range[0], y), self.at(self.x_range[1], y)], color, width, style)


def _part(value, limits):
    low, high = (math.log(limit) for limit in limits)
    return min(max((math.log(max(value, 1e-300)) - low) / (high - low), 0.0), 1.0)


def decades(low, high):
    """The powers of ten that enclose two numbers."""
    return 10.0 ** math.floor(math.log10(low)), 10.0 ** math.ceil(math.log10(high) + 1e-9)


def decade_ticks(limits, show):
    """A tick at each power of ten between two."""
    first, last = (round(math.log10(limit)) for limit in limits)
    return [(10.0 ** power, show(10.0 ** power)) for power in range(first, last + 1)]
