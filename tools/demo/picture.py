# SPDX-License-Identifier: GPL-2.0
"""Pictures for the demo: reads PNG files and compares two of them.

A decoder of its own, with nothing but zlib: what the samples decode with
libpng is checked by other code. Covers what screenshots and photos use: 8 bits
a channel, grey, RGB, palette, with or without alpha, not interlaced.
"""

import struct
import sys
import zlib

SIGNATURE = b"\x89PNG\r\n\x1a\n"
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by PNG colour type


class PictureError(Exception):
    """A file that is no picture we can read."""


class Picture:
    """Width, height, and the pixels as rows of RGB bytes, without gaps."""

    def __init__(self, width, height, rgb):
        assert len(rgb) == 3 * width * height
        self.width, self.height, self.rgb = width, height, bytes(rgb)

    @property
    def size(self):
        return f"{self.width}x{self.height}"

    @property
    def pixels(self):
        return self.width * self.height

    def xrgb_checksum(self):
        """CRC-32 of the picture as XRGB8888 in memory: blue, green, red, 255."""
        memory = bytearray(b"\xff") * (4 * self.pixels)
        for channel in range(3):
            memory[2 - channel::4] = self.rgb[channel::3]
        return zlib.crc32(memory)


def chunks(data):
    """The (type, content) chunks of a PNG file, their checksums verified."""
    if not data.startswith(SIGNATURE):
        raise PictureError("not a PNG file")
    at = len(SIGNATURE)
    while at < len(data):
        if at + 12 > len(data):
            raise PictureError("the file ends early")
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 8 + length
        if end + 4 > len(data):
            raise PictureError("the file ends early")
        if zlib.crc32(data[at + 4:end]) != struct.unpack_from(">I", data, end)[0]:
            raise PictureError("a checksum in the file is wrong")
        yield kind, data[at + 8:end]
        at = end + 4


def unfilter(kind, line, above, step):
    """Undoes one of the five PNG line filters, in place."""
    if kind == 1:
        for i in range(step, len(line)):
            line[i] = (line[i] + line[i - step]) & 255
    elif kind == 2:
        for i in range(len(line)):
            line[i] = (line[i] + above[i]) & 255
    elif kind == 3:
        for i in range(len(line)):
            left = line[i - step] if i >= step else 0
            line[i] = (line[i] + (left + above[i]) // 2) & 255
    elif kind == 4:
        for i in range(len(line)):
            left, corner = (line[i - step], above[i - step]) if i >= step else (0, 0)
            up = above[i]
            to_left, to_up = abs(up - corner), abs(left - corner)
            to_corner = abs(left + up - 2 * corner)
            if to_left <= to_up and to_left <= to_corner:
                near = left
            else:
                near = up if to_up <= to_corner else corner
            line[i] = (line[i] + near) & 255
    elif kind != 0:
        raise PictureError(f"unknown line filter {kind}")


def decode(data):
    """The Picture in the bytes of a PNG file; alpha is dropped."""
    header, palette, packed = None, None, []
    for kind, content in chunks(data):
        if kind == b"IHDR":
            header = struct.unpack(">IIBBBBB", content)
        elif kind == b"PLTE":
            palette = content
        elif kind == b"IDAT":
            packed.append(content)
    if header is None:
        raise PictureError("the file has no header")
    width, height, depth, colour, _, _, interlaced = header
    if depth != 8 or interlaced or colour not in CHANNELS:
        raise PictureError("only PNG with 8 bits a channel, not interlaced, is read")

    step = CHANNELS[colour]
    stride = step * width
    try:
        raw = zlib.decompress(b"".join(packed))
    except zlib.error as error:
        raise PictureError(str(error)) from error
    if len(raw) != (1 + stride) * height:
        raise PictureError("the file has too few or too many pixels")
    lines = []
    above = bytearray(stride)
    for at in range(0, len(raw), 1 + stride):
        line = bytearray(raw[at + 1:at + 1 + stride])
        unfilter(raw[at], line, above, step)
        lines.append(line)
        above = line
    samples = b"".join(lines)

    if colour == 3:
        if palette is None:
            raise PictureError("the file has no palette")
        table = [palette[i:i + 3] for i in range(0, len(palette), 3)]
        rgb = b"".join(table[index] for index in samples)
    else:
        rgb = bytearray(3 * width * height)
        for channel in range(3):
            rgb[channel::3] = samples[channel if step > 2 else 0::step]
    return Picture(width, height, rgb)


def read(path):
    """The Picture in a PNG file."""
    with open(path, "rb") as file:
        data = file.read()
    try:
        return decode(data)
    except PictureError as error:
        raise PictureError(f"{path}: {error}") from error


def compare(screen, source):
    """Compares every pixel of the screen; returns (all equal?, a sentence)."""
    if screen.size != source.size:
        return False, f"the screen is {screen.size}, the picture {source.size}: nothing to compare"
    different = [
        at for at in range(0, len(source.rgb), 3)
        if screen.rgb[at:at + 3] != source.rgb[at:at + 3]
    ] if screen.rgb != source.rgb else []
    equal = source.pixels - len(different)
    sentence = f"{equal} of {source.pixels} pixels equal"
    if different:
        y, x = divmod(different[0] // 3, source.width)
        at = different[0]
        sentence += (f", the first that differs at ({x}, {y}): "
                     f"{screen.rgb[at:at + 3].hex()} for {source.rgb[at:at + 3].hex()}")
    return not different, sentence


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: picture.py SCREEN.png SOURCE.png")
    try:
        good, text = compare(read(sys.argv[1]), read(sys.argv[2]))
    except (OSError, PictureError) as problem:
        sys.exit(f"picture: {problem}")
    print(text)
    sys.exit(not good)
