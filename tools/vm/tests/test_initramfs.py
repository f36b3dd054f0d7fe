# SPDX-License-Identifier: GPL-2.0
"""Tests of vmlib.initramfs: the archive, and the words of --add."""

import io
import os
import stat
import tempfile
import unittest
from pathlib import Path

from vmlib import initramfs
from vmlib.errors import Failure


def unpack(data):
    """The entries of a cpio archive: name -> (mode, content)."""
    entries, at = {}, 0
    while at < len(data):
        fields = [int(data[at + 6 + 8 * number:at + 14 + 8 * number], 16) for number in range(13)]
        name = data[at + 110:at + 110 + fields[11] - 1].decode()
        at = -(-(at + 110 + fields[11]) // 4) * 4
        entries[name] = (fields[1], data[at:at + fields[6]])
        at = -(-(at + fields[6]) // 4) * 4
    return entries


class Archive(unittest.TestCase):
    """The cpio format, and what goes in."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.place = Path(folder.name)

    def packed(self, fill):
        """The entries of an archive that fill(archive) wrote."""
        stream = io.BytesIO()
        archive = initramfs.Archive(stream)
        fill(archive)
        archive.close()
        self.assertEqual(0, len(stream.getvalue()) % 4)
        return unpack(stream.getvalue())

    def test_file_and_its_parents(self):
        entries = self.packed(lambda archive: archive.file("a/b/c", b"12345", 0o750))
        self.assertEqual(["a", "a/b", "a/b/c", "TRAILER!!!"], list(entries))
        self.assertEqual((stat.S_IFREG | 0o750, b"12345"), entries["a/b/c"])

    def test_nothing_above_links_of_the_base(self):
        self.assertNotIn("usr/bin", self.packed(lambda archive: archive.file("usr/bin/x", b"")))

    def test_tree(self):
        (self.place / "sub").mkdir()
        (self.place / "sub" / "program").write_bytes(b"x")
        (self.place / "sub" / "program").chmod(0o755)
        os.symlink("program", self.place / "sub" / "link")
        entries = self.packed(lambda archive: archive.tree("top", self.place))
        self.assertEqual((stat.S_IFREG | 0o755, b"x"), entries["top/sub/program"])
        self.assertEqual(b"program", entries["top/sub/link"][1])

    def test_tree_into_the_top(self):
        (self.place / "file").write_bytes(b"x")
        self.assertEqual(["file", "TRAILER!!!"], list(self.packed(lambda archive: archive.tree("", self.place))))


class ParseAdded(unittest.TestCase):
    """FILE or SRC=DEST."""

    def test_file(self):
        self.assertEqual((__file__, os.path.basename(__file__)), initramfs.parse_added(__file__))

    def test_folder_with_slash(self):
        folder = os.path.dirname(os.path.abspath(__file__))
        self.assertEqual((folder + "/", "tests"), initramfs.parse_added(folder + "/"))

    def test_destination(self):
        self.assertEqual((__file__, "/etc/x"), initramfs.parse_added(__file__ + "=/etc/x"))

    def test_missing(self):
        with self.assertRaisesRegex(Failure, "there is no /nowhere"):
            initramfs.parse_added("/nowhere=/x")


if __name__ == "__main__":
    unittest.main()
