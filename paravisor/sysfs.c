/* SPDX-License-Identifier: MIT */
/* Reading sysfs: see pv/sysfs.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <pv/sysfs.h>

/* Appends "/NAME" to `path`. False: too long. */
static bool descend(char *path, const char *name)
{
	size_t len = strlen(path);
	int n = snprintf(path + len, SYSFS_PATH_SIZE - len, "/%s", name);

	return n > 0 && (size_t)n < SYSFS_PATH_SIZE - len;
}

int sysfs_descend(char *path, const char *prefix)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	int err = -ENOENT;

	if (!dir)
		return -errno;
	while ((entry = readdir(dir))) {
		if (strncmp(entry->d_name, prefix, strlen(prefix)))
			continue;
		err = descend(path, entry->d_name) ? 0 : -ENAMETOOLONG;
		break;
	}
	closedir(dir);
	return err;
}

int sysfs_vmbus_device(const char *root, const struct guid *instance,
		       char *path)
{
	char guid[GUID_TEXT_SIZE];

	return snprintf(path, SYSFS_PATH_SIZE, "%s/sys/bus/vmbus/devices/%s",
			root, guid_print(instance, guid)) < SYSFS_PATH_SIZE ?
		       0 : -ENAMETOOLONG;
}

int sysfs_pci_function(const char *root, const struct guid *instance,
		       char *path)
{
	char *pci, domain[16];
	int err = sysfs_vmbus_device(root, instance, path);

	if (!err)
		err = sysfs_descend(path, "pci");
	if (err)
		return err;
	/* pciDDDD:00 holds functions of the name DDDD:... */
	pci = strrchr(path, '/') + strlen("/pci");
	if (snprintf(domain, sizeof(domain), "%.*s:", (int)strcspn(pci, ":"),
		     pci) >= (int)sizeof(domain))
		return -ENOENT;
	return sysfs_descend(path, domain);
}

long sysfs_bytes(const char *path, const char *name, void *bytes, size_t size)
{
	char file[SYSFS_PATH_SIZE];
	ssize_t n;
	int fd;

	if (snprintf(file, sizeof(file), "%s/%s", path, name) >=
	    (int)sizeof(file))
		return -ENAMETOOLONG;
	fd = open(file, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read(fd, bytes, size);
	if (n < 0)
		n = -errno;
	close(fd);
	return n;
}

int sysfs_text(const char *path, const char *name, char *text, size_t size)
{
	long n = sysfs_bytes(path, name, text, size - 1);

	if (n < 0)
		return (int)n;
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return 0;
}

int sysfs_number(const char *path, const char *name, uint64_t *value)
{
	char text[32], *end;
	int err = sysfs_text(path, name, text, sizeof(text));

	if (err)
		return err;
	errno = 0;
	*value = strtoull(text, &end, 10);
	return errno || end == text || *end ? -EINVAL : 0;
}
