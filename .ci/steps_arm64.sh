# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# The check arm64: what is built for that processor, and its tests, by an emulator. Sourced by run, after
# steps.sh. Tests start programs, and these are for arm64, too: the kernel is told who runs them
# (binfmt_misc). A thread's loads and stores come in an order that x86 allows, so that this shows
# nothing of the memory order: libdx/model does.

step_arm64() {
    local libraries=$PWD/build/tools/arm64/usr/lib/aarch64-linux-gnu
    local target=(-DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=aarch64
        -DCMAKE_C_COMPILER=aarch64-linux-gnu-gcc -DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++
        -DCMAKE_INCLUDE_PATH="$PWD/build/tools/arm64/usr/include" -DCMAKE_LIBRARY_PATH="$libraries"
        -DCMAKE_EXE_LINKER_FLAGS="-L$libraries" -DCMAKE_SHARED_LINKER_FLAGS="-L$libraries"
        -DCMAKE_BUILD_RPATH="$libraries")
    PKG_CONFIG_LIBDIR=$libraries/pkgconfig PKG_CONFIG_SYSROOT_DIR=$PWD/build/tools/arm64 \
        build_with arm64 "${target[@]}" -DDX_DOCS=OFF -DCMAKE_C_FLAGS='-O2 -DDX_TEST_ONE_WAY_OF=16'
    export QEMU_LD_PREFIX=/usr/aarch64-linux-gnu QEMU_SET_ENV=LD_LIBRARY_PATH=$libraries
    emulated test_arm64
}

# What step_arm64 has emulated. It calls no other function.
test_arm64() {
    local left_out
    left_out=$(sed -E '/^(#|$)/d; s/ .*//' libdx/tests/not_emulated.txt | paste -sd '|')
    DX_TEST_KILLS=40 ctest --test-dir build/check-arm64 -L '^(unit|process|stress)$' -E "^($left_out)\$" \
        -j $((2 * $(nproc))) --no-tests=error --output-on-failure
    OBJDUMP=aarch64-linux-gnu-objdump GOARCH=arm64 CGO_ENABLED=1 CC=aarch64-linux-gnu-gcc CGO_CFLAGS='-O1 -g -Werror' \
        go test -count=1 -timeout 0 ./go/...
}

# Calls a function that starts programs for arm64. Root's entry in the kernel's list is this check's own:
# another one, of another clone, may end before us.
emulated() { # function
    local entry=dx-aarch64-$$
    if [ "$(id -u)" = 0 ]; then
        (
            trap 'echo -1 >"/proc/sys/fs/binfmt_misc/$entry"' EXIT
            [ -e /proc/sys/fs/binfmt_misc/register ] || mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
            register_arm64 "$entry"
            runs_arm64 || { echo 'programs for arm64 do not run, though qemu-aarch64 is registered'; exit 1; }
            "$1"
        )
    elif runs_arm64; then
        "$1"
    else
        # Since Linux 6.7 each user namespace can have its own list.
        unshare --user --map-root-user --mount bash -euo pipefail -c "$(declare -f register_arm64 "$1")
            mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
            register_arm64 $entry
            $1"
    fi
}

runs_arm64() {
    local code=0
    echo 'int main(void) { return 42; }' |
        aarch64-linux-gnu-gcc -static -x c - -o "$TMPDIR/arm64-probe"
    "$TMPDIR/arm64-probe" 2>/dev/null || code=$?
    [ "$code" = 42 ]
}

# The magic number is that of an ELF program for arm64: 64 bits, little-endian, machine 183.
register_arm64() { # entry
    local head='\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00'
    local mask='\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff'
    printf '%s' ":$1:M::$head\x02\x00\xb7\x00:$mask\xfe\xff\xff\xff:$(command -v qemu-aarch64):PF" \
        >/proc/sys/fs/binfmt_misc/register
}
