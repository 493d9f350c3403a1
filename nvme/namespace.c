/* SPDX-License-Identifier: MIT */
/*
 * Namespaces, theory of operation
 *
 * Owns: the disk of one namespace: its generic character device, what the
 * device said about itself, the list of its queues. Opening it:
 *
 *	look for the controller --> live? --> namespace --> device node
 *	   every 20 ms until the deadline      |
 *	                                       v
 *	                     Identify (libnvme), limits (sysfs) --> disk_info
 *
 * States of the disk afterwards:
 *
 *	LIVE --- a command says ENODEV or Invalid Namespace ---> GONE
 *
 * While the controller is being reset the disk is LIVE: its commands wait and
 * are sent again (status.c). GONE is for ever; every request ends in DISK_GONE.
 *
 * Data go straight to guest memory if that is registered with io_uring and
 * the self-test at start found the device there; otherwise all are copied.
 *
 * Threads: nvme_open() and close() on one thread; a queue on its reactor;
 * info() and inspect() on any. The list of queues has a lock.
 *
 * Failure answers: what the device says is checked as a whole before a disk
 * comes of it; a disk that would be wrong is not offered, with the reason.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <nvme/ioctl.h>

#include <le.h>
#include <pv/inspect.h>
#include <pv/log.h>

#include "namespace.h"
#include "status.h"

LOG_MODULE("nvme");

#define LOOK_EVERY_NS 20000000l
#define NS_PER_MS 1000000ull
/* What one request may carry, however much the device takes. */
#define MAX_TRANSFER (1u << 20)
#define MAX_RANGES 257 /* of whole pages, with ragged ends */
#define MIN_BLOCK_SHIFT 9
#define MAX_BLOCK_SHIFT 12
#define MAX_BLOCKS_PER_COMMAND 65536 /* NLB has 16 bits, zero-based */

static uint16_t id16(__le16 v)
{
	return le16_to_cpu((__force le16)v);
}

static uint64_t id64(__le64 v)
{
	return le64_to_cpu((__force le64)v);
}

static uint32_t smaller(uint64_t a, uint64_t b)
{
	return (uint32_t)(a < b ? a : b);
}

static uint32_t power_of_two_below(uint32_t v)
{
	return v ? 1u << (31 - __builtin_clz(v)) : 0;
}

/* Serial Number is padded with blanks, and is the device's to get wrong. */
static void copy_serial(char *to, const char sn[20])
{
	int len = 20;

	while (len && (sn[len - 1] == ' ' || !sn[len - 1]))
		len--;
	for (int i = 0; i < len; i++)
		to[i] = sn[i] > ' ' && sn[i] < 0x7f ? sn[i] : '_';
	to[len] = '\0';
}

/* The write granularity without penalty, as far as it is atomic as well: NVM
 * Command Set Specification 1.0, 5.8.1 and figure 97. */
static uint32_t physical_blocks(const struct nvme_id_ctrl *ctrl,
				const struct nvme_id_ns *id)
{
	uint32_t preferred = 1, atomic = id16(ctrl->awupf) + 1u;

	if (id->nsfeat & NVME_NS_FEAT_IO_OPT)
		preferred = id16(id->npwg) + 1u;
	if (id->nsfeat & NVME_NS_FEAT_NATOMIC && id16(id->nawupf))
		atomic = id16(id->nawupf) + 1u;
	/* More than a logical unit can say helps nobody. */
	return smaller(power_of_two_below(smaller(preferred, atomic)), 1 << 15);
}

static const char *describe_blocks(struct disk_info *info,
				   const struct nvme_id_ctrl *ctrl,
				   const struct nvme_id_ns *id)
{
	unsigned int format = id->flbas & NVME_NS_FLBAS_LOWER_MASK;
	unsigned int shift;

	if (id->nlbaf >= 16) /* FLBAS bits 6:5 count from there on */
		format |= (id->flbas & NVME_NS_FLBAS_HIGHER_MASK) >> 1;
	if (format > id->nlbaf)
		return "FLBAS names a format that exists";
	shift = id->lbaf[format].ds;
	if (shift < MIN_BLOCK_SHIFT || shift > MAX_BLOCK_SHIFT)
		return "blocks have 512 to 4096 bytes";
	if (id->lbaf[format].ms)
		return "blocks have no metadata";
	info->blocks = id64(id->nsze);
	if (!info->blocks || info->blocks > UINT64_MAX >> shift)
		return "NSZE is neither 0 nor more than 64 bits of bytes";
	info->block_size = 1u << shift;
	info->physical_block_size = physical_blocks(ctrl, id) << shift;
	return NULL;
}

/* One range of `info->max_ranges` may be ragged at both ends: the kernel
 * counts it as one segment more. */
static const char *describe_transfer(struct disk_info *info,
				     const struct queue_limits *limits)
{
	uint64_t bytes = smaller(limits->max_bytes, MAX_TRANSFER);

	info->max_ranges = smaller(limits->max_segments, MAX_RANGES);
	if (info->max_ranges < 2)
		return "two segments can be transferred";
	bytes = smaller(bytes, (uint64_t)(info->max_ranges - 1) *
				       GUEST_PAGE_SIZE);
	info->max_transfer = (uint32_t)bytes & ~(info->block_size - 1);
	if (!info->max_transfer)
		return "one block can be transferred";
	info->gap_mask = limits->gap_mask;
	info->range_alignment = power_of_two_below(limits->alignment);
	if (info->range_alignment != limits->alignment ||
	    info->gap_mask & (info->gap_mask + 1))
		return "alignment and boundary are powers of two";
	return NULL;
}

const char *namespace_describe(struct namespace *ns,
			       const struct nvme_id_ctrl *ctrl,
			       const struct nvme_id_ns *id,
			       const struct queue_limits *limits)
{
	struct disk_info *info = &ns->info;
	const char *rule = describe_blocks(info, ctrl, id);

	if (!rule)
		rule = describe_transfer(info, limits);
	if (rule)
		return rule;
	ns->discard_blocks = limits->discard_bytes / info->block_size;
	if (ns->discard_blocks > UINT32_MAX)
		ns->discard_blocks = UINT32_MAX;
	ns->zeroes_blocks = smaller(limits->zeroes_bytes / info->block_size,
				    MAX_BLOCKS_PER_COMMAND);
	if (ns->discard_blocks && id16(ctrl->oncs) & NVME_CTRL_ONCS_DSM) {
		info->discard_granularity = 1;
		if (id->nsfeat & NVME_NS_FEAT_IO_OPT)
			info->discard_granularity = id16(id->npdg) + 1u;
	}
	info->write_zeroes = ns->zeroes_blocks &&
			     id16(ctrl->oncs) & NVME_CTRL_ONCS_WRITE_ZEROES;
	info->write_cache = ctrl->vwc & NVME_CTRL_VWC_PRESENT;
	info->fua = true;
	info->read_only = limits->read_only ||
			  id->nsattr & NVME_NS_NSATTR_WRITE_PROTECTED;
	copy_serial(info->serial, ctrl->sn);
	memcpy(info->nguid, id->nguid, sizeof(info->nguid));
	memcpy(info->eui64, id->eui64, sizeof(info->eui64));
	ns->crdt[0] = id16(ctrl->crdt1);
	ns->crdt[1] = id16(ctrl->crdt2);
	ns->crdt[2] = id16(ctrl->crdt3);
	return NULL;
}

/* Admin commands block; the kernel bounds each by its own timeout. */
static int identify(struct namespace *ns)
{
	struct {
		struct nvme_id_ctrl ctrl;
		struct nvme_id_ns id;
	} *page;
	struct queue_limits limits;
	const char *rule;
	int err;

	page = aligned_alloc(4096, sizeof(*page));
	if (!page)
		return -ENOMEM;
	err = nvme_identify_ctrl(ns->fd, &page->ctrl);
	if (!err)
		err = nvme_identify_ns(ns->fd, ns->nsid, &page->id);
	if (err) {
		log_err("%s: Identify: %s", ns->name,
			nvme_result_text(err < 0 ? -errno : err));
		err = -EIO;
		goto out_free;
	}
	err = controller_limits(ns->controller, ns->name, &limits);
	if (err) {
		log_err("%s: limits in sysfs: %s", ns->name, strerror(-err));
		goto out_free;
	}
	rule = namespace_describe(ns, &page->ctrl, &page->id, &limits);
	if (rule) {
		log_err("%s: not supported unless %s", ns->name, rule);
		err = -EOPNOTSUPP;
	}
out_free:
	free(page);
	return err;
}

/* Steps of the wait, in order; the text says what is missing. */
static const char *look(struct namespace *ns, const struct nvme_config *config)
{
	if (controller_find("", &config->device, ns->controller))
		return "no NVMe controller";
	if (!controller_is_live(ns->controller))
		return "controller is not live";
	if (controller_namespace(ns->controller, ns->nsid, ns->name))
		return "no such namespace";
	ns->fd = controller_open_generic("", ns->name);
	return ns->fd < 0 ? "no generic character device" : NULL;
}

static int wait_for(struct namespace *ns, const struct nvme_config *config)
{
	uint64_t deadline = reactor_now() + config->wait_ms * NS_PER_MS;
	const struct timespec pause = { .tv_nsec = LOOK_EVERY_NS };
	char guid[GUID_TEXT_SIZE];
	const char *missing;

	while ((missing = look(ns, config))) {
		if (reactor_now() >= deadline) {
			log_err("device %s, namespace %u: %s after %u ms",
				guid_print(&config->device, guid), ns->nsid,
				missing, config->wait_ms);
			return -ETIMEDOUT;
		}
		nanosleep(&pause, NULL);
	}
	return 0;
}

static void namespace_info(struct disk *disk, struct disk_info *info)
{
	*info = ((struct namespace *)disk)->info;
}

static void inspect_queue(const struct disk_queue *queue, struct inspect *out)
{
	const struct queue_counters *c = &queue->counters;

	inspect_u64(out, "outstanding", queue->outstanding);
	inspect_u64(out, "reads", c->reads);
	inspect_u64(out, "writes", c->writes);
	inspect_u64(out, "flushes", c->flushes);
	inspect_u64(out, "discards", c->discards);
	inspect_u64(out, "write_zeroes", c->zeroes);
	inspect_u64(out, "commands", c->commands);
	inspect_u64(out, "direct_bytes", c->direct_bytes);
	inspect_u64(out, "copied_bytes", c->copied_bytes);
	inspect_u64(out, "retries", c->retries);
	inspect_u64(out, "resets", c->resets);
	inspect_u64(out, "errors", c->errors);
	inspect_u64(out, "invalid", c->invalid);
}

static void namespace_inspect(struct disk *disk, struct inspect *out)
{
	struct namespace *ns = (struct namespace *)disk;
	unsigned int n = 0;
	char name[16];

	inspect_text(out, "name", ns->name);
	inspect_text(out, "serial", ns->info.serial);
	inspect_u64(out, "nsid", ns->nsid);
	inspect_u64(out, "blocks", ns->info.blocks);
	inspect_u64(out, "block_size", ns->info.block_size);
	inspect_u64(out, "max_transfer", ns->info.max_transfer);
	inspect_bool(out, "gone", atomic_load(&ns->gone));
	inspect_bool(out, "copy_all", atomic_load(&ns->copy_all));
	pthread_mutex_lock(&ns->queues_lock);
	for (struct disk_queue *q = ns->queues; q; q = q->next) {
		snprintf(name, sizeof(name), "queue%u", n++);
		if (inspect_begin(out, name)) {
			inspect_queue(q, out);
			inspect_end(out);
		}
	}
	pthread_mutex_unlock(&ns->queues_lock);
}

static void namespace_close(struct disk *disk)
{
	struct namespace *ns = (struct namespace *)disk;

	pv_bug(ns->queues, ns->nsid, (uintptr_t)ns->queues);
	close(ns->fd);
	pthread_mutex_destroy(&ns->queues_lock);
	free(ns);
}

static const struct disk_ops namespace_ops = {
	.name = "nvme",
	.info = namespace_info,
	.queue_open = passthrough_open,
	.queue_close = passthrough_close,
	.submit = passthrough_submit,
	.inspect = namespace_inspect,
	.close = namespace_close,
};

int nvme_open(const struct nvme_config *config, struct guest_memory *memory,
	      struct disk **disk)
{
	struct namespace *ns = calloc(1, sizeof(*ns));
	int err;

	if (!ns)
		return -ENOMEM;
	ns->disk.ops = &namespace_ops;
	ns->memory = memory;
	ns->nsid = config->nsid;
	pthread_mutex_init(&ns->queues_lock, NULL);
	err = wait_for(ns, config);
	if (err)
		goto out_free;
	err = identify(ns);
	if (err)
		goto out_close;
	ns->info.read_only |= config->read_only;
	log_info("%s: %llu blocks of %u bytes, %u KiB a command, serial \"%s\"",
		 ns->name, (unsigned long long)ns->info.blocks,
		 ns->info.block_size, ns->info.max_transfer / 1024,
		 ns->info.serial);
	*disk = &ns->disk;
	return 0;
out_close:
	close(ns->fd);
out_free:
	pthread_mutex_destroy(&ns->queues_lock);
	free(ns);
	return err;
}
