//! The table of steps: every command of `cargo xtask`, and every part of a test. A new command is a row here and a file.

use crate::bench::{self, size, wall};
use crate::kit::tool::Tool;
use crate::kit::tool::{APT, CC, CXX, DPKG, NIGHTLY, OLDEST_RUSTC, READELF, RUSTUP, SCRIPT, STRACE, TAR, VALGRIND};
use crate::ports::{asm, broken, clobbers, conformance, headers, linux, new_port, symbols};
use crate::programs::{answers, c, cat, musl, serve, soak, with_std};
use crate::quality::{coverage, doctor, documents, fuzz, memory, mutants, native, proof};
use crate::release::{minimum, package, supply};
use crate::step::Command::{self, None as NoCommand, Plain};
use crate::step::Place::{Coverage, Cross, Native, Std};
use crate::step::Shown::{By, Prints};
use crate::step::Tier::{Everywhere, Here};
use crate::step::{Place, Step, Test, Tier, World};
use crate::{table, test};

/// What a step downloads with: Debian's packages are unpacked, not installed.
const DEBIAN: [&Tool; 3] = [&APT, &DPKG, &TAR];

/// A step that has no part in a test.
const fn command(name: &'static str, about: &'static str, command: Command) -> Step {
    Step { name, about, command, test: None, shown: &[], needs: &[] }
}

const fn test(
    title: &'static str,
    tier: Tier,
    counts: &'static str,
    builds: &'static [Place],
    check: fn(&World) -> Result<usize, String>,
) -> Option<Test> {
    Some(Test { title, tier, counts, builds, proves: &[], check })
}

/// A long proof, which is repeated when one of these files has changed.
const fn proof(test: Option<Test>, proves: &'static [&'static str]) -> Option<Test> {
    match test {
        Some(test) => Some(Test { proves, ..test }),
        None => None,
    }
}

/// In the order in which a test begins them.
pub static STEPS: &[Step] = &[
    Step {
        shown: &[By("native"), By("targets"), By("kernels"), Prints("test --list", "qemu-s390x")],
        ..command("test", "Run the tests and print a table of what passed", Command::with::<test::Options>())
    },
    Step {
        test: test("native", Here, "passed", &[], |world| native::tests(world, "native", native::CRATE)),
        needs: &[&CC],
        ..command("native", "The ordinary tests on this machine: `cargo test`", NoCommand)
    },
    Step {
        test: test("native, feature std", Here, "passed", &[], |world| {
            native::tests(world, "native, std", native::CRATE_WITH_STD)
        }),
        needs: &[&CC],
        ..command("native-std", "The ordinary tests with feature `std`, and those of the examples", NoCommand)
    },
    Step {
        test: test("the waker's model", Here, "passed", &[], |world| native::tests(world, "model", native::MODEL)),
        needs: &[&CC],
        ..command("model", "Every order of events in the waker's protocol, by loom", NoCommand)
    },
    Step {
        test: test("benches, a short run", Here, "figures", &[], |world| wall::run_checks(&world.progress)),
        needs: &[&CC],
        ..command("scenarios", "Every benchmark for a moment", NoCommand)
    },
    Step {
        test: test("targets", Everywhere, "targets", &[Cross], conformance::on_targets),
        needs: &[&NIGHTLY, &RUSTUP, &APT, &DPKG, &TAR],
        ..command("targets", "The conformance list for every target, under two versions of qemu-user", NoCommand)
    },
    Step {
        test: test("lines that tests run", Everywhere, "lines", &[Coverage], |world| coverage::run_checks(&world.progress)),
        needs: &DEBIAN,
        ..command("coverage", "Count the lines of `src/` that the native tests run", Command::with::<coverage::Options>())
    },
    Step {
        test: test("machine code", Everywhere, "calls", &[Cross], |world| {
            asm::run_checks(&world.progress, world.cache()?, &world.targets)
        }),
        needs: &[&NIGHTLY],
        ..command(
            "asm",
            "Compare the machine code of each call with hand-written assembly, for each port",
            Command::with::<asm::Options>(),
        )
    },
    Step {
        test: test("registers of the traps", Everywhere, "traps", &[Cross], |world| {
            clobbers::check(&world.progress, world.cache()?, &world.targets)
        }),
        needs: &[&NIGHTLY],
        ..command(
            "clobbers",
            "Check that each port's trap names every register that a kernel destroys",
            Command::with::<clobbers::Options>(),
        )
    },
    Step {
        test: test("no panic, no libc", Everywhere, "programs", &[Cross], |world| {
            symbols::check(&world.progress, world.cache()?, &world.targets)
        }),
        needs: &[&NIGHTLY, &CC],
        ..command(
            "symbols",
            "Link every public function into a program that does not link if one can panic, for every target of stable Rust",
            Command::with::<symbols::Options>(),
        )
    },
    Step {
        test: test("kernels", Everywhere, "kernels", &[Cross], conformance::on_kernels),
        needs: &[&NIGHTLY, &APT, &DPKG, &TAR],
        ..command("kernels", "The conformance list as the first process of real kernels, under qemu-system", NoCommand)
    },
    Step {
        test: test("the workspace", Everywhere, "passed", &[Native], |world| {
            native::tests(world, "workspace", native::OTHERS)
        }),
        needs: &[&CC, &CXX],
        ..command("workspace", "The tests of all other packages of the workspace", NoCommand)
    },
    Step {
        test: test("soak, a short one", Everywhere, "connections", &[Native], |world| soak::run_checks(&world.progress)),
        needs: &[&CC],
        ..command(
            "soak",
            "Keep the echo server busy for a long time, and see that it stays as it was",
            Command::with::<soak::Options>(),
        )
    },
    Step {
        test: test("oldest compiler", Everywhere, "builds", &[], |world| minimum::run_checks(&world.progress)),
        needs: &[&OLDEST_RUSTC],
        ..command("minimum", "Compile the crate with the oldest compiler it promises, Debian's rustc 1.63", Plain)
    },
    Step {
        test: test("memory, by valgrind", Everywhere, "passed", &[Native], |world| memory::run_checks(&world.progress)),
        needs: &[&CC, &VALGRIND],
        ..command("memory", "Run tests under valgrind, which sees bytes that are read before they are written", Plain)
    },
    Step {
        test: test("size, beside rustix's", Everywhere, "programs", &[Native], |world| size::run_checks(&world.progress)),
        needs: &[&CC],
        ..command("size", "The smallest static echo, by the crate and by rustix", NoCommand)
    },
    Step {
        test: test("a cold build", Everywhere, "crates", &[], |world| bench::cold_build(&world.progress)),
        needs: &[&CC],
        ..command("cold-build", "The crates in a cold build of a dependent", NoCommand)
    },
    Step {
        test: test("instructions a call", Everywhere, "calls", &[Native], |world| bench::instructions(&world.progress)),
        needs: &[&CC, &VALGRIND],
        ..command("instructions", "User instructions a call, beside hand-written assembly, counted by valgrind", NoCommand)
    },
    Step {
        shown: &[By("scenarios"), By("size"), By("cold-build"), By("instructions")],
        needs: &[&STRACE, &VALGRIND],
        ..command("bench", "Measure barepoll beside its peers", Command::with::<bench::Options>())
    },
    Step {
        test: test("answers made up", Everywhere, "passed", &[Native, Std], |world| {
            answers::run_checks(&world.progress, world.cache()?)
        }),
        needs: &[&CC, &NIGHTLY],
        ..command(
            "answers",
            "Answer the crate's calls as no kernel of this machine would, and kill for the calls that Android kills for",
            Plain,
        )
    },
    Step {
        test: test("the kernel's headers", Everywhere, "facts", &[], |world| {
            headers::run_checks(&world.progress, world.cache()?)
        }),
        needs: &DEBIAN,
        ..command(
            "headers",
            "Compare every port with the kernel's own headers, by a C compiler",
            Command::with::<headers::Options>(),
        )
    },
    Step {
        test: test("bare-cat", Everywhere, "passed", &[Native, Cross], |world| {
            cat::run_checks(&world.progress, world.cache()?)
        }),
        needs: &[&NIGHTLY, &SCRIPT],
        ..command(
            "cat",
            "Run `bare-cat`, the example without libc, on every kind of stream, here and for other machines",
            Plain,
        )
    },
    Step {
        test: test("fuzz, a short one", Everywhere, "inputs", &[Coverage], |world| {
            fuzz::run_checks(&world.progress, world.cache()?)
        }),
        needs: &[&CXX],
        ..command(
            "fuzz",
            "Let libFuzzer think of histories: against the model of the kernel, and against libc",
            Command::with::<fuzz::Options>(),
        )
    },
    Step {
        test: test("executor, under load", Everywhere, "passed", &[Native], |world| {
            serve::run_checks(&world.progress, world.cache()?)
        }),
        needs: &DEBIAN,
        ..command("serve", "Serve HTTP with the example runtime, to curl and wrk", Plain)
    },
    Step {
        test: test("static musl", Everywhere, "passed", &[Std], |world| musl::run_checks(&world.progress, world.cache()?)),
        needs: &[&NIGHTLY],
        ..command(
            "musl",
            "Build a static program with std and musl that uses barepoll and musl's epoll, and run it here and under emulators",
            Plain,
        )
    },
    Step {
        test: test("the package", Everywhere, "passed", &[], |world| {
            package::run_checks(&world.progress, world.cache()?)
        }),
        needs: &[&NIGHTLY],
        ..command(
            "package",
            "Make the package that crates.io would get: its files, its build by itself, its documentation as docs.rs builds it",
            Plain,
        )
    },
    Step {
        test: test("the supply chain", Everywhere, "passed", &[], |world| {
            supply::run_checks(&world.progress, world.cache()?)
        }),
        ..command(
            "supply",
            "Check what the crate brings with it: crates, licenses, sources; and whether its interface is still what it was",
            Command::with::<supply::Options>(),
        )
    },
    Step {
        test: test("documents", Everywhere, "passed", &[Native], documents::run_checks),
        needs: &[&NIGHTLY],
        ..command(
            "documents",
            "Run the commands that documents name, and check the tables in them that come from this project's own",
            Command::with::<documents::Options>(),
        )
    },
    Step {
        test: test("programs in C", Everywhere, "passed", &[Native, Std], |world| {
            c::run_checks(&world.progress, world.cache()?)
        }),
        needs: &[&CC, &CXX, &READELF, &NIGHTLY],
        ..command(
            "c",
            "Run C's functions on barepoll: checks in C, CPython's own tests, a Redis server under load",
            Plain,
        )
    },
    Step {
        test: test("with std", Everywhere, "passed", &[Std], |world| with_std::run_checks(&world.progress, world.cache()?)),
        needs: &[&NIGHTLY],
        ..command("with-std", "Run the ordinary tests with std on other machines, under emulators", Plain)
    },
    Step {
        test: test("other Linux targets", Everywhere, "targets", &[], |world| {
            linux::run_checks(&world.progress, world.cache()?)
        }),
        needs: &[&NIGHTLY],
        ..command(
            "linux",
            "Compile the crate for every target that rustc calls Linux, or see it refused with its reason",
            Command::with::<linux::Options>(),
        )
    },
    Step {
        test: proof(
            test("mutants, of one file", Everywhere, "changes seen", &[], |world| {
                mutants::run_checks(&world.progress, world.cache()?)
            }),
            &[".cargo/", "Cargo.", "src/", "tests/", "xtask/src/quality/mutants.rs"],
        ),
        ..command(
            "mutants",
            "Change `src/` in one place at a time, and see that a test fails",
            Command::with::<mutants::Options>(),
        )
    },
    Step {
        test: proof(
            test("broken on purpose", Everywhere, "faults seen", &[Cross], |world| broken::run_checks(&world.progress)),
            &["Cargo.", "src/", "test-crates/bare/", "tests/conformance/", "xtask/src/ports/", "xtask/src/machines/"],
        ),
        needs: &[&NIGHTLY],
        ..command("broken", "Make ports wrong in a copy, and see that a check fails", Command::with::<broken::Options>())
    },
    Step {
        shown: &[Prints("proof model --cases 10", "random histories")],
        ..command("proof", "Count what the tests of random histories try, in docs/proof.md", Command::with::<proof::Options>())
    },
    Step {
        shown: &[By("workspace")], // its own tests
        needs: &[&NIGHTLY],
        ..command(
            "new-port",
            "Write the file of a new port, its lines and its row, and say what is left to do",
            Command::with::<new_port::Options>(),
        )
    },
    Step {
        // A test ends with a look at the table.
        shown: &[By("targets"), By("kernels")],
        ..command(
            "table",
            "Write the tables of architectures and of steps from the last full test run",
            Command::with::<table::Options>(),
        )
    },
    Step {
        // A tool that is missing on this machine is no fault of a document.
        shown: &[Prints("doctor", "rustup")],
        ..command(
            "doctor",
            "Say which tools the steps need, which of them are here, and what installs the others",
            Command::with::<doctor::Options>(),
        )
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kit::copy::files;
    use std::collections::HashSet;

    #[test]
    fn every_step_has_a_name_and_a_title_of_its_own() {
        let names: HashSet<&str> = STEPS.iter().map(|step| step.name).collect();
        assert_eq!(names.len(), STEPS.len());
        let titles = || STEPS.iter().filter_map(|step| Some(step.test.as_ref()?.title));
        assert_eq!(titles().collect::<HashSet<_>>().len(), titles().count());
    }

    #[test]
    fn something_shows_that_each_command_works() {
        for step in STEPS {
            assert!(step.test.is_some() || !step.shown.is_empty(), "nothing runs {}", step.name);
            for shown in step.shown {
                let By(name) = shown else { continue };
                let is_run = STEPS.iter().any(|other| other.name == *name && other.test.is_some());
                assert!(is_run, "no test runs {name}, by which {} is shown", step.name);
            }
        }
    }

    #[test]
    fn a_long_proof_looks_at_files_that_are_there() {
        let files = files().expect("git lists them");
        for start in STEPS.iter().filter_map(|step| step.test.as_ref()).flat_map(|test| test.proves) {
            assert!(files.iter().any(|file| file.starts_with(start)), "no file starts with {start}");
        }
    }

    #[test]
    fn clap_takes_the_command_line() {
        crate::step::cli(STEPS).debug_assert();
    }
}
