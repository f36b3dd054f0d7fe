# SPDX-License-Identifier: GPL-2.0
"""Tests of vmlib.libraries and vmlib.elf: what comes along with dynamic programs."""

import contextlib
import io
import os
import struct
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from vmlib import elf, kernels, libraries
from vmlib.errors import Failure

LOADER = "/lib64/ld.so"


def image(needed=(), interpreter="", search="", versions=None, machine=62, tail=b""):
    """A 64-bit ELF file that says this of itself, and can do nothing else."""
    strings = bytearray(b"\0")

    def string(text):
        strings.extend(text.encode() + b"\0")
        return len(strings) - len(text) - 1

    dynamic = [(elf.NEEDED, string(name)) for name in needed]
    dynamic += [(elf.RUNPATH, string(search))] if search else []
    auxiliary = b""
    for number, (library, names) in enumerate((versions or {}).items(), 1):
        size = 16 * (1 + len(names))
        auxiliary += struct.pack("<HHIII", 1, len(names), string(library), 16, size if number < len(versions) else 0)
        for at, name in enumerate(names, 1):
            auxiliary += struct.pack("<IHHII", 0, 0, 0, string(name), 16 if at < len(names) else 0)
    heads = 64 + 3 * 56
    loader = interpreter.encode() + b"\0" if interpreter else b""
    at_dynamic = heads + len(loader) + len(strings) + len(auxiliary)
    dynamic += [(elf.STRINGS, heads + len(loader))]
    if versions:
        dynamic += [(elf.VERSIONS, heads + len(loader) + len(strings)), (elf.VERSIONS_COUNT, len(versions))]
    table = b"".join(struct.pack("<QQ", *entry) for entry in dynamic + [(0, 0)])
    length = at_dynamic + len(table)
    segments = [(elf.LOAD, 0, length), (elf.DYNAMIC, at_dynamic, len(table)),
                (elf.INTERPRETER if loader else 0, heads, len(loader))]
    head = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    head += struct.pack("<HHIQQQIHHHHHH", 3, machine, 1, 0, 64, 0, 0, 64, 56, 3, 0, 0, 0)
    head += b"".join(struct.pack("<IIQQQQQQ", kind, 4, at, at, at, size, size, 1) for kind, at, size in segments)
    return head + loader + bytes(strings) + auxiliary + table + tail


class Libraries(unittest.TestCase):
    """Two systems with libraries, and what is found there."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.top = Path(folder.name)
        self.where = [libraries.Place("this machine", self.top / "host", True),
                      libraries.Place("the build root", self.top / "root")]
        for place in ("host", "root"):
            self.put(f"{place}/usr/lib64/real.so", image())
            (self.top / place / "lib64").symlink_to("usr/lib64")
            (self.top / place / "usr/lib64/ld.so").symlink_to("real.so")

    def put(self, name, data=None, **words):
        """A file under the top."""
        path = self.top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(image(**words) if data is None else data)
        return str(path)

    def needed(self, *added, arch=kernels.AMD64):
        """What comes along, by name in the VM, without the top."""
        found = libraries.needed(added, arch, self.where)
        return {name: str(Path(path).relative_to(self.top)) for name, path in found.items()}

    def test_static_and_others(self):
        self.assertEqual({}, self.needed((self.put("static"), "static"), (self.put("text", b"#!/bin/sh\n"), "text"),
                                         (self.put("short", b"\x7fELF\2\1"), "short")))

    def test_libraries_of_libraries(self):
        self.put("host/usr/lib/x86_64-linux-gnu/liba.so", needed=["libb.so", "libc.so.6"])
        self.put("host/lib/libb.so", needed=["liba.so"])
        self.put("host/opt/libc.so.6")
        self.put("host/lib/libc.so.6", machine=3)
        self.put("host/lib/libgcc_s.so.1")
        self.put("host/etc/ld.so.conf", b"include /etc/ld.so.conf.d/*.conf\n")
        self.put("host/etc/ld.so.conf.d/opt.conf", b"/opt # ours\n")
        program = self.put("program", needed=["liba.so"], interpreter=LOADER)
        self.assertEqual({"lib64/ld.so": "host/usr/lib64/real.so", "usr/lib64/libb.so": "host/lib/libb.so",
                          "usr/lib64/liba.so": "host/usr/lib/x86_64-linux-gnu/liba.so",
                          "usr/lib64/libc.so.6": "host/opt/libc.so.6",
                          "usr/lib64/libgcc_s.so.1": "host/lib/libgcc_s.so.1"}, self.needed((program, "program")))

    def test_missing(self):
        program = self.put("program", needed=["libnone.so"], interpreter=LOADER)
        with self.assertRaisesRegex(Failure, "^--add: bin/x needs libnone.so, not found on this machine or the build "
                                             "root; link it statically, or pass"):
            self.needed((program, "bin/x"))

    def test_missing_loader(self):
        with self.assertRaisesRegex(Failure, "program needs /lib/ld-musl.so"):
            self.needed((self.put("program", interpreter="/lib/ld-musl.so"), "program"))

    def test_missing_in_a_folder(self):
        self.put("tree/program", needed=["libnone.so"], interpreter=LOADER)
        with contextlib.redirect_stderr(io.StringIO()) as said:
            self.assertEqual({}, self.needed((str(self.top / "tree"), "tree")))
        self.assertIn("tree/program needs libnone.so", said.getvalue())

    def test_all_from_the_build_root(self):
        """Where this machine has a library that is too old."""
        for place, versions in (("host", b"V_1\0"), ("root", b"V_1\0V_2\0")):
            self.put(f"{place}/lib/libc.so.6", image(tail=versions))
        old = self.put("old", needed=["libc.so.6"], interpreter=LOADER, versions={"libc.so.6": ["V_1"]})
        new = self.put("new", needed=["libc.so.6"], interpreter=LOADER, versions={"libc.so.6": ["V_1", "V_2"]})
        self.assertEqual("host/lib/libc.so.6", self.needed((old, "old"))["usr/lib64/libc.so.6"])
        found = self.needed((old, "old"), (new, "new"))
        self.assertEqual({"lib64/ld.so": "root/usr/lib64/real.so", "usr/lib64/libc.so.6": "root/lib/libc.so.6"}, found)

    def test_beside_the_program(self):
        self.put("app/lib/liba.so", needed=["libb.so"])
        self.put("app/lib/libb.so")
        program = self.put("app/program", needed=["liba.so"], interpreter=LOADER, search="$ORIGIN/lib")
        self.assertEqual({"lib64/ld.so", "usr/lib64/liba.so", "usr/lib64/libb.so"},
                         set(self.needed((program, "program"))))

    def test_what_is_added_as_well(self):
        library = self.put("liba.so", needed=["libb.so"])
        self.put("host/lib/libb.so")
        program = self.put("program", needed=["liba.so"], interpreter=LOADER)
        self.assertEqual({"lib64/ld.so", "usr/lib64/libb.so"},
                         set(self.needed((program, "program"), (library, "usr/lib/liba.so"))))

    def test_other_processor(self):
        program = self.put("program", needed=["liba.so"], interpreter=LOADER)
        with contextlib.redirect_stderr(io.StringIO()) as said:
            self.assertEqual({}, self.needed((program, "program"), arch=kernels.ARM64))
        self.assertEqual("--add: program is made for x86-64, and the VM is arm64\n", said.getvalue())

    def test_environment(self):
        self.put("elsewhere/liba.so")
        program = self.put("program", needed=["liba.so"], interpreter=LOADER)
        with mock.patch.dict(os.environ, LD_LIBRARY_PATH=str(self.top / "elsewhere")):
            self.assertEqual("elsewhere/liba.so", self.needed((program, "program"))["usr/lib64/liba.so"])

    def test_real_program(self):
        found = elf.read("/bin/sh")
        if not found or not found.interpreter:
            self.skipTest("/bin/sh is no dynamic program here")
        self.assertTrue(found.needed)
        arch = kernels.AMD64 if found.machine == 62 else kernels.ARM64
        files = libraries.needed([("/bin/sh", "bin/x")], arch, libraries.places(None, kernels.AMD64))
        self.assertIn(found.interpreter.lstrip("/"), files)
        self.assertLessEqual(set(found.needed), {os.path.basename(name) for name in files})


if __name__ == "__main__":
    unittest.main()
