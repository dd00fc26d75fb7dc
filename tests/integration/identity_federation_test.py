#!/usr/bin/python3
"""Logging in at another OpenID Connect provider: a second gate, and one that lies."""

import hashlib
import hmac
import json
import re
import ssl
import subprocess
import tempfile
import threading
import time
import urllib.parse
import urllib.request

from harness import PROGRAM, Gateway, Service, answer, run
from idp import CONFIG, Browser, Client, cli, in_worlds, make_user, server
from identity_login_test import reload_config
from jose import Key, b64, certificate

REFUSED = "You are not logged in"


def path_of(url):
    parts = urllib.parse.urlsplit(url)
    return parts.path + ("?" + parts.query if parts.query else "")


class TlsService(Service):
    """The same over TLS, with the certificate PREFIX.pem."""

    def __init__(self, script, prefix):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(prefix + ".pem", prefix + ".key")
        super().__init__(script)

    def handle(self, connection):
        try:
            super().handle(self.context.wrap_socket(connection, server_side=True))
        except OSError:
            connection.close()


class Provider:
    """A provider in which everything can be wrong: `token` changes what it says of its user."""

    def __init__(self, tls=None):
        self.service = TlsService(self.serve, tls) if tls else Service(self.serve)
        self.issuer = f"http{'s' if tls else ''}://127.0.0.1:{self.service.port}"
        self.key = Key("k1")
        self.metadata = {
            "issuer": self.issuer,
            "authorization_endpoint": self.issuer + "/authorize",
            "token_endpoint": self.issuer + "/token",
            "jwks_uri": self.issuer + "/keys",
            "userinfo_endpoint": self.issuer + "/userinfo",
            "token_endpoint_auth_methods_supported": ["client_secret_post"],
        }
        self.codes = {}  # code -> the request for authorization
        self.claims = {"sub": "bob-1"}
        self.make = lambda claims: self.key.sign(claims, kid=self.key.kid)
        self.person = {}
        self.posts = []
        self.gets = []

    def serve(self, connection, head, _number, rest):
        method, target = head.decode().split(" ")[:2]
        length = re.search(rb"(?i)content-length: (\d+)", head)
        length = int(length[1]) if length else 0
        while len(rest) < length:
            rest += connection.recv(65536)
        if method == "POST":
            status, body = self.redeem(dict(urllib.parse.parse_qsl(rest[:length].decode())))
        else:
            self.gets.append(target)
            body = {
                "/.well-known/openid-configuration": self.metadata,
                "/keys": self.key.jwks(),
                "/userinfo": {"sub": self.claims.get("sub"), **self.person},
            }.get(target)
            status = "200 OK" if body is not None else "404 Not Found"
        answer(connection, json.dumps(body).encode(), status, b"Content-Type: application/json\r\n")
        return rest[length:]

    def redeem(self, fields):
        self.posts.append(fields)
        asked = self.codes.pop(fields.get("code"), None)
        digest = b64(hashlib.sha256(fields.get("code_verifier", "").encode()).digest())
        if (not asked or fields.get("client_secret") != "hush" or fields.get("client_id") != "gate"
                or asked["code_challenge"] != digest or fields["redirect_uri"] != asked["redirect_uri"]):
            return "400 Bad Request", {"error": "invalid_grant"}
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": "gate", "iat": now, "exp": now + 60,
                  "nonce": asked["nonce"], **self.claims}
        claims = {name: value for name, value in claims.items() if value is not None}
        return "200 OK", {"access_token": "t", "token_type": "Bearer", "id_token": self.make(claims)}

    def close(self):
        self.service.close()


def log_in_elsewhere(gateway, provider, name="corp"):
    """A new browser, off to the provider and back."""
    browser = Browser(gateway)
    asked = browser.get(f"/identity/federation/{name}/start", follow=False).query
    provider.codes["c0de"] = asked
    return browser.get(f"/identity/federation/{name}/callback?code=c0de&state={asked['state']}")


class World:
    def __init__(self, more="create: true", second=False):
        self.provider = Provider()
        self.other = Provider() if second else None
        entries = [self.entry("corp", self.provider, more)]
        if second:
            entries.append(self.entry("other", self.other, more))
        self.gateway = server(more="federation: [" + ", ".join(entries) + "]")
        self.browser = Browser(self.gateway)

    @staticmethod
    def entry(name, provider, more):
        return (f'{{name: {name}, title: "The <Corp>", issuer: "{provider.issuer}", client_id: gate, '
                f"client_secret: hush, {more}}}")

    def start(self, browser=None, name="corp", query=""):
        """What the provider is asked."""
        browser = browser or self.browser
        page = browser.get(f"/identity/federation/{name}/start{query}", follow=False)
        assert page.status == 303, page.text
        return page.query

    def back(self, asked, browser=None, name="corp", provider=None, **changes):
        """The provider's answer to that, in the browser."""
        provider = provider or self.provider
        provider.codes["c0de"] = asked
        query = {"code": "c0de", "state": asked["state"], **changes}
        query = {name: value for name, value in query.items() if value is not None}
        browser = browser or self.browser
        return browser.get(f"/identity/federation/{name}/callback?" + urllib.parse.urlencode(query))

    def log_in(self, browser=None, **changes):
        return self.back(self.start(browser), browser, **changes)

    def refuses(self, page, status=403):
        assert page.status == status and REFUSED in page.text, (page.status, page.text)
        assert "__Host-sallyport" not in self.browser.cookies
        assert self.browser.get("/identity", follow=False).status == 303

    def users(self):
        return {user["name"]: user for user in cli(self.gateway, "user", "list")}

    def audit(self):
        with open(self.gateway.folder + "/audit.log", encoding="utf-8") as file:
            return file.read()

    def close(self):
        self.gateway.stop()
        self.provider.close()
        if self.other:
            self.other.close()


in_world = in_worlds(World)


def a_user_of_another_gate_logs_in_through_it():
    """Two real servers: button, login there, consent, and back to where it began."""
    there, here = server(), server()
    try:
        make_user(there, "alice", "a long password", "--email", "alice@example.test", "--email-verified",
                  "--display", "Alice")
        callback = f"http://localhost:{here.port}/identity/federation/corp/callback"
        secret = cli(there, "client", "create", "gate", "--grants", "code", "--scopes",
                     "openid,profile,email", "--redirects", callback)[0]["client_secret"]
        with open(here.config, encoding="utf-8") as file:
            text = file.read()
        here.write(text.replace("  roles:", f"""  federation:
    - {{name: corp, title: Corp, issuer: "http://localhost:{there.port}", client_id: gate,
       client_secret: "{secret}", create: true, roles: [clerk], link_by_email: verified}}
  roles:""", 1))
        reload_config(here)
        at_home, away = Browser(here), Browser(there)
        page = at_home.get("/identity/login?return=%2Fidentity%2Fsecurity")
        link = re.search(r'href="(/identity/federation/corp/start[^"]*)">Log in with Corp<', page.text)
        assert link, page.text
        page = at_home.get(link[1], follow=False)
        assert page.status == 303 and page.location.startswith(away.issuer + "/identity/authorize?")
        for name in ("state", "nonce", "code_challenge"):
            assert len(page.query[name]) == 43, page.query
        assert page.query["code_challenge_method"] == "S256"
        away.get(path_of(page.location))
        page = away.submit(name="alice", password="a long password")
        if page.status == 200:  # consent
            page = away.submit(allow="1", decision="allow")
        assert page.status == 303 and page.location.startswith(callback + "?"), (page.status, page.text)
        back = path_of(page.location)
        page = at_home.get(back, follow=False)
        assert page.status == 303, (page.text, here.log_text())
        assert page.location == at_home.issuer + "/identity/security"
        assert at_home.follow().status == 200
        user = [user for user in cli(here, "user", "list") if user["name"].startswith("corp:")][0]
        assert user["roles"] == ["clerk"] and user["display"] == "Alice" and not user["has_password"]
        assert user["email"] == "alice@example.test" and user["email_verified"]
        # The same answer once more, in the same browser.
        assert at_home.get(back).status == 403
        # A second login finds the user again.
        again = Browser(here)
        page = again.get("/identity/federation/corp/start", follow=False)
        page = away.get(path_of(page.location))
        if page.status == 200:
            page = away.submit(allow="1", decision="allow")
        assert "Your account" in again.get(path_of(page.location)).text
        assert len(cli(here, "user", "list")) == 2
    finally:
        there.stop()
        here.stop()


@in_world()
def the_login_page_offers_each_provider_and_keeps_the_way_back(world):
    page = world.browser.get("/identity/login?return=%2Fapp%2Fx%3Fa%3D1%26b%3D2")
    assert "Log in with The &lt;Corp&gt;" in page.text, page.text
    assert 'href="/identity/federation/corp/start?return=%2Fapp%2Fx%3Fa%3D1%26b%3D2"' in page.text
    asked = world.start(query="?return=%2Fapp%2Fx%3Fa%3D1%26b%3D2")
    world.provider.codes["c0de"] = asked
    page = world.browser.get(f"/identity/federation/corp/callback?code=c0de&state={asked['state']}",
                             follow=False)
    assert page.location == world.browser.issuer + "/app/x?a=1&b=2", page.location
    assert page.field("cache-control") == "no-store" and page.field("referrer-policy") == "no-referrer"
    assert world.provider.posts[0]["redirect_uri"].endswith("/identity/federation/corp/callback")


@in_world()
def nobody_is_led_to_a_place_of_others(world):
    for bad in ("https://evil.example/", "//evil.example/", "/\\evil.example"):
        browser = Browser(world.gateway)
        asked = world.start(browser, query="?return=" + urllib.parse.quote(bad, safe=""))
        world.provider.codes["c0de"] = asked
        page = browser.get(f"/identity/federation/corp/callback?code=c0de&state={asked['state']}",
                           follow=False)
        assert page.location == browser.issuer + "/identity", page.location
    client = Client(world.gateway)
    for path in ("nobody/start", "corp/else", "corp", "", "corp/start/x"):
        assert client.send("GET", "/identity/federation/" + path).status == 404, path
    assert client.send("HEAD", "/identity/federation/corp/start").status == 404
    assert client.post("/identity/federation/corp/callback", {}).status == 404


@in_world()
def a_state_is_good_once_and_in_its_own_browser(world):
    asked = world.start()
    world.refuses(world.back(asked, state="x" * 43))
    # The wrong one has used it up.
    world.refuses(world.back(asked))
    asked = world.start()
    world.refuses(world.back(asked, state=None))
    # Somebody else's browser: without a cookie, and with one of its own login.
    asked = world.start()
    stranger = Browser(world.gateway)
    assert world.back(asked, stranger).status == 403
    world.start(stranger)
    assert world.back(asked, stranger).status == 403
    assert not world.provider.posts  # no code was even looked at
    assert "Your account" in world.back(asked).text
    browser = Browser(world.gateway)
    page = world.back(asked, browser)
    assert page.status == 403 and REFUSED in page.text
    assert "login.federation_failed" in world.audit()


@in_world()
def of_one_answer_sent_twice_at_once_one_counts(world):
    asked = world.start()
    world.provider.codes["c0de"] = asked
    cookie = "; ".join(f"{k}={v}" for k, v in world.browser.cookies.items())
    found = []

    def send():
        path = f"/identity/federation/corp/callback?code=c0de&state={asked['state']}"
        found.append(Client(world.gateway).send("GET", path, headers={"Cookie": cookie}).status)

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [303, 403, 403, 403], found
    assert len(world.provider.posts) == 1


@in_world(second=True)
def an_answer_of_another_provider_is_not_taken(world):
    # At the redirect URI of another, and with the `iss` of another (RFC 9207).
    asked = world.start()
    world.refuses(world.back(asked, name="other", provider=world.other))
    asked = world.start()
    world.refuses(world.back(asked, iss=world.other.issuer))
    assert not world.provider.posts and not world.other.posts
    # A token that is of another issuer.
    world.provider.claims = {"sub": "bob-1", "iss": world.other.issuer}
    world.refuses(world.log_in())
    world.provider.claims = {"sub": "bob-1"}
    assert "Your account" in world.log_in(iss=world.provider.issuer).text


@in_world()
def a_provider_that_names_itself_must_do_so_each_time(world):
    world.provider.metadata["authorization_response_iss_parameter_supported"] = True
    world.refuses(world.log_in())
    assert "Your account" in world.log_in(iss=world.provider.issuer).text


@in_world()
def an_id_token_that_is_not_for_this_login_is_refused(world):
    provider, now = world.provider, int(time.time())
    for bad in (
        {"nonce": "another"}, {"nonce": None}, {"aud": "other"}, {"aud": None}, {"aud": []},
        {"aud": ["gate", "other"]}, {"aud": ["gate", "other"], "azp": "other"}, {"azp": "other"},
        {"exp": now - 3600}, {"exp": None}, {"exp": "soon"}, {"iat": now + 3600}, {"iat": None},
        {"iss": provider.issuer + "/"}, {"iss": None}, {"sub": None}, {"sub": ""}, {"sub": "x" * 256},
        {"sub": "a\0b"}, {"sub": 7},
    ):
        provider.claims = {"sub": "bob-1", **bad}
        page = world.log_in()
        assert page.status == 403 and REFUSED in page.text, (bad, page.text)
    assert not [name for name in world.users() if name.startswith("corp:")]
    provider.claims = {"sub": "bob-1", "aud": ["gate", "other"], "azp": "gate"}
    assert "Your account" in world.log_in().text


@in_world()
def a_signature_must_be_of_the_providers_keys_by_an_algorithm_that_is_allowed(world):
    provider, stranger = world.provider, Key("k1")
    public = json.dumps(provider.key.jwk()).encode()

    def unsigned(claims, algorithm="none"):
        return b64(json.dumps({"alg": algorithm}).encode()) + "." + b64(json.dumps(claims).encode()) + "."

    def by_mac(claims):
        text = (b64(json.dumps({"alg": "HS256", "kid": "k1"}).encode()) + "."
                + b64(json.dumps(claims).encode()))
        return text + "." + b64(hmac.new(b"hush", text.encode(), hashlib.sha256).digest())

    def by_public_key(claims):
        text = (b64(json.dumps({"alg": "HS256", "kid": "k1"}).encode()) + "."
                + b64(json.dumps(claims).encode()))
        return text + "." + b64(hmac.new(public, text.encode(), hashlib.sha256).digest())

    good = provider.make
    for bad in (
        unsigned, lambda c: unsigned(c, "None"), by_mac, by_public_key,
        lambda c: stranger.sign(c, kid="k1"), lambda c: stranger.sign(c),
        lambda c: stranger.sign(c, kid="k1", jwk=stranger.jwk()),
        lambda c: good(c)[:-4] + "AAAA", lambda c: "", lambda c: "a.b.c", lambda c: None,
        lambda c: provider.key.sign(c, kid="k1", typ="logout+jwt"),
    ):
        provider.make = bad
        page = world.log_in()
        assert page.status == 403 and REFUSED in page.text, page.text
    provider.make = good
    assert "Your account" in world.log_in().text


@in_world()
def new_keys_are_fetched_but_not_all_the_time(world):
    provider, began = world.provider, time.monotonic()

    def most():
        """Once, and again after five seconds at the earliest."""
        return 1 + int((time.monotonic() - began) / 5)

    assert "Your account" in world.log_in().text
    assert provider.gets.count("/keys") == 1 and provider.gets.count("/.well-known/openid-configuration") == 1
    provider.key = Key("k2")
    page = world.log_in(Browser(world.gateway))
    if time.monotonic() - began < 5:  # too soon after the last time
        assert page.status == 403 and provider.gets.count("/keys") == 1
    time.sleep(5.2)
    assert "Your account" in world.log_in(Browser(world.gateway)).text
    stranger = Key("k3")
    provider.make = lambda claims: stranger.sign(claims, kid="k3")
    for _ in range(3):
        assert world.log_in(Browser(world.gateway)).status == 403
    assert 2 <= provider.gets.count("/keys") <= most(), provider.gets


@in_world("create: true, link_by_email: verified")
def an_address_joins_accounts_only_where_both_sides_know_it(world):
    provider = world.provider
    cli(world.gateway, "user", "create", "alice", "--email", "alice@example.test", "--email-verified")
    cli(world.gateway, "user", "create", "carol", "--email", "carol@example.test")
    for number, claims in enumerate((
        {"email": "alice@example.test"},
        {"email": "alice@example.test", "email_verified": False},
        {"email": "alice@example.test", "email_verified": "true"},
    )):
        provider.claims = {"sub": f"mallory-{number}", **claims}
        assert "Your account" in world.log_in(Browser(world.gateway)).text
    users = world.users()
    assert users["alice"]["links"] == []
    assert all(u["email"] == "" for n, u in users.items() if n.startswith("corp:")), users
    # The user here has never shown that it is theirs.
    provider.claims = {"sub": "mallory-9", "email": "carol@example.test", "email_verified": True}
    world.refuses(world.log_in())
    # Both know it.
    provider.claims = {"sub": "alice-1", "email": "Alice@Example.test", "email_verified": True}
    browser = Browser(world.gateway)
    assert "Your account" in world.log_in(browser).text
    assert world.users()["alice"]["links"] == [provider.issuer + " alice-1"]
    assert '"user.linked"' in world.audit()
    # Another subject that has the address now is not the same person.
    provider.claims = {"sub": "alice-2", "email": "alice@example.test", "email_verified": True}
    world.refuses(world.log_in())
    # The link is what counts afterwards.
    provider.claims = {"sub": "alice-1"}
    assert "Your account" in world.log_in(Browser(world.gateway)).text
    assert len(world.users()) == 6, world.users()


@in_world("create: true")
def an_address_means_nothing_unless_that_is_configured(world):
    cli(world.gateway, "user", "create", "alice", "--email", "alice@example.test", "--email-verified")
    world.provider.claims = {"sub": "alice-1", "email": "alice@example.test", "email_verified": True,
                             "preferred_username": "admin"}
    assert "Your account" in world.log_in().text
    users = world.users()
    assert users["alice"]["links"] == [] and users["corp:admin"]["email"] == ""


@in_world("create: false")
def nobody_is_made_unless_that_is_configured(world):
    world.refuses(world.log_in())
    assert list(world.users()) == ["admin"]


def a_provider_over_tls_shows_a_certificate_that_is_trusted():
    with tempfile.TemporaryDirectory(prefix="sallyport-ca.") as folder:
        authority = certificate(folder, "authority")
        prefix = certificate(folder, "provider", "/CN=provider", authority, "IP:127.0.0.1")
        provider = Provider(prefix)
        entry = World.entry("corp", provider, "create: true")
        trusted = World.entry("trusted", provider, f'create: true, ca: "{authority}.pem"')
        downgraded = World.entry("downgraded", provider, f'ca: "{authority}.pem"')
        text = CONFIG.format(upstream=9, store="sqlite:id.db", more=f"federation: [{entry}, {trusted}, {downgraded}]")
        text = text.replace("admin: {enabled: false}", 'admin: {address: "127.0.0.1:{admin}"}')
        gateway = Gateway(text)
        try:
            browser = Browser(gateway)
            page = browser.get("/identity/federation/corp/start", follow=False)
            assert page.status == 503 and REFUSED in page.text, page.text
            page = browser.get("/identity/federation/trusted/start", follow=False)
            assert page.status == 303, (page.text, gateway.log_text())
            provider.codes["c0de"] = page.query
            page = browser.get("/identity/federation/trusted/callback?code=c0de&state=" + page.query["state"])
            assert "Your account" in page.text, page.text
            # An endpoint in the clear is none for an issuer that is not.
            provider.metadata["token_endpoint"] = provider.issuer.replace("https", "http") + "/token"
            page = browser.get("/identity/federation/downgraded/start", follow=False)
            assert page.status in (403, 503) and REFUSED in page.text, page.text
            assert "token_endpoint" in gateway.log_text()
            with urllib.request.urlopen(f"http://127.0.0.1:{gateway.admin}/metrics", timeout=20) as answered:
                metrics = answered.read().decode()
            assert 'sallyport_logins_total{result="federation_failed"} 2\n' in metrics, metrics
            assert 'sallyport_logins_total{result="succeeded"} 1\n' in metrics, metrics
        finally:
            gateway.stop()
            provider.close()


def linking(world, user):
    """A function that sets the user's links by the admin API."""
    secret = cli(world.gateway, "client", "create", "root", "--grants", "client_credentials", "--roles",
                 "administrator")[0]["client_secret"]
    client = Client(world.gateway)
    token = client.token(secret, client_id="root", grant_type="client_credentials").json["access_token"]

    def patch(links):
        return client.send("PATCH", "/identity/admin/users/" + user, json.dumps({"links": links}), {
            "Authorization": "Bearer " + token, "Content-Type": "application/json"}).status

    return patch


@in_world("create: true")
def who_was_cut_off_from_an_account_does_not_get_it_or_another(world):
    assert "Your account" in world.log_in().text
    users = world.users()
    made = [user for name, user in users.items() if name.startswith("corp:")][0]
    assert linking(world, made["id"])([]) == 200
    world.browser = Browser(world.gateway)
    page = world.log_in()
    assert "cut off" in page.text, page.text
    world.refuses(page)
    assert list(world.users()) == list(users)
    # Somebody else with the same name there is somebody else here.
    world.provider.claims = {"sub": "bob-2", "preferred_username": "bob"}
    assert "Your account" in world.log_in(Browser(world.gateway)).text
    world.provider.claims = {"sub": "bob-3", "preferred_username": "Bob"}
    assert "Your account" in world.log_in(Browser(world.gateway)).text
    assert len(world.users()) == len(users) + 2 and "corp:bob" in world.users()


@in_world("create: false")
def an_administrator_links_users_and_cuts_links(world):
    patch = linking(world, cli(world.gateway, "user", "create", "alice")[0]["id"])
    for bad in (["alone"], [" x"], ["x "], ["i s"] * 7, ["i " + "s" * 600], "i s", [7]):
        assert patch(bad) == 422 or patch(bad) == 400, bad
    assert patch([world.provider.issuer + " bob-1"]) == 200
    page = world.log_in()
    assert "Your account" in page.text, page.text
    assert patch([]) == 200
    world.browser = Browser(world.gateway)
    world.refuses(world.log_in())


@in_world()
def a_disabled_user_is_refused_whatever_the_provider_says(world):
    assert "Your account" in world.log_in().text
    name = [name for name in world.users() if name.startswith("corp:")][0]
    cli(world.gateway, "user", "set", name, "--disable")
    world.browser = Browser(world.gateway)
    page = world.log_in()
    assert "switched off" in page.text
    world.refuses(page)


@in_world('create: true, roles: [guest], roles_claim: [realm, groups], '
          'role_map: [{value: staff, roles: [clerk]}, {value: boss, roles: [clerk, chief]}]')
def roles_follow_the_claims_at_each_login(world):
    provider = world.provider

    def roles(**claims):
        provider.claims = {"sub": "bob-1", **claims}
        assert "Your account" in world.log_in(Browser(world.gateway)).text
        return [sorted(u["roles"]) for n, u in world.users().items() if n.startswith("corp:")][0]

    assert roles(realm={"groups": ["staff", "cooks"]}) == ["clerk", "guest"]
    assert roles(realm={"groups": "boss"}) == ["chief", "clerk", "guest"]
    assert roles(realm={"groups": ["staff"]}) == ["clerk", "guest"]
    assert roles(realm=7) == ["guest"]
    assert roles(groups=["boss"]) == ["guest"]
    assert '"user.roles_by_provider"' in world.audit()


@in_world()
def a_second_factor_here_is_asked_for_all_the_same(world):
    from identity_login_test import turn_totp_on

    assert "Your account" in world.log_in().text
    turn_totp_on(world.browser)
    browser = Browser(world.gateway)
    page = world.log_in(browser)
    assert page.status == 200 and "code" in page.text.lower(), page.text
    assert browser.get("/identity", follow=False).status == 303


@in_world()
def who_shows_anew_who_it_is_does_so_at_the_provider_too(world):
    assert "prompt" not in world.start()
    assert "Your account" in world.log_in().text
    world.provider.claims = {"sub": "bob-1", "auth_time": int(time.time()) - 3600}
    asked = world.start()
    assert asked["prompt"] == "login"
    assert world.back(asked).status == 403
    world.provider.claims = {"sub": "bob-1", "auth_time": int(time.time())}
    assert "Your account" in world.log_in().text


@in_world()
def who_shows_anew_who_it_is_must_say_when_if_the_provider_can(world):
    world.provider.metadata["claims_supported"] = ["sub", "auth_time"]
    assert "Your account" in world.log_in().text
    world.provider.claims = {"sub": "bob-1"}
    asked = world.start()
    assert asked["max_age"] == "0"
    assert world.back(asked).status == 403
    world.provider.claims = {"sub": "bob-1", "auth_time": int(time.time())}
    assert "Your account" in world.log_in().text


@in_world()
def what_the_id_token_lacks_is_asked_for_and_must_be_of_the_same_user(world):
    world.provider.person = {"name": "Bob <b>", "preferred_username": "Bob"}
    assert "Your account" in world.log_in().text
    assert world.users()["corp:bob"]["display"] == "Bob <b>"
    assert "Bob <b>" not in world.browser.page.text
    world.provider.person = {"sub": "somebody-else"}
    assert world.log_in(Browser(world.gateway)).status == 403


@in_world()
def a_refusal_of_the_provider_is_told_in_our_words(world):
    asked = world.start()
    page = world.back(asked, code=None, error="access_denied", error_description="<b>call 0900</b>")
    assert "0900" not in page.text
    world.refuses(page)
    asked = world.start()
    world.refuses(world.back(asked, code="wrong"), 503)


@in_world()
def a_provider_that_is_away_or_another_is_told_from_ours(world):
    provider = world.provider
    for change in ({"issuer": "https://evil.example"}, {"token_endpoint": None},
                   {"authorization_endpoint": "javascript:alert(1)"}):
        kept = dict(provider.metadata)
        provider.metadata.update(change)
        page = world.browser.get("/identity/federation/corp/start", follow=False)
        assert page.status in (403, 503) and REFUSED in page.text, (change, page.text)
        at, asked = time.monotonic(), provider.gets.count("/.well-known/openid-configuration")
        page = world.browser.get("/identity/federation/corp/start", follow=False)
        if time.monotonic() - at < 1.5:  # it is left alone for two seconds
            assert page.status == 503
            assert provider.gets.count("/.well-known/openid-configuration") == asked
        provider.metadata = kept
        time.sleep(2.1)
    world.start()
    world.provider.close()
    page = world.back(world.start())
    assert page.status == 503 and REFUSED in page.text


def a_configuration_that_cannot_work_is_refused():
    good = 'name: corp, issuer: "https://corp.example", client_id: gate'
    gateway = server()
    try:
        with open(gateway.config, encoding="utf-8") as file:
            text = file.read()
        for entries, problem in (
            (f"{{{good}}}", None),
            (f"{{{good}, scopes: [profile]}}", "'scopes' needs openid"),
            (f"{{{good}, roles_claim: [groups]}}", "need each other"),
            (f"{{{good}, role_map: [{{value: a, roles: [clerk]}}]}}", "need each other"),
            (f"{{{good}, link_by_email: always}}", "link_by_email"),
            (f"{{{good}}}, {{{good}}}", "'corp' is there twice"),
            ("{name: corp, client_id: gate}", "issuer"),
            ('{name: "a/b", issuer: "https://corp.example", client_id: gate}', "name"),
        ):
            gateway.write(text.replace("  roles:", f"  federation: [{entries}]\n  roles:", 1))
            done = subprocess.run([PROGRAM, "check", "-c", gateway.config], capture_output=True,
                                  text=True, check=False, timeout=60)
            if problem is None:
                assert done.returncode == 0, done.stderr + done.stdout
            else:
                assert done.returncode == 1 and problem in done.stderr + done.stdout, (entries, done)
                assert "sallyport.yaml:" in done.stderr + done.stdout, done
    finally:
        gateway.stop()


@in_world("create: true, timeout: 2s", second=True)
def a_provider_that_hangs_holds_up_nobody_else(world):
    hung = threading.Event()
    world.provider.redeem = lambda fields: hung.wait(120) and ("400 Bad Request", {})
    # What is known of the other is known before, so that little is to be waited for.
    assert "Your account" in world.back(world.start(name="other"), name="other", provider=world.other).text
    threads, pages = [], []

    def come_back(browser, asked):
        pages.append(world.back(asked, browser))

    for _ in range(8):
        browser = Browser(world.gateway)
        threads.append(threading.Thread(target=come_back, args=(browser, world.start(browser))))
    for thread in threads:
        thread.start()
    assert Client(world.gateway).send("GET", "/identity/login").status == 200
    for thread in threads:
        thread.join(60)
    # Nobody has let them go but the gate itself.
    assert not hung.is_set() and [page.status for page in pages] == [503] * 8, [page.text for page in pages]
    world.browser = Browser(world.gateway)
    world.refuses(world.back(world.start(), code="late"), 503)
    assert "Your account" in world.back(world.start(name="other"), name="other", provider=world.other).text
    hung.set()


if __name__ == "__main__":
    run([
        a_user_of_another_gate_logs_in_through_it,
        the_login_page_offers_each_provider_and_keeps_the_way_back,
        nobody_is_led_to_a_place_of_others,
        a_state_is_good_once_and_in_its_own_browser,
        of_one_answer_sent_twice_at_once_one_counts,
        an_answer_of_another_provider_is_not_taken,
        a_provider_that_names_itself_must_do_so_each_time,
        an_id_token_that_is_not_for_this_login_is_refused,
        a_signature_must_be_of_the_providers_keys_by_an_algorithm_that_is_allowed,
        new_keys_are_fetched_but_not_all_the_time,
        an_address_joins_accounts_only_where_both_sides_know_it,
        an_address_means_nothing_unless_that_is_configured,
        nobody_is_made_unless_that_is_configured,
        a_provider_over_tls_shows_a_certificate_that_is_trusted,
        who_was_cut_off_from_an_account_does_not_get_it_or_another,
        an_administrator_links_users_and_cuts_links,
        a_disabled_user_is_refused_whatever_the_provider_says,
        roles_follow_the_claims_at_each_login,
        a_second_factor_here_is_asked_for_all_the_same,
        who_shows_anew_who_it_is_does_so_at_the_provider_too,
        who_shows_anew_who_it_is_must_say_when_if_the_provider_can,
        what_the_id_token_lacks_is_asked_for_and_must_be_of_the_same_user,
        a_refusal_of_the_provider_is_told_in_our_words,
        a_provider_that_is_away_or_another_is_told_from_ours,
        a_provider_that_hangs_holds_up_nobody_else,
        a_configuration_that_cannot_work_is_refused,
    ])
