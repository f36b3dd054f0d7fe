# SPDX-License-Identifier: GPL-2.0
"""One boot: the script that runs in it, and its output as it comes."""

import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import client

from . import build, plan
from .build import VM
from .stats import Sample

# For any part of it: instruction counts depend on how much memory there is.
MEMORY = "6G"
SECONDS = 3600          # a limit for what hangs; emulated, it takes some minutes

# init_on_alloc hides what allocating costs behind what clearing does. The rest keeps runs alike.
ARGUMENTS = "init_on_alloc=0 nokaslr randomize_kstack_offset=0"

HEAD = """#!/bin/sh
# The host finds its way through the output by the first word of a line.
for driver in /sys/module/udmabuf /sys/module/udmabuf_rs; do
	[ ! -e $driver/parameters ] || echo 16384 > $driver/parameters/list_limit
	[ ! -e $driver/parameters ] || echo 1000000 > $driver/parameters/size_limit_mb
done
insmod /bench/udmabuf_importer.ko && insmod /bench/udmabuf_floor.ko || exit 1
sleep {settle}
pools=/sys/kernel/mm/hugepages
status=0
measure() {
	echo "begin $1"
	memory=$1
	shift
	/bench/udmabuf_bench --memory $memory "$@" || status=1
}
# Pages of a pool, or fewer where the machine has none or too little memory.
pool() {
	[ -e $pools/$1/nr_hugepages ] || return 1
	echo $2 > $pools/$1/nr_hugepages
	[ "$(cat $pools/$1/nr_hugepages)" -ge $2 ]
}
"""


# Functions of the kernel and its modules.
SYMBOLS = r"sed -n 's/^\([0-9a-f]*\) [tTwW] \([^[:space:]]*\).*/symbol \1 \2/p' /proc/kallsyms"


@dataclass
class Request:
    """What to measure."""

    icount: bool = False
    memories: list = field(default_factory=lambda: list(plan.MEMORIES))
    sizes: list = field(default_factory=list)          # all of each memory, where it is empty
    operations: list = field(default_factory=list)     # all, where it is empty
    drivers: list = field(default_factory=lambda: list(plan.SUBJECTS))      # and their peers
    rounds: int = 7
    plugin: str = ""        # of the emulator, with its arguments: counts by function between marks
    long: bool = False      # whether large buffers go through what takes long and shows nothing new

    def parts(self, machine):
        """What is run on a machine, in that order: (session, kind of memory, groups, sizes)."""
        wanted = [plan.OPERATIONS[name] for name in self.operations or plan.OPERATIONS]
        groups = {operation.group for operation in wanted if operation.machine == machine.name}
        groups -= plan.NEEDS_TIME if self.icount else set()
        for session in plan.SESSIONS:
            chosen = [group for group in session.groups if group in groups]
            for memory in plan.MEMORIES.values():
                if memory.name not in session.memories or memory.name not in self.memories:
                    continue
                sizes = [size for size in session.sizes_of(memory) if not self.sizes or size in self.sizes]
                if session.machine == machine.name and chosen and sizes:
                    yield session, memory, chosen, sizes

    def machines(self):
        """Those that it takes."""
        return [machine for machine in plan.MACHINES.values() if any(self.parts(machine))]

    def options(self, machine):
        """Options of tools/vm/run that say what machine it is."""
        append = f"{ARGUMENTS} {machine.append}".strip()
        return [f"--mem={MEMORY}", f"--smp={1 if self.icount else 2}", f"--append={append}", *machine.run,
                *(["--icount"] if self.icount else []),
                *([f"--qemu=-plugin {self.plugin}"] if self.plugin else [])]


@dataclass
class Report:
    """What a boot brought."""

    samples: list = field(default_factory=list)
    facts: dict = field(default_factory=dict)
    notes: list = field(default_factory=list)       # what peers cannot do
    problems: list = field(default_factory=list)
    marked: list = field(default_factory=list)      # (number, operation, subject) of marked stretches
    symbols: list = field(default_factory=list)     # (address, name) of the kernel's functions


def script(requests, machine):
    """The shell script that measures everything in turn on a machine."""
    lines = [HEAD.replace("{settle}", str(machine.settle))]
    parts = [part for request in requests for part in request.parts(machine)]
    for memory in {memory.hugetlb: memory for memory in plan.MEMORIES.values() if memory.hugetlb}.values():
        if not any(part[1].hugetlb == memory.hugetlb for part in parts):
            lines.append(_drop(memory))
    for request in requests:
        lines += _measures(request, machine)
    lines += [SYMBOLS] if any(request.plugin for request in requests) else []
    return "\n".join(lines) + "\nexit $status\n"


def _measures(request, machine):
    lines = []
    common = ["--icount"] if request.icount else []
    common += ["--long"] if request.long else []
    common += ["--marks"] if request.plugin else []
    common += machine.program
    common += [f"--subject={name}={plan.SUBJECTS[name]}" for name in plan.SUBJECTS if name in request.drivers]
    for session, memory, groups, sizes in request.parts(machine):
        times = [f"--rounds={request.rounds}"]
        if request.icount:
            times = [f"--rounds={min(request.rounds, session.rounds)}", f"--warmups={session.warmups}"]
        words = ["measure", memory.name, *times, *common, *(f"--group={group}" for group in groups),
                 *(f"--size={size}" for size in sizes)]
        lines += _with_pool(memory, max(sizes), " ".join(words))
    return lines


def pages_of(memory, size):
    """How many of its pages a size takes."""
    return -(-size // memory.folio)


def _with_pool(memory, size, command):
    """A command among those that give the memory's pool its pages, and take them away."""
    if not memory.hugetlb:
        return [command]
    return [f"if pool {memory.hugetlb} {pages_of(memory, size)}; then", f"\t{command}",
            f"else\n\techo 'lacking {memory.name}'\nfi", _drop(memory)]


def _drop(memory):
    return f"[ ! -e $pools/{memory.hugetlb} ] || echo 0 > $pools/{memory.hugetlb}/nr_hugepages"


def measure(request, show=lambda text: None, *more):
    """Build, boot, measure: a boot for each machine, for all requests. `show` gets a line now and then.

    How the machine is started is up to the first request.
    """
    report = Report()
    started = time.monotonic()
    say = lambda text: show(f"{time.monotonic() - started:4.0f} s: {text}")  # noqa: E731
    with tempfile.TemporaryDirectory(prefix="udmabuf-bench-") as name:
        for machine in plan.MACHINES.values():
            if not any(any(each.parts(machine)) for each in (request, *more)):
                continue
            if machine.name != plan.PLAIN:
                say(f"on a machine with {machine.title}:")
            file = Path(name) / f"{machine.name}.sh"
            file.write_text(script([request, *more], machine))
            _boot(_command(request, machine, file), machine, report, say)
    _check(report, request)
    return report


def _command(request, machine, file):
    added = {file: "guest.sh", build.program(): build.PROGRAM,
             build.module(build.IMPORTER): "udmabuf_importer.ko",
             build.module(build.BENCH / "floor"): "udmabuf_floor.ko"}
    command = [VM / "run", f"--timeout={SECONDS}", *request.options(machine)]
    command += [f"--add={path}=/bench/{name}" for path, name in added.items()]
    return [*map(str, command), "--", "sh", "/bench/guest.sh"]


def _boot(command, machine, report, show):
    with client.started(command, stdout=subprocess.PIPE, text=True, errors="replace") as child:
        for line in child.stdout:
            take_line(line.split(), report, show, machine)
    if child.returncode:
        report.problems.append(f"the run in the VM failed (status {child.returncode})")


def take_line(words, report, show, machine=plan.MACHINES[plan.PLAIN]):
    """One line of the guest's output."""
    if not words:
        return
    if words[0] == "sample" and len(words) == 7:
        _, memory, size, operation, subject, number, value = words
        if machine.name_of(operation) in plan.OPERATIONS:
            report.samples.append(Sample(memory, int(size), machine.name_of(operation), subject, int(number),
                                         int(value)))
    elif words[0] == "fact" and len(words) == 3:
        report.facts[words[1]] = float(words[2])
    elif words[0] in ("failed", "cannot") and len(words) > 5:
        text = (f"{words[1]}, {plan.show_size(int(words[2]))}: {machine.name_of(words[3])} by {words[4]}: "
                f"{' '.join(words[5:])}")
        kept = report.problems if words[0] == "failed" else report.notes
        if text not in kept:
            kept.append(text)
    elif words[0] == "marked" and len(words) == 4:
        report.marked.append((int(words[1]), machine.name_of(words[2]), words[3]))
    elif words[0] == "symbol" and len(words) == 3:
        report.symbols.append((int(words[1], 16), words[2]))
    elif words[0] == "lacking":
        report.facts[f"lacking/{words[1]}"] = 1
        show(f"this machine has no room for {plan.MEMORIES[words[1]].title}")
    elif words[0] == "begin":
        show(plan.MEMORIES[words[1]].title)
    else:
        show(" ".join(words))


def _check(report, request):
    """What must be so for the figures to mean what they say."""
    problems = report.problems
    if not report.samples:
        problems.append("nothing was measured")
    million = report.facts.get("million_instructions")
    if request.icount and million and abs(million - 1e6) > 1e4:
        problems.append(f"the clock counts {million:.0f} where a million instructions were run")
    for name, value in report.facts.items():
        if name.startswith("dirty/") and value != 3:
            problems.append(f"pages of {name[6:]} are not dirty, as they should be")
    for sample in report.samples:
        folio = plan.MEMORIES[sample.memory].folio
        expected = max(1, sample.size // folio)
        if sample.operation == "folios" and sample.value != expected:
            problems.append(f"{sample.memory}, {plan.show_size(sample.size)}: made of {sample.value} folios, "
                            f"not of {expected}")
