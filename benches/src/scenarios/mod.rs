//! The scenarios. Each compares several ways to do one thing. The usual way comes first and second.

mod across;
mod apart;
mod deadlines;
mod echo;
mod interest;
mod threads;
mod waits;
mod wakeup;

use crate::calls;
use crate::wall::Purpose;
use barepoll::{Errno, EventData, EventFd, EventFdFlags, Result};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::scope;

type Scenario = fn(&Purpose) -> Result<serde_json::Value>;

const SCENARIOS: [(&str, Scenario); 8] = [
    ("wakeup", wakeup::wakeup),
    ("wakeup-calls", wakeup::wakeup_calls),
    ("burst", wakeup::burst),
    ("spin", waits::spin),
    ("idle", waits::idle),
    ("ready", waits::ready),
    ("interest", interest::interest),
    ("interest-nothing-to-save", interest::interest_nothing_to_save),
];

/// Runs a scenario of [`SCENARIOS`], one with arguments, or `timers`, which only measures time.
pub fn run(purpose: &Purpose, name: &str, of: &[&str]) -> std::result::Result<(), String> {
    let names = SCENARIOS.map(|(name, _)| name).join(", ");
    let of_what = "accept THREADS, call OPERATION THREADS, deadlines TIMERS, echo CONNECTIONS BYTES, \
                   producers THREADS, share THREADS, spin-across MICROSECONDS";
    let unknown = || format!("no such scenario: there are {of_what}, timers, {names}");
    let number = |text: &str| text.parse().map_err(|_| unknown());
    let said = |errno: Errno| format!("{name}: {errno}");
    let compared = match (name, of) {
        ("call", [operation, threads]) => calls::time(operation, threads, purpose),
        ("share", [threads]) => threads::share(number(threads)?, purpose).map_err(said),
        ("producers", [threads]) => threads::producers(number(threads)?, purpose).map_err(said),
        ("accept", [threads]) => threads::accept(number(threads)?, purpose).map_err(|error| format!("{name}: {error}")),
        ("deadlines", [timers]) => deadlines::deadlines(number(timers)?, purpose).map_err(said),
        ("echo", [connections, bytes]) => echo::echo(number(connections)?, number(bytes)?, purpose).map_err(said),
        ("spin-across", [pause]) => across::spin_across(number(pause)?, purpose),
        ("timers", []) => waits::timers(purpose).map_err(said),
        (_, []) => {
            SCENARIOS.iter().find(|(scenario, _)| *scenario == name).ok_or_else(unknown)?.1(purpose).map_err(said)
        }
        _ => Err(unknown()),
    };
    compared.map(|compared| println!("{compared}"))
}

/// The processes of `echo`: `serve PLACE CONNECTIONS BYTES` and `clients ADDRESS CONNECTIONS
/// BYTES`.
pub fn be_part(role: &str, of: &str, connections: &str, bytes: &str) -> std::result::Result<(), String> {
    let number = |text: &str| text.parse().map_err(|_| format!("{text} is no number"));
    let (connections, bytes) = (number(connections)?, number(bytes)?);
    let outcome = match role {
        "serve" => echo::serve(number(of)?, connections, bytes),
        _ => apart::be_clients(of, connections, bytes),
    };
    outcome.map_err(|error| format!("{role}: {error}"))
}

fn counter() -> Result<EventFd> {
    EventFd::new(0, EventFdFlags::CLOEXEC | EventFdFlags::NONBLOCK)
}

const ONE: EventData = EventData::new_u64(1);

/// The CPUs that this thread may use.
fn cpus() -> Vec<usize> {
    // SAFETY: `cpu_set_t` is plain words, and all zeros is the empty set. The kernel writes at most
    // the size it is given.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::sched_getaffinity(0, size_of_val(&set), &mut set);
        (0..libc::CPU_SETSIZE as usize).filter(|cpu| libc::CPU_ISSET(*cpu, &set)).collect()
    }
}

/// Pins this thread, and the threads that it starts, to a CPU.
fn stay_on(cpu: usize) {
    // SAFETY: as above. The kernel reads at most the size it is given.
    let answer = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(cpu, &mut set);
        libc::sched_setaffinity(0, size_of_val(&set), &set)
    };
    assert_eq!(answer, 0, "sched_setaffinity");
}

/// Runs beside a sleeping thread, because libc's calls take a slower path in a threaded process.
pub fn beside_another_thread<T>(run: impl FnOnce() -> T) -> T {
    beside(std::thread::park, run)
}

/// Runs while another thread repeats `other`. `other` may park, because the end unparks it.
fn beside<T>(other: impl Fn() + Sync, run: impl FnOnce() -> T) -> T {
    let end = AtomicBool::new(false);
    scope(|scope| {
        let other = scope.spawn(|| {
            while !end.load(Ordering::Relaxed) {
                other();
            }
        });
        let given = run();
        end.store(true, Ordering::Relaxed);
        other.thread().unpark();
        given
    })
}
