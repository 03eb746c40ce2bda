/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The version. While it begins with 0, a new minor version may change the API; docs/changelog.md
 * says how. The version of the protocol in the region is another one (docs/protocol.md).
 */
#ifndef DX_VERSION_H
#define DX_VERSION_H

#include "dx_export.h"

DX_BEGIN_DECLS

/* Of the headers. CMake takes the version of the package from here. */
#define DX_VERSION_MAJOR 0
#define DX_VERSION_MINOR 2
#define DX_VERSION_PATCH 0

/* Returns the version of the library that runs, such as "0.2.0". Any thread, never blocks; the text
 * is constant. */
DX_API const char *dx_version(void);

DX_END_DECLS

#endif
