//! `survey`: everything about one host that misconfiguration rules ask for, in one look.
//!
//! It judges nothing and changes nothing. What it cannot read is part of the answer, so one locked
//! file never hides the rest; and its time is bounded, because it also runs where things are broken.

mod configs;
mod databases;
mod files;
mod instances;
mod java;
mod keystores;
mod libraries;
mod logs;
mod machine;
mod mask;
mod network;
mod peers;
mod processes;
mod service;
mod web;
mod x509;

use super::{Kind, Module};
use crate::system::{Result, System};
use crate::wire::{Failure, survey};
use mask::Mask;
use processes::Processes;
use std::time::{Duration, Instant};

pub use crate::wire::survey::Request as Survey;

impl Module for Survey {
    const NAME: &'static str = "survey";
    const KIND: Kind = Kind::Look;
    const ABOUT: &'static str = "looks at all of a host that can be misconfigured, in one step";
    const EXAMPLE: &'static str = "\
survey:
  instances:
    - name: apim
      service: wso2-apim
      home: /opt/wso2/apim/current
      java_home: /usr/lib/jvm/java-17-openjdk-amd64
      user: wso2carbon
      pid_file: wso2carbon.pid
      log: { path: repository/logs/wso2carbon.log, patterns: { started: WSO2 Carbon started in } }
      configs:
        - { path: repository/conf/deployment.toml, keys: [server.hostname], digests: [encryption.key] }
      keystores:
        - { path: repository/resources/security/client-truststore.jks, password: \"{{ truststore_password }}\" }
      libraries: [repository/components/lib, repository/components/dropins]
      folders: [repository/deployment/server/webapps]
      walk: [repository/conf, repository/resources/security]
      http:
        - { name: version, url: 'https://localhost:9443/services/Version' }
  peers:
    - { name: apim-2, address: 10.0.0.12, ports: [5672, 9611], tls: [9443] }
  names: [apim.example.com]
  databases:
    - engine: mariadb
      schemas: { apim_db: [], mi_db: [{ table: CLUSTER_NODE_STATUS_TABLE, columns: [GROUP_ID, NODE_ID] }] }
  connections: [5672]
  within: 30
";
    type Change = String;

    fn check(&self, system: &System) -> Result<Vec<String>> {
        let within = Duration::from_secs(self.within);
        let answer = system.bounded(within, || look(self, system));
        let answer = serde_json::to_value(answer)
            .map_err(|e| Failure::new(format!("the survey cannot be told: {e}")))?;
        system.note("survey", answer);
        Ok(vec![])
    }

    fn apply(&self, _: &System, _: String) -> Result<()> {
        Ok(())
    }
}

/// What every part of the survey needs.
struct Scene<'a> {
    system: &'a System,
    asked: &'a Survey,
    processes: Processes,
    mask: Mask,
}

fn look(asked: &Survey, system: &System) -> survey::Survey {
    let began = Instant::now();
    let first_ns = machine::now_ns();
    let scene = Scene {
        system,
        asked,
        processes: Processes::look(system, &asked.instances),
        mask: Mask::of(asked),
    };
    // The quick and the local first: if time runs out, the long lists are what is missing.
    let network = network::look(&scene);
    let memory = machine::memory(system).into();
    let cpus = machine::cpus(system).into();
    let disks = machine::disks(&scene);
    let mounts = machine::mounts(&scene).into();
    let synchronized = machine::synchronized(system).into();
    let names = peers::names(&scene);
    let peers = peers::look(&scene);
    let instances = asked
        .instances
        .iter()
        .map(|i| instances::look(&scene, i))
        .collect();
    let databases = databases::look(&scene);
    survey::Survey {
        clock: survey::Clock {
            first_ns,
            last_ns: machine::now_ns(),
            synchronized,
        },
        memory,
        cpus,
        disks,
        mounts,
        network,
        names,
        peers,
        instances,
        databases,
        millis: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
    }
}

/// An error once the survey's time is over, for walks and lists that call no command.
fn in_time(system: &System) -> Result<()> {
    match system.time_left() {
        Some(left) if left.is_zero() => Err(Failure::new("the survey's time was over before it")),
        _ => Ok(()),
    }
}

/// The time that is left, but no more than `most`.
fn at_most(system: &System, most: Duration) -> Duration {
    system.time_left().map_or(most, |left| left.min(most))
}

/// A file that must be there, as text.
fn text(system: &System, path: &str) -> Result<String> {
    match system.read(path.as_ref())? {
        Some(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        None => Err(Failure::new(format!("there is no {path}"))),
    }
}
