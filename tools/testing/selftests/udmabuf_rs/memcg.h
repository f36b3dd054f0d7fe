/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A memory cgroup with a limit, and memory that takes long tables.
 */
#ifndef MEMCG_H
#define MEMCG_H

#include "importer_test.h"

#define CGROUPS		"/sys/fs/cgroup/"
#define GROUP		CGROUPS "udmabuf-test"

/* Bytes that a process needs by itself. */
#define SLACK		(192 * KIB)

/*
 * A memfd of which no two successive pages are contiguous in memory. The kernel
 * mostly hands out contiguous pages one after the other: they go to distant places
 * of the file.
 */
static inline int scattered_memfd(size_t pages)
{
	size_t pg = page_size(), i;
	int memfd = memfd_new(pages * pg);

	for (i = 0; memfd >= 0 && i < pages; i++) {
		if (pwrite(memfd, "s", 1, i * 4097 % pages * pg) == 1)
			continue;
		close(memfd);
		return -ENOMEM;
	}
	return memfd;
}

static inline bool booted_with(const char *word)
{
	char cmdline[4096];

	read_text("/proc/cmdline", cmdline, sizeof(cmdline));
	return strstr(cmdline, word);
}

static inline void group_remove(void)
{
	for (int i = 0; i < 20 && rmdir(GROUP) && errno == EBUSY; i++)
		sleep_us(50000);
}

/* Returns NULL, or the reason why there is no cgroup. */
static inline const char *group_make(void)
{
	write_text(CGROUPS "cgroup.subtree_control", "+memory");
	group_remove();
	if (mkdir(GROUP, 0755) || access(GROUP "/memory.max", W_OK))
		return "no memory controller in " CGROUPS;
	return booted_with("nokmem") ? "the memory of the kernel is not charged here" : NULL;
}

/* Number of processes that were killed because the cgroup was full. */
static inline long long kills(void)
{
	return read_key(GROUP "/memory.events", "oom_kill");
}

/*
 * Runs @work in a process in the cgroup, which is limited to @max bytes, or not at
 * all if that is 0. Returns the result of @work, 0 or -errno, or -ENOTRECOVERABLE if
 * the process was killed.
 */
static inline int in_group(uint64_t max, int (*work)(void *), void *arg)
{
	char text[32];
	pid_t pid;
	int err;

	snprintf(text, sizeof(text), "%llu", (unsigned long long)max);
	err = write_text(GROUP "/memory.max", max ? text : "max");
	if (err)
		return err;
	pid = fork();
	if (pid < 0)
		return -errno;
	if (!pid) {
		err = write_text(GROUP "/cgroup.procs", "0");
		_exit(-(err ?: work(arg)));
	}
	err = wait_status(pid);
	return err < 0 ? -ENOTRECOVERABLE : -err;
}

#endif /* MEMCG_H */
