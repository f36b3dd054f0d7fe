# SPDX-License-Identifier: GPL-2.0
"""Tests of benchlib.guest: the script, and what is read of its output."""

import re
import subprocess
import unittest

from benchlib import build, guest, plan


def report_of(*lines):
    """What these lines of output amount to, and what was shown of them."""
    report, shown = guest.Report(), []
    for line in lines:
        guest.take_line(line.split(), report, shown.append)
    return report, shown


class Script(unittest.TestCase):
    """What runs in the VM."""

    def test_is_shell(self):
        subprocess.run(["sh", "-n"], input=guest.script(guest.Request()), text=True, check=True)

    def test_everything(self):
        text = guest.script(guest.Request())
        for name in plan.MEMORIES:
            self.assertIn(f"measure {name} ", text)
        self.assertIn("if pool hugepages-2048kB 1024;", text)
        self.assertNotIn("--icount", text)

    def test_a_part(self):
        request = guest.Request(icount=True, memories=["shmem-2m"], sizes=[plan.MIB], operations=["munmap"],
                                drivers=["rust"], rounds=2)
        line, = [line for line in guest.script(request).splitlines() if line.startswith("measure ")]
        self.assertEqual("measure shmem-2m --rounds=2 --icount --driver=rust=/dev/udmabuf_rs --group=touch "
                         "--size=1048576", line)

    def test_no_threads_on_one_processor(self):
        memory = plan.MEMORIES["shmem-2m"]
        self.assertNotIn("threads", guest.Request(icount=True).groups(memory))
        self.assertIn("threads", guest.Request().groups(memory))
        self.assertNotIn("threads", guest.Request().groups(plan.MEMORIES["4k-run-4"]))

    def test_machine(self):
        self.assertIn("--mem=6G", guest.Request().machine())
        self.assertTrue(any("hugepages=2 " in word for word in guest.Request().machine()))
        words = guest.Request(icount=True, memories=["hugetlb-2m"], sizes=[plan.MIB]).machine()
        self.assertEqual(["--mem=3G", "--smp=1", "--append=" + guest.ARGUMENTS, "--icount"], words)

    def test_sizes_of_a_kind(self):
        request = guest.Request(sizes=[4 * plan.KIB])
        self.assertEqual([], request.sizes_of(plan.MEMORIES["4k-run-4"]))

    def test_names_agree_with_the_program(self):
        source = "".join(path.read_text() for path in (build.BENCH / "guest").glob("*.c"))
        for operation in plan.OPERATIONS.values():
            self.assertIn(f'"{operation.name}"', source)
            self.assertIn(f'"{operation.group}"', source)
        for name in plan.MEMORIES:
            self.assertIn(f'"{re.sub("[0-9]+$", "%lu", name) if name.startswith("4k-run") else name}"', source)


class Output(unittest.TestCase):
    """What comes back."""

    def test_samples_and_facts(self):
        report, shown = report_of("sample shmem-2m 4096 create c 2 5000", "fact dirty/shmem-2m 3", "")
        self.assertEqual(5000, report.samples[0].value)
        self.assertEqual({"dirty/shmem-2m": 3.0}, report.facts)
        self.assertEqual([], shown)

    def test_failures_once(self):
        report, _ = report_of(*["failed shmem-2m 4096 vmap rust Cannot allocate memory"] * 2)
        self.assertEqual(["shmem-2m, 4 KiB: vmap by rust: Cannot allocate memory"], report.problems)

    def test_anything_else_is_shown(self):
        _, shown = report_of("insmod: cannot insert it", "begin shmem-2m")
        self.assertEqual(["insmod: cannot insert it", "shmem, 2 MiB pages"], shown)


class Checks(unittest.TestCase):
    """What must be so for figures to mean something."""

    def problems(self, *lines, icount=True):
        """Those of a run with this output."""
        report, _ = report_of("sample shmem-2m 4096 create c 2 5000", *lines)
        guest._check(report, guest.Request(icount=icount))
        return report.problems

    def test_clock(self):
        self.assertEqual([], self.problems("fact million_instructions 1000003"))
        self.assertEqual(1, len(self.problems("fact million_instructions 2000003")))
        self.assertEqual([], self.problems("fact million_instructions 400000", icount=False))

    def test_dirty(self):
        self.assertEqual(1, len(self.problems("fact dirty/shmem-2m 0")))

    def test_folios(self):
        self.assertEqual([], self.problems("sample shmem-2m 67108864 folios floor 0 32"))
        self.assertEqual(1, len(self.problems("sample shmem-2m 67108864 folios floor 0 16384")))

    def test_nothing(self):
        report = guest.Report()
        guest._check(report, guest.Request())
        self.assertEqual(["nothing was measured"], report.problems)


if __name__ == "__main__":
    unittest.main()
