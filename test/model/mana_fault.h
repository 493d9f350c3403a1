/* SPDX-License-Identifier: MIT */
/*
 * Faults of the MANA model, by name: what a device does wrong, and when.
 * mana_fault.c has the table, with what each of them is.
 */
#ifndef MODEL_MANA_FAULT_H
#define MODEL_MANA_FAULT_H

#include <stdint.h>

struct mana;

#define MANA_FAULT_NONE "none" /* ends all that were set */
#define MANA_MAX_FAULTS 8u     /* at a time */
#define MANA_ANY_VPORT UINT32_MAX

/*
 * Sets one, beside those that are: of what the fault is about (a message, a
 * completion, an event ...) `skip` pass, then `count` meet it, 0: all. What a
 * device does of its own accord it does at once, `count` times. `vport` is
 * whose queues it is about; messages and the function as a whole are nobody's
 * and take MANA_ANY_VPORT too.
 *
 * NULL; or the rule that is broken, as text that stays. Any thread but the
 * device's; it holds when this returns.
 */
const char *mana_fault_set(struct mana *m, const char *name, uint32_t count,
			   uint32_t skip, uint32_t vport);

/* Names of the table, in its order, and what they do; NULL behind the last. */
const char *mana_fault_name(unsigned int i);
const char *mana_fault_effect(unsigned int i);

#endif
