#!/usr/bin/env bash
# Repeats all tests, in an order of its own each time, until one fails or REPEAT seconds, an hour by default, are over.
set -euo pipefail
cd "$(dirname "$0")/.."

round=1
while [ "$SECONDS" -lt "${REPEAT:-3600}" ]; do
	echo "== round $round, after $SECONDS s"
	ci/test.sh -count=1 -shuffle=on ./...
	round=$((round + 1))
done
