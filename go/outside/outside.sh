#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# usage: outside.sh [WAY...]: Go programs in folders of their own require the module dx in each of the
# ways that docs/guide-go.md names (replace, workspace, vendor), and are tested with -race and built with
# -trimpath; the first one is also vetted and built as a C library. Exit code 0 if all of it holds.

set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
here=$top/go/outside
temp=$(mktemp -d)
trap 'rm -rf "$temp"' EXIT
unset GOWORK
export GOFLAGS=-trimpath # as in other checks, so that nothing is compiled twice

say() { printf '== %s\n' "$*"; }
fail() {
    printf 'outside.sh: %s\n' "$*" >&2
    exit 1
}

# A program, its test and a C library, in a module that knows nothing of dx yet.
new_module() { # folder
    cp -r "$here/testdata" "$1"
    cd "$1"
    go mod init example.org/mine 2>/dev/null
}

require_by_replace() {
    go mod edit -require=dx@v0.0.0 -replace="dx=$top"
    go mod tidy
}

require_by_workspace() { go work init . "$top"; }

require_by_vendor() {
    require_by_replace
    go mod vendor
    # What is vendored is enough: nothing else can be reached.
    go mod edit -replace="dx=$temp/gone"
    sed -i "s|=> $top\$|=> $temp/gone|" vendor/modules.txt
    export GOPROXY=off
}

# The program does what it does, however it is built.
use() {
    local dx
    go test -race -count=1 ./...
    go build -trimpath -o "$temp/program" .
    [ "$("$temp/program")" = 'HELLO' ] || fail 'the program printed something else'
    ! grep -qF "$top/" "$temp/program" || fail "-trimpath leaves $top in the program"
    # Only modules of the library's own packages are needed, and none of the experiments.
    dx=$(go list -deps -f '{{with .Module}}{{.Path}}{{end}}' . ./library | sort -u | tr '\n' ' ')
    [ "$dx" = 'dx example.org/mine github.com/BurntSushi/toml golang.org/x/sys ' ] ||
        fail "the program needs these modules: $dx"
}

use_as_library() {
    go vet ./...
    go build -buildmode=c-shared -o "$temp/libmine.so" ./library
    cat >"$temp/use.c" <<'END'
#include <stdio.h>
#include "libmine.h"

int main(void)
{
    char text[] = "hello";
    puts(Shout(text));
    return 0;
}
END
    "${CC:-gcc}" -I "$temp" "$temp/use.c" "$temp/libmine.so" -Wl,-rpath,"$temp" -o "$temp/use"
    [ "$("$temp/use")" = 'HELLO' ] || fail 'the C program printed something else'
}

[ $# -gt 0 ] || set -- replace workspace vendor
for way in "$@"; do
    say "$way"
    (
        new_module "$temp/$way"
        "require_by_$way"
        use
        [ "$way" != "$1" ] || use_as_library
    )
done
say 'all of it holds'
