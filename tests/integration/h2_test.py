#!/usr/bin/python3
"""HTTP/2 and TLS with clients and services that others wrote: curl, nghttp, h2load, nghttpd."""

import hashlib
import os
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import tempfile
import time

from harness import DEADLINE_S, Gateway, Service, Skip, answer, field, free_port, run

FOLDER = tempfile.mkdtemp(prefix="sallyport-h2.")
BLOB = bytes(range(256)) * 4096 * 4

FRONT = """
workers: 1
admin: {address: "127.0.0.1:{admin}"}
log: {access: off}
limits: {connections_per_address: 0, body: 64MiB, http2: {%s}}
trusted_proxies: [%s]
"""
TLS = 'listen: [{address: "127.0.0.1:{port}", tls: {certificate: a.pem, key: a.key}}]\n'
BACK = """
services:
  up: {endpoints: ["%s"]%s}
routes:
  - {path: "/up/**", service: up, auth: none}
  - {path: "/only-get", methods: [GET], service: up, auth: none}
"""


def need(*programs):
    for program in programs:
        if not shutil.which(program):
            raise Skip(f"{program} is not installed")


def call(*arguments, status=0):
    done = subprocess.run(
        arguments, stdin=subprocess.DEVNULL, capture_output=True, timeout=3 * DEADLINE_S, check=False
    )
    assert status is None or done.returncode == status, (arguments, done)
    return done.stdout


def path_of(name):
    return os.path.join(FOLDER, name)


def content(name):
    with open(path_of(name), "rb") as file:
        return file.read()


def openssl(*arguments):
    subprocess.run(
        ["openssl", *arguments], cwd=FOLDER, check=True, capture_output=True, timeout=DEADLINE_S
    )


def certificate(name, subject, *names):
    """NAME.pem and NAME.key, signed by the test's authority."""
    if not os.path.exists(path_of("ca.pem")):
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=Test authority",
                "-addext", "basicConstraints=critical,CA:TRUE",
                "-addext", "keyUsage=critical,keyCertSign")
    with open(path_of(name + ".ext"), "w", encoding="utf-8") as file:
        file.write("subjectAltName=" + ",".join(names) + "\n")
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
            name + ".key", "-out", name + ".csr", "-subj", subject)
    openssl("x509", "-req", "-in", name + ".csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-days", "2",
            "-CAcreateserial", "-extfile", name + ".ext", "-out", name + ".pem")


def files():
    if not os.path.exists(path_of("b.pem")):
        certificate("client", "/CN=orders", "DNS:orders.example")
        certificate("a", "/CN=a.example", "DNS:a.example", "DNS:localhost", "IP:127.0.0.1")
        certificate("b", "/CN=b.example", "DNS:b.example")
    names = ("a.pem", "a.key", "b.pem", "b.key", "ca.pem")
    return {name: content(name) for name in names}


class Setup:
    """A gateway that speaks TLS, in front of `url` or of a scripted HTTP/1.1 service."""

    def __init__(self, script=None, url=None, listen=TLS, options="", more="",
                 trusted="127.0.0.0/8", limits=""):
        self.service = Service(script) if script else None
        url = url or f"http://127.0.0.1:{self.service.port}"
        self.gateway = Gateway(listen + FRONT % (limits, trusted) + more + BACK % (url, options), files())

    def __enter__(self):
        return self.gateway, self.service

    def __exit__(self, *_):
        code = self.gateway.stop()
        if self.service:
            self.service.close()
        assert code == 0, f"the gateway ended with {code}"


class Nghttpd:
    """An HTTP/2 service; a folder of files, and bodies are sent back."""

    def __init__(self, *options, tls=None):
        need("nghttpd")
        self.port = free_port()
        self.folder = tempfile.mkdtemp(dir=FOLDER)
        os.mkdir(os.path.join(self.folder, "up"))
        with open(os.path.join(self.folder, "up", "file"), "wb") as file:
            file.write(BLOB)
        pair = [path_of(tls + ".key"), path_of(tls + ".pem")] if tls else []
        self.process = subprocess.Popen(
            ["nghttpd", *([] if tls else ["--no-tls"]), "-a", "127.0.0.1", "-d", self.folder,
             *options, str(self.port), *pair],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + DEADLINE_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                assert time.monotonic() < until and self.process.poll() is None, "no nghttpd"
                time.sleep(0.05)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def curl(gateway, path, *options, status=0):
    """Status, version and body of a request over TLS with the certificate verified."""
    need("curl")
    written = os.path.join(gateway.folder, "body")
    out = call("curl", "-sS", "--http2", "--cacert", path_of("ca.pem"), "-o", written, "-w",
               "%{http_code} %{http_version}", *options,
               f"https://127.0.0.1:{gateway.port}{path}", status=status).decode()
    body = b""
    if os.path.exists(written):
        with open(written, "rb") as file:
            body = file.read()
        os.unlink(written)
    code, version = (out.split() + ["", ""])[:2]
    return code, version, body


def nghttp(gateway, path, *options):
    """What nghttp tells about a request: its frames as text."""
    need("nghttp")
    return call("nghttp", "-v", "--no-dep", *options,
                f"https://127.0.0.1:{gateway.port}{path}").decode("latin-1")


def plain(connection, _head, _number, rest):
    answer(connection)
    return rest


def body_of(connection, head, rest):
    """Takes a request's body, whichever way it is framed; what follows, and the trailers."""
    length = field(head, "content-length")
    if length:
        while len(rest) < int(length[0]):
            rest += connection.recv(65536)
        return rest[: int(length[0])], b""
    if not field(head, "transfer-encoding"):
        return b"", b""
    body = []
    while True:
        while b"\r\n" not in rest:
            rest += connection.recv(65536)
        line, rest = rest.split(b"\r\n", 1)
        size = int(line, 16)
        if size == 0:
            while not rest.endswith(b"\r\n\r\n") and rest != b"\r\n":
                rest += connection.recv(65536)
            return b"".join(body), rest
        while len(rest) < size + 2:
            rest += connection.recv(65536)
        body.append(rest[:size])
        rest = rest[size + 2 :]


def digest(connection, head, _number, rest):
    answer(connection, hashlib.sha256(body_of(connection, head, rest)[0]).hexdigest().encode())
    return b""


def test_curl_gets_answers_over_http2():
    with Setup(plain) as (gateway, service):
        assert curl(gateway, "/up/a?b=c") == ("200", "2", b"hello")
        head = service.heads[0]
        assert head.startswith(b"GET /up/a?b=c HTTP/1.1\r\n")
        assert field(head, "host") == [f"127.0.0.1:{gateway.port}"]
        assert field(head, "x-forwarded-proto") == ["https"]


def test_refusals_are_answered_over_http2():
    with Setup(plain) as (gateway, service):
        assert curl(gateway, "/other")[:2] == ("404", "2")
        assert curl(gateway, "/only-get", "-X", "DELETE")[:2] == ("405", "2")
        assert curl(gateway, "/up/%00")[:2] == ("400", "2")
        assert not service.heads


def test_bodies_of_what_is_refused_are_no_failure_for_curl():
    """It takes a reset after the answer for one, so the stream must end in good order."""
    with open(path_of("blob"), "wb") as file:
        file.write(BLOB[: 512 * 1024])
    with open(path_of("large"), "wb") as file:
        file.truncate(100 << 20)
    send = ("-H", "Expect:", "-X", "POST", "--data-binary")
    with Setup(plain) as (gateway, service):
        for _ in range(5):
            for path, status in (("/other", "404"), ("/only-get", "405"), ("/up/%00", "400")):
                assert curl(gateway, path, *send, "@" + path_of("blob"))[:2] == (status, "2")
        assert curl(gateway, "/up/", *send, "@" + path_of("large"))[:2] == ("413", "2")
        assert not service.heads
        assert curl(gateway, "/up/")[:2] == ("200", "2")


def test_field_lists_have_a_limit_of_their_own_over_http2():
    with Setup(plain, limits="header_list: 2k") as (gateway, service):
        big = ("-H", "X-Big: " + "a" * 3000)
        assert curl(gateway, "/up/", *big)[:2] == ("431", "2")
        assert not service.heads
        assert curl(gateway, "/up/", "--http1.1", *big)[:2] == ("200", "1.1")
        assert curl(gateway, "/up/")[:2] == ("200", "2")


def test_head_has_the_length_but_no_body_over_http2():
    def script(connection, head, _number, rest):
        assert head.startswith(b"HEAD ")
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
        return rest

    with Setup(script) as (gateway, _):
        need("curl")
        out = call("curl", "-sS", "--http2", "-k", "-I", f"https://127.0.0.1:{gateway.port}/up/")
        assert out.startswith(b"HTTP/2 200") and b"content-length: 5\r\n" in out, out


def test_large_bodies_pass_both_ways_over_http2():
    def script(connection, head, number, rest):
        if head.startswith(b"GET"):
            answer(connection, BLOB)
            return rest
        return digest(connection, head, number, rest)

    with open(path_of("blob"), "wb") as file:
        file.write(BLOB)
    with Setup(script) as (gateway, _):
        assert curl(gateway, "/up/") == ("200", "2", BLOB)
        want = hashlib.sha256(BLOB).hexdigest().encode()
        assert curl(gateway, "/up/", "-T", path_of("blob")) == ("200", "2", want)


def test_a_body_without_length_passes_over_http2():
    def script(connection, _head, _number, _rest):
        connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + BLOB)
        return None

    with Setup(script) as (gateway, _):
        assert curl(gateway, "/up/") == ("200", "2", BLOB)


def test_trailers_pass_both_ways_over_http2():
    got = []

    def script(connection, head, _number, rest):
        got.append(body_of(connection, head, rest))
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                           b"5\r\nhello\r\n0\r\nX-Sum: 42\r\n\r\n")
        return b""

    with open(path_of("small"), "wb") as file:
        file.write(b"abc")
    with Setup(script) as (gateway, _):
        out = nghttp(gateway, "/up/", "-d", path_of("small"), "--trailer", "x-mine: 7",
                     "-H", "te: trailers")
        assert "x-sum: 42" in out and "x-mine: 7" in out, out
        assert got[0][0] == b"abc", got
        # The client gave a length, so that HTTP/1.1 has no place for its trailers.
        assert got[0][1] in (b"", b"x-mine: 7\r\n\r\n"), got


def test_a_service_that_dies_is_never_a_complete_answer_over_http2():
    def script(connection, _head, _number, _rest):
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        return None

    with Setup(script) as (gateway, _):
        need("curl")
        done = subprocess.run(["curl", "-sS", "--http2", "-k",
                               f"https://127.0.0.1:{gateway.port}/up/"],
                              capture_output=True, timeout=DEADLINE_S, check=False)
        assert done.returncode == 92, done  # the stream was not closed cleanly


def test_many_streams_at_once_are_all_answered():
    need("h2load")
    with Setup(plain) as (gateway, _):
        out = call("h2load", "-n", "2000", "-c", "4", "-m", "32",
                   f"https://127.0.0.1:{gateway.port}/up/").decode()
        assert "2000 succeeded, 0 failed, 0 errored" in out, out
        assert "Application protocol: h2" in out, out


def test_http2_in_plain_text_is_taken_where_allowed():
    need("nghttp")
    listen = 'listen: [{address: "127.0.0.1:{port}", h2c: on}]\n'
    with Setup(plain, listen=listen) as (gateway, _):
        url = f"http://127.0.0.1:{gateway.port}/up/"
        assert b"hello" in call("nghttp", url)
        assert gateway.request("GET", "/up/")[0] == 200  # HTTP/1.1 on the same port
    with Setup(plain, listen=listen.replace(", h2c: on", "")) as (gateway, service):
        call("nghttp", f"http://127.0.0.1:{gateway.port}/up/", status=None)
        assert not service.heads


def test_services_that_speak_http2_in_plain_text():
    with Nghttpd() as service, Setup(url=f"h2c://127.0.0.1:{service.port}") as (gateway, _):
        assert curl(gateway, "/up/file") == ("200", "2", BLOB)
        assert curl(gateway, "/up/file", "--http1.1") == ("200", "1.1", BLOB)
        assert curl(gateway, "/up/none")[0] == "404"


def test_a_service_whose_certificate_is_not_trusted_is_a_bad_gateway():
    files()
    with Nghttpd(tls="a") as service:
        url = f"https://127.0.0.1:{service.port}"
        with Setup(url=url) as (gateway, _):
            assert curl(gateway, "/up/file")[0] == "502"
        with Setup(url=url, options=", tls: {ca: ca.pem}") as (gateway, _):
            assert curl(gateway, "/up/file") == ("200", "2", BLOB)
        with Setup(url=url, options=", tls: {ca: ca.pem, server_name: c.example}") as (gateway, _):
            assert curl(gateway, "/up/file")[0] == "502"
        with Setup(url=url, options=", tls: {verify: off}") as (gateway, _):
            assert curl(gateway, "/up/file")[0] == "200"


def test_the_protocols_that_are_offered_to_a_service_can_be_chosen():
    files()
    with Nghttpd(tls="a") as service:
        # It speaks HTTP/2 only.
        for alpn, status in (("", "200"), (", alpn: [h2]", "200"), (", alpn: [http/1.1]", "502")):
            options = ", tls: {ca: ca.pem%s}" % alpn
            with Setup(url=f"https://127.0.0.1:{service.port}", options=options) as (gateway, _):
                assert curl(gateway, "/up/file")[0] == status, alpn


def test_a_call_like_grpc_keeps_its_trailers_through_http2():
    with open(path_of("message"), "wb") as file:
        file.write(b"\x00\x00\x00\x00\x03abc")
    with Nghttpd("--echo-upload", "--trailer", "grpc-status: 0") as service:
        with Setup(url=f"h2c://127.0.0.1:{service.port}") as (gateway, _):
            out = nghttp(gateway, "/up/shop.Orders/Get", "-d", path_of("message"),
                         "-H", ":method: POST", "-H", "content-type: application/grpc",
                         "-H", "te: trailers")
            assert "grpc-status: 0" in out and ":status: 200" in out, out
            assert "RST_STREAM" not in out, out


def subject_shown(port, name):
    context = ssl.create_default_context(cafile=path_of("ca.pem"))
    with socket.create_connection(("127.0.0.1", port), DEADLINE_S) as raw:
        with context.wrap_socket(raw, server_hostname=name) as connection:
            return dict(part[0] for part in connection.getpeercert()["subject"])["commonName"]


def test_the_certificate_is_chosen_by_server_name():
    listen = """listen:
  - address: "127.0.0.1:{port}"
    tls: {certificates: [{certificate: a.pem, key: a.key}, {certificate: b.pem, key: b.key}]}
"""
    with Setup(plain, listen=listen) as (gateway, _):
        assert subject_shown(gateway.port, "a.example") == "a.example"
        assert subject_shown(gateway.port, "b.example") == "b.example"
        assert subject_shown(gateway.port, "localhost") == "a.example"


def test_a_reload_takes_a_renewed_certificate_and_keeps_connections():
    with Setup(plain) as (gateway, _):
        context = ssl.create_default_context(cafile=path_of("ca.pem"))
        with context.wrap_socket(gateway.connect(), server_hostname="127.0.0.1") as kept:
            kept.sendall(b"GET /up/ HTTP/1.1\r\nHost: a\r\n\r\n")
            assert kept.recv(65536).startswith(b"HTTP/1.1 200")
            assert subject_shown(gateway.port, "localhost") == "a.example"
            certificate("renewed", "/CN=renewed.example", "DNS:localhost", "IP:127.0.0.1")
            for name in ("pem", "key"):
                shutil.copy(path_of("renewed." + name), os.path.join(gateway.folder, "a." + name))
            gateway.process.send_signal(signal.SIGHUP)
            until = time.monotonic() + DEADLINE_S
            while subject_shown(gateway.port, "localhost") != "renewed.example":
                assert time.monotonic() < until, gateway.log_text()
                time.sleep(0.05)
            kept.sendall(b"GET /up/ HTTP/1.1\r\nHost: a\r\n\r\n")
            assert kept.recv(65536).startswith(b"HTTP/1.1 200")


def test_an_ocsp_response_is_stapled():
    files()
    serial = call("openssl", "x509", "-in", path_of("a.pem"), "-noout", "-serial").decode()
    with open(path_of("index"), "w", encoding="ascii") as file:
        file.write(f"V\t491231235959Z\t\t{serial.strip().split('=')[1]}\tunknown\t/CN=a.example\n")
    openssl("ocsp", "-index", "index", "-CA", "ca.pem", "-rsigner", "ca.pem", "-rkey", "ca.key",
            "-issuer", "ca.pem", "-cert", "a.pem", "-ndays", "2", "-respout", "a.ocsp")
    listen = TLS.replace("key: a.key", f"key: a.key, ocsp: {path_of('a.ocsp')}")
    for line, expected in ((listen, b"OCSP Response Status: successful"),
                           (TLS, b"OCSP response: no response sent")):
        with Setup(plain, listen=line) as (gateway, _):
            shown = call("openssl", "s_client", "-connect", f"127.0.0.1:{gateway.port}", "-status")
            assert expected in shown, shown


def test_clients_show_certificates_where_required():
    listen = """listen:
  - address: "127.0.0.1:{port}"
    tls: {certificate: a.pem, key: a.key, client_ca: ca.pem, client_auth: required}
"""
    more = 'identity: {client_certificates: [{dns: orders.example, identity: the-orders}]}\n'
    with Setup(plain, listen=listen, more=more,
               options=", identity: {as: headers}") as (gateway, service):
        assert curl(gateway, "/up/", status=None)[0] == "000"
        assert not service.heads
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-keyout", "own.key", "-out", "own.pem", "-days", "2", "-subj", "/CN=orders")
        assert curl(gateway, "/up/", "--cert", path_of("own.pem"), "--key", path_of("own.key"),
                    status=None)[0] == "000"
        assert not service.heads
        pair = ("--cert", path_of("client.pem"), "--key", path_of("client.key"))
        assert curl(gateway, "/up/", *pair)[0] == "200"
        assert not field(service.heads[0], "x-auth-client")  # auth: none asks nobody


def test_a_client_certificate_is_an_identity():
    listen = """listen:
  - address: "127.0.0.1:{port}"
    tls: {certificate: a.pem, key: a.key, client_ca: ca.pem, client_auth: optional}
"""
    more = 'identity: {client_certificates: [{dns: orders.example, identity: the-orders}]}\n'
    service = Service(plain)
    back = BACK.replace(", auth: none", "") % (
        f"http://127.0.0.1:{service.port}", ", identity: {as: headers}")
    gateway = Gateway(listen + FRONT % ("", "127.0.0.0/8") + more + back, files())
    try:
        assert curl(gateway, "/up/")[0] == "401"
        assert not service.heads
        pair = ("--cert", path_of("client.pem"), "--key", path_of("client.key"))
        assert curl(gateway, "/up/", *pair, "-H", "X-Auth-Client: forged")[0] == "200"
        assert field(service.heads[0], "x-auth-client") == ["the-orders"]
    finally:
        assert gateway.stop() == 0
        service.close()


def test_the_proxy_protocol_tells_the_client():
    request = b"GET /up/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    version1 = b"PROXY TCP4 192.0.2.7 192.0.2.1 1111 443\r\n"
    version2 = (b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c" + bytes([192, 0, 2, 8, 192, 0, 2, 1])
                + struct.pack(">HH", 1111, 443))
    listen = 'listen: [{address: "127.0.0.1:{port}", proxy_protocol: %s}]\n'
    with Setup(plain, listen=listen % "require") as (gateway, service):
        assert gateway.raw(version1 + request).startswith(b"HTTP/1.1 200")
        assert gateway.raw(version2 + request).startswith(b"HTTP/1.1 200")
        seen = [field(head, "x-forwarded-for") for head in service.heads]
        assert seen == [["192.0.2.7"], ["192.0.2.8"]], seen
        assert b"200" not in gateway.raw(request)
        assert b"200" not in gateway.raw(b"PROXY TCP4 192.0.2.7\r\n" + request)
        assert len(service.heads) == 2
    with Setup(plain, listen=listen % "accept") as (gateway, service):
        assert gateway.raw(version1 + request).startswith(b"HTTP/1.1 200")
        assert field(service.heads[0], "x-forwarded-for") == ["192.0.2.7"]
    # Whoever is no trusted proxy speaks plainly, and is not believed.
    with Setup(plain, listen=listen % "accept", trusted="198.51.100.0/24") as (gateway, service):
        assert gateway.raw(request).startswith(b"HTTP/1.1 200")
        assert field(service.heads[0], "x-forwarded-for") == ["127.0.0.1"]
        assert b" 200 " not in gateway.raw(version1 + request)
        assert len(service.heads) == 1


def test_http2_is_not_offered_where_it_is_off():
    listen = TLS.replace("key: a.key}", "key: a.key}, http2: off")
    with Setup(plain, listen=listen) as (gateway, _):
        assert curl(gateway, "/up/") == ("200", "1.1", b"hello")


try:
    need("openssl")
    run([function for name, function in list(globals().items()) if name.startswith("test_")])
except Skip as reason:
    print(reason)
    raise SystemExit(77) from None
finally:
    shutil.rmtree(FOLDER, ignore_errors=True)
