/* SPDX-License-Identifier: MIT */
/*
 * CRC-32 of ISO-HDLC (IEEE 802.3; reflected polynomial 0xedb88320), as the
 * IGVM fixed header's checksum field has it.
 */
#ifndef CRC32_H
#define CRC32_H

#include <stddef.h>
#include <stdint.h>

/*
 * Continues a checksum over `len` more bytes; `crc` is 0 at the start, then
 * the previous result. Pure, thread-safe.
 */
uint32_t crc32_update(uint32_t crc, const void *bytes, size_t len);

#endif
