# SPDX-License-Identifier: GPL-2.0
"""Weston without a screen, and pictures of what it would show."""

import contextlib
from pathlib import Path

from . import trial

SOCKET = "clients"
PLACE = Path("/tmp/pictures")


class Compositor:
    """A running weston, for `with`, whose only window takes all of its screen."""

    ENVIRONMENT = {"WAYLAND_DISPLAY": SOCKET}

    def __init__(self, width, height):
        self._size = width, height
        self._stack = contextlib.ExitStack()

    def __enter__(self):
        PLACE.mkdir(exist_ok=True)
        width, height = self._size
        with contextlib.ExitStack() as stack:
            log = stack.enter_context(open("/tmp/weston.log", "wb"))
            child = stack.enter_context(trial.started(
                "weston", "--backend=headless", "--renderer=pixman", "--shell=kiosk", "--debug", "--no-config", "--idle-time=0",
                f"--socket={SOCKET}", f"--width={width}", f"--height={height}", stdout=log))
            trial.wait_for(lambda: (Path("/run/user/0") / SOCKET).exists(), "socket of weston", child=child)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_):
        self._stack.close()

    def picture(self):
        """Three bytes for each pixel of what is shown: red, green and blue."""
        from PIL import Image

        for old in PLACE.glob("*.png"):
            old.unlink()
        trial.run("sh", "-c", f"cd {PLACE} && exec weston-screenshooter", environment=self.ENVIRONMENT)
        shown = next(PLACE.glob("*.png"), None)
        if not shown:
            raise trial.Wrong("weston made no picture of its screen")
        with Image.open(shown) as image:
            if image.size != self._size:
                raise trial.Wrong(f"the screen is {image.size}, not {self._size}")
            return image.convert("RGB").tobytes()
