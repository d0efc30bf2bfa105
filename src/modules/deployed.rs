//! `deployed`: what a node has deployed, beyond saying that it is ready.
//!
//! API Manager is ready before its last API is in (wso2/api-manager#3359): `isAllApisDeployed` of its health check is true
//! as soon as every tenant's turn is over, also when an API of it failed (wso2/carbon-apimgt, `DataHolder`). So each API
//! that the gateway has heard of (`/apis`) is asked for among what it has deployed (`/api-artifact`), and called without a
//! token: whatever is below 500 comes from the API's own handlers. Names of those that pass are told as `alike`, which a
//! rollout compares with the node's peers. Micro Integrator skips an application without calling itself not ready when
//! another has its id; so what lies in its folder is held against what it lists as active. Sources: wso2/carbon-apimgt,
//! `rest.api.gateway`, `gateway-api.yaml`; wso2/product-integrator-mi, `management-api.yaml`; wso2/carbon-analytics, `SiddhiAppsApi`.

use super::shared::patience::{Attempt, insist};
use super::shared::words::{percent, seconds};
use super::{Kind, Module};
use crate::system::{Request, Result, System, failed};
use crate::wire::{Capp, Failure};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deployed {
    product: Product,
    /// Of the node's management.
    url: String,
    user: String,
    password: String,
    /// Of API Manager: the tenants whose APIs are loaded at a start.
    #[serde(default)]
    tenants: Vec<String>,
    /// Of API Manager: where APIs are called; without it they are not.
    #[serde(default)]
    calls: Option<String>,
    /// Of the others: the files that must be deployed, on the host.
    #[serde(default)]
    files: Vec<PathBuf>,
    /// In seconds.
    #[serde(default = "half_a_minute", deserialize_with = "seconds")]
    within: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Product {
    Apim,
    Mi,
    Si,
}

fn half_a_minute() -> Duration {
    Duration::from_secs(30)
}

/// Kept of an answer, in bytes.
const KEPT: u64 = 8 << 20;
/// For one question.
const TIMEOUT: Duration = Duration::from_secs(10);
/// For the questions about all APIs of a tenant.
const TOGETHER: Duration = Duration::from_secs(60);

impl Module for Deployed {
    const NAME: &'static str = "deployed";
    const KIND: Kind = Kind::Probe;
    const ABOUT: &'static str =
        "tells what a node has deployed, and waits until that is what it should have";
    const EXAMPLE: &'static str = "\
deployed:
  product: mi
  url: https://localhost:9164
  user: admin
  password: \"{{ admin_password }}\"
  files: [/opt/wso2/mi/current/repository/deployment/server/carbonapps/orders_1.0.1.car]
  within: 30
";
    type Change = String;

    fn check(&self, system: &System) -> Result<Vec<String>> {
        let names = insist(system, self.within, || match self.product {
            Product::Apim => self.apis(system),
            Product::Mi => self.applications(system),
            Product::Si => self.siddhi_apps(system),
        })?;
        let field = match self.product {
            Product::Apim => "alike",
            Product::Mi | Product::Si => "deployed",
        };
        system.note(field, Vec::from_iter(names));
        Ok(vec![])
    }

    fn apply(&self, _: &System, _: String) -> Result<()> {
        Ok(())
    }
}

/// Sorted, as people see them.
type Names = BTreeSet<String>;

/// An API that a gateway has heard of.
struct Api {
    name: String,
    version: String,
    context: String,
}

impl Deployed {
    fn request(&self, path: &str) -> Request {
        let base = self.url.trim_end_matches('/');
        Request {
            login: Some((self.user.clone(), self.password.clone())),
            ..question(&format!("{base}{path}"))
        }
    }

    // ---- API Manager ---------------------------------------------------------------------------------------------

    fn apis(&self, system: &System) -> Result<Attempt<Names>> {
        let mut names = Names::new();
        for tenant in &self.tenants {
            let domain = percent(tenant);
            let asked = self.request(&format!("/api/am/gateway/v2/apis?tenantDomain={domain}"));
            let apis = match answer(system, &asked) {
                Ok((200, body)) => listed(&body),
                // Nobody has asked for anything of this tenant yet.
                Ok((404, _)) => continue,
                Ok((status, _)) => return Ok(Attempt::NotYet(unexpected(&asked, status))),
                Err(failure) => return Ok(Attempt::NotYet(failure)),
            };
            for api in self.those_that_serve(system, tenant, apis) {
                let Api { name, version, .. } = api;
                names.insert(match tenant.as_str() {
                    "carbon.super" => format!("{name} {version}"),
                    tenant => format!("{name} {version} of {tenant}"),
                });
            }
        }
        Ok(Attempt::Done(names))
    }

    fn those_that_serve(&self, system: &System, tenant: &str, apis: Vec<Api>) -> Vec<Api> {
        let mut requests = Vec::new();
        for api in &apis {
            let path = format!(
                "/api/am/gateway/v2/api-artifact?apiName={}&version={}&tenantDomain={}",
                percent(&api.name),
                percent(&api.version),
                percent(tenant)
            );
            requests.push((self.request(&path), KEPT));
            if let Some(calls) = &self.calls {
                let url = format!("{}{}", calls.trim_end_matches('/'), api.context);
                requests.push((question(&url), KEPT));
            }
        }
        let each = 1 + usize::from(self.calls.is_some());
        let answers = system.ask_all(requests, TOGETHER);
        let serves = answers.chunks(each).map(|answers| {
            let statuses: Vec<u16> = answers
                .iter()
                .map(|answer| answer.as_ref().map_or(0, |text| text.status))
                .collect();
            statuses[0] == 200 && statuses[1..].iter().all(|s| (1..500).contains(s))
        });
        let both = apis.into_iter().zip(serves);
        both.filter_map(|(api, serves)| serves.then_some(api))
            .collect()
    }

    // ---- Micro Integrator ----------------------------------------------------------------------------------------

    /// The token is known to the node that gave it, in its memory alone.
    fn applications(&self, system: &System) -> Result<Attempt<Names>> {
        let login = self.request("/management/login");
        let token = match answer(system, &login) {
            Ok((200, body)) => text(&body, "AccessToken"),
            Ok((status, _)) => return Ok(Attempt::NotYet(unexpected(&login, status))),
            Err(failure) => return Ok(Attempt::NotYet(failure)),
        };
        let asked = Request {
            login: None,
            headers: vec![("Authorization".to_owned(), format!("Bearer {token}"))],
            ..self.request("/management/applications")
        };
        let body = match answer(system, &asked) {
            Ok((200, body)) => body,
            Ok((status, _)) => return Ok(Attempt::NotYet(unexpected(&asked, status))),
            Err(failure) => return Ok(Attempt::NotYet(failure)),
        };
        let names = |list: &str| -> Names {
            let apps = body.get(list).and_then(Value::as_array);
            let apps = apps.into_iter().flatten();
            apps.map(|app| format!("{} {}", text(app, "name"), text(app, "version")))
                .collect()
        };
        let (active, faulty) = (names("activeList"), names("faultyList"));
        if let Some(bad) = faulty.first() {
            let message = format!("the application {} is faulty", bad.trim_end());
            return Ok(Attempt::NotYet(Failure::new(message).help(
                "the node's wso2carbon.log says why, from \"Error occurred while deploying\" on",
            )));
        }
        let wanted = self.files.iter().map(|file| capp(system, file));
        missing(active, wanted.collect::<Result<_>>()?)
    }

    // ---- Streaming Integrator ------------------------------------------------------------------------------------

    /// A passive node has its applications, and calls none of them active.
    fn siddhi_apps(&self, system: &System) -> Result<Attempt<Names>> {
        let statistics = self.request("/statistics");
        let role = match answer(system, &statistics) {
            Ok((200, body)) => text(&body, "haStatus"),
            Ok((status, _)) => return Ok(Attempt::NotYet(unexpected(&statistics, status))),
            Err(failure) => return Ok(Attempt::NotYet(failure)),
        };
        let asked = match role.as_str() {
            "Active" => self.request("/siddhi-apps?isActive=true"),
            "Passive" => self.request("/siddhi-apps"),
            _ => {
                let message = "the node is neither active nor passive: it runs without its peer";
                return Ok(Attempt::NotYet(Failure::new(message)));
            }
        };
        let names: Names = match answer(system, &asked) {
            Ok((200, Value::Array(names))) => {
                let names = names.iter().filter_map(Value::as_str);
                names.map(ToOwned::to_owned).collect()
            }
            Ok((status, _)) => return Ok(Attempt::NotYet(unexpected(&asked, status))),
            Err(failure) => return Ok(Attempt::NotYet(failure)),
        };
        let stem = |file: &PathBuf| {
            let stem = file.file_stem().unwrap_or_default();
            stem.to_string_lossy().into_owned()
        };
        missing(names, self.files.iter().map(stem).collect())
    }
}

/// Asks the process at this address, whoever signed for its name.
fn question(url: &str) -> Request {
    Request {
        verify: false,
        timeout: TIMEOUT,
        redirects: 0,
        ..Request::get(url)
    }
}

/// Its status, and its body where that is JSON.
fn answer(system: &System, request: &Request) -> Result<(u16, Value)> {
    let response = system.ask(request)?;
    let status = response.status;
    let body = response.text(KEPT)?;
    Ok((status, serde_json::from_str(&body).unwrap_or_default()))
}

fn unexpected(request: &Request, status: u16) -> Failure {
    Failure::new(format!("{} answers {status}", request.shown()))
}

fn text(value: &Value, key: &str) -> String {
    let text = value.get(key).and_then(Value::as_str);
    text.unwrap_or_default().to_owned()
}

fn listed(body: &Value) -> Vec<Api> {
    let list = body.get("list").and_then(Value::as_array);
    let apis = list.into_iter().flatten().map(|api| Api {
        name: text(api, "name"),
        version: text(api, "version"),
        context: text(api, "context"),
    });
    apis.collect()
}

/// As its archive says: `Orders 1.0.1`.
fn capp(system: &System, path: &Path) -> Result<String> {
    let file = File::open(system.locate(path)).map_err(|e| failed("read", path, &e))?;
    let capp =
        Capp::read(file).map_err(|why| Failure::new(format!("{}: {why}", path.display())))?;
    Ok(format!("{} {}", capp.name, capp.version))
}

fn missing(deployed: Names, wanted: Names) -> Result<Attempt<Names>> {
    let missing: Vec<&str> = wanted.difference(&deployed).map(String::as_str).collect();
    if missing.is_empty() {
        return Ok(Attempt::Done(deployed));
    }
    let has = match deployed.is_empty() {
        true => "it has none".to_owned(),
        false => format!(
            "it has {}",
            Vec::from_iter(deployed.iter().cloned()).join(", ")
        ),
    };
    let message = format!("not deployed: {}; {has}", missing.join(", "));
    Ok(Attempt::NotYet(
        Failure::new(message).help("the node's log says why, at the time of its start"),
    ))
}
