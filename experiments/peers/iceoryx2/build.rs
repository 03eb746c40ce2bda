// SPDX-License-Identifier: Apache-2.0

//! Compiles the timing loop that peers in C share.
fn main() {
    println!("cargo:rerun-if-changed=../c");
    cc::Build::new()
        .file("../c/peer.c")
        .define("PEER_HAS_MAIN", None)
        .define("_GNU_SOURCE", None)
        .opt_level(2)
        .compile("peer");
}
