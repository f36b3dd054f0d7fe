# SPDX-License-Identifier: GPL-2.0
"""The kernel's own selftest of the C driver."""

import re

from clientlib.guest import trial

TITLE = "kselftest drivers/dma-buf/udmabuf"
PACKAGES = ()
PROGRAMS = {"kselftest": []}
HUGE_PAGES = "/proc/sys/vm/nr_hugepages"
# Two of its tests want that many huge pages.
WANTED = 1024


def _run(_driver):
    with open(HUGE_PAGES, "r+") as pool:
        pool.write(str(WANTED))
    try:
        output = trial.run(trial.PROGRAMS / "kselftest", statuses=(0, 4))
    finally:
        with open(HUGE_PAGES, "w") as pool:
            pool.write("0")
    passed, failed, skipped = [int(re.search(rf"{word}:(\d+)", output)[1]) for word in ("pass", "fail", "skip")]
    if failed or skipped or not passed:
        raise trial.Wrong(output)
    return f"{passed} of {passed} tests"


TRIALS = {"all of it, with huge pages": _run}
