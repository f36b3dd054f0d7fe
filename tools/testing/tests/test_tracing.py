# SPDX-License-Identifier: GPL-2.0
"""Tests of checklib.tracing: reports as the scripts print them, and what is said of wrong ones."""

import json
import unittest
from unittest import mock

from checklib import ktap, tracing

SETTLE = """\
start: 40 settles, 1540 bytes fetched, 0 pushed
  up to       32 us       18 ###################################
  up to       64 us       21 ########################################
  up to      256 us        1 ##
end: 20 settles, 0 bytes fetched, 2020 pushed
  up to       64 us       19 ########################################
  up to      256 us        1 ###
map: 1 settles, 0 bytes fetched, 0 pushed
  up to        8 us        1 ########################################
unmap: 1 settles, 77 bytes fetched, 0 pushed
  up to       64 us        1 ########################################
"""
PINS = """\
command           buffers   KiB pinned      at most     made
camera one              3         3072         5120        5
encoder                 0            0          192        3
device                  0            0           64        1
"""
EARLIER = "earlier                 1         2048         4096        0\n"
SETTLE_MAPS = """\
Attaching 6 probes...


@bytes_fetched: 1617
@bytes_pushed: 2020
@end_ns:
[32K, 64K)            18 |@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@|
[64K, 128K)            1 |@@                                                  |
[128K, 256K)           1 |@@                                                  |

@map_ns:
[512, 1K)              1 |@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@|

@start_ns:
[16K, 32K)            19 |@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@     |
[32K, 64K)            21 |@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@|

@unmap_ns:
[32K, 64K)             1 |@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@|

"""
PINS_MAPS = """\
Attaching 3 probes...

@buffers_made[device]: 1
@buffers_made[encoder]: 3
@buffers_made[camera one]: 5
@bytes_pinned[device]: 0
@bytes_pinned[encoder]: 0
@bytes_pinned[camera one]: 3145728
"""


def record(tool, report, output, **other):
    """What the VM says of a report that went well."""
    return {"tool": tool, "report": report, "idle": False, "begun": True, "status": 0, "output": output, "errors": "",
            "left": [], "seconds": 0.2, **other}


def judge(*args, **other):
    """What is wrong with it."""
    return tracing.judge(record(*args, **other), tracing.Workload())


class Right(unittest.TestCase):
    """Reports that say what the workload did."""

    def test_all(self):
        for args in (("", "settle", SETTLE), ("perf", "settle", SETTLE), ("perf", "pins", PINS),
                     ("", "pins", PINS + EARLIER), ("bpftrace", "settle", SETTLE_MAPS),
                     ("bpftrace", "pins", PINS_MAPS)):
            with self.subTest(args[:2]):
                self.assertEqual("", judge(*args))

    def test_idle(self):
        for args in (("", "settle", "nothing was settled: no device\n"),
                     ("perf", "pins", "there are no buffers, and\n"),
                     ("", "pins", "earlier                 2         4096         4096        0\n"),
                     ("bpftrace", "settle", "Attaching 6 probes...\n\n\n")):
            with self.subTest(args[:2]):
                self.assertEqual("", judge(*args, idle=True))


class Wrong(unittest.TestCase):
    """Reports that say something else, or nothing."""

    def test_one_settle_is_missing(self):
        self.assertIn("it says", judge("perf", "settle", SETTLE.replace("start: 40", "start: 39")))

    def test_histogram_is_of_fewer(self):
        self.assertIn("it says", judge("", "settle", SETTLE.replace("       21 #", "       20 #")))
        self.assertIn("it says", judge("bpftrace", "settle", SETTLE_MAPS.replace("   21 |", "   20 |")))

    def test_bytes(self):
        self.assertIn("it says", judge("", "settle", SETTLE.replace("2020", "2019")))
        self.assertIn("it says", judge("bpftrace", "settle", SETTLE_MAPS.replace("1617", "1540")))

    def test_settles_that_take_longer_than_all(self):
        self.assertIn("took", judge("", "settle", SETTLE.replace("      256 us        1 ##\n",
                                                                 "  1048576 us        1 ##\n")))
        self.assertIn("took", judge("bpftrace", "settle", SETTLE_MAPS.replace("[512, 1K)", "[1G, 2G)")))

    def test_buffers(self):
        self.assertIn("it says", judge("perf", "pins", PINS.replace("5120", "3072")))
        self.assertIn("it says", judge("perf", "pins", PINS + EARLIER))
        self.assertIn("it says", judge("", "pins", PINS))
        self.assertIn("it says", judge("bpftrace", "pins", PINS_MAPS.replace("3145728", "5242880")))
        self.assertIn("it says", judge("bpftrace", "pins", PINS_MAPS.replace("camera one", "camera")))

    def test_nothing(self):
        for tool in ("", "perf", "bpftrace"):
            for report in ("settle", "pins"):
                self.assertIn("it says", judge(tool, report, ""))

    def test_events_of_an_idle_time(self):
        for args in (("", "settle", SETTLE), ("perf", "pins", PINS), ("bpftrace", "settle", SETTLE_MAPS),
                     ("bpftrace", "pins", PINS_MAPS)):
            self.assertIn("it says", judge(*args, idle=True))

    def test_how_it_ended(self):
        for other in ({"status": 124}, {"errors": "cannot switch on settle"}, {"begun": False},
                      {"left": ["/sys/kernel/tracing/instances/udmabuf_rs.7"]}):
            self.assertNotEqual("", judge("", "settle", SETTLE, **other))


class Results(unittest.TestCase):
    """From what the VM prints to results."""

    def statuses(self, *records, status=0):
        """Those of the results."""
        output = "".join(json.dumps(each) + "\n" for each in records)
        show = mock.Mock(verbose=False)
        return [result.status for result in tracing.results(output, status, tracing.Workload(), show)]

    def test_complete(self):
        records = [{"versions": ["7.3"]}, record("", "settle", SETTLE), record("", "pins", SETTLE), {"done": True}]
        self.assertEqual([ktap.PASSED, ktap.FAILED], self.statuses(*records))

    def test_cut_off(self):
        self.assertEqual([ktap.PASSED, ktap.FAILED], self.statuses(record("", "settle", SETTLE)))
        self.assertEqual([ktap.FAILED], self.statuses())

    def test_report_in_the_kernel_log(self):
        records = [record("", "settle", SETTLE), {"done": True}]
        self.assertEqual([ktap.PASSED, ktap.FAILED], self.statuses(*records, status=99))


if __name__ == "__main__":
    unittest.main()
