// SPDX-License-Identifier: MIT
/*
 * The thread of a virtual processor.
 *
 * A VP has one thread. It runs the VTL the VP is in, serves that VTL's exits,
 * and owns all of the VP's state but for the words named here. Other threads
 * (devices, other VPs) never touch a vCPU: they publish what they want and
 * kick.
 *
 * What others publish, each with one atomic operation:
 *	lapic.irr, lapic.nmis   interrupts for VTL2
 *	requests                VP_REQUEST_*
 * VTL0's interrupts are not here: KVM has its APICs.
 *
 * Where the thread is (vp->where):
 *
 *	            runs again: looks at everything first
 *	        ,--------------------------------------------.
 *	        v                                            |
 *	    OUTSIDE --- "about to enter" ---> GUEST ---------+  KVM_RUN ended
 *	        |                               |            |
 *	        | nothing to run                | kick:      |
 *	        v                               | signal     |
 *	    PARKED --------- kick: wake ----> KICKED --------'
 *	        |                                            |
 *	        `--- deadline -------------------------------'
 *
 *	VP's thread                          poster
 *	-----------                          ------
 *	run->immediate_exit = 0              1. publish (irr, requests)
 *	a. where = GUEST                     2. read where
 *	b. look at irr, requests                GUEST:  GUEST -> KICKED, signal
 *	   something: where = OUTSIDE, serve    PARKED: PARKED -> KICKED, wake
 *	c. KVM_RUN                              else:   nothing
 *	d. where = OUTSIDE
 *
 * No interrupt is lost. All of these are sequentially consistent, so either
 * (2) reads what (a) wrote, and kicks; or (2) is before (a), and then (1) is
 * before (b), which sees it. A poster that reads KICKED leaves it to the one
 * who wrote it: the VP passes (d) and (b) after that. A poster that reads
 * OUTSIDE is before the next (a). The kick itself cannot fall between (b) and
 * (c): the signal's handler runs on the VP's thread and sets
 * run->immediate_exit, with which KVM_RUN returns at once; in KVM_RUN the
 * signal ends it. A signal that comes late, when the thread is OUTSIDE again,
 * is spent on immediate_exit = 0, or costs one empty exit; its cause is seen
 * by (b) either way.
 *
 * No interrupt is doubled. Only the VP's thread moves a bit from IRR to ISR,
 * and only when KVM says that the vCPU can take it
 * (ready_for_interrupt_injection); KVM then has it and keeps it, also over an
 * exit in the middle of its delivery, in which case it is not ready for the
 * next one.
 *
 * Delivery, by the VTL the VP is in (b):
 *	VTL2: accept and KVM_INTERRUPT if ready; if not, or if another waits,
 *	      ask for the exit that says when it is (request_interrupt_window)
 *	VTL0: enter VTL2, which takes it as above when its IF allows
 * After VTL2's return to VTL0 the thread passes (b) with VTL0 as its VTL, so
 * what came during the switch enters VTL2 again.
 *
 * A machine that is paused (pause.c) has its VPs parked, whatever waits for them.
 *
 * HLT: VTL2's parks here until an interrupt is deliverable; VTL0's is inside
 * KVM_RUN.
 *
 * Failures of KVM end the machine. A VP that has a deliverable interrupt and
 * no exit for some seconds is a defect of the host side: vp_watch() prints all
 * registers and ends the machine with VMM_VP_STUCK.
 */
#include <errno.h>
#include <linux/futex.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vp.h"

#define LOG_LINES_PER_SECOND 10

/* What the signal handlers of this thread act on. */
static _Thread_local struct kvm_run *volatile current_run;
static _Thread_local struct vp *volatile current_vp;

static void on_kick(int signal)
{
	struct vp *vp = current_vp;

	if (!vp)
		return;
	if (signal == VP_SIGNAL_TIMER)
		atomic_store(&vp->timer_armed, 0);
	if (current_run)
		current_run->immediate_exit = 1;
}

int vp_prepare_signals(void)
{
	/* SA_RESTART: devices' system calls on this thread do not notice;
	 * KVM_RUN ends with EINTR all the same. */
	struct sigaction action = {
		.sa_handler = on_kick,
		.sa_flags = SA_RESTART,
	};

	if (sigaction(VP_SIGNAL_KICK, &action, NULL) < 0 ||
	    sigaction(VP_SIGNAL_TIMER, &action, NULL) < 0) {
		fprintf(stderr, "vmm: sigaction: %s\n", strerror(errno));
		return -errno;
	}
	return 0;
}

void vp_log(struct vp *vp, const char *format, ...)
{
	uint64_t second = reference_time(vp->m) / HV_REF_TIME_HZ;
	char line[256];
	va_list args;

	if (second != vp->log_second) {
		vp->log_second = second;
		vp->log_credit = LOG_LINES_PER_SECOND;
	}
	if (!vp->log_credit)
		return;
	vp->log_credit--;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	fprintf(stderr, "vmm: vp%u vtl%d: %s\n", vp->index, vp->active, line);
}

void vp_dump(struct vp *vp)
{
	for (unsigned int i = 0; i < 2; i++) {
		struct vp_vtl *vv = &vp->vtl[i];
		const struct kvm_regs *r = vv->vcpu.regs;
		const struct kvm_sregs *s = vv->vcpu.sregs;

		if (!vv->vcpu.run)
			continue;
		fprintf(stderr,
			"vmm: vp%u vtl%d%s%s%s: rip %016llx rflags %08llx "
			"rsp %016llx cr0 %llx cr2 %llx cr3 %llx cr4 %llx "
			"efer %llx cs %x\n"
			"vmm:   rax %llx rbx %llx rcx %llx rdx %llx rsi %llx "
			"rdi %llx rbp %llx r8 %llx r9 %llx r10 %llx r11 %llx "
			"r12 %llx r13 %llx r14 %llx r15 %llx\n",
			vp->index, vv->vtl,
			vp->active == vv->vtl ? " active" : "",
			vv->started ? "" : " not started",
			vv->halted ? " halted" : "", r->rip, r->rflags,
			r->rsp, s->cr0, s->cr2, s->cr3, s->cr4, s->efer,
			s->cs.selector, r->rax, r->rbx, r->rcx, r->rdx,
			r->rsi, r->rdi, r->rbp, r->r8, r->r9, r->r10, r->r11,
			r->r12, r->r13, r->r14, r->r15);
	}
	fprintf(stderr, "vmm:   lapic irr %016llx %016llx %016llx %016llx "
			"isr %016llx %016llx %016llx %016llx tpr %x svr %x; "
			"ready %u if %u window %u\n",
		(unsigned long long)vp->lapic.irr[3],
		(unsigned long long)vp->lapic.irr[2],
		(unsigned long long)vp->lapic.irr[1],
		(unsigned long long)vp->lapic.irr[0],
		(unsigned long long)vp->lapic.isr[3],
		(unsigned long long)vp->lapic.isr[2],
		(unsigned long long)vp->lapic.isr[1],
		(unsigned long long)vp->lapic.isr[0], vp->lapic.tpr,
		vp->lapic.svr,
		vp->vtl[1].vcpu.run ?
			vp->vtl[1].vcpu.run->ready_for_interrupt_injection : 0,
		vp->vtl[1].vcpu.run ? vp->vtl[1].vcpu.run->if_flag : 0,
		vp->vtl[1].vcpu.run ?
			vp->vtl[1].vcpu.run->request_interrupt_window : 0);
}

void vp_kick(struct vp *vp)
{
	uint32_t where = atomic_load(&vp->where);

	for (;;) {
		if (where == VP_OUTSIDE || where == VP_KICKED)
			return;
		if (atomic_compare_exchange_weak(&vp->where, &where,
						 VP_KICKED))
			break;
	}
	atomic_fetch_add(&vp->count.kicks, 1);
	if (where == VP_PARKED) {
		syscall(SYS_futex, &vp->where, FUTEX_WAKE_PRIVATE, 1, NULL,
			NULL, 0);
	} else {
		atomic_fetch_add(&vp->count.signals, 1);
		pthread_kill(vp->thread, VP_SIGNAL_KICK);
	}
}

void vp_request(struct vp *vp, uint32_t request)
{
	atomic_fetch_or(&vp->requests, request);
	vp_kick(vp);
}

void vp_interrupt(struct machine *m, enum vtl vtl, unsigned int vp,
		  uint8_t vector)
{
	if (vp >= m->config.vps || vector < 16)
		return;
	if (vtl == VTL2) {
		lapic_post(&m->vps[vp].lapic, vector);
		vp_kick(&m->vps[vp]);
	} else {
		vm_signal_msi(&machine_view(m, VTL0)->vm,
			      LAPIC_BASE | (uint64_t)vp_apic_id(m, vp) << 12,
			      vector);
	}
}

void vp_nmi(struct machine *m, enum vtl vtl, unsigned int vp)
{
	if (vp >= m->config.vps)
		return;
	if (vtl == VTL2) {
		lapic_post_nmi(&m->vps[vp].lapic);
		vp_kick(&m->vps[vp]);
	} else {
		vm_signal_msi(&machine_view(m, VTL0)->vm,
			      LAPIC_BASE | (uint64_t)vp_apic_id(m, vp) << 12,
			      LAPIC_NMI << LAPIC_ICR_MODE_SHIFT);
	}
}

/* What VTL2's APIC sends. Runs on the sender's thread. */
static void send_ipi(void *opaque, uint32_t icr, uint8_t destination)
{
	struct vp *from = opaque;
	struct machine *m = from->m;
	unsigned int mode = icr >> LAPIC_ICR_MODE_SHIFT & LAPIC_ICR_MODE_MASK;
	unsigned int shorthand = icr >> LAPIC_ICR_SHORTHAND_SHIFT &
				 LAPIC_ICR_SHORTHAND_MASK;

	COUNT(from->count.ipis);
	for (unsigned int i = 0; i < m->config.vps; i++) {
		struct vp *to = &m->vps[i];

		if (shorthand == LAPIC_DESTINATION &&
		    !lapic_matches(&to->lapic, destination,
				   icr & LAPIC_ICR_LOGICAL))
			continue;
		if ((shorthand == LAPIC_SELF && to != from) ||
		    (shorthand == LAPIC_OTHERS && to == from))
			continue;
		if (mode == LAPIC_NMI) {
			vp_nmi(m, VTL2, i);
		} else if (mode == LAPIC_FIXED || mode == LAPIC_LOWEST) {
			vp_interrupt(m, VTL2, i, (uint8_t)icr);
			if (mode == LAPIC_LOWEST)
				return;
		} else {
			COUNT(from->count.refused);
			vp_log(from, "IPI of delivery mode %u refused", mode);
			return;
		}
	}
}

/*
 * "No EOI required" (TLFS, "EOI"): the guest clears the bit instead of writing
 * EOI. Looked at after each exit of VTL2, before anything else happens to the
 * APIC.
 */
static struct hv_vp_assist_page *assist(struct vp *vp)
{
	uint64_t msr = vp_in(vp, VTL2)->assist_page;

	if (!(msr & HV_MSR_PAGE_ENABLE))
		return NULL;
	return machine_ram(vp->m, VTL2, msr & HV_PAGE_MASK, HV_PAGE_SIZE);
}

static void take_optional_eoi(struct vp *vp)
{
	struct hv_vp_assist_page *page;

	if (!vp->eoi_pending)
		return;
	vp->eoi_pending = false;
	page = assist(vp);
	if (page && atomic_exchange(guest_word(page), 0) &
			    HV_APIC_ASSIST_NO_EOI)
		return; /* not cleared by the guest: it has yet to end it */
	lapic_eoi(&vp->lapic);
	COUNT(vp->count.eois_saved);
}

static void offer_optional_eoi(struct vp *vp)
{
	struct hv_vp_assist_page *page = assist(vp);

	if (!page || !lapic_eoi_optional(&vp->lapic))
		return;
	atomic_store(guest_word(page), HV_APIC_ASSIST_NO_EOI);
	vp->eoi_pending = true;
}

/* (b) with VTL2 active: gives KVM what the APIC has. */
static int inject(struct vp *vp)
{
	struct vcpu *vcpu = &vp_in(vp, VTL2)->vcpu;
	int vector, ret;

	if (lapic_accept_nmi(&vp->lapic)) {
		COUNT(vp->count.nmis);
		ret = vcpu_nmi(vcpu);
		if (ret < 0)
			return ret;
	}
	if (vcpu->run->ready_for_interrupt_injection) {
		vector = lapic_accept(&vp->lapic);
		if (vector >= 0) {
			COUNT(vp->count.interrupts);
			ret = vcpu_interrupt(vcpu, (uint8_t)vector);
			if (ret < 0)
				return ret;
			vcpu->run->ready_for_interrupt_injection = 0;
		}
	}
	vcpu->run->request_interrupt_window =
		lapic_deliverable(&vp->lapic) >= 0;
	if (vcpu->run->request_interrupt_window)
		COUNT(vp->count.windows);
	offer_optional_eoi(vp);
	return 0;
}

/* Ends HLT? With interrupts off only an NMI does. */
static bool wakes(struct vp *vp)
{
	if (lapic_nmi_pending(&vp->lapic))
		return true;
	return vp_in(vp, VTL2)->vcpu.run->if_flag &&
	       lapic_deliverable(&vp->lapic) >= 0;
}

/* Waits for a kick or `deadline` (0: none). */
static void park(struct vp *vp, uint64_t deadline)
{
	struct vp_vtl *vv = vp_in(vp, VTL2);
	struct timespec until;

	atomic_store(&vp->where, VP_PARKED);
	if (!atomic_load(&vp->requests) &&
	    (vp->stands || !(vv->started && wakes(vp)))) {
		if (deadline)
			until = timer_to_clock(vp->m, deadline);
		syscall(SYS_futex, &vp->where,
			FUTEX_WAIT_BITSET_PRIVATE, VP_PARKED,
			deadline ? &until : NULL, NULL,
			FUTEX_BITSET_MATCH_ANY);
	}
	atomic_store(&vp->where, VP_OUTSIDE);
}

static void start_vtl2(struct vp *vp)
{
	struct vp_vtl *vv = vp_in(vp, VTL2);

	register_load_context(&vv->vcpu, &vp->start_context);
	vv->vcpu.run->cr8 = 0;
	vv->started = true;
	vp->active = VTL2;
}

/* False when the thread shall end. */
static bool serve_requests(struct vp *vp)
{
	uint32_t requests = atomic_exchange(&vp->requests, 0);

	if (requests & VP_REQUEST_DUMP)
		vp_dump(vp);
	if (requests & VP_REQUEST_STOP)
		return false;
	if (requests & VP_REQUEST_START)
		start_vtl2(vp);
	return true;
}

/* An IN or OUT of the host's own ports or of a device. */
static void port_exit(struct vp *vp, struct vp_vtl *vv)
{
	struct kvm_run *run = vv->vcpu.run;
	uint8_t *data = (uint8_t *)run + run->io.data_offset;
	bool out = run->io.direction == KVM_EXIT_IO_OUT;

	COUNT(vp->count.io);
	for (uint32_t i = 0; i < run->io.count; i++, data += run->io.size) {
		uint64_t value = 0;

		memcpy(&value, data, out ? run->io.size : 0);
		if (!io_port(vp, vv->vtl, run->io.port, out, run->io.size,
			     &value))
			COUNT(vp->count.unknown_io);
		if (!out)
			memcpy(data, &value, run->io.size);
	}
}

static void mmio_exit(struct vp *vp, struct vp_vtl *vv)
{
	struct kvm_run *run = vv->vcpu.run;
	uint64_t gpa = run->mmio.phys_addr;
	uint64_t value = 0;
	uint32_t size = run->mmio.len;

	COUNT(vp->count.mmio);
	memcpy(&value, run->mmio.data, run->mmio.is_write ? size : 0);
	if (vv->vtl == VTL2 && gpa >= LAPIC_BASE &&
	    gpa - LAPIC_BASE < LAPIC_SIZE) {
		uint64_t now = reference_time(vp->m);

		if (run->mmio.is_write)
			lapic_write(&vp->lapic, gpa & 0xff0, (uint32_t)value,
				    now);
		else
			value = lapic_read(&vp->lapic, gpa & 0xff0, now);
		run->cr8 = vp->lapic.tpr >> 4;
	} else if (!io_memory(vp, vv->vtl, gpa, run->mmio.is_write, size,
			      &value)) {
		COUNT(vp->count.unknown_io);
	}
	if (!run->mmio.is_write)
		memcpy(run->mmio.data, &value, size);
}

static void msr_exit(struct vp *vp, struct vp_vtl *vv, bool write)
{
	struct kvm_run *run = vv->vcpu.run;
	uint64_t value = write ? run->msr.data : 0;
	bool ok;

	COUNT(vp->count.msr);
	ok = write ? msr_write(vp, vv->vtl, run->msr.index, value) :
		     msr_read(vp, vv->vtl, run->msr.index, &value);
	if (!ok)
		COUNT(vp->count.unknown_msr);
	run->msr.error = !ok; /* #GP */
	run->msr.data = value;
}

/* The ports exist for the kernel of a VTL that has a hypercall page. */
static bool may_call(struct vp *vp, struct vp_vtl *vv)
{
	return (machine_view(vp->m, vv->vtl)->hypercall & HV_MSR_PAGE_ENABLE) &&
	       vv->vcpu.sregs->ss.dpl == 0;
}

bool vp_hypercall_exit(struct vp *vp, struct vp_vtl *vv)
{
	struct kvm_run *run = vv->vcpu.run;
	const struct kvm_regs *r = vv->vcpu.regs;
	uint32_t eax;
	uint64_t result;

	if ((run->io.port != HYPERCALL_PORT &&
	     run->io.port != HYPERCALL_PORT_RETURN) || run->io.count != 1 ||
	    !may_call(vp, vv))
		return false;
	if (run->io.port == HYPERCALL_PORT_RETURN) {
		if (vv->vtl != VTL2 || run->io.direction != KVM_EXIT_IO_OUT)
			return false;
		vtl_return(vp);
		return true;
	}
	if (run->io.direction != KVM_EXIT_IO_IN || run->io.size != 4)
		return false;
	COUNT(vp->count.hypercalls);
	result = hypercall(vp, vv->vtl, r->rcx, r->rdx, r->r8);
	if (result == HYPERCALL_INTERCEPTED)
		return true;
	eax = (uint32_t)(result & HV_RESULT_STATUS_MASK) |
	      (uint32_t)(result >> HV_RESULT_REPS_SHIFT) << 16;
	memcpy((uint8_t *)run + run->io.data_offset, &eax, sizeof(eax));
	return true;
}

static void crashed(struct vp *vp, struct vp_vtl *vv)
{
	vp_dump(vp);
	if (vv->vtl == VTL2)
		machine_stop(vp->m, VMM_VTL2_CRASHED,
			     "VTL2 of VP %u had a triple fault", vp->index);
	else
		machine_stop(vp->m, VMM_GUEST_CRASHED,
			     "the guest had a triple fault on VP %u",
			     vp->index);
}

/* Exits of VTL2, and of VTL0 when there is no VTL2. */
static void serve_exit(struct vp *vp, struct vp_vtl *vv, int ret)
{
	struct kvm_run *run = vv->vcpu.run;

	if (ret == -EINTR || ret == -EAGAIN) {
		COUNT(vp->count.spurious);
		return;
	}
	if (ret < 0) {
		vp_dump(vp);
		machine_stop(vp->m, VMM_HOST_CANNOT, "KVM_RUN of VP %u: %s",
			     vp->index, strerror(-ret));
		return;
	}
	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		if (!vp_hypercall_exit(vp, vv))
			port_exit(vp, vv);
		break;
	case KVM_EXIT_MMIO:
		mmio_exit(vp, vv);
		break;
	case KVM_EXIT_X86_RDMSR:
	case KVM_EXIT_X86_WRMSR:
		msr_exit(vp, vv, run->exit_reason == KVM_EXIT_X86_WRMSR);
		break;
	case KVM_EXIT_HLT:
		COUNT(vp->count.halts);
		vv->halted = true;
		break;
	case KVM_EXIT_IOAPIC_EOI:
		io_eoi(vp, run->eoi.vector);
		break;
	case KVM_EXIT_SET_TPR: /* the loop looks at CR8 anyway */
	case KVM_EXIT_IRQ_WINDOW_OPEN:
	case KVM_EXIT_INTR:
		break;
	case KVM_EXIT_SHUTDOWN:
		crashed(vp, vv);
		break;
	default:
		vp_dump(vp);
		machine_stop(vp->m, VMM_HOST_CANNOT,
			     "VP %u: unexpected KVM exit %u (suberror %u)",
			     vp->index, run->exit_reason,
			     run->internal.suberror);
	}
}

/* Takes VTL0's VP into VTL2 if something waits there. True: it did. */
static bool interrupt_vtl0(struct vp *vp)
{
	uint16_t sints;

	if (!vp->m->config.has_vtl2 || !vp_in(vp, VTL2)->started)
		return false;
	if (vp->deliverability >> HV_DELIVERABILITY_SINTS_SHIFT) {
		sints = synic_take_deliverable(vp_in(vp, VTL0));
		if (sints) {
			intercept_deliverable(vp, sints);
			return true;
		}
	}
	if (lapic_deliverable(&vp->lapic) < 0 &&
	    !lapic_nmi_pending(&vp->lapic))
		return false;
	if (timer_is_all(vp))
		COUNT(vp->count.entries_timer);
	vtl_enter(vp, HV_ENTRY_REASON_INTERRUPT, NULL);
	return true;
}

/* One pass of the drawing above. False when the thread shall end. */
static bool run_once(struct vp *vp)
{
	struct vp_vtl *vv = vp_in(vp, vp->active);
	struct kvm_run *run = vv->vcpu.run;
	uint64_t deadline;
	int ret = 0;

	if (atomic_load(&vp->requests) && !serve_requests(vp))
		return false;
	if (pause_stand(vp)) {
		park(vp, 0);
		return true;
	}
	ret = pause_take_time(vp);
	if (ret < 0) {
		machine_stop(vp->m, VMM_HOST_CANNOT, "VP %u has no time",
			     vp->index);
		return false;
	}
	deadline = timer_expire(vp);
	if (!vv->started || (vv->halted && !wakes(vp))) {
		park(vp, deadline);
		return true;
	}
	vv->halted = false;

	run->immediate_exit = 0;
	current_run = run;
	atomic_store(&vp->where, VP_GUEST);
	if (atomic_load(&vp->requests) ||
	    (vp->active == VTL0 && interrupt_vtl0(vp))) {
		atomic_store(&vp->where, VP_OUTSIDE);
		return true;
	}
	if (vp->active == VTL2)
		ret = inject(vp);
	timer_arm(vp, deadline);
	if (ret == 0)
		ret = vcpu_run(&vv->vcpu);
	atomic_store(&vp->where, VP_OUTSIDE);
	COUNT(vp->count.exits);

	if (vp->active == VTL2) {
		take_optional_eoi(vp);
		vp->lapic.tpr = (uint32_t)(run->cr8 << 4) |
				(vp->lapic.tpr & 0xf);
	}
	if (vp->active == VTL0 && vp->m->config.has_vtl2)
		intercept_exit(vp, ret);
	else
		serve_exit(vp, vv, ret);
	return true;
}

static void *vp_thread(void *arg)
{
	struct vp *vp = arg;
	char name[16];

	snprintf(name, sizeof(name), "vp%u", vp->index);
	pthread_setname_np(pthread_self(), name);
	vp->thread = pthread_self();
	current_vp = vp;
	if (timer_create_vp(vp) < 0) {
		machine_stop(vp->m, VMM_HOST_CANNOT, "no timer for a VP");
		return NULL;
	}
	while (run_once(vp))
		;
	/* Late kicks must not find a vCPU that is being taken down. */
	atomic_store(&vp->where, VP_OUTSIDE);
	timer_delete(vp->timer);
	current_vp = NULL;
	return NULL;
}

int vp_start_thread(struct vp *vp)
{
	int error = pthread_create(&vp->thread, NULL, vp_thread, vp);

	if (error)
		fprintf(stderr, "vmm: pthread_create: %s\n", strerror(error));
	return -error;
}

static int create_vcpu(struct vp *vp, enum vtl vtl)
{
	struct machine *m = vp->m;
	struct vp_vtl *vv = vp_in(vp, vtl);
	struct kvm_cpuid2 *cpuid = cpuid_create(m, vp->index, vtl);
	int ret;

	if (!cpuid)
		return -ENOMEM;
	ret = vcpu_create(&vv->vcpu, &machine_view(m, vtl)->vm, m->kvm,
			  vp_apic_id(m, vp->index), cpuid, -vp->tsc_start);
	free(cpuid);
	if (ret < 0)
		return ret;
	if (vtl == VTL2) {
		/* Without an APIC in KVM nobody else sets this one. */
		vv->vcpu.sregs->apic_base =
			LAPIC_BASE | 1u << 11 | (vp->index ? 0 : 1u << 8);
		vcpu_dirty_sregs(&vv->vcpu);
		return 0;
	}
	/* VTL0's APs wait for INIT and SIPI, in KVM. */
	vv->started = true;
	return vcpu_set_mp_state(&vv->vcpu,
				 vp->index ? KVM_MP_STATE_UNINITIALIZED :
					     KVM_MP_STATE_RUNNABLE);
}

int vp_create(struct vp *vp, struct machine *m, unsigned int index)
{
	int ret;

	vp->m = m;
	vp->index = index;
	vp->tsc_start = atomic_load(&m->tsc_start);
	vp->active = m->config.has_vtl2 ? VTL2 : VTL0;
	lapic_init(&vp->lapic, (uint8_t)vp_apic_id(m, index), send_ipi, vp);
	for (unsigned int i = 0; i < 2; i++) {
		vp->vtl[i].vp = vp;
		vp->vtl[i].vtl = i ? VTL2 : VTL0;
		vp->vtl[i].vcpu.fd = -1;
		synic_init(&vp->vtl[i].synic);
	}
	ret = create_vcpu(vp, VTL0);
	if (ret < 0 || !m->config.has_vtl2)
		return ret;
	ret = create_vcpu(vp, VTL2);
	if (ret < 0)
		return ret;
	vp_in(vp, VTL2)->started = index == 0;
	return 0;
}

void vp_destroy(struct vp *vp)
{
	for (unsigned int i = 0; i < 2; i++) {
		if (!vp->vtl[i].vp)
			continue;
		vcpu_destroy(&vp->vtl[i].vcpu);
		synic_destroy(&vp->vtl[i].synic);
	}
}
