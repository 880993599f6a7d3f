//! Whether a process has nothing to do, by what its threads want.

use std::fs;
use std::thread::sleep;
use std::time::Duration;

const MOMENTS: u32 = 30;

/// Looks for so long at the threads of a process: whether one runs or wants to in at most a tenth of the moments. A thread that spins
/// wants to in all of them, however little of the machine it gets.
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
