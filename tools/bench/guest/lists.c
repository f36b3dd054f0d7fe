// SPDX-License-Identifier: GPL-2.0
/* Buffers of many pieces, and many buffers: of whole memfds. */
#include <sys/ioctl.h>
#include <unistd.h>
#include <linux/udmabuf.h>

#include "bench.h"

/* The published figure of others, and the list that a window of QEMU comes in. */
#define BATCH		32
#define BATCH_SIZE	(32 * MIB)
#define LIST		8000

void use_batch(int memfd)
{
	int fds[BATCH], made = 0;
	uint64_t start;

	size_now = BATCH * BATCH_SIZE;
	start = ticks();
	while (made < BATCH) {
		fds[made] = create(memfd, made * BATCH_SIZE, BATCH_SIZE);
		if (fds[made] < 0)
			break;
		made++;
	}
	if (made < BATCH)
		failed("create_close_32");
	for (int i = 0; i < made; i++)
		close(fds[i]);
	if (made == BATCH)
		record("create_close_32", since(start));
}

/*
 * Pieces of a page each, with as much between them; of @memfd and @other in turn.
 * @names are those of creating the buffer and closing it.
 */
static void use_list(const char *const *names, int memfd, int other)
{
	struct udmabuf_create_list *list;
	uint64_t start;
	int fd;

	size_now = LIST * PAGE;
	list = malloc(sizeof(*list) + LIST * sizeof(list->list[0]));
	CHECK(list);
	list->flags = UDMABUF_FLAGS_CLOEXEC;
	list->count = LIST;
	for (uint64_t i = 0; i < LIST; i++)
		list->list[i] = (struct udmabuf_create_item){
			.memfd = i & 1 ? other : memfd, .offset = 2 * i * PAGE, .size = PAGE,
		};
	start = ticks();
	fd = ioctl(subjects[subject].node, UDMABUF_CREATE_LIST, list);
	if (fd < 0) {
		failed(names[0]);
	} else {
		record(names[0], since(start));
		measure_close(names[1], fd);
	}
	free(list);
}

void use_lists(int memfd, int other)
{
	static const char *const list[] = { "create_list", "close_list" };
	static const char *const turns[] = { "create_turns", "close_turns" };

	use_list(list, memfd, memfd);
	if (other != -1)
		use_list(turns, memfd, other);
}

/* Bytes of a memfd that the lists are of. */
uint64_t list_span(void)
{
	return 2 * LIST * PAGE;
}

/* Whether a memfd of @size is large enough for the batch. */
bool has_batch(uint64_t size)
{
	return size >= BATCH * BATCH_SIZE;
}
