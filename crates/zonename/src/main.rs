//! Prints the name of the zone one is in.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    zonename::main()
}
