#!/usr/bin/python3
"""Virtual patches through the real program: bound, expiring, counted, generated."""

import json
import os
import signal
import subprocess
import tempfile
import time
import urllib.request

from harness import PROGRAM, Gateway, Service, answer, refusal, run

CONFIG = """
listen: [{address: "127.0.0.1:{port}"}]
workers: 1
admin: {address: "127.0.0.1:{admin}"}
log: {access: off}
include: [patches.yaml]
services:
  orders: {endpoints: ["http://127.0.0.1:%(port)d"]}
  users: {endpoints: ["http://127.0.0.1:%(port)d"]}
routes:
  - {path: "/orders", service: orders, auth: none, operation: placeOrder}
  - {path: "/orders/**", service: orders, auth: none}
  - {path: "/users/**", service: users, auth: none}
  - {path: "/watched/**", service: users, auth: none, waf: observe}
  - {path: "/open/**", service: orders, auth: none, waf: off}
waf: {rules: [], log: waf.log}
"""

PATCHES = b"""
patches:
  log4shell-orders: {vulnerability: [CVE-2021-44228], service: orders, mode: block}
  next-everywhere: {vulnerability: GHSA-f82v-jwr5-mffw}
  debugger: {vulnerability: CVE-2024-34069, service: users, mode: observe, expires: 2999-01-31}
  old: {vulnerability: CVE-2017-5638, expires: 2020-01-31}
  hand: {vulnerability: CVE-2099-0001, service: orders, operation: placeOrder, rules: hand.conf}
"""

HAND = b"""
SecRule ARGS:coupon "@rx ^[^A-Z]" "id:77,phase:2,deny,status:422,log,msg:'a bad coupon'"
"""

JNDI = "${jndi:ldap://a.example/x}"


class Setup:
    def __init__(self, patches=PATCHES):
        self.service = Service(self.script)
        files = {"patches.yaml": patches, "hand.conf": HAND}
        self.gateway = Gateway(CONFIG % {"port": self.service.port}, files)

    @staticmethod
    def script(connection, _head, _number, rest):
        answer(connection)
        return rest

    def __enter__(self):
        return self

    def __exit__(self, *_):
        code = self.gateway.stop()
        self.service.close()
        assert code == 0, f"the gateway ended with {code}"

    def get(self, path, headers=None):
        return self.gateway.request("GET", path, None, headers or {})[0]

    def admin(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.gateway.admin}{path}") as page:
            return page.read().decode()

    def patches(self):
        return {one["name"]: one for one in json.loads(self.admin("/patches"))["patches"]}

    def wait_for(self, what):
        until = time.monotonic() + 10
        while not what():
            assert time.monotonic() < until, self.admin("/patches")
            time.sleep(0.05)


def test_a_patch_holds_before_its_service_only():
    with Setup() as setup:
        assert setup.get("/orders/1", {"User-Agent": JNDI}) == 403
        assert setup.get("/orders/1", {"User-Agent": "shop/1"}) == 200
        assert setup.get("/users/1", {"User-Agent": JNDI}) == 200, "another service"
        assert setup.get("/open/1", {"User-Agent": JNDI}) == 200, "a route without firewall"
        for path in ("/orders/1", "/users/1"):
            assert setup.get(path, {"x-middleware-subrequest": "middleware"}) == 403
        assert setup.get("/watched/1", {"x-middleware-subrequest": "middleware"}) == 200


def test_a_patch_holds_for_its_operation_only():
    with Setup() as setup:
        assert setup.get("/orders?coupon=ABC") == 200
        assert setup.get("/orders?coupon=-1") == 422
        assert setup.get("/orders/1?coupon=-1") == 200


def test_hits_are_counted_and_observing_lets_pass():
    with Setup() as setup:
        setup.get("/orders/1", {"User-Agent": JNDI})
        setup.get("/orders/2", {"User-Agent": JNDI})
        assert setup.get("/users/1?__debugger__=yes") == 200, "it only observes"
        setup.get("/watched/1", {"x-middleware-subrequest": "middleware"})
        setup.wait_for(lambda: setup.patches()["next-everywhere"]["observed"] == 1)
        patches = setup.patches()
        assert patches["log4shell-orders"]["blocked"] == 2, patches
        assert patches["log4shell-orders"]["last"].startswith("20"), patches
        assert patches["debugger"]["observed"] == 1 and patches["debugger"]["blocked"] == 0
        assert patches["debugger"]["expires"] == "2999-01-31", patches
        metrics = setup.admin("/metrics")
        line = 'sallyport_patch_hits_total{patch="log4shell-orders",action="blocked"} 2'
        assert line in metrics, metrics
        setup.wait_for(lambda: os.path.getsize(os.path.join(setup.gateway.folder, "waf.log")))
        with open(os.path.join(setup.gateway.folder, "waf.log"), encoding="utf-8") as file:
            record = json.loads(file.readline())
        assert record["matches"][0]["patch"] == "log4shell-orders", record
        assert "CVE-2021-44228" in record["matches"][0]["tags"], record
        # A reload keeps what was counted.
        setup.gateway.process.send_signal(signal.SIGHUP)
        setup.wait_for(lambda: "reload" in setup.gateway.log_text())
        time.sleep(0.5)
        assert setup.patches()["log4shell-orders"]["blocked"] == 2


def test_an_expired_patch_is_off_and_says_so():
    with Setup() as setup:
        evil = {"Content-Type": "%{(#x='multipart/form-data').(#y)}"}
        assert setup.get("/orders/1", evil) == 200
        assert setup.patches()["old"]["expired"] is True
        assert 'sallyport_patch_expired{patch="old"} 1' in setup.admin("/metrics")
        assert 'sallyport_patch_expired{patch="debugger"} 0' in setup.admin("/metrics")
        assert "patch.expired" in setup.gateway.log_text(), setup.gateway.log_text()


def refused(patches, word):
    log = refusal(CONFIG % {"port": 1},
                  {"patches.yaml": patches, "hand.conf": HAND + b"SecRule ARGS\n"})
    assert word in log, log


def test_patches_that_cannot_be_read_are_named_with_their_line():
    refused(b"patches:\n  x: {vulnerability: CVE-2099-0001}\n", "patches.yaml:2")
    refused(b"patches:\n  x: {vulnerability: CVE-2099-0001, rules: hand.conf}\n", "hand.conf:3")
    refused(b"patches:\n  x: {vulnerability: CVE-2021-44228, service: nobody}\n", "nobody")
    refused(b"patches:\n  x: {vulnerability: CVE-2021-44228, expires: 2027-02-30}\n", "a date")
    refused(b"patches:\n  x: {template: log4shell}\n", "vulnerability")


FOLDER = CONFIG.replace("include: [patches.yaml]", "include: [patches.d/]")


def put(gateway, name, text):
    with open(os.path.join(gateway.folder, "patches.d", name), "wb") as file:
        file.write(text)


def hand_written(word, expires):
    return (f"patches:\n  no-{word}:\n    vulnerability: CVE-2099-0002\n    service: orders\n"
            f"    expires: {expires}\n    text: |\n"
            f"      SecRule ARGS \"@streq {word}\" \"id:{5000 + len(word)},phase:2,deny,"
            "status:418\"\n").encode()


def test_a_folder_of_patches_is_read_and_read_again():
    service = Service(Setup.script)
    gateway = Gateway(FOLDER % {"port": service.port}, {
        "patches.d/a.yaml": hand_written("red", "2999-01-31"),
        "patches.d/b.yaml": b"patches: {hand: {vulnerability: CVE-2099-1, rules: hand.conf}}\n",
        "patches.d/hand.conf": HAND,
        "patches.d/.off.yaml": b"this: is not read\n"})

    def get(query):
        return gateway.request("GET", f"/orders?{query}", None, {})[0]

    def patches():
        with urllib.request.urlopen(f"http://127.0.0.1:{gateway.admin}/patches") as page:
            return {one["name"]: one for one in json.load(page)["patches"]}

    def wait_for(status, query):
        until = time.monotonic() + 10
        while get(query) != status:
            assert time.monotonic() < until, gateway.log_text()
            time.sleep(0.05)

    try:
        assert (get("x=red"), get("coupon=-1"), get("x=green")) == (418, 422, 200)
        put(gateway, "c.yaml", hand_written("green", "2999-01-31"))
        put(gateway, "d.yaml", hand_written("yellow", "2020-01-31"))
        gateway.process.send_signal(signal.SIGHUP)
        wait_for(418, "x=green")
        assert (get("x=red"), get("x=yellow")) == (418, 200)
        assert sorted(patches()) == ["hand", "no-green", "no-red", "no-yellow"]
        assert patches()["no-red"]["blocked"] == 2, "it is counted over the reload"
        assert patches()["no-yellow"]["expired"] is True
        os.unlink(os.path.join(gateway.folder, "patches.d", "a.yaml"))
        gateway.process.send_signal(signal.SIGHUP)
        wait_for(200, "x=red")
        assert get("x=green") == 418
    finally:
        assert gateway.stop() == 0
        service.close()


def command(*words, text=""):
    done = subprocess.run([PROGRAM, "patch", *words], input=text, capture_output=True,
                          text=True, timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


def test_findings_become_patches_that_work():
    report = {"schema": 1, "tool": "sallyport", "vulnerabilities": [
        {"id": "GHSA-jfh8-c2jp-5v3q", "aliases": ["CVE-2021-44228"],
         "component": {"name": "org.apache.logging.log4j:log4j-core", "version": "2.14.1"}},
        {"id": "GHSA-7rjr-3q55-vv33", "aliases": ["CVE-2021-45046"],
         "component": {"name": "org.apache.logging.log4j:log4j-core", "version": "2.14.1"}},
        {"id": "OSV-1", "aliases": ["CVE-2022-1471"],
         "component": {"name": "snake\n  evil: {", "version": "1"}},
        {"id": "CVE-2001-0001", "aliases": [], "component": {"name": "x", "version": "1"}}],
        "findings": []}
    code, out, error = command("generate", "--service", "orders", "--days", "30", "-",
                               text=json.dumps(report))
    assert code == 0, error
    assert out.count("template: log4shell") == 1 and "log4shell-orders:" in out, out
    assert "snakeyaml-types-orders:" in out and "evil: {" not in out, out
    assert "# 1 vulnerabilities have no template" in out, out
    with Setup(out.encode()) as setup:
        assert setup.get("/orders/1", {"User-Agent": JNDI}) == 403
        assert setup.get("/users/1", {"User-Agent": JNDI}) == 200
    code, _, error = command("generate", "-", text="{}")
    assert code == 2 and "no report" in error, (code, error)
    code, _, error = command("generate", "--service", "a: b", "-", text="{}")
    assert code == 2, error


def test_patches_can_be_listed_and_checked():
    code, out, _ = command("list", "--templates", "--format", "json")
    assert code == 0 and len(json.loads(out)) >= 25, out
    with tempfile.TemporaryDirectory() as folder:
        for name, text in (("patches.yaml", PATCHES), ("hand.conf", HAND),
                           ("c.yaml", (CONFIG % {"port": 1}).replace("{port}", "18080").replace(
                               "{admin}", "18081").encode())):
            with open(os.path.join(folder, name), "wb") as file:
                file.write(text)
        path = os.path.join(folder, "c.yaml")
        code, out, error = command("list", "-c", path, "--format", "json")
        assert code == 0, error
        states = {one["name"]: one["state"] for one in json.loads(out)}
        assert states == {"log4shell-orders": "block", "next-everywhere": "block",
                          "debugger": "observe", "old": "expired", "hand": "block"}, states
        code, out, error = command("check", "-c", path)
        assert code == 1 and "old: it has expired" in out, (code, out, error)
        assert "5 patches, 4 of them in force" in out, out


run([value for name, value in list(globals().items()) if name.startswith("test_")])
