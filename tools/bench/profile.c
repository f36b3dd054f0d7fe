// SPDX-License-Identifier: GPL-2.0
/*
 * A plugin for QEMU's emulator: counts the instructions of each block of code
 * that runs between two marks which the guest's program sets. See MARK_BYTES().
 *
 * Writes to the file named by its argument, for each marked stretch:
 *   stretch NUMBER
 *   ADDRESS INSTRUCTIONS TIMES		(of each block)
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qemu_plugin.h"

#define EXPORTED __attribute__((visibility("default")))

EXPORTED int qemu_plugin_version = 2;

/* A long no-operation with this in it, and the number of the mark behind. */
static const unsigned char mark[] = { 0x0f, 0x1f, 0x80, 0xaa, 0x5e, 0xed };

enum { NOTHING, BEGIN, END };

struct block {
	struct block *next;
	uint64_t address, instructions, times;
	int marks;
};

static struct block *blocks;
static bool counting;
static unsigned long stretches;
static FILE *out;

static void write_stretch(void)
{
	fprintf(out, "stretch %lu\n", ++stretches);
	for (struct block *block = blocks; block; block = block->next) {
		if (block->times)
			fprintf(out, "%" PRIx64 " %" PRIu64 " %" PRIu64 "\n", block->address,
				block->instructions, block->times);
		block->times = 0;
	}
	fflush(out);
}

static void block_runs(unsigned int cpu, void *data)
{
	struct block *block = data;

	if (block->marks == END && counting)
		write_stretch();
	if (block->marks != NOTHING)
		counting = block->marks == BEGIN;
	else if (counting)
		block->times++;
}

static int marks_of(const struct qemu_plugin_insn *insn)
{
	unsigned char bytes[sizeof(mark) + 1];

	if (qemu_plugin_insn_size(insn) != sizeof(bytes) ||
	    qemu_plugin_insn_data(insn, bytes, sizeof(bytes)) != sizeof(bytes) ||
	    memcmp(bytes, mark, sizeof(mark)))
		return NOTHING;
	return bytes[sizeof(mark)];
}

static void block_translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	struct block *block = calloc(1, sizeof(*block));

	if (!block)
		abort();
	block->address = qemu_plugin_tb_vaddr(tb);
	block->instructions = qemu_plugin_tb_n_insns(tb);
	for (size_t i = 0; i < block->instructions && !block->marks; i++)
		block->marks = marks_of(qemu_plugin_tb_get_insn(tb, i));
	block->next = blocks;
	blocks = block;
	qemu_plugin_register_vcpu_tb_exec_cb(tb, block_runs, 0, block);
}

EXPORTED int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info *info, int argc,
				 char **argv)
{
	const char *name = argc == 1 ? strchr(argv[0], '=') : NULL;

	out = name ? fopen(name + 1, "w") : NULL;
	if (!out)
		return -1;
	qemu_plugin_register_vcpu_tb_trans_cb(id, block_translated);
	return 0;
}
