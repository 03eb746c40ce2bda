/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared memory with C11's release, acquire, relaxed and fences, and nothing that a processor adds.
 * It has what Arm has and x86 has not: a load may see an old value although the thread has seen a
 * newer one of another word.
 *
 * Each word has the stores to it, in the order in which they were made. A thread's view says of each
 * word how far it must have got: it reads the store there, or any later one. A store takes a view
 * along: that of its thread if it is a release, else that of its thread's last fence. Who reads it by
 * an acquire, or has a fence later, has that view, too. A sequentially consistent fence joins the
 * thread's view and that of all such fences before. (The views of Kang et al., A Promising Semantics
 * for Relaxed-Memory Concurrency, POPL 2017. In place of its promises a relaxed store may be made
 * before the loads of what it frees, by READ_AND_STORE; else stores are made after all loads before
 * them.)
 *
 * Stores that everybody must have got past are forgotten, so that equal states are equal.
 */

c_decl {
    enum { NEWEST = STORES - 1 };
    struct message {
        unsigned char value;
        unsigned char view[WORDS];
    };
    struct memory {
        unsigned char count[WORDS];
        struct message made[WORDS][STORES];
        unsigned char view[THREADS][WORDS];
        unsigned char seen[THREADS][WORDS];   /* by relaxed loads: a fence makes it part of the view */
        unsigned char fenced[THREADS][WORDS]; /* the view at the last fence */
        unsigned char fences[WORDS];          /* that of all fences */
        unsigned char kernel[WORDS];          /* of whoever called futex_wake */
    };

    static void join(unsigned char *to, const unsigned char *from)
    {
        for (int w = 0; w < WORDS; w++)
            if (from[w] > to[w])
                to[w] = from[w];
    }

    static void drop(unsigned char *view, int w, int stores)
    {
        view[w] = view[w] > stores ? view[w] - stores : 0;
    }

    static void forget(struct memory *m)
    {
        for (int w = 0; w < WORDS; w++) {
            int past = STORES;
            for (int t = 0; t < THREADS; t++)
                if (m->view[t][w] < past)
                    past = m->view[t][w];
            if (past == 0)
                continue;
            for (int i = 0; i < STORES; i++) {
                if (i + past < m->count[w])
                    m->made[w][i] = m->made[w][i + past];
                else
                    memset(&m->made[w][i], 0, sizeof m->made[w][i]);
            }
            m->count[w] -= past;
            for (int of = 0; of < WORDS; of++)
                for (int i = 0; i < m->count[of]; i++)
                    drop(m->made[of][i].view, w, past);
            for (int t = 0; t < THREADS; t++) {
                drop(m->view[t], w, past);
                drop(m->seen[t], w, past);
                drop(m->fenced[t], w, past);
            }
            drop(m->fences, w, past);
            drop(m->kernel, w, past);
        }
    }

    static int load_store(struct memory *m, int t, int w, int which, int acquire)
    {
        const struct message *from = &m->made[w][which];
        m->view[t][w] = which;
        join(acquire ? m->view[t] : m->seen[t], from->view);
        int value = from->value;
        forget(m);
        return value;
    }

    static void make_store(struct memory *m, int t, int w, int value, int release)
    {
        if (m->count[w] > NEWEST) {
            printf("error: STORES is too small for word %d\n", w);
            exit(1);
        }
        int which = m->count[w]++;
        m->made[w][which].value = value;
        m->view[t][w] = which;
        memcpy(m->made[w][which].view, release ? m->view[t] : m->fenced[t], WORDS);
        m->made[w][which].view[w] = which;
        forget(m);
    }

    /* Reads the newest store, as a read-modify-write does; what it stores takes that one's view along. */
    static int exchange_if(struct memory *m, int t, int w, int expected, int value)
    {
        int newest = m->count[w] - 1;
        unsigned char view[WORDS];
        memcpy(view, m->made[w][newest].view, WORDS);
        m->view[t][w] = newest;
        join(m->view[t], view);
        int same = m->made[w][newest].value == expected;
        if (same) {
            make_store(m, t, w, value, 1);
            return 1;
        }
        forget(m);
        return 0;
    }

    static void full_fence(struct memory *m, int t)
    {
        join(m->view[t], m->seen[t]);
        join(m->view[t], m->fences);
        memcpy(m->fences, m->view[t], WORDS);
        memcpy(m->fenced[t], m->view[t], WORDS);
        forget(m);
    }

    static void begin_memory(struct memory *m)
    {
        for (int w = 0; w < WORDS; w++)
            m->count[w] = 1;
    }
}

c_state "struct memory memory" "Global"

#define RELAXED 0
#define ACQUIRE 1
#define RELEASE 1

/* `out` becomes a value that thread t may read. */
#define LOAD(t, w, order, out)                                                                     \
    atomic {                                                                                       \
        c_code { now.which = now.memory.view[t][w]; };                                             \
        do                                                                                         \
        :: c_expr { now.which < now.memory.count[w] - 1 } -> which++                               \
        :: break                                                                                   \
        od;                                                                                        \
        c_code { out = load_store(&now.memory, t, w, now.which, order); now.which = 0; }           \
    }

#define STORE(t, w, v, order)                                                                      \
    c_code { make_store(&now.memory, t, w, v, order); }

/* A look at what is no atomic word, and then a store, which may come before unless it is a release. */
#define READ_AND_STORE(look, t, w, v, order)                                                       \
    if                                                                                             \
    :: true ->                                                                                     \
       look;                                                                                       \
       STORE(t, w, v, order)                                                                       \
    :: order == RELAXED ->                                                                         \
       STORE(t, w, v, order);                                                                      \
       look                                                                                        \
    fi

#define FENCE(t) c_code { full_fence(&now.memory, t); }

/* The one value that thread t may read: what is no atomic word must have only one. */
#define ONLY(t, w, v)                                                                              \
    c_expr { now.memory.view[t][w] == now.memory.count[w] - 1 &&                                    \
             now.memory.made[w][now.memory.count[w] - 1].value == (v) }
