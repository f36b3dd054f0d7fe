# SPDX-License-Identifier: GPL-2.0
"""Tests of vmlib.kernellog."""

import unittest

from vmlib import kernellog

WARNING = """\
[    5.1] Run /init as init process
[    6.100000][   T88] ------------[ cut here ]------------
[    6.100001][   T88] WARNING: drivers/foo/bar.c:12 at bar_init+0x5/0x10 [bar], CPU#0: insmod/88
[    6.100002][   T88] Modules linked in: bar(OE+)
[    6.100003][   T88] CPU: 0 UID: 0 PID: 88 Comm: insmod
[    6.100004][   T88] Call Trace:
[    6.100005][   T88]  <TASK>
[    6.100006][   T88]  do_one_initcall+0x5b/0x310
[    6.100007][   T88]  </TASK>
[    6.100008][   T88] ---[ end trace 0000000000000000 ]---
[    7.0] bar: loaded
"""

LOCKDEP = """\
[    3.0] ============================================
[    3.0] WARNING: possible recursive locking detected
[    3.0] 7.3.4 #1 Not tainted
[    3.0] --------------------------------------------
[    3.0] insmod/88 is trying to acquire lock:
[    3.0]  stack backtrace:
[    3.0] Call Trace:
[    3.0]  </TASK>
"""

ATOMIC = """\
[    3.0] BUG: scheduling while atomic: insmod/87/0x00000002
[    3.0] locks held by insmod/87: 1, on CPU#1:
[    3.0]  #0: ffffffffa0201418 (lock#6){+.+.}-{3:3}, at: init_module+0x206/0x1000 [leak]
[    3.0] Modules linked in: leak(O+)
[    3.0] Call Trace:
[    3.0]  <TASK>
[    3.0]  msleep+0xb1/0x110
[    3.0]  </TASK>
"""

KUNIT = """\
[    3.0] KTAP version 1
[    3.0] 1..1
[    3.0]     KTAP version 1
[    3.0]     # Subtest: rust_foo
[    3.0]     # speed: slow
[    3.0]     1..3
[    3.0]     ok 1 first
[    3.0]     # second: ASSERTION FAILED at foo.rs:12
[    3.0]     Expected 1 == 2 to be true, but is false
[    3.0]     not ok 2 second
[    3.0]     ok 3 third # SKIP not here
[    3.0] # rust_foo: pass:1 fail:1 skip:1 total:3
[    3.0] not ok 1 rust_foo
"""

SINGLE = [
    "BUG: unable to handle page fault for address: 0000000000001000",
    "kernel BUG at lib/list_debug.c:65!",
    "Oops: general protection fault, probably for non-canonical address 0xdead000000000100: 0000 [#1] SMP",
    "Kernel panic - not syncing: Fatal exception",
    "BUG: KASAN: slab-use-after-free in foo+0x1/0x2",
    "UBSAN: array-index-out-of-bounds in drivers/foo.c:1:2",
    "DMA-API: faux foo: device driver has pending DMA allocations while released from device [count=1]",
    "DMA-API: exceeded 7 overlapping mappings of cacheline 0x0000000000123456",
    "DMAR: DRHD: handling fault status reg 2",
    "DMAR: [DMA Write NO_PASID] Request device [0000:00:02.0] fault addr 0x1000 [fault reason 0x05] PTE Write not set",
    "arm-smmu-v3 9050000.smmuv3: event 0x10 received:",
    "kmemleak: 3 new suspected memory leaks (see /sys/kernel/debug/kmemleak)",
    "refcount_t: underflow; use-after-free.",
    "list_del corruption. next->prev should be 1, but was 2",
    "BUG: scheduling while atomic: foo/12/0x00000002",
    "BUG: sleeping function called from invalid context at foo.c:1",
    "BUG: Bad page state in process foo  pfn:1234",
    "mm/pgtable-generic.c:44: bad pud 0000000014f314cb(80000000400002e7)",
    "watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [foo:12]",
    "rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:",
    "rcu: INFO: rcu_preempt self-detected stall on CPU",
    "INFO: task foo:12 blocked for more than 120 seconds.",
    "WARNING: suspicious RCU usage",
    "INFO: trying to register non-static key.",
    "WARNING: possible circular locking dependency detected",
    "rust_kernel: panicked at foo.rs:12:1:",
]

HARMLESS = [
    "Spectre V2 : WARNING: Unprivileged eBPF is enabled",
    "traps: foo[12] general protection fault ip:1 sp:2 error:0 in foo",
    "foo[12]: segfault at 0 ip 1 sp 2 error 4",
    "udmabuf_rs: loading out-of-tree module taints kernel.",
    "udmabuf_rs: module verification failed: signature and/or required key missing - tainting kernel",
    "DMA-API: preallocated 65536 debug entries",
    "DMA-API: debugging enabled by kernel config",
    "DMAR: IOMMU enabled",
    "DMAR: DRHD base: 0x000000fed90000 flags: 0x0",
    "arm-smmu-v3 9050000.smmuv3: allocated 32768 entries for evtq",
    "ok 1 foo # SKIP not ok 2",
    "clocksource: timekeeping watchdog on CPU0: Marking clocksource 'tsc' as unstable",
    "rcu: Hierarchical RCU implementation.",
    "DEBUG: WARNING is only a word here",
    "kmemleak: Kernel memory leak detector initialized (mem pool available: 1)",
]


def log_of(*messages):
    """A kernel log with these messages among others."""
    return "".join(f"[   {second}.000001][    T1] {text}\n" for second, text in enumerate(["Linux", *messages, "done"]))


class FindReports(unittest.TestCase):
    """What is a report, and where it ends."""

    def test_warning_with_all_its_lines(self):
        reports = kernellog.find_reports(WARNING)
        self.assertEqual(len(reports), 1)
        self.assertEqual(len(reports[0].lines), 9)
        self.assertIn("bar_init", reports[0].title)
        self.assertIn("end trace", reports[0].lines[-1])

    def test_lockdep_with_its_frame(self):
        reports = kernellog.find_reports(LOCKDEP)
        self.assertEqual(len(reports), 1)
        self.assertIn("recursive locking", reports[0].title)
        self.assertIn("====", reports[0].lines[0])
        self.assertIn("backtrace", reports[0].text)

    def test_locks_belong_to_it(self):
        self.assertEqual([8], [len(report.lines) for report in kernellog.find_reports(ATOMIC)])

    def test_unit_tests_from_the_assertion_on(self):
        first, second = kernellog.find_reports(KUNIT)
        self.assertEqual(KUNIT.splitlines()[7:10], first.lines)
        self.assertEqual(["[    3.0] not ok 1 rust_foo"], second.lines)

    def test_each_kind(self):
        for text in SINGLE:
            with self.subTest(text):
                self.assertEqual([text], [report.title for report in kernellog.find_reports(log_of(text))])

    def test_without_prefix(self):
        self.assertEqual(len(kernellog.find_reports("\n".join(SINGLE[:1]))), 1)

    def test_harmless(self):
        self.assertEqual([], kernellog.find_reports(log_of(*HARMLESS)))

    def test_two_in_a_row(self):
        self.assertEqual(len(kernellog.find_reports(WARNING + WARNING)), 2)

    def test_one_line_leaves_the_next_alone(self):
        reports = kernellog.find_reports(log_of("kmemleak: 3 new suspected memory leaks", "foo: bar"))
        self.assertEqual(len(reports[0].lines), 1)

    def test_carriage_returns_of_a_serial_line(self):
        self.assertEqual(len(kernellog.find_reports(WARNING.replace("\n", "\r\n"))), 1)

    def test_cut_off_log(self):
        self.assertEqual(len(kernellog.find_reports("[ 1.0] BUG: unable to handle")), 1)


RACE = """\
[   31.5] ==================================================================
[   31.5] BUG: KCSAN: data-race in Alpha / beta

[   31.5] write to 0xffff888003b6e4d8 of 8 bytes by task 117 on cpu 1:
[   31.5]  Alpha+0x60/0x90{module}
[   31.5]  vfs_ioctl+0x1/0x2
[   31.5]
[   31.5] read to 0xffff888003b6e4d8 of 8 bytes by task 118 on cpu 0:
[   31.5]  beta+0x30/0x50
[   31.5]
[   31.5] value changed: 0x0000000000000001 -> 0x0000000000000002

[   31.5] Reported by Kernel Concurrency Sanitizer on:
[   31.5] CPU: 0 UID: 0 PID: 118 Comm: stress Tainted: G           O        7.3.4+kcsan #1
[   31.5] ==================================================================
[   31.6] something else
"""


class Races(unittest.TestCase):
    """Data races, of the kernel's own and of modules."""

    def test_whole_report(self):
        reports = kernellog.find_reports(RACE.format(module=""))
        self.assertEqual([15], [len(report.lines) for report in reports])
        self.assertEqual("BUG: KCSAN: data-race in Alpha / beta", reports[0].title)

    def whose(self, text):
        """Whether the race in a log is the kernel's own, and has a module among the callers."""
        report, = kernellog.find_reports(text)
        return report.is_race_elsewhere, report.has_module

    def test_whose_it_is(self):
        for module, expected in (("", (True, False)), (" [udmabuf_rs]", (False, True)), (" [udmabuf_importer]", (False, True))):
            with self.subTest(module):
                self.assertEqual(expected, self.whose(RACE.format(module=module)))

    def test_access_on_behalf_of_a_module(self):
        text = RACE.format(module="").replace("vfs_ioctl+0x1/0x2", "vfs_ioctl+0x1/0x2 [udmabuf_rs]")
        for function in ("rust_helper_atomic_set", "_RNvCs4core3ptr5write", "__list_add", "memcpy", "sg_next"):
            with self.subTest(function):
                self.assertEqual((False, True), self.whose(text.replace("Alpha+", f"{function}+")))

    def test_access_of_what_a_module_calls(self):
        text = RACE.format(module="").replace("vfs_ioctl+0x1/0x2", "vfs_ioctl+0x1/0x2 [udmabuf_rs]")
        self.assertEqual((True, True), self.whose(text))

    def test_no_stack(self):
        """A report that is cut off may be anyone's."""
        self.assertEqual((False, False), self.whose("\n".join(RACE.splitlines()[:4])))

    def test_another_line_before_it(self):
        """The stacks decide, so they belong to it also where another processor has logged in between."""
        text = RACE.format(module=" [udmabuf_rs]").replace("=\n", "=\n[   31.5] something else\n", 1)
        self.assertEqual([False], [report.is_race_elsewhere for report in kernellog.find_reports(text)])

    def test_other_reports_are_no_races(self):
        self.assertFalse(any(report.is_race_elsewhere for report in kernellog.find_reports(LOCKDEP + WARNING)))


class SplitExpected(unittest.TestCase):
    """What --expect-log does."""

    def test_expected_and_not(self):
        reports = kernellog.find_reports(WARNING + LOCKDEP)
        expected, surprising, unmet = kernellog.split_expected(reports, ["bar_init", "never there"])
        self.assertEqual([1, 1, ["never there"]], [len(expected), len(surprising), unmet])

    def test_nothing_expected(self):
        reports = kernellog.find_reports(WARNING)
        self.assertEqual(([], reports, []), kernellog.split_expected(reports, []))


if __name__ == "__main__":
    unittest.main()
