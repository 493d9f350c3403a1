// SPDX-License-Identifier: MIT
/*
 * COM1 of the tiny guest, polled (16550 data sheet), and print().
 *
 * VP 0 alone prints. A transmitter that is never empty is waited for in vain:
 * after a bound of polls the byte is written anyway, so that a broken UART
 * costs time and output but never hangs the guest.
 */
#include <stdarg.h>

#include "tiny.h"

#define COM1 0x3f8
#define UART_LSR 5
#define UART_LSR_DATA 0x01
#define UART_LSR_EMPTY 0x20
#define POLLS 100000

static void put(char c)
{
	for (int i = 0; i < POLLS; i++)
		if (inb(COM1 + UART_LSR) & UART_LSR_EMPTY)
			break;
	outb(COM1, (uint8_t)c);
}

char console_read(void)
{
	while (!(inb(COM1 + UART_LSR) & UART_LSR_DATA))
		delay(5);
	return (char)inb(COM1);
}

static void put_text(const char *text)
{
	while (*text)
		put(*text++);
}

static void put_number(uint64_t v, unsigned int base)
{
	char digits[24];
	int n = 0;

	do
		digits[n++] = "0123456789abcdef"[v % base];
	while (v /= base);
	while (n)
		put(digits[--n]);
}

static uint64_t argument(va_list *args, bool is_long, bool is_signed)
{
	if (is_long)
		return va_arg(*args, uint64_t);
	return is_signed ? (uint64_t)(int64_t)va_arg(*args, int) :
			   va_arg(*args, unsigned int);
}

static void put_signed(uint64_t v)
{
	if ((int64_t)v < 0) {
		put('-');
		v = -v;
	}
	put_number(v, 10);
}

void print(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	for (; *format; format++) {
		bool is_long = false;

		if (*format != '%') {
			put(*format);
			continue;
		}
		while (*++format == '#' || *format == 'l') {
			if (*format == '#')
				put_text("0x");
			is_long |= *format == 'l';
		}
		switch (*format) {
		case 's':
			put_text(va_arg(args, const char *));
			break;
		case 'c':
			put((char)va_arg(args, int));
			break;
		case 'd':
			put_signed(argument(&args, is_long, true));
			break;
		case 'u':
			put_number(argument(&args, is_long, false), 10);
			break;
		case 'x':
			put_number(argument(&args, is_long, false), 16);
			break;
		default:
			put(*format);
		}
	}
	va_end(args);
}
