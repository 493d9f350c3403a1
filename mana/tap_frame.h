/* SPDX-License-Identifier: MIT */
/*
 * What a tap needs to know of a frame to send: its vnet header, and the
 * headers of the frame as a kernel expects them. Pure.
 */
#ifndef MANA_TAP_FRAME_H
#define MANA_TAP_FRAME_H

#include <stdint.h>

#include <pv/nic.h>

/* Before each frame; in the machine's byte order (VirtIO 1.2, 5.1.6: what a
 * legacy device has). */
struct tap_vnet {
	uint8_t flags;
	uint8_t gso_type;
	uint16_t hdr_len; /* headers of each segment */
	uint16_t gso_size;
	uint16_t csum_start;  /* where summing begins, */
	uint16_t csum_offset; /* and from there, where the sum goes */
};
_Static_assert(sizeof(struct tap_vnet) == 10, "vnet header");

#define TAP_VNET_NEEDS_CHECKSUM 1
#define TAP_VNET_GSO_NONE 0
#define TAP_VNET_GSO_TCP4 1
#define TAP_VNET_GSO_TCP6 4

#define TAP_HEADER_MAX 255u /* bytes of a frame that are looked at */
#define TAP_TAG 4u

/*
 * `head` holds the first `len` bytes of a frame of `total` bytes (with LSO: at
 * least header_len) and room for TAP_TAG more. Completes what a NIC computes
 * and a tap does not (IPv4 header checksum; with LSO length and pseudo-header
 * of TCP), puts the tag in, fills `vnet`. Returns the new length, or -EINVAL:
 * offloads that do not fit the frame.
 */
int tap_frame_prepare(const struct nic_frame *frame, uint8_t *head,
		      unsigned int len, uint32_t total,
		      struct tap_vnet *vnet);

#endif
