//! Describes zones.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    zonecfg::main()
}
