# SPDX-License-Identifier: GPL-2.0
"""QEMU's machine protocol, as far as it is needed here."""

import json

from .errors import Failure


class QMP:
    """A connection to a running QEMU."""

    def __init__(self, connection):
        self.stream = connection.makefile("rwb")
        self._answer()  # the greeting
        self.command("qmp_capabilities")

    def command(self, name, **arguments):
        """Run one command, and return what it answers."""
        self.stream.write(json.dumps({"execute": name, "arguments": arguments}).encode() + b"\n")
        self.stream.flush()
        answer = self._answer()
        if "error" in answer:
            raise Failure(f"QEMU refused {name}: {answer['error'].get('desc')}")
        return answer.get("return")

    def _answer(self):
        while True:
            line = self.stream.readline()
            if not line:
                raise Failure("QEMU ended while it was asked something")
            answer = json.loads(line)
            if "event" not in answer:
                return answer
