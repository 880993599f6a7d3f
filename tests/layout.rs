//! Sizes, alignments, offsets and traits of the public types. Programs or the kernel rely on these,
//! and no signature shows them.
#![allow(clippy::incompatible_msrv)] // the minimum Rust version is the library's; tests use the current one

use barepoll::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use barepoll::raw::{self, Itimerspec, Siginfo, Timespec};
use barepoll::{
    Awake, Clock, Deadline, Timeout, TimerFd, TimerFdFlags, TimerKey, TimerSetting, TimerSlot, TimerState, Timers,
};
use barepoll::{BusyPoll, ChildStatus, CreateFlags, Epoll, Errno, Event, EventData, EventFd, EventFdFlags, EventFlags};
use barepoll::{PidFd, PidFdFlags, SigSet, SignalFd, SignalFdFlags, SignalInfo, Signals};
use core::ffi::c_void;
use core::fmt::{Debug, Display};
use core::hash::Hash;
use core::mem::{align_of, size_of, transmute, MaybeUninit};
use core::panic::{RefUnwindSafe, UnwindSafe};
use core::ptr;
use linux_raw_sys::general::{__kernel_itimerspec, __kernel_timespec, epoll_params};
use memoffset::offset_of;

/// `struct epoll_event` as the kernel's header defines it.
#[repr(C)]
#[cfg_attr(target_arch = "x86_64", repr(packed))]
struct Mirror {
    events: u32,
    data: u64,
}

const DATA: usize = offset_of!(Mirror, data);

const FLAGS: [u8; 4] = [0xe1, 0xe2, 0xe3, 0xe4];
const BYTES: [u8; 8] = [0xd1, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8];

/// An event in which every byte has a different value.
fn marked() -> Event {
    let flags = EventFlags::from_bits_retain(u32::from_ne_bytes(FLAGS));
    Event::new(flags, EventData::new_u64(u64::from_ne_bytes(BYTES)))
}

/// Copies `N` bytes of an event. They must belong to a field, not to padding.
fn bytes<const N: usize>(event: &Event, from: usize) -> [u8; N] {
    assert!(from + N <= size_of::<Event>());
    // SAFETY: the bytes are inside the event, and fields are initialised.
    unsafe { ptr::from_ref(event).cast::<u8>().add(from).cast::<[u8; N]>().read() }
}

#[test]
fn an_event_has_the_size_and_alignment_of_the_kernels_struct() {
    assert_eq!(size_of::<Event>(), size_of::<Mirror>());
    assert_eq!(align_of::<Event>(), align_of::<Mirror>());
    assert_eq!(size_of::<[Event; 5]>(), 5 * size_of::<Event>());
    assert_eq!(size_of::<[MaybeUninit<Event>; 5]>(), size_of_val(&Event::buffer::<5>()));
}

#[test]
fn flags_and_data_of_an_event_stand_where_the_kernel_looks() {
    assert_eq!(offset_of!(Mirror, events), 0);
    assert_eq!(bytes::<4>(&marked(), 0), FLAGS);
    assert_eq!(bytes::<8>(&marked(), DATA), BYTES);
}

#[test]
fn what_the_kernel_writes_into_an_event_is_read_back() {
    let mut event = MaybeUninit::<Event>::uninit();
    let start = event.as_mut_ptr().cast::<u8>();
    // SAFETY: both fields are inside the event, and bytes need no alignment.
    unsafe {
        start.cast::<[u8; 4]>().write(FLAGS);
        start.add(DATA).cast::<[u8; 8]>().write(BYTES);
    }
    // SAFETY: both fields are written, and there are no others.
    let event = unsafe { event.assume_init() };
    assert_eq!(event.flags().bits().to_ne_bytes(), FLAGS);
    assert_eq!(event.data().u64().to_ne_bytes(), BYTES);
}

#[test]
fn events_of_a_buffer_stand_where_the_kernel_writes_them() {
    let second = Event::new(EventFlags::OUT, EventData::new_u64(2));
    let events = [marked(), second];
    // SAFETY: the second event begins one event size after the first.
    let found = unsafe { events.as_ptr().cast::<u8>().add(size_of::<Mirror>()).cast::<[u8; 4]>().read() };
    assert_eq!(found, EventFlags::OUT.bits().to_ne_bytes());
}

#[test]
fn an_event_is_libcs_epoll_event() {
    assert_eq!(size_of::<Event>(), size_of::<libc::epoll_event>());
    assert_eq!((offset_of!(libc::epoll_event, events), offset_of!(libc::epoll_event, u64)), (0, DATA));
    if !cfg!(target_arch = "x86") {
        // On x86, libc packs its type needlessly.
        assert_eq!(align_of::<Event>(), align_of::<libc::epoll_event>());
    }

    let libcs = libc::epoll_event { events: u32::from_ne_bytes(FLAGS), u64: u64::from_ne_bytes(BYTES) };
    // SAFETY: the sizes are equal, and both fields are initialised.
    let ours: Event = unsafe { transmute(libcs) };
    assert_eq!((ours.flags().bits().to_ne_bytes(), ours.data().u64().to_ne_bytes()), (FLAGS, BYTES));
    // SAFETY: as above.
    let libcs: libc::epoll_event = unsafe { transmute(marked()) };
    assert_eq!(({ libcs.events }.to_ne_bytes(), { libcs.u64 }.to_ne_bytes()), (FLAGS, BYTES));
}

#[test]
fn an_event_is_linux_raw_syss_epoll_event() {
    use linux_raw_sys::general::epoll_event;

    assert_eq!(size_of::<Event>(), size_of::<epoll_event>());
    assert_eq!(align_of::<Event>(), align_of::<epoll_event>());
    assert_eq!((offset_of!(epoll_event, events), offset_of!(epoll_event, data)), (0, DATA));
}

#[test]
fn event_data_is_eight_bytes_whose_first_are_the_smaller_kinds() {
    assert_eq!((size_of::<EventData>(), align_of::<EventData>()), (8, align_of::<u64>()));
    let data = |data| bytes::<8>(&Event::new(EventFlags::IN, data), DATA);

    assert_eq!(data(EventData::new_u64(u64::from_ne_bytes(BYTES))), BYTES);
    assert_eq!(data(EventData::new_u32(u32::from_ne_bytes(FLAGS))), [0xe1, 0xe2, 0xe3, 0xe4, 0, 0, 0, 0]);
    assert_eq!(data(EventData::new_fd(RawFd::from_ne_bytes(FLAGS))), [0xe1, 0xe2, 0xe3, 0xe4, 0, 0, 0, 0]);

    let pointer = ptr::from_ref(&BYTES).cast_mut().cast::<c_void>();
    let address = pointer as usize;
    let mut expected = [0; 8];
    expected[..size_of::<usize>()].copy_from_slice(&address.to_ne_bytes());
    assert_eq!(data(EventData::new_ptr(pointer)), expected);
}

#[test]
fn a_timespec_is_the_kernels_on_every_machine() {
    assert_eq!((size_of::<Timespec>(), align_of::<Timespec>()), (16, align_of::<i64>()));
    assert_eq!((offset_of!(Timespec, tv_sec), offset_of!(Timespec, tv_nsec)), (0, 8));

    assert_eq!(size_of::<Timespec>(), size_of::<__kernel_timespec>());
    assert_eq!(align_of::<Timespec>(), align_of::<__kernel_timespec>());
    assert_eq!(offset_of!(Timespec, tv_nsec), offset_of!(__kernel_timespec, tv_nsec));

    #[cfg(target_pointer_width = "64")]
    {
        assert_eq!(size_of::<Timespec>(), size_of::<libc::timespec>());
        assert_eq!(align_of::<Timespec>(), align_of::<libc::timespec>());
        assert_eq!(offset_of!(Timespec, tv_nsec), offset_of!(libc::timespec, tv_nsec));
    }
}

#[test]
fn an_itimerspec_is_the_kernels_on_every_machine() {
    assert_eq!((size_of::<Itimerspec>(), align_of::<Itimerspec>()), (32, align_of::<i64>()));
    assert_eq!((offset_of!(Itimerspec, it_interval), offset_of!(Itimerspec, it_value)), (0, 16));

    assert_eq!(size_of::<Itimerspec>(), size_of::<__kernel_itimerspec>());
    assert_eq!(align_of::<Itimerspec>(), align_of::<__kernel_itimerspec>());
    assert_eq!(offset_of!(Itimerspec, it_value), offset_of!(__kernel_itimerspec, it_value));

    #[cfg(target_pointer_width = "64")]
    {
        assert_eq!(size_of::<Itimerspec>(), size_of::<libc::itimerspec>());
        assert_eq!(offset_of!(Itimerspec, it_value), offset_of!(libc::itimerspec, it_value));
    }
}

#[test]
fn the_kernel_reads_seconds_before_nanoseconds() {
    // The event is ready, so a misread timeout fails at once.
    let (epoll, ready) = (Epoll::new().expect("an epoll"), EventFd::new(1, EventFdFlags::CLOEXEC).expect("an eventfd"));
    epoll.add(&ready, EventData::new_u64(0), EventFlags::IN).expect("added");
    let mut buffer = Event::buffer::<1>();
    let mut wait = |timeout: Timespec| {
        // SAFETY: the buffer has room for one event, and the timeout outlives the call.
        unsafe { raw::epoll_pwait2(epoll.as_raw_fd(), buffer.as_mut_ptr().cast(), 1, &timeout, ptr::null()) }
    };
    if matches!(wait(Timespec::default()), Err(Errno::ENOSYS | Errno::EPERM)) {
        return; // missing before Linux 5.11 and in older emulators
    }
    // Only nanoseconds have a maximum.
    assert_eq!(wait(Timespec { tv_sec: 1_000_000_000, tv_nsec: 999_999_999 }), Ok(1));
    assert_eq!(wait(Timespec { tv_sec: 0, tv_nsec: 1_000_000_000 }), Err(Errno::EINVAL));
}

/// libc's result of an `epoll_params` request.
fn libc_ioctl(epoll: &Epoll, request: libc::Ioctl, params: &mut libc::epoll_params) -> Result<(), Errno> {
    // SAFETY: both requests take a pointer to such `params`.
    match unsafe { libc::ioctl(epoll.as_raw_fd(), request, ptr::from_mut(params)) } {
        -1 => Err(Errno::from_raw(std::io::Error::last_os_error().raw_os_error().expect("set")).expect("in range")),
        _ => Ok(()),
    }
}

#[test]
fn busy_poll_is_the_kernels_epoll_params() {
    let epoll = Epoll::new().expect("an epoll");
    let ours = BusyPoll { busy_poll_usecs: 0x0102_0304, busy_poll_budget: 0x0021, prefer_busy_poll: true };
    let mut theirs = libc::epoll_params { busy_poll_usecs: 0, busy_poll_budget: 0, prefer_busy_poll: 0, __pad: 0 };

    let known = libc_ioctl(&epoll, libc::EPIOCGPARAMS, &mut theirs);
    assert_eq!(epoll.busy_poll().map(drop), known);
    assert_eq!(epoll.set_busy_poll(ours), known);
    if let Err(errno) = known {
        // The errors before Linux 6.9, without the build option, and of an emulator.
        let absent = [Errno::ENOTTY, Errno::EINVAL, Errno::EOPNOTSUPP, Errno::ENOSYS];
        assert!(absent.contains(&errno), "{errno}");
        return;
    }

    libc_ioctl(&epoll, libc::EPIOCGPARAMS, &mut theirs).expect("as before");
    assert_eq!(theirs.busy_poll_usecs, 0x0102_0304);
    assert_eq!((theirs.busy_poll_budget, theirs.prefer_busy_poll), (0x0021, 1));
    assert_eq!(epoll.busy_poll(), Ok(ours));

    theirs = libc::epoll_params { busy_poll_usecs: 5, busy_poll_budget: 6, prefer_busy_poll: 0, __pad: 0 };
    libc_ioctl(&epoll, libc::EPIOCSPARAMS, &mut theirs).expect("as before");
    let expected = BusyPoll { busy_poll_usecs: 5, busy_poll_budget: 6, prefer_busy_poll: false };
    assert_eq!(epoll.busy_poll(), Ok(expected));
}

#[test]
fn the_kernel_writes_no_more_than_eight_bytes_of_epoll_params() {
    #[repr(C)]
    struct Guarded {
        params: epoll_params,
        guard: [u8; 8],
    }
    assert_eq!(offset_of!(Guarded, guard), 8);

    let epoll = Epoll::new().expect("an epoll");
    let params = epoll_params { busy_poll_usecs: 0, busy_poll_budget: 0, prefer_busy_poll: 0, __pad: 0 };
    let mut guarded = Guarded { params, guard: BYTES };
    // SAFETY: the buffer has twice the room that this request writes.
    let answer = unsafe { raw::ioctl(epoll.as_raw_fd(), raw::EPIOCGPARAMS, ptr::addr_of_mut!(guarded).cast()) };
    assert_eq!(answer.map(drop), epoll.busy_poll().map(drop));
    assert_eq!(guarded.guard, BYTES);
}

#[test]
fn an_errno_costs_a_result_nothing() {
    assert_eq!(size_of::<Errno>(), 2);
    assert_eq!(size_of::<Option<Errno>>(), 2);
    assert_eq!(size_of::<Result<(), Errno>>(), 2);
    assert_eq!(size_of::<barepoll::Result<()>>(), 2);
    assert_eq!(size_of::<barepoll::Result<RawFd>>(), 8);
    assert_eq!(size_of::<barepoll::Result<Epoll>>(), 8);
}

#[test]
fn an_owner_is_as_large_as_its_descriptor() {
    assert_eq!(size_of::<RawFd>(), size_of::<i32>());
    assert_eq!([size_of::<OwnedFd>(), size_of::<BorrowedFd<'_>>()], [4; 2]);
    let owners = [size_of::<TimerFd>(), size_of::<SignalFd>(), size_of::<PidFd>()];
    assert_eq!([size_of::<Epoll>(), size_of::<EventFd>()], [4; 2]);
    assert_eq!(owners, [4; 3]);
    assert_eq!([size_of::<EventFlags>(), size_of::<CreateFlags>(), size_of::<EventFdFlags>()], [4; 3]);
    assert_eq!([size_of::<TimerFdFlags>(), size_of::<Clock>()], [4; 2]);
    assert_eq!(size_of::<SignalFdFlags>(), 4);
    assert_eq!(size_of::<PidFdFlags>(), 4);
}

#[test]
fn a_signal_set_is_an_array_of_the_machines_words() {
    assert_eq!(align_of::<SigSet>(), align_of::<libc::c_ulong>());
    assert_eq!(size_of::<SigSet>(), size_of::<linux_raw_sys::general::kernel_sigset_t>());

    // Signal n is bit n − 1 of the array, where bit 0 is the lowest of each word.
    let mut set = SigSet::empty();
    set.insert(34).expect("a signal");
    // SAFETY: a set consists of words.
    let words: [libc::c_ulong; size_of::<SigSet>() / size_of::<libc::c_ulong>()] = unsafe { transmute(set) };
    let bits = libc::c_ulong::BITS as usize;
    for (place, word) in words.into_iter().enumerate() {
        assert_eq!(word, if place == 33 / bits { 1 << (33 % bits) } else { 0 });
    }
}

#[test]
fn a_signal_info_is_libcs_signalfd_siginfo() {
    use libc::signalfd_siginfo as Theirs;

    assert_eq!((size_of::<SignalInfo>(), size_of::<Theirs>()), (128, 128));
    assert_eq!(align_of::<SignalInfo>(), align_of::<Theirs>());

    // Every byte has a value of its own.
    let bytes: [u8; 128] = core::array::from_fn(|place| place as u8 + 1);
    // SAFETY: the sizes are equal, and any bytes are such an info.
    let (ours, theirs) = unsafe { (transmute::<[u8; 128], SignalInfo>(bytes), transmute::<[u8; 128], Theirs>(bytes)) };
    assert_eq!(
        (ours.signal(), ours.errno(), ours.code()),
        (theirs.ssi_signo as i32, theirs.ssi_errno, theirs.ssi_code)
    );
    assert_eq!((ours.sender_pid(), ours.sender_uid()), (theirs.ssi_pid as i32, theirs.ssi_uid));
    assert_eq!((ours.fd(), ours.band()), (theirs.ssi_fd, theirs.ssi_band));
    assert_eq!((ours.timer_id(), ours.overrun()), (theirs.ssi_tid, theirs.ssi_overrun));
    assert_eq!((ours.child_status(), ours.trap_no()), (theirs.ssi_status, theirs.ssi_trapno));
    assert_eq!((ours.child_user_time(), ours.child_system_time()), (theirs.ssi_utime, theirs.ssi_stime));
    let pointer = theirs.ssi_ptr as usize;
    // A 64-bit kernel puts a 32-bit program's value in the wrong half of it.
    let pointer = if cfg!(target_pointer_width = "32") { theirs.ssi_int as u32 as usize } else { pointer };
    assert_eq!((ours.value_int(), ours.value_ptr()), (theirs.ssi_int, pointer));
    assert_eq!((ours.fault_address(), ours.fault_address_lsb()), (theirs.ssi_addr as usize, theirs.ssi_addr_lsb));
    assert_eq!(size_of_val(&SignalInfo::buffer::<5>()), 5 * 128);
}

#[test]
fn the_debug_of_a_signal_info_has_what_is_not_zero() {
    let mut bytes = [0_u8; 128];
    bytes[..4].copy_from_slice(&15_u32.to_ne_bytes());
    bytes[12..16].copy_from_slice(&77_u32.to_ne_bytes());
    bytes[72..80].fill(!0); // the address of a fault
                            // SAFETY: any bytes are such an info.
    let info: SignalInfo = unsafe { transmute(bytes) };
    let address = usize::MAX;
    assert_eq!(
        format!("{info:?}"),
        format!("SignalInfo {{ signal: 15, code: 0, sender_pid: 77, fault_address: {address} }}")
    );
}

#[test]
fn a_siginfo_is_libcs() {
    assert_eq!(size_of::<Siginfo>(), size_of::<libc::siginfo_t>());
    assert_eq!(align_of::<Siginfo>(), align_of::<libc::siginfo_t>());

    // Each word has its index as its value.
    let words: [i32; 32] = core::array::from_fn(|index| index as i32);
    // SAFETY: the sizes are equal, and both consist of integers.
    let ours = unsafe { transmute::<[i32; 32], Siginfo>(words) };
    // SAFETY: as above.
    let theirs = unsafe { transmute::<[i32; 32], libc::siginfo_t>(words) };
    assert_eq!((ours.signo(), ours.code()), (theirs.si_signo, theirs.si_code));
    // SAFETY: the fields are initialised.
    let fields = unsafe { (theirs.si_pid(), theirs.si_uid(), theirs.si_status()) };
    assert_eq!((ours.pid(), ours.uid(), ours.status()), fields);
}

/// Makes what `waitid` reports for process 8.
fn ended(code: u32, status: i32) -> ChildStatus {
    let mut words = [0_i32; 32];
    let place = |field: fn(&Siginfo) -> i32| {
        let indexes: [i32; 32] = core::array::from_fn(|index| index as i32);
        // SAFETY: the sizes are equal, and both consist of integers.
        field(&unsafe { transmute::<[i32; 32], Siginfo>(indexes) }) as usize
    };
    words[place(Siginfo::pid)] = 8;
    words[place(Siginfo::code)] = code as i32;
    words[place(Siginfo::status)] = status;
    // SAFETY: as above.
    ChildStatus::from(unsafe { transmute::<[i32; 32], Siginfo>(words) })
}

#[test]
fn a_childs_status_says_how_it_ended() {
    let of = |status: ChildStatus| (status.code(), status.signal(), status.core_dumped(), status.success());
    assert_eq!(of(ended(raw::CLD_EXITED, 0)), (Some(0), None, false, true));
    assert_eq!(of(ended(raw::CLD_EXITED, 255)), (Some(255), None, false, false));
    assert_eq!(of(ended(raw::CLD_KILLED, 9)), (None, Some(9), false, false));
    assert_eq!(of(ended(raw::CLD_DUMPED, 11)), (None, Some(11), true, false));
    // CLD_TRAPPED: a process that this one traces has stopped.
    assert_eq!(of(ended(4, 5)), (None, None, false, false));
    assert_eq!(ended(raw::CLD_EXITED, 0).pid(), 8);
}

#[test]
fn the_debug_of_a_childs_status_says_how_it_ended() {
    let text = |code, status| format!("{:?}", ended(code, status));
    assert_eq!(text(raw::CLD_EXITED, 3), "ChildStatus { pid: 8, code: 3 }");
    assert_eq!(text(raw::CLD_KILLED, 9), "ChildStatus { pid: 8, signal: 9, core_dumped: false }");
    assert_eq!(text(raw::CLD_DUMPED, 11), "ChildStatus { pid: 8, signal: 11, core_dumped: true }");
    assert_eq!(text(4, 5), "ChildStatus { pid: 8, si_code: 4 }");
    let empty = "Siginfo { signo: 0, code: 0, pid: 0, uid: 0, status: 0 }";
    assert_eq!(format!("{:?}", Siginfo::EMPTY), empty);
}

#[test]
fn a_timer_takes_32_bytes_within_a_cache_line_and_a_deadline_takes_eight() {
    assert_eq!((size_of::<TimerSlot>(), align_of::<TimerSlot>()), (32, 32));
    assert_eq!((size_of::<Deadline>(), size_of::<Option<TimerKey>>() <= 24), (8, true));
}

// Traits: a missing one fails to compile.

fn shared<T: Send + Sync + Debug + Unpin + UnwindSafe + RefUnwindSafe + 'static>() {}
fn value<T: Copy + Send + Sync + Debug + Unpin + UnwindSafe + RefUnwindSafe + 'static>() {}
fn compared<T: Copy + Eq + Hash>() {}
fn lends<T: AsFd>() {}

/// The traits of every type that owns one descriptor.
fn owner<T>()
where
    T: AsFd + AsRawFd + FromRawFd + IntoRawFd + From<OwnedFd> + Into<OwnedFd>,
    T: Send + Sync + Debug,
{
}

#[test]
fn every_owner_of_a_descriptor_converts_from_and_to_every_other() {
    owner::<Epoll>();
    owner::<EventFd>();
    owner::<TimerFd>();
    owner::<SignalFd>();
    owner::<PidFd>();
    owner::<OwnedFd>();

    let epoll = Epoll::new().expect("an epoll");
    let number = epoll.as_raw_fd();
    assert_eq!(epoll.as_fd().as_raw_fd(), number);
    let owned = OwnedFd::from(epoll);
    assert_eq!(owned.as_raw_fd(), number);
    let number_again = Epoll::from(owned).into_raw_fd();
    assert_eq!(number_again, number);
    // SAFETY: the epoll has just given up the number.
    let epoll = unsafe { Epoll::from_raw_fd(number_again) };
    assert_eq!(format!("{epoll:?}"), format!("Epoll {{ fd: {number} }}"));
    assert!(epoll.busy_poll() != Err(Errno::EBADF), "closed too early");
}

#[test]
fn every_public_type_has_the_traits_that_its_use_needs() {
    shared::<Epoll>();
    shared::<EventFd>();
    shared::<TimerFd>();
    shared::<SignalFd>();
    shared::<Signals>();
    shared::<PidFd>();
    shared::<OwnedFd>();
    shared::<BorrowedFd<'static>>();

    value::<Event>();
    value::<EventData>();
    value::<EventFlags>();
    value::<CreateFlags>();
    value::<EventFdFlags>();
    value::<TimerFdFlags>();
    value::<Clock>();
    value::<TimerSetting>();
    value::<TimerState>();
    value::<SignalFdFlags>();
    value::<SignalInfo>();
    value::<PidFdFlags>();
    value::<ChildStatus>();
    value::<Siginfo>();
    value::<Errno>();
    value::<SigSet>();
    value::<BusyPoll>();
    value::<Timespec>();
    value::<Itimerspec>();
    value::<BorrowedFd<'static>>();
    value::<Deadline>();
    value::<TimerKey>();
    value::<TimerSlot>();
    value::<Timeout>();

    compared::<EventFlags>();
    compared::<CreateFlags>();
    compared::<EventFdFlags>();
    compared::<TimerFdFlags>();
    compared::<Clock>();
    compared::<TimerSetting>();
    compared::<TimerState>();
    compared::<SignalFdFlags>();
    compared::<PidFdFlags>();
    compared::<ChildStatus>();
    compared::<Errno>();
    compared::<SigSet>();
    compared::<BusyPoll>();
    compared::<Timespec>();
    compared::<Itimerspec>();
    compared::<Deadline>();
    compared::<TimerKey>();
    compared::<Timeout>();

    fn sent<T: Send + Sync + Debug>() {}
    sent::<Timers<'_>>();
    sent::<Awake<'_>>();
    fn displayed<T: Display>() {}
    displayed::<Errno>();
    fn defaulted<T: Default>() {}
    defaulted::<EventFlags>();
    defaulted::<BusyPoll>();
    defaulted::<SigSet>();
    defaulted::<TimerFdFlags>();
    defaulted::<TimerState>();
    defaulted::<Itimerspec>();

    lends::<BorrowedFd<'_>>();
    lends::<&OwnedFd>();
    lends::<&mut EventFd>();
    lends::<&&Epoll>();
}

#[test]
fn the_debug_of_an_event_names_its_flags() {
    let event = Event::new(EventFlags::IN | EventFlags::RDHUP, EventData::new_u64(0x2a));
    let text = format!("{event:?}");
    assert!(["IN", "RDHUP", "0x2a"].iter().all(|part| text.contains(part)), "{text}");
}
