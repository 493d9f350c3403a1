#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""pcap_check.py FILE MAC MTU

Are the frames that MAC sent good on the wire? Each of IPv4 and IPv6 has good
checksums, says its length, is no longer than MTU, and has no more TCP payload
than the other side said that it takes. Prints counts as JSON; status 1 when
anything is wrong.
"""
import json
import struct
import sys

IP4, IP6, VLAN = 0x0800, 0x86dd, 0x8100
ICMP, TCP, UDP, ICMP6 = 1, 6, 17, 58
SYN = 2


def ones(data):
    """The sum of RFC 1071, not complemented: 0xffff for what is good."""
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(">%dH" % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return total


def records(path):
    with open(path, "rb") as f:
        magic, = struct.unpack("<I", f.read(24)[:4])
        if magic != 0xa1b23c4d:
            sys.exit("%s: not a capture of vmm" % path)
        while head := f.read(16):
            _, _, size, original = struct.unpack("<IIII", head)
            data = f.read(size)
            if size != original or len(data) != size:
                sys.exit("%s: cut off" % path)
            yield data


def mss_of(tcp):
    """What a SYN says; None without the option."""
    at, end = 20, (tcp[12] >> 4) * 4
    while at < end and tcp[at]:
        if tcp[at] == 1:
            at += 1
            continue
        if tcp[at] == 2:
            return struct.unpack_from(">H", tcp, at + 2)[0]
        at += max(tcp[at + 1], 2)
    return None


class Check:
    def __init__(self, mac, mtu):
        self.mac, self.mtu = mac, mtu
        self.mss = {} # (address, port) -> what it takes
        self.count = dict.fromkeys(
            ("frames", "ip4", "ip6", "tcp", "tcp6", "udp", "full", "bad_ip",
             "bad_checksum", "too_long", "over_mss", "bad_length"), 0)

    def add(self, *names):
        for name in names:
            self.count[name] += 1

    def ip4(self, ip):
        header = (ip[0] & 15) * 4
        length, = struct.unpack_from(">H", ip, 2)
        if ones(ip[:header]) != 0xffff:
            self.add("bad_ip")
        pseudo = ip[12:20] + struct.pack(">HH", ip[9], length - header)
        return ip[9], ip[12:16], ip[16:20], pseudo, ip[header:length], length

    @staticmethod
    def ip6(ip):
        length, = struct.unpack_from(">H", ip, 4)
        pseudo = ip[8:40] + struct.pack(">II", length, ip[6])
        return (ip[6], ip[8:24], ip[24:40], pseudo, ip[40:40 + length],
                length + 40)

    def packet(self, ours, kind, ip):
        protocol, src, dst, pseudo, l4, length = (
            self.ip4(ip) if kind == IP4 else self.ip6(ip))
        if protocol == TCP and l4[13] & SYN:
            self.mss[src, l4[0:2]] = mss_of(l4)
        if not ours:
            return
        self.add("frames", "ip4" if kind == IP4 else "ip6")
        if length > len(ip) or len(l4) < 8:
            self.add("bad_length")
            return
        if length > self.mtu:
            self.add("too_long")
        if protocol == ICMP:
            pseudo = b""
        elif protocol not in (TCP, UDP, ICMP6):
            return
        if protocol == UDP and l4[6:8] == b"\0\0" and kind == IP4:
            pass # has none
        elif ones(pseudo + l4) != 0xffff:
            self.add("bad_checksum")
        if protocol == UDP:
            self.add("udp")
        if protocol == TCP:
            self.add("tcp" if kind == IP4 else "tcp6")
            payload = len(l4) - (l4[12] >> 4) * 4
            takes = self.mss.get((dst, l4[2:4])) or 536
            if payload > takes:
                self.add("over_mss")
            if payload > takes - 64:
                self.add("full")

    def frame(self, data):
        kind, = struct.unpack_from(">H", data, 12)
        at = 14
        if kind == VLAN:
            kind, = struct.unpack_from(">H", data, 16)
            at = 18
        if kind in (IP4, IP6):
            self.packet(data[6:12] == self.mac, kind, data[at:])


def main(path, mac, mtu):
    check = Check(bytes.fromhex(mac.replace(":", "")), int(mtu))
    for data in records(path):
        check.frame(data)
    print(json.dumps(check.count))
    bad = ("bad_ip", "bad_checksum", "too_long", "over_mss", "bad_length")
    sys.exit(any(check.count[name] for name in bad))


main(*sys.argv[1:])
