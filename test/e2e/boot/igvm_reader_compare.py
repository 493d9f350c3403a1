# SPDX-License-Identifier: MIT
"""--compare of igvm_reader.py: one image as three programs see it.

The reader's own view is held against igvm-dump --json and against the map
that igvm-build wrote; then the first VP's registers are held against the
memory they point to.  A difference is one line: structure, field, both
values, the reader's first.

Every page is covered twice by a digest: by one of igvm-dump's runs of equal
pages, and by one of the map's ranges.  A map has a line for each range,

    GPA PAGES KIND NAME SHA384      KIND: data, zero (all pages from no file
                                    data) or parameter (a PARAMETER_INSERT)

by ascending address, and a last one of PAGE_DATA headers, those of them
without file data, pages held in the file, and bytes of the file:

    total HEADERS ZERO STORED BYTES
"""

import hashlib
import json
import struct

from igvm_reader import PAGE, Tap

PAGES_LIMIT = 1 << 22       # 16 GiB: no range of a map is larger
PRESENT, LARGE = 1, 1 << 7
FRAME = 0x000FFFFFFFFFF000
# What long mode cannot do without: register, bits, their names.
LONG_MODE = (("CR0", 1 << 31 | 1, "PG|PE"), ("CR4", 1 << 5, "PAE"),
             ("EFER", 1 << 10 | 1 << 8, "LMA|LME"))


# -- igvm-dump -------------------------------------------------------------

def value(of):
    return f"{of:#x}" if isinstance(of, int) else json.dumps(of)


def differ(where, ours, theirs):
    """Lines for two JSON values that should be one; WHERE is a path."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return [line for key in {**ours, **theirs}
                for line in differ(f"{where} {key}", ours.get(key, "absent"),
                                   theirs.get(key, "absent"))]
    if isinstance(ours, list) and isinstance(theirs, list):
        wrong = []
        if len(ours) != len(theirs):
            wrong.append(f"{where} count: {len(ours)}, igvm-dump "
                         f"{len(theirs)}")
        return wrong + [line for n, (a, b) in enumerate(zip(ours, theirs))
                        for line in differ(f"{where}[{n}]", a, b)]
    if ours == theirs and type(ours) is type(theirs):
        return []
    return [f"{where}: {value(ours)}, igvm-dump {value(theirs)}"]


def check_headers(ours, theirs):
    """Field by field; each difference under the structure's name."""
    if not isinstance(theirs, list):
        return [f"headers: a list, igvm-dump {value(theirs)}"]
    wrong = []
    if len(ours) != len(theirs):
        wrong.append(f"headers count: {len(ours)}, igvm-dump {len(theirs)}")
    for n, (a, b) in enumerate(zip(ours, theirs)):
        if set(a) == {"type", "name", "offset", "length"} and \
                isinstance(b, dict):
            # Passed over unread: its name is nobody's business.
            b = {**b, "name": a["name"]}
        wrong += differ(f"{a['name']}[{n}]", a, b)
    return wrong


def check_dump(image, text, tap):
    ours = image.as_json()
    del ours["unused_file_data"]
    try:
        theirs = json.loads(text)
    except ValueError as error:
        tap.case("igvm-dump: JSON", [f"igvm-dump: {error}"])
        return
    if not isinstance(theirs, dict):
        tap.case("igvm-dump: JSON", ["igvm-dump: is no object"])
        return
    tap.case("igvm-dump: sections", [
        f"igvm-dump {key}: {'extra' if key in theirs else 'missing'}"
        for key in sorted(set(ours) ^ set(theirs))])
    tap.case("igvm-dump: fixed header", differ(
        "FIXED_HEADER", ours["fixed_header"],
        theirs.get("fixed_header", "absent")))
    tap.case(f"igvm-dump: {len(ours['headers'])} variable headers",
             check_headers(ours["headers"], theirs.get("headers", "absent")))
    tap.case("igvm-dump: VP contexts", differ(
        "VP_CONTEXT", ours["vp_contexts"],
        theirs.get("vp_contexts", "absent")))
    tap.case(f"igvm-dump: {len(ours['ranges'])} ranges, digests", differ(
        "range", ours["ranges"], theirs.get("ranges", "absent")))


# -- map -------------------------------------------------------------------

class MapRange:
    def __init__(self, words):
        self.gpa, self.pages = int(words[0], 16), int(words[1])
        if self.pages > PAGES_LIMIT:
            raise ValueError
        self.kind, self.name, self.sha384 = words[2:]
        self.end = self.gpa + self.pages * PAGE

    def addresses(self):
        return range(self.gpa, self.end, PAGE)


def read_map(text):
    """(ranges, total, lines that are neither)"""
    ranges, totals, wrong = [], [], []
    for n, line in enumerate(text.decode("latin-1").splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        try:
            if words[0] == "total" and len(words) == 5:
                totals.append([int(word) for word in words[1:]])
            elif len(words) == 5:
                ranges.append(MapRange(words))
            else:
                wrong.append(f"map line {n}: '{line}' is no range or total")
        except ValueError:
            wrong.append(f"map line {n}: '{line}' holds no such number")
    if len(totals) != 1:
        wrong.append(f"map total: {len(totals)} lines, expected 1")
    return ranges, totals[:1], wrong


def check_kind(entry, filled, inserts):
    """FILLED: file offset by GPA, for the range's pages with PAGE_DATA."""
    where = f"map {entry.name}"
    count = len(filled)
    if entry.kind == "parameter":
        size = inserts.get(entry.gpa, 0)
        return [] if size == entry.pages * PAGE else [
            f"{where} bytes: PARAMETER_INSERT {size:#x}, map "
            f"{entry.pages * PAGE:#x}"]
    wrong = []
    if entry.kind not in ("data", "zero"):
        wrong.append(f"{where} kind: data, zero or parameter, map "
                     f"{entry.kind}")
    if count != entry.pages:
        wrong.append(f"{where} pages: {count} PAGE_DATA, map {entry.pages}")
    if entry.kind == "zero" and any(filled.values()):
        wrong.append(f"{where} kind: {sum(map(bool, filled.values()))} pages "
                     "come from file data, map zero")
    return wrong


def check_map(image, text, tap):
    ranges, totals, wrong = read_map(text)
    tap.case("map: form", wrong)
    memory, offsets = image.memory(), {}
    for h in image.pages:
        for at in range(0, len(image.page_bytes(h)), PAGE):
            offsets[h["gpa"] + at] = h["file_offset"]
    inserts = {insert["gpa"]: area["number_of_bytes"]
               for insert, area in image.inserts()}
    contents = dict(memory)
    for insert, area in image.inserts():
        raw = image.content(area["file_offset"], area["number_of_bytes"])
        for at in range(0, len(raw), PAGE):
            contents[insert["gpa"] + at] = raw[at:at + PAGE]
    kinds, digests, order, left = [], [], [], set(contents)
    end = 0
    for entry in ranges:
        filled = {at: offsets[at] for at in entry.addresses()
                  if at in offsets}
        kinds += check_kind(entry, filled, inserts)
        digest = hashlib.sha384()
        for at in entry.addresses():
            digest.update(contents.get(at, b""))
        if digest.hexdigest() != entry.sha384:
            digests.append(f"map {entry.name} sha384: {digest.hexdigest()}, "
                           f"map {entry.sha384}")
        if entry.gpa % PAGE or entry.gpa < end or not entry.pages:
            order.append(f"map {entry.name} gpa: from {end:#x} on, whole "
                         f"pages, map {entry.gpa:#x}+{entry.pages}")
        end = max(end, entry.end)
        left.difference_update(entry.addresses())
    tap.case(f"map: {len(ranges)} ranges by ascending address", order)
    tap.case("map: kinds and sizes", kinds)
    tap.case("map: digests", digests)
    tap.case("map: every page of the image is in a range", [
        f"page {at:#x}: in the image, map has no range" for at in
        sorted(left)])
    for total in totals:
        stored = {h["file_offset"] for h in image.pages} - {0}
        ours = (len(image.pages), sum(h["file_offset"] == 0
                                      for h in image.pages),
                len(stored), len(image.raw))
        tap.case("map: totals", [
            f"total {name}: {a}, map {b}" for name, a, b in zip(
                ("PAGE_DATA headers", "zero pages", "stored pages", "bytes"),
                ours, total) if a != b])
    tap.case("every byte of file data is referred to", [
        f"file data {start:#x}: {end - start:#x} bytes belong to no header"
        for start, end in image.unused()
        if end - start >= PAGE or any(image.raw[start:end])])


# -- initial state ---------------------------------------------------------

def mappings(memory, cr3):
    """(virtual, physical, bytes) of every leaf below CR3, by address.
    A table that is not in the image is a LookupError."""
    def walk(table, level, virtual):
        if table not in memory:
            raise LookupError(f"level {level} table {table:#x}")
        for n, entry in enumerate(struct.unpack("<512Q", memory[table])):
            if not entry & PRESENT:
                continue
            size = PAGE << 9 * (level - 1)
            at = virtual + n * size
            if level == 4 and n >= 256:
                at |= 0xFFFF << 48
            if level == 1 or (level < 4 and entry & LARGE):
                yield at, entry & FRAME & ~(size - 1), size
            else:
                yield from walk(entry & FRAME, level - 1, at)
    return walk(cr3 & FRAME, 4, 0)


def check_registers(registers):
    wrong = []
    for name, bits, names in LONG_MODE:
        value = registers.get(name)
        if value is None or value & bits != bits:
            shown = "absent" if value is None else f"{value:#x}"
            wrong.append(f"register {name}: {shown}, expected {names} set")
    code = registers.get("CS", {}).get("attributes", 0)
    if not code & 1 << 13:
        wrong.append(f"register CS: attributes {code:#x}, expected L set")
    return wrong


def check_pointers(image, memory, registers):
    """RIP and GDTR lie in pages of the image, mapped onto themselves, and
    every mapping stays within memory that the image requires."""
    wrong = []
    try:
        leaves = list(mappings(memory, registers.get("CR3", 0)))
    except LookupError as error:
        return [f"register CR3: {error.args[0]} is no page of the image"]
    required = [(h["gpa"], h["gpa"] + h["number_of_bytes"])
                for h in image.required]
    for virtual, physical, size in leaves:
        if virtual != physical:
            wrong.append(f"page tables: {virtual:#x} maps {physical:#x}, "
                         "expected identity")
        if not any(low <= physical and physical + size <= high
                   for low, high in required):
            wrong.append(f"page tables: {physical:#x}+{size:#x} lies outside "
                         "REQUIRED_MEMORY")
    for name, at in (("RIP", registers.get("RIP", 0)),
                     ("GDTR", registers.get("GDTR", {}).get("base", 0))):
        if at & ~(PAGE - 1) not in memory:
            wrong.append(f"register {name}: {at:#x} is in no page of the "
                         "image")
        if not any(v <= at < v + size for v, _, size in leaves):
            wrong.append(f"register {name}: {at:#x} is not mapped")
    return wrong


def check_descriptors(memory, registers):
    """Segment registers say what the descriptors in the GDT say."""
    wrong = []
    table = registers.get("GDTR", {"base": 0, "limit": 0})
    page = memory.get(table["base"] & ~(PAGE - 1), bytes(PAGE))
    start = table["base"] % PAGE
    for name in ("CS", "DS", "ES", "SS"):
        segment = registers.get(name)
        if not segment or not segment["selector"]:
            continue
        at = segment["selector"] & ~7
        if at + 7 > table["limit"] or start + at + 8 > PAGE:
            wrong.append(f"register {name}: selector {at:#x} is behind the "
                         f"GDT's limit {table['limit']:#x}")
            continue
        low, = struct.unpack_from("<Q", page, start + at)
        # Accessed is set by the processor; bits 8-11 are the limit's.
        got = segment["attributes"] & 0xF0FE
        expected = low >> 40 & 0xF0FE
        if got != expected:
            wrong.append(f"register {name}: attributes {got:#x}, its "
                         f"descriptor {expected:#x}")
    return wrong


def check_state(image, tap):
    contexts = [(h, r) for h, r in image.contexts if h["vp_index"] == 0]
    tap.case("one VP context, of VP 0", [] if len(contexts) == len(
        image.contexts) == 1 else [
        f"VP_CONTEXT vp_index: {[h['vp_index'] for h, _ in image.contexts]}"
        ", expected [0]"])
    for _, every in contexts:
        top = max(vtl for vtl, _ in every)
        registers = {name: value for (vtl, name), value in every.items()
                     if vtl == top}
        memory = image.memory()
        tap.case("registers: long mode", check_registers(registers))
        tap.case("registers and page tables agree with memory",
                 check_pointers(image, memory, registers))
        tap.case("segments agree with the GDT",
                 check_descriptors(memory, registers))


def compare(image, map_text, dump_text):
    tap = Tap()
    check_dump(image, dump_text, tap)
    check_map(image, map_text, tap)
    check_state(image, tap)
    return tap.end()
