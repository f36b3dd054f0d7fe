// SPDX-License-Identifier: GPL-2.0

//! Compiles ffi/runs.c with headers of our own in place of the kernel's.

use std::{
    env,
    ffi::OsStr,
    fs,
    path::{
        Path,
        PathBuf, //
    },
    process::Command, //
};

fn run(command: &mut Command) {
    let status = command.status().expect("cannot be started");
    assert!(status.success(), "{command:?}: {status}");
}

/// Makes each header of the kernel that `source` includes one that has all of c/kernel.h.
fn write_headers(source: &Path, out: &Path) {
    for line in fs::read_to_string(source).unwrap().lines() {
        let Some(name) = line.strip_prefix("#include <linux/") else {
            continue;
        };
        let header = out.join("linux").join(name.trim_end_matches('>'));

        fs::create_dir_all(header.parent().unwrap()).unwrap();
        fs::write(header, "#include \"kernel.h\"\n").unwrap();
    }
}

fn main() {
    if env::var_os("CARGO_FEATURE_MEMORY").is_none() {
        return;
    }

    let folder = |name| PathBuf::from(env::var_os(name).expect("cargo sets it"));
    let (here, out) = (folder("CARGO_MANIFEST_DIR"), folder("OUT_DIR"));
    let ffi = here.join("../../../ffi");
    let (object, library) = (out.join("memory.o"), out.join("libmemory.a"));

    for name in ["runs.c", "runs.h"] {
        write_headers(&ffi.join(name), &out);
        println!("cargo:rerun-if-changed={}", ffi.join(name).display());
    }
    println!("cargo:rerun-if-changed={}", here.join("c").display());

    let flags = "-std=gnu11 -O2 -g -Wall -Werror -fsanitize=undefined \
                 -fsanitize-undefined-trap-on-error";
    run(Command::new("gcc")
        .args(flags.split_whitespace())
        .args([OsStr::new("-I"), out.as_os_str()])
        .args([OsStr::new("-I"), here.join("c").as_os_str()])
        .args([OsStr::new("-I"), ffi.as_os_str()])
        .args([OsStr::new("-c"), here.join("c/memory.c").as_os_str()])
        .args([OsStr::new("-o"), object.as_os_str()]));
    let _ = fs::remove_file(&library);
    run(Command::new("ar").arg("rcs").args([&library, &object]));
    println!("cargo:rustc-link-search=native={}", out.display());
    println!("cargo:rustc-link-lib=static=memory");
}
