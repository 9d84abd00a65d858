//! The zone counts on its console, and every number must be there.

use std::collections::BTreeMap;

/// What the zone runs at its start: a line every so often, each with the name of the boot and its number.
pub(super) const RC: &str = "#!/bin/sh
# The end of this script's session is a hangup to what it has started, and to what has the console open.
trap '' HUP
boot=$(cat /proc/sys/kernel/random/uuid)
(
  i=0
  while :; do
    for burst in 1 2 3 4 5 6 7 8; do
      i=$((i+1))
      echo \"tick $boot $i.\"
    done > /dev/console
    echo \"$boot $i.\" > /ticks
    sleep 0.02
  done
) &
";

/// Whether the last number that the zone knows to have written is there.
pub(super) fn has_last(text: &str, written: &str) -> Result<(), String> {
    // A file that was cut by the zone's end says nothing.
    let Some(last) = written.trim_end().strip_suffix('.') else { return Ok(()) };
    let found = text.lines().any(|line| line.contains(&format!("tick {last}.")));
    if found { Ok(()) } else { Err(format!("the zone has written {last}, and it is not there")) }
}

/// How many numbers were seen, or what is missing. With `repeats` something may be there twice: a daemon that is killed between
/// writing the log and noting how far it has come has the next one write that once more.
pub(super) fn check(text: &str, repeats: bool) -> Result<usize, String> {
    let mut last: BTreeMap<&str, u64> = BTreeMap::new();
    let mut seen = 0;
    let mut lost = false;
    for line in text.lines() {
        // What zsched kept is lost with one that is killed while no daemon is there.
        if line.contains("bytes of output lost") || line.contains("what was kept of its output is lost") {
            lost = true;
        }
        // A prompt may stand before it, and the end of a boot may have cut it.
        let Some((_, rest)) = line.split_once("tick ") else { continue };
        let Some((boot, number)) = rest.split_once(' ') else { continue };
        let Some(number) = number.split_once('.').and_then(|(number, _)| number.parse().ok()) else {
            continue;
        };
        match last.insert(boot, number) {
            Some(before) if number != before + 1 && !lost && !(repeats && number <= before) => {
                return Err(format!("on the console {number} follows {before} in boot {boot}"));
            }
            _ => {}
        }
        lost = false;
        seen += 1;
    }
    Ok(seen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_is_found_and_an_announced_one_is_none() {
        assert_eq!(check("tick a 1.\r\n# tick a 2.\r\ntick b 1.\r\n[x]\r\ntick b 2.", false), Ok(4));
        assert!(check("tick a 1.\ntick a 3.\n", true).is_err());
        assert!(check("tick a 1.\ntick a 1.\n", false).is_err());
        assert_eq!(check("tick a 1.\ntick a 1.\ntick a 2.\n", true), Ok(3));
        assert_eq!(check("tick a 1.\n[NOTICE: 20 bytes of output lost]\ntick a 3.\n", false), Ok(2));
        assert_eq!(check("tick a 1.\ntick a", false), Ok(1));
        assert!(has_last("tick a 1.\ntick a 2.\n", "a 2.\n").is_ok());
        assert!(has_last("tick a 1.\ntick a 2.\n", "").is_ok());
        assert!(has_last("tick a 1.\n", "a 2.\n").is_err());
    }
}
