// SPDX-License-Identifier: GPL-2.0
/*
 * accounts: limits on pinned memory, the users they apply to, and the counters. charges.c is about
 * how charges end.
 *
 * Needs root, and that nothing else in the system has buffers.
 */
#include "accounts.h"

/* Each limit ------------------------------------------------------------------- */

FIXTURE(limit)
{
	struct accounts a;
	struct user *user;
};

FIXTURE_VARIANT(limit)
{
	enum limit limit;
	enum memory memory;
};

FIXTURE_VARIANT_ADD(limit, of_user_holes) { OF_USER, HOLES };
FIXTURE_VARIANT_ADD(limit, of_user_pages) { OF_USER, WRITTEN };
FIXTURE_VARIANT_ADD(limit, of_user_huge_pages) { OF_USER, HUGE_PAGES };
FIXTURE_VARIANT_ADD(limit, of_total_holes) { OF_TOTAL, HOLES };
FIXTURE_VARIANT_ADD(limit, of_total_pages) { OF_TOTAL, WRITTEN };
FIXTURE_VARIANT_ADD(limit, of_total_huge_pages) { OF_TOTAL, HUGE_PAGES };
FIXTURE_VARIANT_ADD(limit, of_memlock_holes) { OF_MEMLOCK, HOLES };
FIXTURE_VARIANT_ADD(limit, of_memlock_pages) { OF_MEMLOCK, WRITTEN };
FIXTURE_VARIANT_ADD(limit, of_memlock_huge_pages) { OF_MEMLOCK, HUGE_PAGES };

FIXTURE_SETUP(limit)
{
	if (variant->memory == HUGE_PAGES)
		NEED_HUGE(4);
	ACCOUNTS_SETUP();
	self->user = user_start(self->a.dev, USER, NONE);
	ASSERT_NE(NULL, self->user);
	ASSERT_EQ(0, user_order(self->user, RENEW_MEMORY, variant->memory));
}

FIXTURE_TEARDOWN(limit)
{
	ACCOUNTS_TEARDOWN();
}

TEST_F(limit, a_page_too_many_leaves_nothing)
{
	long long pins = pins_outstanding();

	ASSERT_EQ(0, limit_set(variant->limit, self->user, 1));
	for (enum way way = 0; way < WAYS; way++) {
		EXPECT_EQ(-ENOMEM, user_create_by(self->user, 0, way, megabyte() + 1))
			TH_LOG("way %d", way);
		EXPECT_TRUE(held_is(0, 0));
		EXPECT_EQ(pins, pins_outstanding());
		EXPECT_EQ(0, user_order(self->user, SEAL_MEMORY, 0));
		ASSERT_EQ(0, user_order(self->user, RENEW_MEMORY, variant->memory));
		EXPECT_TRUE(room_is(self->user, megabyte()));
	}
}

TEST_F(limit, is_exact)
{
	struct user *user = self->user;

	ASSERT_EQ(0, limit_set(variant->limit, user, 1));
	for (enum way way = 0; way < WAYS; way++) {
		EXPECT_EQ(0, user_create_by(user, 0, way, megabyte()))
			TH_LOG("way %d", way);
		EXPECT_TRUE(held_is(1, MIB));
		EXPECT_EQ(-EBUSY, user_order(user, SEAL_MEMORY, 0));
		EXPECT_EQ(-ENOMEM, user_create_by(user, 1, way, 1));
		EXPECT_TRUE(held_is(1, MIB));
		EXPECT_EQ(0, user_close(user, 0));
		EXPECT_TRUE(held_is(0, 0));
		EXPECT_TRUE(room_is(user, megabyte()));
	}
}

TEST_F(limit, holds_for_the_sum_of_buffers)
{
	struct user *user = self->user;

	ASSERT_EQ(0, limit_set(variant->limit, user, 1));
	for (enum way way = 0; way < WAYS; way++) {
		EXPECT_EQ(0, user_create_by(user, 0, way, megabyte() - 2));
		EXPECT_EQ(0, user_create_by(user, 1, way, 1));
		EXPECT_EQ(-ENOMEM, user_create_by(user, 2, way, 2));
		EXPECT_EQ(0, user_create_by(user, 2, way, 1));
		EXPECT_EQ(-ENOMEM, user_create_by(user, 3, way, 1));
		EXPECT_EQ(0, user_close(user, 0));
		EXPECT_TRUE(room_is(user, megabyte() - 2));
		EXPECT_EQ(0, user_close(user, 1));
		EXPECT_EQ(0, user_close(user, 2));
		EXPECT_TRUE(room_is(user, megabyte()));
	}
}

TEST_F(limit, lowered_below_what_is_held_and_raised_again)
{
	uint64_t held = 2 * megabyte() + 1;
	struct user *user = self->user;
	size_t pg = page_size();
	char *b;
	int buf;

	ASSERT_EQ(0, limit_set(variant->limit, user, 3));
	ASSERT_EQ(0, user_create(user, 0, held));
	for (int mb = 1; mb < 3; mb++) {
		ASSERT_EQ(0, limit_set(variant->limit, user, mb));
		EXPECT_EQ(-ENOMEM, user_create(user, 1, 1));
	}
	/* The buffer works as before. */
	buf = user_give(user, 0);
	ASSERT_LE(0, buf);
	b = map_rw(buf, held * pg);
	ASSERT_NE(MAP_FAILED, b);
	tag_pages(b, held, 1);
	EXPECT_EQ(0, buf_sync(buf, SYNC_START_RW));
	EXPECT_EQ(word_at(1, held - 1), page_tag(b, held - 1));
	EXPECT_EQ(0, buf_sync(buf, SYNC_END_RW));
	munmap(b, held * pg);
	close(buf);
	ASSERT_EQ(0, limit_set(variant->limit, user, 3));
	EXPECT_TRUE(room_is(user, megabyte() - 1));
	/* 0 is no limit. */
	ASSERT_EQ(0, limit_set(variant->limit, user, 0));
	EXPECT_EQ(0, user_create(user, 1, 4 * megabyte()));
	ASSERT_EQ(0, limit_set(variant->limit, user, 1));
	EXPECT_EQ(-ENOMEM, user_create(user, 2, 1));
}

/* Users ------------------------------------------------------------------------ */

ACCOUNTS_FIXTURE(accounts);

TEST_F(accounts, no_limit_by_default)
{
	for (int i = 0; i < LIMITS; i++)
		EXPECT_EQ(0, self->a.limits[i]);
}

TEST_F(accounts, of_a_user_are_not_those_of_another)
{
	struct user *user = user_start(self->a.dev, USER, NONE);
	struct user *same = user_start(self->a.dev, USER, NONE);
	struct user *other = user_start(self->a.dev, OTHER_USER, NONE);
	struct user *root = user_start(self->a.dev, 0, ALL);

	ASSERT_EQ(0, param_set("user_limit_mb", "1"));
	ASSERT_EQ(0, user_create(user, 0, megabyte()));
	EXPECT_EQ(-ENOMEM, user_create(same, 0, 1));
	EXPECT_TRUE(room_is(other, megabyte()));
	/* Root has a limit as well. */
	EXPECT_TRUE(room_is(root, megabyte()));
	ASSERT_EQ(0, user_create(other, 0, megabyte() - 3));
	EXPECT_TRUE(room_is(other, 3));
	EXPECT_TRUE(room_is(root, megabyte()));
	EXPECT_EQ(0, user_close(user, 0));
	EXPECT_TRUE(room_is(same, megabyte()));
	EXPECT_TRUE(room_is(other, 3));
}

TEST_F(accounts, total_is_that_of_all_users)
{
	struct user *user = user_start(self->a.dev, USER, NONE);
	struct user *other = user_start(self->a.dev, OTHER_USER, NONE);
	struct user *root = user_start(self->a.dev, 0, ALL);

	ASSERT_EQ(0, param_set("total_limit_mb", "3"));
	ASSERT_EQ(0, user_create(user, 0, megabyte() - 1));
	ASSERT_EQ(0, user_create(other, 0, megabyte() + 1));
	EXPECT_TRUE(room_is(user, megabyte()));
	EXPECT_TRUE(room_is(root, megabyte()));
	ASSERT_EQ(0, user_create(root, 0, megabyte()));
	EXPECT_EQ(-ENOMEM, user_create(user, 1, 1));
	EXPECT_EQ(-ENOMEM, user_create(root, 1, 1));
	EXPECT_EQ(0, user_close(other, 0));
	EXPECT_TRUE(room_is(root, megabyte() + 1));
	/* The lower of two limits counts, whichever that is. */
	ASSERT_EQ(0, param_set("user_limit_mb", "1"));
	EXPECT_TRUE(room_is(user, 1));
	EXPECT_TRUE(room_is(root, 0));
	EXPECT_TRUE(room_is(other, megabyte()));
	ASSERT_EQ(0, param_set("user_limit_mb", "3"));
	EXPECT_TRUE(room_is(other, megabyte() + 1));
}

/* A request that one limit refuses must not stay charged to the other. */
TEST_F(accounts, refused_by_one_limit_is_charged_to_none)
{
	struct user *user = user_start(self->a.dev, USER, NONE);

	for (int i = 0; i < LIMITS; i++) {
		limits_off();
		ASSERT_EQ(0, user_limit(user, RLIMIT_MEMLOCK, RLIM_INFINITY));
		ASSERT_EQ(0, param_set("memlock", "1"));
		ASSERT_EQ(0, limit_set(i, user, 1));
		for (int again = 0; again < 3; again++)
			EXPECT_EQ(-ENOMEM, user_create(user, 0, megabyte() + 1));
		EXPECT_STREQ("", not_given_back(user));
	}
}

TEST_F(accounts, user_is_that_of_the_real_user_ID)
{
	struct user *effective = user_start(self->a.dev, USER, ALL_BUT_IPC_LOCK);
	struct user *user = user_start(self->a.dev, USER, NONE);
	struct user *root = user_start(self->a.dev, 0, ALL_BUT_IPC_LOCK);

	ASSERT_EQ(0, user_limit(effective, RLIMIT_MEMLOCK, RLIM_INFINITY));
	ASSERT_EQ(0, param_set("memlock", "1"));
	ASSERT_EQ(0, user_create(effective, 0, 5));
	EXPECT_STREQ("", wrong_limit(user, 5, 5, 5));
	EXPECT_STREQ("", wrong_limit(effective, 5, 5, 5));
	EXPECT_STREQ("", wrong_limit(root, 0, 5, 0));
}

TEST_F(accounts, user_is_not_the_opener_of_the_node)
{
	static const uid_t uids[] = { 0, USER, OTHER_USER };

	for (int opener = 0; opener < 3; opener++) {
		int dev = node_open_as(uids[opener]);
		struct user *three[3];

		ASSERT_LE(0, dev);
		for (int i = 0; i < 3; i++)
			three[i] = user_start(dev, uids[i], uids[i] ? NONE : ALL_BUT_IPC_LOCK);
		close(dev);
		for (int i = 0; i < 3; i++) {
			ASSERT_EQ(0, user_limit(three[i], RLIMIT_MEMLOCK, RLIM_INFINITY));
			ASSERT_EQ(0, param_set("memlock", "1"));
			ASSERT_EQ(0, user_create(three[i], 0, 5));
			for (int j = 0; j < 3; j++) {
				uint64_t own = i == j ? 5 : 0;

				EXPECT_STREQ("", wrong_limit(three[j], own, 5, own))
					TH_LOG("opened by %u, created by %u, tried by %u",
					       uids[opener], uids[i], uids[j]);
			}
			ASSERT_EQ(0, user_close(three[i], 0));
		}
	}
}

/* Locked memory ---------------------------------------------------------------- */

TEST_F(accounts, memory_without_an_rlimit_counts_as_locked)
{
	struct user *user = user_start(self->a.dev, USER, NONE);

	ASSERT_EQ(0, param_set("memlock", "1"));
	ASSERT_EQ(0, user_limit(user, RLIMIT_MEMLOCK, RLIM_INFINITY));
	ASSERT_EQ(0, user_create(user, 0, megabyte()));
	ASSERT_EQ(0, user_limit(user, RLIMIT_MEMLOCK, MIB));
	EXPECT_TRUE(room_is(user, 0));
	/* What does not fill a page is no room. */
	ASSERT_EQ(0, user_limit(user, RLIMIT_MEMLOCK, MIB + 4 * page_size() - 1));
	EXPECT_TRUE(room_is(user, 3));
	ASSERT_EQ(0, user_limit(user, RLIMIT_MEMLOCK, 0));
	EXPECT_EQ(-ENOMEM, user_create(user, 1, 1));
}

/* The limit is that of the calling process, the sum that of the user. */
TEST_F(accounts, processes_of_a_user_lock_memory_together)
{
	struct user *user = user_start(self->a.dev, USER, NONE);
	struct user *same = user_start(self->a.dev, USER, NONE);
	struct user *other = user_start(self->a.dev, OTHER_USER, NONE);

	ASSERT_EQ(0, limit_set(OF_MEMLOCK, user, 1));
	ASSERT_EQ(0, limit_set(OF_MEMLOCK, same, 2));
	ASSERT_EQ(0, limit_set(OF_MEMLOCK, other, 1));
	ASSERT_EQ(0, user_create(user, 0, megabyte()));
	EXPECT_TRUE(room_is(same, megabyte()));
	EXPECT_TRUE(room_is(other, megabyte()));
	ASSERT_EQ(0, user_close(user, 0));
	ASSERT_EQ(0, user_create(same, 0, megabyte() + 1));
	EXPECT_EQ(-ENOMEM, user_create(user, 0, 1));
}

TEST_F(accounts, CAP_IPC_LOCK_exempts_from_memlock)
{
	struct user *user = user_start(self->a.dev, USER, NONE);
	struct user *may_lock = user_start(self->a.dev, USER, ALL);
	struct user *root = user_start(self->a.dev, 0, ALL);
	struct user *may_not = user_start(self->a.dev, 0, ALL_BUT_IPC_LOCK);

	ASSERT_EQ(0, param_set("memlock", "1"));
	ASSERT_EQ(0, user_limit(may_lock, RLIMIT_MEMLOCK, 0));
	ASSERT_EQ(0, user_limit(root, RLIMIT_MEMLOCK, 0));
	EXPECT_EQ(0, user_create(may_lock, 0, megabyte()));
	EXPECT_EQ(0, user_create(root, 0, megabyte()));
	/* They hold what does not count as locked. */
	ASSERT_EQ(0, user_limit(user, RLIMIT_MEMLOCK, MIB));
	EXPECT_TRUE(room_is(user, megabyte()));
	/* It is the capability that counts. */
	ASSERT_EQ(0, user_limit(may_not, RLIMIT_MEMLOCK, MIB));
	EXPECT_TRUE(room_is(may_not, megabyte()));
	/* Nothing is given back that was not charged. */
	EXPECT_EQ(0, user_close(may_lock, 0));
	EXPECT_EQ(0, user_close(root, 0));
	EXPECT_TRUE(room_is(user, megabyte()));
	EXPECT_TRUE(room_is(may_not, megabyte()));
}

TEST_F(accounts, capabilities_in_a_user_namespace_exempt_from_nothing)
{
	struct user *inside = user_start(self->a.dev, USER, NONE);
	struct user *user = user_start(self->a.dev, USER, NONE);
	int err = user_order(inside, NEW_USER_NAMESPACE, 0);

	if (err)
		SKIP(return, "no user namespaces: %s", strerror(-err));
	ASSERT_EQ(0, user_limit(inside, RLIMIT_MEMLOCK, RLIM_INFINITY));
	ASSERT_EQ(0, param_set("memlock", "1"));
	ASSERT_EQ(0, user_create(inside, 0, 5));
	EXPECT_STREQ("", wrong_limit(user, 5, 5, 5));
	EXPECT_STREQ("", wrong_limit(inside, 5, 5, 5));
}

TEST_F(accounts, memory_that_io_uring_locks_counts_as_well)
{
	struct user *user = user_start(self->a.dev, USER, NONE);
	struct user *same = user_start(self->a.dev, USER, NONE);
	int err;

	ASSERT_EQ(0, limit_set(OF_MEMLOCK, user, 1));
	ASSERT_EQ(0, limit_set(OF_MEMLOCK, same, 1));
	err = user_order(same, REGISTER, 7);
	if (err == -ENOSYS)
		SKIP(return, "no io_uring");
	ASSERT_EQ(0, err);
	EXPECT_TRUE(room_is(user, megabyte() - 7));
	ASSERT_EQ(0, user_create(user, 0, megabyte() - 7));
	ASSERT_EQ(0, user_order(same, UNREGISTER, 0));
	EXPECT_TRUE(room_is(user, 7));
	EXPECT_EQ(-ENOMEM, user_order(same, REGISTER, 8));
	EXPECT_EQ(0, user_order(same, REGISTER, 7));
	EXPECT_EQ(0, user_order(same, UNREGISTER, 0));
}

/* What was charged is given back, whatever the parameter says by then. */
TEST_F(accounts, memlock_changed_while_buffers_live)
{
	struct user *user = user_start(self->a.dev, USER, NONE);

	for (int before = 0; before < 2; before++) {
		for (int then = 0; then < 2; then++) {
			ASSERT_EQ(0, user_limit(user, RLIMIT_MEMLOCK, RLIM_INFINITY));
			for (int i = 0; i < 4; i++) {
				ASSERT_EQ(0, param_set_number("memlock", before ^ (i & 1)));
				ASSERT_EQ(0, user_create(user, i, 10 << i));
			}
			ASSERT_EQ(0, limit_set(OF_MEMLOCK, user, 1));
			EXPECT_TRUE(room_is(user, megabyte() - (before ? 10 + 40 : 20 + 80)));
			for (int i = 0; i < 4; i++) {
				ASSERT_EQ(0, param_set_number("memlock", then ^ (i >> 1)));
				ASSERT_EQ(0, user_close(user, i));
			}
			EXPECT_STREQ("", not_given_back(user));
		}
	}
}

/* Counters and parameters ------------------------------------------------------ */

TEST_F(accounts, counters_of_buffers)
{
	struct user *user = user_start(self->a.dev, USER, NONE);
	uint64_t pages = 0;

	for (int i = 0; i < BUFS; i++) {
		ASSERT_EQ(0, user_create_by(user, i, i % WAYS, i + 1));
		pages += i + 1;
		EXPECT_TRUE(held_is(i + 1, pages * page_size()));
	}
	for (int i = 0; i < BUFS; i++) {
		ASSERT_EQ(0, user_close(user, i));
		pages -= i + 1;
		EXPECT_TRUE(held_is(BUFS - 1 - i, pages * page_size()));
	}
}

TEST_F(accounts, counter_of_staging)
{
	int importer = importer_open(), low = take_low_memory(), memfd, buf;
	struct importer_segments segments;

	if (importer < 0)
		SKIP(return, "the importer's module is not loaded");
	/* Written first: pages that are allocated for holes may come from lower memory. */
	memfd = new_memory(WRITTEN);
	ASSERT_LE(0, memfd);
	EXPECT_EQ(0, param_get("staging_bytes"));
	buf = create(self->a.dev, memfd, 0, MIB);
	ASSERT_LE(0, buf);
	EXPECT_EQ(0, param_get("staging_bytes"));
	ASSERT_EQ(0, importer_map_masked(importer, 0, buf, IMPORTER_FAUX_2, IMPORTER_BIDIRECTIONAL,
					 FEW_BITS));
	ASSERT_EQ(0, importer_segments(importer, 0, &segments));
	ASSERT_EQ(megabyte(), segments.elsewhere);
	close(low);
	EXPECT_LE(MIB, param_get("staging_bytes"));
	EXPECT_GE(4 * MIB, param_get("staging_bytes"));
	/* It is no pinned memory. */
	EXPECT_TRUE(held_is(1, MIB));
	EXPECT_EQ(0, importer_slot(importer, IMPORTER_UNMAP, 0));
	close(buf);
	close(importer);
	EXPECT_TRUE(held_is_soon(0, 0));
	EXPECT_EQ(0, param_get("staging_bytes"));
}

TEST_F(accounts, counters_cannot_be_written)
{
	static const char * const counters[] = { "buffers", "pinned_bytes", "staging_bytes" };
	char path[PATH_MAX];
	struct stat st;

	for (int i = 0; i < ARRAY_SIZE(counters); i++) {
		param_path(path, sizeof(path), counters[i]);
		ASSERT_EQ(0, stat(path, &st));
		EXPECT_EQ(0444, st.st_mode & 07777);
		EXPECT_EQ(-EACCES, param_set(counters[i], "0"));
		/* With the right to be opened, they still are not set. */
		EXPECT_EQ(0, chmod(path, 0644));
		EXPECT_GT(0, param_set(counters[i], "1"));
		EXPECT_EQ(0, chmod(path, 0444));
		EXPECT_EQ(0, param_get(counters[i]));
	}
}

TEST_F(accounts, values_of_limits)
{
	static const char * const bad[] = { "-1", "2147483648", "4294967296", "1.5", "", "no" };
	char path[PATH_MAX];
	struct stat st;

	for (int i = 0; i < LIMITS; i++) {
		param_path(path, sizeof(path), limit_params[i]);
		ASSERT_EQ(0, stat(path, &st));
		EXPECT_EQ(0644, st.st_mode & 07777);
		EXPECT_EQ(0, st.st_uid);
		ASSERT_EQ(0, param_set(limit_params[i], "1"));
		for (int j = 0; j < ARRAY_SIZE(bad); j++) {
			int err = *bad[j] ? param_set(limit_params[i], bad[j]) : -EINVAL;

			/* The kernel's own parser says ERANGE of what no integer holds. */
			EXPECT_TRUE(err == -EINVAL || (err == -ERANGE && strlen(bad[j]) > 9))
				TH_LOG("%s=%s: %d", limit_params[i], bad[j], err);
			EXPECT_EQ(1, param_get(limit_params[i]));
		}
		EXPECT_EQ(i == OF_MEMLOCK ? -EINVAL : 0, param_set(limit_params[i], "2"));
		EXPECT_EQ(i == OF_MEMLOCK ? -EINVAL : 0, param_set(limit_params[i], "2147483647"));
	}
}

TEST_F(accounts, the_largest_limits_are_none)
{
	struct user *user = user_start(self->a.dev, USER, NONE);

	ASSERT_EQ(0, param_set("user_limit_mb", "2147483647"));
	ASSERT_EQ(0, param_set("total_limit_mb", "2147483647"));
	ASSERT_EQ(0, param_set("memlock", "1"));
	ASSERT_EQ(0, user_limit(user, RLIMIT_MEMLOCK, RLIM_INFINITY));
	EXPECT_EQ(0, user_create(user, 0, 4 * megabyte()));
}

TEST_HARNESS_MAIN
