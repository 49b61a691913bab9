//! Compiles the contract in `proto/` without protoc, and keeps its descriptors for reflection, method options and
//! `roster call`.

use std::{env, error::Error, fs, path::PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    println!("cargo:rerun-if-changed=migrations");
    let mut files: Vec<PathBuf> =
        fs::read_dir("proto/roster/v1")?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    files.sort();
    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler.include_source_info(true).include_imports(true).open_files(&files)?;
    // Encoded by the compiler itself: prost's types would lose the methods' own options.
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("descriptors.bin"), compiler.encode_file_descriptor_set())?;

    let server = env::var_os("CARGO_FEATURE_SERVER").is_some();
    let mut prost = tonic_prost_build::Config::new();
    prost.btree_map(["."]); // one order of map entries: the same state always has the same bytes
    tonic_prost_build::configure()
        .build_server(server)
        .compile_fds_with_config(compiler.file_descriptor_set(), prost)?;
    Ok(())
}
