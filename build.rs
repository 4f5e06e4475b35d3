//! Compiles `proto/` with protox, so that building needs no protoc.
//!
//! Two modules come out: the vocabulary and entry messages of `entry.proto`, which the feed layer owns, and the services with
//! their messages, which the gRPC edge owns and which refer to the first module.

use std::path::{Path, PathBuf};

const ENTRY: &str = "countermark/v1/entry.proto";
const SERVICES: [&str; 10] = [
    "countermark/v1/audit.proto",
    "countermark/v1/case.proto",
    "countermark/v1/holder.proto",
    "countermark/v1/key.proto",
    "countermark/v1/lead.proto",
    "countermark/v1/node.proto",
    "countermark/v1/peer.proto",
    "countermark/v1/screening.proto",
    "countermark/v1/signal.proto",
    "countermark/v1/watch.proto",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    let out = PathBuf::from(std::env::var("OUT_DIR")?);

    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler.include_imports(true).include_source_info(true).open_files([ENTRY])?;
    let entry = compiler.file_descriptor_set();
    generate(&out, "entry", |config| config.build_client(false).build_server(false), entry.clone())?;

    compiler.open_files(SERVICES)?;
    std::fs::write(out.join("descriptor.bin"), compiler.encode_file_descriptor_set())?;
    let names: Vec<String> = entry
        .file
        .iter()
        .flat_map(|f| f.message_type.iter().map(|m| m.name()).chain(f.enum_type.iter().map(|e| e.name())))
        .map(str::to_owned)
        .collect();
    generate(
        &out,
        "services",
        |config| {
            names.iter().fold(config, |config, name| {
                config.extern_path(format!(".countermark.v1.{name}"), format!("crate::feed::wire::{name}"))
            })
        },
        compiler.file_descriptor_set(),
    )
}

fn generate(
    out: &Path,
    folder: &str,
    adjust: impl FnOnce(tonic_prost_build::Builder) -> tonic_prost_build::Builder,
    descriptors: prost_types::FileDescriptorSet,
) -> Result<(), Box<dyn std::error::Error>> {
    let folder = out.join(folder);
    std::fs::create_dir_all(&folder)?;
    // Generated comments are proto comments, which are not rustdoc; indented lines in them must not become doc tests.
    let config = adjust(tonic_prost_build::configure().bytes(".").out_dir(&folder));
    config.compile_fds(descriptors)?;
    Ok(())
}
