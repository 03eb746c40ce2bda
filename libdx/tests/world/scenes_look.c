/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verbs of the command dx that look for regions: ls, metrics, top, reset -all-dead. They say
 * what they could not look at: with code 0, what is there was found, read and shown.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../json.h"
#include "fail.h"
#include "scene.h"

#define OLD_FILE "old\n"

static dx_status nothing(struct stage *s)
{
    (void)s;
    return DX_OK;
}

/* Of this machine there are the names of this run, and the peer's process. */
static void look_at_little(const struct stage *s)
{
    (void)setenv("XDG_RUNTIME_DIR", s->folder, 1);
    world_show_only(s->tag, s->peer.pid);
}

static dx_status peer_creates(struct stage *s)
{
    look_at_little(s);
    return scene_peer_creates(s);
}

static dx_status close_peer(struct stage *s)
{
    return peer_do(&s->peer, PEER_CLOSE, NULL, -1);
}

static bool says(const struct stage *s, const char *text)
{
    return strstr(s->text, text) != NULL;
}

/* What may not be looked at is another's, as far as can be seen, and what is not there has ended.
 */
static bool is_of_nobody(void)
{
    static const char *const looks[] = {"stat",     "lstat", "fopen",   "opendir",
                                        "readlink", "open",  "readdir", "access"};
    const struct world_report *r = world_reported();
    for (size_t i = 0; i < sizeof looks / sizeof *looks; i++)
        if (r->function != NULL && strcmp(r->function, looks[i]) == 0)
            return r->error == EACCES || r->error == EPERM || r->error == ENOENT;
    return false;
}

static dx_status list(struct stage *s)
{
    return SCENE_RUN(s, "ls");
}

static dx_status is_listed(struct stage *s)
{
    return says(s, s->url) && says(s, "alive ") ? DX_OK : DX_ERR_CORRUPT;
}

static dx_status list_json(struct stage *s)
{
    return SCENE_RUN(s, "ls", "-json");
}

/* Where sockets cannot be listed, which it says, memory that is served at one has no name. */
static dx_status is_listed_as_json(struct stage *s)
{
    const char *json = strchr(s->text, '[');
    bool listed =
        says(s, says(s, "cannot be listed") ? "\"memfd:\"" : s->url) && says(s, "\"alive\": true");
    bool right = json != NULL && json_is_valid(json) && (listed || is_of_nobody());
    return right ? DX_OK : DX_ERR_CORRUPT;
}

static dx_status metrics(struct stage *s)
{
    return SCENE_RUN(s, "metrics", s->url);
}

/* A region that could not be read is said to be down, and on standard error why. */
static dx_status is_measured(struct stage *s)
{
    char up[PEER_URL_BYTES + 32];
    (void)snprintf(up, sizeof up, "dx_up{url=\"%s\"} ", s->url);
    const char *line = strstr(s->text, up);
    if (line == NULL)
        return DX_ERR_CORRUPT;
    bool is_up = line[strlen(up)] == '1';
    return is_up || says(s, "dx metrics: ") ? DX_OK : DX_ERR_CORRUPT;
}

static void name_file(const struct stage *s, char path[PEER_URL_BYTES])
{
    (void)snprintf(path, PEER_URL_BYTES, "%s/dx.prom", s->folder);
}

static dx_status write_old_file(struct stage *s)
{
    char path[PEER_URL_BYTES];
    name_file(s, path);
    FILE *file = fopen(path, "we");
    if (file == NULL)
        return DX_ERR_SYSTEM;
    (void)fputs(OLD_FILE, file);
    return fclose(file) == 0 ? peer_creates(s) : DX_ERR_SYSTEM;
}

/* Afterwards there is the old file or, with code 0, all of the new one. */
static dx_status write_metrics(struct stage *s)
{
    char path[PEER_URL_BYTES];
    char text[16384] = "";
    char up[PEER_URL_BYTES + 32];
    name_file(s, path);
    dx_status status = SCENE_RUN(s, "metrics", "-o", path);
    FILE *file = fopen(path, "re");
    size_t bytes = file != NULL ? fread(text, 1, sizeof text - 1, file) : 0;
    if (file != NULL)
        (void)fclose(file);
    text[bytes] = '\0';
    (void)snprintf(up, sizeof up, "dx_up{url=\"%s\"} 1\n", s->url);
    bool is_new = strstr(text, up) != NULL && strstr(text, "dx_rescued_wakeups_total{") != NULL;
    bool is_right = status == DX_OK ? is_new : strcmp(text, OLD_FILE) == 0;
    return is_right ? status : DX_ERR_CORRUPT;
}

static dx_status remove_file(struct stage *s)
{
    char path[PEER_URL_BYTES];
    name_file(s, path);
    dx_status status = close_peer(s);
    return unlink(path) == 0 ? status : DX_ERR_SYSTEM;
}

static dx_status top(struct stage *s)
{
    world_skip_waits();
    return SCENE_RUN(s, "top", "-once", "-json", "-slots", "-every", "0.1", s->url);
}

static dx_status rates_are_shown(struct stage *s)
{
    const char *json = strchr(s->text, '{');
    bool right = json != NULL && json_is_valid(json) && says(s, s->url) &&
                 says(s, "\"state\": \"open\"") && says(s, "\"slots\": [{");
    return right ? DX_OK : DX_ERR_CORRUPT;
}

static dx_status top_of_all(struct stage *s)
{
    world_skip_waits();
    return SCENE_RUN(s, "top", "-once", "-every", "0.1");
}

static dx_status lines_are_shown(struct stage *s)
{
    return says(s, s->url) && says(s, " host  open ") ? DX_OK : DX_ERR_CORRUPT;
}

/* A socket that is dx's for certain. */
static dx_status leave_socket(struct stage *s)
{
    (void)snprintf(s->url, sizeof s->url, "unix:/dev/shm/%s", s->tag);
    look_at_little(s);
    return scene_leave_corpse(s);
}

static dx_status reset_all(struct stage *s)
{
    return SCENE_RUN(s, "reset", "-all-dead", "-yes", s->url);
}

/* Where sockets cannot be listed, which it says, they are left. */
static dx_status is_gone(struct stage *s)
{
    const char *path = s->url + sizeof "unix:" - 1;
    struct stat found;
    if (stat(path, &found) != 0)
        return DX_OK;
    return says(s, "cannot be listed") && unlink(path) == 0 ? DX_OK : DX_ERR_CORRUPT;
}

#define SCENE_AT_FILE (1u << SCENE_FILE)

const struct scene look_scenes[] = {
    {"dx-ls", SCENE_AT_SHM, true, DX_PARK_FUTEX, peer_creates, list, is_listed, close_peer},
    {"dx-ls-json", SCENE_AT_UNIX, true, DX_PARK_FUTEX, peer_creates, list_json, is_listed_as_json,
     close_peer},
    {"dx-metrics", SCENE_AT_FILE, true, DX_PARK_FUTEX, peer_creates, metrics, is_measured,
     close_peer},
    {"dx-metrics-o", SCENE_AT_SHM, true, DX_PARK_FUTEX, write_old_file, write_metrics, nothing,
     remove_file},
    {"dx-top", SCENE_AT_FILE, true, DX_PARK_FUTEX, peer_creates, top, rates_are_shown, close_peer},
    {"dx-top-all", SCENE_AT_SHM, true, DX_PARK_FUTEX, peer_creates, top_of_all, lines_are_shown,
     close_peer},
    {"dx-reset-all", SCENE_AT_UNIX, true, DX_PARK_FUTEX, leave_socket, reset_all, is_gone, nothing},
    {0},
};
