#!/usr/bin/python3
"""The identity server with clients that nobody here has written: openid-client and oauth4webapi, and
Apache with mod_auth_openidc as relying party. Skipped where they are not installed."""

import http.client
import json
import os
import shutil
import subprocess
import tempfile
import time
import urllib.parse

from harness import DEADLINE_S, Service, Skip, answer, free_port, run
from idp import Answer, cli, make_user, server
from jose import Key, b64

HERE = os.path.dirname(os.path.abspath(__file__))
CLIENTS = os.path.join(os.path.dirname(HERE), "clients")
MORE = ("oauth: {password_grant: on, implicit_grant: on, dpop: {nonce: %s},"
        " registration: {enabled: on, token: first, scopes: [openid]}}")
SCOPES = "openid,profile,email,orders.read,orders.write,offline_access"
CALLBACK = "https://shop.example/callback"


def private_jwk(key):
    """The private key as a client's library wants it."""
    text = subprocess.run(["openssl", "pkey", "-in", key.path, "-noout", "-text"], check=True,
                          capture_output=True, text=True).stdout
    digits = text.split("priv:")[1].split("pub:")[0]
    number = bytes.fromhex("".join(digits.split()).replace(":", "")).lstrip(b"\0").rjust(32, b"\0")
    return {**key.jwk(), "d": b64(number), "kid": key.kid}


class Setting:
    """A server with a user and clients of each kind."""

    def __init__(self, nonce):
        self.upstream = Service(self.serve)
        self.gateway = server(self.upstream.port, more=MORE % nonce)
        self.user, self.browser = make_user(
            self.gateway, "alice", "a long password", "--roles", "clerk", "--email", "a@b.test",
            "--display", "Alice")
        create = lambda *a: cli(self.gateway, "client", "create", *a)[0].get("client_secret")
        self.key = Key()
        jwks = os.path.join(self.key.folder.name, "jwks.json")
        with open(jwks, "w", encoding="utf-8") as file:
            json.dump(self.key.jwks(), file)
        common = ["--scopes", SCOPES, "--redirects", CALLBACK]
        self.secret = create("shop", "--grants",
                             "code,refresh,client_credentials,device,password,implicit",
                             "--logout-redirects", "https://shop.example/bye", *common)
        create("app", "--public", "--grants", "code,refresh", *common)
        create("signer", "--grants", "code,refresh", "--auth", "private_key_jwt", "--jwks", jwks,
               *common)
        self.orders = create("orders", "--grants", "exchange", "--exchange", "shop", *common)

    @staticmethod
    def serve(connection, head, number, rest):
        lengths = [line for line in head.decode().lower().split("\r\n")
                   if line.startswith("content-length")]
        length = int(lengths[0].split(":")[1]) if lengths else 0
        while len(rest) < length:
            rest += connection.recv(65536)
        answer(connection, head)
        return rest[length:]

    def given(self):
        return json.dumps({"issuer": self.browser.issuer, "secret": self.secret,
                           "orders": self.orders, "user": self.user, "initial": "first",
                           "key": private_jwk(self.key)})

    def visit(self, url):
        """What a user does who is sent there: logs in, allows, confirms."""
        path = url[len(self.browser.issuer):]
        page = self.browser.get(path)
        for _ in range(4):
            if page.status == 303:
                return page.location
            if "Log in" in page.text and 'name="password"' in page.text:
                page = self.browser.submit(name="alice", password="a long password")
            elif "Allow" in page.text:
                page = self.browser.submit(decision="allow")
            elif "Log out?" in page.text or "Connect a device</h1>" in page.text and "Continue" in page.text:
                page = self.browser.submit()
            else:
                return page.text
        return page.text

    def close(self):
        assert "AddressSanitizer" not in self.gateway.log_text(), self.gateway.log_text()
        self.gateway.stop()
        self.upstream.close()


def play(script, least, nonce="off"):
    """Runs a client's flows, playing the browser for it."""
    node = shutil.which("node")
    if not node or not os.path.isdir(os.path.join(CLIENTS, "node_modules")):
        raise Skip("node, and `npm ci` in tests/clients, are needed")
    setting = Setting(nonce)
    process = subprocess.Popen([node, os.path.join(CLIENTS, script), setting.given()],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True)
    done, failed, said = [], [], []
    try:
        for line in process.stdout:
            said.append(line)
            if not line.startswith("{"):
                continue
            message = json.loads(line)
            if "visit" in message:
                process.stdin.write(setting.visit(message["visit"]).replace("\n", " ") + "\n")
                process.stdin.flush()
            elif "done" in message:
                done.append(message["done"])
            else:
                failed.append(message)
        process.wait(DEADLINE_S)
        for flow in failed:
            print(flow["failed"] + ": " + flow["why"])
        assert not failed and len(done) >= least, (done, said[-5:])
        print("completed: " + ", ".join(done))
    finally:
        process.kill()
        setting.close()


def openid_client_completes_every_flow():
    play("openid_client.mjs", 14)


def oauth4webapi_completes_every_flow():
    play("oauth4webapi.mjs", 10)


def oauth4webapi_completes_every_flow_with_nonces():
    play("oauth4webapi.mjs", 10, nonce="on")


# ---- Apache

APACHE = """
ServerRoot "{folder}"
ServerName localhost
PidFile "{folder}/pid"
Listen 127.0.0.1:{port}
ErrorLog "{folder}/error.log"
LogLevel warn
{user}
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule authz_user_module {modules}/mod_authz_user.so
LoadModule authn_core_module {modules}/mod_authn_core.so
LoadModule dir_module {modules}/mod_dir.so
LoadModule auth_openidc_module {modules}/mod_auth_openidc.so
DocumentRoot "{folder}/pages"
OIDCProviderMetadataURL {issuer}/.well-known/openid-configuration
OIDCClientID apache
OIDCClientSecret {secret}
OIDCRedirectURI http://localhost:{port}/secret/callback
OIDCCryptoPassphrase 0123456789abcdef
OIDCScope "openid profile email"
OIDCRemoteUserClaim preferred_username
OIDCPKCEMethod S256
OIDCResponseType {kind}
OIDCDefaultLoggedOutURL http://localhost:{port}/
OIDCCookieSameSite On
{more}
<Location /secret>
  AuthType openid-connect
  Require user alice
</Location>
"""


class Apache:
    """Apache with mod_auth_openidc in front of one page."""

    def __init__(self, setting, kind, more=""):
        modules = "/usr/lib/apache2/modules"
        self.program = shutil.which("apache2", path=os.environ["PATH"] + ":/usr/sbin")
        if not self.program or not os.path.exists(modules + "/mod_auth_openidc.so"):
            raise Skip("apache2 and libapache2-mod-auth-openidc are needed")
        self.folder, self.port = tempfile.mkdtemp(prefix="sallyport-apache."), free_port()
        os.makedirs(self.folder + "/pages/secret")
        with open(self.folder + "/pages/secret/index.html", "w", encoding="utf-8") as file:
            file.write("the secret page")
        secret = cli(setting.gateway, "client", "create", "apache", "--grants",
                     "code,refresh,implicit", "--scopes", "openid,profile,email", "--redirects",
                     f"http://localhost:{self.port}/secret/callback", "--logout-redirects",
                     f"http://localhost:{self.port}/", "--logout-url",
                     f"http://127.0.0.1:{self.port}/secret/callback?logout=backchannel")[0]
        user = ""
        if os.geteuid() == 0:
            user = "User nobody\nGroup nogroup"
            subprocess.run(["chown", "-R", "nobody", self.folder], check=True)
        with open(self.folder + "/conf", "w", encoding="utf-8") as file:
            file.write(APACHE.format(folder=self.folder, port=self.port, modules=modules, kind=kind,
                                     user=user, issuer=setting.browser.issuer, more=more,
                                     secret=secret["client_secret"]))
        self.process = subprocess.Popen([self.program, "-f", self.folder + "/conf", "-DFOREGROUND"],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)
        self.cookies = {}
        until = time.monotonic() + DEADLINE_S
        while True:
            try:
                self.get("/")
                return
            except OSError:
                assert time.monotonic() < until and self.process.poll() is None, self.log()
                time.sleep(0.05)

    def log(self):
        try:
            with open(self.folder + "/error.log", encoding="utf-8") as file:
                return file.read()
        except OSError:
            return ""

    def get(self, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE_S)
        headers = {"Host": f"localhost:{self.port}", "Accept": "text/html"}
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{k}={v}" for k, v in self.cookies.items())
        if body:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        connection.request("POST" if body else "GET", path, body, headers)
        page = Answer(connection.getresponse())
        connection.close()
        for cookie in page.fields.get("set-cookie", []):
            name, value = cookie.split(";")[0].split("=", 1)
            self.cookies[name] = value
        return page

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


def log_in_at(apache, setting):
    """As a browser: to the page, to the login, and back."""
    page = apache.get("/secret/")
    assert page.status == 302 and page.location.startswith(setting.browser.issuer), page.text
    back = setting.visit(page.location)
    where = f"http://localhost:{apache.port}"
    assert back.startswith(where), back
    to = urllib.parse.urlsplit(back)
    if to.fragment:  # its page has a script that posts what the fragment holds
        page = apache.get(to.path, to.fragment + "&response_mode=fragment")
    else:
        page = apache.get(back[len(where):])
    assert page.status == 302, (page.status, page.text, apache.log())
    page = apache.get(page.location[len(where):])
    assert page.status == 200 and "the secret page" in page.text, (page.text, apache.log())


def apache_with(kind, more=""):
    setting = Setting("off")
    try:
        apache = Apache(setting, kind, more)
        try:
            log_in_at(apache, setting)
            if kind == "code":
                # Logged out at the server: Apache hears of it by the back channel.
                setting.browser.get("/identity/logout")
                setting.browser.submit()
                until = time.monotonic() + DEADLINE_S
                while apache.get("/secret/").status == 200:
                    assert time.monotonic() < until, (apache.log(), setting.gateway.log_text())
                    time.sleep(0.2)
                log_in_at(apache, setting)
                # Logged out at Apache: it sends the browser to the server, and that back.
                page = apache.get("/secret/callback?logout=" + urllib.parse.quote(
                    f"http://localhost:{apache.port}/"))
                assert page.status == 302 and "/identity/logout" in page.location, page.location
                assert setting.visit(page.location).startswith(f"http://localhost:{apache.port}/")
                assert apache.get("/secret/").status == 302
        finally:
            apache.stop()
    finally:
        setting.close()


def apache_logs_users_in_by_code():
    apache_with("code")


def apache_logs_users_in_by_the_implicit_flow():
    apache_with('"id_token"')
    apache_with('"id_token token"')


if __name__ == "__main__":
    run([
        openid_client_completes_every_flow,
        oauth4webapi_completes_every_flow,
        oauth4webapi_completes_every_flow_with_nonces,
        apache_logs_users_in_by_code,
        apache_logs_users_in_by_the_implicit_flow,
    ])
