#!/usr/bin/python3
"""How clients show themselves, and that tokens are theirs: private_key_jwt (RFC 7523), certificates
(RFC 8705), DPoP (RFC 9449), pushed authorization requests (RFC 9126)."""

import http.client
import json
import os
import ssl
import time
import urllib.parse

from harness import Gateway, Service, answer, free_port, run
from idp import CONFIG, Answer, Browser, Client, Flow, claims, cli, make_user
from identity_oauth_test import CALLBACK, World, in_world, refused
from jose import Key, b64, certificate, thumbprint

GRANTS = "code,refresh,client_credentials"


def key_client(world, name="job", key=None, *options):
    """A client with a key of its own."""
    key = key or Key()
    path = os.path.join(key.folder.name, "jwks.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(key.jwks(), file)
    made = cli(world.gateway, "client", "create", name, "--grants", GRANTS, "--scopes",
               "openid,orders.read", "--redirects", CALLBACK, "--auth", "private_key_jwt",
               *(["--jwks", path] if "--jwks-url" not in options else []), *options)[0]
    assert "client_secret" not in made
    return key


def own(world, **fields):
    return world.browser.token(grant_type="client_credentials", **fields)


# ---- private_key_jwt


@in_world()
def a_client_shows_itself_by_a_signed_assertion(world):
    for algorithm in ("ES256", "RS256"):
        name = "job-" + algorithm.lower()
        key = key_client(world, name, Key(algorithm=algorithm))
        issuer = world.browser.issuer
        for audience in (issuer, issuer + "/identity/token", [issuer, issuer + "/identity/token"]):
            done = own(world, **key.assertion(name, audience))
            assert done.status == 200, (audience, done.text)
            assert claims(done.json["access_token"])["client_id"] == name
        done = own(world, client_id=name, **key.assertion(name, issuer))
        assert done.status == 200, done.text
        # At every endpoint that asks who it is.
        token = done.json["access_token"]
        done = world.browser.post("/identity/introspect", {
            "token": token, **key.assertion(name, issuer + "/identity/introspect")})
        assert done.status == 200 and done.json["active"], done.text
        done = world.browser.post("/identity/revoke", {"token": token,
                                                       **key.assertion(name, issuer)})
        assert done.status == 200, done.text


@in_world()
def an_assertion_is_used_once(world):
    key = key_client(world)
    assertion = key.assertion("job", world.browser.issuer)
    assert own(world, **assertion).status == 200
    refused(own(world, **assertion), 401, "invalid_client")


@in_world()
def an_assertion_that_is_not_exactly_right_is_refused(world):
    key, now = key_client(world), int(time.time())
    issuer, other = world.browser.issuer, Key()
    for changes in ({"exp": now - 60}, {"exp": None}, {"exp": now + 7200}, {"exp": "soon"},
                    {"nbf": now + 3600}, {"iat": now + 3600}, {"jti": None}, {"jti": ""},
                    {"iss": "shop"}, {"sub": "shop"}, {"iss": None}, {"aud": None},
                    {"aud": "https://evil.test"}, {"aud": [issuer, "https://evil.test"]},
                    {"aud": []}):
        audience = changes.pop("aud", issuer)
        done = own(world, client_id="job", **key.assertion("job", audience, **changes))
        refused(done, 401, "invalid_client")
    # Another's key, another algorithm, a key that the assertion brings along, none at all.
    refused(own(world, **other.assertion("job", issuer)), 401, "invalid_client")
    refused(own(world, **other.assertion("job", issuer, header={"jwk": other.jwk()})), 401,
            "invalid_client")
    refused(own(world, **other.assertion("job", issuer, header={"kid": None})), 401,
            "invalid_client")
    good = key.assertion("job", issuer)
    head, body, _ = good["client_assertion"].split(".")
    none = b64(b'{"alg":"none"}') + "." + body + "."
    for text in (none, head + "." + body + ".", "x", "", "a.b.c"):
        refused(own(world, client_id="job", client_assertion=text,
                    client_assertion_type=good["client_assertion_type"]), 401, "invalid_client")
    refused(own(world, client_assertion=good["client_assertion"], client_assertion_type="x"), 401,
            "invalid_client")
    # One way at a time, and a client has one way.
    refused(own(world, client_secret="x", client_id="job", **key.assertion("job", issuer)), 400,
            "invalid_request")
    refused(own(world, client_id="job"), 401, "invalid_client")
    refused(own(world, client_id="job", client_secret="x"), 401, "invalid_client")
    refused(own(world, **key.assertion("shop", issuer)), 401, "invalid_client")


@in_world()
def keys_behind_a_url_are_fetched_once_and_a_bad_url_is_left_alone(world):
    keys = [Key("old")]
    host = Service(lambda c, head, n, rest: answer(
        c, json.dumps(keys[0].jwks()).encode() if keys[0] else b"no keys",
        extra=b"Content-Type: application/json\r\n") or rest)
    try:
        key_client(world, "job", keys[0], "--jwks-url", f"http://127.0.0.1:{host.port}/keys")
        issuer = world.browser.issuer
        for _ in range(3):
            done = own(world, **keys[0].assertion("job", issuer))
            assert done.status == 200, (done.text, world.gateway.log_text())
        assert len(host.heads) == 1  # it is remembered
        # An unknown key is a reason to look again, but not at once.
        refused(own(world, **Key("new").assertion("job", issuer)), 401, "invalid_client")
        assert len(host.heads) == 1
        bad = key_client(world, "bad", Key(), "--jwks-url", f"http://127.0.0.1:{host.port}/no")
        keys[0] = None
        for _ in range(3):
            refused(own(world, **bad.assertion("bad", issuer)), 401, "invalid_client")
        assert len(host.heads) == 2
    finally:
        host.close()


# ---- certificates

TLS = """
  - {address: "127.0.0.1:%d", tls: {certificate: %s.pem, key: %s.key, client_auth: any,
     client_ca: %s.pem}}
"""


class TlsWorld(World):
    """The same, with a listener that takes certificates of clients."""

    def __init__(self):  # pylint: disable=super-init-not-called

        self.upstream = Service(lambda c, head, n, rest: answer(c, head) or rest)
        self.key = Key()
        folder = self.folder = self.key.folder.name
        self.authority = certificate(folder, "ca", "/CN=authority")
        self.site = certificate(folder, "site", "/CN=localhost")
        self.tls_port = free_port()
        text = CONFIG.format(upstream=self.upstream.port, store="sqlite:id.db", more="")
        listen = '[{address: "127.0.0.1:{port}"}]'
        assert listen in text
        text = text.replace(listen, '\n  - {address: "127.0.0.1:{port}"}' + TLS % (
            self.tls_port, self.site, self.site, self.authority))
        self.gateway = Gateway(text)
        self.user, self.browser = make_user(self.gateway, "alice")
        self.secret = None

    def send(self, prefix, method, path, body=None, headers=None):
        context = ssl.create_default_context(cafile=self.site + ".pem")
        context.check_hostname = False
        if prefix:
            context.load_cert_chain(prefix + ".pem", prefix + ".key")
        connection = http.client.HTTPSConnection("127.0.0.1", self.tls_port, timeout=20,
                                                 context=context)
        try:
            connection.request(method, path, body, headers or {})
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def token(self, prefix, **fields):
        return self.send(prefix, "POST", "/identity/token", urllib.parse.urlencode(fields),
                         {"Content-Type": "application/x-www-form-urlencoded"})

    def get(self, prefix, token, path="/api/x"):
        return self.send(prefix, "GET", path, headers={"Authorization": "Bearer " + token})


def a_client_shows_itself_by_its_certificate():
    world = TlsWorld()
    try:
        good = certificate(world.folder, "job.example", "/CN=job/O=Example", world.authority,
                           "DNS:job.example,URI:spiffe://example/job")
        other = certificate(world.folder, "other.example", "/CN=other", world.authority)
        stranger = certificate(world.folder, "stranger", "/CN=job/O=Example")
        for name, option in (("by-dns", ["--tls-dns", "job.example"]),
                             ("by-uri", ["--tls-uri", "spiffe://example/job"]),
                             ("by-subject", ["--tls-subject", "O=Example,CN=job"])):
            cli(world.gateway, "client", "create", name, "--grants", "client_credentials", "--auth",
                "tls_client_auth", "--bind-certificate", *option)
            fields = {"grant_type": "client_credentials", "client_id": name}
            done = world.token(good, **fields)
            assert done.status == 200, (name, done.text)
            token = done.json["access_token"]
            assert claims(token)["cnf"] == {"x5t#S256": thumbprint(good)}
            # RFC 8705 section 3: it is good with this certificate only.
            assert world.get(good, token).status == 200
            assert world.get(other, token).status == 401
            assert world.get(None, token).status == 401
            assert world.browser.get_with(token, "/api/x").status == 401
            for prefix in (other, stranger, None):
                refused(world.token(prefix, **fields), 401, "invalid_client")
            refused(world.token(good, client_secret="x", **fields), 401, "invalid_client")
        # A certificate alone is no login here.
        assert world.send(good, "GET", "/api/x").status == 401
        assert "AddressSanitizer" not in world.gateway.log_text(), world.gateway.log_text()
    finally:
        world.close()


def a_client_shows_itself_by_a_certificate_that_it_has_signed():
    world = TlsWorld()
    try:
        mine = certificate(world.folder, "mine", "/CN=mine")
        other = certificate(world.folder, "other", "/CN=mine")
        with open(mine + ".pem", encoding="utf-8") as file:
            lines = file.read().split("-----")[2]
        path = os.path.join(world.folder, "jwks.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"keys": [{**world.key.jwk(), "kid": "k1",
                                 "x5c": ["".join(lines.split())]}]}, file)
        cli(world.gateway, "client", "create", "mine", "--grants", "client_credentials", "--auth",
            "self_signed_tls_client_auth", "--bind-certificate", "--jwks", path)
        fields = {"grant_type": "client_credentials", "client_id": "mine"}
        done = world.token(mine, **fields)
        assert done.status == 200, done.text
        assert world.get(mine, done.json["access_token"]).status == 200
        assert world.get(other, done.json["access_token"]).status == 401
        refused(world.token(other, **fields), 401, "invalid_client")
        refused(world.token(None, **fields), 401, "invalid_client")
    finally:
        world.close()


# ---- DPoP


def proven(world, key, fields, secret=None, **changes):
    """A token request with a proof."""
    url = world.browser.issuer + "/identity/token"
    return world.browser.post("/identity/token", {"client_id": "shop", "client_secret": (
        secret or world.secret), **fields}, {"DPoP": key.proof("POST", url, **changes)})


def use(world, key, token, path="/api/x", scheme="DPoP", url=None, method="GET", **changes):
    url = url or f"http://127.0.0.1:{world.gateway.port}{path}"
    headers = {"Authorization": f"{scheme} {token}"}
    if key:
        headers["DPoP"] = key.proof(method, url, token, **changes)
    return world.browser.send("GET", path, headers=headers)


@in_world()
def a_token_that_was_asked_for_with_a_proof_is_bound_to_its_key(world):
    key, other = Key(), Key()
    done = proven(world, key, {"grant_type": "client_credentials"})
    assert done.status == 200 and done.json["token_type"] == "DPoP", done.text
    token = done.json["access_token"]
    assert claims(token)["cnf"] == {"jkt": key.thumbprint()}
    assert use(world, key, token).status == 200
    assert use(world, key, token, url=f"http://127.0.0.1:{world.gateway.port}/api/x?a=1").status == 200
    # Without the proof, with another's, or as if it were no such token.
    for page in (use(world, None, token), use(world, other, token),
                 use(world, key, token, scheme="Bearer"),
                 world.browser.get_with(token, "/api/x")):
        assert page.status == 401, page.text
    assert use(world, None, token).field("www-authenticate").startswith("DPoP ")
    assert 'error="invalid_dpop_proof"' in use(world, None, token).field("www-authenticate")
    # A token that is not bound does not become bound by being called so.
    plain = own(world, client_id="shop", secret=world.secret).json["access_token"]
    assert use(world, key, plain).status == 401
    found = world.browser.post("/identity/introspect", {
        "client_id": "shop", "client_secret": world.secret, "token": token}).json
    assert found["token_type"] == "DPoP" and found["cnf"] == {"jkt": key.thumbprint()}


@in_world()
def a_proof_is_for_one_request_now(world):
    key, now = Key(), int(time.time())
    grant = {"grant_type": "client_credentials"}
    token = proven(world, key, grant).json["access_token"]
    base = f"http://127.0.0.1:{world.gateway.port}"
    wrong = ({"iat": now - 3600}, {"iat": now + 3600}, {"iat": None}, {"iat": "now"},
             {"jti": None}, {"jti": ""}, {"htm": None}, {"htu": None}, {"htm": "PUT"},
             {"htu": base + "/api/y"}, {"htu": "https://evil.test/api/x"}, {"header": {"typ": "JWT"}},
             {"header": {"typ": None}}, {"header": {"jwk": None}}, {"header": {"alg": "none"}},
             {"header": {"alg": "HS256"}}, {"header": {"jwk": Key().jwk()}},
             {"header": {"jwk": {**key.jwk(), "d": b64(b"x" * 32)}}})
    for changes in wrong:
        assert use(world, key, token, **changes).status == 401, changes
        refused(proven(world, key, grant, **changes), 400, "invalid_dpop_proof")
    for ath in ("x", None, b64(b"x" * 32)):
        assert use(world, key, token, ath=ath).status == 401
    # Once, here and there.
    proof = key.proof("GET", base + "/api/x", token)
    headers = {"Authorization": "DPoP " + token, "DPoP": proof}
    assert world.browser.send("GET", "/api/x", headers=headers).status == 200
    assert world.browser.send("GET", "/api/x", headers=headers).status == 401
    jti = "only-once"
    assert proven(world, key, grant, jti=jti).status == 200
    refused(proven(world, key, grant, jti=jti), 400, "invalid_dpop_proof")
    # Two of them are none.
    two = world.gateway.raw((
        f"GET /api/x HTTP/1.1\r\nHost: 127.0.0.1:{world.gateway.port}\r\nConnection: close\r\n"
        f"Authorization: DPoP {token}\r\nDPoP: {key.proof('GET', base + '/api/x', token)}\r\n"
        f"DPoP: {key.proof('GET', base + '/api/x', token)}\r\n\r\n").encode())
    assert b" 401 " in two.split(b"\r\n")[0], two


@in_world(options=["--dpop", "--opaque"])
def a_client_can_be_held_to_proofs(world):
    refused(own(world, client_id="shop", secret=world.secret), 400, "invalid_dpop_proof")
    key = Key()
    token = proven(world, key, {"grant_type": "client_credentials"}).json["access_token"]
    assert token.startswith("sat_") and use(world, key, token).status == 200
    assert world.browser.get_with(token, "/api/x").status == 401


@in_world(more="oauth: {dpop: {nonce: on}}")
def a_proof_carries_our_nonce_where_that_is_asked(world):
    key = Key()
    done = proven(world, key, {"grant_type": "client_credentials"})
    refused(done, 400, "use_dpop_nonce")
    nonce = done.field("dpop-nonce")
    done = proven(world, key, {"grant_type": "client_credentials"}, nonce=nonce)
    assert done.status == 200, done.text
    refused(proven(world, key, {"grant_type": "client_credentials"}, nonce="x"), 400,
            "use_dpop_nonce")


@in_world()
def a_public_clients_refresh_token_is_bound_to_its_key(world):
    cli(world.gateway, "client", "create", "app", "--public", "--grants", "code,refresh", "--scopes",
        "openid", "--redirects", CALLBACK)
    key, other = Key(), Key()
    url = world.browser.issuer + "/identity/token"

    def ask(proof, **fields):
        headers = {"DPoP": proof.proof("POST", url)} if proof else {}
        return world.browser.post("/identity/token", {"client_id": "app", **fields}, headers)

    flow = Flow(world.browser, "app", CALLBACK)
    redeem = {"grant_type": "authorization_code", "redirect_uri": CALLBACK,
              "code_verifier": flow.verifier}
    tokens = ask(key, code=flow.code(), **redeem).json
    refresh = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    for proof in (None, other):
        refused(ask(proof, **refresh), 400, "invalid_grant")
    done = ask(key, **refresh)  # which those attempts have not used up
    assert done.status == 200 and done.json["token_type"] == "DPoP", done.text
    assert world.browser.send("GET", "/identity/userinfo", headers={
        "Authorization": "DPoP " + done.json["access_token"], "DPoP": key.proof(
            "GET", world.browser.issuer + "/identity/userinfo", done.json["access_token"])
    }).status == 200
    refused(world.browser.get_with(done.json["access_token"], "/identity/userinfo"), 401,
            "invalid_token")
    # RFC 9449 section 10: a code can be bound before it is there.
    code = flow.code(flow.start(dpop_jkt=key.thumbprint()))
    refused(ask(other, code=code, **redeem), 400, "invalid_grant")
    code = flow.code(flow.start(dpop_jkt=key.thumbprint()))
    refused(ask(None, code=code, **redeem), 400, "invalid_grant")
    code = flow.code(flow.start(dpop_jkt=key.thumbprint()))
    assert ask(key, code=code, **redeem).status == 200


# ---- pushed authorization requests


def push(world, flow, secret=None, **changes):
    fields = {**flow.parameters, "client_secret": secret or world.secret, **changes}
    return world.browser.post("/identity/par",
                              {k: v for k, v in fields.items() if v is not None})


def reference(uri, client="shop", **more):
    return "/identity/authorize?" + urllib.parse.urlencode(
        {"client_id": client, "request_uri": uri, **more})


@in_world()
def a_pushed_request_is_used_by_reference_once(world):
    flow = world.flow()
    done = push(world, flow)
    assert done.status == 201 and "no-store" in done.field("cache-control"), done.text
    assert done.json["request_uri"].startswith("urn:ietf:params:oauth:request_uri:")
    assert done.json["expires_in"] == 90
    # What the browser adds does not count.
    page = world.browser.get(reference(done.json["request_uri"], scope="openid orders.write",
                                       redirect_uri="https://evil.test/", state="other"))
    tokens = flow.redeem(flow.code(page), secret=world.secret)
    assert tokens.status == 200 and tokens.json["scope"] == "openid orders.read", tokens.text
    page = world.browser.get(reference(done.json["request_uri"]))
    assert page.status == 400 and not page.location


@in_world()
def a_pushed_request_survives_the_login_and_obeys_prompt(world):
    flow = world.flow(prompt="login")
    uri = push(world, flow).json["request_uri"]
    time.sleep(1.1)
    page = world.browser.get(reference(uri))
    assert "Log in" in page.text and CALLBACK[:20] in page.field("content-security-policy")
    # A browser cannot talk itself out of it.
    page = world.browser.get(reference(uri, login_after="0", prompt="none"))
    assert "Log in" in page.text
    page = world.browser.submit(name="alice", password="a long password")
    assert flow.redeem(flow.code(page), secret=world.secret).status == 200


@in_world()
def a_pushed_request_is_checked_when_it_comes(world):
    cli(world.gateway, "client", "create", "other", "--grants", "code", "--scopes", "openid",
        "--redirects", CALLBACK)
    flow = world.flow()
    refused(push(world, flow, secret="wrong"), 401, "invalid_client")
    for error, changes in (("invalid_request", {"redirect_uri": "https://evil.test/"}),
                           ("invalid_request", {"redirect_uri": None}),
                           ("invalid_request", {"code_challenge": None}),
                           ("request_uri_not_supported", {"request_uri": "urn:x"}),
                           ("request_not_supported", {"request": "x"}),
                           ("unsupported_response_type", {"response_type": "x"}),
                           ("invalid_scope", {"scope": "admin"}),
                           ("invalid_target", {"resource": "https://evil.test/"})):
        refused(push(world, flow, **changes), 400, error)
    uri = push(world, flow).json["request_uri"]
    for where in (reference(uri, "other"), reference(uri, ""), reference(uri + "x"),
                  reference("urn:ietf:params:oauth:request_uri:"), reference(uri, "nobody")):
        page = world.browser.get(where)
        assert page.status == 400 and not page.location, where


@in_world(more="oauth: {par: 5s}")
def a_pushed_request_is_over_after_its_time(world):
    done = push(world, world.flow())
    assert done.json["expires_in"] == 5
    time.sleep(5.1)
    page = world.browser.get(reference(done.json["request_uri"]))
    assert page.status == 400 and not page.location


@in_world(options=["--require-par"])
def a_client_can_be_held_to_pushing(world):
    flow = world.flow()
    assert flow.start().query["error"] == "invalid_request"
    page = world.browser.get(reference(push(world, flow).json["request_uri"]))
    assert flow.redeem(flow.code(page), secret=world.secret).status == 200


@in_world(more="oauth: {require_par: on}")
def everybody_can_be_held_to_pushing(world):
    assert world.flow().start().query["error"] == "invalid_request"
    assert Client(world.gateway).send("GET", "/.well-known/openid-configuration").json[
        "require_pushed_authorization_requests"]


@in_world()
def a_pushed_request_binds_its_code_to_the_proofs_key(world):
    key, flow = Key(), world.flow()
    done = world.browser.post("/identity/par", {**flow.parameters, "client_secret": world.secret},
                              {"DPoP": key.proof("POST", world.browser.issuer + "/identity/par")})
    uri = done.json["request_uri"]
    code = flow.code(world.browser.get(reference(uri)))
    refused(flow.redeem(code, secret=world.secret), 400, "invalid_grant")


# ---- other parameters


@in_world()
def what_is_not_built_is_refused_and_said_so(world):
    found = Client(world.gateway).send("GET", "/.well-known/openid-configuration").json
    for name in ("request_parameter_supported", "request_uri_parameter_supported",
                 "claims_parameter_supported"):
        assert found[name] is False
    flow = world.flow()
    for error, changes in (("request_not_supported", {"request": "x.y.z"}),
                           ("request_uri_not_supported", {"request_uri": "https://x.test/"})):
        assert flow.start(**changes).query["error"] == error


@in_world()
def the_resource_tells_what_it_is(world):
    client = Client(world.gateway)
    found = client.send("GET", "/.well-known/oauth-protected-resource").json
    assert found["resource"] == client.issuer
    assert found["authorization_servers"] == [client.issuer]
    assert found["bearer_methods_supported"] == ["header"]


@in_world()
def an_id_token_hint_of_another_user_is_no_login(world):
    hint = world.tokens()["id_token"]
    flow = world.flow()
    assert "code" in flow.start(id_token_hint=hint, prompt="none").query
    _, browser = make_user(world.gateway, "bob", "a very long password")
    other = Flow(browser, "shop", CALLBACK)
    assert other.start(id_token_hint=hint, prompt="none").query["error"] == "login_required"


if __name__ == "__main__":
    run([
        a_client_shows_itself_by_a_signed_assertion,
        an_assertion_is_used_once,
        an_assertion_that_is_not_exactly_right_is_refused,
        keys_behind_a_url_are_fetched_once_and_a_bad_url_is_left_alone,
        a_client_shows_itself_by_its_certificate,
        a_client_shows_itself_by_a_certificate_that_it_has_signed,
        a_token_that_was_asked_for_with_a_proof_is_bound_to_its_key,
        a_proof_is_for_one_request_now,
        a_client_can_be_held_to_proofs,
        a_proof_carries_our_nonce_where_that_is_asked,
        a_public_clients_refresh_token_is_bound_to_its_key,
        a_pushed_request_is_used_by_reference_once,
        a_pushed_request_survives_the_login_and_obeys_prompt,
        a_pushed_request_is_checked_when_it_comes,
        a_pushed_request_is_over_after_its_time,
        a_client_can_be_held_to_pushing,
        everybody_can_be_held_to_pushing,
        a_pushed_request_binds_its_code_to_the_proofs_key,
        what_is_not_built_is_refused_and_said_so,
        the_resource_tells_what_it_is,
        an_id_token_hint_of_another_user_is_no_login,
    ])
