# SPDX-License-Identifier: GPL-2.0
"""Properties of the driver's arithmetic, which needs no kernel: tools/testing/properties.

A mutant is the same crate around a copy of the driver's files with one mistake,
which its properties must find.
"""

import re
import shutil
import tempfile
import threading
from pathlib import Path

import client

from . import cargo, host, ktap
from .build import CHECKOUT, TESTING, VM, cache_folder
from .properties_mutants import FILES, MUTANTS

SUBJECT = "properties"
CRATE = TESTING / "properties"
FAILED = re.compile(r"^test tests::(\S+) \.\.\. FAILED$", re.MULTILINE)
# What the driver must not do to memory at all ends the program.
ENDED = re.compile(r"^the kernel was asked for .*$", re.MULTILINE)
BUILT = re.compile(r"^ *Executable unittests \S+ \((.*)\)$", re.MULTILINE)
# One is built while another runs.
JOBS = 2


def run(show, mutants=True):
    """The properties of the files as they are, and each mutant unless there are to be none."""
    show.heading("host: properties of the driver's arithmetic")
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="properties-", dir=folder) as made, cargo.Lock(SUBJECT):
        building = threading.Lock()
        output, status = _run(None, Path(made) / "real", building)
        results = host.rust_results(SUBJECT, SUBJECT, output, status, show)
        if status or not mutants:
            return results
        with client.pool(JOBS) as pool:
            done = pool.map(lambda at: _run(MUTANTS[at], Path(made) / f"mutant-{at}", building), range(len(MUTANTS)))
            return results + [_verdict(mutant, each, show) for mutant, each in zip(MUTANTS, done)]


def _run(mutant, folder, building):
    """Builds the crate around a copy of the driver's files, with a mistake or without. Runs it: output and status.

    Even without: cargo takes what was built of another copy for this one's, unless the files are newer.
    """
    crate = folder / CRATE.relative_to(CHECKOUT)
    for name in FILES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        source = (CHECKOUT / name).read_text()
        if mutant and name == mutant.file:
            if source.count(mutant.old) != 1:
                return f"matches {source.count(mutant.old)} times", 0
            source = source.replace(mutant.old, mutant.new)
        (folder / name).write_text(source)
    with building:
        shutil.copytree(CRATE, crate, copy_function=shutil.copyfile)
        wanted = ["--no-default-features", f"--features={mutant.module}"] if mutant else []
        output, status = cargo.run(SUBJECT, crate / "Cargo.toml", folder, "test", "--lib", "--no-run", *wanted)
        built = BUILT.search(output)
        if status or not built:
            return output, status or 1
        program = shutil.copy2(built.group(1), folder)
    if not mutant:
        return host.run([VM / "root", "--", program])
    # That a mistake is found is enough; the shortest input that shows it is not looked for.
    return host.run([VM / "root", "--", "env", "PROPTEST_MAX_SHRINK_ITERS=0", program, f"tests::{mutant.module}"])


def _verdict(mutant, done, show):
    """A mutant is found when a property of its module fails, or the program is ended."""
    output, status = done
    found = ENDED.findall(output) + [name for name in FAILED.findall(output) if name.startswith(mutant.module)]
    name = f"{SUBJECT}: mutant: {mutant.name}"
    if status and found:
        show.line(f"mutant: {mutant.name}: found: {found[0]}")
        return ktap.Result(SUBJECT, name, ktap.PASSED)
    if status:
        print(output)
        return ktap.Result(SUBJECT, name, ktap.FAILED, "does not build, or ended otherwise: see above")
    return ktap.Result(SUBJECT, name, ktap.FAILED, output if output.startswith("matches") else "not found")
