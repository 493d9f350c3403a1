// SPDX-License-Identifier: MIT
/*
 * Exits of VTL0 under a VTL2: what the host serves itself and what becomes an
 * intercept message to VTL2 (TLFS, "Intercepts").
 *
 *	hypercall page     served; unknown connection: Hypercall intercept
 *	port               IoPort intercept
 *	MSR of Hyper-V     served; the crash MSRs and what nobody knows: Msr
 *	                   intercept if VTL2 asked for it, else #GP
 *	no RAM there       UnmappedGpa, GpaIntercept (VTL2's RAM)
 *	end of a level     ApicEoi, if asked for
 *	triple fault       UnrecoverableException, if asked for
 *
 * An intercept leaves VTL0 at the instruction, and VTL2 moves RIP on. KVM
 * however has begun the instruction when it exits:
 *
 *	IN, OUT    nothing has happened yet, and KVM gives up its completion
 *	           when it finds RIP changed: leave it
 *	INS        as IN, but KVM would store the data: finished by a KVM_RUN
 *	           with immediate_exit, with what memory holds already, then
 *	           the old registers put back
 *	OUTS       one item is done, registers have moved on: put back
 *	           (string_io.c)
 *	MSR        KVM always moves on: finished and put back, like INS
 *	memory     ended by -EFAULT before anything happened (machine.c)
 *
 * The VP's thread only.
 */
#include <errno.h>
#include <string.h>

#include "operand.h"
#include "string_io.h"
#include "translate.h"
#include "vp.h"

#define CODE_BYTES 15u

static void fill_header(struct vp *vp, struct hv_intercept_header *h,
			unsigned int length, unsigned int access)
{
	const struct kvm_regs *r = vp_in(vp, VTL0)->vcpu.regs;
	const struct kvm_sregs *s = vp_in(vp, VTL0)->vcpu.sregs;
	unsigned int state = s->ss.dpl & HV_EXECUTION_CPL_MASK;

	state |= s->cr0 & 1 ? HV_EXECUTION_CR0_PE : 0;
	state |= s->cr0 & 1u << 18 ? HV_EXECUTION_CR0_AM : 0;
	state |= s->efer & 1u << 10 ? HV_EXECUTION_EFER_LMA : 0;
	state |= (unsigned int)VTL0 << HV_EXECUTION_VTL_SHIFT;
	h->vp_index = cpu_to_le32(vp->index);
	h->length_cr8 = (uint8_t)((length & HV_INTERCEPT_LENGTH_MASK) |
				  (s->cr8 & 0xf) << HV_INTERCEPT_CR8_SHIFT);
	h->access = (uint8_t)access;
	h->execution_state = cpu_to_le16((uint16_t)state);
	segment_to_hv(&h->cs, &s->cs);
	h->rip = cpu_to_le64(r->rip);
	h->rflags = cpu_to_le64(r->rflags);
}

static void deliver(struct vp *vp, uint32_t type, const void *payload,
		    size_t size)
{
	struct hv_message message;

	memset(&message, 0, sizeof(message));
	message.header.type = cpu_to_le32(type);
	message.header.payload_size = (uint8_t)size;
	memcpy(message.payload, payload, size);
	vtl_enter(vp, HV_ENTRY_REASON_INTERCEPT, &message);
}

/* Up to CODE_BYTES at RIP; how many there are. */
static unsigned int fetch_code(struct vp *vp, uint8_t code[HV_INTERCEPT_BYTES])
{
	struct vcpu *vcpu = &vp_in(vp, VTL0)->vcpu;
	uint64_t gva = vcpu->sregs->cs.base + vcpu->regs->rip;
	unsigned int have = 0;

	memset(code, 0, HV_INTERCEPT_BYTES);
	while (have < CODE_BYTES) {
		uint64_t at = gva + have, gpa;
		unsigned int n = HV_PAGE_SIZE - (at & ~HV_PAGE_MASK);
		const uint8_t *host;

		if (n > CODE_BYTES - have)
			n = CODE_BYTES - have;
		if (translate_mapped(vp, at, &gpa) < 0)
			break;
		host = machine_ram(vp->m, VTL0, gpa, n);
		if (!host)
			break;
		memcpy(code + have, host, n);
		have += n;
	}
	return have;
}

/* Lets KVM end the instruction it is in, and undoes what that did. */
static void finish_instruction(struct vp *vp)
{
	struct vcpu *vcpu = &vp_in(vp, VTL0)->vcpu;
	struct kvm_regs before = *vcpu->regs;

	vcpu->run->immediate_exit = 1;
	vcpu_run(vcpu);
	vcpu->run->immediate_exit = 0;
	*vcpu->regs = before;
	vcpu_dirty_regs(vcpu);
}

/* ---- ports ---- */

struct port_code {
	unsigned int length; /* 0: not an IN or OUT */
	bool string, rep, plain_out;
};

/* The I/O instruction in `code`: prefixes, then one opcode byte. */
static struct port_code decode_port(const uint8_t *code, unsigned int have)
{
	struct port_code p = { 0 };

	for (unsigned int i = 0; i < have; i++) {
		switch (code[i]) {
		case 0xf2:
		case 0xf3:
			p.rep = true;
			continue;
		case 0x66:
		case 0x67:
		case 0x26:
		case 0x2e:
		case 0x36:
		case 0x3e:
		case 0x64:
		case 0x65:
		case 0x40 ... 0x4f:
			continue;
		case 0x6c ... 0x6f: /* INS, OUTS */
			p.string = true;
			p.length = i + 1;
			return p;
		case 0xe4 ... 0xe7: /* port in the next byte */
			p.length = i + 2;
			p.plain_out = code[i] & 2;
			return p;
		case 0xec ... 0xef: /* port in DX */
			p.length = i + 1;
			p.plain_out = code[i] & 2;
			return p;
		default:
			return p;
		}
	}
	return p;
}

static const void *io_data(const struct kvm_run *run)
{
	return (const uint8_t *)run + run->io.data_offset;
}

static void port_intercept(struct vp *vp)
{
	struct vcpu *vcpu = &vp_in(vp, VTL0)->vcpu;
	struct kvm_run *run = vcpu->run;
	bool out = run->io.direction == KVM_EXIT_IO_OUT;
	unsigned int info = run->io.size & HV_IO_ACCESS_SIZE_MASK;
	struct hv_io_port_message m = { .port = cpu_to_le16(run->io.port) };
	struct port_code code;
	unsigned int have;

	have = fetch_code(vp, m.instruction_bytes);
	code = decode_port(m.instruction_bytes, have);
	if (out && !(code.plain_out &&
		     !memcmp(&vcpu->regs->rax, io_data(run), run->io.size))) {
		string_io_undo_outs(vp);
		have = fetch_code(vp, m.instruction_bytes);
		code = decode_port(m.instruction_bytes, have);
	}
	if (code.string) {
		info |= HV_IO_ACCESS_STRING;
		info |= code.rep ? HV_IO_ACCESS_REP : 0;
	}
	if (code.string && !out) {
		string_io_keep_memory(vp);
		finish_instruction(vp);
	}
	fill_header(vp, &m.header, code.length,
		    out ? HV_INTERCEPT_ACCESS_WRITE : HV_INTERCEPT_ACCESS_READ);
	m.access_info = (uint8_t)info;
	m.instruction_byte_count = (uint8_t)have;
	m.rax = cpu_to_le64(vcpu->regs->rax);
	segment_to_hv(&m.ds, &vcpu->sregs->ds);
	segment_to_hv(&m.es, &vcpu->sregs->es);
	m.rcx = cpu_to_le64(vcpu->regs->rcx);
	m.rsi = cpu_to_le64(vcpu->regs->rsi);
	m.rdi = cpu_to_le64(vcpu->regs->rdi);
	deliver(vp, HV_MESSAGE_IO_PORT_INTERCEPT, &m, sizeof(m));
}

/* ---- hypercalls ---- */

void intercept_hypercall(struct vp *vp)
{
	struct vcpu *vcpu = &vp_in(vp, VTL0)->vcpu;
	const struct kvm_regs *r = vcpu->regs;
	struct hv_hypercall_message m;

	memset(&m, 0, sizeof(m));
	/* The IN of the hypercall page. */
	fill_header(vp, &m.header, 2, HV_INTERCEPT_ACCESS_EXECUTE);
	m.rax = cpu_to_le64(r->rax);
	m.rbx = cpu_to_le64(r->rbx);
	m.rcx = cpu_to_le64(r->rcx);
	m.rdx = cpu_to_le64(r->rdx);
	m.r8 = cpu_to_le64(r->r8);
	m.rsi = cpu_to_le64(r->rsi);
	m.rdi = cpu_to_le64(r->rdi);
	deliver(vp, HV_MESSAGE_HYPERCALL_INTERCEPT, &m, sizeof(m));
}

/* ---- MSRs ---- */

static bool is_crash_msr(uint32_t msr)
{
	return msr >= HV_MSR_CRASH_P0 && msr <= HV_MSR_CRASH_CTL;
}

static void msr_intercept(struct vp *vp, bool write)
{
	struct vcpu *vcpu = &vp_in(vp, VTL0)->vcpu;
	struct kvm_run *run = vcpu->run;
	struct hv_msr_message m = { .msr = cpu_to_le32(run->msr.index) };

	run->msr.error = 0;
	finish_instruction(vp);
	fill_header(vp, &m.header, 2,
		    write ? HV_INTERCEPT_ACCESS_WRITE :
			    HV_INTERCEPT_ACCESS_READ);
	m.rdx = cpu_to_le64(vcpu->regs->rdx);
	m.rax = cpu_to_le64(vcpu->regs->rax);
	deliver(vp, HV_MESSAGE_MSR_INTERCEPT, &m, sizeof(m));
}

static void msr_exit(struct vp *vp, bool write)
{
	struct kvm_run *run = vp_in(vp, VTL0)->vcpu.run;
	uint64_t value = write ? run->msr.data : 0;
	bool asked = atomic_load(&vp->m->intercepts) & INTERCEPT_MSRS;
	bool ok = false;

	COUNT(vp->count.msr);
	if (!(asked && is_crash_msr(run->msr.index)))
		ok = write ? msr_write(vp, VTL0, run->msr.index, value) :
			     msr_read(vp, VTL0, run->msr.index, &value);
	if (!ok && asked) {
		msr_intercept(vp, write);
		return;
	}
	if (!ok)
		COUNT(vp->count.unknown_msr);
	run->msr.error = !ok; /* #GP */
	run->msr.data = value;
}

/* ---- memory ---- */

static void memory_intercept(struct vp *vp)
{
	struct hv_memory_message m;
	struct operand operand;
	unsigned int have, access;

	memset(&m, 0, sizeof(m));
	have = fetch_code(vp, m.instruction_bytes);
	if (operand_find(vp, m.instruction_bytes, have, &operand) < 0) {
		vp_dump(vp);
		machine_stop(vp->m, VMM_HOST_CANNOT,
			     "no operand of VP %u's instruction is outside of "
			     "VTL0's RAM", vp->index);
		return;
	}
	access = operand.execute ? HV_INTERCEPT_ACCESS_EXECUTE :
		 operand.write   ? HV_INTERCEPT_ACCESS_WRITE :
				   HV_INTERCEPT_ACCESS_READ;
	fill_header(vp, &m.header, 0, access);
	m.instruction_byte_count = (uint8_t)(operand.execute ? 0 : have);
	m.access_info = HV_MEMORY_GVA_VALID | HV_MEMORY_GVA_GPA_VALID;
	m.gva = cpu_to_le64(operand.gva);
	m.gpa = cpu_to_le64(operand.gpa);
	deliver(vp,
		machine_ram(vp->m, VTL2, operand.gpa, 1) ?
			HV_MESSAGE_GPA_INTERCEPT :
			HV_MESSAGE_UNMAPPED_GPA,
		&m, sizeof(m));
}

/*
 * Above 4 GiB there is no slot to fault on, and KVM has begun to emulate. It
 * ends that here: were VTL2 entered first, the registers that it gives back
 * would make KVM forget which ones the instruction has changed.
 */
static void unbacked_access(struct vp *vp)
{
	struct vcpu *vcpu = &vp_in(vp, VTL0)->vcpu;
	struct kvm_run *run = vcpu->run;
	int ret;

	do {
		COUNT(vp->count.unknown_io);
		vp_log(vp, "%s of nothing at %#llx",
		       run->mmio.is_write ? "write" : "read",
		       (unsigned long long)run->mmio.phys_addr);
		if (!run->mmio.is_write)
			memset(run->mmio.data, 0xff, sizeof(run->mmio.data));
		run->immediate_exit = 1;
		ret = vcpu_run(vcpu);
		run->immediate_exit = 0;
	} while (!ret && run->exit_reason == KVM_EXIT_MMIO);
	if (ret != -EINTR)
		intercept_exit(vp, ret);
}

/* Code there, or an instruction that KVM cannot emulate on such an address.
 * KVM has the exception (#UD) ready and gives it when VTL0 goes on. */
static void unbacked_instruction(struct vp *vp)
{
	COUNT(vp->count.unknown_io);
	vp_log(vp, "no instruction that can be executed at %#llx",
	       (unsigned long long)vp_in(vp, VTL0)->vcpu.regs->rip);
}

/* ---- the rest ---- */

void intercept_deliverable(struct vp *vp, uint16_t sints)
{
	struct hv_sint_deliverable_message m = {
		.deliverable_sints = cpu_to_le16(sints),
	};

	vp->deliverability &=
		~((uint64_t)sints << HV_DELIVERABILITY_SINTS_SHIFT);
	fill_header(vp, &m.header, 0, HV_INTERCEPT_ACCESS_READ);
	deliver(vp, HV_MESSAGE_SINT_DELIVERABLE, &m, sizeof(m));
}

static void eoi_exit(struct vp *vp)
{
	struct hv_apic_eoi_message m = {
		.vp_index = cpu_to_le32(vp->index),
		.vector = cpu_to_le32(vp_in(vp, VTL0)->vcpu.run->eoi.vector),
	};

	if (atomic_load(&vp->m->intercepts) & INTERCEPT_EOI)
		deliver(vp, HV_MESSAGE_APIC_EOI, &m, sizeof(m));
}

static void shutdown_exit(struct vp *vp)
{
	struct hv_intercept_header m;

	if (!(atomic_load(&vp->m->vsm_config) &
	      HV_VSM_CONFIG_UNRECOVERABLE_EXCEPTION)) {
		vp_dump(vp);
		machine_stop(vp->m, VMM_GUEST_CRASHED,
			     "the guest had a triple fault on VP %u",
			     vp->index);
		return;
	}
	memset(&m, 0, sizeof(m));
	fill_header(vp, &m, 0, HV_INTERCEPT_ACCESS_READ);
	deliver(vp, HV_MESSAGE_UNRECOVERABLE_EXCEPTION, &m, sizeof(m));
}

static void run_failed(struct vp *vp, int ret)
{
	if (ret == -EINTR || ret == -EAGAIN) {
		COUNT(vp->count.spurious);
	} else if (ret == -EFAULT) {
		COUNT(vp->count.mmio);
		memory_intercept(vp);
	} else {
		vp_dump(vp);
		machine_stop(vp->m, VMM_HOST_CANNOT,
			     "KVM_RUN of VTL0 on VP %u: %s", vp->index,
			     strerror(-ret));
	}
}

void intercept_exit(struct vp *vp, int ret)
{
	struct vp_vtl *vv = vp_in(vp, VTL0);
	struct kvm_run *run = vv->vcpu.run;

	if (ret < 0) {
		run_failed(vp, ret);
		return;
	}
	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		if (vp_hypercall_exit(vp, vv))
			break;
		COUNT(vp->count.io);
		port_intercept(vp);
		break;
	case KVM_EXIT_MMIO:
		unbacked_access(vp);
		break;
	case KVM_EXIT_X86_RDMSR:
	case KVM_EXIT_X86_WRMSR:
		msr_exit(vp, run->exit_reason == KVM_EXIT_X86_WRMSR);
		break;
	case KVM_EXIT_IOAPIC_EOI:
		eoi_exit(vp);
		break;
	case KVM_EXIT_SHUTDOWN:
		shutdown_exit(vp);
		break;
	case KVM_EXIT_INTR:
		break;
	case KVM_EXIT_INTERNAL_ERROR:
		if (run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION) {
			unbacked_instruction(vp);
			break;
		}
		/* fall through */
	default:
		vp_dump(vp);
		machine_stop(vp->m, VMM_HOST_CANNOT,
			     "VP %u: unexpected KVM exit %u of VTL0 "
			     "(suberror %u)", vp->index, run->exit_reason,
			     run->internal.suberror);
	}
}
