// SPDX-License-Identifier: MIT
/*
 * Hyper-V's MSRs (TLFS, Appendix B), as each VTL has them.
 *
 * Three kinds: of the partition and VTL (struct vtl_view, under the machine's
 * lock: guest OS id, hypercall page, reference TSC), of the VP and VTL (SynIC,
 * timers, assist page), and of the VP (index, time, frequencies). An MSR that
 * is not here, or not writable, is #GP, in VTL0 under VTL2 an intercept.
 *
 * The hypercall page and the reference TSC page are written into the guest's
 * memory and stay there when the MSR is switched off: what was below an
 * overlay is not kept.
 */
#include <stdio.h>
#include <string.h>

#include "vp.h"

static void write_hypercall(struct vp *vp, struct vtl_view *view,
			    uint64_t value)
{
	struct machine *m = vp->m;
	void *page;

	pthread_mutex_lock(&m->lock);
	if (view->hypercall & HV_MSR_HYPERCALL_LOCKED)
		goto out_unlock;
	/* No page for a guest that has not said who it is. */
	if (!view->guest_os_id)
		value &= ~HV_MSR_PAGE_ENABLE;
	view->hypercall = value & (HV_PAGE_MASK | HV_MSR_PAGE_ENABLE |
				   HV_MSR_HYPERCALL_LOCKED);
	page = machine_ram(m, view->vtl, value & HV_PAGE_MASK, HV_PAGE_SIZE);
	if ((value & HV_MSR_PAGE_ENABLE) && page)
		hypercall_write_page(page, view->vtl);
	else if (value & HV_MSR_PAGE_ENABLE)
		vp_log(vp, "hypercall page %#llx is not in RAM",
		       (unsigned long long)(value & HV_PAGE_MASK));
out_unlock:
	pthread_mutex_unlock(&m->lock);
}

static void write_reference_tsc(struct vp *vp, struct vtl_view *view,
				uint64_t value)
{
	void *page = machine_ram(vp->m, view->vtl, value & HV_PAGE_MASK,
				 HV_PAGE_SIZE);

	pthread_mutex_lock(&vp->m->lock);
	view->reference_tsc = value;
	if ((value & HV_MSR_PAGE_ENABLE) && page)
		timer_write_page(vp->m, page);
	pthread_mutex_unlock(&vp->m->lock);
}

static void write_guest_os_id(struct vp *vp, struct vtl_view *view,
			      uint64_t value)
{
	pthread_mutex_lock(&vp->m->lock);
	view->guest_os_id = value;
	if (!value)
		view->hypercall &= ~HV_MSR_PAGE_ENABLE;
	pthread_mutex_unlock(&vp->m->lock);
}

/* The text that a guest left with its crash, at most one page of it. */
static void print_crash_text(struct vp *vp, struct vtl_view *view)
{
	uint64_t gpa = view->crash[3];
	uint64_t size = view->crash[4];
	const char *text;

	if (size > HV_PAGE_SIZE)
		size = HV_PAGE_SIZE;
	text = machine_ram(vp->m, view->vtl, gpa, size);
	if (!text)
		return;
	fprintf(stderr, "vmm: VTL%d's last words:\n", view->vtl);
	for (uint64_t i = 0; i < size && text[i]; i++)
		fputc(text[i] == '\n' || (text[i] >= ' ' && text[i] <= '~') ?
			      text[i] :
			      '.',
		      stderr);
	fputc('\n', stderr);
}

static void write_crash_control(struct vp *vp, struct vtl_view *view,
				uint64_t value)
{
	const uint64_t *p = view->crash;

	if (!(value & HV_CRASH_NOTIFY))
		return;
	fprintf(stderr, "vmm: VTL%d reports a crash: P0 %#llx P1 %#llx "
			"P2 %#llx P3 %#llx P4 %#llx\n", view->vtl,
		(unsigned long long)p[0], (unsigned long long)p[1],
		(unsigned long long)p[2], (unsigned long long)p[3],
		(unsigned long long)p[4]);
	if (value & HV_CRASH_NOTIFY_MESSAGE)
		print_crash_text(vp, view);
	machine_stop(vp->m,
		     view->vtl == VTL2 ? VMM_VTL2_CRASHED : VMM_GUEST_CRASHED,
		     "VTL%d crashed", view->vtl);
}

static bool read_vp_msr(struct vp *vp, struct vp_vtl *vv, uint32_t msr,
			uint64_t *value)
{
	uint32_t n;

	switch (msr) {
	case HV_MSR_VP_ASSIST_PAGE:
		*value = vv->assist_page;
		return true;
	case HV_MSR_SCONTROL:
		*value = vv->synic.control;
		return true;
	case HV_MSR_SVERSION:
		*value = HV_SVERSION;
		return true;
	case HV_MSR_SIEFP:
		*value = vv->synic.siefp;
		return true;
	case HV_MSR_SIMP:
		*value = vv->synic.simp;
		return true;
	case HV_MSR_EOM:
		*value = 0;
		return true;
	case HV_MSR_SINT0 ... HV_MSR_SINT0 + HV_SINT_COUNT - 1:
		*value = vv->synic.sint[msr - HV_MSR_SINT0];
		return true;
	case HV_MSR_STIMER0_CONFIG ...
		HV_MSR_STIMER0_CONFIG + 2 * HV_STIMER_COUNT - 1:
		n = msr - HV_MSR_STIMER0_CONFIG;
		*value = n & 1 ? vv->stimers[n / 2].count :
				 vv->stimers[n / 2].config;
		return true;
	case HV_MSR_ICR:
		*value = (uint64_t)vp->lapic.icr_high << 32 |
			 vp->lapic.icr_low;
		return vv->vtl == VTL2;
	case HV_MSR_TPR:
		*value = vp->lapic.tpr;
		return vv->vtl == VTL2;
	default:
		return false;
	}
}

bool msr_read(struct vp *vp, enum vtl vtl, uint32_t msr, uint64_t *value)
{
	struct machine *m = vp->m;
	struct vtl_view *view = machine_view(m, vtl);

	switch (msr) {
	case HV_MSR_GUEST_OS_ID:
		*value = view->guest_os_id;
		return true;
	case HV_MSR_HYPERCALL:
		*value = view->hypercall;
		return true;
	case HV_MSR_VP_INDEX:
		*value = vp->index;
		return true;
	case HV_MSR_TIME_REF_COUNT:
		*value = reference_time(m);
		return true;
	case HV_MSR_REFERENCE_TSC:
		*value = view->reference_tsc;
		return true;
	case HV_MSR_TSC_FREQUENCY:
		*value = m->tsc_khz * 1000;
		return true;
	case HV_MSR_APIC_FREQUENCY:
		*value = vtl == VTL2 ? LAPIC_HZ : 1000000000;
		return true;
	case HV_MSR_CRASH_P0 ... HV_MSR_CRASH_P4:
		*value = view->crash[msr - HV_MSR_CRASH_P0];
		return true;
	case HV_MSR_CRASH_CTL:
		*value = HV_CRASH_NOTIFY | HV_CRASH_NOTIFY_MESSAGE;
		return true;
	case HV_MSR_TSC_INVARIANT_CONTROL:
		*value = 1;
		return true;
	default:
		return read_vp_msr(vp, vp_in(vp, vtl), msr, value);
	}
}

static void write_tpr(struct vp *vp, uint64_t value)
{
	vp->lapic.tpr = value & 0xff;
	vp_in(vp, VTL2)->vcpu.run->cr8 = vp->lapic.tpr >> 4;
}

static bool write_vp_msr(struct vp *vp, struct vp_vtl *vv, uint32_t msr,
			 uint64_t value)
{
	uint32_t n;

	switch (msr) {
	case HV_MSR_VP_ASSIST_PAGE:
		vv->assist_page = value;
		return true;
	case HV_MSR_SCONTROL:
		synic_write_control(vv, value);
		return true;
	case HV_MSR_SIEFP:
		synic_write_siefp(vv, value);
		return true;
	case HV_MSR_SIMP:
		synic_write_simp(vv, value);
		return true;
	case HV_MSR_EOM:
		synic_end_of_message(vv);
		return true;
	case HV_MSR_SINT0 ... HV_MSR_SINT0 + HV_SINT_COUNT - 1:
		/* An unmasked SINT needs a vector an APIC can deliver. */
		if (!(value & (HV_SINT_MASKED | HV_SINT_POLLING)) &&
		    (value & HV_SINT_VECTOR_MASK) < 16)
			return false;
		synic_write_sint(vv, msr - HV_MSR_SINT0, value);
		return true;
	case HV_MSR_STIMER0_CONFIG ...
		HV_MSR_STIMER0_CONFIG + 2 * HV_STIMER_COUNT - 1:
		n = msr - HV_MSR_STIMER0_CONFIG;
		if (n & 1)
			stimer_write_count(vv, n / 2, value);
		else
			stimer_write_config(vv, n / 2, value);
		return true;
	case HV_MSR_EOI:
		if (vv->vtl == VTL2)
			lapic_eoi(&vp->lapic);
		return vv->vtl == VTL2;
	case HV_MSR_ICR:
		if (vv->vtl == VTL2)
			lapic_write_icr(&vp->lapic, value);
		return vv->vtl == VTL2;
	case HV_MSR_TPR:
		if (vv->vtl == VTL2)
			write_tpr(vp, value);
		return vv->vtl == VTL2;
	default:
		return false;
	}
}

bool msr_write(struct vp *vp, enum vtl vtl, uint32_t msr, uint64_t value)
{
	struct vtl_view *view = machine_view(vp->m, vtl);

	switch (msr) {
	case HV_MSR_GUEST_OS_ID:
		write_guest_os_id(vp, view, value);
		return true;
	case HV_MSR_HYPERCALL:
		write_hypercall(vp, view, value);
		return true;
	case HV_MSR_REFERENCE_TSC:
		write_reference_tsc(vp, view, value);
		return true;
	case HV_MSR_CRASH_P0 ... HV_MSR_CRASH_P4:
		view->crash[msr - HV_MSR_CRASH_P0] = value;
		return true;
	case HV_MSR_CRASH_CTL:
		write_crash_control(vp, view, value);
		return true;
	case HV_MSR_TSC_INVARIANT_CONTROL:
		return true;
	default:
		return write_vp_msr(vp, vp_in(vp, vtl), msr, value);
	}
}
