#!/usr/bin/env bash
# Builds the lab's programs into a folder: kubelab (etcd, API server, controllers, scheduler, kube-proxy and kubectl in one), knode
# (the kubelet) and kinit (the init of each container). What is there already is left alone, so a second run does nothing.
set -euo pipefail
out=$(mkdir -p "$1" && cd "$1" && pwd)
cd "$(dirname "$0")/ctl"
PATH=$PATH:/usr/local/go/bin

stamp=$(cat go.mod go.sum ./*/*.go ../build.sh | sha256sum)
if [ -x "$out/knode" ] && [ "$(cat "$out/.stamp" 2>/dev/null)" = "$stamp" ]; then exit 0; fi
command -v go >/dev/null || {
  echo "kubernetes: Go is not installed: it builds the lab (https://go.dev/dl, 1.26 or newer)" >&2
  exit 1
}
version=$(sed -nE 's#.*k8s.io/kubernetes (v[0-9.]+).*#\1#p' go.mod | head -1)
echo "kubernetes: building Kubernetes $version (6 minutes and 3.4 GB when nothing is cached)"
started=$SECONDS
base=k8s.io/component-base/version
minor=${version#v1.}
CGO_ENABLED=0 GOFLAGS="-buildvcs=false -modcacherw" nice -n 19 go build -trimpath -o "$out/" \
  -ldflags="-s -w -X $base.gitVersion=$version -X $base.gitMajor=1 -X $base.gitMinor=${minor%%.*}" ./kubelab ./knode ./kinit
ln -sf kubelab "$out/kubectl"
printf '%s\n' "$stamp" >"$out/.stamp"
echo "kubernetes: built in $((SECONDS - started)) s"
