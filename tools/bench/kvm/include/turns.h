/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Figures that differ from time to time, such as times: the sides take turns, and each
 * turn gives a value.  All of them are printed, one line for each figure, and report.py
 * makes medians and spreads of them:
 *
 *	turns	CASE	NAME=VALUE ...	UNIT	SIDE=VALUE,VALUE,... ...
 */
#ifndef SELFTEST_KVM_TURNS_H
#define SELFTEST_KVM_TURNS_H

#include <time.h>

#include "sides.h"

#define MAX_TURNS		100
#define MAX_FIGURES		64

static inline u64 now(void)
{
	struct timespec ts;

	TEST_ASSERT_EQ(clock_gettime(CLOCK_MONOTONIC, &ts), 0);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

static const struct {
	const char *name;
	u32 thousandths;
} quantiles[] = {
	{ "min", 0 }, { "median", 500 }, { "p90", 900 }, { "p99", 990 }, { "max", 1000 },
};

/* One of quantiles[], of values that are in order. */
static inline u64 quantile(const u64 *sorted, u32 nr, int index)
{
	return sorted[min(quantiles[index].thousandths * nr / 1000, nr - 1)];
}

struct turns {
	char name[32], parameters[96];
	const char *unit;
	u64 values[NR_SIDES][MAX_TURNS];
	u32 nr[NR_SIDES];
};

/* What has been noted since the last print_turns(). */
static struct turns noted[MAX_FIGURES];
static u32 nr_noted;

/* Keeps what a turn of a side gave. */
static inline void note(enum side side, const char *name, const char *parameters,
			const char *unit, u64 value)
{
	struct turns *turns;

	for (turns = noted; turns < noted + nr_noted; turns++)
		if (!strcmp(turns->name, name) && !strcmp(turns->parameters, parameters))
			break;
	if (turns == noted + nr_noted) {
		TEST_ASSERT(nr_noted++ < MAX_FIGURES, "Too many figures");
		memset(turns, 0, sizeof(*turns));
		snprintf(turns->name, sizeof(turns->name), "%s", name);
		snprintf(turns->parameters, sizeof(turns->parameters), "%s", parameters);
		turns->unit = unit;
	}
	TEST_ASSERT(turns->nr[side] < MAX_TURNS, "Too many turns");
	turns->values[side][turns->nr[side]++] = value;
}

static inline void print_turns(void)
{
	struct turns *turns;
	enum side side;
	u32 turn;

	for (turns = noted; turns < noted + nr_noted; turns++) {
		printf("turns\t%s\t%s\t%s\t", turns->name, turns->parameters, turns->unit);
		for (side = first_side; side <= last_side; side++) {
			printf("%s%s=", side == first_side ? "" : " ", side_names[side]);
			for (turn = 0; turn < turns->nr[side]; turn++)
				printf("%s%lu", turn ? "," : "", turns->values[side][turn]);
		}
		printf("\n");
	}
	fflush(stdout);
	nr_noted = 0;
}

/* Has each side take @nr turns, A B B A, so that what drifts meanwhile does so for both. */
static inline void take_turns(u32 nr, const char *name, void (*take)(enum side side))
{
	u32 turn, nth;

	for (turn = 0; turn < nr; turn++) {
		for (nth = 0; nth <= last_side - first_side; nth++)
			take(turn % 2 ? last_side - nth : first_side + nth);
		fprintf(stderr, "%s: %u of %u turns\n", name, turn + 1, nr);
	}
	print_turns();
}

#endif /* SELFTEST_KVM_TURNS_H */
