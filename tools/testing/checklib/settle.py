# SPDX-License-Identifier: GPL-2.0
"""The model checker of how memory and stagings are merged: tools/testing/settle.

cargo builds it around seam/system_memory/settle.rs. A mutant is the same program
around a copy of that file with one mistake; it must find what is lost. Its
library and the crates are compiled once, for all of them.
"""

import re
import shutil
import tempfile
from pathlib import Path

import client

from . import host, ktap, model
from .build import CHECKOUT, TESTING, VM, cache_folder
from .settle_mutants import MUTANTS

SUBJECT = "settle_model"
MODEL = TESTING / "settle"
SOURCE = CHECKOUT / "seam/system_memory/settle.rs"
PROGRAM = "settle_model"
LIBRARY = "libsettle_model.rlib"
STATES = re.compile(r"^states (\d+) (\d+)$", re.MULTILINE)
LOST = re.compile(r"^lost (.*)$", re.MULTILINE)
MODELS = ["coherent machines", "machines that are not coherent"]


def run(show, mutants=True):
    """Both models with the file as it is, and each mutant unless there are to be none."""
    show.heading("host: merging memory and stagings, in all interleavings")
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="settle-", dir=folder) as made:
        built, output = model.build("settle", MODEL, PROGRAM, LIBRARY, Path(made))
        if not built:
            print(output)
            return [ktap.Result(SUBJECT, f"{SUBJECT}: {name}", ktap.FAILED, "does not compile") for name in MODELS]
        results = _real(model.explore(built.program), show)
        if not mutants:
            return results
        with client.pool(model.JOBS) as pool:
            done = pool.map(lambda at: _mutant(built, Path(made) / f"mutant-{at}", MUTANTS[at]), range(len(MUTANTS)))
            return results + [_verdict(mutant, each, show) for mutant, each in zip(MUTANTS, done)]


def _real(done, show):
    output, status = done
    states = STATES.search(output)
    if status or not states:
        print(output)
        lost = LOST.search(output)
        return [ktap.Result(SUBJECT, f"{SUBJECT}: {name}", ktap.FAILED, lost.group(1) if lost else "no result")
                for name in MODELS]
    results = []
    for name, count in zip(MODELS, states.groups()):
        show.line(f"{name}: {int(count):,} states, nothing is lost")
        results.append(ktap.Result(SUBJECT, f"{SUBJECT}: {name}",
                                   ktap.PASSED if int(count) > 1000 else ktap.FAILED))
    return results


def _mutant(built, folder, mutant):
    """Runs the search with a mistake. Returns its output and status."""
    if mutant.mistake:
        return model.explore(built.program, mutant.mistake)
    source = SOURCE.read_text()
    if source.count(mutant.old) != 1:
        return f"matches {source.count(mutant.old)} times", None
    # The program finds the file by its place in the checkout.
    copy, sources = folder / SOURCE.relative_to(CHECKOUT), folder / MODEL.relative_to(CHECKOUT) / "src"
    shutil.copytree(MODEL / "src", sources)
    copy.parent.mkdir(parents=True)
    copy.write_text(source.replace(mutant.old, mutant.new))
    output, status = host.run([VM / "root", "--", "rustc", "--edition=2021", "-Copt-level=2", "-Awarnings",
                               f"--extern=settle_model={built.library}", f"-Ldependency={built.crates}",
                               "-o", folder / PROGRAM, sources / "main.rs"])
    if status:
        return f"does not compile:\n{output}", status
    return model.explore(folder / PROGRAM)


def _verdict(mutant, done, show):
    """A mutant is found when the program says what was lost."""
    output, status = done
    lost = LOST.search(output) if status else None
    name = f"{SUBJECT}: mutant: {mutant.name}"
    if lost:
        show.line(f"mutant: {mutant.name}: found: {lost.group(1)}")
        return ktap.Result(SUBJECT, name, ktap.PASSED)
    reason = output.splitlines()[0] if status != 0 else "not found"
    return ktap.Result(SUBJECT, name, ktap.FAILED, reason)
