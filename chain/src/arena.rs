//! The memory of a tool that soon becomes another program.
//!
//! A C library's allocator asks the kernel for a little more again and again:
//! under musl that, and giving it back, was a fifth of a start. A link of the
//! chain needs a few dozen kilobytes in its life. They are here from the
//! start, handed out one after the other; what does not fit, and what a long
//! life needs (rs-rootfs), comes from the C library.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes: enough for the largest command line parser. The kernel gives only
/// the pages that are touched.
const SIZE: usize = 128 * 1024;

/// Memory that is used once. Only the last piece can be given back or grow.
struct Arena {
    bytes: UnsafeCell<[u8; SIZE]>,
    /// Where the free rest begins.
    next: AtomicUsize,
}

// SAFETY: a piece belongs to whoever moved `next` over it, in one atomic step.
unsafe impl Sync for Arena {}

#[global_allocator]
static ARENA: Arena = Arena { bytes: UnsafeCell::new([0; SIZE]), next: AtomicUsize::new(0) };

impl Arena {
    fn start(&self) -> *mut u8 {
        self.bytes.get().cast()
    }

    /// Where `piece` begins in the arena, if it is from there.
    fn offset(&self, piece: *mut u8) -> Option<usize> {
        piece.addr().checked_sub(self.start().addr()).filter(|offset| *offset < SIZE)
    }

    /// Moves the end of the piece that ends at `old` to `new`, if it is the
    /// last one.
    fn resize_last(&self, old: usize, new: usize) -> bool {
        new <= SIZE && self.next.compare_exchange(old, new, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

// SAFETY: pieces are aligned as asked, do not overlap (`next` only moves over
// the free rest, and back over the last piece by its owner), and what is not
// from the arena goes to the allocator that it is from.
unsafe impl GlobalAlloc for Arena {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        loop {
            let next = self.next.load(Ordering::Relaxed);
            let padding = (self.start().addr() + next).wrapping_neg() & (layout.align() - 1);
            let begin = next + padding;
            if layout.size() > SIZE || begin + layout.size() > SIZE {
                // SAFETY: the caller's promise, handed on.
                return unsafe { System.alloc(layout) };
            }
            if self.resize_last(next, begin + layout.size()) {
                // SAFETY: within the arena, as just looked at.
                return unsafe { self.start().add(begin) };
            }
        }
    }

    unsafe fn dealloc(&self, piece: *mut u8, layout: Layout) {
        match self.offset(piece) {
            Some(begin) => drop(self.resize_last(begin + layout.size(), begin)),
            // SAFETY: not from the arena, so from there.
            None => unsafe { System.dealloc(piece, layout) },
        }
    }

    unsafe fn realloc(&self, piece: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let Some(begin) = self.offset(piece) else {
            // SAFETY: not from the arena, so from there.
            return unsafe { System.realloc(piece, layout, size) };
        };
        if size <= SIZE && self.resize_last(begin + layout.size(), begin + size) {
            return piece;
        }
        // SAFETY: the caller's promise: `size` is not 0 and fits `isize`.
        let new = unsafe { self.alloc(Layout::from_size_align_unchecked(size, layout.align())) };
        if !new.is_null() {
            // SAFETY: both are at least that long, and do not overlap.
            unsafe { ptr::copy_nonoverlapping(piece, new, layout.size().min(size)) };
            // SAFETY: nobody looks at the old piece any more.
            unsafe { self.dealloc(piece, layout) };
        }
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One of the test's own: the threads of the test runner use the other.
    macro_rules! arena {
        () => {{
            static ARENA: Arena = Arena { bytes: UnsafeCell::new([0; SIZE]), next: AtomicUsize::new(0) };
            &ARENA
        }};
    }

    fn layout(size: usize, align: usize) -> Layout {
        Layout::from_size_align(size, align).expect("a layout")
    }

    #[test]
    fn pieces_are_aligned_and_apart() {
        let arena = arena!();
        // SAFETY: each piece is used within its layout and given back once.
        unsafe {
            let one = arena.alloc(layout(3, 1));
            let other = arena.alloc(layout(64, 64));
            assert!(other.addr().is_multiple_of(64));
            assert!(other.addr() >= one.addr() + 3);
            // Not the last one: its place stays taken.
            arena.dealloc(one, layout(3, 1));
            assert_eq!(arena.realloc(other, layout(64, 64), 100), other, "the last one grows in place");
            let third = arena.alloc(layout(1, 1));
            assert_eq!(third.addr(), other.addr() + 100);
            third.write(7);
            let moved = arena.realloc(other, layout(100, 64), 200);
            assert!(moved.addr() > third.addr() && moved.addr().is_multiple_of(64));
            assert_eq!(third.read(), 7);
            arena.dealloc(moved, layout(200, 64));
            assert_eq!(arena.alloc(layout(8, 64)), moved, "the last one's place is used again");
        }
    }

    #[test]
    fn what_does_not_fit_comes_from_the_c_library() {
        let arena = arena!();
        // SAFETY: each piece is used within its layout and given back once.
        unsafe {
            for size in [SIZE + 1, usize::MAX >> 1] {
                let large = arena.alloc(layout(size, 1));
                assert!(arena.offset(large).is_none());
                if !large.is_null() {
                    arena.dealloc(large, layout(size, 1));
                }
            }
            let all = arena.alloc(layout(SIZE - 64, 1));
            all.add(SIZE - 65).write(9);
            let grown = arena.realloc(all, layout(SIZE - 64, 1), SIZE * 2);
            assert!(arena.offset(grown).is_none());
            assert_eq!(grown.add(SIZE - 65).read(), 9, "what was there goes along");
            assert!(arena.offset(arena.alloc(layout(8, 8))).is_some(), "its place is free again");
            let larger = arena.realloc(grown, layout(SIZE * 2, 1), SIZE * 3);
            assert_eq!(larger.add(SIZE - 65).read(), 9);
            arena.dealloc(larger, layout(SIZE * 3, 1));
        }
    }

    #[test]
    fn threads_get_places_of_their_own() {
        let arena = arena!();
        let work = |mark: u8| {
            for size in 1..200 {
                let layout = layout(size, 8);
                // SAFETY: within the layout.
                unsafe {
                    let piece = arena.alloc(layout);
                    piece.write_bytes(mark, size);
                    assert!((0..size).all(|at| piece.add(at).read() == mark));
                    arena.dealloc(piece, layout);
                }
            }
        };
        std::thread::scope(|scope| {
            for mark in 1..=4 {
                scope.spawn(move || work(mark));
            }
        });
    }
}
