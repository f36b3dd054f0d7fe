# SPDX-License-Identifier: GPL-2.0
"""What a run amounts to: the lines that say so, and the exit status."""

import collections

from . import kernellog
from .errors import KERNEL_REPORT, TIME_LIMIT, TOOL_FAILED
from .progress import say

NAME = "tools/vm/run"


def judge(outcome, expected_patterns, log_path):
    """Say what went wrong in a run, and return its exit status."""
    found = kernellog.find_reports(outcome.log)
    races = [report for report in found if report.is_race_elsewhere]
    expected, surprising, unmet = kernellog.split_expected([report for report in found if report not in races],
                                                           expected_patterns)
    if races:
        say(f"{NAME}: the kernel log has {len(races)} data race(s) of the kernel's own:")
        called = {True: ", called by a module", False: ""}
        for title, count in collections.Counter(report.title + called[report.has_module] for report in races).items():
            say(f"    {count} x {title}")
    for report in expected:
        say(f"{NAME}: expected in the kernel log: {report.title}")
    for pattern in unmet:
        say(f"{NAME}: expected in the kernel log, but not there: {pattern}")
    if surprising:
        say(f"{NAME}: the kernel log has {len(surprising)} report(s):")
        for report in surprising:
            say("\n".join("    " + line for line in report.lines) + "\n")
    if outcome.timed_out:
        say(f"{NAME}: " + ("the time limit ended COMMAND; the kernel log ends with what it hung in"
                           if outcome.running else "the VM did not come up within the time limit"))
    elif outcome.error and not surprising:
        say(f"{NAME}: {outcome.error}")
    status = exit_status(outcome, surprising)
    if surprising or outcome.timed_out or outcome.status is None:
        say(f"{NAME}: the full kernel log is {log_path}")
    return status


def exit_status(outcome, reports):
    """99 for reports, 124 for the time limit, or else that of the command."""
    if reports:
        return KERNEL_REPORT
    if outcome.timed_out:
        return TIME_LIMIT
    return TOOL_FAILED if outcome.status is None else outcome.status
