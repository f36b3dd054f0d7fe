# SPDX-License-Identifier: GPL-2.0
"""The driver behind /dev/udmabuf, as it is seen from outside: parameters, live buffers, how many there were."""

import contextlib
import re
from pathlib import Path

NODE = Path("/dev/udmabuf")
EXPORTER = "udmabuf"
BUFINFO = Path("/sys/kernel/debug/dma_buf/bufinfo")
TRACING = Path("/sys/kernel/tracing")
PROBE = "clients"


class Driver:
    """One of the two; `module` is its name under /sys/module."""

    def __init__(self, module):
        self._module = Path("/sys/module") / module
        self.is_c = module == EXPORTER

    @contextlib.contextmanager
    def parameters(self, **values):
        """Parameters with other values for a while."""
        paths = {self._module / "parameters" / name: str(value) for name, value in values.items()}
        before = {path: path.read_text() for path in paths}
        try:
            for path, value in paths.items():
                path.write_text(value)
            yield
        finally:
            for path, value in before.items():
                path.write_text(value)

    def references(self):
        """How many hold the module. One that is built in counts none."""
        with contextlib.suppress(FileNotFoundError):
            return int((self._module / "refcnt").read_text())
        return 0


def live():
    """How many buffers of the exporter there are. Each has a line of size, flags, mode, count, exporter, inode and name."""
    return sum(1 for line in BUFINFO.read_text().splitlines() if line.split()[4:5] == [EXPORTER])


def watch():
    """Begins to count buffers as they are exported."""
    (TRACING / "kprobe_events").write_text(f"p:{PROBE}/export dma_buf_export exporter=+0(+0(%di)):string\n")
    (_event() / "trigger").write_text("hist:keys=exporter\n")


def created():
    """How many buffers the exporter has made since watch()."""
    found = re.search(rf"^\{{ exporter: {EXPORTER} *\}} hitcount: *(\d+)", (_event() / "hist").read_text(), re.MULTILINE)
    return int(found.group(1)) if found else 0


def _event():
    return TRACING / "events" / PROBE / "export"
