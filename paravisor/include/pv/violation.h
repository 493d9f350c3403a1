/* SPDX-License-Identifier: MIT */
/*
 * Violations: what a guest or a host did against a protocol, kept so that its
 * author can find out why it was refused.
 *
 * Every refusal of a guest's or a host's message or packet records one
 * violation: who (the object), what (message or packet type), where (byte
 * offset in it), the offending value and the rule's id. The newest
 * VIOLATION_KEPT records stay readable through inspect, and what broke each
 * rule how often is counted for ever. A SCSI command that is refused by sense
 * data is no violation: that is how an initiator asks what there is.
 *
 * Ids of rules, "vmbus.gpadl.range-count", are an interface and do not change
 * their meaning; paravisor/violation_rules.h lists them with what each one
 * asks. Whoever uses this header beside the daemon (the host model's devices,
 * tests) may name rules that the list does not have.
 *
 * Threads: any; lock-free. A record may be overwritten while it is read; the
 * reader notices by its sequence number and skips it.
 */
#ifndef PV_VIOLATION_H
#define PV_VIOLATION_H

#include <stdint.h>

#define VIOLATION_KEPT 256

struct violation {
	uint64_t sequence;  /* from 1; 0 = never written */
	uint64_t time;	    /* CLOCK_MONOTONIC, ns */
	const char *object; /* static or as long-lived as the program */
	uint32_t id;	    /* channel, VP, port: as the object counts */
	uint32_t type;	    /* message, packet or operation code */
	uint32_t offset;    /* byte offset of the offending field */
	uint64_t value;	    /* what was there */
	const char *rule;   /* id of the rule that was broken, static */
};

void violation_record(const char *object, uint32_t id, uint32_t type,
		      uint32_t offset, uint64_t value, const char *rule);

uint64_t violation_count(void);

/* What rule `id` asks, or NULL: it is not in the list. */
const char *violation_text(const char *id);

/* Rule number `n` of the list, from 0, by its id, and how often it was broken;
 * NULL: there is none. */
const char *violation_rule(unsigned int n, uint64_t *count);

/* Copies record number `sequence`; 0, or -ENOENT when it is gone. */
int violation_get(uint64_t sequence, struct violation *out);

#endif
