// SPDX-License-Identifier: MIT
/*
 * MANA device, theory of operation
 *
 * Owns the registers of BAR 0, the device's thread and its engine: all that
 * happens to queues, memory and vports.
 *
 *	00000  registers         mana_channel.c  bring-up, requests and answers
 *	04000  shared memory     mana_message.c  which message is whose; GDMA's
 *	10000  doorbell pages    mana_memory.c   regions, PDs, MRs, DMA
 *	BAR 4  MSI-X             mana_queue.c    EQ, CQ, WQ
 *	                         mana_vport.c    messages of vports
 *	                         mana_tx.c, mana_rx.c: frames
 *	                         mana_fault.c    what goes wrong, if it is to
 *
 * A VP's write to a doorbell goes into a queue, in order, and the thread acts
 * on it: doorbells carry values, and their order is part of what they say. A VP
 * that finds the queue full waits for the thread, which never waits for a VP.
 *
 *	VP --bell[]--> thread --engine--> SQ entries --> back-end
 *	loop's thread, a frame --engine--> RQ entries
 *
 * The engine is one lock. Two take it: the thread, for one turn (the doorbells
 * that are there, some entries of each SQ), and whoever brings a frame. A reset
 * takes it too, so when it returns nothing is going on; doorbells that were
 * taken before it and not acted on are those of another epoch, and forgotten.
 *
 * Failure answers: a message gets a status; an entry a completion with its
 * reason; a doorbell for nothing is counted. What a driver may not do to
 * memory kills the queue, not the device.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "mana_device.h"
#include "vmm/net_back.h"

#define TURN 64u /* doorbells */
#define HOLD_NS 2000000 /* how long a completion is held back */
#define MSIX_BAR_SIZE 4096u
#define MSIX_PENDING 2048u

_Static_assert(MANA_MAX_VECTORS * MSIX_ENTRY_SIZE <= MSIX_PENDING, "overlap");
_Static_assert(MANA_MAX_VECTORS <= MSIX_MAX_VECTORS, "too many");
_Static_assert(MANA_DOORBELLS + MANA_BELL_PAGES * MANA_PAGE <= MANA_BAR_SIZE,
	       "outside");
_Static_assert(MANA_SHM + 4 * MANA_SHM_WORDS <= MANA_DOORBELLS, "overlap");
_Static_assert(MANA_MAX_VPORTS * MANA_MAX_QUEUES < MANA_EQS &&
	       2 * MANA_MAX_VPORTS * MANA_MAX_QUEUES < MANA_CQS &&
	       2 * MANA_MAX_VPORTS * MANA_MAX_QUEUES < MANA_WQS, "too few");

static struct mana *of(struct pci_function *f)
{
	return (struct mana *)f;
}

/* ---- the thread ---- */

static void act(struct mana *m, const struct mana_bell *bell, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++) {
		if (bell[i].kind == BELL_SHM)
			mana_channel_shm(m);
		else
			mana_queue_bell(m, &bell[i]);
	}
}

/* Takes doorbells, at most TURN. The lock is held. */
static unsigned int take(struct mana *m, struct mana_bell *bell)
{
	unsigned int nr = 0;

	while (m->nr_bells && nr < TURN) {
		bell[nr++] = m->bell[m->bell_head];
		m->bell_head = (m->bell_head + 1) % MANA_BELLS;
		m->nr_bells--;
	}
	if (nr)
		pthread_cond_broadcast(&m->room_came);
	return nr;
}

/* Until there is something to do. The lock is held. */
static void wait_for_work(struct mana *m)
{
	struct timespec end;

	while (!m->stop && !m->work && !m->nr_bells) {
		if (!atomic_load(&m->holds)) {
			pthread_cond_wait(&m->work_came, &m->lock);
			continue;
		}
		clock_gettime(CLOCK_MONOTONIC, &end);
		end.tv_nsec += HOLD_NS;
		if (end.tv_nsec >= 1000000000) {
			end.tv_nsec -= 1000000000;
			end.tv_sec++;
		}
		if (pthread_cond_timedwait(&m->work_came, &m->lock, &end))
			return;
	}
}

static void *device_thread(void *opaque)
{
	struct mana *m = opaque;
	struct mana_bell bell[TURN];

	pthread_mutex_lock(&m->lock);
	while (!m->stop) {
		unsigned int nr, epoch = m->epoch;
		bool more;

		wait_for_work(m);
		nr = take(m, bell);
		m->work = false;
		epoch = m->epoch;
		pthread_mutex_unlock(&m->lock);

		pthread_mutex_lock(&m->engine);
		if (epoch == m->epoch)
			act(m, bell, nr);
		if (!nr)
			mana_rx_flush_all(m);
		more = mana_tx_run(m);
		pthread_mutex_unlock(&m->engine);

		pthread_mutex_lock(&m->lock);
		m->work |= more;
	}
	pthread_mutex_unlock(&m->lock);
	return NULL;
}

static void ring(struct mana *m, enum mana_bell_kind kind, uint32_t page,
		 uint64_t value)
{
	pthread_mutex_lock(&m->lock);
	while (m->nr_bells == MANA_BELLS && !m->stop)
		pthread_cond_wait(&m->room_came, &m->lock);
	m->bell[(m->bell_head + m->nr_bells) % MANA_BELLS] =
		(struct mana_bell){ kind, page, value };
	m->nr_bells++;
	pthread_cond_signal(&m->work_came);
	pthread_mutex_unlock(&m->lock);
}

/* ---- the back-ends' side: the loop's thread ---- */

static void frame_came(void *opaque, const uint8_t *frame, uint32_t len)
{
	struct mana_vport *vport = opaque;

	pthread_mutex_lock(&vport->mana->engine);
	mana_rx_frame(vport, frame, len);
	pthread_mutex_unlock(&vport->mana->engine);
}

static void room_came(void *opaque)
{
	struct mana_vport *vport = opaque;
	struct mana *m = vport->mana;

	pthread_mutex_lock(&m->lock);
	m->work = true;
	pthread_cond_signal(&m->work_came);
	pthread_mutex_unlock(&m->lock);
}

/* ---- registers ---- */

static uint32_t read_word(const struct mana *m, uint64_t offset)
{
	if (offset >= MANA_SHM && offset < MANA_SHM + 4 * MANA_SHM_WORDS)
		return m->shm[(offset - MANA_SHM) / 4];
	switch (offset) {
	case MANA_REG_VERSION:
		return MANA_VERSION;
	case MANA_REG_DOORBELLS:
		return MANA_DOORBELLS;
	case MANA_REG_PAGE_SIZE:
		return MANA_PAGE;
	case MANA_REG_SHM:
		return MANA_SHM;
	case MANA_REG_SHM_SIZE:
		return 4 * MANA_SHM_WORDS;
	default:
		return offset < MANA_REG_END ? 0 : UINT32_MAX;
	}
}

static uint64_t bar_read(struct pci_function *f, uint64_t offset,
			 unsigned int size)
{
	struct mana *m = of(f);
	uint64_t value = 0;

	if (offset % size)
		return UINT64_MAX;
	pthread_mutex_lock(&m->lock);
	for (uint64_t at = offset & ~3ull; at < offset + size; at += 4)
		value |= (uint64_t)read_word(m, at)
			 << (8 * (at - (offset & ~3ull)));
	pthread_mutex_unlock(&m->lock);
	return size < 4 ? value >> (8 * (offset % 4)) : value;
}

static void write_shm(struct mana *m, unsigned int word, uint32_t value)
{
	if (word == MANA_SHM_HEADER)
		value |= MANA_SHM_PF_OWNS;
	pthread_mutex_lock(&m->lock);
	m->shm[word] = value;
	pthread_mutex_unlock(&m->lock);
	if (word == MANA_SHM_HEADER)
		ring(m, BELL_SHM, 0, 0);
}

static void bar_write(struct pci_function *f, uint64_t offset,
		      unsigned int size, uint64_t value)
{
	struct mana *m = of(f);
	uint64_t page = (offset - MANA_DOORBELLS) / MANA_PAGE;

	if (offset >= MANA_SHM && offset < MANA_SHM + 4 * MANA_SHM_WORDS &&
	    size == 4 && !(offset % 4)) {
		write_shm(m, (unsigned int)(offset - MANA_SHM) / 4,
			  (uint32_t)value);
		return;
	}
	if (offset < MANA_DOORBELLS || page >= MANA_BELL_PAGES || size != 8)
		return;
	switch (offset % MANA_PAGE) {
	case MANA_BELL_SQ:
		ring(m, BELL_SQ, (uint32_t)page, value);
		break;
	case MANA_BELL_RQ:
		ring(m, BELL_RQ, (uint32_t)page, value);
		break;
	case MANA_BELL_CQ:
		ring(m, BELL_CQ, (uint32_t)page, value);
		break;
	case MANA_BELL_EQ:
		ring(m, BELL_EQ, (uint32_t)page, value);
		break;
	}
}

static void bar_reset(struct pci_function *f)
{
	struct mana *m = of(f);

	pthread_mutex_lock(&m->engine);
	pthread_mutex_lock(&m->lock);
	m->epoch++;
	m->nr_bells = 0;
	memset(m->shm, 0, sizeof(m->shm));
	pthread_cond_broadcast(&m->room_came);
	pthread_mutex_unlock(&m->lock);
	MANA_COUNT(m, resets, 1);
	mana_forget(m);
	pthread_mutex_unlock(&m->engine);
	msix_reset(&m->msix);
}

static const struct pci_function_ops ops = {
	.read = bar_read,
	.write = bar_write,
	.reset = bar_reset,
};

/* ---- what it does of its own accord ---- */

static void event(struct mana *m, unsigned int type, uint32_t data)
{
	if (m->established)
		mana_eq_post(m, m->hwc_eq, type, data);
}

void mana_link(struct mana *m, bool up)
{
	pthread_mutex_lock(&m->engine);
	m->link_down = !up && m->established;
	event(m, MANA_EQE_RECONFIG_DATA,
	      MANA_TYPED(up ? MANA_RECONFIG_LINK_UP : MANA_RECONFIG_LINK_DOWN,
			 0));
	pthread_mutex_unlock(&m->engine);
}

void mana_event(struct mana *m, unsigned int type)
{
	pthread_mutex_lock(&m->engine);
	event(m, type, 0);
	pthread_mutex_unlock(&m->engine);
}

void mana_request_reset(struct mana *m)
{
	mana_event(m, MANA_EQE_RESET_REQUEST);
}

void mana_silence(struct mana *m, bool silent)
{
	pthread_mutex_lock(&m->engine);
	m->silent = silent;
	pthread_mutex_unlock(&m->engine);
}

void mana_coalesce(struct mana *m, unsigned int frames)
{
	pthread_mutex_lock(&m->engine);
	m->coalesce = frames < 1 ? 1 : frames > MANA_RX_PACKETS ?
					      MANA_RX_PACKETS : frames;
	mana_rx_flush_all(m);
	pthread_mutex_unlock(&m->engine);
}

/* ---- life ---- */

static const struct pci_function identity = {
	.ops = &ops,
	.vendor = 0x1414,
	.device = 0x00ba,
	.subsystem_vendor = 0x1414,
	.revision = 1,
	.base_class = 0x02, /* network, Ethernet */
	.bar_size = MANA_BAR_SIZE,
	.msix_bar_size = MSIX_BAR_SIZE,
	.msix_pending = MSIX_PENDING,
};

static bool config_good(const struct mana_config *config)
{
	return config->nr_vports && config->nr_vports <= MANA_MAX_VPORTS &&
	       config->queues && config->queues <= MANA_MAX_QUEUES &&
	       config->vectors >= 2 && config->vectors <= MANA_MAX_VECTORS &&
	       (!config->mtu ||
		(config->mtu >= 576 && config->mtu <= MANA_MAX_MTU));
}

static void start_vports(struct mana *m, const struct mana_config *config)
{
	m->nr_vports = config->nr_vports;
	for (unsigned int i = 0; i < m->nr_vports; i++) {
		struct mana_vport *vport = &m->vport[i];
		const struct net_back_client client = { frame_came, room_came,
							vport };

		vport->mana = m;
		vport->index = i;
		vport->handle = m->next_handle++;
		vport->back = config->vport[i].back;
		memcpy(vport->mac, config->vport[i].mac, sizeof(vport->mac));
		net_back_start(vport->back, &client);
	}
}

static void init_locks(struct mana *m)
{
	pthread_condattr_t attributes;

	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_mutex_init(&m->lock, NULL);
	pthread_mutex_init(&m->engine, NULL);
	pthread_cond_init(&m->work_came, &attributes);
	pthread_cond_init(&m->room_came, NULL);
	pthread_condattr_destroy(&attributes);
}

struct mana *mana_create(const struct mana_config *config)
{
	struct mana *m;
	int err;

	if (!config_good(config)) {
		errno = EINVAL;
		return NULL;
	}
	m = calloc(1, sizeof(*m));
	if (!m)
		return NULL;
	m->function = identity;
	m->function.msix = &m->msix;
	m->function.vectors = config->vectors;
	m->queues = config->queues;
	m->mtu = config->mtu ? config->mtu : MANA_DEFAULT_MTU;
	m->link_mbps = config->link_mbps ? config->link_mbps : 100000;
	m->coalesce = 1;
	m->next_handle = 0x1000;
	msix_init(&m->msix, config->vectors);
	init_locks(m);
	err = pthread_create(&m->thread, NULL, device_thread, m);
	if (err) {
		mana_destroy(m);
		errno = err;
		return NULL;
	}
	m->running = true;
	start_vports(m, config);
	return m;
}

void mana_destroy(struct mana *m)
{
	if (!m)
		return;
	if (m->running) {
		pthread_mutex_lock(&m->lock);
		m->stop = true;
		pthread_cond_broadcast(&m->work_came);
		pthread_cond_broadcast(&m->room_came);
		pthread_mutex_unlock(&m->lock);
		pthread_join(m->thread, NULL);
	}
	mana_forget(m);
	pthread_cond_destroy(&m->room_came);
	pthread_cond_destroy(&m->work_came);
	pthread_mutex_destroy(&m->engine);
	pthread_mutex_destroy(&m->lock);
	msix_destroy(&m->msix);
	free(m);
}

struct pci_function *mana_function(struct mana *m)
{
	return &m->function;
}

/* ---- statistics ---- */

void mana_counters(struct mana *m, struct mana_counters *out)
{
	pthread_mutex_lock(&m->engine);
	*out = m->count;
	pthread_mutex_unlock(&m->engine);
}

void mana_vport_counters(struct mana *m, unsigned int vport,
			 struct mana_vport_counters *out)
{
	pthread_mutex_lock(&m->engine);
	*out = m->vport[vport].count;
	pthread_mutex_unlock(&m->engine);
}

static void print_vport(struct mana *m, unsigned int vport, FILE *out)
{
	struct mana_vport_counters now;

	mana_vport_counters(m, vport, &now);
	fputs("{", out);
#define PRINT(name) \
	fprintf(out, "\"" #name "\":%llu,", (unsigned long long)now.name);
	MANA_VPORT_COUNTERS(PRINT)
	fputs("\"rx_queue\":[", out);
	for (unsigned int i = 0; i < m->queues; i++)
		fprintf(out, "%s%llu", i ? "," : "",
			(unsigned long long)now.rx_queue[i]);
	fputs("],\"back\":", out);
	net_back_print_stats(m->vport[vport].back, out);
	fputs("}", out);
}

void mana_print_stats(struct mana *m, FILE *out)
{
	struct mana_counters now;

	mana_counters(m, &now);
	fputs("{", out);
	MANA_COUNTERS(PRINT)
#undef PRINT
	fputs("\"vports\":[", out);
	for (unsigned int i = 0; i < m->nr_vports; i++) {
		fputs(i ? "," : "", out);
		print_vport(m, i, out);
	}
	fputs("]}", out);
}
