# SPDX-License-Identifier: GPL-2.0
"""Notices when the machine under the VM stands still: paused, or without processors.

What runs in the VM then sees seconds pass in which nothing happened. The kernel
calls that a lockup, and time limits of tests run out; neither says anything of
the driver.
"""

import re
import threading
import time
from pathlib import Path

from . import ktap

PERIOD = 1.0    # seconds between two looks
LONG = 10.0     # seconds that no busy but healthy machine keeps a sleeper waiting
TICKS = 100     # of /proc/stat, a second
STEAL = 8       # the column there: ticks that a hypervisor gave to others

# What is said of a boot as a whole; see guest.py.
REPORT = "the kernel log has a report"
LATE = "did not end in time"
# What a test says of the kernel log; what the kernel says of a processor that did nothing for long.
LOGGED = "kernel log: "
LOCKUP = re.compile(r"soft lockup|detected stalls|self-detected stall|blocked for more than")
# What a test says of anything else that was not as expected.
WRONG = re.compile(r":Expected (?!.*kmsg_reports)")
# A program that was cut off, or ended by timeout(1).
ENDED = re.compile(r"the program (was cut off|ended with status (124|137))$")


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
        self.look()

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


def may_be_why(results):
    """Whether something failed, and all that did may have because nothing ran for a while.

    That is a lockup or a stall in the kernel log, or a limit in time; no other report, and no wrong answer.
    """
    failed = [result for result in results if result.status == ktap.FAILED]
    logged = [note for result in failed for note in result.notes if note.startswith(LOGGED)]
    if not all(LOCKUP.search(note) for note in logged):
        return False
    return bool(failed) and all(_is_late(result) or _is_lockup(result)
                                or (result.reason == REPORT and logged) for result in failed)


def _is_late(result):
    return result.reason == LATE or bool(ENDED.search(result.reason))


def _is_lockup(result):
    return (any(note.startswith(LOGGED) for note in result.notes)
            and not any(WRONG.search(note) for note in result.notes))
