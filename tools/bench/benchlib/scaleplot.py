# SPDX-License-Identifier: GPL-2.0
"""The picture of tools/bench/scale: a panel for each thing that is counted, a line for each operation.

Run in the build root, which has matplotlib:   python3 scaleplot.py CSV PNG
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

from benchlib import scale  # noqa: E402

COLORS = {
    "create": "#1f4e9c", "close": "#5b9bd5", "mmap": "#9a9a9a", "touch": "#2ca02c", "munmap": "#e67e22",
    "sync": "#8e44ad", "map": "#c0392b", "unmap": "#e57373", "unmap_old": "#b5a100", "fork": "#000000",
    "exit": "#795548",
}
STYLES = {"rust": ("-", "o"), "c": ("--", "x")}
PER_ROW = 3


def panel(axes, lines):
    """Draw the operations of one thing on one machine; returns a handle for each."""
    drawn = {}
    for line in lines:
        for driver, (style, marker) in STYLES.items():
            points = sorted(line.costs[driver].items())
            handle, = axes.plot([alive for alive, _ in points], [cost for _, cost in points], style,
                                color=COLORS[line.operation], marker=marker, markersize=4, linewidth=1.2)
            if driver == "rust":
                drawn[scale.OPERATIONS[line.operation]] = handle
    axes.set_title(f"{lines[0].thing}; {scale.MACHINES[lines[0].machine].title}", fontsize=11)
    axes.set_xlabel("alive")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(scale.LEVELS, [f"{level:,}" for level in scale.LEVELS])
    axes.set_ylim(1e3, 1e8)
    axes.set_xlim(0.8, 12500)
    axes.yaxis.set_major_formatter(ticker.FuncFormatter(
        lambda value, _: f"{value / 1e6:g}M" if value >= 1e6 else f"{value / 1e3:g}k"))
    axes.minorticks_off()
    axes.grid(color="#e0e0e0")
    return drawn


def draw(source, target):
    """The picture of a CSV file."""
    groups = {}
    for line in scale.read(source):
        groups.setdefault((line.machine, line.thing), []).append(line)
    rows = -(-len(groups) // PER_ROW)
    figure, panels = pyplot.subplots(rows, PER_ROW, figsize=(16.4, 5 * rows), layout="constrained", squeeze=False)
    figure.suptitle("Guest instructions of one operation against the number of things that are alive. "
                    "Solid: udmabuf_rs. Dashed: the C driver.", x=0.01, ha="left", fontsize=12)
    drawn = {}
    panels = list(panels.flat)
    for axes, lines in zip(panels, groups.values()):
        drawn.update(panel(axes, lines))
    for axes in panels[len(groups):]:
        axes.axis("off")
    figure.legend(drawn.values(), drawn.keys(), loc="outside lower left", ncols=6, frameon=False)
    figure.savefig(target, dpi=100)


if __name__ == "__main__":
    draw(Path(sys.argv[1]), Path(sys.argv[2]))
