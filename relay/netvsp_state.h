/* SPDX-License-Identifier: MIT */
/*
 * Between the files of NetVSP: a NIC, its channels, what is under way.
 *
 * Threads: a channel and its parts belong to the channel's reactor, what the
 * client negotiates to that of the primary channel, the backend to the
 * server's. What two of them share says so.
 */
#ifndef RELAY_NETVSP_STATE_H
#define RELAY_NETVSP_STATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "channel.h"
#include "company.h"
#include "gather.h"
#include "netvsp.h"
#include "nvs_reg.h"
#include "refusal.h"
#include "rndis_reg.h"

/* Receive slots: see netvsp_rx.c. */
#define NETVSP_CONTROL_SLOTS 16 /* of the receive buffer, the first */
#define NETVSP_SLOT 2048u	/* bytes, or a greater power of two */
#define NETVSP_SLOT_DATA 128u	/* where the frame starts in a slot */
#define NETVSP_SLOT_TAIL 36u	/* left free: some clients touch it */
#define NETVSP_MIN_SLOTS 8u	/* of a queue */
#define NETVSP_MAX_SLOTS 2048u
#define NETVSP_SLOT_RANGES 5
#define NETVSP_POST_BATCH 128

#define NETVSP_SECTION 6144u /* bytes, of the send buffer */

#define NETVSP_TX_PACKETS 512 /* under way on a channel */
#define NETVSP_TX_FRAMES 1024
#define NETVSP_PACKET_FRAMES 8 /* RNDIS messages in one packet */
#define NETVSP_TX_BATCH 64
#define NETVSP_FRAME_RANGES 64
#define NETVSP_TX_RANGES 1024

/* A frame not to be cut, with a tag in it. */
#define NETVSP_TAG 4u

struct netvsp_tx_packet {
	uint64_t transaction;
	uint16_t frames; /* not ended */
	bool wants_completion;
	bool failed;
	uint16_t next; /* free */
};

struct netvsp_tx {
	unsigned int depth, in_flight; /* packets */
	uint16_t free;		       /* packet, or NETVSP_TX_PACKETS */
	struct netvsp_tx_packet packet[NETVSP_TX_PACKETS];
	/* Of frames, by id: the packet, or NETVSP_TX_PACKETS when free. */
	uint16_t frame_packet[NETVSP_TX_FRAMES];
	uint16_t free_frame[NETVSP_TX_FRAMES];
	unsigned int nr_frames, nr_free_frames;
	/* Taken, but not by the backend yet. */
	unsigned int nr_batch, nr_ranges;
	struct nic_frame batch[NETVSP_TX_BATCH];
	struct gpa_range ranges[NETVSP_TX_RANGES];
	bool full; /* until frames were sent */
	struct gather gather; /* of the packet at hand */
};

enum netvsp_slot_state {
	SLOT_FREE,
	SLOT_POSTED, /* the backend's */
	SLOT_READY,  /* a frame came */
	SLOT_CLIENT, /* ... and the client has it */
	SLOT_CLIENT_FIRST, /* of a packet, which is named by it */
	SLOT_LENT, /* to another channel, or to its client */
};

struct netvsp_slot {
	uint8_t state;
	uint8_t header; /* bytes before the frame */
	uint8_t holder; /* lent: the channel */
	uint16_t next;	/* ready; of the packet */
	uint32_t len;	/* of the frame */
};

/* A slot on its way to another channel, and back: see netvsp_steer.c. */
struct netvsp_lent {
	struct netvsp_lent *next;
	uint32_t slot, offset, len; /* of and in the receive buffer */
};

struct netvsp_back {
	struct netvsp_back *next;
	atomic_bool queued;
	uint8_t from;
};

struct netvsp_steer {
	/* Others'. */
	struct netvsp_lent *_Atomic lent_in;
	struct netvsp_back *_Atomic back_in;
	_Atomic uint64_t reclaim; /* channels whose clients hold no more */
	atomic_uint tellers; /* that are about to post `call` */
	atomic_bool hears;
	struct reactor *reactor; /* while it hears */
	struct reactor_call call;
	/* The channel's. */
	struct netvsp_lent *first, *last; /* to be sent */
	uint64_t to; /* channels that were lent something and not told */
};

struct netvsp_rx {
	uint64_t buffer; /* whose slots these are, 0: none */
	uint64_t last_buffer; /* the same, and stays when the channel closes */
	unsigned int nr, depth, posted;
	uint32_t first; /* slot of the buffer */
	unsigned int nr_free;
	uint16_t free[NETVSP_MAX_SLOTS];
	unsigned int nr_ready;
	uint16_t ready, last_ready;
	struct netvsp_slot slot[NETVSP_MAX_SLOTS];
	struct netvsp_lent lent[NETVSP_MAX_SLOTS];
	struct netvsp_back back[NETVSP_MAX_SLOTS];
	/* Of a batch that is being posted. */
	struct nic_buffer buffer_at[NETVSP_POST_BATCH];
	struct gpa_range range_at[NETVSP_POST_BATCH][NETVSP_SLOT_RANGES];
};

/* See netvsp_rest.c. */
struct netvsp_rest {
	struct reactor_timer hold; /* armed: the client is masked until then */
	bool waited; /* the run is that of its end */
	uint8_t empty; /* holds in a row that found nothing */
	uint64_t seen; /* frames both ways, by the last look */
	uint8_t untimed;	/* batches, since ever */
	uint32_t timed;		/* frame, or none */
	uint64_t timed_since;
	struct company company;
};

/* One direction's: see netvsp_limit.c. */
struct netvsp_limit {
	_Atomic uint32_t mbps; /* 0: none */
	_Atomic uint64_t at;
};

struct netvsp_counters {
	uint64_t runs;
	uint64_t tx_packets, tx_frames, tx_bytes, tx_failed, tx_lost;
	uint64_t tx_batches, tx_full;
	uint64_t rx_packets, rx_frames, rx_bytes, rx_dropped, rx_lent;
	uint64_t refused; /* violations that were answered */
	uint64_t no_room, no_packet, tx_limited; /* left packets in the ring */
	uint64_t rx_limited; /* frames */
	uint64_t control, indications;
};

struct netvsp_channel {
	struct netvsp *netvsp;
	struct vmbus_channel *vmbus; /* while open */
	uint16_t index;
	bool running;  /* inside netvsp_run() */
	bool resuming; /* posted `resume` */
	bool stopped;  /* by a violation */
	bool closing;
	bool told; /* the client knows that it is open */
	bool waiting; /* control: for memory, or for the backend to stop */
	bool held; /* `packet` was read and cannot be taken yet */
	struct nic_queue *queue; /* NULL: not now */
	struct reactor_call resume;
	/* From the server's reactor, see netvsp_nic.c. */
	struct reactor_call go_call, pause_call, drain_call, idle_call;
	struct reactor_call look_call;
	struct nic_queue *next_queue;
	struct reactor_timer limit_timer;
	uint8_t limit_misses;
	struct netvsp_rest rest;
	struct netvsp_counters count;
	struct netvsp_steer steer;
	struct netvsp_rx rx;
	struct netvsp_tx tx;
	struct ring_packet packet;
	_Alignas(8) uint8_t bytes[RING_MAX_PACKET];
};

/* One of the two buffers. */
enum netvsp_buffer_state { BUFFER_NONE, BUFFER_ASKED, BUFFER_USED,
			   BUFFER_REVOKED };

struct netvsp_buffer {
	enum netvsp_buffer_state state;
	struct vmbus_pages pages;
	uint32_t nr; /* slots, sections */
};

#define NETVSP_CONTROL_SIZE 4096u /* of a client's RNDIS message, at most */

/* What the client negotiated. The primary channel's reactor. */
struct netvsp_control {
	uint32_t version; /* of NVSP; 0: none yet */
	bool configured;
	bool sent; /* a frame, since it is operational */
	uint16_t mtu;
	uint32_t filter; /* RNDIS_FILTER_* */
	uint32_t lookahead;
	uint32_t tx_enabled, rx_enabled; /* NIC_* */
	uint16_t receive_id;
	/* The packet that asked for a buffer. */
	uint64_t transaction;
	bool wants_completion;
	uint32_t free_slots; /* of NETVSP_CONTROL_SLOTS: a bit each */
	bool link_up; /* as the client knows it */
	bool indicate_offload;
	uint64_t link_next; /* not to be told again before */
	struct reactor_timer link_timer;
	_Alignas(8) uint8_t in[NETVSP_CONTROL_SIZE];
	_Alignas(8) uint8_t out[NETVSP_SLOT];
};

/* Drawn in netvsp_nic.c. */
enum netvsp_life { LIFE_IDLE, LIFE_STARTING, LIFE_RUNNING, LIFE_PAUSING,
		   LIFE_STOPPING, LIFE_DRAINING };

struct netvsp {
	struct vmbus_device device; /* first */
	struct guest_memory *memory;
	struct reactor *reactor; /* the server's */
	struct nic *nic;
	struct nic_info info; /* of the backend, at the start */
	uint8_t mac[6];
	uint16_t max_mtu;
	uint32_t max_version; /* as on the wire */
	uint16_t max_queues;
	uint32_t tx_can, rx_can; /* NIC_*: what the client is told of */
	void (*done)(void *opaque);
	void *opaque;
	struct netvsp_limit tx_limit, rx_limit;
	struct netvsp_capture *_Atomic capture; /* NULL: there was none yet */
	struct netvsp_channel *_Atomic channel[NIC_MAX_QUEUES];

	struct netvsp_control control;
	/* Written by the primary while the backend is idle. */
	struct netvsp_buffer receive, send;
	uint32_t slot_size; /* of the receive buffer */
	_Atomic uint32_t queue_slots;
	unsigned int usable_queues;
	uint64_t nr_buffers; /* receive buffers there have been */
	uint32_t max_frame; /* bytes to send, without a tag */
	_Atomic uint32_t rx_report; /* NIC_*: what the client wants to hear */
	_Atomic bool operational; /* RNDIS: else frames to send are refused */
	_Atomic bool unplugged;	  /* frames to send are lost */
	_Atomic uint32_t message_size; /* NVS_SIZE or NVS_SIZE_61 */
	_Atomic bool link_up, tell_table;
	/* Which channel gets a frame: steer_table[hash % steer_entries], a
	 * power of two; 0: the one that it came on. */
	_Atomic uint16_t steer_entries;
	_Atomic uint8_t steer_table[NIC_RSS_TABLE];
	/* Asks the primary to look at the above; posted under the lock. */
	struct reactor_call attend_call;

	/* Under the lock: what the channels want. */
	pthread_mutex_t lock;
	struct {
		bool up;
		unsigned int granted; /* sub-channels */
		uint64_t open;	  /* channels that the client knows of */
		uint64_t leaving; /* channels that wait for their idle_call */
		unsigned int filter; /* NIC_* */
		struct nic_rss rss;
	} want;

	/* The server's reactor. */
	enum netvsp_life life;
	unsigned int nr_queues; /* while not idle */
	struct nic_rss rss;	/* as the backend has it */
	unsigned int filter;
	bool lost; /* until the backend says otherwise */
	bool freeing, retiring;
	/* Of one that retires: netvsp_retire.c. */
	struct reactor_timer retire;
	uint64_t retire_until, quiet_since, retire_frames;
	_Atomic unsigned int awaited; /* queues of this phase */
	struct reactor_call reconcile_call, phase_call, free_call;
	struct reactor_timer retry;
	uint64_t starts, start_failures;
};

/* Bytes of a slot for frames of this MTU. */
static inline uint32_t netvsp_slot_size(uint16_t mtu)
{
	uint32_t size = NETVSP_SLOT;

	while (size < NETVSP_SLOT_DATA + NIC_ETHERNET_HEADER + NETVSP_TAG +
		      mtu + NETVSP_SLOT_TAIL)
		size *= 2;
	return size;
}

static inline struct netvsp_channel *netvsp_channel(struct netvsp *netvsp,
						    unsigned int index)
{
	return atomic_load_explicit(&netvsp->channel[index],
				    memory_order_acquire);
}

/* netvsp.c */

/* The idle_call of a channel that leaves: the backend uses nothing of it. */
void netvsp_idle(struct netvsp_channel *ch);

/* netvsp_nic.c */
void netvsp_nic_init(struct netvsp *netvsp);
/* The link may be another, as the client is to see it. The server's reactor. */
void netvsp_look_at_link(struct netvsp *netvsp);
/* Something of `want` is another thing. Any thread, without the lock. */
void netvsp_changed(struct netvsp *netvsp);
/* Frames to send have another answer now: channels that hold one look at it.
 * The primary's or the server's reactor. */
void netvsp_look_all(struct netvsp *netvsp);

/* Of struct netvsp_config, as on the wire; 0: there is none. */
uint32_t netvsp_version(uint16_t number);
/* Wants to be told when the backend is not using the channel. */
void netvsp_leave(struct netvsp_channel *ch);
void netvsp_channel_calls(struct netvsp_channel *ch);

/* netvsp_channel.c. Channel's reactor. */
void netvsp_run(struct netvsp_channel *ch);
/* Runs soon, or hands over what there is. */
void netvsp_resume(struct netvsp_channel *ch);
void netvsp_hand_over(struct netvsp_channel *ch);
/* The client broke a rule: recorded, and answered by the caller ... */
void netvsp_record(struct netvsp_channel *ch, uint32_t type, size_t offset,
		   uint64_t value, const char *rule);
/* ... or the end of the channel. */
void netvsp_stop(struct netvsp_channel *ch, uint32_t type, uint32_t offset,
		 uint64_t value, const char *rule);
void netvsp_stop_if_broken(struct netvsp_channel *ch);
/* Both: the record, and a failure if the client wants an answer. */
void netvsp_refuse(struct netvsp_channel *ch, const struct ring_packet *packet,
		   uint32_t type, const struct refusal *no);
/* Answers a packet; the room is there. */
void netvsp_complete(struct netvsp_channel *ch, uint64_t transaction,
		     const struct nvs_message *message, uint32_t size);
/* Of the ring: for all completions that will come, and a control message. */
uint32_t netvsp_reserve(const struct netvsp_channel *ch);
/* The pieces of an NVS_RNDIS_PACKET into ch->tx.gather. */
bool netvsp_gather(struct netvsp_channel *ch, const struct ring_packet *packet,
		   const struct nvs_rndis_packet *rndis, struct refusal *no);

/* netvsp_control.c. The primary's reactor. */
void netvsp_control_open(struct netvsp_channel *ch);
/* A message of the client that is not a frame. */
void netvsp_control(struct netvsp_channel *ch, const struct ring_packet *packet,
		    const struct nvs_message *message);
/* An answer about memory will come. */
bool netvsp_asks(const struct netvsp *netvsp);
/* The backend is idle: gives back revoked buffers, or all. */
void netvsp_release(struct netvsp *netvsp, bool all);
/* Tells the backend what the client wants now. */
void netvsp_control_want(struct netvsp *netvsp);

/* netvsp_link.c: what we tell the client unasked. The primary's reactor. */
void netvsp_attend(struct reactor_call *call);
void netvsp_link_timer(struct reactor_timer *timer);
/* As much as can be told now. */
void netvsp_tell(struct netvsp_channel *ch);
/* Sends `size` bytes of control.out; false: no slot or no room. */
bool netvsp_send_control(struct netvsp_channel *ch, uint32_t size);

/* netvsp_rx.c. Channel's reactor. */
void netvsp_rx_open(struct netvsp_channel *ch);
/* The backend starts: takes the queue's slots, if the buffer is a new one. */
void netvsp_rx_start(struct netvsp_channel *ch);
void netvsp_rx_post(struct netvsp_channel *ch);
void netvsp_received(void *client, const struct nic_received *frames,
		     unsigned int nr);
/* Hands over what came. */
void netvsp_rx_flush(struct netvsp_channel *ch);
/* The client gives slots back; false: it has no such packet. */
bool netvsp_rx_returned(struct netvsp_channel *ch, uint64_t transaction);
/* The backend has let go of all. */
void netvsp_rx_drain(struct netvsp_channel *ch);
/* Address of a place in the receive buffer. */
uint64_t netvsp_receive_gpa(const struct netvsp *netvsp, uint64_t offset);

void netvsp_rx_free(struct netvsp_rx *rx, uint16_t i);

/* netvsp_steer.c. Channel's reactor, but for the first. */

/* The table is that of netvsp->rss. The server's reactor. */
void netvsp_steer_table(struct netvsp *netvsp);
void netvsp_steer_open(struct netvsp_channel *ch);
/* Before slots are posted. */
void netvsp_steer_start(struct netvsp_channel *ch);
/* False: a channel that closes may still be told something. */
bool netvsp_steer_quiet(struct netvsp_channel *ch);
void netvsp_steer_close(struct netvsp_channel *ch);
/* The frame in slot `i` is another channel's; false: it is not. */
bool netvsp_steer_lend(struct netvsp_channel *ch, uint16_t i,
		       const struct nic_received *frame);
/* After a batch of these. */
void netvsp_steer_tell(struct netvsp_channel *ch);
void netvsp_steer_flush(struct netvsp_channel *ch);
/* The client gives back a slot of another channel; false: there is none. */
bool netvsp_steer_returned(struct netvsp_channel *ch, uint64_t transaction);
void netvsp_steer_drain(struct netvsp_channel *ch);

/* netvsp_tx.c. Channel's reactor. */
void netvsp_tx_open(struct netvsp_channel *ch);
/* Takes, or answers, a packet of frames; false: not now. */
bool netvsp_tx(struct netvsp_channel *ch, const struct ring_packet *packet,
	       const struct nvs_rndis_packet *rndis);
void netvsp_tx_submit(struct netvsp_channel *ch);
void netvsp_sent(void *client, const struct nic_sent *frames, unsigned int nr);
void netvsp_tx_drain(struct netvsp_channel *ch);

/* netvsp_rest.c. Channel's reactor. */
void netvsp_rest_open(struct netvsp_channel *ch);
/* The backend is to be used no more, or the channel. */
void netvsp_rest_end(struct netvsp_channel *ch);
/* A run has taken all there was: may the client be left masked? Something makes
 * us look again then. */
bool netvsp_may_rest(struct netvsp_channel *ch);
/* Something is to be handed over, and that is all. */
bool netvsp_need_not_look(const struct netvsp_channel *ch);
/* A batch begins with this frame; and if that was timed, it has ended. */
void netvsp_time(struct netvsp_channel *ch, struct nic_frame *frame);
void netvsp_timed(struct netvsp_channel *ch, bool sent);
/* nic_frame.late_ns of a frame that nobody waits for. */
uint32_t netvsp_late(const struct netvsp_channel *ch);

/* netvsp_capture.c. Channel's reactor, when netvsp_is_captured(): a frame that
 * is sent, and one that came in a slot of the receive buffer. */
void netvsp_capture_tx(const struct netvsp *netvsp,
		       const struct nic_frame *frame);
void netvsp_capture_rx(const struct netvsp *netvsp, uint32_t slot,
		       const struct nic_received *frame);
/* The NIC is freed. */
void netvsp_capture_end(struct netvsp *netvsp);
void netvsp_capture_inspect(const struct netvsp *netvsp, struct inspect *out);

static inline bool netvsp_is_captured(const struct netvsp *netvsp)
{
	return __builtin_expect(atomic_load_explicit(&netvsp->capture,
						     memory_order_relaxed) !=
				NULL, 0);
}

/* netvsp_limit.c. Channel's reactor. */

static inline uint32_t netvsp_limited(const struct netvsp_limit *limit)
{
	return __builtin_expect(atomic_load_explicit(&limit->mbps,
						     memory_order_relaxed), 0);
}

/* False: not now; the channel runs again when it may. */
bool netvsp_may_send(struct netvsp_channel *ch);
/* It does. */
void netvsp_sends(struct netvsp_channel *ch, uint64_t bytes);
bool netvsp_may_receive(struct netvsp *netvsp, uint32_t bytes);
void netvsp_limit_timer(struct reactor_timer *timer);

/* netvsp_frame.c: fills in a frame from the RNDIS message of `size` bytes at a
 * place; false: *no says why not, whose offset counts in the message. */
bool netvsp_take_frame(struct netvsp_channel *ch, struct gather_at at,
		       uint32_t left, struct nic_frame *frame,
		       struct gpa_range *ranges, uint32_t *length,
		       struct refusal *no);

/* rndis.c: answers the control message of `size` bytes in control.in: the size
 * of the answer in control.out, 0: none; -EBADMSG with *no filled. */
int rndis_control(struct netvsp *netvsp, uint32_t size, struct refusal *no);

/* rndis_oid.c, rndis_offload.c. RNDIS_STATUS_*. */

/* *size: of what `info` can hold, then of what it holds. */
uint32_t rndis_query(struct netvsp *netvsp, uint32_t oid, const uint8_t *asked,
		     uint32_t asked_size, uint8_t *info, uint32_t *size);
uint32_t rndis_set(struct netvsp *netvsp, uint32_t oid, const uint8_t *info,
		   uint32_t size, struct refusal *no);
void rndis_offload(const struct netvsp *netvsp, bool current, uint32_t asked,
		   uint8_t *info, uint32_t *size);
uint32_t rndis_set_offload(struct netvsp *netvsp, const uint8_t *info,
			   uint32_t size, struct refusal *no);
uint32_t rndis_set_rss(struct netvsp *netvsp, const uint8_t *info,
		       uint32_t size, struct refusal *no);

#endif
