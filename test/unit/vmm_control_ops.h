/* SPDX-License-Identifier: MIT */
/*
 * What stands behind the commands in vmm_control_test: a function for each, that
 * notes what it was called with.
 */
#ifndef VMM_CONTROL_OPS_H
#define VMM_CONTROL_OPS_H

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/model/nvme_fault.h"
#include "test/vmm/commands.h"

static atomic_uint quits;

static void count_quit(void *opaque)
{
	assert_ptr_equal(opaque, &quits);
	atomic_fetch_add(&quits, 1);
}

/* No counters; the schema is told of the parts that have some. */
#define STATS "{\"com1\":{},\"com2\":{},\"disks\":[],\"mana\":null," \
	      "\"nics\":[],\"machine\":{}}"

static void print_stats(void *opaque, FILE *out)
{
	(void)opaque;
	fputs(STATS, out);
}

static void print_info(void *opaque, FILE *out)
{
	(void)opaque;
	fputs("{\"igvm\":null,\"memory_mib\":512,\"state\":\"running\","
	      "\"uptime_s\":3,\"vps\":2}", out);
}

static void print_disks(void *opaque, FILE *out)
{
	(void)opaque;
	fputs("{\"disks\":[{\"disk\":0,\"option\":\"mem:64M\",\"owner\":\"vtl0\","
	      "\"device\":\"nvme\",\"namespaces\":[1,7]},{\"disk\":1,\"option\":"
	      "\"file:a,uh\",\"owner\":\"vtl2\",\"device\":\"scsi\",\"lun\":0}]}",
	      out);
}

static atomic_uint nmis;

static void count_nmi(void *opaque)
{
	assert_ptr_equal(opaque, &quits);
	atomic_fetch_add(&nmis, 1);
}

static const char *ask_reset(void *opaque)
{
	(void)opaque;
	return "reset: not today";
}

/* What a command was called with, as text. */
static char called[256];

static const char *attach(void *opaque, unsigned int disk, uint32_t nsid,
			  const char *back)
{
	(void)opaque;
	snprintf(called, sizeof(called), "attach %u %u %s", disk, nsid, back);
	return nsid == 9 ? "nsid: there is such a namespace already" : NULL;
}

static const char *detach(void *opaque, unsigned int disk, uint32_t nsid)
{
	(void)opaque;
	snprintf(called, sizeof(called), "detach %u %u", disk, nsid);
	return NULL;
}

static const char *nvme_resize(void *opaque, unsigned int disk, uint32_t nsid,
			       uint64_t size)
{
	(void)opaque;
	snprintf(called, sizeof(called), "resize %u %u %llu", disk, nsid,
		 (unsigned long long)size);
	return NULL;
}

static const char *set_fault(void *opaque, unsigned int disk,
			     const struct nvme_fault *fault)
{
	(void)opaque;
	snprintf(called, sizeof(called),
		 "fault %u %s %u: %u %d %u %llu %u %u %u", disk, fault->name,
		 fault->given, fault->opcode, fault->admin, fault->nsid,
		 (unsigned long long)fault->lba, fault->skip, fault->count,
		 fault->delay_ms);
	return disk ? "fault: there is none of this name" : NULL;
}

static const char *scsi_resize(void *opaque, unsigned int disk, uint64_t size)
{
	(void)opaque;
	snprintf(called, sizeof(called), "resize %u %llu", disk,
		 (unsigned long long)size);
	return NULL;
}

static const char *mana_event(void *opaque, const char *event)
{
	(void)opaque;
	snprintf(called, sizeof(called), "mana %s", event);
	return !strcmp(event, "x") ? "event: must be another" : NULL;
}

static const char *mana_fault(void *opaque, const char *fault, uint32_t count,
			      uint32_t skip, uint32_t vport)
{
	(void)opaque;
	snprintf(called, sizeof(called), "mana %s %u %u %u", fault, count,
		 skip, vport);
	return !strcmp(fault, "dorp") ?
		       "fault: there is none of this name" : NULL;
}

static const char *unplug(void *opaque, const char *device)
{
	(void)opaque;
	snprintf(called, sizeof(called), "unplug %s", device);
	return NULL;
}

static const char *plug(void *opaque, const char *device)
{
	(void)opaque;
	snprintf(called, sizeof(called), "plug %s", device);
	return "device: it is plugged in";
}

/* The settings that came, and how they are answered: when the test says so. */
static char settings_text[65536 + 1];
static void (*settings_done)(void *request, const char *error);
static void *settings_request;

static const char *take_settings(void *opaque, const char *json, size_t len,
				 void (*done)(void *request, const char *error),
				 void *request)
{
	(void)opaque;
	if (settings_done)
		return "another update is under way";
	assert_true(len < sizeof(settings_text));
	memcpy(settings_text, json, len);
	settings_text[len] = '\0';
	settings_request = request;
	settings_done = done;
	return NULL;
}

static void answer_settings(void *error)
{
	void (*done)(void *request, const char *error) = settings_done;

	settings_done = NULL;
	done(settings_request, error);
}

static const char *ask_shutdown(void *opaque, command_done *done, void *request)
{
	(void)opaque;
	if (settings_done)
		return "the guest does not listen";
	settings_request = request;
	settings_done = done;
	return NULL;
}

static const char *set_time(void *opaque, int64_t offset, command_done *done,
			    void *request)
{
	(void)opaque;
	snprintf(called, sizeof(called), "time %lld", (long long)offset);
	if (offset == 7)
		return "the guest does not listen";
	done(request, NULL);
	return NULL;
}

static const char *kvp_get(void *opaque, const char *pool, const char *key,
			   void (*done)(void *request, const char *error,
					const char *value), void *request)
{
	(void)opaque;
	snprintf(called, sizeof(called), "kvp %s %s", pool, key);
	if (!strcmp(pool, "x"))
		return "pool: must be another";
	if (!strcmp(key, "OSName"))
		done(request, NULL, "Debian \"13\"");
	else
		done(request, "key: the guest has none of this name", NULL);
	return NULL;
}

static const char *do_pause(void *opaque, command_done *done, void *request)
{
	(void)opaque;
	snprintf(called, sizeof(called), "pause");
	done(request, "a VP does not stop");
	return NULL;
}

static const char *resume(void *opaque)
{
	(void)opaque;
	snprintf(called, sizeof(called), "resume");
	return NULL;
}

static const char *read_memory(void *opaque, unsigned int vtl, uint64_t gpa,
			       uint8_t *data, size_t size)
{
	(void)opaque;
	snprintf(called, sizeof(called), "read %u %llx %zu", vtl,
		 (unsigned long long)gpa, size);
	memset(data, 0xa5, size);
	return gpa == 7 ? "gpa: not all of it is memory that this VTL sees" :
			  NULL;
}

static const char *nvme_plug(void *opaque, unsigned int disk, bool in)
{
	(void)opaque;
	snprintf(called, sizeof(called), "plug %u %d", disk, in);
	return disk < 2 ? NULL : "disk: there is no such --disk";
}

static const char *vsock(void *opaque, unsigned int vtl)
{
	(void)opaque;
	return vtl ? NULL : "/tmp/a \"socket\"";
}

static int inspect(void *opaque, const char *where, unsigned int depth,
		   FILE *out)
{
	(void)opaque;
	snprintf(called, sizeof(called), "inspect %s %u", where, depth);
	fputs("{\"half\":", out);
	if (!strcmp(where, "x"))
		return -ENOENT;
	fputs("1}", out);
	return depth > 5 ? -ENOSPC : 0;
}

static const struct command_ops ops = { .quit = count_quit,
					.nmi = count_nmi,
					.reset = ask_reset,
					.pause = do_pause,
					.resume = resume,
					.info = print_info,
					.disks = print_disks,
					.read_memory = read_memory,
					.vsock = vsock,
					.stats = print_stats,
					.inspect = inspect,
					.settings = take_settings,
					.shutdown = ask_shutdown,
					.time = set_time,
					.kvp_get = kvp_get,
					.nvme_attach = attach,
					.nvme_detach = detach,
					.nvme_resize = nvme_resize,
					.nvme_plug = nvme_plug,
					.scsi_resize = scsi_resize,
					.fault = set_fault,
					.mana_event = mana_event,
					.mana_fault = mana_fault,
					.unplug = unplug,
					.plug = plug };
static struct command_target target = { &ops, &quits };

#endif
