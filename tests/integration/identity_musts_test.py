#!/usr/bin/python3
"""What the standards say that a server MUST do, each in a test of its own that is named after document
and section; what needs more than a few lines is in the other files. All on one server."""

import base64
import hashlib
import json
import os
import re
import secrets
import time
import urllib.parse

from harness import run
from idp import Browser, Client, Flow, claims, cli, jose_header, make_user
from identity_client_test import proven, push, reference, use
from identity_grants_test import fragment
from identity_oauth_test import CALLBACK, World, refused
from jose import Key, b64

APP = "https://app.example/back"
IN = "Your account"
OWN = {"grant_type": "client_credentials"}
PRINTABLE = re.compile(r"[\x20-\x21\x23-\x5b\x5d-\x7e]+")


class One(World):
    """One server for all tests, with a confidential client, a public one, and one more of each."""

    def __init__(self):
        super().__init__(more="oauth: {password_grant: on, implicit_grant: on}\n  lockout: {failures: 1000, answer: 0}",
                         grants="code,refresh,client_credentials")
        for name in ("app", "app2"):
            cli(self.gateway, "client", "create", name, "--public", "--grants", "code,refresh", "--scopes",
                "openid,offline_access", "--redirects", APP)
        self.other = cli(self.gateway, "client", "create", "other", "--grants", "code,refresh,client_credentials",
                         "--scopes", "openid,orders.read,offline_access", "--redirects", CALLBACK)[0]["client_secret"]
        cli(self.gateway, "client", "create", "old", "--grants", "implicit", "--public", "--scopes", "openid,email,orders.read",
            "--redirects", APP)
        self.pass_secret = cli(self.gateway, "client", "create", "pass", "--grants", "password", "--scopes",
                               "openid")[0]["client_secret"]
        self.asks = cli(self.gateway, "client", "create", "asks", "--grants", "code", "--scopes", "openid,email",
                        "--redirects", CALLBACK, "--consent")[0]["client_secret"]
        self.pushes = cli(self.gateway, "client", "create", "pushes", "--grants", "code", "--scopes", "openid",
                          "--redirects", CALLBACK, "--require-par")[0]["client_secret"]

    def basic(self, client="shop", secret=None):
        pair = f"{client}:{secret or self.secret}".encode()
        return {"Authorization": "Basic " + base64.b64encode(pair).decode()}

    def own(self, **fields):
        done = self.browser.token(self.secret, client_id="shop", **OWN, **fields)
        assert done.status == 200, done.text
        return done.json["access_token"]

    def metadata(self, name="oauth-authorization-server"):
        return Client(self.gateway).send("GET", "/.well-known/" + name)

    def introspect(self, token):
        return self.browser.post("/identity/introspect", {"token": token}, self.basic())

    def revoke(self, token):
        return self.browser.post("/identity/revoke", {"token": token}, self.basic())

    def app(self, client="app", scope="openid offline_access", **more):
        flow = Flow(self.browser, client, APP, scope, **more)
        done = flow.redeem(flow.code())
        assert done.status == 200, done.text
        return done.json


# ---- RFC 6749


def rfc6749_2_3_a_client_uses_one_method_in_a_request(w):
    done = w.browser.post("/identity/token", {**OWN, "client_id": "shop", "client_secret": w.secret}, w.basic())
    refused(done, 400, "invalid_request")
    refused(w.browser.post("/identity/token", {**OWN, "client_secret": w.secret}, w.basic()), 400, "invalid_request")


def rfc6749_2_3_1_a_client_with_a_secret_can_use_basic(w):
    done = w.browser.post("/identity/token", OWN, w.basic())
    assert done.status == 200 and done.json["access_token"], done.text


def rfc6749_2_3_1_a_secret_is_no_use_in_a_uri(w):
    path = "/identity/token?" + urllib.parse.urlencode({**OWN, "client_id": "shop", "client_secret": w.secret})
    assert w.browser.post(path, {}).status in (400, 401)
    assert w.browser.post(path, OWN).status == 401


def rfc6749_2_3_1_secrets_are_too_long_to_be_guessed(w):
    for secret in (w.secret, w.other):
        assert len(secret) == 43 and len(base64.urlsafe_b64decode(secret + "=")) == 32
    assert w.secret != w.other


def rfc6749_3_1_the_server_finds_out_who_the_user_is(w):
    stranger = Browser(w.gateway)
    page = stranger.get(Flow(stranger, "shop", CALLBACK).url())
    assert page.status == 200 and "Log in" in page.text and not page.location


def rfc6749_3_1_1_a_response_type_that_is_missing_or_unknown_is_an_error(w):
    assert w.flow().start(response_type=None).query["error"] == "invalid_request"
    for kind in ("x", "code x", "code token", "code id_token", "code id_token token"):
        page = w.flow().start(response_type=kind)
        assert "error=unsupported_response_type" in page.location and "code=" not in page.location, page.location


def rfc6749_3_1_2_a_redirect_uri_is_absolute_and_has_no_fragment(w):
    for bad in ("/back", "app.example/back", APP + "#x", "https:///x", "javascript:alert(1)"):
        cli(w.gateway, "client", "create", "bad", "--grants", "code", "--redirects", bad, status=1)


def rfc6749_3_1_2_2_clients_that_are_sent_users_have_registered_where(w):
    for options in (["--public", "--grants", "code"], ["--public", "--grants", "implicit"]):
        cli(w.gateway, "client", "create", "nowhere", *options, status=1)


def rfc6749_3_1_2_3_the_redirect_uri_is_the_registered_one(w):
    for bad in (CALLBACK + "/", CALLBACK + "?y=1", CALLBACK.upper(), CALLBACK + "#", "https://shop.example/callbac",
                "https://shop.example:443/callback", "http://shop.example/callback", CALLBACK + "/../callback"):
        page = w.flow().start(redirect_uri=bad)
        assert page.status == 400 and not page.location, (bad, page.location)


def rfc6749_3_1_2_3_of_several_the_request_names_one(w):
    page = w.flow().start(redirect_uri=None)
    assert page.status == 400 and not page.location


def rfc6749_3_1_2_4_nobody_is_sent_to_a_uri_that_is_not_registered(w):
    page = w.flow().start(redirect_uri="https://evil.test/")
    assert page.status == 400 and not page.location and "evil.test" not in page.text


def rfc6749_3_2_tokens_are_asked_for_by_post(w):
    for method in ("GET", "PUT", "DELETE"):
        done = w.browser.send(method, "/identity/token?" + urllib.parse.urlencode(OWN), headers=w.basic())
        assert done.status in (400, 403, 404, 405) and b"access_token" not in done.body, (method, done.status)


def rfc6749_3_2_1_confidential_clients_authenticate_at_the_token_endpoint(w):
    flow = w.flow()
    refused(flow.redeem(flow.code()), 401, "invalid_client")
    refused(w.browser.token(client_id="shop", **OWN), 401, "invalid_client")
    refused(w.browser.token(client_id="shop", grant_type="refresh_token", refresh_token="x"), 401, "invalid_client")


def rfc6749_3_2_1_a_public_client_says_which_it_is(w):
    flow = Flow(w.browser, "app", APP)
    done = flow.redeem(flow.code(), client_id=None)
    assert done.status in (400, 401), done.text


def rfc6749_3_3_a_scope_that_is_unknown_or_malformed_is_an_error(w):
    for scope in ("admin", "openid admin", 'a"b', "a\\b", "\u00e4"):
        refused(w.browser.token(w.secret, client_id="shop", scope=scope, **OWN), 400, "invalid_scope")
        assert w.flow(scope).start().query["error"] == "invalid_scope", scope


def rfc6749_4_1_1_the_request_is_validated(w):
    assert w.flow().start(response_type="").query["error"] == "invalid_request"
    for changes in ({"client_id": None}, {"client_id": "nobody"}, {"client_id": ""}):
        page = w.flow().start(**changes)
        assert page.status == 400 and not page.location, changes


def rfc6749_4_1_2_a_code_is_used_once_and_its_tokens_end_when_it_is_not(w):
    flow = w.flow()
    code = flow.code()
    token = flow.redeem(code, secret=w.secret).json["access_token"]
    assert w.browser.get_with(token, "/api/x").status == 200
    refused(flow.redeem(code, secret=w.secret), 400, "invalid_grant")
    assert w.browser.get_with(token, "/api/x").status == 401


def rfc6749_4_1_2_a_code_is_bound_to_its_client(w):
    flow = w.flow()
    refused(flow.redeem(flow.code(), client_id="other", secret=w.other), 400, "invalid_grant")
    flow = Flow(w.browser, "app", APP)
    refused(flow.redeem(flow.code(), client_id="app2"), 400, "invalid_grant")


def rfc6749_4_1_2_1_of_a_bad_client_or_redirect_uri_the_user_is_told(w):
    for changes in ({"client_id": "nobody"}, {"redirect_uri": "https://evil.test/"}):
        page = w.flow().start(**changes)
        assert page.status == 400 and "text/html" in page.field("content-type") and not page.location, changes


def rfc6749_4_1_2_1_an_error_has_the_state_of_the_request(w):
    flow = w.flow("admin")
    page = flow.start()
    assert page.query["error"] == "invalid_scope" and page.query["state"] == flow.parameters["state"]
    assert "state" not in flow.start(state=None).query


def rfc6749_4_1_3_code_client_and_redirect_uri_are_checked(w):
    flow = w.flow()
    refused(flow.redeem("x", secret=w.secret), 400, "invalid_grant")
    refused(flow.redeem(None, secret=w.secret), 400, "invalid_request")
    refused(flow.redeem(flow.code(), secret=w.secret, redirect_uri=CALLBACK + "?x=1"), 400, "invalid_grant")


def rfc6749_4_2_2_implicit_answers_in_the_fragment_without_a_refresh_token(w):
    flow = Flow(w.browser, "old", APP, "orders.read", response_type="token")
    answered = fragment(flow.start())
    assert answered["access_token"] and answered["token_type"].lower() == "bearer" and answered["expires_in"]
    assert answered["state"] == flow.parameters["state"] and "refresh_token" not in answered


def rfc6749_4_2_2_1_an_error_of_the_implicit_grant_is_in_the_fragment(w):
    answered = fragment(Flow(w.browser, "old", APP, "admin", response_type="token").start())
    assert answered["error"] == "invalid_scope" and answered["state"]


def rfc6749_4_3_2_client_and_user_are_authenticated(w):
    ask = lambda secret, password: w.browser.token(secret, client_id="pass", grant_type="password", username="alice",
                                                   password=password)
    assert ask(w.pass_secret, "a long password").status == 200
    refused(ask("x", "a long password"), 401, "invalid_client")
    refused(ask(w.pass_secret, "guess"), 400, "invalid_grant")
    refused(w.browser.token(w.pass_secret, client_id="pass", grant_type="password", username="alice"), 400,
            "invalid_request")


def rfc6749_4_4_client_credentials_are_for_confidential_clients(w):
    refused(w.browser.token(client_id="app", **OWN), 400, "unauthorized_client")
    cli(w.gateway, "client", "create", "bad", "--public", "--grants", "client_credentials", status=1)


def rfc6749_4_5_an_unknown_grant_is_unsupported(w):
    refused(w.browser.token(w.secret, client_id="shop", grant_type="urn:example:no"), 400, "unsupported_grant_type")


def rfc6749_5_1_an_answer_has_a_token_its_type_and_is_not_stored(w):
    done = w.browser.token(w.secret, client_id="shop", **OWN)
    assert done.json["access_token"] and done.json["token_type"] == "Bearer" and done.json["expires_in"] > 0
    assert "no-store" in done.field("cache-control") and done.field("pragma") == "no-cache"
    assert done.field("content-type").startswith("application/json")


def rfc6749_5_2_errors_are_of_the_allowed_characters(w):
    answers = [w.browser.token(w.secret, client_id="shop", grant_type=kind) for kind in ("\u00e4", 'a"\\', "", "x")]
    answers += [w.browser.token(w.secret, client_id="shop", scope='"\\\u00e4', **OWN)]
    for done in answers:
        for name in ("error", "error_description"):
            if name in done.json:
                assert PRINTABLE.fullmatch(done.json[name]), done.text
    for page in (w.flow('"\\').start(), w.flow().start(response_type='"\\\u00e4')):
        for name in ("error", "error_description"):
            if name in page.query:
                assert PRINTABLE.fullmatch(page.query[name]), page.location


def rfc6749_6_a_refresh_token_is_bound_to_its_client(w):
    token = w.tokens("openid offline_access")["refresh_token"]
    refused(w.browser.token(w.other, client_id="other", grant_type="refresh_token", refresh_token=token), 400,
            "invalid_grant")
    refused(w.browser.token(client_id="app", grant_type="refresh_token", refresh_token=token), 400, "invalid_grant")


def rfc6749_6_the_scope_of_a_refresh_is_not_wider(w):
    token = w.tokens("openid offline_access orders.read")["refresh_token"]
    refused(w.refresh(token, scope="openid orders.read orders.write"), 400, "invalid_scope")
    token = w.tokens("openid offline_access orders.read")["refresh_token"]
    done = w.refresh(token, scope="openid")
    assert done.status == 200 and done.json["scope"] == "openid", done.text


def rfc6749_6_what_is_no_refresh_token_is_refused(w):
    for token in ("x", secrets.token_urlsafe(32), w.own()):
        refused(w.refresh(token), 400, "invalid_grant")
    refused(w.browser.token(w.secret, client_id="shop", grant_type="refresh_token"), 400, "invalid_request")


def rfc6749_10_3_access_tokens_cannot_be_made(w):
    head, body, signature = w.own().split(".")
    for forged in (f"{head}.{body}.", f"{head}.{body}.{signature[::-1]}",
                   f"{head}.{b64(json.dumps({**claims(f'{head}.{body}.x'), 'roles': ['administrator']}).encode())}.{signature}"):
        assert w.browser.get_with(forged, "/api/x").status == 401
        assert w.introspect(forged).json == {"active": False}


def rfc6749_10_6_a_code_is_redeemed_with_the_uri_that_it_was_sent_to(w):
    flow = w.flow()
    refused(flow.redeem(flow.code(), secret=w.secret, redirect_uri=CALLBACK + "?x=1"), 400, "invalid_grant")


def rfc6749_10_12_forms_of_the_authorization_endpoint_are_its_own(w):
    flow = Flow(w.browser, "asks", CALLBACK, "openid email")
    page = w.browser.get(flow.url())
    assert page.status == 200 and "<form" in page.text, page.text
    for headers in ({"Origin": "https://evil.test"}, {"Sec-Fetch-Site": "cross-site"}):
        page = w.browser.submit(headers=headers, follow=False, decision="allow")
        assert page.status == 403 and not page.location, (headers, page.status)
        w.browser.get(flow.url())


def rfc6749_10_14_parameters_are_not_taken_for_markup(w):
    for name in ("client_id", "redirect_uri", "state", "scope", "prompt"):
        page = w.flow().start(**{name: '"><script>alert(1)</script>'})
        assert "<script>alert" not in page.text and "\n" not in page.location, name
    page = w.flow().start(state="a\r\nSet-Cookie: x=1")
    assert "\r" not in page.location and "x" not in w.browser.cookies


def rfc6749_10_15_the_server_is_no_open_redirector(w):
    for query in ("redirect_uri=https://evil.test/", "client_id=nobody&redirect_uri=https://evil.test/&response_type=code",
                  "client_id=shop&redirect_uri=https://evil.test/&response_type=x"):
        page = w.browser.get("/identity/authorize?" + query)
        assert page.status == 400 and not page.location, query


# ---- RFC 6750


def rfc6750_2_1_a_token_in_the_authorization_field_is_taken(w):
    assert w.browser.get_with(w.own(), "/api/x").status == 200
    assert w.browser.send("GET", "/api/x", headers={"Authorization": "bearer " + w.own()}).status == 200


def rfc6750_2_a_request_shows_its_token_in_one_way(w):
    token = w.own()
    for head in (f"Authorization: Bearer {token}\r\nAuthorization: Bearer {token}\r\n",
                 f"Authorization: Bearer {token}, Bearer {token}\r\n"):
        answered = w.gateway.raw(f"GET /api/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{head}\r\n".encode())
        assert answered.split(b" ")[1] in (b"400", b"401"), answered


def rfc6750_2_2_tokens_in_a_form_are_not_looked_at(w):
    done = w.browser.post("/identity/userinfo", {"access_token": w.tokens()["access_token"]})
    assert done.status == 401


def rfc6750_3_a_challenge_has_its_scheme_and_each_attribute_once(w):
    for headers in ({}, {"Authorization": "Bearer x"}, {"Authorization": "Bearer " + w.own(scope="orders.read")}):
        for path in ("/identity/userinfo", "/api/x", "/clerks"):
            done = w.browser.send("GET", path, headers=headers)
            if done.status == 200:
                continue
            challenge = done.field("www-authenticate")
            assert challenge.startswith("Bearer "), (path, challenge)
            names = re.findall(r'([a-z_]+)="', challenge.split("DPoP ")[0])
            assert names and len(names) == len(set(names)), challenge
            assert all(PRINTABLE.fullmatch(value) for value in re.findall(r'="([^"]*)"', challenge)), challenge


def rfc6750_3_1_a_token_that_may_too_little_is_told_so(w):
    done = w.browser.get_with(w.own(scope="orders.write"), "/scoped")
    assert done.status == 403 and 'error="insufficient_scope"' in done.field("www-authenticate")
    assert 'scope="orders.read"' in done.field("www-authenticate")


def rfc6750_5_2_a_token_for_another_audience_is_refused(w):
    secret = cli(w.gateway, "client", "create", "far", "--grants", "client_credentials", "--resources",
                 "https://far.example/")[0]["client_secret"]
    done = w.browser.token(secret, client_id="far", resource="https://far.example/", **OWN)
    assert claims(done.json["access_token"])["aud"] == "https://far.example/", done.text
    assert w.browser.get_with(done.json["access_token"], "/api/x").status == 401


# ---- RFC 7636


def rfc7636_4_2_s256_is_there(w):
    assert w.metadata().json["code_challenge_methods_supported"] == ["S256"]
    assert w.app()["access_token"]


def rfc7636_4_3_a_challenge_is_demanded_and_the_error_says_so(w):
    for client, redirect in (("shop", CALLBACK), ("app", APP)):
        page = Flow(w.browser, client, redirect).start(code_challenge=None, code_challenge_method=None)
        assert page.query["error"] == "invalid_request" and "code" not in page.query


def rfc7636_4_4_the_challenge_is_bound_to_the_code(w):
    first, second = w.flow(), w.flow()
    code = first.code()
    refused(second.redeem(code, secret=w.secret), 400, "invalid_grant")


def rfc7636_4_4_1_a_method_that_is_not_supported_is_an_error(w):
    for method in ("plain", "S512", "s256", None):
        assert w.flow().start(code_challenge_method=method).query["error"] == "invalid_request", method


def rfc7636_4_6_without_the_verifier_there_are_no_tokens(w):
    for verifier in (None, "", "x" * 42, "x" * 129, "\u00e4" * 43):
        flow = w.flow()
        done = flow.redeem(flow.code(), secret=w.secret, code_verifier=verifier)
        assert done.status == 400 and done.json["error"] in ("invalid_grant", "invalid_request"), done.text


# ---- RFC 7009


def rfc7009_2_refresh_tokens_and_access_tokens_can_be_revoked(w):
    tokens = w.tokens("openid offline_access")
    assert w.revoke(tokens["access_token"]).status == 200 and w.revoke(tokens["refresh_token"]).status == 200
    refused(w.refresh(tokens["refresh_token"]), 400, "invalid_grant")


def rfc7009_2_the_request_is_a_post_with_a_token(w):
    assert w.browser.send("GET", "/identity/revoke?token=x", headers=w.basic()).status == 405
    refused(w.browser.post("/identity/revoke", {}, w.basic()), 400, "invalid_request")


def rfc7009_2_1_the_client_is_authenticated(w):
    token = w.own()
    refused(w.browser.post("/identity/revoke", {"token": token}), 401, "invalid_client")
    refused(w.browser.post("/identity/revoke", {"token": token}, w.basic(secret="wrong")), 401, "invalid_client")
    assert w.browser.get_with(token, "/api/x").status == 200


def rfc7009_2_1_a_token_is_of_no_use_at_once(w):
    token = w.own()
    assert w.browser.get_with(token, "/api/x").status == 200
    assert w.revoke(token).status == 200
    assert w.browser.get_with(token, "/api/x").status == 401
    assert w.introspect(token).json == {"active": False}


def rfc7009_2_1_with_the_grant_its_access_tokens_end(w):
    tokens = w.tokens("openid offline_access")
    assert w.revoke(tokens["refresh_token"]).status == 200
    assert w.browser.get_with(tokens["access_token"], "/api/x").status == 401


def rfc7009_2_1_a_token_of_another_client_is_refused_with_an_error(w):
    tokens = w.tokens("openid offline_access")
    for token in (tokens["access_token"], tokens["refresh_token"]):
        done = w.browser.post("/identity/revoke", {"token": token}, w.basic("other", w.other))
        refused(done, 400, "invalid_grant")
    assert w.browser.get_with(tokens["access_token"], "/api/x").status == 200


def rfc7009_2_1_a_public_client_revokes_its_own(w):
    tokens = w.app()
    done = w.browser.post("/identity/revoke", {"client_id": "app2", "token": tokens["refresh_token"]})
    refused(done, 400, "invalid_grant")
    refresh = {"client_id": "app", "grant_type": "refresh_token"}
    tokens = w.browser.token(refresh_token=tokens["refresh_token"], **refresh).json
    assert tokens["refresh_token"]
    assert w.browser.post("/identity/revoke", {"client_id": "app", "token": tokens["refresh_token"]}).status == 200
    refused(w.browser.token(refresh_token=tokens["refresh_token"], **refresh), 400, "invalid_grant")


# ---- RFC 7662


def rfc7662_2_1_the_request_is_a_post_with_a_token(w):
    assert w.browser.send("GET", "/identity/introspect?token=x", headers=w.basic()).status == 405
    refused(w.browser.post("/identity/introspect", {}, w.basic()), 400, "invalid_request")


def rfc7662_2_2_the_answer_says_whether_it_is_active(w):
    found = w.introspect(w.own(scope="orders.read"))
    assert found.field("content-type").startswith("application/json")
    assert found.json["active"] is True and found.json["client_id"] == "shop" and found.json["scope"] == "orders.read"


def rfc7662_2_2_a_hint_that_is_wrong_does_no_harm(w):
    token = w.own()
    done = w.browser.post("/identity/introspect", {"token": token, "token_type_hint": "refresh_token"}, w.basic())
    assert done.json["active"] is True, done.text


def rfc7662_4_what_is_not_valid_is_not_active(w):
    token = w.own()
    w.revoke(token)
    head, body, signature = w.own().split(".")
    for bad in (token, f"{head}.{body}.{signature[::-1]}", f"{head}.{body}.", "x", w.tokens()["id_token"]):
        assert w.introspect(bad).json == {"active": False}, bad


# ---- RFC 8414


def rfc8414_2_the_issuer_is_https_or_here_and_has_no_query(w):
    issuer = urllib.parse.urlsplit(w.metadata().json["issuer"])
    assert issuer.hostname == "localhost" or issuer.scheme == "https"
    assert not issuer.query and not issuer.fragment and not issuer.path


def rfc8414_2_what_is_said_of_endpoints_is_so(w):
    found = w.metadata().json
    for name, value in found.items():
        if name.endswith("_endpoint") or name == "jwks_uri":
            path = urllib.parse.urlsplit(value).path
            assert w.browser.send("GET", path).status != 404, (name, value)


def rfc8414_2_keys_of_the_set_are_for_signatures_and_public(w):
    for key in Client(w.gateway).send("GET", "/identity/keys").json["keys"]:
        assert key["use"] == "sig" and key["kid"] and not {"d", "p", "q", "k"} & set(key), key


def rfc8414_3_metadata_is_got_by_get_at_its_place(w):
    assert w.metadata().status == 200 and w.metadata("openid-configuration").json == w.metadata().json
    assert w.browser.post("/.well-known/oauth-authorization-server", {}).status == 405


def rfc8414_3_2_metadata_is_json_without_empty_members(w):
    done = w.metadata()
    assert done.status == 200 and done.field("content-type") == "application/json"
    assert all(value not in ([], None, "") for value in done.json.values())


def rfc8414_3_3_the_issuer_is_that_of_the_url(w):
    assert w.metadata().json["issuer"] == w.browser.issuer


# ---- RFC 9126


def rfc9126_2_the_client_is_authenticated(w):
    refused(push(w, w.flow(), secret="wrong"), 401, "invalid_client")
    refused(push(w, w.flow(), client_secret=None), 401, "invalid_client")


def rfc9126_2_1_a_request_uri_is_refused(w):
    done = push(w, w.flow(), request_uri="urn:x")
    assert done.status == 400 and done.json["error"] in ("invalid_request", "request_uri_not_supported"), done.text


def rfc9126_2_1_a_pushed_request_is_checked_like_one_that_comes_by_browser(w):
    for error, changes in (("invalid_request", {"redirect_uri": "https://evil.test/"}), ("invalid_scope", {"scope": "admin"}),
                           ("unsupported_response_type", {"response_type": "x"}), ("invalid_request", {"code_challenge": None})):
        refused(push(w, w.flow(), **changes), 400, error)


def rfc9126_2_2_the_answer_is_201_with_a_reference_that_cannot_be_guessed(w):
    done, again = push(w, w.flow()), push(w, w.flow())
    assert done.status == 201 and done.json["expires_in"] > 0 and "no-store" in done.field("cache-control")
    assert done.json["request_uri"] != again.json["request_uri"]
    assert len(done.json["request_uri"].rsplit(":", 1)[1]) >= 43


def rfc9126_2_2_a_reference_is_bound_to_its_client(w):
    uri = push(w, w.flow()).json["request_uri"]
    page = w.browser.get(reference(uri, "other"))
    assert page.status == 400 and not page.location


def rfc9126_2_3_an_error_is_one_of_the_token_endpoint(w):
    done = push(w, w.flow(), scope="admin")
    refused(done, 400, "invalid_scope")
    assert done.field("content-type").startswith("application/json")


def rfc9126_4_a_reference_is_used_once(w):
    uri = push(w, w.flow()).json["request_uri"]
    assert w.browser.get(reference(uri)).query["code"]
    page = w.browser.get(reference(uri))
    assert page.status == 400 and not page.location


def rfc9126_4_what_the_browser_adds_does_not_count(w):
    flow = w.flow("openid")
    page = w.browser.get(reference(push(w, flow).json["request_uri"], scope="openid orders.write", state="x"))
    assert page.query["state"] == flow.parameters["state"]
    assert flow.redeem(page.query["code"], secret=w.secret).json["scope"] == "openid"


def rfc9126_5_a_client_that_must_push_is_refused_otherwise(w):
    assert Flow(w.browser, "pushes", CALLBACK).start().query["error"] == "invalid_request"


# ---- RFC 9449


def checked(w, **changes):
    """Both where tokens are given and where they are used."""
    key = w.key
    token = proven(w, key, OWN).json["access_token"]
    assert use(w, key, token, **changes).status == 401, changes
    refused(proven(w, key, OWN, **changes), 400, "invalid_dpop_proof")


def rfc9449_4_3_1_there_is_one_proof(w):
    url, key = w.browser.issuer + "/identity/token", w.key
    body = urllib.parse.urlencode({**OWN, "client_id": "shop", "client_secret": w.secret})
    answered = w.gateway.raw((
        f"POST /identity/token HTTP/1.1\r\nHost: localhost:{w.gateway.port}\r\nConnection: close\r\n"
        f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n"
        f"DPoP: {key.proof('POST', url)}\r\nDPoP: {key.proof('POST', url)}\r\n\r\n{body}").encode())
    assert b" 400 " in answered.split(b"\r\n")[0] and b"invalid_dpop_proof" in answered, answered


def rfc9449_4_3_2_a_proof_is_one_well_formed_jwt(w):
    for text in ("x", "a.b", "a.b.c.d", "a.b.c"):
        done = w.browser.post("/identity/token", {**OWN, "client_id": "shop", "client_secret": w.secret}, {"DPoP": text})
        refused(done, 400, "invalid_dpop_proof")


def rfc9449_4_3_3_all_claims_are_there(w):
    for name in ("jti", "htm", "htu", "iat"):
        checked(w, **{name: None})


def rfc9449_4_3_4_the_type_is_dpop_jwt(w):
    for typ in (None, "JWT", "dpop"):
        checked(w, header={"typ": typ})


def rfc9449_4_3_5_the_algorithm_is_asymmetric_and_not_none(w):
    for name in ("none", "HS256", "HS512"):
        checked(w, header={"alg": name})
    assert not [name for name in w.metadata().json["dpop_signing_alg_values_supported"] if name[0] in "Hn"]


def rfc9449_4_3_6_the_signature_is_of_the_key_in_it(w):
    checked(w, header={"jwk": Key().jwk()})
    checked(w, header={"jwk": None})


def rfc9449_4_3_7_the_key_is_not_a_private_one(w):
    checked(w, header={"jwk": {**w.key.jwk(), "d": b64(b"x" * 32)}})


def rfc9449_4_3_8_the_method_is_that_of_the_request(w):
    checked(w, htm="PUT")
    checked(w, htm="post")


def rfc9449_4_3_9_the_url_is_that_of_the_request(w):
    for url in ("https://evil.test/identity/token", w.browser.issuer + "/identity/tokens", "/identity/token", ""):
        checked(w, htu=url)


def rfc9449_4_3_11_the_proof_was_made_now(w):
    now = int(time.time())
    for made in (now - 3600, now + 3600, "now", -1):
        checked(w, iat=made)


def rfc9449_4_3_12_with_a_token_the_proof_is_for_this_token_and_key(w):
    key, token = w.key, proven(w, w.key, OWN).json["access_token"]
    for ath in (None, "x", b64(hashlib.sha256(b"another").digest())):
        assert use(w, key, token, ath=ath).status == 401, ath
    assert use(w, Key(), token).status == 401
    assert use(w, key, token).status == 200


def rfc9449_5_the_token_is_said_to_be_bound(w):
    done = proven(w, w.key, OWN)
    assert done.json["token_type"] == "DPoP" and claims(done.json["access_token"])["cnf"] == {"jkt": w.key.thumbprint()}


def rfc9449_5_a_public_clients_refresh_token_is_bound(w):
    url, flow = w.browser.issuer + "/identity/token", Flow(w.browser, "app", APP)
    ask = lambda key, **fields: w.browser.post("/identity/token", {"client_id": "app", **fields},
                                               {"DPoP": key.proof("POST", url)})
    token = ask(w.key, grant_type="authorization_code", code=flow.code(), redirect_uri=APP,
                code_verifier=flow.verifier).json["refresh_token"]
    refused(ask(Key(), grant_type="refresh_token", refresh_token=token), 400, "invalid_grant")
    assert ask(w.key, grant_type="refresh_token", refresh_token=token).status == 200


def rfc9449_6_2_introspection_tells_of_the_key(w):
    found = w.introspect(proven(w, w.key, OWN).json["access_token"]).json
    assert found["cnf"] == {"jkt": w.key.thumbprint()} and found["token_type"] == "DPoP"


def rfc9449_7_1_a_bound_token_is_good_with_its_proof_only(w):
    token = proven(w, w.key, OWN).json["access_token"]
    done = use(w, None, token)
    assert done.status == 401 and done.field("www-authenticate").startswith("DPoP "), done.field("www-authenticate")
    assert use(w, w.key, token).status == 200


def rfc9449_7_2_a_bound_token_is_no_bearer_token(w):
    token = proven(w, w.key, OWN).json["access_token"]
    for page in (w.browser.get_with(token, "/api/x"), use(w, w.key, token, scheme="Bearer"),
                 w.browser.get_with(token, "/identity/userinfo")):
        assert page.status == 401, page.text


def rfc9449_10_a_code_with_a_key_is_redeemed_with_it(w):
    flow, url = w.flow(), w.browser.issuer + "/identity/token"
    for key, status in ((Key(), 400), (None, 400), (w.key, 200)):
        code = flow.code(flow.start(dpop_jkt=w.key.thumbprint()))
        done = w.browser.post("/identity/token", {
            "grant_type": "authorization_code", "client_id": "shop", "client_secret": w.secret, "code": code,
            "redirect_uri": CALLBACK, "code_verifier": flow.verifier}, {"DPoP": key.proof("POST", url)} if key else {})
        assert done.status == status, done.text


def rfc9449_10_1_of_a_pushed_request_key_and_thumbprint_agree(w):
    proof = {"DPoP": w.key.proof("POST", w.browser.issuer + "/identity/par")}
    done = w.browser.post("/identity/par", {**w.flow().parameters, "client_secret": w.secret,
                                            "dpop_jkt": Key().thumbprint()}, proof)
    assert done.status == 400, done.text


def rfc9449_11_1_a_proof_is_used_once(w):
    assert proven(w, w.key, OWN, jti="once-and-only").status == 200
    refused(proven(w, w.key, OWN, jti="once-and-only"), 400, "invalid_dpop_proof")


# ---- RFC 9700


def rfc9700_2_1_redirect_uris_are_compared_exactly(w):
    for bad in (CALLBACK + "/x", CALLBACK + "%2F", CALLBACK.replace("shop", "SHOP"), "https://shop.example@evil.test/callback"):
        page = w.flow().start(redirect_uri=bad)
        assert page.status == 400 and not page.location, bad


def rfc9700_2_1_but_for_the_port_of_a_program_on_the_users_machine(w):
    cli(w.gateway, "client", "create", "native", "--public", "--grants", "code", "--scopes", "openid",
        "--redirects", "http://127.0.0.1/back,http://[::1]/back?x=1")
    for uri in ("http://127.0.0.1/back", "http://127.0.0.1:49152/back", "http://[::1]:1024/back?x=1"):
        flow = Flow(w.browser, "native", uri)
        code = flow.start().query["code"]
        # What was asked with one port is not redeemed with another.
        assert flow.redeem(code, redirect_uri=uri.replace("/back", "0/back")).status == 400
        assert flow.redeem(flow.start().query["code"]).status == 200, uri
    for bad in ("http://127.0.0.1:1/other", "http://127.0.0.1:1/back?x=1", "http://127.0.0.2:1/back", "http://localhost:1/back",
                "https://127.0.0.1:1/back", "http://127.0.0.1:1@evil.test/back", "http://[::1]:1/back", "http://127.0.0.1:x/back",
                "http://127.0.0.1:99999/back", "http://127.0.0.1:1/back#x", "http://127.0.0.1.evil.test:1/back"):
        page = Flow(w.browser, "native", bad).start()
        assert page.status == 400 and not page.location, bad
    # A client with a secret runs on a server, which knows its port.
    cli(w.gateway, "client", "create", "served", "--grants", "code", "--redirects", "http://127.0.0.1/back")
    assert Flow(w.browser, "served", "http://127.0.0.1:49152/back").start().status == 400


def rfc9700_2_6_a_redirect_uri_is_https_but_on_the_users_machine(w):
    for bad in ("http://shop.example/callback", "http://10.0.0.1/x", "ftp://shop.example/x", "http://127.0.0.1.evil.test/x"):
        cli(w.gateway, "client", "create", "bad", "--grants", "code", "--redirects", bad, status=1)


def rfc9700_2_6_the_authorization_endpoint_is_not_for_scripts_of_others(w):
    for method in ("GET", "OPTIONS"):
        page = w.browser.exchange(method, w.flow().url(), headers={"Origin": "https://evil.test",
                                                                  "Access-Control-Request-Method": "GET"})
        assert not [name for name in page.fields if name.startswith("access-control-")], page.fields


def rfc9700_4_11_2_nobody_is_sent_on_before_a_login(w):
    stranger = Browser(w.gateway)
    for changes in ({"scope": "admin"}, {"response_type": "x"}, {"code_challenge": None}, {"request": "x.y.z"}):
        page = stranger.get(Flow(stranger, "shop", CALLBACK).url(**changes))
        assert page.status == 200 and 'name="password"' in page.text and not page.location, (changes, page.text)
    # Afterwards the client is told what was wrong; and at once where no page may be shown.
    page = stranger.submit(name="alice", password="a long password")
    assert page.status == 303 and page.location.startswith(CALLBACK) and page.query["error"] == "request_not_supported"
    other = Browser(w.gateway)
    assert Flow(other, "shop", CALLBACK, "admin").start(prompt="none").query["error"] == "invalid_scope"


def rfc9700_2_1_clients_and_server_are_no_open_redirectors(w):
    page = w.browser.get("/identity/login?return=https://evil.test/")
    assert "evil.test" not in page.text + page.location
    page = w.browser.get("/identity/logout?post_logout_redirect_uri=https://evil.test/")
    page = w.browser.page
    assert not page.location


def rfc9700_2_1_1_pkce_is_supported_and_enforced(w):
    assert "S256" in w.metadata().json["code_challenge_methods_supported"]
    flow = w.flow()
    assert flow.redeem(flow.code(), secret=w.secret, code_verifier=None).status == 400


def rfc9700_2_1_1_a_challenge_that_is_taken_away_is_no_downgrade(w):
    flow = w.flow()
    assert flow.start(code_challenge=None).query["error"] == "invalid_request"
    assert flow.start(code_challenge=None, code_challenge_method=None).query["error"] == "invalid_request"


def rfc9700_2_2_2_refresh_tokens_of_public_clients_are_new_each_time(w):
    first = w.app()["refresh_token"]
    refresh = {"client_id": "app", "grant_type": "refresh_token"}
    second = w.browser.token(refresh_token=first, **refresh).json["refresh_token"]
    assert second != first
    refused(w.browser.token(refresh_token=first, **refresh), 400, "invalid_grant")
    refused(w.browser.token(refresh_token=second, **refresh), 400, "invalid_grant")


def rfc9700_2_3_a_token_may_what_was_asked_and_no_more(w):
    token = claims(w.tokens("openid")["access_token"])
    assert token["scope"] == "openid" and token["aud"] == w.browser.issuer


def rfc9700_4_1_3_the_server_sends_nobody_to_a_uri_like_a_registered_one(w):
    for bad in ("https://shop.example.evil.test/callback", "https://shop.example/callback?x=1&y=2", "https://shop.example/"):
        assert w.flow().start(redirect_uri=bad).status == 400, bad


def rfc9700_4_2_4_a_code_is_of_no_use_a_second_time(w):
    flow = w.flow()
    code = flow.code()
    assert flow.redeem(code, secret=w.secret).status == 200
    refused(flow.redeem(code, secret=w.secret), 400, "invalid_grant")


def rfc9700_4_3_2_tokens_do_not_travel_in_queries(w):
    assert w.browser.send("GET", "/api/x?access_token=" + w.own()).status == 401


def rfc9700_4_4_2_metadata_says_that_answers_name_the_issuer(w):
    assert w.metadata().json["authorization_response_iss_parameter_supported"] is True
    assert w.flow().start().query["iss"] == w.metadata().json["issuer"]


def rfc9700_4_5_3_a_code_that_was_injected_is_refused(w):
    _, mallory = make_user(w.gateway, "mallory" + secrets.token_hex(3))
    stolen = Flow(mallory, "shop", CALLBACK, "openid").code()
    refused(w.flow().redeem(stolen, secret=w.secret), 400, "invalid_grant")


def rfc9700_4_7_1_forms_need_a_token_that_goes_with_the_browser(w):
    browser = Browser(w.gateway)
    browser.get("/identity/login")
    page = browser.submit(form_token="x", name="alice", password="a long password")
    assert page.status == 403 and "__Host-sallyport" not in browser.cookies


def rfc9700_4_12_nobody_is_redirected_by_307(w):
    assert w.flow().start().status == 303
    browser = Browser(w.gateway)
    browser.get("/identity/login")
    assert browser.submit(follow=False, name="alice", password="a long password").status == 303


def rfc9700_4_15_a_client_is_not_taken_for_a_user(w):
    token = claims(w.own())
    assert token["sub"] == "shop" and token["client_id"] == "shop" and not re.fullmatch(r"u[0-9a-f]{32}", token["sub"])
    assert re.fullmatch(r"u[0-9a-f]{32}", claims(w.tokens()["access_token"])["sub"])
    for name in ("u" + "0" * 32, claims(w.tokens()["access_token"])["sub"]):
        cli(w.gateway, "client", "create", name, "--grants", "client_credentials", status=1)


def rfc9700_4_16_no_page_can_be_framed(w):
    for path in ("/identity/login", "/identity", "/identity/security", "/identity/device",
                 Flow(w.browser, "asks", CALLBACK, "openid email").url()):
        page = w.browser.get(path)
        assert page.field("x-frame-options") == "DENY", path
        assert "frame-ancestors 'none'" in page.field("content-security-policy"), path


# ---- OpenID Connect Core


def oidc_3_1_2_1_the_request_comes_by_get_or_post(w):
    flow = w.flow()
    page = w.browser.exchange("POST", "/identity/authorize", urllib.parse.urlencode(flow.parameters),
                              {"Content-Type": "application/x-www-form-urlencoded"})
    assert flow.code(page) and flow.code(w.browser.get(flow.url()))


def oidc_3_1_2_1_prompt_none_is_alone(w):
    for prompt in ("none login", "login none", "none consent"):
        assert w.flow().start(prompt=prompt).query["error"] == "invalid_request", prompt


def oidc_3_1_2_1_prompt_login_asks_again(w):
    time.sleep(1.1)
    page = w.flow().start(prompt="login")
    assert page.status == 200 and "Log in" in page.text


def oidc_3_1_2_1_max_age_gives_auth_time(w):
    token = claims(w.tokens("openid", max_age="10000")["id_token"])
    assert token["auth_time"] <= time.time() and token["iat"] >= token["auth_time"]


def oidc_3_1_2_1_a_hint_of_another_user_is_no_success(w):
    hint = w.tokens()["id_token"]
    _, other = make_user(w.gateway, "other" + secrets.token_hex(3))
    flow = Flow(other, "shop", CALLBACK, "openid")
    assert flow.start(id_token_hint=hint, prompt="none").query["error"] == "login_required"


def oidc_3_1_2_2_a_request_is_checked_before_anybody_is_asked(w):
    flow = Flow(w.browser, "asks", CALLBACK, "openid admin")
    page = flow.start()
    assert page.status == 303 and page.query["error"] == "invalid_scope"
    assert flow.start(prompt="none").query["error"] == "invalid_scope"


def oidc_3_1_2_1_a_login_hint_is_in_the_field(w):
    stranger = Browser(w.gateway)
    stranger.get(Flow(stranger, "shop", CALLBACK, "openid", login_hint='al"<b>ice@b.test').url())
    assert stranger.form()[1]["name"] == 'al"<b>ice@b.test' and "<b>" not in stranger.page.text


def oidc_2_a_subject_is_never_that_of_another(w):
    name = "again" + secrets.token_hex(3)
    first = make_user(w.gateway, name)[0]
    cli(w.gateway, "user", "remove", name)
    assert make_user(w.gateway, name)[0] != first


def oidc_11_offline_access_needs_consent_where_that_is_asked(w):
    cli(w.gateway, "client", "create", "offline", "--grants", "code,refresh", "--scopes", "openid,offline_access",
        "--redirects", CALLBACK, "--consent")
    flow = Flow(w.browser, "offline", CALLBACK, "openid")
    flow.start()
    assert w.browser.submit(decision="allow", follow=False).query["code"]
    # What was allowed before is not this.
    page = Flow(w.browser, "offline", CALLBACK, "openid offline_access").start()
    assert page.status == 200 and "when you have logged out" in page.text and not page.location


def oidc_11_offline_access_without_a_code_is_ignored(w):
    cli(w.gateway, "client", "create", "page", "--grants", "implicit", "--public", "--scopes", "openid,offline_access",
        "--redirects", APP)
    _, browser = make_user(w.gateway, "gone" + secrets.token_hex(3))
    token = fragment(Flow(browser, "page", APP, "openid offline_access", response_type="id_token token").start())["access_token"]
    assert w.browser.get_with(token, "/api/x").status == 200
    browser.get("/identity/logout")
    browser.submit()
    assert w.browser.get_with(token, "/api/x").status == 401


def oidc_3_1_2_3_without_a_login_there_is_an_error_or_a_login(w):
    stranger = Browser(w.gateway)
    flow = Flow(stranger, "shop", CALLBACK, "openid")
    assert flow.start(prompt="none").query["error"] == "login_required"
    assert "Log in" in flow.start().text


def oidc_3_1_2_4_consent_comes_before_anything_is_told(w):
    flow = Flow(w.browser, "asks", CALLBACK, "openid email")
    page = flow.start(prompt="consent")
    assert page.status == 200 and not page.location and "asks" in page.text
    assert flow.start(prompt="none").query["error"] in ("consent_required", "interaction_required")


def oidc_3_1_2_6_an_error_is_one_of_those_that_there_are(w):
    stranger = Browser(w.gateway)
    page = Flow(stranger, "shop", CALLBACK, "openid").start(prompt="none")
    assert page.query["error"] == "login_required" and page.query["state"]


def oidc_3_1_3_2_the_token_request_is_checked(w):
    flow = w.flow("openid")
    refused(flow.redeem("x", secret=w.secret), 400, "invalid_grant")
    refused(flow.redeem(flow.code(), secret="x"), 401, "invalid_client")


def oidc_3_1_3_3_the_answer_has_an_id_token_and_is_not_stored(w):
    flow = w.flow("openid")
    done = flow.redeem(flow.code(), secret=w.secret)
    assert done.json["id_token"] and done.json["token_type"] == "Bearer" and "no-store" in done.field("cache-control")


def oidc_3_1_3_6_an_id_token_names_its_client_nonce_and_access_token(w):
    flow = w.flow("openid")
    done = flow.redeem(flow.code(), secret=w.secret).json
    token = claims(done["id_token"])
    assert token["nonce"] == flow.parameters["nonce"] and token["aud"] == "shop"
    assert token["at_hash"] == b64(hashlib.sha256(done["access_token"].encode()).digest()[:16])


def oidc_3_2_2_1_implicit_needs_a_nonce(w):
    answered = fragment(Flow(w.browser, "old", APP, "openid", response_type="id_token").start(nonce=None))
    assert answered["error"] == "invalid_request"


def oidc_3_2_2_5_implicit_answers_in_the_fragment_with_at_hash(w):
    answered = fragment(Flow(w.browser, "old", APP, "openid", response_type="id_token token").start())
    token = claims(answered["id_token"])
    assert token["at_hash"] == b64(hashlib.sha256(answered["access_token"].encode()).digest()[:16])


def oidc_5_3_1_userinfo_takes_a_bearer_token_by_get_and_post(w):
    headers = {"Authorization": "Bearer " + w.tokens("openid")["access_token"]}
    for method in ("GET", "POST"):
        assert w.browser.send(method, "/identity/userinfo", headers=headers).status == 200, method


def oidc_5_3_2_the_sub_of_userinfo_is_that_of_the_id_token(w):
    tokens = w.tokens("openid")
    found = w.browser.get_with(tokens["access_token"], "/identity/userinfo")
    assert found.json["sub"] == claims(tokens["id_token"])["sub"]
    assert found.field("content-type").startswith("application/json")


def oidc_5_3_3_a_refusal_of_userinfo_is_one_of_rfc_6750(w):
    done = w.browser.get_with("x", "/identity/userinfo")
    assert done.status == 401 and 'error="invalid_token"' in done.field("www-authenticate")


def oidc_5_4_without_an_access_token_the_claims_are_in_the_id_token(w):
    answered = fragment(Flow(w.browser, "old", APP, "openid email", response_type="id_token").start())
    assert claims(answered["id_token"])["email"] == "a@b.test", claims(answered["id_token"])


def oidc_5_5_a_claims_parameter_that_is_not_supported_is_no_error(w):
    assert w.metadata("openid-configuration").json["claims_parameter_supported"] is False
    wanted = json.dumps({"id_token": {"email": {"essential": True}}})
    flow = w.flow("openid")
    done = flow.redeem(flow.code(flow.start(claims=wanted)), secret=w.secret)
    assert done.status == 200 and done.json["id_token"], done.text


def oidc_6_1_a_request_object_is_not_supported_and_that_is_said(w):
    assert w.metadata("openid-configuration").json["request_parameter_supported"] is False
    assert w.flow().start(request="x.y.z").query["error"] == "request_not_supported"


def oidc_6_2_a_request_uri_is_not_supported_and_that_is_said(w):
    assert w.metadata("openid-configuration").json["request_uri_parameter_supported"] is False
    assert w.flow().start(request_uri="https://x.test/").query["error"] == "request_uri_not_supported"


def oidc_10_1_id_tokens_name_a_key_of_the_set(w):
    header = jose_header(w.tokens("openid")["id_token"])
    keys = {key["kid"]: key for key in Client(w.gateway).send("GET", "/identity/keys").json["keys"]}
    assert keys[header["kid"]]["alg"] == header["alg"]


def oidc_12_1_a_refresh_does_not_change_who_it_is(w):
    tokens = w.tokens("openid offline_access")
    before, after = claims(tokens["id_token"]), claims(w.refresh(tokens["refresh_token"]).json["id_token"])
    assert all(before[name] == after[name] for name in ("iss", "sub", "aud", "auth_time"))


def oidc_16_11_what_is_told_of_a_user_is_what_was_granted(w):
    found = w.browser.get_with(w.tokens("openid")["access_token"], "/identity/userinfo").json
    assert set(found) == {"sub"}, found


def the_table_names_tests_that_there_are():
    """docs/standards.md: each name is that of a test, and each of ours is in it."""
    root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
    defined = set()
    for folder in ("tests/integration", "tests/unit/identity", "tests/clients"):
        for name in os.listdir(os.path.join(root, folder)):
            if name.endswith((".py", ".c", ".mjs")):
                with open(os.path.join(root, folder, name), encoding="utf-8") as file:
                    text = file.read()
                defined |= set(re.findall(r"^def (\w+)\(", text, re.M))
                defined |= set(re.findall(r"^async function (\w+)\(", text, re.M))
                defined |= set(re.findall(r"^static void (\w+)\(void \*\*state\)", text, re.M))
    with open(os.path.join(root, "docs", "standards.md"), encoding="utf-8") as file:
        rows = [line for line in file if line.startswith("|")]
    named = set()
    for row in rows:
        for name in re.findall(r"`([a-z][a-z0-9]*_[a-z0-9_]*_[a-z0-9_]+)`", row.split("|")[-2]):
            named.add(name)
            assert name in defined, (name, row)
    assert len(named) > 150, len(named)
    ours = {name for name in globals() if re.match(r"(rfc\d+|oidc)_", name)}
    assert not ours - named, ours - named


def main():
    world = One()
    world.key = Key()
    tests = [test for name, test in globals().items() if re.match(r"(rfc\d+|oidc)_", name)]

    def with_world(test):
        def wrapped():
            if IN not in world.browser.get("/identity").text:
                world.browser.log_in("alice", "a long password")
            test(world)
            assert "AddressSanitizer" not in world.gateway.log_text(), world.gateway.log_text()

        wrapped.__name__ = test.__name__
        return wrapped

    try:
        run([the_table_names_tests_that_there_are] + [with_world(test) for test in tests])
    finally:
        world.close()


if __name__ == "__main__":
    main()
