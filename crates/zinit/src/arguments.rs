//! What a reboot from inside says to the next boot. reboot(2) takes no text out of a zone, so it is left where reboot(8) of systemd leaves
//! it, and read outside when the zone has ended.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

/// Where it is left.
pub(crate) const FILE: &str = "/run/systemd/reboot-param";

/// Leaves the arguments of a reboot; without any, none of an earlier command hold.
pub(crate) fn leave(arguments: &str) -> io::Result<()> {
    leave_at(Path::new(FILE), arguments)
}

fn leave_at(file: &Path, arguments: &str) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            // Who may not remove it may not reboot either, and is told that.
            return if arguments.is_empty() { Ok(()) } else { Err(error) };
        }
        _ if arguments.is_empty() => return Ok(()),
        _ => {}
    }
    if let Some(dir) = file.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o755).create(dir)?;
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o644).open(file)?;
    writeln!(file, "{arguments}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_command_says_what_holds() {
        let dir = std::env::temp_dir().join(format!("zinit-arguments-{}", std::process::id()));
        let file = dir.join("systemd/reboot-param");
        leave_at(&file, "").unwrap();
        assert!(!dir.exists(), "nothing is made for nothing");
        for arguments in ["-s", "-m verbose"] {
            leave_at(&file, arguments).unwrap();
            assert_eq!(fs::read_to_string(&file).unwrap(), format!("{arguments}\n"));
        }
        leave_at(&file, "").unwrap();
        assert!(!file.exists());
        fs::write(dir.join("file"), "").unwrap();
        assert!(leave_at(&dir.join("file/reboot-param"), "-s").is_err());
        leave_at(&dir.join("file/reboot-param"), "").unwrap();
        fs::remove_dir_all(&dir).unwrap();
    }
}
