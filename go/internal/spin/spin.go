// SPDX-License-Identifier: Apache-2.0

// Package spin holds the few instructions that Go has no name for: a relaxed
// spin on one word, a release store and a store-load fence. They are assembly,
// and assembly is not allowed in a package that uses cgo, so that they have a
// package of their own.
//
// Every address must be 8-byte aligned. All functions may be called by any
// goroutine; none blocks or can be preempted, so that looks should stay below
// some ten thousand.
package spin
