/* SPDX-License-Identifier: MIT */
/* SOURCES: paravisor/host_channel.c include/guid.c paravisor/log.c */
/*
 * Channels of the host, in a tree of files that looks like the kernel's: a
 * plain file is mapped as a UIO device is, and for signals a socket is put in
 * the place of its descriptor.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "paravisor/host_channel.h"
#include "stderr_capture.h"

#define INSTANCE "700df40e-b947-4776-b839-d1b0a35af034"
#define DEVICE "/sys/bus/vmbus/devices/" INSTANCE
#define NEW_ID "/sys/bus/vmbus/drivers/uio_hv_generic/new_id"
#define SIZE (1u << 20)

static const struct guid interface =
	GUID_INIT(0x8b60ccf6, 0x709f, 0x4c11, 0x90, 0xb5, 0x22, 0x9c, 0x95,
		  0x9a, 0x9e, 0x6a);
static const struct guid instance =
	GUID_INIT(0x700df40e, 0xb947, 0x4776, 0xb8, 0x39, 0xd1, 0xb0, 0xa3,
		  0x5a, 0xf0, 0x34);

static char root[] = "/tmp/host-channel-test-XXXXXX";
static struct host_channel hc;
static struct reactor *const reactor = (struct reactor *)&hc;
static struct reactor_watch *watched;
static unsigned int signals, gones;

int reactor_watch_add(struct reactor *r, struct reactor_watch *watch)
{
	assert_ptr_equal(r, reactor);
	watched = watch;
	return 0;
}

void reactor_watch_remove(struct reactor *r, struct reactor_watch *watch)
{
	assert_ptr_equal(r, reactor);
	assert_ptr_equal(watch, watched);
	watched = NULL;
}

static void signalled(void *opaque)
{
	assert_ptr_equal(opaque, &hc);
	signals++;
}

static void gone(void *opaque)
{
	assert_ptr_equal(opaque, &hc);
	gones++;
}

static void shell(const char *command)
{
	char line[512];

	snprintf(line, sizeof(line), "cd %s && %s", root, command);
	assert_int_equal(system(line), 0);
}

static const char *file(const char *path)
{
	static char full[256];

	snprintf(full, sizeof(full), "%s%s", root, path);
	return full;
}

static int setup(void **state)
{
	(void)state;
	signals = gones = 0;
	strcpy(root + sizeof(root) - 7, "XXXXXX");
	if (!mkdtemp(root))
		return -1;
	shell("mkdir -p ." DEVICE "/uio/uio3/maps/map0 dev "
	      "sys/bus/vmbus/drivers/uio_hv_generic && : >." NEW_ID " && "
	      "truncate -s 1M dev/uio3 && "
	      "echo 0x0000000000100000 >." DEVICE "/uio/uio3/maps/map0/size");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	host_channel_close(&hc);
	shell("rm -r \"$PWD\"");
	return 0;
}

static int open_it(void)
{
	return host_channel_open(&hc, root, "com1", &interface, &instance);
}

static void opens(void **state)
{
	char text[64] = "";
	FILE *f;

	(void)state;
	assert_int_equal(open_it(), 0);
	f = fopen(file(NEW_ID), "r");
	assert_non_null(fgets(text, sizeof(text), f));
	fclose(f);
	assert_string_equal(text, "8b60ccf6-709f-4c11-90b5-229c959a9e6a");
	assert_int_equal(hc.ring_size, SIZE / 2);
	assert_int_equal(hc.nr_pages, SIZE / 2 / 4096);
	/* Our ring comes first, the host's second; all of it is mapped. */
	for (uint32_t i = 0; i < hc.nr_pages; i++) {
		uint8_t *out = (uint8_t __guest_force *)hc.out_pages[i];
		uint8_t *in = (uint8_t __guest_force *)hc.in_pages[i];

		assert_ptr_equal(out, hc.rings + 4096 * i);
		assert_ptr_equal(in, hc.rings + SIZE / 2 + 4096 * i);
		out[4095] = in[0] = i;
	}
}

static void absent(void **state)
{
	(void)state;
	shell("rm -r ." DEVICE);
	capture_stderr();
	assert_int_equal(open_it(), -ENOENT);
	assert_string_equal(captured_stderr(), "");
	assert_int_equal(hc.fd, -1);
}

static void refused(const char *command, int rc)
{
	shell(command);
	capture_stderr();
	assert_int_equal(open_it(), rc);
	assert_true(is_one_line(captured_stderr()));
	assert_int_equal(hc.fd, -1);
}

static void bad_devices(void **state)
{
	(void)state;
	refused("echo zero >." DEVICE "/uio/uio3/maps/map0/size", -EINVAL);
	refused("echo 0x1000 >." DEVICE "/uio/uio3/maps/map0/size", -EINVAL);
	refused("echo 0x5000 >." DEVICE "/uio/uio3/maps/map0/size", -EINVAL);
	refused("echo 0x100000000 >." DEVICE "/uio/uio3/maps/map0/size",
		-EINVAL);
	refused("rm ." DEVICE "/uio/uio3/maps/map0/size", -EIO);
	refused("echo 0x100000 >." DEVICE "/uio/uio3/maps/map0/size; "
		"rm dev/uio3", -ENOENT);
	refused("mkdir dev/uio3", -EISDIR);
	refused("rm -r ." DEVICE "/uio/uio3", -ENODEV);
}

/* The other end of the descriptor. */
static int connect_host(void)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	assert_int_equal(dup2(pair[0], hc.fd), hc.fd);
	close(pair[0]);
	return pair[1];
}

static void signals_both_ways(void **state)
{
	uint32_t word = 0;
	int host;

	(void)state;
	assert_int_equal(open_it(), 0);
	host = connect_host();
	hc.signalled = signalled;
	hc.gone = gone;
	hc.opaque = &hc;
	assert_int_equal(host_channel_watch(&hc, reactor), 0);
	assert_int_equal(watched->fd, hc.fd);
	/* Once by itself, for what came before. */
	assert_int_equal(read(host, &word, sizeof(word)), 4);
	assert_int_equal(word, 1);
	host_channel_signal(&hc);
	assert_int_equal(read(host, &word, sizeof(word)), 4);
	assert_int_equal(word, 1);
	word = 7;
	assert_int_equal(write(host, &word, sizeof(word)), 4);
	watched->fn(watched);
	assert_int_equal(signals, 1);
	/* Taken back: told once, watched no more, harmless to signal. */
	close(host);
	capture_stderr();
	watched->fn(watched);
	captured_stderr();
	assert_int_equal(gones, 1);
	assert_null(watched);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(opens),
		T(absent),
		T(bad_devices),
		T(signals_both_ways),
	};

	hc.fd = -1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
