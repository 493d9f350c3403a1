/* SPDX-License-Identifier: MIT */
/* SOURCES: relay/server.c relay/connection.c relay/channel.c relay/channel_messages.c relay/offer.c relay/relayed.c relay/gpadl_messages.c relay/gpadl.c relay/ring.c paravisor/guest_memory.c paravisor/log.c paravisor/violation.c paravisor/inspect.c include/guid.c test/unit/reactor_inline.c test/unit/relay_world.c test/guest_driver/guest_driver.c test/guest_driver/guest_channel.c */
/*
 * Mistakes, one by one: what the author of a guest's driver may get wrong, and
 * the one record that tells him. Rows are those of test/e2e/mistakes.list.
 *
 * Each mistake is made in a world of its own, with channel 2 open beside: after
 * it there is one record more, with the rule's id, whose text exists, and where
 * it matters who and where; and channel 2 works as before.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pv/violation.h>

#include "relay/ring_reg.h"
#include "test/unit/reactor_inline.h"
#include "test/unit/relay_world.h"

#define RANGE(bytes, offset) ((uint64_t)(offset) << 32 | (bytes))
#define NOT_OFFERED 9
#define NO_GPADL 0x4242
#define WORDS 8

/* Where a mistake is made. */
struct scene {
	struct world w;
	struct guest_channel ch; /* 1: a GPADL for its ring; OPEN: and open */
	struct guest_channel beside; /* 2, open */
	uint64_t pfn;		 /* a page */
	uint32_t gpadl;		 /* and its GPADL, of channel 1 */
};

/* ---- messages by hand ---- */

static void post_channel(struct scene *s, enum vmbus_message_type type,
			 uint32_t channel)
{
	struct vmbus_channel_message m = { .channel = cpu_to_le32(channel) };

	guest_post(s->w.g, type, &m, sizeof(m));
}

static void post_header(struct scene *s, enum vmbus_message_type type)
{
	struct vmbus_header m;

	guest_post(s->w.g, type, &m, sizeof(m));
}

/* A GPADL that says to have `bytes` of words in `ranges` ranges, and the first
 * `n` of them. */
static void post_gpadl(struct scene *s, uint32_t id, uint16_t bytes,
		       uint16_t ranges, const uint64_t *word, unsigned int n)
{
	struct {
		struct vmbus_gpadl_header header;
		le64 word[WORDS];
	} __packed m = {
		.header = { .channel = cpu_to_le32(1),
			    .gpadl = cpu_to_le32(id),
			    .range_bytes = cpu_to_le16(bytes),
			    .range_count = cpu_to_le16(ranges) },
	};

	for (unsigned int i = 0; i < n; i++)
		m.word[i] = cpu_to_le64(word[i]);
	guest_post(s->w.g, VMBUS_GPADL_HEADER, &m,
		   sizeof(m.header) + n * sizeof(le64));
}

static void post_words(struct scene *s, uint16_t ranges, const uint64_t *word,
		       unsigned int n)
{
	post_gpadl(s, NO_GPADL, (uint16_t)(8 * n), ranges, word, n);
}

static void post_teardown(struct scene *s, uint32_t id)
{
	struct vmbus_gpadl_teardown m = { .channel = cpu_to_le32(1),
					  .gpadl = cpu_to_le32(id) };

	guest_post(s->w.g, VMBUS_GPADL_TEARDOWN, &m, sizeof(m));
}

static void post_body(struct scene *s, uint32_t id, unsigned int words)
{
	struct {
		struct vmbus_gpadl_body body;
		le64 word[1];
	} __packed m = { .body.gpadl = cpu_to_le32(id) };

	guest_post(s->w.g, VMBUS_GPADL_BODY, &m,
		   sizeof(m.body) + words * sizeof(le64));
}

static void post_open(struct scene *s, uint32_t channel, uint32_t gpadl,
		      uint32_t vp, uint32_t split)
{
	struct vmbus_open_channel m = {
		.channel = cpu_to_le32(channel),
		.gpadl = cpu_to_le32(gpadl),
		.vp = cpu_to_le32(vp),
		.downstream_page = cpu_to_le32(split),
	};

	guest_post(s->w.g, VMBUS_OPEN_CHANNEL, &m, sizeof(m));
}

static void post_modify(struct scene *s, uint32_t channel, uint32_t vp)
{
	struct vmbus_modify_channel m = { .channel = cpu_to_le32(channel),
					  .vp = cpu_to_le32(vp) };

	guest_post(s->w.g, VMBUS_MODIFY_CHANNEL, &m, sizeof(m));
}

/* A good contact, then a wrong one. */
static void post_contact(struct scene *s, uint8_t sint, uint8_t vtl,
			 uint32_t vp, uint32_t features, uint64_t monitor_in)
{
	struct vmbus_initiate_contact m = {
		.version = cpu_to_le32(VMBUS_VERSION_COPPER),
		.vp = cpu_to_le32(vp),
		.sint = sint,
		.vtl = vtl,
		.features = cpu_to_le32(features),
		.monitor_in = cpu_to_le64(monitor_in),
	};

	guest_post(s->w.g, VMBUS_INITIATE_CONTACT, &m, sizeof(m));
}

/* ---- messages ---- */

static void no_header(struct scene *s)
{
	uint8_t bytes[4] = { VMBUS_REQUEST_OFFERS };

	vmbus_server_message(s->w.g->server, 0, bytes, sizeof(bytes));
	reactor_inline_drain();
}

static void short_message(struct scene *s)
{
	struct vmbus_channel_message m = { .channel = cpu_to_le32(1) };

	guest_post(s->w.g, VMBUS_CLOSE_CHANNEL, &m, sizeof(m) - 1);
}

static void unknown_type(struct scene *s)
{
	post_header(s, (enum vmbus_message_type)200);
}

static void servers_type(struct scene *s)
{
	post_channel(s, VMBUS_RESCIND_CHANNEL, 1);
}

static void too_new(struct scene *s)
{
	post_modify(s, 1, 0);
}

static void not_agreed(struct scene *s)
{
	post_header(s, VMBUS_PAUSE);
}

static void while_paused(struct scene *s)
{
	post_header(s, VMBUS_PAUSE);
	post_modify(s, 1, 0);
	post_header(s, VMBUS_RESUME);
}

static void not_paused(struct scene *s)
{
	post_header(s, VMBUS_RESUME);
}

static void offers_twice(struct scene *s)
{
	post_header(s, VMBUS_REQUEST_OFFERS);
}

static void no_channel(struct scene *s)
{
	post_channel(s, VMBUS_CLOSE_CHANNEL, NOT_OFFERED);
}

/* ---- contact: these end the connection ---- */

static void before_contact(struct scene *s)
{
	assert_int_equal(guest_unload(s->w.g), 0);
	post_header(s, VMBUS_REQUEST_OFFERS);
}

static void contact_sint(struct scene *s)
{
	post_contact(s, 5, 0, 0, 0, 0);
}

static void contact_vtl(struct scene *s)
{
	post_contact(s, VMBUS_SINT, 2, 0, 0, 0);
}

static void contact_vp(struct scene *s)
{
	post_contact(s, VMBUS_SINT, 0, 77, 0, 0);
}

static void contact_client_id(struct scene *s)
{
	post_contact(s, VMBUS_SINT, 0, 0, VMBUS_FEATURE_CLIENT_ID, 0);
}

static void one_monitor_page(struct scene *s)
{
	post_contact(s, VMBUS_SINT, 0, 0, 0, 0x1000);
}

/* ---- GPADLs ---- */

static void gpadl_no_range(struct scene *s)
{
	uint64_t word[] = { RANGE(4096, 0), s->pfn };

	post_words(s, 0, word, 2);
}

static void gpadl_length(struct scene *s)
{
	uint64_t word[] = { RANGE(4096, 0), s->pfn };

	post_gpadl(s, NO_GPADL, 17, 1, word, 2);
}

static void gpadl_short(struct scene *s)
{
	uint64_t word[] = { RANGE(4096, 0) };

	post_words(s, 1, word, 1);
}

static void gpadl_offset(struct scene *s)
{
	uint64_t word[] = { RANGE(8, 4096), s->pfn };

	post_words(s, 1, word, 2);
}

static void gpadl_empty(struct scene *s)
{
	uint64_t word[] = { RANGE(0, 0), s->pfn };

	post_words(s, 1, word, 2);
}

static void gpadl_pages_missing(struct scene *s)
{
	uint64_t word[] = { RANGE(8192, 0), s->pfn };

	post_words(s, 1, word, 2);
}

static void gpadl_pages_extra(struct scene *s)
{
	uint64_t word[] = { RANGE(4096, 0), s->pfn, s->pfn };

	post_words(s, 1, word, 3);
}

static void gpadl_ranges_missing(struct scene *s)
{
	uint64_t word[] = { RANGE(3 * 4096, 0), s->pfn, s->pfn, s->pfn };

	post_words(s, 2, word, 4);
}

static void gpadl_not_ram(struct scene *s)
{
	uint64_t word[] = { RANGE(4096, 0), 0xfee00 };

	post_words(s, 1, word, 2);
}

static void gpadl_id_in_use(struct scene *s)
{
	uint64_t word[] = { RANGE(4096, 0), s->pfn };

	post_gpadl(s, s->gpadl, 16, 1, word, 2);
}

/* One is half there when another one of this id begins. */
static void gpadl_id_incomplete(struct scene *s)
{
	uint64_t word[] = { RANGE(8192, 0), s->pfn };

	post_gpadl(s, NO_GPADL, 24, 1, word, 2);
	post_gpadl(s, NO_GPADL, 24, 1, word, 2);
}

/* Channel 1 has two: its ring's and the page's. */
static void gpadl_too_many(struct scene *s)
{
	uint64_t word[] = { RANGE(4096, 0), s->pfn };

	for (uint32_t i = 0; i < 63; i++)
		post_gpadl(s, NO_GPADL + i, 16, 1, word, 2);
}

/* None of them is ever finished. */
static void gpadl_too_big(struct scene *s)
{
	uint64_t word[] = { RANGE(8190 * 4096u, 0) };

	for (uint32_t i = 0; i < 4; i++)
		post_gpadl(s, NO_GPADL + i, 65528, 1, word, 1);
}

static void body_of_nothing(struct scene *s)
{
	post_body(s, NO_GPADL, 1);
}

static void body_without_words(struct scene *s)
{
	uint64_t word[] = { RANGE(8192, 0), s->pfn };

	post_gpadl(s, NO_GPADL, 24, 1, word, 2);
	post_body(s, NO_GPADL, 0);
}

static void teardown_of_nothing(struct scene *s)
{
	post_teardown(s, NO_GPADL);
}

/* The ring is in use, so the first one waits. */
static void teardown_twice(struct scene *s)
{
	post_teardown(s, s->ch.gpadl);
	post_teardown(s, s->ch.gpadl);
}

static void teardown_half_way(struct scene *s)
{
	uint64_t word[] = { RANGE(8192, 0), s->pfn };

	post_gpadl(s, NO_GPADL, 24, 1, word, 2);
	post_teardown(s, NO_GPADL);
}

/* ---- channels ---- */

static void open_foreign_gpadl(struct scene *s)
{
	post_open(s, 1, s->beside.gpadl, 0, s->ch.split);
}

static void open_no_vp(struct scene *s)
{
	post_open(s, 1, s->ch.gpadl, 77, s->ch.split);
}

static void open_no_split(struct scene *s)
{
	post_open(s, 1, s->ch.gpadl, 0, 0);
}

static void open_part_of_pages(struct scene *s)
{
	uint64_t word[] = { RANGE(4 * 4096 - 8, 0), s->pfn, s->pfn, s->pfn,
			    s->pfn };

	post_words(s, 1, word, 5);
	post_open(s, 1, NO_GPADL, 0, 2);
}

static void open_two_ranges(struct scene *s)
{
	uint64_t word[] = { RANGE(8192, 0), s->pfn, s->pfn,
			    RANGE(8192, 0), s->pfn, s->pfn };

	post_words(s, 2, word, 6);
	post_open(s, 1, NO_GPADL, 0, 2);
}

static void open_twice(struct scene *s)
{
	post_open(s, 1, s->ch.gpadl, 0, s->ch.split);
}

static void open_connection(struct scene *s)
{
	s->ch.connection = 0x12001;
	guest_post_open(&s->ch, 0);
}

static void open_event_flag(struct scene *s)
{
	s->ch.event_flag = 0;
	guest_post_open(&s->ch, 0);
}

static void open_flags(struct scene *s)
{
	struct vmbus_open_channel_signal m = {
		.open = { .channel = cpu_to_le32(1),
			  .gpadl = cpu_to_le32(s->ch.gpadl),
			  .downstream_page = cpu_to_le32(s->ch.split) },
		.connection = cpu_to_le32(s->ch.connection),
		.event_flag = cpu_to_le16(1),
		.flags = cpu_to_le16(VMBUS_OPEN_REDIRECT_INTERRUPT),
	};

	guest_post(s->w.g, VMBUS_OPEN_CHANNEL, &m, sizeof(m));
}

static void reserved_to_nobody(struct scene *s)
{
	guest_open_reserved(&s->ch, 77, 2);
}

static void reserved_gpadl(struct scene *s)
{
	uint64_t word[] = { RANGE(4096, 0), s->pfn };

	assert_int_equal(guest_open_reserved(&s->ch, 1, 5), 0);
	post_words(s, 1, word, 2);
}

static void close_twice(struct scene *s)
{
	post_channel(s, VMBUS_CLOSE_CHANNEL, 1);
	post_channel(s, VMBUS_CLOSE_CHANNEL, 1);
}

static void close_not_reserved(struct scene *s)
{
	guest_close_reserved(&s->ch, 0, 2);
}

static void release_open(struct scene *s)
{
	guest_release(s->w.g, 1);
}

static void modify_closed(struct scene *s)
{
	post_modify(s, 1, 0);
}

static void modify_no_vp(struct scene *s)
{
	post_modify(s, 1, 77);
}

/* ---- rings ---- */

static void poke(struct scene *s, uint32_t page, uint32_t at, uint32_t value)
{
	le32 wire = cpu_to_le32(value);

	memcpy((uint8_t *)guest_page(s->w.g, s->ch.pfn[page]) + at, &wire,
	       sizeof(wire));
}

static void signal_in_index(struct scene *s, uint32_t index)
{
	poke(s, 0, RING_IN, index);
	guest_signal(&s->ch);
}

static void index_outside(struct scene *s)
{
	signal_in_index(s, 4096);
}

static void index_not_aligned(struct scene *s)
{
	signal_in_index(s, 12);
}

static void read_index_ahead(struct scene *s)
{
	expect_echo(&s->ch, 1);
	poke(s, s->ch.split, RING_OUT, 2048);
	guest_send(&s->ch, RING_PACKET_INBAND, 1, 2, NULL, 0, "x", 1);
	guest_signal(&s->ch); /* the device finds it when it reads on */
}

static void forge(struct scene *s, uint16_t offset8, uint16_t length8,
		  uint32_t in)
{
	struct ring_descriptor d = {
		.type = cpu_to_le16(RING_PACKET_INBAND),
		.offset8 = cpu_to_le16(offset8),
		.length8 = cpu_to_le16(length8),
	};

	memcpy(guest_page(s->w.g, s->ch.pfn[1]), &d, sizeof(d));
	signal_in_index(s, in);
}

static void packet_offset(struct scene *s)
{
	forge(s, 1, 4, 64);
}

static void packet_length(struct scene *s)
{
	forge(s, 4, 3, 64);
}

static void packet_beyond(struct scene *s)
{
	forge(s, 2, 64, 64);
}

/* It ends where its footer should be. */
static void packet_no_footer(struct scene *s)
{
	forge(s, 2, 3, 24);
}

static void packet_short(struct scene *s)
{
	forge(s, 2, 2, 16);
}

/* ---- the list ---- */

/* How a mistake is made: as it says, or plainly. */
enum {
	PLAIN = 0,
	OPEN = 1,    /* channel 1 is */
	SIGNALS = 2, /* agreed on */
	PAUSES = 4,
	OLD = 8,   /* a version that does not know it */
	LAST = 16, /* no connection is left behind */
};

static const struct mistake {
	const char *rule, *section;
	void (*make)(struct scene *s);
	unsigned int how;
} mistakes[] = {
	{ "vmbus.message.header", "1.9-1", no_header, PLAIN },
	{ "vmbus.message.complete", "1.9-1", short_message, PLAIN },
	{ "vmbus.message.type", "1.9-1", unknown_type, PLAIN },
	{ "vmbus.message.version", "1.9-1", too_new, OLD },
	{ "vmbus.message.feature", "1.9-1", not_agreed, PLAIN },
	{ "vmbus.message.type", "1.9-2", servers_type, PLAIN },
	{ "vmbus.message.contact-first", "1.9-3", before_contact, LAST },
	{ "vmbus.message.paused", "1.9-3", while_paused, OPEN | PAUSES },
	{ "vmbus.resume.not-paused", "1.9-3", not_paused, PAUSES },
	{ "vmbus.contact.sint", "1.4", contact_sint, LAST },
	{ "vmbus.contact.vtl", "1.4", contact_vtl, PLAIN },
	{ "vmbus.contact.client-id", "1.4", contact_client_id, PLAIN },
	{ "vmbus.monitor-pages", "1.4", one_monitor_page, LAST },
	{ "vmbus.vp", "1.4", contact_vp, LAST },
	{ "vmbus.gpadl.range-count", "1.9-4", gpadl_no_range, PLAIN },
	{ "vmbus.gpadl.length", "1.9-4", gpadl_length, PLAIN },
	{ "vmbus.gpadl.range-short", "1.9-4", gpadl_short, PLAIN },
	{ "vmbus.gpadl.range-offset", "1.9-4", gpadl_offset, PLAIN },
	{ "vmbus.gpadl.range-empty", "1.9-4", gpadl_empty, PLAIN },
	{ "vmbus.gpadl.pages-missing", "1.9-4", gpadl_pages_missing, PLAIN },
	{ "vmbus.gpadl.pages-extra", "1.9-4", gpadl_pages_extra, PLAIN },
	{ "vmbus.gpadl.ranges-missing", "1.9-4", gpadl_ranges_missing, PLAIN },
	{ "vmbus.gpadl.id-in-use", "1.9-4", gpadl_id_in_use, PLAIN },
	{ "vmbus.gpadl.id-incomplete", "1.9-4", gpadl_id_incomplete, PLAIN },
	{ "vmbus.gpadl-body.unknown", "1.9-4", body_of_nothing, PLAIN },
	{ "vmbus.gpadl-body.empty", "1.9-4", body_without_words, PLAIN },
	{ "vmbus.gpadl.page", "1.9-5", gpadl_not_ram, PLAIN },
	{ "vmbus.gpadl.channel-count", "1.9-6", gpadl_too_many, PLAIN },
	{ "vmbus.gpadl.channel-pages", "1.9-6", gpadl_too_big, PLAIN },
	{ "vmbus.open.gpadl", "1.9-7", open_foreign_gpadl, PLAIN },
	{ "vmbus.vp", "1.9-7", open_no_vp, PLAIN },
	{ "vmbus.ring.split", "1.9-7", open_no_split, PLAIN },
	{ "vmbus.ring.whole-pages", "1.9-7", open_part_of_pages, PLAIN },
	{ "vmbus.ring.ranges", "1.9-7", open_two_ranges, PLAIN },
	{ "vmbus.open.connection", "1.9-7", open_connection, SIGNALS },
	{ "vmbus.open.event-flag", "1.9-7", open_event_flag, SIGNALS },
	{ "vmbus.open.flags", "1.9-7", open_flags, SIGNALS },
	{ "vmbus.reserved.target", "1.9-7", reserved_to_nobody, PLAIN },
	{ "vmbus.gpadl.reserved", "1.9-7", reserved_gpadl, PLAIN },
	{ "vmbus.gpadl-teardown.unknown", "1.9-8", teardown_of_nothing, PLAIN },
	{ "vmbus.gpadl-teardown.twice", "1.9-8", teardown_twice, OPEN },
	{ "vmbus.gpadl-teardown.incomplete", "1.9-8", teardown_half_way,
	  PLAIN },
	{ "vmbus.open.twice", "1.9-9", open_twice, OPEN },
	{ "vmbus.close.not-open", "1.9-9", close_twice, OPEN },
	{ "vmbus.close-reserved.not-open", "1.9-9", close_not_reserved, OPEN },
	{ "vmbus.release.open", "1.9-9", release_open, OPEN },
	{ "vmbus.modify.not-open", "1.9-9", modify_closed, PLAIN },
	{ "vmbus.vp", "1.9-9", modify_no_vp, OPEN },
	{ "vmbus.offers.twice", "1.9-9", offers_twice, PLAIN },
	{ "vmbus.channel", "1.9-9", no_channel, PLAIN },
	{ "ring.index.range", "1.9-10", index_outside, OPEN },
	{ "ring.index.aligned", "1.9-10", index_not_aligned, OPEN },
	{ "ring.read-index", "1.9-10", read_index_ahead, OPEN },
	{ "ring.packet.offset", "1.9-11", packet_offset, OPEN },
	{ "ring.packet.length", "1.9-11", packet_length, OPEN },
	{ "ring.packet.beyond", "1.9-11", packet_beyond, OPEN },
	{ "ring.packet.beyond", "1.9-11", packet_no_footer, OPEN },
	{ "ring.packet.short", "1.9-11", packet_short, OPEN },
};

#define NR_MISTAKES (sizeof(mistakes) / sizeof(mistakes[0]))

static void begin(struct scene *s, const struct mistake *m)
{
	uint32_t features =
		(m->how & SIGNALS ? VMBUS_FEATURE_SIGNAL_PARAMETERS : 0) |
		(m->how & PAUSES ? VMBUS_FEATURE_PAUSE_RESUME : 0);
	struct guest_driver *g;

	world_begin(&s->w, m->how & OLD ? VMBUS_VERSION_WIN10 :
					  VMBUS_VERSION_COPPER);
	g = s->w.g;
	if (features) {
		assert_int_equal(guest_contact(g, VMBUS_VERSION_COPPER, 0,
					       features), 0);
		world_request_offers(&s->w);
	}
	assert_int_equal(guest_open(g, &s->w.offer[1], 2, 0, &s->beside), 0);
	assert_int_equal(guest_ring_create(g, &s->w.offer[0], 2, &s->ch), 0);
	guest_ring_clear(&s->ch);
	if (m->how & OPEN)
		assert_int_equal(guest_ring_open(&s->ch, 0), 0);
	guest_pages(g, &s->pfn, 1);
	assert_int_equal(guest_gpadl_create(g, 1, &s->pfn, 1, &s->gpadl), 0);
	expect_nothing(g);
}

static void check(uint64_t before, const struct mistake *m)
{
	struct violation v;

	if (violation_count() != before + 1)
		fail_msg("%s: %llu records", m->rule,
			 (unsigned long long)(violation_count() - before));
	assert_int_equal(violation_get(before + 1, &v), 0);
	assert_string_equal(v.rule, m->rule);
	assert_non_null(violation_text(v.rule));
	assert_string_equal(v.object, strncmp(m->rule, "ring.", 5) ? "vmbus" :
								     "echo");
	assert_true(v.time > 0);
}

static void one_record_for_each(void **state)
{
	(void)state;
	for (size_t i = 0; i < NR_MISTAKES; i++) {
		const struct mistake *m = &mistakes[i];
		struct scene s = { 0 };
		uint64_t before;

		begin(&s, m);
		before = violation_count();
		m->make(&s);
		check(before, m);
		if (!(m->how & LAST)) {
			s.w.g->nr_inbox = 0; /* answers */
			expect_echo(&s.beside, i);
		}
		assert_int_equal(violation_count(), before + 1);
		/* Its next connection begins well. */
		s.w.g->nr_inbox = 0;
		guest_channel_free(&s.ch);
		guest_channel_free(&s.beside);
		assert_int_equal(guest_contact(s.w.g, VMBUS_VERSION_COPPER, 0,
					       0), 0);
		world_end(&s.w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_record_for_each),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
