// SPDX-License-Identifier: MIT
/*
 * Reads what the linker made of the shim. The linker script (shim.ld) asserts
 * that there are no relocations; here only that the file is such a program,
 * and that every segment lies in the file and in the room the image has.
 */
#include "elf_file.h"

#include <elf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

__attribute__((format(printf, 3, 4)))
static int refuse(char *rule, size_t size, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(rule, size, format, ap);
	va_end(ap);
	return -EINVAL;
}

static bool is_program(const Elf64_Ehdr *e, size_t len)
{
	return !memcmp(e->e_ident, ELFMAG, SELFMAG) &&
	       e->e_ident[EI_CLASS] == ELFCLASS64 &&
	       e->e_machine == EM_X86_64 &&
	       (e->e_type == ET_DYN || e->e_type == ET_EXEC) &&
	       e->e_phentsize == sizeof(Elf64_Phdr) && e->e_phoff <= len &&
	       e->e_phnum <= (len - e->e_phoff) / sizeof(Elf64_Phdr);
}

/* Copies one segment; *end grows to its end. */
static int place(const uint8_t *file, size_t len, const Elf64_Phdr *p,
		 uint8_t *flat, size_t max, size_t *end, char *rule,
		 size_t rule_size)
{
	if (p->p_filesz > p->p_memsz || p->p_memsz > max ||
	    p->p_vaddr > max - p->p_memsz)
		return refuse(rule, rule_size,
			      "segment at 0x%llx: outside of 0 to 0x%zx",
			      (unsigned long long)p->p_vaddr, max);
	if (p->p_filesz > len || p->p_offset > len - p->p_filesz)
		return refuse(rule, rule_size,
			      "segment at 0x%llx: ends behind the file",
			      (unsigned long long)p->p_vaddr);
	memcpy(flat + p->p_vaddr, file + p->p_offset, p->p_filesz);
	if (p->p_vaddr + p->p_memsz > *end)
		*end = p->p_vaddr + p->p_memsz;
	return 0;
}

int elf_flatten(const void *file, size_t len, size_t max, uint8_t **flat,
		size_t *flat_len, char *rule, size_t rule_size)
{
	Elf64_Ehdr e;
	size_t end = 0;
	uint8_t *room;
	int rc = 0;

	if (len < sizeof(e))
		return refuse(rule, rule_size, "no ELF file: %zu bytes", len);
	memcpy(&e, file, sizeof(e));
	if (!is_program(&e, len))
		return refuse(rule, rule_size, "no ELF program for x86-64");
	if (e.e_entry)
		return refuse(rule, rule_size, "entry 0x%llx: must be 0",
			      (unsigned long long)e.e_entry);
	room = calloc(1, max);
	if (!room) {
		refuse(rule, rule_size, "out of memory");
		return -ENOMEM;
	}
	for (unsigned int i = 0; !rc && i < e.e_phnum; i++) {
		Elf64_Phdr p;

		memcpy(&p, (const uint8_t *)file + e.e_phoff + i * sizeof(p),
		       sizeof(p));
		if (p.p_type == PT_LOAD)
			rc = place(file, len, &p, room, max, &end, rule,
				   rule_size);
	}
	if (!rc && !end)
		rc = refuse(rule, rule_size, "no segment to load");
	if (rc) {
		free(room);
		return rc;
	}
	*flat = room;
	*flat_len = end;
	return 0;
}
