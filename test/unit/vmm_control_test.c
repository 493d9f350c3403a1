/* SPDX-License-Identifier: MIT */
/* SOURCES: test/vmm/control.c test/vmm/commands.c test/vmm/command_arguments.c test/vmm/request.c test/vmm/device_option.c test/vmm/json.c test/vmm/loop.c paravisor/reactor_calls.c paravisor/reactor_timers.c */
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
#include "vmm_control_ops.h"

#define DEADLINE_MS 10000

static char path[64];
static struct reactor *loop;
static struct control *control;
static pthread_t thread;
static int fd;

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
	settings_done = NULL;
	control = control_open(path, loop, command_run, &target);
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

/* With CONTROL_TRANSCRIPT set, what goes over the socket is written there, for
 * test/check/control_schema: "> " and a line of ours, "< " and an answer. */
static void note(char way, const char *text, size_t len)
{
	const char *name = getenv("CONTROL_TRANSCRIPT");
	FILE *out = name ? fopen(name, "ae") : NULL;

	if (!out)
		return;
	fprintf(out, "%c %.*s\n", way, (int)len, text);
	fclose(out);
}

static void send_text(const char *text)
{
	const char *end;

	for (const char *at = text; (end = strchr(at, '\n')); at = end + 1)
		note('>', at, (size_t)(end - at));
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

/* One line without its newline, or "" when the connection was closed. */
static const char *receive(int client)
{
	static char line[8192];
	size_t len = 0;

	while (len < sizeof(line) - 1) {
		struct pollfd in = { .fd = client, .events = POLLIN };

		assert_int_equal(poll(&in, 1, DEADLINE_MS), 1);
		if (read(client, line + len, 1) != 1 || line[len] == '\n')
			break;
		len++;
	}
	line[len] = '\0';
	note('<', line, len);
	return line;
}

static void answers(void **state)
{
	static const char *const cases[][2] = {
		{ "{\"id\":1,\"cmd\":\"stats\"}",
		  "{\"id\":1,\"ok\":" STATS "}" },
		{ "{\"cmd\":\"stats\",\"args\":{},\"id\":\"a\\\"b\"}",
		  "{\"id\":\"a\\\"b\",\"ok\":" STATS "}" },
		{ "{\"id\":3,\"cmd\":\"fly\"}",
		  "{\"id\":3,\"error\":\"cmd: unknown command\"}" },
		{ "{\"id\":3,\"cmd\":\"stats\",\"args\":[]}",
		  "{\"id\":3,\"error\":\"args: must be an object\"}" },
		{ "{\"id\":3,\"cmd\":\"reset\"}",
		  "{\"id\":3,\"error\":\"reset: not today\"}" },
		{ "{\"id\":3,\"cmd\":\"stats\",\"argos\":{}}",
		  "{\"id\":3,\"error\":\"argos: unknown member\"}" },
		{ "{\"id\":4}", "{\"id\":4,\"error\":\"cmd is missing\"}" },
		{ "[]", "{\"id\":null,\"error\":\"cmd is missing\"}" },
		{ "{\"id\":{},\"cmd\":\"stats\"}",
		  "{\"id\":null,\"error\":\"id: must be a string or a "
		  "number\"}" },
		{ "{\"id\":5,", "{\"id\":null,\"error\":\"not JSON at byte "
		  "8\"}" },
	};
	char text[256];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(text, sizeof(text), "%s\n", cases[i][0]);
		send_text(text);
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
	assert_string_equal(receive(fd), "{\"id\":1,\"ok\":" STATS "}");
	assert_string_equal(receive(fd), "{\"id\":2,\"ok\":" STATS "}");
	send_text("}\n");
	assert_string_equal(receive(fd),
			    "{\"id\":null,\"error\":\"cmd is missing\"}");
}

static void an_endless_line_ends_its_connection_only(void **state)
{
	static char text[70000];
	int other = connect_client();

	(void)state;
	memset(text, ' ', sizeof(text) - 1);
	/* The end may come before all is written. */
	send(fd, text, sizeof(text) - 1, MSG_NOSIGNAL);
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
	assert_null(control_open(path, loop, command_run, &target));
	said = captured_stderr();
	assert_true(is_one_line(said));
	assert_non_null(strstr(said, "vmm: --control "));
	assert_non_null(strstr(said, "Address already in use"));
}

static void arguments(void **state)
{
	static const struct {
		const char *cmd, *args, *answer, *called;
	} cases[] = {
		{ "nvme-attach", "\"disk\":0,\"nsid\":2,\"back\":\"mem:64M\"",
		  "\"ok\":{}", "attach 0 2 mem:64M" },
		{ "nvme-attach", "\"back\":\"file:\\/a\\\"\\u00e4\",\"nsid\":"
		  "4294967294,\"disk\":15", "\"ok\":{}",
		  "attach 15 4294967294 file:/a\"\xc3\xa4" },
		{ "nvme-attach", "\"disk\":0,\"nsid\":9,\"back\":\"mem:1M\"",
		  "\"error\":\"nsid: there is such a namespace already\"",
		  "attach 0 9 mem:1M" },
		{ "nvme-detach", "\"nsid\":2,\"disk\":1", "\"ok\":{}",
		  "detach 1 2" },
		{ "nvme-resize", "\"disk\":0,\"nsid\":1,\"size\":\"128M\"",
		  "\"ok\":{}", "resize 0 1 134217728" },
		{ "nvme-unplug", "\"disk\":1", "\"ok\":{}", "plug 1 0" },
		{ "nvme-plug", "\"disk\":1", "\"ok\":{}", "plug 1 1" },
		{ "nvme-plug", "\"disk\":2",
		  "\"error\":\"disk: there is no such --disk\"", "plug 2 1" },
		{ "scsi-resize", "\"disk\":0,\"size\":\"128M\"", "\"ok\":{}",
		  "resize 0 134217728" },
		{ "scsi-resize", "\"disk\":0", "\"error\":\"size: is missing\"",
		  "" },
		{ "mana-event", "\"event\":\"link-down\"", "\"ok\":{}",
		  "mana link-down" },
		{ "mana-event", "\"event\":\"x\"",
		  "\"error\":\"event: must be another\"", "mana x" },
		{ "mana-event", "", "\"error\":\"event: is missing\"", "" },
		{ "mana-event", "\"event\":1",
		  "\"error\":\"event: must be a text such as link-down\"", "" },
		{ "mana-fault", "\"fault\":\"tx-lost\"", "\"ok\":{}",
		  "mana tx-lost 0 0 4294967295" },
		{ "mana-fault", "\"fault\":\"rx-twice\",\"count\":3,"
		  "\"skip\":2,\"vport\":1", "\"ok\":{}",
		  "mana rx-twice 3 2 1" },
		{ "mana-fault", "\"fault\":\"dorp\"",
		  "\"error\":\"fault: there is none of this name\"",
		  "mana dorp 0 0 4294967295" },
		{ "mana-fault", "\"vport\":1",
		  "\"error\":\"fault: is missing\"", "" },
		{ "mana-fault", "\"fault\":\"reset\",\"vport\":8",
		  "\"error\":\"vport: must be a number from 0 to 7\"", "" },
		{ "unplug", "\"device\":\"net0\"", "\"ok\":{}",
		  "unplug net0" },
		{ "plug", "\"device\":\"scsi\"",
		  "\"error\":\"device: it is plugged in\"", "plug scsi" },
		{ "plug", "\"device\":0",
		  "\"error\":\"device: must be a text such as net0\"", "" },
		{ "fault", "\"disk\":0,\"fault\":\"drop\"", "\"ok\":{}",
		  "fault 0 drop 0: 0 0 0 0 0 0 0" },
		{ "fault", "\"disk\":0,\"fault\":\"late\",\"opcode\":2,"
		  "\"nsid\":1,\"lba\":18446744073709551615,\"skip\":4,"
		  "\"count\":3,\"delay_ms\":5", "\"ok\":{}",
		  "fault 0 late 125: 2 0 1 18446744073709551615 4 3 5" },
		{ "fault", "\"disk\":0,\"fault\":\"drop\",\"admin\":true",
		  "\"ok\":{}", "fault 0 drop 2: 0 1 0 0 0 0 0" },
		{ "fault", "\"disk\":1,\"fault\":\"dorp\"",
		  "\"error\":\"fault: there is none of this name\"",
		  "fault 1 dorp 0: 0 0 0 0 0 0 0" },
		{ "fault", "\"disk\":0", "\"error\":\"fault: is missing\"",
		  "" },
		{ "fault", "\"disk\":0,\"fault\":3",
		  "\"error\":\"fault: must be a text such as drop\"", "" },
		{ "fault", "\"disk\":0,\"fault\":\"drop\",\"op\":2",
		  "\"error\":\"op: unknown argument\"", "" },
		{ "fault", "\"disk\":0,\"fault\":\"drop\",\"opcode\":256",
		  "\"error\":\"opcode: must be a number from 0 to 255\"",
		  "" },
		{ "fault", "\"disk\":0,\"fault\":\"drop\",\"admin\":1",
		  "\"error\":\"admin: must be true or false\"", "" },
		{ "fault", "\"disk\":0,\"fault\":\"drop\",\"lba\":-1",
		  "\"error\":\"lba: must be a whole number\"", "" },
		{ "fault", "\"disk\":0,\"fault\":\"drop\","
		  "\"count\":4294967296",
		  "\"error\":\"count: must be a number from 0 to "
		  "4294967295\"", "" },
		{ "scsi-resize", "\"disk\":16,\"size\":\"1M\"",
		  "\"error\":\"disk: must be a number from 0 to 15\"", "" },
		{ "scsi-resize", "\"disk\":\"0\",\"size\":\"1M\"",
		  "\"error\":\"disk: must be a number from 0 to 15\"", "" },
		{ "scsi-resize", "\"disk\":-1,\"size\":\"1M\"",
		  "\"error\":\"disk: must be a number from 0 to 15\"", "" },
		{ "scsi-resize", "\"disk\":0,\"disk\":1,\"size\":\"1M\"",
		  "\"error\":\"disk: given twice\"", "" },
		{ "scsi-resize", "\"disk\":0,\"size\":\"1X\"",
		  "\"error\":\"size: must be a text such as 64M, and not 0\"",
		  "" },
		{ "scsi-resize", "\"disk\":0,\"size\":\"0M\"",
		  "\"error\":\"size: must be a text such as 64M, and not 0\"",
		  "" },
		{ "scsi-resize", "\"disk\":0,\"size\":1024",
		  "\"error\":\"size: must be a text such as 64M, and not 0\"",
		  "" },
		{ "scsi-resize", "\"disk\":0,\"nsid\":1,\"size\":\"1M\"",
		  "\"error\":\"nsid: unknown argument\"", "" },
		{ "nvme-detach", "\"disk\":0,\"nsid\":0",
		  "\"error\":\"nsid: must be a number from 1 to 4294967294\"",
		  "" },
		{ "nvme-detach", "\"disk\":0,\"nsid\":4294967295",
		  "\"error\":\"nsid: must be a number from 1 to 4294967294\"",
		  "" },
		{ "nvme-attach", "\"disk\":0,\"nsid\":2,\"back\":null",
		  "\"error\":\"back: must be a text such as mem:64M or "
		  "file:PATH\"", "" },
		{ "time", "\"offset\":3600", "\"ok\":{}", "time 3600" },
		{ "time", "\"offset\":-3155760000", "\"ok\":{}",
		  "time -3155760000" },
		{ "time", "\"offset\":7",
		  "\"error\":\"the guest does not listen\"", "time 7" },
		{ "time", "\"offset\":3155760001",
		  "\"error\":\"offset: must be whole seconds, at most "
		  "3155760000 either way\"", "" },
		{ "time", "\"offset\":1.5",
		  "\"error\":\"offset: must be whole seconds, at most "
		  "3155760000 either way\"", "" },
		{ "time", "", "\"error\":\"offset: is missing\"", "" },
		{ "kvp-get", "\"key\":\"OSName\"",
		  "\"ok\":{\"value\":\"Debian \\\"13\\\"\"}",
		  "kvp auto OSName" },
		{ "kvp-get", "\"pool\":\"guest\",\"key\":\"a\"",
		  "\"error\":\"key: the guest has none of this name\"",
		  "kvp guest a" },
		{ "kvp-get", "\"pool\":\"x\",\"key\":\"a\"",
		  "\"error\":\"pool: must be another\"", "kvp x a" },
		{ "kvp-get", "\"key\":\"\"",
		  "\"error\":\"key: must be a text such as OSName\"", "" },
		{ "kvp-get", "\"key\":\"a\",\"pool\":2",
		  "\"error\":\"pool: must be a text such as auto\"", "" },
		{ "shutdown", "\"now\":true",
		  "\"error\":\"now: unknown argument\"", "" },
		{ "inspect", "", "\"ok\":{\"half\":1}", "inspect  4" },
		{ "inspect", "\"depth\":5,\"path\":\"vmbus/1\"",
		  "\"ok\":{\"half\":1}", "inspect vmbus/1 5" },
		{ "inspect", "\"path\":\"x\"",
		  "\"error\":\"path: there is no such object\"",
		  "inspect x 4" },
		{ "inspect", "\"depth\":6",
		  "\"error\":\"depth: the answer is too big\"",
		  "inspect  6" },
		{ "inspect", "\"depth\":0",
		  "\"error\":\"depth: must be a number from 1 to 16\"", "" },
		{ "inspect", "\"path\":7",
		  "\"error\":\"path: must be a text such as "
		  "vmbus/channels\"", "" },
		{ "info", "", "\"ok\":{\"igvm\":null,\"memory_mib\":512,\"state\":"
		  "\"running\",\"uptime_s\":3,\"vps\":2}", "" },
		{ "disks", "", "\"ok\":{\"disks\":[{\"disk\":0,\"option\":"
		  "\"mem:64M\",\"owner\":\"vtl0\",\"device\":\"nvme\","
		  "\"namespaces\":[1,7]},{\"disk\":1,\"option\":\"file:a,uh\","
		  "\"owner\":\"vtl2\",\"device\":\"scsi\",\"lun\":0}]}", "" },
		{ "pause", "", "\"error\":\"a VP does not stop\"", "pause" },
		{ "resume", "", "\"ok\":{}", "resume" },
		{ "resume", "\"vps\":1", "\"error\":\"vps: unknown argument\"",
		  "" },
		{ "read-memory", "\"gpa\":4503599627370495,\"bytes\":3,"
		  "\"vtl\":2", "\"ok\":{\"gpa\":4503599627370495,\"hex\":"
		  "\"a5a5a5\"}", "read 2 fffffffffffff 3" },
		{ "read-memory", "\"gpa\":7,\"bytes\":4096", "\"error\":\"gpa: not "
		  "all of it is memory that this VTL sees\"", "read 0 7 4096" },
		{ "read-memory", "\"gpa\":7", "\"error\":\"gpa: not "
		  "all of it is memory that this VTL sees\"", "read 0 7 64" },
		{ "read-memory", "\"bytes\":1", "\"error\":\"gpa: is missing\"",
		  "" },
		{ "read-memory", "\"gpa\":4503599627370496", "\"error\":\"gpa: "
		  "must be a number from 0 to 4503599627370495\"", "" },
		{ "read-memory", "\"gpa\":\"0x7\"", "\"error\":\"gpa: "
		  "must be a number from 0 to 4503599627370495\"", "" },
		{ "read-memory", "\"gpa\":8,\"bytes\":4097", "\"error\":\"bytes: "
		  "must be a number from 1 to 4096\"", "" },
		{ "read-memory", "\"gpa\":8,\"bytes\":0", "\"error\":\"bytes: "
		  "must be a number from 1 to 4096\"", "" },
		{ "read-memory", "\"gpa\":8,\"vtl\":1", "\"error\":\"vtl: "
		  "must be 0 or 2\"", "" },
		{ "v", "\"port\":9980", "\"ok\":{\"connect\":\"CONNECT 9980\\n\","
		  "\"path\":\"/tmp/a \\\"socket\\\"\"}", "" },
		{ "v", "\"port\":9980,\"vtl\":2", "\"error\":\"vtl: has no socket: "
		  "vmm was started without --vtl2-vsock-path\"", "" },
		{ "v", "\"port\":4294967295", "\"error\":\"port: must be a number "
		  "from 0 to 4294967294\"", "" },
		{ "v", "", "\"error\":\"port: is missing\"", "" },
		{ "quit", "\"now\":true",
		  "\"error\":\"now: unknown argument\"", "" },
		{ "stats", "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\":1",
		  "\"error\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa: unknown "
		  "argument\"", "" },
	};
	char text[512];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		called[0] = '\0';
		snprintf(text, sizeof(text),
			 "{\"id\":1,\"cmd\":\"%s\",\"args\":{%s}}\n",
			 cases[i].cmd, cases[i].args);
		send_text(text);
		snprintf(text, sizeof(text), "{\"id\":1,%s}",
			 cases[i].answer);
		assert_string_equal(receive(fd), text);
		assert_string_equal(called, cases[i].called);
	}
	assert_int_equal(quits, 0);
}

/* Answered when VTL2 answers; others are served meanwhile. */
static void settings_are_answered_later(void **state)
{
	(void)state;
	send_text("{\"id\":1,\"cmd\":\"settings\",\"args\": {\"version\":1 "
		  "} }\n{\"id\":2,\"cmd\":\"stats\"}\n"
		  "{\"id\":3,\"cmd\":\"settings\",\"args\":"
		  "{\"version\":1}}\n");
	assert_string_equal(receive(fd), "{\"id\":2,\"ok\":" STATS "}");
	assert_string_equal(receive(fd), "{\"id\":3,\"error\":\"another update "
			    "is under way\"}");
	assert_string_equal(settings_text, "{\"version\":1 }");
	reactor_run(loop, answer_settings, NULL);
	assert_string_equal(receive(fd), "{\"id\":1,\"ok\":{}}");

	send_text("{\"id\":\"x\",\"cmd\":\"settings\",\"args\":"
		  "{\"version\":2}}\n{\"id\":2,\"cmd\":\"stats\"}\n");
	assert_string_equal(receive(fd), "{\"id\":2,\"ok\":" STATS "}");
	reactor_run(loop, answer_settings,
		    (void *)(uintptr_t)"/version: \"2\"\n");
	assert_string_equal(receive(fd), "{\"id\":\"x\",\"error\":"
			    "\"/version: \\\"2\\\"\\u000a\"}");
	send_text("{\"id\":4,\"cmd\":\"settings\"}\n");
	assert_string_equal(receive(fd), "{\"id\":4,\"error\":\"/version: is "
			    "missing\"}");
}

static void a_shutdown_is_answered_later(void **state)
{
	(void)state;
	send_text("{\"id\":1,\"cmd\":\"shutdown\"}\n"
		  "{\"id\":2,\"cmd\":\"shutdown\"}\n");
	assert_string_equal(receive(fd), "{\"id\":2,\"error\":\"the guest does "
			    "not listen\"}");
	reactor_run(loop, answer_settings, NULL);
	assert_string_equal(receive(fd), "{\"id\":1,\"ok\":{}}");
}

/* 64 KiB of settings fit into a line. */
static void settings_as_big_as_may_be(void **state)
{
	static char text[65536 + 1], line[sizeof(text) + 100];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	memcpy(text, "{\"version\":1,\"y\":\"", 18);
	memcpy(text + sizeof(text) - 3, "\"}", 3);
	snprintf(line, sizeof(line), "{\"id\":1,\"cmd\":\"settings\",\"args\":"
		 "%s}\n{\"id\":2,\"cmd\":\"stats\"}\n", text);
	send_text(line);
	assert_string_equal(receive(fd), "{\"id\":2,\"ok\":" STATS "}");
	assert_string_equal(settings_text, text);
	reactor_run(loop, answer_settings, NULL);
	assert_string_equal(receive(fd), "{\"id\":1,\"ok\":{}}");
}

/* Who closes its writing end still gets its answers; who is gone, nothing. */
static void clients_that_go(void **state)
{
	int other = connect_client();

	(void)state;
	send_text("{\"id\":1,\"cmd\":\"settings\",\"args\":{\"version\":1}}\n"
		  "{\"id\":2,\"cmd\":\"stats\"}\n");
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	assert_string_equal(receive(fd), "{\"id\":2,\"ok\":" STATS "}");
	assert_int_equal(write(other, "{\"id\":1}\n", 9), 9);
	assert_string_equal(receive(other),
			    "{\"id\":1,\"error\":\"cmd is missing\"}");
	reactor_run(loop, answer_settings, NULL);
	assert_string_equal(receive(fd), "{\"id\":1,\"ok\":{}}");
	assert_string_equal(receive(fd), "");

	assert_true(write(other, "{\"id\":1,\"cmd\":\"settings\",\"args\":"
			  "{\"version\":1}}\n{\"id\":2}\n", 56) == 56);
	assert_string_equal(receive(other),
			    "{\"id\":2,\"error\":\"cmd is missing\"}");
	close(other);
	other = connect_client();
	assert_int_equal(write(other, "{\"id\":3}\n", 9), 9);
	assert_string_equal(receive(other),
			    "{\"id\":3,\"error\":\"cmd is missing\"}");
	reactor_run(loop, answer_settings, NULL);
	assert_int_equal(write(other, "{\"id\":4}\n", 9), 9);
	assert_string_equal(receive(other),
			    "{\"id\":4,\"error\":\"cmd is missing\"}");
	close(other);
}

/* The machine ends before VTL2 answers: nothing is left over. */
static void never_answered(void **state)
{
	(void)state;
	send_text("{\"id\":1,\"cmd\":\"settings\",\"args\":{\"version\":1}}\n"
		  "{\"id\":2,\"cmd\":\"stats\"}\n");
	assert_string_equal(receive(fd), "{\"id\":2,\"ok\":" STATS "}");
}

/* All commands are said to be there, with their arguments. */
static void help_has_all(void **state)
{
	const char *said;
	char name[64];

	(void)state;
	send_text("{\"id\":1,\"cmd\":\"help\"}\n");
	said = receive(fd);
	for (const struct command *c = commands; c->name; c++) {
		snprintf(name, sizeof(name), "{\"name\":\"%s\",", c->name);
		assert_non_null(strstr(said, name));
	}
	assert_non_null(strstr(said, "{\"name\":\"kvp-get\",\"needs\":[\"key\"],"
				     "\"takes\":[\"pool\"],\"help\":\"what "));
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
		TEST(arguments),
		TEST(help_has_all),
		TEST(settings_are_answered_later),
		TEST(a_shutdown_is_answered_later),
		TEST(settings_as_big_as_may_be),
		TEST(clients_that_go),
		TEST(never_answered),
		TEST(a_path_in_use_is_one_line),
	};

	snprintf(path, sizeof(path), "/tmp/vmm_control_test.%d", getpid());
	return cmocka_run_group_tests(tests, NULL, NULL);
}
