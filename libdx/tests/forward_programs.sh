#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# forward_programs.sh DX: programs that know nothing of dx reach each other through dx forward, between
# two processes: OpenSSH, curl and nginx, iperf3 with four streams. vm/test_forward.sh has the same with a
# Debian guest. Exit code 0 if all of it holds.

set -euo pipefail
dx=$(realpath "${1:?which dx}")
PATH=$PATH:/usr/sbin
temp=$(mktemp -d)
started=()
# Ports are this program's own at an address of its own.
address=127.$((RANDOM % 250 + 1)).$((RANDOM % 250 + 1)).$((RANDOM % 250 + 1))

end() { # pid
    kill -TERM "$1" 2>/dev/null || true
    wait "$1" 2>/dev/null || true
}

clean_up() {
    local pid
    for pid in "${started[@]}"; do end "$pid"; done
    rm -rf "$temp" /dev/shm/"dx-forward-$$"-*
    if [ -n "${made_run:-}" ]; then rmdir /run/sshd 2>/dev/null || true; fi
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

say() { printf '== %s\n' "$*"; }
fail() {
    printf 'forward_programs.sh: %s\n' "$*" >&2
    exit 1
}

# Starts a program in the background, and returns when it has said a word.
start() { # word command...
    local word=$1 line out
    shift
    out=$(mktemp -u "$temp/said-XXXXXX")
    mkfifo "$out"
    "$@" >"$out" 2>&1 &
    started+=($!)
    exec {reader}<"$out"
    while IFS= read -r line <&"$reader"; do
        if [[ $line == *"$word"* ]]; then
            cat <&"$reader" >/dev/null &
            exec {reader}<&-
            return
        fi
        printf '%s\n' "$line" >&2
    done
    fail "$1 ended before it said \"$word\""
}

# Whoever connects to the first socket reaches the second one.
forward() { # name listen connect
    start ready "$dx" forward -connect "$3" -conns 8 "shm:forward-$$-$1"
    start ready "$dx" forward -listen "$2" "shm:forward-$$-$1"
}

start_sshd() {
    ssh-keygen -q -t ed25519 -N '' -f "$temp/host_key"
    ssh-keygen -q -t ed25519 -N '' -f "$temp/key"
    printf '%s\n' "ListenAddress $address" 'Port 2201' "HostKey $temp/host_key" "AuthorizedKeysFile $temp/key.pub" \
        'StrictModes no' 'UsePAM no' 'PidFile none' 'PasswordAuthentication no' >"$temp/sshd_config"
    if [ "$(id -u)" = 0 ] && [ ! -d /run/sshd ]; then
        mkdir -m 0755 /run/sshd
        made_run=yes
    fi
    # Unpacked by .ci/setup.sh it has a library beside it.
    sshd=$(command -v sshd)
    start 'Server listening' env LD_LIBRARY_PATH="$(echo "${sshd%/usr/*}"/{,usr/}lib/*-linux-gnu | tr ' ' :)" "$sshd" -D -e -f "$temp/sshd_config"
}

through_ssh() {
    ssh -p 2202 -i "$temp/key" -F none -o BatchMode=yes -o StrictHostKeyChecking=no -o LogLevel=ERROR \
        -o UserKnownHostsFile="$temp/known" "$address" "$@"
}

start_nginx() {
    mkdir "$temp/web"
    cp "$temp/bytes" "$temp/web"
    cat >"$temp/nginx.conf" <<END
pid $temp/nginx.pid;
error_log stderr notice;
events {}
http {
    access_log off;
    client_body_temp_path $temp/nginx-1; proxy_temp_path $temp/nginx-2; fastcgi_temp_path $temp/nginx-3;
    uwsgi_temp_path $temp/nginx-4; scgi_temp_path $temp/nginx-5;
    server { listen unix:$temp/nginx.socket; root $temp/web; }
}
END
    [ "$(id -u)" != 0 ] || sed -i '1i user root;' "$temp/nginx.conf"
    start 'start worker process' nginx -p "$temp" -e stderr -c "$temp/nginx.conf" -g 'daemon off;'
}

say ssh
head -c 4194304 /dev/urandom >"$temp/bytes"
start_sshd
forward ssh "tcp:$address:2202" "tcp:$address:2201"
through_ssh cat <"$temp/bytes" >"$temp/back"
cmp "$temp/back" "$temp/bytes" || fail 'ssh brings other bytes back'
code=0
through_ssh exit 7 || code=$?
[ "$code" = 7 ] || fail "ssh returns $code and not 7"

say 'curl and nginx'
start_nginx
forward web "unix:$temp/web.socket" "unix:$temp/nginx.socket"
curl --silent --no-progress-meter --show-error --fail --unix-socket "$temp/web.socket" \
    --parallel --output "$temp/got-#1" 'http://localhost/bytes?[1-6]' || fail "curl ended with $?"
for i in 1 2 3 4 5 6; do cmp "$temp/got-$i" "$temp/bytes" || fail 'nginx sent other bytes'; done

say 'iperf3, four streams in each direction'
forward iperf "tcp:$address:5202" "tcp:$address:5201"
for direction in '' --reverse; do
    # A server that has served one test listens anew, at a time that nobody tells.
    start 'Server listening' iperf3 --server --one-off --bind "$address" --port 5201 --forceflush
    iperf3 --client "$address" --port 5202 --parallel 4 --bytes 64M ${direction:+"$direction"} --json >"$temp/iperf" ||
        fail "iperf3 ended with $?: $(cat "$temp/iperf")"
    bytes=$(tr -d ' \t\n' <"$temp/iperf" | sed -nE 's/.*"sum_received":\{[^}]*"bytes":([0-9]+).*/\1/p')
    # It counts what was received when the last was sent; the rest is in the buffers of sockets.
    wait "${started[-1]}" || fail "iperf3's server ended with $?"
    unset 'started[-1]'
    [ "${bytes:-0}" -ge 16000000 ] || fail "iperf3 received ${bytes:-nothing} bytes"
done

say 'it ends, and leaves nothing'
for pid in "${started[@]}"; do end "$pid"; done
started=()
left=$(find /dev/shm -name "*forward-$$-*"; ls "$temp"/*.socket 2>/dev/null) || true
[ -z "$left" ] || fail "left: $left"
say 'all of it holds'
