# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Runs checks: make starts them, .ci/check.mk says in which order; then the last ones alone. Sourced
# by run.
#
# Each check is a process group of its own. It may take its time, but it has to get on: .ci/watch.sh
# ends one that does not. It carries DX_CHECK_STEP=FOLDER:NAME
# in its environment, and so does whatever it starts: that is how leftovers knows its own.

check_temp=

check() { # step...
    local name tools first=() last=()
    case ${1:-} in
    '') set -- "${step_order[@]}" ;;
    -quick)
        [ $# = 1 ] || die "check -quick takes no names"
        set -- "${step_quick[@]}"
        ;;
    esac
    for name in "$@"; do
        [ -n "${step_text[$name]:-}" ] || die "no check is called $name; ./run -h lists them"
        if [[ " $step_last " == *" $name "* ]]; then last+=("$name"); else first+=("$name"); fi
    done
    mapfile -t tools < <(tools_of "$@")
    set_up gmake ccache "${tools[@]}"
    mkdir -p build
    exec 9>build/check.lock
    flock -n 9 || die 'another check is running in this folder'
    check_temp=$(mktemp -d)
    trap 'rm -rf "$check_temp"' EXIT
    shared_memory >"$check_temp/shared-memory"
    make_steps "${first[@]}"
    make_steps "${last[@]}"
    summary "$@"
}

# Starts these in this order, at most two at once.
make_steps() { # step...
    local pid code=0
    [ $# -gt 0 ] || return 0
    DX_CHECK_TEMP=$check_temp gmake -f .ci/check.mk -k -j 2 --no-print-directory -Otarget "$@" 9>&- &
    pid=$!
    trap 'stop_steps "$pid" 130' INT
    trap 'stop_steps "$pid" 143' TERM
    wait "$pid" || code=$?
    trap - INT TERM
    [ "$code" -lt 128 ] || die "gmake ended with code $code"
}

# make ends what it has started, and waits for it.
stop_steps() { # pid exit-code
    trap '' INT TERM
    echo 'run: stopping' >&2
    kill -TERM "$1" 2>/dev/null || true
    wait "$1" || true
    remove_left
    exit "$2"
}

# What a check that was stopped could not remove any more, when its processes have ended. A name that a
# process uses is left.
remove_left() {
    local name pid
    while read -r pid name; do
        timeout 5 tail --pid="$pid" -f /dev/null || kill -KILL "$pid" 2>/dev/null || true
    done < <(DX_CHECK_TEMP=$check_temp marked_processes)
    while read -r name; do
        [[ $name == dx-* ]] || continue
        grep -qsE "^[^/]*/dev/shm/$name(/.*)?\$" /proc/[0-9]*/maps || rm -rf "/dev/shm/$name"
    done < <(shared_memory | comm -13 "$check_temp/shared-memory" -)
}

# One check, for make: its output goes to a file, which is printed if it fails. timeout makes it a
# group of its own, passes a signal on to all of that, and kills what does not end in time.
run_in_check() { # step
    local pid watcher code=0 began=$SECONDS verdict=passed
    check_temp=$DX_CHECK_TEMP
    mkdir "$check_temp/$1.tmp"
    DX_CHECK_STEP=$check_temp:$1 TMPDIR=$check_temp/$1.tmp timeout -k 10 0 ./run step "$1" \
        >"$check_temp/$1.log" 2>&1 </dev/null &
    pid=$!
    trap 'kill -TERM "$pid" 2>/dev/null || true; wait "$pid" || true; exit 143' INT TERM
    watch_step "$pid" "$1" </dev/null >/dev/null &
    watcher=$!
    wait "$pid" || code=$?
    wait "$watcher" || true
    rm -rf "$check_temp/$1.tmp"
    if [ "$code" != 0 ]; then
        verdict=FAILED
        printf '\n---- %s: all that it printed\n' "$1"
        cat "$check_temp/$1.log"
        [ "$code" -lt 124 ] || printf 'ended by a signal\n'
        printf -- '---- end of %s\n\n' "$1"
    fi
    printf '%s %s\n' "$verdict" "$((SECONDS - began))" >"$check_temp/$1.verdict"
    printf '%-13s %s, %s s\n' "$1" "$verdict" "$((SECONDS - began))"
}

summary() { # step...
    local name verdict seconds passed=0 failed=0
    printf '\n%-13s %-6s %7s %7s\n' check result seconds 'of CPU'
    for name in "$@"; do
        read -r verdict seconds <"$check_temp/$name.verdict"
        printf '%-13s %-6s %7s %7s\n' "$name" "$verdict" "$seconds" "$(cpu_of "$name")"
        if [ "$verdict" = passed ]; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
    done
    printf '\n%s passed, %s failed\n' "$passed" "$failed"
    [ "$failed" = 0 ]
}

# Seconds of CPU that a check and its children took, as the shell's own times tell them.
cpu_of() { # name
    awk -F'[ms ]+' '{ sum += $1 * 60 + $2 + $3 * 60 + $4 } END { printf "%.0f\n", sum }' \
        "$check_temp/$1.times" /dev/null 2>/dev/null
}

# Our own names in shared memory, and those of tests that run as another user.
shared_memory() { find /dev/shm -mindepth 1 \( -user "$(id -u)" -o -name 'dx-test-*' \) -printf '%f\n' | sort; }

# "PID NAME" of each process that one of our checks started.
marked_processes() {
    local pid
    for pid in /proc/[0-9]*; do
        pid=${pid#/proc/}
        # It may have ended meanwhile, or belong to somebody else.
        { tr '\0' '\n' <"/proc/$pid/environ" |
            sed -n "s|^DX_CHECK_STEP=$DX_CHECK_TEMP:|$pid |p"; } 2>/dev/null || true
    done | grep -v ' leftovers$' || true
}

# Whether a name in shared memory is in use by a process that is none of ours.
used_by_others() { # name
    local folder
    for folder in $(grep -ls "^[^/]*/dev/shm/$1\$" /proc/[0-9]*/maps || true); do
        folder=${folder%/maps}
        grep -qs "DX_CHECK_STEP=$DX_CHECK_TEMP:" "$folder/environ" || return 0
    done
    return 1
}

step_leftovers() {
    local pid name left=0
    while read -r pid name; do
        # One that is just ending has a moment for it.
        timeout 5 tail --pid="$pid" -f /dev/null && continue
        left=1
        printf 'left by %s: process %s: %s\n' "$name" "$pid" "$(tr '\0' ' ' <"/proc/$pid/cmdline")"
    done < <(marked_processes)
    while read -r name; do
        used_by_others "$name" && continue
        left=1
        printf 'left in shared memory: %s\n' "$name"
    done < <(shared_memory | comm -13 "$DX_CHECK_TEMP/shared-memory" -)
    return "$left"
}
