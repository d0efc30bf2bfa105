//! `tenant list`: asks every host once, by the plan of a playbook that only looks, and tells how each tenant is.

mod verdict;

use super::fleet::Fleet;
use super::prepare::Prepared;
use super::teller::Teller;
use crate::event::{Ended, Event, TenantState};
use crate::inventory::Tenant;
use crate::plan::{HostState, Line, Place, assumed_facts};
use crate::ssh::{Lost, Worker};
use crate::vars::Scope;
use crate::wire::{Action, Item, Step, Told};
use futures_util::future::join_all;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::watch;
use verdict::{Asked, Cluster, Heard, Said};

/// What the story calls it.
const TITLE: &str = "tenant list";

/// Tells how the tenants are as its last event.
pub async fn list(
    prepared: &Prepared,
    worker: Arc<Worker>,
    teller: &Teller,
    stop: watch::Receiver<bool>,
) -> Ended {
    let hosts = match prepared.inventory.tenants().is_empty() {
        true => vec![],
        false => prepared.all_hosts(),
    };
    if hosts.is_empty() {
        teller.tell(Event::Tenants(vec![]));
        return Ended::Done;
    }
    teller.tell(Event::RunStarted {
        playbook: TITLE.to_owned(),
        hosts: hosts.clone(),
        check: true,
    });
    let fleet = Fleet::new(prepared, worker, teller.clone(), stop);
    // Who does not answer is told of as an event, and leaves a cell that says so.
    fleet.connect().await;
    let asked = join_all(hosts.iter().map(|host| ask(&fleet, teller, prepared, host))).await;
    let heard: Heard = hosts.into_iter().zip(asked).collect();
    let is_stopping = fleet.is_stopping();
    fleet.close().await;
    if is_stopping {
        return Ended::Interrupted;
    }
    let tenants = states(prepared, &heard);
    let is_known = tenants.iter().all(TenantState::is_known);
    teller.tell(Event::Tenants(tenants));
    match is_known {
        true => Ended::Done,
        false => Ended::Unreachable,
    }
}

fn states(prepared: &Prepared, heard: &Heard) -> Vec<TenantState> {
    let hosts_of = |group: &str| {
        let hosts = prepared.inventory.hosts_of(group).into_iter();
        hosts.map(str::to_owned).collect::<Vec<_>>()
    };
    let asked = Asked {
        apim: hosts_of("apim"),
        balancers: hosts_of("load_balancer"),
        addresses: addresses(prepared),
    };
    let tenants = prepared.inventory.tenants();
    tenants
        .iter()
        .map(|tenant| verdict::state(tenant, &clusters(prepared, tenant), &asked, heard))
        .collect()
}

/// Of a tenant that leaves: those that its retired hosts were.
fn clusters(prepared: &Prepared, tenant: &Tenant) -> Vec<Cluster> {
    let of = |product: &'static str, present: &[String]| {
        let name = format!("{product}_{}", tenant.name);
        let hosts = match tenant.is_absent {
            true => prepared.inventory.retired_from(&name).into_iter(),
            false => present
                .iter()
                .map(String::as_str)
                .collect::<Vec<_>>()
                .into_iter(),
        };
        let hosts: Vec<String> = hosts.map(str::to_owned).collect();
        (!hosts.is_empty()).then_some(Cluster {
            name,
            product,
            hosts,
        })
    };
    let both = [of("mi", &tenant.mi), of("si", &tenant.si)];
    both.into_iter().flatten().collect()
}

/// Where the balancer sends requests to, by host, as roles/cluster has it.
fn addresses(prepared: &Prepared) -> BTreeMap<String, String> {
    let Some(world) = prepared.world(0, prepared.common_without_facts()) else {
        return BTreeMap::new();
    };
    let Some(host) = world.play_hosts.first() else {
        return BTreeMap::new();
    };
    let ladder = world.ladder(
        &HostState::new(host, &assumed_facts(host), vec![]),
        None,
        &[],
    );
    let addresses = Scope::new(&ladder).value("addresses").ok();
    addresses
        .and_then(|found| serde_json::from_value(found).ok())
        .unwrap_or_default()
}

/// All questions to one host in one message; what was said, or why nothing was.
async fn ask(
    fleet: &Fleet<'_>,
    teller: &Teller,
    prepared: &Prepared,
    host: &str,
) -> Result<Vec<Said>, String> {
    let place = Place {
        user: fleet.first_user(host),
        host: host.to_owned(),
    };
    let items = questions(prepared, &place);
    if items.is_empty() {
        return Ok(vec![]);
    }
    teller.tell(Event::StepStarted {
        host: host.to_owned(),
        title: TITLE.to_owned(),
        item: None,
    });
    let carried = fleet.carry(&place, items.clone(), |_| {}).await;
    let told = carried.map_err(|lost| match lost {
        // How it failed is told already.
        Lost::Unreachable(_) => "could not be reached".to_owned(),
        Lost::Refused(failure) | Lost::Busy(failure) => failure.message,
    })?;
    Ok(said(&items, told.told))
}

fn questions(prepared: &Prepared, place: &Place) -> Vec<Item> {
    let batches = prepared.plan.plays.iter().flat_map(|play| &play.batches);
    let lines = batches.filter_map(|batch| batch.hosts.get(&place.host));
    lines
        .flatten()
        .filter_map(|line| match line {
            Line::Carry { place: at, items } if at == place => Some(items),
            _ => None,
        })
        .flatten()
        .cloned()
        .collect()
}

fn said(questions: &[Item], told: Vec<Told>) -> Vec<Said> {
    let steps: BTreeMap<u32, &Step> = questions
        .iter()
        .filter_map(|item| match item {
            Item::Step(step) => Some((step.id, step)),
            Item::Block(_) => None,
        })
        .collect();
    told.into_iter()
        .filter_map(|told| {
            let step = steps.get(&told.step)?;
            let Action::Call { module, params } = &step.action else {
                return None;
            };
            let service = params.get("service").and_then(Value::as_str);
            let label = step.item.clone().or(service.map(str::to_owned));
            Some(Said::new(module, label.unwrap_or_default(), told))
        })
        .collect()
}
