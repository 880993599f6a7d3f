//! The example runtime: its parts in this process, and the program that serves echo and HTTP with
//! them.

#[path = "support/descriptors.rs"]
mod descriptors;
#[allow(dead_code, unused_imports)]
#[path = "../examples/executor/main.rs"]
mod executor;
#[path = "support/figures.rs"]
mod figures;
#[path = "support/lost.rs"]
mod lost;
#[path = "support/program.rs"]
mod program;
#[path = "support/refused.rs"]
mod refused;
#[allow(dead_code)]
#[path = "faults/seccomp.rs"]
mod seccomp;
mod support;

use barepoll::{raw, Deadline, Epoll, Errno};
use descriptors::need_descriptors;
use executor::{Async, Executor, READ, WRITE};
use program::*;
use refused::refused_requests;
use seccomp::{intercepted, Call, Number};
use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn, Future};
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::io::AsRawFd;
use std::os::unix::net::UnixStream;
use std::pin::pin;
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{channel, Sender};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};
use support::example;

const HOUR: Duration = Duration::from_secs(3600);

/// Runs an executor until its tasks have sent a result. A hang fails after a timeout.
fn outcome<T: Send + 'static>(start: impl FnOnce(&Rc<Executor>, Sender<T>) + Send + 'static) -> T {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let executor = Executor::new().expect("an executor");
        start(&executor, sender);
        executor.run().expect("it runs");
    });
    receiver.recv_timeout(PATIENCE).expect("the tasks send a result")
}

/// Tries 40 rounds and passes if one does. A busy machine fails some rounds, a wrong timer fails
/// all.
fn in_some_round(what: &str, mut round: impl FnMut() -> Result<(), String>) {
    let mut last = String::new();
    for _ in 0..40 {
        match round() {
            Ok(()) => return,
            Err(why) => last = why,
        }
        sleep(Duration::from_millis(50));
    }
    panic!("{what}: failed in 40 rounds, in the last with: {last}");
}

fn has_fine_timeouts() -> bool {
    let epoll = Epoll::new().expect("an epoll");
    let nothing = raw::Timespec { tv_sec: 0, tv_nsec: 0 };
    let mut event = barepoll::Event::buffer::<1>();
    // SAFETY: the buffer has room for one event, the timeout is readable, and the mask is null.
    let answer =
        unsafe { raw::epoll_pwait2(epoll.as_raw_fd(), event.as_mut_ptr().cast(), 1, &nothing, std::ptr::null()) };
    !matches!(answer, Err(Errno::ENOSYS | Errno::EPERM))
}

/// The timeouts that an executor passes to the kernel while it sleeps this long, and how long it
/// slept. The scheduler decides how late a timer fires; only the timeouts are the executor's
/// choice.
fn asked_for(time: Duration) -> (Vec<Duration>, Duration) {
    #[cfg(target_arch = "x86_64")]
    const WAIT: Number = libc::SYS_epoll_wait;
    #[cfg(not(target_arch = "x86_64"))]
    const WAIT: Number = libc::SYS_epoll_pwait;
    const FINE: Number = libc::SYS_epoll_pwait2;
    let rounding = Duration::from_nanos(if has_fine_timeouts() { 0 } else { 999_999 });
    let mut asked = Vec::new();
    let note = |call: &Call| {
        let ms = |ms| u64::try_from(ms).map_or(Duration::MAX, Duration::from_millis);
        asked.push(match call.number {
            FINE if call.pointer::<raw::Timespec>(3).is_null() => Duration::MAX,
            FINE => {
                // SAFETY: the calling thread waits for the answer, and the timeout is on its stack.
                let time = unsafe { call.pointer::<raw::Timespec>(3).read() };
                Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
            }
            // Before Linux 5.11, `epoll_wait` replaces `epoll_pwait2`, rounded up.
            _ => ms(call.argument(3)).saturating_sub(rounding),
        });
        None
    };
    let took = intercepted(&[WAIT, FINE], note, || {
        let executor = Executor::new().expect("an executor");
        let (sleeper, took) = (executor.clone(), Rc::new(Cell::new(Duration::ZERO)));
        let slept = took.clone();
        executor.spawn(async move {
            let start = Instant::now();
            sleeper.sleep(time).await;
            slept.set(start.elapsed());
            sleeper.stop();
        });
        executor.run().expect("it runs");
        took.get()
    });
    (asked, took)
}

#[test]
fn a_timer_is_never_early_and_asks_once_for_no_more_than_is_left() {
    for time in [100, 150, 333, 700, 999, 1000, 1001, 2500, 3000, 7777, 10_000].map(Duration::from_micros) {
        for _ in 0..5 {
            let (asked, took) = asked_for(time);
            assert!(took >= time, "{took:?} of {time:?}");
            assert!(asked.iter().all(|asked| *asked <= time), "{asked:?} of {time:?}");
            // An executor with nothing left to wait for polls with a zero timeout.
            let waits = asked.iter().filter(|asked| **asked > Duration::ZERO);
            assert!(waits.count() <= 1 && asked.len() <= 4, "{asked:?} of {time:?}");
        }
    }
}

#[test]
fn timers_fire_in_the_order_of_their_deadlines() {
    // All timers are set in one turn. That takes far less than the millisecond between deadlines,
    // unless another process holds the processor. So the test checks the order only between
    // deadlines that are known to be apart. A sleep first polled after its deadline ends before all
    // others, and fails the round.
    const TIMERS: usize = 100;
    in_some_round("100 timers in order", || {
        let fired = outcome(|executor, sender| {
            let order = Rc::new(RefCell::new(Vec::new()));
            for i in 0..TIMERS {
                let number = i * 77 % TIMERS;
                let (sleeper, order, sender) = (executor.clone(), order.clone(), sender.clone());
                executor.spawn(async move {
                    let time = Duration::from_millis(10 + number as u64);
                    let earliest = Instant::now() + time;
                    let sleep = sleeper.sleep(time);
                    let latest = Instant::now() + time;
                    sleep.await;
                    order.borrow_mut().push((earliest, latest));
                    if order.borrow().len() == TIMERS {
                        sender.send(order.take()).expect("the test waits");
                    }
                });
            }
        });
        for (place, (earliest, _)) in fired.iter().enumerate() {
            if let Some(late) = fired[place..].iter().position(|(_, latest)| latest < earliest) {
                return Err(format!("the {place}th fired before the {}th, whose deadline was earlier", place + late));
            }
        }
        Ok(())
    });
}

struct Counter;

impl Wake for Counter {
    fn wake(self: Arc<Self>) {}
}

#[test]
fn a_cancelled_timer_leaves_nothing() {
    let executor = Executor::new().expect("an executor");
    let counter = Arc::new(Counter);
    let waker = Waker::from(counter.clone());
    for _ in 0..1000 {
        let sleep = pin!(executor.sleep(HOUR));
        assert_eq!(sleep.poll(&mut Context::from_waker(&waker)), Poll::Pending);
        assert_eq!(Arc::strong_count(&counter), 4, "the timer has a waker");
    }
    assert_eq!(Arc::strong_count(&counter), 2, "it has none any more");
}

#[test]
fn a_limit_of_time_gives_the_value_or_nothing() {
    let (in_time, too_late, waited) = outcome(|executor, sender| {
        let sleeper = executor.clone();
        executor.spawn(async move {
            let in_time = sleeper.within(HOUR, sleeper.sleep(Duration::from_millis(5))).await;
            let start = Instant::now();
            let too_late = sleeper.within(Duration::from_millis(20), pending::<()>()).await;
            sender.send((in_time, too_late, start.elapsed())).expect("the test waits");
        });
    });
    assert_eq!((in_time, too_late), (Some(()), None));
    assert!(waited >= Duration::from_millis(20), "{waited:?}");
}

#[test]
fn tasks_spawned_from_8_threads_all_run() {
    const TASKS: u64 = 1000;
    let sum = outcome(|executor, sender| {
        let (sum, left) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(8 * TASKS)));
        // Threads may only send `Send` values. The tasks find the rest on their own thread.
        let (numbers, inbox) = channel();
        for thread in 0..8 {
            let (remote, numbers) = (executor.remote.clone(), numbers.clone());
            thread::spawn(move || {
                for task in 0..TASKS {
                    let numbers = numbers.clone();
                    remote.spawn(move |executor| async move {
                        executor.sleep(Duration::from_micros(task % 50)).await;
                        numbers.send(thread * TASKS + task).expect("the collector listens");
                    });
                }
            });
        }
        let sleeper = executor.clone();
        executor.spawn(async move {
            while left.get() > 0 {
                while let Ok(number) = inbox.try_recv() {
                    sum.set(sum.get() + number);
                    left.set(left.get() - 1);
                }
                sleeper.sleep(Duration::from_millis(1)).await;
            }
            sender.send(sum.get()).expect("the test waits");
        });
    });
    assert_eq!(sum, (0..8 * TASKS).sum::<u64>());
}

#[test]
fn each_of_many_spawns_wakes_an_executor_that_sleeps_for_ever() {
    let (sender, remote) = channel();
    thread::spawn(move || {
        let executor = Executor::new().expect("an executor");
        sender.send(executor.remote.clone()).expect("the test waits");
        executor.run().expect("it runs");
    });
    let remote = remote.recv_timeout(PATIENCE).expect("an executor");
    for _ in 0..20 {
        let (sender, answer) = channel();
        sleep(Duration::from_millis(5)); // the executor is asleep by then
        remote.spawn(|_| async move { sender.send(()).expect("the test waits") });
        answer.recv_timeout(PATIENCE).expect("it has woken");
    }
    remote.spawn(|executor| async move { executor.stop() });
}

#[test]
fn a_waker_works_from_another_thread_and_after_its_task() {
    let wakes = outcome(|executor, sender| {
        let mut polls = 0;
        executor.spawn(poll_fn(move |context| {
            polls += 1;
            let waker = context.waker().clone();
            thread::spawn(move || {
                sleep(Duration::from_millis(5));
                waker.wake_by_ref();
                sleep(Duration::from_millis(5));
                waker.wake(); // no task is left after the last poll
            });
            if polls < 10 {
                return Poll::Pending;
            }
            sender.send(polls).expect("the test waits");
            Poll::Ready(())
        }));
    });
    assert_eq!(wakes, 10);
}

#[test]
fn wake_ups_from_many_threads_are_not_lost() {
    const THREADS: usize = 4;
    const ROUNDS: usize = 2000;
    let seen = outcome(|executor, sender| {
        let (count, mut started) = (Arc::new(AtomicUsize::new(0)), false);
        executor.spawn(poll_fn(move |context| {
            for _ in 0..if std::mem::replace(&mut started, true) { 0 } else { THREADS } {
                let (count, waker) = (count.clone(), context.waker().clone());
                thread::spawn(move || {
                    for _ in 0..ROUNDS {
                        count.fetch_add(1, Ordering::Relaxed);
                        waker.wake_by_ref();
                    }
                });
            }
            // The last wake-up must lead to a poll that sees all.
            if count.load(Ordering::Relaxed) < THREADS * ROUNDS {
                return Poll::Pending;
            }
            sender.send(count.load(Ordering::Relaxed)).expect("the test waits");
            Poll::Ready(())
        }));
    });
    assert_eq!(seen, THREADS * ROUNDS);
}

#[test]
fn a_waker_of_a_task_that_is_gone_does_not_wake_the_next_in_its_place() {
    let polls = outcome(|executor, sender| {
        let spawner = executor.clone();
        executor.spawn(async move {
            let old = Rc::new(RefCell::new(None));
            let keeper = old.clone();
            spawner.spawn(poll_fn(move |context| {
                *keeper.borrow_mut() = Some(context.waker().clone());
                Poll::Ready(())
            }));
            spawner.sleep(Duration::from_millis(1)).await;
            let (old, polls) = (old.take().expect("it has run"), Rc::new(Cell::new(0)));
            let counter = polls.clone();
            spawner.spawn(poll_fn(move |_| {
                counter.set(counter.get() + 1);
                Poll::Pending
            }));
            spawner.sleep(Duration::from_millis(1)).await;
            old.wake_by_ref(); // on this thread
            spawner.sleep(Duration::from_millis(1)).await;
            thread::spawn(move || old.wake()).join().expect("it wakes");
            spawner.sleep(Duration::from_millis(1)).await;
            sender.send(polls.get()).expect("the test waits");
        });
    });
    assert_eq!(polls, 1);
}

#[test]
fn a_wake_up_of_an_executor_that_is_awake_makes_no_call() {
    let mut calls = 0;
    let count = |_: &Call| {
        calls += 1;
        None
    };
    intercepted(&[libc::SYS_write], count, || {
        let executor = Executor::new().expect("an executor");
        let (remote, mut turns) = (executor.remote.clone(), 0);
        executor.spawn(poll_fn(move |context| {
            turns += 1;
            for _ in 0..8 {
                context.waker().wake_by_ref();
                remote.spawn(|_| async {}); // as another thread would
            }
            if turns < 10 {
                return Poll::Pending;
            }
            remote.spawn(|executor| async move { executor.stop() });
            Poll::Ready(())
        }));
        executor.run().expect("it runs");
    });
    assert_eq!(calls, 0);
}

#[test]
fn ready_tasks_take_turns_in_the_order_of_their_wake_ups() {
    const TASKS: usize = 5;
    let order = outcome(|executor, sender| {
        let order = Rc::new(RefCell::new(Vec::new()));
        for task in 0..TASKS {
            let (order, sender) = (order.clone(), sender.clone());
            executor.spawn(poll_fn(move |context| {
                order.borrow_mut().push(task);
                if order.borrow().len() == 100 {
                    sender.send(order.borrow().clone()).expect("the test waits");
                }
                if order.borrow().len() > 100 {
                    return Poll::Ready(());
                }
                (0..3).for_each(|_| context.waker().wake_by_ref()); // the same as one
                Poll::Pending
            }));
        }
    });
    assert_eq!(order, (0..100).map(|place| place % TASKS).collect::<Vec<_>>());
}

#[test]
fn a_request_costs_one_read_and_one_write() {
    const REQUESTS: usize = 50;
    let mut calls = Vec::new();
    let note = |call: &Call| {
        calls.push(call.number);
        None
    };
    intercepted(&[libc::SYS_recvfrom, libc::SYS_sendto], note, || {
        let executor = Executor::new().expect("an executor");
        let listener = executor::listen("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound");
        // It makes other calls than those.
        let client = thread::spawn(move || {
            let mut there = std::fs::File::from(std::os::fd::OwnedFd::from(connect(address)));
            for _ in 0..REQUESTS {
                there.write_all(b"ping").expect("it reads");
                there.read_exact(&mut [0; 4]).expect("it answers");
            }
        });
        let (listener, server) = (Async::new(executor.clone(), listener).expect("room in epoll"), executor.clone());
        executor.spawn(async move {
            let stream = Async::accepted(&server, listener.accept().await.expect("it comes")).expect("room in epoll");
            let (mut unsent, mut is_open) = (Vec::new(), true);
            while is_open {
                let sent = stream.receive(|bytes| {
                    is_open = !bytes.is_empty();
                    stream.send(bytes, &mut unsent)
                });
                sent.await.expect("it is open").expect("it is open");
                assert!(unsent.is_empty());
            }
            server.stop();
        });
        executor.run().expect("it runs");
        client.join().expect("it is answered");
    });
    let reads = calls.iter().filter(|number| **number == libc::SYS_recvfrom).count();
    // The last read finds the end.
    assert_eq!((reads, calls.len() - reads), (REQUESTS + 1, REQUESTS));
}

#[test]
fn a_limit_that_is_extended_ends_at_the_later_time_and_keeps_its_timer() {
    let (took, waker_count) = outcome(|executor, sender| {
        let sleeper = executor.clone();
        executor.spawn(async move {
            let counter = Arc::new(Counter);
            let waker = Waker::from(counter.clone());
            let (start, mut sleep) = (Instant::now(), sleeper.sleep(Duration::from_millis(2)));
            for milliseconds in 3..20 {
                assert!(pin!(&mut sleep).poll(&mut Context::from_waker(&waker)).is_pending());
                sleep.extend(Deadline::from(start + Duration::from_millis(milliseconds)));
            }
            let waker_count = Arc::strong_count(&counter);
            sleep.await;
            sender.send((start.elapsed(), waker_count)).expect("the test waits");
        });
    });
    assert!(took >= Duration::from_millis(19), "{took:?}");
    assert_eq!(waker_count, 4, "one timer has the waker");
}

#[test]
fn the_queue_of_new_connections_is_as_long_as_the_system_permits() {
    let listener = executor::listen("127.0.0.1:0").expect("a free port");
    let mut info = std::mem::MaybeUninit::<libc::tcp_info>::zeroed();
    let mut size = std::mem::size_of_val(&info) as libc::socklen_t;
    // SAFETY: the pointers are the option's value and its size, and the descriptor is open.
    let answer = unsafe {
        libc::getsockopt(listener.as_raw_fd(), libc::IPPROTO_TCP, libc::TCP_INFO, info.as_mut_ptr().cast(), &mut size)
    };
    assert_eq!(answer, 0);
    // SAFETY: all bytes are zero or written by the kernel, and the struct has only integers.
    let longest = unsafe { info.assume_init() }.tcpi_sacked; // of a listener, it is this
    let permitted = std::fs::read_to_string("/proc/sys/net/core/somaxconn").expect("a procfs");
    assert_eq!(longest.to_string(), permitted.trim());
}

#[test]
fn a_task_that_wakes_itself_for_ever_starves_neither_timers_nor_sockets() {
    let (timers, bytes) = outcome(|executor, sender| {
        executor.spawn(poll_fn(|context| {
            context.waker().wake_by_ref();
            Poll::<()>::Pending
        }));
        let busy = executor.clone();
        executor.spawn(async move {
            loop {
                busy.sleep(Duration::ZERO).await;
            }
        });
        let (mut ours, theirs) = UnixStream::pair().expect("a socket");
        theirs.set_nonblocking(true).expect("a socket");
        let theirs = Async::new(executor.clone(), theirs).expect("room in epoll");
        thread::spawn(move || (0..20).for_each(|_| ours.write_all(b"x").expect("it is read")));
        let sleeper = executor.clone();
        executor.spawn(async move {
            let mut bytes = 0;
            for _ in 0..20 {
                sleeper.sleep(Duration::from_micros(200)).await;
            }
            while bytes < 20 {
                bytes += theirs.when(READ, |mut stream| stream.read(&mut [0; 64])).await.expect("it is open");
            }
            sender.send((20, bytes)).expect("the test waits");
        });
    });
    assert_eq!((timers, bytes), (20, 20));
}

#[test]
fn a_task_whose_socket_is_always_ready_takes_turns_with_the_others() {
    let seen = outcome(|executor, sender| {
        let (mut ours, theirs) = UnixStream::pair().expect("a socket");
        ours.set_nonblocking(true).expect("a socket");
        theirs.set_nonblocking(true).expect("a socket");
        let there = ours.write(&[1; 50_000]).expect("room for some");
        let (count, theirs) = (Rc::new(Cell::new(0)), Async::new(executor.clone(), theirs).expect("room in epoll"));
        let counter = count.clone();
        executor.spawn(async move {
            while counter.get() < there {
                counter.set(counter.get() + theirs.when(READ, |mut stream| stream.read(&mut [0])).await.expect("open"));
            }
        });
        // How much each turn reads.
        let mut seen = Vec::new();
        executor.spawn(poll_fn(move |context| {
            seen.push(count.get());
            let _ = &ours; // keeps it open
            if count.get() < there {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            sender.send(std::mem::take(&mut seen)).expect("the test waits");
            Poll::Ready(())
        }));
    });
    let longest = seen.windows(2).map(|pair| pair[1] - pair[0]).max().expect("more than one");
    assert!((1..=200).contains(&longest), "one task made {longest} calls without a pause");
}

#[test]
fn a_write_waits_until_there_is_room_and_a_reader_and_a_writer_share_a_socket() {
    let received = outcome(|executor, sender| {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let there = TcpStream::connect(listener.local_addr().expect("bound")).expect("it listens");
        let (here, _) = listener.accept().expect("it comes");
        here.set_nonblocking(true).expect("a socket");
        let here = Rc::new(Async::new(executor.clone(), here).expect("room in epoll"));
        let reader = here.clone();
        executor.spawn(async move { here.write_all(&noise(8_000_000)).await.expect("it is read") });
        executor.spawn(async move {
            let mut chunk = [0; 100];
            let length = reader.read(&mut chunk).await.expect("it answers");
            sender.send(String::from_utf8_lossy(&chunk[..length]).into_owned()).expect("the test waits");
        });
        thread::spawn(move || {
            sleep(Duration::from_millis(100));
            let mut all = vec![0; 8_000_000];
            (&there).read_exact(&mut all).expect("all of it");
            let verdict = if all == noise(8_000_000) { "the same" } else { "something else" };
            (&there).write_all(verdict.as_bytes()).expect("it is read");
            sleep(Duration::from_millis(100));
        });
    });
    assert_eq!(received, "the same");
}

/// Flushes 16 MB with this limit, to a peer that reads this often, with pauses of 50 ms. Returns
/// the error and how long it took.
fn flushed(limit: Duration, pieces: usize) -> (Option<io::ErrorKind>, Duration) {
    const LENGTH: usize = 16_000_000;
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let mut there = connect(listener.local_addr().expect("bound"));
    let (here, _) = listener.accept().expect("it comes");
    let reader = thread::spawn(move || {
        for _ in 0..pieces {
            if there.read_exact(&mut vec![0; LENGTH / pieces]).is_err() {
                break; // the flush has failed
            }
            sleep(Duration::from_millis(50));
        }
        there // it stays open
    });
    let flushed = outcome(move |executor, sender| {
        let (here, mut unsent) = (Async::accepted(executor, here).expect("room in epoll"), noise(LENGTH));
        executor.spawn(async move {
            let begin = Instant::now();
            let error = here.flush(&mut unsent, limit).await.err();
            assert_eq!(unsent.is_empty(), error.is_none());
            sender.send((error.map(|error| error.kind()), begin.elapsed())).expect("the test waits");
        });
    });
    reader.join().expect("it reads");
    flushed
}

#[test]
fn a_flush_ends_when_the_peer_takes_nothing_for_its_limit_and_not_while_it_takes_some() {
    assert_eq!(flushed(Duration::from_millis(100), 0).0, Some(io::ErrorKind::TimedOut));
    in_some_round("a slow reader", || match flushed(Duration::from_secs(1), 100) {
        (None, time) if time > Duration::from_secs(1) => Ok(()),
        other => Err(format!("{other:?}")),
    });
}

#[test]
fn an_error_is_told_to_readers_and_writers() {
    let (read, written) = outcome(|executor, sender| {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let there = TcpStream::connect(listener.local_addr().expect("bound")).expect("it listens");
        let (here, _) = listener.accept().expect("it comes");
        here.set_nonblocking(true).expect("a socket");
        let here = Async::new(executor.clone(), here).expect("room in epoll");
        executor.spawn(async move {
            let read = here.read(&mut [0; 10]).await.is_err();
            let written = here.when(WRITE, |mut stream| stream.write(b"x")).await.is_err();
            sender.send((read, written)).expect("the test waits");
        });
        thread::spawn(move || {
            sleep(Duration::from_millis(20));
            close_by_reset(there);
        });
    });
    assert!(read && written);
}

#[test]
fn the_tasks_that_are_left_are_dropped_when_it_stops() {
    let executor = Executor::new().expect("an executor");
    let (held, keeper) = (Rc::new(()), executor.clone());
    let watched = Rc::downgrade(&held);
    executor.spawn(async move {
        let _held = held;
        keeper.sleep(HOUR).await;
    });
    let stopper = executor.clone();
    executor.spawn(async move { stopper.stop() });
    executor.run().expect("it runs");
    assert_eq!(watched.strong_count(), 0);
    assert_eq!(Rc::strong_count(&executor), 1);
}

struct Server {
    program: Program,
    echo: SocketAddr,
    http: SocketAddr,
}

impl Server {
    fn start() -> Self {
        Self::of(Program::start("executor", &[]))
    }

    fn of(mut program: Program) -> Self {
        let (echo, http) = (program.address("echo listens on "), program.address("http listens on "));
        Self { program, echo, http }
    }

    /// Sends these pieces with pauses, and returns the response once the server closes.
    fn http(&self, pieces: &[&[u8]]) -> String {
        let mut stream = connect(self.http);
        for piece in pieces {
            stream.write_all(piece).expect("the example reads");
            sleep(Duration::from_millis(if pieces.len() > 1 { 3 } else { 0 }));
        }
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an end, not a reset");
        answer
    }
}

#[test]
fn a_thousand_connections_are_served_at_once() {
    need_descriptors(2500);
    let server = Server::start();
    let before = server.program.descriptors();
    let mut clients = Vec::new();
    while clients.len() < 1000 {
        let more: Vec<_> = (0..100).map(|_| connect(server.echo)).collect();
        exchange(&more);
        clients.extend(more);
    }
    assert_eq!(server.program.descriptors(), before + 1000);
    exchange(&clients);
    drop(clients);
    eventually("all are closed", || server.program.descriptors() == before);
    assert_eq!(server.program.last_words(), "served 1000 connections\n");
}

/// Clients that have been served and say no more cost the server little memory: no buffers.
#[test]
fn ten_thousand_silent_connections_take_less_than_a_kilobyte_each() {
    const CLIENTS: usize = 10_000;
    need_descriptors(CLIENTS as u64 + 200);
    let server = Server::start();
    let serve = |clients: &[TcpStream]| {
        clients.iter().for_each(|mut client| client.write_all(GET.as_bytes()).expect("the example reads"));
        for mut client in clients {
            let mut answer = [0; HELLO.len()];
            client.read_exact(&mut answer).expect("the example answers");
            assert_eq!(answer, HELLO.as_bytes());
        }
    };
    serve(&[connect(server.http)]); // what the first one needs is not counted
    let before = server.program.memory();
    let mut clients = Vec::new();
    while clients.len() < CLIENTS {
        let more: Vec<_> = (0..500).map(|_| connect(server.http)).collect();
        serve(&more);
        clients.extend(more);
    }
    let each = (server.program.memory() - before) / CLIENTS;
    assert!(each < 1024, "{each} bytes a connection");
}

#[test]
fn much_comes_back_in_order_to_those_who_read_late() {
    let server = Server::start();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| echo_to_a_late_reader(server.echo, 12_000_000));
        }
    });
}

#[test]
fn an_executor_with_nothing_to_do_uses_no_time() {
    let server = Server::start();
    let idle: Vec<_> = (0..50).map(|_| connect(server.echo)).collect();
    exchange(&idle);
    let _silent = connect(server.http);
    server.program.becomes_idle(Duration::from_millis(300));
    exchange(&idle);
}

#[test]
fn resets_end_their_own_connection_only() {
    let server = Server::start();
    let bystander = [connect(server.echo)];
    exchange(&bystander);
    let before = server.program.descriptors();
    for _ in 0..50 {
        close_by_reset(connect(server.echo));
        for address in [server.echo, server.http] {
            let mut asks = connect(address);
            asks.write_all(&[1; 5_000]).expect("the example reads");
            close_by_reset(asks);
        }
    }
    exchange(&bystander);
    eventually("all others are closed", || server.program.descriptors() == before);
}

#[test]
fn without_descriptors_it_neither_spins_nor_ends_and_recovers_when_clients_leave() {
    let server = Server::of(Program::start_by(r#"ulimit -n 32; exec "$@""#, "executor", &[]));
    survives_a_shortage(server.program, server.echo);
}

/// A read stops before urgent data even if more follows. So this read is short, and the next one is
/// not.
#[test]
fn bytes_behind_urgent_ones_come_back_too() {
    let server = Server::start();
    let mut stream = connect(server.echo);
    exchange(std::slice::from_ref(&stream));
    server.program.frozen(|| {
        // SAFETY: the literal has three bytes, and the descriptor is open.
        let sent = unsafe { libc::send(stream.as_raw_fd(), b"abU".as_ptr().cast(), 3, libc::MSG_OOB) };
        assert_eq!(sent, 3);
        stream.write_all(b"cd").expect("the kernel takes it");
    });
    let mut back = [0; 4];
    stream.read_exact(&mut back).expect("the example sends back");
    assert_eq!(&back, b"abcd");
}

#[test]
fn an_end_that_comes_with_the_last_bytes_is_seen() {
    let server = Server::start();
    let mut stream = connect(server.echo);
    exchange(std::slice::from_ref(&stream));
    server.program.frozen(|| {
        stream.write_all(b"last").expect("the kernel takes it");
        stream.shutdown(Shutdown::Write).expect("it is open");
    });
    let mut back = String::new();
    stream.read_to_string(&mut back).expect("the end");
    assert_eq!(back, "last");
}

const GET: &str = "GET / HTTP/1.1\r\nHost: here\r\n\r\n";
const LAST: &str = "GET / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n";
const HELLO: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 14\r\n\r\nHello, world!\n";
const GOODBYE: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 14\r\nConnection: close\r\n\r\nHello, world!\n";

#[test]
fn http_requests_are_answered_in_one_piece_or_many_and_the_connection_stays() {
    let server = Server::start();
    let once = format!("{GET}{LAST}");
    let twice = format!("{HELLO}{GOODBYE}");
    assert_eq!(server.http(&[once.as_bytes()]), twice);
    assert_eq!(server.http(&once.as_bytes().chunks(1).collect::<Vec<_>>()), twice);
    assert_eq!(server.http(&once.as_bytes().chunks(31).collect::<Vec<_>>()), twice);
}

#[test]
fn http_requests_can_be_pipelined_by_the_thousand() {
    let server = Server::start();
    let mut stream = connect(server.http);
    let (requests, mut answers) = (format!("{}{LAST}", GET.repeat(5000)), String::new());
    let mut writer = stream.try_clone().expect("a socket");
    thread::scope(|scope| {
        scope.spawn(move || writer.write_all(requests.as_bytes()).expect("the example reads"));
        stream.read_to_string(&mut answers).expect("an end, not a reset");
    });
    assert!(answers == format!("{}{GOODBYE}", HELLO.repeat(5000)), "{} bytes", answers.len());
}

/// The response to a client whose request is refused. The client may keep sending for a while
/// without a reset. A slower client tries again.
fn refused(mut attempt: impl FnMut() -> io::Result<String>) -> String {
    const LINGER: Duration = Duration::from_secs(2); // as in the example
    let mut answer = None;
    eventually("a client is fast enough", || {
        let start = Instant::now();
        match attempt() {
            Ok(all) => answer = Some(all),
            Err(error) => assert!(start.elapsed() >= LINGER, "{error} after {:?}", start.elapsed()),
        }
        answer.is_some()
    });
    answer.expect("it was fast enough")
}

#[test]
fn http_that_is_wrong_too_long_or_not_served_gets_its_status_and_the_end() {
    let server = Server::start();
    for (request, expected) in refused_requests() {
        let answer = refused(|| {
            let mut stream = connect(server.http);
            stream.write_all(request.as_bytes())?; // the server reads even a request that is too long to its end
            stream.shutdown(Shutdown::Write)?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).map(|_| answer)
        });
        assert_eq!(answer, expected, "{:?}", request.get(..80).unwrap_or(&request));
    }
    assert_eq!(server.http(&[b"GET / HTTP/1.0\r\n\r\n"]), GOODBYE);
    assert_eq!(
        server.http(&[b"GET /a/b?c HTTP/1.1\r\nconnection: Upgrade, CLOSE\r\nContent-Length: 0\r\n\r\n"]),
        GOODBYE
    );
}

#[test]
fn clients_that_never_read_are_closed_after_half_a_minute() {
    let server = Server::start();
    let before = server.program.descriptors();
    let silent = connect(server.echo);
    let stuck = [server.echo, server.http].map(|address| {
        let mut stream = connect(address);
        stream.set_write_timeout(Some(Duration::from_millis(300))).expect("a timeout");
        while stream.write(GET.repeat(1000).as_bytes()).is_ok() {}
        stream
    });
    assert_eq!(server.program.descriptors(), before + 3);
    eventually("they are closed", || server.program.descriptors() == before + 1);
    exchange(&[silent]);
    drop(stuck);
}

#[test]
fn http_that_is_refused_may_still_be_sent_for_a_while() {
    let server = Server::start();
    let answer = refused(|| {
        let mut stream = connect(server.http);
        stream.write_all(&[b'a'; 10_000])?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        for _ in 0..10 {
            stream.write_all(&[b'a'; 10_000])?;
            sleep(Duration::from_millis(10));
        }
        Ok(answer)
    });
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
}

#[test]
fn a_line_quit_stops_it_and_an_input_that_cannot_be_watched_does_not() {
    let mut server = Server::start();
    let mut client = connect(server.echo);
    server.program.type_in("hello\n quit\n");
    exchange(std::slice::from_ref(&client));
    server.program.type_in("quit\n");
    eventually("it stops", || !server.program.is_running());
    assert_eq!(client.read(&mut [0]).expect("an end, not a reset"), 0);

    let mut server = Server::of(Program::spawn(Command::new(example("executor")).stdin(Stdio::null())));
    exchange(&[connect(server.echo)]);
    assert!(server.program.is_running());
}

#[test]
fn what_it_cannot_use_is_one_line_that_names_the_usage_and_exit_code_2() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let taken = taken.local_addr().expect("it is bound").to_string();
    for arguments in [
        &["nowhere"][..],
        &["--echo"],
        &["--http", "nowhere"],
        &["--echo", &taken],
        &["--echo", "127.0.0.1:0", "127.0.0.1:0"],
        &["--port", "1"],
        &["two\nlines"],
    ] {
        refuses("executor", arguments);
    }
}

#[test]
fn a_signal_stops_it() {
    for signal in [libc::SIGINT, libc::SIGTERM] {
        let mut server = Server::start();
        let mut client = connect(server.echo);
        exchange(std::slice::from_ref(&client));
        server.program.signal(signal);
        eventually("it stops", || !server.program.is_running());
        assert_eq!(client.read(&mut [0]).expect("an end, not a reset"), 0);
    }
}

#[test]
fn lost_output_is_an_error_and_no_panic() {
    lost::reports_lost_output("executor", &["--help"]);
    lost::reports_lost_output("executor", &[]);
    lost::refuses_without_error_output("executor");
}
