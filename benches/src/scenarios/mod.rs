//! What is timed: each scenario is ways to do one thing, the usual one first, then that once more.

mod apart;
mod echo;
mod interest;
mod waits;
mod wakeup;

use crate::wall::Purpose;
use barepoll::{EventData, EventFd, EventFdFlags, Result};
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

/// `echo CONNECTIONS BYTES`, or one of the scenarios; or `timers`, which is only timed.
pub fn run(purpose: &Purpose, name: &str, numbers: &[&str]) -> std::result::Result<(), String> {
    let names = SCENARIOS.map(|(name, _)| name).join(", ");
    let unknown = || format!("no such scenario: there are echo CONNECTIONS BYTES, timers, {names}");
    let number = |text: &str| text.parse().map_err(|_| unknown());
    let compared = match (name, numbers) {
        ("echo", [connections, bytes]) => echo::echo(number(connections)?, number(bytes)?, purpose),
        ("timers", []) => waits::timers(),
        (_, []) => SCENARIOS.iter().find(|(scenario, _)| *scenario == name).ok_or_else(unknown)?.1(purpose),
        _ => return Err(unknown()),
    };
    println!("{}", compared.map_err(|errno| format!("{name}: {errno}"))?);
    Ok(())
}

/// What `echo` starts: `serve PLACE CONNECTIONS BYTES`, and `clients ADDRESS CONNECTIONS BYTES`.
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

/// A libc call of a process with two threads takes a longer way than of one with one.
pub fn beside_another_thread<T>(run: impl FnOnce() -> T) -> T {
    let end = AtomicBool::new(false);
    scope(|scope| {
        let other = scope.spawn(|| {
            while !end.load(Ordering::Relaxed) {
                std::thread::park();
            }
        });
        let given = run();
        end.store(true, Ordering::Relaxed);
        other.thread().unpark();
        given
    })
}
