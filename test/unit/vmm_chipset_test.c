/* SPDX-License-Identifier: MIT */
/* SOURCES: test/vmm/chipset.c paravisor/chipset/chipset.c paravisor/chipset/bus.c paravisor/chipset/ioapic.c */
/* SOURCES: paravisor/chipset/pm.c paravisor/chipset/rtc.c paravisor/chipset/uart.c */
/* SOURCES: paravisor/inspect.c paravisor/log.c */
/*
 * The platform of a guest without VTL2: ports and MMIO reach the chipset, its
 * interrupts and endings reach the machine, streams and UARTs do not deadlock.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pv/reactor.h>

#include "stderr_capture.h"
#include "test/vmm/chipset.h"

#define IOAPIC 0xfec00000ull
#define COM1 0x3f8u
#define COM2 0x2f8u
#define IER 1u
#define MCR 4u
#define LSR 5u
#define ROUNDS 20000u

/* A stream: what was written, and one byte to read at a time. */
struct serial_back {
	struct tty tty; /* first */
	pthread_mutex_t lock;
	char out[64];
	size_t len;
	int in; /* -1: none */
	bool full;
	unsigned int taken;
};

static struct serial_back streams[2];
static struct vtl0_chipset *cs;
static struct io_region *ports, *mmio;
static void (*end_of_interrupt)(void *opaque, uint8_t vector);
static void *eoi_opaque;
static struct {
	unsigned int count;
	uint64_t address;
	uint32_t data;
	int result;
} msi;
static int stopped;

/* What chipset.c needs of the rest. */

void machine_add_ports(struct machine *m, enum vtl vtl, struct io_region *r)
{
	(void)m;
	assert_int_equal(vtl, VTL0);
	ports = r;
}

int machine_add_mmio(struct machine *m, enum vtl vtl, struct io_region *r)
{
	(void)m;
	assert_int_equal(vtl, VTL0);
	mmio = r;
	return 0;
}

void machine_set_eoi(struct machine *m,
		     void (*eoi)(void *opaque, uint8_t vector), void *opaque)
{
	(void)m;
	end_of_interrupt = eoi;
	eoi_opaque = opaque;
}

int machine_send_msi(struct machine *m, uint64_t address, uint32_t data)
{
	(void)m;
	msi.count++;
	msi.address = address;
	msi.data = data;
	return msi.result;
}

void machine_stop(struct machine *m, int status, const char *why, ...)
{
	(void)m;
	(void)why;
	stopped = status;
}

uint64_t reactor_now(void)
{
	return 0;
}

struct tty *serial_back_tty(struct serial_back *back)
{
	return &back->tty;
}

void serial_back_lock(struct serial_back *back)
{
	pthread_mutex_lock(&back->lock);
}

void serial_back_unlock(struct serial_back *back)
{
	pthread_mutex_unlock(&back->lock);
}

/* Both want the stream's lock held: an error-checking mutex tells. */
static void assert_locked(struct serial_back *back)
{
	assert_int_equal(pthread_mutex_lock(&back->lock), EDEADLK);
}

static size_t stream_write(struct tty *tty, const uint8_t *data, size_t len)
{
	struct serial_back *back = (struct serial_back *)tty;

	assert_locked(back);
	if (back->full)
		return 0;
	back->taken += len;
	for (size_t i = 0; i < len && back->len < sizeof(back->out); i++)
		back->out[back->len++] = (char)data[i];
	return len;
}

static size_t stream_read(struct tty *tty, uint8_t *data, size_t len)
{
	struct serial_back *back = (struct serial_back *)tty;

	assert_locked(back);
	if (!len || back->in < 0)
		return 0;
	*data = (uint8_t)back->in;
	back->in = -1;
	return 1;
}

static const struct tty_back_ops stream_ops = {
	.write = stream_write,
	.read = stream_read,
};

static int setup(void **state)
{
	pthread_mutexattr_t attr;

	(void)state;
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ERRORCHECK);
	for (unsigned int i = 0; i < 2; i++) {
		memset(&streams[i], 0, sizeof(streams[i]));
		streams[i].in = -1;
		streams[i].tty.back = &stream_ops;
		pthread_mutex_init(&streams[i].lock, &attr);
	}
	memset(&msi, 0, sizeof(msi));
	stopped = -1;
	cs = vtl0_chipset_create(NULL, &streams[0], &streams[1]);
	assert_non_null(cs);
	return 0;
}

static void out(uint16_t port, unsigned int size, uint32_t value)
{
	ports->write(ports->opaque, port, size, value);
}

static uint64_t in(uint16_t port, unsigned int size)
{
	return ports->read(ports->opaque, port, size);
}

/* Redirection entry of `pin`. */
static void route(unsigned int pin, uint32_t low, uint32_t high)
{
	mmio->write(mmio->opaque, 0x00, 4, 0x11 + 2 * pin);
	mmio->write(mmio->opaque, 0x10, 4, high);
	mmio->write(mmio->opaque, 0x00, 4, 0x10 + 2 * pin);
	mmio->write(mmio->opaque, 0x10, 4, low);
}

static void bytes_arrive(void **state)
{
	(void)state;
	assert_int_equal(ports->base, 0);
	assert_int_equal(ports->size, 0x10000);
	out(COM1, 1, 'a');
	out(COM2, 1, 'b');
	/* A word is two registers: THR and IER. */
	out(COM1, 2, 'c');
	assert_int_equal(streams[0].len, 2);
	assert_memory_equal(streams[0].out, "ac", 2);
	assert_int_equal(streams[1].len, 1);
	assert_memory_equal(streams[1].out, "b", 1);
}

/* Pin 4 edge to VP 1's APIC; pin 3 is COM2's. */
static void edges(void **state)
{
	(void)state;
	route(4, 0x31, 1u << 24);
	out(COM1 + MCR, 1, 0x0b);
	out(COM1 + IER, 1, 0x02);
	assert_int_equal(msi.count, 1);
	assert_int_equal(msi.address, 0xfee01000);
	assert_int_equal(msi.data, 0x31);
	out(COM2 + IER, 1, 0x02); /* masked */
	assert_int_equal(msi.count, 1);
	route(3, 0x0900 | 0x42, 3u << 24); /* logical, lowest priority */
	in(COM2 + 2, 1); /* IIR: ends the request */
	out(COM2, 1, 'x');
	assert_int_equal(msi.count, 2);
	assert_int_equal(msi.address, 0xfee03004);
	assert_int_equal(msi.data, 0x142);
}

/* The real SCI: the power button's status bit is not ours to press, but the
 * UART's line on a level-triggered pin behaves the same. */
static void levels(void **state)
{
	(void)state;
	route(4, 1u << 15 | 0x51, 0);
	out(COM1 + IER, 1, 0x02);
	assert_int_equal(msi.count, 1);
	assert_int_equal(msi.data, 0xc051);
	end_of_interrupt(eoi_opaque, 0x52); /* another's */
	assert_int_equal(msi.count, 1);
	end_of_interrupt(eoi_opaque, 0x51); /* still active: again */
	assert_int_equal(msi.count, 2);
	in(COM1 + 2, 1);
	end_of_interrupt(eoi_opaque, 0x51);
	assert_int_equal(msi.count, 2);
}

static void refused_message(void **state)
{
	const char *line;

	(void)state;
	msi.result = -EINVAL;
	route(4, 0x31, 0);
	capture_stderr();
	out(COM1 + IER, 1, 0x02);
	line = captured_stderr();
	assert_true(is_one_line(line));
	assert_non_null(strstr(line, "vector 0x31"));
}

/* From the stream's side, with its lock held, as serial_back.c calls. */
static void input_and_room(void **state)
{
	struct serial_back *back = &streams[0];

	(void)state;
	route(4, 0x31, 0);
	out(COM1 + IER, 1, 0x01);
	serial_back_lock(back);
	back->in = 'z';
	back->tty.front->readable(back->tty.front_opaque);
	serial_back_unlock(back);
	assert_int_equal(msi.count, 1);
	assert_int_equal(in(COM1 + LSR, 1) & 1, 1);
	assert_int_equal(in(COM1, 1), 'z');
	assert_int_equal(in(COM1 + LSR, 1) & 1, 0);

	back->full = true;
	out(COM1, 1, 'q');
	assert_int_equal(in(COM1 + LSR, 1) & 0x60, 0);
	serial_back_lock(back);
	back->full = false;
	back->tty.front->room(back->tty.front_opaque);
	serial_back_unlock(back);
	assert_int_equal(in(COM1 + LSR, 1) & 0x60, 0x60);
	assert_memory_equal(back->out, "q", 1);
}

static void *loop_side(void *arg)
{
	struct serial_back *back = arg;

	for (unsigned int i = 0; i < ROUNDS; i++) {
		serial_back_lock(back);
		back->in = 'y';
		back->tty.front->readable(back->tty.front_opaque);
		back->tty.front->room(back->tty.front_opaque);
		serial_back_unlock(back);
	}
	return NULL;
}

/* One lock order, whoever calls: this test ends. */
static void both_sides_at_once(void **state)
{
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, loop_side, &streams[0]),
			 0);
	for (unsigned int i = 0; i < ROUNDS; i++) {
		out(COM1, 1, 'x');
		in(COM1, 1);
		in(0x408, 4);
	}
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(streams[0].taken, ROUNDS);
}

static void endings(void **state)
{
	(void)state;
	out(0x404, 2, 5u << 10 | 1u << 13); /* SLP_EN, S5 */
	assert_int_equal(stopped, VMM_OK);
	out(0xcf9, 1, 0x06);
	assert_int_equal(stopped, VMM_RESET);
}

static void power_up_again(void **state)
{
	(void)state;
	route(4, 0x31, 0);
	out(COM1 + IER, 1, 0x02);
	assert_int_equal(msi.count, 1);
	vtl0_chipset_reset(cs);
	assert_int_equal(in(COM1 + IER, 1), 0);
	out(COM1 + IER, 1, 0x02); /* the pin is masked again */
	assert_int_equal(msi.count, 1);
	/* Stream and UART are still connected. */
	out(COM1, 1, 'r');
	assert_memory_equal(streams[0].out, "r", 1);
}

static void nobody_there(void **state)
{
	(void)state;
	assert_int_equal(in(0x80, 1), 0xff);
	assert_int_equal(in(0x3e8, 1), 0xff); /* COM3 is VTL2's */
	assert_int_equal(in(0x64, 1), 0);
	assert_int_equal(mmio->base, IOAPIC);
	mmio->write(mmio->opaque, 0, 4, 1);
	assert_int_equal(mmio->read(mmio->opaque, 0x10, 4), 0x170011);
}

/* Last: counters of all of it. The entry stays in the tree, so no teardown
 * comes before. */
static void stats(void **state)
{
	char *text = NULL;
	size_t len = 0;
	FILE *file = open_memstream(&text, &len);

	(void)state;
	out(COM1, 1, 's');
	vtl0_chipset_print_stats(file);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(text[0], '{');
	assert_non_null(strstr(text, "\"ioapic_asserts\":"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(bytes_arrive, setup),
		cmocka_unit_test_setup(edges, setup),
		cmocka_unit_test_setup(levels, setup),
		cmocka_unit_test_setup(refused_message, setup),
		cmocka_unit_test_setup(input_and_room, setup),
		cmocka_unit_test_setup(both_sides_at_once, setup),
		cmocka_unit_test_setup(endings, setup),
		cmocka_unit_test_setup(power_up_again, setup),
		cmocka_unit_test_setup(nobody_there, setup),
		cmocka_unit_test_setup(stats, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
