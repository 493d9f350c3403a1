/* SPDX-License-Identifier: MIT */
/*
 * kexec KERNEL INITRD: starts that kernel in the place of this one, with this
 * one's command line. Devices are shut down by their drivers first, as at a
 * reboot, and processes are not asked. Status 1 after one line, 2: usage.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <unistd.h>

static int failed(const char *what)
{
	fprintf(stderr, "kexec: %s: %s\n", what, strerror(errno));
	return 1;
}

/* Its length with the final zero; or 0. */
static size_t command_line(char *text, size_t size)
{
	int fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, size - 1);

	if (fd >= 0)
		close(fd);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return strlen(text) + 1;
}

int main(int argc, char **argv)
{
	char text[4096];
	size_t len;
	int kernel, initrd;

	if (argc != 3) {
		fprintf(stderr, "Usage: kexec KERNEL INITRD\n");
		return 2;
	}
	kernel = open(argv[1], O_RDONLY | O_CLOEXEC);
	if (kernel < 0)
		return failed(argv[1]);
	initrd = open(argv[2], O_RDONLY | O_CLOEXEC);
	if (initrd < 0)
		return failed(argv[2]);
	len = command_line(text, sizeof(text));
	if (!len)
		return failed("/proc/cmdline");
	if (syscall(SYS_kexec_file_load, kernel, initrd, len, text, 0ul))
		return failed("kexec_file_load");
	reboot(RB_KEXEC);
	return failed("reboot");
}
