#!/usr/bin/env bash
# Runs schemathesis (from PyPI, into .servers/python) against the built program on a store of its own:
# `npm run schemathesis [-- more flags of schemathesis run]`. 20,000 cases take seven minutes.
#
# Left out of its checks, for a schema cannot say it:
# - positive_data_acceptance: which commits there are, that a key was used before, that a file is there or not;
# - negative_data_rejection: that `?raw` makes any body good;
# - unsupported_method: Keptn answers a method that it does not know as a path that it does not know, and so do we.
set -euo pipefail
cd "$(dirname "$0")/.."

version=4.32.5
python=$PWD/.servers/python
if [ "$(cat "$python/.version" 2>/dev/null)" != "$version" ]; then
  command -v python3 >/dev/null || { echo "schemathesis: python3 is not installed" >&2; exit 1; }
  echo "schemathesis: installing $version"
  python3 -m venv "$python"
  "$python/bin/pip" install --quiet "schemathesis==$version"
  printf '%s\n' "$version" >"$python/.version"
fi

folder=$(mktemp -d)
PORT=${PORT:-8099} LOG_LEVEL=error STORE_URL="file:$folder/store" CACHE_DIR="$folder/cache" DRAIN_WINDOW_SECONDS=0.2 \
  node dist/src/main.js &
service=$!
trap 'kill "$service" 2>/dev/null; wait "$service" 2>/dev/null || true; rm -rf "$folder"' EXIT

url="http://127.0.0.1:${PORT:-8099}"
for _ in $(seq 100); do
  if node -e "fetch('$url/readyz').then(({ok}) => process.exit(ok ? 0 : 1), () => process.exit(1))"; then break; fi
  sleep 0.2
done
"$python/bin/schemathesis" run "$url/openapi.json" --phases examples,coverage,fuzzing --max-examples 400 \
  --continue-on-failure --suppress-health-check all \
  --exclude-checks positive_data_acceptance,negative_data_rejection,unsupported_method "$@"
