/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What tests by random operations share: numbers that follow from a seed, operations
 * that can be left out, and the search for the smallest sequence that still fails.
 */
#ifndef SELFTEST_KVM_RANDOM_OPS_H
#define SELFTEST_KVM_RANDOM_OPS_H

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "kselftest.h"
#include "test_util.h"

#define MAX_OPS			256
#define DEFAULT_OPS		96
#define MAX_DROP_RUNS		300
#define MAX_FAILED		5	/* enough to work on */
#define HANG_SECONDS		300

/* Random numbers that depend on nothing but their seed (splitmix64). */
struct rng {
	u64 state;
};

static inline u64 rng_next(struct rng *rng)
{
	u64 z = rng->state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

static inline u32 rng_below(struct rng *rng, u32 n)
{
	return rng_next(rng) % n;
}

static inline bool rng_percent(struct rng *rng, u32 percent)
{
	return rng_below(rng, 100) < percent;
}

#define rng_pick(_rng, _array)					\
({								\
	typeof(_array) *__list = &(_array);			\
								\
	(*__list)[rng_below(_rng, ARRAY_SIZE(*__list))];	\
})

/* The numbers of one operation of a sequence: the same whichever others are left out. */
static inline struct rng rng_of_op(u64 seed, u32 index)
{
	struct rng rng = { .state = seed };

	rng.state = rng_next(&rng) + index * 0xd1342543de82ef95ull;
	return rng;
}

static inline u64 random_seed(void)
{
	u64 seed = 0;

	TEST_ASSERT_EQ(getrandom(&seed, 4, 0), 4L);
	return seed;
}

/* An operation is the same whatever came before it, so that others can be left out. */
struct op {
	u32 kind;
	u64 a, b, c;
};

/* Picks one of @nr kinds of operations by their weights, which are @stride bytes apart. */
static inline u32 rng_weighted(struct rng *rng, const u32 *weights, size_t stride, u32 nr)
{
#define WEIGHT(_i)	(*(const u32 *)((const char *)weights + (_i) * stride))
	u32 i, total = 0, choice;

	for (i = 0; i < nr; i++)
		total += WEIGHT(i);
	choice = rng_below(rng, total);
	for (i = 0; choice >= WEIGHT(i); i++)
		choice -= WEIGHT(i);
	return i;
#undef WEIGHT
}

/* The names of its arguments are those of its kind. */
static inline void print_op(u32 index, const struct op *op, const char *name,
			    const char * const args[3])
{
	const u64 values[] = { op->a, op->b, op->c };
	char text[256], *p = text;
	int i;

	for (i = 0; i < ARRAY_SIZE(values) && args[i]; i++)
		p += sprintf(p, "%s%s %#lx", i ? ", " : ": ", args[i], values[i]);
	*p = '\0';
	ksft_print_msg("op %u: %s%s\n", index, name, text);
}

/*
 * Leaves out what can be left out of the first @nr operations, as long as @fails says
 * that what is left of them fails.  @fails returns up to and including which operation
 * it had to go, or 0.  Returns the last value of that.
 */
static inline u32 minimize_ops(bool *keep, u32 nr,
			       u32 (*fails)(const bool *keep, u32 nr, void *data), void *data)
{
	u32 runs = 0, chunk, i, j, failed;
	bool was[MAX_OPS];

	for (chunk = nr / 2; chunk; chunk /= 2) {
		for (i = 0; i < nr && runs < MAX_DROP_RUNS; i += chunk) {
			memcpy(was, keep, sizeof(was));
			for (j = i; j < nr && j < i + chunk; j++)
				keep[j] = false;
			if (!memcmp(was, keep, sizeof(was)))
				continue;
			runs++;
			failed = fails(keep, nr, data);
			if (failed)
				nr = failed;
			else
				memcpy(keep, was, sizeof(was));
		}
	}
	return nr;
}

/* The numbers of the operations that are kept of the first @nr, as --only takes them. */
static inline void print_kept_ops(const bool *keep, u32 nr)
{
	const char *separator = "";
	u32 i;

	for (i = 0; i < nr; i++) {
		if (!keep[i])
			continue;
		printf("%s%u", separator, i);
		separator = ",";
	}
	printf("\n");
}

static inline u64 parse_u64(const char *text)
{
	char *end;
	u64 value = strtoull(text, &end, 0);

	TEST_ASSERT(*text && !*end, "'%s' is not a number", text);
	return value;
}

/* Reads what print_kept_ops() has printed.  Returns how many operations that takes. */
static inline u32 parse_kept_ops(char *text, bool *keep)
{
	u32 nr = 0;
	char *part;

	while ((part = strsep(&text, ","))) {
		u64 i = parse_u64(part);

		TEST_ASSERT(i < MAX_OPS, "At most %u operations", MAX_OPS);
		keep[i] = true;
		nr = max(nr, (u32)i + 1);
	}
	return nr;
}

/* What to run. */
struct ops_options {
	u64 seed;		/* of the first sequence; the others have the numbers after it */
	u64 sequences;
	u64 seconds;
	u32 nr_ops;		/* of a sequence */
	bool only;		/* those of @keep */
	bool keep[MAX_OPS];
	bool verbose;
	bool few;		/* too few sequences to have all operations */
};

/* An option of one program. */
struct ops_option {
	const char *name, *help;
	void (*parse)(char *text);
};

static inline void print_ops_usage(const char *name, u64 sequences,
				   const struct ops_option *others, u32 nr_others)
{
	u32 i;

	printf("usage: %s [OPTION]...\n"
	       "  --seed S       of the first sequence; the others have the numbers after it\n"
	       "                 (default: 1, with --seconds a fresh one)\n"
	       "  --sequences N  how many (default: %lu, with --seed 1)\n"
	       "  --seconds N    go on for so long instead\n"
	       "  --ops N        operations of a sequence (default: %u, at most %u)\n"
	       "  --only I,J...  just these operations of it\n"
	       "  --verbose      print all operations\n",
	       name, sequences, DEFAULT_OPS, MAX_OPS);
	for (i = 0; i < nr_others; i++)
		printf("  --%s\n", others[i].help);
}

/* Does not return if the options are not right. */
static inline struct ops_options parse_ops_options(int argc, char *argv[], u64 sequences,
						   const struct ops_option *others, u32 nr_others)
{
	enum { SEED = 1, SEQUENCES, SECONDS, OPS, ONLY, VERBOSE, HELP, FIRST_OTHER };
	struct option options[16] = {
		{ "seed", required_argument, NULL, SEED },
		{ "sequences", required_argument, NULL, SEQUENCES },
		{ "seconds", required_argument, NULL, SECONDS },
		{ "ops", required_argument, NULL, OPS },
		{ "only", required_argument, NULL, ONLY },
		{ "verbose", no_argument, NULL, VERBOSE },
		{ "help", no_argument, NULL, HELP },
	};
	struct ops_options o = { .seed = 1, .nr_ops = DEFAULT_OPS };
	bool seed_given = false;
	int opt;
	u32 i;

	for (i = 0; i < nr_others; i++)
		options[HELP + i] = (struct option){
			others[i].name, required_argument, NULL, FIRST_OTHER + i
		};

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (opt) {
		case SEED:
			o.seed = parse_u64(optarg);
			seed_given = true;
			break;
		case SEQUENCES:
			o.sequences = parse_u64(optarg);
			break;
		case SECONDS:
			o.seconds = parse_u64(optarg);
			break;
		case OPS:
			o.nr_ops = parse_u64(optarg);
			TEST_ASSERT(o.nr_ops <= MAX_OPS, "At most %u operations", MAX_OPS);
			break;
		case ONLY:
			o.only = true;
			o.nr_ops = max(o.nr_ops, parse_kept_ops(optarg, o.keep));
			break;
		case VERBOSE:
			o.verbose = true;
			break;
		case HELP:
		case '?':
			print_ops_usage(argv[0], sequences, others, nr_others);
			exit(opt == HELP ? KSFT_PASS : KSFT_FAIL);
		default:
			others[opt - FIRST_OTHER].parse(optarg);
			break;
		}
	}

	if (o.seconds && !seed_given)
		o.seed = random_seed();
	o.few = seed_given && !o.seconds;
	if (!o.sequences)
		o.sequences = o.seconds ? ~0ull : seed_given ? 1 : sequences;
	return o;
}

static u64 hanging_seed;

static void bail_out_of_hang(int signal)
{
	char text[96];
	int len = snprintf(text, sizeof(text), "Bail out! seed %lu hangs\n", hanging_seed);

	_exit(write(STDOUT_FILENO, text, len) == len ? 1 : 2);
}

/* The sequence with @seed has so many seconds from now on. */
static inline void limit_time(u64 seed, unsigned int seconds)
{
	hanging_seed = seed;
	signal(SIGALRM, bail_out_of_hang);
	alarm(seconds);
}

/* Runs sequences until all are done, or enough have failed.  Returns how many have. */
static inline u64 run_sequences(const struct ops_options *o, u64 *nr,
				bool (*run)(u64 seed, const struct ops_options *o))
{
	time_t end = time(NULL) + o->seconds;
	u64 nr_failed = 0;

	ksft_print_msg("first seed %lu\n", o->seed);
	for (*nr = 0; *nr < o->sequences && (!o->seconds || time(NULL) < end); ++*nr) {
		limit_time(o->seed + *nr, HANG_SECONDS);
		nr_failed += !run(o->seed + *nr, o);
		if (nr_failed == MAX_FAILED)
			break;
	}
	alarm(0);
	return nr_failed;
}

#endif /* SELFTEST_KVM_RANDOM_OPS_H */
