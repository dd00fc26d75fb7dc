#!/usr/bin/env python3
"""Endpoints that are found: in DNS (A, SRV), and as EndpointSlices of a Kubernetes API server."""

import http.client
import http.server
import json
import os
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import urllib.parse

from dns_server import SERVFAIL, Names
from harness import DEADLINE_S, Gateway, Service, answer, run

HEAD = """
listen: ["127.0.0.1:{port}"]
workers: 1
admin: {address: "127.0.0.1:{admin}"}
log: {level: info, access: off}
routes:
  - {path: "/**", service: shop, auth: none}
services:
  shop:
"""
FOLDER = tempfile.mkdtemp(prefix="sallyport-discovery.")


def wait_until(condition, what):
    until = time.monotonic() + DEADLINE_S
    while not condition():
        if time.monotonic() > until:
            raise AssertionError("not in time: " + what)
        time.sleep(0.03)


def gateway(service, files=None):
    lines = "".join(f"    {line}\n" for line in service.strip().splitlines())
    gate = Gateway(HEAD + lines, files)
    gate.wait_serving(DEADLINE_S)
    return gate


def named(name, address="127.0.0.1", port=0):
    """A service that answers with its name."""
    def script(connection, _head, _number, rest):
        answer(connection, name.encode())
        return rest

    service = Service(script)
    if address != "127.0.0.1" or port:
        service.close()
        service.listener = socket.create_server((address, port), backlog=64)
        service.port = service.listener.getsockname()[1]
        threading.Thread(target=service.accept, daemon=True).start()
    return service


def who(gate):
    status, _, body = gate.request("GET", "/")
    return body.decode() if status == 200 else status


def asks(gate, names):
    """Until those, and only those, have been asked in a row of requests."""
    wanted = set(names)

    def settled():
        return {who(gate) for _ in range(4 * len(wanted))} == wanted

    wait_until(settled, f"asked are {wanted}: " + gate.log_text()[-2000:])


def discovery(gate):
    connection = http.client.HTTPConnection("127.0.0.1", gate.admin, timeout=DEADLINE_S)
    try:
        connection.request("GET", "/guard/discovery")
        return json.loads(connection.getresponse().read())["discovery"][0]
    finally:
        connection.close()


# ---- DNS ----------------------------------------------------------------------------------------

def srv_config(names, more=""):
    return f"""
discover: {{srv: _http._tcp.shop.test, resolver: "127.0.0.1:{names.port}", hold: 1s{more}}}
"""


def test_srv_records_say_where_a_service_is_and_changes_are_followed():
    names, one, two = Names(), named("one"), named("two")
    names.address("host.test", "127.0.0.1")
    names.services("_http._tcp.shop.test", (0, 3, one.port, "host.test"),
                   (0, 1, two.port, "host.test"))
    gate = gateway(srv_config(names))
    try:
        asked = [who(gate) for _ in range(40)]
        assert asked.count("one") == 30 and asked.count("two") == 10, asked
        names.services("_http._tcp.shop.test", (0, 1, two.port, "host.test"))
        asks(gate, ["two"])
        state = discovery(gate)
        assert state["kind"] == "srv" and state["endpoints"] == 1, state
        assert state["changes"] == 2, state
    finally:
        gate.stop()
        names.close()


def test_other_priorities_are_asked_only_when_the_first_is_not_well():
    names, one, two = Names(), named("one"), named("two")
    names.address("host.test", "127.0.0.1")
    names.services("_http._tcp.shop.test", (20, 9, two.port, "host.test"),
                   (10, 1, one.port, "host.test"))
    # Connections that are kept would keep the closed one alive.
    gate = gateway(srv_config(names) + "health: {interval: 100ms, unhealthy: 1, healthy: 1}\n"
                   "pool: {requests_per_connection: 1}\n")
    try:
        assert {who(gate) for _ in range(20)} == {"one"}
        one.close()
        asks(gate, ["two"])
        again = named("one", port=one.port)
        asks(gate, ["one"])
        again.close()
    finally:
        gate.stop()
        names.close()


def test_each_address_of_a_name_is_an_endpoint():
    names, one = Names(), named("one")
    two = named("two", "127.0.0.2", one.port)
    names.address("shop.test", "127.0.0.1", "127.0.0.2")
    gate = gateway(f'discover: {{dns: "shop.test:{one.port}", '
                   f'resolver: "127.0.0.1:{names.port}"}}')
    try:
        asks(gate, ["one", "two"])
        names.address("shop.test", "127.0.0.2")
        asks(gate, ["two"])
    finally:
        gate.stop()
        names.close()
        two.close()


def test_when_name_servers_fail_the_last_endpoints_stay():
    names, one = Names(), named("one")
    names.address("host.test", "127.0.0.1")
    names.services("_http._tcp.shop.test", (0, 0, one.port, "host.test"))
    gate = gateway(srv_config(names, ", timeout: 500ms"))
    try:
        assert who(gate) == "one"
        for failure in (SERVFAIL, "silent"):
            names.failure = failure
            wait_until(lambda: discovery(gate)["state"] == "failing", "it is told")
            assert who(gate) == "one"
            names.failure = None
            wait_until(lambda: discovery(gate)["state"] == "found", "answers come again")
        # That there is nothing is believed after `hold` only.
        names.records.clear()
        wait_until(lambda: who(gate) == 503, "there is nothing")
        status, _, body = gate.request("GET", "/")
        assert status == 503 and b"no-endpoint" in body, body
        names.address("host.test", "127.0.0.1")
        names.services("_http._tcp.shop.test", (0, 0, one.port, "host.test"))
        asks(gate, ["one"])
    finally:
        gate.stop()
        names.close()


def test_a_service_that_is_nowhere_at_the_start_is_503():
    names = Names()
    gate = gateway(srv_config(names))
    try:
        status, _, body = gate.request("GET", "/")
        assert status == 503 and b"no-endpoint" in body, (status, body)
        # HTTP/1.0 without Host: there is no endpoint whose name could be sent.
        assert gate.raw(b"GET / HTTP/1.0\r\n\r\n").startswith(b"HTTP/1."), gate.log_text()
        assert gate.process.poll() is None
    finally:
        gate.stop()
        names.close()


def test_a_reload_keeps_what_was_found():
    names, one = Names(), named("one")
    names.address("host.test", "127.0.0.1")
    names.services("_http._tcp.shop.test", (0, 0, one.port, "host.test"))
    config = srv_config(names, ", timeout: 500ms")
    gate = gateway(config)
    try:
        assert who(gate) == "one"
        names.failure = "silent"
        text = open(gate.config, encoding="utf-8").read()
        for tail in ("    host: a.test\n", "    host: b.test\n"):
            with open(gate.config, "w", encoding="utf-8") as file:
                file.write(text + tail)
            done = gate.log_text().count("reload.done")
            os.kill(gate.process.pid, 1)
            wait_until(lambda done=done: gate.log_text().count("reload.done") > done, "reload")
            assert who(gate) == "one"
    finally:
        gate.stop()
        names.close()


# ---- certificates -------------------------------------------------------------------------------


def openssl(*arguments):
    subprocess.run(["openssl", *arguments], cwd=FOLDER, check=True, capture_output=True,
                   timeout=DEADLINE_S)


def certificate(name, *hosts):
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    if not os.path.exists(os.path.join(FOLDER, "ca.pem")):
        openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2",
                "-subj", "/CN=Test CA")
    with open(os.path.join(FOLDER, name + ".ext"), "w", encoding="utf-8") as file:
        file.write("subjectAltName=" + ",".join(hosts) + "\n")
    openssl("req", *key, "-keyout", name + ".key", "-out", name + ".csr", "-subj", "/CN=" + name)
    openssl("x509", "-req", "-in", name + ".csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-days",
            "2", "-CAcreateserial", "-extfile", name + ".ext", "-out", name + ".pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(os.path.join(FOLDER, name + ".pem"),
                            os.path.join(FOLDER, name + ".key"))
    return context


def ca_pem():
    with open(os.path.join(FOLDER, "ca.pem"), "rb") as file:
        return file.read()


class Hello(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "6")
        self.end_headers()
        self.wfile.write(b"secure")

    def log_message(self, *_):
        pass


def test_certificates_must_have_the_name_of_the_target():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hello)
    server.socket = certificate("target", "DNS:good.test").wrap_socket(server.socket,
                                                                       server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    names = Names()
    for name in ("good.test", "bad.test"):
        names.address(name, "127.0.0.1")
    names.services("_http._tcp.shop.test", (0, 0, server.server_address[1], "good.test"))
    gate = gateway(srv_config(names, ", scheme: https") + "tls: {ca: ca.pem}\n",
                   {"ca.pem": ca_pem()})
    try:
        asks(gate, ["secure"])
        names.services("_http._tcp.shop.test", (0, 0, server.server_address[1], "bad.test"))
        wait_until(lambda: who(gate) == 502, "another name is not trusted")
    finally:
        gate.stop()
        names.close()
        server.shutdown()
        server.server_close()


# ---- Kubernetes ---------------------------------------------------------------------------------


def endpoint(address="127.0.0.1", **conditions):
    return {"addresses": [address], "conditions": conditions}


def slice_of(name, port, *endpoints, family="IPv4"):
    return {
        "metadata": {"name": name, "labels": {"kubernetes.io/service-name": "orders"}},
        "addressType": family,
        "endpoints": list(endpoints),
        "ports": [{"name": "metrics", "port": 9, "protocol": "TCP"},
                  {"name": "http", "port": port, "protocol": "TCP"}],
    }


class Cluster:
    """What an API server does with EndpointSlices: lists in pages, watches, versions that expire."""

    def __init__(self, page=None):
        self.changed = threading.Condition()
        self.slices = {}
        self.version = 100
        self.history = []  # version, type, object
        self.expired_below = 0
        self.token = "first"
        self.page = page
        self.garbage = b""
        self.lists, self.watches, self.refused = [], [], 0
        self.port = 0
        self.server = None
        self.start()

    def start(self):
        cluster = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                cluster.serve(self)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None  # who does not trust it leaves early
        self.port = self.server.server_address[1]
        context = certificate("api", "DNS:localhost", "IP:127.0.0.1")
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True,
                                                 do_handshake_on_connect=False)
        self.alive = True
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self):
        with self.changed:
            self.alive = False
            self.changed.notify_all()
        self.server.shutdown()
        self.server.server_close()

    def change(self, kind, item):
        with self.changed:
            self.version += 1
            item = json.loads(json.dumps(item))
            item["metadata"]["resourceVersion"] = str(self.version)
            if kind == "DELETED":
                del self.slices[item["metadata"]["name"]]
            else:
                self.slices[item["metadata"]["name"]] = item
            self.history.append((self.version, kind, item))
            self.changed.notify_all()

    def put(self, item):
        self.change("MODIFIED" if item["metadata"]["name"] in self.slices else "ADDED", item)

    def delete(self, name):
        self.change("DELETED", self.slices[name])

    def forget(self):
        """All versions so far are too old to watch from, and watches end."""
        with self.changed:
            self.version += 1
            self.history.clear()
            self.expired_below = self.version
            self.changed.notify_all()

    def serve(self, request):
        path, _, query = request.path.partition("?")
        query = dict(urllib.parse.parse_qsl(query))
        if request.headers["Authorization"] != "Bearer " + self.token:
            self.refused += 1
            self.reply(request, 401, {"kind": "Status", "code": 401})
            return
        assert path == "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices", path
        assert query["labelSelector"] == "kubernetes.io/service-name=orders", query
        if "watch" in query:
            self.watch(request, query)
        else:
            self.list(request, query)

    @staticmethod
    def reply(request, status, body):
        data = json.dumps(body).encode()
        request.send_response(status)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        request.wfile.write(data)

    def list(self, request, query):
        with self.changed:
            self.lists.append(query)
            items = [self.slices[name] for name in sorted(self.slices)]
            begin = int(query.get("continue", "0").removeprefix("at/"))
            end = begin + (self.page or len(items))
            meta = {"resourceVersion": str(self.version)}
            if end < len(items):
                meta["continue"] = f"at/{end}"
        self.reply(request, 200, {"kind": "EndpointSliceList", "metadata": meta,
                                  "items": items[begin:end]})

    def watch(self, request, query):
        seen = int(query["resourceVersion"])
        until = time.monotonic() + int(query["timeoutSeconds"])
        with self.changed:
            self.watches.append(seen)
        if seen < self.expired_below:
            self.reply(request, 410, {"kind": "Status", "code": 410})
            return
        request.send_response(200)
        request.send_header("Transfer-Encoding", "chunked")
        request.end_headers()
        while True:
            with self.changed:
                events = [event for event in self.history if event[0] > seen]
                garbage, self.garbage = self.garbage, b""
                if not events and not garbage and self.alive and seen >= self.expired_below:
                    if time.monotonic() > until:
                        break
                    self.changed.wait(0.1)
                    continue
                if not self.alive:
                    request.connection.shutdown(socket.SHUT_RDWR)
                    request.close_connection = True
                    return
            if seen < self.expired_below:
                events = [(0, "ERROR", {"kind": "Status", "code": 410, "message": "too old"})]
            for version, kind, item in events:
                seen = max(seen, version)
                self.chunk(request, json.dumps({"type": kind, "object": item}).encode() + b"\n")
            if garbage:
                self.chunk(request, garbage)
            elif events[-1][1] == "ERROR":
                break
        self.chunk(request, b"")

    @staticmethod
    def chunk(request, data):
        # In two pieces, so that lines come torn.
        for piece in ([data[:20], data[20:]] if len(data) > 20 else [data]):
            request.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            request.wfile.flush()


def kubernetes(cluster, more=""):
    gate = gateway(
        f"""
discover:
  timeout: 2s
  kubernetes: {{namespace: shop, service: orders, port: http, watch: 2s, token: token,
    ca: ca.pem, server: "https://localhost:{cluster.port}"}}
{more}""",
        {"ca.pem": ca_pem(), "token": cluster.token.encode() + b"\n"})
    return gate


def test_endpoint_slices_are_listed_and_watched():
    one, two, three = named("one"), named("two"), named("three")
    cluster = Cluster(page=1)
    for index, service in enumerate((one, two)):
        cluster.put(slice_of(f"orders-{index}", service.port, endpoint(ready=True)))
    gate = kubernetes(cluster)
    try:
        asks(gate, ["one", "two"])
        assert len(cluster.lists) == 2 and cluster.lists[1]["continue"] == "at/1", cluster.lists
        wait_until(lambda: cluster.watches, "a watch begins")
        # Added, changed and deleted while it is watched; one list was enough.
        cluster.put(slice_of("orders-2", three.port, endpoint()))
        asks(gate, ["one", "two", "three"])
        cluster.put(slice_of("orders-0", one.port, endpoint(ready=False, serving=False)))
        asks(gate, ["two", "three"])
        cluster.delete("orders-2")
        asks(gate, ["two"])
        # Nobody is ready: who still serves while it ends is asked.
        cluster.put(slice_of("orders-0", one.port,
                             endpoint(ready=False, serving=True, terminating=True)))
        asks(gate, ["two"])
        cluster.put(slice_of("orders-1", two.port, endpoint(ready=False, serving=False)))
        asks(gate, ["one"])
        cluster.delete("orders-0")
        wait_until(lambda: who(gate) == 503, "nobody is there")
        assert b"no-endpoint" in gate.request("GET", "/")[2]
        cluster.put(slice_of("orders-9", two.port, endpoint(ready=True)))
        asks(gate, ["two"])
        assert len(cluster.lists) == 2, cluster.lists
        # The watch is renewed from the version that was seen last.
        count = len(cluster.watches)
        wait_until(lambda: len(cluster.watches) > count, "it is watched again")
        assert cluster.watches[-1] == cluster.version, cluster.watches
        state = discovery(gate)
        assert state["kind"] == "kubernetes" and state["state"] == "found", state
    finally:
        gate.stop()
        cluster.stop()


def test_a_version_that_is_too_old_takes_a_new_list():
    one, two = named("one"), named("two")
    cluster = Cluster()
    cluster.put(slice_of("orders-0", one.port, endpoint(ready=True)))
    gate = kubernetes(cluster)
    try:
        asks(gate, ["one"])
        wait_until(lambda: cluster.watches, "a watch begins")
        # What changes is not told, because the history is gone.
        with cluster.changed:
            cluster.slices["orders-1"] = slice_of("orders-1", two.port, endpoint(ready=True))
            del cluster.slices["orders-0"]
        cluster.forget()
        asks(gate, ["two"])
        assert len(cluster.lists) == 2, cluster.lists
        # Of events that cannot be read, nobody knows what they were about.
        cluster.garbage = b'{"type": "ADDED", "object": \n'
        wait_until(lambda: len(cluster.lists) == 3, "a list is asked for")
        asks(gate, ["two"])
    finally:
        gate.stop()
        cluster.stop()


def test_an_outage_of_the_api_server_changes_nothing():
    one, two = named("one"), named("two")
    cluster = Cluster()
    cluster.put(slice_of("orders-0", one.port, endpoint(ready=True)))
    gate = kubernetes(cluster)
    try:
        asks(gate, ["one"])
        cluster.stop()
        wait_until(lambda: discovery(gate)["state"] == "failing", "it is told")
        assert {who(gate) for _ in range(10)} == {"one"}
        # The token was exchanged meanwhile.
        cluster.token = "second"
        cluster.start()
        wait_until(lambda: cluster.refused, "the old one is refused")
        assert who(gate) == "one"
        with open(os.path.join(gate.folder, "token"), "w", encoding="utf-8") as file:
            file.write("second")
        cluster.put(slice_of("orders-0", two.port, endpoint(ready=True)))
        asks(gate, ["two"])
        assert discovery(gate)["state"] == "found"
        assert "second" not in gate.log_text() and "first" not in gate.log_text()
    finally:
        gate.stop()
        cluster.stop()


def test_an_api_server_that_is_not_trusted_is_not_believed():
    certificate("api", "DNS:localhost")
    cluster = Cluster()
    cluster.put(slice_of("orders-0", 1, endpoint(ready=True)))
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-keyout", "other.key", "-out", "other.pem", "-days", "2", "-subj", "/CN=Other")
    with open(os.path.join(FOLDER, "other.pem"), "rb") as file:
        other = file.read()
    lines = f"""
discover:
  timeout: 500ms
  kubernetes: {{namespace: shop, service: orders, token: token, ca: ca.pem,
    server: "https://localhost:{cluster.port}"}}
"""
    gate = gateway(lines, {"ca.pem": other, "token": b"first"})
    try:
        wait_until(lambda: discovery(gate)["failures"] > 1, "it fails")
        assert who(gate) == 503
        assert not cluster.lists and not cluster.refused
    finally:
        gate.stop()
        cluster.stop()


def main():
    try:
        run([value for name, value in globals().items() if name.startswith("test_")])
    finally:
        shutil.rmtree(FOLDER, ignore_errors=True)


if __name__ == "__main__":
    main()
