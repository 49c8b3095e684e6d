#!/usr/bin/env bash
# usage: ci/run.sh [step...]
#
# The pipeline: runs the steps named, all by default, and fails if any failed. A failed step does not keep the next from
# running, so that one run tells everything. Tests come last, where a reader looks for them.
#
# Not here: govulncheck. It needs a database from the network, so the same commit could pass today and fail tomorrow;
# `make vuln` asks it.
set -uo pipefail
cd "$(dirname "$0")/.." || exit

# Go need not know the commit, and git refuses to tell it in a checkout that another user owns.
export GOFLAGS="${GOFLAGS:+$GOFLAGS }-buildvcs=false"

step_format() { ci/golangci-lint.sh fmt --diff; }
step_generate() { ci/generate.sh; }
step_tidy() { go mod tidy -diff; }
step_vet() { go vet ./...; }
step_lint() { ci/golangci-lint.sh run; }
step_build() { go build ./...; }
step_examples() { ci/examples.sh; }
step_bench() { CI=true ci/servers.sh go test -run='^$' -bench=. -benchtime=1x ./... | sed '/no test files/d'; }
step_peers() { (cd bench/peers && go mod tidy -diff && go vet ./... && go test ./...) && CI=true ci/servers.sh sh -c 'cd bench/peers && go run . -repeat 1 -submits 16 -bulk 1000 -jobs 1000 -idle 1 -limit 1s'; }
step_dashboard() { (cd observe/promtest && go mod tidy -diff && go vet ./... && go test -count=1 ./...); }
step_test() { CI=true ci/test.sh; }

if [ $# = 0 ]; then
	set -- format generate tidy vet lint build examples bench peers dashboard test
fi

trap 'exit 130' INT TERM
failed=()
for step in "$@"; do
	printf '== %s\n' "$step"
	start=$SECONDS
	if "step_$step"; then
		printf '== %s: ok, %d s\n\n' "$step" $((SECONDS - start))
	else
		printf '== %s: FAILED, %d s\n\n' "$step" $((SECONDS - start))
		failed+=("$step")
	fi
done

if [ ${#failed[@]} != 0 ]; then
	printf 'FAILED after %d s: %s\n' "$SECONDS" "${failed[*]}"
	exit 1
fi
printf 'all passed in %d s\n' "$SECONDS"
