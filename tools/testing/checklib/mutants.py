# SPDX-License-Identifier: GPL-2.0
"""Drivers with a mistake in settle.rs, which the stress test of that name must find.

Each is a copy of the checkout, built with random delays inside the merge and
booted: two minutes, which is too long for every run. The model checker runs
these mistakes, and more, each time.
"""

import fcntl
import re
import shutil
import subprocess

import client

from . import ktap, settle
from .build import CHECKOUT, cache_folder

SUBJECT = "mutants"
BOOT, PROGRAM = "staged-slow", "settle"
SOURCE = settle.SOURCE.relative_to(CHECKOUT)

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


def run(show):
    """The driver as it is, which passes, and each mutant, which must not."""
    show.heading(f"mutants: the subject {PROGRAM} must find each")
    known = {mutant.name: mutant for mutant in settle.MUTANTS}
    folder = cache_folder() / "mutant"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(folder.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        results = [_unchanged(folder, show)]
        if results[0].status == ktap.PASSED:
            results += [_mutant(folder, known.get(name), name, show) for name in NAMES]
        shutil.rmtree(folder, ignore_errors=True)
    return results


def _boot(folder, source):
    """Copies the checkout, with `source` for settle.rs, and runs the stress test. Returns its lines of results."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(CHECKOUT, folder, symlinks=True, ignore=shutil.ignore_patterns(".git", "*.ko", "*.o", "*.cmd"))
    (folder / SOURCE).write_text(source)
    done = client.run([folder / "tools/testing/check", "--verbose", "--boot", BOOT, "--subject", PROGRAM],
                      stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    return done.stdout, done.returncode


def _unchanged(folder, show):
    output, status = _boot(folder, settle.SOURCE.read_text())
    if status:
        show.line(output)
    name = f"{SUBJECT}: the driver as it is loses nothing"
    return ktap.Result(SUBJECT, name, ktap.FAILED if status else ktap.PASSED, "see above" if status else "")


def _mutant(folder, mutant, name, show):
    """A mutant is found when it builds and boots, and a test says that bytes were lost."""
    title = f"{SUBJECT}: {name}"
    source = settle.SOURCE.read_text()
    if not mutant or source.count(mutant.old) != 1:
        return ktap.Result(SUBJECT, title, ktap.FAILED, "does not fit settle.rs")
    output, status = _boot(folder, source.replace(mutant.old, mutant.new))
    lost = re.search(r"^.*(round \d+: .*)$", output, re.MULTILINE)
    if status == 1 and lost:
        show.line(f"mutant: {name}: found: {lost.group(1)}")
        return ktap.Result(SUBJECT, title, ktap.PASSED)
    show.line(output)
    return ktap.Result(SUBJECT, title, ktap.FAILED, "not found" if not status else "did not run, see above")
