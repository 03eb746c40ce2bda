// SPDX-License-Identifier: Apache-2.0

//go:build !race

package dxnet

func beforeWrite() {}
func afterRead()   {}
