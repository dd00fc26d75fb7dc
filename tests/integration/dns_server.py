"""A name server for tests: a few records, and failures on demand."""

import socket
import struct
import threading

A, SRV, NXDOMAIN, SERVFAIL = 1, 33, 3, 2


def wire_name(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


class Names:
    """A name server: records by (name, type); a type without records is "no such name"."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.records = {}
        self.failure = None  # a code, or "silent"
        self.asked = 0
        self.ttl = 1
        threading.Thread(target=self.serve, daemon=True).start()

    def address(self, name, *addresses):
        self.records[(name, A)] = [socket.inet_aton(address) for address in addresses]

    def services(self, name, *services):
        """Each is priority, weight, port and target."""
        self.records[(name, SRV)] = [
            struct.pack(">HHH", *service[:3]) + wire_name(service[3]) for service in services
        ]

    def serve(self):
        while True:
            try:
                packet, peer = self.socket.recvfrom(2048)
            except OSError:
                return
            self.asked += 1
            if self.failure != "silent":
                self.socket.sendto(self.reply(packet), peer)

    def reply(self, packet):
        at, labels = 12, []
        while packet[at]:
            labels.append(packet[at + 1:at + 1 + packet[at]].decode())
            at += 1 + packet[at]
        question = packet[12:at + 5]
        kind = struct.unpack(">H", packet[at + 1:at + 3])[0]
        found = self.records.get((".".join(labels).lower(), kind), [])
        known = any(name == ".".join(labels).lower() for name, _ in self.records)
        code = self.failure or (0 if known else NXDOMAIN)
        if code:
            found = []
        records = b"".join(
            b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, self.ttl, len(data)) + data for data in found
        )
        return (packet[:2] + struct.pack(">HHHHH", 0x8180 | code, 1, len(found), 0, 0)
                + question + records)

    def close(self):
        self.socket.close()
