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


PLAIN, IOMMU = plan.MACHINES["plain"], plan.MACHINES["iommu"]


def script_of(machine=PLAIN, **request):
    """The lines of a script that measure."""
    lines = guest.script([guest.Request(**request)], machine).splitlines()
    return [line.strip() for line in lines if line.strip().startswith("measure ")]


class Script(unittest.TestCase):
    """What is run in the guest."""

    def test_is_shell(self):
        for machine in plan.MACHINES.values():
            subprocess.run(["sh", "-n"], input=guest.script([guest.Request()], machine), text=True, check=True)

    def test_everything(self):
        text = guest.script([guest.Request()], PLAIN)
        for name in plan.MEMORIES:
            self.assertIn(f"measure {name} ", text)
        self.assertIn("if pool hugepages-2048kB 1024;", text)
        self.assertNotIn("--icount", text)
        self.assertEqual(list(plan.MACHINES.values()), guest.Request().machines())

    def test_memory_in_one_piece_comes_first(self):
        order = [line.split()[1] for line in script_of(operations=["sync"])]
        self.assertEqual([name for name in plan.MEMORIES if name in plan.MAIN_MEMORIES], order)

    def test_a_part(self):
        line, = script_of(icount=True, memories=["shmem-2m"], sizes=[plan.MIB], operations=["munmap"],
                          drivers=["memfd", "rust"], rounds=2)
        self.assertEqual("measure shmem-2m --rounds=2 --warmups=1 --icount --subject=rust=/dev/udmabuf_rs --subject=memfd= "
                         "--group=touch --size=1048576", line)

    def test_several_requests_in_a_boot(self):
        requests = [guest.Request(memories=["shmem-2m"], operations=["create"], drivers=["rust"]),
                    guest.Request(memories=["hugetlb-1g"], operations=["munmap"], drivers=["c"])]
        text = guest.script(requests, PLAIN)
        self.assertRegex(text, "measure shmem-2m .*--subject=rust=/dev/udmabuf_rs --group=create")
        self.assertRegex(text, "measure hugetlb-1g .*--subject=c=/dev/udmabuf --group=touch")

    def test_pages_that_are_not_asked_for_are_given_back(self):
        text = guest.script([guest.Request(memories=["shmem-2m"])], PLAIN)
        self.assertIn("echo 0 > $pools/hugepages-1048576kB/nr_hugepages", text)

    def test_no_threads_on_one_processor(self):
        self.assertFalse([line for line in script_of(icount=True) if "threads" in line])
        self.assertEqual(set(plan.MAIN_MEMORIES), {line.split()[1] for line in script_of() if "threads" in line})

    def test_other_machines(self):
        request = guest.Request(icount=True, operations=["iommu_map"])
        self.assertEqual([IOMMU], request.machines())
        self.assertEqual(["--mem=6G", "--smp=1", "--append=" + guest.ARGUMENTS, "--iommu", "--edu=0xffffffff", "--icount"],
                         request.options(IOMMU))
        line = script_of(IOMMU, operations=["iommu_map"], memories=["4k-fragmented"])[0]
        self.assertIn("--edu", line)
        self.assertIn("--group=import --size=4096", line)

    def test_one_size_of_memory_for_all(self):
        for request in (guest.Request(), guest.Request(icount=True, memories=["hugetlb-2m"], sizes=[plan.MIB])):
            for machine in request.machines():
                self.assertIn("--mem=6G", request.options(machine))

    def test_rounds_are_few_where_instructions_are_counted(self):
        for icount, rounds in ((True, 1), (False, 7)):
            line, = script_of(icount=icount, operations=["life"], memories=["4k"])
            self.assertIn(f"--rounds={rounds} ", line)

    def test_sizes_of_a_kind(self):
        self.assertEqual([], script_of(memories=["4k-run-4"], sizes=[4 * plan.KIB]))
        line, = script_of(operations=["life"], memories=["shmem-2m"])
        self.assertTrue(line.endswith("--group=life --size=33554432 --size=67108864"), line)

    def test_names_agree_with_the_program(self):
        source = "".join(path.read_text() for path in (build.BENCH / "guest").glob("*.c"))
        names = set(re.findall('"([a-z0-9_%-]+)"', source))
        for operation in plan.OPERATIONS.values():
            whole = plan.NET.get(operation.name, operation.name).removeprefix(f"{operation.machine}_")
            self.assertTrue({whole, operation.group} <= names, operation.name)
        for name in plan.MEMORIES:
            self.assertTrue({re.sub("[0-9]+$", "%lu", name) if name.startswith("4k-run") else name} <= names, name)


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

    def test_what_a_peer_cannot_is_no_failure(self):
        report, _ = report_of("cannot 4k-fragmented 4096 map heap Input/output error")
        self.assertEqual(([], ["4k-fragmented, 4 KiB: map by heap: Input/output error"]), (report.problems, report.notes))

    def test_other_machines_have_their_own_names(self):
        report = guest.Report()
        for operation in ("map", "folios"):
            guest.take_line(["sample", "shmem-2m", "4096", operation, "c", "0", "5"], report, None, IOMMU)
        self.assertEqual(["iommu_map"], [sample.operation for sample in report.samples])

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
