// SPDX-License-Identifier: GPL-2.0
/*
 * readonly: nothing writes through a buffer made with UDMABUF_EXT_READ_ONLY, and
 * the CPU does not map one made with UDMABUF_EXT_NO_CPU_MAP. Every way to write is
 * tried, by the owner, a forked child and another user; the same ways write to a
 * plain buffer. Needs the module in importer/, and root, to become another user.
 */
#include <poll.h>

#include "readonly.h"

#define PAGES		16

/* What the memfd is as the buffer is made of it. */
struct kind {
	/* How it is open: O_RDWR, or O_RDONLY. */
	int mode;
	int seals;
	unsigned int memfd_flags;
};

/* The memfd, and the open file of it that buffers are made of. */
struct setting {
	int kmsg, dev, memfd, source;
	bool has_edu;
	struct subject s;
	struct results *results;
};

/* Returns NULL, or the reason why the tests are skipped. */
static const char *find_devices(struct setting *set, const struct kind *kind)
{
	char name[100];

	set->kmsg = kmsg_open();
	if (is_c_driver())
		return "the C driver has no UDMABUF_CREATE_EXT";
	set->s.importer = importer_open();
	if (set->s.importer < 0)
		return "the importer's module is not loaded";
	if (kind->memfd_flags && !huge_ready(1))
		return "needs a free huge page of 2 MiB";
	importer_call(set->s.importer, IMPORTER_PLUG, NULL);
	set->has_edu = edu_name(name, sizeof(name));
	return NULL;
}

/* The memfd is filled, opened once more as @kind says, and sealed. */
static int make_memfd(struct setting *set, const struct kind *kind)
{
	char *a;

	set->dev = node_open();
	set->s.size = kind->memfd_flags ? HUGE : PAGES * page_size();
	set->memfd = memfd_make(set->s.size, MFD_ALLOW_SEALING | kind->memfd_flags, F_SEAL_SHRINK);
	a = map_rw(set->memfd, set->s.size);
	if (set->dev < 0 || a == MAP_FAILED)
		return -ENODEV;
	fill(a, set->s.size, 1);
	munmap(a, set->s.size);
	set->source = fd_reopen(set->memfd, kind->mode);
	if (set->source < 0)
		return set->source;
	if (kind->seals && fcntl(set->memfd, F_ADD_SEALS, kind->seals))
		return -errno;
	set->results = results_new();
	return set->results == MAP_FAILED ? -ENOMEM : 0;
}

/* Bytes of the memfd that are as they were, up to the first that is not. */
static size_t unchanged(int memfd, size_t size)
{
	char *a = map_at(memfd, 0, size, PROT_READ);
	size_t same = a == MAP_FAILED ? 0 : matches(a, size, 1);

	munmap(a, size);
	return same;
}

#define SETTING(subject)						\
FIXTURE(subject)							\
{									\
	struct setting set;						\
};									\
FIXTURE_VARIANT(subject)						\
{									\
	struct kind kind;						\
};									\
FIXTURE_SETUP(subject)							\
{									\
	const char *lacks = find_devices(&self->set, &variant->kind);	\
									\
	if (lacks)							\
		SKIP(return, "%s", lacks);				\
	ASSERT_EQ(0, make_memfd(&self->set, &variant->kind));		\
}									\
FIXTURE_TEARDOWN(subject)						\
{									\
	EXPECT_EQ(0, kmsg_reports(self->set.kmsg));			\
	close(self->set.kmsg);						\
}									\
struct subject##_needs_semicolon

/* memfds that may be written ----------------------------------------------------- */

SETTING(writable);

FIXTURE_VARIANT_ADD(writable, pages) { { O_RDWR } };
FIXTURE_VARIANT_ADD(writable, huge_pages) { { O_RDWR, 0, MFD_HUGETLB | MFD_HUGE_2MB } };

/* What does not write here shows nothing elsewhere. */
TEST_F(writable, the_ways_write)
{
	struct setting *set = &self->set;
	char *a = map_rw(set->memfd, set->s.size);

	ASSERT_NE(MAP_FAILED, a);
	set->s.buf = create(set->dev, set->source, 0, set->s.size);
	ASSERT_LE(0, set->s.buf);
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		const struct way *way = &ways[i];
		int err;

		if (needs_pci(way) && !set->has_edu)
			continue;
		fill(a, page_size(), 1);
		err = way->try(&set->s);
		EXPECT_EQ(way->plain == FAILS, err != 0)
			TH_LOG("%s: %s", way->name, strerror(-err));
		EXPECT_EQ(way->plain == WRITES, unchanged(set->memfd, set->s.size) < set->s.size)
			TH_LOG("%s", way->name);
	}
}

/* A read-only buffer and a plain one of the same memfd do not change each other. */
TEST_F(writable, beside_a_read_only_one)
{
	struct setting *set = &self->set;
	size_t pg = page_size();
	int plain, buf;
	char *b, *p;

	plain = create(set->dev, set->source, 0, set->s.size);
	buf = create_ext_one(set->dev, set->source, 0, set->s.size, UDMABUF_EXT_READ_ONLY, NULL);
	ASSERT_LE(0, plain);
	ASSERT_LE(0, buf);
	p = map_rw(plain, pg);
	b = map_at(buf, 0, pg, PROT_READ);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_NE(MAP_FAILED, b);
	*p = 'p';
	EXPECT_EQ('p', *(volatile char *)b);
	EXPECT_EQ(-EACCES, map_error(buf, 0, pg, PROT_WRITE, MAP_SHARED));
	/* A seal that comes later takes nothing from the plain buffer. */
	ASSERT_EQ(0, fcntl(set->memfd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE));
	EXPECT_EQ(-EPERM, map_error(set->memfd, 0, pg, PROT_WRITE, MAP_SHARED));
	EXPECT_EQ(0, map_and_store(plain, 0));
	EXPECT_EQ('w', *(volatile char *)b);
}

/* The devices are what they are called: else the ways above show less than they say. */
TEST_F(writable, devices_with_few_bits_are_staged)
{
	struct setting *set = &self->set;
	struct subject *s = &set->s;
	/* What was allocated first may lie where the device reaches it. */
	int memfd = variant->kind.memfd_flags ? set->source :
		    memfd_out_of_reach(set->dev, s->importer, s->size), err;

	ASSERT_LE(0, memfd);
	s->buf = create(set->dev, memfd, 0, s->size);
	ASSERT_LE(0, s->buf);
	err = importer_map_staged(s->importer, 0, s->buf, IMPORTER_FAUX_2, IMPORTER_TO_DEVICE);
	if (err == -ERANGE && variant->kind.memfd_flags)
		SKIP(return, "the huge page lies where the device reaches it");
	ASSERT_EQ(0, err);
	EXPECT_EQ(0, importer_slot(s->importer, IMPORTER_UNMAP, 0));
}

/* What an IOMMU lets a device do that was mapped for reading, and writes all the same. */
TEST_F(writable, iommu_keeps_a_device_from_writing)
{
	struct importer_segments segments = {};
	struct setting *set = &self->set;
	struct subject *s = &set->s;
	char byte = 'w';

	s->buf = create(set->dev, set->source, 0, s->size);
	ASSERT_LE(0, s->buf);
	if (set->has_edu) {
		ASSERT_EQ(0, importer_map(s->importer, 0, s->buf, IMPORTER_EDU,
					  IMPORTER_BIDIRECTIONAL));
		ASSERT_EQ(0, importer_segments(s->importer, 0, &segments));
		/* It can, if it may. */
		ASSERT_EQ(0, importer_copy(s->importer, IMPORTER_WRITE, 0, 0, &byte, 1));
		ASSERT_EQ(0, importer_slot(s->importer, IMPORTER_UNMAP, 0));
		ASSERT_GT(s->size, unchanged(set->memfd, s->size));
	}
	if (!segments.translated)
		SKIP(return, "no device behind an IOMMU");
	s->buf = create_ext_one(set->dev, set->source, 0, s->size, UDMABUF_EXT_READ_ONLY, NULL);
	ASSERT_LE(0, s->buf);
	byte = 'x';
	ASSERT_EQ(0, importer_map(s->importer, 0, s->buf, IMPORTER_EDU, IMPORTER_TO_DEVICE));
	importer_copy(s->importer, IMPORTER_WRITE, 0, 0, &byte, 1);
	ASSERT_EQ(0, importer_slot(s->importer, IMPORTER_UNMAP, 0));
	ASSERT_EQ(1, pread(set->memfd, &byte, 1, 0));
	EXPECT_EQ('w', byte);
}

/* What poll() says of a buffer. */
static int ready(int buf)
{
	struct pollfd fd = { .fd = buf, .events = POLLOUT };

	return poll(&fd, 1, 0) == 1 ? fd.revents : 0;
}

/* START waits for devices that write: it cannot be asked to wait for those that read. */
TEST_F(writable, owner_waits_for_readers_by_poll)
{
	struct setting *set = &self->set;
	struct subject *s = &set->s;

	s->buf = create_ext_one(set->dev, set->source, 0, s->size, UDMABUF_EXT_READ_ONLY, NULL);
	ASSERT_LE(0, s->buf);
	EXPECT_EQ(POLLOUT, ready(s->buf));
	ASSERT_EQ(0, importer_fence(s->importer, 0, s->buf, false));
	EXPECT_EQ(0, ready(s->buf));
	EXPECT_EQ(0, buf_sync(s->buf, SYNC_START_R));
	EXPECT_EQ(0, buf_sync(s->buf, SYNC_END_R));
	EXPECT_EQ(0, ready(s->buf));
	ASSERT_EQ(0, importer_slot(s->importer, IMPORTER_SIGNAL, 0));
	EXPECT_EQ(POLLOUT, ready(s->buf));
}

/*
 * The owner of the memory cannot say that it writes, since the reader could not be kept from saying
 * so. END of a bracket that reads passes on what has been written through the memfd.
 */
TEST_F(writable, devices_see_what_the_owner_writes)
{
	static const struct {
		int device, bits;
	} devices[] = { { IMPORTER_FAUX, 0 }, { IMPORTER_FAUX_2, FEW_BITS } };
	struct setting *set = &self->set;
	struct subject *s = &set->s;
	char *a;

	a = map_rw(set->memfd, s->size);
	ASSERT_NE(MAP_FAILED, a);
	s->buf = create_ext_one(set->dev, set->source, 0, s->size, UDMABUF_EXT_READ_ONLY, NULL);
	ASSERT_LE(0, s->buf);
	for (int i = 0; i < 2; i++)
		ASSERT_EQ(0, importer_map_masked(s->importer, i, s->buf, devices[i].device,
						 IMPORTER_TO_DEVICE, devices[i].bits));
	for (int byte = 2; byte < 5; byte++) {
		ASSERT_EQ(0, buf_sync(s->buf, SYNC_START_R));
		memset(a, byte, s->size);
		ASSERT_EQ(0, buf_sync(s->buf, SYNC_END_R));
		for (int i = 0; i < 2; i++)
			EXPECT_EQ(0, importer_finds(s->importer, IMPORTER_READ, i, s->size, byte));
	}
	for (int i = 0; i < 2; i++)
		EXPECT_EQ(0, importer_slot(s->importer, IMPORTER_UNMAP, i));
}

/* Read-only buffers ------------------------------------------------------------- */

SETTING(readonly);

FIXTURE_VARIANT_ADD(readonly, at_will) { { O_RDWR } };
FIXTURE_VARIANT_ADD(readonly, read_only_memfd) { { O_RDONLY } };
FIXTURE_VARIANT_ADD(readonly, write_sealed) { { O_RDWR, F_SEAL_WRITE } };
FIXTURE_VARIANT_ADD(readonly, future_write_sealed) { { O_RDWR, F_SEAL_FUTURE_WRITE } };
FIXTURE_VARIANT_ADD(readonly, sealed_and_read_only) { { O_RDONLY, F_SEAL_WRITE | F_SEAL_SEAL } };
FIXTURE_VARIANT_ADD(readonly, huge_pages) { { O_RDWR, 0, MFD_HUGETLB | MFD_HUGE_2MB } };
FIXTURE_VARIANT_ADD(readonly, write_sealed_huge_pages)
{
	{ O_RDONLY, F_SEAL_WRITE, MFD_HUGETLB | MFD_HUGE_2MB }
};

static bool may_be_written(const struct kind *kind)
{
	return kind->mode == O_RDWR && !kind->seals;
}

TEST_F_TIMEOUT(readonly, no_way_writes, 240)
{
	struct setting *set = &self->set;
	size_t size = set->s.size;

	set->s.buf = create_ext_one(set->dev, set->source, 0, size, UDMABUF_EXT_READ_ONLY, NULL);
	ASSERT_LE(0, set->s.buf);
	for (size_t p = 0; p < ARRAY_SIZE(places); p++) {
		memset(set->results, 0, sizeof(*set->results));
		places[p].run(&set->s, set->results);
		ASSERT_TRUE(set->results->ended)
			TH_LOG("%s: not all was tried", places[p].name);
		for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
			int error = -set->results->errors[i];

			if (needs_pci(&ways[i]) && !set->has_edu)
				continue;
			EXPECT_TRUE(ways[i].read_only == ANY ? error > 0 :
				    error == ways[i].read_only)
				TH_LOG("%s, %s: %s instead of %s", places[p].name, ways[i].name,
				       strerror(error), strerror(ways[i].read_only));
		}
		EXPECT_EQ(size, unchanged(set->memfd, size))
			TH_LOG("%s: written", places[p].name);
	}
}

/* The ways fail although the memory itself may be written: for the CPU, by the memfd. */
TEST_F(readonly, no_cpu_maps_it)
{
	struct setting *set = &self->set;
	bool may_write = may_be_written(&variant->kind);
	uint64_t flags = UDMABUF_EXT_NO_CPU_MAP | (may_write ? 0 : UDMABUF_EXT_READ_ONLY);
	static const int protections[] = { PROT_NONE, PROT_READ, PROT_WRITE };

	set->s.buf = create_ext_one(set->dev, set->source, 0, set->s.size, flags, NULL);
	ASSERT_LE(0, set->s.buf);
	try_all(&set->s, set->results);
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		int error = -set->results->errors[i];
		int wanted = ways[i].no_cpu_map ?: may_write ? 0 : ways[i].read_only;

		if (needs_pci(&ways[i]) && !set->has_edu)
			continue;
		EXPECT_TRUE(wanted == ANY ? error > 0 : error == wanted)
			TH_LOG("%s: %s", ways[i].name, strerror(error));
	}
	for (size_t i = 0; i < ARRAY_SIZE(protections); i++) {
		EXPECT_EQ(-EACCES,
			  map_error(set->s.buf, 0, page_size(), protections[i], MAP_SHARED));
		ASSERT_EQ(0, importer_slot(set->s.importer, IMPORTER_MMAP, set->s.buf));
		EXPECT_EQ(-EACCES, map_error(set->s.importer, IMPORTER_MMAP_OFFSET(IMPORTER_SLOTS),
					     page_size(), protections[i], MAP_SHARED));
	}
	EXPECT_EQ(0, buf_sync(set->s.buf, SYNC_START_R));
	EXPECT_EQ(0, buf_sync(set->s.buf, SYNC_END_R));
}

/* Whether the device has the first page, and the last. */
static int device_sees(struct subject *s, int device, int bits)
{
	size_t pg = page_size();
	uint64_t *page = malloc(pg);
	int err;

	err = device == IMPORTER_EDU ?
	      importer_map(s->importer, 0, s->buf, device, IMPORTER_TO_DEVICE) :
	      importer_map_masked(s->importer, 0, s->buf, device, IMPORTER_TO_DEVICE, bits);
	for (uint64_t at = 0; !err && at < s->size; at += s->size - pg) {
		err = importer_copy(s->importer, IMPORTER_READ, 0, at, page, pg);
		for (size_t i = 0; !err && i < pg / 8; i++)
			if (page[i] != word_at(1, at / 8 + i))
				err = -EIO;
	}
	free(page);
	return err ?: importer_slot(s->importer, IMPORTER_UNMAP, 0);
}

TEST_F(readonly, devices_read_it)
{
	struct setting *set = &self->set;
	static const uint64_t flags[] = {
		UDMABUF_EXT_READ_ONLY, UDMABUF_EXT_READ_ONLY | UDMABUF_EXT_NO_CPU_MAP,
	};

	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		set->s.buf = create_ext_one(set->dev, set->source, 0, set->s.size, flags[i], NULL);
		ASSERT_LE(0, set->s.buf);
		for (int again = 0; again < 2; again++) {
			EXPECT_EQ(0, device_sees(&set->s, IMPORTER_FAUX, 0));
			EXPECT_EQ(0, device_sees(&set->s, IMPORTER_FAUX | IMPORTER_AGAIN, 0));
			EXPECT_EQ(0, device_sees(&set->s, IMPORTER_FAUX_2, FEW_BITS));
			if (set->has_edu)
				EXPECT_EQ(0, device_sees(&set->s, IMPORTER_EDU, 0));
		}
		close(set->s.buf);
	}
}

TEST_F(readonly, everybody_reads_it)
{
	struct setting *set = &self->set;
	size_t size = set->s.size, pg = page_size();
	int buf = create_ext_one(set->dev, set->source, 0, size, UDMABUF_EXT_READ_ONLY, NULL);
	int mem = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	char *b, *copy = malloc(pg);

	ASSERT_LE(0, buf);
	EXPECT_EQ(O_RDONLY, fcntl(buf, F_GETFL) & O_ACCMODE);
	EXPECT_EQ(size, buf_size(buf));
	b = map_at(buf, 0, size, PROT_READ);
	ASSERT_NE(MAP_FAILED, b);
	EXPECT_EQ(0, buf_sync(buf, SYNC_START_R));
	EXPECT_EQ(size, matches(b, size, 1));
	EXPECT_EQ(0, buf_sync(buf, SYNC_END_R));
	ASSERT_LE(0, mem);
	EXPECT_EQ(pg, pread(mem, copy, pg, (uintptr_t)b));
	EXPECT_EQ(0, memcmp(copy, b, pg));
	EXPECT_EQ(0, importer_access(set->s.importer, IMPORTER_BEGIN, buf, IMPORTER_FROM_DEVICE));
	EXPECT_EQ(0, importer_access(set->s.importer, IMPORTER_END, buf, IMPORTER_FROM_DEVICE));
	/* The memory goes on to be written by the memfd, if that may be. */
	if (may_be_written(&variant->kind)) {
		char *a = map_rw(set->memfd, size);

		ASSERT_NE(MAP_FAILED, a);
		fill(a, size, 2);
		EXPECT_EQ(size, matches(b, size, 2));
	}
}

/* A page that the memfd does not have yet, and one of fallocate(), are made and read as zero. */
TEST(readonly_holes_read_as_zero)
{
	size_t pg = page_size();
	int dev = node_open(), memfd = memfd_make(4 * pg, MFD_ALLOW_SEALING, F_SEAL_SHRINK), buf;
	char *b;

	if (is_c_driver())
		SKIP(return, "the C driver has no UDMABUF_CREATE_EXT");
	ASSERT_LE(0, dev);
	ASSERT_LE(0, memfd);
	ASSERT_EQ(0, fallocate(memfd, 0, pg, pg));
	ASSERT_EQ(0, fcntl(memfd, F_ADD_SEALS, F_SEAL_WRITE));
	buf = create_ext_one(dev, memfd, 0, 4 * pg, UDMABUF_EXT_READ_ONLY, NULL);
	ASSERT_LE(0, buf);
	b = map_at(buf, 0, 4 * pg, PROT_READ);
	ASSERT_NE(MAP_FAILED, b);
	EXPECT_EQ(4 * pg, zero_up_to(b, 4 * pg));
}

/* One memfd that may be written among others does not make the list writable, nor the reverse. */
TEST_F(readonly, list_of_different_memfds)
{
	struct setting *set = &self->set;
	size_t pg = page_size();
	int sealed = memfd_make(pg, MFD_ALLOW_SEALING, F_SEAL_SHRINK | F_SEAL_WRITE);
	struct udmabuf_create_item items[] = {
		{ .memfd = memfd_new(pg), .size = pg },
		{ .memfd = set->source, .size = pg },
		{ .memfd = sealed, .size = pg },
	};
	struct udmabuf_create_ext ext = make_ext(items, 3, UDMABUF_EXT_READ_ONLY);
	int buf = create_ext(set->dev, &ext), err;

	ASSERT_LE(0, buf);
	EXPECT_EQ(O_RDONLY, fcntl(buf, F_GETFL) & O_ACCMODE);
	ext.flags = 0;
	err = create_ext(set->dev, &ext);
	EXPECT_TRUE(err == -EINVAL || err == -EACCES);
	EXPECT_EQ(err, create_list(set->dev, items, 3));
}

TEST_F(readonly, seals_that_are_added_later)
{
	struct setting *set = &self->set;
	size_t pg = page_size();
	int buf, again, own = variant->kind.seals & F_SEAL_SEAL ? -EPERM : 0;

	buf = create_ext_one(set->dev, set->source, 0, pg, UDMABUF_EXT_READ_ONLY, NULL);
	ASSERT_LE(0, buf);
	if (!(variant->kind.seals & F_SEAL_WRITE)) {
		EXPECT_EQ(-EBUSY, seal_write(set->memfd));
		EXPECT_EQ(0, fcntl(set->memfd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE));
		EXPECT_EQ(-EBUSY, seal_write(set->memfd));
	}
	/* Another buffer of the memfd can still be made, and keeps the seal away as well. */
	again = create_ext_one(set->dev, set->source, 0, pg, UDMABUF_EXT_READ_ONLY, NULL);
	ASSERT_LE(0, again);
	close(buf);
	if (!(variant->kind.seals & F_SEAL_WRITE))
		EXPECT_EQ(-EBUSY, seal_write(set->memfd));
	close(again);
	EXPECT_EQ(own, seal_write_soon(set->memfd));
	/* Sealed for good, it can be shared as before. */
	EXPECT_LE(0, create_ext_one(set->dev, set->source, 0, pg, UDMABUF_EXT_READ_ONLY, NULL));
}

/* Large entries of the page table ------------------------------------------------- */

/* Ways to an entry of 2 MiB of the page table, which ends where the mapping is changed. */
static int try_large_entry(char *b, size_t size)
{
	size_t half = size / 2;
	int wrote = 0;

	wrote += !mprotect(b, size, PROT_READ | PROT_WRITE);
	wrote += !mprotect(b + half, page_size(), PROT_READ | PROT_WRITE);
	wrote += !store(b) || !store(b + half) || !store(b + size - 1);
	wrote += !proc_mem_store(b) || !proc_mem_store(b + half);
	wrote += !populate(b) || !populate(b + half);
	wrote += !madvise(b, size, MADV_REMOVE);
	return wrote;
}

SETTING(large);

FIXTURE_VARIANT_ADD(large, huge_page) { { O_RDWR, 0, MFD_HUGETLB | MFD_HUGE_2MB } };
FIXTURE_VARIANT_ADD(large, write_sealed_huge_page)
{
	{ O_RDONLY, F_SEAL_WRITE, MFD_HUGETLB | MFD_HUGE_2MB }
};

TEST_F(large, entry_of_the_page_table_cannot_be_written)
{
	struct setting *set = &self->set;
	size_t size = set->s.size;
	long long before;
	char *room, *b;
	int buf;

	if (page_size() != 4 * KIB)
		SKIP(return, "no large entry maps this memory");
	buf = create_ext_one(set->dev, set->source, 0, size, UDMABUF_EXT_READ_ONLY, NULL);
	ASSERT_LE(0, buf);
	room = mmap(NULL, 2 * HUGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, room);
	b = (char *)(((uintptr_t)room + HUGE - 1) & -HUGE);
	ASSERT_EQ(b, mmap(b, size, PROT_READ, MAP_SHARED | MAP_FIXED, buf, 0));
	/* What is looked at with gets its own page tables first. */
	vm_pte();
	touch((char *)&before, false);
	before = vm_pte();
	for (size_t at = 0; at < size; at += page_size())
		ASSERT_EQ(0, touch(b + at, false));
	/* Else it has a page table. */
	ASSERT_EQ(before, vm_pte());
	EXPECT_EQ(0, try_large_entry(b, size));
	/* With nothing mapped, and split by a part that is mapped on its own. */
	ASSERT_EQ(0, mprotect(b, size, PROT_NONE));
	ASSERT_EQ(0, mprotect(b, size, PROT_READ));
	EXPECT_EQ(0, try_large_entry(b, size));
	ASSERT_EQ(b + page_size(), mmap(b + page_size(), page_size(), PROT_READ,
					MAP_SHARED | MAP_FIXED, buf, page_size()));
	EXPECT_EQ(0, try_large_entry(b, size));
	EXPECT_EQ(size, matches(b, size, 1));
	EXPECT_EQ(size, unchanged(set->memfd, size));
}

TEST_HARNESS_MAIN
