# SPDX-License-Identifier: GPL-2.0
"""Headless weston, and screenshots of it."""

import contextlib
from pathlib import Path

from . import trial

SOCKET = "clients"
PLACE = Path("/tmp/pictures")


class Compositor:
    """A running weston, for `with`. With the kiosk shell, its only window takes all of the screen."""

    ENVIRONMENT = {"WAYLAND_DISPLAY": SOCKET}

    def __init__(self, width, height, shell="kiosk", renderer="pixman"):
        self._size, self._shell, self._renderer = (width, height), shell, renderer
        self._stack = contextlib.ExitStack()

    def __enter__(self):
        PLACE.mkdir(exist_ok=True)
        width, height = self._size
        with contextlib.ExitStack() as stack:
            log = stack.enter_context(open("/tmp/weston.log", "wb"))
            child = stack.enter_context(trial.started(
                "weston", "--backend=headless", f"--renderer={self._renderer}", f"--shell={self._shell}", "--debug", "--no-config", "--idle-time=0",
                f"--socket={SOCKET}", f"--width={width}", f"--height={height}", stdout=log))
            trial.wait_for(lambda: (Path("/run/user/0") / SOCKET).exists(), "socket of weston", child=child)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_):
        self._stack.close()

    def picture(self, *options):
        """Takes a screenshot, with options of weston-screenshooter. Returns packed RGB."""
        from PIL import Image

        for old in PLACE.glob("*.png"):
            old.unlink()
        trial.run("sh", "-c", f'cd {PLACE} && exec weston-screenshooter "$@"', "sh", *options, environment=self.ENVIRONMENT)
        shown = next(PLACE.glob("*.png"), None)
        if not shown:
            raise trial.Wrong("weston made no picture of its screen")
        with Image.open(shown) as image:
            if image.size != self._size:
                raise trial.Wrong(f"the screen is {image.size}, not {self._size}")
            return image.convert("RGB").tobytes()
