# SPDX-License-Identifier: GPL-2.0
"""Tests of vmlib.versions: what is used on a day when the suite is half updated, or past its date."""

import contextlib
import io
import shutil
import tempfile
import unittest

from vmlib import cache, debian, kernels, versions
from vmlib.errors import Failure

from . import fake_apt
from .test_kernels import published, together

STOCK = kernels.STOCK["stock"]
OLD, NEW = "7.3.4-1~bpo13+1", "7.3.5-1~bpo13+1"
OLD_RELEASE, NEW_RELEASE = "7.3.4+deb13-amd64", "7.3.5+deb13-amd64"


def suite(*versions, but=()):
    """What the suite has: versions of the stock kernel, except the packages that begin with one of `but`."""
    archives = [published(f"{version.partition('-')[0]}+deb13", version) for version in versions]
    return {name: sorted(found) for name, found in together(*archives).items()
            if not any(name.startswith(each) for each in but)}


class Case(unittest.TestCase):
    """A cache, and a root whose apt is a stand-in."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.cache = cache.Cache(f"{folder.name}/cache")
        self.root = fake_apt.Root(folder.name)
        self.said = ""

    def settle(self, update=False):
        """The version that is used; what was said is in self.said."""
        said = io.StringIO()
        with contextlib.redirect_stderr(said):
            try:
                files, build = versions.settle(self.cache, self.root, STOCK, update)
            finally:
                self.said = said.getvalue()
        self.assertTrue((build / "rust/libkernel.rmeta").exists())
        self.assertEqual(files.info["release"], build.name)
        self.assertFalse(list(self.cache.top.glob("apt-*")))
        return files.info["debian"]

    def fill(self):
        """The cache, with the old version."""
        self.root.set(packages=suite(OLD))
        self.assertEqual(OLD, self.settle())

    def assert_refused(self, words):
        """No version can be had, for that reason."""
        with self.assertRaisesRegex(Failure, words) as caught:
            self.settle()
        self.assertEqual(1, len(str(caught.exception).splitlines()))

    def sentences(self):
        """What was said beside the progress of steps."""
        return [line for line in self.said.splitlines() if not line.startswith("kernel: ")]


class Empty(Case):
    """With an empty cache."""

    def test_newest(self):
        self.root.set(packages=suite(OLD, NEW))
        self.assertEqual(NEW, self.settle())
        self.assertEqual([], self.sentences())

    def test_newest_of_which_all_agree(self):
        self.root.set(packages={**suite(OLD), "linux-source-7.3": [OLD, NEW]})
        self.assertEqual(OLD, self.settle())
        self.assertEqual([], self.sentences())

    def test_nothing_agrees(self):
        for package in ("linux-source", "linux-headers", "linux-kbuild", "linux-binary", "linux-modules"):
            with self.subTest(package):
                self.root.set(packages=suite(NEW, but=[package]))
                self.assert_refused("^trixie-backports has no Linux 7.3 for amd64 whose .* are of one version just now, and "
                                    "the cache has no other; check the network, or try again in a few hours$")

    def test_past_its_date(self):
        self.root.set(packages=suite(NEW), expired=True)
        self.assertEqual(NEW, self.settle())
        self.assertEqual(["a Release file is past the date until which it is valid (that of trixie-backports for "
                          "3d 2h 1min 5s); going on without that check"], self.sentences())
        self.assertEqual(2, self.root.called("update"))

    def test_dates_are_looked_at(self):
        self.root.set(packages=suite(NEW))
        self.settle()
        self.assertEqual(1, self.root.called("update"))
        self.assertEqual(0, self.root.called("Acquire::Check-Valid-Until=false"))

    def test_unreachable(self):
        self.root.set(packages=suite(NEW), unreachable=True)
        self.assert_refused(r"^apt cannot read the lists of trixie-backports \(Failed to fetch .* Could not connect\), and the "
                            "cache has no other")
        self.assertEqual(1, self.root.called("update"))

    def test_newest_cannot_be_downloaded(self):
        self.root.set(packages=suite(OLD, NEW), lost=[NEW])
        self.assertEqual(OLD, self.settle())
        self.assertEqual(1, len(self.sentences()))
        self.assertRegex(self.sentences()[0], "^trixie-backports lists .*, but apt cannot get it .*; using 7.3.4-1~bpo13")

    def test_newest_cannot_be_built(self):
        self.root.set(packages=suite(OLD, NEW), unbuildable=[NEW_RELEASE])
        self.assertEqual(OLD, self.settle())
        self.assertEqual([f"the artefacts of Linux {NEW_RELEASE} cannot be made: error[E0514] (x.log has all); using {OLD}"],
                         self.sentences())
        self.assertEqual(OLD, self.settle())
        self.assertEqual([], self.sentences())

    def test_none_can_be_built(self):
        self.root.set(packages=suite(NEW), unbuildable=[NEW_RELEASE])
        self.assert_refused("^the artefacts of Linux .* cannot be made: .*, and the cache has no other; ")


class Filled(Case):
    """With a version in the cache."""

    def setUp(self):
        super().setUp()
        self.fill()

    def test_it_stays_without_a_network(self):
        self.root.set(packages=suite(NEW), unreachable=True)
        self.assertEqual((OLD, 0, ""), (self.settle(), self.root.called("update"), self.said))

    def test_newer(self):
        self.root.set(packages=suite(OLD, NEW))
        self.assertEqual(NEW, self.settle(update=True))
        self.assertEqual([], self.sentences())
        self.assertEqual(NEW, self.settle())

    def test_nothing_newer(self):
        self.root.set(packages=suite(OLD))
        self.assertEqual((OLD, 0), (self.settle(update=True), self.root.called("download")))
        self.assertEqual([], self.sentences())

    def test_nothing_agrees(self):
        self.root.set(packages=suite(NEW, but=["linux-modules"]))
        self.assertEqual(OLD, self.settle(update=True))
        self.assertEqual(["trixie-backports has no Linux 7.3 for amd64 whose source, headers, image and modules are of one "
                          f"version just now; using the cached {OLD}"], self.sentences())

    def test_past_its_date(self):
        self.root.set(packages=suite(NEW), expired=True)
        self.assertEqual(NEW, self.settle(update=True))
        self.assertRegex(self.sentences()[0], "past the date")

    def test_unreachable(self):
        self.root.set(packages=suite(NEW), unreachable=True)
        self.assertEqual(OLD, self.settle(update=True))
        self.assertEqual(1, len(self.sentences()))
        self.assertRegex(self.sentences()[0], f"^apt cannot read the lists of trixie-backports .*; using the cached {OLD}$".
                         replace("+", r"\+"))

    def test_newest_cannot_be_downloaded(self):
        self.root.set(packages=suite(NEW), lost=[NEW])
        self.assertEqual(OLD, self.settle(update=True))
        self.assertRegex(self.sentences()[0], "but apt cannot get it .*; using the cached 7.3.4")

    def test_newest_cannot_be_built(self):
        self.root.set(packages=suite(NEW), unbuildable=[NEW_RELEASE])
        self.assertEqual(OLD, self.settle(update=True))
        self.assertRegex(self.sentences()[0], f"^the artefacts .* cannot be made: .*; using the cached 7.3.4")
        self.root.set(packages=suite(NEW), unreachable=True)
        self.assertEqual(OLD, self.settle())

    def test_made_again_where_artefacts_are_gone(self):
        for entry in self.cache.top.glob("kernel-stock-*"):
            shutil.rmtree(entry)
        self.root.set(packages=suite(NEW), unreachable=True)
        self.assertEqual(OLD, self.settle())
        self.assertRegex(self.sentences()[0], "; using the cached 7.3.4")

    def test_sources_are_gone(self):
        for entry in self.cache.top.glob("debian-linux-7.3-source-*"):
            shutil.rmtree(entry)
        self.root.set(packages=suite(OLD))
        self.assertEqual(OLD, self.settle())
        self.assertEqual([], self.sentences())


class Exactly(Case):
    """One release, and no other."""

    def exactly(self, release):
        """Its version."""
        with contextlib.redirect_stderr(io.StringIO()):
            return versions.exactly(self.cache, self.root, STOCK, release).info["debian"]

    def test_older_than_the_newest(self):
        self.root.set(packages=suite(OLD, NEW))
        self.assertEqual(OLD, self.exactly(OLD_RELEASE))

    def test_from_the_cache(self):
        self.fill()
        self.root.set(packages=suite(NEW), unreachable=True)
        self.assertEqual((OLD, 0), (self.exactly(OLD_RELEASE), self.root.called("update")))

    def test_second_upload(self):
        again = OLD.replace("-1", "-2")
        self.root.set(packages=suite(OLD, again))
        self.assertEqual(again, self.exactly(OLD_RELEASE))

    def test_gone(self):
        self.root.set(packages=suite(NEW))
        with self.assertRaisesRegex(Failure, "^trixie-backports has no Linux 7.3.4.*; it has 7.3.5.deb13-amd64: install that"):
            self.exactly(OLD_RELEASE)

    def test_unreachable(self):
        self.root.set(packages=suite(NEW), unreachable=True)
        with self.assertRaisesRegex(Failure, "^apt cannot read .*, and the cache has no Linux 7.3.5.*; check the network"):
            self.exactly(NEW_RELEASE)


class Kept(Case):
    """Entries of one kernel, and of no other."""

    def test_of_another_suite(self):
        self.fill()
        self.assertEqual(1, len(debian.kept(self.cache, "amd64")))
        self.assertEqual([], debian.kept(self.cache, "amd64", debian.EXPERIMENTAL))
        self.assertEqual([], debian.kept(self.cache, "rt-amd64"))


if __name__ == "__main__":
    unittest.main()
