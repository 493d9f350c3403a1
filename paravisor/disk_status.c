/* SPDX-License-Identifier: MIT */
/* The names of how a disk request can end, for logs. */
#include <pv/disk.h>

static const char *const texts[DISK_NR_STATUS] = {
	[DISK_OK] = "good",
	[DISK_INVALID] = "invalid request",
	[DISK_OUT_OF_RANGE] = "block address out of range",
	[DISK_READ_ONLY] = "disk is read-only",
	[DISK_MEDIUM_READ] = "unrecovered read error",
	[DISK_MEDIUM_WRITE] = "write fault",
	[DISK_PROTECTION] = "protection information mismatch",
	[DISK_MISCOMPARE] = "data differ",
	[DISK_CONFLICT] = "reservation conflict",
	[DISK_NOT_READY] = "not ready",
	[DISK_NO_SPACE] = "no space left on the device",
	[DISK_ABORTED] = "aborted",
	[DISK_TIMEOUT] = "timed out",
	[DISK_GONE] = "disk is gone",
	[DISK_UNSUPPORTED] = "not supported by the disk",
	[DISK_FAILED] = "failed",
};

const char *disk_status_text(enum disk_status status)
{
	if ((unsigned int)status >= DISK_NR_STATUS || !texts[status])
		return "unknown disk status";
	return texts[status];
}
