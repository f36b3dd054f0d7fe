# SPDX-License-Identifier: GPL-2.0
"""The one exception that users see, and the exit statuses of the tools."""

KERNEL_REPORT = 99   # the kernel log has a warning, an oops or the like
TIME_LIMIT = 124     # COMMAND did not end in time, as with timeout(1)
TOOL_FAILED = 125    # the tools themselves could not do their part


class Failure(Exception):
    """Something the user should read: one sentence, no traceback."""

    def __init__(self, sentence, status=TOOL_FAILED):
        super().__init__(sentence)
        self.status = status


class Unavailable(Failure):
    """A version of a kernel cannot be had; another one may. The sentence has no end."""


class Said(Failure):
    """A failure of a program that we started, which has told the user."""

    def __init__(self, status=TOOL_FAILED):
        super().__init__("", status)
