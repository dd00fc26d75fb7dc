#!/usr/bin/python3
"""A JSON array of 100 MB is checked while it passes, in little memory, and cut off where it is wrong."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))
# pylint: disable=wrong-import-position
from harness import Gateway, Service, answer, field, run  # noqa: E402

DOCUMENT = b"""
openapi: 3.1.0
info: {title: Orders, version: "1"}
paths:
  /orders:
    put:
      requestBody:
        required: true
        content:
          application/json:
            schema:
              type: array
              items:
                type: object
                required: [sku, price]
                additionalProperties: false
                properties:
                  sku: {type: string, maxLength: 20}
                  price: {type: number, minimum: 0}
                  tags: {type: array, maxItems: 4, uniqueItems: true, items: {type: string}}
      responses: {"200": {description: ok}}
"""
CONFIG = """
listen: [{address: "127.0.0.1:{port}"}]
workers: 1
admin: off
log: {access: off}
limits: {body: 0, body_buffer: 64k}
services:
  up:
    endpoints: ["http://127.0.0.1:%d"]
    contract: {file: orders.yaml, mode: enforce, large: %s}
routes:
  - {path: "/**", service: up, auth: none}
"""
ITEM = b'{"sku":"ABC-1234","price":12.5,"tags":["new","sale"]},'
PIECE = ITEM * (1000000 // len(ITEM))
PIECES = 100 * (1 << 20) // len(PIECE) + 1
# Of the whole process: buffers of the connections are in it, too.
GROWTH_MAX_KIB = 1024


class Setup:
    def __init__(self, large):
        self.received, self.whole = 0, False
        self.service = Service(self.script)
        self.gateway = Gateway(CONFIG % (self.service.port, large), {"orders.yaml": DOCUMENT})

    def script(self, connection, head, _number, rest):
        left = int((field(head, "content-length") or ["0"])[0]) - len(rest)
        self.received = len(rest)
        while left > 0:
            data = connection.recv(min(left, 1 << 20))
            if not data:
                return None
            left -= len(data)
            self.received += len(data)
        self.whole = True
        answer(connection)
        return b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        code = self.gateway.stop()
        self.service.close()
        assert code == 0, f"the gateway ended with {code}"

    def peak_kib(self):
        """Of the process that serves: the child of the one that supervises."""
        pid = self.gateway.process.pid
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            child = file.read().split()[0]
        with open(f"/proc/{child}/status", encoding="ascii") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmHWM:"))

    def put(self, pieces, end):
        length = 1 + len(PIECE) * pieces + len(end)
        with self.gateway.connect() as connection:
            connection.sendall(b"PUT /orders HTTP/1.1\r\nHost: a\r\nContent-Type: application/json"
                               b"\r\nContent-Length: %d\r\n\r\n[" % length)
            try:
                for _ in range(pieces):
                    connection.sendall(PIECE)
                connection.sendall(end)
            except OSError:
                pass  # refused before all of it was sent
            return connection.recv(65536)


def test_an_array_of_100_mb_passes_in_little_memory():
    with Setup("stream") as setup:
        assert setup.put(1, ITEM[:-1] + b"]").startswith(b"HTTP/1.1 200"), "to warm up"
        before = setup.peak_kib()
        assert setup.put(PIECES, ITEM[:-1] + b"]").startswith(b"HTTP/1.1 200")
        grown = setup.peak_kib() - before
        print(f"grown by {grown} KiB for {setup.received} bytes")
        assert setup.whole and setup.received > 100 << 20
        if not os.environ.get("SALLYPORT_SANITIZED"):
            assert grown < GROWTH_MAX_KIB, f"{grown} KiB"


def test_its_end_does_not_pass_when_an_item_is_wrong():
    with Setup("stream") as setup:
        received = setup.put(PIECES, b'{"sku":"ABC","price":-1}]')
        assert received.startswith(b"HTTP/1.1 400"), received
        assert not setup.whole


def test_it_is_refused_unseen_where_it_must_be_held():
    with Setup("refuse") as setup:
        assert setup.put(PIECES, ITEM[:-1] + b"]").startswith(b"HTTP/1.1 413")
        assert not setup.service.heads


run([value for name, value in list(globals().items()) if name.startswith("test_")])
