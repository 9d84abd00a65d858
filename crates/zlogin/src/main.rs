//! Enters a zone.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    zlogin::main()
}
