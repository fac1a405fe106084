//! How long does an array take out of its file: over a socket, through zlib, and out of an archive?
//!
//! `cargo bench --bench exchange --features npz`. The bare `sendfile` loop knows no header and
//! checks nothing. Python compresses the same bytes at the same level, a quarter of the size of the
//! others: the fractional parts of multiples of the golden ratio, which do not compress, and a
//! ramp, which does.

mod common;

use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::thread;

use common::{Bench, HEADER, Side};
use flate2::{Compression, write::ZlibEncoder};
use ndarray::{Array1, Array2, Ix1, ShapeBuilder};
use ndstore::{Npz, NpzWriter, Order, ReadOnly, Store, to_bytes};

const SEND: &str = "send over loopback";
const OPEN_ARCHIVE: &str = "open an archive and an array in it";
const OPEN_MEMBER: &str = "open an array in an open archive";

const REORDER: &str = "bytes of a Fortran array in C order";

/// zlib's default, and Python's.
const LEVEL: u32 = 6;

/// How many times an array is opened for one sample.
const OPENINGS: u64 = 2_000;

/// A socket to a thread that takes everything, and says so after each `len` bytes.
fn sink(len: usize) -> TcpStream {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (mut peer, _) = listener.accept().unwrap();
    thread::spawn(move || {
        let mut buffer = vec![0; 1 << 20];
        let mut rest = len;
        loop {
            match peer.read(&mut buffer).unwrap() {
                0 => return,
                read => rest -= read,
            }
            if rest == 0 {
                peer.write_all(b".").unwrap();
                rest = len;
            }
        }
    });
    socket
}

fn wait(mut socket: &TcpStream) {
    socket.read_exact(&mut [0]).unwrap();
}

fn send(bench: &Bench, path: &Path) {
    let store: Store<f64, Ix1, ReadOnly> = Store::open(path).unwrap();
    let nbytes = store.nbytes();
    // The header on the way is that of `np.save`.
    let (to_ours, to_bare) = (sink(128 + nbytes), sink(nbytes));
    let file = File::open(path).unwrap();
    let mut sides = [
        Side::new("Store::send", || {
            store.send(&to_ours).unwrap();
            wait(&to_ours);
        }),
        #[cfg(target_os = "linux")]
        Side::new("sendfile", || {
            let mut offset = HEADER as u64;
            let end = offset + nbytes as u64;
            while offset < end {
                let rest = (end - offset) as usize;
                rustix::fs::sendfile(&to_bare, &file, Some(&mut offset), rest).unwrap();
            }
            wait(&to_bare);
        }),
        Side::new("Store::write_to", || {
            store.write_to(&to_ours).unwrap();
            wait(&to_ours);
        }),
    ];
    bench.pairs(SEND, 1, &mut sides);
}

fn compress(bench: &Bench, question: &'static str, element: impl Fn(usize) -> f64) {
    if !bench.wants(question) {
        return;
    }
    let path = bench.path("zlib.npy");
    let array = Array1::from_shape_fn(bench.nbytes() / 4 / size_of::<f64>(), element);
    let store = Store::create_from(&path, &array).unwrap();
    let ours = Side::new("ndstore", || {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::new(LEVEL));
        store.write_to(&mut encoder).unwrap();
        encoder.finish().unwrap()
    });
    let level = LEVEL.to_string();
    let arguments = [path.as_os_str(), level.as_ref()];
    let mut sides = vec![ours];
    sides.extend(Side::numpy("zlib.compress", "zlib_compress", &arguments));
    bench.pairs(question, 1, &mut sides);
}

fn archive(bench: &Bench, npy: &Path, array: &Array1<f64>) {
    let path = bench.path("archive.npz");
    let mut npz = NpzWriter::create(&path).unwrap();
    npz.add("first", &Array1::<u8>::zeros(100)).unwrap();
    npz.add("array", array).unwrap();
    npz.finish().unwrap();
    let open = Npz::open(&path).unwrap();
    let mut sides = [
        Side::new("Npz", || {
            let npz = Npz::open(&path).unwrap();
            let store = npz.open_member::<f64, Ix1>("array").unwrap();
            common::map_store(store).view()[0]
        }),
        Side::new("Store::open", || common::mapped::<Ix1>(npy).view()[0]),
    ];
    bench.pairs(OPEN_ARCHIVE, OPENINGS, &mut sides);
    sides[0] = Side::new("Npz::open_member", || {
        common::map_store(open.open_member::<f64, Ix1>("array").unwrap()).view()[0]
    });
    bench.pairs(OPEN_MEMBER, OPENINGS, &mut sides);
}

/// A power of two is the worst side for caches: a column's elements all want the same place there.
fn reorder(bench: &Bench) {
    let side = (bench.nbytes() / 4 / size_of::<f64>())
        .isqrt()
        .next_power_of_two();
    let array = Array2::<f64>::ones((side, side).f());
    let text = side.to_string();
    let mut sides = vec![
        Side::new("to_bytes", || to_bytes(&array, Order::C).unwrap()),
        Side::new("a plain copy", || to_bytes(&array, Order::F).unwrap()),
        Side::new("ndarray's assign", || {
            let mut packed = Array2::<f64>::zeros((side, side));
            packed.assign(&array);
            packed
        }),
    ];
    sides.extend(Side::numpy("tobytes", "tobytes", &[text.as_ref()]));
    bench.pairs(REORDER, 1, &mut sides);
}

fn main() {
    let bench = Bench::new();
    if [SEND, OPEN_ARCHIVE, OPEN_MEMBER]
        .iter()
        .any(|question| bench.wants(question))
    {
        let (path, array) = (bench.path("exchange.npy"), bench.array());
        drop(Store::create_from(&path, &array).unwrap());
        send(&bench, &path);
        archive(&bench, &path, &array);
    }
    if bench.wants(REORDER) {
        reorder(&bench);
    }
    compress(&bench, "zlib of noise", |i| {
        (i as f64 * 0.618_033_988_749_894_9).fract()
    });
    compress(&bench, "zlib of a ramp", |i| i as f64);
}
