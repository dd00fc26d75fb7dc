#!/bin/sh
# Runs the contract commands of the program given. Speaks TAP.
program=$1
work=$(mktemp -d)
service=
finish() {
	[ -z "$service" ] || kill "$service"
	rm -rf "$work"
}
trap finish EXIT
n=0

# ok DESCRIPTION CONDITION...
ok() {
	n=$((n + 1))
	what=$1
	shift
	if "$@" >"$work/condition" 2>&1; then
		echo "ok $n - $what"
	else
		echo "not ok $n - $what"
		sed 's/^/# /' "$work/condition" "$work/out" "$work/err"
	fi
}

run() {
	"$program" "$@" >"$work/out" 2>"$work/err"
	status=$?
}

out() { grep -qF -- "$1" "$work/out"; }
err() { grep -qF -- "$1" "$work/err"; }
silent() { [ ! -s "$work/$1" ]; }
status() { [ "$status" -eq "$1" ] || { echo "status $status"; false; }; }

cat >"$work/api.yaml" <<'END'
openapi: 3.1.0
info: {title: t, version: '1'}
paths:
  /strict: {get: {operationId: strict, parameters: [{name: n, in: query, required: true, schema: {type: integer, maximum: 9}}]}}
  /loose: {get: {operationId: loose, parameters: [{name: n, in: query, required: true, schema: {type: integer, maximum: 9}}]}}
END

run contract check "$work/api.yaml"
ok 'findings make the status 1' status 1
ok 'and have file, line, severity and rule' out "$work/api.yaml:4:13: high: "
ok 'the count is on standard error' err '2 operations, 4 findings'
run contract check --fail-on critical "$work/api.yaml"
ok 'with --fail-on, only from that severity' status 0
run contract check --format json "$work/api.yaml"
ok 'as JSON' out '"rule":"openapi-operation-without-security","severity":"high"'
run contract check --format sarif "$work/api.yaml"
ok 'as SARIF' out '"version":"2.1.0"'
echo 'openapi: [' >"$work/broken.yaml"
run contract check "$work/broken.yaml"
ok 'a document that cannot be read makes the status 2' status 2
ok 'with the place' err "$work/broken.yaml:2:1: "
ok 'and nothing else' silent out

cat >"$work/log" <<'END'
{"method":"GET","path":"/a/1","status":200,"response_body":{"x":1}}
{"method":"GET","path":"/a/2?q=1","status":200}
{"method":"GET","path":"/gone","status":404}
END
run contract learn "$work/log"
ok 'a document is learned' out '"/a/{aId}":'
ok 'what is not there is not' err '2 exchanges, 1 lines skipped'
cp "$work/out" "$work/learned.yaml"
run contract check --fail-on critical "$work/learned.yaml"
ok 'and it is one that loads' status 0
run contract learn /dev/null
ok 'nothing to learn from is an error' status 1

cat >"$work/service.py" <<'END'
import http.server, urllib.parse


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        parts = urllib.parse.urlsplit(self.path)
        n = urllib.parse.parse_qs(parts.query).get("n", [""])[0]
        good = parts.path == "/loose" or (n.isdigit() and int(n) <= 9)
        self.send_response(200 if good else 400)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
END
mkfifo "$work/port"
python3 "$work/service.py" >"$work/port" &
service=$!
read -r port <"$work/port"
run contract test "$work/api.yaml" --url "http://127.0.0.1:$port" --rate 1000
ok 'a service that takes what is forbidden makes the status 1' status 1
ok 'and is told' out 'loose: GET /loose, a parameter too large: n: 200, accepted'
not_strict() { ! grep -q '^strict' "$work/out"; }
ok 'one that keeps its contract is not' not_strict
run contract test "$work/api.yaml" --url "http://127.0.0.1:$port" --rate 1000 --operation strict
ok 'and makes the status 0' status 0
kill "$service"
wait "$service" 2>/dev/null
service=
run contract test "$work/api.yaml" --url "http://127.0.0.1:$port"
ok 'a service that is not there makes the status 2' status 2
echo "1..$n"
