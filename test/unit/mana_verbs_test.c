/* SPDX-License-Identifier: MIT */
/* SOURCES: mana/verbs.c mana/queue.c mana/tx.c mana/rx.c mana/poll.c test/unit/reactor_inline.c paravisor/guest_memory.c paravisor/inspect.c paravisor/log.c include/guid.c */
/*
 * Two vports of one device make and unmake their queues at the same time, on a
 * kernel that numbers completion queues as Linux does: the device gives the
 * lowest free number when a queue is made and takes it back with that, while the
 * kernel's table has the entry until the CQ is destroyed. What calls answer else
 * is target mana_verbs' (test/fuzz).
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include <infiniband/manadv.h>
#include <infiniband/verbs.h>

#include "mana/device.h"
#include "mana/verbs.h"

#undef ibv_reg_mr
#undef ibv_reg_mr_iova /* macros over the functions */

#define VPORTS 2
#define QUEUES 2
#define ROUNDS 300
#define RING 8192u
#define NUMBERS 64
#define NONE NUMBERS

struct cq {
	struct ibv_cq cq; /* first, as in all of these */
	unsigned int number;
};

struct sq {
	struct ibv_qp qp;
	struct cq *cq;
};

struct rq {
	struct ibv_wq wq;
	struct cq *cq;
};

struct table {
	struct ibv_rwq_ind_table table;
	struct rq *rq[QUEUES];
};

struct rss {
	struct ibv_qp qp;
	struct table *table;
};

struct verbs_device_ops {
	int unused;
};
void ibv_static_providers(void *unused, ...);
const struct verbs_device_ops verbs_provider_mana, verbs_provider_none;

static pthread_mutex_t lock;
static bool used[NUMBERS];	      /* by the device */
static const struct cq *entry[NUMBERS]; /* of the kernel's table */
static unsigned int refused, stolen;
static _Alignas(4096) uint8_t ring[RING], page[4096];

/* ---- the kernel ---- */

/* A queue is made, and with it its CQ: 0 or EINVAL. */
static int number_cq(struct cq *cq)
{
	unsigned int n = 0;
	int err = 0;

	sched_yield();
	pthread_mutex_lock(&lock);
	while (n < NUMBERS - 1 && used[n])
		n++;
	cq->number = n;
	if (entry[n]) {
		refused++;
		err = EINVAL;
	} else {
		used[n] = true;
		entry[n] = cq;
	}
	pthread_mutex_unlock(&lock);
	return err;
}

static void free_number(const struct cq *cq)
{
	pthread_mutex_lock(&lock);
	used[cq->number] = false;
	pthread_mutex_unlock(&lock);
	sched_yield();
}

int ibv_destroy_cq(struct ibv_cq *ibv)
{
	struct cq *cq = (struct cq *)ibv;

	sched_yield();
	pthread_mutex_lock(&lock);
	if (cq->number != NONE) {
		stolen += entry[cq->number] && entry[cq->number] != cq;
		entry[cq->number] = NULL;
	}
	pthread_mutex_unlock(&lock);
	free(cq);
	return 0;
}

struct ibv_cq *ibv_create_cq(struct ibv_context *context, int cqe,
			     void *opaque, struct ibv_comp_channel *channel,
			     int vector)
{
	struct cq *cq = calloc(1, sizeof(*cq));

	(void)context;
	(void)cqe;
	(void)opaque;
	(void)channel;
	(void)vector;
	cq->number = NONE;
	return &cq->cq;
}

struct ibv_qp *ibv_create_qp(struct ibv_pd *pd, struct ibv_qp_init_attr *attr)
{
	struct sq *sq = calloc(1, sizeof(*sq));

	(void)pd;
	sq->qp.qp_type = IBV_QPT_RAW_PACKET;
	sq->qp.state = IBV_QPS_RTS; /* tells it from the other kind */
	sq->cq = (struct cq *)attr->send_cq;
	errno = number_cq(sq->cq);
	if (!errno)
		return &sq->qp;
	free(sq);
	return NULL;
}

static struct ibv_qp *create_qp_ex(struct ibv_context *context,
				   struct ibv_qp_init_attr_ex *attr)
{
	struct rss *rss = calloc(1, sizeof(*rss));
	int err = 0;

	(void)context;
	rss->table = (struct table *)attr->rwq_ind_tbl;
	for (unsigned int i = 0; i < QUEUES && !err; i++) {
		err = number_cq(rss->table->rq[i]->cq);
		if (!err)
			continue;
		while (i--)
			free_number(rss->table->rq[i]->cq);
		break;
	}
	if (!err)
		return &rss->qp;
	free(rss);
	errno = err;
	return NULL;
}

int ibv_destroy_qp(struct ibv_qp *qp)
{
	if (qp->state == IBV_QPS_RTS) {
		free_number(((struct sq *)qp)->cq);
	} else {
		struct table *table = ((struct rss *)qp)->table;

		for (unsigned int i = 0; i < QUEUES; i++)
			free_number(table->rq[i]->cq);
	}
	free(qp);
	return 0;
}

/* ---- what has no numbers ---- */

static struct ibv_wq *create_wq(struct ibv_context *context,
				struct ibv_wq_init_attr *attr)
{
	struct rq *rq = calloc(1, sizeof(*rq));

	rq->wq.context = context;
	rq->cq = (struct cq *)attr->cq;
	return &rq->wq;
}

static int destroy_wq(struct ibv_wq *wq)
{
	free(wq);
	return 0;
}

static struct ibv_rwq_ind_table *
create_table(struct ibv_context *context,
	     struct ibv_rwq_ind_table_init_attr *attr)
{
	struct table *table = calloc(1, sizeof(*table));

	table->table.context = context;
	for (unsigned int i = 0; i < QUEUES; i++)
		table->rq[i] = (struct rq *)attr->ind_tbl[i];
	return &table->table;
}

static int destroy_table(struct ibv_rwq_ind_table *table)
{
	free(table);
	return 0;
}

static struct ibv_pd *
alloc_parent_domain(struct ibv_context *context,
		    struct ibv_parent_domain_init_attr *attr)
{
	(void)attr;
	return ibv_alloc_pd(context);
}

void ibv_static_providers(void *unused, ...)
{
	(void)unused;
}

static struct ibv_device device, *devices[2] = { &device };

struct ibv_device **ibv_get_device_list(int *nr)
{
	*nr = 1;
	return devices;
}

void ibv_free_device_list(struct ibv_device **list)
{
	assert_ptr_equal(list, devices);
}

const char *ibv_get_device_name(struct ibv_device *dev)
{
	assert_ptr_equal(dev, &device);
	return "manae_0";
}

struct ibv_context *ibv_open_device(struct ibv_device *dev)
{
	struct verbs_context *context = calloc(1, sizeof(*context));

	context->sz = sizeof(*context);
	context->alloc_parent_domain = alloc_parent_domain;
	context->create_wq = create_wq;
	context->destroy_wq = destroy_wq;
	context->create_rwq_ind_table = create_table;
	context->destroy_rwq_ind_table = destroy_table;
	context->create_qp_ex = create_qp_ex;
	context->context.device = dev;
	context->context.abi_compat = __VERBS_ABI_IS_EXTENDED;
	context->context.async_fd = eventfd(0, EFD_CLOEXEC);
	context->context.num_comp_vectors = 4;
	return &context->context;
}

int ibv_close_device(struct ibv_context *context)
{
	close(context->async_fd);
	free((char *)context - offsetof(struct verbs_context, context));
	return 0;
}

int ibv_query_device(struct ibv_context *context, struct ibv_device_attr *attr)
{
	(void)context;
	memset(attr, 0, sizeof(*attr));
	attr->max_qp_wr = 1024;
	attr->max_cqe = 4096;
	return 0;
}

int manadv_set_context_attr(struct ibv_context *context,
			    enum manadv_set_ctx_attr_type type, void *attr)
{
	(void)context;
	(void)type;
	(void)attr;
	return 0;
}

struct ibv_pd *ibv_alloc_pd(struct ibv_context *context)
{
	struct ibv_pd *pd = calloc(1, sizeof(*pd));

	pd->context = context;
	return pd;
}

int ibv_dealloc_pd(struct ibv_pd *pd)
{
	free(pd);
	return 0;
}

struct ibv_mr *ibv_reg_mr_iova(struct ibv_pd *pd, void *va, size_t size,
			       uint64_t iova, int access)
{
	(void)pd;
	(void)va;
	(void)size;
	(void)iova;
	(void)access;
	return calloc(1, sizeof(struct ibv_mr));
}

struct ibv_mr *ibv_reg_mr(struct ibv_pd *pd, void *va, size_t size, int access)
{
	return ibv_reg_mr_iova(pd, va, size, 0, access);
}

struct ibv_mr *ibv_reg_mr_iova2(struct ibv_pd *pd, void *va, size_t size,
				uint64_t iova, unsigned int access)
{
	return ibv_reg_mr_iova(pd, va, size, iova, (int)access);
}

int ibv_dereg_mr(struct ibv_mr *mr)
{
	free(mr);
	return 0;
}

struct ibv_comp_channel *ibv_create_comp_channel(struct ibv_context *context)
{
	struct ibv_comp_channel *channel = calloc(1, sizeof(*channel));

	channel->context = context;
	channel->fd = eventfd(0, EFD_CLOEXEC);
	return channel;
}

int ibv_destroy_comp_channel(struct ibv_comp_channel *channel)
{
	close(channel->fd);
	free(channel);
	return 0;
}

int ibv_get_async_event(struct ibv_context *context,
			struct ibv_async_event *event)
{
	(void)context;
	(void)event;
	return -1;
}

void ibv_ack_async_event(struct ibv_async_event *event)
{
	(void)event;
}

int ibv_get_cq_event(struct ibv_comp_channel *channel, struct ibv_cq **cq,
		     void **opaque)
{
	(void)channel;
	(void)cq;
	(void)opaque;
	errno = EAGAIN;
	return -1;
}

void ibv_ack_cq_events(struct ibv_cq *cq, unsigned int nr)
{
	(void)cq;
	(void)nr;
}

int manadv_init_obj(struct manadv_obj *obj, uint64_t type)
{
	if (type == MANADV_OBJ_CQ)
		*obj->cq.out = (struct manadv_cq){ ring, RING / 64, 7 };
	else if (type == MANADV_OBJ_QP)
		*obj->qp.out = (struct manadv_qp){
			.sq_buf = ring, .sq_size = RING, .sq_id = 7,
			.db_page = page, .tx_vp_offset = 3 };
	else
		*obj->rwq.out = (struct manadv_rwq){
			.buf = ring, .size = RING, .wq_id = 7,
			.db_page = page };
	return 0;
}

/* ---- two vports ---- */

static struct guest_memory memory;

static void *vport(void *number)
{
	static const uint8_t key[NIC_RSS_KEY];
	static const uint16_t order[QUEUES] = { 0, 1 };
	struct nic_queue queue[QUEUES], *queues[QUEUES];
	struct verbs_limits limits;
	struct mana_keys keys;
	struct verbs *v = NULL;
	uintptr_t failures = 0;

	if (verbs_open("manae_0", 1 + (unsigned int)(uintptr_t)number, &memory,
		       &keys, &limits, &v))
		return (void *)1000;
	for (unsigned int i = 0; i < ROUNDS; i++) {
		memset(queue, 0, sizeof(queue));
		for (unsigned int n = 0; n < QUEUES; n++) {
			queue[n].rx_depth = queue[n].tx_depth = 64;
			queues[n] = &queue[n];
		}
		if (verbs_queues_create(v, queues, QUEUES, order, QUEUES, key))
			failures++;
		else
			verbs_queues_destroy(v);
	}
	verbs_close(v);
	return (void *)failures;
}

static void queues_at_the_same_time(void **state)
{
	pthread_t thread[VPORTS];

	(void)state;
	pthread_mutex_init(&lock, NULL);
	for (uintptr_t i = 0; i < VPORTS; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, vport,
						(void *)i), 0);
	for (unsigned int i = 0; i < VPORTS; i++) {
		void *failures;

		assert_int_equal(pthread_join(thread[i], &failures), 0);
		assert_int_equal((uintptr_t)failures, 0);
	}
	assert_int_equal(refused, 0);
	assert_int_equal(stolen, 0);
	for (unsigned int i = 0; i < NUMBERS; i++)
		assert_false(used[i] || entry[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(queues_at_the_same_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
