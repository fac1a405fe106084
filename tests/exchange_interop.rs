//! Exchanges arrays with real Python and NumPy: bytes, raw files, sockets, compression, archives.
//!
//! Needs `python3` with NumPy, and fails where they are missing:
//! `cargo test --all-features --test exchange_interop -- --ignored`. Each script is a few lines of
//! what a user would write.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use ndarray::prelude::*;
use ndstore::{
    Bool8, Element, MemoryOrder, Options, Order, Store, from_bytes, from_bytes_as, from_file,
    read_npy, to_bytes, to_file, write_npy,
};
use tempfile::TempDir;

/// Starts Python on a script, whose `sys.argv` has the arguments from 1 on.
fn start(script: &str, arguments: &[&str]) -> Child {
    Command::new("python3")
        .args(["-c", &format!("import sys, numpy as np\n{script}")])
        .args(arguments)
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 is there")
}

/// Waits for a script, which must succeed, and returns what it printed.
fn finish(child: Child) -> String {
    let output = child.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "python3 with NumPy is needed, and its script must succeed"
    );
    String::from_utf8(output.stdout)
        .unwrap()
        .trim_end()
        .to_owned()
}

fn python(script: &str, arguments: &[&str]) -> String {
    finish(start(script, arguments))
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// How a view is cut out of an array.
type Cut<A> = fn(&ArrayD<A>) -> ArrayViewD<'_, A>;

/// Arrays of every layout: dense in C, in F and in both, empty, without axes, and with gaps.
fn layouts<A: Element>(element: impl Fn(usize) -> A) -> Vec<(ArrayD<A>, Cut<A>, &'static str)> {
    let array = |shape: &[usize], order: Order| {
        let mut indices = 0..;
        let c = ArrayD::from_shape_simple_fn(IxDyn(shape), || element(indices.next().unwrap()));
        let mut array = ArrayD::from_elem(IxDyn(shape).set_f(order == Order::F), element(0));
        array.assign(&c);
        array
    };
    vec![
        (array(&[3, 4], Order::C), |a| a.view(), "a"),
        (
            array(&[2, 3, 4], Order::F),
            |a| a.view(),
            "np.asfortranarray(a)",
        ),
        (array(&[6], Order::C), |a| a.view(), "a"),
        (array(&[], Order::C), |a| a.view(), "a"),
        (array(&[0, 3], Order::F), |a| a.view(), "a"),
        (
            array(&[5, 7], Order::C),
            |a| a.slice_each_axis(|axis| ndarray::Slice::new(axis.axis.index() as isize, None, 2)),
            "a[::2, 1::2]",
        ),
        (
            array(&[4, 5], Order::F),
            |a| {
                let mut v = a.view();
                v.invert_axis(Axis(0));
                v
            },
            "np.asfortranarray(a)[::-1]",
        ),
    ]
}

/// Compares bytes, raw files and NPY of one element type with NumPy's.
fn agrees<A: Element + PartialEq + std::fmt::Debug>(element: impl Fn(usize) -> A) {
    let directory = TempDir::new().unwrap();
    let (source, raw) = (
        directory.path().join("source.npy"),
        directory.path().join("raw"),
    );
    let descr = A::dtype().descr();
    for (array, cut, expression) in layouts(element) {
        let view = cut(&array);
        // In C order, whatever the layout: the script makes the layout itself.
        let plain = from_bytes::<A, _>(
            &to_bytes(&array, Order::C).unwrap(),
            array.raw_dim(),
            Order::C,
        )
        .unwrap();
        drop(Store::create_from(&source, &plain).unwrap());
        let file = |name: &str| fs::read(directory.path().join(name)).unwrap();
        let script = format!(
            "import os
a = np.load(sys.argv[1]); os.chdir(sys.argv[2]); a = {expression}
for order in 'CFAK': open(order, 'wb').write(a.tobytes(order))
a.tofile('raw')
assert np.array_equal(np.fromfile('raw', {descr:?}).reshape(a.shape), a)
np.save('saved.npy', a)"
        );
        python(&script, &[text(&source), text(directory.path())]);
        for (letter, order) in [
            ("C", MemoryOrder::C),
            ("F", MemoryOrder::F),
            ("A", MemoryOrder::A),
            ("K", MemoryOrder::C),
        ] {
            let theirs = file(letter);
            assert_eq!(
                to_bytes(&view, order).unwrap(),
                theirs,
                "{descr} {expression} {letter}"
            );
        }
        for (letter, order) in [("C", Order::C), ("F", Order::F)] {
            let back = from_bytes_as::<A, _>(&descr, &file(letter), view.raw_dim(), order);
            assert_eq!(back.unwrap(), view);
        }
        let theirs = file("raw");
        to_file(&raw, &view).unwrap();
        assert_eq!(file("raw"), theirs, "{descr} {expression}");
        // A stream is np.save's, byte for byte.
        let mut stream = Vec::new();
        write_npy(&mut stream, &view).unwrap();
        assert_eq!(stream, file("saved.npy"), "{descr} {expression}");
        assert_eq!(read_npy::<A, IxDyn>(&stream[..]).unwrap().unwrap(), view);
    }
}

/// `cargo test --all-features --test exchange_interop -- --ignored`
#[test]
#[ignore = "needs python3 with NumPy"]
fn bytes_raw_files_and_streams_are_those_of_numpy() {
    agrees(|i| i as f64 / 4.0);
    agrees(|i| i as i16 - 3);
    agrees(|i| Bool8::from(i % 3 == 0));
}

/// `cargo test --all-features --test exchange_interop -- --ignored`
#[test]
#[ignore = "needs python3 with NumPy"]
fn a_raw_file_is_read_as_fromfile_reads_it() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("raw");
    python(
        "np.arange(20, dtype='<u2').tofile(sys.argv[1])",
        &[text(&path)],
    );
    for (count, offset) in [
        (None, 0),
        (None, 6),
        (Some(3), 6),
        (Some(3), 5),
        (Some(0), 40),
    ] {
        let script = "print(np.fromfile(sys.argv[1], '<u2', int(sys.argv[2]), offset=int(sys.argv[3])).tolist())";
        let limit = count.map_or("-1".to_owned(), |count: usize| count.to_string());
        let theirs = python(script, &[text(&path), &limit, &offset.to_string()]);
        assert_eq!(
            format!(
                "{:?}",
                from_file::<u16>(&path, count, offset).unwrap().to_vec()
            ),
            theirs
        );
    }
}

/// Python's end of a socket.
const CONNECT: &str = "import socket
sock = socket.create_connection(('127.0.0.1', int(sys.argv[1])))
";

fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    (listener, port)
}

/// `cargo test --all-features --test exchange_interop -- --ignored`
#[test]
#[ignore = "needs python3 with NumPy"]
fn numpy_reads_what_is_sent() {
    let directory = TempDir::new().unwrap();
    let array = Array::from_shape_fn((300, 2000).f(), |(i, j)| i as f64 * 1e-3 + j as f64);
    let store = Store::create_from(directory.path().join("a.npy"), &array).unwrap();
    let (listener, port) = listen();
    let script = format!(
        "{CONNECT}
stream = sock.makefile('rb', buffering=0)
i, j = np.indices((300, 2000))
expected = i * 1e-3 + j
for _ in range(2):
    array = np.lib.format.read_array(stream)
    assert array.flags.f_contiguous and array.dtype == '<f8'
    np.testing.assert_array_equal(array, expected)
np.testing.assert_array_equal(np.lib.format.read_array(stream), [[1, 2], [3, 4]])
assert stream.read() == b''"
    );
    let child = start(&script, &[&port]);
    let socket: TcpStream = listener.accept().unwrap().0;
    store.send(&socket).unwrap();
    store.write_to(&socket).unwrap();
    write_npy(&socket, &array![[1_u8, 2], [3, 4]]).unwrap();
    drop(socket);
    finish(child);
}

/// `cargo test --all-features --test exchange_interop -- --ignored`
#[test]
#[ignore = "needs python3 with NumPy"]
fn what_numpy_sends_is_received() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("received.npy");
    let (listener, port) = listen();
    let script = format!(
        "{CONNECT}
class Bare:
    def __init__(self, sock): self.write = sock.sendall
a = np.arange(600000, dtype='<f4').reshape(600, 1000)
np.lib.format.write_array(Bare(sock), a)
np.lib.format.write_array(Bare(sock), np.asfortranarray(a))
np.lib.format.write_array(Bare(sock), a.astype('>f4')[:2, :3])"
    );
    let child = start(&script, &[&port]);
    let socket = listener.accept().unwrap().0;
    let expected = Array::from_shape_fn((600, 1000), |(i, j)| (i * 1000 + j) as f32);
    let options = Options::new().max_nbytes(1 << 22);
    for order in [Order::C, Order::F] {
        let store = options
            .receive::<f32, Ix2>(&socket, &path)
            .unwrap()
            .unwrap();
        assert_eq!(
            (store.order(), store.read_all().unwrap()),
            (order, expected.clone())
        );
    }
    let foreign = options.receive_any(&socket, &path).unwrap().unwrap();
    assert_eq!(foreign.dtype().descr(), ">f4");
    assert_eq!(
        foreign.to_bytes().unwrap()[..8],
        [0, 0, 0, 0, 0x3f, 0x80, 0, 0]
    );
    assert!(read_npy::<f32, Ix2>(&socket).unwrap().is_none());
    finish(child);
}

/// `cargo test --all-features --test exchange_interop -- --ignored`
#[test]
#[ignore = "needs python3 with NumPy"]
fn zlib_and_gzip_go_both_ways() {
    use std::io::{Read, Write};

    use flate2::{Compression, read, write};
    let directory = TempDir::new().unwrap();
    let (ours, theirs) = (
        directory.path().join("ours"),
        directory.path().join("theirs"),
    );
    let array = Array::from_shape_fn((30, 40), |(i, j)| (i * j) as f64 / 8.0);

    for level in [1, 6, 9] {
        let mut encoder = write::ZlibEncoder::new(Vec::new(), Compression::new(level));
        encoder
            .write_all(&to_bytes(&array, Order::C).unwrap())
            .unwrap();
        fs::write(&ours, encoder.finish().unwrap()).unwrap();
        let script = "import zlib
i, j = np.indices((30, 40)); a = i * j / 8
b = np.frombuffer(zlib.decompress(open(sys.argv[1], 'rb').read()), '<f8').reshape(30, 40)
np.testing.assert_array_equal(a, b)
open(sys.argv[2], 'wb').write(zlib.compress(a.tobytes('F'), int(sys.argv[3])))";
        python(script, &[text(&ours), text(&theirs), &level.to_string()]);
        let mut bytes = Vec::new();
        read::ZlibDecoder::new(&fs::read(&theirs).unwrap()[..])
            .read_to_end(&mut bytes)
            .unwrap();
        assert_eq!(
            from_bytes::<f64, _>(&bytes, (30, 40), Order::F).unwrap(),
            array
        );
    }

    let mut encoder = write::GzEncoder::new(Vec::new(), Compression::default());
    write_npy(&mut encoder, &array).unwrap();
    fs::write(&ours, encoder.finish().unwrap()).unwrap();
    let script = "import gzip
a = np.load(gzip.open(sys.argv[1]))
with gzip.open(sys.argv[2], 'wb') as f: np.save(f, a)";
    python(script, &[text(&ours), text(&theirs)]);
    let decoder = read::GzDecoder::new(fs::File::open(&theirs).unwrap());
    let back = Options::new()
        .expect_end(true)
        .read_npy::<f64, Ix2>(decoder)
        .unwrap();
    assert_eq!(back, Some(array));
}

#[cfg(feature = "npz")]
/// `cargo test --all-features --test exchange_interop -- --ignored`
#[test]
#[ignore = "needs python3 with NumPy"]
fn archives_go_both_ways() {
    use ndstore::{Le, Npz, NpzWriter};
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("a.npz");
    let (x, y) = (
        Array::from_shape_fn((30, 40).f(), |(i, j)| i as f64 - j as f64),
        Array::from_shape_fn(9999, |i| i as u16),
    );

    let mut npz = NpzWriter::create(&path).unwrap();
    npz.add("x", &x).unwrap();
    npz.add_deflated("dir/y", &y).unwrap();
    npz.add("näme", &arr0(7_i64)).unwrap();
    npz.add("empty", &Array2::<f32>::zeros((0, 3))).unwrap();
    npz.finish().unwrap();
    let script = "import zipfile
assert zipfile.ZipFile(sys.argv[1]).testzip() is None
npz = np.load(sys.argv[1])
assert npz.files == ['x', 'dir/y', 'n\\u00e4me', 'empty'], npz.files
i, j = np.indices((30, 40))
np.testing.assert_array_equal(npz['x'], (i - j).astype('<f8'))
assert npz['x'].flags.f_contiguous
np.testing.assert_array_equal(npz['dir/y'], np.arange(9999, dtype='<u2'))
assert npz['n\\u00e4me'] == 7 and npz['empty'].shape == (0, 3)";
    python(script, &[text(&path)]);

    for (save, compressed) in [("savez", false), ("savez_compressed", true)] {
        let script = format!(
            "i, j = np.indices((30, 40))
np.{save}(sys.argv[1], x=np.asfortranarray((i - j).astype('<f8')), y=np.arange(9999, dtype='<u2'))"
        );
        python(&script, &[text(&path)]);
        let npz = Npz::open(&path).unwrap();
        assert_eq!(npz.names().collect::<Vec<_>>(), ["x", "y"]);
        assert!(
            npz.members()
                .all(|member| member.unwrap().is_compressed() == compressed)
        );
        assert_eq!(npz.read::<f64, Ix2>("x").unwrap(), x);
        assert_eq!(
            npz.unpack::<u16, Ix1>("y", directory.path())
                .unwrap()
                .read_all()
                .unwrap(),
            y
        );
        if !compressed {
            assert_eq!(
                npz.open_member_any("x").unwrap().to_bytes().unwrap(),
                to_bytes(&x, Order::F).unwrap()
            );
            // NumPy aligns nothing: where elements lie depends on the names.
            let askew = npz.open_member::<Le<f64>, Ix2>("x").unwrap();
            assert_eq!(askew.read_all().unwrap().mapv(Le::get), x);
        }
    }
}

#[cfg(feature = "npz")]
/// `cargo test --all-features --test exchange_interop -- --ignored`
#[test]
#[ignore = "needs python3 with NumPy"]
fn every_member_that_numpy_reads_is_read_wherever_it_lies() {
    use ndstore::{AnyStore, Npz};
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("a.npz");
    // Names of every length, so that members lie at every offset; then members that only other
    // tools write.
    let script = "import io, zipfile
names = {'n' * (1 + i): np.arange(10 + i).astype(d).reshape(-1, 1)
    for i, d in enumerate(['<f8', '>f4', '<i2', '|u1', '<c16', '<M8[ns]', '|S3', '<U2'] * 3)}
if sys.argv[2] == 'plain':
    np.savez(sys.argv[1], **names)
else:
    np.savez_compressed(sys.argv[1], **names)
def npy(*values, behind=b''):
    f = io.BytesIO(); np.save(f, np.array(values, 'i8')); return f.getvalue() + behind
how = zipfile.ZIP_STORED if sys.argv[2] == 'plain' else zipfile.ZIP_DEFLATED
with zipfile.ZipFile(sys.argv[1], 'a', how) as z:
    z.writestr('a', npy(2)); z.writestr('a.npy', npy(1)); z.writestr('plain', npy(3))
    z.writestr('c.npy.npy', npy(5)); z.writestr('behind.npy', npy(6, 7, behind=b'more'))
    z.writestr('readme.txt', 'text')
z = np.load(sys.argv[1])
for name in dict.fromkeys([*z.files, 'a.npy', 'c.npy']):
    a = z[name]
    if isinstance(a, np.ndarray): print(name, a.dtype.str, a.tobytes('A').hex())";
    for way in ["plain", "compressed"] {
        let theirs = python(script, &[text(&path), way]);
        let npz = Npz::open(&path).unwrap();
        assert_eq!(npz.names().len(), 24 + 5);
        assert_eq!(theirs.lines().count(), 24 + 5, "{theirs}");
        let mut offsets = std::collections::HashSet::new();
        for line in theirs.lines() {
            let [name, descr, hex] = line.splitn(3, ' ').collect::<Vec<_>>()[..] else {
                panic!("{line}");
            };
            let unpacked = npz.unpack_any(name, directory.path()).unwrap();
            let mut stores: Vec<AnyStore> = vec![unpacked];
            if way == "plain" {
                let in_place = npz.open_member_any(name).unwrap();
                offsets.insert(in_place.offset() % 16);
                stores.push(in_place);
            } else {
                assert!(npz.member(name).unwrap().is_compressed());
            }
            for store in stores {
                assert_eq!(store.dtype().descr(), descr, "{name}");
                let bytes = store.to_bytes().unwrap();
                let found: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                assert_eq!(found, hex, "{name}");
            }
        }
        assert!(way == "compressed" || offsets.len() > 4, "{offsets:?}");
        let expected = Array::from_shape_fn((10, 1), |(i, _)| i as f64);
        assert_eq!(npz.read::<f64, Ix2>("n").unwrap(), expected);
        assert_eq!(npz.read::<i64, Ix1>("behind").unwrap(), array![6, 7]);
        if way == "plain" {
            let store = npz.open_member::<f64, Ix2>("n").unwrap();
            assert_ne!(store.offset() % 8, 0);
            assert_eq!(store.read(s![.., ..]).unwrap(), expected);
        }
    }
}
