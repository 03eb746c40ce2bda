/* SPDX-License-Identifier: Apache-2.0 */
/* dx top: what it prints, and what it shows on a terminal. */
#include "terminal.h"
#include "top_run.h"

static void usage_is_taught_and_misuse_is_refused(void **state)
{
    (void)state;
    assert_says(run("top", "-h", NULL, NULL), "Exit codes");
    assert_says(run("top", "-h", NULL, NULL), "Example");
    assert_misused(run("top", "-wrong", NULL, NULL), "-wrong");
    assert_misused(run("top", "shm:a", "shm:b", NULL), "2 are given");
    assert_misused(run("top", "nonsense", NULL, NULL), "nonsense");
    assert_misused(run("top", "-every", "0", NULL), "-every");
    assert_misused(run("top", "-every", "soon", NULL), "-every");
    assert_misused(run("top", "-sort", "size", NULL), "-sort");
}

static void without_a_terminal_it_says_what_to_give_instead(void **state)
{
    struct scene *s = *state;
    start_host(s);
    assert_refuses(run("top", s->url, NULL, NULL), "-once");
    assert_refuses(run("top", "-once", "shm:dx-test-nobody", NULL), "nothing there");
}

/* Lines but those that name the region fit on a terminal. */
static void assert_narrow(const struct scene *s, const struct result *r)
{
    for (const char *line = r->out; *line != '\0';) {
        size_t length = strcspn(line, "\n");
        if (strncmp(line, s->url, strlen(s->url)) != 0)
            assert_in_range(length, 1, 80);
        line += length + (line[length] != '\0');
    }
}

static void rates_are_printed(void **state)
{
    struct scene *s = *state;
    char pid[32];
    start_host(s);
    start_guest(s);
    const struct result *r = run("top", "-once", "-json", s->url);
    assert_true(number_of(r, "host.calls_per_s") < 1);
    assert_true(number_of(r, "interval_s") > 0);
    pid_t calls = start_calls(s);
    (void)look_for(s, "host.calls_per_s", 0);
    r = look_for(s, "guest.serves_per_s", 0);
    assert_true(number_of(r, "guest.calls_per_s") < 1);
    assert_int_equal((int)number_of(r, "host.pid"), s->host.pid);
    r = run("top", "-once", "-slots", s->url);
    assert_says(r, "SIDE  STATE");
    assert_says(r, "SLOT SIDE  CALLER");
    (void)snprintf(pid, sizeof pid, " host  open   %7d ", (int)s->host.pid);
    assert_says(r, pid);
    (void)snprintf(pid, sizeof pid, " guest open   %7d ", (int)s->guest.pid);
    assert_says(r, pid);
    assert_narrow(s, r);
    end_calls(calls);
}

/* Whatever the sides wrote: all of it is input. */
static void noise_is_shown_as_well_as_it_can_be(void **state)
{
    struct scene *s = *state;
    static const int values[] = {0xff, 0x01, 0x02, 0x80};
    unsigned char noise[8192];
    leave_stale(s->url, small);
    struct snapshot before = take_snapshot(s->path);
    off_t bytes = before.stat.st_size;
    free(before.bytes);
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        memset(noise, values[i], sizeof noise);
        for (off_t at = sizeof(struct dx_header); at < bytes;) {
            size_t now = bytes - at < (off_t)sizeof noise ? (size_t)(bytes - at) : sizeof noise;
            patch_file(s->path, at, noise, now);
            at += (off_t)now;
        }
        const struct result *r = run("top", "-once", "-slots", s->url);
        assert_says(r, " guest ");
        assert_narrow(s, r);
        assert_true(number_of(look_at(s), "host.calls_per_s") <= 0);
        assert_says(run("metrics", s->url, NULL, NULL), "dx_calls_total{");
        assert_says(run("ls", s->url, NULL, NULL), s->url);
        assert_int_equal(run("info", s->url, NULL, NULL)->code, 0);
    }
}

static void a_side_that_died_is_dead(void **state)
{
    struct scene *s = *state;
    start_host(s);
    start_guest(s);
    child_kill(&s->guest);
    assert_says(run("top", "-once", s->url, NULL), " guest dead ");
}

/* What is typed at the shell's prompt of the terminal. */
static const char *command_of(const struct scene *s, const char *before, char *command,
                              size_t bytes)
{
    (void)snprintf(command, bytes,
                   "%s '%s' top -every 0.1 '%s'; echo \"code $?\"; stty -a | tr ' ' '\\n' | grep "
                   "icanon; read -r wait",
                   before, DX_TOOL, s->url);
    return command;
}

static void assert_restored(struct terminal *t, const char *code)
{
    terminal_await(t, code, true);
    terminal_await(t, "icanon", true);
    assert_null(strstr(t->screen, "-icanon"));
}

static void it_is_drawn_and_keys_work(void **state)
{
    struct scene *s = *state;
    static struct terminal t;
    char command[512];
    start_host(s);
    start_guest(s);
    terminal_start(&t, "80", "24", command_of(s, "", command, sizeof command));
    terminal_await(&t, s->url, true);
    terminal_await(&t, "q end  s slots", true);
    terminal_await(&t, " SIDE  STATE      PID BEAT CALLS SERVED   ERR SPIN YIELD PARK", true);
    terminal_await(&t, " guest open ", true);
    terminal_type(&t, "s");
    terminal_await(&t, "SLOT SIDE  CALLER", true);
    call_well(s);
    terminal_await(&t, "acknowledged", true); /* it goes on looking */
    terminal_type(&t, "s");
    terminal_await(&t, "SLOT SIDE  CALLER", false);
    terminal_type(&t, "o");
    terminal_await(&t, "by errors", true);
    terminal_type(&t, "-");
    terminal_await(&t, "every 0.2 s", true);
    terminal_type(&t, "?");
    terminal_await(&t, "choose a region", true);
    terminal_type(&t, "?");
    terminal_await(&t, "choose a region", false);
    child_kill(&s->guest);
    terminal_await(&t, " guest dead ", true);
    terminal_type(&t, "q");
    assert_restored(&t, "code 0");
    terminal_end(&t);
}

/* It is drawn without colours where there are none, and on a larger screen. */
static void it_needs_no_colours(void **state)
{
    struct scene *s = *state;
    static struct terminal t;
    static const char *const kinds[] = {"TERM=vt100", "NO_COLOR=1"};
    char command[512];
    start_host(s);
    for (int i = 0; i < 2; i++) {
        terminal_start(&t, "132", "43", command_of(s, kinds[i], command, sizeof command));
        terminal_await(&t, s->url, true);
        terminal_await(&t, " host  open ", true);
        terminal_type(&t, "q");
        assert_restored(&t, "code 0");
        terminal_end(&t);
    }
    for (int i = 0; i < 2; i++) {
        terminal_start(
            &t, "80", "24",
            command_of(s, i == 0 ? "TERM=none-of-these" : "TERM=dumb", command, sizeof command));
        assert_restored(&t, "code 1");
        terminal_await(&t, "-once", true);
        terminal_end(&t);
    }
}

static pid_t find_top(const struct scene *s)
{
    DIR *processes = opendir("/proc");
    pid_t found = 0;
    assert_non_null(processes);
    for (const struct dirent *entry; found == 0 && (entry = readdir(processes)) != NULL;) {
        char path[300];
        char words[512] = "";
        (void)snprintf(path, sizeof path, "/proc/%s/cmdline", entry->d_name);
        FILE *file = fopen(path, "re");
        size_t bytes = file != NULL ? fread(words, 1, sizeof words - 1, file) : 0;
        if (file != NULL)
            (void)fclose(file);
        const char *verb = memchr(words, '\0', bytes);
        if (verb != NULL && strcmp(verb + 1, "top") == 0 && strcmp(words, DX_TOOL) == 0 &&
            bytes > strlen(s->url) && strcmp(words + bytes - strlen(s->url) - 1, s->url) == 0)
            found = (pid_t)strtol(entry->d_name, NULL, 10);
    }
    (void)closedir(processes);
    return found;
}

static void signals_restore_the_terminal(void **state)
{
    struct scene *s = *state;
    static struct terminal t;
    static const int signals[] = {SIGINT, SIGTERM};
    char command[512];
    start_host(s);
    for (int i = 0; i < 2; i++) {
        terminal_start(&t, "80", "24", command_of(s, "", command, sizeof command));
        terminal_await(&t, " host  open ", true);
        pid_t pid = find_top(s);
        assert_true(pid > 0);
        assert_int_equal(kill(pid, signals[i]), 0);
        assert_restored(&t, "code 0");
        terminal_end(&t);
    }
    terminal_start(&t, "80", "24", command_of(s, "", command, sizeof command));
    terminal_await(&t, " host  open ", true);
    terminal_type(&t, "C-c");
    assert_restored(&t, "code 0");
    terminal_end(&t);
}

/* A region of a dead host is shown until another host has begun under the same name. */
static void the_next_host_is_shown(void **state)
{
    struct scene *s = *state;
    static struct terminal t;
    char command[512];
    char pid[32];
    start_host(s);
    terminal_start(&t, "80", "24", command_of(s, "", command, sizeof command));
    terminal_await(&t, " host  open ", true);
    child_kill(&s->host);
    terminal_await(&t, " host  dead ", true);
    assert_int_equal(unlink(s->path), 0);
    terminal_await(&t, "nothing there", true);
    start_host(s);
    (void)snprintf(pid, sizeof pid, " host  open   %7d ", (int)s->host.pid);
    terminal_await(&t, pid, true);
    assert_int_equal(truncate(s->path, 4096), 0);
    terminal_await(&t, "4096 bytes are there", true);
    terminal_type(&t, "q");
    assert_restored(&t, "code 0");
    terminal_end(&t);
}

/* Without a URL: those that are there, those that come, and not those that have gone. Others'
 * regions are shown, too, so that the screen is high. */
static void all_regions_are_shown_as_they_come(void **state)
{
    struct scene *s = *state;
    static struct terminal t;
    char command[512];
    char second[TEST_URL_BYTES];
    const char *path = test_path("second");
    (void)test_shm_url(path, second);
    start_host(s);
    (void)snprintf(command, sizeof command,
                   "'%s' top -every 0.1 -sort url; echo \"code $?\"; read -r wait", DX_TOOL);
    terminal_start(&t, "100", "1000", command);
    terminal_await(&t, s->url, true);
    struct child other = child_start("host", second, s->tally_fd);
    assert_int_equal(child_hear(&other), 'a');
    terminal_await(&t, second, true);
    assert_non_null(strstr(t.screen, s->url));
    child_tell(&other, 'q'); /* which removes the name */
    assert_exited(child_end(&other));
    terminal_await(&t, second, false);
    terminal_type(&t, "q");
    terminal_await(&t, "code 0", true);
    terminal_end(&t);
    test_paths()->count--;
}

/* The URL of the region whose slots are shown; "": none are. */
static const char *url_of_slots(struct terminal *t)
{
    static char url[TEST_URL_BYTES];
    const char *line = strstr(terminal_screen(t), "  SLOT SIDE  CALLER");
    while (line != NULL && line > t->screen && (*line == ' ' || line[-1] != '\n'))
        line--;
    (void)snprintf(url, sizeof url, "%.*s", line != NULL ? (int)strcspn(line, " ") : 0,
                   line != NULL ? line : "");
    return url;
}

static void await_slots_of(struct terminal *t, const char *url)
{
    while (strcmp(url_of_slots(t), url) != 0)
        terminal_await_news(t);
    watchdog_step();
}

/* Others' regions may come before it, and go. */
static void choose(struct terminal *t, const char *url)
{
    char shown[TEST_URL_BYTES];
    for (;;) {
        (void)snprintf(shown, sizeof shown, "%s", url_of_slots(t));
        if (strcmp(shown, url) == 0)
            return;
        if (shown[0] != '\0')
            terminal_type(t, strcmp(shown, url) < 0 ? "Down" : "Up");
        while (strcmp(url_of_slots(t), shown) == 0)
            terminal_await_news(t);
    }
}

/* By URL the two come first, one after the other: a name with a "!" is none of shm:. */
static void arrows_choose_the_region_whose_slots_are_shown(void **state)
{
    struct scene *s = *state;
    static struct terminal t;
    static const char *const keys[] = {"Down", "Up", "j", "k"};
    char command[512];
    char urls[2][TEST_URL_BYTES];
    struct child hosts[2];
    for (int i = 0; i < 2; i++) {
        (void)test_file_url(test_path(i == 0 ? "!1" : "!2"), urls[i]);
        hosts[i] = child_start("host", urls[i], s->tally_fd);
        assert_int_equal(child_hear(&hosts[i]), 'a');
    }
    (void)snprintf(command, sizeof command, "'%s' top -every 0.1 -sort url; read -r wait", DX_TOOL);
    terminal_start(&t, "100", "1000", command);
    terminal_await(&t, urls[1], true);
    terminal_type(&t, "s");
    choose(&t, urls[0]);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        terminal_type(&t, keys[i]);
        await_slots_of(&t, urls[(i + 1) % 2]);
    }
    terminal_end(&t);
    for (int i = 0; i < 2; i++) {
        child_tell(&hosts[i], 'q'); /* which removes the name */
        assert_exited(child_end(&hosts[i]));
        test_paths()->count--;
    }
}

/* Also one that is smaller than the table. */
static void a_terminal_of_another_size_is_filled(void **state)
{
    struct scene *s = *state;
    static struct terminal t;
    char command[512];
    start_host(s);
    terminal_start(&t, "80", "24", command_of(s, "", command, sizeof command));
    terminal_await(&t, " guest none ", true);
    assert_int_equal(TERMINAL_RUN(&t, "resize-window", "-x", "60", "-y", "5"), 0);
    terminal_await(&t, " guest none ", false);
    terminal_await(&t, "q end  s slots", true);
    terminal_type(&t, "NPage");
    terminal_await(&t, " guest none ", true);
    terminal_type(&t, "PPage");
    terminal_await(&t, s->url, true);
    assert_int_equal(TERMINAL_RUN(&t, "resize-window", "-x", "120", "-y", "40"), 0);
    terminal_await(&t, " guest none ", true);
    terminal_type(&t, "q");
    assert_restored(&t, "code 0");
    terminal_end(&t);
}

int main(int argc, char **argv)
{
    static const struct transport_test tests[] = {
        TRANSPORT_TEST_OF("shm", usage_is_taught_and_misuse_is_refused),
        TRANSPORT_TEST_OF("shm", without_a_terminal_it_says_what_to_give_instead),
        TRANSPORT_TEST(rates_are_printed),
        TRANSPORT_TEST_OF("shm", noise_is_shown_as_well_as_it_can_be),
        TRANSPORT_TEST_OF_FILES(a_side_that_died_is_dead),
        TRANSPORT_TEST_OF("unix", it_is_drawn_and_keys_work),
        TRANSPORT_TEST_OF("shm", it_is_drawn_and_keys_work),
        TRANSPORT_TEST_OF("shm", it_needs_no_colours),
        TRANSPORT_TEST_OF("shm", signals_restore_the_terminal),
        TRANSPORT_TEST_OF("shm", the_next_host_is_shown),
        TRANSPORT_TEST_OF("shm", all_regions_are_shown_as_they_come),
        TRANSPORT_TEST_OF("shm", arrows_choose_the_region_whose_slots_are_shown),
        TRANSPORT_TEST_OF("shm", a_terminal_of_another_size_is_filled),
    };
    child_main(argc, argv);
    test_begin();
    return run_transport_tests(tests, sizeof tests / sizeof *tests, set_scene, clear_scene,
                               nothing_is_left);
}
