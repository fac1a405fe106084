//! Reductions compared with NumPy's: the same integers, extremes and places, the same types, and
//! floats within the promised error.

use std::path::{Path, PathBuf};

use ndarray::prelude::*;
use ndstore::{
    AsType, Bool8, Description, Element, FloatNumber, Number, Options, Order, RealNumber, Store,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{ORDERS, letter, python};

/// Empty, none at all, short, joined, gathered, in groups and in bands.
const SHAPES: [&[usize]; 9] = [
    &[],
    &[0, 3],
    &[5],
    &[3, 4, 5],
    &[1000, 3],
    &[3, 1000],
    &[200, 130],
    &[140, 17_001],
    &[300_001],
];

/// Numbers in no order; `special` has infinities and NaN among them, where there are any.
trait Random: Number {
    fn random(bits: u64, special: bool) -> Self;
}

macro_rules! random {
    ($($type:ty: |$bits:ident, $special:ident| $value:expr;)*) => {$(
        impl Random for $type {
            fn random($bits: u64, $special: bool) -> Self {
                $value
            }
        }
    )*};
}

random! {
    i8: |bits, _special| (bits >> 56) as i8;
    i16: |bits, _special| (bits >> 48) as i16;
    i32: |bits, _special| (bits >> 32) as i32;
    i64: |bits, _special| bits as i64 >> 24;
    u8: |bits, _special| (bits >> 56) as u8;
    u16: |bits, _special| (bits >> 48) as u16;
    u32: |bits, _special| (bits >> 32) as u32;
    u64: |bits, _special| bits >> 24;
    f32: |bits, special| f64::random(bits, special) as f32;
    f64: |bits, special| match bits >> 40 & 63 {
        0 if special => f64::NAN,
        1 if special => f64::INFINITY,
        2 if special => f64::NEG_INFINITY,
        exponent => (bits as i64 >> 11) as f64 * 2_f64.powi(exponent as i32 / 8 - 50),
    };
    Bool8: |bits, _special| Bool8::from(bits >> 63 == 1);
}

#[cfg(feature = "half")]
random! {
    half::f16: |bits, special| half::f16::from_f64(f64::random(bits, special) / 64.0);
}

#[cfg(feature = "num-complex")]
random! {
    num_complex::Complex<f32>: |bits, special| num_complex::Complex::new(f32::random(bits, special), f32::random(!bits.rotate_left(31), special));
    num_complex::Complex<f64>: |bits, special| num_complex::Complex::new(f64::random(bits, special), f64::random(!bits.rotate_left(31), special));
}

/// An array in a directory, in which the results are saved.
struct Case<'a> {
    directory: &'a Path,
    entries: &'a mut Vec<Value>,
    path: PathBuf,
    name: String,
    shape: Vec<usize>,
}

impl Case<'_> {
    fn save<A: Element, D: Dimension>(
        &mut self,
        op: &str,
        axis: Option<usize>,
        result: Array<A, D>,
    ) {
        let index = self.entries.len();
        let path = self.directory.join(format!("result{index}.npy"));
        Store::create_from(&path, &result).unwrap().close().unwrap();
        self.entries.push(json!({
            "path": self.path, "result": path, "name": self.name, "op": op, "axis": axis,
        }));
    }

    /// Saves what a reduction comes to, of the whole array and along each axis.
    fn numbers<A: Random>(&mut self, store: &Store<A, IxDyn>)
    where
        A::Sum: Element,
        A::Mean: Element,
        A::Var: Element,
    {
        let work = || store.out_of_core();
        self.save("sum", None, arr0(work().sum().unwrap()));
        self.save("mean", None, arr0(work().mean().unwrap()));
        self.save("var", None, arr0(work().var(0).unwrap()));
        self.save("std", None, arr0(work().std(0).unwrap()));
        self.save(
            "count_nonzero",
            None,
            arr0(work().count_nonzero().unwrap() as i64),
        );
        for k in 0..self.shape.len() {
            let axis = Axis(k);
            self.save("sum", Some(k), work().sum_axis(axis).unwrap());
            self.save("mean", Some(k), work().mean_axis(axis).unwrap());
            self.save("var", Some(k), work().var_axis(axis, 0).unwrap());
            self.save("std", Some(k), work().std_axis(axis, 0).unwrap());
            let counts = work().count_nonzero_axis(axis).unwrap();
            self.save("count_nonzero", Some(k), counts.mapv(|count| count as i64));
        }
    }

    fn extremes<A: RealNumber>(&mut self, store: &Store<A, IxDyn>)
    where
        A::Var: Element,
    {
        let work = || store.out_of_core();
        if !store.is_empty() {
            self.save("min", None, arr0(work().min().unwrap()));
            self.save("max", None, arr0(work().max().unwrap()));
            self.save("argmin", None, arr0(work().argmin().unwrap() as i64));
            self.save("argmax", None, arr0(work().argmax().unwrap() as i64));
            self.save("quantile", None, arr0(work().quantile(0.3).unwrap()));
            // Of infinities and NaN there are none.
            if let Ok((counts, _)) = work().histogram_bins(7) {
                self.save("histogram", None, Array::from(counts));
            }
        }
        for k in 0..self.shape.len() {
            let axis = Axis(k);
            if self.shape[k] == 0 {
                continue;
            }
            self.save("min", Some(k), work().min_axis(axis).unwrap());
            self.save("max", Some(k), work().max_axis(axis).unwrap());
            self.save(
                "quantile",
                Some(k),
                work().quantile_axis(axis, 0.3).unwrap(),
            );
            let indices = |indices: ArrayD<usize>| indices.mapv(|index| index as i64);
            self.save(
                "argmin",
                Some(k),
                indices(work().argmin_axis(axis).unwrap()),
            );
            self.save(
                "argmax",
                Some(k),
                indices(work().argmax_axis(axis).unwrap()),
            );
        }
    }

    /// Saves what descriptions say: count, NaN, zeros, mean, deviation, and the extremes as NaN where there are none.
    fn described<A: RealNumber + AsType<f64>>(&mut self, store: &Store<A, IxDyn>) {
        let fields = |all: &Description<A>| {
            let extremes = [all.min, all.max].map(|x| x.map_or(f64::NAN, A::as_type));
            let counts = [all.count, all.nan, all.zeros].map(|count| count as f64);
            [&counts[..], &[all.mean, all.std], &extremes].concat()
        };
        let work = || store.out_of_core();
        let all = work().describe().unwrap();
        self.save("describe", None, Array::from(fields(&all)));
        for k in 0..self.shape.len() {
            let lanes = work().describe_axis(Axis(k)).unwrap();
            let fields: Vec<_> = lanes.iter().flat_map(fields).collect();
            let fields = Array::from_shape_vec((lanes.len(), 7), fields).unwrap();
            self.save("describe", Some(k), fields);
        }
    }

    fn without_nan<A: FloatNumber>(&mut self, store: &Store<A, IxDyn>)
    where
        A::Sum: Element,
        A::Mean: Element,
        A::Var: Element,
    {
        let work = || store.out_of_core();
        self.save("nansum", None, arr0(work().nansum().unwrap()));
        self.save("nanmean", None, arr0(work().nanmean().unwrap()));
        self.save("nanvar", None, arr0(work().nanvar(1).unwrap()));
        self.save("nanstd", None, arr0(work().nanstd(1).unwrap()));
        if let Ok(place) = work().nanargmin() {
            self.save("nanargmin", None, arr0(place as i64));
        }
        if let Ok(place) = work().nanargmax() {
            self.save("nanargmax", None, arr0(place as i64));
        }
        let count = work().count_nan().unwrap();
        self.save("count_nan", None, arr0(count as i64));
        if !store.is_empty() {
            self.save("nanmin", None, arr0(work().nanmin().unwrap()));
            self.save("nanmax", None, arr0(work().nanmax().unwrap()));
        }
        for k in 0..self.shape.len() {
            let axis = Axis(k);
            self.save("nansum", Some(k), work().nansum_axis(axis).unwrap());
            self.save("nanmean", Some(k), work().nanmean_axis(axis).unwrap());
            self.save("nanvar", Some(k), work().nanvar_axis(axis, 1).unwrap());
            self.save("nanstd", Some(k), work().nanstd_axis(axis, 1).unwrap());
            if let Ok(places) = work().nanargmin_axis(axis) {
                self.save("nanargmin", Some(k), places.mapv(|place| place as i64));
            }
            if let Ok(places) = work().nanargmax_axis(axis) {
                self.save("nanargmax", Some(k), places.mapv(|place| place as i64));
            }
            let counts = work().count_nan_axis(axis).unwrap();
            self.save("count_nan", Some(k), counts.mapv(|count| count as i64));
            if self.shape[k] > 0 {
                self.save("nanmin", Some(k), work().nanmin_axis(axis).unwrap());
                self.save("nanmax", Some(k), work().nanmax_axis(axis).unwrap());
            }
        }
    }
}

/// Makes arrays of a type and passes each to `reduce`.
fn each<A: Random>(
    directory: &Path,
    entries: &mut Vec<Value>,
    mut reduce: impl FnMut(&mut Case<'_>, &Store<A, IxDyn>),
) {
    for shape in SHAPES {
        for order in ORDERS {
            for special in [false, true] {
                // Once is enough of what takes long.
                let len: usize = shape.iter().product();
                if len > 100_000 && (special || order == Order::F) {
                    continue;
                }
                let mut state = shape.len() as u64;
                let array = ArrayD::from_shape_simple_fn(shape, || {
                    state = state
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1);
                    A::random(state ^ state >> 29, special)
                });
                let path = directory.join(format!("array{}.npy", entries.len()));
                let store = Options::new()
                    .order(order)
                    .create_from(&path, &array)
                    .unwrap();
                let name = format!(
                    "{} {shape:?} {} {special}",
                    A::dtype().name(),
                    letter(order)
                );
                let shape = shape.to_vec();
                let mut case = Case {
                    directory,
                    entries,
                    path,
                    name,
                    shape,
                };
                reduce(&mut case, &store);
            }
        }
    }
}

#[test]
#[ignore = "needs NumPy: `cargo test --test interop -- --ignored --nocapture`"]
fn reductions_are_those_of_numpy() {
    macro_rules! compare {
        ($($type:ty: $($reduce:ident)*;)*) => {$(
            let directory = TempDir::new().unwrap();
            let mut entries = Vec::new();
            each::<$type>(directory.path(), &mut entries, |case, store| {
                $(case.$reduce(store);)*
            });
            let report = python("reduce.py", "compare", directory.path(), &entries);
            assert_eq!(report["checks"], entries.len());
            println!("{}: {report}", stringify!($type));
        )*};
    }
    compare! {
        i8: numbers extremes described;
        i16: numbers extremes described;
        i32: numbers extremes described;
        i64: numbers extremes described;
        u8: numbers extremes described;
        u16: numbers extremes described;
        u32: numbers extremes described;
        u64: numbers extremes described;
        Bool8: numbers extremes described;
        f32: numbers extremes described without_nan;
        f64: numbers extremes described without_nan;
    }
    #[cfg(feature = "half")]
    compare! { half::f16: numbers extremes described without_nan; }
    #[cfg(feature = "num-complex")]
    compare! {
        num_complex::Complex<f32>: numbers;
        num_complex::Complex<f64>: numbers;
    }
}
