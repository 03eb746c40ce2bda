/* SPDX-License-Identifier: Apache-2.0 */
#include "bell.h"

#include <stdlib.h>
#include <string.h>

#include "../../../libdx/channel.h"
#include "../../../libdx/clock.h"
#include "../../../libdx/dx.h"
#include "../../../libdx/rendezvous_link.h"

#define ATTACH_NS 10000000000ll
#define SILENT_NS 1000000000ll
#define ANSWER_NS 10000000000ll

/* Bytes in the region, and their number, which comes last. */
struct letter {
    _Atomic uint64_t number;
    unsigned char bytes[];
};

struct bell {
    struct dx_channel *channel;
    struct letter *request;
    struct letter *answer;
    unsigned char *buffer;
    uint32_t bytes;
    uint64_t number;
};

static int begin(struct bell *b, dx_status status, struct bell **out)
{
    if (status == DX_OK && b->channel->region.link == NULL)
        status = DX_ERR_INVALID;
    if (status != DX_OK) {
        bell_close(b);
        return status;
    }
    b->request = (void *)dx_request_at(b->channel, 0);
    b->answer = (void *)dx_response_at(b->channel, 0);
    *out = b;
    return DX_OK;
}

static struct bell *new_bell(uint32_t bytes)
{
    struct bell *b = calloc(1, sizeof *b);
    if (b == NULL)
        return NULL;
    b->bytes = bytes;
    b->buffer = calloc(1, bytes + 1);
    return b;
}

int bell_create(const char *url, uint32_t bytes, struct bell **out)
{
    struct bell *b = new_bell(bytes);
    uint32_t room = bytes + (uint32_t)sizeof(struct letter);
    struct dx_config config = {.slots = 1, .request_capacity = room, .response_capacity = room};
    return b == NULL ? DX_ERR_SYSTEM : begin(b, dx_create(url, &config, &b->channel), out);
}

int bell_attach(const char *url, uint32_t bytes, struct bell **out)
{
    struct bell *b = new_bell(bytes);
    return b == NULL ? DX_ERR_SYSTEM : begin(b, dx_attach(url, NULL, ATTACH_NS, &b->channel), out);
}

static void ring_other(const struct bell *b)
{
    const struct dx_channel *c = b->channel;
    dx_link_ring(c->region.link, dx_load_relaxed(&c->peers[dx_other(c->side)].doorbell_id));
}

/* Waits until the letter has this number: looks once after each ring. It gives up after as much
 * silence as limit_ns. */
static dx_status await(const struct bell *b, const struct letter *letter, uint64_t number,
                       int64_t limit_ns)
{
    dx_status status = DX_OK;
    int64_t silent_ns = 0;
    while (dx_load_acquire(&letter->number) != number && status == DX_OK) {
        if (dx_link_hear(b->channel->region.link, SILENT_NS)) {
            dx_link_forget_rings(b->channel->region.link);
            continue;
        }
        silent_ns += SILENT_NS;
        status = silent_ns < limit_ns ? dx_channel_check(b->channel) : DX_ERR_TIMEOUT;
    }
    return status;
}

static void send(struct bell *b, struct letter *letter)
{
    memcpy(letter->bytes, b->buffer, b->bytes);
    dx_store_release(&letter->number, b->number);
    ring_other(b);
}

uint64_t bell_calls(struct bell *b, int64_t duration_ns, uint32_t *rtt_ns, uint64_t room,
                    int *status)
{
    int64_t start_ns = dx_clock_ns();
    int64_t now_ns = start_ns;
    uint64_t made = 0;
    *status = DX_OK;
    while (now_ns - start_ns < duration_ns && made < room) {
        int64_t begun_ns = now_ns;
        b->number++;
        send(b, b->request);
        *status = await(b, b->answer, b->number, ANSWER_NS);
        if (*status != DX_OK)
            break;
        memcpy(b->buffer, b->answer->bytes, b->bytes);
        now_ns = dx_clock_ns();
        rtt_ns[made++] = (uint32_t)(now_ns - begun_ns);
    }
    return made;
}

int bell_serve(struct bell *b)
{
    for (b->number = 1;; b->number++) {
        dx_status status = await(b, b->request, b->number, INT64_MAX);
        if (status != DX_OK)
            return status;
        memcpy(b->buffer, b->request->bytes, b->bytes);
        send(b, b->answer);
    }
}

void bell_close(struct bell *b)
{
    if (b == NULL)
        return;
    (void)dx_close(b->channel);
    free(b->buffer);
    free(b);
}
