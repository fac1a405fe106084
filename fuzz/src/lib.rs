//! Runs a target of the library's own tests under libFuzzer, in a directory in memory.

use std::sync::LazyLock;

use tempfile::TempDir;

#[path = "../../tests/integration/mapped.rs"]
mod mapped;
#[path = "../../tests/integration/targets.rs"]
mod targets;

/// Removed by nobody: libFuzzer ends the process.
static DIRECTORY: LazyLock<TempDir> = LazyLock::new(targets::directory);

/// Runs the target of that name on `bytes`.
pub fn run(name: &str, bytes: &[u8]) {
    let (_, target) = targets::TARGETS
        .iter()
        .find(|(found, _)| *found == name)
        .expect("the target exists");
    target(DIRECTORY.path(), bytes);
}
