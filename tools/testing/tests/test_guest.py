# SPDX-License-Identifier: GPL-2.0
"""Splitting the output of a boot into programs; what did not run has failed."""

import subprocess
import unittest
import unittest.mock

from checklib import guest, ktap, plan, stall


class Quiet:
    """A report.Show that shows nothing."""

    errors = None

    def line(self, text):
        pass

    subject = heading = line

    def ktap(self, text, result, boot):
        pass


def results(subjects, text):
    """The results of a boot of `subjects` whose output was `text`."""
    reader = guest._Reader(plan.Boot("boot", "", [], subjects), Quiet())
    for line in text.splitlines():
        reader.line(line)
    return [(result.subject, result.status) for result in reader.end()]


class Reader(unittest.TestCase):
    def test_two_programs(self):
        text = "@@check begin a\n1..1\nok 1 x\n@@check end a 0\n@@check begin b\n1..1\nnot ok 1 y\n@@check end b 1\n"
        self.assertEqual(results(["a", "b"], text), [("a", "passed"), ("b", "failed")])

    def test_second_never_ran(self):
        text = "@@check begin a\n1..1\nok 1 x\n@@check end a 0\n"
        self.assertEqual(results(["a", "b"], text), [("a", "passed"), ("b", "failed")])

    def test_machine_stopped_in_the_first(self):
        self.assertEqual(results(["a"], "@@check begin a\n1..2\nok 1 x\n"), [("a", "passed"), ("a", "failed")])

    def test_nothing_came(self):
        self.assertEqual(results(["a", "b"], ""), [("a", "failed"), ("b", "failed")])


class OnceMore(unittest.TestCase):
    """What a machine that stands still does to the result of a boot."""

    def ran(self, seconds, *outcomes):
        """How it went in the end, and how many boots there were."""
        boots = []

        def boot(_boot, _show, watch):
            watch.longest = seconds
            reason = stall.LATE if outcomes[len(boots)] == ktap.FAILED else ""
            boots.append(ktap.Result("a", "x", outcomes[len(boots)], reason))
            return boots[-1:]

        with unittest.mock.patch.object(guest, "_run", boot):
            results = guest.run(plan.Boot("boot", "", [], ["a"]), Quiet())
        return [result.status for result in results], len(boots)

    def test_failed_while_it_stood_still(self):
        self.assertEqual(self.ran(83.0, ktap.FAILED, ktap.PASSED), ([ktap.SKIPPED, ktap.PASSED], 2))

    def test_failed_by_itself(self):
        self.assertEqual(self.ran(1.0, ktap.FAILED), ([ktap.FAILED], 1))

    def test_passed_all_the_same(self):
        self.assertEqual(self.ran(83.0, ktap.PASSED), ([ktap.PASSED], 1))

    def test_not_a_third_time(self):
        self.assertEqual(self.ran(83.0, ktap.FAILED, ktap.FAILED), ([ktap.SKIPPED, ktap.FAILED], 2))


class Script(unittest.TestCase):
    def test_steps(self):
        sample = plan.SAMPLES[0]
        lines = guest.script(plan.Boot("boot", "", [], ["!echo", "a -t x", sample, plan.KUNIT])).splitlines()
        self.assertEqual(["echo", "run a -t x", f"sample {sample}", "kunit", "exit 0"], lines[-5:])

    def test_status_of_a_sample(self):
        for status, expected in ((0, "passed"), (1, "failed"), (2, "failed")):
            head = guest.SCRIPT_HEAD.replace('"/check/$1"', f"sh -c 'echo reads: x; exit {status}'")
            done = subprocess.run(["sh", "-c", f"{head}LIMIT=9\nsample a"], check=True, stdout=subprocess.PIPE, text=True)
            self.assertEqual([("a", expected)], results(["a"], done.stdout))


class Verdict(unittest.TestCase):
    def boot(self, status):
        """The results of a boot in which all tests passed and the tool said `status`."""
        def boot(_command, line, _errors):
            for text in ("@@check begin a", "1..1", "ok 1 x", "@@check end a 0"):
                line(text)
            return status
        with unittest.mock.patch.object(guest, "_boot", boot):
            with unittest.mock.patch.object(guest, "_command", lambda *_: []):
                results = guest.run(plan.Boot("boot", "", [], ["a"]), Quiet())
        return [(result.name, result.status) for result in results]

    def test_clean(self):
        self.assertEqual(self.boot(0), [("x", "passed")])

    def test_boot_that_must_fail(self):
        boot = plan.Boot("boot", "leak", [], ["a"], report="DMA-API")
        for status, log, expected in ((99, "x: DMA-API: y", "passed"), (99, "KASAN", "failed"), (0, "DMA-API", "failed"),
                                      (124, "DMA-API", "failed")):
            self.assertEqual([result.status for result in guest._verdict(boot, status, log)], [expected])

    def test_what_cannot_be_built(self):
        def fail(*_):
            raise guest.build.BuildError("no")
        with unittest.mock.patch.object(guest, "_command", fail):
            results = guest.run(plan.Boot("boot", "", [], ["a"]), Quiet())
        self.assertEqual([(result.name, result.status) for result in results], [("boot boot", "failed")])

    def test_report_in_the_kernel_log_and_time_out(self):
        for status in (99, 124, 125, 1):
            self.assertEqual(self.boot(status), [("x", "passed"), ("boot boot", "failed")])


class Plan(unittest.TestCase):
    def test_every_subject_of_the_folder_runs_somewhere(self):
        makefile = (guest.VM.parent / "testing/selftests/udmabuf_rs/Makefile").read_text()
        lines = [line for line in makefile.splitlines() if line.startswith("SUBJECTS")]
        boots = [*plan.OURS, *plan.DEBUG, *(column.ours for column in plan.COLUMNS)]
        run = {step for boot in boots for step in boot.subjects}
        self.assertGreaterEqual(len(lines), 2)
        self.assertLessEqual({word for line in lines for word in line.split("=")[1].split()}, run)

    def test_every_sample_runs_on_both_kernels(self):
        for boots, name in ((plan.OURS, "main"), (plan.DEBUG, "debug")):
            boot = next(boot for boot in boots if boot.name == name)
            self.assertLessEqual(set(plan.SAMPLES), set(boot.subjects))

    def test_samples_do_not_overwrite_selftests(self):
        for name in plan.SAMPLES:
            self.assertTrue((guest.build.CHECKOUT / "samples" / f"{name}.c").exists())
            self.assertFalse((guest.build.SELFTESTS / f"{name}.c").exists())

    def test_names_of_boots_differ(self):
        names = [boot.name for boot in [*plan.OURS, *plan.DEBUG]]
        names += [boot.name for column in plan.COLUMNS for boot in (column.ours, column.theirs) if boot]
        self.assertEqual(len(names), len(set(names)))

    def test_only_keeps_the_shell_steps(self):
        boot = plan.Boot("boot", "", [], ["!one", "a", "b"]).only(["b"])
        self.assertEqual(boot.steps, ["!one", "b"])
