/* SPDX-License-Identifier: MIT */
/*
 * What a fuzz target is, and what all of them use.
 *
 * TARGET.c has fuzz_one(). It is linked with fuzz.c and with one of two
 * engines: libFuzzer (`make fuzz T=TARGET`), or replay_main.c, which runs the
 * files of a corpus once. `targets` lists which files a target is to test.
 *
 * A target judges what it sees: fuzz_expect() ends the process, which both
 * engines report with the input. Besides, in every target, a single allocation
 * of more than FUZZ_MAX_ALLOCATION bytes is a failure: no length of a guest's
 * may decide how much memory we take.
 *
 * Threads: none. A target may keep objects from one input to the next if they
 * are then as new.
 */
#ifndef TEST_FUZZ_H
#define TEST_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FUZZ_MAX_ALLOCATION (1u << 20)

/* What is left of the input. Reading behind its end gives zeroes. */
struct fuzz_input {
	const uint8_t *bytes;
	size_t left;
};

/* The target's: one input. */
void fuzz_one(struct fuzz_input *in);

/* A little-endian number of 1 to 8 bytes. */
uint64_t fuzz_number(struct fuzz_input *in, unsigned int bytes);
/* Copies `size` bytes; returns how many were there. */
size_t fuzz_take(struct fuzz_input *in, void *to, size_t size);
/* All that is left, or at most `max` bytes of it. */
const uint8_t *fuzz_rest(struct fuzz_input *in, size_t max, size_t *size);

/* The code under test took the input for a good one. */
void fuzz_accept(void);

/* Lines logged since the input began, and the last of them. */
unsigned int fuzz_log_lines(void);
const char *fuzz_log_last(void);

/* From now on, lines on stderr of the code under test are lines of the log. */
void fuzz_stderr_is_log(void);

#define fuzz_expect(condition, a, b)                                       \
	do {                                                               \
		if (__builtin_expect(!(condition), 0))                     \
			fuzz_fail(__FILE__, __LINE__, #condition,          \
				  (uint64_t)(a), (uint64_t)(b));           \
	} while (0)
_Noreturn void fuzz_fail(const char *file, int line, const char *condition,
			 uint64_t a, uint64_t b);

/* For the engines. */
struct fuzz_result {
	bool accepted;
};
extern struct fuzz_result fuzz_result;
/* libFuzzer calls it by this name. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

#endif
