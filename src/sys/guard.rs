//! The guard: reading a map whose file was cut yields zeros and an error, where it would kill the process.
//!
//! It owns the process's handler of SIGBUS and a table of the maps that are guarded. It knows addresses and descriptors, and
//! nothing of what is mapped there.
//!
//! # What happens
//!
//! The kernel raises SIGBUS in a thread that touches a page of a map which its file does not have: somebody cut the file, or
//! its disk cannot read it. [`on_sigbus`] looks the address up in the table. If a guarded map has it, the map is marked as
//! faulted, zeros are laid over the page, and the thread goes on with the instruction that faulted. If the file ends before
//! the page, zeros are laid from its end to the end of the map, in one piece: page by page, whoever reads here and there in
//! a large map would soon have as many mappings as a process may (`vm.max_map_count`). Any other SIGBUS is passed on.
//!
//! # Why the handler may do that
//!
//! A handler interrupts its thread anywhere, in the allocator or in the middle of a change to the table. So it allocates
//! nothing, waits for nothing and calls only `fstat`, `mmap`, `sigaction` and `raise`. All but `mmap` are on POSIX's list of
//! what is safe there, and `mmap` is a bare system call on Linux. The table is atomics: a [`Slot`] has a version that is odd
//! while its owner changes it, and a reader that finds it odd, or changed, passes the slot over. No slot is ever freed.
//!
//! It may pass over a slot because the one that it looks for is at rest. A thread faults in a map only while it holds a
//! reference into it, hence a borrow of the map's owner; the owner changes the slot only while nobody borrows it. For
//! the same reason the map is still there, and is the same one, when zeros are laid over it. This takes a signal that is
//! raised by the access itself, so a SIGBUS that somebody sent, or that tells of a memory failure which nobody ran into
//! (`BUS_MCEERR_AO`), is never ours, whatever address it carries. And a slot never covers what is not mapped: it is
//! filled after its map is made and emptied before its map is moved or removed. While it is empty the owner is borrowed
//! exclusively, so nobody can fault.
//!
//! # Why it is no worse than what happened
//!
//! Rust takes bytes behind a reference for constant, and here they become zero. But that is what cutting the file did: its
//! pages were gone from that moment, and had the file been made longer again instead, the map would show zeros as well. What
//! the crate relies on, that nobody changes the file of a living store, was broken already, and without the guard the next
//! touch is the end of the process. With it every byte stays readable, any value is one of an element (`Pod`), and the mark is
//! set before the zeros can be seen, so that whoever asks after reading learns of it.
//!
//! Zeros over a writable map are private memory. What is written there, and what was written and not yet on the disk when the
//! file was cut, is lost: the store refuses to flush from then on. Two threads that fault at once may both lay zeros, and the
//! second then wipes what the first wrote there; nothing is lost by that that would not have been lost anyway.
//!
//! # Cut, and as long again
//!
//! A file that is cut and made longer before anybody touches what was gone raises nothing: its map
//! shows the new bytes. So the last page of each map has a [canary](canary), a private copy with a
//! mark in it. Cutting a file takes from all maps what lies behind its new end, private copies as
//! well, and nothing but a cut does that. Every cut takes the last page, and from then on the mark
//! is not there, however long the file is again.
//!
//! What no canary tells: bytes that are overwritten in place, a hole that is punched into them, and
//! a cut whose end lies in the very page that the array ends in, of which the kernel merely clears
//! the rest.
//!
//! # Threads, stacks, forks
//!
//! - The handler is one for the process, and any number of threads may be in it. It runs on the thread's alternate stack if it
//!   has one (`SA_ONSTACK`; Rust gives one to each of its threads), else on the stack at hand, of which it takes little.
//! - It cannot fault itself: it touches its stack and the table. A handler of another signal that interrupts it and just
//!   then runs into a cut map is killed, as is a thread that blocks SIGBUS: the kernel delivers no fault to them.
//! - A forked child has the maps, the table and the handler, each its own: zeros and marks stay in the process that faulted.
//!   A child that was forked while another thread claimed a slot merely never uses that slot.
//! - What the kernel reads from a map for a system call (`write`) raises no signal: the call fails with `EFAULT`.
//!
//! # Other handlers
//!
//! The handler is installed with the first guarded map, once, and stays: to take it away could undo what others installed
//! meanwhile. What was there before is called for every SIGBUS that is not ours, with the same arguments and the mask that
//! it asked for, though on the alternate stack also where it did not ask for that. Rust's own handler answers by restoring the
//! default disposition and returning: a fault then recurs and kills. A signal that was sent does not recur. Had that handler
//! returned from one, the process would go on without a guard, so the signal is raised once more.
//!
//! Whoever installs a handler after ours gets every SIGBUS first. If it calls what it replaced, as it should, the guard works;
//! if not, there is none, and a fault is what that handler makes of it.

use std::fs::File;
use std::io;
use std::mem;
use std::ops::Range;
use std::os::fd::{AsRawFd, RawFd};
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use std::sync::atomic::{AtomicPtr, AtomicUsize, fence};

use libc::{c_int, c_void, siginfo_t};

mod canary;
mod table;

use canary::Canary;
use table::{Area, Taken, find};

/// The guard of one map. It guards nothing until it is told what.
#[derive(Debug)]
pub(crate) struct Guard {
    slot: Taken,
    /// There while there are pages to be guarded.
    canary: Option<Canary>,
}

impl Guard {
    /// Installs the handler, if this is the first one.
    pub(crate) fn new() -> io::Result<Guard> {
        static INSTALLED: OnceLock<Result<(), c_int>> = OnceLock::new();
        INSTALLED
            .get_or_init(|| install().map_err(|error| error.raw_os_error().unwrap_or_default()))
            .map_err(io::Error::from_raw_os_error)?;
        Ok(Guard {
            slot: Taken::new(),
            canary: None,
        })
    }

    /// Guards the pages of `bytes`, which are mapped from `file` at `offset`.
    ///
    /// # Safety
    ///
    /// The pages are a map of their own of that part of `file`, which nobody else unmaps. They stay mapped, and the file
    /// open, until [`lift`](Guard::lift) or the drop of this value. Until then they are borrowed by whoever touches them.
    pub(crate) unsafe fn protect(
        &mut self,
        bytes: &[u8],
        writable: bool,
        file: &File,
        offset: u64,
    ) {
        let page = page_size();
        let Range { start, end } = bytes.as_ptr_range();
        let (start, end) = (start.addr(), end.addr());
        let area = Area {
            start: start - start % page,
            end: end.next_multiple_of(page),
            writable,
            fd: file.as_raw_fd(),
            // The kernel counts the pages of a file in a word as well.
            first_page: (offset / page as u64) as usize,
        };
        self.slot.set(area);
        let last_page = area.first_page + (area.end - area.start) / page - 1;
        if !(self.canary.as_ref()).is_some_and(|canary| canary.is_over(file, last_page)) {
            // The old one goes first: it may be over what is about to be cut off. Where there is no
            // room for another page the map is guarded all the same, and only a file that is as
            // long again before anybody reads it goes unnoticed.
            self.canary = None;
            self.canary = Canary::new(file, last_page, page).ok();
        }
    }

    /// Guards nothing until it is told to again: there is no map, and what its canary was over may
    /// go.
    pub(crate) fn rest(&mut self) {
        self.lift();
        self.canary = None;
    }

    /// Guards nothing any more. What was marked stays marked.
    pub(crate) fn lift(&mut self) {
        self.slot.set(Area::NONE);
    }

    /// Whether a page was replaced by zeros: whoever has read such zeros before the call is told so.
    pub(crate) fn has_faulted(&self) -> bool {
        // The reading before the asking, as the handler has the mark before the zeros.
        fence(SeqCst);
        if (self.canary.as_ref()).is_some_and(|canary| !canary.is_alive()) {
            self.mark();
        }
        self.slot.faulted.load(Relaxed)
    }

    /// Marks the map as one that faulted.
    pub(crate) fn mark(&self) {
        self.slot.faulted.store(true, Relaxed);
    }
}

/// The size of a page, or 0 before the first guard.
static PAGE: AtomicUsize = AtomicUsize::new(0);

fn page_size() -> usize {
    PAGE.load(Relaxed)
}

/// What was installed before: null for the default disposition, else leaked.
static PREVIOUS: AtomicPtr<libc::sigaction> = AtomicPtr::new(ptr::null_mut());

fn remember(action: libc::sigaction) {
    let previous = match action.sa_sigaction {
        libc::SIG_DFL => ptr::null_mut(),
        _ => Box::into_raw(Box::new(action)),
    };
    PREVIOUS.store(previous, Release);
}

fn install() -> io::Result<()> {
    // SAFETY: takes a number, and gives one.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    PAGE.store(page as usize, Relaxed);
    // First what is there, then ours: a SIGBUS in between must find it.
    let previous = exchange_action(None)?;
    remember(previous);
    let handler: extern "C" fn(c_int, *mut siginfo_t, *mut c_void) = on_sigbus;
    let kept = previous.sa_flags & (libc::SA_RESTART | libc::SA_NODEFER);
    // Field by field, for some architectures have private ones.
    let mut action = default_action();
    action.sa_sigaction = handler as *const () as libc::sighandler_t;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | kept;
    // With what it was to be spared when it is called.
    action.sa_mask = previous.sa_mask;
    let replaced = exchange_action(Some(&action))?;
    if replaced.sa_sigaction != previous.sa_sigaction {
        remember(replaced);
    }
    Ok(())
}

fn default_action() -> libc::sigaction {
    // SAFETY: a struct of numbers and an optional function. All zeros are the default disposition and an empty mask.
    unsafe { mem::zeroed() }
}

/// Sets what SIGBUS does, if anything is to be set, and returns what it did. Safe in a handler.
fn exchange_action(action: Option<&libc::sigaction>) -> io::Result<libc::sigaction> {
    let action = action.map_or(ptr::null(), ptr::from_ref);
    let mut old = default_action();
    // SAFETY: both pointers are null or to a `sigaction`. The actions are the default one and `on_sigbus`, which may run at
    // any time, as is said at the top.
    match unsafe { libc::sigaction(libc::SIGBUS, action, &raw mut old) } {
        0 => Ok(old),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The handler of SIGBUS.
extern "C" fn on_sigbus(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: the place of this thread's own `errno`.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: it is there for as long as the thread is.
    let saved = unsafe { *errno };
    // SAFETY: what the kernel gives to a handler with `SA_SIGINFO`, for as long as it runs.
    let cause = unsafe { &*info };
    if !mend(cause) {
        pass_on(cause.si_code, signal, info, context);
    }
    // SAFETY: as above. The code that was interrupted may be about to read it.
    unsafe { *errno = saved };
}

/// Lays zeros over what was missing, if it is a guarded map's.
fn mend(cause: &siginfo_t) -> bool {
    // The two that the access itself raises, in the thread that made it.
    if !matches!(cause.si_code, libc::BUS_ADRERR | libc::BUS_MCEERR_AR) {
        return false;
    }
    // SAFETY: both codes come with an address.
    let address = unsafe { cause.si_addr() }.addr();
    let Some((slot, area)) = find(address) else {
        return false;
    };
    // The mark before the zeros: nobody may see these and find no mark.
    slot.faulted.store(true, SeqCst);
    let page = page_size();
    let faulted = address - address % page;
    let cut = file_len(area.fd).map_or(area.end, |len| area.end_of_file(len, page));
    // Where memory is strictly accounted, there may be room for a page and not for more.
    cut <= faulted && lay_zeros(cut..area.end, area.writable)
        || lay_zeros(faulted..faulted + page, area.writable)
}

/// How long the file is now.
fn file_len(fd: RawFd) -> Option<u64> {
    // SAFETY: a struct of numbers.
    let mut stat: libc::stat64 = unsafe { mem::zeroed() };
    // SAFETY: writes to `stat` alone. `fd` is open, by `Guard::protect`, and if it were not, this would fail.
    let found = unsafe { libc::fstat64(fd, &raw mut stat) };
    (found == 0).then_some(stat.st_size as u64)
}

/// Replaces the pages at these addresses, which are part of a guarded map, by private ones that read as zero.
fn lay_zeros(pages: Range<usize>, writable: bool) -> bool {
    let protection = match writable {
        true => libc::PROT_READ | libc::PROT_WRITE,
        false => libc::PROT_READ,
    };
    let flags = libc::MAP_FIXED | libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    let start = ptr::without_provenance_mut(pages.start);
    // SAFETY: the pages are mapped, and not by anybody else, by `Guard::protect`: the area that they are in is at rest while
    // a thread faults in it, as is said at the top. Who has a reference there may go on to use it, for the pages stay
    // mapped with the access that they had.
    let laid = unsafe { libc::mmap(start, pages.len(), protection, flags, -1, 0) };
    laid != libc::MAP_FAILED
}

/// Has a SIGBUS that is not ours do what it would have done.
fn pass_on(code: c_int, signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    // A fault recurs when this returns, a signal that somebody sent does not.
    let recurs = code > 0 && code != libc::BUS_MCEERR_AO;
    // SAFETY: null, or an action that `remember` leaked.
    let previous = unsafe { PREVIOUS.load(Acquire).as_ref() };
    match previous.map(|action| (action.sa_sigaction, action.sa_flags)) {
        // Even so the kernel kills for a fault.
        Some((libc::SIG_IGN, _)) if !recurs => {}
        None | Some((libc::SIG_IGN, _)) => die(recurs),
        Some((handler, flags)) => {
            if flags & libc::SA_RESETHAND != 0 {
                PREVIOUS.store(ptr::null_mut(), Release);
            }
            if flags & libc::SA_SIGINFO != 0 {
                // SAFETY: whoever installed it said by `SA_SIGINFO` that it is such a function.
                let handler = unsafe {
                    mem::transmute::<
                        libc::sighandler_t,
                        extern "C" fn(c_int, *mut siginfo_t, *mut c_void),
                    >(handler)
                };
                handler(signal, info, context);
            } else {
                // SAFETY: neither `SIG_DFL` nor `SIG_IGN`, so a function, and without `SA_SIGINFO` one like this.
                let handler =
                    unsafe { mem::transmute::<libc::sighandler_t, extern "C" fn(c_int)>(handler) };
                handler(signal);
            }
            let gave_up =
                exchange_action(None).is_ok_and(|action| action.sa_sigaction == libc::SIG_DFL);
            if gave_up && !recurs {
                die(recurs);
            }
        }
    }
}

/// Sees to it that the default disposition, which kills, takes effect when the handler returns.
fn die(recurs: bool) {
    // The action is valid, so it cannot be refused.
    let _ = exchange_action(Some(&default_action()));
    if !recurs {
        // SAFETY: takes a number. The signal is blocked until the handler returns.
        unsafe { libc::raise(libc::SIGBUS) };
    }
}
