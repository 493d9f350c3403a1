/* SPDX-License-Identifier: MIT */
/*
 * The paravisor daemon: composition root.
 *
 * This is the only file that sees every module; it builds the objects and
 * connects their tables. Nothing below it knows what it is connected to.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include <pv/log.h>

#include "log_sink.h"

LOG_MODULE("paravisor");

static void log_to_kernel(void)
{
	int fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);

	if (fd >= 0)
		log_set_sink(fd, true);
}

int main(void)
{
	sigset_t none;

	log_to_kernel();
	log_info("up on %ld VPs", sysconf(_SC_NPROCESSORS_ONLN));
	sigemptyset(&none);
	for (;;)
		sigsuspend(&none);
}
