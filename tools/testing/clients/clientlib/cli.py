# SPDX-License-Identifier: GPL-2.0
"""The command line of make check-clients."""

import argparse
import fcntl
import time

import client
from checklib import build, ktap, report

from . import host, suites, table

EPILOG = """
The last line is "N passed, N failed, N skipped": a result for each trial of each
client with each driver. Documentation/clients.md is written where all clients of
a suite ran with both.
"""


def parser():
    """The command line."""
    parse = argparse.ArgumentParser(prog="tools/testing/clients/check", epilog=EPILOG,
                                    formatter_class=argparse.RawDescriptionHelpFormatter,
                                    description="Runs programs of others on this driver and on the C driver, in a VM "
                                                "with a Debian system, and compares the results.")
    parse.add_argument("--suite", action="append", default=[], choices=list(suites.SUITES),
                       help="run only the clients in this folder; by default, "
                            f"{', '.join(sorted(suites.SLOW))} is left out, as it is slow")
    parse.add_argument("--client", action="append", default=[], metavar="NAME", help="run no other clients than these")
    parse.add_argument("--driver", choices=list(host.DRIVERS), help="run them on no other driver")
    parse.add_argument("--list", action="store_true", help="list clients and trials, and run nothing")
    parse.add_argument("--verbose", action="store_true", help="show every line of every client")
    return parse


def enter():
    """main(), guarded."""
    return client.guarded("check-clients", main, failed=1)


def main():
    """Run the chosen clients; returns the exit status."""
    parse = parser()
    options = parse.parse_args()
    chosen = {suite: suites.clients(suite, options.client) for suite in options.suite or _usual(options)}
    missing = set(options.client) - {each.name for clients in chosen.values() for each in clients}
    if missing:
        parse.error(f"there is no client {', '.join(sorted(missing))}; see --list")
    if options.list:
        return _list(chosen)
    client.require()
    show = report.Show(options.verbose)
    results = []
    # Helper programs and the table are made anew: another run of this checkout has to wait.
    with open(build.cache_folder() / "clients.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for suite, clients in chosen.items():
            if clients:
                results += _suite(suite, clients, options, show)
    return report.summary(results)


def _usual(options):
    """The suites to run where none is named."""
    return [suite for suite in suites.SUITES if options.client or options.list or suite not in suites.SLOW]


def _list(chosen):
    for suite, clients in chosen.items():
        for each in clients:
            for trial in each.trials:
                print(f"{suite}  {each.name}: {trial}")
    return 0


def _suite(name, clients, options, show):
    suite = host.Suite(name, clients, show)
    rows, results = {}, []
    for driver in [options.driver] if options.driver else host.DRIVERS:
        started = time.monotonic()
        rows[driver], said = suite.run(driver)
        results += said
        show.line(f"# clients of {name}, driver {driver}: {time.monotonic() - started:.0f} s")
    if len(rows) == len(host.DRIVERS):
        lines = table.lines(rows[host.OURS], rows[host.THEIRS])
        print("\n".join(lines))
        if not options.client and not any(result.status == ktap.FAILED for result in results):
            table.write(name, lines)
    return results
