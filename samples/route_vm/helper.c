// SPDX-License-Identifier: GPL-2.0
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "helper.h"
#include "vm.h"

#define MODE_FILE	"/sys/module/kvm_irqroute/parameters/mode"
#define COUNTERS_DIR	"/sys/kernel/debug/kvm_irqroute"
#define VMS_DIR		COUNTERS_DIR "/vms"

static char initial_mode[16];

bool helper_loaded(void)
{
	return !access(MODE_FILE, F_OK);
}

static bool write_mode(const char *mode)
{
	FILE *file = fopen(MODE_FILE, "w");

	if (!file)
		return false;
	fputs(mode, file);
	return !fclose(file);
}

static void restore_mode(void)
{
	write_mode(initial_mode);
}

void helper_set_mode(const char *mode)
{
	FILE *file;

	if (!initial_mode[0]) {
		file = fopen(MODE_FILE, "r");
		if (!file || fscanf(file, "%15s", initial_mode) != 1)
			die("%s: %s (is kvm_irqroute loaded?)", MODE_FILE, strerror(errno));
		fclose(file);
		atexit(restore_mode);
	}
	if (!write_mode(mode))
		die("write '%s' to %s: %s (be root)", mode, MODE_FILE, strerror(errno));
}

bool helper_read_counters(unsigned long long *counters)
{
	char path[128];
	FILE *file;
	bool ok;

	for (int i = 0; i < NR_COUNTERS; i++) {
		snprintf(path, sizeof(path), COUNTERS_DIR "/%s", counter_infos[i].name);
		file = fopen(path, "r");
		if (!file)
			return false;
		ok = fscanf(file, "%llu", &counters[i]) == 1;
		fclose(file);
		if (!ok)
			return false;
	}
	return true;
}

/* The number of this process's newest VM, 0 if there is none. */
static unsigned long newest_vm(void)
{
	unsigned long number, newest = 0;
	DIR *dir = opendir(VMS_DIR);
	struct dirent *entry;
	int pid;

	if (!dir)
		return 0;
	while ((entry = readdir(dir)))
		if (sscanf(entry->d_name, "%d-%lu", &pid, &number) == 2 && pid == getpid() &&
		    number > newest)
			newest = number;
	closedir(dir);
	return newest;
}

bool helper_print_file(const char *name, const char *word)
{
	char path[128], line[256];
	bool found = false;
	FILE *file;

	snprintf(path, sizeof(path), VMS_DIR "/%d-%lu/%s", getpid(), newest_vm(), name);
	file = fopen(path, "r");
	if (!file)
		return false;
	printf("  $ cat %s\n", path);
	while (fgets(line, sizeof(line), file)) {
		printf("  %s", line);
		found = found || strstr(line, word);
	}
	fclose(file);
	return found;
}
