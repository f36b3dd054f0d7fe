/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What ffi/runs.c needs of the kernel, over a memory of MEMORY_PAGES pages that
 * notes what is done to it.
 */
#ifndef PROPERTIES_KERNEL_H
#define PROPERTIES_KERNEL_H

#include <assert.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define MEMORY_PAGES	65536

#define CONFIG_SPARSEMEM_VMEMMAP	1
#define IS_ENABLED(option)		0
#define PAGE_SHIFT			12
#define PAGE_SIZE			(1UL << PAGE_SHIFT)
#define PHYS_ADDR_MAX			(~0ULL)

#undef __always_inline
#define __always_inline		inline __attribute__((always_inline))
#define noinline		__attribute__((noinline))
#define likely(x)		__builtin_expect(!!(x), 1)
#define unlikely(x)		__builtin_expect(!!(x), 0)
#define BIT(n)			(1UL << (n))
#define READ_ONCE(x)		(*(const volatile __typeof__(x) *)&(x))
#define min(a, b) ({			\
	__typeof__(a) _a = (a);		\
	__typeof__(b) _b = (b);		\
	_a < _b ? _a : _b; })
#define min3(a, b, c)		min(min((size_t)(a), (size_t)(b)), (size_t)(c))
#define unrolled_count(n)

#define PG_dirty	4
#define PG_head		6

struct page {
	struct { unsigned long f; } flags;
	/* Of the folio that it is a page of: the first page, and the number of pages. */
	size_t head, count;
	/* Of the first page: what was done to the folio. */
	long unpinned, dirtied;
	bool poisoned;
};

/* The first page of it. */
struct folio {
	union {
		struct { struct { unsigned long f; } flags; };
		struct page page;
	};
};

extern struct page memory[MEMORY_PAGES];
#define vmemmap		memory

void wrong(void) __attribute__((noreturn));

static inline struct page *pfn_to_page(size_t pfn)
{
	if (pfn >= MEMORY_PAGES)
		wrong();
	return memory + pfn;
}

static inline struct folio *page_folio(struct page *page)
{
	return (struct folio *)(memory + page->head);
}

static inline bool PageTail(const struct page *page)
{
	return (size_t)(page - memory) != page->head;
}

static inline size_t folio_nr_pages(const struct folio *folio)
{
	if (PageTail(&folio->page))
		wrong();
	return folio->page.count;
}

static inline struct page *folio_page(struct folio *folio, size_t n)
{
	return &folio->page + n;
}

static inline size_t folio_page_idx(const struct folio *folio, const struct page *page)
{
	return page - (const struct page *)folio;
}

static inline bool folio_test_dirty(const struct folio *folio)
{
	return folio->flags.f & BIT(PG_dirty);
}

static inline void unpin_folio(struct folio *folio)
{
	/* A folio that is a page inside another would be none. */
	if (PageTail(&folio->page))
		wrong();
	folio->page.unpinned++;
}

static inline void unpin_user_page_range_dirty_lock(struct page *page, size_t count, bool dirty)
{
	struct folio *folio = page_folio(page);

	if (count != 1 || !dirty)
		wrong();
	folio->flags.f |= BIT(PG_dirty);
	folio->page.dirtied++;
	folio->page.unpinned++;
}

static inline bool is_page_hwpoison(const struct page *page)
{
	return page->poisoned;
}

static inline bool folio_contain_hwpoisoned_page(struct folio *folio)
{
	for (size_t i = 0; i < folio->page.count; i++)
		if (folio_page(folio, i)->poisoned)
			return true;
	return false;
}

static inline void cond_resched(void)
{
}

#define SG_CHAIN	1UL

struct scatterlist {
	unsigned long page_link;
	unsigned int offset, length;
};

static inline bool sg_is_chain(const struct scatterlist *sg)
{
	return sg->page_link & SG_CHAIN;
}

static inline struct scatterlist *sg_chain_ptr(const struct scatterlist *sg)
{
	return (struct scatterlist *)(sg->page_link & ~SG_CHAIN);
}

static inline void sg_set_page(struct scatterlist *sg, struct page *page, unsigned int length,
			       unsigned int offset)
{
	if (sg_is_chain(sg))
		wrong();
	sg->page_link = (unsigned long)page;
	sg->offset = offset;
	sg->length = length;
}

typedef struct { unsigned long prot; } pgprot_t;
typedef struct { size_t pfn; bool present, special; } pte_t;

struct vm_area_struct {
	void *vm_mm;
	pgprot_t vm_page_prot;
};

static inline pte_t ptep_get(const pte_t *entry)
{
	return *entry;
}

static inline bool pte_present(pte_t pte)
{
	return pte.present;
}

static inline bool pte_none(pte_t pte)
{
	return !pte.present;
}

static inline pte_t pfn_pte(size_t pfn, pgprot_t prot)
{
	return (pte_t){ .pfn = pfn, .present = true };
}

static inline pte_t pte_mkspecial(pte_t pte)
{
	pte.special = true;
	return pte;
}

void set_pte_at(void *mm, unsigned long address, pte_t *entry, pte_t pte);
void update_mmu_cache(struct vm_area_struct *vma, unsigned long address, pte_t *entry);
int apply_to_page_range(void *mm, unsigned long address, unsigned long size,
			int (*fn)(pte_t *entry, unsigned long address, void *data), void *data);

#endif /* PROPERTIES_KERNEL_H */
