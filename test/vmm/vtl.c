// SPDX-License-Identifier: MIT
/*
 * The switch between VTL0 and VTL2 of a VP (TLFS, "VTL Entry", "VTL Exit").
 *
 *	         vtl_enter(interrupt | intercept + message)
 *	  VTL0 ------------------------------------------> VTL2
 *	   ^    assist page: reason, message                 |
 *	   |    registers go along, VTL0 stops where it is   |
 *	   |                                                 |
 *	   `----------------------- vtl_return() <-----------'  OUT in the
 *	        return actions, RAX and RCX from the assist     hypercall page
 *	        page, register page, registers come back
 *
 * Each VTL is a vCPU, so what the TLFS calls private is simply the vCPU's. The
 * shared state is carried over at each switch:
 *
 *	general registers but RSP   in the run pages, no ioctl
 *	CR2                         in the run pages, when it differs
 *	x87 and SSE                 KVM_GET_XSAVE, KVM_SET_XSAVE
 *	DR0-DR3                     set only when they changed
 *
 * AVX state and XCR0 are shared too, but VTL2 never uses AVX (its kernel runs
 * without XSAVE), so VTL0's stay in VTL0's vCPU. What is beyond the legacy
 * part of the XSAVE area is kept as VTL0 had it; of the legacy part, XSTATE_BV
 * must say "in use", or KVM takes the initial state instead of ours.
 *
 * VTL2's vCPU stays at the OUT of its return code while VTL0 runs, and KVM
 * finishes that instruction at the next entry: changing the registers in
 * between is fine, as RIP stays the same.
 *
 * An intercept and an interrupt may both wait: the intercept is delivered, and
 * VTL2 takes the interrupt when its IF allows.
 *
 * The VP's thread only. A VTL2 that lacks an assist page cannot be entered:
 * the machine ends.
 */
#include <string.h>

#include "vp.h"

#define XSAVE_LEGACY 416 /* x87, MXCSR and XMM0-15 of the area */
#define XSAVE_XSTATE_BV 512
#define XSTATE_X87_SSE 3u

static struct hv_vp_assist_page *assist_page(struct vp *vp)
{
	uint64_t msr = vp_in(vp, VTL2)->assist_page;

	if (!(msr & HV_MSR_PAGE_ENABLE))
		return NULL;
	return machine_ram(vp->m, VTL2, msr & HV_PAGE_MASK, HV_PAGE_SIZE);
}

static struct hv_register_page *register_page(struct vp *vp)
{
	if (!(vp->register_page & HV_MSR_PAGE_ENABLE))
		return NULL;
	return machine_ram(vp->m, VTL2, vp->register_page & HV_PAGE_MASK,
			   HV_PAGE_SIZE);
}

static void copy_general(const struct kvm_regs *from, struct kvm_regs *to)
{
	uint64_t rsp = to->rsp, rip = to->rip, rflags = to->rflags;

	*to = *from;
	to->rsp = rsp;
	to->rip = rip;
	to->rflags = rflags;
}

static void copy_cr2(struct vcpu *from, struct vcpu *to)
{
	if (from->sregs->cr2 == to->sregs->cr2)
		return;
	to->sregs->cr2 = from->sregs->cr2;
	vcpu_dirty_sregs(to);
}

static int get_xsave(struct vcpu *vcpu, struct kvm_xsave *area)
{
	return vcpu_ioctl(vcpu, KVM_GET_XSAVE, area, "KVM_GET_XSAVE");
}

static int set_xsave(struct vcpu *vcpu, struct kvm_xsave *area)
{
	((uint8_t *)area)[XSAVE_XSTATE_BV] |= XSTATE_X87_SSE;
	return vcpu_ioctl(vcpu, KVM_SET_XSAVE, area, "KVM_SET_XSAVE");
}

static int enter_fpu(struct vp *vp)
{
	struct kvm_xsave area;
	int ret = get_xsave(&vp_in(vp, VTL0)->vcpu, &vp->xsave);

	if (ret < 0)
		return ret;
	memset(&area, 0, sizeof(area));
	memcpy(&area, &vp->xsave, XSAVE_LEGACY);
	return set_xsave(&vp_in(vp, VTL2)->vcpu, &area);
}

static int return_fpu(struct vp *vp)
{
	struct kvm_xsave area;
	int ret = get_xsave(&vp_in(vp, VTL2)->vcpu, &area);

	if (ret < 0)
		return ret;
	if (vp->xsave_valid && !memcmp(&area, &vp->xsave, XSAVE_LEGACY))
		return 0;
	/* The first return finds no image of VTL0's yet. */
	if (!vp->xsave_valid) {
		ret = get_xsave(&vp_in(vp, VTL0)->vcpu, &vp->xsave);
		if (ret < 0)
			return ret;
		vp->xsave_valid = true;
	}
	memcpy(&vp->xsave, &area, XSAVE_LEGACY);
	return set_xsave(&vp_in(vp, VTL0)->vcpu, &vp->xsave);
}

/* DR0-3 of `from` to `to`, unless they are what both had last. */
static int copy_debug(struct vp *vp, struct vcpu *from, struct vcpu *to)
{
	struct kvm_debugregs source, target;
	int ret;

	ret = vcpu_ioctl(from, KVM_GET_DEBUGREGS, &source, "KVM_GET_DEBUGREGS");
	if (ret < 0 || !memcmp(source.db, vp->debug, sizeof(vp->debug)))
		return ret;
	ret = vcpu_ioctl(to, KVM_GET_DEBUGREGS, &target, "KVM_GET_DEBUGREGS");
	if (ret < 0)
		return ret;
	memcpy(target.db, source.db, sizeof(target.db));
	memcpy(vp->debug, source.db, sizeof(vp->debug));
	return vcpu_ioctl(to, KVM_SET_DEBUGREGS, &target, "KVM_SET_DEBUGREGS");
}

/* Shows VTL0's registers to VTL2 in the register page, if VTL2 gave one. */
static void fill_register_page(struct vp *vp)
{
	struct hv_register_page *page = register_page(vp);
	struct vcpu *vcpu = &vp_in(vp, VTL0)->vcpu;
	const struct kvm_sregs *s = vcpu->sregs;
	const struct kvm_segment *const segments[6] = {
		&s->es, &s->cs, &s->ss, &s->ds, &s->fs, &s->gs,
	};

	if (!page)
		return;
	page->version = cpu_to_le16(HV_REGISTER_PAGE_VERSION);
	page->vtl = VTL0;
	page->dirty = cpu_to_le32(0);
	for (unsigned int i = 0; i < 16; i++)
		page->gp[i] = cpu_to_le64(*general_register(vcpu->regs, i));
	page->rip = cpu_to_le64(vcpu->regs->rip);
	page->rflags = cpu_to_le64(vcpu->regs->rflags);
	for (unsigned int i = 0; i < 6; i++)
		segment_to_hv(&page->segments[i], segments[i]);
	page->cr0 = cpu_to_le64(s->cr0);
	page->cr3 = cpu_to_le64(s->cr3);
	page->cr4 = cpu_to_le64(s->cr4);
	page->cr8 = cpu_to_le64(s->cr8);
	page->efer = cpu_to_le64(s->efer);
	page->is_valid = 1;
}

/* What VTL2 changed in the register page: RSP, RIP, RFLAGS. The other general
 * registers and XMM are in the CPU, and segments go by hypercall. */
static void take_register_page(struct vp *vp)
{
	struct hv_register_page *page = register_page(vp);
	struct kvm_regs *regs = vp_in(vp, VTL0)->vcpu.regs;
	uint32_t dirty;

	if (!page)
		return;
	dirty = le32_to_cpu(page->dirty);
	if (dirty & HV_REGISTER_PAGE_DIRTY_GP)
		regs->rsp = le64_to_cpu(page->gp[HV_REG_RSP & 15]);
	if (dirty & HV_REGISTER_PAGE_DIRTY_RIP)
		regs->rip = le64_to_cpu(page->rip);
	if (dirty & HV_REGISTER_PAGE_DIRTY_RFLAGS)
		regs->rflags = le64_to_cpu(page->rflags);
	page->dirty = cpu_to_le32(0);
	page->is_valid = 0;
}

static void run_return_actions(struct vp *vp, struct hv_vp_assist_page *assist)
{
	size_t step = sizeof(struct hv_return_action);

	for (size_t at = 0; at + step <= sizeof(assist->return_actions);
	     at += step) {
		struct hv_return_action action;
		uint32_t target;
		bool newly;

		memcpy(&action, &assist->return_actions[at], step);
		if (!le64_to_cpu(action.type))
			return;
		memset(&assist->return_actions[at], 0, step);
		target = le32_to_cpu(action.vp_index);
		if (le64_to_cpu(action.type) != HV_RETURN_ACTION_SIGNAL_EVENT ||
		    action.vtl != VTL0 || target >= vp->m->config.vps) {
			COUNT(vp->count.refused);
			vp_log(vp, "VTL return action of type %llu refused",
			       (unsigned long long)le64_to_cpu(action.type));
			continue;
		}
		COUNT(vp->count.actions);
		/* A SynIC that VTL0 has not set up yet is no error here. */
		synic_signal_direct(vp_in(&vp->m->vps[target], VTL0),
				    action.sint, le16_to_cpu(action.flag),
				    &newly);
	}
}

void vtl_enter(struct vp *vp, uint32_t reason, const struct hv_message *message)
{
	struct vcpu *from = &vp_in(vp, VTL0)->vcpu;
	struct vcpu *to = &vp_in(vp, VTL2)->vcpu;
	struct hv_vp_assist_page *assist = assist_page(vp);

	if (!assist) {
		machine_stop(vp->m, VMM_VTL2_CRASHED,
			     "VTL2 has no assist page on VP %u", vp->index);
		return;
	}
	COUNT(vp->count.entries[reason]);
	assist->entry_reason = cpu_to_le32(reason);
	if (message)
		assist->intercept_message = *message;
	copy_general(from->regs, to->regs);
	vcpu_dirty_regs(to);
	copy_cr2(from, to);
	fill_register_page(vp);
	if (enter_fpu(vp) < 0 || copy_debug(vp, from, to) < 0)
		machine_stop(vp->m, VMM_HOST_CANNOT, "VTL switch failed");
	vp->xsave_valid = true;
	vp->active = VTL2;
}

void vtl_return(struct vp *vp)
{
	struct vcpu *from = &vp_in(vp, VTL2)->vcpu;
	struct vcpu *to = &vp_in(vp, VTL0)->vcpu;
	struct hv_vp_assist_page *assist = assist_page(vp);
	bool fast = from->regs->rcx & 1;

	if (!assist) {
		machine_stop(vp->m, VMM_VTL2_CRASHED,
			     "VTL2 returned without an assist page on VP %u",
			     vp->index);
		return;
	}
	copy_general(from->regs, to->regs);
	if (!fast) {
		to->regs->rax = le64_to_cpu(assist->return_rax);
		to->regs->rcx = le64_to_cpu(assist->return_rcx);
	}
	take_register_page(vp);
	vcpu_dirty_regs(to);
	copy_cr2(from, to);
	if (return_fpu(vp) < 0 || copy_debug(vp, from, to) < 0)
		machine_stop(vp->m, VMM_HOST_CANNOT, "VTL switch failed");
	vp->active = VTL0;
	run_return_actions(vp, assist);
}
