/* SPDX-License-Identifier: Apache-2.0 */
#include "watchdog_proc.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Longer than a thread needs to print its stack on a machine that has time for it. Only the order
 * of the lines depends on this. */
#define PRINT_NS 50000000

/* The text of a file of a process or of a thread of it, as one line; "" if it has ended. */
static const char *text_of(const char *folder, const char *name, char *text, size_t bytes)
{
    char path[64];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "re");
    size_t got = file != NULL ? fread(text, 1, bytes - 1, file) : 0;
    if (file != NULL)
        (void)fclose(file);
    text[got] = '\0';
    for (size_t i = 0; i < got; i++)
        if (text[i] == '\0' || text[i] == '\n')
            text[i] = i + 1 < got ? ' ' : '\0';
    return text;
}

/* The state and the parent, which follow the name in parentheses. */
static char state_of(const char *folder, pid_t *parent)
{
    char text[512];
    char state = '?';
    const char *behind_name = strrchr(text_of(folder, "stat", text, sizeof text), ')');
    if (behind_name != NULL && behind_name[1] == ' ') {
        state = behind_name[2];
        *parent = (pid_t)strtol(behind_name + 3, NULL, 10);
    }
    return state;
}

static bool is_below_us(pid_t pid)
{
    pid_t self = getpid();
    for (int depth = 0; pid > 1 && depth < 64; depth++) {
        char folder[32];
        pid_t parent = 0;
        (void)snprintf(folder, sizeof folder, "/proc/%d", (int)pid);
        (void)state_of(folder, &parent);
        if (parent == self)
            return true;
        pid = parent;
    }
    return false;
}

/* Calls each for every number that is the name of something in a folder. */
static void for_each(const char *folder, void (*each)(pid_t id, void *user), void *user)
{
    DIR *directory = opendir(folder);
    if (directory == NULL)
        return;
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        long id = strtol(entry->d_name, NULL, 10);
        if (id > 0)
            each((pid_t)id, user);
    }
    (void)closedir(directory);
}

struct visit {
    void (*each)(const char *folder, pid_t pid, pid_t thread, struct proc_tree *tree);
    struct proc_tree tree;
    pid_t pid;
};

static void visit_thread(pid_t id, void *user)
{
    struct visit *v = user;
    char folder[64];
    (void)snprintf(folder, sizeof folder, "/proc/%d/task/%d", (int)v->pid, (int)id);
    v->each(folder, v->pid, id, &v->tree);
}

static void visit_process(pid_t pid, void *user)
{
    struct visit *v = user;
    char folder[64];
    if (!is_below_us(pid))
        return;
    v->pid = pid;
    (void)snprintf(folder, sizeof folder, "/proc/%d/task", (int)pid);
    for_each(folder, visit_thread, v);
}

static void add_times(const char *folder, pid_t pid, pid_t thread, struct proc_tree *tree)
{
    char text[128];
    char *end;
    (void)pid;
    (void)thread;
    tree->run_ns += strtoull(text_of(folder, "schedstat", text, sizeof text), &end, 10);
    tree->wait_ns += strtoull(end, NULL, 10);
}

struct proc_tree proc_look(void)
{
    struct visit v = {.each = add_times};
    for_each("/proc", visit_process, &v);
    return v.tree;
}

static bool shows_stacks(const char *folder)
{
    char text[4096];
    const char *caught = strstr(text_of(folder, "status", text, sizeof text), "SigCgt:");
    return caught != NULL && (strtoull(caught + 7, NULL, 16) >> (WATCHDOG_SIGNAL - 1) & 1u) != 0;
}

static void explain(const char *folder, pid_t pid, pid_t thread, struct proc_tree *tree)
{
    char name[64];
    char command[256];
    char where[64];
    char call[256];
    pid_t parent = 0;
    (void)tree;
    if (pid == thread)
        (void)fprintf(stderr, "process %d: %s\n", (int)pid,
                      text_of(folder, "cmdline", command, sizeof command));
    (void)fprintf(stderr, " thread %d (%s): %c in %s; system call %s\n", (int)thread,
                  text_of(folder, "comm", name, sizeof name), state_of(folder, &parent),
                  text_of(folder, "wchan", where, sizeof where),
                  text_of(folder, "syscall", call, sizeof call));
    if (!shows_stacks(folder))
        return;
    (void)syscall(SYS_tgkill, pid, thread, WATCHDOG_SIGNAL);
    (void)nanosleep(&(struct timespec){.tv_nsec = PRINT_NS}, NULL);
}

void proc_explain(void)
{
    struct visit v = {.each = explain};
    for_each("/proc", visit_process, &v);
}
