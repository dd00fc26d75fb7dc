#!/usr/bin/python3
"""Grants beyond the usual: password and implicit (off by default), token exchange, opaque tokens,
dynamic registration, and what is told to clients at logout."""

import json
import threading
import time
import urllib.parse

from harness import DEADLINE_S, Service, answer, run
from idp import Browser, Client, Flow, claims, cli, server, totp
from identity_login_test import reload_config, turn_totp_on
from identity_oauth_test import CALLBACK, World, in_world, refused

BOTH_ON = "oauth: {password_grant: on, implicit_grant: on}"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS = "urn:ietf:params:oauth:token-type:access_token"


def audit(world):
    time.sleep(0.3)
    with open(world.gateway.folder + "/audit.log", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def fragment(page):
    assert page.status == 303, (page.status, page.text)
    to = urllib.parse.urlsplit(page.location)
    assert not to.query, page.location
    return dict(urllib.parse.parse_qsl(to.fragment))


def password(world, name="alice", secret="a long password", **more):
    return world.browser.token(secret=world.secret, client_id="shop", grant_type="password",
                               username=name, password=secret, **more)


# ---- password


@in_world(grants="code,password")
def the_password_grant_is_off_by_default(world):
    refused(password(world), 400, "unsupported_grant_type")
    # Who switches it on, by a reload too, is warned.
    assert "identity.password_grant" not in world.gateway.log_text()
    with open(world.gateway.config, encoding="utf-8") as file:
        text = file.read()
    world.gateway.write(text.replace("  roles:", "  oauth: {password_grant: on}\n  roles:", 1))
    reload_config(world.gateway)
    until = time.monotonic() + DEADLINE_S
    while "identity.password_grant" not in world.gateway.log_text():
        assert time.monotonic() < until, world.gateway.log_text()
        time.sleep(0.1)
    assert password(world).status == 200


@in_world(more=BOTH_ON)
def the_password_grant_is_for_clients_that_were_given_it(world):
    refused(password(world), 400, "unauthorized_client")


@in_world(more=BOTH_ON, grants="password,refresh")
def the_password_grant_gives_tokens_is_warned_of_and_audited(world):
    done = password(world, scope="openid orders.read")
    assert done.status == 200, done.text
    token = claims(done.json["access_token"])
    assert token["sub"] == world.user and token["amr"] == ["pwd"] and token["acr"] == "pwd"
    assert done.json["refresh_token"] and done.json["id_token"]
    assert world.browser.get_with(done.json["access_token"], "/api/x").status == 200
    assert "RFC 9700" in world.gateway.log_text()
    assert any(line["event"] == "password_grant.used" for line in audit(world))
    assert "password" in Client(world.gateway).send(
        "GET", "/.well-known/openid-configuration").json["grant_types_supported"]
    refused(password(world, scope="openid admin"), 400, "invalid_scope")
    refused(world.browser.token(secret=world.secret, client_id="shop", grant_type="password",
                                username="alice"), 400, "invalid_request")


@in_world(more=BOTH_ON, grants="password")
def the_password_grant_counts_failures_as_the_login_does(world):
    for name, secret in (("alice", "wrong"), ("nobody", "wrong"), ("alice", "wrong"),
                         ("alice", "wrong")):
        done = password(world, name, secret)
        refused(done, 400, "invalid_grant")
    # Locked now, with the same answer; and so is the login, but for the device that is known.
    locked = password(world)
    refused(locked, 400, "invalid_grant")
    assert locked.text == done.text
    assert Browser(world.gateway).log_in("alice", "a long password").status == 403
    cli(world.gateway, "user", "unlock", "alice")
    assert password(world).status == 200


@in_world(more=BOTH_ON, grants="password")
def the_password_grant_asks_for_the_second_factor_of_who_has_one(world):
    secret, _ = turn_totp_on(world.browser)
    refused(password(world), 400, "invalid_grant")
    refused(password(world, otp="000000"), 400, "invalid_grant")
    code = totp(secret)
    done = password(world, otp=code)
    assert done.status == 200, done.text
    assert claims(done.json["access_token"])["amr"] == ["pwd", "otp"]
    assert claims(done.json["access_token"])["acr"] == "mfa"
    # A code is used once.
    refused(password(world, otp=code), 400, "invalid_grant")


@in_world(more=BOTH_ON, grants="password")
def the_password_grant_takes_no_password_that_must_be_changed(world):
    once = cli(world.gateway, "user", "create", "bob")[0]["one_time_password"]
    refused(password(world, "bob", once), 400, "invalid_grant")


# ---- implicit


@in_world(grants="code,implicit")
def the_implicit_grant_is_off_by_default(world):
    answered = fragment(world.flow().start(response_type="token"))
    assert answered["error"] == "unsupported_response_type" and "access_token" not in answered


@in_world(more=BOTH_ON)
def the_implicit_grant_is_for_clients_that_were_given_it(world):
    assert fragment(world.flow().start(response_type="token"))["error"] == "unauthorized_client"


@in_world(more=BOTH_ON, grants="implicit")
def the_implicit_grant_answers_in_the_fragment(world):
    flow = world.flow("openid profile orders.read", code_challenge=None,
                      code_challenge_method=None)
    for kind in ("token", "id_token", "id_token token", "token id_token"):
        done = fragment(flow.start(response_type=kind))
        assert done["state"] == flow.parameters["state"] and done["iss"] == world.browser.issuer
        assert ("access_token" in done) == ("token" in kind.split()), done
        assert ("id_token" in done) == ("id_token" in kind), done
        assert "refresh_token" not in done and "code" not in done
        if "access_token" in done:
            assert done["token_type"] == "Bearer" and int(done["expires_in"]) > 0
            assert world.browser.get_with(done["access_token"], "/api/x").status == 200
        if "id_token" in done:
            identity = claims(done["id_token"])
            assert identity["nonce"] == flow.parameters["nonce"] and identity["aud"] == "shop"
            assert ("at_hash" in identity) == ("access_token" in done)
            # OpenID Connect Core section 5.4
            assert ("preferred_username" in identity) == ("access_token" not in done)
    assert any(line["event"] == "authorize.implicit_granted" for line in audit(world))
    # A code needs its own grant, and an ID token needs a nonce and the scope.
    assert flow.start(response_type="code").query["error"] == "unauthorized_client"
    assert fragment(flow.start(response_type="id_token", nonce=None))["error"] == "invalid_request"
    assert fragment(flow.start(response_type="id_token", scope="orders.read"))["error"] == \
        "invalid_request"
    for mode in ("query", "form_post"):
        page = flow.start(response_type="token", response_mode=mode)
        assert fragment(page)["error"] == "unsupported_response_type"
    for kind in ("code token", "code id_token", "token token", "none", "x"):
        page = flow.start(response_type=kind)
        assert page.query["error"] == "unsupported_response_type", page.location


@in_world(more=BOTH_ON, grants="implicit")
def tokens_of_the_implicit_grant_end_with_the_session(world):
    token = fragment(world.flow().start(response_type="token"))["access_token"]
    world.browser.get("/identity/logout")
    world.browser.submit()
    assert world.browser.get_with(token, "/api/x").status == 401


# ---- token exchange


def middle(world, *options):
    return cli(world.gateway, "client", "create", "orders", "--grants", "exchange", "--scopes",
               "orders.read,orders.write", *options)[0]["client_secret"]


def exchange(world, secret, token, client="orders", **more):
    fields = {"client_id": client, "grant_type": EXCHANGE, "subject_token": token,
              "subject_token_type": ACCESS, **more}
    return world.browser.token(secret=secret, **{k: v for k, v in fields.items() if v is not None})


@in_world()
def a_token_is_exchanged_for_one_that_says_who_acts(world):
    secret = middle(world, "--exchange", "shop", "--resources", "https://stock.test")
    token = world.tokens("openid orders.read")["access_token"]
    done = exchange(world, secret, token, resource="https://stock.test")
    assert done.status == 200, done.text
    assert done.json["issued_token_type"] == ACCESS and done.json["token_type"] == "Bearer"
    assert "refresh_token" not in done.json and "id_token" not in done.json
    new, old = claims(done.json["access_token"]), claims(token)
    assert new["sub"] == world.user and new["client_id"] == "orders"
    assert new["aud"] == "https://stock.test"
    assert new["act"] == {"sub": "orders", "client_id": "orders"}
    assert new["scope"] == "orders.read"  # openid is not the client's
    assert new["exp"] <= old["exp"] and new["sid"] == old["sid"]
    done = exchange(world, secret, token, audience=world.browser.issuer)
    again = exchange(world, secret, done.json["access_token"])
    assert claims(again.json["access_token"])["act"]["act"] == new["act"]
    assert any(line["event"] == "token.exchanged" for line in audit(world))


@in_world()
def an_exchange_never_gives_more_than_there_was(world):
    secret = middle(world, "--exchange", "shop")
    token = world.tokens("openid orders.read")["access_token"]
    refused(exchange(world, secret, token, scope="orders.write"), 400, "invalid_scope")
    refused(exchange(world, secret, token, scope="orders.read orders.write"), 400, "invalid_scope")
    refused(exchange(world, secret, token, audience="https://stock.test"), 400, "invalid_target")
    refused(exchange(world, secret, token, resource="https://stock.test"), 400, "invalid_target")
    for changes in ({"subject_token": None}, {"subject_token": "x"}, {"subject_token_type": None},
                    {"subject_token_type": "urn:ietf:params:oauth:token-type:saml2"},
                    {"requested_token_type": "urn:ietf:params:oauth:token-type:refresh_token"},
                    {"actor_token": "x"}, {"actor_token_type": ACCESS},
                    {"actor_token": token, "actor_token_type": ACCESS}):
        refused(exchange(world, secret, token, **changes), 400, "invalid_request")
    id_token = world.tokens()["id_token"]
    refused(exchange(world, secret, id_token), 400, "invalid_request")


@in_world()
def a_client_exchanges_only_tokens_of_clients_that_it_was_given(world):
    token = world.tokens("openid orders.read")["access_token"]
    refused(exchange(world, middle(world), token), 400, "invalid_request")
    refused(exchange(world, world.secret, token, client="shop"), 400, "unauthorized_client")
    error = cli(world.gateway, "client", "create", "app", "--public", "--grants", "exchange",
                status=1)
    assert "credentials" in error, error


@in_world()
def what_was_exchanged_ends_with_what_it_came_from(world):
    secret = middle(world, "--exchange", "*")
    token = world.tokens("openid orders.read")["access_token"]
    new = exchange(world, secret, token).json["access_token"]
    assert world.browser.get_with(new, "/api/x").status == 200
    world.browser.get("/identity/logout")
    world.browser.submit()
    assert world.browser.get_with(new, "/api/x").status == 401
    refused(exchange(world, secret, token), 400, "invalid_request")
    # A client's own token has no grant: the new one ends with it.
    own = world.browser.token(secret=world.secret, client_id="shop",
                              grant_type="client_credentials", scope="orders.read")
    own = own.json["access_token"]
    new = exchange(world, secret, own).json["access_token"]
    assert claims(new)["sub"] == "shop" and "roles" not in claims(new)
    world.browser.post("/identity/revoke", {"client_id": "shop", "client_secret": world.secret,
                                            "token": own})
    assert world.browser.get_with(new, "/api/x").status == 401


@in_world()
def an_actor_token_names_who_acts(world):
    secret = cli(world.gateway, "client", "create", "orders", "--grants",
                 "exchange,client_credentials", "--scopes", "orders.read", "--exchange",
                 "shop")[0]["client_secret"]
    token = world.tokens("openid orders.read")["access_token"]
    actor = world.browser.token(secret=secret, client_id="orders",
                                grant_type="client_credentials").json["access_token"]
    done = exchange(world, secret, token, actor_token=actor, actor_token_type=ACCESS)
    assert claims(done.json["access_token"])["act"]["sub"] == "orders"


# ---- opaque tokens


@in_world(options=["--opaque"])
def opaque_tokens_say_nothing_and_are_accepted_without_asking(world):
    tokens = world.tokens("openid profile orders.read")
    token = tokens["access_token"]
    assert token.count(".") == 0 and world.user not in token
    for path in ("/api/x", "/scoped", "/clerks", "/identity/userinfo"):
        page = world.browser.get_with(token, path)
        assert page.status == 200, (path, page.text)
    found = world.browser.post("/identity/introspect", {
        "client_id": "shop", "client_secret": world.secret, "token": token}).json
    assert found["active"] and found["sub"] == world.user and found["client_id"] == "shop"
    # Whatever is changed in it opens nothing; nor does what another key has sealed.
    for other in (token[:-1] + ("A" if token[-1] != "A" else "B"), "sat_", "sat_AAAA", token[:-8],
                  token[:30] + ("A" if token[30] != "A" else "B") + token[31:], token + "AAAA"):
        assert world.browser.get_with(other, "/api/x").status == 401, other
        assert world.browser.get_with(other, "/identity/userinfo").status == 401, other
    done = world.refresh(tokens["refresh_token"])
    assert done.json["access_token"].startswith("sat_")


@in_world(options=["--opaque"])
def revoking_an_opaque_token_is_at_once(world):
    token = world.tokens()["access_token"]
    assert world.browser.get_with(token, "/api/x").status == 200
    world.browser.post("/identity/revoke", {"client_id": "shop", "client_secret": world.secret,
                                            "token": token})
    assert world.browser.get_with(token, "/api/x").status == 401
    assert world.browser.post("/identity/introspect", {
        "client_id": "shop", "client_secret": world.secret, "token": token}).json == {
            "active": False}


# ---- what is remembered


@in_world()
def a_client_that_was_changed_elsewhere_is_known_so_within_a_second(world):
    ask = lambda secret: world.browser.token(secret=secret, client_id="shop",
                                             grant_type="client_credentials").status
    assert [ask(world.secret) for _ in range(3)] == [200, 200, 200]
    assert ask("wrong") == 401
    new = cli(world.gateway, "client", "secret", "shop")[0]["client_secret"]
    time.sleep(1.2)
    assert ask(world.secret) == 401 and ask(new) == 200 and ask(new) == 200
    cli(world.gateway, "client", "remove", "shop")
    time.sleep(1.2)
    assert ask(new) == 401


@in_world()
def a_remembered_token_is_revoked_at_once(world):
    token = world.tokens()["access_token"]
    fields = {"client_id": "shop", "client_secret": world.secret, "token": token}
    assert all(world.browser.post("/identity/introspect", fields).json["active"] for _ in range(3))
    world.browser.post("/identity/revoke", fields)
    assert not world.browser.post("/identity/introspect", fields).json["active"]


# ---- dynamic registration


def register(world, token=None, **metadata):
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = "Bearer " + token
    return world.browser.send("POST", "/identity/register", json.dumps(metadata), headers)


@in_world()
def dynamic_registration_is_off_by_default(world):
    assert register(world, redirect_uris=[CALLBACK]).status == 404
    assert "registration_endpoint" not in Client(world.gateway).send(
        "GET", "/.well-known/openid-configuration").json


@in_world(more="oauth: {registration: {enabled: on, token: open-sesame, per_hour: 50}}")
def a_registered_client_gets_what_such_clients_may_have(world):
    refused(register(world, redirect_uris=[CALLBACK]), 401, "invalid_token")
    refused(register(world, "wrong", redirect_uris=[CALLBACK]), 401, "invalid_token")
    done = register(world, "open-sesame", redirect_uris=[CALLBACK], client_name="App",
                    grant_types=["authorization_code", "refresh_token"], scope="openid")
    assert done.status == 201 and "no-store" in done.field("cache-control"), done.text
    found = done.json
    assert found["client_secret"] and found["client_secret_expires_at"] == 0
    assert found["redirect_uris"] == [CALLBACK] and found["response_types"] == ["code"]
    flow = Flow(world.browser, found["client_id"], CALLBACK)
    page = flow.start()
    assert "Allow access?" in page.text and "App" in page.text  # always asked
    page = world.browser.submit(decision="allow")
    tokens = flow.redeem(flow.code(page), secret=found["client_secret"])
    assert tokens.status == 200 and tokens.json["refresh_token"], tokens.text
    for error, metadata in (
            ("invalid_redirect_uri", {}),
            ("invalid_redirect_uri", {"redirect_uris": ["http://shop.example/"]}),
            ("invalid_redirect_uri", {"redirect_uris": [CALLBACK + "#x"]}),
            ("invalid_client_metadata", {"grant_types": ["client_credentials"]}),
            ("invalid_client_metadata", {"grant_types": ["password"]}),
            ("invalid_client_metadata", {"scope": "openid orders.read"}),
            ("invalid_client_metadata", {"jwks_uri": "https://x.test/"}),
            ("invalid_client_metadata", {"token_endpoint_auth_method": "client_secret_jwt"})):
        refused(register(world, "open-sesame", **{**({"redirect_uris": [CALLBACK]} if metadata
                                                     else {}), **metadata}), 400, error)
    public = register(world, "open-sesame", redirect_uris=[CALLBACK],
                      token_endpoint_auth_method="none").json
    assert "client_secret" not in public


@in_world(more="oauth: {registration: {enabled: on, per_hour: 2}}")
def registrations_are_limited(world):
    for _ in range(2):
        assert register(world, redirect_uris=[CALLBACK]).status == 201
    assert register(world, redirect_uris=[CALLBACK]).status == 429


# ---- logout


@in_world()
def clients_are_told_of_a_logout_until_they_hear(world):
    heard, lock = [], threading.Lock()

    def listen(connection, head, number, rest):
        length = int([line for line in head.decode().lower().split("\r\n")
                      if line.startswith("content-length")][0].split(":")[1])
        while len(rest) < length:
            rest += connection.recv(65536)
        with lock:
            heard.append(dict(urllib.parse.parse_qsl(rest.decode())))
        answer(connection, b"", status="500 No" if number == 1 else "200 OK")
        return rest[length:]

    client = Service(listen)
    try:
        secret = cli(world.gateway, "client", "create", "told", "--grants", "code", "--scopes",
                     "openid", "--redirects", CALLBACK, "--logout-url",
                     f"http://127.0.0.1:{client.port}/logout")[0]["client_secret"]
        flow = Flow(world.browser, "told", CALLBACK)
        identity = claims(flow.redeem(flow.code(), secret=secret).json["id_token"])
        world.browser.get("/identity/logout")
        world.browser.submit()
        until = time.monotonic() + 30
        while len(heard) < 2:
            assert time.monotonic() < until, (heard, world.gateway.log_text())
            time.sleep(0.1)
        # Back-Channel Logout section 2.4
        token = claims(heard[1]["logout_token"])
        assert token["iss"] == world.browser.issuer and token["aud"] == "told"
        assert token["sub"] == world.user and token["sid"] == identity["sid"]
        assert token["events"] == {"http://schemas.openid.net/event/backchannel-logout": {}}
        assert token["jti"] and token["exp"] > token["iat"] and "nonce" not in token
        assert token["jti"] != claims(heard[0]["logout_token"])["jti"]
        time.sleep(1.5)
        assert len(heard) == 2  # and is left alone afterwards
    finally:
        client.close()


if __name__ == "__main__":
    run([
        the_password_grant_is_off_by_default,
        the_password_grant_is_for_clients_that_were_given_it,
        the_password_grant_gives_tokens_is_warned_of_and_audited,
        the_password_grant_counts_failures_as_the_login_does,
        the_password_grant_asks_for_the_second_factor_of_who_has_one,
        the_password_grant_takes_no_password_that_must_be_changed,
        the_implicit_grant_is_off_by_default,
        the_implicit_grant_is_for_clients_that_were_given_it,
        the_implicit_grant_answers_in_the_fragment,
        tokens_of_the_implicit_grant_end_with_the_session,
        a_token_is_exchanged_for_one_that_says_who_acts,
        an_exchange_never_gives_more_than_there_was,
        a_client_exchanges_only_tokens_of_clients_that_it_was_given,
        what_was_exchanged_ends_with_what_it_came_from,
        an_actor_token_names_who_acts,
        opaque_tokens_say_nothing_and_are_accepted_without_asking,
        revoking_an_opaque_token_is_at_once,
        a_client_that_was_changed_elsewhere_is_known_so_within_a_second,
        a_remembered_token_is_revoked_at_once,
        dynamic_registration_is_off_by_default,
        a_registered_client_gets_what_such_clients_may_have,
        registrations_are_limited,
        clients_are_told_of_a_logout_until_they_hear,
    ])
