/* SPDX-License-Identifier: MIT */
/* SOURCES: test/model/mana.c test/model/mana_channel.c test/model/mana_fault.c test/model/mana_memory.c test/model/mana_message.c test/model/mana_queue.c test/model/mana_rx.c test/model/mana_tx.c test/model/mana_vport.c test/model/msix.c test/vmm/net_back.c test/vmm/net_back_pair.c test/vmm/net_back_tap.c test/vmm/net_back_user.c test/vmm/net_capture.c test/vmm/net_headers.c test/vmm/net_offload.c test/vmm/byte_ring.c test/vmm/device_option.c test/vmm/loop.c paravisor/reactor_calls.c paravisor/reactor_timers.c paravisor/log.c */
/*
 * The MANA model's control side under a driver of a few lines: bring-up,
 * messages good and bad, objects and who owns them.
 */
#include "model_mana_driver.h"

/* ---- registers and bring-up ---- */

static void test_registers(void **state)
{
	(void)state;
	assert_int_equal(f->ops->read(f, 3, 1), 1);
	assert_int_equal(f->ops->read(f, 0, 8), 1 << 24);
	assert_int_equal(f->ops->read(f, 8, 8), BELLS);
	assert_int_equal(f->ops->read(f, 0x10, 4), PAGE);
	assert_int_equal(f->ops->read(f, 0x10, 2), PAGE);
	assert_int_equal(f->ops->read(f, 0x18, 8), SHM);
	assert_int_equal(f->ops->read(f, 0x20, 4), 32);
	assert_int_equal(f->ops->read(f, 0x100, 4), UINT32_MAX);
	assert_int_equal(f->ops->read(f, 0x100, 8), UINT64_MAX);
	assert_int_equal(shm_word(7), 0);
}

static void test_bring_up(void **state)
{
	uint32_t sq;

	(void)state;
	/* Wrong type, wrong version, nothing to destroy, no such vector. */
	assert_int_equal(shm_simple(5), 1);
	assert_int_equal(shm_simple(MANA_SHM_ESTABLISH | 1 << 3), 1);
	assert_int_equal(shm_simple(MANA_SHM_DESTROY), 1);
	assert_int_equal(hwc_establish(VECTORS), 1);
	hwc_up();
	assert_int_equal(messages[0], 1);
	assert_true(max_cqs > 2 * VPORTS * QUEUES);
	assert_int_equal(counters().now_eqs, 1);
	sq = hwc_sq.id;
	assert_int_equal(hwc_establish(0), 1);
	hwc_sq.id = sq;
	/* Down, and up again with everything forgotten. */
	assert_int_equal(shm_simple(MANA_SHM_DESTROY), 0);
	assert_int_equal(counters().now_eqs, 0);
	assert_int_equal(counters().now_wqs, 0);
	device_up();
	assert_int_equal(counters().now_wqs, 2);
	f->ops->reset(f);
	assert_int_equal(counters().now_wqs, 0);
	assert_int_equal(shm_word(7), 0);
	program_msix();
	device_up();
}

static void test_queries(void **state)
{
	struct gdma_verify_req verify = { .minimum = cpu_to_le64(1),
					  .maximum = cpu_to_le64(1) };
	struct mana_dev_config_req config = { .minor = cpu_to_le32(1) };
	struct gdma_hwc_timeout_req timeout = { .ms = cpu_to_le32(5) };
	struct mana_vport_config_req vport = { cpu_to_le32(VPORTS) };
	struct gdma_test_eqe_req test;

	(void)state;
	hwc_up();
	test.eq = cpu_to_le32(hwc_eq.id);
	assert_int_equal(TELL(GDMA_GENERATE_TEST_EQE, test), 0);
	WAIT_FOR(eq_pop(&hwc_eq) &&
		 (le32_to_cpu(hwc_eq.last.info) & 0xff) == MANA_EQE_TEST);
	assert_int_equal(ASK(GDMA_VERIFY_VF_VERSION, verify,
			     gdma_verify_resp), 0);
	assert_int_equal(le64_to_cpu(ANSWER(gdma_verify_resp)->version), 1);
	verify.minimum = cpu_to_le64(2);
	assert_int_not_equal(ASK(GDMA_VERIFY_VF_VERSION, verify,
				 gdma_verify_resp), 0);
	assert_int_equal(ask(GDMA_LIST_DEVICES, NULL, 0, 264), 0);
	assert_int_equal(le32_to_cpu(ANSWER(gdma_devices_resp)->count), 2);
	assert_int_equal(ask(GDMA_QUERY_MAX_RESOURCES, NULL, 0, 40), 0);
	assert_int_equal(le32_to_cpu(ANSWER(gdma_resources_resp)->max_msix),
			 VECTORS);
	/* Before the device is registered, as Linux asks. */
	assert_int_equal(ASK(MANA_QUERY_DEV_CONFIG, config,
			     mana_dev_config_resp), 0);
	assert_int_equal(le16_to_cpu(ANSWER(mana_dev_config_resp)->vports),
			 VPORTS);
	assert_int_equal(le16_to_cpu(ANSWER(mana_dev_config_resp)->mtu), 1514);
	assert_int_equal(ASK(GDMA_QUERY_HWC_TIMEOUT, timeout,
			     gdma_hwc_timeout_resp), 0);
	/* And this not before. */
	vport.index = cpu_to_le32(0);
	assert_int_not_equal(ASK(MANA_QUERY_VPORT_CONFIG, vport,
				 mana_vport_config_resp), 0);
	assert_int_equal(ask(GDMA_REGISTER_DEVICE, NULL, 0, 12), 0);
	assert_int_not_equal(ask(GDMA_REGISTER_DEVICE, NULL, 0, 12), 0);
	assert_int_equal(ASK(MANA_QUERY_VPORT_CONFIG, vport,
			     mana_vport_config_resp), 0);
	vport.index = cpu_to_le32(VPORTS);
	assert_int_not_equal(ASK(MANA_QUERY_VPORT_CONFIG, vport,
				 mana_vport_config_resp), 0);
	assert_int_equal(ask(MANA_QUERY_LINK_CONFIG, NULL, 0, 16), 0);
	assert_int_equal(ask(GDMA_DEREGISTER_DEVICE, NULL, 0, 0), 0);
	assert_int_not_equal(ask(GDMA_DEREGISTER_DEVICE, NULL, 0, 0), 0);
}

/* ---- bad messages ---- */

static void test_bad_messages(void **state)
{
	uint8_t bytes[64] = { 0 };
	struct mana_request head = {
		.request.type = cpu_to_le32(GDMA_LIST_DEVICES),
		.request.size = cpu_to_le32(44), /* it has 40 */
		.response.size = cpu_to_le32(296),
	};
	struct mana_response out;
	uint64_t bad;

	(void)state;
	device_up();
	bad = counters().bad_messages;
	/* Optional ones, and what nobody knows: without a word. */
	assert_int_equal(ask(0x2000b, bytes, 16, 16), MANA_STATUS_UNSUPPORTED);
	assert_int_equal(ask(0x28000, NULL, 0, 0), MANA_STATUS_UNSUPPORTED);
	assert_int_equal(counters().bad_messages, bad);
	assert_int_equal(counters().unsupported, 2);
	/* Every message that is shorter than its structure. */
	for (uint32_t type = 1; type <= 32; type++) {
		if (type == GDMA_QUERY_MAX_RESOURCES ||
		    type == GDMA_LIST_DEVICES || type == GDMA_REGISTER_DEVICE ||
		    type == GDMA_DEREGISTER_DEVICE)
			continue;
		assert_int_not_equal(ask(type, bytes, 3, 8), 0);
	}
	for (uint32_t type = 0x20001; type <= 0x20008; type++)
		assert_int_not_equal(ask(type, bytes, 3, 8), 0);
	assert_true(counters().bad_messages >= bad + 20);
	/* Sizes that lie. */
	assert_int_equal(hwc_exchange(&head, 40), 296);
	memcpy(&out, answer, sizeof(out));
	assert_int_not_equal(le32_to_cpu(out.status), 0);
	head.request.size = cpu_to_le32(40);
	head.response.size = cpu_to_le32(0);
	assert_int_equal(hwc_exchange(&head, 40), 32);
	head.response.size = cpu_to_le32(1u << 30);
	assert_int_equal(hwc_exchange(&head, 40), MANA_MESSAGE_MAX);
	memcpy(&out, answer, sizeof(out));
	assert_int_equal(le32_to_cpu(out.status), 0);
	/* An older form of CREATE_MR. */
	{
		struct gdma_create_mr_req mr = { .type = cpu_to_le32(2) };

		assert_int_not_equal(ask_version(GDMA_CREATE_MR, 1, &mr,
						 sizeof(mr), 16), 0);
	}
}

static void test_bad_requests(void **state)
{
	static const uint8_t zeros[40];
	struct mana_hwc_tx_oob oob = { .scq = cpu_to_le32(hwc_sq.cq.id) };
	struct mana_sge sge;
	uint64_t bad;

	(void)state;
	device_up();
	bad = counters().bad_wqes;
	/* Another SQ's number, a wrong key, memory that is not there, a header
	 * that is not whole: no answer, and the channel works on. */
	sge = sge_of(hwc_request, hwc_key, 40);
	wq_put(&hwc_sq, 0, &oob, sizeof(oob), &sge, 1);
	oob.scq = cpu_to_le32(hwc_sq.cq.id);
	oob.sq = cpu_to_le32(hwc_sq.id);
	sge = sge_of(hwc_request, hwc_key + 1, 40);
	wq_put(&hwc_sq, 0, &oob, sizeof(oob), &sge, 1);
	sge = sge_of(1ull << 40, hwc_key, 40);
	wq_put(&hwc_sq, 0, &oob, sizeof(oob), &sge, 1);
	sge = sge_of(hwc_request, hwc_key, 39);
	wq_put(&hwc_sq, 0, &oob, sizeof(oob), &sge, 1);
	wq_put(&hwc_sq, 0, zeros, 8, &sge, 1);
	wq_ring(&hwc_sq);
	WAIT_FOR(counters().bad_wqes == bad + 5);
	assert_int_equal(ask(GDMA_LIST_DEVICES, NULL, 0, 264), 0);
}

/* ---- regions, PDs, MRs ---- */

static uint32_t try_region(struct gdma_create_region_req *head, uint64_t page)
{
	struct {
		struct gdma_create_region_req head;
		le64 page[2];
	} __packed in = { *head, { cpu_to_le64(page), cpu_to_le64(page) } };

	return ask(GDMA_CREATE_DMA_REGION, &in, sizeof(in), 8);
}

static void test_regions(void **state)
{
	static const struct {
		uint64_t length, page;
		uint32_t offset, type, pages, here;
	} bad[] = {
		{ 0, PAGE, 0, 0, 1, 1 },
		{ PAGE, PAGE, 0, 10, 1, 1 },	  /* no such type */
		{ PAGE, PAGE, 0, 0, 2, 2 },	  /* too many pages */
		{ 2 * PAGE, PAGE, 0, 0, 1, 1 },	  /* too few */
		{ PAGE, PAGE, 1, 0, 1, 1 },	  /* one byte too far */
		{ PAGE, PAGE, PAGE, 0, 1, 1 },	  /* not in the first page */
		{ PAGE, PAGE, 0, 0, 1, 2 },	  /* more than there are */
		{ 3 * PAGE, PAGE, 0, 0, 3, 3 },	  /* more than were sent */
		{ PAGE, PAGE, 0, 0, 1, 0 },
		{ PAGE, PAGE + 512, 0, 0, 1, 1 }, /* not a page */
		{ UINT64_MAX, PAGE, 0, 9, 1, 1 },
	};
	struct gdma_create_region_req head;
	struct {
		struct gdma_add_pages_req head;
		le64 page[2];
	} __packed more = { .head.here = cpu_to_le32(2) };
	struct gdma_handle_req gone;

	(void)state;
	device_up();
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		head = (struct gdma_create_region_req){
			.length = cpu_to_le64(bad[i].length),
			.offset = cpu_to_le32(bad[i].offset),
			.page_type = cpu_to_le32(bad[i].type),
			.pages = cpu_to_le32(bad[i].pages),
			.here = cpu_to_le32(bad[i].here),
		};
		assert_int_equal(try_region(&head, bad[i].page),
				 MANA_STATUS_INVALID_PARAMETER);
	}
	assert_int_equal(counters().now_regions, 0);
	/* In three messages. */
	head = (struct gdma_create_region_req){
		.length = cpu_to_le64(5ull << 21),
		.page_type = cpu_to_le32(9),
		.pages = cpu_to_le32(5),
		.here = cpu_to_le32(2),
	};
	assert_int_equal(try_region(&head, 2u << 20), MANA_STATUS_MORE_ENTRIES);
	gone.handle = more.head.handle =
		ANSWER(gdma_create_region_resp)->handle;
	assert_int_equal(TELL(GDMA_ADD_PAGES, more), MANA_STATUS_MORE_ENTRIES);
	assert_int_equal(TELL(GDMA_ADD_PAGES, more),
			 MANA_STATUS_INVALID_PARAMETER);
	more.head.here = cpu_to_le32(1);
	assert_int_equal(TELL(GDMA_ADD_PAGES, more), 0);
	assert_int_equal(TELL(GDMA_ADD_PAGES, more),
			 MANA_STATUS_INVALID_PARAMETER);
	assert_int_equal(counters().now_regions, 1);
	assert_int_equal(TELL(GDMA_DESTROY_DMA_REGION, gone), 0);
	assert_int_equal(TELL(GDMA_DESTROY_DMA_REGION, gone),
			 MANA_STATUS_INVALID_PARAMETER);
	assert_int_equal(counters().now_regions, 0);
}

static void test_pds_and_mrs(void **state)
{
	struct gdma_create_pd_req pd = { 0 };
	struct gdma_create_mr_req mr = { .type = cpu_to_le32(GDMA_MR_GVA),
					 .address = cpu_to_le64(0x10000),
					 .access = cpu_to_le32(3) };
	struct gdma_handle_req pd_gone, mr_gone;
	uint32_t key;

	(void)state;
	device_up();
	assert_int_equal(ASK(GDMA_CREATE_PD, pd, gdma_create_pd_resp), 0);
	pd_gone.handle = mr.pd = ANSWER(gdma_create_pd_resp)->handle;
	/* Not complete, not there, of no PD, of no type. */
	assert_int_not_equal(ask_version(GDMA_CREATE_MR, 2, &mr, sizeof(mr),
					 16), 0);
	mr.region = cpu_to_le64(region(guest_pages(2), 2 * PAGE, 0));
	mr.type = cpu_to_le32(3);
	assert_int_not_equal(ask_version(GDMA_CREATE_MR, 2, &mr, sizeof(mr),
					 16), 0);
	mr.type = cpu_to_le32(GDMA_MR_GPA); /* this PD may not */
	assert_int_not_equal(ask_version(GDMA_CREATE_MR, 2, &mr, sizeof(mr),
					 16), 0);
	mr.type = cpu_to_le32(GDMA_MR_GVA);
	assert_int_equal(ask_version(GDMA_CREATE_MR, 2, &mr, sizeof(mr), 16),
			 0);
	key = le32_to_cpu(ANSWER(gdma_create_mr_resp)->lkey);
	mr_gone.handle = ANSWER(gdma_create_mr_resp)->handle;
	/* The region is used up. */
	assert_int_not_equal(ask_version(GDMA_CREATE_MR, 2, &mr, sizeof(mr),
					 16), 0);
	assert_int_equal(counters().now_regions, 0);
	assert_int_equal(counters().now_mrs, 1);
	assert_int_not_equal(TELL(GDMA_DESTROY_PD, pd_gone), 0);
	assert_int_equal(TELL(GDMA_DESTROY_MR, mr_gone), 0);
	assert_int_not_equal(TELL(GDMA_DESTROY_MR, mr_gone), 0);
	/* The next one has another key. */
	mr.region = cpu_to_le64(region(guest_pages(2), 2 * PAGE, 0));
	assert_int_equal(ask_version(GDMA_CREATE_MR, 2, &mr, sizeof(mr), 16),
			 0);
	assert_int_not_equal(le32_to_cpu(ANSWER(gdma_create_mr_resp)->lkey),
			     key);
	mr_gone.handle = ANSWER(gdma_create_mr_resp)->handle;
	assert_int_equal(TELL(GDMA_DESTROY_MR, mr_gone), 0);
	assert_int_equal(TELL(GDMA_DESTROY_PD, pd_gone), 0);
	assert_int_equal(counters().now_pds, 0);
}

/* ---- queues and doorbells ---- */

static void test_event_queue(void **state)
{
	struct gdma_disable_queue_req gone = {
		.type = cpu_to_le32(GDMA_QUEUE_EQ),
		.allocated = cpu_to_le32(1),
	};
	struct gdma_test_eqe_req test;
	struct eq eq;

	(void)state;
	device_up();
	eq = create_eq(3);
	test.eq = gone.id = cpu_to_le32(eq.id);
	/* Born armed; then silent until it is armed again, which tells of what
	 * came in between. */
	assert_int_equal(TELL(GDMA_GENERATE_TEST_EQE, test), 0);
	assert_int_equal(messages[3], 1);
	assert_int_equal(TELL(GDMA_GENERATE_TEST_EQE, test), 0);
	assert_int_equal(messages[3], 1);
	assert_true(eq_pop(&eq));
	eq_ring(&eq, true);
	WAIT_FOR(messages[3] == 2);
	assert_true(eq_pop(&eq));
	assert_false(eq_pop(&eq));
	eq_ring(&eq, true);
	/* Through another page: not ours. */
	eq.page = 0;
	eq_ring(&eq, false);
	eq.page = device_page;
	WAIT_FOR(counters().foreign_doorbells == 1);
	assert_int_equal(TELL(GDMA_GENERATE_TEST_EQE, test), 0);
	WAIT_FOR(messages[3] == 3);
	/* Four laps. */
	for (unsigned int i = 0; i < 4 * 256; i++) {
		assert_int_equal(TELL(GDMA_GENERATE_TEST_EQE, test), 0);
		assert_true(eq_pop(&eq));
		if (!(i % 100))
			eq_ring(&eq, true);
	}
	assert_int_equal(TELL(GDMA_DISABLE_QUEUE, gone), 0);
	assert_int_not_equal(TELL(GDMA_DISABLE_QUEUE, gone), 0);
	assert_int_not_equal(TELL(GDMA_GENERATE_TEST_EQE, test), 0);
	eq_ring(&eq, true);
	WAIT_FOR(counters().stale_doorbells == 1);
	/* The channel's own is not a client's. */
	gone.id = cpu_to_le32(hwc_eq.id);
	assert_int_not_equal(TELL(GDMA_DISABLE_QUEUE, gone), 0);
}

static void test_bad_queues(void **state)
{
	struct gdma_create_queue_req in;
	struct mana_create_wq_req wq;
	struct eq eq;

	(void)state;
	device_up();
	in = (struct gdma_create_queue_req){
		.type = cpu_to_le32(GDMA_QUEUE_EQ),
		.pd = cpu_to_le32(device_pd),
		.doorbell = cpu_to_le32(device_page),
		.region = cpu_to_le64(region(pages(1), PAGE, 0)),
		.size = cpu_to_le32(PAGE),
		.msix = cpu_to_le32(VECTORS),
	};
#define REFUSED(field, value)                                             \
	do {                                                              \
		struct gdma_create_queue_req bad = in;                    \
		bad.msix = cpu_to_le32(1);                                \
		bad.field = value;                                        \
		assert_int_equal(ASK(GDMA_CREATE_QUEUE, bad,              \
				     gdma_create_queue_resp),             \
				 MANA_STATUS_INVALID_PARAMETER);          \
	} while (0)
	REFUSED(msix, cpu_to_le32(VECTORS));
	REFUSED(type, cpu_to_le32(3));
	REFUSED(pd, cpu_to_le32(77));
	REFUSED(doorbell, cpu_to_le32(5));
	REFUSED(region, cpu_to_le64(0));
	REFUSED(size, cpu_to_le32(PAGE / 2));
	REFUSED(size, cpu_to_le32(3 * PAGE));
	REFUSED(size, cpu_to_le32(2 * PAGE)); /* the region has one */
#undef REFUSED
	assert_int_equal(counters().now_eqs, 1);
	eq = create_eq(1);
	wq = (struct mana_create_wq_req){
		.vport = cpu_to_le64(vport_handle[0]),
		.type = cpu_to_le32(MANA_WQ_SQ),
		.wq_region = cpu_to_le64(region(pages(1), PAGE, 0)),
		.cq_region = cpu_to_le64(region(pages(1), PAGE, 0)),
		.wq_size = cpu_to_le32(PAGE),
		.cq_size = cpu_to_le32(PAGE),
		.eq = cpu_to_le32(eq.id),
	};
	/* The vport is nobody's yet. */
	assert_int_not_equal(ASK(MANA_CREATE_WQ_OBJ, wq, mana_create_wq_resp),
			     0);
	assert_int_not_equal(config_tx(0, 1, device_page), 0);
	assert_int_not_equal(config_tx(0, device_pd, 0), 0);
	assert_int_not_equal(config_tx(0, device_pd, 9), 0);
	assert_int_equal(config_tx(0, device_pd, device_page), 0);
	assert_int_equal(ANSWER(mana_config_tx_resp)->short_form, 1);
#define REFUSED(field, value)                                             \
	do {                                                              \
		struct mana_create_wq_req bad = wq;                       \
		bad.field = value;                                        \
		assert_int_equal(ASK(MANA_CREATE_WQ_OBJ, bad,             \
				     mana_create_wq_resp),                \
				 MANA_STATUS_INVALID_PARAMETER);          \
	} while (0)
	REFUSED(vport, cpu_to_le64(1));
	REFUSED(type, cpu_to_le32(3));
	REFUSED(wq_region, wq.cq_region);
	REFUSED(cq_region, cpu_to_le64(0));
	REFUSED(wq_size, cpu_to_le32(PAGE + 32));
	REFUSED(cq_size, cpu_to_le32(2 * PAGE));
	REFUSED(eq, cpu_to_le32(hwc_eq.id));
	REFUSED(eq, cpu_to_le32(999));
#undef REFUSED
	assert_int_equal(ASK(MANA_CREATE_WQ_OBJ, wq, mana_create_wq_resp), 0);
	/* As many as there may be. */
	for (unsigned int i = 1; i < QUEUES; i++)
		create_wq(0, true, eq.id);
	{
		struct wq more = { .sq = true };

		assert_int_equal(try_wq(&more, 0, eq.id, device_page),
				 MANA_STATUS_NO_RESOURCES);
	}
	/* It has queues: nobody else's now. */
	assert_int_not_equal(config_tx(0, device_pd, device_page), 0);
}

static void test_doorbell_pages(void **state)
{
	struct gdma_allocate_range_req in = {
		.type = cpu_to_le32(GDMA_RESOURCE_DOORBELL),
		.count = cpu_to_le32(1),
		.alignment = cpu_to_le32(1),
	};
	struct gdma_destroy_range_req gone = {
		.type = cpu_to_le32(GDMA_RESOURCE_DOORBELL),
		.count = cpu_to_le32(1),
	};

	(void)state;
	device_up();
	assert_int_equal(ASK(GDMA_ALLOCATE_RANGE, in,
			     gdma_allocate_range_resp), 0);
	gone.first = ANSWER(gdma_allocate_range_resp)->first;
	assert_int_not_equal(le32_to_cpu(gone.first), 0);
	assert_int_not_equal(le32_to_cpu(gone.first), device_page);
	assert_int_equal(config_tx(0, device_pd, le32_to_cpu(gone.first)), 0);
	assert_int_equal(TELL(GDMA_DESTROY_RANGE, gone), 0);
	assert_int_not_equal(TELL(GDMA_DESTROY_RANGE, gone), 0);
	assert_int_not_equal(config_tx(0, device_pd, le32_to_cpu(gone.first)),
			     0);
	gone.first = cpu_to_le32(device_page);
	assert_int_not_equal(TELL(GDMA_DESTROY_RANGE, gone), 0);
	in.type = cpu_to_le32(1);
	assert_int_not_equal(ASK(GDMA_ALLOCATE_RANGE, in,
				 gdma_allocate_range_resp), 0);
}

/* ---- events ---- */

static void test_events(void **state)
{
	struct gdma_test_eqe_req test;

	(void)state;
	mana_link(mana, false); /* nobody hears it */
	hwc_up();
	mana_link(mana, false);
	assert_true(eq_pop(&hwc_eq) || eq_pop(&hwc_eq));
	assert_int_equal(le32_to_cpu(hwc_eq.last.info) & 0xff,
			 MANA_EQE_RECONFIG_DATA);
	assert_int_equal(le32_to_cpu(hwc_eq.last.data[0]), 3u << 24);
	mana_link(mana, true);
	assert_true(eq_pop(&hwc_eq));
	assert_int_equal(le32_to_cpu(hwc_eq.last.data[0]), 2u << 24);
	mana_request_reset(mana);
	assert_true(eq_pop(&hwc_eq));
	assert_int_equal(le32_to_cpu(hwc_eq.last.info) & 0xff,
			 MANA_EQE_RESET_REQUEST);
	/* Silent: the request is taken, no answer comes. */
	mana_silence(mana, true);
	test.eq = cpu_to_le32(hwc_eq.id);
	{
		const struct mana_hwc_tx_oob oob = {
			.scq = cpu_to_le32(hwc_sq.cq.id),
			.sq = cpu_to_le32(hwc_sq.id),
		};
		struct mana_sge sge = sge_of(hwc_request, hwc_key, 40);
		uint64_t before = counters().control;

		wq_put(&hwc_sq, 0, &oob, sizeof(oob), &sge, 1);
		wq_ring(&hwc_sq);
		WAIT_FOR(counters().control == before + 40);
		assert_false(cq_pop(&hwc_sq.cq));
	}
	mana_silence(mana, false);
	assert_int_equal(TELL(GDMA_GENERATE_TEST_EQE, test), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_registers),
		TEST(test_bring_up),
		TEST(test_queries),
		TEST(test_bad_messages),
		TEST(test_bad_requests),
		TEST(test_regions),
		TEST(test_pds_and_mrs),
		TEST(test_event_queue),
		TEST(test_bad_queues),
		TEST(test_doorbell_pages),
		TEST(test_events),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
