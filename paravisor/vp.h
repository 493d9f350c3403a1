/* SPDX-License-Identifier: MIT */
/*
 * A VP of VTL0: its thread, which runs VTL0 and everything asynchronous that
 * belongs to this VP.
 */
#ifndef VP_H
#define VP_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <pv/inspect.h>
#include <pv/reactor.h>

#include "hypercall.h"
#include "mshv.h"
#include "sample.h"
#include "synic.h"
#include "trace.h"

struct partition;

enum vp_exit {
	VP_EXIT_PORT,
	VP_EXIT_MSR,
	VP_EXIT_MEMORY,
	VP_EXIT_HYPERCALL,
	VP_EXIT_CPUID,
	VP_EXIT_SINT,
	VP_EXIT_EOI,
	VP_EXIT_FAULT, /* unrecoverable exception */
	VP_EXIT_OTHER,
	VP_NR_EXITS,
};

/* What each is called: inspect, black box. */
extern const struct trace_names vp_exit_names;

struct vp {
	unsigned int index; /* and the CPU number */
	uint32_t apic_id;
	uint64_t apic_base; /* before VTL0 ran; 0: the host does not say */
	struct partition *partition;
	struct mshv_vp hw;
	struct reactor *reactor;
	struct synic synic;
	pthread_t thread;
	unsigned int parked_for; /* the stop this VP has seen */
	bool opened;
	struct reactor_call reset;

	/* Counters; this thread's. */
	uint64_t entries;    /* switches from VTL0 that came up to here */
	uint64_t interrupts; /* of them, those to look for work */
	uint64_t exits[VP_NR_EXITS];
	struct trace trace;   /* from start on */
	struct sample sample; /* likewise */
	uint64_t hypervisor_errors;
	struct hypercall_counters hypercalls;
	struct inspect_entry inspect;
	struct inspect_updater updater;
	char name[8], sample_name[16];
};

/* The thread: opens the VP, then runs it until its reactor is stopped. */
void *vp_thread(void *vp);

/* Makes the VP visible in inspect, and "vpN/sample" something that an update
 * takes anew. Any thread, once. */
void vp_publish(struct vp *vp);

/*
 * Puts the VP into the state of a reset (TLFS, "Virtual Processors"): VTL0's
 * registers, SynIC, timers and local APIC. An application processor then waits
 * for INIT and SIPI. `first`: the hypervisor has just made it, so there is
 * nothing to undo, only to be remembered. Own thread. 0 or -errno, logged.
 */
int vp_reset(struct vp *vp, bool first);

/* General register `n` as instructions number them, RSP (4) included. Own
 * thread, while an intercept is handled. */
uint64_t vp_get_gp(struct vp *vp, unsigned int n);
void vp_set_gp(struct vp *vp, unsigned int n, uint64_t value);

/* Base of segment register 0..5 (ES CS SS DS FS GS); likewise. */
uint64_t vp_get_segment_base(struct vp *vp, unsigned int n);

void vp_set_rip(struct vp *vp, uint64_t rip);
void vp_set_rflags(struct vp *vp, uint64_t rflags);

/* Any register, while VTL0 does not run on this VP. Own thread. 0 or -errno,
 * logged. */
int vp_set_register(struct vp *vp, const struct hv_register_assoc *reg);

/* Lets the next entry of VTL0 begin with this exception. */
void vp_inject(struct vp *vp, unsigned int vector, bool has_code,
	       uint32_t code);
/* The same with #PF, whose address goes to CR2. */
void vp_inject_page_fault(struct vp *vp, uint64_t gva, uint32_t code);
#define VP_VECTOR_UD 6u
#define VP_VECTOR_GP 13u
#define VP_VECTOR_PF 14u

#endif
