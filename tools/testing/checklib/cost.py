# SPDX-License-Identifier: GPL-2.0
"""A coarse guard: what buffers cost must follow runs and folios, and be near to what others take.

Guest instructions are counted, so it is no matter how fast or busy the host is.
The bounds are well above what was measured, and a fraction of what a loop over
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
APART = "4k-fragmented"


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

    def judge(self, cells, show):
        """A test's result."""
        small, large = (_value(cells, (MEMORY, size, self.operation), "rust") for size in (SMALL, LARGE))
        if small is None or large is None:
            return _failed(self.name, "was not measured")
        each = (large - small) / ((LARGE - SMALL) / FOLIO)
        show.line(f"{self.operation}: {each:,.0f} instructions for 2 MiB more, {self.most:,} at the most: {self.what}")
        if each > self.most:
            return _failed(self.name, f"{each:,.0f} instructions for 2 MiB more, where {self.what} takes less than "
                                      f"{self.most:,}")
        return ktap.Result(SUBJECT, self.name, ktap.PASSED)


@dataclass(frozen=True)
class Ratio:
    """What an operation may take in parts of another, or of what a peer takes for it."""

    name: str
    operation: str
    memory: str
    size: int
    most: float
    peer: str = "rust"      # the column of the cell
    other: str = ""         # the other operation; the same where it is empty

    def judge(self, cells, show):
        """A test's result."""
        key, other = ((self.memory, self.size, operation) for operation in (self.operation, self.other or self.operation))
        ours, theirs = _value(cells, key, "rust"), _value(cells, other, self.peer)
        name = f"{SUBJECT}.{self.name}"
        if ours is None or not theirs:
            return _failed(name, "was not measured")
        title = plan.OPERATIONS[self.operation].title
        text = f"{ours:,.0f} instructions, {ours / theirs:.2f} of {theirs:,.0f}"
        show.line(f"{title}, {plan.show_size(self.size)}: {text}, {self.most:.2f} at the most")
        return ktap.Result(SUBJECT, name, ktap.PASSED) if ours <= self.most * theirs else _failed(name, text)


# Each of 512 pages read takes three instructions, so no less than that for touching all.
BOUNDS = [
    Bound("create", 800, "pinning a folio"),
    Bound("touch_all", 7000, "a fault and an entry for 2 MiB"),
    Bound("munmap", 600, "an entry for 2 MiB"),
    Bound("map", 400, "an entry of a scatter list at the most"),
    Bound("close", 400, "unpinning a folio"),
]

LISTED = 8000 * 4 * plan.KIB
RATIOS = [
    Ratio("small_map_beside_c", "map_unmap", APART, 4 * plan.KIB, 1.5, "c"),
    Ratio("small_map_again_beside_c", "remap", APART, 4 * plan.KIB, 1.2, "c"),
    Ratio("list_in_turn_beside_c", "create_turns", APART, LISTED, 1.3, "c"),
    Ratio("map_beside_10000_mappings", "map_10000", APART, 4 * plan.KIB, 1.5, other="map_1000"),
    Ratio("map_beside_10000_attachments", "attach_10000", APART, 4 * plan.KIB, 1.5, other="attach_1000"),
    Ratio("life_beside_bare_memfd", "life_net", MEMORY, SMALL, 1.5, "memfd"),
]

# Huge pages alone, where sizes are compared; then beside others.
REQUESTS = [
    guest.Request(icount=True, memories=[MEMORY], sizes=[SMALL, LARGE], rounds=1, drivers=["rust"],
                  operations=[bound.operation for bound in BOUNDS]),
    guest.Request(icount=True, memories=[APART, MEMORY], sizes=[4 * plan.KIB, SMALL], rounds=1,
                  drivers=["c", "rust", "memfd"],
                  operations=["map_unmap", "create_turns", "map_1000", "attach_1000", "life"]),
]


def run(show):
    """Measure in one boot, and compare."""
    show.heading("cost: guest instructions by size, and beside others")
    report = guest.measure(REQUESTS[0], show.line, *REQUESTS[1:])
    if report.problems:
        return [_failed(f"{SUBJECT}.measured", "; ".join(report.problems))]
    cells = {cell.key: cell for cell in stats.cells(report.samples)}
    return [bound.judge(cells, show) for bound in (*BOUNDS, *RATIOS)]


def _value(cells, key, column):
    return getattr(cells[key], column) if key in cells else None


def _failed(name, why):
    return ktap.Result(SUBJECT, name, ktap.FAILED, why)
