# SPDX-License-Identifier: GPL-2.0
"""The mutation score: of mistakes drawn at random all over the driver, how many the tests find.

Each is built into a copy of the checkout, and tried on tests of the part that it is in. Those
that are left are then tried on all that EVERYTHING lists. A mistake that changes no byte of
the module is none, and one that does not compile nobody can make. One that survivors.py
argues to be equivalent is built and not tried. What was found is kept: a
run that is interrupted goes on where it was, and tests that are added see survivors only.
"""

import fcntl
import hashlib
import json
import random
import re
import shutil
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import client

from . import build, ktap, mutation_sites, section
from .build import CHECKOUT, VM, cache_folder
from .survivors import ARGUED

SUBJECT = "mutation"
SAMPLE, SEED = 200, 1
# The score that a run must have, in percent.
WANTED = 95
BEGIN = "<!-- made by make mutants: -->"

KILLED, LEFT, SURVIVED = "killed", "left by the tests of its part", "survived"
SAME, REJECTED = "changes nothing", "does not compile"

# A program ends in less than half a minute, unless the driver keeps it.
LIMIT = 150
# A subject of the host ends in two, unless a mistake has it loop.
HOST_LIMIT = 400
ENDED = 124

# Subjects, in the order in which they are tried, by the beginning of a file's path: the longest that fits.
MAIN, STAGED, BOUNCE, ARM64 = "main", "staged", "bounce", "matrix-arm64"
# What is allocated and not freed, the debug kernel reports; and the module's unit tests run there.
DEBUG = "debug"
HOST = ""
ARITHMETIC = (HOST, ("properties", "rust"))
MODEL = (HOST, ("settle_model",))
RECORDS = (HOST, ("interleavings",))
COMMON = (MAIN, ("create", "mmap", "sync", "share", "import"))
CREATION = (MAIN, ("create", "create_ext", "seals", "limits", "integrity", "create_races"))
COHERENCE = [(BOUNCE, ("bounce", "import", "sync", "dirty")), (STAGED, ("staging",))]
TRIED = {
    "": [COMMON],
    "ffi/": [COMMON],
    "ffi/compound.c": [CREATION],
    "ffi/runs": [ARITHMETIC, (MAIN, ("create", "import", "hugemap", "integrity"))],
    "seam/debugfs.rs": [(MAIN, ("debugfs",))],
    "seam/dma.rs": [(MAIN, ("import",)), *COHERENCE, (ARM64, ())],
    "seam/dma_buf/": [(MAIN, ("create", "share", "import", "readonly", "debugfs", "device"))],
    "seam/dma_buf/resv.rs": [(MAIN, ("sync", "import"))],
    "seam/dma_mapping.rs": [(MAIN, ("import",)), *COHERENCE, (ARM64, ()), (DEBUG, ("import", "kunit"))],
    "seam/memfd/": [CREATION],
    "seam/mm/fault.rs": [(MAIN, ("mmap", "hugemap", "hugetasks"))],
    "seam/mm/pinned.rs": [ARITHMETIC, CREATION],
    "seam/mm/vmap.rs": [(MAIN, ("import",)), ("vmapfail", ("vmapfail",))],
    "seam/one_or_many.rs": [ARITHMETIC, COMMON],
    "seam/param/": [(MAIN, ("limits", "accounts"))],
    "seam/quota.rs": [ARITHMETIC, (MAIN, ("accounts", "account_races", "debugfs")), (STAGED, ("staging",)),
                      (DEBUG, ("accounts",))],
    "seam/runs.rs": [ARITHMETIC, COMMON],
    "seam/scatterlist.rs": [(MAIN, ("import",)), *COHERENCE],
    "seam/seq_file.rs": [(MAIN, ("debugfs",))],
    "seam/system_memory/": [MODEL, (MAIN, ("sync", "import")), *COHERENCE, (MAIN, ("device",)), (DEBUG, ("kunit",))],
    "seam/system_memory/devices.rs": [MODEL, COMMON, (MAIN, ("device",)), (ARM64, ())],
    "seam/system_memory/area.rs": [(MAIN, ("mmap", "hugemap"))],
    "seam/system_memory/registry.rs": [RECORDS, (MAIN, ("debugfs", "create"))],
    "seam/system_memory/report.rs": [(MAIN, ("debugfs",))],
    "seam/system_memory/staging.rs": [MODEL, (MAIN, ("sync", "import", "trace")), *COHERENCE, (MAIN, ("device",)),
                                      (DEBUG, ("kunit",))],
    "seam/system_memory/trace.rs": [(MAIN, ("trace",))],
    "seam/tally.rs": [ARITHMETIC, (MAIN, ("accounts",))],
    "seam/uaccess.rs": [(MAIN, ("create_ext", "query"))],
    "seam/unbind.rs": [RECORDS, (MAIN, ("import", "device"))],
    "seam/user.rs": [(MAIN, ("accounts", "charges"))],
    "udmabuf/": [CREATION],
    "udmabuf/account.rs": [(MAIN, ("accounts", "query")), (STAGED, ("staging",))],
    "udmabuf/debugfs.rs": [(MAIN, ("debugfs",))],
    "udmabuf/device.rs": [(MAIN, ("create", "naming", "limits", "query")), ("beside", ("naming", "create", "query"))],
    "udmabuf/numbers.rs": [ARITHMETIC, CREATION],
    "udmabuf/query.rs": [(MAIN, ("query",))],
    "udmabuf/window.rs": [ARITHMETIC, CREATION],
    "uapi/": [CREATION],
}
# Tried on the mutants that are left: whole boots.
EVERYTHING = [(HOST, ("properties", "rust", "settle_model", "interleavings")), *((boot, ()) for boot in (
    MAIN, BOUNCE, STAGED, "staged-bounce", "staged-slow", "beside", "vmapfail", "iommu", "stress", "matrix-iommu", ARM64))]


@dataclass
class Verdict:
    """How a mutant ended, and the first line that shows it."""

    status: str
    shown: str = ""


def run(show, sample=0, seed=SEED):
    """Tries `sample` mutants, drawn by `seed`, and writes the section of Documentation/proven.md."""
    sites = mutation_sites.every()
    sample = min(sample or SAMPLE, len(sites))
    show.heading(f"mutation score: {sample} of {len(sites)} mistakes that could be made in the driver, drawn by seed {seed}")
    drawn = list(sites)
    # With the same seed, a larger sample has all of a smaller one.
    random.Random(seed).shuffle(drawn)
    drawn = drawn[:sample]
    folder = cache_folder() / "mutation"
    with open(folder.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        tried = _try_all(drawn, _Bench(folder, show), show)
    section.write(BEGIN, table(tried, len(sites), seed))
    return _results(tried, show)


def _try_all(drawn, bench, show):
    known = _Known(bench.prepare())
    tried = {}
    for round, attempt in ((1, bench.part), (2, bench.everything)):
        for number, site in enumerate(drawn, 1):
            verdict = known.get(site)
            if not verdict or round == 2 and verdict.status == LEFT:
                verdict = known.put(site, attempt(site))
                show.line(f"{number}/{len(drawn)} {verdict.status}: {site.name} {verdict.shown}".rstrip())
            tried[site] = verdict
    return tried


class _Known:
    """Verdicts of earlier runs: of this driver, and unless the mistake was found, of these tests."""

    def __init__(self, driver):
        self._driver, self._tests = driver[:16], driver[:16] + _digest(CHECKOUT / "tools/testing")
        self._path = cache_folder() / "mutation.json"
        try:
            self._all = json.loads(self._path.read_text())
        except (OSError, ValueError):
            self._all = {}

    def get(self, site):
        found = self._all.get(self._key(site, self._driver)) or self._all.get(self._key(site, self._tests))
        return Verdict(*found) if found else None

    def put(self, site, verdict):
        state = self._tests if verdict.status in (LEFT, SURVIVED) else self._driver
        self._all[self._key(site, state)] = [verdict.status, verdict.shown]
        self._path.with_suffix(".new").write_text(json.dumps(self._all, indent=0))
        self._path.with_suffix(".new").replace(self._path)
        return verdict

    def _key(self, site, state):
        return f"{state} {hashlib.sha256(site.new.encode()).hexdigest()[:16]} {site.line} {site.name}"


def _digest(folder):
    """A word for the contents of all sources in a folder."""
    text = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        # An argument for a survivor changes no test.
        if path.is_file() and path.suffix in (".rs", ".c", ".h", ".py", ".sh", "") and path.name != "survivors.py":
            text.update(str(path.relative_to(folder)).encode() + path.read_bytes())
    return text.hexdigest()[:16]


class _Bench:
    """A copy of the checkout, into which mistakes are built."""

    def __init__(self, folder, show):
        self._folder, self._show = folder, show
        self._object, self._passed = "", set()

    def prepare(self):
        """Makes the copy. Returns a hash of the module."""
        shutil.rmtree(self._folder, ignore_errors=True)
        shutil.copytree(CHECKOUT, self._folder, symlinks=True,
                        ignore=shutil.ignore_patterns(".git", "*.ko", "*.o", "*.cmd"))
        # Objects of the last mutant are newer than the copies, which keep their times: make has to see a change.
        for name in mutation_sites.files():
            (self._folder / name).touch()
        self._object = self._build() or self._fail("the driver as it is does not build")
        return self._object

    def part(self, site):
        """The verdict of the tests of its part on a mutant."""
        part = max((part for part in TRIED if site.file.startswith(part)), key=len)
        return self._verdict(site, TRIED[part], LEFT)

    def everything(self, site):
        """The verdict of all others."""
        return self._verdict(site, EVERYTHING, SURVIVED)

    def _verdict(self, site, groups, otherwise):
        path = self._folder / site.file
        real = path.read_text()
        path.write_text(site.apply(real))
        try:
            made = self._build()
            if not made or made == self._object:
                return Verdict(SAME if made else REJECTED)
            if _is_equivalent(site):
                return Verdict(SURVIVED)
            return self._check(groups, path, real) or Verdict(otherwise)
        finally:
            path.write_text(real)

    def _check(self, groups, path, real):
        """The verdict of tests that find the mistake, or None. Tests must pass with the driver as it is."""
        for group in groups:
            shown = self._run(*group)
            if shown and group not in self._passed:
                mutant = path.read_text()
                path.write_text(real)
                failed = self._run(*group)
                path.write_text(mutant)
                if failed:
                    self._fail(f"{' '.join(group[1]) or group[0]} fails with the driver as it is: {failed}")
                self._passed.add(group)
            if shown:
                return Verdict(KILLED, shown)
        return None

    def _run(self, boot, subjects):
        """The first line that shows a failure, or nothing if all pass."""
        where = [f"--boot={boot}"] if boot else []
        limit = [] if boot else ["timeout", "--signal=INT", "--kill-after=60", str(HOST_LIMIT)]
        which = ["--coherence"] if boot.startswith("matrix") else ["--debug"] if boot.startswith("debug") else []
        status, output = self._command([*limit, self._folder / "tools/testing/check", *which, *where, "--first-failure",
                                        "--no-mutants", f"--limit={LIMIT}", *(f"--subject={name}" for name in subjects)])
        if status == ENDED:
            return f"not ended after {HOST_LIMIT} s"
        # A test on the host has less around the driver's files than the kernel has: where it does not compile, it tells
        # nothing.
        if not status or not boot and "does not compile" in output:
            return ""
        found = re.search(r"^(not ok .*|.*\bFAILED\b.*|error.*|(?<=Failed:\n)  .*)$", output, re.MULTILINE)
        return found.group(1).strip() if found else output.strip().split("\n")[-1]

    def _build(self):
        """A hash of the module, or nothing if it does not build."""
        status, output = self._command([self._folder / VM.relative_to(CHECKOUT) / "module", "."], client.TOOL_FAILED)
        if status:
            return "" if "does not build" in output else self._fail(output)
        module = Path(output.strip().split("\n")[-1])
        bare = self._folder / "bare.ko"
        build.in_root(["objcopy", "--strip-debug", "--remove-section=.note*", "--remove-section=.comment",
                       "--remove-section=.modinfo", module, bare])
        return hashlib.sha256(bare.read_bytes()).hexdigest()

    def _command(self, command, *failures):
        done = client.run(command, cwd=self._folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace")
        if done.returncode not in (0, 1, ENDED, *failures):
            self._fail(f"{Path(command[0]).name} ended with status {done.returncode}:\n{done.stdout}")
        return done.returncode, done.stdout

    def _fail(self, sentence):
        raise build.BuildError(sentence)


def score(tried):
    """Percent of the mistakes that change the module and are not argued to change nothing that anybody can see."""
    ended = Counter(verdict.status for verdict in tried.values())
    alike = sum(1 for site, verdict in tried.items() if verdict.status == SURVIVED and _is_equivalent(site))
    counted = ended[KILLED] + ended[SURVIVED] - alike
    return 100 * ended[KILLED] / counted if counted else 0


def _is_equivalent(site):
    return site.name in ARGUED and ARGUED[site.name].equivalent


def table(tried, of, seed):
    """Lines of Markdown: a row for each part of the driver, and a list of survivors."""
    parts = sorted({_part(site) for site in tried})
    lines = ["| part | drawn | do not compile | change nothing | killed | survived |", "|---|---:|---:|---:|---:|---:|"]
    for part in [*parts, ""]:
        ended = Counter(verdict.status for site, verdict in tried.items() if part in ("", _part(site)))
        name, columns = f"`{part}`" if part else "**all**", [ended[each] for each in (REJECTED, SAME, KILLED, SURVIVED)]
        lines.append(f"| {name} | {sum(columns)} | " + " | ".join(map(str, columns)) + " |")
    lines += ["", f"{len(tried)} of {of} were drawn (seed {seed}). Score: **{score(tried):.1f} %** of those that change "
              "what can be seen.", ""]
    for site in sorted((site for site, verdict in tried.items() if verdict.status == SURVIVED), key=lambda site: site.name):
        argued = ARGUED.get(site.name)
        kind = "not argued yet" if not argued else "equivalent: " * argued.equivalent + argued.why
        lines.append(f"- `{site.name}`: {kind}")
    return lines


def _part(site):
    """The folder, or of the seam and the like the one below."""
    folders = site.file.split("/")[:-1]
    return "/".join(folders[:2]) or site.file


def _results(tried, show):
    """One result for the score, and one for each survivor without an argument."""
    percent = score(tried)
    name = f"{SUBJECT}: at least {WANTED} % of the mistakes are found"
    enough = percent >= WANTED
    show.line(f"mutation score: {percent:.1f} %")
    results = [ktap.Result(SUBJECT, name, ktap.PASSED if enough else ktap.FAILED, "" if enough else f"{percent:.1f} %")]
    for site, verdict in tried.items():
        if verdict.status == SURVIVED and site.name not in ARGUED:
            results.append(ktap.Result(SUBJECT, f"{SUBJECT}: {site.name}", ktap.FAILED,
                                       "survived, and survivors.py does not say why it may"))
    return results
