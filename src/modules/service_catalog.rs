//! `service_catalog`: takes services out of API Manager's catalog.
//!
//! Integrators put their services in and never take them out, not even when they are gone. Whose entries are
//! seen decides the login: a catalog belongs to a tenant. It forgets no service that an API uses, so that is asked
//! before the first one is removed, and in check mode too.
//! Source: wso2/carbon-apimgt, `rest.api.service.catalog`, `ServicesApiServiceImpl`.

use super::shared::apim::{self, Login, Reply, SERVICES};
use super::shared::words::{Words, seconds};
use super::shared::yes;
use super::{Fault, Kind, Module, Review};
use crate::system::{Result, System, host_of};
use crate::wire::Failure;
use serde::Deserialize;
use std::fmt::{self, Display, Formatter};
use std::time::Duration;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceCatalog {
    /// Of the management port.
    #[serde(default = "apim::default_url")]
    url: String,
    /// With its domain, `admin@acme.example.com`: the catalog is that of the user's tenant.
    user: String,
    password: String,
    /// Integrators make entries; here they only end.
    state: Wanted,
    /// The entries whose services are on this host.
    #[serde(default)]
    host: Option<String>,
    /// The entries of these names, in every version.
    #[serde(default)]
    names: Words,
    #[serde(default = "yes")]
    validate_certs: bool,
    /// In seconds: how long to wait for a server that still starts.
    #[serde(default, deserialize_with = "seconds")]
    retry_for: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Wanted {
    Absent,
}

/// One page of the catalog.
#[derive(Deserialize)]
struct Page {
    list: Vec<Service>,
    pagination: Pagination,
}

#[derive(Deserialize)]
struct Pagination {
    total: usize,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Service {
    id: String,
    name: String,
    version: String,
    #[serde(default)]
    service_url: String,
}

/// The APIs that use a service. Source: `ServicesApiServiceImpl.getServiceUsage`.
#[derive(Deserialize)]
struct Usage {
    list: Vec<Api>,
}

#[derive(Deserialize)]
struct Api {
    name: String,
    version: String,
}

impl Display for Api {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.version)
    }
}

impl Display for Service {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "remove {} {}", self.name, self.version)
    }
}

/// The most that API Manager gives at once is a setting; this is its default.
const PAGE: usize = 25;

/// A catalog of this many pages is none.
const MOST_PAGES: usize = 1000;

impl Module for ServiceCatalog {
    const NAME: &'static str = "service_catalog";
    const KIND: Kind = Kind::State;
    const ABOUT: &'static str = "takes services out of API Manager's catalog";
    const EXAMPLE: &'static str = "\
service_catalog:
  url: https://localhost:9443
  user: admin@acme.example.com
  password: \"{{ tenant_password }}\"
  host: mi.acme.example.com
  state: absent
  validate_certs: false
no_log: true
";
    type Change = Service;

    fn review(&self, review: &mut Review<'_>) {
        review.web("url", &self.url);
        if self.host.is_some() != self.names.0.is_empty() {
            review.push(
                Fault::new("either `host` or `names` says which services are meant")
                    .help("give one of the two; nothing means nothing here, not everything"),
            );
        }
    }

    fn check(&self, system: &System) -> Result<Vec<Service>> {
        let Wanted::Absent = self.state;
        let mut services = self.services(system)?;
        services.retain(|service| self.means(service));
        self.unused(system, &services)?;
        Ok(services)
    }

    fn apply(&self, system: &System, service: Service) -> Result<()> {
        let request = self
            .login()
            .request("DELETE", &format!("{SERVICES}/{}", service.id));
        let reply = apim::ask(system, &request)?;
        match reply.status {
            // Somebody else was faster: gone is gone.
            200 | 204 | 404 => Ok(()),
            // An API took it since they were asked.
            409 => Err(still_used(
                format!(
                    "service `{}` {} is used by an API",
                    service.name, service.version
                ),
                vec![],
            )),
            _ => Err(self.refused(&reply)),
        }
    }
}

impl ServiceCatalog {
    fn login(&self) -> Login {
        Login {
            url: self.url.clone(),
            user: self.user.clone(),
            password: self.password.clone(),
            validate_certs: self.validate_certs,
        }
    }

    fn means(&self, service: &Service) -> bool {
        match &self.host {
            Some(host) => {
                host_of(&service.service_url).is_some_and(|h| h.eq_ignore_ascii_case(host))
            }
            None => self.names.0.contains(&service.name),
        }
    }

    /// A failure that names every API in the way.
    fn unused(&self, system: &System, services: &[Service]) -> Result<()> {
        let mut used = Vec::new();
        for service in services {
            for api in self.usage(system, service)? {
                let Service { name, version, .. } = service;
                used.push(format!("service `{name}` {version} is used by API `{api}`"));
            }
        }
        let mut used = used.into_iter();
        match used.next() {
            None => Ok(()),
            Some(first) => Err(still_used(first, used.collect())),
        }
    }

    fn usage(&self, system: &System, service: &Service) -> Result<Vec<Api>> {
        let path = format!("{SERVICES}/{}/usage", service.id);
        let reply = apim::ask(system, &self.login().request("GET", &path))?;
        match reply.status {
            200 => {}
            // Gone since the list was read.
            404 => return Ok(vec![]),
            _ => return Err(self.refused(&reply)),
        }
        let usage: Usage = serde_json::from_str(&reply.text).map_err(|e| {
            Failure::new(format!("{} answers with no list of APIs: {e}", reply.asked))
        })?;
        Ok(usage.list)
    }

    fn services(&self, system: &System) -> Result<Vec<Service>> {
        let mut services: Vec<Service> = Vec::new();
        for _ in 0..MOST_PAGES {
            let page = self.page(system, services.len())?;
            let is_last =
                page.list.is_empty() || services.len() + page.list.len() >= page.pagination.total;
            services.extend(page.list);
            if is_last {
                return Ok(services);
            }
        }
        Err(Failure::new("the catalog does not come to an end"))
    }

    fn page(&self, system: &System, offset: usize) -> Result<Page> {
        let path = format!("{SERVICES}?limit={PAGE}&offset={offset}");
        let request = self.login().request("GET", &path);
        let reply = apim::ask_patiently(system, &request, self.retry_for)?;
        if reply.status != 200 {
            return Err(self.refused(&reply));
        }
        serde_json::from_str(&reply.text).map_err(|e| {
            Failure::new(format!(
                "{} answers with no list of services: {e}",
                reply.asked
            ))
        })
    }

    fn refused(&self, reply: &Reply) -> Failure {
        match reply.status {
            401 | 403 => Failure::new(format!(
                "{} refuses the login of `{}`",
                reply.asked, self.user
            ))
            .help(
                "the user must be of the catalog's tenant, active, and have the role admin or Internal/creator",
            ),
            _ => reply.unexpected(),
        }
    }
}

fn still_used(first: String, others: Vec<String>) -> Failure {
    Failure::new(first)
        .detail(others)
        .help("delete the API in the publisher, or give it another endpoint; then run again")
}
