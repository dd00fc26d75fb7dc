#!/usr/bin/python3
"""The audit log: what is in it, and that changing it shows."""

import json
import os
import subprocess

from harness import PROGRAM, Gateway, run

CONFIG = """
listen: [{address: "127.0.0.1:{port}"}]
workers: 2
admin: {address: "127.0.0.1:{admin}"}
log: {audit: {path: audit.log}}
routes: [{path: /closed, respond: {status: 200, body: secret}}]
"""


def verify(path, *options):
    done = subprocess.run([PROGRAM, "audit", "verify", *options, path], capture_output=True, text=True)
    return done.returncode, done.stdout


def record():
    """The lines of a gateway that has refused three requests."""
    gateway = Gateway(CONFIG)
    path = os.path.join(gateway.folder, "audit.log")
    try:
        for _ in range(3):
            assert gateway.request("GET", "/closed")[0] == 401
    finally:
        gateway.process.terminate()
        gateway.process.wait(20)
    with open(path, "rb") as file:
        lines = file.read().splitlines(keepends=True)
    return gateway, path, lines


def test_refusals_are_in_the_log_and_its_chain_is_whole():
    gateway, path, lines = record()
    try:
        events = [json.loads(line)["event"] for line in lines]
        assert events[0] == "server.started" and events[-1] == "server.ended", events
        refused = [json.loads(line) for line in lines if b"request.refused" in line]
        assert len(refused) == 3
        assert refused[0]["status"] == 401 and refused[0]["client"] == "127.0.0.1"
        code, text = verify(path)
        assert code == 0 and f"{len(lines)} lines" in text
    finally:
        gateway.stop()


def test_a_change_a_removal_and_a_cut_are_found():
    gateway, path, lines = record()
    try:
        changed = [
            [lines[0], lines[1].replace(b"127.0.0.1", b"127.0.0.2")] + lines[2:],
            [lines[0]] + lines[2:],
            lines[:1] + [lines[2], lines[1]] + lines[3:],
            lines[:-1] + [lines[-1][:-10]],
        ]
        for bad in changed:
            with open(path, "wb") as file:
                file.writelines(bad)
            code, text = verify(path)
            assert code == 1 and path in text, (bad, text)
        # A cut between two lines leaves no trace, but in what an earlier check has said.
        with open(path, "wb") as file:
            file.writelines(lines)
        last = json.loads(lines[-1])["hash"]
        for kept in (lines, lines[:-1], []):
            with open(path, "wb") as file:
                file.writelines(kept)
            assert verify(path)[0] == 0
            assert verify(path, "--has", last)[0] == (0 if kept == lines else 1), kept
    finally:
        gateway.stop()


run([function for name, function in list(globals().items()) if name.startswith("test_")])
