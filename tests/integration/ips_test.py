#!/usr/bin/env python3
"""Clients that keep attacking are banned: for what, whom, how long, and how it is undone."""

import json
import os
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from harness import DEADLINE_S, PROGRAM, Gateway, Service, Skip, answer, run

HEAD = """
listen: ["127.0.0.1:{port}"]
workers: 2
admin: {address: "127.0.0.1:{admin}", actions: on}
log: {level: warn, access: off, audit: {path: audit.log}}
trusted_proxies: [127.0.0.1]
forwarded: {client_headers: trusted}
"""


def gateway(ips, extra="", service=None, files=None):
    text = HEAD + extra + "ips:\n" + "".join(f"  {line}\n" for line in ips)
    if service:
        text += f'services: {{shop: {{endpoints: ["http://127.0.0.1:{service.port}"]}}}}\n'
        text += 'routes:\n  - {path: "/shop/**", service: shop, auth: none}\n'
    else:
        text += "routes:\n"
    text += "  - {path: /, respond: {status: 200, body: hello}, auth: none}\n"
    text += (
        "  - {path: /limited, respond: {status: 200}, auth: none,"
        " limit: {per: address, rate: 1/m}}\n"
    )
    gate = Gateway(text, files)
    wait_until(lambda: can_connect(gate.admin), "the admin listener is there")
    return gate


def can_connect(port):
    try:
        socket.create_connection(("127.0.0.1", port), DEADLINE_S).close()
        return True
    except OSError:
        return False


def wait_until(condition, what):
    until = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < until, "waited in vain until " + what
        time.sleep(0.05)


def get(gate, path="/", client="192.0.2.1", **headers):
    return gate.request("GET", path, headers={"X-Forwarded-For": client, **headers})[0]


def admin(gate, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{gate.admin}{path}", data)
    request.add_header("Content-Type", "application/json")
    try:
        with urllib.request.urlopen(request, timeout=DEADLINE_S) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def bans(gate):
    return {ban["client"]: ban for ban in json.loads(admin(gate, "/bans")[1])["bans"]}


def metric(gate, name):
    for line in admin(gate, "/metrics")[1].splitlines():
        if line.startswith(name + " "):
            return int(line.split()[1])
    raise AssertionError(name + " is missing")


def audit_events(gate, event):
    with open(os.path.join(gate.folder, "audit.log"), encoding="utf-8") as file:
        return [line for line in map(json.loads, file) if line["event"] == event]


def wait_banned(gate, client="192.0.2.1"):
    """An exchange counts when it has ended, which may be after its client has the answer."""
    wait_until(lambda: "address:" + client in bans(gate), client + " is banned")


def scan(gate, client, count):
    return [get(gate, f"/nothing/{i}", client) for i in range(count)]


def who_scans_is_banned_and_nobody_else():
    gate = gateway(["scans: {threshold: 5, window: 1h, ban: 1h}"])
    try:
        assert scan(gate, "192.0.2.1", 4) == [404] * 4
        assert get(gate) == 200
        assert scan(gate, "192.0.2.1", 1) == [404]
        wait_banned(gate)
        assert get(gate) == 403
        status, headers, body = gate.request("GET", "/", headers={"X-Forwarded-For": "192.0.2.1"})
        assert status == 403 and json.loads(body)["type"].endswith(":banned"), body
        assert headers.get("Connection") == "close", headers
        assert get(gate, client="192.0.2.2") == 200
        ban = bans(gate)["address:192.0.2.1"]
        assert ban["kind"] == "scan" and ban["offences"] == 1, ban
        assert metric(gate, "sallyport_bans_active") == 1
        assert metric(gate, 'sallyport_banned_requests_total{mode="block"}') == 2
        wait_until(lambda: audit_events(gate, "ban.added"), "the ban is in the audit log")
        assert audit_events(gate, "ban.added")[0]["client"] == "address:192.0.2.1"
    finally:
        gate.stop()


def an_ipv6_client_is_its_64():
    gate = gateway(["scans: {threshold: 3, window: 1h, ban: 1h}"])
    try:
        assert scan(gate, "2001:db8::1", 3) == [404] * 3
        wait_banned(gate, "2001:db8::/64")
        assert get(gate, client="2001:db8::ffff:2") == 403
        assert get(gate, client="2001:db8:0:1::1") == 200
        assert list(bans(gate)) == ["address:2001:db8::/64"]
    finally:
        gate.stop()


def each_kind_is_counted_apart():
    gate = gateway(
        [
            "scans: 0",
            "limits: {threshold: 3, window: 1h}",
            "malformed: {threshold: 2, window: 1h}",
        ]
    )
    try:
        scan(gate, "192.0.2.1", 30)
        assert get(gate) == 200
        # A request that is refused before its client is known is the proxy's, who is trusted.
        for _ in range(5):
            gate.raw(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
        assert not bans(gate)
        assert [get(gate, "/limited") for _ in range(4)] == [200, 429, 429, 429]
        wait_banned(gate)
        assert get(gate, "/limited") == 403
        assert bans(gate)["address:192.0.2.1"]["kind"] == "limit"
    finally:
        gate.stop()


def wrong_credentials_at_a_service_are_failed_logins():
    def refuse(connection, _head, _number, rest):
        answer(connection, b"", "401 Unauthorized")
        return rest

    service = Service(refuse)
    gate = gateway(["logins: {threshold: 3, window: 1h}"], service=service)
    try:
        for _ in range(5):  # without credentials a 401 only asks for them
            assert get(gate, "/shop/x") == 401
        for _ in range(3):
            assert get(gate, "/shop/x", Authorization="Basic dTpw") == 401
        wait_banned(gate)
        assert get(gate) == 403
        assert bans(gate)["address:192.0.2.1"]["kind"] == "login"
    finally:
        gate.stop()
        service.close()


def who_keeps_attacking_is_banned():
    rule = b'SecRuleEngine On\nSecRule ARGS "@contains evil" "id:1,phase:2,deny,status:403"\n'
    gate = gateway(
        ["attacks: {threshold: 2, window: 1h}"],
        extra="waf: {rules: ./rules.conf}\n",
        files={"rules.conf": rule},
    )
    try:
        assert [get(gate, "/?q=evil") for _ in range(2)] == [403] * 2
        wait_banned(gate)
        assert get(gate) == 403
        assert bans(gate)["address:192.0.2.1"]["kind"] == "attack"
        assert get(gate, client="192.0.2.2") == 200
    finally:
        gate.stop()


def a_ban_ends_and_the_next_is_longer():
    gate = gateway(["scans: {threshold: 2, window: 1s, ban: 5s, growth: 1000, ban_max: 1h}"])
    try:
        scan(gate, "192.0.2.1", 2)
        wait_banned(gate)
        assert get(gate) == 403
        wait_until(lambda: get(gate) == 200, "the ban has ended")
        wait_until(lambda: 403 in scan(gate, "192.0.2.1", 3), "there is a second one")
        assert bans(gate)["address:192.0.2.1"]["offences"] == 2
    finally:
        gate.stop()


def networks_are_allowed_and_denied():
    gate = gateway(
        ["allow: [192.0.2.0/24]", "deny: [198.51.100.0/24]", "scans: {threshold: 2, window: 1h}"]
    )
    try:
        scan(gate, "192.0.2.1", 20)
        assert get(gate) == 200
        assert get(gate, client="198.51.100.9") == 403
        assert not bans(gate)
    finally:
        gate.stop()


def a_network_is_banned_when_enough_of_its_addresses_are():
    gate = gateway(
        [
            "scans: {threshold: 2, window: 1h}",
            "networks: {threshold: 3, window: 1h, ban: 1h}",
            "allow: [192.0.2.77]",
        ]
    )
    try:
        for client in ("192.0.2.1", "192.0.2.2", "192.0.3.1", "192.0.3.2"):
            scan(gate, client, 2)
            wait_banned(gate, client)
        assert get(gate, client="192.0.2.200") == 200
        scan(gate, "192.0.2.3", 2)
        wait_until(lambda: "network:192.0.2.0/24" in bans(gate), "the network is banned")
        assert bans(gate)["network:192.0.2.0/24"]["kind"] == "network"
        assert get(gate, client="192.0.2.200") == 403
        assert get(gate, client="192.0.3.200") == 200
        assert get(gate, client="192.0.2.77") == 200, "it is never banned"
        assert admin(gate, "/bans/lift", {"client": "192.0.2.0/24"})[0] == 200
        assert get(gate, client="192.0.2.200") == 200
        assert get(gate, client="192.0.2.1") == 403, "its own ban is another"
    finally:
        gate.stop()


def certificate():
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-keyout", "key.pem", "-out", "cert.pem", "-days", "2", "-subj", "/CN=a",
             "-addext", "subjectAltName=DNS:a.example"],
            cwd=folder, check=True, capture_output=True, timeout=DEADLINE_S,
        )
        return {name: Path(folder, name).read_bytes() for name in ("cert.pem", "key.pem")}


def get_tls(gate, path, source, ciphers):
    """The status; 0 when the handshake is refused, or the connection before it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers(ciphers)
    try:
        with socket.create_connection(("127.0.0.1", gate.port), DEADLINE_S, (source, 0)) as plain:
            with context.wrap_socket(plain, server_hostname="a.example") as client:
                client.sendall(f"GET {path} HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n"
                               "\r\n".encode())
                return int(client.recv(4096).split(b" ")[1])
    except (ssl.SSLError, ConnectionError):
        return 0


def programs_that_attack_from_many_addresses_are_banned_by_their_fingerprint():
    tool, browser = "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384"
    text = (
        'listen: [{address: "127.0.0.1:{port}", tls: {certificate: cert.pem, key: key.pem}}]\n'
        'workers: 1\nadmin: {address: "127.0.0.1:{admin}", actions: on}\n'
        "log: {level: warn, access: off}\n"
        "waf: {rules: ./rules.conf, log: waf.log}\n"
        "ips: {attacks: {threshold: 2, window: 1h}, allow: [127.0.0.9],\n"
        "      fingerprints: {threshold: 2, window: 1h, ban: 1h}}\n"
        "routes:\n  - {path: /, respond: {status: 200}, auth: none}\n"
    )
    rule = b'SecRuleEngine On\nSecRule ARGS "@streq evil" "id:1,phase:1,log,deny,status:403"\n'
    gate = Gateway(text, {"rules.conf": rule, **certificate()})
    wait_until(lambda: can_connect(gate.admin), "the admin listener is there")
    try:
        for source in ("127.0.0.2", "127.0.0.3"):
            assert get_tls(gate, "/", source, tool) == 200
            for _ in range(2):
                assert get_tls(gate, "/?q=evil", source, tool) == 403
            wait_banned(gate, source)
        wait_until(lambda: len(bans(gate)) == 3, "the fingerprint is banned")
        name = next(name for name in bans(gate) if name.startswith("fingerprint:t13d"))
        assert bans(gate)[name]["kind"] == "fingerprint"
        log = Path(gate.folder, "waf.log")
        wait_until(lambda: "\n" in log.read_text(encoding="utf-8"), "there is a record")
        record = json.loads(log.read_text(encoding="utf-8").splitlines()[0])
        assert "fingerprint:" + record["fingerprint"] == name
        assert get_tls(gate, "/", "127.0.0.4", tool) == 0, "an address that nobody has seen"
        assert get_tls(gate, "/", "127.0.0.4", browser) == 200
        assert get_tls(gate, "/", "127.0.0.9", tool) == 200, "it is never banned"
        assert get_tls(gate, "/", "127.0.0.2", browser) == 0, "its own ban is another"
        assert metric(gate, "sallyport_banned_connections_total") >= 2
        assert admin(gate, "/bans/lift", {"client": name})[0] == 200
        assert get_tls(gate, "/", "127.0.0.4", tool) == 200
    finally:
        gate.stop()


def who_only_observes_refuses_nobody():
    gate = gateway(["mode: observe", "scans: {threshold: 2, window: 1h}"])
    try:
        assert scan(gate, "192.0.2.1", 6) == [404] * 6
        wait_banned(gate)
        assert get(gate) == 200
        assert metric(gate, 'sallyport_banned_requests_total{mode="observe"}') >= 1
        assert metric(gate, 'sallyport_banned_requests_total{mode="block"}') == 0
        assert "address:192.0.2.1" in bans(gate)
    finally:
        gate.stop()


def a_banned_address_is_closed_before_it_says_anything():
    text = (HEAD.replace("trusted_proxies: [127.0.0.1]\nforwarded: {client_headers: trusted}\n", "")
            + "ips: {malformed: {threshold: 2, window: 1h}}\n"
            + "routes:\n  - {path: /, respond: {status: 200}, auth: none}\n")
    gate = Gateway(text)
    wait_until(lambda: can_connect(gate.admin), "the admin listener is there")
    try:
        for _ in range(2):
            assert b" 400 " in gate.raw(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
        wait_banned(gate, "127.0.0.1")
        with gate.connect() as connection:
            connection.settimeout(DEADLINE_S)
            try:
                assert connection.recv(1) == b""
            except ConnectionResetError:
                pass
        assert metric(gate, "sallyport_banned_connections_total") >= 1
        status, _ = admin(gate, "/bans/lift", {"client": "127.0.0.1"})
        assert status == 200
        assert gate.request("GET", "/")[0] == 200
    finally:
        gate.stop()


def a_ban_survives_a_reload_and_is_lifted_by_the_admin_listener():
    gate = gateway(["scans: {threshold: 2, window: 1h}"])
    try:
        scan(gate, "192.0.2.1", 2)
        wait_banned(gate)
        with open(gate.config, encoding="utf-8") as file:
            text = file.read()
        gate.write(text.replace("body: hello", "body: changed"))
        gate.process.send_signal(1)
        other = {"X-Forwarded-For": "192.0.2.7"}
        wait_until(
            lambda: gate.request("GET", "/", headers=other)[2] == b"changed", "it is reloaded"
        )
        assert get(gate) == 403
        assert admin(gate, "/bans/lift", {"client": "192.0.2.99"})[0] == 404
        assert admin(gate, "/bans/lift", {"client": "nonsense"})[0] == 422
        status, body = admin(gate, "/bans/lift", {"client": "192.0.2.1"})
        assert (status, json.loads(body)) == (200, {"bans": []})
        assert get(gate) == 200
        wait_until(lambda: audit_events(gate, "ban.lifted"), "that is in the audit log")
    finally:
        gate.stop()


def command(gate, *words):
    result = subprocess.run(
        [PROGRAM, "ban", *words, "-c", gate.config],
        capture_output=True, text=True, timeout=DEADLINE_S, check=False,
    )
    assert result.returncode == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


def the_store_shares_bans_with_commands_and_the_next_process():
    gate = gateway(["scans: {threshold: 2, window: 1h}"], extra="store: sqlite:bans.db\n")
    try:
        scan(gate, "192.0.2.1", 2)
        wait_until(lambda: command(gate, "list"), "the ban is in the store")
        assert command(gate, "list")[0]["client"] == "address:192.0.2.1"
        command(gate, "add", "192.0.2.50", "--minutes", "5")
        command(gate, "add", "2001:db8:7::1")
        command(gate, "add", "203.0.113.0/24", "--minutes", "5")
        wait_until(lambda: get(gate, client="192.0.2.50") == 403, "the gateway knows")
        wait_until(lambda: get(gate, client="2001:db8:7::2") == 403, "and of the other")
        wait_until(lambda: get(gate, client="203.0.113.9") == 403, "and of the network")
        assert get(gate, client="203.0.114.9") == 200
        command(gate, "lift", "192.0.2.1")
        wait_until(lambda: get(gate) == 200, "the gateway has lifted it")
        gate.process.terminate()
        gate.process.wait(DEADLINE_S)
        gate.start()
        assert get(gate, client="192.0.2.50") == 403
        assert get(gate, client="2001:db8:7::3") == 403
        assert get(gate, client="203.0.113.10") == 403
        assert get(gate) == 200
    finally:
        gate.stop()


class Redis:
    """A server of our own that listens on a socket in a folder."""

    def __init__(self):
        if not shutil.which("redis-server"):
            raise Skip("redis-server is needed")
        self.folder = tempfile.mkdtemp(prefix="sallyport-redis.")
        self.socket = os.path.join(self.folder, "redis.sock")
        self.process = None
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", self.socket, "--dir", self.folder,
             "--save", ""],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        wait_until(lambda: os.path.exists(self.socket), "redis is there")

    def stop(self):
        self.process.terminate()
        self.process.wait(DEADLINE_S)
        if os.path.exists(self.socket):
            os.unlink(self.socket)

    def close(self):
        if self.process.poll() is None:
            self.stop()
        shutil.rmtree(self.folder)


def two_gateways_share_bans_through_redis_and_outlive_its_absence():
    redis = Redis()
    rules = ["scans: {threshold: 2, window: 1h}", "networks: {threshold: 2, window: 1h}"]
    gates = [gateway(rules, extra=f"store: {{shared: \"redis://{redis.socket}\"}}\n")
             for _ in range(2)]
    one, other = gates
    try:
        for client in ("192.0.2.1", "192.0.2.2"):
            scan(one, client, 2)
            wait_banned(one, client)
        wait_until(lambda: "network:192.0.2.0/24" in bans(other), "the other knows all three")
        assert get(other, client="192.0.2.3") == 403 and get(other, client="192.0.3.1") == 200
        assert admin(other, "/bans/lift", {"client": "192.0.2.0/24"})[0] == 200
        wait_until(lambda: get(one, client="192.0.2.3") == 200, "it is lifted everywhere")
        redis.stop()
        scan(other, "198.51.100.1", 2)
        wait_banned(other, "198.51.100.1")
        assert get(other, client="192.0.2.1") == 403, "what is known holds"
        redis.start()
        wait_until(lambda: get(one, client="198.51.100.1") == 403, "what waited is written")
    finally:
        for gate in gates:
            gate.stop()
        redis.close()


def the_plan_says_what_is_banned():
    gate = gateway(["allow: [10.0.0.0/8]", "logins: 0", "networks: 8"])
    try:
        plan = subprocess.run(
            [PROGRAM, "check", "-c", gate.config],
            capture_output=True, text=True, timeout=DEADLINE_S, check=False,
        ).stdout
        assert "scan: 40 within 1m ban for 5m, at most 1d" in plan, plan
        assert "network: 8 within 10m ban for 10m, at most 1d (bans in one /24" in plan, plan
        assert "login:" not in plan and "never: 10.0.0.0/8" in plan, plan
    finally:
        gate.stop()


if __name__ == "__main__":
    run(
        [
            who_scans_is_banned_and_nobody_else,
            an_ipv6_client_is_its_64,
            each_kind_is_counted_apart,
            wrong_credentials_at_a_service_are_failed_logins,
            who_keeps_attacking_is_banned,
            a_ban_ends_and_the_next_is_longer,
            networks_are_allowed_and_denied,
            a_network_is_banned_when_enough_of_its_addresses_are,
            programs_that_attack_from_many_addresses_are_banned_by_their_fingerprint,
            who_only_observes_refuses_nobody,
            a_banned_address_is_closed_before_it_says_anything,
            a_ban_survives_a_reload_and_is_lifted_by_the_admin_listener,
            the_store_shares_bans_with_commands_and_the_next_process,
            two_gateways_share_bans_through_redis_and_outlive_its_absence,
            the_plan_says_what_is_banned,
        ]
    )
