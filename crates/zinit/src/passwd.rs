//! What `/etc/passwd` says of root.

use std::io::Read;

/// The most of the file that is read: root stands at its head.
const LIMIT: u64 = 64 * 1024;

/// Where and with what root works.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Root {
    pub(crate) home: String,
    pub(crate) shell: String,
}

impl Root {
    /// Reads `/etc/passwd`; what it does not say is `/root` and `/bin/sh`.
    pub(crate) fn load() -> Self {
        let mut text = Vec::new();
        if let Ok(file) = std::fs::File::open("/etc/passwd") {
            // A file that cannot be read to its end says as much as was read.
            let _ = file.take(LIMIT).read_to_end(&mut text);
        }
        Self::find(&String::from_utf8_lossy(&text))
    }

    fn find(text: &str) -> Self {
        let line = text.lines().find(|line| line.starts_with("root:")).unwrap_or_default();
        let field = |n: usize, default: &str| {
            let field = line.split(':').nth(n).unwrap_or_default().trim();
            if field.starts_with('/') { field.to_owned() } else { default.to_owned() }
        };
        Self { home: field(5, "/root"), shell: field(6, "/bin/sh") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shell_and_home_of_root() {
        let found = Root::find("daemon:x:1:1::/:/bin/false\nroot:x:0:0:root:/r:/bin/bash\n");
        assert_eq!(found, Root { home: "/r".into(), shell: "/bin/bash".into() });
    }

    #[test]
    fn nonsense_gives_the_defaults() {
        let default = Root { home: "/root".into(), shell: "/bin/sh".into() };
        for text in ["", "root", "root:x:0:0", "root:x:0:0:::", "root:x:0:0:a:b:c", "rootx:x:0:0::/a:/b"] {
            assert_eq!(Root::find(text), default, "{text:?}");
        }
    }
}
