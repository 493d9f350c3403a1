/* SPDX-License-Identifier: MIT */
/*
 * A byte stream with back-pressure: what a serial port is connected to.
 *
 * Two sides meet here. The *front* is a device model (a 16550); the *back* is
 * where the bytes go (a file, a socket, a VMBus serial channel). Neither side
 * ever drops a byte on its own: a side that cannot take bytes says so and
 * later tells the other that there is room again.
 *
 * Threads: all calls for one tty are made under whatever serialises its
 * device model (a VP's reactor in the daemon, the device lock in vmm).
 * Ownership: the back embeds `struct tty` and outlives the front.
 */
#ifndef PV_TTY_H
#define PV_TTY_H

#include <stddef.h>
#include <stdint.h>

struct tty;

struct tty_back_ops {
	/* Takes up to `len` bytes from the guest; returns how many were taken
	 * (0 = full; front->room() follows when that changes). */
	size_t (*write)(struct tty *tty, const uint8_t *data, size_t len);
	/* Gives up to `len` bytes to the guest; returns how many (0 = none;
	 * front->readable() follows when there are some). */
	size_t (*read)(struct tty *tty, uint8_t *data, size_t len);
	/* The guest's modem control lines changed. May be NULL. */
	void (*modem)(struct tty *tty, unsigned int dtr, unsigned int rts);
};

struct tty_front_ops {
	void (*room)(void *front);
	void (*readable)(void *front);
};

struct tty {
	const struct tty_back_ops *back;
	const struct tty_front_ops *front; /* NULL until a device is attached */
	void *front_opaque;
};

#endif
