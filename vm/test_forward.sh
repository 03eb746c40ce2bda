#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Programs of this machine reach those of a Debian guest by dx forward: ssh, curl and nginx, iperf3 with
# four streams. vm/test_forward.sh; takes three minutes under TCG, and not part of ./run check, which has
# the same programs between two processes (libdx/tests/forward_programs.sh).
set -euo pipefail

top=$(cd "$(dirname "$0")/.." && pwd)
cd "$top"
# shellcheck source=.ci/setup.sh
. .ci/setup.sh
mapfile -t tools < <(tools_of_vm up)
set_up cc cmake make curl iperf3 nginx "${tools[@]}"
work=$(mktemp -d /tmp/dxvm-XXXXXX)
export XDG_STATE_HOME=$work DX_VM_NAME=forward-$$ DX_VM_REGION=16M
vm=$top/vm/vm
region=/dev/shm/dx-vm-$DX_VM_NAME
here=
address=127.$((RANDOM % 250 + 1)).$((RANDOM % 250 + 1)).1
# Under TCG a machine may get no CPU for a while.
patience=(-peer-timeout 60)

end() {
    if [ -n "$here" ]; then kill "$here" 2>/dev/null || true; fi
    "$vm" down >/dev/null 2>&1 || true
    rm -rf "$work"
}
trap end EXIT

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

# For the guest's shell: waits until the log of a process has a word.
# shellcheck disable=SC2016 # the guest's shell expands it
await='await() { # process log word
    exec 3< <(exec tail -f -n +1 --pid=$1 "$2")
    local tail=$!
    grep -m 1 "$3" <&3 || { cat "$2"; exit 1; }
    kill $tail
}'

# Runs the rest while whoever connects to the port here reaches the socket in the guest.
through() { # socket-of-the-guest command...
    local line
    "$vm" ssh "$await
        setsid ./dx forward -connect $1 ${patience[*]} ivshmem:plain >said 2>&1 </dev/null & echo \$! >pid
        await \$! said ready"
    mkfifo "$work/ready"
    build/forward/dx forward -listen "tcp:$address:2202" -create "${patience[@]}" "file:$region" >"$work/ready" &
    here=$!
    read -r line <"$work/ready" || fail 'dx forward ended'
    [ "$line" = ready ] || fail "dx forward says $line"
    rm "$work/ready"
    "${@:2}"
    kill "$here"
    wait "$here" || fail "dx forward ended with $?"
    here=
    # shellcheck disable=SC2016 # the guest's shell expands it
    "$vm" ssh 'kill $(cat pid); tail -f --pid=$(cat pid) /dev/null'
}

by_ssh() {
    ssh -p 2202 -i "$work/dx/vm-$DX_VM_NAME/key" -F none -o BatchMode=yes -o StrictHostKeyChecking=no -o LogLevel=ERROR \
        -o UserKnownHostsFile=/dev/null "dx@$address" "$@"
}

try_ssh() {
    local code=0
    by_ssh cat <"$work/bytes" >"$work/back"
    cmp "$work/bytes" "$work/back" || fail 'ssh brings other bytes back'
    by_ssh exit 7 || code=$?
    [ "$code" = 7 ] || fail "ssh returns $code and not 7"
}

try_curl() {
    curl --silent --show-error --fail --parallel --output "$work/got-#1" "http://$address:2202/bytes?[1-4]"
    for i in 1 2 3 4; do cmp "$work/got-$i" "$work/bytes" || fail 'nginx sent other bytes'; done
}

try_iperf() {
    iperf3 --client "$address" --port 2202 --parallel 4 --bytes 64M
    # It listens anew for each test.
    # shellcheck disable=SC2016 # the guest's shell expands it
    "$vm" ssh "$await"'; await $(cat iperf3) logs/iperf3 "test #2"'
    iperf3 --client "$address" --port 2202 --parallel 4 --bytes 64M --reverse
}

echo '== a guest, and programs for it'
cmake -S . -B build/forward -DDX_TESTS=OFF -DCMAKE_BUILD_TYPE=Release >/dev/null
cmake --build build/forward --target dx_tool -j 2 >/dev/null
head -c 4194304 /dev/urandom >"$work/bytes"
mkdir "$work/programs"
(cd "$work/programs" && apt-get download -q nginx iperf3 libiperf0 libsctp1 libpcre2-8-0 >/dev/null &&
    for package in *.deb; do dpkg-deb -x "$package" . && rm "$package"; done)
cat >"$work/programs/nginx.conf" <<'END'
pid nginx.pid;
error_log stderr notice;
events {}
http {
    access_log off;
    client_body_temp_path t1; proxy_temp_path t2; fastcgi_temp_path t3; uwsgi_temp_path t4; scgi_temp_path t5;
    server { listen 127.0.0.1:8080; root .; }
}
END
"$vm" up
tar -C "$work" -cz bytes programs | "$vm" ssh tar -xz
"$vm" ssh 'cat >dx && chmod +x dx' <build/forward/dx
# Each says when it listens.
# shellcheck disable=SC2016 # the guest's shell expands it
"$vm" ssh "$await"'
    mkdir -p logs; export LD_LIBRARY_PATH=$(echo ~/programs/usr/lib/*-linux-gnu)
    cp bytes programs; cd programs
    setsid ./usr/sbin/nginx -p . -e stderr -c nginx.conf -g "daemon off;" >../logs/nginx 2>&1 </dev/null &
    await $! ../logs/nginx "start worker process"
    setsid ./usr/bin/iperf3 -s --bind 127.0.0.1 --forceflush >../logs/iperf3 2>&1 </dev/null &
    echo $! >../iperf3
    await $! ../logs/iperf3 "Server listening"'

echo '== ssh'
through tcp:127.0.0.1:22 try_ssh
echo '== curl and nginx'
through tcp:127.0.0.1:8080 try_curl
echo '== iperf3, four streams in each direction'
through tcp:127.0.0.1:5201 try_iperf
echo '== down'
"$vm" down
[ -z "$(find /dev/shm -name "dx-vm-$DX_VM_NAME*")" ] || fail 'the region is left'
echo 'all right'
