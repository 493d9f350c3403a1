// SPDX-License-Identifier: MIT
/*
 * Tap, theory of operation
 *
 * Owns a queue of an interface of this host, which exists or is made (and then
 * goes with us). Frames carry virtio's network header (Virtual I/O Device 1.2,
 * 5.1.6), by which both sides leave checksums and segmentation to each other:
 * ours go to the kernel as they are, the kernel's are finished by net_back.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <le.h>

#include "loop.h"
#include "net_back_kind.h"
#include "net_headers.h"
#include "net_offload.h"

#define BATCH 64 /* frames for each time that the loop calls */
#define TCP_CHECKSUM 16
#define UDP_CHECKSUM 6

struct tap_header {
	uint8_t flags, gso_type;
	le16 header_len, gso_size;
	le16 checksum_start, checksum_offset;
} __packed;
_Static_assert(sizeof(struct tap_header) == 10, "virtio 5.1.6");

#define TAP_NEEDS_CHECKSUM 1 /* of flags */
#define TAP_GSO_NONE 0
#define TAP_GSO_TCP4 1
#define TAP_GSO_TCP6 4

struct tap {
	struct loop_fd watch;
	struct net_back *nb;
	uint8_t frame[NET_MAX_FRAME];
};

/* ---- out ---- */

static void describe(const uint8_t *frame, const struct net_offload *o,
		     struct tap_header *hdr)
{
	bool tcp = o->flags & (NET_TCP_CHECKSUM | NET_LSO);
	struct net_headers h;

	if (!tcp && !(o->flags & NET_UDP_CHECKSUM))
		return;
	hdr->flags = TAP_NEEDS_CHECKSUM;
	hdr->checksum_start = cpu_to_le16(o->l4);
	hdr->checksum_offset = cpu_to_le16(tcp ? TCP_CHECKSUM : UDP_CHECKSUM);
	if (!(o->flags & NET_LSO))
		return;
	/* Only the version is looked at: enough is there for that. */
	net_headers_parse(frame, o->header_len, &h);
	hdr->gso_type = frame[h.l3_at] >> 4 == 4 ? TAP_GSO_TCP4 : TAP_GSO_TCP6;
	hdr->header_len = cpu_to_le16(o->header_len);
	hdr->gso_size = cpu_to_le16(o->mss);
}

static void tap_out(struct net_back *nb, uint8_t *frame, uint32_t len,
		    const struct net_offload *o)
{
	struct tap *tap = nb->kind;
	struct tap_header hdr = { 0 };
	struct iovec iov[2] = { { &hdr, sizeof(hdr) }, { frame, len } };

	if (net_offload_prepare(frame, len, o) < 0) {
		NET_BACK_COUNT(nb, out_bad, 1);
		return;
	}
	describe(frame, o, &hdr);
	/* An interface that is down, or full, is no business of ours. */
	if (writev(tap->watch.fd, iov, 2) < 0)
		NET_BACK_COUNT(nb, out_dropped, 1);
}

/* ---- in ---- */

static struct net_offload left_to_do(const struct tap *tap, uint32_t len,
				     const struct tap_header *hdr)
{
	uint16_t start = le16_to_cpu(hdr->checksum_start);
	uint16_t offset = le16_to_cpu(hdr->checksum_offset);
	struct net_offload o = { .l4 = start };

	if (!(hdr->flags & TAP_NEEDS_CHECKSUM))
		return o;
	o.flags = offset == TCP_CHECKSUM ? NET_TCP_CHECKSUM :
		  offset == UDP_CHECKSUM ? NET_UDP_CHECKSUM : 0;
	if (hdr->gso_type == TAP_GSO_NONE || start + 12u >= len)
		return o;
	o.flags |= NET_LSO;
	o.mss = le16_to_cpu(hdr->gso_size);
	o.header_len = (uint16_t)(start + (tap->frame[start + 12] >> 4) * 4u);
	return o;
}

static void tap_readable(struct loop_fd *watch, short events)
{
	struct tap *tap = (struct tap *)((char *)watch -
					 offsetof(struct tap, watch));
	struct tap_header hdr;
	struct iovec iov[2] = { { &hdr, sizeof(hdr) },
				{ tap->frame, sizeof(tap->frame) } };

	/* The interface was taken from us. */
	if (events & (POLLERR | POLLHUP | POLLNVAL)) {
		loop_fd_remove(tap->nb->loop, watch);
		return;
	}
	for (unsigned int i = 0; i < BATCH; i++) {
		ssize_t n = readv(watch->fd, iov, 2);
		struct net_offload o;

		if (n < (ssize_t)sizeof(hdr))
			return;
		n -= (ssize_t)sizeof(hdr);
		o = left_to_do(tap, (uint32_t)n, &hdr);
		net_back_in(tap->nb, tap->frame, (uint32_t)n, &o);
	}
}

/* ---- life ---- */

static const char *tap_open(struct net_back *nb,
			    const struct net_option *option)
{
	const unsigned int offloads = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6;
	struct ifreq request = {
		.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR,
	};
	struct tap *tap = calloc(1, sizeof(*tap));
	int size = sizeof(struct tap_header), err;

	if (!tap)
		return "out of memory";
	tap->nb = nb;
	tap->watch.fn = tap_readable;
	tap->watch.events = POLLIN;
	strncpy(request.ifr_name, option->interface, IFNAMSIZ - 1);
	tap->watch.fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (tap->watch.fd >= 0 &&
	    !ioctl(tap->watch.fd, TUNSETIFF, &request) &&
	    !ioctl(tap->watch.fd, TUNSETVNETHDRSZ, &size) &&
	    !ioctl(tap->watch.fd, TUNSETOFFLOAD, offloads)) {
		nb->kind = tap;
		return NULL;
	}
	err = errno;
	if (tap->watch.fd >= 0)
		close(tap->watch.fd);
	free(tap);
	return strerror(err);
}

static void tap_start(struct net_back *nb)
{
	struct tap *tap = nb->kind;

	loop_fd_add(nb->loop, &tap->watch);
}

static void tap_close(struct net_back *nb)
{
	struct tap *tap = nb->kind;

	loop_fd_remove(nb->loop, &tap->watch);
	close(tap->watch.fd);
	free(tap);
}

const struct net_kind_ops net_kind_tap = {
	.offloads = true,
	.open = tap_open,
	.start = tap_start,
	.out = tap_out,
	.close = tap_close,
};
