/* SPDX-License-Identifier: MIT */
/*
 * The integration services by themselves; integration.h is all of them.
 *
 * Where a text is returned it is NULL, and done() will be called, once; or why
 * not. All calls: the device thread.
 */
#ifndef VMM_IC_SERVICES_H
#define VMM_IC_SERVICES_H

#include "ic.h"

struct machine;

/* NULL, or what went wrong: one line, valid during the call. */
typedef void ic_done(void *opaque, const char *error);

/* ---- ic_shutdown.c ---- */

struct shutdown_service {
	struct ic ic; /* first, as below */
	ic_done *done;
	void *opaque;
	char error[64];
};

void shutdown_service_init(struct shutdown_service *s, struct reactor *loop);
/* Asks the guest to power off: done when it has said that it will. */
const char *shutdown_service_ask(struct shutdown_service *s, ic_done *done,
				 void *opaque);

/* ---- ic_heartbeat.c ---- */

#define HEARTBEAT_LOST_S 10u

enum heartbeat_state { HEARTBEAT_NONE, HEARTBEAT_BEATS, HEARTBEAT_LOST };

struct heartbeat_service {
	struct ic ic;
	enum heartbeat_state state;
	uint64_t sequence, beats, losses;
	uint64_t wrong; /* answers with another number */
	struct reactor_timer next;
	bool paused;
};

void heartbeat_service_init(struct heartbeat_service *s, struct reactor *loop);
/* A guest that does not run has not lost its heartbeat. */
void heartbeat_service_pause(struct heartbeat_service *s, bool paused);

/* ---- ic_time.c ---- */

#define TIME_OFFSET_MAX 3155760000ll /* seconds: a century */

struct time_service {
	struct ic ic;
	const struct machine *machine;
	int64_t offset; /* seconds, added to the host's clock */
	int64_t before; /* that of before, until the guest has taken this */
	uint64_t samples, syncs;
	bool sync; /* the next message sets the guest's clock */
	struct reactor_timer next;
	ic_done *done; /* the offset was told; NULL: nobody waits */
	bool sent;     /* and the answer is to that */
	void *opaque;
};

void time_service_init(struct time_service *s, const struct machine *machine,
		       struct reactor *loop);
/* From now on the guest's time is the host's and so many seconds: done when it
 * was told so. */
const char *time_service_set(struct time_service *s, int64_t offset,
			     ic_done *done, void *opaque);

/* ---- ic_kvp.c ---- */

/* In UTF-8: three bytes for each of two. */
#define KVP_KEY_TEXT (KVP_KEY_SIZE / 2 * 3 + 1)
#define KVP_VALUE_TEXT (KVP_VALUE_SIZE / 2 * 3 + 1)

/* Either error or value, valid during the call. */
typedef void kvp_done(void *opaque, const char *error, const char *value);

struct kvp_service {
	struct ic ic;
	char key[KVP_KEY_TEXT];
	uint8_t pool;
	uint32_t index;
	kvp_done *done; /* NULL: nobody asks */
	void *opaque;
	char error[64];
};

void kvp_service_init(struct kvp_service *s, struct reactor *loop);
/* -1: no pool has this name. */
int kvp_pool_of(const char *name);
/* The value of a key in one of the guest's pools; numbers as text. */
const char *kvp_service_get(struct kvp_service *s, uint8_t pool,
			    const char *key, kvp_done *done, void *opaque);

#endif
