// SPDX-License-Identifier: MIT
/*
 * pvctl report: one file in, one page of HTML out. What the file is, its first
 * bytes say: a black box begins with its magic, all else is a bench's JSON or
 * nothing that we know.
 *
 * The page is made in memory and written when it is whole, beside the place
 * where it goes, to be renamed: so there is all of it or none. What is no
 * regular file (a terminal, a device) is written to as it is.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <blackbox_reg.h>

#include "pvctl.h"
#include "pvctl_blackbox.h"
#include "pvctl_report.h"

#define INPUT_MAX BLACKBOX_MAX_SIZE

struct page {
	char *text;
	size_t len;
};

/* ---- in ---- */

static int read_input(const struct pvctl *p, const char *path, char **bytes,
		      size_t *size)
{
	FILE *in = fopen(path, "rbe");
	int failed;

	*bytes = NULL;
	if (!in)
		return pvctl_fail(p, PVCTL_FAILED, "%s: %s", path,
				  strerror(errno));
	*bytes = malloc(INPUT_MAX + 1);
	*size = *bytes ? fread(*bytes, 1, INPUT_MAX + 1, in) : 0;
	failed = !*bytes ? ENOMEM : ferror(in) ? errno : 0;
	fclose(in);
	if (failed)
		return pvctl_fail(p, PVCTL_FAILED, "%s: %s", path,
				  strerror(failed));
	if (!*size || *size > INPUT_MAX)
		return pvctl_fail(p, PVCTL_FAILED,
				  "%s: must be 1 byte to 16 MiB", path);
	return PVCTL_OK;
}

static bool is_blackbox(const char *bytes, size_t size)
{
	le64 magic;

	if (size < sizeof(magic))
		return false;
	memcpy(&magic, bytes, sizeof(magic));
	return le64_to_cpu(magic) == BLACKBOX_MAGIC;
}

static int make_page(const struct pvctl *p, const char *path,
		     const char *bytes, size_t size, struct page *page)
{
	const char *slash = strrchr(path, '/'), *reason;
	const char *name = slash ? slash + 1 : path;
	struct blackbox_view view;
	char why[160] = "";
	FILE *out = open_memstream(&page->text, &page->len);

	if (!out)
		return pvctl_fail(p, PVCTL_FAILED, "no memory");
	if (!is_blackbox(bytes, size))
		report_bench(bytes, size, name, out, why, sizeof(why));
	else if (blackbox_view_open(&view, bytes, size, &reason))
		snprintf(why, sizeof(why), "%s", reason);
	else
		report_blackbox(&view, name, out);
	if (fclose(out) && !*why)
		strcpy(why, "no memory");
	return *why ? pvctl_fail(p, PVCTL_FAILED, "%s: %s", path, why) :
		      PVCTL_OK;
}

/* ---- out ---- */

static int cannot_write(const struct pvctl *p, const char *path)
{
	return pvctl_fail(p, PVCTL_FAILED, "%s: %s", path, strerror(errno));
}

/* 0, or -1 with errno. Closes. */
static int write_all(int fd, const struct page *page)
{
	for (size_t at = 0; at < page->len;) {
		ssize_t n = write(fd, page->text + at, page->len - at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			int why = errno;

			close(fd);
			errno = why;
			return -1;
		}
		at += (size_t)n;
	}
	return close(fd);
}

static int write_through(const struct pvctl *p, const char *path,
			 const struct page *page)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd < 0 || write_all(fd, page) ? cannot_write(p, path) : PVCTL_OK;
}

static int write_file(const struct pvctl *p, const char *path,
		      const struct page *page)
{
	char real[PATH_MAX], beside[PATH_MAX + 8];
	mode_t mask = umask(0);
	struct stat st;
	int fd, failed;

	umask(mask);
	if (!stat(path, &st) && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		return write_through(p, path, page);
	/* The file, not a link to it, is what is replaced. */
	if (!realpath(path, real))
		snprintf(real, sizeof(real), "%s", path);
	snprintf(beside, sizeof(beside), "%s.XXXXXX", real);
	fd = mkostemp(beside, O_CLOEXEC);
	if (fd < 0)
		return cannot_write(p, path);
	fchmod(fd, 0666 & ~mask);
	failed = write_all(fd, page) || rename(beside, real);
	if (failed) {
		failed = cannot_write(p, path);
		unlink(beside);
	}
	return failed;
}

int pvctl_do_report(struct pvctl *p, int argc, char **argv)
{
	struct page page = { NULL, 0 };
	const char *to = NULL;
	char *bytes = NULL;
	int option, status;
	size_t size = 0;

	while ((option = getopt(argc, argv, "o:")) >= 0)
		if (option == 'o' && *optarg)
			to = optarg;
		else
			return pvctl_usage(p);
	/* A page is no line of the schema. */
	if (optind + 1 != argc || (p->json && !to))
		return pvctl_usage(p);
	status = read_input(p, argv[optind], &bytes, &size);
	if (!status)
		status = make_page(p, argv[optind], bytes, size, &page);
	if (!status && to)
		status = write_file(p, to, &page);
	else if (!status && fwrite(page.text, 1, page.len, stdout) != page.len)
		status = cannot_write(p, "standard output");
	free(bytes);
	free(page.text);
	if (!status && p->json) {
		pvctl_begin_json(p);
		printf(",\"result\":{}}\n");
	}
	return status;
}
