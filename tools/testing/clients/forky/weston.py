# SPDX-License-Identifier: GPL-2.0
"""weston takes pictures of its screen into buffers of its client's."""

from clientlib.guest import trial
from clientlib.guest.compositor import Compositor

TITLE = "weston-screenshooter"
PACKAGES = ("weston", "libegl1", "libgl1-mesa-dri", "python3-pil")
VERSION_OF = "weston"
WIDTH, HEIGHT = 640, 480


def _shoot(_driver):
    with Compositor(WIDTH, HEIGHT, "desktop", "gl") as compositor:
        # The clock in the panel may go on in between.
        for _ in range(5):
            wanted = compositor.picture("--buffer-type=shm")
            shown = compositor.picture("--buffer-type=dmabuf")
            if shown == wanted:
                break
        if len(set(wanted[at:at + 3] for at in range(0, len(wanted), 3))) < 3:
            raise trial.Wrong("there is nothing in the picture")
        trial.equal(shown, wanted, "pixels of a dma-buf and of shared memory", size=3)
    return f"{WIDTH * HEIGHT} pixels as in shared memory"


TRIALS = {"picture of the screen into a dma-buf": _shoot}
