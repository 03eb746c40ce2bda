/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a scene in a process of its own. */
#ifndef DX_TEST_WORLD_RUN_H
#define DX_TEST_WORLD_RUN_H

#include "fail.h"
#include "scene.h"

struct run_result {
    bool right;
    struct world_report report;
    char text[1024]; /* what was wrong */
};

void run_scene(const struct scene *scene, enum scene_transport transport,
               const struct world_plan *plan, struct run_result *result);

#endif
