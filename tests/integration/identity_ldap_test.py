#!/usr/bin/python3
"""Passwords that a directory knows, on a real slapd: TLS, names that are meant to be more, and what
holds while the directory is away."""

import json
import socket
import subprocess
import threading
import time
import urllib.request

from harness import DEADLINE_S, PROGRAM, Gateway, Skip, run
from idp import CONFIG, Browser, Flow, cli, in_worlds, make_user, server
from identity_attack_test import Authenticator, enrol, enter
from identity_federation_test import Provider, linking, log_in_elsewhere
from identity_login_test import reload_config
from jose import certificate
from ldap_server import BASE, GROUPS, PEOPLE, READER, READER_PASSWORD, Directory, group, person

PASSWORD = "a long password"
WRONG, AWAY, IN = "Name or password is wrong", "cannot be asked now", "Your account"
SEARCH = f'base: "{BASE}", bind_dn: "{READER}", bind_password: "{READER_PASSWORD}"'
MAP = 'role_map: [{value: clerks, roles: [clerk]}, {value: "cn=chiefs,' + GROUPS + '", roles: [clerk, chief]}]'


def entry(url, more=SEARCH, name="staff"):
    return f'{{name: {name}, url: "{url}", {more}}}'


class World:
    """A directory with alice and bob, and a gate that asks it."""

    def __init__(self, more=SEARCH, url=None, lockout="{failures: 3, wait: 1h, max_wait: 1h, answer: 0}", identity="",
                 directory=None, top=""):
        self.directory = directory or Directory()
        self.directory.add(person("alice"), person("bob", cn="Bob <b>"), group("clerks", "alice", "bob"))
        url = url or self.directory.socket
        text = f"ldap: [{entry(url, more)}]\n  lockout: {lockout}\n  {identity}"
        self.gateway = server(more=text, top=top)

    def log_in(self, name, password=PASSWORD, browser=None):
        return (browser or Browser(self.gateway)).log_in(name, password)

    def users(self):
        return {user["name"]: user for user in cli(self.gateway, "user", "list")}

    def audit(self):
        with open(self.gateway.folder + "/audit.log", encoding="utf-8") as file:
            return [json.loads(line) for line in file]

    def events(self, name):
        return [event for event in self.audit() if name in json.dumps(event)]

    def close(self):
        self.gateway.stop()
        self.directory.stop()


in_world = in_worlds(World)


@in_world(f"{SEARCH}, roles: [guest], {MAP}")
def a_user_of_the_directory_logs_in_and_is_a_user_here(world):
    page = world.log_in("Alice")
    assert IN in page.text, (page.text, world.gateway.log_text())
    alice = world.users()["alice"]
    assert alice["display"] == "Alice" and alice["email"] == "alice@example.test", alice
    assert not alice["email_verified"] and not alice["has_password"], alice
    assert sorted(alice["roles"]) == ["clerk", "guest"] and alice["groups"] == [], alice
    assert len(alice["links"]) == 1 and alice["links"][0].startswith("directory:staff "), alice
    assert world.events("user.created_by_directory")
    # The same user at the next login, with what the directory says then.
    world.directory.modify(f"dn: cn=clerks,{GROUPS}\nchangetype: modify\ndelete: member\nmember: uid=alice,{PEOPLE}\n")
    world.directory.add(group("chiefs", "alice"))
    assert IN in world.log_in("alice").text
    again = world.users()["alice"]
    assert again["id"] == alice["id"] and sorted(again["roles"]) == ["chief", "clerk", "guest"], again
    world.directory.remove(f"cn=chiefs,{GROUPS}")
    world.directory.modify(f"dn: uid=alice,{PEOPLE}\nchangetype: modify\nreplace: mail\nmail: al@example.test\n")
    browser = Browser(world.gateway)
    assert IN in world.log_in("alice", browser=browser).text
    again = world.users()["alice"]
    assert again["roles"] == ["guest"] and again["email"] == "al@example.test", again
    # The password is not changed here.
    assert "that of the directory" in browser.get("/identity/security").text
    assert len(world.users()) == 2


@in_world(f"{SEARCH}, attributes: {{groups: description}}, group_search: {{base: \"{GROUPS}\"}}, keep_groups: true, "
          "trust_email: true")
def groups_that_name_their_members_are_searched_for(world):
    assert IN in world.log_in("alice").text, world.gateway.log_text()
    alice = world.users()["alice"]
    assert alice["groups"] == ["clerks"] and alice["email_verified"], alice


@in_world(f"user_dn: \"uid={{name}},{PEOPLE}\"")
def a_password_is_tried_without_a_search_where_the_entry_is_known(world):
    assert IN in world.log_in("alice").text, world.gateway.log_text()
    assert world.users()["alice"]["email"] == "alice@example.test"
    # What has a meaning in a DN has none in a name; letters that only look the same are nobody's.
    for name in ("alice,ou=people", "alice+sn=doe", "alice\\2c", "\uff41lice", "*", "", '"alice"', "alice#"):
        page = world.log_in(name)
        assert page.status == 403 and WRONG in page.text, (name, page.text)
    assert list(world.users()) == ["admin", "alice"] or len(world.users()) == 2


@in_world()
def a_name_is_a_name_and_no_part_of_a_filter(world):
    for name in ("*", "a*", "alice)(uid=*", "*)(|(uid=alice", "alice))(&(uid=alice", "alice\\", "\\61lice", "alice*",
                 "alice)(objectclass=*)"):
        page = world.log_in(name)
        assert page.status == 403 and WRONG in page.text, (name, page.text)
    assert list(world.users()) == ["admin"]
    assert IN in world.log_in("alice").text


@in_world()
def an_empty_password_is_nobodys(world):
    # slapd lets it pass as anonymous (RFC 4513 section 5.1.2); the test makes sure that it would.
    world.directory.end()
    with open(world.directory.folder + "/slapd.conf", encoding="utf-8") as file:
        text = file.read()
    with open(world.directory.folder + "/slapd.conf", "w", encoding="utf-8") as file:
        file.write("allow bind_anon_cred bind_anon_dn\n" + text)
    world.directory.start()
    done = subprocess.run(["ldapsearch", "-x", "-H", world.directory.socket, "-D", f"uid=alice,{PEOPLE}", "-w", "",
                           "-b", "", "-s", "base"], capture_output=True, text=True, check=False, timeout=20)
    assert done.returncode == 0, done.stderr
    page = world.log_in("alice", "")
    assert page.status == 403 and WRONG in page.text, page.text
    for password in ("\0", "\0" + PASSWORD):
        assert world.log_in("alice", password).status == 400, password
    assert list(world.users()) == ["admin"]


@in_world(f"{SEARCH}, filter: \"(|(uid={{name}})(mail={{name}}))\"")
def guesses_are_counted_for_the_entry_whatever_it_is_called(world):
    pages = [world.log_in(name, "guess") for name in ("alice", "alice@example.test", "alice", "alice@example.test")]
    pages.append(world.log_in("nobody", "guess"))
    # Locked, and told as one who is unknown.
    pages += [world.log_in(name) for name in ("alice", "alice@example.test")]
    assert all(page.status == 403 and WRONG in page.text for page in pages), [page.text for page in pages]
    assert len(world.events("login.locked")) >= 1
    assert list(world.users()) == ["admin"]
    assert IN in world.log_in("bob@example.test").text, world.gateway.log_text()
    assert "bob" in world.users()
    # By either name the same user.
    assert IN in world.log_in("bob").text
    assert len(world.users()) == 2


@in_world()
def of_many_guesses_few_reach_the_directory(world):
    for _ in range(6):
        assert world.log_in("alice", "guess").status == 403
    before = len(world.events("login.failed"))
    assert before == 3, before
    assert world.log_in("alice").status == 403  # the right one, in vain
    assert len(world.events("login.locked")) == 4
    # The owner is let in again by an administrator.
    cli(world.gateway, "user", "unlock", "alice", status=1)  # nobody here has the name yet


def a_user_here_goes_before_one_of_the_directory():
    world = World()
    try:
        make_user(world.gateway, "bob", "another long password")
        page = world.log_in("bob")
        assert page.status == 403 and WRONG in page.text, page.text
        assert IN in world.log_in("bob", "another long password").text
        assert world.users()["bob"]["links"] == []
    finally:
        world.close()


@in_world()
def who_is_disabled_here_stays_out(world):
    browser = Browser(world.gateway)
    assert IN in world.log_in("alice", browser=browser).text
    cli(world.gateway, "user", "set", "alice", "--disable")
    assert IN not in browser.get("/identity").text
    page = world.log_in("alice")
    assert page.status == 403 and WRONG in page.text, page.text
    assert world.users()["alice"]["disabled"]
    cli(world.gateway, "user", "unlock", "alice")
    cli(world.gateway, "user", "set", "alice", "--enable")
    assert IN in world.log_in("alice").text


@in_world()
def a_name_that_is_given_to_another_entry_is_not_the_same_user(world):
    assert IN in world.log_in("alice").text
    world.directory.remove(f"uid=alice,{PEOPLE}")
    assert world.log_in("alice").status == 403
    world.directory.add(person("alice", "another long password"))
    page = world.log_in("alice", "another long password")
    assert page.status == 403 and WRONG in page.text, page.text
    assert "another entry" in world.gateway.log_text()
    assert len(world.users()["alice"]["links"]) == 1


@in_world(f"{SEARCH}, create: false")
def nobody_is_made_unless_that_is_wanted(world):
    page = world.log_in("alice")
    assert page.status == 403 and WRONG in page.text, page.text
    assert list(world.users()) == ["admin"]


@in_world(f"{SEARCH}, filter: \"(|(uid={{name}})(sn={{name}}))\"")
def a_name_of_several_entries_is_nobodys(world):
    page = world.log_in("doe")
    assert page.status == 403 and WRONG in page.text, page.text
    assert IN in world.log_in("alice").text


def tls_is_verified_and_there_before_anything_is_said():
    directory = Directory()
    gateway = None
    try:
        directory.add(person("alice"))
        other = certificate(directory.folder, "other", "/CN=other")
        good = f'{SEARCH}, ca: "{directory.ca}.pem"'
        named = {
            "ldaps://127.0.0.1:%d" % directory.tls_port: (
                (good, True), (f'{SEARCH}, ca: "{other}.pem"', False), (SEARCH, False),
                (f"{SEARCH}, verify: false", True)),
            # A certificate of another name.
            "ldaps://localhost:%d" % directory.tls_port: ((good, False),),
            "ldap://127.0.0.1:%d" % directory.port: (
                (good, True), (f'{SEARCH}, ca: "{other}.pem"', False), (f"{good}, start_tls: false", True)),
            "ldap://localhost:%d" % directory.port: ((good, False),),
            # TLS where none is.
            "ldaps://127.0.0.1:%d" % directory.port: ((f"{good}, timeout: 1s", False),),
        }
        for url, cases in named.items():
            for more, works in cases:
                gateway = server(more=f"ldap: [{entry(url, more)}]")
                page = Browser(gateway).log_in("alice", PASSWORD)
                if works:
                    assert IN in page.text, (url, more, page.text, gateway.log_text())
                else:
                    assert page.status == 503 and AWAY in page.text, (url, more, page.text)
                    assert "identity.directory" in gateway.log_text(), gateway.log_text()
                gateway.stop()
    finally:
        if gateway:
            gateway.stop()
        directory.stop()


@in_world(top="", identity="oauth: {password_grant: on}")
def while_the_directory_is_away_users_here_log_in_and_others_are_told(world):
    make_user(world.gateway, "carol")
    assert IN in world.log_in("alice").text
    secret = cli(world.gateway, "client", "create", "old", "--grants", "password")[0]["client_secret"]
    world.directory.end()
    ask = lambda name, password: Browser(world.gateway).token(
        secret=secret, client_id="old", grant_type="password", username=name, password=password)
    for name in ("alice", "bob", "nobody"):
        page = world.log_in(name)
        assert page.status == 503 and AWAY in page.text, (name, page.text)
        assert ask(name, PASSWORD).status == 503
    assert IN in world.log_in("carol").text
    assert ask("carol", PASSWORD).status == 200
    # Who does not know the password is not told whose it is, and is counted.
    for _ in range(3):
        page = world.log_in("carol", "guess")
        assert page.status == 503 and AWAY in page.text, page.text
    page = world.log_in("carol")
    assert page.status == 503 and AWAY in page.text, page.text
    assert world.events("login.locked") and world.events("login.directory_away")
    # Nobody was locked out by it who could not be judged.
    for _ in range(4):
        world.log_in("alice")
    world.directory.start()
    time.sleep(2.1)  # it is left alone for two seconds after a failure
    page = world.log_in("alice")
    assert IN in page.text, (page.text, world.gateway.log_text())
    assert ask("alice", PASSWORD).status == 200
    assert ask("alice", "guess").json["error"] == "invalid_grant"
    assert world.log_in("carol").status == 403  # still locked


def a_directory_that_hangs_holds_up_nobody_here():
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)  # takes connections, and says nothing
    url = f"ldap://127.0.0.1:{listener.getsockname()[1]}"
    gateway = server(more=f"ldap: [{entry(url, SEARCH + ', start_tls: false, timeout: 3s')}]\n"
                          "  lockout: {failures: 50, answer: 0}")
    try:
        make_user(gateway, "carol")
        pages, ready = [], threading.Barrier(9)

        def hang():
            browser = Browser(gateway)
            browser.get("/identity/login")
            ready.wait(20)
            pages.append(browser.submit(name="alice", password=PASSWORD))

        threads = [threading.Thread(target=hang) for _ in range(8)]
        for thread in threads:
            thread.start()
        browser = Browser(gateway)
        browser.get("/identity/login")
        ready.wait(20)
        time.sleep(0.3)
        for _ in range(3):
            page = browser.log_in("carol", PASSWORD)
            assert IN in page.text, page.text
            browser.cookies.clear()
        assert not pages  # they wait still
        for thread in threads:
            thread.join(30)
        assert len(pages) == 8
        assert all(page.status == 503 and AWAY in page.text for page in pages), [p.text for p in pages]
    finally:
        gateway.stop()
        listener.close()


def a_referral_is_not_followed():
    visited = []
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.5)
    directory = Directory(referral=listener.getsockname()[1])
    more = SEARCH.replace(f'base: "{BASE}"', 'base: "dc=elsewhere,dc=test"')
    world = World(more, directory=directory)
    try:
        page = world.log_in("alice")
        assert page.status == 503 and AWAY in page.text, page.text
        assert "eferral" in world.gateway.log_text(), world.gateway.log_text()
        try:
            listener.accept()
            visited.append(True)
        except OSError:
            pass
        assert not visited
    finally:
        world.close()
        listener.close()


def a_search_that_may_not_be_made_lets_nobody_in():
    for more, word in (
        (SEARCH.replace(READER_PASSWORD, "another"), "credentials"),
        (f'base: "{BASE}"', "such object"),  # anonymously nothing can be seen
        (f"{SEARCH}, attributes: {{id: telephoneNumber}}", "telephoneNumber"),
    ):
        world = World(more)
        try:
            page = world.log_in("alice")
            assert page.status == 503 and AWAY in page.text, (more, page.text)
            assert word in world.gateway.log_text(), (word, world.gateway.log_text())
            assert READER_PASSWORD not in world.gateway.log_text()
        finally:
            world.close()


def two_directories_are_asked_in_turn():
    first, second = Directory(), Directory()
    gateway = None
    try:
        first.add(person("alice"))
        second.add(person("alice", "another long password"), person("dave"))
        gateway = server(more=f"ldap: [{entry(first.socket)}, {entry(second.socket, name='guests')}]\n"
                              "  lockout: {failures: 50, answer: 0}")
        assert IN in Browser(gateway).log_in("alice", PASSWORD).text
        assert IN in Browser(gateway).log_in("dave", PASSWORD).text
        # The name belongs to the first who came with it.
        assert Browser(gateway).log_in("alice", "another long password").status == 403
        first.end()
        assert IN in Browser(gateway).log_in("dave", PASSWORD).text
        assert AWAY in Browser(gateway).log_in("dave", "guess").text
        assert AWAY in Browser(gateway).log_in("alice", PASSWORD).text
    finally:
        if gateway:
            gateway.stop()
        first.stop()
        second.stop()


# ---- who is logged in, and what the directory says then ----

REDIRECT = "http://127.0.0.1:1/cb"


def soon(what):
    """Waits for what upkeep does; the directory is asked every second here."""
    until = time.monotonic() + DEADLINE_S
    while not what():
        assert time.monotonic() < until, "it did not come about"
        time.sleep(0.1)


class LoggedIn:
    """A user in a browser, and a client with tokens that outlive the session."""

    def __init__(self, world, name, password=PASSWORD):
        self.browser = Browser(world.gateway)
        assert IN in world.log_in(name, password, self.browser).text, world.gateway.log_text()
        self.tokens = None

    def allow(self, secret):
        flow = Flow(self.browser, "app", REDIRECT, scope="openid offline_access")
        self.tokens = flow.redeem(flow.code(), secret).json
        assert self.tokens["refresh_token"], self.tokens
        return self

    def is_in(self):
        return IN in self.browser.get("/identity").text

    def refresh(self, secret):
        answered = self.browser.token(secret, client_id="app", grant_type="refresh_token",
                                      refresh_token=self.tokens["refresh_token"])
        if answered.status == 200:
            self.tokens = answered.json
        return answered

    def is_active(self, secret):
        return self.browser.post("/identity/introspect", {
            "token": self.tokens["access_token"], "client_id": "app", "client_secret": secret}).json["active"]


def make_app(world):
    return cli(world.gateway, "client", "create", "app", "--grants", "code,refresh", "--scopes",
               "openid,offline_access", "--redirects", REDIRECT)[0]["client_secret"]


@in_world(f"{SEARCH}, filter: \"(&(uid={{name}})(!(title=left)))\", recheck: 1s, {MAP}")
def who_is_removed_there_is_logged_out_here(world):
    app = make_app(world)
    world.directory.add(person("carol"), person("dave"), person("erin"))
    names = ("alice", "bob", "carol", "dave", "erin")
    people = {name: LoggedIn(world, name).allow(app) for name in names}
    assert all(who.is_in() and who.is_active(app) and who.refresh(app).status == 200 for who in people.values())
    assert world.users()["bob"]["roles"] == ["clerk"]
    # Removed; not found by the filter any more; and a name that is given to somebody else.
    world.directory.remove(f"uid=alice,{PEOPLE}")
    world.directory.modify(f"dn: uid=carol,{PEOPLE}\nchangetype: modify\nreplace: title\ntitle: left\n")
    world.directory.remove(f"uid=dave,{PEOPLE}")
    world.directory.add(person("dave", "another long password"))
    # What the directory says of somebody who stays counts without a login, too.
    world.directory.modify(f"dn: cn=clerks,{GROUPS}\nchangetype: modify\ndelete: member\nmember: uid=bob,{PEOPLE}\n")
    for name in ("alice", "carol", "dave"):
        soon(lambda name=name: not people[name].is_in())
        soon(lambda name=name: not people[name].is_active(app))
        answered = people[name].refresh(app)
        assert answered.status == 400 and answered.json["error"] == "invalid_grant", (name, answered.text)
    soon(lambda: world.users()["bob"]["roles"] == [])
    assert len(world.events("user.gone_from_directory")) == 3, world.events("user.gone_from_directory")
    for name in ("bob", "erin"):
        assert people[name].is_in() and people[name].refresh(app).status == 200 and people[name].is_active(app)
    # An administrator cuts erin off, and switches bob off and on: what they had does not come back.
    assert linking(world, "erin")([]) == 200
    cli(world.gateway, "user", "set", "bob", "--disable")
    cli(world.gateway, "user", "set", "bob", "--enable")
    for name in ("bob", "erin"):
        assert not people[name].is_in(), name
        soon(lambda name=name: not people[name].is_active(app))  # the command was another process
        assert people[name].refresh(app).json["error"] == "invalid_grant", name
    # Without the directory nobody is its user.
    bob = LoggedIn(world, "bob").allow(app)
    with open(world.gateway.config, encoding="utf-8") as file:
        text = file.read()
    world.gateway.write("\n".join(line for line in text.splitlines() if not line.startswith("  ldap:")))
    reload_config(world.gateway)
    soon(lambda: not bob.is_in())
    assert bob.refresh(app).json["error"] == "invalid_grant"


@in_world(f"{SEARCH}, recheck: 1s")
def who_is_switched_off_there_is_logged_out_here(world):
    marks = {"ann": ("userAccountControl", "512", "514"), "ben": ("nsAccountLock", "false", "TRUE"),
             "cem": ("loginDisabled", "FALSE", "TRUE"),
             "dot": ("pwdAccountLockedTime", "20260101000000Z", "000001010000Z")}
    for name, (attribute, usual, _) in marks.items():
        text = person(name, **{attribute: usual})
        world.directory.add(text.replace("objectClass: inetOrgPerson", "objectClass: inetOrgPerson\nobjectClass: switchable"))
    people = {name: LoggedIn(world, name) for name in marks}
    time.sleep(2.5)  # several looks
    assert all(who.is_in() for who in people.values()), world.gateway.log_text()
    for name, (attribute, _, off) in marks.items():
        world.directory.modify(f"dn: uid={name},{PEOPLE}\nchangetype: modify\nreplace: {attribute}\n{attribute}: {off}\n")
    for name, who in people.items():
        soon(lambda who=who: not who.is_in())
        # Even where the directory lets the password pass.
        page = world.log_in(name)
        assert page.status == 403 and WRONG in page.text, (name, page.text)
    assert "switched off there" in world.gateway.log_text()


@in_world(f"{SEARCH}, recheck: {{every: 1s, grace: 5s}}")
def while_the_directory_is_away_its_users_stay_for_a_while(world):
    app = make_app(world)
    make_user(world.gateway, "zoe")
    zoe = Browser(world.gateway)
    assert IN in world.log_in("zoe", browser=zoe).text
    alice = LoggedIn(world, "alice").allow(app)
    world.directory.end()
    began = time.monotonic()
    stays = alice.is_in() and alice.refresh(app).status == 200
    assert stays or time.monotonic() - began > 3, "the last look is not five seconds ago"
    soon(lambda: alice.browser.get("/identity").status == 503)
    answered = alice.refresh(app)
    assert answered.status == 503 and answered.json["error"] == "temporarily_unavailable", answered.text
    assert IN in zoe.get("/identity").text
    world.directory.start()
    soon(alice.is_in)
    # The refresh token was not used up by that.
    soon(lambda: alice.refresh(app).status == 200)
    assert alice.is_active(app)
    assert not world.events("user.gone_from_directory")


def another_way_in_needs_the_directory_too():
    """Of somebody whom the directory knew, a login elsewhere or a passkey counts as long as it does."""
    provider = Provider()
    corp = f'federation: [{{name: corp, issuer: "{provider.issuer}", client_id: gate, client_secret: hush}}]'
    world = World(f"{SEARCH}, recheck: 1h", identity=corp)
    try:
        LoggedIn(world, "alice")
        link = world.users()["alice"]["links"][0]
        assert linking(world, "alice")([link, provider.issuer + " bob-1"]) == 200
        assert IN in log_in_elsewhere(world.gateway, provider).text
        bob = LoggedIn(world, "bob")
        key, user = Authenticator(world.gateway.folder, bob.browser.issuer), world.users()["bob"]["id"]
        assert "The passkey is ready" in enrol(bob.browser, key).text
        assert IN in enter(world.gateway, key, user)[1].text
        world.directory.remove(f"uid=bob,{PEOPLE}")
        assert IN in enter(world.gateway, key, user)[1].text
        world.directory.remove(f"uid=alice,{PEOPLE}")
        # Asked within the hour: not again.
        assert IN in log_in_elsewhere(world.gateway, provider).text
        with open(world.gateway.config, encoding="utf-8") as file:
            text = file.read()
        world.gateway.write(text.replace("recheck: 1h", "recheck: 1s"))
        reload_config(world.gateway)
        soon(lambda: "does not know you" in log_in_elsewhere(world.gateway, provider).text)
        soon(lambda: enter(world.gateway, key, user)[1].status == 403)
        assert "gone_from_directory" in json.dumps(world.events("login.passkey_failed"))
        assert len({event["user"] for event in world.events("user.gone_from_directory")}) == 2
    finally:
        world.close()
        provider.close()


def figures_and_figures_alone_tell_of_a_directory_that_is_away():
    text = CONFIG.format(upstream=9, store="sqlite:id.db", more=f"ldap: [{entry('ldap://127.0.0.1:9', SEARCH)}]")
    text = text.replace("admin: {enabled: false}", 'admin: {address: "127.0.0.1:{admin}"}')
    gateway = Gateway(text)
    try:
        assert Browser(gateway).log_in("alice", PASSWORD).status == 503
        with urllib.request.urlopen(f"http://127.0.0.1:{gateway.admin}/metrics", timeout=20) as answered:
            metrics = answered.read().decode()
        assert 'sallyport_logins_total{result="unavailable"} 1\n' in metrics, metrics
        assert 'sallyport_directory_looks_total{result="gone"} 0\n' in metrics, metrics
    finally:
        gateway.stop()


def a_configuration_that_cannot_work_is_refused():
    gateway = server()
    try:
        with open(gateway.config, encoding="utf-8") as file:
            text = file.read()
        url, bind = "ldaps://ldap.example", f'bind_dn: "{READER}", bind_password: x'
        for entries, problem in (
            (entry(url), None),
            (entry(url, f'base: "{BASE}"'), None),
            (entry(url, bind), "'base' and 'user_dn'"),
            (entry(url, f'base: "{BASE}", user_dn: "uid={{name}},{BASE}"'), "'base' and 'user_dn'"),
            (entry(url, f'user_dn: "uid=x,{BASE}"'), "needs {name}"),
            (entry(url, f'base: "{BASE}", filter: "(uid=x)"'), "needs {name}"),
            (entry(url, f'base: "{BASE}", filter: "uid={{name}}"'), "in brackets"),
            (entry(url, f'base: "{BASE}", bind_dn: "{READER}"'), "need each other"),
            (entry("https://ldap.example"), "ldaps://HOST"),
            (entry("ldap://ldap.example/dc=x"), "ldaps://HOST"),
            (entry(url) + ", " + entry(url), "'staff' is there twice"),
            (entry(url, f'base: "{BASE}", recheck: {{every: 1h, grace: 5m}}'), "shorter than"),
            (entry(url, f'base: "{BASE}", group_search: {{base: "{GROUPS}", filter: "(cn=x)"}}'), "{dn} or {name}"),
        ):
            gateway.write(text.replace("  roles:", f"  ldap: [{entries}]\n  roles:", 1))
            done = subprocess.run([PROGRAM, "check", "-c", gateway.config], capture_output=True, text=True,
                                  check=False, timeout=60)
            assert done.returncode == (1 if problem else 0), (entries, done)
            assert (problem or "") in done.stderr + done.stdout, (entries, done)
        gateway.write(text.replace("  roles:", f"""  ldap: [{entry(url, SEARCH + ', roles: [guest]')}]
  federation: [{{name: corp, issuer: "https://corp.example", client_id: gate}}]
  roles:""", 1))
        done = subprocess.run([PROGRAM, "check", "-c", gateway.config], capture_output=True, text=True,
                              check=False, timeout=60)
        for line in ("passwords: after 3 failures waits of 1h to 1h",
                     "passwords of directory staff: ldaps://ldap.example (TLS); makes users with the roles guest",
                     "users of corp: https://corp.example; only users who are joined to it"):
            assert line in done.stdout, done.stdout + done.stderr
        for more, warning in ((f"{SEARCH}, start_tls: false", "in the clear"), (f"{SEARCH}, verify: false", "not verified"),
                              (f'user_dn: "uid={{name}},{BASE}"', "without 'bind_dn' nobody can look")):
            gateway.write(text.replace("  roles:", f"  ldap: [{entry('ldap://x.example', more)}]\n  roles:", 1))
            done = subprocess.run([PROGRAM, "check", "-c", gateway.config], capture_output=True, text=True,
                                  check=False, timeout=60)
            assert done.returncode == 0 and warning in done.stderr + done.stdout, done
            assert READER_PASSWORD not in done.stdout + done.stderr
    finally:
        gateway.stop()


if __name__ == "__main__":
    try:
        Directory().stop()
    except Skip as reason:
        print(f"identity-ldap: {reason}\n[  SKIPPED ] identity_ldap", flush=True)
        raise SystemExit(0) from reason
    run([
        a_user_of_the_directory_logs_in_and_is_a_user_here,
        groups_that_name_their_members_are_searched_for,
        a_password_is_tried_without_a_search_where_the_entry_is_known,
        a_name_is_a_name_and_no_part_of_a_filter,
        an_empty_password_is_nobodys,
        guesses_are_counted_for_the_entry_whatever_it_is_called,
        of_many_guesses_few_reach_the_directory,
        a_user_here_goes_before_one_of_the_directory,
        who_is_disabled_here_stays_out,
        a_name_that_is_given_to_another_entry_is_not_the_same_user,
        nobody_is_made_unless_that_is_wanted,
        a_name_of_several_entries_is_nobodys,
        tls_is_verified_and_there_before_anything_is_said,
        while_the_directory_is_away_users_here_log_in_and_others_are_told,
        a_directory_that_hangs_holds_up_nobody_here,
        a_referral_is_not_followed,
        a_search_that_may_not_be_made_lets_nobody_in,
        two_directories_are_asked_in_turn,
        who_is_removed_there_is_logged_out_here,
        who_is_switched_off_there_is_logged_out_here,
        while_the_directory_is_away_its_users_stay_for_a_while,
        another_way_in_needs_the_directory_too,
        figures_and_figures_alone_tell_of_a_directory_that_is_away,
        a_configuration_that_cannot_work_is_refused,
    ])
