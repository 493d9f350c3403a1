#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Does vmm hand VTL2 the device tree a public Hyper-V host would?

    host_tree_check.py [--without-paravisor] TREE.dtb      TAP, status 0 or 1
    host_tree_check.py --self-test                         TAP

The image may ask for nothing else than what such a host gives, so a node or
property that is not on the list below is a failure and is named.  /paravisor
is our own and optional; --without-paravisor wants even that one away.

The parser is written from the Devicetree Specification v0.4, chapter 5, and
shares nothing with libfdt.  A tree that cannot be parsed is refused with one
line, status 2.
"""

import re
import struct
import sys

sys.dont_write_bytecode = True      # the tree stays as it was checked out

from igvm_reader import Tap     # noqa: E402

MAGIC = 0xD00DFEED
HEADER = ("magic", "totalsize", "off_dt_struct", "off_dt_strings",
          "off_mem_rsvmap", "version", "last_comp_version",
          "boot_cpuid_phys", "size_dt_strings", "size_dt_struct")
BEGIN_NODE, END_NODE, PROP, NOP, END = 1, 2, 3, 4, 9

VTL2_PROTECTABLE = 3        # IGVM_VHF_MEMORY_MAP entry types
IGVM_TYPES = range(6)


class BadTree(Exception):
    """The blob is no device tree."""


class Node:
    def __init__(self, name, parent):
        self.name, self.parent = name, parent
        self.properties, self.children = {}, []
        self.path = (parent.path.rstrip("/") + "/" + name) if parent else "/"

    def child(self, name):
        for node in self.children:
            if node.name == name:
                return node
        return None

    def every(self, stem):
        """Children called STEM@unit-address."""
        return [n for n in self.children if n.name.split("@")[0] == stem
                and "@" in n.name]

    def unit(self):
        return self.name.partition("@")[2]

    def walk(self):
        yield self
        for node in self.children:
            yield from node.walk()


def parse(blob):
    """The root Node and the memory reservations."""
    if len(blob) < 40:
        raise BadTree(f"header: {len(blob)} bytes, must be at least 40")
    head = dict(zip(HEADER, struct.unpack_from(">10I", blob)))

    def demand(holds, field, rule):
        if not holds:
            raise BadTree(f"header {field} {head[field]:#x}: {rule}")

    demand(head["magic"] == MAGIC, "magic", f"must be {MAGIC:#x}")
    demand(head["totalsize"] <= len(blob), "totalsize",
           f"the file has {len(blob):#x} bytes")
    demand(head["version"] >= 17, "version", "must be at least 17")
    demand(head["last_comp_version"] <= 17, "last_comp_version",
           "must be at most 17")
    demand(head["off_dt_struct"] % 4 == 0, "off_dt_struct",
           "must be a multiple of 4")
    demand(head["off_mem_rsvmap"] % 8 == 0, "off_mem_rsvmap",
           "must be a multiple of 8")
    for offset, size in (("off_dt_struct", "size_dt_struct"),
                         ("off_dt_strings", "size_dt_strings")):
        demand(head[offset] + head[size] <= head["totalsize"], size,
               "ends behind the tree")
    strings = blob[head["off_dt_strings"]:][:head["size_dt_strings"]]
    root = parse_structure(
        blob[head["off_dt_struct"]:][:head["size_dt_struct"]], strings)
    return root, reservations(blob[:head["totalsize"]],
                              head["off_mem_rsvmap"])


def reservations(blob, at):
    found = []
    while at + 16 <= len(blob):
        address, size = struct.unpack_from(">QQ", blob, at)
        if address == 0 and size == 0:
            return found
        found.append((address, size))
        at += 16
    raise BadTree("reservation block: does not end")


def text_at(block, at, what):
    end = block.find(b"\0", at)
    if not 0 <= at < len(block) or end < 0:
        raise BadTree(f"{what} at {at:#x}: does not end in its block")
    return block[at:end].decode("latin-1"), end + 1


def parse_structure(block, strings):
    """Tokens to nodes.  A node's properties come before its children."""
    at, node, root = 0, None, None

    def word():
        nonlocal at
        if at + 4 > len(block):
            raise BadTree(f"structure block {at:#x}: ends without FDT_END")
        at += 4
        return struct.unpack_from(">I", block, at - 4)[0]

    while True:
        where = at
        token = word()
        if token == BEGIN_NODE:
            name, at = text_at(block, at, "node name")
            at = (at + 3) & ~3
            if (node is None) != (name == "") or (root and node is None):
                raise BadTree(f"structure block {where:#x}: one root, and "
                              "no other node, is without a name")
            if node and node.child(name):
                raise BadTree(f"{node.path}: has two nodes '{name}'")
            inner = Node(name, node)
            if node:
                node.children.append(inner)
            else:
                root = inner
            node = inner
        elif token == PROP:
            length, name_at = word(), word()
            name, _ = text_at(strings, name_at, "property name")
            if node is None or at + length > len(block):
                raise BadTree(f"structure block {where:#x}: property "
                              f"'{name}' of {length} bytes does not fit")
            if node.children or name in node.properties:
                raise BadTree(f"{node.path}: property '{name}' comes twice "
                              "or behind a node")
            node.properties[name] = block[at:at + length]
            at = (at + length + 3) & ~3
        elif token == END_NODE and node:
            node = node.parent
        elif token == END and node is None and root:
            return root
        elif token != NOP:
            raise BadTree(f"structure block {where:#x}: token {token:#x} "
                          "may not stand here")


# -- values: each answers None or what is wrong ----------------------------

def cells(raw, size):
    """A property's bytes as big-endian numbers of SIZE bytes, or None."""
    if len(raw) % size:
        return None
    return [int.from_bytes(raw[n:n + size], "big")
            for n in range(0, len(raw), size)]


def shown(raw):
    text = raw[:-1]
    if raw[-1:] == b"\0" and text and all(32 <= c < 127 for c in text):
        return f'"{text.decode()}"'
    if len(raw) > 64:
        return f"<{len(raw)} bytes>"
    return f"<{raw.hex(' ', 4)}>" if raw else "empty"


def string(*allowed):
    """One string; of ALLOWED when there are any."""
    def check(raw):
        if raw[-1:] != b"\0" or b"\0" in raw[:-1]:
            return f"{shown(raw)} is not one string"
        if allowed and raw[:-1].decode("latin-1") not in allowed:
            return f"{shown(raw)}, expected " + " or ".join(allowed)
        return None
    return check


def number(size, *allowed):
    """One number of SIZE bytes; of ALLOWED when there are any."""
    def check(raw):
        if len(raw) != size:
            return f"{shown(raw)} is not one {size * 8}-bit number"
        value = int.from_bytes(raw, "big")
        if allowed and value not in allowed:
            return f"{value:#x}, expected " + " or ".join(
                f"{a:#x}" for a in allowed)
        return None
    return check


def numbers(size, least, most):
    def check(raw):
        values = cells(raw, size)
        if values is None or not least <= len(values) <= most:
            return (f"{shown(raw)}, expected {least} to {most} "
                    f"{size * 8}-bit numbers")
        return None
    return check


def anything(raw):
    return None if raw else "empty"


def empty(raw):
    return f"{shown(raw)}, expected empty" if raw else None


ADDRESSING = {"#address-cells": number(4, 1, 2),
              "#size-cells": number(4, 0, 1, 2)}
ADDRESSING_64 = {"#address-cells": number(4, 2), "#size-cells": number(4, 2)}


class Rule:
    """What one node must and may hold."""

    def __init__(self, must, may=(), least=1, most=1):
        self.must, self.may = must, dict(may)
        self.least, self.most = least, most


def vmbus(vtl, ranges, *connections):
    return Rule({"compatible": string("microsoft,vmbus"),
                 "microsoft,vtl": number(4, vtl),
                 "ranges": numbers(8, 3, 3 * ranges),
                 "microsoft,message-connection-id": number(4, *connections),
                 }, ADDRESSING_64)


MANY = 1 << 16
# Path with unit addresses left out: rule.  #address-cells and #size-cells
# are what the Devicetree Specification wants where children have addresses.
RULES = {
    "/": Rule({**ADDRESSING_64, "model": string("microsoft,hyperv")}),
    "/cpus": Rule({"#address-cells": number(4, 1),
                   "#size-cells": number(4, 0)}),
    "/cpus/cpu@": Rule({"device_type": string("cpu"), "reg": number(4),
                        "numa-node-id": number(4),
                        "status": string("okay")}, most=MANY),
    "/memory@": Rule({"device_type": string("memory"),
                      "reg": numbers(8, 2, 2), "numa-node-id": number(4),
                      "microsoft,igvm-type": number(4, *IGVM_TYPES)},
                     most=MANY),
    "/bus": Rule({"compatible": string("simple-bus"), **ADDRESSING_64,
                  "ranges": empty}),
    "/bus/vmbus-vtl0@": vmbus(0, 2, 1),
    "/bus/vmbus-vtl2@": vmbus(2, 1, 0x800074, 4),
    "/pio-bus": Rule({"compatible": string("x86-pio-bus")},
                     {**ADDRESSING_64, "ranges": empty}),
    "/pio-bus/serial@": Rule({"compatible": string("ns16550"),
                              "clock-frequency": number(4),
                              "current-speed": number(4, 115200),
                              "reg": numbers(8, 2, 2),
                              "interrupts": number(8)}),
    "/chosen": Rule({"bootargs": string()}),
    "/openhcl": Rule({"memory-allocation-mode": string("host", "vtl2")},
                     {"memory-size": number(8), "mmio-size": number(8)}),
    "/openhcl/entropy": Rule({"reg": anything}, least=0),
    "/openhcl/keep-alive": Rule({"device-types": string("nvme")}, least=0),
}
OURS = "/paravisor"


def rule_path(node):
    """The node's path as RULES spells it."""
    return re.sub(r"@[^/]*", "@", node.path)


# -- checks ----------------------------------------------------------------

def check_nodes(root, tap):
    """Every rule has its nodes, and each of them its properties."""
    found = {}
    for node in root.walk():
        found.setdefault(rule_path(node), []).append(node)
    for path, rule in RULES.items():
        nodes = found.get(path, [])
        wrong = []
        if not rule.least <= len(nodes) <= rule.most:
            wrong.append(f"{path}: {len(nodes)} nodes, expected "
                         f"{'at least ' if rule.most == MANY else ''}"
                         f"{rule.least}")
        for node in nodes:
            wrong += check_properties(node, rule)
        tap.case(path + (" (absent, optional)" if not nodes else ""), wrong)


def check_properties(node, rule):
    wrong = [f"{node.path} {name}: missing" for name in rule.must
             if name not in node.properties]
    for name, raw in node.properties.items():
        check = rule.must.get(name) or rule.may.get(name)
        reason = check(raw) if check else None
        if reason:
            wrong.append(f"{node.path} {name}: {reason}")
    return wrong


def extras(root, without_paravisor):
    """Nodes and properties that no rule knows."""
    found = []
    for node in root.walk():
        path = rule_path(node)
        if (path + "/").startswith(OURS + "/") and not without_paravisor:
            continue
        if path not in RULES:
            found.append(f"{node.path}: extra node")
            found += [f"{node.path} {name}: {shown(raw)}"
                      for name, raw in node.properties.items()]
            continue
        rule = RULES[path]
        found += [f"{node.path} {name}: extra property {shown(raw)}"
                  for name, raw in node.properties.items()
                  if name not in rule.must and name not in rule.may]
    return found


def pairs(node, name, group):
    """A property of 64-bit numbers, GROUP by GROUP; wrong sizes are named
    by the rules already and give nothing here."""
    values = cells(node.properties.get(name, b""), 8) or []
    if len(values) % group:
        return []
    return [tuple(values[n:n + group])
            for n in range(0, len(values), group)]


def spans(root):
    """(start, size, owner) of all memory and MMIO of the tree."""
    found = []
    for node in root.every("memory"):
        found += [(*span, node.path) for span in pairs(node, "reg", 2)]
    for bus in root.children:
        if bus.name != "bus":
            continue
        for node in bus.children:
            found += [(start, size, node.path) for start, _, size
                      in pairs(node, "ranges", 3)]
    return sorted(found)


def check_spans(root):
    wrong = []
    end, owner = 0, None
    for start, size, path in spans(root):
        if size == 0 or (start | size) % 4096:
            wrong.append(f"{path}: {start:#x}+{size:#x} is not whole pages")
        if start < end:
            wrong.append(f"{path}: {start:#x} lies in {owner}, which ends at "
                         f"{end:#x}")
        if start + size > end:
            end, owner = start + size, path
    return wrong


def check_units(root):
    """Unit addresses say what reg or the first range says."""
    wrong = []
    for node in root.walk():
        path = rule_path(node)
        if not path.endswith("@"):
            continue
        unit = node.unit()
        if not re.fullmatch(r"[0-9a-f]+", unit):
            wrong.append(f"{node.path}: '{unit}' is no unit address")
            continue
        name = "ranges" if "vmbus" in path else "reg"
        first = cells(node.properties.get(name, b""), 8)
        if path != "/cpus/cpu@" and path in RULES and first and \
                int(unit, 16) != first[0]:
            wrong.append(f"{node.path} {name}: starts at {first[0]:#x}, the "
                         f"unit address is {unit}")
    return wrong


def check_cpus(root):
    """In VP-index order, each with an APIC id of its own."""
    cpus = root.child("cpus")
    nodes = cpus.every("cpu") if cpus else []
    wrong = []
    units = [int(n.unit(), 16) for n in nodes
             if re.fullmatch(r"[0-9a-f]+", n.unit())]
    if any(b != a + 1 for a, b in zip(units, units[1:])):
        wrong.append(f"/cpus: the units {units} do not count up by one")
    apic = [n.properties.get("reg") for n in nodes]
    for n, node in enumerate(nodes):
        if apic[n] in apic[:n]:
            wrong.append(f"{node.path} reg: APIC id {shown(apic[n])} again")
    return wrong


def check_memory(root):
    """Both trust levels have memory."""
    types = [int.from_bytes(n.properties.get("microsoft,igvm-type", b""),
                            "big") for n in root.every("memory")]
    return [f"/memory microsoft,igvm-type: no range of type {t} ({what})"
            for t, what in ((0, "VTL0's memory"),
                            (VTL2_PROTECTABLE, "VTL2's memory"))
            if t not in types]


def check_ranges(root):
    """VMBus windows are identity mapped; VTL0 has a low and a high one."""
    bus = root.child("bus")
    wrong = []
    for node in bus.children if bus else []:
        ranges = pairs(node, "ranges", 3)
        wrong += [f"{node.path} ranges: {child:#x} is mapped to {parent:#x}"
                  for child, parent, _ in ranges if child != parent]
        if node.name.startswith("vmbus-vtl0@"):
            low = [r for r in ranges if r[0] + r[2] <= 1 << 32]
            high = [r for r in ranges if r[0] >= 1 << 32]
            if (len(low), len(high)) != (1, 1):
                wrong.append(f"{node.path} ranges: {len(low)} below and "
                             f"{len(high)} above 4 GiB, expected one each")
    return wrong


def check_openhcl(root):
    node = root.child("openhcl")
    if node is None or node.properties.get(
            "memory-allocation-mode") != b"vtl2\0":
        return []
    return [f"/openhcl {name}: missing, VTL2 allocates itself"
            for name in ("memory-size", "mmio-size")
            if name not in node.properties]


def check_serial(root):
    bus = root.child("pio-bus")
    return [f"{node.path} reg: {port:#x}+{size}, a 16550 has 8 ports in "
            "64 Ki" for node in (bus.every("serial") if bus else [])
            for port, size in pairs(node, "reg", 2)
            if size != 8 or port > 0xFFF8]


def check_tree(blob, without_paravisor, tap):
    root, reserved = parse(blob)
    check_nodes(root, tap)
    tap.case("nothing else" + (", not even /paravisor"
                               if without_paravisor else ""),
             extras(root, without_paravisor))
    tap.case("no memory reservation",
             [f"reservation {a:#x}+{s:#x}" for a, s in reserved])
    for title, check in (
            ("unit addresses", check_units),
            ("CPUs in VP order", check_cpus),
            ("memory of both trust levels", check_memory),
            ("memory and MMIO do not overlap", check_spans),
            ("VMBus windows", check_ranges),
            ("self-allocation is complete", check_openhcl),
            ("serial port", check_serial)):
        tap.case(title, check(root))
    ours = root.child(OURS[1:])
    for node in ours.walk() if ours else []:
        for name, raw in node.properties.items():
            print(f"# ours: {node.path} {name} {shown(raw)}")


def main(arguments):
    without = "--without-paravisor" in arguments
    paths = [a for a in arguments if a != "--without-paravisor"]
    if paths == ["--self-test"]:
        from host_tree_check_test import self_test
        return self_test()
    if len(paths) != 1 or paths[0].startswith("-"):
        print("usage: host_tree_check.py [--without-paravisor] TREE.dtb | "
              "--self-test", file=sys.stderr)
        return 2
    tap = Tap()
    try:
        with open(paths[0], "rb") as file:
            check_tree(file.read(), without, tap)
    except BadTree as error:
        print(f"{paths[0]}: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"{error.filename}: {error.strerror}", file=sys.stderr)
        return 2
    return tap.end()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
