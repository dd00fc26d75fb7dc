"""What the two example services share: a small JSON service over HTTP/1.1."""

import json
import re
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Refused(Exception):
    """A request that cannot be fulfilled, with the status to answer."""

    def __init__(self, status, message):
        super().__init__(message)
        self.status = status


def serve(operations):
    """Serves until SIGTERM. `operations`: (method, path pattern, function(match, body, caller))."""
    compiled = [(method, re.compile(pattern), function) for method, pattern, function in operations]

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def answer(self, status, value):
            body = (json.dumps(value) + "\n").encode() if value is not None else b""
            self.send_response(status)
            if body:
                self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def handle_any(self):
            length = int(self.headers.get("Content-Length") or 0)
            raw = self.rfile.read(length)
            path = self.path.split("?", 1)[0]
            # Sallyport has checked who it is; this field cannot come from outside.
            caller = self.headers.get("X-Identity-Subject", "")
            for method, pattern, function in compiled:
                match = pattern.fullmatch(path)
                if method != self.command or not match:
                    continue
                try:
                    self.answer(*function(match, json.loads(raw) if raw else None, caller))
                except Refused as refused:
                    self.answer(refused.status, {"error": str(refused)})
                except (ValueError, KeyError, TypeError) as error:
                    self.answer(400, {"error": f"bad request: {error}"})
                return
            self.answer(404, {"error": "no such thing"})

        do_GET = do_POST = do_PUT = do_DELETE = handle_any

    try:
        server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
    except OSError as error:
        sys.exit(f"{sys.argv[0]}: port {sys.argv[1]}: {error.strerror}")
    server.daemon_threads = True

    def stop(*_):
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    server.serve_forever()
