// SPDX-License-Identifier: GPL-2.0
/*
 * Holds udmabuf_importer.h to the numbers below while building; abi.rs holds
 * itself to the same numbers.
 */
#include <linux/build_bug.h>
#include <linux/stddef.h>

#include "udmabuf_importer.h"

#define SIZE(name, size)	static_assert(sizeof(struct importer_##name) == (size))
#define FIELD(name, field, offset, size)						\
	static_assert(offsetof(struct importer_##name, field) == (offset) &&		\
		      sizeof_field(struct importer_##name, field) == (size))

SIZE(limits, 32);
FIELD(limits, max_segment, 0, 4);
FIELD(limits, flags, 4, 4);
FIELD(limits, boundary, 8, 8);
FIELD(limits, dma_mask, 16, 8);
FIELD(limits, coherent_mask, 24, 8);

SIZE(map, 16);
FIELD(map, slot, 0, 4);
FIELD(map, fd, 4, 4);
FIELD(map, direction, 8, 4);
FIELD(map, device, 12, 4);

SIZE(map_many, 20);
FIELD(map_many, fd, 0, 4);
FIELD(map_many, direction, 4, 4);
FIELD(map_many, device, 8, 4);
FIELD(map_many, flags, 12, 4);
FIELD(map_many, count, 16, 4);

SIZE(bytes, 32);
FIELD(bytes, slot, 0, 4);
FIELD(bytes, pad, 4, 4);
FIELD(bytes, offset, 8, 8);
FIELD(bytes, length, 16, 8);
FIELD(bytes, address, 24, 8);

SIZE(store, 40);
FIELD(store, slot, 0, 4);
FIELD(store, owner, 4, 4);
FIELD(store, value, 8, 4);
FIELD(store, pad, 12, 4);
FIELD(store, offset, 16, 8);
FIELD(store, length, 24, 8);
FIELD(store, address, 32, 8);

SIZE(segments, 48);
FIELD(segments, slot, 0, 4);
FIELD(segments, count, 4, 4);
FIELD(segments, longest, 8, 8);
FIELD(segments, total, 16, 8);
FIELD(segments, crossed, 24, 8);
FIELD(segments, highest, 32, 8);
FIELD(segments, elsewhere, 40, 4);
FIELD(segments, translated, 44, 4);

SIZE(vmap, 8);
FIELD(vmap, slot, 0, 4);
FIELD(vmap, fd, 4, 4);

SIZE(access, 8);
FIELD(access, fd, 0, 4);
FIELD(access, direction, 4, 4);

SIZE(fence, 16);
FIELD(fence, slot, 0, 4);
FIELD(fence, fd, 4, 4);
FIELD(fence, writes, 8, 4);
FIELD(fence, pad, 12, 4);

static_assert(IMPORTER_MMAP_SHIFT == 30);
static_assert(IMPORTER_SLOTS == 32);
static_assert(IMPORTER_BIDIRECTIONAL == 0 && IMPORTER_TO_DEVICE == 1);
static_assert(IMPORTER_FROM_DEVICE == 2);
static_assert(IMPORTER_FAUX == 0 && IMPORTER_EDU == 1 && IMPORTER_NO_DRIVER == 2);
static_assert(IMPORTER_FAUX_2 == 3 && IMPORTER_FAUX_3 == 4);
static_assert(IMPORTER_NO_MASK == 1 && IMPORTER_NO_COHERENT_MASK == 2);
static_assert(IMPORTER_ATTACH_EACH == 1);

static_assert(_IOC(_IOC_WRITE, 'I', 1, 32) == IMPORTER_LIMITS);
static_assert(_IOC(_IOC_WRITE, 'I', 2, 16) == IMPORTER_MAP);
static_assert(_IOC(_IOC_NONE, 'I', 3, 0) == IMPORTER_UNMAP);
static_assert(_IOC(_IOC_WRITE, 'I', 4, 32) == IMPORTER_READ);
static_assert(_IOC(_IOC_WRITE, 'I', 5, 32) == IMPORTER_WRITE);
static_assert(_IOC(_IOC_READ | _IOC_WRITE, 'I', 6, 48) == IMPORTER_SEGMENTS);
static_assert(_IOC(_IOC_NONE, 'I', 7, 0) == IMPORTER_CHANGE_TABLE);
static_assert(_IOC(_IOC_NONE, 'I', 8, 0) == IMPORTER_LEAK);
static_assert(_IOC(_IOC_WRITE, 'I', 9, 20) == IMPORTER_MAP_MANY);
static_assert(_IOC(_IOC_NONE, 'I', 10, 0) == IMPORTER_UNMAP_MANY);
static_assert(_IOC(_IOC_WRITE, 'I', 11, 40) == IMPORTER_STORE);
static_assert(_IOC(_IOC_WRITE, 'I', 16, 8) == IMPORTER_VMAP);
static_assert(_IOC(_IOC_NONE, 'I', 17, 0) == IMPORTER_VUNMAP);
static_assert(_IOC(_IOC_WRITE, 'I', 18, 32) == IMPORTER_VMAP_READ);
static_assert(_IOC(_IOC_WRITE, 'I', 19, 32) == IMPORTER_VMAP_WRITE);
static_assert(_IOC(_IOC_NONE, 'I', 20, 0) == IMPORTER_MMAP);
static_assert(_IOC(_IOC_WRITE, 'I', 24, 8) == IMPORTER_BEGIN);
static_assert(_IOC(_IOC_WRITE, 'I', 25, 8) == IMPORTER_END);
static_assert(_IOC(_IOC_WRITE, 'I', 32, 16) == IMPORTER_FENCE);
static_assert(_IOC(_IOC_NONE, 'I', 33, 0) == IMPORTER_SIGNAL);
static_assert(_IOC(_IOC_NONE, 'I', 40, 0) == IMPORTER_UNPLUG);
static_assert(_IOC(_IOC_NONE, 'I', 41, 0) == IMPORTER_PLUG);
static_assert(_IOC(_IOC_NONE, 'I', 42, 0) == IMPORTER_ADD_AND_REMOVE);
static_assert(_IOC(_IOC_NONE, 'I', 43, 0) == IMPORTER_REFUSE);
