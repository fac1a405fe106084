//! How much memory a call asks for: an allocator that remembers the largest request of each thread,
//! and adds them up.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Remembering;

#[global_allocator]
static ALLOCATOR: Remembering = Remembering;

thread_local! {
    // Neither initialised lazily nor dropped, so that the allocator may use it at any time.
    static LARGEST: Cell<usize> = const { Cell::new(0) };
    static TOTAL: Cell<usize> = const { Cell::new(0) };
}

fn remember(size: usize) {
    LARGEST.with(|largest| largest.set(largest.get().max(size)));
    TOTAL.with(|total| total.set(total.get().wrapping_add(size)));
}

// SAFETY: every call is passed on as it is to `System`, which keeps the contract; a counter is all
// that is added.
unsafe impl GlobalAlloc for Remembering {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        remember(layout.size());
        // SAFETY: the caller keeps the contract of this very function.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        remember(layout.size());
        // SAFETY: as for `alloc`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, old: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        remember(size);
        // SAFETY: as for `alloc`.
        unsafe { System.realloc(old, layout, size) }
    }

    unsafe fn dealloc(&self, old: *mut u8, layout: Layout) {
        // SAFETY: as for `alloc`.
        unsafe { System.dealloc(old, layout) }
    }
}

/// Runs `call` and tells the largest single allocation that this thread made meanwhile, in bytes.
pub(crate) fn largest_during<R>(call: impl FnOnce() -> R) -> (R, usize) {
    LARGEST.set(0);
    let result = call();
    (result, LARGEST.get())
}

/// Runs `call` and tells how many bytes this thread asked for meanwhile, whether it gave some back
/// or not.
pub(crate) fn total_during<R>(call: impl FnOnce() -> R) -> (R, usize) {
    TOTAL.set(0);
    let result = call();
    (result, TOTAL.get())
}

#[test]
fn the_largest_allocation_is_remembered() {
    let (kept, largest) = largest_during(|| (vec![0_u8; 5000], vec![1_u8; 70_000], vec![2_u8; 9]));
    assert_eq!(kept.1.len(), 70_000);
    assert_eq!(largest, 70_000);
    let (_, total) = total_during(|| (vec![0_u8; 5000], drop(vec![1_u8; 70_000])));
    assert_eq!(total, 75_000);
    assert_eq!(largest_during(|| ()).1, 0);
    let (_, grown) = largest_during(|| {
        let mut grows = Vec::<u64>::with_capacity(1);
        grows.reserve_exact(1 << 10);
        grows
    });
    assert_eq!(grown, 8 << 10);
}
