/* SPDX-License-Identifier: MIT */
/*
 * What the daemon tells the host about the guest: it stopped, and why.
 *
 * Whoever sees the guest stop (chipset, VP) calls one of these; the daemon
 * implements them on the guest emulation transport (get_notify.c), tests by
 * counters. The host decides what happens next; a host without the transport
 * is told nothing, which is logged once.
 *
 * Threads: any VP thread; no call blocks. The first end that is reported
 * counts, because what a guest does after it has ended means nothing: later
 * ones are logged and dropped until again(). A crash is no end, for the guest
 * goes on; the first one counts.
 */
#ifndef PV_HOST_NOTIFY_H
#define PV_HOST_NOTIFY_H

#include <stdint.h>

struct host_notify;

#define HOST_CRASH_PARAMETERS 5

struct host_notify_ops {
	void (*power_off)(struct host_notify *host);
	void (*reset)(struct host_notify *host);
	/* The guest wrote its crash registers (TLFS, HV_X64_MSR_CRASH_CTL). */
	void (*crash)(struct host_notify *host, uint32_t vp, uint64_t control,
		      const uint64_t parameter[HOST_CRASH_PARAMETERS]);
	void (*triple_fault)(struct host_notify *host, uint32_t vp);
	/* VTL0 was loaded and starts (`why` NULL), or cannot: one line that
	 * says why, copied, of which the transport may send a part. */
	void (*started)(struct host_notify *host, const char *why);
	/* The guest was started anew: its next reports count again. */
	void (*again)(struct host_notify *host);
};

/* Embedded in the implementation's structure. */
struct host_notify {
	const struct host_notify_ops *ops;
};

#endif
