#!/usr/bin/env python3
"""What keeps services available: breakers, bulkheads, health, fallbacks, overload."""

import hashlib
import json
import signal
import socket
import threading
import time
import urllib.error
import urllib.request

from harness import DEADLINE_S, Gateway, Service, answer, field, run

HEAD = """
listen: ["127.0.0.1:{port}"]
workers: 2
admin: {address: "127.0.0.1:{admin}", actions: on}
log: {level: warn, access: off}
"""


def gateway(services, routes, head=HEAD, files=None):
    gate = Gateway(head + "services:\n" + services + "routes:\n" + routes, files)
    wait_until(lambda: can_connect(gate.admin), "the admin listener is there")
    return gate


def can_connect(port):
    try:
        socket.create_connection(("127.0.0.1", port), DEADLINE_S).close()
        return True
    except OSError:
        return False


def service_config(services, extra, name="shop"):
    urls = ", ".join(f'"http://127.0.0.1:{service.port}"' for service in services)
    lines = "".join(f"    {line}\n" for line in extra.strip().splitlines())
    return f"  {name}:\n    endpoints: [{urls}]\n{lines}"


ROUTE = '  - {path: "/**", service: shop, auth: none}\n'


class Switch:
    """A service whose behaviour a test changes while it runs."""

    def __init__(self, name=b"hello"):
        self.status = "200 OK"
        self.name = name
        self.wait = threading.Event()
        self.wait.set()
        self.now = 0
        self.most = 0
        self.lock = threading.Lock()
        self.service = Service(self.script)
        self.port = self.service.port

    def script(self, connection, head, _number, rest):
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        self.wait.wait(DEADLINE_S)
        with self.lock:
            self.now -= 1
        if self.status is None:
            return None
        answer(connection, self.name, self.status)
        return rest

    def count(self):
        return len(self.service.heads)

    def close(self):
        self.wait.set()
        self.service.close()


def admin(gate, path, body=None, headers=None):
    data = None if body is None else json.dumps(body).encode()
    fields = {"Content-Type": "application/json"} if body is not None else {}
    fields.update(headers or {})
    request = urllib.request.Request(f"http://127.0.0.1:{gate.admin}{path}", data, fields)
    try:
        with urllib.request.urlopen(request, timeout=DEADLINE_S) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def service_state(gate, name="shop"):
    status, text = admin(gate, "/services")
    assert status == 200, (status, text)
    return next(s for s in json.loads(text)["services"] if s["name"] == name)


def wait_until(condition, what):
    until = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < until, what
        time.sleep(0.02)


def problem(body):
    return json.loads(body)["type"].rsplit(":", 1)[1]


def parallel(gate, count, path="/"):
    """Starts requests; returns the list that their answers go to, and a function that waits."""
    results = []

    def one():
        results.append(gate.request("GET", path))

    threads = [threading.Thread(target=one, daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    return results, lambda: [thread.join(DEADLINE_S) for thread in threads]


# --- breakers ---

BREAKER = "breaker: {window: 4, failure_rate: 50%, open: 300ms, probes: 2}\nretry: {attempts: 0}"


def a_breaker_opens_refuses_and_closes_again():
    shop = Switch()
    gate = gateway(service_config([shop], BREAKER), ROUTE)
    try:
        shop.status = "500 Internal Server Error"
        for _ in range(4):
            assert gate.request("GET", "/")[0] == 500
        asked = shop.count()
        status, fields, body = gate.request("GET", "/")
        assert status == 503 and problem(body) == "breaker-open", (status, body)
        assert int(fields["retry-after"]) >= 1
        assert shop.count() == asked, "an open breaker does not ask the service"
        state = service_state(gate)["breaker"]
        assert state["state"] == "open" and state["opened"] == 1 and state["refused"] >= 1
        shop.status = "200 OK"
        wait_until(lambda: gate.request("GET", "/")[0] == 200, "it lets probes through")
        assert gate.request("GET", "/")[0] == 200
        assert service_state(gate)["breaker"]["state"] == "closed"
        metrics = admin(gate, "/metrics")[1]
        assert 'sallyport_breaker_opened_total{service="shop"} 1\n' in metrics, metrics
    finally:
        gate.stop()
        shop.close()


def a_breaker_counts_what_it_is_told_to():
    shop = Switch()
    config = BREAKER.replace("window: 4", 'window: 4, record: ["503"], ignore: ["504"]')
    gate = gateway(service_config([shop], config), ROUTE)
    try:
        shop.status = "504 Gateway Timeout"
        for _ in range(8):
            assert gate.request("GET", "/")[0] == 504
        assert service_state(gate)["breaker"]["calls"] == 0
        shop.status = "502 Bad Gateway"
        for _ in range(8):
            assert gate.request("GET", "/")[0] == 502
        assert service_state(gate)["breaker"]["failed"] == 0
        shop.status = "503 Service Unavailable"
        for _ in range(2):
            assert gate.request("GET", "/")[0] == 503
        assert service_state(gate)["breaker"]["state"] == "open"
    finally:
        gate.stop()
        shop.close()


def slow_answers_open_a_breaker():
    shop = Switch()
    config = BREAKER.replace("open: 300ms", "open: 1m, slow: 20ms")
    gate = gateway(service_config([shop], config), ROUTE)
    try:
        for _ in range(4):
            shop.wait.clear()
            threading.Timer(0.06, shop.wait.set).start()
            assert gate.request("GET", "/")[0] == 200
        assert gate.request("GET", "/")[0] == 503
        assert service_state(gate)["breaker"]["state"] == "open"
    finally:
        gate.stop()
        shop.close()


def an_endpoints_breaker_leads_calls_to_the_others():
    bad, good = Switch(b"bad"), Switch(b"good")
    config = BREAKER.replace("open: 300ms", "open: 1m, scope: endpoint")
    gate = gateway(service_config([bad, good], config), ROUTE)
    try:
        bad.status = "500 Internal Server Error"
        for _ in range(8):
            gate.request("GET", "/")
        asked = bad.count()
        for _ in range(10):
            status, _, body = gate.request("GET", "/")
            assert status == 200 and body == b"good", (status, body)
        assert bad.count() == asked
        states = [e["breaker"]["state"] for e in service_state(gate)["endpoints"]]
        assert states == ["open", "closed"], states
        good.status = "500 Internal Server Error"
        for _ in range(20):
            gate.request("GET", "/")
        status, fields, body = gate.request("GET", "/")
        assert status == 503 and problem(body) == "breaker-open", (status, body)
        assert int(fields["retry-after"]) >= 1, "also when each endpoint is refused"
    finally:
        gate.stop()
        bad.close()
        good.close()


def a_reload_keeps_breakers_open():
    shop = Switch()
    config = HEAD + "services:\n" + service_config(
        [shop], BREAKER.replace("open: 300ms", "open: 1m")
    )
    gate = Gateway(config + "routes:\n" + ROUTE)
    try:
        shop.status = "500 Internal Server Error"
        for _ in range(4):
            gate.request("GET", "/")
        assert gate.request("GET", "/")[0] == 503
        gate.write(config + 'routes:\n  - {path: "/new/**", service: shop, auth: none}\n')
        gate.process.send_signal(signal.SIGHUP)
        wait_until(lambda: gate.request("GET", "/")[0] == 404, "the reload is done")
        status, _, body = gate.request("GET", "/new/x")
        assert status == 503 and problem(body) == "breaker-open", (status, body)
        gate.write((config + "routes:\n" + ROUTE).replace("open: 1m", "open: 2m"))
        gate.process.send_signal(signal.SIGHUP)
        wait_until(lambda: gate.request("GET", "/")[0] != 404, "the reload is done")
        assert gate.request("GET", "/")[0] == 500, "other settings start anew"
    finally:
        gate.stop()
        shop.close()


def operators_force_breakers():
    shop = Switch()
    gate = gateway(service_config([shop], BREAKER), ROUTE)
    path = "/services/shop/breaker"
    try:
        assert admin(gate, path, {"state": "forced_open"})[0] == 200
        assert gate.request("GET", "/")[0] == 503
        assert admin(gate, path, {"state": "disabled"})[0] == 200
        shop.status = "500 Internal Server Error"
        for _ in range(8):
            assert gate.request("GET", "/")[0] == 500
        assert admin(gate, path, {"state": "closed"})[0] == 200
        assert service_state(gate)["breaker"]["state"] == "closed"
        assert admin(gate, path, {"state": "ajar"})[0] == 422
        assert admin(gate, path, {"state": "open", "endpoint": "http://x"})[0] == 404
        assert admin(gate, "/services/none/breaker", {"state": "open"})[0] == 404
        assert admin(gate, path, {"state": "open"}, {"Origin": "http://evil.test"})[0] == 415
        assert admin(gate, path, {"state": "open"}, {"Content-Type": "text/plain"})[0] == 415
        assert service_state(gate)["breaker"]["state"] == "closed"
    finally:
        gate.stop()
        shop.close()


def without_leave_the_admin_listener_changes_nothing():
    shop = Switch()
    gate = gateway(
        service_config([shop], BREAKER), ROUTE, HEAD.replace(", actions: on", "")
    )
    try:
        assert admin(gate, "/services/shop/breaker", {"state": "open"})[0] == 403
        assert gate.request("GET", "/")[0] == 200
    finally:
        gate.stop()
        shop.close()


# --- bulkheads ---


def a_bulkhead_bounds_what_is_in_progress():
    shop = Switch()
    gate = gateway(
        service_config([shop], "bulkhead: {concurrent: 3, queue: 2, wait: 15s}"), ROUTE
    )
    try:
        shop.wait.clear()
        results, join = parallel(gate, 5)
        wait_until(lambda: service_state(gate)["bulkhead"]["waiting"] == 2, "two wait")
        status, fields, body = gate.request("GET", "/")
        assert status == 503 and problem(body) == "bulkhead-full", (status, body)
        assert fields["retry-after"] == "1"
        shop.wait.set()
        join()
        assert [r[0] for r in results] == [200] * 5, results
        assert shop.most <= 3, shop.most
        state = service_state(gate)["bulkhead"]
        assert state["in_use"] == 0 and state["waiting"] == 0 and state["refused"] == 1, state
        assert 'sallyport_bulkhead_limit{service="shop"} 3\n' in admin(gate, "/metrics")[1]
    finally:
        gate.stop()
        shop.close()


def waiting_for_a_place_ends():
    shop = Switch()
    gate = gateway(
        service_config([shop], "bulkhead: {concurrent: 1, queue: 9, wait: 50ms}"), ROUTE
    )
    try:
        shop.wait.clear()
        results, join = parallel(gate, 1)
        wait_until(lambda: shop.count() == 1, "one is in progress")
        status, _, body = gate.request("GET", "/")
        assert status == 503 and problem(body) == "bulkhead-full", (status, body)
        shop.wait.set()
        join()
        assert results[0][0] == 200
    finally:
        gate.stop()
        shop.close()


def a_client_that_leaves_gives_its_place_in_the_queue_back():
    shop = Switch()
    gate = gateway(
        service_config([shop], "bulkhead: {concurrent: 1, queue: 9, wait: 15s}"), ROUTE
    )
    try:
        shop.wait.clear()
        results, join = parallel(gate, 1)
        wait_until(lambda: shop.count() == 1, "one is in progress")
        connection = gate.connect()
        connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        wait_until(lambda: service_state(gate)["bulkhead"]["waiting"] == 1, "one waits")
        connection.close()
        wait_until(lambda: service_state(gate)["bulkhead"]["waiting"] == 0, "it has left")
        shop.wait.set()
        join()
        assert results[0][0] == 200 and shop.count() == 1
    finally:
        gate.stop()
        shop.close()


def core_operations_are_shed_last():
    shop = Switch()
    routes = (
        '  - {path: "/pay", service: shop, auth: none, priority: core}\n'
        '  - {path: "/ads", service: shop, auth: none, priority: low}\n'
    )
    gate = gateway(
        service_config([shop], "bulkhead: {concurrent: 1, queue: 1, wait: 15s}"), routes
    )
    try:
        shop.wait.clear()
        first, join_first = parallel(gate, 1, "/ads")
        wait_until(lambda: shop.count() == 1, "one is in progress")
        low, join_low = parallel(gate, 1, "/ads")
        wait_until(lambda: service_state(gate)["bulkhead"]["waiting"] == 1, "one waits")
        core, join_core = parallel(gate, 1, "/pay")
        join_low()
        assert low[0][0] == 503, "core has pushed it out"
        shop.wait.set()
        join_first()
        join_core()
        assert first[0][0] == 200 and core[0][0] == 200
    finally:
        gate.stop()
        shop.close()


def an_operation_has_a_bulkhead_of_its_own():
    shop = Switch()
    routes = (
        '  - {path: "/report", service: shop, auth: none, bulkhead: 1}\n'
        '  - {path: "/**", service: shop, auth: none}\n'
    )
    gate = gateway(service_config([shop], "pool: {size: 50}"), routes)
    try:
        shop.wait.clear()
        _, join = parallel(gate, 1, "/report")
        wait_until(lambda: shop.count() == 1, "one is in progress")
        assert gate.request("GET", "/report")[0] == 503
        others, join_others = parallel(gate, 3, "/other")
        wait_until(lambda: shop.count() == 4, "others are not held up")
        shop.wait.set()
        join()
        join_others()
        assert [r[0] for r in others] == [200] * 3
        operations = json.loads(admin(gate, "/services")[1])["operations"]
        assert operations[0]["operation"] == "/report", operations
    finally:
        gate.stop()
        shop.close()


def an_exhausted_pool_is_told_apart_from_a_dead_service():
    shop = Switch()
    config = "pool: {size: 1}\ntimeout: {connect: 100ms}\nretry: {attempts: 0}"
    gate = gateway(
        service_config([shop], config), ROUTE, HEAD.replace("workers: 2", "workers: 1")
    )
    try:
        shop.wait.clear()
        results, join = parallel(gate, 1)
        wait_until(lambda: shop.count() == 1, "one is in progress")
        status, _, body = gate.request("GET", "/")
        assert status == 503 and problem(body) == "pool-exhausted", (status, body)
        shop.wait.set()
        join()
        assert results[0][0] == 200
    finally:
        gate.stop()
        shop.close()


def an_operation_has_connections_of_its_own():
    shop = Switch()
    routes = ('  - {path: "/slow", service: shop, auth: none, pool: 1}\n'
              '  - {path: "/**", service: shop, auth: none}\n')
    config = "pool: 2\ntimeout: {connect: 200ms}\nretry: {attempts: 0}"
    gate = gateway(service_config([shop], config), routes, HEAD.replace("workers: 2", "workers: 1"))
    try:
        shop.wait.clear()
        _, wait = parallel(gate, 1, "/slow")
        wait_until(lambda: shop.now == 1, "one is under way")
        status, _, body = gate.request("GET", "/slow")
        assert status == 503 and problem(body) == "pool-exhausted", (status, body)
        # The others have theirs.
        _, wait_others = parallel(gate, 2, "/fast")
        wait_until(lambda: shop.now == 3, "they are asked")
        status, _, body = gate.request("GET", "/fast")
        assert status == 503 and problem(body) == "pool-exhausted", (status, body)
        shop.wait.set()
        wait()
        wait_others()
    finally:
        gate.stop()
        shop.close()


def each_step_of_a_connection_has_its_time():
    """A name that nobody knows in time, and a service that does not shake hands."""
    silent = socket.create_server(("127.0.0.1", 0), backlog=8)
    config = f"""  shop:
    endpoints: ["https://127.0.0.1:{silent.getsockname()[1]}"]
    timeout: {{connect: 15s, tls: 100ms}}
    tls: {{verify: false}}
    retry: {{attempts: 0}}
"""
    routes = '  - {path: "/patient", service: shop, auth: none, timeout: {tls: 400ms}}\n' + ROUTE
    gate = gateway(config, routes)
    try:
        for path in ("/", "/patient"):
            status, _, body = gate.request("GET", path)
            assert status == 504 and problem(body) == "upstream-timeout", (status, body)
    finally:
        gate.stop()
        silent.close()


def an_adaptive_bulkhead_finds_its_limit():
    shop = Switch()
    gate = gateway(
        service_config([shop], "bulkhead: {concurrent: 100, adaptive: on, least: 5}"), ROUTE
    )
    try:
        before = service_state(gate)["bulkhead"]["limit"]
        assert before == 50, before
        until = time.monotonic() + 0.5
        while time.monotonic() < until:
            assert gate.request("GET", "/")[0] == 200
        state = service_state(gate)["bulkhead"]
        assert 5 <= state["limit"] <= 100 and state["in_use"] == 0, state
    finally:
        gate.stop()
        shop.close()


# --- health ---


class Grpc(Switch):
    """A server of HTTP/2 that answers every request with one message, and reads no field."""

    def __init__(self, message):
        super().__init__()
        self.message = message
        self.service.close()
        self.service = Service(self.talk)
        self.service.handle = self.talk_raw
        self.port = self.service.port

    def talk(self, *_):
        raise AssertionError("not HTTP/1")

    def talk_raw(self, connection):
        connection.settimeout(DEADLINE_S)
        rest = b""
        connection.sendall(self.frame(4, 0, 0, b""))
        try:
            while len(rest) < 24:
                rest += connection.recv(65536)
            rest = rest[24:]
            while True:
                while len(rest) < 9 or len(rest) < 9 + int.from_bytes(rest[:3], "big"):
                    data = connection.recv(65536)
                    if not data:
                        return
                    rest += data
                length, kind, flags = int.from_bytes(rest[:3], "big"), rest[3], rest[4]
                stream = int.from_bytes(rest[5:9], "big")
                rest = rest[9 + length :]
                if kind == 4 and not flags & 1:
                    connection.sendall(self.frame(4, 1, 0, b""))
                if kind == 0 and flags & 1:
                    self.service.heads.append(b"call")
                    connection.sendall(self.response(stream))
        except OSError:
            return
        finally:
            connection.close()

    @staticmethod
    def frame(kind, flags, stream, payload):
        head = len(payload).to_bytes(3, "big") + bytes([kind, flags])
        return head + stream.to_bytes(4, "big") + payload

    @staticmethod
    def field(name, value):
        return bytes([0, len(name)]) + name + bytes([len(value)]) + value

    def response(self, stream):
        message = b"\0" + len(self.message).to_bytes(4, "big") + self.message
        return (
            self.frame(1, 4, stream, b"\x88" + self.field(b"content-type", b"application/grpc"))
            + self.frame(0, 0, stream, message)
            + self.frame(1, 5, stream, self.field(b"grpc-status", b"0"))
        )


def up(gate, index):
    return service_state(gate)["endpoints"][index]["health"]["up"]


HEALTH = "health: {path: /healthz, interval: 100ms, timeout: 1s, unhealthy: 2, healthy: 2%s}"


def a_dead_endpoint_is_taken_out_and_comes_back():
    first, second = Switch(b"first"), Switch(b"second")
    gate = gateway(service_config([first, second], HEALTH % ""), ROUTE)
    try:
        wait_until(lambda: first.count() > 1 and second.count() > 1, "both are checked")
        assert b"GET /healthz HTTP/1.1" in first.service.heads[0]
        first.status = "503 Service Unavailable"
        wait_until(lambda: not up(gate, 0), "it is down")
        first.status = "200 OK"
        wait_until(lambda: up(gate, 0), "it is up")
        first.status = None
        wait_until(lambda: not up(gate, 0), "it is down")
        answers = [gate.request("GET", "/") for _ in range(10)]
        assert all(a[0] == 200 and a[2] == b"second" for a in answers), answers
        first.status = "200 OK"
        wait_until(lambda: up(gate, 0), "it is up")
        answers = {gate.request("GET", "/")[2] for _ in range(10)}
        assert answers == {b"first", b"second"}, answers
        url = f"http://127.0.0.1:{first.port}"
        metrics = admin(gate, "/metrics")[1]
        assert f'sallyport_endpoint_well{{service="shop",endpoint="{url}"}} 1\n' in metrics
    finally:
        gate.stop()
        first.close()
        second.close()


def a_good_answer_must_contain_what_is_asked_for():
    shop = Switch(b"status: degraded")
    gate = gateway(service_config([shop], HEALTH % ", body: 'status: fine'"), ROUTE)
    try:
        wait_until(lambda: not up(gate, 0), "it is down")
        assert gate.request("GET", "/")[0] == 200, "the only endpoint: panic"
        shop.name = b"all is well, status: fine"
        wait_until(lambda: up(gate, 0), "it is up")
    finally:
        gate.stop()
        shop.close()


def a_connection_can_be_the_whole_check():
    shop = Switch()
    gate = gateway(
        service_config([shop], "health: {type: tcp, interval: 100ms, unhealthy: 1, healthy: 1}"),
        ROUTE,
    )
    try:
        state = service_state(gate)["endpoints"][0]["health"]
        assert state["up"]
        shop.close()
        wait_until(lambda: not up(gate, 0), "it is down")
    finally:
        gate.stop()


def grpc_servers_say_whether_they_serve():
    shop = Grpc(b"\x08\x01")
    config = 'health: {type: grpc, service: shop, interval: 100ms, unhealthy: 1, healthy: 1}'
    services = service_config([shop], config).replace("http://", "h2c://")
    gate = gateway(services, ROUTE)
    try:
        wait_until(lambda: shop.count() >= 2, "it is checked")
        assert up(gate, 0)
        shop.message = b"\x08\x02"
        wait_until(lambda: not up(gate, 0), "it does not serve")
        shop.message = b"\x08\x01"
        wait_until(lambda: up(gate, 0), "it serves")
    finally:
        gate.stop()
        shop.close()


def without_panic_sick_endpoints_are_not_used():
    first, second = Switch(), Switch()
    config = (HEALTH % "") + "\nbalance: {panic: 0%}"
    gate = gateway(service_config([first, second], config), ROUTE)
    try:
        first.status = second.status = "500 Internal Server Error"
        wait_until(lambda: not up(gate, 0) and not up(gate, 1), "both are down")
        status, _, body = gate.request("GET", "/")
        assert status == 503 and problem(body) == "no-endpoint", (status, body)
    finally:
        gate.stop()
        first.close()
        second.close()


def an_endpoint_that_fails_real_requests_is_ejected():
    bad, good = Switch(b"bad"), Switch(b"good")
    config = "outlier: {consecutive_5xx: 3, ejection: 400ms}\nretry: {attempts: 0}"
    gate = gateway(service_config([bad, good], config), ROUTE)
    try:
        bad.status = "500 Internal Server Error"
        for _ in range(12):
            gate.request("GET", "/")
        state = service_state(gate)["endpoints"]
        assert state[0]["health"]["ejections"] == 1, state
        assert state[1]["health"]["ejections"] == 0, state
        assert bad.count() == 3, bad.count()
        bad.status = "200 OK"
        wait_until(lambda: gate.request("GET", "/")[2] == b"bad", "it is back")
    finally:
        gate.stop()
        bad.close()
        good.close()


def an_endpoint_that_fails_more_than_the_others_is_ejected():
    services = [Switch(name) for name in (b"bad", b"one", b"two")]
    config = """
outlier: {consecutive_5xx: 0, interval: 300ms, deviation: 100, deviation_endpoints: 3,
  deviation_calls: 5, ejection: 30s, max_ejected: 40%}
retry: {attempts: 0}"""
    gate = gateway(service_config(services, config), ROUTE)
    try:
        services[0].status = "500 Internal Server Error"

        def ejected():
            for _ in range(30):
                gate.request("GET", "/")
            return service_state(gate)["endpoints"][0]["health"]["ejections"] == 1

        wait_until(ejected, "it is ejected")
        assert {gate.request("GET", "/")[0] for _ in range(20)} == {200}
        assert "fails more than others" in gate.log_text(), gate.log_text()
    finally:
        gate.stop()
        for service in services:
            service.close()


def an_endpoint_that_comes_back_gets_its_share_by_degrees():
    late, steady = Switch(b"late"), Switch(b"steady")
    config = (
        "outlier: {consecutive_5xx: 1, ejection: 200ms}\nretry: {attempts: 0}\n"
        "balance: {slow_start: 1h}"
    )
    gate = gateway(
        service_config([late, steady], config), ROUTE, HEAD.replace("workers: 2", "workers: 1")
    )
    try:
        late.status = "500 Internal Server Error"
        wait_until(lambda: gate.request("GET", "/")[0] == 500, "it fails once")
        late.status = "200 OK"
        wait_until(lambda: gate.request("GET", "/")[2] == b"late", "it is back")
        answers = [gate.request("GET", "/")[2] for _ in range(44)]
        assert 1 <= answers.count(b"late") <= 8, answers.count(b"late")
    finally:
        gate.stop()
        late.close()
        steady.close()


# --- fallbacks ---

FAILS = "retry: {attempts: 0}\ntimeout: {connect: 300ms, request: 300ms}\n"


def fallback_of(answered):
    return answered[1].get("sallyport-fallback")


def a_fixed_answer_or_a_file_stands_in():
    shop = Switch()
    for fallback, body in (
        ('fallback: {status: 203, body: "[]", headers: {x-note: sorry}}', b"[]"),
        ("fallback: {status: 203, file: empty.json, headers: {x-note: sorry}}", b'{"a":1}'),
    ):
        gate = gateway(
            service_config([shop], FAILS + BREAKER + "\n" + fallback).replace(
                "    retry: {attempts: 0}\n", "", 1
            ),
            ROUTE,
            files={"empty.json": b'{"a":1}'},
        )
        try:
            shop.status = None  # closes without an answer
            answers = [gate.request("GET", "/") for _ in range(6)]
            for status, fields, got in answers:
                assert status == 203 and got == body, (status, got)
                assert fields["content-type"] == "application/json"
                assert fields["x-note"] == "sorry"
                assert fields["sallyport-fallback"] == "fixed"
            assert service_state(gate)["breaker"]["state"] == "open", "the last ones by it"
            assert gate.request("POST", "/", b"x" * 100)[0] == 203
            metrics = admin(gate, "/metrics")[1]
            assert 'sallyport_fallbacks_total{kind="fixed"} 7\n' in metrics, metrics
            shop.status = "200 OK"
            wait_until(lambda: gate.request("GET", "/")[0] == 200, "it recovers")
            assert fallback_of(gate.request("GET", "/")) is None
        finally:
            gate.stop()
    shop.close()


def a_routes_fixed_answer_may_be_a_file():
    gate = gateway(
        "  unused:\n    endpoints: [http://127.0.0.1:1]\n",
        '  - {path: "/", auth: none, respond: {status: 200, file: page.html}}\n',
        files={"page.html": b"<p>hi</p>"},
    )
    try:
        status, fields, body = gate.request("GET", "/")
        assert status == 200 and body == b"<p>hi</p>", (status, body)
        assert fields["content-type"].startswith("text/html")
    finally:
        gate.stop()


def another_service_stands_in():
    shop, spare = Switch(b"shop"), Switch(b"spare")
    services = service_config(
        [shop], FAILS + "fallback: {service: spare, body: both failed, status: 200}"
    ) + service_config([spare], "retry: {attempts: 0}", "spare")
    gate = gateway(services, ROUTE)
    try:
        shop.status = "503 Service Unavailable"
        answered = gate.request("PUT", "/x", b"body" * 10)
        assert answered[0] == 200 and answered[2] == b"spare", answered
        assert fallback_of(answered) == "service"
        spare.status = None
        answered = gate.request("GET", "/x")
        assert answered[2] == b"both failed" and fallback_of(answered) == "fixed", answered
        shop.status = "200 OK"
        answered = gate.request("GET", "/x")
        assert answered[2] == b"shop" and fallback_of(answered) is None, answered
    finally:
        gate.stop()
        shop.close()
        spare.close()


class Pages(Switch):
    """Answers with fields that a test sets."""

    def __init__(self):
        super().__init__()
        self.fields = b""

    def script(self, connection, head, _number, rest):
        if self.status is None:
            return None
        answer(connection, self.name, self.status, self.fields)
        return rest


def the_last_good_answer_stands_in():
    shop = Pages()
    gate = gateway(service_config([shop], FAILS + "fallback: {stale: 1m}"), ROUTE)

    def kept(fields, headers=None, ask=None):
        """Whether an answer with these fields to such a request serves another request."""
        kept.number += 1
        path = f"/page/{kept.number}"
        shop.status, shop.fields = "200 OK", fields
        assert gate.request("GET", path, headers=headers or {})[2] == shop.name
        shop.status = None
        answered = gate.request("GET", path, headers=ask or {})
        if answered[0] == 502:
            return False
        assert answered[0] == 200 and answered[2] == shop.name, answered
        assert fallback_of(answered) == "stale" and answered[1]["age"] == "0"
        return True

    kept.number = 0
    try:
        assert kept(b"ETag: x\r\n")
        assert kept(b"Cache-Control: max-age=1\r\n")
        for directive in (b"no-store", b"private", b"no-cache", b"must-revalidate"):
            assert not kept(b"Cache-Control: max-age=1, " + directive + b"\r\n"), directive
        assert not kept(b"Cache-Control: s-maxage=10\r\n")
        assert not kept(b"Cache-Control: stale-if-error=0\r\n")
        assert not kept(b"Set-Cookie: a=b\r\n")
        assert not kept(b"", {"Authorization": "Bearer x"})
        assert not kept(b"", {"Cookie": "a=b"})
        assert not kept(b"", {"Cache-Control": "no-store"})
        assert kept(b"Cache-Control: public\r\n", {"Authorization": "Bearer x"})
        assert not kept(b"Vary: *\r\n")
        vary = b"Vary: Accept-Language\r\n"
        assert kept(vary, {"Accept-Language": "de"}, {"Accept-Language": "de"})
        assert not kept(vary, {"Accept-Language": "de"}, {"Accept-Language": "en"})
        assert not kept(vary, {"Accept-Language": "de"})
        shop.status, shop.fields = "200 OK", b""
        gate.request("GET", "/once")
        shop.status = "503 Service Unavailable"
        answered = gate.request("GET", "/once")
        assert answered[0] == 200 and fallback_of(answered) == "stale", answered
        assert gate.request("POST", "/once")[0] == 503, "only for GET and HEAD"
        status, fields, body = gate.request("HEAD", "/once")
        fields = {name.lower(): value for name, value in fields.items()}
        assert status == 200 and body == b"" and fields["content-length"] == "5", fields
        shop.name = b"x" * 500000
        shop.status = "200 OK"
        gate.request("GET", "/large")
        shop.status = "503 Service Unavailable"
        assert gate.request("GET", "/large")[0] == 503, "too large to be kept"
    finally:
        gate.stop()
        shop.close()


# --- deadlines, slow clients ---


def what_is_left_of_the_time_is_passed_on_and_shrinks():
    shop = Switch()
    config = "deadline_field: x-time-left\nretry: {attempts: 1, on: ['503'], backoff: 60ms}\n"
    gate = gateway(
        service_config([shop], config),
        '  - {path: "/**", service: shop, auth: none, timeout: {total: 10s}}\n',
    )

    def left(name):
        return [int(field(head, name)[0].rstrip("m")) for head in shop.service.heads]

    try:
        assert gate.request("GET", "/")[0] == 200
        assert 9000 < left("x-time-left")[0] <= 10000, left("x-time-left")
        assert not field(shop.service.heads[0], "grpc-timeout")
        gate.request("GET", "/", headers={"X-Time-Left": "5000"})
        assert 4000 < left("x-time-left")[1] <= 5000, "what the client says, if it is less"
        gate.request("GET", "/", headers={"X-Time-Left": "99999"})
        assert 9000 < left("x-time-left")[2] <= 10000, "and not if it is more"
        gate.request("GET", "/", headers={"X-Time-Left": "-1"})
        assert 9000 < left("x-time-left")[3] <= 10000, "or no number"
        shop.service.heads.clear()
        grpc = {"Content-Type": "application/grpc", "grpc-timeout": "4S"}
        shop.status = "503 Service Unavailable"
        gate.request("GET", "/", headers=grpc)
        first, second = left("grpc-timeout")
        assert 3000 < second < first <= 4000, (first, second)
        assert len(field(shop.service.heads[0], "grpc-timeout")) == 1
        shop.wait.clear()
        status = gate.request("GET", "/", headers={"X-Time-Left": "100"})[0]
        assert status == 504, status
    finally:
        gate.stop()
        shop.close()


def a_client_in_a_hurry_opens_no_breaker():
    shop = Switch()
    config = BREAKER + "\ndeadline_field: x-time-left\n"
    gate = gateway(service_config([shop], config), ROUTE)
    try:
        shop.wait.clear()
        for _ in range(6):
            assert gate.request("GET", "/", headers={"X-Time-Left": "20"})[0] == 504
        state = service_state(gate)["breaker"]
        assert state["state"] == "closed" and state["calls"] == 0, state
    finally:
        gate.stop()
        shop.close()


class Large(Switch):
    """Answers with more than any buffer on the way holds, and notes when its connection ends."""

    def __init__(self):
        super().__init__()
        self.ended = threading.Event()

    def script(self, connection, head, _number, _rest):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 200000000\r\n\r\n")
        try:
            for _ in range(2000):
                connection.sendall(b"x" * 100000)
        except OSError:
            self.ended.set()
        return None


def a_client_that_does_not_read_gives_the_services_connection_back():
    shop = Large()
    head = HEAD + "limits: {body_grace: 200ms, response_rate: 64KiB}\n"
    gate = gateway(service_config([shop], ""), ROUTE, head)
    try:
        connection = gate.connect()
        connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert shop.ended.wait(DEADLINE_S), "long before timeout.idle, which is a minute"
        connection.close()
    finally:
        gate.stop()
        shop.close()


def a_client_that_reads_slowly_but_steadily_gets_all():
    shop = Pages()
    shop.name = b"y" * 3000000
    head = HEAD + "limits: {body_grace: 2s, response_rate: 512}\n"
    gate = gateway(service_config([shop], ""), ROUTE, head)
    try:
        connection = gate.connect()
        connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        received = 0
        while True:
            data = connection.recv(100000)
            if not data:
                break
            received += len(data)
            time.sleep(0.02)
        assert received > 3000000, received
        connection.close()
    finally:
        gate.stop()
        shop.close()


# --- overload ---

SHED_ROUTES = (
    '  - {path: "/core", service: shop, auth: none, priority: core}\n'
    '  - {path: "/normal", service: shop, auth: none}\n'
    '  - {path: "/low", service: shop, auth: none, priority: low}\n'
)


def overload_actions(gate):
    return json.loads(admin(gate, "/services")[1])["overload"]["actions"]


def under_pressure_work_is_shed_by_priority():
    shop = Switch()
    # A mebibyte is always exceeded: every action that is not switched off is in force.
    head = HEAD + (
        "overload: {memory: 1MiB, shed_normal: 0%, refuse: 0%, short_timeouts: 0%}\n"
    )
    gate = gateway(service_config([shop], ""), SHED_ROUTES, head)
    try:
        wait_until(lambda: "shed_low" in overload_actions(gate), "it is noticed")
        status, fields, body = gate.request("GET", "/low")
        assert status == 503 and problem(body) == "overloaded", (status, body)
        assert int(fields["retry-after"]) >= 1
        status, fields, _ = gate.request("GET", "/normal")
        assert status == 200
        fields = {name.lower(): value for name, value in fields.items()}
        assert fields.get("connection") == "close", fields
        metrics = admin(gate, "/metrics")[1]
        assert 'sallyport_overload_action{action="shed_low"} 1\n' in metrics, metrics
        assert 'sallyport_overload_action{action="shed_normal"} 0\n' in metrics, metrics
        config = head.replace("shed_normal: 0%", "shed_normal: 90%")
        config += "services:\n" + service_config([shop], "") + "routes:\n" + SHED_ROUTES
        gate.write(config)
        gate.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "shed_normal" in overload_actions(gate), "more is shed")
        assert gate.request("GET", "/normal")[0] == 503
        assert gate.request("GET", "/core")[0] == 200, "core is never shed"
        gate.write(config.replace("memory: 1MiB", "memory: 64GiB"))
        gate.process.send_signal(signal.SIGHUP)
        wait_until(lambda: not overload_actions(gate), "it ends")
        assert gate.request("GET", "/low")[0] == 200
    finally:
        gate.stop()
        shop.close()


def long_queues_are_pressure_too():
    shop = Switch()
    head = HEAD + "overload: {queued: 4, refuse: 0%, shed_normal: 0%, fair_share: 0%}\n"
    config = "bulkhead: {concurrent: 1, queue: 20, wait: 20s}"
    gate = gateway(service_config([shop], config), SHED_ROUTES, head)
    try:
        shop.wait.clear()
        results, wait = parallel(gate, 5, "/core")
        wait_until(lambda: "shed_low" in overload_actions(gate), "it is noticed")
        assert gate.request("GET", "/low")[0] == 503
        shop.wait.set()
        wait()
        assert [answered[0] for answered in results] == [200] * 5
        wait_until(lambda: not overload_actions(gate), "it ends")
        assert gate.request("GET", "/low")[0] == 200
    finally:
        gate.stop()
        shop.close()


def under_the_highest_pressure_no_connection_is_accepted():
    shop = Switch()
    gate = gateway(
        service_config([shop], ""), ROUTE, HEAD + "overload: {memory: 1MiB, shed_normal: 0%}\n"
    )
    try:
        wait_until(lambda: "refuse" in overload_actions(gate), "it is noticed")
        assert gate.raw(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n") == b""
        assert shop.count() == 0
    finally:
        gate.stop()
        shop.close()


# --- one sick service among others ---


def a_black_hole_does_not_pull_the_others_down():
    """Its connections are accepted by the kernel and never answered."""
    hole = socket.create_server(("127.0.0.1", 0), backlog=256)
    good = [Switch(b"a"), Switch(b"b")]

    class Hole:
        port = hole.getsockname()[1]

    guards = (
        "bulkhead: {concurrent: 4, queue: 4, wait: 50ms}\n"
        "timeout: {connect: 200ms, request: 200ms}\nretry: {attempts: 0}\n"
        "breaker: {window: 10, open: 1s}"
    )
    services = service_config([Hole], guards, "hole")
    services += service_config([good[0]], guards.replace("200ms", "10s"), "a")
    services += service_config([good[1]], guards.replace("200ms", "10s"), "b")
    routes = "".join(
        f'  - {{path: "/{name}/**", service: {name}, auth: none}}\n' for name in ("hole", "a", "b")
    )
    gate = gateway(services, routes)
    try:
        sick, join_sick = parallel(gate, 60, "/hole/x")
        answers = [gate.request("GET", f"/{name}/x")[0] for name in "ab" * 50]
        join_sick()
        assert answers == [200] * 100, answers
        assert len(sick) == 60 and all(r[0] in (503, 504) for r in sick), sick

        def opened():
            parallel(gate, 4, "/hole/x")[1]()
            return service_state(gate, "hole")["breaker"]["opened"] >= 1

        wait_until(opened, "its breaker opens")
        assert service_state(gate, "hole")["bulkhead"]["in_use"] == 0
        assert service_state(gate, "a")["breaker"]["failed"] == 0
    finally:
        gate.stop()
        hole.close()
        for switch in good:
            switch.close()


def garbage_half_closes_and_flapping_are_failures_like_others():
    shop = Switch()
    kinds = iter(
        [
            b"\x00\xff\xfe garbage\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\nContent-Length: 11\r\n\r\n",
            b"HTTP/1.1 200",
            b"",
        ]
    )

    def script(connection, _head, _number, rest):
        kind = next(kinds, None)
        if kind is None:
            answer(connection)
            return rest
        connection.sendall(kind)
        connection.shutdown(socket.SHUT_WR)
        return None

    shop.service.script = script
    gate = gateway(service_config([shop], BREAKER), ROUTE)
    try:
        for _ in range(4):
            assert gate.request("GET", "/")[0] == 502
        assert gate.request("GET", "/")[0] == 503
        wait_until(lambda: gate.request("GET", "/")[0] == 200, "it recovers")
        assert service_state(gate)["breaker"]["opened"] == 1
    finally:
        gate.stop()
        shop.close()


def hedges(gate, result):
    _, text = admin(gate, "/metrics")
    line = next(line for line in text.splitlines()
                if line.startswith('sallyport_upstream_hedges_total{result="%s"}' % result))
    return int(line.split()[1])


HEDGE = "retry: {attempts: 0, hedge: 50ms, budget_min: 1000}\nbalance: round_robin"


def the_first_of_two_answers_counts():
    slow, quick = Switch(b"slow"), Switch(b"quick")
    gate = gateway(service_config([slow, quick], HEDGE), ROUTE)
    try:
        slow.wait.clear()
        answers = [gate.request("GET", "/")[2] for _ in range(6)]
        assert answers == [b"quick"] * 6, answers
        wait_until(lambda: hedges(gate, "won") == slow.count() >= 2, "hedges have won")
        # What was broken off is not waited for, and its endpoint is no worse for it.
        slow.wait.set()
        assert {gate.request("GET", "/")[2] for _ in range(6)} == {b"slow", b"quick"}
    finally:
        gate.stop()
        slow.close()
        quick.close()


def only_what_may_be_repeated_is_hedged():
    slow, quick = Switch(b"slow"), Switch(b"quick")
    gate = gateway(service_config([slow, quick], HEDGE), ROUTE)
    try:
        slow.wait.clear()
        results, join = [], []
        for _ in range(6):
            thread = threading.Thread(
                target=lambda: results.append(gate.request("POST", "/", b"x")[2]))
            thread.start()
            join.append(thread)
        wait_until(lambda: slow.count() and slow.count() + quick.count() == 6, "all are asked")
        time.sleep(0.3)
        assert slow.count() + quick.count() == 6
        slow.wait.set()
        for thread in join:
            thread.join()
        assert results.count(b"slow") == slow.count() and len(results) == 6, results
    finally:
        gate.stop()
        slow.close()
        quick.close()


def when_both_attempts_fail_the_client_hears_of_it():
    one, other = Switch(b"one"), Switch(b"other")
    gate = gateway(service_config([one, other], HEDGE), ROUTE)
    try:
        one.status = other.status = None
        one.wait.clear()
        other.wait.clear()
        results = []
        thread = threading.Thread(target=lambda: results.append(gate.request("GET", "/")))
        thread.start()
        wait_until(lambda: one.count() == other.count() == 1, "both are asked")
        one.wait.set()
        other.wait.set()
        thread.join()
        assert results[0][0] == 502, results
    finally:
        gate.stop()
        one.close()
        other.close()


def a_client_that_leaves_ends_both_attempts():
    one, other = Switch(b"one"), Switch(b"other")
    gate = gateway(service_config([one, other], HEDGE), ROUTE)
    try:
        one.wait.clear()
        other.wait.clear()
        with gate.connect() as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            wait_until(lambda: one.count() == other.count() == 1, "both are asked")
        one.wait.set()
        other.wait.set()
        assert gate.request("GET", "/")[0] == 200
    finally:
        assert gate.stop() == 0
        one.close()
        other.close()


def a_degraded_operation_knows_less_of_who_asks():
    shop, spare = Switch(b"shop"), Switch(b"spare")
    key = "k" * 40
    identity = (
        "identity: {api_keys: {keys: [{sha256: %s, client: ann, roles: [clerk, boss], "
        "scopes: [read, write]}]}}\n" % hashlib.sha256(key.encode()).hexdigest()
    )
    services = service_config(
        [shop],
        FAILS + "fallback: {degraded: {service: spare, path: /less, scopes: [read, admin], "
        "roles: [clerk]}}",
    ) + service_config([spare], "identity: {as: headers}", "spare")
    gate = gateway(services, '  - {path: "/**", service: shop}\n', HEAD + identity)
    try:
        shop.status = "503 Service Unavailable"
        answered = gate.request("GET", "/all?of=it", None, {"X-Api-Key": key})
        assert answered[0] == 200 and answered[2] == b"spare", answered
        assert fallback_of(answered) == "degraded"
        head = spare.service.heads[0]
        assert head.startswith(b"GET /less HTTP/1.1"), head
        text = head.decode().lower()
        assert "clerk" in text and "read" in text and "ann" in text, text
        assert "boss" not in text and "write" not in text and "admin" not in text, text
        assert key not in text
        _, metrics = admin(gate, "/metrics")
        assert 'sallyport_fallbacks_total{kind="degraded"} 1' in metrics
        shop.status = "200 OK"
        assert gate.request("GET", "/all", None, {"X-Api-Key": key})[2] == b"shop"
    finally:
        gate.stop()
        shop.close()
        spare.close()


if __name__ == "__main__":
    run(
        [
            a_breaker_opens_refuses_and_closes_again,
            a_breaker_counts_what_it_is_told_to,
            slow_answers_open_a_breaker,
            an_endpoints_breaker_leads_calls_to_the_others,
            a_reload_keeps_breakers_open,
            operators_force_breakers,
            without_leave_the_admin_listener_changes_nothing,
            a_bulkhead_bounds_what_is_in_progress,
            waiting_for_a_place_ends,
            a_client_that_leaves_gives_its_place_in_the_queue_back,
            core_operations_are_shed_last,
            an_operation_has_a_bulkhead_of_its_own,
            an_exhausted_pool_is_told_apart_from_a_dead_service,
            an_operation_has_connections_of_its_own,
            each_step_of_a_connection_has_its_time,
            an_adaptive_bulkhead_finds_its_limit,
            a_dead_endpoint_is_taken_out_and_comes_back,
            a_good_answer_must_contain_what_is_asked_for,
            a_connection_can_be_the_whole_check,
            grpc_servers_say_whether_they_serve,
            without_panic_sick_endpoints_are_not_used,
            an_endpoint_that_fails_real_requests_is_ejected,
            an_endpoint_that_fails_more_than_the_others_is_ejected,
            an_endpoint_that_comes_back_gets_its_share_by_degrees,
            a_fixed_answer_or_a_file_stands_in,
            a_routes_fixed_answer_may_be_a_file,
            another_service_stands_in,
            the_last_good_answer_stands_in,
            what_is_left_of_the_time_is_passed_on_and_shrinks,
            a_client_in_a_hurry_opens_no_breaker,
            a_client_that_does_not_read_gives_the_services_connection_back,
            a_client_that_reads_slowly_but_steadily_gets_all,
            under_pressure_work_is_shed_by_priority,
            long_queues_are_pressure_too,
            under_the_highest_pressure_no_connection_is_accepted,
            a_black_hole_does_not_pull_the_others_down,
            garbage_half_closes_and_flapping_are_failures_like_others,
            the_first_of_two_answers_counts,
            only_what_may_be_repeated_is_hedged,
            when_both_attempts_fail_the_client_hears_of_it,
            a_client_that_leaves_ends_both_attempts,
            a_degraded_operation_knows_less_of_who_asks,
        ]
    )
