# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Ends a check that gets nowhere, and says what its threads were doing. Sourced by run.
#
# A check may be slow, because others use the machine. So there is no limit to its time. What counts
# is the time in which it printed nothing while all its threads slept, and a fifth of the time in
# which they ran; that in which they waited for a CPU does not.

watch_every_s=20
quiet_limit_s=600

# Returns when the check has ended.
watch_step() { # pid name
    local log=$check_temp/$2.log size=0 quiet_ms=0 before='0 0' now asked=0
    trap - EXIT INT TERM
    until timeout "$watch_every_s" tail --pid="$1" -s 0.2 -f /dev/null; do
        if [ "$(stat -c %s "$log")" != "$size" ]; then
            size=$(stat -c %s "$log")
            quiet_ms=0
            before='0 0'
            continue
        fi
        now=$(times_of "$2")
        quiet_ms=$((quiet_ms + $(quiet_between "$before" "$now")))
        before=$now
        [ "$quiet_ms" -ge $((quiet_limit_s * 1000)) ] || continue
        quiet_ms=0
        asked=$((asked + 1))
        if [ "$asked" = 1 ]; then
            explain_step "$2" >>"$log" 2>&1
        else
            kill -TERM "$1" 2>/dev/null || true
        fi
        size=$(stat -c %s "$log")
    done
}

# The processes of a check, one a line.
processes_of() { # name
    local file
    for file in $(grep -lzs "^DX_CHECK_STEP=$check_temp:$1\$" /proc/[0-9]*/environ || true); do
        file=${file%/environ}
        echo "${file#/proc/}"
    done
}

# How many ms its threads have run, and waited for a CPU, so far.
times_of() { # name
    local pid files=()
    while read -r pid; do
        files+=("/proc/$pid"/task/*/schedstat)
    done < <(processes_of "$1")
    cat "${files[@]}" /dev/null 2>/dev/null |
        awk '{ run += $1; wait += $2 } END { printf "%d %d\n", run / 1e6, wait / 1e6 }' || true
}

# A thread that has ended took its times with it, and that is no sleep.
quiet_between() { # "run wait" "run wait"
    local run_before wait_before run wait
    read -r run_before wait_before <<<"$1"
    read -r run wait <<<"$2"
    run=$((run - run_before))
    wait=$((wait - wait_before))
    if [ "$run" -lt 0 ] || [ "$wait" -lt 0 ]; then
        echo 0
    elif [ $((run + wait)) -lt $((watch_every_s * 20)) ]; then
        echo $((watch_every_s * 1000))
    else
        echo $((run / 5))
    fi
}

# Says where each thread is. Programs of go test then say where each goroutine is, and fail, so that
# the check ends by itself.
explain_step() { # name
    local pid task
    printf '\nNo progress: %s hangs. What its threads are doing:\n' "$1"
    while read -r pid; do
        printf 'process %s: %s\n' "$pid" "$(tr '\0' ' ' <"/proc/$pid/cmdline")"
        for task in "/proc/$pid"/task/*; do
            printf ' thread %s: %s in %s; system call %s\n' "${task##*/}" \
                "$(sed 's/.*) \(.\).*/\1/' "$task/stat")" "$(cat "$task/wchan")" "$(cat "$task/syscall")"
        done
    done < <(processes_of "$1")
    while read -r pid; do
        [[ $(readlink "/proc/$pid/exe") != *.test ]] || kill -QUIT "$pid"
    done < <(processes_of "$1")
}
