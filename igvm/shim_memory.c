// SPDX-License-Identifier: MIT
/*
 * The C library's memory and string functions that the compiler and libfdt
 * call, for a program without a C library. String instructions keep them
 * small and keep the compiler from turning a loop into a call of itself.
 */
#include <string.h>

void *memset(void *to, int value, size_t len)
{
	void *at = to;

	__asm__ volatile("rep stosb" : "+D"(at), "+c"(len) : "a"(value)
			 : "memory");
	return to;
}

void *memcpy(void *restrict to, const void *restrict from, size_t len)
{
	void *at = to;

	__asm__ volatile("rep movsb" : "+D"(at), "+S"(from), "+c"(len)
			 : : "memory");
	return to;
}

void *memmove(void *to, const void *from, size_t len)
{
	char *last = (char *)to + len;
	const char *source = (const char *)from + len;

	if ((char *)to <= (const char *)from)
		return memcpy(to, from, len);
	while (len--) {
		*--last = *--source;
		__asm__ volatile("" : : : "memory");
	}
	return to;
}

int memcmp(const void *a, const void *b, size_t len)
{
	const unsigned char *x = a, *y = b;

	for (; len; len--, x++, y++) {
		if (*x != *y)
			return *x - *y;
	}
	return 0;
}

void *memchr(const void *bytes, int value, size_t len)
{
	const unsigned char *p = bytes;

	for (; len; len--, p++) {
		if (*p == (unsigned char)value)
			return (void *)p;
	}
	return NULL;
}

size_t strnlen(const char *text, size_t max)
{
	size_t len = 0;

	while (len < max && text[len])
		len++;
	return len;
}

size_t strlen(const char *text)
{
	const char *end = text;

	while (*end) {
		end++;
		__asm__ volatile("" : : : "memory");
	}
	return (size_t)(end - text);
}

char *strchr(const char *text, int value)
{
	return memchr(text, value, strlen(text) + 1);
}

char *strrchr(const char *text, int value)
{
	const char *last = NULL;

	do {
		if (*text == (char)value)
			last = text;
	} while (*text++);
	return (char *)last;
}
