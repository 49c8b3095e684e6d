#!/usr/bin/env bash
# Fails, naming the files, if go generate changes any. It compares files rather than asking git, so that uncommitted work
# is no obstacle.
set -euo pipefail
cd "$(dirname "$0")/.."

sums() { find . -name .git -prune -o -type f -exec cksum {} + | sort -k3; }

before=$(sums)
go generate ./...
if ! diff <(echo "$before") <(sums); then
	echo "generate: these files were out of date; they are current now and wait to be committed" >&2
	exit 1
fi
