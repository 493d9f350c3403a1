/* SPDX-License-Identifier: MIT */
/*
 * An IGVM file in the making: headers, file data, and the ranges for its map.
 *
 * Headers keep the order of the calls inside their section; file data follows
 * the headers without a gap. The same calls always make the same bytes.
 * Every call returns 0 or -ENOMEM, or -EFBIG when an offset no longer fits
 * into 32 bits. One thread.
 */
#ifndef IMAGE_H
#define IMAGE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "igvm_reg.h"

#define IMAGE_MASK 1u /* compatibility mask of the only platform */

struct image;

struct image *image_new(void);
void image_free(struct image *image);

/* SUPPORTED_PLATFORM: VSM isolation, highest VTL 2. First call. */
int image_platform(struct image *image);

/* One header with a content of `bytes` bytes. */
int image_header(struct image *image, uint32_t type, const void *content,
		 uint32_t bytes);

/*
 * PAGE_DATA for `bytes` bytes at a page-aligned gpa, the last page filled up
 * with zeros. A page of zeros takes no file data; equal pages share it. `name`
 * (static) is the range's in the map. NULL `data`: all zeros.
 */
int image_pages(struct image *image, const char *name, uint64_t gpa,
		const void *data, uint64_t bytes);

/* A range of the map that a PARAMETER_INSERT fills. */
int image_note_parameter(struct image *image, const char *name, uint64_t gpa,
			 uint64_t bytes);

/* VP_CONTEXT of VP 0 from `count` records. */
int image_context(struct image *image,
		  const struct igvm_vbs_vp_context_register *registers,
		  uint32_t count);

/*
 * Lays the file out. *bytes is the image's, until image_free. Last call that
 * changes the image.
 */
int image_finish(struct image *image, const uint8_t **bytes, size_t *len);

/* Writes the map (format: see map.c). */
void image_write_map(const struct image *image, FILE *out);

#endif
