# SPDX-License-Identifier: GPL-2.0
"""A guest of QEMU draws, virtio-gpu shows its memory, and a compositor shows QEMU's window."""

import time

from clientlib.guest import driver as drivers, trial
from clientlib.guest.compositor import Compositor
from clientlib.guest.nested import Guest

TITLE = "Linux guest in QEMU, in weston"
PACKAGES = ("qemu-system-x86", "qemu-system-gui", "weston", "python3-pil")
VERSION_OF = "qemu-system-x86"
PROGRAMS = {"draw": ["-static"]}
# Command of the guest's init, and kernel modules.
GUEST = (("/draw", "640", "480"), ("virtio-gpu",))
SECONDS = 3000
WIDTH, HEIGHT = 640, 480
PICTURES, PATIENCE = 6, 90


def _show(_driver):
    with Compositor(WIDTH, HEIGHT) as compositor, Guest(WIDTH, HEIGHT) as guest:
        for number in range(1, PICTURES + 1):
            wanted = guest.draw(number)
            if not drivers.live():
                raise trial.Wrong("QEMU shows the guest's memory without a buffer of it")
            # The window is drawn some time after the guest has.
            deadline = time.monotonic() + PATIENCE
            shown = compositor.picture()
            while shown != wanted and time.monotonic() < deadline:
                shown = compositor.picture()
            trial.equal(shown, wanted, f"pixels of picture {number}", size=3)
    return f"{PICTURES} pictures of {WIDTH * HEIGHT} pixels"


TRIALS = {"frames of the guest on the compositor's screen": _show}
