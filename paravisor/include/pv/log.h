/* SPDX-License-Identifier: MIT */
/*
 * Logging: one line per call, one prefix per module, levels per module.
 *
 * A file says LOG_MODULE("storvsp") once and then log_err(), log_warn(),
 * log_info() or log_debug(). Lines go to the program's sink: /dev/kmsg in the
 * daemon, stderr in vmm, memory in tests.
 *
 * What a guest or host can cause goes through the _limited forms: at most ten
 * lines in a second per call site, the rest counted and the count printed with
 * the next line that passes.
 *
 * Threads: any. Lines are written whole. Nothing here allocates.
 */
#ifndef PV_LOG_H
#define PV_LOG_H

#include <stdint.h>

enum log_level { LOG_ERR, LOG_WARN, LOG_INFO, LOG_DEBUG };

struct log_module {
	const char *name;
	int level;
	struct log_module *next; /* list of all modules that logged once */
	int listed;
};

struct log_limit {
	uint64_t second;
	uint32_t passed, dropped;
};

#define LOG_MODULE(module_name)                                            \
	static struct log_module log_this = { .name = module_name,         \
					      .level = LOG_INFO }

void log_write(struct log_module *module, enum log_level level,
	       const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* True if this line may pass; prints the number of dropped ones first. */
int log_pass(struct log_module *module, struct log_limit *limit);

/* Sets the level of a module, now or when it logs first; -ENOENT never:
 * unknown names are kept for later. -EINVAL: name too long, table full. */
int log_set_level(const char *module, enum log_level level);

/*
 * Sets all levels: "storvsp=debug", "warn,storvsp=debug,vp=err". A level alone
 * is that of all modules not named; without one it is info. NULL, or what is
 * wrong; then nothing has changed.
 */
const char *log_set_filter(const char *filter);
/* The levels as such a filter: what it set and log_set_level() since. */
void log_get_filter(char *filter, unsigned int size);
/* Of each module that has logged. Under the log's lock: must not log. */
void log_for_each(void (*fn)(void *opaque, const char *module,
			     enum log_level level), void *opaque);
const char *log_level_name(enum log_level level);

#define log_err(...) log_write(&log_this, LOG_ERR, __VA_ARGS__)
#define log_warn(...) log_write(&log_this, LOG_WARN, __VA_ARGS__)
#define log_info(...) log_write(&log_this, LOG_INFO, __VA_ARGS__)
#define log_debug(...)                                                     \
	do {                                                               \
		if (log_this.level >= LOG_DEBUG || !log_this.listed)       \
			log_write(&log_this, LOG_DEBUG, __VA_ARGS__);      \
	} while (0)

#define log_limited(level, ...)                                            \
	do {                                                               \
		static struct log_limit limit_here;                        \
		if (log_pass(&log_this, &limit_here))                      \
			log_write(&log_this, level, __VA_ARGS__);          \
	} while (0)
#define log_warn_limited(...) log_limited(LOG_WARN, __VA_ARGS__)
#define log_info_limited(...) log_limited(LOG_INFO, __VA_ARGS__)

/* A broken invariant of ours: prints both values and aborts. */
#define pv_bug(condition, a, b)                                            \
	do {                                                               \
		if (__builtin_expect(!!(condition), 0))                    \
			pv_bug_at(__FILE__, __LINE__, #condition,          \
				  (uint64_t)(a), (uint64_t)(b));           \
	} while (0)
_Noreturn void pv_bug_at(const char *file, int line, const char *condition,
			 uint64_t a, uint64_t b);

#endif
