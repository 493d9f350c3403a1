// SPDX-License-Identifier: MIT
/*
 * Registers of a VP by HV_REG_* name: what HvCallGetVpRegisters and
 * HvCallSetVpRegisters, the IGVM loader and AP start read and write.
 *
 * A register lives in one of five places, and the name says in which:
 *	the run page      general, control, segment and table registers, EFER,
 *	                  APIC base: copied out by KVM at each exit, copied in at
 *	                  the next entry only if marked dirty. So any order of
 *	                  writes is fine, inconsistent states in between too:
 *	                  KVM sees the sum, when the VTL runs again. Only the
 *	                  APIC base is set at once, too: an INIT that is sent
 *	                  before that goes by it
 *	KVM's MSRs        one ioctl each
 *	KVM, other        debug registers, XMM, events, activity
 *	our MSRs          SynIC, timers, pages (msr.c)
 *	VSM               the VTL2's own view of the machine; vsm_get() below
 *
 * By the VP's thread only. Unknown name: HV_STATUS_INVALID_PARAMETER; a value
 * that KVM refuses: HV_STATUS_INVALID_REGISTER_VALUE.
 */
#include <string.h>

#include "vp.h"

void segment_from_hv(struct kvm_segment *kvm,
		     const struct hv_segment_register *hv)
{
	uint16_t a = le16_to_cpu(hv->attributes);

	memset(kvm, 0, sizeof(*kvm));
	kvm->base = le64_to_cpu(hv->base);
	kvm->limit = le32_to_cpu(hv->limit);
	kvm->selector = le16_to_cpu(hv->selector);
	kvm->type = a & HV_SEGMENT_TYPE_MASK;
	kvm->s = (a & HV_SEGMENT_S) != 0;
	kvm->dpl = a >> HV_SEGMENT_DPL_SHIFT & HV_SEGMENT_DPL_MASK;
	kvm->present = (a & HV_SEGMENT_PRESENT) != 0;
	kvm->avl = (a & HV_SEGMENT_AVAILABLE) != 0;
	kvm->l = (a & HV_SEGMENT_LONG) != 0;
	kvm->db = (a & HV_SEGMENT_DEFAULT) != 0;
	kvm->g = (a & HV_SEGMENT_GRANULARITY) != 0;
	kvm->unusable = !kvm->present;
}

void segment_to_hv(struct hv_segment_register *hv,
		   const struct kvm_segment *kvm)
{
	unsigned int a = kvm->type & HV_SEGMENT_TYPE_MASK;

	a |= kvm->s ? HV_SEGMENT_S : 0;
	a |= (kvm->dpl & HV_SEGMENT_DPL_MASK) << HV_SEGMENT_DPL_SHIFT;
	a |= kvm->present ? HV_SEGMENT_PRESENT : 0;
	a |= kvm->avl ? HV_SEGMENT_AVAILABLE : 0;
	a |= kvm->l ? HV_SEGMENT_LONG : 0;
	a |= kvm->db ? HV_SEGMENT_DEFAULT : 0;
	a |= kvm->g ? HV_SEGMENT_GRANULARITY : 0;
	hv->base = cpu_to_le64(kvm->base);
	hv->limit = cpu_to_le32(kvm->limit);
	hv->selector = cpu_to_le16(kvm->selector);
	hv->attributes = cpu_to_le16((uint16_t)a);
}

uint64_t *general_register(struct kvm_regs *r, unsigned int n)
{
	__u64 *const order[16] = {
		&r->rax, &r->rcx, &r->rdx, &r->rbx, &r->rsp, &r->rbp,
		&r->rsi, &r->rdi, &r->r8,  &r->r9,  &r->r10, &r->r11,
		&r->r12, &r->r13, &r->r14, &r->r15,
	};

	return (uint64_t *)order[n & 15];
}

static struct kvm_segment *segment(struct kvm_sregs *s, unsigned int n)
{
	struct kvm_segment *const order[8] = {
		&s->es, &s->cs, &s->ss, &s->ds, &s->fs, &s->gs, &s->ldt, &s->tr,
	};

	return order[n & 7];
}

/* The plain 64-bit registers of the run page; NULL if it is not one. */
static __u64 *run_page_word(struct vcpu *vcpu, uint32_t name, bool *special)
{
	struct kvm_sregs *s = vcpu->sregs;

	*special = true;
	switch (name) {
	case HV_REG_RAX ... HV_REG_R15:
		*special = false;
		return (__u64 *)general_register(vcpu->regs, name & 15);
	case HV_REG_RIP:
		*special = false;
		return &vcpu->regs->rip;
	case HV_REG_RFLAGS:
		*special = false;
		return &vcpu->regs->rflags;
	case HV_REG_CR0:
		return &s->cr0;
	case HV_REG_CR2:
		return &s->cr2;
	case HV_REG_CR3:
		return &s->cr3;
	case HV_REG_CR4:
		return &s->cr4;
	case HV_REG_CR8:
		return &s->cr8;
	case HV_REG_EFER:
		return &s->efer;
	case HV_REG_APIC_BASE:
		return &s->apic_base;
	default:
		return NULL;
	}
}

#define MSR_APIC_BASE 0x1b /* SDM 4, IA32_APIC_BASE */

static const struct {
	uint32_t name, msr;
} kvm_msrs[] = {
	{ HV_REG_TSC_AUX, 0xc0000103 },
	{ HV_REG_KERNEL_GS_BASE, 0xc0000102 },
	{ HV_REG_PAT, 0x277 },
	{ HV_REG_SYSENTER_CS, 0x174 },
	{ HV_REG_SYSENTER_EIP, 0x176 },
	{ HV_REG_SYSENTER_ESP, 0x175 },
	{ HV_REG_STAR, 0xc0000081 },
	{ HV_REG_LSTAR, 0xc0000082 },
	{ HV_REG_CSTAR, 0xc0000083 },
	{ HV_REG_SFMASK, 0xc0000084 },
};

static const struct {
	uint32_t first, last, msr;
} our_msrs[] = {
	{ HV_REG_HYPERCALL, HV_REG_HYPERCALL, HV_MSR_HYPERCALL },
	{ HV_REG_GUEST_OS_ID, HV_REG_GUEST_OS_ID, HV_MSR_GUEST_OS_ID },
	{ HV_REG_TIME_REF_COUNT, HV_REG_TIME_REF_COUNT,
	  HV_MSR_TIME_REF_COUNT },
	{ HV_REG_VP_ASSIST_PAGE, HV_REG_VP_ASSIST_PAGE,
	  HV_MSR_VP_ASSIST_PAGE },
	{ HV_REG_REFERENCE_TSC, HV_REG_REFERENCE_TSC, HV_MSR_REFERENCE_TSC },
	{ HV_REG_SINT0, HV_REG_SINT15, HV_MSR_SINT0 },
	{ HV_REG_SCONTROL, HV_REG_SCONTROL, HV_MSR_SCONTROL },
	{ HV_REG_SVERSION, HV_REG_SVERSION, HV_MSR_SVERSION },
	{ HV_REG_SIEFP, HV_REG_SIEFP, HV_MSR_SIEFP },
	{ HV_REG_SIMP, HV_REG_SIMP, HV_MSR_SIMP },
	{ HV_REG_STIMER0_CONFIG, HV_REG_STIMER3_COUNT, HV_MSR_STIMER0_CONFIG },
};

/* 0 if the name is not that of an MSR. */
static uint32_t kvm_msr(uint32_t name)
{
	for (size_t i = 0; i < sizeof(kvm_msrs) / sizeof(kvm_msrs[0]); i++)
		if (kvm_msrs[i].name == name)
			return kvm_msrs[i].msr;
	return 0;
}

static uint32_t our_msr(uint32_t name)
{
	for (size_t i = 0; i < sizeof(our_msrs) / sizeof(our_msrs[0]); i++)
		if (name >= our_msrs[i].first && name <= our_msrs[i].last)
			return our_msrs[i].msr + (name - our_msrs[i].first);
	return 0;
}

static uint16_t get_debug(struct vcpu *vcpu, uint32_t name, uint64_t *value)
{
	struct kvm_debugregs d;

	if (vcpu_ioctl(vcpu, KVM_GET_DEBUGREGS, &d, "KVM_GET_DEBUGREGS") < 0)
		return HV_STATUS_INVALID_VP_STATE;
	*value = name == HV_REG_DR7 ? d.dr7 :
		 name == HV_REG_DR6 ? d.dr6 :
				      d.db[name & 3];
	return HV_STATUS_SUCCESS;
}

static uint16_t set_debug(struct vcpu *vcpu, uint32_t name, uint64_t value)
{
	struct kvm_debugregs d;

	if (vcpu_ioctl(vcpu, KVM_GET_DEBUGREGS, &d, "KVM_GET_DEBUGREGS") < 0)
		return HV_STATUS_INVALID_VP_STATE;
	if (name == HV_REG_DR7)
		d.dr7 = value;
	else if (name == HV_REG_DR6)
		d.dr6 = value;
	else
		d.db[name & 3] = value;
	if (vcpu_ioctl(vcpu, KVM_SET_DEBUGREGS, &d, "KVM_SET_DEBUGREGS") < 0)
		return HV_STATUS_INVALID_REGISTER_VALUE;
	return HV_STATUS_SUCCESS;
}

/* XSAVE area, standard form: XMM registers at 160, XSTATE_BV at 512. */
#define XSAVE_XMM 160
#define XSAVE_XSTATE_BV 512
#define XSTATE_SSE 2u

static uint16_t access_xmm(struct vcpu *vcpu, uint32_t name,
			   struct hv_register_value *value, bool set)
{
	struct kvm_xsave xsave;
	uint8_t *xmm = (uint8_t *)&xsave + XSAVE_XMM + 16 * (name & 15);

	if (vcpu_ioctl(vcpu, KVM_GET_XSAVE, &xsave, "KVM_GET_XSAVE") < 0)
		return HV_STATUS_INVALID_VP_STATE;
	if (!set) {
		memcpy(value, xmm, sizeof(*value));
		return HV_STATUS_SUCCESS;
	}
	memcpy(xmm, value, sizeof(*value));
	((uint8_t *)&xsave)[XSAVE_XSTATE_BV] |= XSTATE_SSE;
	if (vcpu_ioctl(vcpu, KVM_SET_XSAVE, &xsave, "KVM_SET_XSAVE") < 0)
		return HV_STATUS_INVALID_REGISTER_VALUE;
	return HV_STATUS_SUCCESS;
}

static uint16_t get_activity(struct vcpu *vcpu, uint64_t *value)
{
	uint32_t state;

	if (vcpu_get_mp_state(vcpu, &state) < 0)
		return HV_STATUS_INVALID_VP_STATE;
	*value = state == KVM_MP_STATE_RUNNABLE ? 0 :
		 state == KVM_MP_STATE_HALTED   ? HV_ACTIVITY_HALT_SUSPEND :
						  HV_ACTIVITY_STARTUP_SUSPEND;
	return HV_STATUS_SUCCESS;
}

static uint16_t set_activity(struct vcpu *vcpu, uint64_t value)
{
	uint32_t state = KVM_MP_STATE_RUNNABLE;

	if (value & ~(HV_ACTIVITY_STARTUP_SUSPEND | HV_ACTIVITY_HALT_SUSPEND))
		return HV_STATUS_INVALID_REGISTER_VALUE;
	if (value & HV_ACTIVITY_STARTUP_SUSPEND)
		state = KVM_MP_STATE_UNINITIALIZED;
	else if (value & HV_ACTIVITY_HALT_SUSPEND)
		state = KVM_MP_STATE_HALTED;
	if (vcpu_set_mp_state(vcpu, state) < 0)
		return HV_STATUS_INVALID_REGISTER_VALUE;
	return HV_STATUS_SUCCESS;
}

/* PendingEvent0: an exception for VTL0 to take when it runs next. */
static uint16_t set_event(struct vcpu *vcpu,
			  const struct hv_register_value *value)
{
	uint64_t low = le64_to_cpu(value->low);
	uint64_t vector = low >> HV_EVENT_VECTOR_SHIFT & HV_EVENT_VECTOR_MASK;
	struct kvm_vcpu_events events;

	if ((low & HV_EVENT_PENDING) &&
	    ((low >> HV_EVENT_TYPE_SHIFT & HV_EVENT_TYPE_MASK) !=
		     HV_EVENT_TYPE_EXCEPTION ||
	     vector > 31 || vector == 2))
		return HV_STATUS_INVALID_REGISTER_VALUE;
	if (vcpu_ioctl(vcpu, KVM_GET_VCPU_EVENTS, &events,
		       "KVM_GET_VCPU_EVENTS") < 0)
		return HV_STATUS_INVALID_VP_STATE;
	events.exception.injected = (low & HV_EVENT_PENDING) != 0;
	events.exception.nr = (uint8_t)vector;
	events.exception.has_error_code =
		(low & HV_EVENT_DELIVER_ERROR_CODE) != 0;
	events.exception.error_code =
		(uint32_t)(low >> HV_EVENT_ERROR_CODE_SHIFT);
	if (vcpu_ioctl(vcpu, KVM_SET_VCPU_EVENTS, &events,
		       "KVM_SET_VCPU_EVENTS") < 0)
		return HV_STATUS_INVALID_REGISTER_VALUE;
	if ((low & HV_EVENT_PENDING) && vector == 14) {
		vcpu->sregs->cr2 = le64_to_cpu(value->high);
		vcpu_dirty_sregs(vcpu);
	}
	return HV_STATUS_SUCCESS;
}

static uint16_t set_deliverability(struct vp *vp, uint64_t value)
{
	/* Interrupts and NMIs go to VTL0's APIC, which holds them itself. */
	if (value & ((1ull << HV_DELIVERABILITY_SINTS_SHIFT) - 1))
		return HV_STATUS_INVALID_REGISTER_VALUE;
	vp->deliverability = value;
	synic_want(vp_in(vp, VTL0),
		   (uint16_t)(value >> HV_DELIVERABILITY_SINTS_SHIFT));
	return HV_STATUS_SUCCESS;
}

/* What is neither a word of the run page nor a segment or table register. */
static uint16_t get_other(struct vp *vp, struct vp_vtl *vv, uint32_t name,
			  uint64_t *value)
{
	uint32_t msr = kvm_msr(name);

	if (msr)
		return vcpu_get_msr(&vv->vcpu, msr, value) < 0 ?
			       HV_STATUS_INVALID_PARAMETER :
			       HV_STATUS_SUCCESS;
	msr = our_msr(name);
	if (msr)
		return msr_read(vp, vv->vtl, msr, value) ?
			       HV_STATUS_SUCCESS :
			       HV_STATUS_INVALID_PARAMETER;
	switch (name) {
	case HV_REG_DR0 ... HV_REG_DR3:
	case HV_REG_DR6:
	case HV_REG_DR7:
		return get_debug(&vv->vcpu, name, value);
	case HV_REG_INTERNAL_ACTIVITY:
		return get_activity(&vv->vcpu, value);
	case HV_REG_PENDING_EVENT0:
	case HV_REG_PENDING_EVENT1:
	case HV_REG_PENDING_INTERRUPTION:
	case HV_REG_INTERRUPT_STATE:
		*value = 0;
		return HV_STATUS_SUCCESS;
	case HV_REG_DELIVERABILITY:
		*value = vp->deliverability;
		return HV_STATUS_SUCCESS;
	case HV_REG_TSC:
		return vcpu_get_msr(&vv->vcpu, 0x10, value) < 0 ?
			       HV_STATUS_INVALID_PARAMETER :
			       HV_STATUS_SUCCESS;
	default:
		return HV_STATUS_INVALID_PARAMETER;
	}
}

static uint16_t set_other(struct vp *vp, struct vp_vtl *vv, uint32_t name,
			  const struct hv_register_value *value)
{
	uint64_t low = le64_to_cpu(value->low);
	uint32_t msr = kvm_msr(name);

	if (msr)
		return vcpu_set_msr(&vv->vcpu, msr, low) < 0 ?
			       HV_STATUS_INVALID_REGISTER_VALUE :
			       HV_STATUS_SUCCESS;
	msr = our_msr(name);
	if (msr == HV_MSR_HYPERCALL) {
		/* The lock binds the guest, not the VTL above it. */
		pthread_mutex_lock(&vp->m->lock);
		machine_view(vp->m, vv->vtl)->hypercall = 0;
		pthread_mutex_unlock(&vp->m->lock);
	}
	if (msr)
		return msr_write(vp, vv->vtl, msr, low) ?
			       HV_STATUS_SUCCESS :
			       HV_STATUS_INVALID_REGISTER_VALUE;
	switch (name) {
	case HV_REG_DR0 ... HV_REG_DR3:
	case HV_REG_DR6:
	case HV_REG_DR7:
		return set_debug(&vv->vcpu, name, low);
	case HV_REG_INTERNAL_ACTIVITY:
		return set_activity(&vv->vcpu, low);
	case HV_REG_PENDING_EVENT0:
		return set_event(&vv->vcpu, value);
	case HV_REG_PENDING_EVENT1:
	case HV_REG_PENDING_INTERRUPTION:
	case HV_REG_INTERRUPT_STATE:
		return low ? HV_STATUS_INVALID_REGISTER_VALUE :
			     HV_STATUS_SUCCESS;
	case HV_REG_DELIVERABILITY:
		return set_deliverability(vp, low);
	default:
		return HV_STATUS_INVALID_PARAMETER;
	}
}

uint16_t register_get(struct vp *vp, enum vtl vtl, uint32_t name,
		      struct hv_register_value *value)
{
	struct vp_vtl *vv = vp_in(vp, vtl);
	struct kvm_sregs *s = vv->vcpu.sregs;
	uint64_t low = 0;
	uint16_t status;
	bool special;
	__u64 *word;

	memset(value, 0, sizeof(*value));
	word = run_page_word(&vv->vcpu, name, &special);
	if (word) {
		value->low = cpu_to_le64(*word);
		return HV_STATUS_SUCCESS;
	}
	if (name >= HV_REG_ES && name <= HV_REG_TR) {
		struct hv_segment_register hv;

		segment_to_hv(&hv, segment(s, name & 7));
		memcpy(value, &hv, sizeof(*value));
		return HV_STATUS_SUCCESS;
	}
	if (name == HV_REG_IDTR || name == HV_REG_GDTR) {
		struct kvm_dtable *d = name == HV_REG_IDTR ? &s->idt : &s->gdt;
		struct hv_table_register t = {
			.limit = cpu_to_le16(d->limit),
			.base = cpu_to_le64(d->base),
		};

		memcpy(value, &t, sizeof(*value));
		return HV_STATUS_SUCCESS;
	}
	if (name >= HV_REG_XMM0 && name <= HV_REG_XMM15)
		return access_xmm(&vv->vcpu, name, value, false);
	status = get_other(vp, vv, name, &low);
	value->low = cpu_to_le64(low);
	return status;
}

static void table_from_hv(struct kvm_dtable *d,
			  const struct hv_table_register *t)
{
	d->base = le64_to_cpu(t->base);
	d->limit = le16_to_cpu(t->limit);
}

uint16_t register_set(struct vp *vp, enum vtl vtl, uint32_t name,
		      const struct hv_register_value *value)
{
	struct vp_vtl *vv = vp_in(vp, vtl);
	struct kvm_sregs *s = vv->vcpu.sregs;
	struct hv_register_value copy = *value;
	bool special;
	__u64 *word;

	if (name == HV_REG_APIC_BASE &&
	    vcpu_set_msr(&vv->vcpu, MSR_APIC_BASE, le64_to_cpu(value->low)) < 0)
		return HV_STATUS_INVALID_REGISTER_VALUE;
	word = run_page_word(&vv->vcpu, name, &special);
	if (word) {
		*word = le64_to_cpu(value->low);
		if (special)
			vcpu_dirty_sregs(&vv->vcpu);
		else
			vcpu_dirty_regs(&vv->vcpu);
		return HV_STATUS_SUCCESS;
	}
	if (name >= HV_REG_ES && name <= HV_REG_TR) {
		struct hv_segment_register hv;

		memcpy(&hv, value, sizeof(hv));
		segment_from_hv(segment(s, name & 7), &hv);
		vcpu_dirty_sregs(&vv->vcpu);
		return HV_STATUS_SUCCESS;
	}
	if (name == HV_REG_IDTR || name == HV_REG_GDTR) {
		struct hv_table_register t;

		memcpy(&t, value, sizeof(t));
		table_from_hv(name == HV_REG_IDTR ? &s->idt : &s->gdt, &t);
		vcpu_dirty_sregs(&vv->vcpu);
		return HV_STATUS_SUCCESS;
	}
	if (name >= HV_REG_XMM0 && name <= HV_REG_XMM15)
		return access_xmm(&vv->vcpu, name, &copy, true);
	return set_other(vp, vv, name, value);
}

void register_load_context(struct vcpu *vcpu,
			   const struct hv_initial_vp_context *c)
{
	struct kvm_sregs *s = vcpu->sregs;

	memset(vcpu->regs, 0, sizeof(*vcpu->regs));
	vcpu->regs->rip = le64_to_cpu(c->rip);
	vcpu->regs->rsp = le64_to_cpu(c->rsp);
	vcpu->regs->rflags = le64_to_cpu(c->rflags);
	segment_from_hv(&s->cs, &c->cs);
	segment_from_hv(&s->ds, &c->ds);
	segment_from_hv(&s->es, &c->es);
	segment_from_hv(&s->fs, &c->fs);
	segment_from_hv(&s->gs, &c->gs);
	segment_from_hv(&s->ss, &c->ss);
	segment_from_hv(&s->tr, &c->tr);
	segment_from_hv(&s->ldt, &c->ldtr);
	table_from_hv(&s->idt, &c->idtr);
	table_from_hv(&s->gdt, &c->gdtr);
	s->efer = le64_to_cpu(c->efer);
	s->cr0 = le64_to_cpu(c->cr0);
	s->cr3 = le64_to_cpu(c->cr3);
	s->cr4 = le64_to_cpu(c->cr4);
	vcpu_set_msr(vcpu, kvm_msr(HV_REG_PAT), le64_to_cpu(c->pat));
	vcpu_dirty_regs(vcpu);
	vcpu_dirty_sregs(vcpu);
}

/*
 * VSM registers: what a VTL asks about itself (TLFS, "Virtual Secure Mode").
 */
uint16_t vsm_get(struct vp *vp, enum vtl vtl, uint32_t name,
		 struct hv_register_value *value)
{
	uint64_t low;

	memset(value, 0, sizeof(*value));
	switch (name) {
	case HV_REG_VSM_VP_STATUS:
		low = VTL2 | (1u << VTL0 | 1u << VTL2)
				     << HV_VSM_VP_STATUS_ENABLED_SHIFT;
		break;
	case HV_REG_VSM_PARTITION_STATUS:
		low = (1u << VTL0 | 1u << VTL2) |
		      VTL2 << HV_VSM_PARTITION_STATUS_MAXIMUM_VTL_SHIFT;
		break;
	case HV_REG_VSM_CODE_PAGE_OFFSETS:
		low = HYPERCALL_OFFSET_CALL << HV_CODE_PAGE_CALL_SHIFT |
		      HYPERCALL_OFFSET_RETURN << HV_CODE_PAGE_RETURN_SHIFT;
		break;
	case HV_REG_VSM_CAPABILITIES:
		low = HV_VSM_INTERCEPT_PAGE | HV_VSM_RETURN_ACTION |
		      HV_VSM_NOT_PRESENT | HV_VSM_SYSTEM_RESET;
		break;
	case HV_REG_VSM_PARTITION_CONFIG:
		low = atomic_load(&vp->m->vsm_config);
		break;
	case HV_REG_GUEST_VSM_PARTITION_CONFIG:
	case HV_REG_VSM_VP_SECURE_CONFIG_VTL0:
		low = 0;
		break;
	case HV_REG_REGISTER_PAGE:
		low = vp->register_page;
		break;
	case HV_REG_GUEST_OS_ID:
	case HV_REG_TIME_REF_COUNT:
		return register_get(vp, vtl, name, value);
	default:
		return HV_STATUS_INVALID_PARAMETER;
	}
	value->low = cpu_to_le64(low);
	return HV_STATUS_SUCCESS;
}

uint16_t vsm_set(struct vp *vp, uint32_t name,
		 const struct hv_register_value *value)
{
	uint64_t low = le64_to_cpu(value->low);

	switch (name) {
	case HV_REG_VSM_PARTITION_CONFIG:
		if (low & ~HV_VSM_CONFIG_VALID)
			return HV_STATUS_INVALID_REGISTER_VALUE;
		atomic_store(&vp->m->vsm_config, low);
		return HV_STATUS_SUCCESS;
	case HV_REG_REGISTER_PAGE:
		if ((low & HV_MSR_PAGE_ENABLE) &&
		    !machine_ram(vp->m, VTL2, low & HV_PAGE_MASK,
				 HV_PAGE_SIZE))
			return HV_STATUS_INVALID_REGISTER_VALUE;
		vp->register_page = low;
		return HV_STATUS_SUCCESS;
	case HV_REG_VSM_VP_SECURE_CONFIG_VTL0:
		/* TLB locks: there is no page protection that they guard. */
		return HV_STATUS_SUCCESS;
	default:
		return HV_STATUS_INVALID_PARAMETER;
	}
}
