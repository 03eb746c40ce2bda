/* SPDX-License-Identifier: Apache-2.0 */
/*
 * world TRANSPORT [SCENE]: for each operation of the library and of the command dx, lets its first
 * call of the system fail, then its second, and so on until it makes no more, with each error that
 * the function can have: once, and from then on. Each time in a new process. Afterwards nothing may
 * be left of a failed operation, its status and its text must say what failed, the same operation
 * must work when it is tried again, and the other side must go on. Prints how many points there
 * are.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fail.h"
#include "run.h"

static const char *const transport_names[SCENE_TRANSPORTS] = {"shm", "file", "memfd", "unix"};

/* Scenes, and of what they call again and again in one way, the calls that are tried (0: all). */
static const struct {
    const struct scene *scenes;
    uint32_t repeats;
} lists[] = {{scenes, 0}, {tool_scenes, 0}, {look_scenes, 3}, {forward_scenes, 2}};

static uint32_t repeats;

struct totals {
    unsigned points;
    unsigned runs;
    unsigned wrong;
};

static void print_wrong(const struct scene *scene, enum scene_transport transport,
                        const struct world_plan *plan, const struct run_result *result)
{
    const struct world_report *r = &result->report;
    (void)printf("WRONG %s %s, call %u", transport_names[transport], scene->name, plan->point);
    if (r->function != NULL)
        (void)printf(", %s: %s%s", r->function,
                     r->error == WORLD_SHORT ? "less than asked for" : strerror(r->error),
                     plan->on ? " from then on" : "");
    (void)printf(": %s\n", result->text);
    (void)fflush(stdout);
}

/* Both ways to fail of one error, if the second is another way. True if there was such a point. */
static bool try_error(const struct scene *scene, enum scene_transport transport, uint32_t point,
                      uint32_t error, struct totals *t, uint32_t *errors)
{
    for (int on = 0; on <= 1; on++) {
        const struct world_plan plan = {
            .point = point, .error = error, .on = on != 0, .repeats = repeats};
        struct run_result result;
        run_scene(scene, transport, &plan, &result);
        t->runs++;
        if (!result.right) {
            t->wrong++;
            print_wrong(scene, transport, &plan, &result);
        }
        if (result.report.function == NULL)
            return false;
        *errors = result.report.errors;
    }
    return true;
}

static void try_scene(const struct scene *scene, enum scene_transport transport, struct totals *t)
{
    struct totals before = *t;
    for (uint32_t point = 1;; point++) {
        uint32_t errors = 1;
        bool there = true;
        for (uint32_t error = 0; error < errors && there; error++)
            there = try_error(scene, transport, point, error, t, &errors);
        if (!there)
            break;
        t->points++;
    }
    (void)printf("%-6s %-20s %4u points, %5u failures, %u wrong\n", transport_names[transport],
                 scene->name, t->points - before.points, t->runs - before.runs,
                 t->wrong - before.wrong);
    (void)fflush(stdout);
}

/* NULL: all of them. */
static void try_scenes(const struct scene *s, enum scene_transport transport, const char *only,
                       struct totals *t)
{
    for (; s->name != NULL; s++)
        if ((s->transports >> transport & 1) != 0 && (only == NULL || strcmp(only, s->name) == 0))
            try_scene(s, transport, t);
}

int main(int argc, char **argv)
{
    struct totals totals = {0};
    int transport = -1;
    for (int i = 0; argc > 1 && i < SCENE_TRANSPORTS; i++)
        if (strcmp(argv[1], transport_names[i]) == 0)
            transport = i;
    if (transport < 0) {
        (void)fputs("usage: world shm|file|memfd|unix [SCENE]\n", stderr);
        return 2;
    }
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        repeats = lists[i].repeats;
        try_scenes(lists[i].scenes, (enum scene_transport)transport, argv[2], &totals);
    }
    (void)printf("%s: %u points, %u failures, %u wrong\n", argv[1], totals.points, totals.runs,
                 totals.wrong);
    return totals.wrong == 0 && totals.points > 0 ? 0 : 1;
}
