//! `benches count WHO OPERATION N THREADS` does one operation N times, for a counter of instructions; `benches time SCENARIO` times ways to
//! do the same beside each other, and `benches try SCENARIO` does so for a moment; `benches repeat PLACE TIMES SCENARIO` does the way at that
//! place so many times, for a counter of system calls. `cargo xtask bench` runs them.

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
