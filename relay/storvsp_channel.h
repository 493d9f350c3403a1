/* SPDX-License-Identifier: MIT */
/* Between the files of StorVSP: a controller, its channels, their requests. */
#ifndef RELAY_STORVSP_CHANNEL_H
#define RELAY_STORVSP_CHANNEL_H

#include <pthread.h>
#include <stdatomic.h>

#include "channel.h"
#include "company.h"
#include "scsi.h"
#include "storvsp.h"
#include "vstor_reg.h"

#define PACKET_SIZE ((uint32_t)sizeof(struct vstor_packet))

/* Named after what the channel waits for. */
enum init_state { WAIT_BEGIN, WAIT_VERSION, WAIT_PROPERTIES, WAIT_END, READY };

/* A channel has so many times its depth of requests, but not less than so many:
 * see storvsp_share.c. */
#define STORVSP_POOL 8u
#define STORVSP_MIN_POOL 256u

/* A request is young in the run that took it and so many after. In one of them
 * a command's time is taken. */
#define STORVSP_YOUNG_RUNS 16u

/* How long commands took, from the ring to their answer, by powers of two of
 * the TSC's ticks: 2^8 and less, to 2^39 and more (a minute and longer). */
#define STORVSP_LATENCY_FIRST 8u
#define STORVSP_LATENCIES 32u

struct storvsp_request {
	struct scsi_task task; /* first */
	struct storvsp_channel *channel;
	struct storvsp_request *next; /* free, or waiting */
	uint32_t tick; /* when it began to run; 0: it does not */
	uint64_t taken; /* when it came, in ticks of the TSC */
	uint64_t transaction;
	uint32_t reply_size;
	uint32_t run; /* that took it */
	struct vstor_packet packet; /* the client's, then ours */
};

struct storvsp_counters {
	uint64_t srbs, completions, runs;
	uint64_t no_request, no_room; /* left packets in the ring */
	uint64_t kept;		      /* one was read too early */
	uint64_t floor_broken;	      /* a unit's, by others: it never is */
	uint64_t refused;	      /* violations that were answered */
	uint64_t announcements;	      /* ENUMERATE_BUS */
	uint64_t pauses;	      /* runs that left the client masked */
	uint64_t late;		      /* ... and nothing came of it */
	/* On another reactor than the channel's: there are none, and this is
	 * how to know. */
	uint64_t cross_reactor_completions;
};

/* A logical unit and who uses it, see storvsp_lun.c. */
struct storvsp_lun {
	struct scsi_lun scsi; /* first */
	struct reactor *reactor; /* the server's */
	atomic_uint users;	 /* the controller, and each channel */
	atomic_uint stalled;	 /* channels that wait for it; not 0: degraded */
	atomic_uint degradations; /* so often was it */
	struct reactor_call unused;
	void (*done)(void *opaque);
	void *opaque;
};

#define STORVSP_SLOW (1u << 0)	  /* its share is used up, and that lasts */
#define STORVSP_STALLED (1u << 1) /* the disk's deadline has passed */
#define STORVSP_LEAVING (1u << 2) /* to be closed when nothing is under way */

struct storvsp_nexus {
	struct scsi_nexus scsi;	 /* first */
	struct storvsp_lun *lun; /* NULL: not open */
	unsigned int tasks;   /* under way */
	unsigned int running; /* of those, at the disk */
	struct storvsp_request *waiting, *last_waiting;
	uint64_t waits, full;
	uint64_t latency[STORVSP_LATENCIES];
	uint8_t odd; /* STORVSP_SLOW and so on */
	bool answered; /* something ended since it stalled */
};

struct storvsp_channel {
	struct storvsp *storvsp;
	struct vmbus_channel *vmbus; /* while open */
	enum init_state state;
	bool running;  /* inside storvsp_run() */
	bool resuming; /* a completion posted `resume` */
	bool stopped; /* by a violation */
	bool closing;
	bool ended; /* closing, and nothing is under way */
	unsigned int depth; /* of a unit */
	unsigned int nr_requests, in_flight;
	uint64_t opened_ticks, opened_ns; /* what passes since is the rate */
	/* See storvsp_share.c. */
	uint32_t floor, shared, shared_used; /* requests */
	unsigned int nr_waiting;
	bool kept; /* a packet was read and not taken: */
	struct ring_packet kept_packet;
	uint64_t kept_since;
	struct reactor_timer watch;
	uint32_t tick; /* from 1 on */
	/* See storvsp_rest.c. What is under way of the last runs, and of each
	 * of them: */
	uint32_t run;
	unsigned int young;
	uint16_t taken[STORVSP_YOUNG_RUNS];
	bool rests; /* the last run left the client masked, and took all */
	bool waited; /* this run ends a hold */
	struct reactor_timer look, hold;
	uint32_t look_run; /* when it was armed */
	struct company company;
	/* The one whose time at its disk is taken, or shall be the next's. */
	const struct storvsp_request *timed;
	bool time_next;
	uint32_t timed_run;
	uint64_t timed_since;
	uint32_t completion_space; /* of the ring, for one */
	/* `fresh` of them were never used, and their memory not touched. */
	struct storvsp_request *requests, *free;
	unsigned int fresh;
	struct reactor_call resume, sync;
	struct scsi_bounce_pool bounce;
	struct storvsp_counters count;
	atomic_bool announce; /* the guest shall look for changes */
	_Alignas(8) uint8_t packet[RING_MAX_PACKET];

	/* Its logical units: who is there for the client, and all that are
	 * open, also those that only finish what they have. */
	struct scsi_target target;
	unsigned int nr_open;
	uint8_t open[SCSI_MAX_LUNS]; /* numbers */
	struct storvsp_nexus nexus[SCSI_MAX_LUNS];

	/* Under the controller's lock. */
	struct reactor *reactor; /* NULL: closed */
	unsigned int generation; /* of the units it follows */
};

struct storvsp {
	struct vmbus_device device; /* first */
	struct guest_memory *memory;
	struct reactor *reactor; /* the server's */
	uint16_t queue_depth;
	uint32_t max_transfer;
	void (*done)(void *opaque);
	void *opaque;
	struct storvsp_channel *_Atomic channel[1 + STORVSP_MAX_SUBCHANNELS];

	/* Written on the server's reactor, under the lock. */
	pthread_mutex_t lock;
	struct storvsp_lun *lun[SCSI_MAX_LUNS];
	unsigned int generation; /* counts changes of the above */
	unsigned int announced;	 /* the last the guest was told of */

	atomic_uint nobody; /* SRBs for units that are not there */
	/* storvsp_retire.c */
	struct reactor_timer retire;
	uint64_t retire_until, quiet_since;
	unsigned int nobody_before, nobody_seen;
};

/* storvsp_channel.c. Channel's reactor. */

/* Reads packets, submits, publishes, signals. */
void storvsp_run(struct storvsp_channel *ch);
/* The same for what ended: looks at the ring only if that is worth it. */
void storvsp_resume(struct storvsp_channel *ch);
/* Ends a request, whatever it was: req->packet is what the client gets. */
void storvsp_complete(struct storvsp_request *req, uint32_t status);
/* The client broke a rule and gets an answer. */
void storvsp_record(struct storvsp_channel *ch, uint32_t operation,
		    size_t offset, uint64_t value, const char *rule);

/* storvsp_rest.c. Channel's reactor. */

/* The channel opens, or it closes. */
void storvsp_rest_open(struct storvsp_channel *ch);
void storvsp_rest_close(struct storvsp_channel *ch);
/* All that was there is taken. True: something will make us look again, so the
 * client shall not signal. */
bool storvsp_may_rest(struct storvsp_channel *ch);
/* Something ended. True: there is no need to look at the ring for that. */
bool storvsp_need_not_look(struct storvsp_channel *ch);
/* The time of a command at its disk: of the next one, of this one, it ended. */
void storvsp_time_next(struct storvsp_channel *ch);
void storvsp_time(struct storvsp_channel *ch,
		  const struct storvsp_request *req);
void storvsp_timed(struct storvsp_channel *ch);

/* storvsp_lun.c */

/* Of a controller that is not offered yet, or with the lock held. */
int storvsp_lun_create(struct storvsp *storvsp,
		       const struct scsi_lun_config *config);
/* Of a controller that ends: no channel is open. */
void storvsp_lun_free(struct storvsp_lun *lun);
/* Gives one use back; the last frees it, on the server's reactor. */
void storvsp_lun_put(struct storvsp_lun *lun);
/* Opens the nexuses of a channel that opens: 0 or -errno. Channel's reactor,
 * as all that follow. */
int storvsp_open_nexuses(struct storvsp_channel *ch);
/* Makes them what the controller's units are now. From the `sync` call. */
void storvsp_follow(struct storvsp_channel *ch);
/* The `sync` call is not posted any more. */
void storvsp_stop_following(struct storvsp_channel *ch);
/* Nothing is under way on any. */
void storvsp_close_nexuses(struct storvsp_channel *ch);

/* storvsp_share.c. Channel's reactor. */

/* The open units are others. */
void storvsp_set_shares(struct storvsp_channel *ch);
/* Nothing shared is left: this packet is kept, perhaps again, and we will be
 * called again. False: it is not. */
bool storvsp_keeps(struct storvsp_channel *ch,
		   const struct ring_packet *packet, bool again);
/* There is no request for the next packet. */
void storvsp_no_request(struct storvsp_channel *ch);
/* Executes req->task when it is its turn. False: its unit has more than its
 * share; nothing was done. */
bool storvsp_start_late(struct storvsp_request *req);
/* A task began to run, and nobody watches. */
void storvsp_start_watch(struct storvsp_channel *ch);
/* A task of this nexus ended, which is odd, or the disk did not answer it. */
void storvsp_ended_oddly(struct storvsp_channel *ch,
			 struct storvsp_nexus *nexus, enum disk_status status);
/* Executes those whose turn it is. */
void storvsp_run_waiting(struct storvsp_channel *ch);
/* Ends them instead: nobody is there any more to be told. */
void storvsp_drop_waiting(struct storvsp_channel *ch);
/* The nexus is about to be closed. */
void storvsp_unstall(struct storvsp_nexus *nexus);
/* As a timer, while commands run. */
void storvsp_watch(struct reactor_timer *timer);

/* The table was changed: all follow, then the client is told. The lock is
 * held. Server's reactor. */
void storvsp_units_changed(struct storvsp *storvsp);

/* What each command passes, in line. */

/* Has it all that it may have? */
static inline bool storvsp_has_its_share(const struct storvsp_channel *ch,
					 const struct storvsp_nexus *nexus)
{
	return ch->shared_used >= ch->shared && nexus->tasks >= ch->floor;
}

static inline void storvsp_execute(struct storvsp_channel *ch,
				   struct storvsp_nexus *nexus,
				   struct storvsp_request *req)
{
	nexus->running++;
	req->tick = ch->tick;
	if (ch->time_next)
		storvsp_time(ch, req);
	if (!ch->watch.armed)
		storvsp_start_watch(ch);
	scsi_execute(&req->task);
}

/* Executes req->task, now or when it is its turn; false as above. */
static inline bool storvsp_start(struct storvsp_channel *ch,
				 struct storvsp_request *req)
{
	struct storvsp_nexus *nexus = (struct storvsp_nexus *)req->task.nexus;

	if (storvsp_has_its_share(ch, nexus) || nexus->waiting ||
	    nexus->running >= ch->depth)
		return storvsp_start_late(req);
	ch->shared_used += nexus->tasks++ >= ch->floor;
	storvsp_execute(ch, nexus, req);
	return true;
}

/* It ended: the above is undone. */
static inline void storvsp_ended(struct storvsp_channel *ch,
				 struct storvsp_request *req)
{
	struct storvsp_nexus *nexus = (struct storvsp_nexus *)req->task.nexus;
	uint64_t ticks = __builtin_ia32_rdtsc() - req->taken;
	unsigned int power = 63u - (unsigned int)
		__builtin_clzll(ticks >> STORVSP_LATENCY_FIRST | 1);

	nexus->latency[power < STORVSP_LATENCIES ? power :
					STORVSP_LATENCIES - 1]++;
	req->tick = 0;
	if (ch->timed == req)
		storvsp_timed(ch);
	nexus->running--;
	ch->shared_used -= nexus->tasks-- > ch->floor;
	if (nexus->odd || req->task.disk_status == DISK_TIMEOUT)
		storvsp_ended_oddly(ch, nexus, req->task.disk_status);
}

/* storvsp_srb.c. Completes the request, now or later. */
void storvsp_execute_srb(struct storvsp_request *req,
			 const struct ring_packet *packet);

#endif
