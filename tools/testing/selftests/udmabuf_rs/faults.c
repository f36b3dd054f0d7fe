// SPDX-License-Identifier: GPL-2.0
/*
 * faults: every operation, with its 1st, 2nd, … nth allocation or user copy failing, until none
 * is left to fail; and with a memory cgroup that has room for 0, 1, 2, … pages, until that is
 * enough.
 *
 * After each: the errno is a documented one; there are as many buffers, pinned and staged bytes
 * and descriptors as before; the operation works when repeated; nothing is pinned in the end; the
 * kernel log has no report. What leaks otherwise, the boot finds (kmemleak).
 *
 * With FAULTS_ALL=1 loading the module fails everywhere, otherwise where the module's own code is
 * among the callers.
 */
#include "faults_operations.h"

#define ROUNDS		4000
#define TRIES		3

struct counts {
	long long buffers, pinned, staged;
	int fds;
};

static struct counts count_all(void)
{
	return (struct counts){
		.buffers = param_get("buffers"),
		.pinned = param_get("pinned_bytes"),
		.staged = param_get("staging_bytes"),
		.fds = count_fds(),
	};
}

static bool same_counts(const struct counts *a, const struct counts *b)
{
	return a->buffers == b->buffers && a->pinned == b->pinned && a->staged == b->staged &&
	       a->fds == b->fds;
}

/* What other tasks give back may take a moment. */
static bool back_to(const struct counts *wanted, struct counts *now)
{
	for (int i = 0; i < 20; i++) {
		*now = count_all();
		if (same_counts(now, wanted))
			return true;
		sleep_us(50000);
	}
	return false;
}

/* The table ------------------------------------------------------------------------ */

FIXTURE(faults)
{
	struct world w;
	long long pins;
};

FIXTURE_VARIANT(faults)
{
	struct operation op;
};

#define OPERATION(id, ...)					\
FIXTURE_VARIANT_ADD(faults, id)					\
{								\
	.op = { .name = #id, __VA_ARGS__ },			\
};								\
struct id##_needs_semicolon

/* Documented errnos. */
static const int none[] = { 0 };
static const int copy[] = { EFAULT, 0 };
static const int memory[] = { ENOMEM, 0 };
static const int memory_or_copy[] = { ENOMEM, EFAULT, 0 };
/* The first START maps the buffer for cache maintenance where devices are not coherent. */
#ifdef __x86_64__
static const int of_sync[] = { EFAULT, 0 };
#else
static const int of_sync[] = { ENOMEM, EFAULT, 0 };
#endif
static const int of_fork[] = { ENOMEM, EAGAIN, 0 };
static const int of_proc_mem[] = { ENOMEM, EFAULT, EIO, 0 };

OPERATION(open_node, nothing, act_open, undo_made, nothing, memory_or_copy);
OPERATION(create, single_setup, act_create, undo_made, close_all, memory_or_copy, NULL, NO_FAULTS);
OPERATION(create_scattered, scattered_setup, act_create, undo_made, close_all, memory_or_copy, NULL,
	  NO_FAULTS);
OPERATION(create_holes, holes_setup, act_create, undo_made, close_all, memory_or_copy, NULL,
	  NO_FAULTS);
OPERATION(create_fallocated, fallocated_setup, act_create, undo_made, close_all, memory_or_copy,
	  NULL, NO_FAULTS);
OPERATION(create_huge, huge_setup, act_create, undo_made, close_all, memory_or_copy, NULL,
	  NEEDS_HUGE | NO_FAULTS);
OPERATION(create_other_user, other_user_setup, act_create, undo_made, other_user_cleanup,
	  memory_or_copy, NULL, NOT_CHARGED | NO_FAULTS);
OPERATION(create_list, list_setup, act_create_list, undo_made, close_all, memory_or_copy, NULL,
	  NO_FAULTS);
OPERATION(create_ext_list, list_setup, act_create_ext_list, undo_made, close_all, memory_or_copy,
	  NULL, NO_FAULTS);
OPERATION(create_ext_named, single_setup, act_create_named, undo_made, close_all, memory_or_copy,
	  NULL, NO_FAULTS);
OPERATION(create_ext_read_only, read_only_setup, act_create_read_only, undo_made, close_all,
	  memory_or_copy, NULL, NO_FAULTS);
OPERATION(query, single_setup, act_query, nothing, close_all, copy);
OPERATION(close, buffer_setup, act_close, undo_close, close_all, none);

OPERATION(mmap, buffer_setup, map_buffer, undo_map, close_all, memory);
OPERATION(fault, mapped_setup, act_touch, undo_touch, close_all, none);
OPERATION(fault_huge, huge_mapped_setup, act_touch, undo_touch, close_all, none, NULL, NEEDS_HUGE);
OPERATION(read_into_mapping, file_setup, act_read_into, undo_touch, close_all, memory_or_copy);
OPERATION(write_from_mapping, file_setup, act_write_from, undo_touch, close_all, memory_or_copy);
OPERATION(proc_mem, proc_mem_setup, act_proc_mem, nothing, close_all, of_proc_mem);
OPERATION(fork, touched_setup, act_fork, undo_fork, close_all, of_fork, NULL, NOT_CHARGED | LONG);
OPERATION(fork_huge, huge_touched_setup, act_fork, undo_fork, close_all, of_fork, NULL,
	  NEEDS_HUGE | NOT_CHARGED | LONG);
OPERATION(mprotect_huge, huge_touched_setup, act_mprotect, undo_huge, close_all, memory, NULL,
	  NEEDS_HUGE);
OPERATION(mremap_huge, huge_touched_setup, act_mremap, undo_mremap, close_all, memory, NULL,
	  NEEDS_HUGE);
OPERATION(munmap_huge, huge_touched_setup, act_munmap, undo_huge, close_all, memory, NULL,
	  NEEDS_HUGE);

OPERATION(sync, buffer_setup, act_sync, nothing, close_all, of_sync);
OPERATION(sync_direct, mapped_direct_setup, act_sync, nothing, importer_cleanup, of_sync, NULL,
	  NEEDS_IMPORTER);
OPERATION(sync_staged, mapped_staged_setup, act_sync, nothing, importer_cleanup, of_sync, NULL,
	  NEEDS_IMPORTER);

OPERATION(map_direct, direct_setup, act_map, undo_map_device, importer_cleanup, memory_or_copy,
	  NULL, NEEDS_IMPORTER | NO_FAULTS);
OPERATION(map_direct_scattered, scattered_direct_setup, act_map, undo_map_device, importer_cleanup,
	  memory_or_copy, NULL, NEEDS_IMPORTER | NO_FAULTS);
OPERATION(map_direct_again, direct_setup, act_map_again, undo_map_device, importer_cleanup,
	  memory_or_copy, NULL, NEEDS_IMPORTER | NO_FAULTS);
OPERATION(map_staged, staged_setup, act_map, undo_map_staged, importer_cleanup, memory_or_copy,
	  NULL, NEEDS_IMPORTER | NO_FAULTS);
OPERATION(map_staged_again, staged_setup, act_map_again, undo_map_staged, importer_cleanup,
	  memory_or_copy, NULL, NEEDS_IMPORTER | NO_FAULTS);
OPERATION(map_staged_writer, mapped_reader_setup, act_map_writer, undo_map_writer, importer_cleanup,
	  memory_or_copy, NULL, NEEDS_IMPORTER | OURS_ALONE | NO_FAULTS);
OPERATION(map_staged_other, mapped_staged_setup, act_map_other, undo_map_other, importer_cleanup,
	  memory_or_copy, NULL, NEEDS_IMPORTER | NO_FAULTS);
OPERATION(unmap_direct, mapped_direct_setup, act_unmap, act_map, importer_cleanup, none, NULL,
	  NEEDS_IMPORTER);
OPERATION(unmap_staged, mapped_staged_setup, act_unmap, act_map, importer_cleanup, none, NULL,
	  NEEDS_IMPORTER);
OPERATION(vmap, buffer_setup, act_vmap, undo_vmap, importer_cleanup, memory_or_copy, "dma_buf_vmap",
	  NEEDS_IMPORTER | NO_FAULTS);
OPERATION(vmap_scattered, scattered_buffer_setup, act_vmap, undo_vmap, importer_cleanup,
	  memory_or_copy, "dma_buf_vmap", NEEDS_IMPORTER | NO_FAULTS);
OPERATION(vunmap, vmapped_setup, undo_vmap, act_vmap, importer_cleanup, none, NULL, NEEDS_IMPORTER);

OPERATION(fdinfo, buffer_setup, act_fdinfo, nothing, close_all, memory_or_copy);
OPERATION(debugfs_buffers, mapped_direct_setup, act_buffers, nothing, importer_cleanup,
	  memory_or_copy, NULL, NEEDS_IMPORTER);
OPERATION(debugfs_totals, buffer_setup, act_totals, nothing, close_all, memory_or_copy);
OPERATION(param_read, nothing, act_param_read, nothing, nothing, memory_or_copy);
OPERATION(param_write, nothing, act_param_write, undo_param_write, cleanup_param_write,
	  memory_or_copy, NULL, OUTLASTS);

OPERATION(module_load, load_setup, act_load, unload, load_cleanup, memory_or_copy, NULL,
	  IS_MODULE | NOT_CHARGED | LONG);
OPERATION(module_unload, nothing, unload, reload, nothing, none, NULL,
	  IS_MODULE | NOT_CHARGED | LONG);

/* Which callers count. */
static void count_from(unsigned int flags)
{
	uint64_t start, end;

	if (flags & OURS_ALONE && module_range(module_name(), &start, &end))
		faults_called_from(start, end);
	else if (flags & IS_MODULE && !getenv("FAULTS_ALL"))
		faults_called_from(MODULES_START, MODULES_END);
	else
		faults_called_from(0, UINT64_MAX);
}

FIXTURE_SETUP(faults)
{
	const struct operation *op = &variant->op;
	struct sigaction act = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER };

	self->w = (struct world){
		.fail = -1, .make_fail = -1, .kmsg = kmsg_open(), .importer = -1, .dev = -1,
		.memfd = -1, .memfd2 = -1, .buf = -1, .file = -1, .made = -1,
	};
	if (faults_missing)
		SKIP(return, "%s", faults_missing);
	if (op->flags & NEEDS_HUGE)
		NEED_HUGE(2);
	if (op->flags & IS_MODULE && access(module_file(), R_OK))
		SKIP(return, "no %s to load", module_file());
	if (op->flags & NEEDS_IMPORTER) {
		self->w.importer = importer_open();
		if (self->w.importer < 0)
			SKIP(return, "the importer's module is not loaded");
	}
	self->w.fail = fail_nth_open();
	ASSERT_LE(0, self->w.fail);
	self->w.make_fail = open("/proc/self/make-it-fail", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->w.make_fail);
	sigaction(SIGBUS, &act, NULL);
	sigaction(SIGSEGV, &act, NULL);
	count_from(op->flags);
	self->pins = pins_outstanding();
}

FIXTURE_TEARDOWN(faults)
{
	close_fd(&self->w.importer);
	/* Neither an account nor a pin is left. */
	if (!faults_missing)
		EXPECT_EQ(self->pins, pins_outstanding());
	EXPECT_EQ(0, reports_but(self->w.kmsg, variant->op.warns));
	close(self->w.fail);
	close(self->w.make_fail);
	close(self->w.kmsg);
}

static bool documented(const struct operation *op, int err)
{
	const int *errno_of = op->errnos;

	while (*errno_of && err != -*errno_of)
		errno_of++;
	return err == -*errno_of;
}

struct step {
	const struct operation *op;
	struct world *w;
};

static int step_act(void *arg)
{
	struct step *step = arg;

	return step->op->act(step->w);
}

static void step_undo(void *arg)
{
	struct step *step = arg;

	step->op->undo(step->w);
}

#define EXPECT_COUNTS(wanted, what) do {						\
	struct counts now;								\
											\
	EXPECT_TRUE(back_to(&(wanted), &now))						\
		TH_LOG("%s, point %u, %s: buffers %lld, %lld pinned, %lld staged, %d fds; "\
		       "wanted %lld, %lld, %lld, %d",					\
		       op->name, n, what, now.buffers, now.pinned, now.staged, now.fds,	\
		       (wanted).buffers, (wanted).pinned, (wanted).staged,		\
		       (wanted).fds);							\
} while (0)

#define EXPECT_SUCCESS(call, what) do {							\
	int error = (call);								\
											\
	EXPECT_EQ(0, error)								\
		TH_LOG("%s, point %u, %s: %s", op->name, n, what, strerror(-error));	\
} while (0)

struct sums {
	unsigned int points, failures, total;
};

/*
 * One point: the @n th allocation or copy fails, or if there is a @kind, all of that kind after @n
 * bytes or pages. Returns whether any did.
 */
static bool fail_at(struct __test_metadata *_metadata, const struct operation *op,
		    struct world *w, const char *kind, unsigned int n, struct sums *sums)
{
	int tries = kind || op->flags & LONG ? 1 : TRIES;
	struct counts before = count_all(), during;
	struct step step = { op, w };
	bool failed = false, any = false, fatal = false;
	int err;

	EXPECT_SUCCESS(op->setup(w), "set-up");
	during = count_all();
	/* Memory of this process is there afterwards. */
	if (kind || n == 1) {
		EXPECT_SUCCESS(op->act(w), "without a failure");
		EXPECT_SUCCESS(op->undo(w), "undoing it");
		EXPECT_COUNTS(during, "undone");
	}
	for (int i = 0; i < tries && __test_passed(_metadata); i++) {
		err = kind ? with_shortage(w->make_fail, kind, n, step_act, &step, &failed) :
			     with_nth_failing(w->fail, n, step_act, &step, &failed);
		EXPECT_TRUE(documented(op, err))
			TH_LOG("%s, point %u: %s", op->name, n, strerror(-err));
		if (!err)
			EXPECT_SUCCESS(op->undo(w), "undoing what succeeded");
		EXPECT_COUNTS(during, "after it");
		any |= failed;
		fatal |= err < 0;
		sums->total += failed;
	}
	EXPECT_SUCCESS(op->act(w), "repeated");
	EXPECT_SUCCESS(op->undo(w), "undoing the repetition");
	EXPECT_SUCCESS(op->cleanup(w), "clean-up");
	EXPECT_COUNTS(before, "in the end");
	EXPECT_EQ(0, reports_but(w->kmsg, op->warns))
		TH_LOG("%s, point %u", op->name, n);
	sums->points += any;
	sums->failures += fatal;
	return any;
}

/*
 * Each point more than once, as the kernel does not need the same allocations every time: with one
 * more than before, the nth is another.
 */
TEST_F_TIMEOUT(faults, every_allocation_and_copy, 900)
{
	const struct operation *op = &variant->op;
	unsigned int passes = atoi(env_or("FAULTS_PASSES", "1")), n, total = 0;
	struct sums sums = {};

	for (unsigned int pass = 0; pass < passes && __test_passed(_metadata); pass++) {
		sums = (struct sums){};
		n = 1;
		while (fail_at(_metadata, op, &self->w, NULL, n++, &sums) &&
		       __test_passed(_metadata))
			ASSERT_GT(ROUNDS, n);
		total += sums.total;
	}
	printf("# faults: %s %u points %u failed %u in all\n", op->name, sums.points, sums.failures,
	       total);
	fflush(stdout);
}

/*
 * What is tried in another way when it fails once, fails for good here. Bytes are counted in steps,
 * which grow: objects of several sizes are between two.
 */
TEST_F_TIMEOUT(faults, every_shortage, 600)
{
	const struct operation *op = &variant->op;
	struct sums sums = {};

	if (!(op->flags & NO_FAULTS))
		SKIP(return, "page faults on the way would be tried again without end");
	for (int i = 0; i < 2; i++) {
		unsigned int amount = 0;

		while (fail_at(_metadata, op, &self->w, fault_kinds[i], amount, &sums) &&
		       __test_passed(_metadata))
			amount += i ? 1 + amount / 8 : 64 + amount / 8;
	}
	printf("# faults: %s %u shortages %u failed\n", op->name, sums.points, sums.failures);
	fflush(stdout);
}

TEST_F_TIMEOUT(faults, every_charge, 300)
{
	const struct operation *op = &variant->op;
	struct world *w = &self->w;
	struct step step = { op, w };
	unsigned int n, pages = 0, failures = 0, killed = 0;
	struct counts before = count_all(), during;
	const char *missing = group_make();
	int err = -ENOMEM;

	if (op->flags & NOT_CHARGED)
		SKIP(return, "what it charges is not the buffer's");
	if (missing)
		SKIP(return, "%s", missing);
	for (n = 1; err && n <= 100 && __test_passed(_metadata); n++) {
		EXPECT_SUCCESS(op->setup(w), "set-up");
		during = count_all();
		err = with_room_for(pages, step_act, step_undo, &step);
		killed += err == KILLED;
		failures += err != 0;
		EXPECT_TRUE(err == KILLED || documented(op, err))
			TH_LOG("%s, room for %u pages: %s", op->name, pages, strerror(-err));
		/* As mappings for devices, which are those of the importer's file. */
		if (op->flags & (NEEDS_IMPORTER | OUTLASTS) && !err)
			EXPECT_SUCCESS(op->undo(w), "undoing what succeeded");
		else if (op->flags & (NEEDS_IMPORTER | OUTLASTS) && err == KILLED)
			op->undo(w);
		EXPECT_COUNTS(during, "after it");
		EXPECT_SUCCESS(op->act(w), "repeated");
		EXPECT_SUCCESS(op->undo(w), "undoing the repetition");
		EXPECT_SUCCESS(op->cleanup(w), "clean-up");
		EXPECT_COUNTS(before, "in the end");
		EXPECT_EQ(0, reports_but(w->kmsg, op->warns))
			TH_LOG("%s, room for %u pages", op->name, pages);
		pages += 1 + pages / 8;
	}
	EXPECT_EQ(0, err);
	group_remove();
	printf("# faults: %s %u charges %u killed\n", op->name, failures, killed);
	fflush(stdout);
}

TEST_HARNESS_MAIN
