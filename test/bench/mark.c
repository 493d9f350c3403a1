/* SPDX-License-Identifier: MIT */
/*
 * mark start|stop: executes the marker that instructions.c looks for. A program
 * of the guest, static, so that it needs nothing there. Status 2: usage.
 */
#include <stdio.h>
#include <string.h>

#define MARK(id)                                                            \
	__asm__ volatile(".byte 0x0f, 0x1f, 0x80, " id ", 0x5a, 0x5a, 0x5a"  \
			 : : : "memory")

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "start")) {
		MARK("1");
	} else if (argc == 2 && !strcmp(argv[1], "stop")) {
		MARK("2");
	} else {
		fprintf(stderr, "usage: mark start|stop\n");
		return 2;
	}
	return 0;
}
