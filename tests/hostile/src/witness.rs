//! What a component built for a system sees of one.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Everything, in words.
pub(crate) fn all() -> Vec<String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    let start = Instant::now();
    std::thread::sleep(std::time::Duration::from_secs(3600));
    let map: HashMap<u32, ()> = (0..20).map(|key| (key, ())).collect();
    let order: Vec<String> = map.keys().map(u32::to_string).collect();
    let mut line = String::new();
    vec![
        format!("it is {now}"),
        format!("an hour takes {} s", start.elapsed().as_secs()),
        format!("{} arguments", std::env::args().count()),
        format!("{} variables", std::env::vars().count()),
        format!("{} bytes of input", std::io::stdin().read_line(&mut line).unwrap_or(0)),
        format!("a file: {}", std::fs::read("/etc/passwd").is_ok()),
        format!("a directory: {}", std::fs::read_dir("/").is_ok()),
        format!("random {}", RandomState::new().hash_one(0)),
        format!("in the order {}", order.join(" ")),
    ]
}

/// Time and a random number.
pub(crate) fn numbers(count: usize) -> Vec<u64> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
    let random = random();
    (0..count).map(|index| if index == 0 { now } else { random }).collect()
}

/// A number from the system itself: a hash map asks once in its life.
fn random() -> u64 {
    #[cfg(target_env = "p1")]
    {
        #[link(wasm_import_module = "wasi_snapshot_preview1")]
        unsafe extern "C" {
            fn random_get(at: *mut u8, length: usize) -> u16;
        }
        let mut bytes = [0_u8; 8];
        // SAFETY: eight bytes are there.
        let problem = unsafe { random_get(bytes.as_mut_ptr(), bytes.len()) };
        assert_eq!(problem, 0);
        u64::from_le_bytes(bytes)
    }
    #[cfg(not(target_env = "p1"))]
    RandomState::new().hash_one(0)
}
