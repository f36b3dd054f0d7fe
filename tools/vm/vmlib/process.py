# SPDX-License-Identifier: GPL-2.0
"""Starting commands such that they can be ended, with all they started."""

import contextlib
import os
import shutil
import signal
import subprocess
import time

from .guard import uninterrupted


def start(argv, locks=(), **options):
    """Start a command in a process group of its own, so that stop() gets all of it.

    The descriptors in `locks` stay open in it: a lock taken for the command is
    held for as long as any part of it lives, even if we are killed.
    """
    options.setdefault("stdin", subprocess.DEVNULL)
    child = None
    try:
        with uninterrupted():
            child = subprocess.Popen(argv, preexec_fn=os.setpgrp, pass_fds=tuple(locks), **options)
        return child
    except BaseException:
        if child:
            stop(child)
        raise


def stop(child, patience=5):
    """End a command started by start(), and everything it started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if child.poll() is not None and not _group_alive(child.pid):
            break
        _signal_group(child.pid, number)
        try:
            child.wait(patience)
        except subprocess.TimeoutExpired:
            continue


def end(children, patience):
    """Ask commands of any kind to end, and wait until they have; those that do not are killed."""
    for child in children:
        if child.poll() is None:
            _signal(child.pid, signal.SIGTERM)
    deadline = time.monotonic() + patience
    for child in children:
        try:
            child.wait(max(0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            _signal(child.pid, signal.SIGKILL)
            child.wait()


def _signal(pid, number):
    """Signal a process, also where sudo has made it root's."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass
    except PermissionError:
        _kill_by_sudo(pid, number)


def _group_alive(group):
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _signal_group(group, number):
    # Of what sudo has started, some is root's and some ours, and killpg() is content with ours.
    if os.geteuid() == 0 or not _kill_by_sudo(-group, number):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, number)


def _kill_by_sudo(pid, number):
    """kill(1) as root; returns whether that was possible."""
    if not shutil.which("sudo"):
        return False
    argv = ["sudo", "-n", "kill", f"-{int(number)}", "--", str(pid)]
    return subprocess.run(argv, stderr=subprocess.DEVNULL).returncode == 0
