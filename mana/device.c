// SPDX-License-Identifier: MIT
/*
 * Functions and vports, theory of operation
 *
 * A function is known by the VMBus instance of the virtual PCI device it sits
 * on, a vport by its number in the function. The kernel shows both:
 *
 *	/sys/bus/vmbus/devices/GUID/pciDDDD:00/DDDD:00:00.0/
 *	   infiniband/manae_N/	queues and memory regions, port 1 + vport
 *	   net/ethN/		one per vport: dev_port, ifindex, address
 *
 * Names are given out in the order of arrival and may be others after a reset.
 * Nothing here waits and nothing is kept.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <pv/sysfs.h>

#include "device.h"

static int read_number(const char *dir, const char *name, unsigned int *value)
{
	uint64_t n;
	int err = sysfs_number(dir, name, &n);

	if (err)
		return err;
	if (n > UINT32_MAX)
		return -EINVAL;
	*value = (unsigned int)n;
	return 0;
}

static int read_mac(const char *dir, uint8_t mac[6])
{
	char text[32];
	unsigned int b[6];
	int n = 0, err = sysfs_text(dir, "address", text, sizeof(text));

	if (err)
		return err;
	if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%n", &b[0], &b[1], &b[2],
		   &b[3], &b[4], &b[5], &n) != 6 || text[n])
		return -EINVAL;
	for (int i = 0; i < 6; i++)
		mac[i] = (uint8_t)b[i];
	return 0;
}

/* The network device with this dev_port. */
static int find_net(unsigned int vport, struct mana_vport_info *info)
{
	char dir[SYSFS_PATH_SIZE];
	struct dirent *entry;
	int err = -ENXIO;
	DIR *net;

	if (snprintf(dir, sizeof(dir), "%s/net", info->function) >=
	    (int)sizeof(dir))
		return -ENAMETOOLONG;
	net = opendir(dir);
	if (!net)
		return -ENOENT;
	while (err == -ENXIO && (entry = readdir(net))) {
		char path[SYSFS_PATH_SIZE];
		unsigned int port;

		if (entry->d_name[0] == '.' ||
		    strlen(entry->d_name) >= sizeof(info->net) ||
		    snprintf(path, sizeof(path), "%s/%s", dir,
			     entry->d_name) >= (int)sizeof(path) ||
		    read_number(path, "dev_port", &port) || port != vport)
			continue;
		strcpy(info->net, entry->d_name);
		err = read_number(path, "ifindex", &info->ifindex);
		if (!err)
			err = read_mac(path, info->mac);
	}
	closedir(net);
	return err;
}

int mana_device_find(const char *root, const struct guid *device,
		     unsigned int vport, struct mana_vport_info *info)
{
	char path[SYSFS_PATH_SIZE];
	size_t len;
	int err;

	memset(info, 0, sizeof(*info));
	err = sysfs_pci_function(root, device, info->function);
	if (err)
		return err;
	if (snprintf(path, sizeof(path), "%s/infiniband", info->function) >=
	    (int)sizeof(path))
		return -ENAMETOOLONG;
	len = strlen(path) + 1;
	err = sysfs_descend(path, "mana");
	if (err)
		return err;
	if (strlen(path + len) >= sizeof(info->verbs))
		return -EINVAL;
	strcpy(info->verbs, path + len);
	return find_net(vport, info);
}
