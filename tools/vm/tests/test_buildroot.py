# SPDX-License-Identifier: GPL-2.0
"""Tests of vmlib.buildroot: what of the host is visible in the root, and of which suites packages are."""

import unittest

from vmlib import buildroot


class MayShow(unittest.TestCase):
    """The current directory, unless it would hide what the root is made of."""

    def test_users_places(self):
        for path in ("/home/someone/src", "/root", "/srv/x", "/usr/src/udmabuf_rs", "/var/tmp/x", "/opt/x"):
            self.assertTrue(buildroot.may_show(path), path)

    def test_the_roots_own(self):
        for path in ("/", "/usr", "/usr/share", "/etc", "/var/lib", "/lib64"):
            self.assertFalse(buildroot.may_show(path), path)


class Suites(unittest.TestCase):
    """A package of another suite names it, and the root has that suite."""

    def test_all(self):
        for name, kind in buildroot.ROOTS.items():
            named = {package.partition("/")[2] for package in kind.packages} - {""}
            self.assertEqual({kind.more} - {""}, named, name)


if __name__ == "__main__":
    unittest.main()
