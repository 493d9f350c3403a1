/* SPDX-License-Identifier: MIT */
/* Where log lines go; set once, by main(), before other threads exist. */
#ifndef LOG_SINK_H
#define LOG_SINK_H

#include <stdbool.h>
#include <stddef.h>

/* `kmsg`: fd is /dev/kmsg, lines get a kernel priority prefix. */
void log_set_sink(int fd, bool kmsg);

/* Who gets a copy of each line, without its end; any thread calls it. */
typedef void log_tail(int level, const char *line, size_t len);
void log_set_tail(log_tail *tail);

#endif
