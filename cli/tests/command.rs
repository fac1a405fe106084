//! The command as a process: what it prints, its exit codes, and what it leaves behind.
//!
//! The pages in `tests/cmd` and the examples of the documentation are run as they stand there; `TRYCMD=overwrite cargo test -p
//! ndstore-cli` writes them anew, to be read before they are committed.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

fn ndstore(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ndstore"));
    command.current_dir(directory).env_remove("NO_COLOR");
    command
}

fn run(directory: &Path, args: &[&str]) -> Output {
    ndstore(directory).args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// A directory with `a.npy`, float64 of this shape, 0.5 times 0, 1, 2, ...
fn place(rows: usize, columns: usize) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let numbers: Vec<u8> = (0..rows * columns)
        .flat_map(|n| (0.5 * n as f64).to_le_bytes())
        .collect();
    std::fs::write(directory.path().join("a.raw"), numbers).unwrap();
    let shape = format!("N,{columns}");
    let made = run(
        directory.path(),
        &[
            "create", "--dtype", "f8", "--shape", &shape, "a.npy", "a.raw",
        ],
    );
    assert!(made.status.success(), "{made:?}");
    directory
}

fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn every_page_and_every_example_of_the_documentation_is_what_the_command_prints() {
    trycmd::TestCases::new()
        .case("tests/cmd/*.trycmd")
        .case("README.md");
}

#[test]
fn a_reader_that_has_read_enough_is_no_error() {
    let place = place(200_000, 2);
    for args in [
        &["cat", "a.npy"][..],
        &["cat", "-F", "raw", "a.npy"],
        &["send", "a.npy"],
    ] {
        let mut child = ndstore(place.path())
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut few = [0; 10];
        child.stdout.take().unwrap().read_exact(&mut few).unwrap();
        let ended = child.wait_with_output().unwrap();
        assert_eq!(
            (ended.status.code(), text(&ended.stderr)),
            (Some(0), ""),
            "{args:?}"
        );
    }
}

#[test]
fn no_file_is_replaced_unless_force_says_so() {
    let place = place(4, 2);
    let before = std::fs::read(place.path().join("a.npy")).unwrap();
    let commands = [
        &["slice", "a.npy[0]", "a.npy"][..],
        &["transpose", "a.npy", "a.npy"],
        &["convert", "a.npy", "a.npy"],
        &["concat", "a.npy", "-o", "a.npy"],
        &["shuffle", "a.npy", "a.npy"],
        &["gather", "--rows", "-", "a.npy", "a.npy"],
        &["create", "--dtype", "f4", "--shape", "3", "a.npy"],
        &["receive", "a.npy"],
    ];
    for args in commands {
        let refused = run(place.path(), args);
        let message = text(&refused.stderr);
        assert_eq!(
            (refused.status.code(), message.lines().count()),
            (Some(2), 1),
            "{args:?}: {message}"
        );
        assert!(message.contains("exists; --force replaces it"), "{message}");
        assert_eq!(
            std::fs::read(place.path().join("a.npy")).unwrap(),
            before,
            "{args:?}"
        );
    }
    let forced = run(
        place.path(),
        &[
            "create", "--force", "--dtype", "f4", "--shape", "3", "a.npy",
        ],
    );
    assert_eq!(forced.status.code(), Some(0), "{forced:?}");
    assert_ne!(std::fs::read(place.path().join("a.npy")).unwrap(), before);
}

#[test]
fn ctrl_c_leaves_no_file_and_exits_130() {
    let place = place(2, 2);
    let before = names(place.path());
    // They wait for standard input, which goes on.
    for args in [
        &["create", "--dtype", "u1", "new.npy", "-"][..],
        &["receive", "new.npy"],
        &["cat", "-"],
    ] {
        let mut child = ndstore(place.path())
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(&half_an_array()).unwrap();
        stdin.flush().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(300));
        let killed = Command::new("kill")
            .args(["-INT", &child.id().to_string()])
            .status()
            .unwrap();
        assert!(killed.success());
        assert_eq!(child.wait().unwrap().code(), Some(130), "{args:?}");
        assert_eq!(names(place.path()), before, "{args:?}");
    }
}

/// The start of a file that says it has a million bytes, and some of them.
fn half_an_array() -> Vec<u8> {
    let dtype = ndstore::DType::parse("u1").unwrap();
    let mut bytes = dtype.npy_header(&[1 << 20], ndstore::Order::C).unwrap();
    bytes.extend([7; 1000]);
    bytes
}

#[test]
fn paths_are_bytes() {
    use std::os::unix::ffi::OsStrExt;
    let place = place(2, 2);
    let name = std::ffi::OsStr::from_bytes(b"\xff\xfe b.npy");
    let made = ndstore(place.path())
        .args(["slice", "a.npy"])
        .arg(name)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    assert!(place.path().join(name).exists());
    let told = ndstore(place.path())
        .arg("info")
        .arg(name)
        .output()
        .unwrap();
    assert!(told.status.success(), "{told:?}");
}

#[test]
fn streams_come_and_go_by_a_dash() {
    let place = place(3, 2);
    let sent = run(place.path(), &["send", "a.npy"]).stdout;
    let through = |args: &[&str], bytes: &[u8]| {
        let mut child = ndstore(place.path())
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(bytes).unwrap();
        let ended = child.wait_with_output().unwrap();
        assert!(ended.status.success(), "{args:?}");
        ended.stdout
    };
    assert_eq!(
        text(&through(&["cat", "-F", "csv", "-"], &sent)),
        "0.0,0.5\n1.0,1.5\n2.0,2.5\n"
    );
    let transposed = through(&["transpose", "-", "-"], &sent);
    assert_eq!(
        text(&through(&["cat", "--", "-[1]"], &transposed)),
        "0.5\n1.5\n2.5\n"
    );
    through(&["receive", "b.npy"], &sent);
    assert_eq!(
        run(place.path(), &["diff", "a.npy", "b.npy"]).status.code(),
        Some(0)
    );
    let gathered = through(&["gather", "--rows", "-", "a.npy", "-"], b"2\n-3\n");
    assert_eq!(
        text(&through(&["cat", "-"], &gathered)),
        "2.0  2.5\n0.0  0.5\n"
    );
}

#[test]
fn progress_goes_to_standard_error_and_only_when_asked_without_a_terminal() {
    let place = place(1000, 2);
    let quiet = run(place.path(), &["stats", "a.npy"]);
    assert_eq!(text(&quiet.stderr), "");
    let told = run(place.path(), &["stats", "--progress", "json", "a.npy"]);
    let lines: Vec<serde_json::Value> = text(&told.stderr)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.last().unwrap()["done"], 16_000);
    assert_eq!(told.stdout, quiet.stdout);
}

#[test]
fn help_has_no_colour_but_at_a_terminal() {
    let place = tempfile::tempdir().unwrap();
    for args in [&["--help"][..], &["help"], &["stats", "--help"], &[]] {
        let help = run(place.path(), args);
        assert_eq!(help.status.code(), Some(0));
        assert!(
            !help.stdout.contains(&0x1b) && help.stdout.len() > 200,
            "{args:?}"
        );
    }
}

#[test]
fn alone_it_says_what_it_can_do_in_one_screen() {
    let place = tempfile::tempdir().unwrap();
    let help = run(place.path(), &[]);
    let lines: Vec<_> = text(&help.stdout).lines().collect();
    assert!(lines.len() <= 50, "{} lines", lines.len());
    assert!(lines.iter().all(|line| line.chars().count() <= 100));
}

#[test]
fn whoever_has_a_file_is_told_with_the_rows() {
    let place = place(10, 2);
    let path = place.path().join("a.npy");
    let nobody = run(place.path(), &["lock", "a.npy"]);
    assert_eq!(
        (nobody.status.code(), text(&nobody.stdout)),
        (Some(1), "a.npy: nobody has it\n")
    );
    let reader = ndstore::Store::<f64, ndarray::Ix2>::open_rows_read(&path, 2..5).unwrap();
    let told = run(place.path(), &["lock", "--json", "a.npy"]);
    assert_eq!(told.status.code(), Some(0));
    let told: serde_json::Value = serde_json::from_slice(&told.stdout).unwrap();
    assert_eq!(told["holders"][0]["hold"], "reads");
    assert_eq!(told["holders"][0]["rows"], serde_json::json!([2, 5]));
    assert_eq!(told["holders"][0]["pid"], std::process::id());
    drop(reader);
    let _alone = ndstore::Store::<f64, ndarray::Ix2>::open_rw(&path).unwrap();
    let told = run(place.path(), &["lock", "a.npy"]);
    assert!(
        text(&told.stdout).ends_with("has it to write, alone\n"),
        "{told:?}"
    );
    let refused = run(place.path(), &["stats", "a.npy"]);
    assert!(
        text(&refused.stderr).ends_with("; --wait SECONDS waits for it\n"),
        "{refused:?}"
    );
    // `info` takes no lock, so it tells all the same.
    let info = run(place.path(), &["info", "a.npy"]);
    assert!(
        text(&info.stdout).contains("has it to write, alone"),
        "{info:?}"
    );
}

#[test]
fn tail_follows_an_appender_until_it_is_gone() {
    let place = place(2, 2);
    let path = place.path().join("a.npy");
    let mut log = ndstore::Store::<f64, ndarray::Ix2>::open_append(&path).unwrap();
    let tail = ndstore(place.path())
        .args(["tail", "-f", "-n", "1", "-F", "csv", "a.npy"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    for n in 0..3 {
        std::thread::sleep(std::time::Duration::from_millis(50));
        log.push(&ndarray::array![10.0, f64::from(n)]).unwrap();
    }
    std::thread::sleep(std::time::Duration::from_millis(300));
    drop(log);
    let ended = tail.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(0));
    let lines: Vec<_> = text(&ended.stdout).lines().collect();
    assert_eq!(
        &lines[lines.len() - 3..],
        ["10.0,0.0", "10.0,1.0", "10.0,2.0"]
    );
}

#[test]
fn a_damaged_file_fails_to_verify_with_its_rows() {
    let place = place(10_000, 2);
    assert!(run(place.path(), &["sum", "a.npy"]).status.success());
    let intact = run(place.path(), &["verify", "a.npy"]);
    assert_eq!(
        (intact.status.code(), text(&intact.stdout)),
        (Some(0), "a.npy: intact\n")
    );
    let path = place.path().join("a.npy");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[4096 + 16 * 5000] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let damaged = run(place.path(), &["verify", "a.npy"]);
    assert_eq!(damaged.status.code(), Some(1));
    let found = text(&damaged.stdout);
    assert!(
        found.starts_with("a.npy: DAMAGED\n  rows 4608..5120"),
        "{found}"
    );
}

#[test]
fn completions_are_code_that_shells_take_and_use() {
    let place = tempfile::tempdir().unwrap();
    let completions = |shell: &str| {
        let made = run(place.path(), &["completions", shell]);
        assert!(made.status.success());
        let path = place.path().join(format!("ndstore.{shell}"));
        std::fs::write(&path, made.stdout).unwrap();
        path
    };
    let bash = completions("bash");
    let script = format!(
        "source {bash:?}; COMP_WORDS=(ndstore st); COMP_CWORD=1; _ndstore ndstore st ndstore; echo \"${{COMPREPLY[@]}}\""
    );
    let completed = Command::new("bash")
        .args(["--norc", "-c", &script])
        .output()
        .unwrap();
    assert_eq!(
        (text(&completed.stdout), text(&completed.stderr)),
        ("stats\n", "")
    );
    for (shell, script) in [
        ("zsh", "autoload -U compinit; compinit -u; source"),
        ("fish", "source"),
    ] {
        let path = completions(shell);
        // Not every machine has them.
        if let Ok(sourced) = Command::new(shell)
            .args(["-c", &format!("{script} {path:?}")])
            .output()
        {
            assert!(
                sourced.status.success() && sourced.stderr.is_empty(),
                "{sourced:?}"
            );
        }
    }
}

#[test]
fn every_command_has_a_man_page_that_names_its_options() {
    let place = tempfile::tempdir().unwrap();
    let made = run(place.path(), &["man", "--dir", "."]);
    assert!(made.status.success(), "{made:?}");
    let pages = names(place.path());
    assert!(
        pages.contains(&"ndstore.1".into()) && pages.contains(&"ndstore-stats.1".into()),
        "{pages:?}"
    );
    let stats = std::fs::read_to_string(place.path().join("ndstore-stats.1")).unwrap();
    assert!(
        stats.contains("\\-\\-approx") && stats.contains(".TH"),
        "{stats}"
    );
}

#[test]
fn json_has_the_keys_that_the_schema_states() {
    let mut schema: serde_json::Value =
        serde_json::from_str(include_str!("../../docs/command.schema.json")).unwrap();
    let place = place(4, 2);
    assert!(run(place.path(), &["sum", "a.npy"]).status.success());
    let _reader = ndstore::AnyStore::open(place.path().join("a.npy")).unwrap();
    cut(place.path(), "cut.npy", 4096 + 40);
    let commands = [
        ("info", &["info", "a.npy"][..]),
        ("cat", &["cat", "a.npy[0]"]),
        ("cat", &["head", "a.npy"]),
        ("stats", &["stats", "a.npy"]),
        ("stats", &["stats", "--axis", "1", "a.npy"]),
        ("hist", &["hist", "a.npy"]),
        ("quantiles", &["quantiles", "a.npy"]),
        ("diff", &["diff", "a.npy", "a.npy[::-1]"]),
        ("diff", &["diff", "a.npy", "a.npy"]),
        ("diff", &["diff", "a.npy", "a.npy[0]"]),
        ("verify", &["verify", "a.npy"]),
        ("sum", &["sum", "a.npy"]),
        ("lock", &["lock", "a.npy"]),
        ("recover", &["recover", "--dry-run", "cut.npy"]),
        ("made", &["slice", "a.npy[0]", "b.npy"]),
        ("made", &["convert", "--dtype", "i4", "a.npy", "c.npy"]),
    ];
    for (name, args) in commands {
        schema["$ref"] = format!("#/$defs/{name}").into();
        let told = ndstore(place.path())
            .args(args)
            .arg("--json")
            .output()
            .unwrap();
        assert_eq!(text(&told.stderr), "", "{args:?}");
        let lines: Vec<_> = text(&told.stdout).lines().collect();
        assert_eq!(lines.len(), 1, "{args:?}");
        let value: serde_json::Value = serde_json::from_str(lines[0]).unwrap();
        if let Err(error) = jsonschema::validate(&schema, &value) {
            panic!("{args:?}: {error} in {value}");
        }
    }
}

/// A copy of `a.npy` of which so many bytes are left.
fn cut(directory: &Path, name: &str, len: u64) {
    std::fs::copy(directory.join("a.npy"), directory.join(name)).unwrap();
    let file = std::fs::OpenOptions::new()
        .write(true)
        .open(directory.join(name))
        .unwrap();
    file.set_len(len).unwrap();
}

#[test]
fn the_whole_rows_of_a_cut_file_are_saved_and_the_file_is_left_alone() {
    let place = place(10, 2);
    cut(place.path(), "cut.npy", 4096 + 3 * 16 + 5);
    let before = std::fs::read(place.path().join("cut.npy")).unwrap();
    let refused = run(place.path(), &["cat", "cut.npy"]);
    assert!(
        text(&refused.stderr).contains("`ndstore recover` saves the whole rows"),
        "{refused:?}"
    );
    let info = run(place.path(), &["info", "cut.npy"]);
    assert!(
        text(&info.stdout).contains("3 rows of 10 are whole"),
        "{info:?}"
    );
    let told = run(place.path(), &["recover", "cut.npy"]);
    let report = "cut.npy: cut: 3 rows of 10 are whole, 7 rows lost\ncut.npy: 3 rows to be saved\n";
    assert_eq!((told.status.code(), text(&told.stdout)), (Some(0), report));
    assert!(
        run(place.path(), &["recover", "cut.npy", "saved.npy"])
            .status
            .success()
    );
    assert_eq!(
        run(place.path(), &["diff", "saved.npy", "a.npy[:3]"])
            .status
            .code(),
        Some(0)
    );
    assert_eq!(std::fs::read(place.path().join("cut.npy")).unwrap(), before);
    assert_eq!(
        run(place.path(), &["recover", "a.npy"]).status.code(),
        Some(1)
    );
}

#[test]
fn rows_that_no_header_names_are_taken_when_asked_for() {
    let place = place(10, 2);
    let path = place.path().join("a.npy");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.extend(
        [7.0_f64, 8.0]
            .iter()
            .flat_map(|number| number.to_le_bytes()),
    );
    bytes.extend([1, 2, 3]);
    std::fs::write(&path, bytes).unwrap();
    assert!(
        run(place.path(), &["recover", "a.npy", "without.npy"])
            .status
            .success()
    );
    assert!(
        run(place.path(), &["recover", "--adopt", "a.npy", "with.npy"])
            .status
            .success()
    );
    let rows = |name: &str| {
        text(&run(place.path(), &["cat", "-F", "csv", name]).stdout)
            .lines()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let (without, with) = (rows("without.npy"), rows("with.npy"));
    assert_eq!(
        (without.len(), with.len(), with[10].as_str()),
        (10, 11, "7.0,8.0")
    );
    assert_eq!(with[..10], without);
}

#[test]
fn a_picture_is_a_png_with_the_colours_of_the_elements() {
    let place = place(4, 3);
    for args in [
        &["plot", "--title", "t", "a.npy", "-"][..],
        &["plot", "a.npy[:, 0]", "-"],
    ] {
        let drawn = run(place.path(), args);
        assert!(drawn.status.success(), "{drawn:?}");
        let mut reader = png::Decoder::new(std::io::Cursor::new(drawn.stdout))
            .read_info()
            .unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert!(info.width > 50 && info.height > 100, "{info:?}");
        let colours: std::collections::HashSet<_> = pixels.as_chunks::<3>().0.iter().collect();
        // Twelve elements, the paper and the ink; or paper, ink and the line.
        let most = if args.len() == 5 { 14 } else { 3 };
        assert_eq!(colours.len(), most, "{args:?}");
    }
}
