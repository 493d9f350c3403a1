// SPDX-License-Identifier: MIT
/*
 * The host's device tree, read with suspicion.
 *
 * libfdt checks the structure of the blob once (fdt_check_full); after that
 * its accessors stay inside. Then each part is read into struct host_tree and
 * held to a rule: counts have an upper bound, ranges are whole pages that end
 * inside the address space and share no byte, strings end where their property
 * does. The first broken rule ends the parsing. Nodes and properties that are
 * not known here are passed over: a host may say more than the shim asks.
 *
 *	/cpus/cpu@N                     device_type "cpu", reg = APIC id, status
 *	/memory@A                       reg, microsoft,igvm-type
 *	.../ compatible "microsoft,vmbus"  microsoft,vtl, ranges,
 *	                                microsoft,message-connection-id
 *	/chosen                         bootargs
 *	/paravisor                      see include/vtl0_reg.h
 */
#include "shim.h"

#include <libfdt.h>

#include "igvm_reg.h"
#include "vtl0_reg.h"

#define TREE_DEPTH_MAX 8

struct parse {
	struct host_tree *tree;
	const void *fdt;
};

static int refuse(struct parse *p, const char *rule, uint64_t value)
{
	p->tree->rule = rule;
	p->tree->value = value;
	return -1;
}

static bool overlap(uint64_t a, uint64_t a_bytes, uint64_t b, uint64_t b_bytes)
{
	return a < b ? b - a < a_bytes : a - b < b_bytes;
}

static bool text_equal(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return *a == *b;
}

/* Whether a property is there and is exactly this string. */
static bool is_string(struct parse *p, int node, const char *name,
		      const char *text)
{
	int len;
	const char *value = fdt_getprop(p->fdt, node, name, &len);

	return value && len > 0 && !value[len - 1] && text_equal(value, text);
}

/* A property of one cell; `missing` if it is not there, -1 if malformed. */
static int get_u32(struct parse *p, int node, const char *name,
		   uint32_t missing, uint32_t *value)
{
	int len;
	const fdt32_t *cell = fdt_getprop(p->fdt, node, name, &len);

	*value = missing;
	if (!cell)
		return 0;
	if (len != sizeof(*cell))
		return -1;
	*value = fdt32_ld(cell);
	return 0;
}

static bool has_cells(struct parse *p, int node, uint32_t address,
		      uint32_t size)
{
	uint32_t a, s;

	return !get_u32(p, node, "#address-cells", 2, &a) &&
	       !get_u32(p, node, "#size-cells", 1, &s) && a == address &&
	       s == size;
}

/* A string without control characters but white space, of which JSON has all
 * kinds; *text stays NULL if it is absent. */
static int get_text(struct parse *p, int node, const char *name,
		    uint32_t max, const char **text, const char *rule)
{
	int len;
	const char *value = fdt_getprop(p->fdt, node, name, &len);

	if (!value)
		return 0;
	if (len < 1 || (uint32_t)len > max || value[len - 1])
		return refuse(p, rule, (uint64_t)len);
	for (int i = 0; i < len - 1; i++) {
		if ((value[i] >= 0 && value[i] < ' ' && value[i] != '\n' &&
		     value[i] != '\r' && value[i] != '\t') ||
		    value[i] == 0x7f)
			return refuse(p, rule, (uint8_t)value[i]);
	}
	*text = value;
	return 0;
}

/* Whole pages, not none, inside the address space. */
static int check_range(struct parse *p, uint64_t gpa, uint64_t bytes,
		       const char *rule)
{
	uint64_t end;

	if (gpa % IGVM_PAGE_SIZE || bytes % IGVM_PAGE_SIZE || !bytes ||
	    __builtin_add_overflow(gpa, bytes, &end))
		return refuse(p, rule, gpa);
	return 0;
}

static int parse_cpu(struct parse *p, int node)
{
	struct host_tree *t = p->tree;
	uint32_t apic_id;

	if (!is_string(p, node, "device_type", "cpu"))
		return 0;
	if (fdt_getprop(p->fdt, node, "status", NULL) &&
	    !is_string(p, node, "status", "okay"))
		return 0;
	if (!fdt_getprop(p->fdt, node, "reg", NULL) ||
	    get_u32(p, node, "reg", 0, &apic_id))
		return refuse(p, "cpu reg is not one cell; CPU", t->cpu_count);
	if (t->cpu_count == HOST_CPUS_MAX)
		return refuse(p, "more CPUs than", HOST_CPUS_MAX);
	for (uint32_t i = 0; i < t->cpu_count; i++) {
		if (t->cpu[i] == apic_id)
			return refuse(p, "two CPUs have APIC id", apic_id);
	}
	t->cpu[t->cpu_count++] = apic_id;
	return 0;
}

static int parse_cpus(struct parse *p)
{
	int cpus = fdt_path_offset(p->fdt, "/cpus");
	int node;

	if (cpus < 0)
		return refuse(p, "no /cpus; libfdt", (uint64_t)-cpus);
	if (!has_cells(p, cpus, 1, 0))
		return refuse(p, "/cpus needs #address-cells 1, #size-cells", 0);
	fdt_for_each_subnode(node, p->fdt, cpus) {
		if (parse_cpu(p, node))
			return -1;
	}
	if (!p->tree->cpu_count)
		return refuse(p, "no usable CPU; seen", 0);
	return 0;
}

static int add_memory(struct parse *p, uint64_t gpa, uint64_t bytes,
		      uint32_t type)
{
	struct host_tree *t = p->tree;

	if (check_range(p, gpa, bytes, "memory is not whole pages at"))
		return -1;
	if (t->memory_count == HOST_MEMORY_MAX)
		return refuse(p, "more memory ranges than", HOST_MEMORY_MAX);
	for (uint32_t i = 0; i < t->memory_count; i++) {
		if (overlap(gpa, bytes, t->memory[i].gpa, t->memory[i].bytes))
			return refuse(p, "memory overlaps at", gpa);
	}
	t->memory[t->memory_count++] = (struct host_range){ gpa, bytes, type };
	return 0;
}

static int parse_memory(struct parse *p)
{
	int node;

	fdt_for_each_subnode(node, p->fdt, 0) {
		uint32_t type;
		const fdt64_t *reg;
		int len;

		if (!is_string(p, node, "device_type", "memory"))
			continue;
		reg = fdt_getprop(p->fdt, node, "reg", &len);
		if (!reg || len <= 0 || len % 16)
			return refuse(p, "memory reg has bad length",
				      (uint64_t)len);
		if (get_u32(p, node, "microsoft,igvm-type", 0, &type) ||
		    type > IGVM_MEMORY_MAP_HIDDEN)
			return refuse(p, "unknown microsoft,igvm-type", type);
		for (int i = 0; i < len / 16; i++) {
			if (add_memory(p, fdt64_ld(&reg[2 * i]),
				       fdt64_ld(&reg[2 * i + 1]), type))
				return -1;
		}
	}
	return 0;
}

static int parse_mmio(struct parse *p, int node, struct host_vmbus *bus)
{
	int len;
	const fdt64_t *cells = fdt_getprop(p->fdt, node, "ranges", &len);

	if (!cells || len % 24 || (uint32_t)len / 24 > HOST_MMIO_MAX)
		return refuse(p, "vmbus ranges has bad length", (uint64_t)len);
	for (int i = 0; i < len / 24; i++) {
		struct host_mmio m = { fdt64_ld(&cells[3 * i]),
				       fdt64_ld(&cells[3 * i + 1]),
				       fdt64_ld(&cells[3 * i + 2]) };

		if (check_range(p, m.gpa, m.bytes, "bad MMIO range at"))
			return -1;
		bus->mmio[bus->mmio_count++] = m;
	}
	return 0;
}

static int parse_vmbus(struct parse *p, int node)
{
	struct host_tree *t = p->tree;
	struct host_vmbus *bus;
	uint32_t vtl;

	if (!fdt_getprop(p->fdt, node, "microsoft,vtl", NULL) ||
	    get_u32(p, node, "microsoft,vtl", 0, &vtl))
		return refuse(p, "vmbus without microsoft,vtl at node",
			      (uint64_t)node);
	if (vtl && vtl != 2)
		return refuse(p, "vmbus of VTL", vtl);
	bus = vtl ? &t->vmbus_vtl2 : &t->vmbus_vtl0;
	if (bus->present)
		return refuse(p, "two vmbus nodes of VTL", vtl);
	bus->present = true;
	if (get_u32(p, node, "microsoft,message-connection-id", 0,
		    &bus->connection_id))
		return refuse(p, "vmbus connection id is not one cell; VTL",
			      vtl);
	return parse_mmio(p, node, bus);
}

static int parse_vmbus_nodes(struct parse *p)
{
	int node = -1;

	for (;;) {
		node = fdt_node_offset_by_compatible(p->fdt, node,
						     "microsoft,vmbus");
		if (node < 0)
			break;
		if (parse_vmbus(p, node))
			return -1;
	}
	if (!p->tree->vmbus_vtl2.present)
		return refuse(p, "no vmbus node of VTL", 2);
	return 0;
}

/* The MMIO ranges of both buses, counted through; NULL after the last. */
static const struct host_mmio *mmio_range(const struct host_tree *t, uint32_t i)
{
	const struct host_vmbus *low = &t->vmbus_vtl0, *high = &t->vmbus_vtl2;

	if (i < low->mmio_count)
		return &low->mmio[i];
	i -= low->mmio_count;
	return i < high->mmio_count ? &high->mmio[i] : NULL;
}

static bool overlaps_memory(const struct host_tree *t, uint64_t gpa,
			    uint64_t bytes)
{
	for (uint32_t i = 0; i < t->memory_count; i++)
		if (overlap(gpa, bytes, t->memory[i].gpa, t->memory[i].bytes))
			return true;
	return false;
}

/* No MMIO range lies over memory or over another one. */
static int check_mmio(struct parse *p)
{
	const struct host_tree *t = p->tree;
	const struct host_mmio *m, *other;

	for (uint32_t i = 0; (m = mmio_range(t, i)); i++) {
		if (overlaps_memory(t, m->gpa, m->bytes))
			return refuse(p, "MMIO overlaps memory at", m->gpa);
		for (uint32_t k = 0; k < i; k++) {
			other = mmio_range(t, k);
			if (overlap(m->gpa, m->bytes, other->gpa, other->bytes))
				return refuse(p, "MMIO overlaps at", m->gpa);
		}
	}
	return 0;
}

/* A range that the host filled; exact size, page-aligned start. */
static int get_vtl0_range(struct parse *p, int node, const char *name,
			  struct host_range *range)
{
	const struct host_tree *t = p->tree;
	const struct host_mmio *m;
	const fdt64_t *cells;
	uint64_t gpa, bytes;
	int len;

	cells = fdt_getprop(p->fdt, node, name, &len);
	if (!cells)
		return 0;
	if (len != 16)
		return refuse(p, "/paravisor range has bad length",
			      (uint64_t)len);
	gpa = fdt64_ld(&cells[0]);
	bytes = fdt64_ld(&cells[1]);
	if (gpa % IGVM_PAGE_SIZE || !bytes)
		return refuse(p, "/paravisor range is unaligned or empty at",
			      gpa);
	if (gpa + bytes < gpa)
		return refuse(p, "/paravisor range wraps at", gpa);
	if (overlaps_memory(t, gpa, bytes))
		return refuse(p, "/paravisor range overlaps memory at", gpa);
	for (uint32_t i = 0; (m = mmio_range(t, i)); i++)
		if (overlap(gpa, bytes, m->gpa, m->bytes))
			return refuse(p, "/paravisor range overlaps MMIO at",
				      gpa);
	*range = (struct host_range){ gpa, bytes, 0 };
	return 0;
}

static int parse_paravisor(struct parse *p)
{
	struct host_tree *t = p->tree;
	int node = fdt_path_offset(p->fdt, "/" VTL0_NODE);

	if (node < 0)
		return 0;
	if (get_text(p, node, VTL0_PROP_SETTINGS, VTL0_SETTINGS_SIZE,
		     &t->settings, "bad /paravisor settings") ||
	    get_text(p, node, VTL0_PROP_APPEND, VTL0_COMMAND_LINE_SIZE,
		     &t->vtl0_append, "bad /paravisor vtl0-append") ||
	    get_vtl0_range(p, node, VTL0_PROP_KERNEL, &t->vtl0_kernel) ||
	    get_vtl0_range(p, node, VTL0_PROP_INITRD, &t->vtl0_initrd))
		return -1;
	if (t->vtl0_initrd.bytes && !t->vtl0_kernel.bytes)
		return refuse(p, "/paravisor has vtl0-initrd, no kernel; at",
			      t->vtl0_initrd.gpa);
	if (t->vtl0_initrd.bytes &&
	    overlap(t->vtl0_initrd.gpa, t->vtl0_initrd.bytes,
		    t->vtl0_kernel.gpa, t->vtl0_kernel.bytes))
		return refuse(p, "/paravisor ranges overlap at",
			      t->vtl0_initrd.gpa);
	return 0;
}

static int parse_chosen(struct parse *p)
{
	int node = fdt_path_offset(p->fdt, "/chosen");

	if (node < 0)
		return 0;
	return get_text(p, node, "bootargs", LINUX_COMMAND_LINE_MAX + 1,
			&p->tree->bootargs, "bad /chosen bootargs");
}

/* Stops before libfdt recurses or scans through a tree of absurd depth. */
static int check_depth(struct parse *p)
{
	int depth = 0, node = 0;

	while ((node = fdt_next_node(p->fdt, node, &depth)) >= 0 && depth >= 0) {
		if (depth > TREE_DEPTH_MAX)
			return refuse(p, "tree is deeper than",
				      TREE_DEPTH_MAX);
	}
	return 0;
}

int host_tree_parse(struct host_tree *tree, const void *fdt, uint32_t bytes)
{
	struct parse p = { tree, fdt };
	int rc;

	*tree = (struct host_tree){ 0 };
	if (bytes < FDT_V17_SIZE)
		return refuse(&p, "area is smaller than a header: bytes",
			      bytes);
	rc = fdt_check_full(fdt, bytes);
	if (rc)
		return refuse(&p, "no sound device tree; libfdt",
			      (uint64_t)-rc);
	if (!has_cells(&p, 0, 2, 2))
		return refuse(&p, "root needs #address-cells, #size-cells", 2);
	if (check_depth(&p) || parse_cpus(&p) || parse_memory(&p) ||
	    parse_vmbus_nodes(&p) || check_mmio(&p) || parse_chosen(&p) ||
	    parse_paravisor(&p))
		return -1;
	return 0;
}

const struct host_range *host_tree_vtl2_ram(const struct host_tree *tree,
					    uint64_t gpa, uint64_t bytes)
{
	for (uint32_t i = 0; i < tree->memory_count; i++) {
		const struct host_range *m = &tree->memory[i];

		if (m->type == IGVM_MEMORY_MAP_VTL2_PROTECTABLE &&
		    gpa >= m->gpa && gpa - m->gpa < m->bytes &&
		    bytes <= m->bytes - (gpa - m->gpa))
			return m;
	}
	return NULL;
}
