"""The programs under test and the service behind them: configuration, start, proof of work."""

import http.client
import re
import ssl
from pathlib import Path

from . import keys
from .process import BenchError, Process, find_tool, free_port

TEMPLATES = Path(__file__).resolve().parents[1] / "peers"
BODY = '{"id":4711,"state":"shipped","items":[' + ",".join(
    f'{{"article":"A-{number}","count":{number % 7 + 1}}}' for number in range(101, 106)
) + "]}"
# One for all, so that all encrypt alike; Go has no other say than its own order.
CIPHERSUITE = "TLS_AES_128_GCM_SHA256"
TOKEN_CACHE = 10000
KINDS = ("sallyport", "nginx", "haproxy", "caddy", "floor")


def fill(template, values):
    """The template with each @name@ replaced; a name without a value is our mistake."""
    text = (TEMPLATES / template).read_text()
    return re.sub(r"@([a-z_]+)@", lambda found: str(values[found[1]]), text)


class Site:
    """What all peers of a run share: folder, cores, certificate, signers, service."""

    def __init__(self, folder, cpus, programs, sallyport):
        self.folder = Path(folder)
        self.proxy_cpu, self.load_cpu = cpus
        self.programs = programs
        self.sallyport = sallyport
        self.processes = []
        self.certificate = keys.Certificate(folder)
        self._signers = {}
        self.upstream_port = free_port()

    def start_upstream(self):
        values = {"folder": self.folder, "port": self.upstream_port, "body": BODY}
        config = self.write("nginx-upstream.conf", fill("nginx-upstream.conf", values))
        self.start("upstream", nginx_command(self, config), self.upstream_port, self.load_cpu)

    def signer(self, algorithm):
        if algorithm not in self._signers:
            self._signers[algorithm] = keys.Signer(self.folder, algorithm)
        return self._signers[algorithm]

    def write(self, name, text):
        path = self.folder / name
        path.write_text(text)
        return path

    def start(self, name, command, port, cpu, environment=None):
        process = Process(name, command, self.folder / f"{name}.log", cpu, environment)
        self.processes.append(process)
        process.wait_for_port(port)
        return process

    def stop(self, process):
        self.processes.remove(process)
        process.stop()

    def stop_all(self):
        while self.processes:
            self.processes.pop().stop()


class Task:
    """What a peer shall do; `token_cache` and `paths` (of its routes) only Sallyport heeds."""

    def __init__(self, tls=False, http2=False, jwt=None, token_cache=True, paths=("/**",)):
        self.tls = tls
        self.http2 = http2
        self.jwt = jwt
        self.token_cache = token_cache
        self.paths = paths


class Peer:
    """A running program under test."""

    def __init__(self, site, label, kind, task):
        self.site = site
        self.label = label
        self.kind = kind
        self.task = task
        self.port = free_port()
        self.process = None
        self.restart()

    @property
    def url(self):
        return f"{'https' if self.task.tls else 'http'}://127.0.0.1:{self.port}"

    def restart(self):
        self.stop()
        command, environment = STARTERS[self.kind](self.site, self)
        cpu = self.site.proxy_cpu
        self.process = self.site.start(self.label, command, self.port, cpu, environment)

    def stop(self):
        if self.process in self.site.processes:
            self.site.stop(self.process)

    def _connect(self, protocols=None):
        """A connection; with TLS, 1.3, the agreed suite and `protocols` offered by ALPN."""
        if not self.task.tls:
            return http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        context = ssl.create_default_context(cafile=str(self.site.certificate.path))
        if protocols:
            context.set_alpn_protocols(protocols)
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self.port, timeout=10, context=context
        )
        connection.connect()
        found = (connection.sock.version(), connection.sock.cipher()[0])
        if found != ("TLSv1.3", CIPHERSUITE):
            raise BenchError(f"{self.label} speaks {found}, not TLS 1.3 with {CIPHERSUITE}")
        return connection

    def ask(self, path="/", token=None):
        """Status and body of one HTTP/1.1 request."""
        connection = None
        try:
            connection = self._connect()
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode(errors="replace")
        except (OSError, http.client.HTTPException) as error:
            raise BenchError(
                f"{self.label} does not answer: {error}; {self.process.log_tail()}"
            ) from error
        finally:
            if connection:
                connection.close()

    def _prove_http2(self):
        connection = self._connect(["h2", "http/1.1"])
        chosen = connection.sock.selected_alpn_protocol()
        connection.close()
        if chosen != "h2":
            raise BenchError(f"{self.label} prefers {chosen} to HTTP/2")

    def prove(self, requests, refused):
        """
        Before it is measured: a peer passes on what it should, and refuses each of `refused`
        ({what is wrong: token}); the relay has no say in it.
        """
        if self.task.http2:
            self._prove_http2()
        for path, token in requests:
            status, body = self.ask(path, token)
            if status != 200 or body != BODY:
                raise BenchError(
                    f"{self.label} answers {status} to {path}, and not the service's body: "
                    f"{body[:200]!r} {self.process.log_tail()}"
                )
        if self.kind == "floor":
            return
        for reason, token in refused.items():
            status, _ = self.ask(requests[0][0], token)
            if status not in (401, 403):
                raise BenchError(f"{self.label} answers {status} to {reason}")


def nginx_command(site, config):
    return [find_tool("nginx"), "-p", site.folder, "-c", config, "-e", "stderr"]


def _start_nginx(site, peer):
    task = peer.task
    if task.jwt:
        raise BenchError("nginx as Debian has it verifies no tokens")
    tls = ""
    if task.tls:
        tls = (
            f"ssl_certificate {site.certificate.path};\n"
            f"\t\tssl_certificate_key {site.certificate.key_path};\n"
            "\t\tssl_protocols TLSv1.3;\n"
            f"\t\tssl_conf_command Ciphersuites {CIPHERSUITE};"
        )
    options = ("ssl " if task.tls else "") + ("http2" if task.http2 else "")
    values = {
        "folder": site.folder,
        "port": peer.port,
        "upstream_port": site.upstream_port,
        "listen_options": options,
        "tls": tls,
    }
    return nginx_command(site, site.write(f"{peer.label}.conf", fill("nginx.conf", values))), {}


def _start_haproxy(site, peer):
    task = peer.task
    checks = ""
    if task.jwt:
        checks = fill(
            "haproxy-jwt.cfg",
            {
                "algorithm": task.jwt,
                "issuer": keys.ISSUER,
                "audience": keys.AUDIENCE,
                "scope": keys.SCOPE,
                "public_key": site.signer(task.jwt).public_path,
            },
        )
    options = ""
    if task.tls:
        options = f"ssl crt {site.certificate.both_path}"
        options += " alpn h2,http/1.1" if task.http2 else " alpn http/1.1"
    values = {
        "port": peer.port,
        "upstream_port": site.upstream_port,
        "ciphersuites": CIPHERSUITE,
        "bind_options": options,
        "checks": checks.strip(),
        "table_key": "string len 64" if task.jwt else "ip",
        "limit_key": "var(txn.bearer),jwt_payload_query('$.sub')" if task.jwt else "src",
    }
    config = site.write(f"{peer.label}.cfg", fill("haproxy.cfg", values))
    return [find_tool("haproxy"), "-db", "-f", config], {}


def _start_caddy(site, peer):
    task = peer.task
    if task.jwt:
        raise BenchError("Caddy as Debian has it verifies no tokens")
    tls = ""
    if task.tls:
        alpn = "h2 http/1.1" if task.http2 else "http/1.1"
        tls = (
            f"tls {site.certificate.path} {site.certificate.key_path} {{\n"
            f"\t\tprotocols tls1.3\n\t\talpn {alpn}\n\t}}"
        )
    values = {
        "scheme": "https" if task.tls else "http",
        "port": peer.port,
        "upstream_port": site.upstream_port,
        "tls": tls,
    }
    config = site.write(f"{peer.label}.Caddyfile", fill("Caddyfile", values))
    home = {"HOME": str(site.folder), "XDG_DATA_HOME": str(site.folder)}
    return (
        [find_tool("caddy"), "run", "--adapter", "caddyfile", "--config", config],
        {**home, "XDG_CONFIG_HOME": str(site.folder), "GOMAXPROCS": "1"},
    )


def _start_floor(site, peer):
    if peer.task.tls:
        raise BenchError("the relay speaks no TLS")
    return [site.programs["relay"], peer.port, site.upstream_port], {}


def _start_sallyport(site, peer):
    task = peer.task
    tls = identity = ""
    auth, limit = "auth: none", "address"
    if task.tls:
        tls = (
            f", http2: {'on' if task.http2 else 'off'}, tls: {{"
            f"certificate: {site.certificate.path}, key: {site.certificate.key_path}, "
            f"min_version: 1.3, ciphersuites: {CIPHERSUITE}}}"
        )
    if task.jwt:
        auth, limit = f"scopes: ['{keys.SCOPE}']", "user"
        identity = fill(
            "sallyport-jwt.yaml",
            {
                "token_cache": TOKEN_CACHE if task.token_cache else 0,
                "issuer": keys.ISSUER,
                "audience": keys.AUDIENCE,
                "algorithm": task.jwt,
                "jwks": site.signer(task.jwt).jwks_path,
            },
        )
    rest = f"service: service, {auth}, "
    rest += f"limit: {{per: {limit}, rate: 1000000/s, burst: 1000000}}"
    values = {
        "port": peer.port,
        "upstream_port": site.upstream_port,
        "cpu": site.proxy_cpu,
        "tls": tls,
        "identity": identity,
        "routes": "\n".join(f'  - {{path: "{path}", {rest}}}' for path in task.paths),
    }
    config = site.write(f"{peer.label}.yaml", fill("sallyport.yaml", values))
    return [site.sallyport, "serve", "-c", config], {}


STARTERS = {
    "sallyport": _start_sallyport,
    "nginx": _start_nginx,
    "haproxy": _start_haproxy,
    "caddy": _start_caddy,
    "floor": _start_floor,
}
