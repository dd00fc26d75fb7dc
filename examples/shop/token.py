#!/usr/bin/python3
"""Access tokens for the example, as an identity provider would issue them (RFC 9068).

Usage: token.py FOLDER jwks            writes FOLDER/token.key and FOLDER/jwks.json
       token.py FOLDER USER SCOPE ROLE prints a token that is valid for an hour
"""

import base64
import json
import os
import subprocess
import sys
import time

ISSUER = "https://id.shop.test"
AUDIENCE = "shop"


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def openssl(*arguments, given=b""):
    return subprocess.run(
        ("openssl",) + arguments, input=given, check=True, stdout=subprocess.PIPE, timeout=30
    ).stdout


def write_keys(folder):
    key = os.path.join(folder, "token.key")
    old_mask = os.umask(0o077)
    openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", key)
    os.umask(old_mask)
    # SubjectPublicKeyInfo of a P-256 key ends in the uncompressed point: 4, x, y.
    point = openssl("pkey", "-in", key, "-pubout", "-outform", "DER")[-64:]
    jwk = {
        "kty": "EC",
        "crv": "P-256",
        "alg": "ES256",
        "use": "sig",
        "kid": "shop-1",
        "x": base64url(point[:32]),
        "y": base64url(point[32:]),
    }
    with open(os.path.join(folder, "jwks.json"), "w", encoding="ascii") as file:
        json.dump({"keys": [jwk]}, file)


def read_integer(der, at):
    length = der[at + 1]
    return int.from_bytes(der[at + 2 : at + 2 + length], "big"), at + 2 + length


def raw_signature(der):
    """JWS wants r and s side by side (RFC 7518 section 3.4), OpenSSL gives a DER sequence."""
    r, at = read_integer(der, 2)
    s, _ = read_integer(der, at)
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def make_token(folder, user, scope, role):
    now = int(time.time())
    header = {"alg": "ES256", "typ": "at+jwt", "kid": "shop-1"}
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": user,
        "client_id": "shop-example",
        "scope": scope,
        "roles": [role],
        "iat": now,
        "exp": now + 3600,
        "jti": base64url(os.urandom(12)),
    }
    signed = ".".join(base64url(json.dumps(part).encode()) for part in (header, claims))
    key = os.path.join(folder, "token.key")
    der = openssl("dgst", "-sha256", "-sign", key, given=signed.encode())
    return signed + "." + base64url(raw_signature(der))


def main():
    if len(sys.argv) == 3 and sys.argv[2] == "jwks":
        write_keys(sys.argv[1])
    elif len(sys.argv) == 5:
        print(make_token(*sys.argv[1:]))
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
