/* SPDX-License-Identifier: MIT */
/*
 * The tiny guest: a kernel that is nothing but test cases.
 *
 * tiny.c has its theory of operation; the cases are in tiny_*_cases.c, one
 * file for each topic. What is declared here is the machine below them: VPs,
 * memory, console, ACPI. The hypervisor's interface is in tiny_hv.h, VMBus in
 * tiny_vmbus.h.
 *
 * All memory is mapped one to one, so that a pointer is a GPA. Everything
 * belongs to VP 0 unless it says otherwise; another VP runs only what
 * vp_run() gives it.
 */
#ifndef TEST_GUEST_TINY_H
#define TEST_GUEST_TINY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TINY_PAGE 4096u
#define TINY_MAX_VPS 16
#define TINY_STACK 16384u

/* ---- cases ---- */

struct tiny_case {
	const char *id;	   /* row of the list of requirements */
	const char *text;
	void (*run)(void); /* NULL: skipped */
	const char *skip;  /* why, and where it is shown instead */
};

/* One list per file, ended by an entry without id. */
extern const struct tiny_case platform_cases[], cpu_cases[], vmbus_cases[],
	feature_cases[], ring_cases[], scsi_cases[], net_cases[],
	isolation_cases[], cost_cases[], look_cases[];

/* Fails the running case; the first failure is printed. */
void case_failed(const char *file, int line, const char *what, uint64_t have,
		 uint64_t want);

/* End the calling function when they do not hold; for cases and for helpers
 * that return true when all went well. */
#define CHECK(condition)                                                    \
	do {                                                                \
		if (!(condition)) {                                         \
			case_failed(__FILE__, __LINE__, #condition, 0, 1);  \
			return;                                             \
		}                                                           \
	} while (0)
#define CHECK_IS(have, want)                                                \
	do {                                                                \
		uint64_t have_ = (have), want_ = (want);                    \
		if (have_ != want_) {                                       \
			case_failed(__FILE__, __LINE__, #have, have_,       \
				    want_);                                 \
			return;                                             \
		}                                                           \
	} while (0)
#define NEED(condition)                                                     \
	do {                                                                \
		if (!(condition)) {                                         \
			case_failed(__FILE__, __LINE__, #condition, 0, 1);  \
			return false;                                       \
		}                                                           \
	} while (0)

/* Value of NAME=NUMBER on the command line, decimal or 0x. */
uint64_t option_number(const char *name, uint64_t otherwise);

/* ---- console (tiny_console.c) ---- */

/* COM1, polled. %s %c %u %d %x with l, ll; %#x; no widths. */
void print(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Waits for a byte from COM1. */
char console_read(void);

/* ---- bytes ---- */

void *memcpy(void *to, const void *from, size_t n);
void *memset(void *to, int byte, size_t n);
int memcmp(const void *a, const void *b, size_t n);
/* All `n` bytes are `byte`. */
bool bytes_are(const void *at, uint8_t byte, size_t n);

/* Zeroed pages, one behind the other; they are free again after the case. */
void *pages(size_t n);
/* First address above the RAM that pages() hands out. */
uint64_t ram_end(void);

/* ---- CPU (tiny_cpu.c) ---- */

struct tiny_fault {
	int vector; /* -1: none */
	uint32_t error;
	uint64_t address; /* CR2 */
};

struct tiny_vp {
	uint32_t number; /* 0 boots, the others in the order of the MADT */
	uint32_t apic_id;
	uint64_t probed;   /* address being executed on trial */
	struct tiny_fault fault; /* the last that was caught */
	volatile bool up;
	void (*volatile work)(void);
	volatile uint64_t interrupts[256]; /* how many of each vector */
};

extern uint32_t nr_vps;
struct tiny_vp *this_vp(void);
struct tiny_vp *vp_at(uint32_t number);

void cpu_init(void);
/* Starts all VPs but this one; false: one did not come within a second. */
bool vps_start(void);
/* Runs `work` on another VP and waits. False: not done within `ms`. */
bool vp_run(uint32_t number, void (*work)(void), uint32_t ms);
/* The same without the wait, and the wait. */
void vp_begin(uint32_t number, void (*work)(void));
bool vp_done(uint32_t number, uint32_t ms);

#define IPI_VECTOR 0xf0
#define ICR_NMI (4u << 8)
#define ICR_INIT (5u << 8)
#define ICR_STARTUP (6u << 8)
#define ICR_ASSERT (1u << 14)
#define ICR_SELF (1u << 18)
void apic_send(uint32_t apic_id, uint32_t icr);
uint32_t apic_read(uint32_t offset);
void apic_write(uint32_t offset, uint32_t value);

/* Time: TSC ticks, and what `ms` from now is. */
uint64_t ticks(void);
uint64_t ticks_per_ms(void);
uint64_t deadline(uint32_t ms);
static inline bool passed(uint64_t when) { return ticks() >= when; }
static inline void relax(void) { __asm__ volatile("pause" ::: "memory"); }
void delay(uint32_t ms);

/* Each returns false if the instruction faulted: this_vp()->fault says how. */
bool msr_read(uint32_t msr, uint64_t *value);
bool msr_write(uint32_t msr, uint64_t value);
bool try_read(uint64_t address, uint64_t *value);
bool try_write(uint64_t address, uint64_t value);
bool try_execute(uint64_t address);

/* For others of the kind: follows the code of an asm, in which an instruction
 * 1: that may fault goes on at 2: then. */
#define RECOVERY                                                            \
	".pushsection .recovery,\"a\"\n\t.quad 1b, 2b\n\t.popsection\n"

/* Maps the 1 GiB around an address above 4 GiB one to one. */
void map_gib(uint64_t address);

struct cpuid {
	uint32_t eax, ebx, ecx, edx;
};
struct cpuid cpuid(uint32_t leaf, uint32_t index);

static inline void outb(uint16_t port, uint8_t v)
{
	__asm__ volatile("outb %0, %1" : : "a"(v), "Nd"(port) : "memory");
}

static inline uint8_t inb(uint16_t port)
{
	uint8_t v;

	__asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port) : "memory");
	return v;
}

static inline void outw(uint16_t port, uint16_t v)
{
	__asm__ volatile("outw %0, %1" : : "a"(v), "Nd"(port) : "memory");
}

static inline uint16_t inw(uint16_t port)
{
	uint16_t v;

	__asm__ volatile("inw %1, %0" : "=a"(v) : "Nd"(port) : "memory");
	return v;
}

static inline uint32_t inl(uint16_t port)
{
	uint32_t v;

	__asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port) : "memory");
	return v;
}

/* ---- ACPI (tiny_acpi.c) ---- */

/* Fills in the VPs and finds the power-management ports; false: no tables. */
bool acpi_init(uint64_t rsdp);
uint32_t acpi_timer(void); /* 3579545 Hz */
void power_off(void) __attribute__((noreturn));

#endif
