/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Twin VMs, of which KVM's C handles the interrupt routes of one, and kvm_irqroute those of
 * the other, get the same random operations.  After each of them everything that userspace
 * and the guest can see must be the same.
 *
 * A sequence of operations follows from its seed.  One on which the twins differ is cut off
 * behind the difference, and then operations are left out one by one as long as it still shows.
 */
#ifndef SELFTEST_KVM_TWINS_H
#define SELFTEST_KVM_TWINS_H

#include <errno.h>
#include <string.h>

#include "helper.h"
#include "kselftest.h"
#include "random_ops.h"
#include "test_util.h"

#define MAX_FACTS		128
#define MAX_ERRNO		134

/*
 * What an operation has shown.  Only facts that must not differ between the twins
 * are stated.
 */
struct outcome {
	int err;		/* 0 or the errno */
	bool skipped;		/* the operation makes no sense now */
	u32 nr;
	struct {
		const char *what;
		u64 value;
	} facts[MAX_FACTS];
};

static inline void state_fact(struct outcome *o, const char *what, u64 value)
{
	if (o->nr < MAX_FACTS) {
		o->facts[o->nr].what = what;
		o->facts[o->nr].value = value;
	}
	o->nr++;
}

static inline void state_errno(struct outcome *o, const char *what, int ret)
{
	int err = ret < 0 ? errno : 0;

	if (!o->nr)
		o->err = err;
	state_fact(o, what, err);
}

/* Who handles a VM's routes, as the module parameters have it. */
struct handler {
	const char *name, *mode, *parity;
	bool bound;		/* the module hears of the VM */
};

static const struct handler handlers[] = {
	{ "c", "c", "0", false },
	{ "verify", "verify", "1", true },
	{ "rust", "rust", "1", true },
	{ "better", "rust", "0", true },
};

static inline const struct handler *handler_by_name(const char *name)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(handlers); i++)
		if (!strcmp(handlers[i].name, name))
			return &handlers[i];
	TEST_FAIL("No such handler of routes: %s", name);
	return NULL;
}

/* VMs that are created from now on are handled by it. */
static inline void handler_select(const struct handler *handler)
{
	helper_write_parameter("mode", handler->mode);
	helper_write_parameter("parity", handler->parity);
}

/* A VM of a pair is what the program makes of it. */
struct twin;

/* How an operation is made, done and printed, how often, and which errnos it must have shown. */
struct op_type {
	const char *name;
	u32 weight;
	void (*make)(struct rng *rng, struct op *op);
	void (*do_)(struct twin *twin, const struct op *op, struct outcome *o);
	void (*print)(const struct op *op);
	const char *args[3];
	int errnos[6];
};

/* What a program compares. */
struct twins {
	struct twin *twin[2];
	const struct op_type *types;
	u32 nr_types;
	/* Makes operation @index of the sequence of @seed. */
	void (*make_op)(u64 seed, u32 index, struct op *op);
	/* The VM lives for a sequence. */
	void (*open)(struct twin *twin);
	void (*close)(struct twin *twin);
	/* States what can be seen of a twin after any operation. */
	void (*observe)(struct twin *twin, struct outcome *o);
	/* Compares what does not fit into facts; may be NULL. */
	bool (*states_differ)(char *text);
	/* How often what has to happen did, beyond operations and their errnos. */
	const char * const *event_names;
	const u64 *events;
	u32 nr_events;
	/* Whom to compare for a seed, if nobody says so. */
	const char *(*default_pair)(u64 seed);
};

/* The one of this program. */
static const struct twins twins;

static const struct handler *chosen_pair[2];	/* by --twins */
static const struct handler *pair[2];		/* in the current sequence */

#define MAX_OP_TYPES		64

static u64 nr_bound_vms, nr_done, nr_runs, done[MAX_OP_TYPES][MAX_ERRNO];

static inline void parse_pair(const char *text, const struct handler *handlers_of[2])
{
	char copy[32], *second = copy;

	snprintf(copy, sizeof(copy), "%s", text);
	strsep(&second, ",");
	handlers_of[0] = handler_by_name(copy);
	handlers_of[1] = handler_by_name(second ?: "");
}

static inline void parse_twins(char *text)
{
	parse_pair(text, chosen_pair);
}

static inline void print_twins_op(u32 index, const struct op *op)
{
	const struct op_type *type = &twins.types[op->kind];

	print_op(index, op, type->name, type->args);
	if (type->print)
		type->print(op);
}

/* Sequences. */
struct difference {
	u32 op;
	char text[256];
};

static inline bool outcomes_differ(const struct outcome *a, const struct outcome *b, char *text)
{
	u32 i;

	for (i = 0; i < a->nr && i < b->nr && i < MAX_FACTS; i++) {
		if (strcmp(a->facts[i].what, b->facts[i].what)) {
			sprintf(text, "%s %#lx against %s %#lx", a->facts[i].what,
				a->facts[i].value, b->facts[i].what, b->facts[i].value);
			return true;
		}
		if (a->facts[i].value != b->facts[i].value) {
			sprintf(text, "%s %#lx against %#lx", a->facts[i].what,
				a->facts[i].value, b->facts[i].value);
			return true;
		}
	}
	sprintf(text, "%u facts against %u", a->nr, b->nr);
	return a->nr != b->nr || a->skipped != b->skipped;
}

/* Does the operations of @ops that @keep has, and tells whether the twins differed. */
static inline bool run_ops(const struct op *ops, u32 nr, const bool *keep, bool verbose,
			   struct difference *difference)
{
	struct outcome outcomes[2];
	bool differ = false;
	u32 i, j;

	for (j = 0; j < 2; j++) {
		handler_select(pair[j]);
		twins.open(twins.twin[j]);
		nr_bound_vms += pair[j]->bound;
	}

	for (i = 0; i < nr && !differ; i++) {
		if (keep && !keep[i])
			continue;
		if (verbose)
			print_twins_op(i, &ops[i]);

		for (j = 0; j < 2; j++) {
			memset(&outcomes[j], 0, sizeof(outcomes[j]));
			twins.types[ops[i].kind].do_(twins.twin[j], &ops[i], &outcomes[j]);
			twins.observe(twins.twin[j], &outcomes[j]);
		}

		difference->op = i;
		differ = outcomes_differ(&outcomes[0], &outcomes[1], difference->text) ||
			 (twins.states_differ && twins.states_differ(difference->text));
		if (verbose)
			for (j = 0; j < outcomes[0].nr && j < MAX_FACTS; j++)
				ksft_print_msg("\t%s %#lx\n", outcomes[0].facts[j].what,
					       outcomes[0].facts[j].value);

		if (!outcomes[0].skipped) {
			nr_done++;
			done[ops[i].kind][outcomes[0].err]++;
		}
	}

	for (j = 0; j < 2; j++)
		twins.close(twins.twin[j]);
	nr_runs++;
	return differ;
}

/* A sequence on which twins differ, for the search for the smallest one. */
struct differing {
	const struct op *ops;
	struct difference difference;
};

static inline u32 still_differs(const bool *keep, u32 nr, void *data)
{
	struct differing *d = data;
	struct difference difference;

	if (!run_ops(d->ops, nr, keep, false, &difference))
		return 0;
	d->difference = difference;
	return difference.op + 1;
}

static inline void report(u64 seed, const struct op *ops, u32 nr)
{
	struct differing d = { ops };
	bool keep[MAX_OPS];
	u32 i, left = 0;

	for (i = 0; i < MAX_OPS; i++)
		keep[i] = i < nr;
	if (!still_differs(keep, nr, &d)) {
		ksft_print_msg("it did not show again\n");
		return;
	}
	nr = minimize_ops(keep, nr, still_differs, &d);

	ksft_print_msg("smallest sequence: %s\n", d.difference.text);
	for (i = 0; i < nr; i++) {
		if (!keep[i])
			continue;
		print_twins_op(i, &ops[i]);
		left++;
	}
	ksft_print_msg("%u operations left; to see it again: --seed %lu --twins %s,%s --only ",
		       left, seed, pair[0]->name, pair[1]->name);
	print_kept_ops(keep, nr);
}

static inline bool run_sequence(u64 seed, const struct ops_options *o)
{
	struct difference difference;
	struct op ops[MAX_OPS];
	u32 i;

	if (chosen_pair[0])
		memcpy(pair, chosen_pair, sizeof(pair));
	else
		parse_pair(twins.default_pair(seed), pair);
	for (i = 0; i < o->nr_ops; i++)
		twins.make_op(seed, i, &ops[i]);

	if (!run_ops(ops, o->nr_ops, o->only ? o->keep : NULL, o->verbose, &difference))
		return true;

	ksft_print_msg("twins %s,%s differ: --seed %lu --ops %u: %s\n", pair[0]->name,
		       pair[1]->name, seed, difference.op + 1, difference.text);
	if (!o->only)
		report(seed, ops, difference.op + 1);
	return false;
}

/* Prints how often each operation was done with each errno; returns whether that is enough. */
static inline bool covered(void)
{
	bool all = true;
	int i, j, k, err;

	for (i = 0; i < twins.nr_types; i++) {
		const struct op_type *type = &twins.types[i];
		char text[256], *p = text;

		for (err = 0; err < MAX_ERRNO; err++)
			if (done[i][err])
				p += sprintf(p, " %s %lu", err ? strerrorname_np(err) : "ok",
					     done[i][err]);
		*p = '\0';
		ksft_print_msg("%s:%s\n", type->name, text);

		for (j = 0; j < ARRAY_SIZE(type->errnos); j++) {
			err = type->errnos[j];
			/* The rest of the array is 0. */
			for (k = 0; k < j && type->errnos[k] != err; k++)
				;
			if (done[i][err] || k < j || (!err && j))
				continue;
			ksft_print_msg("never seen: %s, %s\n", type->name,
				       err ? strerrorname_np(err) : "ok");
			all = false;
		}
	}
	for (i = 0; i < twins.nr_events; i++) {
		ksft_print_msg("%s: %lu\n", twins.event_names[i], twins.events[i]);
		if (!twins.events[i])
			all = false;
	}
	return all;
}

/* A counter of the helper, and how far it went. */
struct counted {
	const char *name;
	u64 before;
};

/*
 * Runs the sequences and says what became of them.  The helper has to have counted each VM
 * that it was to handle, something of each of @counters, and no difference in mode verify.
 */
static inline int run_twins(int argc, char *argv[], u64 sequences,
			    struct counted *counters, u32 nr_counters)
{
	static const struct ops_option twins_option = {
		"twins", "twins A,B    what is compared: c, verify, rust, better (parity=0)\n"
			 "                 (default: depends on the seed)", parse_twins,
	};
	struct ops_options o = parse_ops_options(argc, argv, sequences, &twins_option, 1);
	u64 bound = helper_read_counter("vms_total"), verify = helper_read_counter("differences");
	u64 differences, nr_sequences;
	bool took_part;
	u32 i;

	for (i = 0; i < nr_counters; i++)
		counters[i].before = helper_read_counter(counters[i].name);

	ksft_print_header();
	ksft_set_plan(3);
	differences = run_sequences(&o, &nr_sequences, run_sequence);
	helper_write_parameter("mode", "rust");
	helper_write_parameter("parity", "0");

	ksft_test_result(!differences, "twins_agree\n");
	bound = helper_read_counter("vms_total") - bound;
	verify = helper_read_counter("differences") - verify;
	ksft_print_msg("helper: VMs %lu, differences in mode verify %lu\n", bound, verify);
	took_part = bound == nr_bound_vms && !verify;
	for (i = 0; i < nr_counters; i++) {
		u64 count = helper_read_counter(counters[i].name) - counters[i].before;

		ksft_print_msg("helper: %s %lu\n", counters[i].name, count);
		took_part &= count > 0;
	}
	if (o.few) {
		ksft_test_result_skip("helper_took_part few sequences\n");
		ksft_test_result_skip("coverage few sequences\n");
	} else {
		ksft_test_result(took_part, "helper_took_part\n");
		ksft_test_result(covered(), "coverage\n");
	}
	ksft_print_cnts();
	ksft_print_msg("operations %lu, runs %lu\n", nr_done, nr_runs);
	ksft_print_msg("%lu sequences, %lu differences\n", nr_sequences, differences);
	return ksft_get_fail_cnt() ? KSFT_FAIL : KSFT_PASS;
}

#endif /* SELFTEST_KVM_TWINS_H */
