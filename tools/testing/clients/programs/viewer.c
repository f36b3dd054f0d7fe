// SPDX-License-Identifier: GPL-2.0
/*
 * viewer DESCRIPTOR SIZE: imports a dma-buf, and for each line on stdin has the device copy it to
 * memory of its own, and writes that to stdout.
 *
 * CPU access is bracketed by the program that writes the line.
 */
#include <unistd.h>

#include "gpu.h"

int main(int argc, char **argv)
{
	struct gpu gpu = {};
	struct memory shared, own;
	char line[16];

	if (argc != 3)
		die("usage: viewer DESCRIPTOR SIZE", 0);
	open_gpu(&gpu);
	shared = imported(&gpu, strtoull(argv[2], NULL, 10), dup(atoi(argv[1])));
	own = allocated(&gpu, shared.size, false);
	while (fgets(line, sizeof(line), stdin)) {
		copy(&gpu, &shared, &own);
		fwrite(own.bytes, 1, own.size, stdout);
		fflush(stdout);
	}
	drop(&shared);
	drop(&own);
	close_gpu(&gpu);
	return 0;
}
