# SPDX-License-Identifier: MIT
"""Seeds of target ic; see seeds."""
import struct


def ic():
    shutdown, heartbeat, time, kvp = range(0, 32, 8)

    def ready(service, version=0):
        return bytes((service, 1, 1, service | 5, version))

    def wait(tenths):
        return bytes((1, tenths))

    def respond(service, at=2000, status=0, cut=0, changed=b""):
        return struct.pack("<BHBB", service | 3, at, cut, status) + changed

    def raw(service, content):
        return bytes((service | 7, len(content))) + content

    def header(kind, size, transaction, flags):
        return struct.pack("<HHHHHHIBBH", 3, 0, kind, 3, 0, size, 0,
                           transaction, flags, 0)

    def item(at, value_type, key, value):
        return respond(kvp, at, 0, 0, struct.pack(
            "<III", value_type, key, value) + b"k\0\0\0")

    off = bytes((shutdown | 2,))
    set_time = bytes((time | 2,)) + struct.pack("<i", 3600)
    get = bytes((kvp | 2, 2))
    yield "shutdown", (ready(shutdown) + off + respond(shutdown) + off +
                       respond(shutdown, status=3) + off + wait(120) +
                       respond(shutdown) + off + respond(shutdown, cut=255) +
                       b"\0" * 40)
    for n, body in enumerate((
            struct.pack("<HHIHHHH", 0, 0, 0, 0, 0, 0, 0),
            struct.pack("<HHIHHHH", 1, 1, 0, 3, 0, 9, 0),
            struct.pack("<HHIHHHH", 2, 1, 0, 3, 0, 3, 0),
            struct.pack("<HHIHHH", 1, 1, 0, 3, 0, 3), b"\1\0\1\0")):
        yield "versions%d" % n, (
            bytes((shutdown, 1, 1)) +
            raw(shutdown, header(0, len(body), 1, 4) + body) + off +
            raw(shutdown, header(5, 0, 9, 2)) + ready(heartbeat))
    yield "heartbeat", (ready(heartbeat) + wait(20) +
                        respond(heartbeat, 0, changed=b"\1" + b"\0" * 15) +
                        wait(20) + respond(heartbeat, cut=240) +
                        wait(20) + respond(heartbeat, cut=250) + wait(200) +
                        wait(200) + respond(heartbeat))
    yield "deaf", (ready(heartbeat) + b"\xe1\x14" * 12 + ready(time) +
                   b"\xe1\x32" * 4 + b"\xe0" + ready(kvp) + b"\xfa\2" * 8)
    for version in (0, 1, 2):
        yield "time%d" % version, (
            ready(time, version) + wait(0) + respond(time) + set_time +
            wait(0) + respond(time) + wait(50) + set_time + respond(time) +
            wait(0) + wait(110) + set_time + wait(0) + b"\x10" + b"\0" * 20)
    for name, value_type, key, value in (
            ("text", 1, 4, 16), ("u32", 4, 4, 4), ("u64", 8, 4, 8),
            ("wrong", 4, 4, 8), ("type", 2, 4, 4), ("long", 1, 513, 2),
            ("value", 1, 4, 2049), ("full", 1, 512, 2048)):
        yield "kvp_" + name, (
            ready(kvp, 0) + get + respond(kvp, 8) +
            item(8, value_type, key, value) +
            get + respond(kvp, status=0x80) + get + wait(255) + wait(255) +
            get + respond(kvp, cut=255) + get +
            # Sizes first, then the text of the value, then the key's.
            respond(kvp, 532, changed=b"D\0\xe9\0\xac\x20\x3d\xd8" +
                    b"\0\xde\0\xd8!\0\0\0") +
            item(8, value_type, key, value))
