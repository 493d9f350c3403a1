/* SPDX-License-Identifier: MIT */
/*
 * Host device tree, theory of operation
 *
 * Writes the tree from front to back with libfdt's sequential interface; this
 * is the only file that knows libfdt. Every call's error is kept in `err` and
 * turns the calls behind it into nothing, so that the nodes below read like
 * the tree they make; the first error is looked at once, at the end. The only
 * one possible is that the buffer is full.
 *
 * Source of names and shapes: the Devicetree Specification 0.4 (cpus, memory,
 * chosen, simple-bus, ns16550), Linux
 * Documentation/devicetree/bindings/bus/microsoft,vmbus.yaml, and the parser
 * of OpenHCL's boot shim (openhcl/host_fdt_parser) for the rest.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <libfdt.h>

#include "host_tree.h"
#include "igvm/igvm_reg.h"
#include "memory_map.h"
#include "relay/vmbus_reg.h"
#include "vtl0_reg.h"

#define ENTROPY_SIZE 64
#define UART_PORTS 8
#define UART_IRQ 4
#define UART_BAUD 115200

/* Connections that the VMBus of a VTL posts its first message to. */
#define VMBUS_MESSAGE_CONNECTION_VTL0 1
#define VMBUS_MESSAGE_CONNECTION_VTL2 4

#define NUMA_NODE 0

struct writer {
	void *blob;
	int err; /* the first error of libfdt, or 0 */
};

static void keep(struct writer *w, int err)
{
	if (!w->err)
		w->err = err;
}

static void begin(struct writer *w, const char *name)
{
	keep(w, w->err ? 0 : fdt_begin_node(w->blob, name));
}

static void begin_at(struct writer *w, const char *name, uint64_t address)
{
	char full[64];

	snprintf(full, sizeof(full), "%s@%llx", name,
		 (unsigned long long)address);
	begin(w, full);
}

static void end(struct writer *w)
{
	keep(w, w->err ? 0 : fdt_end_node(w->blob));
}

static void bytes(struct writer *w, const char *name, const void *data,
		  size_t len)
{
	keep(w, w->err ? 0 : fdt_property(w->blob, name, data, (int)len));
}

static void text(struct writer *w, const char *name, const char *value)
{
	bytes(w, name, value, strlen(value) + 1);
}

static void u32(struct writer *w, const char *name, uint32_t value)
{
	keep(w, w->err ? 0 : fdt_property_u32(w->blob, name, value));
}

/* At most eight numbers of two cells each. */
static void u64s(struct writer *w, const char *name, const uint64_t *values,
		 size_t count)
{
	fdt64_t cells[8];

	for (size_t i = 0; i < count; i++)
		cells[i] = cpu_to_fdt64(values[i]);
	bytes(w, name, cells, count * sizeof(cells[0]));
}

static void cells(struct writer *w, uint32_t address, uint32_t size)
{
	u32(w, "#address-cells", address);
	u32(w, "#size-cells", size);
}

static void write_cpus(struct writer *w, const struct host_tree *tree)
{
	uint32_t step = tree->apic_id_step ? tree->apic_id_step : 1;

	begin(w, "cpus");
	cells(w, 1, 0);
	for (unsigned int vp = 0; vp < tree->vps; vp++) {
		begin_at(w, "cpu", vp * step);
		text(w, "device_type", "cpu");
		u32(w, "reg", vp * step);
		u32(w, "numa-node-id", NUMA_NODE);
		text(w, "status", "okay");
		end(w);
	}
	end(w);
}

static void write_memory(struct writer *w, const struct host_tree *tree)
{
	for (unsigned int i = 0; i < tree->nr_ranges; i++) {
		const struct memory_range *range = &tree->ranges[i];
		uint64_t reg[] = { range->gpa, range->size };

		begin_at(w, "memory", range->gpa);
		text(w, "device_type", "memory");
		u64s(w, "reg", reg, 2);
		u32(w, "numa-node-id", NUMA_NODE);
		u32(w, "microsoft,igvm-type",
		    range->vtl == VTL2 ? IGVM_MEMORY_MAP_VTL2_PROTECTABLE :
					 IGVM_MEMORY_MAP_MEMORY);
		end(w);
	}
}

/* `ranges`: child address, parent address, size; the bus maps one to one. */
static void write_vmbus(struct writer *w, const char *name, enum vtl vtl,
			uint32_t connection, const uint64_t *ranges,
			size_t count)
{
	begin_at(w, name, ranges[0]);
	cells(w, 2, 2);
	text(w, "compatible", "microsoft,vmbus");
	u64s(w, "ranges", ranges, count);
	u32(w, "microsoft,vtl", vtl);
	u32(w, "microsoft,message-connection-id", connection);
	end(w);
}

static void write_bus(struct writer *w, const struct host_tree *tree)
{
	static const uint64_t vtl0[] = {
		VTL0_MMIO_LOW_BASE,  VTL0_MMIO_LOW_BASE,  VTL0_MMIO_LOW_SIZE,
		VTL0_MMIO_HIGH_BASE, VTL0_MMIO_HIGH_BASE, VTL0_MMIO_HIGH_SIZE,
	};
	static const uint64_t vtl2[] = {
		VTL2_MMIO_BASE, VTL2_MMIO_BASE, VTL2_MMIO_SIZE,
	};

	begin(w, "bus");
	cells(w, 2, 2);
	text(w, "compatible", "simple-bus");
	bytes(w, "ranges", NULL, 0);
	write_vmbus(w, "vmbus-vtl0", VTL0, VMBUS_MESSAGE_CONNECTION_VTL0, vtl0,
		    6);
	write_vmbus(w, "vmbus-vtl2", VTL2,
		    tree->redirect ? VMBUS_REDIRECT_CONNECTION :
				     VMBUS_MESSAGE_CONNECTION_VTL2,
		    vtl2, 3);
	end(w);
}

static void write_console(struct writer *w)
{
	static const uint64_t reg[] = { HOST_TREE_COM3_PORT, UART_PORTS };
	static const uint64_t irq[] = { UART_IRQ };

	begin(w, "pio-bus");
	cells(w, 2, 2);
	text(w, "compatible", "x86-pio-bus");
	bytes(w, "ranges", NULL, 0);
	begin_at(w, "serial", HOST_TREE_COM3_PORT);
	text(w, "compatible", "ns16550");
	u32(w, "clock-frequency", 0);
	u32(w, "current-speed", UART_BAUD);
	u64s(w, "reg", reg, 2);
	u64s(w, "interrupts", irq, 1);
	end(w);
	end(w);
}

static void write_openhcl(struct writer *w, const uint8_t *entropy)
{
	begin(w, "openhcl");
	text(w, "memory-allocation-mode", "host");
	begin(w, "entropy");
	bytes(w, "reg", entropy, ENTROPY_SIZE);
	end(w);
	end(w);
}

static void vtl0_range(struct writer *w, const char *name,
		       const struct host_tree_range *range)
{
	uint64_t reg[] = { range->gpa, range->bytes };

	if (range->bytes)
		u64s(w, name, reg, 2);
}

static void write_vtl0(struct writer *w, const struct host_tree *tree)
{
	if (!tree->vtl0_kernel.bytes && !tree->vtl0_initrd.bytes &&
	    !tree->vtl0_append && !tree->settings)
		return;
	begin(w, VTL0_NODE);
	vtl0_range(w, VTL0_PROP_KERNEL, &tree->vtl0_kernel);
	vtl0_range(w, VTL0_PROP_INITRD, &tree->vtl0_initrd);
	if (tree->vtl0_append)
		text(w, VTL0_PROP_APPEND, tree->vtl0_append);
	if (tree->settings)
		text(w, VTL0_PROP_SETTINGS, tree->settings);
	end(w);
}

static void write_tree(struct writer *w, const struct host_tree *tree,
		       const uint8_t *entropy)
{
	begin(w, "");
	cells(w, 2, 2);
	text(w, "model", "microsoft,hyperv");
	write_cpus(w, tree);
	write_memory(w, tree);
	write_bus(w, tree);
	write_console(w);
	begin(w, "chosen");
	text(w, "bootargs", tree->bootargs ? tree->bootargs : "");
	end(w);
	write_openhcl(w, entropy);
	write_vtl0(w, tree);
	end(w);
}

int host_tree_build(const struct host_tree *tree, void **blob, size_t *len)
{
	uint8_t entropy[ENTROPY_SIZE];
	struct writer w = { 0 };

	if (getrandom(entropy, sizeof(entropy), 0) != sizeof(entropy))
		return -EIO;
	w.blob = calloc(1, HOST_TREE_MAX);
	if (!w.blob)
		return -ENOMEM;
	keep(&w, fdt_create(w.blob, HOST_TREE_MAX));
	keep(&w, w.err ? 0 : fdt_finish_reservemap(w.blob));
	write_tree(&w, tree, entropy);
	keep(&w, w.err ? 0 : fdt_finish(w.blob));
	if (w.err) {
		free(w.blob);
		return -E2BIG;
	}
	*blob = w.blob;
	*len = fdt_totalsize(w.blob);
	return 0;
}
