// SPDX-License-Identifier: GPL-2.0
/*
 * leak: a mapping that is never unmapped. It tests those who look for leaks: its
 * run must be failed by their report (debug kernel only).
 */
#include "coherence.h"

COHERENCE_FIXTURE(leak);

TEST_F(leak, mapping_is_forgotten)
{
	struct scene *s = &self->s;

	ASSERT_EQ(0, device_map(s, 0, IMPORTER_BIDIRECTIONAL));
	EXPECT_EQ(0, importer_slot(s->importer, IMPORTER_LEAK, 0));
}

TEST_HARNESS_MAIN
