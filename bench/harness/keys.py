"""Certificates, signing keys and tokens, made with the openssl program for this run only."""

import base64
import json
import time
from pathlib import Path

from .process import find_tool, run_tool

ISSUER = "https://issuer.bench.test"
AUDIENCE = "https://api.bench.test"
SCOPE = "orders:read"
USERS = 64
TIMEOUT_S = 30


def _openssl(*words, stdin=None):
    return run_tool([find_tool("openssl"), *words], TIMEOUT_S, stdin=stdin)


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Certificate:
    """Self-signed ECDSA P-256, the same for every peer."""

    def __init__(self, folder):
        self.path = Path(folder) / "cert.pem"
        self.key_path = Path(folder) / "key.pem"
        self.both_path = Path(folder) / "cert-and-key.pem"
        _openssl(
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
            "-nodes", "-days", "2", "-subj", "/CN=bench.test",
            "-addext", "subjectAltName=DNS:bench.test,IP:127.0.0.1",
            "-keyout", self.key_path, "-out", self.path,
        )  # fmt: skip
        self.both_path.write_bytes(self.path.read_bytes() + self.key_path.read_bytes())


class Signer:
    """A key pair for one JWS algorithm, RS256 (2048 bits) or ES256."""

    def __init__(self, folder, algorithm):
        folder = Path(folder)
        self.algorithm = algorithm
        self.key_id = f"bench-{algorithm.lower()}"
        self.private_path = folder / f"{algorithm}.key.pem"
        self.public_path = folder / f"{algorithm}.pub.pem"
        self.jwks_path = folder / f"{algorithm}.jwks.json"
        options = {
            "RS256": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
            "ES256": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
        }[algorithm]
        _openssl("genpkey", *options, "-out", self.private_path)
        _openssl("pkey", "-in", self.private_path, "-pubout", "-out", self.public_path)
        self.jwks_path.write_text(json.dumps({"keys": [self._jwk()]}))

    def _jwk(self):
        jwk = {"kid": self.key_id, "alg": self.algorithm, "use": "sig"}
        if self.algorithm == "RS256":
            said = _openssl("rsa", "-in", self.private_path, "-noout", "-modulus").decode()
            modulus = bytes.fromhex(said.strip().split("=")[1])
            return {**jwk, "kty": "RSA", "n": base64url(modulus), "e": "AQAB"}
        # A SubjectPublicKeyInfo of P-256 ends with the uncompressed point: x and y.
        der = _openssl("pkey", "-in", self.private_path, "-pubout", "-outform", "DER")
        point = der[-64:]
        return {
            **jwk,
            "kty": "EC",
            "crv": "P-256",
            "x": base64url(point[:32]),
            "y": base64url(point[32:]),
        }

    def sign(self, claims):
        """A compact JWS of the claims, typed as an access token (RFC 9068)."""
        header = {"alg": self.algorithm, "typ": "at+jwt", "kid": self.key_id}
        parts = [json.dumps(part, separators=(",", ":")).encode() for part in (header, claims)]
        text = ".".join(base64url(part) for part in parts)
        signature = _openssl(
            "dgst", "-sha256", "-sign", self.private_path, stdin=text.encode()
        )
        if self.algorithm == "ES256":
            signature = ecdsa_raw(signature)
        return f"{text}.{base64url(signature)}"


def ecdsa_raw(der):
    """r and s, 32 bytes each (RFC 7518 section 3.4), from SEQUENCE {INTEGER r, INTEGER s}."""
    at, raw = 2, b""
    for _ in range(2):
        length = der[at + 1]
        number = int.from_bytes(der[at + 2 : at + 2 + length], "big")
        raw += number.to_bytes(32, "big")
        at += 2 + length
    return raw


def claims_of(user, **changes):
    now = int(time.time())
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": f"user-{user:04d}",
        "client_id": "bench-client",
        "iat": now,
        "exp": now + 6 * 3600,
        "jti": f"bench-token-{user:04d}",
        "scope": f"profile {SCOPE} orders:write",
    }
    return {**claims, **changes}


def good_tokens(signer):
    """A token for each of the users."""
    return [signer.sign(claims_of(user)) for user in range(USERS)]


def bad_tokens(signer):
    """{what is wrong: token}: what a gateway that does its work refuses."""
    good = signer.sign(claims_of(0))
    text, signature = good.rsplit(".", 1)
    flipped = ("A" if signature[0] != "A" else "B") + signature[1:]
    return {
        "a forged signature": f"{text}.{flipped}",
        "an expired token": signer.sign(claims_of(0, exp=int(time.time()) - 3600)),
        "another issuer": signer.sign(claims_of(0, iss="https://other.test")),
        "another audience": signer.sign(claims_of(0, aud="https://other.test")),
        "a missing scope": signer.sign(claims_of(0, scope="profile orders:reader")),
    }
