//! Paths: links, names of all kinds, and files that are not regular or must not be touched.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use ndarray::prelude::*;
use ndstore::{AnyStore, ErrorKind, Mode, Options, Result, Store};
use tempfile::TempDir;

use super::mapped::copy_on_write;
use super::support::in_time;
use super::support_numpy::{OPENING, Seen, Snapshot, look, pattern};

/// A user without rights of its own: `nobody`.
const NOBODY: u32 = 65_534;

/// Opens or creates 12 floats, with or without a header.
fn run(mode: Mode, path: &Path, header: bool) -> Result<Seen> {
    let options = match header {
        true => Options::new(),
        false => Options::new().raw(0),
    };
    match mode {
        Mode::Write => options
            .create::<f32, _>(path, 12)
            .map(|store| Seen::of(&store)),
        mode => look::<f32, Ix1>(&options.shape(12), path, mode),
    }
}

const ALL: [Mode; 4] = [Mode::Read, Mode::ReadWrite, Mode::Write, Mode::CopyOnWrite];

#[test]
fn what_is_not_a_regular_file_is_refused_in_every_mode_without_waiting() {
    let directory = TempDir::new().unwrap();
    let at = |name: &str| directory.path().join(name);
    fs::create_dir(at("directory")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, at("fifo"), 0o600.into()).unwrap();
    let _listener = UnixListener::bind(at("socket")).unwrap();
    symlink(at("fifo"), at("link")).unwrap();
    let cases = [
        (at("directory"), "a directory"),
        (at("fifo"), "a FIFO"),
        (at("link"), "a FIFO"),
        (at("socket"), "a socket"),
        ("/dev/zero".into(), "a device"),
        ("/dev/null".into(), "a device"),
    ];
    let mut checked = 0;
    for (path, expected) in cases {
        for mode in ALL {
            for header in [true, false] {
                let asked = path.clone();
                let error = in_time(move || run(mode, &asked, header)).unwrap_err();
                assert!(
                    matches!(error.kind(), ErrorKind::NotAFile { found, .. }
                        if *found == expected && (error.path() == Some(&path) || path.ends_with("link"))),
                    "{path:?} {mode}: {error:?}"
                );
                checked += 1;
            }
        }
        assert!(
            !fs::metadata(&path).unwrap().is_file(),
            "{path:?} was replaced"
        );
    }
    assert_eq!(checked, 6 * 4 * 2);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 4);
}

#[test]
fn a_fifo_with_a_peer_is_refused_as_well_and_loses_nothing() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("fifo");
    rustix::fs::mkfifoat(rustix::fs::CWD, &path, 0o600.into()).unwrap();
    // Open for both, a FIFO waits for nobody.
    let mut peer = File::options().read(true).write(true).open(&path).unwrap();
    std::io::Write::write_all(&mut peer, b"kept").unwrap();
    for mode in ALL {
        let asked = path.clone();
        let error = in_time(move || run(mode, &asked, true)).unwrap_err();
        assert!(
            matches!(
                error.kind(),
                ErrorKind::NotAFile {
                    found: "a FIFO",
                    ..
                }
            ),
            "{error:?}"
        );
    }
    let mut read = [0; 4];
    std::io::Read::read_exact(&mut peer, &mut read).unwrap();
    assert_eq!(&read, b"kept");
}

#[test]
fn a_path_through_a_file_is_refused_in_every_mode() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, pattern(48)).unwrap();
    let before = Snapshot::of(&file);
    for mode in ALL {
        let error = run(mode, &file.join("array"), false).unwrap_err();
        assert!(error.to_string().contains("array"), "{mode}: {error}");
    }
    assert_eq!(Snapshot::of(&file), before);
}

#[test]
fn a_path_is_anything_that_names_a_file() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("größe 数.dat");
    let text = path.to_str().unwrap();
    drop(Store::<f32, _>::create(text, 3).unwrap());
    drop(Store::<f32, Ix1>::open(String::from(text)).unwrap());
    drop(Store::<f32, Ix1>::open(path.as_os_str()).unwrap());
    drop(Store::<f32, Ix1>::open(&path).unwrap());
    assert_eq!(AnyStore::open(path.as_path()).unwrap().path(), path);
    let no_text: &std::ffi::OsStr = std::os::unix::ffi::OsStrExt::from_bytes(b"\xff.dat");
    let path = directory.path().join(no_text);
    drop(Store::<f32, _>::create(&path, 3).unwrap());
    assert_eq!(Store::<f32, Ix1>::open(&path).unwrap().path(), path);
}

#[test]
fn a_path_that_cannot_name_a_file_is_refused_in_every_mode() {
    let directory = TempDir::new().unwrap();
    for mode in ALL {
        let error = run(mode, Path::new(""), true).unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::NotFound { .. }),
            "{mode}: {error:?}"
        );
        let error = run(mode, &directory.path().join("a\0b"), true).unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::Io { .. }),
            "{mode}: {error:?}"
        );
        let error = run(mode, &directory.path().join("a".repeat(256)), true).unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::Io { .. }),
            "{mode}: {error:?}"
        );
    }
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn a_symlink_is_followed_in_every_mode_and_stays_one() {
    let directory = TempDir::new().unwrap();
    let far = directory.path().join("far");
    fs::create_dir(&far).unwrap();
    let (target, link) = (far.join("target"), directory.path().join("link"));
    fs::write(&target, pattern(48)).unwrap();
    // Relative to the directory of the link, not to that of the process.
    symlink("far/target", &link).unwrap();
    for mode in OPENING {
        let seen = run(mode, &link, false).unwrap();
        assert_eq!((&seen.path, &seen.bytes), (&link, &pattern(48)), "{mode}");
    }
    let created = run(Mode::Write, &link, false).unwrap();
    assert_eq!(created.path, link);
    assert_eq!(fs::read_link(&link).unwrap(), Path::new("far/target"));
    assert_eq!(fs::read(&target).unwrap(), [0; 48]);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2);
}

#[test]
fn w_plus_through_a_dangling_symlink_creates_its_target() {
    let directory = TempDir::new().unwrap();
    let (target, link) = (
        directory.path().join("target"),
        directory.path().join("link"),
    );
    symlink(&target, &link).unwrap();
    for mode in OPENING {
        let error = run(mode, &link, false).unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::NotFound { .. }),
            "{mode}: {error:?}"
        );
        assert!(!target.exists());
    }
    assert_eq!(run(Mode::Write, &link, false).unwrap().path, link);
    assert_eq!(fs::read(&target).unwrap(), [0; 48]);
    assert!(link.symlink_metadata().unwrap().is_symlink());
}

#[test]
fn links_in_a_circle_are_refused_in_every_mode() {
    let directory = TempDir::new().unwrap();
    let at = |name: &str| directory.path().join(name);
    symlink(at("b"), at("a")).unwrap();
    symlink(at("a"), at("b")).unwrap();
    for mode in ALL {
        let error = in_time({
            let path = at("a");
            move || run(mode, &path, false)
        })
        .unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::Io { .. }),
            "{mode}: {error:?}"
        );
    }
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2);
}

#[test]
fn a_new_file_gets_the_mode_of_any_new_file_and_a_replaced_one_hands_on_its_own() {
    let directory = TempDir::new().unwrap();
    let at = |name: &str| directory.path().join(name);
    let mode_of = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
    File::create(at("plain")).unwrap();
    for header in [true, false] {
        let path = at(&format!("new {header}"));
        run(Mode::Write, &path, header).unwrap();
        assert_eq!(mode_of(&path), mode_of(&at("plain")));
        for mode in [0o600, 0o640, 0o666] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            run(Mode::Write, &path, header).unwrap();
            assert_eq!(mode_of(&path) & 0o7777, mode);
        }
    }
}

/// Runs the test `name` of this binary again, in a process of its own that is nobody's: permissions
/// do not bind root. True in that process, or where this one is not root's.
fn unprivileged(name: &str) -> bool {
    const CHILD: &str = "NDSTORE_TEST_UNPRIVILEGED";
    if std::env::var_os(CHILD).is_some() {
        assert!(!rustix::process::geteuid().is_root());
        println!("ran as nobody");
        return true;
    }
    if !rustix::process::geteuid().is_root() {
        return true;
    }
    // By way of `/proc`, for the directory of the binary may be closed to the child.
    let output = Command::new("/proc/self/exe")
        .args(["--exact", name, "--nocapture"])
        .env(CHILD, "1")
        .uid(NOBODY)
        .gid(NOBODY)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    assert!(
        out.contains("ran as nobody"),
        "the child ran no test: {out}\n{err}"
    );
    false
}

/// What is asserted of a file with these permissions.
struct Permitted {
    mode: u32,
    /// Which of `r`, `r+`, `w+` and `c` are allowed.
    allowed: [bool; 4],
}

#[test]
fn permissions_are_kept_as_numpy_keeps_them() {
    if !unprivileged("paths::permissions_are_kept_as_numpy_keeps_them") {
        return;
    }
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("array");
    let rows = [
        Permitted {
            mode: 0o644,
            allowed: [true; 4],
        },
        Permitted {
            mode: 0o444,
            allowed: [true, false, false, true],
        },
        Permitted {
            mode: 0o222,
            allowed: [false; 4],
        },
        Permitted {
            mode: 0o000,
            allowed: [false; 4],
        },
    ];
    let mut refused = 0;
    for Permitted {
        mode: bits,
        allowed,
    } in rows
    {
        for (mode, allowed) in ALL.into_iter().zip(allowed) {
            fs::remove_file(&path).or_else(absent).unwrap();
            fs::write(&path, pattern(48)).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(bits)).unwrap();
            let result = run(mode, &path, false);
            let after = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
            assert_eq!(after, bits, "{bits:o} {mode}");
            if allowed {
                result.unwrap();
                continue;
            }
            let error = result.unwrap_err();
            assert!(
                matches!(error.kind(), ErrorKind::PermissionDenied { needed, .. }
                    if error.path() == Some(&path) && *needed == if mode == Mode::Read || mode == Mode::CopyOnWrite { "read it" } else { "read and write it" }),
                "{bits:o} {mode}: {error:?}"
            );
            fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
            assert_eq!(fs::read(&path).unwrap(), pattern(48), "{bits:o} {mode}");
            assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
            refused += 1;
        }
    }
    assert_eq!(refused, 10);
}

fn absent(error: std::io::Error) -> std::io::Result<()> {
    match error.kind() {
        std::io::ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    }
}

#[test]
fn a_private_copy_of_a_file_that_may_only_be_read_is_writable() {
    if !unprivileged("paths::a_private_copy_of_a_file_that_may_only_be_read_is_writable") {
        return;
    }
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("array");
    drop(Store::<f32, _>::create(&path, 3).unwrap());
    fs::set_permissions(&path, Permissions::from_mode(0o444)).unwrap();
    let mut store = copy_on_write(Store::<f32, Ix1>::open(&path).unwrap());
    store.view_mut().fill(1.0);
    assert_eq!(store.view(), array![1.0, 1.0, 1.0]);
    drop(store);
    assert_eq!(
        Store::<f32, Ix1>::open(&path).unwrap().read_all().unwrap(),
        array![0.0, 0.0, 0.0]
    );
}

#[test]
fn a_directory_that_cannot_be_written_or_read_takes_no_new_file() {
    if !unprivileged("paths::a_directory_that_cannot_be_written_or_read_takes_no_new_file") {
        return;
    }
    let directory = TempDir::new().unwrap();
    let closed = directory.path().join("closed");
    fs::create_dir(&closed).unwrap();
    for (bits, expected) in [(0o555, "make a file"), (0o333, "read its directory")] {
        fs::set_permissions(&closed, Permissions::from_mode(bits)).unwrap();
        let error = run(Mode::Write, &closed.join("array"), true).unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::PermissionDenied { needed, .. } if needed.starts_with(expected)),
            "{bits:o}: {error:?}"
        );
    }
    fs::set_permissions(&closed, Permissions::from_mode(0o755)).unwrap();
    assert_eq!(fs::read_dir(&closed).unwrap().count(), 0);
}

#[test]
fn a_file_that_passes_the_limit_of_the_process_is_refused_and_no_signal_is_sent() {
    const CHILD: &str = "NDSTORE_TEST_FILE_LIMIT";
    const LIMIT: u64 = 1 << 20;
    let Some(path) = std::env::var_os(CHILD).map(PathBuf::from) else {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("array");
        fs::write(&path, pattern(48)).unwrap();
        let before = Snapshot::of(&path);
        let name =
            "paths::a_file_that_passes_the_limit_of_the_process_is_refused_and_no_signal_is_sent";
        let output = Command::new("/proc/self/exe")
            .args(["--exact", name, "--nocapture"])
            .env(CHILD, &path)
            .output()
            .unwrap();
        let out = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && out.contains("ran under a limit"),
            "{output:?}"
        );
        assert_eq!(Snapshot::of(&path), before);
        return;
    };
    let limit = rustix::process::Rlimit {
        current: Some(LIMIT),
        maximum: Some(LIMIT),
    };
    rustix::process::setrlimit(rustix::process::Resource::Fsize, limit).unwrap();
    for options in [
        Options::new(),
        Options::new().sparse(true),
        Options::new().raw(0),
    ] {
        let error = options
            .create::<u8, _>(&path, LIMIT as usize + 1)
            .unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::FileTooLarge { limit: Some(LIMIT), needed, .. } if *needed > LIMIT),
            "{error:?}"
        );
    }
    let fitting = path.with_extension("fitting");
    drop(
        Options::new()
            .raw(0)
            .create::<u8, _>(&fitting, LIMIT as usize)
            .unwrap(),
    );
    fs::remove_file(fitting).unwrap();
    println!("ran under a limit");
}
