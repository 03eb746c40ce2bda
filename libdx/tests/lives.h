/* SPDX-License-Identifier: Apache-2.0 */
/* Regions of hosts that are dead, in two sizes. */
#ifndef DX_TEST_LIVES_H
#define DX_TEST_LIVES_H

#include "channel.h"
#include "files.h"
#include "pair.h"

static const struct dx_config small = {.slots = 2, .request_capacity = 64, .response_capacity = 64};
static const struct dx_config large = {
    .slots = 9, .request_capacity = 100000, .response_capacity = 70000};

/* For children: creates and dies without closing. */
struct life {
    const char *url;
    struct dx_config config;
};

static inline int die_as_host(void *user)
{
    const struct life *life = user;
    struct dx_channel *channel;
    return dx_create(life->url, &life->config, &channel) == DX_OK ? 0 : 2;
}

static inline void leave_stale(const char *url, struct dx_config config)
{
    struct life life = {url, config};
    assert_exited(test_in_child(die_as_host, &life));
}

#endif
