//! include/omendb.h is what cbindgen makes of src/lib.rs. `UPDATE=1` rewrites it.

use std::path::Path;

#[test]
fn the_header_is_current() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = cbindgen::Config::from_file(root.join("cbindgen.toml")).expect("its settings");
    let bindings = cbindgen::Builder::new()
        .with_config(config)
        .with_src(root.join("src/lib.rs"))
        .generate()
        .expect("a header");
    let mut made = Vec::new();
    bindings.write(&mut made);
    let made = String::from_utf8(made).expect("a header in UTF-8");
    let path = root.join("include/omendb.h");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &made).expect("a writable header");
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == made, "include/omendb.h is out of date: run with UPDATE=1");
}
