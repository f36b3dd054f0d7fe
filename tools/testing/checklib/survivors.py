# SPDX-License-Identifier: GPL-2.0
"""Mistakes that no test finds, and why that is so. mutation.py lists them in Documentation/proven.md."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Argument:
    """Why a mistake survives. If it is equivalent, no test could find it: the driver does the same."""

    why: str
    equivalent: bool = False


# By the names of sites.
ARGUED = {
    "ffi/runs.c: && is || in 'return tails && unlikely(PageTail(page)) ? page_folio(page) : (struct folio *)page;', 1":
        Argument("the folio of a page that is none of its tails is the page itself; where there are no tails, it is only "
                 "looked up in vain", equivalent=True),
    "ffi/runs.c: - is + in 'if (until->page - at == FILL_CHUNK) {', 2":
        Argument("32 runs of a page each are written one by one, instead of by unrolled code: slower", equivalent=True),
    "seam/memfd/pin.rs: replace < with <= in FolioBatch<'a>::release, column 22 of 'if self.next < self.count {'":
        Argument("where none are left, none are unpinned: a call in vain", equivalent=True),
    "seam/system_memory/coherence.rs: line 'drop(devices);' is left out (1 of 4)":
        Argument("the lock is held for two more atomic operations, which need none", equivalent=True),
    "seam/system_memory/pass.rs: replace <impl Drop for MemoryPage>::drop with ()":
        Argument("kunmap_local() does nothing on machines without high memory, as all are that the driver is built for",
                 equivalent=True),
    "seam/workqueue.rs: line 'STATE.cmpxchg(NEW, STARTING, Relaxed).map_err(|_| EBUSY)?;' is left out":
        Argument("refuses a second queue, which nothing in the driver asks for", equivalent=True),
    "udmabuf/device.rs: line 'self.account.populate(account);' is left out":
        Argument("the account of the user is looked up for each buffer, instead of once for an open file: slower",
                 equivalent=True),
}
