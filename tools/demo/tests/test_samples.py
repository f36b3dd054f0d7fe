# SPDX-License-Identifier: GPL-2.0
"""The samples name the library that is missing, in one sentence."""

import os
import subprocess
import tempfile
import unittest
from pathlib import Path

SAMPLES = Path(__file__).resolve().parents[3] / "samples"

# A compiler for which some headers and libraries are not there, and which makes nothing.
COMPILER = """#!/bin/sh
for word; do
	case " $LACKING " in *" $word "*) echo "cannot find $word" >&2; exit 1 ;; esac
	case $word in -static) static=yes ;; -) source=$(cat) ;; esac
done
for library in $LACKING_STATIC; do
	case " $static $* " in *"yes "*" $library "*) exit 1 ;; esac
done
for header in $LACKING; do
	case $source in *"<$header>"*) exit 1 ;; esac
done
exit 0
"""


class Samples(unittest.TestCase):
    def build(self, program, *words, **environment):
        """Status and stderr of building one program."""
        with tempfile.TemporaryDirectory() as made:
            compiler = Path(made) / "cc"
            compiler.write_text(COMPILER)
            compiler.chmod(0o755)
            command = ["make", "-s", "-C", SAMPLES, f"O={made}", f"CC={compiler}", *words, f"{made}/{program}"]
            done = subprocess.run(command, env={"PATH": os.environ["PATH"], **environment}, capture_output=True,
                                  text=True, check=False)
        lines = [line for line in done.stderr.splitlines() if not line.startswith("make: ")]
        return done.returncode, lines

    def test_all_is_there(self):
        for program in ("hello", "producer", "consumer"):
            self.assertEqual(self.build(program), (0, []))

    def test_missing(self):
        for program, lacking, package in (("producer", "-lpng", "libpng-dev"), ("producer", "png.h", "libpng-dev"),
                                          ("producer", "-lz", "zlib1g-dev"), ("consumer", "zlib.h", "zlib1g-dev"),
                                          ("producer", "drm_fourcc.h", "libdrm-dev"),
                                          ("consumer", "-ldrm", "libdrm-dev"),
                                          ("consumer", "xf86drm.h", "libdrm-dev")):
            with self.subTest(program=program, lacking=lacking):
                status, lines = self.build(program, LACKING=lacking)
                self.assertEqual((status, len(lines)), (2, 1), lines)
                self.assertRegex(lines[0], rf"^samples: {program} cannot be built: .* missing; install it "
                                           rf".*{package}\)\.$")

    def test_only_the_static_library_is_missing(self):
        status, lines = self.build("consumer", LACKING_STATIC="-ldrm")
        self.assertEqual((status, lines), (2, ["samples: consumer cannot be built: libdrm comes without its static "
                                               "library; use make LDFLAGS=."]))
        self.assertEqual(self.build("consumer", "LDFLAGS=", LACKING_STATIC="-ldrm"), (0, []))

    def test_c_library(self):
        self.assertRegex(self.build("hello", LACKING="-static")[1][0], "static library .*make LDFLAGS=")
        self.assertRegex(self.build("hello", LACKING="-o")[1][0], "makes no programs; install a compiler")


if __name__ == "__main__":
    unittest.main()
