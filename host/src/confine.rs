//! How the process that settles locks itself in: no file, no socket, no other program, and
//! bounds on what it computes and keeps. What it was started with (standard input, output and
//! error) is all it has.
//!
//! The filter is a list of the system calls that computing takes; all others fail with EPERM.
//! On machines it is not written for, only the limits apply.

use anyhow::Context as _;
use rustix::process::{Resource, Rlimit, setrlimit};

/// Standard streams, and a few for the runtime.
const OPEN_FILES_MAX: u64 = 16;
/// A settlement of ten million rows with a component's memory; more is a defect.
const DATA_BYTES_MAX: u64 = 8 << 30;

/// Locks this process in, for good. Called before it has a second thread.
pub(crate) fn confine(seconds: u64) -> anyhow::Result<()> {
    for (resource, most) in [
        (Resource::Core, 0),
        (Resource::Fsize, 0),
        (Resource::Nofile, OPEN_FILES_MAX),
        (Resource::Data, DATA_BYTES_MAX),
        // Compiling takes two threads.
        (Resource::Cpu, 2 * seconds + 1),
    ] {
        let limit = Rlimit { current: Some(most), maximum: Some(most) };
        setrlimit(resource, limit)
            .with_context(|| format!("the limit of {resource:?} cannot be set"))?;
    }
    // Nobody waits for the answer of a settlement whose pool is gone.
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
        .context("the signal of the pool's end cannot be set")?;
    rustix::thread::set_no_new_privs(true).context("no_new_privs cannot be set")?;
    filter()
}

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod seccomp {
    use std::collections::BTreeMap;

    use anyhow::Context as _;
    use seccompiler::{
        BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
        SeccompRule, apply_filter,
    };

    /// What computing takes: memory, time, threads, and the streams that are open.
    const ALLOWED: [i64; 40] = [
        libc::SYS_read,
        libc::SYS_readv,
        libc::SYS_write,
        libc::SYS_writev,
        libc::SYS_close,
        libc::SYS_lseek,
        libc::SYS_mmap,
        libc::SYS_munmap,
        libc::SYS_mprotect,
        libc::SYS_mremap,
        libc::SYS_madvise,
        libc::SYS_brk,
        libc::SYS_futex,
        libc::SYS_sched_yield,
        libc::SYS_sched_getaffinity,
        libc::SYS_nanosleep,
        libc::SYS_clock_nanosleep,
        libc::SYS_clock_gettime,
        libc::SYS_clock_getres,
        libc::SYS_gettimeofday,
        libc::SYS_getrandom,
        libc::SYS_rt_sigaction,
        libc::SYS_rt_sigprocmask,
        libc::SYS_rt_sigreturn,
        libc::SYS_sigaltstack,
        libc::SYS_set_robust_list,
        libc::SYS_get_robust_list,
        libc::SYS_set_tid_address,
        libc::SYS_rseq,
        libc::SYS_gettid,
        libc::SYS_getpid,
        libc::SYS_getuid,
        libc::SYS_geteuid,
        libc::SYS_getgid,
        libc::SYS_membarrier,
        libc::SYS_restart_syscall,
        libc::SYS_exit,
        libc::SYS_exit_group,
        // Answered by the other filter.
        libc::SYS_clone3,
        libc::SYS_memfd_create,
    ];

    /// What is asked for and not needed: there are older ways.
    const ABSENT: [i64; 2] = [libc::SYS_clone3, libc::SYS_memfd_create];

    /// Installs both filters.
    pub(super) fn install() -> anyhow::Result<()> {
        let rules = ALLOWED.map(|call| (call, Vec::new()));
        let mut rules = BTreeMap::from(rules);
        // A thread, never a process.
        let thread = u64::from(libc::CLONE_THREAD.unsigned_abs());
        let condition = SeccompCondition::new(
            0,
            SeccompCmpArgLen::Qword,
            SeccompCmpOp::MaskedEq(thread),
            thread,
        )?;
        rules.insert(libc::SYS_clone, vec![SeccompRule::new(vec![condition])?]);
        let refused = SeccompAction::Errno(libc::EPERM.unsigned_abs());
        let allowed = SeccompFilter::new(rules, refused, SeccompAction::Allow, arch()?)?;
        // Told that it does not exist, the C library makes threads by `clone`, whose flags a
        // filter can see, and the runtime copies memory instead of mapping it.
        let absent = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());
        let old = BTreeMap::from(ABSENT.map(|call| (call, Vec::new())));
        let old = SeccompFilter::new(old, SeccompAction::Allow, absent, arch()?)?;
        for filter in [old, allowed] {
            let program: BpfProgram = filter.try_into()?;
            apply_filter(&program).context("the system call filter cannot be installed")?;
        }
        Ok(())
    }

    fn arch() -> anyhow::Result<seccompiler::TargetArch> {
        Ok(std::env::consts::ARCH.try_into()?)
    }
}

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
fn filter() -> anyhow::Result<()> {
    seccomp::install()
}

#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
fn filter() -> anyhow::Result<()> {
    Ok(())
}

#[cfg(all(test, target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod tests {
    use std::io::ErrorKind;

    /// A filter holds the thread that installs it, so a thread is enough to try it.
    #[test]
    fn behind_the_filter_there_is_no_file_no_socket_and_no_program() {
        let locked_in = std::thread::spawn(|| {
            super::filter().expect("this system has filters");
            let denied = ErrorKind::PermissionDenied;
            let kind = |error: std::io::Error| error.kind();
            assert_eq!(std::fs::read("/etc/hostname").map_err(kind).unwrap_err(), denied);
            assert_eq!(std::fs::write("/tmp/x", b"").map_err(kind).unwrap_err(), denied);
            assert_eq!(std::fs::read_dir("/").map(|_| ()).map_err(kind).unwrap_err(), denied);
            let connected = std::net::TcpStream::connect(("127.0.0.1", 9));
            assert_eq!(connected.map_err(kind).unwrap_err(), denied);
            let bound = std::net::UdpSocket::bind(("127.0.0.1", 0));
            assert_eq!(bound.map_err(kind).unwrap_err(), denied);
            assert!(std::process::Command::new("/bin/true").spawn().is_err());
            // What computing takes still works.
            let sum: u64 = std::thread::spawn(|| vec![1_u64; 1 << 20].iter().sum()).join().unwrap();
            assert_eq!(sum, 1 << 20);
        });
        locked_in.join().expect("all as it should be");
    }
}
