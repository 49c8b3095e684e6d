#!/usr/bin/env bash
# usage: ci/golangci-lint.sh argument...
#
# Runs golangci-lint in the version this repository is checked with: the one that is installed if it is that version,
# else one built into the user's cache.
set -euo pipefail

version=2.15.0

# A linter built with an older Go refuses code for a newer one.
go=$(go env GOVERSION | cut -d. -f1,2)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/flowfabric/golangci-lint-$version-$go

fits() {
	case $("$1" version 2>/dev/null) in
	*" version $version built with $go"[.\ ]*) return 0 ;;
	*) return 1 ;;
	esac
}

for lint in golangci-lint "$(go env GOPATH)/bin/golangci-lint" "$cache/golangci-lint"; do
	if fits "$lint"; then
		exec "$lint" "$@"
	fi
done

echo "golangci-lint: building $version, which takes some minutes, once" >&2
GOFLAGS='' GOBIN=$cache go install "github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v$version"
exec "$cache/golangci-lint" "$@"
