/* SPDX-License-Identifier: MIT */
/* SOURCES: test/vmm/vpci.c test/vmm/msi.c test/vmm/pci_config.c test/model/msix.c paravisor/log.c */
/*
 * The protocol of the virtual PCI bus, message by message, in the order in
 * which Linux sends them and in others; the window and the BAR as a VP would
 * access them. The machine is a list of regions and a note of interrupts.
 */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <hv_reg.h>

#include "test/model/msix.h"
#include "test/vmm/vpci.h"
#include "test/vmm/vpci_reg.h"

#define WINDOW 0xe00000000ull
#define BAR 0xe00010000ull
#define BAR_SIZE 0x4000ull
#define RAM_SIZE 0x100000ull
/* Bytes 4 and 5 of the instance are the domain. */
static const struct guid instance = GUID_INIT(0x11223344, 0x5566, 0x7788, 1, 2,
					      3, 4, 5, 6, 7, 8);
#define DEVICE_ID 0x55667788ull

static struct machine {
	struct io_region *regions;
	uint8_t ram[RAM_SIZE];
	uint16_t (*retarget)(void *opaque, uint64_t device, uint64_t address,
			     uint32_t data, uint32_t vector, uint64_t vps);
	void *retarget_opaque;
	unsigned int interrupts, last_vp;
	uint8_t last_vector;
} machine;

/* What the bus needs of the machine. */

void *machine_ram(struct machine *m, enum vtl vtl, uint64_t gpa, size_t size)
{
	if (gpa >= RAM_SIZE || size > RAM_SIZE - gpa)
		return NULL;
	/* The upper half is VTL2's. */
	if (vtl == VTL0 && gpa + size > RAM_SIZE / 2)
		return NULL;
	return m->ram + gpa;
}

int machine_add_mmio(struct machine *m, enum vtl vtl, struct io_region *r)
{
	assert_int_equal(vtl, VTL2);
	for (struct io_region *i = m->regions; i; i = i->next)
		if (r->base < i->base + i->size && i->base < r->base + r->size)
			return -EEXIST;
	r->next = m->regions;
	m->regions = r;
	return 0;
}

void machine_remove_mmio(struct machine *m, enum vtl vtl, struct io_region *r)
{
	struct io_region **at = &m->regions;

	assert_int_equal(vtl, VTL2);
	while (*at && *at != r)
		at = &(*at)->next;
	assert_non_null(*at);
	*at = r->next;
}

void machine_set_retarget(struct machine *m, enum vtl vtl,
			  uint16_t (*retarget)(void *opaque, uint64_t device,
					       uint64_t address, uint32_t data,
					       uint32_t vector, uint64_t vps),
			  void *opaque)
{
	(void)vtl;
	m->retarget = retarget;
	m->retarget_opaque = opaque;
}

void vp_interrupt(struct machine *m, enum vtl vtl, unsigned int vp,
		  uint8_t vector)
{
	assert_int_equal(vtl, VTL2);
	m->interrupts++;
	m->last_vp = vp;
	m->last_vector = vector;
}

/* A function with one register. */

static struct msix msix;
static uint64_t reg;
static unsigned int resets;

static uint64_t function_read(struct pci_function *f, uint64_t offset,
			      unsigned int size)
{
	(void)f;
	(void)size;
	return offset ? offset : reg;
}

static void function_write(struct pci_function *f, uint64_t offset,
			   unsigned int size, uint64_t value)
{
	if (offset >= 0x2000)
		msix_write(&msix, &f->host, offset - 0x2000, size, value);
	else if (!offset)
		reg = value;
}

static void function_reset(struct pci_function *f)
{
	(void)f;
	resets++;
	msix_reset(&msix);
}

static const struct pci_function_ops function_ops = {
	.read = function_read,
	.write = function_write,
	.reset = function_reset,
};

static struct pci_function function = {
	.ops = &function_ops,
	.vendor = 0x1234,
	.device = 0x5678,
	.revision = 9,
	.base_class = 1,
	.sub_class = 8,
	.interface = 2,
	.subsystem_vendor = 0xaaaa,
	.subsystem = 0xbbbb,
	.bar_size = BAR_SIZE,
	.msix = &msix,
	.vectors = 3,
	.msix_table = 0x2000,
	.msix_pending = 0x3000,
};

static struct msi_router *router;
static struct vpci_bus *bus;

/* The last exchange. */
static struct vpci_answer answer;
static uint32_t offset;
static uint64_t value;

static const char *send(const void *message, uint32_t size)
{
	return vpci_message(bus, message, size, &answer, &offset, &value);
}

static uint32_t word(unsigned int n)
{
	uint32_t w;

	memcpy(&w, answer.data + 4 * n, sizeof(w));
	return w;
}

/* A message of words; returns the status. */
static uint32_t ask(uint32_t type, uint32_t second, uint64_t rest)
{
	struct {
		uint32_t type, second;
		uint64_t rest;
	} message = { type, second, rest };

	assert_null(send(&message, sizeof(message)));
	assert_int_equal(answer.kind, VPCI_COMPLETION);
	assert_true(answer.size >= 8);
	return word(0);
}

static struct io_region *find(uint64_t address)
{
	struct io_region *r = machine.regions;

	while (r && (address < r->base || address - r->base >= r->size))
		r = r->next;
	return r;
}

static uint64_t load(uint64_t address, unsigned int size)
{
	struct io_region *r = find(address);

	assert_non_null(r);
	return r->read(r->opaque, address - r->base, size);
}

static void store(uint64_t address, unsigned int size, uint64_t v)
{
	struct io_region *r = find(address);

	assert_non_null(r);
	r->write(r->opaque, address - r->base, size, v);
}

#define CONFIG (WINDOW + VPCI_WINDOW_CONFIG)

static void agree(uint32_t version)
{
	assert_int_equal(ask(VPCI_QUERY_PROTOCOL_VERSION, version, 0), 0);
}

static void enter_d0(void)
{
	assert_int_equal(ask(VPCI_BUS_D0_ENTRY, 0, WINDOW), 0);
}

static void enable_bar(uint64_t base)
{
	store(CONFIG + 0x10, 4, (uint32_t)base);
	store(CONFIG + 0x14, 4, base >> 32);
	store(CONFIG + 4, 2, 6);
}

static int setup(void **state)
{
	(void)state;
	memset(&machine, 0, sizeof(machine));
	resets = 0;
	reg = 0;
	msix_init(&msix, function.vectors);
	router = msi_create(&machine, VTL2);
	bus = vpci_create(&machine, VTL2, router, &instance, &function);
	return !router || !bus;
}

static int teardown(void **state)
{
	(void)state;
	vpci_reset(bus);
	assert_null(machine.regions);
	vpci_destroy(bus);
	msi_destroy(router);
	msix_destroy(&msix);
	return 0;
}

/* ---- tests ---- */

static void test_versions(void **state)
{
	static const uint32_t good[] = { 0x10001, 0x10002, 0x10003, 0x10004 };
	static const uint32_t bad[] = { 0, 0x10000, 0x10005, 0x20000,
					0xffffffff };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(ask(VPCI_QUERY_PROTOCOL_VERSION, bad[i], 0),
				 VPCI_STATUS_REVISION_MISMATCH);
	/* Nothing is agreed yet. */
	assert_non_null(send(&(uint32_t){ VPCI_QUERY_BUS_RELATIONS }, 4));
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		agree(good[i]);
		assert_int_equal(word(1), good[i]);
	}
}

static void test_relations(void **state)
{
	uint32_t message = VPCI_QUERY_BUS_RELATIONS;

	(void)state;
	agree(VPCI_VERSION_1_4);
	assert_null(send(&message, sizeof(message)));
	assert_int_equal(answer.kind, VPCI_SEPARATE);
	assert_int_equal(answer.size, 36);
	assert_int_equal(word(0), VPCI_BUS_RELATIONS_2);
	assert_int_equal(word(1), 1);
	assert_int_equal(word(2), 0x56781234);
	assert_int_equal(word(3), 0x01080209);
	assert_int_equal(word(4), 0xbbbbaaaa);
	assert_int_equal(word(5), 0); /* slot */

	agree(VPCI_VERSION_1_3);
	assert_null(send(&message, sizeof(message)));
	assert_int_equal(word(0), VPCI_BUS_RELATIONS);
	assert_int_equal(answer.size, 28);
}

static void test_requirements(void **state)
{
	(void)state;
	agree(VPCI_VERSION_1_4);
	assert_int_equal(ask(VPCI_QUERY_RESOURCE_REQUIREMENTS, 0, 0), 0);
	assert_int_equal(answer.size, 28);
	assert_int_equal(word(1), 0xffffc004);
	assert_int_equal(word(2), 0xffffffff);
	assert_int_equal(word(3), 0);
	assert_int_equal(ask(VPCI_QUERY_RESOURCE_REQUIREMENTS, 1, 0),
			 VPCI_STATUS_INVALID_PARAMETER);
}

static void test_window(void **state)
{
	(void)state;
	agree(VPCI_VERSION_1_4);
	assert_null(find(WINDOW));
	enter_d0();
	assert_int_equal(ask(VPCI_BUS_D0_ENTRY, 0, WINDOW + 0x10000),
			 VPCI_STATUS_INVALID_STATE);
	store(WINDOW, 4, 0);
	assert_int_equal(load(CONFIG, 4), 0x56781234);
	assert_int_equal(load(CONFIG, 2), 0x1234);
	assert_int_equal(load(CONFIG + 0x0b, 1), 1);
	assert_int_equal(load(CONFIG + 0x34, 1), 0x40);
	assert_int_equal(load(CONFIG + 0x40, 4), 0x00020011);
	assert_int_equal(load(CONFIG + 0x44, 4), 0x2000);
	assert_int_equal(load(CONFIG + 0xffc, 4), 0);
	/* Read-only stays. */
	store(CONFIG, 4, 0);
	assert_int_equal(load(CONFIG, 4), 0x56781234);
	/* No such slot. */
	store(WINDOW, 4, 1);
	assert_int_equal(load(CONFIG, 4), UINT64_MAX);
	store(CONFIG + 4, 2, 6);
	store(WINDOW, 4, 0);
	assert_int_equal(load(CONFIG + 4, 2), 0);

	assert_int_equal(ask(VPCI_BUS_D0_EXIT, 0, 0), 0);
	assert_null(find(WINDOW));
	assert_int_equal(resets, 1);
	assert_int_equal(ask(VPCI_RESOURCES_ASSIGNED_2, 0, 0),
			 VPCI_STATUS_INVALID_STATE);
}

static void test_bad_windows(void **state)
{
	static const uint64_t bad[] = { WINDOW + 8, 0, RAM_SIZE - 4096 };
	struct io_region other = { .base = WINDOW + 0x1000, .size = 1 };

	(void)state;
	agree(VPCI_VERSION_1_4);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(ask(VPCI_BUS_D0_ENTRY, 0, bad[i]),
				 VPCI_STATUS_INVALID_PARAMETER);
	assert_int_equal(machine_add_mmio(&machine, VTL2, &other), 0);
	assert_int_equal(ask(VPCI_BUS_D0_ENTRY, 0, WINDOW),
			 VPCI_STATUS_INVALID_PARAMETER);
	machine_remove_mmio(&machine, VTL2, &other);
	enter_d0();
}

static void test_bar(void **state)
{
	struct io_region other = { .base = BAR, .size = 4 };

	(void)state;
	agree(VPCI_VERSION_1_4);
	enter_d0();
	/* Sizing. */
	store(CONFIG + 0x10, 4, UINT32_MAX);
	store(CONFIG + 0x14, 4, UINT32_MAX);
	assert_int_equal(load(CONFIG + 0x10, 4), 0xffffc004);
	assert_int_equal(load(CONFIG + 0x14, 4), 0xffffffff);
	assert_null(find(BAR));
	enable_bar(BAR);
	assert_int_equal(load(BAR + 8, 4), 8);
	store(BAR, 4, 42);
	assert_int_equal(reg, 42);
	/* Moved while it is on. */
	store(CONFIG + 0x10, 4, (BAR + BAR_SIZE) & UINT32_MAX);
	assert_null(find(BAR));
	assert_int_equal(load(BAR + BAR_SIZE, 4), 42);
	/* Onto the window, onto RAM: nowhere. */
	store(CONFIG + 0x10, 4, WINDOW & UINT32_MAX);
	assert_int_equal(load(CONFIG, 2), 0x1234);
	assert_null(find(BAR + BAR_SIZE));
	store(CONFIG + 4, 2, 0);
	store(CONFIG + 0x14, 4, 0);
	store(CONFIG + 0x10, 4, 0x8000);
	store(CONFIG + 4, 2, 2);
	assert_null(find(0x8000));
	/* Onto another device; free again when that is gone and it is asked. */
	assert_int_equal(machine_add_mmio(&machine, VTL2, &other), 0);
	enable_bar(BAR);
	assert_ptr_equal(find(BAR), &other);
	machine_remove_mmio(&machine, VTL2, &other);
	store(CONFIG + 4, 2, 6);
	assert_int_equal(load(BAR, 4), 42);
	store(CONFIG + 4, 2, 4);
	assert_null(find(BAR));
}

/* The address and data that were answered go into the table. */
static void program(unsigned int vector)
{
	uint64_t at = BAR + 0x2000 + 16 * vector;
	uint64_t address;

	memcpy(&address, answer.data + 16, sizeof(address));
	store(at, 4, (uint32_t)address);
	store(at + 4, 4, address >> 32);
	store(at + 8, 4, word(3));
	store(at + 12, 4, 0);
}

static struct vpci_create_interrupt_3 interrupt_3(unsigned int vector)
{
	return (struct vpci_create_interrupt_3){
		.header.type = cpu_to_le32(VPCI_CREATE_INTERRUPT_3),
		.vector = cpu_to_le32(vector),
		.count = cpu_to_le16(1),
		.nr_vps = cpu_to_le16(1),
		.vp = { cpu_to_le16(1) },
	};
}

static void test_interrupt(void **state)
{
	struct vpci_create_interrupt_3 in = interrupt_3(0xef);
	struct vpci_delete_interrupt gone = {
		.header.type = cpu_to_le32(VPCI_DELETE_INTERRUPT),
	};
	uint32_t data;

	(void)state;
	agree(VPCI_VERSION_1_4);
	enter_d0();
	enable_bar(BAR);
	assert_null(send(&in, sizeof(in)));
	assert_int_equal(answer.size, 24);
	assert_int_equal(word(0), 0);
	assert_int_equal(word(2), 1 << 16);
	program(2);
	data = word(3);
	/* MSI-X is still off. */
	msix_raise(&msix, &function.host, 2);
	assert_int_equal(machine.interrupts, 0);
	store(CONFIG + 0x42, 2, 0x8000);
	msix_raise(&msix, &function.host, 2);
	assert_int_equal(machine.interrupts, 1);
	assert_int_equal(machine.last_vector, 0xef);
	assert_int_equal(machine.last_vp, 1);

	assert_int_equal(machine.retarget(machine.retarget_opaque, DEVICE_ID,
					  MSI_ADDRESS, data, 0x41, 0xc),
			 HV_STATUS_SUCCESS);
	msix_raise(&msix, &function.host, 2);
	assert_int_equal(machine.last_vector, 0x41);
	assert_int_equal(machine.last_vp, 2);
	/* Others' pairs, wrong vectors. */
	assert_int_equal(machine.retarget(machine.retarget_opaque,
					  DEVICE_ID + 0x100, MSI_ADDRESS, data,
					  0x42, 1),
			 HV_STATUS_INVALID_PARAMETER);
	assert_int_equal(machine.retarget(machine.retarget_opaque, DEVICE_ID,
					  MSI_ADDRESS, data + 1, 0x42, 1),
			 HV_STATUS_INVALID_PARAMETER);
	assert_int_equal(machine.retarget(machine.retarget_opaque, DEVICE_ID,
					  MSI_ADDRESS, data, 15, 1),
			 HV_STATUS_INVALID_PARAMETER);
	assert_int_equal(machine.retarget(machine.retarget_opaque, DEVICE_ID,
					  0, data, 0x42, 1),
			 HV_STATUS_INVALID_PARAMETER);
	/* The function mask holds it back, and lets it go. */
	store(CONFIG + 0x42, 2, 0xc000);
	msix_raise(&msix, &function.host, 2);
	assert_int_equal(machine.interrupts, 2);
	store(CONFIG + 0x42, 2, 0x8000);
	assert_int_equal(machine.interrupts, 3);

	gone.interrupt.data = cpu_to_le32(data);
	assert_null(send(&gone, sizeof(gone)));
	assert_int_equal(answer.kind, VPCI_NO_ANSWER);
	msix_raise(&msix, &function.host, 2);
	assert_int_equal(machine.interrupts, 3);
	assert_int_equal(msi_strays(router), 1);
}

static void test_bus_master(void **state)
{
	(void)state;
	agree(VPCI_VERSION_1_4);
	enter_d0();
	assert_null(function.host.dma(function.host.opaque, 0, 16));
	store(CONFIG + 4, 2, 4);
	assert_ptr_equal(function.host.dma(function.host.opaque, 16, 16),
			 machine.ram + 16);
	assert_null(function.host.dma(function.host.opaque, RAM_SIZE - 8, 16));
	assert_true(function.host.is_guest(function.host.opaque, 0, 4096));
	assert_false(function.host.is_guest(function.host.opaque,
					    RAM_SIZE / 2, 4096));
}

static void test_old_interrupts(void **state)
{
	struct vpci_create_interrupt in1 = {
		.header.type = cpu_to_le32(VPCI_CREATE_INTERRUPT),
		.vector = 0x50,
		.count = cpu_to_le16(1),
		.vps = cpu_to_le64(8),
	};
	struct vpci_create_interrupt_2 in2 = {
		.header.type = cpu_to_le32(VPCI_CREATE_INTERRUPT_2),
		.vector = 0x51,
		.count = cpu_to_le16(1),
		.nr_vps = cpu_to_le16(1),
		.vp = { cpu_to_le16(2) },
	};
	struct vpci_create_interrupt_3 in3 = interrupt_3(0x52);

	(void)state;
	agree(VPCI_VERSION_1_1);
	assert_non_null(send(&in3, sizeof(in3)));
	assert_null(send(&in1, sizeof(in1)));
	assert_int_equal(word(0), 0);
	msi_send(router, MSI_ADDRESS, word(3));
	assert_int_equal(machine.last_vector, 0x50);
	assert_int_equal(machine.last_vp, 3);
	agree(VPCI_VERSION_1_2);
	assert_non_null(send(&in1, sizeof(in1)));
	assert_null(send(&in2, sizeof(in2)));
	msi_send(router, MSI_ADDRESS, word(3));
	assert_int_equal(machine.last_vector, 0x51);
	assert_int_equal(machine.last_vp, 2);
}

static void test_interrupt_limits(void **state)
{
	struct vpci_create_interrupt_3 in = interrupt_3(0x60);

	(void)state;
	agree(VPCI_VERSION_1_4);
	in.count = cpu_to_le16(2);
	assert_null(send(&in, sizeof(in)));
	assert_int_equal(word(0), VPCI_STATUS_INVALID_PARAMETER);
	in.count = cpu_to_le16(1);
	in.header.slot = cpu_to_le32(1);
	assert_null(send(&in, sizeof(in)));
	assert_int_equal(word(0), VPCI_STATUS_INVALID_PARAMETER);
	in.header.slot = cpu_to_le32(0);
	for (unsigned int i = 1; i < MSI_MAX; i++) {
		assert_null(send(&in, sizeof(in)));
		assert_int_equal(word(0), 0);
	}
	assert_null(send(&in, sizeof(in)));
	assert_int_equal(word(0), VPCI_STATUS_NO_RESOURCES);
	/* A closed channel gives everything back. */
	vpci_reset(bus);
	assert_non_null(send(&in, sizeof(in)));
	agree(VPCI_VERSION_1_4);
	assert_null(send(&in, sizeof(in)));
	assert_int_equal(word(0), 0);
}

/* Each message that has a structure, one byte short of it. */
static void test_short_messages(void **state)
{
	static const struct {
		uint32_t type, size, version;
	} messages[] = {
		{ VPCI_QUERY_PROTOCOL_VERSION, 8, VPCI_VERSION_1_4 },
		{ VPCI_QUERY_RESOURCE_REQUIREMENTS, 8, VPCI_VERSION_1_4 },
		{ VPCI_BUS_D0_ENTRY, 16, VPCI_VERSION_1_4 },
		{ VPCI_RESOURCES_ASSIGNED, 8, VPCI_VERSION_1_1 },
		{ VPCI_RESOURCES_ASSIGNED_2, 8, VPCI_VERSION_1_4 },
		{ VPCI_CREATE_INTERRUPT, 24, VPCI_VERSION_1_1 },
		{ VPCI_CREATE_INTERRUPT_2, 78, VPCI_VERSION_1_3 },
		{ VPCI_CREATE_INTERRUPT_3, 82, VPCI_VERSION_1_4 },
		{ VPCI_DELETE_INTERRUPT, 24, VPCI_VERSION_1_4 },
	};
	uint8_t message[128] = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
		agree(messages[i].version);
		memcpy(message, &messages[i].type, 4);
		assert_non_null(send(message, messages[i].size - 1));
		assert_int_equal(answer.kind, VPCI_NO_ANSWER);
		assert_int_equal(value, messages[i].size - 1);
	}
	assert_non_null(send(message, 3));
	assert_non_null(send(message, 0));
}

static void test_unknown_message(void **state)
{
	(void)state;
	agree(VPCI_VERSION_1_4);
	assert_int_equal(ask(VPCI_MESSAGE(9), 0, 0), VPCI_STATUS_NOT_SUPPORTED);
	assert_int_equal(ask(0, 0, 0), VPCI_STATUS_NOT_SUPPORTED);
}

/* A function whose MSI-X table has a BAR of its own, which the bus serves. */

#define MSIX_BAR (BAR + 0x8000)

static int setup_msix_bar(void **state)
{
	function.msix_bar_size = 0x1000;
	function.msix_table = 0;
	function.msix_pending = 0x800;
	return setup(state);
}

static int teardown_msix_bar(void **state)
{
	int err = teardown(state);

	function.msix_bar_size = 0;
	function.msix_table = 0x2000;
	function.msix_pending = 0x3000;
	return err;
}

static void test_msix_bar(void **state)
{
	struct vpci_create_interrupt_3 in = interrupt_3(0x30);

	(void)state;
	agree(VPCI_VERSION_1_4);
	assert_int_equal(ask(VPCI_QUERY_RESOURCE_REQUIREMENTS, 0, 0), 0);
	assert_int_equal(word(1), 0xffffc004);
	assert_int_equal(word(3), 0);
	assert_int_equal(word(5), 0xfffff004);
	assert_int_equal(word(6), 0xffffffff);
	enter_d0();
	assert_int_equal(load(CONFIG + 0x44, 4), 4);
	assert_int_equal(load(CONFIG + 0x48, 4), 0x804);
	store(CONFIG + 0x20, 4, MSIX_BAR & UINT32_MAX);
	store(CONFIG + 0x24, 4, MSIX_BAR >> 32);
	enable_bar(BAR);
	assert_ptr_not_equal(find(BAR), find(MSIX_BAR));
	assert_null(send(&in, sizeof(in)));
	store(MSIX_BAR + 16, 8, MSI_ADDRESS);
	store(MSIX_BAR + 24, 4, word(3));
	assert_int_equal(load(MSIX_BAR + 24, 4), word(3));
	store(CONFIG + 0x42, 2, 0x8000);
	/* Masked: pending, and sent later. */
	msix_raise(&msix, &function.host, 1);
	assert_int_equal(load(MSIX_BAR + 0x800, 8), 2);
	store(MSIX_BAR + 28, 4, 0);
	assert_int_equal(load(MSIX_BAR + 0x800, 8), 0);
	assert_int_equal(machine.interrupts, 1);
	/* The function's own BAR has none of it. */
	store(BAR, 4, 42);
	assert_int_equal(load(BAR, 4), 42);
	store(CONFIG + 4, 2, 0);
	assert_null(find(MSIX_BAR));
	assert_null(find(BAR));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_versions),
		TEST(test_relations),
		TEST(test_requirements),
		TEST(test_window),
		TEST(test_bad_windows),
		TEST(test_bar),
		TEST(test_interrupt),
		TEST(test_bus_master),
		TEST(test_old_interrupts),
		TEST(test_interrupt_limits),
		TEST(test_short_messages),
		TEST(test_unknown_message),
		cmocka_unit_test_setup_teardown(test_msix_bar, setup_msix_bar,
						teardown_msix_bar),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
