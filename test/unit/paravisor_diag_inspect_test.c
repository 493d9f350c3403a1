/* SPDX-License-Identifier: MIT */
/* SOURCES: paravisor/diag_inspect.c paravisor/inspect.c paravisor/log.c */
/* Port 5 and clients that take their time: each question, and each answer, has
 * its seconds in whole, however often a byte goes. */
#include <errno.h>
#include <sys/ioctl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include <pv/inspect.h>
#include <pv/reactor.h>

#include "paravisor/diag_inspect.h"

#define SECOND 1000000000ull

/* ---- the daemon ---- */

static _Atomic uint64_t now;

uint64_t reactor_now(void)
{
	return atomic_load(&now);
}

void reactor_run(struct reactor *r, void (*fn)(void *arg), void *arg)
{
	(void)r;
	fn(arg);
}

/* More than a socket holds. */
static void describe(void *object, struct inspect *out)
{
	static char text[200];
	char name[] = "a0000";

	(void)object;
	memset(text, 'x', sizeof(text) - 1);
	for (unsigned int i = 0; i < 1000; i++) {
		name[1] = (char)('0' + i / 100);
		name[2] = (char)('0' + i / 10 % 10);
		name[3] = (char)('0' + i % 10);
		inspect_text(out, name, text);
	}
}

static struct inspect_entry big = { "big", describe, NULL, NULL };

/* ---- the client ---- */

static int client, server;
static pthread_t thread;

static void *serve(void *unused)
{
	(void)unused;
	diag_inspect_client(server, NULL);
	shutdown(server, SHUT_RDWR);
	return NULL;
}

static int setup(void **state)
{
	int fd[2], size = 4096;

	(void)state;
	atomic_store(&now, 100 * SECOND);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	client = fd[0];
	server = fd[1];
	setsockopt(server, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	return pthread_create(&thread, NULL, serve, NULL);
}

static int teardown(void **state)
{
	(void)state;
	close(client);
	pthread_join(thread, NULL);
	close(server);
	return 0;
}

static void later(uint64_t seconds)
{
	atomic_fetch_add(&now, seconds * SECOND);
}

static void say(const char *text)
{
	assert_int_equal(send(client, text, strlen(text), MSG_NOSIGNAL),
			 strlen(text));
}

/* The server has taken all that was said. */
static void heard(void)
{
	for (int left = 1; left > 0; usleep(1000))
		assert_int_equal(ioctl(server, FIONREAD, &left), 0);
}

/* What comes within `ms`; 0: the end; -1: nothing. */
static ssize_t hear(char *to, size_t size, int ms)
{
	struct pollfd p = { .fd = client, .events = POLLIN };

	return poll(&p, 1, ms) == 1 ? read(client, to, size) : -1;
}

static void line(void)
{
	char text[256];
	ssize_t n;

	do
		n = hear(text, sizeof(text), 10000);
	while (n > 0 && text[n - 1] != '\n');
	assert_true(n > 0);
}

/* Questions of their own, each in its time, as many as one likes. */
static void in_time(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 3; i++) {
		later(3);
		say("{\"path\":");
		heard();
		later(1);
		say("\"nothing\"}\n");
		line();
	}
}

static void question_of_slow_bytes(void **state)
{
	char byte;

	(void)state;
	say("{");
	heard();
	for (unsigned int i = 0; i < 2; i++) {
		assert_int_equal(hear(&byte, 1, 20), -1);
		later(2);
		say(" ");
		heard();
	}
	later(2);
	say(" ");
	assert_int_equal(hear(&byte, 1, 500), 0);
}

static void answer_taken_slowly(void **state)
{
	static char bytes[8192];
	size_t taken = 0;
	ssize_t n;

	(void)state;
	say("{\"path\":\"big\"}\n");
	for (unsigned int i = 0; i < 8; i++) {
		n = hear(bytes, sizeof(bytes), 500);
		if (n <= 0)
			break;
		taken += (size_t)n;
		usleep(10000); /* it sends what there is room for now */
		later(2);
	}
	/* What was on its way, and then the end. */
	while ((n = hear(bytes, sizeof(bytes), 500)) > 0)
		taken += (size_t)n;
	assert_int_equal(n, 0);
	assert_true(taken > 0 && taken < 150000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(in_time),
		T(question_of_slow_bytes),
		T(answer_taken_slowly),
	};

	inspect_register(&big);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
