// SPDX-License-Identifier: MIT
/*
 * Hypercalls and SynIC of the tiny guest; see tiny_hv.h.
 *
 * Pages are static, so that a VP may find its own after any case: hypercall
 * page, input page, and per VP the message page (SIMP) and flags page (SIEFP).
 */
#include "tiny_hv.h"

#define OS_ID 0x8100000000000001ull /* open source, none of the listed */

static __attribute__((aligned(TINY_PAGE))) uint8_t call_page[TINY_PAGE];
static uint8_t *calls = call_page;
static __attribute__((aligned(TINY_PAGE))) uint8_t input_page[TINY_PAGE];
static __attribute__((aligned(TINY_PAGE))) uint8_t
	messages[TINY_MAX_VPS][HV_SINT_COUNT][HV_MESSAGE_SIZE];
static __attribute__((aligned(TINY_PAGE))) uint32_t
	flags[TINY_MAX_VPS][HV_SINT_COUNT][HV_EVENT_FLAGS_PER_SINT / 32];

bool hv_place_calls(void *page)
{
	uint64_t v;

	calls = page ? page : call_page;
	return msr_write(HV_MSR_HYPERCALL,
			 (uint64_t)calls | HV_MSR_PAGE_ENABLE) &&
	       msr_read(HV_MSR_HYPERCALL, &v) &&
	       v == ((uint64_t)calls | HV_MSR_PAGE_ENABLE);
}

bool hv_init(void)
{
	if (cpuid(HV_CPUID_INTERFACE, 0).eax != HV_INTERFACE_HV1 ||
	    !msr_write(HV_MSR_GUEST_OS_ID, OS_ID) || !hv_place_calls(NULL))
		return false;
	hv_synic_on();
	return true;
}

void hv_synic_on(void)
{
	uint32_t vp = this_vp()->number;

	msr_write(HV_MSR_SIMP, (uint64_t)messages[vp] | HV_MSR_PAGE_ENABLE);
	msr_write(HV_MSR_SIEFP, (uint64_t)flags[vp] | HV_MSR_PAGE_ENABLE);
	msr_write(HV_MSR_SINT0 + HV_SINT, HV_VECTOR);
	msr_write(HV_MSR_SCONTROL, HV_SCONTROL_ENABLE);
}

void hv_synic_off(void)
{
	msr_write(HV_MSR_SINT0 + HV_SINT, HV_SINT_MASKED | HV_VECTOR);
	msr_write(HV_MSR_SCONTROL, 0);
	msr_write(HV_MSR_SIMP, 0);
	msr_write(HV_MSR_SIEFP, 0);
}

uint64_t hv_call(uint64_t control, uint64_t in, uint64_t out)
{
	uint64_t rax;
	register uint64_t r8 __asm__("r8") = out;

	__asm__ volatile("call *%5"
			 : "=a"(rax), "+c"(control), "+d"(in), "+r"(r8)
			 : "0"(0), "r"(calls)
			 : "r9", "r10", "r11", "cc", "memory");
	return rax;
}

void *hv_input(void)
{
	return input_page;
}

uint16_t hv_post(uint32_t connection, uint32_t type, const void *payload,
		 size_t size)
{
	struct hv_input_post_message *in = (void *)input_page;

	in->connection_id = cpu_to_le32(connection);
	in->reserved = cpu_to_le32(0);
	in->message_type = cpu_to_le32(type);
	in->payload_size = cpu_to_le32((uint32_t)size);
	memcpy(in->payload, payload, size);
	return hv_call(HV_CALL_POST_MESSAGE, (uint64_t)in, 0) &
	       HV_RESULT_STATUS_MASK;
}

uint16_t hv_signal(uint32_t connection, uint16_t flag)
{
	return hv_call(HV_CALL_SIGNAL_EVENT | HV_CONTROL_FAST,
		       connection | (uint64_t)flag
					    << HV_SIGNAL_EVENT_FLAG_SHIFT, 0) &
	       HV_RESULT_STATUS_MASK;
}

static void end_of_message(void)
{
	msr_write(HV_MSR_EOM, 0);
}

bool hv_take(uint32_t vp, struct hv_message *message)
{
	uint8_t *slot = messages[vp][HV_SINT];
	volatile uint32_t *type = (volatile uint32_t *)slot;
	volatile uint8_t *pending =
		slot + offsetof(struct hv_message_header, flags);

	if (!*type)
		return false;
	memcpy(message, slot, sizeof(*message));
	*type = HV_MESSAGE_NONE;
	/* The host sets the flag, then looks at the type again. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!(*pending & HV_MESSAGE_PENDING))
		return true;
	if (vp == this_vp()->number)
		end_of_message();
	else
		vp_run(vp, end_of_message, 1000);
	return true;
}

bool hv_take_flag(uint32_t vp, unsigned int flag)
{
	uint32_t bit = 1u << flag % 32;

	return __atomic_fetch_and(&flags[vp][HV_SINT][flag / 32], ~bit,
				  __ATOMIC_SEQ_CST) & bit;
}

uint64_t hv_time(void)
{
	uint64_t t = 0;

	msr_read(HV_MSR_TIME_REF_COUNT, &t);
	return t;
}
