/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Failures on demand: the nth allocation or user copy of the calling task, all allocations after
 * some, or the charges of a memory cgroup.
 *
 * Needs a kernel with fault injection. Restartable sequences, where a failing user copy kills,
 * must be off: GLIBC_TUNABLES=glibc.pthread.rseq=0, which faults_prepare() sees to.
 */
#ifndef FAULTS_H
#define FAULTS_H

#include "importer_test.h"
#include "memcg.h"

#define DEBUGFS		"/sys/kernel/debug/"
#define TUNABLE		"glibc.pthread.rseq=0"

/* More often than anything fails. */
#define MANY_TIMES	"1000000"

/* Where modules lie; on arm64, with addresses of 48 bits. */
#ifdef __aarch64__
#define MODULES_START	0xffff800000000000ULL
#define MODULES_END	0xffff800080000000ULL
#else
#define MODULES_START	0xffffffffa0000000ULL
#define MODULES_END	0xffffffffff000000ULL
#endif

static const char * const fault_kinds[] = { "failslab", "fail_page_alloc", "fail_usercopy" };

static inline int fault_setting(const char *kind, const char *name, const char *value)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), DEBUGFS "%s/%s", kind, name);
	return write_text(path, value);
}

/* Addresses of the text symbol @name, from its start up to the next symbol. */
static inline bool symbol_range(const char *name, uint64_t *start, uint64_t *end)
{
	FILE *file = fopen("/proc/kallsyms", "re");
	char line[512], symbol[256];
	unsigned long long address;

	*start = *end = 0;
	/* Twice, as the symbols need not be in order. */
	for (int pass = 0; file && pass < 2; pass++) {
		rewind(file);
		while (fgets(line, sizeof(line), file)) {
			if (sscanf(line, "%llx %*c %255s", &address, symbol) != 2)
				continue;
			if (!pass && !strcmp(symbol, name))
				*start = address;
			else if (pass && address > *start && (!*end || address < *end))
				*end = address;
		}
	}
	if (file)
		fclose(file);
	return *start && *end;
}

/* Excludes what @name, a function of the kernel, has called. */
static inline bool fault_except_in(const char *kind, const char *name)
{
	uint64_t start, end;
	char text[2][32];

	if (!symbol_range(name, &start, &end))
		return false;
	snprintf(text[0], sizeof(text[0]), "0x%llx", (unsigned long long)start);
	snprintf(text[1], sizeof(text[1]), "0x%llx", (unsigned long long)end);
	return !fault_setting(kind, "reject-start", text[0]) &&
	       !fault_setting(kind, "reject-end", text[1]);
}

/* Has allocations of all slab caches fail but those excluded below. */
static inline bool fault_caches(void)
{
	static const char * const except[] = { "kmemleak_object", "radix_tree_node" };
	DIR *dir = opendir("/sys/kernel/slab");
	struct dirent *entry;
	char path[PATH_MAX];

	while (dir && (entry = readdir(dir))) {
		snprintf(path, sizeof(path), "/sys/kernel/slab/%s/failslab", entry->d_name);
		if (entry->d_name[0] != '.')
			write_text(path, "1");
	}
	if (dir)
		closedir(dir);
	for (size_t i = 0; i < ARRAY_SIZE(except); i++) {
		snprintf(path, sizeof(path), "/sys/kernel/slab/%s/failslab", except[i]);
		if (write_text(path, "0"))
			return false;
	}
	return dir && !fault_setting("failslab", "cache-filter", "Y");
}

/*
 * Has every allocation and user copy counted, whatever may wait or lies in high memory, and no
 * failure logged. Excluded are allocations
 * - of kmemleak, which has a reserve, and whose objects would double the points;
 * - of nodes of radix trees, as the DMA debug API disables itself without;
 * - of pages and sheaves for slab caches: whoever wants an object of them fails by failslab
 *   already, and it depends on the past when one is needed, which shifts all other points.
 * Returns NULL, or the reason why there are no faults.
 */
static inline const char *faults_set_up(void)
{
	static const char * const settings[][3] = {
		{ "failslab", "ignore-gfp-wait", "N" },
		{ "fail_page_alloc", "ignore-gfp-wait", "N" },
		{ "fail_page_alloc", "ignore-gfp-highmem", "N" },
		{ "fail_page_alloc", "min-order", "0" },
	};

	if (access("/proc/self/fail-nth", W_OK))
		return "needs a kernel with fault injection";
	for (size_t i = 0; i < ARRAY_SIZE(settings); i++)
		if (fault_setting(settings[i][0], settings[i][1], settings[i][2]))
			return "needs failslab and fail_page_alloc in debugfs";
	for (size_t i = 0; i < ARRAY_SIZE(fault_kinds); i++)
		if (fault_setting(fault_kinds[i], "probability", "0") ||
		    fault_setting(fault_kinds[i], "times", "-1") ||
		    fault_setting(fault_kinds[i], "verbose", env_or("FAULTS_VERBOSE", "0")))
			return "needs fail_usercopy in debugfs";
	if (!fault_except_in("failslab", "__alloc_empty_sheaf") ||
	    (!fault_except_in("fail_page_alloc", "allocate_slab") &&
	     !fault_except_in("fail_page_alloc", "new_slab")))
		return "needs the stacktrace filter, and symbols of the kernel";
	if (!fault_caches())
		return "needs /sys/kernel/slab";
	return NULL;
}

/* Addresses of the code of the module @name. */
static inline bool module_range(const char *name, uint64_t *start, uint64_t *end)
{
	FILE *file = fopen("/proc/kallsyms", "re");
	char line[512], module[256], type;
	unsigned long long address;

	*start = UINT64_MAX;
	*end = 0;
	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%llx %c %*s [%255[^]]]", &address, &type, module) != 3 ||
		    strcmp(module, name) || (type != 't' && type != 'T'))
			continue;
		*start = address < *start ? address : *start;
		*end = address > *end ? address : *end;
	}
	if (file)
		fclose(file);
	return *end;
}

/* Counts only what has a function from @start up to @end among its callers. */
static inline void faults_called_from(uint64_t start, uint64_t end)
{
	char text[2][32];

	snprintf(text[0], sizeof(text[0]), "0x%llx", (unsigned long long)start);
	snprintf(text[1], sizeof(text[1]), "0x%llx", (unsigned long long)end);
	for (size_t i = 0; i < ARRAY_SIZE(fault_kinds); i++) {
		fault_setting(fault_kinds[i], "require-start", text[0]);
		fault_setting(fault_kinds[i], "require-end", text[1]);
	}
}

static const char *faults_missing;

/* Before main(): what tests inherit. */
__attribute__((constructor)) static void faults_prepare(int argc, char **argv, char **envp)
{
	if (!strstr(env_or("GLIBC_TUNABLES", ""), TUNABLE)) {
		setenv("GLIBC_TUNABLES", TUNABLE, 1);
		execv("/proc/self/exe", argv);
		_exit(127);
	}
	faults_missing = faults_set_up();
}

/* A descriptor through which the calling process makes its own calls fail. */
static inline int fail_nth_open(void)
{
	return open("/proc/self/fail-nth", O_RDWR | O_CLOEXEC);
}

/* From the end of this call on, the @n th allocation or user copy fails, once. */
static inline void fail_nth_start(int fd, unsigned int n)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%u", n);

	while (pwrite(fd, text, len, 0) != len)
		;
}

/* Ends it. Returns whether one has failed. These calls copy as well, and may be the nth. */
static inline bool fail_nth_end(int fd)
{
	char text[16] = "";
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

	while (pwrite(fd, "0", 1, 0) != 1)
		;
	return n > 0 && !strtoul(text, NULL, 10);
}

/* Runs @work with the @n th allocation or user copy failing; *@failed: whether there was one. */
static inline int with_nth_failing(int fd, unsigned int n, int (*work)(void *), void *arg,
				   bool *failed)
{
	int err;

	fail_nth_start(fd, n);
	err = work(arg);
	*failed = fail_nth_end(fd);
	return err;
}

/* From now on, tasks with make-it-fail get @amount bytes or pages of @kind, and then no more. */
static inline int shortage_set(const char *kind, unsigned int amount)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", amount);
	return fault_setting(kind, "space", text) ?:
	       fault_setting(kind, "times", MANY_TIMES) ?:
	       fault_setting(kind, "task-filter", "Y") ?:
	       fault_setting(kind, "probability", "100");
}

/* Ends it. Returns whether anything has failed. */
static inline bool shortage_unset(const char *kind)
{
	char path[PATH_MAX];
	bool failed;

	snprintf(path, sizeof(path), DEBUGFS "%s/times", kind);
	failed = read_number(path) < atoi(MANY_TIMES);
	fault_setting(kind, "probability", "0");
	fault_setting(kind, "space", "0");
	fault_setting(kind, "times", "-1");
	return failed;
}

/* Runs @work when there is no more than @amount bytes (failslab) or pages (fail_page_alloc). */
static inline int with_shortage(int fd, const char *kind, unsigned int amount,
				int (*work)(void *), void *arg, bool *failed)
{
	int err = shortage_set(kind, amount);

	if (err)
		return err;
	if (pwrite(fd, "1", 1, 0) != 1)
		return -EIO;
	err = work(arg);
	if (pwrite(fd, "0", 1, 0) != 1)
		return -EIO;
	*failed = shortage_unset(kind);
	return err;
}

/*
 * As kmsg_reports(), but neither the stack that follows any report, nor the one that vmalloc() and
 * the memory cgroup show when there is no memory, nor WARNs in @expected, which may be NULL.
 */
static inline int reports_but(int fd, const char *expected)
{
	char line[8192];
	int found = 0;
	ssize_t n;

	for (;;) {
		n = read(fd, line, sizeof(line) - 1);
		if (n < 0 && errno == EPIPE)
			continue;
		if (n <= 0)
			break;
		line[n] = '\0';
		if (!kmsg_is_report(line) || strstr(line, "Call Trace") || strstr(line, "cut here"))
			continue;
		if (expected && strstr(line, expected))
			continue;
		if (!found++)
			fprintf(stderr, "# kernel log: %.200s\n", strchr(line, ';') ?: line);
	}
	return found;
}

/* What has no answer: the process was killed. */
#define KILLED	(-ENOTRECOVERABLE)

/* Two sides of a test of charges, in memory that they share. */
struct charged {
	volatile int ready, go, done, result;
};

/* Waits until the other side has set *@flag, or @pid has ended if that is not 0. */
static inline bool wait_flag(volatile int *flag, pid_t pid)
{
	for (int i = 0; i < 10000 && !*flag; i++) {
		siginfo_t info = {};

		if (pid && !waitid(P_PID, pid, &info, WEXITED | WNOHANG | WNOWAIT) && info.si_pid)
			break;
		sleep_us(1000);
	}
	return *flag;
}

/* Sets a limit of the cgroup to what it uses and @more bytes. */
static inline void set_limit(const char *name, long long more)
{
	char path[PATH_MAX], text[32];

	snprintf(path, sizeof(path), GROUP "/%s", name);
	snprintf(text, sizeof(text), "%lld", read_number(GROUP "/memory.current") + more);
	write_text(path, text);
}

/*
 * Runs @work once to warm up, then with room for @pages more pages in its memory cgroup, in a
 * process of its own, whose descriptors go with it. @undo is called in between. Returns the
 * second result, KILLED if there was none, or -EPROTO if the first failed.
 */
static inline int with_room_for(unsigned int pages, int (*work)(void *), void (*undo)(void *),
				void *arg)
{
	struct charged *shared = mmap(NULL, page_size(), PROT_READ | PROT_WRITE,
				      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid;
	int err;

	*shared = (struct charged){ .result = -EPROTO };
	write_text(GROUP "/memory.max", "max");
	pid = fork();
	if (pid < 0)
		return -errno;
	if (!pid) {
		err = write_text(GROUP "/cgroup.procs", "0");
		if (!err)
			err = work(arg);
		if (err)
			_exit(1);
		undo(arg);
		shared->ready = 1;
		wait_flag(&shared->go, 0);
		err = work(arg);
		shared->result = err;
		shared->done = 1;
		wait_flag(&shared->go, 0);
		_exit(0);
	}
	if (wait_flag(&shared->ready, pid)) {
		/* Below what is used, this has all processors give back what they have in store. */
		set_limit("memory.high", -(long long)page_size());
		write_text(GROUP "/memory.high", "max");
		set_limit("memory.max", pages * (long long)page_size());
		shared->result = KILLED;
		shared->go = 1;
		if (wait_flag(&shared->done, pid))
			write_text(GROUP "/memory.max", "max");
	}
	waitpid(pid, NULL, 0);
	err = shared->result;
	munmap(shared, page_size());
	return err;
}

#endif /* FAULTS_H */
