# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What the checks need, and how to get it. Sourced by run.

# The Debian packages that bring a tool. Go is not among them: Debian 12 has 1.19.
declare -A packages=(
    [cc]='gcc libc6-dev' [gcc]='gcc libc6-dev' [g++]=g++
    [musl-gcc]=musl-tools [aarch64-linux-gnu-gcc]='gcc-aarch64-linux-gnu libc6-dev-arm64-cross'
    [aarch64-linux-gnu-g++]=g++-aarch64-linux-gnu [qemu-aarch64]=qemu-user
    [clang]='clang libc6-dev' [libfuzzer]='clang libclang-rt-dev' [cmake]=cmake
    [make]=ninja-build [gmake]=make [ccache]=ccache [clang-tidy]=clang-tidy [clang-format]=clang-format [cppcheck]=cppcheck
    [shellcheck]=shellcheck [cmocka]=libcmocka-dev [inih]=libinih-dev [libuv]=libuv1-dev [pkg-config]=pkg-config
    [doxygen]=doxygen [abidw]=abigail-tools
    [ncurses]=libncurses-dev [tmux]=tmux [sdt]=systemtap-sdt-dev
    [chromium]='chromium fonts-liberation' [spin]=spin [tcc]=tcc
    [parallel]=parallel [openssl]=libssl-dev [zeromq]=libzmq3-dev [nng]=libnng-dev [qemu-system-x86_64]=qemu-system-x86
    [qemu-system-aarch64]=qemu-system-arm
    [curl]=curl [iperf3]=iperf3 [dpkg-buildflags]=dpkg-dev [lintian]=lintian [fakeroot]=fakeroot
    [qemu-img]=qemu-utils [genisoimage]=genisoimage [mmdebstrap]=mmdebstrap [mke2fs]=e2fsprogs
    [ssh]=openssh-client [ssh-keygen]=openssh-client [newuidmap]=uidmap
)

die() {
    printf 'run: %s\n' "$*" >&2
    exit 2
}

# Programs of packages whose install would start a server, and libraries of another processor: what is
# unpacked of them in build/tools.
declare -A fetched_from=([promtool]=prometheus [nginx]=nginx [sshd]='openssh-server libwrap0'
    [arm64-libraries]='libcmocka0 libcmocka-dev libinih1 libinih-dev')
declare -A fetched_files=([promtool]=./usr/bin/promtool)
declare -A fetched_for=([arm64-libraries]=arm64)
PATH=$PATH:$PWD/build/tools/usr/bin:$PWD/build/tools/usr/sbin

# Whether a C file that holds these lines compiles, which is how headers are found.
compiles() { # compiler lines...
    local compiler=$1
    shift
    printf '%s\n' "$@" 'int nothing;' | "$compiler" -x c -fsyntax-only - 2>/dev/null
}

has() { # tool
    case $1 in
    cc) compiles "${CC:-gcc}" '#include <stdio.h>' ;;
    gcc | clang) compiles "$1" '#include <stdio.h>' ;;
    cmocka)
        compiles "${CC:-gcc}" '#include <setjmp.h>' '#include <stdarg.h>' '#include <stddef.h>' \
            '#include <stdint.h>' '#include <cmocka.h>'
        ;;
    openssl) compiles "${CC:-gcc}" '#include <openssl/evp.h>' ;;
    zeromq) compiles "${CC:-gcc}" '#include <zmq.h>' ;;
    nng) compiles "${CC:-gcc}" '#include <nng/nng.h>' ;;
    libuv) compiles "${CC:-gcc}" '#include <uv.h>' ;;
    inih) compiles "${CC:-gcc}" '#include <ini.h>' ;;
    ncurses) compiles "${CC:-gcc}" '#include <ncurses.h>' ;;
    sdt) compiles "${CC:-gcc}" '#include <sys/sdt.h>' ;;
    libfuzzer) has_libfuzzer ;;
    arm64-libraries) [ -e build/tools/arm64/usr/include/cmocka.h ] && [ -e build/tools/arm64/usr/include/ini.h ] ;;
    make) command -v ninja >/dev/null || command -v make >/dev/null ;;
    go) has_go ;;
    sshd) PATH=$PATH:/usr/sbin command -v sshd >/dev/null && has_user_of_sshd ;;
    mke2fs | nginx) PATH=$PATH:/usr/sbin command -v "$1" >/dev/null ;;
    *) command -v "$1" >/dev/null ;;
    esac
}

# What sshd does before a login, it does as this user if root started it.
has_user_of_sshd() { [ "$(id -u)" != 0 ] || getent passwd sshd >/dev/null; }

has_libfuzzer() {
    local file
    file=$(clang -print-file-name="libclang_rt.fuzzer-$(uname -m).a" 2>/dev/null) && [ -f "$file" ]
}

go_needed() { sed -n 's/^go \([0-9.]*\).*/\1/p' go.mod; }
go_found() { { go version 2>/dev/null || true; } | sed -n 's/.*go\([0-9][0-9.]*\).*/\1/p'; }

has_go() {
    local found
    found=$(go_found)
    [ -n "$found" ] && printf '%s\n%s\n' "$(go_needed)" "$found" | sort -V -C
}

# Go's usual place need not be in PATH.
find_go() {
    has_go && return
    [ -x /usr/local/go/bin/go ] && PATH=/usr/local/go/bin:$PATH has_go &&
        export PATH=/usr/local/go/bin:$PATH
}

explain_go() {
    local found
    # Without this, a Go that would fetch a newer one and cannot says nothing of itself.
    found=$(GOTOOLCHAIN=local go_found)
    if [ -n "$found" ]; then
        found="$(command -v go) is Go $found"
    else
        found='there is none in PATH'
    fi
    cat >&2 <<END
run: Go $(go_needed) or newer is needed; $found.
Debian 12's own package (golang, 1.19) is too old. Download the current Go for Linux from the Go
project's web site, unpack it to /usr/local (it becomes /usr/local/go), and try again: that folder
is found even if it is not in PATH. Any other place will do if its bin folder comes first in PATH.
END
}

# Prints how to become root, an empty line if we are; fails if there is no way without a password.
root_by() {
    if [ "$(id -u)" = 0 ]; then
        echo
    else
        sudo -n true 2>/dev/null && echo 'sudo -n'
    fi
}

install_packages() { # package...
    local line="apt-get install -y --no-install-recommends $*" root
    if ! command -v apt-get >/dev/null; then
        die "missing here: what Debian calls $*. Install it by your system's own means."
    fi
    if ! root=$(root_by); then
        printf 'run: some packages are missing. As root, run:\n  %s\n' "$line" >&2
        exit 2
    fi
    echo "run: ${root:+$root }$line"
    # A clean system may have no package lists yet. The variables are words on purpose.
    # shellcheck disable=SC2086
    if ! { $root apt-get update -q && $root env DEBIAN_FRONTEND=noninteractive $line; }; then
        printf 'run: that failed. As root, run:\n  apt-get update && %s\n' "$line" >&2
        exit 2
    fi
}

fetch_program() { # tool
    local root
    echo "run: apt-get download ${fetched_from[$1]}, of which $1 goes to build/tools"
    mkdir -p build/tools
    # A clean system may have no package lists yet.
    if ! unpack_program "$1" && ! { root=$(root_by) && $root apt-get update -q && unpack_program "$1"; }; then
        die "that failed: install $1 by your own means (Debian: ${fetched_from[$1]})"
    fi
    if [ "$1" = sshd ] && ! has_user_of_sshd; then
        useradd --system --home-dir /run/sshd --shell /usr/sbin/nologin sshd
    fi
}

unpack_program() ( # tool
    local package arch=${fetched_for[$1]:-} apt=(apt-get)
    mkdir -p "build/tools/$arch"
    cd "build/tools/$arch"
    if [ -n "$arch" ]; then # whose packages the system has no lists of
        mkdir -p lists/partial
        trap 'rm -rf lists' EXIT
        apt+=(-o APT::Architectures::="$(dpkg --print-architecture)" -o APT::Architectures::="$arch"
            -o Dir::State::Lists="$PWD/lists" -o Dir::Cache="$PWD/lists")
        "${apt[@]}" update -q || return 1
    fi
    for package in ${fetched_from[$1]}; do
        "${apt[@]}" download -q "$package${arch:+:$arch}" || return 1
        dpkg-deb --fsys-tarfile "$package"_*.deb | tar -x "${fetched_files[$1]:-.}" || return 1
        rm "$package"_*.deb
    done
)

# What vm/vm needs: most of it only to bring a guest up, and of that nothing to explain it.
tools_of_vm() { # argument of vm/vm...
    echo go
    [ "${1:-}" = up ] || return 0
    [[ ! " $* " =~ ' '--?h(elp)?' ' ]] || return 0
    printf '%s\n' qemu-system-x86_64 qemu-img genisoimage ssh ssh-keygen mmdebstrap mke2fs newuidmap
    # A rendezvous, which is part of the program dx.
    case "$* ${IVSHMEM_MODE:-} ${DX_VM_MODE:-}" in *doorbell*) printf '%s\n' cc cmake make ;; esac
}

# Installs what is missing of these tools, or says what to do and exits with 2.
set_up() { # tool...
    local tool missing=() fetched=()
    if [ -z "${CC:-}" ] && ! command -v gcc >/dev/null && has clang; then
        export CC=clang
    fi
    for tool in "$@"; do
        if [ "$tool" = go ]; then
            find_go || {
                explain_go
                exit 2
            }
        elif ! has "$tool"; then
            if [ -n "${fetched_from[$tool]:-}" ]; then fetched+=("$tool"); fi
            # shellcheck disable=SC2206 # words on purpose
            missing+=(${packages[$tool]:-})
        fi
    done
    if [ ${#missing[@]} != 0 ]; then
        mapfile -t missing < <(printf '%s\n' "${missing[@]}" | sort -u)
        install_packages "${missing[@]}"
    fi
    for tool in "${fetched[@]}"; do fetch_program "$tool"; done
}
