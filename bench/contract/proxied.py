"""What checking a 220-byte POST adds to proxying it: instructions, processor time, allocations."""

import json
import re
import socket
import statistics
import tempfile
from pathlib import Path

from harness.load import CONNECTIONS
from harness.peers import Site
from harness.process import Process, cpu_spent_ns, find_tool, free_port, run_tool, two_cpus

BAR_US = 1.5
FEW, MANY = 200, 1200
ROUNDS, SECONDS = 5, 2

BODY = json.dumps(
    {
        "id": "AB-123456",
        "customer": {"name": "Ada Lovelace", "email": "ada@shop.example", "age": 36},
        "status": "new",
        "express": True,
        "note": None,
        "items": [
            {"sku": "SKU-1", "quantity": 2, "price": 19.99},
            {"sku": "SKU-25", "quantity": 1, "price": 5},
        ],
    },
    separators=(",", ":"),
)

WRK = """
wrk.method = "POST"
wrk.path = "/orders"
wrk.headers["Content-Type"] = "application/json"
wrk.body = [[%s]]
function done(summary, latency, _)
   local e = summary.errors
   io.write(string.format('{"requests": %%d, "errors": %%d}\\n', summary.requests,
      e.connect + e.read + e.write + e.status + e.timeout))
end
"""


def document(schema):
    schemas = {name: json.loads(json.dumps(value)) for name, value in schema["$defs"].items()}
    order = {key: value for key, value in schema.items() if not key.startswith("$")}
    text = json.dumps(
        {
            "openapi": "3.1.0",
            "info": {"title": "Orders", "version": "1"},
            "paths": {
                "/orders": {
                    "post": {
                        "operationId": "createOrder",
                        "requestBody": {
                            "required": True,
                            "content": {"application/json": {"schema": order}},
                        },
                        "responses": {"200": {"description": "made"}},
                    }
                }
            },
            "components": {"schemas": schemas},
        }
    )
    return text.replace("#/$defs/", "#/components/schemas/")


def write_config(folder, name, port, upstream_port, contract, extra=""):
    path = Path(folder) / f"{name}.yaml"
    lines = f"    contract: {{file: {folder}/orders.json}}\n" if contract else ""
    path.write_text(
        f'listen: ["127.0.0.1:{port}"]\nworkers: 1\nadmin: off\n'
        "limits: {requests_per_connection: 0, connections_per_address: 0}\n"
        f"log: {{level: warn, access: off}}\n{extra}services:\n"
        f'  s:\n    endpoints: ["http://127.0.0.1:{upstream_port}"]\n{lines}'
        'routes:\n  - {path: "/**", service: s, auth: none}\n'
    )
    return path


def send(port, count):
    request = (
        "POST /orders HTTP/1.1\r\nHost: x.test\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(BODY)}\r\n\r\n{BODY}"
    ).encode()
    with socket.create_connection(("127.0.0.1", port), 60) as connection:
        file = connection.makefile("rb")
        for _ in range(count):
            connection.sendall(request)
            status = file.readline()
            if not status.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(f"the gateway answered {status!r}")
            length = 0
            while (line := file.readline()) != b"\r\n":
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            file.read(length)


def under_valgrind(program, folder, upstream_port, contract, requests, tool, pattern):
    """The sum of what `pattern` finds in what the processes of the gateway leave behind."""
    port = free_port()
    config = write_config(folder, "valgrind", port, upstream_port, contract, "sandbox: false\n")
    for old in Path(folder).glob("counts.*"):
        old.unlink()
    command = [find_tool("valgrind"), *tool, "--trace-children=yes",
               program, "serve", "-c", config]  # fmt: skip
    server = Process("sallyport", command, Path(folder) / "log", None)
    try:
        server.wait_for_port(port, 60)
        send(port, requests)
    finally:
        server.child.terminate()
        server.child.wait(60)
    texts = [file.read_text(errors="replace") for file in Path(folder).glob("counts.*")]
    return sum(int(found.replace(",", "")) for text in texts for found in re.findall(pattern, text))


def per_request(program, folder, upstream_port, tool, pattern):
    """{contract or not: how many a request, once warm}."""
    figures = {}
    for contract in (False, True):
        few, many = (
            under_valgrind(program, folder, upstream_port, contract, requests, tool, pattern)
            for requests in (FEW, MANY)
        )
        figures[contract] = (many - few) / (MANY - FEW)
    return figures


def times(program, folder, site):
    """{contract or not: microseconds of processor time a request, the median of the rounds}."""
    script = Path(folder) / "post.lua"
    script.write_text(WRK % BODY)
    servers, rounds = {}, {False: [], True: []}
    for contract in (False, True):
        port = free_port()
        config = write_config(folder, f"timed-{contract}", port, site.upstream_port, contract)
        command = [program, "serve", "-c", config]
        servers[contract] = (port, site.start(f"t-{contract}", command, port, site.proxy_cpu))
    for _ in range(ROUNDS):
        for contract, (port, server) in servers.items():
            before = server.cpu_ns()
            said = run_tool(
                [find_tool("wrk"), "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "-s", script,
                 f"http://127.0.0.1:{port}"], SECONDS + 20, site.load_cpu,
            )  # fmt: skip
            result = json.loads(said.decode().strip().splitlines()[-1])
            if result["errors"] or not result["requests"]:
                raise RuntimeError(f"wrk saw errors: {said.decode()[-500:]}")
            spent = cpu_spent_ns(before, server.cpu_ns())
            rounds[contract].append(spent / result["requests"] / 1000)
    return {contract: statistics.median(each) for contract, each in rounds.items()}


def measure(program, schema_path):
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "orders.json").write_text(document(json.loads(schema_path.read_text())))
        site = Site(folder, two_cpus(), {}, program)
        try:
            site.start_upstream()
            counted = per_request(
                program, folder, site.upstream_port,
                ["--tool=cachegrind", "--cache-sim=no",
                 f"--cachegrind-out-file={folder}/counts.%p"],
                r"(?m)^summary: (\d+)",
            )  # fmt: skip
            allocated = per_request(
                program, folder, site.upstream_port,
                ["--undef-value-errors=no", "--leak-check=no", f"--log-file={folder}/counts.%p"],
                r"total heap usage: ([\d,]+) allocs",
            )  # fmt: skip
            timed = times(program, folder, site)
        finally:
            site.stop_all()
    added = timed[True] - timed[False]
    print(f"a POST of {len(BODY)} bytes, proxied without and with a contract:")
    for what, figures, unit in (
        ("instructions", counted, ""),
        ("processor time", timed, " us"),
        ("allocations", allocated, ""),
    ):
        off, on = figures[False], figures[True]
        print(f"  {what:<15} {off:>10.2f} {on:>10.2f}  added {on - off:+.2f}{unit}")
    print(f"  bar: {BAR_US} us, no allocation added: ", end="")
    good = added <= BAR_US and allocated[True] - allocated[False] < 0.01
    print("held" if good else "missed")
    return {
        "bytes": len(BODY),
        "instructions": {"without": counted[False], "with": counted[True]},
        "processor_us": {"without": timed[False], "with": timed[True], "added": added},
        "allocations": {"without": allocated[False], "with": allocated[True]},
        "bar_us": BAR_US,
        "pass": good,
    }
