/* SPDX-License-Identifier: MIT */
/* SOURCES: test/vmm/serial_back.c test/vmm/serial_spec.c */
/* SOURCES: test/vmm/serial_console.c test/vmm/terminal.c test/vmm/byte_ring.c test/vmm/loop.c paravisor/reactor_calls.c paravisor/reactor_timers.c */
/* SOURCES: test/vmm/unix_listen.c paravisor/log.c */

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
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "stderr_capture.h"
#include "test/vmm/loop.h"
#include "test/vmm/serial_back.h"
#include "test/vmm/serial_console.h"

#define DEADLINE_MS 10000

static char folder[] = "/tmp/serial_back_test.XXXXXX";
static char socket_path[64], file_path[64], option[96];

static struct reactor *loop;
static pthread_t thread;
static struct serial_back *back;

/* The device: remembers that it was called. */
static struct {
	unsigned int room, readable;
} device;

static void device_room(void *front)
{
	(void)front;
	device.room++;
}

static void device_readable(void *front)
{
	(void)front;
	device.readable++;
}

static const struct tty_front_ops device_ops = { device_room,
						 device_readable };

static void *run(void *arg)
{
	loop_run(arg);
	return NULL;
}

static struct serial_back *open_back(const char *text)
{
	struct serial_spec spec;

	assert_null(serial_spec_parse(text, &spec));
	return serial_back_open("com3", &spec, loop);
}

/* The device is there; nothing moves yet. */
static void prepare(const char *text)
{
	memset(&device, 0, sizeof(device));
	loop = loop_create();
	assert_non_null(loop);
	back = open_back(text);
	assert_non_null(back);
	serial_back_tty(back)->front = &device_ops;
}

static void start_loop(void)
{
	assert_int_equal(pthread_create(&thread, NULL, run, loop), 0);
}

static void start(const char *text)
{
	prepare(text);
	start_loop();
}

static void finish(void)
{
	loop_stop(loop);
	pthread_join(thread, NULL);
	serial_back_close(back);
	loop_destroy(loop);
}

static size_t guest_write(const void *data, size_t len)
{
	struct tty *tty = serial_back_tty(back);
	size_t n;

	serial_back_lock(back);
	n = tty->back->write(tty, data, len);
	serial_back_unlock(back);
	return n;
}

static size_t guest_read(void *data, size_t len)
{
	struct tty *tty = serial_back_tty(back);
	size_t n;

	serial_back_lock(back);
	n = tty->back->read(tty, data, len);
	serial_back_unlock(back);
	return n;
}

static int client(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strcpy(address.sun_path, socket_path);
	assert_int_equal(connect(fd, (struct sockaddr *)&address,
				 sizeof(address)), 0);
	return fd;
}

/* Reads exactly len bytes, or fails at the deadline. */
static void read_exactly(int fd, uint8_t *data, size_t len)
{
	size_t done = 0;

	while (done < len) {
		struct pollfd in = { .fd = fd, .events = POLLIN };
		ssize_t n;

		assert_int_equal(poll(&in, 1, DEADLINE_MS), 1);
		n = read(fd, data + done, len - done);
		assert_true(n > 0);
		done += n;
	}
}

/* Bytes that differ at every place of a ring. */
static uint8_t pattern(size_t i)
{
	return i ^ i >> 8 ^ i >> 16;
}

static void fill_pattern(uint8_t *data, size_t from, size_t len)
{
	for (size_t i = 0; i < len; i++)
		data[i] = pattern(from + i);
}

static uint64_t counter(const char *name)
{
	char *text = NULL, *at, key[32];
	size_t len;
	FILE *out = open_memstream(&text, &len);
	uint64_t value;

	serial_back_print_stats(back, out);
	fclose(out);
	snprintf(key, sizeof(key), "\"%s\":", name);
	at = strstr(text, key);
	assert_non_null(at);
	value = strtoull(at + strlen(key), NULL, 10);
	free(text);
	return value;
}

static void wait_for(const char *name, uint64_t value)
{
	for (int i = 0; i < DEADLINE_MS && counter(name) != value; i++)
		usleep(1000);
	assert_int_equal(counter(name), value);
}

static void none_takes_all_and_gives_nothing(void **state)
{
	uint8_t byte;

	(void)state;
	start("none");
	assert_int_equal(guest_write("abc", 3), 3);
	assert_int_equal(guest_read(&byte, 1), 0);
	assert_int_equal(counter("bytes_discarded"), 3);
	finish();
}

static void file_gets_every_byte(void **state)
{
	static uint8_t out[SERIAL_RING_SIZE * 3], in[sizeof(out)];
	size_t done = 0;
	int fd;

	(void)state;
	snprintf(option, sizeof(option), "file=%s", file_path);
	start(option);
	fill_pattern(out, 0, sizeof(out));
	while (done < sizeof(out)) {
		done += guest_write(out + done, sizeof(out) - done);
		usleep(100);
	}
	finish();
	fd = open(file_path, O_RDONLY);
	read_exactly(fd, in, sizeof(in));
	assert_int_equal(read(fd, in, 1), 0);
	close(fd);
	assert_memory_equal(in + 1, out + 1, sizeof(in) - 1);
}

static void output_waits_for_the_first_client(void **state)
{
	static uint8_t out[64 << 10], in[64 << 10];
	int fd;

	(void)state;
	start(option);
	fill_pattern(out, 0, sizeof(out));
	assert_int_equal(guest_write(out, sizeof(out)), sizeof(out));
	fd = client();
	read_exactly(fd, in, sizeof(in));
	assert_memory_equal(in, out, sizeof(in));
	assert_int_equal(counter("bytes_dropped"), 0);
	close(fd);
	finish();
	assert_int_equal(access(socket_path, F_OK), -1);
}

/* The newest bytes stay; the others are counted, and the count is told. */
static void unheard_output_beyond_the_ring_is_counted(void **state)
{
	static uint8_t out[SERIAL_RING_SIZE + 1000], in[SERIAL_RING_SIZE];
	const char *said;
	int fd;

	(void)state;
	start(option);
	fill_pattern(out, 0, sizeof(out));
	for (size_t at = 0; at < sizeof(out); at += 8)
		assert_int_equal(guest_write(out + at, 8), 8);
	assert_int_equal(counter("bytes_dropped"), 1000);
	capture_stderr();
	fd = client();
	read_exactly(fd, in, sizeof(in));
	said = captured_stderr();
	assert_memory_equal(in, out + 1000, sizeof(in));
	assert_non_null(strstr(said, "com3: 1000 bytes were dropped"));
	close(fd);
	finish();
}

static void a_slow_client_loses_nothing(void **state)
{
	static uint8_t out[1 << 20], in[1 << 20];
	size_t done = 0, n;
	int fd;

	(void)state;
	start(option);
	fill_pattern(out, 0, sizeof(out));
	fd = client();
	wait_for("connections", 1);
	/* Until the ring and the socket are full and nothing more is taken. */
	for (int idle = 0; idle < 100; idle = n ? 0 : idle + 1) {
		n = guest_write(out + done, sizeof(out) - done);
		done += n;
		usleep(1000);
	}
	assert_true(done >= SERIAL_RING_SIZE && done < sizeof(out));
	assert_int_equal(counter("bytes_dropped"), 0);
	serial_back_lock(back);
	device.room = 0;
	serial_back_unlock(back);
	read_exactly(fd, in, done);
	assert_memory_equal(in, out, done);
	serial_back_lock(back);
	assert_true(device.room > 0); /* the device was told of the room */
	serial_back_unlock(back);
	close(fd);
	finish();
}

static void a_new_client_gets_what_comes_after_it(void **state)
{
	uint8_t in[16];
	int fd;

	(void)state;
	start(option);
	fd = client();
	assert_int_equal(guest_write("first", 5), 5);
	read_exactly(fd, in, 5);
	close(fd);
	fd = client();
	wait_for("connections", 2);
	assert_int_equal(guest_write("second", 6), 6);
	read_exactly(fd, in, 6);
	assert_memory_equal(in, "second", 6);
	close(fd);
	finish();
}

static void input_arrives_in_order_and_is_held_back(void **state)
{
	static uint8_t out[64 << 10], in[64 << 10];
	size_t sent = 0, got = 0;
	int fd;

	(void)state;
	start(option);
	fill_pattern(out, 0, sizeof(out));
	fd = client();
	fcntl(fd, F_SETFL, O_NONBLOCK);
	for (int i = 0; got < sizeof(in) && i < DEADLINE_MS; i++) {
		ssize_t n = write(fd, out + sent, sizeof(out) - sent);

		if (n > 0)
			sent += n;
		if (i > 100) /* the guest begins late */
			got += guest_read(in + got, 100);
		usleep(200);
	}
	assert_int_equal(got, sizeof(in));
	assert_memory_equal(in, out, sizeof(in));
	assert_true(device.readable > 0);
	close(fd);
	finish();
}

/* A client sends and hangs up at once: the guest still reads all of it, then
 * the next client is served, and output did not wait for a dead client. */
static void input_survives_the_clients_hang_up(void **state)
{
	static uint8_t out[16 << 10], in[16 << 10];
	size_t got = 0;
	int fd;

	(void)state;
	start(option);
	fill_pattern(out, 0, sizeof(out));
	fd = client();
	assert_int_equal(write(fd, out, sizeof(out)), sizeof(out));
	close(fd);
	usleep(50000);
	for (size_t i = 0; i < 2 * SERIAL_RING_SIZE; i += 64)
		assert_int_equal(guest_write(out, 64), 64);
	for (int i = 0; got < sizeof(in) && i < DEADLINE_MS; i++) {
		got += guest_read(in + got, 512);
		usleep(1000);
	}
	assert_int_equal(got, sizeof(in));
	assert_memory_equal(in, out, sizeof(in));
	fd = client();
	wait_for("connections", 2);
	close(fd);
	finish();
}

/* A guest that never reads must not keep the next client out. */
static void a_dead_clients_input_gives_way(void **state)
{
	static uint8_t out[16 << 10], in[16 << 10];
	uint64_t got;
	int fd;

	(void)state;
	start(option);
	fill_pattern(out, 0, sizeof(out));
	fd = client();
	assert_int_equal(write(fd, out, sizeof(out)), sizeof(out));
	close(fd);
	usleep(50000);
	fd = client();
	wait_for("connections", 2);
	assert_int_equal(guest_write("seen", 4), 4);
	read_exactly(fd, in, 4);
	assert_memory_equal(in, "seen", 4);
	/* What the ring had is still read; the rest was counted. */
	got = guest_read(in, sizeof(in));
	assert_true(got > 0);
	assert_memory_equal(in, out, got);
	assert_int_equal(got + counter("input_dropped"), sizeof(out));
	close(fd);
	finish();
}

/* Whoever wrote to our stdin has ended, and the guest reads late. */
static void console_input_survives_the_end_of_its_pipe(void **state)
{
	static uint8_t out[8 << 10], in[8 << 10];
	int saved = dup(STDIN_FILENO), ends[2];
	size_t got = 0;

	(void)state;
	assert_true(saved >= 0);
	assert_int_equal(pipe(ends), 0);
	fill_pattern(out, 0, sizeof(out));
	assert_int_equal(write(ends[1], out, sizeof(out)), sizeof(out));
	close(ends[1]);
	assert_int_equal(dup2(ends[0], STDIN_FILENO), STDIN_FILENO);
	close(ends[0]);
	prepare("console");
	console_start(loop, NULL, NULL);
	start_loop();
	usleep(50000);
	for (int i = 0; got < sizeof(in) && i < DEADLINE_MS; i++) {
		got += guest_read(in + got, sizeof(in) - got < 512 ?
						    sizeof(in) - got : 512);
		usleep(1000);
	}
	assert_int_equal(got, sizeof(in));
	assert_memory_equal(in, out, sizeof(in));
	console_stop();
	finish();
	assert_int_equal(dup2(saved, STDIN_FILENO), STDIN_FILENO);
	close(saved);
}

static void tcp_works_like_unix(void **state)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	char text[64];
	uint8_t in[4];
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	socklen_t len = sizeof(address);

	(void)state;
	/* A port that was free a moment ago. */
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
	getsockname(fd, (struct sockaddr *)&address, &len);
	close(fd);
	snprintf(text, sizeof(text), "listen=tcp:127.0.0.1:%u",
		 ntohs(address.sin_port));
	start(text);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, len), 0);
	assert_int_equal(guest_write("tcp!", 4), 4);
	read_exactly(fd, in, 4);
	assert_memory_equal(in, "tcp!", 4);
	close(fd);
	finish();
}

static void what_cannot_be_opened_is_one_line(void **state)
{
	const char *const bad[] = { "file=/nonexistent/file",
				    "listen=/nonexistent/socket",
				    "listen=tcp:192.0.2.1:1" };

	(void)state;
	loop = loop_create();
	for (int i = 0; i < 3; i++) {
		const char *said;

		capture_stderr();
		assert_null(open_back(bad[i]));
		said = captured_stderr();
		assert_true(is_one_line(said));
		assert_non_null(strstr(said, "vmm: --com3 "));
		assert_non_null(strstr(said, bad[i]));
	}
	loop_destroy(loop);
}

static void only_a_left_over_socket_is_replaced(void **state)
{
	struct serial_back *first;
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd;

	(void)state;
	loop = loop_create();
	/* Somebody's file stays. */
	fd = open(socket_path, O_CREAT | O_WRONLY, 0600);
	close(fd);
	capture_stderr();
	assert_null(open_back(option));
	assert_non_null(strstr(captured_stderr(), "Address already in use"));
	assert_int_equal(unlink(socket_path), 0);
	/* A dead process' socket does not. */
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	strcpy(address.sun_path, socket_path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address,
			      sizeof(address)), 0);
	close(fd);
	first = open_back(option);
	assert_non_null(first);
	/* One that is served stays. */
	capture_stderr();
	assert_null(open_back(option));
	assert_non_null(strstr(captured_stderr(), "Address already in use"));
	serial_back_close(first);
	loop_destroy(loop);
}

static int use_socket(void **state)
{
	(void)state;
	snprintf(option, sizeof(option), "listen=%s", socket_path);
	return 0;
}

#define SOCKET_TEST(name) cmocka_unit_test_setup(name, use_socket)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(none_takes_all_and_gives_nothing),
		cmocka_unit_test(file_gets_every_byte),
		SOCKET_TEST(output_waits_for_the_first_client),
		SOCKET_TEST(unheard_output_beyond_the_ring_is_counted),
		SOCKET_TEST(a_slow_client_loses_nothing),
		SOCKET_TEST(a_new_client_gets_what_comes_after_it),
		SOCKET_TEST(input_arrives_in_order_and_is_held_back),
		SOCKET_TEST(input_survives_the_clients_hang_up),
		SOCKET_TEST(a_dead_clients_input_gives_way),
		cmocka_unit_test(console_input_survives_the_end_of_its_pipe),
		cmocka_unit_test(tcp_works_like_unix),
		cmocka_unit_test(what_cannot_be_opened_is_one_line),
		SOCKET_TEST(only_a_left_over_socket_is_replaced),
	};
	int failed;

	if (!mkdtemp(folder))
		return 1;
	snprintf(socket_path, sizeof(socket_path), "%s/socket", folder);
	snprintf(file_path, sizeof(file_path), "%s/file", folder);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(file_path);
	unlink(socket_path);
	rmdir(folder);
	return failed;
}
