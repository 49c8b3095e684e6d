#!/usr/bin/env bash
# usage: ci/test.sh [argument of go test...]
#
# Runs tests, all by default, on all stores. RACE=on asks for the race detector, RACE=off does without; by default it is
# used where the machine can build it.
set -euo pipefail
cd "$(dirname "$0")/.."

race=-race
case ${RACE:-auto} in
on) ;;
off) race= ;;
auto)
	if ! go build -race runtime/cgo 2>/dev/null; then
		race=
		echo "test: no working C compiler, so without the race detector" >&2
	fi
	;;
*)
	echo "test: RACE is $RACE; it must be on, off or auto" >&2
	exit 2
	;;
esac

if [ $# = 0 ]; then
	set -- ./...
fi
# The race detector brings -d=checkptr, which finds nothing in SQLite translated from C and takes half of the time of its tests.
flags=()
if [ -n "$race" ]; then
	flags=("$race" "-gcflags=modernc.org/...=-d=checkptr=0")
fi
# No package needs a quarter of an hour, even where others use the machine, too: one that hangs should be known before anybody
# has lost patience.
exec ci/servers.sh go test ${flags[@]+"${flags[@]}"} -timeout=15m "$@"
