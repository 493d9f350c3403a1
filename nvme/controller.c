/* SPDX-License-Identifier: MIT */
/*
 * Controllers, theory of operation
 *
 * A controller is known by the VMBus instance GUID of the virtual PCI device
 * it sits on, because that is what a host can promise; nvme0, nvme1 and PCI
 * domains are given out in the order of arrival. The kernel shows the chain:
 *
 *	/sys/bus/vmbus/devices/GUID/		the VMBus device
 *	   pciDDDD:00/				its PCI root (a domain each)
 *	      DDDD:00:00.0/			the function
 *	         nvme/nvmeN/			the controller: state
 *	            nvmeNnM/			a namespace: nsid, queue/
 *	/dev/ngNnM				its generic device
 *
 * M counts namespaces as they are found; the identifier is in `nsid`. A disk that
 * was lost is looked for among all controllers (/sys/class/nvme), by `nguid`,
 * `eui` or the controller's `serial`.
 *
 * Nothing here waits and nothing is kept: the caller looks again until its
 * deadline. What is not there is -ENOENT and not logged.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <pv/disk.h>
#include <pv/sysfs.h>

#include "controller.h"

int controller_find(const char *root, const struct guid *device, char *path)
{
	int err = sysfs_pci_function(root, device, path);

	if (!err)
		err = sysfs_descend(path, "nvme"); /* the class */
	if (!err)
		err = sysfs_descend(path, "nvme"); /* and the controller */
	return err;
}

bool controller_is_live(const char *path)
{
	char state[32];

	return sysfs_text(path, "state", state, sizeof(state)) == 0 &&
	       !strcmp(state, "live");
}

int controller_namespace(const char *path, uint32_t nsid, char *name)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	int err = -ENOENT;

	if (!dir)
		return -errno;
	while (err && (entry = readdir(dir))) {
		char file[SYSFS_PATH_SIZE];
		uint64_t value;

		if (strncmp(entry->d_name, "nvme", 4) ||
		    strlen(entry->d_name) >= NVME_NAME_SIZE ||
		    snprintf(file, sizeof(file), "%s/nsid", entry->d_name) >=
			    (int)sizeof(file) ||
		    sysfs_number(path, file, &value) || value != nsid)
			continue;
		strcpy(name, entry->d_name);
		err = 0;
	}
	closedir(dir);
	return err;
}

/* Are these the bytes that a file of sysfs shows in hexadecimal, whatever
 * stands between them? */
static bool shows(const char *path, const char *file, const uint8_t *bytes,
		  size_t n)
{
	char text[64], byte[3] = "";
	size_t i = 0;

	if (sysfs_text(path, file, text, sizeof(text)))
		return false;
	for (const char *at = text; *at; at++) {
		if (!isxdigit((unsigned char)*at))
			continue;
		if (!isxdigit((unsigned char)at[1]) || i == n)
			return false;
		byte[0] = *at++;
		byte[1] = *at;
		if (strtoul(byte, NULL, 16) != bytes[i++])
			return false;
	}
	return i == n;
}

static bool same_serial(const char *controller, const char *serial)
{
	char text[32];
	size_t len;

	if (sysfs_text(controller, "serial", text, sizeof(text)))
		return false;
	for (len = strlen(text); len && text[len - 1] == ' ';)
		text[--len] = '\0';
	return *text && !strcmp(text, serial);
}

static bool is_like(const char *controller, const char *path,
		    const struct disk_info *like, uint32_t old, uint64_t nsid)
{
	static const uint8_t none[16];

	if (memcmp(like->nguid, none, sizeof(like->nguid)))
		return shows(path, "nguid", like->nguid, sizeof(like->nguid));
	if (memcmp(like->eui64, none, sizeof(like->eui64)))
		return shows(path, "eui", like->eui64, sizeof(like->eui64));
	return nsid == old && same_serial(controller, like->serial);
}

/* One that is like it, of one controller. */
static int find_like(const char *controller, const struct disk_info *like,
		     uint32_t *nsid, char *name)
{
	DIR *dir = controller_is_live(controller) ? opendir(controller) : NULL;
	struct dirent *entry;
	int err = -ENOENT;

	if (!dir)
		return err;
	while (err && (entry = readdir(dir))) {
		char path[SYSFS_PATH_SIZE];
		uint64_t value;

		if (strncmp(entry->d_name, "nvme", 4) ||
		    strlen(entry->d_name) >= NVME_NAME_SIZE ||
		    snprintf(path, sizeof(path), "%s/%s", controller,
			     entry->d_name) >= (int)sizeof(path) ||
		    sysfs_number(path, "nsid", &value) || !value ||
		    value > UINT32_MAX ||
		    !is_like(controller, path, like, *nsid, value))
			continue;
		strcpy(name, entry->d_name);
		*nsid = (uint32_t)value;
		err = 0;
	}
	closedir(dir);
	return err;
}

int controller_namespace_like(const char *root, const struct disk_info *like,
			      uint32_t *nsid, char *path, char *name)
{
	char class[SYSFS_PATH_SIZE];
	struct dirent *entry;
	int err = -ENOENT;
	DIR *dir;

	if (snprintf(class, sizeof(class), "%s/sys/class/nvme", root) >=
	    (int)sizeof(class))
		return -ENAMETOOLONG;
	dir = opendir(class);
	if (!dir)
		return err;
	while (err && (entry = readdir(dir)))
		if (entry->d_name[0] != '.' &&
		    snprintf(path, SYSFS_PATH_SIZE, "%s/%s", class,
			     entry->d_name) < SYSFS_PATH_SIZE)
			err = find_like(path, like, nsid, name);
	closedir(dir);
	return err;
}

int controller_limits(const char *path, const char *name,
		      struct queue_limits *limits)
{
	uint64_t kib, segments, mask, alignment, read_only;
	const struct {
		const char *name;
		uint64_t *value;
	} attribute[] = {
		{ "queue/max_hw_sectors_kb", &kib },
		{ "queue/max_segments", &segments },
		{ "queue/virt_boundary_mask", &mask },
		{ "queue/dma_alignment", &alignment },
		{ "queue/discard_max_hw_bytes", &limits->discard_bytes },
		{ "queue/write_zeroes_max_bytes", &limits->zeroes_bytes },
		{ "ro", &read_only },
	};
	char dir[SYSFS_PATH_SIZE];

	if (snprintf(dir, sizeof(dir), "%s/%s", path, name) >=
	    (int)sizeof(dir))
		return -ENAMETOOLONG;
	for (size_t i = 0; i < sizeof(attribute) / sizeof(attribute[0]); i++) {
		int err = sysfs_number(dir, attribute[i].name,
				      attribute[i].value);

		if (err)
			return err;
	}
	if (!kib || kib > UINT32_MAX || !segments || segments > UINT16_MAX ||
	    mask > UINT32_MAX || alignment >= 4096)
		return -EINVAL;
	limits->max_bytes = kib * 1024;
	limits->max_segments = (uint32_t)segments;
	limits->gap_mask = (uint32_t)mask;
	limits->alignment = (uint32_t)alignment + 1; /* the file has a mask */
	limits->read_only = read_only != 0;
	return 0;
}

int controller_size(const char *dir, uint64_t *bytes)
{
	uint64_t sectors;
	int err = sysfs_number(dir, "size", &sectors);

	if (err)
		return err;
	if (sectors > UINT64_MAX / 512)
		return -EINVAL;
	*bytes = sectors * 512; /* whatever the block */
	return 0;
}

uint32_t controller_deadline(const char *dir)
{
	uint64_t ms;

	if (sysfs_number(dir, "queue/io_timeout", &ms) || ms > UINT32_MAX)
		return 0;
	return (uint32_t)ms;
}

int controller_open_generic(const char *root, const char *name)
{
	char file[SYSFS_PATH_SIZE];
	int fd;

	/* nvme0n1 -> ng0n1 */
	if (snprintf(file, sizeof(file), "%s/dev/ng%s", root,
		     name + strlen("nvme")) >= (int)sizeof(file))
		return -ENAMETOOLONG;
	fd = open(file, O_RDWR | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}
