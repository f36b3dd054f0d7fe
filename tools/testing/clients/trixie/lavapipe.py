# SPDX-License-Identifier: GPL-2.0
"""Mesa's Vulkan driver for processors shares memory between devices: programs/lavapipe.c."""

import re

from clientlib.guest import trial

TITLE = "Mesa, lavapipe"
PACKAGES = ("mesa-vulkan-drivers", "libvulkan1", "libvulkan-dev")
VERSION_OF = "mesa-vulkan-drivers"
PROGRAMS = {"lavapipe": ["-lvulkan"]}


def _share(_driver):
    output = trial.run(trial.PROGRAMS / "lavapipe", environment={"VK_LOADER_DRIVERS_SELECT": "*lvp*"})
    counts = re.search(r"^(\d+) of (\d+) comparisons$", output, re.MULTILINE)
    if not counts or counts[1] != counts[2]:
        raise trial.Wrong(output)
    return f"{counts[0]} of every byte"


TRIALS = {"memory of one device in another, both ways, and a memfd in both": _share}
