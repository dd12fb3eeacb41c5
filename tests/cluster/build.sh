#!/bin/bash
# Builds programs of the tests from pinned Go modules and prints the path of each, one per line:
#
#   tests/cluster/build.sh versitygw argo kubelet       builds what is missing
#   tests/cluster/build.sh --where versitygw            builds nothing; exit 1 names what is missing
#
# go/<module>/ holds go.mod, go.sum and recipe.sh, which names the module's programs. A program is kept in
# ${A360_CACHE:-~/.cache/a360}/<module>-<hash of that folder>/, so a second call is immediate. Checksums are
# verified: nothing is built that the committed go.sum does not name.
set -euo pipefail
modules_dir=$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/go" && pwd)
cache_dir=${A360_CACHE:-$HOME/.cache/a360}

main() {
    local build=yes missing=() name
    if [ "${1-}" = --where ]; then build=no && shift; fi
    [ $# -gt 0 ] || { echo "usage: build.sh [--where] PROGRAM..." >&2 && exit 2; }
    for name in "$@"; do
        find_recipe "$name"
        if [ ! -x "$target_dir/$name" ] && [ $build = yes ]; then build_program "$name"; fi
        [ -x "$target_dir/$name" ] || missing+=("$name")
        echo "$target_dir/$name"
    done
    if [ ${#missing[@]} -gt 0 ]; then
        echo "not built: ${missing[*]}; hint: tests/cluster/build.sh ${missing[*]}" >&2
        exit 1
    fi
}

find_recipe() { # sets module_dir, target_dir and what the recipe of the program says
    for module_dir in "$modules_dir"/*/; do
        module_dir=${module_dir%/} ldflags='' tags='' programs=''
        prepare() { :; }
        # shellcheck source=/dev/null
        . "$module_dir/recipe.sh"
        if [[ " $programs " == *" $1 "* ]]; then
            local hash
            hash=$(cd "$module_dir" && LC_ALL=C && sha256sum -- * | sha256sum | cut -c1-16)
            target_dir=$cache_dir/${module_dir##*/}-$hash
            return
        fi
    done
    echo "no recipe of tests/cluster/go builds '$1'" >&2
    exit 2
}

build_program() {
    if ! command -v go >/dev/null; then
        echo "$1 is not built and Go is missing; hint: install Go >= 1.26" >&2
        exit 2
    fi
    mkdir -p "$target_dir"
    (
        flock 9 # two builds of one module wait for each other; the second finds it done
        [ ! -x "$target_dir/$1" ] || exit 0
        work_dir=$target_dir/.work
        trap 'rm -rf "$work_dir"' EXIT
        rm -rf "$work_dir" && mkdir "$work_dir"
        cp "$module_dir"/go.* "$work_dir"
        export CGO_ENABLED=0 GOFLAGS="${GOFLAGS-} -buildvcs=false -mod=readonly"
        cd "$module_dir"
        prepare "$work_dir"
        go build -modfile="$work_dir/go.mod" -trimpath -tags="$tags" -ldflags="-s -w $ldflags" \
            -o "$work_dir/$1" "$(package "$1")"
        mv "$work_dir/$1" "$target_dir/$1"
    ) 9>"$target_dir/.lock" >&2
}

main "$@"
