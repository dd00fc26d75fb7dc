#!/usr/bin/env python3
"""
Measures the gateway with its firewall beside nginx with libmodsecurity and Apache with
mod_security2, all with the Core Rule Set as Debian has it at level 1: processor time a request of
the whole proxy, start, memory. Holds the result against the bars.
"""

import argparse
import http.client
import json
import os
import re
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from harness.load import GRACE_S  # noqa: E402
from harness.peers import Site, fill  # noqa: E402
from harness.process import (  # noqa: E402
    BenchError,
    cpu_spent_ns,
    find_tool,
    free_port,
    raise_file_limit,
    run_tool,
    two_cpus,
)
from harness.programs import ROOT, find_sallyport  # noqa: E402

CONNECTIONS = 8
WARMUP_S = 3
VARIANTS = 500
WORKERS = 4
MEMORY_BAR_BYTES = 60 << 20
START_BAR_S = 1.0
KINDS = ("sallyport", "nginx", "apache")
CRS = Path("/usr/share/modsecurity-crs/rules")
NGINX_MODULE = "/usr/lib/nginx/modules/ngx_http_modsecurity_module.so"
APACHE_MODULES = "/usr/lib/apache2/modules"
HEADERS = (
    "Host: shop.example\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:115.0) Firefox/115.0\r\n"
    "Accept: text/html,application/json;q=0.9,*/*;q=0.8\r\nAccept-Language: en-US,en;q=0.5\r\n"
)


# ---- the requests: no two of a scenario are alike ----------------------------------------------


def get(number):
    cookie = f"session={number * 2654435761 & 0xFFFFFFFF:08x}4fceea167a5a36dedd4bea; theme=dark"
    return (f"GET /catalogue/items?q=blue+chair+{number}&page=2 HTTP/1.1\r\n{HEADERS}"
            f"Cookie: {cookie}\r\n\r\n").encode()


def post(path, kind, body):
    return (f"POST {path} HTTP/1.1\r\n{HEADERS}Content-Type: {kind}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}").encode()


def json_post(number):
    order = {
        "customer": {"id": 10000 + number, "name": f"Ada Lovelace {number}"},
        "items": [{"sku": f"CH-{number}", "quantity": 2, "price": 49.9},
                  {"sku": "TB-2002", "quantity": 1, "price": 199.5}],
        "note": f"Leave at door {number}", "express": False,
    }
    body = json.dumps(order, separators=(",", ":"))
    return post("/orders", "application/json", body[:-1] + f',"pad":"{"x" * (211 - len(body))}"}}')


def form(number):
    fields = [f"field_{i}=some+ordinary+text+number+{i * 1000 + number}+of+a+form"
              for i in range(196)]
    return post("/profile", "application/x-www-form-urlencoded", "&".join(fields))


def injection(number):
    return (f"GET /catalogue/items?q={number}%27+OR+%271%27%3D%271%27+UNION+SELECT+username%2C+"
            f"password+FROM+users--+- HTTP/1.1\r\n{HEADERS}\r\n").encode()


class Scenario:
    """`limit`: the gateway's figure over nginx's must not be more."""

    def __init__(self, name, title, make, status, limit):
        self.name, self.title, self.make, self.status, self.limit = name, title, make, status, limit
        self.figures = {}
        self.failures = {}


SCENARIOS = [
    Scenario("get", "benign GET", get, 200, 1 / 20),
    Scenario("json", "220-byte JSON POST", json_post, 200, 1 / 20),
    Scenario("form", "10 KB form POST", form, 200, 1 / 10),
    Scenario("injection", "blocked SQL injection", injection, 403, 1 / 10),
]


# ---- the programs ------------------------------------------------------------------------------


class Proxy:
    """A running program under test."""

    def __init__(self, site, kind, workers=1):
        self.site, self.kind, self.workers = site, kind, workers
        self.port = free_port()
        started = time.monotonic()
        command, environment = getattr(self, kind)()
        self.process = site.start(f"{kind}-{workers}", command, self.port, site.proxy_cpu,
                                  environment)
        self.wait_for_answer(started)

    def values(self):
        folder = self.site.folder
        return {"folder": folder, "port": self.port, "upstream_port": self.site.upstream_port,
                "rules": folder / "waf-rules.conf", "module": NGINX_MODULE,
                "modules": APACHE_MODULES, "cpu": self.site.proxy_cpu, "workers": self.workers,
                "cache": self.site.cache}

    def config(self, template):
        return self.site.write(f"{self.workers}-{template}", fill(template, self.values()))

    def sallyport(self):
        return [self.site.sallyport, "serve", "-c", self.config("waf-sallyport.yaml")], {}

    def nginx(self):
        self.config_rules()
        return [find_tool("nginx"), "-p", self.site.folder, "-c", self.config("waf-nginx.conf"),
                "-e", "stderr"], {}

    def apache(self):
        self.config_rules()
        return [find_tool("apache2"), "-DFOREGROUND", "-f", self.config("waf-apache.conf")], {}

    def config_rules(self):
        self.site.write("waf-rules.conf", fill("waf-rules.conf", self.values()))

    def ask(self, request):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.connect()
            connection.sock.sendall(request)
            answer = http.client.HTTPResponse(connection.sock)
            answer.begin()
            answer.read()
            return answer.status
        finally:
            connection.close()

    def wait_for_answer(self, started):
        """The port may be open before the rules are ready."""
        while True:
            try:
                if self.ask(get(1)) == 200:
                    self.start_s = time.monotonic() - started
                    return
            except (OSError, http.client.HTTPException):
                pass
            if time.monotonic() - started > 120:
                raise BenchError(f"{self.kind} does not answer: {self.process.log_tail()}")
            time.sleep(0.01)

    def prove(self, scenario):
        for number in (3, 4):
            status = self.ask(scenario.make(number))
            if status != scenario.status:
                raise BenchError(f"{self.kind} answers {status} to {scenario.title}, "
                                 f"not {scenario.status}")

    def drive(self, scenario, seconds):
        """Requests that were answered as they should be; anything else is an error."""
        said = run_tool(
            [find_tool("wrk"), "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "15s",
             "-s", Path(__file__).with_name("wrk.lua"), f"http://127.0.0.1:{self.port}", "--",
             self.site.folder / f"{scenario.name}.requests", scenario.status],
            seconds + GRACE_S + 20, self.site.load_cpu,
        )  # fmt: skip
        result = json.loads(said.decode().strip().splitlines()[-1])
        if result["errors"] or not result["requests"]:
            raise BenchError(f"wrk saw errors: {said.decode().strip()[-1000:]}")
        return result["requests"]

    def measure(self, scenario, seconds):
        before = self.process.cpu_ns()
        done = self.drive(scenario, seconds)
        return cpu_spent_ns(before, self.process.cpu_ns()) / 1000 / done

    def memory(self):
        """{"rss": ..., "pss": ...}: of all processes of the program."""
        total = {"rss": 0, "pss": 0}
        for pid in self.process.pids():
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
            for name in total:
                total[name] += int(re.search(rf"^{name}:\s+(\d+)", text, re.M | re.I)[1]) * 1024
        return total

    def stop(self):
        self.site.stop(self.process)


# ---- measuring ---------------------------------------------------------------------------------


def write_requests(site, scenario):
    with open(site.folder / f"{scenario.name}.requests", "wb") as file:
        for number in range(VARIANTS):
            request = scenario.make(number)
            file.write(b"%d\n%s\n" % (len(request), request))


def say(scenario, kind, text):
    print(f"  {scenario:<10} {kind:<10} {text}", file=sys.stderr, flush=True)


def attempt(scenario, kind, step):
    if kind in scenario.failures:
        return
    try:
        step()
    except BenchError as error:
        scenario.failures[kind] = str(error)
        scenario.figures.pop(kind, None)
        say(scenario.name, kind, f"FAILED: {error}")


def run_scenario(scenario, proxies, options):
    for kind, proxy in proxies.items():
        attempt(scenario, kind, lambda: (proxy.prove(scenario), proxy.drive(scenario, WARMUP_S)))
    order = list(proxies)
    for turn in range(options.rounds):
        for kind in order[turn % len(order):] + order[: turn % len(order)]:
            def one(kind=kind):
                figure = proxies[kind].measure(scenario, options.seconds)
                scenario.figures.setdefault(kind, []).append(figure)
                say(scenario.name, kind, f"{figure:.1f} us")
            attempt(scenario, kind, one)


def measure_memory(site, one):
    """Of one worker, and what each further one adds, after requests of all kinds."""
    many = Proxy(site, "sallyport", WORKERS)
    try:
        for proxy in (one, many):
            for scenario in SCENARIOS:
                proxy.drive(scenario, 2)
        single, several = one.memory(), many.memory()
    finally:
        many.stop()
    each = (several["pss"] - single["pss"]) / (WORKERS - 1)
    return {"one_worker": single, f"{WORKERS}_workers": several, "pss_each_further": each}


def measure_start(site, kind):
    times = []
    for _ in range(3):
        proxy = Proxy(site, kind)
        times.append(proxy.start_s)
        proxy.stop()
    return statistics.median(times)


def measure(site, options):
    result = {"scenarios": {}, "start_s": {}}
    proxies = {}
    try:
        for kind in options.peers:
            # The first start fills the cache.
            Proxy(site, kind).stop()
            result["start_s"][kind] = measure_start(site, kind)
            say("start", kind, f"{result['start_s'][kind]:.2f} s")
            proxies[kind] = Proxy(site, kind)
        for scenario in SCENARIOS:
            write_requests(site, scenario)
            if scenario.name in options.scenario:
                run_scenario(scenario, proxies, options)
        result["memory"] = {kind: proxy.memory() for kind, proxy in proxies.items()}
        if "sallyport" in proxies:
            result["workers"] = measure_memory(site, proxies["sallyport"])
    finally:
        for proxy in proxies.values():
            proxy.stop()
    return result


# ---- the report --------------------------------------------------------------------------------


def print_table(options, result):
    """The table; how many bars are missed, and how many figures could not be had."""
    missed = failed = 0
    print(f"\n{'processor time a request':<26}" + "".join(f"{kind:>12}" for kind in options.peers) +
          f"{'ratio':>9}{'bar':>8}")
    for scenario in SCENARIOS:
        if scenario.name not in options.scenario:
            continue
        medians = {kind: statistics.median(values) for kind, values in scenario.figures.items()}
        result["scenarios"][scenario.name] = {
            "us": medians, "rounds": scenario.figures, "failures": scenario.failures,
            "bar": scenario.limit}
        line = f"{scenario.title:<26}"
        for kind in options.peers:
            line += f"{medians[kind]:>9.1f} us" if kind in medians else f"{'failed':>12}"
        if "sallyport" in medians and "nginx" in medians:
            ratio = medians["nginx"] / medians["sallyport"]
            bad = ratio < 1 / scenario.limit
            missed += bad
            line += f"{'1/%.1f' % ratio:>9}{'1/%.0f' % (1 / scenario.limit):>8}"
            line += "  missed" if bad else ""
        failed += len(scenario.failures)
        print(line)
    print(f"{'start (warm cache)':<26}" + "".join(
        f"{result['start_s'][kind]:>10.2f} s" for kind in options.peers))
    print(f"{'memory (PSS)':<26}" + "".join(
        f"{result['memory'][kind]['pss'] / 2**20:>8.1f} MiB" for kind in options.peers))
    if "workers" in result:
        workers = result["workers"]
        each, first = workers["pss_each_further"], workers["one_worker"]
        print(f"each further worker adds {each / 2**20:.1f} MiB (bar: the whole of one, which has "
              f"{first['pss'] / 2**20:.1f} MiB, under {MEMORY_BAR_BYTES >> 20})")
        missed += first["pss"] >= MEMORY_BAR_BYTES or each >= first["pss"] / 2
        missed += result["start_s"]["sallyport"] >= START_BAR_S
    return missed, failed


def parse_options():
    parser = argparse.ArgumentParser(prog="bench/waf/run", description=__doc__)
    names = [scenario.name for scenario in SCENARIOS]
    parser.add_argument("--scenario", action="append", choices=names)
    parser.add_argument("--rounds", type=int, default=3, help="interleaved runs (3)")
    parser.add_argument("--seconds", type=int, default=4, help="length of a run (4)")
    parser.add_argument("--peers", default=",".join(KINDS))
    parser.add_argument("--quick", action="store_true", help="one round of 2 seconds each")
    parser.add_argument("--json", type=Path, default=ROOT / "build" / "bench" / "waf.json")
    options = parser.parse_args()
    options.peers = options.peers.split(",")
    options.scenario = options.scenario or names
    if set(options.peers) - set(KINDS):
        parser.error(f"peers are of {', '.join(KINDS)}")
    if options.quick:
        options.rounds, options.seconds = 1, 2
    return options


def main():
    options = parse_options()
    raise_file_limit()
    cpus = two_cpus()
    sallyport = find_sallyport()
    if not sallyport:
        raise BenchError("sallyport is not built, or SALLYPORT does not name it")
    for path in (CRS, Path(NGINX_MODULE), Path(APACHE_MODULES, "mod_security2.so")):
        if not path.exists():
            raise BenchError(f"{path} is missing; the packages are modsecurity-crs, "
                             "libnginx-mod-http-modsecurity and libapache2-mod-security2")
    folder = tempfile.mkdtemp(prefix="sallyport-bench-")
    os.chmod(folder, 0o755)
    site = None
    try:
        site = Site(folder, cpus, {}, sallyport)
        # Workers that gave up root write here.
        site.cache = site.folder / "cache"
        for name in ("modsecurity", "cache"):
            (site.folder / name).mkdir()
            os.chmod(site.folder / name, 0o1777 if name == "modsecurity" else 0o755)
        site.start_upstream()
        result = measure(site, options)
    finally:
        if site:
            site.stop_all()
        shutil.rmtree(folder, ignore_errors=True)
    result["load_average"] = os.getloadavg()
    missed, failed = print_table(options, result)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(result, indent=2) + "\n")
    print(f"written to {options.json}")
    return 2 if failed else 1 if missed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
