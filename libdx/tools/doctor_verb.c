/* SPDX-License-Identifier: Apache-2.0 */
/* dx doctor: the command. */
#include <getopt.h>

#include "doctor_probes.h"
#include "tool.h"

/* clang-format off */
static const char usage[] =
    "dx doctor [-json]\n"
    "\n"
    "Looks at this machine, host or guest, and says of each thing that dx and its experiments\n"
    "need whether it is ok, a warning (it works, but slower or not everywhere) or a problem (it\n"
    "does not work), and what to do. It changes nothing, needs no root, and takes a second at\n"
    "most.\n"
    "\n"
    "  user         who runs this, which decides on regions and devices\n"
    "  cpus, smt, governor, quota   how much CPU there is for two sides that spin\n"
    "  hypervisor   whether this is a guest, and of what\n"
    "  wait, timer  instructions for waiting; how long a short sleep takes\n"
    "  kvm          whether QEMU can be given KVM; \"vm/vm accel\" shows whether it boots a guest\n"
    "  shm, hugepages   memory for regions, and what regions there take\n"
    "  limits       descriptors, sizes of files and locked memory of a process\n"
    "  names, kernel   who removes names; whether processes can tell which kernel this is\n"
    "  lockdown     whether the kernel forbids to map devices\n"
    "  ivshmem, mapping   each such device, and by timing whether its memory is cached\n"
    "  iommu, vfio  what interrupts of an ivshmem-doorbell device need\n"
    "  counters     whether CPU cycles can be counted\n"
    "\n"
    "  -json    one JSON object: counts, and for each check its level (ok, warning, problem),\n"
    "           what was found, and advice (text or null)\n"
    "\n"
    "Exit codes: 0 nothing worse than warnings, 1 problems, 2 wrong usage.\n"
    "\n"
    "Examples:\n"
    "  dx doctor\n"
    "  dx doctor -json | jq -r '.findings.kvm.level'\n";
/* clang-format on */

/* An exit code, or -1 to go on. */
static int parse(int argc, char **argv, bool *json)
{
    static const struct option names[] = {{"json", no_argument, NULL, 'j'},
                                          {"h", no_argument, NULL, 'h'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    int option;
    opterr = 0;
    while ((option = getopt_long_only(argc, argv, "", names, NULL)) >= 0) {
        if (option == 'h') {
            (void)fputs(usage, stdout);
            return tool_end_output("doctor");
        }
        if (option != 'j') {
            (void)fprintf(stderr, "dx doctor: unknown flag %s; \"dx doctor -h\" explains\n",
                          argv[optind - 1]);
            return TOOL_USAGE;
        }
        *json = true;
    }
    if (optind == argc)
        return -1;
    (void)fprintf(stderr, "dx doctor: takes no arguments, %s is given; \"dx doctor -h\" explains\n",
                  argv[optind]);
    return TOOL_USAGE;
}

int tool_doctor(int argc, char **argv)
{
    static struct doctor d;
    bool json = false;
    int code = parse(argc, argv, &json);
    if (code >= 0)
        return code;
    const struct doctor_probes probes = doctor_probes();
    d.root = "";
    d.probes = &probes;
    doctor_examine(&d);
    (json ? doctor_print_json : doctor_print)(&d, stdout);
    code = tool_end_output("doctor");
    return code == TOOL_OK && doctor_count(&d, DOCTOR_PROBLEM) > 0 ? TOOL_FAILED : code;
}
