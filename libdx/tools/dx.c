/* SPDX-License-Identifier: Apache-2.0 */
/* dx: looks at regions and machines, clears what dead processes left, serves rendezvous, forwards
 * sockets. */
#include <stdio.h>
#include <string.h>

#include "../dx_version.h"
#include "../fd.h"
#include "tool.h"
#include "top.h"

static const struct verb {
    const char *name;
    const char *summary;
    int (*run)(int argc, char **argv);
} verbs[] = {
    {"bind", "give a guest's ivshmem device to vfio-pci, for ivshmem:doorbell", tool_bind},
    {"forward", "carry TCP and Unix sockets over a channel, also into a VM", tool_forward},
    {"histogram", "measure how long calls, handlers and wake-ups take", tool_histogram},
    {"info", "show a region: its sizes, who lives, what was counted", tool_info},
    {"ls", "list the regions and sockets of this user, and which are left behind", tool_ls},
    {"doctor", "say what this machine, host or guest, lacks, and what to do", tool_doctor},
    {"metrics", "print what was counted, for Prometheus", tool_metrics},
    {"rendezvous", "serve memory at a Unix socket for hosts, guests and VMs", tool_rendezvous},
    {"top", "show live what regions do: rates, waits, errors, who is there", tool_top},
    {"reset", "clear a region that dead processes left, or all of them", tool_reset},
};

static void print_usage(FILE *out)
{
    (void)fputs(
        "dx VERB ...: looks after the shared memory of dx, beside the programs that use it\n\n",
        out);
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        (void)fprintf(out, "  dx %-11s %s\n", verbs[i].name, verbs[i].summary);
    (void)fputs(
        "  dx VERB -h     explain that verb\n"
        "  dx -version    say which version of dx this is\n"
        "\n"
        "URL is what the programs give to dx_create and dx_attach: shm:NAME, file:PATH,\n"
        "unix:PATH, memfd:N, or in a VM ivshmem:plain or ivshmem:doorbell. Only the user whose\n"
        "region it is gets at it; root is another user, too: become the owner first (setpriv "
        "--reuid, su).\n"
        "\n"
        "Examples:\n"
        "  dx ls                     which regions there are\n"
        "  dx top                    what they do now\n"
        "  dx info shm:demo          who is there, and how much was called\n"
        "  dx info -json shm:demo    the same for a program\n"
        "  dx reset shm:demo         after a crash, if the name is not used again\n"
        "  dx doctor                 on a new machine, and inside of a new VM\n"
        "\n"
        "Exit codes: 0 done, 1 it failed and the text says why, 2 wrong usage.\n",
        out);
}

int tool_fail(const char *verb, dx_status status)
{
    const char *detail = dx_last_error();
    (void)fprintf(stderr, "dx %s: %s\n", verb, *detail != '\0' ? detail : dx_status_string(status));
    return status == DX_ERR_URL ? TOOL_USAGE : TOOL_FAILED;
}

int tool_end_output(const char *verb)
{
    if (fflush(stdout) == 0 && ferror(stdout) == 0)
        return TOOL_OK;
    (void)fprintf(stderr, "dx %s: standard output cannot be written to\n", verb);
    return TOOL_FAILED;
}

int main(int argc, char **argv)
{
    dx_fd_fill_low(); /* before anything is opened */
#ifdef DX_NCURSES
    top_screen = top_screen_run;
#endif
    if (argc < 2) {
        print_usage(stderr);
        return TOOL_USAGE;
    }
    static const char *const help[] = {"-h", "-help", "--help", "help"};
    for (size_t i = 0; i < sizeof help / sizeof *help; i++) {
        if (strcmp(argv[1], help[i]) == 0) {
            print_usage(stdout);
            return tool_end_output("help");
        }
    }
    if (strcmp(argv[1], "-version") == 0 || strcmp(argv[1], "--version") == 0) {
        (void)printf("dx %s\n", dx_version());
        return tool_end_output("-version");
    }
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (strcmp(argv[1], verbs[i].name) == 0)
            return verbs[i].run(argc - 1, argv + 1);
    (void)fprintf(stderr, "dx: no verb is called %s; \"dx -h\" lists them\n", argv[1]);
    return TOOL_USAGE;
}
