"""Starting programs, pinning them to a core, looking at what they use, and ending them."""

import ctypes
import os
import random
import resource
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None, use_errno=True)


class BenchError(Exception):
    """Something that makes the measurement impossible; the message is for the user."""


PACKAGES = {
    "wrk": "wrk",
    "valgrind": "valgrind",
    "h2load": "nghttp2-client",
    "nginx": "nginx",
    "haproxy": "haproxy",
    "caddy": "caddy",
    "openssl": "openssl",
    "meson": "meson",
    "ninja": "ninja-build",
    "apache2": "apache2",
}


def find_tool(name):
    """The path of a program, also where only root's PATH has it."""
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    if path is None:
        raise BenchError(f"{name} is missing; on Debian: apt-get install {PACKAGES[name]}")
    return path


def run_tool(command, timeout_s, cpu=None, stdin=None):
    """Standard output of a command that must succeed within `timeout_s`."""
    try:
        done = subprocess.run(
            [str(word) for word in command],
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            timeout=timeout_s,
            preexec_fn=lambda: prepare(cpu),
            start_new_session=True,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise BenchError(f"{command[0]} did not end within {timeout_s:.0f} s") from error
    if done.returncode != 0:
        said = (done.stdout + done.stderr).decode(errors="replace").strip()
        raise BenchError(f"{command[0]} failed (status {done.returncode}): {said[-2000:]}")
    return done.stdout


def prepare(cpu):
    """For preexec_fn: pins the child, and it shall not outlive us, even if we are killed."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if cpu is not None:
        os.sched_setaffinity(0, {cpu})


def two_cpus():
    """The core for the proxy, and the one for load generator and upstream."""
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < 2:
        raise BenchError("two cores are needed: one for the proxy, one for what drives it")
    return cpus[0], cpus[1]


def raise_file_limit():
    """The hard limit for us and for all that we start."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def free_port():
    """A free port of 127.0.0.1, below the range that outgoing connections are given."""
    for _ in range(1000):
        port = random.randint(20000, 32000)
        with socket.socket() as trial:
            try:
                trial.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise BenchError("no free port found from 20000 to 32000")


class Process:
    """A server that runs until stop(): its output goes to a log in the run's folder."""

    def __init__(self, name, command, log_path, cpu, environment=None):
        self.name = name
        self.log_path = Path(log_path)
        with open(self.log_path, "wb") as log:
            self.child = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
                preexec_fn=lambda: prepare(cpu),
                start_new_session=True,
            )

    def log_tail(self):
        text = self.log_path.read_text(errors="replace").strip()
        return text[-2000:] or "(it said nothing)"

    def check_alive(self):
        status = self.child.poll()
        if status is not None:
            raise BenchError(f"{self.name} ended with status {status}: {self.log_tail()}")

    def wait_for_port(self, port, timeout_s=15):
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            self.check_alive()
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise BenchError(f"{self.name} does not listen on port {port}: {self.log_tail()}")

    def pids(self):
        """This process and all that descend from it."""
        found, queue = [], [self.child.pid]
        while queue:
            pid = queue.pop()
            found.append(pid)
            for children in Path(f"/proc/{pid}/task").glob("*/children"):
                try:
                    queue.extend(int(word) for word in children.read_text().split())
                except OSError:
                    continue
        return sorted(found)

    def cpu_ns(self):
        """
        {pid: nanoseconds of processor time, user and system, all threads, also ended ones}.
        The clock of a process (clock_getcpuclockid(3)) counts what /proc/PID/stat counts as
        utime + stime, without its rounding to ticks of 10 ms.
        """
        self.check_alive()
        return {pid: time.clock_gettime_ns(_cpu_clock(pid)) for pid in self.pids()}

    def pss_bytes(self):
        """Proportional set size of all processes: shared pages count once among the sharers."""
        self.check_alive()
        total = 0
        for pid in self.pids():
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
        return total

    def stop(self):
        pids = self.pids() if self.child.poll() is None else []
        if self.child.poll() is None:
            self.child.terminate()
        try:
            self.child.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait(timeout=5)
        # A worker that its master left behind; it is ours only while it is in the same session.
        for pid in pids:
            try:
                if os.getsid(pid) == self.child.pid:
                    os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue


def _cpu_clock(pid):
    # As glibc's clock_getcpuclockid: the complement of the process id and CPUCLOCK_SCHED.
    return ~pid << 3 | 2


def cpu_spent_ns(before, after):
    """Nanoseconds between two Process.cpu_ns(); a process that ended in between is an error."""
    if not before.keys() <= after.keys():
        raise BenchError("a process of the measured program ended during the measurement")
    return sum(after.values()) - sum(before.values())


def core_busy_ns(cpu):
    """Nanoseconds that programs have spent on a core since the start, in steps of 10 ms."""
    tick_ns = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
    for line in Path("/proc/stat").read_text().splitlines():
        words = line.split()
        if words[0] == f"cpu{cpu}":
            user, nice, system = (int(word) for word in words[1:4])
            return (user + nice + system) * tick_ns
    raise BenchError(f"/proc/stat knows no core {cpu}")
