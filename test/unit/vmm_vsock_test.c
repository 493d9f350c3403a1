/* SPDX-License-Identifier: MIT */
/* SOURCES: test/vmm/vsock.c test/vmm/vsock_connection.c test/vmm/unix_listen.c relay/ring.c relay/gpadl.c relay/gpadl_messages.c relay/channel.c relay/channel_messages.c relay/offer.c relay/relayed.c relay/server.c relay/connection.c */
/* SOURCES: paravisor/guest_memory.c paravisor/log.c paravisor/violation.c paravisor/inspect.c include/guid.c test/guest_driver/guest_driver.c test/guest_driver/guest_channel.c test/unit/reactor_inline.c */
/*
 * Sockets of a guest, from both sides: clients on Unix sockets, and a driver
 * behind VMBus and its rings. Descriptors are looked at when the test turns.
 */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "reactor_inline.h"
#include "relay/ring_reg.h"
#include "test/guest_driver/guest_driver.h"
#include "test/vmm/hv_sock_reg.h"
#include "test/vmm/loop.h"
#include "test/vmm/unix_listen.h"
#include "test/vmm/vsock.h"

#define S 1000000000ull
#define PORT 9980u
#define RING 8 /* pages */
#define MAX_WATCHED 64

/* ---- the loop's descriptors ---- */

static struct loop_fd *watched[MAX_WATCHED];

void loop_fd_add(struct reactor *loop, struct loop_fd *watch)
{
	(void)loop;
	for (unsigned int i = 0; i < MAX_WATCHED; i++)
		if (!watched[i]) {
			watched[i] = watch;
			return;
		}
	fail_msg("too many descriptors");
}

void loop_fd_remove(struct reactor *loop, struct loop_fd *watch)
{
	(void)loop;
	for (unsigned int i = 0; i < MAX_WATCHED; i++)
		if (watched[i] == watch)
			watched[i] = NULL;
}

/* Until nothing has an event. A descriptor that has one for ever fails. */
static void turn(void)
{
	bool any = true;

	for (unsigned int turns = 0; any; turns++) {
		assert_in_range(turns, 0, 1000);
		any = false;
		reactor_inline_drain();
		for (unsigned int i = 0; i < MAX_WATCHED; i++) {
			struct loop_fd *w = watched[i];
			struct pollfd p = { .fd = w ? w->fd : -1,
					    .events = w ? w->events : 0 };

			if (!w || poll(&p, 1, 0) <= 0)
				continue;
			w->fn(w, p.revents);
			any = true;
		}
	}
	reactor_inline_drain();
}

/* ---- the world ---- */

static struct guest_driver *g;
static struct vsock *vsock;
static char path[64];

static int setup(void **state)
{
	unsigned int offers;

	(void)state;
	memset(watched, 0, sizeof(watched));
	snprintf(path, sizeof(path), "/tmp/vsock-test.%d", getpid());
	g = guest_driver_create(4096, 1, 0);
	vsock = vsock_open("--vsock-path", path, g->reactor[0]);
	assert_non_null(vsock);
	vsock_attach(vsock, g->server);
	assert_int_equal(guest_contact(g, VMBUS_VERSION_COPPER, 0, 0), 0);
	assert_int_equal(guest_request_offers(g, &offers, NULL, 0), 0);
	assert_int_equal(offers, 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	vsock_revoke(vsock);
	reactor_inline_drain();
	vsock_close(vsock);
	assert_int_equal(access(path, F_OK), -1);
	guest_driver_destroy(g);
	return 0;
}

/* ---- a client ---- */

static int dial(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	strcpy(address.sun_path, path);
	assert_int_equal(connect(fd, (struct sockaddr *)&address,
				 sizeof(address)), 0);
	return fd;
}

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL),
			 strlen(text));
	turn();
}

static void hear(int fd, const char *text)
{
	char got[128] = "";
	ssize_t n = recv(fd, got, sizeof(got) - 1, 0);

	assert_int_equal(n, strlen(text));
	assert_string_equal(got, text);
}

static void hear_end(int fd)
{
	char byte;
	ssize_t n = recv(fd, &byte, 1, 0);

	/* Reset: it had not read all that we said. */
	assert_true(!n || (n < 0 && errno == ECONNRESET));
}

static void hear_nothing(int fd)
{
	char byte;

	assert_int_equal(recv(fd, &byte, 1, 0), -1);
	assert_int_equal(errno, EAGAIN);
}

/* ---- the guest ---- */

static struct hv_sock_offer offer_of(const struct vmbus_offer_channel *offer)
{
	struct hv_sock_offer user;

	memcpy(&user, offer->user_data, sizeof(user));
	return user;
}

static void expect_offer(struct vmbus_offer_channel *offer)
{
	assert_int_equal(guest_expect(g, VMBUS_OFFER_CHANNEL, offer,
				      sizeof(*offer)), 0);
}

static void expect_rescind(uint32_t id)
{
	struct vmbus_channel_message rescind;

	assert_int_equal(guest_expect(g, VMBUS_RESCIND_CHANNEL, &rescind,
				      sizeof(rescind)), 0);
	assert_int_equal(le32_to_cpu(rescind.channel), id);
}

static void give(struct guest_channel *ch, const void *bytes, uint32_t size)
{
	uint8_t packet[8192];
	struct hv_sock_header header = { cpu_to_le32(HV_SOCK_DATA),
					 cpu_to_le32(size) };

	memcpy(packet, &header, sizeof(header));
	memcpy(packet + sizeof(header), bytes, size);
	assert_int_equal(guest_send(ch, RING_PACKET_INBAND, 0, 0, NULL, 0,
				    packet, (uint32_t)sizeof(header) + size),
			 0);
	turn();
}

/* Bytes of the next packet, or -1. */
static int take(struct guest_channel *ch, void *bytes)
{
	static _Alignas(8) uint8_t buffer[RING_MAX_PACKET];
	struct hv_sock_header header;
	struct ring_packet packet;
	uint32_t size;

	if (guest_receive(ch, buffer, &packet))
		return -1;
	memcpy(&header, packet.payload, sizeof(header));
	size = le32_to_cpu(header.size);
	assert_in_range(size, 0, packet.payload_size - sizeof(header));
	memcpy(bytes, packet.payload + sizeof(header), size);
	return (int)size;
}

static void let_go(struct guest_channel *ch)
{
	guest_close(ch);
	turn();
	expect_rescind(ch->id);
	guest_gpadl_teardown(g, ch->id, ch->gpadl);
	guest_channel_free(ch);
}

/* A client that got through. */
static int connected(struct guest_channel *ch)
{
	struct vmbus_offer_channel offer;
	int fd = dial();

	turn();
	say(fd, "CONNECT 9980\n");
	expect_offer(&offer);
	assert_int_equal(guest_open(g, &offer, RING, 0, ch), 0);
	turn();
	hear(fd, "OK 9980\n");
	return fd;
}

/* ---- cases ---- */

static void the_host_asks(void **state)
{
	static const struct guid service = HV_SOCK_SERVICE(PORT);
	struct vmbus_offer_channel offer;
	struct guest_channel ch;
	char got[8192];
	int fd = dial();

	(void)state;
	say(fd, "CONNECT 99");
	say(fd, "80\nearly");
	expect_offer(&offer);
	assert_memory_equal(&offer.interface, &service, sizeof(service));
	assert_int_equal(offer_of(&offer).for_guest_accept, 1);
	hear_nothing(fd);
	assert_int_equal(guest_open(g, &offer, RING, 0, &ch), 0);
	turn();
	hear(fd, "OK 9980\n");
	assert_int_equal(take(&ch, got), 5);
	assert_memory_equal(got, "early", 5);
	give(&ch, "answer", 6);
	hear(fd, "answer");
	close(fd);
	turn();
	assert_int_equal(take(&ch, got), 0);
	let_go(&ch);
}

/* A guest that has its ring full as long as it can, and a client that takes all
 * there is. */
static struct {
	struct guest_channel *ch; /* NULL: there is none */
	unsigned int put, sent;
} filler;

static void fill(void)
{
	const struct hv_sock_header header = {
		.type = cpu_to_le32(HV_SOCK_DATA), .size = cpu_to_le32(1),
	};
	uint8_t packet[sizeof(header) + 1] = { 0 };

	memcpy(packet, &header, sizeof(header));
	while (filler.put < 5000 &&
	       !guest_send(filler.ch, RING_PACKET_INBAND, 0, 0, NULL, 0,
			   packet, sizeof(packet)))
		filler.put++;
}

ssize_t send(int fd, const void *bytes, size_t len, int flags)
{
	if (!filler.ch)
		return sendto(fd, bytes, len, flags, NULL, 0);
	filler.sent++;
	fill();
	return (ssize_t)len;
}

/* It has its share of the thread's time, and gets all of its bytes through. */
static void a_guest_without_an_end(void **state)
{
	struct guest_channel ch;
	int fd = connected(&ch);
	bool any = true;

	(void)state;
	g->manual = true;
	filler.ch = &ch;
	filler.put = filler.sent = 0;
	fill();
	assert_in_range(filler.put, 300, 4999);
	for (unsigned int before; any; ) {
		before = filler.sent;
		any = reactor_inline_step();
		assert_in_range(filler.sent, before, before + 256);
	}
	assert_int_equal(filler.sent, 5000);
	filler.ch = NULL;
	g->manual = false;
	close(fd);
	turn();
	let_go(&ch);
}

/* What is no request ends the client, and only it. */
static void lines_that_are_none(void **state)
{
	static const char *const lines[] = {
		"\n", "connect 1\n", "CONNECT \n", "CONNECT x\n",
		"CONNECT -1\n", "CONNECT 4294967295\n", "CONNECT 1 \n",
		"CONNECT 00000000001\n",
		"CONNECT 1111111111111111111111111111111",
	};
	struct guest_message message;

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		int fd = dial();

		say(fd, lines[i]);
		hear_end(fd);
		close(fd);
	}
	assert_false(guest_take(g, &message));
}

static void nobody_listens(void **state)
{
	struct vmbus_offer_channel offer;
	int fd = dial();

	(void)state;
	say(fd, "CONNECT 7\n");
	expect_offer(&offer);
	reactor_inline_advance(S + S / 2);
	turn();
	hear_nothing(fd);
	reactor_inline_advance(S / 2 - 1);
	turn();
	hear_end(fd);
	expect_rescind(le32_to_cpu(offer.channel));
	close(fd);
}

/* The lab says how long its guests may take. */
static int setup_slow(void **state)
{
	int ret;

	setenv("VMM_VSOCK_ACCEPT", "5000", 1);
	ret = setup(state);
	unsetenv("VMM_VSOCK_ACCEPT");
	return ret;
}

static void a_slow_guest_has_longer(void **state)
{
	struct vmbus_offer_channel offer;
	int fd = dial();

	(void)state;
	say(fd, "CONNECT 7\n");
	expect_offer(&offer);
	reactor_inline_advance(5 * S - 1);
	turn();
	hear_nothing(fd);
	reactor_inline_advance(1);
	turn();
	hear_end(fd);
	expect_rescind(le32_to_cpu(offer.channel));
	close(fd);
}

/* A guest that opens one after the other is not told that nobody listens; but
 * it is in the end, however many others it opens. */
static void one_after_the_other(void **state)
{
	struct vmbus_offer_channel offer[16];
	struct guest_channel ch[16];
	int fd[16];

	(void)state;
	for (unsigned int i = 0; i < 16; i++) {
		fd[i] = dial();
		say(fd[i], "CONNECT 9980\n");
		expect_offer(&offer[i]);
	}
	for (unsigned int i = 0; i < 13; i++) {
		reactor_inline_advance(S + S / 2);
		turn();
		hear_nothing(fd[i]);
		hear_nothing(fd[15]);
		assert_int_equal(guest_open(g, &offer[i], RING, 0, &ch[i]), 0);
		turn();
		hear(fd[i], "OK 9980\n");
	}
	reactor_inline_advance(2 * S);
	turn();
	/* The newest connection is the first of the list. */
	for (unsigned int i = 15; i >= 13; i--) {
		hear_end(fd[i]);
		expect_rescind(le32_to_cpu(offer[i].channel));
	}
	for (unsigned int i = 0; i < 13; i++)
		let_go(&ch[i]);
	for (unsigned int i = 0; i < 16; i++)
		close(fd[i]);
}

/* Each direction ends on its own; bytes that wait are not lost by it. */
static void half_closed(void **state)
{
	struct guest_channel ch;
	char got[8192];
	int fd;

	(void)state;
	fd = connected(&ch);
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	turn();
	assert_int_equal(take(&ch, got), 0);
	give(&ch, "still", 5);
	hear(fd, "still");
	give(&ch, "", 0);
	hear_end(fd);
	/* The guest closes in its own time ... */
	reactor_inline_advance(9 * S);
	turn();
	let_go(&ch);
	close(fd);

	fd = connected(&ch);
	give(&ch, "", 0);
	hear_end(fd);
	say(fd, "on and on");
	assert_int_equal(take(&ch, got), 9);
	close(fd);
	turn();
	/* ... or is not waited for. */
	assert_int_equal(take(&ch, got), 0);
	reactor_inline_advance(11 * S);
	turn();
	expect_rescind(ch.id);
	guest_close(&ch);
	guest_gpadl_teardown(g, ch.id, ch.gpadl);
	guest_channel_free(&ch);
}

/* What a client sent before it went away reaches a guest that reads late. */
static void a_client_that_is_gone(void **state)
{
	uint64_t sent = 0, seen = 0;
	struct guest_channel ch;
	char bytes[8192];
	ssize_t n;
	int fd, len;

	(void)state;
	fd = connected(&ch);
	memset(bytes, 'x', sizeof(bytes));
	while ((n = send(fd, bytes, sizeof(bytes), MSG_NOSIGNAL)) > 0) {
		sent += (uint64_t)n;
		turn();
	}
	assert_true(sent > RING * 4096 / 2 + 65536);
	close(fd);
	turn();
	give(&ch, "to nobody", 9);
	while ((len = take(&ch, bytes)) > 0) {
		seen += (uint64_t)len;
		turn();
	}
	assert_int_equal(len, 0);
	assert_int_equal(seen, sent);
	let_go(&ch);
}

/* A client that reads late holds the guest back, and loses nothing. */
static void a_client_that_is_slow(void **state)
{
	char bytes[4096], got[65536];
	uint64_t sent = 0, seen = 0;
	struct guest_channel ch;
	ssize_t n;
	int fd;

	(void)state;
	fd = connected(&ch);
	for (;;) {
		struct hv_sock_header header = { cpu_to_le32(HV_SOCK_DATA),
						 cpu_to_le32(1000) };

		memset(bytes, (int)(sent / 1000 % 251), sizeof(bytes));
		memcpy(bytes, &header, sizeof(header));
		if (guest_send(&ch, RING_PACKET_INBAND, 0, 0, NULL, 0, bytes,
			       1000 + sizeof(header)))
			break;
		sent += 1000;
		turn();
		assert_true(sent < 10000000);
	}
	while (seen < sent && (n = recv(fd, got, sizeof(got), 0)) > 0) {
		for (ssize_t i = 0; i < n; i++)
			assert_int_equal((uint8_t)got[i],
					 (seen + (uint64_t)i) / 1000 % 251);
		seen += (uint64_t)n;
		turn();
	}
	assert_int_equal(seen, sent);
	let_go(&ch);
	hear_end(fd);
	close(fd);
}

/* As Linux does: without a silo, whatever the version. */
static void ask(uint32_t from, uint32_t port)
{
	struct vmbus_tl_connect_request request = {
		.endpoint = HV_SOCK_SERVICE(from),
		.service = HV_SOCK_SERVICE(port),
	};

	assert_int_equal(guest_post(g, VMBUS_TL_CONNECT_REQUEST, &request,
				    sizeof(request)), 0);
}

static void expect_refusal(uint32_t from)
{
	const struct guid endpoint = HV_SOCK_SERVICE(from);
	struct vmbus_tl_connect_result result;

	assert_int_equal(guest_expect(g, VMBUS_TL_CONNECT_RESULT, &result,
				      sizeof(result)), 0);
	assert_memory_equal(&result.endpoint, &endpoint, sizeof(endpoint));
	assert_int_equal(le32_to_cpu(result.status),
			 VMBUS_STATUS_CONNECTION_REFUSED);
}

static void the_guest_asks(void **state)
{
	const struct guid endpoint = HV_SOCK_SERVICE(50000);
	const struct guid service = HV_SOCK_SERVICE(PORT);
	struct vmbus_offer_channel offer;
	struct guest_channel ch;
	char name[80], got[8192];
	int listener, fd;

	(void)state;
	ask(50000, PORT);
	turn();
	expect_refusal(50000);
	snprintf(name, sizeof(name), "%s_%u", path, PORT);
	listener = unix_listen(name, 4);
	assert_true(listener >= 0);
	ask(50000, PORT);
	turn();
	expect_offer(&offer);
	assert_memory_equal(&offer.interface, &service, sizeof(service));
	assert_memory_equal(&offer.instance, &endpoint, sizeof(endpoint));
	assert_int_equal(offer_of(&offer).for_guest_accept, 0);
	/* The same again is no other connection. */
	ask(50000, PORT);
	turn();
	expect_refusal(50000);
	fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
	assert_true(fd >= 0);
	assert_int_equal(guest_open(g, &offer, RING, 0, &ch), 0);
	turn();
	hear_nothing(fd); /* no "OK": nobody said CONNECT */
	give(&ch, "from inside", 11);
	hear(fd, "from inside");
	say(fd, "from outside");
	assert_int_equal(take(&ch, got), 12);
	let_go(&ch);
	hear_end(fd);
	close(fd);

	/* A guest that gave up meanwhile. */
	ask(50001, PORT);
	turn();
	expect_offer(&offer);
	reactor_inline_advance(2 * S);
	turn();
	expect_rescind(le32_to_cpu(offer.channel));
	close(listener);
	unlink(name);
}

static void services_that_are_no_ports(void **state)
{
	struct vmbus_tl_connect_request_silo request = { .request = {
		.endpoint = HV_SOCK_SERVICE(50000),
		.service = HV_SOCK_SERVICE(PORT),
	} };

	(void)state;
	request.request.service.b[15] ^= 1;
	assert_int_equal(guest_post(g, VMBUS_TL_CONNECT_REQUEST, &request,
				    sizeof(request)), 0);
	turn();
	expect_refusal(50000);
}

/* Twenty at once, then as many as there can be; one more waits. */
static void many(void **state)
{
	struct vmbus_offer_channel offer[32];
	struct guest_channel ch[20];
	struct guest_message message;
	int fd[33];
	char got[8192];

	(void)state;
	for (unsigned int i = 0; i < 33; i++) {
		fd[i] = dial();
		say(fd[i], "CONNECT 9980\n");
	}
	for (unsigned int i = 0; i < 32; i++)
		expect_offer(&offer[i]);
	assert_false(guest_take(g, &message));
	/* Nobody is there for the guest's own. */
	ask(50000, PORT);
	turn();
	expect_refusal(50000);
	for (unsigned int i = 0; i < 20; i++)
		assert_int_equal(guest_open(g, &offer[i], RING, 0, &ch[i]), 0);
	turn();
	for (unsigned int i = 0; i < 20; i++) {
		hear(fd[i], "OK 9980\n");
		say(fd[i], "mine");
		give(&ch[i], &i, sizeof(i));
	}
	for (unsigned int i = 0; i < 20; i++) {
		unsigned int said;

		assert_int_equal(recv(fd[i], &said, sizeof(said), 0),
				 sizeof(said));
		assert_int_equal(said, i);
		assert_int_equal(take(&ch[i], got), 4);
	}
	/* Now the last is heard, in the place of the first. */
	guest_close(&ch[0]);
	turn();
	expect_rescind(ch[0].id);
	expect_offer(&offer[0]);
	guest_gpadl_teardown(g, ch[0].id, ch[0].gpadl);
	guest_channel_free(&ch[0]);
	for (unsigned int i = 1; i < 20; i++)
		let_go(&ch[i]);
	reactor_inline_advance(2 * S);
	turn();
	for (unsigned int i = 0; i < 33; i++)
		close(fd[i]);
}

/* A packet that is none ends its connection. */
static void packets_that_lie(void **state)
{
	struct hv_sock_header lie = { cpu_to_le32(HV_SOCK_DATA),
				      cpu_to_le32(100) };

	(void)state;
	for (int kind = 0; kind < 3; kind++) {
		struct guest_channel ch;
		int fd = connected(&ch);

		assert_int_equal(guest_send(&ch, kind == 2 ?
			RING_PACKET_COMPLETION : RING_PACKET_INBAND, 0, 0,
			NULL, 0, &lie, kind == 0 ? 0 : sizeof(lie)), 0);
		turn();
		hear_end(fd);
		close(fd);
		expect_rescind(ch.id);
		guest_close(&ch);
		guest_gpadl_teardown(g, ch.id, ch.gpadl);
		guest_channel_free(&ch);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_host_asks, setup, teardown),
		cmocka_unit_test_setup_teardown(a_guest_without_an_end, setup,
						teardown),
		cmocka_unit_test_setup_teardown(lines_that_are_none, setup,
						teardown),
		cmocka_unit_test_setup_teardown(nobody_listens, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_slow_guest_has_longer,
						setup_slow, teardown),
		cmocka_unit_test_setup_teardown(one_after_the_other, setup,
						teardown),
		cmocka_unit_test_setup_teardown(half_closed, setup, teardown),
		cmocka_unit_test_setup_teardown(a_client_that_is_gone, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_client_that_is_slow, setup,
						teardown),
		cmocka_unit_test_setup_teardown(the_guest_asks, setup,
						teardown),
		cmocka_unit_test_setup_teardown(services_that_are_no_ports,
						setup, teardown),
		cmocka_unit_test_setup_teardown(many, setup, teardown),
		cmocka_unit_test_setup_teardown(packets_that_lie, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
