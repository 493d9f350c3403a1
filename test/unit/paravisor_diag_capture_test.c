/* SPDX-License-Identifier: MIT */
/* SOURCES: test/unit/diag_world.c paravisor/diag_server.c paravisor/diag_client.c paravisor/diag_call.c paravisor/diag_stream.c paravisor/diag_capture.c paravisor/diag_exec.c paravisor/diag_process.c paravisor/diag_worker.c paravisor/diag_answer.c paravisor/ttrpc.c paravisor/protobuf.c paravisor/build_inspect.c paravisor/inspect.c paravisor/log.c test/unit/inspect_list.c */
/* The diagnosis server's PacketCapture, from a client's side. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "test/unit/diag_world.h"

#define UNDERHILL "diag.UnderhillDiag"

static uint8_t request_bytes[256];
static struct pb_writer request;
static struct ttrpc_response response;
static int control;

static void must(enum ttrpc_code code, const char *message)
{
	assert_true(diag_world_call(control, UNDERHILL, "PacketCapture",
				    &request, &response));
	if (message)
		assert_string_equal(response.message, message);
	assert_int_equal(response.code, code);
}

static void ask_capture(uint64_t operation, const uint64_t *conn,
			unsigned int nr, bool packed)
{
	uint8_t bytes[64];
	size_t at, len = 0;

	pb_write(&request, request_bytes, sizeof(request_bytes));
	pb_uint(&request, 3, operation);
	at = pb_begin(&request, 4);
	pb_uint(&request, 1, 77);
	for (unsigned int i = 0; i < nr; i++)
		if (packed)
			bytes[len++] = (uint8_t)conn[i];
		else
			pb_uint(&request, 2, conn[i]);
	if (packed)
		pb_bytes(&request, 2, bytes, len);
	pb_end(&request, at);
}

static void must_capture(uint64_t operation, const uint64_t *conn,
			 unsigned int nr, bool packed)
{
	ask_capture(operation, conn, nr, packed);
	must(TTRPC_OK, NULL);
	assert_int_equal(response.len, 2);
	assert_int_equal(response.payload[0], 1 << 3);
	assert_int_equal(response.payload[1], DIAG_WORLD_NICS);
}

static void nobody_listens(void)
{
	for (int i = 0; i < 20000 && diag_world_listened; i++)
		usleep(1000);
	assert_int_equal(diag_world_listened, 0);
}

/* A connection each: what the NIC says, until the end is asked for, the NIC
 * goes or the client does. */
static void captures(void **state)
{
	static const char *const end[] = { "stop", "gone", "client" };
	char text[64], wanted[64];
	uint64_t id[9];
	int data[2];

	(void)state;
	must_capture(0, NULL, 0, false);
	for (unsigned int round = 0; round < 3; round++) {
		for (unsigned int i = 0; i < 2; i++)
			data[i] = diag_world_connect_data(&id[i]);
		must_capture(1, id, 2, round & 1);
		assert_int_equal(diag_world_listened, 2);
		for (unsigned int i = 0; i < 2; i++) {
			snprintf(wanted, sizeof(wanted), "NIC %u, 77 bytes", i);
			assert_int_equal(recv(data[i], text, strlen(wanted),
					      MSG_WAITALL), strlen(wanted));
			assert_memory_equal(text, wanted, strlen(wanted));
		}
		if (!strcmp(end[round], "stop"))
			must_capture(2, NULL, 0, false);
		diag_world_nics_gone = !strcmp(end[round], "gone");
		if (strcmp(end[round], "client"))
			for (unsigned int i = 0; i < 2; i++)
				assert_int_equal(recv(data[i], text, 1, 0), 0);
		for (unsigned int i = 0; i < 2; i++)
			close(data[i]);
		nobody_listens();
		diag_world_nics_gone = false;
	}
}

/* Connections that are not there, too many of them, a second listener: no NIC
 * is listened to for nobody. */
static void captures_refused(void **state)
{
	uint64_t id[9] = { 0 };
	char byte;
	int data[4];

	(void)state;
	ask_capture(3, NULL, 0, false);
	must(TTRPC_INVALID_ARGUMENT, NULL);
	for (unsigned int packed = 0; packed < 2; packed++) {
		ask_capture(1, id, 9, packed);
		must(TTRPC_INVALID_ARGUMENT, NULL);
	}
	data[0] = diag_world_connect_data(&id[0]);
	must_capture(1, id, 2, true);
	assert_int_equal(recv(data[0], &byte, 1, 0), 1);
	assert_int_equal(diag_world_listened, 1);
	data[1] = diag_world_connect_data(&id[1]);
	ask_capture(1, &id[1], 1, true);
	must(TTRPC_FAILED_PRECONDITION,
	     "another client listens to a NIC");
	assert_int_equal(recv(data[1], &byte, 1, 0), 0);
	close(data[0]);
	close(data[1]);
	nobody_listens();
	/* One more than there are NICs has nothing to come. */
	for (unsigned int i = 0; i < 3; i++)
		data[i] = diag_world_connect_data(&id[i]);
	must_capture(1, id, 3, false);
	assert_int_equal(recv(data[2], &byte, 1, 0), 0);
	for (unsigned int i = 0; i < 3; i++)
		close(data[i]);
	nobody_listens();
}

static int start(void **state)
{
	(void)state;
	diag_world_start(true);
	control = diag_world_connect();
	return 0;
}

static int stop(void **state)
{
	(void)state;
	close(control);
	diag_world_stop();
	return 0;
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(captures, start, stop),
		cmocka_unit_test_setup_teardown(captures_refused, start, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
