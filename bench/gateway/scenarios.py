"""What is measured: for each scenario who takes part, under which load, and the bars."""

import statistics
import sys
import time

from harness import keys, load
from harness.peers import Peer, Task
from harness.process import BenchError, cpu_spent_ns

STREAMS = 32
IDLE_CONNECTIONS = 2000
PEAK_SHARE = 0.7
WARMUP_S = 1
MANY_ROUTES = 10000
FEW_ROUTES = 10


class Bar:
    """`label`'s figure is at most `limit` times `against`'s."""

    def __init__(self, against, limit, label="sallyport"):
        self.label = label
        self.against = against
        self.limit = limit


class Scenario:
    """
    `contestants` are (label, kind of peer, task, title of its own line in the table or "").
    run() gives {label: [figure of each round]} and notes for the report.
    """

    unit = "us"
    unit_title = "processor us a request"

    def __init__(self, name, title, contestants, bars):
        self.name = name
        self.title = title
        self.contestants = contestants
        self.bars = bars

    def requests(self, _task, _site):
        return [("/", "")]

    def refused(self, _task, _site):
        return {}

    def start(self, site, wanted):
        """The peers that take part, started and proved."""
        peers = []
        for label, kind, task, _ in self.contestants:
            if kind not in wanted:
                continue
            peer = Peer(site, label, kind, task)
            peers.append(peer)
            requests = self.requests(task, site)
            load.write_requests(site.folder / f"{label}.requests", requests)
            peer.prove(requests, self.refused(task, site))
        return peers

    def run(self, site, wanted, rounds, seconds):
        peers = self.start(site, wanted)
        try:
            for peer in peers:
                progress(self.name, peer.label, "warm-up")
                self.warm_up(site, peer)
            return self.measure(site, peers, rounds, seconds)
        finally:
            for peer in peers:
                peer.stop()

    def measure(self, site, peers, rounds, seconds):
        figures = {peer.label: [] for peer in peers}
        rates = {peer.label: [] for peer in peers}
        for turn in range(rounds):
            # Each round begins with another peer, so that none always follows the same one.
            first = turn % len(peers) if peers else 0
            for peer in peers[first:] + peers[:first]:
                before = peer.process.cpu_ns()
                done = self.drive(site, peer, seconds)
                spent = cpu_spent_ns(before, peer.process.cpu_ns())
                figure = spent / 1000 / done.requests
                figures[peer.label].append(figure)
                rates[peer.label].append(round(done.rate))
                progress(self.name, peer.label, f"{figure:.2f} us, {done.rate:.0f} a second")
        return figures, {"requests_a_second": rates}

    def warm_up(self, site, peer):
        self.drive(site, peer, WARMUP_S)

    def drive(self, site, peer, seconds):
        requests = site.folder / f"{peer.label}.requests"
        return load.wrk(site.load_cpu, peer.url, requests, seconds)


class Http2(Scenario):
    """h2load asks for a number of requests, which the warm-up finds."""

    WARMUP_REQUESTS = 20000

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.rates = {}

    def warm_up(self, site, peer):
        done = load.h2load(site.load_cpu, peer.url, self.WARMUP_REQUESTS, STREAMS, 60)
        self.rates[peer.label] = done.rate

    def drive(self, site, peer, seconds):
        requests = max(self.WARMUP_REQUESTS, int(self.rates[peer.label] * seconds))
        limit_s = 10 * seconds + load.GRACE_S
        return load.h2load(site.load_cpu, peer.url, requests, STREAMS, limit_s)


class Jwt(Scenario):
    """Each of 64 users has a token; what is forged, stale, foreign or too weak is refused."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.tokens = None
        self.bad = None

    def _make(self, task, site):
        if self.tokens is None:
            signer = site.signer(task.jwt)
            self.tokens = keys.good_tokens(signer)
            self.bad = {"no token": "", **keys.bad_tokens(signer)}

    def requests(self, task, site):
        self._make(task, site)
        return [("/", token) for token in self.tokens]

    def refused(self, task, site):
        self._make(task, site)
        return self.bad


class Routes(Scenario):
    """64 requests in turn, spread evenly over all the routes there are."""

    def requests(self, task, _site):
        step = task.routes / 64
        return [(route_path(int(number * step)), "") for number in range(64)]


def route_template(number):
    """A path of the configuration: a third each exact, with a parameter, and a whole subtree."""
    form = ("/area-{0}/list-{1}", "/area-{0}/item-{1}/{{id}}", "/area-{0}/tree-{1}/**")
    return form[number % 3].format(number % 100, number)


def route_path(number):
    """A path that the route of this number answers."""
    return route_template(number).replace("{id}", "4711").replace("**", "a/b")


class IdleMemory(Scenario):
    """Growth of the proportional set size by an idle TLS connection that had one answer."""

    unit = "bytes"
    unit_title = "bytes a connection"

    def warm_up(self, site, peer):
        with load.IdleConnections(site.load_cpu, site.programs["idle_tls"], peer.port, 10):
            pass

    def measure(self, site, peers, rounds, seconds):
        figures = {peer.label: [] for peer in peers}
        for _ in range(rounds):
            for peer in peers:
                # A new process each time: freed memory of the last round would hide growth.
                if figures[peer.label]:
                    peer.restart()
                    self.warm_up(site, peer)
                figures[peer.label].append(self._growth(site, peer))
                progress(self.name, peer.label, f"{figures[peer.label][-1]:.0f} bytes")
        return figures, {"connections": IDLE_CONNECTIONS}

    @staticmethod
    def _growth(site, peer):
        program = site.programs["idle_tls"]
        before = peer.process.pss_bytes()
        with load.IdleConnections(site.load_cpu, program, peer.port, IDLE_CONNECTIONS):
            time.sleep(1)
            return (peer.process.pss_bytes() - before) / IDLE_CONNECTIONS


class Latency(Scenario):
    """The 99th percentile at a constant rate, 70 % of what nginx serves at most."""

    unit = "p99_us"
    unit_title = "us"

    def measure(self, site, peers, rounds, seconds):
        figures = {peer.label: [] for peer in peers}
        nginx = next((peer for peer in peers if peer.kind == "nginx"), None)
        if nginx is None:
            raise BenchError("the latency scenario needs nginx, whose peak rate it starts from")
        peak = statistics.median(self.drive(site, nginx, seconds).rate for _ in range(3))
        rate = int(peak * PEAK_SHARE)
        progress(self.name, "nginx", f"peak {peak:.0f} a second, so {rate} for all")
        medians = {peer.label: [] for peer in peers}
        for turn in range(rounds):
            first = turn % len(peers)
            for peer in peers[first:] + peers[:first]:
                done = load.constant_rate(
                    site.load_cpu, site.programs["rate"], peer.port, rate, WARMUP_S, seconds
                )
                figures[peer.label].append(done["p99_us"])
                medians[peer.label].append(done["p50_us"])
                progress(self.name, peer.label, f"p99 {done['p99_us']} us")
        return figures, {"rate": rate, "nginx_peak_rate": round(peak), "p50_us": medians}


def progress(scenario, label, text):
    print(f"  {scenario:<10} {label:<15} {text}", file=sys.stderr, flush=True)


def everybody(task, *kinds):
    return [(kind, kind, task, "") for kind in kinds]


def jwt_contestants(algorithm):
    cold = Task(jwt=algorithm, token_cache=False)
    return [
        *everybody(Task(jwt=algorithm), "sallyport", "haproxy", "floor"),
        ("sallyport_cold", "sallyport", cold, "without token cache"),
    ]


ALL = [
    Scenario(
        "plain",
        "plain HTTP/1.1, limits on",
        everybody(Task(), "sallyport", "nginx", "haproxy", "caddy", "floor"),
        [Bar("nginx", 0.85), Bar("floor", 1.2)],
    ),
    Scenario(
        "tls",
        "TLS 1.3, HTTP/1.1 keep-alive",
        everybody(Task(tls=True), "sallyport", "nginx", "haproxy", "caddy"),
        [Bar("nginx", 0.90)],
    ),
    Http2(
        "http2",
        "HTTP/2 with TLS, 32 streams",
        everybody(Task(tls=True, http2=True), "sallyport", "nginx", "haproxy", "caddy"),
        [Bar("nginx", 0.85)],
    ),
    Jwt(
        "jwt_rs256",
        "JWT RS256, scopes, limit a user",
        jwt_contestants("RS256"),
        [Bar("haproxy", 0.30)],
    ),
    Jwt(
        "jwt_es256",
        "JWT ES256, scopes, limit a user",
        jwt_contestants("ES256"),
        [Bar("haproxy", 0.12)],
    ),
    Routes(
        "routes",
        "10,000 routes",
        [
            ("sallyport", "sallyport", Task(routes=MANY_ROUTES), ""),
            ("sallyport_10", "sallyport", Task(routes=FEW_ROUTES), "10 routes"),
        ],
        [Bar("sallyport_10", 1.05)],
    ),
    IdleMemory(
        "idle_tls",
        "idle TLS keep-alive connection",
        everybody(Task(tls=True), "sallyport", "nginx", "haproxy", "caddy"),
        [Bar("nginx", 1.0)],
    ),
    Latency(
        "latency",
        "p99 at 70 % of nginx's peak",
        everybody(Task(), "sallyport", "nginx", "haproxy"),
        [Bar("nginx", 1.0)],
    ),
]
