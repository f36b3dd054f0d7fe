# SPDX-License-Identifier: GPL-2.0
"""Tests of vmlib.artefacts: how far the program says it is."""

import unittest

from vmlib import artefacts


class Percent(unittest.TestCase):
    """The gauge."""

    def test_progress_of_the_program(self):
        self.assertEqual(55, artefacts._percent(3, "artefacts: Linux 7.3.4+deb13-amd64: 55 %, compiling"))
        self.assertIsNone(artefacts._percent(1, "artefacts: making the Rust artefacts of Linux 7.3.4+deb13-amd64"))


if __name__ == "__main__":
    unittest.main()
