// SPDX-License-Identifier: MIT
/*
 * mkcpio LIST OUT: writes an initramfs (cpio, "newc" form;
 * Linux Documentation/driver-api/early-userspace/buffer-format.rst).
 *
 * LIST has one entry per line, '#' starts a comment, blanks separate columns:
 *
 *	dir   PATH MODE
 *	file  PATH MODE SOURCE
 *	slink PATH TARGET
 *	nod   PATH MODE b|c MAJOR MINOR
 *
 * PATH is absolute; its directory has an entry before it. MODE is octal
 * permission bits. SOURCE is a file, relative to the current directory.
 * Entries are written in the order of the list, owned by root, dated 0, inodes
 * counted from 1: the same list and the same sources make the same bytes on any
 * machine.
 *
 * The archive is made in memory and written at the end, under a temporary
 * name first. Exit status: 0; 1 the machine failed us; 2 a bad list or option,
 * in one line with the line's number.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COLUMNS_MAX 6
#define NAME_MAX_LEN 255
#define ENTRIES_MAX 1024

struct archive {
	const char *list; /* its name, for messages */
	unsigned int line;
	uint8_t *bytes;
	size_t len;
	size_t room;
	struct {
		char *path;
		bool directory;
	} entry[ENTRIES_MAX];
	uint32_t entries;
};

struct node {
	const char *path; /* absolute */
	uint32_t mode;    /* with the type */
	uint32_t major;
	uint32_t minor;
	const void *data;
	size_t bytes;
};

__attribute__((format(printf, 2, 3)))
static int refuse(const struct archive *a, const char *format, ...)
{
	va_list ap;

	fprintf(stderr, "%s:%u: ", a->list, a->line);
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fputc('\n', stderr);
	return -EINVAL;
}

static int append(struct archive *a, const void *bytes, size_t len)
{
	while (len > a->room - a->len) {
		size_t room = a->room ? a->room * 2 : 1 << 16;
		uint8_t *grown = realloc(a->bytes, room);

		if (!grown)
			return -ENOMEM;
		a->bytes = grown;
		a->room = room;
	}
	if (len)
		memcpy(a->bytes + a->len, bytes, len);
	a->len += len;
	return 0;
}

static int pad(struct archive *a)
{
	static const uint8_t zero[4];

	return append(a, zero, -a->len % 4);
}

/* One header with its name and data. `inode` 0: the trailer. */
static int put(struct archive *a, const char *name, uint32_t inode,
	       const struct node *n)
{
	uint32_t links = !inode ? 1 : S_ISDIR(n->mode) ? 2 : 1;
	char head[111];
	int rc;

	/* magic ino mode uid gid nlink mtime filesize devmajor devminor
	 * rdevmajor rdevminor namesize check */
	snprintf(head, sizeof(head),
		 "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
		 inode, n->mode, 0, 0, links, 0, (uint32_t)n->bytes, 0, 0,
		 n->major, n->minor, (uint32_t)strlen(name) + 1, 0);
	rc = append(a, head, sizeof(head) - 1);
	if (!rc)
		rc = append(a, name, strlen(name) + 1);
	if (!rc)
		rc = pad(a);
	if (!rc)
		rc = append(a, n->data, n->bytes);
	return rc ? rc : pad(a);
}

static int find_entry(const struct archive *a, const char *path, size_t len)
{
	for (uint32_t i = 0; i < a->entries; i++) {
		if (strlen(a->entry[i].path) == len &&
		    !memcmp(a->entry[i].path, path, len))
			return (int)i;
	}
	return -1;
}

static int check_path(const struct archive *a, const char *path)
{
	const char *slash = strrchr(path, '/');
	size_t len = strlen(path);
	int parent;

	if (*path != '/' || len < 2 || len > NAME_MAX_LEN ||
	    path[len - 1] == '/')
		return refuse(a, "%s: must be an absolute path, not /", path);
	if (strstr(path, "//") || strstr(path, "/./") || strstr(path, "/../") ||
	    !strcmp(slash, "/.") || !strcmp(slash, "/.."))
		return refuse(a, "%s: must have no empty, . or .. part", path);
	if (find_entry(a, path, len) >= 0)
		return refuse(a, "%s: listed twice", path);
	if (slash == path)
		return 0;
	parent = find_entry(a, path, (size_t)(slash - path));
	if (parent < 0 || !a->entry[parent].directory)
		return refuse(a, "%s: its directory must be listed before it",
			      path);
	return 0;
}

/* Checks the path, remembers it, writes the entry. */
static int add(struct archive *a, const struct node *n)
{
	int rc;

	rc = check_path(a, n->path);
	if (rc)
		return rc;
	if (a->entries == ENTRIES_MAX)
		return refuse(a, "more than %d entries", ENTRIES_MAX);
	a->entry[a->entries].path = strdup(n->path);
	if (!a->entry[a->entries].path)
		return -ENOMEM;
	a->entry[a->entries++].directory = S_ISDIR(n->mode);
	return put(a, n->path + 1, a->entries, n);
}

static int parse_mode(const struct archive *a, const char *text,
		      uint32_t type, uint32_t *mode)
{
	char *end;
	unsigned long bits = strtoul(text, &end, 8);

	if (*text < '0' || *text > '7' || *end || bits > 07777)
		return refuse(a, "mode %s: must be octal, at most 7777", text);
	*mode = (uint32_t)bits | type;
	return 0;
}

static int parse_device(const struct archive *a, const char *text,
			uint32_t *number)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || value > 0xfff)
		return refuse(a, "device number %s: must be 0 to 4095", text);
	*number = (uint32_t)value;
	return 0;
}

static int add_dir(struct archive *a, char *const *column)
{
	struct node n = { .path = column[1] };
	int rc = parse_mode(a, column[2], S_IFDIR, &n.mode);

	return rc ? rc : add(a, &n);
}

static int add_link(struct archive *a, char *const *column)
{
	struct node n = { .path = column[1], .mode = S_IFLNK | 0777,
			  .data = column[2], .bytes = strlen(column[2]) };

	return add(a, &n);
}

static int add_device(struct archive *a, char *const *column)
{
	struct node n = { .path = column[1] };
	int rc;

	if (strcmp(column[3], "b") && strcmp(column[3], "c"))
		return refuse(a, "device type %s: must be b or c", column[3]);
	rc = parse_mode(a, column[2], *column[3] == 'b' ? S_IFBLK : S_IFCHR,
			&n.mode);
	if (!rc)
		rc = parse_device(a, column[4], &n.major);
	if (!rc)
		rc = parse_device(a, column[5], &n.minor);
	return rc ? rc : add(a, &n);
}

/* A regular file's content in new memory. */
static int load(const struct archive *a, const char *path, void **data,
		size_t *bytes)
{
	struct stat st;
	FILE *f = fopen(path, "rbe");
	int rc = 0;

	if (!f)
		return refuse(a, "%s: %s", path, strerror(errno));
	if (fstat(fileno(f), &st) || !S_ISREG(st.st_mode) ||
	    st.st_size > INT32_MAX) {
		rc = refuse(a, "%s: must be a regular file below 2 GiB", path);
		goto out_close;
	}
	*bytes = (size_t)st.st_size;
	*data = malloc(*bytes + 1);
	if (!*data) {
		rc = -ENOMEM;
		goto out_close;
	}
	if (fread(*data, 1, *bytes, f) != *bytes) {
		rc = refuse(a, "%s: cannot be read whole", path);
		free(*data);
		*data = NULL;
	}
out_close:
	fclose(f);
	return rc;
}

static int add_file(struct archive *a, char *const *column)
{
	struct node n = { .path = column[1] };
	void *data = NULL;
	int rc;

	rc = parse_mode(a, column[2], S_IFREG, &n.mode);
	if (!rc)
		rc = load(a, column[3], &data, &n.bytes);
	n.data = data;
	if (!rc)
		rc = add(a, &n);
	free(data);
	return rc;
}

static int add_line(struct archive *a, char *line)
{
	static const struct {
		const char *name;
		unsigned int columns;
		int (*add)(struct archive *a, char *const *column);
	} kinds[] = {
		{ "dir", 3, add_dir },
		{ "file", 4, add_file },
		{ "slink", 3, add_link },
		{ "nod", 6, add_device },
	};
	char *column[COLUMNS_MAX + 1], *save = NULL;
	unsigned int count = 0;

	line[strcspn(line, "#\n")] = 0;
	for (char *c = strtok_r(line, " \t", &save); c && count <= COLUMNS_MAX;
	     c = strtok_r(NULL, " \t", &save))
		column[count++] = c;
	if (!count)
		return 0;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strcmp(column[0], kinds[i].name))
			continue;
		if (count != kinds[i].columns)
			return refuse(a, "%s: has %u columns, must have %u",
				      column[0], count, kinds[i].columns);
		return kinds[i].add(a, column);
	}
	return refuse(a, "%s: must be dir, file, slink or nod", column[0]);
}

static int read_list(struct archive *a)
{
	static const struct node trailer = { 0 };
	FILE *f = fopen(a->list, "re");
	char *line = NULL;
	size_t room = 0;
	int rc = 0;

	if (!f)
		return refuse(a, "%s", strerror(errno));
	while (!rc && getline(&line, &room, f) >= 0) {
		a->line++;
		rc = add_line(a, line);
	}
	if (!rc && ferror(f))
		rc = refuse(a, "cannot be read whole");
	if (!rc && !a->entries)
		rc = refuse(a, "no entry");
	free(line);
	fclose(f);
	return rc ? rc : put(a, "TRAILER!!!", 0, &trailer);
}

static int write_out(const struct archive *a, const char *path)
{
	char *part = NULL;
	bool ok = false;
	FILE *f = NULL;

	if (asprintf(&part, "%s.part", path) < 0)
		return -ENOMEM;
	f = fopen(part, "wbe");
	if (f) {
		ok = fwrite(a->bytes, 1, a->len, f) == a->len;
		ok = !fclose(f) && ok && !rename(part, path);
	}
	if (!ok) {
		fprintf(stderr, "mkcpio: %s: %s\n", path, strerror(errno));
		unlink(part);
	}
	free(part);
	return ok ? 0 : -EIO;
}

static void archive_free(struct archive *a)
{
	for (uint32_t i = 0; i < a->entries; i++)
		free(a->entry[i].path);
	free(a->bytes);
	free(a);
}

int main(int argc, char **argv)
{
	struct archive *a;
	int rc;

	if (argc != 3) {
		fprintf(stderr, "usage: mkcpio LIST OUT\n");
		return 2;
	}
	a = calloc(1, sizeof(*a));
	if (!a) {
		fprintf(stderr, "mkcpio: out of memory\n");
		return 1;
	}
	a->list = argv[1];
	rc = read_list(a);
	if (rc == -ENOMEM)
		fprintf(stderr, "mkcpio: out of memory\n");
	if (!rc)
		rc = write_out(a, argv[2]);
	archive_free(a);
	return !rc ? 0 : rc == -EINVAL ? 2 : 1;
}
