# SPDX-License-Identifier: GPL-2.0
"""GTK's test of textures that are buffers."""

from clientlib.guest import trial

TITLE = "GTK, dmabuf-support"
PACKAGES = ("gtk-4-tests", "xvfb", "xauth")
VERSION_OF = "gtk-4-tests"
PROGRAM = "/usr/libexec/installed-tests/gtk-4.0/gdk/dmabuf-support"


def _compare(_driver):
    output = trial.run("xvfb-run", "-a", PROGRAM, "--tap", seconds=200)
    passed = [line for line in output.splitlines() if line.startswith("ok ")]
    if not passed or "not ok" in output or any("SKIP" in line for line in passed):
        raise trial.Wrong(output)
    return f"{len(passed)} of {len(passed)} tests: bytes as drawn"


TRIALS = {"textures of buffers, in brackets": _compare}
