/* SPDX-License-Identifier: MIT */
/* SOURCES: mana/device.c mana/link.c paravisor/sysfs.c include/guid.c */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include <cmocka.h>

#include "mana/device.h"

#define DEVICE "00112233-4455-6677-8899-aabbccddeeff"
#define FUNCTION "/sys/bus/vmbus/devices/" DEVICE "/pci6677:00/6677:00:00.0"

static char root[] = "/tmp/mana_device_test.XXXXXX";
static struct guid device;
static struct mana_vport_info info;

/* Writes a file below the root, with the directories it needs. */
static void put(const char *path, const char *text)
{
	char file[SYSFS_PATH_SIZE];
	FILE *f;

	snprintf(file, sizeof(file), "%s%s", root, path);
	for (char *at = file + strlen(root) + 1; (at = strchr(at, '/')); at++) {
		*at = '\0';
		mkdir(file, 0700);
		*at = '/';
	}
	f = fopen(file, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void put_net(const char *name, const char *port, const char *mac)
{
	char path[SYSFS_PATH_SIZE];

	snprintf(path, sizeof(path), FUNCTION "/net/%s/dev_port", name);
	put(path, port);
	snprintf(path, sizeof(path), FUNCTION "/net/%s/ifindex", name);
	put(path, "17\n");
	snprintf(path, sizeof(path), FUNCTION "/net/%s/address", name);
	put(path, mac);
}

static int make_root(void **state)
{
	(void)state;
	strcpy(root + strlen(root) - 6, "XXXXXX");
	return mkdtemp(root) && !guid_parse(DEVICE, &device) ? 0 : -1;
}

static int remove_root(void **state)
{
	char command[64];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", root);
	return system(command);
}

static void a_vport_is_found_by_its_number(void **state)
{
	(void)state;
	assert_int_equal(mana_device_find(root, &device, 1, &info), -ENOENT);
	put(FUNCTION "/vendor", "0x1414\n");
	assert_int_equal(mana_device_find(root, &device, 1, &info), -ENOENT);
	put(FUNCTION "/infiniband/manae_3/node_type", "1\n");
	assert_int_equal(mana_device_find(root, &device, 1, &info), -ENOENT);
	put_net("eth4", "0\n", "00:15:5d:00:00:01\n");
	assert_int_equal(mana_device_find(root, &device, 1, &info), -ENXIO);
	put_net("eth5", "1\n", "00:15:5d:a1:b2:c3\n");
	assert_int_equal(mana_device_find(root, &device, 1, &info), 0);
	assert_string_equal(info.net, "eth5");
	assert_string_equal(info.verbs, "manae_3");
	assert_int_equal(info.ifindex, 17);
	assert_memory_equal(info.mac, "\x00\x15\x5d\xa1\xb2\xc3", 6);
}

static void attributes_that_can_not_be(void **state)
{
	static const char *const macs[] = { "", "00:15:5d:a1:b2\n",
					    "00:15:5d:a1:b2:c3:d4\n",
					    "no address here\n" };

	(void)state;
	put(FUNCTION "/infiniband/manae_0/node_type", "1\n");
	for (unsigned int i = 0; i < 4; i++) {
		put_net("eth0", "0\n", macs[i]);
		assert_int_equal(mana_device_find(root, &device, 0, &info),
				 -EINVAL);
	}
	put_net("eth0", "0\n", "00:15:5d:a1:b2:c3\n");
	put(FUNCTION "/net/eth0/ifindex", "many\n");
	assert_int_equal(mana_device_find(root, &device, 0, &info), -EINVAL);
}

/* ---- RTM_GETLINK ---- */

static struct {
	struct nlmsghdr header;
	struct ifinfomsg info;
	uint8_t attributes[256];
} answer;
static struct mana_link link_state;

static void start_answer(uint16_t type, int ifindex)
{
	memset(&answer, 0, sizeof(answer));
	answer.header.nlmsg_type = type;
	answer.header.nlmsg_len = offsetof(__typeof__(answer), attributes);
	answer.info.ifi_index = ifindex;
}

static void attribute(uint16_t type, const void *data, uint16_t len)
{
	uint8_t *at = (uint8_t *)&answer + answer.header.nlmsg_len;
	const struct rtattr a = { (uint16_t)(sizeof(a) + len), type };

	memcpy(at, &a, sizeof(a));
	memcpy(at + sizeof(a), data, len);
	answer.header.nlmsg_len += RTA_ALIGN(a.rta_len);
}

static int parse(uint32_t len)
{
	return mana_link_parse(&answer, len, 17, &link_state);
}

static void carrier_and_mtu_are_told(void **state)
{
	const uint8_t on = 1, off = 0;
	const uint32_t mtu = 9000;

	(void)state;
	start_answer(RTM_NEWLINK, 17);
	attribute(IFLA_IFNAME, "eth0", 5);
	attribute(IFLA_CARRIER, &on, 1);
	attribute(IFLA_MAX_MTU, &mtu, 4);
	assert_int_equal(parse(answer.header.nlmsg_len), 0);
	assert_true(link_state.up);
	assert_int_equal(link_state.max_mtu, 9000);
	start_answer(RTM_NEWLINK, 17);
	attribute(IFLA_CARRIER, &off, 1);
	assert_int_equal(parse(answer.header.nlmsg_len), 0);
	assert_false(link_state.up);
	assert_int_equal(link_state.max_mtu, 0);
}

static void other_answers_are_waited_out(void **state)
{
	(void)state;
	start_answer(RTM_NEWLINK, 18);
	assert_int_equal(parse(answer.header.nlmsg_len), -EAGAIN);
	start_answer(RTM_NEWADDR, 17);
	assert_int_equal(parse(answer.header.nlmsg_len), -EAGAIN);
}

static void errors_are_told(void **state)
{
	const int32_t error = -ENODEV;

	(void)state;
	start_answer(NLMSG_ERROR, 0);
	memcpy(&answer.info, &error, sizeof(error));
	assert_int_equal(parse(answer.header.nlmsg_len), -ENODEV);
}

static void answers_that_can_not_be(void **state)
{
	const uint8_t on = 1;

	(void)state;
	start_answer(RTM_NEWLINK, 17);
	attribute(IFLA_CARRIER, &on, 1);
	for (uint32_t len = 0; len < answer.header.nlmsg_len; len++)
		assert_int_equal(parse(len), -EPROTO);
	answer.attributes[0] = 3; /* shorter than its own header */
	assert_int_equal(parse(answer.header.nlmsg_len), -EPROTO);
	answer.attributes[0] = 200;
	assert_int_equal(parse(answer.header.nlmsg_len), -EPROTO);
}

/* The loopback device is everywhere, if only down. */
static void the_kernel_answers(void **state)
{
	int fd = mana_link_socket();

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(mana_link_query(fd, 1, &link_state), 0);
	assert_int_equal(mana_link_query(fd, 0x7ffffff, &link_state), -ENODEV);
	close(fd);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_root, remove_root)
	const struct CMUnitTest tests[] = {
		TEST(a_vport_is_found_by_its_number),
		TEST(attributes_that_can_not_be),
		cmocka_unit_test(carrier_and_mtu_are_told),
		cmocka_unit_test(other_answers_are_waited_out),
		cmocka_unit_test(errors_are_told),
		cmocka_unit_test(answers_that_can_not_be),
		cmocka_unit_test(the_kernel_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
