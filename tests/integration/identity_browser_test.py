#!/usr/bin/python3
"""A real Chromium through the pages. With SCREENSHOTS=FOLDER each page is kept there, in two widths, light and dark."""

import json
import os
import re
import shutil
import subprocess
import threading

from harness import DEADLINE_S, Service, Skip, answer, run
from idp import Browser, Flow, cli, make_user, server
from identity_federation_test import Provider
from smtp import MailServer

CLIENTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "clients")
STEPS = ["pagesWorkWithoutScripts", "aPasswordAndAnAppLogIn", "aPasskeyIsMadeAndLogsIn",
         "aClientAsksForConsent", "aLoginElsewhereIsJoined",
         "otherPagesArePleasant", "pagesOfMailsAndDevicesArePleasant", "codesAreSentAndAddressesAreShown",
         "theKeyboardIsEnough"]


def mailed(mail, browser, path, address, **fields):
    """The link in the mail that the form at `path` sends."""
    browser.get("/identity/" + path)
    browser.submit(**fields)
    return re.search(r"https?://\S+", mail.wait(to=address).get_content())[0]


def drive(node, given, mail):
    """Runs the browser, and reads its mails for it; what it has said."""
    said, asked = [], {}
    process = subprocess.Popen([node, os.path.join(CLIENTS, "browser.mjs"), json.dumps(given)],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    timer = threading.Timer(200, process.kill)
    timer.start()
    try:
        for line in process.stdout:
            message = json.loads(line) if line.startswith("{") else {"else": line}
            if "mailed" not in message:
                said.append(message)
                continue
            to = message["mailed"]
            asked[to] = asked.get(to, 0) + 1
            text = mail.wait(asked[to], to).get_content()
            found = re.search(r"https?://\S+" if message["what"] == "link" else r"^(\d{8}) is your code", text)
            process.stdin.write(found[found.re.groups] + "\n")
            process.stdin.flush()
        process.wait(DEADLINE_S)
    finally:
        timer.cancel()
        process.kill()
        process.wait()
    return said


def a_browser_goes_through_every_page():
    node, chromium = shutil.which("node"), shutil.which("chromium")
    if not node or not os.path.isdir(os.path.join(CLIENTS, "node_modules", "playwright-core")):
        raise Skip("node, and `npm ci` in tests/clients, are needed")
    if not chromium:
        raise Skip("chromium is needed")
    upstream = Service(lambda connection, head, number, rest: answer(connection) or rest)
    mail = MailServer()
    provider = Provider()
    gateway = server(
        more="accounts: {registration: true}\n  session: {remember: 30d}\n  lockout: {failures: 20, answer: 0}\n"
        "  codes: {email: true}\n"
        f"  sms: {{url: \"http://127.0.0.1:{upstream.port}/sms\", body: '{{{{to}}}} {{{{text}}}}'}}\n"
        f'  federation: [{{name: corp, title: "Example Corp", issuer: "{provider.issuer}", client_id: gate}},\n'
        '    {name: closed, title: "A provider with a rather long name that is away", issuer: "http://127.0.0.1:9", '
        "client_id: gate}]",
        top=f'mail: {{url: "{mail.url}", from: "gate@shop.test", tls: "off"}}',
    )
    callback = f"http://127.0.0.1:{upstream.port}/callback"
    try:
        _, browser = make_user(gateway, "alice")
        make_user(gateway, "bob", "a long password", "--email", "bob@shop.test", "--email-verified")
        once = cli(gateway, "user", "create", "carol")[0]["one_time_password"]
        tv = cli(gateway, "client", "create", "tv", "--public", "--grants", "device", "--scopes", "openid",
                 "--name", "The television")[0]["client_id"]
        device = browser.post("/identity/device-authorization", {"client_id": tv, "scope": "openid"}).json
        cli(gateway, "client", "create", "shop", "--grants", "code", "--scopes", "openid,profile",
            "--redirects", callback, "--consent", "--name", "The Shop")
        flow = Flow(browser, "shop", callback, scope="openid profile")
        given = {
            "issuer": browser.issuer,
            "authorize": browser.issuer + flow.url(),
            "stepUp": browser.issuer + flow.url(acr_values="mfa"),
            "callback": callback,
            "once": once,
            "code": device["user_code"],
            "reset": mailed(mail, Browser(gateway), "reset", "bob@shop.test", name="bob"),
            "register": mailed(mail, Browser(gateway), "register-account", "new@shop.test", email="new@shop.test"),
            "chromium": chromium,
            "shots": os.environ.get("SCREENSHOTS", ""),
        }
        said = drive(node, given, mail)
        failed = [message for message in said if "failed" in message]
        assert not failed, failed[0]["why"]
        assert [message.get("done") for message in said] == STEPS, said
        audit = open(os.path.join(gateway.folder, "audit.log"), encoding="utf-8").read()
        for event in ("user.passkey_made", "passkey.copied", "user.passkey_removed"):
            assert event in audit, event
        assert "AddressSanitizer" not in gateway.log_text(), gateway.log_text()
    finally:
        gateway.stop()
        upstream.close()
        mail.close()
        provider.close()


if __name__ == "__main__":
    run([a_browser_goes_through_every_page])
