# SPDX-License-Identifier: Apache-2.0
#
# Divides the man pages that Doxygen wrote, of which each describes a whole header, into one page for
# each function, type and enumeration, and one for what the header itself says.
#
#   awk -v out=FOLDER -v version=VERSION -f man3.awk DOXYGEN/man/man3/*.3

function plain(text) {
    gsub(/\\f[BIRPC]/, "", text)
    gsub(/\* +/, "*", text)
    sub(/ \[/, "[", text)
    return text
}

# What a declaration declares: "enum dx_park { ...", "typedef int32_t(* dx_handler) (...", "void dx_stop (...".
function declared(text) {
    text = plain(text)
    if (match(text, /\(\*[a-z0-9_]+\)/))
        return substr(text, RSTART + 2, RLENGTH - 3)
    sub(/ *[({].*/, "", text)
    sub(/ *\[.*/, "", text)
    sub(/  .*/, "", text)
    sub(/.*[ *:]/, "", text)
    return text
}

# A declaration, with a line for each parameter or enumerator where they do not fit one line.
function laid_out(text,    open, parts, n, i, lines) {
    text = plain(text)
    if (text ~ /^enum .*\{/) {
        gsub(/, /, ",\n    ", text)
        sub(/\{ /, "{\n    ", text)
        sub(/ \}$/, "\n}", text)
        return text ";"
    }
    sub(/ \(/, "(", text)
    sub(/\(\*/, " (*", text)
    if (length(text) < 74)
        return text ";"
    open = index(text, text ~ /\(\*/ ? ")(" : "(")
    if (text ~ /\(\*/)
        open++
    lines = substr(text, 1, open)
    n = split(substr(text, open + 1), parts, ", ")
    for (i = 1; i <= n; i++)
        lines = lines "\n        " parts[i] (i < n ? "," : "")
    return lines ";"
}

function begin(name, brief) {
    also = ""
    split("", seen)
    # A function and a structure may have the same name.
    if (name in written)
        name = name "-struct"
    written[name] = 1
    page = out "/" name ".3"
    printf ".TH \"%s\" 3 \"\" \"libdx %s\" \"libdx\"\n.ad l\n.nh\n.SH NAME\n%s \\- %s\n", name,
        version, name, brief > page
}

function synopsis(text) {
    printf ".SH SYNOPSIS\n.nf\n\\fB#include <dx/%s>\\fP\n", header > page
    if (text != "")
        printf ".PP\n\\fB%s\\fP\n", text > page
    printf ".fi\n" > page
}

# dx_call.h becomes dx_call.h(3).
function referring_to_headers(line) {
    gsub(/\\fBdx[a-z_]*\\&\.h\\fP/, "&(3)", line)
    return line
}

# References to other pages: dx_call() becomes dx_call(3), and each is remembered for the last section.
function referring(line,    done, name) {
    done = ""
    filled = line == ".nf" ? 0 : line == ".fi" ? 1 : filled
    if (filled) {
        sub(/^ +/, "", line)
        line = referring_to_headers(line)
    }
    while (match(line, /(\\fB)?dx_[a-z0-9_]+\(\)(\\fP)?/)) {
        name = plain(substr(line, RSTART, RLENGTH))
        sub(/\(\)/, "", name)
        if (!(name in seen) && name != self) {
            seen[name] = 1
            also = also ", \\fB" name "\\fP(3)"
        }
        done = done substr(line, 1, RSTART - 1) "\\fB" name "\\fP(3)"
        line = substr(line, RSTART + RLENGTH)
    }
    return done line
}

# A text that begins as a request to troff would.
function text_line(line) {
    return line ~ /^['.]/ ? "\\&" line : line
}

# A list of names with what is said of each, as Doxygen writes parameters and results.
function item(line,    name) {
    if (match(line, /^(\\f[IB])+[A-Za-z0-9_]+ *(\\fP)+( |$)/)) {
        name = plain(substr(line, 1, RLENGTH))
        sub(/ +$/, "", name)
        line = text_line(substr(line, RLENGTH + 1))
        return ".TP\n\\fB" name "\\fP" (line == "" ? "" : "\n") line
    }
    return line
}

# The description of a function or type: what Doxygen sets off by a bold title becomes a section.
function describe(text, brief,    lines, n, i, line, list, results) {
    n = split(text, lines, "\n")
    printf ".SH DESCRIPTION\n" > page
    list = results = 0
    for (i = 1; i <= n; i++) {
        line = lines[i]
        if (line ~ /^\\fB(Parameters|Return values|Returns|Threads|Enumerator)\\fP$/) {
            list = line ~ /Param|values|Enum/
            if (line ~ /Return/) {
                if (!results)
                    printf ".SH RETURN VALUE\n" > page
                else
                    printf ".PP\n" > page
                if (line ~ /values/ && text !~ /\\fIDX_OK\\fP/)
                    printf ".TP\n\\fBDX_OK\\fP\nsuccess\n" > page
                results = 1
            } else if (line ~ /Enum/)
                printf ".SH VALUES\n" > page
            else
                printf ".SH %s\n", line ~ /Param/ ? "PARAMETERS" : "THREADS" > page
            if (lines[i + 1] ~ /^\.(RS|in)/)
                i++
        } else if (line == ".RE")
            list = 0
        else if (list && (line == ".br" || line == ".TP"))
            continue
        else if (line !~ /^(\.PP *)?$/ || lines[i + 1] !~ /^(\.PP *|\.RE)?$/)
            printf "%s\n", referring(list ? item(line) : line) > page
    }
}

function finish() {
    printf ".SH SEE ALSO\n\\fB%s\\fP(3)%s\n", header, also > page
    close(page)
    self = ""
}

# One page for each thing that a header declares.
function divide(    i, name, block) {
    for (i = 1; i <= things; i++) {
        name = self = thing[i]
        begin(name, brief_of[name])
        synopsis(laid_out(name in whole ? whole[name] : heading[name]))
        describe(text_of[name])
        finish()
    }
}

# What is said of a macro or a field: all of it, or its first sentence where that is all.
function said_of(name) {
    return text_of[name] == "" || text_of[name] ~ /Value:/ ? brief_of[name] : text_of[name]
}

# What the header itself says, and what it declares.
function introduce(    i, name, line, lines, n) {
    begin(header, brief_of[header])
    synopsis("")
    printf ".SH DESCRIPTION\n" > page
    n = split(intro, lines, "\n")
    for (i = 2; i < n; i++)
        printf "%s\n", referring(lines[i]) > page
    if (macros)
        printf ".SH MACROS\n" > page
    for (i = 1; i <= macros; i++)
        printf ".TP\n\\fB%s\\fP%s\n%s\n", macro[i], value[i], said_of(macro[i]) > page
    if (things)
        printf ".SH DECLARATIONS\n" > page
    for (i = 1; i <= things; i++)
        printf ".TP\n\\fB%s\\fP(3)\n%s\n", thing[i], brief_of[thing[i]] > page
    for (i = 1; i <= structs; i++)
        printf ".TP\n\\fB%s\\fP(3)\n%s\n", struct[i], brief_of[struct[i]] > page
    printf ".SH SEE ALSO\n\\fBdx.h\\fP(3), \\fBlibdx\\fP(3)\n" > page
    close(page)
}

# A structure: its declaration, and what each field is.
function record(name,    i) {
    self = name
    begin(name, brief_of[name])
    printf ".SH SYNOPSIS\n.nf\n\\fB#include <dx/%s>\\fP\n.PP\n\\fBstruct %s {\n", header, name > page
    for (i = 1; i <= fields; i++)
        printf "    %s;\n", plain(field[i]) > page
    printf "};\\fP\n.fi\n.SH DESCRIPTION\n%s.SH FIELDS\n", referring(intro) > page
    for (i = 1; i <= fields; i++)
        printf ".TP\n\\fB%s\\fP\n%s\n", declared(field[i]),
            referring(said_of(declared(field[i]))) > page
    finish()
}

function end_of_page() {
    if (subject == "")
        return
    if (subject ~ /\.h$/) {
        header = subject
        introduce()
        divide()
    } else
        record(subject)
}

BEGIN { filled = 1 }

FNR == 1 {
    end_of_page()
    subject = $2
    gsub(/"/, "", subject)
    section = intro = header = pending = key = ""
    things = macros = structs = fields = 0
    split("", text_of); split("", heading); split("", whole); split("", brief_of)
}

/^\.SH / {
    section = $0
    gsub(/^\.SH |"/, "", section)
    key = ""
    next
}

section == "NAME" {
    brief_of[subject] = $0
    sub(/^[^ ]* \\- /, "", brief_of[subject])
    gsub(/\\&\.|  +$/, "", brief_of[subject])
    section = ""
    next
}

section == "SYNOPSIS" {
    if (/^\.SS /) {
        list = $0
        gsub(/^\.SS |"/, "", list)
    } else if (/include <dx/ && header == "") {
        header = $0
        gsub(/.*<|>.*/, "", header)
        gsub(/\\&/, "", header)
    } else if (/^\.RI /) {
        line = $0
        sub(/^\.RI "/, "", line)
        sub(/ *"$/, "", line)
        if (pending == "") {
            pending = line ~ /^#define/ ? "macro" : "other"
            current = line
            if (line ~ /^#define/) {
                sub(/^#define /, "", current)
                sub(/   .*/, "", current)
                current = plain(current)
                macro[++macros] = current
                sub(/ \(/, "(", macro[macros])
                value[macros] = line ~ /   [0-9(]/ && current !~ /\(/ ? line : ""
                sub(/.*   /, " = ", value[macros])
                current = macro[macros]
            } else if (list == "Data Structures") {
                sub(/^struct /, "", current)
                struct[++structs] = current = plain(current)
            } else if (list == "Data Fields") {
                field[++fields] = current
                current = declared(current)
            } else {
                whole[declared(line)] = line
                thing[++things] = current = declared(line)
            }
        } else {
            gsub(/\\&\.$/, "", line)
            brief_of[current] = referring(line)
            pending = ""
        }
    } else if (/^\.ti/)
        pending = ""
    next
}

section == "Detailed Description" {
    if (!/^\.PP *$/ || intro != "")
        intro = intro $0 "\n"
    next
}

/^\.SS / && section ~ /Documentation/ {
    key = $0
    gsub(/^\.SS |"/, "", key)
    if (section ~ /^Macro/) {
        key = plain(key)
        sub(/^#define /, "", key)
        sub(/   .*/, "", key)
        sub(/ \(/, "(", key)
    } else {
        heading[declared(key)] = key
        key = declared(key)
    }
    next
}

key != "" {
    if (section !~ /^(Macro|Field)/ || !/^(\.PP *)?$/)
        text_of[key] = text_of[key] $0 "\n"
}

END {
    end_of_page()
    printf ".so man3/dx.h.3\n" > out "/libdx.3"
}
