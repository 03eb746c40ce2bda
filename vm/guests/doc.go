// SPDX-License-Identifier: Apache-2.0

// Package guests tests one host with several guests, virtual machines and processes, at one
// socket: docs/guests.md. There is nothing in it but tests.
package guests
