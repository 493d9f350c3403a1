# SPDX-License-Identifier: MIT
"""Self-test of host_tree_check.py: a tree as a public host gives it, and
what the check must find in spoilt ones."""

import contextlib
import io
import struct

from host_tree_check import (BEGIN_NODE, END, END_NODE, MAGIC, PROP, BadTree,
                             check_tree)
from igvm_reader import Tap


def u32(*values):
    return struct.pack(f">{len(values)}I", *values)


def u64(*values):
    return struct.pack(f">{len(values)}Q", *values)


def good():
    """Nodes as dicts; bytes are properties, dicts are nodes."""
    wide = {"#address-cells": u32(2), "#size-cells": u32(2)}

    def cpu(apic):
        return {"device_type": b"cpu\0", "reg": u32(apic),
                "numa-node-id": u32(0), "status": b"okay\0"}

    def memory(start, size, kind):
        return {"device_type": b"memory\0", "reg": u64(start, size),
                "numa-node-id": u32(0), "microsoft,igvm-type": u32(kind)}

    def vmbus(vtl, connection, *ranges):
        return {**wide, "compatible": b"microsoft,vmbus\0",
                "microsoft,vtl": u32(vtl),
                "microsoft,message-connection-id": u32(connection),
                "ranges": b"".join(u64(at, at, size)
                                   for at, size in ranges)}

    return {
        **wide, "model": b"microsoft,hyperv\0",
        "cpus": {"#address-cells": u32(1), "#size-cells": u32(0),
                 "cpu@0": cpu(0), "cpu@1": cpu(1)},
        "memory@0": memory(0, 0x70000000, 0),
        "memory@70000000": memory(0x70000000, 0x8000000, 3),
        "bus": {**wide, "compatible": b"simple-bus\0", "ranges": b"",
                "vmbus-vtl0@f8000000": vmbus(
                    0, 1, (0xF8000000, 0x4000000), (1 << 37, 1 << 30)),
                "vmbus-vtl2@e00000000": vmbus(
                    2, 0x800074, (0xE00000000, 1 << 28))},
        "pio-bus": {**wide, "compatible": b"x86-pio-bus\0", "ranges": b"",
                    "serial@3e8": {
                        "compatible": b"ns16550\0",
                        "clock-frequency": u32(1843200),
                        "current-speed": u32(115200),
                        "reg": u64(0x3E8, 8), "interrupts": u64(4)}},
        "chosen": {"bootargs": b"console=ttyS2\0"},
        "openhcl": {"memory-allocation-mode": b"host\0",
                    "entropy": {"reg": bytes(range(64))},
                    "keep-alive": {"device-types": b"nvme\0"}},
    }


def blob(tree, reserved=(), **spoilt):
    strings = bytearray()

    def node(name, content):
        raw = name.encode() + b"\0"
        out = u32(BEGIN_NODE) + raw + bytes(-len(raw) % 4)
        for key, value in content.items():
            if isinstance(value, bytes):
                out += u32(PROP, len(value), len(strings))
                strings.extend(key.encode() + b"\0")
                out += value + bytes(-len(value) % 4)
        for key, value in content.items():
            if isinstance(value, dict):
                out += node(key, value)
        return out + u32(END_NODE)

    structure = node("", tree) + u32(END)
    reserve = b"".join(u64(*r) for r in (*reserved, (0, 0)))
    at = 40 + len(reserve)
    head = {"magic": MAGIC,
            "totalsize": at + len(structure) + len(strings),
            "struct": at, "strings": at + len(structure), "rsvmap": 40,
            "version": 17, "compatible": 16, "boot_cpu": 0,
            "size_strings": len(strings), "size_struct": len(structure)}
    head.update(spoilt)
    return u32(*head.values()) + reserve + structure + bytes(strings)


def findings(raw, without=False):
    """The comment lines of failed cases."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        check_tree(raw, without, Tap())
    return [line[2:] for line in out.getvalue().splitlines()
            if line.startswith("# ") and not line.startswith("# ours:")]


def spoilt():
    """(title, path to a dict, key, new value or None, finding's start)"""
    bus, cpus = ("bus",), ("cpus",)
    vtl0, vtl2 = bus + ("vmbus-vtl0@f8000000",), bus + (
        "vmbus-vtl2@e00000000",)
    serial = ("pio-bus", "serial@3e8")
    low = ("memory@0",)
    return [
        ("model", (), "model", b"qemu\0", "/ model:"),
        ("extra root property", (), "compatible", b"x\0", "/ compatible: ext"),
        ("extra node", (), "firmware", {"x": b"1"}, "/firmware: extra node"),
        ("extra nested node", bus, "virtio@1000", {}, "/bus/virtio@1000: e"),
        ("extra property", low, "hotpluggable", b"", "/memory@0 hotplug"),
        ("no cpus", (), "cpus", {}, "/cpus/cpu@: 0 nodes"),
        ("cpu without status", cpus + ("cpu@1",), "status", None,
         "/cpus/cpu@1 status: missing"),
        ("APIC id twice", cpus + ("cpu@1",), "reg", u32(0),
         "/cpus/cpu@1 reg: APIC id"),
        ("cpu of 64-bit reg", cpus + ("cpu@1",), "reg", u64(1),
         "/cpus/cpu@1 reg: <"),
        ("memory without type", low, "microsoft,igvm-type", None,
         "/memory@0 microsoft,igvm-type: missing"),
        ("memory of type 9", low, "microsoft,igvm-type", u32(9),
         "/memory@0 microsoft,igvm-type: 0x9"),
        ("no VTL2 memory", ("memory@70000000",), "microsoft,igvm-type",
         u32(0), "/memory microsoft,igvm-type: no range of type 3"),
        ("memory elsewhere", low, "reg", u64(0x1000, 0x1000),
         "/memory@0 reg: starts at 0x1000"),
        ("memory overlaps", low, "reg", u64(0, 0x70001000),
         "/memory@70000000: 0x70000000 lies in /memory@0"),
        ("MMIO over memory", vtl2, "ranges", u64(0x1000, 0x1000, 0x1000),
         "/bus/vmbus-vtl2@e00000000: 0x1000 lies in /memory@0"),
        ("VTL0's bus missing", bus, "vmbus-vtl0@f8000000", None,
         "/bus/vmbus-vtl0@: 0 nodes"),
        ("wrong VTL", vtl2, "microsoft,vtl", u32(1),
         "/bus/vmbus-vtl2@e00000000 microsoft,vtl: 0x1"),
        ("wrong connection", vtl0, "microsoft,message-connection-id",
         u32(4), "/bus/vmbus-vtl0@f8000000 microsoft,message-conn"),
        ("one window for VTL0", vtl0, "ranges",
         u64(0xF8000000, 0xF8000000, 0x1000),
         "/bus/vmbus-vtl0@f8000000 ranges: 1 below and 0"),
        ("window not identity", vtl2, "ranges",
         u64(0xE00000000, 0, 0x1000), "/bus/vmbus-vtl2@e00000000 ranges: 0xe"),
        ("ranges cut", vtl2, "ranges", u64(0xE00000000),
         "/bus/vmbus-vtl2@e00000000 ranges: <"),
        ("serial speed", serial, "current-speed", u32(9600),
         "/pio-bus/serial@3e8 current-speed: 0x2580"),
        ("serial ports", serial, "reg", u64(0x3E8, 4),
         "/pio-bus/serial@3e8 reg: 0x3e8+4"),
        ("no bootargs", ("chosen",), "bootargs", None,
         "/chosen bootargs: missing"),
        ("initrd in chosen", ("chosen",), "linux,initrd-start", u64(0),
         "/chosen linux,initrd-start: extra property"),
        ("allocation mode", ("openhcl",), "memory-allocation-mode",
         b"auto\0", '/openhcl memory-allocation-mode: "auto"'),
        ("self-allocation without sizes", ("openhcl",),
         "memory-allocation-mode", b"vtl2\0", "/openhcl memory-size: missing"),
    ]


def self_test():
    tap = Tap()
    tap.same("good tree", findings(blob(good())), [])
    ours = good()
    ours["paravisor"] = {"settings": b"{}\0", "vtl0": {"entry": u64(1)}}
    tap.same("ours is allowed", findings(blob(ours)), [])
    tap.same("ours is found", findings(blob(ours), without=True)[:1],
             ["/paravisor: extra node"])
    tap.same("reservation", findings(blob(good(), [(0x1000, 0x1000)])),
             ["reservation 0x1000+0x1000"])
    for title, path, key, value, expected in spoilt():
        tree = good()
        inner = tree
        for name in path:
            inner = inner[name]
        if value is None:
            del inner[key]
        else:
            inner[key] = value
        found = findings(blob(tree))
        tap.case(title, [] if any(line.startswith(expected)
                                  for line in found) else
                 [f"got {found}, expected {expected}"])
    whole = blob(good())
    for title, raw in (
            ("no tree: magic", blob(good(), magic=1)),
            ("no tree: version", blob(good(), version=16)),
            ("no tree: size", blob(good(), totalsize=1 << 20)),
            ("no tree: structure behind the end",
             blob(good(), size_struct=1 << 20)),
            ("no tree: structure cut", blob(good(), size_struct=64)),
            ("no tree: strings cut", blob(good(), size_strings=4)),
            ("no tree: reservations do not end",
             blob(good(), rsvmap=len(whole) & ~7)),
            ("no tree: empty file", b"")):
        try:
            found = findings(raw)
            tap.case(title, [f"accepted: {found}"])
        except BadTree:
            tap.case(title, [])
    return tap.end()
