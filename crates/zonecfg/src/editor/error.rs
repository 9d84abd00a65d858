//! Edits that cannot be, in the words of zonecfg(8).

use zone_config::document::MOST_RESOURCES;
use zone_config::nearest::did_you_mean;
use zone_config::schema::ValueError;
use zone_config::{State, ZoneName};

/// An edit that cannot be; the configuration is as it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// A command for outside a resource, given inside.
    #[error("The {0} command only makes sense in the global scope.")]
    GlobalOnly(&'static str),
    /// A command for inside a resource, given outside.
    #[error("The {0} command only makes sense in the resource scope.")]
    ResourceOnly(&'static str),
    /// No such type of resource.
    #[error("No such resource type '{name}'; allowed: {allowed}{}", meant(name, allowed))]
    NoResourceType {
        /// The word that was given.
        name: String,
        /// The names that there are, with commas between.
        allowed: String,
    },
    /// No such property.
    #[error("No such property type '{name}' of {scope}; allowed: {allowed}{}", meant(name, allowed))]
    NoProperty {
        /// The resource type, or the zone, that lacks it.
        scope: &'static str,
        /// The word that was given.
        name: String,
        /// The names that there are, with commas between.
        allowed: String,
    },
    /// A value the property does not allow.
    #[error(transparent)]
    Value(#[from] ValueError),
    /// A value the property of a resource does not allow.
    #[error("{resource}: {value}")]
    ResourceValue {
        /// The type of resource.
        resource: &'static str,
        /// What is wrong with the value; a part of the sentence, not its cause.
        value: ValueError,
    },
    /// A token of Solaris that has no meaning here.
    #[error("{property}: {token} is a token of Solaris that nothing here stands for; write the path instead")]
    Token {
        /// The property's name.
        property: &'static str,
        /// The token, with its braces.
        token: String,
    },
    /// The zone has as many resources as it can have.
    #[error("a zone has at most {MOST_RESOURCES} resources")]
    TooMany,
    /// A second resource where there can be one.
    #[error("The {0} resource already exists.")]
    Single(&'static str),
    /// A resource that there can be several of, where one is meant.
    #[error("There can be several {0} resources: use 'select' or 'add', and 'set' within it.")]
    NotSingle(&'static str),
    /// `add` and `remove` work on lists.
    #[error("{property} is not a list: use 'set {property}=VALUE', not {command}")]
    NotList {
        /// `add` or `remove`.
        command: &'static str,
        /// The property's name.
        property: &'static str,
    },
    /// `add` and `remove` need to know what.
    #[error("{command} {property}: a value is missing; the form is: {command} PROPERTY VALUE")]
    NoValue {
        /// `add` or `remove`.
        command: &'static str,
        /// The property's name.
        property: &'static str,
    },
    /// What is to be removed is not there.
    #[error("{property} has no '{item}'")]
    NotInList {
        /// The property's name.
        property: &'static str,
        /// The item that was to be removed.
        item: String,
    },
    /// A resource is not complete.
    #[error("{resource}: {property} not specified; allowed: {allowed}")]
    NotSpecified {
        /// The type of resource.
        resource: &'static str,
        /// The property that must be set and is not.
        property: &'static str,
        /// What its value may be.
        allowed: String,
    },
    /// Properties of a resource do not go together.
    #[error("{resource}: {property} {reason}")]
    Mismatch {
        /// The type of resource.
        resource: &'static str,
        /// The property's name.
        property: &'static str,
        /// What is wrong and what is allowed.
        reason: String,
    },
    /// Two resources of one key.
    #[error("A {resource} resource with the {key} '{value}' already exists.")]
    Duplicate {
        /// The type of resource.
        resource: &'static str,
        /// The property that is the key of that type.
        key: &'static str,
        /// The value that both have.
        value: String,
    },
    /// No resource of this type matches.
    #[error("No such {0} resource.")]
    NoResource(&'static str),
    /// Several resources of this type match.
    #[error("Insufficient specification: give PROPERTY=VALUE that only one {0} resource has")]
    Insufficient(&'static str),
    /// Several resources of this type would be removed.
    #[error(
        "There are multiple instances of this resource ({0}).  Either qualify the resource to remove a single instance or use the -F option to remove all instances."
    )]
    Many(&'static str),
    /// A property that must be set.
    #[error("Clearing this property is not allowed: {0} must be set")]
    Required(&'static str),
    /// A property that is fixed once there is something at the zonepath.
    #[error("Zone {zone} {}; set {property} not allowed.", already(.state))]
    Sealed {
        /// The zone that is edited.
        zone: ZoneName,
        /// The state that it is in.
        state: State,
        /// The property's name.
        property: &'static str,
    },
}

/// Why a zone in this state cannot be changed, in the reference's words where it has them.
pub(crate) fn already(state: &State) -> &'static str {
    match state {
        State::Incomplete => "is incomplete",
        _ => "already installed",
    }
}

/// What may have been meant by a word that is none of those that are allowed, with commas between.
fn meant(word: &str, allowed: &str) -> String {
    did_you_mean(word, allowed.split(", "))
}
