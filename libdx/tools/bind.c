/* SPDX-License-Identifier: Apache-2.0 */
/* dx bind: gives a guest's ivshmem device to vfio-pci. */
#include "../dx_device.h"

#include <getopt.h>
#include <stdio.h>

#include "options.h"
#include "tool.h"

/* clang-format off */
static const char usage[] =
    "dx bind [-quiet] URL\n"
    "\n"
    "For root in a QEMU guest: binds the ivshmem device to the driver vfio-pci, so that\n"
    "interrupts can wake a program that uses the URL ivshmem:doorbell. It loads the driver by\n"
    "modprobe if necessary. Once after each boot is enough; again changes nothing. Without it\n"
    "ivshmem:doorbell works, but polls where it cannot be woken.\n"
    "\n"
    "The guest needs an IOMMU, see docs/doorbell.md.\n"
    "\n"
    "  -quiet   say nothing on success\n"
    "\n"
    "Exit codes: 0 bound, 1 it failed and the text says why, 2 wrong usage.\n"
    "\n"
    "Examples:\n"
    "  dx bind ivshmem:doorbell\n"
    "  dx bind 'ivshmem:doorbell?addr=0000:00:03.0'   one of several devices\n";
/* clang-format on */

int tool_bind(int argc, char **argv)
{
    bool quiet = false;
    const struct tool_syntax syntax = {
        .verb = "bind", .usage = usage, .flags = {{.name = "quiet", .set = &quiet}}};
    int code = tool_parse(&syntax, argc, argv);
    if (code < 0)
        code = tool_expect_url(&syntax, argc);
    if (code >= 0)
        return code;
    const char *url = argv[optind];
    dx_status status = dx_device_bind(url);
    if (status != DX_OK)
        return tool_fail("bind", status);
    if (!quiet)
        (void)printf("%s: bound to vfio-pci\n", url);
    return tool_end_output("bind");
}
