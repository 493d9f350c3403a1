// SPDX-License-Identifier: MIT
/*
 * Commands, theory of operation
 *
 * The table at the end has all there are. A request is looked up in it, its
 * arguments are read into a structure (command_arguments.c), and the command's
 * function calls what does it. Who asked is behind struct request: nothing here
 * knows whether it was a line of JSON or of words.
 *
 * Threads: the loop's. All are answered before they return, but settings, pause
 * and what the guest is asked for.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "model/mana_fault.h"
#include "model/nvme_fault.h"

/* ---- answers ---- */

static void answer(struct request *request, const char *rule)
{
	if (rule)
		request_error(request, "%s", rule);
	else
		request_ok(request, "{}");
}

/* For what is answered later. */
static void answer_later(void *request, const char *error)
{
	answer(request, error);
}

/* Of what was refused at once nobody says more. */
static void answer_refusal(struct request *request, const char *rule)
{
	if (rule)
		request_error(request, "%s", rule);
}

/* An answer that is written; out is NULL when there is no memory for it. */
struct reply {
	char *text;
	size_t len;
	FILE *out;
};

static FILE *reply_begin(struct reply *reply)
{
	reply->text = NULL;
	reply->out = open_memstream(&reply->text, &reply->len);
	return reply->out;
}

static void reply_end(struct reply *reply, struct request *request)
{
	if (reply->out && !fclose(reply->out) && reply->text)
		request_ok(request, reply->text);
	else
		request_error(request, "out of memory");
	free(reply->text);
}

#define RUN(name)                                                        \
	static void name(const struct command_target *target,            \
			 struct request *request, const struct arguments *a)

/* ---- the machine ---- */

RUN(run_quit)
{
	(void)a;
	target->ops->quit(target->opaque);
	answer(request, NULL);
}

RUN(run_nmi)
{
	(void)a;
	target->ops->nmi(target->opaque);
	answer(request, NULL);
}

RUN(run_reset)
{
	(void)a;
	answer(request, target->ops->reset(target->opaque));
}

RUN(run_pause)
{
	(void)a;
	answer_refusal(request, target->ops->pause(target->opaque,
						   answer_later, request));
}

RUN(run_resume)
{
	(void)a;
	answer(request, target->ops->resume(target->opaque));
}

/* ---- seeing ---- */

RUN(run_info)
{
	struct reply reply;

	(void)a;
	if (reply_begin(&reply))
		target->ops->info(target->opaque, reply.out);
	reply_end(&reply, request);
}

RUN(run_disks)
{
	struct reply reply;

	(void)a;
	if (reply_begin(&reply))
		target->ops->disks(target->opaque, reply.out);
	reply_end(&reply, request);
}

RUN(run_stats)
{
	struct reply reply;

	(void)a;
	if (reply_begin(&reply))
		target->ops->stats(target->opaque, reply.out);
	reply_end(&reply, request);
}

RUN(run_inspect)
{
	struct reply reply;
	int err = -ENOMEM;

	if (reply_begin(&reply))
		err = target->ops->inspect(target->opaque, a->path,
					   (unsigned int)a->depth, reply.out);
	if (!err || err == -ENOMEM) {
		reply_end(&reply, request);
		return;
	}
	request_error(request, err == -ENOENT ?
		      "path: there is no such object" :
		      "depth: the answer is too big");
	fclose(reply.out);
	free(reply.text);
}

RUN(run_read_memory)
{
	uint8_t data[ARGUMENT_MAX_READ];
	const char *rule = target->ops->read_memory(target->opaque,
						    (unsigned int)a->vtl,
						    a->gpa, data,
						    (size_t)a->bytes);
	struct reply reply;

	if (rule) {
		request_error(request, "%s", rule);
		return;
	}
	if (reply_begin(&reply)) {
		fprintf(reply.out, "{\"gpa\":%llu,\"hex\":\"",
			(unsigned long long)a->gpa);
		for (uint64_t i = 0; i < a->bytes; i++)
			fprintf(reply.out, "%02x", data[i]);
		fputs("\"}", reply.out);
	}
	reply_end(&reply, request);
}

/* The bytes themselves cannot go where answers go: this tells where they can. */
RUN(run_v)
{
	const char *path = target->ops->vsock(target->opaque,
					      (unsigned int)a->vtl);
	struct reply reply;

	if (!path) {
		request_error(request, "vtl: has no socket: vmm was started "
			      "without %s", a->vtl ? "--vtl2-vsock-path" :
						     "--vsock-path");
		return;
	}
	if (reply_begin(&reply)) {
		fprintf(reply.out, "{\"connect\":\"CONNECT %llu\\n\",\"path\":",
			(unsigned long long)a->port);
		json_write(reply.out, path);
		fputs("}", reply.out);
	}
	reply_end(&reply, request);
}

RUN(run_help)
{
	struct reply reply;

	(void)target;
	(void)a;
	if (!reply_begin(&reply)) {
		reply_end(&reply, request);
		return;
	}
	fputs("{\"commands\":[", reply.out);
	for (const struct command *c = commands; c->name; c++) {
		fprintf(reply.out, "%s{\"name\":\"%s\",\"needs\":[",
			c == commands ? "" : ",", c->name);
		for (int i = 0; i < c->arguments.needed; i++)
			fprintf(reply.out, "%s\"%s\"", i ? "," : "",
				argument_name(c->arguments.name[i]));
		fputs("],\"takes\":[", reply.out);
		for (int i = 0; i < c->arguments.optional; i++)
			fprintf(reply.out, "%s\"%s\"", i ? "," : "",
				argument_name(c->arguments.name[
					c->arguments.needed + i]));
		fputs("],\"help\":", reply.out);
		json_write(reply.out, c->help);
		fputs("}", reply.out);
	}
	fputs("]}", reply.out);
	reply_end(&reply, request);
}

/* ---- settings ---- */

RUN(run_settings)
{
	answer_refusal(request, target->ops->settings(target->opaque,
						      a->settings.at,
						      a->settings.len,
						      answer_later, request));
}

/* ---- the guest ---- */

RUN(run_shutdown)
{
	(void)a;
	answer_refusal(request, target->ops->shutdown(target->opaque,
						      answer_later, request));
}

RUN(run_time)
{
	answer_refusal(request, target->ops->time(target->opaque, a->offset,
						  answer_later, request));
}

static void answer_value(void *opaque, const char *error, const char *value)
{
	struct request *request = opaque;
	struct reply reply;

	if (error) {
		request_error(request, "%s", error);
		return;
	}
	if (reply_begin(&reply)) {
		fputs("{\"value\":", reply.out);
		json_write(reply.out, value);
		fputs("}", reply.out);
	}
	reply_end(&reply, request);
}

RUN(run_kvp_get)
{
	answer_refusal(request, target->ops->kvp_get(target->opaque, a->pool,
						     a->key, answer_value,
						     request));
}

/* ---- media ---- */

RUN(run_nvme_attach)
{
	answer(request, target->ops->nvme_attach(target->opaque,
						 (unsigned int)a->disk,
						 (uint32_t)a->nsid, a->back));
}

RUN(run_nvme_detach)
{
	answer(request, target->ops->nvme_detach(target->opaque,
						 (unsigned int)a->disk,
						 (uint32_t)a->nsid));
}

RUN(run_nvme_resize)
{
	answer(request, target->ops->nvme_resize(target->opaque,
						 (unsigned int)a->disk,
						 (uint32_t)a->nsid, a->size));
}

RUN(run_nvme_unplug)
{
	answer(request, target->ops->nvme_plug(target->opaque,
					       (unsigned int)a->disk, false));
}

RUN(run_nvme_plug)
{
	answer(request, target->ops->nvme_plug(target->opaque,
					       (unsigned int)a->disk, true));
}

RUN(run_scsi_resize)
{
	answer(request, target->ops->scsi_resize(target->opaque,
						 (unsigned int)a->disk,
						 a->size));
}

/* ---- faults ---- */

RUN(run_fault)
{
	static const struct {
		enum argument argument;
		enum nvme_fault_field field;
	} fields[] = {
		{ ARGUMENT_OPCODE, NVME_FAULT_OPCODE },
		{ ARGUMENT_ADMIN, NVME_FAULT_ADMIN },
		{ ARGUMENT_NSID, NVME_FAULT_NSID },
		{ ARGUMENT_LBA, NVME_FAULT_LBA },
		{ ARGUMENT_SKIP, NVME_FAULT_SKIP },
		{ ARGUMENT_COUNT, NVME_FAULT_COUNT },
		{ ARGUMENT_DELAY_MS, NVME_FAULT_DELAY },
	};
	struct nvme_fault fault = { .name = a->fault };

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (a->given & 1u << fields[i].argument)
			fault.given |= fields[i].field;
	if (fault.given & NVME_FAULT_OPCODE)
		fault.opcode = (uint8_t)a->opcode;
	if (fault.given & NVME_FAULT_ADMIN)
		fault.admin = a->admin;
	if (fault.given & NVME_FAULT_NSID)
		fault.nsid = (uint32_t)a->nsid;
	if (fault.given & NVME_FAULT_LBA)
		fault.lba = a->lba;
	if (fault.given & NVME_FAULT_SKIP)
		fault.skip = (uint32_t)a->skip;
	if (fault.given & NVME_FAULT_COUNT)
		fault.count = (uint32_t)a->count;
	if (fault.given & NVME_FAULT_DELAY)
		fault.delay_ms = (uint32_t)a->delay_ms;
	answer(request, target->ops->fault(target->opaque,
					   (unsigned int)a->disk, &fault));
}

/* ---- devices ---- */

RUN(run_unplug)
{
	answer(request, target->ops->unplug(target->opaque, a->device));
}

RUN(run_plug)
{
	answer(request, target->ops->plug(target->opaque, a->device));
}

/* ---- the network ---- */

RUN(run_mana_event)
{
	answer(request, target->ops->mana_event(target->opaque, a->event));
}

RUN(run_mana_fault)
{
	bool one = a->given & 1u << ARGUMENT_VPORT;
	bool some = a->given & 1u << ARGUMENT_COUNT;
	bool later = a->given & 1u << ARGUMENT_SKIP;

	answer(request,
	       target->ops->mana_fault(target->opaque, a->fault,
				       some ? (uint32_t)a->count : 0,
				       later ? (uint32_t)a->skip : 0,
				       one ? (uint32_t)a->vport :
					     MANA_ANY_VPORT));
}

/* ---- the table ---- */

#define NO_ARGUMENTS { 0, 0, { 0 } }
#define DISK ARGUMENT_DISK
#define NSID ARGUMENT_NSID

const struct command commands[] = {
	{ "help", NO_ARGUMENTS, "what there is", run_help },
	{ "info", NO_ARGUMENTS, "the machine, and how it is", run_info },
	{ "stats", NO_ARGUMENTS, "all counters", run_stats },
	{ "inspect", { 0, 2, { ARGUMENT_PATH, ARGUMENT_DEPTH } },
	  "the host's objects from a path on (all, 4 deep)", run_inspect },
	{ "disks", NO_ARGUMENTS, "the disks and what is behind them",
	  run_disks },
	{ "read-memory", { 1, 2, { ARGUMENT_GPA, ARGUMENT_BYTES,
				   ARGUMENT_VTL } },
	  "what a VTL (0) has there (64 bytes)", run_read_memory },
	{ "v", { 1, 1, { ARGUMENT_PORT, ARGUMENT_VTL } },
	  "talk to a vsock port of a VTL (0)", run_v },

	{ "pause", NO_ARGUMENTS, "no VP runs, the guest's time stands",
	  run_pause },
	{ "resume", NO_ARGUMENTS, "on from there", run_resume },
	{ "nmi", NO_ARGUMENTS, "an NMI for the guest's VP 0", run_nmi },
	{ "reset", NO_ARGUMENTS, "all starts anew as by a button: VTL2, too",
	  run_reset },
	{ "quit", NO_ARGUMENTS, "vmm ends, and the machine with it",
	  run_quit },

	{ "shutdown", NO_ARGUMENTS, "the guest powers off; answered when it "
	  "says that it will", run_shutdown },
	{ "time", { 1, 0, { ARGUMENT_OFFSET } },
	  "seconds that the guest's clock is ahead of the host's", run_time },
	{ "kvp-get", { 1, 1, { ARGUMENT_KEY, ARGUMENT_POOL } },
	  "what the guest says of itself, such as OSName", run_kvp_get },

	{ "settings", { 1, 0, { ARGUMENT_SETTINGS } },
	  "all of the paravisor's settings anew; answered when they hold",
	  run_settings },
	{ "nvme-attach", { 3, 0, { DISK, NSID, ARGUMENT_BACK } },
	  "a namespace more on disk 0, 1, ...: mem:64M or file:PATH",
	  run_nvme_attach },
	{ "nvme-detach", { 2, 0, { DISK, NSID } }, "one less",
	  run_nvme_detach },
	{ "nvme-resize", { 3, 0, { DISK, NSID, ARGUMENT_SIZE } },
	  "another size for one, such as 128M", run_nvme_resize },
	{ "nvme-unplug", { 1, 0, { DISK } },
	  "the controller of disk 0, 1, ... is pulled off its bus",
	  run_nvme_unplug },
	{ "nvme-plug", { 1, 0, { DISK } }, "and put back", run_nvme_plug },
	{ "scsi-resize", { 2, 0, { DISK, ARGUMENT_SIZE } },
	  "the same of a SCSI disk", run_scsi_resize },
	{ "unplug", { 1, 0, { ARGUMENT_DEVICE } },
	  "takes one of the host's from the guest: scsi, net0, net1, ...",
	  run_unplug },
	{ "plug", { 1, 0, { ARGUMENT_DEVICE } }, "offers it anew", run_plug },
	{ "mana-event", { 1, 0, { ARGUMENT_EVENT } },
	  "link-up, link-down, reset, silent, answer, coalesce, single",
	  run_mana_event },
	{ "mana-fault", { 1, 3, { ARGUMENT_FAULT, ARGUMENT_COUNT,
				  ARGUMENT_SKIP, ARGUMENT_VPORT } },
	  "what the MANA function does wrong: tx-lost, hwc-silent, ...; none",
	  run_mana_fault },

	{ "fault", { 2, 7, { DISK, ARGUMENT_FAULT, ARGUMENT_OPCODE, NSID,
			     ARGUMENT_LBA, ARGUMENT_COUNT, ARGUMENT_SKIP,
			     ARGUMENT_DELAY_MS, ARGUMENT_ADMIN } },
	  "what disk 0, 1, ... (NVMe) does wrong with commands that fit: drop, "
	  "late, ...; none", run_fault },
	{ NULL, NO_ARGUMENTS, NULL, NULL },
};

void command_run(void *opaque, struct request *request, struct json_span name,
		 struct json_span args)
{
	const struct command *command = commands;
	struct arguments a;

	while (command->name && !json_is_string(name, command->name))
		command++;
	if (!command->name)
		request_error(request, "cmd: unknown command");
	else if (arguments_read(request, &command->arguments, args, &a))
		command->run(opaque, request, &a);
}

static void print_upper(const char *text, FILE *out)
{
	for (; *text; text++)
		putc(*text >= 'a' && *text <= 'z' ? *text - 'a' + 'A' : *text,
		     out);
}

void command_print_usage(const struct command *command, FILE *out)
{
	const struct argument_list *list = &command->arguments;

	fputs(command->name, out);
	for (int i = 0; i < list->needed + list->optional; i++) {
		fputs(i < list->needed ? " " : " [", out);
		print_upper(argument_name(list->name[i]), out);
		if (i >= list->needed)
			putc(']', out);
	}
}

void commands_help(FILE *out)
{
	for (const struct command *c = commands; c->name; c++) {
		char left[96] = "";
		FILE *usage = fmemopen(left, sizeof(left), "w");

		if (usage) {
			command_print_usage(c, usage);
			fclose(usage);
		}
		fprintf(out, "  %-31s %s\n", left, c->help);
	}
}
