/* SPDX-License-Identifier: MIT */
/* SOURCES: nvme/uevent.c nvme/uevent_message.c paravisor/inspect.c paravisor/log.c paravisor/reactor.c paravisor/reactor_calls.c paravisor/reactor_timeouts.c paravisor/reactor_timers.c paravisor/reactor_ring.c */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <pv/inspect.h>

#include "nvme/nvme.h"
#include "nvme/uevent.h"
#include "paravisor/reactor.h"

#define PATH "/devices/pci0001:00/0001:00:00.0/nvme/nvme0/nvme0n1"
#define RESIZE                                                             \
	"change@" PATH "\0ACTION=change\0DEVPATH=" PATH "\0SUBSYSTEM=block\0" \
	"RESIZE=1\0DEVNAME=nvme0n1\0SEQNUM=7"
/* With the NUL that ends the last entry. */
#define MESSAGE(text) (text), sizeof(text)

static void a_resize(void **state)
{
	struct uevent e;

	(void)state;
	assert_true(uevent_parse(MESSAGE(RESIZE), &e));
	assert_int_equal(e.action, UEVENT_CHANGE);
	assert_string_equal(e.name, "nvme0n1");
	assert_string_equal(e.subsystem, "block");
	assert_true(e.resized);
	assert_false(e.connected);
}

static void others(void **state)
{
	struct uevent e;

	(void)state;
	assert_true(uevent_parse(MESSAGE("remove@/x/nvme0\0ACTION=remove\0"
		"DEVPATH=/x/nvme0\0SUBSYSTEM=nvme\0RESIZE=0"), &e));
	assert_int_equal(e.action, UEVENT_REMOVE);
	assert_string_equal(e.name, "nvme0");
	assert_false(e.resized || e.connected);
	assert_true(uevent_parse(MESSAGE("change@/x/nvme0\0ACTION=change\0"
		"DEVPATH=/x/nvme0\0SUBSYSTEM=nvme\0NVME_EVENT=connected"),
		&e));
	assert_true(e.connected);
	assert_true(uevent_parse(MESSAGE("change@/x/nvme0\0ACTION=change\0"
		"DEVPATH=/x/nvme0\0SUBSYSTEM=nvme\0NVME_EVENT=rediscover"),
		&e));
	assert_false(e.connected);
	assert_true(uevent_parse(MESSAGE("bind@/x\0ACTION=bind\0DEVPATH=/x\0"
					 "SUBSYSTEM=pci\0EMPTY="), &e));
	assert_int_equal(e.action, UEVENT_OTHER);
	assert_true(uevent_parse(MESSAGE("add@/x\0ACTION=add\0DEVPATH=/x\0"
					 "SUBSYSTEM=pci"), &e));
	assert_int_equal(e.action, UEVENT_ADD);
}

static void malformed(void **state)
{
	struct uevent e;

	(void)state;
	assert_false(uevent_parse("", 0, &e));
	assert_false(uevent_parse(RESIZE, sizeof(RESIZE) - 1, &e));
	assert_false(uevent_parse(MESSAGE(""), &e));
	assert_false(uevent_parse(MESSAGE("libudev\0x=y"), &e));
	assert_false(uevent_parse(MESSAGE("@/x\0ACTION=\0DEVPATH=/x\0"
					  "SUBSYSTEM=block"), &e));
	/* What the head says and the keys do not. */
	assert_false(uevent_parse(MESSAGE("change@/x\0ACTION=add\0"
		"DEVPATH=/x\0SUBSYSTEM=block"), &e));
	assert_false(uevent_parse(MESSAGE("change@/x\0ACTION=chang\0"
		"DEVPATH=/x\0SUBSYSTEM=block"), &e));
	assert_false(uevent_parse(MESSAGE("change@/x\0ACTION=change\0"
		"DEVPATH=/y\0SUBSYSTEM=block"), &e));
	assert_false(uevent_parse(MESSAGE("change@/x\0ACTION=change\0"
		"SUBSYSTEM=block"), &e));
	assert_false(uevent_parse(MESSAGE("change@/x\0DEVPATH=/x\0"
		"SUBSYSTEM=block"), &e));
	assert_false(uevent_parse(MESSAGE("change@/x\0ACTION=change\0"
		"DEVPATH=/x"), &e));
	assert_false(uevent_parse(MESSAGE("change@/x/\0ACTION=change\0"
		"DEVPATH=/x/\0SUBSYSTEM=block"), &e));
	assert_false(uevent_parse(MESSAGE("change@x\0ACTION=change\0"
		"DEVPATH=x\0SUBSYSTEM=block"), &e));
	assert_false(uevent_parse(MESSAGE("change@/x\0ACTION=change\0"
		"DEVPATH=/x\0SUBSYSTEM=block\0NOTHING"), &e));
	assert_false(uevent_parse(MESSAGE("change@/x\0ACTION=change\0"
		"DEVPATH=/x\0SUBSYSTEM=block\0=1"), &e));
}

static struct seen {
	struct uevent_source source; /* first */
	unsigned int events, looks;
} seen[2];

static void see(struct uevent_source *source, const struct uevent *event)
{
	struct seen *s = (struct seen *)source;

	if (event)
		s->events++;
	else
		s->looks++;
}

static void visit(struct uevent_source *source)
{
	((struct seen *)source)->looks += 100;
}

static void who_subscribed_is_told(void **state)
{
	(void)state;
	memset(seen, 0, sizeof(seen));
	for (int i = 0; i < 2; i++) {
		seen[i].source.fn = see;
		uevent_subscribe(&seen[i].source);
	}
	uevent_dispatch(MESSAGE(RESIZE));
	uevent_dispatch(MESSAGE("nonsense"));
	uevent_visit(&seen[0].source, visit);
	uevent_unsubscribe(&seen[0].source);
	uevent_visit(&seen[0].source, visit);
	uevent_dispatch(MESSAGE(RESIZE));
	uevent_unsubscribe(&seen[1].source);
	uevent_unsubscribe(&seen[1].source);
	uevent_dispatch(MESSAGE(RESIZE));
	assert_int_equal(seen[0].events, 1);
	assert_int_equal(seen[1].events, 2);
	assert_int_equal(seen[0].looks, 100);
}

/* The kernel's own socket, on a reactor of ours. */
static void events_on_a_reactor(void **state)
{
	struct reactor *r = reactor_create(0);

	(void)state;
	assert_int_equal(reactor_open(r, NULL, NULL), 0);
	memset(seen, 0, sizeof(seen));
	seen[0].source.fn = seen[1].source.fn = see;
	/* Nobody is there who could look, yet. */
	uevent_look(&seen[0].source);
	assert_null(uevent_reactor());
	assert_int_equal(nvme_events_start(r), 0);
	assert_ptr_equal(uevent_reactor(), r);
	uevent_subscribe(&seen[0].source);
	uevent_subscribe(&seen[1].source);
	uevent_look(&seen[1].source);
	assert_int_equal(seen[1].looks, 0);
	reactor_pass(r);
	assert_int_equal(seen[0].looks, 1);
	assert_int_equal(seen[1].looks, 1);
	reactor_pass(r);
	assert_int_equal(seen[1].looks, 1);
	uevent_unsubscribe(&seen[0].source);
	uevent_unsubscribe(&seen[1].source);
	nvme_events_stop();
	nvme_events_stop();
	assert_null(uevent_reactor());
	for (int i = 0; i < 3; i++)
		reactor_pass(r);
	reactor_close(r);
	reactor_destroy(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_resize),
		cmocka_unit_test(others),
		cmocka_unit_test(malformed),
		cmocka_unit_test(who_subscribed_is_told),
		cmocka_unit_test(events_on_a_reactor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
