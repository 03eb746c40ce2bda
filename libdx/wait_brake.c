/* SPDX-License-Identifier: Apache-2.0 */
#include "wait_brake.h"

int64_t dx_brake_pause_ns(struct dx_brake *brake, uint64_t found)
{
    uint64_t news = found - brake->found;
    uint32_t room = DX_BRAKE_RINGS_MAX - brake->rings;
    brake->found = found;
    brake->rings += news < room / DX_BRAKE_RINGS_EACH ? (uint32_t)news * DX_BRAKE_RINGS_EACH
                    : news != 0                       ? room
                                                      : 0;
    if (brake->rings > 0) {
        brake->rings--;
        brake->pause_ns = 0;
        return 0;
    }
    int64_t next_ns = brake->pause_ns == 0 ? DX_BRAKE_PAUSE_NS : 2 * brake->pause_ns;
    brake->pause_ns = next_ns < DX_BRAKE_PAUSE_MAX_NS ? next_ns : DX_BRAKE_PAUSE_MAX_NS;
    return brake->pause_ns;
}
