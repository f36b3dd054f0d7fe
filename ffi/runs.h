/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Loops over the pages of a buffer, where a call from Rust for each page would
 * cost too much. Every prototype here has its Rust twin in ffi/mod.rs; runs.c
 * includes this header, so the compiler holds the C half of each pair to it.
 */
#ifndef UDMABUF_RS_FFI_RUNS_H
#define UDMABUF_RS_FFI_RUNS_H

#include <linux/build_bug.h>
#include <linux/stddef.h>
#include <linux/types.h>

struct page;
struct scatterlist;
struct vm_area_struct;

/* Run of seam/runs.rs, which has the same assertion */
struct rs_run {
	size_t page;
	size_t frame;
};

static_assert(sizeof(struct rs_run) == 2 * sizeof(size_t) &&
	      offsetof(struct rs_run, frame) == sizeof(size_t));

size_t rs_unpin_runs(const struct rs_run *run, const struct rs_run *last, size_t pages, size_t at,
		     size_t until, bool tails, bool make_dirty);
size_t rs_count_segments(const struct rs_run *run, const struct rs_run *last, size_t pages,
			 size_t max_pages, size_t boundary_pages);
void rs_fill_segments(struct scatterlist *sg, const struct rs_run *run, const struct rs_run *last,
		      size_t pages, size_t max_pages, size_t boundary_pages);
bool rs_pages_are_poisoned(unsigned long pfn, unsigned long count);
void rs_fill_pages(struct page **pages, const struct rs_run *run, const struct rs_run *last,
		   size_t at, size_t end);
int rs_fill_entries(struct vm_area_struct *vma, unsigned long address, const struct rs_run *run,
		    const struct rs_run *last, size_t at, size_t end, size_t inserted);

#endif /* UDMABUF_RS_FFI_RUNS_H */
