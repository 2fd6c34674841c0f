//! Sockets and data over a Unix socket (`SCM_RIGHTS`, unix(7)).

use std::io::{self, IoSlice, IoSliceMut, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The system takes 253 at once (SCM_MAX_FD).
const AT_ONCE: usize = 200;
const SPACE: usize = rustix::cmsg_space!(ScmRights(AT_ONCE));
/// A will of a hundred thousand sessions; more is no will.
const DATA_MAX: u64 = 4 << 30;

/// Sends a value.
pub(super) fn send(mut to: &UnixStream, value: &impl Serialize) -> io::Result<()> {
    let data = serde_json::to_vec(value)?;
    to.write_all(&(data.len() as u64).to_be_bytes())?;
    to.write_all(&data)
}

/// Receives a value.
pub(super) fn receive<T: DeserializeOwned>(mut from: &UnixStream) -> io::Result<T> {
    let mut length = [0; 8];
    from.read_exact(&mut length)?;
    let length = u64::from_be_bytes(length);
    if length > DATA_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "not from a pool"));
    }
    let mut data = Vec::new();
    from.take(length).read_to_end(&mut data)?;
    Ok(serde_json::from_slice(&data)?)
}

/// Sends copies of file descriptors.
pub(super) fn send_sockets(to: &UnixStream, sockets: &[OwnedFd]) -> io::Result<()> {
    for some in sockets.chunks(AT_ONCE) {
        let borrowed: Vec<_> = some.iter().map(|socket| socket.as_fd()).collect();
        let mut space = [MaybeUninit::uninit(); SPACE];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let fits = control.push(SendAncillaryMessage::ScmRights(&borrowed));
        debug_assert!(fits, "the space is for as many");
        // A message takes at least one byte along.
        sendmsg(to, &[IoSlice::new(&[0])], &mut control, SendFlags::empty())?;
    }
    Ok(())
}

/// Receives so many file descriptors.
pub(super) fn receive_sockets(from: &UnixStream, count: usize) -> io::Result<Vec<OwnedFd>> {
    let mut sockets = Vec::with_capacity(count);
    while sockets.len() < count {
        let mut space = [MaybeUninit::uninit(); SPACE];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut byte = [0];
        let flags = RecvFlags::CMSG_CLOEXEC;
        let received = recvmsg(from, &mut [IoSliceMut::new(&mut byte)], &mut control, flags)?;
        let before = sockets.len();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(some) = message {
                sockets.extend(some);
            }
        }
        if received.bytes == 0 || sockets.len() == before {
            let found = sockets.len();
            let cause = format!("{found} of {count} sockets came over");
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, cause));
        }
    }
    Ok(sockets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_come_over_in_their_order() {
        let (here, there) = UnixStream::pair().expect("a pair");
        let (ours, sent): (Vec<_>, Vec<OwnedFd>) = (0..450_u32)
            .map(|_| UnixStream::pair().expect("a pair"))
            .map(|(ours, theirs)| (ours, theirs.into()))
            .unzip();
        let sending = std::thread::spawn(move || {
            send(&here, &"as written").expect("sent");
            send_sockets(&here, &sent).expect("sent");
        });
        assert_eq!(receive::<String>(&there).expect("came"), "as written");
        let came = receive_sockets(&there, 450).expect("came");
        sending.join().expect("no panic");
        for (number, (ours, came)) in (0_u32..).zip(ours.iter().zip(came)) {
            let mut came = UnixStream::from(came);
            came.write_all(&number.to_be_bytes()).expect("writable");
            let mut said = [0; 4];
            (&mut &*ours).read_exact(&mut said).expect("readable");
            assert_eq!(u32::from_be_bytes(said), number);
        }
        drop(ours);
        assert!(receive_sockets(&there, 1).is_err(), "the other side is gone");
    }
}
