#!/usr/bin/env bash
# usage: ci/soak.sh [argument of go test...]
#
# Runs the long forms of the tests that have one: three million simulated steps, then, on servers that do wait for the disk,
# fifty kills in a row, flows of 100,000 members, ten million finished executions, a snapshot held for a minute. Takes about
# half an hour, and some 20 GB of /var/tmp while it runs. Without the race detector, since they compare speeds; the machine
# should have nothing else to do. -run=TestKill9 picks one.
set -euo pipefail
cd "$(dirname "$0")/.."

export FF_SOAK=1
if [ $# -eq 0 ]; then
	go test -count=1 -timeout=1h ./internal/simulation -steps 3000000
fi
exec ci/servers.sh --durable go test -count=1 -timeout=3h -v "$@" ./internal/crashtest
