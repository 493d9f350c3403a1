// SPDX-License-Identifier: MIT
// SOURCES: igvm/manifest.c igvm/layout.c igvm/elf_file.c
/*
 * What igvm-build refuses: manifests, --set, kernels, shims and sizes. Each
 * line names the JSON pointer or the rule.
 */
#include <elf.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "igvm/elf_file.h"
#include "igvm/layout.h"
#include "igvm/manifest.h"

#define REQUIRED                                                              \
	"\"shim\":\"s\",\"kernel\":\"k\",\"initramfs\":\"/i\","               \
	"\"command_line\":\"c\",\"base\":\"0x70000000\""
#define WHOLE "{" REQUIRED ",\"ram_size\":\"128MiB\"}"

static char path[] = "/tmp/igvm-manifest.XXXXXX";
static char said_path[] = "/tmp/igvm-manifest.XXXXXX";

static int make_files(void **state)
{
	(void)state;
	return mkstemp(path) < 0 || mkstemp(said_path) < 0;
}

static int remove_files(void **state)
{
	(void)state;
	unlink(path);
	unlink(said_path);
	return 0;
}

/* Reads a manifest's text; what is said lands in `said`. */
static int read_text(const char *text, const char *set, struct manifest *m,
		     char said[512])
{
	char *sets[] = { (char *)set };
	int saved = dup(STDERR_FILENO), rc;
	FILE *f = fopen(path, "w");

	fputs(text, f);
	fclose(f);
	assert_non_null(freopen(said_path, "w+", stderr));
	rc = manifest_read(m, path, "build", sets, set ? 1 : 0);
	rewind(stderr);
	said[fread(said, 1, 511, stderr)] = 0;
	fflush(stderr);
	dup2(saved, STDERR_FILENO);
	close(saved);
	return rc;
}

static void test_good(void **state)
{
	struct manifest m;
	char said[512];

	(void)state;
	assert_int_equal(read_text(WHOLE, NULL, &m, said), 0);
	assert_string_equal(said, "");
	assert_string_equal(m.kernel, "build/k");
	assert_string_equal(m.initramfs, "/i");
	assert_int_equal(m.base, 0x70000000);
	assert_int_equal(m.ram_size, 128 << 20);
	assert_null(m.settings);
	manifest_free(&m);

	assert_int_equal(read_text("{" REQUIRED ",\"ram_size\":1234,"
				   "\"settings\":{\"version\": 1},"
				   "\"vtl0\":{\"kernel\":\"g\"}}",
				   "vtl0.initrd=x", &m, said), 0);
	assert_int_equal(m.ram_size, 1234);
	assert_string_equal(m.settings, "{\"version\":1}");
	assert_string_equal(m.vtl0_kernel, "build/g");
	assert_string_equal(m.vtl0_initrd, "x");
	manifest_free(&m);

	/* --set gives what the manifest lacks, and wins. */
	assert_int_equal(read_text("{" REQUIRED "}", "ram_size=0x20MiB", &m,
				   said), 0);
	assert_int_equal(m.ram_size, 32 << 20);
	manifest_free(&m);
}

static void test_bad(void **state)
{
	static const struct {
		const char *text, *set, *says;
	} cases[] = {
		{ "", NULL, ": /: " },
		{ "{", NULL, ": /: " },
		{ "[]", NULL, ": /: must be an object" },
		{ "{" REQUIRED "}", NULL, ": /ram_size: missing" },
		{ "{\"kernel\":\"k\"}", NULL, ": /shim: missing" },
		{ "{\"kernels\":\"k\"}", NULL, ": /kernels: unknown key" },
		{ "{\"kernel\":\"k\",\"kernel\":\"k\"}", NULL,
		  ": /kernel: given twice" },
		{ "{\"kernel\":1}", NULL, ": /kernel: must be a string" },
		{ "{\"kernel\":\"\"}", NULL, ": /kernel: must not be empty" },
		{ "{\"kernel\":\"a\\u0000b\"}", NULL, ": /kernel: must hold" },
		{ "{\"command_line\":\"a\\nb\"}", NULL,
		  ": /command_line: must hold no control" },
		{ "{\"base\":true}", NULL, ": /base: must be a number" },
		{ "{\"base\":-1}", NULL, ": /base: must be a number" },
		{ "{\"base\":\"-1\"}", NULL, ": /base: must be a number" },
		{ "{\"base\":\"1MB\"}", NULL, ": /base: must be a number" },
		{ "{\"base\":\"0x\"}", NULL, ": /base: must be a number" },
		{ "{\"base\":\"99999999999999999999\"}", NULL,
		  ": /base: must be a number" },
		{ "{\"base\":\"99999999999999GiB\"}", NULL,
		  ": /base: must be a number" },
		{ "{\"settings\":\"x\"}", NULL,
		  ": /settings: must be an object" },
		{ "{\"vtl0\":1}", NULL, ": /vtl0: must be an object" },
		{ "{\"vtl0\":{\"kernels\":1}}", NULL,
		  ": /vtl0/kernels: unknown key" },
		{ "{\"vtl0/kernel\":\"k\"}", NULL, ": /vtl0?kernel: unknown" },
		{ "{\"a\\nb\":1}", NULL, ": /a?b: unknown key" },
		{ "{\"vtl0\":{\"vtl0\":{}}}", NULL,
		  ": /vtl0/vtl0: unknown key" },
		{ "{" REQUIRED ",\"ram_size\":1,\"vtl0\":{\"initrd\":\"x\"}}",
		  NULL, ": /vtl0/initrd: needs /vtl0/kernel" },
		{ WHOLE, "base", "--set: base: must be KEY=VALUE" },
		{ WHOLE, "bas=1", "--set: /bas: unknown key" },
		{ WHOLE, "base=x", "--set: /base: must be a number" },
		{ WHOLE, "settings={", "--set: /settings: not JSON" },
		{ WHOLE, "settings=1", "--set: /settings: must be an object" },
		{ WHOLE, "kernel=", "--set: /kernel: must not be empty" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct manifest m;
		char said[512];
		int rc = read_text(cases[i].text, cases[i].set, &m, said);

		if (rc != -EINVAL || !strstr(said, cases[i].says) ||
		    strchr(said, '\n') != said + strlen(said) - 1)
			fail_msg("%s %s: %d, said: %s", cases[i].text,
				 cases[i].set ? cases[i].set : "", rc, said);
		manifest_free(&m);
	}
}

static void test_long_command_line(void **state)
{
	static char text[3000];
	struct manifest m;
	char said[512];

	(void)state;
	sprintf(text, "{\"command_line\":\"%*s\"}", 2048, "");
	assert_int_equal(read_text(text, NULL, &m, said), -EINVAL);
	assert_non_null(strstr(said, "/command_line: 2048 bytes"));
	manifest_free(&m);
}

/* A bzImage of two setup sectors and a page. */
static struct {
	uint8_t bytes[3 * 512 + 4096];
} kernel;

static struct linux_setup_header *make_kernel(void)
{
	struct linux_setup_header *h =
		(void *)(kernel.bytes + LINUX_SETUP_HEADER_OFFSET);

	memset(&kernel, 0, sizeof(kernel));
	h->setup_sects = 2;
	h->syssize = cpu_to_le32(4096 / 16);
	h->boot_flag = cpu_to_le16(LINUX_BOOT_FLAG);
	h->header = cpu_to_le32(LINUX_HEADER_MAGIC);
	h->version = cpu_to_le16(0x20f);
	h->xloadflags = cpu_to_le16(LINUX_XLF_KERNEL_64);
	h->relocatable_kernel = 1;
	h->kernel_alignment = cpu_to_le32(2 << 20);
	h->init_size = cpu_to_le32(8 << 20);
	return h;
}

static void expect_kernel(size_t len, const char *expected)
{
	struct linux_setup_header h;
	char rule[160] = "";
	uint64_t offset = 0;
	uint8_t *copy = malloc(len ? len : 1);
	int rc;

	memcpy(copy, kernel.bytes, len);
	rc = layout_read_bzimage(copy, len, &h, &offset, rule, sizeof(rule));
	free(copy);
	if (!expected) {
		assert_int_equal(rc, 0);
		assert_int_equal(offset, 3 * 512);
	} else if (rc != -EINVAL || !strstr(rule, expected)) {
		fail_msg("expected \"%s\", got %d %s", expected, rc, rule);
	}
}

static void test_kernel(void **state)
{
	const size_t whole = sizeof(kernel.bytes);

	(void)state;
	make_kernel();
	expect_kernel(whole, NULL);
	expect_kernel(0, "no bzImage");
	expect_kernel(0x1f1 + 10, "no bzImage");
	expect_kernel(whole - 16, "truncated");
	expect_kernel(3 * 512, "nothing behind the setup");
	make_kernel()->header = cpu_to_le32(0);
	expect_kernel(whole, "HdrS");
	make_kernel()->version = cpu_to_le16(0x205);
	expect_kernel(whole, "boot protocol 0x205");
	make_kernel()->xloadflags = cpu_to_le16(0);
	expect_kernel(whole, "no 64-bit entry");
	make_kernel()->relocatable_kernel = 0;
	expect_kernel(whole, "CONFIG_RELOCATABLE");
	make_kernel()->kernel_alignment = cpu_to_le32(3);
	expect_kernel(whole, "no power of two");
	make_kernel()->setup_sects = 255;
	expect_kernel(whole, "setup_sects");
	make_kernel()->init_size = cpu_to_le32(100);
	expect_kernel(whole, "init_size");
}

static const struct layout_input sizes = {
	.base = 0x70000000, .ram_size = 128 << 20,
	.black_box_size = 4 << 20, .shim_bytes = 30000,
	.kernel_bytes = 4 << 20, .kernel_init_size = 15 << 20,
	.kernel_alignment = 2 << 20, .kernel_pref_address = 16 << 20,
	.initramfs_bytes = 300001, .settings_bytes = 100,
	.vtl0_kernel_bytes = 10000001, .vtl0_initrd_bytes = 20000001,
	.vtl0_command_line_bytes = 10,
};

/* Everything in RAM, nothing over another thing. */
static void test_layout(void **state)
{
	const char *pointer;
	struct layout l;
	char rule[160];

	(void)state;
	assert_int_equal(layout_make(&sizes, &l, &pointer, rule, sizeof(rule)),
			 0);
	const struct layout_range all[] = {
		l.page_tables, l.gdt, l.info, l.boot_params, l.command_line,
		l.stack, l.shim, l.host_tree, l.kernel_tree, l.settings,
		l.vtl0_command_line, l.kernel, l.initramfs, l.vtl0_kernel,
		l.vtl0_initrd, l.black_box,
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		assert_int_equal(all[i].gpa % 4096, 0);
		assert_true(all[i].bytes && all[i].gpa >= sizes.base);
		assert_true(all[i].gpa + all[i].bytes <=
			    sizes.base + sizes.ram_size);
		for (size_t k = 0; k < i; k++)
			assert_true(all[i].gpa + all[i].bytes <= all[k].gpa ||
				    all[k].gpa + all[k].bytes <= all[i].gpa);
	}
	assert_int_equal(l.kernel.gpa % (2 << 20), 0);
	assert_true(l.kernel.bytes >= sizes.kernel_init_size);
	assert_true(l.vtl0_region.gpa <= l.vtl0_kernel.gpa);
	assert_int_equal(l.black_box.gpa, 0x77c00000);
	assert_true(l.vtl0_region.gpa + l.vtl0_region.bytes ==
		    l.black_box.gpa);
}

static void expect_layout(const struct layout_input *in, const char *where)
{
	const char *pointer = "none";
	struct layout l;
	char rule[160] = "";

	if (layout_make(in, &l, &pointer, rule, sizeof(rule)) != -EINVAL ||
	    strcmp(pointer, where) || !*rule)
		fail_msg("expected %s, got %s: %s", where, pointer, rule);
}

#define LAYOUT(where, ...)                                                    \
	do {                                                                  \
		struct layout_input in = sizes;                               \
		__VA_ARGS__;                                                  \
		expect_layout(&in, where);                                    \
	} while (0)

static void test_bad_layout(void **state)
{
	(void)state;
	LAYOUT("/base", in.base = 0);
	LAYOUT("/base", in.base = 0x70001000);
	LAYOUT("/base", in.base = 1ull << 32);
	LAYOUT("/base", in.base = 2 << 20); /* below pref_address */
	LAYOUT("/ram_size", in.ram_size = 16 << 20);
	LAYOUT("/ram_size", in.ram_size = (128 << 20) + 4096);
	LAYOUT("/ram_size", in.ram_size = 3ull << 30);
	LAYOUT("/ram_size", in.ram_size = UINT64_MAX - (2 << 20) + 1);
	LAYOUT("/ram_size", in.initramfs_bytes = 100 << 20);
	LAYOUT("/ram_size", in.vtl0_initrd_bytes = 110 << 20);
	LAYOUT("/ram_size", in.kernel_init_size = UINT32_MAX);
	LAYOUT("/ram_size", in.black_box_size = 16 << 20,
	       in.initramfs_bytes = 68 << 20);
	LAYOUT("/black_box", in.black_box_size = (2 << 20) + 4096);
	LAYOUT("/black_box", in.black_box_size = 18 << 20);
	LAYOUT("/shim", in.shim_bytes = 0);
	LAYOUT("/shim", in.shim_bytes = 65537);
	LAYOUT("/settings", in.settings_bytes = 65537);
	LAYOUT("/vtl0/command_line", in.vtl0_command_line_bytes = 2049);
}

static struct {
	Elf64_Ehdr head;
	Elf64_Phdr segment[2];
	uint8_t text[16];
} shim;

static void make_shim(void)
{
	memset(&shim, 0, sizeof(shim));
	memcpy(shim.head.e_ident, ELFMAG, SELFMAG);
	shim.head.e_ident[EI_CLASS] = ELFCLASS64;
	shim.head.e_machine = EM_X86_64;
	shim.head.e_type = ET_DYN;
	shim.head.e_phoff = offsetof(typeof(shim), segment);
	shim.head.e_phentsize = sizeof(Elf64_Phdr);
	shim.head.e_phnum = 2;
	shim.segment[0] = (Elf64_Phdr){ .p_type = PT_LOAD, .p_filesz = 16,
		.p_memsz = 16, .p_offset = offsetof(typeof(shim), text) };
	shim.segment[1] = (Elf64_Phdr){ .p_type = PT_LOAD, .p_vaddr = 4096,
		.p_memsz = 100 };
	memset(shim.text, 0x90, sizeof(shim.text));
}

static void expect_shim(size_t len, const char *expected)
{
	char rule[160] = "";
	uint8_t *flat = NULL;
	size_t flat_len = 0;
	int rc = elf_flatten(&shim, len, 8192, &flat, &flat_len, rule,
			     sizeof(rule));

	if (!expected) {
		assert_int_equal(rc, 0);
		assert_int_equal(flat_len, 4196);
		assert_int_equal(flat[15], 0x90);
		assert_int_equal(flat[16], 0);
		free(flat);
	} else if (rc != -EINVAL || !strstr(rule, expected)) {
		fail_msg("expected \"%s\", got %d %s", expected, rc, rule);
	}
}

static void test_shim(void **state)
{
	(void)state;
	make_shim();
	expect_shim(sizeof(shim), NULL);
	expect_shim(10, "no ELF file");
	expect_shim(sizeof(shim) - 8, "ends behind the file");
	expect_shim(sizeof(Elf64_Ehdr) + 8, "no ELF program");
	shim.head.e_entry = 16;
	expect_shim(sizeof(shim), "entry 0x10");
	make_shim();
	shim.segment[1].p_vaddr = 8100;
	expect_shim(sizeof(shim), "outside");
	shim.segment[1].p_vaddr = UINT64_MAX - 50;
	expect_shim(sizeof(shim), "outside");
	make_shim();
	shim.segment[0].p_offset = UINT64_MAX - 4;
	expect_shim(sizeof(shim), "ends behind the file");
	make_shim();
	shim.head.e_phnum = 0;
	expect_shim(sizeof(shim), "no segment");
	shim.head.e_machine = EM_386;
	expect_shim(sizeof(shim), "no ELF program");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_long_command_line),
		cmocka_unit_test(test_kernel),
		cmocka_unit_test(test_layout),
		cmocka_unit_test(test_bad_layout),
		cmocka_unit_test(test_shim),
	};

	return cmocka_run_group_tests(tests, make_files, remove_files);
}
