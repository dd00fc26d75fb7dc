#!/usr/bin/python3
"""A real Chromium through the pages. With SCREENSHOTS=FOLDER each page is kept there, in two widths."""

import json
import os
import shutil
import subprocess

from harness import Service, Skip, answer, run
from idp import Flow, cli, make_user, server
from smtp import MailServer

CLIENTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "clients")
STEPS = ["pagesWorkWithoutScripts", "aPasswordAndAnAppLogIn", "aPasskeyIsMadeAndLogsIn",
         "aClientAsksForConsent", "otherPagesArePleasant"]


def a_browser_goes_through_every_page():
    node, chromium = shutil.which("node"), shutil.which("chromium")
    if not node or not os.path.isdir(os.path.join(CLIENTS, "node_modules", "playwright-core")):
        raise Skip("node, and `npm ci` in tests/clients, are needed")
    if not chromium:
        raise Skip("chromium is needed")
    upstream = Service(lambda connection, head, number, rest: answer(connection) or rest)
    mail = MailServer()
    gateway = server(
        more="accounts: {registration: true}\n  session: {remember: 30d}\n  lockout: {failures: 20}",
        top=f'mail: {{url: "{mail.url}", from: "gate@shop.test", tls: "off"}}',
    )
    callback = f"http://127.0.0.1:{upstream.port}/callback"
    try:
        _, browser = make_user(gateway, "alice")
        make_user(gateway, "bob")
        cli(gateway, "client", "create", "shop", "--grants", "code", "--scopes", "openid,profile",
            "--redirects", callback, "--consent", "--name", "The Shop")
        flow = Flow(browser, "shop", callback, scope="openid profile")
        given = {
            "issuer": browser.issuer,
            "authorize": browser.issuer + flow.url(),
            "callback": callback,
            "chromium": chromium,
            "shots": os.environ.get("SCREENSHOTS", ""),
        }
        done = subprocess.run([node, os.path.join(CLIENTS, "browser.mjs"), json.dumps(given)],
                              capture_output=True, text=True, check=False, timeout=170)
        said = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        failed = [message for message in said if "failed" in message]
        assert not failed, failed[0]["why"]
        assert [message.get("done") for message in said] == STEPS, done.stdout + done.stderr
        audit = open(os.path.join(gateway.folder, "audit.log"), encoding="utf-8").read()
        for event in ("user.passkey_made", "passkey.copied", "user.passkey_removed"):
            assert event in audit, event
        assert "AddressSanitizer" not in gateway.log_text(), gateway.log_text()
    finally:
        gateway.stop()
        upstream.close()
        mail.close()


if __name__ == "__main__":
    run([a_browser_goes_through_every_page])
