/* SPDX-License-Identifier: MIT */
/*
 * 16550A UART, theory of operation
 *
 * Owns: the registers, a receive FIFO and a transmit FIFO. A byte written to
 * THR is offered to the tty at once; only what the tty does not take stays in
 * the transmit FIFO:
 *
 *	THR -> tx FIFO -> tty->write()      LSR.THRE, LSR.TEMT: tx FIFO empty
 *	RBR <- rx FIFO <- tty->read()       LSR.DR: rx FIFO not empty
 *
 * So back-pressure reaches the driver as LSR.THRE staying clear, and the rx
 * FIFO is filled only as far as there is room: bytes wait in the tty. A
 * receiver overrun is therefore possible in loopback only, and a transmitted
 * byte is lost only when a driver writes without THRE or resets a FIFO that
 * is not empty; both are counted. An owner may want bytes to wait in the tty
 * until a driver has opened the port, too: wait_for_rts.
 *
 * The THRE interrupt is a latch, not a level (data sheet, 8.6.5):
 *
 *	set	IER.THRE goes 0 -> 1 while THRE, or the tx FIFO became empty
 *	clear	IIR was read and reported it, or THR was written
 *
 * The interrupt output is computed once per register access, after all of the
 * access's effects. A THR write that both clears the latch and, the byte
 * being taken at once, sets it again does not move the line: a burst of
 * sixteen bytes costs one edge, not sixteen.
 *
 * Without a bit clock there is no character time-out: data below the trigger
 * level is reported as timed out immediately. Nor is there a pause between
 * bytes, which is what ends a driver's interrupt handler: it would read for as
 * long as somebody sends. So after RX_BURST bytes one read of LSR, and the next
 * one of IIR, tell of no data, as if the next byte were still on the wire; with
 * each of them the interrupt comes anew, whichever of them the driver looks at
 * last.
 *
 * Failure answers: none; every value of every register has a meaning.
 */
#include <string.h>

#include <pv/uart.h>

#include "uart_reg.h"

/* A cable is always plugged in and the other end is always on. */
#define MSR_LINES_CONNECTED (MSR_DCD | MSR_DSR | MSR_CTS)
/* More than a FIFO, far less than what keeps a CPU from others. */
#define RX_BURST 64
/* 9600 baud from a 1.8432 MHz crystal; the value after reset is undefined. */
#define DIVISOR_AT_RESET 12

static bool fifos_enabled(const struct uart *uart)
{
	return uart->fcr & FCR_ENABLE;
}

static bool looped(const struct uart *uart)
{
	return uart->mcr & MCR_LOOP;
}

static unsigned int fifo_capacity(const struct uart *uart)
{
	return fifos_enabled(uart) ? UART_FIFO_SIZE : 1;
}

static void fifo_push(struct uart_fifo *fifo, uint8_t byte)
{
	fifo->byte[(fifo->head + fifo->count) % UART_FIFO_SIZE] = byte;
	fifo->count++;
}

static void fifo_drop(struct uart_fifo *fifo, unsigned int n)
{
	fifo->head = (fifo->head + n) % UART_FIFO_SIZE;
	fifo->count -= n;
}

static void fifo_clear(struct uart_fifo *fifo)
{
	fifo->head = 0;
	fifo->count = 0;
}

/* Interrupts. */

/* Without `rx`, as if there were no data. */
static uint8_t interrupt_id(const struct uart *uart, bool rx)
{
	static const uint8_t trigger[] = { 1, 4, 8, 14 };

	if ((uart->ier & IER_RLS) && uart->overrun)
		return IIR_RLS;
	if (rx && (uart->ier & IER_RDA) && uart->rx.count) {
		if (!fifos_enabled(uart) ||
		    uart->rx.count >= trigger[uart->fcr >> FCR_TRIGGER_SHIFT])
			return IIR_RDA;
		return IIR_TIMEOUT;
	}
	if ((uart->ier & IER_THRE) && uart->thre_pending)
		return IIR_THRE;
	if ((uart->ier & IER_MODEM) && (uart->msr & MSR_CHANGES))
		return IIR_MODEM;
	return IIR_NONE;
}

static void update_irq(struct uart *uart)
{
	bool level = interrupt_id(uart, true) != IIR_NONE;

	if (level == uart->irq_level)
		return;
	uart->irq_level = level;
	if (uart->irq)
		uart->irq(uart->opaque, level);
}

/* One more edge of an output that stays high. */
static void renew_irq(struct uart *uart)
{
	if (!uart->irq_level || !uart->irq)
		return;
	uart->irq(uart->opaque, false);
	uart->irq(uart->opaque, true);
}

/* Data. */

static void tx_flush(struct uart *uart)
{
	struct uart_fifo *tx = &uart->tx;

	while (tx->count) {
		unsigned int linear = UART_FIFO_SIZE - tx->head;
		size_t n;

		if (linear > tx->count)
			linear = tx->count;
		n = uart->tty->back->write(uart->tty, tx->byte + tx->head,
					   linear);
		if (!n)
			return;
		fifo_drop(tx, n);
		uart->bytes_out += n;
	}
	uart->thre_pending = true;
}

/* What the other end sees of DTR and RTS: nothing while looped. */
static uint8_t modem_outputs(const struct uart *uart)
{
	return looped(uart) ? 0 : uart->mcr & (MCR_DTR | MCR_RTS);
}

/* May bytes come in? */
static bool receives(const struct uart *uart)
{
	return !looped(uart) &&
	       (!uart->wait_for_rts ||
		modem_outputs(uart) == (MCR_DTR | MCR_RTS));
}

static void rx_fill(struct uart *uart)
{
	uint8_t bytes[UART_FIFO_SIZE];
	unsigned int room = fifo_capacity(uart);
	size_t n;

	if (!receives(uart) || uart->rx.count >= room)
		return;
	room -= uart->rx.count;
	n = uart->tty->back->read(uart->tty, bytes, room);
	for (size_t i = 0; i < n; i++)
		fifo_push(&uart->rx, bytes[i]);
	uart->bytes_in += n;
}

/* The receiver of a looped uart cannot hold its sender back: with FIFOs a new
 * byte is lost, without it replaces the old one (8.4, bit 1). */
static void loop_byte(struct uart *uart, uint8_t byte)
{
	if (uart->rx.count < fifo_capacity(uart)) {
		fifo_push(&uart->rx, byte);
	} else {
		uart->overrun = true;
		if (!fifos_enabled(uart))
			uart->rx.byte[uart->rx.head] = byte;
	}
	uart->thre_pending = true;
}

static void write_thr(struct uart *uart, uint8_t byte)
{
	uart->thre_pending = false;
	if (looped(uart)) {
		loop_byte(uart, byte);
		return;
	}
	if (uart->tx.count == fifo_capacity(uart)) {
		uart->bytes_lost_out++;
		return;
	}
	fifo_push(&uart->tx, byte);
	tx_flush(uart);
}

static uint8_t read_rbr(struct uart *uart)
{
	uint8_t byte;

	if (!uart->rx.count)
		return 0;
	byte = uart->rx.byte[uart->rx.head];
	fifo_drop(&uart->rx, 1);
	if (uart->rx_burst < RX_BURST)
		uart->rx_burst++;
	if (!uart->rx.count)
		rx_fill(uart);
	return byte;
}

/* Control. */

static void write_ier(struct uart *uart, uint8_t value)
{
	value &= IER_MASK;
	if (!(uart->ier & IER_THRE) && (value & IER_THRE) && !uart->tx.count)
		uart->thre_pending = true;
	uart->ier = value;
}

static void tx_clear(struct uart *uart)
{
	uart->bytes_lost_out += uart->tx.count;
	if (uart->tx.count)
		uart->thre_pending = true;
	fifo_clear(&uart->tx);
}

static void write_fcr(struct uart *uart, uint8_t value)
{
	bool toggled = (uart->fcr ^ value) & FCR_ENABLE;

	/* The other bits are programmed only together with the enable bit. */
	if (!(value & FCR_ENABLE))
		value = 0;
	if (toggled || (value & FCR_RESET_RX))
		fifo_clear(&uart->rx);
	if (toggled || (value & FCR_RESET_TX))
		tx_clear(uart);
	uart->fcr = value & ~(FCR_RESET_RX | FCR_RESET_TX);
	rx_fill(uart);
}

static uint8_t modem_lines(const struct uart *uart)
{
	uint8_t lines = 0;

	if (!looped(uart))
		return MSR_LINES_CONNECTED;
	if (uart->mcr & MCR_RTS)
		lines |= MSR_CTS;
	if (uart->mcr & MCR_DTR)
		lines |= MSR_DSR;
	if (uart->mcr & MCR_OUT1)
		lines |= MSR_RI;
	if (uart->mcr & MCR_OUT2)
		lines |= MSR_DCD;
	return lines;
}

static void update_msr(struct uart *uart)
{
	uint8_t lines = modem_lines(uart), changed = uart->msr ^ lines;

	if (changed & MSR_CTS)
		uart->msr |= MSR_DCTS;
	if (changed & MSR_DSR)
		uart->msr |= MSR_DDSR;
	if ((changed & MSR_RI) && !(lines & MSR_RI))
		uart->msr |= MSR_TERI;
	if (changed & MSR_DCD)
		uart->msr |= MSR_DDCD;
	uart->msr = lines | (uart->msr & MSR_CHANGES);
}

static void tell_modem(struct uart *uart)
{
	uint8_t out = modem_outputs(uart);

	if (uart->tty->back->modem)
		uart->tty->back->modem(uart->tty, !!(out & MCR_DTR),
				       !!(out & MCR_RTS));
}

static void write_mcr(struct uart *uart, uint8_t value)
{
	uint8_t before = modem_outputs(uart);

	uart->mcr = value & MCR_MASK;
	update_msr(uart);
	if (modem_outputs(uart) != before)
		tell_modem(uart);
	rx_fill(uart);
}

static uint8_t read_iir(struct uart *uart)
{
	uint8_t id = interrupt_id(uart, !uart->rx_hidden);

	if (uart->rx_hidden)
		renew_irq(uart);
	uart->rx_hidden = false;
	if (id == IIR_NONE)
		uart->rx_burst = 0;
	if (id == IIR_THRE)
		uart->thre_pending = false;
	return id | (fifos_enabled(uart) ? IIR_FIFOS : 0);
}

static uint8_t read_lsr(struct uart *uart)
{
	uint8_t lsr = 0;

	if (!uart->rx.count) {
		uart->rx_burst = 0;
	} else if (uart->rx_burst == RX_BURST && uart->ier & IER_RDA &&
		   !looped(uart)) {
		uart->rx_burst = 0;
		uart->rx_hidden = true;
		renew_irq(uart);
	} else {
		lsr |= LSR_DR;
	}
	if (uart->overrun)
		lsr |= LSR_OE;
	if (!uart->tx.count)
		lsr |= LSR_THRE | LSR_TEMT;
	uart->overrun = false;
	return lsr;
}

static uint8_t read_msr(struct uart *uart)
{
	uint8_t msr = uart->msr;

	uart->msr &= ~MSR_CHANGES;
	return msr;
}

uint8_t uart_read(struct uart *uart, unsigned int reg)
{
	bool dlab = uart->lcr & LCR_DLAB;
	uint8_t value = 0;

	switch (reg) {
	case UART_RBR:
		value = dlab ? uart->dll : read_rbr(uart);
		break;
	case UART_IER:
		value = dlab ? uart->dlm : uart->ier;
		break;
	case UART_IIR:
		value = read_iir(uart);
		break;
	case UART_LCR:
		value = uart->lcr;
		break;
	case UART_MCR:
		value = uart->mcr;
		break;
	case UART_LSR:
		value = read_lsr(uart);
		break;
	case UART_MSR:
		value = read_msr(uart);
		break;
	case UART_SCR:
		value = uart->scr;
		break;
	}
	update_irq(uart);
	return value;
}

void uart_write(struct uart *uart, unsigned int reg, uint8_t value)
{
	bool dlab = uart->lcr & LCR_DLAB;

	switch (reg) {
	case UART_THR:
		if (dlab)
			uart->dll = value;
		else
			write_thr(uart, value);
		break;
	case UART_IER:
		if (dlab)
			uart->dlm = value;
		else
			write_ier(uart, value);
		break;
	case UART_FCR:
		write_fcr(uart, value);
		break;
	case UART_LCR:
		uart->lcr = value;
		break;
	case UART_MCR:
		write_mcr(uart, value);
		break;
	case UART_SCR:
		uart->scr = value;
		break;
	/* LSR and MSR: writes are for factory tests only (8.4, 8.9). */
	}
	update_irq(uart);
}

/* The tty's side. */

static void front_room(void *front)
{
	struct uart *uart = front;

	if (uart->tx.count)
		tx_flush(uart);
	update_irq(uart);
}

static void front_readable(void *front)
{
	struct uart *uart = front;

	rx_fill(uart);
	update_irq(uart);
}

static const struct tty_front_ops front_ops = {
	.room = front_room,
	.readable = front_readable,
};

void uart_reset(struct uart *uart)
{
	uint8_t before = modem_outputs(uart);

	uart->ier = 0;
	uart->lcr = 0;
	uart->mcr = 0;
	uart->scr = 0;
	uart->fcr = 0;
	uart->dll = DIVISOR_AT_RESET;
	uart->dlm = 0;
	uart->msr = MSR_LINES_CONNECTED;
	uart->overrun = false;
	uart->rx_burst = 0;
	uart->rx_hidden = false;
	fifo_clear(&uart->rx);
	tx_clear(uart);
	uart->thre_pending = false;
	if (before)
		tell_modem(uart);
	rx_fill(uart);
	update_irq(uart);
}

void uart_wait_for_rts(struct uart *uart, bool wait)
{
	uart->wait_for_rts = wait;
	rx_fill(uart);
	update_irq(uart);
}

void uart_init(struct uart *uart, struct tty *tty,
	       void (*irq)(void *opaque, bool level), void *opaque)
{
	memset(uart, 0, sizeof(*uart));
	uart->tty = tty;
	uart->irq = irq;
	uart->opaque = opaque;
	tty->front = &front_ops;
	tty->front_opaque = uart;
	uart_reset(uart);
}
