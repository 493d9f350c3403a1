# SPDX-License-Identifier: MIT
"""Self-test of igvm_reader.py: one good image made up here, and every way
of spoiling it that the reader must refuse, naming structure and field.

The writer below knows the format only through the reader's tables: a field
misplaced in both stays unseen here and shows against igvm-dump.
"""

import contextlib
import io
import json
import struct
import zlib

from igvm_reader import (FIXED, FIXED_SIZE, HEADERS, MAGIC, OPTIONAL, PAGE,
                         PAGE_2M, PAGE_2MB, SIZE, Image, Refused, Tap,
                         length_of, sha384)
from igvm_reader_compare import check_dump, check_map


class Data(int):
    """A file offset counted from the start of the file's data."""


class Draft:
    """An image in the making; cases of the self-test spoil it."""

    def __init__(self):
        page = 0x100000
        self.data = b"".join(bytes([n]) * PAGE for n in (1, 2, 3))
        self.fixed = {"magic": MAGIC, "format_version": 1,
                      "variable_header_offset": FIXED_SIZE}
        self.registers = [(2, 0x20010, page), (2, 0x40002, page + 0x1000),
                          (2, 0x60001, 0xA09B00100000FFFF << 64),
                          (2, 0x70001, page << 64 | 0x1F << 48)]
        self.headers = [
            [0x001, 1, 2, 1, 1, 0],
            [0x301, 8192, 0, 0],
            [0x301, 4096, 7, Data(8192)],
            [0x302, page, 1, Data(0), 0, 0, 0],
            [0x302, page + 0x1000, 1, 0, 0, 0, 0],
            [0x302, page + 0x100000, 1, Data(4096), 0, 0, 0],
            [0x312, 0, 0],
            [0x30C, 0, 4096],
            [0x303, page + 0x2000, 1, 0],
            [0x30E, 7, 0],
            [0x303, page + 0x4000, 1, 7],
            [0x305, page, 1, 0x200000, 1, 0],
            [0x304, 0, 1, Data(12288), 0, 0],
            [0x3F0 | OPTIONAL, b"later"],
        ]

    def index(self, kind, nth=0):
        return [n for n, h in enumerate(self.headers) if h[0] == kind][nth]

    def set(self, kind, field, value, nth=0):
        names = [name for name, _ in HEADERS[kind][1]]
        self.headers[self.index(kind, nth)][1 + names.index(field)] = value

    def add(self, kind, *values):
        self.headers.append([kind, *values])

    def drop(self, kind, nth=0):
        del self.headers[self.index(kind, nth)]

    def bytes(self):
        contents = []
        start = FIXED_SIZE + sum(8 + self._size(h) for h in self.headers)
        for kind, *values in self.headers:
            if isinstance(values[0], bytes):
                content = values[0]
            else:
                layout = "<" + "".join(SIZE[size] for _, size in
                                       HEADERS[kind & ~OPTIONAL][1])
                content = struct.pack(layout, *(
                    v + start if isinstance(v, Data) else v for v in values))
            contents.append(struct.pack("<II", kind, len(content)) + content +
                            bytes(-len(content) % 8))
        variable = b"".join(contents)
        data = self.data + struct.pack("<I", len(self.registers))
        for vtl, name, value in self.registers:
            data += struct.pack("<BI11x", vtl, name)
            data += value.to_bytes(16, "little")
        return self.seal(variable, data)

    @staticmethod
    def _size(header):
        content = (len(header[1]) if isinstance(header[1], bytes) else
                   length_of(HEADERS[header[0] & ~OPTIONAL][1]))
        return (content + 7) & ~7

    def seal(self, variable, data):
        fixed = {"variable_header_size": len(variable), "checksum": 0,
                 "total_file_size": FIXED_SIZE + len(variable) + len(data),
                 **self.fixed}
        head = struct.pack("<6I", *(fixed[name] for name, _ in FIXED))
        if "checksum" not in self.fixed:
            crc = zlib.crc32(head + variable)
            head = head[:20] + struct.pack("<I", crc)
        return head + variable + data


def spoilt():
    """(title, what to do to a good draft, structure, field it must name)"""
    fixed = lambda **f: lambda d: d.fixed.update(f)
    put = lambda *a, **k: lambda d: d.set(*a, **k)
    add = lambda *h: lambda d: d.add(*h)
    platform, area, page, insert, context, required = (
        0x001, 0x301, 0x302, 0x303, 0x304, 0x305)

    def register(n, *value):
        return lambda d: d.registers.__setitem__(n, value)

    def first(*header):
        return lambda d: d.headers.insert(0, list(header))

    def second(*header):
        return lambda d: d.headers.insert(1, list(header))

    def region(**fields):
        names = [name for name, _ in HEADERS[0x102][1]]
        values = dict(zip(names, (1, 0, 2, 1, 0x100000, 0x100000, 0x200000,
                                  0, 1 << 36)), **fields)
        return second(0x102, *values.values())

    def shorten(d):
        d.headers[d.index(page)] = [page, bytes(16)]

    return [
        ("magic", fixed(magic=0x4D564748), "FIXED_HEADER", "magic"),
        ("version 2", fixed(format_version=2), "FIXED_HEADER",
         "format_version"),
        ("headers elsewhere", fixed(variable_header_offset=32),
         "FIXED_HEADER", "variable_header_offset"),
        ("odd header size", fixed(variable_header_size=12),
         "FIXED_HEADER", "variable_header_size"),
        ("headers behind the end", fixed(variable_header_size=1 << 20),
         "FIXED_HEADER", "variable_header_size"),
        ("file size", fixed(total_file_size=4096), "FIXED_HEADER",
         "total_file_size"),
        ("checksum", fixed(checksum=1), "FIXED_HEADER", "checksum"),
        ("type 0", add(0, b""), "VARIABLE_HEADER[14]", "type"),
        ("type between sections", add(0x2F0 | OPTIONAL, b""),
         "VARIABLE_HEADER[14]", "type"),
        ("unknown type", add(0x3F1, b""), "VARIABLE_HEADER[14]", "type"),
        ("platform after directives", add(platform, 2, 2, 1, 1, 0),
         "VARIABLE_HEADER[14]", "type"),
        ("directive before platform", first(area, 4096, 9, 0),
         "VARIABLE_HEADER[1]", "type"),
        ("short structure", shorten, "PAGE_DATA[3]", "length"),
        ("no platform", lambda d: d.headers.__setitem__(
            slice(None), [d.headers[13]]), "SUPPORTED_PLATFORM", "count"),
        ("platform of two bits", put(platform, "compatibility_mask", 3),
         "SUPPORTED_PLATFORM[0]", "compatibility_mask"),
        ("platform twice", first(platform, 1, 2, 1, 1, 0),
         "SUPPORTED_PLATFORM[1]", "compatibility_mask"),
        ("TDX", put(platform, "platform_type", 3), "SUPPORTED_PLATFORM[0]",
         "platform_type"),
        ("platform version", put(platform, "platform_version", 2),
         "SUPPORTED_PLATFORM[0]", "platform_version"),
        ("VTL3", put(platform, "highest_vtl", 3), "SUPPORTED_PLATFORM[0]",
         "highest_vtl"),
        ("shared boundary", put(platform, "shared_gpa_boundary", 1 << 39),
         "SUPPORTED_PLATFORM[0]", "shared_gpa_boundary"),
        ("region unaligned", region(relocation_region_gpa=0x101000),
         "RELOCATABLE_REGION[1]", "relocation_region_gpa"),
        ("region without alignment", region(relocation_alignment=0),
         "RELOCATABLE_REGION[1]", "relocation_alignment"),
        ("region outside its limits",
         region(maximum_relocation_gpa=0x200000),
         "RELOCATABLE_REGION[1]", "maximum_relocation_gpa"),
        ("region of VTL3", region(vtl=3), "RELOCATABLE_REGION[1]", "vtl"),
        ("region flag", region(flags=8), "RELOCATABLE_REGION[1]", "flags"),
        ("page tables overfull", second(0x103, 1, 0, 2, 0, 0x101000, 0x1000,
                                        0x2000),
         "PAGE_TABLE_RELOCATION[1]", "used_size"),
        ("area of half a page", put(area, "number_of_bytes", 2048),
         "PARAMETER_AREA[1]", "number_of_bytes"),
        ("area beyond all memory", put(area, "number_of_bytes", 1 << 62),
         "PARAMETER_AREA[1]", "number_of_bytes"),
        ("area twice", put(area, "parameter_area_index", 0, nth=1),
         "PARAMETER_AREA[2]", "parameter_area_index"),
        ("area behind the end", put(area, "file_offset", Data(12288), nth=1),
         "PARAMETER_AREA[2]", "file_offset"),
        ("parameter without area", put(0x312, "parameter_area_index", 3),
         "DEVICE_TREE[6]", "parameter_area_index"),
        ("parameter after insert", add(0x308, 0, 0), "SRAT[14]",
         "parameter_area_index"),
        ("parameter behind its area", put(0x30C, "byte_offset", 8176),
         "MEMORY_MAP[7]", "byte_offset"),
        ("area inserted twice", add(insert, 0x300000, 1, 0),
         "PARAMETER_INSERT[14]", "parameter_area_index"),
        ("insert over a page", put(insert, "gpa", 0x100000),
         "PARAMETER_INSERT[8]", "gpa"),
        ("insert's tail over a page", put(insert, "gpa", 0xFF000),
         "PARAMETER_INSERT[8]", "gpa"),
        ("insert unaligned", put(insert, "gpa", 0x102010),
         "PARAMETER_INSERT[8]", "gpa"),
        ("page unaligned", put(page, "gpa", 0x100008), "PAGE_DATA[3]", "gpa"),
        ("page twice", put(page, "gpa", 0x100000, nth=1), "PAGE_DATA[4]",
         "gpa"),
        ("2 MiB page unaligned", put(page, "flags", PAGE_2MB),
         "PAGE_DATA[3]", "gpa"),
        ("page without platform", put(page, "compatibility_mask", 0),
         "PAGE_DATA[3]", "compatibility_mask"),
        ("page of another platform", put(page, "compatibility_mask", 2),
         "PAGE_DATA[3]", "compatibility_mask"),
        ("page flag", put(page, "flags", 8), "PAGE_DATA[3]", "flags"),
        ("page type", put(page, "data_type", 2), "PAGE_DATA[3]",
         "data_type"),
        ("page reserved", put(page, "reserved", 1), "PAGE_DATA[3]",
         "reserved"),
        ("page behind the end", put(page, "file_offset", Data(12288)),
         "PAGE_DATA[3]", "file_offset"),
        ("page from the headers", put(page, "file_offset", 24),
         "PAGE_DATA[3]", "file_offset"),
        ("required memory odd", put(required, "number_of_bytes", 100),
         "REQUIRED_MEMORY[11]", "number_of_bytes"),
        ("required memory wraps", put(required, "gpa", (1 << 64) - PAGE),
         "REQUIRED_MEMORY[11]", "number_of_bytes"),
        ("required memory flag", put(required, "flags", 2),
         "REQUIRED_MEMORY[11]", "flags"),
        ("context with address", put(context, "gpa", PAGE),
         "VP_CONTEXT[12]", "gpa"),
        ("context without data", put(context, "file_offset", 0),
         "VP_CONTEXT[12]", "file_offset"),
        ("context twice", add(context, 0, 1, Data(12288), 0, 0),
         "VP_CONTEXT[14]", "vp_index"),
        ("no registers", lambda d: d.registers.clear(), "VP_CONTEXT[12]",
         "register_count"),
        ("too many registers", put(context, "file_offset", Data(8)),
         "VP_CONTEXT[12]", "register_count"),
        ("register unknown", register(1, 2, 0x99999, 0),
         "VP_CONTEXT[12].register[1]", "name"),
        ("register twice", register(1, 2, 0x20010, 0),
         "VP_CONTEXT[12].register[1]", "name"),
        ("register too wide", register(1, 2, 0x40002, 1 << 64),
         "VP_CONTEXT[12].register[1]", "value"),
        ("register of VTL3", register(1, 3, 0x40002, 0),
         "VP_CONTEXT[12].register[1]", "vtl"),
    ]


def self_test():
    results = Tap()
    good = Draft().bytes()
    image = Image(good)
    data = Draft().data
    zero = bytes(PAGE)
    results.same("good image: ranges", [
        (r["gpa"], r["bytes"], r["kind"], r["sha384"])
        for r in image.ranges()], [
        (0x100000, 0x2000, "page-data", sha384(data[:PAGE] + zero)),
        (0x102000, 0x2000, "parameter-area-0", sha384(zero + zero)),
        (0x104000, 0x1000, "parameter-area-7", sha384(data[8192:])),
        (0x200000, 0x1000, "page-data", sha384(data[PAGE:8192]))])
    results.same("good image: registers", image.contexts[0][1], {
        (2, "RIP"): 0x100000, (2, "CR3"): 0x101000,
        (2, "CS"): {"base": 0, "limit": 0xFFFF, "selector": 0x10,
                    "attributes": 0xA09B},
        (2, "GDTR"): {"base": 0x100000, "limit": 0x1F}})
    movable = Draft()
    movable.headers[1:1] = [
        [0x102, 1, 0, 2, 7, PAGE_2M, 0, PAGE_2M, 0, 1 << 36],
        [0x103, 1, 0, 2, 0, 0x101000, 0x1000, 0x1000]]
    results.same("good image: relocatable", [
        h.name for h in Image(movable.bytes()).headers[1:3]],
        ["RELOCATABLE_REGION", "PAGE_TABLE_RELOCATION"])
    results.same("good image: no file data left over", image.unused(), [])
    padded = bytearray(good)
    padded[image.headers[13].offset + 8 + 6] = 1
    cases = [(title, (spoil, None), structure, field)
             for title, spoil, structure, field in spoilt()]
    cases += [
        ("padding", (None, reseal(padded)), "VARIABLE_HEADER[13]", "padding"),
        ("empty file", (None, b""), "FIXED_HEADER", "size"),
        ("cut in the fixed header", (None, good[:23]), "FIXED_HEADER",
         "size"),
        ("cut in the data", (None, good[:-1]), "FIXED_HEADER",
         "total_file_size"),
        ("one byte more", (None, good + b"\0"), "FIXED_HEADER",
         "total_file_size")]
    for title, (spoil, raw), structure, field in cases:
        if spoil:
            draft = Draft()
            spoil(draft)
            raw = draft.bytes()
        try:
            Image(raw)
            got = "accepted"
        except Refused as refusal:
            got = (refusal.structure, refusal.field)
        results.same(f"refused: {title}", got, (structure, field))
    compare_test(image, results)
    return results.end()


def draft_map(image):
    """The map of Draft, with its last range cut in two."""
    pages = image.memory()
    area0, area7 = (sha384(image.content(a["file_offset"],
                                         a["number_of_bytes"]))
                    for _, a in image.inserts())
    return [["0x100000", "1", "data", "code", sha384(pages[0x100000])],
            ["0x101000", "1", "zero", "stack", sha384(bytes(PAGE))],
            ["0x102000", "2", "parameter", "tree", area0],
            ["0x104000", "1", "parameter", "line", area7],
            ["0x200000", "1", "data", "tail", sha384(pages[0x200000])],
            ["total", "3", "1", "2", str(len(image.raw))]]


def differences(image, dump, lines):
    """What --compare says beyond "ok", without the initial state, of which
    Draft has none worth the name."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        tap = Tap()
        check_dump(image, json.dumps(dump).encode(), tap)
        check_map(image, "\n".join(map(" ".join, lines)).encode(), tap)
    return [line[2:] for line in out.getvalue().splitlines()
            if line.startswith("# ")]


def compare_test(image, results):
    def dump_of(*path_and_value):
        dump = json.loads(json.dumps(image.as_json()))
        del dump["unused_file_data"]
        *path, key, new = path_and_value or (None, None)
        inner = dump
        for name in path:
            inner = inner[name]
        if path_and_value:
            inner[key] = new
        return dump

    def map_of(row=None, column=None, new=None):
        lines = draft_map(image)
        if row is not None and column is None:
            del lines[row]
        elif row is not None:
            lines[row][column] = new
        return lines

    results.same("compare: agreement",
                 differences(image, dump_of(), map_of()), [])
    passed = dump_of("headers", 13, "name", "later")
    results.same("compare: a header passed over has no name",
                 differences(image, passed, map_of()), [])
    for change, expected in (
            (("fixed_header", "checksum", 1), "FIXED_HEADER checksum: 0x"),
            (("headers", 3, "gpa", 1), "PAGE_DATA[3] gpa: 0x100000, igvm"),
            (("headers", 3, "flags", None), "PAGE_DATA[3] flags: 0x0, igvm"),
            (("headers", 3, "more", 1), 'PAGE_DATA[3] more: "absent", igvm'),
            (("headers", []), "headers count: 14, igvm-dump 0"),
            (("vp_contexts", 0, "registers", 1, "value", 5),
             "VP_CONTEXT[0] registers[1] value: 0x101000, igvm-dump 0x5"),
            (("ranges", 0, "sha384", "00"), "range[0] sha384: "),
            (("pages", []), "igvm-dump pages: extra")):
        found = differences(image, dump_of(*change), map_of())
        results.case(f"compare: igvm-dump's {expected}", [] if len(found) == 1
                     and found[0].startswith(expected) else [str(found)])
    for change, expected in (
            ((0, 0, "0x200000"), "map stack gpa: "),
            ((0, 0, "0x200000"), "map code sha384: "),
            ((0, 1, "2"), "map stack gpa: "),
            ((0, 2, "zero"), "map code kind: 1 pages come from file data"),
            ((1, 4, "00"), "map stack sha384: "),
            ((2, 1, "1"), "map tree bytes: PARAMETER_INSERT 0x2000"),
            ((2, 2, "data"), "map tree pages: 0 PAGE_DATA, map 2"),
            ((3, None), "page 0x104000: in the image, map has no range"),
            ((4, 1, "99999999999"), "map line 5: "),
            ((5, 2, "0"), "total zero pages: 1, map 0"),
            ((5, None), "map total: 0 lines")):
        found = differences(image, dump_of(), map_of(*change))
        results.case(f"compare: {expected}", [] if any(
            line.startswith(expected) for line in found) else [str(found)])


def reseal(raw):
    """The same headers under a checksum that holds."""
    size, = struct.unpack_from("<I", raw, 12)
    raw[20:24] = bytes(4)
    crc = zlib.crc32(raw[:FIXED_SIZE + size])
    raw[20:24] = struct.pack("<I", crc)
    return bytes(raw)
