# SPDX-License-Identifier: GPL-2.0
import sys
import unittest
from pathlib import Path

TESTING = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTING / "clients"), str(TESTING), str(TESTING.parent / "vm")]

from checklib import ktap  # noqa: E402
from clientlib import host, programs, suites, table  # noqa: E402
from clientlib.guest import main, trial, video  # noqa: E402


def row(trial_name="a", how="passed", sentence="all", **other):
    return host.Row("Client", trial_name, "1.0", how, sentence, other.get("buffers", 1), other.get("seconds", 2.0))


class VerdictTest(unittest.TestCase):
    def test_stays_what_it_is(self):
        self.assertEqual(("passed", "all"), main.verdict("passed", "all", 3, ""))
        self.assertEqual(("failed", "none"), main.verdict("failed", "none", 0, ""))
        self.assertEqual(("skipped", "no device"), main.verdict("skipped", "no device", 0, ""))

    def test_fails_without_a_buffer(self):
        self.assertEqual("failed", main.verdict("passed", "all", 0, "")[0])

    def test_fails_if_something_is_left_even_of_a_skipped_one(self):
        for how in ("passed", "skipped", "failed"):
            self.assertEqual("failed", main.verdict(how, "all", 1, "2 buffers are left")[0])


class ResultTest(unittest.TestCase):
    def parsed(self, *arguments):
        parser = ktap.Parser("x")
        for line in main.result(1, "a: b", *arguments).splitlines():
            last = parser.line(line)
        return last

    def test_of_all_kinds(self):
        self.assertEqual(ktap.PASSED, self.parsed("passed", "all", "").status)
        self.assertEqual(ktap.FAILED, self.parsed("failed", "none", "").status)
        skipped = self.parsed("skipped", "no device", "")
        self.assertEqual((ktap.SKIPPED, "no device"), (skipped.status, skipped.reason))

    def test_further_lines_are_notes(self):
        self.assertEqual(["second"], self.parsed("failed", "first\nsecond", "").notes)

    def test_a_known_failure_has_to_be_seen(self):
        self.assertEqual(ktap.PASSED, self.parsed("failed", "9 pixels differ", "pixels differ").status)
        self.assertEqual(ktap.FAILED, self.parsed("failed", "it ended", "pixels differ").status)
        self.assertEqual(ktap.FAILED, self.parsed("passed", "all", "pixels differ").status)


class TableTest(unittest.TestCase):
    def test_results_that_are_equal_are_told_once(self):
        self.assertEqual("| Client | 1.0 | a | all | the same | 1 | 2, 4 |", table.lines([row()], [row(seconds=4.0)])[-1])

    def test_results_that_differ(self):
        line = table.lines([row()], [row(how="failed", sentence="9 pixels\nand more", buffers=0)])[-1]
        self.assertIn("| all | **fails**: 9 pixels | 1, 0 |", line)

    def test_what_did_not_run(self):
        self.assertIn("| not run: no device | did not run |", table.lines([row(how="skipped", sentence="no device")], [])[-1])


class ClientsTest(unittest.TestCase):
    def test_names_of_trials_are_told_apart(self):
        for suite in suites.SUITES:
            found = [(each.title, name) for each in suites.clients(suite) for name in each.trials]
            self.assertEqual(len(found), len(set(found)), suite)
            for title, name in found:
                self.assertNotIn("#", title + name)

    def test_machines_have_each_client_once(self):
        clients = suites.clients("scenes")
        found = [(name, each.name) for group in suites.machines(clients).values() for name, each in group]
        self.assertEqual(sorted((name, each.name) for each in clients for name in each.machines), sorted(found))

    def test_programs_are_there(self):
        for suite in suites.SUITES:
            for each in suites.clients(suite):
                for name in each.programs:
                    self.assertTrue(name in programs.OF_THE_KERNEL or (programs.HERE / f"{name}.c").exists(), name)

    def test_only_scenes_may_expect_a_failure(self):
        for suite in set(suites.SUITES) - {"scenes"}:
            self.assertEqual([], [each.name for each in suites.clients(suite) if each.c_driver])


class TrialTest(unittest.TestCase):
    def test_equal_counts_what_differs(self):
        trial.equal(b"abcd", b"abcd", "bytes")
        with self.assertRaisesRegex(trial.Wrong, "^2 of 4 pixels differ, the first at 1$"):
            trial.equal(b"aaXbccXd", b"aabbccdd", "pixels", 2)
        with self.assertRaisesRegex(trial.Wrong, "^1 bytes instead of 2$"):
            trial.equal(b"a", b"ab", "bytes")

    def test_a_program_that_fails_is_quoted(self):
        with self.assertRaisesRegex(trial.Wrong, "status 3: why"):
            trial.run("sh", "-c", "echo why; exit 3")
        self.assertEqual("out\n", trial.run("sh", "-c", "echo out; exit 4", statuses=(4,)))

    def test_a_program_that_hangs_is_ended(self):
        with self.assertRaisesRegex(trial.Wrong, "did not end within 1 s: begun"):
            trial.run("sh", "-c", "echo begun; sleep 100", seconds=1)

    def test_structs_are_as_large_as_the_kernel_says(self):
        # uapi/linux/videodev2.h, on 64-bit machines.
        sizes = [code >> 16 & 0x3fff for code in (video.REQBUFS, video.QBUF, video.S_FMT)]
        self.assertEqual([20, 88, 208], sizes)


if __name__ == "__main__":
    unittest.main()
