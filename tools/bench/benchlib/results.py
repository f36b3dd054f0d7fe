# SPDX-License-Identifier: GPL-2.0
"""Cells in a CSV file."""

import csv

from . import plan, targets
from .stats import Cell

NUMBERS = ["c", "rust", "floor", "ratio", "low", "high", "above", "heap", "memfd", "to_heap", "to_memfd"]
COLUMNS = ["memory", "size", "operation", "unit", *NUMBERS, "target"]


def unit_of(cell, icount):
    """What the values of a cell count."""
    unit = plan.OPERATIONS[cell.operation].unit
    return unit if unit != plan.COST else "instructions" if icount else "ns"


def write(path, cells, icount):
    """All cells, with the verdicts on them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        for cell in cells:
            verdicts = targets.judge(cell, plan.MEMORIES[cell.memory], icount)
            writer.writerow([cell.memory, cell.size, cell.operation, unit_of(cell, icount),
                             *(_number(getattr(cell, name)) for name in NUMBERS),
                             "; ".join(map(str, verdicts))])


def read(path):
    """(cells, whether they count instructions) from such a file."""
    cells, icount = [], False
    with open(path, newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            icount = icount or row["unit"] == "instructions"
            if row["operation"] in plan.OPERATIONS and row["memory"] in plan.MEMORIES:
                values = [float(row[name]) if row.get(name) else None for name in NUMBERS]
                cells.append(Cell(row["memory"], int(row["size"]), row["operation"], *values))
    return cells, icount


def _number(value):
    if value is None:
        return ""
    return f"{value:.4g}" if value < 100 and value != int(value) else f"{value:.0f}"
