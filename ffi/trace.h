/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tracepoints: what happens to a buffer. Documentation/udmabuf_rs.rst lists the events.
 *
 * A buffer is named by the inode number of its dma-buf, as fstat() returns it.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM udmabuf_rs

#if !defined(UDMABUF_RS_FFI_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define UDMABUF_RS_FFI_TRACE_H

#include <linux/device.h>
#include <linux/dma-buf.h>
#include <linux/fs.h>
#include <linux/sched.h>
#include <linux/tracepoint.h>

/*
 * A new dma-buf, which nobody can rename yet. @runs: of physically contiguous pages.
 * @flags: seam/system_memory/trace.rs. comm: tracefs may not know the command of a task yet.
 */
TRACE_EVENT(udmabuf_rs_create,
	TP_PROTO(struct dma_buf *dmabuf, size_t runs, u32 flags),
	TP_ARGS(dmabuf, runs, flags),
	TP_STRUCT__entry(
		__field(u64, ino)
		__field(u64, bytes)
		__field(u64, runs)
		__field(u32, flags)
		__string(name, dmabuf->name)
		__array(char, comm, TASK_COMM_LEN)
	),
	TP_fast_assign(
		__entry->ino = file_inode(dmabuf->file)->i_ino;
		__entry->bytes = dmabuf->size;
		__entry->runs = runs;
		__entry->flags = flags;
		__assign_str(name);
		memcpy(__entry->comm, current->comm, TASK_COMM_LEN);
	),
	TP_printk("ino=%llu bytes=%llu runs=%llu flags=%s name=%s comm=%s", __entry->ino,
		  __entry->bytes, __entry->runs,
		  __print_flags(__entry->flags, "|",
				{ 1, "READ_ONLY" }, { 2, "NO_CPU_MAP" }),
		  __get_str(name), __entry->comm)
);

TRACE_EVENT(udmabuf_rs_release,
	TP_PROTO(u64 ino, size_t bytes),
	TP_ARGS(ino, bytes),
	TP_STRUCT__entry(
		__field(u64, ino)
		__field(u64, bytes)
	),
	TP_fast_assign(
		__entry->ino = ino;
		__entry->bytes = bytes;
	),
	TP_printk("ino=%llu bytes=%llu", __entry->ino, __entry->bytes)
);

/* A mapping for a device. @direction: enum dma_data_direction, as ffi/trace.c checks. */
DECLARE_EVENT_CLASS(udmabuf_rs_mapping,
	TP_PROTO(u64 ino, size_t bytes, struct device *dev, u32 direction, bool staged),
	TP_ARGS(ino, bytes, dev, direction, staged),
	TP_STRUCT__entry(
		__field(u64, ino)
		__field(u64, bytes)
		__field(u32, direction)
		__field(u8, staged)
		__string(device, dev_name(dev))
	),
	TP_fast_assign(
		__entry->ino = ino;
		__entry->bytes = bytes;
		__entry->direction = direction;
		__entry->staged = staged;
		__assign_str(device);
	),
	TP_printk("ino=%llu bytes=%llu device=%s direction=%s %s", __entry->ino,
		  __entry->bytes, __get_str(device),
		  __print_symbolic(__entry->direction, { 0, "BIDIRECTIONAL" },
				   { 1, "TO_DEVICE" }, { 2, "FROM_DEVICE" }),
		  __entry->staged ? "staged" : "direct")
);

DEFINE_EVENT(udmabuf_rs_mapping, udmabuf_rs_map,
	TP_PROTO(u64 ino, size_t bytes, struct device *dev, u32 direction, bool staged),
	TP_ARGS(ino, bytes, dev, direction, staged)
);

DEFINE_EVENT(udmabuf_rs_mapping, udmabuf_rs_unmap,
	TP_PROTO(u64 ino, size_t bytes, struct device *dev, u32 direction, bool staged),
	TP_ARGS(ino, bytes, dev, direction, staged)
);

/*
 * @point: as in the enum of seam/system_memory/settle.rs. @fetched, @pushed: bytes changed in
 * memory and in stagings. @ns: without waiting for the lock. @ret: 0 or -errno.
 */
TRACE_EVENT(udmabuf_rs_settle,
	TP_PROTO(u64 ino, size_t bytes, u32 point, size_t fetched, size_t pushed, u64 ns, int ret),
	TP_ARGS(ino, bytes, point, fetched, pushed, ns, ret),
	TP_STRUCT__entry(
		__field(u64, ino)
		__field(u64, bytes)
		__field(u64, fetched)
		__field(u64, pushed)
		__field(u64, ns)
		__field(u32, point)
		__field(int, ret)
	),
	TP_fast_assign(
		__entry->ino = ino;
		__entry->bytes = bytes;
		__entry->fetched = fetched;
		__entry->pushed = pushed;
		__entry->ns = ns;
		__entry->point = point;
		__entry->ret = ret;
	),
	TP_printk("ino=%llu bytes=%llu point=%s fetched=%llu pushed=%llu ns=%llu ret=%d",
		  __entry->ino, __entry->bytes,
		  __print_symbolic(__entry->point, { 0, "start" }, { 1, "end" },
				   { 2, "map" }, { 3, "unmap" }),
		  __entry->fetched, __entry->pushed, __entry->ns, __entry->ret)
);

#endif /* UDMABUF_RS_FFI_TRACE_H */

/* The Makefile adds this directory to the search path of trace.c. */
#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
