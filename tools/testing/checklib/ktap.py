# SPDX-License-Identifier: GPL-2.0
"""From lines of KTAP to results.

A program that dies, hangs or forgets tests must not look like one that passed:
what its plan announced and its output does not show counts as failed.
"""

import re
from dataclasses import dataclass, field
from typing import List, Optional

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"

PLAN = re.compile(r"^1\.\.(\d+)\s*$")
RESULT = re.compile(r"^(ok|not ok) (\d+)(?:\s+-)?\s*(.*?)(?:\s*# (SKIP|XFAIL|TODO)\b\s*(.*))?$")
# What the harness prints around every test, of no use once the result is there.
CHATTER = re.compile(r"^#\s+(RUN|OK|FAIL|SKIP)\s|^# (Starting|PASSED|FAILED|Totals)|^TAP version")


@dataclass
class Result:
    """One test: its name, how it ended, and what it said on the way."""

    subject: str
    name: str
    status: str
    reason: str = ""
    notes: List[str] = field(default_factory=list)
    # Where it ran, if that matters.
    boot: str = ""

    @property
    def test(self):
        """The name without the fixture's."""
        return self.name.rsplit(".", 1)[-1]


class Parser:
    """Reads the output of one program."""

    def __init__(self, subject):
        self.subject = subject
        self.results = []
        self.plan: Optional[int] = None
        self._notes = []

    def line(self, text):
        """Take one line; returns the result that it is, or None."""
        plan = PLAN.match(text)
        if plan:
            self.plan = int(plan.group(1))
            return None
        match = RESULT.match(text)
        if not match:
            if text.strip() and not CHATTER.match(text):
                self._notes.append(text.lstrip("# "))
            return None
        result = self._result(*match.groups())
        self.results.append(result)
        self._notes = []
        return result

    def _result(self, ok, number, name, directive, reason):
        status = PASSED if ok == "ok" else FAILED
        if directive == "SKIP" and ok == "ok":
            status = SKIPPED
        return Result(self.subject, name or f"test {number}", status, reason or "", self._notes)

    def end(self, exit_status):
        """All results, once the program has ended with `exit_status` (None: it never did)."""
        how = "was cut off" if exit_status is None else f"ended with status {exit_status}"
        if self.plan is None:
            name = f"{self.subject}: no plan"
            self.results.append(Result(self.subject, name, FAILED, f"the program {how}", self._notes))
            return self.results
        while len(self.results) < self.plan:
            name = f"{self.subject}: test {len(self.results) + 1}, not reached"
            self.results.append(Result(self.subject, name, FAILED, f"the program {how}", self._notes))
        if exit_status != 0 and not any(result.status == FAILED for result in self.results):
            if not self._all_skipped(exit_status):
                self.results.append(Result(self.subject, f"{self.subject}: exit status", FAILED,
                                           f"no test failed, yet the program {how}"))
        return self.results

    def _all_skipped(self, exit_status):
        # The harness ends so where everything was skipped.
        return exit_status == 4 and all(result.status == SKIPPED for result in self.results)


class KUnit(Parser):
    """Reads what the kernel says of unit tests: one suite after the other, tests indented below it.

    No suite at all is a failure, as for a program without a plan.
    """

    SUITE = re.compile(r"^# Subtest: (\S+)$")
    # Further right are the parameters of a test, which has a result of its own.
    TEST = re.compile(r"^ {4}\S")

    def __init__(self, subject):
        super().__init__(subject)
        self._suite = ""

    def line(self, text):
        """Take one line; returns the result that it is, or None."""
        if not self.TEST.match(text):
            return None
        text = text.strip()
        suite = self.SUITE.match(text)
        if suite:
            self._suite = suite.group(1)
            return None
        before = self.plan or 0
        result = super().line(text)
        if PLAN.match(text):
            self.plan += before
        if result:
            result.name = f"{self._suite}.{result.name}"
        return result
