// SPDX-License-Identifier: MIT
/*
 * The device tree of VTL2's Linux, written from what the shim knows.
 *
 *	/hypervisor, /cpus, /memory@A   Linux: CPUs (APIC ids); RAM for show,
 *	                                the E820 map counts
 *	/bus/vmbus                      Linux: exactly one, VTL2's; its ranges
 *	                                are the MMIO space of VPCI
 *	/reserved-memory/ramoops@A      Linux: where its last words go
 *	/paravisor                      the daemon, see include/vtl0_reg.h
 *
 * Linux takes the last vmbus node it meets, so that VTL0's must not be here.
 * Every libfdt call's result goes through struct writer: after the first
 * failure (no room) nothing is written any more, and the end says so.
 */
#include "shim.h"

#include <libfdt.h>

#include "blackbox_reg.h"
#include "igvm_reg.h"
#include "vtl0_reg.h"

#define RAMOOPS_CACHED 2u
#define UNIT_NAME_SIZE (16 + SHIM_HEX_SIZE)

struct writer {
	void *fdt;
	int rc; /* 0, or the first error */
};

static void note(struct writer *w, int rc)
{
	if (!w->rc)
		w->rc = rc;
}

static void begin(struct writer *w, const char *name)
{
	if (!w->rc)
		note(w, fdt_begin_node(w->fdt, name));
}

/* "NAME@ADDRESS" */
static void begin_unit(struct writer *w, const char *name, uint64_t address)
{
	char unit[UNIT_NAME_SIZE], *p = unit;

	while (*name && p < unit + 14)
		*p++ = *name++;
	*p++ = '@';
	shim_hex(p, address);
	begin(w, unit);
}

static void end(struct writer *w)
{
	if (!w->rc)
		note(w, fdt_end_node(w->fdt));
}

static void put_bytes(struct writer *w, const char *name, const void *bytes,
		      uint32_t len)
{
	if (!w->rc)
		note(w, fdt_property(w->fdt, name, bytes, (int)len));
}

static void put_flag(struct writer *w, const char *name)
{
	put_bytes(w, name, "", 0);
}

static void put_u32(struct writer *w, const char *name, uint32_t value)
{
	fdt32_t cell = cpu_to_fdt32(value);

	put_bytes(w, name, &cell, sizeof(cell));
}

static void put_text(struct writer *w, const char *name, const char *text)
{
	uint32_t len = 0;

	if (!text)
		return;
	while (text[len])
		len++;
	put_bytes(w, name, text, len + 1);
}

static void put_range(struct writer *w, const char *name, uint64_t gpa,
		      uint64_t bytes)
{
	fdt64_t cells[2] = { cpu_to_fdt64(gpa), cpu_to_fdt64(bytes) };

	put_bytes(w, name, cells, sizeof(cells));
}

static void put_cells(struct writer *w, uint32_t address, uint32_t size)
{
	put_u32(w, "#address-cells", address);
	put_u32(w, "#size-cells", size);
}

static void put_cpus(struct writer *w, const struct host_tree *host)
{
	begin(w, "cpus");
	put_cells(w, 1, 0);
	for (uint32_t i = 0; i < host->cpu_count; i++) {
		begin_unit(w, "cpu", host->cpu[i]);
		put_text(w, "device_type", "cpu");
		put_u32(w, "reg", host->cpu[i]);
		put_text(w, "status", "okay");
		end(w);
	}
	end(w);
}

static void put_memory(struct writer *w, const struct host_range *ram)
{
	begin_unit(w, "memory", ram->gpa);
	put_text(w, "device_type", "memory");
	put_range(w, "reg", ram->gpa, ram->bytes);
	end(w);
}

/* Linux Documentation/devicetree/bindings/reserved-memory/ramoops.yaml. The
 * zones are the black box's first sections (igvm/compose.c). */
static void put_ramoops(struct writer *w, const struct host_range *box)
{
	uint64_t gpa = box->gpa + BLACKBOX_PAGE;

	if (!box->bytes)
		return;
	begin(w, "reserved-memory");
	put_cells(w, 2, 2);
	put_flag(w, "ranges");
	begin_unit(w, "ramoops", gpa);
	put_text(w, "compatible", "ramoops");
	put_range(w, "reg", gpa, RAMOOPS_SIZE);
	put_u32(w, "record-size", RAMOOPS_DUMP_SIZE);
	put_u32(w, "console-size", RAMOOPS_CONSOLE_SIZE);
	put_u32(w, "mem-type", RAMOOPS_CACHED);
	end(w);
	end(w);
}

static void put_vmbus(struct writer *w, const struct host_vmbus *bus)
{
	fdt64_t cells[3 * HOST_MMIO_MAX];

	for (uint32_t i = 0; i < bus->mmio_count; i++) {
		cells[3 * i] = cpu_to_fdt64(bus->mmio[i].child);
		cells[3 * i + 1] = cpu_to_fdt64(bus->mmio[i].gpa);
		cells[3 * i + 2] = cpu_to_fdt64(bus->mmio[i].bytes);
	}
	begin(w, "bus");
	put_text(w, "compatible", "simple-bus");
	put_cells(w, 2, 2);
	put_flag(w, "ranges");
	begin(w, "vmbus");
	put_text(w, "compatible", "microsoft,vmbus");
	put_cells(w, 2, 2);
	put_flag(w, "dma-coherent");
	put_u32(w, "microsoft,vtl", 2);
	put_u32(w, "microsoft,message-connection-id", bus->connection_id);
	put_bytes(w, "ranges", cells,
		  bus->mmio_count * 3 * (uint32_t)sizeof(cells[0]));
	end(w);
	end(w);
}

static void put_vtl0_mmio(struct writer *w, const struct host_vmbus *bus)
{
	fdt64_t cells[2 * HOST_MMIO_MAX];

	for (uint32_t i = 0; i < bus->mmio_count; i++) {
		cells[2 * i] = cpu_to_fdt64(bus->mmio[i].gpa);
		cells[2 * i + 1] = cpu_to_fdt64(bus->mmio[i].bytes);
	}
	put_bytes(w, VTL0_PROP_MMIO, cells,
		  bus->mmio_count * 2 * (uint32_t)sizeof(cells[0]));
}

static void put_paravisor(struct writer *w, const struct host_tree *host,
			  const struct kernel_tree_parts *parts)
{
	begin(w, VTL0_NODE);
	put_cells(w, 2, 2);
	put_range(w, VTL0_PROP_VTL2_RAM, parts->vtl2_ram.gpa,
		  parts->vtl2_ram.bytes);
	put_vtl0_mmio(w, &host->vmbus_vtl0);
	if (parts->vtl0_kernel.bytes)
		put_range(w, VTL0_PROP_KERNEL, parts->vtl0_kernel.gpa,
			  parts->vtl0_kernel.bytes);
	if (parts->vtl0_initrd.bytes)
		put_range(w, VTL0_PROP_INITRD, parts->vtl0_initrd.gpa,
			  parts->vtl0_initrd.bytes);
	if (parts->black_box.bytes)
		put_range(w, VTL0_PROP_BLACK_BOX, parts->black_box.gpa,
			  parts->black_box.bytes);
	put_text(w, VTL0_PROP_COMMAND_LINE, parts->vtl0_command_line);
	put_text(w, VTL0_PROP_APPEND, host->vtl0_append);
	put_text(w, VTL0_PROP_SETTINGS, parts->settings);
	put_text(w, VTL0_PROP_SHIM_LOG, parts->log);
	for (uint32_t i = 0; i < host->memory_count; i++) {
		const struct host_range *m = &host->memory[i];

		if (m->type == IGVM_MEMORY_MAP_VTL2_PROTECTABLE)
			continue;
		begin_unit(w, "memory", m->gpa);
		put_range(w, "reg", m->gpa, m->bytes);
		put_u32(w, "microsoft,igvm-type", m->type);
		end(w);
	}
	end(w);
}

int kernel_tree_write(void *out, uint32_t bytes, const struct host_tree *host,
		      const struct kernel_tree_parts *parts)
{
	struct writer w = { out, 0 };

	note(&w, fdt_create(out, (int)bytes));
	if (!w.rc)
		note(&w, fdt_finish_reservemap(out));
	begin(&w, "");
	put_cells(&w, 2, 2);
	put_text(&w, "model", "microsoft,hyperv");
	put_text(&w, "compatible", "microsoft,hyperv");
	begin(&w, "hypervisor");
	put_text(&w, "compatible", "microsoft,hyperv");
	end(&w);
	put_cpus(&w, host);
	put_memory(&w, &parts->vtl2_ram);
	put_ramoops(&w, &parts->black_box);
	put_vmbus(&w, &host->vmbus_vtl2);
	put_paravisor(&w, host, parts);
	end(&w);
	if (!w.rc)
		note(&w, fdt_finish(out));
	return w.rc ? -1 : (int)fdt_totalsize(out);
}
