# SPDX-License-Identifier: GPL-2.0
"""Tests of vmlib.debian and vmlib.kernels: the choice of a version, and names."""

import unittest

from vmlib import debian, kernels
from vmlib.errors import Failure


def published(abi, version, arch="amd64", but=(), series="7.3"):
    """What the archive has for one kernel, except the packages in `but`."""
    names = [name for name in debian.needed(f"{abi}-{arch}", abi, series) if name not in but]
    return {name: {version} for name in names}


def together(*archives):
    """Several of them in one archive."""
    merged = {}
    for archive in archives:
        for name, versions in archive.items():
            merged.setdefault(name, set()).update(versions)
    return merged


class Choose(unittest.TestCase):
    """The newest version for which all packages agree."""

    def test_newest_by_number(self):
        available = together(published("7.3.4+deb13", "7.3.4-1~bpo13+1"), published("7.3.10+deb13", "7.3.10-1~bpo13+1"))
        self.assertEqual("7.3.10+deb13-amd64", debian.choices(available, "amd64")[0].release)

    def test_source_is_ahead(self):
        available = together(published("7.3.4+deb13", "7.3.4-1~bpo13+1"),
                             {"linux-source-7.3": {"7.3.5-1~bpo13+1"}})
        self.assertEqual("7.3.4-1~bpo13+1", debian.choices(available, "amd64")[0].debian)

    def test_modules_are_late(self):
        new = published("7.3.5+deb13", "7.3.5-1~bpo13+1", but=["linux-modules-7.3.5+deb13-amd64"])
        available = together(published("7.3.4+deb13", "7.3.4-1~bpo13+1"), new)
        self.assertEqual("7.3.4+deb13-amd64", debian.choices(available, "amd64")[0].release)

    def test_none(self):
        new = published("7.3.5+deb13", "7.3.5-1~bpo13+1", but=["linux-source-7.3"])
        self.assertEqual([], debian.choices(new, "amd64"))
        self.assertEqual([], debian.choices({}, "amd64"))

    def test_other_flavours_and_series(self):
        available = together(published("7.3.4+deb13", "7.3.4-1~bpo13+1", arch="rt-amd64"),
                             published("7.30.4+deb13", "7.30.4-1~bpo13+1"))
        self.assertEqual([], debian.choices(available, "amd64"))

    def test_older_series(self):
        available = together(published("7.2.12+deb13", "7.2.12-1~bpo13+1", series="7.2"),
                             published("7.3.4+deb13", "7.3.4-1~bpo13+1"))
        choice = debian.choices(available, "amd64", debian.BACKPORTS_BEFORE.series)[0]
        self.assertEqual("7.2.12+deb13-amd64", choice.release)
        self.assertEqual("linux-source-7.2=7.2.12-1~bpo13+1", choice.packages()[0])
        self.assertEqual("7.3.4+deb13-amd64", debian.choices(available, "amd64")[0].release)

    def test_page_sizes_of_arm64(self):
        available = together(published("7.3.4+deb13", "7.3.4-1~bpo13+1", arch="arm64"),
                             published("7.3.4+deb13", "7.3.4-1~bpo13+1", arch="arm64-16k"),
                             published("7.3.5+deb13", "7.3.5-1~bpo13+1", arch="arm64-16k"))
        self.assertEqual("7.3.4+deb13-arm64", debian.choices(available, "arm64")[0].release)
        self.assertEqual("7.3.5+deb13-arm64-16k", debian.choices(available, "arm64-16k")[0].release)
        self.assertEqual([], debian.choices(available, "amd64"))

    def test_release_candidate(self):
        available = published("7.3", "7.3~rc7-1~exp1")
        self.assertEqual("7.3-amd64", debian.choices(available, "amd64")[0].release)
        newer = together(available, published("7.3.1", "7.3.1-1~exp1"))
        self.assertEqual("7.3.1-amd64", debian.choices(newer, "amd64")[0].release)

    def test_second_upload_of_one_version(self):
        available = together(published("7.3.4+deb13", "7.3.4-1~bpo13+1"), published("7.3.4+deb13", "7.3.4-2~bpo13+1"))
        self.assertEqual("7.3.4-2~bpo13+1", debian.choices(available, "amd64")[0].debian)

    def test_packages_are_pinned(self):
        choice = debian.choices(published("7.3.4+deb13", "7.3.4-1~bpo13+1"), "amd64")[0]
        self.assertIn("linux-headers-7.3.4+deb13-common=7.3.4-1~bpo13+1", choice.packages())
        self.assertEqual("linux-source-7.3=7.3.4-1~bpo13+1", choice.packages()[0])
        self.assertEqual(6, len(choice.packages()))

    def test_packages_of_another_architecture(self):
        """Its headers are, but for what they call: that runs here."""
        choice = debian.choices(published("7.3.4+deb13", "7.3.4-1~bpo13+1", arch="arm64"), "arm64")[0]
        self.assertEqual(["linux-source-7.3", "linux-headers-7.3.4+deb13-arm64:arm64", "linux-headers-7.3.4+deb13-common",
                          "linux-kbuild-7.3.4+deb13", "linux-binary-unsigned-7.3.4+deb13-arm64:arm64",
                          "linux-modules-7.3.4+deb13-arm64:arm64"],
                         [package.split("=")[0] for package in choice.packages("arm64")])


class Madison(unittest.TestCase):
    """Reading apt-cache madison."""

    def test_binary_packages_only(self):
        text = (" linux-source-7.3 | 7.3.4-1~bpo13+1 | http://mirror/debian trixie-backports/main amd64 Packages\n"
                " linux | 7.3.4-1~bpo13+1 | http://mirror/debian trixie-backports/main Sources\n")
        self.assertEqual({"linux-source-7.3": {"7.3.4-1~bpo13+1"}}, debian.parse_madison(text))


    def test_names_of_another_architecture(self):
        text = (" linux-headers-7.3.4+deb13-arm64:arm64 | 7.3.4-1~bpo13+1 | http://mirror/debian "
                "trixie-backports/main arm64 Packages\n")
        self.assertEqual({"linux-headers-7.3.4+deb13-arm64": {"7.3.4-1~bpo13+1"}}, debian.parse_madison(text))


class Check(unittest.TestCase):
    """Names of kernels."""

    def test_unknown(self):
        with self.assertRaisesRegex(Failure, "no kernel 'foo'; known are: .*stock"):
            kernels.check("foo")


if __name__ == "__main__":
    unittest.main()
