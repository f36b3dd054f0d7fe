# SPDX-License-Identifier: GPL-2.0
"""Which programs are made again: those of other contents, whatever the times of the files say."""

import os
import shutil
import tempfile
import unittest
import unittest.mock
from pathlib import Path

from checklib import build
from checklib.build import client


class Programs(unittest.TestCase):
    """Folders of checkouts whose selftests have a few files, all of one age, with a make that copies them."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.addCleanup(build.programs.cache_clear)
        self.top = Path(folder.name)
        (self.top / "uapi").mkdir()

    def checkout(self, name, **contents):
        """The selftests of a checkout with these contents."""
        selftests = self.top / name
        selftests.mkdir(exist_ok=True)
        for stem, text in {"Makefile": "all:", "test.h": "", **contents}.items():
            path = selftests / (stem if "." in stem or stem == "Makefile" else f"{stem}.c")
            path.write_text(text)
            os.utime(path, (1, 1))
        return selftests

    def programs(self, selftests, interrupted=False):
        """The programs of a checkout by name, and which of them were made just now."""
        made = []
        own = client.folder("check", self.top / "cache", selftests)

        def make(command):
            if self.top / "samples" in command:
                return
            folder = next(Path(str(word)[len("OUTPUT="):]) for word in command if str(word).startswith("OUTPUT="))
            if selftests not in command:
                (folder / "udmabuf").touch()
                return
            for source in selftests.glob("*.c"):
                program = folder / source.stem
                if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
                    shutil.copy(source, program)
                    made.append(source.stem)

        with unittest.mock.patch.multiple(build, in_root=make, SELFTESTS=selftests, CHECKOUT=self.top,
                                          cache_folder=lambda: own, facts=lambda _kernel: (Path("/src"), "")):
            build.programs.cache_clear()
            folder = build.programs()
        if interrupted:
            (folder / ".building").touch()
        return {source.stem: (folder / source.stem).read_text() for source in selftests.glob("*.c")}, sorted(made)

    def test_each_checkout_has_its_own(self):
        first, second = self.checkout("first", a="old"), self.checkout("second", a="new")
        self.assertEqual(({"a": "old"}, ["a"]), self.programs(first))
        self.assertEqual(({"a": "new"}, ["a"]), self.programs(second))
        self.assertEqual(({"a": "old"}, []), self.programs(first))

    def test_content_of_a_program(self):
        self.programs(self.checkout("x", a="1", b="1"))
        self.assertEqual(({"a": "2", "b": "1"}, ["a"]), self.programs(self.checkout("x", a="2", b="1")))

    def test_content_of_a_header(self):
        self.programs(self.checkout("x", a="1", b="1"))
        self.assertEqual(["a", "b"], self.programs(self.checkout("x", a="1", b="1", **{"test.h": "2"}))[1])

    def test_interrupted(self):
        self.programs(self.checkout("x", a="1"), interrupted=True)
        self.assertEqual(["a"], self.programs(self.checkout("x", a="1"))[1])

    def test_folders_do_not_pile_up(self):
        """One a checkout and machine, and none for a checkout that is gone."""
        gone, here = self.checkout("gone", a="1"), self.checkout("here", a="1")
        self.programs(gone)
        shutil.rmtree(gone)
        for text in ("1", "2", "3"):
            self.programs(self.checkout("here", a=text))
        self.assertEqual([client.folder("check", self.top / "cache", here)], list((self.top / "cache/check").iterdir()))
        self.assertEqual(1, len(list((self.top / "cache/check").glob("*/programs-*/"))))


if __name__ == "__main__":
    unittest.main()
