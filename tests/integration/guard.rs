//! Files that are cut under a map: an error with a guard, and death by SIGBUS without one.
//!
//! Each test runs in a process of its own, because a failure kills, and signal handlers belong to
//! the process.
#![allow(
    unsafe_code,
    reason = "handlers, signals and maps at given addresses are made by bare system calls"
)]

use std::fs::{self, File};
use std::io::Write;
use std::mem::zeroed;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::ptr;
use std::sync::Barrier;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize};
use std::time::Duration;

use libc::{c_int, c_void, siginfo_t};
use ndarray::prelude::*;
use ndstore::{
    AccessMode, Advice, AnyStore, Chunk, CopyOnWrite, Element, Error, ErrorKind, MapOptions,
    Mappable, Mapped, Mode, ReadOnly, Store, to_file, write_npy,
};
use tempfile::TempDir;

use super::mapped::{mapped, mapped_with};
use super::support::{Why, assert_no_drafts, wait_until};

mod regrown;

const PAGE: usize = 4096;

/// The elements of one page.
const PER_PAGE: usize = PAGE / size_of::<f64>();

/// Runs `body` in a process in which `test` is the only one. In that process, returns `None`.
fn alone(test: &str, body: impl FnOnce()) -> Option<Output> {
    const CHILD: &str = "NDSTORE_TEST_GUARD";
    if std::env::var_os(CHILD).is_some() {
        body();
        return None;
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("guard::{test}"), "--nocapture"])
        .arg("--include-ignored")
        .env(CHILD, "")
        .output();
    Some(output.unwrap())
}

#[track_caller]
fn survives(test: &str, body: impl FnOnce()) {
    if let Some(output) = alone(test, body) {
        assert!(output.status.success(), "{output:?}");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.contains("1 passed"), "{said}");
    }
}

/// The line that a process prints right before the step that kills it.
const LAST_WORDS: &str = "and now the end";

#[track_caller]
fn dies_of_sigbus(test: &str, body: impl FnOnce()) {
    if let Some(output) = alone(test, body) {
        assert_eq!(output.status.signal(), Some(libc::SIGBUS), "{output:?}");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.contains(LAST_WORDS), "{said}");
    }
}

fn end() {
    println!("{LAST_WORDS}");
    std::io::stdout().flush().unwrap();
}

/// A directory, and a file in it with the numbers from 1 on, so many pages of them.
struct Place {
    dir: TempDir,
    bytes: Vec<u8>,
}

impl Place {
    fn new(pages: usize) -> Place {
        let dir = TempDir::new().unwrap();
        let numbers: Array1<f64> = (1..=pages * PER_PAGE).map(|n| n as f64).collect();
        let path = dir.path().join("a.npy");
        Store::create_from(&path, &numbers).unwrap();
        let bytes = fs::read(&path).unwrap();
        Place { dir, bytes }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("a.npy")
    }

    /// Another file like it, or this one anew.
    fn file(&self, name: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        // Not over an old one: that some file systems would write to the disk at once.
        let _ = fs::remove_file(&path);
        fs::write(&path, &self.bytes).unwrap();
        path
    }
}

/// Maps a store with a guard.
fn guarded<A: Element, D: Dimension, M: Mappable>(store: Store<A, D, M>) -> Mapped<A, D, M> {
    mapped_with(&MapOptions::new().guard(true), store)
}

/// Opens a file for changes that stay in memory, with a guard.
fn open_cow(path: &Path) -> CopyOnWrite<f64, Ix1> {
    let store = Store::open(path).unwrap();
    // SAFETY: a file in a directory of this test's own, which the guard is there to outlive.
    unsafe { MapOptions::new().guard(true).map_cow(store) }.unwrap()
}

/// The types that lend views.
trait Shows {
    fn view(&self) -> ArrayView1<'_, f64>;
}

impl<M: AccessMode> Shows for Mapped<f64, Ix1, M> {
    fn view(&self) -> ArrayView1<'_, f64> {
        Mapped::view(self)
    }
}

impl Shows for CopyOnWrite<f64, Ix1> {
    fn view(&self) -> ArrayView1<'_, f64> {
        CopyOnWrite::view(self)
    }
}

fn open(path: &Path) -> Mapped<f64, Ix1, ReadOnly> {
    guarded(Store::open(path).unwrap())
}

/// Cuts a file, or makes it longer, without its lock.
fn cut(path: &Path, len: usize) {
    let file = File::options().write(true).open(path).unwrap();
    file.set_len(len as u64).unwrap();
}

/// The length of the file of so many pages of elements.
fn len_of(pages: usize) -> usize {
    PAGE + pages * PAGE
}

/// Asserts that a store shows what a file of `len` bytes has, and zeros behind that.
#[track_caller]
fn assert_shows(store: &impl Shows, len: usize) {
    for (index, &found) in store.view().iter().enumerate() {
        let kept = PAGE + (index + 1) * size_of::<f64>() <= len;
        let expected = if kept { index as f64 + 1.0 } else { 0.0 };
        assert_eq!(found, expected, "element {index} of a file of {len} bytes");
    }
}

#[track_caller]
fn assert_truncated<T: std::fmt::Debug>(result: Result<T, Error>, len: usize) {
    match result.why() {
        Some(ErrorKind::Truncated { found, .. }) => assert_eq!(*found, len as u64),
        _ => panic!("{result:?}"),
    }
}

#[track_caller]
fn assert_faulted<T: std::fmt::Debug>(result: Result<T, Error>, len: usize) {
    match result.why() {
        Some(ErrorKind::Faulted { found, .. }) => assert_eq!(*found, len as u64),
        _ => panic!("{result:?}"),
    }
}

/// Some number below `limit`.
fn random(state: &mut u64, limit: usize) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    (*state % limit as u64) as usize
}

/// Cuts the file while another thread scans the store, which goes on until it has scanned what is
/// left.
fn cut_under_a_scan(store: &(impl Shows + Sync), path: &Path, len: usize, pause: usize) {
    let (start, is_cut) = (Barrier::new(2), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            start.wait();
            loop {
                let last = is_cut.load(SeqCst);
                std::hint::black_box(store.view().sum());
                if last {
                    break;
                }
            }
        });
        start.wait();
        (0..pause).for_each(|_| std::hint::spin_loop());
        cut(path, len);
        is_cut.store(true, SeqCst);
    });
}

#[test]
fn no_scan_of_a_thousand_files_that_are_cut_dies_and_each_is_told() {
    survives(
        "no_scan_of_a_thousand_files_that_are_cut_dies_and_each_is_told",
        || {
            let place = Place::new(6);
            let mut state = 0x9e37_79b9_7f4a_7c15;
            for round in 0..1000 {
                let path = place.file("a.npy");
                // Between two elements.
                let len = random(&mut state, place.bytes.len()) / 8 * 8;
                let pause = random(&mut state, 1000);
                // In each mode there is.
                match round % 3 {
                    0 => {
                        let store = open(&path);
                        cut_under_a_scan(&store, &path, len, pause);
                        assert_faulted(store.check_faults(), len);
                        assert_shows(&store, len);
                    }
                    1 => {
                        let store = guarded(Store::<f64, Ix1>::open_rw(&path).unwrap());
                        cut_under_a_scan(&store, &path, len, pause);
                        assert_faulted(store.flush(), len);
                        assert_shows(&store, len);
                    }
                    _ => {
                        let store = open_cow(&path);
                        cut_under_a_scan(&store, &path, len, pause);
                        assert_faulted(store.guarded(|view| view.sum()), len);
                        assert_shows(&store, len);
                    }
                }
            }
        },
    );
}

#[test]
fn without_a_guard_a_file_that_is_cut_kills() {
    dies_of_sigbus("without_a_guard_a_file_that_is_cut_kills", || {
        let place = Place::new(4);
        let store = mapped(Store::<f64, Ix1>::open(place.path()).unwrap());
        cut(&place.path(), len_of(1));
        end();
        println!("{}", store.view().sum());
    });
}

#[test]
fn a_store_without_a_guard_dies_beside_one_with_a_guard() {
    dies_of_sigbus(
        "a_store_without_a_guard_dies_beside_one_with_a_guard",
        || {
            let place = Place::new(4);
            let (one, other) = (place.path(), place.file("b.npy"));
            let guarded = open(&one);
            let store = mapped(Store::<f64, Ix1>::open(&other).unwrap());
            cut(&one, 0);
            assert_shows(&guarded, 0);
            cut(&other, len_of(1));
            end();
            println!("{}", store.view().sum());
        },
    );
}

#[test]
fn one_fault_after_another_is_survived_in_one_thread() {
    survives("one_fault_after_another_is_survived_in_one_thread", || {
        let place = Place::new(8);
        let paths = [place.file("b.npy"), place.file("c.npy")];
        let stores = [open(&paths[0]), open(&paths[1])];
        // Two maps in turns, each several times, for it is cut ever shorter.
        for pages in (0..8).rev() {
            for (path, store) in paths.iter().zip(&stores) {
                cut(path, len_of(pages));
                assert_shows(store, len_of(pages));
                assert_faulted(store.check_faults(), len_of(pages));
            }
        }
    });
}

#[test]
fn faults_in_two_threads_at_once_are_survived() {
    survives("faults_in_two_threads_at_once_are_survived", || {
        let place = Place::new(8);
        for round in 0..100 {
            let paths = [place.file("b.npy"), place.file("c.npy")];
            let stores = paths.each_ref().map(|path| open(path));
            paths.iter().for_each(|path| cut(path, len_of(2)));
            let barrier = Barrier::new(2);
            std::thread::scope(|scope| {
                for thread in 0..2 {
                    let (stores, barrier) = (&stores, &barrier);
                    scope.spawn(move || {
                        barrier.wait();
                        // Both the same page; different pages of one map; different maps.
                        let (store, page) = match round % 3 {
                            0 => (&stores[0], 5),
                            1 => (&stores[0], 3 + thread),
                            _ => (&stores[thread], 5),
                        };
                        assert_eq!(store.view()[page * PER_PAGE], 0.0);
                        assert_faulted(store.check_faults(), len_of(2));
                        assert_shows(store, len_of(2));
                    });
                }
            });
        }
    });
}

/// Has this thread handle signals on the last `size` bytes of a stretch of memory that cannot be
/// left.
fn set_signal_stack(size: Option<usize>) {
    // SAFETY: a struct of numbers and a pointer.
    let mut stack: libc::stack_t = unsafe { zeroed() };
    match size {
        None => stack.ss_flags = libc::SS_DISABLE,
        Some(size) => {
            let size = size.next_multiple_of(16);
            let mapped = 2 * PAGE + size.next_multiple_of(PAGE);
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
            // SAFETY: new memory, anywhere.
            let low = unsafe { libc::mmap(ptr::null_mut(), mapped, libc::PROT_NONE, flags, -1, 0) };
            assert_ne!(low, libc::MAP_FAILED);
            let low = low.wrapping_byte_add(PAGE);
            let access = libc::PROT_READ | libc::PROT_WRITE;
            // SAFETY: within what was mapped just now.
            let set = unsafe { libc::mprotect(low, mapped - 2 * PAGE, access) };
            assert_eq!(set, 0);
            // At the low end of the pages: what would leave it runs into memory without access.
            (stack.ss_sp, stack.ss_size) = (low, size);
        }
    }
    // SAFETY: the stack is this thread's alone and stays mapped.
    let set = unsafe { libc::sigaltstack(&stack, ptr::null_mut()) };
    assert_eq!(set, 0, "{}", std::io::Error::last_os_error());
}

#[test]
fn a_fault_in_a_thread_with_hardly_any_stack_is_survived() {
    survives(
        "a_fault_in_a_thread_with_hardly_any_stack_is_survived",
        || {
            let place = Place::new(2);
            // SAFETY: takes and gives a number.
            let frame = unsafe { libc::getauxval(libc::AT_MINSIGSTKSZ) } as usize;
            let frame = frame.max(libc::MINSIGSTKSZ);
            let stacks = [
                // The one that Rust gives to the thread; the thread's own; what the kernel needs,
                // and a little for the handler.
                None,
                Some(None),
                Some(Some(frame + 3072)),
            ];
            for stack in stacks {
                let path = place.file("a.npy");
                let store = open(&path);
                cut(&path, len_of(1));
                let touch = || {
                    if let Some(stack) = stack {
                        set_signal_stack(stack);
                    }
                    store.view()[PER_PAGE]
                };
                let found = std::thread::scope(|scope| {
                    // The least that there is.
                    let thread = std::thread::Builder::new().stack_size(1);
                    thread.spawn_scoped(scope, touch).unwrap().join().unwrap()
                });
                assert_eq!(found, 0.0);
                assert_faulted(store.check_faults(), len_of(1));
            }
        },
    );
}

#[test]
fn errno_is_as_it_was_and_a_page_at_a_time_will_do_where_the_file_tells_no_length() {
    survives(
        "errno_is_as_it_was_and_a_page_at_a_time_will_do_where_the_file_tells_no_length",
        || {
            let place = Place::new(8);
            let store = open(&place.path());
            cut(&place.path(), len_of(1));
            // Its descriptor taken away for a while, so that the handler finds nothing out, and an
            // error in `errno`.
            let fd = fs::read_dir("/proc/self/fd")
                .unwrap()
                .map(|entry| entry.unwrap().path())
                .find(|link| fs::read_link(link).is_ok_and(|to| to == place.path()))
                .unwrap();
            let fd: c_int = fd.file_name().unwrap().to_str().unwrap().parse().unwrap();
            // SAFETY: takes and gives numbers.
            let saved = unsafe { libc::dup(fd) };
            // SAFETY: nobody opens or uses a descriptor until it is there again.
            assert_eq!(unsafe { libc::close(fd) }, 0);
            let view = store.view();
            for page in [2, 3, 7] {
                // SAFETY: the place of this thread's own `errno`.
                let errno = unsafe { libc::__errno_location() };
                // SAFETY: as above.
                unsafe { errno.write_volatile(77) };
                let found = std::hint::black_box(view[page * PER_PAGE]);
                // SAFETY: as above.
                assert_eq!((found, unsafe { errno.read_volatile() }), (0.0, 77));
            }
            // SAFETY: the descriptor is free.
            assert_eq!(unsafe { libc::dup2(saved, fd) }, fd);
            // The map in four parts, two of them zeros.
            assert_eq!(pieces(&store), 4);
            assert_shows(&store, len_of(1));
            assert_eq!(pieces(&store), 2);
            assert_faulted(store.check_faults(), len_of(1));
        },
    );
}

/// Of how many mappings the memory of a store consists.
fn pieces<M: AccessMode>(store: &Mapped<f64, Ix1, M>) -> usize {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let start = store.as_bytes().as_ptr().addr();
    let end = start + store.nbytes();
    let within = |line: &&str| {
        let (from, rest) = line.split_once('-').unwrap();
        let (to, _) = rest.split_once(' ').unwrap();
        let [from, to] = [from, to].map(|hex| usize::from_str_radix(hex, 16).unwrap());
        from < end && to > start
    };
    maps.lines().filter(within).count()
}

#[test]
fn zeros_for_a_file_that_was_cut_are_laid_in_one_piece() {
    survives(
        "zeros_for_a_file_that_was_cut_are_laid_in_one_piece",
        || {
            let place = Place::new(64);
            let store = open(&place.path());
            cut(&place.path(), len_of(10) + 8);
            assert_eq!(pieces(&store), 1);
            // Here and there.
            for page in (11..64).rev().step_by(2) {
                assert_eq!(store.view()[page * PER_PAGE], 0.0);
            }
            assert_eq!(pieces(&store), 2);
            assert_shows(&store, len_of(10) + 8);
        },
    );
}

/// What is not ours: a file of a page, mapped and cut, at any address or at a given one.
fn foreign(dir: &Path, address: Option<usize>) -> *mut u8 {
    let path = dir.join("foreign");
    fs::write(&path, [7; PAGE]).unwrap();
    let file = File::open(&path).unwrap();
    let fixed = address.map_or(0, |_| libc::MAP_FIXED_NOREPLACE);
    let address = ptr::without_provenance_mut(address.unwrap_or(0));
    let (access, flags) = (libc::PROT_READ, libc::MAP_SHARED | fixed);
    // SAFETY: new memory, where none is.
    let mapped = unsafe { libc::mmap(address, PAGE, access, flags, file.as_raw_fd(), 0) };
    assert_ne!(
        mapped,
        libc::MAP_FAILED,
        "{}",
        std::io::Error::last_os_error()
    );
    assert!(address.is_null() || address == mapped);
    cut(&path, 0);
    mapped.cast()
}

fn touch(address: *mut u8) -> u8 {
    // SAFETY: mapped for reading, by `foreign`. If its file has no such page, the process is
    // killed, or a handler mends it.
    unsafe { address.read_volatile() }
}

fn kill_myself() {
    let this = rustix::process::getpid();
    rustix::process::kill_process(this, rustix::process::Signal::BUS).unwrap();
}

/// Opens a store with a guard, and has it fault.
fn fault_once(place: &Place) {
    let path = place.file("faulted.npy");
    let store = open(&path);
    cut(&path, len_of(1));
    assert_shows(&store, len_of(1));
    assert_faulted(store.check_faults(), len_of(1));
}

fn set_action(handler: libc::sighandler_t, flags: c_int) -> libc::sigaction {
    // SAFETY: a struct of numbers and an optional function.
    let mut action: libc::sigaction = unsafe { zeroed() };
    action.sa_sigaction = handler;
    action.sa_flags = flags;
    // SAFETY: as above.
    let mut old = unsafe { zeroed() };
    // SAFETY: the handlers of these tests do only what a handler may.
    let set = unsafe { libc::sigaction(libc::SIGBUS, &action, &mut old) };
    assert_eq!(set, 0);
    old
}

#[test]
fn the_fault_of_another_map_kills() {
    dies_of_sigbus("the_fault_of_another_map_kills", || {
        let place = Place::new(4);
        fault_once(&place);
        let foreign = foreign(place.dir.path(), None);
        end();
        touch(foreign);
    });
}

#[test]
fn a_sigbus_that_somebody_sends_kills() {
    dies_of_sigbus("a_sigbus_that_somebody_sends_kills", || {
        fault_once(&Place::new(4));
        end();
        kill_myself();
        std::thread::sleep(Duration::from_secs(10));
    });
}

/// Sends this thread a SIGBUS about an address, as if for the reason `code`.
fn send_about(address: *const u8, code: c_int) {
    // SAFETY: a struct of numbers.
    let mut info: siginfo_t = unsafe { zeroed() };
    info.si_code = code;
    let after_numbers = (&raw mut info).cast::<usize>().wrapping_add(2);
    // SAFETY: the address of a fault follows three numbers and padding in the 128 bytes of the
    // struct.
    unsafe { after_numbers.write(address.addr()) };
    // SAFETY: both codes come with an address.
    assert_eq!(unsafe { info.si_addr() }.addr(), address.addr());
    let (process, signal) = (std::process::id(), libc::SIGBUS);
    // SAFETY: gives a number.
    let thread = unsafe { libc::gettid() };
    // SAFETY: reads `info` alone.
    let sent = unsafe {
        libc::syscall(
            libc::SYS_rt_tgsigqueueinfo,
            process,
            thread,
            signal,
            &raw const info,
        )
    };
    assert_eq!(sent, 0, "{}", std::io::Error::last_os_error());
}

#[test]
fn a_sigbus_that_somebody_sends_kills_though_it_names_our_memory() {
    dies_of_sigbus(
        "a_sigbus_that_somebody_sends_kills_though_it_names_our_memory",
        || {
            let place = Place::new(4);
            let store = open(&place.path());
            end();
            send_about(store.as_bytes().as_ptr(), libc::SI_QUEUE);
            std::thread::sleep(Duration::from_secs(10));
        },
    );
}

#[test]
fn a_memory_failure_that_nobody_ran_into_kills_though_it_is_in_our_memory() {
    dies_of_sigbus(
        "a_memory_failure_that_nobody_ran_into_kills_though_it_is_in_our_memory",
        || {
            let place = Place::new(4);
            let store = open(&place.path());
            end();
            send_about(store.as_bytes().as_ptr(), libc::BUS_MCEERR_AO);
            std::thread::sleep(Duration::from_secs(10));
        },
    );
}

#[test]
fn under_the_default_disposition_the_fault_of_another_map_kills() {
    dies_of_sigbus(
        "under_the_default_disposition_the_fault_of_another_map_kills",
        || {
            set_action(libc::SIG_DFL, 0);
            let place = Place::new(4);
            fault_once(&place);
            fault_once(&place);
            let foreign = foreign(place.dir.path(), None);
            end();
            touch(foreign);
        },
    );
}

#[test]
fn under_the_default_disposition_a_sigbus_that_somebody_sends_kills() {
    dies_of_sigbus(
        "under_the_default_disposition_a_sigbus_that_somebody_sends_kills",
        || {
            set_action(libc::SIG_DFL, 0);
            fault_once(&Place::new(4));
            end();
            kill_myself();
            std::thread::sleep(Duration::from_secs(10));
        },
    );
}

#[test]
fn what_ignored_sigbus_still_ignores_those_that_somebody_sends_and_dies_of_a_fault() {
    dies_of_sigbus(
        "what_ignored_sigbus_still_ignores_those_that_somebody_sends_and_dies_of_a_fault",
        || {
            set_action(libc::SIG_IGN, 0);
            let place = Place::new(4);
            fault_once(&place);
            kill_myself();
            fault_once(&place);
            let foreign = foreign(place.dir.path(), None);
            end();
            touch(foreign);
        },
    );
}

static CALLS: AtomicUsize = AtomicUsize::new(0);
static CODE: AtomicI32 = AtomicI32::new(0);
static ADDRESS: AtomicUsize = AtomicUsize::new(0);

fn calls() -> usize {
    CALLS.load(SeqCst)
}

/// Maps zeros over the page at `ADDRESS`.
fn mend() {
    let flags = libc::MAP_FIXED | libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    let page = ptr::without_provenance_mut(ADDRESS.load(SeqCst));
    // SAFETY: the page is a test's own.
    unsafe { libc::mmap(page, PAGE, libc::PROT_READ, flags, -1, 0) };
}

/// A handler that was there before, and mends what it is called for.
extern "C" fn mending(_: c_int, info: *mut siginfo_t, context: *mut c_void) {
    assert!(!context.is_null());
    // SAFETY: the kernel's, for a handler with `SA_SIGINFO`.
    let info = unsafe { &*info };
    CODE.store(info.si_code, SeqCst);
    CALLS.fetch_add(1, SeqCst);
    if info.si_code > 0 {
        // SAFETY: a fault has an address.
        let address = unsafe { info.si_addr() }.addr();
        ADDRESS.store(address - address % PAGE, SeqCst);
        mend();
    }
}

/// A handler of the old kind, which is told nothing and mends what the test says.
extern "C" fn plain(signal: c_int) {
    assert_eq!(signal, libc::SIGBUS);
    CALLS.fetch_add(1, SeqCst);
    mend();
}

fn mending_handler() -> libc::sighandler_t {
    let handler: extern "C" fn(c_int, *mut siginfo_t, *mut c_void) = mending;
    handler as *const () as libc::sighandler_t
}

#[test]
fn an_earlier_handler_is_called_for_all_but_our_faults() {
    survives(
        "an_earlier_handler_is_called_for_all_but_our_faults",
        || {
            set_action(mending_handler(), libc::SA_SIGINFO);
            let place = Place::new(4);
            fault_once(&place);
            assert_eq!(calls(), 0);
            for round in 0..3 {
                let foreign = foreign(place.dir.path(), None);
                assert_eq!(touch(foreign), 0);
                assert_eq!(calls(), 2 * round + 1);
                assert_eq!(CODE.load(SeqCst), libc::BUS_ADRERR);
                assert_eq!(ADDRESS.load(SeqCst), foreign.addr());
                kill_myself();
                // Any thread may get it.
                wait_until(|| calls() == 2 * round + 2);
                assert_eq!(CODE.load(SeqCst), libc::SI_USER);
                fault_once(&place);
                assert_eq!(calls(), 2 * round + 2);
            }
        },
    );
}

#[test]
fn an_earlier_handler_of_the_old_kind_is_called_for_all_but_our_faults() {
    survives(
        "an_earlier_handler_of_the_old_kind_is_called_for_all_but_our_faults",
        || {
            let handler: extern "C" fn(c_int) = plain;
            set_action(handler as *const () as libc::sighandler_t, libc::SA_RESTART);
            let place = Place::new(4);
            fault_once(&place);
            assert_eq!(calls(), 0);
            for round in 0..3 {
                let foreign = foreign(place.dir.path(), None);
                ADDRESS.store(foreign.addr(), SeqCst);
                assert_eq!(touch(foreign), 0);
                assert_eq!(calls(), round + 1);
                fault_once(&place);
                assert_eq!(calls(), round + 1);
            }
        },
    );
}

#[test]
fn an_earlier_handler_that_was_to_run_once_runs_once() {
    dies_of_sigbus("an_earlier_handler_that_was_to_run_once_runs_once", || {
        set_action(mending_handler(), libc::SA_SIGINFO | libc::SA_RESETHAND);
        let place = Place::new(4);
        fault_once(&place);
        assert_eq!(touch(foreign(place.dir.path(), None)), 0);
        fault_once(&place);
        assert_eq!(calls(), 1);
        let foreign = foreign(place.dir.path(), None);
        end();
        touch(foreign);
    });
}

/// What was installed when [`chaining`] was.
static REPLACED: AtomicUsize = AtomicUsize::new(0);

/// A handler that is installed later, and calls the one that it replaced.
extern "C" fn chaining(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    CALLS.fetch_add(1, SeqCst);
    // SAFETY: the guard's handler has `SA_SIGINFO`, as the test asserts.
    let replaced: extern "C" fn(c_int, *mut siginfo_t, *mut c_void) =
        unsafe { std::mem::transmute(REPLACED.load(SeqCst)) };
    replaced(signal, info, context);
}

#[test]
fn a_later_handler_that_calls_ours_leaves_the_guard_at_work() {
    survives(
        "a_later_handler_that_calls_ours_leaves_the_guard_at_work",
        || {
            let place = Place::new(4);
            fault_once(&place);
            let handler: extern "C" fn(c_int, *mut siginfo_t, *mut c_void) = chaining;
            let handler = handler as *const () as libc::sighandler_t;
            let replaced = set_action(handler, libc::SA_SIGINFO | libc::SA_ONSTACK);
            assert_ne!(replaced.sa_flags & libc::SA_SIGINFO, 0);
            REPLACED.store(replaced.sa_sigaction, SeqCst);
            fault_once(&place);
            assert_eq!(calls(), 1);
        },
    );
}

/// Has nothing be mapped right behind a store, so that it has to move to grow.
fn block_growth(store: &Mapped<f64, Ix1>) {
    let end = store
        .as_bytes()
        .as_ptr_range()
        .end
        .addr()
        .next_multiple_of(PAGE);
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE;
    let end = ptr::without_provenance_mut(end);
    // SAFETY: new memory, if there is none. If there is, that is in the way as well.
    unsafe { libc::mmap(end, PAGE, libc::PROT_NONE, flags, -1, 0) };
}

/// Appends so many pages of rows to a store, which moves, and returns where it was.
fn grow(store: &mut Mapped<f64, Ix1>, pages: usize) -> usize {
    block_growth(store);
    let old = store.as_bytes().as_ptr().addr();
    let first = store.len() + 1;
    let rows: Array1<f64> = (first..first + pages * PER_PAGE)
        .map(|n| n as f64)
        .collect();
    store.append(&rows).unwrap();
    assert_ne!(store.as_bytes().as_ptr().addr(), old);
    old
}

type Change = fn(&mut Mapped<f64, Ix1>);

#[test]
fn the_guard_follows_a_map_that_is_grown_cut_and_replaced() {
    survives(
        "the_guard_follows_a_map_that_is_grown_cut_and_replaced",
        || {
            let place = Place::new(4);
            let changes: [(Change, usize); 5] = [
                (|store| assert_ne!(grow(store, 9), 0), 13),
                (|store| store.truncate(2 * PER_PAGE).unwrap(), 2),
                (|store| store.resize(3 * PER_PAGE).unwrap(), 3),
                (
                    |store| {
                        store.truncate(0).unwrap();
                        let rows = Array1::from_iter((1..=7 * PER_PAGE).map(|n| n as f64));
                        store.append(&rows).unwrap();
                    },
                    7,
                ),
                (|store| assert_ne!(grow(store, 2), grow(store, 3)), 9),
            ];
            for (change, pages) in changes {
                let path = place.file("a.npy");
                let mut store = guarded(Store::<f64, Ix1>::open_rw(&path).unwrap());
                change(&mut store);
                assert_eq!(store.len(), pages * PER_PAGE);
                store.check_faults().unwrap();
                // The last page first.
                cut(&path, len_of(pages - 1));
                let last = store.len() - 1;
                assert_eq!(store.view()[last], 0.0);
                assert_faulted(store.check_faults(), len_of(pages - 1));
                cut(&path, 0);
                assert_eq!(store.view().sum(), 0.0);
            }
        },
    );
}

#[test]
fn where_a_map_was_before_it_moved_nothing_is_guarded() {
    dies_of_sigbus("where_a_map_was_before_it_moved_nothing_is_guarded", || {
        let place = Place::new(4);
        let mut store = guarded(Store::<f64, Ix1>::open_rw(place.path()).unwrap());
        let old = grow(&mut store, 9);
        let foreign = foreign(place.dir.path(), Some(old));
        end();
        touch(foreign);
    });
}

#[test]
fn what_a_truncate_took_off_a_map_is_not_guarded() {
    dies_of_sigbus("what_a_truncate_took_off_a_map_is_not_guarded", || {
        let place = Place::new(4);
        let mut store = guarded(Store::<f64, Ix1>::open_rw(place.path()).unwrap());
        store.truncate(2 * PER_PAGE).unwrap();
        let end_of_map = store.as_bytes().as_ptr_range().end.addr();
        let foreign = foreign(place.dir.path(), Some(end_of_map));
        end();
        touch(foreign);
    });
}

#[test]
fn where_a_map_was_before_a_resize_nothing_is_guarded() {
    dies_of_sigbus("where_a_map_was_before_a_resize_nothing_is_guarded", || {
        let place = Place::new(4);
        let mut store = guarded(Store::<f64, Ix1>::open_rw(place.path()).unwrap());
        let old = store.as_bytes().as_ptr().addr();
        store.resize(9 * PER_PAGE).unwrap();
        assert_ne!(store.as_bytes().as_ptr().addr(), old);
        let foreign = foreign(place.dir.path(), Some(old));
        end();
        touch(foreign);
    });
}

#[test]
fn where_a_dropped_store_was_nothing_is_guarded() {
    dies_of_sigbus("where_a_dropped_store_was_nothing_is_guarded", || {
        let place = Place::new(4);
        let store = open(&place.path());
        let old = store.as_bytes().as_ptr().addr();
        drop(store);
        let foreign = foreign(place.dir.path(), Some(old));
        end();
        touch(foreign);
    });
}

#[test]
fn maps_come_and_go_in_some_threads_while_others_fault() {
    survives(
        "maps_come_and_go_in_some_threads_while_others_fault",
        || {
            let place = Place::new(4);
            let done = AtomicUsize::new(0);
            std::thread::scope(|scope| {
                for thread in 0..3 {
                    let (place, done) = (&place, &done);
                    scope.spawn(move || {
                        let path = place.file(&format!("whole-{thread}.npy"));
                        let mut state = thread + 1;
                        let mut stores = Vec::new();
                        for _ in 0..2000 {
                            stores.push(open(&path));
                            // More at a time than one part of the table has.
                            if stores.len() > 60 {
                                let index = random(&mut state, stores.len());
                                let store = stores.swap_remove(index);
                                assert_shows(&store, len_of(4));
                                store.check_faults().unwrap();
                            }
                        }
                        stores
                            .iter()
                            .for_each(|store| store.check_faults().unwrap());
                        done.fetch_add(1, SeqCst);
                    });
                }
                for thread in 0..2 {
                    let (place, done) = (&place, &done);
                    scope.spawn(move || {
                        let name = format!("cut-{thread}.npy");
                        let mut state = 77 + thread;
                        let mut faults = 0;
                        while done.load(SeqCst) < 3 || faults < 100 {
                            let path = place.file(&name);
                            let store = open(&path);
                            let len = random(&mut state, len_of(3)) / 8 * 8;
                            cut(&path, len);
                            assert_shows(&store, len);
                            assert_faulted(store.check_faults(), len);
                            faults += 1;
                        }
                    });
                }
            });
        },
    );
}

#[test]
fn a_store_that_faulted_refuses_all_that_can_fail_and_never_looks_whole_again() {
    survives(
        "a_store_that_faulted_refuses_all_that_can_fail_and_never_looks_whole_again",
        || {
            let place = Place::new(4);
            let path = place.path();
            let mut store = guarded(Store::<f64, Ix1>::open_rw(&path).unwrap());
            // Room for more is reserved, which a store gives back when it is dropped.
            store.append(&array![1.0]).unwrap();
            let len = len_of(1) + 100;
            cut(&path, len);
            store.view_mut().fill(5.0);
            // What is written to the zeros stays readable, but goes nowhere.
            assert_eq!(store.view()[3 * PER_PAGE], 5.0);
            for _ in 0..2 {
                assert_faulted(store.check_faults(), len);
                assert_faulted(store.guarded(|view| view.sum()), len);
                assert_faulted(store.flush(), len);
                assert_faulted(store.flush_async(), len);
                assert_faulted(store.flush_rows(..1), len);
                assert_faulted(store.append(&array![1.0]), len);
                assert_faulted(store.push(&arr0(1.0)), len);
                assert_faulted(store.truncate(1), len);
                assert_faulted(store.resize(10), len);
                assert_faulted(store.allocate(), len);
                assert_faulted(store.is_allocated(), len);
                assert_faulted(store.advise(Advice::Random), len);
                assert_faulted(store.write_to(Vec::new()), len);
            }
            // Not even a file that is as long as it was.
            cut(&path, len_of(5));
            assert_faulted(store.flush(), len_of(5));
            let error = store.check_faults().unwrap_err().to_string();
            assert!(error.contains("made it longer again"), "{error}");
            cut(&path, len);
            let error = store.check_faults().unwrap_err().to_string();
            assert!(error.contains(&format!("cut it to {len} bytes")), "{error}");
            assert_faulted(store.close(), len);
            assert_eq!(fs::metadata(&path).unwrap().len(), len as u64);
        },
    );
}

#[test]
fn a_cut_that_nobody_ran_into_is_found_and_not_forgotten() {
    survives(
        "a_cut_that_nobody_ran_into_is_found_and_not_forgotten",
        || {
            let place = Place::new(4);
            for len in [len_of(4) - 1, len_of(3) + 5, len_of(2)] {
                let path = place.file("a.npy");
                let store = open(&path);
                store.check_faults().unwrap();
                cut(&path, len);
                assert_faulted(store.check_faults(), len);
                cut(&path, len_of(4));
                assert_faulted(store.check_faults(), len_of(4));
            }
            // Longer is not cut.
            let path = place.file("a.npy");
            let store = open(&path);
            cut(&path, len_of(9));
            store.guarded(|view| assert_eq!(view[0], 1.0)).unwrap();
        },
    );
}

#[test]
fn without_a_guard_the_length_alone_is_checked() {
    let place = Place::new(4);
    let store = mapped(Store::<f64, Ix1>::open(place.path()).unwrap());
    store.check_faults().unwrap();
    let error = store.guarded(|view| view.sum()).unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::InvalidOption { .. }),
        "{error:?}"
    );
    cut(&place.path(), len_of(3));
    assert_faulted(store.check_faults(), len_of(3));
    // Nothing else asks.
    store.flush().unwrap();
    cut(&place.path(), len_of(4));
    store.check_faults().unwrap();
}

#[test]
fn every_map_has_the_guard_that_was_asked_for() {
    survives("every_map_has_the_guard_that_was_asked_for", || {
        let place = Place::new(2);
        let path = place.path();
        for mode in [Mode::Read, Mode::ReadWrite] {
            let any = AnyStore::open_mode(&path, mode).unwrap();
            // SAFETY: a file in a directory of this test's own, which the guard is there to
            // outlive.
            let map = unsafe { MapOptions::new().guard(true).map_any(any) }.unwrap();
            map.check_faults().unwrap();
            cut(&path, PAGE);
            assert!(map.as_bytes().iter().all(|&byte| byte == 0));
            cut(&path, len_of(2));
            assert_faulted(map.check_faults(), len_of(2));
            assert_faulted(map.flush(), len_of(2));
            assert_faulted(map.write_to(Vec::new()), len_of(2));
            // What was written by way of the map may be lost, which its end does not change.
            let closed = map.unmap().close();
            assert_eq!(
                matches!(closed.why(), Some(ErrorKind::Poisoned)),
                mode == Mode::ReadWrite
            );
            place.file("a.npy");
        }
        let new = place.dir.path().join("new.npy");
        let made = guarded(Store::<f64, _>::create(&new, 2 * PER_PAGE).unwrap());
        cut(&new, PAGE);
        assert_eq!(made.view().sum(), 0.0);
        cut(&new, len_of(2));
        assert_faulted(made.close(), len_of(2));
    });
}

#[test]
fn a_resize_that_reads_what_is_gone_leaves_the_old_file() {
    survives(
        "a_resize_that_reads_what_is_gone_leaves_the_old_file",
        || {
            let dir = TempDir::new().unwrap();
            let path = dir.path().join("a.npy");
            // Small runs, which are gathered one by one: a copy that takes a while.
            let shape = (1 << 17, 8);
            let mut faulted = 0;
            for pause in 0..10 {
                let array = Array2::<u8>::ones(shape);
                let mut store = guarded(Store::create_from(&path, &array).unwrap());
                let is_cut = AtomicBool::new(false);
                let resized = std::thread::scope(|scope| {
                    scope.spawn(|| {
                        std::thread::sleep(Duration::from_micros(200 * pause));
                        cut(&path, 10 * PAGE);
                        is_cut.store(true, SeqCst);
                    });
                    store.resize((1 << 17, 9))
                });
                match resized {
                    // Before it was cut, or the new file was: it has the name.
                    Ok(()) => assert_eq!(store.shape(), [1 << 17, 9]),
                    Err(error) => {
                        faulted += 1;
                        assert!(
                            matches!(error.kind(), ErrorKind::Faulted { .. }),
                            "{error:?}"
                        );
                        assert_eq!(store.shape(), [1 << 17, 8]);
                        assert_eq!(fs::metadata(&path).unwrap().len(), 10 * PAGE as u64);
                        assert_no_drafts(dir.path());
                    }
                }
                drop(store);
                fs::remove_file(&path).unwrap();
            }
            assert!(faulted > 0);
        },
    );
}

#[test]
fn the_kernel_that_cannot_read_what_is_gone_is_an_error_with_or_without_a_guard() {
    survives(
        "the_kernel_that_cannot_read_what_is_gone_is_an_error_with_or_without_a_guard",
        || {
            let place = Place::new(32);
            let (path, new) = (place.path(), place.dir.path().join("new.npy"));
            let len = len_of(20);
            for guard in [false, true] {
                place.file("a.npy");
                let store = Store::<f64, Ix1>::open(&path).unwrap();
                let store = mapped_with(&MapOptions::new().guard(guard), store);
                cut(&path, len);
                // What the store passes on itself, from the file.
                let assert_cut = match guard {
                    true => assert_faulted::<()>,
                    false => assert_truncated::<()>,
                };
                assert_cut(store.write_to(tempfile::tempfile().unwrap()), len);
                let (socket, peer) = UnixStream::pair().unwrap();
                let reader = std::thread::spawn(move || {
                    std::io::copy(&mut &peer, &mut std::io::sink()).unwrap()
                });
                assert_cut(store.send(&socket), len);
                drop(socket);
                assert!(reader.join().unwrap() < place.bytes.len() as u64);
                // What is passed on of its view.
                let view = store.view();
                for written in [
                    Store::create_from(&new, &view).map(drop),
                    to_file(&new, &view),
                ] {
                    let error = written.unwrap_err();
                    assert!(
                        matches!(error.kind(), ErrorKind::Unreadable { .. }),
                        "{error:?}"
                    );
                    assert!(!new.exists());
                }
                let error = write_npy(tempfile::tempfile().unwrap(), &view).unwrap_err();
                assert!(
                    matches!(error.kind(), ErrorKind::Unreadable { .. }),
                    "{error:?}"
                );
                let mut log = Store::create_from(&new, &array![1.0, 2.0]).unwrap();
                let error = log.append(&view).unwrap_err();
                assert!(
                    matches!(error.kind(), ErrorKind::Unreadable { .. }),
                    "{error:?}"
                );
                assert_eq!(log.read_all().unwrap(), array![1.0, 2.0]);
                log.append(&array![3.0]).unwrap();
                drop(log);
                fs::remove_file(&new).unwrap();
                assert_faulted(store.check_faults(), len);
            }
        },
    );
}

#[test]
fn zeros_that_a_guard_put_in_place_do_not_count_as_sent() {
    survives(
        "zeros_that_a_guard_put_in_place_do_not_count_as_sent",
        || {
            let place = Place::new(4);
            let store = open(&place.path());
            cut(&place.path(), len_of(1));
            let mut sent = Vec::new();
            assert_faulted(store.write_to(&mut sent), len_of(1));
            // A copy in memory that nobody refuses, which is what the scope is for.
            let copied = store.guarded(|view| view.to_owned());
            assert_faulted(copied, len_of(1));
        },
    );
}

#[test]
fn no_work_out_of_core_takes_the_zeros_of_a_guard_for_elements() {
    survives(
        "no_work_out_of_core_takes_the_zeros_of_a_guard_for_elements",
        || {
            let place = Place::new(8);
            let new = place.dir.path().join("new.npy");
            let whole = open(&place.file("whole.npy"));
            // Cut before the last block, which nothing asks for after it.
            let len = len_of(7);
            let fresh = || {
                let path = place.file("a.npy");
                let store = open(&path);
                cut(&path, len);
                store
            };
            let rows = || Chunk::Rows(PER_PAGE);
            let store = fresh();
            let each = store
                .out_of_core()
                .for_each_block(rows(), |_| Ok::<_, Error>(()));
            assert_truncated(each, len);
            let store = fresh();
            assert_truncated(store.out_of_core().sum(), len);
            for cut_first in [true, false] {
                let store = fresh();
                let (one, other) = match cut_first {
                    true => (&store, &whole),
                    false => (&whole, &store),
                };
                let zip = one.out_of_core().zip(other.out_of_core()).unwrap();
                assert_truncated(zip.map(&new, |(a, b): (f64, f64)| a + b), len);
            }
            assert!(!new.exists());
            assert_no_drafts(place.dir.path());
            // What a private map shows of the file is all that there is to be read.
            let path = place.file("a.npy");
            let cow = open_cow(&path);
            cut(&path, len);
            let each = cow
                .out_of_core()
                .for_each_block(rows(), |_| Ok::<_, Error>(()));
            assert_faulted(each, len);
        },
    );
}

#[test]
fn rows_that_are_overwritten_never_make_a_file_that_was_cut_look_whole() {
    survives(
        "rows_that_are_overwritten_never_make_a_file_that_was_cut_look_whole",
        || {
            let dir = TempDir::new().unwrap();
            let path = dir.path().join("a.npy");
            let len = len_of(3);
            for row in [PER_PAGE, 2] {
                let array = Array2::<f64>::ones((8 * PER_PAGE / row, row));
                drop(Store::create_from(&path, &array).unwrap());
                let mut store = guarded(Store::<f64, Ix2>::open_rw(&path).unwrap());
                cut(&path, len);
                let last = store.shape()[0] - 1;
                let values = Array2::zeros((1, row));
                for _ in 0..2 {
                    let scattered = store.out_of_core_mut().scatter(&[last], &values);
                    assert_faulted(scattered, len);
                }
                assert_faulted(store.flush(), len);
                assert_eq!(fs::metadata(&path).unwrap().len(), len as u64);
            }
        },
    );
}

#[test]
fn rows_that_are_appended_never_make_a_file_that_was_cut_look_whole() {
    survives(
        "rows_that_are_appended_never_make_a_file_that_was_cut_look_whole",
        || {
            let place = Place::new(4);
            let len = len_of(1) + 100;
            // Rows that are written on the flush, and some that are written before it.
            for rows in [1, 200_000] {
                let path = place.file("a.npy");
                let mut store = guarded(Store::<f64, Ix1>::open_rw(&path).unwrap());
                let mut appender = store.appender().unwrap();
                cut(&path, len);
                let mut pushed = (0..rows).try_for_each(|_| appender.push(&arr0(1.0)));
                if pushed.is_ok() {
                    pushed = appender.flush();
                }
                assert_faulted(pushed, len);
                assert_faulted(store.flush(), len);
                assert_faulted(store.push(&arr0(1.0)), len);
                drop(store);
                assert_eq!(fs::metadata(&path).unwrap().len(), len as u64);
            }
        },
    );
}

#[test]
fn a_walk_that_changes_blocks_of_a_file_that_was_cut_says_so() {
    survives(
        "a_walk_that_changes_blocks_of_a_file_that_was_cut_says_so",
        || {
            let place = Place::new(4);
            let len = len_of(3);
            let mut store = guarded(Store::<f64, Ix1>::open_rw(place.path()).unwrap());
            cut(&place.path(), len);
            let walk = store.out_of_core_mut();
            let changed = walk.for_each_block_mut(Chunk::Rows(PER_PAGE), |mut block| {
                block.view.fill(2.0);
                Ok::<_, Error>(())
            });
            // Before the first block is written.
            assert_faulted(changed, len);
        },
    );
}

#[test]
fn private_changes_before_the_cut_are_kept() {
    survives("private_changes_before_the_cut_are_kept", || {
        let place = Place::new(4);
        let mut store = open_cow(&place.path());
        store.view_mut().fill(9.0);
        cut(&place.path(), len_of(2));
        let view = store.view();
        assert!(view.slice(s![..2 * PER_PAGE]).iter().all(|&n| n == 9.0));
        assert!(view.slice(s![2 * PER_PAGE..]).iter().all(|&n| n == 0.0));
        assert_faulted(store.check_faults(), len_of(2));
    });
}

#[test]
fn a_fault_in_a_forked_child_is_the_childs_alone() {
    survives("a_fault_in_a_forked_child_is_the_childs_alone", || {
        let place = Place::new(4);
        let store = open(&place.path());
        let last = ptr::from_ref(store.as_bytes().last().unwrap());
        cut(&place.path(), len_of(1));
        // SAFETY: the child reads memory and exits, nothing that would need more of a process than
        // its one thread.
        let child = unsafe { libc::fork() };
        if child == 0 {
            // SAFETY: within the map of the store.
            let found = unsafe { last.read_volatile() };
            // SAFETY: ends the process.
            unsafe { libc::_exit(40 + c_int::from(found)) };
        }
        let mut status = 0;
        // SAFETY: writes to `status` alone.
        assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
        assert_eq!(libc::WEXITSTATUS(status), 40, "{status}");
        // As long again, and never touched here: what this process reads is the file. That it was
        // cut is not forgotten.
        fs::write(place.path(), &place.bytes).unwrap();
        assert_eq!(store.view()[4 * PER_PAGE - 1], 4.0 * PER_PAGE as f64);
        assert_faulted(store.check_faults(), len_of(4));
    });
}
