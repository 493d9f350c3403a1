/* SPDX-License-Identifier: MIT */
/*
 * COM ports of the host: a 16550 at the PC's addresses, polled (without an
 * interrupt line). VTL2's console is COM3.
 */
#ifndef VMM_COM_H
#define VMM_COM_H

#include "machine.h"
#include "serial_back.h"

struct com_port;

/* Adds COM`number` (1 to 4) to the ports of `vtl`, connected to `back`, which
 * must outlive it. NULL: out of memory. Before machine_run(). */
struct com_port *com_attach(struct machine *m, enum vtl vtl,
			    unsigned int number, struct serial_back *back);

/* After the machine is gone. */
void com_free(struct com_port *com);

/* Counters of the UART as a JSON object. */
void com_print_stats(struct com_port *com, FILE *out);

#endif
