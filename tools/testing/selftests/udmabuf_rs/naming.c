// SPDX-License-Identifier: GPL-2.0
/*
 * naming: what the node is called, beside the C driver and alone.
 *
 * Loads and unloads the module, so it wants it loaded and unused at the start
 * and leaves it so. Every test also looks for a stack dump in the kernel log.
 */
#include "udmabuf_test.h"

#define CLASS	"/sys/class/misc/"

FIXTURE(naming)
{
	int kmsg;
	/* Does another driver hold the name udmabuf? */
	bool beside;
};

/* Does the parameter read @name? */
static bool node_reads(const char *name)
{
	char path[PATH_MAX], text[64], line[64];

	snprintf(path, sizeof(path), "/sys/module/%s/parameters/node", module_name());
	snprintf(line, sizeof(line), "%s\n", name);
	read_text(path, text, sizeof(text));
	return !strcmp(text, line);
}

static bool exists(const char *dir, const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s%s", dir, name);
	return !access(path, F_OK);
}

/* Does a buffer come out of /dev/@name? */
static bool works(const char *name)
{
	char path[PATH_MAX];
	int dev, memfd, buf;

	snprintf(path, sizeof(path), "/dev/%s", name);
	dev = open(path, O_RDWR | O_CLOEXEC);
	memfd = memfd_new(page_size());
	buf = create(dev, memfd, 0, page_size());
	close(buf);
	close(memfd);
	close(dev);
	return buf >= 0;
}

FIXTURE_SETUP(naming)
{
	self->kmsg = kmsg_open();
	if (is_c_driver())
		SKIP(return, "the C driver is built in and has one name");
	if (access(module_file(), R_OK))
		SKIP(return, "no %s to load", module_file());
	module_unload();
	self->beside = exists(CLASS, "udmabuf");
}

FIXTURE_TEARDOWN(naming)
{
	if (!is_c_driver()) {
		module_unload();
		EXPECT_EQ(0, module_load(""));
	}
	EXPECT_EQ(0, kmsg_reports(self->kmsg));
	close(self->kmsg);
}

TEST_F(naming, automatic_name)
{
	const char *want = self->beside ? "udmabuf_rs" : "udmabuf";
	struct stat st;
	char path[64];

	EXPECT_FALSE(exists(CLASS, "udmabuf_rs"));
	ASSERT_EQ(0, module_load(""));
	EXPECT_TRUE(exists(CLASS, want));
	EXPECT_TRUE(works(want));
	EXPECT_EQ(self->beside, exists("/dev/", "udmabuf_rs"));
	EXPECT_TRUE(node_reads(want));
	/* The neighbour is none the worse for it. */
	EXPECT_TRUE(works("udmabuf"));
	snprintf(path, sizeof(path), "/dev/%s", want);
	ASSERT_EQ(0, stat(path, &st));
	EXPECT_EQ(0600, st.st_mode & 07777);
	ASSERT_EQ(0, module_unload());
	EXPECT_FALSE(exists("/dev/", "udmabuf_rs"));
	EXPECT_EQ(self->beside, exists("/dev/", "udmabuf"));
}

TEST_F(naming, empty_name_is_automatic)
{
	ASSERT_EQ(0, module_load("node="));
	EXPECT_TRUE(node_reads(self->beside ? "udmabuf_rs" : "udmabuf"));
	EXPECT_TRUE(works(self->beside ? "udmabuf_rs" : "udmabuf"));
}

TEST_F(naming, name_of_ones_own)
{
	static const char * const names[] = { "udmabuf_rs", "u", "my-udmabuf.2", "udmabuf2" };
	char params[64];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(params, sizeof(params), "node=%s", names[i]);
		ASSERT_EQ(0, module_load(params));
		EXPECT_TRUE(works(names[i]));
		EXPECT_TRUE(node_reads(names[i]));
		if (!self->beside)
			EXPECT_FALSE(exists("/dev/", "udmabuf"));
		ASSERT_EQ(0, module_unload());
		EXPECT_FALSE(exists("/dev/", names[i]));
	}
}

TEST_F(naming, bad_names_are_EINVAL)
{
	static const char * const bad[] = {
		"node=a/b", "node=/dev/udmabuf", "node=.", "node=..", "node=../udmabuf",
		"node=\"a b\"", "node=a!b", "node=udma\001buf",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		int err = module_load(bad[i]);

		EXPECT_EQ(-EINVAL, err)
			TH_LOG("%s", bad[i]);
		if (!err)
			module_unload();
	}
}

TEST_F(naming, name_that_is_too_long_is_refused)
{
	char params[5000] = "node=";
	int err;

	memset(params + 5, 'n', sizeof(params) - 6);
	err = module_load(params);
	/* ENOSPC is what the kernel's own string parameters answer. */
	EXPECT_TRUE(err == -EINVAL || err == -ENOSPC || err == -ENAMETOOLONG);
	params[5 + 300] = '\0';
	err = module_load(params);
	EXPECT_TRUE(err == -EINVAL || err == -ENOSPC || err == -ENAMETOOLONG);
}

/* The driver says EEXIST; the module loader keeps that for modules and makes it EBUSY. */
TEST_F(naming, name_in_use_is_refused)
{
	int err;

	if (!self->beside && !exists(CLASS, "cpu_dma_latency"))
		SKIP(return, "no other misc device here");
	err = module_load(self->beside ? "node=udmabuf" : "node=cpu_dma_latency");
	EXPECT_TRUE(err == -EBUSY || err == -EEXIST);
	EXPECT_FALSE(exists("/sys/module/", "udmabuf_rs"));
	/* It holds nothing that would keep it from trying again. */
	EXPECT_EQ(0, module_load("node=another"));
	EXPECT_TRUE(works("another"));
}

TEST_F(naming, unknown_parameter_does_no_harm)
{
	EXPECT_EQ(0, module_load("no_such_thing=1"));
	EXPECT_TRUE(works(self->beside ? "udmabuf_rs" : "udmabuf"));
}

TEST_HARNESS_MAIN
