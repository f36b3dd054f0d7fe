# SPDX-License-Identifier: GPL-2.0
"""Mistakes of the arithmetic that is tested on the host, one each."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """A file with `old` replaced by `new`, and the module of properties that has to find it."""

    name: str
    file: str
    old: str
    new: str
    module: str


NUMBERS, TALLY, RUNS, WINDOW, LOOPS, VECTOR = (
    "udmabuf/numbers.rs", "seam/tally.rs", "seam/runs.rs", "udmabuf/window.rs", "ffi/runs.c", "seam/one_or_many.rs")
# What the crate is made of, beside its own folder.
FILES = (NUMBERS, TALLY, RUNS, WINDOW, LOOPS, VECTOR, "ffi/runs.h")

MUTANTS = [
    Mutant("a sum of sizes wraps around", NUMBERS, "            .checked_add(size)\n            .filter(|total|",
           "            .wrapping_add(size)\n            .checked_add(0)\n            .filter(|total|", "numbers"),
    Mutant("a sum may not reach its limit", NUMBERS, "*total <= limit", "*total < limit", "numbers"),
    Mutant("an end wraps around", NUMBERS, "    let end = offset\n        .checked_add(size)\n",
           "    let end = Some(offset.wrapping_add(size))\n", "numbers"),
    Mutant("pages run into the holders", TALLY, "if held + pages > limit ||", "if held + pages > limit + 1 ||", "tally"),
    Mutant("the last holder goes unnoticed", TALLY, "(0 | 1, _) => None,", "(0, _) => None,", "tally"),
    Mutant("an extent ends with its run, whatever was asked for", RUNS, "pages: run_end.min(self.end) - self.at,",
           "pages: run_end - self.at,", "runs"),
    Mutant("the run of a page is the one behind it", RUNS, "run.page <= page", "run.page < page", "runs"),
    Mutant("a window begins at the page", WINDOW, "page.saturating_sub(before).max(shown.start)",
           "page.max(shown.start)", "window"),
    Mutant("a folio in which a run begins is taken for one that begins there", LOOPS,
           "return tails && unlikely(PageTail(page)) ?", "return tails && unlikely(!page) ?", "memory"),
    Mutant("a folio is unpinned for each of its pages", LOOPS,
           "page = min(end, folio_page(folio, folio_nr_pages(folio)));", "page++;", "memory"),
    Mutant("a segment crosses the boundary", LOOPS, "(pfn ^ (pfn + length - 1)) < boundary_pages;",
           "(pfn ^ (pfn + length - 1)) <= boundary_pages;", "memory"),
    Mutant("an array has a page too few of a run", LOOPS, "stop - at);\n\t\tat = stop;", "stop - at - 1);\n\t\tat = stop;",
           "memory"),
    Mutant("an entry that is there is written", LOOPS, "if (!pte_none(ptep_get(entry)) || is_page_hwpoison(page))",
           "if (is_page_hwpoison(page))", "memory"),
    Mutant("a vector keeps more room than an eighth of what is used", VECTOR, "capacity - len > len / 8",
           "capacity - len > len % 8", "one_or_many"),
    Mutant("the first element is lost as a vector grows", VECTOR, "if let Some(one) = one.take() {",
           "if let Some(one) = one.take().filter(|_| additional < 3) {", "one_or_many"),
]
