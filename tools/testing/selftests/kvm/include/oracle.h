/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Random operations against a plain model: what goes wrong is of a kind, of which those that
 * are known can be passed.
 *
 * A sequence of operations follows from its seed.  One that fails is cut off behind the
 * failure, and then operations are left out one by one as long as it still fails.
 */
#ifndef SELFTEST_KVM_ORACLE_H
#define SELFTEST_KVM_ORACLE_H

#include <stdarg.h>
#include <string.h>

#include "helper.h"
#include "kselftest.h"
#include "random_ops.h"
#include "test_util.h"

#define MAX_FAILURES		16
#define MAX_OP_TYPES		64

/* How an operation is made, done and printed, and how often. */
struct op_type {
	const char *name;
	u32 weight;
	void (*make)(struct rng *rng, struct op *op);
	void (*do_)(const struct op *op);
	const char *args[3];
	void (*print)(const struct op *op);
};

/* What can go wrong: its name for --past, and the test that is for it. */
struct failure_type {
	const char *name, *test;
};

/* What a program knows. */
struct oracle {
	/* The first of them is none. */
	const struct failure_type *failures;
	u32 nr_failures;
	const struct op_type *types;
	u32 nr_types;
	/* What a sequence is like, beyond its operations. */
	void (*set_shape)(u64 seed);
	void (*print_shape)(void);
	/* Makes operation @index of the sequence of @seed. */
	void (*make_op)(u64 seed, u32 index, struct op *op);
	/* The VM lives for a sequence; what is still to come does at its end. */
	void (*open)(u64 seed);
	void (*finish)(void);
	void (*close)(void);
	/* Judges all sequences together; may be NULL. */
	void (*judge)(bool few);
	/* Whether such a failure would be seen; may be NULL, if all would. */
	bool (*is_seen)(u32 failure);
	/* How often what has to happen did, beyond operations; the last ones need not. */
	const char * const *event_names;
	const u64 *events;
	u32 nr_events, nr_needed_events;
};

/* The one of this program. */
static const struct oracle oracle;

static u64 nr_failures[MAX_FAILURES], nr_runs, done[MAX_OP_TYPES];
static bool go_past[MAX_FAILURES];
static const char *mode;

/* The first failure of the current sequence that it does not go past. */
static struct {
	u32 what;
	char text[160];
} failed;

static inline void __printf(2, 3) fail(u32 what, const char *fmt, ...)
{
	va_list args;

	nr_failures[what]++;
	if (go_past[what] || failed.what)
		return;
	failed.what = what;
	va_start(args, fmt);
	vsnprintf(failed.text, sizeof(failed.text), fmt, args);
	va_end(args);
}

static inline void print_oracle_op(u32 index, const struct op *op)
{
	const struct op_type *type = &oracle.types[op->kind];

	print_op(index, op, type->name, type->args);
	if (type->print)
		type->print(op);
}

/* Does the operations of @ops that @keep has.  Returns up to and including which one failed. */
static inline u32 run_ops(u64 seed, const struct op *ops, u32 nr, const bool *keep, bool verbose)
{
	u32 i;

	failed.what = 0;
	oracle.open(seed);
	for (i = 0; i < nr && !failed.what; i++) {
		if (keep && !keep[i])
			continue;
		if (verbose)
			print_oracle_op(i, &ops[i]);
		oracle.types[ops[i].kind].do_(&ops[i]);
		done[ops[i].kind]++;
	}
	if (!failed.what)
		oracle.finish();
	oracle.close();
	nr_runs++;
	return failed.what ? i : 0;
}

struct sequence {
	u64 seed;
	const struct op *ops;
	u32 failure;
	char text[sizeof(failed.text)];
};

/* Fails in the same way as it did first. */
static inline u32 still_fails(const bool *keep, u32 nr, void *data)
{
	struct sequence *s = data;
	u32 failing = run_ops(s->seed, s->ops, nr, keep, false);

	if (failed.what != s->failure)
		return 0;
	memcpy(s->text, failed.text, sizeof(s->text));
	return failing;
}

static inline void report(u64 seed, const struct op *ops, u32 nr)
{
	struct sequence s = { seed, ops, failed.what };
	bool keep[MAX_OPS];
	u32 i;

	for (i = 0; i < MAX_OPS; i++)
		keep[i] = i < nr;
	if (!still_fails(keep, nr, &s)) {
		ksft_print_msg("it did not show again\n");
		return;
	}
	nr = minimize_ops(keep, nr, still_fails, &s);

	ksft_print_msg("smallest sequence: %s: %s\n", oracle.failures[s.failure].name, s.text);
	for (i = 0; i < nr; i++)
		if (keep[i])
			print_oracle_op(i, &ops[i]);
	ksft_print_msg("to see it again: --seed %lu --verbose --only ", seed);
	print_kept_ops(keep, nr);
}

static inline bool run_sequence(u64 seed, const struct ops_options *o)
{
	u64 failures_before[MAX_FAILURES];
	struct op ops[MAX_OPS];
	u32 i, failing;

	oracle.set_shape(seed);
	for (i = 0; i < o->nr_ops; i++)
		oracle.make_op(seed, i, &ops[i]);
	if (o->verbose)
		oracle.print_shape();

	failing = run_ops(seed, ops, o->nr_ops, o->only ? o->keep : NULL, o->verbose);
	if (!failing)
		return true;

	ksft_print_msg("%s: --seed %lu --ops %u: %s\n", oracle.failures[failed.what].name, seed,
		       failing, failed.text);
	oracle.print_shape();
	memcpy(failures_before, nr_failures, sizeof(nr_failures));
	if (!o->only)
		report(seed, ops, failing);
	memcpy(nr_failures, failures_before, sizeof(nr_failures));
	return false;
}

static inline void parse_past(char *text)
{
	char *part;
	u32 i;

	while ((part = strsep(&text, ","))) {
		for (i = 1; i < oracle.nr_failures && strcmp(oracle.failures[i].name, part); i++)
			;
		TEST_ASSERT(i < oracle.nr_failures, "No such failure: %s", part);
		go_past[i] = true;
	}
}

static inline void parse_mode(char *text)
{
	mode = text;
}

static inline struct ops_options parse_oracle_options(int argc, char *argv[], u64 sequences)
{
	static const struct ops_option others[] = {
		{
			"mode", "mode MODE    who handles the routes: c, verify, rust\n"
				"                 (default: as it is)", parse_mode,
		}, {
			"past", "past F,...   failures after which sequences go on, of those that\n"
				"                 are counted at the end", parse_past,
		},
	};

	return parse_ops_options(argc, argv, sequences, others, ARRAY_SIZE(others));
}

static inline bool covered(void)
{
	bool all = true;
	u32 i;

	for (i = 0; i < oracle.nr_types; i++) {
		ksft_print_msg("%s: %lu\n", oracle.types[i].name, done[i]);
		all &= done[i] > 0;
	}
	for (i = 0; i < oracle.nr_events; i++) {
		ksft_print_msg("%s: %lu\n", oracle.event_names[i], oracle.events[i]);
		all &= i >= oracle.nr_needed_events || oracle.events[i];
	}
	return all;
}

/* Runs the sequences and says what became of them. */
static inline int run_oracle(const struct ops_options *o)
{
	u64 nr_failed, nr_sequences;
	u32 i;

	ksft_print_header();
	ksft_set_plan(oracle.nr_failures);
	nr_failed = run_sequences(o, &nr_sequences, run_sequence);
	if (oracle.judge)
		oracle.judge(o->few);

	for (i = 1; i < oracle.nr_failures; i++) {
		ksft_print_msg("%s: %lu\n", oracle.failures[i].name, nr_failures[i]);
		if (oracle.is_seen && !oracle.is_seen(i))
			ksft_test_result_skip("%s not looked for\n", oracle.failures[i].test);
		else
			ksft_test_result(!nr_failures[i], "%s\n", oracle.failures[i].test);
	}
	if (o->few)
		ksft_test_result_skip("coverage few sequences\n");
	else
		ksft_test_result(covered(), "coverage\n");
	ksft_print_cnts();
	ksft_print_msg("runs %lu\n", nr_runs);
	ksft_print_msg("%lu sequences, %lu failed\n", nr_sequences, nr_failed);
	return ksft_get_fail_cnt() ? KSFT_FAIL : KSFT_PASS;
}

#endif /* SELFTEST_KVM_ORACLE_H */
