"""What is measured: for each scenario who takes part, under which load, and the bars."""

import functools
import statistics
import sys
import time

from harness import keys, load
from harness.peers import Peer, Task
from harness.process import BenchError, core_busy_ns, cpu_spent_ns

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
    After run(): `figures` {label: [one a round]}, `notes` {name: {label: [one a round]} or a
    value}, and `failures` {label: message} of those that could not be measured.
    """

    unit = "us"
    unit_title = ""

    def __init__(self, name, title, contestants, bars):
        self.name = name
        self.title = title
        self.contestants = contestants
        self.bars = bars
        self.figures = {}
        self.notes = {}
        self.failures = {}

    # What a kind of scenario has to say.

    def requests(self, _task, _site):
        """Pairs of path and token that wrk sends in turn."""
        return [("/", "")]

    def refused(self, _task, _site):
        """{what is wrong: token} that a peer must refuse before it is measured."""
        return {}

    def warm_up(self, site, peer):
        self.drive(site, peer, WARMUP_S)

    def prepare(self, site, peers, seconds):
        """When all peers run and are warm; called for each, in case it fails."""

    def drive(self, site, peer, seconds):
        requests = site.folder / f"{peer.label}.requests"
        return load.wrk(site.load_cpu, peer.url, requests, seconds)

    def one_run(self, site, peer, seconds):
        """A figure and how to tell it."""
        before, core_before = peer.process.cpu_ns(), core_busy_ns(site.proxy_cpu)
        done = self.drive(site, peer, seconds)
        spent = cpu_spent_ns(before, peer.process.cpu_ns())
        others = core_busy_ns(site.proxy_cpu) - core_before - spent
        self.note("requests_a_second", peer, round(done.rate))
        self.note("others_share", peer, round(max(0, others / 1e9 / done.seconds), 3))
        figure = spent / 1000 / done.requests
        return figure, f"{figure:.2f} us, {done.rate:.0f} a second"

    # What they share.

    def note(self, name, peer, value):
        self.notes.setdefault(name, {}).setdefault(peer.label, []).append(value)

    def run(self, site, wanted, rounds, seconds):
        peers = []
        try:
            for label, kind, task, _ in self.contestants:
                if kind in wanted:
                    enter = functools.partial(self.enter, site, label, kind, task, peers)
                    self.attempt(label, enter)
            for peer in peers:
                # What all need and cannot be had leaves none of them to be measured.
                self.attempt(peer.label, functools.partial(self.prepare, site, peers, seconds))
            for turn in range(rounds):
                # Each round begins with another peer: none always follows the same one.
                first = turn % max(1, len(peers))
                for peer in peers[first:] + peers[:first]:
                    one_turn = functools.partial(self.one_turn, site, peer, seconds)
                    self.attempt(peer.label, one_turn)
        finally:
            for peer in peers:
                peer.stop()

    def enter(self, site, label, kind, task, peers):
        peer = Peer(site, label, kind, task)
        peers.append(peer)
        requests = self.requests(task, site)
        load.write_requests(site.folder / f"{label}.requests", requests)
        peer.prove(requests, self.refused(task, site))
        self.progress(label, "warm-up")
        self.warm_up(site, peer)

    def one_turn(self, site, peer, seconds):
        figure, text = self.one_run(site, peer, seconds)
        self.figures.setdefault(peer.label, []).append(figure)
        self.progress(peer.label, text)

    def attempt(self, label, step):
        """A peer that fails is left out from then on; the others are measured all the same."""
        if label in self.failures:
            return
        try:
            step()
        except BenchError as error:
            self.failures[label] = str(error)
            self.figures.pop(label, None)
            self.progress(label, f"FAILED: {error}")

    def progress(self, label, text):
        print(f"  {self.name:<10} {label:<15} {text}", file=sys.stderr, flush=True)


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
        paths = task.paths
        chosen = [paths[number * len(paths) // 64] for number in range(64)]
        return [(path.replace("{id}", "4711").replace("**", "a/b"), "") for path in chosen]


def route_paths(count):
    """A third each exact, with a parameter, and a whole subtree."""
    forms = ("/area-{0}/list-{1}", "/area-{0}/item-{1}/{{id}}", "/area-{0}/tree-{1}/**")
    return [forms[number % 3].format(number % 100, number) for number in range(count)]


class IdleMemory(Scenario):
    """Growth of the proportional set size by an idle TLS connection that had one answer."""

    unit = "bytes"
    unit_title = "bytes"

    def warm_up(self, site, peer):
        with load.IdleConnections(site.load_cpu, site.programs["idle_tls"], peer.port, 10):
            pass

    def one_run(self, site, peer, seconds):
        # A new process each time: memory that the last round freed would hide the growth.
        if self.figures.get(peer.label):
            peer.restart()
            self.warm_up(site, peer)
        figure = self._growth(site, peer)
        return figure, f"{figure:.0f} bytes"

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

    def prepare(self, site, peers, seconds):
        if "rate" in self.notes:
            return
        nginx = [peer for peer in peers if peer.kind == "nginx"]
        if not nginx or "nginx" in self.failures:
            raise BenchError("nginx's peak rate, which this starts from, is not known")
        peak = statistics.median(self.drive(site, nginx[0], seconds).rate for _ in range(3))
        self.notes["nginx_peak_rate"] = round(peak)
        self.notes["rate"] = int(peak * PEAK_SHARE)
        self.progress("nginx", f"peak {peak:.0f} a second, so {self.notes['rate']} for all")

    def one_run(self, site, peer, seconds):
        done = load.constant_rate(
            site.load_cpu,
            site.programs["rate"],
            peer.port,
            self.notes["rate"],
            WARMUP_S,
            seconds,
        )
        self.note("p50_us", peer, done["p50_us"])
        self.note("p999_us", peer, done["p999_us"])
        return done["p99_us"], f"p99 {done['p99_us']:.0f} us, median {done['p50_us']:.0f} us"


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
            ("sallyport", "sallyport", Task(paths=route_paths(MANY_ROUTES)), ""),
            ("sallyport_10", "sallyport", Task(paths=route_paths(FEW_ROUTES)), "10 routes"),
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
