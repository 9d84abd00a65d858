//! `org.varlink.service`: what every Varlink service answers about itself, and the errors of the protocol.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{INTERFACE, INTERFACE_DESCRIPTION};

/// The name of the interface that every Varlink service has.
pub(crate) const SERVICE: &str = "org.varlink.service";

/// Its description: the standard one, with the error that systemd added for calls that must stream.
const SERVICE_DESCRIPTION: &str = "\
# What every Varlink service answers about itself.
interface org.varlink.service

method GetInfo() -> (
  vendor: string,
  product: string,
  version: string,
  url: string,
  interfaces: []string
)

method GetInterfaceDescription(interface: string) -> (description: string)

error InterfaceNotFound(interface: string)

error MethodNotFound(method: string)

error MethodNotImplemented(method: string)

error InvalidParameter(parameter: string)

# The method answers with a stream and has to be called with \"more\".
error ExpectedMore()
";

/// The protocol's own errors: the call could not be understood.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(tag = "error", content = "parameters")]
pub enum ServiceError {
    /// There is no such interface here.
    #[error("there is no interface '{interface}' here")]
    #[serde(rename = "org.varlink.service.InterfaceNotFound")]
    InterfaceNotFound {
        /// The interface asked for.
        interface: String,
    },
    /// The interface has no such method.
    #[error("there is no method '{method}' here")]
    #[serde(rename = "org.varlink.service.MethodNotFound")]
    MethodNotFound {
        /// The method asked for, with its interface.
        method: String,
    },
    /// The method exists, but cannot be called this way.
    #[error("the method '{method}' cannot be called this way")]
    #[serde(rename = "org.varlink.service.MethodNotImplemented")]
    MethodNotImplemented {
        /// The method asked for, with its interface.
        method: String,
    },
    /// A parameter is missing, unknown, or of the wrong type.
    ///
    /// `message` stands for the whole message when that is too long or is not a call.
    #[error("the parameter '{parameter}' is missing, unknown, or of the wrong type")]
    #[serde(rename = "org.varlink.service.InvalidParameter")]
    InvalidParameter {
        /// The name of the parameter that is missing, unknown or of another type.
        parameter: String,
    },
    /// The method answers with a stream and was called without `more`.
    #[error("the method has to be called with \"more\"")]
    #[serde(rename = "org.varlink.service.ExpectedMore")]
    ExpectedMore {},
}

impl ServiceError {
    /// The message as a whole is too long or is not a call.
    pub(crate) fn bad_message() -> Self {
        Self::InvalidParameter { parameter: "message".to_owned() }
    }
}

/// The answer of `GetInfo`.
#[derive(Debug, Serialize)]
pub(crate) struct Info {
    vendor: &'static str,
    product: &'static str,
    version: &'static str,
    url: &'static str,
    interfaces: [&'static str; 2],
}

impl Info {
    pub(crate) fn new() -> Self {
        Self {
            vendor: "Zones",
            product: "zoneadmd",
            version: env!("CARGO_PKG_VERSION"),
            url: env!("CARGO_PKG_REPOSITORY"),
            interfaces: [SERVICE, INTERFACE],
        }
    }
}

/// The answer of `GetInterfaceDescription`.
#[derive(Debug, Serialize)]
pub(crate) struct Description {
    description: &'static str,
}

impl Description {
    pub(crate) fn of(interface: String) -> Result<Self, ServiceError> {
        match interface.as_str() {
            SERVICE => Ok(Self { description: SERVICE_DESCRIPTION }),
            INTERFACE => Ok(Self { description: INTERFACE_DESCRIPTION }),
            _ => Err(ServiceError::InterfaceNotFound { interface }),
        }
    }
}
