# SPDX-License-Identifier: GPL-2.0
"""The end of every program of the checkout: one sentence, and an exit status.

Programs start each other: make check starts tools/vm/run, which starts QEMU. The
outermost one speaks for all when they are interrupted.
"""

import contextlib
import os
import signal
import sys
import threading

from . import disk
from .errors import Failure, TOOL_FAILED

# In the environment of whatever one of our programs starts.
INNER = "UDMABUF_RS_INNER"
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
INTERRUPTED = 128 + signal.SIGINT


def guarded(name, work, failed=TOOL_FAILED):
    """Call `work`, and return the exit status: what it returns, or that of the failure, which is printed.

    `failed` is the status for an error of the operating system.
    """
    inner = INNER in os.environ
    os.environ[INNER] = "1"
    try:
        _take_signals()
        return work()
    except Failure as failure:
        if str(failure):
            print(f"{name}: {failure}{_short_of_room(failure)}", file=sys.stderr)
        return failure.status
    except KeyboardInterrupt:
        if not inner:
            print(f"{_start_of_line()}{name}: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except OSError as error:
        print(f"{name}: {sentence(error)}", file=sys.stderr)
        return failed


def sentence(error):
    """An OSError in words."""
    full = disk.sentence_for(error)
    if full:
        return full
    reason = error.strerror or str(error)
    if not error.filename:
        return reason
    remedy = ""
    if isinstance(error, PermissionError) and _is_anothers(error.filename):
        remedy = "; it belongs to another user: give it to yourself with chown, or remove it with sudo"
    return f"{error.filename}: {reason}{remedy}"


def _is_anothers(path):
    """Whether a file, or the directory that it would be in, belongs to another user."""
    for each in (path, os.path.dirname(path)):
        with contextlib.suppress(OSError):
            return os.stat(each).st_uid != os.geteuid()
    return False


def _short_of_room(failure):
    """A hint at a full file system, for a failure that names none."""
    found = disk.shortage()
    return f" ({found}, which may be why)" if found and found.mount not in str(failure) else ""


def _start_of_line():
    """Where a terminal has echoed ^C."""
    return "\n" if sys.stderr.isatty() else ""


@contextlib.contextmanager
def uninterrupted():
    """Put signals off for a moment. What a thread does that is not the main one, none interrupts."""
    global _busy
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _busy += 1
    try:
        yield
    finally:
        _busy -= 1
    if _pending and not _busy:
        _end(_pending)


_busy = 0       # how often uninterrupted() is entered
_pending = 0    # the signal that came meanwhile


def _take_signals():
    """Have the first signal end us by an exception, and no second one disturb what is then cleaned up."""
    for number in SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:   # as nohup(1) has it
            signal.signal(number, _take)
    # Blocked where tools/vm/client.py has started us.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def _take(number, _frame):
    global _pending
    for each in SIGNALS:
        signal.signal(each, _ignore)
    if _busy:
        _pending = number
    else:
        _end(number)


def _end(number):
    global _pending
    _pending = 0
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise SystemExit(128 + number)


def _ignore(_number, _frame):
    """Unlike SIG_IGN, not inherited by what is started."""
