//! The system calls of a commit and their order, as `strace` sees them.

use std::fs;
use std::path::Path;
use std::process::Command;

use ndarray::prelude::*;
use ndstore::Store;

use super::support::Peer;

/// The calls that write, sync and name files.
const COMMITTING: &str = "trace=read,pread64,write,pwrite64,writev,pwritev,copy_file_range,sendfile,\
                          fsync,fdatasync,rename,renameat,renameat2,link,linkat";

/// The calls that opening a file might take.
const OPENING: &str = "trace=%file,%desc,%memory";

const DRAFT: &str = ".ndstore-";

/// The calls of one order, one a line.
struct Log(Vec<String>);

impl Log {
    /// Has a traced process follow the orders, and logs which of these calls it makes.
    fn of(calls: &str, path: &Path, orders: &[&str]) -> Log {
        let file = path.with_extension("log");
        let mut strace = Command::new("strace");
        strace
            .args(["-f", "-y", "-s", "1", "-e", calls, "-o"])
            .arg(&file);
        let mut peer = Peer::by_way_of(strace, path);
        for order in orders {
            peer.ask(order).unwrap();
        }
        peer.finish();
        let log = fs::read_to_string(file).unwrap();
        assert!(!log.contains("unfinished"), "{log}");
        // What the peer reads and writes of its orders is not about files.
        let name = path.file_name().unwrap().to_str().unwrap();
        let dir = path.parent().unwrap().to_str().unwrap();
        let lines = log
            .lines()
            .filter(|line| line.contains(name) || line.contains(&format!("<{dir}>")));
        Log(lines.map(str::to_owned).collect())
    }

    /// The calls with one of these names, of which `part` is a part.
    fn calls<'a>(
        &'a self,
        names: &'a [&str],
        part: &'a str,
    ) -> impl Iterator<Item = (usize, &'a str)> {
        let lines = self
            .0
            .iter()
            .enumerate()
            .map(|(at, line)| (at, line.as_str()));
        lines.filter(move |(_, line)| {
            let call = line.split_whitespace().nth(1).unwrap_or_default();
            let called = names
                .iter()
                .any(|name| call.starts_with(&format!("{name}(")));
            called && line.contains(part)
        })
    }

    /// The bytes that calls moved, by their results.
    fn bytes(&self, names: &[&str], part: &str) -> u64 {
        self.calls(names, part).map(|(_, line)| result(line)).sum()
    }

    /// The stretches of the new file that were written, from where to where, in order of their
    /// place.
    fn written(&self) -> Vec<(u64, u64)> {
        let mut ranges: Vec<_> = self
            .calls(&["pwrite64"], DRAFT)
            .map(|(_, line)| {
                let arguments = line.rsplit_once(") = ").unwrap().0;
                let offset: u64 = arguments.rsplit_once(", ").unwrap().1.parse().unwrap();
                (offset, offset + result(line))
            })
            .collect();
        ranges.sort();
        ranges
    }

    /// Data, sync, name, sync of the directory: nothing out of this order.
    fn assert_committed_in_order(&self, dir: &Path) {
        let writers = ["pwrite64", "write", "copy_file_range", "sendfile"];
        let (written, _) = self.calls(&writers, DRAFT).last().expect("a write");
        let (synced, _) = self
            .calls(&["fsync"], DRAFT)
            .last()
            .expect("a sync of the file");
        let (named, _) = self
            .calls(
                &["rename", "renameat", "renameat2", "link", "linkat"],
                DRAFT,
            )
            .next()
            .expect("a new name");
        let dir = format!("<{}>", dir.display());
        let (acknowledged, _) = self
            .calls(&["fsync"], &dir)
            .last()
            .expect("a sync of the directory");
        let order = [written, synced, named, acknowledged];
        assert!(order.is_sorted(), "{order:?} in {:#?}", self.0);
    }
}

fn result(line: &str) -> u64 {
    let result = line
        .rsplit_once(") = ")
        .unwrap_or_else(|| panic!("{line}"))
        .1;
    result
        .split_whitespace()
        .next()
        .unwrap()
        .parse()
        .unwrap_or_else(|_| panic!("{line}"))
}

/// `sudo -E cargo test --test rigs -- --ignored system_calls`
#[test]
#[ignore = "needs strace"]
fn create_from_writes_every_byte_once_and_commits_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.npy");
    for _existing in [false, true] {
        let log = Log::of(COMMITTING, &path, &["create_from 8388608"]);
        let mut end = 0;
        for (start, stop) in log.written() {
            assert_eq!(start, end, "{:#?}", log.0);
            end = stop;
        }
        assert_eq!(end, 4096 + (64 << 20));
        assert_eq!(end, fs::metadata(&path).unwrap().len());
        assert_eq!(log.bytes(&["write", "writev", "pwritev"], DRAFT), 0);
        log.assert_committed_in_order(dir.path());
    }
}

/// `sudo -E cargo test --test rigs -- --ignored system_calls`
#[test]
#[ignore = "needs strace"]
fn create_writes_the_header_alone_and_commits_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.npy");
    let log = Log::of(COMMITTING, &path, &["create 8388608"]);
    assert_eq!(log.written(), [(0, 4096)]);
    log.assert_committed_in_order(dir.path());
}

/// `sudo -E cargo test --test rigs -- --ignored system_calls`
#[test]
#[ignore = "needs strace"]
fn resize_along_the_slowest_axis_has_the_kernel_copy_and_commits_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.npy");
    let (len, kept) = (8_388_608_u64, 8_000_000_u64);
    for (new, copied) in [(len + len / 100, len), (kept, kept)] {
        Store::create_from(&path, &Array::from_elem(len as usize, 3.0)).unwrap();
        let log = Log::of(COMMITTING, &path, &["open_rw", &format!("resize {new}")]);
        assert_eq!(log.written(), [(0, 4096)], "{:#?}", log.0);
        assert_eq!(log.bytes(&["copy_file_range"], DRAFT), copied * 8);
        assert_eq!(log.bytes(&["sendfile", "write"], DRAFT), 0);
        // No more than the header of the file that is opened.
        assert!(
            log.bytes(&["read", "pread64"], "a.npy>") <= 4096,
            "{:#?}",
            log.0
        );
        log.assert_committed_in_order(dir.path());
    }
}

/// `sudo -E cargo test --test rigs -- --ignored system_calls`
#[test]
#[ignore = "needs strace"]
fn a_reader_opens_an_array_by_seven_calls() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.npy");
    Store::create_from(&path, &Array::from_elem(1000, 3.0)).unwrap();
    let log = Log::of(OPENING, &path, &["open"]);
    let calls: Vec<_> = log
        .0
        .iter()
        .take_while(|line| !line.contains("F_UNLCK, l_whence=SEEK_SET, l_start=0, l_len"))
        .filter_map(|line| line.split_whitespace().nth(1)?.split_once('('))
        .map(|(call, _)| call)
        .collect();
    // The path is not looked up again, because a reader that did not wait counts as one that came
    // before a replacement. The reader asks whether somebody waits for the file, claims its rows,
    // and looks for openers that share all of it.
    let expected = [
        "openat", "fcntl", "flock", "statx", "pread64", "fcntl", "fcntl",
    ];
    assert_eq!(calls, expected, "{:#?}", log.0);
}
