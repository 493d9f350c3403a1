// SPDX-License-Identifier: MIT
/*
 * Cases about the storage protocol: the start, LUNs, flushes, resets. What
 * disks there are is the machine's: LUN 0 and LUN 3 of the first controller.
 */
#include "relay/scsi_reg.h"
#include "tiny_vmbus.h"

#define RING_PAGES 8u
#define LUN_LIST_HEADER 8u
#define NO_LUN 5
#define NO_DEVICE 0x7f

static uint32_t status_of(struct channel *ch, uint32_t operation,
			  uint16_t version)
{
	struct vstor_packet packet = {
		.header.operation = cpu_to_le32(operation),
	};
	uint32_t status = 0xdeadbeef;

	packet.version.version = cpu_to_le16(version);
	vstor_do(ch, &packet, sizeof(packet), &status);
	return status;
}

/* Every answer has the 64 bytes of its request, or vstor_do() fails. */
static void s_01(void)
{
	struct channel ch;

	CHECK(vmbus_connect(VMBUS_VERSION_COPPER));
	CHECK(channel_open(scsi_offer(0), RING_PAGES, 0, &ch));
	CHECK_IS(status_of(&ch, VSTOR_BEGIN_INIT, 0), VSTOR_STATUS_SUCCESS);
	CHECK_IS(status_of(&ch, VSTOR_QUERY_VERSION, VSTOR_VERSION(6, 3)),
		 VSTOR_STATUS_REVISION_MISMATCH);
	CHECK_IS(status_of(&ch, VSTOR_QUERY_VERSION, VSTOR_VERSION(6, 2)),
		 VSTOR_STATUS_SUCCESS);
	CHECK_IS(status_of(&ch, VSTOR_QUERY_PROPERTIES, 0),
		 VSTOR_STATUS_SUCCESS);
	CHECK_IS(status_of(&ch, VSTOR_END_INIT, 0), VSTOR_STATUS_SUCCESS);
	CHECK(channel_close(&ch));
}

static void s_03(void)
{
	struct channel ch;

	CHECK(vmbus_connect(VMBUS_VERSION_COPPER));
	CHECK(channel_open(scsi_offer(0), RING_PAGES, 0, &ch));
	CHECK_IS(status_of(&ch, VSTOR_END_INIT, 0),
		 VSTOR_STATUS_INVALID_DEVICE_STATE);
	CHECK(vstor_init(&ch, VSTOR_VERSION(6, 2)));
	CHECK_IS(status_of(&ch, VSTOR_BEGIN_INIT, 0),
		 VSTOR_STATUS_INVALID_DEVICE_STATE);
	CHECK_IS(status_of(&ch, VSTOR_FCHBA_DATA, 0),
		 VSTOR_STATUS_NOT_SUPPORTED);
	CHECK(channel_close(&ch));
}

/* ---- LUNs ---- */

static uint32_t be32(const uint8_t *b)
{
	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 |
	       (uint32_t)b[2] << 8 | b[3];
}

/* REPORT LUNS with room for so many bytes. */
static bool report_luns(struct channel *ch, uint32_t bytes, uint8_t *to)
{
	struct scsi_request r = {
		.cdb = { SCSI_REPORT_LUNS, [8] = (uint8_t)(bytes >> 8),
			 (uint8_t)bytes },
		.cdb_size = 12,
		.direction = VSTOR_DATA_READ,
		.gpa = (uint64_t)to,
		.bytes = bytes,
	};
	struct vstor_packet answer;

	memset(to, 0xee, TINY_PAGE);
	if (!scsi_do(ch, &r, &answer))
		return false;
	NEED(answer.srb.srb_status == VSTOR_SRB_SUCCESS);
	NEED(be32(to) == 2 * 8);
	NEED(bytes < TINY_PAGE ? bytes_are(to + bytes, 0xee,
					   TINY_PAGE - bytes) : true);
	return true;
}

static void s_05(void)
{
	uint8_t *data = pages(1);
	struct scsi_request r = {
		.lun = NO_LUN,
		.cdb = { SCSI_INQUIRY, [4] = 36 },
		.cdb_size = 6,
		.direction = VSTOR_DATA_READ,
		.gpa = (uint64_t)data,
		.bytes = 36,
	};
	struct vstor_packet answer;
	struct channel ch;

	CHECK(scsi_open(RING_PAGES, &ch));
	CHECK(report_luns(&ch, LUN_LIST_HEADER, data));
	CHECK(report_luns(&ch, 2 * LUN_LIST_HEADER, data));
	CHECK(report_luns(&ch, TINY_PAGE, data));
	CHECK_IS(data[LUN_LIST_HEADER + 1], 0);
	CHECK_IS(data[LUN_LIST_HEADER + 8 + 1], 3);
	CHECK(scsi_do(&ch, &r, &answer));
	CHECK_IS(answer.srb.srb_status, VSTOR_SRB_SUCCESS);
	CHECK_IS(data[0], NO_DEVICE);
	scsi_fill_rw(&r, false, 0, 8, data);
	r.lun = NO_LUN;
	CHECK(scsi_do(&ch, &r, &answer));
	CHECK_IS(answer.srb.srb_status, VSTOR_SRB_INVALID_LUN);
	CHECK(channel_close(&ch));
}

/* ---- data ---- */

static bool mode_says_fua(struct channel *ch, bool *fua)
{
	uint8_t *data = pages(1);
	struct scsi_request r = {
		.cdb = { 0x1a, 0, 0x3f, 0, 192 }, /* MODE SENSE(6), all */
		.cdb_size = 6,
		.direction = VSTOR_DATA_READ,
		.gpa = (uint64_t)data,
		.bytes = 192,
	};
	struct vstor_packet answer;

	if (!scsi_do(ch, &r, &answer))
		return false;
	NEED(answer.srb.srb_status == VSTOR_SRB_SUCCESS);
	*fua = data[2] & SCSI_MODE_DPOFUA;
	return true;
}

/* The guest's part; what of it is on the medium is seen from outside. */
static void s_09(void)
{
	uint8_t *data = pages(2), *back = data + TINY_PAGE;
	struct scsi_request r;
	struct vstor_packet answer;
	struct channel ch;
	bool fua;

	CHECK(scsi_open(RING_PAGES, &ch));
	memset(data, 0x39, TINY_PAGE);
	CHECK(scsi_write(&ch, 64, 8, data));
	CHECK(mode_says_fua(&ch, &fua));
	memset(data, 0x3a, TINY_PAGE);
	scsi_fill_rw(&r, true, 64, 8, data);
	r.cdb[1] = SCSI_CDB_FUA;
	CHECK(scsi_do(&ch, &r, &answer));
	CHECK_IS(answer.srb.srb_status == VSTOR_SRB_SUCCESS, fua);
	r = (struct scsi_request){
		.cdb = { SCSI_SYNCHRONIZE_CACHE_10 },
		.cdb_size = 10,
		.direction = VSTOR_DATA_NONE,
	};
	CHECK(scsi_do(&ch, &r, &answer));
	CHECK_IS(answer.srb.srb_status, VSTOR_SRB_SUCCESS);
	CHECK(scsi_read(&ch, 64, 8, back));
	CHECK(bytes_are(back, fua ? 0x3a : 0x39, TINY_PAGE));
	CHECK(channel_close(&ch));
}

#define IN_FLIGHT 200u

static void s_11(void)
{
	uint8_t *data = pages(IN_FLIGHT), seen[IN_FLIGHT] = { 0 };
	struct vstor_packet reset = {
		.header.operation = cpu_to_le32(VSTOR_RESET_BUS),
	}, answer;
	struct packet packet;
	struct channel ch;
	bool was_reset = false;

	CHECK(scsi_open(32, &ch));
	for (uint32_t i = 0; i < IN_FLIGHT; i++) {
		struct scsi_request r;

		scsi_fill_rw(&r, false, 8 * i, 8, data + i * TINY_PAGE);
		CHECK(scsi_send(&ch, &r, i));
	}
	CHECK(ring_send(&ch, RING_PACKET_INBAND, IN_FLIGHT, NULL, 0, &reset,
			sizeof(reset)));
	for (uint32_t i = 0; i <= IN_FLIGHT; i++) {
		CHECK(ring_wait(&ch, &packet, 5000));
		CHECK(packet.transaction <= IN_FLIGHT);
		if (packet.transaction == IN_FLIGHT) {
			memcpy(&answer, packet.payload, sizeof(answer));
			CHECK_IS(le32_to_cpu(answer.header.status),
				 VSTOR_STATUS_SUCCESS);
			CHECK(!was_reset);
			was_reset = true;
			continue;
		}
		CHECK(!seen[packet.transaction]);
		seen[packet.transaction] = 1;
	}
	CHECK(was_reset);
	CHECK(!ring_wait(&ch, &packet, 100));
	CHECK(channel_close(&ch));
}

const struct tiny_case scsi_cases[] = {
	{ "S-01", "versions: 6.3 is refused, then 6.2 taken", s_01, NULL },
	{ "S-03", "the steps of the start in their order only", s_03, NULL },
	{ "S-05", "LUNs 0 and 3 are there, 5 is not", s_05, NULL },
	{ "S-07", "resize and removal", NULL,
	  "needs a resize by the server: relay_storvsp_conformance_test has it" },
	{ "S-09", "writes, forced writes and flushes; DPOFUA says which", s_09,
	  NULL },
	{ "S-11", "bus reset with 200 reads under way", s_11, NULL },
	{ 0 },
};
