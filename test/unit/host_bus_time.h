/* SPDX-License-Identifier: MIT */
/*
 * Time in tests of a host that does not answer; with the inline reactor.
 */
#ifndef TEST_HOST_BUS_TIME_H
#define TEST_HOST_BUS_TIME_H

#include <stdint.h>

#include "relay/host_bus.h"
#include "test/unit/reactor_inline.h"

/* What has so long to be answered is over, and nothing came by a last look. */
static inline void host_is_silent(uint64_t ns)
{
	reactor_inline_advance(ns);
	reactor_inline_advance(HOST_BUS_LOOK_NS);
}

#endif
