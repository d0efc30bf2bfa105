//! Other hosts, as this one sees them.

use super::{Scene, at_most, x509};
use crate::system::{Knock, Knocked, Want};
use crate::wire::survey::{Name, Peer, PeerRequest, Reach, Seen};
use std::collections::BTreeSet;
use std::io::{Error, ErrorKind};
use std::time::Duration;

/// For all names, and for all ports, together.
const PATIENCE: Duration = Duration::from_secs(10);

const TOO_LATE: &str = "it was not answered in time";

pub fn names(scene: &Scene<'_>) -> Vec<Name> {
    let names = &scene.asked.names;
    let within = at_most(scene.system, PATIENCE);
    let answers = scene.system.addresses_of(names, within);
    let told = |(name, addresses): (&String, Option<Vec<_>>)| Name {
        name: name.clone(),
        addresses: match addresses {
            Some(found) => Seen::Known(found.iter().map(ToString::to_string).collect()),
            None => Seen::unknown(TOO_LATE),
        },
    };
    names.iter().zip(answers).map(told).collect()
}

pub fn look(scene: &Scene<'_>) -> Vec<Peer> {
    let asked: Vec<_> = scene
        .asked
        .peers
        .iter()
        .flat_map(|peer| knocks(peer).into_iter().map(move |knock| (peer, knock)))
        .collect();
    let knocks = asked.iter().map(|(_, knock)| knock.clone()).collect();
    let within = at_most(scene.system, PATIENCE);
    let answers = scene.system.knock_all(knocks, within);
    let told =
        |((peer, knock), answer): (&(&PeerRequest, Knock), _)| tell(scene, peer, knock, answer);
    asked.iter().zip(answers).map(told).collect()
}

/// Each port once, with the most that is wanted of it.
fn knocks(peer: &PeerRequest) -> Vec<Knock> {
    let all: BTreeSet<_> = [&peer.ports, &peer.tls, &peer.greets]
        .into_iter()
        .flatten()
        .copied()
        .collect();
    let want = |port| match port {
        port if peer.tls.contains(&port) => Want::Chain,
        port if peer.greets.contains(&port) => Want::Greeting,
        _ => Want::Open,
    };
    let knock = |port| Knock {
        host: peer.address.clone(),
        port,
        want: want(port),
    };
    all.into_iter().map(knock).collect()
}

fn tell(
    scene: &Scene<'_>,
    peer: &PeerRequest,
    knock: &Knock,
    answer: Option<std::io::Result<Knocked>>,
) -> Peer {
    let mut told = Peer {
        name: peer.name.clone(),
        address: peer.address.clone(),
        port: knock.port,
        reach: Seen::unknown(TOO_LATE),
        greeting: None,
        chain: None,
    };
    match answer {
        None => {}
        Some(Err(e)) => told.reach = Seen::Known(closed(&e)),
        Some(Ok(open)) => {
            let millis = u64::try_from(open.took.as_millis()).unwrap_or(u64::MAX);
            told.reach = Seen::Known(Reach::Open { millis });
            told.greeting = (knock.want == Want::Greeting).then(|| {
                let text = printable(&open.greeting);
                scene.mask.line(&text)
            });
            let read = |chain: Vec<Vec<u8>>| chain.iter().map(|der| x509::read(der)).collect();
            told.chain = open.chain.map(|chain| chain.and_then(read).into());
        }
    }
    told
}

fn closed(e: &Error) -> Reach {
    match e.kind() {
        ErrorKind::ConnectionRefused => Reach::Refused,
        ErrorKind::TimedOut | ErrorKind::WouldBlock => Reach::Silent,
        // So says the search for an address.
        ErrorKind::NotFound | ErrorKind::AddrNotAvailable => Reach::NoAddress,
        _ => Reach::Failed { why: e.to_string() },
    }
}

/// MySQL's greeting is text between numbers.
fn printable(bytes: &[u8]) -> String {
    let letters = bytes.iter().map(|byte| match byte {
        b' '..=b'~' => char::from(*byte),
        _ => ' ',
    });
    let text: String = letters.take(256).collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
