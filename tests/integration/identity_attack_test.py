#!/usr/bin/python3
"""Attacks on logins: guesses from many addresses, replays, forged forms, forged passkeys.

GUESSES and ADDRESSES say how many; the long form is in the suite `system`.
"""

import base64
import hashlib
import http.client
import json
import os
import re
import secrets
import statistics
import struct
import subprocess
import threading
import time
import urllib.parse

from harness import DEADLINE_S, run
from idp import Browser, cli, make_user, server, totp
from identity_login_test import turn_totp_on

GUESSES = int(os.environ.get("GUESSES", "200"))
ADDRESSES = int(os.environ.get("ADDRESSES", "40"))
FAILURES = 5


def with_server(more="", top=""):
    def decorate(test):
        def wrapped():
            gateway = server(more=more, top=top)
            try:
                test(gateway)
                assert "ERROR: AddressSanitizer" not in gateway.log_text(), gateway.log_text()
            finally:
                gateway.stop()

        wrapped.__name__ = test.__name__
        return wrapped

    return decorate


def events(gateway, name):
    with open(os.path.join(gateway.folder, "audit.log"), encoding="utf-8") as file:
        return [line for line in file if f'"{name}"' in line]


class Guesser(threading.Thread):
    """A connection that posts guesses, each from the next address."""

    def __init__(self, gateway, guesses):
        super().__init__(daemon=True)
        self.gateway, self.guesses = gateway, guesses
        self.answers, self.entered, self.failure = set(), 0, None

    def run(self):
        try:
            browser = Browser(self.gateway)
            browser.get("/identity/login")
            token = browser.form()[1]["form_token"]
            cookie = "; ".join(f"{k}={v}" for k, v in browser.cookies.items())
            connection = http.client.HTTPConnection("127.0.0.1", self.gateway.port, timeout=60)
            for address, guess in self.guesses:
                for _ in range(20):
                    status, text, cookies = self.guess(connection, browser, token, cookie, address, guess)
                    if status != 503:  # the store was too busy to say anything: nothing was tried
                        break
                self.entered += "__Host-sallyport=" in cookies
                self.answers.add((status, re.sub(r'(value|data-challenge)="[^"]*"', "", text)))
        except Exception as error:  # pylint: disable=broad-except
            self.failure = error


    @staticmethod
    def guess(connection, browser, token, cookie, address, guess):
        body = urllib.parse.urlencode({"form_token": token, "name": "alice", "password": guess})
        connection.request("POST", "/identity/login", body, {
            "Content-Type": "application/x-www-form-urlencoded", "Cookie": cookie,
            "Origin": browser.issuer, "X-Forwarded-For": address})
        answer = connection.getresponse()
        return answer.status, answer.read().decode(), answer.getheader("set-cookie") or ""


@with_server(more=f"lockout: {{failures: {FAILURES}, wait: 1h, max_wait: 1h, answer: 0}}",
             top="trusted_proxies: [127.0.0.1]\nforwarded: {client_headers: trusted}")
def guesses_from_many_addresses_are_few_that_count(gateway):
    _, owner = make_user(gateway, "alice")
    threads = 8
    guesses = [(f"198.51.{100 + i % ADDRESSES // 100}.{1 + i % ADDRESSES % 100}", f"guess {i}") for i in range(GUESSES)]
    # The right one is among them, when the account is locked already.
    guesses[GUESSES // 2] = (guesses[GUESSES // 2][0], "a long password")
    workers = [Guesser(gateway, guesses[n::threads]) for n in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(600)
        assert not worker.failure, worker.failure
    # All got the same answer, and nobody got in.
    assert len(set().union(*(w.answers for w in workers))) == 1, [a[0] for w in workers for a in w.answers]
    assert next(iter(workers[0].answers))[0] == 403 and not any(w.entered for w in workers)
    # Passwords that were really tried: until the lock, and what was under way at that moment.
    looked_at = len(events(gateway, "login.failed"))
    assert FAILURES <= looked_at <= FAILURES + threads, looked_at
    assert looked_at + len(events(gateway, "login.locked")) >= GUESSES
    # The attack has locked strangers out, and not the owner's own device.
    owner.get("/identity/logout")
    owner.submit()
    page = owner.log_in("alice", "a long password")
    assert "Your account" in page.text, (page.status, page.text, gateway.log_text()[-1500:])


def refusal_s(browser, name, password="a wrong password"):
    """How long a login takes to be refused; the page was fetched before."""
    browser.cookies = {k: v for k, v in browser.cookies.items() if k == "__Host-sallyport-form"}
    browser.get("/identity/login")
    before = time.perf_counter()
    page = browser.submit(name=name, password=password)
    taken = time.perf_counter() - before
    assert page.status == 403 and "Name or password is wrong" in page.text, (name, page.text)
    return taken


@with_server(more="lockout: {failures: 8, wait: 1h, max_wait: 1h}\n  password: {memory: 19M}",
             top="trusted_proxies: [127.0.0.1]")
def the_time_of_a_refusal_does_not_tell_who_is_known(gateway):
    make_user(gateway, "alice")
    make_user(gateway, "disabled")
    make_user(gateway, "locked")
    cli(gateway, "user", "set", "disabled", "--disable")
    browser = Browser(gateway)
    for _ in range(8):
        refusal_s(browser, "locked")
    names = {"wrong": lambda i: "alice", "unknown": lambda i: f"nobody-{i}", "locked": lambda i: "locked",
             "disabled": lambda i: "disabled"}
    taken = {kind: [] for kind in names}
    for i in range(14):
        if i % 7 == 0:  # alice and the disabled are not to be locked
            cli(gateway, "user", "unlock", "alice")
            cli(gateway, "user", "unlock", "disabled")
        for kind in sorted(names, key=lambda kind: hash((kind, i))):
            taken[kind].append(refusal_s(browser, names[kind](i)))
    medians = {kind: statistics.median(all_of) for kind, all_of in taken.items()}
    # What halves of the same kind differ by is noise.
    noise = max(abs(statistics.median(t[::2]) - statistics.median(t[1::2])) for t in taken.values())
    apart = max(medians.values()) - min(medians.values())
    print(f"medians {medians}, {apart * 1000:.2f} ms apart, noise {noise * 1000:.2f} ms", flush=True)
    assert apart <= max(3 * noise, 0.005), (medians, noise)


def together(work, count=8):
    """What `work(i)` gives in so many threads at once."""
    results, start = [None] * count, threading.Barrier(count)

    def one(i):
        start.wait(DEADLINE_S)
        results[i] = work(i)

    workers = [threading.Thread(target=one, args=(i,), daemon=True) for i in range(count)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    return results


@with_server(more="lockout: {failures: 100, answer: 0}")
def a_code_that_comes_many_times_at_once_opens_once(gateway):
    _, browser = make_user(gateway, "alice")
    secret, recovery = turn_totp_on(browser)
    for code in (totp(secret), recovery[3]):
        thieves = [Browser(gateway) for _ in range(8)]
        for thief in thieves:
            assert "Code" in thief.log_in("alice", "a long password").text
        pages = together(lambda i: thieves[i].submit(code=code).text)
        entered = sum("Your account" in page for page in pages)
        assert entered == 1, (entered, code)


@with_server()
def no_form_is_taken_from_another_site(gateway):
    _, browser = make_user(gateway, "alice")
    paths = [
        "login", "login/code", "login/send", "login/passkey", "login/password", "logout", "sessions/end",
        "second-factor", "security/password", "security/email", "security/channel", "security/phone", "passkeys",
        "passkeys/remove", "verify", "device",
    ]
    browser.get("/identity")
    token = browser.form()[1]["form_token"]
    before = cli(gateway, "user", "export", "--secrets")
    for path in paths:
        for origin, form_token in (("https://evil.test", token), ("null", token), (browser.issuer, "x"), (None, token)):
            fields = {"form_token": form_token, "name": "alice", "password": "another long one", "email": "a@evil.test",
                      "current": "a long password", "phone": "+4912345678", "channel": "email", "on": "1"}
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            if origin:
                headers["Origin"] = origin
            page = browser.exchange("POST", "/identity/" + path, urllib.parse.urlencode(fields), headers)
            # Without a flow of its own a browser is sent to the start of the login, which is as good.
            refused = page.status == 403 or (page.status == 303 and "/identity/login" in page.location)
            assert refused, (path, origin, page.status, page.text[:300])
    assert cli(gateway, "user", "export", "--secrets") == before
    assert "Your account" in browser.get("/identity").text


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Authenticator:
    """A security key, by openssl."""

    def __init__(self, folder, origin):
        self.path, self.origin, self.counter = os.path.join(folder, secrets.token_hex(8)), origin, 0
        self.id = secrets.token_bytes(32)
        self.rp = urllib.parse.urlsplit(origin).hostname
        subprocess.run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", self.path],
                       check=True, capture_output=True)
        der = subprocess.run(["openssl", "pkey", "-in", self.path, "-pubout", "-outform", "DER"],
                             check=True, capture_output=True).stdout
        self.x, self.y = der[-64:-32], der[-32:]

    def client_data(self, kind, challenge, /, **changes):
        return json.dumps({"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": False, **changes}).encode()

    def data(self, flags, rp=None):
        self.counter += 1
        return hashlib.sha256((rp or self.rp).encode()).digest() + bytes([flags]) + struct.pack(">I", self.counter)

    def create(self, challenge, /, flags=0x45, rp=None, kind="webauthn.create", **changes):
        key = b"\xa5\x01\x02\x03\x26\x20\x01\x21\x58\x20" + self.x + b"\x22\x58\x20" + self.y
        data = self.data(flags, rp) + bytes(16) + struct.pack(">H", len(self.id)) + self.id + key
        attestation = b"\xa3cfmtdnonegattStmt\xa0hauthData\x59" + struct.pack(">H", len(data)) + data
        return {"attestation_object": b64(attestation), "client_data": b64(self.client_data(kind, challenge, **changes))}

    def get(self, challenge, user, /, flags=0x05, rp=None, kind="webauthn.get", signer=None, **changes):
        data, client = self.data(flags, rp), self.client_data(kind, challenge, **changes)
        signature = subprocess.run(["openssl", "dgst", "-sha256", "-sign", (signer or self).path],
                                   input=data + hashlib.sha256(client).digest(), check=True, capture_output=True).stdout
        return {"id": b64(self.id), "authenticator_data": b64(data), "client_data": b64(client),
                "signature": b64(signature), "user": b64(user.encode())}


def post(browser, path, fields):
    browser.page = browser.exchange(
        "POST", path, urllib.parse.urlencode(fields),
        {"Origin": browser.issuer, "Content-Type": "application/x-www-form-urlencoded"})
    return browser.follow()


def ceremony(browser, path):
    """(challenge, form token) of the page's form for passkeys."""
    page = browser.get(path)
    return (re.search(r'data-challenge="([^"]+)"', page.text)[1],
            re.search(r'name="form_token" value="([^"]+)"', page.text)[1])


def enrol(browser, key, **changes):
    challenge, token = ceremony(browser, "/identity/passkeys")
    fields = {"form_token": token, "challenge": challenge, "name": "Test", **key.create(challenge, **changes)}
    return post(browser, "/identity/passkeys", fields)


def enter(gateway, key, user, change_challenge=None, **changes):
    """Logs in by the key alone; (browser, page, fields)."""
    browser = Browser(gateway)
    challenge, token = ceremony(browser, "/identity/login")
    challenge = change_challenge or challenge
    fields = {"form_token": token, "return": "/identity", "challenge": challenge, **key.get(challenge, user, **changes)}
    return browser, post(browser, "/identity/login/passkey", fields), fields


@with_server(more="lockout: {failures: 1000}")
def a_forged_passkey_opens_nothing(gateway):
    user, browser = make_user(gateway, "alice")
    key, other = (Authenticator(gateway.folder, browser.issuer) for _ in range(2))
    # New ones: of another site, another ceremony, nobody present, another host.
    for bad in ({"origin": "https://evil.test"}, {"kind": "webauthn.get"}, {"flags": 0x40}, {"rp": "evil.test"},
                {"crossOrigin": True}):
        assert enrol(browser, key, **bad).status == 422, bad
    page = enrol(browser, key)
    assert "The passkey is ready" in page.text, page.text
    assert enrol(browser, key).status == 422  # it is there already
    for bad in (
        {"origin": "https://evil.test"}, {"kind": "webauthn.create"}, {"rp": "evil.test"}, {"flags": 0x04},
        {"flags": 0x01},  # present, but not verified: too little without a password
        {"signer": other}, {"challenge": b64(secrets.token_bytes(56))}, {"change_challenge": b64(secrets.token_bytes(56))},
    ):
        thief, page, _ = enter(gateway, key, user, **bad)
        assert page.status == 403 and "__Host-sallyport" not in thief.cookies, (bad, page.text)
    for stranger in ("u" + "0" * 32, "", "x" * 200):
        thief, page, _ = enter(gateway, key, stranger)
        assert page.status == 403 and "__Host-sallyport" not in thief.cookies, stranger
    winner, page, fields = enter(gateway, key, user)
    assert "Your account" in page.text, page.text
    # What was sent once is worth nothing a second time, in the same browser too.
    winner.cookies.pop("__Host-sallyport")
    assert post(winner, "/identity/login/passkey", fields).status == 403
    # A challenge of one browser is none for another.
    thief = Browser(gateway)
    challenge, _ = ceremony(Browser(gateway), "/identity/login")
    _, token = ceremony(thief, "/identity/login")
    page = post(thief, "/identity/login/passkey",
                {"form_token": token, "return": "/identity", "challenge": challenge, **key.get(challenge, user)})
    assert page.status == 403
    # A copy that has fallen behind.
    key.counter -= 3
    assert enter(gateway, key, user)[1].status == 403
    assert events(gateway, "passkey.copied")


@with_server(more="lockout: {failures: 3, wait: 1h, max_wait: 1h}")
def guesses_with_forged_passkeys_are_limited(gateway):
    user, browser = make_user(gateway, "alice")
    key, other = (Authenticator(gateway.folder, browser.issuer) for _ in range(2))
    assert "The passkey is ready" in enrol(browser, key).text
    for _ in range(31):  # ten times the failures of an account
        enter(gateway, key, user, signer=other)
    assert enter(gateway, key, user)[1].status == 403


if __name__ == "__main__":
    run([
        guesses_from_many_addresses_are_few_that_count,
        the_time_of_a_refusal_does_not_tell_who_is_known,
        a_code_that_comes_many_times_at_once_opens_once,
        no_form_is_taken_from_another_site,
        a_forged_passkey_opens_nothing,
        guesses_with_forged_passkeys_are_limited,
    ])
