#!/usr/bin/python3
"""Webhooks: signed, tried again, given up, kept over the end of the process."""

import base64
import hashlib
import hmac
import json
import os
import signal
import subprocess
import threading
import time

from harness import DEADLINE_S, PROGRAM, Gateway, Service, answer, field, run

KEY = b"0123456789abcdef0123456789abcdef"
SECRET = "whsec_" + base64.b64encode(KEY).decode()

CONFIG = """
listen: [{address: "127.0.0.1:{port}"}]
workers: 1
admin: {address: "127.0.0.1:{admin}", actions: on}
store: "sqlite:state/store.db"
log: {audit: audit.log}
identity:
  api_keys:
    keys:
      - {sha256: %(ann)s, client: ann}
      - {sha256: %(eve)s, client: eve, roles: [supervisor]}
services:
  up: {endpoints: ["http://127.0.0.1:%(up)d"]}
routes:
  - {path: "/orders/{id}", methods: [DELETE], service: up, operation: deleteOrder}
  - {path: "/approvals/**", service: approvals, auth: optional}
sensitive:
  - {operation: deleteOrder, by: supervisor}
webhooks:
  ops:
    url: "http://127.0.0.1:%(hook)d/events?to=ops"
    secret: "%(secret)s"
    events: approvals
    backoff: 100ms
    max_backoff: 200ms
    max_age: %(age)s
  silent: {url: "http://127.0.0.1:%(silent)d/", secret: "%(secret)s", timeout: 60s}
"""


def key_of(name):
    return f"{name}-{'k' * 40}"


def headers(name):
    return {"X-Api-Key": key_of(name), "Content-Type": "application/json"}


class Setup:
    """A gateway with a receiver whose answers `statuses` says, and one that never answers."""

    def __init__(self, statuses=(), age="1h"):
        self.statuses = list(statuses)
        self.received = []
        self.changed = threading.Condition()
        self.up = Service(lambda connection, head, number, rest: answer(connection) or rest)
        self.hook = Service(self.receive)
        self.silent = Service(lambda *_: time.sleep(DEADLINE_S))
        values = {name: hashlib.sha256(key_of(name).encode()).hexdigest()
                  for name in ("ann", "eve")}
        values.update(up=self.up.port, hook=self.hook.port, silent=self.silent.port,
                      secret=SECRET, age=age)
        self.gateway = Gateway(CONFIG % values)

    def receive(self, connection, head, _number, rest):
        length = int(field(head, "content-length")[0])
        while len(rest) < length:
            rest += connection.recv(65536)
        with self.changed:
            status = self.statuses.pop(0) if self.statuses else "204 No Content"
            self.received.append((head, rest[:length], status))
            self.changed.notify_all()
        extra = b"Location: http://127.0.0.1:1/\r\n" if status.startswith("3") else b""
        if status.startswith("204"):
            connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
        else:
            answer(connection, b"no", status, extra)
        return rest[length:]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        code = self.gateway.stop()
        for service in (self.up, self.hook, self.silent):
            service.close()
        assert code == 0, f"the gateway ended with {code}"

    def wait(self, count, deadline_s=DEADLINE_S):
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.received) >= count, deadline_s), (
                self.received, self.gateway.log_text())
            return list(self.received)

    def ask(self, order=7):
        status, _, text = self.gateway.request("DELETE", f"/orders/{order}", None,
                                               {"X-Api-Key": key_of("ann")})
        assert status == 202, (status, text)
        return json.loads(text)["approval"]

    def command(self, *words, expect=0):
        done = subprocess.run([PROGRAM, *words, "-c", self.gateway.config], check=False,
                              capture_output=True, text=True, timeout=60)
        assert done.returncode == expect, (words, done.returncode, done.stdout, done.stderr)
        return done.stdout

    def admin(self, path, body=None):
        import http.client
        connection = http.client.HTTPConnection("127.0.0.1", self.gateway.admin,
                                                timeout=DEADLINE_S)
        connection.request("POST" if body else "GET", path, json.dumps(body) if body else None,
                           {"Content-Type": "application/json"} if body else {})
        response = connection.getresponse()
        text = response.read()
        connection.close()
        return response.status, text

    def dead(self):
        until = time.monotonic() + DEADLINE_S
        while time.monotonic() < until:
            letters = [json.loads(line) for line in self.command("webhook", "list").splitlines()]
            if letters:
                return letters
            time.sleep(0.1)
        raise AssertionError("nothing has died: " + self.gateway.log_text())


def check_signature(head, body):
    stamp, name = field(head, "webhook-timestamp")[0], field(head, "webhook-id")[0]
    assert abs(int(stamp) - time.time()) < 60
    expected = hmac.new(KEY, f"{name}.{stamp}.".encode() + body, hashlib.sha256).digest()
    assert field(head, "webhook-signature") == ["v1," + base64.b64encode(expected).decode()]
    return name


def test_approvals_are_told_with_a_signature():
    with Setup() as setup:
        approval = setup.ask()
        head, body, _ = setup.wait(1)[0]
        check_signature(head, body)
        assert head.startswith(b"POST /events?to=ops HTTP/1.1\r\n")
        event = json.loads(body)
        assert event["type"] == "approval.requested" and "timestamp" in event
        assert event["data"]["approval"] == approval
        assert event["data"]["requester"] == "ann" and event["data"]["target"] == "/orders/7"
        status, _, text = setup.gateway.request(
            "POST", f"/approvals/{approval}/approve", json.dumps({"reason": "ok"}),
            headers("eve"))
        assert status == 200, text
        event = json.loads(setup.wait(2)[1][1])
        assert event["type"] == "approval.approved" and event["data"]["by"] == "eve"


def test_what_fails_is_sent_again_with_the_same_id():
    with Setup(["500 Internal Server Error", "503 Service Unavailable", "302 Found"]) as setup:
        setup.ask()
        # What the killed one had taken is free again after the time of an attempt and 15 s.
        received = setup.wait(4, DEADLINE_S + 30)
        assert len({check_signature(head, body) for head, body, _ in received}) == 1
        assert len({body for _, body, _ in received}) == 1
        status, text = setup.admin("/metrics")
        assert status == 200
        assert b'sallyport_webhook_attempts_total{webhook="ops",result="failed"} 3' in text


def test_a_receiver_that_never_answers_holds_up_only_itself():
    with Setup() as setup:
        for _ in range(4):
            setup.command("webhook", "test", "silent")
        setup.ask()
        setup.wait(1)


def test_what_is_too_old_becomes_a_dead_letter_that_can_be_sent_again():
    with Setup(["500 Internal Server Error"] * 1000, age="1s") as setup:
        setup.ask()
        letter = setup.dead()[0]
        assert letter["webhook"] == "ops" and letter["problem"] == "answered 500"
        assert "webhook.dead" in setup.gateway.log_text()
        status, text = setup.admin("/webhooks")
        assert status == 200 and json.loads(text)["dead"][0]["id"] == letter["id"], text
        setup.statuses = []
        count = len(setup.received)
        status, text = setup.admin("/webhooks/retry", {"id": letter["id"]})
        assert status == 200 and json.loads(text)["dead"] == [], text
        head, body, _ = setup.wait(count + 1)[count]
        assert check_signature(head, body) == letter["id"]


def test_the_path_of_its_url_is_shown_nowhere():
    with Setup(["302 Found"] * 1000, age="1s") as setup:
        setup.ask()
        assert "answered 302" in setup.dead()[0]["problem"], setup.dead()
        shown = [setup.admin(path)[1] for path in ("/webhooks", "/config", "/status")]
        shown.append(setup.gateway.log_text().encode())
    assert all(b"/events" not in text for text in shown), shown
    assert b'"url":"http://127.0.0.1:%d/***"' % setup.hook.port in shown[1], shown[1]


def test_a_receiver_that_is_gone_is_not_asked_again():
    with Setup(["410 Gone"]) as setup:
        setup.ask()
        letter = setup.dead()[0]
        assert len(setup.received) == 1
        setup.command("webhook", "retry", letter["id"])
        setup.wait(2)
        setup.command("webhook", "retry", "wh_0000000000000000000000000000", expect=1)
        assert setup.admin("/webhooks/retry", {"id": "x"})[0] == 404
        assert setup.admin("/webhooks/none", {"id": "x"})[0] == 404


def test_a_killed_server_sends_what_it_has_acknowledged_later():
    with Setup(["500 Internal Server Error"] * 3) as setup:
        setup.ask()
        setup.wait(1)
        server = int(subprocess.run(["pgrep", "-P", str(setup.gateway.process.pid)], check=True,
                                    capture_output=True, text=True).stdout.split()[0])
        os.kill(server, signal.SIGKILL)
        # What the killed one had taken is free again after the time of an attempt and 15 s.
        received = setup.wait(4, DEADLINE_S + 30)
        assert len({check_signature(head, body) for head, body, _ in received}) == 1


run([
    test_approvals_are_told_with_a_signature,
    test_what_fails_is_sent_again_with_the_same_id,
    test_a_receiver_that_never_answers_holds_up_only_itself,
    test_what_is_too_old_becomes_a_dead_letter_that_can_be_sent_again,
    test_the_path_of_its_url_is_shown_nowhere,
    test_a_receiver_that_is_gone_is_not_asked_again,
    test_a_killed_server_sends_what_it_has_acknowledged_later,
])
