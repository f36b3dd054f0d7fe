/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A user without privileges who has the node: what such a process is, and calls that are mostly
 * wrong, through the node and on a buffer.
 */
#ifndef HOSTILE_H
#define HOSTILE_H

#include <grp.h>
#include <poll.h>
#include <sys/prctl.h>

#include "importer_test.h"

#define NOBODY		65534

/* Makes this process one of @uid, without capabilities, that ends with its parent. */
static inline void become(uid_t uid)
{
	CHILD_CHECK(!setgroups(0, NULL));
	CHILD_CHECK(!setresgid(uid, uid, uid) && !setresuid(uid, uid, uid));
	/* Changing the user ID turns both off. */
	CHILD_CHECK(!prctl(PR_SET_DUMPABLE, 1));
	CHILD_CHECK(!prctl(PR_SET_PDEATHSIG, SIGKILL));
}

/* Numbers that look random, and are the same each time. */
static inline uint64_t next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* A value that something checks: small, near a limit, or any. */
static inline uint64_t some_value(uint64_t *state)
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

/* Where arguments are: a struct that grows is written up to its end, and no further. */
static uint64_t words[4096];

#define SOME_WORDS	16

/* Calls, and for how long at most. */
struct budget {
	long calls;
	uint64_t seconds;
	/* The kernel log: they end with the first line of it. Or NULL. */
	const int *log;
};

/* What became of it: calls that were made, and those that succeeded. */
struct spent {
	long calls, succeeded;
};

static inline bool has_logged(const int *log)
{
	char line[8192];

	return log && read(*log, line, sizeof(line)) > 0;
}

/* Bad calls of the node. */
static inline void call_node(int dev, int memfd, struct budget budget, struct spent *spent)
{
	static const unsigned long numbers[] = {
		UDMABUF_CREATE, UDMABUF_CREATE_LIST, UDMABUF_CREATE_EXT, UDMABUF_QUERY,
		DMA_BUF_IOCTL_SYNC, 0,
	};
	uint64_t state = 0x2545f4914f6cdd1dULL, until = now_us() + budget.seconds * 1000000;

	while (spent->calls < budget.calls && (spent->calls % 64 || now_us() < until)) {
		uint32_t right = next(&state) % 2 ? memfd : UDMABUF_CREATE_EXT_SIZE_VER0;
		unsigned long number = numbers[next(&state) % ARRAY_SIZE(numbers)] ?: next(&state);
		int fd;

		for (size_t w = 0; w < SOME_WORDS; w++)
			words[w] = some_value(&state);
		/* Where descriptors, sizes of structs and addresses are looked for. */
		if (next(&state) % 2)
			*(uint32_t *)words = right;
		if (next(&state) % 2)
			words[2] = (uintptr_t)(words + 8);
		fd = ioctl(dev, number, next(&state) % 64 ? (void *)words : (void *)words[3]);
		spent->calls++;
		if (fd > 0) {
			spent->succeeded++;
			close(fd);
		}
		if (has_logged(budget.log))
			return;
	}
}

/* Bad ioctls of a buffer. Descriptors that are made are closed. */
static inline int call_ioctl(int buf, uint64_t *state)
{
	static const unsigned long numbers[] = {
		DMA_BUF_IOCTL_SYNC, DMA_BUF_SET_NAME_A, DMA_BUF_SET_NAME_B,
		DMA_BUF_IOCTL_EXPORT_SYNC_FILE, DMA_BUF_IOCTL_IMPORT_SYNC_FILE, 0,
	};
	unsigned long number = numbers[next(state) % ARRAY_SIZE(numbers)] ?: next(state);
	struct dma_buf_export_sync_file *out = (void *)words;
	int ret;

	/* Flags that are good, as often as not. */
	if (next(state) % 2)
		words[0] = (uint32_t)words[0] & 7;
	ret = ioctl(buf, number, next(state) % 16 ? (void *)words : (void *)words[3]);
	if (!ret && number == DMA_BUF_IOCTL_EXPORT_SYNC_FILE)
		close(out->fd);
	return ret;
}

/* An address that nothing else is near. */
#define ARENA	((char *)0x100000000000)

/* Maps, protects, moves and advises in ways that are mostly wrong. */
static inline int call_memory(int buf, uint64_t *state)
{
	size_t pg = page_size(), length = words[1] % (8 * pg);
	int flags = next(state) % 4 ? MAP_SHARED : words[3] % 4;
	/* The core logs private mappings that are too large, of whatever they are. */
	bool any_length = flags & MAP_SHARED && next(state) % 2;
	char *p = mmap(ARENA, any_length ? words[1] : length, words[2] % 16, flags, buf,
		       next(state) % 2 ? words[4] % (8 * pg) : words[4]);
	char *other;

	if (p == MAP_FAILED)
		return -1;
	mprotect(p + words[5] % pg, words[6] % (8 * pg), words[7] % 16);
	madvise(p, length, words[8] % 32);
	other = mremap(p, length, words[9] % (16 * pg), MREMAP_MAYMOVE);
	if (other != MAP_FAILED)
		munmap(other, words[9] % (16 * pg));
	munmap(ARENA, 64 * pg);
	return 0;
}

static inline int call_file(int buf, uint64_t *state)
{
	struct pollfd poll_it = { .fd = buf, .events = words[1] };

	switch (next(state) % 7) {
	case 0:
		return lseek(buf, words[1], words[2] % 8) < 0 ? -1 : 0;
	case 1:
		return pread(buf, words, 64, words[1]) < 0 ? -1 : 0;
	case 2:
		return pwrite(buf, words, 64, words[1]) < 0 ? -1 : 0;
	case 3:
		return fallocate(buf, words[1] % 128, words[2], words[3]);
	case 4:
		return ftruncate(buf, words[1]);
	case 5:
		return fcntl(buf, F_ADD_SEALS, words[1]);
	default:
		return poll(&poll_it, 1, 0) < 0 ? -1 : 0;
	}
}

/* Bad calls of all kinds on a buffer of four pages or so. */
static inline void call_buffer(int buf, struct budget budget, struct spent *spent)
{
	static int (*const kinds[])(int buf, uint64_t *state) = {
		call_ioctl, call_ioctl, call_memory, call_file,
	};
	uint64_t state = 0x9e3779b97f4a7c15ULL, until = now_us() + budget.seconds * 1000000;

	while (spent->calls < budget.calls && (spent->calls % 64 || now_us() < until)) {
		for (size_t w = 0; w < SOME_WORDS; w++)
			words[w] = some_value(&state);
		if (next(&state) % 2)
			words[0] = (uintptr_t)(words + 8);
		spent->succeeded += !kinds[next(&state) % ARRAY_SIZE(kinds)](buf, &state);
		spent->calls++;
	}
}

/* Lines that the kernel has logged since @fd was opened or read. The first is shown. */
static inline int log_lines(int fd)
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

/* Waits for @pid until @until, and kills it then. One call of the C driver may be longer still. */
static inline int wait_until(pid_t pid, uint64_t until)
{
	int status;

	for (;;) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
		if (now_us() > until + 5000000)
			return -ETIMEDOUT;
		if (now_us() > until)
			kill(pid, SIGKILL);
		sleep_us(10000);
	}
}

/*
 * Has a process of NOBODY make bad calls: of the node if @buf is negative, or else of @buf. It may
 * still be at it where this fails with -ETIMEDOUT.
 */
static inline int bad_calls(int dev, int memfd, int buf, struct budget budget, struct spent *result)
{
	struct spent *spent = mmap(NULL, page_size(), PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status;
	pid_t pid;

	if (spent == MAP_FAILED)
		return -errno;
	pid = fork();
	if (!pid) {
		become(NOBODY);
		if (buf < 0)
			call_node(dev, memfd, budget, spent);
		else
			call_buffer(buf, budget, spent);
		_exit(0);
	}
	status = pid < 0 ? -errno : wait_until(pid, now_us() + (budget.seconds + 5) * 1000000);
	*result = *spent;
	munmap(spent, page_size());
	return status;
}

#endif /* HOSTILE_H */
