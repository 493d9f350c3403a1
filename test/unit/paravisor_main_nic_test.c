/* SPDX-License-Identifier: MIT */
/* SOURCES: paravisor/main_nic.c paravisor/settings.c paravisor/settings_json.c paravisor/settings_storage.c paravisor/settings_nics.c relay/netvsp.c relay/netvsp_nic.c relay/netvsp_channel.c relay/netvsp_control.c relay/netvsp_link.c relay/netvsp_rx.c relay/netvsp_steer.c relay/netvsp_tx.c relay/netvsp_capture.c relay/netvsp_limit.c relay/netvsp_rest.c relay/company.c relay/netvsp_retire.c relay/netvsp_frame.c relay/rndis.c relay/rndis_oid.c relay/rndis_offload.c relay/gather.c relay/ring.c relay/gpadl.c relay/gpadl_messages.c relay/channel.c relay/channel_messages.c relay/offer.c relay/relayed.c relay/server.c relay/connection.c paravisor/nic_loopback.c paravisor/guest_memory.c paravisor/log.c paravisor/violation.c paravisor/inspect.c include/guid.c test/guest_driver/guest_driver.c test/guest_driver/guest_channel.c test/unit/netvsp_guest.c test/unit/netvsp_backend.c test/unit/reactor_inline.c */
/*
 * Settings of NICs made true, under a guest: what stays, what goes, what comes,
 * and that a change that cannot be leaves all as it was. Vports are loopbacks;
 * this file opens them in place of mana/.
 */
#include <errno.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pv/capture.h>

#include "mana/mana.h"
#include "mana/tap.h"
#include "paravisor/main_nic.h"
#include "paravisor/nic_loopback.h"
#include "test/unit/netvsp_guest.h"
#include "test/unit/reactor_inline.h"

#define A "11111111-2222-3333-4444-555555555555"
#define B "11111111-2222-3333-4444-666666666666"
#define NIC(id, vport, more) "{\"instance\":\"" id "\"," more \
	"\"backend\":{\"mana\":{\"device\":" \
	"\"aaaaaaaa-2222-3333-4444-555555555555\",\"vport\":" #vport "}}}"
#define SETTINGS(nics) "{\"version\":1,\"nics\":[" nics "]}"

/* ---- vports: the last one is not there ---- */

#define VPORTS 4
#define NO_VPORT 3

static unsigned int opened[VPORTS], open_now[VPORTS];
static struct nic *vport[VPORTS];
static struct nic_ops counting_ops;
static void (*close_loopback)(struct nic *nic);
static void (*loopback_info)(struct nic *nic, struct nic_info *info);

static void close_counted(struct nic *nic)
{
	for (unsigned int i = 0; i < VPORTS; i++)
		if (vport[i] == nic) {
			vport[i] = NULL;
			open_now[i]--;
		}
	close_loopback(nic);
}

static void small_info(struct nic *nic, struct nic_info *info)
{
	loopback_info(nic, info);
	info->max_queues = 4;
	info->max_rx_ranges = 2;
}

int mana_vport_open(const struct mana_config *config, struct nic **nic)
{
	const struct nic_loopback_config loopback = {
		.memory = config->memory,
		.reactor = config->reactor,
		.mac = { 0x00, 0x15, 0x5d, 0, 0, (uint8_t)config->vport },
	};

	assert_in_range(config->vport, 0, NO_VPORT);
	if (config->vport == NO_VPORT)
		return -ENXIO;
	/* Nobody opens one twice. */
	assert_null(vport[config->vport]);
	*nic = nic_loopback_create(&loopback);
	assert_non_null(*nic);
	counting_ops = *(*nic)->ops;
	close_loopback = counting_ops.close;
	counting_ops.close = close_counted;
	loopback_info = counting_ops.info;
	counting_ops.info = small_info;
	(*nic)->ops = &counting_ops;
	vport[config->vport] = *nic;
	opened[config->vport]++;
	open_now[config->vport]++;
	return 0;
}

int tap_open(const struct tap_config *config, struct nic **nic)
{
	(void)config;
	(void)nic;
	return -ENOENT;
}

/* ---- the world ---- */

struct world {
	struct guest_driver *g;
	struct nics *nics;
	struct nic_machine m[2]; /* drivers of A and B */
	char error[SETTINGS_ERROR_SIZE];
};

/* Waiting is what others use to work. */
static bool nobody_works;

/* Until those that leave have been quiet for long enough. */
static void work(void)
{
	reactor_inline_drain();
	for (unsigned int i = 0; i < 35; i++)
		reactor_inline_advance(100000000);
}

int sem_timedwait(sem_t *sem, const struct timespec *until)
{
	(void)until;
	if (!nobody_works)
		work();
	if (!sem_trywait(sem))
		return 0;
	errno = ETIMEDOUT;
	return -1;
}

static int apply(struct world *w, const char *json)
{
	static struct settings settings;
	struct nics_change *change;
	int ret;

	memset(&settings, 0, sizeof(settings));
	assert_int_equal(settings_parse(json, strlen(json), &settings, NULL), 0);
	*w->error = 0;
	ret = nics_prepare(w->nics, &settings, w->error, &change);
	if (!ret)
		ret = nics_commit(change);
	if (!nobody_works)
		work();
	return ret;
}

/* NICs live as long as the daemon: nothing frees them. */
static struct nics *made[8];
static unsigned int nr_made;

/* The driver of a NIC opens its channel. */
static void up(struct world *w, unsigned int n,
	       const struct vmbus_offer_channel *offer)
{
	static const char *const instance[] = { A, B };
	struct nic_machine *m = &w->m[n];
	struct guid guid;

	guid_parse(instance[n], &guid);
	assert_memory_equal(&offer->instance, &guid, sizeof(guid));
	memset(m, 0, sizeof(*m));
	m->g = w->g;
	m->offer[0] = *offer;
	m->message_size = NVS_SIZE_61;
	m->nr_channels = 1;
	assert_int_equal(guest_open(w->g, &m->offer[0], NIC_RING_PAGES, 0,
				    &m->ch[0]), 0);
	guest_pages(w->g, m->receive_pfn, NIC_RECEIVE_PAGES);
	guest_pages(w->g, m->send_pfn, NIC_SEND_PAGES);
	guest_pages(w->g, m->scratch, 20);
	nic_up(m, NVS_VERSION_61, 0);
	nic_round_trip(m, 0, 1400);
}

static void begin(struct world *w, const char *json, unsigned int nics)
{
	struct vmbus_offer_channel offer[2];
	struct nics_config config;
	unsigned int nr;

	memset(w, 0, sizeof(*w));
	memset(opened, 0, sizeof(opened));
	w->g = guest_driver_create(16384, 2, 0);
	config = (struct nics_config){
		.memory = &w->g->memory, .server = w->g->server,
		.reactor = w->g->reactor[0], .nr_vps = 2,
	};
	w->nics = nics_create(&config);
	assert_non_null(w->nics);
	made[nr_made++] = w->nics;
	assert_int_equal(apply(w, json), 0);
	assert_int_equal(guest_contact(w->g, VMBUS_VERSION_COPPER, 0, 0), 0);
	assert_int_equal(guest_request_offers(w->g, &nr, offer, 2), 0);
	assert_int_equal(nr, nics);
	for (unsigned int i = 0; i < nr; i++)
		up(w, i, &offer[i]);
}

/* So many go, in any order. */
static void expect_rescinds(struct world *w, unsigned int nr)
{
	struct vmbus_channel_message gone;
	uint32_t sum = 0;

	for (unsigned int i = 0; i < nr; i++) {
		assert_int_equal(guest_expect(w->g, VMBUS_RESCIND_CHANNEL,
					      &gone, sizeof(gone)), 0);
		sum += le32_to_cpu(gone.channel) - w->m[i].ch[0].id;
	}
	assert_int_equal(sum, 0);
}

/* The driver closes what it had. */
static void let_go(struct world *w, unsigned int n)
{
	struct nic_machine *m = &w->m[n];
	struct vmbus_channel_message gone = {
		.channel = cpu_to_le32(m->ch[0].id),
	};

	assert_int_equal(guest_close(&m->ch[0]), 0);
	assert_int_equal(guest_gpadl_teardown(w->g, m->ch[0].id,
					      m->receive_gpadl), 0);
	assert_int_equal(guest_gpadl_teardown(w->g, m->ch[0].id,
					      m->send_gpadl), 0);
	assert_int_equal(guest_gpadl_teardown(w->g, m->ch[0].id,
					      m->ch[0].gpadl), 0);
	guest_channel_free(&m->ch[0]);
	assert_int_equal(guest_post(w->g, VMBUS_REL_ID_RELEASED, &gone,
				    sizeof(gone)), 0);
}

static void expect_gone(struct world *w, unsigned int n)
{
	struct vmbus_channel_message gone;

	assert_int_equal(guest_expect(w->g, VMBUS_RESCIND_CHANNEL, &gone,
				      sizeof(gone)), 0);
	assert_int_equal(le32_to_cpu(gone.channel), w->m[n].ch[0].id);
	let_go(w, n);
}

static void expect_offer(struct world *w, unsigned int n)
{
	struct vmbus_offer_channel offer;

	assert_int_equal(guest_expect(w->g, VMBUS_OFFER_CHANNEL, &offer,
				      sizeof(offer)), 0);
	up(w, n, &offer);
}

static void end(struct world *w, unsigned int nics)
{
	assert_int_equal(apply(w, "{\"version\":1}"), 0);
	expect_rescinds(w, nics);
	for (unsigned int i = 0; i < nics; i++)
		let_go(w, i);
	for (unsigned int i = 0; i < VPORTS; i++)
		assert_int_equal(open_now[i], 0);
	assert_int_equal(w->g->memory.holds, 0);
	guest_driver_destroy(w->g);
}

/* The last byte of the address, which is that of the vport. */
static unsigned int vport_of(struct world *w, unsigned int n)
{
	const uint8_t *info;
	uint32_t size;

	assert_int_equal(rndis_ask(&w->m[n], OID_802_3_CURRENT_ADDRESS, NULL, 0,
				   &info, &size), 0);
	assert_int_equal(size, 6);
	return info[5];
}

/* ---- cases ---- */

/* One goes while the other works, comes again under its instance, and goes, as
 * often as one likes. Where it stands in the list does not matter. */
static void goes_and_comes(void **state)
{
	struct world w;

	(void)state;
	begin(&w, SETTINGS(NIC(A, 0, "") "," NIC(B, 1, "")), 2);
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(apply(&w, SETTINGS(NIC(A, 0, ""))), 0);
		nic_round_trip(&w.m[0], 0, 1000);
		assert_int_equal(open_now[1], 0);
		expect_gone(&w, 1);
		assert_int_equal(apply(&w, SETTINGS(NIC(B, 1, "") ","
						    NIC(A, 0, ""))), 0);
		expect_offer(&w, 1);
		nic_round_trip(&w.m[0], 0, 1000);
		assert_int_equal(opened[0], 1);
		assert_int_equal(opened[1], i + 2);
	}
	end(&w, 2);
}

/* Who listens to the second hears it until it goes, and may then listen to the
 * one that came. */
static void listened_to(void **state)
{
	struct capture *c;
	uint8_t bytes[8192];
	struct world w;

	(void)state;
	begin(&w, SETTINGS(NIC(A, 0, "") "," NIC(B, 1, "")), 2);
	assert_int_equal(nics_count(w.nics), 2);
	assert_int_equal(nics_capture(w.nics, 2, 0, &c), -ENODEV);
	assert_int_equal(nics_capture(w.nics, 1, 0, &c), 0);
	nic_round_trip(&w.m[0], 0, 1000);
	nic_round_trip(&w.m[1], 0, 600);
	assert_int_equal(apply(&w, SETTINGS(NIC(A, 0, ""))), 0);
	expect_gone(&w, 1);
	assert_int_equal(nics_count(w.nics), 1);
	assert_int_equal(c->ops->read(c, bytes, sizeof(bytes)),
			 24 + 2 * (16 + 600));
	assert_int_equal(c->ops->read(c, bytes, sizeof(bytes)), -ENODEV);
	assert_int_equal(apply(&w, SETTINGS(NIC(A, 0, "") "," NIC(B, 1, ""))),
			 0);
	c->ops->stop(c);
	assert_int_equal(nics_capture(w.nics, 1, 0, &c), 0);
	expect_offer(&w, 1);
	assert_int_equal(c->ops->read(c, bytes, sizeof(bytes)),
			 24 + 2 * (16 + 1400));
	c->ops->stop(c);
	end(&w, 2);
}

/* What cannot be is refused by its pointer, and nothing has changed: neither
 * what was to go has gone, nor what could have come been left open. */
static void all_or_nothing(void **state)
{
	static const struct {
		const char *json, *error;
		int result;
	} changes[] = {
		{ SETTINGS(NIC(A, 0, "\"mtu\":1400,") "," NIC(B, 2, "") ","
			   NIC("22222222-2222-3333-4444-555555555555", 3, "")),
		  "/nics/2/backend/mana: No such device or address", -ENXIO },
		{ SETTINGS("{\"instance\":\"" B "\",\"backend\":{\"tap\":"
			   "{\"name\":\"tap0\"}}}"),
		  "/nics/0/backend/tap: No such file or directory", -ENOENT },
		/* Of a vport that the guest has. */
		{ SETTINGS(NIC(B, 2, "") "," NIC(A, 1, "\"queues\":8,")),
		  "/nics/1/queues: the backend has 4", -EINVAL },
		{ SETTINGS(NIC(B, 2, "\"mtu\":9000,")),
		  "/nics/0/mtu: more ranges than the backend receives in",
		  -EINVAL },
	};
	struct world w;

	(void)state;
	begin(&w, SETTINGS(NIC(A, 0, "") "," NIC(B, 1, "")), 2);
	for (unsigned int i = 0; i < sizeof(changes) / sizeof(changes[0]);
	     i++) {
		assert_int_equal(apply(&w, changes[i].json),
				 changes[i].result);
		assert_string_equal(w.error, changes[i].error);
		assert_int_equal(w.g->nr_inbox, 0);
		assert_int_equal(open_now[2], 0);
		for (unsigned int n = 0; n < 2; n++) {
			assert_int_equal(opened[n], 1);
			nic_round_trip(&w.m[n], 0, 1514);
		}
	}
	/* And the next one is not the worse for it. */
	assert_int_equal(apply(&w, SETTINGS(NIC(A, 0, ""))), 0);
	expect_gone(&w, 1);
	end(&w, 1);
}

/* A backend that a change lets go serves what comes, without being opened
 * again: another MTU, and two that change places. */
static void changed_ones_come_anew(void **state)
{
	struct world w;

	(void)state;
	begin(&w, SETTINGS(NIC(A, 0, "") "," NIC(B, 1, "")), 2);
	assert_int_equal(apply(&w, SETTINGS(NIC(A, 0, "\"mtu\":1400,") ","
					    NIC(B, 1, ""))), 0);
	nic_round_trip(&w.m[1], 0, 1514);
	expect_gone(&w, 0);
	expect_offer(&w, 0);
	assert_int_equal(rndis_word(&w.m[0], OID_MAXIMUM_FRAME_SIZE), 1400);
	assert_int_equal(apply(&w, SETTINGS(NIC(A, 1, "") "," NIC(B, 0, ""))),
			 0);
	expect_rescinds(&w, 2);
	let_go(&w, 0);
	expect_offer(&w, 0);
	let_go(&w, 1);
	expect_offer(&w, 1);
	assert_int_equal(vport_of(&w, 0), 1);
	assert_int_equal(vport_of(&w, 1), 0);
	assert_int_equal(opened[0], 1);
	assert_int_equal(opened[1], 1);
	end(&w, 2);
}

/* Another limit is the same NIC. */
static void limits_change_as_it_stands(void **state)
{
	struct world w;

	(void)state;
	begin(&w, SETTINGS(NIC(A, 0, "\"limits\":{\"tx_mbps\":10},")), 1);
	assert_int_equal(apply(&w, SETTINGS(NIC(A, 0, ""))), 0);
	/* More than passes at once with that limit. */
	for (unsigned int i = 0; i < 200; i++)
		nic_round_trip(&w.m[0], 0, 1400);
	assert_int_equal(apply(&w, SETTINGS(NIC(A, 0,
		"\"limits\":{\"rx_mbps\":10},"))), 0);
	assert_int_equal(w.g->nr_inbox, 0);
	assert_int_equal(opened[0], 1);
	end(&w, 1);
}

/* With frames at the device it goes when they have ended, and its successor
 * comes then; changes in between hold. */
static void goes_with_frames_in_flight(void **state)
{
	static uint8_t frame[1514], bytes[1600];
	struct world w;
	uint32_t size;

	(void)state;
	begin(&w, SETTINGS(NIC(A, 0, "") "," NIC(B, 1, "")), 2);
	assert_int_equal(apply(&w, SETTINGS(NIC(A, 0, ""))), 0);
	expect_gone(&w, 1);
	assert_int_equal(apply(&w, SETTINGS(NIC(A, 0, "") "," NIC(B, 1, ""))),
			 0);
	/* So that it is started by way of the table. */
	nic_wrap(vport[1]);
	expect_offer(&w, 1);
	w.m[1].nic = vport[1];
	nic_hold(&w.m[1], false, true, true);
	nic_fill(frame, sizeof(frame), 1);
	size = rndis_frame(bytes, frame, sizeof(frame), NULL, 0, 0);
	for (unsigned int i = 0; i < 8; i++)
		nic_send_section(&w.m[1], 0, i, bytes, size);
	reactor_inline_drain();
	assert_int_equal(nic_held_frames(), 8);
	assert_int_equal(apply(&w, SETTINGS(NIC(A, 0, ""))), 0);
	assert_int_equal(w.g->nr_inbox, 0);
	assert_int_equal(open_now[1], 1);
	nic_round_trip(&w.m[0], 0, 1000);
	/* It is wanted again, thrice, before it is gone. */
	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(apply(&w, SETTINGS(NIC(A, 0, "") ","
			NIC(B, 1, "\"mtu\":1400,"))), -EINPROGRESS);
	assert_int_equal(w.g->nr_inbox, 0);
	assert_int_equal(open_now[1], 1);
	nic_let_go(&w.m[1]);
	assert_int_equal(open_now[1], 1);
	assert_int_equal(opened[1], 2);
	expect_gone(&w, 1);
	expect_offer(&w, 1);
	assert_int_equal(rndis_word(&w.m[1], OID_MAXIMUM_FRAME_SIZE), 1400);
	nic_round_trip(&w.m[0], 0, 1000);
	nic_unwrap(vport[1]);
	end(&w, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(goes_and_comes),
		cmocka_unit_test(listened_to),
		cmocka_unit_test(all_or_nothing),
		cmocka_unit_test(changed_ones_come_anew),
		cmocka_unit_test(limits_change_as_it_stands),
		cmocka_unit_test(goes_with_frames_in_flight),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
