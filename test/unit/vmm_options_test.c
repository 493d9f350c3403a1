/* SPDX-License-Identifier: MIT */
/* SOURCES: test/vmm/options.c test/vmm/device_option.c */
/* SOURCES: test/vmm/serial_spec.c test/vmm/commands.c test/vmm/command_arguments.c test/vmm/request.c test/vmm/json.c */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <netinet/in.h>

#include "stderr_capture.h"
#include "test/vmm/options.h"

#define MAX_ARGUMENTS 48

static struct vmm_options options;
static char line[4096]; /* what was refused */

/* Parses a command line given as words separated by blanks. */
static enum options_result parse(const char *command)
{
	static char words[8192];
	char *argv[MAX_ARGUMENTS] = { (char *)"vmm" };
	enum options_result result;
	int argc = 1;

	snprintf(words, sizeof(words), "%s", command);
	for (char *word = strtok(words, " "); word; word = strtok(NULL, " ")) {
		assert_true(argc < MAX_ARGUMENTS);
		argv[argc++] = word;
	}
	options_free(&options);
	capture_stderr();
	result = options_parse(argc, argv, &options);
	strcpy(line, captured_stderr());
	return result;
}

static void assert_refused(const char *command, const char *name,
			   const char *rule)
{
	char expected[64];

	if (parse(command) != OPTIONS_REFUSED)
		fail_msg("%s: accepted", command);
	if (!is_one_line(line))
		fail_msg("%s: not one line: %s", command, line);
	snprintf(expected, sizeof(expected), "vmm: %s", name);
	if (strncmp(line, expected, strlen(expected)) || !strstr(line, rule))
		fail_msg("%s: expected %s ... %s, got %s", command, name, rule,
			 line);
}

static void defaults(void **state)
{
	(void)state;
	assert_int_equal(parse("--igvm x.igvm"), OPTIONS_RUN);
	assert_string_equal(line, "");
	assert_string_equal(options.igvm, "x.igvm");
	assert_int_equal(options.memory, 1ull << 30);
	assert_int_equal(options.vps, 2);
	assert_int_equal(options.apic_id_step, 1);
	assert_int_equal(options.com3.kind, SERIAL_NONE);
	assert_int_equal(options.timeout_s, 0);
	assert_null(options.append);
}

static void values_in_all_spellings(void **state)
{
	(void)state;
	assert_int_equal(parse("--hv --vtl2 --igvm=a -m 2GB -p 4 -c quiet "
			       "--timeout=90 --com3 term --vtl0-kernel k "
			       "--vtl0-initrd=i --vtl0-append=x=1 --settings s "
			       "--control c --stats t --blackbox b "
			       "--apic-ids even"),
			 OPTIONS_RUN);
	assert_string_equal(options.igvm, "a");
	assert_int_equal(options.memory, 2ull << 30);
	assert_int_equal(options.vps, 4);
	assert_int_equal(options.apic_id_step, 2);
	assert_string_equal(options.append, "quiet");
	assert_int_equal(options.timeout_s, 90);
	assert_int_equal(options.com3.kind, SERIAL_CONSOLE);
	assert_string_equal(options.vtl0_kernel, "k");
	assert_string_equal(options.vtl0_initrd, "i");
	assert_string_equal(options.vtl0_append, "x=1");
	assert_string_equal(options.settings, "s");
	assert_string_equal(options.control, "c");
	assert_string_equal(options.stats, "t");
	assert_string_equal(options.blackbox, "b");
}

static void blocks_of_disks(void **state)
{
	(void)state;
	assert_int_equal(parse("--igvm a --disk mem:1M,uh "
			       "--disk mem:1M,block=512e,uh-nvme "
			       "--disk file:x,block=4k,ro,uh "
			       "--disk mem:512,uh,block=512 --print-settings"),
			 OPTIONS_RUN);
	assert_int_equal(options.disks[0].block_size, 512);
	assert_int_equal(options.disks[0].physical_block_size, 512);
	assert_int_equal(options.disks[0].owner, OWNER_VTL2_SCSI);
	assert_int_equal(options.disks[1].block_size, 512);
	assert_int_equal(options.disks[1].physical_block_size, 4096);
	assert_int_equal(options.disks[1].owner, OWNER_VTL2_NVME);
	assert_int_equal(options.disks[2].block_size, 4096);
	assert_int_equal(options.disks[2].physical_block_size, 4096);
	assert_int_equal(options.disks[3].physical_block_size, 512);
	assert_true(options.print_settings);
	assert_false(options.console);
	assert_int_equal(parse("--igvm a --console --com3 stderr"),
			 OPTIONS_RUN);
	assert_true(options.console);
}

/* Without an image the guest has the devices. */
static void without_igvm(void **state)
{
	(void)state;
	assert_int_equal(parse("--hv --vtl0-kernel k --vtl0-initrd i -c x=1 "
			       "--vtl0-append y=2 -m 512M -p 2 --com1 stderr "
			       "--com2 file=p --disk mem:1M "
			       "--disk file:d,ro,sgl=off --control c --stats t --timeout 9"),
			 OPTIONS_RUN);
	assert_string_equal(line, "");
	assert_null(options.igvm);
	assert_string_equal(options.append, "x=1");
	assert_string_equal(options.vtl0_append, "y=2");
	assert_int_equal(options.com1.kind, SERIAL_STDERR);
	assert_int_equal(options.nr_disks, 2);
	assert_int_equal(options.disks[0].owner, OWNER_VTL0);
	assert_true(options.disks[1].read_only);
	assert_false(options.disks[0].no_sgl);
	assert_true(options.disks[1].no_sgl);
}

static void sizes(void **state)
{
	static const struct {
		const char *text;
		int err;
		uint64_t size;
	} cases[] = {
		{ "0", 0, 0 },
		{ "512", 0, 512 },
		{ "1K", 0, 1024 },
		{ "64kb", 0, 65536 },
		{ "512M", 0, 512ull << 20 },
		{ "2GB", 0, 2ull << 30 },
		{ "3T", 0, 3ull << 40 },
		{ "8388607T", 0, 8388607ull << 40 },
		{ "8388608T", -ERANGE, 0 },
		{ "9223372036854775807", 0, INT64_MAX },
		{ "9223372036854775808", -ERANGE, 0 },
		{ "18446744073709551616", -ERANGE, 0 },
		{ "99999999999999999999999G", -ERANGE, 0 },
		{ "18014398509481984K", -ERANGE, 0 }, /* 2^64, would wrap */
		{ "", -EINVAL, 0 },
		{ "M", -EINVAL, 0 },
		{ "-1M", -EINVAL, 0 },
		{ "+1M", -EINVAL, 0 },
		{ " 1M", -EINVAL, 0 },
		{ "0x10", -EINVAL, 0 },
		{ "1.5G", -EINVAL, 0 },
		{ "1MiB", -EINVAL, 0 },
		{ "1MBB", -EINVAL, 0 },
		{ "1B", -EINVAL, 0 },
		{ "1 M", -EINVAL, 0 },
		{ "1P", -EINVAL, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t size = 42;

		if (size_parse(cases[i].text, &size) != cases[i].err)
			fail_msg("%s: wrong result", cases[i].text);
		if (size != (cases[i].err ? 42 : cases[i].size))
			fail_msg("%s: wrong size", cases[i].text);
	}
}

static void bad_values_are_named(void **state)
{
	static const char *const cases[][3] = {
		{ "", "--igvm", "missing" },
		{ "--igvm", "--igvm", "value is missing" },
		{ "--igvm=", "--igvm", "path is missing" },
		{ "--igvm a --igvm b", "--igvm b", "given twice" },
		{ "--igvm a --apic-ids odd", "--apic-ids odd", "must be even" },
		{ "--igvm a -m 0", "-m 0", "multiple of 2M" },
		{ "--igvm a -m 3M", "-m 3M", "multiple of 2M" },
		{ "--igvm a -m 1X", "-m 1X", "expected a size" },
		{ "--igvm a -m 54G", "-m 54G", "at most 52G" },
		{ "--igvm a -m 1G -m 1G", "-m 1G", "given twice" },
		{ "--igvm a -p 0", "-p 0", "from 1 to 64" },
		{ "--igvm a -p 65", "-p 65", "from 1 to 64" },
		{ "--igvm a -p 2x", "-p 2x", "from 1 to 64" },
		{ "--igvm a -p 4294967297", "-p 4294967297", "from 1 to 64" },
		{ "--igvm a --timeout 0", "--timeout 0", "seconds" },
		{ "--igvm a --timeout -5", "--timeout -5", "seconds" },
		{ "--igvm a --vtl0-kernel a --vtl0-kernel b",
		  "--vtl0-kernel b", "given twice" },
		{ "--igvm a --hv=1", "--hv 1", "takes no value" },
		{ "--igvm a --bogus", "--bogus", "unknown option" },
		{ "--igvm a --igvmx", "--igvmx", "unknown option" },
		{ "--igvm a -com3 none", "-com3", "unknown option" },
		{ "--igvm a -m2G", "-m2G", "unknown option" },
		{ "--igvm a stray", "stray", "unknown option" },
		{ "--igvm a -", "-", "unknown option" },
		{ "--igvm a --console=1", "--console 1", "takes no value" },
		{ "--igvm a --console --com3 term", "--com3 term",
		  "--console has stdin" },
		{ "--vtl0-kernel a --com1 console --console", "--com1 console",
		  "--console has stdin" },
		{ "--igvm a --com3 foo", "--com3 foo", "expected none" },
		{ "--igvm a --com3 file=", "--com3 file=", "missing" },
		{ "--igvm a --com3 listen=", "--com3 listen=", "missing" },
		{ "--igvm a --com3 listen=tcp:1", "--com3", "tcp:IP:PORT" },
		{ "--igvm a --com3 listen=tcp:host:1", "--com3", "numeric" },
		{ "--igvm a --com3 listen=tcp:127.0.0.1:65536", "--com3",
		  "65535" },
		{ "--igvm a --com1 file=x --com3 file=x", "--com3 file=x",
		  "another port" },
		{ "--igvm a --disk foo", "--disk foo", "mem:SIZE or" },
		{ "--igvm a --disk mem:", "--disk mem:", "expected a size" },
		{ "--igvm a --disk mem:0", "--disk mem:0", "multiple of 512" },
		{ "--igvm a --disk mem:100", "--disk", "multiple of 512" },
		{ "--igvm a --disk mem:9999999999T", "--disk", "too large" },
		{ "--igvm a --disk file:", "--disk file:", "missing" },
		{ "--igvm a --disk mem:1G,foo", "--disk", "uh-nvme" },
		{ "--igvm a --disk mem:1G,uh,uh-nvme", "--disk", "once" },
		{ "--igvm a --disk mem:1G,uh-nvme,sgl=on", "--disk",
		  "sgl=off" },
		{ "--igvm a --disk mem:1M,uh,sgl=off", "--disk", "not for uh" },
		{ "--igvm a --disk mem:1M,uh,volatile", "--disk",
		  "not for uh" },
		{ "--igvm a --disk mem:1M,uh,block=", "--disk", "512e or 4k" },
		{ "--igvm a --disk mem:1M,uh,block=4K", "--disk",
		  "512e or 4k" },
		{ "--igvm a --disk mem:1M,uh,block=4k,block=4k", "--disk",
		  "block= can be given once" },
		{ "--igvm a --disk mem:4608,uh,block=4k", "--disk mem:4608",
		  "multiple of the block" },
		{ "--igvm a --disk mem:1M,uh,block", "--disk", "block=" },
		{ "--igvm a --print-settings=1", "--print-settings 1",
		  "takes no value" },
		{ "--vtl0-kernel k --print-settings", "--print-settings",
		  "needs --igvm" },
		{ "--igvm a --net foo", "--net foo", "expected [uh:]user" },
		{ "--igvm a --net tap:", "--net tap:", "1 to 15" },
		{ "--igvm a --net tap:sixteencharacter", "--net", "1 to 15" },
		{ "--igvm a --net user,foo=1", "--net", "pcap=FILE" },
		{ "--igvm a --vmbus-redirect --net user,mtu=900", "--net",
		  "mtu= is of MANA" },
		{ "--igvm a --net user,mtu=575", "--net", "576 to 9000" },
		{ "--igvm a --net user,mtu=9001", "--net", "576 to 9000" },
		{ "--igvm a --net user,mtu=", "--net", "576 to 9000" },
		{ "--igvm a --net user,mtu=600,mtu=600", "--net", "once" },
		{ "--vtl2 --vtl0-kernel k", "--vtl2", "needs --igvm" },
		{ "--settings s", "--settings s", "needs --igvm" },
		{ "--host-tree t", "--host-tree t", "needs --igvm" },
		{ "--com3 none --vtl0-kernel k", "--com3 none",
		  "needs --igvm" },
		{ "--vtl2-vsock-path p --vtl0-kernel k", "--vtl2-vsock-path p",
		  "needs --igvm" },
		{ "--vtl0-kernel k --vmbus-com1-serial none --vtl2",
		  "--vmbus-com1-serial none", "needs --igvm" },
		{ "-c quiet --vtl0-initrd i", "--igvm", "missing" },
		{ "--vtl0-kernel k --disk mem:1M --disk mem:2M,uh-nvme",
		  "--disk mem:2M,uh-nvme", "need --igvm" },
		{ "--vtl0-kernel k --disk mem:1M,uh", "--disk mem:1M,uh",
		  "need --igvm" },
		{ "--igvm a --disk mem:1M", "--disk mem:1M",
		  "without uh or uh-nvme: needs --vmbus-redirect" },
		{ "--igvm a --vmbus-redirect --disk mem:1M,sgl=off",
		  "--disk mem:1M,sgl=off", "sgl=off is for NVMe" },
		{ "--vtl0-kernel k --vmbus-redirect", "--vmbus-redirect",
		  "needs --igvm" },
		{ "--igvm a --net uh:null --net null", "--net null",
		  "without uh: needs --vmbus-redirect" },
		{ "--igvm a --net uh:null,synthetic", "--net uh:null,synthetic",
		  "synthetic is the guest's" },
		{ "--igvm a --disk mem:1M,synthetic,uh",
		  "--disk mem:1M,synthetic,uh", "synthetic is the guest's" },
		{ "--vtl0-kernel k --disk mem:1M,synthetic,sgl=off",
		  "--disk mem:1M,synthetic,sgl=off", "sgl=off is for NVMe" },
		{ "--igvm a --vtl0-initrd i", "--vtl0-initrd i",
		  "needs --vtl0-kernel" },
		{ "--igvm a -c x\001y", "-c x", "control" },
		{ "--igvm a --print-settings --host-tree t", "--host-tree t",
		  "--print-settings" },
		{ "--igvm a --vtl0-append x\177", "--vtl0-append x",
		  "control" },
		{ "--igvm a --vtl0-append \033[0m", "--vtl0-append", "control" },
		{ "--igvm a --vsock-path w", "--vsock-path w",
		  "with --igvm it needs --vmbus-redirect" },
		{ "--vtl0-kernel k --net null --net uh:user", "--net uh:user",
		  "uh: needs --igvm" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_refused(cases[i][0], cases[i][1], cases[i][2]);
}

static void long_values_are_refused(void **state)
{
	char command[4096] = "--igvm a --control ";
	size_t len = strlen(command);

	(void)state;
	memset(command + len, 'x', 108);
	assert_refused(command, "--control", "at most 107 bytes");
	strcpy(command, "--igvm a -c ");
	len = strlen(command);
	memset(command + len, 'x', 2048);
	command[len + 2048] = '\0';
	assert_refused(command, "-c", "at most 2047 bytes");
	command[len + 2047] = '\0';
	assert_int_equal(parse(command), OPTIONS_RUN);
	/* White space of any kind, and what is no ASCII. */
	assert_int_equal(parse("--igvm a -c x\ty\r\n --vtl0-append \303\251"),
			 OPTIONS_RUN);
}

static void disks_and_nics_in_order(void **state)
{
	(void)state;
	parse("--igvm a --disk mem:1G,uh-nvme --disk file:/d/x,ro,uh "
	      "--disk file:y,synthetic --net uh:consomme,pcap=p,mtu=9000 "
	      "--net tap:tap0 --net uh:pair --net null,synthetic,pcap=q");
	assert_int_equal(options.nr_disks, 3);
	assert_null(options.disks[0].path);
	assert_int_equal(options.disks[0].size, 1ull << 30);
	assert_int_equal(options.disks[0].owner, OWNER_VTL2_NVME);
	assert_false(options.disks[0].read_only);
	assert_string_equal(options.disks[1].path, "/d/x");
	assert_int_equal(options.disks[1].owner, OWNER_VTL2_SCSI);
	assert_true(options.disks[1].read_only);
	assert_string_equal(options.disks[2].path, "y");
	assert_int_equal(options.disks[2].owner, OWNER_VTL0);
	assert_true(options.disks[2].synthetic);
	assert_false(options.disks[0].synthetic);
	assert_true(options.nics[3].synthetic);
	assert_false(options.nics[1].synthetic);
	assert_string_equal(options.nics[3].pcap, "q");
	assert_int_equal(options.nr_nics, 4);
	assert_int_equal(options.nics[0].kind, NET_USER);
	assert_int_equal(options.nics[0].owner, OWNER_VTL2_MANA);
	assert_string_equal(options.nics[0].pcap, "p");
	assert_int_equal(options.nics[0].mtu, 9000);
	assert_int_equal(options.nics[1].kind, NET_TAP);
	assert_string_equal(options.nics[1].interface, "tap0");
	assert_int_equal(options.nics[1].owner, OWNER_VTL0);
	assert_int_equal(options.nics[2].kind, NET_PAIR);
	assert_int_equal(options.nics[3].kind, NET_NULL);
}

static void too_many_devices(void **state)
{
	char command[1024] = "--igvm a";

	(void)state;
	for (int i = 0; i < OPTIONS_MAX_DISKS + 1; i++)
		strcat(command, " --disk mem:1M");
	assert_refused(command, "--disk", "at most 16");
	strcpy(command, "--igvm a");
	for (int i = 0; i < OPTIONS_MAX_NICS + 1; i++)
		strcat(command, " --net null");
	assert_refused(command, "--net", "at most 8");
}

static void aliases_are_one_option(void **state)
{
	(void)state;
	parse("--igvm a --vmbus-com1-serial stderr --vmbus-com2-serial "
	      "file=z --vmbus-vtl2-vsock-path v --vmbus-redirect "
	      "--vsock-path w");
	assert_int_equal(options.com1.kind, SERIAL_STDERR);
	assert_int_equal(options.com2.kind, SERIAL_FILE);
	assert_string_equal(options.vtl2_vsock, "v");
	assert_string_equal(options.vsock, "w");
	assert_refused("--igvm a --com1 none --vmbus-com1-serial none",
		       "--vmbus-com1-serial", "given twice");
	assert_refused("--igvm a --vtl2-vsock-path p "
		       "--vmbus-vtl2-vsock-path q",
		       "--vmbus-vtl2-vsock-path q", "given twice");
}

static void serial_addresses(void **state)
{
	const struct sockaddr_in *four;
	const struct sockaddr_in6 *six;

	(void)state;
	assert_int_equal(parse("--igvm a --com3 listen=tcp:127.0.0.1:5000"),
			 OPTIONS_RUN);
	four = (const struct sockaddr_in *)&options.com3.address;
	assert_int_equal(options.com3.kind, SERIAL_TCP);
	assert_int_equal(four->sin_family, AF_INET);
	assert_int_equal(ntohs(four->sin_port), 5000);
	assert_int_equal(ntohl(four->sin_addr.s_addr), INADDR_LOOPBACK);
	assert_int_equal(parse("--igvm a --com3 listen=tcp:[::1]:0"),
			 OPTIONS_RUN);
	six = (const struct sockaddr_in6 *)&options.com3.address;
	assert_int_equal(six->sin6_family, AF_INET6);
	assert_int_equal(parse("--igvm a --com3 listen=com3.sock"),
			 OPTIONS_RUN);
	assert_int_equal(options.com3.kind, SERIAL_UNIX);
	assert_string_equal(options.com3.path, "com3.sock");
	assert_int_equal(parse("--igvm a --com3 term,name=VTL2"), OPTIONS_RUN);
	assert_int_equal(options.com3.kind, SERIAL_CONSOLE);
}

/* Without a display of its own the table is the manual: every option is in
 * the help, in the width of a terminal or a little more. */
static void help_names_every_option(void **state)
{
	static const char *const names[] = {
		"--igvm", "--hv", "--vtl2", "-m SIZE", "-p N", "-c TEXT",
		"--vtl0-kernel", "--vtl0-initrd", "--vtl0-append",
		"--settings", "--disk", "--net", "--com1", "--com2", "--com3",
		"--vmbus-com1-serial", "--vmbus-com2-serial",
		"--vmbus-redirect", "--vtl2-vsock-path",
		"--vmbus-vtl2-vsock-path", "--vsock-path", "--control",
		"--stats", "--blackbox", "--core", "--timeout", "--help", "--version", "128+n",
		"--print-settings", ",block=B", ",uh ", ",uh-nvme",
		"nvme-attach", "scsi-resize", "tap:NAME", "pcap=",
		"mana-event", "mana-fault", "unplug", ",synthetic", "mtu=N",
	};
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	assert_non_null(out);
	options_help(out);
	assert_int_equal(fclose(out), 0);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strstr(text, names[i]))
			fail_msg("%s is not in the help", names[i]);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults),
		cmocka_unit_test(values_in_all_spellings),
		cmocka_unit_test(blocks_of_disks),
		cmocka_unit_test(without_igvm),
		cmocka_unit_test(sizes),
		cmocka_unit_test(bad_values_are_named),
		cmocka_unit_test(long_values_are_refused),
		cmocka_unit_test(disks_and_nics_in_order),
		cmocka_unit_test(too_many_devices),
		cmocka_unit_test(aliases_are_one_option),
		cmocka_unit_test(serial_addresses),
		cmocka_unit_test(help_names_every_option),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	options_free(&options);
	return failed;
}
