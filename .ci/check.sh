# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Runs checks: the lanes beside each other, then the last ones alone. Sourced by run.
#
# Each check is a process group of its own. It may take its time, but it has to get on: .ci/watch.sh
# ends one that does not. It carries DX_CHECK_STEP=FOLDER:NAME
# in its environment, and so does whatever it starts: that is how leftovers knows its own.

check_temp=
declare -A lane_of=() step_of=() watcher_of=() started_at=() seconds_of=() verdict_of=()

check() { # step...
    local name tools
    case ${1:-} in
    '') set -- "${step_order[@]}" ;;
    -quick)
        [ $# = 1 ] || die "check -quick takes no names"
        set -- "${step_quick[@]}"
        ;;
    esac
    for name in "$@"; do
        [ -n "${step_text[$name]:-}" ] || die "no check is called $name; ./run -h lists them"
    done
    mapfile -t tools < <(tools_of "$@")
    set_up "${tools[@]}"
    mkdir -p build
    exec 9>build/check.lock
    flock -n 9 || die 'another check is running in this folder'
    check_temp=$(mktemp -d)
    trap 'rm -rf "$check_temp"' EXIT
    trap 'stop_steps 130' INT
    trap 'stop_steps 143' TERM
    shared_memory >"$check_temp/shared-memory"
    run_lanes " $* " "${lanes[@]}" "$lane_quick"
    for name in $lane_last; do
        run_lanes " $* " "$name"
    done
    summary "$@"
}

# Runs those steps of the lanes that are wanted, at most one of each lane at a time.
run_lanes() { # wanted lane...
    local wanted=$1 lane pid code
    local -a queue=("${@:2}")
    for lane in "${!queue[@]}"; do
        start_next "$lane" "$wanted"
    done
    while [ ${#step_of[@]} -gt 0 ]; do
        code=0
        wait -n -p pid "${!step_of[@]}" || code=$?
        lane=${lane_of[$pid]}
        finish "$pid" "$code"
        start_next "$lane" "$wanted"
    done
}

start_next() { # lane wanted
    local name words pid
    while [ -n "${queue[$1]}" ]; do
        read -ra words <<<"${queue[$1]}"
        name=${words[0]}
        queue[$1]="${words[*]:1}"
        [[ $2 == *" $name "* ]] || continue
        mkdir "$check_temp/$name.tmp"
        DX_CHECK_STEP=$check_temp:$name DX_CHECK_TEMP=$check_temp TMPDIR=$check_temp/$name.tmp \
            timeout -k 10 0 ./run step "$name" \
            >"$check_temp/$name.log" 2>&1 </dev/null 9>&- &
        pid=$!
        lane_of[$pid]=$1
        step_of[$pid]=$name
        started_at[$pid]=$SECONDS
        watch_step "$pid" "$name" </dev/null 9>&- &
        watcher_of[$pid]=$!
        return
    done
}

finish() { # pid code
    local name=${step_of[$1]}
    seconds_of[$name]=$((SECONDS - started_at[$1]))
    verdict_of[$name]=passed
    if [ "$2" != 0 ]; then
        verdict_of[$name]=FAILED
        printf '\n---- %s: all that it printed\n' "$name"
        cat "$check_temp/$name.log"
        [ "$2" -lt 124 ] || printf 'ended by a signal\n'
        printf -- '---- end of %s\n\n' "$name"
    fi
    printf '%-13s %s, %s s\n' "$name" "${verdict_of[$name]}" "${seconds_of[$name]}"
    wait "${watcher_of[$1]}" || true
    unset "step_of[$1]" "watcher_of[$1]"
    rm -rf "$check_temp/$name.tmp"
}

summary() { # step...
    local name passed=0 failed=0
    printf '\n%-13s %-6s %7s %7s\n' check result seconds 'of CPU'
    for name in "$@"; do
        printf '%-13s %-6s %7s %7s\n' "$name" "${verdict_of[$name]}" "${seconds_of[$name]}" "$(cpu_of "$name")"
        if [ "${verdict_of[$name]}" = passed ]; then
            passed=$((passed + 1))
        else
            failed=$((failed + 1))
        fi
    done
    printf '\n%s passed, %s failed\n' "$passed" "$failed"
    [ "$failed" = 0 ]
}

# Seconds of CPU that a check and its children took, as the shell's own times tell them.
cpu_of() { # name
    awk -F'[ms ]+' '{ sum += $1 * 60 + $2 + $3 * 60 + $4 } END { printf "%.0f\n", sum }' \
        "$check_temp/$1.times" /dev/null 2>/dev/null
}

# timeout passes a signal on to the whole group of its step, and kills what does not end in time.
stop_steps() { # exit code
    trap '' INT TERM
    echo 'run: stopping' >&2
    if [ ${#step_of[@]} -gt 0 ]; then
        kill -TERM "${!step_of[@]}" 2>/dev/null || true
        wait "${!step_of[@]}" || true
    fi
    exit "$1"
}

# Our own names in shared memory.
shared_memory() { find /dev/shm -mindepth 1 -user "$(id -u)" -printf '%f\n' | sort; }

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
