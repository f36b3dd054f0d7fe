// SPDX-License-Identifier: GPL-2.0
/*
 * The contract, checked while building. Three parties must agree: the kernel's
 * <linux/udmabuf.h>, this project's uapi/linux/udmabuf.h and the structs of
 * uapi/mod.rs. This file holds the first two to each other and to the numbers
 * below; uapi/mod.rs holds itself to the same numbers.
 */
#include <linux/build_bug.h>
#include <linux/stddef.h>
#include <uapi/linux/udmabuf.h>

enum {
	KERNEL_CLOEXEC = UDMABUF_FLAGS_CLOEXEC,
	KERNEL_CREATE = UDMABUF_CREATE,
	KERNEL_CREATE_LIST = UDMABUF_CREATE_LIST,
};

/* Ours has the guard and the names of the kernel's: read it under other names. */
#undef _UAPI_LINUX_UDMABUF_H
#undef UDMABUF_FLAGS_CLOEXEC
#undef UDMABUF_CREATE
#undef UDMABUF_CREATE_LIST
#define udmabuf_create ours_create
#define udmabuf_create_item ours_create_item
#define udmabuf_create_list ours_create_list
#include "linux/udmabuf.h"
#undef udmabuf_create
#undef udmabuf_create_item
#undef udmabuf_create_list

#define SAME_SIZE(name, size)								\
	static_assert(sizeof(struct udmabuf_##name) == (size) &&			\
		      sizeof(struct ours_##name) == (size))
#define SAME_FIELD(name, field, offset)							\
	static_assert(offsetof(struct udmabuf_##name, field) == (offset) &&		\
		      offsetof(struct ours_##name, field) == (offset) &&		\
		      sizeof_field(struct udmabuf_##name, field) ==			\
		      sizeof_field(struct ours_##name, field))

SAME_SIZE(create, 24);
SAME_FIELD(create, memfd, 0);
SAME_FIELD(create, flags, 4);
SAME_FIELD(create, offset, 8);
SAME_FIELD(create, size, 16);

SAME_SIZE(create_item, 24);
SAME_FIELD(create_item, memfd, 0);
SAME_FIELD(create_item, __pad, 4);
SAME_FIELD(create_item, offset, 8);
SAME_FIELD(create_item, size, 16);

SAME_SIZE(create_list, 8);
SAME_FIELD(create_list, flags, 0);
SAME_FIELD(create_list, count, 4);
static_assert(offsetof(struct udmabuf_create_list, list) == 8 &&
	      offsetof(struct ours_create_list, list) == 8);

static_assert(KERNEL_CLOEXEC == 1 && UDMABUF_FLAGS_CLOEXEC == 1);
static_assert(UDMABUF_CREATE == KERNEL_CREATE);
static_assert(_IOC(_IOC_WRITE, 'u', 0x42, 24) == UDMABUF_CREATE);
static_assert(UDMABUF_CREATE_LIST == KERNEL_CREATE_LIST);
static_assert(_IOC(_IOC_WRITE, 'u', 0x43, 8) == UDMABUF_CREATE_LIST);

/* The kernel's header has none of what follows. */
#define OUR_SIZE(name, size)	static_assert(sizeof(struct udmabuf_##name) == (size))
#define OUR_FIELD(name, field, offset, size)						\
	static_assert(offsetof(struct udmabuf_##name, field) == (offset) &&		\
		      sizeof_field(struct udmabuf_##name, field) == (size))

OUR_SIZE(create_ext, UDMABUF_CREATE_EXT_SIZE_VER0);
OUR_FIELD(create_ext, size, 0, 4);
OUR_FIELD(create_ext, cache, 4, 4);
OUR_FIELD(create_ext, flags, 8, 8);
OUR_FIELD(create_ext, items, 16, 8);
OUR_FIELD(create_ext, count, 24, 4);
OUR_FIELD(create_ext, __reserved, 28, 4);
OUR_FIELD(create_ext, name, 32, 8);
static_assert(UDMABUF_CREATE_EXT_SIZE_VER0 == 40);

OUR_SIZE(query, UDMABUF_QUERY_SIZE_VER0);
OUR_FIELD(query, size, 0, 4);
OUR_FIELD(query, api_version, 4, 4);
OUR_FIELD(query, module_version, 8, 4);
OUR_FIELD(query, list_limit, 12, 4);
OUR_FIELD(query, flags, 16, 8);
OUR_FIELD(query, cache, 24, 8);
OUR_FIELD(query, size_limit, 32, 8);
OUR_FIELD(query, staging_limit, 40, 8);
OUR_FIELD(query, user_limit, 48, 8);
OUR_FIELD(query, total_limit, 56, 8);
static_assert(UDMABUF_QUERY_SIZE_VER0 == 64);

static_assert(UDMABUF_EXT_CLOEXEC == 1 && UDMABUF_EXT_READ_ONLY == 2 &&
	      UDMABUF_EXT_NO_CPU_MAP == 4);
static_assert(UDMABUF_CACHE_CACHED == 0 && UDMABUF_API_VERSION == 1);
static_assert(_IOC(_IOC_NONE, 'u', 0xe0, 0) == UDMABUF_CREATE_EXT);
static_assert(_IOC(_IOC_NONE, 'u', 0xe1, 0) == UDMABUF_QUERY);
