//! Registers that a call must preserve.
//!
//! A system call may clobber registers. If the port's assembly does not declare one, the *caller*
//! computes wrong values, rarely and far from the call. So each check has a victim: plain Rust that
//! keeps values in registers around a call. The compiler inlines the port's system call into it,
//! unless the port forbids that. The victims are generic, to be compiled around each kind of call.
//!
//! User-mode emulators preserve what a kernel clobbers, so only real kernels reveal a wrong port. A
//! wrong vector register shows only in a program compiled to use vectors.

#![allow(clippy::incompatible_msrv)] // the minimum Rust version is the library's; tests use the current one

use crate::conformance::{counter, Failure, Outcome};
use barepoll::fd::{AsRawFd, RawFd};
use barepoll::raw::{self, Timespec};
use barepoll::{syscall, Epoll, Errno, Event, EventFd, SigSet};
use core::hint::black_box;
use core::mem::MaybeUninit;
use core::num::NonZeroU32;
use core::ptr::{self, read_volatile, write_volatile};
use core::time::Duration;
use linux_raw_sys::general::{__NR_prctl, __NR_sched_yield};

/// Runs the victim around each kind of call: every number of arguments, success and error, and
/// calls that block, so that another task runs meanwhile. Each call returns whether its result was
/// right.
macro_rules! around_each_call {
    ($victim:ident) => {{
        let (counter, epoll, mut buffer) = (counter(0)?, Epoll::new()?, Event::buffer::<1>());
        named("eventfd read, refused", $victim(|| counter.read() == Err(Errno::EAGAIN)))?;
        named("eventfd write", $victim(|| counter.write(1) == Ok(())))?;
        named("eventfd write, refused", $victim(|| counter.write(u64::MAX) == Err(Errno::EINVAL)))?;
        named("raw write", $victim(|| nothing_written(counter.as_raw_fd())))?;
        named("epoll_create1, refused", $victim(|| raw::epoll_create1(1) == Err(Errno::EINVAL)))?;
        named("eventfd2, refused", $victim(|| raw::eventfd2(0, 1 << 30) == Err(Errno::EINVAL)))?;
        named("epoll_ctl, refused", $victim(|| epoll.delete(&counter) == Err(Errno::ENOENT)))?;
        named("wait", $victim(|| nothing_ready(&epoll, &mut buffer, Duration::ZERO)))?;
        named("wait, a millisecond", $victim(|| nothing_ready(&epoll, &mut buffer, Duration::from_millis(1))))?;
        named("wait_masked", $victim(|| nothing_ready_masked(&epoll, &mut buffer)))?;
        named("wait_uninterrupted, a millisecond", $victim(|| nothing_ready_in_spite_of_signals(&epoll, &mut buffer)))?;
        named("epoll_pwait2", $victim(|| nothing_ready_by_timespec(&epoll, &mut buffer)))?;
        named("ioctl, refused", $victim(|| asking_nothing(counter.as_raw_fd())))?;
        named("close, refused", $victim(|| closing_nothing()))?;
        named("sched_yield, no argument", $victim(|| yielding()))?;
        named("prctl, five arguments, refused", $victim(|| controlling_nothing()))?;
    }};
}

type Buffer = [MaybeUninit<Event>; 1];

#[inline(always)]
fn nothing_ready(epoll: &Epoll, buffer: &mut Buffer, timeout: Duration) -> bool {
    matches!(epoll.wait(buffer, Some(timeout)), Ok([]))
}

#[inline(always)]
fn nothing_ready_masked(epoll: &Epoll, buffer: &mut Buffer) -> bool {
    matches!(epoll.wait_masked(buffer, Some(Duration::ZERO), &SigSet::full()), Ok([]))
}

#[inline(always)]
fn nothing_ready_in_spite_of_signals(epoll: &Epoll, buffer: &mut Buffer) -> bool {
    matches!(epoll.wait_uninterrupted(buffer, Some(Duration::from_millis(1))), Ok([]))
}

#[inline(always)]
fn nothing_ready_by_timespec(epoll: &Epoll, buffer: &mut Buffer) -> bool {
    let (fd, events, timeout) = (epoll.as_raw_fd(), buffer.as_mut_ptr().cast(), Timespec::default());
    // SAFETY: the buffer has room for one event, the timeout outlives the call, and the mask is
    // null.
    let answer = unsafe { raw::epoll_pwait2(fd, events, 1, &timeout, ptr::null()) };
    matches!(answer, Ok(0) | Err(Errno::ENOSYS | Errno::EPERM))
}

/// A request that no eventfd knows.
#[inline(always)]
fn asking_nothing(counter: RawFd) -> bool {
    let mut params = [0_u64];
    // SAFETY: the buffer has the eight bytes that the request would write.
    unsafe { raw::ioctl(counter, raw::EPIOCGPARAMS, params.as_mut_ptr().cast()).is_err() }
}

/// A write that is too short: an eventfd takes at least eight bytes.
#[inline(always)]
fn nothing_written(counter: RawFd) -> bool {
    // SAFETY: the length is 0, so the kernel reads nothing.
    unsafe { raw::write(counter, [].as_ptr(), 0) == Err(Errno::EINVAL) }
}

#[inline(always)]
fn closing_nothing() -> bool {
    // SAFETY: no descriptor has this number.
    unsafe { raw::close(-1) == Err(Errno::EBADF) }
}

#[inline(always)]
fn yielding() -> bool {
    // SAFETY: no pointer.
    unsafe { syscall!(__NR_sched_yield) == Ok(0) }
}

/// No machine knows this operation.
#[inline(always)]
fn controlling_nothing() -> bool {
    // SAFETY: no pointer.
    unsafe { syscall!(__NR_prctl, -1, 0, 0, 0, 0) == Err(Errno::EINVAL) }
}

/// Prefixes a failure with the call's name.
fn named(call: &str, outcome: Outcome) -> Outcome {
    outcome.map_err(|failure| Failure::new(format_args!("{call}: {}", failure.text().unwrap_or("(cut)"))))
}

/// Values that the compiler cannot predict.
fn unknown<T: Copy, const N: usize>(value: impl FnMut(usize) -> T) -> [T; N] {
    black_box(core::array::from_fn(value))
}

/// Takes raw pointers. With references, LLVM may move the writes across the call.
#[inline(never)]
fn zeroes_around(mut call: impl FnMut() -> bool, a: *mut [u64; 4], b: *mut [u64; 4]) -> bool {
    // SAFETY: the caller passes a valid pointer.
    unsafe { *a = [0; 4] };
    let answer = call();
    // SAFETY: as above.
    unsafe { *b = [0; 4] };
    answer
}

fn zeroes(call: impl FnMut() -> bool) -> Outcome {
    let (mut a, mut b) = ([1; 4], [1; 4]);
    ensure!(zeroes_around(call, black_box(&mut a), black_box(&mut b)));
    ensure_eq!(a, [0; 4]);
    ensure_eq!(b, [0; 4]);
    Ok(())
}

/// Rows that a loop goes through, with a call after each. The compiler keeps the loop's constants
/// in registers throughout: the vector of `factor`s, and the predicate of all lanes where the
/// machine has predicates.
pub struct Rows<'a> {
    rows: &'a mut [[u32; LANES]],
    factor: u32,
}

/// Enough lanes for LLVM to use scalable vectors where the machine has them.
const LANES: usize = 256;

impl Rows<'_> {
    /// Always inlined, so the caller's attributes decide which registers are available.
    #[inline(always)]
    pub fn run(self, mut call: impl FnMut() -> bool) -> bool {
        let mut answers = true;
        for row in self.rows {
            for lane in row {
                if *lane & 1 != 0 {
                    *lane = lane.wrapping_mul(self.factor);
                }
            }
            answers &= call();
        }
        answers
    }
}

#[inline(never)]
fn rows_around(call: impl FnMut() -> bool, rows: Rows<'_>) -> bool {
    rows.run(call)
}

fn rows(call: impl FnMut() -> bool) -> Outcome {
    with_rows(|rows| rows_around(call, rows))
}

fn with_rows(run: impl FnOnce(Rows<'_>) -> bool) -> Outcome {
    let mut rows = [unknown(|i| i as u32); 3];
    ensure!(run(Rows { rows: black_box(&mut rows), factor: black_box(1000) }));
    for (number, row) in rows.iter().enumerate() {
        let expected = |lane: usize| if lane & 1 == 0 { lane as u32 } else { lane as u32 * 1000 };
        let wrong = row.iter().copied().enumerate().find(|&(lane, found)| found != expected(lane));
        ensure_eq!((number, wrong), (number, None));
    }
    Ok(())
}

/// The victim of [`Host::widened`](crate::conformance::Host::widened).
pub struct Widened<'a> {
    rows: Rows<'a>,
    counter: &'a EventFd,
}

impl Widened<'_> {
    #[inline(always)]
    pub fn run(self) -> bool {
        self.rows.run(|| self.counter.write(1) == Ok(()))
    }
}

#[inline(never)]
fn vectors_around(mut call: impl FnMut() -> bool, terms: *const [u32; 16], sums: *mut [u32; 8]) -> bool {
    // SAFETY: the caller passes valid pointers, also below.
    let terms = unsafe { *terms };
    let found: [u32; 8] = core::array::from_fn(|i| terms[i].wrapping_add(terms[i + 8]));
    let answer = call();
    // SAFETY: as above.
    unsafe { *sums = found };
    answer
}

fn vectors(call: impl FnMut() -> bool) -> Outcome {
    let (terms, mut sums) = (unknown(|i| i as u32), [0; 8]);
    ensure!(vectors_around(call, &terms, black_box(&mut sums)));
    ensure_eq!(sums, [8, 10, 12, 14, 16, 18, 20, 22]);
    Ok(())
}

/// More values than a machine with 32 registers can hold besides the call's own.
const MANY: usize = 24;

/// Each step depends on the previous one and the first on the call's result. So the compiler cannot
/// compute any step before the call.
fn digest(answer: bool, values: [usize; MANY]) -> usize {
    values.iter().fold(answer as usize, |sum, value| (sum ^ value).wrapping_mul(0x9e37_79b1).rotate_left(7))
}

#[inline(never)]
fn values_around(mut call: impl FnMut() -> bool, values: &[usize; MANY]) -> usize {
    // SAFETY: a reference is readable. The read is volatile, so that the compiler does not read
    // again after the call.
    let values = core::array::from_fn(|i| unsafe { read_volatile(&values[i]) });
    let answer = call();
    digest(answer, values)
}

fn values(call: impl FnMut() -> bool) -> Outcome {
    let values = unknown(|i| 0x0101_0101 * (i + 1));
    let found = values_around(call, &values);
    ensure_eq!(found, digest(true, values));
    Ok(())
}

fn blend(answer: bool, values: [f64; MANY]) -> f64 {
    values.iter().fold(f64::from(answer as u8), |sum, value| sum * 0.5 + value)
}

#[inline(never)]
fn floats_around(mut call: impl FnMut() -> bool, values: &[f64; MANY]) -> f64 {
    // SAFETY: as above.
    let values = core::array::from_fn(|i| unsafe { read_volatile(&values[i]) });
    let answer = call();
    blend(answer, values)
}

fn floats(call: impl FnMut() -> bool) -> Outcome {
    let values = unknown(|i| i as f64 + 0.25);
    let found = floats_around(call, &values);
    ensure_eq!(found.to_bits(), blend(true, values).to_bits());
    Ok(())
}

/// Products of twice a register's width. Some machines return them in dedicated registers.
#[inline(never)]
fn products_around(mut call: impl FnMut() -> bool, a: u64, b: u64) -> (bool, u128, u64) {
    let wide = u128::from(a) * u128::from(b);
    let narrow = (a & 0xffff_ffff) * (b & 0xffff_ffff);
    let answer = call();
    (answer, wide, narrow)
}

fn products(call: impl FnMut() -> bool) -> Outcome {
    let (a, b) = black_box((0xfedc_ba98_7654_3210, 0x0123_4567_89ab_cdef));
    let found = products_around(call, a, b);
    ensure_eq!(found, (true, 0x0121_fa00_ad77_d742_2236_d88f_e561_8cf0, 0x3fa2_7837_e561_8cf0));
    Ok(())
}

/// A quotient and a remainder. Some machines return them in dedicated registers.
#[inline(never)]
fn quotient_around(mut call: impl FnMut() -> bool, a: u32, b: NonZeroU32) -> (bool, u32, u32) {
    let (quotient, rest) = (a / b, a % b);
    let answer = call();
    (answer, quotient, rest)
}

fn quotient(call: impl FnMut() -> bool) -> Outcome {
    let found = quotient_around(call, black_box(1_000_003), black_box(NonZeroU32::MIN.saturating_add(16)));
    ensure_eq!(found, (true, 58_823, 12));
    Ok(())
}

/// As many comparisons as any machine has condition flags.
const CONDITIONS: usize = 8;

#[inline(never)]
fn conditions_around(mut call: impl FnMut() -> bool, values: &[i32; CONDITIONS], most: i32) -> u32 {
    // SAFETY: as above.
    let are_more = values.each_ref().map(|value| unsafe { read_volatile(value) } > most);
    let answer = call();
    // Branches keep a condition in a flag. The compiler could turn it into a number before the
    // call.
    let mut found = u32::from(answer);
    for is_more in are_more {
        found = if is_more { black_box(found * 2 + 1) } else { found * 2 };
    }
    found
}

fn conditions(call: impl FnMut() -> bool) -> Outcome {
    let values = unknown(|i| if [0, 3, 4, 6].contains(&i) { 9 } else { -9 });
    let found = conditions_around(call, &values, black_box(3));
    ensure_eq!(found, 0b1_1001_1010);
    Ok(())
}

/// A sum of two words: the carry goes from the low word to the high one.
#[inline(never)]
fn sum_around(mut call: impl FnMut() -> bool, a: [usize; 2], b: [usize; 2]) -> (bool, usize, usize) {
    let (low, carry) = a[0].overflowing_add(b[0]);
    let answer = call();
    (answer, low, a[1].wrapping_add(b[1]).wrapping_add(carry as usize))
}

fn sum(call: impl FnMut() -> bool) -> Outcome {
    let found = sum_around(call, black_box([usize::MAX, 1]), black_box([2, 3]));
    ensure_eq!(found, (true, 1, 5));
    Ok(())
}

/// Calls `times` times, in a loop that some machines count in a dedicated register. `turns` counts
/// in memory, to detect a loop that never ends.
#[inline(never)]
fn loop_around(mut call: impl FnMut() -> bool, times: usize, turns: *mut usize) -> bool {
    let mut answers = true;
    for _ in 0..times {
        // SAFETY: the caller passes a valid pointer.
        let turn = unsafe { read_volatile(turns) } + 1;
        // SAFETY: as above.
        unsafe { write_volatile(turns, turn) };
        if turn == 100 {
            return false;
        }
        answers &= call();
    }
    answers
}

fn counted_loop(call: impl FnMut() -> bool) -> Outcome {
    let mut turns = 0;
    let answers = loop_around(call, black_box(9), &mut turns);
    ensure_eq!((turns, answers), (9, true));
    Ok(())
}

checks! { by super::ENTRY;
    fn a_vector_of_zeroes_survives_a_call(host) {
        around_each_call!(zeroes);
    }

    fn what_vector_loops_share_survives_the_calls_between_them(host) {
        around_each_call!(rows);
    }

    fn vectors_survive_a_call(host) {
        around_each_call!(vectors);
    }

    fn two_dozen_values_survive_a_call(host) {
        around_each_call!(values);
    }

    fn two_dozen_floating_point_values_survive_a_call(host) {
        around_each_call!(floats);
    }

    fn wide_products_survive_a_call(host) {
        around_each_call!(products);
    }

    fn a_quotient_survives_a_call(host) {
        around_each_call!(quotient);
    }

    fn conditions_survive_a_call(host) {
        around_each_call!(conditions);
    }

    fn a_carry_survives_a_call(host) {
        around_each_call!(sum);
    }

    fn a_counted_loop_of_calls_ends_when_it_should(host) {
        around_each_call!(counted_loop);
    }

    /// Registers that only this function may use, where the host and its machine offer any.
    fn a_caller_that_enables_vectors_by_attribute_keeps_them(host) {
        let counter = counter(0)?;
        with_rows(|rows| host.widened(Widened { rows, counter: &counter }))?;
    }
}
