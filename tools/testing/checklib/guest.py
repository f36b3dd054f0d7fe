# SPDX-License-Identifier: GPL-2.0
"""One boot: the script that runs in it, and its output as it comes."""

import re
import subprocess
import tempfile
import time
from pathlib import Path

import client

from . import build, fuzz, ktap, stall
from .build import VM
from .plan import KUNIT, SAMPLES

MARK = re.compile(r"^@@check (begin|end) (\S+)(?: (\d+))?$")
# The status of tools/vm/run for a kernel log that has a report.
REPORT = 99
# How tools/vm/run says what a command cannot say of itself.
VERDICTS = {REPORT: stall.REPORT, 124: stall.LATE, 125: "could not be built, booted or loaded"}

SCRIPT_HEAD = """#!/bin/sh
# The host finds its way through the output by the lines that begin with @@check.
run() {
	echo "@@check begin $1"
	subject=$1
	shift
	timeout -s KILL "$LIMIT" "/check/$subject" "$@" 2>&1
	status=$?
	echo "@@check end $subject $status"
	[ -z "$FIRST_FAILURE" ] || [ $status = 0 ] || exit 1
}
sample() {
	echo "@@check begin $1"
	echo 1..1
	timeout -s KILL "$LIMIT" "/check/$1" "${UDMABUF_NODE:-/dev/udmabuf}" 2>&1
	status=$?
	[ $status = 0 ] && echo "ok 1 $1" || echo "not ok 1 $1 ended with status $status"
	echo "@@check end $1 $status"
}
kunit() {
	echo "@@check begin kunit"
	cat /sys/kernel/debug/kunit/*/results
	echo "@@check end kunit 0"
}
"""


def script(boot):
    """The shell script that runs the steps of a boot."""
    lines = [SCRIPT_HEAD, f"LIMIT={boot.limit}", f"FIRST_FAILURE={'yes' if boot.first_failure else ''}"]
    lines += [f"export {name}={value}" for name, value in boot.environment.items()]
    lines += [_call(step) for step in boot.steps]
    return "\n".join(lines) + "\nexit 0\n"


def _call(step):
    """The line of the script that runs a step."""
    if step.startswith("!"):
        return step[1:]
    if step == KUNIT:
        return step
    return f"sample {step}" if step in SAMPLES else f"run {step}"


def run(boot, show):
    """Build what is needed, boot, run, and return the results. `show` gets every line that a person may want.

    A boot in which the machine stood still is done once more, where that may be all that was wrong with it.
    What had failed is among the results then, as skipped.
    """
    watch = stall.Watch()
    results = _run(boot, show, watch)
    if not watch.stood_still or not stall.may_be_why(results):
        return results
    why = f"this machine stood still for {watch.longest:.0f} s"
    show.line(f"# boot {boot.name}: {why} meanwhile: once more")
    failed = [result for result in results if result.status == ktap.FAILED]
    for result in failed:
        result.status, result.reason = ktap.SKIPPED, f"failed as {why}, and the boot was done once more"
    return failed + _run(boot, show, stall.Watch())


def _run(boot, show, watch):
    started = time.monotonic()
    show.heading(f"boot {boot.name}: {boot.why}")
    with tempfile.TemporaryDirectory(prefix="udmabuf-check-") as name:
        file, log = Path(name) / "check.sh", Path(name) / "kernel.log"
        file.write_text(script(boot))
        file.chmod(0o755)
        try:
            command = _command(boot, file, log)
        except build.BuildError as error:
            return [ktap.Result(boot.name, f"boot {boot.name}", ktap.FAILED, str(error), boot=boot.name)]
        reader = _Reader(boot, show)
        with watch:
            status = _boot(command, reader.line, show.errors)
        text = log.read_text(errors="replace") if log.exists() else ""
    results = reader.end() + _verdict(boot, status, text)
    for result in results:
        result.boot = boot.name
    if fuzz.SUBJECT in boot.subjects:
        fuzz.collect(boot, results, show)
    show.line(f"# boot {boot.name}: {time.monotonic() - started:.0f} s")
    return results


def _verdict(boot, status, log):
    """What the boot as a whole amounts to: nothing where it went well, unless it had to fail."""
    name = f"boot {boot.name}"
    if boot.report:
        caught = status == REPORT and re.search(boot.report, log)
        reason = "" if caught else f"no such report failed it: {boot.report} (status {status})"
        return [ktap.Result(boot.name, f"{name}: {boot.why}", ktap.PASSED if caught else ktap.FAILED, reason)]
    if status:
        return [ktap.Result(boot.name, name, ktap.FAILED, VERDICTS.get(status, f"ended with status {status}"))]
    return []


def _command(boot, file, log):
    programs = build.programs(boot.kernel)
    add = [f"--add={file}=/check.sh"]
    for subject in boot.subjects:
        if (programs / subject).exists():
            add.append(f"--add={programs / subject}=/check/{subject}")
    for name in build.MODULES:
        if any(name in step for step in boot.steps):
            add.append(f"--add={build.module(name, boot.kernel)}=/check/{name}")
    if fuzz.SUBJECT in boot.subjects:
        add += fuzz.arguments(boot)
    limit = 120 + boot.limit * len(boot.subjects)
    # Without --log it is kept where people find it.
    kept = [f"--log={log}"] if boot.report else []
    return [str(VM / "run"), f"--kernel={boot.kernel}", *boot.arguments, f"--timeout={limit}", *kept, *add, "--",
            "/check.sh"]


def _boot(command, line, errors):
    with client.started(command, stdout=subprocess.PIPE, stderr=errors, text=True, errors="replace") as child:
        for text in child.stdout:
            line(text.rstrip("\r\n"))
    return child.returncode


class _Reader:
    """Splits the output of a boot into programs."""

    def __init__(self, boot, show):
        self.boot = boot
        self.show = show
        self.results = []
        self.parser = None
        self.started = 0.0
        self.seen = set()

    def line(self, text):
        mark = MARK.match(text)
        if mark:
            self._mark(*mark.groups())
        elif self.parser:
            self.show.ktap(text, self.parser.line(text), self.boot)
        else:
            self.show.line(text)

    def _mark(self, which, subject, status):
        if self.parser:
            self.results += self.parser.end(int(status) if which == "end" else None)
            self.show.line(f"# {self.parser.subject}: {time.monotonic() - self.started:.1f} s")
        self.parser = None
        if which == "begin":
            self.seen.add(subject)
            self.started = time.monotonic()
            self.parser = (ktap.KUnit if subject == KUNIT else ktap.Parser)(subject)
            self.show.subject(subject)

    def end(self):
        """All results; what never ran has failed."""
        if self.parser:
            self.results += self.parser.end(None)
        for subject in self.boot.subjects:
            if subject not in self.seen:
                self.results.append(ktap.Result(subject, f"{subject}: never ran", ktap.FAILED,
                                                f"boot {self.boot.name}"))
        return self.results
