# SPDX-License-Identifier: GPL-2.0
"""A boot in which a program of the guest counts instructions."""

import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import client

from . import build, guest, plan
from .build import VM, BenchError

SECONDS = 1800          # a limit for what hangs
ARGUMENTS = guest.ARGUMENTS

HEAD = """#!/bin/sh
# The host finds its way through the output by the first word of a line.
for driver in /sys/module/udmabuf /sys/module/udmabuf_rs; do
	[ ! -e $driver/parameters ] || echo 1000000 > $driver/parameters/size_limit_mb
done
insmod /bench/udmabuf_importer.ko || exit 1
sleep 2
"""


@dataclass
class Machine:
    """A machine to boot, as tools/vm/run knows it."""

    memory: str = "3G"
    append: str = ""
    options: list = field(default_factory=list)
    setup: list = field(default_factory=list)      # lines of shell that set the kernel up
    kernel: str = "stock"


def script(program, calls, machine, symbols=False):
    """The shell script that runs the program, once with each list of options."""
    drivers = [f"--driver={name}={node}" for name, node in plan.DRIVERS.items()]
    lines = [HEAD + "status=0", *machine.setup]
    lines += [" ".join([f"/bench/{program}", *drivers, *words, "|| status=1"]) for words in calls]
    lines += [*([guest.SYMBOLS] if symbols else []), "exit $status"]
    return "\n".join(lines) + "\n"


def run(program, calls, machine, take, plugin="", symbols=False):
    """Build, boot, and pass each line of output to `take` in words.

    `calls` has the options of each call of the program. Fails with a `BenchError` where the run in
    the VM does.
    """
    with tempfile.TemporaryDirectory(prefix="udmabuf-counted-") as name:
        file = Path(name) / "guest.sh"
        file.write_text(script(program, calls, machine, symbols))
        added = {file: "guest.sh", build.program(program, machine.kernel): program,
                 build.module(build.IMPORTER, machine.kernel): "udmabuf_importer.ko"}
        command = [VM / "run", f"--kernel={machine.kernel}", "--icount", f"--timeout={SECONDS}", f"--mem={machine.memory}",
                   f"--append={ARGUMENTS} {machine.append}".strip(), *machine.options]
        command += [f"--qemu=-plugin {plugin}"] if plugin else []
        command += [f"--add={path}=/bench/{target}" for path, target in added.items()]
        command += ["--", "sh", "/bench/guest.sh"]
        with client.started([*map(str, command)], stdout=subprocess.PIPE, text=True, errors="replace") as child:
            for line in child.stdout:
                if line.strip():
                    take(line.split())
        if child.returncode:
            raise BenchError(f"the run in the VM failed (status {child.returncode})")


def check_clock(million):
    """Returns why figures of this clock mean nothing, or an empty text."""
    if million is None:
        return "nothing was measured"
    if abs(million - 1e6) > 1e4:
        return f"the clock counts {million:.0f} where a million instructions were run"
    return ""
