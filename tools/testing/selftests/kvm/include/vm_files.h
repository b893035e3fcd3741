/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The files that the module shows of a VM of this process.
 */
#ifndef SELFTEST_KVM_VM_FILES_H
#define SELFTEST_KVM_VM_FILES_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "helper.h"
#include "test_util.h"

#define VMS_DIR		HELPER_COUNTERS "vms"

/*
 * Finds the directory of the last VM that this process has made, of those that are
 * bound to the module.  Returns whether there is one.
 */
static inline bool find_vm_dir(char *path, size_t size)
{
	unsigned long number, last = 0;
	struct dirent *entry;
	DIR *dir = opendir(VMS_DIR);
	int pid;

	if (!dir)
		return false;
	while ((entry = readdir(dir))) {
		if (sscanf(entry->d_name, "%d-%lu", &pid, &number) != 2 || pid != getpid() ||
		    number <= last)
			continue;
		last = number;
		snprintf(path, size, VMS_DIR "/%d-%lu", pid, number);
	}
	closedir(dir);
	return last;
}

static inline int open_vm_file(const char *dir, const char *name)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return open(path, O_RDONLY);
}

/*
 * Reads what is left of a file, @step bytes at a time.  Returns a string that is to
 * be freed, or NULL and errno.
 */
static inline char *read_all(int fd, size_t step)
{
	size_t len = 0, size = step + 1;
	char *text = malloc(size);
	ssize_t n;

	TEST_ASSERT(text, "Insufficient memory for a file");
	while ((n = read(fd, text + len, step)) > 0) {
		len += n;
		if (len + step >= size) {
			size = 2 * size + step;
			text = realloc(text, size);
			TEST_ASSERT(text, "Insufficient memory for a file");
		}
	}
	if (n < 0) {
		free(text);
		return NULL;
	}
	text[len] = '\0';
	return text;
}

/* Reads a file of a VM as a whole.  Returns a string that is to be freed, or NULL and errno. */
static inline char *read_vm_file(const char *dir, const char *name)
{
	int fd = open_vm_file(dir, name), saved;
	char *text;

	if (fd < 0)
		return NULL;
	text = read_all(fd, 4096);
	saved = errno;
	close(fd);
	errno = saved;
	return text;
}

static inline void expect_file(const char *dir, const char *name, const char *expected,
			       const char *file, unsigned int line)
{
	char *text = read_vm_file(dir, name);

	test_assert(text && !strcmp(text, expected), name, file, line,
		    "%s is\n%s---- and was to be\n%s", name, text ?: strerror(errno), expected);
	free(text);
}

/* A file of the VM whose directory the fixture has in dir has exactly this text. */
#define EXPECT_FILE(_name, _text)	\
	expect_file(self->dir, _name, _text, __FILE__, __LINE__)

#endif /* SELFTEST_KVM_VM_FILES_H */
