/* SPDX-License-Identifier: MIT */
/*
 * From files and a layout to the headers and pages of an image.
 */
#ifndef COMPOSE_H
#define COMPOSE_H

#include "image.h"
#include "layout.h"

struct blob {
	const void *bytes; /* NULL: not there */
	size_t len;
};

/* What goes into an image besides numbers. Texts include their NUL. */
struct parts {
	struct blob shim;
	struct blob kernel; /* protected-mode part */
	struct linux_setup_header kernel_header;
	struct blob initramfs;
	struct blob command_line;
	struct blob settings;
	struct blob vtl0_kernel;
	struct blob vtl0_initrd;
	struct blob vtl0_command_line;
};

/* Makes every call on a new *image but image_finish. 0, -ENOMEM, -EFBIG. */
int compose(struct image *image, const struct layout *layout,
	    const struct parts *parts);

#endif
