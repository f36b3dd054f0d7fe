// SPDX-License-Identifier: GPL-2.0
#include <linux/build_bug.h>
#include <linux/dma-direction.h>

#define CREATE_TRACE_POINTS
#define CREATE_RUST_TRACE_POINTS
#include "trace.h"

/* What the events print for directions. */
static_assert(DMA_BIDIRECTIONAL == 0 && DMA_TO_DEVICE == 1 && DMA_FROM_DEVICE == 2);
