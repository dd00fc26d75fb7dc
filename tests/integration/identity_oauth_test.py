#!/usr/bin/python3
"""OAuth 2.0 and OpenID Connect through the real program, by what the standards ask for."""

import base64
import hashlib
import json
import time
import urllib.parse

from harness import Service, answer, run
from idp import Browser, Client, Flow, claims, cli, jose_header, make_user, server, totp
from identity_login_test import reload_config, turn_totp_on

CALLBACK = "https://shop.example/callback"


class World:
    """A server with a user, a service behind it and the client `shop`."""

    def __init__(self, more="", grants="code,refresh,client_credentials", options=()):
        self.upstream = Service(lambda c, head, n, rest: answer(c, head) or rest)
        self.gateway = server(self.upstream.port, more=more)
        self.user, self.browser = make_user(self.gateway, "alice", "a long password", "--roles",
                                            "clerk", "--email", "a@b.test", "--display", "Alice")
        self.secret = cli(
            self.gateway, "client", "create", "shop", "--grants", grants, "--scopes",
            "openid,profile,email,orders.read,orders.write,offline_access", "--redirects",
            CALLBACK + "," + CALLBACK + "?x=1", *options,
        )[0].get("client_secret")

    def flow(self, scope="openid orders.read", **more):
        return Flow(self.browser, "shop", CALLBACK, scope, **more)

    def tokens(self, scope="openid orders.read", **more):
        flow = self.flow(scope, **more)
        done = flow.redeem(flow.code(), secret=self.secret)
        assert done.status == 200, done.text
        return done.json

    def refresh(self, token, **more):
        return self.browser.token(
            secret=self.secret, client_id="shop", grant_type="refresh_token", refresh_token=token,
            **more)

    def close(self):
        self.gateway.stop()
        self.upstream.close()


def in_world(**options):
    def decorate(test):
        def wrapped():
            world = World(**options)
            try:
                test(world)
                assert "AddressSanitizer" not in world.gateway.log_text(), world.gateway.log_text()
            finally:
                world.close()

        wrapped.__name__ = test.__name__
        return wrapped

    return decorate


def refused(done, status, error):
    assert done.status == status and done.json["error"] == error, (done.status, done.text)
    assert "no-store" in done.field("cache-control"), done.fields


@in_world()
def a_code_flow_with_pkce_gives_tokens_that_the_gateway_accepts(world):
    tokens = world.tokens("openid profile email orders.read")
    assert tokens["token_type"] == "Bearer" and tokens["expires_in"] == 300
    access, identity = claims(tokens["access_token"]), claims(tokens["id_token"])
    issuer = world.browser.issuer
    # RFC 9068 section 2
    header = jose_header(tokens["access_token"])
    assert header["typ"] == "at+jwt" and header["alg"] == "ES256" and header["kid"]
    for name in ("iss", "exp", "aud", "sub", "client_id", "iat", "jti"):
        assert name in access, name
    assert access["iss"] == issuer and access["aud"] == issuer
    assert access["sub"] == world.user and access["client_id"] == "shop"
    assert access["roles"] == ["clerk"]
    # OpenID Connect Core section 2, 3.1.3.6
    assert identity["iss"] == issuer and identity["aud"] == "shop"
    assert identity["sub"] == world.user and identity["auth_time"] <= identity["iat"]
    left = hashlib.sha256(tokens["access_token"].encode()).digest()[:16]
    assert identity["at_hash"] == base64.urlsafe_b64encode(left).rstrip(b"=").decode()
    info = world.browser.get_with(tokens["access_token"], "/identity/userinfo").json
    assert info == {"sub": world.user, "preferred_username": "alice", "name": "Alice",
                    "email": "a@b.test", "email_verified": False}
    for path in ("/api/x", "/scoped", "/clerks"):
        page = world.browser.get_with(tokens["access_token"], path)
        assert page.status == 200 and world.user.encode() in page.body, (path, page.text)
    # An ID token is no access token.
    assert world.browser.get_with(tokens["id_token"], "/api/x").status == 401
    assert world.browser.get_with(tokens["id_token"], "/identity/userinfo").status == 401


@in_world()
def the_nonce_comes_back_in_the_id_token(world):
    flow = world.flow()
    done = flow.redeem(flow.code(), secret=world.secret)
    assert claims(done.json["id_token"])["nonce"] == flow.parameters["nonce"]


@in_world()
def metadata_names_what_there_is(world):
    client = Client(world.gateway)
    found = client.send("GET", "/.well-known/openid-configuration").json
    assert found == client.send("GET", "/.well-known/oauth-authorization-server").json
    assert found["issuer"] == client.issuer
    assert found["code_challenge_methods_supported"] == ["S256"]
    assert found["response_types_supported"] == ["code"]
    assert "password" not in found["grant_types_supported"]
    for name, value in found.items():
        if name.endswith("_endpoint") or name == "jwks_uri":
            assert value.startswith(client.issuer + "/identity/"), (name, value)
    keys = client.send("GET", "/identity/keys").json["keys"]
    assert keys and all("d" not in key for key in keys)


@in_world()
def pkce_is_required_and_cannot_be_downgraded(world):
    flow = world.flow()
    for changes in ({"code_challenge": None}, {"code_challenge_method": None},
                    {"code_challenge_method": "plain"}, {"code_challenge": "x"}):
        page = flow.start(**changes)
        assert page.status == 303 and page.query["error"] == "invalid_request", changes
        assert "code" not in page.query
    for verifier in (None, "", "x" * 43, flow.verifier + "x", flow.parameters["code_challenge"]):
        refused(flow.redeem(flow.code(), secret=world.secret, code_verifier=verifier), 400,
                "invalid_grant")


@in_world()
def a_code_is_used_up_by_a_wrong_attempt(world):
    flow = world.flow()
    code = flow.code()
    refused(flow.redeem(code, secret=world.secret, code_verifier="y" * 50), 400, "invalid_grant")
    refused(flow.redeem(code, secret=world.secret), 400, "invalid_grant")


@in_world()
def a_replayed_code_revokes_the_tokens_that_it_gave(world):
    flow = world.flow()
    code = flow.code()
    tokens = flow.redeem(code, secret=world.secret).json
    assert world.browser.get_with(tokens["access_token"], "/api/x").status == 200
    refused(flow.redeem(code, secret=world.secret), 400, "invalid_grant")
    assert world.browser.get_with(tokens["access_token"], "/api/x").status == 401
    assert world.browser.get_with(tokens["access_token"], "/identity/userinfo").status == 401
    refused(world.refresh(tokens["refresh_token"]), 400, "invalid_grant")


@in_world()
def a_redirect_uri_is_compared_byte_by_byte_and_nobody_is_sent_elsewhere(world):
    flow = world.flow()
    for uri in (None, "", "https://evil.test/", CALLBACK + "/", CALLBACK.upper(), CALLBACK + "?x=2",
                CALLBACK + "#x", CALLBACK + "/../x", "https://shop.example@evil.test/callback",
                "https://shop.example/callback%2f", "http://shop.example/callback"):
        page = flow.start(redirect_uri=uri)
        assert page.status == 400 and not page.location, (uri, page.location)
    page = world.browser.get(flow.url(client_id="unknown"))
    assert page.status == 400 and not page.location
    page = world.browser.get(flow.url() + "&redirect_uri=" + urllib.parse.quote("https://evil.test/"))
    assert page.status == 400 and not page.location
    # One that is registered, but not the one of the request.
    code = flow.code()
    refused(flow.redeem(code, secret=world.secret, redirect_uri=CALLBACK + "?x=1"), 400,
            "invalid_grant")


@in_world()
def a_code_is_only_for_the_client_that_asked(world):
    other = cli(world.gateway, "client", "create", "other", "--grants", "code", "--scopes",
                "openid", "--redirects", CALLBACK)[0]["client_secret"]
    flow = world.flow()
    code = flow.code()
    refused(flow.redeem(code, secret=other, client_id="other"), 400, "invalid_grant")


@in_world()
def clients_must_show_their_secret_in_one_way(world):
    flow = world.flow()
    code = flow.code()
    done = flow.redeem(code, secret="wrong")
    refused(done, 401, "invalid_client")
    assert done.field("www-authenticate").startswith("Basic")
    refused(flow.redeem(code), 401, "invalid_client")
    refused(flow.redeem(code, client_id="nobody"), 401, "invalid_client")
    pair = base64.b64encode(f"shop:{world.secret}".encode()).decode()
    both = world.browser.post(
        "/identity/token",
        {"grant_type": "client_credentials", "client_id": "shop", "client_secret": world.secret},
        {"Authorization": "Basic " + pair})
    refused(both, 400, "invalid_request")
    posted = world.browser.post("/identity/token", {
        "grant_type": "client_credentials", "client_id": "shop", "client_secret": world.secret})
    assert posted.status == 200


@in_world()
def requests_are_refused_as_rfc_6749_says(world):
    post = world.browser.post
    pair = {"Authorization": "Basic " + base64.b64encode(f"shop:{world.secret}".encode()).decode()}
    refused(post("/identity/token", {}, pair), 400, "invalid_request")
    refused(post("/identity/token", {"grant_type": "password"}, pair), 400, "unsupported_grant_type")
    refused(post("/identity/token", {"grant_type": "x"}, pair), 400, "unsupported_grant_type")
    refused(post("/identity/token", [("grant_type", "client_credentials")] * 2, pair), 400,
            "invalid_request")
    refused(post("/identity/token", {"grant_type": "client_credentials", "scope": "admin"}, pair),
            400, "invalid_scope")
    for kind in ("authorization_code", "refresh_token"):  # without a code, or a token
        refused(post("/identity/token", {"grant_type": kind}, pair), 400, "invalid_request")
    done = world.browser.send("POST", "/identity/token", "{}", {"Content-Type": "application/json"})
    refused(done, 400, "invalid_request")
    assert world.browser.send("GET", "/identity/token").status == 405
    flow = world.flow()
    for changes, error in (({"response_type": "code token"}, "unsupported_response_type"),
                           ({"response_type": None}, "invalid_request"),
                           ({"scope": "openid admin"}, "invalid_scope"),
                           ({"resource": "https://elsewhere.test"}, "invalid_target"),
                           ({"request": "x"}, "request_not_supported"),
                           ({"prompt": "none login"}, "invalid_request")):
        page = flow.start(**changes)
        assert page.status == 303 and page.query["error"] == error, (changes, page.location)
        assert page.query["state"] == flow.parameters["state"]


@in_world()
def a_client_is_changed_and_switched_off_by_command(world):
    own = lambda: world.browser.token(world.secret, client_id="shop", grant_type="client_credentials")
    assert "orders.write" in own().json["scope"]
    shown = cli(world.gateway, "client", "set", "shop", "--scopes", "orders.read", "--name", "The Shop")[0]
    assert shown["scopes"] == ["orders.read"] and shown["client_name"] == "The Shop"
    assert shown["redirect_uris"] == [CALLBACK, CALLBACK + "?x=1"]  # as before
    time.sleep(1.1)  # clients are remembered for a second
    assert own().json["scope"] == "orders.read"
    cli(world.gateway, "client", "set", "shop", "--disable")
    time.sleep(1.1)
    refused(own(), 401, "invalid_client")
    cli(world.gateway, "client", "set", "shop", "--enable")
    time.sleep(1.1)
    assert own().status == 200
    cli(world.gateway, "client", "set", "shop", "--redirects", "/x", status=1)
    cli(world.gateway, "client", "set", "nobody", "--disable", status=1)


@in_world()
def a_client_that_may_not_does_not(world):
    secret = cli(world.gateway, "client", "create", "limited", "--grants", "client_credentials",
                 "--scopes", "orders.read", "--redirects", CALLBACK)[0]["client_secret"]
    flow = Flow(world.browser, "limited", CALLBACK, "orders.read")
    assert flow.start().query["error"] == "unauthorized_client"
    done = world.browser.token(secret=secret, client_id="limited", grant_type="refresh_token",
                               refresh_token="x")
    refused(done, 400, "unauthorized_client")
    done = world.browser.token(secret=secret, client_id="limited", grant_type="client_credentials")
    assert done.status == 200 and "refresh_token" not in done.json and "id_token" not in done.json
    assert claims(done.json["access_token"])["sub"] == "limited"
    assert world.browser.get_with(done.json["access_token"], "/scoped").status == 200
    assert world.browser.get_with(done.json["access_token"], "/clerks").status == 403
    assert world.browser.get_with(done.json["access_token"], "/identity/userinfo").status == 403


@in_world()
def a_refresh_token_is_new_each_time_and_reuse_ends_the_family(world):
    first = world.tokens()
    second = world.refresh(first["refresh_token"]).json
    assert second["refresh_token"] != first["refresh_token"]
    assert world.browser.get_with(second["access_token"], "/api/x").status == 200
    third = world.refresh(second["refresh_token"]).json
    refused(world.refresh(second["refresh_token"]), 400, "invalid_grant")
    for token in (first, second, third):
        refused(world.refresh(token["refresh_token"]), 400, "invalid_grant")
        assert world.browser.get_with(token["access_token"], "/api/x").status == 401


@in_world()
def a_refresh_gives_no_more_than_was_granted(world):
    tokens = world.tokens("openid orders.read")
    refused(world.refresh(tokens["refresh_token"], scope="openid orders.write"), 400,
            "invalid_scope")
    narrow = world.refresh(tokens["refresh_token"], scope="openid").json
    assert claims(narrow["access_token"])["scope"] == "openid"
    wide = world.refresh(narrow["refresh_token"]).json
    assert claims(wide["access_token"])["scope"] == "openid orders.read"


@in_world()
def a_refresh_token_is_only_for_its_client(world):
    other = cli(world.gateway, "client", "create", "other", "--grants", "refresh", "--scopes",
                "openid")[0]["client_secret"]
    tokens = world.tokens()
    done = world.browser.token(secret=other, client_id="other", grant_type="refresh_token",
                               refresh_token=tokens["refresh_token"])
    refused(done, 400, "invalid_grant")
    assert world.refresh(tokens["refresh_token"]).status == 200


@in_world()
def logging_out_ends_tokens_unless_they_are_for_offline(world):
    online, offline = world.tokens(), world.tokens("openid offline_access")
    world.browser.get("/identity/logout")
    world.browser.submit()
    assert world.browser.get_with(online["access_token"], "/api/x").status == 401
    refused(world.refresh(online["refresh_token"]), 400, "invalid_grant")
    assert world.browser.get_with(offline["access_token"], "/api/x").status == 200
    assert world.refresh(offline["refresh_token"]).status == 200


@in_world()
def a_disabled_user_gets_no_more_tokens(world):
    tokens = world.tokens("openid offline_access")
    cli(world.gateway, "user", "set", "alice", "--disable")
    refused(world.refresh(tokens["refresh_token"]), 400, "invalid_grant")
    assert world.browser.get_with(tokens["access_token"], "/identity/userinfo").status == 401


@in_world()
def revocation_is_at_once(world):
    pair = {"Authorization": "Basic " + base64.b64encode(f"shop:{world.secret}".encode()).decode()}
    tokens = world.tokens()
    # Another client cannot.
    other = cli(world.gateway, "client", "create", "other", "--grants", "refresh")[0]
    done = world.browser.post("/identity/revoke", {
        "token": tokens["access_token"], "client_id": "other",
        "client_secret": other["client_secret"]})
    refused(done, 400, "invalid_grant")
    assert world.browser.get_with(tokens["access_token"], "/api/x").status == 200
    done = world.browser.post("/identity/revoke", {"token": tokens["access_token"]}, pair)
    assert done.status == 200
    assert world.browser.get_with(tokens["access_token"], "/api/x").status == 401
    # The refresh token takes the whole grant along.
    tokens = world.refresh(tokens["refresh_token"]).json
    world.browser.post("/identity/revoke", {"token": tokens["refresh_token"]}, pair)
    assert world.browser.get_with(tokens["access_token"], "/api/x").status == 401
    refused(world.refresh(tokens["refresh_token"]), 400, "invalid_grant")
    assert world.browser.post("/identity/revoke", {"token": "nonsense"}, pair).status == 200
    refused(world.browser.post("/identity/revoke", {"token": "x"}), 401, "invalid_client")


@in_world()
def introspection_tells_clients_of_their_own_tokens(world):
    pair = {"Authorization": "Basic " + base64.b64encode(f"shop:{world.secret}".encode()).decode()}
    tokens = world.tokens()
    ask = lambda token, auth=pair: world.browser.post("/identity/introspect", {"token": token}, auth)
    found = ask(tokens["access_token"]).json
    assert found["active"] is True and found["sub"] == world.user and found["client_id"] == "shop"
    assert found["scope"] == "openid orders.read" and found["token_type"] == "Bearer"
    for bad in ("x", tokens["id_token"], tokens["access_token"][:-4] + "AAAA"):
        assert ask(bad).json == {"active": False}, bad
    other = cli(world.gateway, "client", "create", "other", "--grants", "refresh")[0]
    other = {"Authorization": "Basic " + base64.b64encode(
        f"other:{other['client_secret']}".encode()).decode()}
    assert ask(tokens["access_token"], other).json == {"active": False}
    refused(world.browser.post("/identity/introspect", {"token": "x"}), 401, "invalid_client")
    world.browser.post("/identity/revoke", {"token": tokens["access_token"]}, pair)
    assert ask(tokens["access_token"]).json == {"active": False}


@in_world()
def forged_tokens_are_refused(world):
    def part(value):
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    token = world.tokens()["access_token"]
    head, body, signature = token.split(".")
    header, payload = jose_header(token), claims(token)
    forged = [
        part({"alg": "none", "typ": "at+jwt"}) + "." + body + ".",
        part({**header, "alg": "HS256"}) + "." + body + "." + signature,
        part({**header, "kid": "../../etc/passwd"}) + "." + body + "." + signature,
        part({**header, "jku": "https://evil.test/keys", "kid": "x"}) + "." + body + "." + signature,
        head + "." + part({**payload, "sub": "admin"}) + "." + signature,
        head + "." + body + "." + signature[:-2],
    ]
    for bad in forged:
        assert world.browser.get_with(bad, "/api/x").status == 401, bad
        assert world.browser.get_with(bad, "/identity/userinfo").status == 401, bad
    assert world.browser.get_with(token, "/api/x").status == 200


@in_world()
def prompt_and_max_age_are_obeyed(world):
    stranger = Browser(world.gateway)
    page = stranger.get(Flow(stranger, "shop", CALLBACK, prompt="none").url())
    assert page.query["error"] == "login_required"
    assert "code" in world.flow(prompt="none").start().query
    page = world.flow(prompt="login").start()
    assert page.status == 200 and "Log in" in page.text
    page = world.browser.submit(name="alice", password="a long password")
    assert page.status == 303 and "code" in page.query, page.text
    time.sleep(2.1)
    page = world.flow(max_age="1").start()
    assert page.status == 200 and "Log in" in page.text
    page = world.flow(max_age="1", prompt="none").start()
    assert page.query["error"] == "login_required"


@in_world()
def step_up_asks_for_the_second_factor(world):
    flow = world.flow(acr_values="mfa")
    assert flow.start().query["error"] == "unmet_authentication_requirements"
    secret, _ = turn_totp_on(world.browser)
    # It was shown in this session.
    assert flow.start().status == 303
    world.browser = Browser(world.gateway)
    flow = world.flow(acr_values="phr mfa")
    page = flow.start()
    assert "Log in" in page.text
    world.browser.submit(name="alice", password="a long password")
    page = world.browser.submit(code=totp(secret))
    done = flow.redeem(flow.code(page), secret=world.secret)
    identity = claims(done.json["id_token"])
    assert identity["acr"] == "mfa" and identity["amr"] == ["pwd", "otp"]


@in_world(options=("--consent", "--name", "The <Shop>"))
def a_client_that_asks_needs_consent_once(world):
    flow = world.flow()
    page = flow.start()
    assert page.status == 200 and "Allow access?" in page.text
    assert "The &lt;Shop&gt;" in page.text
    assert "https://shop.example" in page.field("content-security-policy")
    assert flow.start(prompt="none").query["error"] == "consent_required"
    flow.start()
    page = world.browser.submit(decision="deny")
    assert page.query["error"] == "access_denied"
    flow.start()
    page = world.browser.submit(decision="allow", headers={"Origin": "https://evil.test"})
    assert page.status == 403
    flow.start()
    page = world.browser.submit(decision="allow")
    assert flow.redeem(flow.code(page), secret=world.secret).status == 200
    assert "code" in world.flow().start().query
    # More than was allowed is asked for again.
    assert "Allow access?" in world.flow("openid orders.write").start().text


@in_world(grants="device,refresh")
def a_device_gets_tokens_when_its_code_was_allowed(world):
    device_grant = "urn:ietf:params:oauth:grant-type:device_code"
    ask = lambda code: world.browser.token(secret=world.secret, client_id="shop",
                                           grant_type=device_grant, device_code=code)
    start = lambda: world.browser.post("/identity/device-authorization", {
        "client_id": "shop", "client_secret": world.secret, "scope": "openid"}).json
    codes = start()
    assert codes["verification_uri"] == world.browser.issuer + "/identity/device"
    refused(ask(codes["device_code"]), 400, "authorization_pending")
    refused(ask(codes["device_code"]), 400, "slow_down")
    refused(ask("x"), 400, "expired_token")
    world.browser.get("/identity/device")
    typed = codes["user_code"][:4].lower() + "-" + codes["user_code"][4:]
    page = world.browser.submit(user_code=typed)
    # RFC 8628 section 3.3: the user is told whom that would let in.
    assert "<strong>shop</strong> asks for access to your account as alice" in page.text, page.text
    assert codes["user_code"] in page.text and "to know that it is you" in page.text
    refused(ask(codes["device_code"]), 400, "slow_down")
    page = world.browser.submit(decision="allow")
    assert page.status == 200 and "connected" in page.text
    done = ask(codes["device_code"])
    assert done.status == 200 and claims(done.json["access_token"])["sub"] == world.user
    refused(ask(codes["device_code"]), 400, "expired_token")
    codes = start()
    page = world.browser.get("/identity/device?user_code=" + codes["user_code"])
    assert codes["user_code"] in page.text
    world.browser.submit()
    world.browser.submit(decision="deny")
    refused(ask(codes["device_code"]), 400, "access_denied")
    # Guesses are counted.
    for _ in range(4):
        world.browser.get("/identity/device")
        assert world.browser.submit(user_code="BBBBBBBB", decision="allow").status == 422
    codes = start()
    world.browser.get("/identity/device")
    assert world.browser.submit(user_code=codes["user_code"], decision="allow").status == 422


@in_world()
def a_client_may_send_users_on_after_logout_to_what_it_has_registered(world):
    secret = cli(world.gateway, "client", "create", "bye", "--grants", "code", "--scopes", "openid",
                 "--redirects", CALLBACK, "--logout-redirects", "https://shop.example/bye")[0]
    flow = Flow(world.browser, "bye", CALLBACK)
    hint = flow.redeem(flow.code(), secret=secret["client_secret"]).json["id_token"]
    for target, token, good in (("https://shop.example/bye", hint, True),
                                ("https://evil.test/", hint, False),
                                ("https://shop.example/bye", "x", False)):
        world.browser.log_in("alice", "a long password")
        world.browser.get("/identity/logout?" + urllib.parse.urlencode({
            "id_token_hint": token, "post_logout_redirect_uri": target, "state": "a b"}))
        page = world.browser.submit()
        if good:
            assert page.status == 303 and page.location == target + "?state=a%20b", page.location
        else:
            assert page.status == 200 and not page.location, page.location
        assert "__Host-sallyport" not in world.browser.cookies


@in_world()
def tokens_and_keys_survive_a_reload_and_a_new_key(world):
    tokens = world.tokens("openid offline_access")
    reload_config(world.gateway)
    assert world.browser.get_with(tokens["access_token"], "/api/x").status == 200
    before = [key["kid"] for key in cli(world.gateway, "key", "list")]
    after = [key["kid"] for key in cli(world.gateway, "key", "rotate")]
    assert len(after) == len(before) + 1 and set(before) < set(after)
    assert world.browser.get_with(tokens["access_token"], "/api/x").status == 200
    assert world.refresh(tokens["refresh_token"]).status == 200


@in_world()
def no_secret_is_logged(world):
    flow = world.flow()
    code = flow.code()
    tokens = flow.redeem(code, secret=world.secret).json
    world.refresh(tokens["refresh_token"])
    time.sleep(0.5)
    with open(world.gateway.folder + "/audit.log", encoding="utf-8") as file:
        text = file.read() + world.gateway.log_text()
    for secret in (code, world.secret, tokens["refresh_token"], tokens["access_token"],
                   flow.verifier, world.browser.cookies["__Host-sallyport"]):
        assert secret not in text


if __name__ == "__main__":
    run([
        a_code_flow_with_pkce_gives_tokens_that_the_gateway_accepts,
        the_nonce_comes_back_in_the_id_token,
        metadata_names_what_there_is,
        pkce_is_required_and_cannot_be_downgraded,
        a_code_is_used_up_by_a_wrong_attempt,
        a_replayed_code_revokes_the_tokens_that_it_gave,
        a_redirect_uri_is_compared_byte_by_byte_and_nobody_is_sent_elsewhere,
        a_code_is_only_for_the_client_that_asked,
        clients_must_show_their_secret_in_one_way,
        requests_are_refused_as_rfc_6749_says,
        a_client_is_changed_and_switched_off_by_command,
        a_client_that_may_not_does_not,
        a_refresh_token_is_new_each_time_and_reuse_ends_the_family,
        a_refresh_gives_no_more_than_was_granted,
        a_refresh_token_is_only_for_its_client,
        logging_out_ends_tokens_unless_they_are_for_offline,
        a_disabled_user_gets_no_more_tokens,
        revocation_is_at_once,
        introspection_tells_clients_of_their_own_tokens,
        forged_tokens_are_refused,
        prompt_and_max_age_are_obeyed,
        step_up_asks_for_the_second_factor,
        a_client_that_asks_needs_consent_once,
        a_device_gets_tokens_when_its_code_was_allowed,
        a_client_may_send_users_on_after_logout_to_what_it_has_registered,
        tokens_and_keys_survive_a_reload_and_a_new_key,
        no_secret_is_logged,
    ])
