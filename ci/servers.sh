#!/usr/bin/env bash
# usage: ci/servers.sh [--durable] [--redis] command [argument...]
#
# Runs a command with the servers its tests need, and returns its exit status. A server whose URL is in the environment
# is used as it is; otherwise a throwaway one is started on a free port, in a temporary folder, and removed when the
# command ends or is interrupted. The command finds it under the same variable:
#
#	PostgreSQL	FF_PG_TEST_URL
#	Redis		FF_REDIS_TEST_URL, with --redis alone: no store needs it, another queue that is measured does
#
# PgBouncer is started by the test that needs it; here it is only installed, and found as the program pgbouncer.
#
# Without --durable servers do not wait for the disk: fast, and nothing they hold outlives them anyway. --durable is for
# measurements: servers keep their promises and have the memory a real one would have.
#
# Where no server can be had the command runs without it, and its tests skip; with CI=true that is a failure.
#
# shellcheck disable=SC2317 # cleanup and what it calls are reached through a trap
set -uo pipefail

durable=false
if [ "${1-}" = --durable ]; then
	durable=true
	shift
fi
redis=false
if [ "${1-}" = --redis ]; then
	redis=true
	shift
fi

note() { printf 'servers: %s\n' "$*" >&2; }

# Life of the servers. All live in one folder; each registers how it is stopped before it is started, so that an
# interruption at any moment leaves nothing behind.

room=
stops=()

cleanup() {
	local stop
	for stop in ${stops[@]+"${stops[@]}"}; do
		"$stop"
	done
	[ -z "$room" ] || rm -rf "$room"
}

# make_room creates the folder. Measurements go to /var/tmp: /tmp is often memory, where waiting for the disk costs nothing.
make_room() {
	local parent=/tmp
	if $durable; then parent=/var/tmp; fi
	[ -n "$room" ] || room=$(mktemp -d "${TMPDIR:-$parent}/flowfabric.XXXXXX") || return
	chmod 711 "$room" # a server that runs as another user has its folder in here
}

# as_user runs a command as an unprivileged user: servers refuse to run as root.
as_user() {
	local user=$1
	shift
	if [ "$(id -un)" = "$user" ]; then
		"$@"
	elif command -v runuser >/dev/null; then
		runuser -u "$user" -- "$@"
	else
		# shellcheck disable=SC2016 # expanded by the inner shell
		su -s /bin/sh -c 'exec "$0" "$@"' -- "$user" "$@"
	fi
}

# server_user prefers the user a server's package made for it.
server_user() {
	if [ "$(id -u)" != 0 ]; then
		id -un
	elif id "$1" >/dev/null 2>&1; then
		echo "$1"
	else
		echo nobody
	fi
}

# install asks the system for a package, where that needs nobody's password.
install() {
	if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
		return 1
	fi
	note "installing the package $1"
	(
		export DEBIAN_FRONTEND=noninteractive
		apt-get update && apt-get install -y --no-install-recommends "$1"
	) >"$room/install.log" 2>&1 </dev/null || {
		tail -n 5 "$room/install.log" >&2
		return 1
	}
}

megabytes_of_memory() {
	local pages size
	pages=$(getconf _PHYS_PAGES 2>/dev/null) || pages=0
	size=$(getconf PAGE_SIZE) || size=0
	echo $((pages * size / 1048576))
}

# missing is what happens when a program cannot be had. The second argument says what else would do.
missing() {
	if [ "${CI-}" = true ]; then
		note "$1 is not to be had, and CI needs it. Install it$2."
		exit 1
	fi
	note "NOTICE: $1 is not to be had; its tests are SKIPPED. Install it$2."
}

# PostgreSQL.

pg_bin=
pg_dir=
pg_user=

# newest_first sorts folders that carry a version and drops a pattern that matched none.
newest_first() { printf '%s\n' "$@" | grep -v '\*' | sort -rV; }

postgres_find() {
	local dir dirs
	dirs=$(
		newest_first /usr/lib/postgresql/*/bin
		newest_first /usr/pgsql-*/bin
		echo /usr/local/pgsql/bin
		newest_first /opt/homebrew/opt/postgresql*/bin
		newest_first /usr/local/opt/postgresql*/bin
		dirname "$(command -v initdb)"
	)
	while read -r dir; do
		if [ -x "$dir/initdb" ] && [ -x "$dir/postgres" ] && [ -x "$dir/pg_ctl" ]; then
			pg_bin=$dir
			return
		fi
	done <<<"$dirs"
	return 1
}

postgres_config() {
	cat <<-END
		listen_addresses = '127.0.0.1'
		unix_socket_directories = ''
		max_connections = 300
	END
	if compgen -G "$("$pg_bin/pg_config" --pkglibdir 2>/dev/null)/pg_stat_statements.*" >/dev/null; then
		echo "shared_preload_libraries = 'pg_stat_statements'"
	fi
	if ! $durable; then
		cat <<-END
			fsync = off
			synchronous_commit = off
			full_page_writes = off
		END
		return
	fi
	cat <<-END
		fsync = on
		synchronous_commit = on
		max_wal_size = '8GB'
	END
	if [ "$(megabytes_of_memory)" -ge 4096 ]; then
		echo "shared_buffers = '1GB'"
	fi
}

postgres_stop() {
	(cd "$pg_dir" && as_user "$pg_user" "$pg_bin/pg_ctl" stop -D "$pg_dir/data" -m immediate) >/dev/null 2>&1
}

# postgres_start takes the first port that is free: the server itself finds out, so nobody can take it in between.
postgres_start() {
	local password port try
	pg_dir=$room/postgres pg_user=$(server_user postgres)
	mkdir "$pg_dir" || return
	# A password, because any user of the machine could become a superuser of the server without one.
	password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
	echo "$password" >"$pg_dir/password"
	chmod 700 "$pg_dir"
	[ "$(id -u)" != 0 ] || chown -R "$pg_user" "$pg_dir" || return
	cd "$pg_dir" || return
	as_user "$pg_user" "$pg_bin/initdb" -D "$pg_dir/data" -U postgres --auth=password --pwfile=password \
		--encoding=UTF8 --locale=C --no-sync || return
	postgres_config >>data/postgresql.conf
	stops+=(postgres_stop)
	for try in 1 2 3 4 5; do
		port=$((20000 + RANDOM % 12000))
		if as_user "$pg_user" "$pg_bin/pg_ctl" start -w -D "$pg_dir/data" -l log -o "-p $port"; then
			export FF_PG_TEST_URL="postgres://postgres:$password@127.0.0.1:$port/postgres?sslmode=disable"
			return
		fi
		echo "try $try did not start"
	done
	cat log
	return 1
}

postgres() {
	if [ -n "${FF_PG_TEST_URL-}" ]; then
		note "PostgreSQL: the server of FF_PG_TEST_URL"
		return
	fi
	make_room || return
	if ! postgres_find && ! { install postgresql && postgres_find; }; then
		missing PostgreSQL ", or set FF_PG_TEST_URL to use a server that runs elsewhere"
		return
	fi
	# shellcheck disable=SC2086 # names of variables; settings meant for another server would reach this one
	unset ${!PG@}
	local here=$PWD
	if postgres_start >"$room/postgres.log" 2>&1 </dev/null; then
		note "PostgreSQL: $("$pg_bin/postgres" --version | cut -d' ' -f3), throwaway, durable: $durable"
	else
		tail -n 20 "$room/postgres.log" >&2
		missing PostgreSQL ", or set FF_PG_TEST_URL to use a server that runs elsewhere"
	fi
	cd "$here" || return
}

# PgBouncer.

pgbouncer() {
	PATH=$PATH:/usr/sbin # where Debian has it, and not every user's path leads
	if type -P pgbouncer >/dev/null; then
		return
	fi
	make_room || return
	install pgbouncer || missing PgBouncer ""
}

# Redis, or Valkey, which is the same to its users.

redis_pid=

redis_stop() { kill "$redis_pid" 2>/dev/null; }

redis() {
	local server port try
	if [ -n "${FF_REDIS_TEST_URL-}" ]; then
		note "Redis: the server of FF_REDIS_TEST_URL"
		return
	fi
	server=$(type -P valkey-server || type -P redis-server)
	if [ -z "$server" ] && install redis-server; then
		server=$(type -P redis-server)
	fi
	if [ -z "$server" ] || ! make_room; then
		missing Redis ", or set FF_REDIS_TEST_URL to use a server that runs elsewhere"
		return
	fi
	mkdir -p "$room/redis"
	for try in 1 2 3 4 5; do
		port=$((20000 + RANDOM % 12000))
		"$server" --bind 127.0.0.1 --port "$port" --dir "$room/redis" --save '' --appendonly yes --appendfsync everysec \
			>"$room/redis.log" 2>&1 </dev/null &
		redis_pid=$!
		sleep 1
		if kill -0 "$redis_pid" 2>/dev/null; then
			stops+=(redis_stop)
			export FF_REDIS_TEST_URL="redis://127.0.0.1:$port"
			note "Redis: $(basename "$server"), throwaway, append-only file, fsync each second (try $try)"
			return
		fi
	done
	missing Redis ", or set FF_REDIS_TEST_URL to use a server that runs elsewhere"
}

# The command gets a process group of its own, so that an interruption reaches all it has started. The servers are
# stopped after it, not with it.

trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
postgres
pgbouncer
if $redis; then redis; fi

set -m
"$@" </dev/null &
command=$!
trap 'kill -TERM -- "-$command" 2>/dev/null' INT TERM HUP
{
	wait "$command"
	status=$?
	while kill -0 "$command"; do # an interruption ended the wait, not the command
		wait "$command"
		status=$?
	done
	exit "$status"
} 2>/dev/null # the shell's own remark on a job that was interrupted
