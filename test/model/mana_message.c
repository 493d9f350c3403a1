// SPDX-License-Identifier: MIT
/*
 * Messages of the hardware channel: one table says what each has to be at
 * least, and who handles it.
 *
 * A message that is too short, of an older version, or for a device that is not
 * registered changes nothing and gets a status; one that nobody knows gets the
 * status that drivers take for "not here" without a word. The answer has the
 * size and version that the request wants, so that newer drivers find zeros
 * where we know nothing.
 */
#include <string.h>

#include "mana_device.h"

#define HWC_TIMEOUT_MS 30000u

/* ---- GDMA's own ---- */

static uint32_t verify_version(struct mana *m, struct mana_exchange *x)
{
	const struct gdma_verify_req *in = MANA_BODY(m);
	struct gdma_verify_resp *out = MANA_ANSWER(m);

	if (le64_to_cpu(in->minimum) > GDMA_PROTOCOL_VERSION ||
	    le64_to_cpu(in->maximum) < GDMA_PROTOCOL_VERSION)
		return MANA_STATUS_INVALID_PARAMETER;
	out->version = cpu_to_le64(GDMA_PROTOCOL_VERSION);
	out->capabilities[0] = cpu_to_le64(GDMA_CAPABILITY_HWC_TIMEOUT);
	x->answered = sizeof(*out);
	return MANA_STATUS_OK;
}

static uint32_t hwc_timeout(struct mana *m, struct mana_exchange *x)
{
	const struct gdma_hwc_timeout_req *in = MANA_BODY(m);
	struct gdma_hwc_timeout_resp *out = MANA_ANSWER(m);

	(void)in; /* what the driver has now */
	out->ms = cpu_to_le32(HWC_TIMEOUT_MS);
	x->answered = sizeof(*out);
	return MANA_STATUS_OK;
}

static uint32_t max_resources(struct mana *m, struct mana_exchange *x)
{
	struct gdma_resources_resp *out = MANA_ANSWER(m);
	uint32_t queues = m->queues * m->nr_vports;

	out->max_sq = out->max_rq = cpu_to_le32(queues);
	out->max_cq = cpu_to_le32(2 * queues);
	out->max_eq = cpu_to_le32(queues);
	out->max_db = cpu_to_le32(MANA_BELL_PAGES);
	out->max_mst = cpu_to_le32(MANA_MRS);
	out->max_msix = cpu_to_le32(m->function.vectors);
	x->answered = sizeof(*out);
	return MANA_STATUS_OK;
}

static uint32_t list_devices(struct mana *m, struct mana_exchange *x)
{
	struct gdma_devices_resp *out = MANA_ANSWER(m);

	out->count = cpu_to_le32(2);
	out->device[0].type = cpu_to_le16(MANA_DEVICE_HWC);
	out->device[1].type = cpu_to_le16(MANA_DEVICE_MANA);
	out->device[1].instance = cpu_to_le16(1);
	x->answered = sizeof(*out);
	return MANA_STATUS_OK;
}

static bool for_mana(const struct mana *m)
{
	const struct mana_request *in = (const void *)m->request;

	return le16_to_cpu(in->device.type) == MANA_DEVICE_MANA;
}

static uint32_t register_device(struct mana *m, struct mana_exchange *x)
{
	struct gdma_register_resp *out = MANA_ANSWER(m);

	if (!for_mana(m) || m->registered)
		return MANA_STATUS_INVALID_PARAMETER;
	m->registered = m->bell_used[MANA_BELL_DEVICE] = true;
	out->pd = cpu_to_le32(MANA_PD_DEVICE);
	out->gpa_mkey = cpu_to_le32(MANA_KEY_DEVICE);
	out->doorbell = cpu_to_le32(MANA_BELL_DEVICE);
	x->answered = sizeof(*out);
	return MANA_STATUS_OK;
}

static uint32_t deregister_device(struct mana *m, struct mana_exchange *x)
{
	(void)x;
	if (!for_mana(m) || !m->registered)
		return MANA_STATUS_INVALID_PARAMETER;
	mana_vports_reset(m);
	m->registered = m->bell_used[MANA_BELL_DEVICE] = false;
	return MANA_STATUS_OK;
}

/* ---- doorbell pages ---- */

static uint32_t allocate_range(struct mana *m, struct mana_exchange *x)
{
	const struct gdma_allocate_range_req *in = MANA_BODY(m);
	struct gdma_allocate_range_resp *out = MANA_ANSWER(m);
	uint32_t page = MANA_BELL_DEVICE + 1;

	if (le32_to_cpu(in->type) != GDMA_RESOURCE_DOORBELL ||
	    le32_to_cpu(in->count) != 1 || le32_to_cpu(in->first))
		return MANA_STATUS_INVALID_PARAMETER;
	while (page < MANA_BELL_PAGES && m->bell_used[page])
		page++;
	if (page == MANA_BELL_PAGES)
		return MANA_STATUS_NO_RESOURCES;
	m->bell_used[page] = true;
	out->first = cpu_to_le32(page);
	x->answered = sizeof(*out);
	return MANA_STATUS_OK;
}

static uint32_t destroy_range(struct mana *m, struct mana_exchange *x)
{
	const struct gdma_destroy_range_req *in = MANA_BODY(m);
	uint32_t page = le32_to_cpu(in->first);

	(void)x;
	if (le32_to_cpu(in->type) != GDMA_RESOURCE_DOORBELL ||
	    le32_to_cpu(in->count) != 1 || page <= MANA_BELL_DEVICE ||
	    page >= MANA_BELL_PAGES || !m->bell_used[page])
		return MANA_STATUS_INVALID_PARAMETER;
	m->bell_used[page] = false;
	return MANA_STATUS_OK;
}

/* ---- dispatch ---- */

#define BODY(name) sizeof(struct name)
#define ANY 0u

static const struct {
	uint32_t type;
	uint32_t body; /* bytes behind the header, at least */
	uint16_t version; /* at least */
	bool registered; /* needs the MANA device */
	mana_handler *handle;
} handlers[] = {
	{ GDMA_VERIFY_VF_VERSION, BODY(gdma_verify_req), 0, false,
	  verify_version },
	{ GDMA_QUERY_MAX_RESOURCES, ANY, 0, false, max_resources },
	{ GDMA_LIST_DEVICES, ANY, 0, false, list_devices },
	{ GDMA_REGISTER_DEVICE, ANY, 0, false, register_device },
	{ GDMA_DEREGISTER_DEVICE, ANY, 0, false, deregister_device },
	{ GDMA_GENERATE_TEST_EQE, BODY(gdma_test_eqe_req), 0, false,
	  mana_test_eqe },
	{ GDMA_CREATE_QUEUE, BODY(gdma_create_queue_req), 0, true,
	  mana_create_eq },
	{ GDMA_DISABLE_QUEUE, BODY(gdma_disable_queue_req), 0, false,
	  mana_disable_eq },
	{ GDMA_ALLOCATE_RANGE, BODY(gdma_allocate_range_req), 0, false,
	  allocate_range },
	{ GDMA_DESTROY_RANGE, BODY(gdma_destroy_range_req), 0, false,
	  destroy_range },
	{ GDMA_CREATE_DMA_REGION, BODY(gdma_create_region_req), 0, false,
	  mana_create_region },
	{ GDMA_ADD_PAGES, BODY(gdma_add_pages_req), 0, false, mana_add_pages },
	{ GDMA_DESTROY_DMA_REGION, BODY(gdma_handle_req), 0, false,
	  mana_destroy_region },
	{ GDMA_CREATE_PD, BODY(gdma_create_pd_req), 0, false, mana_create_pd },
	{ GDMA_DESTROY_PD, BODY(gdma_handle_req), 0, false, mana_destroy_pd },
	{ GDMA_CREATE_MR, BODY(gdma_create_mr_req), 2, false, mana_create_mr },
	{ GDMA_DESTROY_MR, BODY(gdma_handle_req), 0, false, mana_destroy_mr },
	{ GDMA_QUERY_HWC_TIMEOUT, BODY(gdma_hwc_timeout_req), 0, false,
	  hwc_timeout },
	{ MANA_QUERY_DEV_CONFIG, BODY(mana_dev_config_req), 0, false,
	  mana_dev_config },
	{ MANA_QUERY_GF_STAT, BODY(mana_gf_stat_req), 0, false, mana_gf_stat },
	{ MANA_CONFIG_VPORT_TX, BODY(mana_config_tx_req), 0, true,
	  mana_config_tx },
	{ MANA_CREATE_WQ_OBJ, BODY(mana_create_wq_req), 0, true,
	  mana_create_wq },
	{ MANA_DESTROY_WQ_OBJ, BODY(mana_destroy_wq_req), 0, true,
	  mana_destroy_wq },
	{ MANA_FENCE_RQ, BODY(mana_fence_req), 0, true, mana_fence },
	{ MANA_CONFIG_VPORT_RX, BODY(mana_config_rx_req), 0, true,
	  mana_config_rx },
	{ MANA_QUERY_VPORT_CONFIG, BODY(mana_vport_config_req), 0, true,
	  mana_vport_config },
	{ MANA_QUERY_LINK_CONFIG, ANY, 0, true, mana_link_config },
};

static uint32_t handle(struct mana *m, const struct mana_request *in,
		       struct mana_exchange *x)
{
	uint32_t type = le32_to_cpu(in->request.type);
	uint32_t body = x->size - (uint32_t)sizeof(*in);

	for (size_t i = 0; i < sizeof(handlers) / sizeof(handlers[0]); i++) {
		if (handlers[i].type != type)
			continue;
		if (le32_to_cpu(in->request.size) != x->size ||
		    le32_to_cpu(in->response.size) <
			    sizeof(struct mana_response) ||
		    body < handlers[i].body ||
		    le16_to_cpu(in->request.version) < handlers[i].version ||
		    (handlers[i].registered && !m->registered))
			return MANA_STATUS_INVALID_PARAMETER;
		return handlers[i].handle(m, x);
	}
	MANA_COUNT(m, unsupported, 1);
	return MANA_STATUS_UNSUPPORTED;
}

uint32_t mana_message(struct mana *m, uint32_t size)
{
	const struct mana_request *in = (const void *)m->request;
	struct mana_response *out = (void *)m->response;
	struct mana_exchange x = { .size = size };
	uint32_t status, wanted = le32_to_cpu(in->response.size);
	bool silent;

	memset(m->response, 0, sizeof(m->response));
	/* What is not there reads as zero. */
	memset(m->request + size, 0, sizeof(m->request) - size);
	MANA_COUNT(m, messages, 1);
	status = mana_fault_message(m, le32_to_cpu(in->request.type), &silent);
	if (!status)
		status = handle(m, in, &x);
	if (status != MANA_STATUS_OK && status != MANA_STATUS_MORE_ENTRIES &&
	    status != MANA_STATUS_UNSUPPORTED)
		MANA_COUNT(m, bad_messages, 1);
	if (wanted < sizeof(*out))
		wanted = sizeof(*out);
	if (wanted > MANA_MESSAGE_MAX)
		wanted = MANA_MESSAGE_MAX;
	out->response = in->response;
	out->response.id = in->request.id;
	out->response.size = cpu_to_le32(wanted);
	out->device = in->device;
	out->activity = in->activity;
	out->status = cpu_to_le32(status);
	return silent ? 0 : wanted;
}
