// SPDX-License-Identifier: MIT
/*
 * Link state, theory of operation
 *
 * The network device of a vport in use is down, and so its carrier is neither
 * in sysfs nor, when it goes, in a multicast. RTM_GETLINK tells; somebody asks
 * every second. One request, one answer, 1 s at most.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include "device.h"

#define ANSWER_SIZE 4096 /* twice what a link without VFs takes */
#define TRIES 8 /* answers to earlier questions that came late */

struct request {
	struct nlmsghdr header;
	struct ifinfomsg link;
};

int mana_link_socket(void)
{
	struct timeval timeout = { .tv_sec = 1 };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	return fd;
}

static void take_attribute(const struct rtattr *a, uint32_t size,
			   struct mana_link *link)
{
	if (a->rta_type == IFLA_CARRIER && size >= 1)
		link->up = *(const uint8_t *)(a + 1) != 0;
	else if (a->rta_type == IFLA_MAX_MTU && size >= sizeof(link->max_mtu))
		memcpy(&link->max_mtu, a + 1, sizeof(link->max_mtu));
}

int mana_link_parse(const void *message, uint32_t len, unsigned int ifindex,
		    struct mana_link *link)
{
	struct nlmsghdr header;
	struct ifinfomsg info;
	uint32_t at = sizeof(header) + sizeof(info);

	if (len < sizeof(header))
		return -EPROTO;
	memcpy(&header, message, sizeof(header));
	if (header.nlmsg_len > len)
		return -EPROTO;
	len = header.nlmsg_len;
	if (header.nlmsg_type == NLMSG_ERROR) {
		int32_t error;

		if (len < sizeof(header) + sizeof(error))
			return -EPROTO;
		memcpy(&error, (const uint8_t *)message + sizeof(header),
		       sizeof(error));
		return error < 0 && error > -4096 ? error : -EPROTO;
	}
	if (header.nlmsg_type != RTM_NEWLINK || len < at)
		return -EAGAIN;
	memcpy(&info, (const uint8_t *)message + sizeof(header), sizeof(info));
	if (info.ifi_index != (int)ifindex)
		return -EAGAIN;
	*link = (struct mana_link){ 0 };
	while (len - at >= sizeof(struct rtattr)) {
		const struct rtattr *a = (const struct rtattr *)
			(const void *)((const uint8_t *)message + at);

		if (a->rta_len < sizeof(*a) || a->rta_len > len - at)
			return -EPROTO;
		take_attribute(a, a->rta_len - (uint32_t)sizeof(*a), link);
		if (RTA_ALIGN(a->rta_len) >= len - at)
			break;
		at += RTA_ALIGN(a->rta_len);
	}
	return 0;
}

int mana_link_query(int fd, unsigned int ifindex, struct mana_link *link)
{
	static _Atomic uint32_t sequence;
	const struct request request = {
		.header = { .nlmsg_len = sizeof(request),
			    .nlmsg_type = RTM_GETLINK,
			    .nlmsg_flags = NLM_F_REQUEST,
			    .nlmsg_seq = ++sequence },
		.link = { .ifi_family = AF_UNSPEC, .ifi_index = (int)ifindex },
	};
	uint32_t answer[ANSWER_SIZE / sizeof(uint32_t)];

	if (send(fd, &request, sizeof(request), 0) < 0)
		return -errno;
	for (int i = 0; i < TRIES; i++) {
		ssize_t n = recv(fd, answer, sizeof(answer), 0);
		int err;

		if (n < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		err = mana_link_parse(answer, (uint32_t)n, ifindex, link);
		if (err != -EAGAIN)
			return err;
	}
	return -ETIMEDOUT;
}
