# SPDX-License-Identifier: GPL-2.0
"""Drivers with one mistake each, which a selftest must find.

Each is a copy of the checkout, built and booted: one to two minutes, which is too
long for every run. Six campaigns: mistakes of settle.rs, built with random delays
inside the merge, against the stress test of that name (the model checker runs
these, and more, each time); checks that are missing from the restrictions of
buffers and from the strict creation call; events of tracepoints that are missing
or wrong; mistakes all over the driver that once went unnoticed; on the debug
kernel, what an error path forgets; and, on the one with KCSAN, data races.
"""

import fcntl
import re
import shutil
import subprocess
from dataclasses import dataclass

import client

from . import access_mutants, driver_mutants, fault_mutants, ktap, plan, race_mutants, settle, trace_mutants
from .build import CHECKOUT, cache_folder

SUBJECT = "mutants"
SETTLE = settle.SOURCE.relative_to(CHECKOUT)

# By their names in settle.MUTANTS.
NAMES = [
    "a word is stored although not all of its bytes differ",
    "a source is read twice, and the base takes the second value",
    "all is copied where the destination equals the base",
    "START fetches nothing",
    "START pushes nothing of what was fetched",
    "START pushes nothing of what direct devices wrote",
    "the base is not updated",
    "the counter is raised late",
]


# Options of check for boots that are not in every run.
WHICH = {plan.FAULTS_FEW.name: ["--faults"], plan.RACES: ["--stress", "30"]}


@dataclass(frozen=True)
class Case:
    """A mistake, and how it is found: a line of the output that matches, in a run that fails."""

    name: str
    file: str
    old: str
    new: str
    boot: str
    program: str
    shows: str


def cases():
    """All mutants, those that take less time first. A name that settle does not know is a mutant that fits nothing."""
    known = {mutant.name: mutant for mutant in settle.MUTANTS}
    found = [Case(mutant.name, mutant.file, mutant.old, mutant.new, mutant.boot, mutant.program, mutant.shows)
             for mutant in access_mutants.MUTANTS + trace_mutants.MUTANTS + driver_mutants.MUTANTS]
    found += [Case(mutant.name, mutant.file, mutant.old, mutant.new, plan.FAULTS_FEW.name, mutant.program, mutant.shows)
              for mutant in fault_mutants.MUTANTS]
    found += [Case(mutant.name, mutant.file, mutant.old, mutant.new, plan.RACES, mutant.program, mutant.shows)
              for mutant in race_mutants.MUTANTS]
    for name in NAMES:
        old, new = (known[name].old, known[name].new) if name in known else ("", "")
        found.append(Case(name, str(SETTLE), old, new, "staged-slow", "settle", r"round \d+: .*"))
    return found


def run(show, wanted=()):
    """The driver as it is, which passes, and each mutant, which must not. `wanted` names programs; none: all."""
    chosen = [case for case in cases() if not wanted or case.program in wanted]
    show.heading(f"mutants: {len(chosen)} drivers with a mistake, each of which must be found")
    folder = cache_folder() / "mutant"
    folder.parent.mkdir(parents=True, exist_ok=True)
    results = []
    with open(folder.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for boot, program in sorted({(case.boot, case.program) for case in chosen}):
            results.append(_unchanged(folder, boot, program, show))
            if results[-1].status == ktap.PASSED:
                results += [_mutant(folder, case, show) for case in chosen if (case.boot, case.program) == (boot, program)]
        shutil.rmtree(folder, ignore_errors=True)
    return results


def _boot(folder, boot, program, file=None, source=None):
    """Copies the checkout, with `source` in `file`, and runs a program there. Returns what was printed, and the status."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(CHECKOUT, folder, symlinks=True, ignore=shutil.ignore_patterns(".git", "*.ko", "*.o", "*.cmd"))
    # What was built of the last mutant is newer than the copies, which keep their times: make has to see a change.
    for changed in {case.file for case in cases()}:
        (folder / changed).touch()
    if file:
        (folder / file).write_text(source)
    done = client.run([folder / "tools/testing/check", *WHICH.get(boot, []), "--verbose", "--boot", boot, "--subject", program],
                      stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    return done.stdout, done.returncode


def _unchanged(folder, boot, program, show):
    output, status = _boot(folder, boot, program)
    if status:
        show.line(output)
    name = f"{SUBJECT}: {program} passes with the driver as it is"
    return ktap.Result(SUBJECT, name, ktap.FAILED if status else ktap.PASSED, "see above" if status else "")


def _mutant(folder, case, show):
    """A mutant is found when it builds and boots, and the test that is meant to says so."""
    title = f"{SUBJECT}: {case.program}: {case.name}"
    source = (CHECKOUT / case.file).read_text()
    if not case.old or source.count(case.old) != 1:
        return ktap.Result(SUBJECT, title, ktap.FAILED, f"does not fit {case.file}")
    output, status = _boot(folder, case.boot, case.program, case.file, source.replace(case.old, case.new))
    found = re.search(rf"^.*?({case.shows}.*)$", output, re.MULTILINE)
    if status == 1 and found:
        show.line(f"mutant: {case.name}: found: {found.group(1)}")
        return ktap.Result(SUBJECT, title, ktap.PASSED)
    show.line(output)
    return ktap.Result(SUBJECT, title, ktap.FAILED, "not found" if not status else "found otherwise, or did not run: see above")
