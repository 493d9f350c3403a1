/* SPDX-License-Identifier: MIT */
/* SOURCES: relay/storvsp.c relay/storvsp_channel.c relay/storvsp_rest.c relay/company.c relay/storvsp_srb.c relay/storvsp_lun.c relay/storvsp_share.c relay/scsi.c relay/scsi_inquiry.c relay/scsi_mode.c relay/scsi_block.c relay/scsi_transfer.c relay/scsi_lun.c relay/scsi_opcodes.c relay/scsi_provision.c relay/scsi_reserve.c relay/scsi_mmc.c relay/scsi_tray.c relay/scsi_bounce.c relay/netvsp.c relay/netvsp_nic.c relay/netvsp_channel.c relay/netvsp_control.c relay/netvsp_link.c relay/netvsp_rx.c relay/netvsp_steer.c relay/netvsp_tx.c relay/netvsp_capture.c relay/netvsp_limit.c relay/netvsp_rest.c relay/netvsp_frame.c relay/rndis.c relay/rndis_oid.c relay/rndis_offload.c relay/gather.c relay/ring.c relay/gpadl.c relay/gpadl_messages.c relay/channel.c relay/channel_messages.c relay/offer.c relay/relayed.c relay/server.c relay/connection.c paravisor/disk_memory.c paravisor/disk_status.c paravisor/nic_loopback.c paravisor/guest_memory.c paravisor/log.c paravisor/violation.c paravisor/inspect.c paravisor/diag_inspect.c include/guid.c test/guest_driver/guest_driver.c test/guest_driver/guest_channel.c test/unit/storvsp_guest.c test/unit/netvsp_guest.c test/unit/netvsp_backend.c paravisor/reactor.c paravisor/reactor_calls.c paravisor/reactor_timeouts.c paravisor/reactor_timers.c paravisor/reactor_ring.c */
/*
 * Questions on the diagnosis port while reactors are as busy as they can be: a
 * disk in memory and a loopback NIC are under load, on the daemon's own
 * reactors, and the one that answers has work left after each pass besides.
 *
 * The whole tree is asked for. Each answer comes in the pass that is under way
 * or in the next, so says the reactor's own counter; nine of ten within
 * 100 ms. (The tenth may have waited for a CPU.)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include <pv/disk.h>
#include <pv/inspect.h>

#include "paravisor/diag_inspect.h"
#include "paravisor/reactor.h"
#include "test/unit/netvsp_guest.h"
#include "test/unit/reactor_inline.h"
#include "test/unit/storvsp_guest.h"

#define VPS 2
#define HOPS 6
#define QUESTIONS 200
#define LIMIT_NS 100000000ull
#define COMMANDS 16 /* under way at a time */
#define FRAMES 16
#define CHANNELS 2

/* Both guests have the same two VPs. */
static struct {
	struct reactor *reactor;
	pthread_t thread;
	struct inspect_entry entry;
	unsigned int users;
} vp[VPS];
static const char *const vp_names[VPS] = { "vp0", "vp1" };
static unsigned int next_vp;

static void *run_vp(void *reactor)
{
	if (reactor_open(reactor, NULL, NULL))
		abort();
	reactor_loop(reactor);
	reactor_close(reactor);
	return NULL;
}

static void describe_vp(void *reactor, struct inspect *out)
{
	if (!inspect_begin(out, "reactor"))
		return;
	reactor_describe(reactor, out);
	inspect_end(out);
}

struct reactor *reactor_inline_create(void)
{
	unsigned int i = next_vp++ % VPS;

	if (vp[i].users++)
		return vp[i].reactor;
	vp[i].reactor = reactor_create(i);
	if (!vp[i].reactor || pthread_create(&vp[i].thread, NULL, run_vp,
					     vp[i].reactor))
		abort();
	return vp[i].reactor;
}

void reactor_inline_destroy(struct reactor *reactor)
{
	for (unsigned int i = 0; i < VPS; i++) {
		if (vp[i].reactor != reactor || --vp[i].users)
			continue;
		reactor_stop(reactor);
		pthread_join(vp[i].thread, NULL);
		reactor_destroy(reactor);
		vp[i].reactor = NULL;
	}
}

static void nothing(void *arg)
{
	(void)arg;
}

void reactor_inline_drain(void)
{
	for (unsigned int hop = 0; hop < HOPS; hop++)
		for (unsigned int i = 0; i < VPS; i++)
			reactor_run(vp[i].reactor, nothing, NULL);
}

/* ---- the load ---- */

static struct machine disk;
static struct nic_machine nic;
static uint64_t pages[8];
static uint32_t frame_size;
static atomic_bool ended;

static void run_forever(struct reactor_call *call)
{
	if (!atomic_load(&ended))
		reactor_post(vp[0].reactor, call);
}

static struct reactor_call forever = { .fn = run_forever };

static void describe_server(void *server, struct inspect *out)
{
	vmbus_server_inspect(server, out);
}

/* Reads of 16 KiB, all under way at once. */
static void read_disk(void)
{
	uint8_t cdb[10] = { SCSI_READ_10, [8] = 32 };
	struct page_list list = page_list(0, 16384, pages, 4);
	struct vstor_packet packet = srb(0, VSTOR_DATA_READ, 16384, cdb,
					 sizeof(cdb));
	unsigned int done = 0, tries = 0;
	uint64_t transaction;

	disk.g->manual = true;
	for (unsigned int i = 0; i < COMMANDS; i++)
		send_srb(&disk, &disk.ch, &packet, &list);
	disk.g->manual = false;
	while (done < COMMANDS) {
		assert_in_range(tries++, 0, 100000);
		reactor_inline_drain();
		while (!receive(&disk, &disk.ch, &transaction)) {
			assert_int_equal(disk.reply.srb.srb_status,
					 VSTOR_SRB_SUCCESS);
			done++;
		}
	}
}

static void send_frames(void)
{
	unsigned int done = 0, tries = 0;

	nic.g->manual = true;
	for (unsigned int i = 0; i < FRAMES * CHANNELS; i++) {
		struct nvs_message message = {
			.type = cpu_to_le32(NVS_RNDIS_PACKET),
			.rndis.section = cpu_to_le32(i % CHANNELS),
			.rndis.section_size = cpu_to_le32(frame_size),
		};

		nvs_send(&nic, i % CHANNELS, &message, NULL);
	}
	nic.g->manual = false;
	while (done < FRAMES * CHANNELS) {
		assert_in_range(tries++, 0, 100000);
		reactor_inline_drain();
		for (unsigned int ch = 0; ch < CHANNELS; ch++)
			nic_pump(&nic, ch);
		done += nic.nr_completions;
		nic.nr_completions = nic.nr_frames = 0;
	}
}

static struct inspect_entry disks, nics;

static int set_up(void **state)
{
	static uint8_t bytes[4096], frame[1000];

	(void)state;
	machine_create(&disk, COMMANDS, 0, RING_PAGES);
	negotiate(&disk);
	guest_pages(disk.g, pages, 8);
	nic_create(&nic, VPS, CHANNELS, 0, NIC_RING_PAGES);
	nic_unwrap(nic.nic);
	nic_hashes(nic.nic, 0, 1);
	nic_up(&nic, NVS_VERSION_61, CHANNELS - 1);
	nic_fill(frame, sizeof(frame), 1);
	frame_size = rndis_frame(bytes, frame, sizeof(frame), NULL, 0, 0);
	for (uint32_t at = 0; at < CHANNELS * 6144; at += 6144)
		memcpy((uint8_t *)guest_page(nic.g, nic.send_pfn[at / 4096]) +
		       at % 4096, bytes, frame_size);
	for (unsigned int i = 0; i < VPS; i++) {
		vp[i].entry = (struct inspect_entry){
			vp_names[i], describe_vp, vp[i].reactor, NULL };
		inspect_register(&vp[i].entry);
	}
	disks = (struct inspect_entry){ "disks", describe_server,
					disk.g->server, NULL };
	nics = (struct inspect_entry){ "nics", describe_server, nic.g->server,
				       NULL };
	inspect_register(&disks);
	inspect_register(&nics);
	return 0;
}

static void noted(void *opaque)
{
	((struct machine *)opaque)->destroyed = true;
}

static void destroy_disk(void *arg)
{
	(void)arg;
	storvsp_destroy(disk.storvsp, noted, &disk);
}

static int tear_down(void **state)
{
	(void)state;
	nic_shut(&nic);
	nic_destroy(&nic);
	assert_int_equal(guest_shut(&disk.ch), 0);
	reactor_run(vp[0].reactor, destroy_disk, NULL);
	reactor_inline_drain();
	assert_true(disk.destroyed);
	for (int i = 0; i < 2; i++)
		disk.disk[i]->ops->close(disk.disk[i]);
	guest_driver_destroy(disk.g);
	return 0;
}

/* ---- questions ---- */

/* Threads of their own: no assertions there. */
static struct {
	int client, server;
	uint64_t ns[QUESTIONS];
	unsigned int answered;
	size_t shortest, longest;
	atomic_bool done;
} line;

static void *serve(void *unused)
{
	diag_inspect_client(line.server, vp[0].reactor);
	return unused;
}

/* The size of an answer that is a whole tree, or 0. */
static size_t ask_all(void)
{
	static const char question[] = "{\"path\":\"\"}\n";
	static char answer[262144];
	size_t len = 0;

	if (write(line.client, question, sizeof(question) - 1) < 0)
		return 0;
	while (!len || answer[len - 1] != '\n') {
		ssize_t n = read(line.client, answer + len,
				 sizeof(answer) - 1 - len);

		if (n <= 0)
			return 0;
		len += (size_t)n;
	}
	answer[len] = '\0';
	return strstr(answer, "\"disks\":{") && strstr(answer, "\"nics\":{") &&
	       strstr(answer, "\"asked_late\":") ? len : 0;
}

static void *question(void *unused)
{
	for (unsigned int i = 0; i < QUESTIONS; i++) {
		uint64_t at = reactor_now();
		size_t size = ask_all();

		line.ns[i] = reactor_now() - at;
		line.answered += size != 0;
		if (!i || size < line.shortest)
			line.shortest = size;
		if (size > line.longest)
			line.longest = size;
	}
	atomic_store(&line.done, true);
	return unused;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void busy_reactors_answer_in_the_next_pass(void **state)
{
	const struct reactor_counters *c = reactor_counters(vp[0].reactor);
	uint64_t over_budget = c->over_budget, asked = c->asked;
	unsigned int rounds = 0;
	pthread_t server, client;
	int fd[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	line.client = fd[0];
	line.server = fd[1];
	reactor_post(vp[0].reactor, &forever);
	assert_int_equal(pthread_create(&server, NULL, serve, NULL), 0);
	assert_int_equal(pthread_create(&client, NULL, question, NULL), 0);
	for (; !atomic_load(&line.done); rounds++) {
		read_disk();
		send_frames();
	}
	atomic_store(&ended, true);
	pthread_join(client, NULL);
	shutdown(line.client, SHUT_WR);
	pthread_join(server, NULL);
	close(fd[0]);
	close(fd[1]);
	reactor_inline_drain();
	qsort(line.ns, QUESTIONS, sizeof(line.ns[0]), compare);
	printf("%u answers of %zu to %zu bytes: median %llu us, nine of ten "
	       "within %llu us, all within %llu us; %u rounds of load; a "
	       "reactor held for %llu us at most\n", line.answered,
	       line.shortest, line.longest,
	       (unsigned long long)line.ns[QUESTIONS / 2] / 1000,
	       (unsigned long long)line.ns[QUESTIONS * 9 / 10] / 1000,
	       (unsigned long long)line.ns[QUESTIONS - 1] / 1000, rounds,
	       (unsigned long long)c->asked_held_ns / 1000);
	assert_int_equal(line.answered, QUESTIONS);
	assert_true(rounds);
	/* It had work left all the time, and was asked for more than this. */
	assert_true(c->over_budget - over_budget > QUESTIONS);
	assert_true(c->asked - asked > QUESTIONS);
	assert_int_equal(c->asked_late, 0);
	assert_int_equal(reactor_counters(vp[1].reactor)->asked_late, 0);
	assert_true(line.ns[QUESTIONS * 9 / 10] < LIMIT_NS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			busy_reactors_answer_in_the_next_pass, set_up,
			tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
