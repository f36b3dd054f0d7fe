// SPDX-License-Identifier: GPL-2.0
/*
 * The version of the module: the macro module! has no field for it. The Makefile
 * takes it from the file VERSION.
 */
#include <linux/module.h>

MODULE_VERSION(UDMABUF_RS_VERSION);
