# SPDX-License-Identifier: GPL-2.0
"""The uapi header and what is made of it say the same."""

import re
import unittest

from checklib.build import CHECKOUT

HEADER = CHECKOUT / "uapi/linux/udmabuf.h"
QUERY = CHECKOUT / "tools/testing/selftests/udmabuf_rs/query.c"


def _code(lines):
    return [line.strip() for line in lines if line.strip()]


class Example(unittest.TestCase):
    """The example of the fallback."""

    def test_is_the_one_that_is_run(self):
        """query.c compiles and runs a copy."""
        comment = re.search(r"makes a plain buffer::\n \*\n(.*?\n) \*\n \* A program", HEADER.read_text(), re.DOTALL).group(1)
        copy = re.search(r"/\* ---- \*/\n(.*?)\t/\* ---- \*/", QUERY.read_text(), re.DOTALL).group(1)
        example = _code(re.sub(r"^ \*", "", line) for line in comment.splitlines())
        self.assertGreater(len(example), 5)
        self.assertEqual(example, _code(copy.splitlines()))


if __name__ == "__main__":
    unittest.main()
