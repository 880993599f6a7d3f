//! Whether a process is idle, by the state of its threads.

use std::fs;
use std::thread::sleep;
use std::time::Duration;

const MOMENTS: u32 = 30;

/// Samples a process' threads for this long. Returns whether any was running or runnable in at most
/// a tenth of the samples. A spinning thread is runnable in all of them, even without a processor.
pub fn is_idle(process: u32, pause: Duration) -> bool {
    let tasks = format!("/proc/{process}/task");
    let is_busy = || {
        let threads = fs::read_dir(&tasks).expect("the process runs");
        threads.filter_map(Result::ok).any(|thread| {
            let stat = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
            // The name is in parentheses, and the state follows.
            stat.rsplit(')').next().map_or(false, |rest| rest.trim_start().starts_with('R'))
        })
    };
    let busy = (0..MOMENTS).filter(|_| {
        sleep(pause / MOMENTS);
        is_busy()
    });
    busy.count() <= MOMENTS as usize / 10
}
