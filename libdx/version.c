/* SPDX-License-Identifier: Apache-2.0 */
#include "dx_version.h"

#define TEXT_OF(number) #number
#define VERSION(major, minor, patch) TEXT_OF(major) "." TEXT_OF(minor) "." TEXT_OF(patch)

const char *dx_version(void)
{
    return VERSION(DX_VERSION_MAJOR, DX_VERSION_MINOR, DX_VERSION_PATCH);
}
