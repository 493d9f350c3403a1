/* SPDX-License-Identifier: MIT */
/*
 * A driver of the MANA model, as small as a test needs it: an array plays RAM,
 * of which the lower half is VTL0's; two vports are wired to each other.
 */
#ifndef MODEL_MANA_DRIVER_H
#define MODEL_MANA_DRIVER_H

#include "net_frames.h"
#include "net_unit.h"

#include "test/model/mana.h"
#include "test/model/mana_message_reg.h"
#include "test/model/mana_reg.h"
#include "test/model/msix.h"

#define PAGE 4096u
#define RAM_SIZE (16u << 20)
#define GUEST_SIZE (8u << 20)
#define VECTORS 8u
#define VPORTS 2u
#define QUEUES 4u
#define SHM 0x4000u
#define BELLS 0x10000u

static _Alignas(4096) uint8_t ram[RAM_SIZE];
static uint32_t ram_used, guest_used;
static struct net_back *back[VPORTS];
static struct mana *mana;
static struct pci_function *f;
static _Atomic unsigned int messages[VECTORS];

static inline void *dma(void *opaque, uint64_t address, size_t size)
{
	(void)opaque;
	if (address >= RAM_SIZE || size > RAM_SIZE - address)
		return NULL;
	return ram + address;
}

static inline bool is_guest(void *opaque, uint64_t address, size_t size)
{
	(void)opaque;
	return address + size <= GUEST_SIZE;
}

static inline void message(void *opaque, uint64_t address, uint32_t data)
{
	(void)opaque;
	assert_int_equal(address, 0xfee00000);
	assert_true(data < VECTORS);
	messages[data]++;
}

/* Zeroed pages outside of the guest's half, or inside. */
static inline uint64_t pages(unsigned int n)
{
	uint64_t at = GUEST_SIZE + ram_used;

	ram_used += n * PAGE;
	assert_true(at + n * PAGE <= RAM_SIZE);
	memset(ram + at, 0, n * PAGE);
	return at;
}

static inline uint64_t guest_pages(unsigned int n)
{
	uint64_t at = guest_used;

	guest_used += n * PAGE;
	assert_true(guest_used <= GUEST_SIZE);
	memset(ram + at, 0, n * PAGE);
	return at;
}

/* ---- queues as a driver sees them ---- */

struct eq {
	uint64_t at;
	uint32_t id, count, head, page;
	struct mana_eqe last;
};

struct cq {
	uint64_t at;
	uint32_t id, count, head, page;
	struct mana_cqe last;
};

struct wq {
	uint64_t at, object;
	uint32_t id, size, tail, page;
	struct cq cq;
	bool sq;
};

static inline uint32_t owner_of(const void *info)
{
	return atomic_load_explicit((const _Atomic uint32_t *)info,
				    memory_order_acquire) >> MANA_OWNER_SHIFT;
}

static inline bool eq_pop(struct eq *eq)
{
	struct mana_eqe *e = (struct mana_eqe *)(ram + eq->at) +
			     eq->head % eq->count;

	if (owner_of(&e->info) != (eq->head / eq->count & 7))
		return false;
	eq->last = *e;
	eq->head++;
	return true;
}

static inline bool cq_pop(struct cq *cq)
{
	struct mana_cqe *e = (struct mana_cqe *)(ram + cq->at) +
			     cq->head % cq->count;

	if (owner_of(&e->info) != (cq->head / cq->count & 7))
		return false;
	cq->last = *e;
	cq->head++;
	return true;
}

static inline void bell(uint32_t page, uint32_t kind, uint64_t value)
{
	f->ops->write(f, BELLS + page * PAGE + kind, 8, value);
}

static inline void eq_ring(const struct eq *eq, bool arm)
{
	bell(eq->page, MANA_BELL_EQ,
	     eq->id | (uint64_t)(eq->head % (eq->count * 8)) << 32 |
		     (arm ? MANA_BELL_ARM : 0));
}

static inline void cq_ring(const struct cq *cq, bool arm)
{
	bell(cq->page, MANA_BELL_CQ,
	     cq->id | (uint64_t)(cq->head % (cq->count * 8)) << 32 |
		     (arm ? MANA_BELL_ARM : 0));
}

static inline void wq_ring(const struct wq *wq)
{
	bell(wq->page, wq->sq ? MANA_BELL_SQ : MANA_BELL_RQ,
	     wq->id | (uint64_t)wq->tail << 32);
}

/* Writes an entry behind the others. */
static inline void wq_put(struct wq *wq, uint32_t flags, const void *oob,
			  uint32_t oob_size, const struct mana_sge *sge,
			  unsigned int nr)
{
	uint8_t entry[MANA_MAX_SQE] = { 0 };
	struct mana_wqe head = {
		.flags = cpu_to_le32(flags | nr |
				     oob_size / 4 << MANA_WQE_OOB_SHIFT),
	};
	uint32_t size = 8 + oob_size + nr * 16;

	size = (size + 31) & ~31u;
	assert_true(size <= sizeof(entry));
	memcpy(entry, &head, 8);
	memcpy(entry + 8, oob, oob_size);
	if (nr)
		memcpy(entry + 8 + oob_size, sge, nr * 16);
	for (uint32_t i = 0; i < size; i += 32) {
		memcpy(ram + wq->at + (wq->tail & (wq->size - 1)), entry + i,
		       32);
		wq->tail += 32;
	}
}

static inline struct mana_sge sge_of(uint64_t address, uint32_t key,
				     uint32_t size)
{
	return (struct mana_sge){ cpu_to_le64(address), cpu_to_le32(key),
				  cpu_to_le32(size) };
}

/* ---- the hardware channel ---- */

static struct eq hwc_eq;
static struct wq hwc_sq, hwc_rq;
static uint32_t hwc_key, max_cqs;
static uint64_t hwc_request, hwc_response;
static uint16_t message_id;

static inline uint32_t shm_word(unsigned int n)
{
	return (uint32_t)f->ops->read(f, SHM + 4 * n, 4);
}

/* Writes the words; returns the status. */
static inline unsigned int shm_command(const void *words)
{
	uint32_t word[8];

	memcpy(word, words, sizeof(word));
	for (unsigned int i = 0; i < 8; i++)
		f->ops->write(f, SHM + 4 * i, 4, word[i]);
	WAIT_FOR(!(shm_word(7) & MANA_SHM_PF_OWNS));
	assert_true(shm_word(7) & MANA_SHM_RESPONSE);
	return shm_word(7) >> MANA_SHM_STATUS_SHIFT & 0xff;
}

static inline unsigned int shm_simple(uint32_t header)
{
	uint32_t word[8] = { [7] = header };

	return shm_command(word);
}

static inline void put_pfn(struct mana_shm_establish *e, unsigned int n,
			   uint64_t at)
{
	for (unsigned int i = 0; i < 6; i++)
		e->pfn[n][i] = (uint8_t)(at / PAGE >> (8 * i));
}

static inline unsigned int hwc_establish(unsigned int vector)
{
	struct mana_shm_establish e = {
		.msix = cpu_to_le16((uint16_t)vector),
		.header = cpu_to_le32(MANA_SHM_ESTABLISH),
	};

	hwc_eq = (struct eq){ .at = pages(1), .count = 256, .head = 256 };
	hwc_sq = (struct wq){ .at = pages(1), .size = PAGE, .sq = true };
	hwc_rq = (struct wq){ .at = pages(1), .size = PAGE };
	hwc_sq.cq = (struct cq){ .at = pages(1), .count = 64, .head = 64 };
	put_pfn(&e, 0, hwc_eq.at);
	put_pfn(&e, 1, hwc_sq.cq.at);
	put_pfn(&e, 2, hwc_rq.at);
	put_pfn(&e, 3, hwc_sq.at);
	return shm_command(&e);
}

static inline void read_init_data(void)
{
	uint32_t data = le32_to_cpu(hwc_eq.last.data[0]);
	uint32_t value = data & 0xffffff;

	switch (data >> 24) {
	case MANA_INIT_CQ:
		hwc_sq.cq.id = value;
		break;
	case MANA_INIT_RQ:
		hwc_rq.id = value;
		break;
	case MANA_INIT_SQ:
		hwc_sq.id = value;
		break;
	case MANA_INIT_MAX_CQS:
		max_cqs = value;
		break;
	case MANA_INIT_GPA_MKEY:
		hwc_key = value;
		break;
	}
}

static inline void hwc_up(void)
{
	assert_int_equal(hwc_establish(0), 0);
	assert_true(eq_pop(&hwc_eq));
	assert_int_equal(le32_to_cpu(hwc_eq.last.info) & 0xff,
			 MANA_EQE_HWC_INIT_EQ);
	hwc_eq.id = le32_to_cpu(hwc_eq.last.data[0]) & 0xffff;
	do {
		assert_true(eq_pop(&hwc_eq));
		read_init_data();
	} while ((le32_to_cpu(hwc_eq.last.info) & 0xff) !=
		 MANA_EQE_HWC_INIT_DONE);
	hwc_request = pages(1);
	hwc_response = pages(1);
	eq_ring(&hwc_eq, true);
}

static uint8_t answer[MANA_MESSAGE_MAX];
#define ANSWER(name) ((const struct name *)(answer + 32))

/* Sends raw bytes; the answer is in answer[], its size returned. */
static inline uint32_t hwc_exchange(const void *bytes, uint32_t size)
{
	static const uint8_t none[8];
	const struct mana_hwc_tx_oob oob = {
		.scq = cpu_to_le32(hwc_sq.cq.id),
		.sq = cpu_to_le32(hwc_sq.id),
	};
	struct mana_sge sge = sge_of(hwc_response, hwc_key, PAGE);
	struct mana_hwc_rx_oob done;
	uint32_t rx_at = hwc_rq.tail & (PAGE - 1);

	memcpy(ram + hwc_request, bytes, size);
	wq_put(&hwc_rq, 0, none, 8, &sge, 1);
	wq_ring(&hwc_rq);
	sge = sge_of(hwc_request, hwc_key, size);
	wq_put(&hwc_sq, 0, &oob, sizeof(oob), &sge, 1);
	wq_ring(&hwc_sq);
	WAIT_FOR(cq_pop(&hwc_sq.cq));
	assert_int_equal(le32_to_cpu(hwc_sq.cq.last.info) & 0x1ffffff,
			 hwc_sq.id | MANA_CQE_SQ);
	WAIT_FOR(cq_pop(&hwc_sq.cq));
	assert_int_equal(le32_to_cpu(hwc_sq.cq.last.info) & 0x1ffffff,
			 hwc_rq.id);
	memcpy(&done, hwc_sq.cq.last.data, sizeof(done));
	assert_int_equal(le32_to_cpu(done.rx_wqe_offset), rx_at);
	cq_ring(&hwc_sq.cq, true);
	memcpy(answer, ram + hwc_response, PAGE);
	return le32_to_cpu(done.length);
}

/* One message; returns the status. */
static inline uint32_t ask_version(uint32_t type, uint16_t version,
				   const void *body, uint32_t size,
				   uint32_t wanted)
{
	static uint8_t bytes[MANA_MESSAGE_MAX];
	struct mana_request head = {
		.request = { cpu_to_le32(0), cpu_to_le32(type),
			     cpu_to_le16(version), cpu_to_le16(0),
			     cpu_to_le32(40 + size) },
		.response = { cpu_to_le32(0), cpu_to_le32(type),
			      cpu_to_le16(version), cpu_to_le16(0),
			      cpu_to_le32(32 + wanted) },
		.device = { cpu_to_le16(MANA_DEVICE_MANA), cpu_to_le16(1) },
	};
	struct mana_response out;

	head.request.id = cpu_to_le16(++message_id);
	head.activity = cpu_to_le32(0x55aa0000u | message_id);
	memcpy(bytes, &head, 40);
	if (size)
		memcpy(bytes + 40, body, size);
	assert_int_equal(hwc_exchange(bytes, 40 + size), 32 + wanted);
	memcpy(&out, answer, sizeof(out));
	assert_int_equal(le32_to_cpu(out.response.type), type);
	assert_int_equal(le16_to_cpu(out.response.version), version);
	assert_int_equal(le16_to_cpu(out.response.id), message_id);
	assert_int_equal(le32_to_cpu(out.response.size), 32 + wanted);
	assert_int_equal(le16_to_cpu(out.device.type), MANA_DEVICE_MANA);
	assert_int_equal(le32_to_cpu(out.activity), 0x55aa0000u | message_id);
	return le32_to_cpu(out.status);
}

static inline uint32_t ask(uint32_t type, const void *body, uint32_t size,
			   uint32_t wanted)
{
	return ask_version(type, 1, body, size, wanted);
}

#define ASK(type, body, response) \
	ask(type, &(body), sizeof(body), sizeof(struct response))
/* A message whose answer is a status alone. */
#define TELL(type, body) ask(type, &(body), sizeof(body), 0)

/* ---- objects ---- */

static uint32_t device_pd, device_key, device_page;
static uint64_t vport_handle[VPORTS];

/* Region of pages of this type that lie behind each other. */
static inline uint64_t region(uint64_t at, uint64_t length, uint32_t type)
{
	struct {
		struct gdma_create_region_req head;
		le64 page[400];
	} __packed in;
	uint32_t n = (uint32_t)((length - 1) >> (12 + type)) + 1;

	assert_true(n <= 400);
	in.head = (struct gdma_create_region_req){
		.length = cpu_to_le64(length),
		.page_type = cpu_to_le32(type),
		.pages = cpu_to_le32(n),
		.here = cpu_to_le32(n),
	};
	for (uint32_t i = 0; i < n; i++)
		in.page[i] = cpu_to_le64(at + ((uint64_t)i << (12 + type)));
	assert_int_equal(ask(GDMA_CREATE_DMA_REGION, &in,
			     (uint32_t)(sizeof(in.head) + n * 8), 8), 0);
	return le64_to_cpu(ANSWER(gdma_create_region_resp)->handle);
}

static inline struct eq create_eq(unsigned int vector)
{
	struct eq eq = { .at = pages(1), .count = 256, .head = 256,
			 .page = device_page };
	struct gdma_create_queue_req in = {
		.type = cpu_to_le32(GDMA_QUEUE_EQ),
		.pd = cpu_to_le32(device_pd),
		.doorbell = cpu_to_le32(device_page),
		.region = cpu_to_le64(region(eq.at, PAGE, 0)),
		.size = cpu_to_le32(PAGE),
		.msix = cpu_to_le32(vector),
	};

	assert_int_equal(ASK(GDMA_CREATE_QUEUE, in, gdma_create_queue_resp),
			 0);
	eq.id = le32_to_cpu(ANSWER(gdma_create_queue_resp)->id);
	return eq;
}

static inline uint32_t try_wq(struct wq *wq, unsigned int vport,
			      uint32_t eq, uint32_t page)
{
	struct mana_create_wq_req in = {
		.vport = cpu_to_le64(vport_handle[vport]),
		.type = cpu_to_le32(wq->sq ? MANA_WQ_SQ : MANA_WQ_RQ),
		.wq_size = cpu_to_le32(PAGE),
		.cq_size = cpu_to_le32(PAGE),
		.eq = cpu_to_le32(eq),
	};
	uint32_t status;

	wq->at = pages(1);
	wq->size = PAGE;
	wq->page = wq->cq.page = page;
	wq->cq.at = pages(1);
	wq->cq.count = wq->cq.head = 64;
	in.wq_region = cpu_to_le64(region(wq->at, PAGE, 0));
	in.cq_region = cpu_to_le64(region(wq->cq.at, PAGE, 0));
	status = ASK(MANA_CREATE_WQ_OBJ, in, mana_create_wq_resp);
	wq->id = le32_to_cpu(ANSWER(mana_create_wq_resp)->wq);
	wq->cq.id = le32_to_cpu(ANSWER(mana_create_wq_resp)->cq);
	wq->object = le64_to_cpu(ANSWER(mana_create_wq_resp)->object);
	return status;
}

static inline struct wq create_wq(unsigned int vport, bool sq, uint32_t eq)
{
	struct wq wq = { .sq = sq };

	assert_int_equal(try_wq(&wq, vport, eq, device_page), 0);
	assert_true(wq.cq.id && wq.cq.id < max_cqs);
	return wq;
}

static inline uint32_t config_tx(unsigned int vport, uint32_t pd,
				 uint32_t page)
{
	struct mana_config_tx_req in = {
		.vport = cpu_to_le64(vport_handle[vport]),
		.pd = cpu_to_le32(pd),
		.doorbell = cpu_to_le32(page),
	};

	return ASK(MANA_CONFIG_VPORT_TX, in, mana_config_tx_resp);
}

/* On, with these RQs; one and no hash, or more with the table 0, 1, ... */
struct rx_config {
	struct mana_config_rx_req head;
	uint8_t coalescing;
	uint8_t reserved[7];
	le64 table[64];
} __packed;

static inline struct rx_config rx_config(unsigned int vport,
					 const struct wq *rq, unsigned int nr)
{
	struct rx_config in = {
		.head = {
			.vport = cpu_to_le64(vport_handle[vport]),
			.entries = cpu_to_le16(64),
			.table = cpu_to_le16(120),
			.rx = cpu_to_le32(1),
			.rss = cpu_to_le32(nr > 1),
			.update_default = 1,
			.update_key = 1,
			.update_table = 1,
			.default_object = cpu_to_le64(rq[0].object),
		},
		.coalescing = 1,
	};

	for (unsigned int i = 0; i < MANA_HASH_KEY; i++)
		in.head.key[i] = (uint8_t)(i * 37 + 11);
	for (unsigned int i = 0; i < 64; i++)
		in.table[i] = cpu_to_le64(rq[i % nr].object);
	return in;
}

static inline uint32_t config_rx(const struct rx_config *in)
{
	return ask_version(MANA_CONFIG_VPORT_RX, 2, in, sizeof(*in), 8);
}

static inline void destroy_wq(const struct wq *wq)
{
	struct mana_destroy_wq_req in = {
		.type = cpu_to_le32(wq->sq ? MANA_WQ_SQ : MANA_WQ_RQ),
		.object = cpu_to_le64(wq->object),
	};

	assert_int_equal(TELL(MANA_DESTROY_WQ_OBJ, in), 0);
}

/* ---- frames ---- */

static inline void post_rx(struct wq *rq, uint64_t at, uint32_t key,
			   uint32_t size)
{
	static const uint8_t none[8];
	struct mana_sge sge = sge_of(at, key, size);

	wq_put(rq, 0, none, 8, &sge, 1);
}

/* Of a frame that is finished already. */
static inline struct mana_tx_oob tx_oob(const struct wq *sq, unsigned int vport)
{
	return (struct mana_tx_oob){
		.word0 = cpu_to_le32(sq->cq.id << MANA_TX_CQ_SHIFT),
		.word1 = cpu_to_le32(vport << MANA_TX_VPORT_SHIFT |
				     sq->id >> 10 << MANA_TX_FRAME_SHIFT),
	};
}

static inline uint32_t wait_tx(struct wq *sq)
{
	struct mana_tx_cqe cqe;

	WAIT_FOR(cq_pop(&sq->cq));
	assert_int_equal(le32_to_cpu(sq->cq.last.info) & 0x1ffffff,
			 sq->id | MANA_CQE_SQ);
	memcpy(&cqe, sq->cq.last.data, sizeof(cqe));
	assert_int_equal(le32_to_cpu(cqe.header) & 0xc0,
			 MANA_CQE_CLIENT_COMPLETION);
	return le32_to_cpu(cqe.header) & 0x3f;
}

static struct mana_rx_cqe rx_cqe;

static inline uint32_t wait_rx(struct wq *rq)
{
	WAIT_FOR(cq_pop(&rq->cq));
	assert_int_equal(le32_to_cpu(rq->cq.last.info) & 0x1ffffff, rq->id);
	memcpy(&rx_cqe, rq->cq.last.data, sizeof(rx_cqe));
	return le32_to_cpu(rx_cqe.header) & 0x3f;
}

/* ---- life ---- */

static const uint8_t macs[VPORTS][6] = { { 2, 0, 0, 0, 0, 1 },
					 { 2, 0, 0, 0, 0, 2 } };

static inline void program_msix(void)
{
	for (unsigned int i = 0; i < VECTORS; i++) {
		uint64_t at = 16 * i;

		msix_write(f->msix, &f->host, at, 8, 0xfee00000);
		msix_write(f->msix, &f->host, at + 8, 4, i);
		msix_write(f->msix, &f->host, at + 12, 4, 0);
		messages[i] = 0;
	}
	msix_control(f->msix, &f->host, true, false);
}

static inline int setup(void **state)
{
	struct mana_config config = { .nr_vports = VPORTS, .queues = QUEUES,
				      .vectors = VECTORS };

	(void)state;
	ram_used = guest_used = 0;
	loop = loop_create();
	for (unsigned int i = 0; i < VPORTS; i++) {
		back[i] = open_back(i, "pair");
		config.vport[i].back = back[i];
		memcpy(config.vport[i].mac, macs[i], 6);
	}
	net_back_join(back[0], back[1]);
	mana = mana_create(&config);
	f = mana_function(mana);
	f->host = (struct pci_host){ .dma = dma,
				     .is_guest = is_guest,
				     .message = message };
	program_msix();
	loop_begin();
	return 0;
}

static inline int teardown(void **state)
{
	(void)state;
	loop_end();
	mana_destroy(mana);
	for (unsigned int i = 0; i < VPORTS; i++)
		close_back(i, back[i]);
	loop_destroy(loop);
	return 0;
}

/* Up to the vports' handles. */
static inline void device_up(void)
{
	hwc_up();
	assert_int_equal(ask(GDMA_REGISTER_DEVICE, NULL, 0, 12), 0);
	device_pd = le32_to_cpu(ANSWER(gdma_register_resp)->pd);
	device_key = le32_to_cpu(ANSWER(gdma_register_resp)->gpa_mkey);
	device_page = le32_to_cpu(ANSWER(gdma_register_resp)->doorbell);
	for (unsigned int i = 0; i < VPORTS; i++) {
		struct mana_vport_config_req in = { cpu_to_le32(i) };

		assert_int_equal(ASK(MANA_QUERY_VPORT_CONFIG, in,
				     mana_vport_config_resp), 0);
		vport_handle[i] = le64_to_cpu(
			ANSWER(mana_vport_config_resp)->vport);
		assert_memory_equal(ANSWER(mana_vport_config_resp)->mac,
				    macs[i], 6);
	}
}

static inline struct mana_counters counters(void)
{
	struct mana_counters now;

	mana_counters(mana, &now);
	return now;
}

static inline struct mana_vport_counters vport_counters(unsigned int vport)
{
	struct mana_vport_counters now;

	mana_vport_counters(mana, vport, &now);
	return now;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
