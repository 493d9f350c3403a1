/* SPDX-License-Identifier: MIT */
/*
 * What instructions.c uses of QEMU's plugin interface, as QEMU's documentation
 * ("TCG plugins", API) gives it for version 3: QEMU 9.1 and later.
 *
 * Distributions do not package the interface's own header. QEMU looks the two
 * symbols of ours up by name, and refuses a plugin whose version it does not
 * know any more.
 */
#ifndef TEST_BENCH_QEMU_PLUGIN_H
#define TEST_BENCH_QEMU_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#define QEMU_PLUGIN_API 3
#define QEMU_PLUGIN_CB_NO_REGS 0
#define QEMU_PLUGIN_INLINE_ADD_U64 0

typedef uint64_t qemu_plugin_id;
struct qemu_info;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_plugin_scoreboard;

/* A member at `offset` of each CPU's entry in a scoreboard. */
struct qemu_plugin_u64 {
	struct qemu_plugin_scoreboard *score;
	size_t offset;
};

/* Ours. Non-zero from install: QEMU ends. */
extern int qemu_plugin_version;
int qemu_plugin_install(qemu_plugin_id id, const struct qemu_info *info,
			int argc, char **argv);

/* `seen` is called for each block of code that is translated. */
void qemu_plugin_register_vcpu_tb_trans_cb(
	qemu_plugin_id id,
	void (*seen)(qemu_plugin_id id, struct qemu_plugin_tb *tb));
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *
qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t index);
/* Copies at most `size` bytes of its code; how many there were. */
size_t qemu_plugin_insn_data(const struct qemu_plugin_insn *insn, void *to,
			     size_t size);

/* Before each execution of `insn`: a call, or an addition without one. */
void qemu_plugin_register_vcpu_insn_exec_cb(
	struct qemu_plugin_insn *insn,
	void (*executed)(unsigned int cpu, void *opaque), int flags,
	void *opaque);
void qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(
	struct qemu_plugin_insn *insn, int operation,
	struct qemu_plugin_u64 entry, uint64_t operand);

struct qemu_plugin_scoreboard *qemu_plugin_scoreboard_new(size_t size);
uint64_t qemu_plugin_u64_sum(struct qemu_plugin_u64 entry);

#endif
