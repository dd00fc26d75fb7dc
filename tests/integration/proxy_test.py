#!/usr/bin/python3
"""What the gateway does with requests and with services that misbehave, over real sockets."""

import hashlib
import http.client
import json
import os
import resource
import selectors
import socket
import threading
import time

from harness import DEADLINE_S, Gateway, Service, Skip, answer, field, run
from jose import Key

CONFIG = """
listen: [{address: "127.0.0.1:{port}"}]
workers: 1
admin: {address: "127.0.0.1:{admin}"}
limits: {connections_per_address: 0, headers_timeout: 1s, body: 64MiB}
services:
  up:
    endpoints: ["http://127.0.0.1:%d"]
    timeout: {connect: 1s, request: 1s, idle: 2s}
routes:
  - {path: "/up/**", service: up, auth: none}
  - {path: "/ws", service: up, auth: none, websocket: on}
  - {path: "/small", service: up, auth: none, body: 10}
  - {path: "/limited", service: up, auth: none, limit: {per: address, rate: 1/m, burst: 2}}
  - {path: "/closed", service: up}
  - {path: "/only-get", methods: [GET], service: up, auth: none}
"""


class Setup:
    """A gateway in front of a scripted service."""

    def __init__(self, script, config=CONFIG):
        self.service = Service(script)
        self.gateway = Gateway(config % self.service.port)

    def __enter__(self):
        return self.gateway, self.service

    def __exit__(self, *_):
        code = self.gateway.stop()
        self.service.close()
        assert code == 0, f"the gateway ended with {code}"


def plain(connection, _head, _number, rest):
    answer(connection)
    return rest


def swallow(connection, _head, _number, _rest):
    while connection.recv(65536):
        pass


def echo_length(connection, head, _number, rest):
    left = int(field(head, "content-length")[0])
    digest = hashlib.sha256()
    while True:
        digest.update(rest[:left])
        left -= len(rest[:left])
        if left == 0:
            break
        rest = connection.recv(65536)
    answer(connection, digest.hexdigest().encode())
    return b""


def test_a_request_is_passed_on_and_its_response_back():
    with Setup(plain) as (gateway, service):
        status, headers, body = gateway.request("GET", "/up/a?b=c", headers={"X-Own": "1"})
        assert (status, body) == (200, b"hello")
        assert headers["x-request-id"] and headers["x-content-type-options"] == "nosniff"
        head = service.heads[0]
        assert head.startswith(b"GET /up/a?b=c HTTP/1.1\r\n")
        assert field(head, "x-own") == ["1"]
        assert field(head, "x-forwarded-for") == ["127.0.0.1"]
        assert field(head, "traceparent") and field(head, "x-request-id")
        assert not field(head, "connection")


def test_fields_that_only_we_may_set_are_not_taken_from_outside():
    with Setup(plain) as (gateway, service):
        forged = {
            "X-Forwarded-For": "6.6.6.6",
            "Forwarded": "for=6.6.6.6",
            "X-Forwarded-Host": "evil.example",
            "X-Real-IP": "6.6.6.6",
            "X-Forwarded-Prefix": "/evil.example",
            "x-forwarded.User": "evil.example",
            "True-Client-IP": "6.6.6.6",
            "cf.connecting-ip": "6.6.6.6",
            "Client-Cert": ":evil:",
            "X-Original-URL": "/evil.example",
            "X-HTTP-Method-Override": "EVIL",
            "Proxy-Authorization": "Basic eA==",
            "Connection": "x-secret",
            "X-Secret": "1",
            "Keep-Alive": "timeout=5",
        }
        status, _, _ = gateway.request("GET", "/up/", headers=forged)
        assert status == 200
        head = service.heads[0]
        assert b"6.6.6.6" not in head and b"evil" not in head.lower()
        assert not field(head, "x-secret") and not field(head, "keep-alive")


def test_fields_that_the_route_edits_come_in_under_no_other_name():
    config = CONFIG.replace(
        '"/up/**", service: up, auth: none',
        '"/up/**", service: up, auth: none, '
        "request_headers: {set: {x-tenant: ours}, remove: [x-internal]}, "
        "response_headers: {remove: [x-inside]}",
    ).replace("routes:", "forwarded: {request_id_header: x-correlation-id}\nroutes:")
    seen = []

    def script(connection, head, _number, rest):
        while not rest.endswith(b"0\r\n\r\n") and b"X-Last" not in rest:
            rest += connection.recv(65536)
        seen.append(head + rest)
        connection.sendall(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX_Inside: 1\r\n\r\n"
            b"5\r\nhello\r\n0\r\nX-Inside: 2\r\nX-Sum: 42\r\n\r\n"
        )

    with Setup(script, config) as (gateway, _):
        answered = gateway.raw(
            b"POST /up/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n"
            b"X_Tenant: forged\r\nX.Internal: forged\r\nX-Correlation-Id: forged\r\n"
            b"X_Correlation_Id: forged\r\n\r\n"
            b"3\r\nabc\r\n0\r\nX-Tenant: forged\r\nX-Internal: forged\r\n"
            b"X-Correlation-Id: forged\r\nX-Last: 1\r\n\r\n"
        )
    assert field(seen[0], "x-tenant") == ["ours"] and b"forged" not in seen[0], seen[0]
    assert len(field(seen[0], "x-correlation-id")) == 1 and b"X-Last: 1" in seen[0], seen[0]
    assert b"hello" in answered and b"X-Sum: 42" in answered, answered
    assert b"inside" not in answered.lower(), answered


def test_early_hints_are_passed_on_without_what_must_not_leave():
    config = CONFIG.replace('"/up/**", service: up, auth: none',
                            '"/up/**", service: up, auth: none, response_headers: {remove: [x-inside]}')

    def script(connection, _head, _number, _rest):
        connection.sendall(
            b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nServer: secret/1\r\n"
            b"X-Inside: 1\r\nConnection: x-hop, keep-alive\r\nX-Hop: 1\r\nKeep-Alive: timeout=9\r\n"
            b"Content-Length: 0\r\nX-Request-Id: theirs\r\n%s\r\n" % own
        )
        answer(connection, extra=own)

    renamed = "forwarded: {request_id_header: x-correlation-id}\nroutes:"
    for own, changed in ((b"", config), (b"X-Correlation-ID: theirs\r\n", config.replace("routes:", renamed))):
        with Setup(script, changed) as (gateway, _):
            answered = gateway.raw(b"GET /up/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        hints = answered.split(b"\r\n\r\n")[0]
        assert hints == b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload", answered
        assert b"\r\n\r\nHTTP/1.1 200" in answered and b"theirs" not in answered, answered


def test_what_a_query_holds_is_not_logged_when_the_request_is_refused():
    config = CONFIG + (
        "log: {access: stdout, audit: {path: audit.log}}\n"
        "trusted_proxies: [127.0.0.1]\nforwarded: {client_headers: x-forwarded}\n"
        "ips: {mode: block, deny: [192.0.2.1]}\n"
    )
    start = b"GET /up/?token=hidden HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
    with Setup(plain, config) as (gateway, service):
        for line, status in ((b"X-Forwarded-For: 192.0.2.1", b"403"), (b"Transfer-Encoding: x", b"501")):
            answered = gateway.raw(start + line + b"\r\n\r\n")
            assert answered.startswith(b"HTTP/1.1 " + status), answered
        assert not service.heads
        until = time.monotonic() + 20
        while gateway.log_text().count('"path":"/up/"') < 2 and time.monotonic() < until:
            time.sleep(0.05)
        logs = gateway.log_text()
        with open(os.path.join(gateway.folder, "audit.log"), encoding="utf-8") as file:
            logs += file.read()
    assert logs.count('"path":"/up/"') >= 2 and "hidden" not in logs, logs


def test_a_client_cannot_name_itself_in_the_field_that_its_proxy_does_not_write():
    config = CONFIG + "trusted_proxies: [127.0.0.1]\nforwarded: {client_headers: %s}\n"
    both = {"X-Forwarded-For": "192.0.2.1", "Forwarded": "for=192.0.2.9"}
    cases = (
        ("trusted", both, None),
        ("trusted", {**both, "Forwarded": "for=unknown"}, None),
        ("trusted", {**both, "Forwarded": "for=192.0.2.1"}, "192.0.2.1"),
        ("trusted", {"Forwarded": "for=192.0.2.9"}, "192.0.2.9"),
        ("x-forwarded", both, "192.0.2.1"),
        ("forwarded", both, "192.0.2.9"),
        ("forwarded", {"X-Forwarded-For": "192.0.2.1"}, "127.0.0.1"),
        ("drop", both, "127.0.0.1"),
    )
    for kind in ("trusted", "x-forwarded", "forwarded", "drop"):
        with Setup(plain, config.replace("%s}\n", kind + "}\n")) as (gateway, service):
            for of, headers, client in cases:
                if of != kind:
                    continue
                before = len(service.heads)
                status = gateway.request("GET", "/up/", headers=headers)[0]
                assert status == (200 if client else 400), (kind, headers, status)
                if client:
                    assert field(service.heads[-1], "x-forwarded-for") == [client], (kind, headers)
                else:
                    assert len(service.heads) == before


def test_a_trace_is_continued():
    with Setup(plain) as (gateway, service):
        sent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
        gateway.request("GET", "/up/", headers={"traceparent": sent, "tracestate": "a=1"})
        head = service.heads[0]
        got = field(head, "traceparent")[0].split("-")
        assert got[1] == sent.split("-")[1] and got[2] != sent.split("-")[2]
        assert field(head, "tracestate") == ["a=1"]


def test_what_no_route_names_is_refused():
    with Setup(plain) as (gateway, service):
        status, headers, body = gateway.request("GET", "/other")
        assert status == 404 and headers["Content-Type".lower()] == "application/problem+json"
        problem = json.loads(body)
        assert problem["type"] == "urn:sallyport:problem:not-found" and problem["request_id"]
        status, headers, _ = gateway.request("DELETE", "/only-get")
        assert status == 405 and headers["allow"] == "GET, HEAD"
        assert gateway.request("GET", "/up/../closed")[0] == 401
        assert gateway.request("GET", "/up/%2e%2e/closed")[0] == 401
        assert gateway.request("GET", "/up/%2fx")[0] == 400
        assert gateway.request("GET", "/up/%00")[0] == 400
        assert not service.heads


def test_a_closed_route_asks_for_credentials():
    with Setup(plain) as (gateway, service):
        status, headers, _ = gateway.request("GET", "/closed")
        assert status == 401 and headers["www-authenticate"].startswith("Bearer")
        status, headers, _ = gateway.request("GET", "/closed", headers={"Authorization": "Bearer x"})
        assert status == 401 and "invalid_token" in headers["www-authenticate"]
        assert not service.heads


def test_limits_refuse_and_say_when_to_return():
    with Setup(plain) as (gateway, _):
        assert gateway.request("GET", "/limited")[0] == 200
        assert gateway.request("GET", "/limited")[0] == 200
        status, headers, _ = gateway.request("GET", "/limited")
        assert status == 429 and int(headers["retry-after"]) >= 1
        assert headers["ratelimit-remaining"] == "0" and headers["ratelimit-limit"] == "2"
        wait = headers["retry-after"]
        assert headers["ratelimit"] == f'"address";r=0;t={wait}', headers
        assert headers["ratelimit-policy"] == '"address";q=2;w=120', headers


def test_ambiguous_framing_never_reaches_the_service():
    bad = [
        b"POST /up/ HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /up/ HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        b"POST /up/ HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc",
        b"GET /up/ HTTP/1.1\nHost: a\n\n",
        b"GET /up/ HTTP/1.1\r\nHost : a\r\n\r\n",
        b"GET /up/ HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n",
        b"GET /up/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET /up/ HTTP/1.1\r\n\r\n",
        b"POST /up/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        b"GET /up/ HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n",
    ]
    with Setup(plain) as (gateway, service):
        for request in bad:
            received = gateway.raw(request)
            status = int(received.split(b" ", 2)[1])
            assert status in (400, 501), (request, received)
            assert b"connection: close" in received.lower()
        assert not service.heads


def test_a_bad_chunk_is_refused_and_not_passed_on_as_complete():
    seen = []

    def script(connection, _head, _number, rest):
        while True:
            data = connection.recv(65536)
            seen.append(rest + data)
            rest = b""
            if not data:
                return None

    with Setup(script) as (gateway, _):
        received = gateway.raw(
            b"POST /up/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n"
        )
        assert received.startswith(b"HTTP/1.1 400"), received
        assert b"0\r\n\r\n" not in b"".join(seen)


def test_connections_to_a_service_end_after_their_requests():
    ports = []

    def script(connection, _head, _number, rest):
        ports.append(connection.getpeername()[1])
        answer(connection)
        return rest

    config = CONFIG.replace("endpoints:", "pool: {requests_per_connection: 2}\n    endpoints:")
    with Setup(script, config) as (gateway, _):
        for _ in range(6):
            assert gateway.request("GET", "/up/")[0] == 200
    assert [ports.count(port) for port in dict.fromkeys(ports)] == [2, 2, 2], ports


def test_requests_in_one_packet_are_answered_in_order():
    def script(connection, head, _number, rest):
        answer(connection, head.split(b" ")[1])
        return rest

    with Setup(script) as (gateway, _):
        one = b"GET /up/1 HTTP/1.1\r\nHost: a\r\n\r\n"
        two = b"GET /up/2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        received = gateway.raw(one + two)
        assert received.index(b"/up/1") < received.index(b"/up/2")


def test_a_request_that_arrives_byte_by_byte_is_understood():
    with Setup(plain) as (gateway, _):
        with gateway.connect() as connection:
            for byte in b"GET /up/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n":
                connection.sendall(bytes([byte]))
            assert connection.recv(65536).startswith(b"HTTP/1.1 200")


def test_a_slow_head_is_cut_off():
    with Setup(plain) as (gateway, _):
        received = gateway.raw(b"GET /up/ HTTP/1.1\r\nHost: a\r\n", timeout=10)
        assert received.startswith(b"HTTP/1.1 408"), received


def test_large_bodies_pass_both_ways():
    blob = bytes(range(256)) * 4096 * 8

    def script(connection, head, _number, rest):
        if head.startswith(b"GET"):
            answer(connection, blob)
            return rest
        return echo_length(connection, head, _number, rest)

    with Setup(script) as (gateway, _):
        assert gateway.request("GET", "/up/")[2] == blob
        status, _, body = gateway.request("PUT", "/up/", blob)
        assert status == 200 and body.decode() == hashlib.sha256(blob).hexdigest()


def test_chunked_bodies_and_trailers_pass():
    def script(connection, head, _number, rest):
        while b"0\r\n" not in rest or not rest.endswith(b"\r\n\r\n"):
            rest += connection.recv(65536)
        assert field(head, "transfer-encoding") == ["chunked"]
        connection.sendall(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
            b"5\r\nhello\r\n0\r\nX-Sum: 42\r\n\r\n"
        )
        return b""

    with Setup(script) as (gateway, _):
        received = gateway.raw(
            b"POST /up/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"3\r\nabc\r\n0\r\nX-Mine: 1\r\n\r\n"
        )
        assert b"hello" in received and received.lower().endswith(b"0\r\nx-sum: 42\r\n\r\n"), received


def test_expect_continue_is_answered_before_the_body():
    with Setup(echo_length) as (gateway, _):
        with gateway.connect() as connection:
            connection.sendall(
                b"PUT /up/ HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
            )
            assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
            connection.sendall(b"hello")
            assert connection.recv(65536).startswith(b"HTTP/1.1 200")


def test_a_body_over_its_limit_is_refused():
    with Setup(echo_length) as (gateway, service):
        assert gateway.request("PUT", "/small", b"12345678901")[0] == 413
        assert not service.heads
        service.script = swallow
        received = gateway.raw(
            b"PUT /small HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"b\r\n12345678901\r\n0\r\n\r\n"
        )
        assert received.startswith(b"HTTP/1.1 413"), received


def test_head_has_the_length_but_no_body():
    def script(connection, _head, _number, rest):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
        return rest

    with Setup(script) as (gateway, _):
        status, headers, body = gateway.request("HEAD", "/up/")
        assert (status, headers["Content-Length"], body) == (200, "5", b"")


def test_fields_that_the_service_names_in_connection_stay_with_it():
    def script(connection, _head, _number, rest):
        connection.sendall(
            b"HTTP/1.1 200 OK\r\nConnection: x-hop, connection\r\nX-Hop: 7\r\nX-Other: 9\r\n"
            b"Connection: keep-alive\r\nContent-Length: 5\r\nX-Last: 11\r\n"
            b"X-Late: 13\r\nConnection: x-late\r\n\r\n"
        )
        return rest

    with Setup(script) as (gateway, _):
        status, headers, _ = gateway.request("HEAD", "/up/")
        assert (status, headers["Content-Length"]) == (200, "5"), headers
        assert "X-Hop" not in headers and "X-Late" not in headers, headers
        assert headers["X-Other"] == "9" and headers["X-Last"] == "11", headers


def test_heads_up_to_their_limits_are_taken_and_larger_ones_refused_as_soon_as_it_is_clear():
    config = CONFIG.replace("body: 64MiB", "headers: 1024, request_line: 256")

    def head(line_bytes, fields_bytes):
        line = b"GET /up/" + b"x" * (line_bytes - len(b"GET /up/ HTTP/1.1")) + b" HTTP/1.1\r\n"
        start = b"Host: a\r\nConnection: close\r\nX: "
        return line + start + b"y" * (fields_bytes - len(start) - 4) + b"\r\n\r\n"

    def send(gateway, *pieces):
        with gateway.connect() as connection:
            for piece in pieces:
                connection.sendall(piece)
                time.sleep(0.05)
            return connection.recv(65536)[:12]

    with Setup(plain, config) as (gateway, service):
        for line_bytes in (32, 256):
            good, large = head(line_bytes, 1024), head(line_bytes, 1025)
            for cut in (len(good), 10, line_bytes + 1, line_bytes + 2, 500, len(good) - 1):
                assert send(gateway, good[:cut], good[cut:]) == b"HTTP/1.1 200", (line_bytes, cut)
            assert send(gateway, large) == b"HTTP/1.1 431", line_bytes
            # The answer does not wait for the end, which never comes.
            assert send(gateway, large[:100], large[100:-1]) == b"HTTP/1.1 431", line_bytes
        assert len(service.heads) == 12
        assert send(gateway, head(257, 100)) == b"HTTP/1.1 414"
        assert send(gateway, head(300, 100)[:258]) == b"HTTP/1.1 414"
        assert len(service.heads) == 12


def test_fields_that_any_connection_field_of_the_client_names_end_here():
    heads = []

    def script(connection, head, _number, _rest):
        heads.append(head.lower())
        connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    with Setup(script) as (gateway, _):
        gateway.raw(
            b"GET /up/ HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\nX-One: 1\r\nX-Two: 2\r\n"
            b"X-Three: 3\r\nConnection: x-two, close\r\nConnection: x-one\r\n\r\n"
        )
    assert len(heads) == 1, heads
    assert b"x-one" not in heads[0] and b"x-two" not in heads[0], heads[0]
    assert b"x-three: 3" in heads[0], heads[0]


def test_a_service_that_dies_is_never_a_complete_answer():
    def script(connection, head, _number, _rest):
        path = head.split(b" ")[1]
        if path == b"/up/length":
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort")
        elif path == b"/up/chunked":
            connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        elif path == b"/up/head":
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Le")
        elif path == b"/up/garbage":
            connection.sendall(b"\x15\x03\x01garbage\r\n\r\n")
        return None

    with Setup(script) as (gateway, _):
        for path in ("head", "garbage", "nothing"):
            assert gateway.request("GET", f"/up/{path}")[0] == 502, path
        received = gateway.raw(b"GET /up/length HTTP/1.1\r\nHost: a\r\n\r\n")
        assert len(received.split(b"\r\n\r\n", 1)[-1]) < 100
        received = gateway.raw(b"GET /up/chunked HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b"0\r\n\r\n" not in received


def test_a_service_that_stalls_is_a_timeout():
    def script(connection, _head, _number, _rest):
        connection.recv(1)
        return None

    with Setup(script) as (gateway, _):
        assert gateway.request("GET", "/up/")[0] == 504


def test_a_service_that_is_not_there_is_a_bad_gateway():
    with Setup(plain) as (gateway, service):
        service.close()
        time.sleep(0.1)
        assert gateway.request("GET", "/up/")[0] == 502


def test_a_connection_that_the_service_has_closed_is_replaced():
    def script(connection, _head, _number, _rest):
        answer(connection)
        return None  # closes, without having said so

    with Setup(script) as (gateway, _):
        for _ in range(20):
            assert gateway.request("GET", "/up/")[0] == 200


def test_a_client_that_leaves_ends_the_call():
    gone = threading.Event()

    def script(connection, _head, _number, _rest):
        if connection.recv(1) == b"":
            gone.set()
        return None

    with Setup(script) as (gateway, _):
        connection = gateway.connect()
        connection.sendall(b"GET /up/ HTTP/1.1\r\nHost: a\r\n\r\n")
        time.sleep(0.2)
        connection.close()
        assert gone.wait(0.7), "the service was not told within the timeout of the response"


def test_websockets_pass_both_ways():
    def script(connection, head, _number, rest):
        assert field(head, "upgrade") == ["websocket"]
        connection.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhi"
        )
        while True:
            data = rest or connection.recv(65536)
            rest = b""
            if not data:
                return None
            connection.sendall(data.upper())

    upgrade = b" HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    with Setup(script) as (gateway, _):
        with gateway.connect() as connection:
            connection.sendall(b"GET /ws" + upgrade)
            received = b""
            while not received.endswith(b"\r\n\r\nhi"):
                received += connection.recv(65536)
            assert received.startswith(b"HTTP/1.1 101")
            connection.sendall(b"ping")
            assert connection.recv(100) == b"PING"


def test_an_upgrade_that_the_route_does_not_allow_is_not_asked_for():
    with Setup(plain) as (gateway, service):
        headers = {"Connection": "Upgrade", "Upgrade": "websocket"}
        assert gateway.request("GET", "/up/", headers=headers)[0] == 200
        assert not field(service.heads[0], "upgrade")


def test_events_are_passed_on_as_they_come():
    """Each in one packet with the head, or with the end of the one before, or not."""
    go_on = threading.Semaphore(0)
    cases = (
        (b"", [b"data: %d\n\n" % i for i in range(4)]),
        (b"Transfer-Encoding: chunked\r\n", [b"9\r\ndata: %d\n\n\r\n" % i for i in range(4)]),
        (b"Transfer-Encoding: chunked\r\n",
         [b"9\r\ndata: 0\n\n", b"\r\n9\r\ndata: 1\n\n\r\n9", b"\r\ndata: 2\n\n\r\n0\r\nx: y"]),
    )

    def script(connection, head, _number, _rest):
        fields, events = cases[int(head[len("GET /up/"):len("GET /up/") + 1])]
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n" + fields
                           + b"\r\n" + events[0])
        for piece in events[1:]:
            go_on.acquire(timeout=DEADLINE_S)
            connection.sendall(piece)
        go_on.acquire(timeout=DEADLINE_S)
        return None

    with Setup(script) as (gateway, _):
        for number, (_, events) in enumerate(cases):
            with gateway.connect() as connection:
                connection.sendall(b"GET /up/%d HTTP/1.1\r\nHost: a\r\n\r\n" % number)
                received = b""
                for i in range(len(events)):
                    while b"data: %d" % i not in received:
                        piece = connection.recv(65536)
                        assert piece, received
                        received += piece
                    go_on.release()


def test_an_early_answer_does_not_wait_for_the_rest_of_the_body():
    def script(connection, _head, _number, _rest):
        answer(connection, b"no", "403 Forbidden", b"Connection: close\r\n")
        return None

    with Setup(script) as (gateway, _):
        with gateway.connect() as connection:
            connection.sendall(b"PUT /up/ HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nabc")
            assert connection.recv(65536).startswith(b"HTTP/1.1 403")


class ManyAtOnce:
    """A service that answers when all requests are there, so that all are under way at once."""

    def __init__(self, wanted):
        self.wanted, self.waiting = wanted, []
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self.port = self.listener.getsockname()[1]
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.listener, selectors.EVENT_READ)
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            for key, _ in self.selector.select():
                if key.fileobj is self.listener:
                    try:
                        self.selector.register(self.listener.accept()[0], selectors.EVENT_READ)
                    except OSError:
                        return
                elif key.fileobj.recv(65536):
                    self.waiting.append(key.fileobj)
                else:
                    self.selector.unregister(key.fileobj)
                    key.fileobj.close()
            if len(self.waiting) >= self.wanted:
                for connection in self.waiting:
                    answer(connection)
                self.waiting.clear()


def test_five_thousand_connections_are_served_at_once():
    count = 5000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 3 * count:
        raise Skip("not enough files may be open")
    resource.setrlimit(resource.RLIMIT_NOFILE, (3 * count, hard))
    service = ManyAtOnce(count)
    config = CONFIG.replace("connect: 1s, request: 1s, idle: 2s",
                            "connect: 60s, request: 60s, idle: 60s")
    config = config.replace("    timeout:", "    pool: {size: 8000}\n    timeout:")
    gateway = Gateway(config % service.port)
    try:
        connections = []
        for _ in range(count):
            connections.append(gateway.connect())
            connections[-1].settimeout(60)
            connections[-1].sendall(b"GET /up/ HTTP/1.1\r\nHost: a\r\n\r\n")
        for connection in connections:
            assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        for connection in connections:
            connection.close()
        assert gateway.request("GET", "/other")[0] == 404
    finally:
        code = gateway.stop()
        service.listener.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert code == 0, f"the gateway ended with {code}"


def figures(gateway):
    """What /metrics tells, by name with labels."""
    connection = http.client.HTTPConnection("127.0.0.1", gateway.admin, timeout=10)
    try:
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
    finally:
        connection.close()
    lines = [line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#")]
    assert len(lines) == len({name for name, _ in lines}), "a series is there once"
    return {name: float(value) for name, value in lines}


def test_metrics_tell_of_services_descriptors_limits_and_tokens():
    key = Key()
    config = CONFIG.replace("limits:", """identity:
  token_cache: 16
  providers:
    - {name: idp, issuer: "https://idp.example", audience: api, algorithms: [ES256], jwks: jwks.json}
limits:""", 1)

    def fickle(connection, head, _number, rest):
        if b"/up/error" in head:
            answer(connection, status="500 Oops")
            return rest
        if b"/up/nothing" in head:
            return None
        return plain(connection, head, _number, rest)

    def token(number):
        now = int(time.time())
        return {"Authorization": "Bearer " + key.sign(
            {"iss": "https://idp.example", "aud": "api", "sub": f"user-{number}", "iat": now,
             "exp": now + 600, "client_id": "c", "jti": str(number)}, typ="at+jwt", kid="k1")}

    service = Service(fickle)
    gateway = Gateway(config % service.port, {"jwks.json": json.dumps(key.jwks()).encode()})
    try:
        for path, status in (("/up/", 200), ("/up/", 200), ("/up/error", 500),
                             ("/up/nothing", 502), ("/limited", 200), ("/other", 404)):
            assert gateway.request("GET", path)[0] == status, path
        first = token(0)
        for headers in (first, first, *(token(number) for number in range(1, 40))):
            assert gateway.request("GET", "/closed", headers=headers)[0] == 200
        with gateway.connect():
            told = figures(gateway)
    finally:
        code = gateway.stop()
        service.close()
    assert code == 0, f"the gateway ended with {code}"
    calls = "sallyport_upstream_requests_total{service=\"up\",code=\"%s\"}"
    assert told[calls % "2xx"] == 3 + 41 and told[calls % "5xx"] == 1
    assert told[calls % "gone"] >= 1
    duration = "sallyport_upstream_request_duration_seconds"
    count = told[duration + "_count{service=\"up\"}"]
    assert count == told[duration + "_bucket{service=\"up\",le=\"+Inf\"}"] >= 46
    assert told["sallyport_http_request_duration_seconds_count{operation=\"\"}"] == 1
    assert told["sallyport_limiter_keys"] == 1 and told["sallyport_limiter_evictions_total"] == 0
    assert told["sallyport_limiter_keys_max"] >= 1 << 20
    assert told["sallyport_token_cache_lookups_total{result=\"hit\"}"] == 1
    assert told["sallyport_token_cache_lookups_total{result=\"miss\"}"] == 40
    assert 0 < told["sallyport_token_cache_entries"] <= told["sallyport_token_cache_entries_max"]
    assert told["sallyport_token_cache_entries_max"] == 16
    assert told["sallyport_token_cache_evictions_total"] >= 40 - 16
    assert 10 < told["process_open_fds"] < told["process_max_fds"]
    assert told["process_resident_memory_bytes"] > 1 << 20
    assert told["process_cpu_seconds_total"] > 0


def test_an_idle_connection_does_not_keep_the_gateway_from_ending():
    with Setup(plain) as (gateway, _):
        connection = gateway.connect()
        connection.sendall(b"GET /up/ HTTP/1.1\r\nHost: a\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")


run([function for name, function in list(globals().items()) if name.startswith("test_")])
