//! Files that nobody would write on purpose: each command ends with an answer or one line about what is wrong, in process, so that
//! nothing that panics goes unseen.
//!
//! `NDSTORE_HOSTILE_RUNS=100000 cargo test --release -p ndstore-cli --test hostile` for the long form.

use std::path::{Path, PathBuf};

/// A few numbers by chance, the same in every run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end.max(1)
    }
}

fn files(directory: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        match entry.path() {
            path if path.is_dir() => files(&path, into),
            path => into.push(path),
        }
    }
}

#[test]
fn hostile_files_are_answered_or_refused_in_one_line() {
    let runs = std::env::var("NDSTORE_HOSTILE_RUNS").map_or(1500, |runs| runs.parse().unwrap());
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut seeds = Vec::new();
    files(&root.join("tests/data/npy-vectors"), &mut seeds);
    files(&root.join("fuzz/corpus"), &mut seeds);
    seeds.sort();
    assert!(seeds.len() > 100, "{} seeds", seeds.len());
    let directory = tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .unwrap();
    let at = |name: &str| {
        directory
            .path()
            .join(name)
            .into_os_string()
            .into_string()
            .unwrap()
    };
    let (path, other, out) = (at("a.npy"), at("b.npy"), at("out.npy"));
    let part = format!("{path}[1:, ..., ::-2]");
    let commands: Vec<Vec<&str>> = vec![
        vec!["info", &path],
        vec!["info", "--json", &path],
        vec!["head", &path],
        vec!["tail", "-F", "csv", &path],
        vec!["cat", "-F", "json", &part],
        vec!["cat", "--raw", "f4", &path],
        vec!["stats", &path],
        vec!["stats", "--axis", "0", &path],
        vec!["stats", "--approx", &path],
        vec!["hist", &path],
        vec!["quantiles", &path],
        vec!["diff", &path, &other],
        vec!["convert", "--force", "--memory", "8M", &path, &out],
        vec!["slice", "--force", &part, &out],
        vec!["transpose", "--force", "--memory", "8M", &path, &out],
        vec!["shuffle", "--force", &path, &out],
        vec!["recover", "--adopt", "--force", &path, &out],
        vec!["plot", "--force", &path, &out],
        vec!["verify", &path],
        vec!["lock", &path],
    ];
    let mut chance = Chance(1);
    for run in 0..runs {
        let mut bytes = std::fs::read(&seeds[run % seeds.len()]).unwrap();
        // What is larger takes time and shows nothing more.
        bytes.truncate(1 << 16);
        for _ in 0..chance.below(4) {
            let len = bytes.len();
            match chance.below(3) {
                _ if len == 0 => {}
                0 => bytes.truncate(chance.below(len)),
                1 => bytes[chance.below(len.min(256))] = chance.below(256) as u8,
                _ => {
                    let place = chance.below(len.min(256));
                    bytes[place] = b"0123456789<>|'(),[]"[chance.below(19)];
                }
            }
        }
        let which = &commands[chance.below(commands.len())];
        std::fs::write(if chance.below(4) == 0 { &other } else { &path }, &bytes).unwrap();
        let (mut answer, mut errors) = (Bounded(Vec::new()), Vec::new());
        let args = ["ndstore"].iter().chain(which);
        let code = ndstore_cli::run(args.copied(), &mut answer, &mut errors);
        let errors = String::from_utf8(errors).unwrap();
        assert!(matches!(code, 0..=2), "{which:?}: {code}");
        assert_eq!(code == 2, !errors.is_empty(), "{which:?}: {code}: {errors}");
        assert!(
            errors.lines().all(|line| line.starts_with("ndstore: ")),
            "{which:?}: {errors}"
        );
        for call in [
            "`Store",
            "`Options",
            "`AnyStore",
            "`Npz",
            "`OutOfCore",
            "`histogram",
            "`write_",
        ] {
            assert!(!errors.contains(call), "{which:?} names a call: {errors}");
        }
    }
}

/// A reader that has read enough after a MiB.
struct Bounded(Vec<u8>);

impl std::io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.0.len() > 1 << 20 {
            return Err(std::io::ErrorKind::BrokenPipe.into());
        }
        self.0.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
