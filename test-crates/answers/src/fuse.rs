//! A FUSE server that returns any value from `ioctl`. The kernel passes it on unchanged.

use crate::made_up::{any_ioctl, is_an_error, ANSWERS};
use crate::{check, Check};
use barepoll::fd::OwnedFd;
use barepoll::{BusyPoll, Epoll, Errno};
use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::io::AsRawFd;
use std::path::Path;
use std::sync::atomic::{AtomicI32, Ordering::SeqCst};
use std::{fs, thread};

const DEVICE: &str = "/dev/fuse";

/// Whether this process can open the FUSE device and mount a file system.
pub fn opens() -> bool {
    // SAFETY: no pointer.
    open().is_ok() && unsafe { libc::geteuid() } == 0
}

fn open() -> io::Result<File> {
    File::options().read(true).write(true).open(DEVICE)
}

pub fn checks() -> Vec<Check> {
    vec![check("a server's answers to epoll's requests are values or errors", answers_are_values_or_errors)]
}

/// The server's next answer.
static ANSWER: AtomicI32 = AtomicI32::new(0);

fn answers_are_values_or_errors() {
    let folder = std::env::temp_dir().join(format!("barepoll-fuse-{}", std::process::id()));
    fs::create_dir(&folder).expect("a folder");
    let device = open().expect("it opened before");
    mount(&device, &folder);
    let server = thread::spawn(move || serve(device));
    let file = File::open(&folder).expect("the file system's root opens");

    for answer in ANSWERS.into_iter().chain([-4097, -1, 7]) {
        ANSWER.store(answer, SeqCst);
        let what = format!("answered with {answer}");
        is_right(answer, any_ioctl(file.as_raw_fd()), &what);
        let epoll = Epoll::from(barepoll_fd(file.try_clone().expect("a duplicate")));
        is_right(answer, epoll.busy_poll().map(|_| None), &what);
        is_right(answer, epoll.set_busy_poll(BusyPoll::default()).map(|()| None), &what);
    }
    drop(file);
    unmount(&folder);
    fs::remove_dir(&folder).expect("the folder is empty");
    server.join().expect("no panic");
}

/// Converts to barepoll's `OwnedFd`, which is std's only with feature `std`.
fn barepoll_fd(file: File) -> OwnedFd {
    // SAFETY: `into_raw_fd` gives up ownership.
    unsafe { barepoll::fd::FromRawFd::from_raw_fd(std::os::unix::io::IntoRawFd::into_raw_fd(file)) }
}

fn is_right(answer: i32, given: Result<Option<usize>, Errno>, what: &str) {
    match answer {
        -4095..=-1 => {
            is_an_error(given, what);
            assert_eq!(given, Err(Errno::from_raw(-answer).expect("an error number")), "{what}");
        }
        _ => assert!(matches!(given, Ok(None)) || given == Ok(Some(answer as usize)), "{what}: {given:?}"),
    }
}

/// Mounts in a private namespace, which ends with this process.
fn mount(device: &File, folder: &Path) {
    let folder = CString::new(folder.as_os_str().as_bytes()).expect("no zero");
    let options = format!("fd={},rootmode=40000,user_id=0,group_id=0", device.as_raw_fd());
    let options = CString::new(options).expect("no zero");
    let private = libc::MS_REC | libc::MS_PRIVATE;
    // SAFETY: the strings outlive the calls.
    let mounted = unsafe {
        assert_eq!(libc::unshare(libc::CLONE_NEWNS), 0, "{}", io::Error::last_os_error());
        let root = libc::mount(c"none".as_ptr(), c"/".as_ptr(), std::ptr::null(), private, std::ptr::null());
        assert_eq!(root, 0, "{}", io::Error::last_os_error());
        libc::mount(c"barepoll".as_ptr(), folder.as_ptr(), c"fuse".as_ptr(), 0, options.as_ptr().cast())
    };
    assert_eq!(mounted, 0, "{}", io::Error::last_os_error());
}

fn unmount(folder: &Path) {
    let folder = CString::new(folder.as_os_str().as_bytes()).expect("no zero");
    // SAFETY: the string outlives the call.
    assert_eq!(unsafe { libc::umount2(folder.as_ptr(), 0) }, 0, "{}", io::Error::last_os_error());
}

/// The requests that an empty directory receives, from `linux/fuse.h`.
const FORGET: u32 = 2;
const GETATTR: u32 = 3;
const INIT: u32 = 26;
const OPENDIR: u32 = 27;
const RELEASEDIR: u32 = 29;
const INTERRUPT: u32 = 36;
const DESTROY: u32 = 38;
const IOCTL: u32 = 39;
/// Length of a request's header in bytes.
const HEADER: usize = 40;
/// The protocol version.
const MAJOR: u32 = 7;
const MINOR: u32 = 31;

/// Serves until the file system is unmounted.
fn serve(mut device: File) {
    let mut request = vec![0; 1 << 17];
    loop {
        match device.read(&mut request) {
            Ok(HEADER..) => {}
            // Unmounted.
            Err(error) if error.raw_os_error() == Some(libc::ENODEV) => return,
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => continue,
            other => panic!("{other:?}"),
        }
        let word = |place: usize| u32::from_ne_bytes(request[place..place + 4].try_into().expect("four bytes"));
        let (error, body) = match word(4) {
            FORGET | INTERRUPT => continue,
            INIT => (0, words(&[MAJOR, MINOR, 0, 0, 0, 1 << 16, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0])),
            GETATTR => (0, attributes()),
            OPENDIR => (0, words(&[0; 4])),
            RELEASEDIR | DESTROY => (0, Vec::new()),
            IOCTL => {
                let out = word(HEADER + 28) as usize;
                (0, [words(&[ANSWER.load(SeqCst) as u32, 0, 0, 0]), vec![0; out]].concat())
            }
            _ => (-libc::ENOSYS, Vec::new()),
        };
        let length = 16 + body.len() as u32;
        let head = [&length.to_ne_bytes()[..], &error.to_ne_bytes(), &request[8..16]].concat();
        match device.write(&[head, body].concat()) {
            Ok(_) => {}
            // The caller is gone.
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

/// `struct fuse_attr_out` of a directory.
fn attributes() -> Vec<u8> {
    let mut all = [0; 26];
    all[4] = 1; // the inode's number
    all[4 + 15] = libc::S_IFDIR | 0o755;
    all[4 + 16] = 2;
    words(&all)
}
