# SPDX-License-Identifier: GPL-2.0
"""The driver's records in all interleavings of a few tasks: tools/testing/interleavings.

cargo builds the program around the files of the records. A mutant is the same
program around copies of them, one of which has a mistake; it must find what is
lost. What stands for the kernel crate is compiled once, for all of them.
"""

import re
import shutil
import tempfile
from pathlib import Path

import client

from . import host, ktap, model
from .build import CHECKOUT, TESTING, VM, cache_folder
from .interleavings_mutants import MUTANTS

SUBJECT = "interleavings"
CRATE = TESTING / "interleavings"
# The records, and the other file of the driver that they need.
RECORDS = {"unbind": CHECKOUT / "seam/unbind.rs", "registry": CHECKOUT / "seam/system_memory/registry.rs"}
FILES = [*RECORDS.values(), CHECKOUT / "seam/device.rs"]
PROGRAM = "interleavings"
LIBRARY = "libkernel.rlib"
EXPLORED = re.compile(r"^explored (.+): (\d+)$", re.MULTILINE)
ENDED = re.compile(r"^all (\d+) scenarios$", re.MULTILINE)
LOST = re.compile(r"^lost (.*)$", re.MULTILINE)


def run(show, mutants=True):
    """All scenarios with the files as they are, and each mutant unless there are to be none."""
    show.heading("host: records of devices and buffers, in all interleavings")
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="interleavings-", dir=folder) as made:
        built, output = model.build(SUBJECT, CRATE, PROGRAM, LIBRARY, Path(made))
        if not built:
            print(output)
            return [ktap.Result(SUBJECT, f"{SUBJECT}: {record}", ktap.FAILED, "does not compile") for record in RECORDS]
        with client.pool(model.JOBS) as pool:
            real = pool.map(lambda record: model.explore(built.program, record), RECORDS)
            wanted = MUTANTS if mutants else []
            done = pool.map(lambda at: _mutant(built, Path(made) / f"mutant-{at}", wanted[at]), range(len(wanted)))
            results = [result for record, each in zip(RECORDS, real) for result in _real(record, each, show)]
            return results + [_verdict(mutant, each, show) for mutant, each in zip(wanted, done)]


def _real(record, done, show):
    """One result for each scenario, and one for the record if the program did not come to its end."""
    output, status = done
    explored = EXPLORED.findall(output)
    ended = ENDED.search(output)
    results = [ktap.Result(SUBJECT, f"{SUBJECT}: {record}: {name}", ktap.PASSED if int(count) > 1 else ktap.FAILED)
               for name, count in explored]
    if status or not ended or int(ended.group(1)) != len(explored) or not explored:
        print(output)
        lost = LOST.search(output)
        return [*results, ktap.Result(SUBJECT, f"{SUBJECT}: {record}", ktap.FAILED, lost.group(1) if lost else "no result")]
    show.line(f"{record}: {len(explored)} scenarios, {sum(int(count) for _, count in explored):,} interleavings, "
              "nothing is lost")
    return results


def _mutant(built, folder, mutant):
    """Runs the scenarios of a record with a mistake. Returns output and status."""
    source = RECORDS[mutant.record].read_text()
    if source.count(mutant.old) != 1:
        return f"matches {source.count(mutant.old)} times", None
    # The program finds the files by their places in the checkout.
    sources = folder / CRATE.relative_to(CHECKOUT) / "src"
    shutil.copytree(CRATE / "src", sources)
    for file in FILES:
        copy = folder / file.relative_to(CHECKOUT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)
    (folder / RECORDS[mutant.record].relative_to(CHECKOUT)).write_text(source.replace(mutant.old, mutant.new))
    output, status = host.run([VM / "root", "--", "rustc", "--edition=2021", "-Awarnings",
                               f"--extern=kernel={built.library}", f"-Ldependency={built.crates}",
                               "-o", folder / PROGRAM, sources / "main.rs"])
    if status:
        return f"does not compile:\n{output}", status
    return model.explore(folder / PROGRAM, mutant.record)


def _verdict(mutant, done, show):
    """A mutant is found when the program ends with a loss."""
    output, status = done
    lost = LOST.search(output) if status == 1 else None
    name = f"{SUBJECT}: mutant: {mutant.name}"
    if lost:
        show.line(f"mutant: {mutant.name}: found: {lost.group(1)}")
        return ktap.Result(SUBJECT, name, ktap.PASSED)
    if status:
        print(output)
    reason = output.splitlines()[0] if status != 0 and output else "not found"
    return ktap.Result(SUBJECT, name, ktap.FAILED, reason)
