#!/usr/bin/python3
"""A contract over HTTP/2, on WebSockets and on calls of gRPC, with clients that others wrote."""

import json
import os
import shutil
import socket
import subprocess
import tempfile
import time

from harness import DEADLINE_S, Gateway, Service, Skip, answer, field, free_port, run

DOCUMENT = b"""
openapi: 3.1.0
info: {title: Orders, version: "1"}
components:
  schemas:
    Order:
      type: object
      required: [article, count]
      properties:
        article: {type: string, maxLength: 20}
        count: {type: integer, minimum: 1}
paths:
  /orders:
    get:
      parameters: [{name: limit, in: query, schema: {type: integer, maximum: 100}}]
      responses:
        "200": {description: ok, content: {application/json: {schema: {type: array, items: {$ref: "#/components/schemas/Order"}}}}}
    post:
      requestBody: {required: true, content: {application/json: {schema: {$ref: "#/components/schemas/Order"}}}}
      responses: {"200": {description: made}}
    put:
      requestBody: {content: {application/json: {schema: {type: array, items: {type: integer}}}}}
      responses: {"200": {description: ok}}
  /feed:
    get:
      parameters: [{name: topic, in: query, required: true, schema: {enum: [orders]}}]
      responses: {"101": {description: a WebSocket}}
  /shop.Orders/Get:
    post:
      requestBody: {required: true, content: {application/grpc: {schema: {type: string, format: binary, maxLength: 100}}}}
      responses: {"200": {description: ok, content: {application/grpc: {}}}}
"""

CONFIG = """
listen: [{address: "127.0.0.1:{port}", h2c: on}]
workers: 1
admin: off
limits: {body_buffer: 64k, body: 0}
services:
  up:
    endpoints: ["%s"]
    contract: {file: orders.yaml, mode: enforce, %s}
routes:
  - {path: "/feed", service: up, auth: none, websocket: on}
  - {path: "/**", service: up, auth: none}
"""

GOOD = b'{"article":"A-1","count":2}'
LONG = b"[1" + b",1" * 60000 + b"]"
UPGRADE = b" HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


def need(program):
    if not shutil.which(program):
        raise Skip(f"{program} is not installed")


class Setup:
    def __init__(self, script=None, contract="responses: off", url=None):
        self.bodies = []
        self.response = b"[]"
        self.service = None if url else Service(script or self.keep)
        url = url or f"http://127.0.0.1:{self.service.port}"
        self.gateway = Gateway(CONFIG % (url, contract), {"orders.yaml": DOCUMENT})

    def keep(self, connection, head, _number, rest):
        if field(head, "transfer-encoding"):
            end = lambda text: text.endswith(b"0\r\n\r\n")  # noqa: E731
        else:
            length = int((field(head, "content-length") or ["0"])[0])
            end = lambda text: len(text) >= length  # noqa: E731
        while not end(rest):
            data = connection.recv(65536)
            if not data:
                self.bodies.append(b"truncated")
                return None
            rest += data
        self.bodies.append(rest)
        answer(connection, self.response, extra=b"Content-Type: application/json\r\n")
        return b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        code = self.gateway.stop()
        if self.service:
            self.service.close()
        assert code == 0, f"the gateway ended with {code}"

    def curl(self, path, *options, body=None, status=0):
        """Status, version and body of a request over HTTP/2 in plain text."""
        need("curl")
        written = os.path.join(self.gateway.folder, "answer")
        sent = os.path.join(self.gateway.folder, "sent")
        if body is not None:
            with open(sent, "wb") as file:
                file.write(body)
            options += ("--data-binary", "@" + sent, "-H", "Content-Type: application/json")
        done = subprocess.run(
            ["curl", "-sS", "--http2-prior-knowledge", "-o", written, "-w",
             "%{http_code} %{http_version}", *options,
             f"http://127.0.0.1:{self.gateway.port}{path}"],
            stdin=subprocess.DEVNULL, capture_output=True, timeout=3 * DEADLINE_S, check=False)
        assert status is None or done.returncode == status, done
        text = b""
        if os.path.exists(written):
            with open(written, "rb") as file:
                text = file.read()
            os.unlink(written)
        return (*done.stdout.decode().split(), text)


def nghttp(setup, path, method, body, content_type):
    """What nghttp tells about a request: its frames as text."""
    need("nghttp")
    file = os.path.join(setup.gateway.folder, "message")
    with open(file, "wb") as to:
        to.write(body)
    return subprocess.run(
        ["nghttp", "-v", "--no-dep", "-d", file, "-H", f":method: {method}",
         "-H", f"content-type: {content_type}", "-H", "te: trailers",
         f"http://127.0.0.1:{setup.gateway.port}{path}"],
        capture_output=True, timeout=DEADLINE_S, check=True).stdout.decode("latin-1")


def test_requests_over_http2_must_keep_the_contract():
    with Setup() as setup:
        assert setup.curl("/orders", body=GOOD)[:2] == ("200", "2")
        assert setup.bodies == [GOOD]
        assert setup.curl("/orders?limit=7")[:2] == ("200", "2")
        for bad in (b'{"article":"A"}', b'{"article":"A","count":1,"count":1}', b"[", b""):
            code, _, text = setup.curl("/orders", body=bad)
            assert code == "400", (bad, code)
            assert json.loads(text)["type"].endswith(":contract-violation"), text
        assert setup.curl("/orders?limit=101")[0] == "400"
        assert setup.curl("/orders?other=1")[0] == "400"
        assert setup.curl("/nothing")[0] == "404"
        assert setup.curl("/orders", "-X", "DELETE")[0] == "405"
        plain = ("--data-binary", "abc", "-H", "Content-Type: text/plain")
        assert setup.curl("/orders", *plain)[0] == "415"
        assert ":status: 415" in nghttp(setup, "/orders", "POST", b"a", "text/plain")
        assert len(setup.bodies) == 2, "what is refused never reaches the service"


def test_bodies_over_http2_are_cut_and_limited():
    with Setup(contract="unknown_properties: strip") as setup:
        assert setup.curl("/orders", body=b'{"admin":1,' + GOOD[1:])[0] == "200"
        assert json.loads(setup.bodies[-1]) == json.loads(GOOD)
        assert ":status: 413" in nghttp(setup, "/orders", "PUT", LONG, "application/json")
        assert len(setup.bodies) == 1


def test_large_bodies_over_http2_are_checked_while_they_pass():
    with Setup(contract="large: stream") as setup:
        assert setup.curl("/orders", "-X", "PUT", body=LONG)[0] == "200"
        assert setup.bodies.pop() == LONG
        # What is wrong shows in the middle, in the last item, or with the end only.
        for bad in (LONG[:90000] + b'"x",' + LONG[90000:], LONG[:-1] + b',"x"]', LONG[:-1]):
            assert ":status: 400" in nghttp(setup, "/orders", "PUT", bad, "application/json")
            until = time.monotonic() + 5
            while not setup.bodies and time.monotonic() < until:
                time.sleep(0.05)
            assert setup.bodies == [b"truncated"], "the service must not see a whole request"
            setup.bodies.clear()
        # And where the first of it is wrong, the service is not asked at all.
        asked = len(setup.service.heads)
        bad = b'["x",' + LONG[1:]
        assert ":status: 400" in nghttp(setup, "/orders", "PUT", bad, "application/json")
        assert len(setup.service.heads) == asked


def test_responses_over_http2_must_keep_the_contract():
    with Setup(contract="responses: enforce, unknown_response_properties: strip") as setup:
        setup.response = b'[{"article":"A","count":0}]'
        assert setup.curl("/orders")[0] == "502"
        setup.response = b'[{"article":"A","count":1,"password":"hunter2"}]'
        code, _, text = setup.curl("/orders")
        assert (code, json.loads(text)) == ("200", [{"article": "A", "count": 1}]), text


def test_many_streams_are_checked_at_once():
    need("h2load")
    with Setup() as setup:
        files = []
        for name, body in (("good", GOOD), ("bad", b'{"article":"A","count":-1}')):
            files.append(os.path.join(setup.gateway.folder, name))
            with open(files[-1], "wb") as file:
                file.write(body)
        url = f"http://127.0.0.1:{setup.gateway.port}/orders"
        said = []
        for file in files:
            said.append(subprocess.run(
                ["h2load", "-n200", "-c2", "-m50", "-d", file, "-H",
                 "content-type: application/json", url],
                capture_output=True, timeout=3 * DEADLINE_S, check=True).stdout.decode())
        assert "status codes: 200 2xx, 0 3xx, 0 4xx, 0 5xx" in said[0], said[0]
        assert "status codes: 0 2xx, 0 3xx, 200 4xx, 0 5xx" in said[1], said[1]
        assert setup.bodies == [GOOD] * 200


def echo(connection, head, _number, rest):
    assert field(head, "upgrade") == ["websocket"]
    connection.sendall(
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    )
    while True:
        data = rest or connection.recv(65536)
        rest = b""
        if not data:
            return None
        connection.sendall(data.upper())


def test_a_websocket_of_the_document_opens_and_is_not_looked_into():
    with Setup(echo, contract="responses: enforce") as setup:
        with setup.gateway.connect() as connection:
            connection.sendall(b"GET /feed?topic=orders" + UPGRADE)
            received = b""
            while b"\r\n\r\n" not in received:
                received += connection.recv(65536)
            assert received.startswith(b"HTTP/1.1 101"), received
            connection.sendall(b"{not json")
            assert connection.recv(100) == b"{NOT JSON"


def test_a_websocket_outside_of_the_document_is_refused():
    with Setup(echo) as setup:
        assert setup.gateway.raw(b"GET /feed?topic=users" + UPGRADE, 2).startswith(b"HTTP/1.1 400")
        assert setup.gateway.raw(b"GET /feed" + UPGRADE, 2).startswith(b"HTTP/1.1 400")
        assert setup.gateway.raw(b"GET /other" + UPGRADE, 2).startswith(b"HTTP/1.1 404")
        assert not setup.service.heads


class Nghttpd:
    """An HTTP/2 service that sends bodies back, with a trailer."""

    def __init__(self):
        need("nghttpd")
        self.port = free_port()
        self.folder = tempfile.mkdtemp(prefix="sallyport-grpc.")
        self.process = subprocess.Popen(
            ["nghttpd", "--no-tls", "-a", "127.0.0.1", "-d", self.folder, "--echo-upload",
             "--trailer", "grpc-status: 0", str(self.port)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + DEADLINE_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                assert time.monotonic() < until and self.process.poll() is None, "no nghttpd"
                time.sleep(0.05)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def grpc(setup, path, message, content_type="application/grpc"):
    body = b"\0" + len(message).to_bytes(4, "big") + message
    return nghttp(setup, path, "POST", body, content_type)


def test_a_grpc_call_passes_only_where_the_document_has_its_path():
    with Nghttpd() as service, Setup(url=f"h2c://127.0.0.1:{service.port}") as setup:
        out = grpc(setup, "/shop.Orders/Get", b"abc")
        assert ":status: 200" in out and "grpc-status: 0" in out, out
        assert ":status: 404" in grpc(setup, "/shop.Orders/Drop", b"abc")
        assert ":status: 400" in grpc(setup, "/shop.Orders/Get", b"a" * 200), "longer than it may be"
        assert ":status: 415" in grpc(setup, "/shop.Orders/Get", b"abc", "application/grpc+json")


run([value for name, value in list(globals().items()) if name.startswith("test_")])
