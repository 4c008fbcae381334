#!/usr/bin/env bash
# Installs what the tests run against: Redis, nginx, git, wrk, etcd, openssl, nftables, iproute2 and faketime from Debian's
# packages; MinIO, Versity Gateway and Helm with `go install` into .servers/bin. What is there already is left alone, so a second
# run does nothing.
set -euo pipefail
cd "$(dirname "$0")/.."

# MinIO publishes sources only, and no release holds the fix that keeps a conditional PUT conditional when read quorum is
# lost (minio/minio#21653): so a commit of its main branch.
minio=github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c
versitygw=github.com/versity/versitygw/cmd/versitygw@v1.8.0
helm=helm.sh/helm/v3/cmd/helm@v3.22.0

bin=$PWD/.servers/bin
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin:/usr/local/go/bin
mkdir -p "$bin"

say() { printf 'servers: %s\n' "$*"; }

fail() {
  printf 'servers: %s\n' "$*" >&2
  exit 1
}

install_packages() {
  local packages=()
  for pair in redis-server:redis-server nginx:nginx git:git wrk:wrk etcd:etcd-server openssl:openssl nft:nftables ip:iproute2 faketime:faketime; do
    command -v "${pair%%:*}" >/dev/null || packages+=("${pair##*:}")
  done
  if [ ${#packages[@]} -eq 0 ]; then return; fi
  command -v apt-get >/dev/null || fail "this is no Debian: install ${packages[*]} with your own package manager, and run this again"
  local root=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || fail "neither root nor sudo: ask somebody to install ${packages[*]}"
    root=(sudo)
  fi
  say "installing ${packages[*]} (apt-get)"
  "${root[@]}" apt-get update -q >/dev/null
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "${packages[@]}" >/dev/null
}

# Builds one program, with a line every 20 s: cold, MinIO takes minutes.
install_go() {
  local name=$1 package=$2
  local stamp=$bin/.$name.version
  if [ -x "$bin/$name" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$package" ]; then return; fi
  command -v go >/dev/null || fail "Go is not installed: it builds $name (https://go.dev/dl, 1.26 or newer)"
  say "building $package (minutes when nothing is cached)"
  local started=$SECONDS told=0 passed log pid
  log=$(mktemp)
  GOBIN=$bin go install "$package" >"$log" 2>&1 &
  pid=$!
  while kill -0 "$pid" 2>/dev/null; do
    sleep 0.5
    passed=$((SECONDS - started))
    if [ $((passed % 20)) -eq 0 ] && [ "$passed" -ne "$told" ]; then
      say "  still building $name, ${passed} s"
      told=$passed
    fi
  done
  wait "$pid" || {
    cat "$log" >&2
    rm -f "$log"
    fail "$name was not built"
  }
  rm -f "$log"
  printf '%s\n' "$package" >"$stamp"
  say "$name built in $((SECONDS - started)) s"
}

install_packages
install_go minio "$minio"
install_go versitygw "$versitygw"
install_go helm "$helm"
say "all there: redis-server, nginx, git, wrk, etcd, openssl, nft, ip, faketime, minio, versitygw, helm"
