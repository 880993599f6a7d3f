//! The benchmarks that `cargo xtask bench` runs:
//!
//! - `benches count WHO OPERATION N THREADS` runs one operation N times, for a tool that counts
//!   instructions.
//! - `benches time SCENARIO` times several ways to do one thing.
//! - `benches try SCENARIO` does the same briefly.
//! - `benches repeat PLACE TIMES SCENARIO` runs the way at index PLACE, for a tool that counts
//!   system calls.

mod calls;
mod scenarios;
mod wall;

use std::process::ExitCode;
use wall::Purpose;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments[..] {
        ["count", who, operation, n, threads] => calls::run(who, operation, n, threads),
        ["time", scenario, ref of @ ..] => scenarios::run(&Purpose::Compare, scenario, of),
        ["try", scenario, ref of @ ..] => scenarios::run(&Purpose::Try, scenario, of),
        [role @ ("serve" | "clients"), of, connections, bytes] => scenarios::be_part(role, of, connections, bytes),
        ["repeat", place, times, scenario, ref of @ ..] => match (place.parse(), times.parse()) {
            (Ok(place), Ok(times)) => scenarios::run(&Purpose::Repeat { place, times }, scenario, of),
            _ => Err("PLACE and TIMES are numbers".into()),
        },
        _ => Err("usage: benches count WHO OPERATION N THREADS, benches time SCENARIO, benches try SCENARIO, or benches repeat PLACE TIMES SCENARIO".into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::from(2)
        }
    }
}
