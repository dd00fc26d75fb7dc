#!/bin/sh
# Runs the program given and looks at exit statuses and what it prints where. Speaks TAP.
program=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
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

cat >"$work/good.yaml" <<'END'
listen:
  - {address: "127.0.0.1:0"}
services:
  orders: {endpoints: ["http://127.0.0.1:9"]}
routes:
  - {path: "/orders/**", service: orders, auth: none}
END
sed 's/auth: none/autth: none/' "$work/good.yaml" >"$work/bad.yaml"

run
ok 'without a command the status is 2' status 2
ok 'and standard output is silent' silent out

run --version
ok 'the version is printed' out 'sallyport '
ok 'with status 0' status 0

run chekc
ok 'a wrong command is answered with the nearest' err 'did you mean "check"?'
ok 'with status 2' status 2

run audit
ok 'half of a command of two words is answered with the rest' err 'one more word, of: verify'
ok 'with status 2' status 2

run waf chekc
ok 'a wrong second word is answered with the nearest' err 'did you mean "waf check"?'
ok 'with status 2' status 2

run waf --help
ok 'help for the first word lists all that begin with it' out 'waf explain'
ok 'and no others' sh -c "! grep -q 'audit verify' '$work/out'"
ok 'with status 0' status 0
cp "$work/out" "$work/group"
run help waf
ok 'and the command help says the same' cmp "$work/group" "$work/out"

run check --formt json
ok 'a wrong option is answered with the nearest' err 'did you mean --format?'
ok 'with status 2' status 2

run --help
ok 'the help lists the commands' out 'check a configuration file'
ok 'with status 0' status 0

run help check
cp "$work/out" "$work/help"
run check --help
ok 'a command explains itself the same in both ways' cmp "$work/out" "$work/help"

run check "$work/good.yaml"
ok 'a good configuration has status 0' status 0
ok 'and its plan is printed' out '/orders/**'

run check "$work/bad.yaml"
ok 'a bad configuration has status 1' status 1
ok 'and its problem a place' err "$work/bad.yaml:6:"
ok 'and the nearest key' err 'auth'

run check --format json "$work/bad.yaml"
ok 'problems are JSON when asked for' python3 -c '
import json, sys
found = json.load(open(sys.argv[1]))
assert found["errors"] == 1 and found["problems"][0]["line"] == 6, found' "$work/out"

run threats "$work/good.yaml"
ok 'open threats that fail the policy are status 1' status 1
ok 'with their ids' out '[threat-anybody, high]'
ok 'and how many fail' out ' fail the policy'

cat >"$work/policy.yaml" <<'END'
misconfigurations: {fail: critical, warn: info}
END
run threats --policy "$work/policy.yaml" "$work/good.yaml"
ok 'threats that the policy takes are status 0' status 0
run threats --format sarif --policy "$work/policy.yaml" "$work/good.yaml"
ok 'threats are told as SARIF' out '"threat-anybody"'
run threats --all "$work/bad.yaml"
ok 'there is no model of a configuration with mistakes' status 2
ok 'which are told with their place' err 'bad.yaml:6:'

run check --format json "$work/good.yaml"
ok 'the plan is JSON when asked for' python3 -m json.tool "$work/out"

run check --color always "$work/bad.yaml"
ok 'colour comes when asked for' err "$(printf '\033[31m error: ')"
run check "$work/bad.yaml"
ok 'and not where there is no terminal' sh -c "! grep -q '$(printf '\033')' '$work/err'"

SALLYPORT_CONFIG=$work/good.yaml run check -q
ok 'the environment may name the file' status 0
ok 'and quiet prints nothing' silent out

run schema
ok 'the schema is JSON' python3 -m json.tool "$work/out"

for shell in bash zsh fish; do
	run completion "$shell"
	ok "there is a completion for $shell" out check
	if command -v "$shell" >/dev/null; then
		ok "which $shell can read" "$shell" -n "$work/out"
	fi
done

run completion bash
cat >"$work/complete" <<'END'
source "$1"
complete_at() { COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)); _sallyport; echo "${COMPREPLY[*]}"; }
[[ $(complete_at sallyport che) == check ]] || exit 1
[[ $(complete_at sallyport check --for) == --format ]] || exit 2
[[ $(complete_at sallyport check --format j) == json ]] || exit 3
[[ $(complete_at sallyport completion f) == fish ]] || exit 4
[[ $(complete_at sallyport audit '') == verify ]] || exit 5
[[ $(complete_at sallyport audit verify --f) == --format ]] || exit 6
END
ok 'bash completes commands, options and values' bash "$work/complete" "$work/out"

run man
ok 'the manual page has a section a command' out '.SS "sallyport check'
if command -v man >/dev/null; then
	no_warnings() { ! man --warnings -l "$work/out" 2>&1 >/dev/null | grep .; }
	ok 'and man has no warnings of it' no_warnings
fi

if [ -w /dev/full ]; then
	"$program" version >/dev/full 2>"$work/err"
	status=$?
	ok 'output that cannot be written is an error' status 1
fi
echo "1..$n"
