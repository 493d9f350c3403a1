/* SPDX-License-Identifier: MIT */
/*
 * A NIC: what a synthetic network adapter is backed by.
 *
 * A NIC is opened once and then started and stopped as often as its client
 * likes, all its queues together: devices bind their receive queues to each
 * other. A queue belongs to one reactor; frames go both ways in batches there.
 *
 *	        start()            started(0)             stop()
 *	stopped ------> starting ------------> running -----------> stopping
 *	   ^               | started(-errno)                           |
 *	   +---------------+<--------------- stopped() ----------------+
 *
 * Buffers are guest physical ranges, so that a backend may hand them to a
 * device without looking at, or copying, a frame.
 *
 * Backends: a MANA vport, a tap (mana/), loopback (paravisor/nic_loopback.c).
 *
 * Ownership: what a structure given to a call points to is the caller's again
 * when the call returns. Guest pages are the backend's from rx_post() or tx()
 * until received() or sent() names their id, or until stopped() runs: what is
 * outstanding then is not named any more, and no DMA comes after it.
 * The caller has checked every range with guest_memory_good().
 * Threads: rx_post(), tx(), received() and sent() on the queue's reactor;
 * everything else, and its answers, on the reactor that the NIC was opened
 * for, which is never blocked: what waits for a device does so on a thread of
 * the backend's. No callback comes from inside of a call.
 */
#ifndef PV_NIC_H
#define PV_NIC_H

#include <stdbool.h>
#include <stdint.h>

#include <pv/guest_memory.h>

struct reactor;
struct inspect;
struct nic;
struct nic_queue;

#define NIC_MAX_QUEUES 64
#define NIC_RSS_KEY 40	  /* bytes, Toeplitz */
#define NIC_RSS_TABLE 128 /* entries, at most */
#define NIC_ETHERNET_HEADER 14
#define NIC_LATE_NS 10000000u

/* What a NIC can do with a frame it sends, and what it says of one it got. */
#define NIC_IP4_CHECKSUM (1u << 0)
#define NIC_TCP4_CHECKSUM (1u << 1)
#define NIC_UDP4_CHECKSUM (1u << 2)
#define NIC_TCP6_CHECKSUM (1u << 3)
#define NIC_UDP6_CHECKSUM (1u << 4)
#define NIC_LSO4 (1u << 5) /* TCP segmentation; sending only */
#define NIC_LSO6 (1u << 6)
#define NIC_VLAN (1u << 7)   /* a tag beside the frame, not in it */
#define NIC_HASH (1u << 8)   /* of RSS; receiving only */

struct nic_info {
	uint8_t mac[6];
	uint16_t max_queues;   /* a power of two */
	uint16_t max_frame;    /* bytes with the Ethernet header, without tag */
	uint16_t max_tx_ranges; /* ranges per frame sent */
	uint16_t max_rx_ranges; /* ranges per buffer posted */
	uint16_t max_rx_depth, max_tx_depth; /* per queue */
	uint32_t tx_can, rx_can;    /* NIC_*: offloads */
	uint32_t max_lso;	    /* bytes of one frame before it is cut */
	uint64_t link_bps;
	bool link_up;
};

/* A buffer for one frame. */
struct nic_buffer {
	uint32_t id; /* the client's, in received() */
	uint16_t nr_ranges;
	const struct gpa_range *ranges;
};

/* A frame that came. */
struct nic_received {
	uint32_t id;
	uint32_t len; /* 0: no frame, the buffer comes back */
	/* NIC_*: the checksum was looked at and is good; or is bad. VLAN and
	 * HASH in `good` say that the fields below are. */
	uint16_t good, bad;
	uint16_t vlan; /* the tag: priority, DEI, VID */
	uint32_t hash;
};

/* A frame to send. It starts at the Ethernet header. */
struct nic_frame {
	uint32_t id; /* the client's, in sent() */
	/* sent() may come so much later than it could, with that of others;
	 * NIC_LATE_NS at most. 0: somebody waits for it. */
	uint32_t late_ns;
	uint16_t nr_ranges;
	uint16_t offload;     /* NIC_*, of tx_can */
	uint16_t vlan;	      /* with NIC_VLAN */
	uint16_t mss;	      /* with NIC_LSO*: payload bytes per segment */
	uint16_t l4_offset;   /* with TCP, UDP or LSO: where that header starts */
	uint16_t header_len;  /* with LSO: up to the end of the TCP header */
	const struct gpa_range *ranges;
};

struct nic_sent {
	uint32_t id;
	bool failed; /* the frame did not leave; the queue works on */
};

/* What a client hears. `client` is that of the queue, or of the start. */
struct nic_client_ops {
	void (*received)(void *client, const struct nic_received *frames,
			 unsigned int nr);
	void (*sent)(void *client, const struct nic_sent *frames,
		     unsigned int nr);
	/* 0 and the queues, valid until stopped(), or -errno. */
	void (*started)(void *client, int result,
			struct nic_queue *const *queues);
	void (*stopped)(void *client);
};

/* Receive side scaling: queue = table[hash % entries]. */
struct nic_rss {
	uint16_t entries; /* a power of two; 0 = all to queue 0 */
	uint8_t key[NIC_RSS_KEY];
	uint16_t table[NIC_RSS_TABLE]; /* queue numbers */
};

struct nic_start {
	const struct nic_client_ops *ops;
	void *client;
	unsigned int nr_queues; /* a power of two, up to max_queues */
	struct {
		struct reactor *reactor;
		void *client;
	} queue[NIC_MAX_QUEUES];
	uint16_t rx_depth, tx_depth; /* outstanding at most, per queue */
	struct nic_rss rss;
};

/* Receive filter. Frames for the NIC's own address need NIC_DIRECTED. */
#define NIC_DIRECTED (1u << 0)
#define NIC_MULTICAST (1u << 1) /* every one */
#define NIC_BROADCAST (1u << 2)
#define NIC_PROMISCUOUS (1u << 3)

/* Of all starts together; a frame counts when it was received() or sent(). */
struct nic_stats {
	uint64_t rx_frames, rx_bytes, rx_dropped;
	uint64_t tx_frames, tx_bytes, tx_failed;
	uint64_t bounced_bytes; /* copied because the device could not reach
				 * them as they lay */
	uint64_t doorbells;
};

static inline void nic_stats_add(struct nic_stats *to,
				 const struct nic_stats *from)
{
	to->rx_frames += from->rx_frames;
	to->rx_bytes += from->rx_bytes;
	to->rx_dropped += from->rx_dropped;
	to->tx_frames += from->tx_frames;
	to->tx_bytes += from->tx_bytes;
	to->tx_failed += from->tx_failed;
	to->bounced_bytes += from->bounced_bytes;
	to->doorbells += from->doorbells;
}

struct nic_ops {
	const char *name;
	/* Constant but for link_up and link_bps. Any thread. */
	void (*info)(struct nic *nic, struct nic_info *info);
	/* Answers by started(), or at once: -EINVAL when a rule of `info` is
	 * broken, -EBUSY when not stopped, -ENODEV when the device is gone. */
	int (*start)(struct nic *nic, const struct nic_start *start);
	/* Of a running NIC; answers by stopped(). */
	void (*stop)(struct nic *nic);
	/* Another table or key while it runs. 0, or -EAGAIN: only by a stop
	 * and a start. Of a table as of one given to start(), a device may
	 * follow less than all: what it brings to another queue comes with
	 * NIC_HASH of the key, for the client to go by the table itself. */
	int (*set_rss)(struct nic *nic, const struct nic_rss *rss);
	/* NIC_DIRECTED and so on; 0 (from the start) receives nothing. Outlives
	 * starts. What a device cannot filter comes anyway. */
	void (*set_filter)(struct nic *nic, unsigned int filter);
	/* Posts all `nr` buffers (nr <= free depth), for frames in this order. */
	void (*rx_post)(struct nic_queue *queue,
			const struct nic_buffer *buffers, unsigned int nr);
	/* Takes the first n of `nr` frames (nr <= free depth) and returns n;
	 * for the others the queue has room when sent() has run. */
	unsigned int (*tx)(struct nic_queue *queue,
			   const struct nic_frame *frames, unsigned int nr);
	/* The client rests: it comes back within NIC_LATE_NS, and until then
	 * only a frame that somebody waits for needs to be told of. false: it is
	 * back, and takes what there is. May be NULL. */
	void (*rest)(struct nic_queue *queue, bool rests);
	void (*stats)(struct nic *nic, struct nic_stats *stats); /* any thread */
	void (*inspect)(struct nic *nic, struct inspect *out);
	/* A stopped one. Does not wait: a device may be told, and let go,
	 * afterwards. */
	void (*close)(struct nic *nic);
};

enum nic_event {
	NIC_LINK, /* link_up or link_bps of info() is another one */
	/* The device is gone or cannot go on: stop() it, which needs nothing
	 * of the device any more. start() says -ENODEV until NIC_BACK. */
	NIC_LOST,
	NIC_BACK,
};

/* Embedded first in each backend's own structure. */
struct nic {
	const struct nic_ops *ops;
	/* Set by the owner before the first start; may be NULL. Never after
	 * close() has returned. */
	void (*event)(struct nic *nic, enum nic_event event);
	void *owner; /* the owner's */
};

#endif
