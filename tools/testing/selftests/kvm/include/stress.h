/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Everything at once, from several threads, for --seconds (default 10), or with --vms two
 * of the threads only: that which makes VMs, has each take an interrupt, and destroys them,
 * each for another mode of the module; and that which reads the files of all VMs.  With
 * --vms the module is left as it is: it may be loaded and unloaded meanwhile.
 */
#ifndef SELFTEST_KVM_STRESS_H
#define SELFTEST_KVM_STRESS_H

#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "helper.h"
#include "kselftest.h"
#include "test_util.h"
#include "vm_files.h"

#define MAX_MORE_SECONDS	120
#define MAX_THREADS		16
#define MAX_PAUSE_US		100000
#define MAX_FILE_PAUSE_US	20000
#define MAX_OPS			16

struct work {
	void *(*fn)(void *arg);
	void *arg;
};

/* What a program does. */
struct stress {
	const struct work *work;
	u32 nr_work;
	/* Makes one VM that works, for the thread that has no other work. */
	void (*try_vm)(void);
	/* What is counted in done[]; the last two are files that were read, and VMs. */
	const char * const *op_names;
	u32 nr_ops;
	/* Sets up what try_vm needs, and without @vms_only what all need. */
	void (*set_up)(bool vms_only);
	bool (*has_seen_enough)(void);
	/* Says whether all is well, as @nr_results tests. */
	void (*judge)(void);
	u32 nr_results;
};

/* The one of this program. */
static const struct stress stress;

static atomic_ulong done[MAX_OPS];
static atomic_bool is_over;	/* once all has happened that is looked for, at last */
static atomic_bool stop;

static inline void *make_vms(void *modes_may_change)
{
	static const char * const modes[] = { "rust", "c", "verify" };
	bool modes_change = modes_may_change && helper_is_loaded();
	unsigned int seed = 5;

	while (!stop) {
		if (modes_change) {
			helper_write_parameter("parity", rand_r(&seed) % 2 ? "1" : "0");
			helper_write_parameter("mode", modes[rand_r(&seed) % ARRAY_SIZE(modes)]);
		}
		stress.try_vm();
		done[stress.nr_ops - 1]++;
		/* Who wants to unload the module waits for a time without VMs. */
		if (!modes_may_change)
			usleep(rand_r(&seed) % MAX_PAUSE_US);
	}
	if (modes_change) {
		helper_write_parameter("parity", "0");
		helper_write_parameter("mode", "rust");
	}
	return NULL;
}

/* A text that is whole: each line has as many words as the first one if @same_words. */
static inline void expect_lines(const char *text, bool same_words)
{
	u32 words = 1, columns = 0, i;

	for (i = 0; text[i]; i++) {
		words += text[i] == ' ';
		if (text[i] != '\n')
			continue;
		if (!columns)
			columns = words;
		TEST_ASSERT(!same_words || words == columns, "A line has %u words, not %u:\n%s",
			    words, columns, text);
		words = 1;
	}
	TEST_ASSERT(columns && text[i - 1] == '\n', "A file ends within a line:\n%s", text);
}

/* Reads the files of a VM, which may end at any time.  Returns how many could be read. */
static inline u32 read_files_of_vm(const char *vm)
{
	static const char * const names[] = { "routes", "vcpus", "posting", "remarks" };
	char path[320], *text;
	u32 nr = 0, i;

	snprintf(path, sizeof(path), VMS_DIR "/%s", vm);
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		text = read_vm_file(path, names[i]);
		if (!text) {
			/* The VM is gone, the module goes, or it posts no IRQs. */
			TEST_ASSERT(errno == ENOENT || errno == EIO || errno == ENXIO,
				    "Cannot read %s, errno %d", names[i], errno);
			continue;
		}
		expect_lines(text, !strcmp(names[i], "routes"));
		free(text);
		nr++;
	}
	return nr;
}

static inline void *read_files(void *module_stays)
{
	unsigned int seed = 6;
	struct dirent *entry;
	u32 nr;
	DIR *dir;

	while (!stop) {
		nr = 0;
		dir = opendir(VMS_DIR);
		while (dir && (entry = readdir(dir)))
			if (entry->d_name[0] != '.')
				nr += read_files_of_vm(entry->d_name);
		if (dir)
			closedir(dir);
		else if (module_stays)
			nr = 1;	/* Without the module there is nothing to read. */
		done[stress.nr_ops - 2] += nr;
		/* Who wants to unload the module waits for a time without open files. */
		if (!module_stays || !nr)
			usleep(rand_r(&seed) % MAX_FILE_PAUSE_US);
	}
	return NULL;
}

static inline void on_signal(int signal)
{
	is_over = true;
}

/* Whether all has happened that is looked for at the end, or all of making VMs only. */
static inline bool has_seen_enough(u32 first_op)
{
	u32 op;

	for (op = first_op; op < stress.nr_ops; op++)
		if (!done[op])
			return false;
	return first_op || stress.has_seen_enough();
}

static inline int run_stress(int argc, char *argv[])
{
	static const struct option options[] = {
		{ "seconds", required_argument, NULL, 's' },
		{ "vms", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{ }
	};
	u32 seconds = 10, first_op = 0, nr_threads = 0, i, op;
	pthread_t threads[MAX_THREADS];
	bool idle = false;
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (opt) {
		case 's':
			seconds = atoi_non_negative("--seconds", optarg);
			break;
		case 'v':
			first_op = stress.nr_ops - 2;
			break;
		default:
			printf("usage: %s [--seconds N] [--vms]\n"
			       "default: 10 seconds; 0: until SIGTERM\n", argv[0]);
			return opt == 'h' ? 0 : KSFT_FAIL;
		}
	}

	signal(SIGTERM, on_signal);
	ksft_print_header();
	ksft_set_plan(first_op ? 1 : stress.nr_results + 1);

	stress.set_up(first_op);
	for (i = 0; i < stress.nr_work && !first_op; i++)
		TEST_ASSERT(!pthread_create(&threads[nr_threads++], NULL, stress.work[i].fn,
					    stress.work[i].arg), "No thread");
	TEST_ASSERT(!pthread_create(&threads[nr_threads++], NULL, make_vms,
				    first_op ? NULL : &stop), "No thread");
	TEST_ASSERT(!pthread_create(&threads[nr_threads++], NULL, read_files,
				    first_op ? NULL : &stop), "No thread");
	for (i = 0; !is_over && (!seconds || i < seconds); i++)
		sleep(1);
	/* A machine that has other things to do gets the time that it needs. */
	for (i = 0; i < MAX_MORE_SECONDS && !has_seen_enough(first_op); i++)
		sleep(1);
	stop = true;
	for (i = 0; i < nr_threads; i++)
		pthread_join(threads[i], NULL);

	/* Before what may fail: whoever looks for the reason wants to know. */
	for (op = first_op; op < stress.nr_ops; op++) {
		ksft_print_msg("%s: %lu\n", stress.op_names[op], done[op]);
		idle |= !done[op];
	}
	if (!first_op)
		stress.judge();
	ksft_test_result(!idle, "all_operations_ran\n");
	ksft_finished();
}

#endif /* SELFTEST_KVM_STRESS_H */
