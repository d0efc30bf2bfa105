//! The messages of both directions.

use super::{Digest, Facts, Item, Mode, Told};
use serde::{Deserialize, Serialize};

/// A list of items to carry out now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// Answers name it.
    pub id: u32,
    pub mode: Mode,
    /// Texts before and after are wanted.
    pub diff: bool,
    pub items: Vec<Item>,
}

/// From the controller to the worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ToWorker {
    Carry(Order),
    /// A piece of the content that the worker asked for. An empty piece ends it.
    Piece {
        digest: Digest,
        #[serde(with = "bytes")]
        data: Vec<u8>,
    },
    /// The controller cannot give the content any more.
    Refused {
        digest: Digest,
        reason: String,
    },
    /// Finish the current step, then stop.
    Stop,
}

/// From the worker to the controller.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum FromWorker {
    /// The first frame.
    Hello {
        /// Of the worker's own binary.
        digest: Digest,
        facts: Box<Facts>,
        /// Handlers that an earlier run made due and did not settle.
        due: Vec<String>,
    },
    Started {
        step: u32,
    },
    /// Something worth showing while a step goes on: a wait's reason, bytes unpacked.
    Progress {
        step: u32,
        text: String,
    },
    Told(Told),
    /// The worker lacks this content.
    Want {
        digest: Digest,
    },
    /// The order is through. `failed` when a step failed and nothing rescued it.
    Done {
        order: u32,
        failed: bool,
    },
}

mod bytes {
    //! `Vec<u8>` as bytes, not as a list of numbers.
    use serde::{Deserializer, Serializer, de::Visitor};

    pub fn serialize<S: Serializer>(data: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(data)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Vec<u8>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E>(self, data: &[u8]) -> Result<Vec<u8>, E> {
                Ok(data.to_vec())
            }
            fn visit_byte_buf<E>(self, data: Vec<u8>) -> Result<Vec<u8>, E> {
                Ok(data)
            }
        }
        deserializer.deserialize_byte_buf(Bytes)
    }
}
