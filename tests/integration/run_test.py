"""Pipelines: jobs in locked-down containers, gates, approvals, and going on after a kill."""

import json
import os
import platform
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from harness import PROGRAM, Skip, run

TIMEOUT_S = 180


class Place:
    """A folder with code, a pipeline, and what the runner keeps."""

    def __init__(self, pipeline, files=None, more=None):
        self.folder = tempfile.mkdtemp(prefix="sallyport-pipeline.")
        os.chmod(self.folder, 0o755)
        os.mkdir(self.path("code"))
        for name, text in {"code/readme": "hello\n", **(files or {})}.items():
            os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
            with open(self.path(name), "w", encoding="utf-8") as file:
                file.write(text)
        self.write(pipeline)
        self.config = []
        if more:
            with open(self.path("sallyport.yaml"), "w", encoding="utf-8") as file:
                file.write(more)
            self.config = ["-c", self.path("sallyport.yaml")]

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, pipeline):
        with open(self.path("pipeline.yaml"), "w", encoding="utf-8") as file:
            file.write(pipeline)

    def words(self, command, *words):
        return [os.path.abspath(PROGRAM), "run", command, *words, "--state", self.path("state")]

    def start_words(self, *words):
        return self.words("start", self.path("pipeline.yaml"), "-s", self.path("code"), "--backups",
                          self.path("backups"), "--by", "alice", "-f", "json", *self.config, *words)

    def resume_words(self, ident, *words):
        return self.words("resume", ident, "--backups", self.path("backups"), "--by", "alice", "-f", "json",
                          *self.config, *words)

    def close(self):
        subprocess.run(["chmod", "-R", "u+rwX", self.folder], check=False)
        shutil.rmtree(self.folder, ignore_errors=True)


class Result:
    def __init__(self, done):
        self.status, self.output = done.returncode, done.stderr
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        self.jobs = {line["job"]: line for line in lines if "job" in line}
        self.run = next((line for line in lines if "run" in line), None)
        assert "AddressSanitizer" not in done.stderr, done.stderr

    def state(self, job):
        return self.jobs[job]["state"]


def call(words, **more):
    return Result(subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=TIMEOUT_S,
                                 errors="replace", check=False, **more))


def start(place, *words):
    """Where there can be no containers the program must say so, and has run nothing."""
    result = call(place.start_words(*words))
    if "this system makes no containers" in result.output or "bubblewrap" in result.output:
        assert not result.jobs, result.jobs
        raise Skip(result.output)
    return result


def with_place(test, pipeline, **more):
    place = Place(pipeline, **more)
    try:
        test(place)
    finally:
        place.close()


def one(lines, **more):
    """A pipeline of one job."""
    return json.dumps({"pipeline": "p", "jobs": {"job": {"run": lines, **more}}})


def jobs_run_in_order_and_pass_on_what_they_keep():
    def test(place):
        result = start(place)
        assert result.status == 0 and result.run["outcome"] == "passed", result.output
        assert list(result.jobs) == ["build", "check", "pack"], result.jobs
        assert "fresh copy" in result.output and "made of hello" in result.output, result.output
        # The code is as it was, and what was kept is in the store.
        assert os.listdir(place.path("code")) == ["readme"]
        for ident in (result.run["code"], result.jobs["build"]["artifacts"]):
            done = subprocess.run([PROGRAM, "backup", "verify", place.path("backups"), ident], check=False,
                                  capture_output=True, timeout=TIMEOUT_S)
            assert done.returncode == 0, done
        shown = subprocess.run(place.words("log", result.run["run"], "check"), capture_output=True, text=True,
                               timeout=TIMEOUT_S, check=True).stdout
        assert "made of hello" in shown, shown
        shown = call(place.words("show", result.run["run"], "-f", "json"))
        assert shown.state("pack") == "passed" and shown.run["finished"], shown.jobs
        assert not os.listdir(place.path("state/" + result.run["run"] + "/work"))

    with_place(test, """
pipeline: shop
jobs:
  pack:
    needs: [check, build]
    run: ["test ! -e out || exit 1", "echo fresh copy"]
  check:
    needs: build
    run: ["cat /artifacts/build/out/text", "! touch /artifacts/build/out/more"]
  build:
    run: ["mkdir -p out/deep", "echo made of $(cat readme) > out/text", "ln -s text out/link", "rm readme"]
    artifacts: [out/]
""")


def a_job_that_fails_stops_those_that_need_it_alone():
    def test(place):
        result = start(place)
        assert result.status == 1 and result.run["outcome"] == "failed", result.output
        states = {name: job["state"] for name, job in result.jobs.items()}
        assert states == {"bad": "failed", "after": "skipped", "last": "skipped", "other": "passed"}, states
        assert result.jobs["bad"]["exit"] == 7 and "not reached" not in result.output, result.output

    with_place(test, """
pipeline: shop
jobs:
  bad: {run: ["echo begun", "(exit 7)", "echo not reached"]}
  after: {needs: bad, run: "true"}
  last: {needs: [after, other], run: "true"}
  other: {run: "true"}
""")


def a_container_shows_nothing_of_the_machine():
    lines = [
        "test $(id -u) = 1000", "test \"$(hostname)\" = job",
        "test \"$(cat /proc/1/comm)\" = bwrap", "test $(ls /proc | grep -c '^[0-9]') -lt 9",
        "! ls /root", "! ls /home", "! ls /var", "! ls /etc/shadow", "! ls /run",
        "! touch /usr/x /bin/x /etc/x /x 2>&1", "touch /workspace/x /tmp/x",
        "grep -q '^CapEff:.0000000000000000$' /proc/self/status", "grep -q '^CapBnd:.0000000000000000$' /proc/self/status",
        "grep -q '^NoNewPrivs:.1$' /proc/self/status", "grep -q '^Seccomp:.2$' /proc/self/status",
        "test \"$(tail -n +3 /proc/net/dev | grep -v lo:)\" = ''",
        "! grep -rq " + "sallyport-run" + " /proc/1/cmdline", "env | sort",
    ]

    def test(place):
        result = start(place)
        assert result.status == 0, result.output
        variables = {line.split("=")[0] for line in result.output.splitlines() if "=" in line}
        assert variables <= {"PATH", "HOME", "LANG", "CI", "PWD", "OLDPWD", "_", "SHLVL", "GREETING"}, variables
        assert "GREETING=hi there" in result.output

    with_place(test, one(lines, env=["GREETING=hi there"]))


PYTHON = "/usr/bin/python3"
ATTACKS = {
    "unshare": "ctypes.CDLL(None).unshare(0x10000000)",  # CLONE_NEWUSER
    "mount": "ctypes.CDLL(None).mount(b'tmpfs', b'/tmp', b'tmpfs', 0, None)",
    "ptrace": "ctypes.CDLL(None).ptrace(16, os.getppid(), 0, 0)",  # PTRACE_ATTACH
    "keyctl": "ctypes.CDLL(None).syscall(250, 0, -3, 1)",
    "bpf": "ctypes.CDLL(None).syscall(321, 0, None, 0)",
    "io_uring": "ctypes.CDLL(None).syscall(425, 1, None)",
    "setuid": "ctypes.CDLL(None).setuid(0)",
    "chroot": "ctypes.CDLL(None).chroot(b'/tmp')",
    "personality": "ctypes.CDLL(None).personality(0x0040000)",
}


def system_calls_that_lead_out_are_refused():
    if not os.path.exists(PYTHON):
        raise Skip("python3 of the system is needed")
    lines = [f"{PYTHON} -c \"import ctypes, os; r = {attack}; print('{name}', r); exit(r != -1)\""
             for name, attack in ATTACKS.items()]

    def test(place):
        result = start(place)
        assert result.status == 0, result.output
        for name in ATTACKS:
            assert f"{name} -1" in result.output, result.output

    with_place(test, one(lines))


def there_is_no_network_unless_it_is_asked_for():
    connect = (f"{PYTHON} -c \"import socket; s = socket.create_server(('127.0.0.1', 0)); "
               "socket.create_connection(('127.0.0.1', PORT), 3)\"")
    if not os.path.exists(PYTHON):
        raise Skip("python3 of the system is needed")

    def test(place):
        import socket  # pylint: disable=import-outside-toplevel
        with socket.create_server(("127.0.0.1", 0)) as server:
            line = connect.replace("PORT", str(server.getsockname()[1]))
            place.write(json.dumps({"pipeline": "p", "jobs": {
                "closed": {"run": [line]}, "open": {"run": [line], "network": "host"}}}))
            result = start(place)
        assert (result.state("closed"), result.state("open")) == ("failed", "passed"), result.output
        assert "Connection refused" in result.output, result.output

    with_place(test, "")


def limits_hold():
    if not os.path.exists(PYTHON):
        raise Skip("python3 of the system is needed")
    jobs = {
        "processes": {"run": ["i=0; while [ $i -lt 80 ]; do sleep 12345 & i=$((i+1)); done; echo all 80 began"],
                      "processes": 40},
        "bomb": {"run": ["bomb() { bomb | bomb & }; bomb; sleep 2; exit 3"], "processes": 60, "timeout": "60s"},
        "memory": {"run": [f"{PYTHON} -c \"x = bytearray(400 << 20)\""], "memory": "200M"},
        "file": {"run": ["head -c 3000000 /dev/zero > big"], "file_size": "1M"},
        "scratch": {"run": ["head -c 3000000 /dev/zero > /tmp/big"], "scratch": "1M"},
        "time": {"run": ["sleep 100 & sleep 100"], "timeout": "1s"},
        "output": {"run": ["head -c 100000 /dev/zero | tr '\\0' x"], "output": "2K"},
    }

    def test(place):
        result = start(place)
        states = {name: job["state"] for name, job in result.jobs.items()}
        assert states == {"processes": "failed", "bomb": "failed", "memory": "failed", "file": "failed", "scratch": "failed",
                          "time": "failed", "output": "passed"}, (states, result.output)
        assert "annot fork" in result.output and "all 80 began" not in result.output, result.output
        assert "MemoryError" in result.output and "No space left" in result.output, result.output
        assert not processes_of_jobs()
        assert "took too long" in result.jobs["time"]["why"], result.jobs
        log = place.path("state/" + result.run["run"] + "/log/output")
        assert 2048 <= os.path.getsize(log) < 2200, os.path.getsize(log)
        with open(log, encoding="utf-8") as file:
            assert file.read().endswith("[97952 more bytes were not kept]\n")

    with_place(test, json.dumps({"pipeline": "p", "jobs": jobs}))


def processes_of_jobs():
    """All that run as the user of jobs, or whose command is a sleep of these tests."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                if b"12345" in file.read():
                    found.append(pid)
        except OSError:
            pass
    return found


def only_the_workspace_and_scratch_can_be_written_to():
    """The rest is read only: what is in memory there would have no limit."""
    refused = ["/x", "/etc/x", "/dev/x", "/run/x", "/usr/x", "/usr/bin/x", "/artifacts/x", "/secrets/x",
               "/proc/sys/kernel/hostname"]

    def test(place):
        result = start(place)
        assert result.status == 0, result.output
        assert "wrote" not in result.output and "done" in result.output, result.output

    with_place(test, one([f"if echo x 2>/dev/null > {path}; then echo wrote {path}; fi" for path in refused] +
                         ["echo x > x && echo x > /tmp/x && echo x > /dev/shm/x", "echo done"]))


def memory_in_files_has_a_limit():
    def test(place):
        result = start(place)
        assert result.state("job") == "failed" and "No space left" in result.output, result.output

    with_place(test, one(["head -c 3000000 /dev/zero > /dev/shm/big"], scratch="1M"))


def memory_of_a_whole_job_has_a_limit_where_it_is_asked_for():
    """Shared memory, which is no process's own."""
    if not os.path.exists(PYTHON):
        raise Skip("python3 of the system is needed")
    lines = [f"{PYTHON} -c \"import mmap; m = mmap.mmap(-1, 300 << 20); "
             "[m.write(bytes(1 << 20)) for i in range(300)]; print('got it')\""]

    def groups():
        return {path for path, folders, _ in os.walk("/sys/fs/cgroup") if "/sallyport-" in path}

    def test(place):
        before = groups()
        result = start(place)
        if "needs a control group" in result.output:
            assert result.status == 1 and "got it" not in result.output, result.output
            raise Skip("no control groups can be made here; the job was not run")
        assert (result.state("limited"), result.state("not")) == ("failed", "passed"), result.output
        assert result.output.count("got it") == 1, result.output
        assert groups() <= before

    with_place(test, json.dumps({"pipeline": "p", "jobs": {
        "limited": {"run": lines, "memory_total": "150M"}, "not": {"run": lines}}}))


# Numbers of x86-64; all of them need no rights of a kind, or are looked at before the rights are.
CALLS = {"mount": (165, 0, 0, 0, 0, 0), "ptrace": (101, 0, 0, 0, 0), "unshare": (272, 0x10000000), "setns": (308, 0, 0),
         "bpf": (321, 0, 0, 0), "keyctl": (250, 0, -3, 0), "add_key": (248, 0, 0, 0, 0, 0), "chroot": (161, 0),
         "perf_event_open": (298, 0, 0, 0, 0, 0), "userfaultfd": (323, 0), "io_uring_setup": (425, 1, 0),
         "clone of users": (56, 0x10000011, 0, 0, 0, 0), "clone3": (435, 0, 0), "process_vm_readv": (310, 1, 0, 0, 0, 0, 0),
         "open_tree": (428, -100, 0, 0), "personality": (135, 0x40000), "device": (259, -100, 0, 0o020666, 0x103),
         "vsock": (41, 40, 1, 0), "packet": (41, 17, 3, 0), "crypto of the kernel": (41, 38, 5, 0),
         "netlink of audit": (41, 16, 3, 9), "not there yet": (9999,)}


def the_kernel_is_reached_by_ordinary_calls_only():
    if not os.path.exists(PYTHON) or platform.machine() != "x86_64":
        raise Skip("python3 of the system on x86-64 is needed")
    script = f"""
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
for name, call in {CALLS!r}.items():
    result = libc.syscall(*[ctypes.c_long(n) for n in call])
    if result == 0 and "clone" in name:
        os._exit(0)
    print("call", result, ctypes.get_errno(), name, flush=True)
"""

    def test(place):
        result = start(place)
        assert result.status == 0, result.output
        calls = {line.split(" ", 3)[3]: line.split(" ")[1:3] for line in result.output.splitlines()
                 if line.startswith("call ")}
        assert calls.keys() == CALLS.keys(), result.output
        for name, (status, errno) in calls.items():
            assert status == "-1" and errno in ("1", "38"), (name, status, errno)
        for line in ("CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"):
            assert line in result.output, result.output

    with_place(test, one([f"{PYTHON} calls.py", "cat /proc/self/status"]), files={"code/calls.py": script})


def an_image_needs_nothing_of_ours_in_it():
    """A folder with a shell and its libraries, without places for the workspace and the rest."""
    def test(place):
        libraries = subprocess.run(["ldd", "/bin/sh"], capture_output=True, text=True, check=True).stdout
        for path in ["/bin/sh"] + [word for word in libraries.split() if word.startswith("/")]:
            to = place.path("image" + path)
            os.makedirs(os.path.dirname(to), exist_ok=True)
            shutil.copy(os.path.realpath(path), to)
        place.write(json.dumps({"pipeline": "p", "image": place.path("image"), "jobs": {
            "first": {"run": ["echo x > kept"], "artifacts": ["kept"]},
            "job": {"needs": "first", "run": ["read x < /artifacts/first/kept", "echo read $x",
                                              "test ! -e /usr/bin/python3", "echo y > /tmp/y",
                                              "if echo y > /etc/y; then exit 9; fi"]}}}))
        result = start(place)
        assert result.status == 0 and "read x" in result.output, result.output
        assert not os.path.exists(place.path("image/etc/y"))
        place.write(json.dumps({"pipeline": "p", "image": place.path("none"), "jobs": {"job": {"run": ["true"]}}}))
        assert start(place).status == 1

    with_place(test, "", files={"image/etc/of-the-image": "x"})


def processes_of_others_do_not_count():
    """The jobs' user may have more processes than a job may."""
    who = {}
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        who = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}

    def test(place):
        others = [subprocess.Popen(["sleep", str(TIMEOUT_S)], **who)  # pylint: disable=consider-using-with
                  for _ in range(40)]
        try:
            result = start(place)
        finally:
            for other in others:
                other.kill()
                other.wait()
        assert result.status == 0, result.output

    with_place(test, one(["ls | cat | cat"], processes=8))


def what_a_job_leaves_behind_does_not_stop_the_run():
    """Folders too deep for a path, without rights, and links that lead out."""
    deep = "import os\nfor i in range(200):\n    os.mkdir('d' * 50)\n    os.chdir('d' * 50)\n"

    def test(place):
        result = start(place)
        assert result.status == 0, result.output
        assert not os.listdir(place.path("state/" + result.run["run"] + "/work"))
        with open(place.path("code/readme"), encoding="utf-8") as file:
            assert file.read() == "hello\n"

    if not os.path.exists(PYTHON):
        raise Skip("python3 of the system is needed")
    with_place(test, json.dumps({"pipeline": "p", "jobs": {
        "first": {"run": ["mkdir -p a/b && ln -s / a/b/root && mkfifo a/b/pipe && chmod 0 a/b && chmod 0 a",
                          f"{PYTHON} deep.py"]},
        "second": {"run": ["true"], "needs": "first"}}}), files={"code/deep.py": deep})


def nothing_of_a_job_outlives_it():
    def test(place):
        result = start(place)
        assert result.state("job") == "passed", result.output
        assert not processes_of_jobs()

    with_place(test, one(["(setsid sleep 12345 </dev/null >/dev/null 2>&1 &)", "nohup sleep 12345 >/dev/null 2>&1 &"]))


def secrets_are_files_for_the_jobs_that_name_them_and_never_shown():
    def test(place):
        os.chmod(place.path("key"), 0o600)
        result = start(place)
        assert result.status == 0, result.output
        log = ""
        for job in ("with", "without"):
            with open(place.path(f"state/{result.run['run']}/log/{job}"), encoding="utf-8") as file:
                log += file.read()
        for text in (log, result.output):
            assert "open sesame" not in text and "[secret]" in text, text
            assert "b3BlbiBzZXNhbWU" in text, "what is encoded is another text"
        done = subprocess.run(["grep", "-rl", "open sesame", place.path("state"), place.path("backups")],
                              capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
        assert not done.stdout, done.stdout

    with_place(test, """
pipeline: p
secrets: {key: {file: key}}
jobs:
  with:
    secrets: [key]
    run:
      - test "$(base64 < /secrets/key)" = b3BlbiBzZXNhbWU=
      - cat /secrets/key; printf 'open '; sleep 0.2; printf 'sesame\\n'; base64 /secrets/key
      - "! echo x > /secrets/key"
  without: {run: "! ls /secrets"}
""", files={"key": "open sesame\n"})


def nobody_changes_what_a_job_has_kept():
    if os.geteuid() != 0:
        raise Skip("root is needed: the jobs' user must not be the runner's")

    def test(place):
        result = start(place, "--no-wait")
        assert result.status == 3, result.output
        kept = place.path(f"state/{result.run['run']}/kept/build/out")
        done = subprocess.run(["runuser", "-u", "nobody", "--", "sh", "-c",
                               f"echo bad > {kept}/open; echo bad > {kept}/new; rm -f {kept}/closed; mv {kept} {kept}2"],
                              capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
        assert done.returncode != 0, done
        approve(place, result.jobs["deploy"]["approval"], "bob")
        result = call(place.resume_words(result.run["run"], "--no-wait"))
        assert result.status == 0 and "open good closed good" in result.output, result.output

    with_place(test, """
pipeline: p
jobs:
  build:
    run: ["mkdir -m 0777 out", "printf good > out/open", "printf good > out/closed", "chmod 0666 out/open",
          "chmod 0600 out/closed"]
    artifacts: [out]
  deploy:
    needs: build
    approvals: 1
    by: release
    run: ["cd /artifacts/build/out", "test $(ls | wc -l) = 2", "echo open $(cat open) closed $(cat closed)"]
""", more=CONFIG)


def artifacts_lead_nowhere_else():
    if os.geteuid() != 0:
        raise Skip("root is needed: what root alone can read must not be kept")

    def test(place):
        result = start(place)
        assert {job["state"] for job in result.jobs.values()} == {"failed"}, result.jobs
        for job in ("through", "absent"):
            assert "cannot keep" in result.jobs[job]["why"], result.jobs
        done = subprocess.run(["grep", "-rl", "root:", place.path("state")], capture_output=True, text=True,
                              timeout=TIMEOUT_S, check=False)
        assert not done.stdout, done.stdout

    with_place(test, """
pipeline: p
jobs:
  through: {run: "ln -s /etc out", artifacts: [out/shadow]}
  absent: {run: "true", artifacts: [out]}
  pipe: {run: "mkdir out; mkfifo out/pipe", artifacts: [out]}
""")


def a_gate_lets_pass_what_its_policy_takes():
    def test(place):
        result = start(place)
        assert result.state("clean") == "passed", result.output
        assert result.state("dirty") == "refused" and result.state("after") == "skipped", result.jobs
        assert "secret-" in result.output, result.output

    key = "-----BEGIN RSA PRIVATE KEY-----\n" + "MIIEowIBAAKCAQEA" * 20 + "\n-----END RSA PRIVATE KEY-----\n"
    database = place_database()
    try:
        gated(test, key, database)
    finally:
        shutil.rmtree(os.path.dirname(database))


def gated(test, key, database):
    with_place(test, f"""
pipeline: p
jobs:
  clean: {{gate: {{database: {database}}}, run: "true"}}
  leak: {{run: "mkdir out; printf -- '{key.replace(chr(10), chr(92) + 'n')}' > out/key.pem", artifacts: [out]}}
  dirty: {{needs: leak, gate: {{database: {database}}}, run: "true"}}
  after: {{needs: dirty, run: "true"}}
""")


def place_database():
    """Of one advisory, in a folder of its own, which the caller removes."""
    folder = tempfile.mkdtemp(prefix="sallyport-pipeline-db.")
    with open(folder + "/a.json", "w", encoding="utf-8") as file:
        json.dump({"schema_version": "1.6.0", "id": "T-1", "modified": "2024-01-01T00:00:00Z", "affected": [
            {"package": {"ecosystem": "npm", "name": "x"}, "versions": ["1.0.0"]}]}, file)
    subprocess.run([PROGRAM, "db", "import", "--fresh", "-d", folder + "/db", folder + "/a.json"], check=True,
                   capture_output=True, timeout=TIMEOUT_S)
    return folder + "/db"


CRITICAL = """
pipeline: shop
jobs:
  build: {run: "echo build >> /workspace/readme", artifacts: [readme]}
  deploy: {needs: build, run: "echo deployed", approvals: 2, by: release}
"""
CONFIG = """
listen: 127.0.0.1:1
routes: [{path: /, respond: 200, auth: none}]
store: sqlite:s.db
log: {audit: audit.log}
"""


def approve(place, ident, who, status=0, word="approve"):
    done = subprocess.run([PROGRAM, "approval", word, ident, "--as", who, *place.config], capture_output=True,
                          text=True, timeout=TIMEOUT_S, check=False)
    assert done.returncode == status, done


def a_critical_job_waits_until_others_have_approved_it():
    def test(place):
        result = start(place, "--no-wait")
        assert result.status == 3 and result.state("deploy") == "asks", result.output
        assert result.run["outcome"] == "not finished", result.run
        ident, run_id = result.jobs["deploy"]["approval"], result.run["run"]
        approve(place, ident, "alice", status=1)  # who runs it
        approve(place, ident, "bob")
        result = call(place.resume_words(run_id, "--no-wait"))
        assert result.status == 3 and result.jobs["deploy"]["approval"] == ident, result.jobs
        assert "build" not in result.jobs, "what has ended is not run again"
        approve(place, ident, "carol")
        result = call(place.resume_words(run_id, "--no-wait"))
        assert result.status == 0 and "deployed" in result.output, result.output
        again = call(place.resume_words(run_id, "--no-wait"))
        assert again.status == 1 and "has finished" in again.output, again.output
        done = subprocess.run([PROGRAM, "audit", "verify", place.path("audit.log")], capture_output=True,
                              timeout=TIMEOUT_S, check=False)
        assert done.returncode == 0, done
        with open(place.path("audit.log"), encoding="utf-8") as file:
            audit = file.read()
        assert '"event":"run.started"' in audit and '"job":"deploy","state":"passed"' in audit, audit

    with_place(test, CRITICAL, more=CONFIG)


def a_denial_ends_it_and_what_was_approved_is_what_is_run():
    def test(place):
        result = start(place, "--no-wait")
        approve(place, result.jobs["deploy"]["approval"], "bob", word="deny")
        result = call(place.resume_words(result.run["run"], "--no-wait"))
        assert result.status == 1 and result.state("deploy") == "refused", result.jobs
        # Another pipeline in the place of the one that the run began with.
        result = start(place, "--no-wait")
        approve(place, result.jobs["deploy"]["approval"], "bob")
        approve(place, result.jobs["deploy"]["approval"], "carol")
        kept = place.path("state/" + result.run["run"] + "/pipeline.yaml")
        with open(kept, "a", encoding="utf-8") as file:
            file.write("  more: {run: 'true'}\n")
        result = call(place.resume_words(result.run["run"], "--no-wait"))
        assert result.status == 1 and "not the one that the run began with" in result.output, result.output

    with_place(test, CRITICAL, more=CONFIG)


def without_a_store_a_critical_job_is_not_run():
    def test(place):
        result = start(place)
        assert result.status == 1 and "name a configuration with a 'store'" in result.output, result.output
        assert "deployed" not in result.output

    with_place(test, CRITICAL)


def a_run_that_is_killed_goes_on_where_it_was():
    def test(place):
        start(place)  # can there be containers?
        place.write(json.dumps({"pipeline": "p", "jobs": {
            "first": {"run": ["echo first"], "artifacts": ["readme"]},
            "second": {"needs": ["first"], "run": ["test ! -e begun", "touch begun", "sleep 3", "echo second"]},
            "third": {"needs": ["second"], "run": ["cat /artifacts/first/readme || true", "echo third"]}}}))
        before = set(os.listdir(place.path("state")))
        with subprocess.Popen(place.start_words(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              text=True) as process:
            for line in process.stdout:
                if json.loads(line) == {"job": "second", "state": "runs"}:
                    break
            process.send_signal(signal.SIGKILL)
        ident = (set(os.listdir(place.path("state"))) - before).pop()
        shown = call(place.words("show", ident, "-f", "json"))
        assert (shown.state("first"), shown.state("second"), shown.state("third")) == (
            "passed", "runs", "waits"), shown.jobs
        # A line that was cut does not count.
        with open(place.path("state/" + ident + "/journal"), "a", encoding="utf-8") as file:
            file.write('{"event":"job","job":"second","state":"pas')
        result = call(place.resume_words(ident))
        assert result.status == 0, result.output
        assert "first" not in result.jobs and result.state("second") == "passed", result.jobs

    with_place(test, one(["true"]))


def two_at_once_do_not_run_the_same():
    def test(place):
        start(place)
        place.write(one(["sleep 3"]))
        before = set(os.listdir(place.path("state")))
        with subprocess.Popen(place.start_words(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              text=True) as process:
            process.stdout.readline()
            ident = (set(os.listdir(place.path("state"))) - before).pop()
            result = call(place.resume_words(ident))
            assert result.status == 1 and "another process" in result.output, result.output
            shown = call(place.words("show", ident, "-f", "json"))
            assert shown.status == 0 and shown.state("job") in ("runs", "passed"), shown.output
            process.wait(TIMEOUT_S)
            assert process.returncode == 0

    with_place(test, one(["true"]))


def a_user_without_privileges_can_run_jobs():
    if os.geteuid() != 0:
        raise Skip("root is needed to become another user")
    who = pwd.getpwnam("daemon")

    def become():
        os.setgroups([])
        os.setgid(who.pw_gid)
        os.setuid(who.pw_uid)

    def test(place):
        subprocess.run(["chown", "-R", "daemon:daemon", place.folder], check=True)
        result = call(place.start_words(), preexec_fn=become, cwd="/")
        if "this system makes no containers" in result.output:
            raise Skip(result.output)
        assert result.status == 0 and "uid=1000" in result.output, result.output

    with_place(test, one(["id", "echo x > y"], artifacts=["y"]))


def mistakes_in_a_pipeline_are_told_with_their_place():
    def said(text):
        place = Place(text)
        try:
            done = subprocess.run([PROGRAM, "run", "check", place.path("pipeline.yaml")], capture_output=True,
                                  text=True, timeout=TIMEOUT_S, check=False)
            assert done.returncode == 1, done
            return done.stderr.replace(place.folder + "/", "")
        finally:
            place.close()

    assert "pipeline.yaml:2:1: error: unknown key 'jbos' (did you mean 'jobs'?)" in said("pipeline: p\njbos: {}\n")
    assert "a needs 'b', which is no job" in said("pipeline: p\njobs: {a: {needs: b, run: x}}\n")
    circle = said("pipeline: p\njobs:\n  a: {needs: b, run: x}\n  b: {needs: a, run: x}\n  c: {run: x}\n")
    assert "pipeline.yaml:3:" in circle and "a needs, over others, itself" in circle and "c needs" not in circle, circle
    assert "give 'approvals' and 'by', or neither" in said("pipeline: p\njobs: {a: {run: x, approvals: 1}}\n")
    assert "there is no secret 's'" in said("pipeline: p\njobs: {a: {run: x, secrets: s}}\n")
    assert "no path within the workspace" in said("pipeline: p\njobs: {a: {run: x, artifacts: ../x}}\n")
    assert "give 'run', 'gate' or both" in said("pipeline: p\njobs: {a: {}}\n")
    assert "expected NAME=value" in said("pipeline: p\njobs: {a: {run: x, env: ['=x']}}\n")


def where_namespaces_are_forbidden_nothing_is_run():
    forbid = ["bwrap", "--unshare-user", "--disable-userns", "--uid", "1000", "--gid", "1000", "--dev-bind", "/", "/", "--"]
    if not shutil.which("bwrap") or subprocess.run(forbid + ["true"], check=False, capture_output=True).returncode:
        raise Skip("bubblewrap cannot be used to forbid them")

    def test(place):
        result = call(forbid + place.start_words())
        assert result.status == 1 and "this system makes no containers" in result.output, result.output
        assert not result.jobs, result.jobs
        assert "ran" not in result.output.split(), result.output

    with_place(test, one(["echo ran"]))


def the_example_passes():
    example = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "examples", "pipeline")

    def test(place):
        with open(os.path.join(example, "pipeline.yaml"), encoding="utf-8") as file:
            place.write(file.read())
        shutil.copy(os.path.join(example, "greeting.sh.in"), place.path("code"))
        result = start(place)
        assert result.status == 0 and result.state("pack") == "passed", result.output

    with_place(test, "")


if sys.platform != "linux" or not shutil.which("bwrap"):
    print("bubblewrap is not installed: only what needs none is tested")
run([
    mistakes_in_a_pipeline_are_told_with_their_place,
    jobs_run_in_order_and_pass_on_what_they_keep,
    a_job_that_fails_stops_those_that_need_it_alone,
    a_container_shows_nothing_of_the_machine,
    system_calls_that_lead_out_are_refused,
    there_is_no_network_unless_it_is_asked_for,
    limits_hold,
    only_the_workspace_and_scratch_can_be_written_to,
    memory_in_files_has_a_limit,
    memory_of_a_whole_job_has_a_limit_where_it_is_asked_for,
    the_kernel_is_reached_by_ordinary_calls_only,
    an_image_needs_nothing_of_ours_in_it,
    processes_of_others_do_not_count,
    what_a_job_leaves_behind_does_not_stop_the_run,
    nothing_of_a_job_outlives_it,
    secrets_are_files_for_the_jobs_that_name_them_and_never_shown,
    nobody_changes_what_a_job_has_kept,
    artifacts_lead_nowhere_else,
    a_gate_lets_pass_what_its_policy_takes,
    a_critical_job_waits_until_others_have_approved_it,
    a_denial_ends_it_and_what_was_approved_is_what_is_run,
    without_a_store_a_critical_job_is_not_run,
    a_run_that_is_killed_goes_on_where_it_was,
    two_at_once_do_not_run_the_same,
    a_user_without_privileges_can_run_jobs,
    where_namespaces_are_forbidden_nothing_is_run,
    the_example_passes,
])
