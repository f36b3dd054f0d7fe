/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What every subject needs: the node, memfds, buffers, patterns and an eye on
 * the kernel log.
 *
 * Helpers return a descriptor or 0 on success and -errno on failure, so that a
 * test states the errno it wants in one line. They hold no assertions; tests do.
 *
 * Environment:
 *   UDMABUF_NODE    the device node, default /dev/udmabuf
 *   UDMABUF_MODULE  the name under /sys/module, default udmabuf_rs. "udmabuf" is
 *                   the C driver, which is built in: what needs rmmod is skipped
 *   UDMABUF_KO      the module file, default /udmabuf_rs.ko
 */
#ifndef UDMABUF_TEST_H
#define UDMABUF_TEST_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <linux/dma-buf.h>
#include <linux/falloc.h>
#include <linux/memfd.h>
#include <linux/udmabuf.h>

#include "kselftest_harness.h"

/* Seconds after which a test hangs. An emulated machine with KASAN takes long for some. */
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT	120

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE	0x0010
#endif
#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC		0x0020
#endif
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL		0x0008U
#endif
#ifndef MFD_EXEC
#define MFD_EXEC		0x0010U
#endif
#ifndef MADV_HWPOISON
#define MADV_HWPOISON		100
#endif
#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT		21
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE	23
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE		25
#endif

#define KIB		1024ULL
#define MIB		(1024 * KIB)
#define GIB		(1024 * MIB)
#define HUGE		(2 * MIB)
#define KNOWN_FLAGS	(UDMABUF_EXT_CLOEXEC | UDMABUF_EXT_READ_ONLY | UDMABUF_EXT_NO_CPU_MAP)
#define HUGE_DIR	"/sys/kernel/mm/hugepages/hugepages-2048kB/"

/* An argument, so that a bracket can be written in one line. */
#define SYNC_START_R	(DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ)
#define SYNC_START_W	(DMA_BUF_SYNC_START | DMA_BUF_SYNC_WRITE)
#define SYNC_START_RW	(DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW)
#define SYNC_END_R	(DMA_BUF_SYNC_END | DMA_BUF_SYNC_READ)
#define SYNC_END_W	(DMA_BUF_SYNC_END | DMA_BUF_SYNC_WRITE)
#define SYNC_END_RW	(DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW)

static inline size_t page_size(void)
{
	return sysconf(_SC_PAGESIZE);
}

static inline const char *env_or(const char *name, const char *otherwise)
{
	const char *value = getenv(name);

	return value && *value ? value : otherwise;
}

static inline const char *node_path(void)
{
	return env_or("UDMABUF_NODE", "/dev/udmabuf");
}

static inline const char *module_name(void)
{
	return env_or("UDMABUF_MODULE", "udmabuf_rs");
}

static inline const char *module_file(void)
{
	return env_or("UDMABUF_KO", "/udmabuf_rs.ko");
}

/* Loads our module; -errno as insmod would see it. */
static inline int module_load(const char *params)
{
	int fd = open(module_file(), O_RDONLY | O_CLOEXEC), err;

	if (fd < 0)
		return -errno;
	err = syscall(SYS_finit_module, fd, params, 0) ? -errno : 0;
	close(fd);
	return err;
}

static inline int module_unload(void)
{
	return syscall(SYS_delete_module, module_name(), O_NONBLOCK) ? -errno : 0;
}

static inline bool is_c_driver(void)
{
	return !strcmp(module_name(), "udmabuf");
}

static inline int node_open(void)
{
	int fd = open(node_path(), O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* Small files: /sys, /proc ------------------------------------------------- */

/* Returns the length, or -errno; @buf is a string either way. */
static inline ssize_t read_text(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t used = 0;
	ssize_t n;

	buf[0] = '\0';
	if (fd < 0)
		return -errno;
	while (used < size - 1) {
		n = read(fd, buf + used, size - 1 - used);
		if (n < 0) {
			n = -errno;
			close(fd);
			return n;
		}
		if (!n)
			break;
		used += n;
	}
	buf[used] = '\0';
	close(fd);
	return used;
}

static inline int write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int err = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		err = -errno;
	close(fd);
	return err;
}

/* A number in a file of its own, or -1. */
static inline long long read_number(const char *path)
{
	char buf[64];

	if (read_text(path, buf, sizeof(buf)) <= 0)
		return -1;
	return strtoll(buf, NULL, 0);
}

/* The number behind @key in a "key value" file such as /proc/vmstat, or -1. */
static inline long long read_key(const char *path, const char *key)
{
	size_t len = strlen(key);
	char line[512];
	long long value = -1;
	FILE *file = fopen(path, "re");

	if (!file)
		return -1;
	while (fgets(line, sizeof(line), file)) {
		if (strncmp(line, key, len) || !strchr(" \t:", line[len]))
			continue;
		value = strtoll(line + len + strspn(line + len, " \t:"), NULL, 0);
		break;
	}
	fclose(file);
	return value;
}

/*
 * Pages pinned just now by anyone, in the unit the kernel counts in. What the
 * processors have not added up yet is folded in first.
 */
static inline long long pins_outstanding(void)
{
	write_text("/proc/sys/vm/stat_refresh", "1");
	return read_key("/proc/vmstat", "nr_foll_pin_acquired") -
	       read_key("/proc/vmstat", "nr_foll_pin_released");
}

static inline long long mem_available(void)
{
	return read_key("/proc/meminfo", "MemAvailable") * 1024;
}

/* Pages the machine has handed out since it came up. */
static inline long long pages_allocated(void)
{
	static const char * const zones[] = {
		"pgalloc_dma", "pgalloc_dma32", "pgalloc_normal", "pgalloc_movable",
	};
	long long sum = 0;

	for (size_t i = 0; i < ARRAY_SIZE(zones); i++) {
		long long n = read_key("/proc/vmstat", zones[i]);

		sum += n > 0 ? n : 0;
	}
	return sum;
}

static inline int count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;
	int n = 0;

	if (!dir)
		return -errno;
	while ((entry = readdir(dir)))
		n += entry->d_name[0] != '.';
	closedir(dir);
	/* Without the descriptor that did the counting. */
	return n - 1;
}

static inline uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000ULL + ts.tv_nsec / 1000;
}

static inline void sleep_us(uint64_t us)
{
	struct timespec ts = { us / 1000000, us % 1000000 * 1000 };

	while (nanosleep(&ts, &ts) && errno == EINTR)
		;
}

/* Module parameters -------------------------------------------------------- */

static inline void param_path(char *buf, size_t size, const char *name)
{
	snprintf(buf, size, "/sys/module/%s/parameters/%s", module_name(), name);
}

static inline long long param_get(const char *name)
{
	char path[PATH_MAX];

	param_path(path, sizeof(path), name);
	return read_number(path);
}

static inline int param_set(const char *name, const char *value)
{
	char path[PATH_MAX];

	param_path(path, sizeof(path), name);
	return write_text(path, value);
}

static inline int param_set_number(const char *name, long long value)
{
	char text[32];

	snprintf(text, sizeof(text), "%lld", value);
	return param_set(name, text);
}

/* Kernel log --------------------------------------------------------------- */

/*
 * A descriptor that sees what the kernel logs from now on. Every fixture opens
 * one and fails the test that made the kernel complain.
 */
static inline int kmsg_open(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd >= 0)
		lseek(fd, 0, SEEK_END);
	return fd;
}

static inline bool kmsg_is_report(const char *line)
{
	static const char * const reports[] = {
		"WARNING:", "BUG:", "Oops", "KASAN", "UBSAN", "cut here",
		"Call Trace", "DMA-API", "general protection", "kernel BUG",
		"refcount_t", "unreferenced object", "Bad page",
		": bad pgd", ": bad p4d", ": bad pud", ": bad pmd",
	};
	size_t i;

	/* Many are in the kernel's own code; tools/vm/run tells by the stacks. */
	if (strstr(line, "BUG: KCSAN: "))
		return false;
	for (i = 0; i < ARRAY_SIZE(reports); i++)
		if (strstr(line, reports[i]))
			return true;
	return false;
}

/* Number of lines that report trouble since the last call; shows the first. */
static inline int kmsg_reports(int fd)
{
	char line[8192];
	int found = 0;
	ssize_t n;

	if (fd < 0)
		return 0;
	for (;;) {
		n = read(fd, line, sizeof(line) - 1);
		if (n < 0 && errno == EPIPE)
			continue;	/* overwritten: go on with the next */
		if (n <= 0)
			break;
		line[n] = '\0';
		if (!kmsg_is_report(line))
			continue;
		if (!found++)
			fprintf(stderr, "# kernel log: %.200s\n", strchr(line, ';') ?: line);
	}
	return found;
}

/* memfds ------------------------------------------------------------------- */

/* A memfd of @size bytes, with @mfd_flags on top of none and @seals added. */
static inline int memfd_make(uint64_t size, unsigned int mfd_flags, int seals)
{
	int fd = memfd_create("udmabuf-test", mfd_flags | MFD_CLOEXEC);
	int err;

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, size) || (seals && fcntl(fd, F_ADD_SEALS, seals))) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

/* The usual one: sealable, F_SEAL_SHRINK. */
static inline int memfd_new(uint64_t size)
{
	return memfd_make(size, MFD_ALLOW_SEALING, F_SEAL_SHRINK);
}

/* @page: the size of a huge page, which @size is a multiple of. */
static inline int memfd_of_huge_pages(size_t page, uint64_t size)
{
	unsigned int which = MFD_HUGETLB | __builtin_ctzll(page) << MFD_HUGE_SHIFT;

	return memfd_make(size, MFD_ALLOW_SEALING | which, F_SEAL_SHRINK);
}

static inline int memfd_new_huge(uint64_t size)
{
	return memfd_of_huge_pages(HUGE, size);
}

/* Another open file of the same memfd, with another access mode. */
static inline int fd_reopen(int fd, int flags)
{
	char path[64];
	int again;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, flags | O_CLOEXEC);
	return again < 0 ? -errno : again;
}

/*
 * The userspace view of "is anything pinned": F_SEAL_WRITE is refused with
 * EBUSY while anyone holds a page of the memfd. Adds the seal when it can.
 */
static inline int seal_write(int memfd)
{
	return fcntl(memfd, F_ADD_SEALS, F_SEAL_WRITE) ? -errno : 0;
}

/*
 * The last put of a file may still be running in another task after close(2)
 * or wait(2) returned here, so "unpinned" may take a moment; "pinned" may not.
 */
static inline int seal_write_soon(int memfd)
{
	int i, err = 0;

	for (i = 0; i < 20; i++) {
		err = seal_write(memfd);
		if (err != -EBUSY)
			break;
		sleep_us(50000);
	}
	return err;
}

/* The kernel's pool of huge pages of @page bytes. */
static inline void pool_path(char *path, size_t size, size_t page, const char *name)
{
	snprintf(path, size, "/sys/kernel/mm/hugepages/hugepages-%zukB/%s", page / 1024, name);
}

static inline long long pool(size_t page, const char *name)
{
	char path[PATH_MAX];

	pool_path(path, sizeof(path), page, name);
	return read_number(path);
}

static inline void pool_resize(size_t page, long long n)
{
	char path[PATH_MAX], text[32];

	snprintf(text, sizeof(text), "%lld", n);
	pool_path(path, sizeof(path), page, "nr_hugepages");
	write_text(path, text);
}

/* Makes sure that @n of them are free; false where they cannot be had. */
static inline bool pool_ready(size_t page, long long n)
{
	long long missing = n - (pool(page, "free_hugepages") - pool(page, "resv_hugepages"));

	if (pool(page, "free_hugepages") < 0)
		return false;
	if (missing > 0)
		pool_resize(page, pool(page, "nr_hugepages") + missing);
	return pool(page, "free_hugepages") - pool(page, "resv_hugepages") >= n;
}

static inline bool huge_ready(long n)
{
	return pool_ready(HUGE, n);
}

#define NEED_HUGE(n) do {						\
	if (!huge_ready(n))						\
		SKIP(return, "needs %d free huge pages of 2 MiB", (n));	\
} while (0)

/* Buffers ------------------------------------------------------------------ */

static inline int create_flags(int dev, int memfd, uint64_t offset, uint64_t size,
			       uint32_t flags)
{
	struct udmabuf_create create = {
		.memfd = memfd,
		.flags = flags,
		.offset = offset,
		.size = size,
	};
	int fd = ioctl(dev, UDMABUF_CREATE, &create);

	return fd < 0 ? -errno : fd;
}

static inline int create(int dev, int memfd, uint64_t offset, uint64_t size)
{
	return create_flags(dev, memfd, offset, size, UDMABUF_FLAGS_CLOEXEC);
}

/* @claimed is the count told to the kernel, @count what is behind it. */
static inline int create_list_raw(int dev, const struct udmabuf_create_item *items,
				  uint32_t count, uint32_t claimed, uint32_t flags)
{
	struct udmabuf_create_list *list;
	int fd;

	list = malloc(sizeof(*list) + (count + 1) * sizeof(list->list[0]));
	if (!list)
		return -ENOMEM;
	list->flags = flags;
	list->count = claimed;
	memcpy(list->list, items, count * sizeof(list->list[0]));
	fd = ioctl(dev, UDMABUF_CREATE_LIST, list);
	if (fd < 0)
		fd = -errno;
	free(list);
	return fd;
}

static inline int create_list(int dev, const struct udmabuf_create_item *items,
			      uint32_t count)
{
	return create_list_raw(dev, items, count, count, UDMABUF_FLAGS_CLOEXEC);
}

/* The strict call. Returns a descriptor or -errno. */
static inline int create_ext(int dev, struct udmabuf_create_ext *ext)
{
	int fd = ioctl(dev, UDMABUF_CREATE_EXT, ext);

	return fd < 0 ? -errno : fd;
}

static inline struct udmabuf_create_ext make_ext(const struct udmabuf_create_item *items,
						 uint32_t count, uint64_t flags)
{
	struct udmabuf_create_ext ext = {
		.size = sizeof(ext),
		.flags = flags,
		.items = (uintptr_t)items,
		.count = count,
	};

	return ext;
}

/* A buffer of one range. @name may be NULL. */
static inline int create_ext_one(int dev, int memfd, uint64_t offset, uint64_t size,
				 uint64_t flags, const char *name)
{
	struct udmabuf_create_item item = { .memfd = memfd, .offset = offset, .size = size };
	struct udmabuf_create_ext ext = make_ext(&item, 1, flags);

	ext.name = (uintptr_t)name;
	return create_ext(dev, &ext);
}

/* A populated memfd, listed as a whole in each of @items. */
static inline int listed_memfd(struct udmabuf_create_item *items, size_t count, size_t size)
{
	int memfd = memfd_new(size);

	for (size_t at = 0; at < size; at += page_size()) {
		if (pwrite(memfd, "x", 1, at) != 1)
			return -errno;
	}
	for (size_t i = 0; i < count; i++)
		items[i] = (struct udmabuf_create_item){ .memfd = memfd, .size = size };
	return memfd;
}

/* The name of a buffer as fdinfo shows it; NULL if it has none. */
static inline const char *buf_name(int fd, char *text, size_t size)
{
	char path[64], *name;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	if (read_text(path, text, size) <= 0)
		return NULL;
	name = strstr(text, "\nname:\t");
	if (!name)
		return NULL;
	name += strlen("\nname:\t");
	name[strcspn(name, "\n")] = '\0';
	return name;
}

/* DMA_BUF_IOCTL_SYNC as the contract wants it called: again after a signal. */
static inline int buf_sync(int fd, uint64_t flags)
{
	struct dma_buf_sync sync = { .flags = flags };

	while (ioctl(fd, DMA_BUF_IOCTL_SYNC, &sync)) {
		if (errno != EINTR && errno != EAGAIN)
			return -errno;
	}
	return 0;
}

static inline void *map_at(int fd, uint64_t offset, size_t size, int prot)
{
	return mmap(NULL, size, prot, MAP_SHARED, fd, offset);
}

static inline void *map_rw(int fd, size_t size)
{
	return map_at(fd, 0, size, PROT_READ | PROT_WRITE);
}

/* -errno of an mmap that should fail; 0, and unmapped, when it does not. */
static inline int map_error(int fd, uint64_t offset, size_t size, int prot, int flags)
{
	void *p = mmap(NULL, size, prot, flags, fd, offset);

	if (p == MAP_FAILED)
		return -errno;
	munmap(p, size);
	return 0;
}

static inline uint64_t buf_size(int fd)
{
	struct stat st;

	return fstat(fd, &st) ? 0 : (uint64_t)st.st_size;
}

/* Mappings: what touching them raises, and what they cost ------------------- */

static sigjmp_buf fault_jump;
static volatile sig_atomic_t fault_signal, fault_code;

static inline void on_fault(int sig, siginfo_t *info, void *context)
{
	fault_signal = sig;
	fault_code = info->si_code;
	siglongjmp(fault_jump, 1);
}

/* The signal that reading (or writing) one byte at @p raises, 0 for none. */
static inline int touch(volatile char *p, bool write)
{
	struct sigaction act = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };
	struct sigaction segv, bus;

	fault_signal = 0;
	sigaction(SIGSEGV, &act, &segv);
	sigaction(SIGBUS, &act, &bus);
	if (!sigsetjmp(fault_jump, 1)) {
		if (write)
			*p = 'w';
		else
			(void)*p;
	}
	sigaction(SIGSEGV, &segv, NULL);
	sigaction(SIGBUS, &bus, NULL);
	return fault_signal;
}

/* Closes @buf, the answer of a call. Returns 0, or the error if it is none. */
static inline int closed(int buf)
{
	return buf < 0 ? buf : close(buf);
}

/* Returns a property that UDMABUF_CREATE_EXT promises with @flags and @buf lacks, or NULL. */
static inline const char *broken_promise(int buf, uint64_t flags, uint64_t size)
{
	bool read_only = flags & UDMABUF_EXT_READ_ONLY, unmapped = flags & UDMABUF_EXT_NO_CPU_MAP;
	int read = unmapped ? -EACCES : 0, write = unmapped || read_only ? -EACCES : 0;
	char *p;

	if (fcntl(buf, F_GETFD) != (flags & UDMABUF_EXT_CLOEXEC ? FD_CLOEXEC : 0))
		return "FD_CLOEXEC";
	if ((fcntl(buf, F_GETFL) & O_ACCMODE) != (read_only ? O_RDONLY : O_RDWR))
		return "access mode";
	if (buf_size(buf) != size || lseek(buf, 0, SEEK_END) != (off_t)size)
		return "size";
	if (map_error(buf, 0, size, PROT_READ, MAP_SHARED) != read)
		return "mmap with PROT_READ";
	if (map_error(buf, 0, size, PROT_WRITE, MAP_SHARED) != write)
		return "mmap with PROT_WRITE";
	if (map_error(buf, 0, size, PROT_READ | PROT_WRITE, MAP_SHARED) != write)
		return "mmap with both";
	if (!read) {
		p = map_at(buf, 0, size, PROT_READ);
		if (touch(p + size - 1, false) || touch(p, true) != SIGSEGV)
			return "bytes of the mapping";
		munmap(p, size);
	}
	return NULL;
}

/* Page tables in KiB: PFN mappings do not show up as resident memory. */
static inline long long vm_pte(void)
{
	return read_key("/proc/self/status", "VmPTE");
}

/* Returns the end of @pages readable pages, behind which nothing can be accessed, or NULL. */
static inline char *end_of_memory(size_t pages)
{
	size_t pg = page_size();
	char *p = mmap(NULL, (pages + 1) * pg, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED || mprotect(p + pages * pg, pg, PROT_NONE))
		return NULL;
	return p + pages * pg;
}

/* Patterns: every word tells where it belongs ------------------------------ */

static inline uint64_t word_at(uint64_t seed, uint64_t index)
{
	uint64_t x = (seed + 1) * 0x9e3779b97f4a7c15ULL + index;

	x ^= x >> 29;
	x *= 0xbf58476d1ce4e5b9ULL;
	return x ^ (x >> 32);
}

static inline void fill(void *mem, size_t size, uint64_t seed)
{
	uint64_t *words = mem;
	size_t i;

	for (i = 0; i < size / sizeof(*words); i++)
		words[i] = word_at(seed, i);
}

/* Bytes up to the first that is wrong: @size when all is well. */
static inline size_t matches(const void *mem, size_t size, uint64_t seed)
{
	const volatile uint64_t *words = mem;
	size_t i;

	for (i = 0; i < size / sizeof(*words); i++)
		if (words[i] != word_at(seed, i))
			break;
	return i * sizeof(*words);
}

/* Bytes up to the first that is not zero. */
static inline size_t zero_up_to(const void *mem, size_t size)
{
	const volatile uint64_t *words = mem;
	size_t i;

	for (i = 0; i < size / sizeof(*words); i++)
		if (words[i])
			break;
	return i * sizeof(*words);
}

/* One word a page is enough where the question is which page it is. */
static inline void tag_pages(void *mem, size_t pages, uint64_t seed)
{
	size_t i;

	for (i = 0; i < pages; i++)
		*(volatile uint64_t *)((char *)mem + i * page_size()) = word_at(seed, i);
}

static inline uint64_t page_tag(const void *mem, size_t page)
{
	return *(const volatile uint64_t *)((const char *)mem + page * page_size());
}

/* Descriptors between processes -------------------------------------------- */

static inline int send_fds(int sock, const int *fds, int n)
{
	char control[CMSG_SPACE(8 * sizeof(int))] = {};
	char byte = 'f';
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = CMSG_SPACE(n * sizeof(int)),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(n * sizeof(int));
	memcpy(CMSG_DATA(cmsg), fds, n * sizeof(int));
	return sendmsg(sock, &msg, 0) == 1 ? 0 : -errno;
}

static inline int recv_fds(int sock, int *fds, int n)
{
	char control[CMSG_SPACE(8 * sizeof(int))] = {};
	char byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg;

	if (recvmsg(sock, &msg, MSG_CMSG_CLOEXEC) != 1)
		return -EPIPE;
	cmsg = CMSG_FIRSTHDR(&msg);
	if (!cmsg || cmsg->cmsg_type != SCM_RIGHTS ||
	    cmsg->cmsg_len != CMSG_LEN(n * sizeof(int)))
		return -EPROTO;
	memcpy(fds, CMSG_DATA(cmsg), n * sizeof(int));
	return 0;
}

/* One byte each way keeps two processes in step. */
static inline int step_send(int sock)
{
	return write(sock, "s", 1) == 1 ? 0 : -EPIPE;
}

static inline int step_wait(int sock)
{
	char byte;

	return read(sock, &byte, 1) == 1 ? 0 : -EPIPE;
}

/* Exit status of @pid: its code, or -signal. */
static inline int wait_status(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1000;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* In a child: leave with a code the parent can show, as assertions cannot. */
#define CHILD_CHECK(cond) do {						\
	if (!(cond)) {							\
		fprintf(stderr, "# child, %s:%d: %s\n", __FILE__,	\
			__LINE__, #cond);				\
		_exit(100);						\
	}								\
} while (0)

/* The fixture of every subject --------------------------------------------- */

#define UDMABUF_FIXTURE_UNLESS(unwanted, why, subject)			\
FIXTURE(subject)							\
{									\
	int dev;							\
	int kmsg;							\
};									\
FIXTURE_SETUP(subject)							\
{									\
	if (unwanted)							\
		SKIP(return, "%s", why);				\
	self->kmsg = kmsg_open();					\
	self->dev = node_open();					\
	ASSERT_LE(0, self->dev)						\
		TH_LOG("%s: %s", node_path(), strerror(-self->dev));	\
}									\
FIXTURE_TEARDOWN(subject)						\
{									\
	EXPECT_EQ(0, kmsg_reports(self->kmsg));				\
	close(self->kmsg);						\
	close(self->dev);						\
}									\
struct subject##_needs_semicolon

#define UDMABUF_FIXTURE(subject)	UDMABUF_FIXTURE_UNLESS(false, "", subject)

/* For calls that the C driver lacks. */
#define UDMABUF_OWN_FIXTURE(subject)					\
	UDMABUF_FIXTURE_UNLESS(is_c_driver(), "the C driver has no such call", subject)

#endif /* UDMABUF_TEST_H */
