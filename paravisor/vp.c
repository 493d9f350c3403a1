// SPDX-License-Identifier: MIT
/*
 * A VP's thread.
 *
 *	        .------------------------------------------------.
 *	        v                                                |
 *	cancel = 0 --> reactor_pass() --> run VTL0 --> intercept-'
 *	        |           work of the VP      | EINTR: look for work
 *	        | VTL0 stops                    `----> cancel = 0
 *	        v
 *	parked: reactor_pass(), reactor_wait() until VTL0 runs again
 *
 * Work that comes after the pass has looked makes the poll file readable and
 * so ends the run, or keeps it from beginning (mshv.c): nothing is lost, and
 * an idle VP costs nothing. The pass is bounded, so that VTL0 is never
 * starved; what is left makes the poll file readable again.
 *
 * Owns: the thread, the VP's pages, its reactor. Only this thread touches
 * VTL0's registers.
 *
 * Failure: what the hypervisor refuses during a run is our mistake or its: the
 * VP says so once and VTL0 ends.
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include <pv/log.h>

#include "intercept.h"
#include "partition.h"
#include "reactor.h"
#include "vp.h"

LOG_MODULE("vp");

#define RSP 4u

/* ---- registers ---- */

static void hypervisor_error(struct vp *vp, const char *what, int ret)
{
	vp->hypervisor_errors++;
	log_err("VP %u: %s: %s", vp->index, what, strerror(-ret));
	partition_end(vp->partition, PARTITION_FAILED, vp);
}

uint64_t vp_get_gp(struct vp *vp, unsigned int n)
{
	uint64_t rsp;
	int ret;

	if (n != RSP)
		return vp->hw.run->context.gp[n];
	ret = mshv_vp_get_rsp(&vp->hw, &rsp);
	if (ret)
		hypervisor_error(vp, "read RSP", ret);
	return rsp;
}

void vp_set_gp(struct vp *vp, unsigned int n, uint64_t value)
{
	int ret = 0;

	if (n != RSP)
		vp->hw.run->context.gp[n] = value;
	else
		ret = mshv_vp_set_rsp(&vp->hw, value);
	if (ret)
		hypervisor_error(vp, "write RSP", ret);
}

void vp_set_rip(struct vp *vp, uint64_t rip)
{
	int ret = mshv_vp_set_rip(&vp->hw, rip);

	if (ret)
		hypervisor_error(vp, "write RIP", ret);
}

void vp_set_rflags(struct vp *vp, uint64_t rflags)
{
	int ret = mshv_vp_set_rflags(&vp->hw, rflags);

	if (ret)
		hypervisor_error(vp, "write RFLAGS", ret);
}

uint64_t vp_get_segment_base(struct vp *vp, unsigned int n)
{
	uint64_t base;
	int ret = mshv_vp_get_segment_base(&vp->hw, n, &base);

	if (ret)
		hypervisor_error(vp, "read a segment", ret);
	return base;
}

static void inject(struct vp *vp, unsigned int vector, bool has_code,
		   uint32_t code, uint64_t parameter)
{
	struct vp_register event = {
		.name = HV_REG_PENDING_EVENT0,
		.low = HV_EVENT_PENDING |
		       HV_EVENT_TYPE_EXCEPTION << HV_EVENT_TYPE_SHIFT |
		       (has_code ? HV_EVENT_DELIVER_ERROR_CODE : 0) |
		       (uint64_t)vector << HV_EVENT_VECTOR_SHIFT |
		       (uint64_t)code << HV_EVENT_ERROR_CODE_SHIFT,
		.high = parameter,
	};
	int ret = mshv_vp_set_register(&vp->hw, &event);

	if (ret)
		hypervisor_error(vp, "inject exception", ret);
}

void vp_inject(struct vp *vp, unsigned int vector, bool has_code, uint32_t code)
{
	inject(vp, vector, has_code, code, 0);
}

/* CR2 is one register for both levels: the kernel loads it on the way to VTL0
 * from the context. */
void vp_inject_page_fault(struct vp *vp, uint64_t gva, uint32_t code)
{
	vp->hw.run->context.gp[MSHV_CONTEXT_CR2] = gva;
	inject(vp, VP_VECTOR_PF, true, code, gva);
}

/* ---- reset ---- */

/*
 * INIT leaves IA32_APIC_BASE as it is (SDM 3, "Local APIC State After It
 * Receives an INIT"), and a local APIC that VTL0 switched off takes no INIT: so
 * this comes before. A host that refuses it gets no worse.
 */
static void reset_apic_base(struct vp *vp, bool first)
{
	struct vp_register base = { HV_REG_APIC_BASE, vp->apic_base, 0 };

	if (first) {
		if (!mshv_vp_get_register(&vp->hw, &base))
			vp->apic_base = base.low;
	} else if (vp->apic_base && mshv_vp_set_register(&vp->hw, &base)) {
		log_warn("VP %u: APIC base not reset: refused", vp->index);
	}
}

/* INIT takes VTL0's local APIC, core registers and pending events back; VTL2
 * itself may send it to a lower VTL. */
static int send_init(struct vp *vp)
{
	struct hv_input_assert_interrupt in = {
		.partition_id = cpu_to_le64(HV_PARTITION_SELF),
		.type = cpu_to_le32(HV_INTERRUPT_INIT),
		.destination = cpu_to_le64(vp->apic_id),
	};
	uint16_t status;
	int ret = mshv_hypercall(vp->hw.mshv, HV_CALL_ASSERT_VIRTUAL_INTERRUPT,
				 0, &in, sizeof(in), NULL, 0, &status);

	if (!ret && status)
		ret = -EIO;
	if (ret)
		log_err("VP %u: INIT refused (status %#x)", vp->index, status);
	return ret;
}

static int set_registers(struct vp *vp, const struct vp_register *regs,
			 unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++) {
		int ret = mshv_vp_set_register(&vp->hw, &regs[i]);

		if (!ret)
			continue;
		log_err("VP %u: register %#x refused: %s", vp->index,
			regs[i].name, strerror(-ret));
		return ret;
	}
	return 0;
}

int vp_set_register(struct vp *vp, const struct hv_register_assoc *reg)
{
	struct vp_register r = { le32_to_cpu(reg->name),
				 le64_to_cpu(reg->value.low),
				 le64_to_cpu(reg->value.high) };

	/* Both levels share the general registers, all but RSP. */
	if (r.name >= HV_REG_RAX && r.name <= HV_REG_R15 &&
	    r.name != HV_REG_RSP) {
		vp->hw.run->context.gp[r.name - HV_REG_RAX] = r.low;
		return 0;
	}
	return set_registers(vp, &r, 1);
}

/* What INIT does not touch: the synthetic part. */
static int reset_synthetic(struct vp *vp)
{
	static const struct vp_register off[] = {
		{ HV_REG_VP_ASSIST_PAGE, 0, 0 }, { HV_REG_SCONTROL, 0, 0 },
		{ HV_REG_SIEFP, 0, 0 },		 { HV_REG_SIMP, 0, 0 },
	};
	static const struct vp_register shared[] = {
		{ HV_REG_HYPERCALL, 0, 0 },
		{ HV_REG_REFERENCE_TSC, 0, 0 },
		{ HV_REG_GUEST_OS_ID, 0, 0 },
	};
	int ret = set_registers(vp, off, sizeof(off) / sizeof(off[0]));

	for (uint32_t i = 0; !ret && i < HV_SINT_COUNT; i++)
		ret = set_registers(vp, &(struct vp_register){
			HV_REG_SINT0 + i, HV_SINT_RESET, 0 }, 1);
	for (uint32_t i = HV_REG_STIMER0_CONFIG;
	     !ret && i <= HV_REG_STIMER3_COUNT; i++)
		ret = set_registers(vp, &(struct vp_register){ i, 0, 0 }, 1);
	if (!ret && vp->index == 0)
		ret = set_registers(vp, shared,
				    sizeof(shared) / sizeof(shared[0]));
	return ret;
}

static void clear_context(struct mshv_context *context)
{
	static const uint8_t fcw[2] = { 0x7f, 0x03 };
	static const uint8_t mxcsr[4] = { 0x80, 0x1f, 0, 0 };

	memset(context, 0, sizeof(*context));
	memcpy(context->fx, fcw, sizeof(fcw));
	memcpy(context->fx + 24, mxcsr, sizeof(mxcsr));
}

int vp_reset(struct vp *vp, bool first)
{
	static const struct vp_register suspend = {
		HV_REG_INTERNAL_ACTIVITY, HV_ACTIVITY_STARTUP_SUSPEND, 0
	};
	int ret;

	/* What the last instruction left behind must not reach the next
	 * guest, whose registers are set by hypercall. */
	mshv_vp_clean_page(&vp->hw);
	vp->hw.run->actions_size = 0;
	reset_apic_base(vp, first);
	if (!first) {
		synic_reset(&vp->synic);
		ret = send_init(vp);
		if (!ret)
			ret = reset_synthetic(vp);
		if (ret)
			return ret;
	}
	clear_context(&vp->hw.run->context);
	return vp->index ? set_registers(vp, &suspend, 1) : 0;
}

/* ---- inspect ---- */

/* All of its thread's but those for hypercalls, which the partition counts. */
static uint64_t syscalls(const struct vp *vp)
{
	const struct reactor_counters *r = reactor_counters(vp->reactor);

	return vp->hw.ioctls + r->enters + r->waits + atomic_load(&r->wakes);
}

const struct trace_names vp_exit_names = {
	.reason = { "port", "msr", "memory", "hypercall", "cpuid", "sint",
		    "eoi", "fault", "other" },
	.hypercall = VP_EXIT_HYPERCALL,
};
_Static_assert(VP_NR_EXITS <= TRACE_MAX_REASONS, "names of trace.h");

static void describe_exits(const struct vp *vp, struct inspect *out)
{
	const struct trace_ring *ring = vp->trace.ring;
	unsigned int n = TRACE_SHOWN;

	if (inspect_begin(out, "exits")) {
		for (unsigned int i = 0; i < VP_NR_EXITS; i++)
			inspect_u64(out, vp_exit_names.reason[i], vp->exits[i]);
		inspect_end(out);
	}
	if (inspect_begin(out, "exit_ns")) {
		for (unsigned int i = 0; i < VP_NR_EXITS; i++)
			inspect_u64(out, vp_exit_names.reason[i],
				    trace_spent(ring, i));
		inspect_end(out);
	}
	if (inspect_begin_newest(out, "trace", &n)) {
		trace_describe(ring, &vp_exit_names, n, out);
		inspect_end(out);
	}
}

static void describe(void *object, struct inspect *out)
{
	struct vp *vp = object;

	inspect_u64(out, "apic_id", vp->apic_id);
	inspect_u64(out, "entries", vp->entries);
	inspect_u64(out, "interrupts", vp->interrupts);
	inspect_u64(out, "syscalls", syscalls(vp));
	inspect_u64(out, "hypervisor_errors", vp->hypervisor_errors);
	describe_exits(vp, out);
	if (inspect_begin(out, "sample")) {
		sample_inspect(&vp->sample, out);
		inspect_end(out);
	}
	if (inspect_begin(out, "hypercall")) {
		hypercall_inspect(&vp->hypercalls, out);
		inspect_end(out);
	}
	if (inspect_begin(out, "synic")) {
		synic_inspect(&vp->synic, out);
		inspect_end(out);
	}
	if (inspect_begin(out, "reactor")) {
		reactor_describe(vp->reactor, out);
		inspect_end(out);
	}
}

static const char *take_sample(void *object, const char *value)
{
	struct vp *vp = object;

	if (*value)
		return "a sample takes no value";
	sample_take(&vp->sample);
	return NULL;
}

void vp_publish(struct vp *vp)
{
	snprintf(vp->name, sizeof(vp->name), "vp%u", vp->index);
	vp->inspect = (struct inspect_entry){ vp->name, describe, vp, NULL };
	inspect_register(&vp->inspect);
	snprintf(vp->sample_name, sizeof(vp->sample_name), "%s/sample",
		 vp->name);
	vp->updater = (struct inspect_updater){ vp->sample_name, take_sample,
						vp, NULL, false };
	inspect_updater_register(&vp->updater);
}

/* ---- the thread ---- */

static void dispatch(struct vp *vp)
{
	int ret = mshv_vp_run(&vp->hw);

	if (ret == 0) {
		vp->entries++;
		intercept_dispatch(vp);
	} else if (ret == -EINTR) {
		vp->entries++;
		vp->interrupts++;
	} else {
		hypervisor_error(vp, "run", ret);
	}
}

static void loop(struct vp *vp)
{
	while (!reactor_stopping(vp->reactor)) {
		mshv_vp_arm(&vp->hw);
		reactor_pass(vp->reactor);
		if (partition_running(vp->partition)) {
			dispatch(vp);
		} else {
			partition_park(vp);
			reactor_wait(vp->reactor, UINT64_MAX);
		}
	}
}

struct cpuid {
	uint32_t eax, ebx, ecx, edx;
};

static struct cpuid cpuid(uint32_t leaf)
{
	struct cpuid c = { .eax = leaf };

	__asm__ volatile("cpuid"
			 : "+a"(c.eax), "=b"(c.ebx), "+c"(c.ecx), "=d"(c.edx));
	return c;
}

static uint32_t own_apic_id(void)
{
	/* Extended topology: the whole id. Leaf 1 has eight bits of it. */
	if (cpuid(0).eax >= 0xb) {
		struct cpuid topology = cpuid(0xb);

		if (topology.ebx)
			return topology.edx;
	}
	return cpuid(1).ebx >> 24;
}

static int open_vp(struct vp *vp)
{
	struct partition *p = vp->partition;
	cpu_set_t cpu;
	int ret;

	CPU_ZERO(&cpu);
	CPU_SET(vp->index, &cpu);
	if (sched_setaffinity(0, sizeof(cpu), &cpu)) {
		ret = -errno;
		log_err("VP %u: no CPU of this number: %s", vp->index,
			strerror(-ret));
		return ret;
	}
	vp->apic_id = own_apic_id();
	ret = reactor_open(vp->reactor, &p->memory,
			   vp->index ? p->vp[0].reactor : NULL);
	if (ret)
		return ret;
	ret = mshv_vp_open(&p->mshv, vp->index, &vp->hw);
	if (ret)
		goto out_close;
	ret = mshv_vp_set_poll_file(&vp->hw, reactor_poll_fd(vp->reactor));
	if (ret) {
		log_err("VP %u: poll file: %s", vp->index, strerror(-ret));
		goto out_close;
	}
	return 0;

out_close:
	reactor_close(vp->reactor);
	return ret;
}

void *vp_thread(void *arg)
{
	struct vp *vp = arg;
	int ret = open_vp(vp);

	partition_vp_up(vp, ret);
	if (!ret)
		loop(vp);
	return NULL;
}
