/* SPDX-License-Identifier: MIT */
/*
 * What a completion means, and whether trying again can help. Pure functions.
 */
#ifndef NVME_STATUS_H
#define NVME_STATUS_H

#include <stdbool.h>
#include <stdint.h>

#include <pv/disk.h>

/* How often a command is sent again that the device itself refused. */
#define NVME_MAX_RETRIES 5

/* What is known of a command when its completion arrives. */
struct nvme_attempt {
	uint32_t retries; /* already made */
	bool copied;	  /* data went through a buffer of ours */
	bool once;	  /* must not be executed twice */
	const uint16_t *crdt; /* Command Retry Delay Times 1-3, 100 ms */
};

struct nvme_verdict {
	enum disk_status status; /* when it is not sent again */
	bool retry;
	bool copy;	   /* ... with its data copied */
	bool gone;	   /* the namespace will not come back */
	uint32_t delay_ms; /* before the retry */
};

/*
 * `res` as NVMe passthrough gives it: 0, the Status Field without its phase
 * tag (NVM Express Base Specification 2.0, 3.3.3.2.1), or -errno.
 */
struct nvme_verdict nvme_judge(int32_t res, const struct nvme_attempt *attempt);

/* The same in words, for logs. */
const char *nvme_result_text(int32_t res);

#endif
