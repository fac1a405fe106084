//! The command `ndstore`: everything is in the library, so that tests run it in process.

fn main() -> std::process::ExitCode {
    ndstore_cli::main_of(std::env::args_os()).into()
}
