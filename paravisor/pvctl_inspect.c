// SPDX-License-Identifier: MIT
/*
 * What pvctl reads from the daemon's tree: inspect, and the commands that know
 * where something stands in it (paravisor/inspect.list).
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "build_inspect.h"
#include "pvctl.h"

#define ALL UINT32_MAX

/* ---- inspect ---- */

struct inspect_options {
	bool recursive, json, poll, limited, counted, timed;
	uint64_t depth, count;
	double period;
	const char *path, *update;
};

static bool positive(const char *text, double *number)
{
	char *end;

	*number = strtod(text, &end);
	return *text && !*end && *number > 0 && *number < 86400;
}

static bool take_option(struct inspect_options *o, int option)
{
	switch (option) {
	case 'r':
		return o->recursive = true;
	case 'l':
		return o->limited = pvctl_number(optarg, ALL, &o->depth);
	case 'j':
		return o->json = true;
	case 'p':
		return o->poll = true;
	case 'P':
		return o->timed = positive(optarg, &o->period);
	case 'c':
		return o->counted = pvctl_number(optarg, 1000000, &o->count);
	case 'u':
		return (o->update = optarg) != NULL;
	}
	return false;
}

static bool take_options(struct inspect_options *o, int argc, char **argv)
{
	static const struct option options[] = {
		{ "limit", required_argument, NULL, 'l' },
		{ "json", no_argument, NULL, 'j' },
		{ "period", required_argument, NULL, 'P' },
		{ "count", required_argument, NULL, 'c' },
		{ "update", required_argument, NULL, 'u' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	*o = (struct inspect_options){ .period = 1, .path = "" };
	while ((option = getopt_long(argc, argv, "rl:jpu:", options, NULL)) >=
	       0)
		if (!take_option(o, option))
			return false;
	if (optind < argc)
		o->path = argv[optind++];
	if (optind < argc || (o->limited && !o->recursive) ||
	    ((o->counted || o->timed) && !o->poll))
		return false;
	if (!o->limited)
		o->depth = ALL;
	return !o->update || (*o->path && !o->recursive && !o->poll);
}

static int bad_tree(const struct pvctl *p)
{
	putchar('\n');
	return pvctl_fail(p, PVCTL_FAILED, "the answer is no tree");
}

/* One object, for --json: {..., "path": PATH, "result": TREE}. */
static int print_result(const struct pvctl *p, const char *path,
			const struct pb_field *of,
			bool (*print)(const struct pb_field *of))
{
	pvctl_begin_json(p);
	printf(",\"path\":");
	pvctl_put_json_text(path, strlen(path));
	printf(",\"result\":");
	if (!print(of))
		return bad_tree(p);
	printf("}\n");
	return PVCTL_OK;
}

static int print_tree(const struct pvctl *p, const char *path,
		      const struct pb_field *node, bool json)
{
	if (p->json)
		return print_result(p, path, node, pvctl_print_node_json);
	if (json ? !pvctl_print_node_json(node) : !pvctl_print_node(node, 0))
		return bad_tree(p);
	if (json)
		putchar('\n');
	return PVCTL_OK;
}

static bool print_value_json(const struct pb_field *value)
{
	return pvctl_print_value(value, true);
}

static int update(struct pvctl *p, const char *path, const char *value,
		  bool json)
{
	struct pb_field result;
	int status = pvctl_update(p, path, value, &result);

	if (status)
		return status;
	if (p->json)
		return print_result(p, path, &result, print_value_json);
	if (!pvctl_print_value(&result, json))
		return bad_tree(p);
	putchar('\n');
	return PVCTL_OK;
}

static void rest(double seconds)
{
	struct timespec t = { .tv_sec = (time_t)seconds };

	t.tv_nsec = (long)((seconds - (double)t.tv_sec) * 1e9);
	nanosleep(&t, NULL);
}

int pvctl_do_inspect(struct pvctl *p, int argc, char **argv)
{
	struct inspect_options o;
	struct pb_field node;
	int status;

	if (!take_options(&o, argc, argv))
		return pvctl_usage(p);
	if (o.update)
		return update(p, o.path, o.update, o.json);
	for (uint64_t i = 0;; i++) {
		status = pvctl_ask_node(p, o.path,
					o.recursive ? (uint32_t)o.depth : 0,
					&node);
		if (!status)
			status = print_tree(p, o.path, &node, o.json);
		if (status || !o.poll || (o.counted && i + 1 >= o.count))
			return status;
		fflush(stdout);
		rest(o.period);
	}
}

/* ---- what stands somewhere in it ---- */

int pvctl_do_log(struct pvctl *p, int argc, char **argv)
{
	struct pb_field node;
	int status;

	if (argc > 2)
		return pvctl_usage(p);
	if (argc == 2)
		return update(p, "log/filter", argv[1], false);
	status = pvctl_ask_node(p, "log", ALL, &node);
	return status ? status : print_tree(p, "log", &node, false);
}

int pvctl_do_violations(struct pvctl *p, int argc, char **argv)
{
	struct pb_field node;
	int status;

	(void)argv;
	if (argc > 1)
		return pvctl_usage(p);
	status = pvctl_ask_node(p, "violations", ALL, &node);
	return status ? status : print_tree(p, "violations", &node, false);
}

/* "VP [-n COUNT]". */
static bool take_vp(int argc, char **argv, uint64_t *vp, uint64_t *count)
{
	int option;

	while ((option = getopt(argc, argv, "n:")) >= 0)
		if (option != 'n' || !pvctl_number(optarg, 100000, count) ||
		    !*count)
			return false;
	return optind + 1 == argc && pvctl_number(argv[optind], 63, vp);
}

int pvctl_do_trace(struct pvctl *p, int argc, char **argv)
{
	uint64_t vp, count = 20;
	struct pb_field node;
	char path[48];
	int status;

	if (!take_vp(argc, argv, &vp, &count))
		return pvctl_usage(p);
	snprintf(path, sizeof(path), "vp%" PRIu64 "/trace/%" PRIu64, vp,
		 count);
	status = pvctl_ask_node(p, path, ALL, &node);
	return status ? status : print_tree(p, path, &node, false);
}

/* An update takes it, and a question says what it was. */
static int sample(struct pvctl *p, const char *path)
{
	char state[16], rip[24];
	struct pb_field field;
	int status = pvctl_update(p, path, "", &field);

	if (!status)
		status = pvctl_ask_node(p, path, ALL, &field);
	if (status)
		return status;
	if (p->json)
		return print_tree(p, path, &field, false);
	if (!pvctl_node_text(&field, "state", state, sizeof(state)) ||
	    !pvctl_node_text(&field, "rip", rip, sizeof(rip)))
		return pvctl_fail(p, PVCTL_FAILED, "the answer is no sample");
	printf("%s %s\n", state, rip);
	return PVCTL_OK;
}

int pvctl_do_sample(struct pvctl *p, int argc, char **argv)
{
	uint64_t vp, count = 1;
	char path[32];
	int status = PVCTL_OK;

	if (!take_vp(argc, argv, &vp, &count))
		return pvctl_usage(p);
	snprintf(path, sizeof(path), "vp%" PRIu64 "/sample", vp);
	while (!status && count--)
		status = sample(p, path);
	return status;
}

int pvctl_do_version(struct pvctl *p, int argc, char **argv)
{
	static const char *const name[] = { "name", "version", "flavour",
					    "kernel" };
	char text[4][80];
	struct pb_field node;
	int status;

	(void)argv;
	if (argc > 1)
		return pvctl_usage(p);
	status = pvctl_ask_node(p, "build", ALL, &node);
	if (status)
		return status;
	for (int i = 0; i < 4; i++)
		if (!pvctl_node_text(&node, name[i], text[i],
				     sizeof(text[i])))
			return pvctl_fail(p, PVCTL_FAILED, "build has no %s",
					  name[i]);
	if (!p->json) {
		printf("pvctl %s\n%s %s, %s image, Linux %s\n",
		       PARAVISOR_VERSION, text[0], text[1], text[2], text[3]);
		return PVCTL_OK;
	}
	pvctl_begin_json(p);
	printf(",\"result\":{\"pvctl\":\"%s\"", PARAVISOR_VERSION);
	for (int i = 0; i < 4; i++) {
		printf(",\"%s\":", name[i]);
		pvctl_put_json_text(text[i], strlen(text[i]));
	}
	printf("}}\n");
	return PVCTL_OK;
}
