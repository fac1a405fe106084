//! Recovery: an image becomes a directory, ndstore opens it, and what it finds must be what was
//! promised.

use std::collections::HashSet;
use std::fs::{DirBuilder, File, Permissions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::PathBuf;

use ndarray::{Array2, Ix2, concatenate};
use ndstore::{AnyStore, Mapped, Options, ReadOnly, Store};

use crate::assembly;
use crate::mapped::mapped;
use crate::model::{Image, OWN};
use crate::numpy::Numpy;
use crate::script::{Expected, State, TARGET, elements, rows_shape, slowest};
use crate::subject;
use crate::toy::Flaw;

/// What drafts have in their names.
pub(crate) const DRAFT: &str = ".ndstore-";

/// A promise that was broken: which, and how.
#[derive(Clone, Debug)]
pub(crate) struct Violation {
    pub(crate) kind: &'static str,
    pub(crate) detail: String,
}

fn violation<T>(kind: &'static str, detail: impl ToString) -> Result<T, Violation> {
    let detail = detail.to_string();
    Err(Violation { kind, detail })
}

/// What an image was found to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Before,
    New,
    /// New, and read by NumPy as well.
    ByNumpy,
}

pub(crate) struct Checker {
    directory: tempfile::TempDir,
    /// What the directory holds, where that is known.
    current: Option<Image>,
    seen: HashSet<u64>,
    numpy: Option<Numpy>,
    /// How many more images NumPy is to read.
    numpy_left: usize,
    /// Whether rows that were never published stand behind a mark: those of the toy do not.
    marks: bool,
}

impl Checker {
    pub(crate) fn new(numpy: Option<Numpy>) -> io::Result<Checker> {
        let memory = PathBuf::from("/dev/shm");
        let place = if memory.is_dir() {
            memory
        } else {
            std::env::temp_dir()
        };
        Ok(Checker {
            directory: tempfile::tempdir_in(place)?,
            current: None,
            seen: HashSet::new(),
            numpy,
            numpy_left: 0,
            marks: true,
        })
    }

    /// Forgets the images of another run, of ndstore or of a toy with a `flaw`. NumPy reads the
    /// first `numpy` of this one.
    pub(crate) fn start(&mut self, flaw: Option<Flaw>, numpy: usize) {
        self.seen.clear();
        self.numpy_left = numpy;
        self.marks = flaw.is_none();
    }

    /// Opens the image, which must hold one of the `allowed` states.
    ///
    /// One that has not been seen before is also read by NumPy, appended to, and created over,
    /// after which no draft may be left.
    pub(crate) fn check(
        &mut self,
        image: &Image,
        allowed: &[State],
    ) -> io::Result<Result<Seen, Violation>> {
        self.materialise(image)?;
        if let Err(violation) = self.read(image, allowed) {
            return Ok(Err(violation));
        }
        let mut hasher = DefaultHasher::new();
        image.hash(&mut hasher);
        if !self.seen.insert(hasher.finish()) {
            return Ok(Ok(Seen::Before));
        }
        let loaded = self.load()?;
        // From here on the directory is another one.
        self.current = None;
        Ok(loaded.and_then(|loaded| {
            self.go_on(image)?;
            Ok(if loaded { Seen::ByNumpy } else { Seen::New })
        }))
    }

    fn target(&self) -> PathBuf {
        self.directory.path().join(TARGET)
    }

    /// Makes the directory hold the image.
    fn materialise(&mut self, image: &Image) -> io::Result<()> {
        let place = self.directory.path();
        // Where there are drafts all is made anew, because their names may depend on the files.
        let plain = |image: &Image| image.directories.is_empty();
        let old = self.current.take();
        let old = old.filter(|old| plain(old) && plain(image));
        match &old {
            None => {
                for entry in std::fs::read_dir(place)? {
                    let entry = entry?;
                    match entry.file_type()?.is_dir() {
                        true => std::fs::remove_dir_all(entry.path())?,
                        false => std::fs::remove_file(entry.path())?,
                    }
                }
            }
            Some(old) => {
                let gone = old.files.keys();
                for name in gone.filter(|name| !image.files.contains_key(*name)) {
                    std::fs::remove_file(place.join(name))?;
                }
            }
        }
        for name in &image.directories {
            DirBuilder::new().mode(0o700).create(place.join(name))?;
        }
        for (name, content) in &image.files {
            if old.as_ref().and_then(|old| old.files.get(name)) == Some(content) {
                continue;
            }
            let path = place.join(name);
            let mut file = File::create(&path)?;
            file.write_all(&content.bytes)?;
            file.set_permissions(Permissions::from_mode(content.attributes.mode))?;
            if let Some(name) = name.strip_suffix(OWN) {
                let number = file.metadata()?.ino();
                std::fs::rename(path, place.join(format!("{name}{number}-0")))?;
            }
        }
        self.current = Some(image.clone());
        Ok(())
    }

    fn read(&self, image: &Image, allowed: &[State]) -> Result<(), Violation> {
        let draft = image.files.get(assembly::DRAFT);
        let draft = draft.map(|draft| assembly::marked(&draft.bytes));
        let marked = match draft.transpose() {
            Ok(marked) => marked,
            Err(how) => return violation("a slab that is done is lost", how),
        };
        let Some(content) = image.files.get(TARGET) else {
            let fits = |state: &State| match state {
                None => true,
                Some(Expected { making, .. }) => making.is_some_and(|making| {
                    let mut done = (0..making.marked).filter(|&slab| Some(slab) != making.doubtful);
                    done.all(|slab| marked.as_ref().is_some_and(|marked| marked.contains(&slab)))
                }),
            };
            return match allowed.iter().any(fits) {
                true => Ok(()),
                false => violation("the file is gone", "it was acknowledged"),
            };
        };
        let store = match open(&self.target()) {
            Ok(store) => store,
            Err(error) => return violation("it does not open", error),
        };
        let mut arrays = allowed.iter().flatten();
        let found = arrays.find(|expected| expected.matches(store.view(), store.order()));
        let Some(expected) = found else {
            let shape = store.shape();
            return violation("another array", format!("an array of {shape:?}"));
        };
        match expected.attributes {
            Some(attributes) if attributes != content.attributes => violation(
                "mode or owner lost",
                format!("found {:?}", content.attributes),
            ),
            _ => Ok(()),
        }
    }

    /// Has NumPy read the file, if it is to.
    fn load(&mut self) -> io::Result<Result<bool, Violation>> {
        let target = self.target();
        let Some(numpy) = self.numpy.as_mut().filter(|_| self.numpy_left > 0) else {
            return Ok(Ok(false));
        };
        if !target.exists() {
            return Ok(Ok(false));
        }
        self.numpy_left -= 1;
        let loaded = match numpy.load(&target)? {
            Ok(loaded) => loaded,
            Err(error) => return Ok(violation("NumPy refuses it", error)),
        };
        let store = AnyStore::open(&target).map_err(io::Error::other)?;
        let same = loaded.dtype == store.dtype().descr()
            && loaded.shape == store.shape()
            && loaded.bytes == store.to_bytes().map_err(io::Error::other)?;
        Ok(match same {
            true => Ok(true),
            false => violation("NumPy reads it differently", format!("{:?}", loaded.shape)),
        })
    }

    /// Goes on with the file as its user would.
    fn go_on(&self, image: &Image) -> Result<(), Violation> {
        let target = self.target();
        let mut names = image.files.keys().chain(&image.directories);
        if names.any(|name| assembly::is_of_draft(name)) {
            let assembled = subject::assemble(&target, || ());
            let whole = || Ok::<_, ndstore::Error>(open(&target)?.view() == assembly::array());
            match assembled.and_then(|()| whole()) {
                Ok(true) => {}
                Ok(false) => return violation("it is assembled wrongly", "other elements"),
                Err(error) => return violation("it cannot be assembled", error),
            }
        }
        if target.exists()
            && let Err(error) = self.append()
        {
            return violation("it cannot be appended to", error);
        }
        if let Err(error) = Store::<u64, Ix2>::create(&target, (2, 3)) {
            return violation("it cannot be created over", error);
        }
        let mut names = match std::fs::read_dir(self.directory.path()) {
            Ok(names) => names.flatten().map(|entry| entry.file_name()),
            Err(error) => return violation("the directory cannot be read", error),
        };
        match names.find(|name| name.to_string_lossy().contains(DRAFT)) {
            Some(name) => violation("a stale draft stays", name.to_string_lossy()),
            None => Ok(()),
        }
    }

    fn append(&self) -> Result<(), Box<dyn std::error::Error>> {
        let target = self.target();
        // Whatever stands behind the array was marked before it was written, so nobody has to say
        // that it may go.
        let options = Options::new().drop_trailing(!self.marks);
        let mut store = mapped(options.open_rw::<u64, Ix2>(&target)?);
        let order = store.order();
        let row = elements(
            usize::from(u8::MAX),
            rows_shape(store.view().dim(), 1, order),
        );
        let expected: Array2<u64> = concatenate(slowest(order), &[store.view(), row.view()])?;
        store.append(&row)?;
        store.close()?;
        match open(&target)?.view() == expected {
            true => Ok(()),
            false => Err("other elements than before".into()),
        }
    }
}

fn open(path: &std::path::Path) -> ndstore::Result<Mapped<u64, Ix2, ReadOnly>> {
    Ok(mapped(AnyStore::open(path)?.downcast()?))
}
