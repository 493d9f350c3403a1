// SPDX-License-Identifier: MIT
/*
 * The VMBus device of a virtual PCI bus: packets of the channel become
 * messages of the protocol (vpci.c) and its answers packets.
 *
 * Everything runs on the device thread, so a completion comes while the VP
 * that waits for it spins, which Linux does with interrupts off when it makes
 * an interrupt. Before a packet is taken there must be room for the biggest
 * answer; a client that makes no room is not served.
 */
#include <errno.h>
#include <stddef.h>

#include "relay/ring_reg.h"
#include "vpci_bus.h"

static struct vpci_bus *of(struct vmbus_device *dev)
{
	return (struct vpci_bus *)((char *)dev -
				   offsetof(struct vpci_bus, device));
}

static int channel_open(struct vmbus_device *dev, struct vmbus_channel *ch)
{
	ch->opaque = of(dev);
	return 0;
}

/* True if the channel goes on. */
static bool handle(struct vmbus_channel *ch, const struct ring_packet *packet)
{
	struct vpci_answer answer;
	const char *rule;
	uint32_t offset;
	uint64_t value;
	int err = 0;

	rule = packet->type != RING_PACKET_INBAND ?
		       "packets of this channel are in-band" :
		       vpci_message(ch->opaque, packet->payload,
				    packet->payload_size, &answer, &offset,
				    &value);
	if (rule) {
		if (packet->type != RING_PACKET_INBAND) {
			offset = 0;
			value = packet->type;
		}
		vmbus_channel_violation(ch, packet->type, offset, value, rule);
		return false;
	}
	if (answer.kind == VPCI_SEPARATE)
		err = ring_write(&ch->ring, RING_PACKET_INBAND, 0, 0, NULL, 0,
				 answer.data, answer.size);
	else if (answer.kind == VPCI_COMPLETION && packet->wants_completion)
		err = ring_write(&ch->ring, RING_PACKET_COMPLETION, 0,
				 packet->transaction, NULL, 0, answer.data,
				 answer.size);
	/* take_packets() saw to the room, so this is a broken ring. */
	if (err)
		vmbus_channel_violation(ch, packet->type, 0,
					ch->ring.broken_value,
					"no room for an answer");
	return !err;
}

/* Takes packets while there are some and room for answers. False: the channel
 * is being stopped. */
static bool take_packets(struct vmbus_channel *ch)
{
	struct vpci_bus *bus = ch->opaque;
	uint32_t space = ring_packet_space(0, VPCI_ANSWER_SIZE);
	struct ring_packet packet;

	while (ring_has_room(&ch->ring, space)) {
		int err = ring_read(&ch->ring, bus->buffer,
				    sizeof(bus->buffer), &packet);

		if (err == -EPROTO)
			vmbus_channel_violation(ch, 0, 0,
						ch->ring.broken_value,
						ch->ring.broken);
		if (err)
			return err == -EAGAIN;
		if (!handle(ch, &packet))
			return false;
	}
	return true;
}

static void channel_run(struct vmbus_channel *ch)
{
	uint32_t space = ring_packet_space(0, VPCI_ANSWER_SIZE);
	bool more, signal;

	do {
		if (!take_packets(ch))
			return;
		signal = ring_read_end(&ch->ring, &more);
		signal |= ring_write_end(&ch->ring);
		if (signal)
			vmbus_channel_signal(ch);
	} while (more && ring_has_room(&ch->ring, space));
}

static void channel_close(struct vmbus_channel *ch)
{
	vpci_reset(ch->opaque);
	vmbus_channel_closed(ch);
}

static const struct vmbus_device_ops ops = {
	.name = "vpci",
	.open = channel_open,
	.run = channel_run,
	.close = channel_close,
};

struct vmbus_device *vpci_device(struct vpci_bus *bus)
{
	bus->device.ops = &ops;
	return &bus->device;
}
