/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs of the command dx: what a verb prints is its text, and its exit code its status. */
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "scene.h"

/* Runs it with both outputs in memory; what was printed is kept in s->text. */
static int run_tool(struct stage *s, int argc, char **argv)
{
    int printed = memfd_create("printed", MFD_CLOEXEC);
    int saved[2] = {fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3),
                    fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3)};
    (void)fflush(stdout);
    for (int i = 0; i < 2; i++)
        (void)dup2(printed, i == 0 ? STDOUT_FILENO : STDERR_FILENO);
    optind = 0; /* getopt begins anew */
    int code = tool_main(argc, argv);
    (void)fflush(stdout);
    clearerr(stdout);
    for (int i = 0; i < 2; i++) {
        (void)dup2(saved[i], i == 0 ? STDOUT_FILENO : STDERR_FILENO);
        (void)close(saved[i]);
    }
    ssize_t got = pread(printed, s->text, sizeof s->text - 1, 0);
    s->text[got > 0 ? got : 0] = '\0';
    (void)close(printed);
    return code;
}

dx_status scene_run(struct stage *s, const char *const *words)
{
    char copies[SCENE_WORDS][PEER_URL_BYTES] = {"dx"};
    char *argv[SCENE_WORDS + 1] = {copies[0]};
    int argc = 1;
    for (; argc < (int)SCENE_WORDS && words[argc - 1] != NULL; argc++) {
        (void)snprintf(copies[argc], sizeof copies[argc], "%s", words[argc - 1]);
        argv[argc] = copies[argc];
    }
    return run_tool(s, argc, argv) == 0 ? DX_OK : DX_ERR_SYSTEM;
}

static dx_status info(struct stage *s)
{
    return SCENE_RUN(s, "info", s->url);
}

static dx_status reset(struct stage *s)
{
    return SCENE_RUN(s, "reset", s->url);
}

void scene_block_term(sigset_t *term)
{
    (void)sigemptyset(term);
    (void)sigaddset(term, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, term, NULL);
}

/* Ends at once, because the signal that ends it is there already. */
static dx_status rendezvous(struct stage *s)
{
    char path[PEER_URL_BYTES];
    sigset_t term;
    (void)snprintf(path, sizeof path, "%s/socket", s->folder);
    scene_block_term(&term);
    (void)kill(getpid(), SIGTERM);
    dx_status status = SCENE_RUN(s, "rendezvous", path);
    const struct timespec none = {0};
    (void)sigtimedwait(&term, NULL, &none);
    return status;
}

static dx_status is_cleared(struct stage *s)
{
    const struct dx_config config = peer_config(&s->wait);
    dx_status status = dx_create(s->url, &config, &s->channels[0]);
    return status == DX_OK ? dx_close(s->channels[0]) : status;
}

static dx_status nothing(struct stage *s)
{
    (void)s;
    return DX_OK;
}

static dx_status close_peer(struct stage *s)
{
    return peer_do(&s->peer, PEER_CLOSE, NULL, -1);
}

const struct scene tool_scenes[] = {
    {"dx-info", SCENE_NAMED, true, DX_PARK_FUTEX, scene_peer_creates, info, nothing, close_peer},
    {"dx-reset", SCENE_AT_SHM, true, DX_PARK_FUTEX, scene_leave_corpse, reset, is_cleared, nothing},
    {"dx-rendezvous", SCENE_AT_UNIX, true, DX_PARK_FUTEX, nothing, rendezvous, nothing, nothing},
    {0},
};
