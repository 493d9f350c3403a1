/* SPDX-License-Identifier: MIT */
/* SOURCES: paravisor/chipset/uart.c */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <pv/uart.h>

#include "paravisor/chipset/uart_reg.h"

/* The other end of the line: takes `room` bytes, then says no. */
struct line {
	struct tty tty;
	uint8_t taken[4096];
	size_t nr_taken, room;
	uint8_t given[4096];
	size_t nr_given, given_at;
	unsigned int dtr, rts, modem_calls;

	struct uart uart;
	bool irq;
	unsigned int edges; /* low to high */
};

static size_t line_write(struct tty *tty, const uint8_t *data, size_t len)
{
	struct line *line = (struct line *)tty;

	if (len > line->room)
		len = line->room;
	memcpy(line->taken + line->nr_taken, data, len);
	line->nr_taken += len;
	line->room -= len;
	return len;
}

static size_t line_read(struct tty *tty, uint8_t *data, size_t len)
{
	struct line *line = (struct line *)tty;

	if (len > line->nr_given - line->given_at)
		len = line->nr_given - line->given_at;
	memcpy(data, line->given + line->given_at, len);
	line->given_at += len;
	return len;
}

static void line_modem(struct tty *tty, unsigned int dtr, unsigned int rts)
{
	struct line *line = (struct line *)tty;

	line->dtr = dtr;
	line->rts = rts;
	line->modem_calls++;
}

static const struct tty_back_ops line_ops = { line_write, line_read,
					      line_modem };

static void irq_changed(void *opaque, bool level)
{
	struct line *line = opaque;

	/* Called on changes only. */
	assert_int_not_equal(level, line->irq);
	line->irq = level;
	line->edges += level;
}

static struct line line;

static int set_up(void **state)
{
	memset(&line, 0, sizeof(line));
	line.tty.back = &line_ops;
	line.room = sizeof(line.taken);
	uart_init(&line.uart, &line.tty, irq_changed, &line);
	*state = &line.uart;
	return 0;
}

static void give(const void *data, size_t len)
{
	memcpy(line.given + line.nr_given, data, len);
	line.nr_given += len;
	line.tty.front->readable(line.tty.front_opaque);
}

static void make_room(size_t room)
{
	line.room = room;
	line.tty.front->room(line.tty.front_opaque);
}

static void after_reset(void **state)
{
	struct uart *u = *state;

	assert_int_equal(uart_read(u, UART_IER), 0);
	assert_int_equal(uart_read(u, UART_IIR), IIR_NONE);
	assert_int_equal(uart_read(u, UART_LCR), 0);
	assert_int_equal(uart_read(u, UART_MCR), 0);
	assert_int_equal(uart_read(u, UART_LSR), LSR_THRE | LSR_TEMT);
	assert_int_equal(uart_read(u, UART_MSR), MSR_DCD | MSR_DSR | MSR_CTS);
	assert_int_equal(line.edges, 0);
}

static void registers_keep_what_they_hold(void **state)
{
	struct uart *u = *state;

	uart_write(u, UART_SCR, 0x5a);
	assert_int_equal(uart_read(u, UART_SCR), 0x5a);
	uart_write(u, UART_IER, 0xff);
	assert_int_equal(uart_read(u, UART_IER), 0x0f);
	uart_write(u, UART_IER, 0);
	uart_write(u, UART_MCR, 0xe3);
	assert_int_equal(uart_read(u, UART_MCR), 0x03);
	uart_write(u, UART_LCR, LCR_DLAB | 3);
	uart_write(u, UART_DLL, 0x34);
	uart_write(u, UART_DLM, 0x12);
	assert_int_equal(uart_read(u, UART_DLL), 0x34);
	assert_int_equal(uart_read(u, UART_DLM), 0x12);
	uart_write(u, UART_LCR, 3);
	/* The divisor is neither data nor the interrupt mask. */
	assert_int_equal(uart_read(u, UART_IER), 0);
	assert_int_equal(line.nr_taken, 0);
	/* Read-only registers. */
	uart_write(u, UART_LSR, 0xff);
	uart_write(u, UART_MSR, 0x0f);
	assert_int_equal(uart_read(u, UART_LSR), LSR_THRE | LSR_TEMT);
	assert_int_equal(uart_read(u, UART_MSR) & MSR_CHANGES, 0);
}

static void fifo_bits_show_in_iir(void **state)
{
	struct uart *u = *state;

	uart_write(u, UART_FCR, FCR_ENABLE);
	assert_int_equal(uart_read(u, UART_IIR), IIR_FIFOS | IIR_NONE);
	/* Without the enable bit the others are not programmed. */
	uart_write(u, UART_FCR, 0xc0);
	assert_int_equal(uart_read(u, UART_IIR), IIR_NONE);
	assert_int_equal(u->fcr, 0);
}

static void bytes_go_out_in_order(void **state)
{
	static const char text[] = "Linux version";
	struct uart *u = *state;

	for (const char *p = text; *p; p++) {
		assert_int_equal(uart_read(u, UART_LSR) & LSR_THRE, LSR_THRE);
		uart_write(u, UART_THR, *p);
	}
	assert_int_equal(line.nr_taken, strlen(text));
	assert_memory_equal(line.taken, text, strlen(text));
	assert_int_equal(u->bytes_out, strlen(text));
}

/* A driver that obeys THRE loses nothing, whatever the other end does. */
static void full_line_holds_the_driver_back(void **state)
{
	struct uart *u = *state;
	unsigned int sent = 0;

	uart_write(u, UART_FCR, FCR_ENABLE);
	make_room(5);
	for (int turn = 0; turn < 100; turn++) {
		if (uart_read(u, UART_LSR) & LSR_THRE)
			for (int i = 0; i < UART_FIFO_SIZE; i++)
				uart_write(u, UART_THR, sent++);
		else
			make_room(turn % 7);
	}
	make_room(100);
	assert_int_equal(uart_read(u, UART_LSR), LSR_THRE | LSR_TEMT);
	assert_int_equal(line.nr_taken, sent);
	assert_true(sent > 100);
	for (unsigned int i = 0; i < sent; i++)
		assert_int_equal(line.taken[i], i & 0xff);
	assert_int_equal(u->bytes_lost_out, 0);
}

static void without_fifos_one_byte_waits(void **state)
{
	struct uart *u = *state;

	make_room(0);
	uart_write(u, UART_THR, 'a');
	assert_int_equal(uart_read(u, UART_LSR), 0);
	uart_write(u, UART_THR, 'b'); /* the driver's mistake, counted */
	assert_int_equal(u->bytes_lost_out, 1);
	make_room(10);
	assert_int_equal(line.nr_taken, 1);
	assert_int_equal(line.taken[0], 'a');
}

static void thre_interrupt_is_a_latch(void **state)
{
	struct uart *u = *state;

	uart_write(u, UART_IER, IER_THRE);
	assert_true(line.irq);
	assert_int_equal(uart_read(u, UART_IIR), IIR_THRE);
	assert_false(line.irq); /* the read that reported it cleared it */
	assert_int_equal(uart_read(u, UART_IIR), IIR_NONE);

	/* Off and on again: drivers probe for this. */
	uart_write(u, UART_IER, 0);
	uart_write(u, UART_IER, IER_THRE);
	assert_int_equal(uart_read(u, UART_IIR), IIR_THRE);
	/* On and on: nothing new. */
	uart_write(u, UART_IER, IER_THRE);
	assert_int_equal(uart_read(u, UART_IIR), IIR_NONE);
}

static void iir_read_of_another_cause_keeps_thre(void **state)
{
	struct uart *u = *state;

	give("x", 1);
	uart_write(u, UART_IER, IER_THRE | IER_RDA);
	assert_int_equal(uart_read(u, UART_IIR), IIR_RDA);
	assert_int_equal(uart_read(u, UART_RBR), 'x');
	assert_int_equal(uart_read(u, UART_IIR), IIR_THRE);
	assert_int_equal(uart_read(u, UART_IIR), IIR_NONE);
}

/* What an interrupt-driven driver does: sixteen bytes per interrupt. */
static void a_burst_costs_one_edge(void **state)
{
	struct uart *u = *state;
	unsigned int before;

	uart_write(u, UART_FCR, FCR_ENABLE);
	uart_write(u, UART_IER, IER_THRE);
	assert_int_equal(uart_read(u, UART_IIR), IIR_FIFOS | IIR_THRE);
	before = line.edges;
	for (int i = 0; i < UART_FIFO_SIZE; i++)
		uart_write(u, UART_THR, i);
	assert_int_equal(line.edges, before + 1);
	assert_true(line.irq);
}

static void thre_comes_when_the_line_has_taken_all(void **state)
{
	struct uart *u = *state;

	uart_write(u, UART_FCR, FCR_ENABLE);
	make_room(1);
	uart_write(u, UART_IER, IER_THRE);
	uart_read(u, UART_IIR);
	for (int i = 0; i < 3; i++)
		uart_write(u, UART_THR, i);
	make_room(1);
	assert_false(line.irq);
	make_room(1);
	assert_true(line.irq);
	assert_int_equal(uart_read(u, UART_IIR), IIR_FIFOS | IIR_THRE);
}

static void input_waits_on_the_line_not_in_the_uart(void **state)
{
	struct uart *u = *state;
	uint8_t bytes[100];

	uart_write(u, UART_FCR, FCR_ENABLE);
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = i;
	give(bytes, sizeof(bytes));
	assert_int_equal(line.given_at, UART_FIFO_SIZE);
	for (size_t i = 0; i < sizeof(bytes); i++) {
		assert_int_equal(uart_read(u, UART_LSR) & (LSR_DR | LSR_OE),
				 LSR_DR);
		assert_int_equal(uart_read(u, UART_RBR), i);
	}
	assert_int_equal(uart_read(u, UART_LSR) & LSR_DR, 0);
	assert_int_equal(u->bytes_in, sizeof(bytes));
}

static void trigger_level_separates_data_from_timeout(void **state)
{
	static const unsigned int levels[] = { 1, 4, 8, 14 };
	struct uart *u = *state;

	for (unsigned int i = 0; i < 4; i++) {
		uart_write(u, UART_FCR, FCR_ENABLE | FCR_RESET_RX |
				i << FCR_TRIGGER_SHIFT);
		uart_write(u, UART_IER, IER_RDA);
		for (unsigned int n = 1; n <= levels[i]; n++) {
			give("y", 1);
			assert_true(line.irq);
			assert_int_equal(uart_read(u, UART_IIR) & 0x0f,
					 n < levels[i] ? IIR_TIMEOUT :
							 IIR_RDA);
		}
	}
}

static void loopback_reaches_the_receiver_and_nobody_else(void **state)
{
	struct uart *u = *state;

	uart_write(u, UART_MCR, MCR_LOOP);
	uart_write(u, UART_THR, 'L');
	assert_int_equal(uart_read(u, UART_RBR), 'L');
	assert_int_equal(line.nr_taken, 0);
	/* The line is cut off while looped, and heard again afterwards. */
	give("z", 1);
	assert_int_equal(uart_read(u, UART_LSR) & LSR_DR, 0);
	uart_write(u, UART_MCR, 0);
	assert_int_equal(uart_read(u, UART_RBR), 'z');
}

static void loopback_overruns(void **state)
{
	struct uart *u = *state;

	uart_write(u, UART_IER, IER_RLS);
	uart_write(u, UART_FCR, FCR_ENABLE);
	uart_write(u, UART_MCR, MCR_LOOP);
	for (int i = 0; i <= UART_FIFO_SIZE; i++)
		uart_write(u, UART_THR, i);
	assert_int_equal(uart_read(u, UART_IIR), IIR_FIFOS | IIR_RLS);
	assert_int_equal(uart_read(u, UART_LSR) & LSR_OE, LSR_OE);
	assert_int_equal(uart_read(u, UART_LSR) & LSR_OE, 0);
	assert_int_equal(uart_read(u, UART_IIR), IIR_FIFOS | IIR_NONE);
	/* The FIFO keeps the old bytes; the new one is lost. */
	for (int i = 0; i < UART_FIFO_SIZE; i++)
		assert_int_equal(uart_read(u, UART_RBR), i);

	/* Without FIFOs the new byte replaces the old. */
	uart_write(u, UART_FCR, 0);
	uart_write(u, UART_THR, 'a');
	uart_write(u, UART_THR, 'b');
	assert_int_equal(uart_read(u, UART_LSR) & LSR_OE, LSR_OE);
	assert_int_equal(uart_read(u, UART_RBR), 'b');
}

static void looped_modem_lines(void **state)
{
	struct uart *u = *state;

	/* The probe of Linux' 8250 driver. */
	uart_write(u, UART_MCR, MCR_LOOP | MCR_OUT2 | MCR_RTS);
	assert_int_equal(uart_read(u, UART_MSR) & 0xf0, MSR_DCD | MSR_CTS);
	/* DSR went away in the same write; the read has cleared that. */
	assert_int_equal(uart_read(u, UART_MSR) & MSR_CHANGES, 0);

	uart_write(u, UART_IER, IER_MODEM);
	uart_write(u, UART_MCR, MCR_LOOP | MCR_OUT1 | MCR_OUT2 | MCR_RTS);
	assert_int_equal(uart_read(u, UART_MSR), MSR_DCD | MSR_CTS | MSR_RI);
	uart_write(u, UART_MCR, MCR_LOOP | MCR_OUT2 | MCR_DTR);
	assert_true(line.irq);
	assert_int_equal(uart_read(u, UART_IIR), IIR_MODEM);
	assert_int_equal(uart_read(u, UART_MSR), MSR_DCD | MSR_DSR | MSR_TERI |
			 MSR_DCTS | MSR_DDSR);
	assert_false(line.irq);
}

static void modem_outputs_reach_the_line(void **state)
{
	struct uart *u = *state;

	uart_write(u, UART_MCR, MCR_DTR | MCR_RTS | MCR_OUT2);
	assert_int_equal(line.dtr, 1);
	assert_int_equal(line.rts, 1);
	assert_int_equal(line.modem_calls, 1);
	uart_write(u, UART_MCR, MCR_DTR | MCR_RTS);
	assert_int_equal(line.modem_calls, 1); /* OUT2 is no line */
	uart_write(u, UART_MCR, MCR_DTR | MCR_RTS | MCR_LOOP);
	assert_int_equal(line.dtr, 0);
	assert_int_equal(line.rts, 0);
}

/* A line that always has more: bytes count up. */
static size_t endless_read(struct tty *tty, uint8_t *data, size_t len)
{
	struct line *l = (struct line *)tty;

	for (size_t i = 0; i < len; i++)
		data[i] = (uint8_t)l->given_at++;
	return len;
}

static const struct tty_back_ops endless_ops = { line_write, endless_read,
						 line_modem };

static uint8_t expected;

static void take_byte(struct uart *u)
{
	assert_int_equal(uart_read(u, UART_RBR), expected++);
}

/* Interrupt handlers as there are; each returns how many bytes it read. */

/* Linux: as long as IIR has a cause, and in it as long as LSR has data. */
static unsigned int loops_on_iir(struct uart *u)
{
	unsigned int n = 0;

	while (uart_read(u, UART_IIR) != (IIR_NONE | IIR_FIFOS) && n < 10000)
		while (uart_read(u, UART_LSR) & LSR_DR && n < 10000) {
			take_byte(u);
			n++;
		}
	return n;
}

/* One look at the cause; or none. */
static unsigned int loops_on_lsr(struct uart *u)
{
	unsigned int n = 0;

	if (uart_read(u, UART_IIR) == (IIR_NONE | IIR_FIFOS))
		return 0;
	while (uart_read(u, UART_LSR) & LSR_DR && n < 10000) {
		take_byte(u);
		n++;
	}
	return n;
}

static unsigned int knows_no_iir(struct uart *u)
{
	unsigned int n = 0;

	while (uart_read(u, UART_LSR) & LSR_DR && n < 10000) {
		take_byte(u);
		n++;
	}
	return n;
}

/* Whoever sends faster than a handler reads must not keep it for ever: others
 * wait for that CPU. It ends after some bytes, and is called again. */
static void a_handler_ends_though_input_does_not(void **state)
{
	static unsigned int (*const handlers[])(struct uart *) = {
		loops_on_iir, loops_on_lsr, knows_no_iir,
	};
	struct uart *u;

	for (size_t i = 0; i < sizeof(handlers) / sizeof(handlers[0]); i++) {
		unsigned int total = 0;

		set_up(state);
		u = *state;
		expected = 0;
		line.tty.back = &endless_ops;
		uart_write(u, UART_FCR, FCR_ENABLE | 3 << FCR_TRIGGER_SHIFT);
		uart_write(u, UART_IER, IER_RDA);
		for (unsigned int calls = 0; total < 5000; calls++) {
			unsigned int edges = line.edges, n;

			assert_true(calls < 1000);
			n = handlers[i](u);
			assert_in_range(n, 0, 256);
			total += n;
			/* Or nobody would call it again. */
			assert_true(line.edges > edges);
		}
	}
	/* Who asks for no interrupt is told of every byte at once. */
	set_up(state);
	u = *state;
	expected = 0;
	line.tty.back = &endless_ops;
	uart_write(u, UART_FCR, FCR_ENABLE);
	for (unsigned int n = 0; n < 5000; n++) {
		assert_true(uart_read(u, UART_LSR) & LSR_DR);
		take_byte(u);
	}
}

/* What comes before the driver has opened the port waits, in order. */
static void input_waits_for_dtr_and_rts(void **state)
{
	static const uint8_t one_line[] = { 0, MCR_DTR, MCR_RTS,
					    MCR_LOOP | MCR_DTR | MCR_RTS };
	struct uart *u = *state;

	uart_wait_for_rts(u, true);
	uart_write(u, UART_IER, IER_RDA);
	give("early", 5);
	for (unsigned int i = 0; i < sizeof(one_line); i++) {
		uart_write(u, UART_MCR, one_line[i]);
		assert_false(uart_read(u, UART_LSR) & LSR_DR);
		assert_false(line.irq);
		assert_int_equal(line.given_at, 0);
	}
	uart_write(u, UART_MCR, MCR_DTR | MCR_RTS);
	assert_true(line.irq);
	for (unsigned int i = 0; i < 5; i++)
		assert_int_equal(uart_read(u, UART_RBR), "early"[i]);
	/* Closed and reset, it waits again. */
	uart_write(u, UART_MCR, 0);
	give("more", 4);
	assert_false(line.irq);
	uart_write(u, UART_MCR, MCR_DTR | MCR_RTS);
	assert_int_equal(uart_read(u, UART_RBR), 'm');
	uart_reset(u);
	give("last", 4);
	assert_false(uart_read(u, UART_LSR) & LSR_DR);
	uart_wait_for_rts(u, false);
	assert_true(uart_read(u, UART_LSR) & LSR_DR);
}

static void interrupt_priorities(void **state)
{
	static const uint8_t order[] = { IIR_RLS, IIR_RDA, IIR_THRE,
					 IIR_MODEM, IIR_NONE };
	struct uart *u = *state;

	uart_write(u, UART_MCR, MCR_LOOP | MCR_RTS);
	uart_write(u, UART_THR, 1);
	uart_write(u, UART_THR, 2); /* overrun */
	uart_write(u, UART_IER, IER_MASK);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(uart_read(u, UART_IIR), order[i]);
		if (order[i] == IIR_RLS)
			uart_read(u, UART_LSR);
		else if (order[i] == IIR_RDA)
			uart_read(u, UART_RBR);
		else if (order[i] == IIR_MODEM)
			uart_read(u, UART_MSR);
	}
}

static void fifo_resets(void **state)
{
	struct uart *u = *state;

	uart_write(u, UART_FCR, FCR_ENABLE);
	give("abc", 3);
	make_room(0);
	uart_write(u, UART_THR, 'x');
	uart_write(u, UART_THR, 'y');
	uart_write(u, UART_FCR, FCR_ENABLE | FCR_RESET_RX);
	assert_int_equal(uart_read(u, UART_LSR), 0);
	uart_write(u, UART_FCR, FCR_ENABLE | FCR_RESET_TX);
	assert_int_equal(uart_read(u, UART_LSR), LSR_THRE | LSR_TEMT);
	assert_int_equal(u->bytes_lost_out, 2);
	make_room(10);
	assert_int_equal(line.nr_taken, 0);
	/* Turning the FIFOs off clears both. */
	make_room(0);
	give("d", 1);
	uart_write(u, UART_THR, 'z');
	uart_write(u, UART_FCR, 0);
	assert_int_equal(uart_read(u, UART_LSR), LSR_THRE | LSR_TEMT);
}

static void reset_keeps_the_line(void **state)
{
	struct uart *u = *state;

	uart_write(u, UART_IER, IER_THRE);
	uart_write(u, UART_MCR, MCR_DTR);
	assert_true(line.irq);
	uart_reset(u);
	assert_false(line.irq);
	assert_int_equal(line.dtr, 0);
	uart_write(u, UART_THR, 'r');
	assert_int_equal(line.taken[0], 'r');
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(after_reset),
		TEST(registers_keep_what_they_hold),
		TEST(fifo_bits_show_in_iir),
		TEST(bytes_go_out_in_order),
		TEST(full_line_holds_the_driver_back),
		TEST(without_fifos_one_byte_waits),
		TEST(thre_interrupt_is_a_latch),
		TEST(iir_read_of_another_cause_keeps_thre),
		TEST(a_burst_costs_one_edge),
		TEST(thre_comes_when_the_line_has_taken_all),
		TEST(input_waits_on_the_line_not_in_the_uart),
		TEST(trigger_level_separates_data_from_timeout),
		TEST(loopback_reaches_the_receiver_and_nobody_else),
		TEST(loopback_overruns),
		TEST(looped_modem_lines),
		TEST(modem_outputs_reach_the_line),
		TEST(a_handler_ends_though_input_does_not),
		TEST(input_waits_for_dtr_and_rts),
		TEST(interrupt_priorities),
		TEST(fifo_resets),
		TEST(reset_keeps_the_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
