#!/usr/bin/env bash
# Fuzzes every target for FUZZTIME, 20s by default, one after the other. Inputs that fail are kept under testdata/fuzz of
# their package; commit them with the fix.
set -euo pipefail
cd "$(dirname "$0")/.."

targets() {
	grep -r --include='*_test.go' -E '^func Fuzz[A-Za-z0-9_]*\(' . | sed -E 's|^(.*)/[^/]*:func (Fuzz[A-Za-z0-9_]*).*|\1 \2|' | sort
}

trap 'exit 130' INT TERM
failed=0
while read -r pkg target; do
	echo "== $pkg $target"
	go test -run='^$' -fuzz="^$target\$" -fuzztime="${FUZZTIME:-20s}" "$pkg" </dev/null || failed=1
done < <(targets)
exit "$failed"
