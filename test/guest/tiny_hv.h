/* SPDX-License-Identifier: MIT */
/*
 * The hypervisor's interface as the tiny guest uses it (TLFS).
 *
 * SINT 2 is VMBus's, unmasked, with vector HV_VECTOR. Messages and event flags
 * are polled; the interrupts are counted like all others.
 */
#ifndef TEST_GUEST_TINY_HV_H
#define TEST_GUEST_TINY_HV_H

#include <hv_reg.h>

#include "tiny.h"

#define HV_VECTOR 0x50
#define HV_SINT 2

/* Identifies us, makes the hypercall page; false: no Hyper-V. */
bool hv_init(void);
/* Switches the calling VP's SynIC on, everything empty; any VP. */
void hv_synic_on(void);
void hv_synic_off(void);

/* Puts the hypercall page at `page`, NULL: at its own place, and calls there
 * from now on. False: the hypervisor does not. */
bool hv_place_calls(void *page);
/* RAX of a hypercall. */
uint64_t hv_call(uint64_t control, uint64_t in, uint64_t out);
uint16_t hv_post(uint32_t connection, uint32_t type, const void *payload,
		 size_t size);
uint16_t hv_signal(uint32_t connection, uint16_t flag);

/* 4 KiB for input and output of hypercalls, VP 0's. */
void *hv_input(void);

/* Takes VP `vp`'s message of SINT 2 out of its slot; false: it is empty. */
bool hv_take(uint32_t vp, struct hv_message *message);
/* Takes an event flag of SINT 2 of any VP. */
bool hv_take_flag(uint32_t vp, unsigned int flag);

uint64_t hv_time(void); /* 100 ns, by MSR */

#endif
