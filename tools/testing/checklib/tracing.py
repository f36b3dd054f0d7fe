# SPDX-License-Identifier: GPL-2.0
"""tools/trace, with perf and bpftrace, beside a workload that is known: do the reports say what it did?

The VM has the root "tracing" at /mnt, with the userland of a Debian machine. The
program in tools/testing/tracing runs there, and prints what each script said.
"""

import json
import re
import shlex
import subprocess
from dataclasses import asdict, dataclass, field
from typing import List

import client

from . import build, ktap
from .build import CHECKOUT, TESTING, VM

SUBJECT = "trace_tools"
KIB, MIB = 1 << 10, 1 << 20
TIMEOUT = 900

POINT = re.compile(r"^(start|end|map|unmap): (\d+) settles, (\d+) bytes fetched, (\d+) pushed(?:, (\d+) given up)?$")
UP_TO = re.compile(r"^  up to +(\d+) us +(\d+) #+$")
PINS = re.compile(r"^(\S.*?) +(\d+) +(\d+) +(\d+) +(\d+)$")
MAP = re.compile(r"^@(\w+)(?:\[(.*)\])?: (-?\d+)$")
HISTOGRAM = re.compile(r"^@(start|end|map|unmap)_ns:")
BUCKET = re.compile(r"^[\[(](\d+)([KMG]?)(?:, \S+)?[\])] +(\d+) \|")
SCALE = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


@dataclass(frozen=True)
class Buffers:
    """Buffers that a command makes, and those of them that it lets go of."""

    command: str
    size: int
    made: int
    dropped: int


@dataclass(frozen=True)
class Settling:
    """A buffer that is staged for a device; in each round the CPU changes bytes, and then the device."""

    command: str = "device"
    size: int = 64 * KIB
    rounds: int = 20
    cpu_at: int = 4099
    cpu_bytes: int = 101
    device_at: int = 9001
    device_bytes: int = 77

    def points(self):
        """Settles, bytes fetched and pushed at each point, as in Documentation/udmabuf_rs.rst."""
        return {"start": (2 * self.rounds, self.rounds * self.device_bytes, 0),
                "end": (self.rounds, 0, self.rounds * self.cpu_bytes),
                "map": (1, 0, 0), "unmap": (1, self.device_bytes, 0)}


@dataclass(frozen=True)
class Workload:
    """What happens while a script looks on."""

    # These are made before it looks; one of them is let go of while it does.
    earlier: Buffers = Buffers("earlier", 2 * MIB, 2, 1)
    commands: List[Buffers] = field(default_factory=lambda: [Buffers("camera one", MIB, 5, 2),
                                                             Buffers("encoder", 64 * KIB, 3, 3)])
    settling: Settling = Settling()

    def pins(self, earlier):
        """By command: buffers, bytes and most bytes pinned, buffers made. `earlier`: with those that were there before."""
        rows = {each.command: (each.made - each.dropped, (each.made - each.dropped) * each.size, each.made * each.size,
                               each.made) for each in self.commands}
        rows[self.settling.command] = (0, 0, self.settling.size, 1)
        if earlier:
            each = self.earlier
            kept = each.made - each.dropped
            rows[each.command] = (kept, kept * each.size, each.made * each.size, 0)
        return rows


# What a report says, from its text

def settles(text):
    """By point: settles, bytes fetched and pushed, those given up; those in the histogram, and their least time in ns."""
    found, point = {}, None
    for line in text.splitlines():
        head, bucket = POINT.match(line), UP_TO.match(line)
        if head:
            point = head[1]
            found[point] = [*map(int, head.group(2, 3, 4)), int(head[5] or 0), 0, 0]
        elif bucket and point:
            found[point][4] += int(bucket[2])
            # "up to 1 us" begins at nothing.
            found[point][5] += int(bucket[2]) * 1000 * (int(bucket[1]) // 2)
    return found


def pins(text):
    """By command: buffers, KiB and most KiB pinned, buffers made."""
    return {row[1]: tuple(map(int, row.groups()[1:])) for row in map(PINS.match, text.splitlines()) if row}


def maps(text):
    """The maps of bpftrace that are numbers: by name, or by name and key."""
    found = [entry.groups() for entry in map(MAP.match, text.splitlines()) if entry]
    return {(name, key) if key is not None else name: int(number) for name, key, number in found}


def histograms(text):
    """Those of bpftrace, by point: how many are in it, and their least time, in ns."""
    found, point = {}, None
    for line in text.splitlines():
        head, bucket = HISTOGRAM.match(line), BUCKET.match(line)
        if head:
            point = head[1]
            found[point] = [0, 0]
        elif bucket and point:
            found[point][0] += int(bucket[3])
            found[point][1] += int(bucket[3]) * int(bucket[1]) * SCALE[bucket[2]]
        else:
            point = None
    return found


# Whether it is right: a sentence, or nothing where it is

def judge(record, workload):
    """What is wrong with a report."""
    if not record["begun"]:
        return "it never began to count"
    if record["status"]:
        return f"it ended with status {record['status']}"
    if record["errors"]:
        return f"it complained: {record['errors'].strip()}"
    if record["left"]:
        return f"it left {', '.join(record['left'])}"
    if record["idle"]:
        return _judge_idle(record, workload)
    return JUDGES[record["tool"] == "bpftrace", record["report"]](record, workload)


def _judge_idle(record, workload):
    """Nothing happened."""
    text, earlier = record["output"], workload.earlier
    if record["tool"] == "bpftrace":
        return _differ(maps(text), {}) or _differ(histograms(text), {})
    if record["report"] == "settle":
        return "" if text.startswith("nothing was settled") else f"it says: {text}"
    if record["tool"]:
        return "" if text.startswith("there are no buffers") else f"it says: {text}"
    kib = earlier.made * earlier.size // KIB
    return _differ(pins(text), {earlier.command: (earlier.made, kib, kib, 0)})


def _judge_settle(record, workload):
    found = settles(record["output"])
    wanted = {point: [*numbers, 0, numbers[0]] for point, numbers in workload.settling.points().items()}
    return (_differ({point: numbers[:5] for point, numbers in found.items()}, wanted)
            or _too_long(sum(numbers[5] for numbers in found.values()), record))


def _judge_pins(record, workload):
    wanted = {command: (buffers, size // KIB, most // KIB, made)
              for command, (buffers, size, most, made) in workload.pins(not record["tool"]).items()}
    return _differ(pins(record["output"]), wanted)


def _judge_settle_maps(record, workload):
    points = workload.settling.points()
    found = histograms(record["output"])
    wanted = {"bytes_fetched": sum(numbers[1] for numbers in points.values()),
              "bytes_pushed": sum(numbers[2] for numbers in points.values())}
    return (_differ(maps(record["output"]), wanted)
            or _differ({point: numbers[0] for point, numbers in found.items()},
                       {point: numbers[0] for point, numbers in points.items()})
            or _too_long(sum(numbers[1] for numbers in found.values()), record))


def _judge_pins_maps(record, workload):
    wanted = {}
    for command, (_, size, _, made) in workload.pins(False).items():
        wanted["bytes_pinned", command] = size
        wanted["buffers_made", command] = made
    return _differ(maps(record["output"]), wanted)


JUDGES = {(False, "settle"): _judge_settle, (False, "pins"): _judge_pins,
          (True, "settle"): _judge_settle_maps, (True, "pins"): _judge_pins_maps}


def _differ(found, wanted):
    return "" if found == wanted else f"it says {found}, and the workload was {wanted}"


def _too_long(least, record):
    """One settle comes after the other, within the time of the workload."""
    if least <= record["seconds"] * 1e9:
        return ""
    return f"it says that settles took {least} ns or more, and the workload took {record['seconds']:.3f} s"


# Running it

def run(show):
    """All reports, in one boot."""
    show.heading("tools/trace, by a shell, by perf and by bpftrace")
    workload = Workload()
    script = (f"insmod /{build.IMPORTER} && exec chroot /mnt /mnt/tracing/guest "
              f"{shlex.quote(json.dumps(asdict(workload)))}")
    done = client.run([VM / "run", "--root", "tracing", "--replace-c", f"--timeout={TIMEOUT}",
                       f"--add={build.module(build.IMPORTER)}=/{build.IMPORTER}",
                       f"--add={TESTING / 'tracing/guest'}=/tracing/guest",
                       f"--add={CHECKOUT / 'tools/trace'}=/tracing/trace",
                       "--", "sh", "-c", script], stdout=subprocess.PIPE, text=True, errors="replace")
    return results(done.stdout, done.returncode, workload, show)


def results(output, status, workload, show):
    """A result for each report that the VM has printed, and one for the boot."""
    found, complete = [], False
    for line in output.splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            show.line(f"# {line}")
            continue
        if "versions" in record:
            show.line(f"# {', '.join(record['versions'])}")
        elif "done" in record:
            complete = True
        else:
            found.append(_result(record, workload, show))
    if status or not complete:
        found.append(ktap.Result(SUBJECT, f"{SUBJECT}: boot", ktap.FAILED, f"status {status}"
                                 + ("" if complete else ", and not all reports were made")))
    return found


def _result(record, workload, show):
    words = f"with-{record['tool']} {record['report']}" if record["tool"] else record["report"]
    name = f"{words}, {'nothing happens' if record['idle'] else 'ended by Ctrl-C'}"
    why = judge(record, workload)
    show.line(f"{'not ok' if why else 'ok'} {name}")
    if why or (show.verbose and not record["idle"]):
        show.line(record["output"])
    return ktap.Result(SUBJECT, f"{SUBJECT}: {name}", ktap.FAILED if why else ktap.PASSED, why)
