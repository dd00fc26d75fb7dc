#!/usr/bin/python3
"""What standards demand of the identity server, sentence by sentence: each test is named after the
document and section. docs/standards.md is the table of all, with what other files test."""

import base64
import hashlib
import hmac
import json
import os
import secrets
import sqlite3
import time
import urllib.parse

from harness import run
from idp import Browser, Client, Flow, claims, cli, jose_header, make_user, server, totp
from identity_attack_test import together
from identity_login_test import reload_config, turn_totp_on
from identity_oauth_test import CALLBACK, in_world, refused
from jose import b64


def form(world, path, **fields):
    return world.browser.post(path, {"client_id": "shop", "client_secret": world.secret, **fields})


# ---- RFC 6749


@in_world()
def rfc6749_2_2_a_client_id_is_given_once(world):
    error = cli(world.gateway, "client", "create", "shop", "--grants", "code", "--redirects", CALLBACK,
                status=1)
    assert "changed by somebody" in error or "already" in error or "exists" in error, error


@in_world()
def rfc6749_3_1_empty_parameters_count_as_absent_and_unknown_ones_are_ignored(world):
    page = world.flow().start(state="", foo="bar", display="popup", ui_locales="de")
    assert "code" in page.query and "state=" not in page.location, page.location
    assert world.flow().start(response_type="").query["error"] == "invalid_request"
    done = form(world, "/identity/token", grant_type="client_credentials", scope="", foo="bar")
    assert done.status == 200 and "orders.read" in done.json["scope"], done.text
    refused(form(world, "/identity/token", grant_type=""), 400, "invalid_request")


@in_world()
def rfc6749_3_1_the_authorization_endpoint_takes_get_and_post(world):
    flow = world.flow()
    page = world.browser.exchange("POST", "/identity/authorize",
                                  urllib.parse.urlencode(flow.parameters),
                                  {"Content-Type": "application/x-www-form-urlencoded"})
    assert flow.redeem(flow.code(page), secret=world.secret).status == 200


@in_world()
def rfc6749_3_1_parameters_are_there_once(world):
    page = world.browser.get(world.flow().url() + "&scope=openid")
    assert page.status == 400 and not page.location
    done = world.browser.post("/identity/token", [("grant_type", "client_credentials"),
                                                  ("grant_type", "client_credentials"),
                                                  ("client_id", "shop"),
                                                  ("client_secret", world.secret)])
    refused(done, 400, "invalid_request")


@in_world()
def rfc6749_3_1_2_a_redirect_uri_keeps_its_query(world):
    flow = Flow(world.browser, "shop", CALLBACK + "?x=1")
    page = flow.start()
    assert page.location.startswith(CALLBACK + "?x=1&"), page.location
    assert page.query["x"] == "1" and "code" in page.query


@in_world()
def rfc6749_3_3_scope_is_told_when_it_is_not_what_was_asked(world):
    done = form(world, "/identity/token", grant_type="client_credentials")
    assert done.json["scope"], done.text


@in_world()
def rfc6749_4_1_2_a_code_is_short_lived(world):
    short = server(more="tokens: {code: 1s}")
    try:
        _, browser = make_user(short, "bob")
        secret = cli(short, "client", "create", "shop", "--grants", "code", "--scopes", "openid",
                     "--redirects", CALLBACK)[0]["client_secret"]
        flow = Flow(browser, "shop", CALLBACK)
        code = flow.code()
        time.sleep(1.1)
        refused(flow.redeem(code, secret=secret), 400, "invalid_grant")
    finally:
        short.stop()


@in_world()
def rfc6749_4_1_2_state_comes_back_exactly(world):
    state = "a b&c=d/\"'<>\u00e4 %41+"
    page = world.flow().start(state=state)
    assert page.query["state"] == state, page.location
    assert world.flow().start(state=state, scope="nothing").query["state"] == state


@in_world()
def rfc6749_4_1_3_the_redirect_uri_is_that_of_the_request(world):
    for uri in (None, CALLBACK + "?x=1", "https://evil.test/"):
        flow = world.flow()
        refused(flow.redeem(flow.code(), secret=world.secret, redirect_uri=uri), 400,
                "invalid_grant")


@in_world()
def rfc6749_4_4_client_credentials_give_no_refresh_token(world):
    done = form(world, "/identity/token", grant_type="client_credentials")
    assert done.status == 200 and "refresh_token" not in done.json


@in_world()
def rfc6749_5_1_answers_with_tokens_are_not_stored(world):
    done = form(world, "/identity/token", grant_type="client_credentials")
    assert done.field("cache-control") == "no-store" and done.field("pragma") == "no-cache"
    assert done.field("content-type") == "application/json"
    assert done.json["token_type"] == "Bearer" and done.json["expires_in"] > 0


@in_world()
def rfc6749_5_2_a_client_that_used_basic_gets_its_challenge(world):
    done = world.browser.token(secret="wrong", client_id="shop", grant_type="client_credentials")
    refused(done, 401, "invalid_client")
    assert done.field("www-authenticate").startswith("Basic ")


@in_world()
def rfc6749_10_10_codes_and_tokens_cannot_be_guessed(world):
    flow = world.flow("openid offline_access")
    code = flow.code()
    tokens = flow.redeem(code, secret=world.secret).json
    for secret in (code, tokens["refresh_token"]):
        assert len(secret) == 43  # 256 bits
    refused(world.refresh(secrets.token_urlsafe(32)), 400, "invalid_grant")


# ---- RFC 6750


@in_world()
def rfc6750_2_3_tokens_in_a_query_are_not_looked_at(world):
    token = world.tokens()["access_token"]
    assert world.browser.send("GET", "/api/x?access_token=" + token).status == 401
    assert world.browser.send("GET", "/identity/userinfo?access_token=" + token).status == 401


@in_world()
def rfc6750_3_a_refusal_has_a_challenge_that_says_why(world):
    page = world.browser.send("GET", "/identity/userinfo")
    assert page.status == 401 and "error" not in page.field("www-authenticate")
    page = world.browser.get_with("x", "/identity/userinfo")
    assert page.status == 401 and 'error="invalid_token"' in page.field("www-authenticate")
    token = form(world, "/identity/token", grant_type="client_credentials",
                 scope="orders.read").json["access_token"]
    page = world.browser.get_with(token, "/identity/userinfo")
    assert page.status == 403 and 'error="insufficient_scope"' in page.field("www-authenticate")
    page = world.browser.get_with("x", "/api/x")
    assert page.status == 401 and 'error="invalid_token"' in page.field("www-authenticate")


# ---- RFC 7009, 7662


@in_world()
def rfc7009_2_1_a_refresh_token_ends_with_all_that_came_from_it(world):
    tokens = world.tokens("openid offline_access")
    assert form(world, "/identity/revoke", token=tokens["refresh_token"]).status == 200
    refused(world.refresh(tokens["refresh_token"]), 400, "invalid_grant")
    assert world.browser.get_with(tokens["access_token"], "/api/x").status == 401


@in_world()
def rfc7009_2_1_a_client_revokes_its_own_tokens_only(world):
    other = cli(world.gateway, "client", "create", "other", "--grants",
                "client_credentials")[0]["client_secret"]
    tokens = world.tokens("openid offline_access")
    for token in (tokens["access_token"], tokens["refresh_token"]):
        refused(world.browser.post("/identity/revoke", {"client_id": "other", "client_secret": other,
                                                        "token": token}), 400, "invalid_grant")
    assert world.browser.get_with(tokens["access_token"], "/api/x").status == 200
    assert world.refresh(tokens["refresh_token"]).status == 200
    refused(world.browser.post("/identity/revoke", {
        "client_id": "shop", "client_secret": "wrong", "token": "x"}), 401, "invalid_client")


@in_world()
def rfc7009_2_2_an_unknown_token_is_answered_with_200_and_hints_do_not_matter(world):
    assert form(world, "/identity/revoke", token="nothing").status == 200
    token = world.tokens()["access_token"]
    done = form(world, "/identity/revoke", token=token, token_type_hint="refresh_token")
    assert done.status == 200
    assert world.browser.get_with(token, "/api/x").status == 401


@in_world()
def rfc7662_2_1_who_asks_must_say_who_it_is(world):
    token = world.tokens()["access_token"]
    refused(world.browser.post("/identity/introspect", {"token": token}), 401, "invalid_client")
    cli(world.gateway, "client", "create", "app", "--public", "--grants", "code", "--redirects",
        CALLBACK)
    refused(world.browser.post("/identity/introspect", {"token": token, "client_id": "app"}), 401,
            "invalid_client")
    assert world.browser.send("GET", "/identity/introspect?token=" + token).status == 405


@in_world()
def rfc7662_2_2_nothing_is_told_of_a_token_that_is_not_active(world):
    for token in ("x", "a.b.c", secrets.token_urlsafe(32)):
        done = form(world, "/identity/introspect", token=token)
        assert done.status == 200 and done.json == {"active": False}, done.text
    other = cli(world.gateway, "client", "create", "other", "--grants",
                "client_credentials")[0]["client_secret"]
    token = world.tokens()["access_token"]
    done = world.browser.post("/identity/introspect", {
        "client_id": "other", "client_secret": other, "token": token})
    assert done.json == {"active": False}  # section 4: not its business


# ---- RFC 7636


@in_world()
def rfc7636_4_6_the_verifier_is_that_of_the_challenge(world):
    # Appendix B
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    flow = world.flow(code_challenge=challenge)
    refused(flow.redeem(flow.code(), secret=world.secret), 400, "invalid_grant")
    assert flow.redeem(flow.code(), secret=world.secret, code_verifier=verifier).status == 200
    for bad in (verifier + "=", verifier[:-1], challenge):
        refused(flow.redeem(flow.code(), secret=world.secret, code_verifier=bad), 400,
                "invalid_grant")


# ---- RFC 8414


@in_world()
def rfc8414_2_metadata_has_what_it_must_and_no_empty_lists(world):
    done = Client(world.gateway).send("GET", "/.well-known/oauth-authorization-server")
    assert done.field("content-type") == "application/json"
    found = done.json
    assert found["issuer"] == world.browser.issuer
    for name in ("authorization_endpoint", "token_endpoint", "jwks_uri", "response_types_supported",
                 "token_endpoint_auth_signing_alg_values_supported"):
        assert found[name], name
    assert all(value != [] for value in found.values())
    assert "none" not in found["token_endpoint_auth_signing_alg_values_supported"]
    assert "none" not in found["id_token_signing_alg_values_supported"]


# ---- RFC 9126


@in_world()
def rfc9126_2_pushing_is_by_post_and_not_stored(world):
    assert world.browser.send("GET", "/identity/par").status == 405
    done = world.browser.post("/identity/par", {**world.flow().parameters,
                                                "client_secret": world.secret})
    assert done.status == 201 and done.field("cache-control") == "no-store"
    reference = done.json["request_uri"].rsplit(":", 1)[1]
    assert len(reference) == 43  # section 7.1: 256 bits


# ---- RFC 9700


@in_world()
def rfc9700_4_1_5_answers_go_to_registered_places_by_303(world):
    page = world.flow().start()
    assert page.status == 303  # section 4.12: never 307
    assert page.field("referrer-policy") == "no-referrer"
    page = world.flow().start(redirect_uri="https://evil.test/")
    assert page.status == 400 and not page.location


@in_world()
def rfc9700_4_4_2_answers_and_errors_name_the_issuer(world):
    assert world.flow().start().query["iss"] == world.browser.issuer
    assert world.flow().start(scope="nothing").query["iss"] == world.browser.issuer


@in_world()
def rfc9700_4_8_2_a_verifier_without_a_challenge_is_no_way_around(world):
    page = world.flow().start(code_challenge=None, code_challenge_method=None)
    assert page.query["error"] == "invalid_request"


@in_world()
def rfc9700_4_14_2_of_two_refreshes_at_once_the_family_ends(world):
    for _ in range(3):
        token = world.tokens("openid offline_access")["refresh_token"]
        answers = together(lambda _: world.refresh(token))
        given = [answered.json for answered in answers if answered.status == 200]
        assert len(given) <= 1, given
        for answered in answers:
            if answered.status != 200:
                refused(answered, 400, "invalid_grant")
        for tokens in given:
            refused(world.refresh(tokens["refresh_token"]), 400, "invalid_grant")
            assert world.browser.get_with(tokens["access_token"], "/api/x").status == 401


@in_world()
def rfc9700_4_16_pages_cannot_be_framed(world):
    page = world.browser.get("/identity/login")
    assert page.field("x-frame-options") == "DENY"
    assert "frame-ancestors 'none'" in page.field("content-security-policy")


# ---- OpenID Connect Core


@in_world()
def oidc_2_an_id_token_has_its_claims(world):
    tokens = world.tokens("openid", max_age="100")
    found = claims(tokens["id_token"])
    for name in ("iss", "sub", "aud", "exp", "iat", "auth_time"):
        assert name in found, name
    assert len(found["sub"]) <= 255 and found["sub"].isascii()
    assert found["exp"] > found["iat"] and jose_header(tokens["id_token"])["alg"] != "none"
    assert jose_header(tokens["id_token"])["kid"] in [
        key["kid"] for key in Client(world.gateway).send("GET", "/identity/keys").json["keys"]]


@in_world()
def oidc_3_1_2_1_without_openid_there_is_no_id_token(world):
    assert "id_token" not in world.tokens("orders.read")


@in_world()
def oidc_3_1_2_1_prompt_none_shows_nothing(world):
    world.browser.cookies.clear()
    page = world.flow().start(prompt="none")
    assert page.status == 303 and page.query["error"] == "login_required"


@in_world()
def oidc_3_1_2_1_max_age_0_asks_anew(world):
    time.sleep(1.1)
    assert "Log in" in world.flow().start(max_age="0").text
    assert world.flow().start(max_age="0", prompt="none").query["error"] == "login_required"


@in_world()
def oidc_5_3_userinfo_by_get_and_post_has_the_sub_of_the_id_token(world):
    tokens = world.tokens("openid")
    headers = {"Authorization": "Bearer " + tokens["access_token"]}
    for method in ("GET", "POST"):
        done = world.browser.send(method, "/identity/userinfo", headers=headers)
        assert done.json == {"sub": claims(tokens["id_token"])["sub"]}, done.text


@in_world()
def oidc_12_a_refreshed_id_token_is_of_the_same_login(world):
    tokens = world.tokens("openid offline_access")
    new = world.refresh(tokens["refresh_token"]).json
    before, after = claims(tokens["id_token"]), claims(new["id_token"])
    for name in ("iss", "sub", "aud", "auth_time"):
        assert before[name] == after[name], name
    assert after["iat"] >= before["iat"]


@in_world(more="signing: {algorithm: RS256}")
def oidc_15_1_id_tokens_can_be_signed_with_rs256(world):
    tokens = world.tokens()
    assert jose_header(tokens["id_token"])["alg"] == "RS256"
    assert world.browser.get_with(tokens["access_token"], "/api/x").status == 200


# ---- keys


@in_world(more="signing: {algorithm: EdDSA}")
def oidc_10_1_1_keys_overlap_when_the_algorithm_changes(world):
    token = world.tokens()["access_token"]
    assert jose_header(token)["alg"] == "EdDSA"
    with open(world.gateway.config, encoding="utf-8") as file:
        text = file.read()
    world.gateway.write(text.replace("EdDSA", "ES256"))
    reload_config(world.gateway)
    until = time.monotonic() + 30
    keys = lambda: [key["alg"] for key in
                    Client(world.gateway).send("GET", "/identity/keys").json["keys"]]
    while len(keys()) < 2:
        assert time.monotonic() < until, world.gateway.log_text()
        time.sleep(0.2)
    assert sorted(keys()) == ["ES256", "EdDSA"]
    # What was signed before is good, and the new key is published before it signs.
    assert world.browser.get_with(token, "/api/x").status == 200
    after = jose_header(world.tokens()["access_token"])["alg"]
    assert after == "EdDSA", (after, cli(world.gateway, "key", "list"))


@in_world()
def private_keys_are_sealed_in_the_store(world):
    folder = world.gateway.folder
    with sqlite3.connect("file:" + folder + "/id.db?mode=ro", uri=True) as store:
        rows = [row for name, in store.execute("SELECT name FROM sqlite_master WHERE type='table'")
                for row in store.execute(f'SELECT * FROM "{name}"')]
    text = repr(rows)
    assert "private" in text and "PRIVATE" not in text and '"d"' not in text
    assert os.stat(folder + "/id.key").st_mode & 0o077 == 0


# ---- forgeries


@in_world()
def a_token_signed_with_the_public_key_as_a_secret_is_refused(world):
    token = world.tokens()["access_token"]
    keys = Client(world.gateway).send("GET", "/identity/keys")
    secrets_to_try = [keys.body, json.dumps(keys.json["keys"][0]).encode()]
    for key in keys.json["keys"]:
        secrets_to_try += [base64.urlsafe_b64decode(key["x"] + "=="), key["x"].encode()]
    body = token.split(".")[1]
    for algorithm, digest in (("HS256", hashlib.sha256), ("HS512", hashlib.sha512)):
        head = b64(json.dumps({**jose_header(token), "alg": algorithm}).encode())
        for secret in secrets_to_try:
            mac = hmac.new(secret, f"{head}.{body}".encode(), digest).digest()
            forged = f"{head}.{body}.{b64(mac)}"
            assert world.browser.get_with(forged, "/api/x").status == 401
            assert world.browser.get_with(forged, "/identity/userinfo").status == 401


@in_world()
def a_kid_is_a_name_and_nothing_else(world):
    head, body, signature = world.tokens()["access_token"].split(".")
    head = json.loads(base64.urlsafe_b64decode(head + "=="))
    for kid in ("../../../dev/null", "/dev/null", "' OR 1=1 --", "x\u0000y", "http://evil.test/k",
                "", "a" * 5000, 7, None, ["k"], {"k": 1}):
        forged = f"{b64(json.dumps({**head, 'kid': kid}).encode())}.{body}.{signature}"
        assert world.browser.get_with(forged, "/api/x").status in (400, 401), kid
        assert world.browser.get_with(forged, "/identity/userinfo").status == 401, kid


@in_world()
def a_one_time_code_that_was_used_is_refused(world):
    secret, _ = turn_totp_on(world.browser)
    code = totp(secret)
    first, second = Browser(world.gateway), Browser(world.gateway)
    for browser in (first, second):
        browser.log_in("alice", "a long password")
    assert first.submit(code=code).status == 200
    assert second.submit(code=code).status == 403
    assert "__Host-sallyport" not in second.cookies


TESTS = [value for name, value in list(globals().items())
         if callable(value) and getattr(value, "__name__", "") == name
         and (name.startswith(("rfc", "oidc_", "keys_", "private_", "a_")))]

if __name__ == "__main__":
    run(TESTS)
