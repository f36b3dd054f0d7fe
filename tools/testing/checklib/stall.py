# SPDX-License-Identifier: GPL-2.0
"""Notices when the machine under the VM stands still: suspended, or without processors.

What runs in the VM then sees seconds pass in which nothing happened. The kernel
calls that a lockup, and time limits of tests run out; neither says anything of
the driver.
"""

import threading
import time
from pathlib import Path

PERIOD = 1.0    # seconds between two looks
LONG = 10.0     # seconds that no busy but healthy machine keeps a sleeper waiting
TICKS = 100     # of /proc/stat, a second
STEAL = 8       # the column there: ticks that a hypervisor gave to others


class Watch:
    """Looks at the clock while it is entered."""

    def __init__(self, clock=time.monotonic, stolen=None):
        self._clock = clock
        self._stolen = stolen or _stolen
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look_on, daemon=True)
        self._last = None
        # The longest time that nothing ran, in seconds.
        self.longest = 0.0

    def __enter__(self):
        self.look()
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._end.set()
        self._thread.join()

    @property
    def stood_still(self):
        """Whether time went by without the VM for so long that its results say nothing."""
        return self.longest >= LONG

    def look(self):
        """Take down what has passed since the last look, beyond what was slept."""
        now = self._clock(), self._stolen()
        if self._last:
            late = now[0] - self._last[0] - PERIOD
            stolen = max((new - old for old, new in zip(self._last[1], now[1])), default=0.0)
            self.longest = max(self.longest, late, stolen)
        self._last = now

    def _look_on(self):
        while not self._end.wait(PERIOD):
            self.look()


def _stolen():
    """Seconds that each processor wanted to run and could not, where there is a hypervisor."""
    lines = (line.split() for line in Path("/proc/stat").read_text().splitlines())
    return [int(words[STEAL]) / TICKS for words in lines if words[0].startswith("cpu") and words[0] != "cpu"]
