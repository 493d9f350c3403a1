#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""mana_server.py PORT SIZE | mana_server.py --sum SIZE

What the guest of mana.t talks to, on 127.0.0.1 and ::1. PORT sends SIZE bytes, each
4 KiB of which say where they are, to whoever connects; PORT + 1 takes as many and
answers `good' when they are those, else where they are wrong. A line on stdout
for each connection. --sum prints the SHA-256 of the bytes.
"""
import hashlib
import socket
import sys
import threading

BLOCK = 1 << 12
PIECE = 1 << 16


def block(at):
    """Its place, and bytes that differ from those of its neighbours."""
    return b"%015x\n" % at + bytes([at >> 12 & 255]) * (BLOCK - 16)


def stamped(at, size):
    return b"".join(block(at + i) for i in range(0, size, BLOCK))


def pieces(size):
    for at in range(0, size, PIECE):
        yield at, stamped(at, min(PIECE, size - at))


def send(connection, size):
    for _, data in pieces(size):
        connection.sendall(data)
    connection.shutdown(socket.SHUT_WR)
    return "sent"


def read(connection, size):
    data = b""
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            break
        data += more
    return data


def take(connection, size):
    answer = "good"
    for at, wanted in pieces(size):
        data = read(connection, len(wanted))
        if data != wanted:
            answer = "wrong in the 64 KiB at %d (%d bytes)" % (at, len(data))
            break
    connection.sendall(answer.encode() + b"\n")
    connection.shutdown(socket.SHUT_WR)
    return answer


def listen(port):
    """On both loopback addresses; where there is no IPv6, on one."""
    try:
        return socket.create_server(("::", port), family=socket.AF_INET6,
                                    backlog=16, dualstack_ipv6=True)
    except OSError:
        return socket.create_server(("127.0.0.1", port), backlog=16)


def serve(port, work, size):
    listener = listen(port)

    def one(connection):
        with connection:
            try:
                said = work(connection, size)
            except OSError as error:
                said = str(error)
        print("server: %s: %s" % (work.__name__, said), flush=True)

    while True:
        connection, _ = listener.accept()
        threading.Thread(target=one, args=(connection,), daemon=True).start()


def main(argv):
    size = int(argv[2])
    if argv[1] == "--sum":
        digest = hashlib.sha256()
        for _, data in pieces(size):
            digest.update(data)
        print(digest.hexdigest())
        return
    port = int(argv[1])
    threading.Thread(target=serve, args=(port, send, size),
                     daemon=True).start()
    print("server: ready", flush=True)
    serve(port + 1, take, size)


main(sys.argv)
