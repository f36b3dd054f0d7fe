# SPDX-License-Identifier: GPL-2.0
"""Tests of the demo without a VM: above all, that it can fail.

    cd tools/demo && python3 -m unittest discover -s tests
"""

import contextlib
import importlib.util
import io
import os
import struct
import subprocess
import sys
import tempfile
import unittest
import zlib
from importlib.machinery import SourceFileLoader
from pathlib import Path
from unittest import mock

sys.dont_write_bytecode = True
DEMO = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(DEMO))

import picture  # noqa: E402


def load_demo():
    """The demo program as a module."""
    loader = SourceFileLoader("demo", str(DEMO / "demo"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("demo", loader))
    loader.exec_module(module)
    return module


demo = load_demo()


def chunk(kind, content):
    return (struct.pack(">I", len(content)) + kind + content +
            struct.pack(">I", zlib.crc32(kind + content)))


def png(width, height, lines, colour=2, palette=None):
    """A PNG file of lines that are filtered already: (filter, bytes)."""
    raw = b"".join(bytes([kind]) + bytes(line) for kind, line in lines)
    return (picture.SIGNATURE +
            chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)) +
            (chunk(b"PLTE", palette) if palette else b"") +
            chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b""))


def rgb_png(source):
    """A PNG file of a Picture."""
    stride = 3 * source.width
    return png(source.width, source.height,
               [(0, source.rgb[at:at + stride]) for at in range(0, len(source.rgb), stride)])


def some_picture(width=16, height=12):
    return picture.Picture(width, height, bytes(i * 7 % 256 for i in range(3 * width * height)))


def with_pixel(source, x, y, rgb):
    changed = bytearray(source.rgb)
    at = 3 * (y * source.width + x)
    changed[at:at + 3] = rgb
    return picture.Picture(source.width, source.height, changed)


class Decode(unittest.TestCase):
    def test_filters(self):
        """The five line filters, two pixels a line, values worked out by hand."""
        lines = [(0, (10, 20, 30, 40, 50, 60)), (1, (1, 2, 3, 4, 5, 6)),
                 (2, (1, 1, 1, 255, 255, 255)), (3, (1, 1, 1, 1, 1, 1)),
                 (4, (1, 1, 1, 1, 1, 1))]
        expected = [10, 20, 30, 40, 50, 60,
                    1, 2, 3, 5, 7, 9,
                    2, 3, 4, 4, 6, 8,
                    2, 2, 3, 4, 5, 6,
                    3, 3, 4, 5, 6, 7]
        self.assertEqual(list(picture.decode(png(2, 5, lines)).rgb), expected)

    def test_colour_types(self):
        cases = [(0, (7,), (7, 7, 7)), (2, (1, 2, 3), (1, 2, 3)), (3, (1,), (4, 5, 6)),
                 (4, (7, 99), (7, 7, 7)), (6, (1, 2, 3, 99), (1, 2, 3))]
        for colour, line, expected in cases:
            with self.subTest(colour=colour):
                data = png(1, 1, [(0, line)], colour, palette=bytes(range(1, 7)))
                self.assertEqual(tuple(picture.decode(data).rgb), expected)

    def test_damaged_files_are_refused(self):
        good = rgb_png(some_picture())
        self.assertEqual(picture.decode(good).rgb, some_picture().rgb)
        flipped = bytearray(good)
        flipped[60] ^= 1
        for bad in (b"", b"GIF89a", good[:100], bytes(flipped), png(2, 2, [(0, bytes(6))]),
                    png(1, 1, [(9, bytes(3))])):
            with self.assertRaises(picture.PictureError):
                picture.decode(bad)

    def test_checksum_is_of_blue_green_red_255(self):
        self.assertEqual(picture.Picture(1, 1, b"\x01\x02\x03").xrgb_checksum(),
                         zlib.crc32(b"\x03\x02\x01\xff"))


class Compare(unittest.TestCase):
    def test_equal(self):
        self.assertEqual(picture.compare(some_picture(), some_picture()),
                         (True, "192 of 192 pixels equal"))

    def test_one_pixel(self):
        source = some_picture()
        screen = with_pixel(source, 15, 11, b"\1\2\3")
        good, text = picture.compare(screen, source)
        self.assertFalse(good)
        self.assertIn("191 of 192 pixels equal", text)
        self.assertIn("(15, 11): 010203 for", text)

    def test_lowest_bit_of_every_pixel(self):
        source = some_picture()
        screen = picture.Picture(16, 12, bytes(byte ^ 1 for byte in source.rgb))
        good, text = picture.compare(screen, source)
        self.assertFalse(good)
        self.assertIn("0 of 192 pixels equal", text)

    def test_other_size(self):
        self.assertFalse(picture.compare(some_picture(12, 16), some_picture(16, 12))[0])


class Demo(unittest.TestCase):
    """The whole program, with a VM that shows what the test wants."""

    def run_demo(self, screen, checksum=None):
        """Exit status and output for a VM whose screen is as given (None: no screenshot)."""
        source = some_picture()
        with tempfile.TemporaryDirectory() as directory:
            shown, saved = Path(directory, "shown.png"), Path(directory, "demo.png")
            shown.write_bytes(rgb_png(source))
            saved.write_bytes(rgb_png(source))  # of an earlier run

            def run_vm(_command):
                if screen:
                    saved.write_bytes(rgb_png(screen))
                return source.xrgb_checksum() if checksum is None else checksum

            said = io.StringIO()
            with mock.patch.object(demo, "build_samples", lambda: Path(directory)), \
                    mock.patch.object(demo.client, "require"), \
                    mock.patch.object(demo, "run_vm", run_vm), \
                    contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
                status = demo.main(["--picture", str(shown), "--output", str(saved)])
        return status, said.getvalue()

    def test_passes(self):
        status, said = self.run_demo(some_picture())
        self.assertEqual(status, 0, said)
        self.assertIn("192 of 192 pixels equal", said)

    def test_wrong_pixel_on_screen(self):
        status, said = self.run_demo(with_pixel(some_picture(), 3, 4, b"\0\0\0"))
        self.assertEqual(status, 1, said)
        self.assertIn("191 of 192 pixels equal", said)

    def test_wrong_checksum(self):
        status, said = self.run_demo(some_picture(), checksum=1)
        self.assertEqual(status, 1, said)
        self.assertIn("the checksum read in the VM is 00000001", said)

    def test_old_screenshot_does_not_count(self):
        self.assertEqual(self.run_demo(None)[0], 1)

    def test_output_that_cannot_be_written(self):
        """Said before anything is built or booted."""
        with tempfile.TemporaryDirectory() as directory:
            for output, why in ((directory, "is a directory"),
                                (f"{directory}/no/demo.png", "No such file or directory"),
                                ("/proc/demo.png", "No such file or directory|Permission denied")):
                said = io.StringIO()
                with mock.patch.object(demo.client, "require"), contextlib.redirect_stderr(said), \
                        mock.patch.object(demo, "build_samples", self.fail):
                    status = demo.main(["--output", output])
                self.assertEqual(status, 1)
                self.assertRegex(said.getvalue(), f"^demo: the picture cannot be saved as {output}.*({why}).*\n$")

    def test_make_passes_the_path_on(self):
        """Relative to the directory in which make was called, with any characters."""
        top = DEMO.parent.parent
        for directory, words, output in ((top, ["OUTPUT=a b'c.png"], f"{top}: --output a b'c.png"),
                                         (top, [], f"{top}: "),
                                         (Path("/tmp"), ["-C", str(top), "OUTPUT=x.png"], "/tmp: --output x.png"),
                                         (Path("/tmp"), ["-C", str(top)], f"{top}: ")):
            with tempfile.TemporaryDirectory() as made:
                program = Path(made, "tools/demo/demo")
                program.parent.mkdir(parents=True)
                program.write_text("#!/bin/sh\nexec echo \"$PWD: $*\"\n")
                program.chmod(0o755)
                environment = {"PATH": os.environ["PATH"], "PWD": str(directory)}
                done = subprocess.run(["make", "-s", "--no-print-directory", *words, f"here={made}", "demo"],
                                      cwd=directory, env=environment, capture_output=True, text=True, check=False)
            self.assertEqual((done.stdout.strip(), done.stderr), (output.strip(), ""))

    def test_failing_vm(self):
        with contextlib.redirect_stdout(io.StringIO()), self.assertRaises(demo.DemoError):
            demo.run_vm([sys.executable, "-c", "print('vm: no'); raise SystemExit(99)"])

    def test_checksum_is_found(self):
        line = "consumer[7]: read it between START and END: checksum 039bdb6c, as the producer had"
        with contextlib.redirect_stdout(io.StringIO()):
            self.assertEqual(demo.run_vm(["echo", line]), 0x039bdb6c)


if __name__ == "__main__":
    unittest.main()
