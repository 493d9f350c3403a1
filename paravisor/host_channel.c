/* SPDX-License-Identifier: MIT */
/*
 * Channels of the host, theory of operation
 *
 * Owns: per channel the descriptor of its UIO device and the mapping of its
 * rings. States:
 *
 *	closed --open--> open --watch--> watched --host rescinds--> gone
 *
 * The driver knows no device by itself: writing the interface's GUID to its
 * new_id binds all devices of that type, so it is done on every open and may
 * have been done before. Binding and the /dev node are there when the write
 * returns.
 *
 * The kernel masks the ring's interrupt when the host signals, and the ring's
 * reader unmasks it when it goes idle; this file never touches ring memory.
 * A signal to the host is a write of 1 to the descriptor, which unmasks as
 * well: harmless, at worst one signal too many.
 *
 * Threads: the reactor's, but for host_channel_signal().
 *
 * Failure answers: an absent device is an answer (-ENOENT), not an error. When
 * the host takes the channel back, reads fail with EIO: gone() runs once and
 * the descriptor is not watched any more; the memory stays mapped.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <pv/log.h>

#include "host_channel.h"

LOG_MODULE("host-channel");

#define DRIVER "/sys/bus/vmbus/drivers/uio_hv_generic/new_id"
#define DEVICES "/sys/bus/vmbus/devices"
/* Two rings, each a control page and at least one of data. */
#define RINGS_MIN (4ull * GUEST_PAGE_SIZE)
#define RINGS_MAX (64ull << 20)

static void bind_interface(const char *root, const struct guid *interface)
{
	char path[256], text[GUID_TEXT_SIZE];
	int fd;

	snprintf(path, sizeof(path), "%s" DRIVER, root);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0) {
		log_err("%s: %s", path, strerror(errno));
		return;
	}
	guid_print(interface, text);
	if (write(fd, text, GUID_TEXT_SIZE - 1) < 0 && errno != EEXIST)
		log_err("%s: %s: %s", path, text, strerror(errno));
	close(fd);
}

/* Number of the UIO device of a VMBus device, or -ENOENT. */
static int uio_number(const char *directory)
{
	DIR *d = opendir(directory);
	struct dirent *entry;
	int number = -ENOENT;

	if (!d)
		return -ENOENT;
	while (number < 0 && (entry = readdir(d))) {
		unsigned int n;

		if (sscanf(entry->d_name, "uio%4u", &n) == 1)
			number = n;
	}
	closedir(d);
	return number;
}

static int rings_bytes(const char *directory, int number, uint64_t *bytes)
{
	unsigned long long n = 0;
	char path[384];
	FILE *f;

	snprintf(path, sizeof(path), "%s/uio%d/maps/map0/size", directory,
		 number);
	f = fopen(path, "re");
	if (!f) {
		log_err("%s: %s", path, strerror(errno));
		return -EIO;
	}
	if (fscanf(f, "%llx", &n) != 1)
		n = 0;
	fclose(f);
	if (n < RINGS_MIN || n > RINGS_MAX || n % (2 * GUEST_PAGE_SIZE)) {
		log_err("%s: %#llx is no size of two rings", path, n);
		return -EINVAL;
	}
	*bytes = n;
	return 0;
}

static int page_tables(struct host_channel *hc)
{
	hc->nr_pages = hc->ring_size / GUEST_PAGE_SIZE;
	hc->out_pages = calloc(2ul * hc->nr_pages, sizeof(*hc->out_pages));
	if (!hc->out_pages)
		return -ENOMEM;
	hc->in_pages = hc->out_pages + hc->nr_pages;
	for (uint32_t i = 0; i < 2 * hc->nr_pages; i++)
		hc->out_pages[i] = (void __guest_force __guest *)
			(hc->rings + (uint64_t)i * GUEST_PAGE_SIZE);
	return 0;
}

static int map_device(struct host_channel *hc, const char *root, int number,
		      uint64_t bytes)
{
	char path[256];
	int rc;

	snprintf(path, sizeof(path), "%s/dev/uio%d", root, number);
	hc->fd = open(path, O_RDWR | O_CLOEXEC);
	if (hc->fd < 0) {
		rc = -errno;
		log_err("%s: %s: %s", hc->name, path, strerror(errno));
		return rc;
	}
	hc->rings = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
			 hc->fd, 0);
	if (hc->rings == MAP_FAILED) {
		rc = -errno;
		log_err("%s: %s: mmap of %llu bytes: %s", hc->name, path,
			(unsigned long long)bytes, strerror(errno));
		goto out_close;
	}
	hc->ring_size = bytes / 2;
	rc = page_tables(hc);
	if (rc) {
		log_err("%s: no memory for the page table", hc->name);
		goto out_unmap;
	}
	return 0;

out_unmap:
	munmap(hc->rings, bytes);
out_close:
	close(hc->fd);
	hc->fd = -1;
	return rc;
}

int host_channel_open(struct host_channel *hc, const char *root,
		      const char *name, const struct guid *interface,
		      const struct guid *instance)
{
	char directory[256], text[GUID_TEXT_SIZE];
	uint64_t bytes;
	int number, rc;

	*hc = (struct host_channel){ .name = name, .fd = -1 };
	snprintf(directory, sizeof(directory), "%s" DEVICES "/%s", root,
		 guid_print(instance, text));
	if (access(directory, F_OK))
		return -ENOENT;
	bind_interface(root, interface);
	strcat(directory, "/uio");
	number = uio_number(directory);
	if (number < 0) {
		log_err("%s: %s: no UIO device", name, directory);
		return -ENODEV;
	}
	rc = rings_bytes(directory, number, &bytes);
	if (rc)
		return rc;
	return map_device(hc, root, number, bytes);
}

static void unwatch(struct host_channel *hc)
{
	if (hc->reactor)
		reactor_watch_remove(hc->reactor, &hc->watch);
	hc->reactor = NULL;
}

static void readable(struct reactor_watch *watch)
{
	struct host_channel *hc = (struct host_channel *)((char *)watch -
		offsetof(struct host_channel, watch));
	uint32_t events;
	ssize_t n = read(hc->fd, &events, sizeof(events));

	if (n == sizeof(events)) {
		hc->signalled(hc->opaque);
		return;
	}
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	log_warn("%s: the host took the channel back", hc->name);
	unwatch(hc);
	hc->gone(hc->opaque);
}

int host_channel_watch(struct host_channel *hc, struct reactor *reactor)
{
	int rc;

	hc->watch = (struct reactor_watch){ .fn = readable, .fd = hc->fd };
	rc = reactor_watch_add(reactor, &hc->watch);
	if (rc) {
		log_err("%s: cannot watch: %s", hc->name, strerror(-rc));
		return rc;
	}
	hc->reactor = reactor;
	host_channel_signal(hc);
	return 0;
}

void host_channel_signal(struct host_channel *hc)
{
	static const uint32_t unmask = 1;

	/* A rescinded channel answers EIO, which the reader reports. */
	if (write(hc->fd, &unmask, sizeof(unmask)) < 0 && errno != EIO)
		log_warn_limited("%s: signal: %s", hc->name, strerror(errno));
}

void host_channel_close(struct host_channel *hc)
{
	if (hc->fd < 0)
		return;
	unwatch(hc);
	munmap(hc->rings, 2 * hc->ring_size);
	free(hc->out_pages);
	close(hc->fd);
	*hc = (struct host_channel){ .name = hc->name, .fd = -1 };
}
