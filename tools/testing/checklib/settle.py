# SPDX-License-Identifier: GPL-2.0
"""The model checker of how memory and stagings are merged: tools/testing/settle.

model.rs is compiled around seam/system_memory/settle.rs, and around copies of
that file with one mistake each, which it must find.
"""

import concurrent.futures
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from . import host, ktap
from .build import CHECKOUT, TESTING, VM, cache_folder

SUBJECT = "settle_model"
MODEL = TESTING / "settle"
SOURCE = CHECKOUT / "seam/system_memory/settle.rs"
INCLUDED = "../../../seam/system_memory/settle.rs"
STATES = re.compile(r"^states (\d+) (\d+)$", re.MULTILINE)
LOST = re.compile(r"^lost (.*)$", re.MULTILINE)
MODELS = ["coherent machines", "machines that are not coherent"]
# Two processors are what there is.
JOBS = 2

TAKE = "            take(&differing, base, to, at);\n"
FETCH = "stagings.iter_mut().filter(|staging| staging.is_written())"
PUSH = "    for staging in stagings.iter_mut().filter(|staging| staging.is_read()) {\n"


@dataclass(frozen=True)
class Mutant:
    """A copy of the file with a mistake: what is replaced, once, and by what."""

    name: str
    old: str
    new: str
    environment: tuple = ()


MUTANTS = [
    Mutant("a word is stored although not all of its bytes differ",
           "            _ => store_bytes(word, differing, to, at.wrapping_add(i)),\n",
           "            _ => to.store(at.wrapping_add(i), word),\n"),
    Mutant("a source is read twice, and the base takes the second value",
           TAKE, TAKE + "            (0..N).for_each(|i| base[i] = from.load(at + i));\n"),
    Mutant("all is copied where the destination equals the base",
           TAKE,
           "            if (0..N).all(|i| to.load(at + i) == base[i]) {\n"
           "                (0..N).for_each(|i| to.store(at + i, differing[i]));\n"
           "                *base = differing;\n"
           "            } else {\n" + TAKE + "            }\n"),
    Mutant("START fetches nothing", FETCH,
           "stagings.iter_mut().filter(|staging| point != Point::Start && staging.is_written())"),
    Mutant("START pushes nothing to others", "if point == Point::Start && !fetched && !direct_writers && !was_unpushed {",
           "if point == Point::Start {"),
    Mutant("START pushes nothing of what was fetched", "if point == Point::Start && !fetched && !direct_writers && !was_unpushed {",
           "if point == Point::Start && !direct_writers && !was_unpushed {"),
    Mutant("START pushes nothing of what direct devices wrote",
           "if point == Point::Start && !fetched && !direct_writers && !was_unpushed {", "if point == Point::Start && !fetched && !was_unpushed {"),
    Mutant("a START that was given up is forgotten",
           "if point == Point::Start && !fetched && !direct_writers && !was_unpushed {",
           "if point == Point::Start && !fetched && !direct_writers {"),
    Mutant("END fetches nothing", FETCH,
           "stagings.iter_mut().filter(|staging| point != Point::End && staging.is_written())"),
    Mutant("END pushes nothing", PUSH,
           PUSH.replace("|staging| ", "|staging| point != Point::End && ")),
    Mutant("map fetches nothing", FETCH,
           "stagings.iter_mut().filter(|staging| point != Point::Map && staging.is_written())"),
    Mutant("map pushes nothing", PUSH, PUSH.replace("|staging| ", "|staging| point != Point::Map && ")),
    Mutant("unmap fetches nothing", FETCH,
           "stagings.iter_mut().filter(|staging| point != Point::Unmap && staging.is_written())"),
    Mutant("unmap pushes nothing", PUSH, PUSH.replace("|staging| ", "|staging| point != Point::Unmap && ")),
    Mutant("the base is not updated", "        base[i] = word;\n", ""),
    Mutant("the base is not updated where all differs", "            base[i] = words[i];\n        }\n        return;",
           "        }\n        return;"),
    Mutant("a staging is filled without its base",
           "        *base = from.load(at);\n        staging.store(at, *base);\n",
           "        staging.store(at, from.load(at));\n        *base = 0;\n"),
    Mutant("a staging is filled in two reads",
           "        staging.store(at, *base);\n", "        staging.store(at, from.load(at));\n"),
    Mutant("a staging that is only read is not refreshed", "                to.store(at + i, word);\n            }\n        }\n",
           "                let _ = (i, word);\n            }\n        }\n"),
    Mutant("the counter is raised late",
           "    users.get();\n    let result = fill();\n", "    let result = fill();\n    users.get();\n"),
    Mutant("an END does not look at the counter", "        true => settle(),\n", "        true => Ok(()),\n"),
    Mutant("caches: a line is cleaned, and invalidated in a step of its own", "", "", (("CLEANS_APART", "1"),)),
    Mutant("no barriers at the counter", "", "", (("WITHOUT_BARRIERS", "1"),)),
    Mutant("a START does not wait for fences", "", "", (("WITHOUT_FENCES", "1"),)),
    Mutant("a START is served by a settle that began before its fences signalled", "", "", (("JOINS_EARLY", "1"),)),
]


def run(show):
    """Both models with the file as it is, and each mutant."""
    show.heading("host: merging memory and stagings, in all interleavings")
    source = SOURCE.read_text()
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="settle-", dir=folder) as made:
        with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
            real = pool.submit(_explore, Path(made) / "real", source, ())
            mutants = [pool.submit(_mutant, Path(made) / str(number), source, mutant)
                       for number, mutant in enumerate(MUTANTS)]
            return _real(real.result(), show) + [_verdict(mutant, each.result(), show)
                                                 for mutant, each in zip(MUTANTS, mutants)]


def _explore(folder, source, environment):
    """Compiles the model around `source`, and runs it. Returns its output and status."""
    folder.mkdir()
    (folder / "settle.rs").write_text(source)
    (folder / "scenarios.rs").write_text((MODEL / "scenarios.rs").read_text())
    model = (MODEL / "model.rs").read_text().replace(INCLUDED, str(folder / "settle.rs"))
    (folder / "model.rs").write_text(model)
    output, status = host.run([VM / "root", "--", "rustc", "--edition=2021", "-Copt-level=2", "-Awarnings",
                               "-o", folder / "model", folder / "model.rs"])
    if status:
        return f"does not compile:\n{output}", status
    words = [f"{name}={value}" for name, value in environment]
    return host.run([VM / "root", "--", "env", *words, folder / "model"])


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


def _mutant(folder, source, mutant):
    if mutant.old and source.count(mutant.old) != 1:
        return f"matches {source.count(mutant.old)} times", None
    return _explore(folder, source.replace(mutant.old, mutant.new) if mutant.old else source, mutant.environment)


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
