// SPDX-License-Identifier: MIT
/*
 * The boot shim's course: info page -> host's device tree -> kernel's device
 * tree, boot_params, command line -> Linux.
 *
 *	entered --> tree parsed --> tree written --> boot_params --> Linux
 *	   |             |               |               |
 *	   `-------------`---- fail -----`---------------'
 *
 * It runs once, on VP 0, with interrupts off, an empty IDT and page tables
 * that know VTL2's RAM only. It makes no hypercall: on a non-isolated host
 * nothing needs one before Linux. fail() writes the log, its last line says why,
 * to COM3, if a UART answers there, leaves it with the hypervisor as the crash's
 * message (TLFS, guest crash MSRs), and ends in a triple fault: the host sees
 * VTL2 crash. A good boot prints nothing: COM3's first line is Linux's.
 */
#include "shim.h"

#include "hv_reg.h"
#include "igvm_reg.h"

#define COM3 0x3e8u
#define UART_THR 0u /* 16550: transmitter holding register */
#define UART_LSR 5u /* 16550: line status register */
#define UART_LSR_THRE 0x20u
#define UART_ABSENT 0xffu /* what an unclaimed port reads as */
#define UART_SPINS 100000u

/* Too large for the stack; the loader gives them zeroed. */
static struct shim_log log;
static struct host_tree host;

static void outb(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static uint8_t inb(uint16_t port)
{
	uint8_t value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

/* Writes to a UART that may be absent or stuck: every wait is counted. */
static void com3_write(const char *text)
{
	uint32_t spins = 0;

	if (inb(COM3 + UART_LSR) == UART_ABSENT)
		return;
	for (; *text; text++) {
		while (!(inb(COM3 + UART_LSR) & UART_LSR_THRE)) {
			if (++spins == UART_SPINS)
				return;
		}
		if (*text == '\n')
			outb(COM3 + UART_THR, '\r');
		outb(COM3 + UART_THR, (uint8_t)*text);
	}
}

static void wrmsr(uint32_t msr, uint64_t value)
{
	__asm__ volatile("wrmsr" : : "c"(msr), "a"((uint32_t)value),
			 "d"((uint32_t)(value >> 32)));
}

/* A hypervisor that has no such MSRs makes it a triple fault, too. */
static void report_crash(const char *text, uint32_t len)
{
	wrmsr(HV_MSR_CRASH_P0 + 3, (uint64_t)(uintptr_t)text);
	wrmsr(HV_MSR_CRASH_P0 + 4, len);
	wrmsr(HV_MSR_CRASH_CTL, HV_CRASH_NOTIFY | HV_CRASH_NOTIFY_MESSAGE);
}

__attribute__((noreturn))
static void fail(const char *text, uint64_t value)
{
	shim_log_value(&log, text, value);
	com3_write(log.text);
	report_crash(log.text, log.len);
	for (;;)
		__asm__ volatile("ud2"); /* no IDT: a triple fault */
}

static void *at(struct shim_range range)
{
	return (void *)(uintptr_t)le64_to_cpu(range.gpa);
}

static struct host_range range_of(struct shim_range range)
{
	return (struct host_range){ le64_to_cpu(range.gpa),
				    le64_to_cpu(range.bytes), 0 };
}

/* NULL if the image has no such text. */
static const char *text_of(struct shim_range range)
{
	return range.bytes ? at(range) : NULL;
}

static void check_info(const struct shim_info *info)
{
	if (le64_to_cpu(info->magic) != SHIM_INFO_MAGIC)
		fail("info page has magic", le64_to_cpu(info->magic));
	if (le32_to_cpu(info->version) != SHIM_INFO_VERSION ||
	    le32_to_cpu(info->bytes) != sizeof(*info))
		fail("info page has version", le32_to_cpu(info->version));
}

/* Writes setup_data and the tree behind it; returns its address. */
static uint64_t write_tree(const struct shim_info *info,
			   const struct host_range *ram)
{
	struct kernel_tree_parts parts = {
		.vtl2_ram = *ram,
		.vtl0_kernel = range_of(info->vtl0_kernel),
		.vtl0_initrd = range_of(info->vtl0_initrd),
		.black_box = range_of(info->black_box),
		.vtl0_command_line = text_of(info->vtl0_command_line),
		.settings = text_of(info->settings),
		.log = log.text,
	};
	struct linux_setup_data *head = at(info->kernel_tree);
	uint32_t room = (uint32_t)le64_to_cpu(info->kernel_tree.bytes);
	int bytes;

	if (host.vtl0_kernel.bytes) {
		parts.vtl0_kernel = host.vtl0_kernel;
		parts.vtl0_initrd = host.vtl0_initrd;
	}
	if (host.settings)
		parts.settings = host.settings;
	bytes = kernel_tree_write(head + 1, room - (uint32_t)sizeof(*head),
				  &host, &parts);
	if (bytes < 0)
		fail("the kernel's device tree does not fit into bytes", room);
	head->next = cpu_to_le64(0);
	head->type = cpu_to_le32(LINUX_SETUP_DTB);
	head->len = cpu_to_le32((uint32_t)bytes);
	return (uint64_t)(uintptr_t)head;
}

void shim_main(const struct shim_info *info)
{
	uint64_t image = le64_to_cpu(info->ram.gpa);
	struct linux_boot_params *boot_params = at(info->boot_params);
	const struct host_range *ram;
	uint64_t setup_data;

	check_info(info);
	if (host_tree_parse(&host, at(info->host_tree),
			    (uint32_t)le64_to_cpu(info->host_tree.bytes)))
		fail(host.rule, host.value);
	shim_log_value(&log, "CPUs", host.cpu_count);
	ram = host_tree_vtl2_ram(&host, image, le64_to_cpu(info->ram.bytes));
	if (!ram)
		fail("no memory of type 3 holds the image at", image);
	shim_log_value(&log, "VTL2 RAM at", ram->gpa);
	shim_log_value(&log, "VTL2 RAM bytes", ram->bytes);
	shim_log_value(&log, "VTL2 vmbus connection",
		       host.vmbus_vtl2.connection_id);
	if (host.vtl0_kernel.bytes)
		shim_log_value(&log, "host gives a VTL0 kernel at",
			       host.vtl0_kernel.gpa);
	if (host.settings)
		shim_log_line(&log, "host gives settings");
	if (info->black_box.bytes)
		shim_log_value(&log, "black box at",
			       le64_to_cpu(info->black_box.gpa));
	if (command_line_append(at(info->command_line), IGVM_PAGE_SIZE,
				host.bootargs))
		fail("command line with /chosen bootargs is longer than",
		     LINUX_COMMAND_LINE_MAX);
	setup_data = write_tree(info, ram);
	boot_params_fill(boot_params, info, ram, setup_data);
	shim_enter(le64_to_cpu(info->kernel.gpa) + LINUX_ENTRY_64_OFFSET,
		   boot_params);
}
