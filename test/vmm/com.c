/* SPDX-License-Identifier: MIT */
/*
 * COM ports, theory of operation
 *
 * Owns: one 16550 (paravisor/chipset/uart.c, the same model that the daemon
 * gives to VTL0) and the eight ports it answers at. A register is one byte;
 * a wider access is the sequence of byte accesses that a PC's bus makes of it.
 *
 * Threads: the ports are read and written on a VP's thread, the stream moves
 * on the loop's thread. The stream's lock serialises both.
 */
#include <stdlib.h>

#include <pv/uart.h>

#include "com.h"

struct com_port {
	struct uart uart;
	struct serial_back *back;
	struct io_region region;
};

static const struct {
	const char *name;
	uint16_t port;
} places[] = {
	{ "com1", 0x3f8 },
	{ "com2", 0x2f8 },
	{ "com3", 0x3e8 },
	{ "com4", 0x2e8 },
};

static uint64_t com_read(void *opaque, uint64_t offset, unsigned int size)
{
	struct com_port *com = opaque;
	uint64_t value = 0;

	serial_back_lock(com->back);
	for (unsigned int i = 0; i < size; i++) {
		uint8_t byte = 0xff; /* nobody answers behind the last */

		if (offset + i < UART_REGISTERS)
			byte = uart_read(&com->uart, offset + i);
		value |= (uint64_t)byte << (8 * i);
	}
	serial_back_unlock(com->back);
	return value;
}

static void com_write(void *opaque, uint64_t offset, unsigned int size,
		      uint64_t value)
{
	struct com_port *com = opaque;

	serial_back_lock(com->back);
	for (unsigned int i = 0; i < size && offset + i < UART_REGISTERS; i++)
		uart_write(&com->uart, offset + i, value >> (8 * i));
	serial_back_unlock(com->back);
}

struct com_port *com_attach(struct machine *m, enum vtl vtl,
			    unsigned int number, struct serial_back *back)
{
	struct com_port *com = calloc(1, sizeof(*com));

	if (!com)
		return NULL;
	com->back = back;
	com->region = (struct io_region){
		.base = places[number - 1].port,
		.size = UART_REGISTERS,
		.name = places[number - 1].name,
		.read = com_read,
		.write = com_write,
		.opaque = com,
	};
	serial_back_lock(back);
	uart_init(&com->uart, serial_back_tty(back), NULL, NULL);
	serial_back_unlock(back);
	machine_add_ports(m, vtl, &com->region);
	return com;
}

void com_free(struct com_port *com)
{
	if (!com)
		return;
	serial_back_lock(com->back);
	com->uart.tty->front = NULL;
	serial_back_unlock(com->back);
	free(com);
}

void com_print_stats(struct com_port *com, FILE *out)
{
	serial_back_lock(com->back);
	fprintf(out,
		"{\"bytes_in\":%llu,\"bytes_lost_out\":%llu,"
		"\"bytes_out\":%llu}",
		(unsigned long long)com->uart.bytes_in,
		(unsigned long long)com->uart.bytes_lost_out,
		(unsigned long long)com->uart.bytes_out);
	serial_back_unlock(com->back);
}
