//! The `countermark` program: arguments in, exit code out.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use countermark::cli::{Environment, run};
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    run(std::env::args_os(), &Environment::of_process())
}
