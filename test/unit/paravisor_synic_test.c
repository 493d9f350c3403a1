/* SPDX-License-Identifier: MIT */
/* SOURCES: paravisor/synic.c test/unit/reactor_inline.c paravisor/inspect.c paravisor/log.c */
/*
 * Messages to VTL0 against a hypervisor with one slot per SINT: order, busy
 * slots, a queue that fills up, a SynIC that is off; and the two ways of an
 * event.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <pv/reactor.h>

#include "paravisor/mshv.h"
#include "paravisor/synic.h"
#include "reactor_inline.h"

/* ---- the hypervisor ---- */

static struct {
	bool busy[HV_SINT_COUNT]; /* the slot holds a message */
	bool off;
	bool no_notification;
	uint64_t wanted; /* DeliverabilityNotifications */
	struct hv_message slot[HV_SINT_COUNT];
	unsigned int posts, signals, actions, actions_room;
	uint32_t last_vp;
	uint16_t last_flag;
	char order[64]; /* first bytes of messages that arrived */
} hv;

int mshv_hypercall(struct mshv *m, uint16_t code, uint16_t reps,
		   const void *in, size_t in_size, void *out, size_t out_size,
		   uint16_t *status)
{
	const struct hv_input_post_message_direct *post = in;
	const struct hv_input_signal_event_direct *event = in;

	(void)m;
	(void)out;
	(void)out_size;
	assert_int_equal(reps, 0);
	*status = hv.off ? HV_STATUS_INVALID_SYNIC_STATE : HV_STATUS_SUCCESS;
	if (code == HV_CALL_SIGNAL_EVENT_DIRECT) {
		assert_int_equal(in_size, sizeof(*event));
		hv.signals++;
		hv.last_vp = le32_to_cpu(event->vp_index);
		hv.last_flag = le16_to_cpu(event->flag);
		return 0;
	}
	assert_int_equal(code, HV_CALL_POST_MESSAGE_DIRECT);
	assert_int_equal(in_size, sizeof(*post));
	hv.posts++;
	if (hv.off)
		return 0;
	if (hv.busy[post->sint]) {
		*status = HV_STATUS_OBJECT_IN_USE;
		return 0;
	}
	hv.busy[post->sint] = true;
	hv.slot[post->sint] = post->message;
	hv.order[strlen(hv.order)] = (char)post->message.payload[0];
	hv.last_vp = le32_to_cpu(post->vp_index);
	return 0;
}

int mshv_vp_set_register(struct mshv_vp *vp, const struct vp_register *reg)
{
	(void)vp;
	assert_int_equal(reg->name, HV_REG_DELIVERABILITY);
	if (hv.no_notification)
		return -EIO;
	hv.wanted = reg->low;
	return 0;
}

int mshv_vp_push_signal(struct mshv_vp *vp, uint32_t target, uint8_t sint,
			uint16_t flag)
{
	(void)vp;
	(void)sint;
	if (hv.actions == hv.actions_room)
		return -EAGAIN;
	hv.actions++;
	hv.last_vp = target;
	hv.last_flag = flag;
	return 0;
}

/* ---- the VP ---- */

static struct mshv_vp hw;
static struct synic s;
static unsigned int rooms;

static void room(void *opaque)
{
	assert_ptr_equal(opaque, &hw);
	rooms++;
}

static int set_up(void **state)
{
	(void)state;
	memset(&hv, 0, sizeof(hv));
	rooms = 0;
	hw = (struct mshv_vp){ .cpu = 2 };
	s = (struct synic){ .hw = &hw, .reactor = reactor_inline_create(),
			    .room = room, .opaque = &hw };
	synic_init(&s);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	reactor_inline_drain();
	synic_reset(&s);
	reactor_inline_destroy(s.reactor);
	return 0;
}

static int post(uint8_t sint, char letter)
{
	uint8_t payload[5] = { (uint8_t)letter, 1, 2, 3, 4 };

	return synic_post(&s, sint, 1, payload, sizeof(payload));
}

/* The guest takes a message; the hypervisor tells who wants to know. */
static void guest_takes(unsigned int sint)
{
	uint64_t bit = 1ull << (HV_DELIVERABILITY_SINTS_SHIFT + sint);

	hv.busy[sint] = false;
	if (!(hv.wanted & bit))
		return;
	hv.wanted &= ~bit;
	synic_deliverable(&s, (uint16_t)(1u << sint));
}

static void message_arrives(void **state)
{
	(void)state;
	assert_int_equal(post(2, 'a'), 0);
	assert_int_equal(hv.posts, 0); /* not this VP's thread */
	reactor_inline_drain();
	assert_string_equal(hv.order, "a");
	assert_int_equal(hv.last_vp, 2);
	assert_int_equal(le32_to_cpu(hv.slot[2].header.type), 1);
	assert_int_equal(hv.slot[2].header.payload_size, 5);
	assert_int_equal(hv.slot[2].payload[4], 4);
	assert_int_equal(hv.slot[2].payload[5], 0);
	assert_int_equal(hv.wanted, 0);
}

static void busy_slot_keeps_order(void **state)
{
	(void)state;
	for (char c = 'a'; c <= 'd'; c++)
		post(2, c);
	post(5, 'X'); /* another SINT is not held up */
	reactor_inline_drain();
	assert_string_equal(hv.order, "aX");
	assert_int_equal(hv.wanted,
			 4ull << HV_DELIVERABILITY_SINTS_SHIFT);
	for (unsigned int i = 0; i < 4; i++)
		guest_takes(2);
	assert_string_equal(hv.order, "aXbcd");
	assert_int_equal(hv.wanted, 0);
	assert_int_equal(s.dropped, 0);
	assert_int_equal(s.messages, 5);
}

static void timer_replaces_notification(void **state)
{
	(void)state;
	hv.no_notification = true;
	post(2, 'a');
	post(2, 'b');
	reactor_inline_drain();
	hv.busy[2] = false;
	assert_string_equal(hv.order, "a");
	reactor_inline_advance(1000000000);
	assert_string_equal(hv.order, "ab");
}

static void full_queue(void **state)
{
	unsigned int taken = 0;

	(void)state;
	hv.busy[2] = true;
	while (post(2, (char)('A' + taken)) == 0)
		taken++;
	assert_int_equal(taken, SYNIC_QUEUE);
	reactor_inline_drain();
	assert_int_equal(post(2, 'z'), -EAGAIN);
	assert_int_equal(rooms, 0);
	guest_takes(2);
	assert_int_equal(rooms, 1);
	assert_int_equal(post(2, 'z'), 0);
	reactor_inline_drain();
	assert_int_equal(rooms, 1); /* nobody was refused since */
}

static void synic_off(void **state)
{
	(void)state;
	hv.off = true;
	post(2, 'a');
	reactor_inline_drain();
	assert_int_equal(s.dropped, 1);
	assert_int_equal(s.queued, 0);
	hv.off = false;
	post(2, 'b');
	reactor_inline_drain();
	assert_string_equal(hv.order, "b");
}

static void reset_forgets(void **state)
{
	(void)state;
	hv.busy[2] = true;
	post(2, 'a');
	reactor_inline_drain();
	assert_int_not_equal(hv.wanted, 0);
	synic_reset(&s);
	assert_int_equal(hv.wanted, 0);
	hv.busy[2] = false;
	reactor_inline_advance(1000000000);
	assert_string_equal(hv.order, "");
}

static void own_thread_signals(void *flag)
{
	synic_signal(&s, 2, *(uint16_t *)flag);
}

static void events(void **state)
{
	uint16_t flag = 77;

	(void)state;
	hv.actions_room = 1;
	synic_signal(&s, 2, flag); /* another thread: at once */
	assert_int_equal(hv.signals, 1);
	assert_int_equal(hv.last_flag, 77);
	reactor_run(s.reactor, own_thread_signals, &flag);
	assert_int_equal(hv.actions, 1);
	assert_int_equal(hv.signals, 1);
	assert_int_equal(hv.last_vp, 2);
	reactor_run(s.reactor, own_thread_signals, &flag); /* no room */
	assert_int_equal(hv.actions, 1);
	assert_int_equal(hv.signals, 2);
	assert_int_equal(s.actions, 1);
	assert_int_equal(s.signals, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(message_arrives, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(busy_slot_keeps_order, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(timer_replaces_notification,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(full_queue, set_up, tear_down),
		cmocka_unit_test_setup_teardown(synic_off, set_up, tear_down),
		cmocka_unit_test_setup_teardown(reset_forgets, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(events, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
