# SPDX-License-Identifier: GPL-2.0
"""The kernels that Debian has, each with the tools it is built with: a table.

The driver is built against each without a warning, loaded, and the tests that
need nothing but the kernel itself are run.
"""

import re
import subprocess
from dataclasses import dataclass

import client

from . import guest, ktap
from .build import CHECKOUT, VM, BuildError, output_of
from .plan import KEEP_128_MIB, LOAD_IMPORTER, Boot

SUBJECT = "kernels"
KERNELS = ["stock", "cloud", "rt", "arm64", "arm64-16k", "arm64-cloud", "arm64-rt", "experimental", "stock-7.2",
           "forky"]
WARNING = re.compile(r"^warning: (?!\d+ warnings? emitted)(.*)|^.*?: warning: (.*)", re.MULTILINE)

STEPS = ["!" + KEEP_128_MIB, "create", "seals", "mmap", "sync", "share", "lifetime", "!" + LOAD_IMPORTER, "import",
         "coherence", "importers", "brackets"]


@dataclass
class Line:
    """A line of the table."""

    kernel: str
    release: str = "–"
    tools: str = "–"
    built: str = "no"
    results: tuple = ()

    def cells(self):
        """Its text, by column."""
        count = {status: sum(result.status == status for result in self.results)
                 for status in (ktap.PASSED, ktap.FAILED, ktap.SKIPPED)}
        return [f"`{self.kernel}`", self.release, self.tools, self.built,
                f"{count[ktap.PASSED]} passed, {count[ktap.FAILED]} failed, {count[ktap.SKIPPED]} skipped"]


def run(show, wanted=()):
    """Build, boot and test each; prints the table, and returns all results."""
    lines = []
    for kernel in [name for name in KERNELS if not wanted or name in wanted]:
        show.heading(f"kernel {kernel}")
        lines.append(_line(kernel, show))
    show.line("\n| `--kernel` | release | tools | builds | tests |\n|---|---|---|---|---|")
    for line in lines:
        show.line(f"| {' | '.join(line.cells())} |")
    return [result for line in lines for result in line.results]


def _line(kernel, show):
    line = Line(kernel)
    name = f"{SUBJECT}: {kernel}: builds without a warning"
    try:
        line.release = output_of([VM / "kernel", "--kernel", kernel, "release"])
        line.tools = output_of([VM / "kernel", "--kernel", kernel, "toolchain"])
    except BuildError as error:
        line.results = (ktap.Result(SUBJECT, name, ktap.FAILED, str(error)),)
        return line
    status, warnings = _build(kernel, show)
    line.built = "no" if status else f"{len(warnings)} warnings" if warnings else "yes"
    reason = "see above" if status else "; ".join(warnings)
    built = ktap.Result(SUBJECT, name, ktap.FAILED if reason else ktap.PASSED, reason)
    booted = [] if status else guest.run(Boot(f"kernel-{kernel}", f"Linux {line.release}", ["--replace-c"], STEPS,
                                              kernel=kernel), show)
    line.results = (built, *booted)
    return line


def _build(kernel, show):
    """Builds the driver anew, so that the compiler says what it has to say: status and warnings."""
    out = client.run([VM / "module", "--kernel", kernel, "--anew", CHECKOUT], stdout=subprocess.DEVNULL,
                     stderr=subprocess.PIPE, text=True, errors="replace")
    warnings = [" ".join(filter(None, found)) for found in WARNING.findall(out.stderr)]
    if out.returncode or warnings:
        show.line(out.stderr)
    return out.returncode, warnings
