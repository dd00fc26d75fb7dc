#!/usr/bin/python3
"""What the gateway tells: its access log, and the admin listener's health and configuration."""

import http.client
import json
import os
import re
import time

from harness import DEADLINE_S, Gateway, Service, answer, free_port, run

SECRET = "a-secret-that-nobody-sees"
CONFIG = """
listen: [{address: "127.0.0.1:{port}"}]
workers: 1
admin: {address: "127.0.0.1:{admin}"}
log: {access: access.log}
identity:
  providers:
    - {name: idp, issuer: "https://idp.example", audience: api, jwks: %s}
    - name: asked
      issuer: "https://other.example"
      audience: api
      introspection: {url: "https://other.example/ask", client_id: gate, client_secret: "%s"}
services:
  up: {endpoints: ["http://127.0.0.1:%d"], timeout: {request: 1s}}
routes:
  - {path: "/up/**", service: up, auth: none, operation: readUp}
  - {path: "/closed", service: up}
  - {path: "/limited", service: up, auth: none, limit: {per: address, rate: 1/m, burst: 1}}
"""

# All that has metrics of its own.
FULL = """
listen: [{address: "127.0.0.1:{port}"}]
workers: 1
admin: {address: "127.0.0.1:{admin}"}
log: {access: off, audit: audit.log}
store: "sqlite:store.db"
identity:
  issuer: "http://localhost:{port}"
  key_file: id.key
  password: {memory: 64k, passes: 1}
waf: {rules: []}
ips: {mode: block}
overload: {lag: 10s}
patches: {pages: {vulnerability: GHSA-f82v-jwr5-mffw}}
webhooks:
  ops: {url: "http://127.0.0.1:%d/", secret: a-secret-of-enough-bytes}
services:
  up:
    endpoints: ["http://127.0.0.1:%d", "http://127.0.0.1:9"]
    breaker: {}
    bulkhead: {concurrent: 9, queue: 9}
    health: {type: tcp}
    outlier: {}
    fallback: {status: 200}
procedures:
  sick: {service: up, when: [{breaker: open, for: 1m}], steps: [{notify: ops}]}
routes:
  - {path: "/up/**", service: up, auth: none, operation: 'read "Up"', bulkhead: 5}
  - {path: "/limited", service: up, auth: none, limit: {per: address, rate: 1/m, burst: 1}}
"""
UNITS = ("seconds", "bytes")


def script(connection, head, _number, rest):
    if b"/up/slow" in head:
        time.sleep(0.2)
    if b"/up/silent" in head:
        time.sleep(3)
    answer(connection)
    return rest


class Setup:
    def __init__(self, jwks="jwks.json"):
        self.service = Service(script)
        self.gateway = Gateway(CONFIG % (jwks, SECRET, self.service.port),
                               {"jwks.json": b'{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"1",'
                                b'"x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}'})

    def __enter__(self):
        until = time.monotonic() + DEADLINE_S
        while True:
            try:
                ask(self.gateway, "/healthz")
                return self.gateway
            except OSError:
                assert time.monotonic() < until, self.gateway.log_text()
                time.sleep(0.02)

    def __exit__(self, *_):
        code = self.gateway.stop()
        self.service.close()
        assert code == 0, f"the gateway ended with {code}"


def ask(gateway, path, host=None):
    connection = http.client.HTTPConnection("127.0.0.1", gateway.admin, timeout=DEADLINE_S)
    try:
        connection.request("GET", path, headers={"Host": host} if host else {})
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def logged(gateway, count):
    """The lines of the access log, when there are so many."""
    path = os.path.join(gateway.folder, "access.log")
    until = time.monotonic() + DEADLINE_S
    while True:
        with open(path, encoding="utf-8") as file:
            lines = file.read().splitlines()
        if len(lines) >= count:
            return [json.loads(line) for line in lines]
        assert time.monotonic() < until, lines
        time.sleep(0.02)


def test_a_line_tells_which_phase_answered_and_how_long_each_took():
    cases = (
        ("GET", "/up/a?secret=1", 200, "forward", None),
        ("GET", "/up/slow", 200, "forward", None),
        ("GET", "/other", 404, "route", "unknown_path"),
        ("GET", "/closed", 401, "authorize", None),
        ("GET", "/limited", 200, "forward", None),
        ("GET", "/limited", 429, "limit", "rate_limited"),
        ("GET", "/up/silent", 504, "forward", "response_timeout"),
    )
    with Setup() as gateway:
        ids = []
        for method, path, status, _, _ in cases:
            got, headers, _ = gateway.request(method, path)
            assert got == status, (path, got)
            ids.append(headers["x-request-id"])
        lines = logged(gateway, len(cases))
        phases = list(lines[0]["phases_us"])
        assert phases[:3] == ["admit", "route", "authenticate"] and phases[-1] == "forward"
        for line, request_id, (method, path, status, phase, reason) in zip(lines, ids, cases):
            assert line["request_id"] == request_id and line["method"] == method
            assert line["status"] == status and line["client"] == "127.0.0.1"
            assert line["path"] == path.split("?")[0], "a query may hold secrets"
            assert line["phase"] == phase and line.get("reason") == (reason or line.get("reason"))
            assert list(line["phases_us"]) == phases[:phases.index(phase) + 1], line
            assert abs(sum(line["phases_us"].values()) - line["duration_us"]) < 100000, line
        assert lines[0]["operation"] == "readUp" and lines[0]["sent"] == 5
        assert lines[0]["attempts"] == 1 and lines[2]["attempts"] == 0
        assert lines[0]["endpoint"].startswith("http://127.0.0.1:")
        assert lines[1]["phases_us"]["forward"] >= 150000
        assert lines[3]["reason"], lines[3]


def test_the_configuration_is_shown_without_secrets():
    with Setup() as gateway:
        status, text = ask(gateway, "/config")
        assert status == 200 and SECRET not in text
        shown = json.loads(text)
        assert [route["path"] for route in shown["routes"]] == ["/up/**", "/closed", "/limited"]
        assert "client_secret" in text


def test_it_is_ready_when_the_keys_are_there():
    with Setup() as gateway:
        assert ask(gateway, "/healthz")[0] == 200
        assert ask(gateway, "/readyz")[0] == 200
    with Setup(f'{{url: "http://127.0.0.1:{free_port()}/keys"}}') as gateway:
        assert ask(gateway, "/healthz")[0] == 200
        status, text = ask(gateway, "/readyz")
        assert status == 503 and "no-keys" in text
        # What needs no keys is served all the same.
        assert gateway.request("GET", "/up/")[0] == 200


def test_web_pages_cannot_reach_the_admin_listener_by_a_name_of_their_own():
    with Setup() as gateway:
        assert ask(gateway, "/config", "localhost")[0] == 200
        assert ask(gateway, "/config", f"127.0.0.1:{gateway.admin}")[0] == 200
        for host in ("evil.example", f"evil.example:{gateway.admin}", "localhost.evil.example"):
            status, text = ask(gateway, "/config", host)
            assert status not in (200, 204) and "routes" not in text, (host, status)


def check_family(name, kind, samples):
    """By Prometheus' own rules of style: what `promtool check metrics` complains of."""
    assert re.fullmatch(r"(sallyport|process)(_[a-z0-9]+)+", name), name
    assert name.endswith("_total") == (kind == "counter"), (name, kind)
    assert not re.search("gauge|counter|histogram|summary|_(sum|count|bucket|info)_", name), name
    words = name.removesuffix("_total").split("_")
    assert not {"ms", "us", "s", "milliseconds", "minutes", "kb", "kib", "percent"} & set(words)
    assert not set(UNITS) & set(words[:-1]), f"{name}: its unit does not come last"
    seen = set()
    for sample in samples:
        match = re.fullmatch(r'(\w+)(?:\{((?:[a-z]+="(?:[^"\\\n]|\\["\\n])*",?)+)\})? (\S+)', sample)
        assert match, sample
        float(match[3])
        suffix = match[1].removeprefix(name)
        assert suffix in (("_bucket", "_sum", "_count") if kind == "histogram" else ("",)), sample
        assert (match[1], match[2]) not in seen, f"{sample}: twice"
        seen.add((match[1], match[2]))


def test_metrics_are_what_prometheus_wants_them_to_be():
    service = Service(script)
    gateway = Gateway(FULL % (service.port, service.port))
    try:
        gateway.wait_serving(DEADLINE_S)
        for path in ("/up/", "/nowhere", "/limited", "/limited"):
            gateway.request("GET", path)
        text = ask(gateway, "/metrics")[1]
        families = re.split(r"^# HELP ", text, flags=re.M)
        assert families.pop(0) == ""
        names = [family.split(" ", 1)[0] for family in families]
        assert len(set(names)) == len(names), "a name has its help twice"
        for part in ("logins", "patch", "webhook", "procedure", "audit", "bans", "breaker",
                     "bulkhead", "overload", "limiter", "token_cache", "http_request", "upstream"):
            assert any(name.startswith(f"sallyport_{part}") for name in names), part
        for name, family in zip(names, families):
            lines = family.rstrip("\n").split("\n")
            assert len(lines[0].split(" ", 1)[1]) > 5, f"{name} is not explained"
            kind = re.fullmatch(f"# TYPE {name} (counter|gauge|histogram)", lines[1])
            assert kind, lines[:2]
            check_family(name, kind[1], lines[2:])
    finally:
        code = gateway.stop()
        service.close()
        assert code == 0, f"the gateway ended with {code}"


run([function for name, function in list(globals().items()) if name.startswith("test_")])
