#!/usr/bin/env python3
"""The whole gateway with several workers under the thread sanitizer: load, reloads, an upgrade.

usage: race_test.py path/to/sallyport (built with -Db_sanitize=thread)
"""

import itertools
import os
import pathlib
import signal
import sys
import threading
import time
import unittest
import urllib.request

import process_test
from process_test import Load, free_port

RELOADS = 6
# What workers share: limits, bulkheads, breakers, health, last good answers, logs, metrics.
CONFIG = """
listen: [{{address: "127.0.0.1:{port}"}}]
workers: 3
admin: {{address: "127.0.0.1:{admin}"}}
sandbox: off
limits: {{drain: 10s, connections_per_address: 0}}
log: {{access: "{folder}/access.log", audit: "{folder}/audit.log"}}
services:
  web:
    endpoints: ["http://127.0.0.1:{service}", "http://localhost:{service}"]
    health: {{path: /healthz, interval: 100ms}}
    breaker: {{window: 100, failure_rate: 50%, open: 1s, probes: 5}}
    bulkhead: {{concurrent: 64, queue: 128, wait: 5s}}
    fallback: {{stale: 1m}}
routes:
  - {{path: "/x", service: web, auth: none,
      limit: {{per: address, rate: 1000000/s, burst: {burst}}}}}
  - {{path: "/closed/**", service: web}}
{more}"""


class RaceTest(process_test.ProcessTest):
    def write_config(self, **_):
        """Another one each time: a route more, another burst."""
        if not hasattr(self, "admin"):
            self.admin, self.numbers = free_port(), itertools.count()
        number = next(self.numbers)
        text = CONFIG.format(
            port=self.port, admin=self.admin, folder=self.path, burst=100000 + number,
            service=self.service.server_address[1],
            more=f'  - {{path: "/more-{number}", service: web, auth: none}}\n')
        (self.path / "sallyport.yaml").write_text(text)

    def look(self, stop):
        """What an administrator's tools read meanwhile; refused ones for the audit log, too."""
        while not stop.is_set():
            for path in ("/metrics", "/services", "/readyz", "/config"):
                try:
                    with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}{path}", timeout=5):
                        pass
                except OSError:
                    pass
            try:
                self.get("/closed/x")
            except OSError:
                pass
            time.sleep(0.02)

    def reports(self):
        return [path.read_text() for path in pathlib.Path(self.reports_folder).glob("tsan*")]

    def no_race_is_found(self):
        self.reports_folder = self.path / "reports"
        self.reports_folder.mkdir()
        os.environ["TSAN_OPTIONS"] = (os.environ.get("TSAN_OPTIONS", "") +
                                      f":halt_on_error=0:log_path={self.reports_folder}/tsan")
        self.start()
        stop = threading.Event()
        looking = threading.Thread(target=self.look, args=(stop,))
        looking.start()
        try:
            with Load(self.port) as kept, Load(self.port, keep_alive=False) as fresh:
                for _ in range(RELOADS):
                    self.write_config()
                    self.reload()
                    time.sleep(0.3)
                self.signal(signal.SIGUSR2)
                self.expect_state("MAINPID=")
                self.gateway.wait(process_test.WAIT_S)
                time.sleep(0.5)
        finally:
            stop.set()
            looking.join()
        self.assert_no_errors(kept)
        self.assert_no_errors(fresh)
        os.kill(self.pid(), signal.SIGTERM)
        self.wait_until("the gateway is gone", lambda: not self.pid())
        self.assertEqual(self.reports(), [])


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    process_test.PROGRAM = os.path.abspath(sys.argv.pop(1))
    process_test.WAIT_S = 60  # the sanitizer is slow
    result = unittest.TextTestRunner().run(RaceTest("no_race_is_found"))
    sys.exit(0 if result.wasSuccessful() else 1)
