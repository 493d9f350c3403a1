/* SPDX-License-Identifier: MIT */
/*
 * The boot shim's file: an ELF program without relocations whose segments
 * start at address 0 and whose entry is its first byte.
 */
#ifndef ELF_FILE_H
#define ELF_FILE_H

#include <stddef.h>
#include <stdint.h>

/*
 * Lays the segments of a shim out in new memory, as they will be in the image
 * (.bss zeroed); at most `max` bytes. The caller frees *flat. Returns 0, or
 * -EINVAL with the broken rule in `rule`, or -ENOMEM likewise.
 */
int elf_flatten(const void *file, size_t len, size_t max, uint8_t **flat,
		size_t *flat_len, char *rule, size_t rule_size);

#endif
