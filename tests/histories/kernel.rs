//! A model of Linux for one thread that never blocks: `fs/eventpoll.c`, and the files that it
//! watches (`fs/eventfd.c`, `fs/pipe.c`, `net/unix/af_unix.c`).
//!
//! The order of events is the kernel's. The ready list is a queue: a newly ready registration goes
//! to its end, and so does a level-triggered one that a wait reported. A file notifies its newest
//! watcher first. Exclusive watchers come after all others, oldest first.
//!
//! In two places the model follows the kernel's answer: how much a socket holds, and whether a
//! kernel before 6.17 accepts a chain of epolls that is too long only when measured from its top.

use super::step::{Kind, Step, FIRST, PAGE, PAGES, SLOTS};
use barepoll::raw::*;
use barepoll::Errno;
use std::collections::{BTreeMap, VecDeque};

/// A step's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The count, if any, or the error.
    pub result: Result<usize, Errno>,
    /// The events of a wait, as flags and data, in order.
    pub events: Vec<(u32, u64)>,
}

impl From<Result<usize, Errno>> for Answer {
    fn from(result: Result<usize, Errno>) -> Self {
        Self { result, events: Vec::new() }
    }
}

/// A registration as `/proc/self/fdinfo` shows it: the slot, the events, the data.
pub type Registration = (usize, u32, u64);

type FileId = usize;
type ItemId = usize;
type PipeId = usize;

/// Flags that select how to report, not readiness (`EP_PRIVATE_BITS`).
const REPORTING: u32 = EPOLLWAKEUP | EPOLLONESHOT | EPOLLET | EPOLLEXCLUSIVE;
/// The flags allowed beside `EPOLLEXCLUSIVE` (`EPOLLEXCLUSIVE_OK_BITS`).
const EXCLUSIVE_OK: u32 = EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLWAKEUP | EPOLLET | EPOLLEXCLUSIVE;
/// The most epolls nested above the lowest one (`EP_MAX_NESTS`).
const NESTS: usize = 4;
/// The most paths of one to five steps up from a file (`path_limits`). The kernel does not check
/// the first number.
const PATHS: [usize; NESTS + 1] = [1000, 500, 100, 50, 10];

const READABLE: u32 = EPOLLIN | EPOLLRDNORM;
const WRITABLE: u32 = EPOLLOUT | EPOLLWRNORM;
const SOCKET_WRITABLE: u32 = WRITABLE | EPOLLWRBAND;
/// The readiness that `sock_def_readable` passes to watchers.
const SOCKET_DATA: u32 = READABLE | EPOLLPRI | EPOLLRDBAND;

/// Shut halves of a socket.
const RECEIVING: u8 = 1;
const SENDING: u8 = 2;

/// A queue of fewer messages, none larger than histories write, always has room for more.
const MESSAGES: usize = 16;
const MESSAGE: usize = 512;

enum File {
    Epoll {
        ready: VecDeque<ItemId>,
    },
    Counter {
        count: u64,
        semaphore: bool,
    },
    Reader(PipeId),
    Writer(PipeId),
    Socket {
        /// `None` once it is closed.
        peer: Option<FileId>,
        /// The bytes of each received message.
        queue: VecDeque<usize>,
        /// The peer wrote until there was no room.
        is_full: bool,
        shut: u8,
        /// The peer closed with unread messages.
        was_reset: bool,
    },
    Directory,
}

struct Open {
    file: File,
    descriptors: usize,
    /// The watchers, in the order of notification.
    watchers: VecDeque<ItemId>,
}

#[derive(Default)]
struct Pipe {
    /// Each page's offset and length of data.
    pages: VecDeque<(usize, usize)>,
    is_read: bool,
    is_written: bool,
}

/// A registration.
struct Item {
    epoll: FileId,
    file: FileId,
    slot: usize,
    events: u32,
    data: u64,
}

#[derive(Default)]
pub struct Kernel {
    slots: [Option<FileId>; SLOTS],
    files: BTreeMap<FileId, Open>,
    pipes: BTreeMap<PipeId, Pipe>,
    items: BTreeMap<ItemId, Item>,
    made: usize,
}

fn errno(number: i32) -> Errno {
    Errno::from_raw(number).expect("an errno")
}

impl Kernel {
    pub fn new() -> Self {
        let mut kernel = Self::default();
        for kind in FIRST {
            kernel.open(kind);
        }
        kernel
    }

    /// Whether the model can predict this step.
    pub fn knows(&self, step: &Step) -> bool {
        let file = |slot: usize| self.slots[slot].map(|id| &self.files[&id].file);
        let (is_write, slot, bytes) = match *step {
            Step::Read { slot, bytes } => (false, slot, bytes),
            Step::Write { slot, bytes } => (true, slot, bytes),
            Step::Count { slot, .. } => (true, slot, 8),
            Step::Fill { slot } | Step::Drain { slot } => return matches!(file(slot), Some(File::Socket { .. })),
            _ => return true,
        };
        match file(slot) {
            Some(File::Socket { is_full, .. }) if !is_write => !is_full,
            Some(File::Socket { peer: Some(peer), .. }) => {
                let File::Socket { queue, is_full, .. } = &self.files[peer].file else { return false };
                (1..=MESSAGE).contains(&bytes) && (*is_full || queue.len() < MESSAGES)
            }
            Some(File::Socket { .. }) => bytes > 0,
            // Older kernels accept more than eight bytes, newer ones do not.
            Some(File::Counter { .. }) => !is_write || bytes <= 8,
            _ => true,
        }
    }

    /// Takes a step and returns its answer. `told` is the kernel's answer, for the places where the
    /// kernel may choose.
    pub fn take(&mut self, step: &Step, told: &Answer) -> Answer {
        match *step {
            Step::Open(kind) => Ok(self.open(kind)).into(),
            Step::Duplicate { from, to } => self.duplicate(from, to).into(),
            Step::Close { slot } => match self.slots[slot].take() {
                Some(file) => {
                    self.put(file);
                    Ok(0).into()
                }
                None => Err(Errno::EBADF).into(),
            },
            Step::Add { epoll, slot, events, data } => {
                self.control(EPOLL_CTL_ADD, epoll, slot, events, data, told).into()
            }
            Step::Modify { epoll, slot, events, data } => {
                self.control(EPOLL_CTL_MOD, epoll, slot, events, data, told).into()
            }
            Step::Delete { epoll, slot } => self.control(EPOLL_CTL_DEL, epoll, slot, 0, 0, told).into(),
            Step::Wait { epoll, room } => self.wait(epoll, room, true),
            Step::WaitNowhere { epoll } => self.wait(epoll, 1, false),
            Step::Read { slot, bytes } => self.read(slot, bytes),
            Step::Write { slot, bytes } => self.write(slot, bytes, 0).into(),
            Step::Count { slot, add } => self.write(slot, 8, add).into(),
            Step::Fill { slot } => self.fill(slot, told).into(),
            Step::Drain { slot } => self.drain(slot).into(),
            Step::Shutdown { slot, how } => self.shutdown(slot, how).into(),
        }
    }

    /// The interest list of the epoll at a slot, if there is one.
    pub fn interest_list(&self, slot: usize) -> Option<Vec<Registration>> {
        let epoll = self.slots[slot]?;
        let File::Epoll { .. } = self.files[&epoll].file else { return None };
        let items = self.items.values().filter(|item| item.epoll == epoll);
        let mut list: Vec<_> = items.map(|item| (item.slot, item.events & !EPOLLWAKEUP, item.data)).collect();
        list.sort_unstable();
        Some(list)
    }

    // Descriptors.

    fn next(&mut self) -> usize {
        self.made += 1;
        self.made
    }

    fn file(&mut self, file: FileId) -> &mut File {
        &mut self.files.get_mut(&file).expect("an open file").file
    }

    /// Opens files at the lowest free slots, and returns their number.
    fn open(&mut self, kind: Kind) -> usize {
        let (first, second) = (self.next(), self.next());
        let socket =
            |peer| File::Socket { peer: Some(peer), queue: VecDeque::new(), is_full: false, shut: 0, was_reset: false };
        let files = match kind {
            Kind::Epoll => vec![(first, File::Epoll { ready: VecDeque::new() })],
            Kind::Counter { initial, semaphore } => vec![(first, File::Counter { count: initial.into(), semaphore })],
            Kind::Pipe => vec![(first, File::Reader(first)), (second, File::Writer(first))],
            Kind::Pair => vec![(first, socket(second)), (second, socket(first))],
            Kind::Directory => vec![(first, File::Directory)],
        };
        let free: Vec<usize> = (0..SLOTS).filter(|slot| self.slots[*slot].is_none()).collect();
        let count = files.len();
        if count > free.len() {
            return 0;
        }
        if kind == Kind::Pipe {
            self.pipes.insert(first, Pipe { is_read: true, is_written: true, ..Pipe::default() });
        }
        for (slot, (id, file)) in free.into_iter().zip(files) {
            self.files.insert(id, Open { file, descriptors: 1, watchers: VecDeque::new() });
            self.slots[slot] = Some(id);
        }
        count
    }

    fn duplicate(&mut self, from: usize, to: usize) -> Result<usize, Errno> {
        if from == to {
            return Err(Errno::EINVAL);
        }
        let file = self.slots[from].ok_or(Errno::EBADF)?;
        self.files.get_mut(&file).expect("an open file").descriptors += 1;
        if let Some(before) = self.slots[to].replace(file) {
            self.put(before);
        }
        Ok(0)
    }

    /// Drops one descriptor. The last one closes the file and removes its registrations.
    fn put(&mut self, file: FileId) {
        let open = self.files.get_mut(&file).expect("an open file");
        open.descriptors -= 1;
        if open.descriptors > 0 {
            return;
        }
        let gone: Vec<ItemId> =
            self.items.iter().filter(|(_, item)| item.file == file || item.epoll == file).map(|(id, _)| *id).collect();
        gone.into_iter().for_each(|item| self.remove(item));
        let open = self.files.remove(&file).expect("an open file");
        match open.file {
            File::Reader(pipe) | File::Writer(pipe) => self.close_pipe(pipe, matches!(open.file, File::Reader(_))),
            File::Socket { peer: Some(peer), queue, .. } => {
                let File::Socket { peer: other, shut, was_reset, .. } = self.file(peer) else { return };
                (*other, *shut) = (None, RECEIVING | SENDING);
                *was_reset |= !queue.is_empty();
                self.tell(peer, 0);
            }
            _ => {}
        }
    }

    fn close_pipe(&mut self, id: PipeId, is_reader: bool) {
        let pipe = self.pipes.get_mut(&id).expect("a pipe");
        *(if is_reader { &mut pipe.is_read } else { &mut pipe.is_written }) = false;
        if pipe.is_read || pipe.is_written {
            self.tell_end(id, true, 0);
            self.tell_end(id, false, 0);
        } else {
            self.pipes.remove(&id);
        }
    }

    // The interest list.

    fn control(
        &mut self,
        op: u32,
        epoll: usize,
        slot: usize,
        events: u32,
        data: u64,
        told: &Answer,
    ) -> Result<usize, Errno> {
        let epoll = self.slots[epoll].ok_or(Errno::EBADF)?;
        let file = self.slots[slot].ok_or(Errno::EBADF)?;
        if matches!(self.files[&file].file, File::Directory) {
            return Err(Errno::EPERM);
        }
        if epoll == file || !self.is_epoll(epoll) {
            return Err(Errno::EINVAL);
        }
        if op != EPOLL_CTL_DEL && events & EPOLLEXCLUSIVE != 0 {
            let is_allowed = op == EPOLL_CTL_ADD && !self.is_epoll(file) && events & !EXCLUSIVE_OK == 0;
            if !is_allowed {
                return Err(Errno::EINVAL);
            }
        }
        if op == EPOLL_CTL_ADD && self.is_epoll(file) {
            self.check_nesting(epoll, file, told)?;
        }
        let found = self.items.iter().find(|(_, item)| (item.epoll, item.file, item.slot) == (epoll, file, slot));
        let found = found.map(|(id, _)| *id);
        let events = events | EPOLLERR | EPOLLHUP;
        match (op, found) {
            (EPOLL_CTL_ADD, Some(_)) => return Err(Errno::EEXIST),
            (EPOLL_CTL_ADD, None) => self.insert(Item { epoll, file, slot, events, data })?,
            (_, None) => return Err(Errno::ENOENT),
            (EPOLL_CTL_DEL, Some(id)) => self.remove(id),
            (_, Some(id)) if self.items[&id].events & EPOLLEXCLUSIVE != 0 => return Err(Errno::EINVAL),
            (_, Some(id)) => {
                let item = self.items.get_mut(&id).expect("an item");
                (item.events, item.data) = (events, data);
                self.look(id);
            }
        }
        Ok(0)
    }

    fn insert(&mut self, item: Item) -> Result<(), Errno> {
        let (id, epoll, file) = (self.next(), item.epoll, item.file);
        let watchers = &mut self.files.get_mut(&file).expect("an open file").watchers;
        if item.events & EPOLLEXCLUSIVE == 0 {
            watchers.push_front(id);
        } else {
            watchers.push_back(id);
        }
        self.items.insert(id, item);
        // Needed only if the registration may make paths longer than one step.
        let is_nested = self.is_epoll(file) || !self.files[&epoll].watchers.is_empty();
        if is_nested && self.below(file).into_iter().any(|file| !self.has_few_paths(file)) {
            self.remove(id);
            return Err(Errno::EINVAL);
        }
        self.look(id);
        Ok(())
    }

    fn remove(&mut self, id: ItemId) {
        let item = self.items.remove(&id).expect("an item");
        self.files.get_mut(&item.file).expect("an open file").watchers.retain(|other| *other != id);
        if let File::Epoll { ready } = self.file(item.epoll) {
            ready.retain(|other| *other != id);
        }
    }

    /// Puts a registration that is ready when added or modified on the ready list.
    fn look(&mut self, id: ItemId) {
        if self.poll_item(id) != 0 {
            let epoll = self.items[&id].epoll;
            if self.make_ready(id) {
                self.tell(epoll, EPOLLIN);
            }
        }
    }

    /// Returns false if it is already on the ready list.
    fn make_ready(&mut self, id: ItemId) -> bool {
        let epoll = self.items[&id].epoll;
        let File::Epoll { ready } = self.file(epoll) else { return false };
        let is_new = !ready.contains(&id);
        if is_new {
            ready.push_back(id);
        }
        is_new
    }

    // Nesting.

    fn is_epoll(&self, file: FileId) -> bool {
        matches!(self.files[&file].file, File::Epoll { .. })
    }

    fn watched_by(&self, epoll: FileId) -> impl Iterator<Item = FileId> + '_ {
        self.items.values().filter(move |item| item.epoll == epoll).map(|item| item.file)
    }

    fn watching(&self, file: FileId) -> impl Iterator<Item = FileId> + '_ {
        self.files[&file].watchers.iter().map(|item| self.items[item].epoll)
    }

    fn check_nesting(&self, epoll: FileId, inner: FileId, told: &Answer) -> Result<(), Errno> {
        let Some(down) = self.down(inner, epoll) else { return Err(Errno::ELOOP) };
        let is_old_kernel = told.result != Err(Errno::ELOOP);
        let up = if is_old_kernel { 0 } else { self.up(epoll) };
        if down + 1 + up > NESTS {
            return Err(Errno::ELOOP);
        }
        Ok(())
    }

    /// The distance from an epoll down to the lowest one. `None` if `forbidden` is among them.
    fn down(&self, epoll: FileId, forbidden: FileId) -> Option<usize> {
        let mut most = 0;
        for inner in self.watched_by(epoll).filter(|file| self.is_epoll(*file)) {
            if inner == forbidden {
                return None;
            }
            most = most.max(self.down(inner, forbidden)? + 1);
        }
        Some(most)
    }

    fn up(&self, epoll: FileId) -> usize {
        self.watching(epoll).map(|outer| self.up(outer) + 1).max().unwrap_or(0)
    }

    /// The file itself, or all files that an epoll and those in it watch.
    fn below(&self, file: FileId) -> Vec<FileId> {
        if !self.is_epoll(file) {
            return vec![file];
        }
        self.watched_by(file).flat_map(|file| self.below(file)).collect()
    }

    fn has_few_paths(&self, file: FileId) -> bool {
        let mut paths = [0; NESTS + 1];
        self.count_paths(file, 0, &mut paths)
    }

    fn count_paths(&self, file: FileId, nests: usize, paths: &mut [usize]) -> bool {
        nests <= NESTS
            && self.watching(file).all(|epoll| {
                if !self.files[&epoll].watchers.is_empty() {
                    return self.count_paths(epoll, nests + 1, paths);
                }
                paths[nests] += 1;
                nests == 0 || paths[nests] <= PATHS[nests]
            })
    }

    // Readiness.

    /// A file's readiness.
    fn poll(&mut self, file: FileId) -> u32 {
        let writable = |this: &Self, peer: &Option<FileId>| {
            let full = peer.map(|peer| matches!(this.files[&peer].file, File::Socket { is_full: true, .. }));
            if full == Some(true) {
                0
            } else {
                SOCKET_WRITABLE
            }
        };
        match &self.files[&file].file {
            File::Epoll { .. } => self.poll_epoll(file),
            File::Counter { count, .. } => when(*count > 0, EPOLLIN) | when(*count < u64::MAX - 1, EPOLLOUT),
            File::Reader(pipe) => {
                let pipe = &self.pipes[pipe];
                when(!pipe.pages.is_empty(), READABLE) | when(!pipe.is_written, EPOLLHUP)
            }
            File::Writer(pipe) => {
                let pipe = &self.pipes[pipe];
                when(pipe.pages.len() < PAGES, WRITABLE) | when(!pipe.is_read, EPOLLERR)
            }
            File::Socket { peer, queue, shut, was_reset, .. } => {
                writable(self, peer)
                    | when(!queue.is_empty(), READABLE)
                    | when(shut & RECEIVING != 0, READABLE | EPOLLRDHUP)
                    | when(*shut == RECEIVING | SENDING, EPOLLHUP)
                    | when(*was_reset, EPOLLERR)
            }
            File::Directory => 0,
        }
    }

    /// An epoll is readable while a registration on its ready list is ready. Those before it that
    /// are not ready leave the list.
    fn poll_epoll(&mut self, epoll: FileId) -> u32 {
        loop {
            let File::Epoll { ready } = self.file(epoll) else { return 0 };
            match ready.front().copied() {
                None => return 0,
                Some(id) if self.poll_item(id) != 0 => return READABLE,
                Some(_) => {
                    if let File::Epoll { ready } = self.file(epoll) {
                        ready.pop_front();
                    }
                }
            }
        }
    }

    fn poll_item(&mut self, id: ItemId) -> u32 {
        let (file, events) = (self.items[&id].file, self.items[&id].events);
        self.poll(file) & events
    }

    /// Notifies a file's watchers of an event. 0 means no particular event.
    fn tell(&mut self, file: FileId, what: u32) {
        let Some(open) = self.files.get(&file) else { return };
        for id in open.watchers.clone() {
            let Item { epoll, events, .. } = self.items[&id];
            let is_off = events & !REPORTING == 0; // a one-shot that was already reported
            if is_off || (what != 0 && what & events == 0) {
                continue;
            }
            self.make_ready(id);
            self.tell(epoll, EPOLLIN);
        }
    }

    /// Notifies the watchers of one end of a pipe.
    fn tell_end(&mut self, pipe: PipeId, is_reader: bool, what: u32) {
        let is_end = |file: &File| match file {
            File::Reader(id) => is_reader && *id == pipe,
            File::Writer(id) => !is_reader && *id == pipe,
            _ => false,
        };
        let end = self.files.iter().find(|(_, open)| is_end(&open.file)).map(|(id, _)| *id);
        end.into_iter().for_each(|end| self.tell(end, what));
    }

    fn wait(&mut self, epoll: usize, room: usize, is_writable: bool) -> Answer {
        let Some(epoll) = self.slots[epoll] else { return Err(Errno::EBADF).into() };
        let File::Epoll { ready } = self.file(epoll) else { return Err(Errno::EINVAL).into() };
        let mut left = std::mem::take(ready);
        let mut again = VecDeque::new();
        let mut answer = Answer::from(Ok(0));
        while answer.events.len() < room {
            let Some(id) = left.pop_front() else { break };
            let found = self.poll_item(id);
            if found == 0 {
                continue;
            }
            if !is_writable {
                left.push_front(id);
                answer.result = Err(Errno::EFAULT);
                break;
            }
            let item = self.items.get_mut(&id).expect("an item");
            answer.events.push((found, item.data));
            if item.events & EPOLLONESHOT != 0 {
                item.events &= REPORTING;
            } else if item.events & EPOLLET == 0 {
                again.push_back(id);
            }
        }
        left.append(&mut again);
        *self.file(epoll) = File::Epoll { ready: left };
        if answer.result.is_ok() {
            answer.result = Ok(answer.events.len());
        }
        answer
    }

    // The contents of files.

    fn read(&mut self, slot: usize, bytes: usize) -> Answer {
        let Some(id) = self.slots[slot] else { return Err(Errno::EBADF).into() };
        match self.file(id) {
            File::Epoll { .. } => Err(Errno::EINVAL).into(),
            File::Directory => Err(errno(libc::EISDIR)).into(),
            File::Writer(_) => Err(Errno::EBADF).into(),
            File::Counter { .. } if bytes < 8 => Err(Errno::EINVAL).into(),
            File::Counter { count: 0, .. } => Err(Errno::EAGAIN).into(),
            File::Counter { count, semaphore } => {
                let value = if *semaphore { 1 } else { *count };
                *count -= value;
                self.tell(id, EPOLLOUT);
                // The value is returned as an event.
                Answer { result: Ok(8), events: vec![(0, value)] }
            }
            File::Reader(pipe) => {
                let pipe = *pipe;
                self.read_pipe(pipe, bytes).into()
            }
            File::Socket { .. } => self.read_socket(id, bytes).into(),
        }
    }

    fn read_pipe(&mut self, id: PipeId, bytes: usize) -> Result<usize, Errno> {
        let pipe = self.pipes.get_mut(&id).expect("a pipe");
        let (mut got, mut was_full) = (0, false);
        while got < bytes {
            let is_full = pipe.pages.len() == PAGES;
            let Some((start, length)) = pipe.pages.front_mut() else { break };
            let some = (*length).min(bytes - got);
            (*start, *length, got) = (*start + some, *length - some, got + some);
            if *length == 0 {
                was_full |= is_full;
                pipe.pages.pop_front();
            }
        }
        if got == 0 && bytes > 0 && pipe.is_written {
            return Err(Errno::EAGAIN);
        }
        if was_full {
            self.tell_end(id, false, WRITABLE);
        }
        Ok(got)
    }

    fn read_socket(&mut self, id: FileId, bytes: usize) -> Result<usize, Errno> {
        let File::Socket { peer, queue, shut, was_reset, .. } = self.file(id) else { return Err(Errno::EBADF) };
        if bytes == 0 {
            return Ok(0);
        }
        if queue.is_empty() {
            return match std::mem::take(was_reset) {
                true => Err(errno(libc::ECONNRESET)),
                false if *shut & RECEIVING != 0 => Ok(0),
                false => Err(Errno::EAGAIN),
            };
        }
        let (mut got, mut has_room) = (0, false);
        while let Some(length) = queue.front_mut().filter(|_| got < bytes) {
            let some = (*length).min(bytes - got);
            (*length, got) = (*length - some, got + some);
            if *length == 0 {
                queue.pop_front();
                has_room = true;
            }
        }
        let peer = *peer;
        if let Some(peer) = peer.filter(|_| has_room) {
            self.tell(peer, SOCKET_WRITABLE);
        }
        Ok(got)
    }

    fn drain(&mut self, slot: usize) -> Result<usize, Errno> {
        let id = self.slots[slot].ok_or(Errno::EBADF)?;
        let File::Socket { is_full, .. } = self.file(id) else { return Err(Errno::EINVAL) };
        *is_full = false;
        let got = self.read_socket(id, usize::MAX)?;
        if got > 0 {
            let _ = self.read_socket(id, usize::MAX); // the last read also takes a pending error
        }
        Ok(got)
    }

    fn write(&mut self, slot: usize, bytes: usize, value: u64) -> Result<usize, Errno> {
        let id = self.slots[slot].ok_or(Errno::EBADF)?;
        match self.file(id) {
            File::Epoll { .. } => Err(Errno::EINVAL),
            File::Directory | File::Reader(_) => Err(Errno::EBADF),
            File::Counter { .. } if bytes < 8 || value == u64::MAX => Err(Errno::EINVAL),
            File::Counter { count, .. } if value > u64::MAX - 1 - *count => Err(Errno::EAGAIN),
            File::Counter { count, .. } => {
                *count += value;
                self.tell(id, EPOLLIN);
                Ok(8)
            }
            File::Writer(pipe) => {
                let pipe = *pipe;
                self.write_pipe(pipe, bytes)
            }
            File::Socket { .. } => self.write_socket(id, bytes),
        }
    }

    fn write_pipe(&mut self, id: PipeId, bytes: usize) -> Result<usize, Errno> {
        let pipe = self.pipes.get_mut(&id).expect("a pipe");
        if bytes == 0 {
            return Ok(0);
        }
        if !pipe.is_read {
            return Err(Errno::EPIPE);
        }
        // The bytes beyond whole pages are appended to the last page if they fit.
        let odd = bytes % PAGE;
        let mut left = bytes;
        if let Some((start, length)) = pipe.pages.back_mut().filter(|_| odd > 0) {
            if *start + *length + odd <= PAGE {
                *length += odd;
                left -= odd;
            }
        }
        while left > 0 && pipe.pages.len() < PAGES {
            let some = left.min(PAGE);
            pipe.pages.push_back((0, some));
            left -= some;
        }
        // Also after a write of nothing.
        self.tell_end(id, true, READABLE);
        if left == bytes {
            return Err(Errno::EAGAIN);
        }
        Ok(bytes - left)
    }

    fn write_socket(&mut self, id: FileId, bytes: usize) -> Result<usize, Errno> {
        let File::Socket { peer, shut, .. } = self.file(id) else { return Err(Errno::EINVAL) };
        if *shut & SENDING != 0 {
            return Err(Errno::EPIPE);
        }
        let peer = peer.expect("a socket that is not shut has a peer");
        let File::Socket { queue, is_full, .. } = self.file(peer) else { return Err(Errno::EINVAL) };
        if *is_full {
            return Err(Errno::EAGAIN);
        }
        queue.push_back(bytes);
        self.tell(peer, SOCKET_DATA);
        Ok(bytes)
    }

    fn fill(&mut self, slot: usize, told: &Answer) -> Result<usize, Errno> {
        let id = self.slots[slot].ok_or(Errno::EBADF)?;
        let bytes = told.result.unwrap_or(1);
        self.write_socket(id, bytes)?;
        if let File::Socket { peer: Some(peer), .. } = *self.file(id) {
            if let File::Socket { is_full, .. } = self.file(peer) {
                *is_full = true;
            }
        }
        Ok(bytes)
    }

    fn shutdown(&mut self, slot: usize, how: i32) -> Result<usize, Errno> {
        let id = self.slots[slot].ok_or(Errno::EBADF)?;
        let File::Socket { peer, shut, .. } = self.file(id) else { return Err(errno(libc::ENOTSOCK)) };
        let (halves, others) = match how {
            libc::SHUT_RD => (RECEIVING, SENDING),
            libc::SHUT_WR => (SENDING, RECEIVING),
            _ => (RECEIVING | SENDING, RECEIVING | SENDING),
        };
        *shut |= halves;
        let peer = *peer;
        self.tell(id, 0);
        if let Some(peer) = peer {
            if let File::Socket { shut, .. } = self.file(peer) {
                *shut |= others;
            }
            self.tell(peer, 0);
        }
        Ok(0)
    }
}

fn when(condition: bool, flags: u32) -> u32 {
    if condition {
        flags
    } else {
        0
    }
}
