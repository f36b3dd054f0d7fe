# SPDX-License-Identifier: GPL-2.0
"""The kernel's BPF selftest that goes through all buffers: names, sizes and exporters."""

import re

from clientlib.guest import trial

TITLE = "kselftest bpf/dmabuf_iter"
PACKAGES = ("bpftool", "libbpf-dev")
PROGRAMS = {"dmabuf_iter": ["-lbpf"]}


def _iterate(_driver):
    output = trial.run(trial.PROGRAMS / "dmabuf_iter")
    counts = re.search(r"^(\d+) of (\d+) assertions in (\d+) subtests$", output, re.MULTILINE)
    if not counts or counts[1] != counts[2] or counts[3] != "4":
        raise trial.Wrong(output)
    return counts[0]


TRIALS = {"all four subtests": _iterate}
