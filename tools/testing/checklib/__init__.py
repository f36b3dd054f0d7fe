# SPDX-License-Identifier: GPL-2.0
"""The rooms behind tools/testing/check.

cli       the command line, and the order of things
plan      which boots there are, what runs in each, what every row asks
cost      what buffers cost, in guest instructions: a guard
build     the selftests and upstream's own, built in the build root
properties  properties of the arithmetic, which needs no kernel
cargo     builds of crates, for those that have some
model     building and running programs that check interleavings
settle    the model checker of how memory and stagings are merged
interleavings  records of devices and buffers in all interleavings of a few tasks
tracing   tools/trace with perf and bpftrace, beside a known workload
host      tests that need no VM: Rust arithmetic, Python tools
guest     one boot: the script that runs in it, its output as it comes
ktap      from lines of KTAP to results
faults    the table of fault injection
fuzz      the fuzzer's boots, its corpus, its table
reached   from blocks of machine code to lines of the module
mutants   drivers with one mistake each, written down in *_mutants
mutation  the mutation score, of mistakes that mutation_sites makes; survivors argues for the rest
section   tables in Documentation that commands write
matrix    the rows of the coherence matrix; from results to cells
report    what is printed at the end
neighbours  tools/testing/neighbours: what an unprivileged user can cost others, as a table
"""

import sys
from pathlib import Path

# For the module client, through which commands of tools/vm are started.
sys.path.append(str(Path(__file__).resolve().parents[2] / "vm"))
