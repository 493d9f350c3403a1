/* SPDX-License-Identifier: MIT */
#ifndef RELAY_REFUSAL_H
#define RELAY_REFUSAL_H

#include <stdint.h>

/* Why something of the client's was refused, for its violation record. */
struct refusal {
	uint32_t offset; /* in the message or packet, of the offending field */
	uint64_t value;	 /* what was there */
	const char *rule; /* its id, see pv/violation.h */
};

#endif
