# SPDX-License-Identifier: GPL-2.0
"""Tests of lint: which files it looks at, with git and without.

    cd tools/lint && python3 -m unittest discover -s tests
"""

import contextlib
import importlib.util
import io
import os
import subprocess
import sys
import tempfile
import unittest
from importlib.machinery import SourceFileLoader
from pathlib import Path
from unittest import mock

sys.dont_write_bytecode = True
LINT = Path(__file__).resolve().parent.parent


def load_lint():
    """The program as a module."""
    loader = SourceFileLoader("lint", str(LINT / "lint"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("lint", loader))
    loader.exec_module(module)
    return module


lint = load_lint()


class Listing(unittest.TestCase):
    """The files of a folder like ours."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.top = Path(folder.name)
        for name in ("a.c", "x.mod.c", "seam/b.rs", "seam/b.o", "samples/build/hello.c", "build/c.c",
                     "tools/__pycache__/x.py", "demo.png", "seam/demo.png", ".ci/run"):
            path = self.top / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("x")
        (self.top / ".gitignore").write_text("# products\n*.o\n*.mod.c\n\n/demo.png\n__pycache__/\n/samples/build/\n")
        self.expected = [".ci/run", ".gitignore", "a.c", "build/c.c", "seam/b.rs", "seam/demo.png"]

    def listed(self, path=os.environ["PATH"]):
        """What is looked at, and what is said."""
        with contextlib.redirect_stdout(io.StringIO()) as said, \
                mock.patch.dict(os.environ, PATH=path, GIT_CEILING_DIRECTORIES=str(self.top.parent)):
            return lint.listing(self.top), said.getvalue()

    def test_no_checkout(self):
        said = "lint: not a git checkout: checking all files that .gitignore does not exclude\n"
        self.assertEqual((self.expected, said), self.listed())

    def test_no_git(self):
        self.assertEqual(self.expected, self.listed(path="/nowhere")[0])

    def test_checkout(self):
        """The same, as git has it."""
        subprocess.run(["git", "init", "-q", self.top], check=True)
        self.assertEqual((self.expected, ""), self.listed())

    def test_ignored_by_a_checkout_around(self):
        with mock.patch.object(lint.subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 0, stdout="")):
            self.assertEqual(self.expected, self.listed()[0])

    def test_ours(self):
        """Without git, the same files of this checkout are looked at as with it."""
        top = LINT.parent.parent
        if not (top / ".git").exists():
            self.skipTest("this is no checkout")
        known = [name for name in lint.listing(top) if (top / name).exists()]
        self.assertEqual(known, sorted(lint.walk(top)))


if __name__ == "__main__":
    unittest.main()
