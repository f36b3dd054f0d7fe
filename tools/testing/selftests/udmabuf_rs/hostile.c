// SPDX-License-Identifier: GPL-2.0
/*
 * hostile: a user without privileges who has the node gets at no byte that was out of reach, and
 * fills no log. What such a user can cost others is in neighbours.c.
 */
#include <sys/ptrace.h>
#include <sys/uio.h>

#include "hostile.h"

#define PAGES		4

UDMABUF_FIXTURE(hostile);

/* Bytes of others ------------------------------------------------------------ */

/* What the attacker gets, or knows of. */
struct loot {
	int dev;
	/* A memfd of its own; memfds of root, which the attacker may not read or write. */
	int own, read_only, write_only, path, sealed, sealed_for_future;
	/* Buffers of root: one that was received, writable and read-only; one that was not. */
	int buf, read_only_buf, secret_fd;
	pid_t holder;
	char *secret;
	size_t size;
};

/* Closes the buffer that a way has made: it is the attacker's now. */
static int taken(int buf)
{
	return buf < 0 ? buf : close(buf);
}

static int of_read_only(struct loot *l)
{
	return taken(create(l->dev, l->read_only, 0, l->size));
}

static int of_read_only_in_a_list(struct loot *l)
{
	struct udmabuf_create_item items[] = {
		{ .memfd = l->own, .size = l->size }, { .memfd = l->read_only, .size = l->size },
	};

	return taken(create_list(l->dev, items, 2));
}

static int of_read_only_strictly(struct loot *l)
{
	return taken(create_ext_one(l->dev, l->read_only, 0, l->size, 0, NULL));
}

static int of_write_only(struct loot *l)
{
	return taken(create(l->dev, l->write_only, 0, l->size));
}

static int of_write_only_to_read(struct loot *l)
{
	return taken(create_ext_one(l->dev, l->write_only, 0, l->size, UDMABUF_EXT_READ_ONLY,
				    NULL));
}

static int of_path(struct loot *l)
{
	return taken(create(l->dev, l->path, 0, l->size));
}

static int of_sealed(struct loot *l)
{
	return taken(create(l->dev, l->sealed, 0, l->size));
}

static int of_sealed_for_future(struct loot *l)
{
	return taken(create(l->dev, l->sealed_for_future, 0, l->size));
}

static int of_reopened(struct loot *l)
{
	int memfd = fd_reopen(l->read_only, O_RDWR);

	return memfd < 0 ? memfd : taken(create(l->dev, memfd, 0, l->size));
}

static int of_a_buffer(struct loot *l)
{
	return taken(create(l->dev, l->read_only_buf, 0, l->size));
}

static int of_a_number(struct loot *l)
{
	return taken(create(l->dev, l->secret_fd, 0, l->size));
}

static int of_another_file(struct loot *l)
{
	int file = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int err = taken(create(l->dev, file, 0, l->size));

	close(file);
	return err;
}

static int behind_the_file(struct loot *l)
{
	return taken(create(l->dev, l->own, l->size, page_size()));
}

static int around_the_file(struct loot *l)
{
	return taken(create(l->dev, l->own, -page_size(), 2 * page_size()));
}

static int behind_the_buffer(struct loot *l)
{
	return map_error(l->buf, l->size, page_size(), PROT_READ, MAP_SHARED);
}

static int longer_than_the_buffer(struct loot *l)
{
	return map_error(l->buf, 0, l->size + page_size(), PROT_READ, MAP_SHARED);
}

static int grown_mapping(struct loot *l)
{
	char *p = map_rw(l->buf, l->size), *grown;
	int err;

	if (p == MAP_FAILED)
		return -EPIPE;
	grown = mremap(p, l->size, 2 * l->size, MREMAP_MAYMOVE);
	err = grown == MAP_FAILED ? -errno : 0;
	munmap(p, l->size);
	return err;
}

static int write_to_read_only(struct loot *l)
{
	return map_error(l->read_only_buf, 0, l->size, PROT_READ | PROT_WRITE, MAP_SHARED);
}

static int start_to_write(struct loot *l)
{
	return buf_sync(l->read_only_buf, SYNC_START_RW);
}

static int open_of_holder(struct loot *l, const char *what, int flags)
{
	char path[100];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", l->holder, what);
	fd = open(path, flags | O_CLOEXEC);
	return fd < 0 ? -errno : close(fd);
}

static int memory_of_holder(struct loot *l)
{
	return open_of_holder(l, "mem", O_RDWR);
}

static int descriptor_of_holder(struct loot *l)
{
	char name[32];

	snprintf(name, sizeof(name), "fd/%d", l->secret_fd);
	return open_of_holder(l, name, O_RDONLY);
}

static int mapping_of_holder(struct loot *l)
{
	char name[64];

	snprintf(name, sizeof(name), "map_files/%lx-%lx", (unsigned long)l->secret,
		 (unsigned long)l->secret + l->size);
	return open_of_holder(l, name, O_RDONLY);
}

static int fdinfo_of_holder(struct loot *l)
{
	char name[32];

	snprintf(name, sizeof(name), "fdinfo/%d", l->secret_fd);
	return open_of_holder(l, name, O_RDONLY);
}

static int readv_of_holder(struct loot *l)
{
	char byte;
	struct iovec to = { &byte, 1 }, from = { l->secret, 1 };

	return process_vm_readv(l->holder, &to, 1, &from, 1, 0) == 1 ? 0 : -errno;
}

static int ptrace_of_holder(struct loot *l)
{
	return ptrace(PTRACE_ATTACH, l->holder, NULL, NULL) ? -errno : 0;
}

static int getfd_of_holder(struct loot *l)
{
	int pidfd = syscall(SYS_pidfd_open, l->holder, 0);
	int fd = syscall(SYS_pidfd_getfd, pidfd, l->secret_fd, 0);
	int err = fd < 0 ? -errno : close(fd);

	close(pidfd);
	return err;
}

static int parameter_of_root(struct loot *l)
{
	return param_set("list_limit", "65536");
}

static int buffers_of_all(struct loot *l)
{
	int fd = open("/sys/kernel/debug/dma_buf/bufinfo", O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : close(fd);
}

struct way {
	const char *name;
	int (*try)(struct loot *l);
	int expected;
	/* Is about a call that the C driver lacks. */
	bool own;
};

static const struct way ways[] = {
	{ "a memfd open for reading only", of_read_only, EACCES },
	{ "the same in a list", of_read_only_in_a_list, EACCES },
	{ "the same, strictly", of_read_only_strictly, EACCES, true },
	{ "a memfd open for writing only", of_write_only, EACCES },
	{ "the same, for a read-only buffer", of_write_only_to_read, EACCES, true },
	{ "a path to a memfd", of_path, EBADFD },
	{ "F_SEAL_WRITE", of_sealed, EINVAL },
	{ "F_SEAL_FUTURE_WRITE", of_sealed_for_future, EINVAL },
	{ "/proc/self/fd of the memfd", of_reopened, EACCES },
	{ "a buffer for a memfd", of_a_buffer, EBADFD },
	{ "the number of another's descriptor", of_a_number, EBADFD },
	{ "a file that is no memfd", of_another_file, EBADFD },
	{ "a range behind the memfd", behind_the_file, EINVAL },
	{ "a range that overflows", around_the_file, EINVAL },
	{ "mmap behind the buffer", behind_the_buffer, EINVAL },
	{ "mmap of more than the buffer", longer_than_the_buffer, EINVAL },
	{ "mremap to more than the buffer", grown_mapping, EFAULT },
	{ "mmap of a read-only buffer", write_to_read_only, EACCES, true },
	{ "START of a read-only buffer", start_to_write, EACCES, true },
	{ "/proc/PID/mem", memory_of_holder, EACCES },
	{ "/proc/PID/fd", descriptor_of_holder, EACCES },
	{ "/proc/PID/fdinfo", fdinfo_of_holder, EACCES },
	{ "/proc/PID/map_files", mapping_of_holder, EACCES },
	{ "process_vm_readv", readv_of_holder, EPERM },
	{ "ptrace", ptrace_of_holder, EPERM },
	{ "pidfd_getfd", getfd_of_holder, EPERM },
	{ "a parameter", parameter_of_root, EACCES },
	{ "bufinfo", buffers_of_all, EACCES },
};

/* A memfd of root that others may read and not write, filled. */
static int root_memfd(size_t size, mode_t mode)
{
	int memfd = memfd_new(size);
	char *a = map_rw(memfd, size);

	if (a == MAP_FAILED || fchmod(memfd, mode))
		return -EPIPE;
	fill(a, size, 1);
	munmap(a, size);
	return memfd;
}

/* A process of root with a buffer that no other has. Descriptor and mapping go to @l. */
static int start_holder(struct loot *l)
{
	struct loot *told = mmap(NULL, page_size(), PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int ready[2];

	if (told == MAP_FAILED || pipe(ready))
		return -errno;
	l->holder = fork();
	if (!l->holder) {
		int buf;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		buf = create(l->dev, root_memfd(l->size, 0600), 0, l->size);
		CHILD_CHECK(buf >= 0);
		told->secret = map_rw(buf, l->size);
		/* A number that no other process uses. */
		told->secret_fd = fcntl(buf, F_DUPFD_CLOEXEC, 900);
		CHILD_CHECK(told->secret_fd >= 0 && !step_send(ready[1]));
		for (;;)
			pause();
	}
	close(ready[1]);
	if (step_wait(ready[0]))
		return -EPIPE;
	l->secret = told->secret;
	l->secret_fd = told->secret_fd;
	return 0;
}

/* Keeps the first way that did not end as expected, for the parent to say. */
struct verdict {
	int way, err;
};

static void try_ways(struct loot *l, struct verdict *verdicts, int *wrong)
{
	for (int i = 0; i < ARRAY_SIZE(ways); i++) {
		int err;

		if (ways[i].own && is_c_driver())
			continue;
		err = ways[i].try(l);
		if (err != -ways[i].expected)
			verdicts[(*wrong)++] = (struct verdict){ i, err };
	}
}

TEST_F(hostile, C7_no_byte_that_was_out_of_reach)
{
	struct verdict *verdicts = mmap(NULL, 2 * page_size(), PROT_READ | PROT_WRITE,
					MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int *wrong = (int *)((char *)verdicts + page_size());
	struct loot l = { .dev = self->dev, .size = PAGES * page_size() };
	int memfd = root_memfd(l.size, 0600);
	char *a = map_rw(memfd, l.size);
	pid_t pid;

	ASSERT_NE(MAP_FAILED, a);
	l.read_only = fd_reopen(memfd, O_RDONLY);
	l.write_only = fd_reopen(memfd, O_WRONLY);
	l.path = fd_reopen(memfd, O_PATH);
	l.sealed = root_memfd(l.size, 0600);
	ASSERT_EQ(0, fcntl(l.sealed, F_ADD_SEALS, F_SEAL_WRITE));
	l.sealed_for_future = root_memfd(l.size, 0600);
	ASSERT_EQ(0, fcntl(l.sealed_for_future, F_ADD_SEALS, F_SEAL_FUTURE_WRITE));
	l.buf = create(self->dev, memfd_new(l.size), 0, l.size);
	ASSERT_LE(0, l.buf);
	l.read_only_buf = is_c_driver() ? l.buf :
			  create_ext_one(self->dev, memfd, 0, l.size, UDMABUF_EXT_READ_ONLY, NULL);
	ASSERT_LE(0, l.read_only_buf);
	ASSERT_EQ(0, start_holder(&l));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		close(memfd);
		become(NOBODY);
		l.own = memfd_new(l.size);
		try_ways(&l, verdicts, wrong);
		_exit(0);
	}
	EXPECT_EQ(0, wait_status(pid));
	for (int i = 0; i < *wrong; i++)
		TH_LOG("%s: %s", ways[verdicts[i].way].name,
		       verdicts[i].err ? strerror(-verdicts[i].err) : "succeeds");
	EXPECT_EQ(0, *wrong);
	EXPECT_EQ(l.size, matches(a, l.size, 1));
	kill(l.holder, SIGKILL);
	wait_status(l.holder);
}

/* Old memory ----------------------------------------------------------------- */

#define MARKER	0x5ec7e75ec7e75ec7ULL
#define ROOM	(96 * MIB)

/* Fills memory with a marker, and frees it. */
static void leave_traces(void)
{
	uint64_t *p = mmap(NULL, ROOM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	for (size_t i = 0; p != MAP_FAILED && i < ROOM / sizeof(*p); i++)
		p[i] = MARKER;
	munmap(p, ROOM);
}

/* Bytes of a buffer of pages that nothing was ever written to, up to the first that is not 0. */
static size_t fresh_up_to(int dev, size_t size, bool allocated)
{
	int memfd = memfd_new(size), buf;
	size_t zero = 0;
	char *b;

	if (!allocated || !fallocate(memfd, 0, 0, size)) {
		buf = create(dev, memfd, 0, size);
		b = map_at(buf, 0, size, PROT_READ);
		zero = b == MAP_FAILED ? 0 : zero_up_to(b, size);
		munmap(b, size);
		close(buf);
	}
	close(memfd);
	return zero;
}

/* Runs @ok as the attacker. */
#define AS_NOBODY(ok) ({							\
	pid_t pid_ = fork();							\
										\
	if (!pid_) {								\
		become(NOBODY);							\
		CHILD_CHECK(ok);						\
		_exit(0);							\
	}									\
	pid_ < 0 ? -errno : wait_status(pid_);					\
})

TEST_F(hostile, C1_fresh_pages_are_zero)
{
	size_t size = ROOM / 2;

	for (int allocated = 0; allocated < 2; allocated++) {
		leave_traces();
		EXPECT_EQ(0, AS_NOBODY(fresh_up_to(self->dev, size, allocated) == size));
	}
}

#define STAGED_PAGES	64

/* A buffer of fresh pages that is staged, in slot 0. What the device reaches goes to @low. */
static int staged_buffer(int dev, int importer, int direction, int *low)
{
	size_t size = STAGED_PAGES * page_size();
	struct importer_segments segments;

	*low = memfd_new(4 * GIB);
	for (int i = 0; i < 64 && mem_available() > (long long)(512 * MIB); i++) {
		int memfd = memfd_new(size), buf = create(dev, memfd, 0, size), err;

		close(memfd);
		err = importer_map_masked(importer, 0, buf, IMPORTER_FAUX_2, direction, FEW_BITS) ?:
		      importer_segments(importer, 0, &segments);
		if (err)
			return err;
		if (segments.elsewhere == STAGED_PAGES)
			return buf;
		/* Kept until the process ends: its pages would be the next ones. */
		importer_slot(importer, IMPORTER_UNMAP, 0);
		fallocate(*low, 0, i * 64 * MIB, 64 * MIB);
	}
	return -ERANGE;
}

/* A device that never writes reads zeroes and leaves them: its copy has no bytes of others. */
static bool staging_is_clean(int dev, int importer, int direction)
{
	size_t size = STAGED_PAGES * page_size();
	int low, buf = staged_buffer(dev, importer, direction, &low);
	char *bytes = malloc(size), *b = map_rw(buf, size);
	bool clean;

	CHILD_CHECK(buf >= 0 && b != MAP_FAILED);
	memset(bytes, 0xff, size);
	CHILD_CHECK(!importer_copy(importer, IMPORTER_READ, 0, 0, bytes, size));
	clean = zero_up_to(bytes, size) == size;
	CHILD_CHECK(!importer_slot(importer, IMPORTER_UNMAP, 0));
	clean &= zero_up_to(b, size) == size;
	return clean;
}

/* Leaves a marker in memory that a staging was in, and frees it: the next user's has none of it. */
static int mark_staging(int dev, int importer)
{
	size_t size = STAGED_PAGES * page_size();
	int low, buf = staged_buffer(dev, importer, IMPORTER_BIDIRECTIONAL, &low), err;
	uint64_t *b = buf < 0 ? MAP_FAILED : map_rw(buf, size);

	close(low);
	if (b == MAP_FAILED)
		return buf < 0 ? buf : -ENOMEM;
	for (size_t i = 0; i < size / sizeof(*b); i++)
		b[i] = MARKER;
	/* Passed on to the device. */
	err = buf_sync(buf, SYNC_START_RW) ?: buf_sync(buf, SYNC_END_RW) ?:
	      importer_slot(importer, IMPORTER_UNMAP, 0);
	munmap(b, size);
	close(buf);
	return err;
}

TEST_F(hostile, own_staging_has_no_bytes_of_others)
{
	static const int directions[] = {
		IMPORTER_TO_DEVICE, IMPORTER_FROM_DEVICE, IMPORTER_BIDIRECTIONAL,
	};
	int importer = importer_open();

	if (importer < 0)
		SKIP(return, "the importer's module is not loaded");
	if (is_c_driver())
		SKIP(return, "the C driver has no stagings");
	for (size_t i = 0; i < ARRAY_SIZE(directions); i++) {
		ASSERT_EQ(0, mark_staging(self->dev, importer));
		EXPECT_EQ(0, AS_NOBODY(staging_is_clean(self->dev, importer, directions[i])))
			TH_LOG("direction %d", directions[i]);
	}
	close(importer);
}

/* The log -------------------------------------------------------------------- */

#define CALL_SECONDS	250

TEST_F_TIMEOUT(hostile, million_bad_calls_log_nothing, 300)
{
	int log = kmsg_open(), memfd = memfd_new(page_size());
	struct budget budget = { 1000000, CALL_SECONDS };
	struct spent spent = {};

	if (is_c_driver())
		SKIP(return, "the C driver takes all memory for some calls: C11");
	ASSERT_LE(0, log);
	EXPECT_EQ(0, bad_calls(self->dev, memfd, -1, budget, &spent));
	/* Some were good: the others have come as far as they could. */
	EXPECT_LT(0, spent.succeeded);
	EXPECT_EQ(0, log_lines(log));
	EXPECT_EQ(0, seal_write_soon(memfd));
}

TEST_F_TIMEOUT(hostile, bad_calls_on_a_buffer_log_nothing, 300)
{
	int log = kmsg_open(), memfd = memfd_new(PAGES * page_size()), buf;
	struct budget budget = { 200000, CALL_SECONDS };
	struct spent spent = {};

	ASSERT_LE(0, log);
	buf = create(self->dev, memfd, 0, PAGES * page_size());
	ASSERT_LE(0, buf);
	EXPECT_EQ(0, bad_calls(self->dev, memfd, buf, budget, &spent));
	EXPECT_LT(0, spent.succeeded);
	EXPECT_EQ(0, log_lines(log));
	close(buf);
	EXPECT_EQ(0, seal_write_soon(memfd));
}

TEST_HARNESS_MAIN
