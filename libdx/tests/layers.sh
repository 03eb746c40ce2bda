#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# usage: layers.sh ARCHIVE LAYERS
#
# Checks that no object file of a static library uses a symbol of one that LAYERS names after it,
# and that LAYERS names all of them.

set -euo pipefail
[ $# = 2 ] || {
    echo 'usage: layers.sh ARCHIVE LAYERS' >&2
    exit 2
}
nm -A "$1" | awk -v layers="$2" '
    BEGIN {
        while ((getline line < layers) > 0) {
            if (line ~ /^#/)
                continue
            count = split(line, names, " ")
            for (i = 1; i <= count; i++)
                place[names[i]] = ++last
        }
    }
    { # archive:file.c.o:address type symbol; an undefined symbol has no address
        split($1, part, ":")
        file = part[2]
        sub(/\.c\.o$/, "", file)
        type = $(NF - 1)
        if (type == "U")
            uses[file " " $NF]
        else if (type ~ /^[BCDRTV]$/)
            home[$NF] = file
        files[file]
    }
    END {
        for (file in files) {
            seen++
            if (!(file in place))
                say(file ".c: layers.txt does not name it")
        }
        if (seen != last)
            say(last " files are named, the library has " seen + 0)
        for (use in uses) {
            split(use, part, " ")
            if (part[2] in home && place[home[part[2]]] > place[part[1]])
                say(part[1] ".c uses " part[2] " of " home[part[2]] ".c, which is a higher layer")
        }
        if (seen == 0)
            say("no object file was looked at")
        exit wrong
    }
    function say(text) { print text; wrong = 1 }'
