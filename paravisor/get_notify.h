/* SPDX-License-Identifier: MIT */
/*
 * The daemon's end of the guest emulation transport (get_reg.h): reports of
 * the guest's end to the host, the host's wall clock, and settings that the
 * host changes while the guest runs.
 *
 * It implements pv/host_notify.h on a message pipe.
 *
 * A host that learns of the guest's end may throw all away at once, so the
 * report waits until the guest's last words are out: until no port is busy
 * (get_notify_busy()), GET_NOTIFY_DRAIN_NS at most.
 */
#ifndef GET_NOTIFY_H
#define GET_NOTIFY_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <get_reg.h>
#include <pv/host_notify.h>
#include <pv/message_pipe.h>
#include <pv/reactor.h>

#include "get_settings.h"

/* The biggest notification that waits: a start, with why it failed. */
#define GET_NOTIFY_MESSAGE (sizeof(struct get_start_vtl0_completed) + \
			    GET_RESULT_MAX)
/* One start or end of the guest, each way, and the first requests. */
#define GET_NOTIFY_QUEUE 8u
#define GET_NOTIFY_DRAIN_NS 2000000000ull

struct get_queued {
	bool end; /* of the guest: waits for busy ports */
	uint16_t size;
	uint8_t bytes[GET_NOTIFY_MESSAGE];
};

struct get_notify {
	struct host_notify host; /* give this to who reports */
	struct pipe_user user;	 /* give this to the pipe */
	struct message_pipe *pipe; /* NULL: absent */
	pthread_mutex_t lock;	 /* of all below, and of the pipe */
	bool accepted, gone, absent;
	bool ended, crashed;	 /* the guest's end, its crash was reported */
	struct get_queued queue[GET_NOTIFY_QUEUE];
	unsigned int head, count;
	uint32_t busy;		 /* a bit for each port */
	bool drain_over;	 /* waited long enough */
	struct reactor *reactor; /* NULL: ends do not wait */
	struct reactor_call drain;
	struct reactor_timer drain_timer;
	bool time_known;
	int64_t clock_offset;	 /* CLOCK_MONOTONIC to Unix time, ns */

	/*
	 * New settings came: set between get_notify_init() and _start(), NULL:
	 * none are taken. It runs on the transport's reactor and under our
	 * lock, so it calls nothing here: it notes the text and posts a call
	 * that does the work and ends in get_notify_settings_done(). Until
	 * then the text stays as it is; it is `len` bytes, not terminated.
	 */
	void (*settings)(void *opaque, const char *json, size_t len);
	void *settings_opaque;
	struct get_settings update;
	bool applying;		 /* settings() was called */
	bool skipping;		 /* pieces that came meanwhile */
	uint16_t completed_size; /* of the answer that waits; 0: none */
	uint8_t completed[sizeof(struct get_modify_settings_completed) +
			  GET_RESULT_MAX];
	uint64_t sent, received, refused, dropped;
};

void get_notify_init(struct get_notify *get);

/* Connects it and asks for version and time; what was reported before waits
 * until the version is agreed. Under get_notify_lock(). */
void get_notify_start(struct get_notify *get, struct message_pipe *pipe);

/* The host has no such device: reports are logged and dropped. */
void get_notify_absent(struct get_notify *get);

/* Lets reports of the guest's end wait for busy ports; the reactor keeps the
 * time. Before VPs run VTL0. */
void get_notify_drain_on(struct get_notify *get, struct reactor *reactor);
/* Port 0..31 has bytes of the guest that are not out yet, or has no more. Any
 * thread, under any lock but ours. */
void get_notify_busy(struct get_notify *get, unsigned int port, bool busy);

/* The answer to settings(): whether they hold, and one line for the host (why
 * not, or what is still to come; NULL: none), of which GET_RESULT_MAX bytes are
 * sent. Any thread, not under our lock. */
void get_notify_settings_done(struct get_notify *get, bool hold,
			      const char *text);

/* Around every call into the pipe (message_pipe_run() and its kin). */
void get_notify_lock(struct get_notify *get);
void get_notify_unlock(struct get_notify *get);

/*
 * Unix time in seconds: the host's clock once it was received, this kernel's
 * before. Any thread. As a `wall_clock` callback (chipset/rtc.h).
 */
int64_t get_notify_wall_clock(void *get);

#endif
