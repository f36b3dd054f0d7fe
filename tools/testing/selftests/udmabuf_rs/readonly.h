/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The ways to write to a buffer, and whose they are: for readonly.c. Each returns 0
 * if it has succeeded, or -errno. A way that stores a byte stores it in the first page.
 */
#ifndef READONLY_H
#define READONLY_H

#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <grp.h>

#include "importer_test.h"

#define OTHER_USER	65534
/* An errno of a way that need not be a certain one. */
#define ANY		1000

/* A buffer, and the descriptors that a way may need. */
struct subject {
	int buf, importer;
	size_t size;
};

/* Mappings ------------------------------------------------------------------ */

/* Stores a byte. -EFAULT if that raises a signal. */
static int store(char *b)
{
	return touch(b, true) ? -EFAULT : 0;
}

/* Does something with a page of @fd that is mapped, writable if that is allowed. */
static int on_page(int fd, uint64_t offset, int (*act)(char *b))
{
	char *b = map_at(fd, offset, page_size(), PROT_READ | PROT_WRITE);
	int err;

	if (b == MAP_FAILED)
		b = map_at(fd, offset, page_size(), PROT_READ);
	if (b == MAP_FAILED)
		return -errno;
	err = act(b);
	munmap(b, page_size());
	return err;
}

static int map_and_store(int fd, uint64_t offset)
{
	char *b = map_at(fd, offset, page_size(), PROT_READ | PROT_WRITE);
	int err;

	if (b == MAP_FAILED)
		return -errno;
	err = store(b);
	munmap(b, page_size());
	return err;
}

static int make_writable_and_store(char *b)
{
	/* Its page table entry is there already. */
	touch(b, false);
	return mprotect(b, page_size(), PROT_READ | PROT_WRITE) ? -errno : store(b);
}

static int protect_and_store(int fd, uint64_t offset)
{
	char *b = map_at(fd, offset, page_size(), PROT_READ);
	int err;

	if (b == MAP_FAILED)
		return -errno;
	err = make_writable_and_store(b);
	munmap(b, page_size());
	return err;
}

static int by_mmap(struct subject *s)
{
	return map_and_store(s->buf, 0);
}

static int by_mprotect(struct subject *s)
{
	return protect_and_store(s->buf, 0);
}

static int move_and_store(char *b)
{
	size_t pg = page_size();
	char *room = mmap(NULL, pg, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *moved;
	int err;

	if (room == MAP_FAILED)
		return -errno;
	moved = mremap(b, pg, pg, MREMAP_MAYMOVE | MREMAP_FIXED, room);
	if (moved == MAP_FAILED)
		return -errno;
	err = make_writable_and_store(moved);
	munmap(moved, pg);
	return err;
}

static int by_moved_mapping(struct subject *s)
{
	return on_page(s->buf, 0, move_and_store);
}

static int by_plain_store(struct subject *s)
{
	return on_page(s->buf, 0, store);
}

static int by_private_mapping(struct subject *s)
{
	return map_error(s->buf, 0, page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE);
}

static int store_in_a_child(char *b)
{
	pid_t pid = fork();

	if (!pid)
		_exit(-make_writable_and_store(b));
	return pid < 0 ? -EAGAIN : -wait_status(pid);
}

static int by_inherited_mapping(struct subject *s)
{
	return on_page(s->buf, 0, store_in_a_child);
}

/* A driver that maps the buffer for whoever maps the driver's node, which is open O_RDWR. */
static int by_driver_mmap(struct subject *s)
{
	int err = importer_slot(s->importer, IMPORTER_MMAP, s->buf);

	return err ?: map_and_store(s->importer, IMPORTER_MMAP_OFFSET(IMPORTER_SLOTS));
}

static int by_driver_mprotect(struct subject *s)
{
	int err = importer_slot(s->importer, IMPORTER_MMAP, s->buf);

	return err ?: protect_and_store(s->importer, IMPORTER_MMAP_OFFSET(IMPORTER_SLOTS));
}

/* Descriptors --------------------------------------------------------------- */

static int by_reopening(struct subject *s)
{
	int fd = fd_reopen(s->buf, O_RDWR), err;

	if (fd < 0)
		return fd;
	err = map_and_store(fd, 0);
	close(fd);
	return err;
}

static int open_map_file_and_store(char *b)
{
	char path[100];
	int fd, err;

	snprintf(path, sizeof(path), "/proc/self/map_files/%lx-%lx", (unsigned long)b,
		 (unsigned long)b + page_size());
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	err = map_and_store(fd, 0);
	close(fd);
	return err;
}

static int by_map_files(struct subject *s)
{
	return on_page(s->buf, 0, open_map_file_and_store);
}

static int by_changed_flags(struct subject *s)
{
	int fd = dup(s->buf), err;

	err = fcntl(fd, F_SETFL, O_RDWR) ? -errno : 0;
	err = err ?: map_and_store(fd, 0);
	close(fd);
	return err;
}

static int by_write(struct subject *s)
{
	return pwrite(s->buf, "w", 1, 0) == 1 ? 0 : -errno;
}

static int by_ftruncate(struct subject *s)
{
	return ftruncate(s->buf, 0) ? -errno : 0;
}

static int by_punching_a_hole(struct subject *s)
{
	int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;

	return fallocate(s->buf, mode, 0, page_size()) ? -errno : 0;
}

/* Other processes, and the kernel on behalf of one --------------------------- */

static int proc_mem_store(char *b)
{
	int mem = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	int err;

	if (mem < 0)
		return -errno;
	err = pwrite(mem, "w", 1, (uintptr_t)b) == 1 ? 0 : -errno;
	close(mem);
	return err;
}

static int by_proc_mem(struct subject *s)
{
	return on_page(s->buf, 0, proc_mem_store);
}

static int by_proc_mem_of_driver_mapping(struct subject *s)
{
	int err = importer_slot(s->importer, IMPORTER_MMAP, s->buf);

	return err ?: on_page(s->importer, IMPORTER_MMAP_OFFSET(IMPORTER_SLOTS), proc_mem_store);
}

static int poke(char *b)
{
	int status, err = -ECHILD;
	pid_t pid = fork();

	if (!pid) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		_exit(0);
	}
	if (pid < 0)
		return -errno;
	if (waitpid(pid, &status, 0) == pid && WIFSTOPPED(status))
		err = ptrace(PTRACE_POKEDATA, pid, b, 'w') ? -errno : 0;
	kill(pid, SIGKILL);
	wait_status(pid);
	return err;
}

static int by_ptrace(struct subject *s)
{
	return on_page(s->buf, 0, poke);
}

static int writev_store(char *b)
{
	char byte = 'w';
	struct iovec from = { &byte, 1 }, to = { b, 1 };

	return process_vm_writev(getpid(), &from, 1, &to, 1, 0) == 1 ? 0 : -errno;
}

static int by_process_vm_writev(struct subject *s)
{
	return on_page(s->buf, 0, writev_store);
}

/* A system call that stores what it has read. */
static int read_into(char *b)
{
	int pipes[2], err = -EPIPE;

	if (pipe(pipes))
		return -errno;
	if (write(pipes[1], "w", 1) == 1)
		err = read(pipes[0], b, 1) == 1 ? 0 : -errno;
	close(pipes[0]);
	close(pipes[1]);
	return err;
}

static int by_read_into_it(struct subject *s)
{
	return on_page(s->buf, 0, read_into);
}

static int populate(char *b)
{
	return madvise(b, page_size(), MADV_POPULATE_WRITE) ? -errno : 0;
}

static int by_populating(struct subject *s)
{
	return on_page(s->buf, 0, populate);
}

/* CPU access, devices, the kernel --------------------------------------------- */

static int by_sync_start_w(struct subject *s)
{
	return buf_sync(s->buf, SYNC_START_W);
}

static int by_sync_start_rw(struct subject *s)
{
	return buf_sync(s->buf, SYNC_START_RW);
}

static int by_sync_end_w(struct subject *s)
{
	return buf_sync(s->buf, SYNC_END_W);
}

static int by_sync_end_rw(struct subject *s)
{
	return buf_sync(s->buf, SYNC_END_RW);
}

static int by_driver_begin(struct subject *s)
{
	return importer_access(s->importer, IMPORTER_BEGIN, s->buf, IMPORTER_TO_DEVICE);
}

static int by_driver_end(struct subject *s)
{
	return importer_access(s->importer, IMPORTER_END, s->buf, IMPORTER_BIDIRECTIONAL);
}

static int device_stores(struct subject *s, int device, int bits, int direction)
{
	char byte = 'w';
	int err;

	err = device == IMPORTER_EDU ? importer_map(s->importer, 0, s->buf, device, direction) :
	      importer_map_masked(s->importer, 0, s->buf, device, direction, bits);
	if (err)
		return err;
	err = importer_copy(s->importer, IMPORTER_WRITE, 0, 0, &byte, 1);
	return importer_slot(s->importer, IMPORTER_UNMAP, 0) ?: err;
}

static int by_device(struct subject *s)
{
	return device_stores(s, IMPORTER_FAUX, 0, IMPORTER_FROM_DEVICE);
}

static int by_device_that_reads_too(struct subject *s)
{
	return device_stores(s, IMPORTER_FAUX, 0, IMPORTER_BIDIRECTIONAL);
}

static int by_staged_device(struct subject *s)
{
	return device_stores(s, IMPORTER_FAUX_2, FEW_BITS, IMPORTER_FROM_DEVICE);
}

static int by_staged_device_that_reads_too(struct subject *s)
{
	return device_stores(s, IMPORTER_FAUX_2, FEW_BITS, IMPORTER_BIDIRECTIONAL);
}

static int by_pci_device(struct subject *s)
{
	return device_stores(s, IMPORTER_EDU, 0, IMPORTER_FROM_DEVICE);
}

static int by_pci_device_that_reads_too(struct subject *s)
{
	return device_stores(s, IMPORTER_EDU, 0, IMPORTER_BIDIRECTIONAL);
}

static int by_kernel_mapping(struct subject *s)
{
	char byte = 'w';
	int err = importer_vmap(s->importer, 0, s->buf);

	if (err)
		return err;
	err = importer_copy(s->importer, IMPORTER_VMAP_WRITE, 0, 0, &byte, 1);
	return importer_slot(s->importer, IMPORTER_VUNMAP, 0) ?: err;
}

/* The table ------------------------------------------------------------------- */

/* What a way does to a plain buffer. */
enum plain { WRITES, SUCCEEDS, FAILS };

struct way {
	const char *name;
	int (*try)(struct subject *s);
	/* errno on a read-only buffer, and on one that the CPU cannot map; 0: succeeds. */
	int read_only, no_cpu_map;
	enum plain plain;
};

static const struct way ways[] = {
	{ "mmap", by_mmap, EACCES, EACCES, WRITES },
	{ "mprotect", by_mprotect, EACCES, EACCES, WRITES },
	{ "a mapping that has moved", by_moved_mapping, EACCES, EACCES, WRITES },
	{ "a store", by_plain_store, EFAULT, EACCES, WRITES },
	{ "a private mapping", by_private_mapping, ANY, ANY, FAILS },
	{ "an inherited mapping", by_inherited_mapping, EACCES, EACCES, WRITES },
	{ "mmap of a driver", by_driver_mmap, EACCES, EACCES, WRITES },
	{ "mprotect, mapped by a driver", by_driver_mprotect, EACCES, EACCES, WRITES },
	{ "/proc/PID/fd", by_reopening, ANY, ANY, FAILS },
	{ "/proc/PID/map_files", by_map_files, ANY, ANY, FAILS },
	{ "F_SETFL", by_changed_flags, EACCES, EACCES, WRITES },
	{ "write", by_write, ANY, ANY, FAILS },
	{ "ftruncate", by_ftruncate, ANY, ANY, FAILS },
	{ "a hole", by_punching_a_hole, ANY, ANY, FAILS },
	{ "/proc/PID/mem", by_proc_mem, EIO, EACCES, WRITES },
	{ "/proc/PID/mem, mapped by a driver", by_proc_mem_of_driver_mapping, EIO, EACCES, WRITES },
	{ "ptrace", by_ptrace, EIO, EACCES, WRITES },
	{ "process_vm_writev", by_process_vm_writev, ANY, ANY, FAILS },
	{ "read into it", by_read_into_it, EFAULT, EACCES, WRITES },
	{ "MADV_POPULATE_WRITE", by_populating, ANY, EACCES, FAILS },
	{ "SYNC START W", by_sync_start_w, EACCES, 0, SUCCEEDS },
	{ "SYNC START RW", by_sync_start_rw, EACCES, 0, SUCCEEDS },
	{ "SYNC END W", by_sync_end_w, EACCES, 0, SUCCEEDS },
	{ "SYNC END RW", by_sync_end_rw, EACCES, 0, SUCCEEDS },
	{ "START of a driver", by_driver_begin, EACCES, 0, SUCCEEDS },
	{ "END of a driver", by_driver_end, EACCES, 0, SUCCEEDS },
	{ "FROM_DEVICE", by_device, EACCES, 0, WRITES },
	{ "BIDIRECTIONAL", by_device_that_reads_too, EACCES, 0, WRITES },
	{ "FROM_DEVICE, staged", by_staged_device, EACCES, 0, WRITES },
	{ "BIDIRECTIONAL, staged", by_staged_device_that_reads_too, EACCES, 0, WRITES },
	{ "FROM_DEVICE, PCI", by_pci_device, EACCES, 0, WRITES },
	{ "BIDIRECTIONAL, PCI", by_pci_device_that_reads_too, EACCES, 0, WRITES },
	/* The core has no way to refuse one with EACCES but a warning. */
	{ "vmap", by_kernel_mapping, EINVAL, EINVAL, WRITES },
};

static bool needs_pci(const struct way *way)
{
	return strstr(way->name, "PCI");
}

/* How a process fared: in memory that it shares with its parent. */
struct results {
	int errors[ARRAY_SIZE(ways)];
	bool ended;
};

static void try_all(struct subject *s, struct results *results)
{
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++)
		results->errors[i] = ways[i].try(s);
	results->ended = true;
}

static struct results *results_new(void)
{
	return mmap(NULL, sizeof(struct results), PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

/* Where the ways are tried ------------------------------------------------------ */

static void here(struct subject *s, struct results *results)
{
	try_all(s, results);
}

static void with_a_copy(struct subject *s, struct results *results)
{
	struct subject copy = *s;

	copy.buf = fcntl(s->buf, F_DUPFD_CLOEXEC, 100);
	try_all(&copy, results);
	close(copy.buf);
}

static void in_a_child(struct subject *s, struct results *results)
{
	pid_t pid = fork();

	if (!pid) {
		try_all(s, results);
		_exit(0);
	}
	wait_status(pid);
}

/* It gets the buffer, and a node of a driver, over a socket. */
static void as_another_user(struct subject *s, struct results *results)
{
	int sockets[2], fds[2] = { s->buf, s->importer };
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets))
		return;
	pid = fork();
	if (!pid) {
		struct subject theirs = *s;

		close(s->buf);
		close(s->importer);
		CHILD_CHECK(!setgroups(0, NULL));
		CHILD_CHECK(!setgid(OTHER_USER) && !setuid(OTHER_USER));
		/* /proc/self/mem is root's otherwise. */
		CHILD_CHECK(!prctl(PR_SET_DUMPABLE, 1));
		CHILD_CHECK(!recv_fds(sockets[1], fds, 2));
		theirs.buf = fds[0];
		theirs.importer = fds[1];
		try_all(&theirs, results);
		_exit(0);
	}
	send_fds(sockets[0], fds, 2);
	wait_status(pid);
	close(sockets[0]);
	close(sockets[1]);
}

static const struct {
	const char *name;
	void (*run)(struct subject *s, struct results *results);
} places[] = {
	{ "here", here },
	{ "with a copy of the descriptor", with_a_copy },
	{ "in a child", in_a_child },
	{ "as another user", as_another_user },
};

#endif /* READONLY_H */
