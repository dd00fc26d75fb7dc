#!/usr/bin/env python3
"""Browsers show that they keep cookies, or compute, before a route lets them on."""

import hashlib
import html.parser
import json
import os
import re
import shutil
import subprocess
import time
import urllib.request

from harness import DEADLINE_S, Gateway, Service, Skip, answer, field, run

CONFIG = """
listen: ["127.0.0.1:{port}"]
workers: 2
admin: {address: "127.0.0.1:{admin}"}
log: {level: warn, access: off}
trusted_proxies: [127.0.0.1]
forwarded: {client_headers: trusted}
challenge: {%s}
services: {shop: {endpoints: ["http://127.0.0.1:%d"]}}
routes:
  - {path: "/**", service: shop, auth: none, challenge: always}
  - {path: "/api/**", service: shop, auth: none}
  - {path: "/calm/**", service: shop, auth: none, challenge: overload}
"""
NODE_DOM = """
const source = require('fs').readFileSync(process.argv[1], 'utf8');
let cookie = '';
global.document = {
  body: {dataset: JSON.parse(process.argv[2])},
  get cookie() { return cookie; },
  set cookie(value) { cookie = value; },
  getElementById() { return {}; },
};
global.location = {protocol: 'http:', reload() { console.log(cookie); }};
(0, eval)(source);
"""
SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "src", "gateway",
                      "challenge.js")


class Setup:
    def __init__(self, challenge):
        self.service = Service(lambda connection, head, number, rest: answer(connection) or rest)
        self.gateway = Gateway(CONFIG % (challenge, self.service.port))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        code = self.gateway.stop()
        self.service.close()
        assert code == 0, f"the gateway ended with {code}"

    def browse(self, path="/", cookie=None, client="192.0.2.1", method="GET"):
        headers = {"Accept": "text/html,*/*", "X-Forwarded-For": client}
        if cookie:
            headers["Cookie"] = cookie
        return self.gateway.request(method, path, None, headers)


class Page(html.parser.HTMLParser):
    """The data of the page's body, and its script."""

    def __init__(self, text):
        super().__init__()
        self.data, self.script, self.inside = {}, "", False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.inside = tag == "script"
        if tag == "body":
            self.data = {name[5:]: value for name, value in attrs}

    def handle_endtag(self, tag):
        self.inside = False

    def handle_data(self, data):
        if self.inside:
            self.script += data


def solve(page):
    bits, number = int(page.data["bits"]), 0
    while True:
        text = f"{page.data['text']}.{number}"
        digest = int.from_bytes(hashlib.sha256(text.encode()).digest(), "big")
        if digest >> (256 - bits) == 0:
            return f"{page.data['cookie']}={text}"
        number += 1


def test_who_keeps_a_cookie_is_let_on():
    with Setup("kind: cookie") as setup:
        status, fields, _ = setup.browse("/a//b/../c?d=1")
        assert status == 307 and fields["location"] == "/a/c?d=1", fields
        assert "HttpOnly" in fields["set-cookie"] and fields["cache-control"] == "no-store", fields
        cookie = fields["set-cookie"].split(";")[0]
        assert setup.browse("/a", cookie)[0] == 200
        assert setup.browse("/a", "theme=dark; " + cookie)[0] == 200
        assert [field(head, "cookie") for head in setup.service.heads] == [[], ["theme=dark"]]
        assert setup.browse("/a", cookie, client="192.0.2.2")[0] == 307, "it is bound to the address"
        assert setup.browse("/a", cookie[:-1] + "x")[0] == 307
        assert setup.browse("//evil.example/x")[1]["location"] == "/evil.example/x"


def test_others_than_browsers_are_told_and_other_routes_are_open():
    with Setup("kind: cookie") as setup:
        status, _, body = setup.gateway.request("GET", "/a")
        assert status == 403 and json.loads(body)["type"].endswith(":challenge"), body
        assert setup.browse("/a", method="POST")[0] == 403
        assert setup.gateway.request("GET", "/api/a")[0] == 200
        assert setup.gateway.request("GET", "/calm/a")[0] == 200
        url = f"http://127.0.0.1:{setup.gateway.admin}/metrics"
        with urllib.request.urlopen(url, timeout=DEADLINE_S) as response:
            assert b"\nsallyport_challenges_total 2\n" in response.read()


def test_who_computes_is_let_on():
    with Setup("kind: work, bits: 8") as setup:
        status, fields, body = setup.browse("/a")
        page = Page(body.decode())
        assert status == 403 and page.data["bits"] == "8" and page.data["seconds"] == "3600", body
        assert setup.browse("/a", f"{page.data['cookie']}={page.data['text']}")[0] == 403
        assert setup.browse("/a", solve(page))[0] == 200
        assert not field(setup.service.heads[0], "cookie")
        policy = fields["content-security-policy"]
        digest = subprocess.run(["openssl", "dgst", "-sha256", "-binary"], input=page.script.encode(),
                                stdout=subprocess.PIPE, check=True).stdout
        encoded = subprocess.run(["openssl", "base64"], input=digest, stdout=subprocess.PIPE,
                                 check=True).stdout.decode().strip()
        assert f"script-src 'sha256-{encoded}'" in policy, policy


def test_a_pass_ends():
    with Setup("kind: cookie, valid: 10s") as setup:
        cookie = setup.browse("/a")[1]["set-cookie"].split(";")[0]
        assert setup.browse("/a", cookie)[0] == 200
        until = int(re.search(r"=(\d+)\.", cookie).group(1))
        assert 0 < until - time.time() <= 11
        time.sleep(max(0, until - time.time()) + 0.5)
        assert setup.browse("/a", cookie)[0] == 307


def test_replicas_with_the_same_key_accept_each_other_s_passes():
    key = "kind: cookie, key: 0123456789abcdef"
    with Setup(key) as one, Setup(key) as two, Setup("kind: cookie") as three:
        cookie = one.browse("/a")[1]["set-cookie"].split(";")[0]
        assert two.browse("/a", cookie)[0] == 200
        assert three.browse("/a", cookie)[0] == 307


def test_the_script_of_the_page_finds_what_is_asked_for():
    if not shutil.which("node"):
        raise Skip("node is not installed")
    with Setup("kind: work, bits: 12") as setup:
        page = Page(setup.browse("/a")[2].decode())
        with open(SCRIPT, encoding="utf-8") as file:
            assert page.script == file.read()
        found = subprocess.run(["node", "-e", NODE_DOM, "--", SCRIPT, json.dumps(page.data)],
                               stdout=subprocess.PIPE, timeout=60, check=True).stdout.decode()
        assert "path=/" in found and "max-age=3600" in found, found
        assert setup.browse("/a", found.split(";")[0])[0] == 200


run([value for name, value in list(globals().items()) if name.startswith("test_")])
