/* SPDX-License-Identifier: MIT */
/*
 * A file that the user named: read whole, once, before anything starts.
 */
#ifndef VMM_INPUT_FILE_H
#define VMM_INPUT_FILE_H

#include <stddef.h>
#include <stdint.h>

struct input_file {
	const char *path; /* not owned */
	uint8_t *bytes;	  /* owned; one NUL follows that `len` does not count */
	size_t len;
};

/*
 * Reads `path` completely; `option` names it in messages. Regular files only,
 * not empty, at most `max` bytes. Returns 0, or -errno after one line on
 * stderr; *file is then empty.
 */
int input_file_read(struct input_file *file, const char *option,
		    const char *path, size_t max);

/* Harmless for an empty one. */
void input_file_free(struct input_file *file);

#endif
