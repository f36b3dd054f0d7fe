# SPDX-License-Identifier: GPL-2.0
"""The command line of tools/testing/check, and the order of things."""

import argparse
import sys

from . import guest, host, plan, report

HOST = {"rust": host.rust, "python": host.python}

EPILOG = """
The last line is "N passed, N failed, N skipped". The exit status is 0 when none
failed; with --c-driver, when every row that userspace can show did fail.
"""


def parser():
    """The command line."""
    parse = argparse.ArgumentParser(prog="tools/testing/check", epilog=EPILOG,
                                    formatter_class=argparse.RawDescriptionHelpFormatter,
                                    description="Builds all tests, boots the VM, runs them, and says how it went.")
    parse.add_argument("--c-driver", action="store_true",
                       help="run them against the C driver instead, and list where it fails as documented")
    parse.add_argument("--subject", action="append", default=[], metavar="NAME",
                       help="run no other subjects than these")
    parse.add_argument("--list", action="store_true", help="list boots and subjects, and run nothing")
    parse.add_argument("--verbose", action="store_true", help="show every line of every test")
    return parse


def main():
    """Run what was asked for; returns the exit status."""
    options = parser().parse_args()
    boots = plan.THEIRS if options.c_driver else plan.OURS
    hosted = [] if options.c_driver else list(HOST)
    if options.list:
        return _list(boots, hosted)
    known = set(hosted).union(*(boot.subjects for boot in boots))
    unknown = set(options.subject) - known
    if unknown:
        print(f"no such subject: {', '.join(sorted(unknown))}; there are {', '.join(sorted(known))}", file=sys.stderr)
        return 2
    results = _run(boots, hosted, options)
    return report.c_driver(results) if options.c_driver else report.summary(results)


def _list(boots, hosted):
    for name in hosted:
        print(f"host    {name}")
    for boot in boots:
        print(f"{boot.name:7} {' '.join(boot.subjects)}")
    return 0


def _run(boots, hosted, options):
    show = report.Show(options.verbose)
    results = []
    for name in hosted:
        if not options.subject or name in options.subject:
            results += HOST[name](show)
    boots = [boot.only(options.subject) for boot in boots]
    boots = [boot for boot in boots if boot.subjects]
    for boot in boots:
        results += guest.run(boot, show)
    return results
