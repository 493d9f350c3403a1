/* SPDX-License-Identifier: MIT */
/* SOURCES: test/vmm/serial_back.c test/vmm/serial_spec.c test/vmm/serial_console.c test/vmm/terminal.c test/vmm/byte_ring.c test/vmm/loop.c */
/* SOURCES: paravisor/reactor_calls.c paravisor/reactor_timers.c test/vmm/unix_listen.c paravisor/log.c paravisor/violation.c paravisor/chipset/uart.c */
/* SOURCES: relay/serial_client.c relay/serial_server.c relay/message_pipe.c relay/ring.c paravisor/guest_memory.c */
/*
 * The whole way of a COM port's bytes, natively: a driver of the UART, the two
 * ends of the serial protocol over two real rings, and a socket of the host.
 *
 * One lock for all of it, the host's stream's, as its loop calls in from a
 * thread of its own. Every byte is checked at both ends.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <pv/uart.h>

#include "paravisor/chipset/uart_reg.h"
#include "relay/message_pipe.h"
#include "relay/serial.h"
#include "test/vmm/loop.h"
#include "test/vmm/serial_back.h"

#define MIB (1u << 20)
#define PAGES 3u /* a control page and 8 KiB, as the host offers */
#define DEADLINE_NS 60000000000ull
/* More than a stalled reader's socket, and all that is before it, can take. */
#define SOCKET_BUFFER (64 << 10)

static char socket_path[64];
static struct reactor *loop;
static pthread_t thread;
static struct serial_back *back;

static uint8_t memory[2][PAGES][4096] __attribute__((aligned(4096)));
static struct guest_hold pages[2][PAGES];

static struct end {
	struct message_pipe pipe;
	struct ring ring;
	bool signalled; /* by the other end */
} vtl2, host;

static struct serial_client client;
static struct serial_server server;
static struct uart uart;

static void signal_end(void *opaque)
{
	((struct end *)opaque)->signalled = true;
}

static void connect_ends(void)
{
	struct ring_half half[2];

	memset(memory, 0, sizeof(memory));
	for (unsigned int r = 0; r < 2; r++) {
		for (unsigned int p = 0; p < PAGES; p++)
			pages[r][p] = (struct guest_hold){
				(void __guest_force __guest *)memory[r][p],
				4096 };
		half[r] = (struct ring_half){ .pages = pages[r],
					      .size = (PAGES - 1) * 4096 };
	}
	assert_int_equal(ring_init(&vtl2.ring, half[0], half[1]), 0);
	assert_int_equal(ring_init(&host.ring, half[1], half[0]), 0);
	serial_client_init(&client, "com1");
	message_pipe_init(&vtl2.pipe, "com1", &vtl2.ring, &client.user,
			  signal_end, &host);
	message_pipe_init(&host.pipe, "com1", &host.ring, &server.user,
			  signal_end, &vtl2);
	serial_server_start(&server, "com1", serial_back_tty(back), &host.pipe);
	uart_init(&uart, &client.tty, NULL, NULL);
	uart_write(&uart, UART_FCR, FCR_ENABLE);
	serial_client_start(&client, &vtl2.pipe);
}

/* Under the lock: whoever was signalled looks at its ring. */
static void run_ends(void)
{
	while (vtl2.signalled || host.signalled) {
		if (host.signalled) {
			host.signalled = false;
			while (message_pipe_run(&host.pipe))
				;
		}
		if (vtl2.signalled) {
			vtl2.signalled = false;
			while (message_pipe_run(&vtl2.pipe))
				;
		}
	}
}

static void *run(void *arg)
{
	loop_run(arg);
	return NULL;
}

static int set_up(void **state)
{
	static char option[96];
	struct serial_spec spec;

	(void)state;
	snprintf(option, sizeof(option), "listen=%s", socket_path);
	assert_null(serial_spec_parse(option, &spec));
	loop = loop_create();
	back = serial_back_open("com1", &spec, loop);
	assert_non_null(back);
	connect_ends();
	return pthread_create(&thread, NULL, run, loop);
}

static int tear_down(void **state)
{
	(void)state;
	loop_stop(loop);
	pthread_join(thread, NULL);
	serial_server_stop(&server);
	serial_back_close(back);
	loop_destroy(loop);
	return 0;
}

static int connect_client(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	int size = SOCKET_BUFFER;

	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	strcpy(address.sun_path, socket_path);
	assert_int_equal(connect(fd, (struct sockaddr *)&address,
				 sizeof(address)), 0);
	return fd;
}

/* Of a fixed seed, so that a failure comes again. */
static void fill(uint8_t *data, size_t len, uint64_t x)
{
	for (size_t i = 0; i < len; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		data[i] = (uint8_t)(x >> 32);
	}
}

/* ---- the guest's driver, polling ---- */

struct stream {
	uint8_t *sent, *got;
	size_t nr_sent, nr_got, size;
};

static struct stream to_host, to_guest;

static void guest_turn(bool reads)
{
	serial_back_lock(back);
	run_ends();
	while (to_host.nr_sent < to_host.size &&
	       uart_read(&uart, UART_LSR) & LSR_THRE)
		for (int i = 0; i < UART_FIFO_SIZE &&
				to_host.nr_sent < to_host.size; i++)
			uart_write(&uart, UART_THR,
				   to_host.sent[to_host.nr_sent++]);
	while (reads && to_guest.nr_got < to_guest.size &&
	       uart_read(&uart, UART_LSR) & LSR_DR) {
		to_guest.got[to_guest.nr_got++] = uart_read(&uart, UART_RBR);
		run_ends();
	}
	run_ends();
	serial_back_unlock(back);
}

/* ---- the host's client ---- */

static void client_turn(int fd, bool reads)
{
	ssize_t n;

	if (to_guest.nr_sent < to_guest.size) {
		n = write(fd, to_guest.sent + to_guest.nr_sent,
			  to_guest.size - to_guest.nr_sent);
		if (n > 0)
			to_guest.nr_sent += (size_t)n;
	}
	if (!reads)
		return;
	n = read(fd, to_host.got + to_host.nr_got,
		 to_host.size - to_host.nr_got);
	if (n > 0)
		to_host.nr_got += (size_t)n;
}

/* As long as either end moves something, and some turns longer. */
static void turns_until_stuck(int fd, bool guest_reads, bool client_reads)
{
	size_t before;

	for (int idle = 0; idle < 200; idle++) {
		before = to_host.nr_sent + to_guest.nr_sent +
			 to_host.nr_got + to_guest.nr_got;
		guest_turn(guest_reads);
		client_turn(fd, client_reads);
		if (to_host.nr_sent + to_guest.nr_sent + to_host.nr_got +
		    to_guest.nr_got != before)
			idle = 0;
		usleep(100);
	}
}

static void begin(struct stream *stream, size_t size, uint64_t seed)
{
	*stream = (struct stream){ malloc(size), calloc(1, size), 0, 0, size };
	assert_non_null(stream->sent);
	assert_non_null(stream->got);
	fill(stream->sent, size, seed);
}

static void end(struct stream *stream)
{
	assert_int_equal(stream->nr_got, stream->size);
	assert_memory_equal(stream->got, stream->sent, stream->size);
	free(stream->sent);
	free(stream->got);
}

/* 1 MiB each way at once. Both readers stall at first, so that everything in
 * between is full, up to the socket's writer and the guest's THRE. */
static void a_mebibyte_each_way(void **state)
{
	uint64_t deadline = reactor_now() + DEADLINE_NS;
	int fd = connect_client();

	(void)state;
	begin(&to_host, MIB, 88172645463325252ull);
	begin(&to_guest, MIB, 1442695040888963407ull);
	turns_until_stuck(fd, false, false);
	/* Held back, not lost: what was taken is what the parts can hold. */
	assert_true(to_host.nr_sent >= SERIAL_RING_SIZE);
	assert_true(to_host.nr_sent < MIB);
	assert_true(to_guest.nr_sent > 0 && to_guest.nr_sent < MIB);
	assert_int_equal(to_host.nr_got + to_guest.nr_got, 0);
	/* One end reads on, then the other one. */
	turns_until_stuck(fd, true, false);
	assert_int_equal(to_guest.nr_got, MIB);
	assert_true(to_host.nr_sent < MIB);
	while (to_host.nr_got < MIB && reactor_now() < deadline) {
		guest_turn(true);
		client_turn(fd, true);
	}
	end(&to_host);
	end(&to_guest);
	serial_back_lock(back);
	assert_int_equal(uart.bytes_out, MIB);
	assert_int_equal(uart.bytes_in, MIB);
	assert_int_equal(uart.bytes_lost_out, 0);
	assert_int_equal(client.count.bytes_lost + server.count.bytes_lost, 0);
	assert_int_equal(client.count.refused + server.count.refused, 0);
	serial_back_unlock(back);
	close(fd);
}

/* Nobody listens: 64 KiB and more are kept for the first client, and what comes
 * after a client that went is the next one's, whole. */
static void nobody_listens_and_clients_come_and_go(void **state)
{
	uint64_t deadline = reactor_now() + DEADLINE_NS;
	int fd;

	(void)state;
	begin(&to_host, SERIAL_RING_SIZE, 7);
	while (to_host.nr_sent < to_host.size && reactor_now() < deadline)
		guest_turn(true);
	for (unsigned int i = 0; i < 3; i++) {
		fd = connect_client();
		/* What it sends tells that it is there. */
		begin(&to_guest, 1, i);
		while (to_guest.nr_got < 1 && reactor_now() < deadline) {
			client_turn(fd, false);
			guest_turn(true);
		}
		end(&to_guest);
		if (i)
			begin(&to_host, 10000 * i, 7 + i);
		while (to_host.nr_got < to_host.size &&
		       reactor_now() < deadline) {
			guest_turn(true);
			client_turn(fd, true);
		}
		end(&to_host);
		to_host = to_guest = (struct stream){ 0 };
		close(fd);
	}
}

/* The guest opens its port late, or is to get nothing at all. */
static void held_and_refused_input(void **state)
{
	uint64_t deadline = reactor_now() + DEADLINE_NS;
	int fd = connect_client();

	(void)state;
	serial_back_lock(back);
	uart_wait_for_rts(&uart, true);
	serial_back_unlock(back);
	begin(&to_host, 3000, 2);
	begin(&to_guest, 3000, 3);
	turns_until_stuck(fd, true, true);
	assert_int_equal(to_guest.nr_got, 0);
	assert_int_equal(to_host.nr_got, 3000);
	serial_back_lock(back);
	uart_write(&uart, UART_MCR, MCR_DTR | MCR_RTS);
	serial_back_unlock(back);
	while (to_guest.nr_got < 3000 && reactor_now() < deadline) {
		guest_turn(true);
		client_turn(fd, true);
	}
	end(&to_host);
	end(&to_guest);

	serial_back_lock(back);
	serial_client_transmit_only(&client, true);
	serial_back_unlock(back);
	begin(&to_host, 3000, 4);
	begin(&to_guest, 3000, 5);
	turns_until_stuck(fd, true, true);
	assert_int_equal(to_guest.nr_got, 0);
	to_guest.size = 0;
	end(&to_host);
	end(&to_guest);
	close(fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_mebibyte_each_way),
		TEST(nobody_listens_and_clients_come_and_go),
		TEST(held_and_refused_input),
	};

	snprintf(socket_path, sizeof(socket_path), "/tmp/serial_path_test.%d",
		 getpid());
	return cmocka_run_group_tests(tests, NULL, NULL);
}
