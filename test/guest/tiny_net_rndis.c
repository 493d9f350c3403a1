// SPDX-License-Identifier: MIT
/*
 * RNDIS of the tiny guest; see tiny_net.h. A request lies at some offset of one
 * page and, if that has no room for all of it, in another that is not the next.
 */
#include "tiny_net.h"

#define MAX_TRANSFER 0x4000u

bool nic_control_at(struct nic *nic, const void *message, uint32_t size,
		    uint32_t offset, uint32_t *status)
{
	uint8_t *first = nic->control_pages, *third = first + 2 * TINY_PAGE;
	uint32_t here = TINY_PAGE - offset < size ? TINY_PAGE - offset : size;
	struct nic_list list;

	memset(first, 0xee, 3 * TINY_PAGE);
	memcpy(first + offset, message, here);
	memcpy(third, (const uint8_t *)message + here, size - here);
	nic_list_begin(&list);
	nic_list_split(&list, offset, size, first, third);
	return nic_control(nic, &list, status);
}

bool nic_request(struct nic *nic, void *message, uint32_t size,
		 uint32_t offset)
{
	uint32_t before = nic->controls, status;
	struct rndis_request request, answer;

	memcpy(&request, message, sizeof(request));
	request.header.length = cpu_to_le32(size);
	request.id = cpu_to_le32(++nic->rndis_id);
	memcpy(message, &request, sizeof(request));
	if (!nic_control_at(nic, message, size, offset, &status))
		return false;
	NEED(status == NVS_STATUS_SUCCESS);
	if (!nic_wait(nic, &nic->ch, &nic->controls, before + 1))
		return false;
	NEED(nic->control_size >= sizeof(answer));
	memcpy(&answer, nic->control, sizeof(answer));
	NEED(le32_to_cpu(answer.header.type) ==
	     (le32_to_cpu(request.header.type) | RNDIS_COMPLETE));
	NEED(le32_to_cpu(answer.id) == nic->rndis_id);
	return true;
}

bool nic_query(struct nic *nic, uint32_t oid, uint32_t offset,
	       uint32_t *status, void *info, uint32_t *size)
{
	struct rndis_oid_request request = {
		.request.header.type = cpu_to_le32(RNDIS_QUERY),
		.oid = cpu_to_le32(oid),
	};
	struct rndis_query_complete done;
	uint32_t at, n;

	if (!nic_request(nic, &request, sizeof(request), offset))
		return false;
	NEED(nic->control_size >= sizeof(done));
	memcpy(&done, nic->control, sizeof(done));
	*status = le32_to_cpu(done.status);
	at = le32_to_cpu(done.info_offset) + RNDIS_OFFSET_BASE;
	n = le32_to_cpu(done.info_size);
	NEED(n <= *size && at <= nic->control_size &&
	     n <= nic->control_size - at);
	memcpy(info, nic->control + at, n);
	*size = n;
	return true;
}

bool nic_set(struct nic *nic, uint32_t oid, uint32_t offset, uint32_t value,
	     uint32_t *status)
{
	struct {
		struct rndis_oid_request request;
		le32 value;
	} __packed set = {
		.request = {
			.request.header.type = cpu_to_le32(RNDIS_SET),
			.oid = cpu_to_le32(oid),
			.info_size = cpu_to_le32(sizeof(set.value)),
			.info_offset = cpu_to_le32(sizeof(set.request) -
						   RNDIS_OFFSET_BASE),
		},
		.value = cpu_to_le32(value),
	};
	struct rndis_set_complete done;

	if (!nic_request(nic, &set, sizeof(set), offset))
		return false;
	NEED(nic->control_size == sizeof(done));
	memcpy(&done, nic->control, sizeof(done));
	*status = le32_to_cpu(done.status);
	return true;
}

bool nic_initialize(struct nic *nic)
{
	struct rndis_initialize request = {
		.request.header.type = cpu_to_le32(RNDIS_INITIALIZE),
		.major = cpu_to_le32(1),
		.max_transfer = cpu_to_le32(MAX_TRANSFER),
	};
	struct rndis_initialize_complete done;

	if (!nic_request(nic, &request, sizeof(request), 8))
		return false;
	NEED(nic->control_size == sizeof(done));
	memcpy(&done, nic->control, sizeof(done));
	NEED(!le32_to_cpu(done.status));
	NEED(le32_to_cpu(done.medium) == RNDIS_MEDIUM_802_3);
	return true;
}

bool nic_filter(struct nic *nic, uint32_t filter)
{
	uint32_t status;

	if (!nic_set(nic, OID_CURRENT_PACKET_FILTER, 8, filter, &status))
		return false;
	NEED(status == RNDIS_STATUS_SUCCESS);
	return true;
}

bool nic_halt(struct nic *nic)
{
	struct rndis_request halt = {
		.header.type = cpu_to_le32(RNDIS_HALT),
		.header.length = cpu_to_le32(sizeof(halt)),
	};
	uint32_t status;

	if (!nic_control_at(nic, &halt, sizeof(halt), 0, &status))
		return false;
	NEED(status == NVS_STATUS_SUCCESS);
	return true;
}
