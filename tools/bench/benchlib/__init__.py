# SPDX-License-Identifier: GPL-2.0
"""The rooms behind tools/bench/bench, scale and latency.

cli       the command line, and the order of things
plan      what is measured: operations, kinds of memory, sizes
targets   what the ratios must be
build     the guest's program and the modules, built in the build root
guest     the boots: the script that runs in each, its output as it comes
stats     from raw samples to cells: medians, ratios, spread
results   cells in a CSV file
peers     where a peer is faster, and why
table     cells for people: on a terminal, and in Markdown
plot      the picture: which panels there are, and what they show
profile   where the instructions of an operation go
counted   a boot in which a program of the guest counts instructions
scale     tools/bench/scale: what grows with the number of things that are alive
scaleplot its picture
latency   tools/bench/latency: the longest times
"""

import sys
from pathlib import Path

# For the module client, through which commands of tools/vm are started.
sys.path.append(str(Path(__file__).resolve().parents[2] / "vm"))
