// SPDX-License-Identifier: MIT
/*
 * Intercepts: one message, one answer, then VTL0 runs on.
 *
 *	message                 answer
 *	IoPort                  chipset's ports; INS and OUTS by the emulator
 *	UnmappedGpa, Gpa        chipset's MMIO, by the instruction emulator
 *	                        (intercept_instruction.c)
 *	Msr                     msr.c
 *	Hypercall               hypercall.c: messages and signals for VMBus
 *	Cpuid                   what the hypervisor proposes
 *	SynicSintDeliverable    waiting messages are posted again
 *	ApicEoi                 the I/O APIC
 *	UnrecoverableException  VTL0 ends
 *
 * An answer either moves RIP behind the instruction or injects an exception;
 * the three last are no instructions. A message of any other type was never
 * asked for: nobody could say how VTL0 should go on, so it ends.
 *
 * The message is the hypervisor's and trusted; what the guest put into its
 * registers and memory is not. Runs on the VP's thread. Each message leaves a
 * record in the VP's trace: reason and RIP from here, what it was about from
 * its answer.
 */
#include <errno.h>

#include <pv/log.h>
#include <pv/violation.h>

#include "chipset/bus.h"
#include "intercept.h"
#include "intercept_instruction.h"
#include "partition.h"
#include "vp.h"

LOG_MODULE("intercept");

enum { RAX, RCX, RDX, RBX };

static void advance(struct vp *vp, const struct hv_intercept_header *h)
{
	vp_set_rip(vp, le64_to_cpu(h->rip) +
			       (h->length_cr8 & HV_INTERCEPT_LENGTH_MASK));
}

/* A 32-bit result clears the upper half, a smaller one leaves the rest. */
static uint64_t merge(uint64_t old, uint64_t value, unsigned int size)
{
	uint64_t mask = (1ull << 8 * size) - 1;

	return size == 4 ? (uint32_t)value : (old & ~mask) | (value & mask);
}

static void port(struct vp *vp, const void *payload)
{
	const struct hv_io_port_message *m = payload;
	struct bus *bus = vp->partition->bus;
	unsigned int size = m->access_info & HV_IO_ACCESS_SIZE_MASK;
	uint16_t number = le16_to_cpu(m->port);
	uint64_t rax = vp_get_gp(vp, RAX), value;

	trace_what(&vp->trace, number, 0);
	if (m->access_info & HV_IO_ACCESS_STRING) {
		intercept_string_port(vp, m);
		return;
	}
	if (size != 1 && size != 2 && size != 4) {
		violation_record("port", vp->index, m->access_info, 0, number,
				 "port.size");
		vp_inject(vp, VP_VECTOR_GP, true, 0);
		return;
	}
	if (m->header.access == HV_INTERCEPT_ACCESS_WRITE) {
		value = merge(0, rax, size);
		trace_value(&vp->trace, value);
		bus_write(bus, BUS_PORT, number, size, value);
	} else {
		value = bus_read(bus, BUS_PORT, number, size);
		trace_value(&vp->trace, value);
		vp_set_gp(vp, RAX, merge(rax, value, size));
	}
	advance(vp, &m->header);
}

static void memory(struct vp *vp, const void *payload)
{
	const struct hv_memory_message *m = payload;

	trace_what(&vp->trace, le64_to_cpu(m->gpa), 0);
	intercept_memory(vp, m);
}

static void msr(struct vp *vp, const void *payload)
{
	const struct hv_msr_message *m = payload;
	struct partition *p = vp->partition;
	uint32_t number = le32_to_cpu(m->msr);
	uint64_t rip = le64_to_cpu(m->header.rip), value;
	enum msr_result result;

	if (m->header.access == HV_INTERCEPT_ACCESS_WRITE) {
		value = le64_to_cpu(m->rdx) << 32 |
			(uint32_t)le64_to_cpu(m->rax);
		trace_what(&vp->trace, number, value);
		result = msr_write(&p->crash, number, rip, value);
	} else {
		result = msr_read(&p->crash, number, rip, &value);
		trace_what(&vp->trace, number, value);
		if (result == MSR_OK) {
			vp_set_gp(vp, RAX, (uint32_t)value);
			vp_set_gp(vp, RDX, value >> 32);
		}
	}
	if (result == MSR_FAULT) {
		vp_inject(vp, VP_VECTOR_GP, true, 0);
		return;
	}
	advance(vp, &m->header);
	if (result == MSR_CRASHED)
		partition_crashed(p, vp);
}

static void hypercall(struct vp *vp, const void *payload)
{
	const struct hv_hypercall_message *m = payload;
	struct hypercall call;
	uint64_t result;
	bool wide = hypercall_decode(m, &call);

	trace_what(&vp->trace, call.control & HV_CONTROL_CODE_MASK, 0);
	result = hypercall_execute(&vp->partition->ports, vp->index, &call,
				   &vp->hypercalls);
	trace_value(&vp->trace, vp->hypercalls.subject);
	if (wide) {
		vp_set_gp(vp, RAX, result);
	} else {
		vp_set_gp(vp, RAX, (uint32_t)result);
		vp_set_gp(vp, RDX, result >> 32);
	}
	advance(vp, &m->header);
}

static void cpuid(struct vp *vp, const void *payload)
{
	const struct hv_cpuid_message *m = payload;

	trace_what(&vp->trace,
		   (uint32_t)le64_to_cpu(m->rax) | le64_to_cpu(m->rcx) << 32,
		   (uint32_t)le64_to_cpu(m->default_rax));
	vp_set_gp(vp, RAX, (uint32_t)le64_to_cpu(m->default_rax));
	vp_set_gp(vp, RBX, (uint32_t)le64_to_cpu(m->default_rbx));
	vp_set_gp(vp, RCX, (uint32_t)le64_to_cpu(m->default_rcx));
	vp_set_gp(vp, RDX, (uint32_t)le64_to_cpu(m->default_rdx));
	advance(vp, &m->header);
}

static void deliverable(struct vp *vp, const void *payload)
{
	const struct hv_sint_deliverable_message *m = payload;

	trace_what(&vp->trace, le16_to_cpu(m->deliverable_sints), 0);
	synic_deliverable(&vp->synic, le16_to_cpu(m->deliverable_sints));
}

static void eoi(struct vp *vp, const void *payload)
{
	const struct hv_apic_eoi_message *m = payload;

	trace_what(&vp->trace, le32_to_cpu(m->vector), 0);
	bus_eoi(vp->partition->bus, (uint8_t)le32_to_cpu(m->vector));
}

static void fault(struct vp *vp, const void *payload)
{
	const struct hv_intercept_header *h = payload;

	log_warn("VP %u: triple fault at %#llx", vp->index,
		 (unsigned long long)le64_to_cpu(h->rip));
	partition_end(vp->partition, PARTITION_TRIPLE_FAULT, vp);
}

static const struct {
	uint32_t type;
	enum vp_exit exit;
	void (*answer)(struct vp *vp, const void *payload);
} intercepts[] = {
	{ HV_MESSAGE_IO_PORT_INTERCEPT, VP_EXIT_PORT, port },
	{ HV_MESSAGE_HYPERCALL_INTERCEPT, VP_EXIT_HYPERCALL, hypercall },
	{ HV_MESSAGE_UNMAPPED_GPA, VP_EXIT_MEMORY, memory },
	{ HV_MESSAGE_GPA_INTERCEPT, VP_EXIT_MEMORY, memory },
	{ HV_MESSAGE_MSR_INTERCEPT, VP_EXIT_MSR, msr },
	{ HV_MESSAGE_SINT_DELIVERABLE, VP_EXIT_SINT, deliverable },
	{ HV_MESSAGE_APIC_EOI, VP_EXIT_EOI, eoi },
	{ HV_MESSAGE_CPUID_INTERCEPT, VP_EXIT_CPUID, cpuid },
	{ HV_MESSAGE_UNRECOVERABLE_EXCEPTION, VP_EXIT_FAULT, fault },
};

#define NR_INTERCEPTS (sizeof(intercepts) / sizeof(intercepts[0]))

static void begin(struct vp *vp, enum vp_exit exit, const void *payload)
{
	const struct hv_intercept_header *h = payload;

	vp->exits[exit]++;
	if (exit == VP_EXIT_EOI) /* has no header */
		trace_begin(&vp->trace, exit, HV_INTERCEPT_ACCESS_WRITE, 0);
	else
		trace_begin(&vp->trace, exit, h->access, le64_to_cpu(h->rip));
}

static void never_asked_for(struct vp *vp, uint32_t type)
{
	vp->exits[VP_EXIT_OTHER]++;
	trace_begin(&vp->trace, VP_EXIT_OTHER, HV_INTERCEPT_ACCESS_EXECUTE, 0);
	trace_what(&vp->trace, type, 0);
	log_err("VP %u: intercept of type %#x was never asked for", vp->index,
		type);
	partition_end(vp->partition, PARTITION_FAILED, vp);
}

void intercept_dispatch(struct vp *vp)
{
	/* The kernel's copy: nothing but the next run changes it. */
	const struct hv_message *m = &vp->hw.run->message;
	uint32_t type = le32_to_cpu(m->header.type);
	size_t i = 0;

	while (i < NR_INTERCEPTS && intercepts[i].type != type)
		i++;
	if (i < NR_INTERCEPTS) {
		begin(vp, intercepts[i].exit, m->payload);
		intercepts[i].answer(vp, m->payload);
	} else {
		never_asked_for(vp, type);
	}
	trace_end(&vp->trace);
}
