/* SPDX-License-Identifier: MIT */
/*
 * Status, theory of operation
 *
 * Passthrough commands come back with what the device said, or with an errno
 * of the kernel when the device never answered. The kernel does not retry
 * them, so the policy is here, in one table and one switch:
 *
 *	device, Do Not Retry clear, may pass    again, after its own delay
 *	controller being reset (EINTR)          again, until the deadline
 *	memory refused (EFAULT, EEXIST, EINVAL) once more, data copied
 *	anything else                           is the answer
 *
 * Commands that name blocks may be repeated: the guest has not been answered
 * yet. Those that change reservations may not: done twice they mean something
 * else. They are sent again only when it is certain that the device has not
 * executed them; otherwise the caller looks at what there is (DISK_REPORT).
 *
 * The deadline is the caller's: it knows when the command was first sent.
 */
#include <errno.h>
#include <string.h>

#include <nvme/ioctl.h>
#include <nvme/util.h>

#include "status.h"

#define RESET_POLL_MS 100
#define BUSY_POLL_MS 1
#define CRDT_UNIT_MS 100
#define CRD_SHIFT 11 /* NVME_SC_CRD is a mask */

#define GENERIC(sc) (NVME_SCT_GENERIC << NVME_SCT_SHIFT | NVME_SC_##sc)
#define SPECIFIC(sc) (NVME_SCT_CMD_SPECIFIC << NVME_SCT_SHIFT | NVME_SC_##sc)
#define MEDIA(sc) (NVME_SCT_MEDIA << NVME_SCT_SHIFT | NVME_SC_##sc)

static const struct meaning {
	uint16_t code; /* Status Code Type and Status Code */
	uint8_t status;
	bool passing; /* worth a retry */
} meanings[] = {
	{ GENERIC(INVALID_OPCODE), DISK_UNSUPPORTED, false },
	{ GENERIC(INVALID_FIELD), DISK_INVALID, false },
	{ GENERIC(DATA_XFER_ERROR), DISK_FAILED, true },
	{ GENERIC(POWER_LOSS), DISK_ABORTED, false },
	{ GENERIC(INTERNAL), DISK_FAILED, true },
	{ GENERIC(ABORT_REQ), DISK_ABORTED, true },
	{ GENERIC(ABORT_QUEUE), DISK_ABORTED, true },
	{ GENERIC(INVALID_NS), DISK_GONE, false },
	{ GENERIC(SGL_INVALID_LAST), DISK_INVALID, false },
	{ GENERIC(SGL_INVALID_COUNT), DISK_INVALID, false },
	{ GENERIC(SGL_INVALID_DATA), DISK_INVALID, false },
	{ GENERIC(SGL_INVALID_TYPE), DISK_INVALID, false },
	{ GENERIC(PRP_INVALID_OFFSET), DISK_INVALID, false },
	{ GENERIC(AWU_EXCEEDED), DISK_INVALID, false },
	{ GENERIC(SGL_INVALID_OFFSET), DISK_INVALID, false },
	{ GENERIC(CMD_ABORTED_PREMEPT), DISK_ABORTED, false },
	{ GENERIC(SANITIZE_FAILED), DISK_NOT_READY, false },
	{ GENERIC(SANITIZE_IN_PROGRESS), DISK_NOT_READY, false },
	{ GENERIC(NS_WRITE_PROTECTED), DISK_READ_ONLY, false },
	{ GENERIC(CMD_INTERRUPTED), DISK_ABORTED, true },
	{ GENERIC(TRAN_TPORT_ERROR), DISK_FAILED, true },
	{ GENERIC(LBA_RANGE), DISK_OUT_OF_RANGE, false },
	{ GENERIC(CAP_EXCEEDED), DISK_NO_SPACE, false },
	{ GENERIC(NS_NOT_READY), DISK_NOT_READY, true },
	{ GENERIC(RESERVATION_CONFLICT), DISK_CONFLICT, false },
	{ GENERIC(FORMAT_IN_PROGRESS), DISK_NOT_READY, false },
	{ SPECIFIC(BAD_ATTRIBUTES), DISK_INVALID, false },
	{ SPECIFIC(INVALID_PI), DISK_INVALID, false },
	{ SPECIFIC(READ_ONLY), DISK_READ_ONLY, false },
	{ SPECIFIC(CMD_SIZE_LIMIT_EXCEEDED), DISK_INVALID, false },
	{ MEDIA(WRITE_FAULT), DISK_MEDIUM_WRITE, false },
	{ MEDIA(READ_ERROR), DISK_MEDIUM_READ, false },
	{ MEDIA(GUARD_CHECK), DISK_PROTECTION, false },
	{ MEDIA(APPTAG_CHECK), DISK_PROTECTION, false },
	{ MEDIA(REFTAG_CHECK), DISK_PROTECTION, false },
	{ MEDIA(COMPARE_FAILED), DISK_MISCOMPARE, false },
	{ MEDIA(UNWRITTEN_BLOCK), DISK_MEDIUM_READ, false },
};

static struct meaning meaning_of(uint16_t field)
{
	uint16_t code = field & (NVME_SCT_MASK << NVME_SCT_SHIFT |
				 NVME_SC_MASK);
	struct meaning other = { .code = code, .status = DISK_FAILED };

	for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++)
		if (meanings[i].code == code)
			return meanings[i];
	if (code >> NVME_SCT_SHIFT == NVME_SCT_PATH)
		other.passing = true;
	else if (!(field & NVME_SC_DNR))
		other.status = DISK_ABORTED;
	return other;
}

static struct nvme_verdict judge_device(uint16_t field,
					const struct nvme_attempt *attempt)
{
	struct meaning meaning = meaning_of(field);
	unsigned int crd = (field & NVME_SC_CRD) >> CRD_SHIFT;
	struct nvme_verdict verdict = {
		.status = meaning.status,
		.gone = meaning.status == DISK_GONE,
		.delay_ms = BUSY_POLL_MS,
	};

	verdict.retry = meaning.passing && !(field & NVME_SC_DNR) &&
			attempt->retries < NVME_MAX_RETRIES;
	if (crd && attempt->crdt[crd - 1])
		verdict.delay_ms = attempt->crdt[crd - 1] * CRDT_UNIT_MS;
	return verdict;
}

/* Is it certain that the device has done nothing? */
static bool not_executed(int32_t res)
{
	switch (res) {
	case GENERIC(NS_NOT_READY):
	case -EAGAIN:
	case -ENOMEM:
	case -EBUSY:
	case -EFAULT:
	case -EEXIST:
	case -EINVAL:
		return true;
	}
	return false;
}

static struct nvme_verdict judge_kernel(int32_t res,
					const struct nvme_attempt *attempt)
{
	struct nvme_verdict verdict = { .status = DISK_FAILED };

	switch (res) {
	case 0:
		verdict.status = DISK_OK;
		break;
	case -EINTR: /* cancelled by a reset of the controller */
		verdict.status = DISK_TIMEOUT;
		verdict.retry = true;
		verdict.delay_ms = RESET_POLL_MS;
		break;
	case -EAGAIN:
	case -ENOMEM:
	case -EBUSY:
		verdict.retry = true;
		verdict.delay_ms = BUSY_POLL_MS;
		break;
	case -EFAULT:
	case -EEXIST:
	case -EINVAL:
		verdict.status = DISK_INVALID;
		verdict.retry = verdict.copy = !attempt->copied;
		break;
	case -EIO: /* hot removal says so once, then ENODEV */
		verdict.retry = attempt->retries == 0;
		verdict.delay_ms = RESET_POLL_MS;
		break;
	case -ENODEV:
	case -ENXIO:
		verdict.status = DISK_GONE;
		verdict.gone = true;
		break;
	}
	return verdict;
}

struct nvme_verdict nvme_judge(int32_t res, const struct nvme_attempt *attempt)
{
	struct nvme_verdict verdict =
		res > 0 ? judge_device((uint16_t)res, attempt) :
			  judge_kernel(res, attempt);
	int32_t code = res > 0 ? res & (NVME_SCT_MASK << NVME_SCT_SHIFT |
					NVME_SC_MASK) : res;

	if (attempt->once && !not_executed(code))
		verdict.retry = false;
	return verdict;
}

const char *nvme_result_text(int32_t res)
{
	/* No errno is that big; and the least number has no negative. */
	if (res == INT32_MIN)
		res++;
	return res < 0 ? strerror(-res) : nvme_status_to_string(res, false);
}
