// SPDX-License-Identifier: Apache-2.0

// gRPC over dxnet. A module of its own, so that users of dx need no module of gRPC.
module dx/go/dxnet/grpctest

go 1.26.0

require (
	dx v0.0.0
	google.golang.org/grpc v1.75.0
)

require (
	github.com/BurntSushi/toml v1.6.0 // indirect
	golang.org/x/net v0.62.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
	golang.org/x/text v0.43.0 // indirect
	google.golang.org/genproto/googleapis/rpc v0.0.0-20250707201910-8d1bb00bc6a7 // indirect
	google.golang.org/protobuf v1.36.6 // indirect
)

replace dx => ../../..
