/* SPDX-License-Identifier: Apache-2.0 */
/* The timing loop that all peers in C share; main is in Go. */
#define PEER_HAS_MAIN
#include "../c/peer.c" /* NOLINT(bugprone-suspicious-include): its own program has it, too */
