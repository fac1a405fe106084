//! `Source`: where the elements of an operation come from: lent by the map as they are, or read and converted.

use std::ops::Range;

use ndarray::{ArrayView, Dimension};

use super::ahead::Ahead;
use crate::dtype::Swap;
use crate::element::{Element, assert_element};
use crate::error::{Context, Error, Result};
use crate::mapping::{Access, Pages};
use crate::store::{self, Array, ArrayFile};
use crate::sys;

/// The elements of an array in a file, in the order of the file, as elements of type `A`.
pub struct Source<'a, A> {
    file: &'a ArrayFile,
    /// All elements, where the map holds them as `A` has them.
    in_place: Option<&'a [A]>,
    /// What makes the bytes of the file those of an `A`.
    swap: Option<Swap>,
    ahead: Ahead<'a>,
}

impl<'a, A: Element> Source<'a, A> {
    /// The elements of a store, which `view` shows.
    pub(super) fn in_place<D: Dimension>(
        file: &'a ArrayFile,
        view: ArrayView<'a, A, D>,
    ) -> Source<'a, A> {
        Source {
            file,
            in_place: view.to_slice_memory_order(),
            swap: None,
            ahead: Ahead::new(file.mapping.pages()),
        }
    }

    /// The elements of a file whose dtype may be `A`'s in the other byte order, at any address.
    pub(super) fn converted<D: Dimension>(file: &'a ArrayFile) -> Result<(Source<'a, A>, D)> {
        assert_element::<A>();
        let context = file.context("read");
        let (found, expected) = (&file.array.dtype, A::dtype());
        let swap = match Swap::between(found, &expected) {
            Ok(swap) if expected.itemsize() == size_of::<A>() => swap,
            _ => return Err(store::dtype_mismatch(context, &expected, found)),
        };
        let dim = store::dimension(context, &file.array)?;
        let in_place = match swap {
            None => bytemuck::try_cast_slice(file.mapping.as_bytes()).ok(),
            Some(_) => None,
        };
        let source = Source {
            file,
            in_place,
            swap,
            ahead: Ahead::new(file.mapping.pages()),
        };
        Ok((source, dim))
    }

    /// The file that they are in.
    pub(super) fn file(&self) -> &'a ArrayFile {
        self.file
    }

    pub(super) fn array(&self) -> &'a Array {
        &self.file.array
    }

    pub(super) fn context(&self, op: &'static str) -> Context<'a> {
        self.file.context(op)
    }

    /// The number of elements.
    pub(super) fn len(&self) -> usize {
        self.nbytes() / size_of::<A>()
    }

    pub(super) fn nbytes(&self) -> usize {
        self.file.mapping.as_bytes().len()
    }

    /// The bytes of the elements as the file holds them.
    pub(super) fn bytes(&self) -> &'a [u8] {
        self.file.mapping.as_bytes()
    }

    /// The pages that hold those bytes.
    pub(super) fn pages(&self) -> Pages<'a> {
        self.file.mapping.pages()
    }

    /// All elements in the order of the file, if the map can lend them as they are.
    pub(super) fn elements(&self) -> Option<&'a [A]> {
        self.in_place
    }

    /// What turns the bytes of the file into those of an `A`, if that takes anything.
    pub(super) fn swap(&self) -> Option<&Swap> {
        self.swap.as_ref()
    }

    /// Reads elements, by their place in the file.
    pub(super) fn read(
        &self,
        context: Context<'_>,
        elements: Range<usize>,
        into: &mut [A],
    ) -> Result<()> {
        let into = bytemuck::cast_slice_mut(into);
        read_bytes(self.file, context, bytes_of::<A>(&elements), into)?;
        if let Some(swap) = &self.swap {
            swap.apply(into);
        }
        Ok(())
    }

    /// Refuses what was read through the map of a store with a guard, if it may be zeros that stand for what the file lost.
    pub(super) fn check(&self) -> Result<()> {
        self.file.check_guard("read")
    }

    /// Starts to read elements into the page cache, unless they seem to be there.
    pub(super) fn prefetch(&self, elements: Range<usize>) {
        self.ahead.want(bytes_of::<A>(&elements));
    }

    /// Takes the pages of elements out of this process's memory. See [`Pages::release`](crate::mapping::Pages::release).
    pub(super) fn release(&self, elements: Range<usize>) {
        let pages = self.file.mapping.pages();
        pages.release(bytes_of::<A>(&elements));
    }
}

/// Where these elements lie, in bytes.
pub(super) fn bytes_of<A>(elements: &Range<usize>) -> Range<usize> {
    elements.start * size_of::<A>()..elements.end * size_of::<A>()
}

/// Reads bytes of the elements as the file holds them. Not through the map: what a file lost is an error.
pub(super) fn read_bytes(
    file: &ArrayFile,
    context: Context<'_>,
    bytes: Range<usize>,
    into: &mut [u8],
) -> Result<()> {
    // A private map may hold changes that the file does not.
    if file.access == Access::CopyOnWrite {
        into.copy_from_slice(&file.mapping.as_bytes()[bytes]);
        return file.check_guard(context.op);
    }
    let range = file.mapping.pages().in_file(bytes);
    let read = sys::read_at(file.mapping.file(), into, range.start);
    let read = read.map_err(|error| context.io(error))? as u64;
    if range.start + read < range.end {
        return Err(Error::Truncated {
            path: context.path(),
            op: context.op,
            expected: range.end,
            found: range.start + read,
        });
    }
    Ok(())
}
