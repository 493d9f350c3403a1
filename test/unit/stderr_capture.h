/* SPDX-License-Identifier: MIT */
/*
 * What a function prints to stderr, for tests of messages. One at a time.
 */
#ifndef TEST_STDERR_CAPTURE_H
#define TEST_STDERR_CAPTURE_H

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct {
	FILE *file;
	int saved;
	char text[4096];
} stderr_capture;

static inline void capture_stderr(void)
{
	fflush(stderr);
	stderr_capture.file = tmpfile();
	stderr_capture.saved = dup(STDERR_FILENO);
	dup2(fileno(stderr_capture.file), STDERR_FILENO);
}

/* Ends the capture; the text is valid until the next one. */
static inline const char *captured_stderr(void)
{
	size_t n;

	fflush(stderr);
	dup2(stderr_capture.saved, STDERR_FILENO);
	close(stderr_capture.saved);
	rewind(stderr_capture.file);
	n = fread(stderr_capture.text, 1, sizeof(stderr_capture.text) - 1,
		  stderr_capture.file);
	stderr_capture.text[n] = '\0';
	fclose(stderr_capture.file);
	return stderr_capture.text;
}

/* Exactly one line, with its newline. */
static inline int is_one_line(const char *text)
{
	const char *newline = strchr(text, '\n');

	return newline && !newline[1];
}

#endif
