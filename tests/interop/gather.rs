//! Rows by index: the crate picks and overwrites the same rows as NumPy's `m[rows]` and `np.take`.

use std::path::Path;

use ndarray::prelude::*;
use ndstore::{AnyStore, Be, Options, Order, Store};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{ORDERS, Sample, TYPES, Visit, letter, python, samples};

const SHAPES: [&[usize]; 3] = [&[0, 3], &[5], &[2, 3, 4]];

/// Gathers and scatters in a file of every type, shape and order.
struct Pick<'a> {
    directory: &'a Path,
    files: Vec<Value>,
}

impl Visit for Pick<'_> {
    fn visit<A: Sample>(&mut self) {
        for shape in SHAPES {
            for order in ORDERS {
                self.pick::<A>(shape, order);
            }
        }
    }
}

impl Pick<'_> {
    fn pick<A: Sample>(&mut self, shape: &[usize], order: Order) {
        let number = self.files.len();
        let path = |what: &str| self.directory.join(format!("{number}-{what}.npy"));
        let options = Options::new().order(order);
        let array = samples::<A>(shape, 0);
        let store = options.create_from(path("array"), &array).unwrap();
        let axis = match order {
            Order::C => 0,
            Order::F => shape.len() - 1,
        };
        // Each row twice, in another order than that of the file.
        let rows: Vec<usize> = (0..2 * shape[axis]).map(|i| i * 7 % shape[axis]).collect();
        let gathered = store.out_of_core().gather_to(path("gathered"), &rows);
        gathered.unwrap().close().unwrap();

        let mut shape = shape.to_vec();
        shape[axis] = rows.len();
        let values = samples::<A>(&shape, 50);
        let made = options.create_from(path("values"), &values).unwrap();
        made.close().unwrap();
        let mut scattered = options.create_from(path("scattered"), &array).unwrap();
        let work = scattered.out_of_core_mut();
        work.scatter(&rows, &values).unwrap();
        scattered.close().unwrap();
        let file = json!({
            "path": path("array"),
            "order": letter(order),
            "rows": rows,
            "gathered": path("gathered"),
            "values": path("values"),
            "scattered": path("scattered"),
        });
        self.files.push(file);
    }
}

/// `cargo test --test interop -- --ignored --nocapture`
#[test]
#[ignore = "needs python3 with NumPy"]
fn numpy_picks_and_overwrites_the_same_rows() {
    let directory = TempDir::new().unwrap();
    let mut pick = Pick {
        directory: directory.path(),
        files: Vec::new(),
    };
    pick.each();
    let mut files = pick.files;
    assert_eq!(files.len(), TYPES * SHAPES.len() * ORDERS.len());

    // A file in the other byte order comes out in this one.
    let path = |what: &str| directory.path().join(format!("big-{what}.npy"));
    let array = samples::<f64>(&[5, 3], 0);
    let store = Store::create_from(path("array"), &array.mapv(Be::from)).unwrap();
    store.close().unwrap();
    let any = AnyStore::open(path("array")).unwrap();
    let rows = [4, 0, 4];
    let work = any.out_of_core::<f64, IxDyn>().unwrap();
    let gathered = work.gather_to(path("gathered"), &rows).unwrap();
    let mut scattered = Store::create_from(path("scattered"), &array).unwrap();
    let work = scattered.out_of_core_mut();
    work.scatter(&rows, &gathered.read_all().unwrap()).unwrap();
    files.push(json!({
        "path": path("array"),
        "order": letter(Order::C),
        "rows": rows,
        "gathered": path("gathered"),
        "values": path("gathered"),
        "scattered": path("scattered"),
    }));
    gathered.close().unwrap();
    scattered.close().unwrap();

    let report = python("gather.py", "check", directory.path(), &files);
    assert_eq!(report["files"], files.len());
    println!("gather: {report}");
}
