/* SPDX-License-Identifier: Apache-2.0 */
/* Every function of the library works on a thread whose stack has PTHREAD_STACK_MIN bytes, and the
 * threads of the library have enough whatever the program's default is. A step into the memory
 * below such a stack ends this program by SIGSEGV. */
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "dx_device.h"
#include "small_jobs.h"
#include "transports.h"

#define POOL_THREADS 3u
#define CALLERS 4
#define POOL_STACK_BYTES ((size_t)256 * 1024)

/* Calls and streams from the host to the guest, which serves. */
static void use(struct job *host, struct job *guest)
{
    struct small_stack serving;
    struct job stopping = {.channel = guest->channel};
    guest->threads = 1;
    guest->run = job_serve;
    small_stack_start(&serving, job_thread, guest);
    job_expect(host, job_call, DX_OK);
    job_expect(host, job_stream, DX_OK);
    assert_int_equal(host->streamed, STREAM_BYTES);
    job_expect(host, job_close_caller, DX_OK);
    job_expect(&stopping, job_stop, DX_OK);
    small_stack_join(&serving);
    assert_status(guest->status, DX_ERR_STOPPED);
}

/* url NULL: memfd:. */
static void run_all(const char *url, const struct dx_wait *wait)
{
    char memfd[32];
    struct job host = {.url = url != NULL ? url : "memfd:", .config = job_config};
    struct job guest = {.url = url};
    host.config.wait = wait;
    guest.config.wait = wait;
    job_expect(&host, job_create_places, DX_OK);
    job_expect(&host, job_create, DX_OK);
    if (url == NULL) {
        (void)snprintf(memfd, sizeof memfd, "memfd:%d", dx_channel_fd(host.channel));
        guest.url = memfd;
    } else {
        struct job second = {.url = url, .config = job_config};
        job_expect(&second, job_create, DX_ERR_HOST_EXISTS);
    }
    job_expect(&guest, job_attach, DX_OK);
    job_expect(&guest, job_observe, DX_OK);
    use(&host, &guest);
    job_expect(&guest, job_close_channel, DX_OK);
    job_expect(&host, job_close_channel, DX_OK);
}

static void all_works_by_name(void **state)
{
    const struct transport *transport = *state;
    char url[TEST_URL_BYTES];
    struct job nobody = {.url = transport->url(test_path("small"), url)};
    job_expect(&nobody, job_attach, DX_ERR_NO_PEER);
    job_expect(&nobody, job_observe, DX_ERR_NO_PEER);
    run_all(url, NULL);
}

static void all_works_in_unnamed_memory(void **state)
{
    (void)state;
    run_all(NULL, NULL);
}

/* What the machine has and what parking costs is measured first. */
static void all_works_with_a_strategy_that_measures(void **state)
{
    const struct transport *transport = *state;
    struct dx_wait wait;
    char url[TEST_URL_BYTES];
    assert_status(dx_wait_preset("balanced", &wait), DX_OK);
    wait.adapt = DX_ADAPT_LOAD;
    run_all(transport->url(test_path("measured"), url), &wait);
}

/* Relative, and longer than a socket's address. */
static void all_works_with_a_long_path(void **state)
{
    const struct transport *transport = *state;
    const char *folder =
        test_path("with-a-name-that-makes-what-lies-in-it-too-long-for-the-address");
    char name[80] = "";
    char url[TEST_URL_BYTES];
    memset(name, 'n', 60);
    assert_int_equal(mkdir(folder, 0700), 0);
    int before = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    assert_true(before >= 0);
    assert_int_equal(chdir(folder), 0);
    run_all(transport->url(name, url), NULL);
    (void)unlink(name); /* a host leaves a file: where it is */
    assert_int_equal(fchdir(before), 0);
    (void)close(before);
    assert_int_equal(rmdir(folder), 0);
}

/* The socket of a host that was killed. */
static void a_dead_hosts_socket_is_replaced(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char url[TEST_URL_BYTES];
    const char *path = test_path("stale");
    (void)state;
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(fchmod(fd, 0600), 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
    (void)close(fd);
    run_all(test_unix_url(path, url), NULL);
}

static dx_status load(struct job *job)
{
    return dx_wait_load(job->url, &job->wait);
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void a_strategy_is_loaded(void **state)
{
    struct job job = {.url = test_path("strategy")};
    (void)state;
    write_file(job.url, "preset = \"throughput\"\nspin_max = 0x2000 # looks\npark = \"poll\"\n");
    job_expect(&job, load, DX_OK);
    assert_int_equal(job.wait.spin_max, 0x2000);
    write_file(job.url, "preset = \"throughput\"\nspin_max = \"many\"\n");
    job_expect(&job, load, DX_ERR_INVALID);
    assert_non_null(strstr(job.detail, "line 2"));
    write_file(job.url, "yield_every = 1\nspin_min = 2000\nspin_max = 1000\n");
    job_expect(&job, load, DX_ERR_INVALID);
    struct job preset = {.url = "low-power"};
    job_expect(&preset, load, DX_OK);
}

static dx_status bind_device(struct job *job)
{
    return dx_device_bind(job->url);
}

static void what_is_not_there_is_said(void **state)
{
    static const char *const wrong[] = {NULL, "", "nothing:here", "shm:", "shm:a/b", "memfd:x"};
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct job job = {.url = wrong[i], .config = job_config};
        job_expect(&job, job_create, DX_ERR_URL);
        job_expect(&job, job_attach, DX_ERR_URL);
        job_expect(&job, job_observe, DX_ERR_URL);
    }
    struct job device = {.url = "ivshmem:doorbell?addr=ffff:ff:1f.7"};
    job_expect(&device, job_attach, DX_ERR_NO_PEER);
    job_expect(&device, bind_device, DX_ERR_NO_PEER);
}

/* Each of the pool's threads is called once. */
static void threads_of_the_library_have_enough(void **state)
{
    pthread_attr_t before;
    pthread_attr_t tiny;
    pthread_t serving;
    struct dx_caller *callers[CALLERS];
    char url[TEST_URL_BYTES];
    const struct transport *transport = *state;
    assert_int_equal(pthread_getattr_default_np(&before), 0);
    assert_int_equal(pthread_attr_init(&tiny), 0);
    assert_int_equal(pthread_attr_setstacksize(&tiny, SMALL_STACK_BYTES), 0);
#ifndef SMALL_STACK_SANITIZED
    assert_int_equal(pthread_setattr_default_np(&tiny), 0);
#endif
    struct job host = {.url = transport->url(test_path("default"), url), .config = job_config};
    struct job guest = {.url = url, .threads = POOL_THREADS, .run = job_serve};
    job_expect(&host, job_create, DX_OK);
    job_expect(&guest, job_attach, DX_OK);
    guest.run = job_serve;
    assert_int_equal(pthread_create(&serving, &before, job_thread, &guest), 0);
    for (size_t i = 0; i < CALLERS; i++) {
        host.answer = 0;
        job_expect(&host, job_call, DX_OK);
        callers[i] = host.caller;
    }
    for (size_t i = 0; i < CALLERS; i++)
        dx_caller_close(callers[i]);
    dx_stop(guest.channel);
    assert_int_equal(pthread_join(serving, NULL), 0);
    assert_status(guest.status, DX_ERR_STOPPED);
    assert_int_equal(pthread_setattr_default_np(&before), 0);
    (void)pthread_attr_destroy(&tiny);
    (void)pthread_attr_destroy(&before);
    assert_in_range(atomic_load(&guest.least_stack), POOL_STACK_BYTES, SIZE_MAX);
    assert_status(dx_close(guest.channel), DX_OK);
    assert_status(dx_close(host.channel), DX_OK);
}

static int setup(void **state)
{
    (void)state;
    return 0;
}

int main(void)
{
    static const struct transport_test tests[] = {
        TRANSPORT_TEST(all_works_by_name),
        TRANSPORT_TEST(all_works_with_a_strategy_that_measures),
        TRANSPORT_TEST_OF("file", all_works_with_a_long_path),
        TRANSPORT_TEST_OF("unix", all_works_with_a_long_path),
        TRANSPORT_TEST(threads_of_the_library_have_enough),
        TRANSPORT_TEST_OF("shm", all_works_in_unnamed_memory),
        TRANSPORT_TEST_OF("unix", a_dead_hosts_socket_is_replaced),
        TRANSPORT_TEST_OF("file", a_strategy_is_loaded),
        TRANSPORT_TEST_OF("file", what_is_not_there_is_said),
    };
    test_begin();
    return run_transport_tests(tests, sizeof tests / sizeof *tests, setup, NULL, NULL);
}
