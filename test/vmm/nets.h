/* SPDX-License-Identifier: MIT */
/*
 * The NICs that vmm gives to a machine over VMBus, made from --net.
 *
 * Threads and life: as devices.h.
 */
#ifndef VMM_NETS_H
#define VMM_NETS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <pv/reactor.h>

#include "machine.h"
#include "options.h"

struct guest_memory;
struct mana;
struct msi_router;
struct nets;
struct vmbus_server;

/* What they are attached to. */
struct nets_host {
	struct machine *machine;
	enum vtl vtl;
	unsigned int vps;
	struct msi_router *msi;
	struct vmbus_server *server;
	/* VTL0's bus, which VTL2 may be the client of; NULL: there is none. */
	struct vmbus_server *guest_server;
	struct guest_memory *guest_memory;
	struct reactor *loop;
};

/* NULL after one line on stderr. `options` must outlive the NICs. */
struct nets *nets_open(const struct vmm_options *options,
		       struct reactor *loop);
int nets_attach(struct nets *n, const struct nets_host *host);
/* Takes all offers back. When the channels are closed, before the server
 * goes. */
void nets_revoke(struct nets *n);
/* After nets_revoke(), if they were attached. NULL is harmless. */
void nets_close(struct nets *n);

/* The MANA function with all the vports, or NULL. */
struct mana *nets_mana(struct nets *n);

/* What the function is to do of its own accord, by the names in commands.h.
 * NULL, or what is wrong (static). Any thread. */
const char *nets_event(struct nets *n, const char *event);

/* What it is to do wrong: as mana_fault_set(). Any thread. */
const char *nets_fault(struct nets *n, const char *fault, uint32_t count,
		       uint32_t skip, uint32_t vport);

/* As nic_device.h has it, of a synthetic NIC of the guest's; `nic` counts the
 * options from 0. */
const char *nets_unplug(struct nets *n, unsigned int nic);
const char *nets_plug(struct nets *n, unsigned int nic);

/* The function: one JSON object, or null. */
void nets_print_stats(struct nets *n, FILE *out);
/* One JSON array, in the order of the options: what the guest's own NICs did,
 * and what is behind all. */
void nets_print_nics(struct nets *n, FILE *out);

/* The member "nics" of settings of the paravisor that give the guest every NIC
 * of VTL2. False, and nothing printed: there is none. */
bool nets_print_settings(const struct vmm_options *options, FILE *out);

#endif
