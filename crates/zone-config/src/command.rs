//! The commands of the `zonecfg` language.

mod parse;
mod table;

pub use parse::{Located, Script, SyntaxError};
pub use table::{COMMANDS, CommandSpec, Scope, spec};

use crate::schema::{Property, ValueError};
use crate::value::{Kind, Value};

/// A value as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Term {
    /// One word, quoted or bare.
    Word(String),
    /// `[a,b]`
    List(Vec<Term>),
    /// `(k=v,k=v)`
    Complex(Vec<(String, String)>),
}

/// `property=value` after a resource type, to say which of them is meant.
pub type Qualifier = (String, Term);

/// From what `create` makes a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Template {
    /// Begins with the defaults of the table of properties.
    Default,
    /// `-b`: nothing set at all.
    Blank,
    /// `-t`: a copy of another zone's.
    Zone(String),
    /// `-a`: that of a zone that was detached, here or on illumos or Solaris, by its zonepath.
    Detached(String),
    /// `-f`: what a file of illumos or Solaris says.
    File(String),
}

/// A command of the language, as parsed; what it means is the session's to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// `create [-F] [-b | -t ZONE | -a ZONEPATH | -f FILE]`
    Create {
        /// Write over an existing one without asking.
        force: bool,
        /// From what the configuration is made.
        template: Template,
    },
    /// `add RESOURCE`, or in a resource `add PROPERTY VALUE`.
    Add {
        /// The resource's type or the property.
        what: String,
        /// What to add to the property.
        value: Option<Term>,
    },
    /// `set PROPERTY=VALUE`
    Set {
        /// The property's name, not looked up yet.
        property: String,
        /// The value as written, of no type yet.
        value: Term,
    },
    /// `clear PROPERTY`
    Clear {
        /// The property's name, not looked up yet.
        property: String,
    },
    /// `remove [-F] RESOURCE [PROPERTY=VALUE...]`, or in a resource `remove PROPERTY VALUE`.
    Remove {
        /// All of them, without asking.
        force: bool,
        /// The resource's type or the property.
        what: String,
        /// Which of the resources.
        qualifiers: Vec<Qualifier>,
        /// What to remove from the property.
        value: Option<Term>,
    },
    /// `select RESOURCE PROPERTY=VALUE...`
    Select {
        /// The resource's type, not looked up yet.
        resource: String,
        /// Which of them.
        qualifiers: Vec<Qualifier>,
    },
    /// `end`
    End,
    /// `cancel`
    Cancel,
    /// `info [--json] [RESOURCE [PROPERTY=VALUE...] | PROPERTY]`
    Info {
        /// Prints JSON instead of lines for people.
        json: bool,
        /// Only this resource type or property.
        what: Option<String>,
        /// Which of the resources.
        qualifiers: Vec<Qualifier>,
    },
    /// `export [--json] [-f FILE]`
    Export {
        /// Prints JSON instead of commands.
        json: bool,
        /// Not to standard output but here.
        file: Option<String>,
    },
    /// `edit`
    Edit,
    /// `verify`
    Verify,
    /// `commit`
    Commit,
    /// `revert [-F]`
    Revert {
        /// Asks nobody.
        force: bool,
    },
    /// `delete [-F]`
    Delete {
        /// Without asking, and above configured too.
        force: bool,
    },
    /// `exit [-F]`
    Exit {
        /// Asks nobody.
        force: bool,
    },
    /// `help [COMMAND | RESOURCE | PROPERTY | commands | syntax | usage]`, `?`, or `COMMAND -?`
    Help {
        /// The word to be explained; `None` lists the commands.
        topic: Option<String>,
    },
}

impl Command {
    /// The word it begins with.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Create { .. } => "create",
            Self::Add { .. } => "add",
            Self::Set { .. } => "set",
            Self::Clear { .. } => "clear",
            Self::Remove { .. } => "remove",
            Self::Select { .. } => "select",
            Self::End => "end",
            Self::Cancel => "cancel",
            Self::Info { .. } => "info",
            Self::Export { .. } => "export",
            Self::Edit => "edit",
            Self::Verify => "verify",
            Self::Commit => "commit",
            Self::Revert { .. } => "revert",
            Self::Delete { .. } => "delete",
            Self::Exit { .. } => "exit",
            Self::Help { .. } => "help",
        }
    }

    /// Tells whether what follows is said of a resource, up to `end` or `cancel`.
    pub fn enters_a_resource(&self) -> bool {
        matches!(self, Self::Add { value: None, .. } | Self::Select { .. })
    }
}

impl Term {
    /// The value this is for a property.
    ///
    /// # Errors
    /// With what the property allows.
    pub fn value_for(&self, property: &Property) -> Result<Value, ValueError> {
        match self {
            Self::Word(word) => property.read(word),
            Self::List(items) => {
                let words = items.iter().map(|item| match item {
                    Self::Word(word) => Some(word.clone()),
                    Self::Complex(_) if property.kind == Kind::RctlValues => Some(item.to_string()),
                    _ => None,
                });
                match words.collect() {
                    Some(words) => property.read_list(words),
                    None => Err(ValueError::new(property, self.to_string())),
                }
            }
            Self::Complex(_) if property.kind == Kind::RctlValues => {
                property.read_list(vec![self.to_string()])
            }
            Self::Complex(_) => Err(ValueError::new(property, self.to_string())),
        }
    }
}

/// As the language writes it.
impl std::fmt::Display for Term {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Word(word) => f.write_str(&crate::lex::quote(word)),
            Self::List(items) => {
                let items: Vec<String> = items.iter().map(ToString::to_string).collect();
                write!(f, "[{}]", items.join(","))
            }
            Self::Complex(pairs) => {
                let pairs: Vec<String> =
                    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
                write!(f, "({})", pairs.join(","))
            }
        }
    }
}
