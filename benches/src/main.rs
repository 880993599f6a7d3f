//! `benches count WHO OPERATION N` does one operation N times, for a counter of instructions; `benches time SCENARIO` times ways to
//! do the same beside each other. `cargo xtask bench` runs both.

mod calls;
mod scenarios;
mod wall;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments[..] {
        ["count", who, operation, n] => calls::run(who, operation, n),
        ["time", scenario] => scenarios::run(scenario),
        _ => Err("usage: benches count WHO OPERATION N, or benches time SCENARIO".into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::from(2)
        }
    }
}
