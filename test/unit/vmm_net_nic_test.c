/* SPDX-License-Identifier: MIT */
/* SOURCES: test/vmm/net_nic.c test/vmm/net_back.c test/vmm/net_back_pair.c test/vmm/net_back_tap.c test/vmm/net_back_user.c test/vmm/net_capture.c test/vmm/net_headers.c test/vmm/net_offload.c test/vmm/byte_ring.c test/vmm/device_option.c test/vmm/loop.c paravisor/reactor_calls.c paravisor/reactor_timers.c paravisor/log.c paravisor/guest_memory.c paravisor/inspect.c */
/*
 * A back-end as a NIC: guest memory on one side, the other end of a pair of
 * back-ends on the other. All that a client does, it does on the loop.
 */
#include "net_frames.h"
#include "net_unit.h"

#include "test/vmm/net_nic.h"
#include "test/vmm/net_offload.h"

#define GUEST 0x100000ull
#define GUEST_SIZE (1u << 20)
#define QUEUES 2u
#define RX_DEPTH 8u

static _Alignas(4096) uint8_t ram[GUEST_SIZE];
static struct guest_memory memory;
static struct net_back *ours, *theirs;
static struct test_client far;
static struct nic *nic;
static const uint8_t mac[6] = { 2, 0, 0, 0, 0, 2 };
static struct test_frame frame;

/* ---- a client ---- */

static struct {
	struct nic_queue *queue[QUEUES];
	int result;
	_Atomic unsigned int starts, stops;
	_Atomic unsigned int sent[QUEUES], failed, received[QUEUES];
	_Atomic uint32_t last_sent;
	struct nic_received last;
} client;

static unsigned int number_of(void *queue)
{
	return (unsigned int)(uintptr_t)queue;
}

static void on_received(void *q, const struct nic_received *frames,
			unsigned int nr)
{
	assert_true(reactor_is_current(loop));
	client.last = frames[nr - 1];
	client.received[number_of(q)] += nr;
}

static void on_sent(void *q, const struct nic_sent *frames, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++) {
		client.failed += frames[i].failed;
		client.last_sent = frames[i].id;
	}
	client.sent[number_of(q)] += nr;
}

static void on_started(void *opaque, int result,
		       struct nic_queue *const *queues)
{
	(void)opaque;
	client.result = result;
	for (unsigned int i = 0; i < QUEUES; i++)
		client.queue[i] = queues[i];
	client.starts++;
}

static void on_stopped(void *opaque)
{
	(void)opaque;
	client.stops++;
}

static const struct nic_client_ops client_ops = { on_received, on_sent,
						  on_started, on_stopped };

/* ---- calls on the loop ---- */

struct posting {
	unsigned int queue;
	struct nic_buffer buffer[RX_DEPTH];
	unsigned int nr;
};

static void do_post(void *arg)
{
	struct posting *p = arg;

	nic->ops->rx_post(client.queue[p->queue], p->buffer, p->nr);
}

/* One buffer of `len` bytes in two ranges, at page `page`. */
static void post(unsigned int queue, uint32_t id, unsigned int page,
		 uint32_t len)
{
	struct gpa_range range[2] = {
		{ GUEST + page * 4096ull, 20 },
		{ GUEST + page * 4096ull + 2048, len - 20 },
	};
	struct posting p = { .queue = queue, .nr = 1,
			     .buffer[0] = { id, 2, range } };

	reactor_run(loop, do_post, &p);
}

struct sending {
	unsigned int queue, nr, taken;
	const struct nic_frame *frames;
};

static void do_tx(void *arg)
{
	struct sending *s = arg;

	s->taken = nic->ops->tx(client.queue[s->queue], s->frames, s->nr);
}

static unsigned int send_frames(unsigned int queue,
				const struct nic_frame *frames,
				unsigned int nr)
{
	struct sending s = { queue, nr, 0, frames };

	reactor_run(loop, do_tx, &s);
	return s.taken;
}

static struct nic_start start_of(unsigned int queues)
{
	struct nic_start s = { .ops = &client_ops, .nr_queues = queues,
			       .rx_depth = RX_DEPTH, .tx_depth = 64 };

	for (unsigned int i = 0; i < queues; i++) {
		s.queue[i].reactor = loop;
		s.queue[i].client = (void *)(uintptr_t)i;
	}
	if (queues > 1) {
		s.rss.entries = 2;
		s.rss.table[1] = 1;
		for (unsigned int i = 0; i < NIC_RSS_KEY; i++)
			s.rss.key[i] = (uint8_t)(i * 37 + 11);
	}
	return s;
}

static int start_result;

static void do_start(void *arg)
{
	start_result = nic->ops->start(nic, arg);
}

static int try_start(struct nic_start s)
{
	reactor_run(loop, do_start, &s);
	return start_result;
}

static void do_stop(void *arg)
{
	(void)arg;
	nic->ops->stop(nic);
}

static void do_filter(void *arg)
{
	nic->ops->set_filter(nic, (unsigned int)(uintptr_t)arg);
}

static void filter(unsigned int bits)
{
	reactor_run(loop, do_filter, (void *)(uintptr_t)bits);
}

static void running(unsigned int queues)
{
	assert_int_equal(try_start(start_of(queues)), 0);
	WAIT_FOR(client.starts == 1);
	assert_int_equal(client.result, 0);
	filter(NIC_DIRECTED | NIC_BROADCAST);
}

static int setup(void **state)
{
	struct net_nic_config config = { .memory = &memory, .max_queues = 4 };

	(void)state;
	memset(&client, 0, sizeof(client));
	memset(&far, 0, sizeof(far));
	memset(ram, 0, sizeof(ram));
	memset(&memory, 0, sizeof(memory));
	assert_int_equal(guest_memory_add(&memory, GUEST, GUEST_SIZE, ram), 0);
	loop = loop_create();
	config.loop = loop;
	config.back = ours = open_back(0, "pair");
	theirs = open_back(1, "pair");
	net_back_join(ours, theirs);
	memcpy(config.mac, mac, 6);
	nic = net_nic_open(&config);
	client_start(&far, theirs);
	loop_begin();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	if (client.starts > client.stops) {
		reactor_run(loop, do_stop, NULL);
		WAIT_FOR(client.stops == client.starts);
	}
	loop_end();
	nic->ops->close(nic);
	close_back(0, ours);
	close_back(1, theirs);
	loop_destroy(loop);
	return 0;
}

static struct nic_stats stats(void)
{
	struct nic_stats now;

	nic->ops->stats(nic, &now);
	return now;
}

/* ---- tests ---- */

static void test_rules(void **state)
{
	struct nic_start s = start_of(2);
	struct nic_info info;

	(void)state;
	nic->ops->info(nic, &info);
	assert_int_equal(info.max_frame, 1514);
	assert_memory_equal(info.mac, mac, 6);
	s.nr_queues = 3;
	assert_int_equal(try_start(s), -EINVAL);
	s.nr_queues = 8;
	assert_int_equal(try_start(s), -EINVAL);
	s = start_of(2);
	s.rss.table[0] = 2;
	assert_int_equal(try_start(s), -EINVAL);
	s = start_of(2);
	s.rx_depth = (uint16_t)(info.max_rx_depth + 1);
	assert_int_equal(try_start(s), -EINVAL);
	running(2);
	assert_int_equal(try_start(start_of(1)), -EBUSY);
	reactor_run(loop, do_stop, NULL);
	WAIT_FOR(client.stops == 1);
	assert_int_equal(try_start(start_of(2)), 0);
	WAIT_FOR(client.starts == 2);
}

static void test_send(void **state)
{
	struct net_offload o = offload_of(false, true, 1000);
	struct gpa_range range[2] = { { GUEST + 4090, 54 },
				      { GUEST + 0x4000, 3000 } };
	struct nic_frame f = {
		.id = 7,
		.nr_ranges = 2,
		.offload = NIC_LSO4 | NIC_VLAN,
		.vlan = 0xa123,
		.mss = o.mss,
		.l4_offset = o.l4,
		.header_len = o.header_len,
		.ranges = range,
	};

	(void)state;
	running(1);
	make_frame(&frame, false, true, 3000);
	memcpy(ram + 4090, frame.byte, 54);
	memcpy(ram + 0x4000, frame.byte + 54, 3000);
	assert_int_equal(send_frames(0, &f, 1), 1);
	WAIT_FOR(client_frames(&far) == 3 && client.sent[0] == 1);
	assert_int_equal(client.last_sent, 7);
	assert_int_equal(client.failed, 0);
	assert_int_equal(far.last.len, 58 + 1000);
	assert_int_equal(get32(far.last.byte + 12), 0x8100a123);
	assert_finished(far.last.byte, far.last.len);
	assert_memory_equal(far.last.byte + 58, frame.byte + 54 + 2000, 1000);
	/* Not guest memory; too short. */
	range[1].gpa = GUEST + GUEST_SIZE - 8;
	assert_int_equal(send_frames(0, &f, 1), 1);
	WAIT_FOR(client.sent[0] == 2);
	assert_int_equal(client.failed, 1);
	f.nr_ranges = 1;
	range[0].len = 13;
	assert_int_equal(send_frames(0, &f, 1), 1);
	WAIT_FOR(client.sent[0] == 3);
	assert_int_equal(client.failed, 2);
	assert_int_equal(stats().tx_failed, 2);
	assert_int_equal(stats().tx_frames, 1);
}

/* More than the back-end has room for: the queue takes no more, and goes on. */
static void test_send_without_room(void **state)
{
	struct gpa_range range = { GUEST, 60000 };
	struct nic_frame f[40];
	unsigned int taken;

	(void)state;
	running(1);
	for (unsigned int i = 0; i < 40; i++)
		f[i] = (struct nic_frame){ .id = i, .nr_ranges = 1,
					   .ranges = &range };
	taken = send_frames(0, f, 40);
	assert_in_range(taken, 10, 30);
	WAIT_FOR(client.sent[0] == taken);
	assert_int_equal(client.last_sent, taken - 1);
	assert_int_equal(client.failed, 0);
	assert_true(send_frames(0, f + taken, 1) == 1);
	WAIT_FOR(client.sent[0] == taken + 1);
	assert_int_equal(client_frames(&far), taken + 1);
}

static void send_to_us(unsigned int port, uint32_t len)
{
	struct net_offload o = offload_of(false, true, 0);

	make_frame(&frame, false, true, len);
	net_put16(frame.byte + 34, (uint16_t)port);
	assert_true(send_frame(theirs, &frame, &o));
}

static void test_receive(void **state)
{
	(void)state;
	running(1);
	post(0, 11, 4, 1600);
	send_to_us(1, 500);
	WAIT_FOR(client.received[0] == 1);
	assert_int_equal(client.last.id, 11);
	assert_int_equal(client.last.len, frame.len);
	assert_int_equal(client.last.good, NIC_IP4_CHECKSUM |
						   NIC_TCP4_CHECKSUM);
	assert_int_equal(client.last.bad, 0);
	assert_memory_equal(ram + 4 * 4096, frame.byte, 20);
	assert_memory_equal(ram + 4 * 4096 + 2048 + 40, frame.byte + 60, 494);
	/* No buffer; one that is too small; another one's address. */
	send_to_us(1, 100);
	WAIT_FOR(stats().rx_dropped == 1);
	post(0, 12, 4, 100);
	send_to_us(1, 500);
	WAIT_FOR(stats().rx_dropped == 2);
	filter(NIC_BROADCAST);
	send_to_us(1, 10);
	memset(frame.byte, 0xff, 6);
	assert_true(send_frame(theirs, &frame, NULL));
	WAIT_FOR(client.received[0] == 2);
	assert_int_equal(client.last.id, 12);
	/* Its checksums were never filled in. */
	assert_int_equal(client.last.bad, NIC_IP4_CHECKSUM |
						  NIC_TCP4_CHECKSUM);
	assert_int_equal(stats().rx_frames, 2);
}

static void test_queues(void **state)
{
	struct nic_start s = start_of(2);
	struct net_headers h;

	(void)state;
	running(2);
	for (unsigned int i = 0; i < 12; i++) {
		unsigned int queue, before;
		uint32_t hash;

		make_frame(&frame, false, true, 10);
		net_put16(frame.byte + 34, (uint16_t)i);
		net_headers_parse(frame.byte, frame.len, &h);
		hash = net_rss_hash(frame.byte, &h, s.rss.key);
		queue = hash % 2;
		before = client.received[queue];
		post(queue, i, 4, 1600);
		send_to_us(i, 10);
		WAIT_FOR(client.received[queue] == before + 1);
		assert_int_equal(client.last.hash, hash);
		assert_true(client.last.good & NIC_HASH);
	}
	assert_true(client.received[0] && client.received[1]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_rules),
		TEST(test_send),
		TEST(test_send_without_room),
		TEST(test_receive),
		TEST(test_queues),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
