// SPDX-License-Identifier: MIT
/*
 * The node that the boot shim writes, as files: the kernel shows a node as a
 * directory and a property as a file with the bytes of its value. The shim has
 * checked what came from the host; what is checked here is that the two agree
 * about the format.
 *
 * No thread, no state.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <pv/log.h>
#include <vtl0_reg.h>

#include "device_tree.h"

LOG_MODULE("device tree");

#define MEMORY_PREFIX "memory@"
#define TYPE_PROPERTY "microsoft,igvm-type"
#define TYPE_VTL0 0u

#define VMBUS_NODE "bus/vmbus"
#define CONNECTION_PROPERTY "microsoft,message-connection-id"

static int wrong(const char *property, const char *rule, int error)
{
	log_err("%s/%s: %s", VTL0_NODE, property, rule);
	return error;
}

static uint64_t big_endian(const uint8_t *p, unsigned int bytes)
{
	uint64_t value = 0;

	for (unsigned int i = 0; i < bytes; i++)
		value = value << 8 | p[i];
	return value;
}

/* Reads all of a property of up to `max` bytes. Its length, or -errno:
 * -ENOENT without a word, anything else logged. */
static ssize_t read_property(int node, const char *name, void *to, size_t max)
{
	uint8_t *p = to;
	size_t len = 0;
	ssize_t n = 0;
	uint8_t more;
	int fd = openat(node, name, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOENT ? -ENOENT :
					 wrong(name, strerror(errno), -errno);
	while (len < max && (n = read(fd, p + len, max - len)) > 0)
		len += (size_t)n;
	if (n >= 0 && len == max)
		n = read(fd, &more, 1);
	close(fd);
	if (n < 0)
		return wrong(name, "cannot be read", -EIO);
	if (n > 0)
		return wrong(name, "too long", -ENOSPC);
	return (ssize_t)len;
}

static struct dt_range range_of(const struct vtl0_range *wire)
{
	return (struct dt_range){ big_endian(wire->gpa, sizeof(wire->gpa)),
				  big_endian(wire->bytes,
					     sizeof(wire->bytes)) };
}

/* Up to `max` ranges; their number or -errno. */
static int read_ranges(int node, const char *name, struct dt_range *range,
		       unsigned int max)
{
	struct vtl0_range wire[DEVICE_TREE_MAX_RAM];
	ssize_t len = read_property(node, name, wire, max * sizeof(wire[0]));
	unsigned int nr;

	if (len < 0)
		return (int)len;
	nr = (unsigned int)((size_t)len / sizeof(wire[0]));
	if ((size_t)len % sizeof(wire[0]))
		return wrong(name, "must be pairs of 64-bit numbers", -EINVAL);
	for (unsigned int i = 0; i < nr; i++) {
		range[i] = range_of(&wire[i]);
		if (!range[i].size ||
		    range[i].gpa + range[i].size < range[i].gpa)
			return wrong(name, "empty or wraps", -EINVAL);
	}
	return (int)nr;
}

static int read_range(int node, const char *name, bool required,
		      struct dt_range *range)
{
	int nr = read_ranges(node, name, range, 1);

	if (nr == -ENOENT && !required)
		return 0;
	if (nr == -ENOENT)
		return wrong(name, "missing", -ENOENT);
	if (nr == 0)
		return wrong(name, "empty or wraps", -EINVAL);
	return nr < 0 ? nr : 0;
}

static int read_text(int node, const char *name, size_t max, char **text)
{
	char *buffer = malloc(max);
	ssize_t len;
	int ret = 0;

	if (!buffer)
		return -ENOMEM;
	len = read_property(node, name, buffer, max);
	if (len < 0)
		ret = len == -ENOENT ? 0 : (int)len;
	else if (!len || strnlen(buffer, (size_t)len) != (size_t)len - 1)
		ret = wrong(name, "must be one string with one NUL", -EINVAL);
	if (!ret && len > 0)
		*text = realloc(buffer, (size_t)len);
	if (ret || len < 0)
		free(buffer);
	return ret;
}

/* ---- memory ---- */

static int add_ram(struct device_tree *tree, struct dt_range ram)
{
	unsigned int i = tree->nr_ram;

	if (i == DEVICE_TREE_MAX_RAM)
		return wrong(MEMORY_PREFIX, "more RAM ranges than there is "
			     "room for", -ENOSPC);
	for (; i && tree->ram[i - 1].gpa > ram.gpa; i--)
		tree->ram[i] = tree->ram[i - 1];
	tree->ram[i] = ram;
	tree->nr_ram++;
	return 0;
}

static int read_memory_node(int parent, const char *name,
			    struct device_tree *tree)
{
	struct dt_range ram;
	uint8_t type[4];
	ssize_t len;
	int ret;
	int node = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (node < 0)
		return wrong(name, strerror(errno), -errno);
	ret = read_range(node, "reg", true, &ram);
	if (ret)
		goto out_close;
	len = read_property(node, TYPE_PROPERTY, type, sizeof(type));
	if (len < 0 && len != -ENOENT)
		ret = (int)len;
	else if (len != sizeof(type))
		ret = wrong(name, TYPE_PROPERTY " must be a 32-bit number",
			    -EINVAL);
	else if (big_endian(type, sizeof(type)) == TYPE_VTL0)
		ret = add_ram(tree, ram);

out_close:
	close(node);
	return ret;
}

static int read_memory(int node, struct device_tree *tree)
{
	int copy = dup(node), ret = 0;
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *entry;

	if (!dir) {
		ret = -errno;
		if (copy >= 0)
			close(copy);
		return wrong(".", strerror(-ret), ret);
	}
	while (!ret && (entry = readdir(dir)))
		if (!strncmp(entry->d_name, MEMORY_PREFIX,
			     strlen(MEMORY_PREFIX)))
			ret = read_memory_node(node, entry->d_name, tree);
	closedir(dir);
	if (!ret && !tree->nr_ram)
		ret = wrong(MEMORY_PREFIX, "no RAM for VTL0", -ENOENT);
	for (unsigned int i = 1; !ret && i < tree->nr_ram; i++)
		if (tree->ram[i - 1].gpa + tree->ram[i - 1].size >
		    tree->ram[i].gpa)
			ret = wrong(MEMORY_PREFIX, "RAM ranges overlap",
				    -EINVAL);
	return ret;
}

/* ---- the whole ---- */

static int read_node(int node, struct device_tree *tree)
{
	int ret = read_memory(node, tree);

	if (!ret)
		ret = read_range(node, VTL0_PROP_VTL2_RAM, true,
				 &tree->vtl2_ram);
	if (!ret)
		ret = read_range(node, VTL0_PROP_KERNEL, false, &tree->kernel);
	if (!ret)
		ret = read_range(node, VTL0_PROP_INITRD, false, &tree->initrd);
	if (!ret)
		ret = read_range(node, VTL0_PROP_BLACK_BOX, false,
				 &tree->black_box);
	if (!ret)
		ret = read_text(node, VTL0_PROP_COMMAND_LINE,
				VTL0_COMMAND_LINE_SIZE, &tree->command_line);
	if (!ret)
		ret = read_text(node, VTL0_PROP_APPEND, VTL0_COMMAND_LINE_SIZE,
				&tree->append);
	if (!ret)
		ret = read_text(node, VTL0_PROP_SETTINGS, VTL0_SETTINGS_SIZE,
				&tree->settings);
	if (ret)
		return ret;
	ret = read_ranges(node, VTL0_PROP_MMIO, tree->mmio,
			  DEVICE_TREE_MAX_MMIO);
	if (ret > 0)
		tree->nr_mmio = (unsigned int)ret;
	return ret < 0 && ret != -ENOENT ? ret : 0;
}

/* The kernel's own bus. */
static int read_vmbus(int dir, struct device_tree *tree)
{
	int node = openat(dir, VMBUS_NODE, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	uint8_t id[4];
	ssize_t len;

	if (node < 0)
		return errno == ENOENT ? 0 :
		       wrong(VMBUS_NODE, strerror(errno), -errno);
	len = read_property(node, CONNECTION_PROPERTY, id, sizeof(id));
	close(node);
	if (len == -ENOENT)
		return 0;
	if (len >= 0 && len != sizeof(id))
		return wrong(CONNECTION_PROPERTY, "must be a 32-bit number",
			     -EINVAL);
	if (len > 0)
		tree->vmbus_connection = (uint32_t)big_endian(id, sizeof(id));
	return len < 0 ? (int)len : 0;
}

int device_tree_read(const char *root, struct device_tree *tree)
{
	int dir, node, ret;

	memset(tree, 0, sizeof(*tree));
	dir = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	node = dir < 0 ? -1 :
			 openat(dir, VTL0_NODE,
				O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ret = node < 0 ? -errno : 0;
	if (ret) {
		log_err("%s/%s: %s", root, VTL0_NODE, strerror(-ret));
		goto out_close;
	}
	ret = read_node(node, tree);
	close(node);
	if (!ret)
		ret = read_vmbus(dir, tree);
	if (ret)
		device_tree_free(tree);

out_close:
	if (dir >= 0)
		close(dir);
	return ret;
}

void device_tree_free(struct device_tree *tree)
{
	free(tree->command_line);
	free(tree->append);
	free(tree->settings);
	memset(tree, 0, sizeof(*tree));
}
