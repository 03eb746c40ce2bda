/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * How public symbols are declared; nothing here is for direct use.
 */
#ifndef DX_EXPORT_H
#define DX_EXPORT_H

#if !defined(__linux__) || __SIZEOF_POINTER__ != 8
#error                                                                                             \
    "dx runs on 64-bit Linux only. (A Go program that uses it compiles elsewhere with CGO_ENABLED=0.)"
#endif

/** A function that the library exports. */
#define DX_API __attribute__((visibility("default")))

/** @cond */
#ifdef __cplusplus
#define DX_BEGIN_DECLS extern "C" {
#define DX_END_DECLS }
#else
#define DX_BEGIN_DECLS
#define DX_END_DECLS
#endif
/** @endcond */

#endif
