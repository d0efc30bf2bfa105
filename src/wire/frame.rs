//! Frames: a length of four bytes, big end first, then that many bytes of MessagePack.

use serde::{Serialize, de::DeserializeOwned};

/// The largest frame either end accepts, in bytes. A captured host must not make the controller
/// allocate without bound.
pub const MAX_FRAME: usize = 32 << 20;

#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    #[error("a frame of {0} bytes is larger than the limit of {MAX_FRAME}")]
    TooLarge(usize),
    #[error("a frame could not be read: {0}")]
    Unreadable(String),
}

/// The whole frame, length included.
pub fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>, FrameError> {
    let body =
        rmp_serde::to_vec_named(message).map_err(|e| FrameError::Unreadable(e.to_string()))?;
    let length = u32::try_from(body.len())
        .ok()
        .filter(|_| body.len() <= MAX_FRAME)
        .ok_or(FrameError::TooLarge(body.len()))?;
    let mut frame = Vec::with_capacity(body.len() + 4);
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(&body);
    Ok(frame)
}

/// The length of the body that follows, checked against the limit.
pub fn frame_length(header: [u8; 4]) -> Result<usize, FrameError> {
    let length = u32::from_be_bytes(header) as usize;
    if length > MAX_FRAME {
        return Err(FrameError::TooLarge(length));
    }
    Ok(length)
}

/// Reads a frame's body.
pub fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, FrameError> {
    rmp_serde::from_slice(body).map_err(|e| FrameError::Unreadable(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Digest, FromWorker, ToWorker};

    #[test]
    fn a_message_survives_the_wire() {
        let piece = ToWorker::Piece {
            digest: Digest("ab".into()),
            data: vec![0, 1, 255],
        };
        let frame = encode(&piece).unwrap();
        let length = frame_length(frame[..4].try_into().unwrap()).unwrap();
        assert_eq!(length, frame.len() - 4);
        assert_eq!(decode::<ToWorker>(&frame[4..]).unwrap(), piece);
    }

    #[test]
    fn a_hostile_length_is_refused_before_anything_is_allocated() {
        assert!(matches!(
            frame_length([0xff; 4]),
            Err(FrameError::TooLarge(_))
        ));
    }

    #[test]
    fn garbage_is_an_error() {
        assert!(decode::<FromWorker>(b"Last login: Monday").is_err());
    }
}
