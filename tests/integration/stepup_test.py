#!/usr/bin/python3
"""Step-up authentication (RFC 9470): sensitive operations ask for a better or newer login."""

import hashlib
import json
import time

import idp
from harness import Gateway, Service, answer, run
from jose import Key

ISSUER = "https://issuer.example"
CONFIG = """
listen: [{address: "127.0.0.1:{port}"}]
workers: 1
admin: off
identity:
  providers:
    - {name: main, issuer: "%(issuer)s", audience: shop, jwks: {file: keys.json}}
  api_keys: {keys: [{sha256: "%(key)s", client: batch}]}
services:
  up: {endpoints: ["http://127.0.0.1:%(port)d"]}
routes:
  - {path: /plain, service: up}
  - {path: /strong, service: up, operation: strong}
  - {path: /fresh, service: up, operation: fresh}
sensitive:
  - {operation: strong, acr: [mfa, hwk]}
  - {operation: fresh, acr: mfa, max_age: 5m}
"""


def token(key, **claims):
    now = int(time.time())
    claims = {"iss": ISSUER, "aud": "shop", "sub": "ann", "client_id": "app", "iat": now,
              "exp": now + 600, **claims}
    return key.sign(claims, kid=key.kid, typ="at+jwt")


def test_a_token_must_say_that_the_login_was_good_enough():
    signer = Key()
    service = Service(lambda connection, *_: answer(connection) or b"")
    key = "k" * 40
    values = {"issuer": ISSUER, "port": service.port,
              "key": hashlib.sha256(key.encode()).hexdigest()}
    gateway = Gateway(CONFIG % values, {"keys.json": json.dumps(signer.jwks()).encode()})

    def ask(path, **claims):
        status, fields, body = gateway.request(
            "GET", path, None, {"Authorization": "Bearer " + token(signer, **claims)})
        return status, {k.lower(): v for k, v in fields.items()}.get("www-authenticate"), body

    try:
        now = int(time.time())
        assert ask("/plain")[0] == 200
        status, challenge, body = ask("/strong", acr="pwd")
        assert status == 401 and b"insufficient-user-authentication" in body
        assert challenge.startswith('Bearer error="insufficient_user_authentication", ')
        assert challenge.endswith('acr_values="mfa hwk"'), challenge
        for claims in ({}, {"acr": 7}, {"acr": ["mfa"]}, {"acr": "MFA"}):
            assert ask("/strong", **claims)[0] == 401, claims
        assert ask("/strong", acr="hwk")[0] == 200
        status, challenge, _ = ask("/fresh", acr="mfa", auth_time=now - 400)
        assert status == 401 and challenge.endswith('acr_values="mfa", max_age="300"'), challenge
        for claims in ({}, {"auth_time": "now"}, {"auth_time": now + 3600}, {"auth_time": -1}):
            assert ask("/fresh", acr="mfa", **claims)[0] == 401, claims
        assert ask("/fresh", acr="pwd", auth_time=now)[0] == 401
        assert ask("/fresh", acr="mfa", auth_time=now - 100)[0] == 200
        # A key has not logged in at all.
        assert gateway.request("GET", "/plain", None, {"X-Api-Key": key})[0] == 200
        assert gateway.request("GET", "/strong", None, {"X-Api-Key": key})[0] == 401
        assert len(service.heads) == 4
    finally:
        gateway.stop()
        service.close()


CONTRACT = b"""
openapi: 3.1.0
info: {title: shop, version: "1"}
paths:
  /plain:
    get: {operationId: plain, responses: {"200": {description: fine}}}
  /pay:
    x-sallyport-sensitive: {acr: [mfa, hwk], max_age: 5m}
    get: {operationId: pay, responses: {"200": {description: fine}}}
"""


def test_a_contract_asks_for_a_good_enough_login():
    signer = Key()
    service = Service(lambda connection, *_: answer(connection) or b"")
    values = {"issuer": ISSUER, "port": service.port, "key": "0" * 64}
    config = (CONFIG % values).split("services:")[0] + f"""
services:
  up: {{endpoints: ["http://127.0.0.1:{service.port}"], contract: shop.yaml}}
routes:
  - {{path: "/**", service: up}}
"""
    # No store: nobody has to approve anything.
    gateway = Gateway(config, {"keys.json": json.dumps(signer.jwks()).encode(),
                               "shop.yaml": CONTRACT})

    def ask(path, **claims):
        status, fields, _ = gateway.request(
            "GET", path, None, {"Authorization": "Bearer " + token(signer, **claims)})
        return status, {k.lower(): v for k, v in fields.items()}.get("www-authenticate")

    try:
        now = int(time.time())
        assert ask("/plain") == (200, None)
        status, challenge = ask("/pay", acr="pwd", auth_time=now)
        assert status == 401 and challenge.endswith('acr_values="mfa hwk", max_age="300"'), challenge
        assert ask("/pay", acr="mfa", auth_time=now - 400)[0] == 401
        assert ask("/pay")[0] == 401
        assert ask("/pay", acr="hwk", auth_time=now - 100)[0] == 200
        assert len(service.heads) == 2
    finally:
        gateway.stop()
        service.close()


def test_a_browser_is_sent_to_log_in_again():
    service = Service(lambda connection, *_: answer(connection) or b"")
    config = idp.CONFIG.format(upstream=service.port, store="sqlite:id.db", more="")
    config = config.replace(
        "- {path: \"/app/**\", service: echo, auth: session}",
        "- {path: \"/app/now\", service: echo, auth: session, operation: now}\n"
        "  - {path: \"/app/mfa\", service: echo, auth: session, operation: mfa}\n"
        "  - {path: \"/app/**\", service: echo, auth: session}")
    config += "sensitive:\n  - {operation: now, max_age: 3s}\n  - {operation: mfa, acr: mfa}\n"
    gateway = Gateway(config)
    try:
        _, browser = idp.make_user(gateway, "ann")
        browser.log_in("ann", "a long password")
        assert browser.get("/app/now").status == 200
        assert browser.get("/app/x").status == 200
        time.sleep(4.2)
        assert browser.get("/app/x").status == 200
        page = browser.get("/app/now")
        assert "password" in page.text.lower(), page.text
        page = browser.submit(name="ann", password="a long password")
        assert page.status == 200 and page.text == "hello", (page.status, page.text)
        assert "password" in browser.get("/app/mfa").text.lower()
    finally:
        gateway.stop()
        service.close()


run([
    test_a_token_must_say_that_the_login_was_good_enough,
    test_a_contract_asks_for_a_good_enough_login,
    test_a_browser_is_sent_to_log_in_again,
])
