//! The jobs, one function each: what ndstore does, what the others do, and the bar for each of them.

mod memory;
mod peak;
mod table;

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use ndarray::prelude::*;
use ndarray_npy::ReadNpyExt;
use ndstore::{Block, Chunk, Store};
use table::State::{Cold, ColdQuarter, Warm};
use table::{Sides, Table};

use crate::common::{self, Bench, HEADER, Side, map, map_mut, sum, sum_in_two};

/// The elements of a row of 4 KiB.
const COLUMNS: usize = 512;

/// The elements of a row of 1 KiB, which are appended one by one.
const LOGGED: usize = 128;

/// How many times fewer rows npy-append-array appends.
const FEWER: usize = 16;

/// A MiB of elements.
const PIECE: usize = 1 << 17;

/// How many rows are gathered, of those that a 2 GiB array has; from smaller ones fewer, in proportion.
const GATHERED: usize = 20_000;
const OF_ROWS: usize = 1 << 19;

/// How many threads `pread` side by side.
const THREADS: usize = 16;

/// How long NumPy may take to gather, and to transpose.
const PATIENCE_TO_GATHER: Duration = Duration::from_secs(20);
const PATIENCE_TO_TRANSPOSE: Duration = Duration::from_secs(150);

pub(crate) fn main() {
    if peak::is_child() {
        return;
    }
    let mut table = Table::new(Bench::with_defaults(2048, 5));
    append(&mut table);
    scan(&mut table);
    fill(&mut table);
    gather(&mut table);
    transpose(&mut table, "transpose", |len| len.isqrt());
    transpose(&mut table, "transpose thin", |len| COLUMNS.min(len.isqrt()));
    reduce(&mut table);
    let peaks = peak::measure(&table.bench);
    table.print();
    peaks.print();
}

/// Creates the array at `path`, counting from 0, without holding more than a piece of it.
fn create(path: &Path, rows: usize, columns: usize) {
    let mut map = common::map_store(Store::<f64, _>::create(path, (rows, columns)).unwrap());
    let mut next = 0.0;
    for mut row in map.view_mut().rows_mut() {
        for element in &mut row {
            *element = next;
            next += 1.0;
        }
    }
    map.close().unwrap();
}

/// The large array in rows of 4 KiB.
fn create_rows(bench: &Bench, name: &str) -> PathBuf {
    let path = bench.path(name);
    create(&path, bench.nbytes() / (COLUMNS * 8), COLUMNS);
    path
}

/// A side that fills a new file at `path`, and returns what keeps it open, which counts no more.
fn fresh<'a, T>(name: &'static str, path: &'a Path, fill: impl Fn(&Path) -> T + 'a) -> Side<'a> {
    Side::timed(name, move || {
        let start = Instant::now();
        let open = fill(path);
        let taken = start.elapsed();
        drop(open);
        common::remove(path);
        taken
    })
}

fn append(table: &mut Table) {
    let path = table.bench.path("append.npy");
    let rows = table.bench.nbytes() / 4 / (LOGGED * 8);
    let row = Array1::from_iter((0..LOGGED).map(|column| column as f64));
    let few = (rows / FEWER).max(1);
    table.run(
        "append rows of 1 KiB one by one, then sync",
        Cold,
        &[],
        || {
            let mut sides = Sides::new(fresh("ndstore", &path, |path| {
                let mut store = Store::<f64, _>::create(path, (0, LOGGED)).unwrap();
                let mut appender = store.appender().unwrap();
                for _ in 0..rows {
                    appender.push(&row).unwrap();
                }
                appender.flush().unwrap();
                drop(appender);
                store
            }));
            let buffered = fresh("BufWriter of 1 MiB, fdatasync", &path, |path| {
                let mut writer = BufWriter::with_capacity(1 << 20, File::create(path).unwrap());
                writer.write_all(&[b' '; HEADER]).unwrap();
                for _ in 0..rows {
                    let row = row.as_slice().expect("the row is contiguous");
                    writer.write_all(bytemuck::cast_slice(row)).unwrap();
                }
                let file = writer.into_inner().unwrap();
                file.sync_data().unwrap();
                file
            });
            sides.add(Some(0.8), buffered);
            let arguments = [few.to_string(), LOGGED.to_string()];
            let [few, columns] = &arguments;
            let name = "npy-append-array, fdatasync (1/16 of the rows, times 16)";
            sides.maybe(Some(15.0), name, |name| {
                let arguments = [path.as_ref(), few.as_ref(), columns.as_ref()];
                let side = Side::numpy(name, "append_rows", &arguments)?;
                Ok(side.scaled(FEWER as u32))
            });
            sides
        },
    );
}

/// The elements of the file at `path`, read a MiB at a time, as one sum.
fn read_pieces(path: &Path) -> f64 {
    let mut file = File::open(path).unwrap();
    file.seek(SeekFrom::Start(HEADER as u64)).unwrap();
    let mut buffer = vec![0.0; PIECE];
    let mut total = 0.0;
    loop {
        let bytes = bytemuck::cast_slice_mut(&mut buffer);
        let mut filled = 0;
        while filled < bytes.len() {
            match file.read(&mut bytes[filled..]).unwrap() {
                0 => break,
                read => filled += read,
            }
        }
        total += sum(ArrayView1::from(&buffer[..filled / 8]));
        if filled < PIECE * 8 {
            return total;
        }
    }
}

/// As [`read_pieces`], past the page cache (`O_DIRECT`), 4 MiB at a time.
fn read_direct(path: &Path) -> f64 {
    const NBYTES: usize = 4 << 20;
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(libc::O_DIRECT);
    let file = options.open(path).unwrap();
    // The disk wants its buffers at whole pages.
    let mut buffer = vec![0.0; (NBYTES + HEADER) / 8];
    let skipped = buffer.as_ptr().align_offset(HEADER);
    let buffer = &mut buffer[skipped..][..NBYTES / 8];
    let mut total = 0.0;
    let mut offset = HEADER as u64;
    loop {
        let read = file
            .read_at(bytemuck::cast_slice_mut(buffer), offset)
            .unwrap();
        if read == 0 {
            return total;
        }
        total += sum(ArrayView1::from(&buffer[..read / 8]));
        offset += read as u64;
    }
}

fn read_npy(path: &Path) -> f64 {
    let array = Array2::<f64>::read_npy(File::open(path).unwrap()).unwrap();
    array.flatten().sum()
}

fn scan(table: &mut Table) {
    let states = [Cold, Warm, ColdQuarter];
    if !table.wants("scan", &states) {
        return;
    }
    let files = [create_rows(&table.bench, "scan.npy")];
    let path = &*files[0];
    for state in states {
        table.run("scan", state, &files, || {
            let blocks = Side::new("ndstore, by blocks", move || {
                let store = Store::<f64, Ix2>::open(path).unwrap();
                let mut total = 0.0;
                for block in store.out_of_core().blocks(Chunk::Bytes(PIECE * 8)) {
                    let block = block.unwrap();
                    total += sum(block.view.flatten().view());
                }
                total
            });
            let mut sides = Sides::new(blocks);
            let read = Side::new("read, 1 MiB at a time", move || read_pieces(path));
            let direct = Side::new("O_DIRECT, 4 MiB at a time", move || read_direct(path));
            let plain = Side::new("plain map (memmap2)", move || {
                let map = map(&File::open(path).unwrap());
                sum(ArrayView1::from(bytemuck::cast_slice(&map[HEADER..])))
            });
            let bar = |factor| (state == Cold).then_some(factor);
            sides.add(bar(0.95), read);
            sides.add(bar(0.95), direct);
            sides.add(bar(1.5), plain);
            sides.maybe(None, "NumPy", |name| {
                Side::numpy(name, "scan_first_pass", &[path.as_ref()])
            });
            // It reads the whole array into memory, so there is none for it in a quarter.
            if state != ColdQuarter {
                let side = Side::new("ndarray-npy, read_npy", move || read_npy(path));
                sides.add(None, side);
            }
            sides
        });
    }
}

fn fill(table: &mut Table) {
    let path = table.bench.path("fill.npy");
    let other = table.bench.path("source.npy");
    let len = table.bench.nbytes() / 8;
    let piece = Array1::from_iter((0..PIECE).map(|element| element as f64));
    let bytes: &[u8] = bytemuck::cast_slice(piece.as_slice().expect("the piece is contiguous"));
    for state in [ColdQuarter, Cold] {
        if !table.wants("fill and sync", &[state]) {
            continue;
        }
        let files = [other.clone()];
        create(&other, len / COLUMNS, COLUMNS);
        table.run("fill and sync", state, &files, || {
            let mut sides = Sides::new(fresh("ndstore, create_with", &path, |path| {
                let fill = |mut block: Block<Ix1, ArrayViewMut1<'_, f64>>| {
                    let len = block.view.len();
                    block.view.assign(&piece.slice(s![..len]));
                    Ok(())
                };
                Store::<f64, _>::create_with(path, len, PIECE, fill).unwrap()
            }));
            let in_place = fresh(
                "ndstore, create + for_each_block_mut + flush",
                &path,
                |path| {
                    let mut store = Store::<f64, _>::create(path, len).unwrap();
                    let work = store.out_of_core_mut();
                    work.for_each_block_mut(Chunk::Rows(PIECE), |mut block| {
                        let len = block.view.len();
                        block.view.assign(&piece.slice(s![..len]));
                        Ok(())
                    })
                    .unwrap();
                    store.flush().unwrap();
                    store
                },
            );
            let plain = fresh("plain map (memmap2) + msync", &path, |path| {
                let file = File::create_new(path).unwrap();
                file.set_len((HEADER + len * 8) as u64).unwrap();
                let mut map = map_mut(&file);
                for part in map[HEADER..].chunks_mut(PIECE * 8) {
                    part.copy_from_slice(&bytes[..part.len()]);
                }
                map.flush().unwrap();
                map
            });
            let write = fresh("write, 1 MiB at a time, + fsync", &path, |path| {
                let mut file = File::create_new(path).unwrap();
                file.write_all(&[b' '; HEADER]).unwrap();
                for start in (0..len).step_by(PIECE) {
                    let nbytes = (len - start).min(PIECE) * 8;
                    file.write_all(&bytes[..nbytes]).unwrap();
                }
                file.sync_all().unwrap();
                file
            });
            let bar = |factor| (state == ColdQuarter).then_some(factor);
            sides.add(bar(1.5), plain);
            sides.add(bar(1.3), write);
            sides.add(None, copy(&other, &path));
            sides.add(None, in_place);
            let nbytes = (len * 8).to_string();
            sides.maybe(None, "NumPy, map + flush", |name| {
                let arguments = [path.as_os_str(), nbytes.as_ref()];
                Side::numpy(name, "fill_in_pieces", &arguments)
            });
            sides
        });
        common::remove(&other);
    }
}

/// `cp`, made durable.
fn copy<'a>(from: &'a Path, to: &'a Path) -> Side<'a> {
    fresh("cp + fsync", to, move |to| {
        let status = Command::new("cp").args([from, to]).status().unwrap();
        assert!(status.success());
        let file = File::open(to).unwrap();
        file.sync_all().unwrap();
        file
    })
}

/// Random rows, the same in each run.
fn random_rows(count: usize, rows: usize) -> Vec<usize> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        ((u128::from(state) * rows as u128) >> 64) as usize
    };
    std::iter::repeat_with(random).take(count).collect()
}

/// Reads rows by many threads at once, each of them in the order of the file.
fn pread_rows(path: &Path, wanted: &[usize]) -> Vec<f64> {
    let file = File::open(path).unwrap();
    let mut rows = vec![0.0; wanted.len() * COLUMNS];
    let mut places: Vec<(usize, &mut [f64])> = wanted
        .iter()
        .copied()
        .zip(rows.chunks_mut(COLUMNS))
        .collect();
    places.sort_unstable_by_key(|place| place.0);
    let share = places.len().div_ceil(THREADS);
    std::thread::scope(|scope| {
        for part in places.chunks_mut(share) {
            scope.spawn(|| {
                for (row, into) in part {
                    let offset = (HEADER + *row * COLUMNS * 8) as u64;
                    let into = bytemuck::cast_slice_mut(into);
                    file.read_exact_at(into, offset).unwrap();
                }
            });
        }
    });
    rows
}

fn gather(table: &mut Table) {
    const JOB: &str = "gather random rows of 4 KiB";
    let states = [Cold, Warm, ColdQuarter];
    if !table.wants(JOB, &states) {
        return;
    }
    let files = [create_rows(&table.bench, "gather.npy")];
    let path = &*files[0];
    let rows = table.bench.nbytes() / (COLUMNS * 8);
    let wanted = random_rows((GATHERED * rows / OF_ROWS).max(1), rows);
    let as_numbers: Array1<i64> = wanted.iter().map(|&row| row as i64).collect();
    let list = table.bench.path("rows.npy");
    Store::create_from(&list, &as_numbers)
        .unwrap()
        .close()
        .unwrap();
    for state in states {
        let wanted = &wanted;
        let list = &list;
        table.run(JOB, state, &files, || {
            let mut sides = Sides::new(Side::new("ndstore", move || {
                let store = Store::<f64, Ix2>::open(path).unwrap();
                store.out_of_core().gather(wanted).unwrap()
            }));
            let threads = Side::new("16 threads of pread, sorted", move || {
                pread_rows(path, wanted)
            });
            let plain = Side::new("plain map (memmap2), row by row", move || {
                let map = map(&File::open(path).unwrap());
                let elements: &[f64] = bytemuck::cast_slice(&map[HEADER..]);
                let rows = wanted
                    .iter()
                    .map(|row| &elements[row * COLUMNS..][..COLUMNS]);
                rows.collect::<Vec<_>>().concat()
            });
            let bar = |factor| (state == Cold).then_some(factor);
            sides.add(bar(0.8), threads);
            // With little memory a page fault per row takes minutes: one side that may be stopped shows as much.
            if state != ColdQuarter {
                sides.add(None, plain);
            }
            sides.maybe(bar(2.5), "NumPy, m[idx]", |name| {
                let arguments = [path.as_os_str(), list.as_os_str()];
                Side::numpy_within(name, "gather", &arguments, Some(PATIENCE_TO_GATHER))
            });
            sides
        });
    }
    common::remove(path);
}

/// Transposes an array of so many rows, which `rows` says for its number of elements.
fn transpose(table: &mut Table, job: &str, rows: impl Fn(usize) -> usize) {
    if !table.wants(job, &[ColdQuarter]) {
        return;
    }
    let len = table.bench.nbytes() / 8;
    let rows = rows(len);
    let files = [table.bench.path("transpose.npy")];
    let path = &*files[0];
    create(path, rows, len / rows);
    let new = table.bench.path("transposed.npy");
    table.run(job, ColdQuarter, &files, || {
        let mut sides = Sides::new(fresh("ndstore", &new, |new| {
            let store = Store::<f64, Ix2>::open(path).unwrap();
            store.out_of_core().transpose(new).unwrap()
        }));
        sides.add(Some(1.0 / 3.0), copy(path, &new));
        sides.maybe(None, "NumPy, o[:] = a.T, + flush", |name| {
            let arguments = [path.as_os_str(), new.as_os_str()];
            Side::numpy_within(name, "transpose", &arguments, Some(PATIENCE_TO_TRANSPOSE))
        });
        sides
    });
    // One that was stopped leaves its file.
    let _ = std::fs::remove_file(&new);
    common::remove(path);
}

fn reduce(table: &mut Table) {
    const JOBS: [&str; 4] = ["sum", "mean", "var", "min and max"];
    if !JOBS.iter().any(|job| table.wants(job, &[Warm])) {
        return;
    }
    let path = create_rows(&table.bench, "reduce.npy");
    let store = Store::<f64, Ix2>::open(&path).unwrap();
    let heap = table.bench.array();
    for job in JOBS {
        table.run(job, Warm, &[], || {
            let mut sides = Sides::new(Side::new("ndstore", || {
                let work = || store.out_of_core();
                match job {
                    "sum" => work().sum().unwrap(),
                    "mean" => work().mean().unwrap(),
                    "var" => work().var(0).unwrap(),
                    _ => work().max().unwrap() - work().min().unwrap(),
                }
            }));
            sides.maybe(Some(1.0), "NumPy", |name| {
                Side::numpy(name, "reduce", &[path.as_ref(), job.as_ref()])
            });
            if job == "sum" {
                let in_two = Side::new("two threads over a heap array", || sum_in_two(heap.view()));
                sides.add(Some(0.9), in_two);
            }
            sides
        });
    }
    drop(store);
    common::remove(&path);
}
