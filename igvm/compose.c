// SPDX-License-Identifier: MIT
/*
 * Composition of an image: pages in address order, then the device tree
 * parameter, the memory the image needs, and the first VP's registers.
 *
 * The shim is entered in long mode on page tables that map nothing but VTL2's
 * RAM, with an empty IDT: whatever goes wrong before the kernel has its own
 * ends in a triple fault, which the host sees as VTL2's crash, and a stray
 * pointer cannot reach VTL0's memory.
 */
#include "compose.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "black_box.h"
#include "hv_reg.h"
#include "shim_reg.h"

#define PAGE_PRESENT 0x1ull
#define PAGE_WRITE 0x2ull
#define PAGE_LARGE 0x80ull

#define GDT_CODE 0x10u
#define GDT_DATA 0x18u
#define GDT_BYTES 48u /* null, null, code, data, task (two entries) */
#define CODE_DESCRIPTOR 0x00af9b000000ffffull
#define DATA_DESCRIPTOR 0x00cf93000000ffffull
#define TASK_DESCRIPTOR 0x00008b000000ffffull

#define SEGMENT_CODE64 0xa09bu /* granular, long, present, code, accessed */
#define SEGMENT_DATA 0xc093u   /* granular, 32-bit, present, data, accessed */
#define SEGMENT_TASK 0x008bu   /* present, busy 64-bit TSS */
#define TASK_SELECTOR 0x20u

#define CR0_VALUE 0x80000031ull /* PG NE ET PE */
#define CR4_VALUE 0x20ull       /* PAE */
#define EFER_VALUE 0x500ull     /* LMA LME */
#define PAT_VALUE 0x0007040600070406ull /* the architecture's reset value */
#define RFLAGS_VALUE 0x2ull

#define PAGE_TABLE_MAX 6 /* PML4, PDPT, one PD per GiB below 4 GiB */

#define PARAMETER_AREA_TREE 0u

static struct shim_range shim_range(struct layout_range r)
{
	return (struct shim_range){ cpu_to_le64(r.gpa), cpu_to_le64(r.bytes) };
}

static int add_page_tables(struct image *image, const struct layout *l)
{
	static le64 tables[PAGE_TABLE_MAX][512];
	const uint64_t flags = PAGE_PRESENT | PAGE_WRITE;
	uint64_t gib = UINT64_MAX;
	unsigned int used = 2;

	memset(tables, 0, sizeof(tables));
	tables[0][0] = cpu_to_le64((l->page_tables.gpa + IGVM_PAGE_SIZE) |
				   flags);
	for (uint64_t gpa = l->ram.gpa; gpa < l->ram.gpa + l->ram.bytes;
	     gpa += LAYOUT_ALIGN) {
		if (gpa >> 30 != gib) {
			gib = gpa >> 30;
			tables[1][gib] = cpu_to_le64((l->page_tables.gpa +
						      used * IGVM_PAGE_SIZE) |
						     flags);
			used++;
		}
		tables[used - 1][gpa >> 21 & 511] =
			cpu_to_le64(gpa | flags | PAGE_LARGE);
	}
	return image_pages(image, "page-tables", l->page_tables.gpa, tables,
			   l->page_tables.bytes);
}

static int add_gdt(struct image *image, const struct layout *l)
{
	const le64 gdt[GDT_BYTES / 8] = {
		[GDT_CODE / 8] = cpu_to_le64(CODE_DESCRIPTOR),
		[GDT_DATA / 8] = cpu_to_le64(DATA_DESCRIPTOR),
		[TASK_SELECTOR / 8] = cpu_to_le64(TASK_DESCRIPTOR),
	};

	return image_pages(image, "gdt", l->gdt.gpa, gdt, sizeof(gdt));
}

static int add_info(struct image *image, const struct layout *l)
{
	const struct shim_info info = {
		.magic = cpu_to_le64(SHIM_INFO_MAGIC),
		.version = cpu_to_le32(SHIM_INFO_VERSION),
		.bytes = cpu_to_le32(sizeof(info)),
		.ram = shim_range(l->ram),
		.kernel = shim_range(l->kernel),
		.initramfs = shim_range(l->initramfs),
		.boot_params = shim_range(l->boot_params),
		.command_line = shim_range(l->command_line),
		.host_tree = shim_range(l->host_tree),
		.kernel_tree = shim_range(l->kernel_tree),
		.settings = shim_range(l->settings),
		.vtl0_kernel = shim_range(l->vtl0_kernel),
		.vtl0_initrd = shim_range(l->vtl0_initrd),
		.vtl0_command_line = shim_range(l->vtl0_command_line),
		.vtl0_region = shim_range(l->vtl0_region),
		.black_box = shim_range(l->black_box),
	};

	return image_pages(image, "info", l->info.gpa, &info, sizeof(info));
}

/* The setup header as the file has it; the shim fills in the rest. */
static int add_boot_params(struct image *image, const struct layout *l,
			   const struct parts *parts)
{
	static struct linux_boot_params b;

	memset(&b, 0, sizeof(b));
	b.hdr = parts->kernel_header;
	b.hdr.type_of_loader = LINUX_LOADER_UNDEFINED;
	return image_pages(image, "boot-params", l->boot_params.gpa, &b,
			   sizeof(b));
}

/* Pages for a part that may be absent. */
static int add_part(struct image *image, const char *name,
		    struct layout_range where, struct blob part)
{
	if (!part.bytes)
		return 0;
	return image_pages(image, name, where.gpa, part.bytes, part.len);
}

/* All its pages, so that a loader leaves zeros behind the header. */
static int add_black_box(struct image *image, const struct layout *l)
{
	struct blackbox_header *h;
	int rc;

	if (!l->black_box.bytes)
		return 0;
	h = calloc(1, l->black_box.bytes);
	if (!h)
		return -ENOMEM;
	black_box_fill(h, l->black_box.gpa, l->black_box.bytes);
	rc = image_pages(image, "black-box", l->black_box.gpa, h,
			 l->black_box.bytes);
	free(h);
	return rc;
}

static int add_tree_parameter(struct image *image, const struct layout *l)
{
	const struct igvm_parameter_area area = {
		.number_of_bytes = cpu_to_le64(l->host_tree.bytes),
		.parameter_area_index = cpu_to_le32(PARAMETER_AREA_TREE),
	};
	const struct igvm_parameter tree = {
		.parameter_area_index = cpu_to_le32(PARAMETER_AREA_TREE),
	};
	const struct igvm_parameter_insert insert = {
		.gpa = cpu_to_le64(l->host_tree.gpa),
		.compatibility_mask = cpu_to_le32(IMAGE_MASK),
		.parameter_area_index = cpu_to_le32(PARAMETER_AREA_TREE),
	};
	int rc;

	rc = image_header(image, IGVM_VHT_PARAMETER_AREA, &area, sizeof(area));
	if (!rc)
		rc = image_header(image, IGVM_VHT_DEVICE_TREE, &tree,
				  sizeof(tree));
	if (!rc)
		rc = image_header(image, IGVM_VHT_PARAMETER_INSERT, &insert,
				  sizeof(insert));
	if (!rc)
		rc = image_note_parameter(image, "host-tree", l->host_tree.gpa,
					  l->host_tree.bytes);
	return rc;
}

static int add_required_memory(struct image *image, const struct layout *l)
{
	const struct igvm_required_memory m = {
		.gpa = cpu_to_le64(l->ram.gpa),
		.compatibility_mask = cpu_to_le32(IMAGE_MASK),
		.number_of_bytes = cpu_to_le32((uint32_t)l->ram.bytes),
		.flags = cpu_to_le32(IGVM_REQUIRED_MEMORY_VTL2_PROTECTABLE),
	};

	return image_header(image, IGVM_VHT_REQUIRED_MEMORY, &m, sizeof(m));
}

static struct igvm_vbs_vp_context_register record(uint32_t code)
{
	return (struct igvm_vbs_vp_context_register){
		.vtl = 2, .register_name = cpu_to_le32(code),
	};
}

static struct igvm_vbs_vp_context_register word(uint32_t code, uint64_t value)
{
	struct igvm_vbs_vp_context_register r = record(code);
	le64 v = cpu_to_le64(value);

	memcpy(r.register_value, &v, sizeof(v));
	return r;
}

static struct igvm_vbs_vp_context_register
segment(uint32_t code, uint16_t selector, uint16_t attributes, uint32_t limit)
{
	struct igvm_vbs_vp_context_register r = record(code);
	const struct hv_segment_register s = {
		.limit = cpu_to_le32(limit),
		.selector = cpu_to_le16(selector),
		.attributes = cpu_to_le16(attributes),
	};

	memcpy(r.register_value, &s, sizeof(s));
	return r;
}

static struct igvm_vbs_vp_context_register table(uint32_t code, uint64_t base,
						 uint16_t limit)
{
	struct igvm_vbs_vp_context_register r = record(code);
	const struct hv_table_register t = {
		.limit = cpu_to_le16(limit), .base = cpu_to_le64(base),
	};

	memcpy(r.register_value, &t, sizeof(t));
	return r;
}

static int add_context(struct image *image, const struct layout *l)
{
	const uint32_t flat = 0xffffffff;
	const struct igvm_vbs_vp_context_register registers[] = {
		table(HV_REG_GDTR, l->gdt.gpa, GDT_BYTES - 1),
		table(HV_REG_IDTR, 0, 0),
		segment(HV_REG_CS, GDT_CODE, SEGMENT_CODE64, flat),
		segment(HV_REG_DS, GDT_DATA, SEGMENT_DATA, flat),
		segment(HV_REG_ES, GDT_DATA, SEGMENT_DATA, flat),
		segment(HV_REG_FS, GDT_DATA, SEGMENT_DATA, flat),
		segment(HV_REG_GS, GDT_DATA, SEGMENT_DATA, flat),
		segment(HV_REG_SS, GDT_DATA, SEGMENT_DATA, flat),
		segment(HV_REG_TR, TASK_SELECTOR, SEGMENT_TASK, 0xffff),
		word(HV_REG_CR0, CR0_VALUE),
		word(HV_REG_CR3, l->page_tables.gpa),
		word(HV_REG_CR4, CR4_VALUE),
		word(HV_REG_EFER, EFER_VALUE),
		word(HV_REG_PAT, PAT_VALUE),
		word(HV_REG_RFLAGS, RFLAGS_VALUE),
		word(HV_REG_RSP, l->stack.gpa + l->stack.bytes),
		word(HV_REG_RSI, l->info.gpa),
		word(HV_REG_RIP, l->shim.gpa),
	};

	return image_context(image, registers,
			     sizeof(registers) / sizeof(registers[0]));
}

int compose(struct image *image, const struct layout *l,
	    const struct parts *p)
{
	int rc;

	rc = image_platform(image);
	if (!rc)
		rc = add_page_tables(image, l);
	if (!rc)
		rc = add_gdt(image, l);
	if (!rc)
		rc = add_info(image, l);
	if (!rc)
		rc = add_boot_params(image, l, p);
	if (!rc)
		rc = add_part(image, "command-line", l->command_line,
			      p->command_line);
	if (!rc)
		rc = image_pages(image, "stack", l->stack.gpa, NULL,
				 l->stack.bytes);
	if (!rc)
		rc = add_part(image, "shim", l->shim, p->shim);
	if (!rc)
		rc = add_part(image, "settings", l->settings, p->settings);
	if (!rc)
		rc = add_part(image, "vtl0-command-line", l->vtl0_command_line,
			      p->vtl0_command_line);
	if (!rc)
		rc = add_part(image, "kernel", l->kernel, p->kernel);
	if (!rc)
		rc = add_part(image, "initramfs", l->initramfs, p->initramfs);
	if (!rc)
		rc = add_part(image, "vtl0-kernel", l->vtl0_kernel,
			      p->vtl0_kernel);
	if (!rc)
		rc = add_part(image, "vtl0-initrd", l->vtl0_initrd,
			      p->vtl0_initrd);
	if (!rc)
		rc = add_black_box(image, l);
	if (!rc)
		rc = add_tree_parameter(image, l);
	if (!rc)
		rc = add_required_memory(image, l);
	if (!rc)
		rc = add_context(image, l);
	return rc;
}
