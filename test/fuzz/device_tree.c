// SPDX-License-Identifier: MIT
/*
 * The boot shim's node as the daemon reads it: directories and files.
 *
 * Input: how many bytes each read gives, how many memory nodes there are, then
 * files: directory and name, size, how often the content is repeated, content.
 * The kernel's file system is played here, below open(), read() and readdir().
 *
 * A refusal is one line and leaves nothing to free; what is taken obeys the
 * rules of device_tree.h. No descriptor stays open.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vtl0_reg.h>

#include "paravisor/device_tree.h"
#include "test/fuzz/fuzz.h"

#define FD_ROOT 1000000
#define FD_NODE 1000001
#define FD_MEMORY 1000100 /* and the next: memory nodes */
#define FD_FILE 1000200	  /* and the next: files */
#define MAX_MEMORY 12
#define MAX_FILES 48

/* The target's line in the list names these to the linker (--wrap). */
int __wrap_open(const char *path, int flags, ...);
int __wrap_openat(int fd, const char *name, int flags, ...);
ssize_t __wrap_read(int fd, void *to, size_t size);
int __wrap_close(int fd);
int __wrap_dup(int fd);
DIR *__wrap_fdopendir(int fd);
struct dirent *__wrap_readdir(DIR *dir);
int __wrap_closedir(DIR *dir);
int __real_open(const char *path, int flags, ...);
int __real_openat(int fd, const char *name, int flags, ...);
ssize_t __real_read(int fd, void *to, size_t size);
int __real_close(int fd);
int __real_dup(int fd);
DIR *__real_fdopendir(int fd);
struct dirent *__real_readdir(DIR *dir);
int __real_closedir(DIR *dir);

static const char *const names[] = {
	"reg", "microsoft,igvm-type", VTL0_PROP_VTL2_RAM, VTL0_PROP_KERNEL,
	VTL0_PROP_INITRD, VTL0_PROP_COMMAND_LINE, VTL0_PROP_APPEND,
	VTL0_PROP_SETTINGS, VTL0_PROP_MMIO,
};
#define NR_NAMES (sizeof(names) / sizeof(names[0]))

static struct file {
	int directory; /* descriptor */
	const char *name;
	const uint8_t *content;
	size_t unit, size, at;
	bool fails;
} files[MAX_FILES];
static unsigned int nr_files, nr_memory, next_entry, is_open;
static size_t chunk;
static bool playing, no_node;

static int opened(int fd)
{
	is_open++;
	return fd;
}

static int missing(int error)
{
	errno = error;
	return -1;
}

/* The file system. */

int __wrap_open(const char *path, int flags, ...)
{
	if (!playing)
		return __real_open(path, flags, 0644);
	return opened(FD_ROOT);
}

static int open_below_node(const char *name)
{
	unsigned int n;

	if (sscanf(name, "memory@%u", &n) == 1 && n < nr_memory)
		return opened(FD_MEMORY + (int)n);
	return missing(ENOENT);
}

int __wrap_openat(int fd, const char *name, int flags, ...)
{
	if (!playing)
		return __real_openat(fd, name, flags, 0644);
	if (fd == FD_ROOT)
		return no_node ? missing(ENOENT) : opened(FD_NODE);
	/* The last of two files of one name is the one. */
	for (unsigned int i = nr_files; i--;)
		if (files[i].directory == fd && !strcmp(files[i].name, name)) {
			files[i].at = 0;
			return opened(FD_FILE + (int)i);
		}
	return fd == FD_NODE ? open_below_node(name) : missing(ENOENT);
}

ssize_t __wrap_read(int fd, void *to, size_t size)
{
	uint8_t *out = to;
	struct file *f;
	size_t n;

	if (!playing)
		return __real_read(fd, to, size);
	fuzz_expect(fd >= FD_FILE && fd < FD_FILE + (int)nr_files, fd, size);
	f = &files[fd - FD_FILE];
	if (f->fails)
		return missing(EIO);
	n = f->size - f->at;
	n = n < size ? n : size;
	n = n < chunk ? n : chunk;
	for (size_t i = 0; i < n; i++, f->at++)
		out[i] = f->content[f->at % f->unit];
	return (ssize_t)n;
}

int __wrap_close(int fd)
{
	if (!playing)
		return __real_close(fd);
	fuzz_expect(is_open, fd, 0);
	is_open--;
	return 0;
}

int __wrap_dup(int fd)
{
	if (!playing)
		return __real_dup(fd);
	return opened(fd);
}

DIR *__wrap_fdopendir(int fd)
{
	if (!playing)
		return __real_fdopendir(fd);
	fuzz_expect(fd == FD_NODE, fd, 0);
	next_entry = 0;
	return (DIR *)files;
}

struct dirent *__wrap_readdir(DIR *dir)
{
	static struct dirent entry;

	if (!playing)
		return __real_readdir(dir);
	if (next_entry > nr_memory)
		return NULL;
	if (next_entry == nr_memory)
		strcpy(entry.d_name, VTL0_PROP_SETTINGS);
	else
		snprintf(entry.d_name, sizeof(entry.d_name), "memory@%u",
			 next_entry);
	next_entry++;
	return &entry;
}

int __wrap_closedir(DIR *dir)
{
	if (!playing)
		return __real_closedir(dir);
	is_open--;
	return 0;
}

/* The input. */

static void make_file(struct fuzz_input *in)
{
	struct file *f = &files[nr_files];
	unsigned int where = (unsigned int)fuzz_number(in, 1);
	unsigned int size = (unsigned int)fuzz_number(in, 1);
	unsigned int times = (unsigned int)fuzz_number(in, 1);

	*f = (struct file){ .name = names[where % 16 % NR_NAMES],
			    .fails = size == 0xff };
	f->directory = where % 16 < 2 ? FD_MEMORY + (int)(where / 16) :
					FD_NODE;
	f->content = fuzz_rest(in, size, &f->unit);
	f->size = f->unit * (times < 0x80 ? 1 : (times & 0x7f) * 8 + 1);
	nr_files++;
}

static void check_range(struct dt_range r)
{
	fuzz_expect(r.size && r.gpa + r.size >= r.gpa, r.gpa, r.size);
}

static void check_text(const char *text, size_t most)
{
	fuzz_expect(!text || strlen(text) < most, most, 0);
}

static void check(const struct device_tree *t)
{
	fuzz_expect(t->nr_ram >= 1 && t->nr_ram <= DEVICE_TREE_MAX_RAM,
		    t->nr_ram, 0);
	fuzz_expect(t->nr_mmio <= DEVICE_TREE_MAX_MMIO, t->nr_mmio, 0);
	check_range(t->vtl2_ram);
	for (unsigned int i = 0; i < t->nr_mmio; i++)
		check_range(t->mmio[i]);
	for (unsigned int i = 0; i < t->nr_ram; i++) {
		check_range(t->ram[i]);
		fuzz_expect(!i || t->ram[i].gpa - t->ram[i - 1].gpa >=
				  t->ram[i - 1].size, t->ram[i].gpa, i);
	}
	check_text(t->command_line, VTL0_COMMAND_LINE_SIZE);
	check_text(t->append, VTL0_COMMAND_LINE_SIZE);
	check_text(t->settings, VTL0_SETTINGS_SIZE);
}

void fuzz_one(struct fuzz_input *in)
{
	struct device_tree tree;
	uint8_t byte = (uint8_t)fuzz_number(in, 1);
	int err;

	chunk = byte ? byte : SIZE_MAX;
	byte = (uint8_t)fuzz_number(in, 1);
	nr_memory = byte % 16 % (MAX_MEMORY + 1);
	no_node = byte >= 0xf0;
	for (nr_files = 0; in->left && nr_files < MAX_FILES;)
		make_file(in);
	is_open = 0;
	playing = true;
	err = device_tree_read("/root", &tree);
	playing = false;
	fuzz_expect(!is_open, is_open, err);
	fuzz_expect(fuzz_log_lines() == (err ? 1 : 0), fuzz_log_lines(), err);
	if (err) {
		fuzz_expect(err == -ENOENT || err == -EINVAL ||
			    err == -ENOSPC || err == -EIO, err, 0);
		fuzz_expect(!tree.settings && !tree.command_line &&
			    !tree.append, err, 0);
		return;
	}
	fuzz_accept();
	check(&tree);
	device_tree_free(&tree);
}
