# SPDX-License-Identifier: GPL-2.0
"""The user's terminal while a shell in the VM has it."""

import os
import shlex
import sys
import termios
import tty

from .errors import Failure

LEAVE = b"\x1d"              # Ctrl-]
DEVICE = "/dev/hvc0"         # the other end, in the VM
PROMPT = r"vm:\w# "


class Terminal:
    """A terminal, which passes every key on while it is entered."""

    def __init__(self, keys=None, screen=None):
        self.keys = sys.stdin.fileno() if keys is None else keys
        self.screen = sys.stdout.fileno() if screen is None else screen
        self.saved = None
        if not (os.isatty(self.keys) and os.isatty(self.screen)):
            raise Failure("--shell needs a terminal on stdin and stdout; without one, give a COMMAND after --")

    def enter(self):
        """Keys come one by one from now on, and none has an effect here."""
        if self.saved is None:
            self.saved = termios.tcgetattr(self.keys)
            tty.setraw(self.keys)

    def leave(self):
        """As it was."""
        if self.saved is not None:
            termios.tcsetattr(self.keys, termios.TCSADRAIN, self.saved)
            self.saved = None

    def read(self):
        """The keys that were pressed; nothing where the terminal is gone."""
        try:
            return os.read(self.keys, 4096)
        except OSError:
            return b""

    def write(self, data):
        """Show something."""
        while data:
            data = data[os.write(self.screen, data):]

    def command(self):
        """The command that is the shell."""
        try:
            size = os.get_terminal_size(self.screen)
        except OSError:
            size = os.terminal_size((0, 0))
        size = f"stty rows {size.lines} cols {size.columns} 2>/dev/null" if size.lines and size.columns else ":"
        words = {"TERM": os.environ.get("TERM", "vt100"), "PS1": PROMPT}
        exports = " ".join(f"{name}={shlex.quote(value)}" for name, value in words.items())
        return ["sh", "-c", f"exec < {DEVICE} > {DEVICE} 2>&1; {size}; export {exports}; exec sh -i"]
