// SPDX-License-Identifier: MIT
/*
 * String I/O and instructions on a device's registers, from a process of VTL0:
 * INS and OUTS at the second UART's scratch register, the rest at the I/O APIC,
 * through /dev/mem (iomem=relaxed). Each check says `io: ok NAME' or `io:
 * FAILED NAME'; the status is that of all.
 *
 * The index register is shared with the kernel, which sets it before each use;
 * no interrupt of the I/O APIC is being set up meanwhile.
 *
 * Ports come first. The nested lab's emulated CPU refuses port I/O of processes
 * from the moment on when KVM was told VTL0's segments anew, as every injected
 * page fault does: it takes a task register that is marked busy for a bad one.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#define SCRATCH 0x2ff
#define TRANSMIT 0x2f8
#define PM_CONTROL 0x404
#define PM_TIMER 0x408
#define PM_GLOBAL_RELEASE (1u << 2)

#define IOAPIC 0xfec00000
#define WINDOW 4 /* in words */
#define VERSION_INDEX 1u
#define VERSION 0x00170011u

static volatile uint32_t *ioapic;
static bool failed;
static sigjmp_buf fault;
static volatile bool expected;
static void *volatile fault_address;

static void check(bool good, const char *name)
{
	printf("io: %s %s\n", good ? "ok" : "FAILED", name);
	failed |= !good;
}

static void on_fault(int signal, siginfo_t *info, void *context)
{
	const ucontext_t *user = context;

	(void)signal;
	fault_address = info->si_addr;
	if (expected)
		siglongjmp(fault, 1);
	printf("io: FAILED at %#llx, exception %lld, error %#llx, CR2 %#llx\n",
	       user->uc_mcontext.gregs[REG_RIP],
	       user->uc_mcontext.gregs[REG_TRAPNO],
	       user->uc_mcontext.gregs[REG_ERR],
	       user->uc_mcontext.gregs[REG_CR2]);
	_exit(1);
}

/* What each leaves in the registers it moves. */
struct moved {
	uint64_t di, si, cx;
};

#define STRING(code, to, from, count, ax, port)                            \
	({                                                                 \
		struct moved m_ = { (uintptr_t)(to), (uintptr_t)(from),    \
				    (count) };                             \
		__asm__ volatile(code "; cld"                              \
				 : "+D"(m_.di), "+S"(m_.si), "+c"(m_.cx)   \
				 : "a"(ax), "d"(port)                        \
				 : "cc", "memory");                        \
		m_;                                                        \
	})

static bool all_are(const uint8_t *bytes, size_t n, uint8_t value)
{
	for (size_t i = 0; i < n; i++)
		if (bytes[i] != value)
			return false;
	return true;
}

static void *pages(size_t n)
{
	return mmap(NULL, n * 4096, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void port_strings(void)
{
	static const char text[] = "sent by rep outsb, byte for byte\n";
	uint8_t *fresh = pages(3);
	uint32_t ticks[4];
	uint16_t words[2] = { 0xaa55, 0x1234 };
	struct moved m;

	memset(fresh, 0, 3 * 4096);
	m = STRING("rep outsb", 0, "abcde", 5, 0, SCRATCH);
	check(m.cx == 0 && inb(SCRATCH) == 'e', "rep outsb");
	m = STRING("std; rep outsb", 0, text + 3, 4, 0, SCRATCH);
	check(m.si == (uintptr_t)text - 1 && inb(SCRATCH) == 's',
	      "rep outsb, down");
	m = STRING("outsb", 0, text + 4, 9, 0, SCRATCH);
	check(m.si == (uintptr_t)text + 5 && m.cx == 9 && inb(SCRATCH) == ' ',
	      "outsb");
	outb('x', SCRATCH);
	m = STRING("insb", fresh, 0, 9, 0, SCRATCH);
	check(m.di == (uintptr_t)fresh + 1 && m.cx == 9 && fresh[0] == 'x',
	      "insb");
	m = STRING("rep insb", fresh + 4090, 0, 4200, 0, SCRATCH);
	check(m.di == (uintptr_t)fresh + 8290 && m.cx == 0 &&
		      all_are(fresh + 4090, 4200, 'x') && !fresh[8290] &&
		      !fresh[4089],
	      "rep insb over three pages");
	m = STRING("std; rep insb", fresh + 9, 0, 3, 0, SCRATCH);
	check(m.di == (uintptr_t)fresh + 6 && all_are(fresh + 7, 3, 'x') &&
		      !fresh[6] && !fresh[10],
	      "rep insb, down");
	STRING("rep insl", ticks, 0, 4, 0, PM_TIMER);
	check(ticks[1] - ticks[0] < 100000000 && ticks[3] > ticks[0],
	      "rep insl of the timer");
	STRING("rep outsw", 0, words, 2, 0, SCRATCH - 1);
	check(inb(SCRATCH) == 0x12, "rep outsw");
	STRING("rep outsb", 0, text, sizeof(text) - 1, 0, TRANSMIT);
}

static void port_fault(void)
{
	uint8_t *bad = pages(2);

	memset(bad, 0, 8192);
	mprotect(bad + 4096, 4096, PROT_READ);
	outb('y', SCRATCH);
	expected = true;
	if (!sigsetjmp(fault, 1)) {
		STRING("rep insb", bad + 4000, 0, 200, 0, SCRATCH);
		check(false, "rep insb to a read-only page");
	} else {
		check(fault_address == bad + 4096 &&
			      all_are(bad + 4000, 96, 'y') && !bad[4096],
		      "rep insb to a read-only page");
	}
	expected = false;
}

static void memory_strings(void)
{
	volatile uint32_t *window = ioapic + WINDOW;
	uint8_t *ram = pages(2);
	uint32_t word, index = VERSION_INDEX;
	struct moved m;

	*ioapic = 0;
	m = STRING("movsl", ioapic, &index, 7, 0, 0);
	check(*window == VERSION && m.cx == 7 &&
		      m.si == (uintptr_t)&index + 4,
	      "movsl to the device");
	m = STRING("rep movsl", &word, window, 1, 0, 0);
	check(word == VERSION && m.cx == 0, "rep movsl from the device");
	/* Neither page is there yet: two page faults of VTL0 first. */
	STRING("movsl", ram + 4094, window, 0, 0, 0);
	memcpy(&word, ram + 4094, 4);
	check(word == VERSION, "movsl across the end of a page");
	STRING("movsl", ioapic, window, 0, 0, 0);
	check(*ioapic == (VERSION & 0xff), "movsl from device to device");
	STRING("stosl", ioapic, 0, 0, VERSION_INDEX, 0);
	check(*window == VERSION, "stosl");
	m = STRING("repne scasl", window, 0, 5, VERSION, 0);
	check(m.cx == 4, "repne scasl");
	word = VERSION;
	m = STRING("repe cmpsl", window, &word, 1, 0, 0);
	check(m.cx == 0 && m.si == (uintptr_t)(&word + 1), "repe cmpsl");
	__asm__ volatile("lodsl" : "=a"(word) : "S"(window));
	check(word == VERSION, "lodsl");
}

static void locked(void)
{
	uint32_t eax = 7, ecx = 9;
	bool equal;

	*ioapic = 7;
	__asm__ volatile("lock cmpxchg %[c], %[m]"
			 : "+a"(eax), [m] "+m"(*ioapic), "=@ccz"(equal)
			 : [c] "r"(ecx));
	check(equal && *ioapic == 9, "lock cmpxchg, equal");
	__asm__ volatile("lock cmpxchg %[c], %[m]"
			 : "+a"(eax), [m] "+m"(*ioapic), "=@ccz"(equal)
			 : [c] "r"(ecx + 1));
	check(!equal && eax == 9 && *ioapic == 9, "lock cmpxchg, not equal");
	ecx = 4;
	__asm__ volatile("lock xadd %[c], %[m]"
			 : [c] "+r"(ecx), [m] "+m"(*ioapic) : : "cc");
	check(ecx == 9 && *ioapic == 13, "lock xadd");
	ecx = 2;
	__asm__ volatile("xchg %[c], %[m]" : [c] "+r"(ecx), [m] "+m"(*ioapic));
	check(ecx == 13 && *ioapic == 2, "xchg");
	__asm__ volatile("lock orl $0x18, %0" : "+m"(*ioapic) : : "cc");
	check(*ioapic == 0x1a, "lock or");
	/* Bit 2 of the word 16 words before the address. */
	__asm__ volatile("lock bts %[n], %[m]"
			 : [m] "+m"(ioapic[16]), "=@ccc"(equal)
			 : [n] "r"(2 - 16 * 32) : "memory");
	check(!equal && *ioapic == 0x1e, "lock bts with a register");
	__asm__ volatile("bt %[n], %[m]"
			 : "=@ccc"(equal)
			 : [n] "r"(4), [m] "m"(*ioapic));
	check(equal, "bt with a register");
	*ioapic = VERSION_INDEX;
	__asm__ volatile("movbe %[m], %[c]"
			 : [c] "=r"(ecx) : [m] "m"(ioapic[WINDOW]));
	check(ecx == __builtin_bswap32(VERSION), "movbe");
}

static void refused(void)
{
	expected = true;
	if (!sigsetjmp(fault, 1)) {
		__asm__ volatile("movups %0, %%xmm1"
				 : : "m"(*(const char(*)[16])(uintptr_t)ioapic)
				 : "xmm1");
		check(false, "a vector from a register is refused");
	} else {
		check(true, "a vector from a register is refused");
	}
	expected = false;
}

/* An SCI: the kernel handles the event of the global lock. */
static void raise_sci(void)
{
	outw(inw(PM_CONTROL) | PM_GLOBAL_RELEASE, PM_CONTROL);
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_sigaction = on_fault,
				    .sa_flags = SA_SIGINFO };
	int fd = open("/dev/mem", O_RDWR | O_SYNC);

	setvbuf(stdout, NULL, _IOLBF, 0);
	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
	ioapic = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		      IOAPIC);
	if (iopl(3) || ioapic == MAP_FAILED) {
		perror("io: iopl, /dev/mem");
		return 1;
	}
	if (argc > 1) {
		for (int i = 0; i < atoi(argv[1]); i++) {
			raise_sci();
			usleep(1000 * (i % 5 + 1));
		}
		return 0;
	}
	port_strings();
	raise_sci();
	port_fault();
	memory_strings();
	locked();
	refused();
	return failed;
}
