//! A client that is not ours: the `varlink` package from PyPI.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::harness::Daemon;

fn has_varlink() -> bool {
    let import = Command::new("python3").args(["-c", "import varlink"]).stderr(Stdio::null()).status();
    import.is_ok_and(|status| status.success())
}

#[test]
fn the_python_package_speaks_to_the_door() {
    if !has_varlink() {
        println!("SKIPPED: the_python_package_speaks_to_the_door needs the PyPI package 'varlink'");
        return;
    }
    let daemon = Daemon::start();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/varlink_client.py");
    let output = Command::new("python3").arg(script).arg(daemon.run_dir().join("door")).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "ok\n", "{errors}");
}
