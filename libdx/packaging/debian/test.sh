#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The source archive builds by itself, elsewhere and without git; the Debian packages of what it holds
# please lintian, are installed into an empty system's folder, used there, and removed without a trace.
# Exit code 0 if all of it holds.

set -euo pipefail
top=$(cd "$(dirname "$0")/../../.." && pwd)
temp=$(mktemp -d)
root=$temp/root
region=dx-packages-$$
server=
multiarch=$(dpkg-architecture -qDEB_HOST_MULTIARCH)

clean_up() {
    if [ -n "$server" ]; then kill "$server" 2>/dev/null || true; fi
    rm -rf "$temp" "/dev/shm/$region"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

say() { printf '== %s\n' "$*"; }
fail() {
    printf 'packages: %s\n' "$*" >&2
    exit 1
}

make_archive() {
    local archive
    mkdir "$temp/dist" "$temp/again"
    archive=$("$top/libdx/packaging/dist.sh" "$temp/dist")
    cmp "$archive" "$("$top/libdx/packaging/dist.sh" "$temp/again")" || fail 'two archives of one tree differ'
    tar -xzf "$archive" -C "$temp"
    source=$(echo "$temp"/dx-*)
    if [ -e "$source/.git" ] || [ ! -f "$source/LICENSE" ]; then fail "the archive has: $(ls -a "$source")"; fi
}

# dpkg, on a system's folder of its own. The packages have no scripts, which could do nothing there.
package_tool() {
    local as=()
    [ "$(id -u)" = 0 ] || as=(fakeroot)
    "${as[@]}" dpkg --root="$root" --force-not-root --force-depends --force-script-chrootless "$@" >"$temp/dpkg.log" 2>&1 || {
        cat "$temp/dpkg.log"
        fail "dpkg $*"
    }
}

# What dpkg-gensymbols finds in the library is what the package says.
check_symbols() {
    local library=$root/usr/lib/$multiarch/libdx.so.0.2 stated
    stated=$(echo "$root"/var/lib/dpkg/info/libdx0.2*.symbols)
    mkdir -p "$temp/gensymbols/debian"
    printf 'Source: dx\n\nPackage: libdx0.2\nArchitecture: any\n' >"$temp/gensymbols/debian/control"
    (cd "$temp/gensymbols" && dpkg-gensymbols -plibdx0.2 -v0.2.0 -P"$temp/gensymbols" -e"$library" -I"$stated" -c4 -O"$temp/found") ||
        fail 'the symbols file is not that of the library'
}

# A program is compiled against what is installed, and runs with it.
use_library() {
    local flags program
    export PKG_CONFIG_PATH=$root/usr/lib/$multiarch/pkgconfig LD_LIBRARY_PATH=$root/usr/lib/$multiarch
    read -ra flags < <(pkg-config --cflags --libs dx)
    for program in host guest; do
        "${CC:-cc}" "$root/usr/share/doc/libdx-dev/examples/$program.c" "${flags[@]}" -o "$temp/$program"
    done
    [[ $(ldd "$temp/host") == *"$root/usr/lib/$multiarch/libdx.so.0.2"* ]] || fail 'host does not use what is installed'
    timeout -k 5 60 "$temp/guest" "shm:$region" &
    server=$!
    timeout -k 5 60 "$temp/host" "shm:$region" | grep -q '^10 squared is 100$' || fail 'no answer'
    wait "$server" || fail "guest ended with $?"
    server=
}

# The command, and the unit as systemd would start it.
use_tools() {
    local dx=$root/usr/bin/dx unit=$root/usr/lib/systemd/user/dx-rendezvous@.service line code=0
    [[ $("$dx" -version) == "dx $(pkg-config --modversion dx)" ]] || fail 'dx is of another version'
    line=$(sed -n 's/^ExecStart=//p' "$unit")
    [[ $line == dx\ * ]] || fail "the unit starts $line"
    line=$(sed "s|\${BYTES}|1M|; s|\${VECTORS}|1|; s|%t|$temp|; s|%i|x|" <<<"$line")
    mkfifo "$temp/said"
    # shellcheck disable=SC2086 # words, as systemd has them
    "$root/usr/bin/"$line >"$temp/said" 2>/dev/null &
    server=$!
    read -r line <"$temp/said"
    [ "$line" = ready ] || fail "the unit's program said '$line'"
    [ -S "$temp/dx-x" ] || fail 'the unit serves no socket'
    kill -TERM "$server"
    wait "$server" || code=$?
    server=
    if [ "$code" != 0 ] || [ -e "$temp/dx-x" ]; then fail "the unit's program ended with $code"; fi
}

say 'a source archive'
make_archive
say 'packages of it'
mkdir "$temp/build" "$temp/packages"
"$source/libdx/packaging/debian/packages.sh" "$temp/build" "$temp/packages" >"$temp/log" 2>&1 || {
    cat "$temp/log"
    fail 'no packages'
}
(cd "$temp/packages" && ls -- *.deb)
say 'lintian'
lintian --fail-on error --suppress-tags initial-upload-closes-no-bugs "$temp"/packages/*.deb
say 'install, use, remove'
mkdir -p "$root/var/lib/dpkg/updates" "$root/var/lib/dpkg/info" "$root/var/log"
: >"$root/var/lib/dpkg/status"
package_tool --install "$temp"/packages/*.deb
check_symbols
use_library
use_tools
package_tool --purge dx-tools libdx-dev libdx0.2
left=$(find "$root" -path "$root/var/lib/dpkg" -prune -o -path "$root/var/log/dpkg.log" -prune -o -type f -print)
[ -z "$left" ] || fail "left after the removal: $left"
say 'all of it holds'
