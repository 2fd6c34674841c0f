//! From the bytes of a share to its verdict and its reply: no allocation (invariant 1).

mod mine;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use chimera_stratum::{AuthAnswer, Effect, NotifyLine, Outbox, Seat, Session, SessionId};
use chimera_work::{Extranonce1, ExtranonceLease, NonceLayout, WorkerId};

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

#[expect(unsafe_code, reason = "an allocator that counts is unsafe by its signature")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// One test in this binary: another thread's allocations would count.
#[test]
fn a_share_costs_no_allocation() {
    const EXTRANONCE1: Extranonce1 = Extranonce1([1, 2, 3, 4]);
    let mut session = Session::new(mine::config(), 0);
    let mut out = Outbox::default();
    let job = mine::job(0x100, mine::template(1, 1e12), true);
    session.new_job(&Arc::new(NotifyLine::new(Arc::clone(&job))), &mut out);
    session.handle_line(br#"{"id":1,"method":"mining.subscribe"}"#, &mut out);
    let lease = ExtranonceLease::recorded(EXTRANONCE1);
    session.subscribed(Seat::new(SessionId(1), lease, NonceLayout::DEFAULT), &mut out);
    let suggest = br#"{"id":3,"method":"mining.suggest_difficulty","params":[1e-9]}"#;
    session.handle_line(suggest, &mut out);
    session.handle_line(br#"{"id":2,"method":"mining.authorize","params":["a"]}"#, &mut out);
    let Some(Effect::Authorize(login)) = out.effects.pop() else { panic!("a login") };
    let answer = AuthAnswer::Allow { worker: WorkerId(7), difficulty: None };
    session.authorized(login.ticket, answer, &mut out);

    // One share from each extranonce2; each is sent twice, so that refusals count too.
    let lines: Vec<String> = (0_u64..1400)
        .map(|count| {
            let extranonce2 = count.to_be_bytes();
            let nonce = mine::nonce(&job, EXTRANONCE1, &extranonce2, Some(1e-9), None, 0);
            let extranonce2 = hex::encode(extranonce2);
            format!(
                r#"{{"method":"mining.submit","params":["a","100","{extranonce2}","6b00b23c","{nonce:08x}"],"id":4}}"#
            )
        })
        .collect();
    // The seen-set of a session grows by doubling: 1000 shares take it past its last
    // growth before 1792.
    let (warm, measured) = lines.split_at(1000);
    let submit = |line: &String, session: &mut Session, out: &mut Outbox| {
        out.clear();
        session.handle_line(line.as_bytes(), out);
        session.handle_line(line.as_bytes(), out);
        assert!(matches!(out.effects.as_slice(), [Effect::Credit(_)]), "{:?}", out.effects);
        session.durable(1, out);
        assert_eq!(out.bytes.iter().filter(|&&byte| byte == b'\n').count(), 2);
    };
    warm.iter().for_each(|line| submit(line, &mut session, &mut out));
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    measured.iter().for_each(|line| submit(line, &mut session, &mut out));
    let allocations = ALLOCATIONS.load(Ordering::Relaxed) - before;
    assert_eq!(allocations, 0, "over {} shares and as many duplicates", measured.len());
    assert_eq!(session.counters().accepted, 1400);
}
