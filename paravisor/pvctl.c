// SPDX-License-Identifier: MIT
/*
 * pvctl, theory of operation
 *
 *	options --> command, by its name in the table --> calls --> output
 *
 * A command is a function: it reads its own arguments, makes its calls
 * (pvctl_call.c) and prints. Whatever fails says one line, where it is known
 * why, and gives the status that pvctl ends with. With --json every line of
 * standard output is one object of pvctl.schema.json, a failure included.
 *
 * A new command is a row of the table; one that needs no machine is `alone'.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "build_inspect.h"
#include "pvctl.h"
#include "pvctl_blackbox.h"

#define DEFAULT_TIMEOUT_MS 10000

/* ---- what the commands share ---- */

void pvctl_put_json_text(const char *text, size_t len)
{
	putchar('"');
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c == '"' || c == '\\')
			printf("\\%c", c);
		else if (c < 0x20 || c > 0x7e)
			printf("\\u%04x", c);
		else
			putchar(c);
	}
	putchar('"');
}

void pvctl_begin_json(const struct pvctl *p)
{
	printf("{\"version\":%d,\"command\":", PVCTL_JSON_VERSION);
	pvctl_put_json_text(p->command, strlen(p->command));
}

int pvctl_fail(const struct pvctl *p, int status, const char *format, ...)
{
	char message[512];
	va_list args;

	if (p->quiet)
		return status;
	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	fflush(stdout);
	if (!p->json) {
		fprintf(stderr, "pvctl: %s%s%s\n", p->command,
			*p->command ? ": " : "", message);
		return status;
	}
	pvctl_begin_json(p);
	printf(",\"error\":{\"status\":%d,\"message\":", status);
	pvctl_put_json_text(message, strlen(message));
	printf("}}\n");
	return status;
}

bool pvctl_number(const char *text, uint64_t max, uint64_t *number)
{
	char *end;

	errno = 0;
	*number = strtoull(text, &end, 10);
	return *text >= '0' && *text <= '9' && !*end && !errno &&
	       *number <= max;
}

/* ---- commands that are a call and nothing more ---- */

static int plain(struct pvctl *p, const char *method, int argc)
{
	struct ttrpc_response response;
	int status;

	if (argc > 1)
		return pvctl_usage(p);
	status = pvctl_call(p, PVCTL_UNDERHILL, method, NULL, &response);
	if (!status && p->json) {
		pvctl_begin_json(p);
		printf(",\"result\":{}}\n");
	}
	return status;
}

static int do_pause(struct pvctl *p, int argc, char **argv)
{
	(void)argv;
	return plain(p, "Pause", argc);
}

static int do_resume(struct pvctl *p, int argc, char **argv)
{
	(void)argv;
	return plain(p, "Resume", argc);
}

static int do_restart(struct pvctl *p, int argc, char **argv)
{
	(void)argv;
	return plain(p, "Restart", argc);
}

static int do_start(struct pvctl *p, int argc, char **argv)
{
	(void)argv;
	return plain(p, "Start", argc);
}

static int do_saved_state(struct pvctl *p, int argc, char **argv)
{
	(void)argv;
	return plain(p, "DumpSavedState", argc);
}

/* mesh/hosts has the one process there is, by its pid. */
static int daemon_pid(struct pvctl *p, uint64_t *pid)
{
	struct pb_field hosts;
	char name[16];
	int status = pvctl_ask_node(p, "mesh/hosts", 0, &hosts);

	if (status)
		return status;
	return pvctl_node_first(&hosts, name, sizeof(name)) &&
		       pvctl_number(name, INT32_MAX, pid) ?
		PVCTL_OK : pvctl_fail(p, PVCTL_FAILED, "no process");
}

/* Who crashes does not answer: an answer is a refusal, and the connection's end
 * is what was asked for. */
static int do_crash(struct pvctl *p, int argc, char **argv)
{
	struct ttrpc_response response;
	struct pb_writer w;
	uint8_t bytes[16];
	uint64_t pid;
	int status;

	if (argc != 2 || strcmp(argv[1], "panic"))
		return pvctl_usage(p);
	status = daemon_pid(p, &pid);
	pb_write(&w, bytes, sizeof(bytes));
	if (!status) {
		pb_uint(&w, 1, pid);
		status = pvctl_ask(p, PVCTL_UNDERHILL, "Crash", &w);
	}
	if (status)
		return status;
	p->quiet = true;
	status = pvctl_answer(p, &response, pvctl_now_ms() + p->timeout_ms);
	p->quiet = false;
	if (status != PVCTL_NO_CONNECTION)
		return pvctl_fail(p, status ? status : PVCTL_FAILED, "%s",
				  *response.message ? response.message :
						      "it did not crash");
	if (p->json) {
		pvctl_begin_json(p);
		printf(",\"result\":{}}\n");
	}
	return PVCTL_OK;
}

static int do_completion(struct pvctl *p, int argc, char **argv);

static int do_blackbox(struct pvctl *p, int argc, char **argv)
{
	return pvctl_blackbox(argc, argv, p->json);
}
static int do_commands(struct pvctl *p, int argc, char **argv);

/* ---- the table ---- */

static const struct pvctl_command commands[] = {
	{ "shell", "[COMMAND [ARG]...]", "a terminal of VTL2: /bin/sh",
	  pvctl_do_shell, true, false },
	{ "run", "[--] COMMAND [ARG]...", "a command of VTL2",
	  pvctl_do_run, true, false },
	{ "kmsg", "[-f] [-r]", "the kernel's and the daemon's log; -f waits "
	  "for more, -r also over restarts", pvctl_do_kmsg, false, false },
	{ "inspect", "[-r [-l DEPTH]] [-j] [-p [--period S] [--count N]] "
	  "[PATH [-u VALUE]]", "the daemon's tree; -r all below, -j as JSON, "
	  "-p again and again, -u updates", pvctl_do_inspect, false, false },
	{ "log", "[LEVEL|MODULE=LEVEL[,...]]", "what is logged: error, "
	  "warning, info, debug", pvctl_do_log, false, false },
	{ "trace", "VP [-n COUNT]", "the newest exits of a VP",
	  pvctl_do_trace, false, false },
	{ "sample", "VP [-n COUNT]", "where a VP is now",
	  pvctl_do_sample, false, false },
	{ "violations", "", "what drivers did against the protocols",
	  pvctl_do_violations, false, false },
	{ "top", "[-d SECONDS] [-n ROUNDS]", "what VPs, disks and NICs do, per "
	  "second; on a terminal again and again", pvctl_do_top, false,
	  false },
	{ "file", "[-f] PATH", "a file of VTL2; -f waits for more of a device",
	  pvctl_do_file, true, false },
	{ "pcap", "[-s BYTES] [-d SECONDS] FILE", "packets of VTL0's NICs, as "
	  "pcap, into FILE.0, FILE.1 and so on; -s of each, -d for so long",
	  pvctl_do_pcap, false, false },
	{ "crash", "panic", "ends the daemon, and VTL2 with it",
	  do_crash, false, false },
	{ "pause", "", "keeps VTL0's VPs from running", do_pause, false,
	  false },
	{ "resume", "", "lets them run", do_resume, false, false },
	{ "restart", "", "another daemon under a running VTL0", do_restart,
	  false, false },
	{ "start", "", "starts VTL0, where it waits for this", do_start, false,
	  false },
	{ "saved-state", "", "the daemon's state, as servicing saves it",
	  do_saved_state, false, false },
	{ "version", "", "of pvctl, the daemon, its image and kernel",
	  pvctl_do_version, false, false },
	{ "blackbox", "FILE [-n EXITS]", "what a VTL2 did that has ended, from "
	  "vmm's --blackbox FILE", do_blackbox, false, true },
	{ "report", "[-o FILE] INPUT", "a page of HTML, to stdout or FILE, of "
	  "such a file or of a bench's JSON", pvctl_do_report, false, true },
	{ "completion", "bash", "a script that completes this in a shell",
	  do_completion, true, true },
	{ "commands", "", NULL, do_commands, true, true },
};

#define NR_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static const struct pvctl_command *find(const char *name)
{
	for (size_t i = 0; i < NR_COMMANDS; i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

int pvctl_usage(const struct pvctl *p)
{
	const struct pvctl_command *c = find(p->command);

	return pvctl_fail(p, PVCTL_USAGE, "usage: pvctl [OPTION]... %s %s",
			  c->name, c->arguments);
}

static void help(void)
{
	printf("usage: pvctl [OPTION]... COMMAND [ARG]...\n\n"
	       "Looks into a running paravisor.\n\n"
	       "  --vm ADDRESS  the machine: the path of vmm's "
	       "--vtl2-vsock-path,\n"
	       "                or vsock:CID; also $PVCTL_VM\n"
	       "  --json        every line is a JSON object, "
	       "pvctl.schema.json\n"
	       "  -t SECONDS    how long to wait for an answer (10); all of "
	       "`run'\n"
	       "  --help, --version\n\n");
	for (size_t i = 0; i < NR_COMMANDS; i++)
		if (commands[i].text)
			printf("  %s %s\n        %s\n", commands[i].name,
			       commands[i].arguments, commands[i].text);
	printf("\nstatus: 0, 1 the request failed, 2 usage, 3 not in this "
	       "flavour of the image,\n4 cannot connect, 124 timeout; run and "
	       "shell: the command's\n");
}

static int do_commands(struct pvctl *p, int argc, char **argv)
{
	(void)argv;
	if (argc > 1)
		return pvctl_usage(p);
	for (size_t i = 0; i < NR_COMMANDS; i++)
		if (commands[i].text)
			printf("%s\n", commands[i].name);
	return PVCTL_OK;
}

static int do_completion(struct pvctl *p, int argc, char **argv)
{
	static const char script[] =
		"_pvctl() {\n"
		"  local cur=${COMP_WORDS[COMP_CWORD]} word cmd= i\n"
		"  local vm=$PVCTL_VM\n"
		"  for ((i = 1; i < COMP_CWORD; i++)); do\n"
		"    word=${COMP_WORDS[i]}\n"
		"    case $word in\n"
		"    --vm) vm=${COMP_WORDS[++i]};;\n"
		"    -t) ((++i));;\n"
		"    -*) ;;\n"
		"    *) cmd=$word; break;;\n"
		"    esac\n"
		"  done\n"
		"  case $cmd in\n"
		"  '') COMPREPLY=($(compgen -W \"$(pvctl commands) --vm --json"
		" -t --help --version\" -- \"$cur\"));;\n"
		"  inspect) local dir=\n"
		"    [[ $cur != */* ]] || dir=${cur%/*}\n"
		"    COMPREPLY=($(compgen -W \"$(pvctl --vm \"$vm\" -t 2"
		" inspect ${dir:+\"$dir\"} 2>/dev/null |\n"
		"      sed \"s|:.*||; s|^|${dir:+$dir/}|\")\" -- \"$cur\"))"
		";;\n"
		"  crash) COMPREPLY=($(compgen -W panic -- \"$cur\"));;\n"
		"  completion) COMPREPLY=($(compgen -W bash -- \"$cur\"));;\n"
		"  esac\n"
		"}\n"
		"complete -o default -F _pvctl pvctl\n";

	if (argc != 2 || strcmp(argv[1], "bash"))
		return pvctl_usage(p);
	fputs(script, stdout);
	return PVCTL_OK;
}

/* ---- the beginning ---- */

static int usage(const struct pvctl *p, const char *what, const char *value)
{
	return pvctl_fail(p, PVCTL_USAGE, "%s%s%s; pvctl --help says more",
			  what, value ? ": " : "", value ? value : "");
}

/* Options in front of the command. -1: go on. */
static int take_options(struct pvctl *p, int argc, char **argv)
{
	static const struct option options[] = {
		{ "vm", required_argument, NULL, 'm' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'v' },
		{ NULL, 0, NULL, 0 },
	};
	uint64_t seconds;
	int option;

	opterr = 0;
	optind = 0; /* anew, for tests */
	while ((option = getopt_long(argc, argv, "+:t:", options, NULL)) >=
	       0) {
		switch (option) {
		case 'm':
			p->vm = optarg;
			break;
		case 'j':
			p->json = true;
			break;
		case 't':
			if (!pvctl_number(optarg, 86400, &seconds) ||
			    !seconds)
				return usage(p, "-t: seconds, 1 to 86400",
					     NULL);
			p->timeout_ms = (unsigned int)seconds * 1000;
			p->limited = true;
			break;
		case 'h':
			help();
			return PVCTL_OK;
		case 'v':
			printf("pvctl %s\n", PARAVISOR_VERSION);
			return PVCTL_OK;
		case ':':
			return usage(p, argv[optind - 1], "no value");
		default:
			return usage(p, argv[optind - 1], "not an option");
		}
	}
	return -1;
}

int pvctl_main(int argc, char **argv)
{
	struct pvctl p = { .command = "", .timeout_ms = DEFAULT_TIMEOUT_MS,
			   .control = -1, .vm = getenv("PVCTL_VM") };
	const struct pvctl_command *command;
	int status = take_options(&p, argc, argv), first = optind;

	if (status >= 0)
		return status;
	if (first == argc)
		return usage(&p, "no command", NULL);
	command = find(argv[first]);
	if (!command)
		return usage(&p, argv[first], "not a command");
	p.command = command->name;
	if (p.json && command->bytes)
		return usage(&p, "--json", "its output is no text of pvctl's");
	if (!command->alone && (!p.vm || !*p.vm))
		return usage(&p, "no machine", "--vm or PVCTL_VM");
	signal(SIGPIPE, SIG_IGN);
	optind = 0;
	status = command->run(&p, argc - first, argv + first);
	pvctl_close(&p);
	errno = EIO; /* of what failed before */
	if ((fflush(stdout) || ferror(stdout)) && !status)
		status = pvctl_fail(&p, PVCTL_FAILED, "standard output: %s",
				    strerror(errno));
	return status;
}
