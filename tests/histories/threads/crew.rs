//! Threads that run plans and record the calls.

use super::call::{Call, Plan, BELL, COUNTER, EPOLLS, MAIN, READER, WORKERS};
use super::kernel::Answer;
use super::model::{History, Made};
use super::step::{Kind, Step};
use super::world::World;
use std::fs;
use std::sync::atomic::{AtomicI32, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{channel, Receiver, Sender};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// Whatever takes longer hangs.
const HANGS: Duration = Duration::from_secs(100);

/// Makes calls: the kernel, or a faulty layer above it.
pub trait Calls: Send + Sync {
    fn call(&self, call: &Call) -> Answer;
}

/// The descriptors of a history.
pub fn world() -> World {
    let mut world = World::new();
    let bell = world.take(&Step::Open(Kind::Counter { initial: 0, semaphore: false }));
    assert_eq!(bell.result, Ok(1), "a bell at slot {BELL}");
    world
}

impl Calls for World {
    fn call(&self, call: &Call) -> Answer {
        match call {
            Call::Take(step) => World::call(self, step),
            Call::Sleep { epoll, room } => self.wait(*epoll, *room, None),
            Call::See { .. } => Ok(0).into(),
        }
    }
}

/// A plan that runs.
struct Job {
    plan: Plan,
    calls: Box<dyn Calls>,
    clock: AtomicU64,
    /// Threads that are ready to start.
    ready: AtomicUsize,
    /// The number of calls that each thread may make, has begun and has ended.
    allowed: [AtomicUsize; WORKERS],
    begun: [AtomicUsize; WORKERS],
    ended: [AtomicUsize; WORKERS],
}

impl Job {
    fn make(&self, call: Call) -> Made {
        let begin = self.clock.fetch_add(1, SeqCst);
        let answer = self.calls.call(&call);
        let end = self.clock.fetch_add(1, SeqCst);
        Made { call, answer, begin, end }
    }

    /// Makes the calls of one thread.
    fn work(&self, thread: usize) -> Vec<Made> {
        self.ready.fetch_add(1, SeqCst);
        until("all threads are ready", || self.ready.load(SeqCst) == self.plan.threads.len());
        let mut made = Vec::new();
        for (number, call) in self.plan.threads[thread].iter().enumerate() {
            until("a thread's turn", || self.allowed[thread].load(SeqCst) > number);
            self.begun[thread].store(number + 1, SeqCst);
            made.push(self.make(*call));
            self.ended[thread].store(number + 1, SeqCst);
        }
        made
    }
}

/// Gives way to other threads until the condition holds.
fn until(what: &str, condition: impl Fn() -> bool) {
    let mut start = None;
    for round in 0_u64.. {
        if condition() {
            return;
        }
        if round % 1000 != 999 {
            std::hint::spin_loop();
            continue;
        }
        let start = start.get_or_insert_with(Instant::now);
        assert!(start.elapsed() < HANGS, "{what}: not after {HANGS:?}");
        thread::yield_now();
    }
}

struct Worker {
    id: Arc<AtomicI32>,
    jobs: Sender<Arc<Job>>,
    made: Receiver<Vec<Made>>,
}

/// Threads that wait for plans. They end when the crew is dropped.
pub struct Crew {
    workers: Vec<Worker>,
}

impl Crew {
    pub fn new() -> Self {
        let worker = |thread: usize| {
            let id = Arc::new(AtomicI32::new(0));
            let ((jobs, job), (done, made)) = (channel::<Arc<Job>>(), channel());
            let own = Arc::clone(&id);
            thread::spawn(move || {
                // SAFETY: the call has no argument.
                own.store(unsafe { libc::gettid() }, SeqCst);
                for job in job {
                    let made = job.work(thread);
                    drop(job);
                    if done.send(made).is_err() {
                        return;
                    }
                }
            });
            Worker { id, jobs, made }
        };
        Self { workers: (0..WORKERS).map(worker).collect() }
    }

    /// Runs a plan. The main thread sets up, ends the waits that nothing else ends, and looks at
    /// what is left.
    pub fn run(&self, plan: &Plan, calls: Box<dyn Calls>) -> History {
        let job = Arc::new(Job {
            plan: plan.clone(),
            calls,
            clock: AtomicU64::new(0),
            ready: AtomicUsize::new(0),
            allowed: Default::default(),
            begun: Default::default(),
            ended: Default::default(),
        });
        let mut main: Vec<Made> = plan.set_up.iter().map(|call| job.make(*call)).collect();
        if plan.turns.is_none() {
            plan.threads.iter().zip(&job.allowed).for_each(|(calls, allowed)| allowed.store(calls.len(), SeqCst));
        }
        let workers = || self.workers.iter().take(plan.threads.len());
        for worker in workers() {
            worker.jobs.send(Arc::clone(&job)).expect("a worker that works");
        }
        let mut turns = plan.turns.clone().unwrap_or_default();
        let may_sleep = plan.threads.iter().flatten().any(|call| matches!(call, Call::Sleep { .. }));
        let mut asleep = if may_sleep || plan.turns.is_some() { self.settle(&job) } else { 0 };
        while !turns.is_empty() {
            // A thread that sleeps has its turn when it is awake.
            let Some(place) = turns.iter().position(|thread| asleep >> thread & 1 == 0) else { break };
            let thread = turns.remove(place);
            job.allowed[thread].fetch_add(1, SeqCst);
            asleep = self.settle(&job);
            if asleep != 0 {
                main.push(job.make(Call::See { asleep }));
            }
        }
        if asleep != 0 {
            main.push(job.make(Call::See { asleep }));
            main.push(job.make(Call::Take(Step::Count { slot: BELL, add: 1 })));
            for thread in turns {
                job.allowed[thread].fetch_add(1, SeqCst);
            }
        }
        let mut history: History = Default::default();
        for (thread, worker) in workers().enumerate() {
            history[thread] = worker.made.recv_timeout(HANGS).expect("a thread that ends");
        }
        for epoll in [EPOLLS[0], EPOLLS[1], EPOLLS[0]] {
            main.push(job.make(Call::Take(Step::Wait { epoll, room: 16 })));
        }
        for slot in [COUNTER, READER] {
            main.push(job.make(Call::Take(Step::Read { slot, bytes: 8 })));
        }
        history[MAIN] = main;
        history
    }

    /// Waits until each thread sleeps, or has ended the calls that it may make. Returns those that
    /// sleep, as bits.
    ///
    /// It looks twice, because a thread that runs can wake one that slept at the first look. A
    /// thread that did not run in between slept all the time.
    fn settle(&self, job: &Job) -> u8 {
        let start = Instant::now();
        loop {
            match self.look(job) {
                Some((0, _)) => return 0,
                Some(first) if self.look(job).as_ref() == Some(&first) => return first.0,
                _ => thread::yield_now(),
            }
            assert!(start.elapsed() < HANGS, "every thread sleeps or is done: not after {HANGS:?}");
        }
    }

    /// The threads that sleep, and how often each did so. `None` if a thread runs.
    fn look(&self, job: &Job) -> Option<(u8, Vec<u64>)> {
        let (mut asleep, mut times) = (0, Vec::new());
        for (thread, worker) in self.workers.iter().enumerate().take(job.plan.threads.len()) {
            let ended = job.ended[thread].load(SeqCst);
            let calls = &job.plan.threads[thread];
            if ended == job.allowed[thread].load(SeqCst).min(calls.len()) {
                continue;
            }
            let is_sleep = matches!(calls[ended], Call::Sleep { .. });
            let id = worker.id.load(SeqCst);
            if !is_sleep || job.begun[thread].load(SeqCst) != ended + 1 || !sleeps_in_a_wait(id) {
                return None;
            }
            asleep |= 1 << thread;
            times.push(times_slept(id));
        }
        Some((asleep, times))
    }
}

fn about(thread: i32, what: &str) -> String {
    let path = format!("/proc/self/task/{thread}/{what}");
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("cannot read {path}: {error}; mount /proc"))
}

/// Whether a thread is off its processor, inside a wait. The file says `running` of any other.
fn sleeps_in_a_wait(thread: i32) -> bool {
    let waits = [
        // Younger ports have no such call.
        #[cfg(not(any(
            target_arch = "aarch64",
            target_arch = "loongarch64",
            target_arch = "riscv32",
            target_arch = "riscv64"
        )))]
        libc::SYS_epoll_wait,
        libc::SYS_epoll_pwait,
        libc::SYS_epoll_pwait2,
    ];
    let text = about(thread, "syscall");
    let number = text.split_whitespace().next().and_then(|number| number.parse().ok());
    number.is_some_and(|number: libc::c_long| waits.contains(&number))
}

/// How often a thread has left its processor.
fn times_slept(thread: i32) -> u64 {
    let status = about(thread, "status");
    let of = |line: &str| line.split_whitespace().nth(1).and_then(|number| number.parse::<u64>().ok());
    let lines = status.lines().filter(|line| line.contains("ctxt_switches"));
    lines.map(|line| of(line).expect("a number of switches")).sum()
}
