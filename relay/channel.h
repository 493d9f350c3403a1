/* SPDX-License-Identifier: MIT */
/*
 * What a device of the VMBus server sees: an offer, and channels.
 *
 * A device is offered; a client may open it; the device then owns a ring on
 * one reactor until close. The server (server.c) owns every protocol state;
 * a device is told only of open, signal and close:
 *
 *          offered --open()--> open --close()--> closing --vmbus_channel_closed()--> offered
 *
 * While a device is closing, guest memory stays held; the server answers the
 * client's GPADL teardown only after vmbus_channel_closed(). That is the rule
 * that keeps a device from writing into memory the client took back.
 *
 * Threads: open(), run() and close() run on the channel's reactor, which is
 * the one of the VP the client chose at open and stays that until close; two
 * channels of one device may run on two reactors at the same time. Offer and
 * revoke: the server's own reactor.
 */
#ifndef RELAY_CHANNEL_H
#define RELAY_CHANNEL_H

#include <stdbool.h>
#include <stdint.h>

#include <guid.h>
#include <pv/reactor.h>

#include "ring.h"

struct gpadl;
struct inspect;
struct vmbus_server;
struct vmbus_channel;
struct vmbus_device;

struct vmbus_device_ops {
	const char *name; /* for logs, violations and inspect */
	/* The ring is ready. 0, or -errno: the client gets a failed result and
	 * close() is not called. */
	int (*open)(struct vmbus_device *dev, struct vmbus_channel *ch);
	/* The client signalled: packets to read, or room to write. Also called
	 * once after a successful open, when the client has been told. */
	void (*run)(struct vmbus_channel *ch);
	/* No more run(). Call vmbus_channel_closed(), exactly once, when nothing
	 * refers to the ring or to guest pages any more: here, or later. */
	void (*close)(struct vmbus_channel *ch);
	void (*inspect)(struct vmbus_device *dev, struct inspect *out);
};

/* What an OPEN of a relayed channel asks for. */
struct vmbus_relay_open {
	uint32_t gpadl, split, vp;
	uint32_t connection; /* of the client's signals */
	uint16_t event_flag; /* of the interrupts of the other side */
	const uint8_t *user_data; /* 120 bytes */
};

/*
 * A relayed device is another bus's: its one channel has no ring here. What
 * the client says of it is passed on, and the client hears what the owner of
 * the device answers; signals go past the server. Words of a GPADL are checked
 * to be guest RAM. There is no reserved open.
 *
 * Server's reactor. An answer may be given before the call returns; one that
 * nobody waits for any more is ignored.
 */
struct vmbus_relay_ops {
	/* `words` are good until it returns. 0: vmbus_relay_gpadl_created();
	 * -errno: it cannot be asked; -EEXIST: the other side knows such an id,
	 * of another channel. */
	int (*gpadl_create)(struct vmbus_device *dev, uint32_t gpadl,
			    uint16_t range_count, const uint64_t *words,
			    uint16_t nr_words);
	/* vmbus_relay_gpadl_torndown() */
	void (*gpadl_teardown)(struct vmbus_device *dev, uint32_t gpadl);
	/* vmbus_relay_opened() */
	void (*open)(struct vmbus_device *dev,
		     const struct vmbus_relay_open *open);
	/* Has no answer, and a modify() before it has none, either. */
	void (*close)(struct vmbus_device *dev);
	/* vmbus_relay_modified() */
	void (*modify)(struct vmbus_device *dev, uint32_t vp);
	/* The client is gone, or the device is: close the channel and let go of
	 * all GPADLs, then vmbus_relay_released(), exactly once, and no other
	 * answer from here on. */
	void (*release)(struct vmbus_device *dev);
};

/* Embedded in the device's structure; lives from offer until revoked. What is
 * not set is zero. */
struct vmbus_device {
	const struct vmbus_device_ops *ops;
	struct guid interface, instance;
	uint16_t offer_flags; /* VMBUS_OFFER_* */
	uint16_t mmio_mb;
	uint8_t user_data[120];
	uint16_t order; /* among devices of one interface, for stable ids */
	/* Relayed: not NULL, and `ops` is but a name. */
	const struct vmbus_relay_ops *relay;
	uint16_t sub_index; /* relayed: of its channel; else 0 */
	uint16_t max_subchannels;
	void (*revoked)(struct vmbus_device *dev); /* may be freed from here on */
	/* ---- private to the server ---- */
	struct vmbus_server *server;
	struct vmbus_device *next;
	struct vmbus_channel_state *channels; /* the primary is the first */
	bool revoking;
};

/* An open channel. The device may use the fields above the line. */
struct vmbus_channel {
	struct vmbus_device *device;
	struct reactor *reactor;
	struct ring ring;
	void *opaque;	       /* the device's */
	uint16_t sub_index;    /* 0 = primary */
	uint32_t id;
	uint32_t vp; /* at open: VMBUS_NO_VP = wants no interrupts */
	const uint8_t *open_user_data; /* 120 bytes of the OPEN message */
	/* ---- private to the server ---- */
	struct vmbus_channel_state *state;
};

/* Who leaves the channel's reactor to others for a while: run() is called after
 * them, as for a signal, unless the channel closes before. That reactor. */
void vmbus_channel_run_again(struct vmbus_channel *ch);

/* Offers or takes back. -ENOSPC: no channel id free; -ENOMEM. Server's reactor,
 * or before it runs. `revoked` is called on the server's reactor when the last
 * channel is closed, which may be before vmbus_revoke() returns. */
int vmbus_offer(struct vmbus_server *server, struct vmbus_device *dev);
void vmbus_revoke(struct vmbus_device *dev);

/* Offers `count` more sub-channels of an open primary; they are rescinded when
 * it closes. -EINVAL: none, or more than max_subchannels in all. The primary's
 * reactor, from run(). */
int vmbus_offer_subchannels(struct vmbus_device *dev, unsigned int count);

/* Does the server offer such a device already? Server's reactor. */
bool vmbus_offers(const struct vmbus_server *server,
		  const struct guid *interface, const struct guid *instance);

/* Answers about a relayed device; `status` is the protocol's, 0 = success.
 * Server's reactor. */
void vmbus_relay_gpadl_created(struct vmbus_device *dev, uint32_t gpadl,
			       uint32_t status);
void vmbus_relay_gpadl_torndown(struct vmbus_device *dev, uint32_t gpadl);
void vmbus_relay_opened(struct vmbus_device *dev, uint32_t status);
void vmbus_relay_modified(struct vmbus_device *dev, uint32_t status);
void vmbus_relay_released(struct vmbus_device *dev);

/* Interrupts the client: after ring_write_end() or ring_read_end() said so.
 * Channel's reactor. */
void vmbus_channel_signal(struct vmbus_channel *ch);

/* Answer to close(). Any thread; the channel is the server's from here on. */
void vmbus_channel_closed(struct vmbus_channel *ch);

/*
 * Pages that the client described by a GPADL of the channel, beside those of
 * the ring. Embedded in the device's structure.
 *
 *	     vmbus_take_pages()        taken(0)       vmbus_give_pages()
 *	idle -----------------> asked ----------> taken -----------------> idle
 *	  ^                       | taken(-errno)
 *	  +-----------------------+
 *
 * While they are taken the client's teardown of the GPADL is not answered. All
 * is given back, and no answer is due, before vmbus_channel_closed(). The
 * pages are guest RAM each; they are not held. -ENOENT: no such GPADL, or the
 * channel is a reserved one, which has none but its ring's; -EINVAL: it is not
 * one range that begins with a page. Channel's reactor.
 */
struct vmbus_pages {
	void (*taken)(struct vmbus_pages *pages, int error);
	/* Valid while taken. */
	const uint64_t *pfn; /* page numbers */
	uint32_t size;	     /* bytes */
	/* ---- private to the server ---- */
	struct vmbus_channel *ch;
	struct gpadl *gpadl;
	uint32_t id;
	int error;
	struct reactor_call take_call, taken_call, give_call;
};
void vmbus_take_pages(struct vmbus_channel *ch, struct vmbus_pages *pages,
		      uint32_t gpadl);
void vmbus_give_pages(struct vmbus_pages *pages);

/* The client broke a rule of the ring or of the device's protocol: records
 * the violation and stops the channel (as if the client had closed it; the
 * client is not told, the protocol has no word for it). Channel's reactor, not
 * from open(), which fails instead; close() follows later, never from inside,
 * and run() is not called any more. */
void vmbus_channel_violation(struct vmbus_channel *ch, uint32_t type,
			     uint32_t offset, uint64_t value,
			     const char *rule);

#endif
