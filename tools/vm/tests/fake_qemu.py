# SPDX-License-Identifier: GPL-2.0
"""Stands for QEMU and the guest in it: fake_qemu.py FOLDER BEHAVIOUR.

It takes up the channels in FOLDER as QEMU does, and boots, hangs or dies.
"""

import json
import socket
import sys
import time
from pathlib import Path


def connect(path):
    """One channel."""
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(str(path))
    return connection.makefile("rwb")


def write(stream, data):
    """Send it now."""
    stream.write(data)
    stream.flush()


def main(folder, behaviour):
    """Do as told."""
    channels = {name: connect(folder / name) for name in ("control", "stdin", "stdout", "stderr", "qmp")}
    if behaviour == "shell":
        channels["shell"] = connect(folder / "shell")
    write(channels["qmp"], b'{"QMP": {}}\n')
    json.loads(channels["qmp"].readline())
    write(channels["qmp"], b'{"return": {}}\n')
    log = folder / "kernel.log"
    log.write_text("[    1.000000] something\n")
    if behaviour == "hang":
        time.sleep(60)
    elif behaviour == "timer":
        log.write_text("[    1.000000] Kernel panic - not syncing: IO-APIC + timer doesn't work!\n")
    elif behaviour == "panic":
        log.write_text("[    1.000000] Kernel panic - not syncing: VFS: Unable to mount root fs\n")
    elif behaviour == "refuse":
        log.unlink()
        print("no such machine", file=sys.stderr)
    elif behaviour == "shell":
        write(channels["control"], b"running\n")
        keys = b""
        while not keys.endswith(b"exit\r"):
            key = channels["shell"].read(1)
            keys += key
            write(channels["shell"], key.upper())
        write(channels["control"], b"status 3 0 0\n")
        channels["control"].readline()
    elif behaviour == "boot":
        write(channels["control"], b"running\n")
        write(channels["stdout"], b"hello\n")
        write(channels["control"], b"status 7 6 0\n")
        channels["control"].readline()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
