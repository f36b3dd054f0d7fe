# SPDX-License-Identifier: GPL-2.0
"""The picture: which panels there are, and what they show.

Run in the build root, which has Pillow:   python3 plot.py CSV PNG
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchlib import plan, results  # noqa: E402
from benchlib.canvas import FAINT, INK, Axes, Page, decade_ticks, decades  # noqa: E402

WIDTH, MARGIN, GAP = 1640, 24, 26
COLUMNS, PANEL = 3, 370

# Of the lines for operations; those that belong together look alike.
OPERATIONS = {
    "create": "#1f4e9c", "close": "#5b9bd5", "mmap": "#9a9a9a",
    "touch_one": "#0b6b3a", "touch_all": "#2ca02c", "touch_unaligned": "#8bc34a", "touch_random": "#b5a100",
    "threads_4": "#00897b", "munmap": "#e67e22",
    "sync": "#8e44ad", "sync_4": "#c39bd3", "map": "#c0392b", "unmap": "#e57373", "vmap": "#795548",
    "memory": "#000000",
}
MEMORIES = {"4k-fragmented": "#c0392b", "4k-contiguous": "#e67e22", "shmem-2m": "#2ca02c",
            "hugetlb-2m": "#1f4e9c", "hugetlb-1g": "#8e44ad"}
AGAINST_SIZE = ["create", "touch_all", "map"]
AGAINST_RUNS = ["create", "close", "touch_all", "map", "vmap"]
STYLES = {"rust": "solid", "c": "dashed", "floor": "dotted"}


class Picture:
    """A page that is filled from the top."""

    def __init__(self, cells, icount):
        self.table = {cell.key: cell for cell in cells}
        self.cost = "instructions" if icount else "time"
        self.icount = icount
        self.top = MARGIN
        self.page = Page(WIDTH, 4 * PANEL + 6 * MARGIN + 170)

    def heading(self, words, explanation):
        """Of a section."""
        self.page.text((MARGIN, self.top), words, 21)
        self.page.text((MARGIN, self.top + 27), explanation, 13, color=FAINT)
        self.top += 52

    def box(self, column):
        """Of a panel in this row."""
        width = (WIDTH - 2 * MARGIN - (COLUMNS - 1) * GAP) / COLUMNS
        left = MARGIN + column * (width + GAP)
        return left, self.top, left + width, self.top + PANEL

    def points(self, memory, operation, value, sizes=plan.SIZES):
        """Pairs of a size and a value, where there is one."""
        found = ((size, self.table.get((memory, size, operation))) for size in sizes)
        return [(size, getattr(cell, value)) for size, cell in found if cell and getattr(cell, value)]

    def show_cost(self, value):
        """A power of ten of what things cost."""
        if self.icount:
            return _count(value)
        return next(f"{value / factor:g} {unit}" for factor, unit in
                    ((1e9, "s"), (1e6, "ms"), (1e3, "us"), (1, "ns"), (0, "")) if value >= factor)

    # Sections

    def ratios(self):
        """Ratio against size: a panel for each kind of memory, a line for each operation."""
        self.heading(f"udmabuf_rs beside the C driver: ratio of {self.cost} against size",
                     "Below 1, udmabuf_rs does with less. Kernel memory is what a buffer takes beyond an empty "
                     "dma-buf; what is 0 lies on the lower edge.")
        values = [value for memory in MEMORIES for operation in OPERATIONS
                  for _, value in self.points(memory, operation, "ratio")]
        limits = decades(max(min(values, default=0.1), 1e-4), max([*values, 1.2]))
        for number, memory in enumerate(MEMORIES):
            if number == COLUMNS:
                self.top += PANEL + MARGIN
            axes = Axes(self.page, self.box(number % COLUMNS), _around(plan.SIZES), limits)
            axes.frame(plan.MEMORIES[memory].title, "size of the buffer", "", _size_ticks(),
                       decade_ticks(limits, lambda value: f"{value:g}"))
            axes.level(1, INK)
            for marker, (operation, color) in enumerate(OPERATIONS.items()):
                axes.series(self.points(memory, operation, "ratio"), color, marker)
        left, top, _, _ = self.box(2)
        self.legend(left + 80, top + 30, [(plan.OPERATIONS[name].title, color, marker, "solid")
                                          for marker, (name, color) in enumerate(OPERATIONS.items())
                                          if any(self.points(memory, name, "ratio") for memory in MEMORIES)])
        self.top += PANEL + MARGIN

    def sizes(self):
        """Cost against size."""
        self.heading(f"Cost as work grows: {self.cost} against size",
                     "Solid: udmabuf_rs. Dashed: the C driver. Dotted: the floor, pinning and an empty export.")
        for column, operation in enumerate(AGAINST_SIZE):
            lines = [(self.points(memory, operation, value), color, number, style)
                     for number, (memory, color) in enumerate(MEMORIES.items()) for value, style in STYLES.items()]
            axes = self.panel(column, lines, _around(plan.SIZES), self.show_cost)
            axes.frame(plan.OPERATIONS[operation].title, "size of the buffer", "", _size_ticks(), axes.y_ticks)
            axes.draw()
            if not column:
                self.legend(axes.left + 12, axes.top + 12,
                            [(plan.MEMORIES[memory].title, color, number, "solid")
                             for number, (memory, color) in enumerate(MEMORIES.items())])
        self.top += PANEL + MARGIN

    def fragmentation(self):
        """Cost against the length of runs."""
        self.heading("Cost as memory gets fragmented: 64 MiB of 4 KiB pages",
                     "On the left, every page is elsewhere. Solid: udmabuf_rs. Dashed: the C driver.")
        runs = plan.RUN_LENGTHS
        ticks = [(run, str(run)) for run in runs]
        half = len(AGAINST_RUNS) // 2 + 1
        for column, (title, operations, show) in enumerate([
                (self.cost, AGAINST_RUNS[:half], self.show_cost), (self.cost, AGAINST_RUNS[half:], self.show_cost),
                ("kernel memory of a buffer", ["memory"], _bytes)]):
            lines = [(self.by_run(operation, value), OPERATIONS[operation], number, STYLES[value])
                     for number, operation in enumerate(operations) for value in ("rust", "c")]
            axes = self.panel(column, lines, _around(runs), show, room=10)
            axes.frame(title, "pages in a run", "", ticks, axes.y_ticks)
            axes.draw()
            self.legend(axes.left + 12, axes.bottom - 12 - 20 * len(operations),
                        [(plan.OPERATIONS[operation].title, OPERATIONS[operation], number, "solid")
                         for number, operation in enumerate(operations)])
        self.top += PANEL + MARGIN

    def by_run(self, operation, value):
        """Pairs of a run length and a value."""
        size = 64 * plan.MIB
        return [(run, point[1]) for run in plan.RUN_LENGTHS
                for point in self.points(f"4k-run-{run}", operation, value, [size])]

    # Parts of a panel

    def panel(self, column, lines, x_range, show, room=1):
        """Axes that suit the lines, which draw() puts on them, with room for a legend below them."""
        values = [value for points, *_ in lines for _, value in points]
        limits = decades(min(values, default=1) / room, max(values, default=10))
        axes = Axes(self.page, self.box(column), x_range, limits)
        axes.y_ticks = decade_ticks(limits, show)
        axes.draw = lambda: [axes.series(points, color, marker, style) for points, color, marker, style in lines]
        return axes

    def legend(self, left, top, entries):
        """Names beside pieces of their lines."""
        for words, color, marker, style in entries:
            self.page.line([(left, top + 7), (left + 30, top + 7)], color, 1.8, style)
            self.page.marker((left + 15, top + 7), marker, color)
            self.page.text((left + 40, top + 7), words, 13, "lm")
            top += 20


def _around(values):
    """A range with some room on both sides."""
    return min(values) / 1.6, max(values) * 1.6


def _size_ticks():
    return [(size, plan.show_size(size)) for size in plan.SIZES]


def _count(value):
    """A power of ten in words of one letter."""
    return next(f"{value / factor:g}{letter}" for factor, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k"), (0, ""))
                if value >= factor) if value else "0"


def _bytes(value):
    return _count(value) + "B"


def draw(source, target):
    """The picture of a CSV file."""
    picture = Picture(*results.read(source))
    picture.ratios()
    picture.sizes()
    picture.fragmentation()
    picture.page.save(target)


if __name__ == "__main__":
    draw(Path(sys.argv[1]), Path(sys.argv[2]))
