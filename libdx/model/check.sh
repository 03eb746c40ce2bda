#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Checks the models of the slot protocol (slot.pml), of its streams (stream.pml) and of the memory
# orders of both (weak_slot.pml, weak_stream.pml) with spin. The protocol as it is must pass in every configuration, searched to the
# end, and each mutation must be found. A line for each says its name, the verdict, states and seconds. Exit code 0 if all of it holds. CC names the compiler,
# gcc if unset. check.sh NAME... runs only these.

set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cc=${CC:-gcc}
fast_cc=$(command -v clang || echo "$cc")        # without optimization it takes half the time
fastest_cc=$(command -v tcc || echo "$fast_cc") # for searches of less than a second
search_limit_s=300
not_to_the_end='^error|not completed|too small|out of memory|MEMLIM|pan:1:|Hash-Compact|Bit ?state'
wanted=" $* "
model=slot.pml
embedded= # what a model with C code needs of the compiler
matched=0
wrong=0
temp=

fail() {
    printf 'model/check.sh: %s\n' "$*" >&2
    exit 1
}

clean_up() { [ -z "$temp" ] || rm -rf "$temp"; }
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

command -v spin >/dev/null ||
    fail 'spin is missing, so that nothing was checked (Debian: apt-get install spin)'
command -v "$cc" >/dev/null || fail "$cc is missing, so that nothing was checked"
temp=$(mktemp -d)

# Builds and runs one search in the temporary folder; its output is in $temp/log.
search() { # "option of the compiler..." "option of the search..." definition...
    local options=$1 flags=$2 compiler=$cc
    shift 2
    [[ $options != *-O0* ]] || compiler=$fast_cc
    [[ $options != *REVERSE* ]] || compiler=$fastest_cc
    rm -rf "$temp/build"
    mkdir "$temp/build"
    cp "$here"/*.pml "$temp/build"
    cd "$temp/build"
    # shellcheck disable=SC2086 # words on purpose
    {
        spin -P"$cc -E -x c" "$@" -a "$model" &&
            "$compiler" $options -DMEMLIM=3900 -w -o pan pan.c &&
            timeout "$search_limit_s" ./pan -m5000 $flags
    } >"$temp/log" 2>&1 || true
    cd "$here"
}

# Whether the search came to its end and found nothing.
passed() {
    grep -q 'errors: 0$' "$temp/log" && grep -q 'Full statespace search' "$temp/log" &&
        grep -q '^pan: elapsed time' "$temp/log" &&
        ! grep -qiE "$not_to_the_end" "$temp/log"
}

# Whether it found what was expected, and not just a store buffer that is too short.
found() { # text
    grep '^pan:1: ' "$temp/log" | grep -v 'count<' | grep -q "$1"
}

# Steps of the model that the search never took.
untaken() { grep -E '\.pml:[0-9]+, state ' "$temp/log" | grep -v -- '-end-'; }

is_wanted() { # name
    [ "$wanted" = '  ' ] || [[ $wanted == *" $1 "* ]]
}

report() { # name verdict start
    local states
    states=$(sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' "$temp/log" | head -n 1)
    printf '%-32s %-9s %10s states %4s s\n' "$1" "$2" "${states:-no}" "$((SECONDS - $3))"
}

explain() {
    wrong=$((wrong + 1))
    tail -n 40 "$temp/log" | cut -c 1-200
    if [ -f "$temp/build/$model.trail" ]; then
        echo 'the last steps of the run that spin found:'
        (cd "$temp/build" && spin -P"$cc -E -x c" "$@" -t -p "$model") |
            grep -E 'proc +[0-9]+ \((caller|server)' | tail -n 60 | cut -c 1-110
    fi
}

good() { # name, then as search
    local name=$1 start=$SECONDS
    shift
    is_wanted "$name" || return 0
    matched=$((matched + 1))
    search "$@"
    if passed && { [ "$name" != both-die ] || ! untaken; }; then
        report "$name" passed "$start"
    else
        report "$name" FAILED "$start"
        explain "${@:3}"
    fi
}

# For up to two million states: the compiler is what takes time. These also look at the limits of the
# model's arrays.
safe() { good "$1" '-O0 -DSAFETY' '-w21' "${@:2}"; }

large() { good "$1" '-O1 -DSAFETY -DNOBOUNDCHECK' '-w24' "${@:2}"; }

acyclic() { good "$1" '-O1 -DNP -DNOBOUNDCHECK' '-w22 -l' "${@:2}"; }

# The search goes backwards through processes and their choices, which finds most of these sooner.
mutation() { # name text definition...
    local name=$1 text=$2 start=$SECONDS kind='-DSAFETY' flag=
    shift 2
    is_wanted "$name" || return 0
    matched=$((matched + 1))
    [ "$text" != 'non-progress cycle' ] || { kind='-DNP' flag='-l'; }
    search "-O0 $kind -DREVERSE -DT_REVERSE $embedded" "$flag" "-DMUTATE_$name" "$@"
    if found "$text"; then
        report "$name" found "$start"
    else
        report "$name" 'NOT FOUND' "$start"
        explain "-DMUTATE_$name" "$@"
    fi
}

echo 'The protocol as it is:'
safe steady -DCALLS=3
safe deadlines -DCALLS=2 -DDEADLINES=1
safe later -DLATER=1 -DCALLS=2
large later-deadlines -DLATER=1 -DCALLS=2 -DDEADLINES=1 -DGREETED=1
large later-caller-dies -DLATER=1 -DCALLER_DEATHS=1
large later-server-dies -DLATER=1 -DCALLS=2 -DSERVER_DEATHS=1
large later-two-slots -DLATER=1 -DSLOTS=2 -DGREETED=1 -DSPINNING=1 -DSERVER_DEATHS=1
safe later-weak-stores -DLATER=1 -DWEAK=1 -DDEADLINES=1
large two-slots -DSLOTS=2 -DGREETED=1
safe two-slots-server-dies -DSLOTS=2 -DGREETED=1 -DSPINNING=1 -DSERVER_DEATHS=1
safe caller-dies -DCALLS=2 -DCALLER_DEATHS=1
safe server-dies -DCALLS=2 -DSERVER_DEATHS=1
safe server-dies-twice -DSERVER_DEATHS=2
large both-die -DCALLER_DEATHS=1 -DSERVER_DEATHS=1 -DDEADLINES=1
safe weak-stores -DWEAK=1 -DCALLS=2 -DDEADLINES=1
safe weak-stores-caller-dies -DWEAK=1 -DCALLER_DEATHS=1
safe weak-stores-server-dies -DWEAK=1 -DSERVER_DEATHS=1
acyclic progress -DCALLS=2 -DDEADLINES=1
acyclic progress-later -DLATER=1 -DDEADLINES=1
acyclic progress-caller-dies -DCALLER_DEATHS=1
acyclic progress-server-dies -DSERVER_DEATHS=1

lost='invalid end state' # a wake-up, or an answer
wrong_value='assertion violated'
echo 'Mutations:'
mutation NO_CALLER_FENCE "$lost" -DGREETED=1
mutation NO_SERVER_FENCE "$lost" -DGREETED=1
mutation NO_SERVER_ARM_FENCE "$lost" -DGREETED=1
mutation NO_CALLER_ARM_FENCE "$lost" -DGREETED=1
mutation NO_UNLOCK_FENCE "$lost"
mutation NO_SERVER_RECHECK "$lost" -DGREETED=1
mutation NO_CALLER_RECHECK "$lost" -DGREETED=1
mutation WAIT_WITHOUT_COMPARE "$lost" -DGREETED=1
mutation RING_WITHOUT_STEP "$lost" -DGREETED=1
mutation NO_RING_OF_NEW_SERVER "$lost" -DSERVER_DEATHS=1
mutation NO_TIME_LIMIT_CALLER "$lost" -DSERVER_DEATHS=1
mutation NO_TIME_LIMIT_SERVER "$lost" -DCALLER_DEATHS=1
mutation NEVER_SLEEP 'non-progress cycle' -DGREETED=1
mutation RELAXED_CALLER_WORD "$wrong_value" -DWEAK=1 -DGREETED=1
mutation RELAXED_SERVER_WORD "$wrong_value" -DWEAK=1 -DGREETED=1
mutation IGNORE_EPOCH "$wrong_value" -DCALLER_DEATHS=1
mutation SAME_EPOCH "$wrong_value" -DCALLER_DEATHS=1
mutation NO_GREETING "$wrong_value" -DCALLER_DEATHS=1
mutation NEW_LIFE_CLEARS_REQUEST "$wrong_value" -DCALLER_DEATHS=1
mutation REUSE_ABANDONED "$wrong_value" -DCALLS=2 -DDEADLINES=1 -DGREETED=1
mutation IGNORE_JOURNAL "$wrong_value" -DSERVER_DEATHS=1
mutation LATE_JOURNAL "$wrong_value" -DSERVER_DEATHS=1
mutation JOURNAL_WITHOUT_EPOCH "$wrong_value" -DCALLER_DEATHS=1 -DSERVER_DEATHS=1
mutation NO_TAKE_FENCE "$lost" -DLATER=1 -DGREETED=1
mutation NO_LATER_FENCE "$lost" -DLATER=1 -DGREETED=1
mutation NO_LATER_GREETING "$lost" -DLATER=1 -DCALLER_DEATHS=1
mutation NO_LATER_NOTE "$lost" -DLATER=1 -DCALLER_DEATHS=1
mutation ASK_THE_JOURNAL_ALONE "$wrong_value" -DLATER=1 -DSLOTS=2 -DGREETED=1 -DSPINNING=1 -DSERVER_DEATHS=1
mutation FORGET_PENDING "$lost" -DSERVER_DEATHS=1

model=stream.pml
echo 'Streams as they are:'
safe streams -DWEAK=1
safe streams-two -DWEAK=1 -DSTREAMS=2 -DITEMS=1
safe streams-end-early -DWEAK=1 -DITEMS=1 -DEARLY=1 -DCANCELS=1
safe streams-cancelled -DSTREAMS=2 -DITEMS=0 -DCANCELS=1
safe streams-server-dies -DITEMS=1 -DSERVER_DEATHS=1
large streams-caller-dies -DITEMS=1 -DCALLER_DEATHS=1

echo 'Mutations of streams:'
mutation STREAM_NO_CALLER_ARM_FENCE "$lost"
mutation STREAM_NO_CALLER_RECHECK "$lost"
mutation STREAM_NO_SERVER_ARM_FENCE "$lost"
mutation STREAM_NO_SENT_FENCE "$lost"
mutation STREAM_NO_TAKEN_FENCE "$lost" -DITEMS=3
mutation STREAM_NO_ACCEPTANCE "$wrong_value" -DSTREAMS=2 -DITEMS=1
mutation STREAM_PROCESSING_TOO_EARLY "$wrong_value" -DSTREAMS=2 -DITEMS=1
mutation STREAM_NO_RESET "$wrong_value" -DSTREAMS=2 -DITEMS=1
mutation STREAM_TAKEN_TOO_EARLY "$wrong_value"
mutation STREAM_RELAXED_SENT "$wrong_value" -DWEAK=1
mutation STREAM_REUSE_CANCELLED "$wrong_value" -DSTREAMS=2 -DITEMS=1 -DCANCELS=1
mutation STREAM_RUN_AGAIN "$wrong_value" -DITEMS=1 -DSERVER_DEATHS=1

# The order of steps of C code counts: spin does not know what they have to do with each other.
embedded='-DNOREDUCE -DVECTORSZ=2048'
weak() { good "$1" "-O1 -DSAFETY -DCOLLAPSE $embedded" '' "${@:2}"; }

model=weak_litmus.pml
echo 'Whether the weak memory is one: what may not come about, and what may'
weak litmus-message -DMESSAGE -DORDER=ACQUIRE
weak litmus-message-by-fences -DMESSAGE -DFENCES=1
weak litmus-coherence -DCOHERENCE
weak litmus-both-see-by-fences -DFENCES=1
mutation LITMUS_MESSAGE "$wrong_value" -DMESSAGE
mutation LITMUS_NEITHER_SEES "$wrong_value" -DORDER=ACQUIRE

model=weak_slot.pml
echo 'Release, acquire and fences as they are:'
weak weak-slot -DCALLS=2
weak weak-slot-longer -DCALLS=3

echo 'Mutations of these:'
for name in RELAXED_CALLER_WORD RELAXED_LOOK_OF_SERVER RELAXED_SERVER_WORD RELAXED_LOOK_OF_CALLER; do
    mutation "WEAK_$name" "$wrong_value"
done
for name in NO_CALLER_FENCE NO_SERVER_FENCE NO_CALLER_ARM_FENCE NO_SERVER_ARM_FENCE NO_CALLER_RECHECK NO_SERVER_RECHECK; do
    mutation "WEAK_$name" "$lost"
done

model=weak_stream.pml
echo 'The same for streams:'
weak weak-stream -DITEMS=2
weak weak-stream-two -DSTREAMS=2 -DITEMS=1
for name in RELAXED_SENT RELAXED_LOOK_AT_SENT RELAXED_TAKEN; do
    mutation "WEAK_STREAM_$name" "$wrong_value"
done
for name in RELAXED_LOOK_AT_WORD RELAXED_ACCEPTANCE; do
    mutation "WEAK_STREAM_$name" "$wrong_value" -DSTREAMS=2 -DITEMS=1
done
for name in NO_SENT_FENCE NO_TAKEN_FENCE NO_CALLER_ARM_FENCE NO_SERVER_ARM_FENCE; do
    mutation "WEAK_STREAM_$name" "$lost"
done

[ $# = 0 ] || [ "$matched" = $# ] || fail "only $matched of these are known:$wanted"
[ "$wrong" = 0 ] || fail "$wrong of $matched are wrong"
echo "All $matched as they should be."
