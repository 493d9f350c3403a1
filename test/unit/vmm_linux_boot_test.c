/* SPDX-License-Identifier: MIT */
/* SOURCES: test/vmm/linux_boot.c paravisor/boot_linux.c paravisor/acpi.c */
/* SOURCES: paravisor/guest_memory.c paravisor/log.c */
/*
 * Direct boot in vmm: where RAM goes, what the guest is given, what is refused.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include <hv_reg.h>
#include <linux_boot_reg.h>

#include "stderr_capture.h"
#include "test/vmm/linux_boot.h"

#define MIB (1ull << 20)
#define GIB (1ull << 30)
#define RAM_SIZE (32 * MIB)
#define SETUP_SIZE (5u * 512)
#define PAYLOAD_SIZE 4096u
#define LOAD_ADDRESS (16 * MIB)

static uint8_t *ram;
static uint8_t kernel_bytes[SETUP_SIZE + PAYLOAD_SIZE];
static uint8_t initrd_bytes[1000];
static struct input_file kernel, initrd;
static struct linux_boot boot;
static uint64_t rip, rsi;
static uint32_t refused_register;

/* What linux_boot.c needs of the machine: RAM and VP 0. */

void *machine_ram(struct machine *m, enum vtl vtl, uint64_t gpa, size_t size)
{
	(void)m;
	assert_int_equal(vtl, VTL0);
	return gpa <= RAM_SIZE && size <= RAM_SIZE - gpa ? ram + gpa : NULL;
}

int machine_set_boot_register(struct machine *m, enum vtl vtl, uint32_t name,
			      const struct hv_register_value *value)
{
	(void)m;
	assert_int_equal(vtl, VTL0);
	if (name == refused_register)
		return -EINVAL;
	if (name == HV_REG_RIP)
		rip = le64_to_cpu(value->low);
	if (name == HV_REG_RSI)
		rsi = le64_to_cpu(value->low);
	return 0;
}

static struct linux_setup_header *header(void)
{
	return (struct linux_setup_header *)(kernel_bytes +
					     LINUX_SETUP_HEADER_OFFSET);
}

static int setup(void **state)
{
	struct linux_setup_header *h = header();

	(void)state;
	if (!ram)
		ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(ram, MAP_FAILED);
	memset(ram, 0, RAM_SIZE);
	memset(kernel_bytes, 0x6b, sizeof(kernel_bytes));
	memset(initrd_bytes, 0x1d, sizeof(initrd_bytes));
	memset(h, 0, sizeof(*h));
	h->setup_sects = 4;
	h->syssize = cpu_to_le32(PAYLOAD_SIZE / 16);
	h->boot_flag = cpu_to_le16(LINUX_BOOT_FLAG);
	h->jump[1] = 0x6a;
	h->header = cpu_to_le32(LINUX_HEADER_MAGIC);
	h->version = cpu_to_le16(0x20f);
	h->loadflags = LINUX_LOADFLAGS_LOADED_HIGH;
	h->initrd_addr_max = cpu_to_le32(0x7fffffff);
	h->kernel_alignment = cpu_to_le32(0x200000);
	h->xloadflags = cpu_to_le16(LINUX_XLF_KERNEL_64);
	h->cmdline_size = cpu_to_le32(LINUX_COMMAND_LINE_MAX);
	h->pref_address = cpu_to_le64(LOAD_ADDRESS);
	h->init_size = cpu_to_le32(65536);
	kernel = (struct input_file){ .path = "k", .bytes = kernel_bytes,
				      .len = sizeof(kernel_bytes) };
	initrd = (struct input_file){ .path = "i", .bytes = initrd_bytes,
				      .len = sizeof(initrd_bytes) };
	boot = (struct linux_boot){ .kernel = &kernel, .initrd = &initrd,
				    .memory = RAM_SIZE, .vps = 2 };
	rip = rsi = 0;
	refused_register = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	linux_boot_free(&boot);
	return 0;
}

static void assert_ranges(uint64_t memory, uint64_t low, uint64_t high)
{
	boot.memory = memory;
	assert_int_equal(linux_boot_check(&boot), 0);
	assert_int_equal(boot.nr_ranges, high ? 2 : 1);
	assert_int_equal(boot.ranges[0].gpa, 0);
	assert_int_equal(boot.ranges[0].size, low);
	assert_int_equal(boot.ranges[0].vtl, VTL0);
	if (high) {
		assert_int_equal(boot.ranges[1].gpa, 4 * GIB);
		assert_int_equal(boot.ranges[1].size, high);
	}
	linux_boot_free(&boot);
}

/* Low RAM ends where the guest's MMIO begins. */
static void memory_has_a_hole(void **state)
{
	(void)state;
	assert_ranges(512 * MIB, 512 * MIB, 0);
	assert_ranges(4 * GIB - 128 * MIB, 4 * GIB - 128 * MIB, 0);
	assert_ranges(4 * GIB - 126 * MIB, 4 * GIB - 128 * MIB, 2 * MIB);
	assert_ranges(6 * GIB, 4 * GIB - 128 * MIB, 2 * GIB + 128 * MIB);
}

static void assert_command_line(const char *append, const char *vtl0_append,
				const char *expected)
{
	boot.append = append;
	boot.vtl0_append = vtl0_append;
	assert_int_equal(linux_boot_check(&boot), 0);
	assert_string_equal(boot.command_line, expected);
	linux_boot_free(&boot);
}

static void command_lines_are_joined(void **state)
{
	(void)state;
	assert_command_line(NULL, NULL, "");
	assert_command_line("a=1", NULL, "a=1");
	assert_command_line(NULL, "b", "b");
	assert_command_line("a=1", "b", "a=1 b");
	assert_command_line("", "b", "b");
}

static void assert_refused(int err, const char *text)
{
	const char *line;
	int result;

	capture_stderr();
	result = linux_boot_check(&boot);
	if (!result)
		result = linux_boot_place(&boot, NULL);
	line = captured_stderr();
	assert_int_equal(result, err);
	if (!is_one_line(line) || !strstr(line, text))
		fail_msg("expected one line with %s, got: %s", text, line);
	assert_int_equal(rip, 0);
	linux_boot_free(&boot);
}

static void long_command_line(void **state)
{
	static char half[1025];

	(void)state;
	memset(half, 'x', sizeof(half) - 2);
	boot.append = boot.vtl0_append = half;
	assert_int_equal(linux_boot_check(&boot), 0); /* 2047 */
	linux_boot_free(&boot);
	half[sizeof(half) - 2] = 'x';
	assert_refused(-E2BIG, "-c and --vtl0-append");
}

static void bad_kernels(void **state)
{
	(void)state;
	header()->boot_flag = cpu_to_le16(0);
	assert_refused(-ENOEXEC, "--vtl0-kernel k: boot_flag");
	setup(NULL);
	kernel.len = 600;
	assert_refused(-ENOEXEC, "--vtl0-kernel k: ");
	setup(NULL);
	boot.memory = 2 * MIB;
	assert_refused(-ENOSPC, "low memory ends at 0x200000");
	setup(NULL);
	boot.memory = 18 * MIB;
	assert_refused(-ENOSPC, "the initrd of 1000 bytes does not fit");
}

static void a_register_is_refused(void **state)
{
	(void)state;
	refused_register = HV_REG_CR3;
	assert_refused(-EINVAL, "register");
}

static bool contains(const uint8_t *at, size_t size, const void *what,
		     size_t len)
{
	return memmem(at, size, what, len);
}

/* Twice, as for a guest that starts again. */
static void placed(void **state)
{
	/* QWordMemory's minimum: VMBus MMIO above all RAM. */
	const le64 high_window = cpu_to_le64(0xfe0000000ull);
	const struct linux_boot_params *params;

	(void)state;
	boot.append = "console=ttyS0";
	assert_int_equal(linux_boot_check(&boot), 0);
	for (unsigned int start = 0; start < 2; start++) {
		memset(ram, 0, RAM_SIZE);
		rip = rsi = 0;
		assert_int_equal(linux_boot_place(&boot, NULL), 0);
		assert_int_equal(rip, LOAD_ADDRESS + LINUX_ENTRY_64_OFFSET);
		assert_true(rsi && rsi < RAM_SIZE);
		params = (const struct linux_boot_params *)(ram + rsi);
		assert_string_equal(
			ram + le32_to_cpu(params->hdr.cmd_line_ptr),
			"console=ttyS0");
		assert_memory_equal(
			ram + le32_to_cpu(params->hdr.ramdisk_image),
			initrd_bytes, sizeof(initrd_bytes));
		assert_memory_equal(ram + LOAD_ADDRESS,
				    kernel_bytes + SETUP_SIZE, PAYLOAD_SIZE);
		assert_memory_equal(ram + 0xe0000, "RSD PTR ", 8);
		assert_true(contains(ram + 0xe0000, 0x20000, "UAR1", 4));
		assert_true(contains(ram + 0xe0000, 0x20000, "UAR2", 4));
		assert_true(contains(ram + 0xe0000, 0x20000, &high_window,
				     sizeof(high_window)));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(memory_has_a_hole, setup,
						teardown),
		cmocka_unit_test_setup_teardown(command_lines_are_joined, setup,
						teardown),
		cmocka_unit_test_setup_teardown(long_command_line, setup,
						teardown),
		cmocka_unit_test_setup_teardown(bad_kernels, setup, teardown),
		cmocka_unit_test_setup_teardown(a_register_is_refused, setup,
						teardown),
		cmocka_unit_test_setup_teardown(placed, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
