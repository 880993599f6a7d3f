//! The crate's flag types have the API of `bitflags!`, with the same results.

#[path = "support/cases.rs"]
mod cases;

use barepoll::{CreateFlags, EventFdFlags, EventFlags, TimerFdFlags};
use bitflags::Flags;
use cases::cases;
use proptest::prelude::*;
use std::collections::HashSet;

/// The same flags, made by `bitflags!`.
mod theirs {
    use bitflags::bitflags;

    macro_rules! same {
        ($Flags:ident: $($NAME:ident)*) => {
            bitflags! {
                #[derive(Copy, Clone, Default, PartialEq, Eq, Hash, Debug)]
                pub struct $Flags: u32 {
                    $(const $NAME = barepoll::$Flags::$NAME.bits();)*
                    const _ = !0;
                }
            }
        };
    }

    same!(EventFlags: IN PRI OUT ERR HUP NVAL RDNORM RDBAND WRNORM WRBAND MSG RDHUP URING_WAKE EXCLUSIVE WAKEUP ONESHOT ET);
    same!(CreateFlags: CLOEXEC);
    same!(EventFdFlags: SEMAPHORE NONBLOCK CLOEXEC);
    same!(TimerFdFlags: NONBLOCK CLOEXEC);
}

/// The results of every function and operator on two sets of flags.
macro_rules! outcome {
    ($Flags:ty, $a:expr, $b:expr, $value:expr) => {{
        const EMPTY: u32 = <$Flags>::empty().bits();
        const ALL: u32 = <$Flags>::all().bits();
        let (x, y) = (<$Flags>::from_bits_retain($a), <$Flags>::from_bits_truncate($b));
        let changed = |change: fn(&mut $Flags, $Flags)| {
            let mut flags = x;
            change(&mut flags, y);
            flags.bits()
        };
        let mut set = x;
        set.set(y, $value);
        let mut extended = x;
        extended.extend([y, <$Flags>::default()]);
        let name = <$Flags>::FLAGS[$a as usize % <$Flags>::FLAGS.len()].name();
        let numbers = format!("{x:b} {x:#o} {x:08x} {x:X}");
        let names: Vec<_> = x.iter_names().map(|(name, flag)| (name, flag.bits())).collect();
        let named: Vec<_> = <$Flags>::FLAGS.iter().map(|flag| (flag.name(), flag.value().bits())).collect();
        (
            (EMPTY, ALL, <$Flags>::from_bits($a).map(|flags| flags.bits())),
            (<$Flags>::from_name(name).map(|flags| flags.bits()), <$Flags>::from_name("in").map(|flags| flags.bits())),
            (x.bits(), x.is_empty(), x.is_all(), x.intersects(y), x.contains(y), x == y, x == x),
            (x.union(y).bits(), x.intersection(y).bits(), x.difference(y).bits(), x.symmetric_difference(y).bits()),
            ((x | y).bits(), (x & y).bits(), (x - y).bits(), (x ^ y).bits(), (!x).bits(), x.complement().bits()),
            (changed(|x, y| *x |= y), changed(|x, y| *x &= y), changed(|x, y| *x -= y), changed(|x, y| *x ^= y)),
            (changed(<$Flags>::insert), changed(<$Flags>::remove), changed(<$Flags>::toggle), set.bits()),
            (extended.bits(), [x, y].into_iter().collect::<$Flags>().bits(), HashSet::from([x, y]).len()),
            (x.iter().map(|flag| flag.bits()).collect::<Vec<_>>(), x.into_iter().count(), names, named, numbers),
            (Flags::bits(&x), <$Flags as Flags>::from_bits_retain($a).bits(), <$Flags as Flags>::all().bits()),
        )
    }};
}

proptest! {
    #![proptest_config(cases(4096))]

    #[test]
    fn flags_do_what_those_of_bitflags_do(a: u32, b: u32, few in any::<prop::sample::Index>(), value: bool) {
        // Random bits are rarely all zero, all one, or equal.
        let a = [a, b, 0, !0, 1 << (a % 32)][few.index(5)];
        prop_assert_eq!(outcome!(EventFlags, a, b, value), outcome!(theirs::EventFlags, a, b, value));
        prop_assert_eq!(outcome!(CreateFlags, a, b, value), outcome!(theirs::CreateFlags, a, b, value));
        prop_assert_eq!(outcome!(EventFdFlags, a, b, value), outcome!(theirs::EventFdFlags, a, b, value));
        prop_assert_eq!(outcome!(TimerFdFlags, a, b, value), outcome!(theirs::TimerFdFlags, a, b, value));
    }
}

#[test]
fn each_reason_to_read_or_to_write_is_one() {
    const FAILED: EventFlags = EventFlags::ERR.union(EventFlags::HUP);
    let all = EventFlags::all().iter().filter(|flag| flag.bits().is_power_of_two());
    let all: Vec<EventFlags> = all.collect();
    let named =
        |answers: fn(EventFlags) -> bool| all.iter().copied().filter(|flag| answers(*flag)).collect::<EventFlags>();
    assert_eq!(named(EventFlags::is_readable), EventFlags::IN | EventFlags::RDNORM | EventFlags::RDHUP | FAILED);
    assert_eq!(named(EventFlags::is_writable), EventFlags::OUT | EventFlags::WRNORM | FAILED);
}
