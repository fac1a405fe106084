//! The guard: reading a map whose file was cut yields zeros and an error, instead of killing the
//! process.
//!
//! It owns the process's handler of SIGBUS and a table of the guarded maps. It knows addresses and
//! descriptors, and nothing of the arrays there.
//!
//! # What happens
//!
//! The kernel raises SIGBUS in a thread that touches a page of a map that the file lacks: somebody
//! cut the file, or its disk cannot read the page. [`on_sigbus`] looks the address up in the table.
//! If a guarded map has it, the map is marked as faulted, zeros are laid over the page, and the
//! thread repeats the instruction that faulted. If the file ends before the page, zeros are laid
//! from its end to the end of the map, in one piece: page by page, scattered reads of a large map
//! would soon take as many mappings as a process may have (`vm.max_map_count`). Any other SIGBUS is
//! passed on.
//!
//! # Why the handler may do that
//!
//! A handler interrupts its thread anywhere, in the allocator or in the middle of a change to the
//! table. So it allocates nothing, waits for nothing and calls only `fstat`, `mmap`, `sigaction`
//! and `raise`. POSIX lists all of these but `mmap` as safe there, and `mmap` is a bare system call
//! on Linux. The table is atomics: a [`Slot`] has a version that is odd while its owner changes it,
//! and a reader that finds it odd, or changed, passes the slot over. No slot is ever freed.
//!
//! The handler may pass over a slot that changes, because the slot that it looks for does not. A
//! thread faults in a map only while it holds a reference into it, and therefore a borrow of the
//! map's owner; the owner changes the slot only while nobody borrows it. For the same reason the
//! same map is still there when zeros are laid over it. All this needs a signal that the access
//! itself raises, so a SIGBUS that somebody sent, or that reports a memory failure that no thread
//! ran into (`BUS_MCEERR_AO`), is never ours, whatever address it carries. A slot never covers
//! unmapped pages: it is filled after its map is made and emptied before its map is moved or
//! removed. While it is empty the owner is borrowed exclusively, so nobody can fault.
//!
//! # Why it is no worse than what happened
//!
//! Rust takes bytes behind a reference for constant, and here they become zero. But cutting the
//! file did that already: its pages were gone from that moment, and if the file had been made
//! longer again instead, the map would show zeros as well. The promise that the crate relies on,
//! that nobody changes the file of a living map, was broken before, and without the guard the next
//! touch ends the process. With the guard every byte stays readable, all bytes are values of an
//! element (`Pod`), and the mark is set before the zeros can be seen, so a caller who asks after
//! reading learns of the cut.
//!
//! Zeros over a writable map are private memory. Later writes to them are lost, and so are earlier
//! writes that were not yet on the disk when the file was cut: the store refuses to flush from then
//! on. Two threads that fault at once may both lay zeros, and the second then wipes what the first
//! wrote there, which was lost anyway.
//!
//! # Cut, and as long again
//!
//! A file that is cut and made longer again before anybody touches the missing pages raises no
//! signal: its map shows the new bytes. So the last page of each map has a [canary](canary), a
//! private copy with a mark in it. Cutting a file takes the pages behind the new end from all maps,
//! private copies included, and nothing but a cut does that. Every cut takes the last page, and
//! from then on the mark is gone, however long the file becomes.
//!
//! The canary misses bytes that are overwritten in place, a hole that is punched into them, and a
//! cut that ends in the very page that the array ends in, because the kernel merely clears the rest
//! of that page.
//!
//! # Threads, stacks, forks
//!
//! - A process has one handler, and any number of threads may be in it. It runs on the alternate
//!   stack of a thread that has one (`SA_ONSTACK`; Rust gives one to each of its threads),
//!   otherwise on the normal stack, of which it takes little.
//! - It cannot fault itself: it touches its stack and the table. The process dies if a handler of
//!   another signal interrupts it and then touches a cut map, or if a thread that blocks SIGBUS
//!   does: the kernel delivers no fault to them.
//! - A forked child has its own copies of the maps, the table and the handler: zeros and marks stay
//!   in the process that faulted. A child that was forked while another thread claimed a slot just
//!   never uses that slot.
//! - A system call (`write`) for which the kernel reads from a map raises no signal: it fails with
//!   `EFAULT`.
//!
//! # Other handlers
//!
//! The handler is installed once, with the first guarded map, and stays: removing it could undo
//! what others installed meanwhile. The handler that was there before is called for every SIGBUS
//! that is not ours, with the same arguments and the mask that it asked for, and always on the
//! alternate stack. Rust's own handler restores the default disposition and returns: a fault then
//! recurs and kills. A signal that somebody sent does not recur. If the old handler returned from
//! such a signal, the process would continue without a guard, so the signal is raised once more.
//!
//! A handler that is installed after ours gets every SIGBUS first. If it calls the handler that it
//! replaced, as it should, the guard works. If not, there is no guard, and that handler decides
//! about a fault.

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

/// The guard of one map. It guards nothing until [`protect`](Guard::protect).
#[derive(Debug)]
pub(crate) struct Guard {
    slot: Taken,
    /// Set while there are pages to guard.
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
    /// The pages are a map of their own of that part of `file`, which nobody else unmaps. They stay
    /// mapped, and the file open, until [`lift`](Guard::lift) or the drop of this value. Until
    /// then, code that touches them borrows them.
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
            // The old canary goes first, because it may be over a page that is about to be cut off.
            // Without memory for another page the map is guarded all the same; only a file that is
            // as long again before anybody reads it goes unnoticed.
            self.canary = None;
            self.canary = Canary::new(file, last_page, page).ok();
        }
    }

    /// Guards nothing until the next `protect`: there is no map, and the page of its canary may go.
    pub(crate) fn rest(&mut self) {
        self.lift();
        self.canary = None;
    }

    /// Guards nothing any more. The mark stays.
    pub(crate) fn lift(&mut self) {
        self.slot.set(Area::NONE);
    }

    /// Whether a page was replaced by zeros. A caller who read such zeros before the call gets
    /// true.
    pub(crate) fn has_faulted(&self) -> bool {
        // The caller's reads come before this load, as the handler's mark comes before its zeros.
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

/// The action that was installed before: null for the default disposition, otherwise leaked.
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
    // First remember the old action, then install ours: a SIGBUS in between must find the old one.
    let previous = exchange_action(None)?;
    remember(previous);
    let handler: extern "C" fn(c_int, *mut siginfo_t, *mut c_void) = on_sigbus;
    let kept = previous.sa_flags & (libc::SA_RESTART | libc::SA_NODEFER);
    // Field by field, because some architectures have private ones.
    let mut action = default_action();
    action.sa_sigaction = handler as *const () as libc::sighandler_t;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | kept;
    // With the signals that the old handler wanted blocked while it runs.
    action.sa_mask = previous.sa_mask;
    let replaced = exchange_action(Some(&action))?;
    if replaced.sa_sigaction != previous.sa_sigaction {
        remember(replaced);
    }
    Ok(())
}

fn default_action() -> libc::sigaction {
    // SAFETY: a struct of numbers and an optional function. All zeros are the default disposition
    // and an empty mask.
    unsafe { mem::zeroed() }
}

/// Sets the action of SIGBUS, if one is given, and returns the old one. Safe in a handler.
fn exchange_action(action: Option<&libc::sigaction>) -> io::Result<libc::sigaction> {
    let action = action.map_or(ptr::null(), ptr::from_ref);
    let mut old = default_action();
    // SAFETY: both pointers are null or to a `sigaction`. The actions are the default one and
    // `on_sigbus`, which may run at any time, as is said at the top.
    match unsafe { libc::sigaction(libc::SIGBUS, action, &raw mut old) } {
        0 => Ok(old),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The handler of SIGBUS.
extern "C" fn on_sigbus(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: the place of this thread's own `errno`.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: the place exists as long as the thread.
    let saved = unsafe { *errno };
    // SAFETY: the kernel passes this to a handler with `SA_SIGINFO`, and it is valid as long as the
    // handler runs.
    let cause = unsafe { &*info };
    if !mend(cause) {
        pass_on(cause.si_code, signal, info, context);
    }
    // SAFETY: as above. Restored, because the interrupted code may be about to read it.
    unsafe { *errno = saved };
}

/// Lays zeros over the missing pages, if a guarded map has them.
fn mend(cause: &siginfo_t) -> bool {
    // The two codes that the access itself raises, in the thread that made it.
    if !matches!(cause.si_code, libc::BUS_ADRERR | libc::BUS_MCEERR_AR) {
        return false;
    }
    // SAFETY: both codes come with an address.
    let address = unsafe { cause.si_addr() }.addr();
    let Some((slot, area)) = find(address) else {
        return false;
    };
    // The mark before the zeros: nobody may see the zeros and find no mark.
    slot.faulted.store(true, SeqCst);
    let page = page_size();
    let faulted = address - address % page;
    let cut = file_len(area.fd).map_or(area.end, |len| area.end_of_file(len, page));
    // If memory is strictly accounted, there may be room for a page and not for more.
    cut <= faulted && lay_zeros(cut..area.end, area.writable)
        || lay_zeros(faulted..faulted + page, area.writable)
}

/// The length of the file now.
fn file_len(fd: RawFd) -> Option<u64> {
    // SAFETY: a struct of numbers.
    let mut stat: libc::stat64 = unsafe { mem::zeroed() };
    // SAFETY: writes to `stat` alone. `fd` is open, by `Guard::protect`, and if it were not, this
    // would fail.
    let found = unsafe { libc::fstat64(fd, &raw mut stat) };
    (found == 0).then_some(stat.st_size as u64)
}

/// Replaces the pages at these addresses, which are part of a guarded map, by private ones that
/// read as zero.
fn lay_zeros(pages: Range<usize>, writable: bool) -> bool {
    let protection = match writable {
        true => libc::PROT_READ | libc::PROT_WRITE,
        false => libc::PROT_READ,
    };
    let flags = libc::MAP_FIXED | libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    let start = ptr::without_provenance_mut(pages.start);
    // SAFETY: the pages are mapped, and not by anybody else, by `Guard::protect`: the area that
    // they are in is at rest while a thread faults in it, as is said at the top. References into
    // them stay usable, because the pages stay mapped with the access that they had.
    let laid = unsafe { libc::mmap(start, pages.len(), protection, flags, -1, 0) };
    laid != libc::MAP_FAILED
}

/// Passes a SIGBUS that is not ours to the action that it would have had.
fn pass_on(code: c_int, signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    // A fault recurs when this returns, a signal that somebody sent does not.
    let recurs = code > 0 && code != libc::BUS_MCEERR_AO;
    // SAFETY: null, or an action that `remember` leaked.
    let previous = unsafe { PREVIOUS.load(Acquire).as_ref() };
    match previous.map(|action| (action.sa_sigaction, action.sa_flags)) {
        // Even if the signal is ignored, the kernel kills for a fault.
        Some((libc::SIG_IGN, _)) if !recurs => {}
        None | Some((libc::SIG_IGN, _)) => die(recurs),
        Some((handler, flags)) => {
            if flags & libc::SA_RESETHAND != 0 {
                PREVIOUS.store(ptr::null_mut(), Release);
            }
            if flags & libc::SA_SIGINFO != 0 {
                // SAFETY: its installer declared by `SA_SIGINFO` that it is such a function.
                let handler = unsafe {
                    mem::transmute::<
                        libc::sighandler_t,
                        extern "C" fn(c_int, *mut siginfo_t, *mut c_void),
                    >(handler)
                };
                handler(signal, info, context);
            } else {
                // SAFETY: neither `SIG_DFL` nor `SIG_IGN`, so a function, and without `SA_SIGINFO`
                // one like this.
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

/// Makes the default disposition, which kills, take effect when the handler returns.
fn die(recurs: bool) {
    // The action is valid, so it cannot be refused.
    let _ = exchange_action(Some(&default_action()));
    if !recurs {
        // SAFETY: takes a number. The signal is blocked until the handler returns.
        unsafe { libc::raise(libc::SIGBUS) };
    }
}
