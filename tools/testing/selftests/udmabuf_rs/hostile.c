// SPDX-License-Identifier: GPL-2.0
/*
 * hostile: what a user without privileges, who has the node, can do to others.
 */
#include <grp.h>

#include "udmabuf_test.h"

#define OTHER_USER	65534
#define CALLS		1000000

UDMABUF_FIXTURE(hostile);

/* Numbers that look random, and are the same each time. */
static uint64_t next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* A value that something checks: small, near a limit, or any. */
static uint64_t some_value(uint64_t *state)
{
	uint64_t any = next(state);

	switch (any % 8) {
	case 0: return 0;
	case 1: return any >> 32 & 7;
	case 2: return -1ULL;
	case 3: return 1ULL << (any >> 32 & 63);
	case 4: return page_size();
	case 5: return -(uint64_t)page_size();
	case 6: return (any >> 32) * page_size();
	default: return any >> 3;
	}
}

/* Makes calls that are mostly wrong. Returns the number of those that made a buffer. */
static long make_calls(int dev, int memfd, long calls)
{
	static const unsigned long numbers[] = {
		UDMABUF_CREATE, UDMABUF_CREATE_LIST, UDMABUF_CREATE_EXT, UDMABUF_QUERY,
		DMA_BUF_IOCTL_SYNC, 0,
	};
	uint64_t state = 0x2545f4914f6cdd1dULL, words[16];
	long made = 0;

	for (long i = 0; i < calls; i++) {
		uint32_t right = next(&state) % 2 ? memfd : UDMABUF_CREATE_EXT_SIZE_VER0;
		unsigned long number = numbers[next(&state) % ARRAY_SIZE(numbers)] ?: next(&state);
		int fd;

		for (size_t w = 0; w < ARRAY_SIZE(words); w++)
			words[w] = some_value(&state);
		/* Where descriptors, sizes of structs and addresses are looked for. */
		if (next(&state) % 2)
			*(uint32_t *)words = right;
		if (next(&state) % 2)
			words[2] = (uintptr_t)(words + 8);
		fd = ioctl(dev, number, next(&state) % 64 ? (void *)words : (void *)words[3]);
		if (fd > 0) {
			made++;
			close(fd);
		}
	}
	return made;
}

/* Lines that the kernel has logged since @fd was opened or read. */
static int log_lines(int fd)
{
	char line[8192];
	int lines = 0;
	ssize_t n;

	while ((n = read(fd, line, sizeof(line) - 1)) > 0 || (n < 0 && errno == EPIPE)) {
		if (n <= 0)
			continue;
		line[n] = '\0';
		if (!lines++)
			fprintf(stderr, "# kernel log: %.200s\n", line);
	}
	return lines;
}

TEST_F_TIMEOUT(hostile, million_bad_calls_log_nothing, 300)
{
	int log = kmsg_open(), memfd = memfd_new(page_size()), pipes[2];
	long made = -1;
	pid_t pid;

	ASSERT_LE(0, log);
	ASSERT_EQ(0, pipe(pipes));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		CHILD_CHECK(!setgroups(0, NULL) && !setgid(OTHER_USER) && !setuid(OTHER_USER));
		made = make_calls(self->dev, memfd, CALLS);
		CHILD_CHECK(write(pipes[1], &made, sizeof(made)) == sizeof(made));
		_exit(0);
	}
	EXPECT_EQ(0, wait_status(pid));
	ASSERT_EQ(sizeof(made), read(pipes[0], &made, sizeof(made)));
	/* Some were good: the others have come as far as they could. */
	EXPECT_LT(0, made);
	EXPECT_EQ(0, log_lines(log));
	EXPECT_EQ(0, seal_write_soon(memfd));
}

TEST_HARNESS_MAIN
