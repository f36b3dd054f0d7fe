// SPDX-License-Identifier: GPL-2.0
#include <linux/bitops.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/page-flags.h>
#include <linux/pgtable.h>
#include <linux/scatterlist.h>
#include <linux/sched.h>
#include <linux/unroll.h>

#include "runs.h"

/*
 * Where the struct pages are, kept in a register: pfn_to_page() loads it for each
 * page where addresses are randomised.
 */
#ifdef CONFIG_SPARSEMEM_VMEMMAP
#define MEM_MAP			vmemmap
#define to_page(map, pfn)	((map) + (pfn))
#else
#define MEM_MAP			NULL
#define to_page(map, pfn)	((void)(map), pfn_to_page(pfn))
#endif

#define CHUNK	16

/* page_folio() for what is no tail, unless @tails. */
static __always_inline struct folio *folio_of(struct page *page, const bool tails)
{
	return tails && unlikely(PageTail(page)) ? page_folio(page) : (struct folio *)page;
}

/* Give back the pin on @folio, and see to it that its contents are kept. */
static __always_inline void unpin(struct folio *folio, const bool make_dirty)
{
	if (!make_dirty || likely(folio_test_dirty(folio)))
		unpin_folio(folio);
	else
		unpin_user_page_range_dirty_lock(&folio->page, 1, true);
}

/* Folios from @folio to @end, up to one that is not before @stop; returns its page. */
static __always_inline struct page *unpin_folios_of(struct folio *folio, struct page *stop,
						    struct page *end, const bool make_dirty)
{
	const unsigned long ready = make_dirty ? BIT(PG_dirty) : 0, mask = BIT(PG_head) | ready;
	struct page *page = &folio->page;

	do {
		/* What follows the end of a folio is no tail. */
		folio = (struct folio *)page;
		/* One page with nothing to be done: the flags are read once. */
		if (likely((READ_ONCE(folio->flags.f) & mask) == ready)) {
			page++;
			unpin_folio(folio);
		} else {
			page = min(end, folio_page(folio, folio_nr_pages(folio)));
			unpin(folio, make_dirty);
		}
	} while (page < stop);
	return page;
}

/* @count runs of one page each. */
static __always_inline void unpin_pages(const struct rs_run *run, size_t count, const bool tails,
					const bool make_dirty)
{
	const struct rs_run *stop = run + count;
	struct page *const map = MEM_MAP;

	for (; run < stop; run++)
		unpin(folio_of(to_page(map, run->frame), tails), make_dirty);
}

/* @count runs, behind which there is another. */
static __always_inline void unpin_whole_runs(const struct rs_run *run, size_t count,
					     const bool tails, const bool make_dirty)
{
	const struct rs_run *stop = run + count;
	struct page *const map = MEM_MAP;

	for (; run < stop; run++) {
		struct page *page = to_page(map, run->frame);
		struct page *end = page + (run[1].page - run->page);

		unpin_folios_of(folio_of(page, tails), end, end, make_dirty);
	}
}

/* A run from @at on, if that is not before @until; returns where it or a folio ends. */
static __always_inline size_t unpin_run(const struct rs_run *run, size_t at, size_t run_end,
					size_t until, const bool tails, const bool make_dirty)
{
	struct page *page = to_page(MEM_MAP, run->frame + (at - run->page));
	struct page *end = page + (run_end - at), *stop = page + (min(run_end, until) - at);

	return at + (unpin_folios_of(folio_of(page, tails), stop, end, make_dirty) - page);
}

static __always_inline size_t unpin_runs(const struct rs_run *run, const struct rs_run *last,
					 size_t pages, size_t at, size_t until,
					 const bool tails, const bool make_dirty)
{
	/* The rest of a run that is longer than what is unpinned at a time. */
	if (at != run->page) {
		at = unpin_run(run, at, run == last ? pages : run[1].page, until, tails,
			       make_dirty);
		run++;
	}
	while (last - run >= CHUNK && run[CHUNK].page <= until) {
		/* As many runs as pages have one each. */
		if (run[CHUNK].page - run->page == CHUNK)
			unpin_pages(run, CHUNK, tails, make_dirty);
		else
			unpin_whole_runs(run, CHUNK, tails, make_dirty);
		run += CHUNK;
		at = run->page;
	}
	for (; at < until; run++)
		at = unpin_run(run, at, run == last ? pages : run[1].page, until, tails,
			       make_dirty);
	return at;
}

/* Loops of their own have the registers to themselves. */
static noinline size_t unpin_whole(const struct rs_run *run, const struct rs_run *last,
				   size_t pages, size_t at, size_t until)
{
	return unpin_runs(run, last, pages, at, until, false, false);
}

static noinline size_t unpin_whole_dirty(const struct rs_run *run, const struct rs_run *last,
					 size_t pages, size_t at, size_t until)
{
	return unpin_runs(run, last, pages, at, until, false, true);
}

static noinline size_t unpin_tails(const struct rs_run *run, const struct rs_run *last,
				   size_t pages, size_t at, size_t until)
{
	return unpin_runs(run, last, pages, at, until, true, false);
}

static noinline size_t unpin_tails_dirty(const struct rs_run *run, const struct rs_run *last,
					 size_t pages, size_t at, size_t until)
{
	return unpin_runs(run, last, pages, at, until, true, true);
}

/*
 * Unpin, once, each folio of a buffer that is a list of runs, and mark it dirty
 * before if @make_dirty, from a page at which a folio or a run begins up to one that
 * is not before @until. Returns that page. Without @tails each run begins with a
 * folio.
 *
 * A call from Rust for each small folio takes half as many instructions again,
 * as does unpin_user_page_range_dirty_lock().
 */
size_t rs_unpin_runs(const struct rs_run *run, const struct rs_run *last, size_t pages, size_t at,
		     size_t until, bool tails, bool make_dirty)
{
	if (tails)
		return make_dirty ? unpin_tails_dirty(run, last, pages, at, until) :
				    unpin_tails(run, last, pages, at, until);
	return make_dirty ? unpin_whole_dirty(run, last, pages, at, until) :
			    unpin_whole(run, last, pages, at, until);
}

/* No boundary that is greater is crossed. */
#define MAX_PFN	(PHYS_ADDR_MAX >> PAGE_SHIFT)

/* Runs, and segments of a run, handled between two calls of cond_resched(). */
#define BATCH	BIT(14)

/* Does a segment of @length pages, more than one, from @pfn on keep within the limits? */
static __always_inline bool is_segment(size_t pfn, size_t length, size_t max_pages,
				       size_t boundary_pages)
{
	return length <= max_pages && (pfn ^ (pfn + length - 1)) < boundary_pages;
}

/*
 * Length of the first segment of @left pages from @pfn on: no more than
 * @max_pages, and not across a multiple of @boundary_pages, a power of two.
 */
static size_t segment_pages(size_t pfn, size_t left, size_t max_pages, size_t boundary_pages)
{
	return min3(left, max_pages, boundary_pages - (pfn & (boundary_pages - 1)));
}

static noinline size_t count_segments_of(size_t pfn, size_t left, size_t max_pages,
					 size_t boundary_pages)
{
	size_t count = 0;

	while (left) {
		size_t length = segment_pages(pfn, left, max_pages, boundary_pages);

		pfn += length;
		left -= length;
		if (!(++count % BATCH))
			cond_resched();
	}
	return count;
}

/* Count the segments of a buffer, see segment_pages(). */
size_t rs_count_segments(const struct rs_run *run, const struct rs_run *last, size_t pages,
			 size_t max_pages, size_t boundary_pages)
{
	const size_t runs = last - run + 1;
	size_t count = 0;

	/* Runs of a page each, or no limit that a run could exceed. */
	if (runs == pages || (pages <= max_pages && boundary_pages > MAX_PFN))
		return runs;

	for (;;) {
		const struct rs_run *stop = run + min((size_t)(last - run), BATCH);

		for (; run < stop; run++) {
			size_t length = run[1].page - run->page;

			if (likely(length == 1 ||
				   is_segment(run->frame, length, max_pages, boundary_pages)))
				count++;
			else
				count += count_segments_of(run->frame, length, max_pages,
							   boundary_pages);
		}
		if (run == last)
			break;
		cond_resched();
	}
	return count + count_segments_of(last->frame, pages - last->page, max_pages,
					 boundary_pages);
}

/* The entry behind @sg, which is not the last one. sg_next() is a call. */
static __always_inline struct scatterlist *behind(struct scatterlist *sg)
{
	return unlikely(sg_is_chain(++sg)) ? sg_chain_ptr(sg) : sg;
}

/* Point entries from @sg on at @left pages. Returns the last of them. */
static noinline struct scatterlist *fill_segments_of(struct scatterlist *sg, size_t pfn,
						     size_t left, size_t max_pages,
						     size_t boundary_pages)
{
	struct page *page = pfn_to_page(pfn);
	size_t count = 0;

	for (;;) {
		size_t length = segment_pages(pfn, left, max_pages, boundary_pages);

		sg_set_page(sg, page, length << PAGE_SHIFT, 0);
		page += length;
		pfn += length;
		left -= length;
		if (!left)
			return sg;
		sg = behind(sg);
		if (!(++count % BATCH))
			cond_resched();
	}
}

/* Point entries from @sg on, of a table that has as many, at the segments of a buffer. */
void rs_fill_segments(struct scatterlist *sg, const struct rs_run *run, const struct rs_run *last,
		      size_t pages, size_t max_pages, size_t boundary_pages)
{
	struct page *const map = MEM_MAP;

	for (;;) {
		const struct rs_run *stop = run + min((size_t)(last - run), BATCH);

		/* Behind the segments of these runs there are those of the last one. */
		for (; run < stop; run++) {
			size_t length = run[1].page - run->page;

			if (likely(length == 1 ||
				   is_segment(run->frame, length, max_pages, boundary_pages)))
				sg_set_page(sg, to_page(map, run->frame), length << PAGE_SHIFT, 0);
			else
				sg = fill_segments_of(sg, run->frame, length, max_pages,
						      boundary_pages);
			sg = behind(sg);
		}
		if (run == last)
			break;
		cond_resched();
	}
	fill_segments_of(sg, last->frame, pages - last->page, max_pages, boundary_pages);
}

/*
 * Is any page of the @count pages from @pfn on, which have their struct pages
 * side by side, poisoned? Which page of a hugetlb folio is bad is not for
 * modules to know: the whole folio counts as poisoned.
 */
bool rs_pages_are_poisoned(unsigned long pfn, unsigned long count)
{
	unsigned long end = pfn + count;

	if (count == 1)
		return is_page_hwpoison(pfn_to_page(pfn));
	while (pfn < end) {
		struct page *page = pfn_to_page(pfn);
		struct folio *folio = page_folio(page);

		if (folio_contain_hwpoisoned_page(folio))
			return true;
		pfn += folio_nr_pages(folio) - folio_page_idx(folio, page);
	}
	return false;
}

/* @count pages from @page on; returns where the next one goes. */
static __always_inline struct page **fill_pages_of(struct page **pages, struct page *page,
						   size_t count)
{
	struct page **stop = pages + count;

	for (; stop - pages >= 8; pages += 8, page += 8) {
		unrolled_count(8)
		for (int i = 0; i < 8; i++)
			pages[i] = page + i;
	}
	while (pages < stop)
		*pages++ = page++;
	return pages;
}

#define FILL_CHUNK	32

/* Write the struct pages of pages @at to @end, of which @at lies in @run, to @pages. */
void rs_fill_pages(struct page **pages, const struct rs_run *run, const struct rs_run *last,
		   size_t at, size_t end)
{
	struct page *const map = MEM_MAP;

	while (at < end) {
		size_t stop;

		while (at == run->page && last - run >= FILL_CHUNK && run[FILL_CHUNK].page <= end) {
			const struct rs_run *until = run + FILL_CHUNK;

			/* As many runs as pages have one each. */
			if (until->page - at == FILL_CHUNK) {
				unrolled_count(32)
				for (int i = 0; i < FILL_CHUNK; i++)
					pages[i] = to_page(map, run[i].frame);
				pages += FILL_CHUNK;
				run = until;
			}
			for (; run < until; run++)
				pages = fill_pages_of(pages, to_page(map, run->frame),
						      run[1].page - run->page);
			at = run->page;
		}
		if (at == end)
			break;
		stop = run == last ? end : min(end, run[1].page);
		pages = fill_pages_of(pages, to_page(map, run->frame + (at - run->page)),
				      stop - at);
		at = stop;
		run++;
	}
}

/* The argument of fill_entries(), which is called with the first entry. */
struct fill {
	struct vm_area_struct *vma;
	const struct rs_run *run;
	const struct rs_run *last;
	size_t at;
	size_t end;
	size_t inserted;
};

/*
 * Protection of an entry beside @inserted, which vmf_insert_pfn() made in @vma.
 * The cache mode is taken from there: pfnmap_setup_cachemode_pfn(), which looks
 * it up and does something on x86 alone, is not exported. All pages of a buffer
 * are ordinary memory, so that they have the same, as vmf_insert_pfn_pmd()
 * assumes of the 512 that it maps.
 */
static pgprot_t entry_prot(struct vm_area_struct *vma, pte_t inserted)
{
	pgprot_t prot = vma->vm_page_prot;

#ifdef CONFIG_X86
	pgprot_val(prot) &= ~_PAGE_CACHE_MASK;
	pgprot_val(prot) |= pte_flags(inserted) & _PAGE_CACHE_MASK;
#endif
	return prot;
}

#if defined(CONFIG_ARM64) && defined(CONFIG_DEBUG_VM) && defined(MODULE)
/*
 * set_pte_at() refers to this function, which is not exported, for an entry that
 * was valid before. fill_entries() sets empty ones alone.
 */
bool pgattr_change_is_safe(pteval_t old, pteval_t new)
{
	return false;
}
#endif

static int fill_entries(pte_t *entry, unsigned long address, void *data)
{
	const struct fill *fill = data;
	struct vm_area_struct *vma = fill->vma;
	const struct rs_run *run = fill->run;
	pte_t inserted = ptep_get(entry + (fill->inserted - fill->at));
	pgprot_t prot = entry_prot(vma, inserted);
	size_t at = fill->at;

	/* Another task has unmapped it since: whoever touches it comes again. */
	if (!pte_present(inserted))
		return 0;

	for (; at < fill->end; run++) {
		size_t stop = run == fill->last ? fill->end : min(fill->end, run[1].page);
		unsigned long pfn = run->frame + (at - run->page);
		struct page *page = pfn_to_page(pfn);

		for (; at < stop; at++, page++, pfn++, entry++, address += PAGE_SIZE) {
			if (!pte_none(ptep_get(entry)) || is_page_hwpoison(page))
				continue;
			set_pte_at(vma->vm_mm, address, entry, pte_mkspecial(pfn_pte(pfn, prot)));
			/* That of LoongArch, a mere preload, is not exported. */
			if (!IS_ENABLED(CONFIG_LOONGARCH))
				update_mmu_cache(vma, address, entry);
		}
	}
	return 0;
}

/*
 * Do what vmf_insert_pfn() does for the pages @at to @end, of which @at lies in
 * @run, in the page table at @address, which is where @at is shown. Page
 * @inserted, one of them, has been mapped by vmf_insert_pfn().
 */
int rs_fill_entries(struct vm_area_struct *vma, unsigned long address, const struct rs_run *run,
		    const struct rs_run *last, size_t at, size_t end, size_t inserted)
{
	struct fill fill = {
		.vma = vma, .run = run, .last = last, .at = at, .end = end, .inserted = inserted,
	};

	/* One page stands for the whole table. */
	return apply_to_page_range(vma->vm_mm, address, PAGE_SIZE, fill_entries, &fill);
}
