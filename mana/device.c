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
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "device.h"

/* Appends the first entry of directory `path` that begins with `prefix`. */
static int descend(char *path, const char *prefix)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	int err = -ENOENT;

	if (!dir)
		return -ENOENT;
	while (err == -ENOENT && (entry = readdir(dir))) {
		size_t len = strlen(path);

		if (strncmp(entry->d_name, prefix, strlen(prefix)) ||
		    entry->d_name[0] == '.')
			continue;
		err = snprintf(path + len, MANA_PATH_SIZE - len, "/%s",
			       entry->d_name) < (int)(MANA_PATH_SIZE - len) ?
			      0 : -ENAMETOOLONG;
	}
	closedir(dir);
	return err;
}

static int read_text(const char *dir, const char *name, char *text, size_t size)
{
	char file[MANA_PATH_SIZE];
	ssize_t n;
	int fd;

	if (snprintf(file, sizeof(file), "%s/%s", dir, name) >=
	    (int)sizeof(file))
		return -ENAMETOOLONG;
	fd = open(file, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read(fd, text, size - 1);
	close(fd);
	if (n < 0)
		return -errno;
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return 0;
}

static int read_number(const char *dir, const char *name, unsigned int *value)
{
	char text[32], *end;
	unsigned long n;
	int err = read_text(dir, name, text, sizeof(text));

	if (err)
		return err;
	errno = 0;
	n = strtoul(text, &end, 10);
	if (end == text || *end || errno || n > UINT32_MAX)
		return -EINVAL;
	*value = (unsigned int)n;
	return 0;
}

static int read_mac(const char *dir, uint8_t mac[6])
{
	char text[32];
	unsigned int b[6];
	int n = 0, err = read_text(dir, "address", text, sizeof(text));

	if (err)
		return err;
	if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%n", &b[0], &b[1], &b[2],
		   &b[3], &b[4], &b[5], &n) != 6 || text[n])
		return -EINVAL;
	for (int i = 0; i < 6; i++)
		mac[i] = (uint8_t)b[i];
	return 0;
}

static int find_function(const char *root, const struct guid *device,
			 char *path)
{
	char guid[GUID_TEXT_SIZE], *pci, domain[16];
	int err;

	if (snprintf(path, MANA_PATH_SIZE, "%s/sys/bus/vmbus/devices/%s", root,
		     guid_print(device, guid)) >= MANA_PATH_SIZE)
		return -ENAMETOOLONG;
	err = descend(path, "pci");
	if (err)
		return err;
	pci = strrchr(path, '/') + strlen("/pci");
	if (snprintf(domain, sizeof(domain), "%.*s:", (int)strcspn(pci, ":"),
		     pci) >= (int)sizeof(domain))
		return -ENOENT;
	return descend(path, domain);
}

/* The network device with this dev_port. */
static int find_net(unsigned int vport, struct mana_vport_info *info)
{
	char dir[MANA_PATH_SIZE];
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
		char path[MANA_PATH_SIZE];
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
	char path[MANA_PATH_SIZE];
	size_t len;
	int err;

	memset(info, 0, sizeof(*info));
	err = find_function(root, device, info->function);
	if (err)
		return err;
	if (snprintf(path, sizeof(path), "%s/infiniband", info->function) >=
	    (int)sizeof(path))
		return -ENAMETOOLONG;
	len = strlen(path) + 1;
	err = descend(path, "mana");
	if (err)
		return err;
	if (strlen(path + len) >= sizeof(info->verbs))
		return -EINVAL;
	strcpy(info->verbs, path + len);
	return find_net(vport, info);
}
