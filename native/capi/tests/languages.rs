//! The library as other languages use it: a C program, the same under valgrind, and the Python example.

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::TempFile;

/// The folder with the shared library that belongs to this test program.
fn library_folder() -> PathBuf {
    let program = std::env::current_exe().expect("a test program");
    program.parent().expect("its folder").to_owned()
}

fn library() -> PathBuf {
    let name = format!("{}omendb{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    let path = library_folder().join(name);
    assert!(path.exists(), "{} was built with this test", path.display());
    path
}

/// False, said aloud, when this machine lacks a tool.
fn has(tool: &str) -> bool {
    let found = Command::new(tool).arg("--version").output().is_ok();
    if !found {
        eprintln!("SKIPPED: {tool} was not found, what needs it is not tested here");
    }
    found
}

#[track_caller]
fn assert_success(output: &Output) {
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{out}\n{err}", output.status);
}

fn compile(program: &Path) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new("cc")
        .args(["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-g", "-O1", "-I"])
        .arg(root.join("include"))
        .arg(root.join("tests/program.c"))
        .arg(library())
        .arg(format!("-Wl,-rpath,{}", library_folder().display()))
        .args(["-lm", "-lpthread", "-o"])
        .arg(program)
        .output();
    assert_success(&output.expect("a C compiler"));
}

#[test]
fn a_c_program_uses_all_of_it() {
    if !has("cc") {
        return;
    }
    let (program, index) = (TempFile::new("program"), TempFile::new("program-index"));
    compile(&program.0);
    let output = Command::new(&program.0).arg(&index.0).output().expect("the program");
    assert_success(&output);
    assert_eq!(output.stdout, b"done\n");
}

#[test]
#[ignore = "valgrind takes a while"]
fn the_c_program_is_clean_under_valgrind() {
    if !has("cc") || !has("valgrind") {
        return;
    }
    let (program, index) = (TempFile::new("valgrind"), TempFile::new("valgrind-index"));
    compile(&program.0);
    let output = Command::new("valgrind")
        .args(["--error-exitcode=9", "--leak-check=full", "--errors-for-leak-kinds=definite"])
        .arg(&program.0)
        .arg(&index.0)
        .output();
    assert_success(&output.expect("valgrind"));
}

#[test]
fn the_python_example_runs() {
    if !has("python3") {
        return;
    }
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/vector_index.py");
    let output = Command::new("python3").arg(example).arg(library()).output().expect("python3");
    assert_success(&output);
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(printed.starts_with("[(42, 0.0), ("), "{printed}");
}
