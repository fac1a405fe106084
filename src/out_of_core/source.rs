//! `Source`: where the elements of an operation come from: read from the file, past any map, and converted.

use std::marker::PhantomData;
use std::ops::Range;

use ndarray::Dimension;

use crate::dtype::Swap;
use crate::element::{Element, assert_element};
use crate::error::{Context, Result};
use crate::store::{self, Array, ArrayFile};

/// The elements of an array in a file, in the order of the file, as elements of type `A`.
pub struct Source<'a, A> {
    file: &'a ArrayFile,
    /// What makes the bytes of the file those of an `A`.
    swap: Option<Swap>,
    marker: PhantomData<A>,
}

impl<'a, A: Element> Source<'a, A> {
    /// The elements of a store of such elements.
    pub(super) fn new(file: &'a ArrayFile) -> Source<'a, A> {
        Source {
            file,
            swap: None,
            marker: PhantomData,
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
        let marker = PhantomData;
        Ok((Source { file, swap, marker }, dim))
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
        self.file.array.nbytes()
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
        let start = bytes_of::<A>(&elements).start;
        self.file.read_at(context.op, start, into)?;
        if let Some(swap) = &self.swap {
            swap.apply(into);
        }
        Ok(())
    }
}

/// Where these elements lie, in bytes.
pub(super) fn bytes_of<A>(elements: &Range<usize>) -> Range<usize> {
    elements.start * size_of::<A>()..elements.end * size_of::<A>()
}
