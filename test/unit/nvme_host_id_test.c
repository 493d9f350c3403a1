/* SPDX-License-Identifier: MIT */
/* SOURCES: nvme/host_id.c nvme/command.c nvme/status.c paravisor/log.c */
/* Who we are, once more after a reset. The controller's device is played by
 * /dev/null, the ring by a table. */

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "nvme/namespace.h"

static struct namespace ns;
static uint8_t entry[128] __attribute__((aligned(8)));
static struct uring_op *sent;
static bool full, closed;

struct io_uring_sqe *uring_sqe(struct reactor *r, struct uring_op *op)
{
	assert_ptr_equal(r, &ns);
	if (full)
		return NULL;
	assert_null(sent);
	memset(entry, 0, sizeof(entry));
	sent = op;
	return (struct io_uring_sqe *)entry;
}

void uevent_visit(struct uevent_source *source,
		  void (*fn)(struct uevent_source *source))
{
	assert_ptr_equal(source, &ns.ring.source);
	if (!closed)
		fn(source);
}

static int set_up(void **state)
{
	(void)state;
	memset(&ns, 0, sizeof(ns));
	sent = NULL;
	full = closed = false;
	strcpy(ns.ring.name, "nvme0n1");
	strcpy(ns.controller, "/sys/devices/null");
	memset(ns.host_id, 0x48, sizeof(ns.host_id));
	atomic_store(&ns.host_id_lost, true);
	return 0;
}

static void renew(void)
{
	host_id_renew(&ns, (struct reactor *)&ns);
}

static int sent_fd(void)
{
	int fd;

	memcpy(&fd, entry + 4, sizeof(fd));
	return fd;
}

static void finish(int32_t res)
{
	struct uring_op *op = sent;
	int fd = sent_fd();

	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	sent = NULL;
	op->done(op, res, 0);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
}

static void it_is_told_again(void **state)
{
	const uint8_t *id;

	(void)state;
	renew();
	assert_non_null(sent);
	assert_int_equal(entry[48], 0x09);
	memcpy(&id, entry + 48 + 24, sizeof(id));
	assert_memory_equal(id, ns.host_id, 16);
	assert_ptr_not_equal(id, ns.host_id); /* the disk may be closed */
	assert_true(ns.host_id_lost);
	finish(0);
	assert_false(ns.host_id_lost);
}

/* Then conflicts are conflicts; there is no end of waiting otherwise. */
static void failure_ends_it_as_well(void **state)
{
	(void)state;
	renew();
	finish(0x4002);
	assert_false(ns.host_id_lost);
	atomic_store(&ns.host_id_lost, true);
	full = true;
	renew();
	assert_null(sent);
	assert_false(ns.host_id_lost);
	atomic_store(&ns.host_id_lost, true);
	strcpy(ns.controller, "/sys/devices/nvme_that_is_not_there");
	renew();
	assert_null(sent);
	assert_false(ns.host_id_lost);
}

static void the_disk_was_closed(void **state)
{
	(void)state;
	renew();
	closed = true;
	finish(-ENODEV);
	assert_true(ns.host_id_lost); /* not touched */
}

/* At open: not a controller, so that it stays unknown. */
static void refused_at_open(void **state)
{
	static const uint8_t id[16] = { 1 }, none[16];

	(void)state;
	ns.fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	assert_true(host_id_set(&ns, id) < 0);
	assert_memory_equal(ns.host_id, none, 16);
	close(ns.fd);
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(it_is_told_again),
		TEST(failure_ends_it_as_well),
		TEST(the_disk_was_closed),
		TEST(refused_at_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
