"""A small SMTP server for tests: STARTTLS, TLS from the start, AUTH PLAIN, and refusals to order."""

import base64
import email
import email.policy
import os
import re
import ssl
import subprocess
import threading
import time

from harness import DEADLINE_S, Listener


def make_certificate(folder, name="localhost"):
    """A certificate that signs itself, and its key."""
    key, certificate = os.path.join(folder, name + ".key"), os.path.join(folder, name + ".pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-keyout", key, "-out", certificate, "-days", "2", "-subj", f"/CN={name}",
         "-addext", f"subjectAltName=DNS:{name},IP:127.0.0.1"],
        check=True, capture_output=True, timeout=60,
    )
    return certificate, key


class MailServer(Listener):
    """Keeps what it gets in `mails`; `secure` None, "starttls" or "tls"."""

    def __init__(self, secure=None, certificate=None, password=None, refuse=(), dumb=False):
        self.secure, self.password, self.refuse, self.dumb = secure, password, refuse, dumb
        self.mails, self.commands, self.logins = [], [], []
        self.context = None
        if secure:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(*certificate)
        self.arrived = threading.Condition()
        super().__init__()

    @property
    def url(self):
        return f"{'smtps' if self.secure == 'tls' else 'smtp'}://localhost:{self.port}"

    def handle(self, connection):
        connection.settimeout(DEADLINE_S)
        try:
            if self.dumb:
                connection.recv(1)
                return
            if self.secure == "tls":
                connection = self.context.wrap_socket(connection, server_side=True)
            self.talk(connection)
        except (OSError, ssl.SSLError):
            pass
        finally:
            connection.close()

    def talk(self, connection):
        file = connection.makefile("rb")
        encrypted = self.secure == "tls"
        to = []

        def say(line):
            connection.sendall(line.encode() + b"\r\n")

        say("220 test ESMTP")
        while True:
            line = file.readline().decode("latin-1")
            if not line:
                return
            line = line.rstrip("\r\n")
            word = line.split(" ")[0].upper()
            self.commands.append(line)
            if word in self.refuse:
                say(f"550 {word} is refused")
            elif word == "EHLO":
                offers = ["250-test"]
                if self.secure == "starttls" and not encrypted:
                    offers.append("250-STARTTLS")
                if self.password and (encrypted or not self.secure):
                    offers.append("250-AUTH PLAIN")
                for offer in offers:
                    say(offer)
                say("250 SIZE 1000000")
            elif word == "STARTTLS":
                say("220 go on")
                connection = self.context.wrap_socket(connection, server_side=True)
                file = connection.makefile("rb")
                encrypted = True
            elif word == "AUTH":
                parts = line.split(" ")
                if len(parts) < 3:
                    say("334 ")
                    parts.append(file.readline().decode().strip())
                login = base64.b64decode(parts[2]).decode().split("\0")[1:]
                self.logins.append(login)
                say("235 welcome" if login[1] == self.password else "535 no")
            elif word == "RCPT":
                to.append(re.search("<(.*)>", line)[1])
                say("250 ok")
            elif word == "DATA":
                say("354 go on")
                data = b""
                while not data.endswith(b"\r\n.\r\n"):
                    piece = file.readline()
                    if not piece:
                        return
                    data += piece
                message = email.message_from_bytes(data[:-3], policy=email.policy.default)
                with self.arrived:
                    self.mails.append((to, message, encrypted))
                    self.arrived.notify_all()
                to = []
                say("250 taken")
            elif word == "QUIT":
                say("221 bye")
                return
            else:
                say("250 ok")

    def wait(self, count=1, to=None):
        """The text of the newest mail (to somebody), once there are so many."""
        until = time.monotonic() + DEADLINE_S
        with self.arrived:
            while True:
                found = [m for m in self.mails if to is None or to in m[0]]
                if len(found) >= count:
                    return found[-1][1]
                left = until - time.monotonic()
                assert left > 0, (to, self.mails, self.commands)
                self.arrived.wait(left)
