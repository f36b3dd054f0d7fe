# SPDX-License-Identifier: GPL-2.0
"""Mistakes all over the driver, one each, that no test found at first.

Those that take a race, and delays in the driver to be met, are not among them.
"""

from .access_mutants import REQUEST, Mutant, fails

PIN = "seam/memfd/pin.rs"
PINNED = "seam/mm/pinned.rs"
FAULT = "seam/mm/fault.rs"
RUNS = "ffi/runs.c"
COHERENCE = "seam/system_memory/coherence.rs"

MUTANTS = [
    Mutant("only the first page of a large folio is zeroed", "ffi/compound.c",
           "folio_zero_range(folio, 0, folio_size(folio));",
           "folio_zero_range(folio, 0, PAGE_SIZE);",
           "integrity", fails("C1_fallocated_huge_pages_show_no_old_memory")),
    Mutant("a page that was locked is zeroed whatever it has", PIN,
           "if info().in_file && !unsafe { ffi::folio_test_uptodate(folio) } {",
           "if info().in_file {",
           "integrity", fails("pages_that_others_lock_keep_their_bytes")),
    Mutant("a pin is leaked where a run goes on inside a folio", PINNED,
           "Ok(!(extends && inside))",
           "Ok(true)",
           "create", fails("adjacent_items_of_two_descriptors_give_every_pin_back")),
    Mutant("a folio at its limit of pins is accepted among others", PIN,
           "info.is_ready().then_some((info.frame, info.pages))",
           "(info.is_settled && info.in_file).then_some((info.frame, info.pages))",
           "limits", fails("C12_one_page_pinned_too_often")),
    Mutant("the rest of a batch stays pinned after a failure", PIN,
           "    fn drop(&mut self) {\n        self.release();",
           "    fn drop(&mut self) {\n        self.next = self.count;",
           "limits", fails("C12_one_page_pinned_too_often")),
    Mutant("windows are not bounded in bytes", "udmabuf/pin.rs",
           "const WINDOW_BYTES: u64 = (2 * LOOKUP_FOLIOS as u64) << 21;",
           "const WINDOW_BYTES: u64 = 1 << 50;",
           "limits", fails("C14_kill_ends_pinning_of_huge_pages")),
    Mutant("a list is copied twice, and its sum checked the first time", REQUEST,
           "let bytes = read_items(items, head.count)?;\n",
           "total(as_items(&read_items(items, head.count)?)?, limits)?;\n"
           "        let bytes = read_items(items, head.count)?;\n"
           "        let limits = Limits { bytes: u64::MAX, ..limits };\n",
           "limits", fails("list_changed_while_it_is_read_stays_within_size_limit")),
    Mutant("the limit of a size is computed in 32 bits", "udmabuf/numbers.rs",
           "let (bytes, most) = ((mb as u64) << 20, isize::MAX as u64);",
           "let (bytes, most) = ((mb << 20) as u64, isize::MAX as u64);",
           "limits", fails("CVE_2025_37803_size_limits_of_2_GiB_and_more")),
    Mutant("the access mode is checked before the seals", REQUEST,
           "        self.check_seals(memfd.seals())?;\n        match memfd.is_readable() && "
           "(self.restrictions.read_only || memfd.is_writable()) {\n            true => Ok(memfd),",
           "        match memfd.is_readable() && (self.restrictions.read_only || memfd.is_writable()) {\n"
           "            true => self.check_seals(memfd.seals()).map(|()| memfd),",
           "seals", fails("own_order_of_errors")),
    Mutant("a buffer that cannot be exported is leaked", "seam/dma_buf/ops.rs",
           "drop(unsafe { KBox::from_raw(inner) });\n                Err(error)",
           "Err(error)",
           "create", fails("ENFILE_leaves_nothing_behind")),
    Mutant("a debugger goes on behind the end of an area", FAULT,
           "let len = access.len().min(vma.end() - address);",
           "let len = access.len();",
           "mmap", fails("C18_proc_mem_across_the_end_of_a_mapping")),
    Mutant("a debugger reads what is poisoned", FAULT,
           "    if is_poisoned(memory, page..page + 1) {\n        return false;",
           "    if false {\n        return false;",
           "mmap", fails("C18_proc_mem_ends_at_a_poisoned_page")),
    Mutant("the last run ignores the segment boundary", RUNS,
           "return min3(left, max_pages, boundary_pages - (pfn & (boundary_pages - 1)));",
           "return min(left, max_pages);",
           "import", fails("C10_segments_cross_no_boundary")),
    Mutant("all runs but the last ignore the segment boundary", RUNS,
           "return length <= max_pages && (pfn ^ (pfn + length - 1)) < boundary_pages;",
           "return length <= max_pages;",
           "import", fails("C10_segments_cross_no_boundary")),
    Mutant("a single run ignores the segment boundary", "seam/scatterlist.rs",
           "pages <= self.max_pages && (frame ^ (frame + (pages - 1))) < self.boundary_pages",
           "pages <= self.max_pages && frame > 0",
           "import", fails("C10_segments_of_a_huge_page_cross_no_boundary")),
    Mutant("a kernel mapping stays", "seam/mm/vmap.rs",
           "unsafe { ffi::vunmap(address.as_ptr()) };",
           "let _ = address;",
           "import", fails("kernel_mapping_is_undone")),
    Mutant("the number of sync users never goes down", "seam/system_memory/sync_users.rs",
           "self.0.fetch_sub(1, Release);",
           "self.0.fetch_sub(0, Release);",
           "import", fails("own_brackets_cost_no_more_once_the_importer_has_gone")),
    Mutant("a device without a mask is mapped for", "seam/system_memory/mapping.rs",
           "if !dma::has_mask(device) {",
           "if false {",
           "staging", fails("own_device_without_a_mask_is_EINVAL"), "staged"),
    Mutant("the staging of a device that has gone stays", COHERENCE,
           "while let Some(at) = devices.staged.iter().position(|s| s.is_of(device)) {",
           "while let Some(at) = devices.staged.iter().position(|_| false) {",
           "staging", fails("own_nothing_charged_after_the_device_has_gone"), "staged"),
    Mutant("a device that is leaving is written to", COHERENCE,
           "            staging.leave();\n",
           "            let _ = staging;\n",
           "device", fails("own_no_sync_once_the_device_is_leaving"), "bounce"),
]
