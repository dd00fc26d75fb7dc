#!/usr/bin/python3
"""Clients that leave while the gateway waits, whatever it waits for; and what passes through it."""

import base64
import hashlib
import http.client
import json
import os
import socket
import ssl
import struct
import subprocess
import threading
import time

from harness import DEADLINE_S, Gateway, Listener, Service, answer, field, free_port, run

KEYS = {name: f"{name}-{'k' * 40}" for name in ("ann", "eve")}
CONFIG = """
listen:
  - {address: "127.0.0.1:{port}"}
  - address: "127.0.0.1:%(tls)d"
    tls: {certificate: a.pem, key: a.key, handshake_timeout: 60s}
workers: 1
admin: {address: "127.0.0.1:{admin}"}
log: {access: off}
limits: {connections_per_address: 0, body: 64MiB, body_buffer: 256KiB, body_buffers: 1MiB}
store: "sqlite:store.db"
trusted_proxies: [127.0.0.0/8]
forwarded:
  {client_headers: trusted, send: [x-forwarded, forwarded], request_id_header: x-correlation-id}
identity:
  providers:
    - name: slow
      issuer: "https://idp.example"
      audience: api
      introspection:
        {url: "http://127.0.0.1:%(up)d/up/silent", client_id: a, client_secret: b, timeout: 60s}
  api_keys:
    keys:
      - {sha256: %(ann)s, client: ann}
      - {sha256: %(eve)s, client: eve, roles: [supervisor]}
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
  mute:
    endpoints: ["https://127.0.0.1:%(mute)d"]
    tls: {verify: off}
    protocol: http1
    bulkhead: 3
    pool: {size: 3}
    timeout: {connect: 60s}
  perhaps_h2:
    endpoints: ["https://127.0.0.1:%(mute)d"]
    tls: {verify: off}
    bulkhead: 3
    timeout: {connect: 60s}
  full:
    endpoints: ["http://127.0.0.1:%(full)d"]
    bulkhead: 3
    timeout: {connect: 60s}
routes:
  - {path: "/up/**", service: up, auth: none}
  - {path: "/mute", service: mute, auth: none}
  - {path: "/perhaps-h2", service: perhaps_h2, auth: none}
  - {path: "/full", service: full, auth: none}
  - {path: "/held", service: up, operation: held}
  - {path: "/approvals/**", service: approvals, auth: optional}
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
sensitive: [{operation: held, by: supervisor, expires: 1h, hold: 10m}]
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
    length = int((field(head, "content-length") or ["0"])[0])
    while len(rest) < length:
        rest += connection.recv(65536)
    rest = rest[length:]
    if field(head, "range"):
        answer(connection, b"ell", "206 Partial Content", b"Content-Range: bytes 1-3/5\r\n")
        return rest
    if target.endswith(b"/cors"):
        answer(connection, extra=b"Access-Control-Allow-Origin: *\r\nAccess-Control-Max-Age: 9\r\n")
        return rest
    answer(connection, extra=b"ETag: \"1\"\r\nX-Correlation-Id: theirs\r\n")
    return rest


class Mute(Listener):
    """A service that takes connections, and never says a word."""

    def __init__(self):
        self.asked = self.left = 0
        self.lock = threading.Lock()
        super().__init__()

    def handle(self, connection):
        asked = bool(connection.recv(65536))
        with self.lock:
            self.asked += asked
        try:
            while connection.recv(65536):
                pass
        except OSError:
            pass
        connection.close()
        with self.lock:
            self.left += asked


class Full:
    """A service that has no room for further connections: the kernel drops who wants one."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=0)
        self.port = self.listener.getsockname()[1]
        self.taken = []
        for _ in range(4):
            self.taken.append(socket.socket())
            self.taken[-1].setblocking(False)
            self.taken[-1].connect_ex(("127.0.0.1", self.port))

    def close(self):
        for connection in (*self.taken, self.listener):
            connection.close()


def certificate():
    """It and its key, in one text."""
    return subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-keyout", "-", "-days", "2", "-subj", "/CN=a"],
        check=True, capture_output=True, timeout=DEADLINE_S).stdout


class Setup:
    def __enter__(self):
        self.service, self.mute, self.full = Service(script), Mute(), Full()
        # Nobody listens there, and nobody else can begin to.
        self.away = socket.socket()
        self.away.bind(("127.0.0.1", 0))
        self.tls = free_port()
        values = {name: hashlib.sha256(key.encode()).hexdigest() for name, key in KEYS.items()}
        values.update(up=self.service.port, away=self.away.getsockname()[1], tls=self.tls,
                      mute=self.mute.port, full=self.full.port)
        pair = certificate()
        self.gateway = Gateway(CONFIG % values, {"a.pem": pair, "a.key": pair})
        self.gateway.wait_serving(DEADLINE_S)
        return self.gateway, self.service

    def __exit__(self, *_):
        code = self.gateway.stop()
        for service in (self.service, self.mute, self.full, self.away):
            service.close()
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


def client_hello():
    outgoing = ssl.MemoryBIO()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="a").do_handshake()
    except ssl.SSLWantReadError:
        return outgoing.read()


HELLO = client_hello()
ANN = b"X-Api-Key: " + KEYS["ann"].encode() + b"\r\n"
# So large that a few of them leave no room for more, if they are not given back.
HELD = GET.replace(b"GET", b"PUT") % (
    b"/held", ANN + b"Content-Type: text/plain\r\nContent-Length: 250000\r\n") + b"a" * 250000
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
    "people to approve it": (HELD, b""),
    "a service's TLS handshake": (GET % (b"/mute", b""), b""),
    "another's TLS handshake": (GET % (b"/perhaps-h2", b""), b""),
    "a service to take the connection": (GET % (b"/full", b""), b""),
    "the beginning of a TLS handshake": (b"", b""),
    "the rest of a TLS handshake's beginning": (HELLO[:100], b""),
    "the end of a TLS handshake": (HELLO, b"\x16\x03\x03"),
}


def leave(connection, reset):
    if reset:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def descriptors(gateway):
    """Of the server process, the supervisor's child."""
    pid = gateway.process.pid
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return sum(len(os.listdir(f"/proc/{child}/fd")) for child in file.read().split())


def approve(gateway):
    """The request that waited is still the same one, and waits for the same people."""
    headers = {"X-Api-Key": KEYS["eve"], "Content-Type": "application/json"}
    status, _, text = gateway.request("GET", "/approvals/", headers=headers)
    waiting = json.loads(text)["approvals"]
    assert status == 200 and len(waiting) == 1, text
    path = f"/approvals/{waiting[0]['id']}/approve"
    assert gateway.request("POST", path, '{"reason": "why not"}', headers)[0] == 200


def test_clients_may_leave_at_every_wait():
    setup = Setup()
    with setup as (gateway, service):
        # Those that take the only place and the only connection, so that others wait.
        holders = []
        for path in (b"/narrow/silent", b"/single/silent"):
            holders.append(gateway.connect())
            holders[-1].sendall(GET % (path, b""))
        time.sleep(0.2)
        open_before = 0
        for reset in (False, True):
            for what, (sent, seen) in WAITS.items():
                connections = [gateway.connect(setup.tls if "a TLS" in what else None)
                               for _ in range(3)]
                for connection in connections:
                    connection.sendall(sent)
                    assert not seen or connection.recv(12).startswith(seen), what
                if not seen:
                    time.sleep(0.1)
                # All places and connections of the service are theirs, also the second time; one
                # connection will do where it may turn out to be HTTP/2.
                asking = {"a service's TLS handshake": 3, "another's TLS handshake": 1}.get(what)
                wait_until(lambda: not asking or setup.mute.asked == setup.mute.left + asking, what)
                for connection in connections:
                    leave(connection, reset)
                wait_until(lambda: setup.mute.left == setup.mute.asked, "the service is left alone")
                wait_until(lambda: metric(gateway, "sallyport_connections_open") == len(holders),
                           f"connections are left of those that waited for {what}")
                assert gateway.request("GET", "/up/")[0] == 200, what
            # What the first round has left behind is all that there is to be.
            wait_until(lambda: not open_before or descriptors(gateway) <= open_before,
                       f"more than {open_before} descriptors are open")
            open_before = descriptors(gateway)
        approve(gateway)
        before = len(service.heads)
        with gateway.connect() as connection:
            connection.sendall(HELD)
            assert connection.recv(12) == b"HTTP/1.1 200"
        assert [head.split(b" ")[1] for head in service.heads[before:]] == [b"/held"]
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
        assert "access-control-max-age" not in headers  # what the service says of it does not count
        for origin in ("https://other.example", "http://page.example", "null"):
            headers = {"Origin": origin}
            assert gateway.request("OPTIONS", "/cors", headers={**headers, **ask})[0] == 405
            _, got, _ = gateway.request("GET", "/cors", headers=headers)
            assert "access-control-allow-origin" not in got, origin
        # What no route takes is not allowed to pages either.
        ask["Access-Control-Request-Method"] = "DELETE"
        assert gateway.request("OPTIONS", "/cors", headers={**page, **ask})[0] == 405


def test_a_request_has_one_id_and_it_is_ours():
    with Setup() as (gateway, service):
        with gateway.connect() as connection:
            connection.sendall(GET % (b"/up/", b"X-Correlation-Id: theirs\r\n"
                                      b"X_Correlation_Id: theirs\r\n"))
            told = field(connection.recv(65536), "x-correlation-id")
        head = service.heads[-1]
        assert len(told) == 1 and told == field(head, "x-correlation-id"), (told, head)
        assert b"theirs" not in head and told != ["theirs"]


def test_trusted_proxies_tell_the_client_s_address():
    with Setup() as (gateway, service):
        for sent, client in (
            ({"X-Forwarded-For": "6.6.6.6, 192.0.2.9, 127.0.0.2", "X-Forwarded-Prefix": "/at",
              "True-Client-IP": "192.0.2.9"},
             "192.0.2.9"),
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
            for name in ("X-Forwarded-Prefix", "True-Client-IP"):
                assert field(head, name) == ([sent[name]] if name in sent else []), head


run([function for name, function in list(globals().items()) if name.startswith("test_")])
