/* SPDX-License-Identifier: Apache-2.0 */
#include "rendezvous_member.h"

#include <linux/sockios.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "fd.h"

/* Messages that a client may be sent before it has read the first of them. */
#define UNREAD_MAX 8u

/* The kernel counts the memory of unread messages, some hundred bytes each, and at the moment of
 * its event may not have given back the last byte. */
#define NEARLY_EMPTY 64

/* The version and the id, which come without a descriptor. */
#define SAID_BEFORE_JOINING 2u

struct dx_member *dx_member_new(uint32_t id, int socket)
{
    struct dx_member *m = calloc(1, sizeof *m);
    if (m == NULL)
        return NULL;
    m->id = id;
    m->socket = socket;
    memset(m->bells, -1, sizeof m->bells);
    return m;
}

void dx_member_close(struct dx_member *m)
{
    dx_fd_close(&m->socket);
    for (uint32_t v = 0; v < DX_RENDEZVOUS_VECTORS_MAX; v++)
        dx_fd_close(&m->bells[v]);
}

void dx_member_free(struct dx_member *m, struct dx_member_budget *budget)
{
    budget->in_flight -= m->in_flight;
    dx_member_close(m);
    free(m);
}

bool dx_member_open_bells(struct dx_member *m, uint32_t vectors)
{
    bool complete = true;
    for (uint32_t v = 0; v < vectors; v++) {
        if (m->bells[v] < 0)
            m->bells[v] = dx_fd_eventfd();
        complete = complete && m->bells[v] >= 0;
    }
    return complete;
}

static bool has_read_all(const struct dx_member *m)
{
    int unread_bytes = 0;
    return m->unread == 0 || ioctl(m->socket, SIOCOUTQ, &unread_bytes) != 0 ||
           unread_bytes < NEARLY_EMPTY;
}

bool dx_member_is_behind(struct dx_member *m, struct dx_member_budget *budget)
{
    if (!has_read_all(m))
        return true;
    budget->in_flight -= m->in_flight;
    m->in_flight = 0;
    m->unread = 0;
    return false;
}

bool dx_member_may_join(const struct dx_member *m)
{
    return !m->joined && m->said == SAID_BEFORE_JOINING && m->unread == 0;
}

static void forget(struct dx_member *m, uint32_t at)
{
    m->news_count--;
    memmove(&m->news[at], &m->news[at + 1], (m->news_count - at) * sizeof m->news[0]);
}

/* Somebody who came and left before this client could be told of either. */
static void forget_oldest(struct dx_member *m)
{
    for (uint32_t i = 0; i < m->news_count; i++) {
        if (m->news[i].who == NULL && m->news[i].told == 0) {
            forget(m, i);
            return;
        }
    }
}

void dx_member_add(struct dx_member *m, const struct dx_member *who)
{
    /* Those who have been told of are as many as may be there at once, since who has left is said
     * before who has come. So there is always one to forget. */
    if (m->news_count == DX_MEMBER_NEWS_MAX)
        forget_oldest(m);
    if (m->news_count < DX_MEMBER_NEWS_MAX)
        m->news[m->news_count++] = (struct dx_member_news){.who = who, .id = who->id};
}

void dx_member_remove(struct dx_member *m, uint32_t who)
{
    for (uint32_t i = 0; i < m->news_count; i++)
        if (m->news[i].id == who)
            m->news[i].who = NULL;
}

bool dx_member_has_news_of(const struct dx_member *m, uint32_t id)
{
    for (uint32_t i = 0; i < m->news_count; i++)
        if (m->news[i].id == id)
            return true;
    return false;
}

/* The place of what is to be said next: first who has left, then who has come, in their order. */
static uint32_t next_news(const struct dx_member *m, uint32_t vectors)
{
    for (uint32_t i = 0; i < m->news_count; i++)
        if (m->news[i].who == NULL)
            return i;
    for (uint32_t i = 0; i < m->news_count; i++)
        if (m->news[i].told < vectors)
            return i;
    return m->news_count;
}

/* What is said before the news, in the protocol's order. False: that is all said. */
static bool next_of_greeting(const struct dx_member *m, const struct dx_rendezvous_config *config,
                             struct dx_ivshmem_message *out)
{
    uint32_t own = config->self >= 0 ? config->vectors : 0;
    switch (m->said) {
    case 0:
        *out = (struct dx_ivshmem_message){.value = DX_IVSHMEM_VERSION, .fd = -1};
        return true;
    case 1:
        *out = (struct dx_ivshmem_message){.value = m->id, .fd = -1};
        return true;
    case SAID_BEFORE_JOINING:
        *out = (struct dx_ivshmem_message){.value = DX_IVSHMEM_MEMORY, .fd = config->memory};
        return true;
    default:
        *out = (struct dx_ivshmem_message){.value = 0, .fd = config->self};
        return m->said < SAID_BEFORE_JOINING + 1 + own;
    }
}

static bool next_message(const struct dx_member *m, const struct dx_rendezvous_config *config,
                         struct dx_ivshmem_message *out, uint32_t *news)
{
    *news = DX_MEMBER_NEWS_MAX;
    if (m->said >= SAID_BEFORE_JOINING && !m->joined)
        return false;
    if (next_of_greeting(m, config, out))
        return true;
    *news = next_news(m, config->vectors);
    if (*news == m->news_count)
        return false;
    const struct dx_member_news *n = &m->news[*news];
    *out = (struct dx_ivshmem_message){.value = n->id,
                                       .fd = n->who != NULL ? n->who->bells[n->told] : -1};
    return true;
}

static void was_said(struct dx_member *m, uint32_t news)
{
    if (news == DX_MEMBER_NEWS_MAX)
        m->said++;
    else if (m->news[news].who != NULL)
        m->news[news].told++;
    else
        forget(m, news);
}

static bool may_send(const struct dx_member *m, const struct dx_member_budget *budget, bool with_fd)
{
    return m->unread < UNREAD_MAX &&
           (!with_fd || m->in_flight == 0 || budget->in_flight < budget->in_flight_max);
}

bool dx_member_tell(struct dx_member *m, const struct dx_rendezvous_config *config,
                    struct dx_member_budget *budget, int64_t now_ns)
{
    struct dx_ivshmem_message next;
    uint32_t news;
    (void)dx_member_is_behind(m, budget);
    while (next_message(m, config, &next, &news) && may_send(m, budget, next.fd >= 0)) {
        if (m->paused && next.fd >= 0)
            return false;
        enum dx_ivshmem_sent sent = dx_ivshmem_send(m->socket, next.value, next.fd);
        m->paused = sent == DX_IVSHMEM_LATER && next.fd >= 0;
        if (sent != DX_IVSHMEM_SENT) /* of one that is gone, epoll tells */
            return sent != DX_IVSHMEM_LATER;
        if (m->unread++ == 0)
            m->silent_ns = now_ns;
        m->in_flight += next.fd >= 0;
        budget->in_flight += next.fd >= 0;
        was_said(m, news);
    }
    return true;
}
