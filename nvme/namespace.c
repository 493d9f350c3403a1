/* SPDX-License-Identifier: MIT */
/*
 * Namespaces, theory of operation
 *
 * Owns: the disk of one namespace: its generic character device and what the
 * device said about itself. Opening it:
 *
 *	look for the controller --> live? --> namespace --> device node
 *	   every 20 ms until the deadline      |
 *	                                       v
 *	                     Identify (libnvme), limits (sysfs) --> disk_info
 *
 * What happens to the disk afterwards: ring_disk_life.c; to its requests:
 * ring_disk.c and passthrough.c. While the controller is being reset the disk
 * is there: its commands wait and are sent again (status.c).
 *
 * Threads: nvme_open() and close() on one thread; info() and inspect() on any.
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
#define RESCAP_TYPES 0x7e

static uint16_t id16(__le16 v)
{
	return le16_to_cpu((__force le16)v);
}

static uint32_t id32(__le32 v)
{
	return le32_to_cpu((__force le32)v);
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
	if (id16(id->nabo)) /* the boundaries are off by so much */
		atomic = 1;
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

/*
 * A discard that neither starts nor ends inside of a unit of the device: NPDG
 * is what its length, NPDA what its start should be a multiple of (NVM Command
 * Set Specification 1.0, figure 97). A unit that is a multiple of both, counted
 * from block 0, does.
 */
static void describe_discard(struct namespace *ns,
			     const struct nvme_id_ctrl *ctrl,
			     const struct nvme_id_ns *id,
			     const struct queue_limits *limits)
{
	uint64_t unit = 1, start = 1, a, b;

	ns->ring.limit[DISK_DISCARD] = smaller(limits->discard_bytes /
				     ns->ring.info.block_size, UINT32_MAX);
	if (!ns->ring.limit[DISK_DISCARD] ||
	    !(id16(ctrl->oncs) & NVME_CTRL_ONCS_DSM))
		return;
	if (id->nsfeat & NVME_NS_FEAT_IO_OPT) {
		unit = id16(id->npdg) + 1u;
		start = id16(id->npda) + 1u;
	}
	for (a = unit, b = start; b;) {
		uint64_t rest = a % b;

		a = b;
		b = rest;
	}
	ns->ring.info.discard_granularity = smaller(unit / a * start,
						    UINT32_MAX);
	ns->ring.info.discard_zeroes = (id->dlfeat & NVME_NS_DLFEAT_RB) ==
				  NVME_NS_DLFEAT_RB_ALL_0S;
}

static void describe_zeroes(struct namespace *ns,
			    const struct nvme_id_ctrl *ctrl,
			    const struct nvme_id_ns *id,
			    const struct queue_limits *limits)
{
	ns->ring.limit[DISK_WRITE_ZEROES] = smaller(limits->zeroes_bytes /
				    ns->ring.info.block_size,
				    MAX_BLOCKS_PER_COMMAND);
	ns->ring.info.write_zeroes = ns->ring.limit[DISK_WRITE_ZEROES] &&
				id16(ctrl->oncs) & NVME_CTRL_ONCS_WRITE_ZEROES;
	ns->ring.info.write_zeroes_unmap =
		ns->ring.info.write_zeroes &&
		id->dlfeat & NVME_NS_DLFEAT_WRITE_ZEROES &&
		(id->dlfeat & NVME_NS_DLFEAT_RB) == NVME_NS_DLFEAT_RB_ALL_0S;
}

/* Compare is limited as data are; Verify by VSL (0: not), and no command of
 * ours makes the device work for longer than data would. */
static void describe_checks(struct namespace *ns,
			    const struct nvme_id_ctrl *ctrl,
			    const struct nvme_id_ctrl_nvm *nvm,
			    const struct queue_limits *limits)
{
	uint64_t bytes = limits->max_bytes;

	if (nvm->vsl && nvm->vsl < 32)
		bytes = smaller(bytes, (uint64_t)GUEST_PAGE_SIZE << nvm->vsl);
	ns->ring.limit[DISK_VERIFY] = smaller(bytes / ns->ring.info.block_size,
				    MAX_BLOCKS_PER_COMMAND);
	ns->ring.info.compare = id16(ctrl->oncs) & NVME_CTRL_ONCS_COMPARE;
	ns->ring.info.verify = ns->ring.limit[DISK_VERIFY] &&
			  id16(ctrl->oncs) & NVME_CTRL_ONCS_VERIFY;
}

static void describe_preferences(struct disk_info *info,
				 const struct nvme_id_ns *id)
{
	uint64_t blocks = id16(id->noiob);

	if (id->nsfeat & NVME_NS_FEAT_IO_OPT && id16(id->nows))
		blocks = id16(id->nows) + 1u;
	/* What nobody can ask for is no help. */
	if (blocks * info->block_size <= info->max_transfer)
		info->optimal_transfer = (uint32_t)blocks * info->block_size;
}

/* Types stand where struct disk_info has them. */
static void describe_reservations(struct disk_info *info,
				  const struct nvme_id_ctrl *ctrl,
				  const struct nvme_id_ns *id)
{
	if (!(id16(ctrl->oncs) & NVME_CTRL_ONCS_RESERVATIONS) ||
	    !(id32(ctrl->ctratt) & NVME_CTRL_CTRATT_128_ID))
		return;
	info->reservation_types = id->rescap & RESCAP_TYPES;
	info->reservation_persist = info->reservation_types &&
				    id->rescap & NVME_NS_RESCAP_PTPL;
}

const char *namespace_describe(struct namespace *ns,
			       const struct nvme_id_ctrl *ctrl,
			       const struct nvme_id_ctrl_nvm *nvm,
			       const struct nvme_id_ns *id,
			       const struct queue_limits *limits)
{
	struct disk_info *info = &ns->ring.info;
	const char *rule = describe_blocks(info, ctrl, id);

	if (!rule)
		rule = describe_transfer(info, limits);
	if (rule)
		return rule;
	describe_discard(ns, ctrl, id, limits);
	describe_zeroes(ns, ctrl, id, limits);
	describe_checks(ns, ctrl, nvm, limits);
	describe_preferences(info, id);
	describe_reservations(info, ctrl, id);
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

/*
 * Reservations are between hosts, so that there are none without our name.
 * The identifier belongs to the controller: all its namespaces set the same.
 */
static void introduce(struct namespace *ns, const struct nvme_config *config)
{
	static const uint8_t none[16];
	int err;

	if (!ns->ring.info.reservation_types)
		return;
	if (memcmp(config->host_id, none, sizeof(none))) {
		err = host_id_set(ns, config->host_id);
		if (!err)
			return;
		log_warn("%s: no reservations: Host Identifier: %s",
			 ns->ring.name, nvme_result_text(err));
	}
	ns->ring.info.reservation_types = 0;
	ns->ring.info.reservation_persist = false;
}

/* Admin commands block; the kernel bounds each by its own timeout. */
static int identify(struct namespace *ns)
{
	struct {
		struct nvme_id_ctrl ctrl;
		struct nvme_id_ns id;
		struct nvme_id_ctrl_nvm nvm;
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
		log_err("%s: Identify: %s", ns->ring.name,
			nvme_result_text(err < 0 ? -errno : err));
		err = -EIO;
		goto out_free;
	}
	/* Devices before 2.0 do not have it. */
	if (nvme_nvm_identify_ctrl(ns->fd, &page->nvm))
		memset(&page->nvm, 0, sizeof(page->nvm));
	err = controller_limits(ns->controller, ns->ring.name, &limits);
	if (err) {
		log_err("%s: limits in sysfs: %s", ns->ring.name,
			strerror(-err));
		goto out_free;
	}
	rule = namespace_describe(ns, &page->ctrl, &page->nvm, &page->id,
				  &limits);
	if (rule) {
		log_err("%s: not supported unless %s", ns->ring.name, rule);
		err = -EOPNOTSUPP;
	}
out_free:
	free(page);
	return err;
}

/* Steps of the wait, in order; the text says what is missing. */
static const char *look(struct namespace *ns, const struct nvme_config *config)
{
	if (config->like) {
		if (controller_namespace_like("", config->like, &ns->nsid,
					      ns->controller, ns->ring.name))
			return "no namespace with these identifiers";
		goto open;
	}
	if (controller_find("", &config->device, ns->controller))
		return "no NVMe controller";
	if (!controller_is_live(ns->controller))
		return "controller is not live";
	if (controller_namespace(ns->controller, ns->nsid, ns->ring.name))
		return "no such namespace";
open:
	ns->fd = controller_open_generic("", ns->ring.name);
	return ns->fd < 0 ? "no generic character device" : NULL;
}

static int wait_for(struct namespace *ns, const struct nvme_config *config)
{
	uint64_t deadline = reactor_now() + config->wait_ms * NS_PER_MS;
	const struct timespec pause = { .tv_nsec = LOOK_EVERY_NS };
	char guid[GUID_TEXT_SIZE];
	const char *missing;

	while ((missing = look(ns, config))) {
		if (!config->wait_ms)
			return -ETIMEDOUT;
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

static void namespace_inspect(struct disk *disk, struct inspect *out)
{
	struct namespace *ns = (struct namespace *)disk;

	inspect_text(out, "name", ns->ring.name);
	inspect_text(out, "serial", ns->ring.info.serial);
	inspect_u64(out, "nsid", ns->nsid);
	ring_disk_describe(&ns->ring, out);
}

/* A controller that was reset, or may have been, and is there again. */
static void introduce_again(struct namespace *ns)
{
	if (ns->ring.info.reservation_types && uevent_reactor())
		host_id_renew(ns, uevent_reactor());
}

/* The controller: the namespaces of one that goes may not be told of. */
void namespace_event(struct ring_disk *disk, const struct uevent *event)
{
	struct namespace *ns = (struct namespace *)disk;

	if (!event) {
		/* Of one that is not live we shall be told when it is. */
		if (controller_is_live(ns->controller))
			introduce_again(ns);
		return;
	}
	if (strcmp(event->subsystem, "nvme") ||
	    strcmp(event->name, strrchr(ns->controller, '/') + 1))
		return;
	if (event->action == UEVENT_REMOVE)
		ring_disk_lost(disk);
	else if (event->connected)
		introduce_again(ns);
}

static void namespace_close(struct disk *disk)
{
	struct namespace *ns = (struct namespace *)disk;

	ring_disk_end(&ns->ring);
	close(ns->fd);
	ring_disk_destroy(&ns->ring);
	free(ns);
}

static const struct disk_ops namespace_ops = {
	.name = "nvme",
	.info = ring_disk_info,
	.queue_open = ring_disk_queue_open,
	.queue_close = ring_disk_queue_close,
	.submit = ring_disk_submit,
	.inspect = namespace_inspect,
	.close = namespace_close,
};

static const struct ring_ops passthrough = {
	.fill = passthrough_fill,
	.judge = passthrough_judge,
	.text = nvme_result_text,
	.answer = passthrough_answer,
	.event = namespace_event,
};

int nvme_open(const struct nvme_config *config, struct guest_memory *memory,
	      struct disk **disk)
{
	struct namespace *ns = calloc(1, sizeof(*ns));
	int err;

	if (!ns)
		return -ENOMEM;
	ring_disk_init(&ns->ring, &namespace_ops, &passthrough, memory);
	ns->nsid = config->nsid;
	err = wait_for(ns, config);
	if (err)
		goto out_free;
	err = identify(ns);
	if (err)
		goto out_close;
	introduce(ns, config);
	ns->ring.info.read_only |= config->read_only;
	snprintf(ns->ring.sysfs, sizeof(ns->ring.sysfs), "%s/%s",
		 ns->controller, ns->ring.name);
	log_info("%s: %llu blocks of %u bytes, %u KiB a command, serial \"%s\"",
		 ns->ring.name, (unsigned long long)ns->ring.info.blocks,
		 ns->ring.info.block_size, ns->ring.info.max_transfer / 1024,
		 ns->ring.info.serial);
	ring_disk_begin(&ns->ring);
	*disk = &ns->ring.disk;
	return 0;
out_close:
	close(ns->fd);
out_free:
	ring_disk_destroy(&ns->ring);
	free(ns);
	return err;
}
