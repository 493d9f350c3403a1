/* SPDX-License-Identifier: MIT */
/* SOURCES: test/vmm/core.c test/vmm/loop.c test/vmm/unix_listen.c paravisor/reactor_calls.c paravisor/reactor_timers.c paravisor/log.c */
/* Cores that come whole, cut short or from somebody else. */
#include <pthread.h>
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

#include "core_reg.h"
#include "test/unit/stderr_capture.h"
#include "test/vmm/core.h"
#include "test/vmm/loop.h"

static char dir[] = "/tmp/core-test-XXXXXX";
static char path[64], vsock[64], port[64];
static struct reactor *loop;
static struct core_file *core;
static pthread_t thread;

static void *run(void *opaque)
{
	loop_run(opaque);
	return NULL;
}

static int start(void **state)
{
	(void)state;
	capture_stderr();
	loop = loop_create();
	core = core_file_open(path, vsock, loop);
	assert_non_null(core);
	assert_int_equal(pthread_create(&thread, NULL, run, loop), 0);
	return 0;
}

/* What was said until then. */
static const char *stop(void)
{
	loop_stop(loop);
	pthread_join(thread, NULL);
	core_file_close(core);
	loop_destroy(loop);
	return captured_stderr();
}

static int connect_port(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", port);
	assert_int_equal(connect(fd, (struct sockaddr *)&address,
				 sizeof(address)), 0);
	return fd;
}

static struct core_head head(uint32_t log_bytes)
{
	return (struct core_head){ cpu_to_le64(CORE_MAGIC),
				   cpu_to_le32(CORE_VERSION), cpu_to_le32(77),
				   cpu_to_le32(11), cpu_to_le32(log_bytes) };
}

/* All of it in pieces of `piece` bytes; waits for the other side's end. */
static void give(const void *bytes, size_t size, size_t piece)
{
	const char *p = bytes;
	int fd = connect_port();
	char c;

	while (size) {
		size_t n = size < piece ? size : piece;

		if (send(fd, p, n, MSG_NOSIGNAL) != (ssize_t)n)
			break;
		p += n;
		size -= n;
	}
	shutdown(fd, SHUT_WR);
	assert_true(recv(fd, &c, 1, 0) <= 0);
	close(fd);
}

static void expect(const char *suffix, const char *content, size_t size)
{
	char name[80], *bytes = calloc(1, size + 2);
	FILE *f;

	snprintf(name, sizeof(name), "%s%s", path, suffix);
	f = fopen(name, "r");
	if (!f)
		fail_msg("no file %s", name);
	assert_int_equal(fread(bytes, 1, size + 1, f), size);
	assert_memory_equal(bytes, content, size);
	fclose(f);
	free(bytes);
	unlink(name);
}

static void nothing(void)
{
	static const char *const suffix[] = { "", ".log", ".part",
					      ".log.part" };
	char name[80];

	for (int i = 0; i < 4; i++) {
		snprintf(name, sizeof(name), "%s%s", path, suffix[i]);
		if (!access(name, F_OK))
			fail_msg("there is %s", name);
	}
}

static void whole(void **state)
{
	static struct {
		struct core_head head;
		char log[9], core[100000];
	} __attribute__((packed)) all;
	static const size_t piece[] = { sizeof(all), 1000, 7 };
	const char *said;

	all.head = head(sizeof(all.log));
	memcpy(all.log, "last line", 9);
	for (size_t i = 0; i < sizeof(all.core); i++)
		all.core[i] = (char)(i * i >> 7);
	for (int i = 0; i < 3; i++) {
		start(state);
		give(&all, sizeof(all), piece[i]);
		said = stop();
		assert_non_null(strstr(said, "97 KiB of process 77 of VTL2, "
				       "ended by signal 11\n"));
		expect("", all.core, sizeof(all.core));
		expect(".log", all.log, sizeof(all.log));
		nothing();
	}
}

static void refused(void **state)
{
	static struct {
		struct core_head head;
		char rest[40];
	} __attribute__((packed)) all;
	static const struct {
		size_t size;
		int change;
		const char *why;
	} cases[] = {
		{ 0, 0, ": cut short\n" }, { 10, 0, ": cut short\n" },
		{ 24, 0, ": cut short\n" }, { 30, 0, ": cut short\n" },
		{ 64, 1, ": what came is no core of VTL2\n" },
		{ 64, 2, ": a core in another form than version 1\n" },
		{ 64, 3, ": a log of more than 256 KiB\n" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		all.head = head(6);
		if (cases[i].change == 1)
			all.head.magic = cpu_to_le64(0);
		else if (cases[i].change == 2)
			all.head.version = cpu_to_le32(2);
		else if (cases[i].change == 3)
			all.head.log_bytes = cpu_to_le32(CORE_LOG_MAX + 1);
		start(state);
		give(&all, cases[i].size, 100);
		assert_non_null(strstr(stop(), cases[i].why));
		nothing();
	}
}

/* The machine ends while it comes. */
static void ends(void **state)
{
	struct core_head h = head(6);
	int fd;

	start(state);
	fd = connect_port();
	assert_int_equal(send(fd, &h, sizeof(h), 0), sizeof(h));
	usleep(100000);
	assert_non_null(strstr(stop(), "the machine ended before the core"));
	nothing();
	close(fd);
	assert_int_equal(access(port, F_OK), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole),
		cmocka_unit_test(refused),
		cmocka_unit_test(ends),
	};
	int failed;

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/core", dir);
	snprintf(vsock, sizeof(vsock), "%s/vsock", dir);
	snprintf(port, sizeof(port), "%s/vsock_%u", dir, CORE_PORT);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(dir);
	return failed;
}
