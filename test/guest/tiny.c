// SPDX-License-Identifier: MIT
/*
 * The tiny guest, theory of operation
 *
 * A kernel that runs test cases from below: what a guest kernel may say to its
 * hypervisor and paravisor, and what none should. It is loaded as a bzImage,
 * takes the machine as the boot protocol leaves it and prints TAP on COM1:
 *
 *	entry -> page tables, IDT, APIC -> ACPI -> Hyper-V -> cases -> S5
 *
 * How long the way to the cases took is the first line, "# up in N ms".
 * A test's name is the row of the requirements it shows. Words of the command
 * line:
 *
 *	cases=V-01,S-*		these rows only; a star at the end stands for
 *				any rest, a minus in front takes away; B-* (what
 *				things cost) and look-* (what is looked at from
 *				outside) run only when they are named
 *	repeat=N		each one so often
 *	times=1			how long each one took
 *	go=1			waits for a byte from COM1 first
 *	restart=1		after the cases the machine is reset, with the
 *				local APIC off; the second start runs none
 *	NAME=NUMBER		see option_number()
 *
 * Failure answers: a case that fails ends at its first failure, with one line
 * that says what was found and where; the VMBus connection is unloaded after
 * every case, so that the next one starts afresh. What the guest itself cannot
 * survive is "Bail out!", then power-off.
 */
#include <linux_boot_reg.h>

#include "tiny.h"
#include "tiny_hv.h"
#include "tiny_vmbus.h"

#define RAM_BASE 0x1000000u
#define RESET_PORT 0xcf9
#define RESET 6
#define MSR_APIC_BASE 0x1b
#define APIC_BASE_ENABLE (1ull << 11)
#define TIME_PER_MS (HV_REF_TIME_HZ / 1000)

/* Where the second start finds that it is one: RAM that no loader uses. */
#define RESTARTED ((volatile uint64_t *)0x90000)
#define RESTARTED_MAGIC 0x7265737461727432ull

void tiny_main(const struct linux_boot_params *bp, uint64_t entry_ticks);

static const struct tiny_case *const lists[] = {
	platform_cases, cpu_cases, vmbus_cases, feature_cases, ring_cases,
	scsi_cases, net_cases, isolation_cases, cost_cases, look_cases,
};
#define NR_LISTS (sizeof(lists) / sizeof(lists[0]))

static const char *command_line = "";
static bool failed;
static uint64_t next_page, last_page;
static uint64_t entered; /* reference time */
extern const uint8_t tiny_end[];

/* ---- bytes ---- */

void *memcpy(void *to, const void *from, size_t n)
{
	void *result = to;

	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n)
			 : : "memory");
	return result;
}

void *memset(void *to, int byte, size_t n)
{
	void *result = to;

	__asm__ volatile("rep stosb" : "+D"(to), "+c"(n) : "a"(byte)
			 : "memory");
	return result;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const uint8_t *x = a, *y = b;

	for (; n; n--, x++, y++)
		if (*x != *y)
			return *x - *y;
	return 0;
}

bool bytes_are(const void *at, uint8_t byte, size_t n)
{
	const uint8_t *b = at;

	while (n--)
		if (*b++ != byte)
			return false;
	return true;
}

/* ---- pages ---- */

void *pages(size_t n)
{
	void *at = (void *)next_page;

	if (n > (last_page - next_page) / TINY_PAGE) {
		print("Bail out! no %lu pages left\n", n);
		power_off();
	}
	next_page += n * TINY_PAGE;
	return memset(at, 0, n * TINY_PAGE);
}

uint64_t ram_end(void)
{
	return last_page;
}

/* The rest of the RAM range that we are in. */
static void find_ram(const struct linux_boot_params *bp)
{
	next_page = (uint64_t)tiny_end;
	for (unsigned int i = 0; i < bp->e820_entries; i++) {
		const struct linux_e820_entry *e = &bp->e820_table[i];
		uint64_t addr = le64_to_cpu(e->addr);
		uint64_t end = addr + le64_to_cpu(e->size);

		if (le32_to_cpu(e->type) == LINUX_E820_RAM &&
		    addr <= RAM_BASE && end > next_page)
			last_page = end & ~(uint64_t)(TINY_PAGE - 1);
	}
}

/* ---- command line ---- */

/* What stands behind `name` and '=' in the command line; NULL: nothing. */
static const char *option(const char *name)
{
	for (const char *at = command_line; *at;) {
		const char *word = at, *n = name;

		while (*n && *at == *n)
			at++, n++;
		if (!*n && *at == '=')
			return at + 1;
		for (at = word; *at && *at != ' ';)
			at++;
		while (*at == ' ')
			at++;
	}
	return NULL;
}

uint64_t option_number(const char *name, uint64_t otherwise)
{
	const char *at = option(name);
	uint64_t value = 0;
	unsigned int base = 10;

	if (!at)
		return otherwise;
	if (at[0] == '0' && at[1] == 'x') {
		base = 16;
		at += 2;
	}
	for (; *at && *at != ' '; at++)
		value = value * base +
			(uint64_t)(*at <= '9' ? *at - '0' : *at - 'a' + 10);
	return value;
}

/* Does the pattern up to ',' or ' ' match? */
static bool matches(const char *pattern, const char *id)
{
	while (*pattern == *id && *id)
		pattern++, id++;
	return *pattern == '*' ||
	       (!*id && (*pattern == ',' || *pattern == ' ' || !*pattern));
}

static bool chosen(const struct tiny_case *list, const char *id)
{
	const char *at = option("cases");
	bool yes = list != cost_cases && list != look_cases;

	if (!at)
		return yes;
	yes &= *at == '-';
	while (*at && *at != ' ') {
		bool take = *at != '-';

		if (matches(at + !take, id))
			yes = take;
		while (*at && *at != ' ' && *at++ != ',')
			;
	}
	return yes;
}

/* ---- cases ---- */

void case_failed(const char *file, int line, const char *what, uint64_t have,
		 uint64_t want)
{
	if (!failed)
		print("# %s:%d: %s: %#lx, not %#lx\n", file, line, what, have,
		      want);
	failed = true;
}

static void run(const struct tiny_case *c, unsigned int number)
{
	uint64_t mark = next_page, start;

	if (!c->run) {
		print("ok %u - %s %s # SKIP %s\n", number, c->id, c->text,
		      c->skip);
		return;
	}
	failed = false;
	start = hv_time();
	for (uint64_t n = option_number("repeat", 1); n && !failed; n--) {
		c->run();
		vmbus_reset();
		next_page = mark;
	}
	if (option_number("times", 0))
		print("# %lu ms\n", (hv_time() - start) / TIME_PER_MS);
	print("%sok %u - %s %s\n", failed ? "not " : "", number, c->id,
	      c->text);
}

static unsigned int for_all(bool running)
{
	unsigned int n = 0;

	for (size_t i = 0; i < NR_LISTS; i++)
		for (const struct tiny_case *c = lists[i]; c->id; c++)
			if (chosen(lists[i], c->id) && ++n && running)
				run(c, n);
	return n;
}

static void wait_for_go(void)
{
	if (!option_number("go", 0))
		return;
	print("# waiting\n");
	console_read();
}

static void run_all(void)
{
	uint64_t start, base;

	print("# up in %lu ms\n", (hv_time() - entered) / TIME_PER_MS);
	wait_for_go();
	start = hv_time();
	print("1..%u\n", for_all(false));
	for_all(true);
	print("# %lu ms\n", (hv_time() - start) / TIME_PER_MS);
	if (!option_number("restart", 0))
		return;
	*RESTARTED = RESTARTED_MAGIC;
	msr_read(MSR_APIC_BASE, &base);
	msr_write(MSR_APIC_BASE, base & ~APIC_BASE_ENABLE);
	outb(RESET_PORT, RESET);
	for (;;)
		relax();
}

static void second_start(void)
{
	uint64_t base;

	*RESTARTED = 0;
	if (!msr_read(MSR_APIC_BASE, &base) || !(base & APIC_BASE_ENABLE))
		print("Bail out! the local APIC is off after a reset\n");
	print("# second start\n");
	wait_for_go();
}

void tiny_main(const struct linux_boot_params *bp, uint64_t entry_ticks)
{
	uint64_t line = le32_to_cpu(bp->hdr.cmd_line_ptr);

	if (line)
		command_line = (const char *)line;
	find_ram(bp);
	cpu_init();
	entered = hv_time() -
		  (ticks() - entry_ticks) * TIME_PER_MS / ticks_per_ms();
	if (!acpi_init(le64_to_cpu(bp->acpi_rsdp_addr)))
		print("# no ACPI tables\n");
	if (*RESTARTED == RESTARTED_MAGIC) {
		second_start();
	} else if (!vps_start()) {
		print("Bail out! a VP did not start\n");
	} else if (!hv_init()) {
		print("Bail out! no hypervisor interface\n");
	} else {
		run_all();
	}
	power_off();
}
