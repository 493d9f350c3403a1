/* SPDX-License-Identifier: MIT */
/*
 * What the files of the MANA model share; see mana.c for the whole. Everything
 * from `engine` on belongs to whoever holds that lock.
 */
#ifndef MODEL_MANA_DEVICE_H
#define MODEL_MANA_DEVICE_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/uio.h>

#include "mana.h"
#include "mana_fault.h"
#include "mana_message_reg.h"
#include "mana_reg.h"
#include "msix.h"
#include "vmm/net_frame.h"

#define MANA_PAGE 4096u
#define MANA_BELL_PAGES 128u
#define MANA_BELLS 1024u /* rung and not acted on yet */
#define MANA_SHM 0x4000u
#define MANA_DOORBELLS 0x10000u
#define MANA_BAR_SIZE (1u << 20)

/* Tables; entry 0 of each stays free. */
#define MANA_EQS 1100u
#define MANA_CQS 2100u
#define MANA_WQS 2100u
#define MANA_REGIONS 4096u
#define MANA_PDS 256u
#define MANA_MRS 1024u

#define MANA_PD_HWC 1u
#define MANA_PD_DEVICE 2u
#define MANA_KEY_HWC 1u
#define MANA_KEY_DEVICE 2u
#define MANA_KEY_FIRST 0x100u /* of MRs */
#define MANA_BELL_HWC 0u
#define MANA_BELL_DEVICE 1u

#define MANA_MAX_PIECES 256u

/* Pages that a message described: until something is made of them. */
struct mana_region {
	uint64_t handle, length;
	uint32_t offset; /* in the first page */
	unsigned int shift;
	uint32_t pages, filled;
	uint64_t *page;
};

struct mana_pd {
	bool used, any_memory;
	uint64_t handle;
};

/* What a key gives access to. */
struct mana_mr {
	struct mana_region *region; /* NULL: all of memory */
	uint64_t handle, address;
	uint32_t key, pd, access;
	bool used;
};

struct mana_eq {
	struct mana_region *ring; /* NULL: does not exist */
	uint32_t count, tail;
	uint32_t bell;	/* doorbell page */
	uint16_t vector;
	bool armed;
	unsigned int users; /* CQs */
};

struct mana_cq {
	struct mana_region *ring;
	uint32_t count, tail, bell;
	unsigned int eq; /* 0: none */
	bool armed;
	struct mana_vport *vport; /* as of the WQ */
};

/* Frames of one completion that is being held back. */
struct mana_held {
	unsigned int nr;
	uint32_t info, wqe_offset;
	struct {
		uint16_t length;
		uint32_t hash;
	} frame[MANA_RX_PACKETS];
};

struct mana_vport;

struct mana_wq {
	struct mana_region *ring;
	uint32_t size, head, tail; /* bytes, running free */
	uint32_t bell, pd;
	unsigned int cq;
	bool sq;
	bool dead;	/* after an access that is not allowed */
	bool runs;	/* SQ: has work, or waits for room */
	uint64_t handle;
	struct mana_vport *vport; /* NULL: the hardware channel's */
	unsigned int number;	  /* RQ: its place in rx_queue[] */
	struct mana_held held;
};

struct mana_vport {
	struct mana *mana;
	struct net_back *back;
	uint8_t mac[6];
	unsigned int index;
	uint64_t handle;
	uint32_t pd, bell; /* pd 0: CONFIG_VPORT_TX has not been */
	bool rx_on, rss, coalesces;
	bool lost; /* a fault: it is not to be found */
	unsigned int default_rq; /* 0: none */
	unsigned int entries;
	unsigned int table[MANA_MAX_TABLE]; /* WQs, 0 for one that is gone */
	uint8_t key[MANA_HASH_KEY];
	unsigned int sqs, rqs;
	struct mana_vport_counters count;
};

/* As set; the kind is the row of the table. */
struct mana_active_fault {
	unsigned int kind;
	uint32_t skip, count, vport;
	bool forever;
};

enum mana_bell_kind { BELL_SQ, BELL_RQ, BELL_CQ, BELL_EQ, BELL_SHM };

struct mana_bell {
	enum mana_bell_kind kind;
	uint32_t page;
	uint64_t value;
};

struct mana {
	struct pci_function function;
	struct msix msix;
	unsigned int queues, mtu;
	uint32_t link_mbps;

	pthread_mutex_t lock; /* doorbells and registers */
	pthread_cond_t work_came, room_came;
	struct mana_bell bell[MANA_BELLS];
	unsigned int bell_head, nr_bells;
	uint32_t shm[MANA_SHM_WORDS];
	bool work, stop, running;
	unsigned int epoch; /* counts resets */
	pthread_t thread;

	pthread_mutex_t engine;
	atomic_bool holds; /* completions held back */
	bool established, registered, silent, link_down;
	unsigned int hwc_eq, hwc_cq, hwc_sq, hwc_rq;
	unsigned int coalesce;
	unsigned int nr_faults;
	struct mana_active_fault fault[MANA_MAX_FAULTS];
	uint64_t next_handle;
	bool bell_used[MANA_BELL_PAGES];
	struct mana_eq eq[MANA_EQS];
	struct mana_cq cq[MANA_CQS];
	struct mana_wq wq[MANA_WQS];
	unsigned int wqs; /* above all that were ever used */
	struct mana_region *region[MANA_REGIONS];
	struct mana_pd pd[MANA_PDS];
	struct mana_mr mr[MANA_MRS];
	unsigned int nr_vports;
	struct mana_vport vport[MANA_MAX_VPORTS];
	struct mana_counters count;
	uint64_t gf[MANA_GF_STATS];
	/* The message, its answer, and the frame being worked on. */
	uint8_t request[MANA_MESSAGE_MAX], response[MANA_MESSAGE_MAX];
	uint8_t frame[NET_MAX_FRAME];
};

#define MANA_COUNT(m, name, n) ((m)->count.name += (n))

/* ---- mana_memory.c ---- */

/* Host memory of ring bytes, which must not cross a page; NULL: not RAM. */
void *mana_ring_at(struct mana *m, const struct mana_region *ring,
		   uint32_t offset, uint32_t len);
/* A region that a message may make something of: complete, and at least `size`
 * bytes. NULL: there is none. It stays in its table until mana_region_take(). */
struct mana_region *mana_region_find(struct mana *m, uint64_t handle,
				     uint64_t size);
void mana_region_take(struct mana *m, struct mana_region *region);
/* One page of 4 KiB, as from mana_region_take(). NULL: no memory. */
struct mana_region *mana_region_page(uint64_t address);
void mana_region_free(struct mana_region *region);

/* Memory of the machine that a frame or message is in. */
struct mana_pieces {
	struct iovec iov[MANA_MAX_PIECES];
	unsigned int nr;
	uint32_t len;
	uint64_t guest, outside; /* bytes */
};
/* Adds the first `len` bytes of an SGE. False: its key, PD, range or access
 * forbids all of it, or it is not RAM, or too scattered. */
bool mana_pieces_add(struct mana *m, struct mana_pieces *p, uint32_t pd,
		     const struct mana_sge *sge, uint32_t len, bool write);
void mana_pieces_copy_out(const struct mana_pieces *p, void *to, uint32_t len);
void mana_pieces_copy_in(const struct mana_pieces *p, const void *from,
			 uint32_t len);
/* The transfer is going to be: counts it. */
void mana_pieces_count(struct mana *m, const struct mana_pieces *p);

bool mana_pd_exists(const struct mana *m, uint32_t pd);
void mana_memory_reset(struct mana *m);

/* ---- mana_queue.c ---- */

/* A free entry, or 0. */
unsigned int mana_eq_free(const struct mana *m);
unsigned int mana_cq_free(const struct mana *m);
unsigned int mana_wq_free(const struct mana *m);
/* They take `ring`. */
void mana_eq_start(struct mana *m, unsigned int id, struct mana_region *ring,
		   uint32_t size, uint16_t vector, uint32_t bell);
void mana_cq_start(struct mana *m, unsigned int id, struct mana_region *ring,
		   uint32_t size, unsigned int eq, uint32_t bell);
void mana_wq_start(struct mana *m, unsigned int id, struct mana_region *ring,
		   uint32_t size, unsigned int cq, bool sq, uint32_t pd,
		   uint32_t bell);
void mana_eq_stop(struct mana *m, unsigned int id);
void mana_cq_stop(struct mana *m, unsigned int id);
void mana_wq_stop(struct mana *m, unsigned int id);
bool mana_queue_size_good(uint32_t size);
void mana_queues_reset(struct mana *m);

void mana_eq_post(struct mana *m, unsigned int eq, unsigned int type,
		  uint32_t data);
/* Data of 60 bytes. */
void mana_cq_post(struct mana *m, unsigned int wq, const void *data);
void mana_queue_bell(struct mana *m, const struct mana_bell *bell);

/* A work queue entry, out of the ring. */
struct mana_work {
	uint8_t bytes[MANA_MAX_SQE];
	uint32_t offset, size; /* in the ring */
	uint32_t flags;
	const uint8_t *oob;
	uint32_t oob_size;
	const struct mana_sge *sge;
	unsigned int nr_sges;
};
enum mana_peek { PEEK_EMPTY, PEEK_GOOD, PEEK_BAD };
/* The oldest entry; wq->head += work->size takes it. */
enum mana_peek mana_wq_peek(struct mana *m, struct mana_wq *wq,
			    struct mana_work *work);

/* ---- mana_channel.c ---- */

void mana_channel_shm(struct mana *m); /* the trigger was written */
/* Everything that the driver made goes, the channel itself too. */
void mana_forget(struct mana *m);
void mana_channel_run(struct mana *m); /* its SQ */

/* ---- mana_message.c ---- */

struct mana_exchange {
	uint32_t size;	   /* of the request, headers and all */
	uint32_t answered; /* bytes behind the header of the response */
};
/* m->request to m->response; returns the response's size, 0: none. */
uint32_t mana_message(struct mana *m, uint32_t size);
#define MANA_BODY(m) ((const void *)((m)->request + sizeof(struct mana_request)))
#define MANA_ANSWER(m) ((void *)((m)->response + sizeof(struct mana_response)))

/* Handlers return the status. */
typedef uint32_t mana_handler(struct mana *m, struct mana_exchange *x);
mana_handler mana_create_region, mana_add_pages, mana_destroy_region,
	mana_create_pd, mana_destroy_pd, mana_create_mr, mana_destroy_mr;
mana_handler mana_create_eq, mana_disable_eq, mana_test_eqe;
mana_handler mana_dev_config, mana_gf_stat, mana_config_tx, mana_create_wq,
	mana_destroy_wq, mana_fence, mana_config_rx, mana_vport_config,
	mana_link_config;

/* ---- mana_vport.c ---- */

void mana_vports_reset(struct mana *m);

/* ---- mana.c ---- */

/* An event of the hardware channel without data, if that is up. Takes the
 * engine. */
void mana_event(struct mana *m, unsigned int type);

/* ---- mana_fault.c: what is at hand may be spoiled ---- */

/* A message: the status that it gets without being done, or MANA_STATUS_OK;
 * *silent: it gets no answer. */
uint32_t mana_fault_message(struct mana *m, uint32_t type, bool *silent);
/* The response of `size` bytes; its size then. */
uint32_t mana_fault_answer(struct mana *m, uint32_t size);
/* How often to write *cqe, of a work queue; *lap to be added. */
unsigned int mana_fault_cqe(struct mana *m, unsigned int wq,
			    struct mana_cqe *cqe, uint32_t *lap);
/* How often to tell of a CQ of a vport's, and with which data. */
unsigned int mana_fault_event(struct mana *m, unsigned int cq,
			      const struct mana_vport *vport, uint32_t *data);
/* True: it is not raised, or does nothing. */
bool mana_fault_interrupt(struct mana *m, const struct mana_eq *eq);
bool mana_fault_bell(struct mana *m, const struct mana_wq *wq);

/* ---- mana_tx.c, mana_rx.c ---- */

/* Sends of every SQ that has work, some of each. True: there is more. */
bool mana_tx_run(struct mana *m);
void mana_rx_frame(struct mana_vport *vport, const uint8_t *frame,
		   uint32_t len);
void mana_rx_flush(struct mana *m, struct mana_wq *rq);
/* All of them. */
void mana_rx_flush_all(struct mana *m);

#endif
