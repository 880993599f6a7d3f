//! The table of steps: every command of `cargo xtask`, and every step of a test. A new command
//! needs a row here and a file.

use crate::bench::{self, size};
use crate::kit::tool::Tool;
use crate::kit::tool::{
    APT, BASH, BC, BISON, CC, CXX, DPKG, FLEX, GDB, GIT, MAKE, NIGHTLY, OLDEST_RUSTC, READELF, RUSTUP, SCRIPT, STRACE,
    TAR, UNSHARE, VALGRIND,
};
use crate::machines::{built, not_linux, worst};
use crate::ports::{asm, broken, clobbers, conformance, headers, linux, new_port, peers, symbols};
use crate::programs::{answers, bare_echo, c, cat, musl, serve, soak, tool, with_std};
use crate::quality::{coverage, doctor, documents, fuzz, memory, miri, mutants, native, proof, sanitizers};
use crate::release::{minimum, package, supply};
use crate::step::Command::{self, None as NoCommand, Plain};
use crate::step::Evidence::{Prints, TestedBy};
use crate::step::Place::{Coverage, Cross, Native, Std};
use crate::step::Tier::{Everywhere, Here};
use crate::step::{Place, Step, Test, Tier, World};
use crate::{table, test};

/// The tools that download and unpack Debian's packages. No package is installed.
const DEBIAN: [&Tool; 4] = [&APT, &BASH, &DPKG, &TAR];

/// A step that is not part of a test.
const fn command(name: &'static str, about: &'static str, command: Command) -> Step {
    Step { name, about, command, test: None, evidence: &[], needs: &[] }
}

const fn test(
    title: &'static str,
    tier: Tier,
    unit: &'static str,
    builds: &'static [Place],
    check: fn(&World) -> Result<usize, String>,
) -> Option<Test> {
    Some(Test { title, tier, unit, builds, proof_inputs: &[], check })
}

/// A long proof, which runs again only if a file whose path starts with one of `proof_inputs` has
/// changed.
const fn proof(test: Option<Test>, proof_inputs: &'static [&'static str]) -> Option<Test> {
    match test {
        Some(test) => Some(Test { proof_inputs, ..test }),
        None => None,
    }
}

/// In the order in which a test starts them.
pub static STEPS: &[Step] = &[
    Step {
        evidence: &[TestedBy("native"), TestedBy("targets"), TestedBy("kernels"), Prints("test --list", "qemu-s390x")],
        ..command("test", "Run the tests and print a table of the results", Command::with::<test::Options>())
    },
    Step {
        test: test("native", Here, "passed", &[], |world| native::tests(world, "native", native::CRATE)),
        needs: &[&CC],
        ..command("native", "Run the crate's tests on this machine: `cargo test`", NoCommand)
    },
    Step {
        test: test("native, feature std", Here, "passed", &[], |world| {
            native::tests(world, "native, std", native::CRATE_WITH_STD)
        }),
        needs: &[&CC],
        ..command("native-std", "Run the crate's tests and the examples' tests with feature `std`", NoCommand)
    },
    Step {
        test: test("the waker's model", Here, "passed", &[], |world| native::tests(world, "model", native::MODEL)),
        needs: &[&CC],
        ..command("model", "Check the waker's protocol in every order of events, using loom", NoCommand)
    },
    Step {
        test: test("benchmarks, short run", Here, "figures", &[], |world| bench::run_checks(&world.progress)),
        needs: &[&CC],
        ..command("scenarios", "Run every benchmark for a moment", NoCommand)
    },
    Step {
        test: test("targets", Everywhere, "targets", &[Cross], conformance::on_targets),
        needs: &[&NIGHTLY, &RUSTUP, &APT, &BASH, &DPKG, &TAR],
        ..command("targets", "Run the conformance list for every target, under two versions of qemu-user", NoCommand)
    },
    Step {
        // The step "kernels" boots what this builds.
        test: test("kernels from source", Everywhere, "kernels", &[], built::run_checks),
        needs: &[&APT, &BASH, &DPKG, &TAR, &MAKE, &CC, &FLEX, &BISON, &BC],
        ..command(
            "build-kernels",
            "Build the kernels that no distribution builds, from Debian's source, into the cache",
            Command::with::<built::Options>(),
        )
    },
    Step {
        test: test("coverage", Everywhere, "lines", &[Coverage], |world| coverage::run_checks(&world.progress)),
        needs: &DEBIAN,
        ..command(
            "coverage",
            "Count the lines of `src/` that the native tests run",
            Command::with::<coverage::Options>(),
        )
    },
    Step {
        test: test("machine code", Everywhere, "calls", &[Cross], |world| {
            asm::run_checks(&world.progress, world.cache()?, &world.targets)
        }),
        needs: &[&NIGHTLY],
        ..command(
            "asm",
            "Compare the machine code of each call with hand-written assembly, for every port",
            Command::with::<asm::Options>(),
        )
    },
    Step {
        test: test("clobbered registers", Everywhere, "traps", &[Cross], |world| {
            clobbers::check(&world.progress, world.cache()?, &world.targets)
        }),
        needs: &[&NIGHTLY],
        ..command(
            "clobbers",
            "Check that each port's `asm!` declares every register that a kernel destroys",
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
            "Check that no public function can panic or needs libc, for every target of stable Rust",
            Command::with::<symbols::Options>(),
        )
    },
    Step {
        test: proof(
            test("other crates' registers", Everywhere, "traps", &[Cross], |world| {
                peers::check(&world.progress, world.cache()?)
            }),
            &[
                ".cargo/",
                "Cargo.lock",
                "docs/peers.md",
                "docs/proof.md",
                "test-crates/peers/",
                "xtask/src/debian/",
                "xtask/src/kit/",
                "xtask/src/machines/cross.rs",
                "xtask/src/machines/mod.rs",
                "xtask/src/machines/repair.rs",
                "xtask/src/machines/targets.rs",
                "xtask/src/ports/asm.rs",
                "xtask/src/ports/clobbers.rs",
                "xtask/src/ports/mod.rs",
                "xtask/src/ports/peers.rs",
            ],
        ),
        needs: &[&GIT, &NIGHTLY],
        ..command(
            "peers",
            "Compare the registers that other crates' system calls declare with what kernels destroy",
            Command::with::<peers::Options>(),
        )
    },
    Step {
        test: test("kernels", Everywhere, "kernels", &[Cross], conformance::on_kernels),
        needs: &[&NIGHTLY, &APT, &BASH, &DPKG, &TAR],
        ..command(
            "kernels",
            "Run the conformance list as the first process of real kernels, under qemu-system",
            NoCommand,
        )
    },
    Step {
        test: test("the worst kernel", Everywhere, "targets", &[Cross], worst::on_targets),
        needs: &[&NIGHTLY, &APT, &BASH, &DPKG, &TAR],
        ..command(
            "worst",
            "Run the conformance list with every register overwritten that a machine's ABI lets a system call destroy",
            Command::with::<worst::Options>(),
        )
    },
    Step {
        test: test("kernels that are not Linux", Everywhere, "layers", &[Cross], not_linux::run_checks),
        needs: &[&NIGHTLY, &APT, &BASH, &DPKG, &TAR, &STRACE, &GDB],
        ..command(
            "not-linux",
            "Run the conformance list on gVisor, in User-mode Linux, under system call filters, and traced",
            Command::with::<not_linux::Options>(),
        )
    },
    Step {
        test: test("workspace", Everywhere, "passed", &[Native], |world| {
            native::tests(world, "workspace", native::OTHERS)
        }),
        needs: &[&CC, &CXX],
        ..command("workspace", "Run the tests of the other packages of the workspace", NoCommand)
    },
    Step {
        test: test("histories with threads", Everywhere, "histories", &[Native], native::histories_with_threads),
        needs: &[&CC],
        ..command("threads", "Compare threads that share epolls with a model, in a hundred thousand histories", NoCommand)
    },
    Step {
        test: test("soak, short run", Everywhere, "connections", &[Native], |world| soak::run_checks(&world.progress)),
        needs: &[&CC],
        ..command(
            "soak",
            "Load the echo server for a long time, and check its answers, descriptors and memory",
            Command::with::<soak::Options>(),
        )
    },
    Step {
        test: test("minimum Rust version", Everywhere, "builds", &[], |world| minimum::run_checks(&world.progress)),
        needs: &[&OLDEST_RUSTC],
        ..command("minimum", "Compile the crate with its minimum Rust version, Debian's rustc 1.63", Plain)
    },
    Step {
        test: test("memory, under valgrind", Everywhere, "passed", &[Native], |world| {
            memory::run_checks(&world.progress)
        }),
        needs: &[&CC, &VALGRIND],
        ..command("memory", "Run tests under valgrind, to find reads of uninitialised memory", Plain)
    },
    Step {
        test: test("sanitizers", Everywhere, "passed", &[], |world| {
            sanitizers::run_checks(&world.progress, world.cache()?)
        }),
        needs: &[&NIGHTLY, &CC, &GIT],
        ..command(
            "sanitizers",
            "Run the conformance list and small programs under MemorySanitizer and ThreadSanitizer",
            Plain,
        )
    },
    Step {
        test: test("port for Miri", Everywhere, "passed", &[Cross, Std], |world| {
            miri::run_checks(&world.progress, world.cache()?)
        }),
        needs: &[&CC, &NIGHTLY],
        ..command(
            "miri-port",
            "Test the port for Miri without Miri: the crate's tests with C functions for system calls",
            Plain,
        )
    },
    Step {
        test: test("size, compared with rustix", Everywhere, "programs", &[Native], |world| {
            size::run_checks(&world.progress)
        }),
        needs: &[&CC],
        ..command("size", "Compare the size of a static echo program with barepoll and with rustix", NoCommand)
    },
    Step {
        test: test("cold build", Everywhere, "crates", &[], |world| bench::cold_build(&world.progress)),
        needs: &[&CC],
        ..command("cold-build", "Count the crates in a cold build of a dependent", NoCommand)
    },
    Step {
        test: test("instructions per call", Everywhere, "calls", &[Native], |world| {
            bench::instructions(&world.progress)
        }),
        needs: &[&CC, &VALGRIND],
        ..command(
            "instructions",
            "Count the user instructions of each call with valgrind, and compare with hand-written assembly",
            NoCommand,
        )
    },
    Step {
        evidence: &[TestedBy("scenarios"), TestedBy("size"), TestedBy("cold-build"), TestedBy("instructions")],
        needs: &[&STRACE, &VALGRIND],
        ..command("bench", "Measure barepoll and its peers", Command::with::<bench::Options>())
    },
    Step {
        test: test("made-up answers", Everywhere, "passed", &[Native, Std], |world| {
            answers::run_checks(&world.progress, world.cache()?)
        }),
        needs: &[&CC, &NIGHTLY],
        ..command(
            "answers",
            "Test the crate with made-up kernel answers, and under a system call filter like Android's",
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
            "Compare every port with the kernel's headers, using a C compiler",
            Command::with::<headers::Options>(),
        )
    },
    Step {
        test: test("conformance program", Everywhere, "passed", &[Cross], tool::run_checks),
        needs: &[&NIGHTLY, &APT, &BASH, &DPKG, &TAR, &UNSHARE],
        ..command(
            "conformance",
            "Test the conformance program's command line; build it for every target; write who answers what",
            Command::with::<tool::Options>(),
        )
    },
    Step {
        test: test("bare-cat", Everywhere, "passed", &[Native, Cross], |world| {
            cat::run_checks(&world.progress, world.cache()?)
        }),
        needs: &[&NIGHTLY, &SCRIPT],
        ..command(
            "cat",
            "Run `bare-cat`, the example without libc, on every kind of stream, natively and under emulators",
            Plain,
        )
    },
    Step {
        test: test("bare-echo", Everywhere, "passed", &[Native, Cross], |world| {
            bare_echo::run_checks(&world.progress, world.cache()?)
        }),
        needs: &[&NIGHTLY, &APT, &BASH, &DPKG, &TAR, &UNSHARE],
        ..command(
            "bare-echo",
            "Run `bare-echo`, the server without libc, natively, under emulators, and as first process of real kernels",
            Command::with::<bare_echo::Options>(),
        )
    },
    Step {
        test: test("fuzz, short run", Everywhere, "inputs", &[Coverage], |world| {
            fuzz::run_checks(&world.progress, world.cache()?)
        }),
        needs: &[&CXX],
        ..command(
            "fuzz",
            "Fuzz histories of calls with libFuzzer, against a model of the kernel and against libc",
            Command::with::<fuzz::Options>(),
        )
    },
    Step {
        test: test("executor, under load", Everywhere, "passed", &[Native], |world| {
            serve::run_checks(&world.progress, world.cache()?)
        }),
        needs: &DEBIAN,
        ..command("serve", "Serve HTTP with the example executor, to curl and wrk", Plain)
    },
    Step {
        test: test("static musl", Everywhere, "passed", &[Std], |world| {
            musl::run_checks(&world.progress, world.cache()?)
        }),
        needs: &[&NIGHTLY],
        ..command(
            "musl",
            "Build and run a static musl program that uses barepoll and musl's epoll, natively and under emulators",
            Plain,
        )
    },
    Step {
        test: test("package", Everywhere, "passed", &[], |world| package::run_checks(&world.progress, world.cache()?)),
        needs: &[&NIGHTLY],
        ..command(
            "package",
            "Build the crates.io package, and check its files, its build and its documentation as docs.rs builds it",
            Plain,
        )
    },
    Step {
        test: test("supply chain", Everywhere, "passed", &[], |world| {
            supply::run_checks(&world.progress, world.cache()?)
        }),
        needs: &[&GIT],
        ..command(
            "supply",
            "Check the crate's dependencies with their licenses and sources; with --since, also its public interface",
            Command::with::<supply::Options>(),
        )
    },
    Step {
        test: test("documents", Everywhere, "passed", &[Native], documents::run_checks),
        needs: &[&NIGHTLY],
        ..command(
            "documents",
            "Run the commands that documents name, and check the generated tables in them",
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
            "Test barepoll-c, the C library's functions: checks in C, CPython's and systemd's tests, a Redis server under load",
            Plain,
        )
    },
    Step {
        test: test("std on other machines", Everywhere, "passed", &[Std], |world| {
            with_std::run_checks(&world.progress, world.cache()?)
        }),
        needs: &[&NIGHTLY],
        ..command("with-std", "Run the crate's tests with std for other machines, under emulators", Plain)
    },
    Step {
        test: test("other Linux targets", Everywhere, "targets", &[], |world| {
            linux::run_checks(&world.progress, world.cache()?)
        }),
        needs: &[&NIGHTLY],
        ..command(
            "linux",
            "Check that the crate compiles for every Linux target of rustc, or that build.rs refuses it with a reason",
            Command::with::<linux::Options>(),
        )
    },
    Step {
        test: proof(
            test("mutants of one file", Everywhere, "mutants caught", &[], |world| {
                mutants::run_checks(&world.progress, world.cache()?)
            }),
            &[
                ".cargo/",
                "Cargo.",
                "build.rs",
                "src/",
                "tests/conformance/",
                "tests/native.rs",
                "tests/waker.rs",
                "xtask/src/debian/",
                "xtask/src/kit/",
                "xtask/src/quality/mutants.rs",
            ],
        ),
        needs: &[&GIT],
        ..command(
            "mutants",
            "Change `src/` in one place at a time, and check that a test fails",
            Command::with::<mutants::Options>(),
        )
    },
    Step {
        test: proof(
            test("broken on purpose", Everywhere, "faults caught", &[], |world| {
                broken::run_checks(&world.progress)
            }),
            // It runs `cargo xtask test` and `cargo xtask worst`.
            &[
                ".cargo/",
                "Cargo.",
                "build.rs",
                "src/",
                "test-crates/asm-generic/",
                "examples/bare-echo/src/first.rs",
                "test-crates/bare/",
                "tests/conformance/",
                "xtask/src/debian/",
                "xtask/src/kit/",
                "xtask/src/machines/",
                "xtask/src/ports/broken.rs",
                "xtask/src/ports/conformance.rs",
                "xtask/src/ports/mod.rs",
                "xtask/src/test.rs",
            ],
        ),
        needs: &[&GIT, &NIGHTLY],
        ..command(
            "broken",
            "Break ports in a copy of the repository, and check that a test fails",
            Command::with::<broken::Options>(),
        )
    },
    Step {
        evidence: &[Prints("proof model --cases 10", "random histories")],
        ..command(
            "proof",
            "Run the randomised tests at length, and count what they try, for docs/proof.md",
            Command::with::<proof::Options>(),
        )
    },
    Step {
        evidence: &[TestedBy("workspace")], // which runs xtask's unit tests
        needs: &[&NIGHTLY],
        ..command(
            "new-port",
            "Write the file of a new port, its lines and its row, and print the steps that remain",
            Command::with::<new_port::Options>(),
        )
    },
    Step {
        // A full test ends with a check of README's table.
        evidence: &[TestedBy("targets"), TestedBy("kernels")],
        ..command(
            "table",
            "Write the tables of architectures and steps from the last full test run",
            Command::with::<table::Options>(),
        )
    },
    Step {
        // Its exit status does not count: a tool may be missing on this machine.
        evidence: &[Prints("doctor", "rustup")],
        ..command(
            "doctor",
            "List the tools that the steps need, and the commands that install the missing ones",
            Command::with::<doctor::Options>(),
        )
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kit::copy::repository_files;
    use crate::kit::shell::root;
    use std::collections::HashSet;
    use std::fs;

    #[test]
    fn names_and_titles_are_unique() {
        let names: HashSet<&str> = STEPS.iter().map(|step| step.name).collect();
        assert_eq!(names.len(), STEPS.len());
        let titles = || STEPS.iter().filter_map(|step| Some(step.test.as_ref()?.title));
        assert_eq!(titles().collect::<HashSet<_>>().len(), titles().count());
    }

    #[test]
    fn every_command_has_a_test_or_evidence() {
        for step in STEPS {
            assert!(step.test.is_some() || !step.evidence.is_empty(), "nothing runs {}", step.name);
            for evidence in step.evidence {
                let TestedBy(name) = evidence else { continue };
                let is_run = STEPS.iter().any(|other| other.name == *name && other.test.is_some());
                assert!(is_run, "{} is tested by {name}, but {name} is not part of a test", step.name);
            }
        }
    }

    #[test]
    fn every_proof_input_exists() {
        let files = repository_files().expect("git lists them");
        for start in STEPS.iter().filter_map(|step| step.test.as_ref()).flat_map(|test| test.proof_inputs) {
            assert!(files.iter().any(|file| file.starts_with(start)), "no file starts with {start}");
        }
    }

    #[test]
    fn steps_need_the_programs_that_they_run() {
        let needs = |step: &Step, tool: &Tool| step.needs.iter().any(|need| need.name == tool.name);
        for step in STEPS {
            // `debian::unpack` runs a script of bash.
            assert!(needs(step, &BASH) || !needs(step, &DPKG), "{} needs bash", step.name);
            let is_proof = step.test.as_ref().is_some_and(|test| !test.proof_inputs.is_empty());
            let copies = ["broken", "sanitizers", "supply"].contains(&step.name);
            assert!(needs(step, &GIT) || !(is_proof || copies), "{} needs git, which lists the files", step.name);
        }
    }

    /// The files that a file of the repository names: source that it includes, modules of xtask, or the
    /// source and the path dependencies of a package.
    fn used(file: &str, text: &str) -> Vec<String> {
        let beside = |path: &str| {
            let mut parts: Vec<&str> = file.split('/').collect();
            parts.pop();
            for part in path.split('/') {
                match part {
                    ".." => drop(parts.pop()),
                    part => parts.push(part),
                }
            }
            parts.join("/")
        };
        // A document's text changes no code.
        let lines = || text.lines().filter(|line| !line.contains("doc = include"));
        let quoted = |start: &str| {
            let paths = lines().filter_map(|line| Some(line.split_once(start)?.1.split('"').next()?.to_string()));
            paths.collect::<Vec<_>>()
        };
        let mut all: Vec<_> = ["#[path = \"", "include!(\"", "include_str!(\""].into_iter().flat_map(quoted).collect();
        if file.ends_with("Cargo.toml") {
            all.extend(["build.rs", "src/lib.rs", "src/main.rs"].map(String::from));
            all.extend(quoted("path = \"").into_iter().flat_map(|path| [format!("{path}/Cargo.toml"), path]));
        }
        let mut all: Vec<_> = all.iter().map(|path| beside(path)).collect();
        for path in text.split("crate::").skip(1).filter(|_| file.starts_with("xtask/")) {
            // `kit::shell::{root, run}`, or `machines::{cross, targets}`
            let path = path.split(|c: char| !(c.is_ascii_alphanumeric() || "_:{, ".contains(c))).next();
            let (folder, names) = path.unwrap_or_default().split_once("::").unwrap_or_default();
            let modules = names.split([':', '{', ',', ' ']).chain(["mod"]);
            all.extend(modules.map(|name| format!("xtask/src/{folder}/{name}.rs")));
            all.push(format!("xtask/src/{folder}.rs"));
        }
        all.retain(|path| root().join(path).is_file());
        all
    }

    #[test]
    fn what_a_proof_input_uses_is_an_input() {
        // They start the check, and decide nothing of it.
        const STARTERS: [&str; 3] = ["xtask/src/proved.rs", "xtask/src/step.rs", "xtask/src/table.rs"];
        let files = repository_files().expect("git lists them");
        for step in STEPS {
            let inputs = step.test.as_ref().map_or(&[][..], |test| test.proof_inputs);
            let is_input = |file: &str| inputs.iter().any(|start| file.starts_with(start));
            for file in files.iter().filter(|file| is_input(file)) {
                let text = String::from_utf8_lossy(&fs::read(root().join(file)).expect("a file")).into_owned();
                for used in used(file, &text) {
                    let is_known = is_input(&used) || STARTERS.contains(&used.as_str());
                    assert!(is_known, "{}: {file} uses {used}, which is no input of the proof", step.name);
                }
            }
        }
    }

    #[test]
    fn the_proof_of_peers_depends_on_the_documents_that_it_reads() {
        let step = STEPS.iter().find(|step| step.name == "peers").expect("it is there");
        let inputs = step.test.as_ref().map_or(&[][..], |test| test.proof_inputs);
        for document in ["docs/peers.md", "docs/proof.md"] {
            assert!(inputs.contains(&document), "a change of {document} does not run {} again", step.name);
        }
    }

    #[test]
    fn the_command_line_is_valid() {
        crate::step::cli(STEPS).debug_assert();
    }
}
