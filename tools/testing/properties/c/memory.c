// SPDX-License-Identifier: GPL-2.0
/*
 * The loops of the driver over a memory that notes what is done to it, for src/memory.rs.
 */
#include <stdio.h>
#include <stdlib.h>

#include "../../../../ffi/runs.c"

#define TABLE_ENTRIES	512

struct page memory[MEMORY_PAGES];
static pte_t table[TABLE_ENTRIES];

/* Not an assertion of a test, which would go on: what the driver did is not allowed at all. */
void wrong(void)
{
	fputs("the kernel was asked for what it must not be asked for\n", stderr);
	abort();
}

/* A folio of @count pages from @pfn on, to which nothing has been done. */
void t_folio(size_t pfn, size_t count, bool dirty)
{
	for (size_t i = 0; i < count; i++)
		memory[pfn + i] = (struct page){ .head = pfn, .count = count };
	if (count > 1)
		memory[pfn].flags.f |= BIT(PG_head);
	if (dirty)
		memory[pfn].flags.f |= BIT(PG_dirty);
}

void t_poison(size_t pfn)
{
	memory[pfn].poisoned = true;
}

long t_unpinned(size_t pfn)
{
	return memory[pfn].unpinned;
}

bool t_is_dirty(size_t pfn)
{
	return memory[pfn].flags.f & BIT(PG_dirty);
}

/* Where the struct page of @page is, as a frame number. */
size_t t_pfn(const struct page *page)
{
	return page - memory;
}

/* Allocates @count entries in chunks of @chunk, the last of which links to the next one. */
struct scatterlist *t_table(size_t count, size_t chunk)
{
	struct scatterlist *first = calloc(count + count / (chunk - 1) + 2, sizeof(*first));
	struct scatterlist *sg = first;

	for (size_t left = count; left > chunk; left -= chunk - 1) {
		sg[chunk - 1].page_link = (unsigned long)(sg + chunk) | SG_CHAIN;
		sg += chunk;
	}
	return first;
}

/* The entry behind @sg, whose page and number of pages are written. */
struct scatterlist *t_entry(struct scatterlist *sg, size_t *pfn, size_t *pages)
{
	*pfn = sg->page_link ? t_pfn((struct page *)sg->page_link) : SIZE_MAX;
	*pages = sg->length >> PAGE_SHIFT;
	if (sg->offset || sg->length % PAGE_SIZE)
		wrong();
	return behind(sg);
}

/* Frame of entry @n of the page table, or SIZE_MAX. */
size_t t_mapped(size_t n)
{
	return table[n].present ? table[n].pfn : SIZE_MAX;
}

void t_map(size_t n, size_t pfn)
{
	table[n] = (pte_t){ .pfn = pfn, .present = pfn != SIZE_MAX, .special = true };
}

/* Which the table begins at. */
#define TABLE		0x40000000UL
#define TABLE_END	(TABLE + TABLE_ENTRIES * PAGE_SIZE)

void set_pte_at(void *mm, unsigned long address, pte_t *entry, pte_t pte)
{
	if (entry - table != (address - TABLE) / PAGE_SIZE || address >= TABLE_END)
		wrong();
	if (!pte.special)
		wrong();
	*entry = pte;
}

void update_mmu_cache(struct vm_area_struct *vma, unsigned long address, pte_t *entry)
{
	if (entry - table != (address - TABLE) / PAGE_SIZE || !entry->present)
		wrong();
}

int apply_to_page_range(void *mm, unsigned long address, unsigned long size,
			int (*fn)(pte_t *entry, unsigned long address, void *data), void *data)
{
	if (size != PAGE_SIZE || address < TABLE || address >= TABLE_END)
		wrong();
	return fn(table + (address - TABLE) / PAGE_SIZE, address, data);
}

/* rs_fill_entries() where page @at is shown by entry @entry. */
int t_fill_entries(size_t entry, const struct rs_run *run, const struct rs_run *last, size_t at,
		   size_t end, size_t inserted)
{
	struct vm_area_struct vma = {};

	return rs_fill_entries(&vma, TABLE + entry * PAGE_SIZE, run, last, at, end, inserted);
}
