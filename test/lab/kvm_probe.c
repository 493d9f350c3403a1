/* SPDX-License-Identifier: MIT */
/*
 * Usable KVM: decided by running it.
 *
 * A device file that opens proves little: the processor may be emulated, the
 * module may lack a capability, a sandbox may refuse an ioctl. So this builds
 * in small what vmm needs and runs it: two VMs that share memory, two vCPUs
 * each in long mode, an MSR filter whose reads and writes come to user space,
 * the split interrupt controller with an MSI that wakes a halted vCPU, and a
 * memory slot without access rights behind which a store is reported as
 * EFAULT and can be repeated.
 *
 * Prints `usable', or one line with the first thing that failed. Status 0 or
 * 1. One thread; SIGALRM ends it after five seconds.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/kvm.h>

#define LIMIT_S 5
#define NR_VMS 2
#define NR_VPS 2
#define RAM_SIZE 0x400000u
#define CLOSED 0x200000u /* gpa of the slot without access rights */
#define PML4 0x1000u
#define PDPT 0x2000u
#define GDT 0x3000u
#define IDT 0x4000u
#define CODE 0x5000u
#define HANDLER 0x6000u
#define STACK_TOP 0x9000u
#define VECTOR 0x40
#define PROBE_MSR 0x40000000u
#define DONE_PORT 0x10
#define APIC_BASE_ENABLED_X2APIC 0xc00u
#define SPURIOUS_MSR 0x80fu

/*
 * Guest code, long mode, rbx = CLOSED:
 *
 *	mov  ecx, PROBE_MSR
 *	rdmsr                     ; exit: user space answers in eax
 *	add  eax, 1
 *	wrmsr                     ; exit: user space sees eax + 1
 *	mov  byte [rbx], 0x5a     ; EFAULT until the slot is opened
 *	mov  ecx, SPURIOUS_MSR
 *	mov  eax, 0x1ff
 *	xor  edx, edx
 *	wrmsr                     ; enables the local APIC
 *	out  DONE_PORT, al        ; exit: time to send the MSI
 *	sti
 *	hlt                       ; the handler below runs
 */
static const uint8_t code[] = {
	0xb9, 0x00, 0x00, 0x00, 0x40, 0x0f, 0x32, 0x83, 0xc0, 0x01,
	0x0f, 0x30, 0xc6, 0x03, 0x5a, 0xb9, 0x0f, 0x08, 0x00, 0x00,
	0xb8, 0xff, 0x01, 0x00, 0x00, 0x31, 0xd2, 0x0f, 0x30, 0xe6,
	DONE_PORT, 0xfb, 0xf4,
};
/* out DONE_PORT + 1, al */
static const uint8_t handler[] = { 0xe6, DONE_PORT + 1 };

struct vcpu {
	int fd;
	struct kvm_run *run;
};

static void __attribute__((noreturn, format(printf, 1, 2)))
unusable(const char *why, ...)
{
	int err = errno;
	va_list ap;

	va_start(ap, why);
	vprintf(why, ap);
	va_end(ap);
	if (err)
		printf(": %s", strerror(err));
	printf("\n");
	exit(1);
}

static int must_ioctl(int fd, unsigned long request, void *argument,
		      const char *name)
{
	int result = ioctl(fd, request, argument);

	if (result < 0)
		unusable("%s", name);
	return result;
}
#define IOCTL(fd, request, argument) \
	must_ioctl(fd, request, (void *)(uintptr_t)(argument), #request)

static void on_alarm(int signal)
{
	static const char line[] = "a vCPU did not get on within 5 s\n";

	(void)signal;
	if (write(1, line, sizeof(line) - 1) < 0)
		_exit(1);
	_exit(1);
}

static const struct {
	int number;
	const char *name;
} wanted[] = {
	{ KVM_CAP_X86_USER_SPACE_MSR, "KVM_CAP_X86_USER_SPACE_MSR" },
	{ KVM_CAP_X86_MSR_FILTER, "KVM_CAP_X86_MSR_FILTER" },
	{ KVM_CAP_SPLIT_IRQCHIP, "KVM_CAP_SPLIT_IRQCHIP" },
	{ KVM_CAP_SYNC_REGS, "KVM_CAP_SYNC_REGS" },
	{ KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT" },
	{ KVM_CAP_SIGNAL_MSI, "KVM_CAP_SIGNAL_MSI" },
	{ KVM_CAP_VCPU_ATTRIBUTES, "KVM_CAP_VCPU_ATTRIBUTES" },
};

static void put64(uint8_t *at, uint64_t value)
{
	memcpy(at, &value, sizeof(value));
}

/* Page tables mapping the first GiB to itself, a GDT, an IDT, the code. */
static void fill_memory(uint8_t *ram)
{
	uint64_t i;

	put64(ram + PML4, PDPT | 3);
	for (i = 0; i < 2; i++)
		put64(ram + PDPT + i * 8, i << 30 | 0x83);
	put64(ram + GDT + 8, 0x00af9b000000ffffull);
	put64(ram + GDT + 16, 0x00cf93000000ffffull);
	/* Interrupt gate: offset 15:0, selector 8, type 0xe present. */
	put64(ram + IDT + VECTOR * 16,
	      (HANDLER & 0xffff) | 8ull << 16 | 0x8eull << 40);
	memcpy(ram + CODE, code, sizeof(code));
	memcpy(ram + HANDLER, handler, sizeof(handler));
}

static int create_vm(int kvm, uint8_t *ram)
{
	static uint8_t none[0x20]; /* bit clear: comes to user space */
	struct kvm_enable_cap split = {
		.cap = KVM_CAP_SPLIT_IRQCHIP, .args = { 24 },
	};
	struct kvm_enable_cap msr = {
		.cap = KVM_CAP_X86_USER_SPACE_MSR,
		.args = { KVM_MSR_EXIT_REASON_FILTER |
			  KVM_MSR_EXIT_REASON_UNKNOWN },
	};
	struct kvm_msr_filter filter = {
		.flags = KVM_MSR_FILTER_DEFAULT_ALLOW,
		.ranges[0] = {
			.flags = KVM_MSR_FILTER_READ | KVM_MSR_FILTER_WRITE,
			.nmsrs = sizeof(none) * 8,
			.base = PROBE_MSR,
			.bitmap = none,
		},
	};
	struct kvm_userspace_memory_region slot = {
		.slot = 0,
		.memory_size = RAM_SIZE,
		.userspace_addr = (uintptr_t)ram,
	};
	int vm = IOCTL(kvm, KVM_CREATE_VM, 0);

	IOCTL(vm, KVM_ENABLE_CAP, &split);
	IOCTL(vm, KVM_ENABLE_CAP, &msr);
	IOCTL(vm, KVM_X86_SET_MSR_FILTER, &filter);
	IOCTL(vm, KVM_SET_USER_MEMORY_REGION, &slot);
	return vm;
}

static void set_long_mode(struct kvm_sregs *s)
{
	struct kvm_segment data = {
		.limit = 0xffffffff, .selector = 16, .type = 3, .present = 1,
		.db = 1, .s = 1, .g = 1,
	};

	s->cs = data;
	s->cs.selector = 8;
	s->cs.type = 11;
	s->cs.db = 0;
	s->cs.l = 1;
	s->ds = s->es = s->ss = s->fs = s->gs = data;
	s->gdt = (struct kvm_dtable){ .base = GDT, .limit = 23 };
	s->idt = (struct kvm_dtable){ .base = IDT, .limit = 0xfff };
	s->cr3 = PML4;
	s->cr4 = 1 << 5 | 1 << 9;                  /* PAE, OSFXSR */
	s->cr0 = 1u << 31 | 1 << 16 | 1 << 5 | 3;  /* PG WP NE MP PE */
	s->efer = 1 << 10 | 1 << 8;                /* LMA LME */
	s->apic_base |= APIC_BASE_ENABLED_X2APIC;
}

static struct vcpu create_vcpu(int kvm, int vm, unsigned int index)
{
	static union {
		struct kvm_cpuid2 head;
		uint8_t bytes[sizeof(struct kvm_cpuid2) +
			      256 * sizeof(struct kvm_cpuid_entry2)];
	} cpuid;
	struct kvm_regs regs = {
		.rip = CODE, .rsp = STACK_TOP - index * 0x800, .rbx = CLOSED,
		.rflags = 2,
	};
	struct kvm_mp_state runnable = { KVM_MP_STATE_RUNNABLE };
	struct kvm_sregs sregs;
	struct vcpu vcpu;
	int size = IOCTL(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);

	vcpu.fd = IOCTL(vm, KVM_CREATE_VCPU, index);
	vcpu.run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED,
			vcpu.fd, 0);
	if (vcpu.run == MAP_FAILED)
		unusable("mmap of a vCPU");
	cpuid.head.nent = 256;
	IOCTL(kvm, KVM_GET_SUPPORTED_CPUID, &cpuid);
	IOCTL(vcpu.fd, KVM_SET_CPUID2, &cpuid);
	IOCTL(vcpu.fd, KVM_GET_SREGS, &sregs);
	set_long_mode(&sregs);
	IOCTL(vcpu.fd, KVM_SET_SREGS, &sregs);
	IOCTL(vcpu.fd, KVM_SET_REGS, &regs);
	IOCTL(vcpu.fd, KVM_SET_MP_STATE, &runnable);
	return vcpu;
}

/* Runs until the next exit, which has to be `reason'. */
static void expect(struct vcpu *vcpu, uint32_t reason, const char *what)
{
	int err = ioctl(vcpu->fd, KVM_RUN, 0);

	if (err < 0)
		unusable("%s: KVM_RUN", what);
	errno = 0;
	if (vcpu->run->exit_reason != reason)
		unusable("%s: exit reason %u instead of %u", what,
			 vcpu->run->exit_reason, reason);
}

static void expect_port(struct vcpu *vcpu, unsigned int port, const char *what)
{
	expect(vcpu, KVM_EXIT_IO, what);
	if (vcpu->run->io.port != port)
		unusable("%s: port %#x instead of %#x", what,
			 vcpu->run->io.port, port);
}

static void probe_vcpu(int vm, struct vcpu *vcpu, unsigned int index,
		       uint8_t *closed)
{
	struct kvm_msi msi = {
		.address_lo = 0xfee00000u | index << 12, .data = VECTOR,
	};

	expect(vcpu, KVM_EXIT_X86_RDMSR, "filtered MSR read");
	vcpu->run->msr.data = 0x1234;
	expect(vcpu, KVM_EXIT_X86_WRMSR, "filtered MSR write");
	if ((uint32_t)vcpu->run->msr.data != 0x1235)
		unusable("filtered MSR: read answer did not arrive");
	if (mprotect(closed, RAM_SIZE - CLOSED, PROT_NONE) < 0)
		unusable("mprotect");
	if (ioctl(vcpu->fd, KVM_RUN, 0) == 0 || errno != EFAULT) {
		errno = 0;
		unusable("store behind PROT_NONE: not reported as EFAULT");
	}
	errno = 0;
	if (mprotect(closed, RAM_SIZE - CLOSED, PROT_READ | PROT_WRITE) < 0)
		unusable("mprotect");
	closed[0] = 0;
	expect_port(vcpu, DONE_PORT, "store after PROT_NONE");
	if (closed[0] != 0x5a)
		unusable("store after PROT_NONE: did not arrive");
	if (ioctl(vm, KVM_SIGNAL_MSI, &msi) <= 0)
		unusable("KVM_SIGNAL_MSI: not delivered");
	expect_port(vcpu, DONE_PORT + 1, "interrupt after hlt");
}

int main(void)
{
	int kvm, vm[NR_VMS];
	struct vcpu vcpu[NR_VMS][NR_VPS];
	unsigned int i, j;
	uint8_t *ram;

	signal(SIGALRM, on_alarm);
	alarm(LIMIT_S);
	kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (kvm < 0)
		unusable("/dev/kvm");
	if (ioctl(kvm, KVM_GET_API_VERSION, 0) != KVM_API_VERSION)
		unusable("/dev/kvm: API version");
	for (i = 0; i < sizeof(wanted) / sizeof(*wanted); i++) {
		errno = 0;
		if (ioctl(kvm, KVM_CHECK_EXTENSION, wanted[i].number) <= 0)
			unusable("KVM lacks %s", wanted[i].name);
	}
	ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (ram == MAP_FAILED)
		unusable("memory");
	fill_memory(ram);
	for (i = 0; i < NR_VMS; i++) {
		vm[i] = create_vm(kvm, ram);
		for (j = 0; j < NR_VPS; j++)
			vcpu[i][j] = create_vcpu(kvm, vm[i], j);
	}
	/* By turns, as a VP changes its trust level. */
	for (j = 0; j < NR_VPS; j++)
		for (i = 0; i < NR_VMS; i++)
			probe_vcpu(vm[i], &vcpu[i][j], j, ram + CLOSED);
	printf("usable\n");
	return 0;
}
