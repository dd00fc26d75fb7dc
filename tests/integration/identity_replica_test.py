#!/usr/bin/python3
"""Two servers on one store: what one does, the other knows. On SQLite, and on PostgreSQL with Redis
for what is shared, where these are installed."""

import glob
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time

from harness import Service, Skip, answer, run
from idp import Browser, Client, Flow, cli, make_user, server
from jose import Key

CALLBACK = "https://shop.example/callback"


class Servers:
    """PostgreSQL and Redis on Unix sockets in a folder."""

    def __init__(self):
        found = glob.glob("/usr/lib/postgresql/*/bin/postgres")
        if not found or not shutil.which("redis-server"):
            raise Skip("postgresql and redis-server are needed")
        self.folder = tempfile.mkdtemp(prefix="sallyport-servers.")
        self.processes = []
        if os.geteuid() == 0:
            shutil.chown(self.folder, "nobody")
        data = self.folder + "/data"
        subprocess.run([os.path.dirname(found[0]) + "/initdb", "-D", data, "-U", "sallyport", "-A",
                        "trust", "-N", "--no-locale", "-E", "UTF8"], check=True,
                       stdout=subprocess.DEVNULL, **self.user())
        self.postgres = (found[0], "-D", data, "-k", self.folder, "-c", "listen_addresses=")
        self.redis = (shutil.which("redis-server"), "--port", "0", "--unixsocket",
                      self.folder + "/redis.sock", "--dir", self.folder)
        self.start_all()
        self.store = f'"postgres://sallyport@/postgres?host={self.folder}"'
        self.shared = f"redis://{self.folder}/redis.sock"

    def start_all(self):
        self.start(*self.postgres)
        self.start(*self.redis)
        until = time.monotonic() + 30
        while not (os.path.exists(self.folder + "/redis.sock")
                   and os.path.exists(self.folder + "/.s.PGSQL.5432")):
            assert time.monotonic() < until
            time.sleep(0.05)
        time.sleep(0.5)

    def user(self):
        return {"user": "nobody", "extra_groups": [], "cwd": "/"} if os.geteuid() == 0 else {}

    def start(self, *command):
        self.processes.append(subprocess.Popen(command, stdout=subprocess.DEVNULL,
                                               stderr=subprocess.DEVNULL, **self.user()))

    def end_all(self):
        for process in self.processes:
            process.send_signal(signal.SIGQUIT if "postgres" in process.args[0] else signal.SIGTERM)
            process.wait(30)
        self.processes.clear()

    def stop(self):
        self.end_all()
        shutil.rmtree(self.folder, ignore_errors=True)


def two(store):
    """Two servers with the same store, key file and issuer."""
    upstream = Service(lambda c, head, n, rest: answer(c, head) or rest)
    first = server(upstream.port, store)
    Client(first).send("GET", "/identity/keys")
    # Its first process has a key file of its own, and may not open what the first has sealed.
    second = server(upstream.port, store, wait=False)
    second.process.send_signal(signal.SIGTERM)
    second.process.wait(20)
    with open(first.config, encoding="utf-8") as file:
        text = file.read().replace(f"127.0.0.1:{first.port}", "127.0.0.1:{port}")
    text = text.replace("id.key", first.folder + "/id.key").replace(
        "sqlite:id.db", f"sqlite:{first.folder}/id.db")
    second.write(text)
    second.process = subprocess.Popen([second.process.args[0], "serve", "-c", second.config],
                                      stderr=second.log, stdout=second.log)
    second.wait_ready()
    return first, second, upstream


def revocations_reach(browser, other, fields):
    """At once here, and soon there."""
    token = browser.post("/identity/token", {"grant_type": "client_credentials", **fields}).json["access_token"]
    for client in (browser, other):
        assert client.get_with(token, "/api/x").status == 200
    assert browser.post("/identity/revoke", {"token": token, **fields}).status == 200
    until = time.monotonic() + 20
    assert browser.get_with(token, "/api/x").status == 401
    while other.get_with(token, "/api/x").status != 401:
        assert time.monotonic() < until
        time.sleep(0.02)


def sessions_end_everywhere(first, browser, other):
    """Of one who logs out, and of one who is thrown out: at once on both, for pages and for routes."""
    for end in ("log out", "end"):
        browser.cookies.clear()
        assert "Your account" in browser.log_in("bob", "a long password").text
        other.cookies = dict(browser.cookies)
        for client in (browser, other):
            assert client.exchange("GET", "/app/x").status == 200
        if end == "end":
            for session in cli(first, "session", "list", "--user", "bob"):
                cli(first, "session", "end", session["id"])
        else:
            browser.get("/identity/logout")
            browser.submit()
        for client in (browser, other):
            assert client.exchange("GET", "/app/x").status == 303, end
            assert "Log in" in client.get("/identity").text


def check(store):
    first, second, upstream = two(store)
    try:
        _, browser = make_user(first, "alice")
        secret = cli(first, "client", "create", "shop", "--grants", "code,refresh", "--scopes",
                     "openid", "--redirects", CALLBACK)[0]["client_secret"]
        # A session of one is a session of the other.
        other = Browser(second)
        other.issuer = browser.issuer
        other.cookies = dict(browser.cookies)
        assert "Your account" in other.get("/identity").text
        # A code of one is redeemed at the other, whose tokens the first accepts.
        flow = Flow(browser, "shop", CALLBACK)
        code = flow.code()
        flow.browser = other
        tokens = flow.redeem(code, secret=secret).json
        for client in (browser, other):
            assert client.get_with(tokens["access_token"], "/api/x").status == 200
        # Opaque tokens are opened by whoever is shown them, and revoked like others.
        secret = cli(first, "client", "create", "job", "--grants", "client_credentials",
                     "--opaque")[0]["client_secret"]
        fields = {"client_id": "job", "client_secret": secret}
        opaque = browser.post("/identity/token", {"grant_type": "client_credentials", **fields})
        opaque = opaque.json["access_token"]
        for client in (browser, other):
            assert client.get_with(opaque, "/api/x").status == 200
        revocations_reach(browser, other, fields)
        # An assertion, and a proof, are used once wherever they go.
        key = Key()
        path = first.folder + "/jwks.json"
        with open(path, "w", encoding="utf-8") as file:
            json.dump(key.jwks(), file)
        cli(first, "client", "create", "signer", "--grants", "client_credentials", "--auth",
            "private_key_jwt", "--jwks", path)
        grant = {"grant_type": "client_credentials"}
        proof = {"DPoP": key.proof("POST", browser.issuer + "/identity/token")}
        assertion = key.assertion("signer", browser.issuer)
        done = browser.post("/identity/token", {**grant, **assertion}, proof)
        assert done.status == 200, done.text
        again = other.post("/identity/token", {**grant, **assertion})
        assert again.status == 401 and again.json["error"] == "invalid_client", again.text
        again = other.post("/identity/token", {
            **grant, **key.assertion("signer", browser.issuer)}, proof)
        assert again.json["error"] == "invalid_dpop_proof", again.text
        # What is ended at one ends at the other, tokens too, within a second.
        browser.get("/identity/logout")
        browser.submit()
        assert browser.get_with(tokens["access_token"], "/api/x").status == 401
        assert "Log in" in other.get("/identity").text
        until = time.monotonic() + 20
        while other.get_with(tokens["access_token"], "/api/x").status != 401:
            assert time.monotonic() < until
            time.sleep(0.05)
        make_user(first, "bob")
        sessions_end_everywhere(first, browser, other)
        # Guesses count together.
        for _ in range(3):
            browser.cookies.clear()
            browser.log_in("alice", "guess")
        other.cookies.clear()
        page = other.log_in("alice", "a long password")
        assert page.status == 403, page.text
    finally:
        first.stop()
        second.stop()
        upstream.close()


def two_servers_share_a_sqlite_file():
    check("sqlite:id.db")


def two_servers_share_postgresql_and_redis():
    servers = Servers()
    try:
        check(f"{{url: {servers.store}, shared: \"{servers.shared}\"}}")
    finally:
        servers.stop()


def without_its_store_the_gate_stays_shut_and_tokens_go_on():
    servers = Servers()
    upstream = Service(lambda c, head, n, rest: answer(c, head) or rest)
    gateway = server(upstream.port, f"{{url: {servers.store}, shared: \"{servers.shared}\"}}")
    try:
        _, browser = make_user(gateway, "alice")
        secret = cli(gateway, "client", "create", "job", "--grants", "client_credentials")[0]
        ask = lambda: browser.token(secret=secret["client_secret"], client_id="job",
                                    grant_type="client_credentials")
        token = ask().json["access_token"]
        servers.end_all()
        assert browser.get_with(token, "/api/x").status == 200
        time.sleep(1.2)  # clients are remembered for a second
        done = ask()
        assert done.status == 503 and done.field("retry-after"), done.text
        assert browser.exchange("GET", "/app/x").status == 503
        assert browser.exchange("GET", "/identity").status == 503
        servers.start_all()
        until = time.monotonic() + 20
        while ask().status != 200:  # it recovers first
            assert time.monotonic() < until, gateway.log_text()
            time.sleep(0.1)
        assert "Your account" in browser.get("/identity").text
    finally:
        gateway.stop()
        servers.stop()
        upstream.close()


if __name__ == "__main__":
    run([two_servers_share_a_sqlite_file, two_servers_share_postgresql_and_redis,
         without_its_store_the_gate_stays_shut_and_tokens_go_on])
