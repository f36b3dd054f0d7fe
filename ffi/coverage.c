// SPDX-License-Identifier: GPL-2.0
/*
 * Coverage of the module's own code, for tools/testing/fuzz: in builds with
 * CONFIG_UDMABUF_RS_COVERAGE, compilers call __sanitizer_cov_trace_pc() in each basic block.
 *
 * The module parameter coverage=1 makes /dev/udmabuf_rs_coverage, a struct coverage that can be
 * mapped. Blocks are numbered in the order in which they are first reached, so that counters lie
 * side by side. Blocks that work queues and interrupts run count as well, which KCOV leaves out.
 */
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/vmalloc.h>

#define MAX_BLOCKS	16384

/* As tools/testing/fuzz maps it. */
struct coverage {
	/* How often each block was reached, up to 255; the fuzzer sets them to 0. */
	u8 counters[MAX_BLOCKS];
	/* Of each block where its call returns to, less the address of the module's code. */
	u32 offsets[MAX_BLOCKS];
	/* The largest number of a block, or more if there are too many. The smallest is 1. */
	atomic_t blocks;
};

/* By offset in the module's code: the number of the block, 0 for none yet. */
static u16 *numbers;
static struct coverage *coverage;

static u16 new_number(u16 *number, unsigned long offset)
{
	u32 next;
	u16 old;

	if ((u32)atomic_read(&coverage->blocks) >= MAX_BLOCKS)
		return 0;
	next = atomic_inc_return(&coverage->blocks);
	if (next >= MAX_BLOCKS)
		return 0;
	old = cmpxchg(number, 0, next);
	/* Another CPU has numbered the block meanwhile: this number stays unused. */
	if (old)
		return old;
	WRITE_ONCE(coverage->offsets[next], offset);
	return next;
}

void __sanitizer_cov_trace_pc(void);

void notrace __sanitizer_cov_trace_pc(void)
{
	const struct module_memory *text = &THIS_MODULE->mem[MOD_TEXT];
	unsigned long offset = _RET_IP_ - (unsigned long)text->base;
	u16 *all = READ_ONCE(numbers), number;

	if (!all || offset >= text->size)
		return;
	number = READ_ONCE(all[offset]) ?: new_number(&all[offset], offset);
	if (number && coverage->counters[number] != U8_MAX)
		coverage->counters[number]++;
}

static int coverage_mmap(struct file *file, struct vm_area_struct *vma)
{
	return remap_vmalloc_range(vma, coverage, vma->vm_pgoff);
}

static const struct file_operations coverage_fops = {
	.owner = THIS_MODULE,
	.mmap = coverage_mmap,
};

static struct miscdevice coverage_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "udmabuf_rs_coverage",
	.fops = &coverage_fops,
	.mode = 0600,
};

static int coverage_set(const char *value, const struct kernel_param *param)
{
	u16 *all;
	int err;

	if (!sysfs_streq(value, "1") || numbers)
		return -EINVAL;
	coverage = vmalloc_user(sizeof(*coverage));
	all = vzalloc(array_size(THIS_MODULE->mem[MOD_TEXT].size, sizeof(*all)));
	err = coverage && all ? misc_register(&coverage_device) : -ENOMEM;
	if (err) {
		vfree(all);
		vfree(coverage);
		return err;
	}
	/* Pairs with READ_ONCE() of it: counting begins once there is something to count in. */
	smp_store_release(&numbers, all);
	return 0;
}

/* When the module goes. */
static void coverage_free(void *none)
{
	u16 *all = numbers;

	if (!all)
		return;
	WRITE_ONCE(numbers, NULL);
	misc_deregister(&coverage_device);
	vfree(all);
	vfree(coverage);
}

static const struct kernel_param_ops coverage_ops = {
	.set = coverage_set,
	.free = coverage_free,
};

module_param_cb(coverage, &coverage_ops, NULL, 0200);
MODULE_PARM_DESC(coverage, "1: make /dev/udmabuf_rs_coverage");
