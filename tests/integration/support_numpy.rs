//! Shared by the modules that compare the crate with NumPy: the observable state of a file and of a
//! store.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt;
use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};

use ndarray::{Dimension, IxDyn};
use ndstore::{AccessMode, Element, Mappable, MemoryOrder, Mode, Options, Order, Result, Store};

use super::mapped::{copy_on_write, mapped};
use super::support::bytes_of;

/// The observable state of a file and its directory, which a refused call must leave alone.
#[derive(PartialEq, Eq)]
pub(crate) struct Snapshot {
    /// `None` where the path names no file.
    pub(crate) bytes: Option<Vec<u8>>,
    identity: Option<(u64, u32)>,
    names: BTreeSet<OsString>,
}

impl Snapshot {
    pub(crate) fn of(path: &Path) -> Snapshot {
        let directory = path.parent().expect("a file lies in a directory");
        let names = fs::read_dir(directory).into_iter().flatten();
        Snapshot {
            bytes: fs::read(path).ok(),
            identity: fs::metadata(path).ok().map(|metadata| identity(&metadata)),
            names: names.map(|entry| entry.unwrap().file_name()).collect(),
        }
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.bytes.as_ref().map(|bytes| {
            let last = &bytes[bytes.len().saturating_sub(64)..];
            format!(
                "{} bytes, the last \"{}\"",
                bytes.len(),
                last.escape_ascii()
            )
        });
        write!(f, "{text:?} {:?} {:?}", self.identity, self.names)
    }
}

#[cfg(unix)]
fn identity(metadata: &Metadata) -> (u64, u32) {
    use std::os::unix::fs::MetadataExt;
    (metadata.ino(), metadata.mode())
}

#[cfg(not(unix))]
fn identity(metadata: &Metadata) -> (u64, u32) {
    (0, metadata.permissions().readonly().into())
}

/// The description of a store, whatever its types.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) descr: String,
    pub(crate) shape: Vec<usize>,
    pub(crate) order: Order,
    pub(crate) offset: u64,
    pub(crate) mode: Mode,
    pub(crate) path: PathBuf,
    /// The bytes of the elements in the order of the file.
    pub(crate) bytes: Vec<u8>,
    /// The bytes of the elements in C order.
    pub(crate) c_bytes: Vec<u8>,
}

impl Seen {
    pub(crate) fn of<A: Element, D: Dimension, M: AccessMode>(store: &Store<A, D, M>) -> Seen {
        let view = store.read_all().unwrap();
        assert_eq!(view.shape(), store.shape());
        assert_eq!(view.len(), store.len());
        assert_eq!(store.ndim(), store.shape().len());
        assert_eq!(store.nbytes(), store.len() * size_of::<A>());
        Seen {
            descr: store.dtype().descr(),
            shape: store.shape().to_vec(),
            order: store.order(),
            offset: store.offset(),
            mode: store.mode(),
            path: store.path().to_owned(),
            bytes: store.to_bytes(MemoryOrder::A).unwrap(),
            c_bytes: view
                .iter()
                .flat_map(|element| bytemuck::bytes_of(element).to_vec())
                .collect(),
        }
    }
}

/// The modes that open a file which is there.
pub(crate) const OPENING: [Mode; 3] = [Mode::Read, Mode::ReadWrite, Mode::CopyOnWrite];

/// Opens an array, looks at it and closes it.
pub(crate) fn look<A: Element, D: Dimension>(
    options: &Options,
    path: &Path,
    mode: Mode,
) -> Result<Seen> {
    match mode {
        Mode::Read => options.open::<A, D>(path).map(in_place),
        Mode::ReadWrite => options.open_rw::<A, D>(path).map(in_place),
        Mode::CopyOnWrite => options.open::<A, D>(path).map(|store| {
            let seen = Seen::of(&store);
            if is_aligned(&store) {
                let private = copy_on_write(store);
                assert_eq!(private.as_bytes(), seen.bytes);
                assert_eq!(bytes_of(private.view()), seen.c_bytes);
            }
            Seen { mode, ..seen }
        }),
        Mode::Write => panic!("`w+` creates"),
    }
}

/// Looks at a store, and at a map of it, which shows the same.
fn in_place<A: Element, D: Dimension, M: Mappable>(store: Store<A, D, M>) -> Seen {
    let seen = Seen::of(&store);
    if is_aligned(&store) {
        let map = mapped(store);
        assert_eq!(map.as_bytes(), seen.bytes);
        assert_eq!(bytes_of(map.view()), seen.c_bytes);
    }
    seen
}

/// Whether a store can be mapped.
fn is_aligned<A: Element, D: Dimension, M: AccessMode>(store: &Store<A, D, M>) -> bool {
    store.offset().is_multiple_of(align_of::<A>() as u64)
}

/// As [`look`], of any rank.
pub(crate) fn look_dyn<A: Element>(options: &Options, path: &Path, mode: Mode) -> Result<Seen> {
    look::<A, IxDyn>(options, path, mode)
}

/// As many bytes as asked for, no two neighbours alike, none zero.
pub(crate) fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i % 251 + 1) as u8).collect()
}
