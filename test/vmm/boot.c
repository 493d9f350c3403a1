// SPDX-License-Identifier: MIT
/*
 * Boot, theory of operation
 *
 * Owns the bytes of every file that is booted from. With --igvm they become
 * parameters of the image, which starts the guest itself (igvm_load.c), and
 * are let go once they are in the machine's memory. Without, the kernel is
 * loaded by the host (linux_boot.c), again for each start of the guest, so
 * they are kept.
 *
 * Threads: none; no VP runs. Failure answers: one line and a status.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "boot.h"
#include "disks.h"
#include "nets.h"
#include "include/vtl0_reg.h"
#include "json.h"

#define MAX_KERNEL_SIZE (512u << 20)
#define MAX_INITRD_SIZE (2u << 30)

static int refuse_settings(const char *path, const char *rule, size_t at)
{
	fprintf(stderr, "vmm: --settings %s: %s", path, rule);
	if (at)
		fprintf(stderr, " at byte %zu", at);
	fputc('\n', stderr);
	return -EINVAL;
}

/* Form only: what the settings mean is the paravisor's to judge. */
static int check_settings(const struct input_file *file)
{
	struct json_span object, version;
	size_t wrong = 0;

	if (json_check((const char *)file->bytes, file->len, &object,
		       &wrong) < 0)
		return refuse_settings(file->path, "not JSON", wrong + 1);
	if (*object.at != '{')
		return refuse_settings(file->path, "must be an object", 0);
	if (!json_member(object, "version", &version) ||
	    !json_is_literal(version, "1"))
		return refuse_settings(file->path, "/version: must be 1", 0);
	return 0;
}

static int read_inputs(struct boot *boot)
{
	const struct vmm_options *o = boot->options;
	const struct {
		struct input_file *file;
		const char *option, *path;
		size_t max;
	} inputs[] = {
		{ &boot->kernel, "--vtl0-kernel", o->vtl0_kernel,
		  MAX_KERNEL_SIZE },
		{ &boot->initrd, "--vtl0-initrd", o->vtl0_initrd,
		  MAX_INITRD_SIZE },
		{ &boot->settings, "--settings", o->settings,
		  VTL0_SETTINGS_SIZE - 1 },
	};
	int err = 0;

	for (size_t i = 0; i < sizeof(inputs) / sizeof(inputs[0]); i++) {
		if (!inputs[i].path)
			continue;
		err = input_file_read(inputs[i].file, inputs[i].option,
				      inputs[i].path, inputs[i].max);
		if (err)
			return err;
	}
	return o->settings ? check_settings(&boot->settings) : 0;
}

static bool has_nics(const struct vmm_options *options)
{
	for (unsigned int i = 0; i < options->nr_nics; i++)
		if (options->nics[i].owner == OWNER_VTL2_MANA)
			return true;
	return false;
}

/* JSON that gives the guest every disk and NIC of VTL2, to be freed. NULL:
 * there is none, or no memory. */
static char *default_settings(const struct vmm_options *options)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	bool disks, nics;

	if (!out)
		return NULL;
	fputs("{\"version\":1,", out);
	disks = disks_print_settings(options, out);
	if (disks && has_nics(options))
		fputs(",", out);
	nics = nets_print_settings(options, out);
	fputs("}", out);
	if (fclose(out) || !(disks || nics)) {
		free(text);
		return NULL;
	}
	return text;
}

/* Without --settings the paravisor gives the guest all that it has. */
static void make_settings(struct boot *boot)
{
	char *text = boot->settings.bytes ? NULL :
					    default_settings(boot->options);

	if (!text)
		return;
	boot->settings = (struct input_file){
		.path = "--disk, --net",
		.bytes = (uint8_t *)text,
		.len = strlen(text),
	};
}

static int check_image(struct boot *boot)
{
	const struct vmm_options *o = boot->options;

	make_settings(boot);
	boot->host = (struct igvm_host){
		.memory = o->memory,
		.vps = o->vps,
		.apic_id_step = o->apic_id_step,
		.append = o->append,
		.redirect = o->vmbus_redirect,
		.vtl0_kernel = &boot->kernel,
		.vtl0_initrd = &boot->initrd,
		.settings = &boot->settings,
		.vtl0_append = o->vtl0_append,
	};
	return igvm_check(o->igvm, &boot->host, &boot->plan);
}

static int check_direct(struct boot *boot)
{
	const struct vmm_options *o = boot->options;

	boot->direct = (struct linux_boot){
		.kernel = &boot->kernel,
		.initrd = &boot->initrd,
		.append = o->append,
		.vtl0_append = o->vtl0_append,
		.memory = o->memory,
		.vps = o->vps,
		.apic_id_step = o->apic_id_step,
	};
	return linux_boot_check(&boot->direct);
}

int boot_check(struct boot *boot, const struct vmm_options *options)
{
	int err;

	boot->options = options;
	err = read_inputs(boot);
	if (err)
		return err;
	return options->igvm ? check_image(boot) : check_direct(boot);
}

void boot_free(struct boot *boot)
{
	igvm_plan_free(&boot->plan);
	linux_boot_free(&boot->direct);
	input_file_free(&boot->kernel);
	input_file_free(&boot->initrd);
	input_file_free(&boot->settings);
}

enum vmm_status boot_write_host_tree(const struct boot *boot)
{
	const char *path = boot->options->host_tree;
	FILE *file = fopen(path, "we");
	size_t written;

	if (!file) {
		fprintf(stderr, "vmm: --host-tree %s: %s\n", path,
			strerror(errno));
		return VMM_BAD_INPUT;
	}
	written = fwrite(boot->plan.tree, 1, boot->plan.tree_len, file);
	if (fclose(file) || written != boot->plan.tree_len) {
		fprintf(stderr, "vmm: --host-tree %s: %s\n", path,
			strerror(errno));
		return VMM_HOST_CANNOT;
	}
	return VMM_OK;
}

enum vmm_status boot_print_settings(const struct boot *boot)
{
	if (!boot->settings.bytes) {
		fputs("vmm: --print-settings: there are none: neither "
		      "--settings nor a disk or NIC of VTL2\n", stderr);
		return VMM_BAD_INPUT;
	}
	fwrite(boot->settings.bytes, 1, boot->settings.len, stdout);
	if (boot->settings.bytes[boot->settings.len - 1] != '\n')
		putchar('\n');
	return fflush(stdout) || ferror(stdout) ? VMM_HOST_CANNOT : VMM_OK;
}

/* The lab's word to vmm; nobody else sets it. */
static unsigned int timer_slack(const char *name)
{
	const char *text = getenv(name);
	unsigned long ms = text ? strtoul(text, NULL, 10) : 0;

	return ms <= 1000 ? (unsigned int)ms : 0;
}

struct machine_config boot_machine(const struct boot *boot)
{
	const bool image = boot->options->igvm;

	return (struct machine_config){
		.vps = boot->options->vps,
		.apic_id_step = boot->options->apic_id_step,
		.has_vtl2 = image,
		.timer_slack_ms = { timer_slack("VMM_VTL0_TIMER_SLACK"),
				    timer_slack("VMM_VTL2_TIMER_SLACK") },
		.ranges = image ? boot->plan.ranges : boot->direct.ranges,
		.nr_ranges = image ? boot->plan.nr_ranges :
				     boot->direct.nr_ranges,
	};
}

/* The image once more, for a machine that was made for it. */
static int check_again(struct boot *boot)
{
	struct igvm_plan last = boot->plan;
	int err = check_image(boot);

	if (err)
		return err;
	if (last.nr_ranges == boot->plan.nr_ranges &&
	    !memcmp(last.ranges, boot->plan.ranges, sizeof(last.ranges)))
		return 0;
	fprintf(stderr, "vmm: --igvm %s: changed since the start, and needs "
		"other memory\n", boot->options->igvm);
	return -EINVAL;
}

enum vmm_status boot_place(struct boot *boot, struct machine *m)
{
	int err = 0;

	if (boot->options->igvm) {
		if (!boot->plan.image.bytes)
			err = check_again(boot);
		if (!err)
			err = igvm_place(&boot->plan, m);
		/* The image is in the machine's memory now. */
		igvm_plan_free(&boot->plan);
	} else {
		err = linux_boot_place(&boot->direct, m);
	}
	if (!err)
		return VMM_OK;
	return err == -ENOMEM ? VMM_HOST_CANNOT : VMM_BAD_INPUT;
}
