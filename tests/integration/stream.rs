//! Arrays over streams: several in one, broken ones, hostile ones, and all kinds of sockets.

use std::fs;
use std::io::{self, Cursor, Read};
use std::path::Path;

use ndarray::prelude::*;
use ndstore::{AnyStore, ErrorKind, HeaderError, Options, Order, Store, read_npy, write_npy};
use tempfile::TempDir;

use super::allocations::largest_during;
use super::support::Why;
use super::support_numpy::Snapshot;

fn npy<A: ndstore::Element, D: Dimension>(array: &ArrayRef<A, D>) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_npy(&mut bytes, array).unwrap();
    bytes
}

/// The header of `np.save` for this text, with `data` behind it.
fn forged(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((text.len() as u16).to_le_bytes());
    bytes.extend(text.as_bytes());
    bytes.extend(data);
    bytes
}

/// Gives a byte at a time, with an interruption before each.
struct Hesitant<R>(R, bool);

impl<R: Read> Read for Hesitant<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.1 = !self.1;
        if self.1 {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let len = buffer.len().min(1);
        self.0.read(&mut buffer[..len])
    }
}

#[test]
fn arrays_follow_one_another_and_the_stream_ends_between_two() {
    let (a, b, c) = (
        array![[1.0, 2.0], [3.0, 4.0]],
        arr0(7_u8),
        Array2::<i16>::zeros((0, 3)),
    );
    let mut stream = npy(&a.t());
    stream.extend(npy(&b));
    stream.extend(npy(&c));
    let mut reader = Hesitant(&stream[..], false);
    assert_eq!(read_npy(&mut reader).unwrap(), Some(a.reversed_axes()));
    assert_eq!(read_npy(&mut reader).unwrap(), Some(b));
    assert_eq!(read_npy(&mut reader).unwrap(), Some(c));
    for _ in 0..2 {
        assert_eq!(read_npy::<u8, IxDyn>(&mut reader).unwrap(), None);
    }
}

#[test]
fn nothing_behind_the_last_element_is_read() {
    let (directory, array) = (TempDir::new().unwrap(), array![1_u16, 2, 3]);
    let mut stream = npy(&array);
    let len = stream.len() as u64;
    stream.extend(b"rest");
    let mut reader = Cursor::new(&stream);
    read_npy::<u16, Ix1>(&mut reader).unwrap();
    assert_eq!(reader.position(), len);
    reader.set_position(0);
    AnyStore::receive(&mut reader, directory.path().join("a.npy")).unwrap();
    assert_eq!(reader.position(), len);
}

#[test]
fn an_array_comes_back_from_a_stream_as_it_was() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("a.npy");
    // Longer than a chunk, which does not end with an element.
    let array = Array::from_shape_fn((3, 70_001).f(), |(i, j)| {
        [i as u8, j as u8, (j >> 8) as u8][i % 3]
    });
    let arrays = [
        array.view(),
        array.view().reversed_axes(),
        array.slice(s![..;2, ..;3]),
    ];
    for array in arrays {
        let stream = npy(&array);
        assert_eq!(read_npy::<u8, Ix2>(&stream[..]).unwrap().unwrap(), array);
        let store = Store::<u8, Ix2>::receive(&stream[..], &path)
            .unwrap()
            .unwrap();
        assert_eq!(store.read_all().unwrap(), array);
        let mut again = Vec::new();
        store.write_to(&mut again).unwrap();
        assert!(again == stream, "what came is sent on byte for byte");
        drop(store);
        assert_eq!(
            Store::<u8, Ix2>::open(&path).unwrap().read_all().unwrap(),
            array
        );
        let any = AnyStore::receive(&stream[..], &path).unwrap().unwrap();
        again.clear();
        any.write_to(&mut again).unwrap();
        assert!(again == stream);
    }
}

#[test]
fn foreign_byte_order_and_unknown_types_are_received_as_they_are() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("a.npy");
    for (descr, size) in [(">f8", 8), ("<U3", 12), ("|V5", 5), ("<M8[ns]", 8)] {
        let data: Vec<u8> = (0..4 * size).collect();
        let store = AnyStore::receive(&forged(descr, "(2, 2)", &data)[..], &path)
            .unwrap()
            .unwrap();
        assert_eq!(
            (store.dtype().descr(), store.shape()),
            (descr.to_owned(), &[2, 2][..])
        );
        assert_eq!(store.to_bytes().unwrap(), data);
        drop(store);
        assert_eq!(AnyStore::open(&path).unwrap().to_bytes().unwrap(), data);
    }
}

#[test]
fn a_stream_cut_at_any_byte_is_an_error_and_leaves_no_file() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("a.npy");
    let stream = npy(&array![[1_u32, 2, 3], [4, 5, 6]]);
    let empty = Snapshot::of(&path);
    for cut in 1..stream.len() {
        let part = &stream[..cut];
        for error in [
            read_npy::<u32, Ix2>(part).unwrap_err(),
            Store::<u32, Ix2>::receive(part, &path).unwrap_err(),
            AnyStore::receive(part, &path).unwrap_err(),
        ] {
            let ErrorKind::Truncated {
                expected, found, ..
            } = error.kind()
            else {
                panic!("cut at {cut}");
            };
            assert_eq!(*found, cut as u64);
            assert!(
                found < expected && *expected <= stream.len() as u64,
                "cut at {cut}"
            );
        }
        assert_eq!(Snapshot::of(&path), empty, "cut at {cut}");
    }
    assert!(
        Store::<u32, Ix2>::receive(&stream[..0], &path)
            .unwrap()
            .is_none()
    );
    assert_eq!(Snapshot::of(&path), empty);
}

#[test]
fn a_reader_that_panics_leaves_an_old_file_as_it_was_and_no_lock() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("a.npy");
    drop(Store::create_from(&path, &array![1.0, 2.0]).unwrap());
    let before = Snapshot::of(&path);
    let stream = npy(&Array1::<f64>::zeros(100_000));
    struct Panics;
    impl Read for Panics {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            panic!("as the test wants it")
        }
    }
    for cut in [0, 128, 70_000, stream.len() - 1] {
        let reader = std::panic::AssertUnwindSafe(stream[..cut].chain(Panics));
        std::panic::catch_unwind(|| Store::<f64, Ix1>::receive({ reader }.0, &path)).unwrap_err();
        assert_eq!(Snapshot::of(&path), before);
        Store::<f64, Ix1>::open_rw(&path).unwrap();
    }
}

#[test]
fn a_stream_that_fails_leaves_an_old_file_as_it_was() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("a.npy");
    drop(Store::create_from(&path, &array![1.0, 2.0]).unwrap());
    let before = Snapshot::of(&path);
    let stream = npy(&Array1::<f64>::zeros(100_000));
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::ConnectionReset.into())
        }
    }
    for cut in [0, 5, 128, 129, 70_000, stream.len() - 1] {
        let error = Store::<f64, Ix1>::receive(stream[..cut].chain(Broken), &path).unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::Io { cause, .. } if cause.kind() == io::ErrorKind::ConnectionReset)
        );
        assert_eq!(Snapshot::of(&path), before);
    }
    assert!(matches!(
        Store::<f32, Ix1>::receive(&stream[..], &path)
            .unwrap_err()
            .kind(),
        ErrorKind::DTypeMismatch { .. }
    ));
    assert!(matches!(
        Store::<f64, Ix2>::receive(&stream[..], &path)
            .unwrap_err()
            .kind(),
        ErrorKind::NdimMismatch { .. }
    ));
    assert!(matches!(
        Store::<f64, Ix2>::receive(&b"no header here"[..], &path)
            .unwrap_err()
            .kind(),
        ErrorKind::Header {
            cause: HeaderError::Magic { .. },
            ..
        }
    ));
    assert_eq!(Snapshot::of(&path), before);
    let held = Store::<f64, Ix1>::open(&path).unwrap();
    assert!(matches!(
        Store::<f64, Ix1>::receive(&stream[..], &path).why(),
        Some(ErrorKind::Locked { .. })
    ));
    drop(held);
    assert_eq!(Snapshot::of(&path), before);
}

#[test]
fn a_header_that_claims_more_than_comes_costs_no_memory() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("a.npy");
    for claim in ["(1099511627776,)", "(576460752303423487,)", "(4194304,)"] {
        let stream = forged("<f8", claim, &[1; 100_000]);
        let (read, largest) = largest_during(|| read_npy::<f64, Ix1>(&stream[..]));
        assert!(matches!(
            read.unwrap_err().kind(),
            ErrorKind::Truncated {
                found: 100_000..,
                ..
            }
        ));
        assert!(largest < 300_000, "{claim}: {largest}");
        let (received, largest) = largest_during(|| AnyStore::receive(&stream[..], &path));
        assert!(matches!(
            received.unwrap_err().kind(),
            ErrorKind::NoSpace { .. }
                | ErrorKind::FileTooLarge { .. }
                | ErrorKind::Truncated { .. }
        ));
        assert!(largest < 300_000, "{claim}: {largest}");
        assert!(!path.exists());
    }
    for claim in [
        "(9223372036854775807,)",
        "(1152921504606846976,)",
        "(0, 9223372036854775807)",
    ] {
        let refused = read_npy::<f64, IxDyn>(&forged("<f8", claim, &[])[..]).unwrap_err();
        assert!(
            matches!(
                refused.kind(),
                ErrorKind::Header { .. } | ErrorKind::ShapeTooLarge { .. }
            ),
            "{refused}"
        );
    }
    let mut header = b"\x93NUMPY\x02\x00\xff\xff\xff\xff".to_vec();
    header.resize(1 << 20, b' ');
    let (read, largest) = largest_during(|| read_npy::<f64, Ix1>(&header[..]));
    assert!(matches!(
        read.unwrap_err().kind(),
        ErrorKind::Header {
            cause: HeaderError::TooLong { .. },
            ..
        }
    ));
    assert!(largest < 10_000, "{largest}");
}

#[test]
fn memory_stays_small_while_a_large_array_is_received() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("a.npy");
    let stream = forged("|u1", "(20000000,)", &[]);
    let endless = stream.chain(io::repeat(5));
    let (received, largest) = largest_during(|| Store::<u8, Ix1>::receive(endless, &path));
    assert_eq!(
        received
            .unwrap()
            .unwrap()
            .read_all()
            .unwrap()
            .fold(0, |sum, &x| sum + x as u64),
        100_000_000
    );
    assert!(largest <= 64 << 10, "{largest}");
}

#[test]
fn an_endless_sender_is_refused_at_its_header() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("a.npy");
    let options = Options::new().max_nbytes(1000);
    let header = forged("|u1", "(1001,)", &[]);
    let mut reader = Cursor::new(header.clone()).chain(io::repeat(0));
    let error = options.receive::<u8, Ix1>(&mut reader, &path).unwrap_err();
    assert!(matches!(
        error.kind(),
        ErrorKind::OverLimit {
            nbytes: 1001,
            limit: 1000,
            ..
        }
    ));
    assert_eq!(reader.get_ref().0.position(), header.len() as u64);
    assert!(!path.exists());
    assert!(
        options
            .read_npy::<u8, Ix1>(header.chain(io::repeat(0)))
            .is_err()
    );
    let exact = forged("|u1", "(1000,)", &[]);
    assert!(
        options
            .read_npy::<u8, Ix1>(exact.chain(io::repeat(0)))
            .unwrap()
            .is_some()
    );
}

#[test]
fn options_say_what_is_expected_of_a_stream() {
    let stream = npy(&array![[1_u8, 2, 3], [4, 5, 6]]);
    let read = |options: Options| options.read_npy::<u8, Ix2>(&stream[..]);
    assert!(
        read(Options::new().shape((2, 3)).order(Order::C))
            .unwrap()
            .is_some()
    );
    assert!(matches!(
        read(Options::new().shape((3, 2))).unwrap_err().kind(),
        ErrorKind::ShapeMismatch { .. }
    ));
    assert!(matches!(
        read(Options::new().order(Order::F)).unwrap_err().kind(),
        ErrorKind::OrderMismatch
    ));
    let longer = [&stream[..], b"x"].concat();
    let options = Options::new().expect_end(true);
    assert!(options.read_npy::<u8, Ix2>(&stream[..]).unwrap().is_some());
    assert!(matches!(
        options.read_npy::<u8, Ix2>(&longer[..]).unwrap_err().kind(),
        ErrorKind::ExpectedEnd
    ));
}

#[test]
fn a_compressed_stream_with_a_wrong_sum_leaves_no_file() {
    use flate2::{Compression, read::ZlibDecoder, write::ZlibEncoder};
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("a.npy");
    let array = Array::from_shape_fn(50_000, |i| (i as f64).sqrt());
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    write_npy(&mut encoder, &array).unwrap();
    let mut stream = encoder.finish().unwrap();
    let options = Options::new().expect_end(true);
    let read = |stream: &[u8]| options.read_npy::<f64, Ix1>(ZlibDecoder::new(stream));
    assert_eq!(read(&stream).unwrap().unwrap(), array);
    let last = stream.len() - 1;
    stream[last] ^= 1;
    assert!(matches!(
        read(&stream).unwrap_err().kind(),
        ErrorKind::Io { .. }
    ));
    let received = options.receive::<f64, Ix1>(ZlibDecoder::new(&stream[..]), &path);
    assert!(matches!(received.unwrap_err().kind(), ErrorKind::Io { .. }));
    assert!(!path.exists());
    // Cut within the sum: every element is there.
    assert!(
        options
            .receive::<f64, Ix1>(ZlibDecoder::new(&stream[..last]), &path)
            .is_err()
    );
    assert!(!path.exists());
}

#[test]
fn arrays_pass_through_zstandard() {
    use zstd::{Decoder, Encoder};
    let array = Array::from_shape_fn((100, 100), |(i, j)| (i * j) as u32);
    let mut encoder = Encoder::new(Vec::new(), 3).unwrap();
    write_npy(&mut encoder, &array).unwrap();
    let stream = encoder.finish().unwrap();
    assert!(stream.len() < 20_000);
    assert_eq!(
        read_npy(Decoder::new(&stream[..]).unwrap()).unwrap(),
        Some(array)
    );
}

#[test]
fn a_writer_that_fails_is_an_error() {
    let array = Array1::<u8>::zeros(1000);
    for room in [0, 5, 128, 1127] {
        let mut buffer = vec![0; room];
        let error = write_npy(&mut buffer[..], &array).unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::Io { cause, .. } if cause.kind() == io::ErrorKind::WriteZero),
            "{room}"
        );
    }
}

#[cfg(unix)]
mod sockets {
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};
    use std::os::unix::net::UnixStream;
    use std::thread;
    use std::time::Duration;

    use super::*;

    /// A file of some megabytes, more than any socket takes at once, and the NPY that it is.
    fn large(path: &Path) -> (Store<u32, Ix2>, Vec<u8>) {
        let array = Array::from_shape_fn((1000, 1500), |(i, j)| (i * 1500 + j) as u32);
        (Store::create_from(path, &array).unwrap(), npy(&array))
    }

    fn receive_all(mut socket: impl Read + Send + 'static) -> thread::JoinHandle<Vec<u8>> {
        thread::spawn(move || {
            let mut bytes = Vec::new();
            socket.read_to_end(&mut bytes).unwrap();
            bytes
        })
    }

    #[test]
    fn a_store_arrives_whole_through_sockets_and_files() {
        let directory = TempDir::new().unwrap();
        let (store, expected) = large(&directory.path().join("a.npy"));

        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let arrived = receive_all(listener.accept().unwrap().0);
        store.send(&socket).unwrap();
        store.send(&socket).unwrap();
        drop(socket);
        assert!(arrived.join().unwrap() == [&expected[..], &expected].concat());

        let (socket, peer) = UnixStream::pair().unwrap();
        let arrived = receive_all(peer);
        store.send(&socket).unwrap();
        drop(socket);
        assert!(arrived.join().unwrap() == expected);

        // A file that is open for appending is none that the kernel sends to.
        let copy = directory.path().join("copy.npy");
        let file = fs::File::options()
            .create(true)
            .append(true)
            .open(&copy)
            .unwrap();
        store.send(&file).unwrap();
        assert!(fs::read(&copy).unwrap() == expected);
    }

    #[test]
    fn a_socket_that_does_not_block_takes_all_from_a_slow_start() {
        let directory = TempDir::new().unwrap();
        let (store, expected) = large(&directory.path().join("a.npy"));
        let (socket, mut peer) = UnixStream::pair().unwrap();
        socket.set_nonblocking(true).unwrap();
        let arrived = thread::spawn(move || {
            thread::sleep(Duration::from_millis(100));
            read_npy::<u32, Ix2>(&mut peer).unwrap().unwrap()
        });
        store.send(&socket).unwrap();
        assert!(npy(&arrived.join().unwrap()) == expected);
    }

    #[test]
    fn a_peer_that_takes_nothing_runs_into_the_time_limit_and_one_that_goes_is_an_error() {
        let directory = TempDir::new().unwrap();
        let (store, _) = large(&directory.path().join("a.npy"));
        let (socket, peer) = UnixStream::pair().unwrap();
        socket
            .set_write_timeout(Some(Duration::from_millis(50)))
            .unwrap();
        let error = store.send(&socket).unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::Io { cause, .. } if cause.kind() == io::ErrorKind::WouldBlock)
        );
        drop(peer);
        let error = store.send(&socket).unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::Io { cause, .. } if cause.kind() == io::ErrorKind::BrokenPipe)
        );
    }

    #[test]
    fn elements_are_sent_as_they_are_now_and_nothing_behind_them() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("a.npy");
        let mut store = Store::<u8, _>::create(&path, 3).unwrap();
        store.write_all(&arr0(7)).unwrap();
        let sent = |store: &dyn Fn(&UnixStream)| {
            let (socket, peer) = UnixStream::pair().unwrap();
            store(&socket);
            drop(socket);
            receive_all(peer).join().unwrap()
        };
        let found = sent(&|socket| store.send(socket).unwrap());
        assert_eq!(
            found,
            npy(&array![7_u8, 7, 7]),
            "a page that nobody flushed"
        );
        store.close().unwrap();

        fs::File::options()
            .append(true)
            .open(&path)
            .unwrap()
            .write_all(b"spare")
            .unwrap();
        let any = AnyStore::open(&path).unwrap();
        assert_eq!(
            sent(&|socket| any.send(socket).unwrap()),
            npy(&array![7_u8, 7, 7])
        );

        let none = Store::<u8, _>::create(directory.path().join("empty.npy"), (0, 5)).unwrap();
        assert_eq!(
            sent(&|socket| none.send(socket).unwrap()),
            npy(&Array2::<u8>::zeros((0, 5)))
        );
    }
}

#[test]
fn a_header_takes_no_more_memory_than_comes_however_long_it_may_be() {
    let claim = [
        b"\x93NUMPY\x02\x00",
        &u32::MAX.to_le_bytes()[..],
        b"{'descr':",
    ]
    .concat();
    let options = Options::new().max_header_size(usize::MAX);
    let (refused, largest) =
        largest_during(|| options.read_npy::<f64, Ix1>(&claim[..]).unwrap_err());
    assert!(
        matches!(
            refused.kind(),
            ErrorKind::Truncated {
                expected: 4_294_967_307,
                found: 21,
                ..
            }
        ),
        "it ends after its claim"
    );
    assert!(largest < 100_000, "{largest} bytes");
}

#[test]
#[cfg(unix)]
fn a_stream_that_no_memory_holds_is_an_error() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("a.npy");
    let mut peer = super::support::Peer::under("ulimit -v 600000", &path);
    let error = peer.ask("read_npy 1000000000").unwrap_err();
    let expected = "the system has no 8000000000 bytes of memory for it";
    assert!(error.contains(expected), "{error}");
    peer.ask("read_npy 1000").unwrap();
    peer.finish();
}
