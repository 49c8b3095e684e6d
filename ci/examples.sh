#!/usr/bin/env bash
# Builds every program under examples/ and runs it in an empty folder. Each must succeed within a minute.
set -euo pipefail
cd "$(dirname "$0")/.."

[ -d examples ] || exit 0

room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT

limit=()
if command -v timeout >/dev/null; then
	limit=(timeout 60)
fi

trap 'exit 130' INT TERM
failed=0
for pkg in $(go list -f '{{if eq .Name "main"}}{{.ImportPath}}{{end}}' ./examples/...); do
	name=examples/${pkg#*/examples/}
	program=$room/program
	go build -o "$program" "$pkg"
	mkdir "$room/dir"
	if (cd "$room/dir" && ${limit[@]+"${limit[@]}"} "$program") >"$room/output" 2>&1 </dev/null; then
		echo "ok  	$name"
	else
		echo "FAIL	$name"
		cat "$room/output"
		failed=1
	fi
	rm -rf "$room/dir"
done
exit "$failed"
