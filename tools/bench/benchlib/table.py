# SPDX-License-Identifier: GPL-2.0
"""Cells for people: on a terminal, and in Markdown."""

from . import plan, targets
from .results import unit_of

HEADING = ["operation", "size", "C driver", "udmabuf_rs", "ratio", "spread", "floor", "above",
           "heap", "ratio", "memfd", "ratio", "target"]


def lines(cells, icount):
    """One table of all cells, by kind of memory."""
    rows, memory = [], None
    for cell in cells:
        if cell.memory != memory:
            memory = cell.memory
            rows.append([plan.MEMORIES[memory].title])
        rows.append(_row(cell, icount))
    widths = [max(len(row[i]) for row in [HEADING, *rows] if len(row) > 1) for i in range(len(HEADING))]
    text = [_line(HEADING, widths)]
    for row in rows:
        text += [_line(row, widths)] if len(row) > 1 else ["", f"== {row[0]}"]
    return text


def _line(row, widths):
    return "  ".join(word.ljust(width) if i in (0, len(row) - 1) else word.rjust(width)
                     for i, (word, width) in enumerate(zip(row, widths))).rstrip()


def _row(cell, icount):
    verdicts = targets.judge(cell, plan.MEMORIES[cell.memory], icount)
    return [plan.OPERATIONS[cell.operation].title, plan.show_size(cell.size),
            *(_value(value, cell, icount) for value in (cell.c, cell.rust)),
            _ratio(cell.ratio), "" if cell.ratio is None else f"{_ratio(cell.low)}..{_ratio(cell.high)}",
            _value(cell.floor, cell, icount), _ratio(cell.above), _value(cell.heap, cell, icount), _ratio(cell.to_heap),
            _value(cell.memfd, cell, icount), _ratio(cell.to_memfd), ", ".join(map(str, verdicts))]


def _ratio(value):
    if value is None:
        return ""
    return f"{targets.printed(value):.{4 if value < targets.SMALL else 2}f}"


def _value(value, cell, icount):
    """A number with its unit, in three digits or so."""
    if value is None:
        return ""
    unit = unit_of(cell, icount)
    if unit == "ns":
        for factor, name in ((1e9, "s"), (1e6, "ms"), (1e3, "us")):
            if value >= factor:
                return f"{value / factor:.3g} {name}" if value < 999.5 * factor else f"{value / factor:.0f} {name}"
        return f"{value:.0f} ns"
    if unit == plan.BYTES and value >= plan.KIB:
        return f"{value / plan.KIB:,.0f} KiB" if value >= 10 * plan.KIB else f"{value / plan.KIB:.1f} KiB"
    return f"{value:,.0f}" + (" B" if unit == plan.BYTES else "")


def summary(cells, icount):
    """How many targets are met, and which are not."""
    met, missed = 0, []
    for cell in cells:
        for verdict in targets.judge(cell, plan.MEMORIES[cell.memory], icount):
            if verdict.met:
                met += 1
            else:
                value = cell.above if verdict.of == targets.TO_FLOOR else cell.ratio
                missed.append(f"  {plan.OPERATIONS[cell.operation].title}, {plan.show_size(cell.size)}, "
                              f"{plan.MEMORIES[cell.memory].title}: {_ratio(value)}, {verdict}")
    if not met and not missed:
        return []
    return [f"targets: {met} of {met + len(missed)} met" + (", missed:" if missed else ""), *missed]


def markdown(cells, icount, every=False):
    """Ratios as a table in Markdown: a line for an operation and size, a column for each kind of memory.

    Only what the targets are about, unless it is to be every line.
    """
    memories = [name for name in plan.MAIN_MEMORIES if any(cell.memory == name for cell in cells)]
    table = {cell.key: cell for cell in cells}
    keys = {(cell.operation, cell.size) for cell in cells
            if cell.memory in memories and plan.OPERATIONS[cell.operation].compared
            and (every or targets.is_named(cell.operation, cell.size))}
    order = list(plan.OPERATIONS)
    text = ["| operation | size | " + " | ".join(plan.MEMORIES[name].title for name in memories) + " |",
            "|---|---:|" + "---:|" * len(memories)]
    for operation, size in sorted(keys, key=lambda key: (order.index(key[0]), key[1])):
        row = [_marked(table.get((name, size, operation)), icount) for name in memories]
        if any(row):
            text.append(f"| {plan.OPERATIONS[operation].title} | {plan.show_size(size)} | " + " | ".join(row) + " |")
    return text


def _marked(cell, icount):
    """A ratio, bold with its target where that is missed."""
    if cell is None or cell.ratio is None:
        return ""
    missed = [verdict for verdict in targets.judge(cell, plan.MEMORIES[cell.memory], icount)
              if not verdict.met and verdict.of == targets.TO_C]
    return f"**{_ratio(cell.ratio)}** (<= {missed[0].limit:.2f})" if missed else _ratio(cell.ratio)
