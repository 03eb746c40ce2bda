// SPDX-License-Identifier: Apache-2.0

// Package bells tests dx between a host and guests in virtual machines that wake
// each other by doorbell: docs/doorbell.md. There is nothing in it but tests.
package bells
