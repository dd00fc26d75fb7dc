#!/usr/bin/python3
"""What the firewall's rules make of responses, through the real program."""

import gzip
import http.client
import json
import os
import shutil
import subprocess
import tempfile
import threading
import time
import urllib.request
import zlib

from harness import PROGRAM, Gateway, Service, Skip, answer, field, run

CRS = "/usr/share/modsecurity-crs"

CONFIG = """
listen: [{address: "127.0.0.1:{port}"}]
workers: 1
admin: {address: "127.0.0.1:{admin}"}
log: {access: off}
services:
  up: {endpoints: ["http://127.0.0.1:%(port)d"]}
routes:
  - {path: "/**", service: up, auth: none, websocket: true}
  - {path: "/watched/**", service: up, auth: none, waf: observe}
  - {path: "/open/**", service: up, auth: none, waf: off}
waf: {rules: %(rules)s, log: waf.log%(more)s}
"""

RULES = b"""
SecRuleEngine On
SecRule RESPONSE_HEADERS:X-Debug "@rx ." "id:31,phase:3,deny,status:404,log,msg:'debug'"
SecRule RESPONSE_HEADERS:Content-Encoding "@rx ." "id:32,phase:3,pass,log,msg:'coded'"
SecRule RESPONSE_BODY "@contains ORA-00942" "id:41,phase:4,deny,log,msg:'database error'"
SecRule RESPONSE_BODY "@contains elsewhere" "id:42,phase:4,redirect:https://shop.example/,log"
SecRule RESPONSE_STATUS "@streq 418" "id:51,phase:5,pass,log,msg:'tea'"
"""

LEAK = b"<p>ORA-00942: table or view does not exist</p>"
HTML = b"Content-Type: text/html; charset=utf-8\r\n"


class Setup:
    def __init__(self, script=None, more="", rules="own.conf"):
        if rules == "owasp-crs":
            if not os.path.isdir(CRS):
                raise Skip("the package modsecurity-crs is not installed")
            if os.environ.get("SALLYPORT_SANITIZED"):
                raise Skip("compiling the Core Rule Set takes minutes under sanitizers")
        self.heads = []
        self.say = script or (lambda connection, _: answer(connection, b"hello", extra=HTML))
        self.service = Service(self.script)
        values = {"port": self.service.port, "rules": rules, "more": more}
        self.gateway = Gateway(CONFIG % values, {"own.conf": RULES}, wait=False)
        self.gateway.wait_serving(150)

    def script(self, connection, head, _number, rest):
        self.heads.append(head)
        self.say(connection, head)
        return rest

    def __enter__(self):
        return self

    def __exit__(self, *_):
        code = self.gateway.stop()
        self.service.close()
        assert code == 0, f"the gateway ended with {code}"

    def get(self, path="/", headers=None, method="GET"):
        return self.gateway.request(method, path, None, dict(
            {"User-Agent": "shop/1", "Accept": "*/*", "Host": "shop.example"}, **(headers or {})))

    def records(self, count):
        until = time.monotonic() + 10
        while True:
            with open(os.path.join(self.gateway.folder, "waf.log"), encoding="utf-8") as file:
                records = [json.loads(line) for line in file]
            if len(records) >= count or time.monotonic() > until:
                return records
            time.sleep(0.05)

    def metric(self, name):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.gateway.admin}/metrics") as page:
            for line in page.read().decode().splitlines():
                if line.startswith(name + " "):
                    return int(line.split(" ")[-1])
        raise AssertionError("no metric " + name)


def test_a_body_that_gives_away_too_much_does_not_leave():
    with Setup(lambda c, _: answer(c, LEAK, extra=HTML)) as setup:
        status, fields, body = setup.get()
        assert status == 403 and b"ORA-" not in body, (status, body)
        assert fields["Content-Type" if "Content-Type" in fields else "content-type"] == (
            "application/problem+json")
        status, _, body = setup.get("/watched/")
        assert status == 200 and body == LEAK, (status, body)
        status, _, body = setup.get("/open/")
        assert status == 200 and body == LEAK, (status, body)
        records = setup.records(2)
        assert [one["action"] for one in records] == ["blocked", "observed"], records
        assert all(one["of"] == "response" for one in records), records
        assert records[0]["matches"][0]["rule"] == 41, records
        assert records[0]["matches"][0]["variable"] == "RESPONSE_BODY", records
        assert setup.metric('sallyport_waf_blocked_total{of="response"}') == 1
        assert setup.metric('sallyport_waf_observed_total{of="response"}') == 1
        assert setup.metric('sallyport_waf_blocked_total{of="request"}') == 0


def test_bodies_of_other_types_and_without_matches_pass_unchanged():
    def script(connection, head):
        if b" /json " in head:
            answer(connection, LEAK, extra=b"Content-Type: application/json\r\n")
        elif b" /none " in head:
            answer(connection, LEAK)
        elif b" /empty " in head:
            answer(connection, b"", extra=HTML)
        elif b" /chunked " in head:
            connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n" + HTML +
                               b"\r\n3\r\nabc\r\n")
            time.sleep(0.05)
            connection.sendall(b"3\r\ndef\r\n0\r\nX-Sum: 6\r\n\r\n")
        elif b"HEAD " in head:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 46\r\n" + HTML + b"\r\n")
        else:
            answer(connection, b"x" * 300000, extra=HTML)
    with Setup(script) as setup:
        assert setup.get("/json")[2] == LEAK
        assert setup.get("/none")[2] == LEAK, "without a type it is not what the rules look at"
        assert setup.get("/empty")[::2] == (200, b"")
        assert setup.get("/chunked")[2] == b"abcdef"
        assert setup.get("/long")[2] == b"x" * 300000
        status, fields, body = setup.get("/head", method="HEAD")
        assert status == 200 and body == b"", (status, body)
        assert {k.lower(): v for k, v in fields.items()}["content-length"] == "46"
        raw = setup.gateway.raw(b"GET /chunked HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert b"abcdef" in raw.replace(b"\r\n", b"") and b"X-Sum: 6" in raw or b"x-sum: 6" in raw


def test_heads_decide_before_a_body_is_read():
    def script(connection, head):
        if b" /debug " in head:
            connection.sendall(b"HTTP/1.1 200 OK\r\nX-Debug: 1\r\nContent-Length: 9000000\r\n\r\n")
        elif b" /away " in head:
            answer(connection, b"elsewhere", extra=HTML)
        else:
            answer(connection, b"tea", status="418 Teapot")
    with Setup(script) as setup:
        assert setup.get("/debug")[0] == 404
        status, fields, _ = setup.get("/away")
        fields = {name.lower(): value for name, value in fields.items()}
        assert status == 302 and fields["location"] == "https://shop.example/", fields
        assert setup.get("/tea")[0] == 418
        records = setup.records(3)
        assert [one["matches"][0]["rule"] for one in records] == [31, 42, 51], records
        assert records[2]["action"] == "passed", "rules of phase 5 only report"


def test_compressed_bodies_are_read_and_pass_as_they_came():
    codings = {b"gzip": gzip.compress, b"deflate": zlib.compress}

    def script(connection, head):
        words = head.split(b" ")[1].split(b"/")
        text = LEAK if words[2] == b"bad" else b"good " * 1000
        body = codings[words[1]](text) if words[1] in codings else b"\x01\x02" + text
        answer(connection, body, extra=HTML + b"Content-Encoding: " + words[1] + b"\r\n")

    with Setup(script) as setup:
        for coding, code in codings.items():
            assert setup.get(f"/{coding.decode()}/bad")[0] == 403, coding
            status, fields, body = setup.get(f"/{coding.decode()}/good")
            fields = {name.lower(): value for name, value in fields.items()}
            assert status == 200 and body == code(b"good " * 1000), coding
            assert "content-encoding" in fields, "the client gets what the service has sent"
        assert setup.get("/br/good")[0] == 502, "what cannot be read does not pass"
        assert setup.get("/watched/br")[0] == 200
        assert setup.get("/gzip/bad", {"Accept-Encoding": "br, gzip;q=0.5"})[0] == 403
        assert field(setup.heads[-1], "accept-encoding") == ["gzip"]
        setup.get("/gzip/bad", {"Accept-Encoding": "br, gzip;q=0"})
        assert field(setup.heads[-1], "accept-encoding") in ([], None)
        setup.get("/open/", {"Accept-Encoding": "br"})
        assert field(setup.heads[-1], "accept-encoding") == ["br"]
    with Setup(script, ", response: {coding: plain}") as setup:
        setup.get("/gzip/good", {"Accept-Encoding": "gzip"})
        assert field(setup.heads[-1], "accept-encoding") in ([], None)


def test_a_truncated_coding_and_a_bomb_do_not_pass_or_grow():
    bomb = gzip.compress(b"\0" * (64 << 20))

    def script(connection, head):
        body = bomb if b" /bomb " in head else gzip.compress(LEAK)[:-20]
        answer(connection, body, extra=HTML + b"Content-Encoding: gzip\r\n")

    with Setup(script, ", response: {large: inspect_beginning}") as setup:
        assert setup.get("/short")[0] == 502
        status, _, body = setup.get("/bomb")
        assert status == 200 and body == bomb, "its beginning has been looked at"
        with open(f"/proc/{setup.gateway.process.pid}/task/{setup.gateway.process.pid}/children",
                  encoding="ascii") as file:
            server = file.read().split()[0]
        with open(f"/proc/{server}/status", encoding="ascii") as file:
            peak = next(line for line in file if line.startswith("VmHWM"))
        if not os.environ.get("SALLYPORT_SANITIZED"):
            assert int(peak.split()[1]) < 64 << 10, peak


def test_long_bodies_are_refused_or_inspected_at_their_beginning():
    def script(connection, head):
        body = (LEAK + b"x" * 20000) if b"early" in head else (b"x" * 20000 + LEAK)
        answer(connection, body, extra=HTML)
    with Setup(script, ", response: {limit: 8k}") as setup:
        assert setup.get("/early")[0] == 403
        status, _, body = setup.get("/late")
        assert status == 200 and body == b"x" * 20000 + LEAK, status
    with Setup(script, ", response: {limit: 8k, large: refuse}") as setup:
        assert setup.get("/late")[0] == 502
        assert setup.get("/watched/late")[0] == 200
    with Setup(script, ", response: {limit: 8k, types: [text/plain]}") as setup:
        assert setup.get("/early")[0] == 200
    with Setup(script, ", response: off") as setup:
        assert setup.get("/early")[0] == 200
        assert setup.metric("sallyport_waf_inspected_total") == 1


def test_streams_and_tunnels_are_not_held():
    go = threading.Event()

    def script(connection, head):
        if b"upgrade:" in head.lower():
            connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
                               b"Upgrade: websocket\r\n\r\nORA-00942")
            go.wait(10)
            return
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                           b"Transfer-Encoding: chunked\r\n\r\n9\r\nORA-00942\r\n")
        go.wait(10)
        connection.sendall(b"0\r\n\r\n")

    with Setup(script) as setup:
        client = http.client.HTTPConnection("127.0.0.1", setup.gateway.port, timeout=20)
        client.request("GET", "/events")
        response = client.getresponse()
        assert response.read(9) == b"ORA-00942", "an event comes while the answer goes on"
        connection = setup.gateway.connect()
        connection.sendall(b"GET /socket HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n"
                           b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                           b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
        got = b""
        while b"ORA-00942" not in got:
            piece = connection.recv(4096)
            assert piece, got
            got += piece
        assert got.startswith(b"HTTP/1.1 101"), got
        go.set()
        assert response.read() == b""
        client.close()
        connection.close()


def test_a_response_can_be_explained():
    with tempfile.TemporaryDirectory() as folder:
        def file(name, text):
            path = os.path.join(folder, name)
            with open(path, "wb") as to:
                to.write(text)
            return path
        rules = file("own.conf", RULES)
        request = file("request", b"GET / HTTP/1.1\nHost: shop.example\n\n")
        for text, code, word in ((LEAK, 1, "blocked by rule 41 with status 403"),
                                 (b"hello", 0, "passed")):
            response = file("response", b"HTTP/1.1 200 OK\nContent-Type: text/html\n\n" + text)
            done = subprocess.run([PROGRAM, "waf", "explain", "--rules", rules, "--response",
                                   response, request], capture_output=True, text=True,
                                  timeout=60, check=False)
            assert done.returncode == code and word in done.stdout, done
        done = subprocess.run([PROGRAM, "waf", "explain", "--rules", rules, "--response", request,
                               request], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 2 and "no response" in done.stderr, done


def test_the_core_rule_set_keeps_leaks_in():
    leaks = [b"ORA-00942: table or view does not exist",
             b"You have an error in your SQL syntax; check the manual that corresponds to your "
             b"MySQL server version for the right syntax to use near '''",
             b"<b>Warning</b>: mysqli_connect(): (HY000/1045): Access denied in "
             b"<b>/var/www/html/db.php</b> on line <b>12</b>",
             b"java.lang.NullPointerException at org.apache.catalina.core"]

    def script(connection, head):
        number = int(head.split(b" ")[1].lstrip(b"/"))
        body = leaks[number] if number < len(leaks) else b"<h1>Lamps</h1> from 10 to 20 euros"
        answer(connection, b"<html>" + body + b"</html>", extra=HTML)

    cache = tempfile.mkdtemp(prefix="sallyport-waf-cache.")
    try:
        with Setup(script, f", cache: {cache}", "owasp-crs") as setup:
            for number in range(3):
                assert setup.get(f"/{number}")[0] == 403, leaks[number]
            assert setup.get("/9")[0] == 200
            records = setup.records(3)
            assert records[0]["response_score"] >= 4, records[0]
            assert any(one["rule"] == 959100 for one in records[0]["matches"]), records[0]
        with Setup(script, f", cache: {cache}, outbound_threshold: 100", "owasp-crs") as setup:
            assert setup.get("/0")[0] == 200
    finally:
        shutil.rmtree(cache, True)


run([value for name, value in list(globals().items()) if name.startswith("test_")])
