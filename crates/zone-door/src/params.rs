//! Reading the parameters of a call by name, so that an error can name the one that is wrong.

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::{Request, Uniqid};

/// The name of the parameter that is missing, has the wrong type, or does not exist.
///
/// Parameters we do not know are errors too: a misspelt `bootargs` must not boot the zone without them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct InvalidParameter(pub(crate) String);

/// The parameters of one call, taken out one by one.
pub(crate) struct Params(Map<String, Value>);

impl Params {
    /// Reads the object; absent and `null` mean no parameters.
    pub(crate) fn read(raw: Option<&RawValue>) -> Result<Self, InvalidParameter> {
        match raw.map(|raw| serde_json::from_str(raw.get())) {
            None | Some(Ok(Value::Null)) => Ok(Self(Map::new())),
            Some(Ok(Value::Object(map))) => Ok(Self(map)),
            Some(_) => Err(InvalidParameter("parameters".to_owned())),
        }
    }

    /// Takes one out; absent and `null` are the same, as Varlink's optional types have it.
    fn take<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(Value) -> Option<T>,
    ) -> Result<Option<T>, InvalidParameter> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => read(value).map(Some).ok_or_else(|| InvalidParameter(name.to_owned())),
        }
    }

    /// A text. One with a NUL is refused: it could not be an argument of a program.
    pub(crate) fn string(&mut self, name: &str) -> Result<Option<String>, InvalidParameter> {
        self.take(name, |value| match value {
            Value::String(text) if !text.contains('\0') => Some(text),
            _ => None,
        })
    }

    fn text(&mut self, name: &str) -> Result<String, InvalidParameter> {
        Ok(self.string(name)?.unwrap_or_default())
    }

    fn flag(&mut self, name: &str) -> Result<bool, InvalidParameter> {
        Ok(self.take(name, |value| value.as_bool())?.unwrap_or(false))
    }

    fn seconds(&mut self, name: &str) -> Result<Option<u32>, InvalidParameter> {
        self.take(name, |value| u32::try_from(value.as_u64()?).ok())
    }

    fn uniqid(&mut self, name: &str) -> Result<Option<Uniqid>, InvalidParameter> {
        self.take(name, |value| value.as_str()?.parse().ok())
    }

    /// Whatever is left was not asked for.
    pub(crate) fn end(self) -> Result<(), InvalidParameter> {
        match self.0.into_iter().next() {
            Some((name, _)) => Err(InvalidParameter(name)),
            None => Ok(()),
        }
    }
}

/// Reads the request of one of the operations; `None` if there is no such operation.
pub(crate) fn request(
    method: &str,
    parameters: Option<&RawValue>,
) -> Option<Result<Request, InvalidParameter>> {
    type Read = fn(&mut Params) -> Result<Request, InvalidParameter>;
    let read: Read = match method {
        "Ready" => |p| Ok(Request::Ready { locale: p.text("locale")? }),
        "Boot" => |p| {
            Ok(Request::Boot {
                bootargs: p.text("bootargs")?,
                writable: p.flag("writable")?,
                locale: p.text("locale")?,
            })
        },
        "Reboot" => |p| {
            Ok(Request::Reboot {
                bootargs: p.text("bootargs")?,
                uniqid: p.uniqid("uniqid")?,
                writable: p.flag("writable")?,
                locale: p.text("locale")?,
            })
        },
        "Halt" => |p| Ok(Request::Halt { force: p.flag("force")?, locale: p.text("locale")? }),
        "Shutdown" => |p| {
            Ok(Request::Shutdown {
                timeout: p.seconds("timeout")?,
                reboot: p.flag("reboot")?,
                bootargs: p.text("bootargs")?,
                uniqid: p.uniqid("uniqid")?,
                locale: p.text("locale")?,
            })
        },
        "NoteUninstalling" => |p| Ok(Request::NoteUninstalling { locale: p.text("locale")? }),
        "Apply" => |p| {
            Ok(Request::Apply {
                dry_run: p.flag("dry_run")?,
                config: p.string("config")?,
                base: p.string("base")?,
                locale: p.text("locale")?,
            })
        },
        _ => return None,
    };
    Some(Params::read(parameters).and_then(|mut params| {
        let request = read(&mut params)?;
        params.end()?;
        Ok(request)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(method: &str, json: &str) -> Result<Request, String> {
        let raw = serde_json::from_str::<&RawValue>(json).unwrap();
        request(method, Some(raw)).unwrap().map_err(|e| e.0)
    }

    #[test]
    fn what_our_client_writes_is_what_the_server_reads() {
        let locale = || "de_AT".to_owned();
        let requests = [
            Request::Ready { locale: locale() },
            Request::Boot { bootargs: "-s".into(), writable: false, locale: locale() },
            Request::Reboot {
                bootargs: String::new(),
                uniqid: Some(Uniqid(u64::MAX)),
                writable: true,
                locale: locale(),
            },
            Request::Reboot {
                bootargs: "-m verbose".into(),
                uniqid: None,
                writable: false,
                locale: locale(),
            },
            Request::Halt { force: false, locale: locale() },
            Request::Halt { force: true, locale: locale() },
            Request::Shutdown {
                timeout: Some(3),
                reboot: true,
                bootargs: "-s".into(),
                uniqid: Some(Uniqid(7)),
                locale: locale(),
            },
            Request::Shutdown {
                timeout: None,
                reboot: false,
                bootargs: String::new(),
                uniqid: None,
                locale: locale(),
            },
            Request::NoteUninstalling { locale: locale() },
        ];
        // An older daemon refuses a call with a parameter that it does not know.
        let named = |request: &Request| serde_json::to_string(request).unwrap().contains("uniqid");
        assert!(requests.iter().all(|request| named(request) == request.uniqid().is_some()));
        for request in requests {
            let wire = serde_json::to_value(&request).unwrap();
            let member = wire["method"].as_str().unwrap().strip_prefix("org.zones.zoneadmd.").unwrap();
            assert!(crate::INTERFACE_DESCRIPTION.contains(&format!("\nmethod {member}(")), "{member}");
            assert_eq!(read(member, &wire["parameters"].to_string()), Ok(request));
        }
    }

    #[test]
    fn everything_may_be_left_out() {
        let halt = || Request::Halt { force: false, locale: String::new() };
        assert_eq!(request("Halt", None).unwrap(), Ok(halt()));
        for json in ["null", "{}", r#"{"locale":null}"#] {
            assert_eq!(read("Halt", json), Ok(halt()), "{json}");
        }
    }

    #[test]
    fn the_wrong_parameter_is_named() {
        for (json, name) in [
            ("[]", "parameters"),
            ("3", "parameters"),
            (r#"{"timeout":"3"}"#, "timeout"),
            (r#"{"timeout":-1}"#, "timeout"),
            (r#"{"timeout":4294967296}"#, "timeout"),
            (r#"{"reboot":1}"#, "reboot"),
            (r#"{"bootargs":["-s"]}"#, "bootargs"),
            (r#"{"bootargs":"a\u0000b"}"#, "bootargs"),
            (r#"{"bootarg":"-s"}"#, "bootarg"),
        ] {
            assert_eq!(read("Shutdown", json), Err(name.to_owned()), "{json}");
        }
        assert_eq!(read("Reboot", r#"{"uniqid":12}"#), Err("uniqid".to_owned()));
    }

    #[test]
    fn unknown_methods_are_not_requests() {
        assert!(request("GetStatus", None).is_none());
        assert!(request("boot", None).is_none());
    }
}
