/* SPDX-License-Identifier: MIT */
/* SOURCES: test/unit/diag_world.c paravisor/diag_server.c paravisor/diag_client.c paravisor/diag_call.c paravisor/diag_stream.c paravisor/diag_capture.c paravisor/diag_exec.c paravisor/diag_process.c paravisor/diag_worker.c paravisor/diag_answer.c paravisor/ttrpc.c paravisor/protobuf.c paravisor/build_inspect.c paravisor/inspect.c paravisor/log.c test/unit/inspect_list.c */
/*
 * The diagnosis server, each of its methods, from a client's side. With
 * DIAG_SERVE=debug or release in the environment it serves for others, on the
 * socket that it names, until its standard input ends.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

#include "test/unit/diag_world.h"
#include "test/unit/inspect_list.h"

#define OPENHCL "diag.OpenhclDiag"
#define UNDERHILL "diag.UnderhillDiag"
#define INSPECT "inspect.InspectService"
#define SECOND 1000000000ull

static uint8_t request_bytes[16384];
static struct pb_writer request;
static struct ttrpc_response response;
static int control;

static struct pb_writer *begin(void)
{
	pb_write(&request, request_bytes, sizeof(request_bytes));
	return &request;
}

static void must(int fd, const char *service, const char *method,
		 enum ttrpc_code code, const char *message)
{
	assert_true(diag_world_call(fd, service, method, &request,
				    &response));
	if (message)
		assert_string_equal(response.message, message);
	assert_int_equal(response.code, code);
}

static int connect_client(void)
{
	struct timeval patience = { .tv_sec = 20 };
	int fd = diag_world_connect();

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return fd;
}

static int debug_world(void **state)
{
	(void)state;
	diag_world_hangs = diag_world_stopped = false;
	diag_world_start(true);
	control = connect_client();
	begin();
	return 0;
}

static int release_world(void **state)
{
	(void)state;
	diag_world_start(false);
	control = connect_client();
	begin();
	return 0;
}

static int end_world(void **state)
{
	(void)state;
	close(control);
	diag_world_hangs = false;
	diag_world_stop();
	return 0;
}

/* A turn of the server, and nothing after it. */
static void settle(void)
{
	begin();
	must(control, OPENHCL, "Ping", TTRPC_OK, NULL);
	must(control, OPENHCL, "Ping", TTRPC_OK, NULL);
}

/* ---- calls ---- */

static void ping(void **state)
{
	(void)state;
	must(control, OPENHCL, "Ping", TTRPC_OK, NULL);
	assert_int_equal(response.len, 0);
}

static void unknown(void **state)
{
	(void)state;
	must(control, OPENHCL, "Pong", TTRPC_UNIMPLEMENTED,
	     "unknown method Pong");
	must(control, "diag.Nobody", "Ping", TTRPC_UNIMPLEMENTED,
	     "unknown service diag.Nobody");
}

/* InspectResponse {1 Node}: the bytes, by the numbers of diag.proto. */
static void inspects(void **state)
{
	static const uint8_t number[] = {
		0x0a, 0x0c, /* 1 result: Node */
		0x1a, 0x0a, /* 3 value */
		0x0a, 0x08, /* 1 Value */
		0x0a, 0x04, /* 1 kind */
		0x12, 0x02, 0x08, 42, /* 2 unsigned {1: 42} */
		0x12, 0x00, /* 2 flags: none */
	};
	static const uint8_t hex[] = {
		0x0a, 0x12, 0x1a, 0x10, 0x0a, 0x0e, 0x0a, 0x08,
		0x12, 0x06, 0x08, 0x80, 0x80, 0xfc, 0xff, 0x07,
		0x12, 0x02, 0x08, 0x01, /* flags {1: 1, hexadecimal} */
	};
	static const uint8_t nothing[] = {
		0x0a, 0x06, 0x12, 0x04, /* 2 failed */
		0x0a, 0x02, 0x32, 0x00, /* 1 error {6 not found} */
	};
	static const uint8_t shallow[] = {
		0x0a, 0x22, 0x22, 0x20, /* 4 dir */
		0x0a, 0x11,		/* 1 entry */
		0x0a, 0x05, 't', 'o', 't', 'a', 'l', /* 1 name */
		0x12, 0x08,		/* 2 node; sizes are checked below */
	};

	(void)state;
	pb_text(begin(), 1, "vp0/entries");
	must(control, INSPECT, "Inspect", TTRPC_OK, NULL);
	assert_int_equal(response.len, sizeof(number));
	assert_memory_equal(response.payload, number, sizeof(number));

	pb_text(begin(), 1, "vp0/sample/rip");
	must(control, INSPECT, "Inspect", TTRPC_OK, NULL);
	assert_int_equal(response.len, sizeof(hex));
	assert_memory_equal(response.payload, hex, sizeof(hex));

	pb_text(begin(), 1, "vp0/nothing");
	must(control, INSPECT, "Inspect", TTRPC_OK, NULL);
	assert_int_equal(response.len, sizeof(nothing));
	assert_memory_equal(response.payload, nothing, sizeof(nothing));

	pb_text(begin(), 1, "violations");
	must(control, INSPECT, "Inspect", TTRPC_OK, NULL);
	assert_memory_equal(response.payload + 6, shallow + 6, 7);
	/* rules was not asked for: 1 unevaluated. */
	assert_memory_equal(response.payload + response.len - 15,
			    "\x0a\x05rules\x12\x02\x0a\x00" /* unevaluated */
			    "\x1a\x02\x0a\x00" /* 3 sensitivity: safe */,
			    15);

	pb_uint(begin(), 2, UINT32_MAX);
	must(control, INSPECT, "Inspect", TTRPC_OK, NULL);
	assert_true(response.len > 200);
	pb_uint(begin(), 1, 1);
	must(control, INSPECT, "Inspect", TTRPC_INVALID_ARGUMENT,
	     "path: must be text of up to 255 bytes");
}

static void updates(void **state)
{
	(void)state;
	pb_text(begin(), 1, "log/filter");
	pb_text(&request, 2, "warn,world=debug");
	must(control, INSPECT, "Update", TTRPC_OK, NULL);
	/* UpdateResponse {1 Value {1 kind {6 text {1}}, 2 flags}} */
	assert_int_equal(response.len, 6 + 2 + 19 + 2);
	assert_memory_equal(response.payload + 8, "warning,world=debug", 19);
	pb_text(begin(), 1, "log/filter");
	pb_text(&request, 2, "loud");
	must(control, INSPECT, "Update", TTRPC_INVALID_ARGUMENT,
	     "a level is error, warning, info or debug");
	pb_text(begin(), 1, "vp0/entries");
	must(control, INSPECT, "Update", TTRPC_NOT_FOUND,
	     "nothing to update there");
	/* Of a directory the answer is its JSON. */
	pb_text(begin(), 1, "vp0/sample");
	must(control, INSPECT, "Update", TTRPC_OK, NULL);
	assert_memory_equal(response.payload + 8, "{\"number\":1,", 12);
	pb_text(begin(), 1, "log/filter");
	pb_text(&request, 2, "info");
	must(control, INSPECT, "Update", TTRPC_OK, NULL);
}

static void pauses(void **state)
{
	unsigned int before = diag_world_pauses;

	(void)state;
	must(control, UNDERHILL, "Pause", TTRPC_OK, NULL);
	assert_int_equal(diag_world_pauses, before + 1);
	assert_int_equal(diag_world_resumes, before);
	must(control, UNDERHILL, "Resume", TTRPC_OK, NULL);
	assert_int_equal(diag_world_resumes, before + 1);
	diag_world_stopped = true;
	must(control, UNDERHILL, "Pause", TTRPC_FAILED_PRECONDITION,
	     "VTL0 does not run");
}

static void refusals(void **state)
{
	static const char *const method[] = { "Start", "Restart",
					      "DumpSavedState" };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		must(control, UNDERHILL, method[i], TTRPC_UNIMPLEMENTED,
		     NULL);
		assert_true(strlen(response.message) > 20);
	}
	/* Only the paravisor is crashed, not whoever has that number. */
	pb_uint(begin(), 1, 1);
	must(control, UNDERHILL, "Crash", TTRPC_NOT_FOUND, NULL);
}

/* ---- streams ---- */

static void reads_kmsg(void **state)
{
	uint64_t id;
	int data = diag_world_connect_data(&id);
	char text[256];

	(void)state;
	pb_uint(begin(), 2, id);
	must(control, UNDERHILL, "Kmsg", TTRPC_OK, NULL);
	assert_int_equal(diag_world_read_all(data, text, sizeof(text)), 27);
	assert_string_equal(text, "6,0,0,-;Linux version 7.2\n");
	assert_int_equal(text[26], 0); /* each record has one behind it */
	close(data);
	/* A connection is asked for once. */
	must(control, UNDERHILL, "Kmsg", TTRPC_NOT_FOUND, NULL);
}

static void reads_files(void **state)
{
	uint64_t id;
	int data = diag_world_connect_data(&id);
	char text[8192];

	(void)state;
	pb_uint(begin(), 2, id);
	pb_text(&request, 3, "/proc/self/stat");
	must(control, UNDERHILL, "ReadFile", TTRPC_OK, NULL);
	diag_world_read_all(data, text, sizeof(text));
	assert_int_equal(atoi(text), getpid());
	close(data);

	data = diag_world_connect_data(&id);
	pb_uint(begin(), 2, id);
	pb_text(&request, 3, "/nowhere");
	must(control, UNDERHILL, "ReadFile", TTRPC_NOT_FOUND,
	     "/nowhere: No such file or directory");
	assert_int_equal(diag_world_read_all(data, text, sizeof(text)), 0);
	close(data);

	data = diag_world_connect_data(&id);
	pb_uint(begin(), 2, id);
	pb_text(&request, 3, "/tmp");
	must(control, UNDERHILL, "ReadFile", TTRPC_INVALID_ARGUMENT,
	     "/tmp: neither a file nor a device of characters");
	close(data);
}

/* What nobody reads stops its source, and nothing else. */
static void slow_reader(void **state)
{
	uint64_t id;
	int data = diag_world_connect_data(&id);
	static char bytes[1 << 20];
	size_t all = 0;
	ssize_t n;

	(void)state;
	pb_uint(begin(), 1, 1);
	pb_uint(&request, 2, id);
	pb_text(&request, 3, "/dev/zero");
	must(control, UNDERHILL, "ReadFile", TTRPC_OK, NULL);
	usleep(100000);
	pb_text(begin(), 1, "vp0/entries");
	must(control, INSPECT, "Inspect", TTRPC_OK, NULL);
	while (all < sizeof(bytes) &&
	       (n = read(data, bytes + all, sizeof(bytes) - all)) > 0)
		all += (size_t)n;
	assert_int_equal(all, sizeof(bytes));
	close(data);
}

/* ---- commands ---- */

static int command_data[3];

/* Starts `argv` with pipes; its pid. */
static int exec(const char *const *argv, bool raw)
{
	struct pb_reader r;
	struct pb_field f;
	uint64_t id[3];

	pb_text(begin(), 1, argv[0]);
	for (int i = 1; argv[i]; i++)
		pb_text(&request, 2, argv[i]);
	for (uint32_t i = 0; i < 3; i++) {
		command_data[i] = diag_world_connect_data(&id[i]);
		pb_uint(&request, 4 + i, id[i]);
	}
	pb_uint(&request, 10, raw);
	must(control, UNDERHILL, "Exec", TTRPC_OK, NULL);
	pb_read(&r, response.payload, response.len);
	assert_true(pb_next(&r, &f));
	assert_int_equal(f.number, 1);
	return (int)f.value;
}

static int wait_for(int pid)
{
	struct pb_reader r;
	struct pb_field f;

	pb_uint(begin(), 1, (uint64_t)pid);
	must(control, UNDERHILL, "Wait", TTRPC_OK, NULL);
	pb_read(&r, response.payload, response.len);
	return pb_next(&r, &f) ? (int)f.value : 0;
}

static void close_command(void)
{
	for (int i = 0; i < 3; i++)
		close(command_data[i]);
}

static void runs(void **state)
{
	static const char *const argv[] = {
		"sh", "-c", "read a; echo out $a; echo err >&2; exit 7", NULL
	};
	char text[64];

	(void)state;
	for (int raw = 0; raw < 2; raw++) {
		int pid = exec(argv, raw);

		assert_int_equal(write(command_data[0], "in\n", 3), 3);
		diag_world_read_all(command_data[1], text, sizeof(text));
		assert_string_equal(text, "out in\n");
		diag_world_read_all(command_data[2], text, sizeof(text));
		assert_string_equal(text, "err\n");
		assert_int_equal(wait_for(pid), 7);
		close_command();
		pb_uint(begin(), 1, (uint64_t)pid);
		must(control, UNDERHILL, "Wait", TTRPC_NOT_FOUND, NULL);
	}
}

static void killed(void **state)
{
	static const char *const argv[] = { "sh", "-c", "kill -9 $$", NULL };

	(void)state;
	assert_int_equal(wait_for(exec(argv, false)), 128 + 9);
	close_command();
}

static void not_started(void **state)
{
	uint64_t id;

	(void)state;
	must(control, UNDERHILL, "Exec", TTRPC_INVALID_ARGUMENT,
	     "command: missing");
	pb_text(begin(), 1, "/no/such");
	must(control, UNDERHILL, "Exec", TTRPC_UNKNOWN,
	     "/no/such: No such file or directory");
	pb_text(begin(), 1, "true");
	pb_uint(&request, 5, 999999);
	must(control, UNDERHILL, "Exec", TTRPC_NOT_FOUND,
	     "stdin, stdout, stderr: no such data connection");
	pb_text(begin(), 1, "true");
	for (int i = 0; i < 65; i++)
		pb_text(&request, 2, "x");
	must(control, UNDERHILL, "Exec", TTRPC_INVALID_ARGUMENT, NULL);
	close(diag_world_connect_data(&id));
}

/* {1 name, 2 value}; a pair without a value takes a name away. */
static void environment(void **state)
{
	char text[256];
	uint64_t id;
	size_t pair;
	int data;

	(void)state;
	setenv("DIAG_GONE", "1", 1);
	setenv("DIAG_KEPT", "1", 1);
	for (uint64_t clear = 0; clear < 2; clear++) {
		data = diag_world_connect_data(&id);
		pb_text(begin(), 1, "/bin/sh");
		pb_text(&request, 2, "-c");
		pb_text(&request, 2, "echo $DIAG_SET-$DIAG_GONE-$DIAG_KEPT");
		pb_uint(&request, 5, id);
		pair = pb_begin(&request, 8);
		pb_text(&request, 2, "two");
		pb_text(&request, 1, "DIAG_SET");
		pb_end(&request, pair);
		pair = pb_begin(&request, 8);
		pb_text(&request, 1, "DIAG_GONE");
		pb_end(&request, pair);
		pb_uint(&request, 9, clear);
		must(control, UNDERHILL, "Exec", TTRPC_OK, NULL);
		diag_world_read_all(data, text, sizeof(text));
		assert_string_equal(text, clear ? "two--\n" : "two--1\n");
		close(data);
	}
	/* "DIAG=SET" would be another value of DIAG. */
	pb_text(begin(), 1, "/bin/sh");
	pair = pb_begin(&request, 8);
	pb_text(&request, 1, "DIAG=SET");
	pb_text(&request, 2, "two");
	pb_end(&request, pair);
	must(control, UNDERHILL, "Exec", TTRPC_INVALID_ARGUMENT, NULL);
}

static void terminal(void **state)
{
	uint64_t in, out;
	int typing = diag_world_connect_data(&in);
	int screen = diag_world_connect_data(&out);
	char text[256];

	(void)state;
	pb_text(begin(), 1, "/bin/sh");
	pb_text(&request, 2, "-c");
	pb_text(&request, 2, "tty -s && read a && echo got $a >/dev/tty");
	pb_uint(&request, 3, 1);
	pb_uint(&request, 4, in);
	pb_uint(&request, 5, out);
	must(control, UNDERHILL, "Exec", TTRPC_OK, NULL);
	assert_int_equal(write(typing, "word\r", 5), 5);
	diag_world_read_all(screen, text, sizeof(text));
	assert_string_equal(text, "word\r\ngot word\r\n");
	close(typing);
	close(screen);
}

/* A command lives as long as the connection that asked for it. */
static void orphan(void **state)
{
	static const char *const argv[] = { "sh", "-c",
					    "trap 'echo hup; exit' HUP; "
					    "echo up; while :; do sleep 1; "
					    "done", NULL };
	char text[16];

	(void)state;
	exec(argv, false);
	assert_int_equal(read(command_data[1], text, sizeof(text)), 3);
	close(control);
	diag_world_read_all(command_data[1], text, sizeof(text));
	assert_string_equal(text, "hup\n");
	close_command();
	control = connect_client();
	must(control, OPENHCL, "Ping", TTRPC_OK, NULL);
}

/* Who waits for a command of another, and goes, takes its end from nobody. */
static void another_waits(void **state)
{
	static const char *const argv[] = { "sh", "-c", "read a; exit 5",
					    NULL };
	int other = connect_client(), pid;

	(void)state;
	pid = exec(argv, false);
	pb_uint(begin(), 1, (uint64_t)pid);
	diag_world_send(other, 1001, UNDERHILL, "Wait", request_bytes,
			request.used);
	begin();
	must(other, OPENHCL, "Ping", TTRPC_OK, NULL);
	/* One at a time. */
	pb_uint(begin(), 1, (uint64_t)pid);
	must(control, UNDERHILL, "Wait", TTRPC_NOT_FOUND, NULL);
	close(other);
	settle();
	assert_int_equal(write(command_data[0], "in\n", 3), 3);
	assert_int_equal(wait_for(pid), 5);
	close_command();
}

/* ---- bad clients ---- */

static void send_header(int fd, uint32_t length, uint32_t stream, uint8_t type)
{
	const struct ttrpc_header header = { length, stream, type, 0 };
	uint8_t bytes[TTRPC_HEADER_SIZE];

	ttrpc_header_write(bytes, &header);
	assert_int_equal(send(fd, bytes, sizeof(bytes), MSG_NOSIGNAL),
			 sizeof(bytes));
}

static void must_say(int fd, uint32_t stream, enum ttrpc_code code,
		     const char *message)
{
	uint32_t answered;

	assert_true(diag_world_receive(fd, &answered, &response));
	assert_int_equal(answered, stream);
	assert_string_equal(response.message, message);
	assert_int_equal(response.code, code);
}

static void bad_frames(void **state)
{
	static const uint8_t zeroes[20000];
	uint32_t stream;

	(void)state;
	send_header(control, 0, 2, TTRPC_REQUEST);
	must_say(control, 2, TTRPC_INVALID_ARGUMENT,
		 "stream: 2, of a client it must be odd");
	send_header(control, 3, 5, TTRPC_RESPONSE);
	assert_int_equal(write(control, zeroes, 3), 3);
	must_say(control, 5, TTRPC_INVALID_ARGUMENT,
		 "type: 2, must be 1, a request");
	send_header(control, 20000, 7, TTRPC_REQUEST);
	must_say(control, 7, TTRPC_RESOURCE_EXHAUSTED,
		 "length: 20000 bytes, of a request at most 8192");
	assert_int_equal(write(control, zeroes, 20000), 20000);
	send_header(control, 1, 9, TTRPC_REQUEST);
	assert_int_equal(write(control, "\x08", 1), 1);
	must_say(control, 9, TTRPC_INVALID_ARGUMENT,
		 "request: not a protobuf message");
	must(control, OPENHCL, "Ping", TTRPC_OK, NULL);
	send_header(control, 4194305, 11, TTRPC_REQUEST);
	must_say(control, 11, TTRPC_RESOURCE_EXHAUSTED,
		 "length: 4194305 bytes, at most 4194304");
	assert_false(diag_world_receive(control, &stream, &response));
}

/* A frame that does not go on, and an answer that is not taken. */
static void slow_clients(void **state)
{
	int half = connect_client(), other = connect_client();
	char byte;

	(void)state;
	send_header(half, 100, 1, TTRPC_REQUEST);
	must(other, OPENHCL, "Ping", TTRPC_OK, NULL);
	diag_world_later(9 * SECOND);
	must(other, OPENHCL, "Ping", TTRPC_OK, NULL);
	assert_int_equal(recv(half, &byte, 1, MSG_DONTWAIT), -1);
	diag_world_later(2 * SECOND);
	must(other, OPENHCL, "Ping", TTRPC_OK, NULL);
	assert_int_equal(recv(half, &byte, 1, MSG_DONTWAIT), 0);
	close(half);
	close(other);
}

/* One that goes on, but by a byte now and then, would hold its place for ever. */
static void slow_bytes(void **state)
{
	int half = connect_client(), other = connect_client();
	char byte = 0;

	(void)state;
	/* What is whole by then counts no more. */
	must(half, OPENHCL, "Ping", TTRPC_OK, NULL);
	diag_world_later(3 * SECOND);
	must(other, OPENHCL, "Ping", TTRPC_OK, NULL);
	send_header(half, 100, 1, TTRPC_REQUEST);
	must(other, OPENHCL, "Ping", TTRPC_OK, NULL);
	for (unsigned int i = 0; i < 2; i++) {
		diag_world_later(4 * SECOND);
		assert_int_equal(write(half, &byte, 1), 1);
		must(other, OPENHCL, "Ping", TTRPC_OK, NULL);
		assert_int_equal(recv(half, &byte, 1, MSG_DONTWAIT), -1);
	}
	diag_world_later(3 * SECOND);
	must(other, OPENHCL, "Ping", TTRPC_OK, NULL);
	assert_int_equal(recv(half, &byte, 1, MSG_DONTWAIT), 0);
	close(half);
	close(other);
}

/* Whoever has said all that he has to say still gets his answers. */
static void half_closed(void **state)
{
	int other = connect_client();
	uint32_t stream;

	(void)state;
	diag_world_hangs = true;
	diag_world_send(control, 1001, INSPECT, "Inspect", NULL, 0);
	shutdown(control, SHUT_WR);
	must(other, OPENHCL, "Ping", TTRPC_OK, NULL);
	diag_world_hangs = false;
	assert_true(diag_world_receive(control, &stream, &response));
	assert_int_equal(stream, 1001);
	assert_int_equal(response.code, TTRPC_OK);
	assert_false(diag_world_receive(control, &stream, &response));
	/* And who leaves an answer behind takes nothing with him. */
	diag_world_send(other, 1003, INSPECT, "Inspect", NULL, 0);
	close(other);
	control = connect_client();
	must(control, OPENHCL, "Ping", TTRPC_OK, NULL);
}

static void many_clients(void **state)
{
	int fd[8], more;
	uint32_t stream;

	(void)state;
	for (int i = 1; i < 8; i++) {
		fd[i] = connect_client();
		must(fd[i], OPENHCL, "Ping", TTRPC_OK, NULL);
	}
	/* All are busy: the next finds its connection closed. */
	more = connect_client();
	assert_false(diag_world_receive(more, &stream, &response));
	close(more);
	settle();
	/* One that did nothing for a while makes room. */
	diag_world_later(6 * SECOND);
	settle();
	for (int i = 2; i < 8; i++)
		must(fd[i], OPENHCL, "Ping", TTRPC_OK, NULL);
	more = connect_client();
	must(more, OPENHCL, "Ping", TTRPC_OK, NULL);
	assert_false(diag_world_receive(fd[1], &stream, &response));
	close(more);
	for (int i = 1; i < 8; i++)
		close(fd[i]);
}

static void many_connections(void **state)
{
	uint64_t id, last = 0;
	char byte[8];
	int fd[17];

	(void)state;
	for (int i = 0; i < 16; i++) {
		fd[i] = diag_world_connect_data(&id);
		assert_true(id > last);
		last = id;
	}
	close(fd[0]);
	settle();
	fd[0] = diag_world_connect_data(&id);
	/* What nobody asks for is closed. */
	diag_world_later(31 * SECOND);
	settle();
	assert_int_equal(read(fd[0], byte, sizeof(byte)), 0);
	fd[16] = diag_world_connect_data(&id);
	for (int i = 0; i < 17; i++)
		close(fd[i]);
}

/* A VP that hangs: who asks for it is told, the rest goes on. */
static void hangs(void **state)
{
	int other = connect_client();
	uint32_t stream;

	(void)state;
	diag_world_hangs = true;
	diag_world_send(control, 1001, INSPECT, "Inspect", NULL, 0);
	begin();
	must(other, OPENHCL, "Ping", TTRPC_OK, NULL);
	must(other, INSPECT, "Inspect", TTRPC_UNAVAILABLE,
	     "another such call is under way");
	diag_world_later(11 * SECOND);
	must(other, OPENHCL, "Ping", TTRPC_OK, NULL);
	assert_true(diag_world_receive(control, &stream, &response));
	assert_int_equal(stream, 1001);
	assert_int_equal(response.code, TTRPC_DEADLINE_EXCEEDED);
	diag_world_hangs = false;
	usleep(50000);
	must(other, INSPECT, "Inspect", TTRPC_OK, NULL);
	close(other);
}

/* ---- flavours ---- */

static void release(void **state)
{
	static const char *const refused[] = {
		"Exec", "Wait", "Start", "Crash", "Restart", "Pause",
		"Resume", "ReadFile", "DumpSavedState", "PacketCapture",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++)
		must(control, UNDERHILL, refused[i], TTRPC_PERMISSION_DENIED,
		     "not in release build");
	ping(state);
	reads_kmsg(state);
	inspects(state);
	pb_text(begin(), 1, "vp0/sample");
	must(control, INSPECT, "Update", TTRPC_OK, NULL);
	pb_text(begin(), 1, "log/filter");
	pb_text(&request, 2, "info");
	must(control, INSPECT, "Update", TTRPC_PERMISSION_DENIED,
	     "not in release build");
}

static void names(void **state)
{
	(void)state;
	inspect_list_check("build", NULL);
	inspect_list_check("mesh", NULL);
	inspect_list_check("log", NULL);
	inspect_list_complete("build/");
	inspect_list_complete("mesh/");
	inspect_list_complete("log/");
}

static int serve_others(const char *flavour)
{
	char byte[64];

	diag_world_start(!strcmp(flavour, "debug"));
	printf("%s\n", diag_world_path());
	fflush(stdout);
	while (read(STDIN_FILENO, byte, sizeof(byte)) > 0)
		;
	diag_world_stop();
	return 0;
}

#define IN_DEBUG(test) \
	cmocka_unit_test_setup_teardown(test, debug_world, end_world)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		IN_DEBUG(ping),		IN_DEBUG(unknown),
		IN_DEBUG(inspects),	IN_DEBUG(updates),
		IN_DEBUG(pauses),	IN_DEBUG(refusals),
		IN_DEBUG(reads_kmsg),	IN_DEBUG(reads_files),
		IN_DEBUG(slow_reader),	IN_DEBUG(runs),
		IN_DEBUG(killed),	IN_DEBUG(not_started),
		IN_DEBUG(environment),	IN_DEBUG(terminal),
		IN_DEBUG(orphan),	IN_DEBUG(another_waits),
		IN_DEBUG(bad_frames),	IN_DEBUG(half_closed),
		IN_DEBUG(slow_clients),	IN_DEBUG(slow_bytes),
		IN_DEBUG(many_clients),
		IN_DEBUG(many_connections), IN_DEBUG(hangs),
		cmocka_unit_test_setup_teardown(release, release_world,
						end_world),
		IN_DEBUG(names),
	};

	if (getenv("DIAG_SERVE"))
		return serve_others(getenv("DIAG_SERVE"));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
