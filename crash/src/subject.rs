//! The steps of a script, done with ndstore.

use std::io;
use std::path::{Path, PathBuf};

use ndarray::{Array2, Ix2, s};
use ndstore::{Mapped, Options, Order, Store, write_npy};

use crate::assembly;
use crate::foreign;
use crate::mapped::mapped;
use crate::script::{Script, Step, elements, rows_shape, slowest};

/// A store that goes through a script, by way of a map.
pub(crate) struct Subject<'a> {
    script: &'a Script,
    path: PathBuf,
    store: Option<Mapped<u64, Ix2>>,
}

impl<'a> Subject<'a> {
    pub(crate) fn new(script: &'a Script, path: &Path) -> Subject<'a> {
        Subject {
            script,
            path: path.to_owned(),
            store: None,
        }
    }

    pub(crate) fn store(&self) -> Option<&Mapped<u64, Ix2>> {
        self.store.as_ref()
    }

    /// Does one step, and acknowledges what it has been told is done.
    pub(crate) fn run(
        &mut self,
        index: usize,
        step: &Step,
        mut acknowledge: impl FnMut(),
    ) -> io::Result<()> {
        let order = self.script.order;
        let options = Options::new().order(order).compact(self.script.compact);
        match *step {
            Step::Foreign(rows, columns) => {
                foreign::write(&self.path, &elements(index, (rows, columns)))?;
                self.reopen(&options)?;
            }
            Step::Create(rows, columns) => {
                self.store = None;
                self.store = Some(mapped(options.create(&self.path, (rows, columns))?));
            }
            Step::CreateFrom(rows, columns) => {
                self.store = None;
                let array = elements(index, (rows, columns));
                self.store = Some(mapped(options.create_from(&self.path, &array)?));
            }
            Step::Receive(rows, columns) => {
                self.store = None;
                let mut stream = Vec::new();
                write_npy(
                    &mut stream,
                    &in_order(elements(index, (rows, columns)), order),
                )?;
                // The stream says which order it is.
                let options = Options::new().compact(self.script.compact);
                self.store = options.receive(&stream[..], &self.path)?.map(mapped);
            }
            Step::Fill => {
                let store = self.opened();
                let array = elements(index, store.view().dim());
                store.view_mut().assign(&array);
            }
            Step::Flush => self.opened().flush()?,
            Step::FlushRows(ref rows) => {
                let store = self.opened();
                let len = store.view().len_of(slowest(order));
                store.flush_rows(rows.start.min(len)..rows.end.min(len))?;
            }
            Step::FlushAsync => self.opened().flush_async()?,
            Step::Append(rows) => {
                let store = self.opened();
                let shape = rows_shape(store.view().dim(), rows, order);
                store.append(&elements(index, shape))?;
            }
            Step::Log { rows, flushes } => {
                let store = self.opened();
                let shape = rows_shape(store.view().dim(), rows * flushes, order);
                let all = elements(index, shape);
                let mut appender = store.appender()?;
                for (count, row) in (1..).zip(all.axis_iter(slowest(order))) {
                    appender.push(&row)?;
                    if count % rows == 0 {
                        appender.flush()?;
                        acknowledge();
                    }
                }
                return Ok(());
            }
            Step::Abandon(rows) => {
                let store = self.opened();
                let shape = rows_shape(store.view().dim(), rows, order);
                let all = elements(index, shape);
                let mut appender = store.appender()?;
                for row in all.axis_iter(slowest(order)) {
                    appender.push(&row)?;
                }
            }
            Step::AppendBeside(rows) => {
                self.store = None;
                let mut reader = options.open::<u64, Ix2>(&self.path)?;
                let mut watcher = options.open_watch::<u64, Ix2>(&self.path)?;
                let mut log = options.open_append::<u64, Ix2>(&self.path)?;
                let shape = log.read_all()?.dim();
                log.append(&elements(index, rows_shape(shape, rows, order)))?;
                acknowledge();
                assert_eq!([reader.refresh()?, watcher.refresh()?], [rows; 2]);
                log.close()?;
                drop((reader, watcher));
                self.reopen(&options)?;
                return Ok(());
            }
            Step::WriteRows(ref rows) => {
                self.store = None;
                let log = options.open_append::<u64, Ix2>(&self.path)?;
                let shape = log.read_all()?.dim();
                let behind = rows.end..shape.0;
                let reader = options.open_rows_read::<u64, Ix2>(&self.path, behind)?;
                let mut store = options.open_rows::<u64, Ix2>(&self.path, rows.clone())?;
                let all = elements(index, shape);
                store.write_all(&all.slice(s![rows.clone(), ..]))?;
                acknowledge();
                store.flush()?;
                acknowledge();
                drop((log, reader, store));
                self.reopen(&options)?;
                return Ok(());
            }
            Step::Assemble => {
                self.store = None;
                assemble(&self.path, &mut acknowledge)?;
            }
            Step::Truncate(rows) => {
                let store = self.opened();
                let len = store.view().len_of(slowest(order));
                store.truncate(rows.min(len))?;
            }
            Step::Resize(rows, columns) => self.opened().resize((rows, columns))?,
            Step::ResizeToItself => {
                let store = self.opened();
                let shape = store.view().dim();
                store.resize(shape)?;
            }
            Step::Open => self.reopen(&options)?,
        }
        acknowledge();
        Ok(())
    }

    fn opened(&mut self) -> &mut Mapped<u64, Ix2> {
        self.store.as_mut().expect("a script creates first")
    }

    fn reopen(&mut self, options: &Options) -> ndstore::Result<()> {
        self.store = None;
        self.store = Some(mapped(options.open_rw(&self.path)?));
        Ok(())
    }
}

/// Fills the slabs that are missing, each of which is acknowledged, and gives the array its name.
pub(crate) fn assemble(path: &Path, mut acknowledge: impl FnMut()) -> ndstore::Result<()> {
    let array = assembly::array();
    let mut assembly = Store::<u64, _>::assemble(path, assembly::SHAPE, assembly::SLAB)?;
    while let Some(mut slab) = assembly.next_slab()? {
        let rows = slab.rows();
        slab.write_all(&array.slice(s![rows, ..]))?;
        slab.done()?;
        acknowledge();
    }
    assembly.finish()
}

/// The same elements, laid out in this order.
fn in_order(array: Array2<u64>, order: Order) -> Array2<u64> {
    match order {
        Order::C => array,
        Order::F => {
            let mut turned = array.t().as_standard_layout().into_owned();
            turned.swap_axes(0, 1);
            turned
        }
    }
}
