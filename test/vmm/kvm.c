// SPDX-License-Identifier: MIT
/*
 * KVM: the ioctls.
 *
 * Owns the descriptors of VMs and vCPUs and nothing else. What differs between
 * the two VMs of a machine is decided in vm_create():
 *
 *	         VTL0                        VTL2
 *	APIC     KVM (split irqchip), so     ours (lapic.c), so that "may VTL2
 *	         IPIs and timers between     be interrupted now" is a look at our
 *	         VPs cost no exit            own memory while VTL0 runs
 *	HLT      in KVM                      exit, parked in vp.c
 *
 * In both, every MSR of Hyper-V's range leaves to user space, and so does one
 * KVM does not know.
 *
 * A failure is the host's and not the guest's: one line, -errno, and the
 * caller ends the machine. Threads: calls on a vCPU by its VP's thread only;
 * vm_signal_msi() by any.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hv_reg.h"
#include "kvm.h"

#define MSR_K7_HWCR 0xc0010015
#define HWCR_TSC_FREQUENCY_SELECT (1u << 24)

#define SVM_MSR_FIRST 0xc0010114u /* VM_CR to VM_HSAVE_PA */
#define SVM_MSR_COUNT 4u
#define TSS_ADDRESS 0xfffbd000u

static int failed(const char *what)
{
	int error = errno;

	fprintf(stderr, "vmm: KVM: %s: %s\n", what, strerror(error));
	return -error;
}

int kvm_open(void)
{
	static const struct {
		int cap;
		const char *name;
	} needs[] = {
		{ KVM_CAP_SPLIT_IRQCHIP, "SPLIT_IRQCHIP" },
		{ KVM_CAP_SIGNAL_MSI, "SIGNAL_MSI" },
		{ KVM_CAP_SYNC_REGS, "SYNC_REGS" },
		{ KVM_CAP_IMMEDIATE_EXIT, "IMMEDIATE_EXIT" },
		{ KVM_CAP_X86_USER_SPACE_MSR, "X86_USER_SPACE_MSR" },
		{ KVM_CAP_X86_MSR_FILTER, "X86_MSR_FILTER" },
		{ KVM_CAP_XSAVE, "XSAVE" },
		{ KVM_CAP_VCPU_EVENTS, "VCPU_EVENTS" },
		{ KVM_CAP_USER_NMI, "USER_NMI" },
		{ KVM_CAP_GET_TSC_KHZ, "GET_TSC_KHZ" },
	};
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return failed("/dev/kvm");
	if (ioctl(fd, KVM_GET_API_VERSION, 0) != KVM_API_VERSION) {
		fprintf(stderr, "vmm: KVM: not API version %d\n",
			KVM_API_VERSION);
		close(fd);
		return -ENOTSUP;
	}
	for (size_t i = 0; i < sizeof(needs) / sizeof(needs[0]); i++) {
		if (ioctl(fd, KVM_CHECK_EXTENSION, needs[i].cap) > 0)
			continue;
		fprintf(stderr, "vmm: KVM: capability %s is missing\n",
			needs[i].name);
		close(fd);
		return -ENOTSUP;
	}
	return fd;
}

/* An OUT leaves RIP alone, whatever its port. Old kernels have no choice. */
static void keep_rip(struct vm *vm)
{
	struct kvm_enable_cap cap = {
		.cap = KVM_CAP_DISABLE_QUIRKS2,
		.args = { KVM_X86_QUIRK_OUT_7E_INC_RIP },
	};

	ioctl(vm->fd, KVM_ENABLE_CAP, &cap);
}

/* All of Hyper-V's MSRs to user space, those of SVM, which is not offered, and
 * what KVM does not know. */
static int take_msrs(struct vm *vm)
{
	static uint8_t none_allowed[HV_MSR_COUNT / 8];
	struct kvm_enable_cap cap = {
		.cap = KVM_CAP_X86_USER_SPACE_MSR,
		.args = { KVM_MSR_EXIT_REASON_FILTER |
			  KVM_MSR_EXIT_REASON_UNKNOWN },
	};
	struct kvm_msr_filter filter = {
		.flags = KVM_MSR_FILTER_DEFAULT_ALLOW,
		.ranges[0] = {
			.flags = KVM_MSR_FILTER_READ | KVM_MSR_FILTER_WRITE,
			.base = HV_MSR_FIRST,
			.nmsrs = HV_MSR_COUNT,
			.bitmap = none_allowed,
		},
		.ranges[1] = {
			.flags = KVM_MSR_FILTER_READ | KVM_MSR_FILTER_WRITE,
			.base = SVM_MSR_FIRST,
			.nmsrs = SVM_MSR_COUNT,
			.bitmap = none_allowed,
		},
	};

	if (ioctl(vm->fd, KVM_ENABLE_CAP, &cap) < 0)
		return failed("KVM_CAP_X86_USER_SPACE_MSR");
	if (ioctl(vm->fd, KVM_X86_SET_MSR_FILTER, &filter) < 0)
		return failed("KVM_X86_SET_MSR_FILTER");
	return 0;
}

int vm_create(struct vm *vm, int kvm, bool irqchip)
{
	struct kvm_enable_cap split = {
		.cap = KVM_CAP_SPLIT_IRQCHIP,
		.args = { VM_ROUTES },
	};
	int ret;

	memset(vm, 0, sizeof(*vm));
	vm->irqchip = irqchip;
	vm->fd = ioctl(kvm, KVM_CREATE_VM, 0);
	if (vm->fd < 0)
		return failed("KVM_CREATE_VM");
	/* Needed on Intel only, and below 4 GiB where no RAM is. */
	if (ioctl(vm->fd, KVM_SET_TSS_ADDR, (long)TSS_ADDRESS) < 0) {
		ret = failed("KVM_SET_TSS_ADDR");
		goto out_close;
	}
	if (irqchip && ioctl(vm->fd, KVM_ENABLE_CAP, &split) < 0) {
		ret = failed("KVM_CAP_SPLIT_IRQCHIP");
		goto out_close;
	}
	keep_rip(vm);
	ret = take_msrs(vm);
	if (ret < 0)
		goto out_close;
	return 0;

out_close:
	vm_destroy(vm);
	return ret;
}

void vm_destroy(struct vm *vm)
{
	if (vm->fd >= 0)
		close(vm->fd);
	vm->fd = -1;
}

int vm_add_memory(struct vm *vm, uint64_t gpa, uint64_t size, void *host)
{
	struct kvm_userspace_memory_region region = {
		.slot = vm->slots,
		.guest_phys_addr = gpa,
		.memory_size = size,
		.userspace_addr = (uintptr_t)host,
	};

	if (ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &region) < 0)
		return failed("KVM_SET_USER_MEMORY_REGION");
	vm->slots++;
	return 0;
}

int vm_signal_msi(struct vm *vm, uint64_t address, uint32_t data)
{
	struct kvm_msi msi = {
		.address_lo = (uint32_t)address,
		.address_hi = (uint32_t)(address >> 32),
		.data = data,
	};

	if (ioctl(vm->fd, KVM_SIGNAL_MSI, &msi) < 0)
		return failed("KVM_SIGNAL_MSI");
	return 0;
}

int vm_route_level(struct vm *vm, uint64_t address, uint32_t data)
{
	struct {
		struct kvm_irq_routing head;
		struct kvm_irq_routing_entry entries[VM_ROUTES];
	} table;
	struct kvm_irq_routing_entry *e;
	unsigned int i;

	for (i = 0; i < vm->nr_routes; i++) {
		e = &vm->routes[i];
		if (e->u.msi.address_lo == (uint32_t)address &&
		    e->u.msi.address_hi == (uint32_t)(address >> 32) &&
		    e->u.msi.data == data)
			return 0;
	}
	/* A guest that re-points its pins for ever reuses the oldest. */
	if (vm->nr_routes == VM_ROUTES) {
		memmove(&vm->routes[0], &vm->routes[1],
			sizeof(vm->routes) - sizeof(vm->routes[0]));
		vm->nr_routes--;
	}
	e = &vm->routes[vm->nr_routes++];
	memset(e, 0, sizeof(*e));
	e->type = KVM_IRQ_ROUTING_MSI;
	e->u.msi.address_lo = (uint32_t)address;
	e->u.msi.address_hi = (uint32_t)(address >> 32);
	e->u.msi.data = data;
	for (i = 0; i < vm->nr_routes; i++)
		vm->routes[i].gsi = i;

	memset(&table, 0, sizeof(table));
	table.head.nr = vm->nr_routes;
	memcpy(table.entries, vm->routes,
	       vm->nr_routes * sizeof(vm->routes[0]));
	if (ioctl(vm->fd, KVM_SET_GSI_ROUTING, &table) < 0)
		return failed("KVM_SET_GSI_ROUTING");
	return 0;
}

int vcpu_ioctl(struct vcpu *vcpu, unsigned long request, void *arg,
	       const char *name)
{
	int ret = ioctl(vcpu->fd, request, arg);

	return ret < 0 ? failed(name) : ret;
}

/* Guest TSCs start at 0, the same on all vCPUs of both VMs. */
int vcpu_set_tsc_offset(struct vcpu *vcpu, uint64_t offset)
{
	struct kvm_device_attr attr = {
		.group = KVM_VCPU_TSC_CTRL,
		.attr = KVM_VCPU_TSC_OFFSET,
		.addr = (uintptr_t)&offset,
	};

	return vcpu_ioctl(vcpu, KVM_SET_DEVICE_ATTR, &attr,
			  "KVM_VCPU_TSC_OFFSET");
}

/*
 * A nested KVM whose hypervisor does not show it XSETBV keeps a wrong idea of
 * XCR0 and then of the XSAVE area's size; telling it the value that all
 * features need repairs that. On real hardware the guest's own XSETBV follows.
 */
static int set_xcr0(struct vcpu *vcpu, const struct kvm_cpuid2 *cpuid)
{
	struct kvm_xcrs xcrs = { .nr_xcrs = 1 };
	uint64_t all = 0;

	for (unsigned int i = 0; i < cpuid->nent; i++)
		if (cpuid->entries[i].function == 0xd &&
		    cpuid->entries[i].index == 0)
			all = cpuid->entries[i].eax;
	if (!(all & 1))
		return 0;
	xcrs.xcrs[0].value = all & 7; /* x87, SSE, AVX */
	return vcpu_ioctl(vcpu, KVM_SET_XCRS, &xcrs, "KVM_SET_XCRS");
}

int vcpu_create(struct vcpu *vcpu, struct vm *vm, int kvm, unsigned int id,
		const struct kvm_cpuid2 *cpuid, uint64_t tsc_offset)
{
	int size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	int ret;

	memset(vcpu, 0, sizeof(*vcpu));
	vcpu->fd = -1;
	if (size < 0)
		return failed("KVM_GET_VCPU_MMAP_SIZE");
	vcpu->fd = ioctl(vm->fd, KVM_CREATE_VCPU, (long)id);
	if (vcpu->fd < 0)
		return failed("KVM_CREATE_VCPU");
	vcpu->run_size = (size_t)size;
	vcpu->run = mmap(NULL, vcpu->run_size, PROT_READ | PROT_WRITE,
			 MAP_SHARED, vcpu->fd, 0);
	if (vcpu->run == MAP_FAILED) {
		vcpu->run = NULL;
		ret = failed("mmap of the run page");
		goto out_destroy;
	}
	vcpu->regs = &vcpu->run->s.regs.regs;
	vcpu->sregs = &vcpu->run->s.regs.sregs;
	vcpu->run->kvm_valid_regs = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS;

	ret = vcpu_ioctl(vcpu, KVM_SET_CPUID2, (void *)(uintptr_t)cpuid,
			 "KVM_SET_CPUID2");
	if (ret < 0)
		goto out_destroy;
	ret = vcpu_set_tsc_offset(vcpu, tsc_offset);
	if (ret < 0)
		goto out_destroy;
	/* An AMD kernel looks there whether its invariant TSC is to be
	 * believed. Elsewhere the register does not exist: no matter. */
	vcpu_set_msr(vcpu, MSR_K7_HWCR, HWCR_TSC_FREQUENCY_SELECT);
	ret = vm->irqchip ? set_xcr0(vcpu, cpuid) : 0;
	if (ret < 0)
		goto out_destroy;
	/* KVM fills the run page's copies only at the end of KVM_RUN. */
	ret = vcpu_ioctl(vcpu, KVM_GET_REGS, vcpu->regs, "KVM_GET_REGS");
	if (ret < 0)
		goto out_destroy;
	ret = vcpu_ioctl(vcpu, KVM_GET_SREGS, vcpu->sregs, "KVM_GET_SREGS");
	if (ret < 0)
		goto out_destroy;
	return 0;

out_destroy:
	vcpu_destroy(vcpu);
	return ret;
}

void vcpu_destroy(struct vcpu *vcpu)
{
	if (vcpu->run)
		munmap(vcpu->run, vcpu->run_size);
	vcpu->run = NULL;
	if (vcpu->fd >= 0)
		close(vcpu->fd);
	vcpu->fd = -1;
}

int vcpu_run(struct vcpu *vcpu)
{
	return ioctl(vcpu->fd, KVM_RUN, 0) < 0 ? -errno : 0;
}

int vcpu_interrupt(struct vcpu *vcpu, uint8_t vector)
{
	struct kvm_interrupt interrupt = { .irq = vector };

	return vcpu_ioctl(vcpu, KVM_INTERRUPT, &interrupt, "KVM_INTERRUPT");
}

int vcpu_nmi(struct vcpu *vcpu)
{
	return vcpu_ioctl(vcpu, KVM_NMI, NULL, "KVM_NMI");
}

int vcpu_get_msr(struct vcpu *vcpu, uint32_t index, uint64_t *value)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} msr = { .head.nmsrs = 1, .entry.index = index };

	if (ioctl(vcpu->fd, KVM_GET_MSRS, &msr) != 1)
		return -EINVAL;
	*value = msr.entry.data;
	return 0;
}

int vcpu_set_msr(struct vcpu *vcpu, uint32_t index, uint64_t value)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} msr = {
		.head.nmsrs = 1,
		.entry = { .index = index, .data = value },
	};

	return ioctl(vcpu->fd, KVM_SET_MSRS, &msr) == 1 ? 0 : -EINVAL;
}

int vcpu_get_mp_state(struct vcpu *vcpu, uint32_t *state)
{
	struct kvm_mp_state mp;
	int ret = vcpu_ioctl(vcpu, KVM_GET_MP_STATE, &mp, "KVM_GET_MP_STATE");

	if (ret < 0)
		return ret;
	*state = mp.mp_state;
	return 0;
}

int vcpu_set_mp_state(struct vcpu *vcpu, uint32_t state)
{
	struct kvm_mp_state mp = { .mp_state = state };

	return vcpu_ioctl(vcpu, KVM_SET_MP_STATE, &mp, "KVM_SET_MP_STATE");
}
