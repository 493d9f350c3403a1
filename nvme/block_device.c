/* SPDX-License-Identifier: MIT */
/*
 * Block devices, theory of operation
 *
 * Owns: the disk of one block device or file: its descriptor. What happens to
 * a disk and to its requests: ring_disk.c, ring_disk_life.c. A request is one
 * entry of the ring:
 *
 *	read, write     READ(V)_FIXED and WRITE(V)_FIXED on guest memory,
 *	                READ and WRITE on memory of ours; FUA is RWF_DSYNC
 *	flush           FSYNC, of data only
 *	discard         device: BLOCK_URING_CMD_DISCARD; file: a hole
 *	write zeroes    FALLOCATE; on a device PUNCH_HOLE where blocks may be
 *	                unmapped and the device can, else ZERO_RANGE, which
 *	                the kernel does by writing if nothing else is possible
 *
 * A device is used without the kernel's cache (O_DIRECT), a file with it: it
 * is for tests, and for images in memory.
 *
 * Threads: block_device_open() and close() on one thread; the rest as the
 * ring disk's.
 *
 * Failure answers: the kernel's drivers retry and give up by themselves, so
 * that an error is final, but for those that mean "not now".
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include <liburing/io_uring.h>
#include <linux/blkdev.h>

#include <le.h>
#include <pv/inspect.h>
#include <pv/log.h>

#include "block_device.h"
#include "block_limits.h"
#include "ring_disk.h"

LOG_MODULE("block");

#define LOOK_EVERY_NS 20000000l
#define NS_PER_MS 1000000ull
#define BUSY_POLL_MS 1
#define INTERRUPTED_MS 100
/* What one discard or write of zeroes may take on: it ends in time. */
#define MAX_DISCARD (1ull << 30)
#define MAX_ZEROES (64ull << 20)
/* RWF_DSYNC of linux/fs.h, as sparse likes it. */
#define DSYNC ((__force __kernel_rwf_t)0x02)
/* linux/falloc.h; not in every libc's fcntl.h. */
#ifndef FALLOC_FL_ZERO_RANGE
#define FALLOC_FL_ZERO_RANGE 0x10
#endif
#define FILE_MAX_TRANSFER (1u << 20)
#define FILE_MAX_RANGES 257

struct block_device {
	struct ring_disk ring; /* first */
	int fd;
	bool is_file, opened_read_only;
};

/* ---- requests ---- */

static void fill_transfer(const struct block_device *dev,
			  struct command *command, struct io_uring_sqe *sqe,
			  uint64_t offset)
{
	const struct disk_request *req = command_request(command);
	const struct transfer *t = &command->transfer;
	bool read = req->op == DISK_READ;

	sqe->addr = (uintptr_t)t->iov->iov_base;
	sqe->len = (uint32_t)t->iov->iov_len;
	if (t->way != TRANSFER_DIRECT) {
		sqe->opcode = read ? IORING_OP_READ : IORING_OP_WRITE;
	} else if (t->nr == 1) {
		sqe->opcode = read ? IORING_OP_READ_FIXED :
				     IORING_OP_WRITE_FIXED;
		sqe->buf_index = (uint16_t)t->buffer;
	} else {
		sqe->opcode = read ? IORING_OP_READV_FIXED :
				     IORING_OP_WRITEV_FIXED;
		sqe->buf_index = (uint16_t)t->buffer;
		sqe->addr = (uintptr_t)t->iov;
		sqe->len = t->nr;
	}
	sqe->off = offset;
	if (req->flags & DISK_FUA)
		sqe->rw_flags = DSYNC;
	command->good = (int32_t)(command->blocks * dev->ring.info.block_size);
}

static void fill_allocate(struct io_uring_sqe *sqe, uint32_t mode,
			  uint64_t offset, uint64_t bytes)
{
	sqe->opcode = IORING_OP_FALLOCATE;
	sqe->off = offset;
	sqe->addr = bytes;
	sqe->len = mode | FALLOC_FL_KEEP_SIZE;
}

static void fill(struct ring_disk *disk, struct command *command,
		 struct io_uring_sqe *sqe, uint64_t lba)
{
	const struct block_device *dev = (struct block_device *)disk;
	const struct disk_request *req = command_request(command);
	uint64_t offset = lba * disk->info.block_size;
	uint64_t bytes = (uint64_t)command->blocks * disk->info.block_size;
	bool unmap = req->flags & DISK_UNMAP && !command->instead;

	sqe->fd = dev->fd;
	switch (req->op) {
	case DISK_READ:
	case DISK_WRITE:
		fill_transfer(dev, command, sqe, offset);
		break;
	case DISK_FLUSH:
		sqe->opcode = IORING_OP_FSYNC;
		sqe->fsync_flags = IORING_FSYNC_DATASYNC;
		break;
	case DISK_DISCARD:
		if (dev->is_file) {
			fill_allocate(sqe, FALLOC_FL_PUNCH_HOLE, offset,
				      bytes);
			break;
		}
		sqe->opcode = IORING_OP_URING_CMD;
		sqe->cmd_op = BLOCK_URING_CMD_DISCARD;
		sqe->addr = offset;
		sqe->addr3 = bytes;
		break;
	case DISK_WRITE_ZEROES:
		fill_allocate(sqe, dev->is_file || unmap ?
			      FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE,
			      offset, bytes);
		break;
	}
}

/* ---- results ---- */

static enum disk_status status_of(uint8_t op, int32_t res)
{
	bool reads = op == DISK_READ;

	switch (res) {
	case -EIO:
	case -ENODATA: /* a critical error of the medium */
		return reads ? DISK_MEDIUM_READ : DISK_MEDIUM_WRITE;
	case -ENOSPC:
	case -EDQUOT:
	case -EFBIG:
		return DISK_NO_SPACE;
	case -EBADE:
		return DISK_CONFLICT;
	case -EILSEQ:
		return DISK_PROTECTION;
	case -ETIMEDOUT:
	case -EINTR:
		return DISK_TIMEOUT;
	case -ENODEV:
	case -ENXIO:
		return DISK_GONE;
	case -EROFS:
	case -EPERM:
	case -EBADF:
		return DISK_READ_ONLY;
	case -EOPNOTSUPP:
		return DISK_UNSUPPORTED;
	case -EINVAL:
	case -EFAULT:
	case -EEXIST:
		return DISK_INVALID;
	}
	/* Less than all of it: there is no more. */
	if (res >= 0)
		return reads ? DISK_MEDIUM_READ : DISK_MEDIUM_WRITE;
	return DISK_FAILED;
}

static struct nvme_verdict judge(struct ring_disk *disk,
				 struct command *command, int32_t res)
{
	const struct disk_request *req = command_request(command);
	struct nvme_verdict verdict = { .status = status_of(req->op, res) };

	(void)disk;
	switch (res) {
	case -EAGAIN:
	case -ENOMEM:
	case -EBUSY:
		verdict.retry = true;
		verdict.delay_ms = BUSY_POLL_MS;
		break;
	case -EINTR:
		verdict.retry = true;
		verdict.delay_ms = INTERRUPTED_MS;
		break;
	case -EINVAL:
	case -EFAULT:
	case -EEXIST: /* what can not be pinned or has the wrong shape */
		verdict.copy = verdict.retry =
			command->transfer.way == TRANSFER_DIRECT;
		break;
	case -EOPNOTSUPP: /* it can not unmap: then zeroes */
		verdict.retry = req->op == DISK_WRITE_ZEROES &&
				req->flags & DISK_UNMAP && !command->instead;
		command->instead = true;
		break;
	}
	verdict.gone = verdict.status == DISK_GONE;
	return verdict;
}

static const char *result_text(int32_t res)
{
	return res < 0 && res > -4096 ? strerror(-res) : "incomplete";
}

static const struct ring_ops ring_ops = {
	.fill = fill,
	.judge = judge,
	.text = result_text,
};

/* ---- the disk ---- */

static void block_inspect(struct disk *disk, struct inspect *out)
{
	struct block_device *dev = (struct block_device *)disk;

	inspect_text(out, "name", dev->ring.name);
	inspect_text(out, "serial", dev->ring.info.serial);
	inspect_bool(out, "file", dev->is_file);
	ring_disk_describe(&dev->ring, out);
}

static void block_close(struct disk *disk)
{
	struct block_device *dev = (struct block_device *)disk;

	ring_disk_end(&dev->ring);
	close(dev->fd);
	ring_disk_destroy(&dev->ring);
	free(dev);
}

static const struct disk_ops block_ops = {
	.name = "block",
	.info = ring_disk_info,
	.queue_open = ring_disk_queue_open,
	.queue_close = ring_disk_queue_close,
	.submit = ring_disk_submit,
	.inspect = block_inspect,
	.close = block_close,
};

/* ---- opening ---- */

/* The directory in sysfs of the block device with this number. */
static int find_by_number(dev_t number, char *sysfs)
{
	char link[64], path[PATH_MAX];

	snprintf(link, sizeof(link), "/sys/dev/block/%u:%u", major(number),
		 minor(number));
	if (!realpath(link, path))
		return -errno;
	return snprintf(sysfs, SYSFS_PATH_SIZE, "%s", path) < SYSFS_PATH_SIZE ?
		       0 : -ENAMETOOLONG;
}

/* Opens what is at `path`, and says what it is. NULL, or what is missing. */
static const char *open_path(struct block_device *dev, const char *path,
			     bool read_only)
{
	int flags = (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC;
	struct stat st;

	if (stat(path, &st) < 0)
		return "no such file or device";
	dev->is_file = S_ISREG(st.st_mode);
	if (!dev->is_file && !S_ISBLK(st.st_mode))
		return "no block device, no file";
	if (!dev->is_file && find_by_number(st.st_rdev, dev->ring.sysfs))
		return "no block device in sysfs";
	if (!dev->is_file)
		flags |= O_DIRECT;
	dev->fd = open(path, flags);
	/* Write protected: sysfs says so, too. */
	if (dev->fd < 0 && (errno == EROFS || errno == EACCES)) {
		dev->fd = open(path, (flags & ~O_RDWR) | O_RDONLY);
		dev->opened_read_only = true;
	}
	return dev->fd < 0 ? "it can not be opened" : NULL;
}

static const char *look(struct block_device *dev,
			const struct block_device_config *config)
{
	char node[NVME_NAME_SIZE + 8];
	const char *name;

	if (config->path)
		return open_path(dev, config->path, config->read_only);
	if (block_find("", &config->controller, config->lun, dev->ring.sysfs))
		return "no such SCSI disk";
	name = strrchr(dev->ring.sysfs, '/') + 1;
	if (snprintf(node, sizeof(node), "/dev/%s", name) >= (int)sizeof(node))
		return "no name that is short enough";
	return open_path(dev, node, config->read_only);
}

static const char *config_name(const struct block_device_config *config,
			       char text[GUID_TEXT_SIZE])
{
	return config->path ? config->path :
			      guid_print(&config->controller, text);
}

static int wait_for(struct block_device *dev,
		    const struct block_device_config *config)
{
	uint64_t deadline = reactor_now() + config->wait_ms * NS_PER_MS;
	const struct timespec pause = { .tv_nsec = LOOK_EVERY_NS };
	char guid[GUID_TEXT_SIZE];
	const char *missing;

	while ((missing = look(dev, config))) {
		if (!config->wait_ms)
			return -ETIMEDOUT;
		if (reactor_now() >= deadline) {
			log_err("disk %s, lun %u: %s after %u ms",
				config_name(config, guid), config->lun,
				missing, config->wait_ms);
			return -ETIMEDOUT;
		}
		nanosleep(&pause, NULL);
	}
	return 0;
}

static const char *file_limits(int fd, struct disk_info *info)
{
	struct stat st;

	if (fstat(fd, &st) < 0 || st.st_size <= 0 || st.st_size % 512)
		return "size";
	*info = (struct disk_info){
		.blocks = (uint64_t)st.st_size / 512,
		.block_size = 512,
		.physical_block_size = 4096,
		.max_transfer = FILE_MAX_TRANSFER,
		.max_ranges = FILE_MAX_RANGES,
		.range_alignment = 1,
		.discard_granularity = 4096 / 512,
		.discard_zeroes = true,
		.write_zeroes = true,
		.write_zeroes_unmap = true,
		.write_cache = true,
		.fua = true,
	};
	return NULL;
}

static int describe(struct block_device *dev,
		    const struct block_device_config *config)
{
	struct disk_info *info = &dev->ring.info;
	char guid[GUID_TEXT_SIZE];
	const char *wrong, *name;

	wrong = dev->is_file ? file_limits(dev->fd, info) :
			       block_limits(dev->ring.sysfs, info);
	if (wrong) {
		log_err("disk %s, lun %u: %s is not what it should be",
			config_name(config, guid), config->lun, wrong);
		return strstr(wrong, "logical") ? -EOPNOTSUPP : -EINVAL;
	}
	if (!dev->is_file)
		block_identity(dev->ring.sysfs, info);
	info->read_only |= config->read_only || dev->opened_read_only;
	dev->ring.limit[DISK_DISCARD] = MAX_DISCARD / info->block_size;
	dev->ring.limit[DISK_WRITE_ZEROES] = MAX_ZEROES / info->block_size;
	name = strrchr(dev->is_file ? config->path : dev->ring.sysfs, '/');
	name = name ? name + 1 : config->path;
	snprintf(dev->ring.name, sizeof(dev->ring.name), "%.*s",
		 NVME_NAME_SIZE - 1, name);
	return 0;
}

int block_device_open(const struct block_device_config *config,
		      struct guest_memory *memory, struct disk **disk)
{
	struct block_device *dev = calloc(1, sizeof(*dev));
	const struct disk_info *info;
	int err;

	if (!dev)
		return -ENOMEM;
	ring_disk_init(&dev->ring, &block_ops, &ring_ops, memory);
	err = wait_for(dev, config);
	if (err)
		goto out_free;
	err = describe(dev, config);
	if (err)
		goto out_close;
	info = &dev->ring.info;
	log_info("%s: %llu blocks of %u bytes, serial \"%s\"", dev->ring.name,
		 (unsigned long long)info->blocks, info->block_size,
		 info->serial);
	ring_disk_begin(&dev->ring);
	*disk = &dev->ring.disk;
	return 0;
out_close:
	close(dev->fd);
out_free:
	ring_disk_destroy(&dev->ring);
	free(dev);
	return err;
}
