//! The one way in which an error is put into words, in all programs.

use std::error::Error;
use std::fmt;

/// Formats an error with its causes as one sentence: each after a colon, the kernel's words without their number.
///
/// An error type must not repeat its source in its own text: it either names the source (`#[source]`) or is it
/// (`#[error(transparent)]`).
#[derive(Debug, Clone, Copy)]
pub struct Chain<'a>(pub &'a (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(f, self.0)?;
        let mut source = self.0.source();
        while let Some(cause) = source {
            f.write_str(": ")?;
            write(f, cause)?;
            source = cause.source();
        }
        Ok(())
    }
}

/// Writes one link. Both `io::Error` and `Errno` add the number of the error, which says nothing to a reader.
fn write(f: &mut fmt::Formatter<'_>, error: &dyn Error) -> fmt::Result {
    let text = error.to_string();
    f.write_str(without_number(&text))
}

fn without_number(text: &str) -> &str {
    let number = text.rsplit_once(" (os error ").and_then(|(words, rest)| {
        let digits = rest.strip_suffix(')')?;
        digits.bytes().all(|byte| byte.is_ascii_digit()).then_some(words)
    });
    number.unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::io::Errno;
    use std::io;

    #[derive(Debug)]
    struct Above<E>(E);

    impl<E> fmt::Display for Above<E> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("could not open the door")
        }
    }

    impl<E: Error + 'static> Error for Above<E> {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }

    #[test]
    fn all_causes_are_told_and_no_numbers() {
        let text = "could not open the door: No such file or directory";
        assert_eq!(Chain(&Above(Errno::NOENT)).to_string(), text);
        assert_eq!(Chain(&Above(io::Error::from(Errno::NOENT))).to_string(), text);
        assert_eq!(Chain(&Errno::NOENT).to_string(), "No such file or directory");
        let twice = Above(Above(Errno::NOENT));
        assert_eq!(
            Chain(&twice).to_string(),
            "could not open the door: could not open the door: No such file or directory"
        );
        assert_eq!(without_number("what (os error x)"), "what (os error x)");
    }
}
