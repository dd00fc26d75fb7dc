"""Keys and signed tokens of clients, made with the openssl program; nothing of ours."""

import base64
import hashlib
import json
import os
import re
import secrets
import subprocess
import tempfile
import time


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def openssl(*arguments, stdin=None):
    return subprocess.run(["openssl", *arguments], input=stdin, capture_output=True, check=True,
                          timeout=60).stdout


def from_der(signature, size):
    """The two numbers of an ECDSA signature, side by side (RFC 7518 section 3.4)."""
    at = 2 if signature[1] < 0x80 else 3
    numbers = b""
    for _ in range(2):
        length = signature[at + 1]
        number = signature[at + 2:at + 2 + length].lstrip(b"\0")
        numbers += number.rjust(size, b"\0")
        at += 2 + length
    return numbers


class Key:
    """A private key for ES256 (or RS256) in a folder that goes with it."""

    def __init__(self, kid="k1", algorithm="ES256"):
        self.kid, self.algorithm = kid, algorithm
        self.folder = tempfile.TemporaryDirectory(prefix="sallyport-key.")
        self.path = os.path.join(self.folder.name, "key.pem")
        if algorithm == "ES256":
            openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out",
                    self.path)
        else:
            openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out",
                    self.path)

    def jwk(self):
        if self.algorithm == "ES256":
            point = openssl("pkey", "-in", self.path, "-pubout", "-outform", "DER")[-64:]
            return {"kty": "EC", "crv": "P-256", "x": b64(point[:32]), "y": b64(point[32:])}
        text = openssl("rsa", "-in", self.path, "-noout", "-modulus").decode()
        return {"kty": "RSA", "n": b64(bytes.fromhex(re.search("=(.*)", text)[1])), "e": "AQAB"}

    def jwks(self):
        return {"keys": [{**self.jwk(), "kid": self.kid, "alg": self.algorithm}]}

    def thumbprint(self):
        text = json.dumps(dict(sorted(self.jwk().items())), separators=(",", ":"))
        return b64(hashlib.sha256(text.encode()).digest())

    def sign(self, payload, **header):
        header = {"alg": self.algorithm, **header}
        header = {name: value for name, value in header.items() if value is not None}
        text = b64(json.dumps(header).encode()) + "." + b64(json.dumps(payload).encode())
        signature = openssl("dgst", "-sha256", "-sign", self.path, stdin=text.encode())
        if self.algorithm == "ES256":
            signature = from_der(signature, 32)
        return text + "." + b64(signature)

    def assertion(self, client, audience, header=None, **changes):
        """RFC 7523: who the client is."""
        now = int(time.time())
        payload = {"iss": client, "sub": client, "aud": audience, "iat": now, "exp": now + 60,
                   "jti": secrets.token_urlsafe(16), **changes}
        payload = {name: value for name, value in payload.items() if value is not None}
        return {
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": self.sign(payload, **{"kid": self.kid, **(header or {})}),
        }

    def proof(self, method, url, token=None, header=None, **changes):
        """RFC 9449: a DPoP proof."""
        payload = {"jti": secrets.token_urlsafe(16), "htm": method, "htu": url,
                   "iat": int(time.time()), **changes}
        if token:
            payload.setdefault("ath", b64(hashlib.sha256(token.encode()).digest()))
        payload = {name: value for name, value in payload.items() if value is not None}
        return self.sign(payload, **{"typ": "dpop+jwt", "jwk": self.jwk(), **(header or {})})


def certificate(folder, name, subject="/CN=client", authority=None, names=None):
    """A certificate, signed by itself or by `authority` (a prefix); writes NAME.pem, NAME.key."""
    prefix = os.path.join(folder, name)
    openssl("req", "-x509" if not authority else "-new", "-newkey", "ec", "-pkeyopt",
            "ec_paramgen_curve:P-256", "-nodes", "-keyout", prefix + ".key", "-subj", subject,
            "-out", prefix + (".pem" if not authority else ".csr"), *(
                [] if authority else ["-days", "2"]))
    if authority:
        with open(prefix + ".ext", "w", encoding="utf-8") as file:
            file.write("subjectAltName=" + (names or "DNS:" + name) + "\n")
        openssl("x509", "-req", "-in", prefix + ".csr", "-CA", authority + ".pem", "-CAkey",
                authority + ".key", "-CAcreateserial", "-days", "2", "-extfile", prefix + ".ext",
                "-out", prefix + ".pem")
    return prefix


def thumbprint(prefix):
    der = openssl("x509", "-in", prefix + ".pem", "-outform", "DER")
    return b64(hashlib.sha256(der).digest())
