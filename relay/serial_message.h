/* SPDX-License-Identifier: MIT */
/* Between the two ends of the serial protocol: how messages begin. */
#ifndef RELAY_SERIAL_MESSAGE_H
#define RELAY_SERIAL_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "serial_reg.h"

static inline struct serial_header header_of(enum serial_type type,
					     uint16_t id)
{
	return (struct serial_header){
		.version = SERIAL_HEADER_VERSION,
		.type = type,
		.id = cpu_to_le16(id),
	};
}

/* A message's first bytes as `to`; false when it is shorter. */
static inline bool take(void *to, size_t want, const void *message,
			size_t size)
{
	if (size < want)
		return false;
	memcpy(to, message, want);
	return true;
}

#endif
