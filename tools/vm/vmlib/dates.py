# SPDX-License-Identifier: GPL-2.0
"""Release files of Debian's that are past the date until which they are valid.

apt refuses such a suite. The check keeps others from serving an old state of it,
so it is made first, and done without only where that fails, which is said.
"""

import re

from .progress import StepFailed, say

CHECK = "Acquire::Check-Valid-Until"
EXPIRED = re.compile(r"Release file for \S*/dists/(\S+)/(?:In)?Release is expired \(invalid since ([^)]*)\)")


def despite(step):
    """Have step(True) call apt with the check, and step(False) without, where a date was all that was wrong.

    Raises StepFailed, as the step does.
    """
    try:
        step(True)
    except StepFailed as failure:
        expired = sentence(failure.log.read_text(errors="replace"))
        if not expired:
            raise
        say(f"{expired}; going on without that check")
        step(False)


def sentence(text):
    """What apt says of such files, in words; empty where it says nothing."""
    found = dict(EXPIRED.findall(text))
    names = " and ".join(f"that of {suite} for {since}" for suite, since in found.items())
    return names and f"a Release file is past the date until which it is valid ({names})"
