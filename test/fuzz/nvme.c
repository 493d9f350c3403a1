// SPDX-License-Identifier: MIT
/*
 * What an NVMe device says: completions, and identify data.
 *
 * Input: fields of the controller's and the namespace's identify data, what
 * the kernel found as limits, then LBA formats; events; the rest is
 * completions, each with what is known of its command, commands and
 * reservation reports.
 *
 * A namespace is refused with a line, or becomes a disk whose figures make
 * sense, and that hears events of the kernel; opening, events and closing are
 * why this target is slower than others (some 28,000 inputs a second).
 * Completions: what says "do not retry" is not retried, nothing is retried for
 * ever, success is only what the device called so. A command names the blocks
 * that it was asked to.
 */
#include <errno.h>
#include <string.h>

#include <pv/inspect.h>

#include "nvme/command.h"
#include "nvme/namespace.h"
#include "nvme/reservation.h"
#include "nvme/status.h"
#include "test/fuzz/fuzz.h"

#define MAX_COMPLETIONS 32
#define DNR 0x4000
#define NO_FD 1000000 /* closing it does nothing */
#define MIB (1u << 20)
/* Byte offsets in struct io_uring_sqe (linux/io_uring.h). */
#define SQE_FD 4
#define SQE_CMD_OP 8
#define SQE_CMD 48

static union {
	struct nvme_id_ctrl ctrl;
	uint8_t byte[4096];
} ctrl;
static union {
	struct nvme_id_ns ns;
	uint8_t byte[4096];
} id;
static struct queue_limits limits;
static struct namespace *opened;
static bool is_live;
static uint32_t admin_result;
static int host_result, size_error;
static uint64_t kernel_size;
static struct uevent_source *subscribed;
static uint8_t vsl;

/* The kernel, the library and the rest of the module. */

int controller_find(const char *root, const struct guid *device, char *path)
{
	(void)root;
	(void)device;
	strcpy(path, "/sys/nvme0");
	return 0;
}

bool controller_is_live(const char *path)
{
	(void)path;
	return is_live;
}

int controller_namespace(const char *path, uint32_t nsid, char *name)
{
	(void)path;
	(void)nsid;
	strcpy(name, "nvme0n1");
	return 0;
}

/* Only a disk that was lost is looked for so. */
int controller_namespace_like(const char *root, const struct disk_info *like,
			      uint32_t *nsid, char *path, char *name)
{
	(void)root;
	(void)like;
	(void)nsid;
	(void)path;
	(void)name;
	return -ENOENT;
}

int controller_limits(const char *path, const char *name,
		      struct queue_limits *to)
{
	(void)path;
	(void)name;
	*to = limits;
	return 0;
}

int controller_open_generic(const char *root, const char *name)
{
	(void)root;
	(void)name;
	return NO_FD;
}

int nvme_identify(struct nvme_identify_args *args)
{
	if (admin_result) {
		errno = EIO;
		return admin_result % 2 ? -1 : (int)(admin_result & 0xffff);
	}
	switch ((int)args->cns) {
	case NVME_IDENTIFY_CNS_CSI_CTRL:
		*(uint8_t *)args->data = vsl;
		return vsl == 0xff; /* does not know it */
	case NVME_IDENTIFY_CNS_CTRL:
		memcpy(args->data, ctrl.byte, 4096);
		return 0;
	}
	memcpy(args->data, id.byte, 4096);
	return 0;
}

int host_id_set(struct namespace *ns, const uint8_t host_id[16])
{
	fuzz_expect(host_id[0], 0, 0);
	fuzz_expect(ns->ring.info.reservation_types, 0, 0);
	return host_result - 1;
}

void host_id_renew(struct namespace *ns, struct reactor *r)
{
	(void)r;
	fuzz_expect(ns->ring.info.reservation_types, 0, 0);
}

void uevent_subscribe(struct uevent_source *source)
{
	subscribed = source;
}

void uevent_unsubscribe(struct uevent_source *source)
{
	fuzz_expect(subscribed == source, 0, 0);
	subscribed = NULL;
}

void uevent_look(struct uevent_source *source)
{
	fuzz_expect(subscribed == source, 0, 0);
}

struct reactor *uevent_reactor(void)
{
	return (struct reactor *)&limits; /* any will do */
}

int controller_size(const char *dir, uint64_t *bytes)
{
	(void)dir;
	*bytes = kernel_size;
	return size_error;
}

uint32_t controller_deadline(const char *dir)
{
	(void)dir;
	return 0;
}

uint64_t reactor_now(void)
{
	return 1;
}

int ring_disk_queue_open(struct disk *disk, struct reactor *r,
			 unsigned int depth, struct disk_queue **queue)
{
	(void)disk;
	(void)r;
	(void)depth;
	*queue = NULL;
	return -ENOSYS;
}

void ring_disk_queue_close(struct disk_queue *queue)
{
	(void)queue;
}

void ring_disk_submit(struct disk_queue *queue, struct disk_request **reqs,
		      unsigned int nr)
{
	(void)queue;
	(void)reqs;
	(void)nr;
}

void passthrough_fill(struct ring_disk *disk, struct command *command,
		      struct io_uring_sqe *sqe, uint64_t lba)
{
	(void)disk;
	(void)command;
	(void)sqe;
	(void)lba;
}

struct nvme_verdict passthrough_judge(struct ring_disk *disk,
				      struct command *command, int32_t res)
{
	(void)disk;
	(void)command;
	(void)res;
	return (struct nvme_verdict){ .status = DISK_FAILED };
}

void passthrough_answer(struct ring_disk *disk, struct command *command)
{
	(void)disk;
	(void)command;
}

/* The input. */

static void get(struct fuzz_input *in, void *to, size_t size)
{
	fuzz_take(in, to, size);
}

static void get_identify(struct fuzz_input *in)
{
	unsigned int formats;

	memset(&ctrl, 0, sizeof(ctrl));
	memset(&id, 0, sizeof(id));
	get(in, ctrl.ctrl.sn, sizeof(ctrl.ctrl.sn));
	get(in, &ctrl.ctrl.crdt1, 6);
	get(in, &ctrl.ctrl.ctratt, 1);
	get(in, &ctrl.ctrl.oncs, 2);
	get(in, &ctrl.ctrl.vwc, 1);
	get(in, &ctrl.ctrl.awupf, 2);
	get(in, &id.ns.nsze, 8);
	get(in, &id.ns.nsfeat, 1);
	get(in, &id.ns.nlbaf, 1);
	get(in, &id.ns.flbas, 1);
	get(in, &id.ns.rescap, 1);
	get(in, &id.ns.dlfeat, 1);
	get(in, &id.ns.nawupf, 2);
	get(in, &id.ns.nabo, 2);
	get(in, &id.ns.noiob, 2);
	get(in, &id.ns.npwg, 2);
	get(in, &id.ns.npdg, 2);
	get(in, &id.ns.npda, 2);
	get(in, &id.ns.nows, 2);
	get(in, &id.ns.nsattr, 1);
	get(in, id.ns.nguid, 16);
	get(in, id.ns.eui64, 8);
	/* What controller_limits() lets pass. */
	limits.max_bytes = (1 + fuzz_number(in, 4)) * 1024;
	limits.max_segments = 1 + (uint32_t)fuzz_number(in, 2) % 65535;
	limits.gap_mask = (uint32_t)fuzz_number(in, 4);
	limits.alignment = 1 + (uint32_t)fuzz_number(in, 2) % 4096;
	limits.discard_bytes = fuzz_number(in, 8);
	limits.zeroes_bytes = fuzz_number(in, 8);
	limits.read_only = fuzz_number(in, 1) & 1;
	vsl = (uint8_t)fuzz_number(in, 1);
	host_result = 1 + (int)(fuzz_number(in, 1) >> 6);
	is_live = fuzz_number(in, 1) != 0xff;
	admin_result = (uint32_t)fuzz_number(in, 1) >> 4;
	for (formats = fuzz_number(in, 1) % 8; formats; formats--)
		get(in, &id.ns.lbaf[fuzz_number(in, 1) % 64], 4);
}

/* A disk. */

static bool power_of_two(uint64_t v)
{
	return v && !(v & (v - 1));
}

static void check_info(const struct disk_info *i)
{
	fuzz_expect(power_of_two(i->block_size) && i->block_size >= 512 &&
		    i->block_size <= 4096, i->block_size, 0);
	fuzz_expect(i->blocks && i->blocks <= UINT64_MAX / i->block_size,
		    i->blocks, i->block_size);
	fuzz_expect(i->physical_block_size >= i->block_size &&
		    i->physical_block_size % i->block_size == 0,
		    i->physical_block_size, i->block_size);
	fuzz_expect(i->max_transfer && i->max_transfer % i->block_size == 0 &&
		    i->max_transfer <= MIB, i->max_transfer, i->block_size);
	fuzz_expect(i->max_ranges >= 2 &&
		    i->max_transfer / 4096 < i->max_ranges, i->max_ranges,
		    i->max_transfer);
	fuzz_expect(power_of_two(i->range_alignment), i->range_alignment, 0);
	fuzz_expect(i->optimal_transfer <= i->max_transfer &&
		    i->optimal_transfer % i->block_size == 0,
		    i->optimal_transfer, i->max_transfer);
	fuzz_expect(!i->discard_alignment ||
		    i->discard_alignment < i->discard_granularity,
		    i->discard_alignment, i->discard_granularity);
	fuzz_expect(!(i->reservation_types & ~0x7e), i->reservation_types, 0);
	fuzz_expect(i->write_zeroes || !i->write_zeroes_unmap, 0, 0);
	fuzz_expect(!((uint64_t)i->gap_mask & ((uint64_t)i->gap_mask + 1)),
		    i->gap_mask, 0);
	fuzz_expect(memchr(i->serial, 0, sizeof(i->serial)), 0, 0);
	for (const char *c = i->serial; *c; c++)
		fuzz_expect(*c > ' ' && *c < 0x7f, *c, c - i->serial);
}

static void describe(void *object, struct inspect *out)
{
	(void)object;
	opened->ring.disk.ops->inspect(&opened->ring.disk, out);
}

static unsigned int told[2];

static void tell(struct disk *disk, enum disk_event event)
{
	fuzz_expect(disk == &opened->ring.disk && event <= DISK_LOST, event, 0);
	told[event]++;
}

/* What the kernel says of devices with the names of ours and others. */
static void events(struct fuzz_input *in)
{
	static const char *const names[] = { "nvme0n1", "nvme0", "nvme1" };
	static const char *const subsystems[] = { "block", "nvme", "pci" };

	memset(told, 0, sizeof(told));
	opened->ring.disk.event = tell;
	for (unsigned int n = fuzz_number(in, 1) % 8; n; n--) {
		uint8_t what = (uint8_t)fuzz_number(in, 1);
		const struct uevent event = {
			.action = what % 4,
			.name = names[what / 4 % 3],
			.subsystem = subsystems[what / 12 % 3],
			.resized = what & 0x40,
			.connected = what & 0x80,
		};
		struct disk_info before, now;

		kernel_size = fuzz_number(in, 8);
		size_error = what & 0x20 ? -ENOENT : what & 0x10 ? -EINVAL : 0;
		opened->ring.disk.ops->info(&opened->ring.disk, &before);
		subscribed->fn(subscribed, what == 0xff ? NULL : &event);
		opened->ring.disk.ops->info(&opened->ring.disk, &now);
		fuzz_expect(now.blocks, before.blocks, kernel_size);
		fuzz_expect(now.blocks == before.blocks || told[DISK_RESIZED],
			    now.blocks, before.blocks);
		fuzz_expect(told[DISK_LOST] <= 1, told[DISK_LOST], 0);
	}
	fuzz_expect(opened->ring.gone == told[DISK_LOST], opened->ring.gone, 0);
}

static void open_namespace(struct fuzz_input *in, uint32_t nsid)
{
	static struct inspect_entry entry = { "disk", describe, NULL, NULL };
	static struct guest_memory memory;
	static char json[4096];
	static bool registered;
	struct nvme_config config = { .nsid = nsid,
				      .host_id = { nsid & 1 } };
	struct disk_queue queue = { .depth = 1 };
	struct disk_info info;
	struct disk *disk;
	int err = nvme_open(&config, &memory, &disk);

	/* One more when the host identifier was refused; none of a disk that is
	 * not there at the only look. */
	fuzz_expect(fuzz_log_lines() == 1 ||
		    (err == -ETIMEDOUT && !fuzz_log_lines()) ||
		    (!err && fuzz_log_lines() == 2 && host_result != 1),
		    fuzz_log_lines(), err);
	if (err) {
		fuzz_expect(err == -ETIMEDOUT || err == -EIO ||
			    err == -EOPNOTSUPP, err, 0);
		return;
	}
	fuzz_accept();
	disk->ops->info(disk, &info);
	check_info(&info);
	opened = (struct namespace *)disk;
	fuzz_expect(opened->ring.limit[DISK_WRITE_ZEROES] <= 65536,
		    opened->ring.limit[DISK_WRITE_ZEROES], 0);
	opened->ring.queues = &queue;
	if (!registered)
		inspect_register(&entry);
	registered = true;
	/* As slow as all the rest, and always much the same. */
	if (nsid % 16 == 1)
		fuzz_expect(inspect_render("", 9, json, sizeof(json)) > 0, 0,
			    0);
	opened->ring.queues = NULL;
	events(in);
	disk->ops->close(disk);
	opened = NULL;
}

/* Completions. */

static void judge(struct fuzz_input *in)
{
	uint16_t crdt[3] = { (uint16_t)fuzz_number(in, 2), 0, 65535 };
	uint8_t known = (uint8_t)fuzz_number(in, 1);
	const struct nvme_attempt attempt = { known & 0x7f, known >> 7,
					      known >> 6 & 1, crdt };
	int32_t res = (int32_t)fuzz_number(in, 4);
	struct nvme_verdict v;

	/* Most of them as the kernel gives them. */
	if (known & 1)
		res = res < 0 ? -(res & 0xff) : res & 0x7fff;
	v = nvme_judge(res, &attempt);
	fuzz_expect(v.status < DISK_NR_STATUS, v.status, res);
	fuzz_expect((v.status == DISK_OK) == !res, v.status, res);
	fuzz_expect(v.gone == (v.status == DISK_GONE), v.status, res);
	fuzz_expect(res || !v.retry, res, 0);
	fuzz_expect(res <= 0 || !(res & DNR) || !v.retry, res, 0);
	fuzz_expect(res <= 0 || !v.retry ||
		    attempt.retries < NVME_MAX_RETRIES, res, attempt.retries);
	fuzz_expect(!v.copy || (v.retry && !attempt.copied), res, 0);
	fuzz_expect(!v.gone || !v.retry, res, 0);
	fuzz_expect(v.delay_ms <= 65535 * 100, v.delay_ms, 0);
	fuzz_expect(nvme_result_text(res), res, 0);
}

/* Any action, as the rule has it or not, and any report. */
static void reservation(struct fuzz_input *in)
{
	static const struct disk_info info = { .reservation_types = 0x7e };
	static uint8_t report[RESERVATION_REPORT_SIZE], host[16];
	struct disk_reservation r = {
		.action = (uint8_t)fuzz_number(in, 1),
		.type = (uint8_t)fuzz_number(in, 1),
		.ignore_key = fuzz_number(in, 1) & 1,
		.set_persist = fuzz_number(in, 1) & 1,
		.key = fuzz_number(in, 8),
		.new_key = fuzz_number(in, 8),
	};
	struct reservation_command c;
	struct reservation_keys keys;

	if (reservation_check(&info, &r) == DISK_OK) {
		static const struct command_target target = { 5, 7 };
		_Alignas(8) uint8_t entry[128] = { 0 };

		reservation_encode(&r, &c, &keys);
		command_reservation((struct io_uring_sqe *)entry, &target, &c,
				    report);
		fuzz_expect(entry[SQE_CMD] == c.opcode, c.opcode, 0);
		fuzz_expect(!memcmp(&keys.key, &r.key, 8), c.opcode, 0);
		fuzz_expect(c.bytes == 8 || c.bytes == 16 ||
			    c.bytes == sizeof(report), c.bytes, c.opcode);
	}
	get(in, report, 6);
	get(in, report + 64 + 64 * (fuzz_number(in, 1) % 32), 32);
	reservation_decode(report, host, &r);
	fuzz_expect(r.type <= DISK_EXCLUSIVE_ACCESS_ALL, r.type, 0);
	if (r.nr_registrants < DISK_MAX_REGISTRANTS)
		fuzz_expect(!r.registrant[r.nr_registrants].key &&
			    !r.registrant[DISK_MAX_REGISTRANTS - 1].self,
			    r.nr_registrants, 0);
}

static void command(struct fuzz_input *in)
{
	static const struct command_target target = { 5, 7 };
	_Alignas(8) uint8_t entry[128] = { 0 };
	struct io_uring_sqe *sqe = (struct io_uring_sqe *)entry;
	const struct nvme_uring_cmd *cmd = (const void *)(entry + SQE_CMD);
	struct iovec iov[2] = { { iov, 512 }, { iov, 1024 } };
	struct command_data data = { iov, 1, -1 };
	uint64_t lba = fuzz_number(in, 8);
	uint32_t blocks = 1 + (uint32_t)fuzz_number(in, 2);
	uint8_t what = (uint8_t)fuzz_number(in, 1);
	struct nvme_dsm_range range;
	uint32_t operation, fd;

	data.nr = 1 + (what >> 4) % 2;
	data.buffer = what & 0x20 ? 3 : -1;
	switch (what % 5) {
	case 0:
		command_transfer(sqe, &target, what & 0x40 ? DISK_WRITE :
				 what & 0x08 ? DISK_COMPARE : DISK_READ,
				 what & 0x80, lba, blocks, &data);
		memcpy(&operation, entry + SQE_CMD_OP, sizeof(operation));
		fuzz_expect(operation == (data.nr == 1 ?
			    NVME_URING_CMD_IO : NVME_URING_CMD_IO_VEC),
			    operation, data.nr);
		fuzz_expect(cmd->data_len == (data.nr == 1 ? 512 : 2),
			    cmd->data_len, data.nr);
		break;
	case 1:
		command_zeroes(sqe, &target, lba, blocks, what & 0x80);
		break;
	case 4:
		command_verify(sqe, &target, lba, blocks);
		break;
	case 2:
		command_discard(sqe, &target, &range, lba, blocks);
		fuzz_expect(!memcmp(&range.slba, &lba, 8) &&
			    !memcmp(&range.nlb, &blocks, 4), lba, blocks);
		return;
	default:
		command_flush(sqe, &target);
		return;
	}
	fuzz_expect((cmd->cdw10 | (uint64_t)cmd->cdw11 << 32) == lba,
		    cmd->cdw10, lba);
	fuzz_expect((cmd->cdw12 & 0xffff) + 1 == blocks, cmd->cdw12, blocks);
	memcpy(&fd, entry + SQE_FD, sizeof(fd));
	fuzz_expect(cmd->nsid == 7 && fd == 5, cmd->nsid, fd);
}

void fuzz_one(struct fuzz_input *in)
{
	uint32_t nsid = 1 + (uint32_t)fuzz_number(in, 1);

	get_identify(in);
	open_namespace(in, nsid);
	for (unsigned int i = 0; in->left && i < MAX_COMPLETIONS; i++)
		switch (fuzz_number(in, 1) % 8) {
		case 0:
			command(in);
			break;
		case 7:
			reservation(in);
			break;
		default:
			judge(in);
		}
}
