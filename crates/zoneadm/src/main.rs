//! Installs zones, starts and stops them, lists them.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    zoneadm::main()
}
