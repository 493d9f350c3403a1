/* SPDX-License-Identifier: MIT */
/* Between the files of StorVSP: a controller, its channels, their requests. */
#ifndef RELAY_STORVSP_CHANNEL_H
#define RELAY_STORVSP_CHANNEL_H

#include <stdatomic.h>

#include "channel.h"
#include "scsi.h"
#include "storvsp.h"
#include "vstor_reg.h"

#define PACKET_SIZE ((uint32_t)sizeof(struct vstor_packet))

/* Named after what the channel waits for. */
enum init_state { WAIT_BEGIN, WAIT_VERSION, WAIT_PROPERTIES, WAIT_END, READY };

struct storvsp_request {
	struct scsi_task task; /* first */
	struct storvsp_channel *channel;
	struct storvsp_request *next; /* free */
	uint64_t transaction;
	uint32_t reply_size;
	struct vstor_packet packet; /* the client's, then ours */
};

struct storvsp_counters {
	uint64_t srbs, completions, runs;
	uint64_t no_request, no_room; /* left packets in the ring */
	uint64_t refused;	      /* violations that were answered */
};

struct storvsp_channel {
	struct storvsp *storvsp;
	struct vmbus_channel *vmbus; /* while open */
	enum init_state state;
	bool running; /* inside storvsp_run() */
	bool stopped; /* by a violation */
	bool closing;
	unsigned int depth, in_flight;
	unsigned int nr_nexuses; /* open, in the order of LUNs */
	struct storvsp_request *requests, *free;
	struct reactor_call resume;
	struct scsi_bounce_pool bounce;
	struct storvsp_counters count;
	_Alignas(8) uint8_t packet[RING_MAX_PACKET];
	struct scsi_nexus nexus[]; /* storvsp->nr_luns */
};

struct storvsp {
	struct vmbus_device device; /* first */
	struct guest_memory *memory;
	uint16_t queue_depth;
	struct scsi_target target;
	unsigned int nr_luns;
	uint8_t nexus_of[SCSI_MAX_LUNS]; /* by number: index into nexus[] */
	struct storvsp_channel *_Atomic channel[1 + STORVSP_MAX_SUBCHANNELS];
	void (*done)(void *opaque);
	void *opaque;
};

/* storvsp_channel.c. Channel's reactor. */

/* Reads packets, submits, publishes, signals. */
void storvsp_run(struct storvsp_channel *ch);
/* Ends a request, whatever it was: req->packet is what the client gets. */
void storvsp_complete(struct storvsp_request *req, uint32_t status);
/* The client broke a rule and gets an answer. */
void storvsp_record(struct storvsp_channel *ch, uint32_t operation,
		    size_t offset, uint64_t value, const char *rule);

/* storvsp_srb.c. Completes the request, now or later. */
void storvsp_execute_srb(struct storvsp_request *req,
			 const struct ring_packet *packet);

#endif
