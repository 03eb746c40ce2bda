// SPDX-License-Identifier: Apache-2.0

// Package tests tests dx between a host and guests in virtual machines: those that wake each other by
// doorbell (docs/doorbell.md), and several at one socket (docs/guests.md). There is nothing in it but
// tests.
package tests
