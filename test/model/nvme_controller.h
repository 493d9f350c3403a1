/* SPDX-License-Identifier: MIT */
/*
 * What the files of the NVMe model share; see nvme.c for the whole.
 *
 * Everything but the registers and the doorbells belongs to the controller's
 * thread.
 */
#ifndef MODEL_NVME_CONTROLLER_H
#define MODEL_NVME_CONTROLLER_H

#include <pthread.h>
#include <stdatomic.h>

#include "msix.h"
#include "nvme.h"
#include "nvme_fault.h"
#include "nvme_reg.h"
#include "reservation.h"

#define NVME_PAGE 4096u
#define NVME_QUEUES (NVME_MAX_IO_QUEUES + 1)
#define NVME_MAX_ENTRIES 1024u
#define NVME_MAX_EVENTS 4u /* Asynchronous Event Requests */
#define NVME_NR_FEATURES 12u
/* One command's data: the biggest as PRPs, or as so many SGL pieces. */
#define NVME_MAX_PIECES 4096u

struct nvme_sq {
	const struct nvme_command *entries; /* NULL: does not exist */
	uint32_t size, head, tail;
	uint16_t cq;
};

struct nvme_cq {
	struct nvme_completion *entries; /* NULL: does not exist */
	uint32_t size, head, tail;
	uint16_t vector;
	bool interrupts;
	uint8_t phase;
	unsigned int users; /* submission queues */
};

/* A doorbell is a mailbox: the newest value counts. */
struct nvme_doorbell {
	_Atomic uint32_t value;
	atomic_bool written;
};

/* A piece of a command's data in the memory of the machine. */
struct nvme_piece {
	uint8_t *host;
	uint32_t len;
};

struct nvme_namespace {
	struct nvme_namespace_config config; /* no medium: not attached */
	uint64_t blocks;
	unsigned int shift; /* log2 of the block */
};

/* Events that can wait, each until the host has read its log. */
enum nvme_event_kind { NVME_EVENTS_ERROR, NVME_EVENTS_NAMESPACES, NVME_EVENTS };

/* What a completion says; all but the first three make it wrong. */
struct nvme_answer {
	uint16_t cid, status;
	uint32_t dw0;
	uint16_t head_off, sq_off; /* added */
	bool bad_phase, no_interrupt, next_vector;
	uint32_t torn_ms; /* 0: whole */
};

/* nvme_due.c: what happens later. */
enum nvme_due_kind {
	NVME_DUE_ANSWER,  /* is posted */
	NVME_DUE_COMMAND, /* is executed, and answered */
	NVME_DUE_EFFECT,  /* is executed */
	NVME_DUE_REST,	  /* of a torn completion */
	NVME_DUE_READY,
	NVME_DUE_ALIVE,
};

#define NVME_MAX_DUE 512u

struct nvme_due {
	enum nvme_due_kind kind;
	uint64_t at; /* CLOCK_MONOTONIC, ns */
	unsigned int queue;
	struct nvme_command cmd;
	struct nvme_answer answer;
	struct nvme_completion *entry, completion;
};

struct nvme_fault_rule {
	unsigned int row;
	struct nvme_fault match; /* `skip` and `count` are what is left */
};

struct nvme_faults {
	atomic_bool dead; /* VPs look at it */
	bool removed;	  /* ... and it is so until the end of all faults */
	bool unpowered;	  /* ... and its power comes back then */
	bool halted, shorten;
	uint32_t storm; /* events to be told yet */
	struct nvme_fault_rule rule[NVME_MAX_FAULTS];
	unsigned int nr_rules, nr_due;
	struct nvme_due due[NVME_MAX_DUE];
	struct nvme_namespace taken[NVME_MAX_NAMESPACES];
};

struct nvme_counts {
#define NVME_COUNTER_ATOMIC(name) _Atomic uint64_t name;
	NVME_COUNTERS(NVME_COUNTER_ATOMIC)
};

struct nvme_controller {
	struct pci_function function;
	struct msix msix;
	struct nvme_config config; /* of namespace 1: only at first */
	char serial[21];
	uint32_t max_data;

	pthread_mutex_t lock; /* registers, and what thread and others share */
	pthread_cond_t changed;
	uint32_t cc, csts, aqa;
	uint64_t asq, acq;
	bool work, stop, running, resetting;
	bool disabled; /* EN was 0 since the thread looked */
	struct nvme_request *request; /* for the thread, from another one */
	pthread_t thread;
	struct nvme_doorbell sq_bell[NVME_QUEUES], cq_bell[NVME_QUEUES];

	/* The controller's thread only. */
	uint32_t cc_done; /* what of CC has been acted on */
	struct nvme_sq sq[NVME_QUEUES];
	struct nvme_cq cq[NVME_QUEUES];
	uint32_t feature[NVME_NR_FEATURES];
	uint16_t event_cid[NVME_MAX_EVENTS];
	unsigned int nr_event_cids;
	struct {
		uint32_t dw0;
		bool waits, told;
	} event[NVME_EVENTS];
	struct nvme_namespace ns[NVME_MAX_NAMESPACES]; /* by identifier - 1 */
	uint32_t changed_ns; /* bits, like ns[]; since the log was read */
	uint8_t host_id[16]; /* all zero: not set */
	struct nvme_piece piece[NVME_MAX_PIECES];
	unsigned int nr_pieces;
	uint8_t *buffer; /* max_data bytes: for Compare and Verify */
	struct nvme_faults fault;

	struct nvme_counts count;
};

#define NVME_COUNT(c, name, n) \
	atomic_fetch_add_explicit(&(c)->count.name, (n), memory_order_relaxed)

/* Something for the controller's thread to do. */
struct nvme_request {
	int (*fn)(struct nvme_controller *c, struct nvme_request *request);
	uint32_t nsid;
	const struct nvme_namespace_config *config;
	uint64_t size;
	const struct nvme_fault *fault;
	const char *rule; /* that it breaks */
	int result;
	bool done;
};

/* A permanent error. */
#define NVME_FAIL(status) ((uint16_t)((status) | NVME_DNR))

/* nvme_queue.c: fetching and completing. */
void nvme_queues_reset(struct nvme_controller *c);
/* Admin queues from the registers. -EFAULT: not RAM. */
int nvme_queues_enable(struct nvme_controller *c, uint32_t aqa, uint64_t asq,
		       uint64_t acq);
/* Takes what the doorbells say. */
void nvme_queues_bells(struct nvme_controller *c);
/* Executes at most one command of each queue; false if there was none. */
bool nvme_queues_serve(struct nvme_controller *c);
void nvme_complete(struct nvme_controller *c, unsigned int sq, uint16_t cid,
		   uint16_t status, uint32_t dw0);
void nvme_post(struct nvme_controller *c, unsigned int sq,
	       const struct nvme_answer *answer);
/* Fills in status and dw0; false: it completes later. */
bool nvme_execute(struct nvme_controller *c, unsigned int sq,
		  const struct nvme_command *cmd, struct nvme_answer *answer);
bool nvme_cq_full(const struct nvme_cq *cq);
uint16_t nvme_create_cq(struct nvme_controller *c,
			const struct nvme_command *cmd);
uint16_t nvme_create_sq(struct nvme_controller *c,
			const struct nvme_command *cmd);
uint16_t nvme_delete_cq(struct nvme_controller *c,
			const struct nvme_command *cmd);
uint16_t nvme_delete_sq(struct nvme_controller *c,
			const struct nvme_command *cmd);

/*
 * nvme_data.c. nvme_data_map() turns the data pointer of a command into
 * c->piece[] for exactly `len` bytes; nothing has been transferred when it
 * fails.
 */
enum nvme_data {
	NVME_DATA_ADMIN, /* PRPs only */
	NVME_DATA_LIST,	 /* parameters of an I/O command */
	NVME_DATA_BLOCKS, /* blocks: counted, and should be VTL0's RAM */
};
uint16_t nvme_data_map(struct nvme_controller *c,
		       const struct nvme_command *cmd, uint32_t len,
		       enum nvme_data kind);
void nvme_data_to_host(struct nvme_controller *c, const void *from);
void nvme_data_from_host(struct nvme_controller *c, void *to);
void *nvme_dma(struct nvme_controller *c, uint64_t address, size_t size);

/* nvme_admin.c. False: the command completes later. */
bool nvme_admin(struct nvme_controller *c, const struct nvme_command *cmd,
		uint16_t *status, uint32_t *dw0);
void nvme_admin_reset(struct nvme_controller *c);
/* Sends the waiting event if somebody asked for events. */
void nvme_events(struct nvme_controller *c);
void nvme_event(struct nvme_controller *c, enum nvme_event_kind kind,
		uint32_t info);

/* nvme_identify.c: data structures for Identify and Get Log Page; both fill
 * 4 KiB, zeroed before. */
uint16_t nvme_identify(struct nvme_controller *c,
		       const struct nvme_command *cmd, void *page);
/* *size: bytes that the log has. */
uint16_t nvme_log(struct nvme_controller *c, uint8_t id, void *page,
		  uint32_t *size);

/* nvme.c: runs request->fn on the controller's thread and waits for it. */
int nvme_run(struct nvme_controller *c, struct nvme_request *request);
/* The rest: the controller's thread. */
void nvme_set_csts(struct nvme_controller *c, uint32_t clear, uint32_t set);
/* As it is when it gets power. */
void nvme_power_up(struct nvme_controller *c);

/* nvme_fault.c. */
/* True: a fault of this command was met, and all is done. May change `cmd`. */
bool nvme_fault_serve(struct nvme_controller *c, unsigned int sq,
		      struct nvme_command *cmd);
/* True: it does not become ready now. */
bool nvme_fault_enable(struct nvme_controller *c);
/* True: the event that is about to be told is lost. */
bool nvme_fault_event(struct nvme_controller *c);
/* Tells what is left of a storm of events. */
void nvme_fault_storm(struct nvme_controller *c);
void nvme_fault_reset(struct nvme_controller *c);

/* nvme_due.c. To be filled in; NULL: no room. */
struct nvme_due *nvme_due_add(struct nvme_controller *c,
			      enum nvme_due_kind kind, uint32_t delay_ms);
void nvme_due_answer(struct nvme_controller *c, unsigned int sq,
		     const struct nvme_answer *answer, uint32_t delay_ms);
/* The rest of this entry comes later. */
void nvme_due_rest(struct nvme_controller *c, struct nvme_completion *entry,
		   const struct nvme_completion *whole, uint32_t delay_ms);
/* CLOCK_MONOTONIC, ns; 0: nothing is due. */
uint64_t nvme_due_next(const struct nvme_controller *c);
bool nvme_due_is_now(const struct nvme_controller *c);
void nvme_due_meet(struct nvme_controller *c);
/* Those of the bus (NVME_DUE_ALIVE), or all others. */
void nvme_due_forget(struct nvme_controller *c, bool bus);

/* nvme_namespace.c. NULL: no namespace of this identifier is attached. */
struct nvme_namespace *nvme_namespace(struct nvme_controller *c,
				      uint32_t nsid);
/* What a command with this identifier gets when there is none. */
uint16_t nvme_namespace_missing(uint32_t nsid);
int nvme_namespace_set(struct nvme_namespace *ns,
		       const struct nvme_namespace_config *config);
/* It, or that it is there: the host is told, if it asked for that. */
void nvme_namespace_changed(struct nvme_controller *c, uint32_t nsid);
/* 0 or -errno, of any medium. */
int nvme_namespaces_flush(struct nvme_controller *c);

/* nvme_reservation.c. `nvme_reserved`: what a command of this opcode gets
 * because of other hosts. */
uint16_t nvme_reserved(struct nvme_controller *c, struct nvme_namespace *ns,
		       uint8_t opcode);
uint16_t nvme_reservation_register(struct nvme_controller *c,
				   struct nvme_namespace *ns,
				   const struct nvme_command *cmd);
uint16_t nvme_reservation_acquire(struct nvme_controller *c,
				  struct nvme_namespace *ns,
				  const struct nvme_command *cmd);
uint16_t nvme_reservation_release(struct nvme_controller *c,
				  struct nvme_namespace *ns,
				  const struct nvme_command *cmd);
uint16_t nvme_reservation_report(struct nvme_controller *c,
				 struct nvme_namespace *ns,
				 const struct nvme_command *cmd);

/* nvme_io.c. */
uint16_t nvme_io(struct nvme_controller *c, const struct nvme_command *cmd);

#endif
