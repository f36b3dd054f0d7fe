# SPDX-License-Identifier: GPL-2.0
"""Tests of vmlib.cache."""

import os
import tempfile
import unittest
from pathlib import Path

from vmlib import cache


class Keys(unittest.TestCase):
    """Keys depend on what goes in, not on how it is written."""

    def test_same_inputs(self):
        self.assertEqual(cache.key_of({"a": 1, "b": [2]}), cache.key_of({"b": [2], "a": 1}))

    def test_other_inputs(self):
        self.assertNotEqual(cache.key_of({"a": 1}), cache.key_of({"a": 2}))


class Obtain(unittest.TestCase):
    """Entries are complete, or made again."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.cache = cache.Cache(Path(folder.name) / "deep" / "cache")
        self.made = 0

    def make(self, path, _lock):
        """Make an entry of one file."""
        self.made += 1
        self.assertEqual([], os.listdir(path))
        (path / "file").write_text("content")
        return {"number": self.made}

    def obtain(self, inputs=1):
        """The entry for these inputs."""
        return self.cache.obtain("thing", inputs, self.make, ["file"])

    def test_made_once(self):
        self.assertEqual({"number": 1}, self.obtain().info)
        self.assertEqual({"number": 1}, self.obtain().info)

    def test_other_inputs_other_entry(self):
        self.assertNotEqual(self.obtain(1).path, self.obtain(2).path)

    def test_all_of_a_kind(self):
        """Those of a kind whose name is longer are others, and so is what is not complete."""
        one, two = self.obtain(1), self.obtain(2)
        self.cache.obtain("thing-16k", 1, self.make, ["file"])
        self.assertEqual({1, 2}, {entry.inputs for entry in self.cache.entries("thing", ["file"])})
        (two.path / "file").unlink()
        self.assertEqual([one], self.cache.entries("thing", ["file"]))

    def test_a_look_makes_nothing(self):
        self.assertIsNone(self.cache.look("thing", 1, ["file"]))
        entry = self.obtain(1)
        self.assertEqual((entry, 1), (self.cache.look("thing", 1, ["file"]), self.made))

    def test_interrupted(self):
        def interrupted(path, _lock):
            (path / "half").write_text("")
            raise KeyboardInterrupt
        with self.assertRaises(KeyboardInterrupt):
            self.cache.obtain("thing", 1, interrupted, ["file"])
        self.obtain()
        self.assertEqual(1, self.made)

    def test_partly_deleted(self):
        (self.obtain().path / "file").unlink()
        self.assertEqual({"number": 2}, self.obtain().info)

    def test_stamp_deleted_or_garbled(self):
        (self.obtain().path / cache.STAMP).unlink()
        self.assertEqual({"number": 2}, self.obtain().info)
        (self.obtain().path / cache.STAMP).write_text("{")
        self.assertEqual({"number": 3}, self.obtain().info)

    def test_all_deleted(self):
        cache.remove_tree(self.obtain().path)
        cache.remove_tree(self.cache.top)
        self.assertEqual({"number": 2}, self.obtain().info)

    def test_lock_survives_deletion(self):
        with self.cache.lock("a"):
            cache.remove_tree(self.cache.top)
            with self.cache.lock("a"):
                pass

    def test_few_run_logs_are_kept(self):
        for number in range(cache.LOGS_KEPT + 5):
            path = self.cache.run_log()
            (path.parent / f"kernel-2000-{number:03}.log").write_text("")
        self.assertLessEqual(len(list(path.parent.iterdir())), cache.LOGS_KEPT + 1)


if __name__ == "__main__":
    unittest.main()
