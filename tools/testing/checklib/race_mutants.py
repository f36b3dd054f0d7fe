# SPDX-License-Identifier: GPL-2.0
"""Data races, one each, which the kernel with KCSAN reports."""

from .access_mutants import Mutant

QUOTA = "seam/quota.rs"

# The title of a report of which a function of the driver is one side.
RACE = "BUG: KCSAN: data-race in .*udmabuf_rs"

MUTANTS = [
    Mutant("an increment is not atomic", QUOTA,
           "        self.0.fetch_sub(tally::share(pages), Relaxed);\n    }",
           "        #[used]\n"
           "        static mut RELEASES: u64 = 0;\n\n"
           "        self.0.fetch_sub(tally::share(pages), Relaxed);\n"
           "        // SAFETY: None: other tasks write it.\n"
           "        unsafe { RELEASES += 1 };\n    }",
           "account_races", RACE),
    Mutant("a load is not atomic", QUOTA,
           "let now = unsafe { self.0.as_ptr().read_volatile() };",
           "let now = unsafe { self.0.as_ptr().read() };",
           "account_races", RACE),
]
