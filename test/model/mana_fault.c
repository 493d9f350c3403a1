// SPDX-License-Identifier: MIT
/*
 * Faults of the MANA model, theory of operation
 *
 * One table: what can be wrong, at which place, and what it does. A place asks
 * whether what is at hand is to be wrong; the first fault set for that place
 * that matches counts, so that several of a place follow each other.
 *
 *	message --MESSAGE--> handler --ANSWER--> driver
 *	queue entry done --CQE--> CQ --EVENT--> EQ --INTERRUPT--> vector
 *	doorbell --BELL--> SQ
 *	NOW: what the device does of its own accord, once set
 *
 * Threads: whoever holds the engine. Failure answers: a name that there is not,
 * or a ninth fault, is refused.
 */
#include <string.h>

#include "mana_device.h"
#include "mana_fault.h"

#define UNKNOWN_CQE 63u
#define UNKNOWN_EQE 200
#define OVERSIZE 0xffffu
#define ERROR_STATUS MANA_STATUS_NO_RESOURCES

/* Of eight, to be added: as if nothing had been written there. */
#define LAST_LAP 7u

enum place {
	PLACE_MESSAGE, PLACE_ANSWER, PLACE_TX_CQE, PLACE_RX_CQE, PLACE_EVENT,
	PLACE_INTERRUPT, PLACE_BELL, PLACE_NOW,
};

enum fault {
	HWC_SILENT, HWC_ERROR, WQ_REFUSED, RX_REFUSED, HWC_WRONG_ID, HWC_SHORT,
	TX_TYPE, TX_QUEUE, TX_LOST, TX_TWICE, TX_ERROR, TX_DEAD, TX_LAP,
	RX_TYPE, RX_QUEUE, RX_OVERSIZE, RX_TRUNCATED, RX_EMPTY, RX_LOST,
	RX_HOLE, RX_TWICE, RX_HASH, RX_CHECKSUM, RX_FENCE,
	EVENT_LOST, EVENT_QUEUE, EVENT_OVERFLOW, INTERRUPT_LOST, BELL_LOST,
	RX_COALESCED, LINK_FLAP, RESET, RECONFIG, UNKNOWN_EVENT, VPORT_LOST,
	FAULTS,
};

static const struct {
	const char *name;
	enum place place;
	const char *effect;
} table[] = {
	[HWC_SILENT] = { "hwc-silent", PLACE_MESSAGE,
			 "a message is taken, done and not answered" },
	[HWC_ERROR] = { "hwc-error", PLACE_MESSAGE,
			"a message is not done, and answered with a failure" },
	[WQ_REFUSED] = { "wq-refused", PLACE_MESSAGE,
			 "CREATE_WQ_OBJ fails" },
	[RX_REFUSED] = { "rx-refused", PLACE_MESSAGE,
			 "CONFIG_VPORT_RX fails" },
	[HWC_WRONG_ID] = { "hwc-wrong-id", PLACE_ANSWER,
			   "the answer is to another message" },
	[HWC_SHORT] = { "hwc-short", PLACE_ANSWER,
			"the answer is a header, cut off" },
	[TX_TYPE] = { "tx-type", PLACE_TX_CQE,
		      "a completion of a type that there is not" },
	[TX_QUEUE] = { "tx-queue", PLACE_TX_CQE,
		       "a completion of another queue" },
	[TX_LOST] = { "tx-lost", PLACE_TX_CQE,
		      "a frame was sent, and no completion comes" },
	[TX_TWICE] = { "tx-twice", PLACE_TX_CQE,
		       "two completions for one frame" },
	[TX_ERROR] = { "tx-error", PLACE_TX_CQE,
		       "an error for a frame that was sent" },
	[TX_DEAD] = { "tx-dead", PLACE_TX_CQE,
		      "the send queue is disabled, and says so" },
	[TX_LAP] = { "tx-lap", PLACE_TX_CQE,
		     "a completion of a lap that is not now" },
	[RX_TYPE] = { "rx-type", PLACE_RX_CQE,
		      "a completion of a type that there is not" },
	[RX_QUEUE] = { "rx-queue", PLACE_RX_CQE,
		       "a completion of another queue" },
	[RX_OVERSIZE] = { "rx-oversize", PLACE_RX_CQE,
			  "a frame of 65535 bytes in a buffer of fewer" },
	[RX_TRUNCATED] = { "rx-truncated", PLACE_RX_CQE,
			   "a frame that fits is told as cut off" },
	[RX_EMPTY] = { "rx-empty", PLACE_RX_CQE, "a frame of no bytes" },
	[RX_LOST] = { "rx-lost", PLACE_RX_CQE,
		      "a buffer is filled, and no completion comes" },
	[RX_HOLE] = { "rx-hole", PLACE_RX_CQE,
		      "a buffer is filled, and its completion's place left out" },
	[RX_TWICE] = { "rx-twice", PLACE_RX_CQE,
		       "two completions for one frame" },
	[RX_HASH] = { "rx-hash", PLACE_RX_CQE, "the hash is another one" },
	[RX_CHECKSUM] = { "rx-checksum", PLACE_RX_CQE,
			  "checksums are good and bad at once" },
	[RX_FENCE] = { "rx-fence", PLACE_RX_CQE,
		       "a frame is told as a fence that nobody asked for" },
	[EVENT_LOST] = { "event-lost", PLACE_EVENT,
			 "an armed completion queue raises no event" },
	[EVENT_QUEUE] = { "event-queue", PLACE_EVENT,
			  "an event of another completion queue" },
	[EVENT_OVERFLOW] = { "event-overflow", PLACE_EVENT,
			     "more events than the queue has room for" },
	[INTERRUPT_LOST] = { "interrupt-lost", PLACE_INTERRUPT,
			     "an event without its interrupt" },
	[BELL_LOST] = { "doorbell-lost", PLACE_BELL,
			"a send queue's doorbell does nothing" },
	[RX_COALESCED] = { "rx-coalesced", PLACE_NOW,
			   "completions of up to four frames" },
	[LINK_FLAP] = { "link-flap", PLACE_NOW, "the link goes and comes" },
	[RESET] = { "reset", PLACE_NOW, "the device asks to be reset" },
	[RECONFIG] = { "fpga-reconfig", PLACE_NOW,
		       "the device says that it goes for a while" },
	[UNKNOWN_EVENT] = { "unknown-event", PLACE_NOW,
			    "an event of a type that there is not" },
	[VPORT_LOST] = { "vport-lost", PLACE_NOW,
			 "the vport's queues are dead, and it does not exist" },
};
_Static_assert(sizeof(table) / sizeof(table[0]) == FAULTS, "one row each");

const char *mana_fault_name(unsigned int i)
{
	return i < FAULTS ? table[i].name : NULL;
}

const char *mana_fault_effect(unsigned int i)
{
	return i < FAULTS ? table[i].effect : NULL;
}

/* ---- setting ---- */

/* The lock is held. */
static void lose_vport(struct mana *m, struct mana_vport *vport)
{
	vport->lost = true;
	vport->rx_on = false;
	for (unsigned int i = 1; i < m->wqs; i++)
		if (m->wq[i].ring && m->wq[i].vport == vport)
			m->wq[i].dead = true;
}

static void lose(struct mana *m, uint32_t vport)
{
	pthread_mutex_lock(&m->engine);
	for (unsigned int i = 0; i < m->nr_vports; i++)
		if (vport == MANA_ANY_VPORT || vport == i)
			lose_vport(m, &m->vport[i]);
	pthread_mutex_unlock(&m->engine);
}

static void end_all(struct mana *m)
{
	pthread_mutex_lock(&m->engine);
	m->nr_faults = 0;
	for (unsigned int i = 0; i < m->nr_vports; i++)
		m->vport[i].lost = false;
	pthread_mutex_unlock(&m->engine);
	mana_coalesce(m, 1);
}

static void do_now(struct mana *m, enum fault fault, uint32_t vport)
{
	switch (fault) {
	case RX_COALESCED:
		mana_coalesce(m, MANA_RX_PACKETS);
		break;
	case LINK_FLAP:
		mana_link(m, false);
		mana_link(m, true);
		break;
	case RESET:
		mana_request_reset(m);
		break;
	case RECONFIG:
		mana_event(m, MANA_EQE_FPGA_RECONFIG);
		break;
	case UNKNOWN_EVENT:
		mana_event(m, UNKNOWN_EQE);
		break;
	default:
		lose(m, vport);
	}
}

static const char *add(struct mana *m, const struct mana_active_fault *fault)
{
	const char *rule = NULL;

	pthread_mutex_lock(&m->engine);
	if (m->nr_faults == MANA_MAX_FAULTS)
		rule = "fault: 8 at most at a time";
	else
		m->fault[m->nr_faults++] = *fault;
	pthread_mutex_unlock(&m->engine);
	return rule;
}

const char *mana_fault_set(struct mana *m, const char *name, uint32_t count,
			   uint32_t skip, uint32_t vport)
{
	struct mana_active_fault fault = { .skip = skip, .count = count,
					   .forever = !count,
					   .vport = vport };

	if (vport != MANA_ANY_VPORT && vport >= m->nr_vports)
		return "vport: must be one of the function";
	if (!strcmp(name, MANA_FAULT_NONE)) {
		end_all(m);
		return NULL;
	}
	while (fault.kind < FAULTS && strcmp(table[fault.kind].name, name))
		fault.kind++;
	if (fault.kind == FAULTS)
		return "fault: there is none of this name";
	if (table[fault.kind].place != PLACE_NOW)
		return add(m, &fault);
	for (uint32_t i = 0; i < (count ? count : 1); i++)
		do_now(m, (enum fault)fault.kind, vport);
	return NULL;
}

/* ---- places; the engine's ---- */

static void drop_fault(struct mana *m, unsigned int i)
{
	m->nr_faults--;
	memmove(&m->fault[i], &m->fault[i + 1],
		(m->nr_faults - i) * sizeof(m->fault[0]));
}

/* Some faults are about some messages only. */
static bool is_about(unsigned int kind, uint32_t message)
{
	switch (kind) {
	case WQ_REFUSED:
		return message == MANA_CREATE_WQ_OBJ;
	case RX_REFUSED:
		return message == MANA_CONFIG_VPORT_RX;
	}
	return true;
}

/* The fault that what is at hand meets; FAULTS: none. */
static enum fault meet(struct mana *m, enum place place,
		       const struct mana_vport *vport, uint32_t message)
{
	for (unsigned int i = 0; i < m->nr_faults; i++) {
		struct mana_active_fault *fault = &m->fault[i];
		unsigned int kind = fault->kind;

		if (table[kind].place != place || !is_about(kind, message) ||
		    (vport && fault->vport != MANA_ANY_VPORT &&
		     fault->vport != vport->index))
			continue;
		if (fault->skip) {
			fault->skip--;
			continue;
		}
		MANA_COUNT(m, faults, 1);
		if (!fault->forever && !--fault->count)
			drop_fault(m, i);
		return (enum fault)kind;
	}
	return FAULTS;
}

uint32_t mana_fault_message(struct mana *m, uint32_t type, bool *silent)
{
	enum fault fault = meet(m, PLACE_MESSAGE, NULL, type);

	*silent = fault == HWC_SILENT;
	return fault == FAULTS || *silent ? MANA_STATUS_OK : ERROR_STATUS;
}

uint32_t mana_fault_answer(struct mana *m, uint32_t size)
{
	struct mana_response *out = (void *)m->response;

	switch (meet(m, PLACE_ANSWER, NULL, 0)) {
	case HWC_WRONG_ID:
		out->response.id = cpu_to_le16(
			(uint16_t)(le16_to_cpu(out->response.id) + 1));
		break;
	case HWC_SHORT:
		return sizeof(struct mana_response) / 2;
	default:
		break;
	}
	return size;
}

static void set_type(struct mana_cqe *cqe, uint32_t type)
{
	uint32_t header;

	memcpy(&header, cqe->data, sizeof(header));
	header = (header & ~63u) | type;
	memcpy(cqe->data, &header, sizeof(header));
}

/* What to write; sets how often, and an error of the lap. */
static void spoil_tx(struct mana *m, unsigned int wq, struct mana_cqe *cqe,
		     unsigned int *times, uint32_t *lap)
{
	switch (meet(m, PLACE_TX_CQE, m->wq[wq].vport, 0)) {
	case TX_TYPE:
		set_type(cqe, UNKNOWN_CQE);
		break;
	case TX_QUEUE:
		cqe->info = cpu_to_le32(le32_to_cpu(cqe->info) ^ 1);
		break;
	case TX_LOST:
		*times = 0;
		break;
	case TX_TWICE:
		*times = 2;
		break;
	case TX_ERROR:
		set_type(cqe, MANA_CQE_TX_INVALID_OOB);
		break;
	case TX_DEAD:
		set_type(cqe, MANA_CQE_TX_GDMA_ERR);
		m->wq[wq].dead = true;
		break;
	case TX_LAP:
		*lap = 3;
		break;
	default:
		break;
	}
}

static void spoil_rx(struct mana *m, unsigned int wq, struct mana_cqe *cqe,
		     unsigned int *times, uint32_t *lap)
{
	struct mana_rx_cqe rx;

	memcpy(&rx, cqe->data, sizeof(rx));
	switch (meet(m, PLACE_RX_CQE, m->wq[wq].vport, 0)) {
	case RX_TYPE:
		set_type(cqe, UNKNOWN_CQE);
		return;
	case RX_QUEUE:
		cqe->info = cpu_to_le32(le32_to_cpu(cqe->info) ^ 1);
		return;
	case RX_TRUNCATED:
		set_type(cqe, MANA_CQE_RX_TRUNCATED);
		return;
	case RX_FENCE:
		set_type(cqe, MANA_CQE_RX_FENCE);
		return;
	case RX_LOST:
		*times = 0;
		return;
	case RX_HOLE:
		*lap = LAST_LAP;
		return;
	case RX_TWICE:
		*times = 2;
		return;
	case RX_OVERSIZE:
		rx.packet[0].length = cpu_to_le16(OVERSIZE);
		break;
	case RX_EMPTY:
		rx.packet[0].length = cpu_to_le16(0);
		break;
	case RX_HASH:
		rx.packet[0].hash = cpu_to_le32(
			~le32_to_cpu(rx.packet[0].hash));
		break;
	case RX_CHECKSUM:
		rx.info = cpu_to_le32(le32_to_cpu(rx.info) |
				      MANA_RX_IP_GOOD | MANA_RX_IP_BAD |
				      MANA_RX_TCP_GOOD | MANA_RX_TCP_BAD |
				      MANA_RX_UDP_GOOD | MANA_RX_UDP_BAD);
		break;
	default:
		return;
	}
	memcpy(cqe->data, &rx, sizeof(rx));
}

unsigned int mana_fault_cqe(struct mana *m, unsigned int wq,
			    struct mana_cqe *cqe, uint32_t *lap)
{
	unsigned int times = 1;

	*lap = 0;
	if (!m->nr_faults || !m->wq[wq].vport) /* the channel's: by messages */
		return times;
	if (m->wq[wq].sq)
		spoil_tx(m, wq, cqe, &times, lap);
	else
		spoil_rx(m, wq, cqe, &times, lap);
	return times;
}

unsigned int mana_fault_event(struct mana *m, unsigned int cq,
			      const struct mana_vport *vport, uint32_t *data)
{
	*data = cq;
	if (!vport)
		return 1;
	switch (meet(m, PLACE_EVENT, vport, 0)) {
	case EVENT_LOST:
		return 0;
	case EVENT_QUEUE:
		*data = cq ^ 1;
		return 1;
	case EVENT_OVERFLOW:
		return m->eq[m->cq[cq].eq].count + 1;
	default:
		return 1;
	}
}

bool mana_fault_interrupt(struct mana *m, const struct mana_eq *eq)
{
	return eq != &m->eq[m->hwc_eq] &&
	       meet(m, PLACE_INTERRUPT, NULL, 0) != FAULTS;
}

bool mana_fault_bell(struct mana *m, const struct mana_wq *wq)
{
	return wq->sq && wq->vport &&
	       meet(m, PLACE_BELL, wq->vport, 0) != FAULTS;
}
