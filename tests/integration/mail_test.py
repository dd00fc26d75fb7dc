#!/usr/bin/python3
"""Sending mail: what the server gets, and when it gets nothing."""

import os
import shutil
import subprocess
import tempfile

from harness import DEADLINE_S, PROGRAM, run
from smtp import MailServer, make_certificate

CONFIG = """
listen: [{address: "127.0.0.1:1"}]
routes: [{path: "/", auth: none, respond: {status: 204}}]
mail: {url: "%s", from: "gate@example.test", name: "Gäte", timeout: 3s, %s}
"""


def with_folder(test):
    def wrapped():
        folder = tempfile.mkdtemp(prefix="sallyport-mail.")
        try:
            test(folder)
        finally:
            shutil.rmtree(folder)

    wrapped.__name__ = test.__name__
    return wrapped


def send(folder, server, more="", to="alice@example.test", url=None):
    path = os.path.join(folder, "mail.yaml")
    with open(path, "w", encoding="utf-8") as file:
        file.write(CONFIG % (url or server.url, more))
    return subprocess.run([PROGRAM, "mail", "test", to, "-c", path], capture_output=True,
                          text=True, check=False, timeout=DEADLINE_S)


@with_folder
def a_mail_arrives_whole_over_starttls(folder):
    certificate = make_certificate(folder)
    server = MailServer("starttls", certificate, password="sesame")
    done = send(folder, server, f"ca: {certificate[0]}, user: gate, password: sesame")
    assert done.returncode == 0, done.stderr
    message = server.wait()
    assert server.mails[0][0] == ["alice@example.test"] and server.mails[0][2]
    assert message["To"] == "<alice@example.test>" or message["To"] == "alice@example.test"
    assert message["From"] == "Gäte <gate@example.test>", message["From"]
    assert message["Subject"] == "Mail from Sallyport works"
    assert message["Date"].datetime is not None and message["Message-ID"]
    assert message["Auto-Submitted"] == "auto-generated"
    assert 'This is what "sallyport mail test" sends.' in message.get_content()
    assert server.logins == [["gate", "sesame"]]
    # Nothing that says whom it is for, or who we are, goes before TLS.
    before = server.commands[:server.commands.index("STARTTLS")]
    assert not any(c.startswith(("AUTH", "MAIL", "RCPT")) for c in before), before
    server.close()


@with_folder
def a_mail_arrives_over_tls_from_the_start(folder):
    certificate = make_certificate(folder)
    server = MailServer("tls", certificate)
    done = send(folder, server, f"ca: {certificate[0]}")
    assert done.returncode == 0, done.stderr
    assert server.wait() and server.mails[0][2]
    server.close()


@with_folder
def without_tls_nothing_is_sent_unless_that_is_allowed(folder):
    server = MailServer()
    done = send(folder, server)
    assert done.returncode == 1 and not server.mails, done.stderr
    assert not any(c.startswith(("MAIL", "RCPT", "DATA")) for c in server.commands)
    for policy in ("optional", '"off"'):
        done = send(folder, server, f"tls: {policy}")
        assert done.returncode == 0, done.stderr
    assert len(server.mails) == 2
    server.close()


@with_folder
def a_certificate_that_does_not_verify_gets_no_mail(folder):
    certificate = make_certificate(folder)
    other = make_certificate(folder, "other.test")
    for secure in ("starttls", "tls"):
        server = MailServer(secure, certificate)
        done = send(folder, server)  # the system's authorities do not know it
        assert done.returncode == 1 and not server.mails, done.stderr
        server.close()
        server = MailServer(secure, other)
        done = send(folder, server, f"ca: {other[0]}")
        assert done.returncode == 1 and not server.mails, done.stderr
        server.close()


@with_folder
def refusals_and_silence_are_reported(folder):
    server = MailServer(password="sesame")
    done = send(folder, server, 'tls: "off", user: gate, password: wrong')
    assert done.returncode == 1 and "wrong" not in done.stderr, done.stderr
    server.close()
    server = MailServer(refuse=("RCPT",))
    done = send(folder, server, 'tls: "off"')
    assert done.returncode == 1 and "550" in done.stderr or "RCPT" in done.stderr, done.stderr
    server.close()
    server = MailServer(dumb=True)
    done = send(folder, server, 'tls: "off"')
    assert done.returncode == 1, done.stderr
    server.close()
    done = send(folder, server, 'tls: "off"')  # nobody listens any more
    assert done.returncode == 1, done.stderr


@with_folder
def a_malformed_address_is_sent_to_nobody(folder):
    server = MailServer()
    for bad in ("alice", "alice@example.test\r\nBcc: bob@example.test", "a@b,c@d", "<a@b>"):
        done = send(folder, server, 'tls: "off"', to=bad)
        assert done.returncode == 1, (bad, done.stderr)
    assert not server.commands
    server.close()


run(
    [
        a_mail_arrives_whole_over_starttls,
        a_mail_arrives_over_tls_from_the_start,
        without_tls_nothing_is_sent_unless_that_is_allowed,
        a_certificate_that_does_not_verify_gets_no_mail,
        refusals_and_silence_are_reported,
        a_malformed_address_is_sent_to_nobody,
    ]
)
