// SPDX-License-Identifier: MIT
/*
 * libibverbs, libmana and a netlink socket, played; theory of operation
 *
 * Each call takes a byte of the input: 0 is good. What exists is kept with
 * those it uses, so that each destroying call is judged: twice, too early, or
 * with events that were not acknowledged ends the process. A destroying call
 * that fails leaves its object, as the kernel does, and closing the device
 * takes back all that is left.
 *
 * The archive of the real ones is linked too; what is defined here is not taken
 * from it.
 *
 * Threads: none. Failure answers: fuzz_expect().
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <infiniband/manadv.h>
#include <infiniband/verbs.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include "mana/verbs.h"
#include "test/fuzz/fuzz.h"
#include "test/fuzz/mana_verbs_library.h"

#undef ibv_reg_mr
#undef ibv_reg_mr_iova /* macros over the functions */

#define MAX_USES 8

int __real_fcntl(int fd, int what, ...);
int __wrap_fcntl(int fd, int what, ...);
int __wrap_poll(struct pollfd *fds, nfds_t nr, int timeout);
int __wrap_socket(int domain, int type, int protocol);
int __wrap_setsockopt(int fd, int level, int name, const void *value,
		      socklen_t size);
ssize_t __wrap_send(int fd, const void *bytes, size_t size, int flags);
ssize_t __wrap_recv(int fd, void *bytes, size_t size, int flags);
/* What libmana is to libibverbs. */
struct verbs_device_ops {
	int unused;
};
void ibv_static_providers(void *unused, ...);
const struct verbs_device_ops verbs_provider_mana, verbs_provider_none;

/* First is what libibverbs calls it. */
struct object {
	union {
		struct verbs_context context;
		struct ibv_pd pd;
		struct ibv_mr mr;
		struct ibv_comp_channel channel;
		struct ibv_cq cq;
		struct ibv_qp qp;
		struct ibv_wq wq;
		struct ibv_rwq_ind_table table;
	};
	enum kind kind;
	bool live;
	unsigned int users, events, acked, nr_uses;
	struct object *uses[MAX_USES];
	void *ring;
};

struct mana_verbs_library library;
uint8_t library_page[4096];

static struct object object[MAX_OBJECTS];
static struct ibv_device device, *devices[2];
static struct manadv_ctx_allocators allocators;
static const uint8_t zeroes[RING];

/* ---- what calls answer ---- */

uint8_t library_outcome(void)
{
	return (uint8_t)fuzz_number(library.input, 1);
}

/* True: the call fails, and says so by errno or not even that. */
static bool fails(void)
{
	static const int errors[] = { ENOMEM, EBUSY, EIO, ENODEV, EINVAL,
				      ETIMEDOUT, 0, EPERM };
	uint8_t byte = library_outcome();

	if (byte)
		errno = errors[byte & 7];
	return byte;
}

static int result(void)
{
	return fails() ? errno ? errno : EIO : 0;
}

/* ---- objects ---- */

static struct object *make(enum kind kind)
{
	struct object *o = &object[library.nr_objects];

	fuzz_expect(library.nr_objects < MAX_OBJECTS, library.nr_objects, kind);
	if (fails())
		return NULL;
	memset(o, 0, sizeof(*o));
	o->kind = kind;
	o->live = true;
	library.nr_objects++;
	return o;
}

static struct object *check(void *opaque, enum kind kind)
{
	struct object *o = opaque;

	fuzz_expect(o >= object && o < object + library.nr_objects,
		    (uintptr_t)o, kind);
	fuzz_expect(o->live && o->kind == kind, o->kind, kind);
	return o;
}

static void use(struct object *o, void *used, enum kind kind)
{
	struct object *u = check(used, kind);

	fuzz_expect(o->nr_uses < MAX_USES, o->nr_uses, kind);
	o->uses[o->nr_uses++] = u;
	u->users++;
}

static int destroy(void *opaque, enum kind kind)
{
	struct object *o = check(opaque, kind);
	int err;

	fuzz_expect(!o->users || library.stuck, o->users, kind);
	fuzz_expect(o->events == o->acked, o->events, o->acked);
	err = o->users ? EBUSY : result();
	if (err) {
		library.stuck = true;
		return err;
	}
	o->live = false;
	for (unsigned int i = 0; i < o->nr_uses; i++)
		o->uses[i]->users--;
	if (o->ring)
		allocators.free(o->ring, allocators.data);
	o->ring = NULL;
	return 0;
}

/* Memory of a ring, from whom it was asked to come. */
static bool make_ring(struct object *o)
{
	if (!o)
		return false;
	o->ring = allocators.alloc(RING - 100, allocators.data);
	fuzz_expect(o->ring && !((uintptr_t)o->ring & 4095), (uintptr_t)o->ring,
		    0);
	fuzz_expect(!memcmp(o->ring, zeroes, RING), 0, 0);
	return true;
}

/* ---- the device ---- */

void ibv_static_providers(void *unused, ...)
{
	(void)unused;
}

struct ibv_device **ibv_get_device_list(int *nr)
{
	uint8_t byte = library_outcome();

	if (byte & 1) {
		errno = byte & 2 ? ENOSYS : 0;
		return NULL;
	}
	*nr = byte & 2 ? 0 : 1;
	library.lists++;
	devices[0] = &device;
	return devices;
}

void ibv_free_device_list(struct ibv_device **list)
{
	fuzz_expect(list == devices && library.lists, library.lists, 0);
	library.lists--;
}

const char *ibv_get_device_name(struct ibv_device *dev)
{
	fuzz_expect(dev == &device, 0, 0);
	return "manae_0";
}

static struct ibv_pd *alloc_parent_domain(
	struct ibv_context *context, struct ibv_parent_domain_init_attr *attr)
{
	struct object *o = make(PD);

	if (!o)
		return NULL;
	use(o, attr->pd, PD);
	o->pd.context = context;
	return &o->pd;
}

static struct ibv_wq *create_wq(struct ibv_context *context,
				struct ibv_wq_init_attr *attr)
{
	struct object *o = make(WQ);

	if (!make_ring(o))
		return NULL;
	use(o, attr->cq, CQ);
	use(o, attr->pd, PD);
	o->wq.context = context;
	return &o->wq;
}

static int destroy_wq(struct ibv_wq *wq)
{
	return destroy(wq, WQ);
}

static struct ibv_rwq_ind_table *
create_table(struct ibv_context *context,
	     struct ibv_rwq_ind_table_init_attr *attr)
{
	struct object *o = make(TABLE);

	if (!o)
		return NULL;
	for (unsigned int i = 0; i < 1u << attr->log_ind_tbl_size; i++)
		use(o, attr->ind_tbl[i], WQ);
	o->table.context = context;
	return &o->table;
}

static int destroy_table(struct ibv_rwq_ind_table *table)
{
	return destroy(table, TABLE);
}

static struct ibv_qp *create_qp_ex(struct ibv_context *context,
				   struct ibv_qp_init_attr_ex *attr)
{
	struct object *o = make(RSS);

	if (!o)
		return NULL;
	use(o, attr->rwq_ind_tbl, TABLE);
	use(o, attr->pd, PD);
	o->qp.context = context;
	return &o->qp;
}

struct ibv_context *ibv_open_device(struct ibv_device *dev)
{
	struct object *o = make(CONTEXT);
	struct ibv_context *context;

	if (!o)
		return NULL;
	o->context.sz = sizeof(o->context);
	o->context.alloc_parent_domain = alloc_parent_domain;
	o->context.create_wq = create_wq;
	o->context.destroy_wq = destroy_wq;
	o->context.create_rwq_ind_table = create_table;
	o->context.destroy_rwq_ind_table = destroy_table;
	o->context.create_qp_ex = create_qp_ex;
	context = &o->context.context;
	context->device = dev;
	context->abi_compat = __VERBS_ABI_IS_EXTENDED;
	context->async_fd = FD;
	context->num_comp_vectors = library_outcome() ?
		(int)fuzz_number(library.input, 4) : 4;
	return context;
}

int ibv_close_device(struct ibv_context *context)
{
	/* The kernel takes back what was left. */
	for (unsigned int i = 1; i < library.nr_objects; i++) {
		fuzz_expect(!object[i].live || library.stuck, i,
			    object[i].kind);
		free(object[i].ring);
		object[i].ring = NULL;
		object[i].live = false;
	}
	fuzz_expect(context == &object[0].context.context && object[0].live, 0,
		    0);
	object[0].live = false;
	return 0;
}

int ibv_query_device(struct ibv_context *context,
			    struct ibv_device_attr *attr)
{
	int err = result();

	(void)context;
	attr->max_qp_wr = 1024;
	attr->max_cqe = 4096;
	if (!err && library_outcome()) {
		attr->max_qp_wr = (int)fuzz_number(library.input, 4);
		attr->max_cqe = (int)fuzz_number(library.input, 4);
	}
	return err;
}

int manadv_set_context_attr(struct ibv_context *context,
				   enum manadv_set_ctx_attr_type type,
				   void *attr)
{
	(void)context;
	fuzz_expect(type == MANADV_CTX_ATTR_BUF_ALLOCATORS, type, 0);
	allocators = *(struct manadv_ctx_allocators *)attr;
	return result();
}

struct ibv_pd *ibv_alloc_pd(struct ibv_context *context)
{
	struct object *o = make(PD);

	(void)context;
	return o ? &o->pd : NULL;
}

int ibv_dealloc_pd(struct ibv_pd *pd)
{
	return destroy(pd, PD);
}

struct ibv_mr *ibv_reg_mr_iova(struct ibv_pd *pd, void *va, size_t size,
				      uint64_t iova, int access)
{
	struct object *o;

	fuzz_expect(access == IBV_ACCESS_LOCAL_WRITE, access, iova);
	fuzz_expect(va && size, (uintptr_t)va, size);
	o = make(MR);
	if (!o)
		return NULL;
	use(o, pd, PD);
	o->mr.lkey = 0x100 + (uint32_t)(o - object);
	return &o->mr;
}

struct ibv_mr *ibv_reg_mr(struct ibv_pd *pd, void *va, size_t size,
				 int access)
{
	return ibv_reg_mr_iova(pd, va, size, 0, access);
}

/* Not called; without an optimizer the compiler does not see that. */
struct ibv_mr *ibv_reg_mr_iova2(struct ibv_pd *pd, void *va, size_t size,
				uint64_t iova, unsigned int access)
{
	return ibv_reg_mr_iova(pd, va, size, iova, (int)access);
}

int ibv_dereg_mr(struct ibv_mr *mr)
{
	return destroy(mr, MR);
}

struct ibv_comp_channel *ibv_create_comp_channel(struct ibv_context *context)
{
	struct object *o = make(CHANNEL);

	(void)context;
	if (!o)
		return NULL;
	o->channel.fd = FD + 1;
	return &o->channel;
}

int ibv_destroy_comp_channel(struct ibv_comp_channel *channel)
{
	return destroy(channel, CHANNEL);
}

struct ibv_cq *ibv_create_cq(struct ibv_context *context, int cqe,
				    void *opaque,
				    struct ibv_comp_channel *channel,
				    int vector)
{
	struct object *o;

	fuzz_expect(cqe >= (int)MANA_MIN_DEPTH && opaque, cqe, 0);
	fuzz_expect(vector >= 0 && vector < context->num_comp_vectors, vector,
		    context->num_comp_vectors);
	o = make(CQ);
	if (!make_ring(o))
		return NULL;
	use(o, channel, CHANNEL);
	return &o->cq;
}

int ibv_destroy_cq(struct ibv_cq *cq)
{
	return destroy(cq, CQ);
}

struct ibv_qp *ibv_create_qp(struct ibv_pd *pd,
				    struct ibv_qp_init_attr *attr)
{
	struct object *o = make(SQ);

	if (!make_ring(o))
		return NULL;
	use(o, pd, PD);
	use(o, attr->send_cq, CQ);
	return &o->qp;
}

int ibv_destroy_qp(struct ibv_qp *qp)
{
	struct object *o = (struct object *)(void *)qp;

	return destroy(qp, o->kind == RSS ? RSS : SQ);
}

/* Bit 0 refused; 1 to 4 a word that can not be; else a number of any size. */
int manadv_init_obj(struct manadv_obj *obj, uint64_t type)
{
	uint8_t byte = library_outcome();
	uint32_t id = byte & 0x80 ? (uint32_t)fuzz_number(library.input, 4) : 7;
	uint32_t size = byte & 4 ? 0 : byte & 8 ? RING - 32 : byte & 16 ?
			RING / 4 : RING;

	if (byte & 1)
		return EINVAL;
	if (type == MANADV_OBJ_CQ) {
		struct object *o = check(obj->cq.in, CQ);

		*obj->cq.out = (struct manadv_cq){
			byte & 2 ? NULL : o->ring, size / 64, id };
		if (byte & 8)
			obj->cq.out->count--;
	} else if (type == MANADV_OBJ_QP) {
		struct object *o = check(obj->qp.in, SQ);

		*obj->qp.out = (struct manadv_qp){
			.sq_buf = byte & 2 ? NULL : o->ring, .sq_size = size,
			.sq_id = id, .db_page = byte & 32 ? NULL : library_page,
			.tx_vp_offset = byte & 64 ? id : 3 };
	} else {
		struct object *o = check(obj->rwq.in, WQ);

		fuzz_expect(type == MANADV_OBJ_RWQ, type, 0);
		*obj->rwq.out = (struct manadv_rwq){
			.buf = byte & 2 ? NULL : o->ring, .size = size,
			.wq_id = id, .db_page = library_page };
	}
	return 0;
}

/* ---- descriptors and events ---- */

int __wrap_fcntl(int fd, int what, ...)
{
	if (fd != FD && fd != FD + 1) { /* gcov's, when all is over */
		va_list args;
		long arg;

		va_start(args, what);
		arg = va_arg(args, long);
		va_end(args);
		return __real_fcntl(fd, what, arg);
	}
	return fails() ? -1 : what == F_GETFL ? O_RDWR : 0;
}

int __wrap_poll(struct pollfd *fds, nfds_t nr, int timeout)
{
	fuzz_expect(nr == 1 && fds->fd == FD && !timeout, nr, timeout);
	return (int8_t)library_outcome();
}

int ibv_get_async_event(struct ibv_context *context,
			       struct ibv_async_event *event)
{
	static const enum ibv_event_type types[] = {
		IBV_EVENT_CQ_ERR, IBV_EVENT_QP_FATAL, IBV_EVENT_PORT_ACTIVE,
		IBV_EVENT_DEVICE_FATAL,
	};

	(void)context;
	if (fails())
		return -1;
	event->event_type = types[library_outcome() & 3];
	library.async_events++;
	return 0;
}

void ibv_ack_async_event(struct ibv_async_event *event)
{
	(void)event;
	fuzz_expect(library.async_events, 0, 0);
	library.async_events--;
}

/* The CQs of a channel, as many events as the input has; a byte 0 ends them. */
int ibv_get_cq_event(struct ibv_comp_channel *channel,
			    struct ibv_cq **cq, void **opaque)
{
	struct object *c = check(channel, CHANNEL);
	uint8_t byte = library_outcome(), which = byte & 1;

	for (unsigned int i = 0; byte & 0x80 && i < library.nr_objects; i++) {
		struct object *o = &object[i];

		if (!o->live || o->kind != CQ || o->uses[0] != c || which--)
			continue;
		*cq = &o->cq;
		*opaque = NULL;
		o->events++;
		return 0;
	}
	errno = byte & 4 ? EINTR : byte & 2 ? EIO : EAGAIN;
	library.ended |= errno == EIO;
	return -1;
}

void ibv_ack_cq_events(struct ibv_cq *cq, unsigned int nr)
{
	struct object *o = check(cq, CQ);

	o->acked += nr;
	fuzz_expect(o->acked <= o->events, o->acked, o->events);
}

/* ---- a socket ---- */

int __wrap_socket(int domain, int type, int protocol)
{
	fuzz_expect(domain == AF_NETLINK && type & SOCK_RAW, type, protocol);
	return fails() ? -1 : FD;
}

int __wrap_setsockopt(int fd, int level, int name, const void *value,
		      socklen_t size)
{
	fuzz_expect(fd == FD && level == SOL_SOCKET && value, name, size);
	return 0;
}

ssize_t __wrap_send(int fd, const void *bytes, size_t size, int flags)
{
	const struct nlmsghdr *header = bytes;

	fuzz_expect(fd == FD && header->nlmsg_len == size, size, flags);
	return fails() ? -1 : (ssize_t)size;
}

/* A byte, 0: a header of ours; then a length, 2 bytes, and what there is. */
ssize_t __wrap_recv(int fd, void *bytes, size_t size, int flags)
{
	struct nlmsghdr header = { .nlmsg_type = RTM_NEWLINK };
	struct ifinfomsg info = { .ifi_index = IFINDEX };
	uint8_t byte = library_outcome();
	size_t n;

	fuzz_expect(fd == FD && !flags, fd, flags);
	if (byte & 1 || !library.input->left) {
		errno = byte & 2 ? ECONNRESET : EAGAIN;
		return -1;
	}
	n = fuzz_number(library.input, 2) & 0x1ff;
	if (n > size)
		n = size;
	memset(bytes, 0, n);
	if (byte & 4 || n < sizeof(header) + sizeof(info)) {
		fuzz_take(library.input, bytes, n);
		return (ssize_t)n;
	}
	header.nlmsg_len = (uint32_t)n;
	memcpy(bytes, &header, sizeof(header));
	memcpy((uint8_t *)bytes + sizeof(header), &info, sizeof(info));
	fuzz_take(library.input,
		  (uint8_t *)bytes + sizeof(header) + sizeof(info),
		  n - sizeof(header) - sizeof(info));
	return (ssize_t)n;
}

/* ---- what the target asks ---- */

unsigned int library_count(enum kind kind)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < library.nr_objects; i++)
		n += object[i].live && object[i].kind == kind;
	return n;
}

bool library_is_open(void)
{
	return object[0].live;
}

void library_begin(struct fuzz_input *in)
{
	memset(object, 0, sizeof(object[0]));
	library = (struct mana_verbs_library){ .input = in };
}
