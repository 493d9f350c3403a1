// SPDX-License-Identifier: MIT
/*
 * VMBus serial ports of the host, theory of operation
 *
 * Joins the server's side of the serial protocol (relay/serial_server.c) with a
 * stream of the host (serial_back.c). Both are called under the stream's
 * lock; everything runs on the device thread.
 *
 * While no client has the channel open the stream keeps what comes in, and
 * the counters add up over all clients.
 */
#include <stdlib.h>

#include "pipe_device.h"
#include "relay/serial.h"
#include "serial_device.h"

struct serial_device {
	struct pipe_device pipe;
	struct serial_back *back;
	struct serial_server server;
	bool open;
	struct serial_counters before; /* of earlier clients */
};

static struct serial_device *of(struct pipe_device *pd)
{
	return (struct serial_device *)pd;
}

static struct pipe_user *opened(struct pipe_device *pd)
{
	struct serial_device *serial = of(pd);

	serial_server_start(&serial->server, serial_back_name(serial->back),
			    serial_back_tty(serial->back), &pd->pipe);
	serial->open = true;
	return &serial->server.user;
}

static void add(struct serial_counters *sum, const struct serial_counters *c)
{
	sum->bytes_out += c->bytes_out;
	sum->bytes_in += c->bytes_in;
	sum->bytes_lost += c->bytes_lost;
	sum->messages_out += c->messages_out;
	sum->messages_in += c->messages_in;
	sum->refused += c->refused;
}

static void closed(struct pipe_device *pd)
{
	struct serial_device *serial = of(pd);

	serial_server_stop(&serial->server);
	serial->open = false;
	add(&serial->before, &serial->server.count);
}

static void lock(struct pipe_device *pd)
{
	serial_back_lock(of(pd)->back);
}

static void unlock(struct pipe_device *pd)
{
	serial_back_unlock(of(pd)->back);
}

static const struct pipe_device_ops ops = {
	.name = "serial",
	.opened = opened,
	.closed = closed,
	.lock = lock,
	.unlock = unlock,
};

struct serial_device *serial_device_create(unsigned int number,
					   struct serial_back *back)
{
	static const struct guid interface = SERIAL_INTERFACE;
	static const struct guid instances[] = { SERIAL_INSTANCE_COM1,
						 SERIAL_INSTANCE_COM2 };
	struct serial_device *serial = calloc(1, sizeof(*serial));

	if (!serial)
		return NULL;
	serial->back = back;
	pipe_device_init(&serial->pipe, &ops, &interface,
			 &instances[number - 1]);
	return serial;
}

struct vmbus_device *serial_device_offer(struct serial_device *serial)
{
	return &serial->pipe.device;
}

void serial_device_destroy(struct serial_device *serial)
{
	free(serial);
}

void serial_device_print_stats(struct serial_device *serial, FILE *out)
{
	struct serial_counters now;

	serial_back_lock(serial->back);
	now = serial->before;
	if (serial->open)
		add(&now, &serial->server.count);
	serial_back_unlock(serial->back);
	fprintf(out,
		"{\"bytes_in\":%llu,\"bytes_lost\":%llu,\"bytes_out\":%llu,"
		"\"messages_in\":%llu,\"messages_out\":%llu,\"refused\":%llu}",
		(unsigned long long)now.bytes_in,
		(unsigned long long)now.bytes_lost,
		(unsigned long long)now.bytes_out,
		(unsigned long long)now.messages_in,
		(unsigned long long)now.messages_out,
		(unsigned long long)now.refused);
}
