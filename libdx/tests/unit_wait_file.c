/* SPDX-License-Identifier: Apache-2.0 */
/* Wait strategies from files: those of tuning/, and in wait_files/ good ones, which say what they
 * mean, and bad ones, which say in which line. A Go test reads the same folders. */
#include <dirent.h>

#include "dx_wait.h"
#include "test.h"

/* The build says where the source tree is; a tool that only reads the source need not know. */
#ifndef DX_TEST_TREE
#define DX_TEST_TREE "."
#endif

/* A path in the source tree, in a buffer of its own. */
static const char *in_tree(const char *path)
{
    static char paths[4][4096];
    static unsigned next;
    char *out = paths[next++ % 4];
    (void)snprintf(out, sizeof paths[0], "%s/%s", DX_TEST_TREE, path);
    return out;
}

#define FILES in_tree("libdx/tests/wait_files")

/* Calls check with each file of the folder whose name begins so; returns how many there are. */
static int for_each(const char *folder, const char *prefix, void (*check)(const char *path))
{
    DIR *directory = opendir(folder);
    int count = 0;
    assert_non_null(directory);
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        const char *dot = strrchr(entry->d_name, '.');
        if (dot == NULL || strcmp(dot, ".toml") != 0 ||
            strncmp(entry->d_name, prefix, strlen(prefix)) != 0)
            continue;
        char path[4096];
        (void)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        check(path);
        count++;
    }
    (void)closedir(directory);
    return count;
}

/* The second line of a file, behind "# ". */
static void read_note(const char *path, char *note, int bytes)
{
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_non_null(fgets(note, bytes, file));
    assert_non_null(fgets(note, bytes, file));
    (void)fclose(file);
    memmove(note, note + 2, strlen(note + 2) + 1);
    note[strcspn(note, "\n")] = '\0';
}

static void is_as_it_says(const char *path)
{
    struct dx_wait w;
    char note[200];
    char means[200];
    read_note(path, note, sizeof note);
    print_message("%s\n", path);
    assert_status(dx_wait_load(path, &w), DX_OK);
    (void)snprintf(means, sizeof means, "means: %u %u %u %u %u %u %u %u %u %u %lld %lld",
                   w.spin_min, w.spin_max, w.spin_start, w.spin_inc, w.spin_dec, w.yield_every,
                   w.burst, w.relax, w.park, w.adapt, (long long)w.park_timeout_ns,
                   (long long)w.poll_ns);
    assert_string_equal(means, note);
}

static void is_refused_where_it_says(const char *path)
{
    struct dx_wait w;
    struct dx_wait before;
    char note[200];
    read_note(path, note, sizeof note);
    memset(&w, 0x5a, sizeof w);
    before = w;
    print_message("%s\n", path);
    assert_status(dx_wait_load(path, &w), DX_ERR_INVALID);
    assert_detail(path);
    char where[256];
    (void)snprintf(where, sizeof where, "%s:", note);
    assert_detail(where);
    assert_memory_equal(&w, &before, sizeof w);
}

static void is_its_preset(const char *path)
{
    struct dx_wait file;
    struct dx_wait preset;
    char name[64];
    (void)snprintf(name, sizeof name, "%s", strrchr(path, '/') + 1);
    *strrchr(name, '.') = '\0';
    assert_status(dx_wait_load(path, &file), DX_OK);
    assert_status(dx_wait_preset(name, &preset), DX_OK);
    assert_memory_equal(&file, &preset, sizeof file);
}

static void good_files_mean_what_they_say(void **state)
{
    (void)state;
    assert_true(for_each(FILES, "good-", is_as_it_says) >= 4);
}

static void bad_files_are_refused_with_the_line(void **state)
{
    (void)state;
    assert_true(for_each(FILES, "bad-", is_refused_where_it_says) >= 12);
}

static void the_files_of_presets_are_the_presets(void **state)
{
    (void)state;
    assert_int_equal(for_each(in_tree("tuning"), "", is_its_preset), 4);
}

static void what_is_no_file_is_named(void **state)
{
    (void)state;
    struct dx_wait w;
    assert_status(dx_wait_load("low-powr", &w), DX_ERR_INVALID);
    assert_detail("\"low-powr\" is neither a preset");
    assert_status(dx_wait_load("", &w), DX_ERR_INVALID);
    assert_status(dx_wait_load(NULL, &w), DX_ERR_INVALID);
}

static void the_environment_chooses_the_default(void **state)
{
    (void)state;
    struct dx_wait chosen;
    struct dx_wait preset;
    struct dx_channel *channel;
    assert_int_equal(setenv("DX_WAIT", "low-power", 1), 0);
    assert_status(dx_wait_default(&chosen), DX_OK);
    assert_status(dx_wait_preset("low-power", &preset), DX_OK);
    assert_memory_equal(&chosen, &preset, sizeof chosen);
    assert_int_equal(setenv("DX_WAIT", in_tree("libdx/tests/wait_files/bad-name.toml"), 1), 0);
    assert_status(dx_create("memfd:", NULL, &channel), DX_ERR_INVALID);
    assert_detail("DX_WAIT");
    assert_detail("line 3");
    assert_int_equal(unsetenv("DX_WAIT"), 0);
    assert_status(dx_wait_default(&chosen), DX_OK);
    assert_status(dx_wait_preset("balanced", &preset), DX_OK);
    assert_memory_equal(&chosen, &preset, sizeof chosen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_files_mean_what_they_say),
        cmocka_unit_test(bad_files_are_refused_with_the_line),
        cmocka_unit_test(the_files_of_presets_are_the_presets),
        cmocka_unit_test(what_is_no_file_is_named),
        cmocka_unit_test(the_environment_chooses_the_default),
    };
    test_begin();
    (void)unsetenv("DX_WAIT");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
