# SPDX-License-Identifier: GPL-2.0
"""What is printed, while it runs and at the end."""

import re
import subprocess
import sys

from . import ktap, matrix, plan

ROW = re.compile(r"^(C\d+)_")
OWN = "own_"


class Show:
    """Lines for a person, as they come."""

    # Where a boot writes what it says of itself: as we do.
    errors = None

    def __init__(self, verbose):
        self.verbose = verbose
        self._held = []

    def line(self, text):
        """Any line."""
        print(text, flush=True)

    def heading(self, text):
        """Something new begins."""
        sys.stderr.flush()
        self.line(f"\n== {text}")

    def subject(self, name):
        """A program begins."""
        self._held = []
        self.line(f"# -- {name}")

    def ktap(self, text, result, boot):
        """A line of a program. What a test says is worth showing when it fails."""
        if self.verbose:
            self.line(text)
        elif result:
            if result.status == ktap.FAILED:
                for held in self._held:
                    self.line(held)
            self._held = []
            self.line(text)
        elif ktap.PLAN.match(text):
            self.line(text)
        elif not ktap.CHATTER.match(text):
            self._held.append(text)


class Held(Show):
    """A show that is held back: what runs at the same time would get mixed up."""

    errors = subprocess.STDOUT

    def __init__(self, verbose):
        super().__init__(verbose)
        self._lines = []

    def line(self, text):
        """Keeps it."""
        self._lines.append(text)

    def release(self):
        """Prints all that was kept."""
        print("\n".join(self._lines), flush=True)


def summary(results):
    """Failures by name, skips with reasons, and the closing line. Returns the exit status."""
    failed = [result for result in results if result.status == ktap.FAILED]
    skipped = [result for result in results if result.status == ktap.SKIPPED]
    if failed:
        print("\nFailed:")
        for result in failed:
            print(f"  {_name(result)}{_because(result)}")
    if skipped:
        print("\nSkipped:")
        for reason, names in _by_reason(skipped).items():
            print(f"  {reason}:")
            for name in names:
                print(f"    {name}")
    passed = len(results) - len(failed) - len(skipped)
    print(f"\n{passed} passed, {len(failed)} failed, {len(skipped)} skipped", flush=True)
    return 1 if failed or not passed else 0


def c_driver(results):
    """The rows, and whether the C driver fails where they say so. Returns the exit status."""
    by_row = {row: [result for result in results if _row(result) == row] for row in plan.ROWS}
    shown = [row for row in plan.ROWS if not plan.ROWS[row].needs]
    missing = []
    print("\nRows that userspace can show on a stock kernel:\n")
    for row in shown:
        if not any(result.status == ktap.FAILED for result in by_row[row]):
            missing.append(row)
        print(f"{row:4} {plan.ROWS[row].what}: {_verdict(by_row[row])}")
        for result in by_row[row]:
            print(f"       {_outcome(result):8} {_name(result)}{_because(result)}")
    print("\nRows that need more:\n")
    for row in plan.ROWS:
        if plan.ROWS[row].needs:
            print(f"{row:4} {plan.ROWS[row].what}: needs {plan.ROWS[row].needs}")
    _others(results, set(shown))
    print(f"\n{len(shown) - len(missing)} of {len(shown)} rows fail on the C driver as documented"
          + (f"; not shown: {', '.join(missing)}" if missing else ""), flush=True)
    return 1 if missing else 0


WORDS = {ktap.PASSED: "pass", ktap.FAILED: "FAIL", ktap.SKIPPED: "-"}


def coherence(ours, theirs):
    """The matrix, for both drivers: `ours` and `theirs` are lists of a column and the results of its boot.

    Returns the cells of ours as results, and what else the run was good for.
    """
    if not ours and not theirs:
        return []
    print("\n## Coherence matrix\n")
    for column in plan.COLUMNS:
        print(f"- {column.name}: {column.what}")
    results = []
    if ours:
        results += _part("udmabuf_rs", ours)
    if theirs:
        cells = _part("the C driver", theirs)
        results += _can_fail(cells)
    return results


def _part(driver, columns):
    """Print one driver's part. Returns its cells as results, and what belongs to none but failed."""
    table = {column.name: matrix.cells(results) for column, results in columns}
    print(f"\n### {driver}\n")
    _line(["row", *table])
    print(f"|{'-' * 55}|" + "|".join("-" * 7 + ":" for _ in table) + "|")
    for row, what in matrix.ROWS.items():
        _line([f"{row:2} {what}", *(WORDS[cells[row].status] for cells in table.values())])
    for status, what in ((ktap.PASSED, "pass"), (ktap.FAILED, "FAIL"), (ktap.SKIPPED, "- (not shown)")):
        _line([f"**{what}**", *(sum(cell.status == status for cell in cells.values()) for cells in table.values())])
    left = [result for _, results in columns for result in matrix.others(results) if result.status == ktap.FAILED]
    _notes(table, left)
    return [_cell(name, cell) for name, cells in table.items() for cell in cells.values()] + left


def _line(words):
    print(f"| {words[0]:53} |" + "|".join(f" {word:>6} " for word in words[1:]) + "|")


def _notes(table, left):
    """How many tests there were, what failed of them, and why cells are missing."""
    cells = [(name, cell) for name, column in table.items() for cell in column.values()]
    counts = [sum(len(cell.having(status)) for _, cell in cells) for status in (ktap.PASSED, ktap.FAILED, ktap.SKIPPED)]
    print("\nThe cells are {} tests: {} passed, {} failed, {} skipped.\n".format(sum(counts), *counts))
    for result in left:
        print(f"- {result.boot}: {result.name}{_because(result)}")
    failed, missing = {}, {}
    for name, cell in sorted(cells, key=lambda pair: pair[1].row):
        for tests in _failed_tests(cell):
            failed.setdefault((cell.row, tests), []).append(name)
        for reason in cell.reasons:
            in_part = "" if cell.status == ktap.SKIPPED else " in part"
            missing.setdefault((cell.row, reason), []).append(name + in_part)
    for (row, tests), names in failed.items():
        print(f"- row {row} fails in {', '.join(names)}: {tests}")
    for (row, reason), names in missing.items():
        print(f"- row {row} not shown in {', '.join(names)}: {reason}")


def _failed_tests(cell):
    """Their names without the row's, in one string if there are any."""
    names = [matrix.ROW.sub("", result.test) for result in cell.having(ktap.FAILED)]
    return [", ".join(names)] if names else []


def _can_fail(results):
    """A matrix that cannot fail proves nothing: that it can is shown by what is known of the C driver."""
    boot, rows = plan.KNOWN_TO_FAIL
    cells = {result.name: result.status for result in results if result.boot == boot}
    if not cells:
        return []
    missing = [row for row in rows if cells[_row_name(row)] != ktap.FAILED]
    return [ktap.Result("coherence", f"the C driver fails in rows {', '.join(map(str, rows))}",
                        ktap.FAILED if missing else ktap.PASSED,
                        f"not in {', '.join(map(str, missing))}: what do these rows prove?" if missing else "",
                        boot=boot)]


def _row_name(row):
    return f"row {row}, {matrix.ROWS[row]}"


def _cell(column, cell):
    reason = ", ".join(_failed_tests(cell)) or "; ".join(cell.reasons)
    return ktap.Result("coherence", _row_name(cell.row), cell.status, reason, boot=column)


def _others(results, shown):
    failed = [result for result in results if result.status == ktap.FAILED and _row(result) not in shown]
    own = [result for result in failed if result.test.startswith(OWN)]
    wrong = [result for result in failed if result not in own]
    if own:
        print("\nPromises of ours alone, which the C driver does not make:\n")
        for result in own:
            print(f"  {_name(result)}{_because(result)}")
    if wrong:
        print("\nFails on the C driver though no row says so (is the test wrong?):\n")
        for result in wrong:
            print(f"  {_name(result)}{_because(result)}")
    skipped = [result for result in results if result.status == ktap.SKIPPED and _row(result) not in shown]
    passed = sum(result.status == ktap.PASSED for result in results if _row(result) not in shown)
    print(f"\nTests of no such row: {passed} passed, {len(failed)} failed, {len(skipped)} skipped")


def _row(result):
    match = ROW.match(result.test)
    return match.group(1) if match else None


def _verdict(results):
    if any(result.status == ktap.FAILED for result in results):
        return "fails on C driver (as documented)"
    if any(result.status == ktap.PASSED for result in results):
        return "UNEXPECTEDLY PASSES"
    return "NOT SHOWN"


def _outcome(result):
    return {ktap.PASSED: "passes", ktap.FAILED: "fails", ktap.SKIPPED: "skipped"}[result.status]


def _name(result):
    name = f"[{result.boot}] {result.name}" if result.boot not in ("", "main") else result.name
    # create and create_32 have the same tests.
    return f"{result.subject}: {name}" if result.subject.endswith("_32") else name


def _because(result):
    reason = result.reason or next((note for note in result.notes if "Expected" in note or "kernel log" in note), "")
    if not reason and result.notes and result.status == ktap.FAILED:
        reason = result.notes[-1]
    reason = re.sub(r"^\S+:\d+:\w+:", "", reason)
    return f": {reason[:150]}" if reason else ""


def _by_reason(skipped):
    reasons = {}
    for result in skipped:
        reasons.setdefault(result.reason or "no reason given", []).append(_name(result))
    return reasons
