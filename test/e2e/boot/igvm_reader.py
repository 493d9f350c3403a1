#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""An IGVM reader that shares nothing with igvm/ but the file format.

It exists to disagree: the builder, igvm-dump and the loader of vmm are ours
and could all hold the same mistake.  Format: IGVM version 1, x64, a platform
of type NATIVE or VSM_ISOLATION (the IGVM specification's structure names are
used throughout; register names are those of the TLFS).

    igvm_reader.py IMAGE [--json]          parse, print ranges and digests
    igvm_reader.py --compare IMAGE MAP DUMP.json
                                           TAP: image = map = igvm-dump
    igvm_reader.py --self-test             TAP: made-up images, good and bad

An image that breaks a rule of the format is refused with one line,
"IMAGE: STRUCTURE[index] field VALUE: rule", exit status 2.  The index counts
the variable headers from 0.  --compare answers 1 for a difference.
"""

import bisect
import hashlib
import json
import signal
import struct
import sys
import zlib

sys.dont_write_bytecode = True      # the tree stays as it was checked out

PAGE = 4096
PAGE_2M = 2 << 20
AREA_LIMIT = 64 << 20       # of one parameter area: digests take time
SIZE = {1: "B", 2: "H", 4: "I", 8: "Q"}

FIXED = (("magic", 4), ("format_version", 4), ("variable_header_offset", 4),
         ("variable_header_size", 4), ("total_file_size", 4), ("checksum", 4))
FIXED_SIZE = 24
MAGIC = 0x4D564749

PARAMETER = (("parameter_area_index", 4), ("byte_offset", 4))
RELOCATION_HEAD = (("compatibility_mask", 4), ("vp_index", 2), ("vtl", 1))

# type: (name, fields in file order as (name, bytes))
HEADERS = {
    0x001: ("SUPPORTED_PLATFORM", (
        ("compatibility_mask", 4), ("highest_vtl", 1), ("platform_type", 1),
        ("platform_version", 2), ("shared_gpa_boundary", 8))),
    0x102: ("RELOCATABLE_REGION", RELOCATION_HEAD + (
        ("flags", 1), ("relocation_alignment", 8),
        ("relocation_region_gpa", 8), ("relocation_region_size", 8),
        ("minimum_relocation_gpa", 8), ("maximum_relocation_gpa", 8))),
    0x103: ("PAGE_TABLE_RELOCATION", RELOCATION_HEAD + (
        ("reserved", 1), ("gpa", 8), ("size", 8), ("used_size", 8))),
    0x301: ("PARAMETER_AREA", (
        ("number_of_bytes", 8), ("parameter_area_index", 4),
        ("file_offset", 4))),
    0x302: ("PAGE_DATA", (
        ("gpa", 8), ("compatibility_mask", 4), ("file_offset", 4),
        ("flags", 4), ("data_type", 2), ("reserved", 2))),
    0x303: ("PARAMETER_INSERT", (
        ("gpa", 8), ("compatibility_mask", 4), ("parameter_area_index", 4))),
    0x304: ("VP_CONTEXT", (
        ("gpa", 8), ("compatibility_mask", 4), ("file_offset", 4),
        ("vp_index", 2), ("reserved", 2))),
    0x305: ("REQUIRED_MEMORY", (
        ("gpa", 8), ("compatibility_mask", 4), ("number_of_bytes", 4),
        ("flags", 4), ("reserved", 4))),
    0x307: ("VP_COUNT_PARAMETER", PARAMETER),
    0x308: ("SRAT", PARAMETER),
    0x309: ("MADT", PARAMETER),
    0x30A: ("MMIO_RANGES", PARAMETER),
    0x30C: ("MEMORY_MAP", PARAMETER),
    0x30E: ("COMMAND_LINE", PARAMETER),
    0x30F: ("SLIT", PARAMETER),
    0x310: ("PPTT", PARAMETER),
    0x312: ("DEVICE_TREE", PARAMETER),
    0x313: ("ENVIRONMENT_INFO_PARAMETER", PARAMETER),
}
# Of no concern to a platform that is not isolated: passed over unread.
PASSED_OVER = {0x30B: "SNP_ID_BLOCK", 0x30D: "ERROR_RANGE",
               0x311: "VBS_MEASUREMENT"}
# The least a parameter takes in its area: one entry, or the end of a list.
PARAMETER_BYTES = {0x307: 4, 0x30A: 32, 0x30C: 24, 0x313: 4}

OPTIONAL = 1 << 31
SECTIONS = ((0x001, 0x100, "platform"), (0x101, 0x200, "initialization"),
            (0x301, 0x400, "directive"))
PLATFORM_TYPES = {0: "NATIVE", 1: "VSM_ISOLATION"}
PAGE_2MB, PAGE_UNMEASURED, PAGE_SHARED = 1, 2, 4

# TLFS HV_REGISTER_NAME: what an x64 VP context may set.
REGISTERS = {0x20010: "RIP", 0x20011: "RFLAGS",
             0x40000: "CR0", 0x40001: "CR2", 0x40002: "CR3", 0x40003: "CR4",
             0x40004: "CR8", 0x80001: "EFER", 0x80002: "KERNEL_GS_BASE",
             0x80003: "APIC_BASE", 0x80004: "PAT", 0x80005: "SYSENTER_CS",
             0x80006: "SYSENTER_EIP", 0x80007: "SYSENTER_ESP",
             0x80008: "STAR", 0x80009: "LSTAR", 0x8000A: "CSTAR",
             0x8000B: "SFMASK", 0x8000E: "MTRR_DEF_TYPE",
             0x80070: "MTRR_FIX_64K_00000"}
REGISTERS.update((0x20000 + n, name) for n, name in enumerate(
    "RAX RCX RDX RBX RSP RBP RSI RDI".split()
    + [f"R{n}" for n in range(8, 16)]))
REGISTERS.update((0x80010 + n, f"MTRR_PHYS_BASE{n}") for n in range(16))
REGISTERS.update((0x80040 + n, f"MTRR_PHYS_MASK{n}") for n in range(16))
REGISTERS.update((0x80071 + n, f"MTRR_FIX_{name}") for n, name in enumerate(
    ["16K_80000", "16K_A0000"]
    + [f"4K_{a:X}" for a in range(0xC0000, 0x100000, 0x8000)]))
SEGMENTS = {0x60000 + n: name for n, name in enumerate(
    "ES CS SS DS FS GS LDTR TR".split())}
TABLES = {0x70000: "IDTR", 0x70001: "GDTR"}
REGISTER_SIZE = 32


class Refused(Exception):
    """The image breaks a rule: (structure, field, value, rule)."""

    def __init__(self, structure, field, value, rule):
        super().__init__(structure, field, value, rule)
        self.structure, self.field = structure, field
        shown = f"{value:#x}" if isinstance(value, int) else str(value)
        self.line = f"{structure} {field} {shown}: {rule}"


def unpack(fields, raw):
    """Fields of one packed little-endian structure, in file order."""
    layout = "<" + "".join(SIZE[size] for _, size in fields)
    return dict(zip((name for name, _ in fields), struct.unpack(layout, raw)))


def length_of(fields):
    return sum(size for _, size in fields)


class Header:
    """One variable header and where it stands."""

    def __init__(self, index, offset, kind, length, fields):
        self.index, self.offset, self.kind = index, offset, kind
        self.length, self.fields = length, fields
        bare = kind & ~OPTIONAL
        self.name = (HEADERS[bare][0] if fields is not None
                     else PASSED_OVER.get(bare, "OPTIONAL"))

    def __getitem__(self, field):
        return self.fields[field]

    def where(self):
        return f"{self.name}[{self.index}]"

    def refuse(self, field, rule):
        raise Refused(self.where(), field, self.fields[field], rule)

    def demand(self, holds, field, rule):
        if not holds:
            self.refuse(field, rule)


class Image:
    """A parsed image; the constructor refuses what the format forbids."""

    def __init__(self, raw):
        self.raw = raw
        self.headers = []
        self.platforms = {}     # mask bit: SUPPORTED_PLATFORM
        self.areas = {}         # index: PARAMETER_AREA
        self.inserted = {}      # index: [PARAMETER_INSERT, ...]
        self.pages = []         # PAGE_DATA
        self.required = []      # REQUIRED_MEMORY
        self.contexts = []      # (VP_CONTEXT, registers)
        self.used = []          # [from, to) of file data that is referred to
        self._filled = {}       # mask bit: sorted (gpa, end, header)
        self._read_fixed()
        self._read_variable()
        self._check_whole()

    # -- fixed header ------------------------------------------------------

    def _read_fixed(self):
        raw = self.raw
        if len(raw) < FIXED_SIZE:
            raise Refused("FIXED_HEADER", "size", len(raw),
                          f"a file has at least {FIXED_SIZE} bytes")
        fixed = self.fixed = unpack(FIXED, raw[:FIXED_SIZE])

        def demand(holds, field, rule):
            if not holds:
                raise Refused("FIXED_HEADER", field, fixed[field], rule)

        demand(fixed["magic"] == MAGIC, "magic", f"must be {MAGIC:#x}")
        demand(fixed["format_version"] == 1, "format_version", "must be 1")
        demand(fixed["total_file_size"] == len(raw), "total_file_size",
               f"the file has {len(raw):#x} bytes")
        demand(fixed["variable_header_offset"] == FIXED_SIZE,
               "variable_header_offset", f"must be {FIXED_SIZE:#x}")
        demand(fixed["variable_header_size"] % 8 == 0,
               "variable_header_size", "must be a multiple of 8")
        self.data_start = FIXED_SIZE + fixed["variable_header_size"]
        demand(self.data_start <= len(raw), "variable_header_size",
               f"ends behind the file's {len(raw):#x} bytes")
        covered = raw[:20] + bytes(4) + raw[24:self.data_start]
        crc = zlib.crc32(covered)
        demand(fixed["checksum"] == crc, "checksum",
               f"the headers have CRC32 {crc:#x}")

    # -- variable headers --------------------------------------------------

    def _read_variable(self):
        at, section = FIXED_SIZE, 0
        while at < self.data_start:
            index = len(self.headers)
            where = f"VARIABLE_HEADER[{index}]"
            kind, length = struct.unpack_from("<II", self.raw, at)
            bare = kind & ~OPTIONAL
            end = at + 8 + length
            if end > self.data_start:
                raise Refused(where, "length", length,
                              f"ends behind the headers at {end:#x}")
            found = [n for n, (low, high, _) in enumerate(SECTIONS)
                     if low <= bare <= high]
            if not found:
                raise Refused(where, "type", kind, "lies in no section")
            if found[0] < section:
                raise Refused(
                    where, "type", kind, f"a {SECTIONS[found[0]][2]} header "
                    f"may not follow a {SECTIONS[section][2]} header")
            section = found[0]
            aligned = (end + 7) & ~7
            if any(self.raw[end:aligned]):
                raise Refused(where, "padding", self.raw[end:aligned].hex(),
                              "must be zero")
            self._read_one(index, at, kind, length)
            at = aligned

    def _read_one(self, index, at, kind, length):
        bare = kind & ~OPTIONAL
        if bare in HEADERS:
            name, fields = HEADERS[bare]
            if length != length_of(fields):
                raise Refused(f"{name}[{index}]", "length", length,
                              f"must be {length_of(fields):#x}")
            header = Header(index, at, kind, length, unpack(
                fields, self.raw[at + 8:at + 8 + length]))
        elif bare in PASSED_OVER or kind & OPTIONAL:
            header = Header(index, at, kind, length, None)
        else:
            raise Refused(f"VARIABLE_HEADER[{index}]", "type", kind,
                          "unknown and not optional")
        self.headers.append(header)
        if header.fields is None:
            return
        if bare != 0x001:
            self._check_mask(header)
        if "reserved" in header.fields:
            header.demand(header["reserved"] == 0, "reserved", "must be 0")
        check = {0x001: self._platform, 0x102: self._relocatable,
                 0x103: self._page_table, 0x301: self._area,
                 0x302: self._page, 0x303: self._insert,
                 0x304: self._context, 0x305: self._required}
        check.get(bare, self._parameter)(header)

    def _check_mask(self, header):
        if "compatibility_mask" not in header.fields:
            return
        mask = header["compatibility_mask"]
        header.demand(mask, "compatibility_mask", "names no platform")
        known = sum(self.platforms)
        header.demand(mask & ~known == 0, "compatibility_mask",
                      f"the platforms are {known:#x}")

    def _bits(self, header):
        mask = header["compatibility_mask"]
        return [bit for bit in self.platforms if bit & mask]

    def _platform(self, header):
        bit = header["compatibility_mask"]
        header.demand(bit and bit & (bit - 1) == 0, "compatibility_mask",
                      "must have exactly one bit")
        header.demand(bit not in self.platforms, "compatibility_mask",
                      "already taken by another platform")
        header.demand(header["platform_type"] in PLATFORM_TYPES,
                      "platform_type", "must be 0 NATIVE or 1 VSM_ISOLATION")
        header.demand(header["platform_version"] == 1, "platform_version",
                      "must be 1")
        header.demand(header["highest_vtl"] <= 2, "highest_vtl",
                      "must be 0 to 2")
        header.demand(header["shared_gpa_boundary"] == 0,
                      "shared_gpa_boundary", "must be 0 without isolation")
        self.platforms[bit] = header

    def _relocatable(self, header):
        gpa = header["relocation_region_gpa"]
        size = header["relocation_region_size"]
        align = header["relocation_alignment"]
        low = header["minimum_relocation_gpa"]
        high = header["maximum_relocation_gpa"]
        header.demand(header["flags"] & ~7 == 0, "flags", "unknown flag")
        header.demand(align and align & (align - 1) == 0 and
                      align % PAGE == 0, "relocation_alignment",
                      "must be a power of two of at least a page")
        header.demand(gpa % align == 0, "relocation_region_gpa",
                      f"must be a multiple of {align:#x}")
        self._span(header, gpa, size, "relocation_region_size")
        header.demand(low % align == 0, "minimum_relocation_gpa",
                      f"must be a multiple of {align:#x}")
        header.demand(low <= gpa and gpa + size <= high,
                      "maximum_relocation_gpa",
                      "the region lies outside its own limits")
        self._vtl(header, header.where(), header["vtl"])

    def _page_table(self, header):
        header.demand(header["gpa"] % PAGE == 0, "gpa",
                      "must be a multiple of 4096")
        self._span(header, header["gpa"], header["size"], "size")
        header.demand(header["used_size"] % PAGE == 0 and
                      0 < header["used_size"] <= header["size"],
                      "used_size", f"must be pages within {header['size']:#x}")
        self._vtl(header, header.where(), header["vtl"])

    def _area(self, header):
        index, size = header["parameter_area_index"], header["number_of_bytes"]
        header.demand(index not in self.areas, "parameter_area_index",
                      "declared twice")
        header.demand(size and size % PAGE == 0, "number_of_bytes",
                      "must be a multiple of 4096, not 0")
        header.demand(size <= AREA_LIMIT, "number_of_bytes",
                      f"this reader takes {AREA_LIMIT:#x} at most")
        if header["file_offset"]:
            self._file_data(header, size)
        self.areas[index] = header

    def _open_area(self, header):
        index = header["parameter_area_index"]
        header.demand(index in self.areas, "parameter_area_index",
                      "no such PARAMETER_AREA before this header")
        return self.areas[index]

    def _parameter(self, header):
        area = self._open_area(header)
        header.demand(header["parameter_area_index"] not in self.inserted,
                      "parameter_area_index", "the area is already inserted")
        least = PARAMETER_BYTES.get(header.kind & ~OPTIONAL, 1)
        header.demand(header["byte_offset"] + least <=
                      area["number_of_bytes"], "byte_offset",
                      f"{least} bytes do not fit into the area's "
                      f"{area['number_of_bytes']:#x}")

    def _insert(self, header):
        area = self._open_area(header)
        before = self.inserted.setdefault(header["parameter_area_index"], [])
        # One insert per index and platform, whatever the others need.
        header.demand(not any(old["compatibility_mask"] &
                              header["compatibility_mask"] for old in before),
                      "parameter_area_index", "the area is already inserted")
        before.append(header)
        self._fill(header, area["number_of_bytes"], PAGE)

    def _page(self, header):
        flags = header["flags"]
        header.demand(flags & ~7 == 0, "flags", "unknown flag")
        header.demand(header["data_type"] == 0, "data_type",
                      "must be 0 NORMAL without isolation")
        size = PAGE_2M if flags & PAGE_2MB else PAGE
        self._fill(header, size, size)
        if header["file_offset"]:
            self._file_data(header, size)
        self.pages.append(header)

    def _required(self, header):
        header.demand(header["gpa"] % PAGE == 0, "gpa",
                      "must be a multiple of 4096")
        header.demand(header["flags"] & ~1 == 0, "flags", "unknown flag")
        self._span(header, header["gpa"], header["number_of_bytes"],
                   "number_of_bytes")
        self.required.append(header)

    def _span(self, header, gpa, size, field):
        """A run of whole pages that ends inside the address space."""
        header.demand(size and size % PAGE == 0, field,
                      "must be a multiple of 4096, not 0")
        header.demand(gpa + size <= 1 << 64, field,
                      "ends behind the address space")

    def _fill(self, header, size, align):
        """Claim the pages a header fills; each has one owner."""
        gpa = header["gpa"]
        header.demand(gpa % align == 0, "gpa", f"must be a multiple of {align}")
        header.demand(gpa + size <= 1 << 64, "gpa",
                      "ends behind the address space")
        for bit in self._bits(header):
            filled = self._filled.setdefault(bit, [])
            at = bisect.bisect_left(filled, (gpa,))
            for start, end, other in filled[max(at - 1, 0):at + 1]:
                header.demand(end <= gpa or gpa + size <= start, "gpa",
                              f"{gpa:#x}+{size:#x} meets {other.where()} "
                              f"at {start:#x}")
            filled.insert(at, (gpa, gpa + size, header))

    def _file_data(self, header, size):
        """Bytes of the file's data part that a header refers to."""
        start = header["file_offset"]
        header.demand(start >= self.data_start, "file_offset",
                      f"lies in the headers, which end at {self.data_start:#x}")
        header.demand(start + size <= len(self.raw), "file_offset",
                      f"{size:#x} bytes end behind the file's "
                      f"{len(self.raw):#x}")
        self.used.append((start, start + size))

    def _vtl(self, header, where, vtl):
        for bit in self._bits(header):
            top = self.platforms[bit]["highest_vtl"]
            if vtl > top:
                raise Refused(where, "vtl", vtl, f"the highest VTL is {top}")

    # -- VP context --------------------------------------------------------

    def _context(self, header):
        header.demand(header["gpa"] == 0, "gpa", "must be 0 without isolation")
        for old, _ in self.contexts:
            header.demand(old["vp_index"] != header["vp_index"] or
                          not old["compatibility_mask"] &
                          header["compatibility_mask"], "vp_index",
                          f"{old.where()} is of the same VP")
        header.demand(header["file_offset"] != 0, "file_offset",
                      "a VP context needs file data")
        self._file_data(header, 4)
        count, = struct.unpack_from("<I", self.raw, header["file_offset"])
        room = len(self.raw) - header["file_offset"] - 4
        if count * REGISTER_SIZE > room or count == 0:
            raise Refused(header.where(), "register_count", count,
                          f"the file has room for {room // REGISTER_SIZE}, "
                          "and 0 is none")
        self._file_data(header, 4 + count * REGISTER_SIZE)
        at = header["file_offset"] + 4
        registers = {}
        for n in range(count):
            raw = self.raw[at:at + REGISTER_SIZE]
            vtl, name, value = self._register(header, n, raw)
            if (vtl, name) in registers:
                raise Refused(f"{header.where()}.register[{n}]", "name",
                              name, f"set twice for VTL{vtl}")
            registers[vtl, name] = value
            at += REGISTER_SIZE
        self.contexts.append((header, registers))

    def _register(self, header, n, raw):
        where = f"{header.where()}.register[{n}]"
        vtl, number = struct.unpack_from("<BI", raw)
        self._vtl(header, where, vtl)
        if any(raw[5:16]):
            raise Refused(where, "reserved", raw[5:16].hex(), "must be zero")
        if number in SEGMENTS:
            base, limit, selector, attributes = struct.unpack_from(
                "<QIHH", raw, 16)
            return vtl, SEGMENTS[number], {
                "base": base, "limit": limit, "selector": selector,
                "attributes": attributes}
        if number in TABLES:
            if any(raw[16:22]):
                raise Refused(where, "value", raw[16:22].hex(),
                              "padding of a table register must be zero")
            limit, base = struct.unpack_from("<HQ", raw, 22)
            return vtl, TABLES[number], {"base": base, "limit": limit}
        if number not in REGISTERS:
            raise Refused(where, "name", number, "no register of a VP context")
        low, high = struct.unpack_from("<QQ", raw, 16)
        if high:
            raise Refused(where, "value", high,
                          "the upper half of a 64-bit register must be 0")
        return vtl, REGISTERS[number], low

    # -- the whole ---------------------------------------------------------

    def _check_whole(self):
        if not self.platforms:
            raise Refused("SUPPORTED_PLATFORM", "count", 0,
                          "an image supports at least one platform")

    def page_bytes(self, header):
        """What a PAGE_DATA header puts into memory."""
        size = PAGE_2M if header["flags"] & PAGE_2MB else PAGE
        return self.content(header["file_offset"], size)

    def content(self, offset, size):
        return self.raw[offset:offset + size] if offset else bytes(size)

    def memory(self):
        """Page contents by GPA, for the first platform of the image."""
        first = next(iter(self.platforms))
        pages = {}
        for header in self.pages:
            if header["compatibility_mask"] & first:
                content = self.page_bytes(header)
                for at in range(0, len(content), PAGE):
                    pages[header["gpa"] + at] = content[at:at + PAGE]
        return pages

    def inserts(self):
        """(PARAMETER_INSERT, PARAMETER_AREA) of the first platform."""
        first = next(iter(self.platforms))
        return [(insert, self.areas[index])
                for index, every in self.inserted.items()
                for insert in every if insert["compatibility_mask"] & first]

    def ranges(self):
        """Runs of pages of one nature, by address, with their SHA-384."""
        first = next(iter(self.platforms))
        pieces = [(h["gpa"], "page-data", h["flags"], self.page_bytes(h))
                  for h in self.pages if h["compatibility_mask"] & first]
        pieces += [(insert["gpa"], f"parameter-area-"
                    f"{area['parameter_area_index']}", 0,
                    self.content(area["file_offset"],
                                  area["number_of_bytes"]))
                   for insert, area in self.inserts()]
        runs = []
        for gpa, kind, flags, content in sorted(pieces, key=lambda p: p[0]):
            last = runs[-1] if runs else None
            if last and last["gpa"] + last["bytes"] == gpa and \
                    (last["kind"], last["flags"]) == (kind, flags):
                last["bytes"] += len(content)
                last["digest"].update(content)
            else:
                runs.append({"gpa": gpa, "bytes": len(content), "kind": kind,
                             "flags": flags, "digest": hashlib.sha384(content)})
        for run in runs:
            run["sha384"] = run.pop("digest").hexdigest()
        return runs

    def unused(self):
        """[from, to) of file data that nothing refers to."""
        gaps, at = [], self.data_start
        for start, end in sorted(self.used) + [(len(self.raw),) * 2]:
            if start > at:
                gaps.append((at, start))
            at = max(at, end)
        return gaps

    def as_json(self):
        return {
            "fixed_header": self.fixed,
            "headers": [{"type": h.kind, "name": h.name, "offset": h.offset,
                         "length": h.length, **(h.fields or {})}
                        for h in self.headers],
            "vp_contexts": [
                {"vp_index": h["vp_index"],
                 "registers": [{"vtl": vtl, "name": name, "value": value}
                               for (vtl, name), value in registers.items()]}
                for h, registers in self.contexts],
            "ranges": self.ranges(),
            "unused_file_data": self.unused(),
        }


def sha384(data):
    return hashlib.sha384(data).hexdigest()


class Tap:
    """Test results on stdout; a failed one explains itself line by line."""

    def __init__(self):
        self.count = self.failed = 0

    def case(self, title, differences):
        self.count += 1
        self.failed += bool(differences)
        print(f"{'not ok' if differences else 'ok'} {self.count} - {title}")
        for line in differences:
            print(f"# {line}")

    def same(self, title, got, expected):
        self.case(title, [] if got == expected else
                  [f"got {got}, expected {expected}"])

    def end(self):
        print(f"1..{self.count}")
        return 1 if self.failed else 0


# -- command line ----------------------------------------------------------

def show(image):
    fixed = image.fixed
    print(f"format {fixed['format_version']}, {fixed['total_file_size']} "
          f"bytes, {len(image.headers)} headers")
    for platform in image.platforms.values():
        print(f"platform {platform['compatibility_mask']:#x} "
              f"{PLATFORM_TYPES[platform['platform_type']]}, highest VTL "
              f"{platform['highest_vtl']}")
    for header in image.required:
        print(f"required {header['gpa']:#x} "
              f"+{header['number_of_bytes']:#x} flags {header['flags']}")
    for header in image.headers:
        if header.fields is None:
            print(f"passed over {header.where()} type {header.kind:#x}")
        elif HEADERS[header.kind & ~OPTIONAL][1] is PARAMETER:
            print(f"parameter {header.name} area "
                  f"{header['parameter_area_index']} "
                  f"offset {header['byte_offset']:#x}")
    for run in image.ranges():
        print(f"{run['gpa']:#014x} +{run['bytes']:#010x} "
              f"{run['kind']:18} {run['sha384']}")
    for header, registers in image.contexts:
        for (vtl, name), value in registers.items():
            text = (f"{value:#x}" if isinstance(value, int) else " ".join(
                f"{k} {v:#x}" for k, v in value.items()))
            print(f"VP {header['vp_index']} VTL{vtl} {name:6} {text}")


def usage():
    print("usage: igvm_reader.py IMAGE [--json] | --compare IMAGE MAP "
          "DUMP.json | --self-test", file=sys.stderr)
    return 2


def read(path):
    with open(path, "rb") as file:
        return file.read()


def main(arguments):
    match arguments:
        case ["--self-test"]:
            from igvm_reader_test import self_test
            return self_test()
        case ["--compare", path, map_path, dump_path]:
            pass
        case [path] | [path, "--json"] | ["--json", path] \
                if not path.startswith("-"):
            pass
        case _:
            return usage()
    try:
        image = Image(read(path))
        if arguments[0] == "--compare":
            from igvm_reader_compare import compare
            return compare(image, read(map_path), read(dump_path))
    except Refused as refusal:
        print(f"{path}: {refusal.line}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"{error.filename}: {error.strerror}", file=sys.stderr)
        return 2
    if "--json" in arguments:
        json.dump(image.as_json(), sys.stdout, indent=1)
        print()
    else:
        show(image)
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    sys.exit(main(sys.argv[1:]))
