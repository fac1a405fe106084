//! Shared by the tests: a second process that follows orders, and a file as seen from outside.
//!
//! The second process runs this binary again: the test [`peer`], which takes its orders from its
//! standard input. So a lock, a limit, a umask, a user and a death by signal are real.

use std::any::Any;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use ndarray::prelude::*;
use ndstore::{
    Append, Error, ErrorKind, LockPolicy, MapOptions, Mapped, Options, Result, Store, write_npy,
};
use rustix::process::{Pid, WaitOptions};
use tempfile::TempDir;

use super::mapped::{copy_on_write, mapped, mapped_with, not_mapped};

/// Where the peer finds the path that it works on.
const PATH: &str = "NDSTORE_TEST_PEER_PATH";

/// What the peer puts before its answers, to tell them from what the test harness prints.
const ANSWER: &str = "peer: ";

/// The user and group that own nothing.
const NOBODY: u32 = 65534;

/// Another process, with a store of one-dimensional `f64` at a path. It dies with this value.
pub(crate) struct Peer {
    child: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    /// The copy of this binary that it runs, if it needs one.
    _program: Option<TempDir>,
}

impl Peer {
    /// Starts a process like this one.
    pub(crate) fn at(path: &Path) -> Peer {
        Peer::start(Command::new(program()), path, None)
    }

    /// Starts a process in a shell that has run `setting`: `umask 027`, `ulimit -f 100`.
    pub(crate) fn under(setting: &str, path: &Path) -> Peer {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("{setting} && exec \"$0\" \"$@\"")]);
        Peer::by_way_of(shell, path)
    }

    /// Starts a process by way of another program, which runs the command that its last arguments
    /// are.
    pub(crate) fn by_way_of(mut command: Command, path: &Path) -> Peer {
        command.arg(program());
        Peer::start(command, path, None)
    }

    /// Starts a process that permissions can stop, which is another user's where this one is
    /// root's.
    pub(crate) fn unprivileged(path: &Path) -> Peer {
        Peer::unprivileged_in(Path::new("/"), path)
    }

    /// The same in a working directory, from where the path goes.
    pub(crate) fn unprivileged_in(dir: &Path, path: &Path) -> Peer {
        if !is_root() {
            let mut command = Command::new(program());
            command.current_dir(dir);
            return Peer::start(command, path, None);
        }
        // The directory of the original may be closed to others.
        let home = open_dir();
        let copy = home.path().join("peer");
        // By another process: no child of another test may be forked while this one writes a
        // program, or it is busy.
        let copied = Command::new("cp").arg(program()).arg(&copy).status();
        assert!(copied.unwrap().success());
        let mut command = Command::new(copy);
        command.uid(NOBODY).gid(NOBODY).current_dir(dir);
        Peer::start(command, path, Some(home))
    }

    fn start(mut command: Command, path: &Path, program: Option<TempDir>) -> Peer {
        let mut child = command
            .args(["support::peer", "--exact", "--ignored", "--nocapture"])
            .env(PATH, path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let orders = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().unwrap());
        let mut peer = Peer {
            child,
            orders,
            answers,
            _program: program,
        };
        peer.answer().expect("the peer says that it is there");
        peer
    }

    /// The process id of a peer that was started directly.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Gives an order and waits for its result: the error in its `Debug` form, which starts with
    /// the variant.
    pub(crate) fn ask(&mut self, order: &str) -> Result<(), String> {
        self.begin(order);
        self.answer()
    }

    /// Gives an order.
    pub(crate) fn begin(&mut self, order: &str) {
        let orders = self.orders.as_mut().unwrap();
        writeln!(orders, "{order}").expect("the peer reads its orders");
    }

    /// Waits for the result of the last order.
    pub(crate) fn answer(&mut self) -> Result<(), String> {
        let mut line = String::new();
        loop {
            line.clear();
            if self.answers.read_line(&mut line).unwrap() == 0 {
                let status = self.child.wait().unwrap();
                panic!("the peer died: {status}, signal {:?}", status.signal());
            }
            if let Some(answer) = line.strip_prefix(ANSWER) {
                return match answer.trim_end() {
                    "ok" => Ok(()),
                    error => Err(error.to_owned()),
                };
            }
        }
    }

    /// Kills the process with SIGKILL.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Lets the process end by itself.
    pub(crate) fn finish(mut self) {
        self.orders = None;
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}");
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// This very binary.
pub(crate) fn program() -> PathBuf {
    std::env::current_exe().unwrap()
}

/// What the peer has open.
enum Held {
    Nothing,
    Reader { _store: Box<dyn Any> },
    Writer(Mapped<f64, Ix1>),
    Appender(Store<f64, Ix1, Append>),
    Lease(fs::File),
}

#[test]
#[ignore = "the second process of other tests, which start it"]
fn peer() {
    let Some(path) = std::env::var_os(PATH).map(PathBuf::from) else {
        return;
    };
    let reader = |store| Held::Reader { _store: store };
    let mut held = Held::Nothing;
    // The harness has left its own line unfinished.
    println!("\n{ANSWER}ok");
    for order in std::io::stdin().lines() {
        let order = order.unwrap();
        let (verb, number) = order.split_once(' ').unwrap_or((&order, "0"));
        let number: usize = number.parse().unwrap();
        let wait = Options::new().lock(LockPolicy::Wait);
        let sparse = Options::new().sparse(true);
        let done = match (verb, &mut held) {
            ("open", _) => {
                Store::<f64, Ix1>::open(&path).map(|store| held = reader(Box::new(store)))
            }
            ("open_unlocked", _) => (Options::new().no_lock().open::<f64, Ix1>(&path))
                .map(|store| held = reader(Box::new(store))),
            ("open_cow", _) => Store::<f64, Ix1>::open(&path)
                .map(|store| held = reader(Box::new(copy_on_write(store)))),
            ("open_rw", _) => Store::open_rw(&path).map(|store| held = Held::Writer(mapped(store))),
            ("open_append", _) => {
                Store::open_append(&path).map(|store| held = Held::Appender(store))
            }
            ("open_watch", _) => {
                Store::<f64, Ix1>::open_watch(&path).map(|store| held = reader(Box::new(store)))
            }
            ("open_row", _) => Store::<f64, Ix1>::open_rows(&path, number..=number)
                .map(|store| held = reader(Box::new(store))),
            ("open_row_read", _) => Store::<f64, Ix1>::open_rows_read(&path, number..=number)
                .map(|store| held = reader(Box::new(store))),
            ("open_shared", _) => {
                Store::<f64, Ix1>::open_shared(&path).map(|store| held = reader(Box::new(store)))
            }
            ("open_shared_read", _) => Store::<f64, Ix1>::open_shared_read(&path)
                .map(|store| held = reader(Box::new(store))),
            ("push", Held::Appender(store)) => store.push(&arr0(number as f64)),
            ("append", Held::Appender(store)) => store.append(&counted(number)),
            ("wait", _) => wait
                .open_rw(&path)
                .map(|store| held = Held::Writer(mapped(store))),
            ("create", _) => {
                Store::create(&path, number).map(|store| held = Held::Writer(mapped(store)))
            }
            ("create_sparse", _) => {
                (sparse.create(&path, number)).map(|store| held = Held::Writer(mapped(store)))
            }
            ("create_guarded", _) => {
                let guard = MapOptions::new().guard(true);
                (sparse.create(&path, number))
                    .map(|store| held = Held::Writer(mapped_with(&guard, store)))
            }
            ("scan_guarded", _) => Store::<f64, Ix1>::open(&path).and_then(|store| {
                let map = mapped_with(&MapOptions::new().guard(true), store);
                map.guarded(|view| assert_ne!(view.sum(), 0.0))
            }),
            ("not_mapped", _) => {
                Store::<f64, Ix1>::open(&path).and_then(|store| Err(not_mapped(store)))
            }
            ("create_at_once", _) => {
                Store::<f64, _>::create_with(&path, number, 1, |_| panic!("it came to work"))
                    .map(drop)
            }
            ("burrow", _) => {
                burrow(number);
                Ok(())
            }
            ("create_from", _) => Store::create_from(&path, &Array::ones(number))
                .map(|store| held = Held::Writer(mapped(store))),
            #[cfg(feature = "npz")]
            ("archive", _) => archive(&path, number),
            #[cfg(feature = "npz")]
            ("archive_on", _) => archive_on(&path, number),
            ("checksums", _) => Store::<f64, Ix1>::open(&path).and_then(|s| s.write_checksums()),
            ("read_npy", _) => read_zeros(number),
            ("verify", _) => Store::<f64, Ix1>::open(&path)
                .and_then(|store| store.verify())
                .map(|found| assert!(found.is_intact())),
            ("receive", _) => {
                receive(&path, number).map(|store| held = Held::Writer(mapped(store)))
            }
            ("resize", Held::Writer(store)) => store.resize(number),
            ("allocate", Held::Writer(store)) => store.allocate(),
            ("append", Held::Writer(store)) => store.append(&counted(number)),
            ("truncate", Held::Writer(store)) => store.truncate(number),
            ("log", Held::Writer(store)) => log(store, number),
            ("log_on", Held::Writer(store)) => log_on(store, number),
            ("overwrite", Held::Writer(store)) => {
                store.view_mut().fill(number as f64);
                store.flush()
            }
            ("lease" | "lease_rw", _) => {
                // A writer's lease takes that nobody else has the file open.
                drop(std::mem::replace(&mut held, Held::Nothing));
                held = Held::Lease(lease(&path, verb == "lease_rw"));
                Ok(())
            }
            ("drop_lease", Held::Lease(file)) => {
                set_lease(file, libc::F_UNLCK);
                Ok(())
            }
            ("drop", _) => {
                held = Held::Nothing;
                Ok(())
            }
            _ => panic!("cannot do {order:?} now"),
        };
        match done {
            Ok(()) => println!("{ANSWER}ok"),
            Err(error) => println!("{ANSWER}{} {{ {error} }}", variant(&error)),
        }
    }
}

/// Goes down so many directories with long names, which it makes.
fn burrow(depth: usize) {
    let name = "d".repeat(200);
    for _ in 0..depth {
        fs::create_dir(&name).unwrap();
        std::env::set_current_dir(&name).unwrap();
    }
}

/// Takes a lease as a file server does: of a writer, or of a reader.
fn lease(path: &Path, write: bool) -> fs::File {
    // Who holds a lease is told by a signal that it is asked back, and by default that kills.
    #[allow(unsafe_code)]
    // SAFETY: the signal is ignored, which no handler of this process minds.
    unsafe {
        libc::signal(libc::SIGIO, libc::SIG_IGN)
    };
    let file = fs::File::options()
        .read(true)
        .write(write)
        .open(path)
        .unwrap();
    set_lease(&file, if write { libc::F_WRLCK } else { libc::F_RDLCK });
    file
}

#[allow(unsafe_code)]
fn set_lease(file: &fs::File, kind: i32) {
    use std::os::fd::AsRawFd;
    // SAFETY: takes a descriptor, which `file` keeps open, and a number.
    let done = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, kind) };
    assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
}

/// Why a call was refused, to match on.
pub(crate) trait Why {
    fn why(&self) -> Option<&ErrorKind>;
}

impl<T> Why for Result<T> {
    fn why(&self) -> Option<&ErrorKind> {
        self.as_ref().err().map(Error::kind)
    }
}

/// The name of the kinds that peers are asked for.
fn variant(error: &Error) -> &'static str {
    match error.kind() {
        ErrorKind::Faulted { .. } => "Faulted",
        ErrorKind::FileTooLarge { .. } => "FileTooLarge",
        ErrorKind::Io { .. } => "Io",
        ErrorKind::Locked { .. } => "Locked",
        ErrorKind::LockUnsupported { .. } => "LockUnsupported",
        ErrorKind::NoSpace { .. } => "NoSpace",
        ErrorKind::NotFound { .. } => "NotFound",
        ErrorKind::NotMapped { .. } => "NotMapped",
        ErrorKind::PermissionDenied { .. } => "PermissionDenied",
        ErrorKind::Poisoned => "Poisoned",
        _ => "another",
    }
}

/// The numbers from 0 on.
fn counted(number: usize) -> Array1<f64> {
    (0..number).map(|element| element as f64).collect()
}

/// Makes an archive of so many ones.
#[cfg(feature = "npz")]
fn archive(path: &Path, number: usize) -> Result<()> {
    let mut npz = ndstore::NpzWriter::create(path)?;
    npz.add("x", &Array1::<f64>::ones(number))?;
    npz.finish()
}

/// Goes on with an archive for which so many ones were too many.
#[cfg(feature = "npz")]
fn archive_on(path: &Path, number: usize) -> Result<()> {
    let mut npz = ndstore::NpzWriter::create(path)?;
    npz.add("x", &Array1::<f64>::ones(3))?;
    npz.add("y", &Array1::<f64>::ones(number)).unwrap_err();
    let _ = npz.add("z", &Array1::<f64>::ones(3));
    npz.finish()
}

/// Receives so many ones.
fn receive(path: &Path, number: usize) -> Result<Store<f64, Ix1>> {
    let mut stream = Vec::new();
    write_npy(&mut stream, &Array1::<f64>::ones(number))?;
    Ok(Store::receive(&stream[..], path)?.expect("an array came"))
}

/// Reads so many zeros into memory.
fn read_zeros(number: usize) -> Result<()> {
    let text = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': ({number},), }}\n");
    let start = [b"\x93NUMPY\x01\x00", &(text.len() as u16).to_le_bytes()[..]].concat();
    let stream = start
        .as_slice()
        .chain(text.as_bytes())
        .chain(std::io::repeat(0));
    let array = ndstore::read_npy::<f64, Ix1>(stream)?.expect("an array came");
    assert_eq!(array.len(), number);
    Ok(())
}

/// Logs so many elements, of which none is published.
fn log(store: &mut Mapped<f64, Ix1>, number: usize) -> Result<()> {
    let mut appender = store.appender()?;
    let numbers = counted(number);
    numbers.outer_iter().try_for_each(|row| appender.push(&row))
}

/// Logs so many elements and, if they are refused, three others with the same appender, which are
/// published.
fn log_on(store: &mut Mapped<f64, Ix1>, number: usize) -> Result<()> {
    let mut appender = store.appender()?;
    let numbers = counted(number);
    let refused = numbers.outer_iter().try_for_each(|row| appender.push(&row));
    for element in [-1.0, -2.0, -3.0] {
        appender.push(&arr0(element))?;
    }
    appender.flush()?;
    refused
}

/// Forks this process: the id of the child, or `None` in the child, which has to end with
/// [`end_fork`].
#[allow(unsafe_code)]
pub(crate) fn fork() -> Option<Pid> {
    // SAFETY: the child goes on in this thread alone. It takes no lock that another thread may have
    // held but that of the allocator, which glibc keeps usable across a fork.
    Pid::from_raw(unsafe { libc::fork() })
}

/// Ends a child that [`fork`] made, without what a process does at its end: that is its parent's.
#[allow(unsafe_code)]
pub(crate) fn end_fork() -> ! {
    // SAFETY: it ends the process, and nothing is left to go wrong.
    unsafe { libc::_exit(0) }
}

/// Ends a child that [`fork`] made with what it has to do, and badly if that panics.
#[allow(unsafe_code)]
pub(crate) fn end_fork_after(work: impl FnOnce()) -> ! {
    let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
    // SAFETY: as in `end_fork`.
    unsafe { libc::_exit(done.is_err().into()) }
}

/// Has a forked child do `work`, with a copy of all that it uses.
#[track_caller]
pub(crate) fn in_fork(work: impl FnOnce()) {
    match fork() {
        None => end_fork_after(work),
        Some(child) => wait_for(child),
    }
}

/// Waits until a child that [`fork`] made has ended well.
#[track_caller]
pub(crate) fn wait_for(child: Pid) {
    let status = rustix::process::waitpid(Some(child), WaitOptions::empty());
    let (_, status) = status.unwrap().unwrap();
    assert_eq!(status.exit_status(), Some(0), "{status:?}");
}

/// Whether permissions do not stop this process.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Fails if `work` is not done within twenty seconds.
#[track_caller]
pub(crate) fn in_time<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || send.send(work()));
    let done = receive.recv_timeout(Duration::from_secs(20));
    done.expect("the work ends in time and without a panic")
}

/// A directory that every user may use, and the path of an array of 1, 2 and 3 in it.
pub(crate) fn three_elements() -> (TempDir, PathBuf) {
    let dir = open_dir();
    let path = dir.path().canonicalize().unwrap().join("a.npy");
    Store::<f64, _>::create_from(&path, &array![1.0, 2.0, 3.0]).unwrap();
    (dir, path)
}

/// A directory that every user may use.
pub(crate) fn open_dir() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    set_mode(dir.path(), 0o777);
    dir
}

/// Gives a file or directory to the user that [`Peer::unprivileged`] runs as.
pub(crate) fn give_away(path: &Path) {
    if is_root() {
        std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    }
}

pub(crate) fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// The permission bits of a file.
pub(crate) fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

/// Everything about a file that a refused operation must leave alone.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Trace {
    bytes: Vec<u8>,
    inode: u64,
    mode: u32,
    owner: (u32, u32),
    modified: (i64, i64),
    links: u64,
}

/// Takes down what a file is now, to be compared with what it is later.
pub(crate) fn trace(path: &Path) -> Trace {
    let metadata = fs::symlink_metadata(path).unwrap();
    Trace {
        bytes: fs::read(path).unwrap(),
        inode: metadata.ino(),
        mode: metadata.mode(),
        owner: (metadata.uid(), metadata.gid()),
        modified: (metadata.mtime(), metadata.mtime_nsec()),
        links: metadata.nlink(),
    }
}

/// Marks a file as an appender does that is about to write rows: the comma behind the shape becomes
/// a blank.
pub(crate) fn set_mark(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let comma = bytes.windows(3).position(|found| found == b", }");
    bytes[comma.unwrap()] = b' ';
    fs::write(path, bytes).unwrap();
}

/// Whether the header of a file says that what follows its array was never published.
pub(crate) fn is_marked(path: &Path) -> bool {
    ndstore::inspect(path).unwrap().is_unpublished()
}

/// The temporary files in a directory.
pub(crate) fn drafts(dir: &Path) -> Vec<PathBuf> {
    fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().contains(".ndstore-"))
        .collect()
}

#[track_caller]
pub(crate) fn assert_no_drafts(dir: &Path) {
    let found = drafts(dir);
    assert!(found.is_empty(), "left over: {found:?}");
}

/// The elements in logical order as bytes, which compare also where they are not numbers.
pub(crate) fn bytes_of<A: ndstore::Element, D: Dimension>(view: ArrayView<'_, A, D>) -> Vec<u8> {
    let elements: Vec<A> = view.iter().copied().collect();
    bytemuck::cast_slice(&elements).to_vec()
}

/// Waits until `condition` holds, for at most ten seconds.
pub(crate) fn wait_until(mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(10), "waited in vain");
        std::thread::sleep(Duration::from_micros(200));
    }
}
