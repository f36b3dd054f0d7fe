# SPDX-License-Identifier: GPL-2.0
"""The coherence matrix: its rows, and from the results of tests to cells.

A test belongs to the row in its name: r04_... to row 4. A cell is one row on one
kind of machine (plan.COLUMNS), and holds what its tests came to: failed if one
failed, passed if one passed, and missing if all were skipped or there is none.
"""

import re
from dataclasses import dataclass, field
from typing import List

from . import ktap

ROW = re.compile(r"^r(\d\d)_")

ROWS = {
    1: "CPU writes in a bracket, device reads",
    2: "device writes, CPU reads in a bracket",
    3: "device writes, unmaps, CPU reads",
    4: "device writes a page, a bracket the next",
    5: "overlapping brackets: threads, processes, the dead",
    6: "memfd written between brackets",
    7: "two importers: one writes, one reads",
    8: "several devices write",
    9: "the kernel's own mapping reads and writes",
    10: "mapped by userspace through an importer",
    11: "fence pending at START",
    12: "signal at START",
    13: "signal at END",
    14: "importer changes the table it was given",
    15: "importer unplugged while mapped",
    16: "part of a memfd, lists of parts",
    17: "small pages and huge pages",
    18: "10,000 rounds of four threads",
    19: "sixteen importers at once",
    20: "importer unmaps in an open bracket",
}


@dataclass
class Cell:
    """One row on one kind of machine."""

    row: int
    results: List[ktap.Result] = field(default_factory=list)

    def having(self, status):
        """Its tests that ended so."""
        return [result for result in self.results if result.status == status]

    @property
    def status(self):
        """How its tests ended, together."""
        if self.having(ktap.FAILED):
            return ktap.FAILED
        return ktap.PASSED if self.having(ktap.PASSED) else ktap.SKIPPED

    @property
    def reasons(self):
        """Why tests of it were skipped, or why the cell is empty."""
        if not self.results:
            return ["no test of it ran"]
        return sorted({result.reason or "no reason given" for result in self.having(ktap.SKIPPED)})


def row_of(result):
    """The row that a test belongs to, or None."""
    match = ROW.match(result.test)
    return int(match.group(1)) if match else None


def cells(results):
    """The cells of one column, by row."""
    column = {row: Cell(row) for row in ROWS}
    for result in results:
        if row_of(result) in column:
            column[row_of(result)].results.append(result)
    return column


def others(results):
    """What belongs to no row: a program that was cut off, a boot that failed."""
    return [result for result in results if row_of(result) not in ROWS]
