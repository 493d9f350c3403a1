// SPDX-License-Identifier: MIT
/*
 * NVMe controller, theory of operation
 *
 * Owns the registers of BAR 0, the controller's state and its thread. After
 * the NVM Express Base Specification 2.0; sections in nvme_reg.h.
 *
 *	0000  registers      nvme.c       state, thread
 *	1000  doorbells      nvme_queue.c queues: create, fetch, complete
 *	2000  MSI-X table    nvme_data.c  PRP and SGL into pieces of memory
 *	3000  MSI-X pending  nvme_admin.c, nvme_identify.c, nvme_io.c,
 *	                     nvme_reservation.c: commands
 *	                     nvme_namespace.c: attach, detach, resize
 *	                     nvme_fault.c: what it does wrong when asked to
 *
 * VPs write registers and doorbells; a write stores a value and wakes the
 * thread. The thread alone acts on them, in this order in each turn: what CC
 * asks for, doorbells, at most one command per queue. So a reset takes effect
 * after at most one command, and RDY shows when it has. What others want of
 * the thread (namespaces) is one request at a time, done between commands.
 *
 *	         EN=1, settings good
 *	disabled -------------------> ready --SHN--> ready, SHST=done
 *	   ^  |                         |
 *	   |  | EN=1, settings bad      | queue memory that is not RAM
 *	   |  `----> RDY=0, CFS=1 <-----'
 *	   `------------ EN=0 from anywhere: queues and features forgotten
 *
 * Failure answers: a fault of the host's command is its status, with "do not
 * retry" set; of a doorbell, an asynchronous event; of the medium, a media
 * error. Each is counted.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "nvme_controller.h"

#define BAR_SIZE 0x4000u
#define MSIX_TABLE 0x2000u
#define MSIX_PENDING 0x3000u
#define READY_TIMEOUT 20ull /* units of 500 ms */

_Static_assert(NVME_REG_DOORBELLS + 8 * NVME_QUEUES <= MSIX_TABLE, "overlap");
_Static_assert(NVME_QUEUES * MSIX_ENTRY_SIZE <= MSIX_PENDING - MSIX_TABLE,
	       "overlap");

static struct nvme_controller *of(struct pci_function *f)
{
	return (struct nvme_controller *)f;
}

/* ---- the thread ---- */

void nvme_set_csts(struct nvme_controller *c, uint32_t clear, uint32_t set)
{
	pthread_mutex_lock(&c->lock);
	c->csts = (c->csts & ~clear) | set;
	pthread_mutex_unlock(&c->lock);
}

/* Is CC something that we offer in CAP? */
static bool settings_good(uint32_t cc)
{
	return !(cc & (NVME_CC_CSS_MASK | NVME_CC_MPS_MASK | NVME_CC_AMS_MASK));
}

static void enable(struct nvme_controller *c, uint32_t cc)
{
	uint32_t aqa;
	uint64_t asq, acq;

	pthread_mutex_lock(&c->lock);
	aqa = c->aqa;
	asq = c->asq;
	acq = c->acq;
	pthread_mutex_unlock(&c->lock);
	if (!settings_good(cc) || nvme_queues_enable(c, aqa, asq, acq) < 0)
		nvme_set_csts(c, 0, NVME_CSTS_CFS);
	else if (!nvme_fault_enable(c))
		nvme_set_csts(c, 0, NVME_CSTS_RDY);
}

static void disable(struct nvme_controller *c)
{
	NVME_COUNT(c, resets, 1);
	nvme_queues_reset(c);
	nvme_admin_reset(c);
	nvme_fault_reset(c);
	nvme_set_csts(c, NVME_CSTS_RDY | NVME_CSTS_CFS | NVME_CSTS_SHST_MASK, 0);
}

/* Acts on the difference between CC and what was done before. */
static void configure(struct nvme_controller *c, uint32_t cc)
{
	uint32_t changed = cc ^ c->cc_done;

	c->cc_done = cc;
	if (changed & NVME_CC_EN) {
		if (cc & NVME_CC_EN)
			enable(c, cc);
		else
			disable(c);
	}
	if (changed & NVME_CC_SHN_MASK) {
		if (cc & NVME_CC_SHN_MASK)
			nvme_namespaces_flush(c);
		nvme_set_csts(c, NVME_CSTS_SHST_MASK,
			      cc & NVME_CC_SHN_MASK ? NVME_CSTS_SHST_DONE : 0);
	}
}

void nvme_power_up(struct nvme_controller *c)
{
	disable(c);
	c->cc_done = 0;
	pthread_mutex_lock(&c->lock);
	c->cc = c->aqa = 0;
	c->asq = c->acq = 0;
	pthread_mutex_unlock(&c->lock);
	msix_reset(&c->msix);
}

static void serve_request(struct nvme_controller *c,
			  struct nvme_request *request)
{
	request->result = request->fn(c, request);
	if (c->sq[0].entries)
		nvme_events(c);
	pthread_mutex_lock(&c->lock);
	c->request = NULL;
	request->done = true;
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->lock);
}

/* The lock is held. */
static void wait_for_work(struct nvme_controller *c)
{
	uint64_t due = nvme_due_next(c);
	const struct timespec until = { .tv_sec = due / 1000000000,
					.tv_nsec = due % 1000000000 };

	if (due)
		pthread_cond_timedwait(&c->changed, &c->lock, &until);
	else
		pthread_cond_wait(&c->changed, &c->lock);
}

static void *controller_thread(void *opaque)
{
	struct nvme_controller *c = opaque;
	bool busy = false;

	pthread_mutex_lock(&c->lock);
	while (!c->stop) {
		uint32_t cc = c->cc;
		struct nvme_request *request = c->request;
		bool reset = c->resetting, disabled = c->disabled;

		if (!c->work && !busy && !nvme_due_is_now(c)) {
			wait_for_work(c);
			continue;
		}
		c->work = c->disabled = false;
		pthread_mutex_unlock(&c->lock);
		if (disabled)
			configure(c, cc & ~NVME_CC_EN);
		configure(c, reset ? 0 : cc);
		nvme_queues_bells(c);
		nvme_due_meet(c);
		busy = nvme_queues_serve(c);
		if (request)
			serve_request(c, request);
		pthread_mutex_lock(&c->lock);
		if (reset) {
			c->cc = c->aqa = 0;
			c->asq = c->acq = 0;
			c->resetting = false;
			pthread_cond_broadcast(&c->changed);
		}
	}
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

/* The lock is held. The waiter of a reset waits for the same condition. */
static void wake(struct nvme_controller *c)
{
	if (c->work)
		return;
	c->work = true;
	pthread_cond_broadcast(&c->changed);
}

int nvme_run(struct nvme_controller *c, struct nvme_request *request)
{
	pthread_mutex_lock(&c->lock);
	while (c->request)
		pthread_cond_wait(&c->changed, &c->lock);
	c->request = request;
	wake(c);
	while (!request->done)
		pthread_cond_wait(&c->changed, &c->lock);
	pthread_mutex_unlock(&c->lock);
	return request->result;
}

/* ---- registers ---- */

static uint64_t capabilities(void)
{
	return (NVME_MAX_ENTRIES - 1) << NVME_CAP_MQES_SHIFT | NVME_CAP_CQR |
	       READY_TIMEOUT << NVME_CAP_TO_SHIFT | NVME_CAP_CSS_NVM;
}

static uint32_t read_word(struct nvme_controller *c, uint64_t offset)
{
	switch (offset) {
	case NVME_REG_CAP:
		return (uint32_t)capabilities();
	case NVME_REG_CAP + 4:
		return capabilities() >> 32;
	case NVME_REG_VS:
		return NVME_VERSION_2_0;
	case NVME_REG_CC:
		return c->cc;
	case NVME_REG_CSTS:
		return c->csts;
	case NVME_REG_AQA:
		return c->aqa;
	case NVME_REG_ASQ:
		return (uint32_t)c->asq;
	case NVME_REG_ASQ + 4:
		return c->asq >> 32;
	case NVME_REG_ACQ:
		return (uint32_t)c->acq;
	case NVME_REG_ACQ + 4:
		return c->acq >> 32;
	default:
		/* INTMS and INTMC are for pins; doorbells read as 0. */
		return 0;
	}
}

static void write_half(uint64_t *reg, bool high, uint32_t value)
{
	uint64_t mask = 0xffffffffull << (high ? 0 : 32);

	*reg = (*reg & mask) | (uint64_t)value << (high ? 32 : 0);
}

/* The lock is held. Admin queue registers are ignored while enabled. */
static void write_word(struct nvme_controller *c, uint64_t offset,
		       uint32_t value)
{
	bool enabled = c->cc & NVME_CC_EN;

	switch (offset) {
	case NVME_REG_CC:
		/* A host that finds RDY at 0 may set EN again at once. */
		c->disabled |= enabled && !(value & NVME_CC_EN);
		c->cc = value;
		wake(c);
		break;
	case NVME_REG_AQA:
		if (!enabled)
			c->aqa = value;
		break;
	case NVME_REG_ASQ:
	case NVME_REG_ASQ + 4:
		if (!enabled)
			write_half(&c->asq, offset & 4, value);
		break;
	case NVME_REG_ACQ:
	case NVME_REG_ACQ + 4:
		if (!enabled)
			write_half(&c->acq, offset & 4, value);
		break;
	}
}

static void write_bell(struct nvme_controller *c, uint64_t offset,
		       uint32_t value)
{
	uint64_t n = (offset - NVME_REG_DOORBELLS) / 4;
	struct nvme_doorbell *bell;

	if (n / 2 >= NVME_QUEUES)
		return;
	NVME_COUNT(c, doorbells, 1);
	bell = n % 2 ? &c->cq_bell[n / 2] : &c->sq_bell[n / 2];
	atomic_store(&bell->value, value);
	atomic_store(&bell->written, true);
	pthread_mutex_lock(&c->lock);
	wake(c);
	pthread_mutex_unlock(&c->lock);
}

static uint64_t bar_read(struct pci_function *f, uint64_t offset,
			 unsigned int size)
{
	struct nvme_controller *c = of(f);
	uint64_t value = 0;

	if (atomic_load(&c->fault.dead))
		return UINT64_MAX >> (64 - 8 * size);
	if (offset >= MSIX_PENDING)
		return msix_read_pending(&c->msix, offset - MSIX_PENDING, size);
	if (offset >= MSIX_TABLE)
		return msix_read(&c->msix, offset - MSIX_TABLE, size);
	/* Smaller accesses are allowed to return anything (base 3.1.3). */
	if (offset % 4 || size < 4)
		return 0;
	pthread_mutex_lock(&c->lock);
	for (unsigned int i = 0; i < size; i += 4)
		value |= (uint64_t)read_word(c, offset + i) << (8 * i);
	pthread_mutex_unlock(&c->lock);
	return value;
}

static void bar_write(struct pci_function *f, uint64_t offset,
		      unsigned int size, uint64_t value)
{
	struct nvme_controller *c = of(f);

	if (offset >= MSIX_PENDING || atomic_load(&c->fault.dead))
		return;
	if (offset >= MSIX_TABLE) {
		msix_write(&c->msix, &f->host, offset - MSIX_TABLE, size,
			   value);
		return;
	}
	if (offset % 4 || size < 4)
		return;
	if (offset >= NVME_REG_DOORBELLS) {
		write_bell(c, offset, (uint32_t)value);
		return;
	}
	pthread_mutex_lock(&c->lock);
	for (unsigned int i = 0; i < size; i += 4)
		write_word(c, offset + i, (uint32_t)(value >> (8 * i)));
	pthread_mutex_unlock(&c->lock);
}

static void bar_reset(struct pci_function *f)
{
	struct nvme_controller *c = of(f);

	pthread_mutex_lock(&c->lock);
	c->resetting = true;
	c->work = true;
	pthread_cond_broadcast(&c->changed);
	while (c->resetting)
		pthread_cond_wait(&c->changed, &c->lock);
	pthread_mutex_unlock(&c->lock);
	msix_reset(&c->msix);
}

static const struct pci_function_ops ops = {
	.read = bar_read,
	.write = bar_write,
	.reset = bar_reset,
};

/* ---- life ---- */

static const struct pci_function identity = {
	.ops = &ops,
	/* What OpenVMM's controller says; drivers have no quirks for it. */
	.vendor = 0x1414,
	.device = 0x00a9,
	.subsystem_vendor = 0x1414,
	.subsystem = 0x0001,
	.revision = 1,
	.base_class = 0x01, /* mass storage, NVM, NVM Express */
	.sub_class = 0x08,
	.interface = 0x02,
	.bar_size = BAR_SIZE,
	.msix_table = MSIX_TABLE,
	.msix_pending = MSIX_PENDING,
};

struct nvme_controller *nvme_create(const struct nvme_config *config)
{
	struct nvme_namespace_config ns = {
		.medium = config->medium,
		.read_only = config->read_only,
		.block_size = config->block_size,
		.physical_block_size = config->physical_block_size,
	};
	struct nvme_controller *c = calloc(1, sizeof(*c));
	pthread_condattr_t monotonic;
	int err;

	if (!c)
		return NULL;
	memcpy(ns.nguid, config->nguid, sizeof(ns.nguid));
	if (config->medium && nvme_namespace_set(&c->ns[0], &ns)) {
		free(c);
		errno = EINVAL;
		return NULL;
	}
	c->config = *config;
	memcpy(c->serial, config->serial,
	       strnlen(config->serial, sizeof(c->serial) - 1));
	c->max_data = NVME_PAGE << config->mdts;
	c->buffer = malloc(c->max_data);
	if (!c->buffer) {
		free(c);
		return NULL;
	}
	c->function = identity;
	c->function.msix = &c->msix;
	c->function.vectors = config->io_queues + 1;
	msix_init(&c->msix, c->function.vectors);
	pthread_mutex_init(&c->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&c->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	nvme_queues_reset(c);
	nvme_admin_reset(c);
	err = pthread_create(&c->thread, NULL, controller_thread, c);
	if (!err) {
		c->running = true;
		return c;
	}
	nvme_destroy(c);
	errno = err;
	return NULL;
}

void nvme_destroy(struct nvme_controller *c)
{
	if (!c)
		return;
	if (c->running) {
		pthread_mutex_lock(&c->lock);
		c->stop = true;
		pthread_cond_broadcast(&c->changed);
		pthread_mutex_unlock(&c->lock);
		pthread_join(c->thread, NULL);
	}
	pthread_cond_destroy(&c->changed);
	pthread_mutex_destroy(&c->lock);
	msix_destroy(&c->msix);
	free(c->buffer);
	free(c);
}

struct pci_function *nvme_function(struct nvme_controller *c)
{
	return &c->function;
}

void nvme_counters(struct nvme_controller *c, struct nvme_counters *out)
{
#define LOAD(name)                                            \
	out->name = atomic_load_explicit(&c->count.name,      \
					 memory_order_relaxed);
	NVME_COUNTERS(LOAD)
#undef LOAD
}

void nvme_print_stats(struct nvme_controller *c, FILE *out)
{
	struct nvme_counters now;
	const char *comma = "";

	nvme_counters(c, &now);
	fputs("{", out);
#define PRINT(name)                                                      \
	fprintf(out, "%s\"" #name "\":%llu", comma,                      \
		(unsigned long long)now.name);                           \
	comma = ",";
	NVME_COUNTERS(PRINT)
#undef PRINT
	fputs("}", out);
}
