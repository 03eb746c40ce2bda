/* SPDX-License-Identifier: Apache-2.0 */
#include "options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "tool.h"

#define SECONDS_MIN 0.1
#define SECONDS_MAX 3600.0

int tool_parse(const struct tool_syntax *syntax, int argc, char **argv)
{
    struct option names[TOOL_FLAGS_MAX + 3] = {0};
    int count = 0;
    for (; count < TOOL_FLAGS_MAX && syntax->flags[count].name != NULL; count++)
        names[count] = (struct option){
            syntax->flags[count].name,
            syntax->flags[count].set != NULL ? no_argument : required_argument, NULL, count + 1};
    names[count] = (struct option){"h", no_argument, NULL, 'h'};
    names[count + 1] = (struct option){"help", no_argument, NULL, 'h'};
    int option;
    opterr = 0;
    while ((option = getopt_long_only(argc, argv, ":", names, NULL)) >= 0) {
        if (option == 'h') {
            (void)fputs(syntax->usage, stdout);
            return tool_end_output(syntax->verb);
        }
        if (option < 1 || option > count) {
            (void)fprintf(stderr, "dx %s: %s %s; \"dx %s -h\" explains\n", syntax->verb,
                          option == ':' ? "a value is missing after" : "unknown flag",
                          argv[optind - 1], syntax->verb);
            return TOOL_USAGE;
        }
        const struct tool_flag *flag = &syntax->flags[option - 1];
        if (flag->set != NULL)
            *flag->set = true;
        else
            *flag->value = optarg;
    }
    return -1;
}

int tool_expect_url(const struct tool_syntax *syntax, int argc)
{
    if (optind + 1 == argc)
        return -1;
    (void)fprintf(stderr, "dx %s: needs one URL, %d are given; \"dx %s -h\" explains\n",
                  syntax->verb, argc - optind, syntax->verb);
    return TOOL_USAGE;
}

int tool_expect_prefix(const struct tool_syntax *syntax, int argc)
{
    if (argc - optind <= 1)
        return -1;
    (void)fprintf(stderr, "dx %s: takes one prefix of URLs, %d are given; \"dx %s -h\" explains\n",
                  syntax->verb, argc - optind, syntax->verb);
    return TOOL_USAGE;
}

int tool_wrong_value(const struct tool_syntax *syntax, const char *what, const char *value)
{
    (void)fprintf(stderr, "dx %s: %s, not %s; \"dx %s -h\" explains\n", syntax->verb, what, value,
                  syntax->verb);
    return TOOL_USAGE;
}

bool tool_parse_seconds(const char *text, long long *ns)
{
    char *end;
    double seconds = strtod(text, &end);
    if (end == text || *end != '\0' || !(seconds >= SECONDS_MIN && seconds <= SECONDS_MAX))
        return false;
    *ns = (long long)(seconds * 1e9);
    return true;
}
