/* SPDX-License-Identifier: MIT */
/*
 * VTL0: its memory and VPs, and its life from start to end.
 */
#ifndef PARTITION_H
#define PARTITION_H

#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <pv/guest_memory.h>
#include <pv/host_notify.h>
#include <pv/inspect.h>
#include <pv/reactor.h>

#include "device_tree.h"
#include "hypercall.h"
#include "mshv.h"
#include "msr.h"
#include "vp.h"

struct bus;

#define PARTITION_MAX_VPS 64

enum partition_state {
	PARTITION_NEW,	    /* VPs come up */
	PARTITION_READY,    /* all did; never ran */
	PARTITION_RUNNING,
	PARTITION_STOPPING, /* VPs leave VTL0 */
	PARTITION_QUIET,    /* nothing reaches VTL0's memory any more */
	PARTITION_STOPPED,  /* for good */
};

/* How VTL0 ended or stops. */
enum partition_end {
	PARTITION_POWER_OFF,
	PARTITION_RESET,
	PARTITION_TRIPLE_FAULT,
	PARTITION_FAILED, /* our own mistake or the hypervisor's */
};

/* What the composition root adds. All on VP 0's reactor. */
struct partition_ops {
	/* No VP runs VTL0. Close what reaches its memory and put the devices
	 * into their reset state; then call partition_quiet(). */
	void (*quiesce)(void *opaque);
	/* Write VTL0's memory and VP 0's first registers. 0, or -errno,
	 * logged: VTL0 does not start. */
	int (*load)(void *opaque, struct vp *vp0);
	/* Messages for VTL0 may be posted again. The VP's reactor. */
	void (*room)(void *opaque);
};

struct partition {
	struct mshv mshv;
	struct guest_memory memory;
	unsigned int nr_vps;
	struct vp vp[PARTITION_MAX_VPS];

	/* Connected by the composition root before partition_run(). */
	const struct partition_ops *ops;
	void *opaque;
	struct hypercall_ports ports;
	struct bus *bus;
	struct host_notify *host;
	struct msr_crash crash;

	_Atomic int state;	 /* enum partition_state */
	_Atomic int end;	 /* enum partition_end, of the stop under way */
	atomic_uint stop_number; /* counts stops: a VP parks once for each */
	atomic_uint parked;	 /* VPs that have for the stop under way */
	atomic_uint resetting;	 /* VPs whose reset is not done */
	atomic_bool reset_failed;
	atomic_bool paused;	 /* VPs stay out of a running VTL0 */
	bool ran;
	sem_t up;
	struct reactor_call step;
	uint64_t starts;
	struct inspect_entry inspect;
};

/*
 * *p is all zeroes. Opens VTL0: adds and maps its RAM, hides VTL2's (`vtl2`), asks for the
 * intercepts. Parts of RAM that do not fill 2 MiB are left out, said aloud. 0
 * or -errno, logged.
 */
int partition_open(struct partition *p, const struct dt_range *ram,
		   unsigned int nr_ram, const struct dt_range *vtl2);

/* Starts one thread per CPU and waits until all are up. `ops`, `opaque` and
 * `ports.memory` are set. 0 or -errno, logged. */
int partition_start_vps(struct partition *p);

/* Loads and runs VTL0 for the first time. Any thread; returns at once. */
void partition_run(struct partition *p);

/*
 * VTL0 has come to an end or wants a reset: tells the host (a reset in place
 * is not the host's matter), stops all VPs, and after a reset loads and runs
 * VTL0 again. The first call counts. `vp`: who saw it, or NULL. Any thread;
 * returns at once. A VP that calls does not run another instruction of VTL0.
 */
void partition_end(struct partition *p, enum partition_end end,
		   const struct vp *vp);

/* The guest said that it crashed (p->crash): tells the host. VTL0 goes on, for
 * it may want to save a dump. Any VP's thread. */
void partition_crashed(struct partition *p, const struct vp *vp);

/*
 * Keeps all VPs out of VTL0, or lets them go on. Their reactors work on: I/O
 * under way ends, and time goes on for the guest, which finds it later than it
 * was. A reset or an end is no way out of it. Returns when all are out: any
 * thread but a reactor's. 0; -EINVAL: VTL0 does not run.
 */
int partition_pause(struct partition *p, bool paused);

/* Answer to ops->quiesce. VP 0's reactor. */
void partition_quiet(struct partition *p);

/* ---- for vp.c ---- */

/* And not paused. */
bool partition_running(const struct partition *p);
/* The VP is out of VTL0; own thread, before each wait. */
void partition_park(struct vp *vp);
/* The VP's thread is up (or failed). */
void partition_vp_up(struct vp *vp, int error);

#endif
