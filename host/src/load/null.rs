//! The null server: says yes to everything. What it does per line is find the id, so what the
//! generator reaches here is the machine's own limit.

use std::io::{self, Write as _};
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token};
use socket2::{Domain, Socket, Type};

use super::Thread;
use super::link::{Got, Link, READ_BYTES};

const LISTENER: Token = Token(usize::MAX);
/// As many as the system lets wait.
const BACKLOG: i32 = 65_535;
const TICK: Duration = Duration::from_millis(50);
const ACCEPTED: &[u8] = b",\"result\":true,\"error\":null}\n";

/// What a null server shall do.
#[derive(Debug, Clone)]
pub struct NullPlan {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Event loops; each accepts for itself.
    pub threads: u32,
    /// A new block for everybody, so often.
    pub job_every: Option<Duration>,
    /// The share difficulty it tells.
    pub difficulty: f64,
    /// Writes each answer by itself, as a simple server would, and not all that a read brought at
    /// once.
    pub plain: bool,
}

impl NullPlan {
    /// One thread, one job for ever, at a difficulty every hash meets.
    pub const fn new(listen: SocketAddr) -> Self {
        Self { listen, threads: 1, job_every: None, difficulty: 1e-10, plain: false }
    }
}

/// A running null server; it ends when this is dropped.
#[derive(Debug)]
pub struct NullServer {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    threads: Vec<Thread>,
}

impl NullServer {
    /// Starts it.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub fn start(plan: &NullPlan) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(plan.listen), Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        socket.bind(&plan.listen.into())?;
        socket.listen(BACKLOG)?;
        socket.set_nonblocking(true)?;
        let listener = StdListener::from(socket);
        let address = listener.local_addr()?;
        let stop = Arc::new(AtomicBool::new(false));
        let mut server = Self { address, stop, threads: Vec::new() };
        let began = Instant::now();
        for number in 0..plan.threads.max(1) {
            let (listener, stop) = (listener.try_clone()?, Arc::clone(&server.stop));
            let script = Script::new(plan, number, began);
            let answerer = Answerer::new(TcpListener::from_std(listener), script)?;
            server.threads.push(std::thread::spawn(move || answerer.run(&stop)));
        }
        Ok(server)
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether all its loops go on.
    pub fn is_running(&self) -> bool {
        !self.threads.iter().any(Thread::is_finished)
    }
}

impl Drop for NullServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// What is said besides yes.
#[derive(Debug)]
struct Script {
    plain: bool,
    difficulty: f64,
    job_every: Option<Duration>,
    jobs: u64,
    /// When the threads began, together: a new block is everywhere at once.
    began: Instant,
    /// No two connections have the same part of the nonce space.
    extranonce1: u32,
}

impl Script {
    const fn new(plan: &NullPlan, thread: u32, began: Instant) -> Self {
        let NullPlan { difficulty, job_every, plain, .. } = *plan;
        Self { plain, difficulty, job_every, jobs: 1, began, extranonce1: thread << 24 }
    }

    /// Until the next block.
    fn until_due(&self) -> Option<Duration> {
        let jobs = u32::try_from(self.jobs).unwrap_or(u32::MAX);
        Some(self.job_every?.saturating_mul(jobs).saturating_sub(self.began.elapsed()))
    }

    fn is_due(&self) -> bool {
        self.until_due().is_some_and(|left| left.is_zero())
    }

    /// How long nothing needs to be done.
    fn patience(&self) -> Duration {
        self.until_due().map_or(TICK, |left| left.min(TICK))
    }

    fn job(&self) -> String {
        let jobs = self.jobs;
        format!(
            "{{\"id\":null,\"method\":\"mining.notify\",\"params\":[\"{jobs:x}\",\"{jobs:064x}\",\
             \"01000000\",\"ffffffff\",[],\"20000000\",\"1d00ffff\",\"65000000\",true]}}\n"
        )
    }

    /// The answer to a line of somebody who is not yet at work; whether that was the login.
    fn answer(&mut self, line: &[u8], id: &[u8], out: &mut Vec<u8>) -> bool {
        let says = |method: &[u8]| line.windows(method.len()).any(|part| part == method);
        let id = String::from_utf8_lossy(id);
        let (result, login) = if says(b"mining.subscribe") {
            self.extranonce1 += 1;
            let nonce1 = self.extranonce1;
            (format!("[[[\"mining.notify\",\"{nonce1:08x}\"]],\"{nonce1:08x}\",8]"), false)
        } else if says(b"mining.configure") {
            ("{}".to_owned(), false)
        } else {
            ("true".to_owned(), says(b"mining.authorize"))
        };
        // Writing to memory does not fail.
        let _ = writeln!(out, "{{\"id\":{id},\"result\":{result},\"error\":null}}");
        if login {
            let difficulty = serde_json::json!([self.difficulty]);
            let _ = writeln!(
                out,
                "{{\"id\":null,\"method\":\"mining.set_difficulty\",\"params\":{difficulty}}}"
            );
            out.extend_from_slice(self.job().as_bytes());
        }
        login
    }
}

#[derive(Debug)]
struct Peer {
    link: Link,
    at_work: bool,
}

struct Answerer {
    poll: Poll,
    listener: TcpListener,
    peers: Vec<Option<Peer>>,
    free: Vec<usize>,
    script: Script,
    out: Vec<u8>,
}

impl Answerer {
    fn new(mut listener: TcpListener, script: Script) -> io::Result<Self> {
        let poll = Poll::new()?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        let (peers, free, out) = (Vec::new(), Vec::new(), Vec::new());
        Ok(Self { poll, listener, peers, free, script, out })
    }

    fn run(mut self, stop: &AtomicBool) -> io::Result<()> {
        let mut events = Events::with_capacity(1024);
        let mut buffer = vec![0; READ_BYTES];
        while !stop.load(Ordering::Relaxed) {
            match self.poll.poll(&mut events, Some(self.script.patience())) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            for event in &events {
                if event.token() == LISTENER {
                    self.accept();
                } else {
                    self.happened(event, &mut buffer);
                }
            }
            if self.script.is_due() {
                self.new_job();
            }
        }
        Ok(())
    }

    /// Takes all that wait. Without free files they go on waiting.
    fn accept(&mut self) {
        while let Ok((mut stream, _)) = self.listener.accept() {
            let index = self.free.pop().unwrap_or_else(|| {
                self.peers.push(None);
                self.peers.len() - 1
            });
            let interest = Interest::READABLE | Interest::WRITABLE;
            let ready = stream
                .set_nodelay(true)
                .and_then(|()| self.poll.registry().register(&mut stream, Token(index), interest));
            match ready {
                Ok(()) => {
                    self.peers[index] = Some(Peer { link: Link::new(stream), at_work: false });
                }
                Err(_) => self.free.push(index),
            }
        }
    }

    fn happened(&mut self, event: &Event, buffer: &mut [u8]) {
        let index = event.token().0;
        let Some(peer) = self.peers.get_mut(index).and_then(Option::as_mut) else { return };
        let gone = event.is_read_closed() || event.is_error();
        if peer.link.is_full() && peer.link.flush().is_err() {
            return self.forget(index);
        }
        loop {
            // Who does not read is not read either.
            let Some(peer) = &mut self.peers[index] else { return };
            if peer.link.is_full() && !gone {
                return;
            }
            let (bytes, more) = match peer.link.read(buffer) {
                Ok(Got::More(bytes)) => (bytes, true),
                Ok(Got::Last(bytes)) => (bytes, gone && bytes > 0),
                Ok(Got::Closed) | Err(_) => return self.forget(index),
            };
            let most = if self.script.plain { 1 } else { usize::MAX };
            let mut used = 0;
            loop {
                let answered = self.answer(index, &buffer[used..bytes], most);
                used += answered;
                let Some(peer) = &mut self.peers[index] else { return };
                let sent = peer.link.write(&self.out);
                self.out.clear();
                if sent.is_err() {
                    return self.forget(index);
                }
                if answered == 0 || !self.script.plain {
                    break;
                }
            }
            let Some(peer) = &mut self.peers[index] else { return };
            if peer.link.keep(&buffer[used..bytes]).is_err() {
                return self.forget(index);
            }
            if !more || (used == 0 && gone) {
                return;
            }
        }
    }

    /// Answers whole lines, at most so many, into `out`; how many bytes they were.
    fn answer(&mut self, index: usize, bytes: &[u8], most: usize) -> usize {
        let Some(peer) = &mut self.peers[index] else { return 0 };
        let mut used = 0;
        for _ in 0..most {
            let Some(end) = bytes[used..].iter().position(|byte| *byte == b'\n') else { break };
            let line = &bytes[used..used + end];
            used += end + 1;
            let id = id(line);
            if peer.at_work {
                self.out.extend_from_slice(b"{\"id\":");
                self.out.extend_from_slice(id);
                self.out.extend_from_slice(ACCEPTED);
            } else {
                peer.at_work = self.script.answer(line, id, &mut self.out);
            }
        }
        used
    }

    fn new_job(&mut self) {
        self.script.jobs += 1;
        let job = self.script.job();
        for index in 0..self.peers.len() {
            let Some(peer) = self.peers[index].as_mut().filter(|peer| peer.at_work) else {
                continue;
            };
            if peer.link.write(job.as_bytes()).is_err() {
                self.forget(index);
            }
        }
    }

    fn forget(&mut self, index: usize) {
        if let Some(mut peer) = self.peers[index].take() {
            let _ = self.poll.registry().deregister(&mut peer.link.stream);
            self.free.push(index);
        }
    }
}

/// The id of a request as it stands there; null when it has none.
fn id(line: &[u8]) -> &[u8] {
    const FIRST: &[u8] = b"{\"id\":";
    const ANYWHERE: &[u8] = b"\"id\"";
    let rest = line.strip_prefix(FIRST).or_else(|| {
        let at = line.windows(ANYWHERE.len()).position(|part| part == ANYWHERE)?;
        line[at + ANYWHERE.len()..].trim_ascii_start().strip_prefix(b":")
    });
    let Some(rest) = rest.map(<[u8]>::trim_ascii_start) else { return b"null" };
    let end = rest.iter().position(|byte| matches!(byte, b',' | b'}' | b' '));
    &rest[..end.unwrap_or(rest.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_is_found_wherever_it_stands() {
        for (line, expected) in [
            (r#"{"id":4,"method":"mining.submit"}"#, "4"),
            (r#"{"method": "mining.submit", "id": "a7"}"#, "\"a7\""),
            (r#"{"method":"mining.submit","id" : 9 }"#, "9"),
            (r#"{"method":"mining.submit"}"#, "null"),
        ] {
            assert_eq!(id(line.as_bytes()), expected.as_bytes(), "{line}");
        }
    }
}
