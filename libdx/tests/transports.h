/* SPDX-License-Identifier: Apache-2.0 */
/* Tests that hold for every transport whose region has a name: each is run once for each. */
#ifndef DX_TEST_TRANSPORTS_H
#define DX_TEST_TRANSPORTS_H

#include <sys/stat.h>

#include "test.h"

struct transport {
    const char *name;
    const char *(*url)(const char *path, char *url); /* into TEST_URL_BYTES */
    mode_t kind;                                     /* of what stands under the name */
    const char *mapped_as; /* the region's file in /proc/self/maps; NULL: the name */
};

static inline const char *test_unix_url(const char *path, char *url)
{
    (void)snprintf(url, TEST_URL_BYTES, "unix:%s", path);
    return url;
}

static const struct transport transports[] = {
    {"shm", test_shm_url, S_IFREG, NULL},
    {"file", test_file_url, S_IFREG, NULL},
    {"unix", test_unix_url, S_IFSOCK, "/memfd:dx"},
};

#define TRANSPORTS (sizeof transports / sizeof *transports)
#define TRANSPORT_TESTS_MAX 64

struct transport_test {
    const char *name;
    CMUnitTestFunction run;
    const char *only; /* for this transport; NULL: for each */
    bool files;       /* for those whose region is the file that has the name */
};
#define TRANSPORT_TEST(f)                                                                          \
    {                                                                                              \
        .name = #f, .run = (f)                                                                     \
    }
#define TRANSPORT_TEST_OF(transport, f)                                                            \
    {                                                                                              \
        .name = #f, .run = (f), .only = (transport)                                                \
    }
#define TRANSPORT_TEST_OF_FILES(f)                                                                 \
    {                                                                                              \
        .name = #f, .run = (f), .files = true                                                      \
    }

/* setup finds the transport in its state. Returns what cmocka does. */
static inline int run_transport_tests(const struct transport_test *tests, size_t count,
                                      CMFixtureFunction setup, CMFixtureFunction teardown,
                                      CMFixtureFunction group_teardown)
{
    static struct CMUnitTest all[TRANSPORT_TESTS_MAX];
    static char names[TRANSPORT_TESTS_MAX][128];
    size_t used = 0;
    for (size_t i = 0; i < TRANSPORTS * count && used < TRANSPORT_TESTS_MAX; i++) {
        const struct transport *transport = &transports[i / count];
        const struct transport_test *test = &tests[i % count];
        if (test->only != NULL && strcmp(test->only, transport->name) != 0)
            continue;
        if (test->files && !S_ISREG(transport->kind))
            continue;
        (void)snprintf(names[used], sizeof names[used], "%s: %s", transport->name, test->name);
        all[used] = (struct CMUnitTest){names[used], test->run, setup, teardown, (void *)transport};
        used++;
    }
    return used < TRANSPORT_TESTS_MAX
               ? _cmocka_run_group_tests("tests", all, used, NULL, group_teardown)
               : -1;
}

#endif
