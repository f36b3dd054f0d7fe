// SPDX-License-Identifier: GPL-2.0
/*
 * exporter: dma-bufs of another exporter on the same core, samples/rust_dma_buf_exporter.rs,
 * whose memory is that of a vector. Needs it, the importer beside it, and the module in importer/.
 */
#include "importer_test.h"

#define EXPORTER	"/dev/rust_dma_buf_exporter"
#define EXPORT		_IO('d', 2)
#define GREETING	"hello from an exporter"

/* The sample importer: its device reads a line, and writes ANSWER in its place. */
#define SAMPLE_IMPORTER	"/dev/rust_dma_buf_importer"
#define LOOK_AT		_IO('d', 1)
#define ANSWER		"hello from a device"

#define PAGES		5

FIXTURE(exporter)
{
	int kmsg;
	int node;
	int importer;
	size_t size;
	int buf;
	char *b;
};

FIXTURE_SETUP(exporter)
{
	self->kmsg = kmsg_open();
	self->node = open(EXPORTER, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->node)
		TH_LOG("%s: %s", EXPORTER, strerror(errno));
	self->importer = importer_open();
	ASSERT_LE(0, self->importer);
	self->size = PAGES * sysconf(_SC_PAGESIZE);
	self->buf = ioctl(self->node, EXPORT, PAGES);
	ASSERT_LE(0, self->buf);
	self->b = map_rw(self->buf, self->size);
	ASSERT_NE(MAP_FAILED, self->b);
}

FIXTURE_TEARDOWN(exporter)
{
	munmap(self->b, self->size);
	close(self->buf);
	close(self->importer);
	close(self->node);
	EXPECT_EQ(0, kmsg_reports(self->kmsg));
	close(self->kmsg);
}

/* The number of users of the exporter's module: living buffers, and open files of its node. */
static long long users(void)
{
	return read_number("/sys/module/rust_dma_buf_exporter/refcnt");
}

TEST_F(exporter, new_memory_is_a_greeting_and_zeroes)
{
	EXPECT_EQ(self->size, lseek(self->buf, 0, SEEK_END));
	EXPECT_STREQ(GREETING, self->b);
	for (size_t i = sizeof(GREETING); i < self->size; i++)
		ASSERT_EQ(0, self->b[i]);
}

TEST_F(exporter, refuses_what_makes_no_sense)
{
	EXPECT_EQ(-1, ioctl(self->node, EXPORT, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, ioctl(self->node, EXPORT, -1UL));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, ioctl(self->node, LOOK_AT, 1));
	EXPECT_EQ(ENOTTY, errno);
	EXPECT_EQ(MAP_FAILED, map_rw(self->buf, 2 * self->size));
	EXPECT_EQ(EINVAL, errno);
}

TEST_F(exporter, sample_importer_moves_bytes)
{
	int importer = open(SAMPLE_IMPORTER, O_RDWR | O_CLOEXEC);

	ASSERT_LE(0, importer)
		TH_LOG("%s: %s", SAMPLE_IMPORTER, strerror(errno));
	ASSERT_EQ(0, buf_sync(self->buf, DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW));
	strcpy(self->b, "hello from a program");
	ASSERT_EQ(0, buf_sync(self->buf, DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW));
	ASSERT_EQ(0, ioctl(importer, LOOK_AT, self->buf));
	EXPECT_STREQ(ANSWER, self->b);
	close(importer);
}

TEST_F(exporter, device_reads_and_writes_in_brackets)
{
	char *bytes = malloc(self->size);

	ASSERT_NE(NULL, bytes);
	ASSERT_EQ(0, importer_map(self->importer, 0, self->buf, IMPORTER_FAUX,
				  IMPORTER_BIDIRECTIONAL));

	ASSERT_EQ(0, buf_sync(self->buf, DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW));
	for (size_t i = 0; i < self->size; i++)
		self->b[i] = i % 251;
	ASSERT_EQ(0, buf_sync(self->buf, DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW));
	ASSERT_EQ(0, importer_copy(self->importer, IMPORTER_READ, 0, 0, bytes, self->size));
	EXPECT_EQ(0, memcmp(bytes, self->b, self->size));

	memset(bytes, 0x5a, self->size);
	ASSERT_EQ(0, importer_copy(self->importer, IMPORTER_WRITE, 0, 0, bytes, self->size));
	ASSERT_EQ(0, buf_sync(self->buf, DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ));
	EXPECT_EQ(0, memcmp(bytes, self->b, self->size));
	ASSERT_EQ(0, buf_sync(self->buf, DMA_BUF_SYNC_END | DMA_BUF_SYNC_READ));

	memset(bytes, 0xa5, self->size);
	ASSERT_EQ(0, importer_copy(self->importer, IMPORTER_WRITE, 0, 0, bytes, self->size));
	ASSERT_EQ(0, importer_slot(self->importer, IMPORTER_UNMAP, 0));
	EXPECT_EQ(0, memcmp(bytes, self->b, self->size));
	free(bytes);
}

TEST_F(exporter, kernel_mapping_is_the_same_memory)
{
	char bytes[64];

	ASSERT_EQ(0, importer_vmap(self->importer, 0, self->buf));
	ASSERT_EQ(0, importer_copy(self->importer, IMPORTER_VMAP_READ, 0, 0, bytes, sizeof(bytes)));
	EXPECT_STREQ(GREETING, bytes);
	memset(bytes, 7, sizeof(bytes));
	ASSERT_EQ(0, importer_copy(self->importer, IMPORTER_VMAP_WRITE, 0,
				   self->size - sizeof(bytes), bytes, sizeof(bytes)));
	EXPECT_EQ(0, memcmp(bytes, self->b + self->size - sizeof(bytes), sizeof(bytes)));
	EXPECT_EQ(0, importer_slot(self->importer, IMPORTER_VUNMAP, 0));
}

TEST_F(exporter, a_buffer_keeps_the_module)
{
	long long before = users();

	ASSERT_EQ(0, munmap(self->b, self->size));
	ASSERT_EQ(0, importer_map(self->importer, 0, self->buf, IMPORTER_FAUX,
				  IMPORTER_TO_DEVICE));
	ASSERT_EQ(0, close(self->buf));
	EXPECT_EQ(before, users());
	EXPECT_EQ(-1, syscall(SYS_delete_module, "rust_dma_buf_exporter", O_NONBLOCK));
	EXPECT_EQ(EWOULDBLOCK, errno);
	ASSERT_EQ(0, importer_slot(self->importer, IMPORTER_UNMAP, 0));
	/* The last reference of a file is given back after the call. */
	for (int i = 0; i < 100 && users() == before; i++)
		usleep(10000);
	EXPECT_EQ(before - 1, users());

	self->buf = ioctl(self->node, EXPORT, PAGES);
	self->b = map_rw(self->buf, self->size);
}

TEST_HARNESS_MAIN
