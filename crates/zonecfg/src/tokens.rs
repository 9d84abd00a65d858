//! Tokens of Solaris 11, which stand for something of the zone within a path.
//!
//! The one that has a meaning here is the zone's name. It is put in where the path is set, so that what is configured is what is shown.

use zone_config::schema::Property;
use zone_config::value::Kind;

/// The zone's name, as Solaris 11.3 and newer write it.
pub(crate) const ZONENAME: &str = "%{zonename}";

/// What a token begins with that nothing else begins with.
const BEGIN: &str = "%{";

/// Tells whether values of a property may have tokens there.
pub(crate) fn has(property: &Property) -> bool {
    property.kind == Kind::Path || property.name == "special"
}

/// Expands a path that is typed, in which a `%` alone is a character as any other.
///
/// # Errors
/// With the token that has no meaning here.
pub(crate) fn typed(path: &str, zone: &str) -> Result<String, String> {
    let path = path.replace(ZONENAME, zone);
    match path.split_once(BEGIN) {
        None => Ok(path),
        Some((_, token)) => {
            let end = token.find('}').map_or(token.len(), |at| at + 1);
            Err(format!("{BEGIN}{}", &token[..end]))
        }
    }
}

/// Expands a path in a file of Solaris', where `%%` is a `%`, and where 11.2 has written the name without braces. `None` if it has
/// another token.
pub(crate) fn written(path: &str, zone: &str) -> Option<String> {
    let (mut text, mut rest) = (String::new(), path);
    while let Some((before, token)) = rest.split_once('%') {
        text.push_str(before);
        if let Some(after) = token.strip_prefix("{zonename}").or_else(|| token.strip_prefix("zonename")) {
            text.push_str(zone);
            rest = after;
        } else {
            text.push('%');
            rest = token.strip_prefix('%').unwrap_or(token);
        }
    }
    text.push_str(rest);
    (!text.contains(BEGIN)).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_zones_name_is_put_in_and_other_tokens_are_named() {
        assert_eq!(typed("/system/zones/%{zonename}/x", "web"), Ok("/system/zones/web/x".to_owned()));
        assert_eq!(typed("/50%off/100%%/%zonename", "web"), Ok("/50%off/100%%/%zonename".to_owned()));
        assert_eq!(typed("/a/%{id}/b", "web"), Err("%{id}".to_owned()));
        assert_eq!(typed("/a/%{", "web"), Err("%{".to_owned()));
    }

    #[test]
    fn a_file_of_solaris_has_more_ways_to_write_it() {
        for path in ["/z/%{zonename}", "/z/%zonename"] {
            assert_eq!(written(path, "web").as_deref(), Some("/z/web"));
        }
        assert_eq!(written("/50%off/100%%/%", "web").as_deref(), Some("/50%off/100%/%"));
        for odd in ["/a/%{id}", "/a/%%{zonename}"] {
            assert_eq!(written(odd, "web"), None, "{odd}");
        }
    }
}
