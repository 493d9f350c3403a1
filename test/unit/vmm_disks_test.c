/* SPDX-License-Identifier: MIT */
/* SOURCES: test/vmm/disks.c test/vmm/device_option.c test/vmm/json.c include/guid.c */
/*
 * Which disk goes which way, the settings that name them, and media that come,
 * go and change size while the machine runs. Media and devices are stand-ins
 * that note what they are asked for.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "stderr_capture.h"
#include "test/model/medium.h"
#include "test/model/nvme.h"
#include "test/model/nvme_fault.h"
#include "test/vmm/disks.h"
#include "test/vmm/json.h"
#include "test/vmm/scsi_device.h"
#include "test/vmm/vpci.h"
#include "relay/channel.h"

/* ---- media ---- */

struct medium {
	uint64_t size;
};

static unsigned int media; /* that are open */
static int file_error, resize_error;

int medium_memory(uint64_t size, struct medium **medium)
{
	*medium = calloc(1, sizeof(**medium));
	(*medium)->size = size;
	media++;
	return 0;
}

int medium_file(const char *path, bool read_only, struct medium **medium)
{
	(void)read_only;
	return file_error ? file_error :
			    medium_memory(strtoull(path, NULL, 10), medium);
}

void medium_close(struct medium *medium)
{
	media -= !!medium;
	free(medium);
}

uint64_t medium_size(const struct medium *medium)
{
	return medium->size;
}

int medium_resize(struct medium *medium, uint64_t size)
{
	if (!resize_error)
		medium->size = size;
	return resize_error;
}

static unsigned int caches;

int medium_cache(struct medium *medium)
{
	(void)medium;
	caches++;
	return 0;
}

/* ---- NVMe ---- */

struct nvme_controller {
	struct nvme_config config;
};

static char nvme_text[128]; /* the last call */
static int nvme_error;

struct nvme_controller *nvme_create(const struct nvme_config *config)
{
	struct nvme_controller *c = calloc(1, sizeof(*c));

	c->config = *config;
	snprintf(nvme_text, sizeof(nvme_text), "%s %u/%u%s%s q%u",
		 config->serial, config->block_size,
		 config->physical_block_size, config->read_only ? " ro" : "",
		 config->sgl ? "" : " prp", config->io_queues);
	return c;
}

void nvme_destroy(struct nvme_controller *c)
{
	free(c);
}

struct pci_function *nvme_function(struct nvme_controller *c)
{
	(void)c;
	return NULL;
}

void nvme_print_stats(struct nvme_controller *c, FILE *out)
{
	fprintf(out, "%u", c->config.block_size);
}

static uint8_t last_nguid[16];

int nvme_namespace_attach(struct nvme_controller *c, uint32_t nsid,
			  const struct nvme_namespace_config *config)
{
	(void)c;
	memcpy(last_nguid, config->nguid, sizeof(last_nguid));
	snprintf(nvme_text, sizeof(nvme_text), "attach %u %llu %u/%u%s", nsid,
		 (unsigned long long)config->medium->size, config->block_size,
		 config->physical_block_size, config->read_only ? " ro" : "");
	return nvme_error;
}

int nvme_namespace_detach(struct nvme_controller *c, uint32_t nsid)
{
	(void)c;
	snprintf(nvme_text, sizeof(nvme_text), "detach %u", nsid);
	return nvme_error;
}

int nvme_namespace_resize(struct nvme_controller *c, uint32_t nsid,
			  uint64_t size)
{
	(void)c;
	snprintf(nvme_text, sizeof(nvme_text), "resize %u %llu", nsid,
		 (unsigned long long)size);
	return nvme_error;
}

const char *nvme_fault_set(struct nvme_controller *c,
			   const struct nvme_fault *fault)
{
	snprintf(nvme_text, sizeof(nvme_text), "fault %s of %u", fault->name,
		 c->config.block_size);
	return nvme_error ? "count: is too big" : NULL;
}

/* ---- VMBus ---- */

static struct vmbus_device pci_device;
static unsigned int offers, revokes;

struct vpci_bus *vpci_create(struct machine *m, enum vtl vtl,
			     struct msi_router *msi,
			     const struct guid *instance,
			     struct pci_function *function)
{
	(void)m;
	(void)vtl;
	(void)msi;
	(void)instance;
	(void)function;
	return (struct vpci_bus *)&pci_device;
}

void vpci_destroy(struct vpci_bus *bus)
{
	(void)bus;
}

struct vmbus_device *vpci_device(struct vpci_bus *bus)
{
	return (struct vmbus_device *)bus;
}

int vmbus_offer(struct vmbus_server *server, struct vmbus_device *dev)
{
	dev->server = server;
	offers++;
	return 0;
}

void vmbus_revoke(struct vmbus_device *dev)
{
	(void)dev;
	revokes++;
}

/* ---- SCSI ---- */

const struct guid scsi_device_instance = GUID_INIT(1, 2, 3, 4, 5, 6, 7, 8, 9,
						   10, 11);
const struct guid scsi_device_guest_instance = GUID_INIT(1, 2, 3, 4, 5, 6, 7,
							 8, 9, 10, 12);

/* A controller: VTL2's, and the guest's. */
struct scsi_device {
	struct guest_memory *memory;
	struct vmbus_server *server; /* that it is offered on */
	unsigned int luns;
};

static struct scsi_device controller[2];
static unsigned int resized;

struct scsi_device *scsi_device_create(const struct guid *instance,
				       struct guest_memory *memory,
				       struct reactor *loop)
{
	struct scsi_device *scsi =
		&controller[instance == &scsi_device_guest_instance];

	(void)loop;
	scsi->memory = memory;
	return scsi;
}

int scsi_device_add(struct scsi_device *scsi, struct medium *medium,
		    const struct disk_option *option, unsigned int *lun)
{
	(void)medium;
	(void)option;
	assert_null(scsi->server);
	*lun = scsi->luns++;
	return 0;
}

int scsi_device_offer(struct scsi_device *scsi, struct vmbus_server *server,
		      unsigned int vps)
{
	assert_int_equal(vps, 4);
	scsi->server = server;
	return 0;
}

void scsi_device_resized(struct scsi_device *scsi, unsigned int lun)
{
	resized = (scsi == controller ? 100 : 200) + lun;
}

const char *scsi_device_unplug(struct scsi_device *scsi)
{
	return scsi == controller ? "not this one" : NULL;
}

const char *scsi_device_plug(struct scsi_device *scsi)
{
	(void)scsi;
	return "it is plugged in";
}

void scsi_device_destroy(struct scsi_device *scsi)
{
	(void)scsi;
}

void scsi_device_print_stats(struct scsi_device *scsi, unsigned int lun,
			     FILE *out)
{
	(void)scsi;
	fprintf(out, "%u", lun);
}

/* ---- the tests ---- */

static struct vmm_options options;
static struct disks *disks;

static void add_option(const char *text)
{
	assert_null(disk_option_parse(text,
				      &options.disks[options.nr_disks++]));
}

static int setup(void **state)
{
	/* Addresses are all that is asked of them. */
	static char thing[4];
	const struct disks_host host = {
		.vtl = VTL2,
		.vps = 4,
		.server = (struct vmbus_server *)&thing[0],
		.memory = (struct guest_memory *)&thing[1],
		.guest_server = (struct vmbus_server *)&thing[2],
		.guest_memory = (struct guest_memory *)&thing[3],
	};

	(void)state;
	options = (struct vmm_options){ .vps = 4, .igvm = "image" };
	memset(controller, 0, sizeof(controller));
	media = offers = resized = 0;
	file_error = resize_error = nvme_error = 0;
	add_option("mem:1M,uh");
	add_option("mem:2M,uh-nvme,ro,block=512e,sgl=off");
	add_option("mem:4M,uh,block=4k,ro");
	add_option("mem:8M");
	disks = disks_open(&options);
	if (!disks || disks_attach(disks, &host))
		return -1;
	/* The guest's disk is the only one on the guest's bus. */
	assert_ptr_equal(controller[0].server, host.server);
	assert_ptr_equal(controller[0].memory, host.memory);
	assert_ptr_equal(controller[1].server, host.guest_server);
	assert_ptr_equal(controller[1].memory, host.guest_memory);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	disks_revoke(disks);
	disks_close(disks);
	for (unsigned int i = 0; i < options.nr_disks; i++)
		disk_option_free(&options.disks[i]);
	return (int)media;
}

static void every_disk_its_way(void **state)
{
	char text[64] = "";
	FILE *out = fmemopen(text, sizeof(text), "w");

	(void)state;
	assert_int_equal(media, 4);
	assert_int_equal(controller[0].luns, 2);
	assert_int_equal(controller[1].luns, 1);
	assert_int_equal(offers, 1);
	assert_string_equal(nvme_text, "VMM00001 512/4096 ro prp q4");
	disks_print_stats(disks, out);
	fclose(out);
	assert_string_equal(text, "[{\"scsi\":0},{\"nvme\":512},{\"scsi\":1},"
				  "{\"scsi\":0}]");
}

static void the_guests_controller_goes(void **state)
{
	(void)state;
	assert_null(disks_scsi_unplug(disks));
	assert_string_equal(disks_scsi_plug(disks), "it is plugged in");
	disks_revoke(disks);
	assert_string_equal(disks_scsi_unplug(disks),
			    "device: the guest has no such of the host");
	assert_string_equal(disks_scsi_plug(disks),
			    "device: the guest has no such of the host");
}

static void settings_name_them_in_order(void **state)
{
	struct json_span value;
	char text[1024];
	FILE *out = fmemopen(text, sizeof(text), "w");
	size_t wrong;

	(void)state;
	fputs("{", out);
	assert_true(disks_print_settings(&options, out));
	fputs("}", out);
	fclose(out);
	assert_string_equal(
		text,
		"{\"storage\":[{\"instance\":"
		"\"5ba1c4f0-7d3e-4b6a-9c21-766d6d000001\","
		"\"luns\":["
		"{\"lun\":0,\"backend\":{\"scsi\":{\"device\":"
		"\"00000001-0002-0003-0405-060708090a0b\",\"lun\":0}}},"
		"{\"lun\":1,\"read_only\":true,\"backend\":{\"nvme\":"
		"{\"device\":\"1d0f2a1e-0002-4e56-8d65-766d6d000001\","
		"\"nsid\":1}}},"
		"{\"lun\":2,\"read_only\":true,\"backend\":{\"scsi\":"
		"{\"device\":\"00000001-0002-0003-0405-060708090a0b\","
		"\"lun\":1}}}]}]}");
	assert_int_equal(json_check(text, strlen(text), &value, &wrong), 0);
	options.nr_disks = 0;
	out = fmemopen(text, sizeof(text), "w");
	assert_false(disks_print_settings(&options, out));
	assert_int_equal(ftell(out), 0);
	fclose(out);
	options.nr_disks = 3;
}

/* A piece of what `disks' answers, which is JSON. */
static void assert_printed(const char *piece)
{
	char text[1024] = "";
	FILE *out = fmemopen(text, sizeof(text), "w");
	struct json_span value;
	size_t wrong;

	disks_print(disks, out);
	fclose(out);
	assert_int_equal(json_check(text, strlen(text), &value, &wrong), 0);
	if (!strstr(text, piece))
		fail_msg("no %s in %s", piece, text);
}

static void namespaces_come_and_go(void **state)
{
	uint8_t nguid[16];

	(void)state;
	assert_printed("\"owner\":\"vtl2\",\"device\":\"nvme\",\"namespaces\":"
		       "[1]}");
	assert_printed("\"device\":\"scsi\",\"lun\":1}");
	assert_printed("\"owner\":\"vtl0\",\"device\":\"scsi\",\"lun\":0}");
	assert_null(disks_nvme_attach(disks, 1, 2, "mem:8M,ro,block=4k"));
	assert_string_equal(nvme_text, "attach 2 8388608 4096/4096 ro");
	memcpy(nguid, last_nguid, sizeof(nguid));
	assert_null(disks_nvme_attach(disks, 1, 3, "file:1024"));
	assert_string_equal(nvme_text, "attach 3 1024 512/512");
	assert_memory_not_equal(nguid, last_nguid, sizeof(nguid));
	assert_int_equal(media, 6);
	assert_printed("\"namespaces\":[1,3,2]}");
	assert_null(disks_nvme_resize(disks, 1, 3, 4096));
	assert_string_equal(nvme_text, "resize 3 4096");
	assert_null(disks_nvme_detach(disks, 1, 2));
	assert_string_equal(nvme_text, "detach 2");
	assert_int_equal(media, 5);
	/* The first one too, and back. */
	assert_null(disks_nvme_detach(disks, 1, 1));
	assert_int_equal(media, 4);
	assert_printed("\"namespaces\":[3]}");
	assert_null(disks_nvme_attach(disks, 1, 1, "mem:1M"));
	assert_null(disks_nvme_detach(disks, 1, 1));
	assert_int_equal(media, 4);
	assert_null(disks_nvme_attach(disks, 1, 1, "mem:1M"));
	/* 3 is left to the end: teardown counts. */
}

static void what_cannot_be_is_named(void **state)
{
	(void)state;
	assert_string_equal(disks_nvme_attach(disks, 4, 2, "mem:1M"),
			    "disk: there is no such --disk");
	assert_string_equal(disks_nvme_attach(disks, 0, 2, "mem:1M"),
			    "disk: is no NVMe disk");
	assert_string_equal(disks_nvme_attach(disks, 1, 2, "mem:64M,synthetic"),
			    "back: only ro and block= can follow");
	assert_string_equal(disks_scsi_resize(disks, 1, 512),
			    "disk: is no SCSI disk of the host");
	assert_string_equal(disks_scsi_resize(disks, 16, 512),
			    "disk: there is no such --disk");
	assert_string_equal(disks_nvme_attach(disks, 1, 2, "mem:1X"),
			    "back: expected a size such as 64M after mem:");
	assert_string_equal(disks_nvme_attach(disks, 1, 2, "mem:1M,uh-nvme"),
			    "back: only ro and block= can follow");
	assert_string_equal(disks_nvme_attach(disks, 1, 2, "mem:1M,sgl=off"),
			    "back: only ro and block= can follow");
	assert_string_equal(disks_nvme_attach(disks, 1, 2, "mem:1M,volatile"),
			    "back: only ro and block= can follow");
	assert_string_equal(disks_nvme_attach(disks, 1, 2,
					      "file:1536,block=4k"),
			    "back: the size must be a multiple of the block, "
			    "4096");
	file_error = -EBUSY;
	assert_string_equal(disks_nvme_attach(disks, 1, 2, "file:512"),
			    "back: another program has it open");
	nvme_error = -EEXIST;
	assert_string_equal(disks_nvme_attach(disks, 1, 2, "mem:1M"),
			    "nsid: there is such a namespace already");
	nvme_error = -ENOSPC;
	assert_string_equal(disks_nvme_attach(disks, 1, 2, "mem:1M"),
			    "nsid: is too big for this controller");
	nvme_error = -ENOENT;
	assert_string_equal(disks_nvme_detach(disks, 1, 2),
			    "nsid: there is no such namespace");
	assert_string_equal(disks_nvme_resize(disks, 1, 2, 512),
			    "nsid: there is no such namespace");
	nvme_error = -EINVAL;
	assert_string_equal(disks_nvme_resize(disks, 1, 1, 513),
			    "size: must be whole blocks that the disk can "
			    "have");
	assert_int_equal(media, 4);
}

static void faults_are_the_controllers(void **state)
{
	const struct nvme_fault fault = { .name = "drop" };

	(void)state;
	assert_null(disks_fault(disks, 1, &fault));
	assert_string_equal(nvme_text, "fault drop of 512");
	assert_string_equal(disks_fault(disks, 0, &fault),
			    "disk: is no NVMe disk");
	assert_string_equal(disks_fault(disks, 7, &fault),
			    "disk: there is no such --disk");
	nvme_error = -EINVAL;
	assert_string_equal(disks_fault(disks, 1, &fault),
			    "count: is too big");
}

/* Off its bus and back, once each, and not before VTL2 let go. */
static void a_controller_is_pulled_and_put_back(void **state)
{
	unsigned int before = offers;

	(void)state;
	revokes = 0;
	assert_string_equal(disks_nvme_plug(disks, 0, false),
			    "disk: is no NVMe disk");
	assert_string_equal(disks_nvme_plug(disks, 1, true),
			    "disk: is plugged in already");
	assert_null(disks_nvme_plug(disks, 1, false));
	assert_int_equal(revokes, 1);
	assert_string_equal(disks_nvme_plug(disks, 1, false),
			    "disk: is not plugged in");
	assert_string_equal(disks_nvme_plug(disks, 1, true),
			    "disk: its guest has not let go of it yet");
	pci_device.server = NULL;
	assert_null(disks_nvme_plug(disks, 1, true));
	assert_int_equal(offers, before + 1);
	assert_string_equal(disks_nvme_plug(disks, 1, true),
			    "disk: is plugged in already");
}

static void luns_change_their_size(void **state)
{
	(void)state;
	assert_null(disks_scsi_resize(disks, 2, 8192));
	assert_int_equal(resized, 101);
	resized = 0;
	assert_string_equal(disks_scsi_resize(disks, 2, 512),
			    "size: must be whole blocks that the disk can "
			    "have");
	resize_error = -ENOSPC;
	assert_string_equal(disks_scsi_resize(disks, 0, 512),
			    "size: No space left on device");
	assert_int_equal(resized, 0);
}

/* A file that is no disk: one line, and what was opened is closed. */
static void a_bad_file_is_one_line(void **state)
{
	unsigned int before = media;
	const char *said;

	(void)state;
	add_option("file:1536,uh,block=4k");
	capture_stderr();
	assert_null(disks_open(&options));
	said = captured_stderr();
	assert_true(is_one_line(said));
	assert_non_null(strstr(said, "vmm: --disk file:1536,uh,block=4k: the "
				     "size must be a multiple"));
	assert_int_equal(media, before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(every_disk_its_way),
		T(the_guests_controller_goes),
		T(settings_name_them_in_order),
		T(namespaces_come_and_go),
		T(what_cannot_be_is_named),
		T(faults_are_the_controllers),
		T(a_controller_is_pulled_and_put_back),
		T(luns_change_their_size),
		T(a_bad_file_is_one_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
