/* SPDX-License-Identifier: MIT */
/* Where log lines go; set once, by main(), before other threads exist. */
#ifndef LOG_SINK_H
#define LOG_SINK_H

#include <stdbool.h>

/* `kmsg`: fd is /dev/kmsg, lines get a kernel priority prefix. */
void log_set_sink(int fd, bool kmsg);

#endif
