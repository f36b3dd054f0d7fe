# SPDX-License-Identifier: GPL-2.0
"""Long steps that say what they do, how far they are and how long they take."""

import os
import shutil
import subprocess
import sys
import time

from . import disk, process
from .errors import Failure

PLAIN_INTERVAL = 20  # seconds between two lines where stderr is no terminal


def say(text):
    """One line for the user; stdout belongs to what was asked for."""
    print(text, file=sys.stderr, flush=True)


class Step:
    """The lines on stderr about one long step."""

    def __init__(self, title, usual):
        self.title = title
        self.usual = usual
        self.started = time.monotonic()
        self.terminal = sys.stderr.isatty()
        self.percent = None
        self.last = 0.0
        if not self.terminal:
            say(f"{title} (usually {usual})")
            self.last = time.monotonic()
        self.update(0)

    def update(self, percent):
        """Show how far the step is; cheap enough for every line of output."""
        now = time.monotonic()
        percent = max(self.percent or 0, min(int(percent), 99))
        if self.terminal:
            if percent != self.percent or now - self.last >= 1:
                seconds = int(now - self.started)
                sys.stderr.write(f"\r\033[K{self.title}: {percent}%, {seconds} s (usually {self.usual})")
                sys.stderr.flush()
                self.last = now
        elif now - self.last >= PLAIN_INTERVAL:
            say(f"{self.title}: {percent}%")
            self.last = now
        self.percent = percent

    def done(self):
        """The last line about a step that went well."""
        self._end(f"done in {time.monotonic() - self.started:.0f} s")

    def failed(self):
        """The last line about a step that did not."""
        self._end("failed")

    def given_up(self):
        """Leave the line of a step that something else has ended."""
        if self.terminal:
            sys.stderr.write("\r\033[K")

    def _end(self, how):
        sys.stderr.write("\r\033[K" if self.terminal else "")
        say(f"{self.title}: {how}")


class Waiting:
    """The lines on stderr about something that is usually over soon; there are none if it is."""

    def __init__(self, title, usual=5):
        self.title = title
        self.started = time.monotonic()
        self.terminal = sys.stderr.isatty()
        self.last = self.started + (usual - 1 if self.terminal else 0)
        self.shown = False

    def update(self, details):
        """Show how long it has taken, and what details() says; cheap enough for every moment."""
        now = time.monotonic()
        if now - self.last < (1 if self.terminal else PLAIN_INTERVAL):
            return
        self.last = now
        text = f"{self.title}: {now - self.started:.0f} s; {details() or 'nothing said yet'}"
        if self.terminal:
            width = shutil.get_terminal_size().columns - 1
            sys.stderr.write(f"\r\033[K{text[:width]}")
            sys.stderr.flush()
            self.shown = True
        else:
            say(text)

    def done(self):
        """Leave no trace on a terminal."""
        if self.shown:
            sys.stderr.write("\r\033[K")
            sys.stderr.flush()
            self.shown = False


class StepFailed(Failure):
    """A step ended with a status, for another reason than a full disk."""

    def __init__(self, sentence, log):
        super().__init__(sentence)
        self.log = log

    def lines(self, beginning):
        """The lines of the log that begin like that, without it; or else one that says where the log is."""
        with open(self.log, errors="replace") as log:
            found = [line[len(beginning):].strip() for line in log if line.startswith(beginning)]
        return found or [f"see {self.log}"]


def count_lines(expected):
    """A gauge for commands whose output has about `expected` lines."""
    def gauge(number, _line):
        return 100 * number / expected
    return gauge


def marks(percentages):
    """A gauge for output in which certain words tell how far a command is."""
    def gauge(_number, line):
        return max((percent for word, percent in percentages.items() if word in line), default=None)
    return gauge


def apt_status(_number, line):
    """A gauge for apt with APT::Status-Fd=1."""
    if line.startswith("dlstatus:"):
        return float(line.split(":")[2])
    return None


def checkpoints(expected):
    """A gauge for tar with --checkpoint-action=echo."""
    def gauge(_number, line):
        word = line.rsplit(" ", 1)[-1]
        return 100 * int(word) / expected if word.isdigit() else None
    return gauge


def run_step(title, argv, log, usual, gauge, **options):
    """Run one long command; its output goes to the file `log`.

    `gauge` is called with the number and text of each line of output and
    answers with a percentage, or None where the line says nothing about it.
    `options` go to Popen. Raises StepFailed where the command fails.
    """
    step = Step(title, usual)
    os.makedirs(os.path.dirname(log), exist_ok=True)
    full = False
    child = process.start(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)
    try:
        with open(log, "ab") as record, child.stdout:
            for number, line in enumerate(child.stdout):
                record.write(line)
                line = line.decode(errors="replace").rstrip()
                full = full or disk.is_full(line)
                percent = gauge(number, line)
                step.update(step.percent if percent is None else percent)
        status = child.wait()
    except BaseException:
        step.given_up()
        process.stop(child)
        raise
    if status:
        step.failed()
        if full:
            raise Failure(f"{disk.sentence([log])} (the full log is {log})")
        raise StepFailed(f"{title} failed (status {status}); the full log is {log}, and ends with:\n{_tail(log)}", log)
    step.done()


def _tail(path, lines=8):
    with open(path, errors="replace") as log:
        return "".join("    " + line for line in log.readlines()[-lines:]).rstrip()
