// SPDX-License-Identifier: MIT
/*
 * Replay: `TARGET FILE|DIRECTORY...` runs each input once, without an engine.
 *
 * Prints one line: how many inputs there were, how many of them the code under
 * test accepted, and the median size of those. A failure ends the process; the
 * input that was running is named before.
 *
 * Threads: none. Exit status: 0; 1 without any input; 2 when one cannot be
 * read; by signal when one failed.
 */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test/fuzz/fuzz.h"

#define INPUT_SIZE (1u << 20)
#define MAX_CASES 65536

static const char *running = "none";
static size_t accepted[MAX_CASES];
static unsigned int cases, nr_accepted;

static _Noreturn void die(const char *path, const char *why)
{
	fprintf(stderr, "replay: %s: %s\n", path, why);
	exit(2);
}

static void name_input(int signal_number)
{
	(void)signal_number;
	if (write(STDERR_FILENO, running, strlen(running)) < 0 ||
	    write(STDERR_FILENO, ": failed\n", 9) < 0)
		return;
}

static void run_file(const char *path)
{
	uint8_t *bytes = malloc(INPUT_SIZE + 1), *exact;
	FILE *file = fopen(path, "rb");
	size_t size;

	if (!file || !bytes)
		die(path, strerror(errno));
	size = fread(bytes, 1, INPUT_SIZE + 1, file);
	if (ferror(file) || size > INPUT_SIZE)
		die(path, "cannot be read, or is above 1 MiB");
	fclose(file);
	/* As big as the input, so that ASan sees what reads behind it. */
	exact = malloc(size ? size : 1);
	if (!exact || cases == MAX_CASES)
		die(path, "too much");
	memcpy(exact, bytes, size);
	free(bytes);
	running = path;
	LLVMFuzzerTestOneInput(exact, size);
	running = "none";
	free(exact);
	cases++;
	if (fuzz_result.accepted)
		accepted[nr_accepted++] = size;
}

static int visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static void run_directory(const char *path)
{
	struct dirent **entry;
	int n = scandir(path, &entry, visible, alphasort);

	if (n < 0)
		die(path, strerror(errno));
	for (int i = 0; i < n; i++) {
		char name[4096];

		if ((size_t)snprintf(name, sizeof(name), "%s/%s", path,
				     entry[i]->d_name) >= sizeof(name))
			die(path, "name too long");
		run_file(name);
		free(entry[i]);
	}
	free(entry);
}

static int by_size(const void *a, const void *b)
{
	size_t x = *(const size_t *)a, y = *(const size_t *)b;

	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	/* Sanitizers end the process by abort(), if so asked. */
	signal(SIGABRT, name_input);
	for (int i = 1; i < argc; i++) {
		struct stat st;

		if (stat(argv[i], &st))
			die(argv[i], strerror(errno));
		if (S_ISDIR(st.st_mode))
			run_directory(argv[i]);
		else
			run_file(argv[i]);
	}
	qsort(accepted, nr_accepted, sizeof(accepted[0]), by_size);
	printf("%u cases, %u accepted, median %zu bytes\n", cases, nr_accepted,
	       nr_accepted ? accepted[nr_accepted / 2] : 0);
	return cases ? 0 : 1;
}
