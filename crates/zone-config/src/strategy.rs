//! Values for property tests, of every kind that the schema has; for those of other crates too, with the feature `strategy`.

use proptest::prelude::*;

use crate::value::{Kind, Value};

/// Gives a strategy for the values that a kind allows.
pub fn any_value(kind: Kind) -> BoxedStrategy<Value> {
    let word = match kind {
        Kind::Path => "(/[^\"\\x00-\\x1f\\x7f-\\x9f/.]{1,8}){1,3}".boxed(),
        Kind::Number(least, most) => (least..=most).prop_map(|number| number.to_string()).boxed(),
        Kind::Size => "[1-9][0-9]{0,2}[MGT]".boxed(),
        Kind::Cpus => "[1-9](\\.[0-9]{1,2})?".boxed(),
        Kind::WholeCpus => "[1-9](-[1-9][0-9])?".boxed(),
        Kind::CpuList => "[0-9](,[1-4]-[5-9])?".boxed(),
        Kind::RctlValues => "\\(priv=privileged,limit=[1-9][0-9]{0,4},action=(none|deny)\\)".boxed(),
        Kind::Link => "[a-zé][a-z0-9.-]{0,9}".boxed(),
        Kind::Lower => "auto|br[0-9]".boxed(),
        Kind::Addresses => "dhcp|192\\.0\\.2\\.[1-9](/24)?(,2001:db8::[1-9]/64)?".boxed(),
        Kind::Prefixes => "192\\.0\\.2\\.[1-9](,2001:db8::/32)?".boxed(),
        Kind::Routers => "192\\.0\\.2\\.1[0-9](,fe80::[1-9])?".boxed(),
        Kind::Mac => "02(:[0-9a-f]{2}){5}".boxed(),
        Kind::Bandwidth => "[1-9][0-9]{0,2}[MG]".boxed(),
        Kind::Words(words) => {
            proptest::sample::subsequence(words, 1..3).prop_map(|words| words.join(",")).boxed()
        }
        Kind::Zones => "[a-z][a-z0-9.-]{0,10}(,[a-z]{1,4})?".boxed(),
        Kind::HostPorts => "(192\\.0\\.2\\.1:|\\[::1\\]:)?[1-9][0-9]{0,3}".boxed(),
        Kind::HostName | Kind::Label | Kind::Credential | Kind::ZoneName => "[a-z][a-z0-9.-]{0,10}".boxed(),
        Kind::Bool => "true|false".boxed(),
        Kind::Sysctl => "net\\.ipv4\\.[a-z_]{1,9}".boxed(),
        Kind::HostId => "(0x)?[0-9a-e]{1,8}".boxed(),
        Kind::Seconds(_) => "[1-9][0-9]{0,3}".boxed(),
        Kind::Choice(words) => proptest::sample::select(words).prop_map(str::to_owned).boxed(),
        Kind::Devices => "(/dev/)?[a-z][a-z*?]{0,4}(/[a-z*?]{1,4})?".boxed(),
        Kind::Mode => "0?[0-7]{3}".boxed(),
        Kind::Privileges => "default(,!sys_time)?".boxed(),
        Kind::Options => "([a-z=#()\\[\\];é]{1,6}(,[a-z]{1,4})?)?".boxed(),
        Kind::Word => "[^\"\\x00-\\x1f\\x7f-\\x9f]{1,12}".boxed(),
        Kind::Text | Kind::BootArgs => "[^\"\\x00-\\x08\\x0a-\\x1f\\x7f-\\x9f]{0,12}".boxed(),
    };
    let read = move |word: String| match kind {
        // Its words have commas in them.
        Kind::RctlValues => kind.read_list(vec![word]),
        _ => kind.read(&word),
    };
    word.prop_filter_map("a word of this kind", read).boxed()
}
