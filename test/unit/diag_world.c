/* SPDX-License-Identifier: MIT */
/*
 * The diagnosis server for tests, theory of operation
 *
 *	test, pvctl, client.py --path--> front: reads CONNECT, splices
 *	                                   |            to the port's listener
 *	test --diag_world_connect()--------+--> server thread
 *
 * The listeners are abstract Unix sockets. The front has a thread for each of
 * its connections, which copies both ways until either end closes. Failures
 * are assertions.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include <pv/capture.h>
#include <pv/inspect.h>
#include <pv/log.h>
#include <pv/reactor.h>

#include "paravisor/build_inspect.h"
#include "test/unit/diag_world.h"

LOG_MODULE("world");

atomic_uint diag_world_pauses, diag_world_resumes;
atomic_bool diag_world_stopped, diag_world_hangs, diag_world_nics_gone;
atomic_uint diag_world_listened;

static struct {
	struct diag_server *server;
	pthread_t thread, front_thread;
	int front;
	char control[64], data[64], path[64], kmsg[80];
	_Atomic uint64_t later;
} world;

/* ---- what the server asks of the daemon ---- */

void reactor_run(struct reactor *r, void (*fn)(void *arg), void *arg)
{
	(void)r;
	while (atomic_load(&diag_world_hangs))
		usleep(1000);
	fn(arg);
}

uint64_t reactor_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec +
	       atomic_load(&world.later);
}

void diag_world_later(uint64_t ns)
{
	atomic_fetch_add(&world.later, ns);
}

static int pause_vtl0(void *opaque, bool paused)
{
	(void)opaque;
	if (atomic_load(&diag_world_stopped))
		return -EINVAL;
	atomic_fetch_add(paused ? &diag_world_pauses : &diag_world_resumes, 1);
	return 0;
}

/* A NIC says what it is, and then nothing. */
static struct world_capture {
	struct capture capture; /* first */
	atomic_bool on;
	char text[32];
	size_t at;
} world_nic[DIAG_WORLD_NICS];

static int nic_read(struct capture *c, void *to, size_t size)
{
	struct world_capture *nic = (struct world_capture *)c;
	size_t n = strlen(nic->text + nic->at);

	assert_true(nic->on);
	if (!n)
		return atomic_load(&diag_world_nics_gone) ? -ENODEV : 0;
	/* In pieces. */
	n = n > 5 ? 5 : n;
	assert_true(n <= size);
	memcpy(to, nic->text + nic->at, n);
	nic->at += n;
	return (int)n;
}

static void nic_stop(struct capture *c)
{
	assert_true(atomic_exchange(&((struct world_capture *)c)->on, false));
	atomic_fetch_sub(&diag_world_listened, 1);
}

static unsigned int captures(void *opaque)
{
	(void)opaque;
	return DIAG_WORLD_NICS;
}

static int capture(void *opaque, unsigned int n, uint32_t snaplen,
		   struct capture **out)
{
	static const struct capture_ops ops = { nic_read, nic_stop };
	struct world_capture *nic = &world_nic[n];

	(void)opaque;
	assert_true(n < DIAG_WORLD_NICS);
	if (atomic_exchange(&nic->on, true))
		return -EBUSY;
	atomic_fetch_add(&diag_world_listened, 1);
	nic->capture.ops = &ops;
	nic->at = 0;
	snprintf(nic->text, sizeof(nic->text), "NIC %u, %u bytes", n, snaplen);
	*out = &nic->capture;
	return 0;
}

static void describe_vp(void *object, struct inspect *out)
{
	unsigned int n = 3;

	(void)object;
	inspect_u64(out, "entries", 42);
	inspect_bool(out, "running", true);
	inspect_hex(out, "rip", 0xffffffff81000000);
	inspect_text(out, "name", "a \"b\"");
	if (inspect_begin(out, "sample")) {
		inspect_u64(out, "number", 1);
		inspect_text(out, "state", "running");
		inspect_hex(out, "rip", 0x7fff0000);
		inspect_u64(out, "tsc", 123);
		inspect_end(out);
	}
	if (!inspect_begin_newest(out, "trace", &n))
		return;
	for (unsigned int i = 0; i < n && i < 9; i++) {
		char name[12];

		snprintf(name, sizeof(name), "%u", i);
		if (!inspect_begin(out, name))
			continue;
		inspect_text(out, "reason", "port");
		inspect_hex(out, "qualifier", 0xcf8);
		inspect_end(out);
	}
	inspect_end(out);
}

static void describe_violations(void *object, struct inspect *out)
{
	(void)object;
	inspect_u64(out, "total", 0);
	if (inspect_begin(out, "rules"))
		inspect_end(out);
}

/* From here on what counts goes on each time that it is looked at. */
static void describe_busy_vp(void *object, struct inspect *out)
{
	static uint64_t asked;

	(void)object;
	if (inspect_begin(out, "exits")) {
		inspect_u64(out, "port", 100 * ++asked);
		inspect_end(out);
	}
	if (inspect_begin(out, "exit_ns")) {
		inspect_u64(out, "port", 100000 * asked);
		inspect_end(out);
	}
}

static void describe_partition(void *object, struct inspect *out)
{
	(void)object;
	inspect_text(out, "state", "running");
	inspect_u64(out, "vps", 2);
}

static void describe_disk(uint64_t asked, struct inspect *out)
{
	if (inspect_begin(out, "lun0")) {
		if (inspect_begin(out, "nvme")) {
			inspect_u64(out, "nsid", 1);
			inspect_end(out);
		}
		inspect_end(out);
	}
	if (!inspect_begin(out, "channel0"))
		return;
	if (inspect_begin(out, "lun0")) {
		inspect_u64(out, "reads", 10 * asked);
		inspect_u64(out, "bytes_read", 40960 * asked);
		inspect_u64(out, "in_flight", 3);
		if (inspect_begin(out, "latency")) {
			inspect_u64(out, "ticks_per_ms", 1024000);
			inspect_u64(out, "14", 10 * asked);
			inspect_end(out);
		}
		inspect_end(out);
	}
	inspect_end(out);
}

static void describe_nic(uint64_t asked, struct inspect *out)
{
	if (inspect_begin(out, "mana")) {
		inspect_u64(out, "queues", 1);
		inspect_end(out);
	}
	if (inspect_begin(out, "channel0")) {
		inspect_u64(out, "tx_frames", 1000 * asked);
		inspect_end(out);
	}
}

static void describe_vmbus(void *object, struct inspect *out)
{
	static uint64_t asked;

	(void)object;
	asked++;
	if (!inspect_begin(out, "channels"))
		return;
	if (inspect_begin(out, "2")) {
		describe_disk(asked, out);
		inspect_end(out);
	}
	if (inspect_begin(out, "3")) {
		describe_nic(asked, out);
		inspect_end(out);
	}
	inspect_end(out);
}

static const char *take_sample(void *object, const char *value)
{
	(void)object;
	return *value ? "takes no value" : NULL;
}

static void register_tree(void)
{
	static struct inspect_entry vp0 = { "vp0", describe_vp, NULL, NULL };
	static struct inspect_entry violations = {
		"violations", describe_violations, NULL, NULL
	};
	static struct inspect_entry vp1 = { "vp1", describe_busy_vp, NULL,
					    NULL };
	static struct inspect_entry partition = {
		"partition", describe_partition, NULL, NULL
	};
	static struct inspect_entry vmbus = { "vmbus", describe_vmbus, NULL,
					      NULL };
	static struct inspect_updater sample = { "vp0/sample", take_sample,
						 NULL, NULL, false };
	static bool registered;

	if (registered)
		return;
	registered = true;
	inspect_register(&vp0);
	inspect_register(&violations);
	inspect_register(&vp1);
	inspect_register(&partition);
	inspect_register(&vmbus);
	inspect_updater_register(&sample);
	build_inspect_register("debug");
	log_info("the tree is there");
}

/* ---- sockets ---- */

static struct sockaddr_un address(const char *name, bool abstract)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	snprintf(a.sun_path + abstract, sizeof(a.sun_path) - abstract, "%s",
		 name);
	return a;
}

static int listen_on(const char *name, bool abstract)
{
	struct sockaddr_un a = address(name, abstract);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 32), 0);
	return fd;
}

static int connect_to(const char *name)
{
	struct sockaddr_un a = address(name, true);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

/* ---- the front ---- */

static void splice_both(int a, int b)
{
	struct pollfd p[2] = { { .fd = a, .events = POLLIN },
			       { .fd = b, .events = POLLIN } };
	char bytes[4096];

	while (poll(p, 2, -1) > 0)
		for (int i = 0; i < 2; i++) {
			ssize_t n;

			if (!p[i].revents)
				continue;
			n = read(p[i].fd, bytes, sizeof(bytes));
			if (n <= 0 || send(p[!i].fd, bytes, (size_t)n,
					   MSG_NOSIGNAL) != n)
				return;
		}
}

static void *serve_front(void *arg)
{
	int client = (int)(intptr_t)arg, port, server;
	char line[32] = "";
	size_t n = 0;

	while (n < sizeof(line) - 1 && !strchr(line, '\n') &&
	       read(client, line + n, 1) == 1)
		n++;
	if (sscanf(line, "CONNECT %d\n", &port) == 1 &&
	    (port == 1 || port == 2)) {
		server = connect_to(port == 1 ? world.control : world.data);
		dprintf(client, "OK %d\n", port);
		splice_both(client, server);
		close(server);
	}
	close(client);
	return NULL;
}

static void *accept_front(void *arg)
{
	(void)arg;
	for (;;) {
		int fd = accept4(world.front, NULL, NULL, SOCK_CLOEXEC);
		pthread_t thread;

		if (fd < 0)
			return NULL;
		assert_int_equal(pthread_create(&thread, NULL, serve_front,
						(void *)(intptr_t)fd), 0);
		pthread_detach(thread);
	}
}

/* ---- the world ---- */

static void *serve(void *arg)
{
	diag_server_run(arg);
	return NULL;
}

void diag_world_start(bool open)
{
	static unsigned int number;
	const struct diag_config config = {
		.open = open, .kmsg = world.kmsg, .pause = pause_vtl0,
		.captures = captures,
		.capture = capture,
	};
	FILE *kmsg;

	register_tree();
	inspect_forbid_changes(!open);
	number++;
	snprintf(world.control, sizeof(world.control), "diag-%d-%u-1",
		 (int)getpid(), number);
	snprintf(world.data, sizeof(world.data), "diag-%d-%u-2",
		 (int)getpid(), number);
	snprintf(world.path, sizeof(world.path), "/tmp/diag-%d-%u",
		 (int)getpid(), number);
	snprintf(world.kmsg, sizeof(world.kmsg), "%s.kmsg", world.path);
	kmsg = fopen(world.kmsg, "w");
	assert_non_null(kmsg);
	fputs("6,0,0,-;Linux version 7.2\n", kmsg);
	fclose(kmsg);
	world.server = diag_server_create(&config, listen_on(world.control,
							     true),
					  listen_on(world.data, true));
	assert_non_null(world.server);
	world.front = listen_on(world.path, false);
	assert_int_equal(pthread_create(&world.thread, NULL, serve,
					world.server), 0);
	assert_int_equal(pthread_create(&world.front_thread, NULL,
					accept_front, NULL), 0);
}

void diag_world_stop(void)
{
	diag_server_stop(world.server);
	pthread_join(world.thread, NULL);
	diag_server_destroy(world.server);
	shutdown(world.front, SHUT_RDWR);
	pthread_join(world.front_thread, NULL);
	close(world.front);
	unlink(world.path);
	unlink(world.kmsg);
}

const char *diag_world_path(void)
{
	return world.path;
}

const char *diag_world_kmsg(void)
{
	return world.kmsg;
}

/* A child's end may interrupt it. */
static bool receive_all(int fd, uint8_t *to, size_t len)
{
	for (size_t at = 0; at < len;) {
		ssize_t n = recv(fd, to + at, len - at, 0);

		if (n == 0 || (n < 0 && errno != EINTR))
			return false;
		at += n > 0 ? (size_t)n : 0;
	}
	return true;
}

int diag_world_connect(void)
{
	return connect_to(world.control);
}

int diag_world_connect_data(uint64_t *id)
{
	int fd = connect_to(world.data);

	assert_true(receive_all(fd, (uint8_t *)id, sizeof(*id)));
	return fd;
}

/* ---- calls ---- */

void diag_world_send(int fd, uint32_t stream, const char *service,
		     const char *method, const void *payload, size_t len)
{
	uint8_t bytes[16384];
	struct ttrpc_request request = { .payload = payload, .len = len };
	struct ttrpc_header header = { .stream = stream,
				       .type = TTRPC_REQUEST };
	struct pb_writer w;

	snprintf(request.service, sizeof(request.service), "%s", service);
	snprintf(request.method, sizeof(request.method), "%s", method);
	pb_write(&w, bytes + TTRPC_HEADER_SIZE,
		 sizeof(bytes) - TTRPC_HEADER_SIZE);
	ttrpc_request_write(&w, &request);
	assert_false(w.full);
	header.length = (uint32_t)w.used;
	ttrpc_header_write(bytes, &header);
	assert_int_equal(send(fd, bytes, TTRPC_HEADER_SIZE + w.used,
			      MSG_NOSIGNAL), TTRPC_HEADER_SIZE + w.used);
}

bool diag_world_receive(int fd, uint32_t *stream,
			struct ttrpc_response *response)
{
	static uint8_t bytes[1 << 20];
	struct ttrpc_header header;

	if (!receive_all(fd, bytes, TTRPC_HEADER_SIZE))
		return false;
	header = ttrpc_header_read(bytes);
	assert_int_equal(header.type, TTRPC_RESPONSE);
	assert_int_equal(header.flags, 0);
	assert_true(header.length <= sizeof(bytes));
	*stream = header.stream;
	assert_true(receive_all(fd, bytes, header.length));
	assert_true(ttrpc_response_read(response, bytes, header.length));
	return true;
}

bool diag_world_call(int fd, const char *service, const char *method,
		     const struct pb_writer *request,
		     struct ttrpc_response *response)
{
	static uint32_t stream = 1;
	uint32_t answered;

	stream += 2;
	diag_world_send(fd, stream, service, method,
			request ? request->out : NULL,
			request ? request->used : 0);
	if (!diag_world_receive(fd, &answered, response))
		return false;
	assert_int_equal(answered, stream);
	return true;
}

size_t diag_world_read_all(int fd, char *to, size_t size)
{
	size_t len = 0;
	ssize_t n;

	while (len < size - 1) {
		n = read(fd, to + len, size - 1 - len);
		if (n == 0 || (n < 0 && errno != EINTR))
			break;
		len += n > 0 ? (size_t)n : 0;
	}
	to[len] = '\0';
	return len;
}
