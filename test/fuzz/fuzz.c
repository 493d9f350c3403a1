/* SPDX-License-Identifier: MIT */
/*
 * Fuzzing, theory of operation
 *
 * Stands between an engine and a target: begins an input, runs it, and watches
 * allocations meanwhile through the hooks of the sanitizers' allocator (without
 * a sanitizer nothing is watched). It is also the program's log: lines are
 * formatted, so that a bad argument is found, kept, and printed by fuzz_fail()
 * alone.
 *
 * Threads: none. Failure answers: a line on stderr and abort().
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <pv/log.h>

#include "test/fuzz/fuzz.h"

#define LINE_SIZE 512

/* The sanitizers' (sanitizer/allocator_interface.h), where there are any. */
int __sanitizer_install_malloc_and_free_hooks(
	void (*allocated)(const volatile void *memory, size_t size),
	void (*freed)(const volatile void *memory)) __attribute__((weak));

struct fuzz_result fuzz_result;

static bool watching;
static unsigned int lines;
static char last_line[LINE_SIZE];

/* Input. */

size_t fuzz_take(struct fuzz_input *in, void *to, size_t size)
{
	size_t n = size < in->left ? size : in->left;

	if (n)
		memcpy(to, in->bytes, n);
	memset((uint8_t *)to + n, 0, size - n);
	in->bytes += n;
	in->left -= n;
	return n;
}

uint64_t fuzz_number(struct fuzz_input *in, unsigned int bytes)
{
	uint8_t byte[8];
	uint64_t number = 0;

	fuzz_take(in, byte, bytes);
	while (bytes--)
		number = number << 8 | byte[bytes];
	return number;
}

const uint8_t *fuzz_rest(struct fuzz_input *in, size_t max, size_t *size)
{
	const uint8_t *bytes = in->bytes;

	*size = in->left < max ? in->left : max;
	in->bytes += *size;
	in->left -= *size;
	return bytes;
}

/* Judgement. */

void fuzz_accept(void)
{
	fuzz_result.accepted = true;
}

_Noreturn void fuzz_fail(const char *file, int line, const char *condition,
			 uint64_t a, uint64_t b)
{
	watching = false;
	dprintf(STDERR_FILENO, "%s:%d: does not hold: %s (%#llx, %#llx)\n",
		file, line, condition, (unsigned long long)a,
		(unsigned long long)b);
	if (lines)
		dprintf(STDERR_FILENO, "last of %u log lines: %s\n", lines,
			last_line);
	abort();
}

static void allocated(const volatile void *memory, size_t size)
{
	(void)memory;
	if (watching)
		fuzz_expect(size <= FUZZ_MAX_ALLOCATION, size,
			    FUZZ_MAX_ALLOCATION);
}

static void freed(const volatile void *memory)
{
	(void)memory;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static bool hooked;
	struct fuzz_input in = { bytes, size };

	if (!hooked && __sanitizer_install_malloc_and_free_hooks)
		__sanitizer_install_malloc_and_free_hooks(allocated, freed);
	hooked = true;
	fuzz_result.accepted = false;
	lines = 0;
	watching = true;
	fuzz_one(&in);
	watching = false;
	return 0;
}

/* The log: pv/log.h, and what programs of the host say on stderr. */

static ssize_t stderr_write(void *cookie, const char *text, size_t size)
{
	size_t n = size < LINE_SIZE ? size : LINE_SIZE - 1;

	(void)cookie;
	memcpy(last_line, text, n);
	last_line[n] = '\0';
	for (size_t i = 0; i < size; i++)
		lines += text[i] == '\n';
	return (ssize_t)size;
}

void fuzz_stderr_is_log(void)
{
	static const cookie_io_functions_t io = { .write = stderr_write };
	static char buffer[LINE_SIZE];
	static FILE *log;

	if (log)
		return;
	log = fopencookie(NULL, "w", io);
	if (!log)
		abort();
	setvbuf(log, buffer, _IOLBF, sizeof(buffer));
	stderr = log;
}

unsigned int fuzz_log_lines(void)
{
	return lines;
}

const char *fuzz_log_last(void)
{
	return last_line;
}

void log_write(struct log_module *module, enum log_level level,
	       const char *format, ...)
{
	va_list args;
	int n;

	if ((int)level > module->level)
		return;
	n = snprintf(last_line, sizeof(last_line), "%s: ", module->name);
	va_start(args, format);
	vsnprintf(last_line + n, sizeof(last_line) - n, format, args);
	va_end(args);
	lines++;
}

int log_pass(struct log_module *module, struct log_limit *limit)
{
	(void)module;
	(void)limit;
	return 1;
}

int log_set_level(const char *module, enum log_level level)
{
	(void)module;
	(void)level;
	return 0;
}

_Noreturn void pv_bug_at(const char *file, int line, const char *condition,
			 uint64_t a, uint64_t b)
{
	fuzz_fail(file, line, condition, a, b);
}
