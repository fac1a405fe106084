//! Creating an array block by block: the next one is computed while the last one is on its way to the disk.

use std::path::Path;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Mutex, PoisonError};
use std::thread;

use ndarray::{ArrayViewMut, Dimension, ShapeBuilder};

use super::blocks::Block;
use super::grid::{Chunk, Grid};
use crate::element::Element;
use crate::error::Result;
use crate::shape::Order;
use crate::store::{self, Options, Store, Target};
use crate::sys::{BLOCK, Page, pages};

/// The bytes that are gathered before they are written, unless a block has more.
const GATHER: usize = 8 << 20;

/// How many buffers are written at a time: a disk is faster when it knows what comes next.
const WRITERS: usize = 2;

/// How many buffers there are: those that are written, one that is filled, and one that waits for whoever is slower.
const BUFFERS: usize = WRITERS + 2;

impl<A: Element, D: Dimension> Store<A, D> {
    /// Creates a file whose elements `fill` computes, `rows` rows at a time, in place of an old one.
    ///
    /// Each block is a piece of zeros in memory, not of a map: it takes no page faults, and a full disk is an error. While one is
    /// computed those before are written, past the page cache if the file would not stay there. Blocks come in the order of the
    /// file: a row is one index of the slowest axis, the first in C order, the last in Fortran order. Takes four
    /// times the memory of a block, or 32 MiB.
    ///
    /// The file is durable when this returns, and there as a whole or not at all.
    ///
    /// # Errors
    ///
    /// As [`create`](Store::create), and those of `fill`.
    ///
    /// # Panics
    ///
    /// If `rows` is 0.
    ///
    /// # Examples
    ///
    /// ```
    /// use ndarray::prelude::*;
    /// use ndstore::Store;
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let path = dir.path().join("squares.npy");
    ///
    /// let store = Store::<f64, _>::create_with(&path, (1000, 3), 256, |mut block| {
    ///     for (row, mut elements) in (block.start[0]..).zip(block.view.outer_iter_mut()) {
    ///         elements.fill((row * row) as f64);
    ///     }
    ///     Ok(())
    /// })?;
    /// assert_eq!(store.view()[(999, 2)], 998_001.0);
    /// # Ok::<(), ndstore::Error>(())
    /// ```
    pub fn create_with(
        path: impl AsRef<Path>,
        shape: impl ShapeBuilder<Dim = D>,
        rows: usize,
        fill: impl FnMut(Block<D, ArrayViewMut<'_, A, D>>) -> Result<()>,
    ) -> Result<Store<A, D>> {
        Options::new().create_with(path, shape, rows, fill)
    }
}

impl Options {
    /// Creates a file whose elements `fill` computes, `rows` rows at a time. See [`Store::create_with`].
    ///
    /// # Errors
    ///
    /// As [`Store::create_with`].
    ///
    /// # Panics
    ///
    /// As [`Store::create_with`].
    pub fn create_with<A: Element, D: Dimension>(
        &self,
        path: impl AsRef<Path>,
        shape: impl ShapeBuilder<Dim = D>,
        rows: usize,
        fill: impl FnMut(Block<D, ArrayViewMut<'_, A, D>>) -> Result<()>,
    ) -> Result<Store<A, D>> {
        let (dim, order) = self.dim_and_order(path.as_ref(), shape, size_of::<A>())?;
        let grid = Grid::new(&dim, order, size_of::<A>(), &Chunk::Rows(rows));
        let file = store::create_reserved(
            path.as_ref(),
            A::dtype(),
            dim.slice().to_vec(),
            order,
            self,
            |context, array| Store::<A, D>::check_array(context, array).map(drop),
            |target| fill_blocks(target, &grid, order, fill),
        )?;
        Ok(Store::from_file(file)?)
    }
}

/// Has all blocks filled by the calling thread and written by others.
fn fill_blocks<A: Element, D: Dimension>(
    target: &Target<'_>,
    grid: &Grid<D>,
    order: Order,
    mut fill: impl FnMut(Block<D, ArrayViewMut<'_, A, D>>) -> Result<()>,
) -> Result<()> {
    let largest = grid.chunk().size().min(grid.shape().size()) * size_of::<A>();
    let (full_sender, full) = mpsc::channel();
    let full = Mutex::new(Some(full));
    let (free_sender, free) = mpsc::channel();
    for _ in 0..BUFFERS {
        // Less than a block is left over from the buffer before.
        let buffer = pages(GATHER.max(largest + BLOCK));
        free_sender.send(buffer).expect("its other end is there");
    }
    let next = |position| -> Option<Piece> {
        let buffer = free.recv().ok()?;
        Some(Piece {
            buffer,
            position,
            len: 0,
        })
    };
    thread::scope(|scope| {
        let full = &full;
        let writers = [(); WRITERS].map(|()| {
            let free = free_sender.clone();
            scope.spawn(move || write(target, full, &free))
        });
        drop(free_sender);
        // `None` once a writer has failed.
        let mut fill_next = |mut piece: Piece, index| -> Result<Option<Piece>> {
            let (start, shape) = grid.block(index);
            let nbytes = shape.size() * size_of::<A>();
            if piece.room() < nbytes {
                let whole = piece.len / BLOCK * BLOCK;
                let Some(mut following) = next(piece.position + whole) else {
                    return Ok(None);
                };
                following.push(&piece.bytes()[whole..]);
                piece.len = whole;
                if full_sender.send(piece).is_err() {
                    return Ok(None);
                }
                piece = following;
            }
            let bytes = piece.extend(nbytes);
            bytes.fill(0);
            let elements = bytemuck::cast_slice_mut(bytes);
            let shape = shape.set_f(order == Order::F);
            let view = ArrayViewMut::from_shape(shape, elements).expect("it is that long");
            fill(Block { start, view })?;
            Ok(Some(piece))
        };
        let filled = (0..grid.len()).try_fold(next(0), |piece, index| match piece {
            Some(piece) => fill_next(piece, index),
            None => Ok(None),
        });
        let filled = filled.map(|last| drop(last.map(|last| full_sender.send(last))));
        // They end when there is nothing more to come.
        drop(full_sender);
        let written = writers.map(|writer| {
            let ended = writer.join();
            ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        written.into_iter().fold(filled, Result::and)
    })
}

/// Writes what is full until there is no more, and hands the buffers back. After a failure nobody writes.
fn write(
    target: &Target<'_>,
    full: &Mutex<Option<Receiver<Piece>>>,
    free: &Sender<Vec<Page>>,
) -> Result<()> {
    loop {
        let piece = {
            // If another writer panicked, the channel is as it was.
            let full = full.lock().unwrap_or_else(PoisonError::into_inner);
            full.as_ref().and_then(|full| full.recv().ok())
        };
        let Some(piece) = piece else { return Ok(()) };
        if let Err(error) = target.write_at(piece.position as u64, piece.bytes()) {
            *full.lock().unwrap_or_else(PoisonError::into_inner) = None;
            return Err(error);
        }
        // Nobody waits for it once all blocks are filled.
        let _ = free.send(piece.buffer);
    }
}

/// A stretch of the elements' bytes, in memory that starts where a page does, as `position` does in the file.
struct Piece {
    buffer: Vec<Page>,
    /// Bytes behind the first of all.
    position: usize,
    len: usize,
}

impl Piece {
    fn bytes(&self) -> &[u8] {
        &bytemuck::cast_slice(&self.buffer)[..self.len]
    }

    /// How many bytes more it can hold.
    fn room(&self) -> usize {
        self.buffer.len() * BLOCK - self.len
    }

    /// Makes it longer by `nbytes`, of any value.
    fn extend(&mut self, nbytes: usize) -> &mut [u8] {
        let start = self.len;
        self.len += nbytes;
        &mut bytemuck::cast_slice_mut(&mut self.buffer)[start..self.len]
    }

    fn push(&mut self, bytes: &[u8]) {
        self.extend(bytes.len()).copy_from_slice(bytes);
    }
}
