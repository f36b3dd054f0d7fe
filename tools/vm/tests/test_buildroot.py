# SPDX-License-Identifier: GPL-2.0
"""Tests of vmlib.buildroot: what of the host is visible in the root."""

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


if __name__ == "__main__":
    unittest.main()
