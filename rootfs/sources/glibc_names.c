/* SPDX-License-Identifier: MIT */
/*
 * glibc's names for functions that musl has under their standard names.
 *
 * Debian's prebuilt libnvme.a was compiled against glibc: fortified calls carry
 * the size of the destination, the scanf and strto families a C23 suffix, and
 * files a 64 (LSB Core 5.0, "Base Libraries"; off_t has 64 bits in musl anyway).
 * These forward. Destination sizes that are known are kept as limits. With a
 * glibc, which the unit tests use, only a new name may be missing.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#undef open64
#undef fopen64
#undef fstat64

int __isoc23_sscanf(const char *text, const char *format, ...);

int __isoc23_sscanf(const char *text, const char *format, ...)
{
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsscanf(text, format, ap);
	va_end(ap);
	return n;
}

#ifndef __GLIBC__
int __vasprintf_chk(char **out, int flag, const char *format, va_list ap);
int __asprintf_chk(char **out, int flag, const char *format, ...);
int __dprintf_chk(int fd, int flag, const char *format, ...);
int __snprintf_chk(char *out, size_t limit, int flag, size_t size,
		   const char *format, ...);
int open64(const char *path, int flags, ...);
FILE *fopen64(const char *path, const char *mode);
int fstat64(int fd, struct stat *st);

int __vasprintf_chk(char **out, int flag, const char *format, va_list ap)
{
	(void)flag;
	return vasprintf(out, format, ap);
}

int __asprintf_chk(char **out, int flag, const char *format, ...)
{
	va_list ap;
	int n;

	(void)flag;
	va_start(ap, format);
	n = vasprintf(out, format, ap);
	va_end(ap);
	return n;
}

int __dprintf_chk(int fd, int flag, const char *format, ...)
{
	va_list ap;
	int n;

	(void)flag;
	va_start(ap, format);
	n = vdprintf(fd, format, ap);
	va_end(ap);
	return n;
}

int __snprintf_chk(char *out, size_t limit, int flag, size_t size,
		   const char *format, ...)
{
	va_list ap;
	int n;

	(void)flag;
	va_start(ap, format);
	n = vsnprintf(out, limit < size ? limit : size, format, ap);
	va_end(ap);
	return n;
}

int open64(const char *path, int flags, ...)
{
	mode_t mode = 0;

	if (flags & (O_CREAT | O_TMPFILE)) {
		va_list ap;

		va_start(ap, flags);
		mode = va_arg(ap, mode_t);
		va_end(ap);
	}
	return open(path, flags, mode);
}

FILE *fopen64(const char *path, const char *mode)
{
	return fopen(path, mode);
}

int fstat64(int fd, struct stat *st)
{
	return fstat(fd, st);
}
#endif
