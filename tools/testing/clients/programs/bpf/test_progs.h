/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Minimal replacement of the BPF selftests' harness: just enough to build dmabuf_iter.c
 * without the other tests.
 */
#ifndef TEST_PROGS_H
#define TEST_PROGS_H

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <bpf/bpf.h>

/* Counts an assertion, and reports it if it does not hold. Returns @holds. */
bool assertion(bool holds, const char *what, int line);

#define ASSERT(holds, what)		assertion(holds, what, __LINE__)
#define ASSERT_TRUE(value, what)	ASSERT(value, what)
#define ASSERT_EQ(a, b, what)		ASSERT((a) == (b), what)
#define ASSERT_LE(a, b, what)		ASSERT((a) <= (b), what)
#define ASSERT_GT(a, b, what)		ASSERT((a) > (b), what)
#define ASSERT_OK(result, what)		ASSERT((result) == 0, what)
#define ASSERT_OK_FD(file, what)	ASSERT((file) >= 0, what)
#define ASSERT_OK_PTR(pointer, what)	ASSERT(pointer, what)

/* Always true: every subtest runs. */
bool test__start_subtest(const char *name);

void test_dmabuf_iter(void);

#endif
