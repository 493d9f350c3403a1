/* SPDX-License-Identifier: MIT */
/*
 * VTL0's hypercalls that come to VTL2: those that name a connection which the
 * hypervisor does not know (TLFS, "Inter-Partition Communication").
 */
#ifndef HYPERCALL_H
#define HYPERCALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <hv_reg.h>
#include <pv/guest_memory.h>

struct inspect;

/* Where connections lead. Any VP's thread; never waits. */
struct hypercall_port_ops {
	/* 0; -ENOENT: no such connection; -ENOSPC: too many are waiting;
	 * -EINVAL: not a message for it. The payload is private to the call. */
	int (*message)(void *opaque, uint32_t vp, uint32_t connection,
		       uint32_t type, const void *payload, size_t size);
	/* 0 or -ENOENT. */
	int (*signal)(void *opaque, uint32_t vp, uint32_t connection,
		      uint16_t flag);
};

struct hypercall_ports {
	const struct hypercall_port_ops *ops;
	void *opaque;
	const struct guest_memory *memory;
};

/* A call as the registers give it, whatever the guest's mode. */
struct hypercall {
	uint64_t control;
	uint64_t in, out; /* GPAs, or the input itself of a fast call */
};

/* Per VP; its thread writes. */
struct hypercall_counters {
	uint64_t messages, signals, refused;
	/* What the last call was about, as trace.h has it. */
	uint64_t subject;
};

/* Takes the call from an intercept. True: by the 64-bit convention, the result
 * belongs in RAX. False: the guest's code segment is not a long one; 32-bit
 * convention, result in EDX:EAX. */
bool hypercall_decode(const struct hv_hypercall_message *m,
		      struct hypercall *call);

/* Executes it for VP `vp`; returns the result value. */
uint64_t hypercall_execute(const struct hypercall_ports *ports, uint32_t vp,
			   const struct hypercall *call,
			   struct hypercall_counters *count);

void hypercall_inspect(const struct hypercall_counters *count,
		       struct inspect *out);

#endif
