# SPDX-License-Identifier: GPL-2.0
"""Runs clients in the VM, one after the other, and says how each went, as KTAP.

A line that begins with ROW has the table's data of the next result.
"""

import contextlib
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
import traceback

from .. import suites
from . import driver as drivers, trial

ROW = "# row: "
# Seconds after a client's end until its buffers must be released.
AFTER = 20


def main(module, suite, machine, wanted):
    """`module` is the driver's name, `machine` that of the machine, `wanted` are names of clients."""
    _make_places()
    drivers.watch()
    driver = drivers.Driver(module)
    trials = [(client, name) for client in suites.clients(suite, wanted) for name in client.trials]
    print(f"1..{len(trials)}")
    for number, (client, name) in enumerate(trials, 1):
        _one(number, client, name, driver, machine)


def _one(number, client, name, driver, machine):
    before, references, started = drivers.created(), driver.references(), time.monotonic()
    how, sentence = _in_process(client.trials[name], driver, client.seconds)
    taken, made = time.monotonic() - started, drivers.created() - before
    how, sentence = verdict(how, sentence, made, _left(driver, references))
    shown = f"{name}, {machine}" if machine else name
    version = _version(client.version_of) if client.version_of else ""
    print(ROW + json.dumps({"client": client.title, "version": version, "trial": shown, "how": how, "sentence": sentence,
                            "buffers": made, "seconds": round(taken, 1)}))
    print(result(number, f"{client.name}: {shown}", how, sentence, client.c_driver if driver.is_c else ""), flush=True)


def verdict(how, sentence, made, left):
    """Judges a trial from outside: `made` counts exported buffers, `left` describes leaks, or is empty."""
    if left:
        return "failed", f"{left}; {sentence}"
    if how == "passed" and not made:
        return "failed", f"no buffer was made; {sentence}"
    return how, sentence


def result(number, name, how, sentence, failing):
    """Formats KTAP. `failing` is part of the expected error message of a driver that is known to fail."""
    first, *more = sentence.split("\n")
    notes = "".join(f"# {line}\n" for line in more)
    if how == "skipped":
        return f"{notes}ok {number} {name} # SKIP {first}"
    if failing:
        if how == "failed" and failing in sentence:
            return f"{notes}ok {number} {name} (fails, as it is known to: {first})"
        return f"{notes}not ok {number} {name} (does not fail as it is known to: {first})"
    return f"{notes}{'ok' if how == 'passed' else 'not ok'} {number} {name} ({first})"


def _in_process(function, driver, seconds):
    """Calls it in a process of its own. Returns how it went, and a sentence."""
    # With a server, it would not be a child of ours.
    fork = multiprocessing.get_context("fork")
    ours, theirs = fork.Pipe()
    process = fork.Process(target=_call, args=(function, driver, theirs))
    process.start()
    theirs.close()
    try:
        said = ours.recv() if ours.poll(seconds) else ("failed", f"did not end within {seconds} s")
    except EOFError:
        said = "failed", "its process ended"
    process.join(5)
    _end_offspring()
    return said


def _call(function, driver, pipe):
    try:
        said = "passed", function(driver)
    except trial.Skipped as why:
        said = "skipped", str(why)
    except trial.Wrong as wrong:
        said = "failed", str(wrong)
    except Exception:
        said = "failed", "an exception\n" + traceback.format_exc()
    pipe.send(said)


def _end_offspring():
    """Kills all processes of this root but this one and its ancestors."""
    ancestors, at = {os.getpid()}, os.getppid()
    while at > 1:
        ancestors.add(at)
        with open(f"/proc/{at}/stat") as stat:
            at = int(stat.read().rpartition(")")[2].split()[1])
    again = True
    while again:
        again = False
        for number in map(int, filter(str.isdigit, os.listdir("/proc"))):
            with contextlib.suppress(OSError):
                if number > 1 and number not in ancestors and _is_ours(number):
                    os.kill(number, signal.SIGKILL)
                    again = True
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(0.02)


def _is_ours(number):
    """Whether a process runs in this root and is no zombie. Processes of the VM and kernel threads do not."""
    with open(f"/proc/{number}/stat") as stat:
        if stat.read().rpartition(")")[2].split()[0] in "ZX":
            return False
    return os.path.samefile(f"/proc/{number}/root", "/")


def _left(driver, references):
    """Waits for the client's buffers to be released. Describes the leak, or returns an empty string."""
    deadline = time.monotonic() + AFTER
    while True:
        live, more = drivers.live(), driver.references() - references
        if not live and not more:
            return ""
        if time.monotonic() > deadline:
            return f"{live} buffers are left, and {more} references to the module"
        time.sleep(0.1)


def _version(package):
    return subprocess.run(["dpkg-query", "-W", "-f", "${Version}", package], stdout=subprocess.PIPE, text=True,
                          check=False).stdout


def _make_places():
    """The root cannot be written to, and lacks programs of ours."""
    for path in ("/run", "/var/tmp", "/root", "/dev/shm"):
        if not os.path.ismount(path):
            subprocess.run(["mount", "-t", "tmpfs", "none", path], check=True)
    shutil.unpack_archive("/mnt/clients.tar", trial.PROGRAMS)
    os.makedirs("/run/user/0", mode=0o700)
    os.makedirs("/tmp/.X11-unix", mode=0o1777, exist_ok=True)
    os.environ.update(HOME="/root", XDG_RUNTIME_DIR="/run/user/0", LC_ALL="C.UTF-8", PATH="/usr/sbin:/usr/bin:/sbin:/bin")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:])
