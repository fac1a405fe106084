//! Ten jobs, each a complete program to copy.
//!
//! 1. [Read whatever NumPy wrote](#read-whatever-numpy-wrote)
//! 2. [A log with times](#a-log-with-times)
//! 3. [The ten nearest of many embeddings](#the-ten-nearest-of-many-embeddings)
//! 4. [Standardise a table larger than memory](#standardise-a-table-larger-than-memory)
//! 5. [Crop a volume](#crop-a-volume)
//! 6. [Batches of random rows](#batches-of-random-rows)
//! 7. [One array, many threads](#one-array-many-threads)
//! 8. [A model of several arrays](#a-model-of-several-arrays)
//! 9. [A recording without a header](#a-recording-without-a-header)
//! 10. [To another machine, and still intact years
//!     later](#to-another-machine-and-still-intact-years-later)
//!
//! # Read whatever NumPy wrote
//!
//! [`AnyStore`](crate::AnyStore) opens an array of any dtype and rank, and
//! [`out_of_core`](crate::AnyStore::out_of_core) then asks for one type. Elements in the other byte
//! order are converted while they are read.
//!
//! ```
//! use ndarray::IxDyn;
//! use ndstore::{AnyStore, Result};
//!
//! fn main() -> Result<()> {
//! #     let dir = tempfile::tempdir().unwrap();
//! #     std::env::set_current_dir(&dir).unwrap();
//! #     drop(ndstore::Store::create_from("input.npy", &ndarray::array![[1.0, 2.0], [3.0, 4.0]])?);
//!     let any = AnyStore::open("input.npy")?;
//!     println!("{} of shape {:?}", any.dtype(), any.shape());
//!     println!("the first element is {:?}", any.element(&vec![0; any.ndim()])?);
//!     match any.dtype().descr().as_str() {
//!         "<f8" | ">f8" => println!("sum {}", any.out_of_core::<f64, IxDyn>()?.sum()?),
//!         "<i8" | ">i8" => println!("sum {}", any.out_of_core::<i64, IxDyn>()?.sum()?),
//!         _ => println!("{} bytes", any.nbytes()),
//!     }
//!     Ok(())
//! }
//! ```
//!
//! # A log with times
//!
//! A row is a record, and NumPy sees its fields: `np.load("log.npy")["time"]`. Rows count once
//! [`flush`](crate::Appender::flush) has returned, all of them together. After a kill or a power
//! cut the file has the rows of the last flush, and the next run continues behind them.
//!
//! ```
//! use std::path::Path;
//! use std::time::SystemTime;
//!
//! use ndarray::{Ix1, arr0};
//! use ndstore::{Datetime64, Store, record, unit};
//!
//! record! {
//!     struct Reading {
//!         time: Datetime64<unit::Us>,
//!         celsius: f64,
//!     }
//! }
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//! #     let dir = tempfile::tempdir().unwrap();
//! #     std::env::set_current_dir(&dir).unwrap();
//!     let mut log = if Path::new("log.npy").exists() {
//!         Store::<Reading, Ix1>::open_rw("log.npy")?
//!     } else {
//!         Store::create_new("log.npy", 0)?
//!     };
//!     let mut appender = log.appender()?;
//!     for celsius in [20.5, 20.6, 20.4] {
//!         let time = Datetime64::try_from(SystemTime::now())?;
//!         appender.push(&arr0(Reading { time, celsius }))?;
//!     }
//!     appender.flush()?; // on the disk
//!     println!("the last reading was at {}", log.get(log.len() - 1)?.time);
//!     Ok(())
//! }
//! ```
//!
//! # The ten nearest of many embeddings
//!
//! [`dot`](crate::OutOfCore::dot) reads the file once, whatever its size. The scores of all vectors
//! fit in memory.
//!
//! ```
//! use ndarray::prelude::*;
//! use ndstore::{Result, Store};
//!
//! fn main() -> Result<()> {
//! #     let dir = tempfile::tempdir().unwrap();
//! #     std::env::set_current_dir(&dir).unwrap();
//! #     let vectors = Array::from_shape_fn((1000, 64), |(i, j)| ((i * j) as f32).sin());
//! #     drop(Store::create_from("embeddings.npy", &vectors)?);
//!     let store = Store::<f32, Ix2>::open("embeddings.npy")?;
//!     let query = store.read(s![17, ..])?;
//!     let scores = store.out_of_core().dot(&query)?;
//!     let mut rows: Vec<usize> = (0..scores.len()).collect();
//!     rows.select_nth_unstable_by(9, |&a, &b| scores[b].total_cmp(&scores[a]));
//!     rows.truncate(10);
//!     rows.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
//!     for row in rows {
//!         println!("{row:6} {:.3}", scores[row]);
//!     }
//!     Ok(())
//! }
//! ```
//!
//! # Standardise a table larger than memory
//!
//! Two passes for the statistics and one that writes the new file, which is durable and has its
//! name once `map` returns.
//!
//! ```
//! use ndarray::prelude::*;
//! use ndstore::{Result, Store};
//!
//! fn main() -> Result<()> {
//! #     let dir = tempfile::tempdir().unwrap();
//! #     std::env::set_current_dir(&dir).unwrap();
//! #     let table = Array::from_shape_fn((1000, 8), |(i, j)| (i * j) as f64 + i as f64);
//! #     drop(Store::create_from("table.npy", &table)?);
//!     let table = Store::<f64, Ix2>::open("table.npy")?;
//!     let mean = table.out_of_core().mean_axis(Axis(0))?;
//!     let std = table.out_of_core().std_axis(Axis(0), 0)?;
//!     let zip = table.out_of_core().zip_axis(Axis(0), &mean)?.zip_axis(Axis(0), &std)?;
//!     let standardised = zip.map("standardised.npy", |((x, mean), std)| (x - mean) / std)?;
//!     println!("{:?}", standardised.shape());
//!     Ok(())
//! }
//! ```
//!
//! # Crop a volume
//!
//! [`read`](crate::Store::read) takes ndarray's slices and reads the bytes that they select.
//! [`copy_region`](crate::OutOfCore::copy_region) copies a region that is larger than memory to a
//! file.
//!
//! ```
//! use ndarray::prelude::*;
//! use ndstore::{Result, Store};
//!
//! fn main() -> Result<()> {
//! #     let dir = tempfile::tempdir().unwrap();
//! #     std::env::set_current_dir(&dir).unwrap();
//! #     drop(Store::<u16, _>::create("volume.npy", (60, 64, 64))?);
//!     let volume = Store::<u16, Ix3>::open("volume.npy")?;
//!     let slice = volume.read(s![30, .., ..])?; // one plane
//!     let small = volume.read(s![..;4, ..;4, ..;4])?; // every fourth voxel
//!     let crop = volume.out_of_core().copy_region(&[10..50, 16..48, 16..48], "crop.npy")?;
//!     println!("{:?} {:?} {:?}", slice.shape(), small.shape(), crop.shape());
//!     Ok(())
//! }
//! ```
//!
//! # Batches of random rows
//!
//! [`batches`](crate::OutOfCore::batches) requests all rows of a batch at once, in the order in
//! which they lie on the disk, and returns them in the order of the indices. The disk fetches the
//! next batch while the model uses this one.
//!
//! ```
//! use ndarray::prelude::*;
//! use ndstore::{Result, Store};
//!
//! fn main() -> Result<()> {
//! #     let dir = tempfile::tempdir().unwrap();
//! #     std::env::set_current_dir(&dir).unwrap();
//! #     drop(Store::<f32, _>::create("samples.npy", (1000, 32))?);
//!     let samples = Store::<f32, Ix2>::open("samples.npy")?;
//!     let mut order: Vec<usize> = (0..samples.shape()[0]).collect();
//!     let mut state = 1_u64; // any generator will do
//!     for last in (1..order.len()).rev() {
//!         state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
//!         order.swap(last, (state >> 33) as usize % (last + 1));
//!     }
//!     for batch in samples.out_of_core().batches(order, 256) {
//!         train(batch?.view());
//!     }
//!     Ok(())
//! }
//!
//! fn train(batch: ArrayView2<'_, f32>) {
//!     println!("a batch of {:?}", batch.shape());
//! }
//! ```
//!
//! # One array, many threads
//!
//! A store is `Send` and `Sync`, and reading takes `&self`: threads share one by an
//! [`Arc`](std::sync::Arc). In an async server a read belongs on the threads for blocking work
//! (tokio's `spawn_blocking`), because it waits for the disk.
//!
//! ```
//! use std::sync::Arc;
//! use std::thread;
//!
//! use ndarray::prelude::*;
//! use ndstore::{Result, Store};
//!
//! fn main() -> Result<()> {
//! #     let dir = tempfile::tempdir().unwrap();
//! #     std::env::set_current_dir(&dir).unwrap();
//! #     drop(Store::<f32, _>::create("frames.npy", (8, 64, 64))?);
//!     let frames = Arc::new(Store::<f32, Ix3>::open("frames.npy")?);
//!     let workers: Vec<_> = (0..frames.shape()[0])
//!         .map(|frame| {
//!             let frames = Arc::clone(&frames);
//!             thread::spawn(move || frames.read(s![frame, .., ..]).map(|image| image.sum()))
//!         })
//!         .collect();
//!     for worker in workers {
//!         println!("{}", worker.join().expect("no worker panics")?);
//!     }
//!     Ok(())
//! }
//! ```
//!
//! # A model of several arrays
//!
//! Each array is a file, and the files of a model share a directory. Each array is replaced as a
//! whole. To make a new *set* of arrays appear as a whole, write it into a new directory and rename
//! that.
//!
//! ```
//! use std::fs;
//! use std::path::Path;
//!
//! use ndarray::prelude::*;
//! use ndstore::{ReadOnly, Result, Store};
//!
//! struct Model {
//!     weights: Store<f32, Ix2, ReadOnly>,
//!     bias: Store<f32, Ix1, ReadOnly>,
//! }
//!
//! impl Model {
//!     fn open(directory: &Path) -> Result<Model> {
//!         Ok(Model {
//!             weights: Store::<f32, _>::open(directory.join("weights.npy"))?,
//!             bias: Store::<f32, _>::open(directory.join("bias.npy"))?,
//!         })
//!     }
//!
//!     fn apply(&self, input: &Array1<f32>) -> Result<Array1<f32>> {
//!         Ok(self.weights.read_all()?.dot(input) + self.bias.read_all()?)
//!     }
//! }
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//! #     let dir = tempfile::tempdir().unwrap();
//! #     std::env::set_current_dir(&dir).unwrap();
//!     fs::create_dir("model.new")?;
//!     Store::create_from("model.new/weights.npy", &Array2::<f32>::eye(3))?.close()?;
//!     Store::create_from("model.new/bias.npy", &Array1::<f32>::ones(3))?.close()?;
//!     fs::rename("model.new", "model")?;
//!
//!     let model = Model::open(Path::new("model"))?;
//!     println!("{}", model.apply(&array![1.0, 2.0, 3.0])?);
//!     Ok(())
//! }
//! ```
//!
//! # A recording without a header
//!
//! Only the program that wrote the file knows its dtype and shape. The result is an NPY file that
//! states both.
//!
//! ```
//! use ndarray::prelude::*;
//! use ndstore::{Options, Result};
//!
//! fn main() -> Result<()> {
//! #     let dir = tempfile::tempdir().unwrap();
//! #     std::env::set_current_dir(&dir).unwrap();
//! #     std::fs::write("recording.bin", vec![0_u8; 2 * 1000 * 385]).unwrap();
//!     let recording = Options::new()
//!         .raw(0) // the elements start at byte 0
//!         .row_shape(385) // channels; as many rows as there are
//!         .open::<i16, Ix2>("recording.bin")?;
//!     let loudest = recording.out_of_core().max_axis(Axis(0))?;
//!     println!("channel 7 goes up to {}", loudest[7]);
//!     recording.out_of_core().to_order(recording.order(), "recording.npy")?;
//!     Ok(())
//! }
//! ```
//!
//! # To another machine, and still intact years later
//!
//! The elements go from the file to the socket and from the socket into a file, and neither side
//! holds the array in memory. [`write_checksums`](crate::Store::write_checksums) writes checksums
//! of the blocks to a file beside the array, and [`verify`](crate::Store::verify) names the rows
//! that are damaged.
//!
//! ```
//! use std::net::{TcpListener, TcpStream};
//! use std::thread;
//!
//! use ndarray::Ix2;
//! use ndstore::Store;
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//! #     let dir = tempfile::tempdir().unwrap();
//! #     std::env::set_current_dir(&dir).unwrap();
//! #     drop(Store::<f32, _>::create("here.npy", (100, 100))?);
//!     let listener = TcpListener::bind("127.0.0.1:0")?;
//!     let address = listener.local_addr()?;
//!     let sender = thread::spawn(move || -> ndstore::Result<()> {
//!         let socket = TcpStream::connect(address).expect("the receiver listens");
//!         Store::<f32, Ix2>::open("here.npy")?.send(&socket)
//!     });
//!     let (socket, _) = listener.accept()?;
//!     let there = Store::<f32, Ix2>::receive(&socket, "there.npy")?;
//!     let there = there.ok_or("the sender closed the connection without an array")?;
//!     sender.join().expect("the sender does not panic")?;
//!
//!     there.write_checksums()?; // now
//!     let found = there.verify()?; // in ten years
//!     assert!(found.is_intact(), "damaged: {:?}", found.damage());
//!     Ok(())
//! }
//! ```
