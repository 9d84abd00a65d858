//! The record of a move: from where to where a zone's files go, from before the first of them is touched until nothing of the move is left.
//!
//! Where the zone is says the index. This says what somebody who was killed has left beside that.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use crate::file::{self, FileError};
use crate::{Layout, ZoneName};

/// A move that has been begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Moving {
    /// The zonepath that the zone had.
    pub from: PathBuf,
    /// The one that it is to have.
    pub to: PathBuf,
    /// Which directories these are, when the files are copied; nothing, when the zonepath is renamed.
    pub copy: Option<Copy>,
}

/// The two directories of a copy, by their numbers and births: what another has put in the place of one is not removed, also if it has got
/// the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Copy {
    /// The inode of the zonepath that the zone had.
    pub from: i64,
    /// That of the one that it is to have.
    pub to: i64,
    /// When the first was made, in nanoseconds since 1970; nothing where its file system does not tell, and in the records of earlier
    /// programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_born: Option<i64>,
    /// The same of the other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_born: Option<i64>,
}

impl Copy {
    /// Looks at the two directories; `None` if one is not there. No link is followed.
    #[must_use]
    pub fn of(from: &Path, to: &Path) -> Option<Self> {
        let ((from, from_born), (to, to_born)) = (identity(from)?, identity(to)?);
        Some(Self { from, to, from_born, to_born })
    }
}

/// A record that cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum MovingError {
    /// It cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// It makes no sense.
    #[error("{} is not the record of a move", .path.display())]
    Parse {
        /// The path of the record.
        path: PathBuf,
        /// What makes no sense in it.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// It cannot be put into words.
    #[error("cannot put the move into words")]
    Print(#[from] toml::ser::Error),
}

impl Moving {
    /// Reads the record; `None` when no move of the zone has been begun.
    ///
    /// # Errors
    /// When it cannot be read or understood.
    pub fn load(layout: &Layout, zone: &ZoneName) -> Result<Option<Self>, MovingError> {
        let path = layout.moving(zone);
        let Some(bytes) = file::read_if_there(&path, file::DOCUMENT)? else { return Ok(None) };
        let parsed = toml::from_str(&String::from_utf8_lossy(&bytes));
        parsed.map(Some).map_err(|source| MovingError::Parse { path, source: Box::new(source) })
    }

    /// Writes the record, to the disk.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save(&self, layout: &Layout, zone: &ZoneName) -> Result<(), MovingError> {
        Ok(file::replace(&layout.moving(zone), toml::to_string(self)?.as_bytes(), 0o600)?)
    }

    /// Removes the record: nothing of the move is left.
    ///
    /// # Errors
    /// When it is there and cannot be removed.
    pub fn forget(layout: &Layout, zone: &ZoneName) -> Result<(), MovingError> {
        Ok(file::remove(&layout.moving(zone))?)
    }

    /// Tells where the zone is, of which configuration and index say this. They are not of one mind when somebody was killed
    /// between the two; and neither knows when it was killed after the zonepath was renamed.
    #[must_use]
    pub fn place(&self, config: &Path, index: &Path) -> &Path {
        let has_moved = config == self.to || index == self.to;
        let was_renamed = self.copy.is_none() && is_missing(&self.from) && self.to.join("root").is_dir();
        if has_moved || was_renamed { &self.to } else { &self.from }
    }

    /// Gives the directory that is left of a copy beside the one where the zone is, if it is still the one that it was.
    #[must_use]
    pub fn left(&self, place: &Path) -> Option<&Path> {
        let copy = self.copy?;
        let (path, inode, born) = if place == self.to {
            (&self.from, copy.from, copy.from_born)
        } else {
            (&self.to, copy.to, copy.to_born)
        };
        let (there, was_born) = identity(path)?;
        let is_same = there == inode && (born.is_none() || born == was_born);
        is_same.then_some(path.as_path())
    }
}

/// The inode of a directory, no link followed, and when it was made, as TOML has numbers.
fn identity(path: &Path) -> Option<(i64, Option<i64>)> {
    let stat = path.symlink_metadata().ok().filter(std::fs::Metadata::is_dir)?;
    let born = stat.created().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    Some((stat.ino().cast_signed(), born.and_then(|born| i64::try_from(born.as_nanos()).ok())))
}

fn is_missing(path: &Path) -> bool {
    path.symlink_metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_zone_is_where_most_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("old"), dir.path().join("new"));
        std::fs::create_dir_all(from.join("root")).unwrap();
        let rename = Moving { from: from.clone(), to: to.clone(), copy: None };
        assert_eq!(rename.place(&from, &from), from, "not renamed yet");
        std::fs::rename(&from, &to).unwrap();
        assert_eq!(rename.place(&from, &from), to);
        assert_eq!(rename.left(&to), None);
        // The disk of the old one is not mounted, and the new one is half a copy.
        let copy = Copy { from: 1, from_born: None, ..Copy::of(&to, &to).unwrap() };
        let copied = Moving { copy: Some(copy), ..rename };
        assert_eq!(copied.place(&from, &from), from);
        assert_eq!(copied.left(&from), Some(to.as_path()));
        assert_eq!(copied.place(&to, &from), to, "killed between configuration and index");
        std::fs::create_dir(&from).unwrap();
        assert_eq!(copied.left(&to), None, "another directory is there by now");
    }

    #[test]
    fn a_number_that_was_given_again_is_told_by_the_birth() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("old"), dir.path().join("new"));
        std::fs::create_dir(&from).unwrap();
        std::fs::create_dir(&to).unwrap();
        let whole = Copy::of(&from, &to).unwrap();
        let of = |copy| Moving { from: from.clone(), to: to.clone(), copy: Some(copy) };
        assert_eq!((of(whole).left(&to), of(whole).left(&from)), (Some(from.as_path()), Some(to.as_path())));
        let Some(born) = whole.from_born else { return };
        // Another one of the same number, made at another time.
        let another = Copy { from_born: Some(born - 1), ..whole };
        assert_eq!((of(another).left(&to), of(another).left(&from)), (None, Some(to.as_path())));
        let earlier = Copy { from_born: None, to_born: None, ..whole };
        assert_eq!(of(earlier).left(&to), Some(from.as_path()), "as a record of earlier programs");
        assert_eq!(Copy::of(&from, &dir.path().join("missing")), None);
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(Some(dir.path().to_owned())).unwrap();
        let zone: ZoneName = "web".parse().unwrap();
        std::fs::create_dir_all(layout.etc()).unwrap();
        assert_eq!(Moving::load(&layout, &zone).unwrap(), None);
        let moving = Moving { from: "/a".into(), to: "/b c".into(), copy: None };
        let first = Copy { from: 7, to: -1, from_born: None, to_born: None };
        for copy in [None, Some(first), Some(Copy { from_born: Some(3), to_born: Some(-4), ..first })] {
            let moving = Moving { copy, ..moving.clone() };
            moving.save(&layout, &zone).unwrap();
            assert_eq!(Moving::load(&layout, &zone).unwrap(), Some(moving));
        }
        // As earlier programs wrote it.
        std::fs::write(layout.moving(&zone), "from = \"/a\"\nto = \"/b c\"\n[copy]\nfrom = 7\nto = -1\n")
            .unwrap();
        assert_eq!(Moving::load(&layout, &zone).unwrap(), Some(Moving { copy: Some(first), ..moving }));
        std::fs::write(layout.moving(&zone), "from = 1").unwrap();
        assert!(Moving::load(&layout, &zone).is_err());
        Moving::forget(&layout, &zone).unwrap();
        Moving::forget(&layout, &zone).unwrap();
    }
}
