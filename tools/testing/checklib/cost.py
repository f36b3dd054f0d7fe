# SPDX-License-Identifier: GPL-2.0
"""A coarse guard: what buffers cost must follow runs and folios, not pages of 4 KiB.

Guest instructions are counted, so it is no matter how fast or busy the host is.
The bounds are about twice what was measured, and a fraction of what a loop over
pages of 4 KiB takes. tools/bench has the exact figures.
"""

import sys
from dataclasses import dataclass

from . import ktap
from .build import CHECKOUT

sys.path.append(str(CHECKOUT / "tools" / "bench"))

from benchlib import guest, plan, stats  # noqa: E402

SUBJECT = "cost"
MEMORY, FOLIO = "hugetlb-2m", 2 * plan.MIB
SMALL, LARGE = 64 * plan.MIB, 512 * plan.MIB


@dataclass(frozen=True)
class Bound:
    """What an operation may take for each huge page that a buffer has more."""

    operation: str
    most: int
    what: str

    @property
    def name(self):
        """Of the test."""
        return f"{SUBJECT}.{self.operation}_by_huge_page"


# Each of 512 pages read takes three instructions, so no less than that for touching all.
BOUNDS = [
    Bound("create", 800, "pinning a folio"),
    Bound("touch_all", 7000, "a fault and an entry for 2 MiB"),
    Bound("munmap", 600, "an entry for 2 MiB"),
    Bound("map", 400, "an entry of a scatter list at the most"),
    Bound("close", 400, "unpinning a folio"),
]


def run(show):
    """Measure, and compare."""
    show.heading("cost: guest instructions by size")
    report = guest.measure(guest.Request(icount=True, memories=[MEMORY], sizes=[SMALL, LARGE], rounds=1,
                                         operations=[bound.operation for bound in BOUNDS], drivers=["rust"]), show.line)
    if report.problems:
        return [ktap.Result(SUBJECT, f"{SUBJECT}.measured", ktap.FAILED, "; ".join(report.problems))]
    cells = {cell.key: cell.rust for cell in stats.cells(report.samples)}
    return [judge(bound, cells, show) for bound in BOUNDS]


def judge(bound, cells, show):
    """A test's result: what a huge page more costs, against what it may."""
    small, large = (cells.get((MEMORY, size, bound.operation)) for size in (SMALL, LARGE))
    if small is None or large is None:
        return ktap.Result(SUBJECT, bound.name, ktap.FAILED, "was not measured")
    each = (large - small) / ((LARGE - SMALL) / FOLIO)
    show.line(f"{bound.operation}: {each:,.0f} instructions for 2 MiB more, {bound.most:,} at the most: {bound.what}")
    if each > bound.most:
        return ktap.Result(SUBJECT, bound.name, ktap.FAILED,
                           f"{each:,.0f} instructions for 2 MiB more, where {bound.what} takes less than {bound.most:,}")
    return ktap.Result(SUBJECT, bound.name, ktap.PASSED)
