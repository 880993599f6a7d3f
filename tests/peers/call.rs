//! Calls with every kind of argument, and random histories of them. None waits for ever: each wait
//! with a nonzero timeout is for an always ready epoll or an invalid descriptor.

use proptest::prelude::*;

// libc's numbers, not the tested ones.
const IN: u32 = libc::EPOLLIN as u32;
const OUT: u32 = libc::EPOLLOUT as u32;
const RDHUP: u32 = libc::EPOLLRDHUP as u32;
const ET: u32 = libc::EPOLLET as u32;
const ONESHOT: u32 = libc::EPOLLONESHOT as u32;
const EXCLUSIVE: u32 = libc::EPOLLEXCLUSIVE as u32;
const ADD: u32 = libc::EPOLL_CTL_ADD as u32;
const MOD: u32 = libc::EPOLL_CTL_MOD as u32;
const DEL: u32 = libc::EPOLL_CTL_DEL as u32;
const CLOEXEC: u32 = libc::EPOLL_CLOEXEC as u32;
const EFD_NONBLOCK: u32 = libc::EFD_NONBLOCK as u32;
const EFD_CLOEXEC: u32 = libc::EFD_CLOEXEC as u32;
const EFD_SEMAPHORE: u32 = libc::EFD_SEMAPHORE as u32;
pub const EPIOCGPARAMS: u32 = libc::EPIOCGPARAMS as u32;
pub const EPIOCSPARAMS: u32 = libc::EPIOCSPARAMS as u32;

/// Descriptors that each peer has at a time.
pub const SLOTS: usize = 12;

/// A descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fd {
    /// A slot, open or closed.
    Slot(usize),
    /// An epoll whose counter is always readable.
    Ready,
    /// A number that no descriptor has.
    Number(i32),
}

/// An address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The start of a readable and writable page.
    Page,
    /// One byte after it.
    Odd,
    /// The last sixteen bytes of that page: room for one event, then nothing writable.
    Edge,
    /// Its last four bytes.
    Last,
    /// Mapped, neither readable nor writable.
    Guard,
    /// Readable zeros.
    ReadOnly,
    Null,
    /// Unmapped.
    Low,
    /// A kernel address.
    High,
}

pub const NOT_WRITABLE: [Place; 5] = [Place::Guard, Place::ReadOnly, Place::Null, Place::Low, Place::High];

/// The call, timeout and mask of a wait.
#[derive(Clone, Copy, Debug)]
pub enum How {
    /// `epoll_wait`.
    Wait(i32),
    /// `epoll_pwait`.
    Masked(i32, Mask),
    /// `epoll_pwait2`, with seconds and nanoseconds.
    Fine(Time, Mask),
}

#[derive(Clone, Copy, Debug)]
pub enum Mask {
    None,
    Signals(u64),
    At(Place),
}

#[derive(Clone, Copy, Debug)]
pub enum Time {
    Forever,
    Span(i64, i64),
    At(Place),
}

/// A file that libc opens in every world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Pipe,
    Pair,
    Directory,
}

#[derive(Clone, Copy, Debug)]
pub enum Call {
    Open(Kind),
    Duplicate {
        from: usize,
        to: usize,
    },
    Shutdown {
        slot: usize,
        how: i32,
    },
    Close(Fd),
    Create {
        size: i32,
    },
    Create1 {
        flags: u32,
    },
    Eventfd {
        initial: u32,
        flags: u32,
    },
    Control {
        epoll: Fd,
        op: u32,
        fd: Fd,
        place: Place,
        events: u32,
        data: u64,
    },
    Wait {
        epoll: Fd,
        place: Place,
        max: i32,
        how: How,
        style: Style,
    },
    Read {
        fd: Fd,
        place: Place,
        bytes: usize,
    },
    /// Writes these eight bytes first.
    Write {
        fd: Fd,
        place: Place,
        bytes: usize,
        value: u64,
    },
    /// An ioctl on these eight bytes, which it may change.
    Ioctl {
        fd: Fd,
        request: u32,
        place: Place,
        value: u64,
    },
}

/// The wait of `Epoll` to use where several can express the call.
#[derive(Clone, Copy, Debug)]
pub enum Style {
    Plain,
    Uninterrupted,
    Spinning,
}

/// Open before the first call: epolls at 0 and 1, counters at 2 and 3, a pipe at 4 and 5, sockets
/// at 6 and 7.
pub const FIRST: [Call; 6] = [
    Call::Create1 { flags: CLOEXEC },
    Call::Create1 { flags: 0 },
    Call::Eventfd { initial: 0, flags: EFD_NONBLOCK },
    Call::Eventfd { initial: 1, flags: EFD_NONBLOCK | EFD_SEMAPHORE },
    Call::Open(Kind::Pipe),
    Call::Open(Kind::Pair),
];

fn fd(usual: &'static [usize]) -> impl Strategy<Value = Fd> {
    prop_oneof![
        16 => prop::sample::select(usual).prop_map(Fd::Slot),
        2 => (0..SLOTS).prop_map(Fd::Slot),
        1 => Just(Fd::Ready),
        1 => prop_oneof![prop::sample::select(&[-1, i32::MIN, i32::MAX, 1 << 20][..]), i32::MIN..0].prop_map(Fd::Number),
    ]
}

fn place() -> impl Strategy<Value = Place> {
    prop_oneof![
        12 => Just(Place::Page),
        2 => prop::sample::select(&[Place::Odd, Place::Edge, Place::Last][..]),
        2 => prop::sample::select(&NOT_WRITABLE[..]),
    ]
}

fn bits(usual: &'static [u32]) -> impl Strategy<Value = u32> {
    prop_oneof![
        8 => prop::sample::select(usual),
        2 => (prop::sample::select(usual), 0..32).prop_map(|(usual, bit)| usual | 1_u32 << bit),
        1 => (0..32).prop_map(|bit| 1_u32 << bit),
        1 => any::<u32>(),
    ]
}

fn mask() -> impl Strategy<Value = Mask> {
    prop_oneof![
        2 => Just(Mask::None),
        3 => prop_oneof![Just(0), Just(u64::MAX), any::<u64>()].prop_map(Mask::Signals),
        1 => place().prop_map(Mask::At),
    ]
}

fn time() -> impl Strategy<Value = Time> {
    let seconds = prop::sample::select(&[0, 0, 1, -1, i64::MIN, i64::MAX, 1 << 31, 1 << 32][..]);
    let nanos = prop::sample::select(
        &[0, 1, 999_999, 1_000_000, 999_999_999, 1_000_000_000, -1, i64::MIN, i64::MAX, 1 << 32][..],
    );
    prop_oneof![
        1 => Just(Time::Forever),
        4 => (seconds, nanos).prop_map(|(seconds, nanos)| Time::Span(seconds, nanos)),
        1 => prop::sample::select(&NOT_WRITABLE[..]).prop_map(Time::At),
    ]
}

fn wait() -> impl Strategy<Value = Call> {
    const EVENT: i32 = std::mem::size_of::<barepoll::Event>() as i32;
    const MOST: i32 = i32::MAX / EVENT;
    let now = prop_oneof![
        4 => Just(How::Wait(0)),
        1 => mask().prop_map(|mask| How::Masked(0, mask)),
        1 => mask().prop_map(|mask| How::Fine(Time::Span(0, 0), mask)),
    ];
    let ms = || prop::sample::select(&[-1, -5, i32::MIN, 0, 1, 1000, i32::MAX][..]);
    let long = prop_oneof![
        1 => ms().prop_map(How::Wait),
        1 => (ms(), mask()).prop_map(|(ms, mask)| How::Masked(ms, mask)),
        2 => (time(), mask()).prop_map(|(time, mask)| How::Fine(time, mask)),
    ];
    let nobody = prop::sample::select(&[Fd::Ready, Fd::Ready, Fd::Ready, Fd::Number(-1), Fd::Number(i32::MAX)][..]);
    let asked = prop_oneof![3 => (fd(&[0, 0, 1]), now), 2 => (nobody, long)];
    let max = prop_oneof![
        8 => prop::sample::select(&[1, 2, 8, 100][..]),
        2 => prop::sample::select(&[0, -1, i32::MIN, i32::MAX, MOST, MOST + 1, MOST - 1][..]),
    ];
    let style = prop::sample::select(&[Style::Plain, Style::Uninterrupted, Style::Spinning][..]);
    (asked, place(), max, style).prop_map(|((epoll, how), place, max, style)| Call::Wait {
        epoll,
        place,
        max,
        how,
        style,
    })
}

pub fn call() -> impl Strategy<Value = Call> {
    let events = bits(&[IN, OUT, IN | OUT, IN | ET, IN | ONESHOT, IN | EXCLUSIVE, IN | RDHUP, 0]);
    let op = prop_oneof![
        24 => prop::sample::select(&[ADD, ADD, ADD, MOD, DEL][..]),
        1 => prop::sample::select(&[0, 4, 5, 1 << 31, u32::MAX, ADD | 1 << 31][..]),
    ];
    let bytes = || prop::sample::select(&[8, 8, 8, 1, 7, 9, 0, 16, 100, 4095][..]);
    let most = prop::sample::select(&[u64::MAX, u64::MAX - 1, u64::MAX - 2][..]);
    let value = prop_oneof![4 => 0..3_u64, 2 => most, 1 => any::<u64>()];
    // `epoll_params` with valid flags and zero padding, and without.
    let params = prop_oneof![
        any::<[u8; 7]>().prop_map(|b| [b[0], b[1], b[2], b[3] & 0x7f, b[4] & 63, 0, b[5] & 1, 0]),
        any::<[u8; 8]>()
    ];
    let request = bits(&[EPIOCGPARAMS, EPIOCSPARAMS]);
    prop_oneof![
        1 => prop::sample::select(&[Kind::Pipe, Kind::Pair, Kind::Directory][..]).prop_map(Call::Open),
        1 => (0..SLOTS, 8..SLOTS).prop_map(|(from, to)| Call::Duplicate { from, to }),
        1 => (6..8_usize, 0..4).prop_map(|(slot, how)| Call::Shutdown { slot, how }),
        2 => fd(&[2, 4, 5, 6, 7, 8, 9, 10, 11]).prop_filter("it stays open", |fd| *fd != Fd::Ready).prop_map(Call::Close),
        1 => prop::sample::select(&[1, 0, -1, i32::MIN, i32::MAX][..]).prop_map(|size| Call::Create { size }),
        2 => bits(&[0, CLOEXEC]).prop_map(|flags| Call::Create1 { flags }),
        3 => (prop_oneof![0..3_u32, any::<u32>()], bits(&[0, EFD_NONBLOCK, EFD_NONBLOCK | EFD_SEMAPHORE, EFD_CLOEXEC]))
            .prop_map(|(initial, flags)| Call::Eventfd { initial, flags }),
        14 => (fd(&[0, 0, 1]), op, fd(&[1, 2, 3, 4, 5, 6, 7, 8, 9]), place(), events, any::<u64>())
            .prop_filter("it stays ready", |(epoll, ..)| *epoll != Fd::Ready)
            .prop_map(|(epoll, op, fd, place, events, data)| Call::Control { epoll, op, fd, place, events, data }),
        12 => wait(),
        6 => (fd(&[2, 3, 4, 6, 7]), place(), bytes()).prop_map(|(fd, place, bytes)| Call::Read { fd, place, bytes }),
        6 => (fd(&[2, 3, 5, 6, 7]), place(), bytes(), value)
            .prop_map(|(fd, place, bytes, value)| Call::Write { fd, place, bytes, value }),
        2 => (fd(&[0, 1]), request, place(), params).prop_map(|(fd, request, place, value)| {
            Call::Ioctl { fd, request, place, value: u64::from_ne_bytes(value) }
        }),
    ]
}

pub fn history(most: usize) -> impl Strategy<Value = Vec<Call>> {
    prop::collection::vec(call(), 1..most)
}
