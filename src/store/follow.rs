//! Follows an array that somebody appends to: the rows come as they are published.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ndarray::{Array, Dimension, ShapeBuilder};

use super::any::AnyStore;
use super::claims;
use super::file::ArrayFile;
use super::mode::Refreshable;
use super::typed::Store;
use crate::element::Element;
use crate::error::Result;
use crate::shape::Order;
use crate::sys::{Stop, Watcher};

/// The bytes of rows that are handed out at a time, unless a row is larger.
const BLOCK: usize = 16 << 20;

/// The result of a wait for new rows.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum News<T> {
    /// Rows were published: their elements from a [`Follow`], their numbers from an [`AnyFollow`].
    Rows(T),
    /// No rows within the time. Somebody still appends.
    Nothing,
    /// No rows, and nobody appends now.
    Ended,
    /// [`StopFollow::stop`] was called.
    Stopped,
}

/// The rows that are appended to a store from now on, block by block. [`Store::follow`] makes one.
///
/// [`wait`](Follow::wait) waits for rows for a limited time. As an iterator it gives blocks until
/// nobody appends any more, or [`StopFollow::stop`] is called. It sleeps until the kernel reports a
/// publish, and looks by itself ten times a second, because not every file system reports one.
///
/// # Examples
///
/// ```
/// use ndarray::prelude::*;
/// use ndstore::Store;
/// # let dir = tempfile::tempdir().unwrap();
/// # let path = dir.path().join("log.npy");
/// # Store::<f64, _>::create(&path, (0, 2))?.close()?;
///
/// let mut log = Store::<f64, Ix2>::open_append(&path)?;
/// let mut store = Store::<f64, Ix2>::open(&path)?;
/// std::thread::scope(|scope| {
///     scope.spawn(move || {
///         (0..10).try_for_each(|step| log.push(&array![f64::from(step), 0.5]))
///         // It is closed, and the loop ends.
///     });
///     let mut rows = 0;
///     for block in store.follow() {
///         rows += block?.nrows();
///     }
///     assert_eq!(rows, 10);
///     Ok(())
/// })
/// # as Result<(), ndstore::Error>
/// # ;Ok::<(), ndstore::Error>(())
/// ```
pub struct Follow<'a, A, D, M> {
    store: &'a mut Store<A, D, M>,
    watch: Watch,
}

/// The rows that are appended to a store of any dtype and rank. [`AnyStore::follow`] makes one.
pub struct AnyFollow<'a> {
    store: &'a mut AnyStore,
    watch: Watch,
}

/// Ends a [`Follow`] from another thread.
#[derive(Clone)]
pub struct StopFollow(Arc<Stop>);

impl StopFollow {
    /// Ends the current wait, if there is one, and every later one: [`News::Stopped`].
    pub fn stop(&self) {
        self.0.tell();
    }
}

impl fmt::Debug for StopFollow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StopFollow")
            .field(&self.0.is_told())
            .finish()
    }
}

/// The rows that were handed out, and the watcher that wakes a wait for more.
struct Watch {
    watcher: Watcher,
    next: usize,
    /// Whether the file was looked at since the watcher last waited: the kernel tells of whatever
    /// has changed since.
    has_looked: bool,
}

impl Watch {
    fn new(file: &ArrayFile) -> Watch {
        Watch {
            watcher: Watcher::new(file.file()),
            next: file.array.rows(),
            has_looked: false,
        }
    }

    /// Waits for rows that were not handed out yet, and counts them as handed out.
    fn wait(
        &mut self,
        file: &mut ArrayFile,
        limit: Option<Duration>,
    ) -> Result<News<Range<usize>>> {
        let until = limit.and_then(|limit| Instant::now().checked_add(limit));
        loop {
            if self.watcher.stop().is_told() {
                return Ok(News::Stopped);
            }
            let rows = file.array.rows();
            if self.next < rows {
                let most = BLOCK.checked_div(file.array.row_nbytes() as usize);
                let most = most.unwrap_or(usize::MAX).max(1);
                let block = self.next..rows.min(self.next.saturating_add(most));
                self.next = block.end;
                return Ok(News::Rows(block));
            }
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            if std::mem::take(&mut self.has_looked) {
                self.watcher.wait(left.unwrap_or(Duration::MAX));
                continue;
            }
            // In this order, because an appender that is gone by now published before.
            let tail = claims::tail(file.file());
            let is_appended = !matches!(tail, Ok(None));
            if file.refresh(tail.ok().flatten().as_ref())? > 0 {
                self.has_looked = is_appended;
            } else if !is_appended {
                return Ok(News::Ended);
            } else if left == Some(Duration::ZERO) {
                return Ok(News::Nothing);
            } else {
                self.has_looked = true;
            }
        }
    }
}

impl<A: Element, D: Dimension, M: Refreshable> Store<A, D, M> {
    /// The rows that are appended from now on, as they are published.
    pub fn follow(&mut self) -> Follow<'_, A, D, M> {
        let watch = Watch::new(&self.file);
        Follow { store: self, watch }
    }
}

impl AnyStore {
    /// The rows that are appended from now on, as they are published. See [`Store::follow`].
    pub fn follow(&mut self) -> AnyFollow<'_> {
        let watch = Watch::new(&self.file);
        AnyFollow { store: self, watch }
    }
}

impl<A: Element, D: Dimension, M: Refreshable> Follow<'_, A, D, M> {
    /// Begins with this row instead, which may be there already.
    #[must_use]
    pub fn starting_at(mut self, row: usize) -> Self {
        self.watch.next = row;
        self
    }

    /// The handle that ends it from another thread.
    pub fn stopper(&self) -> StopFollow {
        StopFollow(self.watch.watcher.stop().clone())
    }

    /// Waits for rows, at most as long as `limit`; without a limit, as long as somebody appends.
    /// Rows that are there already come first, at most 16 MiB of them at a time.
    ///
    /// # Errors
    ///
    /// As [`Store::refresh`] and [`Store::read`].
    pub fn wait(&mut self, limit: impl Into<Option<Duration>>) -> Result<News<Array<A, D>>> {
        let news = self.watch.wait(&mut self.store.file, limit.into());
        self.store.update_dim();
        Ok(match news? {
            News::Rows(rows) => News::Rows(self.store.read_rows(rows)?),
            News::Nothing => News::Nothing,
            News::Ended => News::Ended,
            News::Stopped => News::Stopped,
        })
    }

    /// The store, with the rows that it has now.
    pub fn store(&self) -> &Store<A, D, M> {
        self.store
    }
}

impl<A: Element, D: Dimension, M> Store<A, D, M> {
    /// Reads rows that the array has.
    fn read_rows(&self, rows: Range<usize>) -> Result<Array<A, D>> {
        let array = &self.file.array;
        let mut part = array.clone();
        part.set_rows(rows.len());
        let mut elements = self.file.zeroed(part.shape.iter().product())?;
        let start = rows.start * array.row_nbytes() as usize;
        let bytes = bytemuck::cast_slice_mut(&mut elements);
        self.file.read_at("read", start, bytes)?;
        let mut dim = self.dim.clone();
        dim.slice_mut().copy_from_slice(&part.shape);
        let shape = dim.set_f(array.order == Order::F);
        Ok(Array::from_shape_vec(shape, elements).expect("there are as many elements"))
    }
}

impl<A: Element, D: Dimension, M: Refreshable> Iterator for Follow<'_, A, D, M> {
    type Item = Result<Array<A, D>>;

    /// Waits for rows until nobody appends any more, or until it is stopped.
    fn next(&mut self) -> Option<Self::Item> {
        match self.wait(None) {
            Ok(News::Rows(rows)) => Some(Ok(rows)),
            Ok(_) => None,
            Err(error) => Some(Err(error)),
        }
    }
}

impl AnyFollow<'_> {
    /// Begins with this row instead. See [`Follow::starting_at`].
    #[must_use]
    pub fn starting_at(mut self, row: usize) -> Self {
        self.watch.next = row;
        self
    }

    /// The handle that ends it from another thread.
    pub fn stopper(&self) -> StopFollow {
        StopFollow(self.watch.watcher.stop().clone())
    }

    /// Waits for rows and returns their numbers. See [`Follow::wait`].
    ///
    /// # Errors
    ///
    /// As [`Store::refresh`].
    pub fn wait(&mut self, limit: impl Into<Option<Duration>>) -> Result<News<Range<usize>>> {
        self.watch.wait(&mut self.store.file, limit.into())
    }

    /// The store, with the rows that it has now.
    pub fn store(&self) -> &AnyStore {
        self.store
    }
}

impl<A: Element, D: Dimension, M: Refreshable> fmt::Debug for Follow<'_, A, D, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Follow")
            .field("store", self.store)
            .field("next", &self.watch.next)
            .finish()
    }
}

impl fmt::Debug for AnyFollow<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnyFollow")
            .field("store", self.store)
            .field("next", &self.watch.next)
            .finish()
    }
}
