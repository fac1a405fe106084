//! What a program does that has no library: plain rivals on one thread, and the loops that show the limit of the machine.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use ndarray::ArrayD;
use ndstore::Order;

use super::cell::{Cell, ToF64, max, total};
use super::input::{self, format};
use super::rows::{APPENDED, PIECE};
use super::task::{Task, timed};
use crate::common::{HEADER, map, map_mut};

/// How many threads `pread` rows side by side.
const READERS: usize = 16;

/// How a file is gone over.
#[derive(Clone, Copy)]
enum Way {
    /// By `pread`, piece by piece, into a buffer a thread.
    Read { piece: usize, threads: usize },
    /// Through a map, which each thread takes pieces of.
    Map { threads: usize },
}

impl Way {
    fn named(name: &str) -> Option<Way> {
        let all = thread::available_parallelism().map_or(1, usize::from);
        Some(match name {
            "read, 1 MiB" => Way::Read {
                piece: 1 << 20,
                threads: 1,
            },
            "read, 256 KiB" => Way::Read {
                piece: 256 << 10,
                threads: 1,
            },
            "plain map" => Way::Map { threads: 1 },
            "pread, 1 MiB a thread" => Way::Read {
                piece: 1 << 20,
                threads: all,
            },
            "pread, 256 KiB a thread" => Way::Read {
                piece: 256 << 10,
                threads: all,
            },
            "map, all threads" => Way::Map { threads: all },
            _ => return None,
        })
    }
}

pub(crate) fn run<A: Cell>(side: &str, task: &Task) {
    let way = Way::named(side);
    match (task.job.as_str(), side, way) {
        (_, "cp, fsync", _) => timed(|| copy(task)),
        (_, "the file in order", _) => timed(|| {
            let way = Way::Read {
                piece: 1 << 20,
                threads: 1,
            };
            let sums = over::<A, f64>(task, way, 1, |sum, _, elements| *sum += total(elements));
            std::hint::black_box(sums);
        }),
        ("max", _, Some(way)) => timed(|| {
            let keep = |most: &mut Option<A>, _, elements: &[A]| {
                let new = max(elements);
                *most = most.filter(|most| *most > new).or(Some(new));
            };
            let found = over::<A, Option<A>>(task, way, 1, keep);
            max(&found.into_iter().flatten().collect::<Vec<A>>()).to_f64()
        }),
        ("sum" | "blocks", _, Some(way)) => timed(|| {
            let add = |sum: &mut f64, _, elements: &[A]| *sum += total(elements);
            over::<A, f64>(task, way, 1, add).iter().sum::<f64>()
        }),
        ("mean_axis", _, Some(way)) => timed(|| mean_axis::<A>(task, way)),
        ("map", _, Some(way)) => timed(|| rewrite::<A, A>(task, way, task.format.dtype, A::mapped)),
        ("astype", _, Some(way)) if task.argument == "f8" => {
            timed(|| rewrite::<A, f64>(task, way, "f8", A::to_f64));
        }
        ("astype", _, Some(way)) => {
            timed(|| rewrite::<A, f32>(task, way, "f4", |element: A| element.to_f64() as f32));
        }
        ("gather", "plain map", _) => gather_mapped::<A>(task),
        ("gather", "pread, 16 threads", _) => gather_read::<A>(task),
        ("fill" | "fill in place", "plain map", _) => timed(|| fill_mapped(task)),
        ("fill" | "fill in place", "write, 1 MiB", _) => timed(|| fill_written(task)),
        ("append", "BufWriter, fdatasync", _) => timed(|| append(task)),
        (job, side, _) => panic!("{side} does not {job}"),
    }
}

/// Calls `each` with all elements in pieces of whole `unit`s, and where each starts. Every thread has a state of its own.
fn over<A: Cell, S: Default + Send>(
    task: &Task,
    way: Way,
    unit: usize,
    each: impl Fn(&mut S, usize, &[A]) + Sync,
) -> Vec<S> {
    let file = File::open(&task.path).unwrap();
    let len = task.shape.iter().product::<usize>();
    let (piece, threads) = match way {
        Way::Read { piece, threads } => (piece, threads),
        Way::Map { threads } => (1 << 20, threads),
    };
    let piece = (piece / size_of::<A>() / unit).max(1) * unit;
    let mapped = matches!(way, Way::Map { .. }).then(|| map(&file));
    let mapped: Option<&[A]> = mapped
        .as_ref()
        .map(|map| bytemuck::cast_slice(&map[HEADER..]));
    let next = AtomicUsize::new(0);
    let work = || {
        let (mut state, mut buffer) = (S::default(), vec![A::zeroed(); piece]);
        loop {
            let start = next.fetch_add(piece, Ordering::Relaxed);
            if start >= len {
                return state;
            }
            let buffer = &mut buffer[..piece.min(len - start)];
            match mapped {
                Some(elements) if !task.format.swapped => {
                    each(&mut state, start, &elements[start..][..buffer.len()]);
                    continue;
                }
                Some(elements) => buffer.copy_from_slice(&elements[start..][..buffer.len()]),
                None => {
                    let offset = (HEADER + start * size_of::<A>()) as u64;
                    file.read_exact_at(bytemuck::cast_slice_mut(buffer), offset)
                        .unwrap();
                }
            }
            if task.format.swapped {
                buffer
                    .iter_mut()
                    .for_each(|element| *element = element.swap_bytes());
            }
            each(&mut state, start, buffer);
        }
    };
    thread::scope(|scope| {
        let started: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        started
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    })
}

fn mean_axis<A: Cell>(task: &Task, way: Way) -> Vec<f64> {
    let axis = task.number();
    let len = task.shape[axis];
    let fastest = match task.format.order {
        Order::C => task.shape.len() - 1,
        Order::F => 0,
    };
    let results = task.shape.iter().product::<usize>() / len;
    let means = if axis == fastest {
        let mut means = vec![0.0; results];
        let lines = over::<A, Vec<(usize, f64)>>(task, way, len, |means, start, elements| {
            let lines = elements.chunks_exact(len).enumerate();
            means
                .extend(lines.map(|(index, line)| (start / len + index, total(line) / len as f64)));
        });
        for (index, mean) in lines.into_iter().flatten() {
            means[index] = mean;
        }
        means
    } else {
        let sums = over::<A, Vec<A::Lane>>(task, way, 1, |sums, start, elements| {
            sums.resize(results, A::Lane::default());
            let (mut column, mut rest) = (start % results, elements);
            while !rest.is_empty() {
                let (part, later) = rest.split_at(rest.len().min(results - column));
                for (sum, &element) in sums[column..].iter_mut().zip(part) {
                    *sum += element.lane();
                }
                (column, rest) = (0, later);
            }
        });
        let of_column = |column: usize| {
            let sums = sums.iter().filter_map(|sums| sums.get(column));
            sums.map(|sum| sum.to_f64()).sum::<f64>() / len as f64
        };
        (0..results).map(of_column).collect()
    };
    in_c_order(means, task, axis)
}

/// Puts the results along an axis of an array in Fortran order into the order of the others.
fn in_c_order(results: Vec<f64>, task: &Task, axis: usize) -> Vec<f64> {
    if task.format.order == Order::C {
        return results;
    }
    let mut shape = task.shape.clone();
    shape.remove(axis);
    let reversed: Vec<usize> = shape.into_iter().rev().collect();
    let array = ArrayD::from_shape_vec(reversed, results).unwrap();
    array.t().iter().copied().collect()
}

/// Writes what `f` makes of each element to a new file.
fn rewrite<A: Cell, B: Cell>(
    task: &Task,
    way: Way,
    dtype: &'static str,
    f: impl Fn(A) -> B + Sync,
) {
    let to = format(dtype, task.format.order, false);
    let file = input::start_file(&task.new, to, &task.shape);
    let len = task.shape.iter().product::<usize>();
    if let Way::Map { .. } = way {
        file.set_len((HEADER + len * size_of::<B>()) as u64)
            .unwrap();
        let mut new = map_mut(&file);
        let elements = bytemuck::cast_slice_mut(&mut new[HEADER..]);
        // One thread goes over the whole file, so the pieces come in order.
        let left = std::sync::Mutex::new(elements.iter_mut());
        over::<A, ()>(task, way, 1, |(), _, elements| {
            let mut left = left.lock().unwrap();
            for (&element, new) in elements.iter().zip(&mut *left) {
                *new = f(element);
            }
        });
        return new.flush().unwrap();
    }
    over::<A, Vec<B>>(task, way, 1, |buffer, start, elements| {
        buffer.clear();
        buffer.extend(elements.iter().map(|&element| f(element)));
        let offset = (HEADER + start * size_of::<B>()) as u64;
        file.write_all_at(bytemuck::cast_slice(buffer), offset)
            .unwrap();
    });
    file.sync_all().unwrap();
}

/// `cp`, made durable.
fn copy(task: &Task) {
    let status = Command::new("cp").args([&task.path, &task.new]).status();
    assert!(status.unwrap().success());
    File::open(&task.new).unwrap().sync_all().unwrap();
}

fn gather_mapped<A: Cell>(task: &Task) {
    let rows = input::read_list(&task.path);
    let columns = task.shape[1];
    timed(|| {
        let map = map(&File::open(&task.path).unwrap());
        let elements: &[A] = bytemuck::cast_slice(&map[HEADER..]);
        let mut gathered = Vec::new();
        for rows in rows.chunks(rows.len() / task.number()) {
            gathered = Vec::with_capacity(rows.len() * columns);
            for row in rows {
                gathered.extend_from_slice(&elements[row * columns..][..columns]);
            }
        }
        gathered
    });
}

/// Reads rows by many threads at once, each of them in the order of the file.
fn gather_read<A: Cell>(task: &Task) {
    let rows = input::read_list(&task.path);
    let columns = task.shape[1];
    timed(|| {
        let file = File::open(&task.path).unwrap();
        let mut gathered = vec![A::zeroed(); rows.len() * columns];
        let mut places: Vec<_> = rows.iter().zip(gathered.chunks_mut(columns)).collect();
        places.sort_unstable_by_key(|place| place.0);
        let share = places.len().div_ceil(READERS);
        thread::scope(|scope| {
            for part in places.chunks_mut(share) {
                scope.spawn(|| {
                    for (row, into) in part {
                        let offset = (HEADER + **row * columns * size_of::<A>()) as u64;
                        file.read_exact_at(bytemuck::cast_slice_mut(into), offset)
                            .unwrap();
                    }
                });
            }
        });
        gathered
    });
}

fn piece() -> Vec<f64> {
    (0..PIECE).map(|element| element as f64).collect()
}

fn fill_mapped(task: &Task) {
    let (piece, len) = (piece(), task.number());
    let file = input::start_file(&task.new, format("f8", Order::C, false), &[len]);
    file.set_len((HEADER + len * 8) as u64).unwrap();
    let mut map = map_mut(&file);
    for part in bytemuck::cast_slice_mut(&mut map[HEADER..]).chunks_mut(PIECE) {
        part.copy_from_slice(&piece[..part.len()]);
    }
    map.flush().unwrap();
}

fn fill_written(task: &Task) {
    let (piece, len) = (piece(), task.number());
    let mut file = input::start_file(&task.new, format("f8", Order::C, false), &[len]);
    for start in (0..len).step_by(PIECE) {
        let part = &piece[..PIECE.min(len - start)];
        file.write_all(bytemuck::cast_slice(part)).unwrap();
    }
    file.sync_all().unwrap();
}

fn append(task: &Task) {
    let row: Vec<f64> = (0..APPENDED).map(|column| column as f64).collect();
    let shape = [task.number(), APPENDED];
    let file = input::start_file(&task.new, format("f8", Order::C, false), &shape);
    let mut writer = BufWriter::with_capacity(1 << 20, file);
    for _ in 0..task.number() {
        writer.write_all(bytemuck::cast_slice(&row)).unwrap();
    }
    writer.into_inner().unwrap().sync_data().unwrap();
}
