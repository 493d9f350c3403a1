#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A client of the diagnosis protocol that shares nothing with the paravisor but
its diag.proto: messages are what protoc made of it, frames are written here
from ttrpc's document. As a program, `client.py PB2-DIRECTORY SOCKET' asks what
may be asked of any image, and says what it got.
"""
import socket
import struct
import sys

OPENHCL = "diag.OpenhclDiag"
UNDERHILL = "diag.UnderhillDiag"
INSPECT = "inspect.InspectService"


class Refused(Exception):
    def __init__(self, code, message):
        super().__init__("%d: %s" % (code, message))
        self.code = code
        self.message = message


def varint(value):
    out = b""
    while value > 0x7f:
        out += bytes((value & 0x7f | 0x80,))
        value >>= 7
    return out + bytes((value,))


def text(number, value):
    return varint(number << 3 | 2) + varint(len(value)) + value


def fields(data):
    """(number, value) of each: an integer or bytes."""
    at = 0

    def number():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7f) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        key = number()
        value = number()
        if key & 7 == 2:
            at, value = at + value, data[at:at + value]
        elif key & 7:
            raise ValueError("wire type %d" % (key & 7))
        yield key >> 3, value


class Client:
    def __init__(self, path, timeout=30):
        self.path = path
        self.timeout = timeout
        self.stream = -1
        self.control = self.connect(1)

    def connect(self, port):
        fd = socket.socket(socket.AF_UNIX)
        fd.settimeout(self.timeout)
        fd.connect(self.path)
        fd.sendall(b"CONNECT %d\n" % port)
        line = b""
        while not line.endswith(b"\n"):
            byte = fd.recv(1)
            if not byte:
                raise ConnectionError("port %d: %r" % (port, line))
            line += byte
        if not line.startswith(b"OK "):
            raise ConnectionError("port %d: %r" % (port, line))
        return fd

    def data(self):
        """A data connection, and its id."""
        fd = self.connect(2)
        return fd, struct.unpack("<Q", self.exactly(fd, 8))[0]

    @staticmethod
    def exactly(fd, size):
        data = b""
        while len(data) < size:
            more = fd.recv(size - len(data))
            if not more:
                raise ConnectionError("closed after %d of %d bytes" %
                                      (len(data), size))
            data += more
        return data

    def send(self, service, method, payload):
        self.stream += 2
        request = (text(1, service.encode()) + text(2, method.encode()) +
                   text(3, payload))
        self.control.sendall(struct.pack(">IIBB", len(request), self.stream,
                                         1, 0) + request)
        return self.stream

    def receive(self):
        length, stream, kind, flags = struct.unpack(
            ">IIBB", self.exactly(self.control, 10))
        body = self.exactly(self.control, length)
        if kind != 2 or flags:
            raise ValueError("type %d, flags %d" % (kind, flags))
        return stream, body

    def call(self, service, method, request=None, response=None):
        """`request`, a message or nothing; fills and returns `response`."""
        stream = self.send(service, method,
                           request.SerializeToString() if request else b"")
        answered, body = self.receive()
        if answered != stream:
            raise ValueError("stream %d" % answered)
        for number, value in fields(body):
            if number == 1:
                status = dict(fields(value))
                if status.get(1, 0):
                    raise Refused(status[1], status.get(2, b"").decode())
            elif number == 2 and response is not None:
                response.ParseFromString(value)
        return response


def plain(node):
    """A Node as Python has it."""
    kind = node.WhichOneof("variant")
    if kind == "dir":
        return {e.name: plain(e.node) for e in node.dir.entry}
    if kind == "value":
        value = node.value.value.kind
        variant = value.WhichOneof("variant")
        return getattr(getattr(value, variant), {
            "bool": "truth", "string": "text", "bytes": "bytes"}.get(
                variant, "number"))
    if kind == "failed":
        raise LookupError(node.failed.error.WhichOneof("variant"))
    return None


def main():
    sys.path.insert(0, sys.argv[1])
    import diag_pb2 as pb # pylint: disable=import-error,import-outside-toplevel

    client = Client(sys.argv[2])
    client.call(OPENHCL, "Ping")
    tree = plain(client.call(INSPECT, "Inspect",
                             pb.InspectRequest(path="", depth=0xffffffff),
                             pb.InspectResponse()).result)
    print("tree: %s" % " ".join(sorted(tree)))
    print("flavour: %s" % tree["build"]["flavour"])
    fd, conn = client.data()
    client.call(UNDERHILL, "Kmsg", pb.KmsgRequest(follow=False, conn=conn))
    log = b""
    while True:
        more = fd.recv(65536)
        if not more:
            break
        log += more
    print("kmsg: %d records, first: %s" % (
        log.count(b"\0"), log.split(b"\n")[0].decode()))
    try:
        exit_code = run(pb, client, "sh", "-c", "exit 7")
        print("exec: %d" % exit_code)
    except Refused as refused:
        print("exec: %s" % refused.message)


def run(pb, client, command, *args):
    pid = client.call(UNDERHILL, "Exec",
                      pb.ExecRequest(command=command, args=args),
                      pb.ExecResponse()).pid
    return client.call(UNDERHILL, "Wait", pb.WaitRequest(pid=pid),
                       pb.WaitResponse()).exit_code


if __name__ == "__main__":
    main()
