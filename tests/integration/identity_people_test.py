#!/usr/bin/python3
"""What people do for themselves: accounts, forgotten passwords, addresses, codes, staying logged in."""

import json
import re
import sqlite3
import time
import urllib.parse

from harness import Service, answer, field, run
from idp import Browser, Client, cli, make_user, server, totp
from smtp import MailServer

WRONG = "Name or password is wrong"
GONE = "not good any more"


class World:
    def __init__(self, more):
        self.mail = MailServer()
        self.sms = []
        self.provider = Service(self.take_sms)
        self.gateway = server(
            more=more.replace("{sms}", str(self.provider.port)),
            top=f'mail: {{url: "{self.mail.url}", from: "gate@shop.test", tls: "off"}}',
        )

    def take_sms(self, connection, head, number, rest):
        length = int(field(head, "content-length")[0])
        while len(rest) < length:
            rest += connection.recv(65536)
        self.sms.append((head, rest[:length]))
        answer(connection, b"{}")
        return rest[length:]

    def stop(self):
        self.gateway.stop()
        self.mail.close()
        self.provider.close()


def in_world(more="accounts: {registration: true, roles: [clerk], domains: [example.test]}"):
    def decorate(test):
        def wrapped():
            world = World(more)
            try:
                test(world)
                assert "ERROR: AddressSanitizer" not in world.gateway.log_text(), world.gateway.log_text()
            finally:
                world.stop()

        wrapped.__name__ = test.__name__
        return wrapped

    return decorate


def link_in(message):
    found = re.search(r"https?://\S+token=\S+", message.get_content())
    assert found, message.get_content()
    parts = urllib.parse.urlsplit(found[0])
    return parts.path + "?" + parts.query


def code_in(text):
    return re.search(r"\b(\d{8})\b", text)[1]


def verify_address(world, browser, email="alice@example.test", count=1):
    browser.get("/identity/security")
    fields = {"form_token": browser.form()[1]["form_token"], "email": email}
    page = post(browser, "/identity/security/email", fields)
    assert "on its way" in page.text, page.text
    link = link_in(world.mail.wait(count, email))
    Browser(world.gateway).get(link)  # looking at it changes nothing
    browser.get(link)
    page = browser.submit()
    assert "Thank you" in page.text, page.text


def post(browser, path, fields):
    browser.page = browser.exchange(
        "POST", path, urllib.parse.urlencode(fields),
        {"Origin": browser.issuer, "Content-Type": "application/x-www-form-urlencoded"})
    return browser.follow()


@in_world()
def an_account_is_made_by_who_can_read_the_mail(world):
    browser = Browser(world.gateway)
    browser.get("/identity/login")
    assert "/identity/register-account" in browser.page.text
    browser.get("/identity/register-account")
    for bad in ("nobody", "a@elsewhere.test", "a@example.test\r\nBcc: b@example.test"):
        assert browser.submit(email=bad).status in (422, 400), bad
        browser.get("/identity/register-account")
    page = browser.submit(email="Bob@Example.test")
    assert "A mail is on its way" in page.text
    link = link_in(world.mail.wait(1, "bob@example.test"))
    # Nobody is there yet, and following the link alone makes nobody.
    assert cli(world.gateway, "user", "show", "bob@example.test", status=1)
    page = browser.get(link)
    assert page.field("referrer-policy") == "no-referrer" and page.field("cache-control") == "no-store"
    assert browser.submit(display="Bob", password="short").status == 422
    page = browser.submit(display="Bob", password="a long password")
    assert "Your account" in page.text, page.text
    user = cli(world.gateway, "user", "show", "bob@example.test")[0]
    assert user["email_verified"] and user["roles"] == ["clerk"] and user["display"] == "Bob"
    assert GONE in Browser(world.gateway).get(link).text
    # Asked again, the page says the same; only the owner of the address learns the difference.
    again = Browser(world.gateway)
    again.get("/identity/register-account")
    page = again.submit(email="bob@example.test")
    assert "A mail is on its way" in page.text
    assert "has one already" in world.mail.wait(2, "bob@example.test").get_content()


@in_world("accounts: {registration: false}")
def accounts_are_made_only_where_that_is_switched_on(world):
    browser = Browser(world.gateway)
    assert "register-account" not in browser.get("/identity/login").text
    assert browser.get("/identity/register-account").status == 404


@in_world()
def a_forgotten_password_is_reset_once_by_mail(world):
    _, browser = make_user(world.gateway, "alice")
    verify_address(world, browser)
    answers = set()
    for name in ("alice", "ALICE@example.test", "nobody", "nobody@example.test"):
        stranger = Browser(world.gateway)
        stranger.get("/identity/reset")
        page = stranger.submit(name=name)
        answers.add((page.status, re.sub(r'value="[^"]*"', "", page.text)))
    assert len(answers) == 1 and next(iter(answers))[0] == 200, answers
    link = link_in(world.mail.wait(3, "alice@example.test"))
    assert not [m for m in world.mail.mails if "nobody" in m[0][0]]
    store = open(world.gateway.folder + "/id.db", "rb").read() + open(world.gateway.folder + "/id.db-wal", "rb").read()
    assert link.split("token=")[1].encode() not in store
    stranger.get(link)
    assert stranger.submit(password="alice").status == 422
    page = stranger.submit(password="quite another one")
    assert "The password is set" in page.text, page.text
    assert "was changed" in world.mail.wait(4, "alice@example.test").get_content()
    # Sessions from before are over, the old password too, and the link.
    assert "Log in" in browser.get("/identity").text
    assert WRONG in Browser(world.gateway).log_in("alice", "a long password").text
    assert "Your account" in Browser(world.gateway).log_in("alice", "quite another one").text
    assert GONE in stranger.get(link).text
    # The other of the two links is still good, until it is used: it was sent to the same person.


@in_world()
def an_address_that_is_not_verified_resets_nothing(world):
    make_user(world.gateway, "alice", "a long password", "--email", "alice@example.test")
    stranger = Browser(world.gateway)
    stranger.get("/identity/reset")
    assert stranger.submit(name="alice").status == 200
    time.sleep(0.5)
    assert not world.mail.mails


@in_world("codes: {per_hour: 3}")
def mails_to_one_user_are_limited(world):
    _, browser = make_user(world.gateway, "alice")
    verify_address(world, browser)
    for _ in range(5):
        stranger = Browser(world.gateway)
        stranger.get("/identity/reset")
        assert stranger.submit(name="alice").status == 200
    # One to verify the address, and three of those that anybody can ask for.
    world.mail.wait(4, "alice@example.test")
    time.sleep(0.5)
    assert len(world.mail.mails) == 4, world.mail.mails


CODES = """codes: {email: true, attempts: 3}
  lockout: {failures: 50}
  sms:
    url: "http://127.0.0.1:{sms}/send"
    body: '{"to": "{to}", "message": "{text}"}'
    headers: {Authorization: "Bearer {secret}"}
    secret: "sesame"
  session: {remember: 30d}"""


@in_world(CODES)
def a_code_by_mail_is_a_second_factor(world):
    _, browser = make_user(world.gateway, "alice")
    verify_address(world, browser)
    page = browser.get("/identity/security")
    token = re.search(r'name="form_token" value="([^"]+)"', page.text)[1]
    page = post(browser, "/identity/security/channel", {"form_token": token, "channel": "email", "on": "1"})
    assert "Codes are on" in page.text, page.text
    other = Browser(world.gateway)
    page = other.log_in("alice", "a long password")
    assert "Send a code by e-mail" in page.text, page.text
    assert "__Host-sallyport" not in other.cookies
    token = re.search(r'name="form_token" value="([^"]+)"', page.text)[1]
    page = post(other, "/identity/login/send", {"form_token": token, "channel": "email"})
    assert "a***@example.test" in page.text, page.text
    code = code_in(world.mail.wait(2, "alice@example.test").get_content())
    wrong = "%08d" % ((int(code) + 1) % 100000000)
    assert other.submit(code=wrong).status == 403
    page = other.submit(code=code)
    assert "Your account" in page.text, page.text
    # A code is good once, in the login that it was asked for in.
    third = Browser(world.gateway)
    third.log_in("alice", "a long password")
    assert third.submit(code=code).status == 403
    # Guesses use a code up.
    post(third, "/identity/login/send", {"form_token": third.form()[1]["form_token"], "channel": "email"})
    code = code_in(world.mail.wait(3, "alice@example.test").get_content())
    for guess in range(3):
        assert third.submit(code="%08d" % ((int(code) + 1 + guess) % 100000000)).status == 403
    assert third.submit(code=code).status == 403


@in_world(CODES)
def a_code_by_sms_is_a_second_factor(world):
    _, browser = make_user(world.gateway, "alice")
    page = browser.get("/identity/security")
    token = re.search(r'name="form_token" value="([^"]+)"', page.text)[1]
    for bad in ("12345", "+1", 'x", "to": "+4912345678'):
        assert post(browser, "/identity/security/phone", {"form_token": token, "phone": bad}).status == 422
    page = post(browser, "/identity/security/phone", {"form_token": token, "phone": "+49 (151) 234-5678"})
    assert "Is this your phone?" in page.text, page.text
    until = time.monotonic() + 10
    while not world.sms and time.monotonic() < until:
        time.sleep(0.05)
    head, body = world.sms[0]
    assert head.startswith(b"POST /send ") and field(head, "authorization") == ["Bearer sesame"], head
    sent = json.loads(body)
    assert sent["to"] == "+491512345678"
    page = browser.submit(code=code_in(sent["message"]))
    assert "Codes by SMS are on" in page.text, page.text
    other = Browser(world.gateway)
    page = other.log_in("alice", "a long password")
    token = re.search(r'name="form_token" value="([^"]+)"', page.text)[1]
    page = post(other, "/identity/login/send", {"form_token": token, "channel": "sms"})
    assert "+49***78" in page.text, page.text
    while len(world.sms) < 2 and time.monotonic() < until:
        time.sleep(0.05)
    page = other.submit(code=code_in(json.loads(world.sms[1][1])["message"]))
    assert "Your account" in page.text, page.text


@in_world(CODES)
def who_is_remembered_need_not_log_in_until_the_token_is_stolen(world):
    make_user(world.gateway, "alice")
    browser = Browser(world.gateway)
    page = browser.get("/identity/login")
    assert "Keep me logged in" in page.text
    browser.submit(name="alice", password="a long password", remember="1")
    first = browser.cookies["__Host-sallyport-remember"]
    assert first != browser.cookies["__Host-sallyport"]
    del browser.cookies["__Host-sallyport"]
    assert "Your account" in browser.get("/identity").text
    assert browser.cookies["__Host-sallyport-remember"] != first
    # It opens nothing where factors are changed, and nothing that asks for more.
    sessions = cli(world.gateway, "session", "list", "--user", "alice")
    assert len(sessions) >= 2
    # A stranger with the old token, later than the moment in which a page may use it twice.
    database = world.gateway.folder + "/id.db"
    with sqlite3.connect(database) as db:
        rows = db.execute("select id, value from sallyport_record where kind = cast('remember' as blob)").fetchall()
        for key, value in rows:
            text = re.sub(r'"used":\d{5,}', '"used":1000', bytes(value).decode())
            db.execute("update sallyport_record set value = ? "
                       "where kind = cast('remember' as blob) and id = ?", (text.encode(), key))
    thief = Browser(world.gateway)
    thief.cookies["__Host-sallyport-remember"] = first
    assert "Log in" in thief.get("/identity").text
    # The owner's token has ended with it.
    del browser.cookies["__Host-sallyport"]
    assert "Log in" in browser.get("/identity").text
    # Logging out forgets.
    browser.get("/identity/login")
    browser.submit(name="alice", password="a long password", remember="1")
    token = browser.cookies["__Host-sallyport-remember"]
    browser.get("/identity/logout")
    browser.submit()
    assert "__Host-sallyport-remember" not in browser.cookies
    thief.cookies["__Host-sallyport-remember"] = token
    assert "Log in" in thief.get("/identity").text


@in_world()
def a_password_is_changed_by_who_knows_the_old_one(world):
    _, browser = make_user(world.gateway, "alice")
    other = Browser(world.gateway)
    other.log_in("alice", "a long password")
    page = browser.get("/identity/security")
    token = re.search(r'name="form_token" value="([^"]+)"', page.text)[1]
    fields = {"form_token": token, "current": "wrong", "password": "quite another one"}
    assert post(browser, "/identity/security/password", fields).status == 403
    before = browser.cookies["__Host-sallyport"]
    page = post(browser, "/identity/security/password", {**fields, "current": "a long password"})
    assert "The password is changed" in page.text, page.text
    assert browser.cookies["__Host-sallyport"] != before
    assert "Log in" in other.get("/identity").text
    assert "Your account" in browser.get("/identity").text
    assert "Your account" in Browser(world.gateway).log_in("alice", "quite another one").text


if __name__ == "__main__":
    run([
        an_account_is_made_by_who_can_read_the_mail,
        accounts_are_made_only_where_that_is_switched_on,
        a_forgotten_password_is_reset_once_by_mail,
        an_address_that_is_not_verified_resets_nothing,
        mails_to_one_user_are_limited,
        a_code_by_mail_is_a_second_factor,
        a_code_by_sms_is_a_second_factor,
        who_is_remembered_need_not_log_in_until_the_token_is_stolen,
        a_password_is_changed_by_who_knows_the_old_one,
    ])
