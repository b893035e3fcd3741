// SPDX-License-Identifier: GPL-2.0
/*
 * Runs the scenarios on C and on Rust and shows what became of them side by side.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "helper.h"
#include "scenario.h"
#include "text.h"

#define DASHES		"----------------------------------------"

struct column {
	const char *title;
	const char *mode;	/* of the helper; NULL: it is not loaded */
	bool by_c;		/* C acts, whether Rust looks on or not */
	struct log logs[NR_SCENARIOS][MAX_STEPS];
	unsigned long long counters[NR_COUNTERS];	/* by how much they grew */
	bool counters_known;
};

static void print_usage(FILE *file)
{
	fprintf(file,
		"Usage: route_vm [--mode both|c|rust|verify]\n"
		"\n"
		"%s\n"
		"\n"
		"  --mode both      C and Rust side by side (the default if the helper is loaded)\n"
		"  --mode c         just C (the default if it is not)\n"
		"  --mode rust      just Rust\n"
		"  --mode verify    just the mode in which the helper compares its results with C's\n"
		"  --help           this text\n"
		"\n"
		"Needs /dev/kvm and, to set the helper's mode, root. tools/testing/vm/run provides both:\n"
		"\n"
		"  %s --mode rust -- samples/route_vm/route_vm\n"
		"\n"
		"Exit status: 0 all as expected, and C and Rust differ by known defects of C at most;\n"
		"1 not so; 2 could not run.\n",
		text.purpose, text.run);
}

static void run_column(struct column *column)
{
	unsigned long long before[NR_COUNTERS];
	struct vm vm;

	doing[0] = column->title;
	if (column->mode)
		helper_set_mode(column->mode);
	column->counters_known = column->mode && helper_read_counters(before);

	for (int i = 0; i < NR_SCENARIOS; i++) {
		const struct scenario *scenario = &scenarios[i];

		doing[1] = scenario->name;
		vm_create(&vm, scenario, column->logs[i]);
		scenario->run(&vm, scenario->routes.entries[0].gsi);
		vm_destroy(&vm);
	}
	doing[0] = NULL;
	doing[1] = NULL;

	column->counters_known = column->counters_known && helper_read_counters(column->counters);
	if (column->counters_known)
		for (int i = 0; i < NR_COUNTERS; i++)
			column->counters[i] -= before[i];
}

static bool is_received(const struct event *event)
{
	return event->type == EVENT_RECEIVED;
}

/* The nth event of a log that the guest received (or else: that the VMM saw), or a blank one. */
static const struct event *nth_event(const struct log *log, bool received, int n)
{
	static const struct event none = { EVENT_NONE, 0, 0 };

	for (int i = 0; i < log->nr; i++)
		if (is_received(&log->events[i]) == received && !n--)
			return &log->events[i];
	return &none;
}

static int nr_lines(const struct log *log)
{
	int received = 0;

	for (int i = 0; i < log->nr; i++)
		received += is_received(&log->events[i]);
	return received > log->nr - received ? received : log->nr - received;
}

/* No event is a dash in the first line of a step and blank in the others. */
static void print_event(const struct event *event, int line, int width)
{
	char buf[TEXT_SIZE];
	const char *none = line ? "" : "-";

	printf("%-*s", width, event->type == EVENT_NONE ? none : event_text(event, buf));
}

static void print_outcome(const struct log *log, int line)
{
	printf(" | ");
	print_event(nth_event(log, true, line), line, text.got_width);
	printf("  ");
	print_event(nth_event(log, false, line), line, text.seen_width);
}

static int outcome_width(void)
{
	return text.got_width + 2 + text.seen_width;
}

static bool same_log(const struct log *a, const struct log *b)
{
	if (a->nr != b->nr)
		return false;
	for (int i = 0; i < a->nr; i++)
		if (a->events[i].type != b->events[i].type ||
		    a->events[i].vcpu != b->events[i].vcpu ||
		    a->events[i].number != b->events[i].number)
			return false;
	return true;
}

/* With one column, there is none in which the defect is fixed. */
static const char *defect_mark(int nr_columns)
{
	return nr_columns > 1 ? "fixed" : "known";
}

static const struct log *expected_of(const struct step *step, const struct column *column)
{
	return step->defect && column->by_c ? &step->with_defect : &step->expected;
}

static const char *mark_of(const struct step *step, const struct column *columns, int nr_columns,
			   bool ok, bool same, char buf[TEXT_SIZE])
{
	if (!ok)
		return same || step->defect ? "BAD" : "DIFF";
	if (!step->defect || !columns[0].by_c)
		return nr_columns > 1 ? "same" : "ok";
	snprintf(buf, TEXT_SIZE, "%s %s", defect_mark(nr_columns), step->defect);
	return buf;
}

static void print_expected(const char *of, const struct log *expected)
{
	char buf[TEXT_SIZE];

	printf("    expected%s:", of);
	for (int i = 0; i < expected->nr; i++)
		printf("%s %s", i ? "," : "", event_text(&expected->events[i], buf));
	printf(expected->nr ? "\n" : " -\n");
}

static void print_expectations(const struct step *step, const struct column *columns,
			       int nr_columns)
{
	char of[TEXT_SIZE];

	if (!step->defect) {
		print_expected("", &step->expected);
		return;
	}
	for (int i = 0; i < nr_columns; i++) {
		snprintf(of, sizeof(of), " of %s", columns[i].title);
		print_expected(of, expected_of(step, &columns[i]));
	}
}

/* Returns true if the step went as expected in all columns. */
static bool print_step(const char *name, const struct step *step, const struct log **logs,
		       const struct column *columns, int nr_columns)
{
	bool same = same_log(logs[0], logs[nr_columns - 1]);
	char buf[TEXT_SIZE];
	bool ok = true;
	int lines = 1;

	for (int i = 0; i < nr_columns; i++) {
		ok = ok && same_log(logs[i], expected_of(step, &columns[i]));
		if (nr_lines(logs[i]) > lines)
			lines = nr_lines(logs[i]);
	}

	for (int line = 0; line < lines; line++) {
		printf("%-*s", text.name_width, line ? "" : name);
		for (int i = 0; i < nr_columns; i++)
			print_outcome(logs[i], line);
		if (line)
			printf(" |\n");
		else
			printf(" | %s\n", mark_of(step, columns, nr_columns, ok, same, buf));
	}
	if (!ok)
		print_expectations(step, columns, nr_columns);
	return ok;
}

static void print_rule(int nr_columns)
{
	printf("%.*s", text.name_width, DASHES);
	for (int i = 0; i < nr_columns; i++)
		printf("-+-%.*s", outcome_width(), DASHES);
	printf("-+-%.*s\n", text.mark_width, DASHES);
}

static bool has_defects(void)
{
	return text.defects[0].number;
}

static void print_defects(const struct column *columns, int nr_columns)
{
	if (!has_defects() || !columns[0].by_c)
		return;
	printf("%s: a known defect of C, which Rust does not have (Documentation/parity.rst):\n",
	       defect_mark(nr_columns));
	for (const struct defect *defect = text.defects; defect->number; defect++)
		printf("  %-3s %s\n", defect->number, defect->what);
	printf("\n");
}

/* Returns how many steps did not go as expected. */
static int print_table(const struct column *columns, int nr_columns)
{
	const struct log *logs[2];
	int nr_bad = 0;
	char name[64];

	printf("%-*s", text.name_width, "");
	for (int i = 0; i < nr_columns; i++)
		printf(" | %-*s", outcome_width(), columns[i].title);
	printf(" |\n%-*s", text.name_width, "scenario");
	for (int i = 0; i < nr_columns; i++)
		printf(" | %-*s  %-*s", text.got_width, "guest got", text.seen_width, text.seen);
	printf(" |\n");
	print_rule(nr_columns);

	for (int i = 0; i < NR_SCENARIOS; i++) {
		const struct scenario *scenario = &scenarios[i];

		if (scenario->nr_steps > 1) {
			printf("%d %-*s", i + 1, text.name_width - 2, scenario->name);
			for (int j = 0; j < nr_columns; j++)
				printf(" | %*s", outcome_width(), "");
			printf(" |\n");
		}
		for (int step = 0; step < scenario->nr_steps; step++) {
			if (scenario->nr_steps > 1)
				snprintf(name, sizeof(name), "    %s", scenario->steps[step].name);
			else
				snprintf(name, sizeof(name), "%d %s", i + 1, scenario->name);
			for (int j = 0; j < nr_columns; j++)
				logs[j] = &columns[j].logs[i][step];
			nr_bad += !print_step(name, &scenario->steps[step], logs, columns,
					      nr_columns);
		}
	}
	print_rule(nr_columns);
	printf("%s\n\n", text.legend);
	print_defects(columns, nr_columns);
	return nr_bad;
}

static bool has_to_grow(const struct counter_info *info, const struct column *column)
{
	return info->growth == GROWS ||
	       (info->growth == GROWS_ON_RUST && !strcmp(column->mode, "rust"));
}

/* The counters show that a column was what its title says. Returns how many say otherwise. */
static int check_counters(const struct column *column)
{
	unsigned long long bound = column->counters[COUNTER_VMS_TOTAL];
	int nr_bad = 0;

	if (!strcmp(column->mode, "c")) {
		if (bound)
			printf("BAD: %llu VMs of column C were bound to the helper.\n", bound);
		return bound > 0;
	}

	if (bound < NR_SCENARIOS) {
		printf("BAD: just %llu of %d VMs were bound to the helper: see the kernel log.\n",
		       bound, NR_SCENARIOS);
		nr_bad++;
	}
	for (int i = 0; i < NR_COUNTERS; i++) {
		if (column->counters[i] || !has_to_grow(&counter_infos[i], column))
			continue;
		printf("BAD: the helper counted no %s.\n", counter_infos[i].name);
		nr_bad++;
	}
	if (column->counters[COUNTER_DIFFERENCES]) {
		printf("BAD: C and Rust disagreed: see the kernel log.\n");
		nr_bad++;
	}
	return nr_bad;
}

static int print_counters(const struct column *columns, int nr_columns)
{
	int nr_bad = 0;

	for (int i = 0; i < nr_columns; i++) {
		if (!columns[i].counters_known) {
			printf("BAD: no counters to show that Rust ran.\n"
			       "Try: mount -t debugfs none /sys/kernel/debug\n\n");
			return 1;
		}
	}

	printf("%-*s", text.counter_width + 2, "helper counted");
	for (int i = 0; i < nr_columns; i++)
		printf(" %6s", columns[i].title);
	printf("\n");
	for (int counter = 0; counter < NR_COUNTERS; counter++) {
		printf("  %-*s", text.counter_width, counter_infos[counter].name);
		for (int i = 0; i < nr_columns; i++)
			printf(" %6llu", columns[i].counters[counter]);
		printf("   %s\n", counter_infos[counter].meaning);
	}
	for (int i = 0; i < nr_columns; i++)
		nr_bad += check_counters(&columns[i]);
	printf("\n");
	return nr_bad;
}

/* Has VMs in trouble, and shows what the helper says.  Returns how often it does not. */
static int print_trouble(void)
{
	struct log logs[MAX_STEPS] = {};
	int nr_bad = 0;
	struct vm vm;

	helper_set_mode("rust");
	for (int i = 0; i < NR_SCENARIOS; i++) {
		const struct scenario *scenario = &scenarios[i];

		if (!scenario->symptom)
			continue;
		doing[0] = "trouble";
		doing[1] = scenario->name;
		vm_create(&vm, scenario, logs);
		scenario->run(&vm, scenario->routes.entries[0].gsi);
		printf("A VM in trouble, that of scenario %d: %s. What is wrong with it:\n",
		       i + 1, scenario->symptom);
		if (!helper_print_file("remarks", scenario->remark)) {
			printf("BAD: no remark %s, or debugfs has no such file.\n",
			       scenario->remark);
			nr_bad++;
		}
		printf("More symptoms and such commands: Documentation/troubleshooting.rst\n\n");
		vm_destroy(&vm);
	}
	doing[0] = NULL;
	doing[1] = NULL;
	return nr_bad;
}

static void print_what_next(const char *program)
{
	printf("What next:\n"
	       "  compute each result in C and in Rust, and compare them:\n"
	       "    %s --mode verify -- %s --mode verify\n"
	       "  look around in the test VM:\n"
	       "    %s -- bash\n"
	       "  run all tests, on C, on Rust and in mode verify:\n"
	       "    %s\n", text.demo, program, text.demo, text.check);
}

static const char *parse_options(int argc, char **argv)
{
	static const struct option options[] = {
		{ "mode", required_argument, NULL, 'm' },
		{ "help", no_argument, NULL, 'h' },
		{ }
	};
	const char *mode = NULL;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'm':
			mode = optarg;
			break;
		case 'h':
			print_usage(stdout);
			exit(0);
		default:
			print_usage(stderr);
			exit(2);
		}
	}
	if (optind < argc)
		die("'%s' is not an option (see --help)", argv[optind]);
	return mode;
}

/* Returns how many columns the mode has. */
static int choose_columns(const char *mode, bool loaded, struct column *columns)
{
	static const struct {
		const char *mode;
		const char *title;
		bool in_both;
		bool by_c;
	} choices[] = {
		{ "c", "C", true, true },
		{ "rust", "Rust", true, false },
		{ "verify", "verify", false, true },
	};
	int nr = 0;

	if (!mode)
		mode = loaded ? "both" : "c";
	for (size_t i = 0; i < ARRAY_SIZE(choices); i++) {
		if (strcmp(mode, "both") ? strcmp(mode, choices[i].mode) : !choices[i].in_both)
			continue;
		columns[nr].title = choices[i].title;
		columns[nr].by_c = choices[i].by_c;
		columns[nr++].mode = loaded ? choices[i].mode : NULL;
	}
	if (!nr)
		die("--mode %s: it is one of both, c, rust, verify", mode);
	if (!loaded && strcmp(mode, "c"))
		die("--mode %s: kvm_irqroute is not loaded (insmod kvm_irqroute.ko, or %s)",
		    mode, text.make);
	return nr;
}

int main(int argc, char **argv)
{
	static struct column columns[2];
	const char *mode = parse_options(argc, argv);
	bool loaded = helper_loaded();
	int nr_columns = choose_columns(mode, loaded, columns);
	int nr_bad;

	for (int i = 0; i < nr_columns; i++)
		run_column(&columns[i]);

	printf("VMs of %d vCPUs with %s\n\n", NR_VCPUS, text.intro);
	nr_bad = print_table(columns, nr_columns);
	if (loaded)
		nr_bad += print_counters(columns, nr_columns);
	if (!columns[nr_columns - 1].by_c)
		nr_bad += print_trouble();

	if (nr_bad)
		printf("FAILED: see DIFF and BAD above.\n\n");
	else if (nr_columns > 1)
		printf("All as expected, and C and Rust agree%s.\n\n",
		       has_defects() ? ", but for known defects of C" : "");
	else
		printf("All as expected on %s.\n\n", columns[0].title);
	if (!loaded)
		printf("The helper (kvm_irqroute) is not loaded, so there is no column for Rust.\n"
		       "%s shows both.\n\n", text.make);
	print_what_next(argv[0]);
	return nr_bad ? 1 : 0;
}
