# SPDX-License-Identifier: GPL-2.0
"""The command line of tools/testing/check, and the order of things."""

import argparse
import os
import sys
from dataclasses import replace

import client

from . import (compile_fail, cost, faults, flavours, fuzz, guest, host, interleavings, mutants, mutation, plan, properties,
               report, settle, tracing)

HOST = {"rust": host.rust, "python": host.python, "properties": properties.run, "settle_model": settle.run,
        "interleavings": interleavings.run, "compile_fail": compile_fail.run, "cost": cost.run}
# Subjects with mutants of their own, which can be left out.
WITH_MUTANTS = ("interleavings", "properties", "settle_model")

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
    which.add_argument("--debug", action="store_true", help="run them on the debug kernel instead, with unit tests")
    which.add_argument("--coherence", action="store_true",
                       help="run the coherence matrix instead, and print its table (Markdown)")
    which.add_argument("--mutants", action="store_true",
                       help="run tests with drivers that have one mistake each, which they must find; --subject names tests")
    which.add_argument("--score", type=int, metavar="N",
                       help="make N mistakes in the driver, drawn at random by --seed, one at a time, try which are "
                            "found, and write the score into Documentation/proven.md; 0: as many as make mutants")
    which.add_argument("--faults", action="store_true",
                       help="fail each allocation, user copy and charge of every operation on the debug kernel, and "
                            f"write the table of Documentation/proven.md; --boot {plan.FAULTS_ARM64.name} does that for "
                            "arm64")
    which.add_argument("--kernels", action="store_true",
                       help="build for every kernel that Debian has instead, boot it, and print a table (Markdown); "
                            "--boot names kernels")
    which.add_argument("--trace", action="store_true",
                       help="run tools/trace instead, with perf and bpftrace, beside a workload that the reports must tell")
    which.add_argument("--stress", type=int, metavar="SECONDS",
                       help="run the stress test alone, for so long, on four kinds of machines, which --boot names")
    which.add_argument("--fuzz", type=int, metavar="SECONDS",
                       help="run the fuzzer alone, for so long on two kinds of machines and two fifths of it on two others, "
                            "which --boot names; tell which lines it reached")
    which.add_argument("--replay", metavar="FILE",
                       help="run a program of the fuzzer instead, 64 times on each of these machines")
    which.add_argument("--all", action="store_true",
                       help="run all of it, but --c-driver, --mutants, --kernels and --trace")
    parse.add_argument("--subject", action="append", default=[], metavar="NAME",
                       help="run no other subjects than these")
    parse.add_argument("--boot", action="append", default=[], metavar="NAME",
                       help="run no other boots than these, or columns of the matrix; and nothing on the host")
    parse.add_argument("--jobs", type=int, default=max(1, min(4, os.cpu_count() or 1)), metavar="N",
                       help="run up to N boots of the debug kernel or the matrix at a time (default: %(default)s)")
    parse.add_argument("--keep", action="store_true",
                       help="with --fuzz: make the programs that reach the most the corpus, tools/testing/fuzz/corpus")
    parse.add_argument("--seed", type=int, default=mutation.SEED, metavar="N", help="for --score (default: %(default)s)")
    parse.add_argument("--first-failure", action="store_true", help="end a boot with the first program that fails")
    parse.add_argument("--limit", type=int, metavar="SECONDS", help="end programs that take longer")
    parse.add_argument("--no-mutants", action="store_true", help="leave out the mutants of models and properties")
    parse.add_argument("--list", action="store_true", help="list boots and subjects, and run nothing")
    parse.add_argument("--verbose", action="store_true", help="show every line of every test")
    return parse


def enter():
    """main(), guarded."""
    return client.guarded("check", main, failed=1)


def main():
    """Run what was asked for; returns the exit status."""
    parse = parser()
    options = parse.parse_args()
    if options.keep and not options.fuzz:
        parse.error("--keep is for what --fuzz finds")
    if options.replay and not os.path.isfile(options.replay):
        parse.error(f"there is no {options.replay}: name a program as a failed run of the fuzzer has it")
    if options.kernels or options.mutants or options.trace or options.score is not None:
        return _apart(options)
    boots, columns = _boots(options), plan.COLUMNS if options.coherence or options.all else []
    hosted = list(HOST) if boots[:1] == plan.OURS[:1] else []
    named = boots + [boot for column in columns for boot in (column.ours, column.theirs) if boot]
    if options.list:
        return _list(named, hosted)
    unknown = (set(options.subject) - set(hosted).union(*(boot.subjects for boot in named))
               | set(options.boot) - {boot.name for boot in named})
    if unknown:
        print(f"no such subject or boot: {', '.join(sorted(unknown))}; see --list", file=sys.stderr)
        return 2
    if options.subject != ["python"]:
        client.require()
    show = report.Show(options.verbose)
    results = _hosted(hosted, options, show)
    slow = plan.DEBUG + plan.FAULTS + [plan.FAULTS_ARM64]
    results += _one_by_one([boot for boot in boots if boot not in slow], options, show)
    debug = [boot for boot in boots if boot in slow]
    done = _together(debug + [boot for column in columns for boot in (column.ours, column.theirs) if boot], options)
    results += [result for boot in debug for result in done.get(boot.name, [])]
    results += report.coherence(*_by_driver(columns, done))
    faults.tell(results)
    if not options.replay:
        results += fuzz.tell([boot for boot in _wanted(boots, options) if fuzz.SUBJECT in boot.subjects], results,
                             options.fuzz, options.keep)
    return report.c_driver(results) if options.c_driver else report.summary(results)


def _apart(options):
    """What is too long for every run, or needs what others do not."""
    client.require()
    show = report.Show(options.verbose)
    if options.score is not None:
        return report.summary(mutation.run(show, options.score, options.seed))
    if options.trace:
        return report.summary(tracing.run(show))
    return report.summary(flavours.run(show, options.boot) if options.kernels else mutants.run(show, options.subject))


def _boots(options):
    if options.stress:
        return plan.stress(options.stress)
    if options.fuzz or options.replay:
        return plan.fuzz(options.fuzz or 0, options.replay and os.path.abspath(options.replay))
    if options.c_driver:
        return plan.THEIRS
    if options.faults:
        return plan.FAULTS + [plan.FAULTS_ARM64, plan.FAULTS_FEW] if options.boot else plan.FAULTS
    if options.coherence:
        return []
    return plan.OURS + plan.DEBUG + plan.ALSO if options.all else plan.DEBUG if options.debug else plan.OURS


def _list(boots, hosted):
    for name in hosted:
        print(f"{'host':16} {name}")
    for boot in boots:
        print(f"{boot.name:16} {' '.join(boot.subjects)}")
    return 0


def _hosted(hosted, options, show):
    return [result for name in hosted if not options.boot and (not options.subject or name in options.subject)
            for result in (HOST[name](show, mutants=False) if options.no_mutants and name in WITH_MUTANTS else HOST[name](show))]


def _wanted(boots, options):
    """What of these boots was asked for."""
    boots = [boot.only(options.subject) for boot in boots if not options.boot or boot.name in options.boot]
    return [replace(boot, first_failure=options.first_failure, limit=min(boot.limit, options.limit or boot.limit))
            for boot in boots if boot.subjects]


def _one_by_one(boots, options, show):
    """The results of boots whose tests measure time."""
    return [result for boot in _wanted(boots, options) for result in guest.run(boot, show)]


def _together(boots, options):
    """The results of boots by name, of which some run at a time: they wait a lot, or keep one processor busy."""
    boots = _wanted(boots, options)
    # The first on the debug kernel has it made, which takes a quarter of an hour. No other should wait for that.
    slow = [boot for boot in boots if boot.kernel.startswith("debug")]
    boots = slow[:1] + [boot for boot in boots if boot not in slow] + slow[1:]

    def run(boot):
        show = report.Held(options.verbose)
        try:
            results = guest.run(boot, show)
        except Exception:
            show.release()
            raise
        show.release()
        return results

    with client.pool(options.jobs) as pool:
        return dict(zip((boot.name for boot in boots), pool.map(run, boots)))


def _by_driver(columns, done):
    """The columns of the matrix that were run, with their results: ours and those of the C driver."""
    ours = [(column, done[column.ours.name]) for column in columns if column.ours.name in done]
    theirs = [(column, done[column.theirs.name]) for column in columns if column.theirs and column.theirs.name in done]
    return ours, theirs
