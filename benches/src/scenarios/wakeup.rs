//! Waking a loop: with an eventfd that the loop reads, and with barepoll's, mio's and polling's
//! wakers.

use super::{beside_another_thread, counter, cpus, stay_on, ONE};
use crate::wall::{Purpose, Way};
use barepoll::{Awake, Epoll, Event, EventFd, EventFlags, Result, Waker};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Mutex;
use std::thread::{scope, Scope};

/// A way for one thread to wake another.
trait Bell: Sized + Sync {
    fn new() -> Result<Self>;
    fn ring(&self);
    fn listen(&self);
}

/// The usual way: a level-triggered eventfd that the loop reads.
struct ReadEventFd(Epoll, EventFd);

impl Bell for ReadEventFd {
    fn new() -> Result<Self> {
        let (epoll, eventfd) = (Epoll::new()?, counter()?);
        epoll.add(&eventfd, ONE, EventFlags::IN)?;
        Ok(Self(epoll, eventfd))
    }
    fn ring(&self) {
        self.1.write(1).unwrap();
    }
    fn listen(&self) {
        assert_eq!(self.0.wait(&mut Event::buffer::<16>(), None).unwrap().len(), 1);
        self.1.read().unwrap();
    }
}

struct OurWaker(Epoll, Waker);

impl Bell for OurWaker {
    fn new() -> Result<Self> {
        let epoll = Epoll::new()?;
        let waker = Waker::new(&epoll, ONE)?;
        Ok(Self(epoll, waker))
    }
    fn ring(&self) {
        self.1.wake().unwrap();
    }
    fn listen(&self) {
        assert_eq!(self.0.wait(&mut Event::buffer::<16>(), None).unwrap().len(), 1);
        self.1.acknowledge();
    }
}

/// The same waker, whose loop says when it is awake. The loop's guard is behind an uncontended lock,
/// because its wait takes `&mut`.
struct OurAwake(Epoll, &'static Waker, Mutex<Awake<'static>>);

impl Bell for OurAwake {
    fn new() -> Result<Self> {
        let epoll = Epoll::new()?;
        let waker: &Waker = Box::leak(Box::new(Waker::new(&epoll, ONE)?));
        Ok(Self(epoll, waker, Mutex::new(waker.awake())))
    }
    fn ring(&self) {
        self.1.wake().unwrap();
    }
    fn listen(&self) {
        let mut awake = self.2.lock().unwrap();
        awake.wait(&self.0, &mut Event::buffer::<16>(), None).unwrap();
        assert!(awake.is_woken());
    }
}

/// mio's waker, and its poll behind an uncontended lock, because its wait takes `&mut`.
struct Mio(Mutex<(mio::Poll, mio::Events)>, mio::Waker);

impl Bell for Mio {
    fn new() -> Result<Self> {
        let poll = mio::Poll::new().expect("mio's poll");
        let waker = mio::Waker::new(poll.registry(), mio::Token(1)).expect("mio's waker");
        Ok(Self(Mutex::new((poll, mio::Events::with_capacity(16))), waker))
    }
    fn ring(&self) {
        self.1.wake().unwrap();
    }
    fn listen(&self) {
        let (poll, events) = &mut *self.0.lock().unwrap();
        poll.poll(events, None).unwrap();
        assert!(!events.is_empty());
    }
}

/// polling's waker, which its poller reads.
struct Polling(polling::Poller, Mutex<polling::Events>);

impl Bell for Polling {
    fn new() -> Result<Self> {
        Ok(Self(polling::Poller::new().expect("polling's poller"), Mutex::new(polling::Events::new())))
    }
    fn ring(&self) {
        self.0.notify().unwrap();
    }
    fn listen(&self) {
        let mut events = self.1.lock().unwrap();
        events.clear();
        // The poller does not report its own wake-up as an event.
        assert_eq!(self.0.wait(&mut events, None).unwrap(), 0);
    }
}

/// Two bells. A thread answers the first with the second until `stop` is set.
struct PingPong<B> {
    bells: [B; 2],
    stop: AtomicBool,
}

impl<B: Bell> PingPong<B> {
    fn new() -> Result<Self> {
        Ok(Self { bells: [B::new()?, B::new()?], stop: AtomicBool::new(false) })
    }

    fn way<'a, 'scope>(&'scope self, name: &'static str, scope: &'scope Scope<'scope, 'a>) -> Way<'scope> {
        scope.spawn(|| loop {
            self.bells[0].listen();
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            self.bells[1].ring();
        });
        Way::new(name, |times| {
            for _ in 0..times {
                self.bells[0].ring();
                self.bells[1].listen();
            }
        })
    }

    fn end(&self) {
        self.stop.store(true, Ordering::Relaxed);
        self.bells[0].ring();
    }
}

/// A round trip between two threads of one core: two wake-ups and two context switches. Across
/// cores, the sleeping core would take most of the time, and which core sleeps changes between
/// chunks.
pub fn wakeup(purpose: &Purpose) -> Result<serde_json::Value> {
    stay_on(cpus()[0]);
    let usual = [PingPong::<ReadEventFd>::new()?, PingPong::new()?];
    let (ours, mio, polling) = (PingPong::<OurWaker>::new()?, PingPong::<Mio>::new()?, PingPong::<Polling>::new()?);
    Ok(scope(|scope| {
        let ways = vec![
            usual[0].way("eventfd, level, read", scope),
            usual[1].way("the same again", scope),
            ours.way("barepoll's Waker", scope),
            mio.way("mio's Waker", scope),
            polling.way("polling's notify", scope),
        ];
        let answer = purpose.of(ways);
        usual.iter().for_each(PingPong::end);
        ours.end();
        mio.end();
        polling.end();
        answer
    }))
}

/// A wake-up and the wait that it ends, without a context switch: the cost of the system calls. As
/// in real programs there is a second thread, which sleeps.
pub fn wakeup_calls(purpose: &Purpose) -> Result<serde_json::Value> {
    beside_another_thread(|| wake_ups_before_each_turn(1, purpose))
}

/// Eight wake-ups before the loop's next wait, and that wait.
pub fn burst(purpose: &Purpose) -> Result<serde_json::Value> {
    beside_another_thread(|| wake_ups_before_each_turn(8, purpose))
}

fn wake_ups_before_each_turn(wake_ups: usize, purpose: &Purpose) -> Result<serde_json::Value> {
    fn way<'a, B: Bell + 'a>(name: &'static str, wake_ups: usize) -> Result<Way<'a>> {
        let bell = B::new()?;
        Ok(Way::new(name, move |times| {
            for _ in 0..times {
                (0..wake_ups).for_each(|_| bell.ring());
                bell.listen();
            }
        }))
    }
    Ok(purpose.of(vec![
        way::<ReadEventFd>("eventfd, level, read", wake_ups)?,
        way::<ReadEventFd>("the same again", wake_ups)?,
        way::<OurWaker>("barepoll's Waker", wake_ups)?,
        way::<OurAwake>("barepoll's Awake", wake_ups)?,
        way::<Mio>("mio's Waker", wake_ups)?,
        way::<Polling>("polling's notify", wake_ups)?,
    ]))
}
