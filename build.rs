//! Tells the program which sources it was built from: what one build has written into a cache for
//! itself is nothing to another; and has it linked to a fixed address.

#![expect(clippy::disallowed_methods, reason = "the rooms that read files are not built yet")]

use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-changed=src");
    println!("cargo:rerun-if-changed=Cargo.lock");
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let mut files = vec![root.join("Cargo.lock")];
    collect(&root.join("src"), &mut files)?;
    files.sort();
    // FNV-1a: it tells builds apart, nothing more.
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for file in files {
        for byte in fs::read(file).unwrap_or_default() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        }
    }
    println!("cargo:rustc-env=LEADSMAN_SOURCES={hash:016x}");
    // A program that may lie anywhere has its 80,000 pointers adjusted each time it starts, which
    // takes as long as a small chart takes to render. Programs in Go are not, either, by default.
    let target = |what: &str| env::var(format!("CARGO_CFG_TARGET_{what}")).unwrap_or_default();
    if target("OS") == "linux" && target("ENV") == "gnu" {
        println!("cargo:rustc-link-arg-bins=-no-pie");
    }
    Ok(())
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, found)?;
        } else {
            found.push(path);
        }
    }
    Ok(())
}
