/* SPDX-License-Identifier: MIT */
/*
 * Packets of a NIC as they pass, for somebody who listens: a stream of bytes in
 * the format of pcap (draft-ietf-opsawg-pcap), with its header.
 *
 * Who produces them never waits for who reads: what there is no room for is
 * dropped and counted.
 */
#ifndef PV_CAPTURE_H
#define PV_CAPTURE_H

#include <stddef.h>
#include <stdint.h>

struct capture;

/* Any thread, one at a time; neither waits. */
struct capture_ops {
	/* The next bytes, `size` at most: how many, 0: none are there now,
	 * -ENODEV: the NIC has gone, and all was read. */
	int (*read)(struct capture *c, void *to, size_t size);
	/* Ends it: the reader's no more. */
	void (*stop)(struct capture *c);
};

struct capture {
	const struct capture_ops *ops;
};

#endif
