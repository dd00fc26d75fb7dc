"""A browser and an OAuth client for tests of the identity server: only what the standards say."""

import base64
import hashlib
import hmac
import html
import http.client
import json
import re
import secrets
import struct
import subprocess
import time
import urllib.parse

from harness import DEADLINE_S, PROGRAM, Gateway

CONFIG = """
listen: [{{address: "127.0.0.1:{{port}}"}}]
admin: {{enabled: false}}
workers: 1
store: {store}
log: {{audit: audit.log}}
identity:
  issuer: "http://localhost:{{port}}"
  key_file: id.key
  password: {{memory: 64k, passes: 1}}
  lockout: {{failures: 3, wait: 1h, max_wait: 1h, answer: 0}}
  roles: {{clerk: {{permissions: ["orders:*"]}}}}
  {more}
services:
  echo: {{endpoints: ["http://127.0.0.1:{upstream}"], identity: {{as: headers}}}}
routes:
  - {{path: "/api/**", service: echo}}
  - {{path: "/scoped", service: echo, scopes: [orders.read]}}
  - {{path: "/clerks", service: echo, permissions: ["orders:read"]}}
  - {{path: "/app/**", service: echo, auth: session}}
  - {{path: "/live", service: echo, auth: session, websocket: on}}
"""


def server(upstream=9, store="sqlite:id.db", more="", top="", wait=True):
    """`more` goes into `identity`, in the place of what is there already; `top` beside it."""
    text = CONFIG.format(upstream=upstream, store=store, more=more).replace("\nlog:", f"\n{top}\nlog:", 1)
    if "lockout:" in more:
        text = text.replace("  lockout: {failures: 3, wait: 1h, max_wait: 1h, answer: 0}\n", "", 1)
    if "\n  password: {" in more:
        text = text.replace("  password: {memory: 64k, passes: 1}\n", "", 1)
    gateway = Gateway(text, wait=wait)
    if wait:
        # Its sockets are there before it: a command that makes the first user is not to be faster than
        # the server, which makes the administrator in an empty store.
        gateway.request("GET", "/.well-known/openid-configuration")
    return gateway


def in_worlds(kind):
    """Decorators for tests that take a world of this kind, whose gateway must not complain."""

    def in_world(*arguments, **options):
        def decorate(test):
            def wrapped():
                world = kind(*arguments, **options)
                try:
                    test(world)
                    log = world.gateway.log_text()
                    assert "AddressSanitizer" not in log, log
                    assert "runtime error" not in log, log
                finally:
                    world.close()

            wrapped.__name__ = test.__name__
            return wrapped

        return decorate

    return in_world


def cli(gateway, *arguments, stdin=None, status=0):
    """Runs a command of the program; the lines of JSON that it prints."""
    done = subprocess.run(
        [PROGRAM, *arguments, "-c", gateway.config],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE_S,
    )
    assert done.returncode == status, (arguments, done.returncode, done.stderr)
    if status:
        return done.stderr
    return [json.loads(line) for line in done.stdout.splitlines() if line]


class Answer:
    """A response: status, fields by lower-case name (all values), body."""

    def __init__(self, response):
        self.status = response.status
        self.fields = {}
        for name, value in response.getheaders():
            self.fields.setdefault(name.lower(), []).append(value)
        self.body = response.read()

    def field(self, name):
        return ", ".join(self.fields.get(name, []))

    @property
    def text(self):
        return self.body.decode()

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def location(self):
        return self.field("location")

    @property
    def query(self):
        return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.location).query))


class Client:
    """Plain HTTP requests."""

    def __init__(self, gateway):
        self.gateway = gateway
        self.issuer = f"http://localhost:{gateway.port}"

    def send(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.gateway.port, timeout=DEADLINE_S)
        try:
            connection.request(method, path, body, headers or {})
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def post(self, path, fields, headers=None):
        headers = {"Content-Type": "application/x-www-form-urlencoded", **(headers or {})}
        return self.send("POST", path, urllib.parse.urlencode(fields), headers)

    def token(self, secret=None, **fields):
        headers = {}
        if secret:
            pair = f"{fields.pop('client_id')}:{secret}".encode()
            headers["Authorization"] = "Basic " + base64.b64encode(pair).decode()
        return self.post("/identity/token", fields, headers)

    def get_with(self, token, path):
        return self.send("GET", path, headers={"Authorization": f"Bearer {token}"})


class Browser(Client):
    """Keeps cookies, follows redirects of the server, sends forms back as a browser would."""

    def __init__(self, gateway):
        super().__init__(gateway)
        self.cookies = {}
        self.page = None

    def exchange(self, method, path, body=None, headers=None):
        headers = dict(headers or {})
        headers.setdefault("Accept", "text/html")
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{k}={v}" for k, v in self.cookies.items())
        answer = self.send(method, path, body, headers)
        for cookie in answer.fields.get("set-cookie", []):
            assert cookie.startswith("__Host-"), cookie
            for part in ("Secure", "HttpOnly", "SameSite=Lax", "Path=/"):
                assert part in cookie, cookie
            assert "Domain" not in cookie, cookie
            name, value = cookie.split(";")[0].split("=", 1)
            if "Max-Age=0" in cookie:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value
        return answer

    def get(self, path, follow=True):
        self.page = self.exchange("GET", path)
        return self.follow() if follow else self.page

    def follow(self):
        for _ in range(10):
            if self.page.status != 303 or not self.page.location.startswith(self.issuer):
                return self.page
            path = self.page.location[len(self.issuer):]
            self.page = self.exchange("GET", path)
        raise AssertionError("too many redirects")

    def form(self):
        """The first form of the page: where it goes, and its fields."""
        found = re.search(r'<form method="post" action="([^"]*)">(.*?)</form>', self.page.text, re.S)
        assert found, self.page.text
        fields = {}
        for tag in re.findall(r"<input [^>]*>", found[2]):
            name = re.search(r'name="([^"]*)"', tag)
            value = re.search(r'value="([^"]*)"', tag)
            if name:
                fields[html.unescape(name[1])] = html.unescape(value[1]) if value else ""
        return html.unescape(found[1]), fields

    def submit(self, follow=True, headers=None, **values):
        action, fields = self.form()
        fields.update(values)
        headers = headers if headers is not None else {"Origin": self.issuer}
        headers = {"Content-Type": "application/x-www-form-urlencoded", **headers}
        self.page = self.exchange("POST", action, urllib.parse.urlencode(fields), headers)
        return self.follow() if follow else self.page

    def log_in(self, name, password, follow=True):
        self.get("/identity/login")
        return self.submit(name=name, password=password, follow=follow)


def make_user(gateway, name, password="a long password", *options):
    """A user who has chosen a password, and the browser in which that was done."""
    once = cli(gateway, "user", "create", name, *options)[0]
    browser = Browser(gateway)
    page = browser.log_in(name, once["one_time_password"])
    assert "Choose a new password" in page.text, page.text
    page = browser.submit(password=password)
    assert "Your account" in page.text, page.text
    return once["id"], browser


def totp(secret, step=0):
    counter = struct.pack(">Q", int(time.time()) // 30 + step)
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    digest = hmac.new(key, counter, hashlib.sha1).digest()
    at = digest[-1] & 15
    return "%06d" % ((struct.unpack(">I", digest[at:at + 4])[0] & 0x7FFFFFFF) % 1000000)


class Flow:
    """An authorization code flow with PKCE, step by step."""

    def __init__(self, browser, client_id, redirect, scope="openid", **more):
        self.browser = browser
        self.client_id, self.redirect = client_id, redirect
        self.verifier = secrets.token_urlsafe(48)
        digest = hashlib.sha256(self.verifier.encode()).digest()
        self.parameters = {
            "response_type": "code",
            "client_id": client_id,
            "redirect_uri": redirect,
            "scope": scope,
            "state": secrets.token_urlsafe(8),
            "nonce": secrets.token_urlsafe(8),
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
            **more,
        }

    def url(self, **changes):
        parameters = {**self.parameters, **changes}
        parameters = {k: v for k, v in parameters.items() if v is not None}
        return "/identity/authorize?" + urllib.parse.urlencode(parameters)

    def start(self, **changes):
        return self.browser.get(self.url(**changes))

    def code(self, answer=None):
        answer = answer or self.start()
        assert answer.status == 303, (answer.status, answer.text)
        assert answer.location.startswith(self.redirect + "?"), answer.location
        assert answer.query["state"] == self.parameters["state"]
        assert answer.query["iss"] == self.browser.issuer
        return answer.query["code"]

    def redeem(self, code, secret=None, **changes):
        fields = {
            "grant_type": "authorization_code",
            "client_id": self.client_id,
            "code": code,
            "redirect_uri": self.redirect,
            "code_verifier": self.verifier,
            **changes,
        }
        return self.browser.token(secret=secret, **{k: v for k, v in fields.items() if v is not None})


def claims(token):
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def jose_header(token):
    part = token.split(".")[0]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
