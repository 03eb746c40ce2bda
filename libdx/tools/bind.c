/* SPDX-License-Identifier: Apache-2.0 */
/* dx bind: gives a guest's ivshmem device to vfio-pci. */
#include "../dx_device.h"
#include "tool.h"

#include <stdio.h>

static const char usage[] =
    "dx bind [-quiet] URL\n"
    "\n"
    "In a QEMU guest, as root: binds the ivshmem device to the driver vfio-pci, so that the URL\n"
    "ivshmem:doorbell can be woken by interrupts. Loads the driver if need be (modprobe). Done\n"
    "once after each boot; doing it again changes nothing. Without it ivshmem:doorbell works,\n"
    "too, but polls where it cannot be woken.\n"
    "\n"
    "QEMU needs -device intel-iommu before the device, the guest's kernel intel_iommu=on.\n"
    "\n"
    "  -quiet   say nothing if it works\n"
    "\n"
    "Exit codes: 0 bound, 1 it failed and the text says why, 2 wrong usage.\n"
    "\n"
    "Examples:\n"
    "  dx bind ivshmem:doorbell\n"
    "  dx bind 'ivshmem:doorbell?addr=0000:00:03.0'   of several devices\n";

int tool_bind(int argc, char **argv)
{
    static const struct tool_url_verb verb = {"bind", usage, "quiet"};
    bool quiet = false;
    const char *url;
    int code = tool_parse_url(&verb, argc, argv, &quiet, &url);
    if (code >= 0)
        return code;
    dx_status status = dx_device_bind(url);
    if (status != DX_OK)
        return tool_fail("bind", status);
    if (!quiet)
        (void)printf("%s: bound to vfio-pci\n", url);
    return tool_end_output("bind");
}
