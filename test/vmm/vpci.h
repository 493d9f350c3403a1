/* SPDX-License-Identifier: MIT */
/*
 * A virtual PCI bus with one function, offered over VMBus.
 *
 * A bus is two things: the protocol of its channel (vpci.c), which knows
 * messages and answers, and the VMBus device around it (vpci_channel.c).
 */
#ifndef VMM_VPCI_H
#define VMM_VPCI_H

#include <guid.h>

#include "machine.h"
#include "model/pci_function.h"
#include "msi.h"

struct vpci_bus;
struct vmbus_device;

/* `instance`: its bytes 4 and 5 are the PCI domain that Linux gives to the
 * bus; make them unique and not 0. The function must outlive the bus. NULL:
 * out of memory. */
struct vpci_bus *vpci_create(struct machine *m, enum vtl vtl,
			     struct msi_router *msi,
			     const struct guid *instance,
			     struct pci_function *function);
/* After the channel is closed and no VP runs. NULL is harmless. */
void vpci_destroy(struct vpci_bus *bus);

/* vpci_channel.c: to be offered. */
struct vmbus_device *vpci_device(struct vpci_bus *bus);

/* ---- the protocol ---- */

enum vpci_answer_kind {
	VPCI_NO_ANSWER,
	VPCI_COMPLETION, /* of the message that was handled */
	VPCI_SEPARATE,	 /* a message of our own */
};

#define VPCI_ANSWER_SIZE 64u /* at most */

struct vpci_answer {
	enum vpci_answer_kind kind;
	uint32_t size;
	uint8_t data[VPCI_ANSWER_SIZE];
};

/*
 * Handles one message. Returns NULL and the answer, or the rule of the
 * protocol that the message breaks, with the offset of what breaks it and its
 * value. The device thread: interrupts must be answered while a VP waits with
 * interrupts off.
 */
const char *vpci_message(struct vpci_bus *bus, const void *message,
			 uint32_t size, struct vpci_answer *answer,
			 uint32_t *offset, uint64_t *value);

/* The channel is closed: window and BAR vanish, interrupts are freed, the
 * function is reset. The device thread. */
void vpci_reset(struct vpci_bus *bus);

#endif
