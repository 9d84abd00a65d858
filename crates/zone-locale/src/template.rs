//! A text with holes: `{name}`, as Rust's formats have them; a brace of its own stands twice.

/// A part of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// It stands as it is.
    Text(&'a str),
    /// Something is put in; by this name or number.
    Hole(&'a str),
}

/// Takes a template apart.
pub fn pieces(template: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = template;
    std::iter::from_fn(move || {
        let (piece, behind) = first(rest)?;
        rest = behind;
        Some(piece)
    })
}

fn first(text: &str) -> Option<(Piece<'_>, &str)> {
    if text.is_empty() {
        return None;
    }
    if text.starts_with("{{") || text.starts_with("}}") {
        return Some((Piece::Text(&text[..1]), &text[2..]));
    }
    if let Some((name, behind)) = text.strip_prefix('{').and_then(|text| text.split_once('}')) {
        return Some((Piece::Hole(name), behind));
    }
    // A brace that stands alone is one.
    let first = text.chars().next().map_or(0, char::len_utf8);
    let end = text[first..].find(['{', '}']).map_or(text.len(), |at| at + first);
    Some((Piece::Text(&text[..end]), &text[end..]))
}

/// The names of the holes, in order, each once.
#[must_use]
pub fn holes(template: &str) -> Vec<&str> {
    let mut names: Vec<&str> = pieces(template)
        .filter_map(|piece| match piece {
            Piece::Hole(name) => Some(name),
            Piece::Text(_) => None,
        })
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use Piece::{Hole, Text};

    #[test]
    fn templates_are_taken_apart() {
        let all = |template| pieces(template).collect::<Vec<_>>();
        assert_eq!(all(""), []);
        assert_eq!(all("a {b} c{0}"), [Text("a "), Hole("b"), Text(" c"), Hole("0")]);
        assert_eq!(all("{{a}} {b}"), [Text("{"), Text("a"), Text("}"), Text(" "), Hole("b")]);
        assert_eq!(all("Ä {"), [Text("Ä "), Text("{")]);
        assert_eq!(all("}ä"), [Text("}ä")]);
        assert_eq!(holes("{b} {a} {b} {{c}}"), ["a", "b"]);
    }
}
