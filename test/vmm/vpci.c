// SPDX-License-Identifier: MIT
/*
 * Virtual PCI bus, theory of operation
 *
 * Owns the configuration space of its one function (slot 0), the window
 * through which a guest reaches it, and where the function's BARs are.
 *
 *	         version       D0 entry             D0 exit
 *	opened ----------> agreed -----> D0: window and BARs are there -----.
 *	                     ^                                              |
 *	                     `----------------------------------------------'
 *	closed from anywhere: as after power-up (vpci_reset)
 *
 * The window is where the guest says in its D0 entry; its accesses come as
 * MMIO on VPs' threads. A BAR is mapped while memory decoding is on and its
 * address is free; an address that is taken is as good as no address, as on a
 * bus where two devices drive the same line.
 *
 * Threads: messages come on the device thread, accesses on VPs' threads. The
 * lock covers configuration space and BARs. The window is added and removed
 * without it: removal waits for VPs that are inside the window, and those want
 * the lock.
 *
 * Failure answers: a message out of order gets a status; one that is too
 * short, or unknown, breaks the protocol, and the channel is closed for it.
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <pv/log.h>

#include "model/msix.h"
#include "vpci_bus.h"
#include "vpci_reg.h"

LOG_MODULE("vpci");

/* ---- what the function sees of the machine ---- */

static void *host_dma(void *opaque, uint64_t address, size_t size)
{
	struct vpci_bus *bus = opaque;

	if (!atomic_load(&bus->bus_master))
		return NULL;
	return machine_ram(bus->machine, bus->vtl, address, size);
}

static bool host_is_guest(void *opaque, uint64_t address, size_t size)
{
	struct vpci_bus *bus = opaque;

	return machine_ram(bus->machine, VTL0, address, size);
}

static void host_message(void *opaque, uint64_t address, uint32_t data)
{
	struct vpci_bus *bus = opaque;

	if (atomic_load(&bus->bus_master))
		msi_send(bus->msi, address, data);
}

/* ---- configuration space ---- */

static void unmap_bar(struct vpci_bus *bus, struct vpci_bar *bar)
{
	if (bar->mapped)
		machine_remove_mmio(bus->machine, bus->vtl, &bar->region);
	bar->mapped = false;
}

/* Moves a BAR to where configuration space says. */
static void map_bar(struct vpci_bus *bus, struct vpci_bar *bar)
{
	uint64_t base = pci_config_bar(&bus->config, bar->number);
	bool wanted = bar->region.size && pci_config_memory(&bus->config) &&
		      base;

	if (bar->mapped && wanted && bar->region.base == base)
		return;
	unmap_bar(bus, bar);
	if (!wanted || machine_ram(bus->machine, bus->vtl, base, 1))
		return;
	bar->region.base = base;
	bar->mapped = !machine_add_mmio(bus->machine, bus->vtl, &bar->region);
}

/* Does what the bits of configuration space mean now. */
static void apply_config(struct vpci_bus *bus)
{
	struct pci_function *f = bus->function;

	atomic_store(&bus->bus_master, pci_config_bus_master(&bus->config));
	for (unsigned int i = 0; i < VPCI_BARS; i++)
		map_bar(bus, &bus->bar[i]);
	msix_control(f->msix, &f->host, pci_config_msix_enabled(&bus->config),
		     pci_config_msix_masked(&bus->config));
}

static uint64_t window_read(void *opaque, uint64_t offset, unsigned int size)
{
	struct vpci_bus *bus = opaque;
	uint64_t value = UINT64_MAX;

	pthread_mutex_lock(&bus->lock);
	if (!offset && size == 4)
		value = bus->slot;
	else if (offset >= VPCI_WINDOW_CONFIG && bus->slot == VPCI_SLOT_0)
		value = pci_config_read(&bus->config,
					offset - VPCI_WINDOW_CONFIG, size);
	pthread_mutex_unlock(&bus->lock);
	return value;
}

static void window_write(void *opaque, uint64_t offset, unsigned int size,
			 uint64_t value)
{
	struct vpci_bus *bus = opaque;

	pthread_mutex_lock(&bus->lock);
	if (!offset && size == 4) {
		bus->slot = (uint32_t)value;
	} else if (offset >= VPCI_WINDOW_CONFIG && bus->slot == VPCI_SLOT_0) {
		pci_config_write(&bus->config, offset - VPCI_WINDOW_CONFIG,
				 size, (uint32_t)value);
		apply_config(bus);
	}
	pthread_mutex_unlock(&bus->lock);
}

static uint64_t bar_read(void *opaque, uint64_t offset, unsigned int size)
{
	struct vpci_bus *bus = opaque;

	return bus->function->ops->read(bus->function, offset, size);
}

static void bar_write(void *opaque, uint64_t offset, unsigned int size,
		      uint64_t value)
{
	struct vpci_bus *bus = opaque;

	bus->function->ops->write(bus->function, offset, size, value);
}

/* BAR 4: the table and the pending bits. */

static uint64_t msix_bar_read(void *opaque, uint64_t offset, unsigned int size)
{
	struct vpci_bus *bus = opaque;
	const struct pci_function *f = bus->function;

	if (offset >= f->msix_pending)
		return msix_read_pending(f->msix, offset - f->msix_pending,
					 size);
	return offset < f->msix_table ? 0 :
		msix_read(f->msix, offset - f->msix_table, size);
}

static void msix_bar_write(void *opaque, uint64_t offset, unsigned int size,
			   uint64_t value)
{
	struct vpci_bus *bus = opaque;
	const struct pci_function *f = bus->function;

	if (offset >= f->msix_table && offset < f->msix_pending)
		msix_write(f->msix, &f->host, offset - f->msix_table, size,
			   value);
}

/* ---- messages ---- */

/* One message, and what is wrong with it if anything is. */
struct exchange {
	struct vpci_bus *bus;
	const uint8_t *message;
	uint32_t size;
	struct vpci_answer *answer;
};

static void answer_data(struct exchange *x, const void *data, size_t size)
{
	x->answer->kind = VPCI_COMPLETION;
	x->answer->size = (uint32_t)size;
	memcpy(x->answer->data, data, size);
}

static void answer_status(struct exchange *x, uint32_t status)
{
	/* Linux takes no completion of less than 8 bytes. */
	le32 data[2] = { cpu_to_le32(status), cpu_to_le32(0) };

	answer_data(x, data, sizeof(data));
}

static void query_version(struct exchange *x)
{
	struct vpci_version_answer data = {
		.status = cpu_to_le32(VPCI_STATUS_REVISION_MISMATCH),
		.version = cpu_to_le32(VPCI_VERSION_1_4),
	};
	struct vpci_header in;
	uint32_t version;

	memcpy(&in, x->message, sizeof(in));
	version = le32_to_cpu(in.slot);
	if (version >= VPCI_VERSION_1_1 && version <= VPCI_VERSION_1_4) {
		x->bus->version = version;
		data.status = cpu_to_le32(VPCI_STATUS_SUCCESS);
		data.version = cpu_to_le32(version);
	}
	answer_data(x, &data, sizeof(data));
}

static void query_relations(struct exchange *x)
{
	const struct pci_function *f = x->bus->function;
	bool second = x->bus->version >= VPCI_VERSION_1_4;
	struct vpci_bus_relations data = {
		.type = cpu_to_le32(second ? VPCI_BUS_RELATIONS_2 :
					     VPCI_BUS_RELATIONS),
		.count = cpu_to_le32(1),
		.function = {
			.vendor = cpu_to_le16(f->vendor),
			.device = cpu_to_le16(f->device),
			.revision = f->revision,
			.interface = f->interface,
			.sub_class = f->sub_class,
			.base_class = f->base_class,
			.subsystem_vendor = cpu_to_le16(f->subsystem_vendor),
			.subsystem = cpu_to_le16(f->subsystem),
			.slot = cpu_to_le32(VPCI_SLOT_0),
		},
	};
	size_t size = sizeof(data);

	if (!second)
		size = offsetof(struct vpci_bus_relations, function) +
		       VPCI_FUNCTION_DESCRIPTION_1;
	answer_data(x, &data, size);
	x->answer->kind = VPCI_SEPARATE;
}

static void query_requirements(struct exchange *x)
{
	struct vpci_resource_answer data = { 0 };
	struct pci_config probe;

	pci_config_init(&probe, x->bus->function);
	for (unsigned int i = 0; i < 6; i++) {
		pci_config_write(&probe, 0x10 + 4 * i, 4, UINT32_MAX);
		data.bar[i] = cpu_to_le32(
			pci_config_read(&probe, 0x10 + 4 * i, 4));
	}
	answer_data(x, &data, sizeof(data));
}

static void d0_entry(struct exchange *x)
{
	struct vpci_bus *bus = x->bus;
	struct vpci_d0_entry in;
	uint64_t base;

	memcpy(&in, x->message, sizeof(in));
	base = le64_to_cpu(in.window);
	if (bus->in_d0) {
		answer_status(x, VPCI_STATUS_INVALID_STATE);
		return;
	}
	bus->window.base = base;
	if (base % 4096 || machine_ram(bus->machine, bus->vtl, base, 1) ||
	    machine_add_mmio(bus->machine, bus->vtl, &bus->window) < 0) {
		answer_status(x, VPCI_STATUS_INVALID_PARAMETER);
		return;
	}
	bus->in_d0 = true;
	answer_status(x, VPCI_STATUS_SUCCESS);
}

/* Window and BAR vanish; configuration space is as after power-up. */
static void leave_d0(struct vpci_bus *bus)
{
	if (!bus->in_d0)
		return;
	bus->in_d0 = false;
	machine_remove_mmio(bus->machine, bus->vtl, &bus->window);
	pthread_mutex_lock(&bus->lock);
	bus->slot = VPCI_SLOT_0;
	pci_config_init(&bus->config, bus->function);
	apply_config(bus);
	pthread_mutex_unlock(&bus->lock);
	bus->function->ops->reset(bus->function);
	msi_free_all(bus->msi, bus->device_id);
}

static void d0_exit(struct exchange *x)
{
	leave_d0(x->bus);
	answer_status(x, VPCI_STATUS_SUCCESS);
}

static void succeed(struct exchange *x)
{
	answer_status(x, x->bus->in_d0 ? VPCI_STATUS_SUCCESS :
					 VPCI_STATUS_INVALID_STATE);
}

static void ignore(struct exchange *x)
{
	(void)x;
}

static void create_interrupt(struct exchange *x, uint32_t vector,
			     uint32_t count, unsigned int vp)
{
	struct vpci_interrupt_answer data = { 0 };
	uint32_t status = VPCI_STATUS_SUCCESS, msi = 0;

	/* MSI-X is one message per interrupt; Linux's placeholder vector may
	 * be any, so 0 is as good as others until the retarget. */
	if (count != 1 || vector > 255) {
		status = VPCI_STATUS_INVALID_PARAMETER;
	} else {
		msi = msi_allocate(x->bus->msi, x->bus->device_id,
				   (uint8_t)vector, vp);
		if (!msi)
			status = VPCI_STATUS_NO_RESOURCES;
	}
	data.status = cpu_to_le32(status);
	data.interrupt.count = cpu_to_le16(msi ? 1 : 0);
	data.interrupt.data = cpu_to_le32(msi);
	data.interrupt.address = cpu_to_le64(MSI_ADDRESS);
	answer_data(x, &data, sizeof(data));
}

static void create_interrupt_1(struct exchange *x)
{
	struct vpci_create_interrupt in;
	uint64_t vps;

	memcpy(&in, x->message, sizeof(in));
	vps = le64_to_cpu(in.vps);
	create_interrupt(x, in.vector, le16_to_cpu(in.count),
			 vps ? (unsigned int)__builtin_ctzll(vps) : 0);
}

static void create_interrupt_2(struct exchange *x)
{
	struct vpci_create_interrupt_2 in;

	memcpy(&in, x->message, sizeof(in));
	create_interrupt(x, in.vector, le16_to_cpu(in.count),
			 le16_to_cpu(in.nr_vps) ? le16_to_cpu(in.vp[0]) : 0);
}

static void create_interrupt_3(struct exchange *x)
{
	struct vpci_create_interrupt_3 in;

	memcpy(&in, x->message, sizeof(in));
	create_interrupt(x, le32_to_cpu(in.vector), le16_to_cpu(in.count),
			 le16_to_cpu(in.nr_vps) ? le16_to_cpu(in.vp[0]) : 0);
}

static void delete_interrupt(struct exchange *x)
{
	struct vpci_delete_interrupt in;

	memcpy(&in, x->message, sizeof(in));
	msi_free(x->bus->msi, x->bus->device_id,
		 le32_to_cpu(in.interrupt.data));
}

static const struct {
	uint32_t type;
	uint32_t size; /* at least */
	uint32_t first, last; /* versions; 0: before one is agreed */
	void (*handle)(struct exchange *x);
} handlers[] = {
	{ VPCI_QUERY_PROTOCOL_VERSION, sizeof(struct vpci_header), 0,
	  UINT32_MAX, query_version },
	/* Linux sends the type alone. */
	{ VPCI_QUERY_BUS_RELATIONS, sizeof(le32), VPCI_VERSION_1_1, UINT32_MAX,
	  query_relations },
	{ VPCI_QUERY_RESOURCE_REQUIREMENTS, sizeof(struct vpci_header),
	  VPCI_VERSION_1_1, UINT32_MAX, query_requirements },
	{ VPCI_BUS_D0_ENTRY, sizeof(struct vpci_d0_entry), VPCI_VERSION_1_1,
	  UINT32_MAX, d0_entry },
	{ VPCI_BUS_D0_EXIT, sizeof(le32), VPCI_VERSION_1_1, UINT32_MAX,
	  d0_exit },
	{ VPCI_RESOURCES_ASSIGNED, sizeof(struct vpci_header),
	  VPCI_VERSION_1_1, VPCI_VERSION_1_1, succeed },
	{ VPCI_RESOURCES_ASSIGNED_2, sizeof(struct vpci_header),
	  VPCI_VERSION_1_2, UINT32_MAX, succeed },
	{ VPCI_RESOURCES_RELEASED, sizeof(struct vpci_header),
	  VPCI_VERSION_1_1, UINT32_MAX, ignore },
	{ VPCI_POWER_STATE_CHANGE, sizeof(struct vpci_header),
	  VPCI_VERSION_1_1, UINT32_MAX, succeed },
	{ VPCI_EJECTION_COMPLETE, sizeof(struct vpci_header),
	  VPCI_VERSION_1_1, UINT32_MAX, ignore },
	{ VPCI_CREATE_INTERRUPT, sizeof(struct vpci_create_interrupt),
	  VPCI_VERSION_1_1, VPCI_VERSION_1_1, create_interrupt_1 },
	{ VPCI_CREATE_INTERRUPT_2, sizeof(struct vpci_create_interrupt_2),
	  VPCI_VERSION_1_2, VPCI_VERSION_1_3, create_interrupt_2 },
	{ VPCI_CREATE_INTERRUPT_3, sizeof(struct vpci_create_interrupt_3),
	  VPCI_VERSION_1_4, UINT32_MAX, create_interrupt_3 },
	{ VPCI_DELETE_INTERRUPT, sizeof(struct vpci_delete_interrupt),
	  VPCI_VERSION_1_1, UINT32_MAX, delete_interrupt },
};

/* Messages for a slot that has no function change nothing. */
static bool slot_exists(const struct exchange *x, uint32_t type)
{
	struct vpci_header in;

	switch (type) {
	case VPCI_QUERY_RESOURCE_REQUIREMENTS:
	case VPCI_CREATE_INTERRUPT:
	case VPCI_CREATE_INTERRUPT_2:
	case VPCI_CREATE_INTERRUPT_3:
	case VPCI_DELETE_INTERRUPT:
		memcpy(&in, x->message, sizeof(in));
		return le32_to_cpu(in.slot) == VPCI_SLOT_0;
	default:
		return true;
	}
}

const char *vpci_message(struct vpci_bus *bus, const void *message,
			 uint32_t size, struct vpci_answer *answer,
			 uint32_t *offset, uint64_t *value)
{
	struct exchange x = { bus, message, size, answer };
	uint32_t type;
	le32 word;

	answer->kind = VPCI_NO_ANSWER;
	*offset = 0;
	*value = size;
	if (size < sizeof(word))
		return "a message has at least 4 bytes";
	memcpy(&word, message, sizeof(word));
	type = le32_to_cpu(word);
	*value = type;
	for (size_t i = 0; i < sizeof(handlers) / sizeof(handlers[0]); i++) {
		if (handlers[i].type != type)
			continue;
		if (bus->version < handlers[i].first ||
		    bus->version > handlers[i].last)
			return "this message is not of the agreed version";
		*value = size;
		if (size < handlers[i].size)
			return "the message is shorter than its structure";
		if (slot_exists(&x, type))
			handlers[i].handle(&x);
		else
			answer_status(&x, VPCI_STATUS_INVALID_PARAMETER);
		return NULL;
	}
	/* Blocks and the like: optional parts of the protocol. */
	log_warn_limited("message %#x is not supported", type);
	answer_status(&x, VPCI_STATUS_NOT_SUPPORTED);
	return NULL;
}

/* ---- life ---- */

void vpci_reset(struct vpci_bus *bus)
{
	leave_d0(bus);
	msi_free_all(bus->msi, bus->device_id);
	bus->version = 0;
}

struct vpci_bus *vpci_create(struct machine *m, enum vtl vtl,
			     struct msi_router *msi,
			     const struct guid *instance,
			     struct pci_function *function)
{
	struct vpci_bus *bus = calloc(1, sizeof(*bus));
	const uint8_t *b = instance->b;

	if (!bus)
		return NULL;
	bus->machine = m;
	bus->vtl = vtl;
	bus->msi = msi;
	bus->function = function;
	/* Function 0 of the device (TLFS, "Logical Device ID"). */
	bus->device_id = (uint64_t)b[5] << 24 | (uint64_t)b[4] << 16 |
			 (uint64_t)b[7] << 8 | (b[6] & 0xf8);
	pthread_mutex_init(&bus->lock, NULL);
	pci_config_init(&bus->config, function);
	bus->window = (struct io_region){
		.size = VPCI_WINDOW_SIZE,
		.name = "vpci window",
		.read = window_read,
		.write = window_write,
		.opaque = bus,
	};
	bus->bar[0].region = (struct io_region){
		.size = function->bar_size,
		.name = "vpci bar",
		.read = bar_read,
		.write = bar_write,
		.opaque = bus,
	};
	bus->bar[1].number = 4;
	bus->bar[1].region = (struct io_region){
		.size = function->msix_bar_size,
		.name = "vpci msix bar",
		.read = msix_bar_read,
		.write = msix_bar_write,
		.opaque = bus,
	};
	function->host = (struct pci_host){
		.dma = host_dma,
		.is_guest = host_is_guest,
		.message = host_message,
		.opaque = bus,
	};
	bus->device.interface = (struct guid)VPCI_INTERFACE;
	bus->device.instance = *instance;
	return bus;
}

void vpci_destroy(struct vpci_bus *bus)
{
	if (!bus)
		return;
	pthread_mutex_destroy(&bus->lock);
	free(bus);
}
