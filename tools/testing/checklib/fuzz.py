# SPDX-License-Identifier: GPL-2.0
"""The fuzzer, tools/testing/fuzz: arguments and results of its boots.

The program and the host share a file, which is memory of a PCI device to the VM and outlives it:

    bytes 0 to 3    1 while a program runs, 2 between two
    bytes 4 to 7    its length; the program follows
    byte 8188 on    the length of all records; the records follow

A record is a kind, a length and so many bytes. Numbers are of 32 bits, the lowest byte first.
"""

import hashlib
import shutil
import struct
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import List

from . import cargo, ktap, plan, reached, section
from .build import TESTING, BuildError, cache_folder

SUBJECT = "fuzz"
CRATE = TESTING / "fuzz"
CORPUS = CRATE / "corpus"
BEGIN = "<!-- made by make fuzz: -->"
CONFIG = "CONFIG_UDMABUF_RS_COVERAGE"
SIZE, RECORDS = 16 << 20, 8192
FOUND, KEPT, REACHED, WRONG = 1, 2, 3, 4
# A run of so many seconds a boot, of all boots, must reach so much of the code that can be reached.
LONG, WANTED = 600, 95.0


@dataclass
class Exchange:
    """The contents of a boot's file."""

    running: bool = False
    last: bytes = b""
    records: dict = field(default_factory=dict)

    def of(self, kind) -> List[bytes]:
        """The records of a kind."""
        return self.records.get(kind, [])


def file(boot):
    """The file of a boot."""
    folder = cache_folder() / SUBJECT
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{boot.name}.exchange"


def parse(data):
    """The content of such a file."""
    state, length = struct.unpack_from("<II", data, 0)
    exchange = Exchange(state == 1, data[8:8 + min(length, RECORDS - 64)])
    at, (end,) = RECORDS, struct.unpack_from("<I", data, RECORDS - 4)
    end = min(RECORDS + end, len(data))
    while at + 8 <= end:
        kind, length = struct.unpack_from("<II", data, at)
        exchange.records.setdefault(kind, []).append(data[at + 8:at + 8 + length])
        at += 8 + length
    return exchange


def program():
    """Builds the program; returns its path."""
    folder = cache_folder()
    built = folder / SUBJECT
    built.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="fuzz-", dir=folder) as made, cargo.Lock(SUBJECT):
        # Linked statically: the VM has no libraries.
        output, status = cargo.run(SUBJECT, CRATE / "Cargo.toml", Path(made), "rustc", "--release", "--bin=fuzz",
                                   "--", "-Ctarget-feature=+crt-static")
        if status:
            print(output)
            raise BuildError(f"the fuzzer does not build: status {status}")
        shutil.copy2(cargo.target(SUBJECT) / "release" / SUBJECT, built / "program.new")
        (built / "program.new").replace(built / "program")
    return built / "program"


def arguments(boot):
    """Arguments of tools/vm/run, beside the boot's own. Empties the file."""
    path = file(boot)
    path.unlink(missing_ok=True)
    with open(path, "wb") as stream:
        stream.truncate(SIZE)
    memory = f"memory-backend-file,id=fuzz,share=on,size={SIZE},mem-path={path}"
    return [f"--add={program()}=/check/{SUBJECT}", f"--add={CORPUS}=/check/corpus",
            f"--qemu=-object {memory} -device ivshmem-plain,memdev=fuzz"]


def name_of(data):
    """The file name of a program of the corpus."""
    return hashlib.sha256(data).hexdigest()[:16]


def collect(boot, results, show):
    """After a boot: tells where the program is that it failed with, and how to run it again."""
    failed = any(result.status == ktap.FAILED for result in results)
    path = file(boot)
    if not failed or not path.exists():
        return
    exchange = parse(path.read_bytes())
    last = exchange.of(WRONG)[-1:] or ([exchange.last] if exchange.last else [])
    for data in last:
        kept = path.parent / f"found-{name_of(data)}"
        kept.write_bytes(data)
        show.line(f"# fuzz: the last program is {kept}; to run it again: make fuzz REPLAY={kept} BOOT={boot.name}")


def keep(boots):
    """Makes the programs that these boots have kept the corpus, in place of the old one."""
    chosen = {name_of(data): data for boot in boots for data in parse(file(boot).read_bytes()).of(KEPT)}
    CORPUS.mkdir(exist_ok=True)
    for old in CORPUS.iterdir():
        if old.name not in chosen:
            old.unlink()
    for name, data in chosen.items():
        (CORPUS / name).write_bytes(data)
    print(f"{len(chosen)} programs, {sum(map(len, chosen.values()))} bytes, are in {CORPUS}", flush=True)


def tell(boots, results, seconds, keeping, document=section.DOCUMENT):
    """Prints how much of the module the boots have reached, and returns that as a result.

    `boots` are the ones that ran. If `seconds` is given, the fuzzer ran alone.
    """
    if not boots:
        return []
    failed = any(result.status == ktap.FAILED for result in results)
    texts = [(boot.kernel, data.decode()) for boot in boots for data in parse(file(boot).read_bytes()).of(REACHED)]
    coverage = reached.measure(texts, CONFIG)
    if not coverage.code:
        return [ktap.Result(SUBJECT, "fuzz: lines reached", ktap.FAILED, "no boot told what it reached")]
    lines = [*numbers(boots, results), "", *coverage.summary()]
    print("\n" + "\n".join(lines + coverage.unknown()), flush=True)
    if keeping and not failed:
        keep(boots)
    long = seconds and seconds >= LONG and len(boots) == len(plan.fuzz(seconds))
    least = WANTED if long else coverage.least
    if long and not failed:
        section.write(BEGIN, lines, document)
    status = ktap.PASSED if coverage.share >= least and not coverage.stale else ktap.FAILED
    reason = f"{coverage.share:.1f}% of what can be reached, of at least {least:.1f}%"
    if coverage.stale:
        reason += f"; in {reached.UNREACHED.name}, but not in the sources: {'; '.join(coverage.stale)}"
    return [ktap.Result(SUBJECT, "fuzz: lines reached", status, reason if status == ktap.FAILED else "")]


def numbers(boots, results):
    """A table with the counts of each boot."""
    lines = ["| boot | executions | a second | late | bytes compared | blocks |", "|---|---:|---:|---:|---:|---:|"]
    for boot in boots:
        for result in results:
            for note in result.notes:
                words = note.split()
                if result.boot == boot.name and words[:1] == ["executions"]:
                    values = dict(zip(words[::2], words[1::2]))
                    lines.append("| {} | {executions} | {rate} | {late} | {checks} | {blocks} |".format(boot.name, **values))
    return lines
