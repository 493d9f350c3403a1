/* SPDX-License-Identifier: MIT */
/*
 * stamped [OPTION...] DEVICE: writes and reads stamped blocks (stamp.h), past
 * the page cache, and says what was lost, torn, misplaced, stale or executed
 * twice. What DEVICE holds is overwritten.
 *
 *	-b BYTES	of a block (4096)
 *	-n BLOCKS	are used, from the first (1024)
 *	-o COUNT	operations after each block was written once (10000)
 *	-s SEED		the same operations and stamps for the same seed (1)
 *	-d SECONDS	within which every operation has to end (120)
 *	-e		operations may fail
 *	-f		each write is durable when it ends (FUA), and nothing is
 *			flushed
 *	-v DURABLE	after a loss of power: writes nothing, and verifies that
 *			all is there that was written before operation DURABLE,
 *			and none but what a run with the same options wrote
 *
 * Which operations there are depends on nothing but the options, so a run that
 * was cut off can be verified from what it said last: "stamped: durable N",
 * after each flush that the disk acknowledged; with -f as often, without one.
 *
 * Status: 0, or 1: something was found, or was late, or failed without -e;
 * 2: usage, or the device cannot be used.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "test/guest/stamp.h"

#define RUN 16u /* blocks of one operation, at most */
#define FLUSH_EVERY 64u
#define ALIGNMENT 4096u

static struct {
	uint32_t block_size, blocks, operations, seed, deadline_s, durable;
	bool may_fail, fua, verify;
} option = { .block_size = 4096, .blocks = 1024, .operations = 10000,
	     .seed = 1, .deadline_s = 120 };

struct operation {
	bool write;
	uint32_t lba, blocks;
};

static int fd;
static uint8_t *buffer, *second;
static struct stamp_book book;
static uint64_t failed, late, longest_ns;

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint32_t mixed(uint32_t i, uint32_t what)
{
	uint64_t x = ((uint64_t)option.seed << 32 | i) + what * 0x9e3779b9ull;

	x = (x ^ x >> 33) * 0xff51afd7ed558ccdu;
	x = (x ^ x >> 33) * 0xc4ceb9fe1a85ec53u;
	return (uint32_t)(x >> 32);
}

/* The `i`th: first every block is written, in order. */
static struct operation operation(uint32_t i)
{
	uint32_t first = (option.blocks + RUN - 1) / RUN;
	struct operation op = { .write = true, .lba = i * RUN, .blocks = RUN };

	if (i >= first) {
		op.write = mixed(i, 1) % 8 < 5;
		op.lba = mixed(i, 2) % option.blocks;
		op.blocks = 1 + mixed(i, 3) % RUN;
	}
	if (op.blocks > option.blocks - op.lba)
		op.blocks = option.blocks - op.lba;
	return op;
}

static uint32_t operations(void)
{
	return (option.blocks + RUN - 1) / RUN + option.operations;
}

/* True: the disk did all of it. */
static bool do_io(const struct operation *op, bool write, uint8_t *data)
{
	size_t bytes = (size_t)op->blocks * option.block_size;
	off_t at = (off_t)op->lba * option.block_size;
	uint64_t began = now(), took;
	ssize_t n = write ? pwrite(fd, data, bytes, at) :
			    pread(fd, data, bytes, at);

	took = now() - began;
	if (took > longest_ns)
		longest_ns = took;
	late += took > option.deadline_s * 1000000000ull;
	if (n == (ssize_t)bytes)
		return true;
	if (!failed++)
		fprintf(stderr, "stamped: %s of %u blocks at %u: %s\n",
			write ? "write" : "read", op->blocks, op->lba,
			n < 0 ? strerror(errno) : "cut short");
	return false;
}

static void do_write(const struct operation *op, bool *executed)
{
	bool good;

	for (uint32_t i = 0; i < op->blocks; i++)
		stamp_write(&book, op->lba + i,
			    buffer + i * option.block_size);
	good = executed ? *executed : do_io(op, true, buffer);
	for (uint32_t i = 0; i < op->blocks; i++)
		stamp_written(&book, op->lba + i, good);
}

static void do_read(const struct operation *op)
{
	bool suspect = false, again;

	if (!do_io(op, false, buffer))
		return;
	for (uint32_t i = 0; i < op->blocks; i++)
		suspect |= stamp_suspect(&book, op->lba + i,
					 buffer + i * option.block_size);
	again = suspect && do_io(op, false, second);
	for (uint32_t i = 0; i < op->blocks; i++)
		stamp_read(&book, op->lba + i, buffer + i * option.block_size,
			   again ? second + i * option.block_size : NULL);
}

static void flush(uint32_t next)
{
	uint64_t began = now();

	if (!option.fua && fdatasync(fd))
		failed++;
	else
		printf("stamped: durable %u\n", next);
	late += now() - began > option.deadline_s * 1000000000ull;
	fflush(stdout);
}

static void read_all(void)
{
	struct operation op = { .blocks = RUN };

	for (; op.lba < option.blocks; op.lba += op.blocks) {
		if (op.blocks > option.blocks - op.lba)
			op.blocks = option.blocks - op.lba;
		do_read(&op);
	}
}

static void run(void)
{
	uint32_t n = operations();

	for (uint32_t i = 0; i < n; i++) {
		struct operation op = operation(i);

		if (op.write)
			do_write(&op, NULL);
		else
			do_read(&op);
		if ((i + 1) % FLUSH_EVERY == 0 || i + 1 == n)
			flush(i + 1);
	}
	read_all();
}

/* What was written before is taken for acknowledged, all after for perhaps. */
static void verify(void)
{
	for (uint32_t i = 0; i < operations(); i++) {
		struct operation op = operation(i);
		bool durable = i < option.durable;

		if (op.write)
			do_write(&op, &durable);
	}
	read_all();
}

static uint32_t number(const char *name, const char *text, uint32_t least)
{
	char *end;
	unsigned long n = strtoul(text, &end, 0);

	if (!*text || *end || n < least || n > INT32_MAX) {
		fprintf(stderr, "stamped: %s %s: a number, %u at least\n",
			name, text, least);
		exit(2);
	}
	return (uint32_t)n;
}

static const char *parse(int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "b:n:o:s:d:efv:")) != -1) {
		switch (c) {
		case 'b':
			option.block_size = number("-b", optarg, 512);
			break;
		case 'n':
			option.blocks = number("-n", optarg, 1);
			break;
		case 'o':
			option.operations = number("-o", optarg, 0);
			break;
		case 's':
			option.seed = number("-s", optarg, 0);
			break;
		case 'd':
			option.deadline_s = number("-d", optarg, 1);
			break;
		case 'e':
			option.may_fail = true;
			break;
		case 'f':
			option.fua = true;
			break;
		case 'v':
			option.verify = true;
			option.durable = number("-v", optarg, 0);
			break;
		default:
			exit(2);
		}
	}
	if (option.block_size % 512 || option.block_size > 65536) {
		fprintf(stderr, "stamped: -b %u: a multiple of 512, 65536 at "
			"most\n", option.block_size);
		exit(2);
	}
	if (argc - optind != 1) {
		fprintf(stderr, "stamped: DEVICE: one is to be given\n");
		exit(2);
	}
	return argv[optind];
}

int main(int argc, char **argv)
{
	const char *device = parse(argc, argv);
	size_t size = (size_t)RUN * option.block_size;

	size = (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
	fd = open(device, O_RDWR | O_DIRECT | O_CLOEXEC |
			  (option.fua ? O_DSYNC : 0));
	if (fd < 0) {
		fprintf(stderr, "stamped: %s: %s\n", device, strerror(errno));
		return 2;
	}
	buffer = aligned_alloc(ALIGNMENT, size);
	second = aligned_alloc(ALIGNMENT, size);
	if (!buffer || !second ||
	    stamp_open(&book, 0, option.blocks, option.block_size,
		       option.seed)) {
		fprintf(stderr, "stamped: no memory\n");
		return 2;
	}
	if (option.verify)
		verify();
	else
		run();
	printf("stamped: failed %llu, late %llu, longest %llu ms, ",
	       (unsigned long long)failed, (unsigned long long)late,
	       (unsigned long long)(longest_ns / 1000000));
	stamp_print(&book, stdout);
	return stamp_bad(&book) || late || (failed && !option.may_fail);
}
