#!/usr/bin/python3
"""Logins through the real program: passwords, sessions, second factor, guessing, forms."""

import json
import os
import re
import subprocess
import tempfile
import time
import urllib.parse

from harness import DEADLINE_S, Service, answer, field, run
from idp import Browser, Client, cli, make_user, server, totp

WRONG = "Name or password is wrong"


def with_server(test):
    """Gives the test a server, and ends it."""

    def wrapped():
        gateway = server()
        try:
            test(gateway)
            assert "ERROR: AddressSanitizer" not in gateway.log_text(), gateway.log_text()
        finally:
            gateway.stop()

    wrapped.__name__ = test.__name__
    return wrapped


@with_server
def the_first_start_prints_a_password_that_is_used_once(gateway):
    Client(gateway).send("GET", "/identity/keys")  # answers when the store is open
    found = re.search(r'user "admin" with the one-time password (\S+)', gateway.log_text())
    assert found, gateway.log_text()
    browser = Browser(gateway)
    page = browser.log_in("admin", found[1])
    assert "Choose a new password" in page.text
    assert "__Host-sallyport" not in browser.cookies
    for bad in ("short", "admin", found[1]):
        page = browser.submit(password=bad)
        assert page.status == 422, (bad, page.status)
    page = browser.submit(password="another long one")
    assert "Your account" in page.text
    assert WRONG in Browser(gateway).log_in("admin", found[1]).text
    assert "Your account" in Browser(gateway).log_in("Admin", "another long one").text


@with_server
def pages_are_safe_and_are_not_stored(gateway):
    page = Browser(gateway).get("/identity/login?return=%2Fapp%2F%22%3E%3Cscript%3E")
    policy = page.field("content-security-policy")
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy, policy
    assert page.field("cache-control") == "no-store"
    assert page.field("x-frame-options") == "DENY"
    # One script, ours, for passkeys; nothing inline.
    assert re.findall("<script[^>]*>", page.text) == ['<script src="/identity/passkey.js" defer>']
    assert "script-src 'self';" in policy and "unsafe" not in policy and "onclick" not in page.text
    assert Browser(gateway).get("/identity/passkey.js").field("content-type").startswith("text/javascript")
    for control in re.findall(r"<input (?![^>]*hidden)[^>]*>", page.text):
        name = re.search(r'id="([^"]+)"', control)[1]
        assert f'<label for="{name}">' in page.text, control
    assert 'lang="en"' in page.text and "viewport" in page.text


def the_theme_is_on_every_page():
    with tempfile.TemporaryDirectory(prefix="sallyport-theme.") as folder:
        os.chmod(folder, 0o755)
        with open(folder + "/logo.svg", "w", encoding="utf-8") as file:
            file.write('<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"></svg>')
        gateway = server(more='theme: {name: "The <Shop>", colour: "#ffe066", background: "#102030", '
                         f'logo: "{folder}/logo.svg"}}')
        try:
            browser = Browser(gateway)
            for path in ("/identity/login", "/identity/nowhere", "/identity/logout"):
                page = browser.get(path)
                assert "The &lt;Shop&gt;" in page.text and 'src="/identity/logo"' in page.text, page.text
            style = browser.get("/identity/style.css").text
            # Words on a light colour are dark.
            assert "--colour:#ffe066" in style and "--background:#102030" in style and "--on:#111" in style, style
            logo = browser.get("/identity/logo")
            assert logo.field("content-type") == "image/svg+xml" and "<svg" in logo.text
            assert "sandbox" in logo.field("content-security-policy")
        finally:
            gateway.stop()


@with_server
def a_login_leads_only_to_places_of_this_server(gateway):
    make_user(gateway, "alice")
    for bad in (
        "https://evil.test/",
        "//evil.test/",
        "/\\evil.test",
        "/%09/evil.test",
        "javascript:alert(1)",
        "/\t/evil.test",
        "\\\\evil.test",
    ):
        browser = Browser(gateway)
        browser.get("/identity/login?return=" + urllib.parse.quote(bad, safe=""))
        page = browser.submit(follow=False, name="alice", password="a long password")
        assert page.status == 303, bad
        target = urllib.parse.urlsplit(page.location)
        assert f"{target.scheme}://{target.netloc}" == browser.issuer, (bad, page.location)


@with_server
def a_form_of_another_site_is_refused(gateway):
    make_user(gateway, "alice")
    cases = (
        {"Origin": "https://evil.test"},
        {"Origin": "null"},
        {},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    )
    for headers in cases:
        browser = Browser(gateway)
        browser.get("/identity/login")
        page = browser.submit(headers=headers, name="alice", password="a long password")
        assert page.status == 403, (headers, page.status)
        assert "__Host-sallyport" not in browser.cookies
    # The right origin, but a token of another browser.
    other, browser = Browser(gateway), Browser(gateway)
    other.get("/identity/login")
    browser.get("/identity/login")
    token = other.form()[1]["form_token"]
    page = browser.submit(name="alice", password="a long password", form_token=token)
    assert page.status == 403


@with_server
def a_session_opens_routes_for_browsers_and_nothing_else(gateway):
    upstream = Service(lambda c, head, n, rest: answer(c, head) or rest)
    gateway.write(open(gateway.config).read().replace("127.0.0.1:9\"", f"127.0.0.1:{upstream.port}\""))
    reload_config(gateway)
    user, browser = make_user(gateway, "alice")
    stranger = Browser(gateway)
    # A browser is sent to the login and back, an API call never.
    page = stranger.get("/app/orders?id=1&x=%C3%A4", follow=False)
    assert page.status == 303 and "/identity/login?return=" in page.location
    page = stranger.follow()
    assert "Log in" in page.text
    page = stranger.submit(name="alice", password="a long password")
    assert page.status == 200 and b"GET /app/orders?id=1&x=%C3%A4" in page.body, page.text
    page = Client(gateway).send("GET", "/app/orders", headers={"Accept": "application/json"})
    assert page.status == 401 and page.field("www-authenticate")
    page = Browser(gateway).exchange("GET", "/api/orders")
    assert page.status == 401 and not page.location
    # A session is nobody's on a route that does not ask for one.
    assert browser.exchange("GET", "/api/orders").status == 401
    # The service learns who it is, but not how to be them.
    page = browser.get("/app/orders")
    assert page.status == 200
    head = page.body
    assert user.encode() in head, head
    assert b"__Host-sallyport" not in head, head
    # What changes something must come from a page of ours.
    assert browser.exchange("POST", "/app/x", "a=1").status == 403
    assert browser.exchange("POST", "/app/x", "a=1", {"Origin": "https://evil.test"}).status == 403
    assert browser.exchange("POST", "/app/x", "a=1", {"Origin": browser.issuer}).status == 200
    # So must what begins with GET and then goes on both ways; other hosts of the site get the cookie, too.
    socket = {"Connection": "Upgrade", "Upgrade": "websocket"}
    assert browser.exchange("GET", "/live", headers=socket).status == 403
    for origin in ("https://other." + browser.issuer.removeprefix("https://"), "null"):
        assert browser.exchange("GET", "/live", headers={**socket, "Origin": origin}).status == 403
    page = browser.exchange("GET", "/live", headers={**socket, "Origin": browser.issuer})
    assert page.status == 200 and b"Upgrade: websocket" in page.body, page.body
    assert browser.exchange("GET", "/live").status == 200
    upstream.close()


def reload_config(gateway):
    """Returns when the new configuration is in use, or another server process with it."""
    before = gateway.log_text()
    gateway.process.send_signal(1)
    until = time.monotonic() + DEADLINE_S
    while gateway.log_text().count("reload.done") == before.count("reload.done"):
        log = gateway.log_text()
        assert log.count("reload.failed") == before.count("reload.failed"), log
        assert time.monotonic() < until, log
        time.sleep(0.05)
    time.sleep(0.3)  # workers take it up one by one


@with_server
def a_reload_keeps_sessions(gateway):
    _, browser = make_user(gateway, "alice")
    reload_config(gateway)
    assert "Your account" in browser.get("/identity").text


@with_server
def a_login_gives_a_new_session_and_ends_the_old_one(gateway):
    _, browser = make_user(gateway, "alice")
    old = browser.cookies["__Host-sallyport"]
    browser.log_in("alice", "a long password")
    assert browser.cookies["__Host-sallyport"] != old
    thief = Browser(gateway)
    thief.cookies["__Host-sallyport"] = old
    assert "Log in" in thief.get("/identity").text
    # A value that an attacker has planted stays worth nothing.
    victim = Browser(gateway)
    victim.cookies["__Host-sallyport"] = "planted"
    victim.log_in("alice", "a long password")
    assert victim.cookies["__Host-sallyport"] != "planted"


@with_server
def a_session_is_shown_and_ended_by_its_owner_only(gateway):
    _, alice = make_user(gateway, "alice")
    _, bob = make_user(gateway, "bob")
    second = Browser(gateway)
    second.log_in("alice", "a long password")
    sessions = cli(gateway, "session", "list", "--user", "alice")
    assert len(sessions) == 2
    for session in sessions:
        assert session["id"] not in (alice.cookies["__Host-sallyport"], second.cookies["__Host-sallyport"])
    bob.get("/identity")
    token = bob.form()[1]["form_token"]
    bob.exchange(
        "POST",
        "/identity/sessions/end",
        urllib.parse.urlencode({"form_token": token, "session": sessions[0]["id"]}),
        {"Origin": bob.issuer, "Content-Type": "application/x-www-form-urlencoded"},
    )
    assert len(cli(gateway, "session", "list", "--user", "alice")) == 2
    alice.get("/identity")
    alice.submit()
    left = cli(gateway, "session", "list", "--user", "alice")
    assert len(left) == 1, (sessions, left)
    assert "Log in" in second.get("/identity").text
    assert "Your account" in alice.get("/identity").text


@with_server
def logging_out_ends_the_session(gateway):
    _, browser = make_user(gateway, "alice")
    cookie = browser.cookies["__Host-sallyport"]
    browser.get("/identity/logout")
    page = browser.submit()
    assert "You are logged out" in page.text
    assert "__Host-sallyport" not in browser.cookies
    browser.cookies["__Host-sallyport"] = cookie
    assert "Log in" in browser.get("/identity").text


def without_tokens(page):
    return re.sub(r'(value|data-challenge)="[^"]*"', "", page.text)


@with_server
def unknown_wrong_and_locked_get_the_same_answer(gateway):
    make_user(gateway, "alice")
    answers = []
    for name, password in [("nobody", "x"), ("alice", "x"), ("a b", "x"), ("alice", "")]:
        browser = Browser(gateway)
        browser.get("/identity/login")
        page = browser.submit(name=name, password=password)
        answers.append((page.status, without_tokens(page)))
    assert len(set(answers)) == 1 and answers[0][0] == 403, answers
    for _ in range(3):
        Browser(gateway).log_in("alice", "guess")
    # Locked: the right password is as wrong as any other, and so is the answer.
    page = Browser(gateway).log_in("alice", "a long password")
    assert (page.status, without_tokens(page)) == answers[0]
    cli(gateway, "user", "unlock", "alice")
    assert "Your account" in Browser(gateway).log_in("alice", "a long password").text


@with_server
def strangers_cannot_lock_a_known_device_out(gateway):
    _, browser = make_user(gateway, "alice")
    for _ in range(5):
        Browser(gateway).log_in("alice", "guess")
    assert WRONG in Browser(gateway).log_in("alice", "a long password").text
    browser.get("/identity/logout")
    browser.submit()
    assert "Your account" in browser.log_in("alice", "a long password").text
    # But a stolen device is no way around the count.
    browser.get("/identity/logout")
    browser.submit()
    for _ in range(4):
        browser.log_in("alice", "guess")
    assert WRONG in browser.log_in("alice", "a long password").text
    # An administrator lets all of the user's devices in again.
    cli(gateway, "user", "unlock", "alice")
    assert "Your account" in browser.log_in("alice", "a long password").text


@with_server
def a_disabled_user_is_out_at_once(gateway):
    _, browser = make_user(gateway, "alice")
    cli(gateway, "user", "set", "alice", "--disable")
    assert "Log in" in browser.get("/identity").text
    assert WRONG in browser.log_in("alice", "a long password").text
    cli(gateway, "user", "set", "alice", "--enable")
    assert "Your account" in browser.log_in("alice", "a long password").text


def turn_totp_on(browser):
    page = browser.get("/identity/second-factor")
    secret = re.search(r"<code>([A-Z2-7]+)</code>", page.text)[1]
    assert browser.submit(code="000000").status == 422
    page = browser.submit(code=totp(secret, -1))
    codes = re.findall(r"<code>([a-z0-9-]+)</code>", page.text)
    assert len(codes) == 10, page.text
    return secret, codes


@with_server
def the_key_of_a_second_factor_is_shown_as_a_code_to_scan(gateway):
    _, browser = make_user(gateway, "alice")
    page = browser.get("/identity/second-factor")
    code = re.search(r'<svg role="img" aria-label="QR code[^"]+" width="232" height="232" '
                     r'viewBox="0 0 (\d+) \1" .*?</svg>', page.text)
    secret = re.search(r"<code>([A-Z2-7]+)</code>", page.text)[1]
    assert code and "style" not in code[0] and "script" not in page.text, page.text
    assert "default-src 'none'" in page.field("content-security-policy")
    side = int(code[1])
    dark = [[False] * side for _ in range(side)]
    for x, y, run, back in re.findall(r"M(\d+) (\d+)h(\d+)v1h-(\d+)z", code[0]):
        assert run == back
        dark[int(y)][int(x):int(x) + int(run)] = [True] * int(run)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "code.pgm")
        with open(path, "wb") as image:
            image.write(b"P5 %d %d 255\n" % (side * 4, side * 4))
            for row in dark:
                image.write(b"".join(b"\0\0\0\0" if module else b"\xff\xff\xff\xff"
                                     for module in row) * 4)
        seen = subprocess.run(["zbarimg", "--quiet", "--raw", path], check=True,
                              capture_output=True, text=True, timeout=30).stdout
    assert seen.strip() == "otpauth://totp/alice?secret=%s&issuer=Sallyport" % secret, seen


@with_server
def a_second_factor_is_asked_for_and_its_codes_are_used_once(gateway):
    _, browser = make_user(gateway, "alice")
    secret, recovery = turn_totp_on(browser)
    other = Browser(gateway)
    page = other.log_in("alice", "a long password")
    assert "One-time code" in page.text
    assert "__Host-sallyport" not in other.cookies
    # Half a login opens nothing.
    assert "Log in" in Browser(gateway).get("/identity").text
    assert other.submit(code="123456").status == 403
    code = totp(secret)
    page = other.submit(code=code)
    assert "Your account" in page.text, page.text
    third = Browser(gateway)
    third.log_in("alice", "a long password")
    assert third.submit(code=code).status == 403
    assert "Your account" in third.submit(code=recovery[0]).text
    fourth = Browser(gateway)
    fourth.log_in("alice", "a long password")
    assert fourth.submit(code=recovery[0]).status == 403


@with_server
def guesses_of_codes_are_limited(gateway):
    _, browser = make_user(gateway, "alice")
    _, recovery = turn_totp_on(browser)
    other = Browser(gateway)
    other.log_in("alice", "a long password")
    for guess in range(4):
        assert other.submit(code="%06d" % guess).status == 403
    assert other.submit(code=recovery[0]).status == 403
    cli(gateway, "user", "unlock", "alice")
    other = Browser(gateway)
    other.log_in("alice", "a long password")
    assert "Your account" in other.submit(code=recovery[0]).text


@with_server
def a_second_factor_is_replaced_only_by_who_has_it(gateway):
    _, browser = make_user(gateway, "alice")
    before = browser.cookies["__Host-sallyport"]
    secret, _ = turn_totp_on(browser)
    # The session goes on under a new id, with what it has just shown.
    assert browser.cookies["__Host-sallyport"] != before
    thief = Browser(gateway)
    thief.cookies["__Host-sallyport"] = before
    assert "Log in" in thief.get("/identity").text
    assert "replaces it" in browser.get("/identity/second-factor").text
    # A login that is old does not do, nor does the password alone.
    text = open(gateway.config).read()
    gateway.write(text.replace("  roles: {clerk", "  session: {fresh: 1s}\n  roles: {clerk"))
    reload_config(gateway)
    time.sleep(2.1)
    page = browser.get("/identity/second-factor")
    assert "Password" in page.text and "Log in" in page.text
    page = browser.submit(name="alice", password="a long password")
    assert "Code" in page.text
    page = browser.submit(code=totp(secret, 1))
    assert "replaces it" in page.text, page.text


@with_server
def a_hash_with_old_parameters_is_renewed_at_login(gateway):
    _, browser = make_user(gateway, "alice")
    before = cli(gateway, "user", "export", "--secrets")
    gateway.write(open(gateway.config).read().replace("passes: 1", "passes: 2"))
    reload_config(gateway)
    browser.log_in("alice", "a long password")
    after = cli(gateway, "user", "export", "--secrets")
    hashes = [
        next(user["password_hash"] for user in users if user["name"] == "alice")
        for users in (before, after)
    ]
    assert "t=1" in hashes[0] and "t=2" in hashes[1], hashes
    assert "Your account" in browser.log_in("alice", "a long password").text


@with_server
def users_move_from_one_store_to_another(gateway):
    make_user(gateway, "alice", "a long password", "--roles", "clerk", "--email", "a@b.test")
    lines = "\n".join(json.dumps(user) for user in cli(gateway, "user", "export", "--secrets"))
    other = server()
    try:
        Client(other).send("GET", "/identity/keys")  # answers when the administrator is made
        assert cli(other, "user", "import", stdin=lines)[0]["created"] == 1
        assert cli(other, "user", "show", "alice")[0]["roles"] == ["clerk"]
        assert "Your account" in Browser(other).log_in("alice", "a long password").text
        error = cli(other, "user", "import", stdin='{"name":"x"}\n{"name":"a b"}\n', status=1)
        assert "line 2" in error, error
    finally:
        other.stop()


@with_server
def commands_and_logins_are_audited_without_secrets(gateway):
    _, browser = make_user(gateway, "alice")
    Browser(gateway).log_in("alice", "wrong guess")
    cli(gateway, "user", "set", "alice", "--roles", "clerk")
    time.sleep(0.5)
    with open(gateway.folder + "/audit.log", encoding="utf-8") as file:
        text = file.read()
    for event in ("user.created", "login.succeeded", "login.failed", "user.changed",
                  "user.password_changed"):
        assert f'"{event}"' in text, (event, text)
    for secret in ("a long password", "wrong guess", browser.cookies.get("__Host-sallyport", "-")):
        assert secret not in text and secret not in gateway.log_text()


if __name__ == "__main__":
    run([
        the_first_start_prints_a_password_that_is_used_once,
        pages_are_safe_and_are_not_stored,
        the_theme_is_on_every_page,
        a_login_leads_only_to_places_of_this_server,
        a_form_of_another_site_is_refused,
        a_session_opens_routes_for_browsers_and_nothing_else,
        a_reload_keeps_sessions,
        a_login_gives_a_new_session_and_ends_the_old_one,
        a_session_is_shown_and_ended_by_its_owner_only,
        logging_out_ends_the_session,
        unknown_wrong_and_locked_get_the_same_answer,
        strangers_cannot_lock_a_known_device_out,
        a_disabled_user_is_out_at_once,
        the_key_of_a_second_factor_is_shown_as_a_code_to_scan,
        a_second_factor_is_asked_for_and_its_codes_are_used_once,
        guesses_of_codes_are_limited,
        a_second_factor_is_replaced_only_by_who_has_it,
        a_hash_with_old_parameters_is_renewed_at_login,
        users_move_from_one_store_to_another,
        commands_and_logins_are_audited_without_secrets,
    ])
