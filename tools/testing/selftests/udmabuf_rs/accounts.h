/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Accounts of pinned memory: the limits, the ways to create a buffer, and users. A user is a
 * process that follows orders sent over a socket.
 */
#ifndef ACCOUNTS_H
#define ACCOUNTS_H

#include <grp.h>
#include <linux/capability.h>
#include <linux/io_uring.h>
#include <sys/prctl.h>

#include "importer_test.h"

#define USER		65534
#define OTHER_USER	65533

/* Descriptors of buffers that a user has room for, and bytes of its memfd. */
#define BUFS		16
#define MEMORY		(4 * MIB)

/* In pages. */
static inline uint64_t megabyte(void)
{
	return MIB / page_size();
}

/* Ways to create a buffer ---------------------------------------------------- */

enum memory { HOLES, WRITTEN, HUGE_PAGES };

/* TWICE lists a range two times, ONE_PAGE the first page again and again. */
enum way { SINGLE, LIST, TWICE, ONE_PAGE, EXT, WAYS };

static inline int new_memory(enum memory memory)
{
	struct udmabuf_create_item item;

	switch (memory) {
	case HOLES:
		return memfd_new(MEMORY);
	case WRITTEN:
		return listed_memfd(&item, 1, MEMORY);
	default:
		return memfd_new_huge(MEMORY);
	}
}

/* Creates a buffer of @pages pages. ONE_PAGE takes up to 1024. */
static inline int create_by(int dev, enum way way, int memfd, uint64_t pages)
{
	struct udmabuf_create_item items[1024];
	uint64_t pg = page_size(), size = pages * pg, half = pages / 2 * pg;
	uint32_t count = 0;

	switch (way) {
	case SINGLE:
		return create(dev, memfd, 0, size);
	case EXT:
		return create_ext_one(dev, memfd, 0, size, KNOWN_FLAGS, "account");
	case ONE_PAGE:
		for (; count < pages && count < ARRAY_SIZE(items); count++)
			items[count] = (struct udmabuf_create_item){ .memfd = memfd, .size = pg };
		break;
	default:
		items[count++] = (struct udmabuf_create_item){
			.memfd = memfd, .offset = way == LIST ? half : 0, .size = size - half,
		};
		if (half)
			items[count++] = (struct udmabuf_create_item){
				.memfd = memfd, .size = half,
			};
	}
	return create_list(dev, items, count);
}

/* Users ---------------------------------------------------------------------- */

/* Privileges of a user: those of its user ID or, with an effective user ID of 0, more. */
enum privileges { NONE, ALL, ALL_BUT_IPC_LOCK };

enum verb {
	CREATE, CLOSE, GIVE, TAKE, RENEW_MEMORY, SEAL_MEMORY, SET_REAL_UID, NEW_USER_NAMESPACE,
	REGISTER, UNREGISTER, FORK, KEEP_ON_EXEC, EXEC, NEXT_FD,
};

struct order {
	enum verb verb;
	/* Index of a buffer. */
	int buf;
	enum way way;
	/* Pages, a user ID or an enum memory. */
	uint64_t number;
};

struct user {
	pid_t pid;
	int sock;
};

/* As the process of the user knows it. */
struct servant {
	int dev, sock, memfd, ring;
	int bufs[BUFS];
};

/* The users of a test, for its teardown. */
static struct user users[16];
static int nr_users;

static inline int drop_ipc_lock(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data))
		return -errno;
	data[0].effective &= ~(1U << CAP_IPC_LOCK);
	data[0].permitted &= ~(1U << CAP_IPC_LOCK);
	return syscall(SYS_capset, &header, data) ? -errno : 0;
}

/* Registers @pages pages with io_uring, which counts them as locked memory of the user. */
static inline int register_pages(struct servant *s, uint64_t pages)
{
	size_t size = pages * page_size();
	struct io_uring_params params = {};
	struct iovec iov = { .iov_len = size };

	s->ring = syscall(SYS_io_uring_setup, 4, &params);
	if (s->ring < 0)
		return -ENOSYS;
	iov.iov_base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	/* A page of a huge page would count as all of it. */
	madvise(iov.iov_base, size, MADV_NOHUGEPAGE);
	if (syscall(SYS_io_uring_register, s->ring, IORING_REGISTER_BUFFERS, &iov, 1))
		return -errno;
	return 0;
}

static inline int unregister_pages(struct servant *s)
{
	if (syscall(SYS_io_uring_register, s->ring, IORING_UNREGISTER_BUFFERS, NULL, 0))
		return -errno;
	return close(s->ring);
}

/* Replaces the program by the one in main(), which says on the socket that it runs. */
static inline int execute(struct servant *s)
{
	char sock[16];

	fcntl(s->sock, F_SETFD, 0);
	snprintf(sock, sizeof(sock), "%d", s->sock);
	execl("/proc/self/exe", "accounts", "--after-exec", sock, NULL);
	return -errno;
}

/* A child that keeps all descriptors until it or its parent is killed. */
static inline int fork_holder(void)
{
	pid_t pid = fork();

	if (!pid)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (!pid)
		pause();
	return pid;
}

static inline int obey(struct servant *s, const struct order *o)
{
	int *buf = &s->bufs[o->buf], fd;

	switch (o->verb) {
	case CREATE:
		fd = create_by(s->dev, o->way, s->memfd, o->number);
		if (fd < 0)
			return fd;
		*buf = fd;
		return 0;
	case CLOSE:
		return close(*buf) ? -errno : 0;
	case GIVE:
		return send_fds(s->sock, buf, 1);
	case TAKE:
		return recv_fds(s->sock, buf, 1);
	case RENEW_MEMORY:
		close(s->memfd);
		s->memfd = new_memory(o->number);
		return s->memfd < 0 ? s->memfd : 0;
	case SEAL_MEMORY:
		return seal_write(s->memfd);
	case SET_REAL_UID:
		return setresuid(o->number, 0, 0) ? -errno : 0;
	case NEW_USER_NAMESPACE:
		return unshare(CLONE_NEWUSER) ? -errno : 0;
	case REGISTER:
		return register_pages(s, o->number);
	case UNREGISTER:
		return unregister_pages(s);
	case FORK:
		return fork_holder();
	case KEEP_ON_EXEC:
		return fcntl(*buf, F_SETFD, 0);
	case EXEC:
		return execute(s);
	case NEXT_FD:
		/* With an RLIMIT_NOFILE of this, no descriptor is free. */
		fd = dup(0);
		close(fd);
		return fd;
	}
	return -EINVAL;
}

static inline void serve(int dev, int sock, uid_t uid, enum privileges privileges)
{
	struct servant servant = { .dev = dev, .sock = sock, .memfd = memfd_new(MEMORY) };
	uid_t others = privileges == NONE ? uid : 0;
	struct order order;

	CHILD_CHECK(!setgroups(0, NULL));
	if (privileges == ALL_BUT_IPC_LOCK)
		CHILD_CHECK(!drop_ipc_lock());
	CHILD_CHECK(!setresuid(uid, others, others));
	/* Changing the user ID turned it off. */
	CHILD_CHECK(!prctl(PR_SET_PDEATHSIG, SIGKILL));
	while (read(sock, &order, sizeof(order)) == sizeof(order)) {
		int answer = obey(&servant, &order);

		if (order.verb != GIVE)
			CHILD_CHECK(write(sock, &answer, sizeof(answer)) == sizeof(answer));
	}
	_exit(0);
}

/* Starts a process of @uid that creates buffers through @dev. It ends with the test. */
static inline struct user *user_start(int dev, uid_t uid, enum privileges privileges)
{
	struct user *user = &users[nr_users];
	int pair[2];

	if (nr_users == ARRAY_SIZE(users))
		return NULL;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return NULL;
	user->pid = fork();
	if (!user->pid) {
		close(pair[0]);
		serve(dev, pair[1], uid, privileges);
	}
	close(pair[1]);
	user->sock = pair[0];
	nr_users++;
	return user;
}

static inline void user_kill(struct user *user)
{
	if (user->pid <= 0)
		return;
	kill(user->pid, SIGKILL);
	wait_status(user->pid);
	user->pid = 0;
	close(user->sock);
}

static inline int user_do(struct user *user, struct order order)
{
	int answer;

	if (write(user->sock, &order, sizeof(order)) != sizeof(order) ||
	    read(user->sock, &answer, sizeof(answer)) != sizeof(answer))
		return -EPIPE;
	return answer;
}

static inline int user_order(struct user *user, enum verb verb, uint64_t number)
{
	return user_do(user, (struct order){ .verb = verb, .number = number });
}

static inline int user_create_by(struct user *user, int buf, enum way way, uint64_t pages)
{
	struct order order = { .verb = CREATE, .buf = buf, .way = way, .number = pages };

	return user_do(user, order);
}

static inline int user_create(struct user *user, int buf, uint64_t pages)
{
	return user_create_by(user, buf, SINGLE, pages);
}

static inline int user_close(struct user *user, int buf)
{
	return user_do(user, (struct order){ .verb = CLOSE, .buf = buf });
}

/* Returns another descriptor of the buffer, which the user keeps as well. */
static inline int user_give(struct user *user, int buf)
{
	struct order order = { .verb = GIVE, .buf = buf };
	int fd, err;

	if (write(user->sock, &order, sizeof(order)) != sizeof(order))
		return -EPIPE;
	err = recv_fds(user->sock, &fd, 1);
	return err ?: fd;
}

/* Passes @fd on to the user, as buffer @buf of it. */
static inline int user_take(struct user *user, int buf, int fd)
{
	struct order order = { .verb = TAKE, .buf = buf };
	int answer;

	if (write(user->sock, &order, sizeof(order)) != sizeof(order) ||
	    send_fds(user->sock, &fd, 1) ||
	    read(user->sock, &answer, sizeof(answer)) != sizeof(answer))
		return -EPIPE;
	return answer;
}

static inline int user_limit(struct user *user, int resource, rlim_t limit)
{
	struct rlimit both = { limit, RLIM_INFINITY };

	if (resource == RLIMIT_NOFILE)
		both.rlim_max = 1024;
	return prlimit(user->pid, resource, &both, NULL) ? -errno : 0;
}

/* Opens the node as a task with this real user ID. */
static inline int node_open_as(uid_t uid)
{
	int dev;

	if (setresuid(uid, 0, 0))
		return -errno;
	dev = node_open();
	return setresuid(0, 0, 0) ? -errno : dev;
}

/* Limits --------------------------------------------------------------------- */

enum limit { OF_USER, OF_TOTAL, OF_MEMLOCK, LIMITS };

static const char * const limit_params[LIMITS] = { "user_limit_mb", "total_limit_mb", "memlock" };

/* Sets a limit of @mb megabytes for @user, or none if that is 0. */
static inline int limit_set(enum limit limit, struct user *user, int mb)
{
	if (limit == OF_MEMLOCK && mb && user_limit(user, RLIMIT_MEMLOCK, mb * MIB))
		return -EPERM;
	return param_set_number(limit_params[limit], limit == OF_MEMLOCK ? !!mb : mb);
}

static inline void limits_set(const long long *values)
{
	for (int i = 0; i < LIMITS; i++)
		param_set_number(limit_params[i], values[i]);
}

static inline void limits_off(void)
{
	static const long long none[LIMITS];

	limits_set(none);
}

/* Whether there are @count buffers of @bytes bytes together, now. */
static inline bool held_is(long long count, uint64_t bytes)
{
	return param_get("buffers") == count && param_get("pinned_bytes") == bytes;
}

/* Pages may be unpinned by another task, or on a workqueue. */
static inline bool held_is_soon(long long count, uint64_t bytes)
{
	for (int i = 0; i < 100 && !held_is(count, bytes); i++)
		sleep_us(50000);
	return held_is(count, bytes);
}

/* Returns whether the limits leave @user room for @pages pages, and no more. */
static inline bool room_is(struct user *user, uint64_t pages)
{
	int err = 0;

	if (user_create(user, BUFS - 1, pages + 1) != -ENOMEM)
		return false;
	/* A moment after the counters. */
	for (int i = 0; i < 20 && pages; i++) {
		err = user_create(user, BUFS - 1, pages);
		if (!err)
			return !user_close(user, BUFS - 1);
		sleep_us(10000);
	}
	return !err;
}

/*
 * Tries each limit alone, at one megabyte. Returns the name of one that does not leave @user what
 * remains after so many pages of the user, of all users, and of locked memory; or "". No limit is
 * set afterwards.
 */
static inline const char *wrong_limit(struct user *user, uint64_t of_user, uint64_t of_total,
				      uint64_t of_memlock)
{
	uint64_t held[LIMITS] = { of_user, of_total, of_memlock };
	const char *wrong = "";

	for (int i = 0; i < LIMITS && !*wrong; i++) {
		limits_off();
		if (limit_set(i, user, 1) || !room_is(user, megabyte() - held[i]))
			wrong = limit_params[i];
	}
	limits_off();
	return wrong;
}

/* The same, where nobody holds anything: it is waited for. */
static inline const char *not_given_back(struct user *user)
{
	return held_is_soon(0, 0) ? wrong_limit(user, 0, 0, 0) : "counters";
}

/* Takes the memory that a device with FEW_BITS reaches, as long as the memfd is open. */
static inline int take_low_memory(void)
{
	int memfd = memfd_new(300 * MIB);

	return fallocate(memfd, 0, 0, 300 * MIB) ? -errno : memfd;
}

struct accounts {
	int dev, kmsg;
	long long limits[LIMITS];
};

/* Returns NULL, or the reason why the tests are skipped. */
static inline const char *accounts_skipped(void)
{
	if (is_c_driver())
		return "the C driver has no accounts";
	return geteuid() ? "needs root" : NULL;
}

static inline void accounts_begin(struct accounts *a)
{
	a->kmsg = kmsg_open();
	a->dev = node_open();
	for (int i = 0; i < LIMITS; i++)
		a->limits[i] = param_get(limit_params[i]);
	limits_off();
}

static inline void accounts_end(struct accounts *a)
{
	for (int i = 0; i < nr_users; i++)
		user_kill(&users[i]);
	limits_set(a->limits);
	close(a->kmsg);
	close(a->dev);
}

/* A test begins and ends with no buffers in the system. */
#define ACCOUNTS_SETUP() do {						\
	if (accounts_skipped())						\
		SKIP(return, "%s", accounts_skipped());			\
	ASSERT_TRUE(held_is_soon(0, 0))					\
		TH_LOG("there are other buffers");			\
	accounts_begin(&self->a);					\
	ASSERT_LE(0, self->a.dev);					\
} while (0)

#define ACCOUNTS_TEARDOWN() do {					\
	EXPECT_EQ(0, kmsg_reports(self->a.kmsg));			\
	accounts_end(&self->a);						\
	EXPECT_TRUE(held_is_soon(0, 0));				\
} while (0)

#define ACCOUNTS_FIXTURE(subject)					\
FIXTURE(subject)							\
{									\
	struct accounts a;						\
};									\
FIXTURE_SETUP(subject)							\
{									\
	ACCOUNTS_SETUP();						\
}									\
FIXTURE_TEARDOWN(subject)						\
{									\
	ACCOUNTS_TEARDOWN();						\
}									\
struct subject##_needs_semicolon

#endif /* ACCOUNTS_H */
