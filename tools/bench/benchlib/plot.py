# SPDX-License-Identifier: GPL-2.0
"""The picture: which panels there are, and what they show.

Run in the build root, which has matplotlib:   python3 plot.py CSV PNG
"""

import os
import sys
import tempfile
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    # It wants a place for its caches, and would complain without.
    SCRATCH = tempfile.TemporaryDirectory(prefix="udmabuf-plot-")
    os.environ["MPLCONFIGDIR"] = SCRATCH.name

import matplotlib  # noqa: E402

matplotlib.use("Agg")

from matplotlib import pyplot, ticker  # noqa: E402

from benchlib import plan, results  # noqa: E402

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
STYLES = {"rust": "-", "c": "--", "floor": ":"}
MARKERS = "osD^vP*X<>dph8"


class Picture:
    """Rows of panels."""

    def __init__(self, cells, icount):
        self.table = {cell.key: cell for cell in cells}
        self.cost = "guest instructions" if icount else "time"
        self.icount = icount
        self.figure = pyplot.figure(figsize=(16.4, 19), layout="constrained")
        self.rows = iter(self.figure.subfigures(3, 1, height_ratios=[2, 1, 1], hspace=0.02))

    def row(self, title, explanation, lines=1):
        """The panels of a section, three in a line."""
        part = next(self.rows)
        part.suptitle(f"{title}\n{explanation}", x=0.01, ha="left", fontsize=11)
        return part.subplots(lines, 3).flat

    def points(self, memory, operation, value, sizes=plan.SIZES):
        """Sizes, and the values that there are."""
        found = [(size, self.table.get((memory, size, operation))) for size in sizes]
        pairs = [(size, getattr(cell, value)) for size, cell in found if cell and getattr(cell, value)]
        return [size for size, _ in pairs], [value for _, value in pairs]

    # Sections

    def ratios(self):
        """Ratio against size: a panel for each kind of memory, a line for each operation."""
        panels = self.row(f"udmabuf_rs beside the C driver: ratio of {self.cost} against size",
                          "Below 1, udmabuf_rs does with less. Kernel memory is what a buffer takes beyond an empty "
                          "dma-buf.", lines=2)
        drawn = {}
        for axes, memory in zip(panels, MEMORIES):
            for marker, (operation, color) in zip(MARKERS * 2, OPERATIONS.items()):
                points = self.points(memory, operation, "ratio")
                if points[0]:
                    title = plan.OPERATIONS[operation].title
                    drawn[title] = axes.plot(*points, color=color, marker=marker, markersize=5)[0]
            axes.axhline(1, color="black", linewidth=1.2)
            self.against_size(axes, plan.MEMORIES[memory].title)
            axes.set_ylim(1e-5, 4)
            axes.yaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))
        last = panels[len(MEMORIES)]
        last.axis("off")
        last.legend(drawn.values(), drawn.keys(), loc="center left", frameon=False)

    def sizes(self):
        """Cost against size."""
        panels = self.row(f"Cost as work grows: {self.cost} against size",
                          "Solid: udmabuf_rs. Dashed: the C driver. Dotted: the floor, pinning and an empty export.")
        for axes, operation in zip(panels, AGAINST_SIZE):
            for marker, (memory, color) in zip(MARKERS, MEMORIES.items()):
                self.lines(axes, color, marker, plan.MEMORIES[memory].title,
                           lambda value, memory=memory: self.points(memory, operation, value))
            self.against_size(axes, plan.OPERATIONS[operation].title)
            axes.yaxis.set_major_formatter(ticker.FuncFormatter(self.show_cost))
        panels[0].legend(fontsize=8)

    def fragmentation(self):
        """Cost against the length of runs."""
        panels = self.row("Cost as memory gets fragmented: 64 MiB of 4 KiB pages",
                          "On the left, every page is elsewhere. Solid: udmabuf_rs. Dashed: the C driver.")
        half = len(AGAINST_RUNS) // 2 + 1
        for axes, title, operations, show in zip(
                panels, (self.cost, self.cost, "kernel memory of a buffer"),
                (AGAINST_RUNS[:half], AGAINST_RUNS[half:], ["memory"]),
                (self.show_cost, self.show_cost, lambda value, _: _scaled(value, "B"))):
            for marker, operation in zip(MARKERS, operations):
                self.lines(axes, OPERATIONS[operation], marker, plan.OPERATIONS[operation].title,
                           lambda value, operation=operation: self.by_run(operation, value))
            self.logarithmic(axes, title, "pages in a run", plan.RUN_LENGTHS, map(str, plan.RUN_LENGTHS))
            axes.yaxis.set_major_formatter(ticker.FuncFormatter(show))
            axes.legend(fontsize=9)

    def by_run(self, operation, value):
        """Run lengths, and the values that there are."""
        size = 64 * plan.MIB
        pairs = [(run, found) for run in plan.RUN_LENGTHS
                 for found in self.points(f"4k-run-{run}", operation, value, [size])[1]]
        return [run for run, _ in pairs], [found for _, found in pairs]

    # Parts of a panel

    def lines(self, axes, color, marker, title, points):
        """One for each driver, and the floor."""
        for value, style in STYLES.items():
            found = points(value)
            if found[0]:
                axes.plot(*found, style, color=color, marker=marker, markersize=4,
                          label=title if value == "rust" else None)

    def against_size(self, axes, title):
        """What all panels with sizes on the x axis have."""
        self.logarithmic(axes, title, "size of the buffer", plan.SIZES, map(plan.show_size, plan.SIZES))

    def logarithmic(self, axes, title, label, ticks, names):
        """Both axes by powers of ten, and marks on one."""
        axes.set_title(title, fontsize=11)
        axes.set_xlabel(label)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xticks(list(ticks), list(names), fontsize=8)
        axes.minorticks_off()
        axes.grid(color="#e0e0e0")

    def show_cost(self, value, _):
        """A power of ten of what things cost."""
        return _scaled(value, "" if self.icount else "s", 1 if self.icount else 1e-9)


def _scaled(value, unit, factor=1):
    """A power of ten of a unit, in words of few letters."""
    value *= factor
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n")):
        if value >= size * 0.999:
            return f"{value / size:g}{letter}{unit}"
    return ""


def draw(source, target):
    """The picture of a CSV file."""
    picture = Picture(*results.read(source))
    picture.ratios()
    picture.sizes()
    picture.fragmentation()
    picture.figure.savefig(target, dpi=100)


if __name__ == "__main__":
    draw(Path(sys.argv[1]), Path(sys.argv[2]))
