//! `benches count WHO OPERATION N THREADS` does one operation N times, for a counter of instructions; `benches time SCENARIO` times ways to
//! do the same beside each other. `cargo xtask bench` runs both.

mod calls;
mod scenarios;
mod wall;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments[..] {
        ["count", who, operation, n, threads] => calls::run(who, operation, n, threads),
        ["time", "call", operation, threads @ ("1" | "2")] => {
            calls::time(operation, if threads == "1" { 1 } else { 2 }).map(|compared| println!("{compared}"))
        }
        ["time", scenario, ref numbers @ ..] => scenarios::run(scenario, numbers),
        _ => Err("usage: benches count WHO OPERATION N THREADS, benches time call OPERATION THREADS, or benches time SCENARIO".into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::from(2)
        }
    }
}
