//! What ndstore does, through the calls that its users have, with the settings that they get if they give none.

use std::path::Path;

use ndarray::{Array1, ArrayViewMut1, Axis, Ix1, Ix2, IxDyn};
use ndstore::{AnyStore, Block, Chunk, Error, Order, OutOfCore, Store};

use super::cell::{Cell, ToF64, total};
use super::input::read_list;
use super::rows::{APPENDED, PIECE};
use super::task::{Task, timed};

/// Opens the array and works on it.
fn work<A: Cell, T>(task: &Task, job: impl FnOnce(OutOfCore<'_, A, IxDyn>) -> T) -> T {
    if task.format.swapped {
        let store = AnyStore::open(&task.path).unwrap();
        return job(store.out_of_core::<A, IxDyn>().unwrap());
    }
    let store = Store::<A, IxDyn>::open(&task.path).unwrap();
    job(store.out_of_core())
}

pub(crate) fn run<A: Cell>(task: &Task) {
    let new = &task.new;
    match task.job.as_str() {
        "max" => timed(|| work::<A, _>(task, |array| array.max().unwrap().to_f64())),
        "sum" => timed(|| work::<A, _>(task, |array| array.sum().unwrap().to_f64())),
        "mean_axis" => {
            let axis = Axis(task.number());
            timed(|| work::<A, _>(task, |array| array.mean_axis(axis).unwrap()))
        }
        "blocks" => timed(|| {
            work::<A, _>(task, |array| {
                let mut sum = 0.0;
                for block in array.blocks(Chunk::Bytes(8 << 20)) {
                    let block = block.unwrap();
                    sum += total(
                        block
                            .view
                            .as_slice_memory_order()
                            .expect("rows are contiguous"),
                    );
                }
                sum
            })
        }),
        "map" => timed(|| work::<A, _>(task, |array| drop(array.map(new, A::mapped).unwrap()))),
        "astype" => timed(|| {
            work::<A, _>(task, |array| match task.argument.as_str() {
                "f8" => drop(array.astype::<f64>(new).unwrap()),
                _ => drop(array.astype::<f32>(new).unwrap()),
            })
        }),
        "permute" => {
            let axes: Vec<usize> = task.numbers().collect();
            timed(|| work::<A, _>(task, |array| drop(array.permute(&axes, new).unwrap())))
        }
        "to_order" => {
            timed(|| work::<A, _>(task, |array| drop(array.to_order(Order::F, new).unwrap())))
        }
        "gather" => gather::<A>(task),
        "fill" => timed(|| fill(new, task.number())),
        "fill in place" => timed(|| fill_in_place(new, task.number())),
        "append" => timed(|| append(new, task.number())),
        job => panic!("ndstore does not {job}"),
    }
}

/// Gathers all rows of the list, in so many calls. What the last one returns is compared.
fn gather<A: Cell>(task: &Task) {
    let rows = read_list(&task.path);
    timed(|| {
        let store = Store::<A, Ix2>::open(&task.path).unwrap();
        let calls = rows.chunks(rows.len() / task.number());
        let gathered = calls.map(|rows| store.out_of_core().gather(rows).unwrap());
        gathered.last().expect("there is a call").into_dyn()
    });
}

fn piece() -> Array1<f64> {
    (0..PIECE).map(|element| element as f64).collect()
}

fn fill(new: &Path, len: usize) {
    let piece = piece();
    let fill = |mut block: Block<Ix1, ArrayViewMut1<'_, f64>>| {
        let len = block.view.len();
        block.view.assign(&piece.slice(ndarray::s![..len]));
        Ok::<_, Error>(())
    };
    drop(Store::<f64, _>::create_with(new, len, PIECE, fill).unwrap());
}

fn fill_in_place(new: &Path, len: usize) {
    let piece = piece();
    let mut store = Store::<f64, _>::create(new, len).unwrap();
    let filled = store
        .out_of_core_mut()
        .for_each_block_mut(Chunk::Rows(PIECE), |mut block| {
            let len = block.view.len();
            block.view.assign(&piece.slice(ndarray::s![..len]));
            Ok::<_, Error>(())
        });
    filled.unwrap();
    store.flush().unwrap();
}

fn append(new: &Path, rows: usize) {
    let row: Array1<f64> = (0..APPENDED).map(|column| column as f64).collect();
    let mut store = Store::<f64, _>::create(new, (0, APPENDED)).unwrap();
    let mut appender = store.appender().unwrap();
    for _ in 0..rows {
        appender.push(&row).unwrap();
    }
    appender.flush().unwrap();
}
