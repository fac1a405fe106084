//! New files: where they go, in which form, and never over an old one unasked.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use clap::Args;
use ndstore::{AnyStore, DType, Options, Order};
use tempfile::{NamedTempFile, TempDir};

use crate::outcome::{Answer, Outcome, fail};
use crate::shell::Shell;
use crate::units;

/// How a new file is made.
#[derive(Clone, Debug, Args)]
pub(crate) struct OutputArgs {
    /// Replaces the file if it exists
    #[arg(short, long, help_heading = "Output")]
    pub(crate) force: bool,
    /// Writes the short header of np.save instead of one whose elements start on a page
    #[arg(long, help_heading = "Output")]
    pub(crate) compact: bool,
}

/// A file that is to be made.
pub(crate) struct Output {
    pub(crate) path: PathBuf,
    pub(crate) options: Options,
    /// Has the file until it goes to standard output.
    spool: Option<TempDir>,
}

impl OutputArgs {
    /// The file at a path, or standard output.
    pub(crate) fn open(&self, path: &Path, shell: &Shell<'_>) -> Outcome<Output> {
        let options = shell.options().compact(self.compact);
        if path.as_os_str() == "-" {
            let spool = tempfile::tempdir()?;
            let path = spool.path().join("stdout.npy");
            return Ok(Output {
                path,
                options,
                spool: Some(spool),
            });
        }
        if !self.force && path.symlink_metadata().is_ok() {
            return fail(format!(
                "cannot create {path:?}: it exists; --force replaces it"
            ));
        }
        Ok(Output {
            path: path.to_path_buf(),
            options,
            spool: None,
        })
    }
}

impl Output {
    /// A file between two steps.
    pub(crate) fn between(path: PathBuf, shell: &Shell<'_>) -> Output {
        Output {
            path,
            options: shell.options(),
            spool: None,
        }
    }

    /// The directory in which drafts of it belong.
    pub(crate) fn directory(&self) -> &Path {
        match self.path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        }
    }

    /// How to open it again, also if it has no header.
    pub(crate) fn reading(&self, dtype: &DType, shape: &[usize], order: Order) -> Options {
        let options = self.options.clone();
        options
            .dtype(dtype.clone())
            .shape(shape.to_vec())
            .order(order)
    }

    /// A file without a name yet, of bytes that are no array: what the umask leaves of a new file's mode.
    pub(crate) fn draft(&self) -> Outcome<NamedTempFile> {
        let mode = PermissionsExt::from_mode(0o666);
        Ok(tempfile::Builder::new()
            .permissions(mode)
            .tempfile_in(self.directory())?)
    }

    /// Gives the file its name, once its bytes are on the disk.
    pub(crate) fn publish(&self, draft: NamedTempFile) -> Outcome {
        draft.as_file().sync_all()?;
        match draft.persist(&self.path) {
            Ok(_) => Ok(Answer::Yes),
            Err(error) => fail(format!("cannot create {:?}: {}", self.path, error.error)),
        }
    }

    /// Says that the file is there, or passes it on to standard output.
    pub(crate) fn finish(self, store: AnyStore, shell: &mut Shell<'_>) -> Outcome {
        if self.spool.is_some() {
            store.write_to(&mut *shell.out)?;
            return Ok(Answer::Yes);
        }
        let (dtype, shape) = (store.dtype().descr(), units::shape(store.shape()));
        if shell.is_json() {
            shell.json(&serde_json::json!({
                "path": self.path.to_string_lossy(), "dtype": dtype, "shape": store.shape(), "nbytes": store.nbytes(),
            }))?;
        }
        shell.note(&format!(
            "{}: {dtype} {shape}, {}",
            self.path.display(),
            units::human(store.nbytes() as u64)
        ));
        store.close()?;
        Ok(Answer::Yes)
    }
}
