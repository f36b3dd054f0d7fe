// SPDX-License-Identifier: GPL-2.0
/* Runs dmabuf_iter.c of the BPF selftests, and prints "N of N assertions in N subtests". */
#include "test_progs.h"

static int held, made, subtests;

bool assertion(bool holds, const char *what, int line)
{
	made++;
	if (holds)
		held++;
	else
		printf("line %d: %s: does not hold (%s)\n", line, what, strerror(errno));
	return holds;
}

bool test__start_subtest(const char *name)
{
	printf("%s\n", name);
	subtests++;
	return true;
}

int main(void)
{
	test_dmabuf_iter();
	printf("%d of %d assertions in %d subtests\n", held, made, subtests);
	return held != made;
}
