// SPDX-License-Identifier: GPL-2.0
/* Objects are made beside the Kbuild file, so this stands in for one from elsewhere. */
#include "../ffi/shim.c"
#include "../ffi/compound.c"
#include "../ffi/runs.c"
