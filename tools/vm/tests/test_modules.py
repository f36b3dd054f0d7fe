# SPDX-License-Identifier: GPL-2.0
"""Tests of vmlib.modules: order of loading, options that are off."""

import tempfile
import unittest
from pathlib import Path
from types import SimpleNamespace

from vmlib import modules
from vmlib.errors import Failure

TABLE = modules.parse_dependencies("""\
kernel/drm/drm.ko.xz:
kernel/drm/drm_kms_helper.ko.xz: kernel/drm/drm.ko.xz
kernel/drm/bochs.ko.xz: kernel/drm/drm-shmem.ko.xz kernel/drm/drm_kms_helper.ko.xz kernel/drm/drm.ko.xz
kernel/drm/drm-shmem.ko.xz: kernel/drm/drm_kms_helper.ko.xz kernel/drm/drm.ko.xz
""")


class Resolve(unittest.TestCase):
    """Dependencies come first."""

    def names(self, *wanted):
        """The modules to load, by name."""
        return [modules.plain_name(path) for path in modules.resolve(TABLE, wanted)]

    def test_alone(self):
        self.assertEqual(["drm"], self.names("drm"))

    def test_chain(self):
        self.assertEqual(["drm", "drm_kms_helper", "drm_shmem", "bochs"], self.names("bochs"))

    def test_each_once_and_either_dash(self):
        self.assertEqual(["drm", "drm_kms_helper", "drm_shmem", "bochs"], self.names("drm", "drm-shmem", "bochs"))

    def test_unknown(self):
        with self.assertRaises(KeyError):
            self.names("foo")


class Without(unittest.TestCase):
    """An option is off in both of its forms, and no other is."""

    def test_without(self):
        text = '--cfg=CONFIG_A\n--cfg=CONFIG_A="y"\n--cfg=CONFIG_AB\n--cfg=CONFIG_AB="CONFIG_A"\n'
        self.assertEqual('--cfg=CONFIG_AB\n--cfg=CONFIG_AB="CONFIG_A"\n',
                         modules.configuration_without(text, ["CONFIG_A"]))
        self.assertEqual(text, modules.configuration_without(text, ["CONFIG_B"]))


class BuiltIn(unittest.TestCase):
    """A kernel without modules has what it needs, or never will."""

    def test_built_in(self):
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "modules.builtin").write_text("kernel/drivers/gpu/drm/vgem/vgem.ko\nkernel/a/b-c.ko\n")
            kernel = SimpleNamespace(flavour="debug", modules=None, build=Path(folder))
            self.assertEqual([], modules.with_dependencies(kernel, ["vgem", "b_c", "b-c"]))
            with self.assertRaisesRegex(Failure, "'debug' has no 'bochs'"):
                modules.with_dependencies(kernel, ["vgem", "bochs"])


if __name__ == "__main__":
    unittest.main()
