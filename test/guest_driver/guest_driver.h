/* SPDX-License-Identifier: MIT */
/*
 * A VMBus client without a guest: memory, VPs and a SynIC are a few arrays,
 * the server under test is called directly. Tests and fuzzers use it to say
 * what a guest kernel would say, or what none should.
 *
 * With test/unit/reactor_inline.c everything happens in the calling thread,
 * with reactor_threads.c each VP has its own. After each call the reactors are
 * drained, unless guest_driver.manual is set. Calls return 0 or -errno, as
 * the server answered: -EPROTO stands for a failed result, -ENOMSG for no
 * answer, -EBADMSG for an answer that makes no sense.
 */
#ifndef TEST_GUEST_DRIVER_H
#define TEST_GUEST_DRIVER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <pv/guest_memory.h>
#include <pv/reactor.h>

#include "relay/channel.h"
#include "relay/ring.h"
#include "relay/server.h"
#include "relay/vmbus_reg.h"

#define GUEST_MAX_VPS 8
#define GUEST_MESSAGE_CONNECTION 4

struct guest_message {
	uint32_t vp;
	uint8_t sint;
	uint32_t size;
	_Alignas(8) uint8_t payload[VMBUS_MAX_MESSAGE];
};

struct guest_driver {
	struct vmbus_server *server;
	struct vmbus_server *host; /* not NULL: takes signals that `server` */
				   /* does not know, as a hypervisor would */
	struct guest_memory memory;
	uint8_t *ram; /* from GPA 0 */
	uint32_t nr_pages, free_pages;
	unsigned int nr_vps;
	struct reactor *reactor[GUEST_MAX_VPS]; /* 0 is the server's, too */

	pthread_mutex_t lock; /* of the inbox: reactors may have threads */
	struct guest_message *inbox; /* not read yet, oldest first */
	size_t nr_inbox, inbox_size;

	bool manual;	/* the test drains the reactors itself */
	bool sim_busy;	/* no room for messages now */
	bool synic_off; /* and never */
	_Atomic uint64_t signals; /* interrupts that came */
	_Atomic uint32_t signal_vp;
	_Atomic uint16_t signal_flag; /* of the last one */
	/* Not NULL: told of each interrupt, on the reactor that raised it. */
	void (*interrupt)(void *opaque, uint16_t flag);
	void *interrupt_opaque;
	uint32_t features; /* that the last contact agreed on */
	uint32_t next_gpadl;
};

/* A guest of `nr_pages` of RAM (a page is 4 KiB); aborts without memory. */
struct guest_driver *guest_driver_create(uint32_t nr_pages, unsigned int nr_vps,
					 uint32_t max_version);
/* All devices must have been revoked. */
void guest_driver_destroy(struct guest_driver *g);

/* Page numbers of `n` pages, zeroed and never adjacent in ascending order. */
void guest_pages(struct guest_driver *g, uint64_t *pfn, uint32_t n);
void *guest_page(struct guest_driver *g, uint64_t pfn);

/* Messages. guest_post() sets the type. */
int guest_post(struct guest_driver *g, enum vmbus_message_type type,
	       void *message, size_t size);
/* Takes the oldest message of the server out of the inbox; false: empty. */
bool guest_take(struct guest_driver *g, struct guest_message *message);
/* Takes the oldest message into `message`: 0 if it has this type and size,
 * -ENOMSG when there is none, -EBADMSG when it is another one. */
int guest_expect(struct guest_driver *g, enum vmbus_message_type type,
		 void *message, size_t size);

/* The steps of a kernel. Contact comes with two monitor pages; its answer's
 * features are in guest_driver.features. */
int guest_contact(struct guest_driver *g, uint32_t version, uint32_t vp,
		  uint32_t features);
int guest_request_offers(struct guest_driver *g, unsigned int *nr_offers,
			 struct vmbus_offer_channel *offers, unsigned int max);
int guest_gpadl_create(struct guest_driver *g, uint32_t channel,
		       const uint64_t *pfn, uint32_t n, uint32_t *gpadl);
/* Its messages, without waiting for the answer. */
int guest_gpadl_post(struct guest_driver *g, uint32_t channel,
		     const uint64_t *pfn, uint32_t n, uint32_t *gpadl);
int guest_gpadl_teardown(struct guest_driver *g, uint32_t channel,
			 uint32_t gpadl);
int guest_unload(struct guest_driver *g);

struct guest_channel {
	struct guest_driver *g;
	uint32_t id, connection, gpadl, nr_pages, split;
	uint16_t event_flag; /* with VMBUS_FEATURE_SIGNAL_PARAMETERS, and */
			     /* `connection`: what OPEN asks for */
	uint64_t *pfn;
	struct guest_hold *hold;
	struct ring ring; /* ours: in is the second of the GPADL */
};

/* Opens an offered channel with rings of so many pages each, one of them for
 * control; on failure nothing is left. The GPADL is made before the pages are
 * cleared, as Linux does. */
int guest_open(struct guest_driver *g, const struct vmbus_offer_channel *offer,
	       uint32_t pages, uint32_t vp, struct guest_channel *ch);
/* Its three steps: pages full of 0xaa and their GPADL; the pages cleared and
 * ours; OPEN_CHANNEL and its result. */
int guest_ring_create(struct guest_driver *g,
		      const struct vmbus_offer_channel *offer, uint32_t pages,
		      struct guest_channel *ch);
/* The first without waiting for the answer; the pages stay in any case. */
int guest_ring_post(struct guest_driver *g,
		    const struct vmbus_offer_channel *offer, uint32_t pages,
		    struct guest_channel *ch);
void guest_ring_clear(struct guest_channel *ch);
int guest_ring_open(struct guest_channel *ch, uint32_t vp);
/* OPEN_CHANNEL without waiting for its result. */
int guest_post_open(struct guest_channel *ch, uint32_t vp);
/* OPEN_RESERVED and CLOSE_RESERVED; -EBADMSG: the answer went elsewhere. */
int guest_open_reserved(struct guest_channel *ch, uint32_t vp, uint32_t sint);
int guest_close_reserved(struct guest_channel *ch, uint32_t vp, uint32_t sint);
/* CLOSE only. */
int guest_close(struct guest_channel *ch);
/* CLOSE, TEARDOWN, and frees what guest_open() made. */
int guest_shut(struct guest_channel *ch);
/* Frees without a word to the server. */
void guest_channel_free(struct guest_channel *ch);

/* Writes one packet and signals if the ring says so. */
int guest_send(struct guest_channel *ch, uint16_t type, uint16_t flags,
	       uint64_t transaction, const void *header, uint32_t header_size,
	       const void *payload, uint32_t payload_size);
/* Reads one packet; `buffer` of RING_MAX_PACKET bytes. -EAGAIN: none. */
int guest_receive(struct guest_channel *ch, void *buffer,
		  struct ring_packet *packet);
/* HvSignalEvent. */
int guest_signal(struct guest_channel *ch);

#endif
