/* SPDX-License-Identifier: MIT */
/*
 * Where the kernel shows a MANA function, its vports and what they are.
 * `root` is put before /sys: "" except in tests.
 */
#ifndef MANA_DEVICE_H
#define MANA_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#include <guid.h>
#include <pv/sysfs.h>

#define MANA_NAME_SIZE 64

struct mana_vport_info {
	char function[SYSFS_PATH_SIZE];	/* directory of the PCI function */
	char verbs[MANA_NAME_SIZE];	/* of the RDMA device: manae_0 */
	char net[MANA_NAME_SIZE];	/* of the vport's network device */
	unsigned int ifindex;
	uint8_t mac[6];
};

/* What is there now. 0, -ENOENT something is not there (yet), -ENXIO all is
 * there but the vport, -EINVAL an attribute that can not be. Not logged. */
int mana_device_find(const char *root, const struct guid *device,
		     unsigned int vport, struct mana_vport_info *info);

struct mana_link {
	bool up;
	uint32_t max_mtu; /* 0: not told */
};

/* Asks the kernel, by RTM_GETLINK: a vport whose network device is down tells
 * of its carrier nowhere else. `fd` is a socket of mana_link_socket(). 0 or
 * -errno: -ENODEV gone, -ETIMEDOUT. */
int mana_link_socket(void);
int mana_link_query(int fd, unsigned int ifindex, struct mana_link *link);

/* Takes one answer apart. 0, -EAGAIN another one is to be waited for, or the
 * error that it tells. Pure. */
int mana_link_parse(const void *message, uint32_t len, unsigned int ifindex,
		    struct mana_link *link);

#endif
