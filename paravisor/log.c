/* SPDX-License-Identifier: MIT */
/*
 * Logging, theory of operation
 *
 * A line is formatted on the caller's stack and written with one write(2), so
 * that lines of several threads never mix. The sink is a file descriptor:
 * /dev/kmsg in the daemon, where a line needs a kernel priority prefix and the
 * kernel adds the time; stderr otherwise.
 *
 * Modules are not registered at start. A module is put on a list when it logs
 * for the first time; a level that was asked for before that waits in a small
 * table. Both are touched rarely and under one lock; the level itself is read
 * without it.
 */
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <pv/log.h>

#include "log_sink.h"

#define LINE_SIZE 512
#define MAX_WANTED 32
#define MAX_LINES_PER_SECOND 10

static int sink_fd = STDERR_FILENO;
static bool sink_kmsg;
static log_tail *tail_of_log;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct log_module *modules;
static struct {
	char name[24];
	int level;
} wanted[MAX_WANTED];
static unsigned int nr_wanted;
/* Of modules that nobody named; -1: their own. */
static int level_of_others = -1;

void log_set_sink(int fd, bool kmsg)
{
	sink_fd = fd;
	sink_kmsg = kmsg;
}

void log_set_tail(log_tail *tail)
{
	__atomic_store_n(&tail_of_log, tail, __ATOMIC_RELEASE);
}

static int wanted_level(const struct log_module *module)
{
	for (unsigned int i = 0; i < nr_wanted; i++)
		if (!strcmp(wanted[i].name, module->name))
			return wanted[i].level;
	return level_of_others < 0 ? module->level : level_of_others;
}

static void module_list(struct log_module *module)
{
	pthread_mutex_lock(&lock);
	if (!module->listed) {
		module->level = wanted_level(module);
		module->next = modules;
		modules = module;
		__atomic_store_n(&module->listed, 1, __ATOMIC_RELEASE);
	}
	pthread_mutex_unlock(&lock);
}

int log_set_level(const char *name, enum log_level level)
{
	int err = 0;
	unsigned int i;

	if (strlen(name) >= sizeof(wanted[0].name))
		return -EINVAL;
	pthread_mutex_lock(&lock);
	for (struct log_module *m = modules; m; m = m->next)
		if (!strcmp(m->name, name))
			__atomic_store_n(&m->level, level, __ATOMIC_RELAXED);
	for (i = 0; i < nr_wanted; i++)
		if (!strcmp(wanted[i].name, name))
			break;
	if (i == MAX_WANTED) {
		err = -EINVAL;
	} else {
		if (i == nr_wanted)
			strcpy(wanted[nr_wanted++].name, name);
		wanted[i].level = level;
	}
	pthread_mutex_unlock(&lock);
	return err;
}

/* ---- filters ---- */

static const char *const level_names[] = { "error", "warning", "info",
					   "debug" };

const char *log_level_name(enum log_level level)
{
	return level_names[level];
}

/* A level by its name, or by the first three letters of it or more. */
static int level_of(const char *name, size_t len)
{
	for (int i = LOG_ERR; i <= LOG_DEBUG; i++)
		if (len >= 3 && len <= strlen(level_names[i]) &&
		    !strncmp(name, level_names[i], len))
			return i;
	return -1;
}

/* One word of a filter; `apply` false only looks whether it is one. */
static const char *filter_word(const char *word, size_t len, bool apply)
{
	const char *equals = memchr(word, '=', len);
	size_t name = equals ? (size_t)(equals - word) : 0;
	int level = equals ? level_of(equals + 1, len - name - 1) :
			     level_of(word, len);

	if (level < 0)
		return "a level is error, warning, info or debug";
	if (equals && (!name || name >= sizeof(wanted[0].name)))
		return "a module has a name of up to 23 bytes";
	if (!apply)
		return NULL;
	if (!equals) {
		level_of_others = level;
		return NULL;
	}
	memcpy(wanted[nr_wanted].name, word, name);
	wanted[nr_wanted].name[name] = '\0';
	wanted[nr_wanted++].level = level;
	return NULL;
}

static const char *filter_words(const char *filter, bool apply)
{
	const char *error = NULL;
	unsigned int n = 0;

	for (;; filter++) {
		size_t len = strcspn(filter, ",");

		if (n++ == MAX_WANTED)
			return "at most 32 words";
		error = filter_word(filter, len, apply);
		filter += len;
		if (error || !*filter)
			return error;
	}
}

const char *log_set_filter(const char *filter)
{
	const char *error = filter_words(filter, false);

	if (error)
		return error;
	pthread_mutex_lock(&lock);
	nr_wanted = 0;
	level_of_others = LOG_INFO;
	filter_words(filter, true);
	for (struct log_module *m = modules; m; m = m->next)
		__atomic_store_n(&m->level, wanted_level(m), __ATOMIC_RELAXED);
	pthread_mutex_unlock(&lock);
	return NULL;
}

void log_get_filter(char *filter, unsigned int size)
{
	unsigned int n;

	pthread_mutex_lock(&lock);
	n = (unsigned int)snprintf(filter, size, "%s", level_names[
		level_of_others < 0 ? LOG_INFO : level_of_others]);
	for (unsigned int i = 0; i < nr_wanted && n < size; i++)
		n += (unsigned int)snprintf(filter + n, size - n, ",%s=%s",
					    wanted[i].name,
					    level_names[wanted[i].level]);
	pthread_mutex_unlock(&lock);
}

void log_for_each(void (*fn)(void *opaque, const char *module,
			     enum log_level level), void *opaque)
{
	pthread_mutex_lock(&lock);
	for (struct log_module *m = modules; m; m = m->next)
		fn(opaque, m->name, (enum log_level)m->level);
	pthread_mutex_unlock(&lock);
}

/* ---- lines ---- */

void log_write(struct log_module *module, enum log_level level,
	       const char *format, ...)
{
	/* Kernel priorities: 3 error, 4 warning, 5 notice, 7 debug. Notice
	 * rather than info, so that the default console level shows it. */
	static const char priority[] = { '3', '4', '5', '7' };
	log_tail *tail = __atomic_load_n(&tail_of_log, __ATOMIC_ACQUIRE);
	char line[LINE_SIZE];
	va_list args;
	int n = 0, start;

	if (!__atomic_load_n(&module->listed, __ATOMIC_ACQUIRE))
		module_list(module);
	if ((int)level > __atomic_load_n(&module->level, __ATOMIC_RELAXED))
		return;

	if (sink_kmsg)
		n = snprintf(line, sizeof(line), "<%c>", priority[level]);
	start = n;
	n += snprintf(line + n, sizeof(line) - n, "%s: ", module->name);
	va_start(args, format);
	n += vsnprintf(line + n, sizeof(line) - n, format, args);
	va_end(args);
	if (n > LINE_SIZE - 2)
		n = LINE_SIZE - 2;
	if (tail)
		tail((int)level, line + start, (size_t)(n - start));
	line[n++] = '\n';
	/* Nobody is left to tell when the log cannot be written. */
	if (write(sink_fd, line, n) < 0)
		return;
}

int log_pass(struct log_module *module, struct log_limit *limit)
{
	struct timespec now;
	uint64_t second, last;
	uint32_t dropped;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	second = (uint64_t)now.tv_sec + 1;
	last = __atomic_load_n(&limit->second, __ATOMIC_RELAXED);
	if (last != second &&
	    __atomic_compare_exchange_n(&limit->second, &last, second, false,
					__ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
		__atomic_store_n(&limit->passed, 0, __ATOMIC_RELAXED);
		dropped = __atomic_exchange_n(&limit->dropped, 0,
					      __ATOMIC_RELAXED);
		if (dropped)
			log_write(module, LOG_WARN,
				  "%u lines like the next were dropped",
				  dropped);
	}
	if (__atomic_fetch_add(&limit->passed, 1, __ATOMIC_RELAXED) <
	    MAX_LINES_PER_SECOND)
		return 1;
	__atomic_fetch_add(&limit->dropped, 1, __ATOMIC_RELAXED);
	return 0;
}

_Noreturn void pv_bug_at(const char *file, int line, const char *condition,
			 uint64_t a, uint64_t b)
{
	static struct log_module bug = { .name = "bug", .level = LOG_ERR };

	log_write(&bug, LOG_ERR, "%s:%d: %s (%#llx, %#llx)", file, line,
		  condition, (unsigned long long)a, (unsigned long long)b);
	abort();
}
