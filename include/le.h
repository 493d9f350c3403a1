/* SPDX-License-Identifier: MIT */
/*
 * Little-endian integers of wire formats.
 *
 * A field of a format that a guest, a host or a file hands to us has one of
 * these types, never a plain integer. sparse sees them as distinct
 * (`__bitwise`) types and reports every missing conversion; a compiler sees
 * plain integers. A fixture in test/unit shows that the check bites.
 *
 * All conversions are pure, thread-safe and cannot fail.
 */
#ifndef LE_H
#define LE_H

#include <stdint.h>

#ifdef __CHECKER__
#define __bitwise __attribute__((bitwise))
#define __force __attribute__((force))
#else
#define __bitwise
#define __force
#endif

typedef uint16_t __bitwise le16;
typedef uint32_t __bitwise le32;
typedef uint64_t __bitwise le64;

#define __packed __attribute__((packed))

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the conversions below assume a little-endian machine"
#endif

static inline le16 cpu_to_le16(uint16_t v) { return (__force le16)v; }
static inline le32 cpu_to_le32(uint32_t v) { return (__force le32)v; }
static inline le64 cpu_to_le64(uint64_t v) { return (__force le64)v; }
static inline uint16_t le16_to_cpu(le16 v) { return (__force uint16_t)v; }
static inline uint32_t le32_to_cpu(le32 v) { return (__force uint32_t)v; }
static inline uint64_t le64_to_cpu(le64 v) { return (__force uint64_t)v; }

#endif
