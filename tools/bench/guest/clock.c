// SPDX-License-Identifier: GPL-2.0
/* The clock: instructions under -icount, where the TSC is the virtual clock. */
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

uint64_t clock_cost;
double ns_per_tick;
bool marks;
uint64_t marked;

static uint64_t monotonic(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_RAW, &now);
	return now.tv_sec * 1000000000ULL + now.tv_nsec;
}

/* 2 instructions each time around. */
static void spin(uint64_t times)
{
	asm volatile("1: dec %0; jnz 1b" : "+r" (times) : : "cc");
}

void calibrate(bool icount)
{
	uint64_t start, clock, spent, least = UINT64_MAX;

	clock_cost = UINT64_MAX;
	for (int i = 0; i < 1000; i++) {
		start = ticks();
		spent = ticks() - start;
		if (spent < clock_cost)
			clock_cost = spent;
	}
	/* There, a tick is a nanosecond by definition, and reading another clock costs. */
	ns_per_tick = 1;
	if (!icount) {
		start = ticks();
		clock = monotonic();
		usleep(300000);
		ns_per_tick = (double)(monotonic() - clock) / (ticks() - start);
	}
	for (int i = 0; i < 9; i++) {
		start = ticks();
		spin(500000);
		spent = since(start);
		if (spent < least)
			least = spent;
	}
	printf("fact clock_cost %lu\n", clock_cost);
	printf("fact ns_per_tick %.6f\n", ns_per_tick);
	printf("fact million_instructions %lu\n", least);
}
