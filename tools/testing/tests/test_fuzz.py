# SPDX-License-Identifier: GPL-2.0
"""Tests of checklib.fuzz and checklib.reached: from the file of a boot to lines of the module."""

import struct
import tempfile
import unittest
from pathlib import Path

from checklib import fuzz, ktap, plan, reached

SECTIONS = """  [ 3] .text             PROGBITS        0000000000401000 001000 0239b7 00  AX  0   0 16
  [ 5] .init.text        PROGBITS        00000000004249c0 0249c0 000353 00  AX  0   0 16
"""
CALLS = """0000000000401015  000004a200000004 R_X86_64_PLT32         0000000000423180 __sanitizer_cov_trace_pc - 4
0000000000401042  000004a200000004 R_X86_64_PLT32         0000000000423180 kfree - 4
00000000004249d0  000004a200000004 R_X86_64_PLT32         0000000000423180 __sanitizer_cov_trace_pc - 4
"""
TABLE = f"""debug_line[0x00000000]
include_directories[  1] = "{reached.CHECKOUT}/seam"
include_directories[  2] = "/elsewhere/kernel"
file_names[  1]:
           name: "a.rs"
      dir_index: 1
       mod_time: 0x00000000
file_names[  2]:
           name: "b.rs"
      dir_index: 2
0x0000000000401010     10      0      1   0             0       0  is_stmt
0x0000000000401020     11      0      1   0             0       0  is_stmt
0x0000000000401024      7      0      2   0             0       0  is_stmt
0x0000000000401028     12      0      1   0             0       0
0x0000000000401048     14      0      1   0             0       0  is_stmt
0x0000000000401050     14      0      1   0             0       0  is_stmt end_sequence
"""


def exchange(state, last, *records):
    """A file as the VM leaves it."""
    data = bytearray(fuzz.SIZE)
    struct.pack_into("<II", data, 0, state, len(last))
    data[8:8 + len(last)] = last
    at = fuzz.RECORDS
    for kind, content in records:
        struct.pack_into("<II", data, at, kind, len(content))
        data[at + 8:at + 8 + len(content)] = content
        at += 8 + len(content)
    struct.pack_into("<I", data, fuzz.RECORDS - 4, at - fuzz.RECORDS)
    return bytes(data)


class Exchange(unittest.TestCase):
    """The file that outlives the VM."""

    def test_last_program_of_a_vm_that_died(self):
        found = fuzz.parse(exchange(1, b"program"))
        self.assertTrue(found.running)
        self.assertEqual(b"program", found.last)

    def test_records(self):
        found = fuzz.parse(exchange(2, b"", (fuzz.KEPT, b"a"), (fuzz.FOUND, b""), (fuzz.KEPT, b"bcd")))
        self.assertFalse(found.running)
        self.assertEqual([b"a", b"bcd"], found.of(fuzz.KEPT))
        self.assertEqual([b""], found.of(fuzz.FOUND))
        self.assertEqual([], found.of(fuzz.WRONG))

    def test_nothing_was_written(self):
        found = fuzz.parse(bytes(fuzz.SIZE))
        self.assertEqual((False, b"", {}), (found.running, found.last, found.records))

    def test_numbers_are_those_of_the_boot(self):
        boots = plan.fuzz(30)[:2]
        results = [ktap.Result("fuzz", "fuzz.nothing_goes_wrong", ktap.PASSED, boot=boots[1].name,
                               notes=["seed 5", "executions 90 rate 3.0 late 1 checks 7 blocks 800"])]
        self.assertEqual(["| fuzz-bounce | 90 | 3.0 | 1 | 7 | 800 |"], fuzz.numbers(boots, results)[2:])


class Lines(unittest.TestCase):
    """Blocks and lines."""

    def test_calls_by_section(self):
        self.assertEqual({(".text", 0x19): 0x401019, (".init.text", 0x14): 0x4249d4},
                         reached.calls(SECTIONS + CALLS))

    def test_rows_of_ours_alone_have_a_name(self):
        self.assertEqual([("seam/a.rs", 10), ("seam/a.rs", 11), ("", 7), ("seam/a.rs", 12), ("seam/a.rs", 14),
                          ("seam/a.rs", 14)], [(name, number) for _, name, number, _, _ in reached.rows(TABLE)])

    def lines(self, hit):
        """Two blocks: from 0x401014, whose function begins before, and from 0x401043."""
        blocks = {(".text", 0x19): 0x401019, (".text", 0x48): 0x401048}
        return reached.lines(blocks, reached.rows(TABLE), [0x401010], hit)

    def test_a_block_reaches_its_lines_and_the_head_of_its_function(self):
        code, found = self.lines({(".text", 0x19)})
        self.assertEqual({("seam/a.rs", 10), ("seam/a.rs", 11), ("seam/a.rs", 14)}, code)
        self.assertEqual({("seam/a.rs", 10), ("seam/a.rs", 11)}, found)

    def test_nothing_hit(self):
        self.assertEqual(set(), self.lines(set())[1])

    def test_braces_heads_and_unit_tests_do_not_count(self):
        self.assertEqual({2}, reached.statements("seam/a.rs", "fn a() {\n    b();\n}\n#[kunit_tests(x)]\nmod t {\n"))


class Reasons(unittest.TestCase):
    """unreached.toml."""

    SOURCE = ["fn a() {", "    b()?;", "    c();", "}", "fn d() {", "    b()?;", "}"]

    def test_text(self):
        self.assertEqual([2, 6], reached.matches(self.SOURCE, {"text": "b()?"}))

    def test_whole_item(self):
        self.assertEqual([1, 2, 3, 4], reached.matches(self.SOURCE, {"inside": "fn a("}))

    def test_whole_item_whose_head_has_several_lines(self):
        source = ["fn a(", "    x: u8,", ") -> u8 {", "    x", "}", "fn b() {", "}"]
        self.assertEqual([1, 2, 3, 4, 5], reached.matches(source, {"inside": "fn a("}))

    def test_nothing_fits(self):
        self.assertEqual([], reached.matches(self.SOURCE, {"inside": "fn e("}))

    def test_share_and_stale_entries(self):
        with tempfile.TemporaryDirectory() as top:
            Path(top, "a.rs").write_text("\n".join(self.SOURCE))
            coverage = reached.Coverage({("a.rs", at) for at in range(1, 8)}, {("a.rs", 1), ("a.rs", 2)})
            reached.explain(coverage, {"least_percent": 40, "lines": [
                {"file": "a.rs", "inside": "fn d(", "reason": "module unload"},
                {"file": "a.rs", "text": "gone", "reason": "no memory"}]}, Path(top))
        self.assertEqual(4, len(coverage.can))
        self.assertEqual(50.0, coverage.share)
        self.assertEqual(["a.rs: gone"], coverage.stale)
        self.assertIn("| 3 | module unload |", coverage.summary())

    def test_a_reason_for_a_line_that_is_reached_changes_nothing(self):
        coverage = reached.Coverage({("a.rs", 1)}, {("a.rs", 1)}, {("a.rs", 1): "no memory"})
        self.assertEqual(100.0, coverage.share)


class Plan(unittest.TestCase):
    """Boots."""

    def test_replay_runs_the_program_and_nothing_else(self):
        for boot in plan.fuzz(0, "/tmp/x"):
            self.assertIn("fuzz replay /check/replay", boot.steps)
            self.assertIn("--add=/tmp/x=/check/replay", boot.arguments)
            self.assertEqual(["fuzz"], boot.subjects)


if __name__ == "__main__":
    unittest.main()
