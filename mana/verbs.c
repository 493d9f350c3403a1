// SPDX-License-Identifier: MIT
/*
 * Verbs, theory of operation
 *
 * Owns the objects of one vport in the kernel and in libmana:
 *
 *	context (a doorbell page) --> PD --> one MR per range of guest RAM,
 *	                                     and those of bounce memory
 *	PD + port = parent domain --> per queue: TX CQ, SQ (a raw packet QP),
 *	                                          RX CQ, WQ, comp channel
 *	                         \--> table of WQs --> RSS QP
 *
 * Protection: a work queue entry reaches what an MR of its PD holds, which is
 * guest RAM and bounce memory; an address elsewhere ends in an error.
 *
 * Regions. Guest RAM is device memory that the kernel maps into us by 2 MiB
 * entries; registering works for those, and fails for anything that is mapped
 * by 4 KiB entries. That is no promise of the kernel's, so that the attempt at
 * each start is the test, per range; what is refused is copied.
 *
 * Order, as the kernel wants it: a CQ serves one queue; the first raw QP opens
 * the vport, the RSS QP comes last and starts receiving. Rings get their
 * numbers when the QP that uses them exists. Teardown the other way round; a
 * receive queue can not be emptied, so the RSS QP goes first, which ends DMA
 * into buffers.
 *
 * One vport at a time. A CQ has its number as long as the device has its queue,
 * but its entry in the kernel's table until the CQ is destroyed. Between the two
 * another vport's new CQ may get the number: that is refused (EINVAL), and what
 * is then taken back is the entry of whoever has the number by now, whose events
 * end (mana_ib_install_cq_cb() and _remove_cq_cb() of Linux 7.2). So vports of a
 * device make and destroy queues one after the other.
 *
 * Events: both CQs of a queue share a completion channel, which is read by the
 * queue's reactor without blocking. Events are acknowledged at once, or the
 * CQ could not be destroyed.
 *
 * Threads: the NIC's own, and queues' reactors for verbs_events(). Failure
 * answers: after the device went, every call fails fast or succeeds, so that
 * teardown is the same.
 */
#define RDMA_STATIC_PROVIDERS mana /* before verbs.h: it is linked in */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <infiniband/manadv.h>
#include <infiniband/verbs.h>

#include <pv/log.h>

#include "verbs.h"

LOG_MODULE("mana");

#define PAGE 4096u

struct verbs_queue {
	struct nic_queue *queue;
	struct ibv_comp_channel *channel;
	struct ibv_cq *tx_cq, *rx_cq;
	struct ibv_qp *sq;
	struct ibv_wq *rq;
};

struct verbs {
	struct ibv_context *context;
	pthread_mutex_t *queues_lock; /* its device's */
	struct ibv_pd *pd, *port_pd;
	struct ibv_mr *guest[GUEST_MEMORY_MAX_RANGES];
	struct ibv_rwq_ind_table *table;
	struct ibv_qp *rss;
	unsigned int nr_queues;
	struct verbs_queue queue[NIC_MAX_QUEUES];
};

/* By the device's name: two that share one lock only wait a little more. */
static pthread_mutex_t *lock_of(const char *device)
{
	static pthread_mutex_t locks[] = {
		PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER,
		PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER,
		PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER,
		PTHREAD_MUTEX_INITIALIZER, PTHREAD_MUTEX_INITIALIZER,
	};
	unsigned int sum = 0;

	while (*device)
		sum += (unsigned char)*device++;
	return &locks[sum % 8];
}

static int last_error(void)
{
	return errno ? -errno : -EIO;
}

/* ---- the device ---- */

static int open_device(const char *name, struct ibv_context **context)
{
	struct ibv_device **list;
	int nr = 0, err = -ENOENT;

	errno = 0;
	list = ibv_get_device_list(&nr);
	if (!list)
		return last_error();
	for (int i = 0; i < nr; i++) {
		if (strcmp(ibv_get_device_name(list[i]), name))
			continue;
		errno = 0;
		*context = ibv_open_device(list[i]);
		err = *context ? 0 : last_error();
		break;
	}
	ibv_free_device_list(list);
	return err;
}

/* libmana takes ring memory from here: whole pages, cleared, since a CQ's
 * first lap is told from no lap at all. */
static void *ring_alloc(size_t size, void *data)
{
	void *p;

	(void)data;
	size = (size + PAGE - 1) & ~(size_t)(PAGE - 1);
	p = aligned_alloc(PAGE, size);
	if (p)
		memset(p, 0, size);
	return p;
}

static void ring_free(void *p, void *data)
{
	(void)data;
	free(p);
}

static void register_guest(struct verbs *v, const struct guest_memory *memory,
			   struct mana_keys *keys)
{
	keys->nr = memory->nr_ranges;
	keys->all = true;
	for (unsigned int i = 0; i < memory->nr_ranges; i++) {
		uint64_t gpa = memory->range[i].gpa;
		uint64_t size = memory->range[i].size;

		errno = 0;
		v->guest[i] = ibv_reg_mr_iova(v->pd, memory->range[i].va, size,
					      gpa, IBV_ACCESS_LOCAL_WRITE);
		keys->range[i].gpa = gpa;
		keys->range[i].size = size;
		keys->range[i].good = v->guest[i] != NULL;
		keys->range[i].key = v->guest[i] ? v->guest[i]->lkey : 0;
		if (v->guest[i])
			continue;
		keys->all = false;
		log_warn("memory at 0x%llx, %llu MiB, can not be registered "
			 "(%s): frames there are copied",
			 (unsigned long long)gpa,
			 (unsigned long long)(size >> 20), strerror(errno));
	}
}

static unsigned int power_of_two(unsigned int most, unsigned int limit)
{
	unsigned int n = 1;

	while (n * 2 <= most && n * 2 <= limit)
		n *= 2;
	return n;
}

/* The kernel tells no number of queues; a vport has as many as the device has
 * completion vectors at least, and more share these. */
static int read_limits(struct verbs *v, struct verbs_limits *limits)
{
	struct ibv_device_attr attr;
	unsigned int depth;

	if (ibv_query_device(v->context, &attr))
		return last_error();
	depth = attr.max_qp_wr < attr.max_cqe ? (unsigned int)attr.max_qp_wr :
						(unsigned int)attr.max_cqe;
	if (attr.max_qp_wr < MANA_MIN_DEPTH || attr.max_cqe < MANA_MIN_DEPTH ||
	    v->context->num_comp_vectors < 1) {
		log_err("%s: queues of %u entries, %d vectors",
			ibv_get_device_name(v->context->device), depth,
			v->context->num_comp_vectors);
		return -EINVAL;
	}
	limits->max_depth = power_of_two(depth, MANA_MAX_DEPTH);
	limits->max_queues = power_of_two(
		(unsigned int)v->context->num_comp_vectors, NIC_MAX_QUEUES);
	return 0;
}

static int open_domains(struct verbs *v, unsigned int port)
{
	struct manadv_ctx_allocators allocators = { .alloc = ring_alloc,
						    .free = ring_free };
	struct ibv_parent_domain_init_attr attr = {
		.comp_mask = IBV_PARENT_DOMAIN_INIT_ATTR_PD_CONTEXT,
		.pd_context = (void *)(uintptr_t)port,
	};
	int err = manadv_set_context_attr(v->context,
					  MANADV_CTX_ATTR_BUF_ALLOCATORS,
					  &allocators);

	if (err)
		return -err;
	errno = 0;
	v->pd = ibv_alloc_pd(v->context);
	if (!v->pd)
		return last_error();
	attr.pd = v->pd;
	errno = 0;
	v->port_pd = ibv_alloc_parent_domain(v->context, &attr);
	return v->port_pd ? 0 : last_error();
}

static int set_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ?
		       -errno : 0;
}

int verbs_open(const char *name, unsigned int port,
	       const struct guest_memory *memory, struct mana_keys *keys,
	       struct verbs_limits *limits, struct verbs **verbs)
{
	struct verbs *v = calloc(1, sizeof(*v));
	int err;

	if (!v)
		return -ENOMEM;
	err = open_device(name, &v->context);
	if (err) {
		free(v);
		return err;
	}
	v->queues_lock = lock_of(name);
	err = set_nonblocking(v->context->async_fd);
	if (!err)
		err = read_limits(v, limits);
	if (!err)
		err = open_domains(v, port);
	if (err) {
		verbs_close(v);
		return err;
	}
	register_guest(v, memory, keys);
	*verbs = v;
	return 0;
}

void verbs_close(struct verbs *v)
{
	for (unsigned int i = 0; i < GUEST_MEMORY_MAX_RANGES; i++)
		if (v->guest[i])
			ibv_dereg_mr(v->guest[i]);
	if (v->port_pd)
		ibv_dealloc_pd(v->port_pd);
	if (v->pd)
		ibv_dealloc_pd(v->pd);
	ibv_close_device(v->context);
	free(v);
}

int verbs_fd(const struct verbs *v)
{
	return v->context->async_fd;
}

bool verbs_gone(struct verbs *v)
{
	struct pollfd fd = { .fd = v->context->async_fd, .events = POLLIN };
	struct ibv_async_event event;
	bool gone = false;

	while (!gone && poll(&fd, 1, 0) > 0) {
		if (ibv_get_async_event(v->context, &event))
			return true; /* the kernel cut us off */
		gone = event.event_type == IBV_EVENT_DEVICE_FATAL;
		ibv_ack_async_event(&event);
	}
	return gone;
}

/* ---- regions ---- */

int verbs_register(struct verbs *v, void *va, uint64_t size, uint32_t *key,
		   struct verbs_region **region)
{
	struct ibv_mr *mr;

	errno = 0;
	mr = ibv_reg_mr(v->pd, va, size, IBV_ACCESS_LOCAL_WRITE);
	if (!mr)
		return last_error();
	*key = mr->lkey;
	*region = (struct verbs_region *)mr;
	return 0;
}

void verbs_unregister(struct verbs_region *region)
{
	if (region)
		ibv_dereg_mr((struct ibv_mr *)region);
}

/* ---- queues ---- */

static void verbs_events(struct nic_queue *queue)
{
	struct verbs_queue *vq = queue->owner;
	struct ibv_cq *cq;
	void *context;

	errno = 0;
	while (!ibv_get_cq_event(vq->channel, &cq, &context)) {
		queue_event(queue, cq == vq->tx_cq);
		ibv_ack_cq_events(cq, 1);
		errno = 0;
	}
	/* Anything else than "no more" stays readable for ever. */
	if (errno != EAGAIN && errno != EINTR)
		queue_break(queue, "events end");
}

static int init_cq(struct mana_cq *cq, struct ibv_cq *from)
{
	struct manadv_cq out = { 0 };
	struct manadv_obj obj = { .cq = { .in = from, .out = &out } };
	int err = manadv_init_obj(&obj, MANADV_OBJ_CQ);

	if (err)
		return -err;
	if (!out.buf || !out.count || out.count & (out.count - 1) ||
	    out.cq_id > MANA_ID_MASK)
		return -EPROTO;
	mana_cq_init(cq, out.buf, out.count, out.cq_id);
	return 0;
}

static int init_wq(struct mana_wq *wq, void *ring, uint32_t size, uint32_t id)
{
	if (!ring || size < PAGE || size & (size - 1) || id > MANA_ID_MASK)
		return -EPROTO;
	*wq = (struct mana_wq){ .ring = ring, .size = size, .id = id };
	return 0;
}

static int init_sq(struct nic_queue *queue, struct ibv_qp *sq)
{
	struct manadv_qp out = { 0 };
	struct manadv_obj obj = { .qp = { .in = sq, .out = &out } };
	int err = manadv_init_obj(&obj, MANADV_OBJ_QP);

	if (err)
		return -err;
	queue->doorbells = (struct mana_doorbells){ .page = out.db_page };
	queue->vport_offset = out.tx_vp_offset;
	if (!out.db_page || out.tx_vp_offset > MANA_TX_LONG_VPORT_MAX)
		return -EPROTO;
	return init_wq(&queue->sq, out.sq_buf, out.sq_size, out.sq_id);
}

static int init_rq(struct nic_queue *queue, struct ibv_wq *rq)
{
	struct manadv_rwq out = { 0 };
	struct manadv_obj obj = { .rwq = { .in = rq, .out = &out } };
	int err = manadv_init_obj(&obj, MANADV_OBJ_RWQ);

	return err ? -err : init_wq(&queue->rq, out.buf, out.size, out.wq_id);
}

static int create_cqs(struct verbs *v, struct verbs_queue *vq, int vector)
{
	const struct nic_queue *queue = vq->queue;
	int tx = queue->tx_depth, rx = queue->rx_depth;

	errno = 0;
	vq->channel = ibv_create_comp_channel(v->context);
	if (!vq->channel)
		return last_error();
	vq->tx_cq = ibv_create_cq(v->context, tx < MANA_MIN_DEPTH ?
				  MANA_MIN_DEPTH : tx, vq, vq->channel, vector);
	if (!vq->tx_cq)
		return last_error();
	vq->rx_cq = ibv_create_cq(v->context, rx < MANA_MIN_DEPTH ?
				  MANA_MIN_DEPTH : rx, vq, vq->channel, vector);
	return vq->rx_cq ? set_nonblocking(vq->channel->fd) : last_error();
}

/* An entry has room for this many elements on average; the ring is counted in
 * bytes, so that few frames may have more. */
#define AVERAGE_SGES 5

static int create_queue(struct verbs *v, struct verbs_queue *vq, int vector)
{
	struct nic_queue *queue = vq->queue;
	struct ibv_qp_init_attr sq = {
		.qp_type = IBV_QPT_RAW_PACKET,
		.cap = { .max_send_wr = queue->tx_depth,
			 .max_send_sge = AVERAGE_SGES },
	};
	struct ibv_wq_init_attr rq = {
		.wq_type = IBV_WQT_RQ,
		.max_wr = queue->rx_depth,
		.max_sge = MANA_MAX_RX_RANGES,
		.pd = v->pd,
	};
	int err = create_cqs(v, vq, vector);

	if (err)
		return err;
	sq.send_cq = sq.recv_cq = vq->tx_cq;
	errno = 0;
	vq->sq = ibv_create_qp(v->port_pd, &sq);
	if (!vq->sq)
		return last_error();
	rq.cq = vq->rx_cq;
	vq->rq = ibv_create_wq(v->context, &rq);
	if (!vq->rq)
		return last_error();
	err = init_sq(queue, vq->sq);
	if (!err)
		err = init_cq(&queue->tx_cq, vq->tx_cq);
	queue->event_fd = vq->channel->fd;
	queue->events = verbs_events;
	queue->owner = vq;
	return err;
}

static int start_receiving(struct verbs *v, const uint16_t *order,
			   unsigned int nr_order, const uint8_t *key)
{
	struct ibv_wq *wqs[NIC_MAX_QUEUES];
	struct ibv_rwq_ind_table_init_attr table = { .ind_tbl = wqs };
	struct ibv_qp_init_attr_ex rss = {
		.qp_type = IBV_QPT_RAW_PACKET,
		.comp_mask = IBV_QP_INIT_ATTR_PD | IBV_QP_INIT_ATTR_IND_TABLE |
			     IBV_QP_INIT_ATTR_RX_HASH,
		.pd = v->port_pd,
		.rx_hash_conf = {
			.rx_hash_function = IBV_RX_HASH_FUNC_TOEPLITZ,
			.rx_hash_key_len = NIC_RSS_KEY,
			.rx_hash_key = (uint8_t *)(uintptr_t)key,
			.rx_hash_fields_mask = IBV_RX_HASH_SRC_IPV4 |
					       IBV_RX_HASH_DST_IPV4,
		},
	};

	for (unsigned int i = 0; i < nr_order; i++)
		wqs[i] = v->queue[order[i]].rq;
	while (1u << table.log_ind_tbl_size < nr_order)
		table.log_ind_tbl_size++;
	errno = 0;
	v->table = ibv_create_rwq_ind_table(v->context, &table);
	if (!v->table)
		return last_error();
	rss.rwq_ind_tbl = v->table;
	v->rss = ibv_create_qp_ex(v->context, &rss);
	if (!v->rss)
		return last_error();
	for (unsigned int i = 0; i < nr_order; i++) {
		struct verbs_queue *vq = &v->queue[order[i]];
		int err = init_rq(vq->queue, vq->rq);

		if (!err)
			err = init_cq(&vq->queue->rx_cq, vq->rx_cq);
		if (err)
			return err;
		vq->queue->receives = true;
	}
	return 0;
}

/* A receive queue that no hash leads to has a ring, but no number. */
static int init_idle_rqs(struct verbs *v)
{
	for (unsigned int i = 0; i < v->nr_queues; i++) {
		struct verbs_queue *vq = &v->queue[i];
		int err;

		vq->queue->receives = false;
		err = init_rq(vq->queue, vq->rq);
		if (err)
			return err;
	}
	return 0;
}

static void destroy_queues(struct verbs *v)
{
	int err = 0;

	if (v->rss)
		err |= ibv_destroy_qp(v->rss);
	if (v->table)
		err |= ibv_destroy_rwq_ind_table(v->table);
	v->rss = NULL;
	v->table = NULL;
	for (unsigned int i = 0; i < v->nr_queues; i++) {
		struct verbs_queue *vq = &v->queue[i];

		if (vq->sq)
			err |= ibv_destroy_qp(vq->sq);
		if (vq->rq)
			err |= ibv_destroy_wq(vq->rq);
		if (vq->tx_cq)
			err |= ibv_destroy_cq(vq->tx_cq);
		if (vq->rx_cq)
			err |= ibv_destroy_cq(vq->rx_cq);
		if (vq->channel)
			err |= ibv_destroy_comp_channel(vq->channel);
	}
	v->nr_queues = 0;
	if (err)
		log_err("queues could not be destroyed: %s", strerror(err));
}

int verbs_queues_create(struct verbs *v, struct nic_queue *const *queues,
			unsigned int nr, const uint16_t *order,
			unsigned int nr_order, const uint8_t key[NIC_RSS_KEY])
{
	int err = 0;

	pv_bug(v->nr_queues, v->nr_queues, nr);
	pthread_mutex_lock(v->queues_lock);
	for (unsigned int i = 0; i < nr && !err; i++) {
		v->queue[i] = (struct verbs_queue){ .queue = queues[i] };
		v->nr_queues = i + 1;
		err = create_queue(v, &v->queue[i],
				   (int)i % v->context->num_comp_vectors);
	}
	if (!err)
		err = init_idle_rqs(v);
	if (!err)
		err = start_receiving(v, order, nr_order, key);
	if (err)
		destroy_queues(v);
	pthread_mutex_unlock(v->queues_lock);
	return err;
}

void verbs_queues_destroy(struct verbs *v)
{
	pthread_mutex_lock(v->queues_lock);
	destroy_queues(v);
	pthread_mutex_unlock(v->queues_lock);
}
