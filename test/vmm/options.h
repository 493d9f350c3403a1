/* SPDX-License-Identifier: MIT */
/*
 * Command line of vmm.
 *
 * Every option is checked completely while it is parsed; what can only be
 * checked later (files, the image, the host) is checked later, in this order,
 * and still before anything is started. Each refusal is one line on stderr:
 *
 *	vmm: --disk mem:1X: the size must be ...
 */
#ifndef VMM_OPTIONS_H
#define VMM_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "device_option.h"
#include "serial_back.h"

#define OPTIONS_MAX_DISKS 16
#define OPTIONS_MAX_NICS 8

/* Strings are owned by argv unless said otherwise. */
struct vmm_options {
	const char *igvm; /* NULL: the guest boots without VTL2 */
	bool hv, vtl2;	  /* accepted; both follow from igvm */
	uint64_t memory;  /* VTL0's RAM, multiple of 2 MiB */
	unsigned int vps;
	unsigned int apic_id_step; /* 1, or 2: --apic-ids even */
	const char *append; /* VTL2's, or the guest's without igvm; or NULL */

	const char *vtl0_kernel, *vtl0_initrd, *vtl0_append; /* or NULL */
	const char *settings;
	bool print_settings;

	struct disk_option disks[OPTIONS_MAX_DISKS];
	unsigned int nr_disks;
	struct net_option nics[OPTIONS_MAX_NICS];
	unsigned int nr_nics;

	/* VTL0's ports over VMBus with igvm, the host's UARTs without. */
	struct serial_spec com1, com2;
	struct serial_spec com3;
	bool vmbus_redirect;
	const char *vtl2_vsock, *vsock;

	const char *control, *stats, *host_tree;
	const char *blackbox, *core;
	bool console; /* stdin and stdout are commands' */
	unsigned int timeout_s; /* 0 = none */
};

enum options_result {
	OPTIONS_RUN,
	OPTIONS_DONE,	 /* --help or --version was printed to stdout */
	OPTIONS_REFUSED, /* the line is on stderr */
};

/* Fills *options whatever the result; options_free() in every case. */
enum options_result options_parse(int argc, char **argv,
				  struct vmm_options *options);
void options_free(struct vmm_options *options);

void options_help(FILE *out);

#endif
