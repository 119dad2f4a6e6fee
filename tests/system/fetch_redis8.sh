#!/usr/bin/env bash
# Fetch Redis 8 for the tests, from Debian 13 whatever release this is: its packages are unpacked into a folder, with the
# loader and libraries that they were built for, and nothing is installed. Usage: fetch_redis8.sh FOLDER
set -euo pipefail

into=$(realpath -m "$1")
mirror=$(apt-get indextargets --format '$(SITE)' | grep -v security | sort -u | head -1)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/lists/partial "$work"/cache/archives/partial "$work"/debs
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror trixie main" >"$work/sources.list"
apt() {
  apt-get -qq -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=- -o Dir::State::lists="$work/lists" \
    -o Dir::Cache="$work/cache" -o Debug::NoLocking=1 -o APT::Sandbox::User=root "$@"
}
apt update
libraries=(libatomic1 libc6 libcap2 libgcc-s1 libgcrypt20 libgpg-error0 libjemalloc2 liblua5.1-0 liblz4-1 liblzf1 liblzma5
  libssl3t64 libstdc++6 libsystemd0 libzstd1 lua-bitop lua-cjson zlib1g)
(cd "$work/debs" && apt download redis-server redis-tools "${libraries[@]}")
rm -rf "$into"
mkdir -p "$into/root"
for package in "$work"/debs/*.deb; do dpkg-deb -x "$package" "$into/root"; done
cat >"$into/redis-server" <<'START'
#!/usr/bin/env bash
root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/root
lib=$root/usr/lib/$(uname -m)-linux-gnu
exec "$lib"/ld-linux-*.so.* --library-path "$lib" "$root/usr/bin/redis-server" "$@"
START
chmod +x "$into/redis-server"
"$into/redis-server" --version
