// SPDX-License-Identifier: GPL-2.0
/*
 * create_races: other threads that look at a buffer, or change an argument, while it is made.
 */
#include "udmabuf_test.h"

UDMABUF_OWN_FIXTURE(create_races);

/* Names -------------------------------------------------------------------- */

/* A thread that polls fdinfo of the number that each buffer will get. */
struct watcher {
	int fd;
	bool stop;
	/* Buffers that it has seen, and those without their name among them. */
	long seen, nameless;
};

static void *look_for_name(void *arg)
{
	struct watcher *w = arg;
	char path[64], text[512];
	int info;
	ssize_t n;

	/* fdinfo is about a number, whatever file has it. */
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", w->fd);
	info = open(path, O_RDONLY | O_CLOEXEC);
	close(w->fd);
	while (!__atomic_load_n(&w->stop, __ATOMIC_ACQUIRE)) {
		n = pread(info, text, sizeof(text) - 1, 0);
		if (n <= 0)
			continue;
		text[n] = '\0';
		if (!strstr(text, "exp_name:"))
			continue;
		w->seen++;
		w->nameless += !strstr(text, "\nname:\tcamera\n");
	}
	close(info);
	return NULL;
}

/* Starts @watcher; the next descriptor will have the number that it looks at. */
static int start_watcher(struct watcher *w, pthread_t *thread)
{
	int err;

	w->fd = dup(0);
	err = pthread_create(thread, NULL, look_for_name, w);
	while (!err && fcntl(w->fd, F_GETFD) >= 0)
		sched_yield();
	return -err;
}

TEST_F(create_races, name_is_there_when_the_descriptor_appears)
{
	int memfd = memfd_new(page_size()), buf;
	struct watcher w = {};
	pthread_t thread;
	uint64_t until;

	ASSERT_EQ(0, start_watcher(&w, &thread));
	for (until = now_us() + 1500000; now_us() < until; close(buf)) {
		buf = create_ext_one(self->dev, memfd, 0, page_size(), 0, "camera");
		ASSERT_EQ(w.fd, buf);
	}
	__atomic_store_n(&w.stop, true, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	TH_LOG("seen %ld times, %ld without its name", w.seen, w.nameless);
	EXPECT_LT(0, w.seen);
	EXPECT_EQ(0, w.nameless);
}

/* Arguments that change while they are read -------------------------------- */

struct flipper {
	void *field;
	size_t bytes;
	uint64_t values[2];
	bool stop;
};

static void *flip(void *arg)
{
	struct flipper *f = arg;

	for (int i = 0; !__atomic_load_n(&f->stop, __ATOMIC_RELAXED); i ^= 1) {
		if (f->bytes == 1)
			*(volatile uint8_t *)f->field = f->values[i];
		else if (f->bytes == 4)
			*(volatile uint32_t *)f->field = f->values[i];
		else
			*(volatile uint64_t *)f->field = f->values[i];
	}
	return NULL;
}

/* Properties of a buffer. */
enum { IS_READ_ONLY = 1, IS_LONG = 2, IS_NAMED = 4, KINDS = 8 };

#define NAME	"four"

/* Returns the properties of a buffer; -1 if no state of the argument asks for such a buffer. */
static int kind_of(int buf)
{
	uint64_t pg = page_size(), size = buf_size(buf);
	bool read_only = (fcntl(buf, F_GETFL) & O_ACCMODE) == O_RDONLY;
	uint64_t flags = read_only ? UDMABUF_EXT_READ_ONLY : 0;
	char text[512], *p;
	const char *name = buf_name(buf, text, sizeof(text));
	bool ours;

	if (size != pg && size != 2 * pg)
		return -1;
	if (broken_promise(buf, flags, size) || (name && *name && strcmp(name, NAME)))
		return -1;
	/* Is it of the memfd that may be written? */
	p = map_at(buf, 0, pg, PROT_READ);
	ours = p[0] == 'w';
	munmap(p, pg);
	if (!ours && !read_only)
		return -1;
	return (read_only ? IS_READ_ONLY : 0) | (size > pg ? IS_LONG : 0) |
	       (name && *name ? IS_NAMED : 0);
}

/* Each byte is read once, or the second reading does not count. */
TEST_F_TIMEOUT(create_races, argument_that_changes_while_it_is_read, 240)
{
	size_t pg = page_size();
	int memfd = memfd_new(2 * pg), other = memfd_new(2 * pg), ro = fd_reopen(other, O_RDONLY);
	char *end = end_of_memory(1), *items_end = end_of_memory(1), *text = end_of_memory(1) - 64;
	struct udmabuf_create_ext *ext = (void *)(end - sizeof(*ext));
	struct udmabuf_create_item *items = (void *)(items_end - 2 * sizeof(*items));
	const uint64_t read_only = UDMABUF_EXT_READ_ONLY, size = sizeof(*ext);
	const uint64_t at = (uintptr_t)items, name = (uintptr_t)text, nowhere = 1ULL << 63;
	const struct {
		void *field;
		size_t bytes;
		uint64_t values[2];
		/* These do not change. */
		uint64_t flags;
		int memfd;
		/* The answers: two kinds of buffers, or one and an error. */
		int error, kinds[2];
	} fields[] = {
		/* Copying may tear a value: the two differ in one byte, or any mixture is wrong. */
		{ &ext->size, 4, { size, size | 1U << 31 }, 0, memfd, E2BIG },
		{ &ext->size, 4, { size, size - 1 }, 0, memfd, EINVAL },
		{ &ext->flags, 8, { 0, read_only }, 0, memfd, 0, { 0, IS_READ_ONLY } },
		{ &ext->flags, 8, { 0, read_only }, 0, ro, EACCES, { IS_READ_ONLY, IS_READ_ONLY } },
		{ &ext->flags, 8, { 0, 8 }, 0, memfd, EINVAL },
		{ &ext->cache, 4, { 0, 1 }, 0, memfd, EOPNOTSUPP },
		{ &ext->items, 8, { at, at | nowhere }, 0, memfd, EFAULT },
		{ &ext->count, 4, { 1, 1 | 1U << 31 }, 0, memfd, EINVAL },
		{ &ext->count, 4, { 1, 2 }, 0, memfd, 0, { 0, IS_LONG } },
		{ &ext->name, 8, { name, name + 32 }, 0, memfd, 0, { IS_NAMED, 0 } },
		{ &ext->name, 8, { name, name | nowhere }, 0, memfd, EFAULT,
		  { IS_NAMED, IS_NAMED } },
		{ &items->memfd, 4, { memfd, ro }, 0, memfd, EACCES },
		{ &items->memfd, 4, { memfd, -1 }, read_only, memfd, EBADFD,
		  { IS_READ_ONLY, IS_READ_ONLY } },
		{ &items->__pad, 4, { 0, 1 }, 0, memfd, EINVAL },
		{ &items->size, 8, { pg, 2 * pg }, 0, memfd, 0, { 0, IS_LONG } },
		{ &items->size, 8, { pg, 1ULL << 40 }, 0, memfd, EINVAL },
		{ &items->offset, 8, { 0, 2 * pg }, 0, memfd, EINVAL },
		/* The byte behind NAME: with it there is no end within 32. */
		{ text + strlen(NAME), 1, { 0, 'x' }, 0, memfd, EINVAL, { IS_NAMED, IS_NAMED } },
	};

	ASSERT_LE(0, ro);
	ASSERT_EQ(1, pwrite(memfd, "w", 1, 0));
	for (int i = 0; i < ARRAY_SIZE(fields); i++) {
		struct flipper f = { fields[i].field, fields[i].bytes,
				     { fields[i].values[0], fields[i].values[1] } };
		int errors[256] = {}, made[KINDS] = {}, total = 0, wrong = 0, seen = 0, *one, *two;
		uint64_t start = now_us();
		pthread_t thread;

		for (int j = 0; j < 2; j++) {
			items[j] = (struct udmabuf_create_item){ .memfd = fields[i].memfd,
								 .size = pg };
		}
		*ext = make_ext(items, 1, fields[i].flags);
		/* Two strings, the second of which is empty, or one. */
		strcpy(memset(text, fields[i].bytes == 1 ? 'x' : 0, 64), NAME);
		if (fields[i].kinds[0] & IS_NAMED)
			ext->name = name;
		one = &made[fields[i].kinds[0]];
		two = fields[i].error ? &errors[fields[i].error] : &made[fields[i].kinds[1]];
		ASSERT_EQ(0, pthread_create(&thread, NULL, flip, &f));
		/* Both states are seen at once, unless the machine is busy otherwise. */
		while (now_us() - start < (seen == 2 ? 100000 : 10000000)) {
			int buf = create_ext(self->dev, ext), kind;

			total++;
			if (buf < 0) {
				errors[-buf & 255]++;
			} else {
				kind = kind_of(buf);
				if (kind < 0)
					wrong++;
				else
					made[kind]++;
				close(buf);
			}
			seen = (*one > 0) + (*two > 0);
		}
		__atomic_store_n(&f.stop, true, __ATOMIC_RELAXED);
		pthread_join(thread, NULL);
		EXPECT_EQ(2, seen)
			TH_LOG("field %d", i);
		EXPECT_EQ(0, wrong)
			TH_LOG("field %d", i);
		/* There is no third answer. */
		EXPECT_EQ(total, *one + *two)
			TH_LOG("field %d", i);
	}
	EXPECT_EQ(0, seal_write_soon(memfd));
	EXPECT_EQ(0, seal_write_soon(other));
}

TEST_HARNESS_MAIN
