/* SPDX-License-Identifier: MIT */
/*
 * Instructions between two markers, theory of operation
 *
 * A plugin of QEMU's emulator (QEMU's documentation, "TCG plugins"), for the
 * nested lab. Every translated instruction gets an addition to its CPU's
 * counter; the counters' sum is what the whole machine has executed, on
 * whatever level: the lab's kernel and vmm in it, VTL2's kernel and daemon, and
 * VTL0.
 *
 *	    MARK_START               MARK_STOP
 *	idle ────────▶ counting ────────────▶ idle, one line in the file
 *
 * A marker is a NOP that no compiler writes: 0f 1f 80 ID 5a 5a 5a. A second
 * start takes the first one's place, a stop without a start says nothing.
 * An instruction that faults, or has to wait for the host, is counted each time
 * that it is begun.
 *
 * Loaded by -plugin instructions.so,out=FILE. FILE is emptied, then has one
 * number a line. Threads: the emulated CPUs' own; `begun` is atomic.
 *
 * Failure answers: what is wrong with the arguments or the file is one line,
 * and QEMU does not start. A line that cannot be written is missed by whoever
 * counts the lines.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "qemu_plugin.h"

enum { MARK_START = 1, MARK_STOP = 2 };
#define MARK_SIZE 7
#define MARK_ID 3
#define NOT_BEGUN UINT64_MAX

static struct qemu_plugin_u64 executed;
static _Atomic uint64_t begun = NOT_BEGUN;
static FILE *out;

int qemu_plugin_version = QEMU_PLUGIN_API;

static void started(unsigned int cpu, void *opaque)
{
	(void)cpu;
	(void)opaque;
	begun = qemu_plugin_u64_sum(executed);
}

static void stopped(unsigned int cpu, void *opaque)
{
	uint64_t now = qemu_plugin_u64_sum(executed);
	uint64_t then = atomic_exchange(&begun, NOT_BEGUN);

	(void)cpu;
	(void)opaque;
	if (then == NOT_BEGUN)
		return;
	fprintf(out, "%" PRIu64 "\n", now - then);
	fflush(out);
}

/* The marker's number, 0: another instruction. */
static unsigned int mark(const struct qemu_plugin_insn *insn)
{
	uint8_t code[MARK_SIZE + 1];

	if (qemu_plugin_insn_data(insn, code, sizeof(code)) != MARK_SIZE ||
	    memcmp(code, "\x0f\x1f\x80", MARK_ID) ||
	    memcmp(code + MARK_ID + 1, "\x5a\x5a\x5a", 3))
		return 0;
	return code[MARK_ID];
}

static void translated(qemu_plugin_id id, struct qemu_plugin_tb *tb)
{
	size_t n = qemu_plugin_tb_n_insns(tb);

	(void)id;
	for (size_t i = 0; i < n; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		unsigned int number = mark(insn);

		qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(
			insn, QEMU_PLUGIN_INLINE_ADD_U64, executed, 1);
		if (number == MARK_START || number == MARK_STOP)
			qemu_plugin_register_vcpu_insn_exec_cb(
				insn, number == MARK_START ? started : stopped,
				QEMU_PLUGIN_CB_NO_REGS, NULL);
	}
}

int qemu_plugin_install(qemu_plugin_id id, const struct qemu_info *info,
			int argc, char **argv)
{
	(void)info;
	if (argc != 1 || strncmp(argv[0], "out=", 4)) {
		fprintf(stderr, "instructions: the one argument is out=FILE\n");
		return -1;
	}
	out = fopen(argv[0] + 4, "we");
	if (!out) {
		fprintf(stderr, "instructions: %s: %s\n", argv[0] + 4,
			strerror(errno));
		return -1;
	}
	executed.score = qemu_plugin_scoreboard_new(sizeof(uint64_t));
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	return 0;
}
