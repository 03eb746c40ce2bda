/* SPDX-License-Identifier: Apache-2.0 */
#include "run.h"

#include <dirent.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "holds.h"

/* What runs share. */
static struct run_result *shared;
static char folder[] = "/tmp/dx-world-XXXXXX";
static char tag[64];
static sigset_t child_ended;

/* A run takes some milliseconds, and longer only on a machine that does much else. */
/* The deadline of an operation whose calls fail: a status that says so comes as well. */
#define FAILS_WITHIN_NS 300000000ll

#ifndef HANGS_AFTER_S
#define HANGS_AFTER_S 120
#endif

/* The process under test, what it must hold when all is over, and where it says what was wrong. */
struct subject {
    struct stage stage;
    const struct scene *scene;
    struct holds start;
    struct run_result *result; /* in memory that the parent shares */
};

static void say(struct subject *s, const char *format, ...)
{
    size_t used = strlen(s->result->text);
    s->result->right = false;
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(s->result->text + used, sizeof s->result->text - used, format, arguments);
    va_end(arguments);
}

static bool expect(struct subject *s, const char *what, dx_status status)
{
    if (status != DX_OK)
        say(s, "[%s: %d (%s), \"%s\"] ", what, (int)status, dx_status_string(status),
            dx_last_error());
    return status == DX_OK;
}

/* May an operation end like this because of that error? What is no fault of the other side's is
 * not told as one. */
static bool status_tells(dx_status status, const struct world_report *r)
{
    switch (status) {
    case DX_ERR_SYSTEM:
        return true;
    case DX_ERR_PERMISSION:
        return r->error == EACCES || r->error == EPERM;
    case DX_ERR_TIMEOUT: /* what fails again and again lets nothing through */
        return true;
    case DX_ERR_NO_PEER:
        return strcmp(r->function, "connect") == 0 && r->error == EAGAIN;
    default:
        return false;
    }
}

/* Does the text name the failure? */
static bool text_tells(dx_status status, const char *text, const struct world_report *r)
{
    char number[32];
    (void)snprintf(number, sizeof number, "error %d", r->error);
    if (status == DX_ERR_TIMEOUT)
        return true;
    if (r->error == ENOMEM && strstr(text, "no memory") != NULL)
        return true;
    if (r->error == EAGAIN && strstr(text, "too many are waiting") != NULL)
        return true;
    if (r->error == WORLD_SHORT)
        return *text != '\0';
    return strstr(text, strerror(r->error)) != NULL || strstr(text, number) != NULL;
}

/* The operation failed: is it told, and is nothing left of it? Then it works. */
static bool judge_failure(struct subject *s, dx_status status, const struct world_report *r,
                          const struct holds *before)
{
    char text[256];
    const char *detail = s->stage.text[0] != '\0' ? s->stage.text : dx_last_error();
    if (r->error == 0)
        return expect(s, "the operation failed by itself", status);
    if (!status_tells(status, r))
        say(s, "[it says %d (%s), \"%s\"] ", (int)status, dx_status_string(status), detail);
    else if (!text_tells(status, detail, r))
        say(s, "[its text does not name the error: %d, \"%s\"] ", (int)status, detail);
    struct holds allowed = *before;
    if (s->scene->is_program || strcmp(r->function, "fstat") == 0)
        allowed.descriptors = holds_now(s->stage.folder, s->stage.tag).descriptors;
    if (!holds_settle(&allowed, s->stage.folder, s->stage.tag, text, sizeof text))
        say(s, "[left behind: %s] ", text);
    return expect(s, "tried again", s->scene->operate(&s->stage));
}

/* What may not be looked at or removed is left where it is. */
static bool is_about_names(const char *function)
{
    return strcmp(function, "unlink") == 0 || strcmp(function, "lstat") == 0 ||
           strcmp(function, "fstat") == 0;
}

static void act(struct subject *s, const struct world_plan *plan)
{
    struct stage *stage = &s->stage;
    char text[256];
    if (!expect(s, "before", s->scene->prepare(stage)))
        return;
    struct holds before = holds_now(stage->folder, stage->tag);
    const struct world_report *r = &s->result->report;
    stage->limit_ns = FAILS_WITHIN_NS;
    world_arm(plan, &s->result->report);
    dx_status status = s->scene->operate(stage);
    world_disarm();
    stage->limit_ns = PEER_PATIENCE_NS;
    if (status != DX_OK && !judge_failure(s, status, r, &before))
        return;
    (void)expect(s, "what it was for", s->scene->check(stage));
    if (!expect(s, "the end", s->scene->clear(stage)))
        return;
    if (stage->memory >= 0)
        (void)close(stage->memory);
    peer_end(&stage->peer);
    peer_end(&stage->corpse);
    bool names = r->function != NULL && is_about_names(r->function);
    struct holds after = holds_now(stage->folder, stage->tag);
    if (s->scene->is_program)
        s->start.descriptors = after.descriptors;
    if (names) { /* what could not be removed, or be told from another's, is left, and that is all
                  */
        s->start.names = after.names;
        s->start.descriptors = after.descriptors;
    }
    if (!holds_settle(&s->start, stage->folder, stage->tag, text, sizeof text))
        say(s, "[left at the end: %s] ", text);
}

static void set_url(struct stage *s)
{
    switch (s->transport) {
    case SCENE_SHM:
        (void)snprintf(s->url, sizeof s->url, "shm:%s", s->tag);
        return;
    case SCENE_FILE:
        (void)snprintf(s->url, sizeof s->url, "file:%s/name", s->folder);
        return;
    case SCENE_UNIX:
        (void)snprintf(s->url, sizeof s->url, "unix:%s/name", s->folder);
        return;
    default:
        (void)snprintf(s->url, sizeof s->url, "memfd:");
    }
}

static _Noreturn void be_subject(const struct scene *scene, enum scene_transport transport,
                                 const struct world_plan *plan)
{
    struct subject s = {
        .stage = {.folder = folder, .tag = tag, .transport = transport, .memory = -1},
        .scene = scene,
        .result = shared};
    set_url(&s.stage);
    (void)dx_wait_preset("balanced", &s.stage.wait);
    if (scene->park != DX_PARK_NEVER) /* parks at once */
        s.stage.wait.spin_min = s.stage.wait.spin_max = s.stage.wait.spin_start = 0;
    s.stage.wait.park = (uint32_t)scene->park;
    s.stage.wait.adapt = DX_ADAPT_OFF;
    s.start = holds_now(folder, tag);
    if (!peer_start(&s.stage.peer))
        say(&s, "[the peer cannot be started: %s] ", strerror(errno));
    else
        act(&s, plan);
    _exit(0);
}

/* What hangs says where: for each thread its name and what it waits for in the kernel. */
static void print_threads(pid_t pid)
{
    char path[300];
    char text[256];
    (void)snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *tasks = opendir(path);
    const struct dirent *entry;
    while (tasks != NULL && (entry = readdir(tasks)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        static const char *const files[] = {"comm", "wchan", "syscall"};
        (void)printf("  thread %s:", entry->d_name);
        for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
            (void)snprintf(path, sizeof path, "/proc/%d/task/%.20s/%s", (int)pid, entry->d_name,
                           files[i]);
            FILE *f = fopen(path, "re");
            if (f != NULL && fgets(text, sizeof text, f) != NULL)
                (void)printf(" %s %.*s", files[i], (int)strcspn(text, "\n"), text);
            if (f != NULL)
                (void)fclose(f);
        }
        (void)printf("\n");
    }
    if (tasks != NULL)
        (void)closedir(tasks);
}

static void await_subject(pid_t pid, struct run_result *result)
{
    const struct timespec limit = {.tv_sec = HANGS_AFTER_S};
    int status = 0;
    while (waitpid(pid, &status, WNOHANG) == 0) {
        if (sigtimedwait(&child_ended, NULL, &limit) > 0 || errno == EINTR)
            continue;
        print_threads(pid);
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, &status, 0);
        result->right = false;
        (void)snprintf(result->text, sizeof result->text, "it hangs");
        return;
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return;
    result->right = false;
    (void)snprintf(result->text + strlen(result->text), sizeof result->text - strlen(result->text),
                   "[the process ended by %s %d] ", WIFEXITED(status) ? "exit" : "signal",
                   WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
}

/* Removes what is ours of a folder: what has `with` in its name, or if that is NULL all that a run
 * can make there. */
static void remove_names(const char *from, const char *with)
{
    char path[512];
    DIR *d = opendir(from);
    const struct dirent *entry;
    while (d != NULL && (entry = readdir(d)) != NULL) {
        bool hidden = entry->d_name[0] == '.' && strncmp(entry->d_name, ".dx", 3) != 0;
        if (with == NULL ? hidden : strstr(entry->d_name, with) == NULL)
            continue;
        (void)snprintf(path, sizeof path, "%s/%.200s", from, entry->d_name);
        (void)unlink(path);
    }
    if (d != NULL)
        (void)closedir(d);
}

static void end_runs(void)
{
    (void)rmdir(folder);
}

static void begin_runs(void)
{
    (void)snprintf(tag, sizeof tag, "dx-world-%d", (int)getpid());
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED || mkdtemp(folder) == NULL || atexit(end_runs) != 0)
        abort();
    (void)sigemptyset(&child_ended);
    (void)sigaddset(&child_ended, SIGCHLD);
    (void)sigprocmask(SIG_BLOCK, &child_ended, NULL);
}

void run_scene(const struct scene *scene, enum scene_transport transport,
               const struct world_plan *plan, struct run_result *result)
{
    if (shared == NULL)
        begin_runs();
    *shared = (struct run_result){.right = true};
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid < 0)
        abort();
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)sigprocmask(SIG_UNBLOCK, &child_ended, NULL);
        if (getppid() == parent)
            be_subject(scene, transport, plan);
        _exit(1);
    }
    await_subject(pid, shared);
    remove_names(folder, NULL);
    remove_names("/dev/shm", tag);
    *result = *shared;
}
