/* SPDX-License-Identifier: Apache-2.0 */
#include "error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define TEXT_BYTES 512

static _Thread_local char text[TEXT_BYTES];
static _Thread_local uint64_t failures; /* of this thread that have set the text */

const char *dx_last_error(void)
{
    return text;
}

dx_status(dx_fail)(dx_status status, const char *format, ...)
{
    va_list arguments;
    failures++;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return status;
}

dx_status dx_fail_errno(const char *format, ...)
{
    int number = errno;
    va_list arguments;
    failures++;
    va_start(arguments, format);
    int used = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (used >= 0 && (size_t)used < sizeof text) {
        /* Not strerror_r, of which there are two that differ in what they return. */
        errno = number;
        (void)snprintf(text + used, sizeof text - (size_t)used, ": %m");
    }
    return number == EACCES || number == EPERM ? DX_ERR_PERMISSION : DX_ERR_SYSTEM;
}

dx_status dx_fail_plain(dx_status status)
{
    if (status != DX_OK)
        text[0] = '\0';
    return status;
}

uint64_t dx_error_mark(void)
{
    return failures;
}

dx_status dx_error_settle(uint64_t mark, dx_status status)
{
    bool failed = status != DX_OK;
    bool told = failures != mark;
    if (failed != told)
        text[0] = '\0';
    return status;
}

dx_status dx_fail_at(dx_status status, const char *prefix)
{
    char detail[TEXT_BYTES];
    memcpy(detail, text, sizeof detail);
    (void)snprintf(text, sizeof text, "%.200s: %.300s", prefix, detail);
    return status;
}

const char *dx_status_string(dx_status status)
{
    static const char *const strings[] = {
        "ok",
        "an argument is out of its range",
        "the deadline passed",
        "the channel was stopped",
        "the other side closed the channel",
        "the other side's process died",
        "the other side did not come before the deadline",
        "the server was restarted during the call, which may have run",
        "the request is larger than the slot",
        "the response is larger than the slot",
        "the response is larger than the buffer",
        "still in use",
        "a living host holds the region",
        "a living guest holds the region",
        "not a dx region",
        "a dx region of another version",
        "sizes in the region's header contradict each other",
        "the file is shorter than its header says",
        "the region's host is gone",
        "not permitted",
        "the URL is malformed",
        "every slot is taken",
        "a system call failed",
        "a message type that is not allowed or not known",
        "given up before the server began it",
        "the other side wrote what cannot be",
        "the other side has ended the stream and reads no more",
        "the channel belongs to the process that forked this one",
        "the region's name was removed, so that nobody new can find it",
    };
    const int count = (int)(sizeof strings / sizeof *strings);
    if ((int)status > 0 || (int)status <= -count)
        return "an unknown status";
    return strings[-(int)status];
}

dx_status dx_reserved_check(const char *structure, const uint64_t *reserved, size_t bytes)
{
    for (size_t i = 0; i < bytes / sizeof *reserved; i++)
        if (reserved[i] != 0)
            return dx_fail(DX_ERR_INVALID,
                           "%s: reserved[%zu] is %#llx and must be zero: set the whole struct to "
                           "zero before its fields",
                           structure, i, (unsigned long long)reserved[i]);
    return DX_OK;
}
