//! The ways out of what work out of core refuses. Each is taken, and the message that names it
//! returned.

use std::path::Path;

use ndarray::prelude::*;
use ndstore::{ByteOrder, Options, Order, Store};

use super::{Messages, beside, new, refusal};

pub(super) fn out_of_core(place: &Path) -> Messages {
    let path = place.join("a.npy");
    let store = new(&path);
    let work = || store.out_of_core();
    let other = || Options::new().order(Order::F);
    let to = beside(&path);

    let mut said = vec![refusal(work().output(other()).gather_to(&to, &[1]))];
    drop(work().gather_to(&to, &[1]).unwrap());
    said.push(refusal(work().output(other()).map(&to, |x| x + 1.0)));
    drop(work().to_order(Order::F, &to).unwrap());
    said.push(refusal(work().output(other()).to_order(Order::C, &to)));
    drop(work().to_order(Order::C, &to).unwrap());

    said.push(refusal(work().permute(&[0], &to)));
    said.push(refusal(work().permute(&[0, 0], &to)));
    said.push(refusal(work().permute(&[0, 2], &to)));
    drop(work().permute(&[1, 0], &to).unwrap());
    said.push(refusal(work().to_byte_order(ByteOrder::NotApplicable, &to)));
    drop(work().to_byte_order(ByteOrder::Big, &to).unwrap());
    said.push(refusal(
        work().copy_region(std::slice::from_ref(&(0..1)), &to),
    ));
    said.push(refusal(work().copy_region(&[0..1, 0..3], &to)));
    drop(work().copy_region(&[0..1, 0..2], &to).unwrap());
    said.push(refusal(work().region(s![..;-1, ..])));
    work().region(s![.., ..]).unwrap().sum().unwrap();
    said.push(refusal(work().rows(1..3)));
    work().rows(1..2).unwrap().sum().unwrap();
    said.push(refusal(work().gather(&[2])));
    work().gather(&[1]).unwrap();

    said.push(refusal(work().histogram(&[2.0, 1.0])));
    work().histogram(&[1.0, 2.0]).unwrap();
    said.push(refusal(work().histogram_bins(0)));
    work().histogram_bins(1).unwrap();
    said.push(refusal(work().quantile(50.0)));
    work().quantile(50.0 / 100.0).unwrap();
    said.push(refusal(work().rows(..0).unwrap().max()));
    work().rows(..1).unwrap().max().unwrap();
    said.push(refusal(work().memory(1).gather(&[0, 1])));
    let mut sum = 0.0;
    let walk = work()
        .memory(1)
        .for_each_block(ndstore::Chunk::Rows(1), |block| {
            sum += block.view.sum();
            Ok::<_, ndstore::Error>(())
        });
    walk.unwrap();
    assert_eq!(sum, 10.0);

    let endless = array![1.0, f64::INFINITY];
    let endless = Store::create_from(path.with_extension("endless"), &endless).unwrap();
    said.push(refusal(endless.out_of_core().histogram_bins(2)));
    endless.out_of_core().histogram(&[0.0, 2.0, 4.0]).unwrap();
    let unknown = array![[1.0, f64::NAN], [f64::NAN, f64::NAN]];
    let unknown = Store::create_from(path.with_extension("nan"), &unknown).unwrap();
    let work = || unknown.out_of_core();
    said.push(refusal(work().nanargmin_axis(Axis(1))));
    let nans = work().count_nan_axis(Axis(1)).unwrap();
    assert_eq!(nans, array![1, 2]);
    work().rows(..1).unwrap().nanargmin_axis(Axis(1)).unwrap();
    assert_eq!(work().nanmin_axis(Axis(1)).unwrap()[0], 1.0);
    let most = array![i64::MAX, 1];
    let most = Store::create_from(path.with_extension("most"), &most).unwrap();
    said.push(refusal(most.out_of_core().sum()));
    most.out_of_core().mean().unwrap();
    said
}
