#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Damaged IGVM images: each is refused by one line and status 2.

    bad_images.py IMAGE VMM        TAP on stdout, status 1 if a case failed

Takes a good image, damages one thing at a time, and gives the result to VMM.
The checksum is computed anew where the damage is not about it, so that every
case gets past it to its own rule. A case passes if vmm

    - ends with status 2, not by a signal or the deadline,
    - writes exactly one line to stderr, and in it the structure and the field
      that the case is about, in the form
          vmm: FILE: offset 0xN: STRUCTURE.field: ...
    - has started nothing: the output it was asked for does not exist.

The first two cases are the image as it is, and the image taken apart and put
together without damage: both must be accepted, or the others prove nothing.
Needs no KVM: --host-tree ends vmm when the image is checked.
"""

import os
import re
import struct
import subprocess
import sys
import tempfile
import zlib

sys.dont_write_bytecode = True

FIXED = struct.Struct("<IIIIII")
PLATFORM, AREA, PAGE, INSERT = 0x001, 0x301, 0x302, 0x303
CONTEXT, REQUIRED, SRAT, MAP, TREE = 0x304, 0x305, 0x308, 0x30C, 0x312
RIP = 0x20010
HAS_FILE_OFFSET = (AREA, PAGE, CONTEXT)     # all of them at byte 12
DEADLINE = 60


class Header:
    def __init__(self, kind, content):
        self.kind, self.content = kind, bytearray(content)
        self.length = None          # to lie about the length
        self.padding = None         # to put something into the padding
        self.moves = kind in HAS_FILE_OFFSET

    def get(self, form, at):
        return struct.unpack_from("<" + form, self.content, at)[0]

    def set(self, form, at, value):
        struct.pack_into("<" + form, self.content, at, value)

    def copy(self):
        return Header(self.kind, self.content)


class Image:
    """An image taken apart; write() puts it together."""

    def __init__(self, data):
        magic, version, at, size, total, checksum = FIXED.unpack_from(data)
        self.fixed = {"magic": magic, "version": version, "at": at}
        self.headers, self.data = [], bytearray(data[at + size:])
        self.data_at, end = at + size, at + size
        while at < end:
            kind, length = struct.unpack_from("<II", data, at)
            self.headers.append(Header(kind, data[at + 8:at + 8 + length]))
            at += 8 + (length + 7) // 8 * 8

    def all(self, kind):
        return [h for h in self.headers if h.kind == kind]

    def first(self, kind):
        return self.all(kind)[0]

    def add_after(self, header, *new):
        at = self.headers.index(header) + 1
        self.headers[at:at] = new

    def drop(self, kind):
        self.headers = [h for h in self.headers if h.kind != kind]

    def registers(self):
        """Offset in self.data of the register count of the VP context."""
        return self.first(CONTEXT).get("I", 12) - self.data_at

    def register(self, index):
        return self.registers() + 4 + 32 * index

    def register_count(self):
        return struct.unpack_from("<I", self.data, self.registers())[0]

    def vtl2_ram(self):
        return next(h for h in self.all(REQUIRED) if h.get("I", 16) & 1)

    def write(self):
        sizes = [8 + (len(h.content) + 7) // 8 * 8 for h in self.headers]
        shift = FIXED.size + sum(sizes) - self.data_at
        out = bytearray()
        for h in self.headers:
            content = bytearray(h.content)
            if h.moves and len(content) >= 16 and h.get("I", 12):
                struct.pack_into("<I", content, 12, h.get("I", 12) + shift)
            length = len(content) if h.length is None else h.length
            out += struct.pack("<II", h.kind, length) + content
            padding = -len(content) % 8
            out += h.padding if h.padding else bytes(padding)
        return seal(bytearray(FIXED.size) + out + self.data, len(out),
                    **self.fixed)


def seal(data, size, magic, version, at, total=None):
    """Writes the fixed header with the checksum it should have."""
    total = len(data) if total is None else total
    head = FIXED.pack(magic, version, at, size, total, 0)
    crc = zlib.crc32(data[FIXED.size:FIXED.size + size], zlib.crc32(head))
    FIXED.pack_into(data, 0, magic, version, at, size, total, crc)
    return data


def reseal(data, **changes):
    magic, version, at, size, total, _ = FIXED.unpack_from(data)
    fields = {"magic": magic, "version": version, "at": at, "total": total,
              "size": size}
    fields.update(changes)
    return seal(bytearray(data), **fields)


CASES = []      # (name, expected as a pattern, what to do, on bytes)


def expect(structure, field):
    """`structure` may be A|B where the order of headers decides."""
    return rf"(?:{structure})[.]{field}"


def on_image(name, structure, field):
    """The function damages an Image in place."""
    def keep(function):
        CASES.append((name, expect(structure, field), function, False))
        return function
    return keep


def on_bytes(name, structure, field):
    """The function returns damaged bytes."""
    def keep(function):
        CASES.append((name, expect(structure, field), function, True))
        return function
    return keep


def set_field(name, kind, form, at, value, field):
    """A case that overwrites one number of one header."""
    names = {PLATFORM: "SUPPORTED_PLATFORM", AREA: "PARAMETER_AREA",
             PAGE: "PAGE_DATA", INSERT: "PARAMETER_INSERT",
             CONTEXT: "VP_CONTEXT", REQUIRED: "REQUIRED_MEMORY",
             TREE: "DEVICE_TREE"}

    def damage(image):
        header = image.first(kind)
        header.set(form, at, value)
        if field == "file_offset":
            header.moves = False
    CASES.append((name, expect(names[kind], field), damage, False))


# --- the file as a whole --------------------------------------------------------

HEAD = "FIXED_HEADER"


@on_bytes("cut inside the fixed header", HEAD, "total_file_size")
def _(data):
    return data[:10]


@on_bytes("cut after the fixed header", HEAD, "total_file_size")
def _(data):
    return data[:FIXED.size]


@on_bytes("cut inside the variable headers", HEAD, "total_file_size")
def _(data):
    return data[:FIXED.size + 100]


@on_bytes("cut by the last byte", HEAD, "total_file_size")
def _(data):
    return data[:-1]


@on_bytes("cut inside the headers, size corrected", HEAD,
          "variable_header_size")
def _(data):
    return reseal(data[:FIXED.size + 64], total=FIXED.size + 64)


@on_bytes("bytes behind the end", HEAD, "total_file_size")
def _(data):
    return data + bytes(8)


@on_bytes("wrong magic", HEAD, "magic")
def _(data):
    return reseal(data, magic=0x4D564748)


@on_bytes("format version 2", HEAD, "format_version")
def _(data):
    return reseal(data, version=2)


@on_bytes("variable headers elsewhere", HEAD, "variable_header_offset")
def _(data):
    return reseal(data, at=32)


@on_bytes("no variable headers", HEAD, "variable_header_size")
def _(data):
    return reseal(data, size=0)


@on_bytes("odd size of the variable headers", HEAD, "variable_header_size")
def _(data):
    return reseal(data, size=FIXED.unpack_from(data)[3] - 4)


@on_bytes("variable headers longer than the file", HEAD,
          "variable_header_size")
def _(data):
    return reseal(data, size=0xFFFFFFF8)


@on_bytes("total size one too large", HEAD, "total_file_size")
def _(data):
    return reseal(data, total=len(data) + 1)


@on_bytes("wrong checksum", HEAD, "checksum")
def _(data):
    data = bytearray(data)
    data[20] ^= 1
    return data


@on_bytes("one bit of a header flipped", HEAD, "checksum")
def _(data):
    data = bytearray(data)
    data[FIXED.size + 40] ^= 0x10
    return data


# --- frames ---------------------------------------------------------------------

FRAME = "VARIABLE_HEADER"


@on_image("unknown directive", FRAME, "type")
def _(image):
    image.headers.append(Header(0x3F0, bytes(8)))


@on_image("type in no section", FRAME, "type")
def _(image):
    image.headers.append(Header(0x500, bytes(8)))


@on_image("eight zero bytes as last header", FRAME, "type")
def _(image):
    image.headers.append(Header(0, b""))


@on_image("platform behind the directives", FRAME, "type")
def _(image):
    image.headers.append(image.first(PLATFORM).copy())


@on_image("length beyond the headers", FRAME, "length")
def _(image):
    image.headers[-1].length = 0xFFFFFFF0


@on_image("length that wraps when padded", FRAME, "length")
def _(image):
    image.headers[-1].length = 0xFFFFFFFF


@on_image("content too short", "PAGE_DATA", "length")
def _(image):
    image.first(PAGE).length = 20


@on_image("padding not zero", "VP_CONTEXT", "padding")
def _(image):
    image.first(CONTEXT).padding = b"\0\0\0\1"


# --- platform -------------------------------------------------------------------

@on_image("no platform", "SUPPORTED_PLATFORM", "platform_type")
def _(image):
    image.drop(PLATFORM)


set_field("platform SEV-SNP only", PLATFORM, "B", 5, 2, "platform_type")
set_field("unknown platform", PLATFORM, "B", 5, 9, "platform_type")
set_field("two bits in the platform's mask", PLATFORM, "I", 0, 3,
          "compatibility_mask")
set_field("platform version 2", PLATFORM, "H", 6, 2, "platform_version")
set_field("highest VTL 3", PLATFORM, "B", 4, 3, "highest_vtl")
set_field("shared GPA boundary", PLATFORM, "Q", 8, 1 << 40,
          "shared_gpa_boundary")


@on_image("platform twice", "SUPPORTED_PLATFORM", "compatibility_mask")
def _(image):
    first = image.first(PLATFORM)
    image.add_after(first, first.copy())


@on_image("image for VTL0", "SUPPORTED_PLATFORM", "highest_vtl")
def _(image):
    image.first(PLATFORM).set("B", 4, 0)
    for i in range(image.register_count()):
        image.data[image.register(i)] = 0


# --- pages ----------------------------------------------------------------------

set_field("page of no platform", PAGE, "I", 8, 0, "compatibility_mask")
set_field("page of an undeclared platform", PAGE, "I", 8, 0x40,
          "compatibility_mask")
set_field("page data behind the file", PAGE, "I", 12, 0xFFFFF000,
          "file_offset")
set_field("page data inside the headers", PAGE, "I", 12, 8, "file_offset")
set_field("unknown page flag", PAGE, "I", 16, 0x10, "flags")
set_field("2 MiB page", PAGE, "I", 16, 1, "flags")
set_field("page of another data type", PAGE, "H", 20, 2, "data_type")
set_field("reserved field of a page", PAGE, "H", 22, 1, "reserved")
set_field("page in no required memory", PAGE, "Q", 0, 0x40000000000, "gpa")
set_field("page at the end of the address space", PAGE, "Q", 0,
          0xFFFFFFFFFFFFF000, "gpa")


@on_image("page not aligned", "PAGE_DATA", "gpa")
def _(image):
    page = image.first(PAGE)
    page.set("Q", 0, page.get("Q", 0) + 16)


@on_image("two pages at one address", "PAGE_DATA", "gpa")
def _(image):
    page = image.all(PAGE)[-1]
    image.add_after(page, page.copy())


@on_image("page data cut off by the end", "PAGE_DATA", "file_offset")
def _(image):
    page = next(h for h in image.all(PAGE) if h.get("I", 12))
    page.set("I", 12, image.data_at + len(image.data) - 4095)


# --- parameters -----------------------------------------------------------------

set_field("area index out of range", AREA, "I", 8, 64,
          "parameter_area_index")
set_field("area of no bytes", AREA, "Q", 0, 0, "number_of_bytes")
set_field("area of a terabyte", AREA, "Q", 0, 1 << 40, "number_of_bytes")
set_field("area of half a page", AREA, "Q", 0, 2048, "number_of_bytes")
set_field("area's bytes behind the file", AREA, "I", 12, 0xFFFFF000,
          "file_offset")
set_field("inserting an unknown area", INSERT, "I", 12, 63,
          "parameter_area_index")
set_field("device tree in an unknown area", TREE, "I", 0, 63,
          "parameter_area_index")
set_field("device tree behind its area", TREE, "I", 4, 0xFFFFFFFF,
          "byte_offset")


@on_image("area declared twice", "PARAMETER_AREA", "parameter_area_index")
def _(image):
    area = image.first(AREA)
    image.add_after(area, area.copy())


@on_image("area never inserted", "PARAMETER_AREA", "parameter_area_index")
def _(image):
    image.drop(INSERT)


@on_image("area inserted twice", "PARAMETER_INSERT", "parameter_area_index")
def _(image):
    insert = image.first(INSERT)
    image.add_after(insert, insert.copy())


@on_image("area inserted over a page", "PAGE_DATA|PARAMETER_INSERT", "gpa")
def _(image):
    image.first(INSERT).set("Q", 0, image.first(PAGE).get("Q", 0))


@on_image("device tree larger than what is left", "DEVICE_TREE",
          "byte_offset")
def _(image):
    tree = image.first(TREE)
    area = next(h for h in image.all(AREA)
                if h.get("I", 8) == tree.get("I", 0))
    tree.set("I", 4, area.get("Q", 0) - 16)


@on_image("device tree twice at one place", "DEVICE_TREE", "byte_offset")
def _(image):
    tree = image.first(TREE)
    image.add_after(tree, tree.copy())


@on_image("memory map over the device tree", "MEMORY_MAP|DEVICE_TREE",
          "byte_offset")
def _(image):
    tree = image.first(TREE)
    image.add_after(tree, Header(MAP, tree.content))


@on_image("parameter that no host of ours has", "SRAT", "type")
def _(image):
    tree = image.first(TREE)
    image.add_after(tree, Header(SRAT, tree.content))


# --- VP context -----------------------------------------------------------------

REGISTER = "VBS_VP_CONTEXT_REGISTER"
REGISTERS = "VBS_VP_CONTEXT_HEADER"

set_field("VP context of VP 1", CONTEXT, "H", 16, 1, "vp_index")
set_field("VP context at an address", CONTEXT, "Q", 0, 0x1000, "gpa")
set_field("registers behind the file", CONTEXT, "I", 12, 0xFFFFFFF0,
          "file_offset")
set_field("reserved field of the VP context", CONTEXT, "H", 18, 7,
          "reserved")


@on_image("no VP context", "VP_CONTEXT", "vp_index")
def _(image):
    image.drop(CONTEXT)


@on_image("two VP contexts", "VP_CONTEXT", "vp_index")
def _(image):
    context = image.first(CONTEXT)
    image.add_after(context, context.copy())


@on_image("no registers", REGISTERS, "register_count")
def _(image):
    struct.pack_into("<I", image.data, image.registers(), 0)


@on_image("register count that overflows", REGISTERS, "register_count")
def _(image):
    struct.pack_into("<I", image.data, image.registers(), 0x08000001)


@on_image("unknown register", REGISTER, "register_name")
def _(image):
    struct.pack_into("<I", image.data, image.register(0) + 1, 0xDEAD)


@on_image("register set twice", REGISTER, "register_name")
def _(image):
    image.data[image.register(1):image.register(2)] = \
        image.data[image.register(0):image.register(1)]


@on_image("reserved bytes of a register", REGISTER, "mbz")
def _(image):
    image.data[image.register(0) + 9] = 1


@on_image("register of VTL 0", REGISTER, "vtl")
def _(image):
    image.data[image.register(0)] = 0


@on_image("register of VTL 7", REGISTER, "vtl")
def _(image):
    image.data[image.register(0)] = 7


@on_image("no instruction pointer", REGISTERS, "register_count")
def _(image):
    names = [struct.unpack_from("<I", image.data, image.register(i) + 1)[0]
             for i in range(image.register_count())]
    spare = next(n for n in range(0x20000, 0x20010) if n not in names)
    struct.pack_into("<I", image.data,
                     image.register(names.index(RIP)) + 1, spare)


# --- required memory ------------------------------------------------------------

@on_image("no required memory", "PAGE_DATA|PARAMETER_INSERT", "gpa")
def _(image):
    image.drop(REQUIRED)


@on_image("no memory is VTL2's", "REQUIRED_MEMORY", "flags")
def _(image):
    image.vtl2_ram().set("I", 16, 0)


@on_image("unknown memory flag", "REQUIRED_MEMORY", "flags")
def _(image):
    image.vtl2_ram().set("I", 16, 3)


@on_image("reserved field of required memory", "REQUIRED_MEMORY", "reserved")
def _(image):
    image.vtl2_ram().set("I", 20, 1)


@on_image("required memory not aligned", "REQUIRED_MEMORY", "gpa")
def _(image):
    ram = image.vtl2_ram()
    ram.set("Q", 0, ram.get("Q", 0) + 8)


@on_image("VTL2's RAM not of 2 MiB", "REQUIRED_MEMORY", "number_of_bytes")
def _(image):
    ram = image.vtl2_ram()
    ram.set("I", 12, ram.get("I", 12) + 4096)


@on_image("VTL2's RAM reaches into MMIO", "REQUIRED_MEMORY", "gpa")
def _(image):
    image.vtl2_ram().set("I", 12, 0xE0000000)


@on_image("required memory overlaps", "REQUIRED_MEMORY", "gpa")
def _(image):
    ram = image.vtl2_ram()
    image.add_after(ram, ram.copy())


@on_image("two ranges are VTL2's", "REQUIRED_MEMORY", "flags")
def _(image):
    ram = image.vtl2_ram()
    second = ram.copy()
    second.set("Q", 0, ram.get("Q", 0) + ram.get("I", 12))
    image.add_after(ram, second)


def outside_ram(image, gpa):
    ram = image.vtl2_ram()
    more = ram.copy()
    more.set("Q", 0, gpa)
    more.set("I", 12, 0x200000)
    more.set("I", 16, 0)
    image.add_after(ram, more)


@on_image("memory above all RAM", "REQUIRED_MEMORY", "gpa")
def _(image):
    outside_ram(image, 0x8000000000)


@on_image("memory where RAM ends (-m)", "REQUIRED_MEMORY", "gpa")
def _(image):
    outside_ram(image, 512 << 20)


# --- running --------------------------------------------------------------------

class Runner:
    def __init__(self, vmm, folder):
        self.vmm = vmm
        self.path = os.path.join(folder, "bad.igvm")
        self.tree = os.path.join(folder, "tree.dtb")
        self.number = self.failed = 0

    def run(self, data):
        """Returns (status, lines on stderr, whether output was made)."""
        with open(self.path, "wb") as file:
            file.write(data)
        if os.path.exists(self.tree):
            os.unlink(self.tree)
        result = subprocess.run(
            [self.vmm, "--igvm", self.path, "-m", "512M",
             "--host-tree", self.tree],
            stdin=subprocess.DEVNULL, capture_output=True, timeout=DEADLINE)
        lines = result.stderr.decode(errors="replace").splitlines()
        return result.returncode, lines, os.path.exists(self.tree)

    def report(self, name, wrong, seen):
        self.number += 1
        self.failed += bool(wrong)
        print(f"{'not ok' if wrong else 'ok'} {self.number} - {name}")
        for text in ([wrong] if wrong else []) + seen:
            print(f"# {text}")
        sys.stdout.flush()

    def accepts(self, name, data):
        status, lines, made = self.run(data)
        wrong = None
        if status != 0 or not made:
            wrong = f"status {status}, expected to be accepted"
        self.report(name, wrong, lines)

    def refuses(self, name, expected, data):
        try:
            status, lines, made = self.run(data)
        except subprocess.TimeoutExpired:
            self.report(name, f"no answer in {DEADLINE} s", [])
            return
        form = (rf"vmm: {re.escape(self.path)}: offset 0x[0-9a-f]+: "
                rf"{expected}: .+")
        wrong = None
        if status != 2:
            wrong = f"status {status}, expected 2"
        elif len(lines) != 1:
            wrong = f"{len(lines)} lines on stderr, expected 1"
        elif not re.fullmatch(form, lines[0]):
            wrong = f"expected {expected}"
        elif made:
            wrong = "the output was written all the same"
        self.report(name, wrong, lines)


def main():
    if len(sys.argv) != 3:
        print("usage: bad_images.py IMAGE VMM", file=sys.stderr)
        return 2
    with open(sys.argv[1], "rb") as file:
        good = file.read()
    print(f"1..{len(CASES) + 2}")
    with tempfile.TemporaryDirectory() as folder:
        runner = Runner(sys.argv[2], folder)
        runner.accepts("the image as it is", good)
        runner.accepts("the image put together again", Image(good).write())
        for name, expected, damage, bytes_only in CASES:
            if bytes_only:
                data = damage(good)
            else:
                image = Image(good)
                damage(image)
                data = image.write()
            runner.refuses(name, expected, data)
    return 1 if runner.failed else 0


if __name__ == "__main__":
    sys.exit(main())
