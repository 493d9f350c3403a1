/* SPDX-License-Identifier: MIT */
/*
 * Registers of a 16550A (PC16550D data sheet, section 8, table II).
 */
#ifndef CHIPSET_UART_REG_H
#define CHIPSET_UART_REG_H

/* Offsets. Two are shared by a read-only and a write-only register, two are
 * the divisor while LCR_DLAB is set. */
#define UART_RBR 0 /* receiver buffer (read) */
#define UART_THR 0 /* transmitter holding (write) */
#define UART_DLL 0 /* divisor latch, low (DLAB) */
#define UART_IER 1
#define UART_DLM 1 /* divisor latch, high (DLAB) */
#define UART_IIR 2 /* interrupt identification (read) */
#define UART_FCR 2 /* FIFO control (write) */
#define UART_LCR 3
#define UART_MCR 4
#define UART_LSR 5
#define UART_MSR 6
#define UART_SCR 7

/* 8.7 Interrupt enable */
#define IER_RDA 0x01 /* received data available */
#define IER_THRE 0x02
#define IER_RLS 0x04 /* receiver line status */
#define IER_MODEM 0x08
#define IER_MASK 0x0f

/* 8.6 Interrupt identification, highest priority first */
#define IIR_RLS 0x06
#define IIR_RDA 0x04
#define IIR_TIMEOUT 0x0c /* data below the trigger level waits */
#define IIR_THRE 0x02
#define IIR_MODEM 0x00
#define IIR_NONE 0x01
#define IIR_FIFOS 0xc0

/* 8.5 FIFO control */
#define FCR_ENABLE 0x01
#define FCR_RESET_RX 0x02
#define FCR_RESET_TX 0x04
#define FCR_TRIGGER_SHIFT 6 /* 1, 4, 8, 14 bytes */

#define LCR_DLAB 0x80

/* 8.8 Modem control */
#define MCR_DTR 0x01
#define MCR_RTS 0x02
#define MCR_OUT1 0x04
#define MCR_OUT2 0x08
#define MCR_LOOP 0x10
#define MCR_MASK 0x1f

/* 8.4 Line status */
#define LSR_DR 0x01
#define LSR_OE 0x02
#define LSR_THRE 0x20
#define LSR_TEMT 0x40

/* 8.9 Modem status */
#define MSR_DCTS 0x01
#define MSR_DDSR 0x02
#define MSR_TERI 0x04 /* ring indicator went away */
#define MSR_DDCD 0x08
#define MSR_CTS 0x10
#define MSR_DSR 0x20
#define MSR_RI 0x40
#define MSR_DCD 0x80
#define MSR_CHANGES 0x0f

#endif
