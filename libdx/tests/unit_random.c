/* SPDX-License-Identifier: Apache-2.0 */
/* Where the kernel refuses random bytes, as under a filter of system calls: numbers still differ,
 * and channels work. */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "pair.h"
#include "random.h"
#include "transports.h"

#define NUMBERS 1000
#define CHILDREN 8

/* From now on getrandom fails so in this process. */
static bool refuse_getrandom(int error)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getrandom, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog filter = {.len = sizeof code / sizeof *code, .filter = code};
    uint64_t word;
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0 &&
           syscall(SYS_getrandom, &word, sizeof word, 0) < 0 && errno == error;
}

/* Nor is there a descriptor for a look at /dev/urandom. */
static bool refuse_descriptors(void)
{
    const struct rlimit none = {0, 0};
    return setrlimit(RLIMIT_NOFILE, &none) == 0;
}

struct trial {
    int error;
    const char *url;
    uint64_t *numbers;
};

static int live(void *user)
{
    const struct trial *t = user;
    struct dx_channel *host;
    struct dx_channel *guest;
    const struct dx_config config = {.slots = 1, .request_capacity = 64, .response_capacity = 64};
    if (!refuse_getrandom(t->error))
        return 1;
    if (dx_create(t->url, &config, &host) != DX_OK)
        return 2;
    dx_status status = dx_attach(t->url, NULL, PATIENCE, &guest);
    if (status == DX_OK && dx_close(guest) != DX_OK)
        return 3;
    return status == DX_OK && dx_close(host) == DX_OK ? 0 : 4;
}

static void channels_live_where_getrandom_is_refused(void **state)
{
    static const int errors[] = {ENOSYS, EPERM};
    char url[TEST_URL_BYTES];
    (void)state;
    for (size_t i = 0; i < TRANSPORTS; i++) {
        const char *path = test_path(transports[i].name);
        for (size_t e = 0; e < 2; e++) {
            struct trial t = {errors[e], transports[i].url(path, url), NULL};
            assert_exited(test_in_child(live, &t));
            (void)unlink(path);
        }
    }
}

static int draw(void *user)
{
    const struct trial *t = user;
    if (!refuse_getrandom(t->error) || !refuse_descriptors())
        return 1;
    for (int i = 0; i < NUMBERS; i++)
        t->numbers[i] = dx_random64();
    return 0;
}

static int compare(const void *a, const void *b)
{
    const uint64_t *x = a;
    const uint64_t *y = b;
    return *x < *y ? -1 : *x > *y;
}

static void numbers_without_random_bytes_differ_in_all_processes(void **state)
{
    size_t bytes = CHILDREN * NUMBERS * sizeof(uint64_t);
    uint64_t *numbers =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    (void)state;
    assert_true(numbers != MAP_FAILED);
    for (int i = 0; i < CHILDREN; i++) {
        struct trial t = {ENOSYS, NULL, numbers + (ptrdiff_t)i * NUMBERS};
        assert_exited(test_in_child(draw, &t));
    }
    qsort(numbers, CHILDREN * NUMBERS, sizeof *numbers, compare);
    assert_true(numbers[0] != 0);
    for (int i = 1; i < CHILDREN * NUMBERS; i++)
        assert_true(numbers[i - 1] != numbers[i]);
    (void)munmap(numbers, bytes);
}

int main(void)
{
    test_begin();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(channels_live_where_getrandom_is_refused),
        cmocka_unit_test(numbers_without_random_bytes_differ_in_all_processes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
