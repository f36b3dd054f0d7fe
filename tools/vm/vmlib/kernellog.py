# SPDX-License-Identifier: GPL-2.0
"""Finding warnings, oopses and other reports in a kernel log."""

import re
from dataclasses import dataclass
from typing import List

# What stands before the message: the level, the time, and the task or CPU.
PREFIX = re.compile(r"^(?:<\d+>)?(?:\[ *\d+\.\d+\])?(?:\[ *[TC]\d+\])? ?")

# How a report begins, at the start of a message.
BEGINNINGS = re.compile(r"""
      -+\[\ cut\ here\ \]-+
    | WARNING:
    | BUG[:\s]
    | kernel\ BUG\ at
    | INFO:\ (?:task\ .*\ blocked\ for\ more\ than|possible\ |inconsistent\ lock|trying\ to\ register|lockdep
             |suspicious\ RCU)
    | (?:rcu:\ )?INFO:\ .*(?:detected\ .*stalls|self-detected\ stall)
    | watchdog:\ (?:BUG|CPU\S*\ Watchdog\ detected)
    | Oops
    | general\ protection\ fault | double\ fault | stack\ segment | invalid\ opcode
    | Unable\ to\ handle\ kernel | Internal\ error:
    | Kernel\ panic | rust_kernel:\ panicked\ at | panicked\ at
    | UBSAN: | KASAN: | KCSAN: | KMSAN: | KFENCE: | ODEBUG:
    | DMA-API:\ (?!preallocated|debugging\ (?:enabled|disabled)|enable\ driver|disable)
    | DMAR:\ (?:\[|DRHD:\ handling\ fault) | arm-smmu-v3\ \S+:\ event
    | \s*not\ ok\ \d | \s*\#\ .*:\ (?:EXPECTATION|ASSERTION)\ FAILED\ at
    | kmemleak:\ \d+\ new\ suspected | unreferenced\ object\ 0x
    | refcount_t: | list_(?:add|del)\ (?:corruption|double)
    | scheduling\ while\ atomic | sleeping\ function\ called
    | \S+:\d+:\ bad\ p(?:gd|4d|ud|md)\b
    | .*[Bb]ad\ page\ state | page\ dumped\ because | DEBUG_LOCKS_WARN_ON
    | VFS:\ Busy\ inodes | Trying\ to\ vfree
""", re.VERBOSE)

# How a data race is told: for each access, a line about it, and its stack, innermost first.
RACE = "BUG: KCSAN: "
ACCESS = re.compile(r".* to 0x[0-9a-f]+ of \d+ bytes by .* on cpu \d+:$")
FRAME = re.compile(r" (\S+)\+0x[0-9a-f]+/0x[0-9a-f]+(?: \[(\w+))?")
# Functions that access the memory of their callers: Rust's helpers, Rust outside of modules, libraries.
FOR_CALLERS = re.compile(r"rust_helper_|_R|_*(?:mem|str|list_|hlist_|sg_|rb_|xa_|copy_page|clear_page|bitmap_)")

ENDING = re.compile(r"---\[ end |^={20,}$|^ *<?/TASK>$")
KTAP = re.compile(r"\s*not ok \d")  # ends what a unit test had to say
LONGEST = 150  # lines; a report without a recognisable end is cut here


@dataclass
class Report:
    """One report in a kernel log."""

    lines: List[str]

    @property
    def text(self):
        """The report as it stands in the log."""
        return "\n".join(self.lines)

    @property
    def is_race_elsewhere(self):
        """Whether it tells of a data race of the kernel's own: neither access is a module's, or made on behalf of one."""
        stacks = self._stacks() if message(self.title).startswith(RACE) else []
        return bool(stacks) and not any(_is_of_module(stack) for stack in stacks)

    @property
    def has_module(self):
        """Whether a module is among the callers of a data race."""
        return any(module for stack in self._stacks() for _, module in stack)

    def _stacks(self):
        """The functions of each access of a data race, and the modules that they are in."""
        stacks, current = [], None
        for line in map(message, self.lines):
            frame = FRAME.match(line)
            if ACCESS.match(line):
                current = []
                stacks.append(current)
            elif not line.strip():
                current = None
            elif frame and current is not None:
                current.append(frame.groups())
        return [stack for stack in stacks if stack]

    @property
    def title(self):
        """The line that says most about it."""
        messages = [message(line) for line in self.lines]
        telling = [text for text in messages if BEGINNINGS.match(text) and "cut here" not in text]
        return (telling or messages)[0]


def _is_of_module(stack):
    """Whether an access is made by a module, or by functions that it calls for that."""
    return next((module for function, module in stack if module or not FOR_CALLERS.match(function)), None) is not None


def message(line):
    """A line of the log without what stands before the message."""
    return PREFIX.sub("", line, count=1)


def find_reports(text):
    """All reports in the text of a kernel log."""
    reports, current = [], None
    lines = text.replace("\r", "").split("\n")
    for number, line in enumerate(lines):
        said = message(line)
        if current is None:
            if not BEGINNINGS.match(said):
                continue
            current = Report(_frame_above(lines, number))
            reports.append(current)
        current.lines.append(line.rstrip())
        if _ends(said, current, lines[number + 1:number + 2]):
            current = None
    for report in reports:
        while report.lines and not message(report.lines[-1]).strip():
            report.lines.pop()
    return reports


def _frame_above(lines, number):
    """The rule that lockdep and KASAN draw above the first line."""
    above = lines[number - 1].rstrip() if number else ""
    return [above] if re.fullmatch(r"[=-]{10,}", message(above)) else []


def _ends(said, report, following):
    """Whether this line is the last of the report."""
    if len(report.lines) >= LONGEST or not following or KTAP.match(said):
        return True
    if len(report.lines) > 3 and ENDING.search(said):
        # Registers of the interrupted task, and the end mark, come after.
        return "/TASK>" not in said
    # Of a data race the second line is empty.
    return len(report.lines) == 1 and not said.startswith(RACE) and not _belongs(message(following[0]))


def _belongs(said):
    """Whether a line reads like the second one of a longer report."""
    return bool(re.match(r"\s|[=-]{5,}|CPU|Modules linked|Call |\S+/\d+ is trying|#PF:|Oops|WARNING|kernel BUG|BUG|"
                         r"in_atomic|preempt_count|locks held|Write of|Read of|UBSAN|refcount_t|list_|rcu:|task:|"
                         r"Hardware", said))


def split_expected(reports, patterns):
    """Reports that match one of the patterns, those that do not, and the patterns that none matches."""
    expressions = [re.compile(pattern, re.MULTILINE) for pattern in patterns]
    expected = [report for report in reports if any(each.search(report.text) for each in expressions)]
    surprising = [report for report in reports if report not in expected]
    unmet = [each.pattern for each in expressions if not any(each.search(report.text) for report in reports)]
    return expected, surprising, unmet
