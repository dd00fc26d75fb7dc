#!/usr/bin/python3
"""Sensitive operations wait until people have approved them."""

import hashlib
import json
import os
import re
import subprocess
import threading
import time
import urllib.parse

from harness import PROGRAM, Gateway, Service, answer, field, run
from jose import Key

CONFIG = """
listen: [{address: "127.0.0.1:{port}"}]
workers: 2
admin: off
store: "sqlite:state/store.db"
log: {audit: audit.log}
identity:
  providers: [%(providers)s]
  api_keys:
    keys:
      - {sha256: %(ann)s, client: ann}
      - {sha256: %(bob)s, client: bob}
      - {sha256: %(eve)s, client: eve, roles: [supervisor]}
      - {sha256: %(joe)s, client: joe, roles: [supervisor]}
services:
  up: {endpoints: ["http://127.0.0.1:%(port)d"], %(extra)s}
routes:
  - {path: "/orders/{id}", methods: [DELETE, PUT], service: up, operation: changeOrder}
  - {path: "/held", service: up, operation: held}
  - {path: "/orders/{id}", methods: [GET], service: up}
  - {path: "/approvals/**", service: approvals, auth: optional}
sensitive:
  - {operation: changeOrder, by: supervisor, expires: %(expires)s, approvals: %(needed)d,
     pending: %(pending)d}
  - {operation: held, by: supervisor, expires: 1m, hold: 20s}
"""


def key_of(name):
    return f"{name}-{'k' * 40}"


def headers(name, **more):
    return {"X-Api-Key": key_of(name), **more}


class Setup:
    def __init__(self, needed=1, expires="10m", pending=20, extra="protocol: auto", providers="",
                 files=None):
        self.bodies = []
        self.failing = False
        self.service = Service(self.script)
        values = {name: hashlib.sha256(key_of(name).encode()).hexdigest()
                  for name in ("ann", "bob", "eve", "joe")}
        values.update(port=self.service.port, needed=needed, expires=expires, pending=pending,
                      extra=extra, providers=providers)
        self.gateway = Gateway(CONFIG % values, files)

    def script(self, connection, head, _number, rest):
        if self.failing:
            return None
        length = int((field(head, "content-length") or ["0"])[0])
        while len(rest) < length:
            data = connection.recv(65536)
            if not data:
                return None
            rest += data
        self.bodies.append((head.split(b" ", 2)[:2], rest[:length]))
        answer(connection)
        return rest[length:]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        code = self.gateway.stop()
        self.service.close()
        assert code == 0, f"the gateway ended with {code}"

    def delete(self, name="ann", path="/orders/7", body=None, method="DELETE"):
        status, fields, text = self.gateway.request(
            method, path, body, headers(name, **({"Content-Type": "text/plain"} if body else {})))
        return status, fields, text

    def ask(self, **more):
        status, fields, text = self.delete(**more)
        assert status == 202, (status, text)
        answered = json.loads(text)
        assert fields["location"] == f"/approvals/{answered['approval']}" == answered["status_url"]
        return answered["approval"]

    def decide(self, name, approval, word="approve", reason="because"):
        return self.gateway.request(
            "POST", f"/approvals/{approval}/{word}", json.dumps({"reason": reason}),
            headers(name, **{"Content-Type": "application/json"}))

    def command(self, *words, expect=0):
        done = subprocess.run([PROGRAM, *words, "-c", self.gateway.config], check=False,
                              capture_output=True, text=True, timeout=60)
        assert done.returncode == expect, (words, done.returncode, done.stdout, done.stderr)
        return done.stdout

    def events(self):
        with open(os.path.join(self.gateway.folder, "audit.log"), encoding="utf-8") as file:
            return [json.loads(line)["event"] for line in file]


def test_nothing_reaches_the_service_without_an_approval():
    with Setup() as setup:
        first = setup.ask()
        assert setup.ask() == first, "the same request asks for the same approval"
        assert setup.delete("ann", "/orders/8")[0] == 202
        assert setup.delete("bob")[0] == 202
        assert setup.bodies == []
        assert setup.gateway.request("GET", "/orders/7", None, headers("ann"))[0] == 200


def test_an_approved_request_passes_once_and_only_itself():
    with Setup() as setup:
        approval = setup.ask(method="PUT", body=b"price=1")
        assert setup.decide("eve", approval)[0] == 200
        assert setup.delete("ann", method="PUT", body=b"price=2")[0] == 202
        assert setup.delete("bob", method="PUT", body=b"price=1")[0] == 202
        assert setup.bodies == []
        assert setup.delete("ann", method="PUT", body=b"price=1")[0] == 200
        assert setup.bodies == [([b"PUT", b"/orders/7"], b"price=1")]
        assert setup.delete("ann", method="PUT", body=b"price=1")[0] == 202
        assert len(setup.bodies) == 1


def test_an_approval_is_for_the_host_and_coding_that_were_asked_for():
    with Setup() as setup:
        def put(**more):
            return setup.gateway.request("PUT", "/orders/7", b"x", headers("ann", **more))[0]

        assert put(Host="a.example") == 202
        status, _, text = setup.gateway.request("PUT", "/orders/7", b"x",
                                                headers("ann", Host="a.example"))
        assert setup.decide("eve", json.loads(text)["approval"])[0] == 200
        assert put(Host="b.example") == 202
        assert put(Host="a.example", **{"Content-Encoding": "gzip"}) == 202
        assert setup.bodies == []
        assert put(Host="a.example") == 200


def test_an_approval_is_for_the_user_of_one_issuer():
    keys = {"one": Key(), "two": Key()}
    providers = ", ".join(f'{{name: {name}, issuer: "https://{name}.example", audience: shop, '
                          f'jwks: {{file: {name}.json}}}}' for name in keys)
    files = {f"{name}.json": json.dumps(key.jwks()).encode() for name, key in keys.items()}
    with Setup(providers=providers, files=files) as setup:
        def delete(name):
            now = int(time.time())
            claims = {"iss": f"https://{name}.example", "aud": "shop", "sub": "ann", "client_id": "app",
                      "iat": now, "exp": now + 600}
            bearer = keys[name].sign(claims, kid=keys[name].kid, typ="at+jwt")
            status, _, text = setup.gateway.request("DELETE", "/orders/7", None,
                                                    {"Authorization": "Bearer " + bearer})
            return status, json.loads(text).get("approval") if status == 202 else None

        status, approval = delete("one")
        assert status == 202 and setup.decide("eve", approval)[0] == 200
        status, other = delete("two")
        assert status == 202 and other != approval, "somebody else of the same name"
        assert delete("one")[0] == 200


def test_two_approvals_are_two_people_and_not_who_asks():
    with Setup(needed=2) as setup:
        approval = setup.ask(name="eve")
        assert setup.decide("eve", approval)[0] == 403
        assert setup.decide("joe", approval)[0] == 200
        assert setup.decide("joe", approval)[0] == 409
        assert setup.delete("eve")[0] == 202
        setup.command("approval", "approve", approval, "--as", "max")
        assert setup.delete("eve")[0] == 200


def test_who_has_not_the_role_sees_and_decides_nothing():
    with Setup() as setup:
        approval = setup.ask()
        assert setup.decide("bob", approval)[0] == 404
        assert setup.gateway.request("GET", f"/approvals/{approval}", None,
                                     headers("bob"))[0] == 404
        assert setup.gateway.request("GET", f"/approvals/{approval}")[0] == 401
        status, _, text = setup.gateway.request("GET", f"/approvals/{approval}", None,
                                                headers("ann"))
        assert status == 200 and json.loads(text)["state"] == "pending", text
        status, _, text = setup.gateway.request("GET", "/approvals/", None, headers("eve"))
        assert [one["id"] for one in json.loads(text)["approvals"]] == [approval], text
        status, _, text = setup.gateway.request("GET", "/approvals/", None, headers("bob"))
        assert json.loads(text)["approvals"] == [], text
        # A form of another site cannot decide in the name of a browser's user.
        assert setup.gateway.request("POST", f"/approvals/{approval}/approve", "a=b", headers(
            "eve", **{"Content-Type": "application/x-www-form-urlencoded"}))[0] == 400


def test_a_denial_is_final():
    with Setup() as setup:
        approval = setup.ask()
        assert setup.decide("eve", approval, "deny")[0] == 200
        assert setup.decide("joe", approval)[0] == 409
        assert setup.ask() != approval
        assert setup.bodies == []


def test_it_expires():
    with Setup(expires="1s") as setup:
        approval = setup.ask()
        assert setup.decide("eve", approval)[0] == 200
        time.sleep(1.1)
        assert setup.ask() != approval
        assert setup.bodies == []


def test_a_held_request_goes_on_when_it_is_approved():
    with Setup() as setup:
        results = []
        thread = threading.Thread(target=lambda: results.append(
            setup.gateway.request("POST", "/held", b"x", headers("ann"))[0]))
        thread.start()
        until = time.monotonic() + 10
        pending = []
        while not pending and time.monotonic() < until:
            pending = setup.command("approval", "list").splitlines()
            time.sleep(0.05)
        assert results == [] and setup.bodies == []
        assert setup.decide("eve", json.loads(pending[0])["id"])[0] == 200
        thread.join(15)
        assert results == [200], results
        assert len(setup.bodies) == 1


def test_a_signed_link_shows_a_page_and_decides_by_its_form():
    with Setup() as setup:
        approval = setup.ask(path="/orders/%3Cscript%3E")
        link = setup.command("approval", "link", approval, "--for", "zoe", "--url",
                             "https://shop.example/approvals").strip()
        path = link.removeprefix("https://shop.example")
        status, fields, page = setup.gateway.request("GET", path)
        assert status == 200 and fields["content-type"].startswith("text/html")
        assert "default-src 'none'" in fields["content-security-policy"]
        assert b"<script" not in page and b"changeOrder" in page, page
        assert setup.delete(path="/orders/%3Cscript%3E")[0] == 202, "a look decides nothing"
        token = re.search(rb'name="t" value="([^"]+)"', page).group(1).decode()
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        body = urllib.parse.urlencode({"t": token[:-1] + "?", "decision": "approve"})
        assert setup.gateway.request("POST", "/approvals/link", body, form)[0] == 404
        body = urllib.parse.urlencode({"t": token, "decision": "approve", "reason": "<ok>"})
        assert setup.gateway.request("POST", "/approvals/link", body, form)[0] == 200
        assert setup.delete(path="/orders/%3Cscript%3E")[0] == 200
        used = json.loads(setup.command("approval", "show", approval))
        assert used["state"] == "used"
        assert [(one["by"], one["reason"]) for one in used["votes"]] == [("zoe", "<ok>")]


def test_approvals_survive_a_kill_and_are_audited():
    with Setup() as setup:
        approval = setup.ask()
        setup.gateway.kill()
        setup.gateway.start()
        assert setup.decide("eve", approval)[0] == 200
        setup.gateway.kill()
        setup.gateway.start()
        assert setup.delete()[0] == 200
        setup.gateway.kill()
        setup.gateway.start()
        assert setup.delete()[0] == 202
        assert len(setup.bodies) == 1
        time.sleep(0.3)
        events = [event for event in setup.events() if event.startswith("approval.")]
        assert events == ["approval.requested", "approval.approved", "approval.used",
                          "approval.requested"], events


def test_an_approval_is_not_spent_when_the_service_is_not_asked():
    with Setup(extra="breaker: {window: 5, minimum: 1, open: 300ms}") as setup:
        approval = setup.ask()
        assert setup.decide("eve", approval)[0] == 200
        setup.failing = True
        assert setup.gateway.request("GET", "/orders/7", None, headers("ann"))[0] == 502
        status, _, text = setup.delete()
        assert status == 503 and b"breaker-open" in text, (status, text)
        setup.failing = False
        time.sleep(0.4)
        assert setup.delete()[0] == 200
        assert setup.delete()[0] == 202, "and now it is spent"


def test_one_requester_cannot_fill_the_list():
    with Setup(pending=3) as setup:
        first = [setup.ask(path=f"/orders/{n}") for n in range(3)]
        status, fields, text = setup.delete(path="/orders/4")
        assert status == 429 and b"too-many-approvals" in text and fields["retry-after"]
        assert setup.ask(path="/orders/0") == first[0], "what waits already may be asked again"
        assert setup.delete("bob", "/orders/4")[0] == 202, "others are not concerned"
        assert setup.decide("eve", first[0])[0] == 200
        assert setup.delete(path="/orders/4")[0] == 202


def test_the_list_has_pages():
    with Setup() as setup:
        asked = {setup.ask(path=f"/orders/{n}") for n in range(5)}
        seen, after = [], ""
        while True:
            status, _, text = setup.gateway.request(
                "GET", f"/approvals/?limit=2{after}", None, headers("eve"))
            assert status == 200, text
            page = json.loads(text)
            seen += [one["id"] for one in page["approvals"]]
            if not page["more"]:
                break
            after = "&after=" + page["next"]
        assert len(seen) == 5 and set(seen) == asked
        assert setup.gateway.request("GET", "/approvals/?limit=0", None, headers("eve"))[0] == 400
        lines = setup.command("approval", "list", "--limit", "2").splitlines()
        rest = setup.command("approval", "list", "--after", json.loads(lines[1])["id"])
        assert len(lines) == 2 and len(rest.splitlines()) == 3


if __name__ == "__main__":
    run([value for name, value in list(globals().items()) if name.startswith("test_")])
