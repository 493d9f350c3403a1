/* SPDX-License-Identifier: MIT */
/*
 * Violations: what a guest did against a protocol, kept so that its author
 * can find out why it was refused.
 *
 * Every refusal of a guest's message, packet or command records one violation:
 * who (the object), what (message or packet type), where (byte offset in it),
 * the offending value and the rule. The newest VIOLATION_KEPT records stay
 * readable through inspect; a counter per object never stops.
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
	const char *rule;   /* static text: the rule that was broken */
};

void violation_record(const char *object, uint32_t id, uint32_t type,
		      uint32_t offset, uint64_t value, const char *rule);

uint64_t violation_count(void);

/* Copies record number `sequence`; 0, or -ENOENT when it is gone. */
int violation_get(uint64_t sequence, struct violation *out);

#endif
