#!/usr/bin/python3
"""Requests and responses held against the service's OpenAPI document, through the real program."""

import gzip
import hashlib
import json
import os
import socket
import subprocess
import tempfile
import time
import urllib.request
import zlib

from harness import PROGRAM, Gateway, Service, answer, field, refusal, run

DOCUMENT = b"""
openapi: 3.1.0
info: {title: Orders, version: "1"}
components:
  securitySchemes:
    login: {type: oauth2, flows: {clientCredentials: {tokenUrl: https://id.example/t, scopes: {write: w}}}}
    other: {type: http, scheme: bearer}
    tls: {type: mutualTLS}
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
      operationId: listOrders
      parameters:
        - {name: limit, in: query, schema: {type: integer, maximum: 100}}
      responses:
        "200": {description: ok, content: {application/json: {schema: {type: array, items: {$ref: "#/components/schemas/Order"}}}}}
    post:
      operationId: createOrder
      requestBody: {required: true, content: {application/json: {schema: {$ref: "#/components/schemas/Order"}}}}
      responses:
        "201": {description: made}
    put:
      operationId: replaceOrders
      security: [{login: [write]}]
      x-sallyport-limit: {rate: 2/h, burst: 2, per: client}
      requestBody: {content: {application/json: {schema: {type: array, items: {type: integer}}}}}
      responses:
        "200": {description: ok}
  /secured/or: {get: {security: [{login: [admin]}, {login: [write]}], responses: {"200": {description: ok}}}}
  /secured/and: {get: {security: [{login: [write], other: [audit]}], responses: {"200": {description: ok}}}}
  /secured/both: {get: {security: [{login: [write], other: []}], responses: {"200": {description: ok}}}}
  /secured/nobody: {get: {security: [], responses: {"200": {description: ok}}}}
  /secured/optional: {get: {security: [{login: [write]}, {}], responses: {"200": {description: ok}}}}
  /secured/tls: {get: {security: [{tls: []}], responses: {"200": {description: ok}}}}
  /secured/missing: {get: {security: [{nothing: []}], responses: {"200": {description: ok}}}}
  /slow:
    get:
      operationId: slow
      x-sallyport-timeout: 300ms
      responses:
        "200": {description: ok}
  /orders/{id}:
    get:
      operationId: getOrder
      parameters:
        - {name: id, in: path, required: true, schema: {type: integer}}
      responses:
        "200": {description: ok, content: {application/json: {schema: {$ref: "#/components/schemas/Order"}}}}
"""

CONFIG = """
listen: [{address: "127.0.0.1:{port}"}]
workers: 1
admin: {address: "127.0.0.1:{admin}"}
limits: {body_buffer: 64k, body: 0, %(limits)s}
identity:
  api_keys:
    keys:
      - {sha256: %(writer)s, client: writer, scopes: [write]}
      - {sha256: %(reader)s, client: reader}
services:
  up:
    endpoints: ["http://127.0.0.1:%(port)d"]
    contract: {file: orders.yaml, %(contract)s}
routes:
  - {path: "/api/**", service: up, auth: optional, strip_prefix: /api}
"""

GOOD = b'{"article":"A-1","count":2}'
JSON = {"Content-Type": "application/json"}


def key_of(name):
    return f"{name}-{'k' * 40}"


class Setup:
    def __init__(self, contract="mode: enforce", response=b"[]", status="200 OK",
                 content_type=b"application/json", limits=""):
        self.requests, self.delay_s = [], 0
        self.response, self.status, self.content_type = response, status, content_type
        self.service = Service(self.script)
        values = {name: hashlib.sha256(key_of(name).encode()).hexdigest()
                  for name in ("writer", "reader")}
        values.update(port=self.service.port, contract=contract, limits=limits)
        self.gateway = Gateway(CONFIG % values, {"orders.yaml": DOCUMENT})

    def script(self, connection, head, _number, rest):
        if field(head, "transfer-encoding"):
            while not rest.endswith(b"0\r\n\r\n"):
                data = connection.recv(65536)
                if not data:
                    self.requests.append((head, b"truncated"))
                    return None
                rest += data
            self.requests.append((head, rest))
            rest = b""
        else:
            length = int((field(head, "content-length") or ["0"])[0])
            while len(rest) < length:
                data = connection.recv(65536)
                if not data:
                    self.requests.append((head, b"truncated"))
                    return None
                rest += data
            self.requests.append((head, rest[:length]))
            rest = rest[length:]
        time.sleep(self.delay_s)
        answer(connection, self.response, self.status,
               b"Content-Type: %s\r\n" % self.content_type)
        return rest

    def __enter__(self):
        return self

    def __exit__(self, *_):
        code = self.gateway.stop()
        self.service.close()
        assert code == 0, f"the gateway ended with {code}"

    def get(self, path, headers=None):
        return self.gateway.request("GET", path, None, headers)

    def post(self, body, headers=None, path="/api/orders"):
        return self.gateway.request("POST", path, body, headers or JSON)

    def report(self, operation):
        url = f"http://127.0.0.1:{self.gateway.admin}/contracts"
        with urllib.request.urlopen(url, timeout=10) as response:
            services = json.load(response)["services"]
        return next(one for one in services[0]["operations"] if one["operation"] == operation)


def test_only_the_operations_of_the_document_are_reachable():
    with Setup() as setup:
        assert setup.get("/api/orders")[0] == 200
        assert setup.get("/api/other")[0] == 404
        status, fields, _ = setup.gateway.request("DELETE", "/api/orders")
        assert status == 405 and set(fields["allow"].split(", ")) == {"GET", "POST", "PUT"}, fields
        assert len(setup.requests) == 1


def test_parameters_must_be_what_the_document_says():
    with Setup() as setup:
        assert setup.get("/api/orders?limit=10")[0] == 200
        for bad in ("?limit=ten", "?limit=101", "?limit=1&limit=2", "?other=1"):
            status, fields, text = setup.get("/api/orders" + bad)
            assert status == 400, (bad, status)
            assert fields["content-type"] == "application/problem+json"
            problem = json.loads(text)
            assert problem["type"] == "urn:sallyport:problem:contract-violation", problem
            assert problem["errors"][0]["in"] == "query", problem
            told = json.dumps(problem["errors"])
            assert '"ten' not in told and "101" not in told, "no values"
        assert setup.get("/api/orders/x1")[0] == 400
        assert len(setup.requests) == 1


def test_a_bad_body_never_reaches_the_service_even_partly():
    bodies = [b'{"article":"A-1"}', b'{"article":"A-1","count":0}', b'{"article":1,"count":1}',
              b'{"article":"A","count":1,"count":2}', b'{"article":', b"[]", b"",
              b'{"article":"' + b"a" * 30000 + b'","count":1}']
    with Setup(status="201 Created", response=b"", content_type=b"text/plain") as setup:
        for body in bodies:
            status, _, text = setup.post(body)
            assert status == 400, (body[:40], status, text)
        assert setup.post(GOOD, {"Content-Type": "text/xml"})[0] == 415
        assert setup.post(b"[" * 70000)[0] in (400, 413)
        assert setup.requests == []
        assert setup.post(GOOD)[0] == 201
        assert setup.requests[-1][1] == GOOD
        pointer = json.loads(setup.post(b'{"article":"A","count":0}')[2])["errors"][0]["pointer"]
        assert pointer == "/count", pointer


def test_a_body_in_pieces_is_checked_whole():
    with Setup(status="201 Created", response=b"") as setup:
        for cut in (1, 10, len(GOOD) - 1):
            with setup.gateway.connect() as connection:
                connection.sendall(b"POST /api/orders HTTP/1.1\r\nHost: a\r\nContent-Type: "
                                   b"application/json\r\nConnection: close\r\n"
                                   b"Transfer-Encoding: chunked\r\n\r\n")
                for piece in (GOOD[:cut], GOOD[cut:]):
                    connection.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
                    time.sleep(0.02)
                connection.sendall(b"0\r\n\r\n")
                received = connection.recv(65536)
            assert received.startswith(b"HTTP/1.1 201"), received
            assert setup.requests[-1][1] == GOOD, "what was held goes out with its length"


def test_unknown_query_parameters_and_properties_are_cut_out_where_asked():
    contract = "unknown_query: strip, unknown_properties: strip"
    with Setup(contract, status="201 Created", response=b"") as setup:
        body = b'{"admin":true,"article":"A-1","x":{"y":[1]},"count":2}'
        assert setup.post(body, JSON)[0] == 201
        assert json.loads(setup.requests[-1][1]) == json.loads(GOOD), setup.requests[-1][1]
        setup.status, setup.response = "200 OK", b"[]"
        assert setup.get("/api/orders?debug=1&limit=5&a")[0] == 200
        assert setup.requests[-1][0].startswith(b"GET /orders?limit=5 HTTP"), setup.requests[-1]
        assert setup.get("/api/orders?debug=1")[0] == 200
        assert setup.requests[-1][0].startswith(b"GET /orders HTTP"), setup.requests[-1]


def test_security_requirements_of_the_document_hold():
    with Setup() as setup:
        def put(name):
            headers = dict(JSON, **({"X-Api-Key": key_of(name)} if name else {}))
            return setup.gateway.request("PUT", "/api/orders", b"[1]", headers)

        assert put(None)[0] == 401
        status, fields, _ = put("reader")
        assert status == 403 and 'scope="write"' in fields["www-authenticate"], fields
        assert put("writer")[0] == 200
        # The limit that the document sets for the operation.
        assert put("writer")[0] == 200
        assert put("writer")[0] == 429
        assert setup.get("/api/orders")[0] == 200


def test_alternatives_of_security_requirements_hold_as_they_are_joined():
    expected = {  # without a key, for one without scopes, for one with "write"
        "or": (401, 403, 200), "and": (401, 403, 403), "both": (401, 403, 200),
        "nobody": (200, 200, 200), "optional": (200, 200, 200), "tls": (401, 403, 403),
        "missing": (401, 403, 403)}
    with Setup() as setup:
        for path, statuses in expected.items():
            for name, status in zip((None, "reader", "writer"), statuses):
                headers = {"X-Api-Key": key_of(name)} if name else {}
                got = setup.gateway.request("GET", f"/api/secured/{path}", b"", headers)[0]
                assert got == status, (path, name, got)


def test_observing_refuses_nothing_and_reports_what_would_have_been():
    with Setup("mode: observe", status="201 Created", response=b"") as setup:
        assert setup.post(b'{"article":"A-1","secret":"hunter2"}')[0] == 201
        assert setup.requests[-1][1] == b'{"article":"A-1","secret":"hunter2"}'
        assert setup.post(GOOD)[0] == 201
        assert setup.get("/api/nowhere")[0] == 201
        until = time.monotonic() + 5
        while setup.report("createOrder")["requests"] < 2 and time.monotonic() < until:
            time.sleep(0.05)
        report = setup.report("createOrder")
        assert (report["requests"], report["bad_requests"]) == (2, 1), report
        assert report["last_bad_request"][0]["keyword"] == "required", report
        assert "hunter2" not in json.dumps(report)


def test_large_bodies_are_refused_or_checked_while_they_pass():
    good = b"[" + b"1," * 60000 + b"1]"
    bad = b"[" + b"1," * 60000 + b'"x"]'
    headers = dict(JSON, **{"X-Api-Key": key_of("writer")})
    with Setup() as setup:
        assert setup.gateway.request("PUT", "/api/orders", good, headers)[0] == 413
        assert setup.requests == []
    with Setup("large: stream") as setup:
        assert setup.gateway.request("PUT", "/api/orders", good, headers)[0] == 200
        assert setup.requests[-1][1] == good
        assert setup.gateway.request("PUT", "/api/orders", bad, headers)[0] == 400
        until = time.monotonic() + 5
        while len(setup.requests) < 2 and time.monotonic() < until:
            time.sleep(0.05)
        assert setup.requests[-1][1] == b"truncated", "the service must not see a whole request"


def test_a_response_that_breaks_the_contract_is_a_bad_gateway():
    with Setup("responses: enforce", b'[{"article":"A"}]') as setup:
        status, _, text = setup.get("/api/orders")
        assert status == 502 and b"article" not in text, (status, text)
        setup.response = b"[%s]" % GOOD
        status, _, text = setup.get("/api/orders")
        assert (status, text) == (200, setup.response), (status, text)
        setup.status = "418 No"
        assert setup.get("/api/orders")[0] == 502
        report = setup.report("listOrders")
        assert (report["responses"], report["bad_responses"]) == (3, 2), report


def test_a_response_is_only_told_of_or_cut_where_asked():
    secret = b'{"article":"A-1","count":2,"password":"hunter2"}'
    with Setup("responses: observe", b'{"article":"A"}') as setup:
        assert setup.get("/api/orders/1")[0] == 200
        until = time.monotonic() + 10
        while setup.report("getOrder")["bad_responses"] != 1:
            assert time.monotonic() < until, "it is counted once the answer is out"
            time.sleep(0.02)
    contract = "responses: enforce, unknown_response_properties: strip"
    with Setup(contract, secret) as setup:
        status, fields, text = setup.get("/api/orders/1", {"Accept-Encoding": "gzip"})
        assert status == 200 and json.loads(text) == json.loads(GOOD), text
        assert int(fields["Content-Length"]) == len(text)
        assert not field(setup.requests[-1][0], "accept-encoding"), "nothing coded is asked for"


def test_what_is_to_be_cut_out_does_not_pass_by_being_large():
    contract = "large: stream, unknown_query: strip, unknown_properties: strip"
    with Setup(contract, status="201 Created", response=b"") as setup:
        body = b'{"admin":true,"article":"A-1","count":2%s}' % (b" " * 70000)
        assert setup.post(body)[0] == 413
        assert setup.requests == []
    headers = dict(JSON, **{"X-Api-Key": key_of("writer")})
    with Setup("large: stream, unknown_query: strip") as setup:
        big = b"[" + b"1," * 60000 + b"1]"
        assert setup.gateway.request("PUT", "/api/orders?debug=1", big, headers)[0] == 200
        assert setup.requests[-1][0].startswith(b"PUT /orders HTTP"), setup.requests[-1][0]
    contract = "large: stream, responses: enforce, unknown_response_properties: strip"
    secret = b'{"article":"A-1","count":2,"password":"hunter2"%s}' % (b" " * 70000)
    with Setup(contract, secret) as setup:
        status, _, text = setup.get("/api/orders/1")
        assert status == 502 and b"hunter2" not in text, status


def test_large_bodies_are_as_long_as_the_limits_allow():
    headers = dict(JSON, **{"X-Api-Key": key_of("writer")})
    with Setup("large: stream") as setup:
        big = b"[1" + b" " * (11 << 20) + b"]"
        assert setup.gateway.request("PUT", "/api/orders", big, headers)[0] == 200


def test_a_large_response_that_is_broken_at_its_end_is_cut_off():
    good = b"[" + b",".join([GOOD] * 4000)
    with Setup("large: stream, responses: enforce", good) as setup:
        with setup.gateway.connect() as connection:
            connection.sendall(b"GET /api/orders HTTP/1.1\r\nHost: a\r\n\r\n")
            received = b""
            while data := connection.recv(65536):
                received += data
        head, body = received.split(b"\r\n\r\n", 1)
        assert head.startswith(b"HTTP/1.1 200"), head
        assert len(body) < len(good), "the client must not take it for a whole answer"


def coded(text):
    return {"Content-Encoding": text, **JSON}


def test_a_compressed_body_is_checked_and_passed_on_decoded():
    with Setup() as setup:
        assert setup.post(gzip.compress(GOOD), coded("gzip"))[0] == 200
        assert setup.post(zlib.compress(GOOD), coded("deflate"))[0] == 200
        assert setup.post(GOOD, coded("identity"))[0] == 200
        for head, body in setup.requests:
            assert body == GOOD, body
            assert not field(head, "content-encoding"), head
            assert field(head, "content-length") == [str(len(GOOD))], head
        status, _, answered = setup.post(gzip.compress(GOOD.replace(b"2", b"-2")), coded("gzip"))
        assert status == 400 and b"/count" in answered, answered
        assert len(setup.requests) == 3


def test_a_compressed_body_of_unknown_length_is_decoded():
    with Setup() as setup:
        body = gzip.compress(GOOD)
        received = setup.gateway.raw(
            b"POST /api/orders HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
            b"Connection: close\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"%x\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n" % (9, body[:9], len(body) - 9, body[9:]))
        assert received.startswith(b"HTTP/1.1 200"), received
        assert [body for _, body in setup.requests] == [GOOD]


def test_what_cannot_be_decoded_is_refused():
    bomb = gzip.compress(b"[" + b" " * 2_000_000 + b"]")
    assert len(bomb) < 4096
    with Setup() as setup:
        assert setup.post(bomb, coded("gzip"))[0] == 413
        assert setup.post(gzip.compress(GOOD)[:-5], coded("gzip"))[0] == 400
        assert setup.post(GOOD, coded("gzip"))[0] == 400
        for coding in ("br", "gzip, gzip"):
            status, fields, _ = setup.post(GOOD, coded(coding))
            assert status == 415 and fields["accept-encoding"] == "gzip, deflate", fields
        received = setup.gateway.raw(
            b"POST /api/orders HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
            b"Connection: close\r\nContent-Encoding: identity\r\nContent-Encoding: gzip\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (len(GOOD), GOOD))
        assert received.startswith(b"HTTP/1.1 415"), received
        assert setup.requests == []


def test_compressed_bodies_can_be_refused_altogether():
    with Setup(limits="compressed: refuse") as setup:
        status, fields, _ = setup.post(gzip.compress(GOOD), coded("gzip"))
        assert status == 415 and fields["accept-encoding"] == "identity", fields
        assert setup.post(GOOD)[0] == 200


def test_the_timeout_of_the_document_holds():
    with Setup() as setup:
        setup.delay_s = 3
        begun = time.monotonic()
        assert setup.get("/api/slow")[0] == 504
        assert time.monotonic() - begun < 3


def test_a_broken_document_is_named_with_file_and_line():
    bad = DOCUMENT.replace(b"minimum: 1", b"minimum: one")
    values = {"writer": "0" * 64, "reader": "1" * 64, "port": 1,
              "contract": "mode: enforce", "limits": ""}
    log = refusal(CONFIG % values, {"orders.yaml": bad})
    assert "orders.yaml:" in log and "minimum" in log, log


def test_a_check_of_the_configuration_reads_the_document():
    values = {"writer": "0" * 64, "reader": "1" * 64, "port": 1,
              "contract": "mode: enforce, responses: observe", "limits": ""}
    with tempfile.TemporaryDirectory() as folder:
        config = os.path.join(folder, "sallyport.yaml")
        document = os.path.join(folder, "orders.yaml")
        text = (CONFIG % values).replace("{port}", "8080").replace("{admin}", "9901")
        with open(config, "w", encoding="utf-8") as file:
            file.write(text)
        with open(document, "wb") as file:
            file.write(DOCUMENT)
        done = subprocess.run([PROGRAM, "check", config], capture_output=True, text=True,
                              timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        assert "orders.yaml: requests enforce, responses observe;" in done.stdout, done.stdout
        with open(document, "wb") as file:
            file.write(DOCUMENT.replace(b"minimum: 1", b"minimum: one"))
        done = subprocess.run([PROGRAM, "check", config], capture_output=True, text=True,
                              timeout=60, check=False)
        assert done.returncode == 1 and "orders.yaml:15:32: " in done.stderr, done.stderr


def test_a_sensitive_operation_that_nothing_has_is_an_error():
    values = {"writer": "0" * 64, "reader": "1" * 64, "port": 1,
              "contract": "mode: enforce", "limits": ""}
    config = CONFIG % values + '''store: "sqlite:store.db"
sensitive: [{operation: dropOrders, by: supervisor}]
'''
    log = refusal(config, {"orders.yaml": DOCUMENT})
    assert "sallyport.yaml:" in log and "dropOrders" in log, log


def test_a_body_that_waits_for_100_is_checked_alike():
    with Setup(status="201 Created", response=b"") as setup:
        with socket.create_connection(("127.0.0.1", setup.gateway.port), 10) as connection:
            connection.sendall(b"POST /api/orders HTTP/1.1\r\nHost: a\r\nContent-Type: "
                               b"application/json\r\nContent-Length: 5\r\n"
                               b"Expect: 100-continue\r\n\r\n")
            assert connection.recv(1000).startswith(b"HTTP/1.1 100")
            connection.sendall(b"[1,2]")
            assert connection.recv(1000).startswith(b"HTTP/1.1 400")
        assert setup.requests == []


run([value for name, value in list(globals().items()) if name.startswith("test_")])
