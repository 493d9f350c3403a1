/* SPDX-License-Identifier: MIT */
/*
 * Options, theory of operation
 *
 * One table holds every option: its name, the name of its value, the line of
 * --help, how it is parsed, and its rules: may it be repeated, does it make
 * sense without --igvm, is its feature there yet. Parsing walks
 * argv once; a parser returns NULL or the rule that the value breaks, as
 * static text, and the walk prints option, value and rule in one line. After
 * the walk come the rules between options.
 *
 * Nothing is opened here and no state is kept outside of *options.
 *
 * An option that NEEDS_IGVM is parsed like any other, so that its mistakes are
 * named first; then it is refused by name.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "commands.h"
#include "machine.h"
#include "memory_map.h"
#include "options.h"

#define DEFAULT_MEMORY (1ull << 30)
#define DEFAULT_VPS 2
/* More than the longest command line an x86 kernel takes is a mistake. */
#define MAX_COMMAND_LINE 2047
#define MAX_TIMEOUT_S (30 * 24 * 3600)

enum option_group { BOOT, DEVICES, SEEING, NR_GROUPS };

static const char *const group_titles[NR_GROUPS] = {
	[BOOT] = "Machine",
	[DEVICES] = "Devices (a repeated option gives several, in order)",
	[SEEING] = "Seeing and ending",
};

struct option_row {
	const char *name;  /* with its dashes */
	const char *value; /* NULL: the option takes none */
	const char *help;  /* NULL: an alias of the row before it */
	const char *(*parse)(struct vmm_options *options, const char *value);
	enum option_group group;
	unsigned int rules;
};

/* Values. */

/* Digits only; returns false when it is not a number from `low` to `high`. */
static bool parse_number(const char *text, unsigned int low, unsigned int high,
			 unsigned int *number)
{
	unsigned long value;

	if (!isdigit((unsigned char)*text) || strlen(text) > 9 ||
	    strspn(text, "0123456789") != strlen(text))
		return false;
	value = strtoul(text, NULL, 10);
	if (value < low || value > high)
		return false;
	*number = value;
	return true;
}

static const char *parse_hv(struct vmm_options *o, const char *value)
{
	(void)value;
	o->hv = true;
	return NULL;
}

static const char *parse_vtl2(struct vmm_options *o, const char *value)
{
	(void)value;
	o->vtl2 = true;
	return NULL;
}

static const char *parse_redirect(struct vmm_options *o, const char *value)
{
	(void)value;
	o->vmbus_redirect = true;
	return NULL;
}

static const char *parse_print_settings(struct vmm_options *o,
					const char *value)
{
	(void)value;
	o->print_settings = true;
	return NULL;
}

static const char *parse_console(struct vmm_options *o, const char *value)
{
	(void)value;
	o->console = true;
	return NULL;
}

static const char *set_path(const char **path, const char *value)
{
	if (!*value)
		return "the path is missing";
	*path = value;
	return NULL;
}

static const char *set_socket_path(const char **path, const char *value)
{
	struct sockaddr_un address;

	if (strlen(value) >= sizeof(address.sun_path))
		return "a socket's path has at most 107 bytes";
	return set_path(path, value);
}

/* The boot shim and the kernel take no others. */
static bool has_control_bytes(const char *text)
{
	for (; *text; text++)
		if (((unsigned char)*text < ' ' && !strchr("\t\n\r", *text)) ||
		    *text == 0x7f)
			return true;
	return false;
}

static const char *set_command_line(const char **text, const char *value)
{
	if (has_control_bytes(value))
		return "a command line has no control bytes";
	if (strlen(value) > MAX_COMMAND_LINE)
		return "a command line has at most 2047 bytes";
	*text = value;
	return NULL;
}

#define PARSE_WITH(function, name, field)                                  \
	static const char *name(struct vmm_options *o, const char *value)  \
	{                                                                  \
		return function(&o->field, value);                         \
	}
PARSE_WITH(set_path, parse_igvm, igvm)
PARSE_WITH(set_path, parse_vtl0_kernel, vtl0_kernel)
PARSE_WITH(set_path, parse_vtl0_initrd, vtl0_initrd)
PARSE_WITH(set_path, parse_settings, settings)
PARSE_WITH(set_path, parse_stats, stats)
PARSE_WITH(set_path, parse_host_tree, host_tree)
PARSE_WITH(set_path, parse_blackbox, blackbox)
PARSE_WITH(set_path, parse_core, core)
PARSE_WITH(set_socket_path, parse_control, control)
PARSE_WITH(set_socket_path, parse_vtl2_vsock, vtl2_vsock)
PARSE_WITH(set_socket_path, parse_vsock, vsock)
PARSE_WITH(set_command_line, parse_append, append)
PARSE_WITH(set_command_line, parse_vtl0_append, vtl0_append)

static const char *set_serial(struct serial_spec *spec, const char *value)
{
	return serial_spec_parse(value, spec);
}
PARSE_WITH(set_serial, parse_com1, com1)
PARSE_WITH(set_serial, parse_com2, com2)
PARSE_WITH(set_serial, parse_com3, com3)

static const char *parse_memory(struct vmm_options *o, const char *value)
{
	uint64_t size;

	if (size_parse(value, &size) < 0)
		return "expected a size such as 512M or 2GB";
	if (!size || size % RAM_ALIGNMENT)
		return "must be a multiple of 2M, and not 0";
	if (size > HIGH_RAM_MAX)
		return "at most 52G fit below VTL2's MMIO";
	o->memory = size;
	return NULL;
}

static const char *parse_vps(struct vmm_options *o, const char *value)
{
	_Static_assert(MACHINE_MAX_VPS == 64, "the text below says 64");
	if (!parse_number(value, 1, MACHINE_MAX_VPS, &o->vps))
		return "must be a number from 1 to 64";
	return NULL;
}

static const char *parse_apic_ids(struct vmm_options *o, const char *value)
{
	if (strcmp(value, "even"))
		return "must be even";
	o->apic_id_step = 2;
	return NULL;
}

static const char *parse_timeout(struct vmm_options *o, const char *value)
{
	if (!parse_number(value, 1, MAX_TIMEOUT_S, &o->timeout_s))
		return "must be a number of seconds from 1 to 2592000";
	return NULL;
}

static const char *parse_disk(struct vmm_options *o, const char *value)
{
	if (o->nr_disks == OPTIONS_MAX_DISKS)
		return "at most 16 disks";
	return disk_option_parse(value, &o->disks[o->nr_disks++]);
}

static const char *parse_net(struct vmm_options *o, const char *value)
{
	if (o->nr_nics == OPTIONS_MAX_NICS)
		return "at most 8 NICs";
	return net_option_parse(value, &o->nics[o->nr_nics++]);
}

/* The table. */

/* Rules of a row. */
#define REPEATS (1u << 0)
#define NEEDS_IGVM (1u << 1)

static const struct option_row rows[] = {
	{ "--igvm", "FILE", "image to load into VTL2; without it there is none",
	  parse_igvm, BOOT, 0 },
	{ "--hv", NULL, "accepted: always on", parse_hv, BOOT, REPEATS },
	{ "--vtl2", NULL, "accepted: follows from --igvm", parse_vtl2, BOOT,
	  REPEATS | NEEDS_IGVM },
	{ "-m", "SIZE", "RAM of VTL0, such as 512M or 2GB (1GB)", parse_memory,
	  BOOT, 0 },
	{ "-p", "N", "virtual processors, 1 to 64 (2)", parse_vps, BOOT, 0 },
	{ "--apic-ids", "even", "APIC ids 0, 2, 4, ... instead of the VPs' "
	  "numbers", parse_apic_ids, BOOT, 0 },
	{ "-c", "TEXT", "added to VTL2's command line; the guest's without "
	  "--igvm", parse_append, BOOT, 0 },
	{ "--vtl0-kernel", "FILE", "bzImage for VTL0, instead of the image's",
	  parse_vtl0_kernel, BOOT, 0 },
	{ "--vtl0-initrd", "FILE", "initrd for VTL0", parse_vtl0_initrd, BOOT,
	  0 },
	{ "--vtl0-append", "TEXT", "added to VTL0's command line",
	  parse_vtl0_append, BOOT, 0 },
	{ "--settings", "FILE", "settings of the paravisor, JSON",
	  parse_settings, BOOT, NEEDS_IGVM },

	{ "--disk", "DISK", "NVMe or SCSI disk", parse_disk,
	  DEVICES, REPEATS },
	{ "--net", "[uh:]BACK[,WORD]", "NIC; BACK is user, consomme, "
	  "tap:NAME, pair or null", parse_net, DEVICES, REPEATS },
	{ "--com1", "SERIAL", "COM1 of the guest", parse_com1, DEVICES, 0 },
	{ "--vmbus-com1-serial", "SERIAL", NULL, parse_com1, DEVICES,
	  NEEDS_IGVM },
	{ "--com2", "SERIAL", "COM2 of the guest", parse_com2, DEVICES, 0 },
	{ "--vmbus-com2-serial", "SERIAL", NULL, parse_com2, DEVICES,
	  NEEDS_IGVM },
	{ "--com3", "SERIAL", "COM3: the console of VTL2 (none)", parse_com3,
	  DEVICES, NEEDS_IGVM },
	{ "--vmbus-redirect", NULL, "VTL2 relays the host's VMBus to the guest",
	  parse_redirect, DEVICES, REPEATS | NEEDS_IGVM },
	{ "--vtl2-vsock-path", "PATH", "Unix socket to VTL2's vsock ports",
	  parse_vtl2_vsock, DEVICES, NEEDS_IGVM },
	{ "--vmbus-vtl2-vsock-path", "PATH", NULL, parse_vtl2_vsock, DEVICES,
	  NEEDS_IGVM },
	{ "--vsock-path", "PATH", "Unix socket to the guest's vsock ports",
	  parse_vsock, DEVICES, 0 },

	{ "--console", NULL, "commands on stdin and stdout, see below",
	  parse_console, SEEING, REPEATS },
	{ "--control", "PATH", "Unix socket: commands as JSON lines",
	  parse_control, SEEING, 0 },
	{ "--stats", "FILE", "counters of the host as JSON, written at exit",
	  parse_stats, SEEING, 0 },
	{ "--blackbox", "FILE", "VTL2's black box, written when VTL2 has ended",
	  parse_blackbox, SEEING, NEEDS_IGVM },
	{ "--core", "FILE", "core of the paravisor, when a signal ends it; the "
	  "log in FILE.log", parse_core, SEEING, NEEDS_IGVM },
	{ "--timeout", "SECONDS", "end with status 124 after this time",
	  parse_timeout, SEEING, 0 },
	{ "--host-tree", "FILE", "write the device tree for the image and exit",
	  parse_host_tree, SEEING, NEEDS_IGVM },
	{ "--print-settings", NULL, "print the settings that the image is "
	  "given and exit", parse_print_settings, SEEING,
	  REPEATS | NEEDS_IGVM },
	{ "--help", NULL, "this text", NULL, SEEING, REPEATS },
	{ "--version", NULL, "the version", NULL, SEEING, REPEATS },
};

#define NR_ROWS (sizeof(rows) / sizeof(rows[0]))

void options_help(FILE *out)
{
	fputs("Usage: vmm --igvm FILE [OPTION]...\n"
	      "       vmm --vtl0-kernel FILE [OPTION]...   (no VTL2)\n", out);
	for (int group = 0; group < NR_GROUPS; group++) {
		fprintf(out, "\n%s:\n", group_titles[group]);
		for (size_t i = 0; i < NR_ROWS; i++) {
			const struct option_row *row = &rows[i];
			char left[48];

			if ((int)row->group != group)
				continue;
			snprintf(left, sizeof(left), "%s%s%s", row->name,
				 row->value ? " " : "",
				 row->value ? row->value : "");
			fprintf(out, "  %-31s %s%s%s\n", left,
				row->help ? row->help : "same as ",
				row->help ? "" : rows[i - 1].name,
				row->rules & NEEDS_IGVM ? " (needs --igvm)" :
							  "");
		}
	}
	fputs("\n"
	      "DISK: mem:SIZE or file:PATH, then any of these; with none of the"
	      " first two it is\n"
	      "  a LUN of the guest's own SCSI controller, which needs"
	      " --vmbus-redirect\n"
	      "  ,uh-nvme  VTL2's, an NVMe controller of its own; without"
	      " --igvm every disk\n"
	      "            is one, of the guest\n"
	      "  ,uh       VTL2's, a LUN of the host's SCSI controller: 0, 1,"
	      " ... in order\n"
	      "  ,synthetic  without --igvm, too, a LUN of the guest's own SCSI"
	      " controller\n"
	      "  ,ro       read-only\n"
	      "  ,block=B  512; 512e (512 on 4096 physical); 4k\n"
	      "  ,volatile a power cut, or the end of vmm, takes what the"
	      " guest did not flush\n"
	      "  ,sgl=off  the NVMe controller has no SGLs, only PRPs\n"
	      "BACK: user or consomme: DHCP, DNS and NAT of this process,"
	      " 10.0.2.2 is this host;\n"
	      "  tap:NAME; pair: the other one of two; null. With uh: a vport"
	      " of VTL2's MANA\n"
	      "  function; without --igvm every NIC is one, of the guest. Else"
	      " a synthetic NIC of\n"
	      "  the guest's own, which needs --vmbus-redirect\n"
	      "  ,synthetic  without --igvm, too\n"
	      "  ,pcap=FILE  what is on the wire\n"
	      "  ,mtu=N      the longest packet there, of MANA: 576 to 9000"
	      " (1500)\n"
	      "SERIAL: none, stderr, console or term (stdin and stdout; Ctrl-A x"
	      " quits),\n"
	      "  file=PATH, listen=PATH (Unix socket), listen=tcp:IP:PORT\n"
	      "Settings: --print-settings shows those that come of --disk and"
	      " --net, with the\n"
	      "  devices' GUIDs; a file of one's own for --settings is best made"
	      " from them\n"
	      "SIZE: digits and K, M, G or T, with or without B; powers of"
	      " 1024\n"
	      "\n"
	      "Commands, words for --console; for --control lines of JSON"
	      " (control.schema.json):\n"
	      "  {\"id\":1,\"cmd\":\"kvp-get\",\"args\":{\"key\":\"OSName\"}}"
	      " in,\n"
	      "  {\"id\":1,\"ok\":{...}} or {\"id\":1,\"error\":\"...\"} out;"
	      " of settings, args are all\n"
	      "  of them, on --console SETTINGS is a file with them\n", out);
	commands_help(out);
	fputs("\n"
	      "Exit status:\n"
	      "  0      the guest powered off, or quit was asked for\n"
	      "  1      this host cannot (no usable KVM, not enough memory)\n"
	      "  2      bad argument, image or settings; nothing was started\n"
	      "  3      the guest crashed\n"
	      "  4      VTL2 crashed\n"
	      "  5      a virtual processor is stuck\n"
	      "  124    --timeout\n"
	      "  128+n  ended by signal n\n",
	      out);
}

/* The walk. */

static enum options_result refuse(const char *name, const char *value,
				  const char *rule)
{
	fprintf(stderr, "vmm: %s%s%s: %s\n", name, value ? " " : "",
		value ? value : "", rule);
	return OPTIONS_REFUSED;
}

/* Finds the row of "--name", "--name=value" or "-m"; *value is the value that
 * is part of `argument`, or NULL. A letter and its value are two arguments:
 * "-com3" is a mistake, not -c with "om3". */
static const struct option_row *find_row(const char *argument,
					 const char **value)
{
	size_t len = argument[0] == '-' && argument[1] == '-' ?
			     strcspn(argument, "=") : strlen(argument);

	*value = argument[len] ? argument + len + 1 : NULL;
	for (size_t i = 0; i < NR_ROWS; i++)
		if (strlen(rows[i].name) == len &&
		    !memcmp(rows[i].name, argument, len))
			return &rows[i];
	return NULL;
}

/* An alias counts as the row it is an alias of. */
static size_t row_identity(const struct option_row *row)
{
	return row->help ? row - rows : row - rows - 1;
}

/* Who may have which disk: beside VTL2 the guest its own by VTL2's relay. */
static enum options_result check_disks(const struct vmm_options *o)
{
	for (unsigned int i = 0; i < o->nr_disks; i++) {
		if (o->igvm && o->disks[i].owner == OWNER_VTL0 &&
		    !o->vmbus_redirect)
			return refuse("--disk", o->disks[i].text,
				      "without uh or uh-nvme: needs "
				      "--vmbus-redirect");
		if (o->igvm && o->disks[i].owner == OWNER_VTL0 &&
		    o->disks[i].no_sgl)
			return refuse("--disk", o->disks[i].text,
				      "sgl=off is for NVMe, not for the guest's "
				      "SCSI");
		if (!o->igvm && o->disks[i].owner != OWNER_VTL0)
			return refuse("--disk", o->disks[i].text,
				      "uh and uh-nvme need --igvm");
	}
	return OPTIONS_RUN;
}

/* The same of NICs. */
static enum options_result check_nics(const struct vmm_options *o)
{
	for (unsigned int i = 0; i < o->nr_nics; i++) {
		if (o->igvm && o->nics[i].owner == OWNER_VTL0 &&
		    !o->vmbus_redirect)
			return refuse("--net", o->nics[i].text,
				      "without uh: needs --vmbus-redirect");
		if (!o->igvm && o->nics[i].owner != OWNER_VTL0)
			return refuse("--net", o->nics[i].text,
				      "uh: needs --igvm");
		if (o->nics[i].mtu && o->nics[i].owner == OWNER_VTL0 &&
		    (o->igvm || o->nics[i].synthetic))
			return refuse("--net", o->nics[i].text,
				      "mtu= is of MANA, not of synthetic");
	}
	return OPTIONS_RUN;
}

/* Two ports that write over each other's file or socket. */
static enum options_result check_serial_paths(const struct vmm_options *o)
{
	const struct serial_spec *specs[] = { &o->com1, &o->com2, &o->com3 };
	static const char *const names[] = { "--com1", "--com2", "--com3" };

	for (int i = 0; i < 3; i++)
		for (int k = 0; k < i; k++)
			if (specs[i]->path && specs[k]->path &&
			    !strcmp(specs[i]->path, specs[k]->path))
				return refuse(names[i], specs[i]->text,
					      "another port uses this path");
	return OPTIONS_RUN;
}

/* There is one stdin. */
static enum options_result check_console(const struct vmm_options *o)
{
	const struct serial_spec *specs[] = { &o->com1, &o->com2, &o->com3 };
	static const char *const names[] = { "--com1", "--com2", "--com3" };

	for (int i = 0; o->console && i < 3; i++)
		if (specs[i]->kind == SERIAL_CONSOLE)
			return refuse(names[i], specs[i]->text,
				      "--console has stdin and stdout");
	return OPTIONS_RUN;
}

enum options_result options_parse(int argc, char **argv,
				  struct vmm_options *options)
{
	const struct option_row *needs_igvm = NULL;
	const char *needs_igvm_value = NULL;
	bool given[NR_ROWS] = { false };
	enum options_result result;

	memset(options, 0, sizeof(*options));
	options->memory = DEFAULT_MEMORY;
	options->vps = DEFAULT_VPS;
	options->apic_id_step = 1;
	options->com1.text = options->com2.text = options->com3.text = "none";

	for (int i = 1; i < argc; i++) {
		const struct option_row *row;
		const char *value, *rule;

		row = find_row(argv[i], &value);
		if (!row)
			return refuse(argv[i], NULL,
				      "unknown option (--help lists them)");
		if (!row->value && value)
			return refuse(row->name, value, "takes no value");
		if (!strcmp(row->name, "--help")) {
			options_help(stdout);
			return OPTIONS_DONE;
		}
		if (!strcmp(row->name, "--version")) {
			puts("vmm, the host model of paravisor, version 1");
			return OPTIONS_DONE;
		}
		if (row->value && !value) {
			if (i + 1 == argc)
				return refuse(row->name, NULL,
					      "the value is missing");
			value = argv[++i];
		}
		if (given[row_identity(row)] && !(row->rules & REPEATS))
			return refuse(row->name, value, "given twice");
		given[row_identity(row)] = true;
		rule = row->parse(options, value);
		if (rule)
			return refuse(row->name, value, rule);
		if ((row->rules & NEEDS_IGVM) && !needs_igvm) {
			needs_igvm = row;
			needs_igvm_value = value;
		}
	}
	result = check_serial_paths(options);
	if (result == OPTIONS_RUN)
		result = check_console(options);
	if (result == OPTIONS_RUN)
		result = check_disks(options);
	if (result == OPTIONS_RUN)
		result = check_nics(options);
	if (result == OPTIONS_RUN && !options->igvm && needs_igvm)
		result = refuse(needs_igvm->name, needs_igvm_value,
				"needs --igvm");
	if (result == OPTIONS_RUN && options->vsock && options->igvm &&
	    !options->vmbus_redirect)
		result = refuse("--vsock-path", options->vsock,
				"with --igvm it needs --vmbus-redirect");
	if (result == OPTIONS_RUN && options->print_settings &&
	    options->host_tree)
		result = refuse("--host-tree", options->host_tree,
				"--print-settings ends it before");
	if (result == OPTIONS_RUN && options->core && !options->vtl2_vsock)
		result = refuse("--core", options->core,
				"needs --vtl2-vsock-path: it comes that way");
	if (result == OPTIONS_RUN && options->igvm && options->vtl0_initrd &&
	    !options->vtl0_kernel)
		result = refuse("--vtl0-initrd", options->vtl0_initrd,
				"needs --vtl0-kernel");
	if (result == OPTIONS_RUN && !options->igvm && !options->vtl0_kernel)
		result = refuse("--igvm", NULL, "missing: there is nothing to "
				"boot (--help lists the options)");
	return result;
}

void options_free(struct vmm_options *options)
{
	for (unsigned int i = 0; i < options->nr_disks; i++)
		disk_option_free(&options->disks[i]);
	for (unsigned int i = 0; i < options->nr_nics; i++)
		net_option_free(&options->nics[i]);
}
