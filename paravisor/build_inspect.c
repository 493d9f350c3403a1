// SPDX-License-Identifier: MIT
/*
 * What is running here: the image's flavour, the kernel, and the process, which
 * public clients look for under mesh/hosts; and what it logs, log/.
 *
 * A module may log from two threads or have two of the same name (files of one
 * module): the last one listed speaks for all, for a filter sets them alike.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <pv/inspect.h>
#include <pv/log.h>

#include "build_inspect.h"

#define MAX_MODULES 64
#define FILTER_MAX 256

static const char *flavour;
/* Tells one run of VTL2 from the next. */
static char boot_id[40];

static void read_boot_id(void)
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, boot_id, sizeof(boot_id) - 1) : 0;

	if (fd >= 0)
		close(fd);
	boot_id[n > 0 ? n : 0] = '\0';
	boot_id[strcspn(boot_id, "\n")] = '\0';
}

static void describe_build(void *object, struct inspect *out)
{
	struct utsname kernel;

	(void)object;
	inspect_text(out, "name", "paravisor");
	inspect_text(out, "version", PARAVISOR_VERSION);
	inspect_text(out, "flavour", flavour);
	inspect_text(out, "kernel", uname(&kernel) ? "" : kernel.release);
	inspect_text(out, "boot_id", boot_id);
}

static void describe_mesh(void *object, struct inspect *out)
{
	char pid[16];

	(void)object;
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	if (!inspect_begin(out, "hosts"))
		return;
	if (inspect_begin(out, pid)) {
		inspect_text(out, "name", "paravisor");
		inspect_end(out);
	}
	inspect_end(out);
}

/* ---- log ---- */

struct modules {
	const char *name[MAX_MODULES];
	enum log_level level[MAX_MODULES];
	unsigned int nr;
};

static void collect(void *opaque, const char *module, enum log_level level)
{
	struct modules *m = opaque;

	for (unsigned int i = 0; i < m->nr; i++)
		if (!strcmp(m->name[i], module))
			return;
	if (m->nr == MAX_MODULES)
		return;
	m->name[m->nr] = module;
	m->level[m->nr++] = level;
}

static void describe_log(void *object, struct inspect *out)
{
	struct modules modules = { .nr = 0 };
	char filter[FILTER_MAX];

	(void)object;
	log_get_filter(filter, sizeof(filter));
	inspect_text(out, "filter", filter);
	if (!inspect_begin(out, "modules"))
		return;
	log_for_each(collect, &modules);
	for (unsigned int i = 0; i < modules.nr; i++)
		inspect_text(out, modules.name[i],
			     log_level_name(modules.level[i]));
	inspect_end(out);
}

static const char *update_filter(void *object, const char *value)
{
	(void)object;
	return log_set_filter(value);
}

void build_inspect_register(const char *image)
{
	static struct inspect_entry build = { "build", describe_build, NULL,
					      NULL };
	static struct inspect_entry mesh = { "mesh", describe_mesh, NULL,
					     NULL };
	static struct inspect_entry log = { "log", describe_log, NULL, NULL };
	static struct inspect_updater filter = { "log/filter", update_filter,
						 NULL, NULL, true };

	flavour = image;
	read_boot_id();
	inspect_register(&build);
	inspect_register(&mesh);
	inspect_register(&log);
	inspect_updater_register(&filter);
}
