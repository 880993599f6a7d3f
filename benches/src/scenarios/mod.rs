//! What is timed: each scenario is ways to do one thing, the usual one first, then that once more.

mod echo;
mod interest;
mod waits;
mod wakeup;

use barepoll::{EventData, EventFd, EventFdFlags, Result};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::scope;

type Scenario = fn() -> Result<serde_json::Value>;

const SCENARIOS: [(&str, Scenario); 9] = [
    ("wakeup", wakeup::wakeup),
    ("wakeup-calls", wakeup::wakeup_calls),
    ("burst", wakeup::burst),
    ("spin", waits::spin),
    ("idle", waits::idle),
    ("ready", waits::ready),
    ("timers", waits::timers),
    ("interest", interest::interest),
    ("interest-nothing-to-save", interest::interest_nothing_to_save),
];

/// `echo CONNECTIONS BYTES`, or one of the scenarios.
pub fn run(name: &str, numbers: &[&str]) -> std::result::Result<(), String> {
    let names = SCENARIOS.map(|(name, _)| name).join(", ");
    let unknown = || format!("no such scenario: there are echo CONNECTIONS BYTES, {names}");
    let number = |text: &str| text.parse().map_err(|_| unknown());
    let compared = match (name, numbers) {
        ("echo", [connections, bytes]) => echo::echo(number(connections)?, number(bytes)?),
        (_, []) => SCENARIOS.iter().find(|(scenario, _)| *scenario == name).ok_or_else(unknown)?.1(),
        _ => return Err(unknown()),
    };
    println!("{}", compared.map_err(|errno| format!("{name}: {errno}"))?);
    Ok(())
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
