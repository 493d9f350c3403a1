// SPDX-License-Identifier: MIT
/*
 * igvm-build: from a manifest to an IGVM file and its map.
 *
 *	igvm-build [--build-dir DIR] [--set KEY=VALUE]... -o OUT [--map FILE]
 *		   MANIFEST
 *
 * Reads all files, computes the layout, composes the image in memory, checks
 * it with the reader that every loader uses, and only then writes: output
 * appears whole, under its name, or not at all. Exit status: 0; 1 the machine
 * failed us (memory, disk); 2 a bad manifest, file or option, in one line.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "compose.h"
#include "elf_file.h"
#include "manifest.h"
#include "read.h"

#define MAX_SETS 32
#define FILE_MAX (1ull << 30)

struct options {
	const char *manifest;
	const char *build_dir;
	const char *out;
	const char *map;
	char *sets[MAX_SETS];
	size_t set_count;
};

static const char usage[] =
	"usage: igvm-build [--build-dir DIR] [--set KEY=VALUE]... -o OUT "
	"[--map FILE] MANIFEST\n";

__attribute__((format(printf, 1, 2)))
static int refuse(const char *format, ...)
{
	va_list ap;

	fputs("igvm-build: ", stderr);
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fputc('\n', stderr);
	return -EINVAL;
}

static int parse_options(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{ "build-dir", required_argument, NULL, 'C' },
		{ "set", required_argument, NULL, 's' },
		{ "map", required_argument, NULL, 'm' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	o->build_dir = "build";
	while ((c = getopt_long(argc, argv, "o:", longs, NULL)) != -1) {
		switch (c) {
		case 'C':
			o->build_dir = optarg;
			break;
		case 's':
			if (o->set_count == MAX_SETS)
				return refuse("--set: at most %d", MAX_SETS);
			o->sets[o->set_count++] = optarg;
			break;
		case 'm':
			o->map = optarg;
			break;
		case 'o':
			o->out = optarg;
			break;
		case 'h':
			fputs(usage, stdout);
			exit(0);
		default:
			return -EINVAL; /* getopt_long has said why */
		}
	}
	if (!o->out)
		return refuse("-o: missing; it names the image to write");
	if (argc - optind != 1)
		return refuse("MANIFEST: exactly one is needed");
	o->manifest = argv[optind];
	return 0;
}

/* Reads a whole regular file that a manifest value names. */
static int load(const char *manifest, const char *pointer, const char *path,
		struct blob *blob)
{
	char *bytes = NULL;
	struct stat st;
	FILE *f;

	if (!path)
		return 0;
	f = fopen(path, "rbe");
	if (!f)
		return refuse("%s: %s: %s: %s", manifest, pointer, path,
			      strerror(errno));
	if (fstat(fileno(f), &st) || !S_ISREG(st.st_mode) || !st.st_size ||
	    (uint64_t)st.st_size > FILE_MAX) {
		fclose(f);
		return refuse("%s: %s: %s: must be a file of 1 byte to 1 GiB",
			      manifest, pointer, path);
	}
	bytes = malloc((size_t)st.st_size);
	if (!bytes || fread(bytes, (size_t)st.st_size, 1, f) != 1) {
		free(bytes);
		fclose(f);
		return refuse("%s: %s: %s: cannot be read whole", manifest,
			      pointer, path);
	}
	fclose(f);
	blob->bytes = bytes;
	blob->len = (size_t)st.st_size;
	return 0;
}

static struct blob text_blob(const char *text)
{
	if (!text)
		return (struct blob){ NULL, 0 };
	return (struct blob){ text, strlen(text) + 1 };
}

/* The files behind the manifest's paths, as they are. */
struct files {
	struct blob shim;
	uint8_t *flat; /* the shim's segments */
	struct blob kernel;
	struct blob initramfs;
	struct blob vtl0_kernel;
	struct blob vtl0_initrd;
};

static int load_files(const char *where, const struct manifest *m,
		      struct files *f)
{
	int rc;

	rc = load(where, "/shim", m->shim, &f->shim);
	if (!rc)
		rc = load(where, "/kernel", m->kernel, &f->kernel);
	if (!rc)
		rc = load(where, "/initramfs", m->initramfs, &f->initramfs);
	if (!rc)
		rc = load(where, "/vtl0/kernel", m->vtl0_kernel,
			  &f->vtl0_kernel);
	if (!rc)
		rc = load(where, "/vtl0/initrd", m->vtl0_initrd,
			  &f->vtl0_initrd);
	return rc;
}

static void free_files(struct files *f)
{
	free((void *)f->shim.bytes);
	free(f->flat);
	free((void *)f->kernel.bytes);
	free((void *)f->initramfs.bytes);
	free((void *)f->vtl0_kernel.bytes);
	free((void *)f->vtl0_initrd.bytes);
}

/* Reads the kernels' headers and gathers what goes into the image. */
static int make_parts(const char *where, const struct manifest *m,
		      struct files *f, struct parts *p)
{
	struct linux_setup_header unused;
	uint64_t offset;
	char rule[160];

	if (layout_read_bzimage(f->kernel.bytes, f->kernel.len,
				&p->kernel_header, &offset, rule,
				sizeof(rule)) < 0)
		return refuse("%s: /kernel: %s: %s", where, m->kernel, rule);
	p->kernel.bytes = (const uint8_t *)f->kernel.bytes + offset;
	p->kernel.len = f->kernel.len - offset;
	if (f->vtl0_kernel.bytes &&
	    layout_read_bzimage(f->vtl0_kernel.bytes, f->vtl0_kernel.len,
				&unused, &offset, rule, sizeof(rule)) < 0)
		return refuse("%s: /vtl0/kernel: %s: %s", where,
			      m->vtl0_kernel, rule);
	if (elf_flatten(f->shim.bytes, f->shim.len, LAYOUT_SHIM_MAX, &f->flat,
			&p->shim.len, rule, sizeof(rule)) < 0)
		return refuse("%s: /shim: %s: %s", where, m->shim, rule);
	p->shim.bytes = f->flat;
	p->initramfs = f->initramfs;
	p->vtl0_kernel = f->vtl0_kernel;
	p->vtl0_initrd = f->vtl0_initrd;
	p->command_line = text_blob(m->command_line);
	p->settings = text_blob(m->settings);
	p->vtl0_command_line = text_blob(m->vtl0_command_line);
	return 0;
}

static int make_layout(const char *where, const struct manifest *m,
		       const struct parts *p, struct layout *l)
{
	const struct linux_setup_header *h = &p->kernel_header;
	const struct layout_input in = {
		.base = m->base,
		.ram_size = m->ram_size,
		.black_box_size = m->black_box,
		.shim_bytes = p->shim.len,
		.kernel_bytes = p->kernel.len,
		.kernel_init_size = le32_to_cpu(h->init_size),
		.kernel_alignment = le32_to_cpu(h->kernel_alignment),
		.kernel_pref_address = le64_to_cpu(h->pref_address),
		.initramfs_bytes = p->initramfs.len,
		.settings_bytes = p->settings.len,
		.vtl0_kernel_bytes = p->vtl0_kernel.len,
		.vtl0_initrd_bytes = p->vtl0_initrd.len,
		.vtl0_command_line_bytes = p->vtl0_command_line.len,
	};
	const char *pointer;
	char rule[160];

	if (layout_make(&in, l, &pointer, rule, sizeof(rule)) < 0)
		return refuse("%s: %s: %s", where, pointer, rule);
	return 0;
}

/* Writes under a temporary name beside the target, then renames. */
static int write_file(const char *path, const struct image *image,
		      const uint8_t *bytes, size_t len)
{
	char *part = NULL;
	bool ok = false;
	FILE *f = NULL;

	if (asprintf(&part, "%s.part", path) < 0)
		part = NULL;
	if (part)
		f = fopen(part, "wbe");
	if (f) {
		if (bytes)
			fwrite(bytes, 1, len, f);
		else
			image_write_map(image, f);
		ok = !ferror(f) && !fflush(f);
		ok = !fclose(f) && ok && !rename(part, path);
	}
	if (!ok) {
		refuse("%s: %s", path, strerror(errno));
		if (f)
			unlink(part);
	}
	free(part);
	return ok ? 0 : -EIO;
}

static int build_image(const struct options *o, const struct layout *l,
		       const struct parts *p)
{
	struct image *image = image_new();
	struct igvm_error error;
	struct igvm_file check;
	const uint8_t *bytes;
	size_t len;
	int rc = -ENOMEM;

	if (image)
		rc = compose(image, l, p);
	if (!rc)
		rc = image_finish(image, &bytes, &len);
	if (rc) {
		refuse("%s: %s", o->out, strerror(-rc));
		goto out_free;
	}
	if (igvm_open(&check, bytes, len, &error) < 0) {
		igvm_error_print(stderr, o->out, &error);
		rc = -EIO;
		goto out_free;
	}
	rc = write_file(o->out, image, bytes, len);
	if (!rc && o->map)
		rc = write_file(o->map, image, NULL, 0);
out_free:
	image_free(image);
	return rc;
}

int main(int argc, char **argv)
{
	struct options o = { 0 };
	struct manifest m = { 0 };
	struct files f = { 0 };
	struct parts p = { 0 };
	struct layout l;
	int rc;

	rc = parse_options(argc, argv, &o);
	if (rc)
		return 2;
	rc = manifest_read(&m, o.manifest, o.build_dir, o.sets, o.set_count);
	if (!rc)
		rc = load_files(o.manifest, &m, &f);
	if (!rc)
		rc = make_parts(o.manifest, &m, &f, &p);
	if (!rc)
		rc = make_layout(o.manifest, &m, &p, &l);
	if (!rc)
		rc = build_image(&o, &l, &p);
	free_files(&f);
	manifest_free(&m);
	if (!rc)
		return 0;
	return rc == -EINVAL ? 2 : 1;
}
