/* SPDX-License-Identifier: MIT */
/*
 * IGVM loader, theory of operation
 *
 * The reader (igvm/read.h) has judged the file by itself: formats, offsets,
 * overlaps, order. What is left to judge here is the file against this
 * machine:
 *
 *	VTL2 RAM	the one REQUIRED_MEMORY that is VTL2-protectable; 2 MiB
 *			aligned, between 2 MiB and VTL0's low MMIO
 *	VTL0 RAM	[0, min(-m, VTL2's base)), the rest from 4 GiB
 *	other REQUIRED_MEMORY, pages, inserted areas: inside this RAM
 *	parameters	of a kind this host has; with their real length inside
 *			their area and clear of each other
 *	registers	of VTL2
 *
 * igvm_check() does all of this and prepares the bytes of each parameter.
 * igvm_place() then walks the file a second time and copies:
 *
 *	PAGE_DATA ----------------------------------> RAM
 *	PARAMETER_AREA -> buffer <- parameter values
 *	                    `------ PARAMETER_INSERT -> RAM
 *	VP_CONTEXT ---------------------------------> machine
 *
 * On its way the first walk meets the page that says where the image has its
 * black box: what a host does that wants to read it.
 *
 * A VTL0 kernel and initrd of the user lie in a range of their own, which VTL2
 * alone reaches: it copies them into VTL0's RAM each time it starts VTL0.
 *
 * Threads: none; before the machine runs. Failure answers: one line and
 * -errno, memory of the plan is freed by igvm_plan_free().
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "blackbox_reg.h"
#include "hv_reg.h"
#include "igvm_load.h"
#include "memory_map.h"
#include "vtl0_reg.h"

#define MAX_IMAGE_SIZE (1u << 30)
#define MAX_PARAMETERS 64

/* A parameter's bytes inside its area. */
struct filled {
	uint32_t area;
	uint64_t start, end;
	uint64_t offset; /* of the header */
	const char *name;
};

struct area_check {
	uint64_t bytes[IGVM_MAX_PARAMETER_AREAS];
	struct filled filled[MAX_PARAMETERS];
	unsigned int nr_filled;
};

__attribute__((format(printf, 5, 6)))
static int refuse(const struct igvm_plan *plan, uint64_t offset,
		  const char *structure, const char *field, const char *format,
		  ...)
{
	struct igvm_error error = { .offset = offset,
				    .structure = structure,
				    .field = field };
	va_list args;

	va_start(args, format);
	vsnprintf(error.rule, sizeof(error.rule), format, args);
	va_end(args);
	fputs("vmm: ", stderr);
	igvm_error_print(stderr, plan->image.path, &error);
	return -EINVAL;
}

/* Memory. */

static bool inside(uint64_t gpa, uint64_t bytes, uint64_t base, uint64_t size)
{
	return gpa >= base && gpa - base <= size && bytes <= size - (gpa - base);
}

static bool in_ram(const struct igvm_plan *plan, uint64_t gpa, uint64_t bytes)
{
	for (unsigned int i = 0; i < plan->nr_ram; i++)
		if (inside(gpa, bytes, plan->ranges[i].gpa,
			   plan->ranges[i].size))
			return true;
	return false;
}

static uint64_t low_ram_size(const struct igvm_plan *plan)
{
	return plan->host->memory < plan->vtl2_base ? plan->host->memory :
						      plan->vtl2_base;
}

static void add_range(struct igvm_plan *plan, uint64_t gpa, uint64_t size,
		      enum vtl vtl)
{
	struct igvm_memory_map_entry *entry = &plan->map[plan->nr_ranges];

	if (!size)
		return;
	plan->ranges[plan->nr_ranges++] =
		(struct memory_range){ gpa, size, vtl };
	entry->starting_gpa_page_number = cpu_to_le64(gpa / IGVM_PAGE_SIZE);
	entry->number_of_pages = cpu_to_le64(size / IGVM_PAGE_SIZE);
	entry->entry_type =
		cpu_to_le16(vtl == VTL2 ? IGVM_MEMORY_MAP_VTL2_PROTECTABLE :
					  IGVM_MEMORY_MAP_MEMORY);
}

static bool is_vtl2_ram(const struct igvm_header *h)
{
	return h->type == IGVM_VHT_REQUIRED_MEMORY &&
	       le32_to_cpu(h->required_memory->flags) &
		       IGVM_REQUIRED_MEMORY_VTL2_PROTECTABLE;
}

static int check_vtl2_ram(struct igvm_plan *plan, const struct igvm_header *h)
{
	uint64_t gpa = le64_to_cpu(h->required_memory->gpa);
	uint64_t size = le32_to_cpu(h->required_memory->number_of_bytes);

	if (plan->vtl2_size)
		return refuse(plan, h->offset, h->name, "flags",
			      "0x%x: a second VTL2-protectable range; this "
			      "host gives VTL2 one",
			      le32_to_cpu(h->required_memory->flags));
	if (gpa % RAM_ALIGNMENT || gpa < RAM_ALIGNMENT)
		return refuse(plan, h->offset, h->name, "gpa",
			      "0x%" PRIx64 ": VTL2's RAM must begin at a "
			      "multiple of 2 MiB, and not at 0", gpa);
	if (size % RAM_ALIGNMENT)
		return refuse(plan, h->offset, h->name, "number_of_bytes",
			      "0x%" PRIx64 ": VTL2's RAM must be a multiple of "
			      "2 MiB", size);
	if (!inside(gpa, size, 0, VTL0_MMIO_LOW_BASE))
		return refuse(plan, h->offset, h->name, "gpa",
			      "0x%" PRIx64 ": VTL2's RAM must end below the "
			      "MMIO at 0x%llx", gpa, VTL0_MMIO_LOW_BASE);
	plan->vtl2_base = gpa;
	plan->vtl2_size = size;
	return 0;
}

static int lay_out_memory(struct igvm_plan *plan)
{
	struct igvm_header h;
	uint64_t low;
	int err;

	igvm_rewind(&plan->file);
	while (igvm_next(&plan->file, &h)) {
		if (!h.selected || !is_vtl2_ram(&h))
			continue;
		err = check_vtl2_ram(plan, &h);
		if (err)
			return err;
	}
	if (!plan->vtl2_size)
		return refuse(plan, plan->file.end, "REQUIRED_MEMORY", "flags",
			      "no range is VTL2-protectable: where is VTL2's "
			      "RAM?");
	low = low_ram_size(plan);
	add_range(plan, 0, low, VTL0);
	add_range(plan, plan->vtl2_base, plan->vtl2_size, VTL2);
	add_range(plan, HIGH_RAM_BASE, plan->host->memory - low, VTL0);
	plan->nr_ram = plan->nr_ranges;
	return 0;
}

static uint64_t page_up(uint64_t bytes)
{
	return (bytes + IGVM_PAGE_SIZE - 1) / IGVM_PAGE_SIZE * IGVM_PAGE_SIZE;
}

static struct host_tree_range reserve_file(const struct input_file *file,
					   uint64_t *end)
{
	struct host_tree_range range = { *end, file->len };

	*end += page_up(file->len);
	return range;
}

/* No RAM of anybody: a place that VTL2 alone reaches, and only reads. */
static void reserve_files(struct igvm_plan *plan)
{
	uint64_t end = VTL0_FILES_BASE, size;

	plan->kernel = reserve_file(plan->host->vtl0_kernel, &end);
	plan->initrd = reserve_file(plan->host->vtl0_initrd, &end);
	size = (end - VTL0_FILES_BASE + RAM_ALIGNMENT - 1) & -RAM_ALIGNMENT;
	if (size)
		plan->ranges[plan->nr_ranges++] =
			(struct memory_range){ VTL0_FILES_BASE, size, VTL2 };
}

/* Parameters. */

static int prepare_parameters(struct igvm_plan *plan)
{
	const struct igvm_host *host = plan->host;
	const struct host_tree tree = {
		.vps = host->vps,
		.apic_id_step = host->apic_id_step,
		.ranges = plan->ranges,
		.nr_ranges = plan->nr_ram,
		.bootargs = host->append,
		.redirect = host->redirect,
		.vtl0_kernel = plan->kernel,
		.vtl0_initrd = plan->initrd,
		.vtl0_append = host->vtl0_append,
		.settings = (const char *)host->settings->bytes,
	};
	static const uint64_t mmio[2][2] = {
		{ VTL0_MMIO_LOW_BASE, VTL0_MMIO_LOW_SIZE },
		{ VTL0_MMIO_HIGH_BASE, VTL0_MMIO_HIGH_SIZE },
	};
	int err;

	plan->vp_count = cpu_to_le32(host->vps);
	plan->environment = cpu_to_le32(0); /* no shared memory */
	plan->command_line = host->append ? host->append : "";
	for (int i = 0; i < 2; i++) {
		struct igvm_memory_range *range = &plan->mmio.mmio_ranges[i];

		range->starting_gpa_page_number =
			cpu_to_le64(mmio[i][0] / IGVM_PAGE_SIZE);
		range->number_of_pages =
			cpu_to_le64(mmio[i][1] / IGVM_PAGE_SIZE);
	}
	err = host_tree_build(&tree, &plan->tree, &plan->tree_len);
	if (err)
		fprintf(stderr, "vmm: device tree of the host: %s\n",
			strerror(-err));
	return err;
}

/* The bytes for a parameter; NULL if this host has no such thing. */
static const void *parameter_value(const struct igvm_plan *plan, uint32_t type,
				   size_t *len)
{
	switch (type) {
	case IGVM_VHT_VP_COUNT_PARAMETER:
		*len = sizeof(plan->vp_count);
		return &plan->vp_count;
	case IGVM_VHT_MMIO_RANGES:
		*len = sizeof(plan->mmio);
		return &plan->mmio;
	case IGVM_VHT_MEMORY_MAP:
		/* With the entry of no pages that ends the list. */
		*len = (plan->nr_ram + 1) * sizeof(plan->map[0]);
		return plan->map;
	case IGVM_VHT_COMMAND_LINE:
		*len = strlen(plan->command_line) + 1;
		return plan->command_line;
	case IGVM_VHT_DEVICE_TREE:
		*len = plan->tree_len;
		return plan->tree;
	case IGVM_VHT_ENVIRONMENT_INFO_PARAMETER:
		*len = sizeof(plan->environment);
		return &plan->environment;
	default:
		return NULL;
	}
}

static int check_parameter(const struct igvm_plan *plan,
			   struct area_check *areas,
			   const struct igvm_header *h)
{
	uint32_t index = le32_to_cpu(h->parameter->parameter_area_index);
	uint64_t at = le32_to_cpu(h->parameter->byte_offset);
	struct filled *mine = &areas->filled[areas->nr_filled];
	size_t len;

	if (!parameter_value(plan, h->type, &len)) {
		if (h->optional)
			return 0;
		return refuse(plan, h->offset, h->name, "type",
			      "0x%x: this host has no such parameter", h->type);
	}
	if (areas->nr_filled == MAX_PARAMETERS)
		return refuse(plan, h->offset, h->name, "type",
			      "0x%x: more than %d parameters", h->type,
			      MAX_PARAMETERS);
	if (!inside(at, len, 0, areas->bytes[index]))
		return refuse(plan, h->offset, h->name, "byte_offset",
			      "0x%" PRIx64 ": %zu bytes do not fit the area of "
			      "0x%" PRIx64, at, len, areas->bytes[index]);
	*mine = (struct filled){ index, at, at + len, h->offset, h->name };
	for (unsigned int i = 0; i < areas->nr_filled; i++) {
		const struct filled *other = &areas->filled[i];

		if (other->area == index && other->start < mine->end &&
		    mine->start < other->end)
			return refuse(plan, h->offset, h->name, "byte_offset",
				      "0x%" PRIx64 ": overlaps the %s at "
				      "offset 0x%" PRIx64, at, other->name,
				      other->offset);
	}
	areas->nr_filled++;
	return 0;
}

/* What the image puts into RAM or asks of it. */
static int check_place(const struct igvm_plan *plan,
		       const struct igvm_header *h, uint64_t gpa,
		       uint64_t bytes)
{
	if (!in_ram(plan, gpa, bytes))
		return refuse(plan, h->offset, h->name, "gpa",
			      "0x%" PRIx64 ": 0x%" PRIx64 " bytes are outside "
			      "of the machine's RAM (-m)", gpa, bytes);
	return 0;
}

static void note_black_box(struct igvm_plan *plan, const struct igvm_header *h)
{
	struct blackbox_header box;
	uint64_t gpa = le64_to_cpu(h->page_data->gpa), size;

	if (!h->data || h->data_len < sizeof(box))
		return;
	memcpy(&box, h->data, sizeof(box));
	size = le64_to_cpu(box.size);
	if (le64_to_cpu(box.magic) == BLACKBOX_MAGIC &&
	    le64_to_cpu(box.gpa) == gpa && size >= BLACKBOX_ALIGN &&
	    size <= BLACKBOX_MAX_SIZE &&
	    inside(gpa, size, plan->vtl2_base, plan->vtl2_size))
		plan->black_box = (struct host_tree_range){ gpa, size };
}

static int check_registers(const struct igvm_plan *plan,
			   const struct igvm_header *h)
{
	for (uint32_t i = 0; i < h->register_count; i++) {
		const struct igvm_vbs_vp_context_register *r = &h->registers[i];

		if (r->vtl != VTL2)
			return refuse(plan,
				      (uint64_t)((const uint8_t *)r -
						 plan->file.bytes),
				      "VBS_VP_CONTEXT_REGISTER", "vtl",
				      "%u: must be 2; VTL2 sets VTL0 up",
				      r->vtl);
	}
	return 0;
}

static int check_header(struct igvm_plan *plan, struct area_check *areas,
			const struct igvm_header *h)
{
	uint32_t index;

	switch (h->type) {
	case IGVM_VHT_PARAMETER_AREA:
		index = le32_to_cpu(h->parameter_area->parameter_area_index);
		areas->bytes[index] =
			le64_to_cpu(h->parameter_area->number_of_bytes);
		return 0;
	case IGVM_VHT_PAGE_DATA:
		note_black_box(plan, h);
		return check_place(plan, h, le64_to_cpu(h->page_data->gpa),
				   IGVM_PAGE_SIZE);
	case IGVM_VHT_PARAMETER_INSERT:
		index = le32_to_cpu(h->parameter_insert->parameter_area_index);
		return check_place(plan, h,
				   le64_to_cpu(h->parameter_insert->gpa),
				   areas->bytes[index]);
	case IGVM_VHT_REQUIRED_MEMORY:
		return check_place(
			plan, h, le64_to_cpu(h->required_memory->gpa),
			le32_to_cpu(h->required_memory->number_of_bytes));
	case IGVM_VHT_VP_CONTEXT:
		return check_registers(plan, h);
	default:
		return igvm_type_is_parameter(h->type) ?
			       check_parameter(plan, areas, h) : 0;
	}
}

static int check_headers(struct igvm_plan *plan)
{
	struct area_check areas = { .nr_filled = 0 };
	struct igvm_header h;
	int err;

	igvm_rewind(&plan->file);
	while (igvm_next(&plan->file, &h)) {
		if (!h.selected)
			continue;
		err = check_header(plan, &areas, &h);
		if (err)
			return err;
	}
	return 0;
}

int igvm_check(const char *path, const struct igvm_host *host,
	       struct igvm_plan *plan)
{
	struct igvm_error error;
	int err;

	memset(plan, 0, sizeof(*plan));
	plan->host = host;
	err = input_file_read(&plan->image, "--igvm", path, MAX_IMAGE_SIZE);
	if (err)
		return err;
	err = igvm_open(&plan->file, plan->image.bytes, plan->image.len,
			&error);
	if (err) {
		fputs("vmm: ", stderr);
		igvm_error_print(stderr, path, &error);
		return err;
	}
	if (plan->file.highest_vtl != VTL2)
		return refuse(plan, sizeof(struct igvm_fixed_header),
			      "SUPPORTED_PLATFORM", "highest_vtl",
			      "%u: must be 2, this host loads into VTL2",
			      plan->file.highest_vtl);
	err = lay_out_memory(plan);
	if (!err) {
		reserve_files(plan);
		err = prepare_parameters(plan);
	}
	if (!err)
		err = check_headers(plan);
	return err;
}

void igvm_plan_free(struct igvm_plan *plan)
{
	free(plan->tree);
	plan->tree = NULL;
	input_file_free(&plan->image);
}

/* Placing. */

/* RAM that igvm_check() has found to be there. */
static void *ram_at(struct machine *m, uint64_t gpa, uint64_t bytes)
{
	void *ram = machine_ram(m, VTL2, gpa, bytes);

	if (!ram) {
		fprintf(stderr, "vmm: no RAM at 0x%" PRIx64 "\n", gpa);
		abort();
	}
	return ram;
}

static int place_registers(const struct igvm_header *h, struct machine *m)
{
	for (uint32_t i = 0; i < h->register_count; i++) {
		const struct igvm_vbs_vp_context_register *r = &h->registers[i];
		struct hv_register_value value;
		uint32_t name = le32_to_cpu(r->register_name);
		int err;

		memcpy(&value, r->register_value, sizeof(value));
		err = machine_set_boot_register(m, VTL2, name, &value);
		if (err) {
			fprintf(stderr, "vmm: register 0x%x of VTL2: %s\n",
				name, strerror(-err));
			return err;
		}
	}
	return 0;
}

struct area_buffer {
	uint8_t *data;
	size_t len;
};

static int place_header(const struct igvm_plan *plan, struct machine *m,
			struct area_buffer *areas, const struct igvm_header *h)
{
	struct area_buffer *area;
	const void *value;
	size_t len;

	switch (h->type) {
	case IGVM_VHT_PARAMETER_AREA:
		area = &areas[le32_to_cpu(
			h->parameter_area->parameter_area_index)];
		area->len = le64_to_cpu(h->parameter_area->number_of_bytes);
		area->data = calloc(1, area->len);
		if (!area->data)
			return -ENOMEM;
		if (h->data)
			memcpy(area->data, h->data, h->data_len);
		return 0;
	case IGVM_VHT_PAGE_DATA:
		/* RAM begins as zeros: a page without data needs nothing. */
		if (h->data)
			memcpy(ram_at(m, le64_to_cpu(h->page_data->gpa),
				      IGVM_PAGE_SIZE),
			       h->data, IGVM_PAGE_SIZE);
		return 0;
	case IGVM_VHT_PARAMETER_INSERT:
		area = &areas[le32_to_cpu(
			h->parameter_insert->parameter_area_index)];
		memcpy(ram_at(m, le64_to_cpu(h->parameter_insert->gpa),
			      area->len),
		       area->data, area->len);
		return 0;
	case IGVM_VHT_VP_CONTEXT:
		return place_registers(h, m);
	default:
		if (!igvm_type_is_parameter(h->type))
			return 0;
		value = parameter_value(plan, h->type, &len);
		if (value)
			memcpy(areas[le32_to_cpu(
				       h->parameter->parameter_area_index)]
				       .data +
				       le32_to_cpu(h->parameter->byte_offset),
			       value, len);
		return 0;
	}
}

static void place_file(struct machine *m, const struct host_tree_range *range,
		       const struct input_file *file)
{
	if (range->bytes)
		memcpy(ram_at(m, range->gpa, range->bytes), file->bytes,
		       file->len);
}

int igvm_place(struct igvm_plan *plan, struct machine *m)
{
	struct area_buffer areas[IGVM_MAX_PARAMETER_AREAS] = { { NULL, 0 } };
	struct igvm_header h;
	int err = 0;

	igvm_rewind(&plan->file);
	while (!err && igvm_next(&plan->file, &h))
		if (h.selected)
			err = place_header(plan, m, areas, &h);
	if (err == -ENOMEM)
		fputs("vmm: out of memory\n", stderr);
	for (unsigned int i = 0; i < IGVM_MAX_PARAMETER_AREAS; i++)
		free(areas[i].data);
	place_file(m, &plan->kernel, plan->host->vtl0_kernel);
	place_file(m, &plan->initrd, plan->host->vtl0_initrd);
	return err;
}
