// SPDX-License-Identifier: GPL-2.0
/*
 * charges: pinned memory is charged as long as it is pinned, to the user that created the buffer,
 * in whatever way the buffer or its creation ends.
 *
 * Needs root, and that nothing else in the system has buffers.
 */
#include "accounts.h"
#include "memcg.h"

/* Pages of a buffer, unless said otherwise. */
#define PAGES		50

/* How a buffer ends -------------------------------------------------------------- */

/* A user that holds a buffer, which is charged as locked memory as well; and others. */
FIXTURE(charges)
{
	struct accounts a;
	struct user *creator, *same, *other;
};

static int lock_memory(struct user *user)
{
	return user_limit(user, RLIMIT_MEMLOCK, RLIM_INFINITY) ?: param_set("memlock", "1");
}

FIXTURE_SETUP(charges)
{
	int err;

	ACCOUNTS_SETUP();
	self->creator = user_start(self->a.dev, USER, NONE);
	self->same = user_start(self->a.dev, USER, NONE);
	self->other = user_start(self->a.dev, OTHER_USER, NONE);
	err = lock_memory(self->creator) ?: user_create(self->creator, 0, PAGES);
	/* There is no teardown after a setup that fails. */
	if (err)
		accounts_end(&self->a);
	ASSERT_EQ(0, err);
}

FIXTURE_TEARDOWN(charges)
{
	ACCOUNTS_TEARDOWN();
}

/* Checks that the buffer is charged to its creator and to no other. */
#define EXPECT_CHARGED() do {							\
	EXPECT_TRUE(held_is(1, PAGES * page_size()));				\
	EXPECT_STREQ("", wrong_limit(self->same, PAGES, PAGES, PAGES));			\
	EXPECT_STREQ("", wrong_limit(self->other, 0, PAGES, 0));		\
} while (0)

#define EXPECT_GIVEN_BACK() do {						\
	EXPECT_STREQ("", not_given_back(self->same));				\
	EXPECT_STREQ("", not_given_back(self->other));				\
} while (0)

TEST_F(charges, end_with_close)
{
	EXPECT_CHARGED();
	EXPECT_EQ(0, user_close(self->creator, 0));
	EXPECT_TRUE(held_is(0, 0));
	EXPECT_GIVEN_BACK();
}

TEST_F(charges, end_with_the_last_munmap)
{
	int buf = user_give(self->creator, 0);
	size_t pg = page_size();
	char *b;

	EXPECT_EQ(0, user_close(self->creator, 0));
	b = map_rw(buf, PAGES * pg);
	ASSERT_NE(MAP_FAILED, b);
	close(buf);
	EXPECT_CHARGED();
	munmap(b, (PAGES - 1) * pg);
	EXPECT_CHARGED();
	munmap(b + (PAGES - 1) * pg, pg);
	EXPECT_GIVEN_BACK();
}

TEST_F(charges, end_with_the_last_importer)
{
	int importer = importer_open(), buf = user_give(self->creator, 0);

	if (importer < 0) {
		close(buf);
		SKIP(return, "the importer's module is not loaded");
	}
	for (int slot = 0; slot < 2; slot++)
		ASSERT_EQ(0, importer_map(importer, slot, buf, IMPORTER_FAUX,
					  IMPORTER_BIDIRECTIONAL));
	close(buf);
	EXPECT_EQ(0, user_close(self->creator, 0));
	EXPECT_EQ(0, importer_slot(importer, IMPORTER_UNMAP, 0));
	EXPECT_CHARGED();
	/* The other mapping goes with the importer. */
	close(importer);
	EXPECT_GIVEN_BACK();
}

TEST_F(charges, end_with_a_staging)
{
	int importer = importer_open(), low = take_low_memory(), buf;

	if (importer < 0)
		SKIP(return, "the importer's module is not loaded");
	EXPECT_EQ(0, user_close(self->creator, 0));
	ASSERT_EQ(0, user_order(self->creator, RENEW_MEMORY, WRITTEN));
	ASSERT_EQ(0, user_create(self->creator, 0, PAGES));
	close(low);
	buf = user_give(self->creator, 0);
	ASSERT_EQ(0, importer_map_masked(importer, 0, buf, IMPORTER_FAUX_2, IMPORTER_BIDIRECTIONAL,
					 FEW_BITS));
	close(buf);
	EXPECT_EQ(0, user_close(self->creator, 0));
	EXPECT_CHARGED();
	EXPECT_LE(PAGES * page_size(), param_get("staging_bytes"));
	EXPECT_EQ(0, importer_slot(importer, IMPORTER_UNMAP, 0));
	close(importer);
	EXPECT_GIVEN_BACK();
	EXPECT_EQ(0, param_get("staging_bytes"));
}

TEST_F(charges, end_with_exit)
{
	shutdown(self->creator->sock, SHUT_WR);
	EXPECT_EQ(0, wait_status(self->creator->pid));
	self->creator->pid = 0;
	EXPECT_GIVEN_BACK();
}

TEST_F(charges, end_with_SIGKILL)
{
	user_kill(self->creator);
	EXPECT_GIVEN_BACK();
}

TEST_F(charges, end_with_the_creator_or_its_child)
{
	for (int child_is_last = 0; child_is_last < 2; child_is_last++) {
		int child = user_order(self->creator, FORK, 0);

		ASSERT_LT(0, child);
		EXPECT_CHARGED();
		if (!child_is_last) {
			kill(child, SIGKILL);
			sleep_us(200000);
			EXPECT_CHARGED();
		}
		EXPECT_EQ(0, user_close(self->creator, 0));
		if (child_is_last) {
			EXPECT_CHARGED();
			kill(child, SIGKILL);
		}
		EXPECT_GIVEN_BACK();
		ASSERT_EQ(0, lock_memory(self->creator));
		ASSERT_EQ(0, user_create(self->creator, 0, PAGES));
	}
}

/* The charge stays with the user that the creator was. */
TEST_F(charges, stay_after_setuid)
{
	struct user *changes = user_start(self->a.dev, USER, ALL_BUT_IPC_LOCK);

	EXPECT_EQ(0, user_close(self->creator, 0));
	ASSERT_EQ(0, lock_memory(changes));
	ASSERT_EQ(0, user_create(changes, 0, PAGES));
	ASSERT_EQ(0, user_order(changes, SET_REAL_UID, OTHER_USER));
	EXPECT_CHARGED();
	EXPECT_STREQ("", wrong_limit(changes, 0, PAGES, 0));
	/* From now on, buffers are charged to the new one. */
	ASSERT_EQ(0, lock_memory(changes));
	ASSERT_EQ(0, user_create(changes, 1, 3));
	EXPECT_EQ(0, user_close(changes, 0));
	EXPECT_STREQ("", wrong_limit(self->same, 0, 3, 0));
	EXPECT_STREQ("", wrong_limit(self->other, 3, 3, 3));
	EXPECT_EQ(0, user_close(changes, 1));
	EXPECT_GIVEN_BACK();
}

TEST_F(charges, stay_with_the_creator_if_another_user_closes_last)
{
	int buf = user_give(self->creator, 0);

	ASSERT_LE(0, buf);
	ASSERT_EQ(0, user_take(self->other, 0, buf));
	close(buf);
	EXPECT_EQ(0, user_close(self->creator, 0));
	EXPECT_CHARGED();
	user_kill(self->creator);
	EXPECT_CHARGED();
	EXPECT_EQ(0, user_close(self->other, 0));
	EXPECT_GIVEN_BACK();
}

/* No process of the user is left. */
TEST_F(charges, outlive_the_processes_of_the_user)
{
	int buf = user_give(self->creator, 0);

	ASSERT_LE(0, buf);
	user_kill(self->creator);
	user_kill(self->same);
	self->same = user_start(self->a.dev, USER, NONE);
	EXPECT_CHARGED();
	user_kill(self->same);
	close(buf);
	self->same = user_start(self->a.dev, USER, NONE);
	EXPECT_GIVEN_BACK();
}

TEST_F(charges, end_with_a_socket)
{
	int buf = user_give(self->creator, 0), pair[2];

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	ASSERT_EQ(0, send_fds(pair[0], &buf, 1));
	close(buf);
	EXPECT_EQ(0, user_close(self->creator, 0));
	EXPECT_CHARGED();
	close(pair[0]);
	EXPECT_CHARGED();
	close(pair[1]);
	EXPECT_GIVEN_BACK();
}

/* A buffer closes on exec, or is inherited by the new program. */
static int after_exec(int sock)
{
	int answer = 1;

	if (write(sock, &answer, sizeof(answer)) != sizeof(answer))
		return 1;
	for (;;)
		pause();
}

TEST_F(charges, end_with_exec)
{
	EXPECT_EQ(1, user_order(self->creator, EXEC, 0));
	EXPECT_GIVEN_BACK();
}

TEST_F(charges, outlive_exec)
{
	EXPECT_EQ(0, user_order(self->creator, KEEP_ON_EXEC, 0));
	EXPECT_EQ(1, user_order(self->creator, EXEC, 0));
	EXPECT_CHARGED();
	user_kill(self->creator);
	EXPECT_GIVEN_BACK();
}

/* Creations that fail ------------------------------------------------------------ */

TEST_F(charges, end_if_no_descriptor_is_free)
{
	int next = user_order(self->creator, NEXT_FD, 0);

	ASSERT_LT(0, next);
	ASSERT_EQ(0, user_limit(self->creator, RLIMIT_NOFILE, next));
	for (enum way way = 0; way < WAYS; way++) {
		EXPECT_EQ(-EMFILE, user_create_by(self->creator, 1, way, 3));
		EXPECT_TRUE(held_is(1, PAGES * page_size()));
	}
	ASSERT_EQ(0, user_limit(self->creator, RLIMIT_NOFILE, next + 1));
	EXPECT_EQ(0, user_create(self->creator, 1, 3));
	EXPECT_EQ(0, user_close(self->creator, 1));
	EXPECT_CHARGED();
	EXPECT_EQ(0, user_close(self->creator, 0));
	EXPECT_GIVEN_BACK();
}

/* What a child of @uid does. Returns its status; the child may say more on standard error. */
static int as_user(uid_t uid, int (*work)(int dev), int dev)
{
	struct rlimit none = { RLIM_INFINITY, RLIM_INFINITY };
	pid_t pid = fork();

	if (!pid) {
		CHILD_CHECK(!setrlimit(RLIMIT_MEMLOCK, &none));
		CHILD_CHECK(!setresuid(uid, uid, uid));
		_exit(work(dev));
	}
	return wait_status(pid);
}

static int bad_requests(int dev)
{
	uint64_t pg = page_size();
	int memfd = memfd_new(MIB), unsealed = memfd_make(pg, MFD_ALLOW_SEALING, 0);
	struct udmabuf_create_item items[] = {
		{ .memfd = memfd, .size = MIB },
		{ .memfd = unsealed, .size = pg },
	};
	struct udmabuf_create_ext ext = make_ext(items, 2, 0);

	CHILD_CHECK(create_list(dev, items, 2) == -EINVAL);
	CHILD_CHECK(create_ext(dev, &ext) == -EINVAL);
	items[1].memfd = fd_reopen(memfd, O_RDONLY);
	CHILD_CHECK(create_list(dev, items, 2) == -EACCES);
	items[1].memfd = memfd;
	items[1].offset = MIB;
	CHILD_CHECK(create_list(dev, items, 2) == -EINVAL);
	items[1].memfd = -1;
	CHILD_CHECK(create_list(dev, items, 2) == -EBADFD);
	CHILD_CHECK(create_ext_one(dev, memfd, 0, pg, 0,
				   "a name of more than thirty-one bytes") == -EINVAL);
	CHILD_CHECK(create_ext_one(dev, memfd, 0, pg, 0, (char *)1) == -EFAULT);
	CHILD_CHECK(create_ext_one(dev, memfd, 0, pg, 1ULL << 63, NULL) == -EINVAL);
	CHILD_CHECK(create(dev, memfd, 1, pg) == -EINVAL);
	CHILD_CHECK(create(dev, memfd, 0, 0) == -EINVAL);
	return 0;
}

TEST_F(charges, are_not_made_for_bad_requests)
{
	EXPECT_EQ(0, as_user(USER, bad_requests, self->a.dev));
	EXPECT_TRUE(held_is(1, PAGES * page_size()));
	/* What is wrong with them is found before what is too much. */
	ASSERT_EQ(0, param_set("user_limit_mb", "1"));
	EXPECT_EQ(0, as_user(USER, bad_requests, self->a.dev));
	EXPECT_CHARGED();
	EXPECT_EQ(0, user_close(self->creator, 0));
	EXPECT_GIVEN_BACK();
}

/* More huge pages than there are, behind pages that can be pinned. */
static int more_huge_pages_than_there_are(int dev)
{
	uint64_t size = (pool(HUGE, "free_hugepages") + 1) * HUGE;
	struct udmabuf_create_item items[] = {
		{ .memfd = memfd_new(MIB), .size = MIB },
		{ .memfd = memfd_new_huge(size), .size = size },
	};

	CHILD_CHECK(create_list(dev, items, 2) == -ENOMEM);
	CHILD_CHECK(!seal_write(items[0].memfd));
	return 0;
}

TEST_F(charges, end_if_pinning_fails)
{
	NEED_HUGE(1);
	EXPECT_EQ(0, as_user(USER, more_huge_pages_than_there_are, self->a.dev));
	EXPECT_TRUE(held_is(1, PAGES * page_size()));
	EXPECT_CHARGED();
	EXPECT_EQ(0, user_close(self->creator, 0));
	EXPECT_GIVEN_BACK();
}

static int create_large(void *dev)
{
	CHILD_CHECK(!setresuid(USER, USER, USER));
	return create(*(int *)dev, memfd_new(96 * MIB), 0, 96 * MIB) < 0 ? -ENOMEM : 0;
}

TEST_F(charges, end_if_the_memory_cgroup_is_full)
{
	const char *lacks = group_make();
	int err;

	if (lacks) {
		group_remove();
		SKIP(return, "%s", lacks);
	}
	write_text(GROUP "/memory.swap.max", "0");
	err = in_group(24 * MIB, create_large, &self->a.dev);
	group_remove();
	/* Killed, or refused. */
	EXPECT_TRUE(err == -ENOTRECOVERABLE || err == -ENOMEM)
		TH_LOG("%s", strerror(-err));
	EXPECT_TRUE(held_is_soon(1, PAGES * page_size()));
	EXPECT_CHARGED();
	EXPECT_EQ(0, user_close(self->creator, 0));
	EXPECT_GIVEN_BACK();
	/* The report of the killer has a call trace and is not one of a fault. */
	close(self->a.kmsg);
	self->a.kmsg = kmsg_open();
}

/* The pages of a killed task are unpinned on a workqueue, and stay charged until then. */
TEST_F_TIMEOUT(charges, end_with_a_creation_that_is_killed, 240)
{
	struct rlimit none = { RLIM_INFINITY, RLIM_INFINITY };
	struct udmabuf_create_item items[1024];
	uint64_t before = PAGES * page_size();
	int delay = 1000000, memfd, status;

	memfd = listed_memfd(items, ARRAY_SIZE(items), 64 * MIB);
	ASSERT_LE(0, memfd);
	do {
		pid_t pid = fork();

		ASSERT_LE(0, pid);
		if (!pid) {
			CHILD_CHECK(!setrlimit(RLIMIT_MEMLOCK, &none));
			CHILD_CHECK(!setresuid(USER, USER, USER));
			_exit(create_list(self->a.dev, items, ARRAY_SIZE(items)) < 0);
		}
		/* It is charged before it is pinned. */
		for (int i = 0; i < 10000 && !held_is(2, before + 64 * GIB); i++)
			sleep_us(1000);
		sleep_us(delay);
		kill(pid, SIGKILL);
		status = wait_status(pid);
		delay /= 2;
	} while (status != -SIGKILL && delay > 10000);
	if (status != -SIGKILL)
		SKIP(return, "64 GiB are listed too quickly here to be interrupted");
	for (int i = 0; i < 10 && !held_is_soon(1, before); i++)
		;
	/* Not before they are unpinned. */
	EXPECT_EQ(0, seal_write(memfd));
	EXPECT_CHARGED();
	EXPECT_EQ(0, user_close(self->creator, 0));
	EXPECT_GIVEN_BACK();
}

int main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "--after-exec"))
		return after_exec(atoi(argv[2]));
	return test_harness_run(argc, argv);
}
