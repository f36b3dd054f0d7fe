// SPDX-License-Identifier: GPL-2.0
/* Samples are printed when nothing is being measured. */
#include "bench.h"

struct sample {
	const char *what;
	uint64_t size;
	uint64_t value;
	uint64_t marked;
	int subject;
	int round;
	int error;
};

static struct sample *samples;
static size_t nr_samples, max_samples;

static void keep(const char *what, uint64_t value, int error)
{
	if (nr_samples == max_samples) {
		max_samples = max_samples ? 2 * max_samples : 4096;
		samples = realloc(samples, max_samples * sizeof(*samples));
		CHECK(samples);
	}
	samples[nr_samples++] = (struct sample){ what, size_now, value, marked,
						subject, round_now, error };
}

void record(const char *what, uint64_t value)
{
	keep(what, value, 0);
}

void failed(const char *what)
{
	keep(what, 0, errno ?: EIO);
}

/* A peer may be unable to do something that both drivers do. */
static bool is_peer(int which)
{
	return subjects[which].kind == HEAP || subjects[which].kind == BARE_MEMFD;
}

void print_samples(void)
{
	for (size_t i = 0; i < nr_samples; i++) {
		const struct sample *s = &samples[i];

		if (s->round < 0 && !s->error)
			continue;
		if (s->error)
			printf("%s %s %lu %s %s %s\n", is_peer(s->subject) ? "cannot" : "failed",
			       memory.name, s->size, s->what, subjects[s->subject].name,
			       strerror(s->error));
		else
			printf("sample %s %lu %s %s %d %lu\n", memory.name, s->size,
			       s->what, subjects[s->subject].name, s->round, s->value);
		if (marks && !s->error)
			printf("marked %lu %s %s\n", s->marked, s->what,
			       subjects[s->subject].name);
	}
	fflush(stdout);
	nr_samples = 0;
}
