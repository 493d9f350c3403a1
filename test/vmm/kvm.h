/* SPDX-License-Identifier: MIT */
/*
 * KVM: one VM per virtual trust level, one vCPU per VP and VTL.
 *
 * Thin: it turns ioctls into calls that print one line and return -errno. All
 * vCPU calls are made by the thread of the VP (vp.c), never by another: KVM
 * would take the vCPU's lock and wait for its KVM_RUN to end.
 */
#ifndef VMM_KVM_H
#define VMM_KVM_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* MSI routes of the split irqchip: as many as an IOAPIC has pins. */
#define VM_ROUTES 24

struct vm {
	int fd;
	bool irqchip; /* local APICs in the kernel (VTL0) or ours (VTL2) */
	unsigned int slots;
	struct kvm_irq_routing_entry routes[VM_ROUTES];
	unsigned int nr_routes;
};

/*
 * `regs` and `sregs` are the vCPU's registers while it is outside of KVM_RUN;
 * who changes them calls vcpu_dirty_regs() or vcpu_dirty_sregs().
 */
struct vcpu {
	int fd;
	struct kvm_run *run;
	size_t run_size;
	struct kvm_regs *regs;
	struct kvm_sregs *sregs;
};

/* Opens KVM and checks for what we need. -errno after one line. */
int kvm_open(void);

/* `irqchip`: KVM's split irqchip; without, interrupts come by vcpu_interrupt()
 * and HLT exits. */
int vm_create(struct vm *vm, int kvm, bool irqchip);
void vm_destroy(struct vm *vm);

/* Backs [gpa, gpa + size) by host memory; `host` may be PROT_NONE memory, on
 * which an access ends KVM_RUN with -EFAULT before the instruction. */
int vm_add_memory(struct vm *vm, uint64_t gpa, uint64_t size, void *host);

/* Sends an MSI to the in-kernel local APICs. Any thread. */
int vm_signal_msi(struct vm *vm, uint64_t address, uint32_t data);
/* Makes the EOI of a level-triggered MSI exit. Caller's lock. */
int vm_route_level(struct vm *vm, uint64_t address, uint32_t data);

int vcpu_create(struct vcpu *vcpu, struct vm *vm, int kvm, unsigned int id,
		const struct kvm_cpuid2 *cpuid, uint64_t tsc_offset);
void vcpu_destroy(struct vcpu *vcpu);
/* Not while it is in KVM_RUN. */
int vcpu_set_tsc_offset(struct vcpu *vcpu, uint64_t offset);

/* KVM_RUN; 0, -EINTR, -EAGAIN, -EFAULT or another -errno. Silent. */
int vcpu_run(struct vcpu *vcpu);

/* Queues an interrupt; only if run->ready_for_interrupt_injection. */
int vcpu_interrupt(struct vcpu *vcpu, uint8_t vector);
int vcpu_nmi(struct vcpu *vcpu);

int vcpu_get_msr(struct vcpu *vcpu, uint32_t index, uint64_t *value);
int vcpu_set_msr(struct vcpu *vcpu, uint32_t index, uint64_t value);
int vcpu_get_mp_state(struct vcpu *vcpu, uint32_t *state);
int vcpu_set_mp_state(struct vcpu *vcpu, uint32_t state);

/* The ioctl as it is, with the one line on failure. */
int vcpu_ioctl(struct vcpu *vcpu, unsigned long request, void *arg,
	       const char *name);

static inline void vcpu_dirty_regs(struct vcpu *vcpu)
{
	vcpu->run->kvm_dirty_regs |= KVM_SYNC_X86_REGS;
}

static inline void vcpu_dirty_sregs(struct vcpu *vcpu)
{
	vcpu->run->kvm_dirty_regs |= KVM_SYNC_X86_SREGS;
}

#endif
