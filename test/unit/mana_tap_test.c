/* SPDX-License-Identifier: MIT */
/* SOURCES: mana/tap.c mana/tap_frame.c test/unit/reactor_inline.c paravisor/guest_memory.c paravisor/inspect.c paravisor/log.c */

/*
 * A real tap, in a network namespace of the test's own. Without the right to
 * make one, or without /dev/net/tun, all is skipped and the reason printed.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netpacket/packet.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "mana/tap.h"
#include "test/unit/reactor_inline.h"

#define GPA 0x100000u
#define RAM 0x40000u
#define NAME "pvtap0"
#define MAX_WATCHES 8

static _Alignas(4096) uint8_t ram[RAM];
static struct guest_memory memory;
static struct reactor *reactor;
static struct nic *nic;
static struct nic_queue *queue;
static struct reactor_watch *watches[MAX_WATCHES];
static int packet_fd, started_result;
static unsigned int nr_stopped, nr_received, nr_sent;
static struct nic_received got[64];
static struct nic_sent done[64];

int reactor_watch_add(struct reactor *r, struct reactor_watch *watch)
{
	(void)r;
	for (unsigned int i = 0; i < MAX_WATCHES; i++)
		if (!watches[i]) {
			watches[i] = watch;
			return 0;
		}
	return -EMFILE;
}

void reactor_watch_remove(struct reactor *r, struct reactor_watch *watch)
{
	(void)r;
	for (unsigned int i = 0; i < MAX_WATCHES; i++)
		if (watches[i] == watch)
			watches[i] = NULL;
}

/* Waits until a watched descriptor is readable, and says so. */
static bool pass(int ms)
{
	bool any = false;

	for (unsigned int i = 0; i < MAX_WATCHES; i++) {
		struct pollfd p = { .fd = watches[i] ? watches[i]->fd : -1,
				    .events = POLLIN };

		if (watches[i] && poll(&p, 1, ms) > 0) {
			watches[i]->fn(watches[i]);
			any = true;
		}
	}
	reactor_inline_drain();
	return any;
}

static void received(void *client, const struct nic_received *frames,
		     unsigned int nr)
{
	(void)client;
	memcpy(got + nr_received, frames, nr * sizeof(*frames));
	nr_received += nr;
}

static void sent(void *client, const struct nic_sent *frames, unsigned int nr)
{
	(void)client;
	memcpy(done + nr_sent, frames, nr * sizeof(*frames));
	nr_sent += nr;
}

static void started(void *client, int result, struct nic_queue *const *queues)
{
	(void)client;
	started_result = result;
	queue = queues ? queues[0] : NULL;
}

static void stopped(void *client)
{
	(void)client;
	nr_stopped++;
}

static const struct nic_client_ops ops = { received, sent, started, stopped };

static void interface(unsigned long request, struct ifreq *r)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	strcpy(r->ifr_name, NAME);
	assert_int_equal(ioctl(fd, request, r), 0);
	close(fd);
}

/* Or the kernel looks for routers on an interface that comes up. */
static void no_ip6(void)
{
	int fd = open("/proc/sys/net/ipv6/conf/default/disable_ipv6", O_WRONLY);

	if (fd < 0)
		return; /* a kernel without it */
	assert_int_equal(write(fd, "1", 1), 1);
	close(fd);
}

static int own_network(void **state)
{
	int fd = open("/dev/net/tun", O_RDWR);

	(void)state;
	if (fd < 0) {
		printf("skipped: /dev/net/tun: %s\n", strerror(errno));
		exit(0);
	}
	close(fd);
	if (unshare(CLONE_NEWNET)) {
		printf("skipped: a network namespace: %s\n", strerror(errno));
		exit(0);
	}
	no_ip6();
	return guest_memory_add(&memory, GPA, RAM, ram);
}

static int setup(void **state)
{
	struct tap_config config = { .name = NAME, .memory = &memory };
	struct nic_start start = { .ops = &ops, .nr_queues = 1, .rx_depth = 16,
				   .tx_depth = 16 };
	struct sockaddr_ll at = { .sll_family = AF_PACKET,
				  .sll_protocol = htons(ETH_P_ALL) };
	struct ifreq r = { .ifr_flags = IFF_UP | IFF_NOARP };
	struct sockaddr_in address = { .sin_family = AF_INET };

	(void)state;
	nr_received = nr_sent = nr_stopped = 0;
	started_result = 1;
	config.reactor = reactor = reactor_inline_create();
	start.queue[0].reactor = reactor;
	if (tap_open(&config, &nic) || nic->ops->start(nic, &start))
		return -1;
	reactor_inline_drain();
	nic->ops->set_filter(nic, NIC_DIRECTED);
	address.sin_addr.s_addr = htonl(0x0a000001);
	interface(SIOCSIFFLAGS, &r);
	memcpy(&r.ifr_addr, &address, sizeof(address));
	interface(SIOCSIFADDR, &r);
	interface(SIOCGIFINDEX, &r);
	at.sll_ifindex = r.ifr_ifindex;
	packet_fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, 0);
	return packet_fd < 0 || bind(packet_fd, (struct sockaddr *)&at,
				     sizeof(at)) ? -1 : started_result;
}

static int teardown(void **state)
{
	(void)state;
	close(packet_fd);
	nic->ops->stop(nic);
	reactor_inline_drain();
	assert_int_equal(nr_stopped, 1);
	nic->ops->close(nic);
	reactor_inline_destroy(reactor);
	return 0;
}

static void fill(uint8_t *frame, unsigned int len)
{
	memset(frame, 0xff, 6);
	memcpy(frame + 6, "\x02\x00\x00\x00\x00\x09\x88\xb5", 8);
	for (unsigned int i = 14; i < len; i++)
		frame[i] = (uint8_t)(i * 3);
}

static void what_a_tap_is(void **state)
{
	struct nic_info info;

	(void)state;
	nic->ops->info(nic, &info);
	assert_int_equal(info.max_frame, 1514);
	assert_true(info.link_up);
	assert_true(info.tx_can & NIC_LSO4);
	assert_int_equal(info.rx_can, 0);
	assert_int_equal(info.mac[0] & 1, 0);
}

static void a_frame_of_pieces_leaves(void **state)
{
	const struct gpa_range r[] = { { GPA + 0x10, 20 }, { GPA + 0x1000, 300 },
				       { GPA + 0x3000, 80 } };
	const struct nic_frame frame = { .id = 5, .nr_ranges = 3, .ranges = r };
	uint8_t want[400], seen[2000];

	(void)state;
	fill(want, sizeof(want));
	memcpy(ram + 0x10, want, 20);
	memcpy(ram + 0x1000, want + 20, 300);
	memcpy(ram + 0x3000, want + 320, 80);
	assert_int_equal(nic->ops->tx(queue, &frame, 1), 1);
	assert_int_equal(nr_sent, 0); /* not from inside of the call */
	reactor_inline_drain();
	assert_int_equal(nr_sent, 1);
	assert_int_equal(done[0].id, 5);
	assert_false(done[0].failed);
	for (;;) { /* the kernel may say something of its own */
		ssize_t n = recv(packet_fd, seen, sizeof(seen), 0);

		assert_true(n > 0);
		if (n != (ssize_t)sizeof(want))
			continue;
		assert_memory_equal(seen, want, sizeof(want));
		break;
	}
}

static void frames_come_straight_into_buffers(void **state)
{
	const struct gpa_range r[] = { { GPA + 0x8080, 100 },
				       { GPA + 0xa000, 1800 } };
	const struct nic_buffer b = { 7, 2, r };
	uint8_t frame[600];

	(void)state;
	fill(frame, sizeof(frame));
	while (pass(0)) /* without buffers nothing is watched */
		;
	nic->ops->rx_post(queue, &b, 1);
	assert_int_equal(send(packet_fd, frame, sizeof(frame), 0),
			 sizeof(frame));
	assert_true(pass(1000));
	assert_int_equal(nr_received, 1);
	assert_int_equal(got[0].id, 7);
	assert_int_equal(got[0].len, sizeof(frame));
	assert_memory_equal(ram + 0x8080, frame, 100);
	assert_memory_equal(ram + 0xa000, frame + 100, 500);
	for (unsigned int i = 0; i < MAX_WATCHES; i++)
		assert_null(watches[i]); /* the last buffer is gone */
}

static void a_frame_longer_than_its_buffer_is_dropped(void **state)
{
	const struct gpa_range r = { GPA + 0x8080, 100 };
	const struct nic_buffer b = { 7, 1, &r };
	struct nic_stats stats;
	uint8_t frame[600];

	(void)state;
	fill(frame, sizeof(frame));
	ram[0x8080 + 100] = 0x77;
	nic->ops->rx_post(queue, &b, 1);
	send(packet_fd, frame, sizeof(frame), 0);
	assert_true(pass(1000));
	assert_int_equal(nr_received, 1);
	assert_int_equal(got[0].len, 0);
	assert_int_equal(ram[0x8080 + 100], 0x77);
	nic->ops->stats(nic, &stats);
	assert_int_equal(stats.rx_dropped, 1);
}

static void without_a_filter_nothing_comes(void **state)
{
	const struct gpa_range r = { GPA + 0x8080, 1800 };
	const struct nic_buffer b = { 7, 1, &r };
	uint8_t frame[600];

	(void)state;
	fill(frame, sizeof(frame));
	nic->ops->set_filter(nic, 0);
	nic->ops->rx_post(queue, &b, 1);
	send(packet_fd, frame, sizeof(frame), 0);
	assert_true(pass(1000));
	assert_int_equal(nr_received, 0);
	nic->ops->set_filter(nic, NIC_DIRECTED);
	send(packet_fd, frame, sizeof(frame), 0);
	assert_true(pass(1000));
	assert_int_equal(nr_received, 1);
}

/* The kernel takes a UDP packet whose checksums it has to believe we left to
 * it: its own stack is the judge. */
static void offloaded_checksums_reach_a_socket(void **state)
{
	static const uint8_t head[] = {
		0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 9, 0x08, 0x00,
		0x45, 0, 0, 28 + 5, 0, 1, 0x40, 0, 64, 17, 0xaa, 0xaa,
		10, 0, 0, 2, 10, 0, 0, 1,
		0x30, 0x39, 0x30, 0x39, 0, 8 + 5, 0x14, 0x21,
		'h', 'e', 'l', 'l', 'o',
	};
	const struct gpa_range range = { GPA, sizeof(head) };
	const struct nic_frame frame = {
		.nr_ranges = 1, .ranges = &range, .l4_offset = 34,
		.offload = NIC_IP4_CHECKSUM | NIC_UDP4_CHECKSUM,
	};
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_port = htons(0x3039) };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	/* Of the pseudo-header: addresses, protocol, length. */
	const uint32_t pseudo = 0x0a00 + 2 + 0x0a00 + 1 + 17 + 13;
	struct ifreq r = { .ifr_flags = 0 };
	char text[16];

	(void)state;
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	memcpy(ram, head, sizeof(head));
	interface(SIOCGIFHWADDR, &r);
	memcpy(ram, r.ifr_hwaddr.sa_data, 6);
	ram[40] = (uint8_t)(pseudo >> 8);
	ram[41] = pseudo & 0xff;
	assert_int_equal(nic->ops->tx(queue, &frame, 1), 1);
	reactor_inline_drain();
	assert_false(done[0].failed);
	assert_int_equal(poll(&p, 1, 2000), 1);
	assert_int_equal(recv(fd, text, sizeof(text), 0), 5);
	assert_memory_equal(text, "hello", 5);
	close(fd);
}

static void a_frame_that_is_none_fails(void **state)
{
	const struct gpa_range r = { GPA, 13 };
	const struct nic_frame frame = { .id = 1, .nr_ranges = 1, .ranges = &r };

	(void)state;
	assert_int_equal(nic->ops->tx(queue, &frame, 1), 1);
	reactor_inline_drain();
	assert_true(done[0].failed);
}

static void names_that_can_not_be(void **state)
{
	static const char *const names[] = { "", "tap%d", "a/b",
					     "0123456789abcdef" };
	struct tap_config config = { .memory = &memory, .reactor = reactor };
	struct nic *other;

	(void)state;
	for (unsigned int i = 0; i < 4; i++) {
		config.name = names[i];
		assert_int_equal(tap_open(&config, &other), -EINVAL);
	}
}

static void starts_that_can_not_be(void **state)
{
	struct nic_start start = { .ops = &ops, .nr_queues = 1, .rx_depth = 1,
				   .tx_depth = 1 };

	(void)state;
	assert_int_equal(nic->ops->start(nic, &start), -EBUSY);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(what_a_tap_is),
		TEST(a_frame_of_pieces_leaves),
		TEST(frames_come_straight_into_buffers),
		TEST(a_frame_longer_than_its_buffer_is_dropped),
		TEST(without_a_filter_nothing_comes),
		TEST(offloaded_checksums_reach_a_socket),
		TEST(a_frame_that_is_none_fails),
		TEST(names_that_can_not_be),
		TEST(starts_that_can_not_be),
	};

	return cmocka_run_group_tests(tests, own_network, NULL);
}
