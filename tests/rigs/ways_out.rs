//! Ways out that messages name and that take root, another file system or another program: each is
//! taken as it is named.
//!
//! Those that need none of this are taken by `tests/integration/remedies.rs`, which knows these by
//! their names.

use std::fs;
use std::path::Path;
use std::process::Command;

use ndarray::prelude::*;
use ndstore::{AnyStore, ErrorKind, Options, Store};

use super::disk::{Disk, Kind, run};
use super::support::{Peer, give_away, open_dir, set_mode};

/// What a command prints. It must succeed.
#[track_caller]
fn output(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The commands in backticks of a message, of which the first word is `program`.
fn named(message: &str, program: &str) -> Command {
    let found = message
        .split('`')
        .find(|text| text.split(' ').next() == Some(program));
    let found = found.unwrap_or_else(|| panic!("no {program} in {message}"));
    let mut words = found.split(' ');
    let mut command = Command::new(words.next().unwrap());
    command.args(words);
    command
}

/// `sudo -E cargo test --test rigs -- --ignored ways_out`
#[test]
#[ignore = "needs root, mkfs and chattr"]
fn what_denies_access_is_shown_by_the_commands_in_the_message() {
    let dir = open_dir();
    let path = dir.path().join("a.npy");
    drop(Store::create_from(&path, &array![1.0, 2.0]).unwrap());
    give_away(&path);
    set_mode(&path, 0o444);
    let mut peer = Peer::unprivileged(&path);
    let message = peer.ask("open_rw").unwrap_err();
    assert!(message.starts_with("PermissionDenied {"), "{message}");
    let shown = output(named(&message, "ls").arg(&path));
    assert!(shown.starts_with("-r--r--r--"), "{shown}");
    set_mode(&path, 0o644);
    peer.ask("open_rw").unwrap();
    drop(peer);

    let disk = Disk::new(Kind::Ext4, Kind::Ext4.small());
    let path = disk.path().join("a.npy");
    drop(Store::create_from(&path, &array![1.0, 2.0]).unwrap());
    run(Command::new("chattr").arg("+i").arg(&path));
    let refused = Store::<f64, Ix1>::open_rw(&path).unwrap_err();
    let message = refused.to_string();
    assert!(matches!(refused.kind(), ErrorKind::PermissionDenied { .. }));
    let shown = output(named(&message, "lsattr").arg(&path));
    assert!(shown.split(' ').next().unwrap().contains('i'), "{shown}");
    run(Command::new("chattr").arg("-i").arg(&path));
    drop(Store::<f64, Ix1>::open_rw(&path).unwrap());
}

/// `sudo -E cargo test --test rigs -- --ignored ways_out`
#[test]
#[ignore = "needs root"]
fn room_is_made_or_found_on_another_disk() {
    let disks = [(); 2].map(|()| Disk::new(Kind::Tmpfs, Kind::Tmpfs.small()));
    let [full, other] = disks.each_ref().map(|disk| disk.path().join("a.npy"));
    disks[0].fill();
    let create = |path: &Path| Store::<f64, _>::create(path, 1 << 20).map(drop);
    let refused = create(&full).unwrap_err();
    assert!(matches!(refused.kind(), ErrorKind::NoSpace { .. }));
    create(&other).unwrap();
    for junk in ["junk0", "junk1"] {
        let _ = fs::remove_file(disks[0].path().join(junk));
    }
    create(&full).unwrap();
}

/// `sudo -E cargo test --test rigs -- --ignored ways_out`
#[test]
#[ignore = "needs root and mkfs"]
fn a_file_too_large_for_ext4_is_made_on_another_file_system() {
    let [ext4, xfs] = [Kind::Ext4, Kind::Xfs].map(|kind| Disk::new(kind, kind.small()));
    let create = |disk: &Disk| {
        let sparse = Options::new().sparse(true);
        let created = sparse.create::<f64, _>(disk.path().join("a.npy"), 3 << 40);
        created.map(drop)
    };
    let refused = create(&ext4).unwrap_err();
    let ErrorKind::FileTooLarge { limit: None, .. } = refused.kind() else {
        panic!("{refused}");
    };
    assert!(refused.to_string().contains("choose another file system"));
    create(&xfs).unwrap();
}

/// `sudo -E cargo test --test rigs -- --ignored ways_out`
#[test]
#[ignore = "needs root, and raises a setting of the kernel meanwhile"]
fn more_maps_are_had_by_the_setting_that_the_message_names() {
    /// Where `sysctl` sets `vm.max_map_count`; there is no room for a process now.
    const MOST: &str = "/proc/sys/vm/max_map_count";

    /// Puts the setting back.
    struct Setting(String);

    impl Drop for Setting {
        fn drop(&mut self) {
            let _ = fs::write(MOST, &self.0);
        }
    }

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.npy");
    drop(Store::create_from(&path, &array![1.0, 2.0]).unwrap());
    let before = Setting(fs::read_to_string(MOST).unwrap());
    let most: usize = before.0.trim().parse().unwrap();
    // Two neighbours of which one may be written are two maps.
    let mut maps = Vec::with_capacity(most);
    while let Ok(map) = memmap2::MmapMut::map_anon(4096) {
        match maps.len() % 2 {
            0 => maps.push(Ok(map)),
            _ => match map.make_read_only() {
                Ok(map) => maps.push(Err(map)),
                Err(_) => break,
            },
        }
    }
    let store = || Store::<f64, Ix1>::open(&path).unwrap();
    let refused = super::mapped::not_mapped(store());
    let message = refused.to_string();
    assert!(
        matches!(refused.kind(), ErrorKind::NotMapped { .. }),
        "{message}"
    );
    assert!(message.contains("`vm.max_map_count`"), "{message}");
    assert_eq!(store().read_all().unwrap(), array![1.0, 2.0]);
    fs::write(MOST, (most + 1000).to_string()).unwrap();
    assert_eq!(super::mapped::mapped(store()).view(), array![1.0, 2.0]);
}

/// `cargo test --test rigs -- --ignored ways_out`
#[test]
#[ignore = "needs gzip, bzip2, xz, zstd, lz4, tar, zip and unzip"]
fn what_other_tools_packed_is_unpacked_by_them() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    drop(
        Options::new()
            .compact(true)
            .create_from(at("a.npy"), &array![1.0, 2.0])
            .unwrap(),
    );
    for [tool, ending] in [
        ["gzip", "gz"],
        ["bzip2", "bz2"],
        ["xz", "xz"],
        ["zstd", "zst"],
        ["lz4", "lz4"],
    ] {
        let packed = at(&format!("a.npy.{ending}"));
        let through = |option: &str, from: &Path, to: &Path| {
            run(Command::new(tool)
                .arg(option)
                .stdin(fs::File::open(from).unwrap())
                .stdout(fs::File::create(to).unwrap()));
        };
        through("-c", &at("a.npy"), &packed);
        let refused = AnyStore::open(&packed).unwrap_err().to_string();
        let expected = format!("compressed by {tool}; unpack it");
        assert!(refused.contains(&expected), "{refused}");
        through("-dc", &packed, &at("a.npy"));
        drop(Store::<f64, Ix1>::open(at("a.npy")).unwrap());
    }
    let packed = at("a.tar");
    run(Command::new("tar")
        .arg("-cf")
        .arg(&packed)
        .arg("-C")
        .arg(dir.path())
        .arg("a.npy"));
    let refused = AnyStore::open(&packed).unwrap_err().to_string();
    assert!(refused.contains("a tar archive; unpack it"), "{refused}");
    fs::remove_file(at("a.npy")).unwrap();
    run(Command::new("tar")
        .arg("-xf")
        .arg(&packed)
        .arg("-C")
        .arg(dir.path()));
    drop(Store::<f64, Ix1>::open(at("a.npy")).unwrap());

    #[cfg(feature = "npz")]
    for (how, what) in [
        (["-P", "secret"], "it is encrypted; unpack"),
        (["-Z", "bzip2"], "unpack it with the tool"),
    ] {
        let packed = at(&format!("a{}.npz", how[0]));
        run(Command::new("zip")
            .current_dir(dir.path())
            .arg("-q")
            .args(how)
            .arg(&packed)
            .arg("a.npy"));
        let npz = ndstore::Npz::open(&packed).unwrap();
        let refused = npz.read::<f64, Ix1>("a").unwrap_err().to_string();
        assert!(refused.contains(what), "{refused}");
        fs::remove_file(at("a.npy")).unwrap();
        run(Command::new("unzip")
            .current_dir(dir.path())
            .args(["-q", "-P", "secret"])
            .arg(&packed));
        drop(Store::<f64, Ix1>::open(at("a.npy")).unwrap());
    }
}

/// A program that works in a directory, with nothing of this user's settings.
fn git(dir: &Path, home: &Path, arguments: &[&str]) -> Command {
    let mut git = Command::new("git");
    git.args(["-c", "user.name=rig", "-c", "user.email=rig@localhost"])
        .args(["-c", "protocol.file.allow=always"])
        .args(arguments)
        .current_dir(dir)
        .env("HOME", home)
        .env("GIT_CONFIG_NOSYSTEM", "1");
    git
}

/// `cargo test --test rigs -- --ignored ways_out`
#[test]
#[ignore = "needs git-lfs"]
fn the_content_behind_a_pointer_of_git_lfs_is_fetched() {
    let dir = tempfile::tempdir().unwrap();
    let [home, bare, made] = ["home", "bare", "made"].map(|name| dir.path().join(name));
    let git = |at: &Path, arguments: &[&str]| git(at, &home, arguments);
    for dir in [&home, &made] {
        fs::create_dir(dir).unwrap();
    }
    let url = format!("file://{}", bare.display());
    run(&mut git(dir.path(), &["init", "-q", "--bare", "bare"]));
    run(git(&made, &["init", "-q"]).arg("."));
    run(git(&made, &["lfs", "install", "--local"]).stdout(std::process::Stdio::null()));
    run(git(&made, &["lfs", "track", "*.npy"]).stdout(std::process::Stdio::null()));
    drop(Store::create_from(made.join("a.npy"), &array![1.0, 2.0]).unwrap());
    run(&mut git(&made, &["add", "."]));
    run(&mut git(&made, &["commit", "-q", "-m", "array"]));
    run(&mut git(
        &made,
        &["push", "-q", &url, "HEAD:refs/heads/main"],
    ));
    let clone = ["clone", "-q", "-b", "main", &url, "clone"];
    run(git(dir.path(), &clone).env("GIT_LFS_SKIP_SMUDGE", "1"));
    let clone = dir.path().join("clone");
    let message = AnyStore::open(clone.join("a.npy")).unwrap_err().to_string();
    let install = ["lfs", "install", "--local", "--skip-smudge"];
    run(git(&clone, &install).stdout(std::process::Stdio::null()));
    let pull = named(&message, "git");
    let arguments: Vec<_> = pull.get_args().map(|word| word.to_str().unwrap()).collect();
    run(&mut git(&clone, &arguments));
    let store = Store::<f64, Ix1>::open(clone.join("a.npy")).unwrap();
    assert_eq!(store.read_all().unwrap(), array![1.0, 2.0]);
}

/// `cargo test --test rigs -- --ignored ways_out`
#[test]
#[ignore = "needs git-annex"]
fn the_content_behind_a_pointer_of_git_annex_is_fetched() {
    let dir = tempfile::tempdir().unwrap();
    let [home, made] = ["home", "made"].map(|name| dir.path().join(name));
    let git = |at: &Path, arguments: &[&str]| git(at, &home, arguments);
    for dir in [&home, &made] {
        fs::create_dir(dir).unwrap();
    }
    run(git(&made, &["init", "-q"]).arg("."));
    run(&mut git(&made, &["annex", "init", "-q"]));
    drop(Store::create_from(made.join("a.npy"), &array![1.0, 2.0]).unwrap());
    run(&mut git(&made, &["annex", "add", "-q", "a.npy"]));
    // A pointer that is a file, and no link to nowhere.
    run(&mut git(&made, &["annex", "unlock", "-q", "a.npy"]));
    run(&mut git(&made, &["commit", "-q", "-m", "array"]));
    run(&mut git(dir.path(), &["clone", "-q", "made", "clone"]));
    let clone = dir.path().join("clone");
    run(&mut git(&clone, &["annex", "init", "-q"]));
    let message = AnyStore::open(clone.join("a.npy")).unwrap_err().to_string();
    let get = named(&message, "git");
    let arguments: Vec<_> = get.get_args().map(|word| word.to_str().unwrap()).collect();
    run(git(&clone, &arguments).args(["-q", "a.npy"]));
    let store = Store::<f64, Ix1>::open(clone.join("a.npy")).unwrap();
    assert_eq!(store.read_all().unwrap(), array![1.0, 2.0]);
    // Annex keeps its objects read-only.
    run(Command::new("chmod").arg("-R").arg("u+w").arg(dir.path()));
}
