#!/usr/bin/python3
"""Clients that leave while the gateway waits, whatever it waits for; and what passes through it."""

import base64
import http.client
import socket
import struct
import time

from harness import DEADLINE_S, Gateway, Service, answer, field, run

CONFIG = """
listen: [{address: "127.0.0.1:{port}"}]
workers: 1
admin: {address: "127.0.0.1:{admin}"}
log: {access: off}
limits: {connections_per_address: 0, body: 64MiB}
trusted_proxies: [127.0.0.0/8]
forwarded: {client_headers: trusted, send: [x-forwarded, forwarded]}
identity:
  providers:
    - name: slow
      issuer: "https://idp.example"
      audience: api
      introspection:
        {url: "http://127.0.0.1:%(up)d/up/silent", client_id: a, client_secret: b, timeout: 60s}
services:
  up:
    endpoints: ["http://127.0.0.1:%(up)d"]
    timeout: {request: 60s, idle: 60s}
  narrow:
    endpoints: ["http://127.0.0.1:%(up)d"]
    bulkhead: {concurrent: 1, queue: 9, wait: 60s}
    timeout: {request: 60s}
  single:
    endpoints: ["http://127.0.0.1:%(up)d"]
    pool: {size: 1}
    timeout: {connect: 60s, request: 60s}
  away:
    endpoints: ["http://127.0.0.1:%(away)d"]
    retry: {attempts: 3, on: [connect], backoff: 60s, max_backoff: 60s}
routes:
  - {path: "/up/**", service: up, auth: none}
  - {path: "/ws", service: up, auth: none, websocket: on}
  - {path: "/closed", service: up}
  - {path: "/narrow/**", service: narrow, auth: none}
  - {path: "/single/**", service: single, auth: none}
  - {path: "/away", service: away, auth: none}
  - path: "/cors"
    service: up
    auth: none
    methods: [GET, PUT]
    cors: {origins: ["https://page.example"], methods: [GET, PUT], headers: [x-own], expose: [etag]}
"""
GET = b"GET %s HTTP/1.1\r\nHost: a\r\n%s\r\n"


def script(connection, head, _number, rest):
    target = head.split(b" ")[1]
    if b"upgrade: websocket" in head.lower():
        connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
                           b"Upgrade: websocket\r\n\r\n")
        connection.recv(1)
        return None
    if target.endswith(b"/silent"):
        while connection.recv(65536):
            pass
        return None
    if target.endswith(b"/endless"):
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            time.sleep(0.01)
            connection.sendall(b"1\r\na\r\n")
    if target.endswith(b"/large"):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        while True:
            connection.sendall(b"a" * 65536)
    if field(head, "range"):
        answer(connection, b"ell", "206 Partial Content", b"Content-Range: bytes 1-3/5\r\n")
        return rest
    answer(connection, extra=b"ETag: \"1\"\r\n")
    return rest


class Setup:
    def __enter__(self):
        self.service = Service(script)
        # Nobody listens there, and nobody else can begin to.
        self.away = socket.socket()
        self.away.bind(("127.0.0.1", 0))
        ports = {"up": self.service.port, "away": self.away.getsockname()[1]}
        self.gateway = Gateway(CONFIG % ports)
        return self.gateway, self.service

    def __exit__(self, *_):
        code = self.gateway.stop()
        self.service.close()
        self.away.close()
        assert code == 0, f"the gateway ended with {code}"


def metric(gateway, name):
    connection = http.client.HTTPConnection("127.0.0.1", gateway.admin, timeout=DEADLINE_S)
    try:
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
    finally:
        connection.close()
    return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines()
               if line.split("{")[0].split(" ")[0] == name)


def wait_until(condition, what):
    until = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < until, what
        time.sleep(0.02)


WEBSOCKET = (b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
             b"Sec-WebSocket-Key: " + base64.b64encode(b"0123456789abcdef") + b"\r\n")
LONG = b"POST /up/silent HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n%s\r\n"
# What is waited for, and what the client has sent and seen by then.
WAITS = {
    "the first byte": (b"", b""),
    "the rest of the head": (b"GET /up/ HTTP/1.1\r\nHost: a\r\n", b""),
    "the rest of a small body": (LONG % (10, b"") + b"abc", b""),
    "a body that was asked for": (LONG % (10, b"Expect: 100-continue\r\n"), b"HTTP/1.1 100"),
    "the rest of a large body": (LONG % (1000000, b"") + b"a" * 1000, b""),
    "the next chunk": (b"POST /up/silent HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                       b"3\r\nabc\r\n", b""),
    "the answer's head": (GET % (b"/up/silent", b""), b""),
    "the next piece of an answer": (GET % (b"/up/endless", b""), b"HTTP/1.1 200"),
    "the client to read": (GET % (b"/up/large", b""), b"HTTP/1.1 200"),
    "either end of a tunnel": (GET % (b"/ws", WEBSOCKET), b"HTTP/1.1 101"),
    "a place at the service": (GET % (b"/narrow/silent", b""), b""),
    "a connection to the service": (GET % (b"/single/silent", b""), b""),
    "the next attempt": (GET % (b"/away", b""), b""),
    "a token's introspection": (GET % (b"/closed", b"Authorization: Bearer opaque\r\n"), b""),
    "the next request": (GET % (b"/up/", b""), b"HTTP/1.1 200"),
}


def leave(connection, reset):
    if reset:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def test_clients_may_leave_at_every_wait():
    with Setup() as (gateway, _):
        # Those that take the only place and the only connection, so that others wait.
        holders = []
        for path in (b"/narrow/silent", b"/single/silent"):
            holders.append(gateway.connect())
            holders[-1].sendall(GET % (path, b""))
        time.sleep(0.2)
        for reset in (False, True):
            for what, (sent, seen) in WAITS.items():
                connections = [gateway.connect() for _ in range(3)]
                for connection in connections:
                    connection.sendall(sent)
                    assert not seen or connection.recv(12) == seen, what
                if not seen:
                    time.sleep(0.1)
                for connection in connections:
                    leave(connection, reset)
                wait_until(lambda: metric(gateway, "sallyport_connections_open") == len(holders),
                           f"connections are left of those that waited for {what}")
                assert gateway.request("GET", "/up/")[0] == 200, what
        for connection in holders:
            leave(connection, False)
        # The places are free again.
        assert gateway.request("GET", "/narrow/")[0] == 200
        assert gateway.request("GET", "/single/")[0] == 200


def test_ranges_pass_both_ways():
    with Setup() as (gateway, service):
        status, headers, body = gateway.request("GET", "/up/", headers={"Range": "bytes=1-3"})
        assert (status, body) == (206, b"ell")
        assert {name.lower(): value for name, value in headers.items()}[
            "content-range"] == "bytes 1-3/5"
        assert field(service.heads[-1], "range") == ["bytes=1-3"]


def test_only_pages_that_are_named_may_ask():
    with Setup() as (gateway, service):
        page = {"Origin": "https://page.example"}
        ask = {"Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "x-own"}
        status, headers, _ = gateway.request("OPTIONS", "/cors", headers={**page, **ask})
        assert status == 204 and headers["access-control-allow-origin"] == page["Origin"]
        assert headers["access-control-allow-methods"] == "GET, PUT"
        assert headers["access-control-allow-headers"] == "x-own" and not service.heads
        status, headers, _ = gateway.request("GET", "/cors", headers=page)
        assert status == 200 and headers["access-control-allow-origin"] == page["Origin"]
        assert headers["access-control-expose-headers"] == "etag"
        for origin in ("https://other.example", "http://page.example", "null"):
            headers = {"Origin": origin}
            assert gateway.request("OPTIONS", "/cors", headers={**headers, **ask})[0] == 405
            _, got, _ = gateway.request("GET", "/cors", headers=headers)
            assert "access-control-allow-origin" not in got, origin
        # What no route takes is not allowed to pages either.
        ask["Access-Control-Request-Method"] = "DELETE"
        assert gateway.request("OPTIONS", "/cors", headers={**page, **ask})[0] == 405


def test_trusted_proxies_tell_the_client_s_address():
    with Setup() as (gateway, service):
        for sent, client in (
            ({"X-Forwarded-For": "6.6.6.6, 192.0.2.9, 127.0.0.2"}, "192.0.2.9"),
            ({"Forwarded": "for=6.6.6.6, for=\"[2001:db8::7]:4711\";proto=https"}, "2001:db8::7"),
            ({"X-Forwarded-For": "6.6.6.6, garbage"}, "127.0.0.1"),
            ({}, "127.0.0.1"),
        ):
            assert gateway.request("GET", "/up/", headers=sent)[0] == 200
            head = service.heads[-1]
            assert field(head, "x-forwarded-for") == [client], (sent, head)
            shown = f'"[{client}]"' if ":" in client else client
            assert field(head, "forwarded")[0].startswith(f"for={shown};"), head
            assert field(head, "via") and b"6.6.6.6" not in head


run([function for name, function in list(globals().items()) if name.startswith("test_")])
