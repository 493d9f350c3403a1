/* SPDX-License-Identifier: MIT */
/* SOURCES: test/vmm/control.c test/vmm/json.c test/vmm/loop.c paravisor/reactor_calls.c paravisor/reactor_timers.c */
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

#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "stderr_capture.h"
#include "test/vmm/control.h"
#include "test/vmm/loop.h"

#define DEADLINE_MS 10000

static char path[64];
static struct reactor *loop;
static struct control *control;
static pthread_t thread;
static atomic_uint quits;
static int fd;

static void count_quit(void *opaque)
{
	assert_ptr_equal(opaque, &quits);
	atomic_fetch_add(&quits, 1);
}

static void print_stats(void *opaque, FILE *out)
{
	(void)opaque;
	fputs("{\"n\":7}", out);
}

static atomic_uint nmis;

static void count_nmi(void *opaque)
{
	assert_ptr_equal(opaque, &quits);
	atomic_fetch_add(&nmis, 1);
}

static const struct control_ops ops = { .quit = count_quit,
					.nmi = count_nmi,
					.stats = print_stats };

static void *run(void *arg)
{
	loop_run(arg);
	return NULL;
}

static int connect_client(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int client = socket(AF_UNIX, SOCK_STREAM, 0);

	strcpy(address.sun_path, path);
	assert_int_equal(connect(client, (struct sockaddr *)&address,
				 sizeof(address)), 0);
	return client;
}

static int set_up(void **state)
{
	(void)state;
	quits = 0;
	loop = loop_create();
	control = control_open(path, loop, &ops, &quits);
	if (!control || pthread_create(&thread, NULL, run, loop))
		return -1;
	fd = connect_client();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	close(fd);
	loop_stop(loop);
	pthread_join(thread, NULL);
	control_close(control);
	loop_destroy(loop);
	return access(path, F_OK) ? 0 : -1; /* the socket is gone */
}

static void send_text(const char *text)
{
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

/* One line without its newline, or "" when the connection was closed. */
static const char *receive(int client)
{
	static char line[512];
	size_t len = 0;

	while (len < sizeof(line) - 1) {
		struct pollfd in = { .fd = client, .events = POLLIN };

		assert_int_equal(poll(&in, 1, DEADLINE_MS), 1);
		if (read(client, line + len, 1) != 1 || line[len] == '\n')
			break;
		len++;
	}
	line[len] = '\0';
	return line;
}

static void answers(void **state)
{
	static const char *const cases[][2] = {
		{ "{\"id\":1,\"cmd\":\"stats\"}",
		  "{\"id\":1,\"ok\":{\"n\":7}}" },
		{ "{\"cmd\":\"stats\",\"args\":{},\"id\":\"a\\\"b\"}",
		  "{\"id\":\"a\\\"b\",\"ok\":{\"n\":7}}" },
		{ "{\"id\":2,\"cmd\":\"pause\"}",
		  "{\"id\":2,\"error\":\"pause: not supported yet\"}" },
		{ "{\"id\":3,\"cmd\":\"fly\"}",
		  "{\"id\":3,\"error\":\"cmd: unknown command\"}" },
		{ "{\"id\":4}", "{\"id\":4,\"error\":\"cmd is missing\"}" },
		{ "[]", "{\"id\":null,\"error\":\"cmd is missing\"}" },
		{ "{\"id\":{},\"cmd\":\"stats\"}",
		  "{\"id\":null,\"error\":\"id: must be a string or a "
		  "number\"}" },
		{ "{\"id\":5,", "{\"id\":null,\"error\":\"not JSON at byte "
		  "8\"}" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		send_text(cases[i][0]);
		send_text("\n");
		assert_string_equal(receive(fd), cases[i][1]);
	}
	assert_int_equal(quits, 0);
}

static void quit_is_passed_on_and_answered(void **state)
{
	(void)state;
	send_text("{\"id\":9,\"cmd\":\"quit\"}\n");
	assert_string_equal(receive(fd), "{\"id\":9,\"ok\":{}}");
	assert_int_equal(quits, 1);
}

static void nmi_is_passed_on_and_answered(void **state)
{
	(void)state;
	send_text("{\"id\":8,\"cmd\":\"nmi\"}\n");
	assert_string_equal(receive(fd), "{\"id\":8,\"ok\":{}}");
	assert_int_equal(nmis, 1);
	assert_int_equal(quits, 0);
}

static void lines_may_come_in_pieces_and_in_bunches(void **state)
{
	(void)state;
	send_text("{\"id\":1,\"cm");
	usleep(20000);
	send_text("d\":\"stats\"}\n\n{\"id\":2,\"cmd\":\"stats\"}\n{");
	assert_string_equal(receive(fd), "{\"id\":1,\"ok\":{\"n\":7}}");
	assert_string_equal(receive(fd), "{\"id\":2,\"ok\":{\"n\":7}}");
	send_text("}\n");
	assert_string_equal(receive(fd),
			    "{\"id\":null,\"error\":\"cmd is missing\"}");
}

static void an_endless_line_ends_its_connection_only(void **state)
{
	static char text[9000];
	int other = connect_client();

	(void)state;
	memset(text, ' ', sizeof(text) - 1);
	send_text(text);
	assert_string_equal(receive(fd), "");
	assert_int_equal(write(other, "{\"id\":1}\n", 9), 9);
	assert_string_equal(receive(other),
			    "{\"id\":1,\"error\":\"cmd is missing\"}");
	close(other);
}

/* Clients beyond the table wait and are served when others leave. */
static void more_clients_than_places(void **state)
{
	int clients[12];

	(void)state;
	for (int i = 0; i < 12; i++)
		clients[i] = connect_client();
	close(fd);
	for (int i = 0; i < 12; i++) {
		assert_int_equal(write(clients[i], "{\"id\":1}\n", 9), 9);
		assert_string_equal(receive(clients[i]),
				    "{\"id\":1,\"error\":\"cmd is missing\"}");
		close(clients[i]);
	}
	fd = connect_client();
}

static void a_path_in_use_is_one_line(void **state)
{
	const char *said;

	(void)state;
	capture_stderr();
	assert_null(control_open(path, loop, &ops, &quits));
	said = captured_stderr();
	assert_true(is_one_line(said));
	assert_non_null(strstr(said, "vmm: --control "));
	assert_non_null(strstr(said, "Address already in use"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(answers),
		TEST(quit_is_passed_on_and_answered),
		TEST(nmi_is_passed_on_and_answered),
		TEST(lines_may_come_in_pieces_and_in_bunches),
		TEST(an_endless_line_ends_its_connection_only),
		TEST(more_clients_than_places),
		TEST(a_path_in_use_is_one_line),
	};

	snprintf(path, sizeof(path), "/tmp/vmm_control_test.%d", getpid());
	return cmocka_run_group_tests(tests, NULL, NULL);
}
