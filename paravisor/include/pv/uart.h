/* SPDX-License-Identifier: MIT */
/*
 * A 16550A UART, as the National Semiconductor PC16550D data sheet describes
 * it, without baud-rate timing: bytes move as fast as the tty takes them.
 *
 * One model serves the daemon's COM1/COM2 (paravisor/chipset) and the host's
 * own ports (test/vmm); it knows neither. The owner maps eight consecutive
 * registers and gives an interrupt callback.
 *
 * Threads: none of its own and no lock. The owner makes every call, those of
 * the tty included, under one lock or on one thread.
 */
#ifndef PV_UART_H
#define PV_UART_H

#include <stdbool.h>
#include <stdint.h>

#include <pv/tty.h>

#define UART_FIFO_SIZE 16
#define UART_REGISTERS 8

struct uart_fifo {
	uint8_t byte[UART_FIFO_SIZE];
	uint8_t head, count;
};

struct uart {
	struct tty *tty; /* never NULL; not owned */
	/* Level of the interrupt output, called on changes only. NULL = no
	 * interrupt line (the driver polls). */
	void (*irq)(void *opaque, bool level);
	void *opaque;

	uint8_t ier, lcr, mcr, scr, dll, dlm, fcr;
	uint8_t msr;	   /* lines in bits 7-4, changes since read in 3-0 */
	bool thre_pending; /* THRE interrupt latched (data sheet, 8.6.5) */
	bool overrun;	   /* LSR bit 1 */
	bool irq_level;
	bool wait_for_rts; /* see uart_wait_for_rts() */
	uint8_t rx_burst;  /* bytes read since the driver saw none */
	bool rx_hidden;	   /* the next read of IIR does not tell of any */
	struct uart_fifo rx;
	struct uart_fifo tx; /* bytes the tty has not taken yet */

	/* Counters, for inspect and --stats. */
	uint64_t bytes_out, bytes_in; /* taken by, given by the tty */
	uint64_t bytes_lost_out; /* written while full, or reset by the guest */
};

/* Attaches the uart to `tty` and puts it into the reset state. */
void uart_init(struct uart *uart, struct tty *tty,
	       void (*irq)(void *opaque, bool level), void *opaque);

/* Reset as on power-up; keeps tty, callback and counters. */
void uart_reset(struct uart *uart);

/* With `wait`, bytes are taken from the tty only while the driver holds DTR and
 * RTS, which it does while it has the port open: what came before waits in the
 * tty. Off after uart_init(); a reset keeps it. */
void uart_wait_for_rts(struct uart *uart, bool wait);

/* Register access; `reg` is 0..7. One byte per access. */
uint8_t uart_read(struct uart *uart, unsigned int reg);
void uart_write(struct uart *uart, unsigned int reg, uint8_t value);

#endif
