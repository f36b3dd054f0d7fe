# SPDX-License-Identifier: GPL-2.0
"""The command line of tools/testing/check, and the order of things."""

import argparse
import sys

from . import guest, host, plan, report

HOST = {"rust": host.rust, "python": host.python}

EPILOG = """
The last line is "N passed, N failed, N skipped". The exit status is 0 when none
failed; with --c-driver, when every row that userspace can show did fail. What
--coherence counts are the cells of its table for our driver.
"""


def parser():
    """The command line."""
    parse = argparse.ArgumentParser(prog="tools/testing/check", epilog=EPILOG,
                                    formatter_class=argparse.RawDescriptionHelpFormatter,
                                    description="Builds all tests, boots the VM, runs them, and says how it went.")
    which = parse.add_mutually_exclusive_group()
    which.add_argument("--c-driver", action="store_true",
                       help="run them against the C driver instead, and list where it fails as documented")
    which.add_argument("--coherence", action="store_true",
                       help="run the coherence matrix instead, and print its table (Markdown)")
    parse.add_argument("--subject", action="append", default=[], metavar="NAME",
                       help="run no other subjects than these")
    parse.add_argument("--boot", action="append", default=[], metavar="NAME",
                       help="run no other boots than these, or columns of the matrix; and nothing on the host")
    parse.add_argument("--list", action="store_true", help="list boots and subjects, and run nothing")
    parse.add_argument("--verbose", action="store_true", help="show every line of every test")
    return parse


def main():
    """Run what was asked for; returns the exit status."""
    options = parser().parse_args()
    boots, columns = _boots(options), plan.COLUMNS if options.coherence else []
    hosted = list(HOST) if boots == plan.OURS else []
    named = boots + [boot for column in columns for boot in (column.ours, column.theirs) if boot]
    if options.list:
        return _list(named, hosted)
    unknown = (set(options.subject) - set(hosted).union(*(boot.subjects for boot in named))
               | set(options.boot) - {boot.name for boot in named})
    if unknown:
        print(f"no such subject or boot: {', '.join(sorted(unknown))}; see --list", file=sys.stderr)
        return 2
    show = report.Show(options.verbose)
    results = _hosted(hosted, options, show)
    for boot in boots:
        results += _run(boot, options, show) or []
    results += _matrix(columns, options, show)
    return report.c_driver(results) if options.c_driver else report.summary(results)


def _boots(options):
    if options.c_driver:
        return plan.THEIRS
    if options.coherence:
        return []
    return plan.OURS


def _list(boots, hosted):
    for name in hosted:
        print(f"{'host':12} {name}")
    for boot in boots:
        print(f"{boot.name:12} {' '.join(boot.subjects)}")
    return 0


def _hosted(hosted, options, show):
    return [result for name in hosted if not options.boot and (not options.subject or name in options.subject)
            for result in HOST[name](show)]


def _run(boot, options, show):
    """The results of a boot, or None where nothing of it was asked for."""
    boot = boot.only(options.subject)
    if not boot.subjects or options.boot and boot.name not in options.boot:
        return None
    return guest.run(boot, show)


def _matrix(columns, options, show):
    """The results of the coherence matrix, whose table is printed."""
    ours = [(column, _run(column.ours, options, show)) for column in columns]
    theirs = [(column, _run(column.theirs, options, show)) for column in columns if column.theirs]
    ours, theirs = ([(column, results) for column, results in part if results is not None] for part in (ours, theirs))
    return report.coherence(ours, theirs) if ours or theirs else []
