//! The migrations are embedded: a new file in their directory means building again.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
