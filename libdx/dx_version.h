/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The version.
 *
 * While it begins with 0, a new minor version may change the API; docs/changelog.md
 * says how. The version of the protocol in the region is another one (docs/protocol.md).
 */
#ifndef DX_VERSION_H
#define DX_VERSION_H

#include "dx_export.h"

DX_BEGIN_DECLS

/* CMake takes the version of the package from here. */
/** The first number of the headers' version. */
#define DX_VERSION_MAJOR 0
/** The second number of the headers' version. */
#define DX_VERSION_MINOR 2
/** The third number of the headers' version. */
#define DX_VERSION_PATCH 0

/**
 * Returns the version of the library that runs.
 *
 * @return A constant text, such as "0.2.0"
 *
 * @threads Any thread. Never blocks.
 */
DX_API const char *dx_version(void);

DX_END_DECLS

#endif
