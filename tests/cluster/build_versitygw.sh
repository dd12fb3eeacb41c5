#!/bin/sh
# Builds versitygw, the S3 server of the integration tests, from pinned Go modules and prints its path.
# The binary is kept in ${A360_CACHE:-~/.cache/a360}/versitygw-<hash of go.sum>/, so a second call is immediate.
set -eu
module_dir=$(CDPATH= cd -- "$(dirname -- "$0")/go/versitygw" && pwd)
hash=$(sha256sum "$module_dir/go.sum" | cut -c1-16)
target_dir=${A360_CACHE:-$HOME/.cache/a360}/versitygw-$hash
if [ ! -x "$target_dir/versitygw" ]; then
    if ! command -v go >/dev/null; then
        echo "versitygw is not built and Go is missing; hint: install Go >= 1.26" >&2
        exit 2
    fi
    mkdir -p "$target_dir"
    part=$target_dir/versitygw.$$
    trap 'rm -f "$part"' EXIT
    (cd "$module_dir" && CGO_ENABLED=0 GOFLAGS="-buildvcs=false -mod=readonly" \
        go build -trimpath -ldflags='-s -w' -o "$part" github.com/versity/versitygw/cmd/versitygw) >&2
    mv "$part" "$target_dir/versitygw"
fi
echo "$target_dir/versitygw"
